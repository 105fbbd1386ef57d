/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMAs: what the application asked for, in address order.
 *
 * Neighbours that describe one thing are merged as Linux does, since /proc/self/maps shows it. Every VMA of an object is in the
 * object's list (under obj->mu), so that truncation finds its mappings. Accounting (locked, data, stack, exec) is kept at each
 * change, because limits are checked at every mmap.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/mm_internal.h"

struct vma_name *vma_name_new(const char *s)
{
	size_t n = strlen(s) + 1;
	struct vma_name *nm = malloc(sizeof(*nm) + n);

	if (!nm)
		return NULL;
	ref_init(&nm->ref);
	memcpy(nm->s, s, n);
	return nm;
}

struct vma_name *vma_name_get(struct vma_name *n)
{
	if (n)
		ref_get(&n->ref);
	return n;
}

void vma_name_put(struct vma_name *n)
{
	if (n && ref_put(&n->ref))
		free(n);
}

/* An unlinked VMA with its own references. */
static struct vma *vma_new(struct mm *mm, const struct vma_spec *s, uint64_t inval_gen)
{
	struct vma *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->mm = mm;
	v->prot = s->prot;
	v->max_prot = s->max_prot;
	v->flags = s->flags;
	v->obj = s->obj;
	v->off = s->off;
	v->file = s->file;
	v->name = vma_name_get(s->name);
	v->pol = s->pol;
	v->uffd = uffd_ctx_get(s->uffd);
	v->inval_gen = inval_gen;
	(void)mm_file_get(v->file);
	if (v->obj) {
		if (v->obj->ops->get)
			v->obj->ops->get(v->obj);
		mutex_lock(&v->obj->mu);
		list_add_tail(&v->obj->vmas, &v->map_node);
		mutex_unlock(&v->obj->mu);
	}
	return v;
}

/* Takes @v off its object's list; the references, whose last put may enter a file system, wait for mm_wunlock(). */
static void vma_free(struct vma *v)
{
	if (v->obj) {
		mutex_lock(&v->obj->mu);
		list_del(&v->map_node);
		mutex_unlock(&v->obj->mu);
	}
	v->r.next = v->mm->dead ? &v->mm->dead->r : NULL;
	v->mm->dead = v;
}

void mm_wlock(struct mm *mm)
{
	rwlock_wrlock(&mm->lock);
}

void mm_wunlock(struct mm *mm)
{
	struct vma *v = mm->dead, *next;

	mm->dead = NULL;
	rwlock_unlock(&mm->lock);
	for (; v; v = next) {
		next = vma_next(v);
		if (v->obj && v->obj->ops->put)
			v->obj->ops->put(v->obj);
		mm_file_put(v->file);
		vma_name_put(v->name);
		uffd_ctx_put(v->uffd);
		free(v);
	}
}

static struct range *split(struct rangemap *m, struct range *r, uint64_t at)
{
	struct vma *v = vma_of(r), *hi;
	struct vma_spec s = vma_spec_of(v, at);

	(void)m;
	hi = vma_new(v->mm, &s, v->inval_gen);
	return hi ? &hi->r : NULL;
}

static bool same_name(const struct vma_name *a, const struct vma_name *b)
{
	return a == b || (a && b && !strcmp(a->s, b->s));
}

static bool can_merge(const struct range *a, const struct range *b)
{
	const struct vma *x = vma_of(a), *y = vma_of(b);

	if (x->prot != y->prot || x->max_prot != y->max_prot || x->flags != y->flags || x->obj != y->obj || x->file != y->file ||
	    (x->flags & VMA_SPECIAL) || x->uffd != y->uffd || !mempolicy_equal(&x->pol, &y->pol) || !same_name(x->name, y->name))
		return false;
	return !x->obj || x->off + (a->end - a->start) == y->off;
}

static void merged(struct rangemap *m, struct range *r)
{
	(void)m;
	vma_free(vma_of(r));
}

const struct rangemap_ops vma_map_ops = { split, can_merge, merged };

void vma_account(struct mm *mm, const struct vma *v, int sign)
{
	uint64_t n = v->r.end - v->r.start;

	if (sign < 0)
		n = -n;
	if (v->flags & VMA_LOCKED)
		mm->locked += n;
	if (v->flags & VMA_GROWSDOWN)
		mm->stack += n;
	else if ((v->prot & LINUX_PROT_WRITE) && !(v->flags & VMA_SHARED))
		mm->data += n;
	else if ((v->prot & LINUX_PROT_EXEC) && !(v->flags & VMA_SHARED))
		mm->exec += n;
	if (mm->vmas.total > mm->hiwater_vm)
		mm->hiwater_vm = mm->vmas.total;
}

struct vma *vma_find(const struct mm *mm, uint64_t addr)
{
	struct range *r = rangemap_find(&mm->vmas, addr);

	return r ? vma_of(r) : NULL;
}

struct vma *vma_first_in(const struct mm *mm, uint64_t start, uint64_t end)
{
	struct range *r = rangemap_first_in(&mm->vmas, start, end);

	return r ? vma_of(r) : NULL;
}

int vma_add(struct mm *mm, uint64_t start, uint64_t end, const struct vma_spec *s)
{
	struct vma *v = vma_new(mm, s, 0);

	if (!v)
		return -ENOMEM;
	v->r.start = start;
	v->r.end = end;
	if (!rangemap_insert(&mm->vmas, &v->r)) {
		vma_free(v);
		return -EINVAL;
	}
	vma_account(mm, v, 1);
	(void)rangemap_merge(&mm->vmas, &v->r);
	return 0;
}

void vma_drop(struct mm *mm, struct vma *v)
{
	rangemap_remove(&mm->vmas, &v->r);
	vma_account(mm, v, -1);
	vma_free(v);
}

int vma_unmap_range(struct mm *mm, struct plat_ctx *self, uint64_t start, uint64_t end)
{
	struct vma *v, *next;
	int r;

	if (!vma_first_in(mm, start, end))
		return 0;
	r = rangemap_isolate(&mm->vmas, start, end);
	if (r < 0)
		return r;
	r = pma_drop_range(mm, self, start, end, false);
	if (r < 0)
		return r;
	for (v = vma_first_in(mm, start, end); v && v->r.start < end; v = next) {
		next = vma_next(v);
		vma_drop(mm, v);
	}
	return 0;
}

bool vma_range_free(struct mm *mm, uint64_t start, uint64_t end)
{
	struct range *r = rangemap_find_next(&mm->vmas, start);

	if (!r)
		return true;
	if (r->start < end)
		return false;
	/* Keep a stack's guard gap free. */
	return !(vma_of(r)->flags & VMA_GROWSDOWN) || r->start - end >= LINUX_STACK_GAP || end < start;
}

/* Top-down search that also stays out of guard gaps. */
static bool gap_down(struct mm *mm, uint64_t lo, uint64_t hi, uint64_t len, uint64_t align, uint64_t *ret)
{
	while (rangemap_gap_down(&mm->vmas, lo, hi, len, align, ret)) {
		struct range *n;

		if (vma_range_free(mm, *ret, *ret + len))
			return true;
		n = rangemap_find_next(&mm->vmas, *ret + len);
		if (!n || n->start < LINUX_STACK_GAP)
			return false;
		hi = n->start - LINUX_STACK_GAP;
	}
	return false;
}

int vma_find_gap(struct mm *mm, uint64_t hint, uint64_t len, uint32_t map_flags, uint64_t align, uint64_t *ret)
{
	uint64_t lo = mm->lo, hi = mm->mmap_base, end;

	if (len > mm->hi - mm->lo)
		return -ENOMEM;
	if (map_flags & LINUX_MAP_32BIT) {
		lo = MAX(lo, 0x40000000ULL);
		hi = MIN(hi, 0x80000000ULL);
	}
	hint = ALIGN_DOWN(hint, PAGE_SIZE);
	if (hint) {
		hint = MAX(hint, lo);
		if (!add_overflow(hint, len, &end) && end <= ((map_flags & LINUX_MAP_32BIT) ? hi : mm->hi) &&
		    vma_range_free(mm, hint, end)) {
			*ret = hint;
			return 0;
		}
	}
	if (gap_down(mm, lo, hi, len, align, ret))
		return 0;
	/* The part above mmap_base as the last resort, as Linux's bottom-up fallback. */
	if (!(map_flags & LINUX_MAP_32BIT) && gap_down(mm, lo, mm->hi, len, align, ret))
		return 0;
	return -ENOMEM;
}

int mm_may_expand(struct mm *mm, const struct task *t, bool data, uint64_t grow)
{
	uint64_t total;

	if (add_overflow(mm->vmas.total, grow, &total) || total > mm_task_rlimit(t, LINUX_RLIMIT_AS))
		return -ENOMEM;
	if (data && (add_overflow(mm->data, grow, &total) || total > mm_task_rlimit(t, LINUX_RLIMIT_DATA)))
		return -ENOMEM;
	return 0;
}

int mm_may_lock_more(struct mm *mm, const struct task *t, uint64_t grow)
{
	uint64_t total;

	if (mm_task_may_lock(t))
		return 0;
	if (add_overflow(mm->locked, grow, &total) || total > mm_task_rlimit(t, LINUX_RLIMIT_MEMLOCK))
		return -EAGAIN;
	return 0;
}
