/* SPDX-License-Identifier: Apache-2.0 */
/* Path walk, names, permissions and contents on a tmpfs root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/locks.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "tests/fakes/fake_fs.h"

#define CWD LINUX_AT_FDCWD

static int setup(void **state)
{
	*state = fake_task_new();
	return 0;
}

static int teardown(void **state)
{
	fake_task_free(*state);
	return 0;
}

static int mk(struct task *t, const char *name, uint32_t mode, const char *target)
{
	struct parent_path p;
	int err = namei_parent(t, CWD, name, 0, &p);

	if (err)
		return err;
	if (p.type != LAST_NORM)
		err = -EEXIST;
	else if (target)
		err = vfs_symlink(t, &p.dir, p.name, target);
	else if (LINUX_S_ISDIR(mode))
		err = vfs_mkdir(t, &p.dir, p.name, mode, NULL);
	else
		err = vfs_mknod(t, &p.dir, p.name, mode, 0, NULL);
	parent_path_done(&p);
	return err;
}

#define mkd(t, n)    mk(t, n, LINUX_S_IFDIR | 0755, NULL)
#define mkf(t, n)    mk(t, n, LINUX_S_IFREG | 0644, NULL)
#define mkl(t, n, l) mk(t, n, 0, l)

static int mv(struct task *t, const char *a, const char *b, uint32_t flags)
{
	struct parent_path o, n;
	int err = namei_parent(t, CWD, a, 0, &o);

	if (err)
		return err;
	err = namei_parent(t, CWD, b, 0, &n);
	if (!err) {
		err = vfs_rename_slash(t, &o.dir, o.name, &n.dir, n.name, flags, o.slash, n.slash);
		parent_path_done(&n);
	}
	parent_path_done(&o);
	return err;
}

static int rm(struct task *t, const char *name, bool dir)
{
	struct parent_path p;
	int err = namei_parent(t, CWD, name, 0, &p);

	if (err)
		return err;
	err = dir ? vfs_rmdir(t, &p.dir, p.name) : vfs_unlink(t, &p.dir, p.name, p.slash);
	parent_path_done(&p);
	return err;
}

static int look(struct task *t, const char *name, uint32_t flags)
{
	struct path p = { 0 };
	int err = namei(t, CWD, name, flags, &p);

	path_put(&p);
	return err;
}

static uint64_t ino(struct task *t, const char *name)
{
	struct path p = { 0 };
	uint64_t n = 0;

	if (namei(t, CWD, name, 0, &p) == 0) {
		n = ((struct inode *)p.dentry->inode)->ino;
		path_put(&p);
	}
	return n;
}

static void walk(void **state)
{
	struct task *t = *state;
	char longname[300];

	assert_int_equal(mkd(t, "/a"), 0);
	assert_int_equal(mkd(t, "/a/b"), 0);
	assert_int_equal(mkf(t, "/a/b/f"), 0);
	assert_int_equal(mkd(t, "/a"), -EEXIST);
	assert_int_equal(mkd(t, "/"), -EEXIST);
	assert_int_equal(mkd(t, "/x/y"), -ENOENT);
	assert_int_equal(mkd(t, "/a/b/f/y"), -ENOTDIR);
	assert_int_equal(look(t, "/a/b/f", 0), 0);
	assert_int_equal(look(t, "//a///b//f", 0), 0);
	assert_int_equal(look(t, "a/./b/../b/f", 0), 0);
	assert_int_equal(look(t, "../../..//a", 0), 0);
	assert_int_equal(look(t, "/a/b/f/", 0), -ENOTDIR);
	assert_int_equal(look(t, "/a/b/", 0), 0);
	assert_int_equal(look(t, "/a/b/f/..", 0), -ENOTDIR);
	assert_int_equal(look(t, "/a/b", LOOKUP_DIRECTORY), 0);
	assert_int_equal(look(t, "/a/b/f", LOOKUP_DIRECTORY), -ENOTDIR);
	assert_int_equal(look(t, "", 0), -ENOENT);
	assert_int_equal(look(t, "", LOOKUP_EMPTY), 0);
	memset(longname, 'x', 256);
	longname[256] = 0;
	assert_int_equal(look(t, longname, 0), -ENAMETOOLONG);
	longname[255] = 0;
	assert_int_equal(look(t, longname, 0), -ENOENT);
}

static void symlinks(void **state)
{
	struct task *t = *state;

	assert_int_equal(mkd(t, "/a"), 0);
	assert_int_equal(mkf(t, "/a/f"), 0);
	assert_int_equal(mkl(t, "/abs", "/a/f"), 0);
	assert_int_equal(mkl(t, "/rel", "a/f"), 0);
	assert_int_equal(mkl(t, "/d", "a"), 0);
	assert_int_equal(mkl(t, "/dslash", "a/"), 0);
	assert_int_equal(mkl(t, "/loop", "loop2"), 0);
	assert_int_equal(mkl(t, "/loop2", "loop"), 0);
	assert_int_equal(mkl(t, "/dangling", "nothing"), 0);
	assert_int_equal(look(t, "/abs", LOOKUP_FOLLOW), 0);
	assert_int_equal(look(t, "/rel", LOOKUP_FOLLOW), 0);
	assert_int_equal(look(t, "/d/f", 0), 0);
	assert_int_equal(look(t, "/dslash/f", 0), 0);
	assert_int_equal(look(t, "/d/", 0), 0);
	assert_int_equal(look(t, "/abs/", 0), -ENOTDIR);
	assert_int_equal(look(t, "/loop", 0), 0);
	assert_int_equal(look(t, "/loop", LOOKUP_FOLLOW), -ELOOP);
	assert_int_equal(look(t, "/dangling", 0), 0);
	assert_int_equal(look(t, "/dangling", LOOKUP_FOLLOW), -ENOENT);
	assert_int_equal(look(t, "/d/f", LOOKUP_NO_SYMLINKS), -ELOOP);
	assert_int_equal(look(t, "/a/../a", LOOKUP_BENEATH), -EXDEV);
	assert_int_equal(look(t, "a/../..", LOOKUP_BENEATH), -EXDEV);
	assert_int_equal(look(t, "a/..", LOOKUP_BENEATH), 0);
	assert_int_equal(look(t, "../../a", LOOKUP_IN_ROOT), 0);
	assert_int_equal(look(t, "abs", LOOKUP_BENEATH | LOOKUP_FOLLOW), -EXDEV);
	assert_int_equal(look(t, "abs", LOOKUP_IN_ROOT | LOOKUP_FOLLOW), 0);
	/* exactly 40 are allowed */
	for (int n = 0; n < 42; n++) {
		char name[16], to[16];

		(void)snprintf(name, sizeof(name), "/l%d", n);
		(void)snprintf(to, sizeof(to), n ? "l%d" : "a", n - 1);
		assert_int_equal(mkl(t, name, to), 0);
	}
	assert_int_equal(look(t, "/l39", LOOKUP_FOLLOW), 0);
	assert_int_equal(look(t, "/l40", LOOKUP_FOLLOW), -ELOOP);
}

static void renames(void **state)
{
	struct task *t = *state;
	uint64_t f, g;

	assert_int_equal(mkd(t, "/d"), 0);
	assert_int_equal(mkd(t, "/d/e"), 0);
	assert_int_equal(mkd(t, "/x"), 0);
	assert_int_equal(mkf(t, "/f"), 0);
	assert_int_equal(mkf(t, "/g"), 0);
	f = ino(t, "/f");
	g = ino(t, "/g");
	assert_int_equal(mv(t, "/none", "/h", 0), -ENOENT);
	assert_int_equal(mv(t, "/f", "/g", LINUX_RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(mv(t, "/f", "/g", LINUX_RENAME_EXCHANGE), 0);
	assert_true(ino(t, "/f") == g && ino(t, "/g") == f);
	assert_int_equal(mv(t, "/f", "/g", 0), 0);
	assert_true(ino(t, "/f") == 0 && ino(t, "/g") == g);
	assert_int_equal(mv(t, "/d", "/d/e/y", 0), -EINVAL);
	assert_int_equal(mv(t, "/d/e", "/d", 0), -ENOTEMPTY);
	assert_int_equal(mv(t, "/x", "/d", 0), -ENOTEMPTY);
	assert_int_equal(mv(t, "/x", "/d/e", 0), 0);
	assert_int_equal(mv(t, "/g", "/d", 0), -EISDIR);
	assert_int_equal(mv(t, "/d", "/g", 0), -ENOTDIR);
	assert_int_equal(mv(t, "/g", "/h/", 0), -ENOTDIR);
	assert_int_equal(mv(t, "/d", "/h/", 0), 0);
	assert_int_equal(mv(t, "/g", "/h/e/g", 0), 0);
	assert_true(ino(t, "/h/e/g") == g);
	assert_int_equal(mv(t, "/h/e/g", "/h", LINUX_RENAME_EXCHANGE), -EINVAL);
	assert_int_equal(mkd(t, "/z"), 0);
	assert_int_equal(mv(t, "/h/e/g", "/z", LINUX_RENAME_EXCHANGE), 0);
	assert_int_equal(look(t, "/h/e/g", LOOKUP_DIRECTORY), 0);
	assert_int_equal(rm(t, "/h", true), -ENOTEMPTY);
	assert_int_equal(rm(t, "/h", false), -EISDIR);
	assert_int_equal(rm(t, "/z", true), -ENOTDIR);
	assert_int_equal(rm(t, "/z", false), 0);
	assert_int_equal(rm(t, "/h/e/g", true), 0);
	assert_int_equal(rm(t, "/h/e", true), 0);
	assert_int_equal(rm(t, "/h", true), 0);
}

static void permissions(void **state)
{
	struct task *t = *state;
	struct file *f = NULL;

	t->fs->umask = 0;
	assert_int_equal(mk(t, "/tmp", LINUX_S_IFDIR | 01777, NULL), 0);
	assert_int_equal(mkd(t, "/root"), 0);
	assert_int_equal(mk(t, "/root/secret", LINUX_S_IFREG | 0600, NULL), 0);
	assert_int_equal(mk(t, "/tmp/mine", LINUX_S_IFREG | 0600, NULL), 0);
	fake_task_setuid(t, 1000, 1000);
	assert_int_equal(mkd(t, "/root/x"), -EACCES);
	assert_int_equal(vfs_openat(t, CWD, "/root/secret", LINUX_O_RDONLY, 0, 0, &f), -EACCES);
	assert_int_equal(vfs_openat(t, CWD, "/root/secret", LINUX_O_PATH, 0, 0, &f), 0);
	file_put(f);
	assert_int_equal(rm(t, "/tmp/mine", false), -EPERM);
	assert_int_equal(mkf(t, "/tmp/yours"), 0);
	assert_int_equal(rm(t, "/tmp/yours", false), 0);
	fake_task_setuid(t, 0, 0);
	assert_int_equal(rm(t, "/tmp/mine", false), 0);
}

static int64_t wr(struct task *t, struct file *f, const void *buf, size_t n, int64_t off)
{
	struct uio u;

	uio_kernel(&u, (void *)(uintptr_t)buf, n);
	return file_write(f, t, &u, off, 0);
}

static int64_t rd(struct task *t, struct file *f, void *buf, size_t n, int64_t off)
{
	struct uio u;

	uio_kernel(&u, buf, n);
	return file_read(f, t, &u, off, 0);
}

static void contents(void **state)
{
	struct task *t = *state;
	struct file *f = NULL, *g = NULL;
	char buf[64] = { 0 };
	struct kstat st;
	int64_t pos;

	assert_int_equal(vfs_openat(t, CWD, "/f", LINUX_O_RDWR | LINUX_O_CREAT | LINUX_O_EXCL, 0666, 0, &f), 0);
	assert_int_equal(vfs_openat(t, CWD, "/f", LINUX_O_RDWR | LINUX_O_CREAT | LINUX_O_EXCL, 0666, 0, &g), -EEXIST);
	assert_int_equal(vfs_openat(t, CWD, "/", LINUX_O_RDWR, 0, 0, &g), -EISDIR);
	assert_int_equal(vfs_openat(t, CWD, "/", LINUX_O_RDONLY | LINUX_O_CREAT, 0666, 0, &g), -EISDIR);
	assert_int_equal(wr(t, f, "hello", 5, -1), 5);
	assert_int_equal(wr(t, f, "world", 5, 1 << 20), 5);
	assert_int_equal(f->pos, 5);
	assert_int_equal(rd(t, f, buf, 10, 3), 10);
	assert_memory_equal(buf, "lo\0\0\0\0\0\0\0\0", 10);
	assert_int_equal(inode_getattr(f->inode, t, &st), 0);
	assert_int_equal(st.mode, LINUX_S_IFREG | 0644);
	assert_int_equal(st.size, (1 << 20) + 5);
	assert_int_equal(st.blocks, 16);
	assert_int_equal(file_seek(f, t, 100, LINUX_SEEK_HOLE, &pos), 0);
	assert_int_equal(pos, 4096);
	assert_int_equal(file_seek(f, t, 4096, LINUX_SEEK_DATA, &pos), 0);
	assert_int_equal(pos, 1 << 20);
	assert_int_equal(vfs_truncate(t, &f->path, 3, NULL), 0);
	assert_int_equal(vfs_truncate(t, &f->path, 10, NULL), 0);
	assert_int_equal(rd(t, f, buf, 64, 0), 10);
	assert_memory_equal(buf, "hel\0\0\0\0\0\0\0", 10);
	assert_int_equal(vfs_openat(t, CWD, "/f", LINUX_O_WRONLY | LINUX_O_APPEND, 0, 0, &g), 0);
	assert_int_equal(wr(t, g, "tail", 4, -1), 4);
	assert_int_equal(rd(t, g, buf, 4, 0), -EBADF);
	file_put(g);
	assert_int_equal(rd(t, f, buf, 64, 8), 6);
	assert_memory_equal(buf, "\0\0tail", 6);
	/* unlinked but open */
	assert_int_equal(rm(t, "/f", false), 0);
	assert_int_equal(rd(t, f, buf, 3, 0), 3);
	assert_int_equal(f->inode->nlink, 0);
	assert_int_equal(f->ops->fallocate(f, t, 0, 0, 8192), 0);
	assert_int_equal(f->ops->fallocate(f, t, LINUX_FALLOC_FL_KEEP_SIZE | LINUX_FALLOC_FL_PUNCH_HOLE, 0, 4096), 0);
	assert_int_equal(rd(t, f, buf, 3, 0), 3);
	assert_memory_equal(buf, "\0\0\0", 3);
	file_put(f);
	assert_int_equal(vfs_openat(t, CWD, "/", LINUX_O_TMPFILE | LINUX_O_RDWR, 0600, 0, &f), 0);
	assert_int_equal(wr(t, f, "x", 1, -1), 1);
	file_put(f);
}

static void txtbsy(void **state)
{
	struct task *t = *state;
	struct file *f = NULL, *x = NULL;

	assert_int_equal(mk(t, "/prog", LINUX_S_IFREG | 0755, NULL), 0);
	assert_int_equal(vfs_openat(t, CWD, "/prog", LINUX_O_WRONLY, 0, 0, &f), 0);
	assert_int_equal(vfs_open_exec(t, CWD, "/prog", 0, &x), -ETXTBSY);
	file_put(f);
	assert_int_equal(vfs_open_exec(t, CWD, "/prog", 0, &x), 0);
	assert_int_equal(vfs_openat(t, CWD, "/prog", LINUX_O_WRONLY, 0, 0, &f), -ETXTBSY);
	assert_int_equal(vfs_openat(t, CWD, "/prog", LINUX_O_RDONLY | LINUX_O_TRUNC, 0, 0, &f), -ETXTBSY);
	file_put(x);
	assert_int_equal(vfs_openat(t, CWD, "/prog", LINUX_O_WRONLY, 0, 0, &f), 0);
	file_put(f);
}

static void fds(void **state)
{
	struct task *t = *state;
	struct file *f = NULL;
	struct fd_table *copy;

	for (int n = 0; n < 70; n++) {
		assert_int_equal(vfs_openat(t, CWD, "/", LINUX_O_RDONLY, 0, 0, &f), 0);
		assert_int_equal(fd_install(t, f, 0, n & 1), n);
	}
	assert_int_equal(fd_close(t, 3), 0);
	assert_int_equal(fd_close(t, 3), -EBADF);
	assert_int_equal(fd_close(t, 5), 0);
	assert_int_equal(fd_install(t, file_get(f), 4, false), 5);
	assert_int_equal(fd_install(t, file_get(f), 0, false), 3);
	assert_int_equal(fd_install_at(t, file_get(f), 200, false), 200);
	assert_int_equal(fd_install(t, file_get(f), 1024, false), -EINVAL);
	copy = fd_table_dup(t->files);
	fd_table_close_on_exec(t->files, t);
	assert_int_equal(fd_get_cloexec(t, 1), -EBADF);
	assert_int_equal(fd_get_cloexec(t, 2), 0);
	assert_int_equal(fd_close_range(t, 10, ~0u, false), 0);
	assert_int_equal(fd_table_next(t->files, 9), -1);
	fd_table_put(copy, t);
	file_put(f); /* the one that EINVAL left with us */
}

static void locks(void **state)
{
	struct task *a = *state, b = *a;
	struct linux_flock l = { .l_type = LINUX_F_WRLCK, .l_start = 10, .l_len = 10 }, q;
	struct file *f = NULL, *g = NULL;

	b.files = fd_table_new();
	assert_int_equal(vfs_openat(a, CWD, "/f", LINUX_O_RDWR | LINUX_O_CREAT, 0600, 0, &f), 0);
	assert_int_equal(vfs_openat(a, CWD, "/f", LINUX_O_RDWR, 0600, 0, &g), 0);
	assert_int_equal(locks_fcntl_set(a, f, &l, false, false), 0);
	assert_int_equal(locks_fcntl_set(&b, f, &l, false, false), -EAGAIN);
	l.l_type = LINUX_F_UNLCK; /* a hole in the middle */
	l.l_start = 13;
	l.l_len = 2;
	assert_int_equal(locks_fcntl_set(a, f, &l, false, false), 0);
	l.l_type = LINUX_F_RDLCK;
	assert_int_equal(locks_fcntl_set(&b, f, &l, false, false), 0);
	q = (struct linux_flock){ .l_type = LINUX_F_WRLCK, .l_start = 0, .l_len = 0 };
	assert_int_equal(locks_fcntl_get(&b, f, &q, false), 0);
	assert_int_equal(q.l_start, 10);
	assert_int_equal(q.l_len, 3);
	l.l_start = 0;
	l.l_len = 0;
	l.l_type = LINUX_F_WRLCK;
	assert_int_equal(locks_fcntl_set(a, g, &l, true, false), -EAGAIN); /* OFD against POSIX */
	locks_close_posix(a->files, f);
	locks_close_posix(b.files, f);
	assert_int_equal(locks_fcntl_set(a, g, &l, true, false), 0);
	assert_int_equal(locks_flock(a, f, LINUX_LOCK_SH), 0);
	assert_int_equal(locks_flock(a, g, LINUX_LOCK_SH), 0);
	assert_int_equal(locks_flock(a, g, LINUX_LOCK_EX | LINUX_LOCK_NB), -EAGAIN);
	assert_int_equal(locks_flock(a, f, LINUX_LOCK_UN), 0);
	assert_int_equal(locks_flock(a, g, LINUX_LOCK_EX | LINUX_LOCK_NB), 0);
	file_put(g);
	assert_int_equal(locks_fcntl_set(a, f, &l, false, false), 0);
	file_put(f);
	fd_table_put(b.files, &b);
}

static void mounts(void **state)
{
	struct task *t = *state;
	struct mnt_ns *ns = t->ns->mnt, *copy = NULL;
	struct mount_req rq = { .k = t->k, .t = t, .source = "tmpfs", .options = "size=64k,mode=755" };
	struct path at = { 0 }, sub = { 0 }, root = { 0 };
	struct strbuf b = STRBUF_INIT;
	struct mount *m;
	struct file *f = NULL;
	char page[4096] = { 1 };

	assert_int_equal(mkd(t, "/mnt"), 0);
	assert_int_equal(mkd(t, "/bind"), 0);
	assert_int_equal(namei(t, CWD, "/mnt", 0, &at), 0);
	assert_int_equal(mount_new(ns, &at, "tmpfs", &rq, LINUX_MS_NODEV | LINUX_MS_RELATIME, NULL), 0);
	path_put(&at);
	assert_int_equal(mkd(t, "/mnt/sub"), 0);
	assert_int_equal(rm(t, "/mnt", true), -EBUSY);
	assert_int_equal(mv(t, "/mnt/sub", "/sub", 0), -EXDEV);
	assert_int_equal(look(t, "/mnt/sub/../..", 0), 0);
	assert_int_equal(look(t, "mnt/sub", LOOKUP_NO_XDEV), -EXDEV);
	assert_int_equal(vfs_openat(t, CWD, "/mnt/f", LINUX_O_RDWR | LINUX_O_CREAT, 0600, 0, &f), 0);
	for (int n = 0; n < 16; n++)
		assert_int_equal(wr(t, f, page, 4096, -1), 4096);
	assert_int_equal(wr(t, f, page, 4096, -1), -ENOSPC);
	file_put(f);
	assert_int_equal(namei(t, CWD, "/mnt/sub", 0, &sub), 0);
	assert_int_equal(namei(t, CWD, "/bind", 0, &at), 0);
	assert_int_equal(mount_bind(ns, &sub, &at, false, LINUX_MS_RDONLY), 0);
	path_put(&at);
	path_put(&sub);
	assert_int_equal(mkf(t, "/bind/x"), -EROFS);
	assert_int_equal(mkf(t, "/mnt/sub/x"), 0);
	assert_int_equal(look(t, "/bind/x", 0), 0);
	fs_ctx_root(t->fs, &root);
	assert_int_equal(namei(t, CWD, "/bind/x", 0, &at), 0);
	assert_int_equal(path_text(&at, &root, true, &b), 0);
	assert_string_equal(b.data, "/bind/x");
	strbuf_done(&b);
	b = (struct strbuf)STRBUF_INIT;
	assert_int_equal(mnt_ns_show(ns, &root, MOUNTS_MOUNTINFO, &b), 0);
	assert_non_null(strstr(b.data, " /sub /bind ro,nodev,relatime - tmpfs tmpfs rw,size=64k,mode=755\n"));
	strbuf_done(&b);
	m = mount_get(at.mnt);
	assert_int_equal(mount_detach(ns, m, false), -EBUSY);
	path_put(&at);
	assert_int_equal(mnt_ns_clone(t->k, ns, NULL, &copy), 0);
	assert_int_equal(mount_detach(ns, m, false), 0);
	mount_put(m);
	assert_int_equal(look(t, "/bind/x", 0), -ENOENT);
	mnt_ns_put(copy);
	path_put(&root);
}

struct names {
	struct dir_sink s;
	char text[4096];
	int room;
};

static bool emit(struct dir_sink *s, const char *name, size_t len, int64_t next, uint64_t i, uint8_t type)
{
	struct names *n = container_of(s, struct names, s);

	if (!n->room)
		return false;
	n->room--;
	(void)strncat(n->text, name, len);
	(void)strcat(n->text, " ");
	return true;
}

static void listing(void **state)
{
	struct task *t = *state;
	struct file *f = NULL;
	struct names n = { .s.emit = emit, .room = 3 };

	assert_int_equal(mkd(t, "/d"), 0);
	assert_int_equal(mkf(t, "/d/1"), 0);
	assert_int_equal(mkf(t, "/d/2"), 0);
	assert_int_equal(mkf(t, "/d/3"), 0);
	assert_int_equal(vfs_openat(t, CWD, "/d", LINUX_O_RDONLY, 0, 0, &f), 0);
	assert_int_equal(f->ops->readdir(f, t, &n.s), 0);
	assert_string_equal(n.text, ". .. 1 ");
	assert_int_equal(rm(t, "/d/2", false), 0);
	assert_int_equal(mkf(t, "/d/4"), 0);
	n.room = 9;
	assert_int_equal(f->ops->readdir(f, t, &n.s), 0);
	assert_string_equal(n.text, ". .. 1 3 4 ");
	file_put(f);
}

static void memfds(void **state)
{
	struct task *t = *state;
	struct strbuf b = STRBUF_INIT;
	struct file *f = NULL;

	assert_int_equal(memfd_new(t, "name", LINUX_MFD_ALLOW_SEALING, &f), 0);
	assert_int_equal(wr(t, f, "abc", 3, -1), 3);
	(void)path_text(&f->path, NULL, true, &b);
	assert_string_equal(b.data, "/memfd:name (deleted)");
	strbuf_done(&b);
	assert_int_equal(tmpfs_add_seals(f, LINUX_F_SEAL_GROW), 0);
	assert_int_equal(wr(t, f, "abc", 3, -1), -EPERM);
	assert_int_equal(wr(t, f, "xyz", 3, 0), 3);
	assert_int_equal(tmpfs_add_seals(f, LINUX_F_SEAL_WRITE | LINUX_F_SEAL_SEAL), 0);
	assert_int_equal(wr(t, f, "xyz", 3, 0), -EPERM);
	assert_int_equal(tmpfs_add_seals(f, LINUX_F_SEAL_SHRINK), -EPERM);
	assert_int_equal(tmpfs_get_seals(f), 0xd);
	file_put(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(walk, setup, teardown),
		cmocka_unit_test_setup_teardown(symlinks, setup, teardown),
		cmocka_unit_test_setup_teardown(renames, setup, teardown),
		cmocka_unit_test_setup_teardown(permissions, setup, teardown),
		cmocka_unit_test_setup_teardown(contents, setup, teardown),
		cmocka_unit_test_setup_teardown(txtbsy, setup, teardown),
		cmocka_unit_test_setup_teardown(fds, setup, teardown),
		cmocka_unit_test_setup_teardown(locks, setup, teardown),
		cmocka_unit_test_setup_teardown(mounts, setup, teardown),
		cmocka_unit_test_setup_teardown(listing, setup, teardown),
		cmocka_unit_test_setup_teardown(memfds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
