/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX timers (timer_create). tg->posix_timers is made on first use. */
#ifndef SENTRY_KERNEL_POSIX_TIMER_H
#define SENTRY_KERNEL_POSIX_TIMER_H

#include "sentry/kernel/task.h"

/* Deletes all timers of the group: at exec and at exit. Safe to call twice. */
void posix_timers_exit(struct thread_group *tg);

#endif
