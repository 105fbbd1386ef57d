// SPDX-License-Identifier: Apache-2.0
/* brk grows, shrinks and keeps its contents; failures return the current break. */
#include "guest.h"

void guest_test(void)
{
	char *b0 = (char *)syscall(SYS_brk, 0), *b;

	CHECK((char *)syscall(SYS_brk, b0 + 64 * 1024) == b0 + 64 * 1024);
	b = (char *)(((uintptr_t)b0 + PAGE - 1) & ~(PAGE - 1));
	for (int i = 0; i < 8; i++)
		CHECK_EQ(b[(size_t)i * PAGE], 0);
	guest_fill(b, 8 * PAGE, 2);
	guest_checkpoint();
	CHECK((char *)syscall(SYS_brk, 0) == b0 + 64 * 1024);
	CHECK(guest_filled(b, 8 * PAGE, 2));
	SUBTEST("shrink and grow gives zeros");
	CHECK((char *)syscall(SYS_brk, b + PAGE) == b + PAGE);
	CHECK((char *)syscall(SYS_brk, b + 8 * PAGE) == b + 8 * PAGE);
	CHECK(guest_filled(b, PAGE, 2));
	CHECK_EQ(b[PAGE], 0);
	CHECK_EQ(b[7 * PAGE], 0);
	SUBTEST("below the start and absurdly high: unchanged");
	CHECK((char *)syscall(SYS_brk, 4096) == b + 8 * PAGE);
	CHECK((char *)syscall(SYS_brk, 0x7fffffffffffUL) == b + 8 * PAGE);
	SUBTEST("RLIMIT_DATA");
	struct rlimit rl = {1 << 20, RLIM_INFINITY};
	OK(setrlimit(RLIMIT_DATA, &rl));
	CHECK((char *)syscall(SYS_brk, b + (16 << 20)) == b + 8 * PAGE);
	SUBTEST("a mapping in the way");
	rl.rlim_cur = RLIM_INFINITY;
	OK(setrlimit(RLIMIT_DATA, &rl));
	CHECK(mmap(b + 64 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	CHECK((char *)syscall(SYS_brk, b + 80 * PAGE) == b + 8 * PAGE);
	pid_t p;
	CHILD (p) {
		CHECK((char *)syscall(SYS_brk, 0) == b + 8 * PAGE);
		CHECK((char *)syscall(SYS_brk, b + 16 * PAGE) == b + 16 * PAGE);
		_exit(0);
	}
	guest_reap(p);
	CHECK((char *)syscall(SYS_brk, 0) == b + 8 * PAGE);
}
