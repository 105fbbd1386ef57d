/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and loading kernel objects.
 *
 * Every savable object type has one `const struct state_type` at the end of the .c file that owns the struct, named
 * `<name>_state_type`, and one line `STATE_TYPE(id, name)` in state/types.def. The message that describes it is in schemas/.
 * state/ knows no kernel object: it walks from the roots it is given, asks each object to fill its message, and writes
 * records {type, id, message}. References are object ids; id 0 is NULL; each object is written once; cycles are fine.
 *
 * Save is read-only: a failed or abandoned save leaves every object as it was. It runs while the kernel is frozen, in
 * one thread, with no object lock held by anybody.
 *
 * Restore phases, in this order; each type's functions are called only in their phase:
 *   STATE_READ    all records are read, checksummed, unpacked and their types validated; nothing is allocated before the
 *                 manifest's required features are accepted
 *   STATE_ALLOC   type->alloc() for each record: a zeroed object holding one reference that belongs to the loader
 *   STATE_LOAD    type->load(): fills fields from the message; may store pointers from state_deref() (which takes a
 *                 reference for the caller) but must not look inside the other object, which may not be loaded yet
 *   STATE_AFTER   type->after_load() by ascending priority: rebuilds derived fields and links; may look at other objects
 *                 of a lower priority (and, for plain loaded fields, any)
 *   then the loader drops its own references; the caller re-attaches gofers and host fds, arms timers and runs.
 *
 * Image bytes are hostile: load() validates every enum, size and id with state_check() and returns a negative errno;
 * it never asserts. A load that fails ends the restoring process, so load() need not undo.
 *
 * This header is what object code needs; writers, readers and dumps are made with state/image.h, memory pages are in
 * state/pages.h, the manifest in state/manifest.h. How to: docs/howto-savable.md.
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include "base/cleanup.h"
#include "base/util.h"

struct state_writer;
struct state_reader;
struct ProtobufCMessageDescriptor;

enum state_prio {
	STATE_PRIO_MEMORY, /* memory file, page sources */
	STATE_PRIO_FS, /* superblocks, inodes, dentries, mounts */
	STATE_PRIO_FILE, /* open files, sockets, fd tables */
	STATE_PRIO_MM, /* address spaces */
	STATE_PRIO_NS, /* namespaces, credentials */
	STATE_PRIO_TASK, /* thread groups, tasks */
	STATE_PRIO_TIMER, /* things that refer to tasks and files */
	STATE_PRIO_KERNEL, /* the root object */
	STATE_PRIO_MAX,
};

struct state_type {
	uint32_t id; /* STATE_ID_<name>; never reused */
	const char *name;
	const struct ProtobufCMessageDescriptor *desc;
	enum state_prio prio;
	/* Returns a zeroed object with one reference, or NULL. */
	void *(*alloc)(void);
	/* Fills @msg (already initialised, the C struct of @desc). Memory for repeated fields, strings, bytes and sub-messages comes
	 * from state_zalloc() and lives until the record is written. Returns 0 or a negative errno. */
	int (*save)(struct state_writer *w, const void *obj, void *msg);
	int (*load)(struct state_reader *r, void *obj, const void *msg);
	int (*after_load)(struct state_reader *r, void *obj); /* may be NULL */
	/* load() wants more than the message: descriptors, the gofer, the time. It is then called after every load() that does not, and
	 * in a process that has these; the others may be called long before (state_reader_begin()), in a process that is forked afterwards. */
	bool load_late;
	/* Reference counting, used by state_deref() and the loader. NULL for objects that are not counted: then alloc()'s
	 * object belongs to whoever links it. */
	void (*get)(void *obj);
	void (*put)(void *obj);
};

/* state/types.def: one STATE_TYPE(id, name) per line. */
enum state_type_id {
	STATE_ID_NONE = 0,
#define STATE_TYPE(id, name) STATE_ID_##name = (id),
#include "state/types.def"
#undef STATE_TYPE
};

#define STATE_TYPE(id, name) extern const struct state_type name##_state_type;
#include "state/types.def"
#undef STATE_TYPE

/* NULL when @id names no type of this build. */
const struct state_type *state_type_by_id(uint32_t id);

/* --- saving (callable only from save functions and the root caller) --- */

/* Returns the id of @obj, queueing it to be saved if it was not seen; 0 for NULL. Never calls save() recursively. An address is
 * one object: referring to it as two types fails the save (move an embedded savable object away from offset 0). */
uint64_t state_ref(struct state_writer *w, const struct state_type *t, const void *obj);
/* Zeroed memory that lives until the current record is written; never NULL: failure is sticky in @w and reported by
 * the writer (a static zero block is returned). n * size is overflow-checked. */
void *state_zalloc(struct state_writer *w, size_t n, size_t size);
char *state_strdup(struct state_writer *w, const char *s); /* NULL gives "" */
/* A sub-message of type @desc, initialised: for message fields and elements of repeated message fields. */
void *state_new_msg(struct state_writer *w, const struct ProtobufCMessageDescriptor *desc);
/* If !@ok: the save fails with "<type> <id>: <what>" and -EINVAL; else 0. For what cannot be saved. */
_must_check_ int state_save_check(struct state_writer *w, bool ok, const char *what);
/* The caller's context given to the writer (the kernel being saved). */
void *state_writer_ctx(struct state_writer *w);

/* --- loading --- */

/* Takes a reference (type->get) on the object with id @id, which must be of type @t, and stores it in *@ret (NULL for id
 * 0). Returns 0, or -EINVAL with a message recorded when the id is unknown or of another type. */
_must_check_ int state_deref(struct state_reader *r, uint64_t id, const struct state_type *t, void **ret);
/* The same for a reference that may be of several types: *@ret_type says which. */
_must_check_ int state_deref_any(struct state_reader *r, uint64_t id, const struct state_type **ret_type, void **ret);
/* If !@ok: records "<type> <id>: <what>" as the reason of failure and returns -EINVAL; else 0. */
_must_check_ int state_check(struct state_reader *r, bool ok, const char *what);
/* The caller's context given to the reader (the kernel being restored). */
void *state_reader_ctx(struct state_reader *r);

#endif
