/* SPDX-License-Identifier: Apache-2.0 */
/* Writing tar: one ustar header per member, with a pax header before it where a name or a number does not fit. */
#include "runsc/image/tar.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd_util.h"

#define BLOCK 512

struct ustar {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6], version[2], uname[32],
		gname[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a tar header is one block");

/* Octal digits filling the field but for its NUL; false when they do not fit. */
static bool octal(char *field, size_t n, uint64_t v)
{
	field[--n] = '\0';
	while (n) {
		field[--n] = (char)('0' + (v & 7));
		v >>= 3;
	}
	return !v;
}

static int header(int fd, struct ustar *h, char type)
{
	unsigned int sum = 0;

	h->type = type;
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memset(h->sum, ' ', sizeof(h->sum));
	for (size_t i = 0; i < BLOCK; i++)
		sum += ((unsigned char *)h)[i];
	(void)octal(h->sum, 7, sum);
	return write_all(fd, h, BLOCK);
}

static int pad(int fd, uint64_t size)
{
	static const char zero[BLOCK];

	return size % BLOCK ? write_all(fd, zero, BLOCK - size % BLOCK) : 0;
}

/* "<length> key=value\n", where the length counts itself. */
static void pax_add(struct strbuf *b, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3, n = rest + 1;
	char digits[24];

	while ((size_t)snprintf(digits, sizeof(digits), "%zu", n) + rest != n)
		n++;
	strbuf_addf(b, "%zu %s=%s\n", n, key, value);
}

static int pax_header(int fd, const struct strbuf *b)
{
	struct ustar h = {.name = "pax"};
	int r;

	if (!b->len)
		return 0;
	(void)octal(h.mode, sizeof(h.mode), 0600);
	(void)octal(h.uid, sizeof(h.uid), 0);
	(void)octal(h.gid, sizeof(h.gid), 0);
	(void)octal(h.mtime, sizeof(h.mtime), 0);
	(void)octal(h.size, sizeof(h.size), b->len);
	r = header(fd, &h, 'x');
	if (r >= 0)
		r = write_all(fd, b->data, b->len);
	return r < 0 ? r : pad(fd, b->len);
}

/* Stores the text or, when it does not fit, leaves it to pax. */
static void text(char *field, size_t n, const char *s, struct strbuf *pax, const char *key)
{
	size_t len = strlen(s);

	memcpy(field, s, MIN(len, n));
	if (len > n)
		pax_add(pax, key, s);
}

static void number(char *field, size_t n, uint64_t v, struct strbuf *pax, const char *key)
{
	char digits[24];

	if (octal(field, n, v))
		return;
	(void)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v);
	pax_add(pax, key, digits);
}

static char member_type(uint32_t mode)
{
	return S_ISREG(mode) ? '0' : S_ISLNK(mode) ? '2' : S_ISDIR(mode) ? '5' : S_ISFIFO(mode) ? '6' : '\0';
}

static int member(struct image *im, const struct stored_file *s, int fd, struct error **err)
{
	_cleanup_strbuf_ struct strbuf pax = STRBUF_INIT;
	const char *name = s->path + strspn(s->path, "/");
	uint64_t size = S_ISREG(s->mode) ? s->size : 0;
	struct ustar h = {.name = ""};
	int r;

	text(h.name, sizeof(h.name), *name ? name : ".", &pax, "path");
	text(h.link, sizeof(h.link), s->target ? s->target : "", &pax, "linkpath");
	(void)octal(h.mode, sizeof(h.mode), s->mode & 07777);
	number(h.uid, sizeof(h.uid), s->uid, &pax, "uid");
	number(h.gid, sizeof(h.gid), s->gid, &pax, "gid");
	number(h.size, sizeof(h.size), size, &pax, "size");
	number(h.mtime, sizeof(h.mtime), s->mtime > 0 ? (uint64_t)s->mtime : 0, &pax, "mtime");
	if (strbuf_error(&pax) < 0)
		return error_set(err, -ENOMEM, "cannot write the archive");
	r = pax_header(fd, &pax);
	if (r >= 0)
		r = header(fd, &h, member_type(s->mode));
	if (r >= 0 && size) {
		r = stored_file_write(im, s, fd, false, err);
		if (r < 0)
			return r;
		r = pad(fd, size);
	}
	return r < 0 ? error_set(err, r, "cannot write the archive") : 0;
}

static bool below(const char *path, const char *dir)
{
	size_t n = strcmp(dir, "/") ? strlen(dir) : 0;

	return !strncmp(path, dir, n) && (!path[n] || path[n] == '/');
}

int tar_files(struct image *im, const struct stored_files *f, const char *path, const char *out, struct error **err)
{
	static const char end[2 * BLOCK];
	_cleanup_close_ int own = -EBADF;
	int fd = STDOUT_FILENO, r = 0;
	size_t n = 0;

	for (size_t i = 0; i < f->nr; i++)
		n += !f->v[i].deleted && below(f->v[i].path, path);
	if (!n)
		return error_msg(err, -ENOENT, "image %s has nothing at or below %s", im->path, path);
	if (out && strcmp(out, "-") != 0) {
		own = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (own < 0)
			return error_set(err, -errno, "%s", out);
		fd = own;
	}
	for (size_t i = 0; i < f->nr && r >= 0; i++) {
		const struct stored_file *s = &f->v[i];

		if (s->deleted || !below(s->path, path) || !member_type(s->mode) || (S_ISREG(s->mode) && !s->data))
			continue;
		r = member(im, s, fd, err);
	}
	if (r < 0)
		return r;
	r = write_all(fd, end, sizeof(end));
	return r < 0 ? error_set(err, r, "cannot write the archive") : 0;
}
