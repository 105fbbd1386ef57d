// SPDX-License-Identifier: Apache-2.0
/* MAP_FIXED replaces, MAP_FIXED_NOREPLACE refuses, both keep neighbours; low and high address limits. */
#include "guest.h"

void guest_test(void)
{
	char *p = OK(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	guest_fill(p, 16 * PAGE, 3);
	SUBTEST("replace the middle");
	CHECK(mmap(p + 4 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + 4 * PAGE);
	CHECK_EQ(p[4 * PAGE + 1], 0);
	CHECK(guest_filled(p, 4 * PAGE, 3));
	CHECK_EQ(p[8 * PAGE - 1], 0);
	SUBTEST("NOREPLACE");
	CHECK_ERRNO(mmap(p + 4 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	CHECK_ERRNO(mmap(p + 3 * PAGE, 20 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	CHECK_EQ(munmap(p + 6 * PAGE, 2 * PAGE), 0);
	guest_checkpoint();
	CHECK(mmap(p + 6 * PAGE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == p + 6 * PAGE);
	SUBTEST("the rest is as it was");
	char *all = malloc(16 * PAGE);
	guest_fill(all, 16 * PAGE, 3);
	CHECK(memcmp(p + 8 * PAGE, all + 8 * PAGE, 8 * PAGE) == 0);
	SUBTEST("limits");
	CHECK_ERRNO(mmap((void *)0x7ffffffff000UL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), ENOMEM);
	CHECK(mmap((void *)0x7fffffffe000UL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
		      (void *)0x7fffffffe000UL || errno == EEXIST || errno == ENOMEM); /* a platform may keep the last page */
	CHECK(mmap((void *)0x100000, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
	      (void *)0x100000);
	strcpy((char *)0x100000, "low");
	guest_checkpoint();
	CHECK_STR((char *)0x100000, "low");
	SUBTEST("MAP_32BIT");
	char *low = OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
	CHECK((uintptr_t)low < 0x80000000UL);
}
