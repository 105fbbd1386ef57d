/* SPDX-License-Identifier: Apache-2.0 */
/* name_to_handle_at, open_by_handle_at. Linux: fs/fhandle.c. */
#include "sentry/fs/fd_table.h"
#include "sentry/fs/handle.h"
#include "sentry/fs/namei.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"

#define MAX_HANDLE_SZ	    128
#define AT_SYMLINK_FOLLOW_F 0x400u

struct handle_head {
	uint32_t bytes;
	int32_t type;
};

int64_t sys_name_to_handle_at(struct task *t, const struct sys_args *a)
{
	struct path p _cleanup_path_ = { 0 };
	gaddr_t dst = ARG_ADDR(a, 2);
	uint32_t flags = ARG_U32(a, 4);
	struct handle_data data;
	struct handle_head h;
	int32_t mnt_id;
	int err;
	bool fits;

	if (flags & ~(AT_SYMLINK_FOLLOW_F | (uint32_t)LINUX_AT_EMPTY_PATH))
		return -EINVAL;
	err = namei_user(t, ARG_INT(a, 0), ARG_ADDR(a, 1),
			 (flags & AT_SYMLINK_FOLLOW_F ? LOOKUP_FOLLOW : 0) | (flags & LINUX_AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
	if (err)
		return err;
	if (!sb_has_handles(p.dentry->sb))
		return -EOPNOTSUPP;
	err = copy_in(t, &h, dst, sizeof(h));
	if (err)
		return err;
	if (h.bytes > MAX_HANDLE_SZ)
		return -EINVAL;
	fits = h.bytes >= HANDLE_BYTES;
	h = (struct handle_head){ .bytes = HANDLE_BYTES, .type = fits ? HANDLE_TYPE : 255 };
	mnt_id = (int32_t)p.mnt->id;
	handle_of(p.dentry->inode, &data);
	err = copy_out(t, ARG_ADDR(a, 3), &mnt_id, sizeof(mnt_id));
	if (!err)
		err = copy_out(t, dst, &h, sizeof(h));
	if (!err && fits)
		err = copy_out(t, GADDR(dst.v + sizeof(h)), &data, sizeof(data));
	if (err)
		return err;
	if (!fits)
		return -EOVERFLOW;
	handle_remember(p.dentry);
	handle_collect();
	return 0;
}

int64_t sys_open_by_handle_at(struct task *t, const struct sys_args *a)
{
	struct path p _cleanup_path_ = { 0 };
	uint32_t flags = ARG_U32(a, 2);
	int fd, dfd = ARG_INT(a, 0), err;
	struct handle_data data;
	struct handle_head h;
	struct file *f = NULL;
	struct dentry *d;

	if (!task_capable(t, LINUX_CAP_DAC_READ_SEARCH))
		return -EPERM;
	err = copy_in(t, &h, ARG_ADDR(a, 1), sizeof(h));
	if (err)
		return err;
	if (!h.bytes || h.bytes > MAX_HANDLE_SZ)
		return -EINVAL;
	if (h.bytes >= sizeof(data)) {
		err = copy_in(t, &data, GADDR(ARG_ADDR(a, 1).v + sizeof(h)), sizeof(data));
		if (err)
			return err;
	}
	if (dfd == LINUX_AT_FDCWD) {
		fs_ctx_cwd(t->fs, &p);
	} else {
		struct file *at _cleanup_file_ = fd_get(t, dfd);

		if (!at)
			return -EBADF;
		if (!at->path.dentry)
			return -ESTALE;
		p = at->path;
		path_get(&p);
	}
	if (!sb_has_handles(p.dentry->sb) || h.bytes < sizeof(data)) /* the type is not looked at, as on Linux's tmpfs */
		return -ESTALE;
	d = handle_find(p.dentry->sb, &data);
	if (!d)
		return -ESTALE;
	dentry_put(p.dentry);
	p.dentry = d;
	if (flags & LINUX_O_DIRECTORY && !inode_is_dir(d->inode))
		return -ENOTDIR;
	err = vfs_open(t, &p, flags & ~(LINUX_O_CREAT | LINUX_O_EXCL | LINUX_O_CLOEXEC), &f);
	if (err)
		return err;
	fd = fd_install(t, f, 0, flags & LINUX_O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}
