/* SPDX-License-Identifier: Apache-2.0 */
/* Root, current directory, umask. */
#include "base/strbuf.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/namei.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"

int64_t sys_chdir(struct task *t, const struct sys_args *a)
{
	struct path p _cleanup_path_ = { 0 };
	int err = namei_user(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);

	if (!err)
		err = inode_permission(p.dentry->inode, t, t->cred, MAY_EXEC);
	if (!err)
		fs_ctx_set_cwd(t->fs, &p);
	return err;
}

int64_t sys_fchdir(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = fd_get_raw(t, ARG_INT(a, 0));
	int err;

	if (!f)
		return -EBADF;
	if (!f->path.dentry || !inode_is_dir(f->inode))
		return -ENOTDIR;
	err = inode_permission(f->inode, t, t->cred, MAY_EXEC);
	if (!err)
		fs_ctx_set_cwd(t->fs, &f->path);
	return err;
}

int64_t sys_chroot(struct task *t, const struct sys_args *a)
{
	struct path p _cleanup_path_ = { 0 };
	int err = namei_user(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);

	if (!err)
		err = inode_permission(p.dentry->inode, t, t->cred, MAY_EXEC);
	if (!err && !task_capable_here(t, LINUX_CAP_SYS_CHROOT))
		err = -EPERM;
	if (!err)
		fs_ctx_set_root(t->fs, &p);
	return err;
}

int64_t sys_getcwd(struct task *t, const struct sys_args *a)
{
	struct strbuf text _cleanup_strbuf_ = STRBUF_INIT, b _cleanup_strbuf_ = STRBUF_INIT;
	struct path root _cleanup_path_ = { 0 }, cwd _cleanup_path_ = { 0 };
	bool gone;
	int r;

	fs_ctx_root(t->fs, &root);
	fs_ctx_cwd(t->fs, &cwd);
	gone = !cwd.dentry->hashed && !dentry_is_root(cwd.dentry);
	if (gone)
		return -ENOENT;
	r = path_text(&cwd, &root, false, &text);
	if (r < 0)
		return r;
	if (r == 1)
		strbuf_adds(&b, "(unreachable)");
	strbuf_add(&b, text.data, text.len);
	r = strbuf_error(&b);
	if (r)
		return r;
	if (b.len + 1 > LINUX_PATH_MAX)
		return -ENAMETOOLONG;
	if (b.len + 1 > a->a[1])
		return -ERANGE;
	r = copy_out(t, ARG_ADDR(a, 0), b.data, b.len + 1);
	return r ? r : (int64_t)b.len + 1;
}

int64_t sys_umask(struct task *t, const struct sys_args *a)
{
	uint32_t old;

	mutex_lock(&t->fs->mu);
	old = t->fs->umask;
	t->fs->umask = ARG_U32(a, 0) & 0777;
	mutex_unlock(&t->fs->mu);
	return old;
}
