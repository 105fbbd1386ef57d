/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the page store.
 *
 * The caller's pages are cut into jobs of up to 1 MiB in a ring. Whoever is free (helper threads, or the caller when the ring is
 * full) takes the oldest job and runs three stages:
 *   1 scan    find non-zero runs, cut frames, checksum or compress them       in parallel
 *   2 commit  take the next file range and append the index entries           strictly in job order
 *   3 write   one pwritev or pwrite                                           in parallel
 * A pages.img that is no regular file (a pipe: image streams) is written in order instead, within stage 2.
 * Jobs are taken in order, so the one whose turn it is to commit is always running: stage 2 cannot deadlock. File contents
 * depend on the input only. Helpers start when the second job is queued: a small container never pays for threads.
 *
 * Lock: pages_writer.mu is a leaf; it guards the ring, the turn and the index.
 */
#include "state/pages.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <zstd.h>

#include "state/crc32c.h"
#include "state/digest.h"
#include "state/pages_format.h"

#define JOB_PAGES 256
#define RING 16
#define THREADS_MAX 8
#define IN_ORDER UINT64_MAX /* an offset: where the file is */

struct seg {
	uint64_t file_page;
	const unsigned char *data; /* NULL: inherited */
	size_t npages;
};

struct job {
	enum { JOB_FREE, JOB_FILLING, JOB_QUEUED, JOB_RUNNING } state;
	uint64_t seq;
	size_t nr_segs, npages;
	struct seg segs[JOB_PAGES];
	unsigned char *copy; /* JOB_PAGES pages for pages_writer_add_copy(), made at first use */
};

#define JOB_ENTRIES (2 * JOB_PAGES) /* frames and inherited runs */

/* What one thread needs to run jobs. */
struct bench {
	ZSTD_CCtx *cctx;
	unsigned char *out; /* compressed form: JOB_PAGES pages */
	size_t nr, bytes, nr_iov;
	struct pages_entry entries[JOB_ENTRIES];
	unsigned char (*digests)[DIGEST_BYTES]; /* JOB_ENTRIES; NULL: not wanted */
	struct iovec iov[JOB_PAGES];
};

struct pages_writer {
	int fd_index, fd_pages, level;
	bool in_order; /* fd_pages cannot be written anywhere but at its end */
	unsigned int want_threads, nr_threads;
	pthread_t threads[THREADS_MAX];
	struct bench *own; /* the caller's */
	uint64_t next_file_page; /* caller only */
	struct job *filling; /* caller only */

	pthread_mutex_t mu;
	pthread_cond_t work, turn, freed;
	bool stop;
	uint64_t queued, taken, committed, done; /* counts of jobs */
	struct job ring[RING];
	struct pages_entry *index;
	bool want_digests;
	unsigned char (*digests)[DIGEST_BYTES]; /* as many as @index */
	size_t nr_index, cap_index;
	uint64_t size, seen, stored, inherited;
	_Atomic int error; /* sticky negative errno */
};

static void writer_fail(struct pages_writer *pw, int code)
{
	int none = 0;

	atomic_compare_exchange_strong(&pw->error, &none, code);
}

typedef uint64_t vec __attribute__((vector_size(16), may_alias));

bool pages_are_zero(const void *p, size_t npages)
{
	const vec *v = p, *end = v + npages * (PAGE_SIZE / sizeof(vec));

	for (; v < end; v += 16) {
		vec a = v[0] | v[1] | v[2] | v[3], b = v[4] | v[5] | v[6] | v[7];
		vec c = v[8] | v[9] | v[10] | v[11], d = v[12] | v[13] | v[14] | v[15];

		a = (a | b) | (c | d);
		if (a[0] | a[1])
			return false;
	}
	return true;
}

static struct bench *bench_free(struct bench *b)
{
	if (!b)
		return NULL;
	ZSTD_freeCCtx(b->cctx);
	free(b->out);
	free(b->digests);
	free(b);
	return NULL;
}

static struct bench *bench_new(int level)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (!b || !level)
		return b;
	b->cctx = ZSTD_createCCtx();
	b->out = malloc(JOB_PAGES * PAGE_SIZE);
	return b->cctx && b->out ? b : bench_free(b);
}

static int bench_add_digests(struct bench *b)
{
	b->digests = calloc(JOB_ENTRIES, DIGEST_BYTES);
	return b->digests ? 0 : -ENOMEM;
}

/* One frame of non-zero pages. */
static void bench_frame(struct pages_writer *pw, struct bench *b, uint64_t file_page, const unsigned char *data, size_t npages)
{
	struct pages_entry *e = &b->entries[b->nr++];
	size_t i = b->nr - 1;
	size_t raw = npages * PAGE_SIZE, len = raw;
	const unsigned char *stored = data;

	if (pw->level) {
		unsigned char *out = b->out + b->bytes;

		len = ZSTD_compressCCtx(b->cctx, out, raw - 1, data, raw, pw->level);
		if (ZSTD_isError(len)) {
			memcpy(out, data, raw);
			len = raw;
		}
		stored = out;
	} else {
		struct iovec *last = b->nr_iov ? &b->iov[b->nr_iov - 1] : NULL;

		if (last && (unsigned char *)last->iov_base + last->iov_len == data)
			last->iov_len += raw;
		else
			b->iov[b->nr_iov++] = (struct iovec){ (void *)(uintptr_t)data, raw };
	}
	*e = (struct pages_entry){
		.file_page = file_page,
		.offset = b->bytes, /* relative until committed */
		.npages = (uint32_t)npages,
		.len = (uint32_t)len,
		.crc = crc32c(0, stored, len),
	};
	if (b->digests)
		digest_of(stored, len, b->digests[i]);
	b->bytes += len;
}

static void stage_scan(struct pages_writer *pw, struct bench *b, const struct job *j)
{
	b->nr = b->bytes = b->nr_iov = 0;
	for (size_t i = 0; i < j->nr_segs; i++) {
		const struct seg *s = &j->segs[i];
		size_t start = 0, k;

		if (!s->data) {
			if (b->digests)
				memset(b->digests[b->nr], 0, DIGEST_BYTES);
			b->entries[b->nr++] = (struct pages_entry){ s->file_page, 0, (uint32_t)s->npages, 0, 0, PAGES_KIND_INHERITED };
			continue;
		}
		for (k = 0; k < s->npages; k++) {
			bool zero = pages_are_zero(s->data + k * PAGE_SIZE, 1);

			if (k - start == PAGES_FRAME || (zero && k > start)) {
				bench_frame(pw, b, s->file_page + start, s->data + start * PAGE_SIZE, k - start);
				start = k;
			}
			if (zero)
				start = k + 1;
		}
		if (k > start)
			bench_frame(pw, b, s->file_page + start, s->data + start * PAGE_SIZE, k - start);
	}
}

/* Called in job order with the lock held; returns the file offset of the job's bytes. */
static uint64_t stage_commit_locked(struct pages_writer *pw, struct bench *b)
{
	uint64_t off = pw->size;

	if (pw->nr_index + b->nr > pw->cap_index) {
		size_t cap = MAX(pw->cap_index * 2, (size_t)1024);
		struct pages_entry *v = reallocarray(pw->index, cap, sizeof(*v));

		if (!v) {
			writer_fail(pw, -ENOMEM);
			return off;
		}
		pw->index = v;
		if (pw->want_digests) {
			void *d = reallocarray(pw->digests, cap, DIGEST_BYTES);

			if (!d) {
				writer_fail(pw, -ENOMEM);
				return off;
			}
			pw->digests = d;
		}
		pw->cap_index = cap;
	}
	for (size_t i = 0; i < b->nr; i++) {
		struct pages_entry *e = &b->entries[i];

		if (e->kind == PAGES_KIND_STORED) {
			e->offset += off;
			pw->stored += e->npages;
		} else {
			pw->inherited += e->npages;
		}
		if (pw->want_digests)
			memcpy(pw->digests[pw->nr_index], b->digests[i], DIGEST_BYTES);
		pw->index[pw->nr_index++] = *e;
	}
	pw->size += b->bytes;
	return off;
}

/* At @off, or at the file's own position for IN_ORDER. */
static int pwritev_full(int fd, struct iovec *iov, size_t n, uint64_t off)
{
	while (n) {
		ssize_t w = off == IN_ORDER ? writev(fd, iov, (int)n) : pwritev(fd, iov, (int)n, (off_t)off);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		if (w == 0)
			return -ENOSPC;
		if (off != IN_ORDER)
			off += (uint64_t)w;
		while (n && (size_t)w >= iov->iov_len) {
			w -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n) {
			iov->iov_base = (char *)iov->iov_base + w;
			iov->iov_len -= (size_t)w;
		}
	}
	return 0;
}

static void stage_write(struct pages_writer *pw, struct bench *b, uint64_t off)
{
	struct iovec whole = { b->out, b->bytes };
	int r;

	if (pw->error || !b->bytes)
		return;
	r = pw->level ? pwritev_full(pw->fd_pages, &whole, 1, off) : pwritev_full(pw->fd_pages, b->iov, b->nr_iov, off);
	if (r < 0)
		writer_fail(pw, r);
	else if (off != IN_ORDER) /* the disk may begin: whoever syncs the file has less to wait for */
		(void)sync_file_range(pw->fd_pages, (off_t)off, (off_t)b->bytes, SYNC_FILE_RANGE_WRITE);
}

/* Takes the oldest queued job and runs it. Called and returns with the lock held. */
static void run_one_locked(struct pages_writer *pw, struct bench *b)
{
	struct job *j = &pw->ring[pw->taken++ % RING];
	uint64_t off;

	j->state = JOB_RUNNING;
	pthread_mutex_unlock(&pw->mu);
	if (!pw->error)
		stage_scan(pw, b, j);
	else
		b->nr = b->bytes = b->nr_iov = 0;
	pthread_mutex_lock(&pw->mu);
	while (pw->committed != j->seq)
		pthread_cond_wait(&pw->turn, &pw->mu);
	off = stage_commit_locked(pw, b);
	if (pw->in_order) {
		pthread_mutex_unlock(&pw->mu);
		stage_write(pw, b, IN_ORDER);
		pthread_mutex_lock(&pw->mu);
	}
	pw->committed++;
	pthread_cond_broadcast(&pw->turn);
	pthread_mutex_unlock(&pw->mu);
	if (!pw->in_order)
		stage_write(pw, b, off);
	pthread_mutex_lock(&pw->mu);
	j->state = JOB_FREE;
	pw->done++;
	pthread_cond_broadcast(&pw->freed);
}

static void *helper(void *arg)
{
	struct pages_writer *pw = arg;
	struct bench *b = bench_new(pw->level);

	if (b && pw->want_digests && bench_add_digests(b) < 0)
		b = bench_free(b);
	pthread_mutex_lock(&pw->mu);
	/* Without memory for a bench the others do the work. */
	while (b) {
		if (pw->taken < pw->queued)
			run_one_locked(pw, b);
		else if (pw->stop)
			break;
		else
			pthread_cond_wait(&pw->work, &pw->mu);
	}
	pthread_mutex_unlock(&pw->mu);
	bench_free(b);
	return NULL;
}

/* Signals of the process belong to its other threads. */
static void start_helpers(struct pages_writer *pw)
{
	sigset_t all, old;

	if (pw->nr_threads == pw->want_threads || pw->queued < 2)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (pw->nr_threads < pw->want_threads) {
		if (pthread_create(&pw->threads[pw->nr_threads], NULL, helper, pw)) {
			pw->want_threads = pw->nr_threads;
			break;
		}
		pw->nr_threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int pages_writer_new(int fd_index, int fd_pages, int level, unsigned int threads, struct pages_writer **ret, struct error **err)
{
	unsigned char hdr[PAGES_DATA_HEADER] = PAGES_DATA_MAGIC;
	struct iovec head = { hdr, sizeof(hdr) };
	struct pages_writer *pw;
	struct stat st;
	int r;

	if (level < 0 || level > ZSTD_maxCLevel())
		return error_msg(err, -EINVAL, "compression level %d is not between 0 and %d", level, ZSTD_maxCLevel());
	pw = calloc(1, sizeof(*pw));
	if (!pw)
		return error_set(err, -ENOMEM, "cannot save pages");
	pw->own = bench_new(level);
	if (!pw->own) {
		free(pw);
		return error_set(err, -ENOMEM, "cannot save pages");
	}
	pw->fd_index = fd_index;
	pw->fd_pages = fd_pages;
	pw->level = level;
	pw->want_threads = MIN(threads, (unsigned int)THREADS_MAX);
	pw->size = PAGES_DATA_HEADER;
	pthread_mutex_init(&pw->mu, NULL);
	pthread_cond_init(&pw->work, NULL);
	pthread_cond_init(&pw->turn, NULL);
	pthread_cond_init(&pw->freed, NULL);
	put_le32(hdr + 8, PAGES_VERSION);
	put_le32(hdr + 12, level ? 0 : PAGES_FLAG_RAW);
	put_le32(hdr + 16, crc32c(0, hdr, 16));
	pw->in_order = fstat(fd_pages, &st) == 0 && !S_ISREG(st.st_mode);
	r = pwritev_full(fd_pages, &head, 1, pw->in_order ? IN_ORDER : 0);
	if (r < 0) {
		pages_writer_free(pw);
		return error_set(err, r, "cannot write pages.img");
	}
	*ret = pw;
	return 0;
}

int pages_writer_want_digests(struct pages_writer *pw)
{
	digest_setup();
	pw->want_digests = true;
	return pw->own->digests ? 0 : bench_add_digests(pw->own);
}

static void submit(struct pages_writer *pw)
{
	struct job *j = TAKE_PTR(pw->filling);

	if (!j)
		return;
	pthread_mutex_lock(&pw->mu);
	j->state = JOB_QUEUED;
	j->seq = pw->queued++;
	pthread_cond_signal(&pw->work);
	pthread_mutex_unlock(&pw->mu);
	start_helpers(pw);
}

/* The job being filled; helps with the work while the ring is full. */
static struct job *next_job(struct pages_writer *pw)
{
	struct job *j;

	if (pw->filling)
		return pw->filling;
	pthread_mutex_lock(&pw->mu);
	j = &pw->ring[pw->queued % RING];
	while (j->state != JOB_FREE) {
		if (pw->taken < pw->queued)
			run_one_locked(pw, pw->own);
		else
			pthread_cond_wait(&pw->freed, &pw->mu);
	}
	j->state = JOB_FILLING;
	j->nr_segs = j->npages = 0;
	pthread_mutex_unlock(&pw->mu);
	return pw->filling = j;
}

static int advance(struct pages_writer *pw, uint64_t file_page, uint64_t npages)
{
	uint64_t end;

	if (pw->error)
		return pw->error;
	if (file_page < pw->next_file_page || add_overflow(file_page, npages, &end) || end > PAGES_MAX_FILE_PAGE) {
		writer_fail(pw, -EINVAL);
		return -EINVAL;
	}
	pw->next_file_page = end;
	return 0;
}

/* The next part of a job for at most @n pages; its data is the caller's to set. */
static struct seg *next_seg(struct pages_writer *pw, uint64_t file_page, size_t n)
{
	struct job *j = next_job(pw);
	struct seg *s = &j->segs[j->nr_segs++];

	*s = (struct seg){ file_page, NULL, MIN(n, JOB_PAGES - j->npages) };
	return s;
}

static void seg_done(struct pages_writer *pw, size_t npages)
{
	struct job *j = pw->filling;

	j->npages += npages;
	if (j->npages == JOB_PAGES || j->nr_segs == JOB_PAGES)
		submit(pw);
}

int pages_writer_add(struct pages_writer *pw, uint64_t file_page, const void *data, size_t npages)
{
	const unsigned char *p = data;
	int r = IS_ALIGNED((uintptr_t)p, PAGE_SIZE) ? advance(pw, file_page, npages) : -EINVAL;

	if (r < 0) {
		writer_fail(pw, r);
		return r;
	}
	pw->seen += npages;
	while (npages) {
		struct job *j = next_job(pw);
		struct seg *s = j->nr_segs ? &j->segs[j->nr_segs - 1] : NULL;
		size_t n = MIN(npages, JOB_PAGES - j->npages);

		if (s && s->data && s->file_page + s->npages == file_page && s->data + s->npages * PAGE_SIZE == p) {
			s->npages += n;
		} else {
			s = next_seg(pw, file_page, n);
			s->data = p;
		}
		file_page += n;
		p += n * PAGE_SIZE;
		npages -= n;
		seg_done(pw, n);
	}
	return 0;
}

int pages_writer_add_copy(struct pages_writer *pw, uint64_t file_page, const void *data, size_t npages)
{
	const unsigned char *p = data;
	int r = advance(pw, file_page, npages);

	if (r < 0)
		return r;
	pw->seen += npages;
	while (npages) {
		struct job *j = next_job(pw);
		size_t at = j->npages, n;
		struct seg *s;

		if (!j->copy)
			j->copy = malloc(JOB_PAGES * PAGE_SIZE);
		if (!j->copy) {
			writer_fail(pw, -ENOMEM);
			return -ENOMEM;
		}
		s = next_seg(pw, file_page, npages);
		n = s->npages;
		memcpy(j->copy + at * PAGE_SIZE, p, n * PAGE_SIZE);
		s->data = j->copy + at * PAGE_SIZE;
		file_page += n;
		p += n * PAGE_SIZE;
		npages -= n;
		seg_done(pw, n);
	}
	return 0;
}

int pages_writer_reserve(struct pages_writer *pw)
{
	if (!pw->error)
		(void)next_job(pw);
	return pw->error;
}

size_t pages_writer_room(const struct pages_writer *pw)
{
	return pw->filling ? JOB_PAGES - pw->filling->npages : 0;
}

int pages_writer_inherit(struct pages_writer *pw, uint64_t file_page, uint64_t npages)
{
	int r = advance(pw, file_page, npages);

	if (r < 0)
		return r;
	pw->seen += npages;
	while (npages) {
		size_t n = MIN(npages, (uint64_t)UINT32_MAX);
		struct job *j = next_job(pw);

		j->segs[j->nr_segs++] = (struct seg){ file_page, NULL, n };
		file_page += n;
		npages -= n;
		seg_done(pw, 0);
	}
	return 0;
}

static void drain(struct pages_writer *pw)
{
	submit(pw);
	pthread_mutex_lock(&pw->mu);
	while (pw->done < pw->queued) {
		if (pw->taken < pw->queued)
			run_one_locked(pw, pw->own);
		else
			pthread_cond_wait(&pw->freed, &pw->mu);
	}
	pthread_mutex_unlock(&pw->mu);
}

int pages_writer_drain(struct pages_writer *pw)
{
	drain(pw);
	return pw->error;
}

static void stop_helpers(struct pages_writer *pw)
{
	pthread_mutex_lock(&pw->mu);
	pw->stop = true;
	pthread_cond_broadcast(&pw->work);
	pthread_mutex_unlock(&pw->mu);
	while (pw->nr_threads)
		pthread_join(pw->threads[--pw->nr_threads], NULL);
	pw->want_threads = 0;
}

static int write_index(struct pages_writer *pw, struct pages_stats *st, struct error **err)
{
	struct state_out out = { .fd = pw->fd_index, .name = "pages.idx" };
	unsigned char hdr[PAGES_INDEX_HEADER] = PAGES_INDEX_MAGIC;
	size_t digests = pw->want_digests ? pw->nr_index * DIGEST_BYTES : 0, len = pw->nr_index * PAGES_ENTRY + digests;
	_cleanup_free_ unsigned char *body = malloc(len + 1);
	struct digest digest;
	int r;

	if (!body)
		return error_set(err, -ENOMEM, "cannot write pages.idx");
	for (size_t i = 0; i < pw->nr_index; i++)
		pages_entry_put(body + i * PAGES_ENTRY, &pw->index[i]);
	if (digests)
		memcpy(body + len - digests, pw->digests, digests);
	st->index_version = pw->inherited ? PAGES_VERSION_LAYERED : PAGES_VERSION;
	put_le32(hdr + 8, st->index_version);
	put_le32(hdr + 12, (pw->level ? 0 : PAGES_FLAG_RAW) | (pw->want_digests ? PAGES_FLAG_DIGESTS : 0));
	put_le64(hdr + 16, pw->nr_index);
	put_le64(hdr + 24, pw->stored);
	put_le64(hdr + 32, pw->size);
	put_le32(hdr + 40, crc32c(0, body, len));
	put_le32(hdr + 44, crc32c(0, hdr, 44));
	digest_begin(&digest);
	out.digest = &digest;
	r = state_out_write(&out, hdr, sizeof(hdr), err);
	if (r >= 0)
		r = state_out_write(&out, body, len, err);
	digest_end(&digest, st->index_digest);
	st->has_digest = true;
	st->index_bytes = out.size;
	st->index_crc = out.crc;
	return r;
}

int pages_writer_finish(struct pages_writer *pw, struct pages_stats *ret, struct error **err)
{
	struct pages_stats st = { 0 };
	int r = pages_writer_drain(pw);

	stop_helpers(pw);
	if (r < 0)
		return error_set(err, r, "cannot write pages.img");
	if (!pw->in_order && ftruncate(pw->fd_pages, (off_t)pw->size) < 0)
		return error_set(err, -errno, "cannot write pages.img");
	r = write_index(pw, &st, err);
	if (r < 0)
		return r;
	st.pages_seen = pw->seen;
	st.pages_stored = pw->stored;
	st.pages_inherited = pw->inherited;
	st.frames = pw->nr_index; /* with inherited runs */
	st.pages_bytes = pw->size;
	if (ret)
		*ret = st;
	return 0;
}

struct pages_writer *pages_writer_free(struct pages_writer *pw)
{
	if (!pw)
		return NULL;
	/* Queued jobs of an abandoned writer are dropped quickly. */
	writer_fail(pw, -ECANCELED);
	drain(pw);
	stop_helpers(pw);
	pthread_cond_destroy(&pw->work);
	pthread_cond_destroy(&pw->turn);
	pthread_cond_destroy(&pw->freed);
	pthread_mutex_destroy(&pw->mu);
	bench_free(pw->own);
	for (size_t i = 0; i < RING; i++)
		free(pw->ring[i].copy);
	free(pw->index);
	free(pw->digests);
	free(pw);
	return NULL;
}
