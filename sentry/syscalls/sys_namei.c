/* SPDX-License-Identifier: Apache-2.0 */
/* Making, linking, renaming and removing names. */
#include <stdlib.h>

#include "sentry/fs/namei.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/syscalls/syscalls.h"

static int parent_user(struct task *t, int dfd, gaddr_t name, struct parent_path *ret)
{
	char *s _cleanup_free_ = NULL;
	int err = copy_in_path(t, name, &s);

	*ret = (struct parent_path){ 0 };
	return err ? err : namei_parent(t, dfd, s, 0, ret);
}

/* For making non-directories: a trailing slash names a directory that is not there. */
static int make_parent(struct task *t, int dfd, gaddr_t name, struct parent_path *ret)
{
	int err = parent_user(t, dfd, name, ret);

	if (err)
		return err;
	if (ret->type != LAST_NORM)
		return -EEXIST;
	if (ret->slash) {
		struct dentry *d = NULL;

		err = lookup_one(t, ret->dir.dentry, ret->name, ret->len, &d);
		if (!err)
			err = d->inode ? -EEXIST : -ENOENT;
		dentry_put(d);
	}
	return err;
}

static int64_t do_mkdir(struct task *t, int dfd, gaddr_t name, uint32_t mode)
{
	struct parent_path p _cleanup_parent_ = { 0 };
	int err = parent_user(t, dfd, name, &p);

	if (err)
		return err;
	return p.type == LAST_NORM ? vfs_mkdir(t, &p.dir, p.name, mode, NULL) : -EEXIST;
}

int64_t sys_mkdir(struct task *t, const struct sys_args *a)
{
	return do_mkdir(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), ARG_U32(a, 1));
}

int64_t sys_mkdirat(struct task *t, const struct sys_args *a)
{
	return do_mkdir(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_U32(a, 2));
}

static int64_t do_mknod(struct task *t, int dfd, gaddr_t name, uint32_t mode, uint64_t dev)
{
	struct parent_path p _cleanup_parent_ = { 0 };
	int err;

	switch (mode & LINUX_S_IFMT) {
	case 0:
	case LINUX_S_IFREG:
	case LINUX_S_IFCHR:
	case LINUX_S_IFBLK:
	case LINUX_S_IFIFO:
	case LINUX_S_IFSOCK:
		break;
	default:
		return LINUX_S_ISDIR(mode) ? -EPERM : -EINVAL;
	}
	mode = (mode & LINUX_S_IFMT) | (mode & LINUX_S_IALLUGO);
	err = make_parent(t, dfd, name, &p);
	if (err)
		return err;
	if (!LINUX_S_ISCHR(mode) && !LINUX_S_ISBLK(mode))
		dev = 0;
	return vfs_mknod(t, &p.dir, p.name, mode, dev_decode((uint32_t)dev), NULL);
}

int64_t sys_mknod(struct task *t, const struct sys_args *a)
{
	return do_mknod(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), ARG_U32(a, 1), a->a[2]);
}

int64_t sys_mknodat(struct task *t, const struct sys_args *a)
{
	return do_mknod(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_U32(a, 2), a->a[3]);
}

static int64_t do_symlink(struct task *t, gaddr_t target, int dfd, gaddr_t name)
{
	struct parent_path p _cleanup_parent_ = { 0 };
	char *s _cleanup_free_ = NULL;
	int err = copy_in_path(t, target, &s);

	if (!err && !*s)
		err = -ENOENT;
	if (!err)
		err = make_parent(t, dfd, name, &p);
	return err ? err : vfs_symlink(t, &p.dir, p.name, s);
}

int64_t sys_symlink(struct task *t, const struct sys_args *a)
{
	return do_symlink(t, ARG_ADDR(a, 0), LINUX_AT_FDCWD, ARG_ADDR(a, 1));
}

int64_t sys_symlinkat(struct task *t, const struct sys_args *a)
{
	return do_symlink(t, ARG_ADDR(a, 0), ARG_INT(a, 1), ARG_ADDR(a, 2));
}

/* fs.protected_hardlinks: one's own files, or plain ones that may be read and written. */
static bool may_link(struct task *t, struct inode *i)
{
	if (inode_owner_or_capable(i, t->cred) || !proc_sysctl_get("fs/protected_hardlinks", 0))
		return true;
	return LINUX_S_ISREG(i->mode) && !(i->mode & LINUX_S_ISUID) &&
	       (i->mode & (LINUX_S_ISGID | LINUX_S_IXGRP)) != (LINUX_S_ISGID | LINUX_S_IXGRP) &&
	       inode_permission(i, t, t->cred, MAY_READ | MAY_WRITE) == 0;
}

static int64_t do_link(struct task *t, int odfd, gaddr_t old, int ndfd, gaddr_t new, uint32_t flags)
{
	struct parent_path p _cleanup_parent_ = { 0 };
	struct path o _cleanup_path_ = { 0 };
	char *s _cleanup_free_ = NULL;
	int err;

	if (flags & ~(uint32_t)(LINUX_AT_SYMLINK_FOLLOW | LINUX_AT_EMPTY_PATH))
		return -EINVAL;
	err = copy_in_path(t, old, &s);
	if (err)
		return err;
	if (flags & LINUX_AT_EMPTY_PATH && !*s && !task_capable(t, LINUX_CAP_DAC_READ_SEARCH))
		return -ENOENT;
	err = namei(t, odfd, s, (flags & LINUX_AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (flags & LINUX_AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &o);
	if (!err)
		err = make_parent(t, ndfd, new, &p);
	if (!err && o.mnt != p.dir.mnt)
		return -EXDEV;
	if (!err && !may_link(t, o.dentry->inode))
		return -EPERM;
	return err ? err : vfs_link(t, &o, &p.dir, p.name);
}

int64_t sys_link(struct task *t, const struct sys_args *a)
{
	return do_link(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), LINUX_AT_FDCWD, ARG_ADDR(a, 1), 0);
}

int64_t sys_linkat(struct task *t, const struct sys_args *a)
{
	return do_link(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_INT(a, 2), ARG_ADDR(a, 3), ARG_U32(a, 4));
}

static int64_t do_unlink(struct task *t, int dfd, gaddr_t name, bool dir)
{
	struct parent_path p _cleanup_parent_ = { 0 };
	int err = parent_user(t, dfd, name, &p);

	if (err)
		return err;
	if (p.type != LAST_NORM) {
		if (!dir)
			return -EISDIR;
		return p.type == LAST_DOTDOT ? -ENOTEMPTY : p.type == LAST_DOT ? -EINVAL : -EBUSY;
	}
	return dir ? vfs_rmdir(t, &p.dir, p.name) : vfs_unlink(t, &p.dir, p.name, p.slash);
}

int64_t sys_unlink(struct task *t, const struct sys_args *a)
{
	return do_unlink(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), false);
}

int64_t sys_rmdir(struct task *t, const struct sys_args *a)
{
	return do_unlink(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), true);
}

int64_t sys_unlinkat(struct task *t, const struct sys_args *a)
{
	if (ARG_U32(a, 2) & ~(uint32_t)LINUX_AT_REMOVEDIR)
		return -EINVAL;
	return do_unlink(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_U32(a, 2) & LINUX_AT_REMOVEDIR);
}

static int64_t do_rename(struct task *t, int odfd, gaddr_t old, int ndfd, gaddr_t new, uint32_t flags)
{
	struct parent_path o _cleanup_parent_ = { 0 }, n _cleanup_parent_ = { 0 };
	int err;

	if (flags & ~(LINUX_RENAME_NOREPLACE | LINUX_RENAME_EXCHANGE | LINUX_RENAME_WHITEOUT))
		return -EINVAL;
	if (flags & LINUX_RENAME_EXCHANGE && flags & (LINUX_RENAME_NOREPLACE | LINUX_RENAME_WHITEOUT))
		return -EINVAL;
	err = parent_user(t, odfd, old, &o);
	if (!err)
		err = parent_user(t, ndfd, new, &n);
	if (err)
		return err;
	if (o.dir.mnt != n.dir.mnt)
		return -EXDEV;
	if (o.type != LAST_NORM)
		return -EBUSY;
	if (n.type != LAST_NORM)
		return flags & LINUX_RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	return vfs_rename_slash(t, &o.dir, o.name, &n.dir, n.name, flags, o.slash, n.slash);
}

int64_t sys_rename(struct task *t, const struct sys_args *a)
{
	return do_rename(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), LINUX_AT_FDCWD, ARG_ADDR(a, 1), 0);
}

int64_t sys_renameat(struct task *t, const struct sys_args *a)
{
	return do_rename(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_INT(a, 2), ARG_ADDR(a, 3), 0);
}

int64_t sys_renameat2(struct task *t, const struct sys_args *a)
{
	return do_rename(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_INT(a, 2), ARG_ADDR(a, 3), ARG_U32(a, 4));
}
