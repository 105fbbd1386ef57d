/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All records of a kernel.img, by id, for tools: messages only, no object is made. Everything is read and checksummed once and
 * kept packed; messages are unpacked when asked for, within the memory limit of the options. One thread's.
 *
 * A catalog is more patient than the loader: what is wrong with single records (unknown types and fields, ids out of order) is
 * told to a function and the rest can still be looked at. What is wrong with the file as a whole is an error.
 */
#ifndef STATE_CATALOG_H
#define STATE_CATALOG_H

#include "state/image.h"

struct catalog;

struct catalog_record {
	uint64_t id;
	uint32_t type_id;
	const struct state_type *type; /* NULL: not of this build */
	size_t len; /* packed bytes */
};

/* @what is wrong with record @id. */
typedef void (*catalog_note_fn)(void *arg, uint64_t id, const char *what);

/* Reads @fd from its current position, or @mem, see state_dump_new(). @note may be NULL. */
_must_check_ int catalog_read(int fd, const void *mem, size_t len, const struct state_opts *o, catalog_note_fn note, void *arg,
			      struct catalog **ret, struct error **err);
struct catalog *catalog_free(struct catalog *c);
#define _cleanup_catalog_ _cleanup_(catalog_freep)
static inline void catalog_freep(struct catalog **c)
{
	*c = catalog_free(*c);
}

/* Ids are 1 to this. */
uint64_t catalog_count(const struct catalog *c);
/* NULL: there is no such id. */
const struct catalog_record *catalog_at(const struct catalog *c, uint64_t id);
/* The message, unpacked, valid until catalog_drop() of this id or catalog_free(); NULL: no such id, or it cannot be shown, and
 * *@ret_why (may be NULL) says why. */
const struct ProtobufCMessage *catalog_msg(struct catalog *c, uint64_t id, const char **ret_why);
/* Gives the memory of a message back; for passes over all of them. */
void catalog_drop(struct catalog *c, uint64_t id);
/* The next id after @id of type @type_id, or 0. Starts at 0. */
uint64_t catalog_next(const struct catalog *c, uint32_t type_id, uint64_t id);
const uint64_t *catalog_roots(const struct catalog *c, size_t *ret_n);
/* As state_record_json() prints it. */
struct strbuf;
void catalog_json(struct catalog *c, uint64_t id, struct strbuf *b, unsigned int indent);
/* Compares packed bytes. */
bool catalog_same(const struct catalog *a, uint64_t id_a, const struct catalog *b, uint64_t id_b);

#endif
