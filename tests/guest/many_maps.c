// SPDX-License-Identifier: Apache-2.0
/* Two thousand separate mappings with alternating protections and contents, inherited by a child, over a checkpoint. */
#include "guest.h"

#define N 2000

static char *p;

static void check(void)
{
	for (size_t i = 0; i < N; i++) {
		if (i % 3 == 2)
			continue;
		CHECK_EQ(*(int *)(p + i * PAGE), (int)(i * 7));
		CHECK_EQ(*(int *)(p + i * PAGE + 2000), 0);
	}
}

void guest_test(void)
{
	unsigned char v;
	pid_t c;

	p = OK(mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (size_t i = 0; i < N; i++)
		*(int *)(p + i * PAGE) = (int)(i * 7);
	for (size_t i = 0; i < N; i++)
		if (i % 3 == 1)
			CHECK_EQ(mprotect(p + i * PAGE, PAGE, PROT_READ), 0);
		else if (i % 3 == 2)
			CHECK_EQ(munmap(p + i * PAGE, PAGE), 0);
	check();
	guest_checkpoint();
	check();
	CHECK_ERRNO(mincore(p + 2 * PAGE, PAGE, &v), ENOMEM);
	CHILD (c) {
		check();
		for (size_t i = 0; i < N; i += 3)
			*(int *)(p + i * PAGE) = -1;
		_exit(0);
	}
	guest_reap(c);
	check();
}
