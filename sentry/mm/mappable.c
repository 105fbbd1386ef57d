/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mappable objects' side of mappings: finding and removing the pages of an object from every application.
 *
 * mm.lock is outside mappable.mu, so an invalidation picks one mm at a time under mu, with a reference, drops mu, and works under
 * that mm's lock. VMAs already seen carry the generation of the invalidation; copies of a VMA inherit it with the pmas they copy,
 * and a VMA made later finds the object's new state by itself.
 */
#include "sentry/mm/mappable.h"

#include <stdatomic.h>

#include "sentry/mm/mm_internal.h"

static _Atomic uint64_t generation;

void mappable_init(struct mappable *m, const struct mappable_ops *ops)
{
	m->ops = ops;
	mutex_init(&m->mu, "mappable.mu");
	list_init(&m->vmas);
}

static struct mm *next_mm(struct mappable *m, uint64_t gen)
{
	struct vma *v;

	mutex_guard(&m->mu);
	list_for_each(v, &m->vmas, map_node)
		if (v->inval_gen < gen) {
			if (ref_tryget(&v->mm->ref))
				return v->mm;
			v->inval_gen = gen; /* its mm is being torn down */
		}
	return NULL;
}

static void invalidate_mm(struct mm *mm, struct mappable *m, uint64_t gen, uint64_t off, uint64_t end, bool cow_too)
{
	mm_wlock(mm);
	for (struct range *i = mm->vmas.first; i; i = i->next) {
		struct vma *v = vma_of(i);
		uint64_t a, b, voff_end;

		if (v->obj != m)
			continue;
		mutex_lock(&m->mu);
		v->inval_gen = gen;
		mutex_unlock(&m->mu);
		voff_end = v->off + (i->end - i->start);
		a = MAX(off, v->off);
		b = MIN(end, voff_end);
		if (a >= b)
			continue;
		a = i->start + (a - v->off);
		b = i->start + (b - v->off);
		/* Splitting at the bounds may need memory; without it drop the VMA's pages altogether, which is slower but right -
		 * except private copies, which must not be lost. */
		if (pma_drop_range(mm, NULL, a, b, !cow_too) < 0 && pma_drop_range(mm, NULL, i->start, i->end, true) < 0)
			mm->broken = true;
	}
	mm_wunlock(mm);
}

void mappable_invalidate(struct mappable *m, uint64_t off, uint64_t len, bool cow_too)
{
	uint64_t gen, end;
	struct mm *mm;

	if (len == 0)
		return;
	off = ALIGN_DOWN(off, PAGE_SIZE);
	if (add_overflow(off, len, &end) || end > INT64_MAX)
		end = INT64_MAX;
	end = ALIGN_UP(end, PAGE_SIZE);
	gen = atomic_fetch_add(&generation, 1) + 1;
	while ((mm = next_mm(m, gen))) {
		invalidate_mm(mm, m, gen, off, end, cow_too);
		mm_put(mm);
	}
}

bool mappable_has_writable(struct mappable *m)
{
	struct vma *v;

	mutex_guard(&m->mu);
	list_for_each(v, &m->vmas, map_node)
		/* max_prot: a mapping that may become writable counts, as VM_MAYWRITE does for seals. */
		if ((v->flags & VMA_SHARED) && (v->max_prot & LINUX_PROT_WRITE))
			return true;
	return false;
}
