/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout of pages.idx and pages.img; little-endian. Internal to the page store and its tests.
 *
 * pages.idx: header {magic, version, flags, frames, pages, size of pages.img, crc of entries, crc of header}, then one entry
 * {file page, offset, pages, stored length, crc, kind} per frame. pages.img: one page {magic, version, flags, crc, zeros}, then the
 * frames. With PAGES_FLAG_DIGESTS the entries are followed by the digests (digest.h) of their frames' stored bytes, in the same order
 * and under the same crc; those of entries without a frame are zero. Entries ascend and offsets follow each other without a gap, so that no two entries share a byte.
 *
 * Version 2 of the index (incremental images) has entries of kind 1 besides, in the same order: `pages` pages, any number, are those of
 * the parent (zero where the parent has none); their offset, length and crc are 0. Version 1 is written where there are none.
 */
#ifndef STATE_PAGES_FORMAT_H
#define STATE_PAGES_FORMAT_H

#include "state/stream.h"

#define PAGES_VERSION 1
#define PAGES_VERSION_LAYERED 2 /* of the index: has inherited pages */
#define PAGES_FLAG_RAW 1u
#define PAGES_FLAG_DIGESTS 2u /* of the index: the entries are followed by as many digests */
#define PAGES_INDEX_MAGIC "RUNSCPIX"
#define PAGES_DATA_MAGIC "RUNSCPAG"
#define PAGES_INDEX_HEADER 48
#define PAGES_DATA_HEADER PAGE_SIZE
#define PAGES_ENTRY 32
#define PAGES_KIND_STORED 0u
#define PAGES_KIND_INHERITED 1u

struct pages_entry {
	uint64_t file_page, offset;
	uint32_t npages, len, crc; /* crc of the stored bytes */
	uint32_t kind;
};

static inline void pages_entry_put(unsigned char *p, const struct pages_entry *e)
{
	put_le64(p, e->file_page);
	put_le64(p + 8, e->offset);
	put_le32(p + 16, e->npages);
	put_le32(p + 20, e->len);
	put_le32(p + 24, e->crc);
	put_le32(p + 28, e->kind);
}

#endif
