/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests of files outside (`checkpoint --file-digest`): proof that a file has the content it had, whatever its times say. A checksum would not do:
 * who can change a file can make it fit. Checkpoint: the digest is a field of the inode's record.
 */
#include <sodium.h>
#include <unistd.h>

#include "sentry/fs/gofer/gofer_internal.h"

#define CHUNK (64u << 10)

static int digest_fd(int fd, uint64_t n, uint8_t *ret)
{
	_cleanup_free_ uint8_t *buf = malloc(CHUNK);
	crypto_generichash_state st;
	uint64_t off = 0;

	/* Finds what the CPU is good at. Any number of times; it never fails where getrandom works. */
	if (!buf || sodium_init() < 0)
		return -ENOMEM;
	(void)crypto_generichash_init(&st, NULL, 0, FILE_DIGEST_SIZE);
	while (off < n) {
		ssize_t got = pread(fd, buf, (size_t)MIN(n - off, (uint64_t)CHUNK), (off_t)off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -ESTALE; /* shorter than it was a moment ago: somebody is writing it */
		(void)crypto_generichash_update(&st, buf, (size_t)got);
		off += (uint64_t)got;
	}
	(void)crypto_generichash_final(&st, ret, FILE_DIGEST_SIZE);
	return 0;
}

int gofer_digest(struct inode *i, uint64_t n, uint8_t *ret)
{
	int fd = gofer_host_fd(gofer_i(i), false);

	return fd < 0 ? fd : digest_fd(fd, n, ret);
}
