/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an address space, and its cache in the platform.
 *
 * What the platform maps is always a subset of the pmas: dropping any of it costs only new faults. So a platform that runs out
 * of mapping slots is emptied and filled again, and nothing is sent to it before the first fault needs it.
 *
 * A removal must succeed, or the application would keep pages that are given to somebody else: when the platform refuses, all
 * of its mappings are removed, and if even that fails the mm is marked broken and its tasks die at their next fault.
 */
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sentry/fs/file.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm_internal.h"
#include "sentry/mm/safecopy.h"

#define ELF_ET_DYN_BASE (LINUX_TASK_SIZE_MAX / 3 * 2)
#define MIN_STACK_GAP   (128ULL << 20)
#define STACK_RND_MAX   (16ULL << 30)
#define MMAP_RND_MASK   ((1ULL << 28) - 1) /* pages, as vm.mmap_rnd_bits = 28 */

static uint64_t rnd(void)
{
	uint64_t v = 0;

	mm_random(&v, sizeof(v));
	return v;
}

void mm_pick_layout(struct mm *mm, uint64_t stack_rlimit, bool randomize)
{
	/* As Linux's mmap_base(): room for the stack's limit and its randomisation, at least 128 MiB, at most 5/6. */
	uint64_t gap = stack_rlimit, pad = STACK_RND_MAX + LINUX_STACK_GAP, max = mm->hi / 6 * 5, base;

	if (gap + pad > gap)
		gap += pad;
	if (gap < MIN_STACK_GAP)
		gap = MIN_STACK_GAP;
	if (gap > max)
		gap = max;
	base = mm->hi - gap;
	mm->stack_top = mm->hi;
	mm->stack_limit = stack_rlimit;
	if (randomize) {
		uint64_t r = (rnd() & MMAP_RND_MASK) << PAGE_SHIFT;

		mm->stack_top -= rnd() & (STACK_RND_MAX - 1) & PAGE_MASK;
		base -= MIN(r, base / 4);
	}
	mm->mmap_base = ALIGN_DOWN(base, PAGE_SIZE);
}

uint64_t mm_stack_top(const struct mm *mm)
{
	return mm->stack_top;
}

uint64_t mm_mmap_base(const struct mm *mm)
{
	return mm->mmap_base;
}

uint64_t mm_pie_base(const struct mm *mm)
{
	uint64_t base = ALIGN_DOWN(MIN(ELF_ET_DYN_BASE, mm->hi / 3 * 2), PAGE_SIZE);

	/* Only a layout without randomisation (debuggers ask for it) has its stack at the very end. */
	if (mm->stack_top == mm->hi)
		return base;
	return base + ((rnd() & MMAP_RND_MASK) << PAGE_SHIFT);
}

void mm_set_brk(struct mm *mm, uint64_t start)
{
	mm_wlock(mm);
	mm->brk = start;
	mm->layout.start_brk = start;
	mm_wunlock(mm);
}

uint64_t mm_brk_end(struct mm *mm)
{
	uint64_t end;

	rwlock_rdlock(&mm->lock);
	end = mm->brk;
	rwlock_unlock(&mm->lock);
	return end;
}

void mm_move_brk(struct mm *mm, uint64_t start, uint64_t end)
{
	mm_wlock(mm);
	mm->layout.start_brk = start;
	mm->brk = end;
	mm_wunlock(mm);
}

bool mm_mapped_above(struct mm *mm, uint64_t addr)
{
	bool r;

	rwlock_rdlock(&mm->lock);
	r = rangemap_find_next(&mm->vmas, addr) != NULL;
	rwlock_unlock(&mm->lock);
	return r;
}

bool mm_exe_mapped(struct mm *mm)
{
	bool r = false;

	rwlock_rdlock(&mm->lock);
	for (struct range *i = mm->vmas.first; mm->exe_file && i && !r; i = i->next)
		r = vma_of(i)->file && vma_of(i)->file->inode == mm->exe_file->inode;
	rwlock_unlock(&mm->lock);
	return r;
}

struct kernel *mm_kernel(const struct mm *mm)
{
	return mm->k;
}

struct mm_layout *mm_layout(struct mm *mm)
{
	return &mm->layout;
}

struct mm *mm_alloc_empty(void)
{
	struct mm *mm = calloc(1, sizeof(*mm));

	if (!mm)
		return NULL;
	safecopy_init();
	ref_init(&mm->ref);
	rwlock_init(&mm->lock, "mm.lock");
	mutex_init(&mm->usage_mu, "mm.usage_mu");
	rangemap_init(&mm->vmas, &vma_map_ops);
	rangemap_init(&mm->pmas, &pma_map_ops);
	list_init(&mm->aio);
	return mm;
}

void mm_set_kernel(struct mm *mm, struct kernel *k)
{
	mm->k = k;
	mm->mf = k->mf;
	mm->lo = MAX(k->pcaps.min_addr, LINUX_MMAP_MIN_ADDR);
	mm->hi = k->pcaps.max_addr ? MIN(k->pcaps.max_addr, LINUX_TASK_SIZE_MAX) : LINUX_TASK_SIZE_MAX;
}

int mm_new(struct kernel *k, struct mm **ret)
{
	struct mm *mm = mm_alloc_empty();

	if (!mm)
		return -ENOMEM;
	mm_set_kernel(mm, k);
	mm_pick_layout(mm, 8 << 20, true);
	*ret = mm;
	return 0;
}

struct mm *mm_get(struct mm *mm)
{
	ref_get(&mm->ref);
	return mm;
}

void mm_put(struct mm *mm)
{
	if (!mm || !ref_put(&mm->ref))
		return;
	mm_aio_exit(mm);
	mm_clear(mm, NULL);
	if (mm->as)
		mm->k->pops->as_free(mm->as);
	mm_file_put(mm->exe_file);
	rwlock_destroy(&mm->lock);
	mutex_destroy(&mm->usage_mu);
	free(mm);
}

void mm_user_get(struct mm *mm)
{
	atomic_fetch_add(&mm->users, 1);
	(void)mm_get(mm);
}

bool mm_shared(const struct mm *mm)
{
	return atomic_load(&mm->users) > 1;
}

uint32_t mm_users(const struct mm *mm)
{
	return (uint32_t)atomic_load(&mm->users);
}

void mm_user_put(struct mm *mm)
{
	if (!mm)
		return;
	if (atomic_fetch_sub(&mm->users, 1) == 1) {
		mm_aio_exit(mm);
		mm_wlock(mm);
		mm->defunct = true;
		mm_wunlock(mm);
		mm_clear(mm, NULL);
	}
	mm_put(mm);
}

int mm_as(struct mm *mm, struct plat_as **ret)
{
	int r = 0;

	rwlock_rdlock(&mm->lock);
	*ret = mm->as;
	rwlock_unlock(&mm->lock);
	if (likely(*ret && atomic_load(&mm->guard_gen) == memfile_guard_gen(mm->mf)))
		return 0;
	mm_wlock(mm);
	if (!mm->as) {
		r = mm->k->pops->as_new(mm->k->plat, &mm->as);
		atomic_store(&mm->guard_gen, memfile_guard_gen(mm->mf));
	} else if (atomic_load(&mm->guard_gen) != memfile_guard_gen(mm->mf)) {
		pma_guard(mm, NULL);
	}
	*ret = mm->as;
	mm_wunlock(mm);
	return r;
}

/* Less is protected in no time. */
#ifdef RUNSC_DEBUG_CHECKS
#define EXPECT_MIN 1
#else
#define EXPECT_MIN (4ULL << 20)
#endif

void mm_expect_snapshot(struct mm *mm, bool complete)
{
	uint64_t pos = 0;
	bool more;

	do {
		mm_wlock(mm);
		more = mm->as && !mm->defunct && mm->pmas.total >= EXPECT_MIN && pma_expect_snapshot(mm, &pos, complete);
		mm_wunlock(mm);
		/* Faults wait for the lock, which is not fair. */
		if (more)
			(void)usleep(500);
	} while (more);
}

static void forget_mapped(struct mm *mm)
{
	for (struct range *r = mm->pmas.first; r; r = r->next)
		pma_of(r)->mapped = false;
	mm->unmap_gen++;
}

static int flush_platform(struct mm *mm, struct plat_ctx *self)
{
	int r = mm->k->pops->unmap(mm->as, self, mm->lo, mm->hi - mm->lo);

	forget_mapped(mm);
	return r;
}

void mm_user_leaving(struct mm *mm, struct plat_ctx *self)
{
	/* Only a user makes another, so nobody can join the last one. */
	if (mm_shared(mm))
		return;
	mm_wlock(mm);
	if (mm->as && flush_platform(mm, self) == 0)
		mm->defunct = true;
	mm_wunlock(mm);
}

void mm_take_as(struct mm *dst, struct mm *src, struct plat_ctx *self)
{
	struct plat_as *as = NULL;

	if (mm_shared(src))
		return;
	mm_wlock(src);
	if (src->as && flush_platform(src, self) == 0) {
		as = src->as;
		src->as = NULL;
		src->defunct = true;
	}
	mm_wunlock(src);
	if (!as)
		return;
	mm_wlock(dst);
	dst->as = as;
	mm_wunlock(dst);
}

bool mm_thp_disabled(const struct mm *mm)
{
	return mm->thp_disable;
}

void mm_set_thp_disabled(struct mm *mm, bool on)
{
	mm_wlock(mm);
	mm->thp_disable = on;
	mm_wunlock(mm);
}

uint64_t mm_rss_peak(const struct mm *mm)
{
	return mm->hiwater_rss;
}

int as_map(struct mm *mm, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot, int fd, uint64_t off, uint32_t flags)
{
	int r;

	if (!mm->as || mm->defunct)
		return 0;
	self = mm_self(mm, self);
	r = mm->k->pops->map(mm->as, self, addr, len, prot, fd, off, flags);
	if (r == -ENOMEM && flush_platform(mm, self) == 0)
		r = mm->k->pops->map(mm->as, self, addr, len, prot, fd, off, flags);
	return r;
}

void as_unmap(struct mm *mm, struct plat_ctx *self, uint64_t addr, uint64_t len)
{
	if (!mm->as || mm->defunct)
		return;
	self = mm_self(mm, self);
	mm->unmap_gen++;
	if (mm->k->pops->unmap(mm->as, self, addr, len) < 0 && flush_platform(mm, self) < 0) {
		log_debug("mm %p: platform cannot unmap; its tasks die", (void *)mm);
		mm->broken = true;
	}
}

void as_protect(struct mm *mm, struct plat_ctx *self, uint64_t addr, uint64_t len, uint32_t prot)
{
	if (!mm->as || mm->defunct)
		return;
	self = mm_self(mm, self);
	mm->unmap_gen++;
	if (mm->k->pops->protect(mm->as, self, addr, len, prot) < 0)
		as_unmap(mm, self, addr, len);
}

void mm_clear(struct mm *mm, struct plat_ctx *self)
{
	mm_wlock(mm);
	if (mm->vmas.first) {
		uint64_t start = mm->vmas.first->start, end = mm->vmas.last->end;

		/* Whole ranges: no node is split, so this cannot fail. */
		if (pma_drop_range(mm, self, MIN(start, mm->lo), MAX(end, mm->hi), false) < 0)
			abort();
		while (mm->vmas.first)
			vma_drop(mm, vma_of(mm->vmas.first));
	}
	mm_wunlock(mm);
}

struct file *mm_exe_file(struct mm *mm)
{
	struct file *f;

	rwlock_rdlock(&mm->lock);
	f = mm_file_get(mm->exe_file);
	rwlock_unlock(&mm->lock);
	return f;
}

void mm_set_exe_file(struct mm *mm, struct file *f)
{
	struct file *old;

	(void)mm_file_get(f);
	mm_wlock(mm);
	old = mm->exe_file;
	mm->exe_file = f;
	mm_wunlock(mm);
	mm_file_put(old);
}

/* Shares one VMA's private pages with the child: both must look before they write. */
static int fork_pages(struct mm *mm, struct plat_ctx *self, struct mm *child, struct vma *v, bool keep_wp)
{
	bool protect = false;
	int r = rangemap_isolate(&mm->pmas, v->r.start, v->r.end);

	if (r < 0)
		return r;
	for (struct range *i = rangemap_first_in(&mm->pmas, v->r.start, v->r.end); i && i->start < v->r.end; i = i->next) {
		struct pma *p = pma_of(i), *q;

		/* An object's pages are found again by a fault; ours are nowhere else. */
		if (!p->priv)
			continue;
		q = pma_new();
		if (!q)
			return -ENOMEM;
		*q = (struct pma){ .r.start = i->start, .r.end = i->end, .priv = true, .cow = true, .fd = -1, .off = p->off,
				    .wp = p->wp && keep_wp };
		memfile_ref(mm->mf, p->off, i->end - i->start);
		(void)rangemap_insert(&child->pmas, &q->r);
		if (!p->cow) {
			p->cow = true;
			protect |= p->mapped;
		}
	}
	if (protect && (v->prot & LINUX_PROT_WRITE))
		as_protect(mm, self, v->r.start, v->r.end - v->r.start, v->prot & ~LINUX_PROT_WRITE);
	rangemap_merge_in(&mm->pmas, v->r.start, v->r.end);
	return 0;
}

static int fork_vmas(struct mm *mm, struct plat_ctx *self, struct mm *child, struct uffd_events *ev)
{
	for (struct range *i = mm->vmas.first; i; i = i->next) {
		struct vma *v = vma_of(i);
		/* Locks are not inherited. */
		struct vma_spec s = vma_spec_of(v, i->start);
		int r;

		s.flags &= ~(VMA_LOCKED | VMA_LOCKONFAULT);
		if (v->flags & VMA_DONTFORK)
			continue;
		r = uffd_forked(v, child, &s, ev);
		if (r == 0)
			r = vma_add(child, i->start, i->end, &s);
		if (r == 0 && !(v->flags & (VMA_SHARED | VMA_WIPEONFORK)))
			r = fork_pages(mm, self, child, v, s.uffd != NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

int mm_fork(struct mm *mm, struct plat_ctx *self, struct mm **ret)
{
	struct uffd_events ev = { NULL };
	struct mm *child;
	int r = mm_new(mm->k, &child);

	if (r < 0)
		return r;
	mm_wlock(mm);
	/* Objects find the child through its first VMA. Parent before child: nobody can fork the child yet. */
	rwlock_wrlock_nested(&child->lock);
	child->brk = mm->brk;
	child->mmap_base = mm->mmap_base;
	child->stack_top = mm->stack_top;
	child->layout = mm->layout;
	child->stack_limit = mm->stack_limit;
	child->thp_disable = mm->thp_disable;
	r = fork_vmas(mm, self, child, &ev);
	child->exe_file = mm_file_get(mm->exe_file);
	child->hiwater_vm = child->vmas.total;
	mm_wunlock(child);
	mm_wunlock(mm);
	if (r < 0) {
		uffd_discard(&ev);
		mm_clear(child, NULL); /* its registrations hold it */
		mm_put(child);
		return r;
	}
	mm_user_get(child);
	uffd_tell(&ev);
	*ret = child;
	return 0;
}
