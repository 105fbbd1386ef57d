/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the memory file share. Nobody else includes this. */
#ifndef SENTRY_MM_MEMFILE_INTERNAL_H
#define SENTRY_MM_MEMFILE_INTERNAL_H

#include <stdatomic.h>

#include "base/mutex.h"
#include "base/rangemap.h"
#include "sentry/mm/memfile.h"
#include "sentry/mm/warm.h"
#include "state/pages.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define CHUNK_SHIFT 30
#define CHUNK_SIZE  (1UL << CHUNK_SHIFT)
#define MAX_CHUNKS  4096UL /* 4 TiB */

struct mf_range {
	struct range r;
	uint32_t refs; /* references of each page; 0: being freed */
	uint16_t owner; /* who pays */
	bool shared; /* content of files or shared memory */
	bool wild; /* the Sentry writes there at any time through a pointer it keeps */
};

/* Why content of pages may not simply be used. */
enum held_kind {
	HELD_ABSENT, /* it is in the image; the memory file has a hole (or what a failed load left) */
	HELD_CLEAN, /* it is there, equal to what the last image has: a write must be noticed */
	HELD_PRE, /* it is there; a write must be noticed because a checkpoint is about to begin, and means nothing but that */
	HELD_SNAP, /* it is there, and a checkpoint under way has not taken it yet: it must before a write */
};

struct held {
	struct range r;
	enum held_kind kind;
	bool shared; /* ABSENT: of an object, so others may map it */
	bool busy; /* somebody is loading or taking it without the lock; ends with mf.idle */
};

static inline struct held *held_of(struct range *r)
{
	return container_of(r, struct held, r);
}

/* Content that a checkpoint took before it was overwritten. */
struct taken {
	struct range r;
	char *data; /* NULL: zeroes */
};

#define OWN_STREAMS 4

struct readahead;
struct recording;

struct memfile {
	int fd; /* nosave: a new memfd per sandbox */
	uint64_t size; /* nosave: of the file; fixed */
	uint64_t limit; /* nosave: set by the restoring side's configuration */

	struct mutex mu;
	struct cond idle; /* nosave: a range is not busy any more */
	struct rangemap allocs; /* derived: by memfile_adopt(); guarded by mu */
	uint64_t shared; /* derived: bytes of shared ranges; guarded by mu */
	struct warm warm; /* nosave: given back before a save; guarded by mu */

	struct rangemap held; /* nosave: what the last image has is the saver's knowledge; guarded by mu */
	_Atomic uint64_t nr_held; /* derived: bytes in held */
	_Atomic uint64_t nr_absent; /* derived: of them ABSENT */
	struct pages_reader *image; /* nosave: where absent content is; as long as the memory file */
	int image_fd; /* nosave: its descriptor, or -1 */
	_Atomic bool hidden; /* nosave: see memfile_hide_image() */
	struct {
		uint64_t end, window;
	} own[OWN_STREAMS]; /* nosave: recent walks of writers, to widen their windows; guarded by mu */
	unsigned int own_next; /* nosave: as own */
	_Atomic uint64_t guard_gen; /* nosave: counts snapshots; see memfile_guard_gen() */
	struct readahead *ra; /* nosave: helpers that load ahead; NULL: none yet */
	_Atomic uint64_t last_load; /* nosave: where the last demand load ended */
	_Atomic(struct recording *) recording; /* nosave: of this restore; NULL: never begun */

	struct rangemap taken; /* nosave: a snapshot ends before the next save; guarded by mu */
	bool take_failed; /* nosave: out of memory while taking; the snapshot fails */

	_Atomic(char *) chunk[MAX_CHUNKS]; /* nosave: Sentry mappings */
};

/* Sentry address of a range inside one chunk, whatever is held of it; NULL: out of address space. */
char *memfile_raw_ptr(struct memfile *mf, uint64_t off, uint64_t len);
void memfile_punch(struct memfile *mf, uint64_t off, uint64_t len);
void memfile_give_back_all(struct memfile *mf);

/* --- memfile_content.c --- */
void memfile_content_init(struct memfile *mf);
void memfile_content_done(struct memfile *mf);
/* Nobody wants what [off, +len) holds any more; a checkpoint under way takes it first. Nobody else may be using it. */
void memfile_forget_content(struct memfile *mf, uint64_t off, uint64_t len);
/* Brings the absent, busy range [from, to) into the memory file. 0 or -EIO. mu not held. */
int memfile_fetch(struct memfile *mf, uint64_t from, uint64_t to);

/* Loads the window of the absent @h around @off for reading. mu held; dropped meanwhile. 0 or -EIO. */
int memfile_load_around_locked(struct memfile *mf, struct held *h, uint64_t off);
#define LOAD_WINDOW (256UL << 10)
/* How much who has come to @off is likely to want, a power of two: more each time it goes on where it was. */
uint64_t memfile_own_window(struct memfile *mf, uint64_t off);
/* It got what lies before @end. */
void memfile_own_done(struct memfile *mf, uint64_t off, uint64_t end);

/* --- memfile_held.c; mu held, dropped by what waits --- */
extern const struct rangemap_ops memfile_held_ops;
/* The node that contains @off or lies above it, once it is not busy; waits and looks again. */
struct held *memfile_held_next_locked(struct memfile *mf, uint64_t off);
/* The first that meets [off, end), once it is not busy, or NULL; waits and looks again. */
struct held *memfile_held_first_locked(struct memfile *mf, uint64_t off, uint64_t end);
/* [from, to) becomes one node of kind @kind, whatever was held of it, of which nothing may be busy. */
void memfile_held_set_locked(struct memfile *mf, uint64_t from, uint64_t to, enum held_kind kind);
/* Marks the part [from, to) of @h busy as a node of its own, which is returned. */
struct held *memfile_held_busy_locked(struct memfile *mf, struct held *h, uint64_t from, uint64_t to);
void memfile_held_idle_locked(struct memfile *mf, struct held *h);
/* The busy, absent @h has been loaded: clean, and not busy. */
void memfile_held_loaded_locked(struct memfile *mf, struct held *h);
/* Inserts a new node; [from, to) must be free in held. */
void memfile_held_add_locked(struct memfile *mf, uint64_t from, uint64_t to, enum held_kind kind, bool shared);
void memfile_held_drop_locked(struct memfile *mf, struct held *h);

/* --- memfile_readahead.c --- */
/* A demand load of [from, to) has happened: load what is likely to follow. mu not held. */
void memfile_readahead_hint(struct memfile *mf, uint64_t from, uint64_t to);
/* No helper loads anything until _resume(). Nests. */
void memfile_readahead_pause(struct memfile *mf);
void memfile_readahead_resume(struct memfile *mf);
void memfile_readahead_done(struct memfile *mf);

/* --- memfile_record.c --- */
bool memfile_recording(struct memfile *mf);
/* Pages of the image that somebody uses. */
void memfile_record(struct memfile *mf, uint64_t from, uint64_t to);

/* --- memfile_save.c --- */
/* A checkpoint takes [from, to), SNAP and busy, aside: it is about to be written or dropped. mu held; dropped meanwhile. */
void memfile_take_locked(struct memfile *mf, uint64_t from, uint64_t to);
void memfile_taken_done(struct memfile *mf);

#endif
