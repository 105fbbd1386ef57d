/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A platform without a host: memory is a table of what was mapped where, traps come from a script. For unit tests of the Sentry
 * (mm, task loop, signals) that must not depend on ptrace.
 *
 * A script is a function called by switch_to(): it may read and write the application's memory (fake_read, fake_write: with the
 * mapped protections, a miss is reported), change the registers, and fills in the trap.
 */
#ifndef TESTS_FAKES_FAKE_PLATFORM_H
#define TESTS_FAKES_FAKE_PLATFORM_H

#include "platform/platform.h"

extern const struct platform_ops fake_platform_ops;

typedef void fake_script(struct plat_ctx *c, struct plat_as *as, struct plat_trap *t, void *arg);
/* For contexts made after the call. Without one, switch_to() reports getpid() calls for ever. */
void fake_set_script(struct platform *p, fake_script *fn, void *arg);

/* The application's accesses. 0, or -EFAULT with *@t filled in as the fault a platform would report. */
int fake_read(struct plat_as *as, uint64_t addr, void *buf, size_t len, struct plat_trap *t);
int fake_write(struct plat_as *as, uint64_t addr, const void *buf, size_t len, struct plat_trap *t);
/* Fills in a system call trap from the arguments. */
void fake_syscall(struct plat_trap *t, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2);

/* What is mapped at @addr: prot, or -1. */
int fake_mapped(struct plat_as *as, uint64_t addr);
/* Calls of map, unmap and protect so far, and live address spaces and contexts. */
struct fake_counts {
	unsigned maps, unmaps, protects, spaces, contexts;
};
struct fake_counts fake_counts(const struct platform *p);

#endif
