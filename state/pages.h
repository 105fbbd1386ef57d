/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page store: what the memory file held, as pages.img (bytes) and pages.idx (what is where).
 *
 * pages.img is a header page and then frames without gaps. A frame is up to 64 consecutive non-zero pages, with its own crc32c:
 *   raw form        (level 0)  stored as they are; every page is page-aligned, so runs can be mapped
 *   compressed form (level > 0)  an independent zstd frame, or the plain bytes when zstd would not shrink them
 * pages.idx lists the frames by ascending file page under one checksum. Pages that are in no frame are zero.
 *
 * The store of an incremental image has a parent: some of its pages are inherited from there (and perhaps there from further up). A
 * reader that was opened with its parent shows the whole; nothing else differs.
 *
 * Host system calls used: pwrite64, pwritev, pread64, fstat, ftruncate, write, read, mmap, madvise, sync_file_range, and threads for the writer.
 */
#ifndef STATE_PAGES_H
#define STATE_PAGES_H

#include "base/error.h"
#include "base/util.h"

#define PAGES_FRAME 64 /* pages in a frame, at most */
#define PAGES_MAX_FILE_PAGE ((uint64_t)1 << 34)

struct pages_writer;
struct pages_reader;

struct pages_stats {
	uint64_t pages_seen; /* given to pages_writer_add() */
	uint64_t pages_stored; /* not zero */
	uint64_t pages_inherited; /* left to the parent */
	uint64_t frames; /* index entries */
	uint64_t pages_bytes, index_bytes; /* file sizes */
	uint64_t chain_bytes; /* reader: pages_bytes of all layers */
	uint32_t index_version; /* of the file: for the manifest, as the next */
	uint32_t index_crc; /* crc32c of the whole index file */
	bool has_digest; /* when it was written */
	unsigned char index_digest[32]; /* of the whole index file (digest.h) */
};

/* --- writer --- */

/* Both files must be empty and stay the caller's; the index is written at the end. Either may be a pipe or a socket: the pages then
 * come in the order of their offsets, and a reader that stops stops the writer. Up to @threads threads help once there is
 * enough to do (0: everything happens in the calling thread). */
_must_check_ int pages_writer_new(int fd_index, int fd_pages, int level, unsigned int threads, struct pages_writer **ret,
				  struct error **err);
/* The index will have a cryptographic digest of each frame besides its checksum, so that a signature can stand for the pages. Before the
 * first page is added. */
_must_check_ int pages_writer_want_digests(struct pages_writer *pw);
/* Stores the pages that are not zero. File pages must ascend from call to call. @data is page-aligned and must stay mapped and
 * unchanged until pages_writer_drain() or _finish(). Returns 0 or the sticky negative errno. Every page is looked at: leave
 * out holes of the memory file, or looking will allocate them. */
_must_check_ int pages_writer_add(struct pages_writer *pw, uint64_t file_page, const void *data, size_t npages);
/* The same for data that changes as soon as this returns: it is copied. */
_must_check_ int pages_writer_add_copy(struct pages_writer *pw, uint64_t file_page, const void *data, size_t npages);
/* Waits until pages_writer_room(), which is at least 1 then, can be added without waiting for the disk. */
_must_check_ int pages_writer_reserve(struct pages_writer *pw);
size_t pages_writer_room(const struct pages_writer *pw);
/* The pages are those of the parent. In the same ascending order. */
_must_check_ int pages_writer_inherit(struct pages_writer *pw, uint64_t file_page, uint64_t npages);
/* Waits until everything added is in the file (not synced); the data may change after that. */
_must_check_ int pages_writer_drain(struct pages_writer *pw);
_must_check_ int pages_writer_finish(struct pages_writer *pw, struct pages_stats *ret, struct error **err);
/* Also abandons an unfinished one. */
struct pages_writer *pages_writer_free(struct pages_writer *pw);

/* True when the @npages pages at @p (page-aligned) are all zero. */
bool pages_are_zero(const void *p, size_t npages);

/* --- reader: all functions on an open reader are thread-safe --- */

/* Reads and checks the whole index; pages are read when asked for. Descriptors stay the caller's and must stay open. */
_must_check_ int pages_reader_open(int fd_index, int fd_pages, struct pages_reader **ret, struct error **err);
/* The same with the reader of its parent, which becomes the new reader's on success (NULL: it has none). An index with inherited pages needs one. */
_must_check_ int pages_reader_open_layer(int fd_index, int fd_pages, struct pages_reader *parent, struct pages_reader **ret, struct error **err);
struct pages_reader *pages_reader_free(struct pages_reader *pr);
bool pages_reader_has_digests(const struct pages_reader *pr); /* all layers have */
/* From now on frames are checked against their digests, too, in all layers. -ENOKEY: a layer has none. Before anything is read. */
_must_check_ int pages_reader_require_digests(struct pages_reader *pr, struct error **err);
/* Checksums are not looked at from now on (all layers). Bounds are. */
void pages_reader_trust(struct pages_reader *pr);

bool pages_reader_is_raw(const struct pages_reader *pr); /* the top layer is */
/* One past the last stored file page: to compare with the size of the memory file. */
uint64_t pages_reader_end(const struct pages_reader *pr);
void pages_reader_stats(const struct pages_reader *pr, struct pages_stats *ret);

struct pages_run {
	uint64_t file_page, npages;
};
/* A run of stored pages of one layer, as long as possible, that starts at @file_page or, when that is not stored, at the first stored page after it;
 * false when there is none. To iterate: continue at run.file_page + run.npages. */
bool pages_reader_run_at(const struct pages_reader *pr, uint64_t file_page, struct pages_run *ret);
/* All of the run that contains @file_page, of one layer; *@raw (may be NULL): is that layer raw, and can pages_view() show it? False: not stored. */
bool pages_reader_extent(const struct pages_reader *pr, uint64_t file_page, struct pages_run *ret, bool *raw);
/* Copies pages to @dst; pages that are not stored read as zero. Frames are checked against their checksum the first time a
 * byte of them is read this way. Returns 0, -EIO for damage or a read error, -ENOMEM. */
_must_check_ int pages_read(struct pages_reader *pr, uint64_t file_page, size_t npages, void *dst);
/* Raw form: where the first page of @run (from pages_reader_run_at(), or any part of such a run) is in fd_pages; the rest
 * follows. Mapped pages are not checked against their checksums. -EOPNOTSUPP in the compressed form, -EINVAL for no run. */
_must_check_ int pages_raw_map_info(const struct pages_reader *pr, const struct pages_run *run, int *ret_fd, uint64_t *ret_offset);

struct pages_view {
	size_t npages; /* as many of those asked for as lie together */
	const void *ptr; /* read-only mapping in this process, as long as the reader */
	int fd;
	uint64_t offset; /* in fd, to be mapped elsewhere */
};
/* Raw form: the stored pages from @file_page on, at most @npages, checked against the checksums of their frames (each the first time).
 * -EOPNOTSUPP: not stored, compressed, or on a file system that maps no files (use pages_read()); -EIO: damaged; -ENOMEM: cannot be mapped. */
_must_check_ int pages_view(struct pages_reader *pr, uint64_t file_page, size_t npages, struct pages_view *ret);
/* Tells the host that the pages, as far as they are stored in the raw form, will be read soon. A hint. */
void pages_advise(struct pages_reader *pr, uint64_t file_page, uint64_t npages);
/* Reads everything and checks every checksum. */
_must_check_ int pages_reader_verify(struct pages_reader *pr, struct error **err);
/* Copies all pages into a writer of any form; the caller finishes it. */
_must_check_ int pages_convert(struct pages_reader *pr, struct pages_writer *pw, struct error **err);

#endif
