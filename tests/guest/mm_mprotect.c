// SPDX-License-Identifier: Apache-2.0
/* Splitting and merging protections; each page keeps its own over a checkpoint; argument errors. */
#include "guest.h"
#include <setjmp.h>

static sigjmp_buf jb;

static void jump(int sig, siginfo_t *si, void *uc)
{
	(void)si, (void)uc;
	siglongjmp(jb, sig);
}

static bool can_read(volatile char *p)
{
	if (sigsetjmp(jb, 1))
		return false;
	(void)*p;
	return true;
}

static bool can_write(volatile char *p)
{
	if (sigsetjmp(jb, 1))
		return false;
	*p = 1;
	return true;
}

static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE, PROT_READ | PROT_WRITE, PROT_READ};

static void check_all(char *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(prots); i++) {
		CHECK_EQ(can_read(p + i * PAGE), prots[i] != PROT_NONE);
		CHECK_EQ(can_write(p + i * PAGE), (prots[i] & PROT_WRITE) != 0);
	}
}

void guest_test(void)
{
	char *p = OK(mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	pid_t c;

	guest_handler(SIGSEGV, jump, SA_NODEFER);
	guest_fill(p, 6 * PAGE, 9);
	for (size_t i = 0; i < ARRAY_SIZE(prots); i++)
		CHECK_EQ(mprotect(p + i * PAGE, PAGE, prots[i]), 0);
	check_all(p);
	guest_checkpoint();
	check_all(p);
	CHILD (c) {
		check_all(p);
		_exit(0);
	}
	guest_reap(c);
	SUBTEST("system calls obey protection");
	int fds[2];
	OK(pipe(fds));
	CHECK_ERRNO(write(fds[1], p, 1), EFAULT);
	CHECK_EQ(write(fds[1], p + PAGE, 1), 1);
	CHECK_ERRNO(read(fds[0], p + PAGE, 1), EFAULT);
	CHECK_EQ(write(fds[1], p + 2 * PAGE - 10, 10), 10);
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600));
	CHECK_EQ(write(fd, p + 3 * PAGE - 10, 20), 10); /* a file takes what is readable, */
	CHECK_ERRNO(write(fds[1], p + 3 * PAGE - 10, 20), EFAULT); /* a pipe a whole chunk or nothing */
	SUBTEST("contents come back");
	CHECK_EQ(mprotect(p, 6 * PAGE, PROT_READ | PROT_WRITE), 0);
	char *w = malloc(6 * PAGE);
	guest_fill(w, 6 * PAGE, 9);
	for (int i = 0; i < 6; i++)
		CHECK(memcmp(p + i * PAGE + 1, w + i * PAGE + 1, PAGE - 1) == 0);
	SUBTEST("errors");
	CHECK_ERRNO(mprotect(p + 1, PAGE, PROT_READ), EINVAL);
	CHECK_ERRNO(mprotect(p, PAGE, 0x1000), EINVAL);
	CHECK_EQ(mprotect(p, 0, PROT_READ), 0);
	CHECK_EQ(munmap(p + 2 * PAGE, PAGE), 0);
	CHECK_ERRNO(mprotect(p, 6 * PAGE, PROT_READ), ENOMEM);
	/* What lay before the hole was changed all the same. */
	CHECK(!can_write(p));
	CHECK(!can_write(p + PAGE));
	CHECK(can_write(p + 3 * PAGE));
}
