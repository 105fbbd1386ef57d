/* SPDX-License-Identifier: Apache-2.0 */
/* NUMA memory policies on a machine with one node; see mempolicy.h. Linux: mm/mempolicy.c. */
#include "sentry/mm/mempolicy.h"

#include "base/strbuf.h"
#include "schemas/mm_policy.pb-c.h"
#include "sentry/mm/mm_internal.h"
#include "state/state.h"

int mempolicy_mode(uint32_t arg, struct mempolicy *ret)
{
	struct mempolicy p = { .mode = arg & ~LINUX_MPOL_MODE_FLAGS, .flags = arg & LINUX_MPOL_MODE_FLAGS };

	if (p.mode >= LINUX_MPOL_MAX)
		return -EINVAL;
	if ((p.flags & LINUX_MPOL_F_STATIC_NODES) && (p.flags & LINUX_MPOL_F_RELATIVE_NODES))
		return -EINVAL;
	/* PREFERRED_MANY: newer than 6.1, and harmless. */
	if ((p.flags & LINUX_MPOL_F_NUMA_BALANCING) && p.mode != LINUX_MPOL_BIND && p.mode != LINUX_MPOL_PREFERRED_MANY)
		return -EINVAL;
	*ret = p;
	return 0;
}

int mempolicy_set_nodes(struct mempolicy *p, uint64_t nodes)
{
	uint32_t user = p->flags & (LINUX_MPOL_F_STATIC_NODES | LINUX_MPOL_F_RELATIVE_NODES);

	if (p->mode == LINUX_MPOL_DEFAULT) {
		if (nodes)
			return -EINVAL;
		*p = (struct mempolicy){ 0 };
		return 0;
	}
	if (p->mode == LINUX_MPOL_LOCAL || (p->mode == LINUX_MPOL_PREFERRED && !nodes)) {
		if (nodes || user)
			return -EINVAL;
		p->mode = LINUX_MPOL_LOCAL;
		return 0;
	}
	/* At least one node must exist; relative ones are folded onto those that do. */
	if (!nodes || (!(nodes & 1) && !(user & LINUX_MPOL_F_RELATIVE_NODES)))
		return -EINVAL;
	p->nodes = nodes;
	return 0;
}

uint64_t mempolicy_nodes(const struct mempolicy *p)
{
	if (p->flags & (LINUX_MPOL_F_STATIC_NODES | LINUX_MPOL_F_RELATIVE_NODES))
		return p->nodes;
	return p->nodes ? 1 : 0;
}

/* Is it one that could have been set? */
static bool valid(const struct mempolicy *p)
{
	struct mempolicy q;

	if (mempolicy_mode(p->mode | p->flags, &q) < 0 || q.mode != p->mode || mempolicy_set_nodes(&q, p->nodes) < 0)
		return false;
	q.home = p->home && (p->mode == LINUX_MPOL_BIND || p->mode == LINUX_MPOL_PREFERRED_MANY);
	return mempolicy_equal(p, &q);
}

void mempolicy_text(const struct mempolicy *p, struct strbuf *b)
{
	static const char *const names[LINUX_MPOL_MAX] = { "default", "prefer", "bind", "interleave", "local", "prefer (many)" };

	strbuf_adds(b, names[p->mode]);
	if (p->flags)
		strbuf_addf(b, "=%s", p->flags & LINUX_MPOL_F_STATIC_NODES     ? "static"
				      : p->flags & LINUX_MPOL_F_RELATIVE_NODES ? "relative"
									       : "");
	if (p->nodes)
		strbuf_adds(b, ":0");
}

/* The whole of [addr, end) is mapped? */
static bool mapped(const struct mm *mm, uint64_t addr, uint64_t end)
{
	return rangemap_covers(&mm->vmas, addr, end);
}

int mm_mbind(struct mm *mm, uint64_t addr, uint64_t len, const struct mempolicy *p)
{
	uint64_t end = addr + len;
	int r = 0;

	mm_wlock(mm);
	if (!mapped(mm, addr, end))
		r = -EFAULT;
	if (r == 0)
		r = rangemap_isolate(&mm->vmas, addr, end);
	for (struct vma *v = r == 0 ? vma_first_in(mm, addr, end) : NULL; v && v->r.start < end; v = vma_next(v))
		v->pol = *p;
	rangemap_merge_in(&mm->vmas, addr, end);
	mm_wunlock(mm);
	return r;
}

int mm_set_home_node(struct mm *mm, uint64_t addr, uint64_t len)
{
	uint64_t end = addr + len;
	int r = -ENOENT;

	mm_wlock(mm);
	for (struct vma *v = vma_first_in(mm, addr, end), *next; v && v->r.start < end; v = next) {
		if (v->pol.mode == LINUX_MPOL_DEFAULT) {
			next = vma_next(v);
			continue;
		}
		if (v->pol.mode != LINUX_MPOL_BIND && v->pol.mode != LINUX_MPOL_PREFERRED_MANY) {
			r = -EOPNOTSUPP;
			break;
		}
		r = rangemap_isolate(&mm->vmas, MAX(addr, v->r.start), MIN(end, v->r.end));
		if (r < 0)
			break;
		v = vma_find(mm, MAX(addr, v->r.start));
		v->pol.home = true;
		next = vma_next(v);
	}
	rangemap_merge_in(&mm->vmas, addr, end);
	mm_wunlock(mm);
	return r;
}

int mm_mempolicy_at(struct mm *mm, uint64_t addr, struct mempolicy *ret)
{
	struct vma *v;

	rwlock_rdlock(&mm->lock);
	v = vma_find(mm, addr);
	if (v)
		*ret = v->pol;
	rwlock_unlock(&mm->lock);
	return v ? 0 : -EFAULT;
}

int mm_page_node(struct mm *mm, uint64_t addr)
{
	uint64_t page = ALIGN_DOWN(addr, PAGE_SIZE);
	struct vma *v;
	int r;

	rwlock_rdlock(&mm->lock);
	v = vma_find(mm, page);
	if (!v)
		r = -EFAULT;
	else if (mm_page_resident(mm, v, page))
		r = 0;
	else
		r = v->obj && !mappable_is_shmobj(v->obj) ? -ENOENT : -EFAULT;
	rwlock_unlock(&mm->lock);
	return r;
}

struct Sentry__Mempolicy *mempolicy_save(struct state_writer *w, const struct mempolicy *p)
{
	Sentry__Mempolicy *m;

	if (p->mode == LINUX_MPOL_DEFAULT)
		return NULL;
	m = state_new_msg(w, &sentry__mempolicy__descriptor);
	m->mode = p->mode;
	m->flags = p->flags;
	m->nodes = p->nodes;
	m->home = p->home;
	return m;
}

int mempolicy_load(struct state_reader *r, struct mempolicy *p, const struct Sentry__Mempolicy *m)
{
	struct mempolicy q = { 0 };
	int e = 0;

	if (m) {
		q = (struct mempolicy){ m->mode, m->flags, m->nodes, m->home };
		e = state_check(r, valid(&q), "NUMA policy");
	}
	if (e == 0)
		*p = q;
	return e;
}
