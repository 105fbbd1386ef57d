/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared anonymous memory: what MAP_SHARED|MAP_ANONYMOUS makes, and what SysV shared memory is built on.
 *
 * Model:      a fixed size and the pages touched so far, in the memory file, each with one reference of the object.
 * Locks:      shmobj.mu (pages) is under mm.lock and mappable.mu's holders never take it.
 * Checkpoint: size and page ranges; the content is in the memory file.
 */
#include <stdlib.h>

#include "schemas/mm.pb-c.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm_internal.h"
#include "state/state.h"

struct shm_pages {
	struct range r; /* saved: 1 start, 2 end; offsets in the object */
	uint64_t off; /* saved: 3; in the memory file */
};

struct shmobj {
	struct mappable m; /* nosave: first, so that a mappable's address is the object's */
	struct ref ref; /* nosave: counted again by state_deref() */
	struct memfile *mf; /* derived: the kernel's */
	uint64_t size; /* saved: 1 */
	struct mutex mu; /* nosave: free when frozen */
	struct rangemap pages; /* saved: 2; guarded by mu */
};

static struct range *split(struct rangemap *m, struct range *r, uint64_t at)
{
	struct shm_pages *p = container_of(r, struct shm_pages, r), *hi = calloc(1, sizeof(*hi));

	(void)m;
	if (!hi)
		return NULL;
	hi->off = p->off + (at - r->start);
	return &hi->r;
}

static bool can_merge(const struct range *a, const struct range *b)
{
	return container_of(a, struct shm_pages, r)->off + (a->end - a->start) == container_of(b, struct shm_pages, r)->off;
}

static void merged(struct rangemap *m, struct range *r)
{
	(void)m;
	free(container_of(r, struct shm_pages, r));
}

static const struct rangemap_ops pages_ops = { split, can_merge, merged };

static struct shmobj *shm_of(struct mappable *m)
{
	return container_of(m, struct shmobj, m);
}

static struct shm_pages *fill(struct shmobj *s, uint64_t off)
{
	struct range *next = rangemap_find_next(&s->pages, off), *prev = next ? next->prev : s->pages.last;
	struct shm_pages *p = calloc(1, sizeof(*p));
	uint64_t size = WINDOW_MIN, start, end;

	if (!p)
		return NULL;
	/* As for private memory: the window grows with the run below it. */
	if (prev && prev->end == off)
		while (size < prev->end - prev->start && size < WINDOW_MAX)
			size *= 2;
	start = ALIGN_DOWN(off, size);
	end = MIN(start + size, s->size);
	if (prev)
		start = MAX(start, prev->end);
	if (next)
		end = MIN(end, next->start);
	if (memfile_alloc_shared(s->mf, end - start, false, &p->off) < 0) {
		start = off;
		end = off + PAGE_SIZE;
		if (memfile_alloc_shared(s->mf, PAGE_SIZE, false, &p->off) < 0) {
			free(p);
			return NULL;
		}
	}
	p->r.start = start;
	p->r.end = end;
	(void)rangemap_insert(&s->pages, &p->r);
	(void)rangemap_merge(&s->pages, &p->r);
	return container_of(rangemap_find(&s->pages, off), struct shm_pages, r);
}

static int shm_translate(struct mappable *m, uint64_t off, uint64_t len, bool write, struct backing *ret)
{
	struct shmobj *s = shm_of(m);
	struct shm_pages *p;
	struct range *r;

	(void)write;
	if (off >= s->size)
		return -EFAULT;
	len = MIN(len, s->size - off);
	mutex_guard(&s->mu);
	r = rangemap_find(&s->pages, off);
	p = r ? container_of(r, struct shm_pages, r) : fill(s, off);
	if (!p)
		return -ENOMEM;
	*ret = (struct backing){
		.kind = BACKING_MEMFILE,
		.off = p->off + (off - p->r.start),
		.len = MIN(len, p->r.end - off),
		.writable = true,
	};
	memfile_ref(s->mf, ret->off, ret->len);
	return 0;
}

static int shm_present(struct mappable *m, uint64_t off)
{
	struct shmobj *s = shm_of(m);
	struct range *r;

	if (off >= s->size)
		return -EFAULT;
	mutex_guard(&s->mu);
	r = rangemap_find(&s->pages, off);
	return r && !memfile_is_hole(s->mf, container_of(r, struct shm_pages, r)->off + (off - r->start), PAGE_SIZE);
}

static void shm_get(struct mappable *m)
{
	ref_get(&shm_of(m)->ref);
}

static void shm_put(struct mappable *m)
{
	struct shmobj *s = shm_of(m);

	if (!ref_put(&s->ref))
		return;
	while (s->pages.first) {
		struct shm_pages *p = container_of(s->pages.first, struct shm_pages, r);

		rangemap_remove(&s->pages, &p->r);
		memfile_unref(s->mf, p->off, p->r.end - p->r.start);
		free(p);
	}
	mutex_destroy(&s->mu);
	mutex_destroy(&s->m.mu);
	free(s);
}

static const struct mappable_ops shm_ops = {
	.translate = shm_translate,
	.present = shm_present,
	.get = shm_get,
	.put = shm_put,
};

bool mappable_is_shmobj(const struct mappable *m)
{
	return m->ops == &shm_ops;
}

static void *shmobj_alloc(void)
{
	struct shmobj *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	mappable_init(&s->m, &shm_ops);
	ref_init(&s->ref);
	mutex_init(&s->mu, "shmobj.mu");
	rangemap_init(&s->pages, &pages_ops);
	return s;
}

uint64_t shmobj_size(const struct mappable *m)
{
	return container_of(m, const struct shmobj, m)->size;
}

uint64_t shmobj_resident(struct mappable *m)
{
	struct shmobj *s = shm_of(m);
	uint64_t n = 0;

	mutex_guard(&s->mu);
	for (struct range *i = s->pages.first; i; i = i->next)
		n += memfile_resident(s->mf, container_of(i, struct shm_pages, r)->off, i->end - i->start);
	return n;
}

int shmobj_new(struct memfile *mf, uint64_t size, struct mappable **ret)
{
	struct shmobj *s = shmobj_alloc();

	if (!s)
		return -ENOMEM;
	s->mf = mf;
	s->size = size;
	*ret = &s->m;
	return 0;
}

void shmobj_punch(struct mappable *m, uint64_t off, uint64_t len)
{
	struct shmobj *s = shm_of(m);
	uint64_t end = MIN(off + len, s->size);
	struct range *r, *next;

	if (off >= end)
		return;
	mutex_lock(&s->mu);
	if (rangemap_isolate(&s->pages, off, end) == 0)
		for (r = rangemap_first_in(&s->pages, off, end); r && r->start < end; r = next) {
			struct shm_pages *p = container_of(r, struct shm_pages, r);

			next = r->next;
			rangemap_remove(&s->pages, r);
			memfile_unref(s->mf, p->off, r->end - r->start);
			free(p);
		}
	mutex_unlock(&s->mu);
	mappable_invalidate(m, off, end - off, false);
}

static int shmobj_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct shmobj *s = obj;
	Sentry__Shmobj *m = msg;
	size_t n = 0;

	m->size = s->size;
	m->pages = state_zalloc(w, s->pages.nr, sizeof(*m->pages));
	for (struct range *i = s->pages.first; i; i = i->next) {
		Sentry__ShmPages *p = state_new_msg(w, &sentry__shm_pages__descriptor);

		p->start = i->start;
		p->end = i->end;
		p->off = container_of(i, struct shm_pages, r)->off;
		m->pages[n++] = p;
	}
	m->n_pages = n;
	return 0;
}

static int shmobj_load(struct state_reader *r, void *obj, const void *msg)
{
	struct shmobj *s = obj;
	const Sentry__Shmobj *m = msg;
	int e = state_check(r, IS_ALIGNED(m->size, PAGE_SIZE) && m->size <= INT64_MAX, "size");

	s->size = m->size;
	for (size_t i = 0; e == 0 && i < m->n_pages; i++) {
		const Sentry__ShmPages *pm = m->pages[i];
		struct shm_pages *p = calloc(1, sizeof(*p));

		if (!p)
			return -ENOMEM;
		p->r.start = pm->start;
		p->r.end = pm->end;
		p->off = pm->off;
		e = state_check(r, IS_ALIGNED(pm->start | pm->end | pm->off, PAGE_SIZE) && pm->end <= m->size && rangemap_insert(&s->pages, &p->r),
				"pages: bad range");
		if (e < 0)
			free(p);
	}
	return e;
}

static int shmobj_after_load(struct state_reader *r, void *obj)
{
	struct shmobj *s = obj;
	int e = 0;

	s->mf = kernel_memfile(state_reader_ctx(r));
	for (struct range *i = s->pages.first; e == 0 && i; i = i->next)
		e = state_check(r, memfile_adopt_shared(s->mf, container_of(i, struct shm_pages, r)->off, i->end - i->start) == 0,
				"pages: bad place in the memory file");
	return e;
}

static void shmobj_state_get(void *obj)
{
	shm_get(obj);
}

static void shmobj_state_put(void *obj)
{
	shm_put(obj);
}

const struct state_type shmobj_state_type = {
	.id = STATE_ID_shmobj,
	.name = "shmobj",
	.desc = &sentry__shmobj__descriptor,
	.prio = STATE_PRIO_MEMORY,
	.alloc = shmobj_alloc,
	.save = shmobj_save,
	.load = shmobj_load,
	.after_load = shmobj_after_load,
	.get = shmobj_state_get,
	.put = shmobj_state_put,
};
