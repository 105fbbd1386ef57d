/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash table from a 64-bit key to a pointer (open addressing, doubles at 3/4 full, shrinks never).
 * Pointers used as keys are hashed the same way. The caller locks.
 */
#ifndef BASE_HTAB_H
#define BASE_HTAB_H

#include "base/cleanup.h"
#include "base/util.h"

struct htab_slot {
	uint64_t key;
	void *val; /* NULL: never used; HTAB_GONE: removed */
};

struct htab {
	struct htab_slot *slots;
	size_t cap, used, live; /* used counts live and removed slots */
};

void htab_done(struct htab *h);
void *htab_get(const struct htab *h, uint64_t key);
/* Replaces an existing value. @val must not be NULL. Returns 0 or -ENOMEM. */
_must_check_ int htab_put(struct htab *h, uint64_t key, void *val);
/* Returns the removed value or NULL. */
void *htab_del(struct htab *h, uint64_t key);
/* Iterates: *@pos starts at 0; returns false at the end. Removing the current key is allowed. */
bool htab_next(const struct htab *h, size_t *pos, uint64_t *key, void **val);

static inline uint64_t hash_u64(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	return x;
}

/* FNV-1a; for names in directories, not for hostile flooding (directories are bounded by their owner). */
static inline uint64_t hash_bytes(const void *p, size_t n)
{
	const unsigned char *s = p;
	uint64_t h = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < n; i++)
		h = (h ^ s[i]) * 0x100000001b3ULL;
	return h;
}

#endif
