// SPDX-License-Identifier: Apache-2.0
/* A pipe opened again through /proc/self/fd, as shells do for process substitution: it survives a checkpoint while a read waits in it. */
#include "guest.h"

void guest_test(void)
{
	char path[64], link[64] = "", link2[64] = "", buf[8];
	int p[2], again;
	pid_t c;

	CHECK_EQ(pipe(p), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	again = OK(open(path, O_RDONLY));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", again);
	CHECK(readlink(path, link, sizeof(link) - 1) > 0);
	CHECK_EQ(close(p[0]), 0);
	CHILD (c) {
		CHECK_EQ(close(p[1]), 0);
		CHECK_EQ(read(again, buf, sizeof(buf)), 5);
		CHECK_EQ(memcmp(buf, "hello", 5), 0);
		CHECK_EQ(read(again, buf, sizeof(buf)), 0);
		_exit(0);
	}
	guest_blocked(c);
	guest_checkpoint();
	CHECK(readlink(path, link2, sizeof(link2) - 1) > 0);
	CHECK_EQ(strcmp(link, link2), 0);
	CHECK_EQ(write(p[1], "hello", 5), 5);
	CHECK_EQ(close(p[1]), 0);
	guest_reap(c);
}
