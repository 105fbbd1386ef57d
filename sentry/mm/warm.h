/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freed pages of the memory file that are kept for the next who wants some: a short list of ranges, oldest first.
 *
 * A page of a memfd costs the host about as much to find, clear and charge as a dozen of our own list operations, and a program that
 * maps, touches and unmaps, or a shell that forks all day, asks for the same pages again and again. Kept pages hold stale content:
 * whoever takes a range clears it. The list is pure bookkeeping; memfile.c, whose lock guards it, owns the ranges.
 */
#ifndef SENTRY_MM_WARM_H
#define SENTRY_MM_WARM_H

#include "base/util.h"

#define WARM_SLOTS 128
#define WARM_MIN   (16ULL << 10) /* shorter ranges are not worth a slot: the smallest that is ever asked for */

struct warm_range {
	uint64_t off, len;
};

struct warm {
	struct warm_range e[WARM_SLOTS]; /* by age, oldest first */
	size_t nr;
	uint64_t total, max; /* bytes kept; bytes that may be kept, 0: nothing ever is */
};

/* Takes @len bytes out of the smallest range that has them. False: none has. */
bool warm_take(struct warm *w, uint64_t len, uint64_t *ret_off);
/* Is there room for @len more? When not, the caller makes some with warm_evict(), if @len is no more than max. */
bool warm_room(const struct warm *w, uint64_t len);
void warm_give(struct warm *w, uint64_t off, uint64_t len);
/* Takes the oldest range out altogether. False: empty. */
bool warm_evict(struct warm *w, struct warm_range *ret);

#endif
