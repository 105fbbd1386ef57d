/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving the content of the memory file, all of it or what has changed, at once or behind a running application.
 *
 * First a plan is made: where content is, in ascending runs. Of a frozen kernel the runs are simply given to the writer. A snapshot
 * marks the runs that lie in the memory file HELD_SNAP and lets the kernel go on: whoever is first, the writer below or a writing
 * application, takes a piece (the application's copy is kept in `taken` until the writer comes by), and it is HELD_CLEAN.
 */
#include "sentry/mm/memfile_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define TAKE_PIECE (256UL << 10)

enum from { FROM_FILE, FROM_IMAGE, FROM_PARENT };

struct run {
	uint64_t off, len;
	enum from from;
};

struct memfile_snapshot {
	struct memfile *mf;
	struct run *runs;
	size_t nr, cap;
	bool good;
};

/* --- the plan --- */

static int plan_add(struct memfile_snapshot *s, uint64_t off, uint64_t len, enum from from)
{
	struct run *last = s->nr ? &s->runs[s->nr - 1] : NULL;

	if (last && last->from == from && last->off + last->len == off) {
		last->len += len;
		return 0;
	}
	if (s->nr == s->cap) {
		size_t cap = MAX(s->cap * 2, (size_t)64);
		struct run *v = reallocarray(s->runs, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->runs = v;
		s->cap = cap;
	}
	s->runs[s->nr++] = (struct run){ off, len, from };
	return 0;
}

/* The data of the memory file at or after @pos; *@start is its size when there is none. */
static int next_data(const struct memfile *mf, uint64_t pos, uint64_t *start, uint64_t *end)
{
	off_t data, hole;

	*start = *end = mf->size;
	for (;; pos = (uint64_t)data + PAGE_SIZE) {
		data = lseek(mf->fd, (off_t)pos, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		hole = lseek(mf->fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		/* Or somebody has just given it back. */
		if (hole > data)
			break;
	}
	*start = (uint64_t)data;
	*end = (uint64_t)hole;
	return 0;
}

/* The range that contains @pos, or the next one, that somebody refers to. mu held. */
static struct range *next_used_locked(struct memfile *mf, uint64_t pos)
{
	struct range *r = rangemap_find_next(&mf->allocs, pos);

	while (r && container_of(r, struct mf_range, r)->refs == 0)
		r = r->next;
	return r;
}

/* As memfile_held_next_locked() for pages in use, of which nothing is busy now: readers ahead pause. */
static struct held *held_next_locked(struct memfile *mf, uint64_t off)
{
	struct range *r = rangemap_find_next(&mf->held, off);

	return r ? held_of(r) : NULL;
}

/*
 * Nothing runs, so nothing changes, but for pages that whoever has just ended is still giving back: those are nobody's. @holes: they are left
 * out. The host is asked for them once per run of data, which takes 10 ms per GiB, and not for what is held, which may be in many pieces.
 */
static int plan_make(struct memfile_snapshot *s, bool incremental, bool holes)
{
	struct memfile *mf = s->mf;
	uint64_t pos = 0, start = 0, end = 0;
	struct range *used;
	int r = 0;

	memfile_give_back_all(mf);
	mutex_guard(&mf->mu);
	while (r == 0 && (used = next_used_locked(mf, pos))) {
		struct held *h;
		uint64_t stop;
		bool inside;

		pos = MAX(pos, used->start);
		h = held_next_locked(mf, pos);
		inside = h && h->r.start <= pos;
		stop = !h ? used->end : MIN(used->end, inside ? h->r.end : h->r.start);
		if (inside && h->kind == HELD_ABSENT) {
			r = plan_add(s, pos, stop - pos, incremental ? FROM_PARENT : FROM_IMAGE);
			pos = stop;
			continue;
		}
		if (holes && pos >= end)
			r = next_data(mf, pos, &start, &end);
		else if (!holes)
			end = stop;
		pos = MAX(pos, start);
		if (r < 0 || pos >= stop) {
			pos = MIN(pos, stop);
			continue;
		}
		stop = MIN(stop, end);
		r = plan_add(s, pos, stop - pos, inside && incremental && h->kind == HELD_CLEAN ? FROM_PARENT : FROM_FILE);
		pos = stop;
	}
	return r;
}

/* --- the runs --- */

static int give_image(struct memfile *mf, const struct run *run, struct pages_writer *pw)
{
	uint64_t page = run->off >> PAGE_SHIFT, end = (run->off + run->len) >> PAGE_SHIFT;
	char *buf = NULL;
	int r = 0;

	while (r == 0 && page < end) {
		uint64_t n = MIN(end - page, TAKE_PIECE >> PAGE_SHIFT);
		struct pages_view v;

		r = pages_view(mf->image, page, end - page, &v);
		if (r == 0) {
			n = v.npages;
			r = pages_writer_add(pw, page, v.ptr, n);
		} else if (r == -EOPNOTSUPP) {
			if (!buf)
				buf = malloc(TAKE_PIECE);
			r = buf ? pages_read(mf->image, page, n, buf) : -ENOMEM;
			if (r == 0)
				r = pages_writer_add_copy(pw, page, buf, n);
		}
		page += n;
	}
	free(buf);
	return r;
}

static int give_file(struct memfile *mf, const struct run *run, struct pages_writer *pw)
{
	uint64_t pos = run->off, end = run->off + run->len;
	int r = 0;

	while (r == 0 && pos < end) {
		uint64_t n = MIN(end - pos, CHUNK_SIZE - (pos & (CHUNK_SIZE - 1)));
		char *p = memfile_raw_ptr(mf, pos, n);

		r = p ? pages_writer_add(pw, pos >> PAGE_SHIFT, p, n >> PAGE_SHIFT) : -ENOMEM;
		pos += n;
	}
	return r;
}

int memfile_save_pages(struct memfile *mf, struct pages_writer *pw, bool incremental)
{
	struct memfile_snapshot s = { .mf = mf };
	int r;

	memfile_readahead_pause(mf);
	r = plan_make(&s, incremental, true);
	for (size_t i = 0; r == 0 && i < s.nr; i++) {
		const struct run *run = &s.runs[i];

		if (run->from == FROM_PARENT)
			r = pages_writer_inherit(pw, run->off >> PAGE_SHIFT, run->len >> PAGE_SHIFT);
		else
			r = run->from == FROM_IMAGE ? give_image(mf, run, pw) : give_file(mf, run, pw);
	}
	memfile_readahead_resume(mf);
	free(s.runs);
	return r;
}

/* --- snapshots --- */

void memfile_expect_snapshot(struct memfile *mf, uint64_t off, uint64_t len, bool complete)
{
	uint64_t end = off + len;

	mutex_guard(&mf->mu);
	for (uint64_t pos = off; pos < end;) {
		struct range *r = rangemap_find_next(&mf->held, pos);

		if (!r || r->start > pos) {
			uint64_t stop = r ? MIN(end, r->start) : end;

			memfile_held_add_locked(mf, pos, stop, HELD_PRE, false);
			pos = stop;
			continue;
		}
		pos = r->end;
		/* What the last image has does not matter to a complete one; one large range is marked faster than many. */
		if (complete && held_of(r)->kind == HELD_CLEAN && !held_of(r)->busy) {
			held_of(r)->kind = HELD_PRE;
			(void)rangemap_merge(&mf->held, r);
		}
	}
}

void memfile_take_locked(struct memfile *mf, uint64_t from, uint64_t to)
{
	struct taken *t = calloc(1, sizeof(*t));
	bool good = t != NULL, hole;
	const char *p;
	off_t data;

	mutex_unlock(&mf->mu);
	data = lseek(mf->fd, (off_t)from, SEEK_DATA);
	hole = data < 0 ? errno == ENXIO : data >= (off_t)to;
	/* Looking at a hole would fill it. */
	if (good && !hole) {
		p = memfile_raw_ptr(mf, from, to - from);
		t->data = p ? malloc(to - from) : NULL;
		good = t->data != NULL;
		if (good)
			memcpy(t->data, p, to - from);
	}
	mutex_lock(&mf->mu);
	if (!good) {
		/* The application goes first. */
		mf->take_failed = true;
		free(t);
		return;
	}
	t->r.start = from;
	t->r.end = to;
	if (!rangemap_insert(&mf->taken, &t->r))
		abort();
}

static void taken_free(struct memfile *mf, struct taken *t)
{
	rangemap_remove(&mf->taken, &t->r);
	free(t->data);
	free(t);
}

void memfile_taken_done(struct memfile *mf)
{
	while (mf->taken.first)
		taken_free(mf, container_of(mf->taken.first, struct taken, r));
}

/* What nobody refers to any more is left out; what the Sentry writes behind our back is taken now, and stays as it is. */
static void mark_run_locked(struct memfile *mf, uint64_t from, uint64_t to)
{
	struct range *r;

	while (from < to && (r = next_used_locked(mf, from)) && r->start < to) {
		uint64_t stop = MIN(to, r->end);
		bool wild = container_of(r, struct mf_range, r)->wild;

		from = MAX(from, r->start);
		if (!wild)
			memfile_held_set_locked(mf, from, stop, HELD_SNAP);
		for (uint64_t at = from; wild && at < stop;) {
			uint64_t n = MIN(stop - at, CHUNK_SIZE - (at & (CHUNK_SIZE - 1)));

			memfile_take_locked(mf, at, at + n);
			at += n;
		}
		from = stop;
	}
}

int memfile_snapshot_begin(struct memfile *mf, bool incremental, struct memfile_snapshot **ret)
{
	struct memfile_snapshot *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->mf = mf;
	memfile_readahead_pause(mf);
	r = plan_make(s, incremental, false);
	if (r == 0) {
		mutex_guard(&mf->mu);
		mf->take_failed = false;
		for (size_t i = 0; i < s->nr; i++)
			if (s->runs[i].from == FROM_FILE)
				mark_run_locked(mf, s->runs[i].off, s->runs[i].off + s->runs[i].len);
		atomic_fetch_add(&mf->guard_gen, 1);
	}
	memfile_readahead_resume(mf);
	if (r < 0) {
		free(s->runs);
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* Pages that somebody has taken from @pos on. Returns as write_piece_locked(). */
static int64_t write_taken_locked(struct memfile *mf, uint64_t pos, uint64_t end, struct range *r, struct pages_writer *pw)
{
	struct taken *t = container_of(r, struct taken, r);
	uint64_t n = MIN(end, r->end) - pos;
	char *data = t->data ? t->data + (pos - r->start) : NULL;
	int e = 0;

	/* Only we remove what was taken. */
	mutex_unlock(&mf->mu);
	if (data)
		e = pages_writer_add_copy(pw, pos >> PAGE_SHIFT, data, n >> PAGE_SHIFT);
	mutex_lock(&mf->mu);
	if (pos + n == r->end)
		taken_free(mf, t);
	return e < 0 ? e : (int64_t)n;
}

/* Where the memory file has data: [start, end), nothing between the position it was asked for and there. */
struct data {
	uint64_t start, end;
};

/*
 * The next piece of a run at @pos: somebody has taken it, or we do. @d is right for what is marked, which nobody changes before he has
 * taken it. Returns its length or a negative errno. mu held; dropped meanwhile.
 */
static int64_t write_piece_locked(struct memfile *mf, uint64_t pos, uint64_t end, const struct data *d, struct pages_writer *pw)
{
	struct range *r = rangemap_find(&mf->taken, pos);
	bool hole = pos < d->start;
	struct held *h;
	uint64_t stop;
	int e = 0;

	if (r)
		return write_taken_locked(mf, pos, end, r, pw);
	h = memfile_held_next_locked(mf, pos);
	if (!h || h->r.start > pos || h->kind != HELD_SNAP) {
		/* While we waited it was taken; or there was no memory to take it; or nobody referred to it any more when it was marked. */
		if (rangemap_find(&mf->taken, pos))
			return 0;
		if (mf->take_failed)
			return -ENOMEM;
		r = rangemap_find_next(&mf->taken, pos);
		stop = !h ? end : MIN(end, h->r.start > pos ? h->r.start : h->r.end);
		return (int64_t)((r ? MIN(stop, r->start) : stop) - pos);
	}
	stop = MIN(MIN(end, h->r.end), hole ? d->start : MIN(d->end, pos + TAKE_PIECE));
	if (!hole) {
		stop = MIN(stop, ALIGN_DOWN(pos, CHUNK_SIZE) + CHUNK_SIZE);
		stop = MIN(stop, pos + (pages_writer_room(pw) << PAGE_SHIFT));
	}
	h = memfile_held_busy_locked(mf, h, pos, stop);
	if (!hole) {
		const char *p;

		mutex_unlock(&mf->mu);
		p = memfile_raw_ptr(mf, pos, stop - pos);
		/* There is room: this waits for nothing but memcpy(). */
		e = p ? pages_writer_add_copy(pw, pos >> PAGE_SHIFT, p, (stop - pos) >> PAGE_SHIFT) : -ENOMEM;
		mutex_lock(&mf->mu);
	}
	h->kind = HELD_CLEAN;
	memfile_held_idle_locked(mf, h);
	return e < 0 ? e : (int64_t)(stop - pos);
}

static int write_run(struct memfile *mf, const struct run *run, struct pages_writer *pw)
{
	uint64_t pos = run->off, end = run->off + run->len;
	struct data d = { 0 };

	while (pos < end) {
		int64_t n;
		/* Outside the lock, for an application may want to write what we would then keep busy. */
		int r = pages_writer_reserve(pw);

		if (r == 0 && pos >= d.end)
			r = next_data(mf, pos, &d.start, &d.end);
		if (r < 0)
			return r;
		mutex_lock(&mf->mu);
		n = write_piece_locked(mf, pos, end, &d, pw);
		mutex_unlock(&mf->mu);
		if (n < 0)
			return (int)n;
		pos += (uint64_t)n;
	}
	return 0;
}

int memfile_snapshot_write(struct memfile_snapshot *s, struct pages_writer *pw)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->nr; i++) {
		const struct run *run = &s->runs[i];

		if (run->from == FROM_PARENT)
			r = pages_writer_inherit(pw, run->off >> PAGE_SHIFT, run->len >> PAGE_SHIFT);
		else
			r = run->from == FROM_IMAGE ? give_image(s->mf, run, pw) : write_run(s->mf, run, pw);
	}
	if (r == 0)
		s->good = true;
	return r;
}

struct memfile_snapshot *memfile_snapshot_end(struct memfile_snapshot *s)
{
	struct memfile *mf = s->mf;
	uint64_t pos = 0;
	struct held *h;

	mutex_lock(&mf->mu);
	/* After a failure nothing is known to be clean, but nobody will ask: what is still marked may stay guarded. */
	while (!s->good && (h = memfile_held_next_locked(mf, pos))) {
		pos = h->r.end;
		if (h->kind == HELD_SNAP)
			h->kind = HELD_CLEAN;
	}
	memfile_taken_done(mf);
	mutex_unlock(&mf->mu);
	free(s->runs);
	free(s);
	return NULL;
}

uint64_t memfile_guard_gen(const struct memfile *mf)
{
	return atomic_load(&mf->guard_gen);
}
