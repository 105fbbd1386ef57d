/* SPDX-License-Identifier: Apache-2.0 */
/* Just enough of x86-64 decoding to say what a page fault was doing. */
#ifndef SENTRY_ARCH_INSN_H
#define SENTRY_ARCH_INSN_H

#include "platform/regs.h"

#define INSN_MAX 15

/* Was the access to @addr by the instruction @code (@n bytes of it are known) at r->rip a write? */
bool insn_writes(const uint8_t *code, size_t n, const struct arch_regs *r, uint64_t addr);

#endif
