/* SPDX-License-Identifier: Apache-2.0 */
/* Pages that differ between two images, and whose they are. */
#include <string.h>

#include "runsc/image/diff.h"
#include "schemas/mm.pb-c.h"
#include "schemas/task.pb-c.h"

#define CHUNK_PAGES 1024

struct walker {
	struct image *a, *b;
	struct pages_diff *d;
	unsigned char *buf_a, *buf_b; /* CHUNK_PAGES each */
	struct progress progress;
	struct error **err;
};

static int differs(struct walker *w, uint64_t page, uint64_t n)
{
	return page_set_add(&w->d->changed, page, n) < 0 ? error_set(w->err, -ENOMEM, "cannot list pages") : 0;
}

/* Pages that both have. */
static int compare(struct walker *w, uint64_t page, uint64_t n)
{
	int r = 0;

	while (n && r == 0) {
		size_t k = MIN(n, (uint64_t)CHUNK_PAGES);

		if (pages_read(w->a->pages, page, k, w->buf_a) < 0)
			return error_msg(w->err, -EIO, "%s: cannot read page %llu and those behind it", w->a->path,
					 (unsigned long long)page);
		if (pages_read(w->b->pages, page, k, w->buf_b) < 0)
			return error_msg(w->err, -EIO, "%s: cannot read page %llu and those behind it", w->b->path,
					 (unsigned long long)page);
		for (size_t i = 0; i < k && r == 0; i++) {
			if (!memcmp(w->buf_a + i * PAGE_SIZE, w->buf_b + i * PAGE_SIZE, PAGE_SIZE)) {
				w->d->same++;
				continue;
			}
			w->d->differ++;
			r = differs(w, page + i, 1);
		}
		progress_add(&w->progress, k);
		page += k;
		n -= k;
	}
	return r;
}

/* One step: the next pages that neither, one or both have in the same way. */
static int step(struct walker *w, uint64_t *at, bool *more)
{
	struct pages_run a, b;
	bool has_a = pages_reader_run_at(w->a->pages, *at, &a), has_b = pages_reader_run_at(w->b->pages, *at, &b);
	uint64_t n;

	*more = has_a || has_b;
	if (!*more)
		return 0;
	*at = !has_b || (has_a && a.file_page < b.file_page) ? a.file_page : b.file_page;
	has_a = has_a && a.file_page == *at;
	has_b = has_b && b.file_page == *at;
	if (has_a && has_b) {
		n = MIN(a.npages, b.npages);
		*at += n;
		return compare(w, *at - n, n);
	}
	/* Up to where the other begins, if it does. */
	n = has_a ? a.npages : b.npages;
	if (pages_reader_run_at(has_a ? w->b->pages : w->a->pages, *at, has_a ? &b : &a))
		n = MIN(n, (has_a ? b.file_page : a.file_page) - *at);
	*(has_a ? &w->d->only_a : &w->d->only_b) += n;
	*at += n;
	return differs(w, *at - n, n);
}

int diff_pages(struct image *a, struct image *b, struct pages_diff *ret, struct error **err)
{
	_cleanup_free_ unsigned char *buf_a = aligned_alloc(PAGE_SIZE, CHUNK_PAGES * PAGE_SIZE);
	_cleanup_free_ unsigned char *buf_b = aligned_alloc(PAGE_SIZE, CHUNK_PAGES * PAGE_SIZE);
	struct walker w = {.a = a, .b = b, .d = ret, .buf_a = buf_a, .buf_b = buf_b, .err = err};
	uint64_t at = 0;
	bool more = true;
	int r = 0;

	if (!buf_a || !buf_b)
		return error_set(err, -ENOMEM, "cannot compare pages");
	progress_begin(&w.progress, "comparing pages", MIN(a->m.pages_stored, b->m.pages_stored));
	while (more && r == 0)
		r = step(&w, &at, &more);
	progress_end(&w.progress);
	return r;
}

void pages_diff_done(struct pages_diff *d)
{
	page_set_done(&d->changed);
}

/* --- whose --- */

/* Changed private pages of an address space by mapping. */
static json_t *mappings(struct image *im, const Sentry__Mm *m, const struct page_set *changed)
{
	_cleanup_free_ struct vma_pages *pages = vma_pages(m, changed);
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	json_t *list = json_array();

	for (size_t k = 0; pages && k < m->n_vmas; k++) {
		if (!pages[k].in_set)
			continue;
		(void)vma_name(im, m, m->vmas[k], &b);
		(void)json_array_append_new(list, json_pack("{s:I, s:I, s:o, s:I}", "start", (json_int_t)m->vmas[k]->start,
							    "end", (json_int_t)m->vmas[k]->end, "what", text_json_buf(&b),
							    "pages", (json_int_t)pages[k].in_set));
	}
	return list;
}

/* The first task of each address space, by the id of that. */
static uint64_t *index_tasks(struct image *im)
{
	uint64_t n = catalog_count(im->cat), *v = calloc(n + 1, sizeof(*v));

	if (!v)
		return NULL;
	image_each(im, id, task) {
		const Sentry__Task *t = IMAGE_GET(im, id, task, Task);

		if (t && t->mm <= n && !v[t->mm])
			v[t->mm] = id;
	}
	return v;
}

json_t *changed_memory(struct image *im, const struct page_set *changed)
{
	_cleanup_mem_uses_ struct mem_uses uses = {0};
	_cleanup_free_ uint64_t *tasks = index_tasks(im);
	struct error *e = NULL;
	json_t *list = json_array();

	if (!tasks || mem_uses_load(im, &uses, &e) < 0) {
		error_free(e);
		json_decref(list);
		return NULL;
	}
	for (size_t i = 0; i < uses.nr;) {
		const struct mem_use *u = &uses.v[i];
		const Sentry__Mm *m = IMAGE_GET(im, u->id, mm, Mm);
		uint64_t n = 0, id = u->id;
		json_t *o;

		for (; i < uses.nr && uses.v[i].id == id; i++)
			n += page_set_count(changed, uses.v[i].page, uses.v[i].npages);
		if (!n)
			continue;
		o = json_pack("{s:s, s:I, s:I}", "what", mem_kind_names[u->kind], "object", (json_int_t)id, "pages", (json_int_t)n);
		if (m && o) {
			const Sentry__Task *t = IMAGE_GET(im, tasks[id], task, Task);

			if (t) {
				(void)json_object_set_new(o, "pid", json_integer(name_pid(im, t->pid)));
				(void)json_object_set_new(o, "comm", text_json(t->comm.data, t->comm.len));
			}
			(void)json_object_set_new(o, "mappings", mappings(im, m, changed));
		}
		(void)json_array_append_new(list, o);
	}
	return list;
}
