// SPDX-License-Identifier: Apache-2.0
/*
 * ptrace: registers and memory. General, FPU and XSAVE sets, the user area, single steps over a checkpoint and into a handler,
 * breakpoints in shared program text, refused values.
 */
#include "guest.h"
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/user.h>

static volatile int steps_done;

static __attribute__((noinline)) void target(void)
{
	steps_done++;
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

static struct user_regs_struct regs(pid_t p)
{
	struct user_regs_struct r;

	CHECK_EQ(ptrace(PTRACE_GETREGS, p, NULL, &r), 0);
	return r;
}

static void fp_body(void)
{
	unsigned long in[2] = { 0x1111, 0x2222 }, out[2];

	/* The tracer changes xmm3 while we are stopped. */
	__asm__ volatile("movups %1, %%xmm3\n\tmov $39, %%eax\n\tsyscall\n\tmov %%rax, %%rdi\n\tmov $19, %%esi\n\tmov $62, %%eax\n\tsyscall\n\t"
			 "movups %%xmm3, %0"
			 : "=m"(out)
			 : "m"(in)
			 : "rax", "rdi", "rsi", "rcx", "r11", "xmm3", "memory");
	CHECK_EQ(out[0], 0x3333);
	CHECK_EQ(out[1], 0x4444);
}

static void fpu(void)
{
	struct user_fpregs_struct f;
	static uint8_t x[16384] __attribute__((aligned(64)));
	struct iovec v = { x, sizeof(x) };
	struct user_regs_struct r, r2;
	unsigned long *w;
	size_t xlen;
	pid_t p = stopped(fp_body);

	SUBTEST("FPU");
	CHECK_EQ(next(p, PTRACE_CONT, 0) >> 8, SIGSTOP);
	guest_checkpoint();
	CHECK_EQ(ptrace(PTRACE_GETFPREGS, p, NULL, &f), 0);
	w = (unsigned long *)&f.xmm_space[12];
	CHECK_EQ(w[0], 0x1111);
	CHECK_EQ(w[1], 0x2222);
	CHECK_EQ(f.mxcsr, 0x1f80);
	CHECK_EQ(ptrace(PTRACE_GETREGSET, p, NT_X86_XSTATE, &v), 0);
	xlen = v.iov_len;
	CHECK(xlen >= 576 && xlen % 8 == 0);
	CHECK(*(uint64_t *)(x + 464) & 3); /* XCR0 */
	w = (unsigned long *)(x + 160 + 48);
	CHECK_EQ(w[0], 0x1111);
	w[0] = 0x3333;
	CHECK_EQ(ptrace(PTRACE_SETREGSET, p, NT_X86_XSTATE, &v), 0);
	x[512 + 8] = 1; /* compacted format: refused */
	CHECK(ptrace(PTRACE_SETREGSET, p, NT_X86_XSTATE, &v) == -1 && errno == EINVAL);
	CHECK_EQ(ptrace(PTRACE_GETFPREGS, p, NULL, &f), 0);
	w = (unsigned long *)&f.xmm_space[12];
	CHECK_EQ(w[0], 0x3333);
	w[1] = 0x4444;
	CHECK_EQ(ptrace(PTRACE_SETFPREGS, p, NULL, &f), 0);
	guest_checkpoint();
	v = (struct iovec){ &r, sizeof(r) };
	CHECK_EQ(ptrace(PTRACE_GETREGSET, p, NT_PRSTATUS, &v), 0);
	CHECK_EQ(v.iov_len, sizeof(r));
	r2 = regs(p);
	CHECK_EQ(memcmp(&r, &r2, sizeof(r)), 0);
	v.iov_len = 12;
	CHECK_ERRNO(ptrace(PTRACE_GETREGSET, p, NT_PRSTATUS, &v), EINVAL);
	CHECK_ERRNO(ptrace(PTRACE_GETREGSET, p, 0x12345, &v), EINVAL);
	CHECK_EQ(next(p, PTRACE_CONT, 0), 5 << 8);
}

static void user_area(void)
{
	struct user_regs_struct r, bad;
	pid_t p = stopped(target);

	SUBTEST("user area");
	r = regs(p);
	errno = 0;
	CHECK_EQ((unsigned long)ptrace(PTRACE_PEEKUSER, p, offsetof(struct user, regs.rip), 0), r.rip);
	CHECK_EQ(ptrace(PTRACE_POKEUSER, p, offsetof(struct user, regs.r15), 0x5566), 0);
	guest_checkpoint();
	CHECK_EQ(regs(p).r15, 0x5566);
	CHECK_EQ(ptrace(PTRACE_PEEKUSER, p, offsetof(struct user, u_debugreg[7]), 0), 0);
	CHECK_ERRNO(ptrace(PTRACE_PEEKUSER, p, 3, 0), EIO);
	CHECK_ERRNO(ptrace(PTRACE_PEEKUSER, p, sizeof(struct user) + 16, 0), EIO);
	bad = r;
	bad.cs = 0;
	CHECK_ERRNO(ptrace(PTRACE_SETREGS, p, NULL, &bad), EIO);
	bad = r;
	bad.fs_base = 1ul << 63;
	CHECK_ERRNO(ptrace(PTRACE_SETREGS, p, NULL, &bad), EIO);
	bad = r;
	bad.eflags |= 1 << 9 | 1 << 12; /* privileged flags do not stick */
	CHECK_EQ(ptrace(PTRACE_SETREGS, p, NULL, &bad), 0);
	CHECK_EQ(regs(p).eflags, r.eflags);
	CHECK_EQ(ptrace(PTRACE_SETREGS, p, NULL, &r), 0);
	CHECK_EQ(next(p, PTRACE_CONT, 0), 5 << 8);
}

static void breakpoint(void)
{
	unsigned long at = (unsigned long)target, word;
	struct user_regs_struct r;
	siginfo_t si;
	pid_t p = stopped(target);
	int n = 0;

	SUBTEST("breakpoint and steps");
	errno = 0;
	word = (unsigned long)ptrace(PTRACE_PEEKTEXT, p, at, 0);
	CHECK_EQ(errno, 0);
	CHECK_EQ(ptrace(PTRACE_POKETEXT, p, at, (word & ~0xfful) | 0xcc), 0);
	CHECK_EQ(*(volatile unsigned long *)at, word); /* ours is untouched */
	guest_checkpoint();
	CHECK_EQ(next(p, PTRACE_CONT, 0) >> 8, SIGTRAP);
	r = regs(p);
	CHECK_EQ(r.rip, at + 1);
	CHECK_EQ(ptrace(PTRACE_GETSIGINFO, p, NULL, &si), 0);
	CHECK_EQ(si.si_code, SI_KERNEL);
	guest_checkpoint();
	CHECK_EQ(ptrace(PTRACE_POKETEXT, p, at, word), 0);
	r.rip = at;
	CHECK_EQ(ptrace(PTRACE_SETREGS, p, NULL, &r), 0);
	while (ptrace(PTRACE_PEEKDATA, p, &steps_done, 0) % (1l << 32) == 0) {
		CHECK_EQ(next(p, PTRACE_SINGLESTEP, 0) >> 8, SIGTRAP);
		if (n++ == 1)
			guest_checkpoint();
		CHECK(n < 50);
	}
	CHECK_EQ(ptrace(PTRACE_GETSIGINFO, p, NULL, &si), 0);
	CHECK_EQ(si.si_code, TRAP_TRACE);
	CHECK_EQ(next(p, PTRACE_CONT, 0), 5 << 8);
}

static void handler(int sig)
{
	steps_done = 7;
}

static void raiser(void)
{
	struct sigaction sa = { .sa_handler = handler };

	OK(sigaction(SIGUSR1, &sa, NULL));
	raise(SIGUSR1);
	CHECK_EQ(steps_done, 7);
}

static void step_into_handler(void)
{
	pid_t p = stopped(raiser);

	SUBTEST("step into a handler");
	CHECK_EQ(next(p, PTRACE_CONT, 0) >> 8, SIGUSR1);
	guest_checkpoint();
	CHECK_EQ(next(p, PTRACE_SINGLESTEP, SIGUSR1) >> 8, SIGTRAP);
	CHECK_EQ(regs(p).rip, (unsigned long)handler);
	guest_checkpoint();
	CHECK_EQ(next(p, PTRACE_CONT, 0), 5 << 8);
}

void guest_test(void)
{
	fpu();
	user_area();
	breakpoint();
	step_into_handler();
}
