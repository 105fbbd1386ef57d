/* SPDX-License-Identifier: Apache-2.0 */
/* remap_file_pages(2), emulated by an ordinary mapping as Linux has done since 4.0 (mm/mmap.c); and the end of a killed process's memory. */
#include "sentry/kernel/task.h"
#include "sentry/mm/mm_internal.h"

/* [addr, end) is one shared mapping, perhaps in pieces of different offsets? */
static struct vma *shared_run(const struct mm *mm, uint64_t addr, uint64_t end)
{
	struct vma *first = vma_find(mm, addr), *v = first;

	if (!v || !(v->flags & VMA_SHARED))
		return NULL;
	for (; v->r.end < end; v = vma_next(v)) {
		const struct vma *n = vma_next(v);

		if (!n || n->r.start != v->r.end || n->obj != v->obj || n->file != v->file || n->flags != v->flags || n->prot != v->prot)
			return NULL;
	}
	return first;
}

int64_t mm_remap_file_pages(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t prot, uint64_t pgoff, uint32_t flags)
{
	uint64_t end, off_end;
	struct vma_spec s;
	struct vma *v;
	int r = -EINVAL;

	(void)flags; /* MAP_NONBLOCK: whether pages are read ahead */
	addr = ALIGN_DOWN(addr, PAGE_SIZE);
	len = ALIGN_DOWN(len, PAGE_SIZE);
	if (prot || add_overflow(addr, len, &end) || end <= addr || pgoff > INT64_MAX >> PAGE_SHIFT ||
	    add_overflow(pgoff << PAGE_SHIFT, len, &off_end) || off_end > INT64_MAX)
		return -EINVAL;
	mm_wlock(mm);
	v = shared_run(mm, addr, end);
	if (v && !(v->flags & VMA_SPECIAL)) {
		s = vma_spec_of(v, addr);
		s.off = pgoff << PAGE_SHIFT;
		/* Its references are the old VMA's, which the write lock keeps until mm_wunlock(). */
		r = vma_unmap_range(mm, mm_task_ctx(mm, t), addr, end);
		if (r == 0)
			r = vma_add(mm, addr, end, &s);
	}
	mm_wunlock(mm);
	return r;
}

void mm_reap(struct mm *mm)
{
	mm_wlock(mm);
	for (struct range *i = mm->vmas.first; i; i = i->next) {
		const struct vma *v = vma_of(i);

		/* The object's own pages stay; a failure leaves the rest to the exit. */
		if (!(v->flags & VMA_SHARED) && pma_drop_range(mm, NULL, i->start, i->end, false) < 0)
			break;
	}
	mm_wunlock(mm);
}
