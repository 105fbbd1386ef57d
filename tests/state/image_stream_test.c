/* SPDX-License-Identifier: Apache-2.0 */
/* The stream format: round trip, rounds, damage and truncation at every byte, chunks in every wrong order, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "state/crc32c.h"
#include "state/image_stream.h"
#include "state/stream.h"

/* Reads @data in pieces of odd sizes; keeps what is stored, all parts of all rounds one after the other. */
struct input {
	const unsigned char *data;
	size_t len, pos;
	struct strbuf stored[STREAM_PARTS];
	uint64_t max_total;
	unsigned int begun;
};

static ssize_t take(void *ctx, void *buf, size_t n, struct error **err)
{
	struct input *in = ctx;

	if (n > 7)
		n = 7;
	n = MIN(n, in->len - in->pos);
	memcpy(buf, in->data + in->pos, n);
	in->pos += n;
	return (ssize_t)n;
}

static int begin(void *ctx, uint32_t flags, struct error **err)
{
	struct input *in = ctx;

	in->begun++;
	assert_int_equal(in->pos, STREAM_HEADER);
	return 0;
}

static int keep(void *ctx, const struct stream_chunk *c, const void *data, struct error **err)
{
	struct input *in = ctx;

	assert_true(c->part > STREAM_END && c->part < STREAM_PARTS);
	strbuf_add(&in->stored[c->part], data, c->len);
	return 0;
}

static void input_done(struct input *in)
{
	for (int i = 0; i < STREAM_PARTS; i++)
		strbuf_done(&in->stored[i]);
}

static int receive(struct input *in, struct stream_pos *pos, struct error **err)
{
	struct stream_reader rd = { take, keep, begin, in, in->max_total };

	return stream_receive(&rd, pos, err);
}

/* Expects that it is refused with exactly one error. */
static void refused(const void *data, size_t len)
{
	_cleanup_(input_done) struct input in = { .data = data, .len = len };
	_cleanup_error_ struct error *err = NULL;
	struct stream_pos pos;

	assert_true(receive(&in, &pos, &err) < 0);
	assert_non_null(err);
	assert_null(strchr(error_text(err), '\n'));
}

static void put_header(struct strbuf *b, struct stream_pos *pos, uint32_t flags)
{
	unsigned char h[STREAM_HEADER];

	stream_put_header(pos, flags, h);
	strbuf_add(b, h, sizeof(h));
}

static void put_chunk(struct strbuf *b, struct stream_pos *pos, enum stream_part part, const char *text)
{
	unsigned char h[STREAM_CHUNK_HEADER];

	stream_put_chunk(pos, part, text, strlen(text), h);
	strbuf_add(b, h, sizeof(h));
	strbuf_adds(b, text);
}

static void put_end(struct strbuf *b, struct stream_pos *pos)
{
	unsigned char e[STREAM_END_SIZE];

	stream_put_end(pos, e);
	strbuf_add(b, e, sizeof(e));
}

/* Two rounds, parts interleaved. */
static void make_example(struct strbuf *b)
{
	struct stream_pos pos;

	put_header(b, &pos, STREAM_FLAG_ACK);
	put_chunk(b, &pos, STREAM_PAGES, "PPPP");
	put_chunk(b, &pos, STREAM_PAGES, "pp");
	put_chunk(b, &pos, STREAM_INDEX, "III");
	stream_next_round(&pos);
	put_chunk(b, &pos, STREAM_PAGES, "Q");
	put_chunk(b, &pos, STREAM_KERNEL, "KK");
	put_chunk(b, &pos, STREAM_INDEX, "J");
	put_chunk(b, &pos, STREAM_KERNEL, "k");
	put_chunk(b, &pos, STREAM_MANIFEST, "M");
	put_chunk(b, &pos, STREAM_MANIFEST, "m");
	put_end(b, &pos);
	assert_int_equal(strbuf_error(b), 0);
}

static void round_trip(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	_cleanup_(input_done) struct input in = { 0 };
	_cleanup_error_ struct error *err = NULL;
	struct stream_pos pos;
	size_t len;

	make_example(&b);
	len = b.len;
	strbuf_adds(&b, "what follows is not ours");
	in.data = (const unsigned char *)b.data;
	in.len = b.len;
	assert_int_equal(receive(&in, &pos, &err), 0);
	assert_int_equal(in.pos, len);
	assert_int_equal(in.begun, 1);
	assert_int_equal(pos.flags, STREAM_FLAG_ACK);
	assert_int_equal(pos.round, 1);
	assert_int_equal(pos.chunks, 9);
	assert_int_equal(pos.total, 16);
	assert_int_equal(pos.size[STREAM_KERNEL], 3);
	assert_string_equal(in.stored[STREAM_PAGES].data, "PPPPppQ");
	assert_string_equal(in.stored[STREAM_INDEX].data, "IIIJ");
	assert_string_equal(in.stored[STREAM_KERNEL].data, "KKk");
	assert_string_equal(in.stored[STREAM_MANIFEST].data, "Mm");
}

static void damage(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	make_example(&b);
	for (size_t i = 0; i < b.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			b.data[i] ^= (char)(1 << bit);
			refused(b.data, b.len);
			b.data[i] ^= (char)(1 << bit);
		}
	for (size_t n = 0; n < b.len; n++)
		refused(b.data, n);
}

/* One chunk per letter of @what, each of one byte: m k i p, n for needs; '+' next round; '.' end. */
static int try(const char *what)
{
	static const struct {
		char c;
		enum stream_part part;
	} parts[] = { { 'n', STREAM_NEEDS }, { 'm', STREAM_MANIFEST }, { 'k', STREAM_KERNEL }, { 'i', STREAM_INDEX }, { 'p', STREAM_PAGES } };
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	_cleanup_(input_done) struct input in = { 0 };
	_cleanup_error_ struct error *err = NULL;
	struct stream_pos pos;

	put_header(&b, &pos, 0);
	for (const char *p = what; *p; p++) {
		if (*p == '+')
			stream_next_round(&pos);
		else if (*p == '.')
			put_end(&b, &pos);
		for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
			if (*p == parts[i].c)
				put_chunk(&b, &pos, parts[i].part, "x");
	}
	in.data = (const unsigned char *)b.data;
	in.len = b.len;
	return receive(&in, &pos, &err);
}

static void orders(void **state)
{
	static const char *const good[] = { "pikm.", "kpim.", "ipkpkim.", "pi+pi+pikm.", "ppii+ikppmm.", "npi+pikm.", "pinn+pikm." };
	static const char *const bad[] = { "", ".", "pik.", "pikm", "pim.", "pkm.", "ikm.", "m.", "mpik.", "pikmp.", "pikmk.", "pikmi.",
					   "p+pikm.", "i+pikm.", "pik+pikm.", "pikm+pikm.", "pi++pikm.", "+pikm.", "pikm+.", "pi+npikm.", "pikmn.", "pi+pikm+." };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(try(good[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (try(bad[i]) >= 0)
			fail_msg("\"%s\" was accepted", bad[i]);
}

/* Headers with right checksums and wrong values: {offset of a 32-bit field, value}. */
static void forged(void **state)
{
	static const struct {
		unsigned int at;
		uint32_t v;
	} chunk[] = { { 0, 6 },	 { 0, 0xffffffff }, { 4, 1 },	    { 4, 64 },		 { 8, 1 },
		      { 12, 1 }, { 16, 0 },	    { 16, 1 << 21 }, { 16, 0xffffffff }, { 24, 1 } };
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	unsigned char *h;

	make_example(&b);
	h = (unsigned char *)b.data;
	for (size_t i = 0; i < ARRAY_SIZE(chunk); i++) {
		unsigned char old[32];

		memcpy(old, h + 32, 32);
		put_le32(h + 32 + chunk[i].at, chunk[i].v);
		put_le32(h + 32 + 28, crc32c(0, h + 32, 28));
		refused(b.data, b.len);
		memcpy(h + 32, old, 32);
	}
	for (unsigned int at = 8; at < 28; at += 4) {
		unsigned char old[32];

		memcpy(old, h, 32);
		put_le32(h + at, 2);
		put_le32(h + 28, crc32c(0, h, 28));
		refused(b.data, b.len);
		memcpy(h, old, 32);
	}
}

static void too_much(void **state)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
	struct stream_pos pos;

	make_example(&b);
	for (uint64_t max = 1; max < 20; max++) {
		_cleanup_(input_done) struct input in = { (unsigned char *)b.data, b.len, .max_total = max };
		_cleanup_error_ struct error *err = NULL;

		assert_int_equal(receive(&in, &pos, &err), max < 16 ? -EFBIG : 0);
	}
}

/* Rounds have an end. */
static void many_rounds(void **state)
{
	char what[STREAM_MAX_ROUNDS * 3 + 8];
	size_t n = 0;

	for (unsigned int i = 1; i < STREAM_MAX_ROUNDS; i++, n += 3)
		memcpy(what + n, "pi+", 3);
	memcpy(what + n, "pikm.", 6);
	assert_int_equal(try(what), 0);
	memcpy(what + n, "pi+pikm.", 9);
	assert_true(try(what) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(damage),	  cmocka_unit_test(orders),
		cmocka_unit_test(forged),     cmocka_unit_test(too_much), cmocka_unit_test(many_rounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
