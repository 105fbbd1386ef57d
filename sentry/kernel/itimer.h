/* SPDX-License-Identifier: Apache-2.0 */
/* Interval timers of a process (setitimer, alarm). */
#ifndef SENTRY_KERNEL_ITIMER_H
#define SENTRY_KERNEL_ITIMER_H

#include "sentry/kernel/task.h"

/* Gives a new group its timers, none armed. */
_must_check_ int itimers_init(struct thread_group *tg);
/* The group ends: disarms (synchronously) and releases. Safe to call twice. */
void itimers_exit(struct thread_group *tg);

/* RLIMIT_CPU of @tg has changed. tasks_mu held. */
void itimers_rlimit_changed(struct thread_group *tg);

#endif
