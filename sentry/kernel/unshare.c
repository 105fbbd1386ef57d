/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New namespaces: for a child (clone), for the caller (unshare). Linux: kernel/nsproxy.c, kernel/fork.c ksys_unshare().
 *
 * A new user namespace comes first: the others that are made in the same call belong to it, and its maker has all capabilities there.
 */
#include <sched.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/mount.h"
#include "sentry/ipc/ipc_ns.h"
#include "sentry/kernel/cgroup_ns.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/time_ns.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/net/netns.h"
#include "sentry/syscalls/syscalls.h"

#define UNSHARE_FLAGS (CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_VM | CLONE_THREAD | CLONE_SYSVSEM | NAMESPACE_FLAGS | CLONE_NEWUSER)

/* Another root directory than the mount namespace's: what is below must not get new powers. */
static bool chrooted(struct task *t)
{
	struct path root, top;
	bool r;

	fs_ctx_root(t->fs, &root);
	mnt_ns_root(t->ns->mnt, &top);
	r = root.mnt != top.mnt || root.dentry != top.dentry;
	path_put(&root);
	path_put(&top);
	return r;
}

int cred_new_user_ns(struct task *t, struct cred **ret)
{
	struct user_ns *ns;
	struct cred *c;
	int r;

	r = chrooted(t) ? -EPERM : user_ns_new(t->cred, &ns);
	if (r < 0)
		return r;
	c = cred_dup(t->cred);
	if (c)
		cred_enter_user_ns(c, ns);
	user_ns_put(ns);
	*ret = c;
	return c ? 0 : -ENOMEM;
}

static const struct {
	uint64_t flag;
	enum ns_limit limit;
} limits[] = {
	{ CLONE_NEWNS, LIMIT_MNT_NS },	   { CLONE_NEWUTS, LIMIT_UTS_NS }, { CLONE_NEWIPC, LIMIT_IPC_NS },	 { CLONE_NEWNET, LIMIT_NET_NS },
	{ CLONE_NEWPID, LIMIT_PID_NS }, { CLONE_NEWCGROUP, LIMIT_CGROUP_NS }, { CLONE_NEWTIME_L, LIMIT_TIME_NS },
};

static int unshare_mnt(struct kernel *k, struct nsproxy *n, struct user_ns *owner, struct fs_ctx *fs)
{
	struct mnt_ns *m;
	int r = mnt_ns_clone(k, n->mnt, fs, &m);

	if (r < 0)
		return r;
	m->user_ns = user_ns_get(owner);
	mnt_ns_put(n->mnt);
	n->mnt = m;
	return 0;
}

static int unshare_uts(struct nsproxy *n, struct user_ns *owner)
{
	struct uts_ns *u = uts_ns_dup(n->uts);

	if (!u)
		return -ENOMEM;
	u->user_ns = user_ns_get(owner);
	uts_ns_put(n->uts);
	n->uts = u;
	return 0;
}

static int unshare_ipc(struct kernel *k, struct nsproxy *n, struct user_ns *owner)
{
	struct ipc_ns *i = ipc_ns_new(k);

	if (!i)
		return -ENOMEM;
	*ipc_ns_user_ns(i) = user_ns_get(owner);
	ipc_ns_put(n->ipc);
	n->ipc = i;
	return 0;
}

static int unshare_net(struct nsproxy *n, struct user_ns *owner)
{
	struct net_ns *x = net_ns_new();

	if (!x)
		return -ENOMEM;
	x->user_ns = user_ns_get(owner);
	net_ns_put(n->net);
	n->net = x;
	return 0;
}

static int unshare_pid(struct nsproxy *n, struct user_ns *owner)
{
	struct pid_ns *p;

	if (!user_ns_below(owner, n->pid_for_children->user_ns))
		return -EINVAL;
	p = pid_ns_new(n->pid_for_children);
	if (!p)
		return -ENOSPC;
	p->user_ns = user_ns_get(owner);
	pid_ns_put(n->pid_for_children);
	n->pid_for_children = p;
	return 0;
}

static int unshare_cgroup(struct nsproxy *n, struct user_ns *owner)
{
	struct cgroup_ns *c = cgroup_ns_new(n->cgroup, owner);

	if (!c)
		return -ENOMEM;
	cgroup_ns_put(n->cgroup);
	n->cgroup = c;
	return 0;
}

/* Only children enter a new time namespace. */
static int unshare_time(struct nsproxy *n, struct user_ns *owner)
{
	struct time_ns *x = time_ns_new(n->time_for_children, owner);

	if (!x)
		return -ENOMEM;
	time_ns_put(n->time_for_children);
	n->time_for_children = x;
	return 0;
}

static int nsproxy_unshare(struct kernel *k, uint64_t flags, const struct nsproxy *old, struct user_ns *owner, struct fs_ctx *fs,
			   struct nsproxy **ret)
{
	struct nsproxy *n;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if ((flags & limits[i].flag) && !user_ns_limit_ok(owner, limits[i].limit))
			return -ENOSPC;
	n = nsproxy_dup(old);
	if (!n)
		return -ENOMEM;
	if (flags & CLONE_NEWNS)
		r = unshare_mnt(k, n, owner, fs);
	if (r == 0 && (flags & CLONE_NEWUTS))
		r = unshare_uts(n, owner);
	if (r == 0 && (flags & CLONE_NEWIPC))
		r = unshare_ipc(k, n, owner);
	if (r == 0 && (flags & CLONE_NEWPID))
		r = unshare_pid(n, owner);
	if (r == 0 && (flags & CLONE_NEWCGROUP))
		r = unshare_cgroup(n, owner);
	if (r == 0 && (flags & CLONE_NEWNET))
		r = unshare_net(n, owner);
	if (r == 0 && (flags & CLONE_NEWTIME_L))
		r = unshare_time(n, owner);
	if (r < 0) {
		nsproxy_put(n);
		return r;
	}
	*ret = n;
	return 0;
}

int nsproxy_for_child(struct task *t, uint64_t flags, struct user_ns *owner, struct fs_ctx *fs, struct nsproxy **ret)
{
	bool enter_time = !(flags & CLONE_VM) && (t->ns->time != t->ns->time_for_children || (flags & CLONE_NEWTIME_L));
	int r;

	if (!(flags & NAMESPACE_FLAGS) && !enter_time) {
		*ret = nsproxy_get(t->ns);
		return 0;
	}
	r = nsproxy_unshare(t->k, flags & NAMESPACE_FLAGS, t->ns, owner, fs, ret);
	if (r == 0 && (*ret)->time != (*ret)->time_for_children) {
		time_ns_put((*ret)->time);
		(*ret)->time = time_ns_get((*ret)->time_for_children);
		time_ns_enter((*ret)->time);
	}
	return r;
}

static int own_fs(struct task *t)
{
	struct fs_ctx *fs = fs_ctx_dup(t->fs), *old;

	if (!fs)
		return -ENOMEM;
	mutex_lock(&t->alloc_mu);
	old = t->fs;
	t->fs = fs;
	mutex_unlock(&t->alloc_mu);
	fs_ctx_put(old);
	return 0;
}

static int own_files(struct task *t)
{
	struct fd_table *ft, *old;

	if (!fd_table_shared(t->files))
		return 0;
	ft = fd_table_dup(t->files);
	if (!ft)
		return -ENOMEM;
	mutex_lock(&t->alloc_mu);
	old = t->files;
	t->files = ft;
	mutex_unlock(&t->alloc_mu);
	fd_table_put(old, t);
	return 0;
}

int64_t sys_unshare(struct task *t, const struct sys_args *a)
{
	uint64_t f = (uint32_t)a->a[0];
	_cleanup_cred_ struct cred *c = NULL;
	struct nsproxy *n = NULL;
	int r = 0;

	if (f & ~UNSHARE_FLAGS)
		return -EINVAL;
	/* A user namespace of its own is for a whole process, and nothing may tie it to another. */
	if (f & CLONE_NEWUSER)
		f |= CLONE_THREAD | CLONE_FS;
	if (f & CLONE_NEWNS)
		f |= CLONE_FS;
	if ((f & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) && t->tg->nr_tasks > 1)
		return -EINVAL;
	if (f & CLONE_NEWUSER)
		r = cred_new_user_ns(t, &c);
	if (r == 0 && (f & CLONE_FS))
		r = own_fs(t);
	if (r == 0 && (f & CLONE_FILES))
		r = own_files(t);
	if (r == 0 && (f & NAMESPACE_FLAGS) && !c && !task_capable_here(t, LINUX_CAP_SYS_ADMIN))
		r = -EPERM;
	if (r == 0 && (f & NAMESPACE_FLAGS))
		r = nsproxy_unshare(t->k, f, t->ns, c ? c->user_ns : t->cred->user_ns, t->fs, &n);
	if (r < 0)
		return r;
	if (n)
		task_set_ns(t, n);
	if (c)
		task_set_cred(t, TAKE_PTR(c));
	return 0;
}
