/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setns: joining existing namespaces, by namespace file or by pidfd. Linux: kernel/nsproxy.c.
 *
 * A joined pid namespace applies to children only. Joining a mount namespace moves root and current directory to its root, so the caller
 * must not share them. User and cgroup namespaces: only one exists, joining it is -EINVAL, as Linux says of one's own user namespace.
 */
#include <sched.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/nsfs.h"
#include "sentry/fs/pidfd.h"
#include "sentry/ipc/ipc_ns.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"
#include "sentry/net/netns.h"
#include "sentry/syscalls/syscalls.h"

#define SETNS_FLAGS (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWCGROUP | 0x80u)

static uint32_t flag_of(enum ns_kind k)
{
	static const uint32_t flags[] = {
		[NS_MNT] = CLONE_NEWNS, [NS_UTS] = CLONE_NEWUTS,   [NS_IPC] = CLONE_NEWIPC,	  [NS_NET] = CLONE_NEWNET,
		[NS_PID] = CLONE_NEWPID, [NS_USER] = CLONE_NEWUSER, [NS_CGROUP] = CLONE_NEWCGROUP,
	};

	return (size_t)k < ARRAY_SIZE(flags) ? flags[k] : 0;
}

static bool is_descendant(const struct pid_ns *ns, const struct pid_ns *anc)
{
	for (; ns; ns = ns->parent)
		if (ns == anc)
			return true;
	return false;
}

/* Puts @ns into the private copy @n. */
static int join(struct task *t, struct nsproxy *n, enum ns_kind kind, void *ns)
{
	switch (kind) {
	case NS_MNT:
		if (!task_capable(t, LINUX_CAP_SYS_CHROOT))
			return -EPERM;
		if (ref_count(&t->fs->ref) > 1)
			return -EINVAL;
		mnt_ns_put(n->mnt);
		n->mnt = mnt_ns_get(ns);
		return 0;
	case NS_UTS:
		uts_ns_put(n->uts);
		n->uts = uts_ns_get(ns);
		return 0;
	case NS_IPC:
		ipc_ns_put(n->ipc);
		n->ipc = ipc_ns_get(ns);
		return 0;
	case NS_NET:
		net_ns_put(n->net);
		n->net = net_ns_get(ns);
		return 0;
	case NS_PID:
		if (!is_descendant(ns, task_pid_ns(t)))
			return -EINVAL;
		pid_ns_put(n->pid_for_children);
		n->pid_for_children = pid_ns_get(ns);
		return 0;
	case NS_USER:
	case NS_CGROUP:
		break;
	}
	return -EINVAL;
}

static void move_root(struct task *t, struct mnt_ns *ns)
{
	struct path root;

	mnt_ns_root(ns, &root);
	fs_ctx_set_root(t->fs, &root);
	fs_ctx_set_cwd(t->fs, &root);
	path_put(&root);
}

static int join_process(struct task *t, struct nsproxy *n, struct pid *pid, uint32_t flags)
{
	struct task *o = task_find(t->k, t->k->root_pid_ns, pid_nr_ns(pid, t->k->root_pid_ns));
	struct nsproxy *on = o ? task_ns_get(o) : NULL;
	int r = on ? task_ptrace_may_access(t, o, false) : -ESRCH;

	if (r == 0 && (flags & CLONE_NEWUTS))
		r = join(t, n, NS_UTS, on->uts);
	if (r == 0 && (flags & CLONE_NEWIPC))
		r = join(t, n, NS_IPC, on->ipc);
	if (r == 0 && (flags & CLONE_NEWNET))
		r = join(t, n, NS_NET, on->net);
	if (r == 0 && (flags & CLONE_NEWPID))
		r = join(t, n, NS_PID, task_pid_ns(o));
	if (r == 0 && (flags & CLONE_NEWNS))
		r = join(t, n, NS_MNT, on->mnt);
	if (r == 0 && (flags & (CLONE_NEWUSER | CLONE_NEWCGROUP | 0x80u)))
		r = -EINVAL;
	nsproxy_put(on);
	task_put(o);
	return r;
}

int64_t sys_setns(struct task *t, const struct sys_args *a)
{
	uint32_t flags = ARG_U32(a, 1);
	_cleanup_file_ struct file *f = fd_get(t, ARG_INT(a, 0));
	struct mnt_ns *old = t->ns->mnt;
	struct pid *pid = NULL;
	struct nsproxy *n;
	enum ns_kind kind;
	int r, nonblock;
	void *ns;

	if (!f)
		return -EBADF;
	n = nsproxy_dup(t->ns);
	if (!n)
		return -ENOMEM;
	if (pidfd_get_pid(t, ARG_INT(a, 0), &pid, &nonblock) == 0) {
		r = !flags || (flags & ~SETNS_FLAGS) ? -EINVAL : 0;
		if (r == 0 && !task_capable(t, LINUX_CAP_SYS_ADMIN))
			r = -EPERM;
		if (r == 0)
			r = join_process(t, n, pid, flags);
		pid_put(pid);
	} else {
		r = nsfs_get(f, &kind, &ns);
		if (r == 0 && flags && flags != flag_of(kind))
			r = -EINVAL;
		if (r == 0 && !task_capable(t, LINUX_CAP_SYS_ADMIN))
			r = -EPERM;
		if (r == 0)
			r = join(t, n, kind, ns);
	}
	if (r < 0) {
		nsproxy_put(n);
		return r;
	}
	if (n->mnt != old)
		move_root(t, n->mnt);
	task_set_ns(t, n);
	return 0;
}
