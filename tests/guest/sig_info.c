// SPDX-License-Identifier: Apache-2.0
/*
 * siginfo contents by origin: kill, tgkill, sigqueue, timers, children, faults; also for signals pending at a
 * checkpoint.
 */
#include "guest.h"

static siginfo_t take(int sig)
{
	siginfo_t si;
	sigset_t s;

	memset(&si, 0xee, sizeof(si));
	sigemptyset(&s);
	sigaddset(&s, sig);
	/* Not by the C library, which rewrites SI_TKILL. */
	CHECK_EQ(syscall(SYS_rt_sigtimedwait, &s, &si, NULL, 8), sig);
	CHECK_EQ(si.si_signo, sig);
	CHECK_EQ(si.si_errno, 0);
	return si;
}

void guest_test(void)
{
	struct itimerval itv = {.it_value = {0, 1000}};
	struct sigevent sev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 4711};
	struct itimerspec its = {.it_value = {0, 1000000}};
	siginfo_t si;
	timer_t id;
	pid_t p;
	int sigs[] = {SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM, SIGRTMIN, SIGRTMIN + 1};

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		guest_block(sigs[i]);
	CHILD (p) {
		OK(setresuid(0, 1234, 0)); /* may signal by its real uid; si_uid is the real one */
		OK(kill(getppid(), SIGUSR1));
		OK(sigqueue(getppid(), SIGRTMIN, (union sigval){.sival_ptr = (void *)0x123456789aUL}));
		OK(syscall(SYS_tgkill, getppid(), getppid(), SIGUSR2));
		_exit(17);
	}
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &sev, &id), 0);
	CHECK_EQ(timer_settime(id, 0, &its, NULL), 0);
	CHECK_EQ(setitimer(ITIMER_REAL, &itv, NULL), 0);
	msleep(30);
	guest_checkpoint();
	si = take(SIGUSR1);
	CHECK_EQ(si.si_code, SI_USER);
	CHECK_EQ(si.si_pid, p);
	CHECK_EQ(si.si_uid, 0);
	si = take(SIGUSR2);
	CHECK_EQ(si.si_code, SI_TKILL);
	CHECK_EQ(si.si_pid, p);
	si = take(SIGRTMIN);
	CHECK_EQ(si.si_code, SI_QUEUE);
	CHECK_EQ(si.si_pid, p);
	CHECK_EQ((uintptr_t)si.si_value.sival_ptr, 0x123456789aUL);
	si = take(SIGCHLD);
	CHECK_EQ(si.si_code, CLD_EXITED);
	CHECK_EQ(si.si_pid, p);
	CHECK_EQ(si.si_status, 17);
	guest_status(p);
	si = take(SIGALRM);
	CHECK_EQ(si.si_code, SI_KERNEL);
	si = take(SIGRTMIN + 1);
	CHECK_EQ(si.si_code, SI_TIMER);
	CHECK_EQ(si.si_value.sival_int, 4711);
	CHECK_EQ(si.si_overrun, 0);
	SUBTEST("CLD codes");
	CHILD (p) {
		raise(SIGSTOP);
		raise(SIGKILL);
	}
	si = take(SIGCHLD);
	CHECK_EQ(si.si_code, CLD_STOPPED);
	CHECK_EQ(si.si_status, SIGSTOP);
	guest_checkpoint();
	OK(kill(p, SIGCONT));
	for (;;) { /* continued and killed may merge; killed comes last */
		si = take(SIGCHLD);
		CHECK_EQ(si.si_pid, p);
		if (si.si_code == CLD_KILLED)
			break;
		CHECK_EQ(si.si_code, CLD_CONTINUED);
		CHECK_EQ(si.si_status, SIGCONT);
		if (waitpid(p, NULL, WNOHANG) == p)
			break;
	}
	waitpid(p, NULL, 0);
	SUBTEST("raise is tgkill");
	raise(SIGUSR1);
	si = take(SIGUSR1);
	CHECK_EQ(si.si_code, SI_TKILL);
	CHECK_EQ(si.si_pid, getpid());
}
