// SPDX-License-Identifier: Apache-2.0
/*
 * Private file mappings: copy on write, later file writes show through untouched pages only, offsets, over a
 * checkpoint.
 */
#include "guest.h"

void guest_test(void)
{
	int fd = guest_make_file("f", 5 * PAGE + 100, 1), ro;
	char *p = OK(mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)), c, *want = malloc(6 * PAGE);

	memset(want, 0, 6 * PAGE);
	guest_fill(want, 5 * PAGE + 100, 1);
	CHECK(memcmp(p, want, 6 * PAGE) == 0);
	SUBTEST("copy on write");
	p[0] = 'Z';
	p[5 * PAGE + 200] = 'T'; /* beyond EOF in the last page */
	CHECK_EQ(pread(fd, &c, 1, 0), 1);
	CHECK_EQ(c, want[0]);
	guest_checkpoint();
	CHECK_EQ(p[0], 'Z');
	CHECK_EQ(p[5 * PAGE + 200], 'T');
	CHECK(memcmp(p + 1, want + 1, 5 * PAGE + 99) == 0);
	SUBTEST("write to the file");
	CHECK_EQ(pwrite(fd, "xy", 2, 0), 2);
	CHECK_EQ(p[0], 'Z');
	CHECK_EQ(p[1], want[1]);
	CHECK_EQ(pwrite(fd, "Q", 1, 2 * PAGE), 1);
	CHECK_EQ(p[2 * PAGE], 'Q');
	SUBTEST("offset, closed and unlinked file");
	char *q = OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 3 * PAGE));
	CHECK(memcmp(q, want + 3 * PAGE, PAGE) == 0);
	close(fd);
	OK(unlink("f"));
	guest_checkpoint();
	CHECK(memcmp(q, want + 3 * PAGE, PAGE) == 0);
	CHECK_EQ(p[2 * PAGE], 'Q');
	SUBTEST("errors");
	guest_write_file("g", "data");
	ro = OK(open("g", O_RDONLY));
	CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0) != MAP_FAILED);
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0), EACCES);
	CHECK_ERRNO(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 100), EINVAL);
	int wo = OK(open("g", O_WRONLY));
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0), EACCES);
	int dir = OK(open(".", O_RDONLY | O_DIRECTORY));
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, dir, 0), ENODEV);
	int pfd[2];
	OK(pipe(pfd));
	CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, pfd[0], 0), ENODEV);
	char *r = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0));
	CHECK_ERRNO(mprotect(r, PAGE, PROT_READ | PROT_WRITE), EACCES);
}
