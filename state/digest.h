/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cryptographic digests (BLAKE2b-256) of image parts and frames. A crc32c finds damage; a digest is what a signature can stand for.
 * The only place that knows libsodium besides signature.c.
 */
#ifndef STATE_DIGEST_H
#define STATE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 32

struct digest {
	unsigned char opaque[384 + 64]; /* is aligned inside: may lie anywhere, but not be copied */
};

/* Chooses the code that suits this CPU; without it digests are right but slower. Worth it for much data; any number of times. */
void digest_setup(void);
void digest_begin(struct digest *d);
void digest_add(struct digest *d, const void *data, size_t len);
void digest_end(struct digest *d, unsigned char ret[DIGEST_BYTES]);
void digest_of(const void *data, size_t len, unsigned char ret[DIGEST_BYTES]);

#endif
