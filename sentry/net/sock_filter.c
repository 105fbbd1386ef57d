/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF for sockets: the check that makes a program safe to run (known instructions, forward jumps inside, no division by a constant
 * zero, no scratch word read before it was written, a return at every end), and the interpreter. Programs only jump forward, so that they end.
 * DEVIATION: SKF_NET_OFF and SKF_LL_OFF find nothing (return 0): messages have no headers below the transport's.
 */
#include "sentry/net/sock_filter.h"

#include <string.h>

#include "sentry/kernel/kernel.h"

#define CLS(c)	  ((c) & 7)
#define LD	  0x00
#define LDX	  0x01
#define ST	  0x02
#define STX	  0x03
#define ALU	  0x04
#define JMP	  0x05
#define RET	  0x06
#define MISC	  0x07
#define W	  0x00
#define H	  0x08
#define B	  0x10
#define IMM	  0x00
#define ABS	  0x20
#define IND	  0x40
#define MEM	  0x60
#define LEN	  0x80
#define MSH	  0xa0
#define K	  0x00
#define X	  0x08
#define RET_A	  0x10
#define ADD	  0x00
#define SUB	  0x10
#define MUL	  0x20
#define DIV	  0x30
#define OR	  0x40
#define AND	  0x50
#define LSH	  0x60
#define RSH	  0x70
#define NEG	  0x80
#define MOD	  0x90
#define XOR	  0xa0
#define JA	  0x00
#define JEQ	  0x10
#define JGT	  0x20
#define JGE	  0x30
#define JSET	  0x40
#define TAX	  0x00
#define TXA	  0x80
#define MEMWORDS  16u
#define AD_OFF	  0xfffff000u /* SKF_AD_OFF */

enum { AD_PROTOCOL = 0, AD_PKTTYPE = 4, AD_IFINDEX = 8, AD_NLATTR = 12, AD_NLATTR_NEST = 16, AD_MARK = 20, AD_QUEUE = 24, AD_HATYPE = 28,
       AD_RXHASH = 32, AD_CPU = 36, AD_XOR_X = 40, AD_VLAN = 44, AD_VLAN_PRESENT = 48, AD_PAY_OFFSET = 52, AD_RANDOM = 56, AD_VLAN_TPID = 60,
       AD_MAX = 64 };

static bool known(uint16_t code)
{
	switch (CLS(code)) {
	case LD:
		return code == (LD | W | ABS) || code == (LD | H | ABS) || code == (LD | B | ABS) || code == (LD | W | IND) ||
		       code == (LD | H | IND) || code == (LD | B | IND) || code == (LD | IMM) || code == (LD | MEM) || code == (LD | LEN);
	case LDX:
		return code == (LDX | IMM) || code == (LDX | MEM) || code == (LDX | LEN) || code == (LDX | B | MSH);
	case ST:
		return code == ST;
	case STX:
		return code == STX;
	case ALU:
		return (code & ~(0xf0 | X | 7)) == 0 && (code & 0xf0) <= XOR && code != (ALU | NEG | X);
	case JMP:
		return code == (JMP | JA) || ((code & ~(0xf0 | X | 7)) == 0 && (code & 0xf0) >= JEQ && (code & 0xf0) <= JSET);
	case RET:
		return code == (RET | K) || code == (RET | RET_A);
	default:
		return code == (MISC | TAX) || code == (MISC | TXA);
	}
}

static bool insn_ok(const struct sock_filter_insn *f, uint32_t pc, uint32_t n)
{
	if (!known(f->code))
		return false;
	switch (f->code) {
	case ALU | DIV | K:
	case ALU | MOD | K:
		return f->k;
	case ALU | LSH | K:
	case ALU | RSH | K:
		return f->k < 32;
	case LD | MEM:
	case LDX | MEM:
	case ST:
	case STX:
		return f->k < MEMWORDS;
	case JMP | JA:
		return f->k < n - pc - 1;
	case LD | W | ABS:
	case LD | H | ABS:
	case LD | B | ABS:
		return f->k < AD_OFF || (f->k - AD_OFF < AD_MAX && !(f->k & 3));
	default:
		return CLS(f->code) != JMP || (pc + f->jt + 1 < n && pc + f->jf + 1 < n);
	}
}

/* No path reads a scratch word that it did not write. */
static int check_scratch(const struct sock_filter_insn *f, uint32_t n)
{
	uint16_t valid = 0, *in = malloc(n * sizeof(*in));
	bool ok = true;

	if (!in)
		return -ENOMEM;
	memset(in, 0xff, n * sizeof(*in));
	for (uint32_t pc = 0; ok && pc < n; pc++) {
		valid &= in[pc];
		switch (f[pc].code) {
		case ST:
		case STX:
			valid |= (uint16_t)(1u << f[pc].k);
			break;
		case LD | MEM:
		case LDX | MEM:
			ok = valid & 1u << f[pc].k;
			break;
		case JMP | JA:
			in[pc + 1 + f[pc].k] &= valid;
			valid = 0xffff;
			break;
		default:
			if (CLS(f[pc].code) == JMP) {
				in[pc + 1 + f[pc].jt] &= valid;
				in[pc + 1 + f[pc].jf] &= valid;
				valid = 0xffff;
			}
			break;
		}
	}
	free(in);
	return ok ? 0 : -EINVAL;
}

int sock_filter_new(const struct sock_filter_insn *insn, uint32_t n, struct sock_filter_prog **ret)
{
	struct sock_filter_prog *p;
	int r;

	if (!n || n > SOCK_FILTER_MAX)
		return -EINVAL;
	for (uint32_t pc = 0; pc < n; pc++)
		if (!insn_ok(&insn[pc], pc, n))
			return -EINVAL;
	if (CLS(insn[n - 1].code) != RET)
		return -EINVAL;
	r = check_scratch(insn, n);
	if (r)
		return r;
	p = malloc(sizeof(*p) + n * sizeof(*insn));
	if (!p)
		return -ENOMEM;
	ref_init(&p->ref);
	p->n = n;
	memcpy(p->insn, insn, n * sizeof(*insn));
	*ret = p;
	return 0;
}

int sock_filter_copy_in(struct task *t, gaddr_t val, uint32_t len, struct sock_filter_prog **ret)
{
	struct {
		uint16_t n, pad[3];
		uint64_t insns;
	} fprog;
	struct sock_filter_insn *insn;
	int r;

	if (len != sizeof(fprog))
		return -EINVAL;
	r = copy_in(t, &fprog, val, sizeof(fprog));
	if (r)
		return r;
	if (!fprog.insns || !fprog.n || fprog.n > SOCK_FILTER_MAX)
		return -EINVAL;
	insn = malloc(fprog.n * sizeof(*insn));
	if (!insn)
		return -ENOMEM;
	r = copy_in(t, insn, GADDR(fprog.insns), fprog.n * sizeof(*insn));
	if (!r)
		r = sock_filter_new(insn, fprog.n, ret);
	free(insn);
	return r;
}

struct sock_filter_prog *sock_filter_get(struct sock_filter_prog *p)
{
	if (p)
		ref_get(&p->ref);
	return p;
}

void sock_filter_put(struct sock_filter_prog *p)
{
	if (p && ref_put(&p->ref))
		free(p);
}

/* --- running --- */

struct run {
	const uint8_t *data;
	uint32_t len, x;
	const struct sock_filter_ctx *c;
};

static bool ancillary(const struct run *r, uint32_t what, uint32_t *a)
{
	switch (what) {
	case AD_PROTOCOL:
		*a = r->c->protocol;
		return true;
	case AD_PKTTYPE:
		*a = r->c->pkttype;
		return true;
	case AD_IFINDEX:
		*a = r->c->ifindex;
		return true;
	case AD_MARK:
		*a = r->c->mark;
		return true;
	case AD_HATYPE:
		*a = 772; /* ARPHRD_LOOPBACK */
		return true;
	case AD_RXHASH:
		*a = r->c->rxhash;
		return true;
	case AD_CPU:
		*a = r->c->cpu;
		return true;
	case AD_XOR_X:
		*a ^= r->x;
		return true;
	case AD_RANDOM:
		kernel_random(a, sizeof(*a));
		return true;
	case AD_QUEUE:
	case AD_VLAN:
	case AD_VLAN_PRESENT:
	case AD_VLAN_TPID:
	case AD_PAY_OFFSET:
	case AD_NLATTR:
	case AD_NLATTR_NEST:
		*a = 0;
		return true;
	default:
		return false;
	}
}

static bool load(const struct run *r, uint16_t code, uint32_t off, uint32_t *a)
{
	uint32_t size = (code & 0x18) == W ? 4 : (code & 0x18) == H ? 2 : 1;
	const uint8_t *p = r->data + off;

	if (off >= AD_OFF && (code & 0xe0) == ABS)
		return ancillary(r, off - AD_OFF, a);
	if (off > r->len || r->len - off < size)
		return false;
	*a = size == 4 ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : size == 2 ? (uint32_t)p[0] << 8 | p[1] : p[0];
	return true;
}

static bool alu(uint16_t op, uint32_t *a, uint32_t v)
{
	switch (op) {
	case ADD:
		*a += v;
		return true;
	case SUB:
		*a -= v;
		return true;
	case MUL:
		*a *= v;
		return true;
	case DIV:
		*a = v ? *a / v : 0;
		return v;
	case MOD:
		*a = v ? *a % v : 0;
		return v;
	case OR:
		*a |= v;
		return true;
	case AND:
		*a &= v;
		return true;
	case XOR:
		*a ^= v;
		return true;
	case LSH:
		*a <<= v & 31;
		return true;
	case RSH:
		*a >>= v & 31;
		return true;
	default:
		*a = -*a;
		return true;
	}
}

static bool jump(uint16_t op, uint32_t a, uint32_t v)
{
	switch (op) {
	case JEQ:
		return a == v;
	case JGT:
		return a > v;
	case JGE:
		return a >= v;
	default:
		return a & v;
	}
}

uint32_t sock_filter_run(const struct sock_filter_prog *p, const uint8_t *data, uint32_t len, const struct sock_filter_ctx *c)
{
	struct run r = { .data = data, .len = len, .c = c };
	uint32_t a = 0, mem[MEMWORDS] = { 0 };

	for (uint32_t pc = 0; pc < p->n; pc++) {
		const struct sock_filter_insn *f = &p->insn[pc];
		uint32_t v = f->code & X ? r.x : f->k;

		switch (CLS(f->code)) {
		case LD:
			if ((f->code & 0xe0) == IMM)
				a = f->k;
			else if ((f->code & 0xe0) == MEM)
				a = mem[f->k];
			else if ((f->code & 0xe0) == LEN)
				a = len;
			else if (!load(&r, f->code, f->k + ((f->code & 0xe0) == IND ? r.x : 0), &a))
				return 0;
			break;
		case LDX:
			if ((f->code & 0xe0) == IMM) {
				r.x = f->k;
			} else if ((f->code & 0xe0) == MEM) {
				r.x = mem[f->k];
			} else if ((f->code & 0xe0) == LEN) {
				r.x = len;
			} else {
				if (f->k >= len)
					return 0;
				r.x = (data[f->k] & 0xfu) << 2;
			}
			break;
		case ST:
			mem[f->k] = a;
			break;
		case STX:
			mem[f->k] = r.x;
			break;
		case ALU:
			if (!alu(f->code & 0xf0, &a, v))
				return 0;
			break;
		case JMP:
			if (f->code == (JMP | JA))
				pc += f->k;
			else
				pc += jump(f->code & 0xf0, a, v) ? f->jt : f->jf;
			break;
		case RET:
			return f->code & RET_A ? a : f->k;
		default:
			if (f->code & TXA)
				a = r.x;
			else
				r.x = a;
			break;
		}
	}
	return 0;
}
