/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte streams of the image formats. The only file of state/ (with pages_io in pages*.c) that does I/O: every short transfer,
 * EINTR and full disk is dealt with here. A write that returns 0 counts as a full device, so that no loop can spin.
 */
#include "state/stream.h"

#include <limits.h>
#include <unistd.h>

#include "state/crc32c.h"
#include "state/digest.h"

#define IO_MAX ((size_t)1 << 30)

static int mem_append(struct state_out *o, const void *data, size_t len)
{
	size_t need, cap = o->cap ? o->cap : 4096;
	unsigned char *p;

	if (add_overflow((size_t)o->size, len, &need) || need > SIZE_MAX / 2)
		return -EFBIG;
	while (cap < need)
		cap *= 2;
	if (cap != o->cap) {
		p = realloc(o->mem, cap);
		if (!p)
			return -ENOMEM;
		o->mem = p;
		o->cap = cap;
	}
	memcpy(o->mem + o->size, data, len);
	return 0;
}

static int fd_append(int fd, const unsigned char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, MIN(len, IO_MAX));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENOSPC;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int state_out_write(struct state_out *o, const void *data, size_t len, struct error **err)
{
	int r;

	if (!len)
		return 0;
	r = o->fd >= 0 ? fd_append(o->fd, data, len) : mem_append(o, data, len);
	if (r < 0)
		return error_set(err, r, "cannot write %s (%zu bytes at offset %llu)", o->name, len,
				 (unsigned long long)o->size);
	o->crc = crc32c(o->crc, data, len);
	if (o->digest)
		digest_add(o->digest, data, len);
	o->size += len;
	return 0;
}

ssize_t state_in_read(struct state_in *in, void *data, size_t len, struct error **err)
{
	size_t got = 0;

	if (in->fd < 0) {
		got = MIN(len, in->len - (size_t)in->pos);
		if (got)
			memcpy(data, in->mem + in->pos, got);
	}
	while (in->fd >= 0 && got < len) {
		ssize_t n = read(in->fd, (char *)data + got, MIN(len - got, IO_MAX));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, -errno, "cannot read %s at offset %llu", in->name,
					 (unsigned long long)(in->pos + got));
		if (n == 0)
			break;
		got += (size_t)n;
	}
	in->crc = crc32c(in->crc, data, got);
	in->pos += got;
	return (ssize_t)got;
}

int state_in_read_full(struct state_in *in, void *data, size_t len, struct error **err)
{
	ssize_t n = state_in_read(in, data, len, err);

	if (n < 0)
		return (int)n;
	if ((size_t)n != len)
		return error_msg(err, -EINVAL, "%s is truncated at offset %llu", in->name, (unsigned long long)in->pos);
	return 0;
}

int pwrite_full(int fd, const void *data, size_t len, uint64_t off)
{
	const unsigned char *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, MIN(len, IO_MAX), (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENOSPC;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int pread_full(int fd, void *data, size_t len, uint64_t off)
{
	unsigned char *p = data;

	while (len) {
		ssize_t n = pread(fd, p, MIN(len, IO_MAX), (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}
