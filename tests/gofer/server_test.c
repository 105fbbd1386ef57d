/* SPDX-License-Identifier: Apache-2.0 */
/* Client against a real server process over a temporary directory: what every operation does to the host, and what it must not. */
#include "tests/gofer/fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

static int sock_type = SOCK_SEQPACKET;

static int setup(void **state)
{
	*state = fix_new(sock_type, true);
	return 0;
}

static int teardown(void **state)
{
	fix_free(*state);
	return 0;
}

static void attach_and_walk(void **state)
{
	struct fix *f = *state;
	const char *deep[] = { "a", "b", "c", "d" };
	struct p9_walked w[4];
	struct p9_attr a;
	uint32_t fid;
	int err;

	assert_int_equal(p9_attach(f->c, "nothing", &fid, NULL), -ENOENT);
	assert_int_equal(p9_attach(f->c, "file", &fid, &a), 0);
	assert_true(S_ISREG(a.mode));
	assert_int_equal(p9_lookup(f->c, fid, "x", NULL, &a), -ENOTDIR);
	p9_clunk(f->c, fid);
	assert_int_equal(mkdir(fix_path(f, "a"), 0700), 0);
	assert_int_equal(mkdir(fix_path(f, "a/b"), 0711), 0);
	fix_write(f, "a/b/c", "hello");
	assert_int_equal(p9_walk(f->c, f->root, deep, 3, true, w, &err), 3);
	assert_int_equal(err, 0);
	assert_int_equal(w[1].attr.mode, S_IFDIR | 0711);
	assert_int_equal(w[2].attr.size, 5);
	assert_int_equal(w[2].attr.valid & P9_GETATTR_BASIC, P9_GETATTR_BASIC);
	for (int i = 0; i < 3; i++)
		p9_clunk_later(f->c, w[i].fid);
	p9_clunk_flush(f->c);
	/* Stops below a file, with fids for what was reached. */
	assert_int_equal(p9_walk(f->c, f->root, deep, 4, true, w, &err), 3);
	assert_int_equal(err, -ENOTDIR);
	for (int i = 0; i < 3; i++)
		p9_clunk(f->c, w[i].fid);
	deep[1] = "nope";
	assert_int_equal(p9_walk(f->c, f->root, deep, 2, false, w, &err), 1);
	assert_int_equal(err, -ENOENT);
	assert_int_equal(w[0].fid, P9_NOFID);
	assert_int_equal(p9_clone(f->c, f->root, &fid), 0);
	assert_int_equal(p9_getattr(f->c, fid, &a), 0);
	p9_clunk(f->c, fid);
	assert_int_equal(p9_getattr(f->c, fid, &a), -EBADF);
}

static void escapes(void **state)
{
	struct fix *f = *state;
	const char *bad[] = { "", ".", "..", "a/b", "/", "../etc" };
	const char *via[] = { "link", "passwd" };
	struct p9_walked w[2];
	struct p9_attr a;
	char long_name[400];
	uint32_t fid;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(p9_lookup(f->c, f->root, bad[i], &fid, &a), -EINVAL);
		assert_int_equal(p9_mkdir(f->c, f->root, bad[i], 0755, P9_NOUID, P9_NOUID, NULL, NULL), -EINVAL);
		assert_int_equal(p9_create(f->c, f->root, bad[i], O_RDWR, 0644, P9_NOUID, P9_NOUID, &fid, NULL), -EINVAL);
		assert_int_equal(p9_unlink(f->c, f->root, bad[i], 0), -EINVAL);
		assert_int_equal(p9_rename(f->c, f->root, bad[i], f->root, "x", 0), -EINVAL);
		assert_int_equal(p9_symlink(f->c, f->root, bad[i], "t", P9_NOUID, P9_NOUID, NULL, NULL), -EINVAL);
	}
	memset(long_name, 'n', sizeof(long_name));
	long_name[399] = '\0';
	assert_int_equal(p9_lookup(f->c, f->root, long_name, &fid, &a), -ENAMETOOLONG);
	assert_int_equal(symlink("/etc", fix_path(f, "link")), 0);
	assert_int_equal(symlink("/etc/passwd", fix_path(f, "plink")), 0);
	assert_int_equal(p9_walk(f->c, f->root, via, 2, true, w, &err), 1);
	assert_int_equal(err, -ENOTDIR);
	assert_true(S_ISLNK(w[0].attr.mode));
	p9_clunk(f->c, w[0].fid);
	assert_int_equal(p9_lookup(f->c, f->root, "plink", &fid, &a), 0);
	assert_int_equal(p9_openfd(f->c, fid, O_RDONLY), -ELOOP);
	assert_int_equal(p9_open(f->c, fid, O_RDONLY), -ELOOP);
	p9_clunk(f->c, fid);
	/* Creating "through" a symlink must not happen either. */
	assert_int_equal(symlink("/tmp/gofer-escaped", fix_path(f, "dangling")), 0);
	assert_int_equal(p9_create(f->c, f->root, "dangling", O_RDWR, 0644, P9_NOUID, P9_NOUID, &fid, NULL), -ELOOP);
	assert_int_equal(access("/tmp/gofer-escaped", F_OK), -1);
}

static void create_donates_and_owns(void **state)
{
	struct fix *f = *state;
	struct p9_attr a;
	struct stat st;
	uint32_t fid, fid2;
	char buf[16] = "";
	int fd, fd2;

	fd = p9_create(f->c, f->root, "new", O_RDWR | O_EXCL, 04750, geteuid() ? P9_NOUID : 1234, geteuid() ? P9_NOUID : 4321,
		       &fid, &a);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(stat(fix_path(f, "new"), &st), 0);
	assert_int_equal(write(fd, "data", 4), 4); /* takes the set-id bit away, without privileges */
	assert_int_equal(st.st_mode & 07777, 04750);
	assert_int_equal(a.mode & 07777, 04750);
	if (!geteuid()) {
		assert_int_equal(st.st_uid, 1234);
		assert_int_equal(a.gid, 4321);
	}
	assert_int_equal(p9_create(f->c, f->root, "new", O_RDWR | O_EXCL, 0600, P9_NOUID, P9_NOUID, &fid2, NULL), -EEXIST);
	/* Without O_EXCL: opened as it is. */
	fd2 = p9_create(f->c, f->root, "new", O_RDONLY, 0600, P9_NOUID, P9_NOUID, &fid2, &a);
	assert_true(fd2 >= 0);
	assert_int_equal(a.mode & 0777, 0750);
	assert_int_equal(read(fd2, buf, sizeof(buf)), 4);
	assert_string_equal(buf, "data");
	assert_int_equal(write(fd2, "x", 1), -1);
	(void)close(fd2);
	/* Unlinked, still usable by fid. */
	assert_int_equal(p9_unlink(f->c, f->root, "new", 0), 0);
	assert_int_equal(p9_getattr(f->c, fid, &a), 0);
	assert_int_equal(a.nlink, 0);
	fd2 = p9_openfd(f->c, fid, O_RDWR | O_TRUNC);
	assert_true(fd2 >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0);
	(void)close(fd2);
	(void)close(fd);
	p9_clunk(f->c, fid);
	p9_clunk(f->c, fid2);
	assert_int_equal(p9_create(f->c, f->root, "x", O_ACCMODE, 0600, P9_NOUID, P9_NOUID, &fid, NULL), -EINVAL);
	assert_int_equal(p9_openfd(f->c, f->root, O_RDONLY), -EISDIR);
}

static void special_files_are_not_opened(void **state)
{
	struct fix *f = *state;
	struct p9_attr a;
	uint32_t fid;

	assert_int_equal(p9_mknod(f->c, f->root, "fifo", S_IFIFO | 0622, 0, 0, P9_NOUID, P9_NOUID, &fid, &a), 0);
	assert_int_equal(a.mode, S_IFIFO | 0622);
	assert_int_equal(p9_openfd(f->c, fid, O_RDONLY), -ENXIO);
	assert_int_equal(p9_openfd(f->c, fid, O_RDWR), -ENXIO);
	assert_int_equal(p9_open(f->c, fid, O_RDONLY), -ENXIO);
	assert_int_equal(p9_fsync(f->c, fid, false), -EINVAL);
	p9_clunk(f->c, fid);
	/* The trap: O_CREAT on an existing FIFO. */
	assert_int_equal(p9_create(f->c, f->root, "fifo", O_RDONLY, 0600, P9_NOUID, P9_NOUID, &fid, &a), -ENXIO);
	if (!geteuid()) {
		uint32_t plain;

		assert_int_equal(p9_mknod(f->c, f->root, "null", S_IFCHR | 0666, 1, 3, 0, 0, &fid, &a), 0);
		assert_int_equal(a.rdev, makedev(1, 3));
		assert_int_equal(p9_openfd(f->c, fid, O_RDONLY), -ENXIO);
		p9_clunk(f->c, fid);
		assert_int_equal(p9_attach(f->c, "plain", &plain, NULL), 0);
		assert_int_equal(p9_mknod(f->c, plain, "null2", S_IFCHR | 0666, 1, 3, 0, 0, NULL, NULL), -EPERM);
		p9_clunk(f->c, plain);
	}
	assert_int_equal(p9_mknod(f->c, f->root, "d", S_IFDIR | 0777, 0, 0, P9_NOUID, P9_NOUID, NULL, NULL), -EPERM);
	assert_int_equal(p9_mknod(f->c, f->root, "r", 0640, 0, 0, P9_NOUID, P9_NOUID, NULL, &a), 0);
	assert_int_equal(a.mode, S_IFREG | 0640);
}

static void directories_links_renames(void **state)
{
	struct fix *f = *state;
	struct p9_attr a;
	uint32_t d, s, l;
	char buf[64];

	assert_int_equal(p9_mkdir(f->c, f->root, "d", 01777, P9_NOUID, P9_NOUID, &d, &a), 0);
	assert_int_equal(a.mode, S_IFDIR | 01777);
	assert_int_equal(p9_mkdir(f->c, f->root, "d", 0777, P9_NOUID, P9_NOUID, NULL, NULL), -EEXIST);
	assert_int_equal(p9_symlink(f->c, d, "s", "../../target", geteuid() ? P9_NOUID : 55, P9_NOUID, &s, &a), 0);
	if (!geteuid())
		assert_int_equal(a.uid, 55);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(p9_readlink(f->c, s, buf, sizeof(buf)), 12);
	assert_string_equal(buf, "../../target");
	assert_int_equal(p9_readlink(f->c, s, buf, 3), 3);
	assert_int_equal(p9_readlink(f->c, d, buf, sizeof(buf)), -EINVAL);
	assert_int_equal(p9_symlink(f->c, d, "e", "", P9_NOUID, P9_NOUID, NULL, NULL), -ENOENT);
	/* A hard link to a symlink is one to the link itself. */
	assert_int_equal(p9_link(f->c, d, "s2", s), 0);
	assert_int_equal(p9_lookup(f->c, d, "s2", &l, &a), 0);
	assert_true(S_ISLNK(a.mode));
	assert_int_equal(a.nlink, 2);
	p9_clunk(f->c, l);
	assert_int_equal(p9_link(f->c, d, "dd", d), -EPERM);
	assert_int_equal(p9_rename(f->c, d, "s", f->root, "moved", 0), 0);
	assert_int_equal(p9_getattr(f->c, s, &a), 0); /* the fid follows the file */
	assert_int_equal(p9_lookup(f->c, f->root, "moved", NULL, &a), 0);
	fix_write(f, "one", "1");
	fix_write(f, "two", "22");
	assert_int_equal(p9_rename(f->c, f->root, "one", f->root, "two", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(p9_rename(f->c, f->root, "one", f->root, "two", RENAME_EXCHANGE), 0);
	assert_int_equal(p9_lookup(f->c, f->root, "one", NULL, &a), 0);
	assert_int_equal(a.size, 2);
	assert_int_equal(p9_rename(f->c, f->root, "one", f->root, "two", 1 << 2), -EINVAL);
	assert_int_equal(p9_rename(f->c, f->root, "absent", f->root, "two", 0), -ENOENT);
	assert_int_equal(p9_unlink(f->c, f->root, "d", 0), -EISDIR);
	assert_int_equal(p9_unlink(f->c, f->root, "d", AT_REMOVEDIR), -ENOTEMPTY);
	assert_int_equal(p9_unlink(f->c, d, "s2", 0), 0);
	assert_int_equal(p9_unlink(f->c, f->root, "d", AT_REMOVEDIR), 0);
	/* A removed directory's fid: alive, empty, nothing can be made in it. */
	assert_int_equal(p9_mkdir(f->c, d, "x", 0755, P9_NOUID, P9_NOUID, NULL, NULL), -ENOENT);
	p9_clunk(f->c, d);
	p9_clunk(f->c, s);
}

static void attributes(void **state)
{
	struct fix *f = *state;
	struct p9_setattr sa = { .valid = P9_SETATTR_MODE | P9_SETATTR_SIZE | P9_SETATTR_ATIME | P9_SETATTR_ATIME_SET |
					  P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET,
				 .mode = 02604,
				 .size = 1 << 20,
				 .atime = { 1000, 999999999 },
				 .mtime = { -5, 7 } };
	struct p9_attr a;
	struct p9_statfs st;
	uint32_t fid, s;

	fix_write(f, "f", "abc");
	assert_int_equal(p9_lookup(f->c, f->root, "f", &fid, &a), 0);
	if (!geteuid()) {
		sa.valid |= P9_SETATTR_UID | P9_SETATTR_GID;
		sa.uid = 77;
		sa.gid = 88;
	}
	assert_int_equal(p9_setattr(f->c, fid, &sa), 0);
	assert_int_equal(p9_getattr(f->c, fid, &a), 0);
	assert_int_equal(a.mode, S_IFREG | 02604);
	assert_int_equal(a.size, 1 << 20);
	assert_int_equal(a.atime_sec, 1000);
	assert_int_equal(a.atime_nsec, 999999999);
	assert_int_equal((int64_t)a.mtime_sec, -5);
	if (!geteuid()) {
		assert_int_equal(a.uid, 77);
		assert_int_equal(a.gid, 88);
	}
	sa = (struct p9_setattr){ .valid = P9_SETATTR_MTIME };
	assert_int_equal(p9_setattr(f->c, fid, &sa), 0);
	assert_int_equal(p9_getattr(f->c, fid, &a), 0);
	assert_true(a.mtime_sec > 1000000 && a.atime_sec == 1000);
	sa = (struct p9_setattr){ .valid = P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET, .mtime = { 0, 1000000000 } };
	assert_int_equal(p9_setattr(f->c, fid, &sa), -EINVAL);
	sa = (struct p9_setattr){ .valid = 1 << 12 };
	assert_int_equal(p9_setattr(f->c, fid, &sa), -EINVAL);
	sa = (struct p9_setattr){ .valid = P9_SETATTR_SIZE, .size = UINT64_MAX };
	assert_int_equal(p9_setattr(f->c, fid, &sa), -EINVAL);
	assert_int_equal(p9_setattr(f->c, f->root, &(struct p9_setattr){ .valid = P9_SETATTR_SIZE }), -EISDIR);
	/* A symlink's own times and owner. */
	assert_int_equal(p9_symlink(f->c, f->root, "sl", "f", P9_NOUID, P9_NOUID, &s, NULL), 0);
	sa = (struct p9_setattr){ .valid = P9_SETATTR_MTIME | P9_SETATTR_MTIME_SET, .mtime = { 4242, 0 } };
	assert_int_equal(p9_setattr(f->c, s, &sa), 0);
	assert_int_equal(p9_getattr(f->c, s, &a), 0);
	assert_int_equal(a.mtime_sec, 4242);
	assert_int_equal(p9_setattr(f->c, s, &(struct p9_setattr){ .valid = P9_SETATTR_MODE }), -EOPNOTSUPP);
	assert_int_equal(p9_statfs(f->c, f->root, &st), 0);
	assert_true(st.bsize > 0 && st.namelen == 255);
	p9_clunk(f->c, s);
	p9_clunk(f->c, fid);
}

struct listing {
	size_t n, with_attr, stop_after;
	uint64_t last;
	bool seen[2000];
};

static int on_entry(void *arg, const struct p9_dirent *d)
{
	struct listing *l = arg;
	unsigned int i;

	l->last = d->offset;
	l->n++;
	if (d->attr.valid && S_ISREG(d->attr.mode) && d->attr.size == 1)
		l->with_attr++;
	assert_int_equal(sscanf(d->name, "file-%u", &i), 1);
	assert_true(i < ARRAY_SIZE(l->seen) && !l->seen[i]);
	l->seen[i] = true;
	return l->stop_after && l->n % l->stop_after == 0;
}

static void readdir_with_attributes(void **state)
{
	struct fix *f = *state;
	struct listing l = { 0 };
	uint32_t d;
	ssize_t n;

	assert_int_equal(p9_mkdir(f->c, f->root, "big", 0755, P9_NOUID, P9_NOUID, &d, NULL), 0);
	assert_int_equal(p9_readdir(f->c, d, 0, on_entry, &l), 0);
	for (int i = 0; i < 2000; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "big/file-%d", i);
		fix_write(f, name, "x");
	}
	while ((n = p9_readdir(f->c, d, l.last, on_entry, &l)) > 0)
		;
	assert_int_equal(n, 0);
	assert_int_equal(l.n, 2000);
	assert_int_equal(l.with_attr, 2000);
	/* Stopping anywhere and going on from the last offset loses and repeats nothing. */
	l = (struct listing){ .stop_after = 7 };
	while ((n = p9_readdir(f->c, d, l.last, on_entry, &l)) > 0)
		;
	assert_int_equal(n, 0);
	assert_int_equal(l.n, 2000);
	p9_clunk(f->c, d);
}

static void io_through_the_gofer(void **state)
{
	struct fix *f = *state;
	static char big[300000], back[300001];
	uint32_t fid, fid2, pid;
	uint64_t start = 0, len = 0;
	int type = F_WRLCK;

	fix_write(f, "io", "");
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 1000);
	assert_int_equal(p9_lookup(f->c, f->root, "io", &fid, NULL), 0);
	assert_int_equal(p9_read(f->c, fid, back, 1, 0), -EBADF);
	assert_int_equal(p9_open(f->c, fid, O_RDWR), 0);
	assert_int_equal(p9_open(f->c, fid, O_RDWR), -EBADF);
	assert_int_equal(p9_write(f->c, fid, big, sizeof(big), 3), sizeof(big));
	assert_int_equal(p9_read(f->c, fid, back, sizeof(back), 3), sizeof(big));
	assert_memory_equal(big, back, sizeof(big));
	assert_int_equal(p9_read(f->c, fid, back, 10, 1 << 30), 0);
	assert_int_equal(p9_read(f->c, fid, back, 10, UINT64_MAX), -EINVAL);
	assert_int_equal(p9_fsync(f->c, fid, true), 0);
	assert_int_equal(p9_syncfs(f->c, fid), 0);
	assert_int_equal(p9_fsync(f->c, f->root, false), 0);
	assert_int_equal(p9_allocate(f->c, fid, 0, 0, 1 << 20), 0);
	/* Locks of two opens conflict. */
	assert_int_equal(p9_clone(f->c, fid, &fid2), 0);
	assert_int_equal(p9_open(f->c, fid2, O_RDWR), 0);
	assert_int_equal(p9_lock(f->c, fid, F_WRLCK, 10, 5), 0);
	assert_int_equal(p9_lock(f->c, fid2, F_RDLCK, 12, 1), -EAGAIN);
	assert_int_equal(p9_getlock(f->c, fid2, &type, &start, &len, &pid), 0);
	assert_int_equal(type, F_WRLCK);
	assert_int_equal(start, 10);
	assert_int_equal(len, 5);
	assert_int_equal(p9_lock(f->c, fid, F_UNLCK, 0, 0), 0);
	assert_int_equal(p9_lock(f->c, fid2, F_RDLCK, 12, 1), 0);
	p9_clunk(f->c, fid);
	p9_clunk(f->c, fid2);
}

static void extended_attributes(void **state)
{
	struct fix *f = *state;
	char buf[64];
	uint32_t fid;

	fix_write(f, "x", "");
	if (setxattr(fix_path(f, "x"), "user.probe", "1", 1, 0) < 0) {
		skip(); /* /tmp without user.* attributes */
	}
	assert_int_equal(p9_lookup(f->c, f->root, "x", &fid, NULL), 0);
	assert_int_equal(p9_setxattr(f->c, fid, "user.key", "value", 5, 0), 0);
	assert_int_equal(p9_setxattr(f->c, fid, "user.key", "value", 5, XATTR_CREATE), -EEXIST);
	assert_int_equal(p9_getxattr(f->c, fid, "user.key", NULL, 0), 5);
	assert_int_equal(p9_getxattr(f->c, fid, "user.key", buf, 3), -ERANGE);
	assert_int_equal(p9_getxattr(f->c, fid, "user.key", buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "value", 5);
	assert_int_equal(p9_listxattr(f->c, fid, NULL, 0), 20);
	assert_int_equal(p9_listxattr(f->c, fid, buf, 10), -ERANGE);
	assert_int_equal(p9_listxattr(f->c, fid, buf, sizeof(buf)), 20);
	assert_int_equal(p9_removexattr(f->c, fid, "user.key"), 0);
	assert_int_equal(p9_getxattr(f->c, fid, "user.key", buf, sizeof(buf)), -ENODATA);
	assert_int_equal(p9_setxattr(f->c, fid, "trusted.x", "v", 1, 0), -EPERM);
	assert_int_equal(p9_setxattr(f->c, fid, "security.capability", "v", 1, 0), -EPERM);
	assert_int_equal(p9_setxattr(f->c, fid, "system.other", "v", 1, 0), -EOPNOTSUPP);
	assert_int_equal(p9_getxattr(f->c, fid, "trusted.x", buf, sizeof(buf)), -ENODATA);
	p9_clunk(f->c, fid);
}

static void readonly_export(void **state)
{
	struct fix *f = *state;
	uint32_t ro, fid, root_file;
	char c;
	int fd;

	fix_write(f, "f", "abc");
	assert_int_equal(p9_attach(f->c, "ro", &ro, NULL), 0);
	assert_int_equal(p9_lookup(f->c, ro, "f", &fid, NULL), 0);
	assert_int_equal(p9_openfd(f->c, fid, O_RDWR), -EROFS);
	assert_int_equal(p9_openfd(f->c, fid, O_WRONLY), -EROFS);
	fd = p9_openfd(f->c, fid, O_RDONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, &c, 1), 1);
	(void)close(fd);
	assert_int_equal(p9_open(f->c, fid, O_RDWR), -EROFS);
	assert_int_equal(p9_setattr(f->c, fid, &(struct p9_setattr){ .valid = P9_SETATTR_MODE }), -EROFS);
	assert_int_equal(p9_mkdir(f->c, ro, "d", 0755, P9_NOUID, P9_NOUID, NULL, NULL), -EROFS);
	assert_int_equal(p9_unlink(f->c, ro, "f", 0), -EROFS);
	assert_int_equal(p9_rename(f->c, ro, "f", ro, "g", 0), -EROFS);
	assert_int_equal(p9_link(f->c, ro, "g", fid), -EROFS);
	assert_int_equal(p9_setxattr(f->c, fid, "user.a", "b", 1, 0), -EROFS);
	assert_int_equal(p9_create(f->c, ro, "new", O_RDONLY, 0644, P9_NOUID, P9_NOUID, &root_file, NULL), -EROFS);
	fd = p9_create(f->c, ro, "f", O_RDONLY, 0644, P9_NOUID, P9_NOUID, &root_file, NULL);
	assert_true(fd >= 0);
	(void)close(fd);
	p9_clunk(f->c, root_file);
	/* No way around by linking it into the writable export of the same directory. */
	assert_int_equal(p9_link(f->c, f->root, "g", fid), -EXDEV);
	p9_clunk(f->c, fid);
	p9_clunk(f->c, ro);
}

static void unix_sockets(void **state)
{
	struct fix *f = *state;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct p9_attr a;
	uint32_t fid, plain;
	int ls, fd, peer;
	char c = 0;

	ls = p9_bind(f->c, f->root, "listen", SOCK_STREAM, 0640, P9_NOUID, P9_NOUID, &fid, &a);
	assert_true(ls >= 0);
	assert_int_equal(a.mode, S_IFSOCK | 0640);
	assert_int_equal(listen(ls, 4), 0);
	assert_int_equal(p9_bind(f->c, f->root, "listen", SOCK_STREAM, 0640, P9_NOUID, P9_NOUID, NULL, NULL), -EADDRINUSE);
	fd = p9_connect(f->c, fid, SOCK_STREAM);
	assert_true(fd >= 0);
	peer = accept(ls, NULL, NULL);
	assert_true(peer >= 0);
	assert_int_equal(write(fd, "z", 1), 1);
	assert_int_equal(read(peer, &c, 1), 1);
	assert_int_equal(c, 'z');
	assert_int_equal(p9_connect(f->c, fid, SOCK_DGRAM), -EPROTOTYPE);
	assert_int_equal(p9_connect(f->c, fid, 77), -EINVAL);
	assert_int_equal(p9_connect(f->c, f->root, SOCK_STREAM), -ECONNREFUSED);
	p9_clunk(f->c, fid);
	assert_int_equal(p9_attach(f->c, "plain", &plain, NULL), 0);
	assert_int_equal(p9_lookup(f->c, plain, "listen", &fid, NULL), 0);
	assert_int_equal(p9_connect(f->c, fid, SOCK_STREAM), -ECONNREFUSED);
	assert_int_equal(p9_bind(f->c, plain, "l2", SOCK_STREAM, 0640, P9_NOUID, P9_NOUID, NULL, NULL), -EPERM);
	/* A host process can reach what the sandbox bound. */
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%.60s/listen", f->dir);
	(void)close(fd);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	(void)close(fd);
	(void)close(peer);
	(void)close(ls);
	p9_clunk(f->c, fid);
	p9_clunk(f->c, plain);
}

/* A host process swaps a directory for a symlink and back while the client walks through it. */
static void rename_race_never_escapes(void **state)
{
	struct fix *f = *state;
	const char *via[] = { "dir", "passwd" };
	struct p9_walked w[2];
	pid_t pid;
	int status;

	assert_int_equal(mkdir(fix_path(f, "dir"), 0755), 0);
	fix_write(f, "dir/passwd", "inside");
	assert_int_equal(symlink("/etc", fix_path(f, "evil")), 0);
	assert_int_equal(chdir(f->dir), 0);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 20000; i++)
			(void)!renameat2(AT_FDCWD, "dir", AT_FDCWD, "evil", RENAME_EXCHANGE);
		_exit(0);
	}
	for (int i = 0; i < 3000; i++) {
		int err;
		ssize_t n = p9_walk(f->c, f->root, via, 2, true, w, &err);

		assert_true(n >= 1);
		if (n == 2) {
			assert_int_equal(w[1].attr.size, 6);
			p9_clunk_later(f->c, w[1].fid);
		}
		p9_clunk_later(f->c, w[0].fid);
	}
	p9_clunk_flush(f->c);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(chdir("/"), 0);
}

static void *hammer(void *arg)
{
	struct fix *f = arg;
	char name[64];

	(void)snprintf(name, sizeof(name), "t-%lx", (unsigned long)pthread_self());
	for (int i = 0; i < 200; i++) {
		struct p9_attr a;
		uint32_t fid;
		char buf[100];
		int fd = p9_create(f->c, f->root, name, O_RDWR | O_EXCL, 0600, P9_NOUID, P9_NOUID, &fid, &a);

		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, name, strlen(name), 0), strlen(name));
		(void)close(fd);
		assert_int_equal(p9_open(f->c, fid, O_RDONLY), 0);
		assert_int_equal(p9_read(f->c, fid, buf, sizeof(buf), 0), strlen(name));
		assert_memory_equal(buf, name, strlen(name));
		assert_int_equal(p9_fsync(f->c, fid, false), 0);
		assert_int_equal(p9_getattr(f->c, fid, &a), 0);
		assert_int_equal(p9_unlink(f->c, f->root, name, 0), 0);
		p9_clunk_later(f->c, fid);
	}
	return NULL;
}

static void many_threads(void **state)
{
	struct fix *f = *state;
	pthread_t th[8];

	for (size_t i = 0; i < ARRAY_SIZE(th); i++)
		assert_int_equal(pthread_create(&th[i], NULL, hammer, f), 0);
	for (size_t i = 0; i < ARRAY_SIZE(th); i++)
		assert_int_equal(pthread_join(th[i], NULL), 0);
	p9_clunk_flush(f->c);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(attach_and_walk), T(escapes), T(create_donates_and_owns), T(special_files_are_not_opened),
		T(directories_links_renames), T(attributes), T(readdir_with_attributes), T(io_through_the_gofer),
		T(extended_attributes), T(readonly_export), T(unix_sockets), T(rename_race_never_escapes), T(many_threads),
	};
	int r = cmocka_run_group_tests_name("seqpacket", tests, NULL, NULL);

	sock_type = SOCK_STREAM;
	return r + cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
