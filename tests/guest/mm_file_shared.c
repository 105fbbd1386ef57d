// SPDX-License-Identifier: Apache-2.0
/* Shared file mappings are one memory with read/write, across processes, truncation (SIGBUS) and a checkpoint. */
#include "guest.h"
#include <setjmp.h>

static sigjmp_buf jb;
static siginfo_t seen;

static void jump(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	seen = *si;
	siglongjmp(jb, sig);
}

void guest_test(void)
{
	int fd = guest_make_file("f", 4 * PAGE, 1), fd2 = OK(open("f", O_RDWR));
	volatile char *p = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	volatile char *q = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd2, PAGE));
	char buf[8];
	pid_t c;

	SUBTEST("coherent with read and write");
	p[PAGE] = 'a';
	CHECK_EQ(q[0], 'a');
	CHECK_EQ(pread(fd2, buf, 1, PAGE), 1);
	CHECK_EQ(buf[0], 'a');
	CHECK_EQ(pwrite(fd2, "b", 1, PAGE), 1);
	CHECK_EQ(p[PAGE], 'b');
	CHECK_EQ(q[0], 'b');
	SUBTEST("with a child, over a checkpoint");
	struct gate g;
	gate_init(&g);
	CHILD (c) {
		gate_wait(&g);
		CHECK_EQ(p[5], 'x');
		p[6] = 'y';
		_exit(0);
	}
	guest_checkpoint();
	p[5] = 'x';
	gate_post(&g);
	guest_reap(c);
	CHECK_EQ(p[6], 'y');
	CHECK_EQ(pread(fd, buf, 2, 5), 2);
	CHECK(memcmp(buf, "xy", 2) == 0);
	CHECK_EQ(p[PAGE], q[0]);
	SUBTEST("msync");
	CHECK_EQ(msync((void *)p, 4 * PAGE, MS_SYNC), 0);
	CHECK_ERRNO(msync((void *)(p + 1), PAGE, MS_SYNC), EINVAL);
	CHECK_ERRNO(msync((void *)p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	CHECK_ERRNO(msync((void *)0x10000000, PAGE, MS_ASYNC), ENOMEM);
	SUBTEST("truncate: SIGBUS beyond the end, zeros after growth");
	guest_handler(SIGBUS, jump, SA_NODEFER);
	OK(ftruncate(fd, PAGE + 10));
	CHECK_EQ(p[PAGE], 'b');
	CHECK_EQ(p[PAGE + 10], 0); /* the tail of the last page is cleared */
	if (sigsetjmp(jb, 1) == 0) {
		(void)p[2 * PAGE];
		CHECK(!"reached");
	}
	CHECK_EQ(seen.si_signo, SIGBUS);
	CHECK_EQ(seen.si_code, BUS_ADRERR);
	CHECK_EQ((uintptr_t)seen.si_addr, (uintptr_t)p + 2 * PAGE);
	guest_checkpoint();
	if (sigsetjmp(jb, 1) == 0) {
		p[3 * PAGE] = 1;
		CHECK(!"reached");
	}
	CHECK_EQ((uintptr_t)seen.si_addr, (uintptr_t)p + 3 * PAGE);
	CHECK_ERRNO(write(-1, (void *)p, 1), EBADF);
	CHECK_ERRNO(pwrite(fd2, (void *)(p + 3 * PAGE), 1, 0), EFAULT);
	OK(ftruncate(fd, 4 * PAGE));
	CHECK_EQ(p[3 * PAGE], 0);
	CHECK_EQ(p[PAGE + 9], buf[0] ? p[PAGE + 9] : 0);
	SUBTEST("unlinked, closed, still shared");
	close(fd);
	close(fd2);
	OK(unlink("f"));
	p[PAGE] = 'u';
	CHILD (c) {
		CHECK_EQ(q[0], 'u');
		p[PAGE] = 'v';
		_exit(0);
	}
	guest_reap(c);
	guest_checkpoint();
	CHECK_EQ(q[0], 'v');
}
