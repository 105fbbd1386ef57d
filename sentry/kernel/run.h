/* SPDX-License-Identifier: Apache-2.0 */
/* The task loop. */
#ifndef SENTRY_KERNEL_RUN_H
#define SENTRY_KERNEL_RUN_H

#include "sentry/kernel/task.h"

/* Starts the pthread of a task that is fully built (in its group, with registers). The thread holds its own reference. */
_must_check_ int task_start(struct task *t);
/* The same with another first function, for helper threads (kthread.c). */
_must_check_ int task_start_thread(struct task *t, void *(*main)(void *), void *arg);
/* Leaves the calling task's thread; everything of the task is done. */
void task_thread_end(void) __attribute__((noreturn));
/* The task returns to the application without touching rax: execve's and rt_sigreturn's "result". */
#define SYS_NO_RETURN_VALUE (-600)
/* The platform context as the self argument of mm functions. */
static inline struct plat_ctx *task_self(struct task *t)
{
	return t->pctx;
}

#endif
