// SPDX-License-Identifier: Apache-2.0
/* fork copy-on-write is exact in both directions for parent, children and grandchildren, also over a checkpoint. */
#include "guest.h"

#define N 64

static char *p;

static void check_all(int seed)
{
	for (int i = 0; i < N; i++)
		CHECK(guest_filled(p + (size_t)i * PAGE, PAGE, seed + i));
}

static void fill_all(int seed)
{
	for (int i = 0; i < N; i++)
		guest_fill(p + (size_t)i * PAGE, PAGE, seed + i);
}

void guest_test(void)
{
	struct gate go[3], done;
	pid_t c[3];

	p = OK(mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	gate_init(&done);
	fill_all(1);
	for (int i = 0; i < 3; i++) {
		gate_init(&go[i]);
		CHILD (c[i]) {
			pid_t g;

			gate_wait(&go[i]);
			check_all(1);
			fill_all(100 * (i + 1));
			CHILD (g) {
				check_all(100 * (i + 1));
				fill_all(7);
				check_all(7);
				_exit(0);
			}
			guest_reap(g);
			check_all(100 * (i + 1));
			gate_post(&done);
			gate_wait(&go[i]);
			check_all(100 * (i + 1));
			_exit(0);
		}
	}
	guest_checkpoint();
	gate_post(&go[0]);
	gate_wait(&done);
	check_all(1);
	fill_all(50);
	gate_post(&go[1]);
	gate_post(&go[2]);
	gate_wait(&done);
	gate_wait(&done);
	check_all(50);
	guest_checkpoint();
	for (int i = 0; i < 3; i++)
		gate_post(&go[i]);
	for (int i = 0; i < 3; i++)
		guest_reap(c[i]);
	check_all(50);
	SUBTEST("the kernel's own writes break sharing too");
	int fds[2];
	OK(pipe(fds));
	CHECK_EQ(write(fds[1], "kernel", 6), 6);
	CHILD (c[0]) {
		CHECK_EQ(read(fds[0], p, 6), 6);
		CHECK(memcmp(p, "kernel", 6) == 0);
		_exit(0);
	}
	guest_reap(c[0]);
	check_all(50);
}
