// SPDX-License-Identifier: Apache-2.0
/*
 * ptrace: a traced child in signal stop and syscall stop over a checkpoint; registers, memory, injected signals,
 * detach.
 */
#include "guest.h"
#include <sys/ptrace.h>
#include <sys/user.h>

static volatile long word = 0x1111;

void guest_test(void)
{
	struct user_regs_struct r;
	siginfo_t si;
	int st;
	pid_t p;

	CHILD (p) {
		CHECK_EQ(ptrace(PTRACE_TRACEME, 0, NULL, NULL), 0);
		guest_catch(SIGUSR2, 0);
		raise(SIGUSR1); /* the tracer drops it */
		CHECK_EQ(word, 0x2222);
		CHECK_EQ(getppid(), 777); /* the tracer changes the result */
		raise(SIGUSR2);
		CHECK_EQ(guest_sig_count, 1);
		_exit(12);
	}
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFSTOPPED(st) && WSTOPSIG(st) == SIGUSR1);
	guest_checkpoint();
	CHECK_EQ(ptrace(PTRACE_GETSIGINFO, p, NULL, &si), 0);
	CHECK_EQ(si.si_signo, SIGUSR1);
	errno = 0;
	CHECK_EQ(ptrace(PTRACE_PEEKDATA, p, (void *)&word, NULL), 0x1111);
	CHECK_EQ(errno, 0);
	CHECK_EQ(ptrace(PTRACE_POKEDATA, p, (void *)&word, (void *)0x2222), 0);
	CHECK_ERRNO(ptrace(PTRACE_PEEKDATA, p, (void *)8, NULL), EIO);
	CHECK_EQ(ptrace(PTRACE_SETOPTIONS, p, NULL, (void *)PTRACE_O_TRACESYSGOOD), 0);
	bool seen = false;
	while (!seen) {
		CHECK_EQ(ptrace(PTRACE_SYSCALL, p, NULL, NULL), 0);
		CHECK_EQ(waitpid(p, &st, 0), p);
		CHECK(WIFSTOPPED(st) && WSTOPSIG(st) == (SIGTRAP | 0x80));
		CHECK_EQ(ptrace(PTRACE_GETREGS, p, NULL, &r), 0);
		seen = r.orig_rax == SYS_getppid;
	}
	CHECK_EQ((long)r.rax, -ENOSYS); /* on entry */
	guest_checkpoint();
	CHECK_EQ(ptrace(PTRACE_SYSCALL, p, NULL, NULL), 0);
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK_EQ(ptrace(PTRACE_GETREGS, p, NULL, &r), 0);
	CHECK_EQ(r.rax, getpid());
	r.rax = 777;
	CHECK_EQ(ptrace(PTRACE_SETREGS, p, NULL, &r), 0);
	CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, NULL), 0);
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFSTOPPED(st));
	CHECK_EQ(WSTOPSIG(st), SIGUSR2);
	CHECK_ERRNO(ptrace(PTRACE_ATTACH, p, NULL, NULL), EPERM); /* traced already */
	CHECK_EQ(ptrace(PTRACE_DETACH, p, NULL, (void *)SIGUSR2), 0);
	CHECK_EQ(WEXITSTATUS(guest_status(p)), 12);
	SUBTEST("seize and interrupt");
	CHILD (p)
		for (;;)
			pause();
	guest_blocked(p);
	CHECK_EQ(ptrace(PTRACE_SEIZE, p, NULL, NULL), 0);
	CHECK_EQ(ptrace(PTRACE_INTERRUPT, p, NULL, NULL), 0);
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK_EQ(st >> 8, SIGTRAP | (PTRACE_EVENT_STOP << 8));
	guest_checkpoint();
	CHECK_EQ(ptrace(PTRACE_DETACH, p, NULL, NULL), 0);
	OK(kill(p, SIGKILL));
	CHECK_EQ(WTERMSIG(guest_status(p)), SIGKILL);
	CHECK_ERRNO(ptrace(PTRACE_CONT, p, NULL, NULL), ESRCH);
	CHECK_ERRNO(ptrace(PTRACE_ATTACH, getpid(), NULL, NULL), EPERM);
}
