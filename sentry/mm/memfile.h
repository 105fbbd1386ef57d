/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory file: a memfd that is the physical memory of the application kernel (anonymous memory, tmpfs, page cache).
 * Allocated in page ranges with a reference count per page (kept as ranges). The Sentry maps it in large chunks on demand.
 *
 * Locks: memfile.mu is a leaf.
 *
 * Checkpoint: the file itself has no record. Every holder of pages (pma, shmobj, tmpfs file, ...) saves its offsets, which stay the
 * same, and in its after_load calls memfile_adopt() for each range it holds one reference of; so counts are right by
 * construction, whatever the image says. The content travels in the page store: memfile_save_pages(), memfile_attach_pages().
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
/* As memfile_alloc(), but of freed pages that were kept: they are there (no hole) and cost the host nothing. -ENOMEM when there are none. */
_must_check_ int memfile_alloc_warm(struct memfile *mf, uint64_t len, uint64_t *ret_off);
/* At most @max bytes of freed pages are kept for memfile_alloc_warm(); at first none are. They count neither as used nor as committed. */
void memfile_keep_freed(struct memfile *mf, uint64_t max);
/* The same for content of files and shared memory, which is counted apart. */
_must_check_ int memfile_alloc_shared(struct memfile *mf, uint64_t len, bool huge, uint64_t *ret_off);

/*
 * Who pays: every allocated range has an owner, a number below MEMFILE_OWNERS that means something to the hooks alone (control groups). Splitting and sharing
 * do not change it. @payer gives the owner of an allocation, @account is told of every change of an owner's bytes; both are called with mu held or
 * free, must be quick and take no lock. Ranges that come from an image belong to owner 1 until they are told otherwise.
 */
#define MEMFILE_OWNERS 4096
void memfile_set_payer(uint32_t (*payer)(void), void (*account)(uint32_t owner, int64_t delta));
/* What @from owns is @to's. Tells nobody. */
void memfile_owner_move(struct memfile *mf, uint32_t from, uint32_t to);
/* Restore: [off, +len) as far as it is allocated belongs to @owner. */
void memfile_set_owner(struct memfile *mf, uint64_t off, uint64_t len, uint32_t owner);
/* Bytes that are not holes, of the owners in @set (a bit map); *@ret_shared: of them in files and shared memory. Slow: asks the host for each range. */
uint64_t memfile_owner_resident(struct memfile *mf, const uint64_t set[MEMFILE_OWNERS / 64], uint64_t *ret_shared);
/* Bytes allocated for files and shared memory. */
uint64_t memfile_shared(const struct memfile *mf);
/* As memfile_adopt(), for those. */
_must_check_ int memfile_adopt_shared(struct memfile *mf, uint64_t off, uint64_t len);
/* The ranges of @owner as pairs of offset and length, malloc'd; how many numbers. */
size_t memfile_owner_ranges(struct memfile *mf, uint32_t owner, uint64_t **ret);
void memfile_ref(struct memfile *mf, uint64_t off, uint64_t len);
/* Pages whose count reaches zero are returned to the host (hole punched), or kept, and may be allocated again. */
void memfile_unref(struct memfile *mf, uint64_t off, uint64_t len);

struct memfile_piece {
	uint64_t off, len;
};

/*
 * memfile_unref() for many pieces at once; @v is sorted in place. What is adjacent in the file is given back to the host together, and a
 * call of the host costs about the same for a page as for a megabyte.
 */
void memfile_unref_many(struct memfile *mf, struct memfile_piece *v, size_t n);
/* True when every page of the range has exactly one reference. */
bool memfile_exclusive(struct memfile *mf, uint64_t off, uint64_t len);
/* Sentry address of [off, off+len), len <= 1 GiB not crossing a 1 GiB boundary of the file; after a lazy restore makes the
 * content present. Stays valid as long as the caller's reference. NULL only when the host is out of address space. */
void *memfile_ptr(struct memfile *mf, uint64_t off, uint64_t len);
/* Content must be present before the range is mapped into an application. 0 or -EIO (image unreadable). */
_must_check_ int memfile_ensure(struct memfile *mf, uint64_t off, uint64_t len);
/* Makes [off, len) zero again and gives its host memory back (madvise DONTNEED of exclusively owned pages, hole punching). */
void memfile_decommit(struct memfile *mf, uint64_t off, uint64_t len);
/* Copies pages inside the file without bringing holes to life. @dst is freshly allocated (zero). 0 or -EIO. */
_must_check_ int memfile_copy(struct memfile *mf, uint64_t dst, uint64_t src, uint64_t len);
/* True when nothing was ever written to [off, +len) (it reads as zero and costs the host nothing). */
bool memfile_is_hole(struct memfile *mf, uint64_t off, uint64_t len);

/* How many bytes of the range are not holes. */
uint64_t memfile_resident(struct memfile *mf, uint64_t off, uint64_t len);

/* Where absent content comes from after a lazy restore. read() fills @len bytes (page multiples) of the content of file offset
 * @off into @dst, which is zero; it may be called by several threads. 0 or -EIO. */
struct memfile_source {
	int (*read)(void *ctx, uint64_t off, uint64_t len, void *dst);
	void (*release)(void *ctx);
	void *ctx;
};
/* Installs the source; memfile_mark_absent() then names what it holds. Called once, before anything runs. */
void memfile_set_source(struct memfile *mf, const struct memfile_source *src);
_must_check_ int memfile_mark_absent(struct memfile *mf, uint64_t off, uint64_t len);
/* Makes everything present and releases the source. */
_must_check_ int memfile_ensure_all(struct memfile *mf);
uint64_t memfile_absent(const struct memfile *mf); /* bytes still only in the source */

/* Restore: one more reference on [off, +len), which is allocated if it was not. -EINVAL for a range that cannot be. */
_must_check_ int memfile_adopt(struct memfile *mf, uint64_t off, uint64_t len);
struct pages_writer;
struct pages_reader;
/* Checkpoint: gives every page that may hold something to @pw. Nothing may write to the file until the writer has drained. */
_must_check_ int memfile_save_pages(struct memfile *mf, struct pages_writer *pw);
/* Restore, after every object is loaded: the content of adopted pages comes from @pr when it is first needed. @pr becomes the memory file's,
 * as does @fd (the descriptor @pr reads from, or -1): both are released when all content is present. */
_must_check_ int memfile_attach_pages(struct memfile *mf, struct pages_reader *pr, int fd);
/* Calls @fn for each allocated range in ascending order; stops when it returns non-zero, and returns that. */
int memfile_for_each(struct memfile *mf, int (*fn)(void *arg, uint64_t off, uint64_t len, uint32_t refs), void *arg);

uint64_t memfile_used(const struct memfile *mf); /* bytes allocated */
uint64_t memfile_committed(const struct memfile *mf); /* bytes the host holds (fstat blocks) */
void memfile_set_limit(struct memfile *mf, uint64_t bytes);

#endif
