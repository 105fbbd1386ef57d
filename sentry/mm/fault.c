/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Application page faults, stack growth, and filling memory ahead.
 *
 * A platform that cannot tell reads from writes reports PLAT_ACCESS_UNKNOWN. The first such fault of a context at a page is taken
 * for a read (or maps the page with all rights when nothing must be copied); the same fault again, with nothing unmapped in
 * between, can only be a write; and once more, only a violation. mm.memo keeps what was done for the last few contexts.
 * Where a read would map pages that a write has to copy, the instruction is looked at, to save the second fault.
 */
#include <signal.h>

#include "sentry/mm/mm_internal.h"

/* Linux lets the stack grow for any access below it within the limit; the guard gap below must stay free. */
static struct vma *grow_stack(struct mm *mm, uint64_t addr, uint64_t stack_limit)
{
	uint64_t page = ALIGN_DOWN(addr, PAGE_SIZE);
	struct range *i = rangemap_find_next(&mm->vmas, addr);
	struct vma *v = i ? vma_of(i) : NULL;

	if (!v || !(v->flags & VMA_GROWSDOWN) || page < mm->lo)
		return NULL;
	if (v->r.end - page > stack_limit)
		return NULL;
	if (i->prev && vma_of(i->prev)->prot != LINUX_PROT_NONE && !(vma_of(i->prev)->flags & VMA_GROWSDOWN) &&
	    (i->prev->end > page || page - i->prev->end < LINUX_STACK_GAP))
		return NULL;
	if (i->prev && i->prev->end > page)
		return NULL;
	vma_account(mm, v, -1);
	if (v->obj)
		v->off -= v->r.start - page;
	rangemap_resize(&mm->vmas, i, page, i->end);
	vma_account(mm, v, 1);
	return v;
}

static struct fault_memo *memo_of(struct mm *mm, const void *self)
{
	for (size_t i = 0; i < FAULT_MEMOS; i++)
		if (mm->memo[i].self == self)
			return &mm->memo[i];
	return NULL;
}

static void memo_set(struct mm *mm, const void *self, uint64_t page, bool write)
{
	struct fault_memo *m = memo_of(mm, self);

	if (!m)
		m = &mm->memo[mm->memo_next++ % FAULT_MEMOS];
	*m = (struct fault_memo){ self, page, mm->unmap_gen, write };
}

static int fail(struct mm_fault *ret, int sig, int code, uint64_t addr)
{
	*ret = (struct mm_fault){ sig, code, addr };
	return -EFAULT;
}

/* What is known of the faulting instruction. */
enum hint { HINT_NONE, HINT_STORES, HINT_UNCLEAR };
#define NEED_HINT 1

/* Would a read of @page map something that a write must copy first, or announce? */
static bool write_copies(const struct mm *mm, const struct vma *v, uint64_t page)
{
	struct range *i = rangemap_find(&mm->pmas, page);

	if (v->flags & VMA_SHARED)
		return i && pma_of(i)->fd < 0 && !pma_writable_at(mm, pma_of(i), v, page);
	return i ? !pma_writable_at(mm, pma_of(i), v, page) : v->obj != NULL;
}

/* Read or write? *@violation: neither helps. */
static bool guess_write(struct mm *mm, const void *self, struct vma *v, uint64_t page, bool *violation)
{
	struct fault_memo *m = memo_of(mm, self);
	bool again = m && m->page == page && m->gen == mm->unmap_gen;
	struct range *i;

	*violation = again && (m->write || !(v->prot & LINUX_PROT_WRITE));
	if (!(v->prot & LINUX_PROT_WRITE))
		return false;
	i = rangemap_find(&mm->pmas, page);
	/* A mapped page that is write-protected for copying: most likely that is why we are here. */
	return again || (i && pma_of(i)->mapped && ((pma_of(i)->priv && pma_of(i)->cow) || pma_of(i)->wp));
}

static int fault_locked(struct mm *mm, struct plat_ctx *self, uint64_t addr, uint32_t access, uint64_t stack_limit, enum hint hint,
			struct mm_fault *ret)
{
	uint64_t page = ALIGN_DOWN(addr, PAGE_SIZE);
	struct vma *v = vma_find(mm, addr);
	bool write = access & PLAT_ACCESS_WRITE, violation = false;
	struct pma *p;
	int r;

	if (mm->broken)
		return fail(ret, SIGKILL, 0, addr);
	if (!v)
		v = grow_stack(mm, addr, stack_limit);
	if (!v)
		return fail(ret, SIGSEGV, LINUX_SEGV_MAPERR, addr);
	if (!(v->prot & LINUX_PROT_RWX) || (write && !(v->prot & LINUX_PROT_WRITE)) ||
	    ((access & PLAT_ACCESS_EXEC) && !(v->prot & LINUX_PROT_EXEC)))
		return fail(ret, SIGSEGV, LINUX_SEGV_ACCERR, addr);
	if ((access & PLAT_ACCESS_UNKNOWN) && v->uffd) {
		/* The message says which it was. */
		if (hint == HINT_NONE)
			return NEED_HINT;
		write = hint == HINT_STORES && (v->prot & LINUX_PROT_WRITE);
	}
	if ((access & PLAT_ACCESS_UNKNOWN) && !write) {
		write = guess_write(mm, self, v, page, &violation);
		if (violation)
			return fail(ret, SIGSEGV, LINUX_SEGV_ACCERR, addr);
		if (!write && (v->prot & LINUX_PROT_WRITE) && hint != HINT_UNCLEAR && write_copies(mm, v, page)) {
			if (hint == HINT_NONE)
				return NEED_HINT;
			write = true;
		}
	}
	r = pma_resolve(mm, self, v, page, write, true, &p);
	if (r == 0) {
		struct pma_shown shown;

		r = pma_map_platform(mm, self, v, p, page, 0, &shown);
		if (r == 0 && (access & PLAT_ACCESS_UNKNOWN))
			memo_set(mm, self, page, shown.full);
	}
	if (r == -EUSERFAULT)
		return r;
	if (r == -EFAULT || r == -EIO)
		return fail(ret, SIGBUS, LINUX_BUS_ADRERR, addr);
	/* Out of memory: Linux would call the OOM killer. */
	if (r < 0)
		return fail(ret, r == -ENOMEM ? SIGKILL : SIGBUS, r == -ENOMEM ? 0 : LINUX_BUS_ADRERR, addr);
	return 0;
}

int mm_handle_fault(struct mm *mm, struct plat_ctx *self, uint64_t addr, uint32_t access, struct mm_fault *ret)
{
	int r;

	if (addr >= LINUX_TASK_SIZE_MAX)
		return fail(ret, SIGSEGV, LINUX_SEGV_MAPERR, addr);
	if (self)
		mm_bind_thread(mm, self);
	mm_wlock(mm);
	r = fault_locked(mm, self, addr, access, mm_stack_limit(mm), HINT_NONE, ret);
	mm_wunlock(mm);
	if (r == NEED_HINT) {
		enum hint hint = mm_fault_writes(mm) ? HINT_STORES : HINT_UNCLEAR;

		mm_wlock(mm);
		r = fault_locked(mm, self, addr, access, mm_stack_limit(mm), hint, ret);
		mm_wunlock(mm);
	}
	return r == -EUSERFAULT ? uffd_sleep(true) : r;
}

bool mm_executable(struct mm *mm, uint64_t addr)
{
	struct vma *v;
	bool x;

	rwlock_rdlock(&mm->lock);
	v = vma_find(mm, addr);
	x = v && (v->prot & LINUX_PROT_EXEC);
	rwlock_unlock(&mm->lock);
	return x;
}

struct vma *mm_find_or_grow(struct mm *mm, uint64_t addr)
{
	struct vma *v = vma_find(mm, addr);

	return v ? v : grow_stack(mm, addr, mm_stack_limit(mm));
}

int mm_populate_locked(struct mm *mm, struct plat_ctx *self, uint64_t start, uint64_t end, bool write)
{
	uint64_t pos = start;

	while (pos < end) {
		struct vma *v = vma_find(mm, pos);
		struct pma *p;
		uint64_t stop;
		int r;

		if (!v)
			return -ENOMEM;
		/* Not ours to fill, and nobody could wait here. */
		if (v->uffd) {
			pos = v->r.end;
			continue;
		}
		r = pma_resolve(mm, self, v, pos, write, true, &p);
		if (r < 0)
			return r;
		stop = MIN(p->r.end, v->r.end);
		stop = MIN(stop, end);
		while (pos < stop) {
			struct pma_shown shown;

			r = pma_map_platform(mm, self, v, p, pos, PLAT_MAP_PRECOMMIT, &shown);
			if (r < 0)
				return r;
			pos = shown.end;
			/* Mapping may have merged the pma away. */
			if (pos < stop)
				p = pma_of(rangemap_find(&mm->pmas, pos));
		}
		pos = stop;
	}
	return 0;
}
