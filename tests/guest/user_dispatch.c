// SPDX-License-Identifier: Apache-2.0
/* prctl(PR_SET_SYSCALL_USER_DISPATCH): calls become SIGSYS while a byte says so; ranges, errors, fork, exec, a checkpoint. */
#include "guest.h"
#include <sys/prctl.h>
#include <ucontext.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define ON 1
#define ALLOW 0
#define BLOCK 1

static volatile char selector;
static volatile int caught, caught_nr, caught_code;
static void *volatile caught_at;

static int dispatch(long mode, unsigned long start, unsigned long len, volatile char *sel)
{
	return prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, start, len, sel);
}

/* Emulates the call: its result is its number plus one. */
static void on_sigsys(int sig, siginfo_t *si, void *uc)
{
	ucontext_t *u = uc;

	selector = ALLOW; /* rt_sigreturn is a call, too */
	caught++;
	caught_nr = si->si_syscall;
	caught_code = si->si_code;
	caught_at = si->si_call_addr;
	CHECK_EQ(u->uc_mcontext.gregs[REG_RAX], caught_nr);
	CHECK_EQ(u->uc_mcontext.gregs[REG_RIP], (long)si->si_call_addr);
	u->uc_mcontext.gregs[REG_RAX]++;
}

static void install(void)
{
	struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};

	OK(sigaction(SIGSYS, &sa, NULL));
}

void guest_test(void)
{
	pid_t p, me = getpid();
	int status;

	SUBTEST("errors");
	CHECK_ERRNO(dispatch(2, 0, 0, NULL), EINVAL);
	CHECK_ERRNO(dispatch(0, 1, 0, NULL), EINVAL);
	CHECK_ERRNO(dispatch(0, 0, 0, &selector), EINVAL);
	CHECK_ERRNO(dispatch(ON, 1, -1ul, NULL), EINVAL);
	CHECK_ERRNO(dispatch(ON, 8, 0, NULL), EINVAL);
	CHECK_ERRNO(dispatch(ON, 0, 0, (void *)-4096), EFAULT);

	SUBTEST("caught while the byte says so");
	install();
	OK(dispatch(ON, 0, 0, &selector));
	CHECK_EQ(getppid() > 0, 1);
	selector = BLOCK;
	long r = syscall(0xff00, 1, 2, 3);
	CHECK_EQ(selector, ALLOW);
	CHECK_EQ(r, 0xff01);
	CHECK_EQ(caught, 1);
	CHECK_EQ(caught_nr, 0xff00);
	CHECK_EQ(caught_code, 2 /* SYS_USER_DISPATCH */);

	SUBTEST("over a checkpoint");
	guest_checkpoint();
	selector = BLOCK;
	r = syscall(SYS_getpid);
	CHECK_EQ(r, SYS_getpid + 1);
	CHECK_EQ(caught, 2);
	CHECK_EQ(getpid(), me);

	SUBTEST("not inherited");
	selector = ALLOW;
	CHILD (p) {
		selector = BLOCK;
		_exit(getppid() == me ? 0 : 1);
	}
	guest_reap(p);

	SUBTEST("a range of addresses is exempt");
	OK(dispatch(ON, 1, ~0ul - 8, &selector));
	selector = BLOCK;
	CHECK_EQ(getpid(), me);
	OK(dispatch(0, 0, 0, NULL));
	CHECK_EQ(getpid(), me);
	CHECK_EQ(caught, 2);

	SUBTEST("what kills");
	p = OK(fork());
	if (!p) {
		selector = 7;
		(void)dispatch(ON, 0, 0, &selector);
		(void)getpid();
		_exit(0);
	}
	CHECK_EQ(waitpid(p, &status, 0), p);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGSYS);
	p = OK(fork());
	if (!p) {
		(void)dispatch(ON, 0, 0, (void *)4096);
		(void)getpid();
		_exit(0);
	}
	CHECK_EQ(waitpid(p, &status, 0), p);
	CHECK_EQ(WTERMSIG(status), SIGSEGV);
}
