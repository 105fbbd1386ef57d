/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recording which pages of the image are used. While it goes on, no more than what is asked for is shown or loaded at a time, as far as the
 * image's form allows, and nothing is read ahead.
 *
 * One bit per page of the image, set without a lock; kept to the end of the memory file, for somebody may be setting one.
 */
#include "sentry/mm/memfile_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "state/working_set.h"

struct recording {
	uint64_t npages;
	atomic_bool on;
	_Atomic uint64_t bits[];
};

int memfile_record_start(struct memfile *mf)
{
	uint64_t n = mf->image ? pages_reader_end(mf->image) : 0;
	struct recording *rec;

	if (mf->recording)
		return -EBUSY;
	rec = calloc(1, sizeof(*rec) + (n / 64 + 1) * sizeof(rec->bits[0]));
	if (!rec)
		return -ENOMEM;
	rec->npages = n;
	rec->on = true;
	atomic_store_explicit(&mf->recording, rec, memory_order_release);
	return 0;
}

bool memfile_recording(struct memfile *mf)
{
	struct recording *rec = atomic_load_explicit(&mf->recording, memory_order_acquire);

	return unlikely(rec && rec->on);
}

void memfile_record(struct memfile *mf, uint64_t from, uint64_t to)
{
	struct recording *rec = atomic_load_explicit(&mf->recording, memory_order_acquire);

	if (likely(!rec) || !rec->on)
		return;
	for (uint64_t p = from >> PAGE_SHIFT; p < MIN(to >> PAGE_SHIFT, rec->npages); p++)
		atomic_fetch_or_explicit(&rec->bits[p / 64], 1ull << p % 64, memory_order_relaxed);
}

static bool is_set(const struct recording *rec, uint64_t p)
{
	return rec->bits[p / 64] >> p % 64 & 1;
}

int memfile_record_end(struct memfile *mf, struct working_set *ret)
{
	struct recording *rec = atomic_load_explicit(&mf->recording, memory_order_acquire);
	int r = 0;

	*ret = (struct working_set){ 0 };
	if (!rec || !atomic_exchange(&rec->on, false))
		return -EALREADY;
	for (uint64_t p = 0, q; r == 0 && p < rec->npages; p = q) {
		if (!is_set(rec, p)) {
			q = rec->bits[p / 64] >> p % 64 ? p + 1 : (p | 63) + 1;
			continue;
		}
		for (q = p + 1; q < rec->npages && is_set(rec, q); q++)
			;
		r = working_set_add(ret, p, q - p);
	}
	if (r == -ENOMEM)
		working_set_done(ret);
	return r == -ENOMEM ? r : 0;
}
