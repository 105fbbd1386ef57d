// SPDX-License-Identifier: Apache-2.0
/* signalfd: reads several, formats, mask updates, poll, non-blocking, inherited by fork, pending over a checkpoint. */
#include "guest.h"
#include <sys/signalfd.h>

void guest_test(void)
{
	struct signalfd_siginfo si[8];
	struct pollfd pf;
	sigset_t s;
	pid_t p;
	int fd;

	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigaddset(&s, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &s, NULL);
	fd = OK(signalfd(-1, &s, SFD_NONBLOCK | SFD_CLOEXEC));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(read(fd, si, sizeof(si)), EAGAIN);
	pf = (struct pollfd){fd, POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, 0), 0);
	raise(SIGUSR1);
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5});
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 6});
	CHECK_EQ(poll(&pf, 1, 0), 1);
	guest_checkpoint();
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_ERRNO(read(fd, si, 127), EINVAL);
	CHECK_EQ(read(fd, si, sizeof(si[0]) * 2 + 50), sizeof(si[0]) * 2);
	CHECK_EQ(si[0].ssi_signo, SIGUSR1);
	CHECK_EQ(si[0].ssi_code, SI_TKILL);
	CHECK_EQ(si[1].ssi_signo, SIGRTMIN);
	CHECK_EQ(si[1].ssi_int, 5);
	CHECK_EQ(si[1].ssi_code, SI_QUEUE);
	CHECK_EQ(si[1].ssi_pid, getpid());
	CHECK_EQ(read(fd, si, sizeof(si)), sizeof(si[0]));
	CHECK_EQ(si[0].ssi_int, 6);
	CHECK_ERRNO(read(fd, si, sizeof(si)), EAGAIN);
	SUBTEST("a new mask");
	sigemptyset(&s);
	sigaddset(&s, SIGUSR2);
	sigprocmask(SIG_BLOCK, &s, NULL);
	CHECK_EQ(signalfd(fd, &s, 0), fd);
	raise(SIGUSR1);
	CHECK_ERRNO(read(fd, si, sizeof(si)), EAGAIN);
	raise(SIGUSR2);
	CHECK_EQ(read(fd, si, sizeof(si)), sizeof(si[0]));
	CHECK_EQ(si[0].ssi_signo, SIGUSR2);
	SUBTEST("it reads the reader's signals");
	raise(SIGUSR2);
	CHILD (p) {
		CHECK_ERRNO(read(fd, si, sizeof(si)), EAGAIN);
		raise(SIGUSR2);
		CHECK_EQ(read(fd, si, sizeof(si)), sizeof(si[0]));
		CHECK_EQ(si[0].ssi_pid, getpid());
		_exit(0);
	}
	guest_reap(p);
	guest_checkpoint();
	CHECK_EQ(read(fd, si, sizeof(si)), sizeof(si[0]));
	SUBTEST("errors");
	CHECK_ERRNO(signalfd(0, &s, 0), EINVAL);
	CHECK_ERRNO(signalfd(999, &s, 0), EBADF);
	CHECK_ERRNO(signalfd(-1, &s, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_signalfd4, -1, &s, 4, 0), EINVAL);
	CHECK_ERRNO(write(fd, si, 8), EINVAL);
}
