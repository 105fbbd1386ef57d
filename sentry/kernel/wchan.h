/* SPDX-License-Identifier: Apache-2.0 */
/* Where a task sleeps. */
#ifndef SENTRY_KERNEL_WCHAN_H
#define SENTRY_KERNEL_WCHAN_H

#include "sentry/kernel/task.h"

/* Linux's name of the function that @t sleeps in, or NULL when it does not sleep. @t is referenced. */
const char *task_wchan(const struct task *t);
/*
 * Return addresses on the stack of the Sentry thread of the sleeping @t, as offsets in this program (addr2line -e runsc), innermost first; some may
 * be stale. How many. tasks_mu held, so that the thread does not end.
 */
size_t task_sentry_stack(const struct task *t, uint64_t *ret, size_t max);

#endif
