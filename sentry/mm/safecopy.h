/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access to memory that may vanish: mappings of host files that somebody truncates (SIGBUS), or a host that has no page to
 * give. A fault inside these routines ends them early instead of killing the Sentry.
 *
 * They are plain machine code between known addresses; the process-wide SIGSEGV/SIGBUS handler recognises their instruction
 * pointer and continues at their exit. Any thread, no allocation. Other faults go to the handler that was there before.
 */
#ifndef SENTRY_MM_SAFECOPY_H
#define SENTRY_MM_SAFECOPY_H

#include "base/cleanup.h"
#include "base/util.h"

/* Installs the handler; idempotent. mm_new() calls it. */
void safecopy_init(void);
/* Bytes NOT copied (0: all were). */
size_t safecopy(void *dst, const void *src, size_t n);
size_t safezero(void *dst, size_t n);
/* Atomic access to an aligned 32-bit word: 0 or -EFAULT. */
_must_check_ int safe_load_u32(const void *p, uint32_t *ret);
_must_check_ int safe_cmpxchg_u32(void *p, uint32_t old, uint32_t new_val, uint32_t *ret_old);

#endif
