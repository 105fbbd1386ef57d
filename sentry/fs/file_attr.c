/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FS_IOC_{GET,SET}FLAGS, FS_IOC_FS{GET,SET}XATTR on file systems with SB_ACL; what the others and extents, freezing and cloning answer.
 * Linux: fs/ioctl.c, mm/shmem.c shmem_fileattr_set(), fs/remap_range.c.
 *
 * Checkpoint: stateless; the flags are the inode's.
 */
#include "sentry/fs/file_attr.h"

#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/notify.h"
#include "sentry/kernel/task.h"

#define FIBMAP_C	0x1u
#define FS_GETFLAGS	0x80086601u
#define FS_SETFLAGS	0x40086602u
#define FS_FSGETXATTR	0x801c581fu
#define FS_FSSETXATTR	0x401c5820u
#define FS_FIEMAP	0xc020660bu
#define FI_FREEZE	0xc0045877u
#define FI_THAW		0xc0045878u
#define FI_CLONE	0x40049409u
#define FI_CLONERANGE	0x4020940du
#define FI_DEDUPERANGE	0xc0189436u

#define CHANGEABLE (LINUX_FS_IMMUTABLE_FL | LINUX_FS_APPEND_FL | LINUX_FS_NODUMP_FL | LINUX_FS_NOATIME_FL)

struct fsxattr {
	uint32_t xflags, extsize, nextents, projid, cowextsize;
	uint8_t pad[8];
};

/* FS_XFLAG_* of the same flags. */
static const uint32_t xflags[][2] = {
	{ LINUX_FS_IMMUTABLE_FL, 0x8 }, { LINUX_FS_APPEND_FL, 0x10 }, { LINUX_FS_NOATIME_FL, 0x40 }, { LINUX_FS_NODUMP_FL, 0x80 },
};

static uint32_t convert(uint32_t flags, int from)
{
	uint32_t r = 0;

	for (size_t n = 0; n < ARRAY_SIZE(xflags); n++)
		if (flags & xflags[n][from])
			r |= xflags[n][!from];
	return r;
}

static int set_flags(struct file *f, struct task *t, uint32_t flags)
{
	struct inode *i = f->inode;
	const struct cred *c = vfs_cred(t);
	int err = mount_want_write(f->path.mnt);

	if (err)
		return err;
	if (!inode_owner_or_capable(i, c))
		return -EPERM;
	mutex_lock(&i->mu);
	if ((flags ^ i->fsflags) & (LINUX_FS_IMMUTABLE_FL | LINUX_FS_APPEND_FL) && !cred_has_cap(c, LINUX_CAP_LINUX_IMMUTABLE))
		err = -EPERM;
	else if (flags & ~CHANGEABLE)
		err = -EOPNOTSUPP;
	if (!err) {
		i->fsflags = flags;
		err = inode_changed(i, t);
	}
	mutex_unlock(&i->mu);
	if (!err && f->path.dentry)
		fsnotify_path(&f->path, LINUX_IN_ATTRIB);
	return err;
}

static int64_t flags_ioctl(struct file *f, struct task *t, uint32_t cmd, gaddr_t arg)
{
	struct fsxattr x = { 0 };
	uint32_t flags = 0;
	int err;

	if (!(f->inode->sb->flags & SB_ACL))
		return -ENOTTY;
	switch (cmd) {
	case FS_GETFLAGS:
		flags = f->inode->fsflags;
		return copy_out(t, arg, &flags, sizeof(flags));
	case FS_SETFLAGS:
		err = copy_in(t, &flags, arg, sizeof(flags));
		return err ? err : set_flags(f, t, flags);
	case FS_FSGETXATTR:
		x.xflags = convert(f->inode->fsflags, 0);
		return copy_out(t, arg, &x, sizeof(x));
	default:
		err = copy_in(t, &x, arg, sizeof(x));
		if (err)
			return err;
		flags = convert(x.xflags, 1);
		if (convert(flags, 0) != x.xflags || x.extsize || x.projid || x.cowextsize)
			return -EOPNOTSUPP;
		return set_flags(f, t, flags);
	}
}

/* What is decided before a file system is asked, which then has no remapping. */
static int check_clone(struct task *t, struct file *dst, int src_fd)
{
	struct file *src _cleanup_file_ = fd_get(t, src_fd);

	if (!src)
		return -EBADF;
	if (src->inode->sb != dst->inode->sb)
		return -EXDEV;
	if (inode_is_dir(src->inode) || inode_is_dir(dst->inode))
		return -EISDIR;
	if (!LINUX_S_ISREG(src->inode->mode) || !LINUX_S_ISREG(dst->inode->mode))
		return -EINVAL;
	if (!src->readable || !dst->writable || dst->flags & LINUX_O_APPEND)
		return -EBADF;
	return -EOPNOTSUPP;
}

int64_t file_attr_ioctl(struct file *f, struct task *t, uint32_t cmd, gaddr_t arg)
{
	struct {
		int64_t fd;
		uint64_t off, len, dst;
	} range;
	int err;

	switch (cmd) {
	case FS_GETFLAGS:
	case FS_SETFLAGS:
	case FS_FSGETXATTR:
	case FS_FSSETXATTR:
		return flags_ioctl(f, t, cmd, arg);
	case FIBMAP_C:
		if (!LINUX_S_ISREG(f->inode->mode))
			return -ENOTTY;
		return task_capable(t, LINUX_CAP_SYS_RAWIO) ? -EINVAL : -EPERM;
	case FS_FIEMAP:
		return -EOPNOTSUPP;
	case FI_FREEZE:
	case FI_THAW:
		return !task_capable(t, LINUX_CAP_SYS_ADMIN) ? -EPERM : cmd == FI_FREEZE ? -EOPNOTSUPP : -EINVAL;
	case FI_CLONE:
		return check_clone(t, f, (int)arg.v);
	case FI_CLONERANGE:
		err = copy_in(t, &range, arg, sizeof(range));
		return err ? err : check_clone(t, f, (int)range.fd);
	case FI_DEDUPERANGE:
		return -EOPNOTSUPP;
	default:
		return -ENOTTY;
	}
}
