/* SPDX-License-Identifier: Apache-2.0 */
/* Pages for those who only look: the Sentry (memfile_look()) and the platform's mappings (memfile_show()), in the image where that is possible. */
#include <errno.h>

#include "sentry/mm/memfile_internal.h"

#define VIEW_WINDOW (256UL << 10) /* the least that is checked and shown of the image at a time, as far as it is there */

const void *memfile_look(struct memfile *mf, uint64_t off, uint64_t *len)
{
	uint64_t end = off + *len, span;
	struct pages_view v;
	struct pages_run x;
	struct held *h;
	int r;

	if (likely(atomic_load_explicit(&mf->nr_absent, memory_order_acquire) == 0))
		return memfile_raw_ptr(mf, off, *len);
	mutex_lock(&mf->mu);
	for (h = memfile_held_first_locked(mf, off, end); h && h->kind != HELD_ABSENT; h = memfile_held_first_locked(mf, h->r.end, end))
		if (h->r.end >= end) {
			h = NULL;
			break;
		}
	if (!h || h->r.start > off) {
		*len = h ? h->r.start - off : *len;
		mutex_unlock(&mf->mu);
		return memfile_raw_ptr(mf, off, *len);
	}
	end = MIN(end, h->r.end);
	mutex_unlock(&mf->mu);
	span = ALIGN_UP(end, PAGE_SIZE) - ALIGN_DOWN(off, PAGE_SIZE);
	/* What the image has at this place does not change, whoever writes meanwhile. */
	r = pages_view(mf->image, off >> PAGE_SHIFT, span >> PAGE_SHIFT, &v);
	if (r == 0) {
		uint64_t in = off & ~PAGE_MASK;

		*len = MIN(end - off, (v.npages << PAGE_SHIFT) - in);
		memfile_record(mf, off, ALIGN_UP(off + *len, PAGE_SIZE));
		return (const char *)v.ptr + in;
	}
	if (r == -EIO)
		memfile_damaged(mf);
	/* What follows in another layer may be shown, so it would not be loaded. */
	if (r != -EOPNOTSUPP || !pages_reader_extent(mf->image, off >> PAGE_SHIFT, &x, NULL))
		return NULL;
	end = MIN(end, (x.file_page + x.npages) << PAGE_SHIFT);
	*len = MIN(end, ALIGN_DOWN(off, LOAD_WINDOW) + LOAD_WINDOW) - off;
	return memfile_ensure(mf, off, *len) < 0 ? NULL : memfile_raw_ptr(mf, off, *len);
}

/* The part of the image that is shown for @off of the absent [lo, hi). 0, -EOPNOTSUPP: it cannot be shown. */
static int show_image(struct memfile *mf, uint64_t off, uint64_t lo, uint64_t hi, struct memfile_show *ret)
{
	struct pages_view v, below;
	int r;

	r = pages_view(mf->image, off >> PAGE_SHIFT, (hi - off) >> PAGE_SHIFT, &v);
	if (r < 0)
		return r;
	*ret = (struct memfile_show){ off, off + (v.npages << PAGE_SHIFT), v.fd, v.offset, false, true };
	/* What lies below, if it is the same run. */
	if (lo < off && pages_view(mf->image, lo >> PAGE_SHIFT, (off - lo) >> PAGE_SHIFT, &below) == 0 && below.fd == v.fd &&
	    below.npages << PAGE_SHIFT == off - lo && below.offset + (off - lo) == v.offset) {
		ret->start = lo;
		ret->fd_off = below.offset;
	}
	memfile_record(mf, ret->start, ret->end);
	return 0;
}

int memfile_show(struct memfile *mf, uint64_t off, uint64_t lo, uint64_t hi, bool private, struct memfile_show *ret)
{
	struct range *next;
	struct held *h;
	int r;

	*ret = (struct memfile_show){ lo, hi, mf->fd, lo, true, false };
	if (likely(atomic_load_explicit(&mf->nr_held, memory_order_acquire) == 0))
		return 0;
	mutex_lock(&mf->mu);
	while ((h = memfile_held_first_locked(mf, off, off + PAGE_SIZE)) && h->kind == HELD_ABSENT) {
		lo = MAX(lo, h->r.start);
		hi = MIN(hi, h->r.end);
		if (private && !h->shared && !atomic_load(&mf->hidden)) {
			/* Bigger windows where the walk goes on: checking them is most of the price. */
			uint64_t w = memfile_recording(mf) ? PAGE_SIZE : MAX(VIEW_WINDOW, memfile_own_window(mf, off) * 8);

			lo = MAX(lo, ALIGN_DOWN(off, w));
			hi = MIN(hi, ALIGN_DOWN(off, w) + w);
			memfile_own_done(mf, off, hi);
			mutex_unlock(&mf->mu);
			r = show_image(mf, off, lo, hi, ret);
			if (r == -EIO)
				memfile_damaged(mf);
			if (r != -EOPNOTSUPP)
				return r;
			private = false;
			mutex_lock(&mf->mu);
			continue;
		}
		r = memfile_load_around_locked(mf, h, off);
		if (r < 0) {
			mutex_unlock(&mf->mu);
			return r;
		}
	}
	ret->writable = !h;
	/* As far as the same is true. */
	if (h) {
		lo = MAX(lo, h->r.start);
		hi = MIN(hi, h->r.end);
	} else if ((next = rangemap_find_next(&mf->held, off))) {
		hi = MIN(hi, next->start);
		next = next->prev;
		lo = next ? MAX(lo, next->end) : lo;
	} else if (mf->held.last) {
		lo = MAX(lo, mf->held.last->end);
	}
	mutex_unlock(&mf->mu);
	ret->start = ret->fd_off = lo;
	ret->end = hi;
	return 0;
}
