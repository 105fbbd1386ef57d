/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount, umount2, pivot_root. The interface by descriptors is in sys_mount_fd.c and fs/fs_context.c. Linux: fs/namespace.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/landlock.h"
#include "sentry/fs/namei.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"

static int may_mount(struct task *t)
{
	/* Who is restricted by landlock does not change the tree that its rules are about. */
	return !landlock_on(t) && task_ns_capable(t, t->ns->mnt->user_ns, LINUX_CAP_SYS_ADMIN) ? 0 : -EPERM;
}

static int copy_optional(struct task *t, gaddr_t src, char **ret)
{
	int err;

	if (!src.v) {
		*ret = strdup("");
		return *ret ? 0 : -ENOMEM;
	}
	err = copy_in_string(t, src, PAGE_SIZE - 1, ret);
	return err == -ENAMETOOLONG ? -EINVAL : err;
}

/* Per mount flags of a remount: those of the access time stay when none is given. */
static uint32_t remount_flags(const struct mount *m, uint64_t flags)
{
	const uint32_t atime = LINUX_MS_NOATIME | LINUX_MS_NODIRATIME | LINUX_MS_RELATIME;
	uint32_t mf = mount_flags_from_ms(flags);

	return flags & (atime | LINUX_MS_STRICTATIME) ? mf : (mf & ~atime) | (m->flags & atime);
}

static int do_remount(struct task *t, const struct path *at, uint64_t flags, const char *data)
{
	uint32_t mf = remount_flags(at->mnt, flags);
	int err;

	if (at->dentry != at->mnt->root)
		return -EINVAL;
	if (flags & LINUX_MS_BIND)
		return mount_remount(at->mnt, mf);
	err = sb_reconfigure(at->mnt->sb, t, at->mnt->source, data, (uint32_t)flags, MS_RECONF_MASK);
	return err ? err : mount_remount(at->mnt, mf);
}

static int do_propagation(struct task *t, const struct path *at, uint64_t flags)
{
	uint32_t type = (uint32_t)flags & (LINUX_MS_SHARED | LINUX_MS_PRIVATE | LINUX_MS_SLAVE | LINUX_MS_UNBINDABLE);

	if (flags & ~(uint64_t)(LINUX_MS_SHARED | LINUX_MS_PRIVATE | LINUX_MS_SLAVE | LINUX_MS_UNBINDABLE | LINUX_MS_REC | LINUX_MS_SILENT) ||
	    type & (type - 1))
		return -EINVAL;
	if (at->dentry != at->mnt->root)
		return -EINVAL;
	return mount_change_attr(t->ns->mnt, at, &(struct mount_attr_change){ .propagation = type, .recursive = flags & LINUX_MS_REC });
}

int64_t sys_mount(struct task *t, const struct sys_args *a)
{
	char *source _cleanup_free_ = NULL, *type _cleanup_free_ = NULL, *data _cleanup_free_ = NULL;
	struct path at _cleanup_path_ = { 0 }, from _cleanup_path_ = { 0 };
	uint64_t flags = a->a[3];
	struct mnt_ns *ns;
	struct mount_req rq;
	int err;

	if ((flags & LINUX_MS_MGC_MSK) == LINUX_MS_MGC_VAL)
		flags &= ~(uint64_t)LINUX_MS_MGC_MSK;
	err = copy_optional(t, ARG_ADDR(a, 2), &type);
	if (!err)
		err = copy_optional(t, ARG_ADDR(a, 0), &source);
	if (!err)
		err = copy_optional(t, ARG_ADDR(a, 4), &data);
	if (!err)
		err = namei_user(t, LINUX_AT_FDCWD, ARG_ADDR(a, 1), LOOKUP_FOLLOW, &at);
	if (!err)
		err = may_mount(t);
	if (err)
		return err;
	ns = t->ns->mnt;
	if (flags & LINUX_MS_NOUSER)
		return -EINVAL;
	if (at.mnt->ns != ns)
		return -EINVAL;
	if (flags & LINUX_MS_REMOUNT)
		return do_remount(t, &at, flags, data);
	if (!(flags & LINUX_MS_BIND) && flags & (LINUX_MS_SHARED | LINUX_MS_PRIVATE | LINUX_MS_SLAVE | LINUX_MS_UNBINDABLE))
		return do_propagation(t, &at, flags);
	if (flags & (LINUX_MS_BIND | LINUX_MS_MOVE)) {
		if (!*source)
			return -EINVAL;
		err = namei(t, LINUX_AT_FDCWD, source, LOOKUP_FOLLOW, &from);
		if (err)
			return err;
		return flags & LINUX_MS_BIND ? mount_bind(ns, &from, &at, flags & LINUX_MS_REC, 0) : mount_move(ns, &from, &at);
	}
	if (!*type)
		return -EINVAL;
	rq = (struct mount_req){ .k = t->k, .t = t, .source = *source ? source : "none", .options = data,
				 .flags = (uint32_t)flags & (LINUX_MS_RDONLY | LINUX_MS_SYNCHRONOUS | LINUX_MS_DIRSYNC | LINUX_MS_LAZYTIME) };
	return mount_new(ns, &at, type, &rq, mount_flags_from_ms(flags), NULL);
}

static bool is_root_of(struct task *t, const struct mount *m)
{
	struct path root _cleanup_path_ = { 0 };

	fs_ctx_root(t->fs, &root);
	return root.mnt == m && m->ns == t->ns->mnt;
}

int64_t sys_umount2(struct task *t, const struct sys_args *a)
{
	uint32_t flags = ARG_U32(a, 1);
	struct path p = { 0 };
	struct mount *m;
	int err;

	if (flags & ~(LINUX_MNT_FORCE | LINUX_MNT_DETACH | LINUX_MNT_EXPIRE | LINUX_UMOUNT_NOFOLLOW))
		return -EINVAL;
	err = may_mount(t);
	if (err)
		return err;
	err = namei_user(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), flags & LINUX_UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &p);
	if (err)
		return err;
	if (p.dentry != p.mnt->root) {
		path_put(&p);
		return -EINVAL;
	}
	m = p.mnt;
	if (!(flags & LINUX_MNT_DETACH) && is_root_of(t, m)) {
		/* "umount /" makes it read-only. */
		err = flags & LINUX_MNT_EXPIRE ? -EINVAL :
		      sb_rdonly(m->sb)	       ? 0 :
						 sb_reconfigure(m->sb, t, m->source, "", LINUX_MS_RDONLY, LINUX_MS_RDONLY);
		path_put(&p);
		return err;
	}
	dentry_put(p.dentry);
	err = mount_detach(t->ns->mnt, m, flags);
	mount_put_no_expire(m);
	return err;
}

/* Processes whose root or current directory was the old root move to the new one. */
static void move_roots(struct kernel *k, const struct path *old, const struct path *new)
{
	struct fs_ctx *seen[256];
	size_t n = 0;
	struct thread_group *tg;
	struct task *o;

	mutex_lock(&k->tasks_mu);
	list_for_each(tg, &k->groups, all_node)
		list_for_each(o, &tg->tasks, tg_node) {
			struct fs_ctx *fs = n < ARRAY_SIZE(seen) ? task_fs_get(o) : NULL;

			if (fs)
				seen[n++] = fs;
		}
	mutex_unlock(&k->tasks_mu);
	for (size_t j = 0; j < n; j++) {
		struct path p = { 0 };

		fs_ctx_root(seen[j], &p);
		if (path_equal(&p, old))
			fs_ctx_set_root(seen[j], new);
		path_put(&p);
		fs_ctx_cwd(seen[j], &p);
		if (path_equal(&p, old))
			fs_ctx_set_cwd(seen[j], new);
		path_put(&p);
		fs_ctx_put(seen[j]);
	}
}

int64_t sys_pivot_root(struct task *t, const struct sys_args *a)
{
	struct path new_root _cleanup_path_ = { 0 }, put_old _cleanup_path_ = { 0 }, root _cleanup_path_ = { 0 };
	int err = may_mount(t);

	if (!err)
		err = namei_user(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &new_root);
	if (!err)
		err = namei_user(t, LINUX_AT_FDCWD, ARG_ADDR(a, 1), LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &put_old);
	if (err)
		return err;
	fs_ctx_root(t->fs, &root);
	err = mount_pivot_root(t->ns->mnt, &new_root, &put_old, &root);
	if (!err)
		move_roots(t->k, &root, &new_root);
	return err;
}
