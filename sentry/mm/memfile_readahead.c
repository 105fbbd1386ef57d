/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading ahead: while the application runs on what it has just got, helper threads unpack what of a compressed image is likely to come
 * next, or go through a list of pages: a working set, or all. Of an uncompressed image they read and check what will be shown. They start
 * when they are first needed, and end with the memory file. They take absent ranges like everybody else, so a fault that comes before
 * them does not wait for them.
 *
 * Lock: readahead.mu, never held with memfile.mu.
 */
#include "sentry/mm/memfile_internal.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "state/working_set.h"

#define HELPERS 2
#define PIECE	(256UL << 10)
#define GAP_PAGES 16
#define AHEAD_MIN (512UL << 10)
#define AHEAD_MAX (8UL << 20)

struct readahead {
	struct memfile *mf;
	pthread_t threads[HELPERS];
	unsigned int nr;
	struct mutex mu;
	struct cond work, still;
	bool stop;
	unsigned int paused, active; /* helpers that are loading */
	uint64_t ahead; /* how far we go beyond the last demand load */
	uint64_t pos, end; /* to be loaded */
	struct working_set list; /* to be loaded besides, from run @at on, whose first @done pages are */
	uint32_t at, done;
};

/* Loads one absent piece of [pos, end) that nobody else is loading; where it ended, or @end when there is none. */
static uint64_t load_one(struct memfile *mf, uint64_t pos, uint64_t end)
{
	struct held *h = NULL;
	uint64_t from, to;
	int r;

	mutex_lock(&mf->mu);
	for (struct range *i = rangemap_first_in(&mf->held, pos, end); i && i->start < end && !h; i = i->next) {
		struct held *x = held_of(i);
		struct pages_run run = { i->start >> PAGE_SHIFT, (i->end - i->start) >> PAGE_SHIFT };
		bool raw = true;

		if (x->kind != HELD_ABSENT || x->busy)
			continue;
		from = MAX(pos, i->start);
		if (!pages_reader_extent(mf->image, from >> PAGE_SHIFT, &run, &raw) || (raw && !x->shared)) {
			/* Shown where it is. */
			pos = MIN(i->end, (run.file_page + run.npages) << PAGE_SHIFT);
			mutex_unlock(&mf->mu);
			return pos;
		}
		to = MIN(MIN(i->end, end), MIN(ALIGN_DOWN(from, PIECE) + PIECE, (run.file_page + run.npages) << PAGE_SHIFT));
		h = memfile_held_busy_locked(mf, x, from, to);
	}
	mutex_unlock(&mf->mu);
	if (!h)
		return end;
	r = memfile_fetch(mf, from, to);
	mutex_lock(&mf->mu);
	if (r == 0)
		memfile_held_loaded_locked(mf, h);
	else
		memfile_held_idle_locked(mf, h);
	mutex_unlock(&mf->mu);
	return r == 0 ? to : end;
}

/* A piece of a list, of pages that may have been used meanwhile. */
static void load_listed(struct memfile *mf, uint64_t page, uint64_t npages)
{
	uint64_t end = page + npages;
	struct pages_view v;
	struct pages_run run;
	bool raw;

	for (; page < end && pages_reader_extent(mf->image, page, &run, &raw); page = MIN(end, run.file_page + run.npages)) {
		uint64_t stop = MIN(end, run.file_page + run.npages) << PAGE_SHIFT;

		/* To be checked it is read. What is damaged is found when it is used, if it ever is. */
		if (raw)
			(void)!pages_view(mf->image, page, (stop >> PAGE_SHIFT) - page, &v);
		for (uint64_t pos = page << PAGE_SHIFT; pos < stop;)
			pos = load_one(mf, pos, stop);
	}
}

/* Takes the next piece of the list, or of what is expected, and loads it. False: there is none. Locked; dropped meanwhile. */
static bool help_locked(struct readahead *ra)
{
	uint64_t pos = ra->pos, end = ra->end, done;

	if (pos < end) {
		ra->pos = MIN(end, ALIGN_DOWN(pos, PIECE) + PIECE);
		mutex_unlock(&ra->mu);
		done = load_one(ra->mf, pos, end);
		mutex_lock(&ra->mu);
		/* What lay before it was there already. */
		if (ra->end == end && ra->pos < done)
			ra->pos = done;
		return true;
	}
	if (ra->at < ra->list.nr) {
		const struct working_set_run *r = &ra->list.runs[ra->at];
		uint64_t page = r->page + ra->done, n = MIN(r->npages - ra->done, (uint32_t)(PIECE >> PAGE_SHIFT));

		ra->done += (uint32_t)n;
		if (ra->done == r->npages) {
			ra->at++;
			ra->done = 0;
		}
		mutex_unlock(&ra->mu);
		load_listed(ra->mf, page, n);
		mutex_lock(&ra->mu);
		return true;
	}
	return false;
}

static void *helper(void *arg)
{
	struct readahead *ra = arg;
	bool some;

	mutex_lock(&ra->mu);
	while (!ra->stop) {
		if (!ra->paused) {
			ra->active++;
			some = help_locked(ra);
			if (--ra->active == 0)
				cond_broadcast(&ra->still);
			if (some)
				continue;
		}
		cond_wait(&ra->work, &ra->mu);
	}
	mutex_unlock(&ra->mu);
	return NULL;
}

static unsigned int nr_helpers(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : CPU_COUNT(&set);

	return (unsigned int)MAX(1, MIN(n, HELPERS));
}

static struct readahead *start(struct memfile *mf)
{
	struct readahead *ra = calloc(1, sizeof(*ra));
	sigset_t all, old;

	if (!ra)
		return NULL;
	ra->mf = mf;
	mutex_init(&ra->mu, "readahead.mu");
	cond_init(&ra->work);
	cond_init(&ra->still);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned int n = nr_helpers(); ra->nr < n; ra->nr++)
		if (pthread_create(&ra->threads[ra->nr], NULL, helper, ra))
			break;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return ra;
}

static struct readahead *get(struct memfile *mf)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	struct readahead *ra;

	pthread_mutex_lock(&once);
	if (!mf->ra)
		mf->ra = start(mf);
	ra = mf->ra;
	pthread_mutex_unlock(&once);
	return ra;
}

void memfile_readahead_hint(struct memfile *mf, uint64_t from, uint64_t to)
{
	uint64_t last = atomic_exchange(&mf->last_load, to);
	bool walk = last && from >= last && from - last <= AHEAD_MIN;
	struct readahead *ra;

	/* Nobody is started for a page here and there. */
	if (memfile_recording(mf) || (!walk && !mf->ra))
		return;
	ra = get(mf);
	if (!ra)
		return;
	mutex_lock(&ra->mu);
	if (walk || (from >= last && from - last <= ra->ahead)) {
		ra->ahead = MIN(MAX(ra->ahead * 2, AHEAD_MIN), AHEAD_MAX);
		ra->pos = MAX(ra->pos, to);
		ra->end = to + ra->ahead;
		cond_broadcast(&ra->work);
	} else {
		ra->ahead = 0;
	}
	mutex_unlock(&ra->mu);
}

/* So that the host reads it in one go, whatever the helpers are at. */
static void advise(struct memfile *mf, const struct working_set *ws)
{
	uint64_t from = 0, to = 0;

	for (uint32_t i = 0; i <= ws->nr; i++) {
		const struct working_set_run *r = i < ws->nr ? &ws->runs[i] : NULL;

		/* Reading a small gap costs less than a seek, or a request. */
		if (r && to && r->page - to <= GAP_PAGES) {
			to = r->page + r->npages;
			continue;
		}
		if (to)
			pages_advise(mf->image, from, to - from);
		if (r) {
			from = r->page;
			to = r->page + r->npages;
		}
	}
}

void memfile_prefetch(struct memfile *mf, struct working_set *ws)
{
	struct readahead *ra = memfile_absent(mf) && ws->nr ? get(mf) : NULL;

	if (!ra) {
		working_set_done(ws);
		return;
	}
	advise(mf, ws);
	mutex_lock(&ra->mu);
	working_set_done(&ra->list);
	ra->list = *ws;
	ra->at = ra->done = 0;
	cond_broadcast(&ra->work);
	mutex_unlock(&ra->mu);
}

void memfile_load_behind(struct memfile *mf)
{
	struct working_set ws = { 0 };
	struct pages_run run;

	/* A list that is cut short is as good: it is only a wish. */
	for (uint64_t page = 0; mf->image && pages_reader_run_at(mf->image, page, &run); page = run.file_page + run.npages)
		if (working_set_add(&ws, run.file_page, run.npages) < 0)
			break;
	memfile_prefetch(mf, &ws);
}

void memfile_readahead_pause(struct memfile *mf)
{
	struct readahead *ra = mf->ra;

	if (!ra)
		return;
	mutex_lock(&ra->mu);
	ra->paused++;
	while (ra->active)
		cond_wait(&ra->still, &ra->mu);
	mutex_unlock(&ra->mu);
}

void memfile_readahead_resume(struct memfile *mf)
{
	struct readahead *ra = mf->ra;

	if (!ra)
		return;
	mutex_lock(&ra->mu);
	if (ra->paused)
		ra->paused--;
	cond_broadcast(&ra->work);
	mutex_unlock(&ra->mu);
}

void memfile_readahead_done(struct memfile *mf)
{
	struct readahead *ra = mf->ra;

	if (!ra)
		return;
	mutex_lock(&ra->mu);
	ra->stop = true;
	cond_broadcast(&ra->work);
	mutex_unlock(&ra->mu);
	while (ra->nr)
		pthread_join(ra->threads[--ra->nr], NULL);
	mutex_destroy(&ra->mu);
	cond_destroy(&ra->work);
	cond_destroy(&ra->still);
	working_set_done(&ra->list);
	free(ra);
	mf->ra = NULL;
}
