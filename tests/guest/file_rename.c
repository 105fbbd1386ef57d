// SPDX-License-Identifier: Apache-2.0
/*
 * rename and renameat2: replace rules, NOREPLACE, EXCHANGE, directories, hard links, trailing slashes, errors; open
 * files follow.
 */
#include "guest.h"

static ino_t ino(const char *p)
{
	struct stat st;

	OK(lstat(p, &st));
	return st.st_ino;
}

static int ren2(const char *a, const char *b, unsigned flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, flags);
}

void guest_test(void)
{
	char b[32], proc[64], name[PATH_MAX];
	int fd;
	ssize_t n;

	guest_write_file("a", "aaa");
	guest_write_file("b", "bb");
	OK(mkdir("d", 0755));
	OK(mkdir("e", 0755));
	guest_write_file("e/x", "");
	SUBTEST("replace a file that is open");
	fd = OK(open("b", O_RDONLY));
	ino_t i = ino("a");
	CHECK_EQ(rename("a", "b"), 0);
	CHECK_EQ(ino("b"), i);
	CHECK_ERRNO(access("a", F_OK), ENOENT);
	guest_checkpoint();
	CHECK_EQ(read(fd, b, 10), 2); /* the old one lives on */
	CHECK_EQ(guest_read_file("b", b, 32), 3);
	SUBTEST("renamed while open: the descriptor follows");
	fd = OK(open("b", O_RDONLY));
	CHECK_EQ(rename("b", "d/c"), 0);
	guest_checkpoint();
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = OK(readlink(proc, name, sizeof(name) - 1));
	name[n] = 0;
	CHECK(strlen(name) > 4 && strcmp(name + strlen(name) - 4, "/d/c") == 0);
	CHECK_EQ(read(fd, b, 10), 3);
	SUBTEST("type rules");
	guest_write_file("f", "");
	CHECK_ERRNO(rename("f", "d"), EISDIR);
	CHECK_ERRNO(rename("d", "f"), ENOTDIR);
	CHECK_ERRNO(rename("d", "e"), ENOTEMPTY);
	CHECK_ERRNO(rename("d", "d/sub"), EINVAL);
	CHECK_ERRNO(rename("e/x", "e/x/y"), ENOTDIR);
	CHECK_ERRNO(rename("none", "x"), ENOENT);
	CHECK_ERRNO(rename("f", "none/x"), ENOENT);
	CHECK_ERRNO(rename("f", "g/"), ENOTDIR);
	CHECK_ERRNO(rename("f/", "g"), ENOTDIR);
	CHECK_ERRNO(rename("d", "."), EBUSY);
	CHECK_ERRNO(rename("..", "x"), EBUSY);
	CHECK_ERRNO(rename("d/..", "x"), EBUSY);
	CHECK_ERRNO(rename("e", "e/../d/."), EBUSY);
	OK(unlink("d/c"));
	CHECK_EQ(rename("e", "d"), 0); /* an empty directory may be replaced */
	CHECK_EQ(access("d/x", F_OK), 0);
	CHECK_EQ(rename("d/", "e/"), 0);
	SUBTEST("the same file");
	OK(link("f", "f2"));
	CHECK_EQ(rename("f", "f2"), 0); /* nothing happens */
	CHECK_EQ(access("f", F_OK), 0);
	CHECK_EQ(rename("f", "f"), 0);
	SUBTEST("flags");
	guest_write_file("g", "ggg");
	CHECK_ERRNO(ren2("f", "g", 1), EEXIST);
	CHECK_EQ(ren2("f", "h", 1), 0);
	ino_t h = ino("h"), e = ino("e");
	CHECK_EQ(ren2("h", "e", 2), 0); /* exchange */
	CHECK_EQ(ino("e"), h);
	CHECK_EQ(ino("h"), e);
	CHECK_EQ(access("h/x", F_OK), 0);
	CHECK_ERRNO(ren2("h", "none", 2), ENOENT);
	CHECK_ERRNO(ren2("h", "g", 3), EINVAL);
	CHECK_ERRNO(ren2("h", "g", 0x80), EINVAL);
	CHECK_ERRNO(ren2("h", "h/x", 2), EINVAL);
	CHECK_ERRNO(ren2("h/x", "h", 2), EINVAL);
	SUBTEST("symbolic links are renamed themselves");
	OK(symlink("g", "sl"));
	CHECK_EQ(rename("sl", "sl2"), 0);
	CHECK_EQ(readlink("sl2", b, 32), 1);
	SUBTEST("permissions and sticky directories");
	pid_t p;
	OK(mkdir("sticky", 01777));
	OK(chmod("sticky", 01777));
	guest_write_file("sticky/root", "");
	CHILD (p) {
		OK(setresuid(1000, 1000, 1000));
		guest_write_file("sticky/mine", "");
		CHECK_ERRNO(rename("sticky/root", "sticky/x"), EPERM);
		CHECK_ERRNO(rename("sticky/mine", "sticky/root"), EPERM);
		CHECK_ERRNO(unlink("sticky/root"), EPERM);
		CHECK_EQ(rename("sticky/mine", "sticky/x"), 0);
		CHECK_ERRNO(rename("g", "g2"), EACCES);
		_exit(0);
	}
	guest_reap(p);
}
