/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image as one sequence of bytes, for pipes, sockets and plain files. Little-endian:
 *
 *   header  32 bytes  {"RUNSCSTR", u32 version, u32 flags, 12 zero bytes, u32 crc32c of the 28 before}
 *   chunks            {u32 part, u32 round, u64 offset, u32 length, u32 crc32c of the bytes, u32 0, u32 crc32c of the 28 before}, bytes
 *   end               a chunk of part 0: round = the last one, offset = bytes of all chunks before, its own 8 bytes = how many chunks
 *
 * The bytes of one part of one round come in order without a gap, so a receiver never seeks; parts may be interleaved. Rounds
 * before the last are pages alone (pages.idx and pages.img), each of what changed since the round before; the last has the four
 * files, and the manifest is the last of them: a receiver that has a manifest and the end mark has everything. Round 0 may also
 * have the manifest of that round (needs): what this image will ask of a machine, told while the container still runs.
 *
 * A stream is as hostile as a directory: every length is bounded, every order checked, nothing is kept that a checksum has not
 * covered. What the parts contain is checked afterwards, as in a directory.
 */
#ifndef STATE_IMAGE_STREAM_H
#define STATE_IMAGE_STREAM_H

#include "base/error.h"
#include "base/util.h"

#define STREAM_VERSION 1
#define STREAM_FLAG_ACK 1u /* the sender waits for stream_ack[] from the receiver; see docs/checkpoint.md */
#define STREAM_HEADER 32
#define STREAM_CHUNK_HEADER 32
#define STREAM_CHUNK_MAX ((size_t)1 << 20)
#define STREAM_MAX_ROUNDS 65u /* MANIFEST_LAYERS_MAX and the image itself */
#define STREAM_MAX_MANIFEST ((uint64_t)2 << 20) /* and needs */
#define STREAM_MAX_KERNEL ((uint64_t)4 << 30)
#define STREAM_MAX_TOTAL ((uint64_t)1 << 48)

enum stream_part { STREAM_END, STREAM_MANIFEST, STREAM_KERNEL, STREAM_INDEX, STREAM_PAGES, STREAM_NEEDS, STREAM_PARTS };

/* What a receiver sends back when the container runs, if the header asks for it. */
extern const unsigned char stream_ack[16];

/* Where a stream is; both sides keep one, and it is all the state the format has. */
struct stream_pos {
	uint32_t flags; /* of the header */
	uint32_t round;
	uint64_t size[STREAM_PARTS]; /* bytes so far of each part of this round */
	uint64_t total, chunks; /* bytes and chunks of all rounds */
	uint64_t max_total; /* receiver: refuse more; 0: STREAM_MAX_TOTAL */
};

struct stream_chunk {
	enum stream_part part;
	uint32_t round, len;
	uint64_t offset;
};

/* --- sender: the caller writes what these make, in this order --- */

void stream_put_header(struct stream_pos *pos, uint32_t flags, unsigned char out[STREAM_HEADER]);
/* The header of the next chunk of @part, 1..STREAM_CHUNK_MAX bytes of it. */
void stream_put_chunk(struct stream_pos *pos, enum stream_part part, const void *data, size_t len,
		      unsigned char out[STREAM_CHUNK_HEADER]);
void stream_next_round(struct stream_pos *pos);
#define STREAM_END_SIZE (STREAM_CHUNK_HEADER + 8)
void stream_put_end(struct stream_pos *pos, unsigned char out[STREAM_END_SIZE]);

/* --- receiver --- */

struct stream_reader {
	/* Up to @n bytes; 0 at the end of the input; or stores an error and returns its code. */
	ssize_t (*read)(void *ctx, void *buf, size_t n, struct error **err);
	/* One chunk that was checked, to be stored at its offset. Returns 0 or stores an error. */
	int (*store)(void *ctx, const struct stream_chunk *c, const void *data, struct error **err);
	/* After the header, before anything else is read; may be NULL. */
	int (*begin)(void *ctx, uint32_t flags, struct error **err);
	void *ctx;
	uint64_t max_total; /* bytes accepted; 0: STREAM_MAX_TOTAL */
};

/* Reads up to and with the end mark, and not a byte further. On success *@ret says how much there was of what. */
_must_check_ int stream_receive(const struct stream_reader *rd, struct stream_pos *ret, struct error **err);

#endif
