/* SPDX-License-Identifier: Apache-2.0 */
/* What System V shared memory asks of address spaces: how often an object is mapped, and taking one attachment out. */
#include <string.h>

#include "sentry/mm/mm_internal.h"

uint32_t mappable_nr_vmas(struct mappable *m)
{
	struct list *n;
	uint32_t r = 0;

	mutex_lock(&m->mu);
	for (n = m->vmas.next; n != &m->vmas; n = n->next)
		r++;
	mutex_unlock(&m->mu);
	return r;
}

struct mappable *mm_object_at(struct mm *mm, uint64_t addr, const char *name_prefix)
{
	struct mappable *m = NULL;
	struct vma *v;

	rwlock_rdlock(&mm->lock);
	/* The attachment began here: its beginning may have been unmapped, or mapped over, then the offset of what is left tells. */
	for (struct range *i = rangemap_find_next(&mm->vmas, addr); i && !m; i = i->next) {
		v = vma_of(i);
		if (i->start >= addr && i->start - addr == v->off && v->obj && v->name &&
		    !strncmp(v->name->s, name_prefix, strlen(name_prefix))) {
			m = v->obj;
			m->ops->get(m);
		}
	}
	rwlock_unlock(&mm->lock);
	return m;
}

int mm_unmap_object(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, struct mappable *m)
{
	uint64_t end;
	struct vma *v, *next;
	int r = 0;

	if (add_overflow(addr, len, &end))
		return -EINVAL;
	mm_wlock(mm);
	for (v = vma_first_in(mm, addr, end); v && v->r.start < end && r == 0; v = next) {
		next = vma_next(v);
		if (v->obj == m && v->r.start - addr == v->off)
			r = vma_unmap_range(mm, mm_task_ctx(mm, t), v->r.start, v->r.end);
	}
	mm_wunlock(mm);
	return r;
}
