/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes: what the rest of the kernel calls. */
#ifndef SENTRY_KERNEL_FUTEX_H
#define SENTRY_KERNEL_FUTEX_H

#include "sentry/kernel/task.h"

/* The exiting (or exec'ing) task's robust list and held PI futexes: marks owners dead, wakes waiters. t->mm still there. */
void futex_exit(struct task *t);
/* FUTEX_WAKE of up to @n waiters on @addr (shared and private), for CLEARTID. */
void futex_wake_addr(struct task *t, gaddr_t addr, int n);

/* A loaded task whose interrupted call was a futex wait: queues it again, before any task runs. */
void futex_restore(struct task *t);

#endif
