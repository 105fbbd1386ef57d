/* SPDX-License-Identifier: Apache-2.0 */
/* See image_stream.h for the format. Sender and receiver advance the same struct stream_pos, so what one makes the other accepts. */
#include "state/image_stream.h"

#include "state/crc32c.h"
#include "state/stream.h"

#define MAGIC "RUNSCSTR"
#define SUMMED (STREAM_CHUNK_HEADER - 4)

const unsigned char stream_ack[16] = "RUNSCACK\1";

static void put_sum(unsigned char *hdr)
{
	put_le32(hdr + SUMMED, crc32c(0, hdr, SUMMED));
}

static void put_raw(const struct stream_pos *pos, enum stream_part part, uint64_t offset, const void *data, size_t len,
		    unsigned char *out)
{
	put_le32(out, part);
	put_le32(out + 4, pos->round);
	put_le64(out + 8, offset);
	put_le32(out + 16, (uint32_t)len);
	put_le32(out + 20, crc32c(0, data, len));
	put_le32(out + 24, 0);
	put_sum(out);
}

void stream_put_header(struct stream_pos *pos, uint32_t flags, unsigned char out[STREAM_HEADER])
{
	*pos = (struct stream_pos){ .flags = flags };
	memset(out, 0, STREAM_HEADER);
	memcpy(out, MAGIC, 8);
	put_le32(out + 8, STREAM_VERSION);
	put_le32(out + 12, flags);
	put_sum(out);
}

static void advance(struct stream_pos *pos, enum stream_part part, size_t len)
{
	pos->size[part] += len;
	pos->total += len;
	pos->chunks++;
}

void stream_put_chunk(struct stream_pos *pos, enum stream_part part, const void *data, size_t len,
		      unsigned char out[STREAM_CHUNK_HEADER])
{
	put_raw(pos, part, pos->size[part], data, len, out);
	advance(pos, part, len);
}

void stream_next_round(struct stream_pos *pos)
{
	pos->round++;
	memset(pos->size, 0, sizeof(pos->size));
}

void stream_put_end(struct stream_pos *pos, unsigned char out[STREAM_END_SIZE])
{
	put_le64(out + STREAM_CHUNK_HEADER, pos->chunks);
	put_raw(pos, STREAM_END, pos->total, out + STREAM_CHUNK_HEADER, 8, out);
}

/* --- receiver --- */

static int read_full(const struct stream_reader *rd, const struct stream_pos *pos, void *buf, size_t len, struct error **err)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = rd->read(rd->ctx, (char *)buf + got, len - got, err);

		if (n < 0)
			return (int)n;
		if (n == 0 && !pos->chunks && !got)
			return error_msg(err, -EINVAL, "the stream is empty or ends before its first chunk");
		if (n == 0)
			return error_msg(err, -EINVAL, "the stream ends after %llu bytes of content, without an end mark",
					 (unsigned long long)pos->total);
		got += (size_t)n;
	}
	return 0;
}

static int damaged(const struct stream_pos *pos, const char *why, struct error **err)
{
	return error_msg(err, -EINVAL, "the stream is damaged: chunk %llu %s", (unsigned long long)pos->chunks, why);
}

static int get_header(const struct stream_reader *rd, struct stream_pos *pos, struct error **err)
{
	static const unsigned char zeros[12];
	unsigned char h[STREAM_HEADER];
	int r = read_full(rd, pos, h, sizeof(h), err);

	if (r < 0)
		return r;
	if (memcmp(h, MAGIC, 8))
		return error_msg(err, -EINVAL, "this is not an image stream of runsc");
	if (get_le32(h + SUMMED) != crc32c(0, h, SUMMED))
		return error_msg(err, -EINVAL, "the stream is damaged: its header's checksum does not match");
	if (get_le32(h + 8) != STREAM_VERSION)
		return error_msg(err, -EINVAL, "the stream has version %u, this build reads %u", get_le32(h + 8), STREAM_VERSION);
	pos->flags = get_le32(h + 12);
	if (pos->flags & ~STREAM_FLAG_ACK || memcmp(h + 16, zeros, 12))
		return error_msg(err, -ENOTSUP, "the stream asks for something that this build does not know (flags 0x%x)", pos->flags);
	return 0;
}

static bool round_is_done(const struct stream_pos *pos)
{
	return pos->size[STREAM_INDEX] && pos->size[STREAM_PAGES];
}

/* Whether a chunk may come here; moves on to its round. NULL, or what is wrong with it. */
static const char *check_order(struct stream_pos *pos, const struct stream_chunk *c)
{
	if (c->round != pos->round) {
		if (c->round != pos->round + 1 || c->round >= STREAM_MAX_ROUNDS || !round_is_done(pos) || pos->size[STREAM_KERNEL])
			return "belongs to another round";
		if (c->part == STREAM_END)
			return "ends a round that has not begun";
		stream_next_round(pos);
	}
	if (c->part == STREAM_END)
		return !pos->size[STREAM_MANIFEST] || c->offset != pos->total || c->len != 8 ? "is no end mark of what came before" : NULL;
	if (pos->size[STREAM_MANIFEST] && c->part != STREAM_MANIFEST)
		return "comes after the manifest";
	if (c->part == STREAM_NEEDS && pos->round)
		return "says too late what is needed";
	if (c->part == STREAM_MANIFEST && (!round_is_done(pos) || !pos->size[STREAM_KERNEL]))
		return "has a manifest before the other parts";
	if (!c->len || c->len > STREAM_CHUNK_MAX)
		return "has an impossible length";
	if (c->offset != pos->size[c->part])
		return "is not the continuation of its part";
	return NULL;
}

static int check_size(const struct stream_pos *pos, const struct stream_chunk *c, struct error **err)
{
	uint64_t max = pos->max_total ? pos->max_total : STREAM_MAX_TOTAL;

	if (c->part == STREAM_END)
		return 0;
	if (c->len > max - MIN(max, pos->total))
		return error_msg(err, -EFBIG, "the stream holds more than the %llu bytes allowed", (unsigned long long)max);
	if (((c->part == STREAM_MANIFEST || c->part == STREAM_NEEDS) && c->offset + c->len > STREAM_MAX_MANIFEST) ||
	    (c->part == STREAM_KERNEL && c->offset + c->len > STREAM_MAX_KERNEL))
		return error_msg(err, -EFBIG, "the stream holds a part that is too large");
	return 0;
}

/* One chunk into @buf, checked. */
static int get_chunk(const struct stream_reader *rd, struct stream_pos *pos, struct stream_chunk *c, void *buf, struct error **err)
{
	unsigned char h[STREAM_CHUNK_HEADER];
	const char *why;
	int r = read_full(rd, pos, h, sizeof(h), err);

	if (r < 0)
		return r;
	if (get_le32(h + SUMMED) != crc32c(0, h, SUMMED))
		return damaged(pos, "has a header whose checksum does not match", err);
	if (get_le32(h) >= STREAM_PARTS || get_le32(h + 24))
		return damaged(pos, "is of a kind that this build does not know", err);
	*c = (struct stream_chunk){ (enum stream_part)get_le32(h), get_le32(h + 4), get_le32(h + 16), get_le64(h + 8) };
	why = check_order(pos, c);
	if (why)
		return damaged(pos, why, err);
	r = check_size(pos, c, err);
	if (r == 0)
		r = read_full(rd, pos, buf, c->len, err);
	if (r == 0 && get_le32(h + 20) != crc32c(0, buf, c->len))
		r = damaged(pos, "has bytes whose checksum does not match", err);
	if (r == 0 && c->part == STREAM_END && get_le64(buf) != pos->chunks)
		r = damaged(pos, "is no end mark of what came before", err);
	return r;
}

int stream_receive(const struct stream_reader *rd, struct stream_pos *ret, struct error **err)
{
	_cleanup_free_ unsigned char *buf = malloc(STREAM_CHUNK_MAX);
	struct stream_pos pos = { .max_total = rd->max_total };
	struct stream_chunk c;
	int r;

	if (!buf)
		return error_set(err, -ENOMEM, "image stream");
	r = get_header(rd, &pos, err);
	if (r == 0 && rd->begin)
		r = rd->begin(rd->ctx, pos.flags, err);
	while (r == 0) {
		r = get_chunk(rd, &pos, &c, buf, err);
		if (r < 0)
			return r;
		if (c.part == STREAM_END) {
			*ret = pos;
			return 0;
		}
		r = rd->store(rd->ctx, &c, buf, err);
		advance(&pos, c.part, c.len);
	}
	return r;
}
