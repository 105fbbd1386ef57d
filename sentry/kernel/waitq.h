/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wait queues: who wants to know when an object becomes ready.
 *
 * An object that can become readable, writable or otherwise ready has one waitq. A waiter is either a task about to block
 * (task_waiter) or an epoll item. Event masks are poll(2)'s LINUX_POLL* bits; objects without such notion use ~0.
 *
 * Locks: waitq.mu is a leaf but for what callbacks do; a callback runs with waitq.mu held, must not block and must not
 * call back into the queue's object. Wake while holding the object's own mutex or not: both are fine.
 * Checkpoint: waiters are never saved; blocked calls are re-run, epoll items re-register.
 */
#ifndef SENTRY_KERNEL_WAITQ_H
#define SENTRY_KERNEL_WAITQ_H

#include "base/list.h"
#include "base/mutex.h"

struct task;
struct waitq;

struct waiter {
	struct list node;
	struct waitq *q; /* NULL when not queued */
	uint32_t mask;
	bool exclusive; /* a wake with a count stops after this many exclusive waiters (EPOLLEXCLUSIVE, accept) */
	/* @mask: the bits that became ready. Returns true when the wake was consumed (counts for exclusive). */
	bool (*fn)(struct waiter *w, uint32_t mask);
	struct task *task; /* for task waiters */
};

struct waitq {
	struct mutex mu;
	struct list waiters;
};

void waitq_init(struct waitq *q);
void waitq_done(struct waitq *q);
/* Adds @w (fn, mask set by the caller). Register first, then test readiness, then block. */
void waitq_add(struct waitq *q, struct waiter *w);
/* Idempotent. After it returns the callback is not running and will not run. */
void waitq_del(struct waiter *w);
/* Calls every waiter whose mask meets @mask; an exclusive one ends the round when it consumed the wake. */
void waitq_wake(struct waitq *q, uint32_t mask);
/* Wakes at most @n waiters in FIFO order; returns how many consumed. */
int waitq_wake_n(struct waitq *q, uint32_t mask, int n);

/* A waiter that wakes @t from task_block(). */
void task_waiter_init(struct waiter *w, struct task *t, uint32_t mask);

#endif
