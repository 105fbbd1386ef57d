/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading sums of usage: for groups and for the kernel. */
#ifndef SENTRY_KERNEL_TASK_USAGE_STATE_H
#define SENTRY_KERNEL_TASK_USAGE_STATE_H

#include "schemas/task.pb-c.h"
#include "sentry/kernel/task.h"
#include "state/state.h"

Sentry__Usage *usage_save(struct state_writer *w, const struct tg_usage *u);
/* @m NULL or short (older images): zeros. */
_must_check_ int usage_load(struct state_reader *r, struct tg_usage *u, const Sentry__Usage *m);

#endif
