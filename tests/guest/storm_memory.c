// SPDX-License-Identifier: Apache-2.0
/* Threads that map, fill, protect, move and unmap memory all the time over checkpoints; contents always match. */
#include "guest.h"

static volatile int stop;

static void *churn(void *arg)
{
	int seed = (int)(intptr_t)arg;

	for (int i = 0; !__atomic_load_n(&stop, __ATOMIC_SEQ_CST) || i < 20; i++) {
		size_t n = (size_t)(1 + (i * 13 + seed) % 16) * PAGE;
		char *p = OK(mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

		guest_fill(p, n, seed + i);
		CHECK_EQ(mprotect(p, n, PROT_READ), 0);
		CHECK(guest_filled(p, n, seed + i));
		p = mremap(p, n, 2 * n, MREMAP_MAYMOVE);
		CHECK(p != MAP_FAILED);
		CHECK_EQ(mprotect(p, 2 * n, PROT_READ | PROT_WRITE), 0);
		CHECK(guest_filled(p, n, seed + i));
		CHECK_EQ(p[n], 0);
		CHECK_EQ(madvise(p, n, MADV_DONTNEED), 0);
		CHECK_EQ(p[n - 1], 0);
		CHECK_EQ(munmap(p, 2 * n), 0);
	}
	return NULL;
}

void guest_test(void)
{
	pthread_t t[4];

	for (intptr_t i = 0; i < 4; i++)
		t[i] = guest_thread(churn, (void *)(i * 1000));
	msleep(20);
	guest_checkpoint();
	msleep(20);
	guest_checkpoint();
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 4; i++)
		guest_join(t[i]);
}
