/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory file: which pages are stored, and which objects use them. Ranges in a hostile image may overlap and be as many as
 * they like, so nothing here takes more than a logarithm for a range.
 */
#include <string.h>

#include "runsc/image/image.h"
#include "schemas/io_uring.pb-c.h"
#include "schemas/mm.pb-c.h"
#include "schemas/tmpfs.pb-c.h"

const char *const mem_kind_names[MEM_KINDS] = {"private", "shared", "tmpfs", "ring"};

int page_set_add(struct page_set *s, uint64_t page, uint64_t n)
{
	if (s->nr && s->runs[s->nr - 1].file_page + s->runs[s->nr - 1].npages == page) {
		s->runs[s->nr - 1].npages += n;
		return 0;
	}
	if (s->nr == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 256;
		struct pages_run *r = reallocarray(s->runs, cap, sizeof(*r));
		uint64_t *b = r ? reallocarray(s->before, cap, sizeof(*b)) : NULL;

		s->runs = r ? r : s->runs;
		if (!b)
			return -ENOMEM;
		s->before = b;
		s->cap = cap;
	}
	s->before[s->nr] = page_set_total(s);
	s->runs[s->nr++] = (struct pages_run){page, n};
	return 0;
}

uint64_t page_set_total(const struct page_set *s)
{
	return s->nr ? s->before[s->nr - 1] + s->runs[s->nr - 1].npages : 0;
}

int page_set_stored(struct page_set *s, const struct pages_reader *pr)
{
	struct pages_run run;
	int r = 0;

	for (uint64_t at = 0; r == 0 && pages_reader_run_at(pr, at, &run); at = run.file_page + run.npages)
		r = page_set_add(s, run.file_page, run.npages);
	return r;
}

/* Pages of the set below @page. */
static uint64_t below(const struct page_set *s, uint64_t page)
{
	size_t lo = 0, hi = s->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->runs[mid].file_page < page)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? s->before[lo - 1] + MIN(s->runs[lo - 1].npages, page - s->runs[lo - 1].file_page) : 0;
}

uint64_t page_set_count(const struct page_set *s, uint64_t page, uint64_t n)
{
	uint64_t end;

	if (add_overflow(page, n, &end))
		end = UINT64_MAX;
	return below(s, end) - below(s, page);
}

void page_set_done(struct page_set *s)
{
	free(s->runs);
	free(s->before);
	*s = (struct page_set){0};
}

static int add_use(struct mem_uses *u, enum mem_kind kind, uint64_t id, uint64_t start, uint64_t end, uint64_t off)
{
	uint64_t first = off / PAGE_SIZE, n = end / PAGE_SIZE - start / PAGE_SIZE;

	if (end <= start || off % PAGE_SIZE || start % PAGE_SIZE || end % PAGE_SIZE || n > PAGES_MAX_FILE_PAGE ||
	    first > PAGES_MAX_FILE_PAGE - n)
		return 0;
	if (u->nr == u->cap) {
		size_t cap = u->cap ? u->cap * 2 : 256;
		struct mem_use *v = reallocarray(u->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		u->v = v;
		u->cap = cap;
	}
	u->v[u->nr++] = (struct mem_use){kind, id, start, first, n};
	return 0;
}

/* The layout of the rings is that of uring_internal.h: 64 bytes of heads and tails, completions, the submission array; entries apart. */
static int add_uring(struct mem_uses *u, uint64_t id, const Sentry__Uring *r)
{
	uint64_t cqe = r->setup & (1u << 11) ? 32 : 16, sqe = r->setup & (1u << 10) ? 128 : 64; /* IORING_SETUP_CQE32, SQE128 */
	uint64_t rings = 64 + r->cq_entries * cqe + r->sq_entries * 4ull;
	int x = add_use(u, MEM_RING, id, 0, ALIGN_UP(rings, PAGE_SIZE), r->rings_off);

	return x < 0 ? x : add_use(u, MEM_RING, id, 0, ALIGN_UP(r->sq_entries * sqe, PAGE_SIZE), r->sqes_off);
}

static int add_object(struct image *im, struct mem_uses *u, uint64_t id)
{
	const ProtobufCMessage *m = catalog_msg(im->cat, id, NULL);
	int r = 0;

	if (!m)
		return 0;
	switch (catalog_at(im->cat, id)->type_id) {
	case STATE_ID_mm: {
		const Sentry__Mm *x = (const void *)m;

		for (size_t i = 0; i < x->n_pmas && r == 0; i++)
			r = add_use(u, MEM_PRIVATE, id, x->pmas[i]->start, x->pmas[i]->end, x->pmas[i]->off);
		break;
	}
	case STATE_ID_shmobj: {
		const Sentry__Shmobj *x = (const void *)m;

		for (size_t i = 0; i < x->n_pages && r == 0; i++)
			r = add_use(u, MEM_SHARED, id, x->pages[i]->start, x->pages[i]->end, x->pages[i]->off);
		break;
	}
	case STATE_ID_tmpfs_inode: {
		const Sentry__TmpfsInode *x = (const void *)m;

		for (size_t i = 0; i < x->n_extents && r == 0; i++)
			r = add_use(u, MEM_FILE, id, x->extents[i]->start, x->extents[i]->end, x->extents[i]->off);
		break;
	}
	case STATE_ID_uring:
		r = add_uring(u, id, (const void *)m);
		break;
	}
	return r;
}

static int by_object(const void *a, const void *b)
{
	const struct mem_use *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

int mem_uses_load(struct image *im, struct mem_uses *ret, struct error **err)
{
	static const uint32_t types[] = {STATE_ID_mm, STATE_ID_shmobj, STATE_ID_tmpfs_inode, STATE_ID_uring};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		for (uint64_t id = catalog_next(im->cat, types[i], 0); id; id = catalog_next(im->cat, 0, id))
			if (add_object(im, ret, id) < 0)
				return error_set(err, -ENOMEM, "cannot list memory");
	if (ret->nr)
		qsort(ret->v, ret->nr, sizeof(*ret->v), by_object);
	return 0;
}

void mem_uses_done(struct mem_uses *u)
{
	free(u->v);
	*u = (struct mem_uses){0};
}

static const Sentry__Pma *pma_at(const Sentry__Mm *m, uint64_t addr)
{
	size_t lo = 0, hi = m->n_pmas;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->pmas[mid]->end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->n_pmas && m->pmas[lo]->start <= addr ? m->pmas[lo] : NULL;
}

size_t mem_read(struct image *im, uint64_t mm, uint64_t addr, void *buf, size_t len)
{
	const Sentry__Mm *m = IMAGE_GET(im, mm, mm, Mm);
	unsigned char page[PAGE_SIZE];
	size_t done = 0;

	while (m && done < len) {
		const Sentry__Pma *p = pma_at(m, addr);
		size_t in = addr % PAGE_SIZE, n = MIN(len - done, PAGE_SIZE - in);
		uint64_t off;

		if (!p || add_overflow(p->off, addr - p->start, &off) ||
		    pages_read(im->pages, off / PAGE_SIZE, 1, page) < 0)
			break;
		memcpy((char *)buf + done, page + in, n);
		done += n;
		if (add_overflow(addr, (uint64_t)n, &addr))
			break;
	}
	return done;
}

struct vma_pages *vma_pages(const Sentry__Mm *m, const struct page_set *set)
{
	struct vma_pages *v = calloc(m->n_vmas + 1, sizeof(*v));
	size_t i = 0;

	for (size_t k = 0; v && k < m->n_vmas; k++) {
		const Sentry__Vma *a = m->vmas[k];

		for (; i < m->n_pmas && m->pmas[i]->start < a->end; i++) {
			const Sentry__Pma *p = m->pmas[i];
			uint64_t from = MAX(p->start, a->start), to = MIN(p->end, a->end), off;

			if (to > from && !add_overflow(p->off, from - p->start, &off)) {
				v[k].private += (to - from) / PAGE_SIZE;
				v[k].in_set += page_set_count(set, off / PAGE_SIZE, (to - from) / PAGE_SIZE);
			}
			if (p->end > a->end)
				break;
		}
	}
	return v;
}

const char *vma_name(struct image *im, const Sentry__Mm *m, const Sentry__Vma *v, struct strbuf *b)
{
	const Sentry__MmLayout *l = m->layout;

	strbuf_reset(b);
	if (v->name[0])
		strbuf_adds(b, v->name);
	else if (v->file)
		name_file(im, v->file, b);
	else if (l && v->start < m->brk && v->end > l->start_brk)
		strbuf_adds(b, "[heap]");
	else if (l && v->start <= l->start_stack && v->end > l->start_stack)
		strbuf_adds(b, "[stack]");
	else
		strbuf_adds(b, "anonymous");
	return b->data ? b->data : "";
}
