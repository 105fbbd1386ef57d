/* SPDX-License-Identifier: Apache-2.0 */
/* Codec: every message of the table round-trips byte for byte; every truncation and extension of it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gofer/proto/p9.h"

static uint64_t seed = 1;
static uint64_t rnd(void)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return seed >> 24;
}
static char text[300];

static void fill_u8(uint8_t *v) { *v = (uint8_t)rnd(); }
static void fill_u16(uint16_t *v) { *v = (uint16_t)rnd(); }
static void fill_u32(uint32_t *v) { *v = (uint32_t)rnd(); }
static void fill_u64(uint64_t *v) { *v = rnd() << 30 ^ rnd(); }
static void fill_str(struct p9_str *s) { *s = (struct p9_str){ text, (uint16_t)(rnd() % sizeof(text)) }; }
static void fill_data(struct p9_data *d) { *d = (struct p9_data){ text, (uint32_t)(rnd() % sizeof(text)) }; }
static void fill_qid(struct p9_qid *q)
{
	fill_u8(&q->type);
	fill_u32(&q->version);
	fill_u64(&q->path);
}
static void fill_attr(struct p9_attr *a)
{
	/* Wire order and size are checked by Linux as the peer (mount_test); here every field must come back. */
	uint64_t *u[] = { &a->valid, &a->nlink, &a->rdev, &a->size, &a->blksize, &a->blocks, &a->atime_sec,
			  &a->atime_nsec, &a->mtime_sec, &a->mtime_nsec, &a->ctime_sec, &a->ctime_nsec, &a->btime_sec,
			  &a->btime_nsec, &a->gen, &a->data_version };

	for (size_t i = 0; i < ARRAY_SIZE(u); i++)
		fill_u64(u[i]);
	fill_qid(&a->qid);
	fill_u32(&a->mode);
	fill_u32(&a->uid);
	fill_u32(&a->gid);
}
#define FILL_VEC(type, elem)                                                                                           \
	static void fill_##type(struct p9_##type *x)                                                                   \
	{                                                                                                              \
		x->n = (uint16_t)(rnd() % (ARRAY_SIZE(x->v) + 1));                                                     \
		for (size_t i = 0; i < x->n; i++)                                                                      \
			fill_##elem(&x->v[i]);                                                                         \
	}
FILL_VEC(names, str)
FILL_VEC(qids, qid)
FILL_VEC(attrs, attr)
FILL_VEC(fids, u32)
static void fill_walks(struct p9_walks *x)
{
	x->n = (uint16_t)(rnd() % (ARRAY_SIZE(x->v) + 1));
	for (size_t i = 0; i < x->n; i++) {
		fill_u32(&x->v[i].newfid);
		fill_str(&x->v[i].name);
	}
}

static void fill(struct p9_msg *m, uint8_t type)
{
	memset(m, 0, sizeof(*m));
	m->type = type;
	m->tag = (uint16_t)rnd();
	switch (type) {
#define FILL(t, name) fill_##t(&b->name);
#define CASE(num, nm, dialect, fields)                                                                                 \
	case num: {                                                                                                    \
		struct p9_##nm *b _unused_ = &m->nm;                                                                   \
		fields(FILL) break;                                                                                    \
	}
		P9_MESSAGES(CASE)
#undef CASE
#undef FILL
	default:
		break;
	}
}

static uint8_t wire[64 * 1024], again[64 * 1024];

static void every_message_round_trips(void **state)
{
	int types = 0;

	for (int type = 0; type < 256; type++) {
		if (!p9_type_name((uint8_t)type))
			continue;
		types++;
		for (int round = 0; round < 50; round++) {
			struct p9_msg a, b;
			int64_t n, n2;

			fill(&a, (uint8_t)type);
			n = p9_encode(&a, wire, sizeof(wire));
			assert_true(n >= P9_HDR_SIZE);
			assert_int_equal(p9_peek_size(wire), n);
			memset(&b, 0xa5, sizeof(b));
			assert_int_equal(p9_decode(wire, (size_t)n, &b), 0);
			assert_int_equal(b.type, a.type);
			assert_int_equal(b.tag, a.tag);
			n2 = p9_encode(&b, again, sizeof(again));
			assert_int_equal(n, n2);
			assert_memory_equal(wire, again, (size_t)n);
			/* No room: an error, never an overrun. */
			assert_int_equal(p9_encode(&a, again, (size_t)n - 1), -EMSGSIZE);
		}
	}
	assert_true(types > 80);
}

static void set_size(uint8_t *p, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(n >> 8 * i);
}

static void truncated_and_longer_are_refused(void **state)
{
	for (int type = 0; type < 256; type++) {
		struct p9_msg a, b;
		int64_t n;

		if (!p9_type_name((uint8_t)type))
			continue;
		fill(&a, (uint8_t)type);
		n = p9_encode(&a, wire, sizeof(wire));
		assert_true(n > 0);
		for (int64_t cut = 0; cut < n; cut++) {
			uint8_t *exact = malloc(cut ? (size_t)cut : 1); /* so that a sanitizer sees any overread */

			memcpy(exact, wire, (size_t)cut);
			assert_int_equal(p9_decode(exact, (size_t)cut, &b), -EBADMSG);
			if (cut >= 4) {
				set_size(exact, (uint32_t)cut);
				assert_int_equal(p9_decode(exact, (size_t)cut, &b), -EBADMSG);
			}
			free(exact);
		}
		wire[n] = 0;
		set_size(wire, (uint32_t)n + 1);
		assert_int_equal(p9_decode(wire, (size_t)n + 1, &b), -EBADMSG);
	}
}

static void unknown_types_and_vectors_too_long(void **state)
{
	uint8_t m[] = { 7, 0, 0, 0, 1, 5, 0 };
	/* Twalk with 17 empty names. */
	uint8_t walk[17 + 34] = { 51, 0, 0, 0, P9_twalk, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 17, 0 };
	struct p9_msg b;

	assert_int_equal(p9_decode(m, sizeof(m), &b), -EOPNOTSUPP);
	assert_int_equal(b.tag, 5);
	assert_int_equal(p9_decode(walk, sizeof(walk), &b), -EBADMSG);
}

static void random_bytes_never_crash(void **state)
{
	for (int i = 0; i < 200000; i++) {
		size_t n = P9_HDR_SIZE + rnd() % 80;
		struct p9_msg b;

		for (size_t k = 0; k < n; k++)
			wire[k] = (uint8_t)(rnd() % 3 ? 0 : rnd());
		set_size(wire, (uint32_t)n);
		wire[4] = (uint8_t)rnd();
		(void)!p9_decode(wire, n, &b);
	}
}

static void names(void **state)
{
	char long_name[300], out[P9_NAME_MAX + 1];
	struct p9_str s;

	memset(long_name, 'x', sizeof(long_name));
	for (size_t i = 0; i < 4; i++) {
		s = p9_mkstr((const char *[]){ "", ".", "..", "a/b" }[i]);
		assert_int_equal(p9_check_name(&s), -EINVAL);
	}
	s = (struct p9_str){ "a\0b", 3 };
	assert_int_equal(p9_check_name(&s), -EINVAL);
	s = (struct p9_str){ long_name, 256 };
	assert_int_equal(p9_check_name(&s), -ENAMETOOLONG);
	s.len = 255;
	assert_int_equal(p9_copy_name(&s, out), 0);
	assert_int_equal(strlen(out), 255);
	s = p9_mkstr("...");
	assert_int_equal(p9_check_name(&s), 0);
}

static void dirents(void **state)
{
	struct p9_dirent_wire d = { .offset = 7, .type = 4, .name = p9_mkstr("hello") }, e;

	for (int attr = 0; attr < 2; attr++) {
		struct p9_buf b = { .p = wire, .len = 400 };
		size_t n = 0, got = 0, end;

		fill_attr(&d.attr);
		while (p9_put_dirent(&b, &d, attr))
			n++;
		assert_int_equal(b.err, 0);
		end = b.pos;
		b = (struct p9_buf){ .p = wire, .len = end };
		while (b.pos < b.len) {
			assert_int_equal(p9_get_dirent(&b, &e, attr), 0);
			assert_int_equal(e.offset, 7);
			assert_memory_equal(e.name.s, "hello", 5);
			got++;
		}
		assert_int_equal(got, n);
		b = (struct p9_buf){ .p = wire, .len = 10 };
		assert_int_equal(p9_get_dirent(&b, &e, attr), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_round_trips),
		cmocka_unit_test(truncated_and_longer_are_refused),
		cmocka_unit_test(unknown_types_and_vectors_too_long),
		cmocka_unit_test(random_bytes_never_crash),
		cmocka_unit_test(names),
		cmocka_unit_test(dirents),
	};

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)rnd();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
