/* SPDX-License-Identifier: Apache-2.0 */
/* runsc image extract: the content of files that live in the image. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd_util.h"
#include "runsc/image/image.h"
#include "runsc/image/tar.h"
#include "schemas/goferfs.pb-c.h"
#include "schemas/tmpfs.pb-c.h"

#define CHUNK ((size_t)256 * PAGE_SIZE)

struct writer {
	struct image *im;
	int fd;
	bool sparse;
	uint64_t pos; /* of the file, all before it is written */
	unsigned char *buf; /* CHUNK bytes */
};

/* Zeros up to @to. */
static int fill(struct writer *w, uint64_t to, struct error **err)
{
	if (w->sparse) {
		if (to > w->pos && lseek(w->fd, (off_t)to, SEEK_SET) < 0)
			return error_set(err, -errno, "cannot write");
		w->pos = MAX(w->pos, to);
		return 0;
	}
	memset(w->buf, 0, MIN((uint64_t)CHUNK, to > w->pos ? to - w->pos : 0));
	while (w->pos < to) {
		size_t n = MIN((uint64_t)CHUNK, to - w->pos);
		int r = write_all(w->fd, w->buf, n);

		if (r < 0)
			return error_set(err, r, "cannot write");
		w->pos += n;
	}
	return 0;
}

/* Bytes [@from, @to) of the file, which are at @off of the memory file. */
static int copy(struct writer *w, uint64_t from, uint64_t to, uint64_t off, struct error **err)
{
	int r = fill(w, from, err);

	while (r >= 0 && w->pos < to) {
		size_t n = MIN((uint64_t)CHUNK, to - w->pos);

		r = pages_read(w->im->pages, (off + (w->pos - from)) / PAGE_SIZE, (n + PAGE_SIZE - 1) / PAGE_SIZE, w->buf);
		if (r < 0)
			return error_set(err, r, "%s: cannot read pages", w->im->path);
		r = write_all(w->fd, w->buf, n);
		if (r < 0)
			return error_set(err, r, "cannot write");
		w->pos += n;
	}
	return r;
}

static int write_tmpfs(struct writer *w, const Sentry__TmpfsInode *t, uint64_t size, struct error **err)
{
	for (size_t i = 0; i < t->n_extents; i++) {
		const Sentry__TmpfsExtent *e = t->extents[i];
		uint64_t end = MIN(e->end, size), last;
		int r;

		if (e->start % PAGE_SIZE || e->off % PAGE_SIZE || e->end <= e->start || add_overflow(e->off, e->end - e->start, &last) ||
		    last / PAGE_SIZE > PAGES_MAX_FILE_PAGE || (e->start < w->pos && i))
			return error_msg(err, -EINVAL, "%s: extent %zu of the file is not possible", w->im->path, i);
		if (e->start >= size)
			break;
		r = copy(w, e->start, end, e->off, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int stored_file_write(struct image *im, const struct stored_file *s, int fd, bool sparse, struct error **err)
{
	const Sentry__TmpfsInode *t = IMAGE_GET(im, s->data, tmpfs_inode, TmpfsInode);
	const Sentry__GoferInode *g = IMAGE_GET(im, s->data, gofer_inode, GoferInode);
	_cleanup_free_ unsigned char *buf = aligned_alloc(PAGE_SIZE, CHUNK);
	struct writer w = {.im = im, .fd = fd, .sparse = sparse, .buf = buf};
	int r = 0;

	if (!buf)
		return error_set(err, -ENOMEM, "cannot extract");
	if (s->size > INT64_MAX)
		return error_msg(err, -EINVAL, "%s: the file's size is not possible", im->path);
	if (t) {
		r = write_tmpfs(&w, t, s->size, err);
	} else if (g) {
		uint64_t n = MIN((uint64_t)g->content.len, s->size);

		r = write_all(fd, g->content.data, n);
		if (r < 0)
			return error_set(err, r, "cannot write");
		w.pos = n;
	}
	if (r >= 0)
		r = fill(&w, s->size, err);
	if (r >= 0 && sparse && ftruncate(fd, (off_t)s->size) < 0)
		return error_set(err, -errno, "cannot write");
	return r;
}

/* "/a//b/./c/" as "/a/b/c"; ".." stays, and finds nothing. */
static char *normal_path(const char *s)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	while (*s) {
		size_t n;

		s += strspn(s, "/");
		n = strcspn(s, "/");
		if (n && !(n == 1 && *s == '.')) {
			strbuf_addc(&b, '/');
			strbuf_add(&b, s, n);
		}
		s += n;
	}
	if (!b.len)
		strbuf_addc(&b, '/');
	return strbuf_take(&b);
}

/* The last of the files at @path: where several mounts show something at one path, it is the one that is seen. */
static const struct stored_file *find_path(const struct stored_files *f, const char *path, size_t len)
{
	size_t lo = 0, hi = f->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int r = f->v[mid].deleted ? 1 : strncmp(f->v[mid].path, path, len);

		if (r > 0 || (r == 0 && f->v[mid].path[len]))
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo && !f->v[lo - 1].deleted && strlen(f->v[lo - 1].path) == len && !memcmp(f->v[lo - 1].path, path, len) ?
		       &f->v[lo - 1] :
		       NULL;
}

/* The target of a symbolic link outside that a file of the image shows at @path; the image knows those it has used. */
static const char *outside_target(struct image *im, const char *path, size_t len)
{
	image_each(im, id, gofer_inode) {
		const Sentry__GoferInode *g = IMAGE_GET(im, id, gofer_inode, GoferInode);
		const Sentry__GoferSb *sb = g && g->inode_base ? IMAGE_GET(im, g->inode_base->sb, gofer_sb, GoferSb) : NULL;
		size_t n = sb && strcmp(sb->destination, "/") ? strlen(sb->destination) : 0;

		if (sb && g->cached_target && n + strlen(g->path) == len && !strncmp(path, sb->destination, n) &&
		    !memcmp(path + n, g->path, len - n))
			return g->target;
	}
	return NULL;
}

#define LINKS_MAX 40

/* The path with all symbolic links followed that the image knows, as the container would; NULL: out of memory, or too many. */
static char *follow_links(struct image *im, const struct stored_files *f, const char *path)
{
	char *at = normal_path(path);
	int links = 0;

	for (size_t i = 1; at && at[i - 1];) {
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
		size_t end = i + strcspn(at + i, "/"), parent = i - 1;
		const struct stored_file *s = find_path(f, at, end);
		const char *to = s ? s->target : outside_target(im, at, end);

		if (end - i == 2 && !memcmp(at + i, "..", 2)) {
			/* The names before are no links any more: "up" is the name before. */
			while (parent && at[parent - 1] != '/')
				parent--;
			strbuf_add(&b, at, parent ? parent - 1 : 0);
			strbuf_adds(&b, at + end);
		} else if (to) {
			if (*to != '/')
				strbuf_add(&b, at, i);
			strbuf_adds(&b, to);
			strbuf_adds(&b, at + end);
			links++;
		} else {
			i = end + 1;
			if (!at[end])
				break;
			continue;
		}
		free(at);
		at = strbuf_error(&b) < 0 || links > LINKS_MAX ? NULL : normal_path(b.data ? b.data : "/");
		i = 1;
	}
	return at;
}

/* The file at the path, or with the id, that was asked for. */
static const struct stored_file *find(struct image *im, const struct stored_files *f, const char *what)
{
	uint64_t id = *what == '#' ? strtoull(what + 1, NULL, 10) : 0;
	_cleanup_free_ char *path = *what == '#' ? NULL : follow_links(im, f, what);

	for (size_t i = 0; i < f->nr && id; i++)
		if (f->v[i].id == id || f->v[i].data == id)
			return &f->v[i];
	return path ? find_path(f, path, strlen(path)) : NULL;
}

static int extract(struct image *im, const struct stored_files *f, const char *what, const char *out, struct error **err)
{
	const struct stored_file *s = find(im, f, what);
	_cleanup_close_ int fd = -EBADF;
	struct stat st;
	int r;

	if (!s)
		return error_msg(err, -ENOENT,
				 "image %s does not hold the content of %s (`runsc image extract --list %s` lists what it has)",
				 im->path, what, im->path);
	if (!S_ISREG(s->mode))
		return error_msg(err, -EINVAL, "%s is no regular file but a %s", what, image_mode_name(s->mode));
	if (!s->data)
		return error_msg(err, -ENOENT, "%s was not changed in its content, which is outside the image", what);
	if (!out || !strcmp(out, "-"))
		return stored_file_write(im, s, STDOUT_FILENO, false, err);
	fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, -errno, "%s", out);
	r = stored_file_write(im, s, fd, fstat(fd, &st) == 0 && S_ISREG(st.st_mode), err);
	return r < 0 ? error_prefix(err, "%s", out) : 0;
}

static void list_print(const struct stored_files *f)
{
	_cleanup_table_ struct table *t = table_new(6, ">inode", "layer", "kind", ">size", ">stored", "path");
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	for (size_t i = 0; i < f->nr; i++) {
		const struct stored_file *s = &f->v[i];

		strbuf_reset(&b);
		if (s->path)
			text_quote(&b, s->path, strlen(s->path));
		if (s->target) {
			strbuf_adds(&b, " -> ");
			text_quote(&b, s->target, strlen(s->target));
		}
		table_addf(t, "#%llu", (unsigned long long)s->id);
		table_addf(t, "%s", s->layer);
		table_addf(t, "%s", image_mode_name(s->mode));
		table_addf(t, "%llu", (unsigned long long)s->size);
		table_addf(t, "%llu", (unsigned long long)s->stored);
		table_addf(t, "%s%s%s", b.data ? b.data : "", s->deleted ? " (deleted)" : "",
			   S_ISREG(s->mode) && !s->data ? " (content outside)" : "");
	}
	table_print(t, "");
}

static int list(const struct stored_files *f, bool json, struct error **err)
{
	_cleanup_(json_decrefp) json_t *o = json ? files_json(f) : NULL;

	if (json)
		return image_print_json(o, err);
	list_print(f);
	return image_flush(err);
}

int image_extract(struct globals *g, int argc, char **argv, struct error **err)
{
	_cleanup_opened_image_ struct image im = {.dir = IMAGE_DIR_INIT};
	_cleanup_files_ struct stored_files files = {0};
	const char *out = NULL;
	bool want_list = false, json = false, recursive = false;
	const struct flag flags[] = {
		{"output", 'o', FLAG_STR, &out, "FILE", "instead of standard output"},
		{"list", 'l', FLAG_BOOL, &want_list, NULL, "the files there are"},
		{"json", 0, FLAG_BOOL, &json, NULL, "with --list: as JSON"},
		{"recursive", 'r', FLAG_BOOL, &recursive, NULL, "PATH and what the image has below it, as a tar archive"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	int r = image_parse("extract", flags, 1, 2, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	if ((rest.n == 1) != want_list)
		return error_msg(err, -EINVAL, want_list ? "--list takes no PATH" : "PATH is missing (or --list)");
	r = image_open(rest.args[0], WITH_RECORDS | WITH_PAGES, &im, err);
	if (r >= 0)
		r = files_load(&im, &files, err);
	if (r < 0)
		return r;
	if (want_list)
		return list(&files, json, err);
	if (recursive) {
		_cleanup_free_ char *path = follow_links(&im, &files, rest.args[1]);

		return path ? tar_files(&im, &files, path, out, err) : error_set(err, -ENOMEM, "cannot extract");
	}
	return extract(&im, &files, rest.args[1], out, err);
}
