/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helper threads of the kernel: tasks without application code, which run calls on behalf of application tasks (io_uring's workers).
 *
 * A helper has a struct task so that everything that takes "the calling task" works, but is in no thread group, has no pid of its own and
 * gets no signals. Before each piece of work it adopts an application task: its memory, descriptors, directory, credentials, namespaces and
 * identity, with references of its own. It sleeps in task_block() like everybody, parks in a freeze, and is not saved: who uses helpers
 * keeps the work in savable objects and starts helpers again after a restore.
 *
 * Locks: kernel.tasks_mu guards the list of helpers.
 */
#ifndef SENTRY_KERNEL_KTHREAD_H
#define SENTRY_KERNEL_KTHREAD_H

#include "sentry/kernel/task.h"

/* Starts a thread that runs @fn(its task, @arg) and ends when @fn returns. Safe while the kernel is frozen: the thread parks first. -ENOMEM, -EAGAIN. */
_must_check_ int kthread_start(struct kernel *k, const char *name, void (*fn)(struct task *t, void *arg), void *arg);
/* Own thread: becomes @from in all that matters to system calls, with @cred (NULL: @from's); false when @from has exited. */
bool kthread_adopt(struct task *self, struct task *from, struct cred *cred);
/* Own thread: gives back what kthread_adopt() took. */
void kthread_drop(struct task *self);
/* Own thread: parks if a freeze is on. Call between pieces of work, holding nothing. */
void kthread_park(struct task *self);
/* kernel_freeze(): tells all helpers. tasks_mu held. */
void kthread_freeze_locked(struct kernel *k);

#endif
