/* SPDX-License-Identifier: Apache-2.0 */
/* Shared anonymous memory as an object: MAP_SHARED|MAP_ANONYMOUS, SysV shared memory segments. */
#ifndef SENTRY_MM_SHMOBJ_H
#define SENTRY_MM_SHMOBJ_H

#include "base/cleanup.h"
#include "sentry/mm/mappable.h"
#include "sentry/mm/memfile.h"

/* @size: page multiple; pages beyond it are SIGBUS. One reference (ops->put drops it). */
_must_check_ int shmobj_new(struct memfile *mf, uint64_t size, struct mappable **ret);
uint64_t shmobj_size(const struct mappable *m);
/* Bytes of it that are really there. */
uint64_t shmobj_resident(struct mappable *m);
bool mappable_is_shmobj(const struct mappable *m);
/* Makes [off, +len) zero again and gives its memory back (MADV_REMOVE). */
void shmobj_punch(struct mappable *m, uint64_t off, uint64_t len);

/* --- for System V shared memory (shm_attach.c) --- */
struct mm;
struct task;
/* VMAs that map @m, in all address spaces. */
uint32_t mappable_nr_vmas(struct mappable *m);
/* The object whose mapping began at @addr and whose name in /proc/pid/maps begins with @name_prefix; referenced, or NULL. */
struct mappable *mm_object_at(struct mm *mm, uint64_t addr, const char *name_prefix);
/* Removes what is left of the mapping of @m that began at @addr. */
_must_check_ int mm_unmap_object(struct mm *mm, struct task *t, uint64_t addr, uint64_t len, struct mappable *m);

#endif
