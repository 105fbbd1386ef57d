/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which fields of which messages are object ids, and of what: state/refs.def as a table, for tools that look at images without
 * making objects (`runsc image`). The loader does not need it: each type's load function knows its own references.
 */
#ifndef STATE_REFS_H
#define STATE_REFS_H

#include <protobuf-c/protobuf-c.h>

#include "base/strbuf.h"
#include "state/state.h"

/* Where in a message something is: fields from the inside out. */
struct ref_path {
	const struct ref_path *up; /* NULL: the message itself */
	const char *name;
	size_t index; /* of a repeated field; SIZE_MAX: it is none */
};

struct ref_use {
	uint64_t id; /* never 0 */
	const char *target; /* kinds it may refer to, '|' between them */
	const struct ref_path *path; /* valid during the call */
	const ProtobufCMessage *in; /* the message that has the field */
};

/* Calls @fn for every reference in @msg, at any depth, in field order. Stops at the first value other than 0 and returns it. */
int refs_walk(const ProtobufCMessage *msg, int (*fn)(void *arg, const struct ref_use *u), void *arg);
/* The kinds @field of messages described by @desc may refer to; NULL: it holds no object id. */
const char *refs_target(const ProtobufCMessageDescriptor *desc, const ProtobufCFieldDescriptor *field);
/* True when objects of type @t are of one of the kinds @target. */
bool refs_allows(const char *target, const struct state_type *t);
/* True when the message of @t is @kind or has it as a part ("FileBase": any open file). */
bool refs_type_is(const struct state_type *t, const char *kind);
/* "slots[3].file" */
void refs_path_print(struct strbuf *b, const struct ref_path *p);

#endif
