/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images from directories to streams and back. A chain of incremental images becomes the rounds of one stream, the farthest ancestor
 * first; a stream with rounds becomes one complete image.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd_util.h"
#include "runsc/image/image.h"
#include "runsc/stream.h"

#define CHUNK ((size_t)256 << 10)

struct packer {
	struct stream_pos pos;
	struct progress progress;
	unsigned char *buf; /* room for a chunk and its header */
};

static int out(const void *p, size_t n, struct error **err)
{
	int r = write_all(STDOUT_FILENO, p, n);

	return r < 0 ? error_set(err, r, "standard output") : 0;
}

static int pack_part(struct packer *p, enum stream_part part, int fd, const char *name, struct error **err)
{
	unsigned char *body = p->buf + STREAM_CHUNK_HEADER;
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, body, CHUNK, at)) > 0) {
		int r;

		stream_put_chunk(&p->pos, part, body, (size_t)n, p->buf);
		r = out(p->buf, STREAM_CHUNK_HEADER + (size_t)n, err);
		if (r < 0)
			return r;
		at += n;
		progress_add(&p->progress, (uint64_t)n);
	}
	return n < 0 ? error_set(err, -errno, "cannot read %s", name) : 0;
}

static int pack(struct packer *p, const struct image *im, struct error **err)
{
	unsigned char header[STREAM_HEADER], end[STREAM_END_SIZE];
	const int *fds = im->dir.fds;
	int r;

	stream_put_header(&p->pos, 0, header);
	r = out(header, sizeof(header), err);
	for (size_t i = im->dir.nr_layers; r == 0 && i-- > 0;) {
		r = pack_part(p, STREAM_PAGES, im->dir.layers[i].pages, "pages.img of a parent", err);
		if (r == 0)
			r = pack_part(p, STREAM_INDEX, im->dir.layers[i].index, "pages.idx of a parent", err);
		stream_next_round(&p->pos);
	}
	if (r == 0)
		r = pack_part(p, STREAM_PAGES, fds[IMAGE_PAGES], "pages.img", err);
	if (r == 0)
		r = pack_part(p, STREAM_INDEX, fds[IMAGE_INDEX], "pages.idx", err);
	if (r == 0)
		r = pack_part(p, STREAM_KERNEL, fds[IMAGE_KERNEL], "kernel.img", err);
	if (r == 0)
		r = pack_part(p, STREAM_MANIFEST, fds[IMAGE_MANIFEST], "inventory.img", err);
	if (r < 0)
		return r;
	stream_put_end(&p->pos, end);
	return out(end, sizeof(end), err);
}

static uint64_t bytes_of(const struct image *im)
{
	uint64_t n = im->m.pages.size + im->m.index.size + im->m.kernel.size;

	for (size_t i = 0; i < im->m.nr_layers; i++)
		n += im->m.layers[i].pages.size + im->m.layers[i].index.size;
	return n;
}

int image_pack(struct globals *g, int argc, char **argv, struct error **err)
{
	_cleanup_opened_image_ struct image im = {.dir = IMAGE_DIR_INIT};
	static const struct flag none[] = {{0}};
	_cleanup_rest_ struct flags_rest rest = {0};
	struct packer p = {0};
	int r = image_parse("pack", none, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	if (isatty(STDOUT_FILENO))
		return error_msg(err, -EINVAL, "standard output is a terminal; send the stream into a pipe or file");
	r = image_open(rest.args[0], 0, &im, err);
	if (r < 0)
		return r;
	p.buf = malloc(STREAM_CHUNK_HEADER + CHUNK);
	if (!p.buf)
		return error_set(err, -ENOMEM, "image stream");
	(void)signal(SIGPIPE, SIG_IGN);
	progress_begin(&p.progress, "packing", bytes_of(&im));
	r = pack(&p, &im, err);
	progress_end(&p.progress);
	free(p.buf);
	return r;
}

/* As they are. */
static int copy_parts(const struct image *im, struct image_dir *to, struct error **err)
{
	static const char *const names[IMAGE_PARTS] = {"inventory.img", "kernel.img", "pages.idx", "pages.img"};
	int r = 0;

	for (int i = 0; i < IMAGE_PARTS && r == 0; i++)
		r = image_copy_file(im->dir.fds[i], to->fds[i], (uint64_t)lseek(im->dir.fds[i], 0, SEEK_END), names[i], err);
	return r;
}

static int unpack(const char *path, const char *compression, struct error **err)
{
	_cleanup_opened_image_ struct image im = {.path = "standard input", .dir = IMAGE_DIR_INIT};
	_cleanup_image_ struct image_dir to = IMAGE_DIR_INIT;
	int level, r = compression_parse(compression, &level, err);
	unsigned char more;

	if (r == 0)
		r = image_dir_begin(&to, path, err);
	if (r == 0)
		r = stream_receive_image(&im.dir, path, "image unpack", NULL, err);
	if (r == 0 && read(STDIN_FILENO, &more, 1) > 0)
		r = error_msg(err, -EINVAL, "standard input: something follows the end of the stream");
	if (r == 0)
		r = image_load(&im, WITH_PAGES, err);
	if (r < 0)
		return r;
	if (!compression)
		level = !pages_reader_is_raw(im.pages);
	r = im.m.nr_layers || compression ? image_copy_into(&im, &to, level, err) : copy_parts(&im, &to, err);
	return r < 0 ? r : image_dir_commit(&to, NULL, err);
}

int image_unpack(struct globals *g, int argc, char **argv, struct error **err)
{
	const char *compression = NULL;
	const struct flag flags[] = {
		{"compression", 0, FLAG_STR, &compression, "HOW", "none, zstd or zstd:LEVEL (as in the stream)"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	int r = image_parse("unpack", flags, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	return unpack(rest.args[0], compression, err);
}
