/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setns: joining existing namespaces, by namespace file or by pidfd. Linux: kernel/nsproxy.c.
 *
 * Everything is prepared in private copies of namespaces and credentials, and published when nothing can fail any more. A joined user namespace
 * comes first, so that its capabilities count for the others. A joined pid namespace applies to children only. Joining a mount namespace
 * moves root and current directory to its root, so the caller must not share them.
 */
#include <sched.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/nsfs.h"
#include "sentry/fs/pidfd.h"
#include "sentry/ipc/ipc_ns.h"
#include "sentry/kernel/cgroup_ns.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/time_ns.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/net/netns.h"
#include "sentry/syscalls/syscalls.h"

#define SETNS_FLAGS (NAMESPACE_FLAGS | CLONE_NEWUSER)

/* What the caller will have. */
struct nsset {
	struct task *t;
	struct nsproxy *n; /* private */
	struct cred *c; /* private; NULL: unchanged */
};

static uint64_t flag_of(enum ns_kind k)
{
	static const uint64_t flags[] = {
		[NS_MNT] = CLONE_NEWNS,	 [NS_UTS] = CLONE_NEWUTS,   [NS_IPC] = CLONE_NEWIPC,	    [NS_NET] = CLONE_NEWNET,
		[NS_PID] = CLONE_NEWPID, [NS_USER] = CLONE_NEWUSER, [NS_CGROUP] = CLONE_NEWCGROUP, [NS_TIME] = CLONE_NEWTIME_L,
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

static const struct cred *cred_of(const struct nsset *s)
{
	return s->c ? s->c : s->t->cred;
}

/* Rules a thing of @owner and its own (new) user namespace. */
static bool rules(const struct nsset *s, const struct user_ns *owner)
{
	return cred_ns_capable(cred_of(s), owner, LINUX_CAP_SYS_ADMIN) && cred_capable_here(cred_of(s), LINUX_CAP_SYS_ADMIN);
}

static int join_user(struct nsset *s, struct user_ns *ns)
{
	struct cred *c;

	if (ns == s->t->cred->user_ns || s->t->tg->nr_tasks > 1 || ref_count(&s->t->fs->ref) > 1)
		return -EINVAL;
	if (!task_ns_capable(s->t, ns, LINUX_CAP_SYS_ADMIN))
		return -EPERM;
	c = cred_dup(s->t->cred);
	if (!c)
		return -ENOMEM;
	cred_enter_user_ns(c, ns);
	cred_put(s->c);
	s->c = c;
	return 0;
}

static int join_mnt(struct nsset *s, struct mnt_ns *ns)
{
	if (!rules(s, ns->user_ns) || !cred_capable_here(cred_of(s), LINUX_CAP_SYS_CHROOT))
		return -EPERM;
	if (ref_count(&s->t->fs->ref) > 1)
		return -EINVAL;
	mnt_ns_put(s->n->mnt);
	s->n->mnt = mnt_ns_get(ns);
	return 0;
}

static int join_uts(struct nsset *s, struct uts_ns *ns)
{
	if (!rules(s, ns->user_ns))
		return -EPERM;
	uts_ns_put(s->n->uts);
	s->n->uts = uts_ns_get(ns);
	return 0;
}

static int join_ipc(struct nsset *s, struct ipc_ns *ns)
{
	if (!rules(s, *ipc_ns_user_ns(ns)))
		return -EPERM;
	ipc_ns_put(s->n->ipc);
	s->n->ipc = ipc_ns_get(ns);
	return 0;
}

static int join_net(struct nsset *s, struct net_ns *ns)
{
	if (!rules(s, ns->user_ns))
		return -EPERM;
	net_ns_put(s->n->net);
	s->n->net = net_ns_get(ns);
	return 0;
}

static int join_pid(struct nsset *s, struct pid_ns *ns)
{
	if (!rules(s, ns->user_ns))
		return -EPERM;
	if (!is_descendant(ns, task_pid_ns(s->t)))
		return -EINVAL;
	pid_ns_put(s->n->pid_for_children);
	s->n->pid_for_children = pid_ns_get(ns);
	return 0;
}

static int join_cgroup(struct nsset *s, struct cgroup_ns *ns)
{
	if (!rules(s, ns ? ns->user_ns : NULL))
		return -EPERM;
	cgroup_ns_put(s->n->cgroup);
	s->n->cgroup = cgroup_ns_get(ns);
	return 0;
}

static int join_time(struct nsset *s, struct time_ns *ns)
{
	if (s->t->tg->nr_tasks > 1)
		return -EUSERS;
	if (!rules(s, ns ? ns->user_ns : NULL))
		return -EPERM;
	time_ns_put(s->n->time);
	time_ns_put(s->n->time_for_children);
	s->n->time = time_ns_get(ns);
	s->n->time_for_children = time_ns_get(ns);
	time_ns_enter(ns);
	return 0;
}

static int join(struct nsset *s, enum ns_kind kind, void *ns)
{
	switch (kind) {
	case NS_MNT:
		return join_mnt(s, ns);
	case NS_UTS:
		return join_uts(s, ns);
	case NS_IPC:
		return join_ipc(s, ns);
	case NS_NET:
		return join_net(s, ns);
	case NS_PID:
		return join_pid(s, ns);
	case NS_USER:
		return join_user(s, ns);
	case NS_CGROUP:
		return join_cgroup(s, ns);
	case NS_TIME:
		return join_time(s, ns);
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

static int join_process(struct nsset *s, struct pid *pid, uint64_t flags)
{
	struct task *t = s->t, *o = task_find(t->k, t->k->root_pid_ns, pid_nr_ns(pid, t->k->root_pid_ns));
	struct nsproxy *on = o ? task_ns_get(o) : NULL;
	struct cred *oc = o ? task_cred_get(o) : NULL;
	int r = on && oc ? task_ptrace_may_access(t, o, false) : -ESRCH;

	if (r == 0 && (flags & CLONE_NEWUSER))
		r = join_user(s, oc->user_ns);
	if (r == 0 && (flags & CLONE_NEWNS))
		r = join_mnt(s, on->mnt);
	if (r == 0 && (flags & CLONE_NEWUTS))
		r = join_uts(s, on->uts);
	if (r == 0 && (flags & CLONE_NEWIPC))
		r = join_ipc(s, on->ipc);
	if (r == 0 && (flags & CLONE_NEWPID))
		r = join_pid(s, task_pid_ns(o));
	if (r == 0 && (flags & CLONE_NEWCGROUP))
		r = join_cgroup(s, on->cgroup);
	if (r == 0 && (flags & CLONE_NEWNET))
		r = join_net(s, on->net);
	if (r == 0 && (flags & CLONE_NEWTIME_L))
		r = join_time(s, on->time);
	cred_put(oc);
	nsproxy_put(on);
	task_put(o);
	return r;
}

static int prepare(struct nsset *s, int fd, struct file *f, uint32_t flags)
{
	struct pid *pid = NULL;
	enum ns_kind kind;
	int r, nonblock;
	void *ns;

	if (pidfd_get_pid(s->t, fd, &pid, &nonblock) == 0) {
		r = !flags || (flags & ~SETNS_FLAGS) ? -EINVAL : join_process(s, pid, flags);
		pid_put(pid);
		return r;
	}
	r = nsfs_get(f, &kind, &ns);
	if (r == 0 && flags && flags != flag_of(kind))
		r = -EINVAL;
	return r < 0 ? r : join(s, kind, ns);
}

int64_t sys_setns(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = fd_get(t, ARG_INT(a, 0));
	struct mnt_ns *old = t->ns->mnt;
	struct nsset s = { .t = t };
	int r;

	if (!f)
		return -EBADF;
	s.n = nsproxy_dup(t->ns);
	if (!s.n)
		return -ENOMEM;
	r = prepare(&s, ARG_INT(a, 0), f, ARG_U32(a, 1));
	if (r < 0) {
		nsproxy_put(s.n);
		cred_put(s.c);
		return r;
	}
	if (s.n->mnt != old)
		move_root(t, s.n->mnt);
	task_set_ns(t, s.n);
	if (s.c)
		task_set_cred(t, s.c);
	return 0;
}
