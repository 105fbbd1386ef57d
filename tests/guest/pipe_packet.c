// SPDX-License-Identifier: Apache-2.0
/* O_DIRECT pipes keep packet boundaries; a long packet's rest is dropped; over a checkpoint. */
#include "guest.h"

void guest_test(void)
{
	char b[10000], c[10000];
	int fds[2];

	guest_fill(b, sizeof(b), 5);
	OK(pipe2(fds, O_DIRECT));
	CHECK_EQ(write(fds[1], b, 10), 10);
	CHECK_EQ(write(fds[1], b + 10, 20), 20);
	CHECK_EQ(write(fds[1], b, 5000), 5000); /* two packets: PIPE_BUF and the rest */
	guest_checkpoint();
	CHECK_EQ(read(fds[0], c, 100), 10);
	CHECK_EQ(read(fds[0], c, 5), 5);
	CHECK(memcmp(c, b + 10, 5) == 0); /* 15 bytes lost */
	CHECK_EQ(read(fds[0], c, sizeof(c)), 4096);
	CHECK_EQ(read(fds[0], c, sizeof(c)), 904);
	CHECK_EQ(fcntl(fds[1], F_GETFL), O_WRONLY | O_DIRECT);
	SUBTEST("the flag can be taken off");
	OK(fcntl(fds[1], F_SETFL, 0));
	CHECK_EQ(write(fds[1], "ab", 2), 2);
	CHECK_EQ(write(fds[1], "cd", 2), 2);
	CHECK_EQ(read(fds[0], c, sizeof(c)), 4);
}
