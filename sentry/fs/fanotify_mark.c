/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fanotify_init and fanotify_mark. Linux: fs/notify/fanotify/fanotify_user.c.
 *
 * Checkpoint: stateless.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/fanotify_internal.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/namei.h"
#include "sentry/syscalls/syscalls.h"

#define INIT_CLOEXEC  0x1u
#define INIT_NONBLOCK 0x2u
#define INIT_ADMIN    (FAN_CLASS_BITS | FAN_REPORT_TID_F | FAN_REPORT_PIDFD_F | FAN_UNLIMITED_QUEUE_F | FAN_UNLIMITED_MARKS_F | FAN_ENABLE_AUDIT_F)
#define INIT_ALL      (INIT_ADMIN | FAN_FID_BITS | INIT_CLOEXEC | INIT_NONBLOCK)
#define EVENT_F_ALL                                                                                                            \
	(LINUX_O_ACCMODE | LINUX_O_APPEND | LINUX_O_NONBLOCK | LINUX_O_SYNC | LINUX_O_DSYNC | LINUX_O_CLOEXEC | 0100000u | LINUX_O_NOATIME)

#define MARK_ADD	  0x1u
#define MARK_REMOVE	  0x2u
#define MARK_DONT_FOLLOW  0x4u
#define MARK_ONLYDIR	  0x8u
#define MARK_MOUNT	  0x10u
#define MARK_IGNORED_MASK 0x20u
#define MARK_FLUSH	  0x80u
#define MARK_FILESYSTEM	  0x100u
#define MARK_CMD	  (MARK_ADD | MARK_REMOVE | MARK_FLUSH)
#define MARK_TYPE	  (MARK_MOUNT | MARK_FILESYSTEM)
#define MARK_IGNORE_BITS  (MARK_IGNORED_MASK | FAN_MARK_IGNORE_F)
#define MARK_ALL                                                                                                               \
	(MARK_CMD | MARK_DONT_FOLLOW | MARK_ONLYDIR | MARK_TYPE | MARK_IGNORE_BITS | FAN_MARK_SURV_MODIFY_F | FAN_MARK_EVICTABLE_F)
#define EVENT_FLAGS (FAN_ONDIR_F | FAN_EVENT_ON_CHILD_F)

static int check_init(struct task *t, uint32_t flags, uint32_t event_flags)
{
	uint32_t fid = flags & FAN_FID_BITS, class = flags & FAN_CLASS_BITS;

	/* Without privilege: only events with handles, and limits. */
	if (!task_capable(t, LINUX_CAP_SYS_ADMIN) && (flags & INIT_ADMIN || !fid))
		return -EPERM;
	if (flags & ~INIT_ALL || (flags & FAN_REPORT_PIDFD_F && flags & FAN_REPORT_TID_F))
		return -EINVAL;
	if (event_flags & ~EVENT_F_ALL || (event_flags & LINUX_O_ACCMODE) == LINUX_O_ACCMODE)
		return -EINVAL;
	if (fid && class)
		return -EINVAL;
	if (fid & FAN_REPORT_NAME_F && !(fid & FAN_REPORT_DIR_FID_F))
		return -EINVAL;
	if (fid & FAN_REPORT_TARGET_FID_F && (!(fid & FAN_REPORT_NAME_F) || !(fid & FAN_REPORT_FID_F)))
		return -EINVAL;
	return class == FAN_CLASS_BITS ? -EINVAL : 0;
}

int64_t sys_fanotify_init(struct task *t, const struct sys_args *a)
{
	uint32_t flags = ARG_U32(a, 0), event_flags = ARG_U32(a, 1);
	struct fanotify *g;
	int err = check_init(t, flags, event_flags), fd;

	if (err)
		return err;
	g = fanotify_alloc();
	if (!g)
		return -ENOMEM;
	g->flags = flags & ~(INIT_CLOEXEC | INIT_NONBLOCK);
	g->event_flags = event_flags;
	g->unprivileged = !task_capable(t, LINUX_CAP_SYS_ADMIN);
	file_init(&g->file, &fanotify_ops, LINUX_O_RDWR | (flags & INIT_NONBLOCK ? LINUX_O_NONBLOCK : 0), t, NULL, NULL);
	if (flags & FAN_ENABLE_AUDIT_F && !task_capable(t, LINUX_CAP_AUDIT_WRITE)) {
		file_put(&g->file);
		return -EPERM;
	}
	fd = fd_install(t, &g->file, 0, flags & INIT_CLOEXEC);
	if (fd < 0)
		file_put(&g->file);
	return fd;
}

static int check_command(uint32_t flags, uint64_t mask)
{
	if (mask >> 32 || flags & ~MARK_ALL || (flags & MARK_TYPE) == MARK_TYPE)
		return -EINVAL;
	switch (flags & MARK_CMD) {
	case MARK_ADD:
	case MARK_REMOVE:
		if (!mask)
			return -EINVAL;
		break;
	case MARK_FLUSH:
		if (flags & ~(MARK_TYPE | MARK_FLUSH))
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	if (mask & ~(uint64_t)(FAN_EVENTS | FAN_FS_ERROR_F | FAN_PERM_EVENTS | EVENT_FLAGS))
		return -EINVAL;
	return (flags & MARK_IGNORE_BITS) == MARK_IGNORE_BITS ? -EINVAL : 0;
}

static int check_group(const struct fanotify *g, uint32_t flags, uint32_t mask)
{
	uint32_t fid = g->flags & FAN_FID_BITS;

	if (g->unprivileged && flags & MARK_TYPE)
		return -EPERM;
	if (mask & FAN_PERM_EVENTS && !(g->flags & FAN_CLASS_BITS))
		return -EINVAL;
	if (mask & FAN_FS_ERROR_F && !(flags & MARK_FILESYSTEM))
		return -EINVAL;
	if (flags & FAN_MARK_EVICTABLE_F && flags & MARK_TYPE)
		return -EINVAL;
	/* These are of no use without a handle, and a mount knows nothing of them. */
	if (mask & (FAN_INODE_EVENTS | FAN_FS_ERROR_F) && (!fid || flags & MARK_MOUNT))
		return -EINVAL;
	if (mask & FAN_RENAME_F && !(fid & FAN_REPORT_NAME_F))
		return -EINVAL;
	return 0;
}

static enum fan_kind kind_of(uint32_t flags)
{
	return flags & MARK_MOUNT ? FAN_MOUNT : flags & MARK_FILESYSTEM ? FAN_SB : FAN_INODE;
}

static void flush_marks(struct fanotify *g, enum fan_kind kind)
{
	struct inode *inode;
	struct fan_mark *m;

	do {
		bool found = false;

		inode = NULL;
		mutex_lock(&fan_mu);
		list_for_each(m, &g->marks, node)
			if (m->kind == kind) {
				found = true;
				break;
			}
		if (found)
			fan_mark_unlink_locked(m, &inode);
		fan_update_active_locked();
		mutex_unlock(&fan_mu);
		inode_put(inode);
		if (!found)
			return;
	} while (true);
}

static int find_path(struct task *t, int dfd, gaddr_t name, uint32_t flags, struct path *ret)
{
	int err;

	if (!name.v) {
		struct file *f _cleanup_file_ = fd_get(t, dfd);

		if (!f)
			return -EBADF;
		if (flags & MARK_ONLYDIR && !inode_is_dir(f->inode))
			return -ENOTDIR;
		if (!f->path.dentry) {
			err = anon_inode_path(f->inode, f->ops->name, ret);
			if (err)
				return err;
		} else {
			*ret = f->path;
			path_get(ret);
		}
	} else {
		err = namei_user(t, dfd, name, (flags & MARK_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & MARK_ONLYDIR ? LOOKUP_DIRECTORY : 0), ret);
		if (err)
			return err;
	}
	return inode_permission(ret->dentry->inode, t, vfs_cred(t), MAY_READ);
}

static int check_object(const struct fanotify *g, const struct path *p, uint32_t flags, uint32_t mask)
{
	bool isdir = inode_is_dir(p->dentry->inode);
	bool strict = g->flags & FAN_REPORT_TARGET_FID_F || mask & FAN_RENAME_F || flags & FAN_MARK_IGNORE_F;
	const struct fs_type *ft = p->dentry->sb->type;

	/* Opening there may wait for what the listener does. */
	if (mask & FAN_PERM_EVENTS && (!ft || !strcmp(ft->name, "proc")))
		return -EINVAL;
	if (flags & MARK_TYPE && !ft)
		return -EINVAL;
	if (strict && !(flags & MARK_TYPE) && !isdir && mask & (FAN_DIRENT_EVENTS | EVENT_FLAGS))
		return -ENOTDIR;
	if (g->flags & FAN_FID_BITS && !sb_has_handles(p->dentry->sb))
		return -EOPNOTSUPP;
	return 0;
}

/* fan_mu held; consumes the reference on @object in any case (by *@ret_put when it is not kept). */
static int add_locked(struct fanotify *g, enum fan_kind kind, void *object, uint32_t mask, uint32_t flags, struct inode **ret_put)
{
	struct fan_mark *m = htab_get(&g->by_object, (uint64_t)(uintptr_t)object);
	int err = 0;

	*ret_put = kind == FAN_INODE ? object : NULL;
	if (m && flags & FAN_MARK_EVICTABLE_F && !(m->flags & FAN_MARK_EVICTABLE_F))
		return -EEXIST;
	if (m && flags & MARK_IGNORE_BITS && m->ignored && !(m->flags & FAN_MARK_IGNORE_F) != !(flags & FAN_MARK_IGNORE_F))
		return -EEXIST;
	if (m && flags & FAN_MARK_IGNORE_F && m->flags & FAN_MARK_SURV_MODIFY_F && !(flags & FAN_MARK_SURV_MODIFY_F))
		return -EEXIST;
	if (!m) {
		if (g->by_object.live >= FAN_MAX_MARKS && !(g->flags & FAN_UNLIMITED_MARKS_F))
			return -ENOSPC;
		m = calloc(1, sizeof(*m));
		if (!m)
			return -ENOMEM;
		m->group = g;
		m->kind = kind;
		m->object = object;
		m->flags = flags & FAN_MARK_EVICTABLE_F;
		err = fan_mark_link_locked(m);
		if (err) {
			free(m);
			return err;
		}
		*ret_put = NULL;
	}
	if (flags & MARK_IGNORE_BITS)
		m->ignored |= mask;
	else
		m->mask |= mask;
	if (!(flags & FAN_MARK_EVICTABLE_F))
		m->flags &= ~FAN_MARK_EVICTABLE_F;
	m->flags |= flags & (FAN_MARK_SURV_MODIFY_F | FAN_MARK_IGNORE_F);
	fan_update_active_locked();
	return 0;
}

static int remove_locked(struct fanotify *g, void *object, uint32_t mask, uint32_t flags, uint32_t keep, struct inode **ret_put)
{
	struct fan_mark *m = htab_get(&g->by_object, (uint64_t)(uintptr_t)object);

	if (!m)
		return -ENOENT;
	if (flags & MARK_IGNORE_BITS)
		m->ignored &= ~mask;
	else
		m->mask &= ~mask;
	/* Flags that no user sees in this kind of mark do not keep it. */
	if (!((m->mask | m->ignored) & ~keep))
		fan_mark_unlink_locked(m, ret_put);
	fan_update_active_locked();
	return 0;
}

int64_t sys_fanotify_mark(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = NULL;
	struct path p _cleanup_path_ = { 0 };
	uint32_t flags = ARG_U32(a, 1), mask = (uint32_t)a->a[2], keep = 0;
	struct inode *inode, *put = NULL;
	enum fan_kind kind;
	struct fanotify *g;
	void *object;
	int err = check_command(flags, a->a[2]);

	if (err)
		return err;
	/* Old ignored masks know no event flags. */
	if ((flags & MARK_IGNORE_BITS) == MARK_IGNORED_MASK) {
		mask &= ~EVENT_FLAGS;
		keep = EVENT_FLAGS;
	}
	f = fd_get(t, ARG_INT(a, 0));
	if (!f)
		return -EBADF;
	if (f->ops != &fanotify_ops)
		return -EINVAL;
	g = fanotify_of(f);
	kind = kind_of(flags);
	err = check_group(g, flags, mask);
	if (err)
		return err;
	if (flags & MARK_FLUSH) {
		flush_marks(g, kind);
		return 0;
	}
	err = find_path(t, ARG_INT(a, 3), ARG_ADDR(a, 4), flags, &p);
	if (!err && flags & MARK_ADD)
		err = check_object(g, &p, flags, mask);
	if (err)
		return err;
	inode = p.dentry->inode;
	if (flags & MARK_ADD && flags & FAN_MARK_IGNORE_F && (kind != FAN_INODE || inode_is_dir(inode)) && !(flags & FAN_MARK_SURV_MODIFY_F))
		return kind != FAN_INODE ? -EINVAL : -EISDIR;
	if (kind != FAN_INODE || !inode_is_dir(inode)) {
		mask &= ~FAN_EVENT_ON_CHILD_F;
		keep |= FAN_EVENT_ON_CHILD_F;
	}
	object = kind == FAN_INODE ? (void *)inode : kind == FAN_MOUNT ? (void *)p.mnt : (void *)p.dentry->sb;
	if (kind == FAN_INODE && flags & MARK_ADD)
		(void)inode_get(inode);
	mutex_lock(&fan_mu);
	if (flags & MARK_ADD)
		err = add_locked(g, kind, object, mask, flags, &put);
	else
		err = remove_locked(g, object, mask, flags, keep, &put);
	mutex_unlock(&fan_mu);
	inode_put(put);
	return err;
}
