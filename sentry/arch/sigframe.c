/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building and undoing signal frames exactly as the x86-64 kernel lays them out, because unwinders, debuggers, JITs and
 * checkpointers read them. Linux: arch/x86/kernel/signal_64.c, fpu/signal.c.
 *
 * Everything in the frame comes back from the application and is hostile: flags are masked, segment selectors are not taken from
 * it, the FPU image is validated before the platform loads it.
 */
#include "sentry/arch/sigframe.h"

#include "sentry/kernel/kernel.h"

#include <string.h>

#define SS_ONSTACK_L    1u
#define SS_DISABLE_L    2u
#define SS_AUTODISARM_L (1u << 31)

#define UC_FP_XSTATE         1u
#define UC_SIGCONTEXT_SS     2u
#define UC_STRICT_RESTORE_SS 4u
#define XSTATE_MAGIC1        0x46505853u
#define XSTATE_MAGIC2        0x46505845u
#define FX_SIZE              512u
#define SW_RESERVED_OFF      464u
#define XSTATE_BV_OFF        512u
#define REDZONE              128u

/* Flags an application may set: arithmetic, TF, DF, AC, ID, NT, RF. */
#define EFLAGS_USER 0x254dd5ull

struct frame_stack {
	uint64_t sp;
	uint32_t flags, _pad;
	uint64_t size;
};

struct frame_sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};

struct frame_ucontext {
	uint64_t flags, link;
	struct frame_stack stack;
	struct frame_sigcontext mc;
	uint64_t sigmask;
};

struct frame {
	uint64_t pretcode;
	struct frame_ucontext uc;
	struct linux_siginfo info;
};

struct sw_bytes {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, padding[7];
};

_Static_assert(sizeof(struct frame_sigcontext) == 256, "sigcontext layout");
_Static_assert(sizeof(struct frame_ucontext) == 304, "ucontext layout");
_Static_assert(sizeof(struct sw_bytes) == 48, "fpx_sw_bytes layout");

static bool on_altstack(const struct sigaltstack *s, uint64_t sp)
{
	return s->size && !(s->flags & SS_AUTODISARM_L) && sp > s->sp && sp - s->sp <= s->size;
}

uint32_t altstack_flags(const struct sigaltstack *s, uint64_t sp)
{
	if (!s->size)
		return SS_DISABLE_L;
	return (on_altstack(s, sp) ? SS_ONSTACK_L : 0) | (s->flags & SS_AUTODISARM_L);
}

static int push_fpu(struct task *t, struct arch_fpu *fpu, uint64_t *sp, uint64_t *ret_addr)
{
	uint32_t size = fpu->size, magic2 = XSTATE_MAGIC2;
	bool ext = size > FX_SIZE;
	struct sw_bytes sw = { 0 };
	uint64_t at;

	*ret_addr = 0;
	if (size < FX_SIZE)
		return 0;
	at = ALIGN_DOWN(*sp - size - (ext ? sizeof(magic2) : 0), 64ull);
	if (ext) {
		sw.magic1 = XSTATE_MAGIC1;
		sw.extended_size = size + (uint32_t)sizeof(magic2);
		sw.xfeatures = arch_xsave_mask();
		sw.xstate_size = size;
	}
	if (mm_copy_out(t->mm, GADDR(at), fpu->data, size) < 0 ||
	    mm_copy_out(t->mm, GADDR(at + SW_RESERVED_OFF), &sw, sizeof(sw)) < 0)
		return -EFAULT;
	if (ext && mm_copy_out(t->mm, GADDR(at + size), &magic2, sizeof(magic2)) < 0)
		return -EFAULT;
	*sp = *ret_addr = at;
	return 0;
}

static void fill_sigcontext(struct frame_sigcontext *mc, const struct arch_regs *r)
{
	*mc = (struct frame_sigcontext){
		.r8 = r->r8,   .r9 = r->r9,   .r10 = r->r10, .r11 = r->r11, .r12 = r->r12,       .r13 = r->r13,
		.r14 = r->r14, .r15 = r->r15, .rdi = r->rdi, .rsi = r->rsi, .rbp = r->rbp,       .rbx = r->rbx,
		.rdx = r->rdx, .rax = r->rax, .rcx = r->rcx, .rsp = r->rsp, .rip = r->rip,       .eflags = r->eflags,
		.cs = (uint16_t)r->cs, .ss = (uint16_t)r->ss,
	};
}

static void take_sigcontext(struct arch_regs *r, const struct frame_sigcontext *mc)
{
	r->r8 = mc->r8;
	r->r9 = mc->r9;
	r->r10 = mc->r10;
	r->r11 = mc->r11;
	r->r12 = mc->r12;
	r->r13 = mc->r13;
	r->r14 = mc->r14;
	r->r15 = mc->r15;
	r->rdi = mc->rdi;
	r->rsi = mc->rsi;
	r->rbp = mc->rbp;
	r->rbx = mc->rbx;
	r->rdx = mc->rdx;
	r->rax = mc->rax;
	r->rcx = mc->rcx;
	r->rsp = mc->rsp;
	r->rip = mc->rip;
	r->eflags = (r->eflags & ~EFLAGS_USER) | (mc->eflags & EFLAGS_USER);
	r->orig_rax = UINT64_MAX;
}

int sigframe_push(struct task *t, int sig, const struct linux_sigaction *ka, const struct linux_siginfo *info,
		  sigset64_t mask)
{
	struct arch_state *st = t->k->pops->regs(t->pctx, true);
	struct arch_regs *r = &st->r;
	struct frame f = { .pretcode = ka->restorer, .info = *info };
	uint64_t sp = r->rsp - REDZONE, fpstate;
	bool entering = false;

	if ((ka->flags & SA_ONSTACK) && t->altstack.size && !on_altstack(&t->altstack, r->rsp)) {
		sp = t->altstack.sp + t->altstack.size;
		entering = true;
	}
	if (push_fpu(t, &st->fpu, &sp, &fpstate) < 0)
		return -EFAULT;
	sp = ALIGN_DOWN(sp - sizeof(f), 16ull) - 8;
	if (entering && sp < t->altstack.sp)
		return -EFAULT;
	f.uc.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (st->fpu.size > FX_SIZE ? UC_FP_XSTATE : 0);
	f.uc.stack.sp = t->altstack.sp;
	f.uc.stack.flags = altstack_flags(&t->altstack, r->rsp);
	f.uc.stack.size = t->altstack.size;
	fill_sigcontext(&f.uc.mc, r);
	f.uc.mc.err = t->trap.err;
	f.uc.mc.trapno = t->trap.trapno;
	f.uc.mc.oldmask = mask;
	f.uc.mc.cr2 = t->trap.addr;
	f.uc.mc.fpstate = fpstate;
	f.uc.sigmask = mask;
	if (mm_copy_out(t->mm, GADDR(sp), &f, sizeof(f)) < 0)
		return -EFAULT;
	r->rsp = sp;
	r->rip = ka->handler;
	r->rdi = (uint64_t)sig;
	r->rsi = sp + offsetof(struct frame, info);
	r->rdx = sp + offsetof(struct frame, uc);
	r->rax = 0;
	r->orig_rax = UINT64_MAX;
	r->eflags &= ~0x10500ull; /* DF, TF, RF */
	st->fpu.size = 0; /* handlers start with the initial FPU state; sigreturn brings the old one back */
	if (t->altstack.flags & SS_AUTODISARM_L)
		t->altstack = (struct sigaltstack){ 0 };
	return 0;
}

/* Loads the FPU image at @addr; a frame without the extended magic holds the legacy 512 bytes only. */
static int pop_fpu(struct task *t, struct arch_fpu *fpu, uint64_t addr)
{
	uint32_t size = arch_xsave_size(), magic2 = 0, mxcsr;
	uint64_t bv, mask = arch_xsave_mask();
	struct sw_bytes sw;

	if (!addr) {
		fpu->size = 0;
		return 0;
	}
	if (!fpu->data || size < XSTATE_BV_OFF + 64 || size > ARCH_XSAVE_MAX)
		return -EFAULT;
	if (mm_copy_in(t->mm, &sw, GADDR(addr + SW_RESERVED_OFF), sizeof(sw)) < 0)
		return -EFAULT;
	memset(fpu->data, 0, size);
	if (sw.magic1 == XSTATE_MAGIC1 && sw.xstate_size >= XSTATE_BV_OFF + 64 && sw.xstate_size <= size &&
	    mm_copy_in(t->mm, &magic2, GADDR(addr + sw.xstate_size), sizeof(magic2)) == 0 && magic2 == XSTATE_MAGIC2) {
		if (mm_copy_in(t->mm, fpu->data, GADDR(addr), sw.xstate_size) < 0)
			return -EFAULT;
		memcpy(&bv, fpu->data + XSTATE_BV_OFF, sizeof(bv));
		bv &= mask & sw.xfeatures;
	} else {
		if (mm_copy_in(t->mm, fpu->data, GADDR(addr), FX_SIZE) < 0)
			return -EFAULT;
		bv = 3 & mask;
	}
	memcpy(fpu->data + XSTATE_BV_OFF, &bv, sizeof(bv));
	memset(fpu->data + XSTATE_BV_OFF + 8, 0, 56); /* compaction mask and reserved header bytes must be zero */
	memset(fpu->data + SW_RESERVED_OFF, 0, sizeof(sw));
	memcpy(&mxcsr, fpu->data + 24, sizeof(mxcsr));
	mxcsr &= 0xffff;
	memcpy(fpu->data + 24, &mxcsr, sizeof(mxcsr));
	fpu->size = size;
	return 0;
}

int sigframe_pop(struct task *t)
{
	struct arch_state *st = t->k->pops->regs(t->pctx, true);
	struct frame f;
	const struct frame_stack *fs = &f.uc.stack;

	/* The handler's `ret` popped pretcode. */
	if (mm_copy_in(t->mm, &f, GADDR(st->r.rsp - 8), sizeof(f)) < 0)
		return -EFAULT;
	if (pop_fpu(t, &st->fpu, f.uc.mc.fpstate) < 0)
		return -EFAULT;
	take_sigcontext(&st->r, &f.uc.mc);
	if (!(fs->flags & ~(SS_ONSTACK_L | SS_DISABLE_L | SS_AUTODISARM_L)) && !on_altstack(&t->altstack, st->r.rsp)) {
		if (fs->flags & SS_DISABLE_L)
			t->altstack = (struct sigaltstack){ 0 };
		else
			t->altstack = (struct sigaltstack){ fs->sp, fs->size, fs->flags & SS_AUTODISARM_L };
	}
	signal_set_blocked(t, f.uc.sigmask);
	return 0;
}
