// SPDX-License-Identifier: Apache-2.0
/* Private anonymous memory: zero fill, contents over a checkpoint, holes, argument errors, munmap splits. */
#include "guest.h"

void guest_test(void)
{
	size_t n = 8 << 20;
	char *p = OK(mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), *q;
	unsigned char vec[4];

	SUBTEST("zero filled, sparse touches survive");
	for (size_t i = 0; i < n; i += 1 << 20)
		CHECK_EQ(p[i], 0);
	for (size_t i = 0; i < n; i += 64 * 1024)
		guest_fill(p + i, PAGE, (int)(i >> 16));
	guest_checkpoint();
	for (size_t i = 0; i < n; i += 64 * 1024) {
		CHECK(guest_filled(p + i, PAGE, (int)(i >> 16)));
		CHECK_EQ(p[i + PAGE], 0);
	}
	SUBTEST("errors");
	CHECK_ERRNO(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1), EINVAL);
	CHECK_ERRNO(mmap(NULL, 1UL << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	CHECK_ERRNO(mmap(p + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
	CHECK_ERRNO(munmap(p + 1, PAGE), EINVAL);
	CHECK_ERRNO(munmap(p, 0), EINVAL);
	CHECK_ERRNO(munmap((void *)(1UL << 47), PAGE), EINVAL);
	CHECK_EQ(munmap((void *)0x10000000UL, PAGE), 0); /* nothing there: fine */
	SUBTEST("length is rounded up");
	q = OK(mmap(NULL, 100, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	q[4095] = 1;
	CHECK_EQ(munmap(q, 100), 0);
	CHECK_ERRNO(mincore(q, PAGE, vec), ENOMEM);
	SUBTEST("punching holes");
	CHECK_EQ(munmap(p + PAGE, PAGE), 0);
	CHECK_EQ(munmap(p + 3 * PAGE, PAGE), 0);
	CHECK_EQ(mincore(p, PAGE, vec), 0);
	CHECK_ERRNO(mincore(p + PAGE, PAGE, vec), ENOMEM);
	CHECK_EQ(mincore(p + 2 * PAGE, PAGE, vec), 0);
	CHECK_ERRNO(mincore(p, 3 * PAGE, vec), ENOMEM);
	CHECK_EQ(munmap(p, 5 * PAGE), 0); /* over the holes */
	CHECK(guest_filled(p + 64 * 1024, PAGE, 1));
	SUBTEST("a hint is honoured when free");
	q = OK(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	CHECK_EQ((uintptr_t)q, (uintptr_t)p);
	guest_checkpoint();
	CHECK_EQ(munmap(p, n), 0);
}
