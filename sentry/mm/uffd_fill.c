/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the reader of a userfaultfd does to pages: COPY, ZEROPAGE, CONTINUE, WRITEPROTECT. A page is filled when a pma covers it; showing it
 * to the application is left to the fault that is tried again.
 */
#include "sentry/kernel/task.h"
#include "sentry/mm/uffd_internal.h"

/* The VMA that holds all of [start, +len) and is registered with @c. */
static struct vma *target_vma(struct uffd_ctx *c, uint64_t start, uint64_t len)
{
	struct vma *v = vma_find(c->mm, start);

	return v && v->uffd == c && len <= v->r.end - start ? v : NULL;
}

static int fill_page(struct uffd_ctx *c, struct vma *v, enum uffd_fill how, uint64_t page, const void *content, bool wp)
{
	struct mm *mm = c->mm;
	int has;

	if (rangemap_find(&mm->pmas, page))
		return -EEXIST;
	if (!v->obj || (!(v->flags & VMA_SHARED) && how != UFFD_CONTINUE))
		return pma_insert_private(mm, page, content, wp);
	has = uffd_object_has(v, page);
	if (has < 0)
		return -EFAULT;
	if (how == UFFD_CONTINUE)
		return has ? pma_insert_object(mm, v, page, NULL, false) : -EFAULT;
	return has ? -EEXIST : pma_insert_object(mm, v, page, content, true);
}

int64_t uffd_fill(struct uffd_ctx *c, struct task *t, enum uffd_fill how, uint64_t start, uint64_t len, uint64_t src, bool wp)
{
	uint8_t content[PAGE_SIZE];
	uint64_t done = 0;
	int r = 0;

	if (atomic_load(&c->mm->users) == 0)
		return -ESRCH;
	while (r == 0 && done < len) {
		struct vma *v;

		/* Before any lock: it may be a fault of its own. */
		if (how == UFFD_COPY && mm_copy_in(t->mm, content, GADDR(src + done), sizeof(content)) < 0) {
			r = -EFAULT;
			break;
		}
		mm_wlock(c->mm);
		v = target_vma(c, start, len);
		if (!v)
			r = -ENOENT;
		else if (uffd_changing(c))
			r = -EAGAIN;
		else if ((how == UFFD_CONTINUE && !v->obj) || (wp && !(v->flags & VMA_UFFD_WP)))
			r = -EINVAL;
		else
			r = fill_page(c, v, how, start + done, how == UFFD_COPY ? content : NULL, wp);
		mm_wunlock(c->mm);
		if (r == 0)
			done += PAGE_SIZE;
		/* A reader that fills gigabytes must be stoppable. */
		if (atomic_load(&t->work))
			break;
	}
	return done ? (int64_t)done : r;
}

int uffd_writeprotect(struct uffd_ctx *c, uint64_t start, uint64_t len, bool on)
{
	struct mm *mm = c->mm;
	struct vma *v;
	int r = 0;

	if (atomic_load(&mm->users) == 0)
		return -ESRCH;
	mm_wlock(mm);
	v = target_vma(c, start, len);
	if (uffd_changing(c))
		r = -EAGAIN;
	else if (!v || !(v->flags & VMA_UFFD_WP))
		r = -ENOENT;
	if (r == 0)
		r = rangemap_isolate(&mm->pmas, start, start + len);
	if (r == 0) {
		for (struct range *i = rangemap_first_in(&mm->pmas, start, start + len); i && i->start < start + len; i = i->next)
			pma_of(i)->wp = on;
		pma_reprotect(mm, NULL, v, start, start + len);
		rangemap_merge_in(&mm->pmas, start, start + len);
	}
	mm_wunlock(mm);
	return r;
}
