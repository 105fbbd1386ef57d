/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of address ranges, kept as a sorted array of disjoint, non-adjacent intervals: what a platform has mapped in an address
 * space. The caller locks.
 */
#ifndef PLATFORM_RANGES_H
#define PLATFORM_RANGES_H

#include <stdint.h>

#include "base/util.h"

struct addr_range {
	uint64_t start, end; /* [start, end) */
};

struct ranges {
	struct addr_range *v;
	size_t n, cap;
};

/* 0 or -ENOMEM (nothing changed). */
int ranges_add(struct ranges *rs, uint64_t start, uint64_t end);
int ranges_del(struct ranges *rs, uint64_t start, uint64_t end);
/* The first part of the set inside [@start, @end); false when there is none. */
bool ranges_next(const struct ranges *rs, uint64_t start, uint64_t end, struct addr_range *ret);
void ranges_done(struct ranges *rs);

#endif
