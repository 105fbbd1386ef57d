/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing, reading and dumping kernel.img: the caller's side of state.h.
 *
 * Save:     state_writer_new, state_writer_save_roots (any number of times), state_writer_finish, state_writer_free.
 * Restore:  state_reader_new, state_reader_load (all phases up to STATE_AFTER), state_reader_root to pick the objects up,
 *           state_reader_free (drops the loader's references).
 * Dump:     state_dump_new, state_dump_next ..., state_dump_free: messages only, no object is made.
 *
 * Everything is one thread's. No path is ever opened: files come as descriptors (and stay the caller's), or as memory.
 */
#ifndef STATE_IMAGE_H
#define STATE_IMAGE_H

#include "base/error.h"
#include "state/state.h"

struct ProtobufCMessage;

typedef const struct state_type *(*state_lookup_fn)(uint32_t id);

/* Zero or NULL means the default. */
struct state_opts {
	const char *name; /* in messages; "kernel.img" */
	state_lookup_fn lookup; /* state_type_by_id */
	void *ctx; /* state_writer_ctx(), state_reader_ctx() */
	int level; /* writer: zstd level; 1 */
	size_t max_record; /* reader: bytes of one message; 64 MiB */
	uint64_t max_total; /* reader: bytes of all records; 2 GiB */
	uint64_t max_memory; /* reader: bytes of unpacked messages held at once; 8 GiB */
	uint64_t max_objects; /* both; 16 Mi */
};

struct state_stats {
	uint64_t objects;
	uint64_t raw_bytes; /* before compression */
	uint64_t file_bytes;
	uint32_t file_crc; /* crc32c of the whole file, for the manifest */
	bool has_digest; /* when it was written */
	unsigned char file_digest[32]; /* of the whole file (digest.h) */
};

struct state_root {
	const struct state_type *type;
	const void *obj; /* may be NULL: the root is then NULL when read */
};

/* --- writer --- */

/* @fd: written from its current position with write(2). -1: to memory, see state_writer_memory(). */
_must_check_ int state_writer_new(int fd, const struct state_opts *o, struct state_writer **ret, struct error **err);
/* Saves the objects and all they refer to. Roots are numbered in the order given, over all calls. Errors are sticky. */
_must_check_ int state_writer_save_roots(struct state_writer *w, const struct state_root *roots, size_t n, struct error **err);
/* Ends the file. @ret may be NULL. The file is not synced. */
_must_check_ int state_writer_finish(struct state_writer *w, struct state_stats *ret, struct error **err);
/* Names of the types of the objects saved so far, each once, NULL-terminated, for the manifest; the array is the caller's to free, the
 * names are constant. NULL when memory is out. */
char **state_writer_types(const struct state_writer *w);
/* The bytes written so far by a writer to memory; owned by the writer. */
const void *state_writer_memory(const struct state_writer *w, size_t *ret_len);
struct state_writer *state_writer_free(struct state_writer *w);

/* --- reader --- */

enum state_phase { STATE_INIT, STATE_READ, STATE_ALLOC, STATE_LOAD, STATE_AFTER, STATE_DONE, STATE_FAILED };

/* @fd: read from its current position; or -1: from @mem, which must outlive the reader. */
_must_check_ int state_reader_new(int fd, const void *mem, size_t len, const struct state_opts *o, struct state_reader **ret,
				  struct error **err);
/*
 * The phases up to STATE_LOAD, without the types that load late: what depends on nothing but the image. A process that has come so far
 * may be forked any number of times, and each of them goes on with state_reader_load(); nothing is read from @fd after this.
 */
_must_check_ int state_reader_begin(struct state_reader *r, struct error **err);
/* Runs all phases, or those that state_reader_begin() has left. On failure the error reads "<type> <id>: <why>"; objects already made are abandoned. */
_must_check_ int state_reader_load(struct state_reader *r, struct error **err);
/* After a successful load: takes a reference on root number @n and stores it (or NULL) in *@ret. */
_must_check_ int state_reader_root(struct state_reader *r, size_t n, const struct state_type *t, void **ret, struct error **err);
size_t state_reader_nr_roots(const struct state_reader *r);
/* Iterates over all objects of type @t (NULL: any) in id order; *@pos starts at 0; NULL at the end. No reference is taken. */
void *state_reader_next(const struct state_reader *r, const struct state_type *t, uint64_t *pos);
void state_reader_stats(const struct state_reader *r, struct state_stats *ret);
enum state_phase state_reader_phase(const struct state_reader *r);
/* Drops the loader's reference on every object (after a successful load). */
struct state_reader *state_reader_free(struct state_reader *r);

/* --- dump --- */

struct state_dump;
struct state_dump_record {
	uint32_t type_id;
	uint64_t id;
	size_t len; /* packed */
	const struct state_type *type; /* NULL: a type this build does not know */
	const struct ProtobufCMessage *msg; /* NULL: type unknown, or @why */
	const char *why; /* not NULL: why the message cannot be shown ("unknown field 9 ...") */
	const uint64_t *roots; /* the roots record, which is the last: type_id is 0 */
	size_t nr_roots;
};

_must_check_ int state_dump_new(int fd, const void *mem, size_t len, const struct state_opts *o, struct state_dump **ret,
				struct error **err);
/* 1 and *@ret (valid until the next call), 0 at the end, or a negative errno. */
_must_check_ int state_dump_next(struct state_dump *d, struct state_dump_record *ret, struct error **err);
struct state_dump *state_dump_free(struct state_dump *d);

#endif
