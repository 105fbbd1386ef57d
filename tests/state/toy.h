/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Toy types for the tests and the fuzzer of state/: nodes that refer to anything, leaves with checks. Every toy object is on one
 * global list, so that a test can release what a failed load abandoned.
 */
#ifndef TESTS_STATE_TOY_H
#define TESTS_STATE_TOY_H

#include "base/list.h"
#include "schemas/state_toy.pb-c.h"
#include "state/image.h"

enum { TOY_NODE_ID = 1, TOY_LEAF_ID = 2 };
#define TOY_NAME 64

struct toy_leaf {
	struct list all;
	int refs, after;
	uint32_t weight, hint;
	char text[TOY_NAME];
	bool has_part;
	int32_t delta;
};

struct toy_node {
	struct list all;
	int refs, after;
	uint64_t value;
	char name[TOY_NAME];
	int colour;
	struct toy_node **peers;
	size_t nr_peers;
	const struct state_type *any_type;
	void *any;
	int32_t *deltas;
	size_t nr_parts;
};

extern const struct state_type toy_node_state_type, toy_leaf_state_type;
const struct state_type *toy_lookup(uint32_t id);

struct toy_node *toy_node_new(uint64_t value, const char *name);
struct toy_leaf *toy_leaf_new(uint32_t weight);
void toy_node_peer(struct toy_node *n, struct toy_node *peer);
/* Frees every toy object whatever its count; returns how many there were. */
size_t toy_free_all(void);
/* In order of after_load calls. */
extern int toy_after_seq;

#endif
