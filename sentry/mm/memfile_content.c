/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The content of the memory file's pages: still in the image, clean, wanted by a checkpoint, or simply there.
 *
 *            restore                  first write, or a read that cannot look into the image
 *   (nothing) ----> HELD_ABSENT ----------------------------------------------> there, not held
 *                        |  loaded for reading                                   ^      |
 *                        +-------------------------> HELD_CLEAN -- first write --+      | snapshot begins
 *                                                        ^                       ^      v
 *                                                        +------- taken ------ HELD_SNAP
 *
 * HELD_PRE, between the last two, is there and held only because a snapshot is about to begin (memfile_expect_snapshot()).
 *
 * Everything that is not simply there is in one map, `held`; a container that was never restored or snapshotted has an empty one
 * and pays for one atomic load. Who wants to write calls memfile_own() or memfile_ptr(); who wants to map, memfile_show(); the
 * platform's mappings of held pages have no write permission (see memfile_guard_gen()).
 *
 * Private pages in an uncompressed image are shown where they are in its file, and copied to the memory file, which then replaces
 * the view, at their first write. They have one owner, who holds its mm.lock for writing, so nobody else has a stale view. Pages
 * of objects have many owners: they are loaded at the first use.
 *
 * Loading and taking is done without the lock on ranges marked busy. What others do to a busy range waits for `idle`.
 */
#include "sentry/mm/memfile_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "sentry/mm/safecopy.h"

#define OWN_MIN	    (16UL << 10)
#define OWN_MAX	    (256UL << 10)
#define FORGET_PIECE (4UL << 20)

void memfile_content_init(struct memfile *mf)
{
	rangemap_init(&mf->held, &memfile_held_ops);
	rangemap_init(&mf->taken, NULL);
	cond_init(&mf->idle);
	mf->image_fd = -1;
}

void memfile_content_done(struct memfile *mf)
{
	memfile_readahead_done(mf);
	while (mf->held.first)
		memfile_held_drop_locked(mf, held_of(mf->held.first));
	memfile_taken_done(mf);
	free(mf->recording);
	(void)pages_reader_free(mf->image);
	if (mf->image_fd >= 0)
		(void)close(mf->image_fd);
	cond_destroy(&mf->idle);
}

/* --- loading --- */

/* Past the page cache of our own mapping: writing a page of a memfd costs a third of touching it. */
static int put(struct memfile *mf, uint64_t off, const char *p, uint64_t len)
{
	while (len > 0) {
		ssize_t n = pwrite(mf->fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		p += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int fetch_piece(struct memfile *mf, uint64_t off, uint64_t len, char **buf, uint64_t *ret_len)
{
	struct pages_view v;
	int r = pages_view(mf->image, off >> PAGE_SHIFT, len >> PAGE_SHIFT, &v);

	if (r == 0) {
		*ret_len = v.npages << PAGE_SHIFT;
		return put(mf, off, v.ptr, *ret_len);
	}
	if (r != -EOPNOTSUPP)
		return r;
	*ret_len = MIN(len, LOAD_WINDOW);
	if (!*buf)
		*buf = malloc(LOAD_WINDOW);
	if (!*buf)
		return -ENOMEM;
	r = pages_read(mf->image, off >> PAGE_SHIFT, *ret_len >> PAGE_SHIFT, *buf);
	return r < 0 ? r : put(mf, off, *buf, *ret_len);
}

int memfile_fetch(struct memfile *mf, uint64_t from, uint64_t to)
{
	char *buf = NULL;
	uint64_t n = 0;
	int r = 0;

	for (uint64_t at = from; r == 0 && at < to; at += n)
		r = fetch_piece(mf, at, to - at, &buf, &n);
	free(buf);
	if (r < 0) {
		log_error("the image gave no content for [%#lx, %#lx) of memory: %s", from, to,
			  r == -EIO ? "it is damaged or cannot be read" : strerror(-r));
		memfile_damaged(mf);
	}
	return r < 0 ? -EIO : 0;
}

/* Loads the part [from, to) of the absent @h; it is clean afterwards, or not held if it is to be written (@write). mu held; dropped
 * meanwhile. */
static int load_locked(struct memfile *mf, struct held *h, uint64_t from, uint64_t to, bool write)
{
	int r;

	h = memfile_held_busy_locked(mf, h, from, to);
	mutex_unlock(&mf->mu);
	memfile_record(mf, from, to);
	r = memfile_fetch(mf, from, to);
	mutex_lock(&mf->mu);
	if (r == 0 && write) {
		memfile_held_drop_locked(mf, h);
		cond_broadcast(&mf->idle);
		return 0;
	}
	if (r == 0)
		memfile_held_loaded_locked(mf, h);
	else
		memfile_held_idle_locked(mf, h);
	return r;
}

/* Could the application be shown this page in the image? Then it must not be loaded behind its back. */
static bool viewable(const struct memfile *mf, const struct held *h, uint64_t off, struct pages_run *ret)
{
	bool raw = false;

	return pages_reader_extent(mf->image, off >> PAGE_SHIFT, ret, &raw) && raw && !h->shared && !atomic_load(&mf->hidden);
}

int memfile_load_around_locked(struct memfile *mf, struct held *h, uint64_t off)
{
	uint64_t w = ALIGN_DOWN(off, LOAD_WINDOW), from = MAX(w, h->r.start), to = MIN(w + LOAD_WINDOW, h->r.end);
	struct pages_run x;
	int r;

	/* The next layer's may be viewable. */
	if (pages_reader_extent(mf->image, off >> PAGE_SHIFT, &x, NULL)) {
		from = MAX(from, x.file_page << PAGE_SHIFT);
		to = MIN(to, (x.file_page + x.npages) << PAGE_SHIFT);
	}
	r = load_locked(mf, h, from, to, false);

	if (r == 0) {
		mutex_unlock(&mf->mu);
		memfile_readahead_hint(mf, from, to);
		mutex_lock(&mf->mu);
	}
	return r;
}

int memfile_ensure(struct memfile *mf, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;

	if (likely(atomic_load_explicit(&mf->nr_absent, memory_order_acquire) == 0))
		return 0;
	mutex_guard(&mf->mu);
	while (off < end) {
		struct held *h = memfile_held_first_locked(mf, off, end);
		struct pages_run x;
		int r = 0;

		if (!h)
			break;
		off = MAX(off, h->r.start);
		if (h->kind != HELD_ABSENT)
			off = h->r.end;
		else if (viewable(mf, h, off, &x))
			off = MIN(h->r.end, (x.file_page + x.npages) << PAGE_SHIFT);
		else
			r = memfile_load_around_locked(mf, h, off);
		if (r < 0)
			return r;
	}
	return 0;
}

int memfile_ensure_all(struct memfile *mf)
{
	return memfile_ensure(mf, 0, mf->size);
}

/* --- writing --- */

/* Makes [from, to) of @h writable; *@moved if it was in the image until now. mu held; dropped meanwhile. */
static int release_locked(struct memfile *mf, struct held *h, uint64_t from, uint64_t to, bool *moved)
{
	if (h->kind == HELD_ABSENT) {
		*moved = true;
		return load_locked(mf, h, from, to, true);
	}
	/* Loaded for reading since the image was hidden; a view may be from before. */
	*moved = atomic_load(&mf->hidden);
	h = memfile_held_busy_locked(mf, h, from, to);
	if (h->kind == HELD_SNAP)
		memfile_take_locked(mf, from, to);
	memfile_held_drop_locked(mf, h);
	cond_broadcast(&mf->idle);
	return 0;
}

void memfile_hide_image(struct memfile *mf)
{
	if (!atomic_exchange(&mf->hidden, true))
		log_warn("the host does not map pages of the image for execution (is its file system mounted noexec?): they are copied instead");
}

uint64_t memfile_own_window(struct memfile *mf, uint64_t off)
{
	for (size_t i = 0; i < OWN_STREAMS; i++)
		if (mf->own[i].end == off && mf->own[i].window)
			return mf->own[i].window = MIN(mf->own[i].window * 2, OWN_MAX);
	return OWN_MIN;
}

void memfile_own_done(struct memfile *mf, uint64_t off, uint64_t end)
{
	size_t i = 0;

	while (i < OWN_STREAMS && !(mf->own[i].end == off && mf->own[i].window))
		i++;
	if (i == OWN_STREAMS) {
		i = mf->own_next++ % OWN_STREAMS;
		mf->own[i].window = OWN_MIN;
	}
	mf->own[i].end = end;
}

int memfile_own(struct memfile *mf, uint64_t off, uint64_t lo, uint64_t hi, uint64_t phase, struct memfile_owned *ret)
{
	uint64_t w, start, end;
	struct held *h;
	int r;

	*ret = (struct memfile_owned){ 0 };
	if (likely(atomic_load_explicit(&mf->nr_held, memory_order_acquire) == 0))
		return 0;
	mutex_guard(&mf->mu);
	for (;;) {
		h = memfile_held_first_locked(mf, off, off + PAGE_SIZE);
		if (!h)
			return 0;
		w = memfile_own_window(mf, off);
		start = off - (phase & (w - 1));
		end = start + w;
		/* A window may begin below the file. */
		start = start > off ? 0 : start;
		start = MAX(MAX(start, lo), h->r.start);
		end = MIN(MIN(end, hi), h->r.end);
		r = release_locked(mf, h, start, end, &ret->moved);
		if (r < 0)
			return r;
		memfile_own_done(mf, off, end);
		ret->start = start;
		ret->end = end;
		return 0;
	}
}

uint64_t memfile_writable_len(struct memfile *mf, uint64_t off, uint64_t len)
{
	struct range *r;

	if (likely(atomic_load_explicit(&mf->nr_held, memory_order_acquire) == 0))
		return len;
	mutex_guard(&mf->mu);
	r = rangemap_first_in(&mf->held, off, off + len);
	return !r ? len : r->start > off ? r->start - off : 0;
}

uint64_t memfile_held_len(struct memfile *mf, uint64_t off, uint64_t len)
{
	uint64_t pos = off;
	struct range *r;

	mutex_guard(&mf->mu);
	for (r = rangemap_find(&mf->held, off); r && r->start <= pos && pos < off + len; r = r->next)
		pos = r->end;
	return MIN(pos - off, len);
}

bool memfile_is_held(struct memfile *mf, uint64_t off)
{
	if (likely(atomic_load_explicit(&mf->nr_held, memory_order_acquire) == 0))
		return false;
	mutex_guard(&mf->mu);
	return rangemap_find(&mf->held, off) != NULL;
}

void *memfile_ptr(struct memfile *mf, uint64_t off, uint64_t len)
{
	uint64_t at = off, end = off + len;

	if (likely(atomic_load_explicit(&mf->nr_held, memory_order_acquire) == 0))
		return memfile_raw_ptr(mf, off, len);
	mutex_lock(&mf->mu);
	for (;;) {
		struct held *h = memfile_held_first_locked(mf, at, end);
		uint64_t from, to, step;
		bool moved;

		if (!h)
			break;
		/* Not a page more of what an application may be shown in the image. */
		step = h->kind == HELD_ABSENT && !h->shared ? PAGE_SIZE : OWN_MIN;
		from = MAX(ALIGN_DOWN(at, step), h->r.start);
		to = MIN(ALIGN_UP(end, step), h->r.end);
		to = MIN(to, from + OWN_MAX);
		if (release_locked(mf, h, from, to, &moved) < 0) {
			mutex_unlock(&mf->mu);
			return NULL;
		}
		at = MAX(at, from);
	}
	mutex_unlock(&mf->mu);
	return memfile_raw_ptr(mf, off, len);
}

/* --- the rest --- */

void memfile_forget_content(struct memfile *mf, uint64_t off, uint64_t len)
{
	struct held *h;

	if (likely(atomic_load_explicit(&mf->nr_held, memory_order_acquire) == 0))
		return;
	mutex_guard(&mf->mu);
	while ((h = memfile_held_first_locked(mf, off, off + len))) {
		uint64_t from = MAX(off, h->r.start), to = MIN(off + len, h->r.end);

		/* What is taken is copied: piece by piece, and never across a chunk. */
		if (h->kind == HELD_SNAP)
			to = MIN(to, ALIGN_DOWN(from, FORGET_PIECE) + FORGET_PIECE);
		h = memfile_held_busy_locked(mf, h, from, to);
		if (h->kind == HELD_SNAP)
			memfile_take_locked(mf, from, to);
		memfile_held_drop_locked(mf, h);
		cond_broadcast(&mf->idle);
	}
}

void memfile_decommit(struct memfile *mf, uint64_t off, uint64_t len)
{
	if (len == 0)
		return;
	memfile_forget_content(mf, off, len);
	memfile_punch(mf, off, len);
}

uint64_t memfile_absent(const struct memfile *mf)
{
	return mf->nr_absent;
}

static void (*damage_hook)(void); /* NULL in tests */

void memfile_set_damage_hook(void (*fn)(void))
{
	damage_hook = fn;
}

void memfile_damaged(struct memfile *mf)
{
	(void)mf;
	if (damage_hook)
		damage_hook();
}

static uint64_t absent_in(struct memfile *mf, uint64_t off, uint64_t end)
{
	uint64_t n = 0;

	if (atomic_load(&mf->nr_absent) == 0)
		return 0;
	mutex_guard(&mf->mu);
	for (struct range *r = rangemap_first_in(&mf->held, off, end); r && r->start < end; r = r->next)
		n += held_of(r)->kind == HELD_ABSENT ? MIN(r->end, end) - MAX(r->start, off) : 0;
	return n;
}

bool memfile_is_hole(struct memfile *mf, uint64_t off, uint64_t len)
{
	off_t data;

	if (absent_in(mf, off, off + len))
		return false;
	/* Unlike mincore(), SEEK_DATA also sees pages the host has swapped out. */
	data = lseek(mf->fd, (off_t)off, SEEK_DATA);
	if (data < 0)
		return errno == ENXIO;
	return (uint64_t)data >= off + len;
}

uint64_t memfile_resident(struct memfile *mf, uint64_t off, uint64_t len)
{
	uint64_t end = off + len, n = absent_in(mf, off, end);

	while (off < end) {
		off_t data = lseek(mf->fd, (off_t)off, SEEK_DATA), hole;

		if (data < 0 || (uint64_t)data >= end)
			break;
		hole = lseek(mf->fd, data, SEEK_HOLE);
		if (hole <= data)
			break;
		n += MIN((uint64_t)hole, end) - (uint64_t)data;
		off = (uint64_t)hole;
	}
	return MIN(n, len);
}

int memfile_copy(struct memfile *mf, uint64_t dst, uint64_t src, uint64_t len)
{
	while (len > 0) {
		uint64_t n = MIN(len, CHUNK_SIZE - MAX(dst & (CHUNK_SIZE - 1), src & (CHUNK_SIZE - 1)));

		if (!memfile_is_hole(mf, src, n)) {
			const char *s = memfile_look(mf, src, &n);
			char *d = memfile_raw_ptr(mf, dst, n);

			if (!d || !s || safecopy(d, s, n) != 0)
				return -EIO;
		}
		dst += n;
		src += n;
		len -= n;
	}
	return 0;
}

int memfile_attach_pages(struct memfile *mf, struct pages_reader *pr, int fd)
{
	struct pages_run run;

	mutex_guard(&mf->mu);
	mf->image = pr;
	mf->image_fd = fd;
	for (uint64_t page = 0; pages_reader_run_at(pr, page, &run); page = run.file_page + run.npages) {
		uint64_t pos = run.file_page << PAGE_SHIFT, end = (run.file_page + run.npages) << PAGE_SHIFT;
		struct range *r;

		/* Pages nobody adopted are not wanted. */
		for (; pos < end && (r = rangemap_first_in(&mf->allocs, pos, end)); pos = MIN(r->end, end)) {
			uint64_t from = MAX(r->start, pos), to = MIN(r->end, end);

			if (to > mf->size)
				return -EINVAL;
			memfile_held_add_locked(mf, from, to, HELD_ABSENT, container_of(r, struct mf_range, r)->shared);
		}
	}
	return 0;
}
