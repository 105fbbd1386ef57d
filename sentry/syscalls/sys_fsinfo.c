/* SPDX-License-Identifier: Apache-2.0 */
/* Old questions about file systems: ustat, sysfs, quotactl. Linux: fs/statfs.c, fs/filesystems.c, fs/quota/quota.c. */
#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/namei.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"

struct linux_ustat {
	int32_t f_tfree, pad;
	uint64_t f_tinode;
	char f_fname[6], f_fpack[6], pad2[4];
};

int64_t sys_ustat(struct task *t, const struct sys_args *a)
{
	uint64_t dev = dev_decode(ARG_U32(a, 0));
	struct super_block *sb = NULL;
	struct mount *m = NULL;
	struct linux_ustat u = { 0 };
	struct linux_statfs s = { 0 };
	int err = 0;

	while (!sb && (m = mnt_ns_next(t->ns->mnt, m)))
		if (m->sb->dev == dev)
			sb = sb_get(m->sb);
	if (sb && sb->ops->statfs)
		err = sb->ops->statfs(sb, t, m->root, &s);
	mount_put(m);
	if (!sb)
		return -EINVAL;
	sb_put(sb);
	if (err)
		return err;
	u.f_tfree = (int32_t)s.f_bfree;
	u.f_tinode = s.f_ffree;
	return copy_out(t, ARG_ADDR(a, 1), &u, sizeof(u));
}

int64_t sys_sysfs(struct task *t, const struct sys_args *a)
{
	const struct fs_type *ft = NULL;
	char *name _cleanup_free_ = NULL;
	int64_t n = 0;
	int err;

	switch (ARG_INT(a, 0)) {
	case 1: /* name to number */
		err = copy_in_string(t, ARG_ADDR(a, 1), LINUX_PATH_MAX - 1, &name);
		if (err)
			return err == -ENAMETOOLONG ? -EINVAL : err;
		for (; (ft = fs_type_next(ft)); n++)
			if (!strcmp(ft->name, name))
				return n;
		return -EINVAL;
	case 2: /* number to name */
		while ((ft = fs_type_next(ft)))
			if (n++ == (int64_t)ARG_U32(a, 1))
				return copy_out(t, ARG_ADDR(a, 2), ft->name, strlen(ft->name) + 1);
		return -EINVAL;
	case 3:
		while ((ft = fs_type_next(ft)))
			n++;
		return n;
	default:
		return -EINVAL;
	}
}

#define MAX_QUOTAS 3
#define Q_SYNC_CMD 0x800001u

/* There is no file system with quotas, and no block device with a file system. */
int64_t sys_quotactl(struct task *t, const struct sys_args *a)
{
	uint32_t cmd = ARG_U32(a, 0) >> 8, type = ARG_U32(a, 0) & 0xff;
	struct path p _cleanup_path_ = { 0 };
	int err;

	if (type >= MAX_QUOTAS)
		return -EINVAL;
	if (!ARG_ADDR(a, 1).v)
		return cmd == Q_SYNC_CMD ? 0 : -ENODEV;
	err = namei_user(t, LINUX_AT_FDCWD, ARG_ADDR(a, 1), LOOKUP_FOLLOW, &p);
	if (err)
		return err;
	if (!LINUX_S_ISBLK(p.dentry->inode->mode))
		return -ENOTBLK;
	return mount_nodev(p.mnt) ? -EACCES : -ENODEV;
}

int64_t sys_quotactl_fd(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = fd_get_raw(t, ARG_INT(a, 0));

	if (!f)
		return -EBADF;
	return (ARG_U32(a, 1) & 0xff) >= MAX_QUOTAS ? -EINVAL : -ENOSYS;
}
