/* SPDX-License-Identifier: Apache-2.0 */
/* An image written again: convert and merge, which is to say convert from a chain. The copy is always complete. The new directory is written as a checkpoint writes one, crash-safe. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd_util.h"
#include "runsc/image/image.h"
#include "state/image.h"

#define CHUNK_PAGES 4096

int image_copy_file(int from, int to, uint64_t size, const char *name, struct error **err)
{
	const size_t chunk = (size_t)1 << 20;
	_cleanup_free_ unsigned char *buf = malloc(chunk);

	if (!buf)
		return error_set(err, -ENOMEM, "cannot copy %s", name);
	for (uint64_t off = 0; off < size;) {
		ssize_t n = pread(from, buf, MIN((uint64_t)chunk, size - off), (off_t)off);
		int r;

		if (n <= 0)
			return error_set(err, n < 0 ? -errno : -EIO, "cannot read %s", name);
		r = write_all(to, buf, (size_t)n);
		if (r < 0)
			return error_set(err, r, "cannot write %s", name);
		off += (uint64_t)n;
	}
	return 0;
}

/* As many runs as fit, one behind the other. */
struct batch {
	unsigned char *data; /* CHUNK_PAGES pages */
	struct pages_run *runs; /* as many at most */
	size_t nr, pages;
};

static bool batch_new(struct batch *b)
{
	b->data = aligned_alloc(PAGE_SIZE, CHUNK_PAGES * PAGE_SIZE);
	b->runs = calloc(CHUNK_PAGES, sizeof(*b->runs));
	return b->data && b->runs;
}

static void batch_done(struct batch *b)
{
	free(b->data);
	free(b->runs);
}

/* Reads from page *@at on until the batch is full. */
static int batch_read(struct image *im, struct batch *b, uint64_t *at, struct error **err)
{
	struct pages_run run;

	b->nr = b->pages = 0;
	while (b->pages < CHUNK_PAGES && pages_reader_run_at(im->pages, *at, &run)) {
		int r;

		run.npages = MIN(run.npages, (uint64_t)(CHUNK_PAGES - b->pages));
		r = pages_read(im->pages, run.file_page, run.npages, b->data + b->pages * PAGE_SIZE);
		if (r < 0)
			return error_set(err, r, "%s: cannot read page %llu and those behind it", im->path,
					 (unsigned long long)run.file_page);
		b->runs[b->nr++] = run;
		b->pages += run.npages;
		*at = run.file_page + run.npages;
	}
	return 0;
}

/* The data must stay until the writer is drained. */
static int batch_write(const struct batch *b, struct pages_writer *pw)
{
	const unsigned char *p = b->data;
	int r = 0;

	for (size_t i = 0; i < b->nr && r == 0; i++) {
		r = pages_writer_add(pw, b->runs[i].file_page, p, b->runs[i].npages);
		p += b->runs[i].npages * PAGE_SIZE;
	}
	return r;
}

/* Two batches: one is read while the writer's threads work on the other. */
static int copy_batches(struct image *im, struct pages_writer *pw, struct batch *b, struct progress *p, struct error **err)
{
	uint64_t at = 0;

	for (int i = 0;; i = !i) {
		int r = batch_read(im, &b[i], &at, err);

		if (r < 0)
			return r;
		r = pages_writer_drain(pw);
		if (r >= 0)
			r = batch_write(&b[i], pw);
		if (r < 0)
			return error_set(err, r, "cannot write pages");
		if (!b[i].nr)
			return 0;
		progress_add(p, b[i].pages);
	}
}

static int copy_pages(struct image *im, struct pages_writer *pw, struct error **err)
{
	_cleanup_(batch_done) struct batch a = {0}, b = {0};
	_cleanup_page_set_ struct page_set stored = {0};
	struct batch both[2];
	struct progress p;
	int r;

	if (!batch_new(&a) || !batch_new(&b) || page_set_stored(&stored, im->pages) < 0)
		return error_set(err, -ENOMEM, "cannot copy pages");
	both[0] = a;
	both[1] = b;
	progress_begin(&p, "writing pages", page_set_total(&stored));
	r = copy_batches(im, pw, both, &p, err);
	progress_end(&p);
	(void)!pages_writer_drain(pw); /* the memory goes; a failure is sticky */
	return r;
}

int image_copy_into(struct image *im, struct image_dir *to, int level, struct error **err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct state_stats kernel = {
		.objects = im->m.objects,
		.file_bytes = im->m.kernel.size,
		.file_crc = im->m.kernel.crc,
		.has_digest = im->m.kernel.has_digest,
	};
	struct pages_stats pages;
	struct pages_writer *pw;
	int r = pages_writer_new(to->fds[IMAGE_INDEX], to->fds[IMAGE_PAGES], level, cpus > 1 ? (unsigned int)cpus : 1, &pw,
				 err);

	if (r < 0)
		return r;
	memcpy(kernel.file_digest, im->m.kernel.digest, sizeof(kernel.file_digest));
	if (pages_reader_has_digests(im->pages) && pages_writer_want_digests(pw) < 0) {
		pages_writer_free(pw);
		return error_set(err, -ENOMEM, "cannot copy pages");
	}
	r = copy_pages(im, pw, err);
	if (r >= 0)
		r = pages_writer_finish(pw, &pages, err);
	pages_writer_free(pw);
	if (r >= 0)
		r = image_copy_file(im->dir.fds[IMAGE_KERNEL], to->fds[IMAGE_KERNEL], im->m.kernel.size, "kernel.img", err);
	if (r < 0)
		return r;
	manifest_set_parts(&im->m, &kernel, &pages);
	manifest_drop_layers(&im->m);
	return manifest_write(to->fds[IMAGE_MANIFEST], &im->m, err);
}

int image_copy(struct image *im, const char *dst, int level, struct error **err)
{
	_cleanup_image_ struct image_dir to = IMAGE_DIR_INIT;
	int r = image_dir_begin(&to, dst, err);

	if (r >= 0)
		r = image_copy_into(im, &to, level, err);
	return r < 0 ? r : image_dir_commit(&to, NULL, err);
}

int image_convert(struct globals *g, int argc, char **argv, struct error **err)
{
	_cleanup_opened_image_ struct image im = {.dir = IMAGE_DIR_INIT};
	const char *compression = NULL;
	const struct flag flags[] = {
		{"compression", 0, FLAG_STR, &compression, "HOW", "none, zstd or zstd:LEVEL"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	int r = image_parse("convert", flags, 2, 2, argc, argv, &rest, err), level;

	if (r)
		return r < 0 ? r : 0;
	if (!compression)
		return error_msg(err, -EINVAL, "--compression is missing: none, zstd or zstd:LEVEL");
	r = compression_parse(compression, &level, err);
	if (r >= 0)
		r = image_open(rest.args[0], WITH_PAGES, &im, err);
	return r < 0 ? r : image_copy(&im, rest.args[1], level, err);
}

/* A directory given to merge. */
struct given {
	const char *path;
	char hash[MANIFEST_HASH + 1];
	struct manifest m;
};

static void given_done(struct given **v)
{
	for (size_t i = 0; *v && (*v)[i].path; i++)
		manifest_done(&(*v)[i].m);
	free(*v);
}

/* Reads the manifest without what it refers to: links may lead nowhere any more. */
static int read_given(struct given *d, struct error **err)
{
	_cleanup_close_ int dir = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = dir < 0 ? -1 : openat(dir, "inventory.img", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return error_set(err, -errno, "image %s", d->path);
	r = manifest_hash(fd, d->hash);
	if (r < 0)
		return error_set(err, r, "image %s", d->path);
	r = manifest_read(fd, &d->m, err);
	return r < 0 ? error_prefix(err, "image %s", d->path) : 0;
}

static bool is_layer_of(const struct given *d, const struct given *top, size_t *ret_n)
{
	for (*ret_n = 0; *ret_n < top->m.nr_layers; ++*ret_n)
		if (!strcmp(top->m.layers[*ret_n].hash, d->hash))
			return true;
	return false;
}

/* Of the given images the one that is a change of all others, and where its parent is if that is given, absolute and malloc'd. */
static int find_top(const struct given *v, size_t n, const struct given **ret, char **ret_parent, struct error **err)
{
	const struct given *top = v;
	size_t at;

	for (size_t i = 1; i < n; i++)
		if (v[i].m.nr_layers > top->m.nr_layers)
			top = &v[i];
	for (size_t i = 0; i < n; i++) {
		if (&v[i] == top)
			continue;
		if (!is_layer_of(&v[i], top, &at))
			return error_msg(err, -EINVAL, "image %s is not a change of image %s", top->path, v[i].path);
		if (at == 0 && !*ret_parent)
			*ret_parent = realpath(v[i].path, NULL);
	}
	*ret = top;
	return 0;
}

int image_merge(struct globals *g, int argc, char **argv, struct error **err)
{
	_cleanup_opened_image_ struct image im = {.dir = IMAGE_DIR_INIT};
	_cleanup_(given_done) struct given *v = NULL;
	_cleanup_free_ char *parent = NULL;
	const struct given *top = NULL;
	const char *compression = NULL;
	const struct flag flags[] = {
		{"compression", 0, FLAG_STR, &compression, "HOW", "none, zstd or zstd:LEVEL (default: as the last image)"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	int r = image_parse("merge", flags, 2, SIZE_MAX, argc, argv, &rest, err), level = 0;
	size_t n;

	if (r)
		return r < 0 ? r : 0;
	r = compression_parse(compression, &level, err);
	if (r < 0)
		return r;
	n = rest.n - 1;
	v = calloc(n + 1, sizeof(*v));
	if (!v)
		return error_set(err, -ENOMEM, "cannot merge");
	for (size_t i = 0; i < n && r >= 0; i++) {
		v[i].path = rest.args[i];
		r = read_given(&v[i], err);
	}
	if (r >= 0)
		r = find_top(v, n, &top, &parent, err);
	if (r >= 0)
		r = image_open_at(top->path, parent, WITH_PAGES, &im, err);
	if (r < 0)
		return r;
	if (!compression)
		level = !pages_reader_is_raw(im.pages);
	return image_copy(&im, rest.args[n], level, err);
}
