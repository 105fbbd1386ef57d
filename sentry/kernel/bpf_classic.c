/* SPDX-License-Identifier: Apache-2.0 */
/* Classic BPF over seccomp data: check, run. Contract in bpf_classic.h. */
#include "sentry/kernel/bpf_classic.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>

#include "base/util.h"

#define NR_WORDS (sizeof(struct bpf_seccomp_data) / sizeof(uint32_t))

/* An instruction that a seccomp filter may have, its constant in range; jumps are checked by the caller. */
static bool insn_ok(const struct bpf_insn *i)
{
	switch (i->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return i->k < sizeof(struct bpf_seccomp_data) && !(i->k & 3);
	case BPF_ALU | BPF_DIV | BPF_K:
		return i->k != 0;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return i->k < 32;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return i->k < BPF_MEMWORDS;
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_ALU | BPF_ADD | BPF_K:
	case BPF_ALU | BPF_ADD | BPF_X:
	case BPF_ALU | BPF_SUB | BPF_K:
	case BPF_ALU | BPF_SUB | BPF_X:
	case BPF_ALU | BPF_MUL | BPF_K:
	case BPF_ALU | BPF_MUL | BPF_X:
	case BPF_ALU | BPF_DIV | BPF_X:
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_ALU | BPF_AND | BPF_X:
	case BPF_ALU | BPF_OR | BPF_K:
	case BPF_ALU | BPF_OR | BPF_X:
	case BPF_ALU | BPF_XOR | BPF_K:
	case BPF_ALU | BPF_XOR | BPF_X:
	case BPF_ALU | BPF_LSH | BPF_X:
	case BPF_ALU | BPF_RSH | BPF_X:
	case BPF_ALU | BPF_NEG:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_JMP | BPF_JA:
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JEQ | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_X:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_X:
		return true;
	default:
		return false;
	}
}

/* Is every memory word written on all ways that lead to its reading? @written[pc]: words written on every jump to pc so far. */
static bool memory_ok(const struct bpf_insn *prog, size_t len)
{
	uint16_t written[BPF_MAX_INSNS], now = 0;

	memset(written, 0xff, len * sizeof(written[0]));
	for (size_t pc = 0; pc < len; pc++) {
		const struct bpf_insn *i = &prog[pc];

		now &= written[pc];
		switch (i->code) {
		case BPF_ST:
		case BPF_STX:
			now |= (uint16_t)(1u << i->k);
			break;
		case BPF_LD | BPF_MEM:
		case BPF_LDX | BPF_MEM:
			if (!(now >> i->k & 1))
				return false;
			break;
		case BPF_JMP | BPF_JA:
			written[pc + 1 + i->k] &= now;
			now = 0xffff;
			break;
		default:
			if (BPF_CLASS(i->code) != BPF_JMP)
				break;
			written[pc + 1 + i->jt] &= now;
			written[pc + 1 + i->jf] &= now;
			now = 0xffff;
		}
	}
	return true;
}

int bpf_check(const struct bpf_insn *prog, size_t len)
{
	if (!len || len > BPF_MAX_INSNS)
		return -EINVAL;
	for (size_t pc = 0; pc < len; pc++) {
		const struct bpf_insn *i = &prog[pc];
		size_t rest = len - pc - 1; /* instructions after this one */

		if (!insn_ok(i))
			return -EINVAL;
		if (i->code == (BPF_JMP | BPF_JA) ? i->k >= rest : BPF_CLASS(i->code) == BPF_JMP && (i->jt >= rest || i->jf >= rest))
			return -EINVAL;
	}
	return BPF_CLASS(prog[len - 1].code) == BPF_RET && memory_ok(prog, len) ? 0 : -EINVAL;
}

static uint32_t alu(uint16_t op, uint32_t a, uint32_t v)
{
	switch (op) {
	case BPF_ADD:
		return a + v;
	case BPF_SUB:
		return a - v;
	case BPF_MUL:
		return a * v;
	case BPF_DIV:
		return a / v;
	case BPF_AND:
		return a & v;
	case BPF_OR:
		return a | v;
	case BPF_XOR:
		return a ^ v;
	case BPF_LSH:
		return a << (v & 31);
	case BPF_RSH:
		return a >> (v & 31);
	default: /* BPF_NEG */
		return 0 - a;
	}
}

static bool jump_taken(uint16_t op, uint32_t a, uint32_t v)
{
	switch (op) {
	case BPF_JEQ:
		return a == v;
	case BPF_JGT:
		return a > v;
	case BPF_JGE:
		return a >= v;
	default: /* BPF_JSET */
		return a & v;
	}
}

uint32_t bpf_run(const struct bpf_insn *prog, const struct bpf_seccomp_data *data)
{
	uint32_t a = 0, x = 0, v, mem[BPF_MEMWORDS] = { 0 }, words[NR_WORDS];

	memcpy(words, data, sizeof(words));
	for (const struct bpf_insn *i = prog;; i++) {
		v = BPF_SRC(i->code) == BPF_X ? x : i->k;
		switch (BPF_CLASS(i->code)) {
		case BPF_LD:
			a = BPF_MODE(i->code) == BPF_ABS ? words[i->k / 4] :
			    BPF_MODE(i->code) == BPF_MEM ? mem[i->k] :
			    BPF_MODE(i->code) == BPF_LEN ? (uint32_t)sizeof(*data) :
							   i->k;
			break;
		case BPF_LDX:
			x = BPF_MODE(i->code) == BPF_MEM ? mem[i->k] : BPF_MODE(i->code) == BPF_LEN ? (uint32_t)sizeof(*data) : i->k;
			break;
		case BPF_ST:
			mem[i->k] = a;
			break;
		case BPF_STX:
			mem[i->k] = x;
			break;
		case BPF_ALU:
			if (BPF_OP(i->code) == BPF_DIV && !v)
				return 0; /* as Linux: the program ends */
			a = alu(BPF_OP(i->code), a, v);
			break;
		case BPF_JMP:
			if (BPF_OP(i->code) == BPF_JA)
				i += i->k;
			else
				i += jump_taken(BPF_OP(i->code), a, v) ? i->jt : i->jf;
			break;
		case BPF_RET:
			return BPF_RVAL(i->code) == BPF_A ? a : i->k;
		default: /* BPF_MISC */
			if (BPF_MISCOP(i->code) == BPF_TAX)
				x = a;
			else
				a = x;
		}
	}
}

bool bpf_run_const(const struct bpf_insn *prog, int32_t nr, uint32_t arch, uint32_t *ret)
{
	uint32_t a = 0;

	for (const struct bpf_insn *i = prog;; i++)
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k != offsetof(struct bpf_seccomp_data, nr) && i->k != offsetof(struct bpf_seccomp_data, arch))
				return false;
			a = i->k == offsetof(struct bpf_seccomp_data, nr) ? (uint32_t)nr : arch;
			break;
		case BPF_RET | BPF_K:
			*ret = i->k;
			return true;
		case BPF_JMP | BPF_JA:
			i += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			i += jump_taken(BPF_OP(i->code), a, i->k) ? i->jt : i->jf;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		default:
			return false;
		}
}

uint32_t bpf_linux_len(const struct bpf_insn *prog, size_t len)
{
	uint32_t n = 3; /* registers are cleared, the context is kept */

	for (size_t pc = 0; pc < len; pc++) {
		const struct bpf_insn *i = &prog[pc];

		n++;
		if (i->code == (BPF_RET | BPF_K))
			n++; /* move, exit */
		else if (i->code == (BPF_ALU | BPF_DIV | BPF_X))
			n += 3; /* zero: clear, exit */
		else if (BPF_CLASS(i->code) == BPF_JMP && BPF_OP(i->code) != BPF_JA) {
			if (BPF_SRC(i->code) == BPF_K && (int32_t)i->k < 0)
				n++; /* the constant would be sign-extended */
			if (i->jf && (i->jt || BPF_OP(i->code) == BPF_JSET))
				n++; /* two ways to jump, and no opposite condition */
		}
	}
	return n;
}
