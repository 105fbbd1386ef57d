/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page mappings: which backing pages are there, and copy on write.
 *
 * A pma is private (its pages of the memory file belong to the application; `cow` when a fork may have shared them) or an
 * object's (found by translate(); private VMAs copy before the first write). Pages are brought in by windows: for anonymous
 * memory a window grows with the run of pages next to it, so a program that walks through memory faults logarithmically often.
 *
 * Order of a removal: platform first, reference last; else the application could see a page that has a new owner.
 */
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sentry/mm/mm_internal.h"

static struct range *split(struct rangemap *m, struct range *r, uint64_t at)
{
	struct pma *p = pma_of(r), *hi = pma_new();

	(void)m;
	if (!hi)
		return NULL;
	*hi = *p;
	hi->off += at - r->start;
	return &hi->r;
}

static bool can_merge(const struct range *a, const struct range *b)
{
	const struct pma *x = pma_of(a), *y = pma_of(b);

	return x->priv == y->priv && x->cow == y->cow && x->wp == y->wp && x->wr == y->wr && x->mapped == y->mapped && x->warm == y->warm && x->fd == y->fd &&
	       x->off + (a->end - a->start) == y->off;
}

static void merged(struct rangemap *m, struct range *r)
{
	(void)m;
	free(pma_of(r));
}

const struct rangemap_ops pma_map_ops = { split, can_merge, merged };

struct pma *pma_new(void)
{
	struct pma *p = calloc(1, sizeof(*p));

	if (p)
		p->fd = -1;
	return p;
}

bool pma_writable(const struct pma *p, const struct vma *v)
{
	if (p->wp)
		return false;
	return p->priv ? !p->cow : (v->flags & VMA_SHARED) && p->wr;
}

bool pma_writable_at(const struct mm *mm, const struct pma *p, const struct vma *v, uint64_t addr)
{
	return pma_writable(p, v) && (p->fd >= 0 || !memfile_is_held(mm->mf, p->off + (ALIGN_DOWN(addr, PAGE_SIZE) - p->r.start)));
}

static void pma_free(struct mm *mm, struct pma *p)
{
	if (p->fd < 0)
		memfile_unref(mm->mf, p->off, p->r.end - p->r.start);
	free(p);
}

#define DROP_BATCH 256 /* pieces whose references are dropped together */

int pma_drop_range(struct mm *mm, struct plat_ctx *self, uint64_t start, uint64_t end, bool keep_priv)
{
	struct range *i, *next;
	uint64_t first = UINT64_MAX, last = 0;
	struct memfile_piece dead[DROP_BATCH];
	size_t n = 0;
	int r;

	if (!rangemap_first_in(&mm->pmas, start, end))
		return 0;
	r = rangemap_isolate(&mm->pmas, start, end);
	if (r < 0)
		return r;
	for (i = rangemap_first_in(&mm->pmas, start, end); i && i->start < end; i = i->next) {
		if (!pma_of(i)->mapped || (keep_priv && pma_of(i)->priv))
			continue;
		first = MIN(first, i->start);
		last = i->end;
	}
	if (first < last)
		as_unmap(mm, self, first, last - first);
	for (i = rangemap_first_in(&mm->pmas, start, end); i && i->start < end; i = next) {
		struct pma *p = pma_of(i);

		next = i->next;
		if (keep_priv && p->priv) {
			/* It went with its neighbours, if they are on both sides. */
			if (first <= i->start && i->end <= last)
				p->mapped = false;
			continue;
		}
		rangemap_remove(&mm->pmas, i);
		if (p->fd < 0)
			dead[n++] = (struct memfile_piece){ p->off, p->r.end - p->r.start };
		free(p);
		if (n == ARRAY_SIZE(dead)) {
			memfile_unref_many(mm->mf, dead, n);
			n = 0;
		}
	}
	memfile_unref_many(mm->mf, dead, n);
	return 0;
}

static uint32_t pma_prot(const struct pma *p, const struct vma *v)
{
	return (pma_writable(p, v) ? v->prot : v->prot & ~LINUX_PROT_WRITE) & LINUX_PROT_RWX;
}

/* One operation per run of equal protection; unmapped pages between are skipped by the platform. */
struct protecting {
	uint64_t from, to;
	uint32_t prot;
};

static void protect_next(struct mm *mm, struct plat_ctx *self, struct protecting *q, uint64_t a, uint64_t b, uint32_t prot)
{
	if (q->to && q->prot == prot) {
		q->to = b;
		return;
	}
	if (q->to)
		as_protect(mm, self, q->from, q->to - q->from, q->prot);
	*q = (struct protecting){ a, b, prot };
}

void pma_reprotect(struct mm *mm, struct plat_ctx *self, struct vma *v, uint64_t start, uint64_t end)
{
	struct protecting q = { 0 };

	for (struct range *i = rangemap_first_in(&mm->pmas, start, end); i && i->start < end; i = i->next) {
		struct pma *p = pma_of(i);
		uint64_t a = MAX(i->start, start), b = MIN(i->end, end);
		uint32_t prot = pma_prot(p, v);

		if (!p->mapped)
			continue;
		/* Write permission only where it does no harm. */
		while (p->fd < 0 && (prot & LINUX_PROT_WRITE) && a < b) {
			uint64_t n = memfile_writable_len(mm->mf, p->off + (a - i->start), b - a);
			bool held = n == 0;

			if (held)
				n = memfile_held_len(mm->mf, p->off + (a - i->start), b - a);
			protect_next(mm, self, &q, a, a + n, held ? prot & ~LINUX_PROT_WRITE : prot);
			a += n;
		}
		if (a < b)
			protect_next(mm, self, &q, a, b, prot);
	}
	if (q.to)
		as_protect(mm, self, q.from, q.to - q.from, q.prot);
}

static bool maps_memfile(const struct mm *mm, const struct vma *v)
{
	for (struct range *i = rangemap_first_in(&mm->pmas, v->r.start, v->r.end); i && i->start < v->r.end; i = i->next)
		if (pma_of(i)->mapped && pma_of(i)->fd < 0)
			return true;
	return false;
}

void pma_guard(struct mm *mm, struct plat_ctx *self)
{
	uint64_t gen = memfile_guard_gen(mm->mf);

	/* All of a VMA by one operation: what may be written all the same comes back by a fault. */
	for (struct range *i = mm->vmas.first; i; i = i->next)
		if ((vma_of(i)->prot & LINUX_PROT_WRITE) && maps_memfile(mm, vma_of(i)))
			as_protect(mm, self, i->start, i->end - i->start, vma_of(i)->prot & LINUX_PROT_RWX & ~LINUX_PROT_WRITE);
	atomic_store(&mm->guard_gen, gen);
}

#define EXPECT_PIECE (16ULL << 20)

bool pma_expect_snapshot(struct mm *mm, uint64_t *pos, bool complete)
{
	struct range *i = rangemap_find_next(&mm->pmas, *pos);
	uint64_t start, end;
	struct vma *v;

	/* From page to page: what is only reserved may be terabytes. */
	while (i && !(pma_of(i)->mapped && pma_of(i)->fd < 0 && (vma_find(mm, MAX(*pos, i->start))->prot & LINUX_PROT_WRITE)))
		i = i->next;
	if (!i)
		return false;
	start = MAX(*pos, i->start);
	v = vma_find(mm, start);
	end = MIN(v->r.end, start + EXPECT_PIECE);
	for (; i && i->start < end; i = i->next) {
		uint64_t a = MAX(start, i->start), b = MIN(end, i->end);

		if (pma_of(i)->mapped && pma_of(i)->fd < 0)
			memfile_expect_snapshot(mm->mf, pma_of(i)->off + (a - i->start), b - a, complete);
	}
	as_protect(mm, NULL, start, end - start, v->prot & LINUX_PROT_RWX & ~LINUX_PROT_WRITE);
	*pos = end;
	return true;
}

int pma_map_platform(struct mm *mm, struct plat_ctx *self, struct vma *v, struct pma *p, uint64_t addr, uint32_t flags,
		     struct pma_shown *ret)
{
	uint64_t start = MAX(p->r.start, v->r.start), end = MIN(p->r.end, v->r.end), w = ALIGN_DOWN(addr, WINDOW_MAX), at = p->r.start;
	struct memfile_show s = { .writable = true, .fd = p->fd };
	uint32_t prot = pma_prot(p, v);
	int r;

	start = MAX(start, w);
	end = MIN(end, w + WINDOW_MAX);
	if (mm->owned.start <= addr && addr < mm->owned.end) {
		/* What lies around it is mapped as it should be. */
		start = MAX(start, mm->owned.start);
		end = MIN(end, mm->owned.end);
		flags |= PLAT_MAP_PRECOMMIT;
	}
	mm->owned.end = 0;
	if (ret)
		*ret = (struct pma_shown){ end, prot == (v->prot & LINUX_PROT_RWX) };
	if (!mm->as)
		return 0;
again:
	s.fd_off = p->off + (start - at);
	if (p->fd < 0) {
		uint64_t off = p->off - at; /* of address 0 */

		/* Only what is there may become visible. */
		r = memfile_show(mm->mf, off + ALIGN_DOWN(addr, PAGE_SIZE), off + start, off + end, p->priv, &s);
		if (r < 0) {
			as_unmap(mm, self, start, end - start);
			return r;
		}
		start = s.start - off;
		end = s.end - off;
		if (!s.writable)
			prot &= ~LINUX_PROT_WRITE;
	}
	/* A view was read to be checked, so it is there. */
	r = as_map(mm, self, start, end - start, prot, s.fd, s.fd_off, flags | (p->warm || s.image ? PLAT_MAP_PRECOMMIT : 0));
	p->warm = false;
	if (s.image && (r == -EPERM || r == -EACCES)) {
		memfile_hide_image(mm->mf);
		goto again;
	}
	if (r < 0) {
		/* What the platform still shows there may be pages that a copy has replaced. */
		as_unmap(mm, self, start, end - start);
		return r;
	}
	p->mapped = true;
	if (ret)
		*ret = (struct pma_shown){ end, prot == (v->prot & LINUX_PROT_RWX) };
	(void)rangemap_merge(&mm->pmas, &p->r);
	return 0;
}

/* Inserts a run of pages; consumes nothing on failure. */
static struct pma *pma_add(struct mm *mm, uint64_t start, uint64_t end, bool priv, bool wr, int fd, uint64_t off)
{
	struct pma *p = pma_new();

	if (!p)
		return NULL;
	p->r.start = start;
	p->r.end = end;
	p->priv = priv;
	p->wr = wr;
	p->fd = fd;
	p->off = off;
	if (!rangemap_insert(&mm->pmas, &p->r)) {
		free(p);
		return NULL;
	}
	return p;
}

/* The free part of @v around @page, cut to a window of @size. */
static void free_window(const struct mm *mm, const struct vma *v, uint64_t page, uint64_t size, uint64_t *ret_start, uint64_t *ret_end)
{
	struct range *next = rangemap_find_next(&mm->pmas, page), *prev = next ? next->prev : mm->pmas.last;
	uint64_t start = ALIGN_DOWN(page, size), end = start + size;

	start = MAX(start, v->r.start);
	end = MIN(end, v->r.end);
	if (prev)
		start = MAX(start, prev->end);
	if (next)
		end = MIN(end, next->start);
	*ret_start = start;
	*ret_end = end;
}

/* New zero pages for private anonymous memory. */
static int fill_anon(struct mm *mm, struct vma *v, uint64_t page, struct pma **ret)
{
	struct range *next = rangemap_find_next(&mm->pmas, page), *prev = next ? next->prev : mm->pmas.last;
	uint64_t size = WINDOW_MIN, run = 0, start, end, off;
	bool warm;
	int r;

	/* The neighbouring run doubles; beyond it lies what will be touched next, whichever way the program walks. */
	if (prev && prev->end + WINDOW_MIN > page && prev->end > v->r.start)
		run = prev->end - MAX(prev->start, v->r.start);
	else if (next && next->start < page + WINDOW_MIN && next->start < v->r.end)
		run = MIN(next->end, v->r.end) - next->start;
	while (size < run && size < WINDOW_MAX)
		size *= 2;
	if (v->flags & VMA_HUGEPAGE)
		size = WINDOW_MAX;
	/* A small mapping is one window, wherever it lies. */
	if (v->r.end - v->r.start <= 2 * WINDOW_MIN)
		free_window(mm, v, page, 1ULL << 47, &start, &end);
	else
		free_window(mm, v, page, size, &start, &end);
	/* Kept pages are all there, which mincore() shows: not for mappings of a few pages, where somebody may look. */
	warm = end - start >= WINDOW_MIN && end - start <= WARM_WINDOW && memfile_alloc_warm(mm->mf, end - start, &off) == 0;
	r = warm ? 0 : memfile_alloc(mm->mf, end - start, size == WINDOW_MAX, &off);
	if (r < 0 && end - start > PAGE_SIZE) {
		start = page;
		end = page + PAGE_SIZE;
		r = memfile_alloc(mm->mf, PAGE_SIZE, false, &off);
	}
	if (r < 0)
		return r;
	*ret = pma_add(mm, start, end, true, false, -1, off);
	if (!*ret) {
		memfile_unref(mm->mf, off, end - start);
		return -ENOMEM;
	}
	(*ret)->warm = warm;
	return 0;
}

static int translate(struct vma *v, uint64_t pos, uint64_t len, bool write, struct backing *ret)
{
	int r = v->obj->ops->translate(v->obj, v->off + (pos - v->r.start), len, write, ret);

	if (r == 0)
		ret->len = MIN(ret->len, len);
	return r;
}

/* Inserts what translate() gave for @pos; its reference passes to the pma. */
static struct pma *add_backing(struct mm *mm, uint64_t pos, const struct backing *b)
{
	struct pma *p = pma_add(mm, pos, pos + b->len, false, b->writable, b->kind == BACKING_HOST ? b->fd : -1, b->off);

	if (!p && b->kind == BACKING_MEMFILE)
		memfile_unref(mm->mf, b->off, b->len);
	return p;
}

/*
 * An object's pages around @page. Pages of a host file cost nothing until they are touched, so the largest window is taken; an
 * object in the memory file may have to read or allocate them, so it is asked for the next ones (it may give fewer), and for those
 * before within a small window.
 */
static int fill_obj(struct mm *mm, struct vma *v, uint64_t page, bool write, struct pma **ret)
{
	uint64_t start, end, near_start, near_end;
	struct backing b, wide;
	int r;

	/* Where userfaultfd decides page by page, only the page asked for may be shown. */
	free_window(mm, v, page, v->uffd ? PAGE_SIZE : WINDOW_MAX, &start, &end);
	free_window(mm, v, page, v->uffd ? PAGE_SIZE : WINDOW_MIN, &near_start, &near_end);
	r = translate(v, page, (write ? near_end : end) - page, write, &b);
	if (r < 0)
		return r;
	if (b.kind == BACKING_HOST) {
		if (translate(v, start, end - start, write, &wide) == 0) {
			if (wide.kind == BACKING_HOST && wide.len > page - start) {
				b = wide;
				page = start;
			} else if (wide.kind == BACKING_MEMFILE) {
				memfile_unref(mm->mf, wide.off, wide.len);
			}
		}
		*ret = add_backing(mm, page, &b);
		return *ret ? 0 : -ENOMEM;
	}
	*ret = add_backing(mm, page, &b);
	if (!*ret)
		return -ENOMEM;
	while (near_start < page && translate(v, near_start, page - near_start, write, &b) == 0 && add_backing(mm, near_start, &b))
		near_start += b.len;
	rangemap_merge_in(&mm->pmas, ALIGN_DOWN(page, WINDOW_MIN), page);
	*ret = pma_of(rangemap_find(&mm->pmas, page));
	return 0;
}

/* Copies @n bytes at @p + @in to fresh pages at @dst of the memory file. */
static int copy_pages(struct mm *mm, const struct pma *p, uint64_t in, uint64_t n, uint64_t dst)
{
	uint64_t done = 0;

	if (p->fd < 0)
		return memfile_copy(mm->mf, dst, p->off + in, n);
	while (done < n) {
		uint64_t room = (1UL << 30) - ((dst + done) & ((1UL << 30) - 1)), want = MIN(n - done, room);
		char *d = memfile_ptr(mm->mf, dst + done, want);
		ssize_t got = d ? pread(p->fd, d, want, (off_t)(p->off + in + done)) : -1;

		if (got < 0 && (!d || errno != EINTR))
			return -EIO;
		if (got == 0)
			break; /* beyond the end of the host file: zero, as in its last page */
		done += got > 0 ? (uint64_t)got : 0;
	}
	return 0;
}

/* Replaces the pages around @page by a private copy. */
static int break_cow(struct mm *mm, struct plat_ctx *self, struct vma *v, struct pma *p, uint64_t page, bool will_map, struct pma **ret)
{
	uint64_t start = ALIGN_DOWN(page, COW_WINDOW), end = start + COW_WINDOW, off;
	bool mapped = p->mapped;
	struct pma *q;
	int r;

	/* Later writes to a file show through the pages that were not written here: only the touched one may stop following it. */
	if (!p->priv && p->fd < 0) {
		start = page;
		end = page + PAGE_SIZE;
	}
	start = MAX(start, p->r.start);
	start = MAX(start, v->r.start);
	end = MIN(end, p->r.end);
	end = MIN(end, v->r.end);
	r = memfile_alloc_warm(mm->mf, end - start, &off);
	if (r < 0)
		r = memfile_alloc(mm->mf, end - start, false, &off);
	if (r < 0)
		return r;
	r = copy_pages(mm, p, start - p->r.start, end - start, off);
	if (r == 0)
		r = rangemap_isolate(&mm->pmas, start, end);
	q = r == 0 ? pma_new() : NULL;
	if (!q) {
		memfile_unref(mm->mf, off, end - start);
		return r < 0 ? r : -ENOMEM;
	}
	/* The old pages must not stay visible; where other threads run, not even until the caller maps: with the reference below the
	 * pages may become somebody else's, or zero. */
	if (mapped && (!will_map || mm_shared(mm)) && as_map(mm, self, start, end - start, v->prot & LINUX_PROT_RWX, memfile_fd(mm->mf), off, 0) < 0) {
		as_unmap(mm, self, start, end - start);
		mapped = false;
	}
	p = pma_of(rangemap_find(&mm->pmas, page));
	rangemap_remove(&mm->pmas, &p->r);
	pma_free(mm, p);
	q->r.start = start;
	q->r.end = end;
	q->priv = true;
	q->off = off;
	q->mapped = mapped;
	q->warm = will_map;
	(void)rangemap_insert(&mm->pmas, &q->r);
	*ret = q;
	return 0;
}

/* Our own pages that nobody shares any more become writable again, as many as possible. */
static int try_own(struct mm *mm, struct vma *v, struct pma *p, uint64_t page, struct pma **ret)
{
	static const uint64_t sizes[] = { WINDOW_MAX, COW_WINDOW };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t w = ALIGN_DOWN(page, sizes[i]), start = MAX(p->r.start, v->r.start), end = MIN(p->r.end, v->r.end);

		start = MAX(start, w);
		end = MIN(end, w + sizes[i]);
		if (!memfile_exclusive(mm->mf, p->off + (start - p->r.start), end - start))
			continue;
		if (rangemap_isolate(&mm->pmas, start, end) < 0)
			return -ENOMEM;
		p = pma_of(rangemap_find(&mm->pmas, page));
		p->cow = false;
		*ret = pma_of(rangemap_merge(&mm->pmas, &p->r));
		*ret = pma_of(rangemap_find(&mm->pmas, page));
		return 1;
	}
	return 0;
}

/* A shared mapping's first write: the object may have to allocate, or to note the write. */
static int retranslate(struct mm *mm, struct plat_ctx *self, struct vma *v, uint64_t page, struct pma **ret)
{
	int r = pma_drop_range(mm, self, page, page + PAGE_SIZE, false);

	return r < 0 ? r : fill_obj(mm, v, page, true, ret);
}

/* The pages of the memory file around @page, which the application may write, are prepared for that. */
static int own(struct mm *mm, struct plat_ctx *self, struct vma *v, struct pma *p, uint64_t page, bool will_map)
{
	uint64_t w = ALIGN_DOWN(page, WINDOW_MAX), lo = MAX(MAX(p->r.start, v->r.start), w), hi = MIN(MIN(p->r.end, v->r.end), w + WINDOW_MAX);
	uint64_t off = p->off - p->r.start; /* of address 0 */
	struct memfile_owned o;
	int r = memfile_own(mm->mf, off + page, off + lo, off + hi, page, &o);

	if (r < 0 || o.end == 0)
		return r;
	mm->owned.start = o.start - off;
	mm->owned.end = o.end - off;
	/* A view of the image must not stay; not even until the caller maps, where other threads run. */
	if (o.moved && p->mapped && (!will_map || mm_shared(mm)) &&
	    as_map(mm, self, mm->owned.start, o.end - o.start, pma_prot(p, v), memfile_fd(mm->mf), o.start, PLAT_MAP_PRECOMMIT) < 0)
		as_unmap(mm, self, mm->owned.start, o.end - o.start);
	return 0;
}

static int resolve(struct mm *mm, struct plat_ctx *self, struct vma *v, uint64_t addr, bool write, bool will_map, struct pma **ret)
{
	uint64_t page = ALIGN_DOWN(addr, PAGE_SIZE);
	struct range *i = rangemap_find(&mm->pmas, page);
	struct pma *p = i ? pma_of(i) : NULL;
	int r;

	if (v->uffd) {
		r = uffd_fault(mm, v, addr, write, will_map);
		if (r < 0)
			return r;
	}
	if (!p) {
		r = v->obj ? fill_obj(mm, v, page, write && (v->flags & VMA_SHARED), &p) : fill_anon(mm, v, page, &p);
		if (r < 0)
			return r;
		if (mm->pmas.total > mm->hiwater_rss)
			mm->hiwater_rss = mm->pmas.total;
	}
	if (write && !pma_writable(p, v)) {
		if (!p->priv && (v->flags & VMA_SHARED))
			return retranslate(mm, self, v, page, ret);
		if (p->priv) {
			r = try_own(mm, v, p, page, ret);
			if (r != 0)
				return MIN(r, 0);
		}
		return break_cow(mm, self, v, p, page, will_map, ret);
	}
	*ret = p;
	return 0;
}

int pma_resolve(struct mm *mm, struct plat_ctx *self, struct vma *v, uint64_t addr, bool write, bool will_map, struct pma **ret)
{
	int r;

	mm->owned.end = 0;
	r = resolve(mm, self, v, addr, write, will_map, ret);
	if (r == 0 && write && (*ret)->fd < 0 && pma_writable(*ret, v))
		r = own(mm, self, v, *ret, ALIGN_DOWN(addr, PAGE_SIZE), will_map);
	return r;
}

int pma_insert_private(struct mm *mm, uint64_t page, const void *content, bool wp)
{
	uint64_t off;
	int r = memfile_alloc(mm->mf, PAGE_SIZE, false, &off);
	struct pma *p;
	void *d;

	if (r < 0)
		return r;
	d = content ? memfile_ptr(mm->mf, off, PAGE_SIZE) : NULL;
	p = content && !d ? NULL : pma_add(mm, page, page + PAGE_SIZE, true, false, -1, off);
	if (!p) {
		memfile_unref(mm->mf, off, PAGE_SIZE);
		return -ENOMEM;
	}
	if (d)
		memcpy(d, content, PAGE_SIZE);
	p->wp = wp;
	(void)rangemap_merge(&mm->pmas, &p->r);
	return 0;
}

int pma_insert_object(struct mm *mm, struct vma *v, uint64_t page, const void *content, bool touch)
{
	struct backing b;
	struct pma *p;
	char *d;
	int r = translate(v, page, PAGE_SIZE, true, &b);

	if (r < 0)
		return r;
	d = b.kind == BACKING_MEMFILE && touch ? memfile_ptr(mm->mf, b.off, PAGE_SIZE) : NULL;
	if (d && content)
		memcpy(d, content, PAGE_SIZE);
	else if (d)
		memset(d, 0, PAGE_SIZE); /* to be there, and no hole */
	p = add_backing(mm, page, &b);
	if (!p || (touch && !d))
		return -ENOMEM;
	(void)rangemap_merge(&mm->pmas, &p->r);
	return 0;
}

void pma_expect(struct mm *mm, struct plat_ctx *self, struct vma *v, uint64_t addr)
{
	struct pma *p;

	if (!mm->as || v->obj || !(v->prot & LINUX_PROT_WRITE) || rangemap_find(&mm->pmas, addr))
		return;
	if (fill_anon(mm, v, addr, &p) == 0 && pma_map_platform(mm, self, v, p, addr, 0, NULL) < 0)
		log_debug("mm %p: cannot map ahead at %lx", (void *)mm, addr);
}
