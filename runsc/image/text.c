/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people: safe strings, sizes, tables. */
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "base/utf8.h"
#include "runsc/image/image.h"

void text_quote(struct strbuf *b, const void *data, size_t len)
{
	const unsigned char *s = data;

	while (len) {
		size_t n = utf8_len(s, len);
		/* U+0080 to U+009F are control characters, too. */
		bool control = n == 1 ? *s < 0x20 || *s == 0x7f : n == 2 && s[0] == 0xc2 && s[1] < 0xa0;

		if (n && !control) {
			strbuf_add(b, s, n);
		} else {
			n = n ? n : 1;
			for (size_t i = 0; i < n; i++)
				strbuf_addf(b, "\\x%02x", s[i]);
		}
		s += n;
		len -= n;
	}
}

const char *image_mode_name(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "regular";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "char";
	case S_IFBLK:
		return "block";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "?";
	}
}

void text_size(struct strbuf *b, uint64_t bytes)
{
	static const char units[] = "KMGTP";
	double v = (double)bytes;
	int u = -1;

	while (v >= 1024 && u < 4) {
		v /= 1024;
		u++;
	}
	if (u < 0)
		strbuf_addf(b, "%llu", (unsigned long long)bytes);
	else
		strbuf_addf(b, v < 10 ? "%.1f%c" : "%.0f%c", v, units[u]);
}

json_t *text_json(const void *data, size_t len)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	const unsigned char *s = data;

	while (len) {
		size_t n = utf8_len(s, len);

		if (n) {
			strbuf_add(&b, s, n);
		} else {
			n = 1;
			strbuf_addc(&b, (char)(0xc0 | *s >> 6));
			strbuf_addc(&b, (char)(0x80 | (*s & 0x3f)));
		}
		s += n;
		len -= n;
	}
	return strbuf_error(&b) < 0 ? NULL : json_stringn(b.data ? b.data : "", b.len);
}

json_t *text_json_buf(struct strbuf *b)
{
	json_t *o = strbuf_error(b) < 0 ? NULL : text_json(b->data ? b->data : "", b->len);

	strbuf_reset(b);
	return o;
}

struct table {
	size_t columns, nr, cap;
	char **cells; /* malloc'd; the first row has the titles */
	bool *right;
};

static void add_cell(struct table *t, char *cell)
{
	if (t->nr == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		char **q = reallocarray(t->cells, cap, sizeof(*q));

		if (!q) {
			free(cell);
			return;
		}
		t->cells = q;
		t->cap = cap;
	}
	t->cells[t->nr++] = cell;
}

struct table *table_new(size_t columns, ...)
{
	struct table *t = calloc(1, sizeof(*t));
	va_list ap;

	if (!t)
		return NULL;
	t->columns = columns;
	t->right = calloc(columns, sizeof(*t->right));
	va_start(ap, columns);
	for (size_t i = 0; i < columns && t->right; i++) {
		const char *title = va_arg(ap, const char *);

		t->right[i] = *title == '>';
		add_cell(t, strdup(title + (*title == '>')));
	}
	va_end(ap);
	return t->right ? t : table_free(t);
}

struct table *table_free(struct table *t)
{
	if (!t)
		return NULL;
	for (size_t i = 0; i < t->nr; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t->right);
	free(t);
	return NULL;
}

void table_addf(struct table *t, const char *fmt, ...)
{
	char *cell = NULL;
	va_list ap;

	if (!t)
		return;
	va_start(ap, fmt);
	if (vasprintf(&cell, fmt, ap) < 0)
		cell = NULL;
	va_end(ap);
	add_cell(t, cell);
}

static const char *cell(const struct table *t, size_t i)
{
	return i < t->nr && t->cells[i] ? t->cells[i] : "";
}

/* Columns on a terminal: one for each character; wide ones are rare enough. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void table_print(const struct table *t, const char *indent)
{
	_cleanup_free_ size_t *w = t ? calloc(t->columns, sizeof(*w)) : NULL;

	if (!w)
		return;
	for (size_t i = 0; i < t->nr; i++)
		w[i % t->columns] = MAX(w[i % t->columns], width(cell(t, i)));
	for (size_t i = 0; i < t->nr; i++) {
		const char *s = cell(t, i);
		size_t c = i % t->columns, pad = w[c] - width(s);
		bool last = c == t->columns - 1;

		if (c == 0)
			(void)fputs(indent, stdout);
		if (t->right[c])
			printf("%*s%s", (int)pad, "", s);
		else
			printf("%s%*s", s, last ? 0 : (int)pad, "");
		(void)fputs(last ? "\n" : "  ", stdout);
	}
}
