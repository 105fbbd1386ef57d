/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internal results of system calls. They never reach the application: the task loop turns them into EINTR or a re-run. Same
 * meaning as Linux's include/linux/errno.h.
 */
#ifndef SENTRY_ABI_RESTART_H
#define SENTRY_ABI_RESTART_H

#define ERESTARTSYS    512 /* re-run if no handler ran or the handler has SA_RESTART, else EINTR */
#define ERESTARTNOINTR 513 /* always re-run */
#define ERESTARTNOHAND 514 /* re-run if no handler ran, else EINTR */
#define ERESTARTBLOCK  516 /* like NOHAND; the deadline kept in task->sysctx makes the re-run continue, not begin again */
/* A freeze interrupted the call: the task parks, and after the thaw (or restore) the same call is dispatched again with
 * task->sysctx as it was, before any signal is looked at. Callers pass it through unchanged. */
#define EFREEZE 530

#endif
