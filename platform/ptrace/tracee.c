/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on one stopped stub. All are called by the thread that traces it (ptrace binds a tracee to a thread).
 *
 * A stub can vanish between any two steps (SIGKILL from outside, out of memory): every function answers -ESRCH then, after
 * having reaped it. A stub is its own thread group, so it is reaped by its tid and never seen by another wait.
 */
#include <elf.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "platform/ptrace/ptrace_internal.h"

_Static_assert(sizeof(struct arch_regs) == 27 * 8, "arch_regs is filled by PTRACE_GETREGS");

#define USER_CS 0x33
#define USER_SS 0x2b

int tracee_wait(pid_t tid, int *status)
{
	for (;;) {
		pid_t r = waitpid(tid, status, __WALL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 || !WIFSTOPPED(*status))
			return -ESRCH;
		return 0;
	}
}

/* A ptrace request failed: the stub is dying; wait until it is dead. */
static int tracee_gone(pid_t tid)
{
	int status;

	(void)kill(tid, SIGKILL);
	while (tracee_wait(tid, &status) == 0)
		(void)ptrace(PTRACE_CONT, tid, NULL, NULL);
	return -ESRCH;
}

void tracee_kill(pid_t tid)
{
	(void)tracee_gone(tid);
}

int tracee_attach(pid_t tid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)(uintptr_t)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD)) < 0 ||
	    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0) {
		int r = -errno;

		(void)tracee_gone(tid);
		return r;
	}
	return tracee_wait(tid, &status);
}

int tracee_getregs(pid_t tid, struct arch_regs *r)
{
	return ptrace(PTRACE_GETREGS, tid, NULL, r) < 0 ? tracee_gone(tid) : 0;
}

static uint64_t ok_selector(uint64_t sel)
{
	return sel <= 0xffff && (sel == 0 || (sel & 3) == 3) ? sel : 0;
}

int tracee_setregs(pid_t tid, const struct arch_regs *r)
{
	struct arch_regs h = *r;

	/* The host refuses the whole set for one bad value, half of it already stored. */
	if (h.cs == 0 || ok_selector(h.cs) == 0)
		h.cs = USER_CS;
	if (h.ss == 0 || ok_selector(h.ss) == 0)
		h.ss = USER_SS;
	h.ds = ok_selector(h.ds);
	h.es = ok_selector(h.es);
	h.fs = ok_selector(h.fs);
	h.gs = ok_selector(h.gs);
	if (h.fs_base >= PTRACE_TASK_MAX)
		h.fs_base = 0;
	if (h.gs_base >= PTRACE_TASK_MAX)
		h.gs_base = 0;
	/* Never a call the host could think of restarting, whatever is in rax. */
	h.orig_rax = UINT64_MAX;
	return ptrace(PTRACE_SETREGS, tid, NULL, &h) < 0 ? tracee_gone(tid) : 0;
}

int tracee_getfpu(pid_t tid, uint8_t *data, uint32_t *size)
{
	struct iovec iov = { data, ARCH_XSAVE_MAX };

	if (ptrace(PTRACE_GETREGSET, tid, (void *)(uintptr_t)NT_X86_XSTATE, &iov) < 0)
		return tracee_gone(tid);
	*size = (uint32_t)iov.iov_len;
	return 0;
}

/* Offsets in an XSAVE image (Intel SDM vol. 1, 13.4). */
#define XS_MXCSR     24
#define XS_MXCSR_MSK 28
#define XS_XSTATE_BV 512
#define XS_HEADER_END 576

int tracee_setfpu(pid_t tid, const uint8_t *data, uint32_t size, uint32_t native)
{
	_Alignas(64) uint8_t img[ARCH_XSAVE_MAX];
	struct iovec iov = { img, native };
	uint64_t bv = 3;
	uint32_t mxcsr = 0x1f80;
	const uint16_t fcw = 0x37f;

	memset(img, 0, native);
	memcpy(img, &fcw, sizeof(fcw));
	if (size >= XS_HEADER_END) {
		memcpy(img, data, MIN(size, native));
		memcpy(&bv, img + XS_XSTATE_BV, sizeof(bv));
		memcpy(&mxcsr, img + XS_MXCSR, sizeof(mxcsr));
		bv &= arch_xsave_mask();
		mxcsr &= 0xffff;
	}
	/* The image may come from a signal frame or a checkpoint: make it one that the host accepts. */
	memset(img + XS_XSTATE_BV, 0, XS_HEADER_END - XS_XSTATE_BV);
	memcpy(img + XS_XSTATE_BV, &bv, sizeof(bv));
	memcpy(img + XS_MXCSR, &mxcsr, sizeof(mxcsr));
	if (ptrace(PTRACE_SETREGSET, tid, (void *)(uintptr_t)NT_X86_XSTATE, &iov) == 0)
		return 0;
	if (errno == ESRCH || size == 0)
		return tracee_gone(tid);
	return tracee_setfpu(tid, NULL, 0, native);
}

#define USER_DR(n)   ((void *)(848 + (n) * sizeof(uint64_t))) /* u_debugreg of struct user, whose header redefines PAGE_SIZE */
#define DR6_RESERVED 0xffff0ff0u

static int poke_dr(pid_t tid, int n, uint64_t v)
{
	if (ptrace(PTRACE_POKEUSER, tid, USER_DR(n), (void *)v) == 0)
		return 0;
	return errno == ESRCH ? tracee_gone(tid) : -errno;
}

int tracee_setdebug(pid_t tid, const struct plat_debug *d)
{
	/* Off first: an address is checked against the length that its register has now. */
	int r = poke_dr(tid, 7, 0);

	for (int i = 0; r == 0 && i < PLAT_DEBUG_REGS; i++)
		r = poke_dr(tid, i, d->addr[i]);
	if (r == 0 && d->control)
		r = poke_dr(tid, 7, d->control);
	return r;
}

int tracee_debug_status(pid_t tid, uint32_t *ret)
{
	long v;

	errno = 0;
	v = ptrace(PTRACE_PEEKUSER, tid, USER_DR(6), NULL);
	if (v == -1 && errno)
		return tracee_gone(tid);
	*ret = (uint32_t)v ^ DR6_RESERVED;
	return poke_dr(tid, 6, DR6_RESERVED) == -ESRCH ? -ESRCH : 0;
}

int tracee_park(pid_t tid, pid_t sentry)
{
	const struct arch_regs r = { .rip = STUB_AT(ptrace_stub_child), .r12 = (uint64_t)sentry, .cs = USER_CS, .ss = USER_SS,
				     .eflags = 0x202 };

	if (tracee_setregs(tid, &r) < 0)
		return -ESRCH;
	return ptrace(PTRACE_DETACH, tid, NULL, NULL) < 0 ? tracee_gone(tid) : 0;
}

static int run_stub(pid_t tid, uint64_t entry, uint64_t trap, long nr, const uint64_t a[6], uint64_t r12, int64_t *ret)
{
	struct arch_regs r = { .rip = entry, .rax = (uint64_t)nr, .rdi = a[0], .rsi = a[1], .rdx = a[2], .r10 = a[3],
			       .r8 = a[4], .r9 = a[5], .r12 = r12, .cs = USER_CS, .ss = USER_SS, .eflags = 0x202 };
	int status;

	if (tracee_setregs(tid, &r) < 0)
		return -ESRCH;
	for (int stops = 0; stops < 10000; stops++) {
		if (ptrace(PTRACE_CONT, tid, NULL, NULL) < 0)
			return tracee_gone(tid);
		if (tracee_wait(tid, &status) < 0)
			return -ESRCH;
		/* Signals from outside, and interrupt()'s own, are swallowed wherever they hit; the call goes on. */
		if (status >> 8 != SIGTRAP)
			continue;
		if (tracee_getregs(tid, &r) < 0)
			return -ESRCH;
		if (r.rip == trap) {
			*ret = (int64_t)r.rax;
			return 0;
		}
	}
	/* Somebody floods it with signals, or it faults: not a stub we can use. */
	return tracee_gone(tid);
}

int tracee_call(pid_t tid, long nr, const uint64_t args[6], int64_t *ret)
{
	return run_stub(tid, STUB_AT(ptrace_stub_call), STUB_AT(ptrace_stub_call_trap), nr, args, 0, ret);
}

int tracee_clone(pid_t tid, uint64_t flags, pid_t sentry, int64_t *ret)
{
	const uint64_t a[6] = { flags };

	return run_stub(tid, STUB_AT(ptrace_stub_clone), STUB_AT(ptrace_stub_clone_trap), SYS_clone, a, (uint64_t)sentry, ret);
}
