/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record stream: kernel.img as bytes, knowing nothing of messages or objects. Internal to state/ and its tests.
 *
 * File: header {magic, version, flags, crc}, then blocks {stored length, raw length, crc of both and the bytes, one zstd frame},
 * ended by a block of length 0 and the end of the file. The raw bytes of all blocks are records {type, length, id, crc, payload};
 * a record may cross blocks. The last record is the end mark: number of records and crc32c of all raw bytes before it.
 * All integers are little-endian.
 */
#ifndef STATE_RECORD_H
#define STATE_RECORD_H

#include "state/stream.h"

#define RECORD_FILE_VERSION 1
#define RECORD_BLOCK ((size_t)256 << 10)
#define RECORD_TYPE_ROOTS 0xfffffffeu /* payload: ids of the root objects, 8 bytes each */
#define RECORD_TYPE_END 0xffffffffu

struct record_limits {
	size_t max_record; /* bytes of one payload */
	uint64_t max_total; /* raw bytes in the file */
};
extern const struct record_limits record_default_limits;

struct record {
	uint32_t type;
	uint64_t id;
	const unsigned char *data; /* valid until the next record_read() */
	size_t len;
};

struct record_writer;
struct record_reader;

/* @out stays the caller's and must outlive the writer. */
_must_check_ int record_writer_new(struct state_out *out, int level, struct record_writer **ret, struct error **err);
_must_check_ int record_write(struct record_writer *w, uint32_t type, uint64_t id, const void *data, size_t len, struct error **err);
/* Writes the end mark and flushes. */
_must_check_ int record_writer_finish(struct record_writer *w, struct error **err);
uint64_t record_writer_raw_bytes(const struct record_writer *w);
struct record_writer *record_writer_free(struct record_writer *w);

_must_check_ int record_reader_new(struct state_in *in, const struct record_limits *lim, struct record_reader **ret,
				   struct error **err);
/* 1 and *@ret; 0 after the end mark was found and is right; or a negative errno. */
_must_check_ int record_read(struct record_reader *r, struct record *ret, struct error **err);
struct record_reader *record_reader_free(struct record_reader *r);

#endif
