// SPDX-License-Identifier: Apache-2.0
/* Stack growth on demand, deep recursion, MAP_GROWSDOWN, alternate thread stacks, over a checkpoint in the depth. */
#include "guest.h"

static int depth(int n)
{
	volatile char frame[2000];

	frame[0] = (char)n;
	frame[1999] = (char)(n >> 8);
	if (n == 0)
		guest_checkpoint();
	else
		depth(n - 1);
	CHECK_EQ(frame[0], (char)n);
	CHECK_EQ(frame[1999], (char)(n >> 8));
	return n;
}

static void *thread(void *arg)
{
	depth(100);
	return arg;
}

void guest_test(void)
{
	pthread_attr_t a;
	pthread_t t;
	char line[256], *near;
	uintptr_t lo = 0, hi = 0;
	FILE *f;

	CHECK_EQ(depth(1000), 1000); /* 2 MB */
	near = alloca(3 << 20);
	memset(near, 5, 3 << 20);
	CHECK_EQ(near[0], 5);
	SUBTEST("thread stack");
	pthread_attr_init(&a);
	CHECK_EQ(pthread_attr_setstacksize(&a, 512 * 1024), 0);
	CHECK_EQ(pthread_create(&t, &a, thread, NULL), 0);
	guest_join(t);
	SUBTEST("the stack is in /proc/self/maps");
	f = fopen("/proc/self/maps", "r");
	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "[stack]"))
			CHECK_EQ(sscanf(line, "%lx-%lx", &lo, &hi), 2);
	fclose(f);
	CHECK((uintptr_t)&f >= lo && (uintptr_t)&f < hi);
	CHECK(hi - lo >= 3UL << 20);
	SUBTEST("MAP_GROWSDOWN");
	char *g = OK(mmap(NULL, 2 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	munmap(g, 2 << 20);
	CHECK(mmap(g + (2 << 20) - PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0) !=
	      MAP_FAILED);
	for (size_t i = 1; i < 16; i++) {
		volatile char *q = g + (2 << 20) - i * PAGE - 8;

		*q = (char)i;
		CHECK_EQ(*q, i);
	}
}
