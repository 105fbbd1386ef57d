// SPDX-License-Identifier: Apache-2.0
/*
 * SA_RESETHAND, nested handlers, siglongjmp out, handlers that change registers and masks in the context, checkpoint
 * in depth.
 */
#include "guest.h"
#include <setjmp.h>

static sigjmp_buf jb;
static int trace[16], n;

static void outer(int sig, siginfo_t *si, void *uc)
{
	(void)si, (void)uc;
	trace[n++] = sig;
	if (sig == SIGUSR1)
		raise(SIGUSR2);
	if (sig == SIGUSR2)
		guest_checkpoint();
	trace[n++] = -sig;
}

static void jump(int sig, siginfo_t *si, void *uc)
{
	(void)si, (void)uc;
	siglongjmp(jb, sig);
}

static void edit(int sig, siginfo_t *si, void *uc)
{
	ucontext_t *u = uc;

	(void)sig, (void)si;
	sigaddset(&u->uc_sigmask, SIGHUP); /* the mask after return */
	u->uc_mcontext.gregs[REG_R12] = 0x1234;
}

void guest_test(void)
{
	struct sigaction sa;
	uint64_t r12;
	sigset_t s;

	SUBTEST("nesting over a checkpoint");
	guest_handler(SIGUSR1, outer, 0);
	guest_handler(SIGUSR2, outer, 0);
	raise(SIGUSR1);
	CHECK_EQ(n, 4);
	CHECK(trace[0] == SIGUSR1 && trace[1] == SIGUSR2 && trace[2] == -SIGUSR2 && trace[3] == -SIGUSR1);
	SUBTEST("RESETHAND");
	guest_catch(SIGUSR1, SA_RESETHAND);
	raise(SIGUSR1);
	CHECK_EQ(guest_sig_count, 1);
	CHECK_EQ(sigaction(SIGUSR1, NULL, &sa), 0);
	CHECK(sa.sa_handler == SIG_DFL);
	SUBTEST("siglongjmp restores the mask");
	guest_handler(SIGUSR1, jump, 0);
	for (int i = 0; i < 100; i++) {
		if (sigsetjmp(jb, 1) == 0) {
			raise(SIGUSR1);
			CHECK(!"reached");
		}
	}
	sigprocmask(SIG_BLOCK, NULL, &s);
	CHECK(!sigismember(&s, SIGUSR1));
	SUBTEST("edited context");
	guest_handler(SIGUSR1, edit, 0);
	__asm__ volatile("mov $0, %%r12\n\t mov $39, %%eax\n\t syscall\n\t mov %%eax, %%edi\n\t mov $10, %%esi\n\t mov $62, %%eax\n\t"
			 "syscall\n\t mov %%r12, %0"
			 : "=r"(r12)
			 :
			 : "rax", "rcx", "r11", "rdi", "rsi", "r12", "memory");
	CHECK_EQ(r12, 0x1234);
	sigprocmask(SIG_BLOCK, NULL, &s);
	CHECK(sigismember(&s, SIGHUP));
	CHECK(!sigismember(&s, SIGUSR1));
	SUBTEST("ignored and default-ignored signals do nothing");
	signal(SIGTERM, SIG_IGN);
	raise(SIGTERM);
	raise(SIGCHLD);
	raise(SIGURG);
	raise(SIGWINCH);
	raise(SIGCONT);
	SUBTEST("null handler number is the default action");
	pid_t p;
	CHILD (p) {
		signal(SIGTERM, SIG_DFL);
		raise(SIGTERM);
		_exit(0);
	}
	CHECK_EQ(WTERMSIG(guest_status(p)), SIGTERM);
	int deadly[] = {SIGHUP, SIGINT, SIGPIPE, SIGALRM, SIGUSR1, SIGIO, SIGPROF, SIGVTALRM, SIGSTKFLT, SIGPWR, 34, 64, SIGXCPU, SIGSYS};
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++) {
		CHILD (p) {
			sigset_t none;
			sigemptyset(&none);
			sigprocmask(SIG_SETMASK, &none, NULL);
			signal(deadly[i], SIG_DFL);
			struct sigaction d = {.sa_handler = SIG_DFL};
			sigaction(deadly[i], &d, NULL);
			kill(getpid(), deadly[i]);
			_exit(0);
		}
		CHECK_EQ(WTERMSIG(guest_status(p)), deadly[i]);
	}
}
