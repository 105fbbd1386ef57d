/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P codec: one putter and getter per field type, and per message what messages.def says, generated.
 *
 * Every getter checks the bytes that are left before it reads; the first failure sticks in buf.err and makes the rest no-ops, so
 * generated code needs no checks between fields. Vectors are bounded by their fixed arrays.
 */
#include "gofer/proto/p9.h"

#include <string.h>

static uint8_t *take(struct p9_buf *b, size_t n, int err)
{
	uint8_t *at;

	if (b->err)
		return NULL;
	if (b->len - b->pos < n) {
		b->err = err;
		return NULL;
	}
	at = b->p + b->pos;
	b->pos += n;
	return at;
}

#define P9_INT(type, bits)                                                                                             \
	static void p9_put_u##bits(struct p9_buf *b, const type *v)                                                    \
	{                                                                                                              \
		uint8_t *at = take(b, sizeof(type), -EMSGSIZE);                                                        \
                                                                                                                       \
		for (size_t i = 0; at && i < sizeof(type); i++)                                                        \
			at[i] = (uint8_t)((uint64_t)*v >> (8 * i));                                                    \
	}                                                                                                              \
	static void p9_get_u##bits(struct p9_buf *b, type *v)                                                          \
	{                                                                                                              \
		const uint8_t *at = take(b, sizeof(type), -EBADMSG);                                                   \
		uint64_t x = 0;                                                                                        \
                                                                                                                       \
		for (size_t i = 0; at && i < sizeof(type); i++)                                                        \
			x |= (uint64_t)at[i] << (8 * i);                                                               \
		*v = (type)x;                                                                                          \
	}
P9_INT(uint8_t, 8)
P9_INT(uint16_t, 16)
P9_INT(uint32_t, 32)
P9_INT(uint64_t, 64)
#undef P9_INT

static void put_bytes(struct p9_buf *b, const void *p, size_t n)
{
	uint8_t *at = take(b, n, -EMSGSIZE);

	/* Bulk replies are read straight to their place in the message; then there is nothing to move. */
	if (at && n && at != p)
		memmove(at, p, n);
}

static void p9_put_str(struct p9_buf *b, const struct p9_str *s)
{
	p9_put_u16(b, &s->len);
	put_bytes(b, s->s, s->len);
}

static void p9_get_str(struct p9_buf *b, struct p9_str *s)
{
	p9_get_u16(b, &s->len);
	s->s = (const char *)take(b, s->len, -EBADMSG);
	if (!s->s)
		s->len = 0;
}

static void p9_put_data(struct p9_buf *b, const struct p9_data *d)
{
	p9_put_u32(b, &d->len);
	put_bytes(b, d->p, d->len);
}

static void p9_get_data(struct p9_buf *b, struct p9_data *d)
{
	p9_get_u32(b, &d->len);
	d->p = take(b, d->len, -EBADMSG);
	if (!d->p)
		d->len = 0;
}

static void p9_put_qid(struct p9_buf *b, const struct p9_qid *q)
{
	p9_put_u8(b, &q->type);
	p9_put_u32(b, &q->version);
	p9_put_u64(b, &q->path);
}

static void p9_get_qid(struct p9_buf *b, struct p9_qid *q)
{
	p9_get_u8(b, &q->type);
	p9_get_u32(b, &q->version);
	p9_get_u64(b, &q->path);
}

#define P9_ATTR_FIELDS(F)                                                                                              \
	F(u64, valid)                                                                                                  \
	F(qid, qid)                                                                                                    \
	F(u32, mode)                                                                                                   \
	F(u32, uid)                                                                                                    \
	F(u32, gid)                                                                                                    \
	F(u64, nlink)                                                                                                  \
	F(u64, rdev)                                                                                                   \
	F(u64, size)                                                                                                   \
	F(u64, blksize)                                                                                                \
	F(u64, blocks)                                                                                                 \
	F(u64, atime_sec)                                                                                              \
	F(u64, atime_nsec)                                                                                             \
	F(u64, mtime_sec)                                                                                              \
	F(u64, mtime_nsec)                                                                                             \
	F(u64, ctime_sec)                                                                                              \
	F(u64, ctime_nsec) F(u64, btime_sec) F(u64, btime_nsec) F(u64, gen) F(u64, data_version)

static void p9_put_attr(struct p9_buf *b, const struct p9_attr *m)
{
#define P9_PUT(type, name) p9_put_##type(b, &m->name);
	P9_ATTR_FIELDS(P9_PUT)
#undef P9_PUT
}

static void p9_get_attr(struct p9_buf *b, struct p9_attr *m)
{
#define P9_GET(type, name) p9_get_##type(b, &m->name);
	P9_ATTR_FIELDS(P9_GET)
#undef P9_GET
}

/* Reads a vector's count; too many elements for the array is malformed. */
static void get_count(struct p9_buf *b, uint16_t *n, size_t max)
{
	p9_get_u16(b, n);
	if (*n > max) {
		*n = 0;
		if (!b->err)
			b->err = -EBADMSG;
	}
}

static void put_count(struct p9_buf *b, const uint16_t *n, size_t max)
{
	if (*n > max)
		b->err = -EMSGSIZE;
	p9_put_u16(b, n);
}

#define P9_VECTOR(type, elem)                                                                                          \
	static void p9_put_##type(struct p9_buf *b, const struct p9_##type *x)                                         \
	{                                                                                                              \
		put_count(b, &x->n, ARRAY_SIZE(x->v));                                                                 \
		for (size_t i = 0; !b->err && i < x->n; i++)                                                           \
			p9_put_##elem(b, &x->v[i]);                                                                    \
	}                                                                                                              \
	static void p9_get_##type(struct p9_buf *b, struct p9_##type *x)                                               \
	{                                                                                                              \
		get_count(b, &x->n, ARRAY_SIZE(x->v));                                                                 \
		for (size_t i = 0; !b->err && i < x->n; i++)                                                           \
			p9_get_##elem(b, &x->v[i]);                                                                    \
	}
P9_VECTOR(names, str)
P9_VECTOR(qids, qid)
P9_VECTOR(attrs, attr)
P9_VECTOR(fids, u32)
#undef P9_VECTOR

static void p9_put_walks(struct p9_buf *b, const struct p9_walks *x)
{
	put_count(b, &x->n, ARRAY_SIZE(x->v));
	for (size_t i = 0; !b->err && i < x->n; i++) {
		p9_put_u32(b, &x->v[i].newfid);
		p9_put_str(b, &x->v[i].name);
	}
}

static void p9_get_walks(struct p9_buf *b, struct p9_walks *x)
{
	get_count(b, &x->n, ARRAY_SIZE(x->v));
	for (size_t i = 0; !b->err && i < x->n; i++) {
		p9_get_u32(b, &x->v[i].newfid);
		p9_get_str(b, &x->v[i].name);
	}
}

/* Messages. */
#define P9_PUT(type, name) p9_put_##type(b, &m->name);
#define P9_GET(type, name) p9_get_##type(b, &m->name);
#define P9_CODEC(num, nm, dialect, fields)                                                                             \
	static void put_##nm(struct p9_buf *b _unused_, const struct p9_##nm *m _unused_)                              \
	{                                                                                                              \
		fields(P9_PUT)                                                                                         \
	}                                                                                                              \
	static void get_##nm(struct p9_buf *b _unused_, struct p9_##nm *m _unused_)                                    \
	{                                                                                                              \
		fields(P9_GET)                                                                                         \
	}
P9_MESSAGES(P9_CODEC)
#undef P9_CODEC
#undef P9_PUT
#undef P9_GET

uint32_t p9_peek_size(const void *p)
{
	struct p9_buf b = { .p = (uint8_t *)(uintptr_t)p, .len = 4 };
	uint32_t size;

	p9_get_u32(&b, &size);
	return size;
}

int p9_decode(const void *p, size_t len, struct p9_msg *m)
{
	/* Decoding only reads; the cursor type is shared with encoding, hence the cast. */
	struct p9_buf b = { .p = (uint8_t *)(uintptr_t)p, .len = len };
	uint32_t size;

	p9_get_u32(&b, &size);
	p9_get_u8(&b, &m->type);
	p9_get_u16(&b, &m->tag);
	if (b.err || size != len)
		return -EBADMSG;
	switch (m->type) {
#define P9_CASE(num, name, dialect, fields)                                                                            \
	case num:                                                                                                      \
		get_##name(&b, &m->name);                                                                              \
		break;
		P9_MESSAGES(P9_CASE)
#undef P9_CASE
	default:
		return -EOPNOTSUPP;
	}
	if (!b.err && b.pos != b.len)
		return -EBADMSG;
	return b.err;
}

int64_t p9_encode(const struct p9_msg *m, void *p, size_t cap)
{
	struct p9_buf b = { .p = p, .len = MIN(cap, (size_t)UINT32_MAX) };
	uint32_t size = 0;

	p9_put_u32(&b, &size);
	p9_put_u8(&b, &m->type);
	p9_put_u16(&b, &m->tag);
	switch (m->type) {
#define P9_CASE(num, name, dialect, fields)                                                                            \
	case num:                                                                                                      \
		put_##name(&b, &m->name);                                                                              \
		break;
		P9_MESSAGES(P9_CASE)
#undef P9_CASE
	default:
		return -EOPNOTSUPP;
	}
	if (b.err)
		return b.err;
	size = (uint32_t)b.pos;
	b.pos = 0;
	p9_put_u32(&b, &size);
	return size;
}

const char *p9_type_name(uint8_t type)
{
	switch (type) {
#define P9_CASE(num, name, dialect, fields)                                                                            \
	case num:                                                                                                      \
		return #name;
		P9_MESSAGES(P9_CASE)
#undef P9_CASE
	default:
		return NULL;
	}
}

bool p9_type_is_ext(uint8_t type)
{
	enum { STD, EXT };

	switch (type) {
#define P9_CASE(num, name, dialect, fields)                                                                            \
	case num:                                                                                                      \
		return dialect == EXT;
		P9_MESSAGES(P9_CASE)
#undef P9_CASE
	default:
		return false;
	}
}

bool p9_put_dirent(struct p9_buf *b, const struct p9_dirent_wire *d, bool with_attr)
{
	size_t start = b->pos;

	p9_put_qid(b, &d->qid);
	p9_put_u64(b, &d->offset);
	p9_put_u8(b, &d->type);
	p9_put_str(b, &d->name);
	if (with_attr)
		p9_put_attr(b, &d->attr);
	if (!b->err)
		return true;
	b->err = 0;
	b->pos = start;
	return false;
}

int p9_get_dirent(struct p9_buf *b, struct p9_dirent_wire *d, bool with_attr)
{
	p9_get_qid(b, &d->qid);
	p9_get_u64(b, &d->offset);
	p9_get_u8(b, &d->type);
	p9_get_str(b, &d->name);
	if (with_attr)
		p9_get_attr(b, &d->attr);
	return b->err;
}

int p9_check_name(const struct p9_str *s)
{
	if (!s->len || memchr(s->s, '/', s->len) || memchr(s->s, '\0', s->len))
		return -EINVAL;
	if (s->s[0] == '.' && (s->len == 1 || (s->len == 2 && s->s[1] == '.')))
		return -EINVAL;
	return s->len > P9_NAME_MAX ? -ENAMETOOLONG : 0;
}

int p9_copy_name(const struct p9_str *s, char *dst)
{
	int r = p9_check_name(s);

	if (r < 0)
		return r;
	memcpy(dst, s->s, s->len);
	dst[s->len] = '\0';
	return 0;
}
