// SPDX-License-Identifier: Apache-2.0
/* link, symlink, unlink, readlink: counts, loops, lengths, error matrix; unlinked open files over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	struct stat st;
	char b[PATH_MAX + 10], name[300], link1[64];
	int fd, i;

	guest_write_file("a", "data");
	SUBTEST("hard links");
	OK(link("a", "b"));
	OK(stat("b", &st));
	CHECK_EQ(st.st_nlink, 2);
	CHECK_ERRNO(link("a", "b"), EEXIST);
	CHECK_ERRNO(link("none", "c"), ENOENT);
	OK(mkdir("d", 0755));
	CHECK_ERRNO(link("d", "c"), EPERM);
	CHECK_ERRNO(link("a", "d/none/x"), ENOENT);
	CHECK_ERRNO(link("a", "a/x"), ENOTDIR);
	CHECK_ERRNO(link("a", "/dev/guest-x"), EXDEV);
	OK(symlink("a", "s"));
	OK(link("s", "s2")); /* links the link itself */
	OK(lstat("s2", &st));
	CHECK(S_ISLNK(st.st_mode));
	CHECK_EQ(st.st_nlink, 2);
	OK(linkat(AT_FDCWD, "s", AT_FDCWD, "c", AT_SYMLINK_FOLLOW));
	OK(stat("a", &st));
	CHECK_EQ(st.st_nlink, 3);
	SUBTEST("unlinked, open");
	fd = OK(open("a", O_RDWR));
	OK(unlink("a"));
	OK(unlink("b"));
	OK(unlink("c"));
	OK(fstat(fd, &st));
	CHECK_EQ(st.st_nlink, 0);
	guest_write_file("a", "another");
	guest_checkpoint();
	OK(fstat(fd, &st));
	CHECK_EQ(st.st_nlink, 0);
	CHECK_EQ(st.st_size, 4);
	CHECK_EQ(pread(fd, b, 10, 0), 4);
	CHECK(memcmp(b, "data", 4) == 0);
	CHECK_EQ(pwrite(fd, "DATA+", 5, 0), 5);
	CHECK_EQ(guest_read_file("a", b, 100), 7);
	snprintf(link1, sizeof(link1), "/proc/self/fd/%d", fd);
	i = (int)OK(readlink(link1, b, PATH_MAX));
	b[i] = 0;
	CHECK(strstr(b, "/a (deleted)"));
	int re = OK(open(link1, O_RDONLY)); /* reopened through /proc */
	CHECK_EQ(read(re, b, 10), 5);
	CHECK_ERRNO(linkat(AT_FDCWD, link1, AT_FDCWD, "again", AT_SYMLINK_FOLLOW), ENOENT);
	SUBTEST("symbolic links");
	CHECK_EQ(readlink("s", b, sizeof(b)), 1);
	CHECK_EQ(readlink("s", b, 1), 1);
	CHECK_ERRNO(readlink("s", b, 0), EINVAL);
	CHECK_ERRNO(readlink("a", b, 10), EINVAL);
	CHECK_ERRNO(readlink("none", b, 10), ENOENT);
	CHECK_ERRNO(symlink("x", "s"), EEXIST);
	CHECK_ERRNO(symlink("", "t"), ENOENT);
	OK(lstat("s", &st));
	CHECK_EQ(st.st_size, 1);
	CHECK_EQ(st.st_mode, S_IFLNK | 0777);
	SUBTEST("loops: 40 are followed");
	guest_write_file("l0", "end");
	for (i = 1; i <= 41; i++) {
		char from[16], to[16];

		snprintf(to, sizeof(to), "l%d", i - 1);
		snprintf(from, sizeof(from), "l%d", i);
		OK(symlink(to, from));
	}
	CHECK_EQ(access("l40", F_OK), 0);
	CHECK_ERRNO(access("l41", F_OK), ELOOP);
	OK(symlink("loop", "loop"));
	CHECK_ERRNO(open("loop", O_RDONLY), ELOOP);
	CHECK_ERRNO(open("loop/x", O_RDONLY), ELOOP);
	CHECK_EQ(unlink("loop"), 0);
	SUBTEST("names and paths at their limits");
	memset(name, 'n', sizeof(name));
	name[255] = 0;
	guest_write_file(name, "");
	name[255] = 'n';
	name[256] = 0;
	CHECK_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
	CHECK_ERRNO(mkdir(name, 0755), ENAMETOOLONG);
	memset(b, '/', sizeof(b));
	b[4095] = 0;
	CHECK_EQ(access(b, F_OK), 0);
	b[4095] = '/';
	b[4096] = 0;
	CHECK_ERRNO(access(b, F_OK), ENAMETOOLONG);
	SUBTEST("unlink and rmdir");
	CHECK_ERRNO(unlink("d"), EISDIR);
	CHECK_ERRNO(rmdir("a"), ENOTDIR);
	CHECK_ERRNO(unlink("none"), ENOENT);
	CHECK_ERRNO(unlink("a/"), ENOTDIR);
	CHECK_ERRNO(rmdir("d/."), EINVAL);
	CHECK_ERRNO(rmdir("d/.."), ENOTEMPTY);
	CHECK_ERRNO(rmdir("/"), EBUSY);
	guest_write_file("d/x", "");
	CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
	CHECK_ERRNO(unlinkat(AT_FDCWD, "a", AT_REMOVEDIR), ENOTDIR);
	CHECK_ERRNO(unlinkat(AT_FDCWD, "a", 0x1), EINVAL);
	CHECK_ERRNO(mkdir("d", 0755), EEXIST);
	CHECK_ERRNO(mkdir("s", 0755), EEXIST);
	CHECK_ERRNO(mkdir("a/x", 0755), ENOTDIR);
	CHECK_EQ(mkdir("slash/", 0755), 0);
	OK(symlink("d", "ld"));
	CHECK_ERRNO(rmdir("ld"), ENOTDIR);
	CHECK_ERRNO(unlink("ld/"), ENOTDIR);
	CHECK_ERRNO(rmdir("ld/"), ENOTDIR);
}
