/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at files: stat family, access, readlink, statfs. */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/handle.h"
#include "sentry/fs/namei.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"

static int64_t put_stat(struct task *t, const struct kstat *k, gaddr_t dst)
{
	struct linux_stat s = {
		.st_dev = dev_encode(k->dev),
		.st_ino = k->ino,
		.st_nlink = k->nlink,
		.st_mode = k->mode,
		.st_uid = task_id_show(t, ID_UID, k->uid),
		.st_gid = task_id_show(t, ID_GID, k->gid),
		.st_rdev = dev_encode(k->rdev),
		.st_size = (int64_t)k->size,
		.st_blksize = k->blksize,
		.st_blocks = (int64_t)k->blocks,
		.st_atim = k->atime,
		.st_mtim = k->mtime,
		.st_ctim = k->ctime,
	};

	return copy_out(t, dst, &s, sizeof(s));
}

/* @ret_mnt: the mount's id, and whether the file is its root. */
static int stat_at(struct task *t, int dfd, gaddr_t name, uint32_t flags, struct kstat *ret, uint32_t *ret_mnt, bool *ret_root)
{
	struct path p _cleanup_path_ = { 0 };
	char *s _cleanup_free_ = NULL;
	int err;

	if (flags & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_NO_AUTOMOUNT | LINUX_AT_EMPTY_PATH | LINUX_AT_STATX_SYNC_TYPE))
		return -EINVAL;
	/* A NULL name counts as empty since Linux 6.11. */
	if (!(flags & LINUX_AT_EMPTY_PATH && !name.v)) {
		err = copy_in_path(t, name, &s);
		if (err)
			return err;
	}
	if ((!s || !*s) && flags & LINUX_AT_EMPTY_PATH && dfd != LINUX_AT_FDCWD) {
		struct file *f _cleanup_file_ = fd_get_raw(t, dfd);

		if (!f)
			return -EBADF;
		*ret_mnt = f->path.mnt ? f->path.mnt->id : 0;
		*ret_root = f->path.mnt && f->path.dentry == f->path.mnt->root;
		return inode_getattr(f->inode, t, ret);
	}
	err = namei(t, dfd, s ? s : "", (flags & LINUX_AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & LINUX_AT_EMPTY_PATH ? LOOKUP_EMPTY : 0),
		    &p);
	if (err)
		return err;
	*ret_mnt = p.mnt->id;
	*ret_root = p.dentry == p.mnt->root;
	return inode_getattr(p.dentry->inode, t, ret);
}

static int64_t do_stat(struct task *t, int dfd, gaddr_t name, uint32_t flags, gaddr_t dst)
{
	struct kstat k;
	uint32_t mnt;
	bool root;
	int err = stat_at(t, dfd, name, flags, &k, &mnt, &root);

	return err ? err : put_stat(t, &k, dst);
}

int64_t sys_stat(struct task *t, const struct sys_args *a)
{
	return do_stat(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), 0, ARG_ADDR(a, 1));
}

int64_t sys_lstat(struct task *t, const struct sys_args *a)
{
	return do_stat(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), LINUX_AT_SYMLINK_NOFOLLOW, ARG_ADDR(a, 1));
}

int64_t sys_newfstatat(struct task *t, const struct sys_args *a)
{
	return do_stat(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_U32(a, 3), ARG_ADDR(a, 2));
}

int64_t sys_fstat(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = fd_get_raw(t, ARG_INT(a, 0));
	struct kstat k;
	int err;

	if (!f)
		return -EBADF;
	err = inode_getattr(f->inode, t, &k);
	return err ? err : put_stat(t, &k, ARG_ADDR(a, 1));
}

static struct linux_statx_timestamp stx_time(const struct linux_timespec *ts)
{
	return (struct linux_statx_timestamp){ .tv_sec = ts->tv_sec, .tv_nsec = (uint32_t)ts->tv_nsec };
}

int64_t sys_statx(struct task *t, const struct sys_args *a)
{
	uint32_t flags = ARG_U32(a, 2), mask = ARG_U32(a, 3), mnt = 0;
	struct linux_statx x = { 0 };
	struct kstat k;
	bool root = false;
	int err;

	if (mask & LINUX_STATX__RESERVED || (flags & LINUX_AT_STATX_SYNC_TYPE) == LINUX_AT_STATX_SYNC_TYPE)
		return -EINVAL;
	err = stat_at(t, ARG_INT(a, 0), ARG_ADDR(a, 1), flags, &k, &mnt, &root);
	if (err)
		return err;
	x.stx_mask = LINUX_STATX_BASIC_STATS | LINUX_STATX_MNT_ID | (k.has_btime ? LINUX_STATX_BTIME : 0);
	x.stx_blksize = k.blksize;
	x.stx_nlink = (uint32_t)k.nlink;
	x.stx_uid = task_id_show(t, ID_UID, k.uid);
	x.stx_gid = task_id_show(t, ID_GID, k.gid);
	x.stx_mode = (uint16_t)k.mode;
	x.stx_ino = k.ino;
	x.stx_size = k.size;
	x.stx_blocks = k.blocks;
	x.stx_attributes_mask = LINUX_STATX_ATTR_MOUNT_ROOT | k.attributes_mask;
	x.stx_attributes = (root ? LINUX_STATX_ATTR_MOUNT_ROOT : 0) | k.attributes;
	x.stx_atime = stx_time(&k.atime);
	x.stx_mtime = stx_time(&k.mtime);
	x.stx_ctime = stx_time(&k.ctime);
	if (k.has_btime)
		x.stx_btime = stx_time(&k.btime);
	x.stx_rdev_major = dev_major(k.rdev);
	x.stx_rdev_minor = dev_minor(k.rdev);
	x.stx_dev_major = dev_major(k.dev);
	x.stx_dev_minor = dev_minor(k.dev);
	x.stx_mnt_id = mnt;
	return copy_out(t, ARG_ADDR(a, 4), &x, sizeof(x));
}

/* --- access --- */

static int check_access(struct task *t, const struct cred *c, const struct path *p, uint32_t mode)
{
	struct inode *i = p->dentry->inode;
	int err;

	if (mode & LINUX_X_OK && LINUX_S_ISREG(i->mode) && mount_noexec(p->mnt))
		return -EACCES;
	err = inode_permission(i, t, c, (int)mode); /* R_OK, W_OK, X_OK are MAY_READ, MAY_WRITE, MAY_EXEC */
	if (!err && mode & LINUX_W_OK && (LINUX_S_ISREG(i->mode) || LINUX_S_ISDIR(i->mode) || LINUX_S_ISLNK(i->mode)))
		err = mount_want_write(p->mnt);
	return err;
}

static int64_t do_access(struct task *t, int dfd, gaddr_t name, uint32_t mode, uint32_t flags)
{
	struct cred *c _cleanup_cred_ = NULL;
	struct path p _cleanup_path_ = { 0 };
	char *s _cleanup_free_ = NULL;
	int err;

	if (mode & ~7u || flags & ~(uint32_t)(LINUX_AT_EACCESS | LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
		return -EINVAL;
	err = copy_in_path(t, name, &s);
	if (err)
		return err;
	/* With the real ids, and the capabilities those would have. */
	c = cred_dup(t->cred);
	if (!c)
		return -ENOMEM;
	if (!(flags & LINUX_AT_EACCESS)) {
		c->fsuid = c->uid;
		c->fsgid = c->gid;
		if (!(c->securebits & 4)) /* SECBIT_NO_SETUID_FIXUP */
			c->cap_eff = user_ns_out(c->user_ns, ID_UID, c->uid) ? 0 : c->cap_perm;
	}
	err = namei_cred(t, c, dfd, s, (flags & LINUX_AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & LINUX_AT_EMPTY_PATH ? LOOKUP_EMPTY : 0),
			 &p);
	return err ? err : check_access(t, c, &p, mode);
}

int64_t sys_access(struct task *t, const struct sys_args *a)
{
	return do_access(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), ARG_U32(a, 1), 0);
}

int64_t sys_faccessat(struct task *t, const struct sys_args *a)
{
	return do_access(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_U32(a, 2), 0);
}

int64_t sys_faccessat2(struct task *t, const struct sys_args *a)
{
	return do_access(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_U32(a, 2), ARG_U32(a, 3));
}

/* --- readlink --- */

static int64_t do_readlink(struct task *t, int dfd, gaddr_t name, gaddr_t buf, int size)
{
	struct path p _cleanup_path_ = { 0 };
	char *text _cleanup_free_ = NULL, *s _cleanup_free_ = NULL;
	struct inode *i;
	size_t n;
	int err;

	if (size <= 0)
		return -EINVAL;
	err = copy_in_path(t, name, &s);
	if (!err)
		err = namei(t, dfd, s, *s ? 0 : LOOKUP_EMPTY, &p);
	if (err)
		return err;
	i = p.dentry->inode;
	if (!LINUX_S_ISLNK(i->mode) || !i->ops->readlink)
		return *s ? -EINVAL : -ENOENT;
	err = i->ops->readlink(i, t, &text);
	if (err)
		return err;
	inode_accessed(i, p.mnt, 0);
	n = MIN(strlen(text), (size_t)size);
	err = copy_out(t, buf, text, n);
	return err ? err : (int64_t)n;
}

int64_t sys_readlink(struct task *t, const struct sys_args *a)
{
	return do_readlink(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), ARG_ADDR(a, 1), ARG_INT(a, 2));
}

int64_t sys_readlinkat(struct task *t, const struct sys_args *a)
{
	return do_readlink(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_ADDR(a, 2), ARG_INT(a, 3));
}

/* --- statfs --- */

static int64_t put_statfs(struct task *t, struct super_block *sb, struct mount *m, struct dentry *d, gaddr_t dst)
{
	struct linux_statfs s = { .f_type = (int64_t)sb->magic, .f_bsize = PAGE_SIZE, .f_namelen = LINUX_NAME_MAX };
	int err = sb->ops->statfs ? sb->ops->statfs(sb, t, d, &s) : 0;

	if (err)
		return err;
	if (!s.f_frsize)
		s.f_frsize = s.f_bsize;
	sb_fsid(sb, s.f_fsid);
	s.f_flags = LINUX_ST_VALID;
	if (m) {
		s.f_flags |= m->flags & (LINUX_MS_RDONLY | LINUX_MS_NOSUID | LINUX_MS_NODEV | LINUX_MS_NOEXEC | LINUX_MS_NOATIME |
					 LINUX_MS_NODIRATIME);
		if (m->flags & LINUX_MS_RELATIME)
			s.f_flags |= 0x1000;
		if (sb_rdonly(sb))
			s.f_flags |= LINUX_MS_RDONLY;
	}
	return copy_out(t, dst, &s, sizeof(s));
}

int64_t sys_statfs(struct task *t, const struct sys_args *a)
{
	struct path p _cleanup_path_ = { 0 };
	int err = namei_user(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), LOOKUP_FOLLOW, &p);

	return err ? err : put_statfs(t, p.dentry->sb, p.mnt, p.dentry, ARG_ADDR(a, 1));
}

int64_t sys_fstatfs(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = fd_get_raw(t, ARG_INT(a, 0));

	if (!f)
		return -EBADF;
	return put_statfs(t, f->inode->sb, f->path.mnt, f->path.dentry, ARG_ADDR(a, 1));
}
