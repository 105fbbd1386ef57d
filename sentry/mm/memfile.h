/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory file: a memfd that is the physical memory of the application kernel (anonymous memory, tmpfs, page cache).
 * Allocated in page ranges with a reference count per page (kept as ranges). The Sentry maps it in large chunks on demand.
 *
 * Locks: memfile.mu is a leaf. Some functions wait, without it, for a page that another thread is reading from the image.
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
/* In a process that was forked from the one that made @mf: a file of its own in the place of the one that it shares. Nothing may have
 * touched content yet; ranges may have been adopted. -EBUSY: something has. */
_must_check_ int memfile_renew(struct memfile *mf);
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
/* Sentry address of [off, off+len), len <= 1 GiB not crossing a 1 GiB boundary of the file, for reading and writing: content is
 * present and noted as changed. Stays valid as long as the caller's reference, but only until the next freeze may it be written
 * through (see memfile_set_wild()). NULL: the image is unreadable, or the host out of address space. Of private pages that an
 * application may be looking at in the image call memfile_own() first. */
void *memfile_ptr(struct memfile *mf, uint64_t off, uint64_t len);
/* For reading only: the address of the bytes at @off, of at least one page's rest; *@len is shortened to what lies together. It may be
 * in the image: later writes of others need not show. NULL as above. */
const void *memfile_look(struct memfile *mf, uint64_t off, uint64_t *len);
/* Loads what of the range cannot be shown in the image. 0 or -EIO (image unreadable). */
_must_check_ int memfile_ensure(struct memfile *mf, uint64_t off, uint64_t len);
/* The same for everything. */
_must_check_ int memfile_ensure_all(struct memfile *mf);
/* The range, just allocated or adopted, is written by the Sentry through a pointer it keeps: every checkpoint stores it. Ends with the last reference. */
void memfile_set_wild(struct memfile *mf, uint64_t off, uint64_t len);

/* What to map for a page. [start, end) is a range of the memory file, fd and fd_off say where its content is. */
struct memfile_show {
	uint64_t start, end;
	int fd;
	uint64_t fd_off; /* of start */
	bool writable; /* false: only after memfile_own() */
	bool image; /* fd is the image: checked, present in the page cache */
};
/* How the page at @off can be shown, and with it as much of [@lo, @hi) as is alike. @private: nobody but the caller, who holds
 * its mm.lock for writing, maps these pages. 0 or -EIO. */
_must_check_ int memfile_show(struct memfile *mf, uint64_t off, uint64_t lo, uint64_t hi, bool private, struct memfile_show *ret);

/* The host refuses to map the image with the rights that are wanted (it is on a file system without execution): from now on memfile_show()
 * shows nothing of it. What is shown already may stay. */
void memfile_hide_image(struct memfile *mf);

struct memfile_owned {
	uint64_t start, end; /* what has become writable now, with @off in it; 0, 0: it was */
	bool moved; /* it may have been shown in the image: must be replaced */
};
/* Makes the page at @off writable, and with it what is likely to be written next within [@lo, @hi); windows are aligned as if
 * @off were @phase. For private pages the caller holds its mm.lock for writing. 0 or -EIO. */
_must_check_ int memfile_own(struct memfile *mf, uint64_t off, uint64_t lo, uint64_t hi, uint64_t phase, struct memfile_owned *ret);
/* How many bytes from @off on, at most @len, may be written without memfile_own(). */
uint64_t memfile_writable_len(struct memfile *mf, uint64_t off, uint64_t len);
/* The same for bytes that need it. */
uint64_t memfile_held_len(struct memfile *mf, uint64_t off, uint64_t len);
bool memfile_is_held(struct memfile *mf, uint64_t off); /* of one page */
/* Counts moments at which everything became read-only for the application. Whoever maps pages compares it with the value its mappings
 * were made under and takes their write permission away before the application runs. */
uint64_t memfile_guard_gen(const struct memfile *mf);
/* @fn is called when a page of the image turns out to be damaged or unreadable. The application must not run on. */
void memfile_set_damage_hook(void (*fn)(void));
void memfile_damaged(struct memfile *mf);
/* Makes [off, len) zero again and gives its host memory back (madvise DONTNEED of exclusively owned pages, hole punching). */
void memfile_decommit(struct memfile *mf, uint64_t off, uint64_t len);
/* Copies pages inside the file without bringing holes to life. @dst is freshly allocated (zero). 0 or -EIO. */
_must_check_ int memfile_copy(struct memfile *mf, uint64_t dst, uint64_t src, uint64_t len);
/* True when nothing was ever written to [off, +len) (it reads as zero and costs the host nothing). */
bool memfile_is_hole(struct memfile *mf, uint64_t off, uint64_t len);

/* How many bytes of the range are not holes. */
uint64_t memfile_resident(struct memfile *mf, uint64_t off, uint64_t len);

uint64_t memfile_absent(const struct memfile *mf); /* bytes that are only in the image */

/* Restore: one more reference on [off, +len), which is allocated if it was not. -EINVAL for a range that cannot be. */
_must_check_ int memfile_adopt(struct memfile *mf, uint64_t off, uint64_t len);
struct pages_writer;
struct pages_reader;
/* Checkpoint of a kernel that stays frozen until @pw has drained: gives it every page that may hold something. @incremental: what has not
 * changed since the last image is inherited. */
_must_check_ int memfile_save_pages(struct memfile *mf, struct pages_writer *pw, bool incremental);

/*
 * Checkpoint of a kernel that runs on: _begin() while it is frozen, _write() at leisure, _end() always. Writers copy what has not been
 * written yet, so that @pw gets the pages as they were at _begin(). After a good _end() everything is clean: the next save may be
 * incremental to this one.
 */
struct memfile_snapshot;
/* A snapshot is about to begin, and the platform's mappings of [off, +len) are about to lose their write permission: writes are noticed from
 * now on, so that what is not written before it begins need not be protected then. @complete: it will not be incremental. A hint. */
void memfile_expect_snapshot(struct memfile *mf, uint64_t off, uint64_t len, bool complete);
_must_check_ int memfile_snapshot_begin(struct memfile *mf, bool incremental, struct memfile_snapshot **ret);
_must_check_ int memfile_snapshot_write(struct memfile_snapshot *s, struct pages_writer *pw);
struct memfile_snapshot *memfile_snapshot_end(struct memfile_snapshot *s);
/* Restore, after every object is loaded: the content of adopted pages comes from @pr when it is first needed. @pr becomes the memory file's,
 * as does @fd (the descriptor @pr reads from, or -1). */
_must_check_ int memfile_attach_pages(struct memfile *mf, struct pages_reader *pr, int fd);
struct working_set;
/* Helpers bring the pages of @ws nearer, in the order of the image: into the host's page cache, or, if they cannot be shown there, into the
 * memory file. @ws becomes the memory file's. */
void memfile_prefetch(struct memfile *mf, struct working_set *ws);
/* The same with all pages. */
void memfile_load_behind(struct memfile *mf);
/* From now on what is used of the image is recorded. -EBUSY: it was before. */
_must_check_ int memfile_record_start(struct memfile *mf);
/* What was used since then. -EALREADY: nothing is recorded (any more); -ENOMEM. */
_must_check_ int memfile_record_end(struct memfile *mf, struct working_set *ret);
/* Calls @fn for each allocated range in ascending order; stops when it returns non-zero, and returns that. */
int memfile_for_each(struct memfile *mf, int (*fn)(void *arg, uint64_t off, uint64_t len, uint32_t refs), void *arg);

uint64_t memfile_used(const struct memfile *mf); /* bytes allocated */
uint64_t memfile_committed(const struct memfile *mf); /* bytes the host holds (fstat blocks) */
void memfile_set_limit(struct memfile *mf, uint64_t bytes);

#endif
