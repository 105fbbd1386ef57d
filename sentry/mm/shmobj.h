/* SPDX-License-Identifier: Apache-2.0 */
/* Shared anonymous memory as an object: MAP_SHARED|MAP_ANONYMOUS, SysV shared memory segments. */
#ifndef SENTRY_MM_SHMOBJ_H
#define SENTRY_MM_SHMOBJ_H

#include "base/cleanup.h"
#include "sentry/mm/mappable.h"
#include "sentry/mm/memfile.h"

/* @size: page multiple; pages beyond it are SIGBUS. One reference (ops->put drops it). */
_must_check_ int shmobj_new(struct memfile *mf, uint64_t size, struct mappable **ret);
bool mappable_is_shmobj(const struct mappable *m);
/* Makes [off, +len) zero again and gives its memory back (MADV_REMOVE). */
void shmobj_punch(struct mappable *m, uint64_t off, uint64_t len);

#endif
