// SPDX-License-Identifier: Apache-2.0
/*
 * Real-time signals queue in order with their values; standard ones merge; lowest number first; all pending over a
 * checkpoint.
 */
#include "guest.h"

static int order[64], values[64], n;

static void note(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	order[n] = sig;
	values[n++] = si->si_value.sival_int;
	CHECK_EQ(si->si_code, SI_QUEUE);
	CHECK_EQ(si->si_pid, getpid());
	CHECK_EQ(si->si_uid, getuid());
}

void guest_test(void)
{
	sigset_t s, pend;
	int r = SIGRTMIN;

	sigemptyset(&s);
	for (int i = 0; i < 3; i++) {
		sigaddset(&s, r + i);
		guest_handler(r + i, note, 0);
	}
	sigaddset(&s, SIGUSR1);
	guest_handler(SIGUSR1, note, 0);
	sigprocmask(SIG_BLOCK, &s, NULL);
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(sigqueue(getpid(), r + 2, (union sigval){.sival_int = 200 + i}), 0);
		CHECK_EQ(sigqueue(getpid(), r, (union sigval){.sival_int = 100 + i}), 0);
		CHECK_EQ(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 300 + i}), 0);
	}
	CHECK_EQ(sigpending(&pend), 0);
	CHECK(sigismember(&pend, r) && sigismember(&pend, r + 2) && !sigismember(&pend, r + 1) && sigismember(&pend, SIGUSR1));
	guest_checkpoint();
	CHECK_EQ(sigpending(&pend), 0);
	CHECK(sigismember(&pend, r) && sigismember(&pend, r + 2) && !sigismember(&pend, r + 1) && sigismember(&pend, SIGUSR1));
	CHECK_EQ(n, 0);
	/* With one unblocking the handlers nest, so the last frame set up runs first: take them by sigwaitinfo instead. */
	siginfo_t si;
	CHECK_EQ(sigwaitinfo(&s, &si), SIGUSR1);
	CHECK_EQ(si.si_value.sival_int, 300); /* the first one stays */
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(sigwaitinfo(&s, &si), r);
		CHECK_EQ(si.si_value.sival_int, 100 + i);
	}
	/* The rest by delivery; no SA_NODEFER, one signal number: in order. */
	guest_unblock(r);
	CHECK_EQ(n, 3);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(values[i], 102 + i);
	guest_unblock(r + 2);
	CHECK_EQ(n, 8);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(values[3 + i], 200 + i);
	SUBTEST("limit");
	struct rlimit rl = {0, 0};
	pid_t p;
	CHILD (p) {
		OK(setresuid(54322, 54322, 54322));
		OK(setrlimit(RLIMIT_SIGPENDING, &rl));
		CHECK_ERRNO(sigqueue(getpid(), r + 1, (union sigval){0}), EAGAIN);
		CHECK_EQ(kill(getpid(), SIGUSR1), 0); /* standard signals always go through */
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("errors");
	CHECK_ERRNO(sigqueue(getpid(), 65, (union sigval){0}), EINVAL);
	CHECK_ERRNO(sigqueue(999999, r, (union sigval){0}), ESRCH);
	siginfo_t forged = {.si_code = SI_USER};
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getppid(), r, &forged), EPERM);
}
