// SPDX-License-Identifier: Apache-2.0
/* The smallest program: output, a file, a child, a checkpoint. Run it first on a new platform. */
#include "guest.h"

void guest_test(void)
{
	char buf[16];
	pid_t p;

	SUBTEST("getpid");
	CHECK(getpid() > 0);
	CHECK_EQ(getppid(), syscall(SYS_getppid));
	SUBTEST("file");
	guest_write_file("f", "hello");
	guest_checkpoint();
	CHECK_EQ(guest_read_file("f", buf, sizeof(buf)), 5);
	CHECK_STR(buf, "hello");
	SUBTEST("child");
	CHILD (p)
		_exit(0);
	guest_reap(p);
	CHECK_ERRNO(prctl(GUEST_PRCTL_MARK, 0, 0, 0, 0), EINVAL);
}
