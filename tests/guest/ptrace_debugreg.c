// SPDX-License-Identifier: Apache-2.0
/*
 * ptrace: debug registers. Watchpoints on data and on instructions, what a hit reports, values that are refused, what a fork and an exec
 * leave of them; all of it over checkpoints.
 */
#include "guest.h"
#include <sys/ptrace.h>
#include <sys/user.h>

#define DR(n)	  offsetof(struct user, u_debugreg[n])
#define RESERVED6 0xffff0ff0UL /* what DR6 reads with nothing reported */
#define ENABLE(n) (1UL << 2 * (n))
#define KIND(n, rw, len) (((rw) | (len) << 2) << (16 + 4 * (n)))
#define EXECUTE	  0UL
#define WRITE	  1UL
#define ACCESS	  3UL
#define LEN1	  0UL
#define LEN4	  3UL
#define LEN8	  2UL

static volatile uint64_t watched[4];
static volatile int calls;
static int go[2];

static __attribute__((noinline)) void target(void)
{
	calls++;
}

static void wait_go(void)
{
	char c;

	CHECK_EQ(read(go[0], &c, 1), 1);
}

static void body(void)
{
	watched[0] = 1; /* LEN8 write: hit */
	(void)watched[0]; /* a read: none */
	wait_go();
	watched[0] = 2; /* hit */
	(void)watched[1]; /* ACCESS: hit */
	target(); /* EXECUTE: hit before it runs */
	watched[2] = 3; /* not watched (any more) */
}

static pid_t stopped(void (*fn)(void))
{
	pid_t p;
	int st;

	CHILD (p) {
		CHECK_EQ(ptrace(PTRACE_TRACEME, 0, NULL, NULL), 0);
		raise(SIGSTOP);
		fn();
		_exit(5);
	}
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
	return p;
}

static int next(pid_t p, int req, long sig)
{
	int st;

	CHECK_EQ(ptrace(req, p, NULL, sig), 0);
	CHECK_EQ(waitpid(p, &st, __WALL), p);
	return st;
}

static unsigned long dr(pid_t p, int n)
{
	long v;

	errno = 0;
	v = ptrace(PTRACE_PEEKUSER, p, DR(n), NULL);
	CHECK_EQ(errno, 0);
	return v;
}

static void set(pid_t p, int n, unsigned long v)
{
	CHECK_EQ(ptrace(PTRACE_POKEUSER, p, DR(n), v), 0);
}

static void hit(pid_t p, int st, unsigned n)
{
	siginfo_t si;

	CHECK(WIFSTOPPED(st));
	CHECK_EQ(WSTOPSIG(st), SIGTRAP);
	CHECK_EQ(ptrace(PTRACE_GETSIGINFO, p, NULL, &si), 0);
	CHECK_EQ(si.si_code, TRAP_HWBKPT);
	CHECK_EQ(dr(p, 6), RESERVED6 ^ 1UL << n);
	set(p, 6, 0);
	CHECK_EQ(dr(p, 6), RESERVED6 ^ RESERVED6); /* written as it is, though the CPU would keep these bits set */
	set(p, 6, RESERVED6);
}

static void watch(void)
{
	unsigned long on = ENABLE(0) | KIND(0, WRITE, LEN8) | ENABLE(1) | KIND(1, ACCESS, LEN4) | ENABLE(2) | KIND(2, EXECUTE, LEN1);
	struct user_regs_struct r;
	pid_t p = stopped(body);
	int st;

	SUBTEST("watchpoints");
	set(p, 0, (unsigned long)&watched[0]);
	set(p, 1, (unsigned long)&watched[1]);
	set(p, 2, (unsigned long)target);
	set(p, 7, on);
	CHECK_EQ(dr(p, 0), (unsigned long)&watched[0]);
	CHECK_EQ(dr(p, 3), 0);
	CHECK_EQ(dr(p, 7), on);
	guest_checkpoint();
	CHECK_EQ(dr(p, 7), on);
	hit(p, next(p, PTRACE_CONT, 0), 0);
	CHECK_EQ(ptrace(PTRACE_PEEKDATA, p, &watched[0], NULL), 1);
	guest_checkpoint(); /* in the stop of a hit */
	CHECK_EQ(ptrace(PTRACE_CONT, p, NULL, 0), 0);
	guest_blocked(p);
	guest_checkpoint(); /* while it sleeps with its watchpoints armed */
	CHECK_EQ(write(go[1], "x", 1), 1);
	CHECK_EQ(waitpid(p, &st, __WALL), p);
	hit(p, st, 0);
	hit(p, next(p, PTRACE_CONT, 0), 1);
	hit(p, next(p, PTRACE_CONT, 0), 2);
	CHECK_EQ(ptrace(PTRACE_GETREGS, p, NULL, &r), 0);
	CHECK_EQ(r.rip, (unsigned long)target);
	CHECK_EQ(ptrace(PTRACE_PEEKDATA, p, &calls, NULL) & 0xffffffff, 0);
	guest_checkpoint(); /* before the instruction that is watched: it must run, not hit again */
	CHECK_EQ(next(p, PTRACE_CONT, 0), 5 << 8);
}

static void step_body(void)
{
	watched[3]++;
	raise(SIGSTOP);
}

static void step(void)
{
	pid_t p = stopped(step_body);
	siginfo_t si;
	int st;

	SUBTEST("steps");
	CHECK_EQ(next(p, PTRACE_SINGLESTEP, 0) >> 8, SIGTRAP);
	CHECK_EQ(ptrace(PTRACE_GETSIGINFO, p, NULL, &si), 0);
	set(p, 3, (unsigned long)&watched[3]);
	set(p, 7, ENABLE(3) | KIND(3, WRITE, LEN8));
	do
		st = next(p, PTRACE_SINGLESTEP, 0);
	while (st >> 8 == SIGTRAP && !(dr(p, 6) & 8));
	CHECK_EQ(st >> 8, SIGTRAP);
	CHECK_EQ(dr(p, 6), RESERVED6 ^ (0x4000 | 8)); /* both at once */
	CHECK_EQ(ptrace(PTRACE_GETSIGINFO, p, NULL, &si), 0);
	CHECK_EQ(si.si_code, TRAP_TRACE);
	set(p, 7, 0);
	CHECK_EQ(next(p, PTRACE_CONT, 0) >> 8, SIGSTOP);
	CHECK_EQ(next(p, PTRACE_CONT, 0), 5 << 8);
}

static void refused(void)
{
	pid_t p = stopped(body);
	unsigned long a = (unsigned long)&watched[0];

	SUBTEST("refused");
	CHECK_ERRNO(ptrace(PTRACE_POKEUSER, p, DR(4), 0), EIO);
	CHECK_ERRNO(ptrace(PTRACE_POKEUSER, p, DR(5), 0), EIO);
	CHECK_EQ(dr(p, 4), 0);
	CHECK_EQ(dr(p, 5), 0);
	CHECK_ERRNO(ptrace(PTRACE_POKEUSER, p, DR(0), 0xffff888000000000UL), EINVAL);
	set(p, 0, a + 1);
	CHECK_ERRNO(ptrace(PTRACE_POKEUSER, p, DR(7), ENABLE(0) | KIND(0, WRITE, LEN4)), EINVAL); /* not aligned */
	CHECK_EQ(dr(p, 7), 0);
	CHECK_ERRNO(ptrace(PTRACE_POKEUSER, p, DR(7), ENABLE(0) | KIND(0, 2UL, LEN1)), EINVAL); /* ports */
	CHECK_ERRNO(ptrace(PTRACE_POKEUSER, p, DR(7), ENABLE(0) | KIND(0, EXECUTE, LEN4)), EINVAL);
	set(p, 7, ENABLE(0) | KIND(0, WRITE, LEN1) | 0x400);
	CHECK_EQ(dr(p, 7), ENABLE(0) | KIND(0, WRITE, LEN1) | 0x400);
	set(p, 7, 0);
	CHECK_EQ(dr(p, 0), a + 1);
	CHECK_EQ(kill(p, SIGKILL), 0);
	CHECK_EQ(waitpid(p, NULL, 0), p);
}

static void fork_body(void)
{
	pid_t c = fork();
	int st;

	if (c == 0) {
		watched[0] = 9; /* the child has no watchpoint, or this would kill it */
		_exit(7);
	}
	CHECK_EQ(waitpid(c, &st, 0), c);
	CHECK_EQ(st, 7 << 8);
	watched[0] = 8;
	execl(guest_self, guest_self, "after-exec", (char *)NULL);
}

int guest_helper(int argc, char **argv)
{
	watched[0] = argc; /* not watched: exec has cleared it */
	return argc == 2 && argv[1] ? 6 : 1;
}

static void inherited(void)
{
	pid_t p = stopped(fork_body);
	int st;

	SUBTEST("fork and exec");
	set(p, 0, (unsigned long)&watched[0]);
	set(p, 7, ENABLE(0) | KIND(0, WRITE, LEN8));
	st = next(p, PTRACE_CONT, 0);
	if (st >> 8 == SIGCHLD)
		st = next(p, PTRACE_CONT, SIGCHLD);
	hit(p, st, 0);
	CHECK_EQ(next(p, PTRACE_CONT, 0) >> 8, SIGTRAP); /* exec */
	CHECK_EQ(dr(p, 0), 0);
	CHECK_EQ(dr(p, 7), 0);
	guest_checkpoint();
	CHECK_EQ(next(p, PTRACE_CONT, 0), 6 << 8);
}

static void detached(void)
{
	pid_t p = stopped(body);
	int st;

	SUBTEST("detached");
	set(p, 0, (unsigned long)&watched[0]);
	set(p, 7, ENABLE(0) | KIND(0, WRITE, LEN8));
	CHECK_EQ(ptrace(PTRACE_DETACH, p, NULL, 0), 0);
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGTRAP); /* nobody is told: it dies */
}

void guest_test(void)
{
	CHECK_EQ(pipe(go), 0);
	watch();
	step();
	refused();
	inherited();
	detached();
}
