/* SPDX-License-Identifier: Apache-2.0 */
#include "state/digest.h"

#include <sodium.h>

#include "base/util.h"

#define ALIGNMENT 64

_Static_assert(sizeof(struct digest) >= sizeof(crypto_generichash_blake2b_state) + ALIGNMENT &&
		       ALIGNMENT >= _Alignof(crypto_generichash_blake2b_state),
	       "struct digest is too small");

static crypto_generichash_blake2b_state *state_of(struct digest *d)
{
	return (crypto_generichash_blake2b_state *)(((uintptr_t)d->opaque + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
}

void digest_setup(void)
{
	(void)!sodium_init();
}

/* The calls below fail for wrong lengths only. */

void digest_begin(struct digest *d)
{
	(void)crypto_generichash_blake2b_init(state_of(d), NULL, 0, DIGEST_BYTES);
}

void digest_add(struct digest *d, const void *data, size_t len)
{
	(void)crypto_generichash_blake2b_update(state_of(d), data, len);
}

void digest_end(struct digest *d, unsigned char ret[DIGEST_BYTES])
{
	(void)crypto_generichash_blake2b_final(state_of(d), ret, DIGEST_BYTES);
}

void digest_of(const void *data, size_t len, unsigned char ret[DIGEST_BYTES])
{
	(void)crypto_generichash_blake2b(ret, DIGEST_BYTES, data, len, NULL, 0);
}
