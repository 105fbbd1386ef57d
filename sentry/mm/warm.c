/* SPDX-License-Identifier: Apache-2.0 */
/* The list of freed pages that are kept; see warm.h. */
#include "sentry/mm/warm.h"

#include <string.h>

static void drop_slot(struct warm *w, size_t i)
{
	w->nr--;
	memmove(&w->e[i], &w->e[i + 1], (w->nr - i) * sizeof(w->e[0]));
}

bool warm_take(struct warm *w, uint64_t len, uint64_t *ret_off)
{
	size_t best = w->nr;

	for (size_t i = 0; i < w->nr; i++)
		if (w->e[i].len >= len && (best == w->nr || w->e[i].len < w->e[best].len))
			best = i;
	if (best == w->nr)
		return false;
	*ret_off = w->e[best].off;
	w->e[best].off += len;
	w->e[best].len -= len;
	w->total -= len;
	if (w->e[best].len == 0)
		drop_slot(w, best);
	return true;
}

bool warm_room(const struct warm *w, uint64_t len)
{
	return w->nr < WARM_SLOTS && w->total + len <= w->max;
}

void warm_give(struct warm *w, uint64_t off, uint64_t len)
{
	w->total += len;
	/* Neighbours join, so that what was freed piece by piece serves a larger wish. */
	for (size_t i = 0; i < w->nr; i++) {
		if (w->e[i].off + w->e[i].len == off) {
			w->e[i].len += len;
			return;
		}
		if (off + len == w->e[i].off) {
			w->e[i].off = off;
			w->e[i].len += len;
			return;
		}
	}
	w->e[w->nr++] = (struct warm_range){ off, len };
}

bool warm_evict(struct warm *w, struct warm_range *ret)
{
	if (w->nr == 0)
		return false;
	*ret = w->e[0];
	w->total -= ret->len;
	drop_slot(w, 0);
	return true;
}
