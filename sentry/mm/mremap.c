/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mremap: shrinking, growing in place, moving, duplicating shared mappings (old length 0), MREMAP_DONTUNMAP.
 * Pages are moved by moving their pmas; the platform forgets the old addresses first. Linux: mm/mremap.c.
 */
#include "sentry/kernel/task.h"
#include "sentry/mm/mm_internal.h"

struct mremap_req {
	uint64_t old, old_len, new_len, new_addr;
	uint32_t flags;
	struct uffd_events ev, late; /* messages of userfaultfd, in Linux's order: what made room, the move; what went */
};

/* Moves pmas of [from, from + len) to @to; nothing is there. */
static int move_pages(struct mm *mm, struct plat_ctx *self, uint64_t from, uint64_t to, uint64_t len, bool keep_wp)
{
	struct range *i, *next;
	bool mapped = false;
	int r = rangemap_isolate(&mm->pmas, from, from + len);

	if (r < 0)
		return r;
	for (i = rangemap_first_in(&mm->pmas, from, from + len); i && i->start < from + len; i = i->next)
		mapped |= pma_of(i)->mapped;
	if (mapped)
		as_unmap(mm, self, from, len);
	for (i = rangemap_first_in(&mm->pmas, from, from + len); i && i->start < from + len; i = next) {
		next = i->next;
		rangemap_remove(&mm->pmas, i);
		i->start = i->start - from + to;
		i->end = i->end - from + to;
		pma_of(i)->mapped = false;
		pma_of(i)->wp &= keep_wp;
		(void)rangemap_insert(&mm->pmas, i);
	}
	return 0;
}

/* The limits of a mapping that grows from old_len to new_len (as vma_to_resize()). */
static int check_resize(struct mm *mm, struct task *t, const struct vma *v, const struct mremap_req *q)
{
	uint64_t end, grow;
	int r = 0;

	if (q->old_len == 0 && !(v->flags & VMA_SHARED))
		return -EINVAL;
	if ((q->flags & LINUX_MREMAP_DONTUNMAP) && (v->flags & VMA_SPECIAL))
		return -EINVAL;
	if (q->old_len > v->r.end - q->old)
		return -EFAULT;
	if (q->new_len <= q->old_len)
		return 0;
	if (add_overflow(v->off + (q->old - v->r.start), q->new_len, &end))
		return -EINVAL;
	if (v->flags & VMA_SPECIAL)
		return -EFAULT;
	grow = q->new_len - q->old_len;
	if (v->flags & VMA_LOCKED)
		r = mm_may_lock_more(mm, t, grow);
	if (r == 0)
		r = mm_may_expand(mm, t, (v->prot & LINUX_PROT_WRITE) && !(v->flags & (VMA_SHARED | VMA_GROWSDOWN)), grow);
	return r;
}

/* Moves (or duplicates) to the free range at @to. */
static int64_t move_vma(struct mm *mm, struct plat_ctx *self, struct mremap_req *q, uint64_t to, bool *populate)
{
	struct vma *v = vma_find(mm, q->old);
	struct vma_spec s = vma_spec_of(v, q->old);
	int r;

	if (mm->vmas.nr + 3 >= LINUX_MAX_MAP_COUNT)
		return -ENOMEM;
	uffd_remapping(v, &s, q->old, to, q->new_len, &q->ev);
	r = vma_add(mm, to, to + q->new_len, &s);
	if (r < 0)
		return r;
	*populate = (s.flags & VMA_LOCKED) && !(s.flags & VMA_LOCKONFAULT);
	if (q->old_len == 0)
		return (int64_t)to;
	r = move_pages(mm, self, q->old, to, MIN(q->old_len, q->new_len), s.uffd != NULL);
	if (r == 0 && !(q->flags & LINUX_MREMAP_DONTUNMAP))
		uffd_unmapping(mm, q->old, q->old + q->old_len, &q->late);
	if (r == 0 && !(q->flags & LINUX_MREMAP_DONTUNMAP))
		r = vma_unmap_range(mm, self, q->old, q->old + q->old_len);
	if (r < 0)
		return r;
	if ((q->flags & LINUX_MREMAP_DONTUNMAP) && (s.flags & VMA_LOCKED)) {
		r = rangemap_isolate(&mm->vmas, q->old, q->old + q->old_len);
		v = vma_find(mm, q->old);
		vma_account(mm, v, -1);
		v->flags &= ~(VMA_LOCKED | VMA_LOCKONFAULT);
		vma_account(mm, v, 1);
	}
	return (int64_t)to;
}

static int64_t mremap_to(struct mm *mm, struct task *t, struct plat_ctx *self, struct mremap_req *q, bool *populate)
{
	uint64_t to = q->new_addr, end;
	struct vma *v;
	int r;

	/* A hint that is none (MREMAP_DONTUNMAP alone) is checked all the same. */
	if (!IS_ALIGNED(to, PAGE_SIZE) || add_overflow(to, q->new_len, &end) || end > LINUX_TASK_SIZE_MAX)
		return -EINVAL;
	if (to < q->old + q->old_len && q->old < to + q->new_len)
		return -EINVAL;
	if (q->flags & LINUX_MREMAP_FIXED) {
		if (end > mm->hi)
			return -ENOMEM;
		if (to < mm->lo)
			return -EPERM;
	}
	if (mm->vmas.nr + 2 >= LINUX_MAX_MAP_COUNT)
		return -ENOMEM;
	v = vma_find(mm, q->old);
	if (!v)
		return -EFAULT;
	if (q->old_len > q->new_len) {
		uffd_unmapping(mm, q->old + q->new_len, q->old + q->old_len, &q->late);
		r = vma_unmap_range(mm, self, q->old + q->new_len, q->old + q->old_len);
		if (r < 0)
			return r;
		q->old_len = q->new_len;
		v = vma_find(mm, q->old);
	}
	r = check_resize(mm, t, v, q);
	if (r == 0 && (q->flags & LINUX_MREMAP_DONTUNMAP))
		r = mm_may_expand(mm, t, false, q->new_len);
	if (r < 0)
		return r;
	if (q->flags & LINUX_MREMAP_FIXED) {
		uffd_unmapping(mm, to, to + q->new_len, &q->ev);
		r = vma_unmap_range(mm, self, to, to + q->new_len);
	} else {
		r = vma_find_gap(mm, to, q->new_len, 0, PAGE_SIZE, &to);
	}
	return r < 0 ? r : move_vma(mm, self, q, to, populate);
}

static int64_t mremap_locked(struct mm *mm, struct task *t, struct mremap_req *q, bool *populate)
{
	struct plat_ctx *self = mm_task_ctx(mm, t);
	struct vma *v = vma_find(mm, q->old);
	uint64_t end, to = 0;
	int r;

	if (!v)
		return -EFAULT;
	if (q->flags & (LINUX_MREMAP_FIXED | LINUX_MREMAP_DONTUNMAP))
		return mremap_to(mm, t, self, q, populate);
	if (q->old_len >= q->new_len && q->old_len) {
		if (add_overflow(q->old, q->old_len, &end) || end > LINUX_TASK_SIZE_MAX)
			return -EINVAL;
		uffd_unmapping(mm, q->old + q->new_len, end, &q->late);
		r = q->old_len > q->new_len ? vma_unmap_range(mm, self, q->old + q->new_len, end) : 0;
		return r < 0 ? r : (int64_t)q->old;
	}
	r = check_resize(mm, t, v, q);
	if (r < 0)
		return r;
	/* In place, when the mapping ends here and the room above is free. */
	if (q->old_len && q->old_len == v->r.end - q->old && !add_overflow(q->old, q->new_len, &end) && end <= mm->hi &&
	    vma_range_free(mm, v->r.end, end)) {
		vma_account(mm, v, -1);
		rangemap_resize(&mm->vmas, &v->r, v->r.start, end);
		vma_account(mm, v, 1);
		*populate = (v->flags & VMA_LOCKED) && !(v->flags & VMA_LOCKONFAULT);
		(void)rangemap_merge(&mm->vmas, &v->r);
		return (int64_t)q->old;
	}
	if (!(q->flags & LINUX_MREMAP_MAYMOVE))
		return -ENOMEM;
	r = vma_find_gap(mm, 0, q->new_len, 0, PAGE_SIZE, &to);
	return r < 0 ? r : move_vma(mm, self, q, to, populate);
}

int64_t mm_mremap(struct mm *mm, struct task *t, uint64_t old, uint64_t old_len, uint64_t new_len, uint32_t flags, uint64_t new_addr)
{
	struct mremap_req q = { old, ALIGN_UP(old_len, PAGE_SIZE), ALIGN_UP(new_len, PAGE_SIZE), new_addr, flags, { NULL }, { NULL } };
	bool populate = false;
	int64_t ret;

	if (flags & ~(LINUX_MREMAP_MAYMOVE | LINUX_MREMAP_FIXED | LINUX_MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((flags & (LINUX_MREMAP_FIXED | LINUX_MREMAP_DONTUNMAP)) && !(flags & LINUX_MREMAP_MAYMOVE))
		return -EINVAL;
	if (!IS_ALIGNED(old, PAGE_SIZE) || q.new_len == 0 || (old_len && !q.old_len) || q.new_len > LINUX_TASK_SIZE_MAX)
		return -EINVAL;
	if ((flags & LINUX_MREMAP_DONTUNMAP) && q.old_len != q.new_len)
		return -EINVAL;
	mm_wlock(mm);
	ret = mremap_locked(mm, t, &q, &populate);
	if (ret >= 0 && populate && mm_populate_locked(mm, mm_task_ctx(mm, t), (uint64_t)ret, (uint64_t)ret + q.new_len, false) < 0)
		populate = false; /* as for mmap: no failure */
	mm_wunlock(mm);
	if (ret < 0) {
		uffd_discard(&q.ev);
		uffd_discard(&q.late);
	}
	uffd_tell(&q.ev);
	uffd_tell(&q.late);
	return ret;
}
