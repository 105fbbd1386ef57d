// SPDX-License-Identifier: Apache-2.0
/* A process and a thread blocked in read() of an empty pipe across a checkpoint get the data, never EINTR. */
#include "guest.h"

static int fds[2], fds2[2];

static void *thread(void *arg)
{
	char c[4];

	*(volatile pid_t *)arg = guest_gettid();
	CHECK_EQ(read(fds2[0], c, 4), 2);
	CHECK(c[0] == 'x' && c[1] == 'y');
	return NULL;
}

void guest_test(void)
{
	volatile pid_t tid = 0;
	pthread_t t;
	pid_t p;
	char c[8];

	OK(pipe(fds));
	OK(pipe(fds2));
	CHILD (p) {
		close(fds[1]);
		CHECK_EQ(read(fds[0], c, sizeof(c)), 3);
		CHECK(memcmp(c, "abc", 3) == 0);
		CHECK_EQ(read(fds[0], c, sizeof(c)), 0);
		_exit(0);
	}
	t = guest_thread(thread, (void *)&tid);
	while (!tid)
		msleep(1);
	guest_blocked(tid);
	guest_blocked(p);
	guest_checkpoint();
	CHECK_EQ(write(fds[1], "abc", 3), 3);
	CHECK_EQ(write(fds2[1], "xy", 2), 2);
	guest_blocked(p);
	guest_checkpoint();
	close(fds[1]);
	guest_join(t);
	guest_reap(p);
}
