// SPDX-License-Identifier: Apache-2.0
/* MADV_DONTNEED, FREE, DONTFORK, WIPEONFORK, DONTDUMP, POPULATE; on private, shared and file memory. */
#include "guest.h"

void guest_test(void)
{
	char *p = OK(mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), *s, *f;
	int fd = guest_make_file("f", 2 * PAGE, 5);
	unsigned char v;
	pid_t c;

	SUBTEST("DONTNEED on anonymous memory: zeros");
	guest_fill(p, 8 * PAGE, 1);
	CHECK_EQ(madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(p[PAGE], 0);
	CHECK_EQ(p[3 * PAGE - 1], 0);
	CHECK(guest_filled(p, PAGE, 1));
	SUBTEST("DONTNEED on a private file page: the file again");
	f = OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	f[0] ^= 1;
	CHECK_EQ(madvise(f, PAGE, MADV_DONTNEED), 0);
	CHECK(guest_filled(f, 2 * PAGE, 5));
	SUBTEST("DONTNEED on shared memory keeps the contents");
	s = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	s[0] = 9;
	CHECK_EQ(madvise(s, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(s[0], 9);
	SUBTEST("FREE: old contents or zeros");
	p[4 * PAGE] = 7;
	CHECK_EQ(madvise(p + 4 * PAGE, PAGE, MADV_FREE), 0);
	CHECK(p[4 * PAGE] == 7 || p[4 * PAGE] == 0);
	p[4 * PAGE] = 8;
	CHECK_EQ(p[4 * PAGE], 8);
	SUBTEST("DONTFORK and WIPEONFORK");
	strcpy(p + 5 * PAGE, "wipe");
	strcpy(p + 6 * PAGE, "gone");
	CHECK_EQ(madvise(p + 5 * PAGE, PAGE, MADV_WIPEONFORK), 0);
	CHECK_EQ(madvise(p + 6 * PAGE, PAGE, MADV_DONTFORK), 0);
	guest_checkpoint();
	CHECK_STR(p + 5 * PAGE, "wipe");
	CHILD (c) {
		CHECK_EQ(p[5 * PAGE], 0);
		CHECK_ERRNO(mincore(p + 6 * PAGE, PAGE, &v), ENOMEM);
		pid_t g;
		p[5 * PAGE] = 1;
		CHILD (g) {
			CHECK_EQ(p[5 * PAGE], 0); /* inherited by grandchildren */
			_exit(0);
		}
		guest_reap(g);
		_exit(0);
	}
	guest_reap(c);
	CHECK_EQ(madvise(p + 5 * PAGE, PAGE, MADV_KEEPONFORK), 0);
	CHECK_EQ(madvise(p + 6 * PAGE, PAGE, MADV_DOFORK), 0);
	CHILD (c) {
		CHECK_STR(p + 5 * PAGE, "wipe");
		CHECK_STR(p + 6 * PAGE, "gone");
		_exit(0);
	}
	guest_reap(c);
	SUBTEST("hints");
	CHECK_EQ(madvise(p, 8 * PAGE, MADV_WILLNEED), 0);
	CHECK_EQ(madvise(p, 8 * PAGE, MADV_SEQUENTIAL), 0);
	CHECK_EQ(madvise(p, 8 * PAGE, MADV_RANDOM), 0);
	CHECK_EQ(madvise(p, 8 * PAGE, MADV_NORMAL), 0);
	CHECK_EQ(madvise(p, PAGE, MADV_DONTDUMP), 0);
	SUBTEST("errors");
	CHECK_ERRNO(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	CHECK_ERRNO(madvise(p, PAGE, 1234), EINVAL);
	CHECK_EQ(madvise(p, 0, MADV_DONTNEED), 0);
	CHECK_ERRNO(madvise(f, PAGE, MADV_WIPEONFORK), EINVAL);
	CHECK_ERRNO(madvise(f, PAGE, MADV_FREE), EINVAL);
	CHECK_EQ(munmap(p + 2 * PAGE, PAGE), 0);
	CHECK_ERRNO(madvise(p, 4 * PAGE, MADV_DONTNEED), ENOMEM);
	CHECK_EQ(p[3 * PAGE], 0); /* the rest was done all the same */
}
