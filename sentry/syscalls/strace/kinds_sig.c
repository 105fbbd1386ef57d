/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of signals and futexes. */
#include <linux/futex.h>
#include <string.h>
#include <sys/signalfd.h>

#include "sentry/arch/sigframe.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/strace/internal.h"

static const struct xlat x_sa[] = {
	{ 0x04000000, "SA_RESTORER" }, { SA_ONSTACK, "SA_ONSTACK" }, { SA_RESTART, "SA_RESTART" }, { SA_NODEFER, "SA_NODEFER" },
	{ SA_RESETHAND, "SA_RESETHAND" }, { SA_SIGINFO, "SA_SIGINFO" }, { SA_NOCLDSTOP, "SA_NOCLDSTOP" }, { SA_NOCLDWAIT, "SA_NOCLDWAIT" },
	{ 0x400, "SA_UNSUPPORTED" }, { 0x800, "SA_EXPOSE_TAGBITS" }, XEND,
};

bool k_SIGACT(struct dec *d, uint64_t v)
{
	struct linux_sigaction sa;

	if (!dec_read(d, v, &sa, sizeof(sa))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, sa.flags & SA_SIGINFO ? "{sa_sigaction=" : "{sa_handler=");
	if (sa.handler == 0)
		strbuf_adds(&d->b, "SIG_DFL");
	else if (sa.handler == 1)
		strbuf_adds(&d->b, "SIG_IGN");
	else
		strbuf_addf(&d->b, "%#lx", (unsigned long)sa.handler);
	strbuf_adds(&d->b, ", sa_mask=");
	dec_sigset_val(d, sa.mask);
	strbuf_adds(&d->b, ", sa_flags=");
	dec_flags(d, x_sa, sa.flags, "SA_???");
	if (sa.flags & 0x04000000)
		strbuf_addf(&d->b, ", sa_restorer=%#lx", (unsigned long)sa.restorer);
	strbuf_addc(&d->b, '}');
	return true;
}

bool k_OUT_SIGACT(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		(void)k_SIGACT(d, v);
	return true;
}

static const struct xlat x_how[] = { X(SIG_BLOCK), X(SIG_UNBLOCK), X(SIG_SETMASK), XEND };

bool k_SIGHOW(struct dec *d, uint64_t v)
{
	dec_value(d, x_how, (uint32_t)v, "SIG_???");
	return true;
}

bool k_SIGSET(struct dec *d, uint64_t v)
{
	uint64_t set;

	if (dec_read(d, v, &set, sizeof(set)))
		dec_sigset_val(d, set);
	else
		dec_ptr(d, v);
	return true;
}

bool k_OUT_SIGSET(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		(void)k_SIGSET(d, v);
	return true;
}

static const struct xlat x_ss[] = { X(SS_ONSTACK), X(SS_DISABLE), { 1u << 31, "SS_AUTODISARM" }, XEND };

bool k_STACK(struct dec *d, uint64_t v)
{
	struct {
		uint64_t sp;
		int32_t flags, pad;
		uint64_t size;
	} s;

	if (!dec_read(d, v, &s, sizeof(s))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, "{ss_sp=");
	dec_ptr(d, s.sp);
	strbuf_adds(&d->b, ", ss_flags=");
	dec_flags(d, x_ss, (uint32_t)s.flags, "SS_???");
	strbuf_addf(&d->b, ", ss_size=%lu}", (unsigned long)s.size);
	return true;
}

bool k_OUT_STACK(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		(void)k_STACK(d, v);
	return true;
}

/* --- siginfo --- */

static const struct xlat x_code[] = {
	{ SI_USER, "SI_USER" }, { SI_KERNEL, "SI_KERNEL" }, { (uint32_t)SI_QUEUE, "SI_QUEUE" }, { (uint32_t)SI_TIMER, "SI_TIMER" },
	{ (uint32_t)SI_MESGQ, "SI_MESGQ" }, { (uint32_t)SI_ASYNCIO, "SI_ASYNCIO" }, { (uint32_t)SI_SIGIO, "SI_SIGIO" }, { (uint32_t)SI_TKILL, "SI_TKILL" }, XEND,
};
static const struct xlat x_chld[] = {
	X(CLD_EXITED), X(CLD_KILLED), X(CLD_DUMPED), X(CLD_TRAPPED), X(CLD_STOPPED), X(CLD_CONTINUED), XEND,
};
static const struct xlat x_segv[] = { X(SEGV_MAPERR), X(SEGV_ACCERR), X(SEGV_BNDERR), X(SEGV_PKUERR), XEND };
static const struct xlat x_bus[] = { X(BUS_ADRALN), X(BUS_ADRERR), X(BUS_OBJERR), XEND };
static const struct xlat x_ill[] = { X(ILL_ILLOPC), X(ILL_ILLOPN), X(ILL_ILLADR), X(ILL_ILLTRP), X(ILL_PRVOPC), X(ILL_PRVREG), XEND };
static const struct xlat x_fpe[] = {
	X(FPE_INTDIV), X(FPE_INTOVF), X(FPE_FLTDIV), X(FPE_FLTOVF), X(FPE_FLTUND), X(FPE_FLTRES), X(FPE_FLTINV), X(FPE_FLTSUB), XEND,
};
static const struct xlat x_trap[] = { X(TRAP_BRKPT), X(TRAP_TRACE), X(TRAP_BRANCH), X(TRAP_HWBKPT), XEND };
static const struct xlat x_poll[] = { X(POLL_IN), X(POLL_OUT), X(POLL_MSG), X(POLL_ERR), X(POLL_PRI), X(POLL_HUP), XEND };
static const struct xlat x_sys[] = { { 1, "SYS_SECCOMP" }, { 2, "SYS_USER_DISPATCH" }, XEND };

static const struct xlat *codes_of(int sig)
{
	switch (sig) {
	case SIGCHLD: return x_chld;
	case SIGSEGV: return x_segv;
	case SIGBUS: return x_bus;
	case SIGILL: return x_ill;
	case SIGFPE: return x_fpe;
	case SIGTRAP: return x_trap;
	case SIGIO: return x_poll;
	case SIGSYS: return x_sys;
	default: return NULL;
	}
}

static void put_code(struct dec *d, const struct linux_siginfo *si)
{
	const struct xlat *x = codes_of(si->si_signo);
	const char *n = xlat_name(x_code, (uint32_t)si->si_code);

	if (!n && x)
		n = xlat_name(x, (uint32_t)si->si_code);
	if (n)
		strbuf_adds(&d->b, n);
	else
		strbuf_addf(&d->b, "%d", si->si_code);
}

static void put_value(struct dec *d, uint64_t v)
{
	strbuf_addf(&d->b, "{int=%d, ptr=", (int)v);
	dec_ptr(d, v);
	strbuf_addc(&d->b, '}');
}

void dec_siginfo(struct dec *d, const struct linux_siginfo *si)
{
	strbuf_adds(&d->b, "{si_signo=");
	dec_signame(d, si->si_signo);
	strbuf_adds(&d->b, ", si_code=");
	put_code(d, si);
	if (si->si_errno)
		strbuf_addf(&d->b, ", si_errno=%d", si->si_errno);
	if (si->si_code == SI_TIMER) {
		strbuf_addf(&d->b, ", si_timerid=%#x, si_overrun=%d, si_value=", (unsigned)si->timer.tid, si->timer.overrun);
		put_value(d, si->timer.value);
	} else if (si->si_code <= 0) {
		strbuf_addf(&d->b, ", si_pid=%d, si_uid=%u", si->rt.pid, si->rt.uid);
		if (si->si_code == SI_QUEUE || si->si_code == SI_MESGQ) {
			strbuf_adds(&d->b, ", si_value=");
			put_value(d, si->rt.value);
		}
	} else if (si->si_signo == SIGCHLD && si->si_code <= CLD_CONTINUED) {
		strbuf_addf(&d->b, ", si_pid=%d, si_uid=%u, si_status=", si->chld.pid, si->chld.uid);
		if (si->si_code == CLD_EXITED)
			strbuf_addf(&d->b, "%d", si->chld.status);
		else
			dec_signame(d, si->chld.status & 0x7f);
		strbuf_addf(&d->b, ", si_utime=%ld, si_stime=%ld", (long)si->chld.utime, (long)si->chld.stime);
	} else if (si->si_code != SI_KERNEL && (si->si_signo == SIGSEGV || si->si_signo == SIGBUS || si->si_signo == SIGILL || si->si_signo == SIGFPE ||
						si->si_signo == SIGTRAP)) {
		strbuf_adds(&d->b, ", si_addr=");
		dec_ptr(d, si->fault.addr);
	} else if (si->si_signo == SIGIO && si->si_code != SI_KERNEL) {
		strbuf_addf(&d->b, ", si_band=%ld, si_fd=%d", (long)si->poll.band, si->poll.fd);
	} else if (si->si_signo == SIGSYS) {
		strbuf_adds(&d->b, ", si_call_addr=");
		dec_ptr(d, si->sys.call_addr);
		strbuf_addf(&d->b, ", si_syscall=__NR_%s, si_arch=AUDIT_ARCH_X86_64", syscall_name((uint64_t)(uint32_t)si->sys.syscall));
	} else if (si->si_code == SI_KERNEL && (si->si_signo == SIGSEGV || si->si_signo == SIGTRAP)) {
		strbuf_adds(&d->b, ", si_addr=NULL");
	}
	strbuf_addc(&d->b, '}');
}

bool k_IN_SIGINFO(struct dec *d, uint64_t v)
{
	struct linux_siginfo si;

	if (dec_read(d, v, &si, sizeof(si)))
		dec_siginfo(d, &si);
	else
		dec_ptr(d, v);
	return true;
}

/* The mask that comes back is in the frame the stack pointer leads to. */
bool k_SIGRETURN(struct dec *d, uint64_t v)
{
	const struct arch_regs *r;
	uint64_t mask;

	d->next = 6;
	if (!d->t->pctx || d->t != current_task)
		return true;
	r = &d->t->k->pops->regs(d->t->pctx, false)->r;
	/* The frame without its return address is a ucontext; its mask comes after flags, link, stack and the 256 bytes of registers. */
	if (dec_read(d, r->rsp + 8 + 8 + 24 + 256, &mask, sizeof(mask))) {
		strbuf_adds(&d->b, "{mask=");
		dec_sigset_val(d, mask);
		strbuf_addc(&d->b, '}');
	}
	return true;
}

static const struct xlat x_sfd[] = { X(SFD_CLOEXEC), X(SFD_NONBLOCK), XEND };

bool k_SFDFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_sfd, (uint32_t)v, "SFD_???");
	return true;
}

/* --- futex --- */

static const struct xlat x_futex[] = {
	X(FUTEX_WAIT), X(FUTEX_WAKE), X(FUTEX_FD), X(FUTEX_REQUEUE), X(FUTEX_CMP_REQUEUE), X(FUTEX_WAKE_OP), X(FUTEX_LOCK_PI), X(FUTEX_UNLOCK_PI),
	X(FUTEX_TRYLOCK_PI), X(FUTEX_WAIT_BITSET), X(FUTEX_WAKE_BITSET), X(FUTEX_WAIT_REQUEUE_PI), X(FUTEX_CMP_REQUEUE_PI), { 13, "FUTEX_LOCK_PI2" }, XEND,
};

static void put_bitset(struct dec *d, uint64_t v)
{
	if ((uint32_t)v == FUTEX_BITSET_MATCH_ANY)
		strbuf_adds(&d->b, ", FUTEX_BITSET_MATCH_ANY");
	else
		strbuf_addf(&d->b, ", %#x", (uint32_t)v);
}

bool k_FUTEX(struct dec *d, uint64_t v)
{
	int op = (int)v, cmd = op & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
	const char *n = xlat_name(x_futex, (uint64_t)cmd);
	const uint64_t *a = d->a;

	if (n)
		strbuf_adds(&d->b, n);
	else
		strbuf_addf(&d->b, "%#x /* FUTEX_??? */", (unsigned)cmd);
	if (op & FUTEX_PRIVATE_FLAG)
		strbuf_adds(&d->b, n ? "_PRIVATE" : "|FUTEX_PRIVATE_FLAG");
	if (op & FUTEX_CLOCK_REALTIME)
		strbuf_adds(&d->b, "|FUTEX_CLOCK_REALTIME");
	d->next = 6;
	switch (cmd) {
	case FUTEX_UNLOCK_PI: case FUTEX_TRYLOCK_PI:
		return true;
	case FUTEX_LOCK_PI: case 13:
		dec_comma(d);
		dec_timespec(d, a[3]);
		return true;
	case FUTEX_WAKE: case FUTEX_FD:
		strbuf_addf(&d->b, ", %d", (int)a[2]);
		return true;
	case FUTEX_WAKE_BITSET:
		strbuf_addf(&d->b, ", %d", (int)a[2]);
		put_bitset(d, a[5]);
		return true;
	case FUTEX_WAIT:
		strbuf_addf(&d->b, ", %d, ", (int)a[2]);
		dec_timespec(d, a[3]);
		return true;
	case FUTEX_WAIT_BITSET:
		strbuf_addf(&d->b, ", %d, ", (int)a[2]);
		dec_timespec(d, a[3]);
		put_bitset(d, a[5]);
		return true;
	case FUTEX_REQUEUE:
		strbuf_addf(&d->b, ", %d, %d, ", (int)a[2], (int)a[3]);
		dec_ptr(d, a[4]);
		return true;
	case FUTEX_CMP_REQUEUE: case FUTEX_CMP_REQUEUE_PI:
		strbuf_addf(&d->b, ", %d, %d, ", (int)a[2], (int)a[3]);
		dec_ptr(d, a[4]);
		strbuf_addf(&d->b, ", %d", (int)a[5]);
		return true;
	case FUTEX_WAIT_REQUEUE_PI:
		strbuf_addf(&d->b, ", %d, ", (int)a[2]);
		dec_timespec(d, a[3]);
		dec_comma(d);
		dec_ptr(d, a[4]);
		return true;
	default:
		strbuf_addf(&d->b, ", %d, %#lx, ", (int)a[2], (unsigned long)a[3]);
		dec_ptr(d, a[4]);
		strbuf_addf(&d->b, ", %#x", (unsigned)a[5]);
		return true;
	}
}

bool k_FUTEXWAITV(struct dec *d, uint64_t v)
{
	struct {
		uint64_t val, uaddr;
		uint32_t flags, reserved;
	} w;

	strbuf_addc(&d->b, '[');
	for (uint64_t i = 0; i < (uint32_t)d->a[1] && i < STRACE_VEC; i++) {
		if (!dec_read(d, v + i * sizeof(w), &w, sizeof(w)))
			break;
		strbuf_addf(&d->b, "%s{val=%#lx, uaddr=%#lx, flags=%#x}", i ? ", " : "", (unsigned long)w.val, (unsigned long)w.uaddr, w.flags);
	}
	strbuf_addc(&d->b, ']');
	return true;
}
