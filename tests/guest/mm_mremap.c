// SPDX-License-Identifier: Apache-2.0
/* mremap: shrink, grow in place and by moving, fixed targets, DONTUNMAP, errors, contents throughout. */
#include "guest.h"

void guest_test(void)
{
	char *p = OK(mmap(NULL, 32 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), *q, *r;
	unsigned char v;

	SUBTEST("shrink");
	guest_fill(p, 8 * PAGE, 4);
	CHECK(mremap(p, 32 * PAGE, 8 * PAGE, 0) == p);
	CHECK_ERRNO(mincore(p + 8 * PAGE, PAGE, &v), ENOMEM);
	SUBTEST("grow in place into the hole");
	CHECK(mremap(p, 8 * PAGE, 16 * PAGE, 0) == p);
	CHECK(guest_filled(p, 8 * PAGE, 4));
	CHECK_EQ(p[15 * PAGE], 0);
	SUBTEST("grow blocked");
	CHECK(mmap(p + 16 * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	CHECK_ERRNO(mremap(p, 16 * PAGE, 64 * PAGE, 0), ENOMEM);
	q = mremap(p, 16 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p);
	CHECK(guest_filled(q, 8 * PAGE, 4));
	CHECK_ERRNO(mincore(p, PAGE, &v), ENOMEM);
	guest_checkpoint();
	CHECK(guest_filled(q, 8 * PAGE, 4));
	q[63 * PAGE] = 5;
	SUBTEST("fixed");
	r = OK(mmap(NULL, 128 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	CHECK(mremap(q, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, r + 8 * PAGE) == r + 8 * PAGE);
	q = r + 8 * PAGE;
	CHECK(guest_filled(q, 8 * PAGE, 4));
	CHECK_EQ(q[63 * PAGE], 5);
	SUBTEST("part of a mapping");
	CHECK(mremap(q + 2 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, r) == r);
	CHECK_ERRNO(mincore(q + 2 * PAGE, PAGE, &v), ENOMEM);
	char *w = malloc(8 * PAGE);
	guest_fill(w, 8 * PAGE, 4);
	CHECK(memcmp(r, w + 2 * PAGE, 2 * PAGE) == 0);
	CHECK(memcmp(q + 4 * PAGE, w + 4 * PAGE, 4 * PAGE) == 0);
	SUBTEST("DONTUNMAP");
	char *d = mremap(q + 4 * PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
	CHECK(d != MAP_FAILED);
	CHECK(memcmp(d, w + 4 * PAGE, 4 * PAGE) == 0);
	CHECK_EQ(q[4 * PAGE], 0); /* old place is there, empty */
	guest_checkpoint();
	CHECK(memcmp(d, w + 4 * PAGE, 4 * PAGE) == 0);
	CHECK_EQ(q[5 * PAGE], 0);
	SUBTEST("errors");
	CHECK_ERRNO(mremap(q + 1, PAGE, PAGE, 0), EINVAL);
	CHECK_ERRNO(mremap(q, PAGE, 0, 0), EINVAL);
	CHECK_ERRNO(mremap(q, PAGE, PAGE, MREMAP_FIXED, r), EINVAL);
	CHECK_ERRNO(mremap(q, PAGE, PAGE, 0x100), EINVAL);
	CHECK_ERRNO(mremap((void *)0x10000000, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
	CHECK_ERRNO(mremap(q, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE), EFAULT); /* spans the hole */
	CHECK_ERRNO(mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q + PAGE), EINVAL);
	CHECK_ERRNO(mremap(q, 0, PAGE, MREMAP_MAYMOVE), EINVAL); /* private: no second view */
}
