// SPDX-License-Identifier: Apache-2.0
/* Hardware breakpoints and watchpoints by PTRACE_POKEUSER: hits, DR6, errors, detach, fork, exec; over a checkpoint. */
#include "guest.h"
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#define DR(n) (offsetof(struct user, u_debugreg) + (n) * sizeof(long))
#define RESERVED6 0xffff0ff0ul
/* Local enable of register n, its kind and length code. */
#define DR7(n, kind, len) (1ul << ((n) * 2) | (unsigned long)((kind) | (len) << 2) << (16 + (n) * 4))
enum { EXEC, WRITE, IO, ACCESS };
enum { LEN1, LEN2, LEN8, LEN4 };

static volatile long watched[4] __attribute__((aligned(32)));
static volatile int ran;

static void __attribute__((noinline, noclone)) stop_here(void)
{
	ran++;
	__asm__ volatile("" ::: "memory");
}

static long poke(pid_t p, unsigned n, unsigned long v)
{
	return ptrace(PTRACE_POKEUSER, p, DR(n), v);
}

static unsigned long peek(pid_t p, unsigned n)
{
	errno = 0;
	unsigned long v = (unsigned long)ptrace(PTRACE_PEEKUSER, p, DR(n), 0);

	CHECK_EQ(errno, 0);
	return v;
}

static void stopped(pid_t p, int sig)
{
	int st;

	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFSTOPPED(st));
	CHECK_EQ(WSTOPSIG(st), sig);
}

static void hit(pid_t p, unsigned n)
{
	siginfo_t si;

	OK(ptrace(PTRACE_CONT, p, 0, 0));
	stopped(p, SIGTRAP);
	OK(ptrace(PTRACE_GETSIGINFO, p, 0, &si));
	CHECK_EQ(si.si_code, 4 /* TRAP_HWBKPT */);
	CHECK_EQ(peek(p, 6) & 0xf, 1ul << n);
}

static void tracee(void)
{
	OK(ptrace(PTRACE_TRACEME, 0, 0, 0));
	guest_block(SIGCHLD); /* would be a stop of its own */
	raise(SIGSTOP);
	watched[0] = 1;
	stop_here();
	watched[1] += watched[2];
	stop_here();
	pid_t q = OK(fork());
	if (q == 0) {
		watched[0] = 7; /* not inherited: nobody traces this one, a hit would kill it */
		stop_here();
		_exit(0);
	}
	guest_reap(q);
	watched[3] = 1;
	_exit(ran == 2 ? 0 : 1);
}

void guest_test(void)
{
	struct user_regs_struct r;
	pid_t p;

	CHILD (p)
		tracee();
	stopped(p, SIGSTOP);
	SUBTEST("errors");
	CHECK_EQ(peek(p, 7), 0);
	CHECK_ERRNO(poke(p, 0, 0xffff800000000000ul), EINVAL);
	CHECK_ERRNO(poke(p, 4, 0), EIO);
	CHECK_ERRNO(poke(p, 5, 1), EIO);
	OK(poke(p, 0, (unsigned long)&watched[0] + 1));
	CHECK_EQ(peek(p, 0), (unsigned long)&watched[0] + 1);
	CHECK_ERRNO(poke(p, 7, DR7(0, WRITE, LEN8)), EINVAL);
	CHECK_ERRNO(poke(p, 7, DR7(0, IO, LEN1)), EINVAL);
	CHECK_ERRNO(poke(p, 7, DR7(0, EXEC, LEN4)), EINVAL);
	CHECK_EQ(peek(p, 7), 0);

	SUBTEST("a write, an instruction, a read");
	OK(poke(p, 0, (unsigned long)&watched[0]));
	OK(poke(p, 1, (unsigned long)stop_here));
	OK(poke(p, 2, (unsigned long)&watched[2]));
	OK(poke(p, 7, DR7(0, WRITE, LEN8) | DR7(1, EXEC, LEN1) | DR7(2, ACCESS, LEN8)));
	CHECK_EQ(peek(p, 7), DR7(0, WRITE, LEN8) | DR7(1, EXEC, LEN1) | DR7(2, ACCESS, LEN8));
	CHECK_EQ(peek(p, 2), (unsigned long)&watched[2]);
	hit(p, 0);
	guest_checkpoint();
	CHECK_EQ(peek(p, 6) & 0xf, 1);
	hit(p, 1);
	OK(ptrace(PTRACE_GETREGS, p, 0, &r));
	CHECK_EQ(r.rip, (unsigned long)stop_here);
	hit(p, 2);
	OK(poke(p, 6, 0xffff0ff0));
	CHECK_EQ(peek(p, 6), RESERVED6);
	guest_checkpoint();
	hit(p, 1);

	SUBTEST("moved, then dropped; not inherited");
	OK(poke(p, 0, (unsigned long)&watched[3]));
	OK(poke(p, 7, DR7(0, WRITE, LEN8)));
	hit(p, 0);
	OK(poke(p, 7, 0));
	OK(ptrace(PTRACE_DETACH, p, 0, 0));
	guest_reap(p);
}
