/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record stream of kernel.img; format in record.h.
 *
 * Blocks are independent and small, so that the reader's memory is bounded whatever the image says, and every stored byte is
 * covered by a checksum that is verified before zstd sees it. The writer is deterministic for a given level.
 */
#include "state/record.h"

#include <zstd.h>

#include "state/crc32c.h"

#define FILE_HEADER 20
#define BLOCK_HEADER 12
#define RECORD_HEADER 20
#define END_PAYLOAD 12

static const char magic[8] = "RUNSCKRN";

const struct record_limits record_default_limits = {
	.max_record = (size_t)64 << 20,
	.max_total = (uint64_t)2 << 30,
};

struct record_writer {
	struct state_out *out;
	ZSTD_CCtx *cctx;
	int level;
	size_t fill;
	uint64_t count, raw;
	uint32_t raw_crc;
	size_t bound;
	unsigned char *stored; /* BLOCK_HEADER + bound */
	unsigned char block[RECORD_BLOCK];
};

struct record_reader {
	struct state_in *in;
	ZSTD_DCtx *dctx;
	struct record_limits lim;
	size_t fill, pos;
	uint64_t count, raw;
	uint32_t raw_crc;
	bool ended;
	size_t bound;
	unsigned char *stored;
	unsigned char *payload;
	size_t payload_cap;
	unsigned char block[RECORD_BLOCK];
};

int record_writer_new(struct state_out *out, int level, struct record_writer **ret, struct error **err)
{
	unsigned char hdr[FILE_HEADER];
	struct record_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return error_set(err, -ENOMEM, "cannot save");
	w->out = out;
	w->level = level;
	w->bound = ZSTD_compressBound(RECORD_BLOCK);
	w->stored = malloc(BLOCK_HEADER + w->bound);
	w->cctx = ZSTD_createCCtx();
	if (!w->stored || !w->cctx) {
		record_writer_free(w);
		return error_set(err, -ENOMEM, "cannot save");
	}
	memcpy(hdr, magic, 8);
	put_le32(hdr + 8, RECORD_FILE_VERSION);
	put_le32(hdr + 12, 0);
	put_le32(hdr + 16, crc32c(0, hdr, 16));
	r = state_out_write(out, hdr, sizeof(hdr), err);
	if (r < 0) {
		record_writer_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

static int block_flush(struct record_writer *w, struct error **err)
{
	size_t n;

	if (!w->fill)
		return 0;
	n = ZSTD_compressCCtx(w->cctx, w->stored + BLOCK_HEADER, w->bound, w->block, w->fill, w->level);
	if (ZSTD_isError(n))
		return error_msg(err, -EIO, "cannot write %s: zstd: %s", w->out->name, ZSTD_getErrorName(n));
	put_le32(w->stored, (uint32_t)n);
	put_le32(w->stored + 4, (uint32_t)w->fill);
	put_le32(w->stored + 8, crc32c(crc32c(0, w->stored, 8), w->stored + BLOCK_HEADER, n));
	w->fill = 0;
	return state_out_write(w->out, w->stored, BLOCK_HEADER + n, err);
}

static int raw_append(struct record_writer *w, const void *data, size_t len, struct error **err)
{
	const unsigned char *p = data;

	w->raw_crc = crc32c(w->raw_crc, data, len);
	w->raw += len;
	while (len) {
		size_t n = MIN(len, RECORD_BLOCK - w->fill);

		memcpy(w->block + w->fill, p, n);
		w->fill += n;
		p += n;
		len -= n;
		if (w->fill == RECORD_BLOCK) {
			int r = block_flush(w, err);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static uint32_t record_crc(const unsigned char *hdr, const void *data, size_t len)
{
	return crc32c(crc32c(0, hdr, 16), data, len);
}

int record_write(struct record_writer *w, uint32_t type, uint64_t id, const void *data, size_t len, struct error **err)
{
	unsigned char hdr[RECORD_HEADER];
	int r;

	if (len > record_default_limits.max_record || w->raw + len > record_default_limits.max_total)
		return error_msg(err, -EFBIG, "cannot write %s: record of %zu bytes is over the limit", w->out->name, len);
	put_le32(hdr, type);
	put_le32(hdr + 4, (uint32_t)len);
	put_le64(hdr + 8, id);
	put_le32(hdr + 16, record_crc(hdr, data, len));
	w->count++;
	r = raw_append(w, hdr, sizeof(hdr), err);
	return r < 0 ? r : raw_append(w, data, len, err);
}

int record_writer_finish(struct record_writer *w, struct error **err)
{
	unsigned char end[END_PAYLOAD], last[BLOCK_HEADER] = { 0 };
	int r;

	put_le64(end, w->count);
	put_le32(end + 8, w->raw_crc);
	r = record_write(w, RECORD_TYPE_END, 0, end, sizeof(end), err);
	if (r >= 0)
		r = block_flush(w, err);
	put_le32(last + 8, crc32c(0, last, 8));
	return r < 0 ? r : state_out_write(w->out, last, sizeof(last), err);
}

uint64_t record_writer_raw_bytes(const struct record_writer *w)
{
	return w->raw;
}

struct record_writer *record_writer_free(struct record_writer *w)
{
	if (!w)
		return NULL;
	ZSTD_freeCCtx(w->cctx);
	free(w->stored);
	free(w);
	return NULL;
}

int record_reader_new(struct state_in *in, const struct record_limits *lim, struct record_reader **ret, struct error **err)
{
	unsigned char hdr[FILE_HEADER];
	struct record_reader *rd;
	int r;

	r = state_in_read_full(in, hdr, sizeof(hdr), err);
	if (r < 0)
		return r;
	if (memcmp(hdr, magic, 8))
		return error_msg(err, -EINVAL, "%s is not a kernel image of runsc", in->name);
	if (get_le32(hdr + 16) != crc32c(0, hdr, 16))
		return error_msg(err, -EINVAL, "%s: header checksum does not match", in->name);
	if (get_le32(hdr + 8) != RECORD_FILE_VERSION || get_le32(hdr + 12))
		return error_msg(err, -EINVAL, "%s has version %u, this build reads %u", in->name, get_le32(hdr + 8),
				 RECORD_FILE_VERSION);
	rd = calloc(1, sizeof(*rd));
	if (!rd)
		return error_set(err, -ENOMEM, "cannot load %s", in->name);
	rd->in = in;
	rd->lim = lim ? *lim : record_default_limits;
	rd->bound = ZSTD_compressBound(RECORD_BLOCK);
	rd->stored = malloc(rd->bound);
	rd->dctx = ZSTD_createDCtx();
	if (!rd->stored || !rd->dctx) {
		record_reader_free(rd);
		return error_set(err, -ENOMEM, "cannot load %s", in->name);
	}
	*ret = rd;
	return 0;
}

/* Reads the next block into r->block; 0 at the last block, which must be followed by the end of the file. */
static int block_fill(struct record_reader *r, struct error **err)
{
	uint64_t off = r->in->pos;
	unsigned char hdr[BLOCK_HEADER], extra;
	size_t n, stored, raw;
	ssize_t got;
	int ret;

	ret = state_in_read_full(r->in, hdr, sizeof(hdr), err);
	if (ret < 0)
		return ret;
	stored = get_le32(hdr);
	raw = get_le32(hdr + 4);
	if (stored > r->bound || raw > RECORD_BLOCK || !stored != !raw)
		return error_msg(err, -EINVAL, "%s: bad block header at offset %llu", r->in->name, (unsigned long long)off);
	ret = state_in_read_full(r->in, r->stored, stored, err);
	if (ret < 0)
		return ret;
	if (get_le32(hdr + 8) != crc32c(crc32c(0, hdr, 8), r->stored, stored))
		return error_msg(err, -EINVAL, "%s: checksum of the block at offset %llu does not match", r->in->name,
				 (unsigned long long)off);
	if (!stored) {
		got = state_in_read(r->in, &extra, 1, err);
		if (got < 0)
			return (int)got;
		return got ? error_msg(err, -EINVAL, "%s: data after the end", r->in->name) : 0;
	}
	n = ZSTD_decompressDCtx(r->dctx, r->block, raw, r->stored, stored);
	if (ZSTD_isError(n) || n != raw)
		return error_msg(err, -EINVAL, "%s: block at offset %llu does not decompress", r->in->name,
				 (unsigned long long)off);
	if (raw > r->lim.max_total - r->raw)
		return error_msg(err, -EFBIG, "%s holds more than %llu bytes", r->in->name,
				 (unsigned long long)r->lim.max_total);
	r->raw += raw;
	r->fill = raw;
	r->pos = 0;
	return 1;
}

static int raw_take(struct record_reader *r, unsigned char *p, size_t len, struct error **err)
{
	while (len) {
		size_t n = MIN(len, r->fill - r->pos);

		if (!n) {
			int ret = block_fill(r, err);

			if (ret < 0)
				return ret;
			if (!ret)
				return error_msg(err, -EINVAL, "%s: no end mark", r->in->name);
			continue;
		}
		memcpy(p, r->block + r->pos, n);
		r->pos += n;
		p += n;
		len -= n;
	}
	return 0;
}

static int read_end(struct record_reader *r, const struct record *rec, uint32_t crc, struct error **err)
{
	if (rec->len != END_PAYLOAD || rec->id || get_le64(rec->data) != r->count || get_le32(rec->data + 8) != crc)
		return error_msg(err, -EINVAL, "%s: end mark does not match the records", r->in->name);
	if (r->pos != r->fill)
		return error_msg(err, -EINVAL, "%s: data after the end mark", r->in->name);
	r->ended = true;
	switch (block_fill(r, err)) {
	case 0:
		return 0;
	case 1:
		return error_msg(err, -EINVAL, "%s: data after the end mark", r->in->name);
	default:
		return -EINVAL;
	}
}

int record_read(struct record_reader *r, struct record *ret, struct error **err)
{
	unsigned char hdr[RECORD_HEADER];
	uint32_t crc_before = r->raw_crc;
	size_t len;
	int x;

	if (r->ended)
		return 0;
	x = raw_take(r, hdr, sizeof(hdr), err);
	if (x < 0)
		return x;
	len = get_le32(hdr + 4);
	if (len > r->lim.max_record)
		return error_msg(err, -EFBIG, "%s: record %llu of %zu bytes is over the limit", r->in->name,
				 (unsigned long long)r->count, len);
	if (len > r->payload_cap || !r->payload) {
		free(r->payload);
		r->payload_cap = MAX(len, (size_t)4096);
		r->payload = malloc(r->payload_cap);
		if (!r->payload) {
			r->payload_cap = 0;
			return error_set(err, -ENOMEM, "cannot load %s", r->in->name);
		}
	}
	x = raw_take(r, r->payload, len, err);
	if (x < 0)
		return x;
	if (get_le32(hdr + 16) != record_crc(hdr, r->payload, len))
		return error_msg(err, -EINVAL, "%s: checksum of record %llu does not match", r->in->name,
				 (unsigned long long)r->count);
	*ret = (struct record){ .type = get_le32(hdr), .id = get_le64(hdr + 8), .data = r->payload, .len = len };
	if (ret->type == RECORD_TYPE_END)
		return read_end(r, ret, crc_before, err);
	r->raw_crc = crc32c(crc32c(r->raw_crc, hdr, sizeof(hdr)), r->payload, len);
	r->count++;
	return 1;
}

struct record_reader *record_reader_free(struct record_reader *r)
{
	if (!r)
		return NULL;
	ZSTD_freeDCtx(r->dctx);
	free(r->stored);
	free(r->payload);
	free(r);
	return NULL;
}
