/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Treap of ranges with parent pointers. Heap order is by random prio; max_gap of a node covers the space directly below each
 * node of its subtree (down to the previous range's end, or to 0 for the first).
 */
#include "base/rangemap.h"

static uint64_t gap_below(const struct range *n)
{
	return n->start - (n->prev ? n->prev->end : 0);
}

static uint64_t max_gap_of(const struct range *n)
{
	uint64_t g = gap_below(n);

	if (n->l && n->l->max_gap > g)
		g = n->l->max_gap;
	if (n->r && n->r->max_gap > g)
		g = n->r->max_gap;
	return g;
}

static void fix_up(struct range *n)
{
	for (; n; n = n->up) {
		uint64_t g = max_gap_of(n);

		if (g == n->max_gap)
			return;
		n->max_gap = g;
	}
}

static void replace_child(struct rangemap *m, struct range *up, struct range *old, struct range *new_child)
{
	if (!up)
		m->root = new_child;
	else if (up->l == old)
		up->l = new_child;
	else
		up->r = new_child;
	if (new_child)
		new_child->up = up;
}

/* Lifts @n above its parent. */
static void rotate_up(struct rangemap *m, struct range *n)
{
	struct range *p = n->up, *g = p->up;

	if (p->l == n) {
		p->l = n->r;
		if (n->r)
			n->r->up = p;
		n->r = p;
	} else {
		p->r = n->l;
		if (n->l)
			n->l->up = p;
		n->l = p;
	}
	p->up = n;
	replace_child(m, g, p, n);
	p->max_gap = max_gap_of(p);
	n->max_gap = max_gap_of(n);
}

void rangemap_init(struct rangemap *m, const struct rangemap_ops *ops)
{
	*m = (struct rangemap){ .ops = ops, .seed = 2463534242u };
}

bool rangemap_insert(struct rangemap *m, struct range *r)
{
	struct range *p = NULL, *prev = NULL, *next = NULL, **link = &m->root;

	if (r->start >= r->end)
		return false;
	while (*link) {
		p = *link;
		if (r->end <= p->start) {
			next = p;
			link = &p->l;
		} else if (r->start >= p->end) {
			prev = p;
			link = &p->r;
		} else {
			return false;
		}
	}
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 17;
	m->seed ^= m->seed << 5;
	r->prio = m->seed;
	r->l = r->r = NULL;
	r->up = p;
	r->prev = prev;
	r->next = next;
	*link = r;
	*(prev ? &prev->next : &m->first) = r;
	*(next ? &next->prev : &m->last) = r;
	r->max_gap = gap_below(r);
	fix_up(p);
	if (next)
		fix_up(next);
	while (r->up && r->up->prio < r->prio)
		rotate_up(m, r);
	m->nr++;
	m->total += r->end - r->start;
	return true;
}

void rangemap_remove(struct rangemap *m, struct range *r)
{
	struct range *up;

	while (r->l || r->r)
		rotate_up(m, !r->l || (r->r && r->r->prio > r->l->prio) ? r->r : r->l);
	up = r->up;
	replace_child(m, up, r, NULL);
	*(r->prev ? &r->prev->next : &m->first) = r->next;
	*(r->next ? &r->next->prev : &m->last) = r->prev;
	fix_up(up);
	if (r->next)
		fix_up(r->next);
	m->nr--;
	m->total -= r->end - r->start;
	r->prev = r->next = r->up = NULL;
}

void rangemap_resize(struct rangemap *m, struct range *r, uint64_t start, uint64_t end)
{
	m->total += (end - start) - (r->end - r->start);
	r->start = start;
	r->end = end;
	fix_up(r);
	if (r->next)
		fix_up(r->next);
}

struct range *rangemap_find_next(const struct rangemap *m, uint64_t at)
{
	struct range *n = m->root, *best = NULL;

	while (n) {
		if (n->end > at) {
			best = n;
			if (n->start <= at)
				break;
			n = n->l;
		} else {
			n = n->r;
		}
	}
	return best;
}

struct range *rangemap_find(const struct rangemap *m, uint64_t at)
{
	struct range *n = rangemap_find_next(m, at);

	return n && n->start <= at ? n : NULL;
}

struct range *rangemap_first_in(const struct rangemap *m, uint64_t start, uint64_t end)
{
	struct range *n = rangemap_find_next(m, start);

	return n && n->start < end ? n : NULL;
}

bool rangemap_covers(const struct rangemap *m, uint64_t start, uint64_t end)
{
	struct range *n = rangemap_find(m, start);

	for (; n && start < end; n = n->next) {
		if (n->start > start)
			return false;
		start = n->end;
	}
	return start >= end;
}

int rangemap_split_at(struct rangemap *m, uint64_t at)
{
	struct range *r = rangemap_find(m, at), *hi;
	uint64_t end;

	if (!r || r->start == at)
		return 0;
	hi = m->ops->split(m, r, at);
	if (!hi)
		return -ENOMEM;
	end = r->end;
	rangemap_resize(m, r, r->start, at);
	hi->start = at;
	hi->end = end;
	(void)rangemap_insert(m, hi);
	return 0;
}

int rangemap_isolate(struct rangemap *m, uint64_t start, uint64_t end)
{
	int r = rangemap_split_at(m, start);

	return r < 0 ? r : rangemap_split_at(m, end);
}

/* Merges @b into its lower neighbour if allowed; returns the node that holds what @b held. */
static struct range *merge_down(struct rangemap *m, struct range *b)
{
	struct range *a = b->prev;
	uint64_t end = b->end;

	if (!a || a->end != b->start || !m->ops->can_merge(a, b))
		return b;
	rangemap_remove(m, b);
	rangemap_resize(m, a, a->start, end);
	m->ops->free(m, b);
	return a;
}

struct range *rangemap_merge(struct rangemap *m, struct range *r)
{
	r = merge_down(m, r);
	if (r->next)
		(void)merge_down(m, r->next);
	return r;
}

void rangemap_merge_in(struct rangemap *m, uint64_t start, uint64_t end)
{
	struct range *r = rangemap_find_next(m, start ? start - 1 : 0);

	while (r && r->start <= end)
		r = merge_down(m, r)->next;
}

/* In-order first node of the subtree with a gap of at least @len below it. */
static struct range *first_gap(struct range *n, uint64_t len)
{
	while (n) {
		if (n->l && n->l->max_gap >= len)
			n = n->l;
		else if (gap_below(n) >= len)
			return n;
		else
			n = n->r;
	}
	return NULL;
}

static struct range *last_gap(struct range *n, uint64_t len)
{
	while (n) {
		if (n->r && n->r->max_gap >= len)
			n = n->r;
		else if (gap_below(n) >= len)
			return n;
		else
			n = n->l;
	}
	return NULL;
}

static struct range *next_gap(struct range *n, uint64_t len)
{
	if (n->r && n->r->max_gap >= len)
		return first_gap(n->r, len);
	for (; n->up; n = n->up) {
		if (n != n->up->l)
			continue;
		if (gap_below(n->up) >= len)
			return n->up;
		if (n->up->r && n->up->r->max_gap >= len)
			return first_gap(n->up->r, len);
	}
	return NULL;
}

static struct range *prev_gap(struct range *n, uint64_t len)
{
	if (n->l && n->l->max_gap >= len)
		return last_gap(n->l, len);
	for (; n->up; n = n->up) {
		if (n != n->up->r)
			continue;
		if (gap_below(n->up) >= len)
			return n->up;
		if (n->up->l && n->up->l->max_gap >= len)
			return last_gap(n->up->l, len);
	}
	return NULL;
}

static bool fits_low(uint64_t lo, uint64_t hi, uint64_t len, uint64_t align, uint64_t *ret)
{
	uint64_t a, end;

	if (add_overflow(lo, align - 1, &a))
		return false;
	a = ALIGN_DOWN(a, align);
	if (add_overflow(a, len, &end) || end > hi)
		return false;
	*ret = a;
	return true;
}

static bool fits_high(uint64_t lo, uint64_t hi, uint64_t len, uint64_t align, uint64_t *ret)
{
	uint64_t a;

	if (hi < len)
		return false;
	a = ALIGN_DOWN(hi - len, align);
	if (a < lo)
		return false;
	*ret = a;
	return true;
}

bool rangemap_gap_up(const struct rangemap *m, uint64_t lo, uint64_t hi, uint64_t len, uint64_t align, uint64_t *ret)
{
	struct range *n = rangemap_find_next(m, lo);

	if (lo >= hi || len == 0)
		return false;
	for (; n; n = next_gap(n, len)) {
		uint64_t from = MAX(lo, n->prev ? n->prev->end : 0);

		if (from >= hi)
			return false;
		if (from < n->start && fits_low(from, MIN(n->start, hi), len, align, ret))
			return true;
	}
	return fits_low(MAX(lo, m->last ? m->last->end : 0), hi, len, align, ret);
}

bool rangemap_gap_down(const struct rangemap *m, uint64_t lo, uint64_t hi, uint64_t len, uint64_t align, uint64_t *ret)
{
	struct range *n;

	if (lo >= hi || len == 0)
		return false;
	n = rangemap_find_next(m, hi - 1);
	if (!n) {
		uint64_t from = MAX(lo, m->last ? m->last->end : 0);

		if (from < hi && fits_high(from, hi, len, align, ret))
			return true;
		n = m->last;
	}
	for (; n; n = prev_gap(n, len)) {
		uint64_t to = MIN(hi, n->start), from = MAX(lo, n->prev ? n->prev->end : 0);

		if (to <= lo)
			return false;
		if (from < to && fits_high(from, to, len, align, ret))
			return true;
	}
	return false;
}
