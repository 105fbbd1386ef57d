/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of system calls, for `runsc debug`. */
#ifndef SENTRY_SYSCALLS_COUNTS_H
#define SENTRY_SYSCALLS_COUNTS_H

#include "sentry/kernel/task.h"

struct syscall_count {
	uint64_t calls, errors;
	uint64_t ns; /* time in the handler, sleeping included; only since syscall_timing is on */
};

/* Measure time too; costs two clock readings per call. Set by the first `runsc debug --counts`. */
extern _Atomic bool syscall_timing;
void syscall_count_get(uint64_t nr, struct syscall_count *ret);

/* Who called what this build does not have. */
struct syscall_missing {
	uint64_t nr, count;
	char comm[16];
};
void syscall_count_missing(struct task *t, uint64_t nr);
/* The @i-th entry; false: no more. */
bool syscall_missing_get(size_t i, struct syscall_missing *ret);

#endif
