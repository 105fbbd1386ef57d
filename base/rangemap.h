/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordered map of non-overlapping half-open ranges [start, end): a treap of intrusive nodes, threaded as a list, and
 * augmented with the largest gap below each node, so that "where do n free bytes fit" takes logarithmic time.
 *
 * The owner embeds struct range and allocates nodes. A map may have ops that let it split and merge nodes: split() makes the
 * node for the upper part, can_merge() says that two touching nodes describe one thing. The caller locks.
 */
#ifndef BASE_RANGEMAP_H
#define BASE_RANGEMAP_H

#include "base/cleanup.h"
#include "base/util.h"

struct range {
	uint64_t start, end; /* change only through rangemap_resize() while in a map */
	struct range *prev, *next; /* neighbours by address, NULL at the ends */
	struct range *l, *r, *up; /* private */
	uint64_t max_gap; /* private: largest free space directly below a node of this subtree */
	uint32_t prio; /* private */
};

struct rangemap;

struct rangemap_ops {
	/* Allocates the node for [@at, r->end) as a copy of @r with its content advanced by @at - r->start; start and end are set
	 * by the map. @r itself is shortened by the map afterwards. NULL: out of memory, nothing changed. */
	struct range *(*split)(struct rangemap *m, struct range *r, uint64_t at);
	/* @b begins where @a ends: may @a stand for both? */
	bool (*can_merge)(const struct range *a, const struct range *b);
	/* @r was merged into its lower neighbour and is in no map any more. */
	void (*free)(struct rangemap *m, struct range *r);
};

struct rangemap {
	const struct rangemap_ops *ops; /* NULL when split and merge are not used */
	struct range *root, *first, *last;
	size_t nr;
	uint64_t total; /* sum of all lengths */
	uint32_t seed;
};

void rangemap_init(struct rangemap *m, const struct rangemap_ops *ops);
/* False (and nothing done) when the range is empty or overlaps another. */
bool rangemap_insert(struct rangemap *m, struct range *r);
void rangemap_remove(struct rangemap *m, struct range *r);
/* New bounds that stay between both neighbours. */
void rangemap_resize(struct rangemap *m, struct range *r, uint64_t start, uint64_t end);
/* The range that contains @at, or NULL. */
struct range *rangemap_find(const struct rangemap *m, uint64_t at);
/* The lowest range with end > @at (it contains @at or lies above), or NULL. */
struct range *rangemap_find_next(const struct rangemap *m, uint64_t at);
/* The range that meets [start, end) with the lowest address, or NULL. */
struct range *rangemap_first_in(const struct rangemap *m, uint64_t start, uint64_t end);
/* True when [start, end) is fully covered. */
bool rangemap_covers(const struct rangemap *m, uint64_t start, uint64_t end);

/* A node boundary at @at if a range contains it strictly inside. -ENOMEM. */
_must_check_ int rangemap_split_at(struct rangemap *m, uint64_t at);
/* Boundaries at both ends, so that every node meeting [start, end) lies inside it. */
_must_check_ int rangemap_isolate(struct rangemap *m, uint64_t start, uint64_t end);
/* Merges @r with its neighbours where ops allow; returns the node that now contains r->start. */
struct range *rangemap_merge(struct rangemap *m, struct range *r);
/* Merges all nodes that meet or touch [start, end). */
void rangemap_merge_in(struct rangemap *m, uint64_t start, uint64_t end);

/* Lowest (up) or highest (down) @align-aligned address with [ret, ret + len) free inside [lo, hi). False: none. */
bool rangemap_gap_up(const struct rangemap *m, uint64_t lo, uint64_t hi, uint64_t len, uint64_t align, uint64_t *ret);
bool rangemap_gap_down(const struct rangemap *m, uint64_t lo, uint64_t hi, uint64_t len, uint64_t align, uint64_t *ret);

#define range_entry(ptr, type, member) container_of(ptr, type, member)

#endif
