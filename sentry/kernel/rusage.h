/* SPDX-License-Identifier: Apache-2.0 */
/* Resource usage: sums over a group, and the rusage structure. */
#ifndef SENTRY_KERNEL_RUSAGE_H
#define SENTRY_KERNEL_RUSAGE_H

#include "sentry/kernel/task.h"

/* Dead and live threads of @tg together. tasks_mu held. */
void tg_usage_total(struct thread_group *tg, struct tg_usage *ret);
/* Sums, but for the larger maxrss. */
void usage_add(struct tg_usage *u, const struct tg_usage *o);
_must_check_ int copy_out_rusage(struct task *t, gaddr_t dst, const struct tg_usage *u);
/* CPU time of a task so far, from its stub and Sentry thread, in ns. */
void task_cpu_times(struct task *t, int64_t *utime, int64_t *stime);

/* Takes the platform context away from the exiting task @t, keeping the CPU time that it measured. */
struct plat_ctx *task_take_ctx(struct task *t);

#endif
