/* SPDX-License-Identifier: Apache-2.0 */
/* See fake_platform.h. One lock for everything: clarity, not speed. Pages are mapped one by one into our own address space. */
#include "fake_platform.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/mutex.h"

struct page {
	uint64_t addr;
	uint8_t *host; /* mapped read-write if the fd allows */
	uint32_t prot;
	struct page *next;
};

struct platform {
	struct mutex mu;
	fake_script *script;
	void *arg;
	struct fake_counts n;
};

struct plat_as {
	struct platform *p;
	struct page *pages;
};

struct plat_ctx {
	struct platform *p;
	struct arch_state st;
	fake_script *script;
	void *arg;
	atomic_bool irq;
};

static int fake_probe(const char **why)
{
	return 0;
}

static int fake_new(struct platform **ret, struct error **err)
{
	struct platform *p = calloc(1, sizeof(*p));

	if (!p)
		return error_set(err, -ENOMEM, "fake platform");
	mutex_init(&p->mu, "fake.platform");
	*ret = p;
	return 0;
}

static void fake_free(struct platform *p)
{
	if (p)
		mutex_destroy(&p->mu);
	free(p);
}

static void fake_caps(const struct platform *p, struct plat_caps *ret)
{
	*ret = (struct plat_caps){ .name = "fake", .fault_access_known = true, .min_addr = 0x10000, .max_addr = 0x7fffffffe000 };
}

static int fake_as_new(struct platform *p, struct plat_as **ret)
{
	struct plat_as *as = calloc(1, sizeof(*as));

	if (!as)
		return -ENOMEM;
	as->p = p;
	mutex_guard(&p->mu);
	p->n.spaces++;
	*ret = as;
	return 0;
}

static struct page **find(struct plat_as *as, uint64_t addr)
{
	struct page **pp = &as->pages;

	while (*pp && (*pp)->addr != ALIGN_DOWN(addr, PAGE_SIZE))
		pp = &(*pp)->next;
	return pp;
}

static void drop_locked(struct plat_as *as, uint64_t addr, uint64_t len)
{
	struct page **pp = &as->pages;

	while (*pp) {
		struct page *pg = *pp;

		if (pg->addr < addr || pg->addr - addr >= len) {
			pp = &pg->next;
			continue;
		}
		*pp = pg->next;
		(void)munmap(pg->host, PAGE_SIZE);
		free(pg);
	}
}

static void fake_as_free(struct plat_as *as)
{
	if (!as)
		return;
	mutex_lock(&as->p->mu);
	drop_locked(as, 0, UINT64_MAX);
	as->p->n.spaces--;
	mutex_unlock(&as->p->mu);
	free(as);
}

static int fake_map(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot, int fd, uint64_t off,
		    uint32_t flags)
{
	if (!len || !IS_ALIGNED(addr | len | off, PAGE_SIZE))
		return -EINVAL;
	mutex_guard(&as->p->mu);
	as->p->n.maps++;
	drop_locked(as, addr, len);
	for (uint64_t i = 0; i < len; i += PAGE_SIZE) {
		int hp = PROT_READ | (prot & PLAT_PROT_WRITE ? PROT_WRITE : 0);
		uint8_t *host = mmap(NULL, PAGE_SIZE, hp, MAP_SHARED, fd, (off_t)(off + i));
		struct page *pg = malloc(sizeof(*pg));

		if (host == MAP_FAILED || !pg) {
			int r = host == MAP_FAILED ? -errno : -ENOMEM;

			if (host != MAP_FAILED)
				(void)munmap(host, PAGE_SIZE);
			free(pg);
			drop_locked(as, addr, len);
			return r;
		}
		*pg = (struct page){ addr + i, host, prot, as->pages };
		as->pages = pg;
	}
	return 0;
}

static int fake_unmap(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len)
{
	mutex_guard(&as->p->mu);
	as->p->n.unmaps++;
	drop_locked(as, addr, len);
	return 0;
}

static int fake_protect(struct plat_as *as, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot)
{
	mutex_guard(&as->p->mu);
	as->p->n.protects++;
	for (struct page *pg = as->pages; pg; pg = pg->next) {
		if (pg->addr < addr || pg->addr - addr >= len)
			continue;
		if (mprotect(pg->host, PAGE_SIZE, PROT_READ | (prot & PLAT_PROT_WRITE ? PROT_WRITE : 0)) < 0)
			return -errno;
		pg->prot = prot;
	}
	return 0;
}

static int fake_ctx_new(struct platform *p, struct plat_ctx **ret)
{
	struct plat_ctx *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->st.fpu.data = calloc(1, ARCH_XSAVE_MAX);
	if (!c->st.fpu.data) {
		free(c);
		return -ENOMEM;
	}
	c->p = p;
	mutex_guard(&p->mu);
	c->script = p->script;
	c->arg = p->arg;
	p->n.contexts++;
	*ret = c;
	return 0;
}

static void fake_ctx_free(struct plat_ctx *c)
{
	if (!c)
		return;
	mutex_lock(&c->p->mu);
	c->p->n.contexts--;
	mutex_unlock(&c->p->mu);
	free(c->st.fpu.data);
	free(c);
}

static int fake_switch_to(struct plat_ctx *c, struct plat_as *as, struct plat_trap *t)
{
	memset(t, 0, sizeof(*t));
	if (atomic_exchange(&c->irq, false)) {
		t->event = PLAT_INTERRUPTED;
		return 0;
	}
	if (c->script)
		c->script(c, as, t, c->arg);
	else
		fake_syscall(t, SYS_getpid, 0, 0, 0);
	t->ip = t->ip ? t->ip : c->st.r.rip;
	t->sp = t->sp ? t->sp : c->st.r.rsp;
	c->st.r.orig_rax = t->event == PLAT_SYSCALL ? t->nr : UINT64_MAX;
	if (t->event == PLAT_SYSCALL)
		c->st.r.rax = (uint64_t)-ENOSYS;
	return 0;
}

static void fake_interrupt(struct plat_ctx *c)
{
	atomic_store(&c->irq, true);
}

static struct arch_state *fake_regs(struct plat_ctx *c, bool fpu)
{
	return &c->st;
}

static void fake_set_ret(struct plat_ctx *c, uint64_t val)
{
	c->st.r.rax = val;
}

static void fake_set_step(struct plat_ctx *c, bool on)
{
}

static int fake_try_debug(struct plat_ctx *self, const struct plat_debug *d)
{
	return d->control ? -ENOSPC : 0;
}

static void fake_set_debug(struct plat_ctx *c, const struct plat_debug *d)
{
}

void fake_set_script(struct platform *p, fake_script *fn, void *arg)
{
	mutex_guard(&p->mu);
	p->script = fn;
	p->arg = arg;
}

void fake_syscall(struct plat_trap *t, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	*t = (struct plat_trap){ .event = PLAT_SYSCALL, .nr = nr, .args = { a0, a1, a2 } };
}

static int access_mem(struct plat_as *as, uint64_t addr, void *in, const void *out, size_t len, struct plat_trap *t)
{
	uint32_t want = out ? PLAT_PROT_WRITE : PLAT_PROT_READ;

	mutex_guard(&as->p->mu);
	for (size_t done = 0; done < len;) {
		uint64_t at = addr + done;
		size_t off = at & (PAGE_SIZE - 1), n = MIN(len - done, PAGE_SIZE - off);
		struct page *pg = *find(as, at);

		if (!pg || !(pg->prot & want)) {
			*t = (struct plat_trap){ .event = PLAT_FAULT, .sig = SIGSEGV, .code = pg ? SEGV_ACCERR : SEGV_MAPERR, .addr = at,
						 .access = out ? PLAT_ACCESS_WRITE : PLAT_ACCESS_READ, .trapno = 14,
						 .err = 4u | (out ? 2u : 0u) | (pg ? 1u : 0u) };
			return -EFAULT;
		}
		if (out)
			memcpy(pg->host + off, (const uint8_t *)out + done, n);
		else
			memcpy((uint8_t *)in + done, pg->host + off, n);
		done += n;
	}
	return 0;
}

int fake_read(struct plat_as *as, uint64_t addr, void *buf, size_t len, struct plat_trap *t)
{
	return access_mem(as, addr, buf, NULL, len, t);
}

int fake_write(struct plat_as *as, uint64_t addr, const void *buf, size_t len, struct plat_trap *t)
{
	return access_mem(as, addr, NULL, buf, len, t);
}

int fake_mapped(struct plat_as *as, uint64_t addr)
{
	struct page *pg;

	mutex_guard(&as->p->mu);
	pg = *find(as, addr);
	return pg ? (int)pg->prot : -1;
}

struct fake_counts fake_counts(const struct platform *p)
{
	return p->n;
}

const struct platform_ops fake_platform_ops = {
	.name = "fake",
	.probe = fake_probe,
	.new = fake_new,
	.free = fake_free,
	.caps = fake_caps,
	.as_new = fake_as_new,
	.as_free = fake_as_free,
	.map = fake_map,
	.unmap = fake_unmap,
	.protect = fake_protect,
	.ctx_new = fake_ctx_new,
	.ctx_free = fake_ctx_free,
	.switch_to = fake_switch_to,
	.interrupt = fake_interrupt,
	.regs = fake_regs,
	.set_ret = fake_set_ret,
	.set_step = fake_set_step,
	.try_debug = fake_try_debug,
	.set_debug = fake_set_debug,
};
