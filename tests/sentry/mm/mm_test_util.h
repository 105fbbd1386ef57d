/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A platform for tests of sentry/mm: its address space is a table of pages {fd, offset, protection}; the "application" is
 * guest_read() and guest_write(), which fault into the mm like a real one until the access succeeds or fails.
 */
#ifndef MM_TEST_UTIL_H
#define MM_TEST_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/htab.h"
#include "base/strbuf.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm_internal.h"

struct fake_page {
	int fd;
	uint64_t off;
	uint32_t prot;
};

struct fake_as {
	struct htab pages;
};

static unsigned fake_maps, fake_unmaps, fake_protects;
static bool fake_access_unknown;

static _unused_ int fake_as_new(struct platform *p, struct plat_as **ret)
{
	struct fake_as *as = calloc(1, sizeof(*as));

	*ret = (struct plat_as *)as;
	return 0;
}

static int fake_unmap(struct plat_as *as_, struct plat_ctx *self, uint64_t addr, uint64_t len)
{
	struct fake_as *as = (struct fake_as *)as_;
	uint64_t key;
	size_t pos = 0;
	void *val;

	fake_unmaps++;
	while (htab_next(&as->pages, &pos, &key, &val))
		if (key >= addr && key - addr < len) {
			free(val);
			htab_del(&as->pages, key);
		}
	return 0;
}

static void fake_as_free(struct plat_as *as)
{
	fake_unmap(as, NULL, 0, UINT64_MAX);
	htab_done(&((struct fake_as *)as)->pages);
	free(as);
}

static int fake_map(struct plat_as *as_, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot, int fd, uint64_t off,
		    uint32_t flags)
{
	struct fake_as *as = (struct fake_as *)as_;

	assert_true(len > 0 && IS_ALIGNED(addr | len | off, PAGE_SIZE));
	fake_maps++;
	for (uint64_t i = 0; i < len; i += PAGE_SIZE) {
		struct fake_page *p = malloc(sizeof(*p));

		*p = (struct fake_page){ fd, off + i, prot };
		free(htab_del(&as->pages, addr + i));
		assert_int_equal(htab_put(&as->pages, addr + i, p), 0);
	}
	return 0;
}

static int fake_protect(struct plat_as *as_, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot)
{
	struct fake_as *as = (struct fake_as *)as_;
	uint64_t key;
	size_t pos = 0;
	void *val;

	fake_protects++;
	while (htab_next(&as->pages, &pos, &key, &val))
		if (key >= addr && key - addr < len)
			((struct fake_page *)val)->prot = prot;
	return 0;
}

static _unused_ const struct platform_ops fake_ops = {
	.name = "mm-fake",
	.as_new = fake_as_new,
	.as_free = fake_as_free,
	.map = fake_map,
	.unmap = fake_unmap,
	.protect = fake_protect,
};

#define CTX ((struct plat_ctx *)(uintptr_t)0x1000)

static _unused_ struct kernel *test_kernel(void)
{
	struct kernel *k = calloc(1, sizeof(*k));

	assert_int_equal(memfile_new(&k->mf), 0);
	k->pops = &fake_ops;
	k->pcaps.min_addr = 0x10000;
	k->pcaps.max_addr = LINUX_TASK_SIZE_MAX;
	return k;
}

static _unused_ void test_kernel_free(struct kernel *k)
{
	/* Everything that was allocated was freed. */
	assert_int_equal(memfile_used(k->mf), 0);
	assert_int_equal(memfile_committed(k->mf), 0);
	memfile_free(k->mf);
	free(k);
}

static _unused_ struct mm *test_mm(struct kernel *k)
{
	struct plat_as *as;
	struct mm *mm;

	assert_int_equal(mm_new(k, &mm), 0);
	assert_int_equal(mm_as(mm, &as), 0);
	return mm;
}

/* One byte as the application would: 0, or the signal it would get. */
static _unused_ int guest_byte(struct mm *mm, uint64_t a, uint8_t *v, bool write)
{
	struct fake_as *as = (struct fake_as *)mm->as;

	for (int tries = 0; tries < 8; tries++) {
		struct fake_page *p = htab_get(&as->pages, a & PAGE_MASK);
		uint32_t need = write ? PLAT_PROT_WRITE : PLAT_PROT_READ | PLAT_PROT_WRITE | PLAT_PROT_EXEC;
		struct mm_fault f;

		if (p && (p->prot & need)) {
			uint64_t off = p->off + (a & ~PAGE_MASK);

			if (write)
				assert_int_equal(pwrite(p->fd, v, 1, (off_t)off), 1);
			else if (pread(p->fd, v, 1, (off_t)off) != 1)
				*v = 0;
			return 0;
		}
		if (mm_handle_fault(mm, CTX, a, fake_access_unknown ? PLAT_ACCESS_UNKNOWN : write ? PLAT_ACCESS_WRITE : PLAT_ACCESS_READ, &f) < 0)
			return f.sig;
	}
	fail_msg("fault at %#lx is never resolved", a);
	return -1;
}

static _unused_ int guest_write(struct mm *mm, uint64_t a, uint8_t v)
{
	return guest_byte(mm, a, &v, true);
}

/* The byte, or minus the signal. */
static _unused_ int guest_read(struct mm *mm, uint64_t a)
{
	uint8_t v = 0;
	int r = guest_byte(mm, a, &v, false);

	return r ? -r : v;
}

#define RW (LINUX_PROT_READ | LINUX_PROT_WRITE)
#define PRIV_ANON (LINUX_MAP_PRIVATE | LINUX_MAP_ANONYMOUS)
#define SHARED_ANON (LINUX_MAP_SHARED | LINUX_MAP_ANONYMOUS)

static _unused_ uint64_t test_map(struct mm *mm, uint64_t addr, uint64_t len, uint32_t prot, uint32_t flags)
{
	int64_t r = mm_mmap(mm, NULL, addr, len, prot, flags, NULL, 0);

	assert_true(r > 0);
	return (uint64_t)r;
}

#endif
