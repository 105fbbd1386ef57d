// SPDX-License-Identifier: Apache-2.0
/* A writer blocked on a full pipe (part of its data already in) across a checkpoint; nothing lost, nothing twice. */
#include "guest.h"

#define TOTAL 200000

void guest_test(void)
{
	char *b = malloc(TOTAL), *in = malloc(TOTAL);
	size_t n = 0;
	int fds[2];
	pid_t p;

	OK(pipe(fds));
	guest_fill(b, TOTAL, 1);
	CHILD (p) {
		close(fds[0]);
		CHECK_EQ(write(fds[1], b, TOTAL), TOTAL);
		_exit(0);
	}
	close(fds[1]);
	guest_blocked(p);
	guest_checkpoint();
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(read(fds[0], in + n, 10000), 10000);
		n += 10000;
	}
	guest_blocked(p);
	guest_checkpoint();
	while (n < TOTAL) {
		ssize_t r = read(fds[0], in + n, TOTAL - n);

		CHECK(r > 0);
		n += (size_t)r;
	}
	CHECK_EQ(read(fds[0], in, 1), 0);
	CHECK(memcmp(in, b, TOTAL) == 0);
	guest_reap(p);
}
