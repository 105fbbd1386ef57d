/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freezing the kernel: every task parked, no timer callback running.
 *
 * Order of a freeze (FREEZE_*): timers stop, then tasks are told and waited for. A thaw goes the other way round. Freezes nest
 * (pause + checkpoint). No application sees one: see EFREEZE in abi/restart.h.
 */
#ifndef SENTRY_KERNEL_FREEZE_H
#define SENTRY_KERNEL_FREEZE_H

#include "sentry/kernel/kernel.h"

void kernel_freeze(struct kernel *k);
void kernel_thaw(struct kernel *k);
/* Own thread: stays until the thaw if a freeze is on; clears WORK_FREEZE. */
void task_park(struct task *t);
/* After making tasks die that somebody waits for: parked ones look again. Not under freeze_mu. */
void freeze_recheck(struct kernel *k);
/* A task thread begins or ends. */
void freeze_task_started(struct task *t);
void freeze_task_gone(struct task *t);

#endif
