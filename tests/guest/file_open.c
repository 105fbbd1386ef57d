// SPDX-License-Identifier: Apache-2.0
/*
 * The open flag matrix: CREAT, EXCL, TRUNC, APPEND, DIRECTORY, NOFOLLOW, PATH, TMPFILE, access modes; open files over
 * a checkpoint.
 */
#include "guest.h"

void guest_test(void)
{
	char b[64], path[64];
	struct stat st;
	int fd, ap, rd, wr, tmp, o;

	SUBTEST("create");
	CHECK_ERRNO(open("f", O_RDWR), ENOENT);
	fd = OK(open("f", O_RDWR | O_CREAT | O_EXCL, 0666));
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0644);
	CHECK_ERRNO(open("f", O_RDWR | O_CREAT | O_EXCL, 0666), EEXIST);
	OK(symlink("nowhere", "dangling"));
	CHECK_ERRNO(open("dangling", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	CHECK_ERRNO(open("dangling", O_RDWR), ENOENT);
	close(OK(open("dangling", O_CREAT | O_RDWR, 0600)));
	CHECK_EQ(access("nowhere", F_OK), 0);
	wr = OK(open("noread", O_CREAT | O_RDWR, 0)); /* the mode counts for later opens only */
	CHECK_EQ(write(wr, "x", 1), 1);
	SUBTEST("access modes");
	CHECK_EQ(write(fd, "hello world", 11), 11);
	rd = OK(open("f", O_RDONLY));
	wr = OK(open("f", O_WRONLY));
	CHECK_ERRNO(write(rd, "x", 1), EBADF);
	CHECK_ERRNO(read(wr, b, 1), EBADF);
	CHECK_ERRNO(ftruncate(rd, 0), EINVAL);
	o = OK(open("f", 3)); /* neither read nor write, ioctl only */
	CHECK_ERRNO(read(o, b, 1), EBADF);
	CHECK_ERRNO(write(o, b, 1), EBADF);
	SUBTEST("append");
	ap = OK(open("f", O_WRONLY | O_APPEND));
	CHECK_EQ(lseek(ap, 3, SEEK_SET), 3);
	CHECK_EQ(write(ap, "!", 1), 1);
	CHECK_EQ(lseek(ap, 0, SEEK_CUR), 12);
	CHECK_EQ(pwrite(ap, "?", 1, 0), 1); /* appends as well */
	OK(lseek(fd, 5, SEEK_SET));
	guest_checkpoint();
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
	CHECK_EQ(read(fd, b, 64), 8);
	CHECK(memcmp(b, " world!?", 8) == 0);
	CHECK_ERRNO(write(rd, "x", 1), EBADF);
	CHECK_ERRNO(read(wr, b, 1), EBADF);
	CHECK_EQ(fcntl(ap, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
	CHECK_EQ(write(ap, "+", 1), 1);
	CHECK_EQ(pread(rd, b, 64, 0), 14);
	SUBTEST("truncate");
	close(OK(open("f", O_WRONLY | O_TRUNC)));
	CHECK_EQ(fstat(rd, &st), 0);
	CHECK_EQ(st.st_size, 0);
	SUBTEST("directories and links");
	OK(mkdir("d", 0755));
	OK(symlink("d", "ld"));
	OK(symlink("f", "lf"));
	CHECK_ERRNO(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERRNO(open("d", O_RDWR), EISDIR);
	CHECK_ERRNO(open("d", O_RDONLY | O_CREAT, 0600), EISDIR);
	CHECK_ERRNO(open("d", O_RDONLY | O_CREAT | O_DIRECTORY, 0600), EINVAL);
	CHECK_ERRNO(open("lf", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_ERRNO(open("ld", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), ENOTDIR);
	CHECK(open("ld/.", O_RDONLY | O_NOFOLLOW) >= 0);
	CHECK_ERRNO(open("f/", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open("new/", O_RDWR | O_CREAT, 0600), EISDIR);
	CHECK_ERRNO(open("", O_RDONLY), ENOENT);
	CHECK_ERRNO(open((char *)8, O_RDONLY), EFAULT);
	SUBTEST("O_PATH");
	o = OK(open("lf", O_PATH | O_NOFOLLOW));
	CHECK_EQ(fstat(o, &st), 0);
	CHECK(S_ISLNK(st.st_mode));
	CHECK_EQ(readlinkat(o, "", b, 64), 1);
	CHECK_ERRNO(read(o, b, 1), EBADF);
	CHECK_ERRNO(fchmod(o, 0600), EBADF);
	CHECK_ERRNO(ioctl(o, FIONREAD, b), EBADF);
	CHECK_ERRNO(fsync(o), EBADF);
	CHECK_EQ(fcntl(o, F_GETFL), O_PATH | O_NOFOLLOW);
	o = OK(open("d", O_PATH));
	close(OK(openat(o, "inside", O_CREAT | O_RDWR, 0600)));
	guest_checkpoint();
	CHECK_EQ(faccessat(o, "inside", F_OK, 0), 0);
	CHECK_EQ(fchdir(o), 0);
	OK(chdir(".."));
	SUBTEST("O_TMPFILE");
	tmp = OK(open(".", O_TMPFILE | O_RDWR, 0600));
	CHECK_EQ(write(tmp, "temp", 4), 4);
	CHECK_EQ(fstat(tmp, &st), 0);
	CHECK_EQ(st.st_nlink, 0);
	guest_checkpoint();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", tmp);
	CHECK_EQ(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), 0);
	CHECK_EQ(guest_read_file("named", b, 64), 4);
	tmp = OK(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", tmp);
	CHECK_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "named2", AT_SYMLINK_FOLLOW), ENOENT);
	CHECK_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
	CHECK_ERRNO(open("f", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
	SUBTEST("openat");
	CHECK_ERRNO(openat(fd, "x", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(openat(999, "x", O_RDONLY), EBADF);
	CHECK(openat(999, "/", O_RDONLY) >= 0);
}
