// SPDX-License-Identifier: Apache-2.0
/* sigsuspend, pause, sigtimedwait, signalfd read blocked over a checkpoint end only by the signal. */
#include "guest.h"
#include <sys/signalfd.h>

static void waiter(int kind)
{
	struct signalfd_siginfo si;
	struct timespec ts = {100, 0}, shortly = {0, 250 * MS};
	int64_t t0 = now_ns(CLOCK_MONOTONIC);
	siginfo_t info;
	sigset_t s, none;
	int fd;

	sigemptyset(&none);
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	switch (kind) {
	case 0:
		CHECK_ERRNO(sigsuspend(&none), EINTR);
		CHECK_EQ(guest_sig_count, 1);
		sigprocmask(SIG_BLOCK, NULL, &none);
		CHECK(sigismember(&none, SIGUSR1));
		break;
	case 1:
		guest_unblock(SIGUSR1);
		if (guest_sig_count == 0)
			CHECK_ERRNO(pause(), EINTR);
		CHECK_EQ(guest_sig_count, 1);
		break;
	case 2:
		CHECK_EQ(sigtimedwait(&s, &info, &ts), SIGUSR1);
		CHECK_EQ(info.si_pid, getppid());
		CHECK_EQ(guest_sig_count, 0);
		break;
	case 3:
		CHECK_EQ(sigwaitinfo(&s, NULL), SIGUSR1);
		break;
	case 4:
		fd = OK(signalfd(-1, &s, 0));
		CHECK_EQ(read(fd, &si, sizeof(si)), sizeof(si));
		CHECK_EQ(si.ssi_signo, SIGUSR1);
		CHECK_EQ(si.ssi_pid, getppid());
		break;
	case 5:
		CHECK_ERRNO(sigtimedwait(&s, NULL, &shortly), EAGAIN);
		CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 249 * MS);
		break;
	}
	_exit(0);
}

void guest_test(void)
{
	pid_t p[6];

	guest_catch(SIGUSR1, 0);
	guest_block(SIGUSR1);
	for (int i = 0; i < 6; i++)
		CHILD (p[i])
			waiter(i);
	for (int i = 0; i < 5; i++)
		guest_blocked(p[i]);
	guest_checkpoint();
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(waitpid(p[i], NULL, WNOHANG), 0);
		CHECK_EQ(kill(p[i], SIGUSR1), 0);
	}
	for (int i = 0; i < 6; i++)
		guest_reap(p[i]);
}
