/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on one open file that move no data: sync, allocate, truncate, advise, ioctl. */
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/file_attr.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/notify.h"
#include "sentry/syscalls/syscalls.h"

static int64_t do_fsync(struct task *t, int fd, bool datasync)
{
	struct file *f _cleanup_file_ = fd_get(t, fd);

	if (!f)
		return -EBADF;
	return f->ops->fsync ? f->ops->fsync(f, t, datasync) : -EINVAL;
}

int64_t sys_fsync(struct task *t, const struct sys_args *a)
{
	return do_fsync(t, ARG_INT(a, 0), false);
}

int64_t sys_fdatasync(struct task *t, const struct sys_args *a)
{
	return do_fsync(t, ARG_INT(a, 0), true);
}

int64_t sys_sync_file_range(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = fd_get(t, ARG_INT(a, 0));
	int64_t off = (int64_t)a->a[1], n = (int64_t)a->a[2], end;

	if (!f)
		return -EBADF;
	if (ARG_U32(a, 3) & ~7u || off < 0 || n < 0 || add_overflow(off, n, &end))
		return -EINVAL;
	if (!LINUX_S_ISREG(f->inode->mode) && !LINUX_S_ISBLK(f->inode->mode) && !inode_is_dir(f->inode) && !LINUX_S_ISLNK(f->inode->mode))
		return -ESPIPE;
	return f->ops->fsync && ARG_U32(a, 3) ? f->ops->fsync(f, t, true) : 0;
}

int64_t sys_syncfs(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = fd_get(t, ARG_INT(a, 0));
	struct super_block *sb;

	if (!f)
		return -EBADF;
	sb = f->inode->sb;
	return sb->ops->sync ? sb->ops->sync(sb, t) : 0;
}

int64_t sys_sync(struct task *t, const struct sys_args *a)
{
	struct mount *m = NULL;

	while (t->ns && (m = mnt_ns_next(t->ns->mnt, m)))
		if (m->sb->ops->sync)
			(void)m->sb->ops->sync(m->sb, t);
	return 0;
}

int64_t sys_fallocate(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = fd_get(t, ARG_INT(a, 0));
	int64_t off = (int64_t)a->a[2], len = (int64_t)a->a[3], end;
	int mode = ARG_INT(a, 1), err;

	if (!f)
		return -EBADF;
	if (off < 0 || len <= 0)
		return -EINVAL;
	if (mode & ~(LINUX_FALLOC_FL_KEEP_SIZE | LINUX_FALLOC_FL_PUNCH_HOLE | LINUX_FALLOC_FL_COLLAPSE_RANGE | LINUX_FALLOC_FL_ZERO_RANGE |
		     LINUX_FALLOC_FL_INSERT_RANGE | LINUX_FALLOC_FL_UNSHARE_RANGE))
		return -EOPNOTSUPP;
	if (mode & LINUX_FALLOC_FL_PUNCH_HOLE && !(mode & LINUX_FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!f->writable)
		return -EBADF;
	if (LINUX_S_ISFIFO(f->inode->mode))
		return -ESPIPE;
	if (inode_is_dir(f->inode))
		return -EISDIR;
	if (!LINUX_S_ISREG(f->inode->mode) && !LINUX_S_ISBLK(f->inode->mode))
		return -ENODEV;
	if (add_overflow(off, len, &end) || (uint64_t)end > f->inode->sb->max_bytes)
		return -EFBIG;
	if (!f->ops->fallocate)
		return -EOPNOTSUPP;
	err = f->ops->fallocate(f, t, mode, off, len);
	if (!err)
		fsnotify_file(f, LINUX_IN_MODIFY);
	return err;
}

int64_t sys_truncate(struct task *t, const struct sys_args *a)
{
	struct path p _cleanup_path_ = { 0 };
	int err;

	if ((int64_t)a->a[1] < 0)
		return -EINVAL;
	err = namei_user(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), LOOKUP_FOLLOW, &p);
	return err ? err : vfs_truncate(t, &p, a->a[1], NULL);
}

int64_t sys_ftruncate(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = fd_get(t, ARG_INT(a, 0));

	if ((int64_t)a->a[1] < 0)
		return -EINVAL;
	if (!f)
		return -EBADF;
	if (!LINUX_S_ISREG(f->inode->mode) || !f->writable || !f->path.dentry)
		return -EINVAL;
	return vfs_truncate(t, &f->path, a->a[1], f);
}

int64_t sys_fadvise64(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = fd_get(t, ARG_INT(a, 0));

	if (!f)
		return -EBADF;
	if (LINUX_S_ISFIFO(f->inode->mode))
		return -ESPIPE;
	return (int64_t)a->a[2] < 0 || ARG_U32(a, 3) > 5 ? -EINVAL : 0;
}

int64_t sys_readahead(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = fd_get(t, ARG_INT(a, 0));

	if (!f || !f->readable)
		return -EBADF;
	return LINUX_S_ISREG(f->inode->mode) || LINUX_S_ISBLK(f->inode->mode) ? 0 : -EINVAL;
}

/* --- ioctl --- */

static int64_t set_flag(struct task *t, struct file *f, int fd, gaddr_t arg, uint32_t flag)
{
	uint32_t old, new;
	int32_t on;
	int err = copy_in(t, &on, arg, sizeof(on));

	if (err)
		return err;
	old = f->flags;
	new = on ? old | flag : old & ~flag;
	if (new == old)
		return 0;
	if (flag == LINUX_O_ASYNC) {
		if (on && !f->ops->pollq)
			return -ENOTTY;
		err = file_set_async(f, on);
		if (err)
			return err;
		mutex_lock(&f->f_lock);
		f->owner.fd = fd;
		mutex_unlock(&f->f_lock);
	}
	if (f->ops->setfl) {
		err = f->ops->setfl(f, t, new);
		if (err)
			return err;
	}
	if (on)
		atomic_fetch_or(&f->flags, flag);
	else
		atomic_fetch_and(&f->flags, ~flag);
	return 0;
}

static int64_t copy_out_int(struct task *t, gaddr_t dst, int32_t v)
{
	return copy_out(t, dst, &v, sizeof(v));
}

static int64_t regular_ioctl(struct task *t, struct file *f, uint32_t cmd, gaddr_t arg)
{
	struct kstat st;
	int64_t left;
	int err;

	left = file_attr_ioctl(f, t, cmd, arg);
	if (left != -ENOTTY)
		return left;
	if (cmd != LINUX_FIONREAD && cmd != LINUX_FIOQSIZE)
		return -ENOTTY;
	err = inode_getattr(f->inode, t, &st);
	if (err)
		return err;
	if (cmd == LINUX_FIOQSIZE) {
		left = (int64_t)st.size;
		return copy_out(t, arg, &left, sizeof(left));
	}
	left = (int64_t)st.size - f->pos;
	return copy_out_int(t, arg, (int32_t)MIN(left, (int64_t)INT32_MAX));
}

int64_t sys_ioctl(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = fd_get(t, ARG_INT(a, 0));
	uint32_t cmd = ARG_U32(a, 1), type;
	int64_t r = -ENOTTY;

	if (!f)
		return -EBADF;
	switch (cmd) {
	case LINUX_FIOCLEX:
		return fd_set_cloexec(t, ARG_INT(a, 0), true);
	case LINUX_FIONCLEX:
		return fd_set_cloexec(t, ARG_INT(a, 0), false);
	case LINUX_FIONBIO:
		return set_flag(t, f, ARG_INT(a, 0), ARG_ADDR(a, 2), LINUX_O_NONBLOCK);
	case LINUX_FIOASYNC:
		return set_flag(t, f, ARG_INT(a, 0), ARG_ADDR(a, 2), LINUX_O_ASYNC);
	case LINUX_FIGETBSZ: {
		struct kstat st;
		int err = inode_getattr(f->inode, t, &st);

		return err ? err : copy_out_int(t, ARG_ADDR(a, 2), (int32_t)st.blksize);
	}
	default:
		break;
	}
	if (f->ops->ioctl)
		r = f->ops->ioctl(f, t, cmd, a->a[2]);
	type = f->inode->mode & LINUX_S_IFMT;
	if (r == -ENOTTY && (type == LINUX_S_IFREG || (type == LINUX_S_IFDIR && cmd != LINUX_FIONREAD)))
		r = regular_ioctl(t, f, cmd, ARG_ADDR(a, 2));
	return r;
}
