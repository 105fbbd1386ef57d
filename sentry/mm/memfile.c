/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory file: which pages are allocated, how often they are referred to, who pays.
 *
 * Model:      one sparse memfd. `allocs` maps every allocated range to its reference count; what lies between is free and a
 *             hole, so a fresh allocation is zero without writing to it. First fit from the bottom keeps the file dense.
 * Freeing:    a range whose count reaches zero stays in `allocs` with count 0 while its hole is punched without the lock, and
 *             only then can be allocated again. Some are not punched but kept in `warm`, also with count 0, and cleared when they
 *             are taken again.
 * Mapping:    1 GiB pieces, mapped on first use and never unmapped, so memfile_ptr() is arithmetic.
 * Content:    that is still in an image, or guarded because a checkpoint wants to know of writes: memfile_content.c.
 * Saving:     memfile_save.c.
 * Locks:      mu is a leaf.
 * Checkpoint: no record of its own, see memfile.h.
 */
#include "sentry/mm/memfile_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "sentry/mm/safecopy.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define HUGE_SIZE   (2UL << 20)

/* A node of a few dozen bytes. The callers (unref above all) cannot fail; a host that cannot give a page to the Sentry's heap has
 * lost this sandbox anyway. */
static struct mf_range *node_new(uint64_t start, uint64_t end, uint32_t refs)
{
	struct mf_range *n = calloc(1, sizeof(*n));

	if (!n) {
		log_error("memory file: out of host memory for bookkeeping");
		abort();
	}
	n->r.start = start;
	n->r.end = end;
	n->refs = refs;
	return n;
}

static struct range *mf_split(struct rangemap *m, struct range *r, uint64_t at)
{
	const struct mf_range *o = container_of(r, struct mf_range, r);
	struct mf_range *n = node_new(at, r->end, o->refs);

	(void)m;
	n->owner = o->owner;
	n->shared = o->shared;
	n->wild = o->wild;
	return &n->r;
}

static bool mf_can_merge(const struct range *a, const struct range *b)
{
	const struct mf_range *x = container_of(a, struct mf_range, r), *y = container_of(b, struct mf_range, r);

	/* Ranges being freed keep their identity: their freer holds them without the lock. */
	return x->refs != 0 && x->refs == y->refs && x->owner == y->owner && x->shared == y->shared && x->wild == y->wild;
}

static void mf_free(struct rangemap *m, struct range *r)
{
	(void)m;
	free(container_of(r, struct mf_range, r));
}

static const struct rangemap_ops mf_ops = { mf_split, mf_can_merge, mf_free };

/* A new file of *@size bytes, or fewer: then *@size says how many. */
static int make_file(uint64_t *size)
{
	/* Application code runs from it, so it must stay executable whatever vm.memfd_noexec says; old kernels lack the flag. */
	int fd = memfd_create("runsc-memory", MFD_CLOEXEC | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("runsc-memory", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* A sparse size costs nothing; RLIMIT_FSIZE may forbid the whole. */
	for (; ftruncate(fd, (off_t)*size) < 0; *size /= 2)
		if (*size <= CHUNK_SIZE) {
			int r = -errno;

			(void)close(fd);
			return r;
		}
	return fd;
}

int memfile_new(struct memfile **ret)
{
	struct memfile *mf = calloc(1, sizeof(*mf));

	if (!mf)
		return -ENOMEM;
	safecopy_init();
	mf->size = MAX_CHUNKS * CHUNK_SIZE;
	mf->fd = make_file(&mf->size);
	if (mf->fd < 0) {
		int r = mf->fd;

		free(mf);
		return r;
	}
	mf->limit = mf->size;
	mutex_init(&mf->mu, "memfile.mu");
	rangemap_init(&mf->allocs, &mf_ops);
	memfile_content_init(mf);
	*ret = mf;
	return 0;
}

int memfile_renew(struct memfile *mf)
{
	uint64_t size = mf->size;
	int fd, r;

	for (size_t i = 0; i < MAX_CHUNKS; i++)
		if (atomic_load(&mf->chunk[i]))
			return -EBUSY;
	fd = make_file(&size);
	if (fd < 0)
		return fd;
	r = size < mf->size ? -EFBIG : dup3(fd, mf->fd, O_CLOEXEC) < 0 ? -errno : 0;
	(void)close(fd);
	return r;
}

static void drop_all(struct rangemap *m)
{
	while (m->first) {
		struct range *r = m->first;

		rangemap_remove(m, r);
		mf_free(m, r);
	}
}

void memfile_free(struct memfile *mf)
{
	if (!mf)
		return;
	for (size_t i = 0; i < MAX_CHUNKS; i++)
		if (mf->chunk[i])
			(void)munmap(mf->chunk[i], CHUNK_SIZE);
	memfile_content_done(mf);
	drop_all(&mf->allocs);
	(void)close(mf->fd);
	mutex_destroy(&mf->mu);
	free(mf);
}

int memfile_fd(const struct memfile *mf)
{
	return mf->fd;
}

static uint32_t nobody(void)
{
	return 0;
}

static void no_account(uint32_t owner, int64_t delta)
{
}

static uint32_t (*payer_hook)(void) = nobody;
static void (*account_hook)(uint32_t owner, int64_t delta) = no_account;

void memfile_set_payer(uint32_t (*payer)(void), void (*account)(uint32_t owner, int64_t delta))
{
	payer_hook = payer;
	account_hook = account;
}

static int alloc(struct memfile *mf, uint64_t len, bool huge, bool shared, uint64_t *ret_off)
{
	struct mf_range *n;
	uint64_t off, total;

	if (len == 0 || !IS_ALIGNED(len, PAGE_SIZE) || len > mf->size)
		return -ENOMEM;
	mutex_guard(&mf->mu);
	if (add_overflow(mf->allocs.total - mf->warm.total, len, &total) || total > mf->limit)
		return -ENOMEM;
	if (!(huge && len >= HUGE_SIZE && rangemap_gap_up(&mf->allocs, 0, mf->size, len, HUGE_SIZE, &off)) &&
	    !rangemap_gap_up(&mf->allocs, 0, mf->size, len, PAGE_SIZE, &off))
		return -ENOMEM;
	n = node_new(off, off + len, 1);
	n->owner = (uint16_t)payer_hook();
	n->shared = shared;
	mf->shared += shared ? len : 0;
	account_hook(n->owner, (int64_t)len);
	(void)rangemap_insert(&mf->allocs, &n->r);
	(void)rangemap_merge(&mf->allocs, &n->r);
	*ret_off = off;
	return 0;
}

int memfile_alloc(struct memfile *mf, uint64_t len, bool huge, uint64_t *ret_off)
{
	return alloc(mf, len, huge, false, ret_off);
}

int memfile_alloc_shared(struct memfile *mf, uint64_t len, bool huge, uint64_t *ret_off)
{
	return alloc(mf, len, huge, true, ret_off);
}

void memfile_owner_move(struct memfile *mf, uint32_t from, uint32_t to)
{
	mutex_guard(&mf->mu);
	for (struct range *r = mf->allocs.first; r; r = r->next) {
		struct mf_range *n = container_of(r, struct mf_range, r);

		if (n->owner == from)
			n->owner = (uint16_t)to;
	}
}

void memfile_set_owner(struct memfile *mf, uint64_t off, uint64_t len, uint32_t owner)
{
	uint64_t end;

	if (!IS_ALIGNED(off | len, PAGE_SIZE) || !len || add_overflow(off, len, &end) || owner >= MEMFILE_OWNERS)
		return;
	mutex_guard(&mf->mu);
	if (rangemap_isolate(&mf->allocs, off, end) < 0)
		return;
	for (struct range *r = rangemap_first_in(&mf->allocs, off, end); r && r->start < end; r = r->next) {
		struct mf_range *n = container_of(r, struct mf_range, r);

		account_hook(n->owner, -(int64_t)(r->end - r->start));
		account_hook(owner, (int64_t)(r->end - r->start));
		n->owner = (uint16_t)owner;
	}
}

struct owned {
	uint64_t off, len;
	bool shared;
};

/* Copies of the ranges whose owners are in @set. */
static size_t owned_ranges(struct memfile *mf, const uint64_t *set, struct owned **ret)
{
	size_t n = 0, cap = 0;
	struct owned *v = NULL;

	mutex_guard(&mf->mu);
	for (struct range *r = mf->allocs.first; r; r = r->next) {
		const struct mf_range *m = container_of(r, struct mf_range, r);

		if (!m->refs || !(set[m->owner / 64] >> m->owner % 64 & 1))
			continue;
		if (n == cap) {
			struct owned *bigger = reallocarray(v, cap ? cap * 2 : 64, sizeof(*v));

			if (!bigger)
				break;
			v = bigger;
			cap = cap ? cap * 2 : 64;
		}
		v[n++] = (struct owned){ r->start, r->end - r->start, m->shared };
	}
	*ret = v;
	return n;
}

uint64_t memfile_owner_resident(struct memfile *mf, const uint64_t set[MEMFILE_OWNERS / 64], uint64_t *ret_shared)
{
	uint64_t all = 0, shared = 0;
	struct owned *v;
	size_t n = owned_ranges(mf, set, &v);

	for (size_t i = 0; i < n; i++) {
		uint64_t r = memfile_resident(mf, v[i].off, v[i].len);

		all += r;
		shared += v[i].shared ? r : 0;
	}
	free(v);
	*ret_shared = shared;
	return all;
}

size_t memfile_owner_ranges(struct memfile *mf, uint32_t owner, uint64_t **ret)
{
	uint64_t set[MEMFILE_OWNERS / 64] = { 0 };
	struct owned *v;
	size_t n;

	set[owner / 64] = 1ull << owner % 64;
	n = owned_ranges(mf, set, &v);
	*ret = calloc(2 * n + 1, sizeof(**ret));
	for (size_t i = 0; *ret && i < n; i++) {
		(*ret)[2 * i] = v[i].off;
		(*ret)[2 * i + 1] = v[i].len;
	}
	free(v);
	return *ret ? 2 * n : 0;
}

/* Callers hold references, so the range is allocated; anything else is a bug that would corrupt an application's memory. */
static void isolate_owned(struct memfile *mf, uint64_t off, uint64_t len)
{
	if (unlikely(!IS_ALIGNED(off | len, PAGE_SIZE) || off + len < off || !rangemap_covers(&mf->allocs, off, off + len))) {
		log_error("memory file: [%#lx, +%#lx) is not allocated", off, len);
		abort();
	}
	if (rangemap_isolate(&mf->allocs, off, off + len) < 0)
		abort();
}

void memfile_ref(struct memfile *mf, uint64_t off, uint64_t len)
{
	if (len == 0)
		return;
	mutex_guard(&mf->mu);
	isolate_owned(mf, off, len);
	for (struct range *r = rangemap_find(&mf->allocs, off); r && r->start < off + len; r = r->next) {
		struct mf_range *n = container_of(r, struct mf_range, r);

		if (unlikely(n->refs == 0 || n->refs == UINT32_MAX))
			abort();
		n->refs++;
	}
	rangemap_merge_in(&mf->allocs, off, off + len);
}

void memfile_punch(struct memfile *mf, uint64_t off, uint64_t len)
{
	if (fallocate(mf->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) < 0) {
		/* Never seen on shmem; the promise "a fresh allocation is zero" must hold all the same. */
		log_error("memory file: punch [%#lx, +%#lx): %d", off, len, errno);
		while (len > 0) {
			uint64_t n = MIN(len, CHUNK_SIZE - (off & (CHUNK_SIZE - 1)));
			char *p = mf->chunk[off >> CHUNK_SHIFT];

			if (p)
				(void)safezero(p + (off & (CHUNK_SIZE - 1)), n);
			off += n;
			len -= n;
		}
	}
}

/* Takes [from, to), whose count is 0, off the books: it may be allocated again. */
static void forget(struct memfile *mf, uint64_t from, uint64_t to)
{
	struct range *r;

	mutex_guard(&mf->mu);
	if (rangemap_isolate(&mf->allocs, from, to) < 0)
		abort();
	while ((r = rangemap_first_in(&mf->allocs, from, to))) {
		rangemap_remove(&mf->allocs, r);
		free(container_of(r, struct mf_range, r));
	}
}

static void give_back(struct memfile *mf, uint64_t from, uint64_t to)
{
	memfile_punch(mf, from, to - from);
	forget(mf, from, to);
}

/* Keeps the pages of [from, to), all present, instead of others kept for longer. */
static void keep(struct memfile *mf, uint64_t from, uint64_t to)
{
	struct warm_range old;

	mutex_lock(&mf->mu);
	while (!warm_room(&mf->warm, to - from) && warm_evict(&mf->warm, &old)) {
		mutex_unlock(&mf->mu);
		give_back(mf, old.off, old.off + old.len);
		mutex_lock(&mf->mu);
	}
	if (warm_room(&mf->warm, to - from)) {
		warm_give(&mf->warm, from, to - from);
		from = to;
	}
	mutex_unlock(&mf->mu);
	if (from < to)
		give_back(mf, from, to);
}

#define RETIRE_PIECES 16 /* a range in more pieces than this is punched at once */

/* Nobody pays for what nobody refers to, even while it is kept. */
static void uncharge_locked(struct memfile *mf, uint64_t from, uint64_t to)
{
	for (struct range *r = rangemap_first_in(&mf->allocs, from, to); r && r->start < to; r = r->next) {
		struct mf_range *n = container_of(r, struct mf_range, r);

		account_hook(n->owner, -(int64_t)(r->end - r->start));
		mf->shared -= n->shared ? r->end - r->start : 0;
		n->owner = 0;
		n->shared = n->wild = false;
	}
}

/* Nobody refers to [from, to) any more. */
static void retire(struct memfile *mf, uint64_t from, uint64_t to)
{
	for (int i = 0; mf->warm.max && to - from <= mf->warm.max && from < to && i < RETIRE_PIECES; i++) {
		off_t data = lseek(mf->fd, (off_t)from, SEEK_DATA), hole;

		if (data < 0 && errno != ENXIO)
			break;
		if (data < 0 || (uint64_t)data >= to) {
			forget(mf, from, to);
			return;
		}
		if ((uint64_t)data > from)
			forget(mf, from, (uint64_t)data);
		from = (uint64_t)data;
		hole = lseek(mf->fd, data, SEEK_HOLE);
		if (hole <= data)
			break;
		hole = MIN(hole, (off_t)to);
		if ((uint64_t)hole - from < WARM_MIN)
			give_back(mf, from, (uint64_t)hole);
		else
			keep(mf, from, (uint64_t)hole);
		from = (uint64_t)hole;
	}
	if (from < to)
		give_back(mf, from, to);
}

void memfile_give_back_all(struct memfile *mf)
{
	struct warm_range old;

	for (;;) {
		mutex_lock(&mf->mu);
		if (!warm_evict(&mf->warm, &old))
			old.len = 0;
		mutex_unlock(&mf->mu);
		if (old.len == 0)
			return;
		give_back(mf, old.off, old.off + old.len);
	}
}

void memfile_keep_freed(struct memfile *mf, uint64_t max)
{
	mutex_guard(&mf->mu);
	mf->warm.max = max;
}

/* Drops our reference to the run of pages at *@pos. When it was the last one: their end is the new *@pos, and true. */
static bool drop_run_locked(struct memfile *mf, uint64_t *pos, uint64_t end)
{
	struct range *r = rangemap_find(&mf->allocs, *pos);
	struct mf_range *n = container_of(r, struct mf_range, r);

	if (unlikely(n->refs == 0))
		abort();
	*pos = r->end;
	if (--n->refs > 0)
		return false;
	for (r = r->next; *pos < end; r = r->next) {
		n = container_of(r, struct mf_range, r);
		if (n->refs != 1)
			break;
		n->refs = 0;
		*pos = r->end;
	}
	return true;
}

void memfile_unref(struct memfile *mf, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;

	if (len == 0)
		return;
	mutex_lock(&mf->mu);
	isolate_owned(mf, off, len);
	/* Run by run: what we have not come to keeps our reference while the lock is dropped. Were all dropped first, pages whose last
	 * other owner goes meanwhile would look as if they were ours to free, and be freed twice. */
	for (uint64_t pos = off; pos < end;) {
		uint64_t from = pos;

		if (!drop_run_locked(mf, &pos, end))
			continue;
		uncharge_locked(mf, from, pos);
		mutex_unlock(&mf->mu);
		/* Count 0: nobody else touches them, so this is the time to forget what was held of their content. */
		memfile_forget_content(mf, from, pos - from);
		retire(mf, from, pos);
		mutex_lock(&mf->mu);
		/* Others may have joined our rest to what follows it. */
		if (pos < end)
			isolate_owned(mf, pos, end - pos);
	}
	rangemap_merge_in(&mf->allocs, off, end);
	mutex_unlock(&mf->mu);
}

static int by_offset(const void *a, const void *b)
{
	const struct memfile_piece *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

void memfile_unref_many(struct memfile *mf, struct memfile_piece *v, size_t n)
{
	size_t i = 0, next;

	if (n > 1)
		qsort(v, n, sizeof(*v), by_offset);
	for (; i < n; i = next) {
		uint64_t len = v[i].len;

		/* A piece that is there twice holds two references, so only what touches is joined. */
		for (next = i + 1; next < n && v[next].off == v[i].off + len; next++)
			len += v[next].len;
		memfile_unref(mf, v[i].off, len);
	}
}

bool memfile_exclusive(struct memfile *mf, uint64_t off, uint64_t len)
{
	mutex_guard(&mf->mu);
	for (struct range *r = rangemap_find(&mf->allocs, off); r && r->start < off + len; r = r->next)
		if (container_of(r, struct mf_range, r)->refs != 1)
			return false;
	return true;
}

static char *chunk_ptr(struct memfile *mf, uint64_t idx)
{
	char *p = atomic_load_explicit(&mf->chunk[idx], memory_order_acquire), *want = NULL;

	if (likely(p != NULL))
		return p;
	p = mmap(NULL, CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, mf->fd, (off_t)(idx << CHUNK_SHIFT));
	if (p == MAP_FAILED)
		return NULL;
	if (!atomic_compare_exchange_strong(&mf->chunk[idx], &want, p)) {
		(void)munmap(p, CHUNK_SIZE);
		return want;
	}
	return p;
}

char *memfile_raw_ptr(struct memfile *mf, uint64_t off, uint64_t len)
{
	uint64_t idx = off >> CHUNK_SHIFT, in = off & (CHUNK_SIZE - 1);
	char *p;

	if (unlikely(off >= mf->size || len > CHUNK_SIZE - in))
		return NULL;
	p = chunk_ptr(mf, idx);
	return p ? p + in : NULL;
}

int memfile_alloc_warm(struct memfile *mf, uint64_t len, uint64_t *ret_off)
{
	uint64_t off, total;
	struct mf_range *n;
	struct range *r;

	mutex_lock(&mf->mu);
	if (mf->warm.total < len || add_overflow(mf->allocs.total - mf->warm.total, len, &total) || total > mf->limit ||
	    !warm_take(&mf->warm, len, &off)) {
		mutex_unlock(&mf->mu);
		return -ENOMEM;
	}
	if (rangemap_isolate(&mf->allocs, off, off + len) < 0)
		abort();
	while ((r = rangemap_first_in(&mf->allocs, off, off + len))) {
		rangemap_remove(&mf->allocs, r);
		free(container_of(r, struct mf_range, r));
	}
	n = node_new(off, off + len, 1);
	n->owner = (uint16_t)payer_hook();
	account_hook(n->owner, (int64_t)len);
	(void)rangemap_insert(&mf->allocs, &n->r);
	mutex_unlock(&mf->mu);
	*ret_off = off;
	for (uint64_t at = off; at < off + len;) {
		uint64_t m = MIN(off + len - at, CHUNK_SIZE - (at & (CHUNK_SIZE - 1)));
		char *p = memfile_raw_ptr(mf, at, m);

		if (!p || safezero(p, m) != 0)
			memfile_punch(mf, at, m);
		at += m;
	}
	mutex_lock(&mf->mu);
	rangemap_merge_in(&mf->allocs, off, off + len);
	mutex_unlock(&mf->mu);
	return 0;
}

void memfile_set_wild(struct memfile *mf, uint64_t off, uint64_t len)
{
	mutex_guard(&mf->mu);
	isolate_owned(mf, off, len);
	for (struct range *r = rangemap_find(&mf->allocs, off); r && r->start < off + len; r = r->next)
		container_of(r, struct mf_range, r)->wild = true;
}

uint64_t memfile_used(const struct memfile *mf)
{
	struct memfile *m = (struct memfile *)(uintptr_t)mf;

	mutex_guard(&m->mu);
	return m->allocs.total - m->warm.total;
}

uint64_t memfile_committed(const struct memfile *mf)
{
	struct memfile *m = (struct memfile *)(uintptr_t)mf;
	uint64_t held, kept;
	struct stat st;

	mutex_lock(&m->mu);
	kept = m->warm.total;
	mutex_unlock(&m->mu);
	held = fstat(mf->fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
	return held > kept ? held - kept : 0;
}

void memfile_set_limit(struct memfile *mf, uint64_t bytes)
{
	mutex_guard(&mf->mu);
	mf->limit = MIN(bytes, mf->size);
}

int memfile_for_each(struct memfile *mf, int (*fn)(void *arg, uint64_t off, uint64_t len, uint32_t refs), void *arg)
{
	mutex_guard(&mf->mu);
	for (struct range *r = mf->allocs.first; r; r = r->next) {
		uint32_t refs = container_of(r, struct mf_range, r)->refs;
		int e = refs ? fn(arg, r->start, r->end - r->start, refs) : 0;

		if (e != 0)
			return e;
	}
	return 0;
}

static int adopt(struct memfile *mf, uint64_t off, uint64_t len, bool shared)
{
	uint64_t end, pos = off;

	if (!IS_ALIGNED(off | len, PAGE_SIZE) || len == 0 || add_overflow(off, len, &end) || end > mf->size)
		return -EINVAL;
	mutex_guard(&mf->mu);
	if (rangemap_isolate(&mf->allocs, off, end) < 0)
		return -ENOMEM;
	while (pos < end) {
		struct range *r = rangemap_find_next(&mf->allocs, pos);
		struct mf_range *n;

		if (r && r->start == pos) {
			n = container_of(r, struct mf_range, r);
			if (n->refs == 0 || n->refs == UINT32_MAX)
				return -EINVAL;
			n->refs++;
			if (shared && !n->shared) {
				n->shared = true;
				mf->shared += n->r.end - n->r.start;
			}
		} else {
			n = node_new(pos, r ? MIN(r->start, end) : end, 1);
			n->owner = 1;
			n->shared = shared;
			mf->shared += shared ? n->r.end - n->r.start : 0;
			account_hook(1, (int64_t)(n->r.end - n->r.start));
			(void)rangemap_insert(&mf->allocs, &n->r);
		}
		pos = n->r.end;
	}
	rangemap_merge_in(&mf->allocs, off, end);
	return mf->allocs.total > mf->limit ? -ENOMEM : 0;
}

int memfile_adopt(struct memfile *mf, uint64_t off, uint64_t len)
{
	return adopt(mf, off, len, false);
}

int memfile_adopt_shared(struct memfile *mf, uint64_t off, uint64_t len)
{
	return adopt(mf, off, len, true);
}

uint64_t memfile_shared(const struct memfile *mf)
{
	return __atomic_load_n(&mf->shared, __ATOMIC_RELAXED);
}
