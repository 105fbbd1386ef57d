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
/*
 * Work for one helper that all share, asked for from anywhere: in callbacks of wait queues and timers too. Work that is queued when the kernel
 * freezes runs after the thaw; its owner saves what it needs and queues it again after a restore.
 */
struct kwork {
	struct list node; /* queued; private */
	void (*fn)(struct kwork *w); /* runs with no lock held and may free @w; must not sleep */
};
/* Queues @w unless it is queued already. */
void kwork_queue(struct kwork *w);
/* @w is not queued any more. Whether it is running only @w->fn itself can know: call from there. */
void kwork_cancel(struct kwork *w);
/* Makes sure that the helper exists. Task context; call before the first kwork_queue(). */
_must_check_ int kwork_start(struct kernel *k);
/* After a restore: the helper, if loaded objects have queued work. */
_must_check_ int kwork_restore(struct kernel *k);

/* kernel_freeze(): tells all helpers. tasks_mu held. */
void kthread_freeze_locked(struct kernel *k);

#endif
