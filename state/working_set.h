/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A working set: which pages of an image its application used first, as recorded by one restore and read ahead by later ones. It is a hint
 * and nothing else: one that is missing, damaged or wrong costs time, never correctness, so it is bound to its image only by its name
 * (workset-<hash>.img) and is not signed.
 *
 * workset-<hash>.img, little-endian: "RUNSCWKS", version 1, number of runs, crc32c of the runs, crc32c of the 20 bytes before; then the
 * runs {u64 file page, u32 pages}, ascending and apart from each other. The header is written last.
 */
#ifndef STATE_WORKING_SET_H
#define STATE_WORKING_SET_H

#include "base/cleanup.h"
#include "base/util.h"

#define WORKING_SET_MAX_RUNS (1u << 20)

struct working_set {
	struct working_set_run {
		uint64_t page;
		uint32_t npages;
	} *runs; /* malloc'd */
	uint32_t nr, cap;
};

/* @fd is a regular file, read by offset. 0; -ENODATA: there is none yet (empty, or being recorded); -EINVAL: it is none; -ENOMEM, -EIO. */
_must_check_ int working_set_read(int fd, struct working_set *ret);
/* Replaces what @fd, open for writing, holds. */
_must_check_ int working_set_write(int fd, const struct working_set *ws);
/* Appends a run; the caller sees to the order. -ENOMEM; -E2BIG: there are WORKING_SET_MAX_RUNS. */
_must_check_ int working_set_add(struct working_set *ws, uint64_t page, uint64_t npages);
void working_set_done(struct working_set *ws);

#endif
