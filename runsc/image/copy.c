/* SPDX-License-Identifier: Apache-2.0 */
/* An image written again: convert and merge. The new directory is written as a checkpoint writes one, crash-safe. */
#include <unistd.h>

#include "base/fd_util.h"
#include "runsc/image/image.h"
#include "state/image.h"

#define CHUNK_PAGES 4096

static int copy_file(int from, int to, uint64_t size, const char *name, struct error **err)
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

static int copy_pages(struct image *im, struct pages_writer *pw, struct error **err)
{
	_cleanup_free_ unsigned char *buf = aligned_alloc(PAGE_SIZE, CHUNK_PAGES * PAGE_SIZE);
	struct progress p;
	struct pages_run run;
	int r = 0;

	if (!buf)
		return error_set(err, -ENOMEM, "cannot copy pages");
	progress_begin(&p, "writing pages", im->m.pages_stored);
	for (uint64_t at = 0; r >= 0 && pages_reader_run_at(im->pages, at, &run); at = run.file_page + run.npages) {
		run.npages = MIN(run.npages, (uint64_t)CHUNK_PAGES);
		r = pages_read(im->pages, run.file_page, run.npages, buf);
		if (r < 0) {
			r = error_set(err, r, "%s: cannot read page %llu and those behind it", im->path,
				      (unsigned long long)run.file_page);
			break;
		}
		r = pages_writer_add(pw, run.file_page, buf, run.npages);
		if (r >= 0)
			r = pages_writer_drain(pw);
		if (r < 0)
			r = error_set(err, r, "cannot write pages");
		progress_add(&p, run.npages);
	}
	progress_end(&p);
	return r;
}

static int copy_into(struct image *im, struct image_dir *to, int level, struct error **err)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct state_stats kernel = {
		.objects = im->m.objects,
		.file_bytes = im->m.kernel.size,
		.file_crc = im->m.kernel.crc,
	};
	struct pages_stats pages;
	struct pages_writer *pw;
	int r = pages_writer_new(to->fds[IMAGE_INDEX], to->fds[IMAGE_PAGES], level, cpus > 1 ? (unsigned int)cpus : 1, &pw,
				 err);

	if (r < 0)
		return r;
	r = copy_pages(im, pw, err);
	if (r >= 0)
		r = pages_writer_finish(pw, &pages, err);
	pages_writer_free(pw);
	if (r >= 0)
		r = copy_file(im->dir.fds[IMAGE_KERNEL], to->fds[IMAGE_KERNEL], im->m.kernel.size, "kernel.img", err);
	if (r < 0)
		return r;
	manifest_set_parts(&im->m, &kernel, &pages);
	return manifest_write(to->fds[IMAGE_MANIFEST], &im->m, err);
}

int image_copy(struct image *im, const char *dst, int level, struct error **err)
{
	_cleanup_image_ struct image_dir to = IMAGE_DIR_INIT;
	int r = image_dir_begin(&to, dst, err);

	if (r >= 0)
		r = copy_into(im, &to, level, err);
	return r < 0 ? r : image_dir_commit(&to, err);
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
