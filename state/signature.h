/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detached signatures of manifests: Ed25519 over the bytes of inventory.img. The manifest names the digests of kernel.img and pages.idx,
 * pages.idx those of the frames in pages.img (and of its parents), so the signature stands for every byte.
 *
 * signature-<hash>.img: "RUNSCSIG", version 1, 0, the first 8 bytes of the key's digest (to say which key it was), 64 bytes of signature,
 * crc32c of all before. Key files are one line of text: "runsc-secret-key ed25519 <64 hex digits: the seed>" or
 * "runsc-public-key ed25519 <64 hex digits>".
 */
#ifndef STATE_SIGNATURE_H
#define STATE_SIGNATURE_H

#include "base/error.h"
#include "base/util.h"

#define SIGN_PUBLIC_BYTES 32
#define SIGN_SEED_BYTES 32
#define SIGN_BYTES 64
#define SIGNATURE_FILE_BYTES 92
#define KEY_FILE_MAX 256

struct sign_key {
	bool secret; /* @seed is known */
	unsigned char seed[SIGN_SEED_BYTES], public[SIGN_PUBLIC_BYTES];
};

/* A new key from the host's random numbers. */
void sign_key_new(struct sign_key *ret);
/* The text of a key file; of the secret one includes the seed. */
void sign_key_format(const struct sign_key *k, bool secret, char ret[KEY_FILE_MAX]);
/* A secret key's text gives both halves. @name is for messages; the text is not quoted in any. */
_must_check_ int sign_key_parse(const char *text, const char *name, struct sign_key *ret, struct error **err);
/* Forgets the seed. */
void sign_key_done(struct sign_key *k);
#define _cleanup_sign_key_ _cleanup_(sign_key_done)

/* Makes the signature file of the manifest @manifest:@len. The key must be a secret one. */
void signature_make(const struct sign_key *k, const void *manifest, size_t len, unsigned char ret[SIGNATURE_FILE_BYTES]);
/* Checks that @file:@file_len is a signature of the manifest by the key whose public half is @public. The message says what does not fit. */
_must_check_ int signature_check(const unsigned char public[SIGN_PUBLIC_BYTES], const void *manifest, size_t len, const void *file,
				 size_t file_len, struct error **err);

#endif
