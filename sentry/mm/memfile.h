/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory file: a memfd that is the physical memory of the application kernel (anonymous memory, tmpfs, page cache).
 * Allocated in page ranges with a reference count per page (kept as ranges). The Sentry maps it in large chunks on demand.
 *
 * Locks: memfile.mu is a leaf. Checkpoint: ranges with references and their non-zero pages (state/pages.h); holders save
 * offsets, which stay the same after restore.
 */
#ifndef SENTRY_MM_MEMFILE_H
#define SENTRY_MM_MEMFILE_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/util.h"

struct memfile;

_must_check_ int memfile_new(struct memfile **ret);
void memfile_free(struct memfile *mf);
int memfile_fd(const struct memfile *mf);
/* Allocates @len bytes (page multiple), zeroed, contiguous, one reference each page. *@ret_off is the offset. @huge: prefer 2 MiB
 * alignment. -ENOMEM when the limit is reached. */
_must_check_ int memfile_alloc(struct memfile *mf, uint64_t len, bool huge, uint64_t *ret_off);
void memfile_ref(struct memfile *mf, uint64_t off, uint64_t len);
/* Pages whose count reaches zero are returned to the host (hole punched) and may be allocated again. */
void memfile_unref(struct memfile *mf, uint64_t off, uint64_t len);
/* True when every page of the range has exactly one reference. */
bool memfile_exclusive(struct memfile *mf, uint64_t off, uint64_t len);
/* Sentry address of [off, off+len), len <= 1 GiB not crossing a 1 GiB boundary of the file; after a lazy restore makes the
 * content present. Stays valid as long as the caller's reference. NULL only when the host is out of address space. */
void *memfile_ptr(struct memfile *mf, uint64_t off, uint64_t len);
/* Content must be present before the range is mapped into an application. 0 or -EIO (image unreadable). */
_must_check_ int memfile_ensure(struct memfile *mf, uint64_t off, uint64_t len);
/* Makes [off, len) zero again and gives its host memory back (madvise DONTNEED of exclusively owned pages, hole punching). */
void memfile_decommit(struct memfile *mf, uint64_t off, uint64_t len);
uint64_t memfile_used(const struct memfile *mf); /* bytes allocated */
uint64_t memfile_committed(const struct memfile *mf); /* bytes the host holds (fstat blocks) */
void memfile_set_limit(struct memfile *mf, uint64_t bytes);

#endif
