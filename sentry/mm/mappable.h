/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something that can be mapped: a regular file's content, shared anonymous memory, a device. Embedded in the inode-like
 * object that owns the pages.
 *
 * Locks: mm.lock > mappable.mu (list of mappings) ; translate() is called with mm.lock held and may take the object's
 * own page lock (which therefore never is held while taking an mm.lock; mappable_invalidate() is called without it).
 */
#ifndef SENTRY_MM_MAPPABLE_H
#define SENTRY_MM_MAPPABLE_H

#include "base/list.h"
#include "base/mutex.h"
#include "base/util.h"

struct mappable;
struct vma;

/* Where a range of pages lives. */
struct backing {
	enum { BACKING_MEMFILE, BACKING_HOST } kind;
	int fd; /* HOST: a host file descriptor, valid as long as the mappable */
	uint64_t off; /* offset in the memory file or host file */
	uint64_t len; /* bytes translated, page multiple, > 0 */
	bool writable; /* false: a write through a shared mapping must translate again with write = true (e.g. holes, dirty marks) */
};

struct mappable_ops {
	/* Backing for [@off, @off + some) with at least the page at @off and at most @len bytes, contiguous. @write: pages must be
	 * writable in place (allocate holes). For MEMFILE the pages are referenced once for the caller (memfile_unref by the mm).
	 * -EFAULT beyond the end of the object (SIGBUS), -ENOMEM, -EIO. */
	int (*translate)(struct mappable *m, uint64_t off, uint64_t len, bool write, struct backing *ret);
	void (*get)(struct mappable *m); /* keeps the owner alive */
	void (*put)(struct mappable *m);
	/* Objects that userfaultfd may serve: is the page at @off there? 1, 0 (reads as zero), or -EFAULT beyond the end. mm.lock held. */
	int (*present)(struct mappable *m, uint64_t off);
	/* msync(MS_SYNC); NULL: nothing to do. */
	int (*sync)(struct mappable *m, uint64_t off, uint64_t len);
};

struct mappable {
	const struct mappable_ops *ops;
	struct mutex mu;
	struct list vmas; /* every vma that maps it, through vma.map_node; guarded by mu */
};

void mappable_init(struct mappable *m, const struct mappable_ops *ops);
/* The object's pages in [off, off+len) are gone or moved (truncate, punch hole): every application mapping of them (also
 * private, not yet copied) is removed so that the next access translates again. @cow_too: also private copies (truncate). */
void mappable_invalidate(struct mappable *m, uint64_t off, uint64_t len, bool cow_too);
/* True when a shared writable mapping exists (seals, ETXTBSY). */
bool mappable_has_writable(struct mappable *m);

#endif
