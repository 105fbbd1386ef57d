/* SPDX-License-Identifier: Apache-2.0 */
/* A task's tracing in its record. */
#ifndef SENTRY_KERNEL_PTRACE_STATE_H
#define SENTRY_KERNEL_PTRACE_STATE_H

#include "schemas/task.pb-c.h"
#include "sentry/kernel/ptrace.h"
#include "state/state.h"

/* NULL for a task that was never traced. */
Sentry__Ptrace *ptrace_save(struct state_writer *w, const struct task *t);
/* @m may be NULL. After t->sysctx. */
_must_check_ int ptrace_load(struct state_reader *r, struct task *t, const Sentry__Ptrace *m);
/* Links the tracee to its tracer. */
_must_check_ int ptrace_after_load(struct state_reader *r, struct task *t);

#endif
