/* SPDX-License-Identifier: Apache-2.0 */
/* The map of what is held of the memory file's content, and why (memfile_content.c says what the kinds mean). All under memfile.mu. */
#include <stdlib.h>

#include "base/log.h"
#include "sentry/mm/memfile_internal.h"

static struct held *held_new(uint64_t from, uint64_t to, enum held_kind kind, bool shared)
{
	struct held *h = calloc(1, sizeof(*h));

	/* As in memfile.c: the callers cannot fail. */
	if (!h) {
		log_error("memory file: out of host memory for bookkeeping");
		abort();
	}
	h->r.start = from;
	h->r.end = to;
	h->kind = kind;
	h->shared = shared;
	return h;
}

static struct range *held_split(struct rangemap *m, struct range *r, uint64_t at)
{
	const struct held *h = held_of(r);

	(void)m;
	return &held_new(at, r->end, h->kind, h->shared)->r;
}

static bool held_can_merge(const struct range *a, const struct range *b)
{
	const struct held *x = container_of(a, struct held, r), *y = container_of(b, struct held, r);

	return x->kind == y->kind && x->shared == y->shared && !x->busy && !y->busy;
}

static void held_free(struct rangemap *m, struct range *r)
{
	(void)m;
	free(held_of(r));
}

const struct rangemap_ops memfile_held_ops = { held_split, held_can_merge, held_free };

static void isolate(struct memfile *mf, uint64_t from, uint64_t to)
{
	if (rangemap_isolate(&mf->held, from, to) < 0)
		abort(); /* held_split() does not fail */
}

static void count_absent(struct memfile *mf, const struct held *h, int sign)
{
	uint64_t n = h->r.end - h->r.start;

	if (h->kind == HELD_ABSENT)
		atomic_fetch_add(&mf->nr_absent, sign > 0 ? n : -n);
	atomic_store(&mf->nr_held, mf->held.total);
}

void memfile_held_add_locked(struct memfile *mf, uint64_t from, uint64_t to, enum held_kind kind, bool shared)
{
	struct held *h = held_new(from, to, kind, shared);

	if (!rangemap_insert(&mf->held, &h->r))
		abort();
	count_absent(mf, h, 1);
	(void)rangemap_merge(&mf->held, &h->r);
}

void memfile_held_drop_locked(struct memfile *mf, struct held *h)
{
	rangemap_remove(&mf->held, &h->r);
	count_absent(mf, h, -1);
	free(h);
}

void memfile_held_set_locked(struct memfile *mf, uint64_t from, uint64_t to, enum held_kind kind)
{
	struct range *r;

	isolate(mf, from, to);
	while ((r = rangemap_first_in(&mf->held, from, to)))
		memfile_held_drop_locked(mf, held_of(r));
	memfile_held_add_locked(mf, from, to, kind, false);
}

struct held *memfile_held_busy_locked(struct memfile *mf, struct held *h, uint64_t from, uint64_t to)
{
	/* Anything else would lose an application's memory. */
	if (unlikely(from >= to || h->r.start > from || h->r.end < to || h->busy)) {
		log_error("memory file: [%#lx, %#lx) is not held as one", from, to);
		abort();
	}
	isolate(mf, from, to);
	h = held_of(rangemap_find(&mf->held, from));
	h->busy = true;
	return h;
}

void memfile_held_idle_locked(struct memfile *mf, struct held *h)
{
	h->busy = false;
	(void)rangemap_merge(&mf->held, &h->r);
	cond_broadcast(&mf->idle);
}

struct held *memfile_held_next_locked(struct memfile *mf, uint64_t off)
{
	for (;;) {
		struct range *r = rangemap_find_next(&mf->held, off);

		if (!r || !held_of(r)->busy)
			return r ? held_of(r) : NULL;
		cond_wait(&mf->idle, &mf->mu);
	}
}

struct held *memfile_held_first_locked(struct memfile *mf, uint64_t off, uint64_t end)
{
	for (;;) {
		struct range *r = rangemap_first_in(&mf->held, off, end);

		if (!r || !held_of(r)->busy)
			return r ? held_of(r) : NULL;
		cond_wait(&mf->idle, &mf->mu);
	}
}

void memfile_held_loaded_locked(struct memfile *mf, struct held *h)
{
	count_absent(mf, h, -1);
	h->kind = HELD_CLEAN;
	h->shared = false;
	memfile_held_idle_locked(mf, h);
}
