/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzer of the image stream reader: the input as it is (first byte even), or as chunks with right checksums whose part, round, place
 * and length the input chooses (odd). Whatever is accepted must have come in order and without gaps.
 */
#include "state/crc32c.h"
#include "state/image_stream.h"
#include "state/stream.h"

struct input {
	const unsigned char *p;
	size_t n;
	uint32_t round;
	uint64_t size[STREAM_PARTS], total;
};

static ssize_t take(void *ctx, void *buf, size_t n, struct error **err)
{
	struct input *in = ctx;

	n = MIN(n, in->n);
	memcpy(buf, in->p, n);
	in->p += n;
	in->n -= n;
	return (ssize_t)n;
}

static int check(void *ctx, const struct stream_chunk *c, const void *data, struct error **err)
{
	struct input *in = ctx;

	if (c->round != in->round) {
		if (c->round != in->round + 1)
			abort();
		in->round++;
		memset(in->size, 0, sizeof(in->size));
	}
	if (c->part <= STREAM_END || c->part >= STREAM_PARTS || !c->len || c->offset != in->size[c->part])
		abort();
	in->size[c->part] += c->len;
	in->total += c->len;
	return 0;
}

static void receive(const unsigned char *p, size_t n)
{
	struct input in = { p, n };
	struct stream_reader rd = { .read = take, .store = check, .ctx = &in, .max_total = 1 << 20 };
	struct error *err = NULL;
	struct stream_pos pos;
	int r = stream_receive(&rd, &pos, &err);

	if ((r < 0) != !!err)
		abort();
	if (r == 0 && (pos.total != in.total || !pos.size[STREAM_MANIFEST] || memcmp(pos.size, in.size, sizeof(in.size)) != 0))
		abort();
	error_free(err);
}

/* Each four bytes are one chunk: part, what to do with the round and the offset, length, content. */
static void forged(const unsigned char *p, size_t n)
{
	unsigned char *buf = malloc(STREAM_HEADER + n / 4 * (STREAM_CHUNK_HEADER + 256) + STREAM_END_SIZE), *o = buf;
	struct stream_pos pos;

	stream_put_header(&pos, 0, o);
	o += STREAM_HEADER;
	for (; n >= 4; p += 4, n -= 4) {
		enum stream_part part = (enum stream_part)(p[0] % STREAM_PARTS);
		unsigned char *data = o + STREAM_CHUNK_HEADER;

		memset(data, p[3], 256);
		if (p[1] & 1)
			stream_next_round(&pos);
		if (part == STREAM_END) {
			stream_put_end(&pos, o);
			o += STREAM_END_SIZE;
			continue;
		}
		stream_put_chunk(&pos, part, data, p[2], o);
		if (p[1] & 6) {
			put_le64(o + 8, get_le64(o + 8) + (p[1] & 2 ? 1 : (uint64_t)-1));
			put_le32(o + 28, crc32c(0, o, 28));
		}
		o += STREAM_CHUNK_HEADER + p[2];
	}
	receive(buf, (size_t)(o - buf));
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (!n)
		return 0;
	if (p[0] & 1)
		forged(p + 1, n - 1);
	else
		receive(p + 1, n - 1);
	return 0;
}
