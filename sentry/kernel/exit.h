/* SPDX-License-Identifier: Apache-2.0 */
/* The end of tasks and groups. */
#ifndef SENTRY_KERNEL_EXIT_H
#define SENTRY_KERNEL_EXIT_H

#include "sentry/kernel/task.h"

/* Ends the calling task's thread; @status is a wait(2) status. Never returns. */
void task_exit(struct task *t, int status) __attribute__((noreturn));
/* Ends the whole group (unless its end with another status has begun). Never returns. */
void task_exit_group(struct task *t, int status) __attribute__((noreturn));
/* Undoes a linked task whose thread could not be started: it has died with @status. */
void task_abort_unstarted(struct task *t, int status);
/* Removes a zombie group from the tree; tasks_mu held. Consumes the tree's reference (deferred: kernel_run_deferred()). */
void tg_reap_locked(struct thread_group *tg);
/* The last step of a dead group, and again when what held it up is over: tells who waits for it, or reaps it. tasks_mu held. */
void tg_settle_locked(struct thread_group *tg);
/* A thread that stayed a zombie for its tracer leaves the tree; tasks_mu held. kernel_run_deferred() afterwards. */
void task_release_zombie_locked(struct task *t);
/* Would SIGCHLD's disposition in @parent have children reaped at once? */
bool tg_ignores_children(struct thread_group *parent);
/* Tells the parent of a zombie; tasks_mu held. */
void signal_notify_exit_locked(struct thread_group *tg);
/* Gives @t's memory back at exec or exit, waking a vfork parent. */
void task_release_mm(struct task *t);

#endif
