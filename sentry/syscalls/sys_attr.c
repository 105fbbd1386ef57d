/* SPDX-License-Identifier: Apache-2.0 */
/* chmod, chown and utimes families. */
#include <stdlib.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/namei.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"

static int setattr_fd(struct task *t, int fd, struct iattr *a, bool raw)
{
	struct file *f _cleanup_file_ = raw ? fd_get_raw(t, fd) : fd_get(t, fd);

	if (!f)
		return -EBADF;
	a->file = f;
	return f->path.dentry ? vfs_setattr(t, &f->path, a) : vfs_setattr_inode(t, NULL, f->inode, a);
}

static int setattr_at(struct task *t, int dfd, gaddr_t name, uint32_t flags, struct iattr *a)
{
	struct path p _cleanup_path_ = { 0 };
	char *s _cleanup_free_ = NULL;
	int err;

	if (flags & ~(uint32_t)(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
		return -EINVAL;
	err = copy_in_path(t, name, &s);
	if (err)
		return err;
	if (!*s && flags & LINUX_AT_EMPTY_PATH && dfd != LINUX_AT_FDCWD)
		return setattr_fd(t, dfd, a, true);
	err = namei(t, dfd, s, (flags & LINUX_AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & LINUX_AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
	if (err)
		return err;
	if (a->valid & ATTR_MODE && LINUX_S_ISLNK(((struct inode *)p.dentry->inode)->mode))
		return -EOPNOTSUPP;
	return vfs_setattr(t, &p, a);
}

static struct iattr mode_attr(uint32_t mode)
{
	return (struct iattr){ .valid = ATTR_MODE, .mode = mode & LINUX_S_IALLUGO };
}

int64_t sys_chmod(struct task *t, const struct sys_args *a)
{
	struct iattr at = mode_attr(ARG_U32(a, 1));

	return setattr_at(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), 0, &at);
}

int64_t sys_fchmodat(struct task *t, const struct sys_args *a)
{
	struct iattr at = mode_attr(ARG_U32(a, 2));

	return setattr_at(t, ARG_INT(a, 0), ARG_ADDR(a, 1), 0, &at);
}

int64_t sys_fchmod(struct task *t, const struct sys_args *a)
{
	struct iattr at = mode_attr(ARG_U32(a, 1));

	return setattr_fd(t, ARG_INT(a, 0), &at, false);
}

/* An id without mapping becomes NO_ID, which vfs_setattr() refuses once the file is found. */
static struct iattr owner_attr(struct task *t, uint32_t uid, uint32_t gid)
{
	return (struct iattr){ .valid = (uid != NO_ID ? ATTR_UID : 0) | (gid != NO_ID ? ATTR_GID : 0),
			       .uid = task_id_in(t, ID_UID, uid),
			       .gid = task_id_in(t, ID_GID, gid) };
}

int64_t sys_chown(struct task *t, const struct sys_args *a)
{
	struct iattr at = owner_attr(t, ARG_U32(a, 1), ARG_U32(a, 2));

	return setattr_at(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), 0, &at);
}

int64_t sys_lchown(struct task *t, const struct sys_args *a)
{
	struct iattr at = owner_attr(t, ARG_U32(a, 1), ARG_U32(a, 2));

	return setattr_at(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), LINUX_AT_SYMLINK_NOFOLLOW, &at);
}

int64_t sys_fchownat(struct task *t, const struct sys_args *a)
{
	struct iattr at = owner_attr(t, ARG_U32(a, 2), ARG_U32(a, 3));

	return setattr_at(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_U32(a, 4), &at);
}

int64_t sys_fchown(struct task *t, const struct sys_args *a)
{
	struct iattr at = owner_attr(t, ARG_U32(a, 1), ARG_U32(a, 2));

	return setattr_fd(t, ARG_INT(a, 0), &at, false);
}

/* --- times --- */

#define UTIME_NOW_NS  ((1l << 30) - 1l)
#define UTIME_OMIT_NS ((1l << 30) - 2l)

static int64_t do_utimes(struct task *t, int dfd, gaddr_t name, const struct linux_timespec *ts, uint32_t flags)
{
	struct iattr at = { 0 };
	const uint32_t set[2] = { ATTR_ATIME, ATTR_MTIME }, now[2] = { ATTR_ATIME_NOW, ATTR_MTIME_NOW };

	for (int n = 0; n < 2; n++) {
		struct linux_timespec *dst = n ? &at.mtime : &at.atime;

		if (!ts || ts[n].tv_nsec == UTIME_NOW_NS) {
			at.valid |= set[n] | now[n];
		} else if (ts[n].tv_nsec != UTIME_OMIT_NS) {
			if (ts[n].tv_nsec < 0 || ts[n].tv_nsec >= NSEC_PER_SEC)
				return -EINVAL;
			at.valid |= set[n];
			*dst = ts[n];
		}
	}
	if (!at.valid)
		return 0;
	if (!name.v && dfd != LINUX_AT_FDCWD)
		return flags ? -EINVAL : setattr_fd(t, dfd, &at, false);
	return setattr_at(t, dfd, name, flags, &at);
}

int64_t sys_utimensat(struct task *t, const struct sys_args *a)
{
	struct linux_timespec ts[2];
	int err;

	if (!a->a[2])
		return do_utimes(t, ARG_INT(a, 0), ARG_ADDR(a, 1), NULL, ARG_U32(a, 3));
	err = copy_in(t, ts, ARG_ADDR(a, 2), sizeof(ts));
	return err ? err : do_utimes(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ts, ARG_U32(a, 3));
}

static int64_t do_futimesat(struct task *t, int dfd, gaddr_t name, gaddr_t times)
{
	struct linux_timeval tv[2];
	struct linux_timespec ts[2];
	int err;

	if (!times.v)
		return do_utimes(t, dfd, name, NULL, 0);
	err = copy_in(t, tv, times, sizeof(tv));
	if (err)
		return err;
	for (int n = 0; n < 2; n++) {
		if (tv[n].tv_usec < 0 || tv[n].tv_usec >= 1000000)
			return -EINVAL;
		ts[n] = (struct linux_timespec){ .tv_sec = tv[n].tv_sec, .tv_nsec = tv[n].tv_usec * 1000 };
	}
	return do_utimes(t, dfd, name, ts, 0);
}

int64_t sys_futimesat(struct task *t, const struct sys_args *a)
{
	return do_futimesat(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_ADDR(a, 2));
}

int64_t sys_utimes(struct task *t, const struct sys_args *a)
{
	return do_futimesat(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), ARG_ADDR(a, 1));
}

int64_t sys_utime(struct task *t, const struct sys_args *a)
{
	int64_t v[2];
	struct linux_timespec ts[2];
	int err;

	if (!a->a[1])
		return do_utimes(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), NULL, 0);
	err = copy_in(t, v, ARG_ADDR(a, 1), sizeof(v));
	if (err)
		return err;
	ts[0] = (struct linux_timespec){ .tv_sec = v[0] };
	ts[1] = (struct linux_timespec){ .tv_sec = v[1] };
	return do_utimes(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), ts, 0);
}
