// SPDX-License-Identifier: Apache-2.0
/* sigtimedwait and friends: immediate, zero timeout, expiry, EINTR by another handler, thread and process signals. */
#include "guest.h"

static volatile pid_t tid;

static void *thread(void *arg)
{
	siginfo_t si;
	sigset_t s;

	(void)arg;
	tid = guest_gettid();
	sigemptyset(&s);
	sigaddset(&s, SIGUSR2);
	CHECK_EQ(syscall(SYS_rt_sigtimedwait, &s, &si, NULL, 8), SIGUSR2);
	CHECK_EQ(si.si_code, SI_TKILL);
	return NULL;
}

void guest_test(void)
{
	struct timespec zero = {0, 0}, ts = {0, 20 * MS}, bad = {0, 1000 * MS}, l = {20, 0};
	siginfo_t si;
	sigset_t s;
	pthread_t t;
	pid_t p;

	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	guest_block(SIGUSR1);
	guest_block(SIGUSR2);
	CHECK_ERRNO(sigtimedwait(&s, &si, &zero), EAGAIN);
	CHECK_ERRNO(sigtimedwait(&s, &si, &ts), EAGAIN);
	CHECK_ERRNO(sigtimedwait(&s, &si, &bad), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &s, &si, &ts, 4), EINVAL);
	CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, 8, &si, &ts, 8), EFAULT);
	raise(SIGUSR1);
	guest_checkpoint();
	CHECK_EQ(sigtimedwait(&s, &si, &zero), SIGUSR1);
	SUBTEST("another handler interrupts");
	guest_catch(SIGALRM, SA_RESTART);
	CHILD (p) {
		struct itimerval itv = {.it_value = {0, 20000}};

		setitimer(ITIMER_REAL, &itv, NULL);
		CHECK_ERRNO(sigtimedwait(&s, &si, &l), EINTR);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("directed at a thread");
	t = guest_thread(thread, NULL);
	while (!tid)
		msleep(1);
	guest_blocked(tid);
	guest_checkpoint();
	CHECK_EQ(syscall(SYS_tgkill, getpid(), tid, SIGUSR2), 0);
	guest_join(t);
	SUBTEST("unblocked signals are caught first by whom they are sent to");
	guest_catch(SIGUSR1, 0);
	raise(SIGUSR1);
	guest_unblock(SIGUSR1);
	CHECK_EQ(guest_sig_count, 1);
	SUBTEST("sigsuspend and ppoll swap the mask atomically");
	guest_block(SIGUSR1);
	raise(SIGUSR1);
	sigset_t none;
	sigemptyset(&none);
	CHECK_ERRNO(sigsuspend(&none), EINTR);
	CHECK_EQ(guest_sig_count, 2);
	raise(SIGUSR1);
	CHECK_ERRNO(ppoll(NULL, 0, &l, &none), EINTR);
	CHECK_EQ(guest_sig_count, 3);
	sigprocmask(SIG_BLOCK, NULL, &s);
	CHECK(sigismember(&s, SIGUSR1));
	raise(SIGUSR1);
	CHECK_ERRNO(pselect(0, NULL, NULL, NULL, &l, &none), EINTR);
	CHECK_EQ(guest_sig_count, 4);
}
