/* SPDX-License-Identifier: Apache-2.0 */
/* See ranges.h. Neighbouring mappings merge, so the array stays short whatever the order of faults. */
#include "platform/ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Index of the first interval that ends after @addr. */
static size_t find(const struct ranges *rs, uint64_t addr)
{
	size_t lo = 0, hi = rs->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (rs->v[mid].end > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Replaces the @del intervals at @i by @ins (at most 2). */
static int splice(struct ranges *rs, size_t i, size_t del, const struct addr_range *ins, size_t nins)
{
	size_t n = rs->n - del + nins;

	if (n > rs->cap) {
		size_t cap = MAX(n, rs->cap * 2 + 8);
		struct addr_range *v = realloc(rs->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		rs->v = v;
		rs->cap = cap;
	}
	if (rs->n > i + del)
		memmove(rs->v + i + nins, rs->v + i + del, (rs->n - i - del) * sizeof(*rs->v));
	if (nins)
		memcpy(rs->v + i, ins, nins * sizeof(*ins));
	rs->n = n;
	return 0;
}

int ranges_add(struct ranges *rs, uint64_t start, uint64_t end)
{
	/* Touching counts as overlapping; 0 is never a mapped address. */
	size_t i = find(rs, start - 1), j = i;
	struct addr_range r = { start, end };

	for (; j < rs->n && rs->v[j].start <= end; j++) {
		r.start = MIN(r.start, rs->v[j].start);
		r.end = MAX(r.end, rs->v[j].end);
	}
	return splice(rs, i, j - i, &r, 1);
}

int ranges_del(struct ranges *rs, uint64_t start, uint64_t end)
{
	size_t i = find(rs, start), j = i, n = 0;
	struct addr_range rest[2];

	for (; j < rs->n && rs->v[j].start < end; j++) {
		if (rs->v[j].start < start)
			rest[n++] = (struct addr_range){ rs->v[j].start, start };
		if (rs->v[j].end > end)
			rest[n++] = (struct addr_range){ end, rs->v[j].end };
	}
	return i == j ? 0 : splice(rs, i, j - i, rest, n);
}

bool ranges_next(const struct ranges *rs, uint64_t start, uint64_t end, struct addr_range *ret)
{
	size_t i = find(rs, start);

	if (start >= end || i == rs->n || rs->v[i].start >= end)
		return false;
	*ret = (struct addr_range){ MAX(rs->v[i].start, start), MIN(rs->v[i].end, end) };
	return true;
}

void ranges_done(struct ranges *rs)
{
	free(rs->v);
	*rs = (struct ranges){ 0 };
}
