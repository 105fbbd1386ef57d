/* SPDX-License-Identifier: Apache-2.0 */
/*
 * madvise, mlock, msync, mincore, and names of anonymous memory.
 *
 * MADV_DONTNEED on memory that only this mm uses punches a hole and leaves it mapped: the application reads zeroes without
 * another fault. MADV_FREE does the same at once, which its contract allows. Linux: mm/madvise.c, mlock.c, msync.c, mincore.c.
 */
#include <string.h>

#include "sentry/fs/file.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm_internal.h"

#define FALLOC_PUNCH_KEEP 3 /* FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE */

static int dontneed(struct mm *mm, struct plat_ctx *self, struct vma *v, uint64_t start, uint64_t end)
{
	struct range *i, *next;
	int r;

	if (v->obj || v->uffd)
		return pma_drop_range(mm, self, start, end, false);
	r = rangemap_isolate(&mm->pmas, start, end);
	for (i = rangemap_first_in(&mm->pmas, start, end); r == 0 && i && i->start < end; i = next) {
		struct pma *p = pma_of(i);
		uint64_t n = i->end - i->start;

		next = i->next;
		/* What is shown in an image would stay visible. */
		if (p->cow || memfile_writable_len(mm->mf, p->off, n) < n)
			r = pma_drop_range(mm, self, i->start, i->end, false);
		else
			memfile_decommit(mm->mf, p->off, n);
	}
	rangemap_merge_in(&mm->pmas, start, end);
	return r;
}

struct flag_change {
	uint32_t set, clear;
};

static bool flag_advice(int advice, struct flag_change *c)
{
	*c = (struct flag_change){ 0 };
	switch (advice) {
	case LINUX_MADV_NORMAL:
		c->clear = VMA_RANDOM | VMA_SEQUENTIAL;
		return true;
	case LINUX_MADV_RANDOM:
		c->set = VMA_RANDOM;
		c->clear = VMA_SEQUENTIAL;
		return true;
	case LINUX_MADV_SEQUENTIAL:
		c->set = VMA_SEQUENTIAL;
		c->clear = VMA_RANDOM;
		return true;
	case LINUX_MADV_DONTFORK:
		c->set = VMA_DONTFORK;
		return true;
	case LINUX_MADV_DOFORK:
		c->clear = VMA_DONTFORK;
		return true;
	case LINUX_MADV_WIPEONFORK:
		c->set = VMA_WIPEONFORK;
		return true;
	case LINUX_MADV_KEEPONFORK:
		c->clear = VMA_WIPEONFORK;
		return true;
	case LINUX_MADV_DONTDUMP:
		c->set = VMA_DONTDUMP;
		return true;
	case LINUX_MADV_DODUMP:
		c->clear = VMA_DONTDUMP;
		return true;
	case LINUX_MADV_HUGEPAGE:
		c->set = VMA_HUGEPAGE;
		c->clear = VMA_NOHUGEPAGE;
		return true;
	case LINUX_MADV_NOHUGEPAGE:
		c->set = VMA_NOHUGEPAGE;
		c->clear = VMA_HUGEPAGE;
		return true;
	default:
		return false;
	}
}

static bool advice_valid(int advice)
{
	return (advice >= LINUX_MADV_NORMAL && advice <= LINUX_MADV_DONTNEED) ||
	       (advice >= LINUX_MADV_FREE && advice <= LINUX_MADV_DONTNEED_LOCKED);
}

/* Changes flags of [start, end), which lies in one VMA. */
static int set_flags(struct mm *mm, uint64_t start, uint64_t end, const struct flag_change *c)
{
	struct vma *v;
	int r;

	if (((vma_find(mm, start)->flags | c->set) & ~c->clear) == vma_find(mm, start)->flags)
		return 0;
	r = rangemap_isolate(&mm->vmas, start, end);
	if (r < 0)
		return r;
	v = vma_find(mm, start);
	vma_account(mm, v, -1);
	v->flags = (v->flags | c->set) & ~c->clear;
	vma_account(mm, v, 1);
	return 0;
}

static int advise_vma(struct mm *mm, struct plat_ctx *self, struct vma *v, uint64_t start, uint64_t end, int advice)
{
	struct flag_change c;

	if (flag_advice(advice, &c)) {
		if (advice == LINUX_MADV_WIPEONFORK && (v->obj || (v->flags & VMA_SHARED)))
			return -EINVAL;
		if ((v->flags & VMA_SPECIAL) && (advice == LINUX_MADV_DODUMP || advice == LINUX_MADV_HUGEPAGE))
			return -EINVAL;
		return set_flags(mm, start, end, &c);
	}
	switch (advice) {
	case LINUX_MADV_DONTNEED:
	case LINUX_MADV_COLD:
	case LINUX_MADV_PAGEOUT:
		if (v->flags & VMA_LOCKED)
			return -EINVAL;
		return advice == LINUX_MADV_DONTNEED ? dontneed(mm, self, v, start, end) : 0;
	case LINUX_MADV_DONTNEED_LOCKED:
		return dontneed(mm, self, v, start, end);
	case LINUX_MADV_FREE:
		return v->obj || (v->flags & VMA_LOCKED) ? -EINVAL : dontneed(mm, self, v, start, end);
	case LINUX_MADV_POPULATE_READ:
	case LINUX_MADV_POPULATE_WRITE:
		if (!(v->prot & (advice == LINUX_MADV_POPULATE_WRITE ? LINUX_PROT_WRITE : LINUX_PROT_RWX)))
			return -EINVAL;
		return mm_populate_locked(mm, self, start, end, advice == LINUX_MADV_POPULATE_WRITE);
	default: /* WILLNEED, MERGEABLE, UNMERGEABLE: hints */
		return 0;
	}
}

/* MADV_REMOVE punches the object itself, whose locks are outside mm.lock: one VMA at a time with references. */
static int advise_remove(struct mm *mm, struct task *t, uint64_t start, uint64_t end)
{
	bool hole = false;

	while (start < end) {
		struct file *f = NULL;
		struct mappable *obj = NULL;
		uint64_t stop = 0, off = 0;
		struct vma *v;
		int64_t r = 0;

		rwlock_rdlock(&mm->lock);
		v = vma_first_in(mm, start, end);
		if (v) {
			hole |= v->r.start > start;
			start = MAX(start, v->r.start);
			stop = MIN(end, v->r.end);
			if ((v->flags & VMA_LOCKED) || !v->obj)
				r = -EINVAL;
			else if (!(v->flags & VMA_SHARED) || !(v->max_prot & LINUX_PROT_WRITE))
				r = -EACCES;
			off = v->off + (start - v->r.start);
			if (r == 0 && mappable_is_shmobj(v->obj)) {
				obj = v->obj;
				obj->ops->get(obj);
			} else if (r == 0) {
				f = mm_file_get(v->file);
			}
		}
		rwlock_unlock(&mm->lock);
		if (!v)
			return -ENOMEM;
		if (obj) {
			shmobj_punch(obj, off, stop - start);
			obj->ops->put(obj);
		} else if (r == 0) {
			r = f && f->ops->fallocate ? f->ops->fallocate(f, t, FALLOC_PUNCH_KEEP, (int64_t)off, (int64_t)(stop - start)) : -EINVAL;
		}
		mm_file_put(f);
		if (r < 0)
			return (int)r;
		start = stop;
	}
	return hole ? -ENOMEM : 0;
}

int64_t mm_madvise(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, int advice)
{
	uint64_t pos = addr, end, n = ALIGN_UP(len, PAGE_SIZE);
	bool hole = false;
	int r = 0;

	if (!advice_valid(advice) || !IS_ALIGNED(addr, PAGE_SIZE) || (len && !n) || add_overflow(addr, n, &end))
		return -EINVAL;
	if (n == 0)
		return 0;
	if (advice == LINUX_MADV_DONTNEED || advice == LINUX_MADV_DONTNEED_LOCKED || advice == LINUX_MADV_FREE || advice == LINUX_MADV_REMOVE)
		uffd_removing(mm, addr, end);
	if (advice == LINUX_MADV_REMOVE)
		return advise_remove(mm, t, addr, end);
	mm_wlock(mm);
	while (r == 0 && pos < end) {
		struct vma *v = vma_first_in(mm, pos, end);
		uint64_t stop;

		if (!v || v->r.start > pos)
			hole = true;
		if (!v || (hole && (advice == LINUX_MADV_POPULATE_READ || advice == LINUX_MADV_POPULATE_WRITE)))
			break;
		pos = MAX(pos, v->r.start);
		stop = MIN(end, v->r.end);
		r = advise_vma(mm, mm_task_ctx(mm, t), v, pos, stop, advice);
		pos = stop;
	}
	rangemap_merge_in(&mm->vmas, addr, end);
	mm_wunlock(mm);
	return r < 0 ? r : hole ? -ENOMEM : 0;
}

static uint64_t locked_in(const struct mm *mm, uint64_t start, uint64_t end)
{
	uint64_t n = 0;

	for (struct vma *v = vma_first_in(mm, start, end); v && v->r.start < end; v = vma_next(v))
		if (v->flags & VMA_LOCKED)
			n += MIN(end, v->r.end) - MAX(start, v->r.start);
	return n;
}

/* Sets or clears the lock over a range; holes end it with -ENOMEM, what was done stays. */
static int lock_range(struct mm *mm, struct plat_ctx *self, uint64_t start, uint64_t end, const struct flag_change *c, bool stop_at_hole)
{
	bool untouchable = false;
	uint64_t pos = start;
	int r = 0;

	while (r == 0 && pos < end) {
		struct vma *v = vma_first_in(mm, pos, end);
		uint64_t stop;

		if (!v || v->r.start > pos) {
			if (stop_at_hole)
				r = -ENOMEM;
			if (!v || stop_at_hole)
				break;
			pos = v->r.start;
		}
		stop = MIN(end, v->r.end);
		if (!(v->flags & VMA_SPECIAL))
			r = set_flags(mm, pos, stop, c);
		if (r == 0 && (c->set & VMA_LOCKED) && !(c->set & VMA_LOCKONFAULT)) {
			v = vma_find(mm, pos);
			/* What cannot be touched cannot be brought in: the whole range is locked, and that is the answer. */
			if (!(v->prot & LINUX_PROT_RWX))
				untouchable = true;
			else if (mm_populate_locked(mm, self, pos, stop, (v->prot & LINUX_PROT_WRITE) && !(v->flags & VMA_SHARED)) == -ENOMEM)
				r = -ENOMEM;
		}
		pos = stop;
	}
	rangemap_merge_in(&mm->vmas, start, end);
	return r == 0 && untouchable && stop_at_hole ? -ENOMEM : r;
}

int64_t mm_mlock(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, bool on, bool onfault)
{
	struct flag_change c = { .set = on ? VMA_LOCKED | (onfault ? VMA_LOCKONFAULT : 0) : 0,
				 .clear = on ? (onfault ? 0 : VMA_LOCKONFAULT) : VMA_LOCKED | VMA_LOCKONFAULT };
	uint64_t limit = mm_task_rlimit(t, LINUX_RLIMIT_MEMLOCK), end, want;
	bool cap = mm_task_may_lock(t);
	int r = 0;

	if (on && !cap && limit == 0)
		return -EPERM;
	if (add_overflow(len, addr & ~PAGE_MASK, &len))
		return -EINVAL;
	addr = ALIGN_DOWN(addr, PAGE_SIZE);
	len = ALIGN_UP(len, PAGE_SIZE);
	mm_wlock(mm);
	if (on && (add_overflow(mm->locked, len, &want) || want > limit)) {
		if (!add_overflow(addr, len, &end))
			want = mm->locked + len - locked_in(mm, addr, end);
		if (want > limit && !cap)
			r = -ENOMEM;
	}
	if (r == 0 && add_overflow(addr, len, &end))
		r = -EINVAL;
	if (r == 0 && len)
		r = lock_range(mm, mm_task_ctx(mm, t), addr, end, &c, true);
	mm_wunlock(mm);
	return r;
}

int64_t mm_mlockall(struct mm *mm, struct task *t, uint32_t mcl)
{
	struct flag_change c = { .clear = VMA_LOCKED | VMA_LOCKONFAULT };
	bool cap = mm_task_may_lock(t);
	uint64_t limit = mm_task_rlimit(t, LINUX_RLIMIT_MEMLOCK);
	int r = 0;

	if (mcl & ~(LINUX_MCL_CURRENT | LINUX_MCL_FUTURE | LINUX_MCL_ONFAULT) || mcl == LINUX_MCL_ONFAULT)
		return -EINVAL;
	if (mcl && !cap && limit == 0)
		return -EPERM;
	if (mcl) {
		c.set = VMA_LOCKED | ((mcl & LINUX_MCL_ONFAULT) ? VMA_LOCKONFAULT : 0);
		c.clear = ~c.set & (VMA_LOCKED | VMA_LOCKONFAULT);
	}
	mm_wlock(mm);
	if ((mcl & LINUX_MCL_CURRENT) && mm->vmas.total > limit && !cap) {
		r = -ENOMEM;
	} else {
		mm->def_flags = (mcl & LINUX_MCL_FUTURE) ? c.set : 0;
		if (!mcl || (mcl & LINUX_MCL_CURRENT))
			r = lock_range(mm, mm_task_ctx(mm, t), mm->lo, mm->hi, &c, false);
	}
	mm_wunlock(mm);
	return r;
}

int64_t mm_msync(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, uint32_t flags)
{
	bool hole = false;
	uint64_t end;

	(void)t;
	if ((flags & ~(LINUX_MS_ASYNC | LINUX_MS_INVALIDATE | LINUX_MS_SYNC)) || !IS_ALIGNED(addr, PAGE_SIZE) ||
	    ((flags & LINUX_MS_ASYNC) && (flags & LINUX_MS_SYNC)))
		return -EINVAL;
	if (add_overflow(addr, ALIGN_UP(len, PAGE_SIZE), &end))
		return -ENOMEM;
	while (addr < end) {
		struct mappable *obj = NULL;
		uint64_t off = 0, n = 0;
		struct vma *v;
		int r = 0;

		rwlock_rdlock(&mm->lock);
		v = vma_first_in(mm, addr, end);
		if (v) {
			hole |= v->r.start > addr;
			addr = MAX(addr, v->r.start);
			n = MIN(end, v->r.end) - addr;
			if ((flags & LINUX_MS_INVALIDATE) && (v->flags & VMA_LOCKED)) {
				r = -EBUSY;
			} else if ((flags & LINUX_MS_SYNC) && (v->flags & VMA_SHARED) && v->obj->ops->sync) {
				obj = v->obj;
				off = v->off + (addr - v->r.start);
				if (obj->ops->get)
					obj->ops->get(obj);
			}
		}
		rwlock_unlock(&mm->lock);
		if (!v)
			return -ENOMEM;
		if (obj) {
			r = obj->ops->sync(obj, off, n);
			if (obj->ops->put)
				obj->ops->put(obj);
		}
		if (r < 0)
			return r;
		addr += n;
	}
	return hole ? -ENOMEM : 0;
}

bool mm_page_resident(struct mm *mm, const struct vma *v, uint64_t page)
{
	struct range *i = rangemap_find(&mm->pmas, page);
	struct pma *p = i ? pma_of(i) : NULL;

	if (!p)
		return v->obj && !mappable_is_shmobj(v->obj); /* the host's page cache, most likely */
	return p->fd >= 0 || !memfile_is_hole(mm->mf, p->off + (page - i->start), PAGE_SIZE);
}

int64_t mm_mincore(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, gaddr_t vec)
{
	uint8_t buf[512];
	uint64_t pages, done = 0;

	(void)t;
	if (!IS_ALIGNED(addr, PAGE_SIZE))
		return -EINVAL;
	if (addr > LINUX_TASK_SIZE_MAX || len > LINUX_TASK_SIZE_MAX - addr)
		return -ENOMEM;
	pages = ALIGN_UP(len, PAGE_SIZE) >> PAGE_SHIFT;
	if (vec.v > LINUX_TASK_SIZE_MAX || pages > LINUX_TASK_SIZE_MAX - vec.v)
		return -EFAULT;
	while (done < pages) {
		size_t n = MIN(pages - done, sizeof(buf)), i;

		rwlock_rdlock(&mm->lock);
		for (i = 0; i < n; i++) {
			uint64_t page = addr + ((done + i) << PAGE_SHIFT);
			struct vma *v = vma_find(mm, page);

			if (!v)
				break;
			buf[i] = mm_page_resident(mm, v, page);
		}
		rwlock_unlock(&mm->lock);
		if (i && mm_copy_out(mm, gaddr_add(vec, done), buf, i) < 0)
			return -EFAULT;
		if (i < n)
			return -ENOMEM;
		done += n;
	}
	return 0;
}

int64_t mm_set_anon_name(struct mm *mm, uint64_t addr, uint64_t len, const char *name)
{
	struct vma_name *nm = NULL;
	uint64_t end, pos = addr;
	bool hole = false;
	int r = 0;

	if (!IS_ALIGNED(addr, PAGE_SIZE) || (len && !ALIGN_UP(len, PAGE_SIZE)) || add_overflow(addr, ALIGN_UP(len, PAGE_SIZE), &end))
		return -EINVAL;
	if (end == addr)
		return 0;
	if (name) {
		nm = vma_name_new(name);
		if (!nm)
			return -ENOMEM;
	}
	mm_wlock(mm);
	while (r == 0 && pos < end) {
		struct vma *v = vma_first_in(mm, pos, end);
		uint64_t stop;

		if (!v || v->r.start > pos)
			hole = true;
		if (!v)
			break;
		pos = MAX(pos, v->r.start);
		stop = MIN(end, v->r.end);
		if (v->file || (v->flags & VMA_SPECIAL))
			r = -EBADF;
		else
			r = rangemap_isolate(&mm->vmas, pos, stop);
		if (r == 0) {
			v = vma_find(mm, pos);
			vma_name_put(v->name);
			v->name = vma_name_get(nm);
			v->flags = nm ? v->flags | VMA_ANON_NAME : v->flags & ~VMA_ANON_NAME;
		}
		pos = stop;
	}
	rangemap_merge_in(&mm->vmas, addr, end);
	mm_wunlock(mm);
	vma_name_put(nm);
	return r < 0 ? r : hole ? -ENOMEM : 0;
}
