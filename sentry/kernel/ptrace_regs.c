/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of a stopped tracee as ptrace(2) shows them (x86-64).
 *
 * The tracee pulled everything before it stopped, so pops->regs() only hands out the cached copy here, and what is written goes to the
 * CPU when the tracee runs again. Values a CPU could not take are refused as Linux does. Debug registers are
 * tried on the tracer's own stub, so that what the host refuses is refused; the tracee's gets them when it goes on. Linux: arch/x86/kernel/ptrace.c, arch/x86/kernel/fpu/regset.c.
 */
#include <stddef.h>
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/ptrace.h"

#define USER_SIZE       928u /* struct user, with two fields that libc does not know */
#define USER_DEBUGREG   848u
#define TASK_SIZE_L     0x7ffffffff000ull
#define EFLAGS_SETTABLE 0x54dd5ull /* Linux's FLAG_MASK */

#define FX_SIZE      512u
#define FX_FCW       0
#define FX_MXCSR     24
#define FX_MXCSRMASK 28
#define FX_XMM       160
#define FX_SW        464
#define XHDR         512u
#define XHDR_SIZE    64u
#define XF_X87       1u
#define XF_SSE       2u
#define XF_YMM       4u
#define MXCSR_INIT   0x1f80u
#define MXCSR_VALID  0xffffu

static struct arch_state *state_of(struct task *c)
{
	return c->k->pops->regs(c->pctx, true);
}

/* --- general registers --- */

static bool bad_selector(uint64_t v)
{
	return v && (v & 3) != 3;
}

static int check_reg(size_t off, uint64_t *v)
{
	switch (off) {
	case offsetof(struct arch_regs, cs):
	case offsetof(struct arch_regs, ss):
		*v &= 0xffff;
		return !*v || bad_selector(*v) ? -EIO : 0;
	case offsetof(struct arch_regs, ds):
	case offsetof(struct arch_regs, es):
	case offsetof(struct arch_regs, fs):
	case offsetof(struct arch_regs, gs):
		*v &= 0xffff;
		return bad_selector(*v) ? -EIO : 0;
	case offsetof(struct arch_regs, fs_base):
	case offsetof(struct arch_regs, gs_base):
		return *v >= TASK_SIZE_L ? -EIO : 0;
	default:
		return 0;
	}
}

static int put_reg(struct task *c, size_t off, uint64_t v)
{
	struct arch_regs *r = &state_of(c)->r;
	int e = check_reg(off, &v);

	if (e < 0)
		return e;
	if (off == offsetof(struct arch_regs, eflags))
		v = (r->eflags & ~EFLAGS_SETTABLE) | (v & EFLAGS_SETTABLE);
	memcpy((char *)r + off, &v, sizeof(v));
	c->pt->regs_set = true;
	return 0;
}

/* --- debug registers --- */

#define DR_STATUS    6
#define DR_CONTROL   7
#define DR6_RESERVED 0xffff0ff0ull

static uint64_t peek_debug(const struct ptrace *pt, unsigned n)
{
	if (n < PLAT_DEBUG_REGS)
		return pt->debug_addr[n];
	if (n == DR_STATUS)
		return pt->debug_status ^ DR6_RESERVED;
	return n == DR_CONTROL ? pt->debug_control : 0;
}

static int poke_debug(struct task *c, unsigned n, uint64_t v)
{
	struct ptrace *pt = c->pt;
	struct plat_debug d = { .control = pt->debug_control };
	struct plat_caps caps;
	int r;

	memcpy(d.addr, pt->debug_addr, sizeof(d.addr));
	if (n == DR_STATUS) {
		pt->debug_status = v ^ DR6_RESERVED;
		return 0;
	}
	if (n == DR_CONTROL) {
		d.control = v;
	} else if (n < PLAT_DEBUG_REGS) {
		/* Nobody watches the platform's own pages. */
		c->k->pops->caps(c->k->plat, &caps);
		if (v >= caps.max_addr)
			return -EINVAL;
		d.addr[n] = v;
	} else {
		return -EIO;
	}
	r = c->k->pops->try_debug(current_task->pctx, &d);
	if (r < 0)
		return r;
	memcpy(pt->debug_addr, d.addr, sizeof(d.addr));
	pt->debug_control = d.control;
	return 0;
}

int ptrace_peek_user(struct task *c, uint64_t off, uint64_t *ret)
{
	if ((off & 7) || off >= USER_SIZE)
		return -EIO;
	*ret = 0;
	if (off < sizeof(struct arch_regs))
		memcpy(ret, (const char *)&state_of(c)->r + off, sizeof(*ret));
	else if (off >= USER_DEBUGREG && off < USER_DEBUGREG + 8 * sizeof(*ret))
		*ret = peek_debug(c->pt, (off - USER_DEBUGREG) / sizeof(*ret));
	return 0;
}

int ptrace_poke_user(struct task *c, uint64_t off, uint64_t val)
{
	if ((off & 7) || off >= USER_SIZE)
		return -EIO;
	if (off < sizeof(struct arch_regs))
		return put_reg(c, off, val);
	if (off < USER_DEBUGREG || off >= USER_DEBUGREG + 8 * sizeof(val))
		return -EIO;
	return poke_debug(c, (off - USER_DEBUGREG) / sizeof(val), val);
}

/* --- FPU --- */

/* The image of @st with everything that is in its initial state spelled out, or NULL when there is no memory for one. */
static uint8_t *fpu_image(struct arch_state *st)
{
	struct arch_fpu *f = &st->fpu;
	uint32_t size = arch_xsave_size(), mxcsr = MXCSR_INIT, mask = MXCSR_VALID;
	uint64_t bv = 0;
	uint16_t fcw = 0x37f;

	if (!f->data)
		return NULL;
	if (f->size < size) {
		memset(f->data + f->size, 0, size - f->size);
		f->size = size;
	}
	memcpy(&bv, f->data + XHDR, sizeof(bv));
	if (!(bv & XF_X87)) {
		memset(f->data, 0, FX_MXCSR);
		memset(f->data + 32, 0, FX_XMM - 32);
		memcpy(f->data + FX_FCW, &fcw, sizeof(fcw));
	}
	if (!(bv & XF_SSE))
		memset(f->data + FX_XMM, 0, 256);
	if (!(bv & (XF_SSE | XF_YMM)))
		memcpy(f->data + FX_MXCSR, &mxcsr, sizeof(mxcsr));
	memcpy(f->data + FX_MXCSRMASK, &mask, sizeof(mask));
	return f->data;
}

static int check_mxcsr(const uint8_t *img)
{
	uint32_t mxcsr;

	memcpy(&mxcsr, img + FX_MXCSR, sizeof(mxcsr));
	return mxcsr & ~MXCSR_VALID ? -EINVAL : 0;
}

static int set_fx(struct task *c, const uint8_t *buf, size_t len)
{
	uint8_t *img = fpu_image(state_of(c));
	uint64_t bv;

	if (len != FX_SIZE)
		return -EINVAL;
	if (!img)
		return -ENOMEM;
	if (check_mxcsr(buf) < 0)
		return -EINVAL;
	memcpy(img, buf, FX_SW);
	memcpy(&bv, img + XHDR, sizeof(bv));
	bv |= XF_X87 | XF_SSE;
	memcpy(img + XHDR, &bv, sizeof(bv));
	return 0;
}

static int set_xstate(struct task *c, const uint8_t *buf, size_t len)
{
	static const uint8_t zero[XHDR_SIZE - 8];
	uint8_t *img = fpu_image(state_of(c));
	uint64_t bv;

	if (len != arch_xsave_size())
		return -EFAULT;
	if (!img)
		return -ENOMEM;
	memcpy(&bv, buf + XHDR, sizeof(bv));
	if ((bv & ~arch_xsave_mask()) || memcmp(buf + XHDR + 8, zero, sizeof(zero)) != 0)
		return -EINVAL;
	if ((bv & (XF_SSE | XF_YMM)) && check_mxcsr(buf) < 0)
		return -EINVAL;
	memcpy(img, buf, len);
	return 0;
}

static int get_fpu(struct task *c, bool ext, void *buf, size_t len)
{
	const uint8_t *img = fpu_image(state_of(c));
	uint64_t mask = arch_xsave_mask();

	if (!img)
		return -ENOMEM;
	memcpy(buf, img, len);
	/* Software bytes: which components the image has, and nothing else of whoever saved it last. */
	if (len >= FX_SIZE) {
		memset((uint8_t *)buf + FX_SW, 0, FX_SIZE - FX_SW);
		if (ext)
			memcpy((uint8_t *)buf + FX_SW, &mask, sizeof(mask));
	}
	return 0;
}

/* --- register sets --- */

static size_t regset_size(uint32_t type)
{
	switch (type) {
	case NT_PRSTATUS_L:
		return sizeof(struct arch_regs);
	case NT_PRFPREG_L:
		return FX_SIZE;
	case NT_X86_XSTATE_L:
		return arch_xsave_size();
	default:
		return 0;
	}
}

int ptrace_get_regset(struct task *c, uint32_t type, void *buf, size_t *len)
{
	size_t size = regset_size(type);

	if (!size || *len % 8)
		return -EINVAL;
	*len = MIN(*len, size);
	if (type == NT_PRSTATUS_L) {
		memcpy(buf, &state_of(c)->r, *len);
		return 0;
	}
	return get_fpu(c, type == NT_X86_XSTATE_L, buf, *len);
}

int ptrace_set_regset(struct task *c, uint32_t type, const void *buf, size_t *len)
{
	size_t size = regset_size(type);

	if (!size || *len % 8)
		return -EINVAL;
	*len = MIN(*len, size);
	if (type == NT_PRFPREG_L)
		return set_fx(c, buf, *len);
	if (type == NT_X86_XSTATE_L)
		return set_xstate(c, buf, *len);
	for (size_t off = 0; off < *len; off += 8) {
		uint64_t v;
		int r;

		memcpy(&v, (const char *)buf + off, sizeof(v));
		r = put_reg(c, off, v);
		if (r < 0)
			return r;
	}
	return 0;
}
