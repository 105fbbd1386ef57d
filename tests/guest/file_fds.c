// SPDX-License-Identifier: Apache-2.0
/*
 * Descriptors: lowest free number, dup family, close-on-exec, close_range, status flags, shared tables; over a
 * checkpoint.
 */
#include "guest.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

void guest_test(void)
{
	int a = OK(open("f", O_CREAT | O_RDWR, 0644)), b, n;
	struct flock dummy;
	pid_t p;

	(void)dummy;
	b = OK(dup(a));
	CHECK(b > a);
	close(a);
	CHECK_EQ(dup(b), a); /* the lowest free number */
	CHECK_EQ(fcntl(b, F_DUPFD, 100), 100);
	CHECK_EQ(fcntl(b, F_DUPFD, 100), 101);
	CHECK_EQ(fcntl(b, F_DUPFD_CLOEXEC, 50), 50);
	CHECK_EQ(fcntl(50, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(100, F_GETFD), 0);
	CHECK_EQ(dup2(b, 60), 60);
	CHECK_EQ(dup2(60, 60), 60);
	CHECK_ERRNO(dup3(b, b, 0), EINVAL);
	CHECK_EQ(dup3(b, 61, O_CLOEXEC), 61);
	CHECK_ERRNO(dup3(b, 62, O_APPEND), EINVAL);
	CHECK_EQ(fcntl(60, F_SETFD, FD_CLOEXEC), 0);
	CHECK_EQ(fcntl(b, F_SETFL, O_APPEND | O_NONBLOCK), 0); /* shared by all duplicates */
	n = guest_count_fds();
	guest_checkpoint();
	CHECK_EQ(guest_count_fds(), n);
	CHECK_EQ(fcntl(100, F_GETFL) & ~0100000, O_RDWR | O_APPEND | O_NONBLOCK);
	CHECK_EQ(fcntl(60, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(61, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(100, F_GETFD), 0);
	OK(lseek(a, 5, SEEK_SET));
	CHECK_EQ(lseek(101, 0, SEEK_CUR), 5);
	SUBTEST("F_SETFL ignores the access mode and creation flags");
	CHECK_EQ(fcntl(b, F_SETFL, O_WRONLY | O_CREAT | O_TRUNC), 0);
	CHECK_EQ(fcntl(b, F_GETFL) & O_ACCMODE, O_RDWR);
	SUBTEST("close_range");
	CHECK_EQ(syscall(SYS_close_range, 60, 61, 0), 0);
	CHECK_ERRNO(fcntl(60, F_GETFD), EBADF);
	CHECK_EQ(syscall(SYS_close_range, 90, ~0u, 4), 0); /* CLOSE_RANGE_CLOEXEC */
	CHECK_EQ(fcntl(100, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(syscall(SYS_close_range, 5, 4, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_close_range, 5, 6, 0x100), EINVAL);
	SUBTEST("a table shared by CLONE_FILES");
	p = (pid_t)OK(syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL));
	if (p == 0) {
		close(100);
		dup2(1, 200);
		_exit(0);
	}
	guest_reap(p);
	CHECK_ERRNO(fcntl(100, F_GETFD), EBADF);
	CHECK_EQ(fcntl(200, F_GETFD), 0);
	SUBTEST("unsharing it");
	p = (pid_t)OK(syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL));
	if (p == 0) {
		CHECK_EQ(unshare(CLONE_FILES), 0);
		guest_checkpoint();
		close(200);
		_exit(0);
	}
	guest_reap(p);
	CHECK_EQ(fcntl(200, F_GETFD), 0);
	SUBTEST("errors");
	CHECK_ERRNO(close(999), EBADF);
	CHECK_ERRNO(dup(999), EBADF);
	CHECK_ERRNO(dup2(999, 5), EBADF);
	CHECK_ERRNO(dup2(0, -1), EBADF);
	CHECK_ERRNO(dup2(0, 1 << 30), EBADF);
	CHECK_ERRNO(fcntl(0, F_DUPFD, -1), EINVAL);
	CHECK_ERRNO(fcntl(0, 9999), EINVAL);
	CHECK_ERRNO(fcntl(999, F_GETFD), EBADF);
	SUBTEST("kcmp");
	if (syscall(SYS_kcmp, getpid(), getpid(), 0, a, b) == 0)
		CHECK(syscall(SYS_kcmp, getpid(), getpid(), 0, a, 0) > 0);
	p = (pid_t)OK(fork());
	if (p == 0)
		for (;;)
			pause();
	CHECK_EQ(syscall(SYS_kcmp, getpid(), p, 6 /* KCMP_SYSVSEM */, 0, 0), 0); /* neither has any */
	CHECK(syscall(SYS_kcmp, getpid(), p, 2 /* KCMP_FILES */, 0, 0) > 0);
	OK(kill(p, SIGKILL));
	OK(waitpid(p, NULL, 0));
	SUBTEST("F_SETOWN and F_SETSIG");
	CHECK_EQ(fcntl(a, F_SETOWN, getpid()), 0);
	CHECK_EQ(fcntl(a, F_SETSIG, SIGUSR1), 0);
	guest_checkpoint();
	CHECK_EQ(fcntl(a, F_GETOWN), getpid());
	CHECK_EQ(fcntl(a, F_GETSIG), SIGUSR1);
}
