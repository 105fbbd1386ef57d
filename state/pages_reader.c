/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the page store. The index is hostile: its size comes from fstat, not from its own count, and every entry is checked
 * against the one before it, so that after open no arithmetic on entries can overflow and no two share a byte.
 *
 * Locks: each cache slot has its own mutex, a leaf; a frame always uses the same slot. Nothing else is written after open but
 * the bitmap of frames known to be good and the mapping, which are atomic.
 */
#include "state/pages.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zstd.h>

#include "state/crc32c.h"
#include "state/digest.h"
#include "state/pages_format.h"

#define SLOTS 8
#define FRAME_BYTES (PAGES_FRAME * PAGE_SIZE)

/* Frames that are consecutive in the memory file, all of one layer. */
struct extent {
	uint64_t file_page, npages;
	struct pages_reader *src; /* the layer */
};

struct slot {
	pthread_mutex_t mu;
	size_t frame; /* index + 1 of the frame in @data; 0: none */
	unsigned char *stored, *data; /* FRAME_BYTES each, allocated at first use */
	ZSTD_DCtx *dctx;
};

struct pages_reader {
	int fd_pages;
	bool raw;
	bool unmapped; /* its file system does not map files: pages are read, as if they were compressed */
	uint64_t pages_stored, pages_bytes, index_bytes;
	uint32_t index_crc;
	struct pages_entry *entries; /* of stored pages */
	unsigned char (*digests)[DIGEST_BYTES]; /* as many; NULL: the index has none */
	bool strict; /* digests are checked */
	size_t nr;
	struct extent *extents; /* of all layers */
	size_t nr_extents, cap_extents;
	struct pages_reader *parent; /* owned */
	uint64_t pages_inherited;
	uint32_t index_version;
	_Atomic uint8_t *good; /* one byte per frame whose checksum was right */
	_Atomic bool trusted; /* checksums do not matter */
	pthread_mutex_t map_mu; /* making @map; a leaf */
	_Atomic(unsigned char *) map; /* the whole of fd_pages; NULL: not yet */
	struct slot slots[SLOTS];
};

static int check_data_header(struct pages_reader *pr, struct error **err)
{
	unsigned char hdr[PAGES_DATA_HEADER];
	struct stat st;
	int r = pread_full(pr->fd_pages, hdr, sizeof(hdr), 0);
	bool zero = true;

	if (r < 0)
		return error_set(err, r, "cannot read pages.img");
	for (size_t i = 20; i < sizeof(hdr); i++)
		zero = zero && !hdr[i];
	if (memcmp(hdr, PAGES_DATA_MAGIC, 8) || get_le32(hdr + 16) != crc32c(0, hdr, 16) || !zero)
		return error_msg(err, -EINVAL, "pages.img is not a page file of runsc, or is damaged");
	if (get_le32(hdr + 8) != PAGES_VERSION || get_le32(hdr + 12) != (pr->raw ? PAGES_FLAG_RAW : 0))
		return error_msg(err, -EINVAL, "pages.img does not belong to pages.idx");
	if (fstat(pr->fd_pages, &st) < 0)
		return error_set(err, -errno, "cannot read pages.img");
	if ((uint64_t)st.st_size != pr->pages_bytes)
		return error_msg(err, -EINVAL, "pages.img has %llu bytes, pages.idx says %llu", (unsigned long long)st.st_size,
				 (unsigned long long)pr->pages_bytes);
	return 0;
}

static int add_extent(struct pages_reader *pr, uint64_t file_page, uint64_t npages, struct pages_reader *src)
{
	struct extent *last = pr->nr_extents ? &pr->extents[pr->nr_extents - 1] : NULL;

	/* Neighbours of one layer lie side by side in its file only if nothing of it is between: see pages_view(). */
	if (last && last->src == src && last->file_page + last->npages == file_page) {
		last->npages += npages;
		return 0;
	}
	if (pr->nr_extents == pr->cap_extents) {
		size_t cap = MAX(pr->cap_extents * 2, (size_t)64);
		struct extent *v = reallocarray(pr->extents, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		pr->extents = v;
		pr->cap_extents = cap;
	}
	pr->extents[pr->nr_extents++] = (struct extent){ file_page, npages, src };
	return 0;
}

static size_t find_extent(const struct pages_reader *pr, uint64_t file_page);
static unsigned char *whole_map(struct pages_reader *pr);

/* What the parent has of [from, to). */
static int inherit(struct pages_reader *pr, uint64_t from, uint64_t to)
{
	const struct pages_reader *up = pr->parent;
	int r = 0;

	for (size_t i = find_extent(up, from); r == 0 && i < up->nr_extents && up->extents[i].file_page < to; i++) {
		const struct extent *x = &up->extents[i];
		uint64_t a = MAX(from, x->file_page), b = MIN(to, x->file_page + x->npages);

		r = add_extent(pr, a, b - a, x->src);
	}
	return r;
}

/* An entry as it may be: @next_page and @next_off are where the one before it ended. */
static bool entry_ok(const struct pages_reader *pr, const struct pages_entry *e, uint64_t next_page, uint64_t next_off)
{
	uint64_t raw = (uint64_t)e->npages * PAGE_SIZE;

	if (!e->npages || e->file_page < next_page || e->file_page > PAGES_MAX_FILE_PAGE - e->npages)
		return false;
	if (e->kind == PAGES_KIND_INHERITED)
		return pr->index_version == PAGES_VERSION_LAYERED && !e->offset && !e->len && !e->crc;
	return e->kind == PAGES_KIND_STORED && e->npages <= PAGES_FRAME && e->offset == next_off && e->len && e->len <= raw &&
	       (!pr->raw || e->len == raw) && e->len <= pr->pages_bytes - next_off;
}

/* Parses the @n entries at @p, which were checksummed, into pr->entries and pr->extents. */
static int parse_entries(struct pages_reader *pr, const unsigned char *p, size_t n, struct error **err)
{
	uint64_t next_page = 0, next_off = PAGES_DATA_HEADER, stored = 0;
	int r;

	for (size_t i = 0; i < n; i++, p += PAGES_ENTRY) {
		struct pages_entry e = { get_le64(p),	   get_le64(p + 8),  get_le32(p + 16),
					 get_le32(p + 20), get_le32(p + 24), get_le32(p + 28) };

		if (!entry_ok(pr, &e, next_page, next_off))
			return error_msg(err, -EINVAL, "pages.idx: entry %zu is not possible", i);
		next_page = e.file_page + e.npages;
		next_off += e.len;
		if (e.kind == PAGES_KIND_INHERITED) {
			pr->pages_inherited += e.npages;
			r = inherit(pr, e.file_page, next_page);
		} else {
			stored += e.npages;
			if (pr->digests) /* those of inherited entries are dropped */
				memmove(pr->digests[pr->nr], pr->digests[i], DIGEST_BYTES);
			pr->entries[pr->nr++] = e;
			r = add_extent(pr, e.file_page, e.npages, pr);
		}
		if (r < 0)
			return error_set(err, r, "cannot read pages.idx");
	}
	if (stored != pr->pages_stored || next_off != pr->pages_bytes)
		return error_msg(err, -EINVAL, "pages.idx: entries do not add up");
	return 0;
}

static int load_index(struct pages_reader *pr, int fd, struct error **err)
{
	unsigned char hdr[PAGES_INDEX_HEADER];
	_cleanup_free_ unsigned char *body = NULL;
	struct stat st;
	uint64_t size;
	bool has_digests;
	size_t n, each;
	int r;

	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, "cannot read pages.idx");
	size = (uint64_t)st.st_size;
	if (size < sizeof(hdr))
		return error_msg(err, -EINVAL, "pages.idx is truncated");
	r = pread_full(fd, hdr, sizeof(hdr), 0);
	if (r < 0)
		return error_set(err, r, "cannot read pages.idx");
	if (memcmp(hdr, PAGES_INDEX_MAGIC, 8))
		return error_msg(err, -EINVAL, "pages.idx is not a page index of runsc");
	if (get_le32(hdr + 44) != crc32c(0, hdr, 44))
		return error_msg(err, -EINVAL, "pages.idx: header checksum does not match");
	pr->index_version = get_le32(hdr + 8);
	if (pr->index_version < PAGES_VERSION || pr->index_version > PAGES_VERSION_LAYERED || get_le32(hdr + 12) & ~(PAGES_FLAG_RAW | PAGES_FLAG_DIGESTS))
		return error_msg(err, -EINVAL, "pages.idx has version %u, this build reads %u to %u", pr->index_version, PAGES_VERSION,
				 PAGES_VERSION_LAYERED);
	if (pr->index_version == PAGES_VERSION_LAYERED && !pr->parent)
		return error_msg(err, -EINVAL, "pages.idx belongs to an incremental image: its parent is needed");
	size -= sizeof(hdr);
	has_digests = get_le32(hdr + 12) & PAGES_FLAG_DIGESTS;
	each = PAGES_ENTRY + (has_digests ? DIGEST_BYTES : 0);
	if (size % each || size / each != get_le64(hdr + 16))
		return error_msg(err, -EINVAL, "pages.idx has the wrong size");
	pr->raw = get_le32(hdr + 12) & PAGES_FLAG_RAW;
	n = size / each;
	pr->pages_stored = get_le64(hdr + 24);
	pr->pages_bytes = get_le64(hdr + 32);
	pr->index_bytes = size + sizeof(hdr);
	if (pr->pages_bytes < PAGES_DATA_HEADER || pr->pages_bytes > INT64_MAX)
		return error_msg(err, -EINVAL, "pages.idx: entries do not add up");
	body = malloc(size + 1);
	pr->entries = calloc(n + 1, sizeof(*pr->entries));
	pr->good = calloc(n + 1, 1);
	if (has_digests)
		pr->digests = calloc(n + 1, DIGEST_BYTES);
	if (!body || !pr->entries || !pr->good || (has_digests && !pr->digests))
		return error_set(err, -ENOMEM, "cannot read pages.idx");
	r = pread_full(fd, body, size, sizeof(hdr));
	if (r < 0)
		return error_set(err, r, "cannot read pages.idx");
	if (get_le32(hdr + 40) != crc32c(0, body, size))
		return error_msg(err, -EINVAL, "pages.idx: checksum does not match");
	pr->index_crc = crc32c(crc32c(0, hdr, sizeof(hdr)), body, size);
	if (has_digests)
		memcpy(pr->digests, body + n * PAGES_ENTRY, n * DIGEST_BYTES);
	return parse_entries(pr, body, n, err);
}

int pages_reader_open(int fd_index, int fd_pages, struct pages_reader **ret, struct error **err)
{
	return pages_reader_open_layer(fd_index, fd_pages, NULL, ret, err);
}

int pages_reader_open_layer(int fd_index, int fd_pages, struct pages_reader *parent, struct pages_reader **ret, struct error **err)
{
	struct pages_reader *pr = calloc(1, sizeof(*pr));
	int r;

	if (!pr)
		return error_set(err, -ENOMEM, "cannot read pages.idx");
	pr->fd_pages = fd_pages;
	pr->parent = parent;
	pthread_mutex_init(&pr->map_mu, NULL);
	for (int i = 0; i < SLOTS; i++)
		pthread_mutex_init(&pr->slots[i].mu, NULL);
	r = load_index(pr, fd_index, err);
	if (r >= 0)
		r = check_data_header(pr, err);
	pr->unmapped = r >= 0 && pr->raw && !whole_map(pr);
	if (r < 0) {
		pr->parent = NULL; /* stays the caller's */
		pages_reader_free(pr);
		return r;
	}
	*ret = pr;
	return 0;
}

bool pages_reader_has_digests(const struct pages_reader *pr)
{
	for (; pr; pr = pr->parent)
		if (!pr->digests)
			return false;
	return true;
}

int pages_reader_require_digests(struct pages_reader *pr, struct error **err)
{
	if (!pages_reader_has_digests(pr))
		return error_msg(err, -ENOKEY, "pages.idx has no digests of the pages (checkpoint --sign or --digest makes them)");
	digest_setup();
	for (; pr; pr = pr->parent)
		pr->strict = true;
	return 0;
}

/* Are @stored the bytes of frame @i that were written? */
static bool frame_is_good(const struct pages_reader *pr, size_t i, const void *stored)
{
	const struct pages_entry *e = &pr->entries[i];
	unsigned char d[DIGEST_BYTES];

	if (!pr->trusted && crc32c(0, stored, e->len) != e->crc)
		return false;
	if (!pr->strict)
		return true;
	digest_of(stored, e->len, d);
	return !memcmp(d, pr->digests[i], DIGEST_BYTES);
}

void pages_reader_trust(struct pages_reader *pr)
{
	for (; pr; pr = pr->parent)
		pr->trusted = true;
}

struct pages_reader *pages_reader_free(struct pages_reader *pr)
{
	if (!pr)
		return NULL;
	for (int i = 0; i < SLOTS; i++) {
		pthread_mutex_destroy(&pr->slots[i].mu);
		free(pr->slots[i].stored);
		free(pr->slots[i].data);
		ZSTD_freeDCtx(pr->slots[i].dctx);
	}
	if (pr->map)
		(void)munmap(pr->map, pr->pages_bytes);
	pthread_mutex_destroy(&pr->map_mu);
	pages_reader_free(pr->parent);
	free(pr->entries);
	free(pr->digests);
	free(pr->extents);
	free((void *)pr->good);
	free(pr);
	return NULL;
}

bool pages_reader_is_raw(const struct pages_reader *pr)
{
	return pr->raw;
}

uint64_t pages_reader_end(const struct pages_reader *pr)
{
	const struct extent *last = pr->nr_extents ? &pr->extents[pr->nr_extents - 1] : NULL;

	return last ? last->file_page + last->npages : 0;
}

void pages_reader_stats(const struct pages_reader *pr, struct pages_stats *ret)
{
	*ret = (struct pages_stats){
		.pages_stored = pr->pages_stored,
		.pages_inherited = pr->pages_inherited,
		.frames = pr->nr,
		.pages_bytes = pr->pages_bytes,
		.index_bytes = pr->index_bytes,
		.index_version = pr->index_version,
		.index_crc = pr->index_crc,
	};
	for (; pr; pr = pr->parent)
		ret->chain_bytes += pr->pages_bytes;
}

/* The first extent that ends after @file_page; nr_extents when there is none. */
static size_t find_extent(const struct pages_reader *pr, uint64_t file_page)
{
	size_t lo = 0, hi = pr->nr_extents;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (pr->extents[mid].file_page + pr->extents[mid].npages <= file_page)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static size_t find_entry(const struct pages_reader *pr, uint64_t file_page)
{
	size_t lo = 0, hi = pr->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (pr->entries[mid].file_page + pr->entries[mid].npages <= file_page)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool pages_reader_run_at(const struct pages_reader *pr, uint64_t file_page, struct pages_run *ret)
{
	size_t i = find_extent(pr, file_page);
	const struct extent *x = &pr->extents[i];

	if (i == pr->nr_extents)
		return false;
	ret->file_page = MAX(file_page, x->file_page);
	ret->npages = x->file_page + x->npages - ret->file_page;
	return true;
}

bool pages_reader_extent(const struct pages_reader *pr, uint64_t file_page, struct pages_run *ret, bool *raw)
{
	size_t i = find_extent(pr, file_page);

	if (i == pr->nr_extents || pr->extents[i].file_page > file_page)
		return false;
	*ret = (struct pages_run){ pr->extents[i].file_page, pr->extents[i].npages };
	if (raw)
		*raw = pr->extents[i].src->raw && !pr->extents[i].src->unmapped;
	return true;
}

/* Where page @file_page, which is stored in layer @src, is in its raw file. */
static uint64_t raw_offset(const struct pages_reader *src, uint64_t file_page)
{
	const struct pages_entry *e = &src->entries[find_entry(src, file_page)];

	return e->offset + (file_page - e->file_page) * PAGE_SIZE;
}

int pages_raw_map_info(const struct pages_reader *pr, const struct pages_run *run, int *ret_fd, uint64_t *ret_offset)
{
	size_t i = find_extent(pr, run->file_page);
	const struct extent *x = &pr->extents[i];

	if (i == pr->nr_extents || x->file_page > run->file_page ||
	    run->npages > x->npages - (run->file_page - x->file_page))
		return -EINVAL;
	if (!x->src->raw)
		return -EOPNOTSUPP;
	*ret_fd = x->src->fd_pages;
	*ret_offset = raw_offset(x->src, run->file_page);
	return 0;
}

static unsigned char *whole_map(struct pages_reader *pr)
{
	unsigned char *m = atomic_load_explicit(&pr->map, memory_order_acquire);

	if (m)
		return m;
	pthread_mutex_lock(&pr->map_mu);
	m = pr->map;
	if (!m) {
		m = mmap(NULL, pr->pages_bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, pr->fd_pages, 0);
		if (m == MAP_FAILED)
			m = NULL;
		atomic_store_explicit(&pr->map, m, memory_order_release);
	}
	pthread_mutex_unlock(&pr->map_mu);
	return m;
}

/* Checks the frames that hold [@page, +@n) of layer @src, which lie together. */
static int check_frames(struct pages_reader *src, const unsigned char *map, uint64_t page, size_t n)
{
	for (size_t i = find_entry(src, page); i < src->nr && src->entries[i].file_page < page + n; i++) {
		const struct pages_entry *e = &src->entries[i];

		if (src->good[i])
			continue;
		if (!frame_is_good(src, i, map + e->offset))
			return -EIO;
		src->good[i] = 1;
	}
	return 0;
}

int pages_view(struct pages_reader *pr, uint64_t file_page, size_t npages, struct pages_view *ret)
{
	size_t i = find_extent(pr, file_page);
	const struct extent *x = &pr->extents[i];
	const unsigned char *map;
	int r;

	if (i == pr->nr_extents || x->file_page > file_page || !x->src->raw || x->src->unmapped)
		return -EOPNOTSUPP;
	npages = MIN((uint64_t)npages, x->file_page + x->npages - file_page);
	map = whole_map(x->src);
	if (!map)
		return -ENOMEM;
	r = check_frames(x->src, map, file_page, npages);
	if (r < 0)
		return r;
	*ret = (struct pages_view){ .npages = npages, .fd = x->src->fd_pages, .offset = raw_offset(x->src, file_page) };
	ret->ptr = map + ret->offset;
	return 0;
}

void pages_advise(struct pages_reader *pr, uint64_t file_page, uint64_t npages)
{
	uint64_t end = file_page + npages;

	for (size_t i = find_extent(pr, file_page); i < pr->nr_extents && pr->extents[i].file_page < end; i++) {
		const struct extent *x = &pr->extents[i];
		uint64_t a = MAX(file_page, x->file_page), b = MIN(end, x->file_page + x->npages);
		unsigned char *map = x->src->raw && !x->src->unmapped ? whole_map(x->src) : NULL;

		if (map)
			(void)madvise(map + raw_offset(x->src, a), (b - a) << PAGE_SHIFT, MADV_WILLNEED);
	}
}

static int slot_buffers_locked(struct slot *s)
{
	if (!s->stored)
		s->stored = malloc(FRAME_BYTES);
	if (!s->data)
		s->data = malloc(FRAME_BYTES);
	if (!s->dctx)
		s->dctx = ZSTD_createDCtx();
	return s->stored && s->data && s->dctx ? 0 : -ENOMEM;
}

/* Reads, checks and unpacks a whole frame into @dst. */
static int frame_load_locked(struct pages_reader *pr, struct slot *s, size_t i, unsigned char *dst)
{
	const struct pages_entry *e = &pr->entries[i];
	size_t raw = e->npages * PAGE_SIZE, n;
	unsigned char *stored = e->len == raw ? dst : s->stored;
	int r = pread_full(pr->fd_pages, stored, e->len, e->offset);

	if (r < 0)
		return r;
	if (!frame_is_good(pr, i, stored))
		return -EIO;
	pr->good[i] = 1;
	if (e->len == raw)
		return 0;
	n = ZSTD_decompressDCtx(s->dctx, dst, raw, stored, e->len);
	return !ZSTD_isError(n) && n == raw ? 0 : -EIO;
}

/* Copies @n pages of frame @i from its page @skip on. */
static int frame_read(struct pages_reader *pr, size_t i, size_t skip, size_t n, unsigned char *dst)
{
	const struct pages_entry *e = &pr->entries[i];
	struct slot *s = &pr->slots[i % SLOTS];
	bool whole = n == e->npages, plain = e->len == e->npages * PAGE_SIZE;
	int r;

	if (plain && pr->good[i])
		return pread_full(pr->fd_pages, dst, n * PAGE_SIZE, e->offset + skip * PAGE_SIZE);
	pthread_mutex_lock(&s->mu);
	r = slot_buffers_locked(s);
	if (r >= 0 && whole && s->frame != i + 1) {
		r = frame_load_locked(pr, s, i, dst);
	} else if (r >= 0) {
		if (s->frame != i + 1) {
			s->frame = 0;
			r = frame_load_locked(pr, s, i, s->data);
		}
		if (r >= 0) {
			s->frame = i + 1;
			memcpy(dst, s->data + skip * PAGE_SIZE, n * PAGE_SIZE);
		}
	}
	pthread_mutex_unlock(&s->mu);
	return r;
}

/* Copies pages that are stored in layer @src. */
static int layer_read(struct pages_reader *src, uint64_t file_page, size_t npages, unsigned char *p)
{
	for (size_t i = find_entry(src, file_page); npages; i++) {
		const struct pages_entry *e = &src->entries[i];
		size_t n = MIN(npages, e->npages - (file_page - e->file_page));
		int r = frame_read(src, i, file_page - e->file_page, n, p);

		if (r < 0)
			return r;
		p += n * PAGE_SIZE;
		file_page += n;
		npages -= n;
	}
	return 0;
}

int pages_read(struct pages_reader *pr, uint64_t file_page, size_t npages, void *dst)
{
	unsigned char *p = dst;

	for (size_t i = find_extent(pr, file_page); npages; i++) {
		const struct extent *x = i < pr->nr_extents ? &pr->extents[i] : NULL;
		size_t hole = x && x->file_page <= file_page ? 0 : npages, n;
		int r;

		if (x && x->file_page > file_page)
			hole = MIN(npages, x->file_page - file_page);
		memset(p, 0, hole * PAGE_SIZE);
		p += hole * PAGE_SIZE;
		file_page += hole;
		npages -= hole;
		if (!npages)
			break;
		n = MIN(npages, x->npages - (file_page - x->file_page));
		r = layer_read(x->src, file_page, n, p);
		if (r < 0)
			return r;
		p += n * PAGE_SIZE;
		file_page += n;
		npages -= n;
	}
	return 0;
}

int pages_reader_verify(struct pages_reader *pr, struct error **err)
{
	_cleanup_free_ unsigned char *buf = malloc(FRAME_BYTES);

	if (pr->parent) {
		int r = pages_reader_verify(pr->parent, err);

		if (r < 0)
			return error_prefix(err, "parent");
	}
	if (!buf)
		return error_set(err, -ENOMEM, "cannot verify pages.img");
	for (size_t i = 0; i < pr->nr; i++) {
		struct slot *s = &pr->slots[i % SLOTS];
		int r;

		pthread_mutex_lock(&s->mu);
		r = slot_buffers_locked(s);
		if (r >= 0)
			r = frame_load_locked(pr, s, i, buf);
		pthread_mutex_unlock(&s->mu);
		if (r == -EIO)
			return error_msg(err, r, "pages.img is damaged: the frame at offset %llu does not match its checksum in pages.idx",
					 (unsigned long long)pr->entries[i].offset);
		if (r < 0)
			return error_set(err, r, "cannot read pages.img");
	}
	return 0;
}

#define CONVERT_PAGES 1024

int pages_convert(struct pages_reader *pr, struct pages_writer *pw, struct error **err)
{
	_cleanup_free_ unsigned char *buf = aligned_alloc(PAGE_SIZE, CONVERT_PAGES * PAGE_SIZE);
	struct pages_run run;

	if (!buf)
		return error_set(err, -ENOMEM, "cannot convert pages.img");
	for (uint64_t at = 0; pages_reader_run_at(pr, at, &run); at = run.file_page + run.npages) {
		int r;

		run.npages = MIN(run.npages, (uint64_t)CONVERT_PAGES);
		r = pages_read(pr, run.file_page, run.npages, buf);
		if (r < 0)
			return error_set(err, r, "cannot read pages.img at page %llu", (unsigned long long)run.file_page);
		r = pages_writer_add(pw, run.file_page, buf, run.npages);
		if (r >= 0)
			r = pages_writer_drain(pw);
		if (r < 0)
			return error_set(err, r, "cannot write pages.img");
	}
	return 0;
}
