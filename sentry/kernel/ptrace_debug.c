/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debug registers of a tracee: hardware breakpoints and watchpoints that debuggers set by PTRACE_POKEUSER.
 *
 * What the tracer wrote is checked here as Linux does, kept in struct ptrace and given to the platform, which sets the CPU's. They outlive a
 * detach; fork does not inherit them and execve drops them. Locks: the tracee is held in its stop. Linux: arch/x86/kernel/ptrace.c,
 * hw_breakpoint.c.
 */
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/ptrace.h"
#include "state/state.h"

#define DR6_RESERVED 0xffff0ff0ull /* read as one; the stored value has them inverted away */
#define DR7_RESERVED 0xffffffff0000fc00ull
#define KIND_EXECUTE 0u
#define KIND_IO	     2u

static unsigned enabled(uint64_t dr7, unsigned n)
{
	return dr7 >> (n * 2) & 3;
}

static unsigned kind_of(uint64_t dr7, unsigned n)
{
	return dr7 >> (16 + n * 4) & 3;
}

static uint64_t len_of(uint64_t dr7, unsigned n)
{
	static const uint8_t lens[] = { 1, 2, 8, 4 };

	return lens[dr7 >> (18 + n * 4) & 3];
}

static bool addr_ok(const struct task *c, uint64_t addr, uint64_t len)
{
	return addr < c->k->pcaps.max_addr && len <= c->k->pcaps.max_addr - addr && !(addr & (len - 1));
}

void ptrace_debug_apply(struct task *c)
{
	const struct ptrace_debug *d = &c->pt->debug;
	struct plat_debug pd = { 0 };

	for (unsigned n = 0; n < ARRAY_SIZE(pd.addr); n++)
		if (enabled(d->dr7, n)) {
			pd.addr[n] = d->addr[n];
			pd.control |= d->dr7 & (3ull << (n * 2) | 0xfull << (16 + n * 4));
		}
	if (c->k->pops->set_debug)
		c->k->pops->set_debug(c->pctx, &pd);
}

uint64_t ptrace_debug_peek(const struct task *c, unsigned n)
{
	const struct ptrace_debug *d = &c->pt->debug;

	if (n < ARRAY_SIZE(d->addr))
		return d->addr[n];
	return n == 6 ? d->dr6 ^ DR6_RESERVED : n == 7 ? d->dr7 : 0;
}

static int poke_control(struct task *c, uint64_t val)
{
	struct ptrace_debug *d = &c->pt->debug;

	val &= ~DR7_RESERVED;
	for (unsigned n = 0; n < ARRAY_SIZE(d->addr); n++) {
		unsigned kind = kind_of(val, n);

		if (!enabled(val, n))
			continue;
		if (kind == KIND_IO || (kind == KIND_EXECUTE && len_of(val, n) != 1) || !addr_ok(c, d->addr[n], len_of(val, n)))
			return -EINVAL;
		if (!c->k->pops->set_debug)
			return -ENOSPC;
	}
	d->dr7 = val;
	ptrace_debug_apply(c);
	return 0;
}

int ptrace_debug_poke(struct task *c, unsigned n, uint64_t val)
{
	struct ptrace_debug *d = &c->pt->debug;

	if (n < ARRAY_SIZE(d->addr)) {
		if (!addr_ok(c, val, enabled(d->dr7, n) ? len_of(d->dr7, n) : 1))
			return -EINVAL;
		d->addr[n] = val;
		if (enabled(d->dr7, n))
			ptrace_debug_apply(c);
		return 0;
	}
	if (n == 7)
		return poke_control(c, val);
	if (n != 6)
		return -EIO;
	d->dr6 = val ^ DR6_RESERVED;
	return 0;
}

void ptrace_debug_exec(struct task *t)
{
	if (!t->pt || !t->pt->debug.dr7)
		return;
	t->pt->debug = (struct ptrace_debug){ 0 };
	ptrace_debug_apply(t);
}

int ptrace_debug_check(struct state_reader *r, const struct task *t, const struct ptrace_debug *d)
{
	bool ok = !(d->dr7 & DR7_RESERVED);

	for (unsigned n = 0; n < ARRAY_SIZE(d->addr); n++)
		ok = ok && (!enabled(d->dr7, n) || (kind_of(d->dr7, n) != KIND_IO && addr_ok(t, d->addr[n], len_of(d->dr7, n)) &&
						    (kind_of(d->dr7, n) != KIND_EXECUTE || len_of(d->dr7, n) == 1)));
	return state_check(r, ok, "debug registers that no debugger can set");
}
