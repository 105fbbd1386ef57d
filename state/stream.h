/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte streams under the image formats: a file descriptor or memory, with the running size and crc32c of everything that
 * passed. Internal to state/ and its tests.
 */
#ifndef STATE_STREAM_H
#define STATE_STREAM_H

#include <endian.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"

struct digest;

/* Output: to @fd with write(2) at the current position; to growing memory when fd < 0 (free @mem after use). */
struct state_out {
	int fd;
	const char *name; /* for messages: "kernel.img" */
	unsigned char *mem;
	size_t cap;
	uint64_t size;
	uint32_t crc;
	struct digest *digest; /* of everything; NULL: none is wanted */
};

/* Input: from @fd with read(2) at the current position, or from @mem when fd < 0. */
struct state_in {
	int fd;
	const char *name;
	const unsigned char *mem;
	size_t len;
	uint64_t pos;
	uint32_t crc;
};

/* Writes all of it or fails: short writes and EINTR are handled, errors name the file and offset. */
_must_check_ int state_out_write(struct state_out *o, const void *data, size_t len, struct error **err);
/* Reads up to @len bytes, fewer only at the end; returns how many, or a negative errno. */
_must_check_ ssize_t state_in_read(struct state_in *in, void *data, size_t len, struct error **err);
/* Exactly @len bytes, or an error that says the file is truncated. */
_must_check_ int state_in_read_full(struct state_in *in, void *data, size_t len, struct error **err);

/* pwrite(2)/pread(2) of everything; pread_full fails with -EIO at a premature end. */
_must_check_ int pwrite_full(int fd, const void *data, size_t len, uint64_t off);
_must_check_ int pread_full(int fd, void *data, size_t len, uint64_t off);

static inline void put_le32(unsigned char *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, 4);
}

static inline void put_le64(unsigned char *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, 8);
}

static inline uint32_t get_le32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return le32toh(v);
}

static inline uint64_t get_le64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return le64toh(v);
}

#endif
