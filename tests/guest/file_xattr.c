// SPDX-License-Identifier: Apache-2.0
/*
 * Extended attributes user.* and trusted.*: set, get, list, remove, flags, sizes, permissions; kept over a
 * checkpoint.
 */
#include "guest.h"
#include <sys/xattr.h>

void guest_test(void)
{
	int fd = OK(open("f", O_CREAT | O_RDWR, 0644));
	char b[256], name[300];
	ssize_t n;
	pid_t p;

	if (setxattr("f", "user.a", "one", 3, 0) != 0 && errno == EOPNOTSUPP)
		SKIP("no user.* attributes here");
	CHECK_EQ(getxattr("f", "user.a", b, sizeof(b)), 3);
	CHECK(memcmp(b, "one", 3) == 0);
	CHECK_EQ(getxattr("f", "user.a", NULL, 0), 3);
	CHECK_ERRNO(getxattr("f", "user.a", b, 2), ERANGE);
	CHECK_EQ(fsetxattr(fd, "user.b", "", 0, XATTR_CREATE), 0);
	CHECK_EQ(fgetxattr(fd, "user.b", b, sizeof(b)), 0);
	CHECK_ERRNO(setxattr("f", "user.a", "x", 1, XATTR_CREATE), EEXIST);
	CHECK_ERRNO(setxattr("f", "user.c", "x", 1, XATTR_REPLACE), ENODATA);
	CHECK_EQ(setxattr("f", "user.a", "two!", 4, XATTR_REPLACE), 0);
	guest_checkpoint();
	CHECK_EQ(getxattr("f", "user.a", b, sizeof(b)), 4);
	CHECK(memcmp(b, "two!", 4) == 0);
	n = OK(listxattr("f", b, sizeof(b)));
	CHECK_EQ(n, 14);
	CHECK(memmem(b, (size_t)n, "user.a\0", 7) && memmem(b, (size_t)n, "user.b\0", 7));
	CHECK_EQ(listxattr("f", NULL, 0), 14);
	CHECK_ERRNO(listxattr("f", b, 5), ERANGE);
	CHECK_EQ(removexattr("f", "user.a"), 0);
	CHECK_ERRNO(removexattr("f", "user.a"), ENODATA);
	CHECK_ERRNO(getxattr("f", "user.a", b, sizeof(b)), ENODATA);
	SUBTEST("errors");
	CHECK_ERRNO(setxattr("f", "nons", "x", 1, 0), EOPNOTSUPP);
	CHECK_ERRNO(setxattr("f", "user.a", "x", 1, 4), EINVAL);
	CHECK_ERRNO(setxattr("f", "user.a", b, 65537, 0), E2BIG);
	CHECK_ERRNO(setxattr("none", "user.a", "x", 1, 0), ENOENT);
	memset(name, 'n', sizeof(name));
	memcpy(name, "user.", 5);
	name[256] = 0;
	CHECK_ERRNO(setxattr("f", name, "x", 1, 0), ERANGE);
	CHECK_ERRNO(setxattr("f", "", "x", 1, 0), ERANGE);
	OK(symlink("f", "s"));
	CHECK_ERRNO(lsetxattr("s", "user.a", "x", 1, 0), EPERM);
	CHECK_EQ(setxattr("s", "user.via", "x", 1, 0), 0);
	CHECK_EQ(getxattr("f", "user.via", b, sizeof(b)), 1);
	CHILD (p) {
		OK(setresuid(1000, 1000, 1000));
		CHECK_ERRNO(setxattr("f", "user.a", "x", 1, 0), EACCES);
		CHECK_EQ(getxattr("f", "user.via", b, sizeof(b)), 1);
		CHECK_ERRNO(setxattr("f", "trusted.a", "x", 1, 0), EPERM);
		_exit(0);
	}
	guest_reap(p);
}
