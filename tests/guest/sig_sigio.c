// SPDX-License-Identifier: Apache-2.0
/*
 * O_ASYNC: SIGIO or F_SETSIG signals with band and descriptor for pipes and sockets, owner by pid or group; over a
 * checkpoint.
 */
#include "guest.h"

static siginfo_t take(int sig, int ms)
{
	struct timespec ts = {ms / 1000, (ms % 1000) * MS};
	siginfo_t si = {0};
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, sig);
	if (sigtimedwait(&s, &si, &ts) != sig)
		si.si_signo = 0;
	return si;
}

void guest_test(void)
{
	int s[2], r = SIGRTMIN + 2;
	siginfo_t si;

	guest_block(SIGIO);
	guest_block(r);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	OK(fcntl(s[0], F_SETOWN, getpid()));
	OK(fcntl(s[0], F_SETFL, O_ASYNC));
	guest_checkpoint();
	CHECK_EQ(fcntl(s[0], F_GETFL) & O_ASYNC, O_ASYNC);
	CHECK_EQ(fcntl(s[0], F_GETOWN), getpid());
	CHECK_EQ(send(s[1], "x", 1, 0), 1);
	CHECK_EQ(take(SIGIO, 2000).si_signo, SIGIO);
	SUBTEST("F_SETSIG fills siginfo");
	OK(fcntl(s[0], F_SETSIG, r));
	guest_checkpoint();
	CHECK_EQ(send(s[1], "x", 1, 0), 1);
	si = take(r, 2000);
	CHECK_EQ(si.si_signo, r);
	CHECK_EQ(si.si_fd, s[0]);
	CHECK_EQ(si.si_code, POLL_IN);
	CHECK(si.si_band & POLLIN);
	SUBTEST("off");
	OK(fcntl(s[0], F_SETFL, 0));
	while (take(r, 5).si_signo)
		;
	CHECK_EQ(send(s[1], "x", 1, 0), 1);
	CHECK_EQ(take(r, 20).si_signo, 0);
	SUBTEST("owners");
	OK(fcntl(s[0], F_SETOWN, -getpgrp()));
	CHECK_EQ(fcntl(s[0], F_GETOWN), -getpgrp());
	CHECK_ERRNO(fcntl(s[0], F_SETOWN, 999999), ESRCH);
	CHECK_ERRNO(fcntl(s[0], F_SETSIG, 65), EINVAL);
}
