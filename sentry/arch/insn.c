/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Was a faulting access a write? For the error code in signal frames, which platforms like ptrace do not show.
 *
 * Only instructions with a memory operand that is stored to, or that push, are recognised; anything else counts as a read. Strings
 * with two operands are told apart by the registers. A wrong answer changes one bit of a frame and nothing else.
 */
#include "sentry/arch/insn.h"

struct insn {
	const uint8_t *p, *end;
	uint8_t rex, modrm;
	bool rep, repne, opsize;
};

static uint8_t next(struct insn *i)
{
	return i->p < i->end ? *i->p++ : 0;
}

static uint8_t reg_of(const struct insn *i)
{
	return i->modrm >> 3 & 7;
}

static bool is_mem(struct insn *i)
{
	i->modrm = next(i);
	return i->modrm >> 6 != 3;
}

static bool near_stack(const struct arch_regs *r, uint64_t addr)
{
	return addr < r->rsp + 8 && r->rsp - addr <= 128; /* addr at or just below */
}

/* Escape opcodes D8-DF: stores of floating-point values, control and status words. */
static bool fpu_writes(struct insn *i, uint8_t op)
{
	static const uint8_t stores[8] = { 0, 0xcc, 0, 0x8e, 0, 0xce, 0, 0xce }; /* bit per /reg */

	return is_mem(i) && (stores[op & 7] >> reg_of(i) & 1);
}

static bool vex_0f_writes(struct insn *i, uint8_t op)
{
	switch (op) {
	case 0x11: case 0x13: case 0x17: case 0x29: case 0x2b: case 0x7f: case 0xd6: case 0xe7: case 0xf7: /* vector stores */
		return true;
	case 0x7e: /* movd/movq store; with F3 it is a load */
		return !i->rep;
	case 0xae: /* fxsave, stmxcsr, xsave, xsaveopt */
		return is_mem(i) && (0x59 >> reg_of(i) & 1);
	default:
		return false;
	}
}

static bool op_0f_writes(struct insn *i, const struct arch_regs *r, uint64_t addr)
{
	uint8_t op = next(i), sub;

	if (op >= 0x90 && op <= 0x9f) /* setcc */
		return true;
	switch (op) {
	case 0xa0: case 0xa8: /* push fs, gs */
		return near_stack(r, addr);
	case 0xa4: case 0xa5: case 0xac: case 0xad: case 0xab: case 0xb3: case 0xbb: /* shld, shrd, bts, btr, btc */
	case 0xb0: case 0xb1: case 0xc0: case 0xc1: case 0xc3: /* cmpxchg, xadd, movnti */
		return true;
	case 0xba:
		return is_mem(i) && reg_of(i) >= 5;
	case 0xc7: /* cmpxchg8b/16b, xsavec, xsaves */
		return is_mem(i) && (reg_of(i) == 1 || reg_of(i) == 4 || reg_of(i) == 5);
	case 0x38:
		sub = next(i);
		return sub == 0xf1 ? !i->repne : sub == 0xf9; /* movbe, movdiri */
	case 0x3a:
		sub = next(i);
		return sub >= 0x14 && sub <= 0x17; /* pextr */
	default:
		return vex_0f_writes(i, op);
	}
}

/* C4, C5, 62: the map is in the prefix. */
static bool vex_writes(struct insn *i, uint8_t lead)
{
	uint8_t map = 1, pp, op;

	if (lead == 0xc5) {
		pp = next(i);
	} else {
		map = next(i) & (lead == 0x62 ? 7 : 31);
		pp = next(i);
		if (lead == 0x62)
			(void)next(i);
	}
	i->rep = (pp & 3) == 2;
	op = next(i);
	if (map == 1)
		return vex_0f_writes(i, op);
	if (map == 2) /* maskmov stores, scatters, truncating stores */
		return op == 0x2e || op == 0x2f || op == 0x8e || (op >= 0xa0 && op <= 0xa3) || op == 0x63 || op == 0x8a || op == 0x8b ||
		       (i->rep && op >= 0x10 && op <= 0x35);
	if (map == 3) /* extracts, cvtps2ph */
		return (op >= 0x14 && op <= 0x17) || op == 0x19 || op == 0x1b || op == 0x39 || op == 0x3b || op == 0x1d;
	return false;
}

static bool op_writes(struct insn *i, uint8_t op, const struct arch_regs *r, uint64_t addr)
{
	if (op < 0x40 && (op & 7) < 2) /* add or adc sbb and sub xor, not cmp */
		return op < 0x38;
	if ((op >= 0x50 && op <= 0x57) || op == 0x68 || op == 0x6a || op == 0x9c || op == 0xc8 || op == 0xe8) /* pushes, enter, call */
		return near_stack(r, addr);
	if (op >= 0xd8 && op <= 0xdf)
		return fpu_writes(i, op);
	switch (op) {
	case 0x80: case 0x81: case 0x83:
		return is_mem(i) && reg_of(i) != 7;
	case 0x86: case 0x87: case 0x88: case 0x89: case 0x8c: case 0x8f: case 0xa2: case 0xa3: case 0xaa: case 0xab: case 0x6c: case 0x6d:
	case 0xc0: case 0xc1: case 0xc6: case 0xc7: case 0xd0: case 0xd1: case 0xd2: case 0xd3:
		return true;
	case 0xa4: case 0xa5: /* movs: from rsi to rdi */
		return addr - r->rdi < 8;
	case 0xf6: case 0xf7: /* not, neg */
		return is_mem(i) && (reg_of(i) == 2 || reg_of(i) == 3);
	case 0xfe:
		return true;
	case 0xff: /* inc, dec; an indirect call or a push from memory writes the stack */
		(void)is_mem(i);
		return reg_of(i) < 2 || ((reg_of(i) == 2 || reg_of(i) == 6) && near_stack(r, addr));
	case 0xc4: case 0xc5: case 0x62:
		return vex_writes(i, op);
	case 0x0f:
		return op_0f_writes(i, r, addr);
	default:
		return false;
	}
}

bool insn_writes(const uint8_t *code, size_t n, const struct arch_regs *r, uint64_t addr)
{
	struct insn i = { .p = code, .end = code + MIN(n, (size_t)INSN_MAX) };

	while (i.p < i.end) {
		uint8_t b = next(&i);

		switch (b) {
		case 0x66:
			i.opsize = true;
			continue;
		case 0xf2:
			i.repne = true;
			continue;
		case 0xf3:
			i.rep = true;
			continue;
		case 0xf0: case 0x2e: case 0x36: case 0x3e: case 0x26: case 0x64: case 0x65: case 0x67:
			continue;
		default:
			break;
		}
		if (b >= 0x40 && b <= 0x4f) {
			i.rex = b;
			b = next(&i);
		}
		return op_writes(&i, b, r, addr);
	}
	return false;
}
