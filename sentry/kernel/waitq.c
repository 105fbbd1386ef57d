/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wait queues. See waitq.h for the contract.
 *
 * Checkpoint: nothing here is saved; every waiter belongs to a blocked call (re-run) or an epoll item (re-registered).
 */
#include "sentry/kernel/waitq.h"

#include "sentry/kernel/task.h"

void waitq_init(struct waitq *q)
{
	mutex_init(&q->mu, "waitq.mu");
	list_init(&q->waiters);
}

void waitq_done(struct waitq *q)
{
	mutex_destroy(&q->mu);
}

void waitq_add(struct waitq *q, struct waiter *w)
{
	mutex_lock_nested(&q->mu);
	w->q = q;
	/* Exclusive waiters go last so that everybody else hears of every event. */
	if (w->exclusive)
		list_add_tail(&q->waiters, &w->node);
	else
		list_add(&q->waiters, &w->node);
	mutex_unlock(&q->mu);
}

void waitq_del(struct waiter *w)
{
	struct waitq *q = w->q;

	if (!q)
		return;
	mutex_lock_nested(&q->mu);
	list_del(&w->node);
	w->q = NULL;
	mutex_unlock(&q->mu);
}

static int wake_locked(struct waitq *q, uint32_t mask, int max)
{
	struct waiter *w, *tmp;
	int n = 0;

	list_for_each_safe(w, tmp, &q->waiters, node) {
		if (!(w->mask & mask))
			continue;
		if (!w->fn(w, mask))
			continue;
		n++;
		if (w->exclusive || n == max)
			break;
	}
	return n;
}

void waitq_wake(struct waitq *q, uint32_t mask)
{
	mutex_lock_nested(&q->mu); /* an epoll file's queue is woken from its sources' callbacks */
	(void)wake_locked(q, mask, 0);
	mutex_unlock(&q->mu);
}

int waitq_wake_n(struct waitq *q, uint32_t mask, int max)
{
	int n;

	if (max <= 0)
		return 0;
	mutex_lock_nested(&q->mu);
	n = wake_locked(q, mask, max);
	mutex_unlock(&q->mu);
	return n;
}

static bool task_waiter_fn(struct waiter *w, uint32_t mask)
{
	task_wake(w->task);
	return true;
}

void task_waiter_init(struct waiter *w, struct task *t, uint32_t mask)
{
	*w = (struct waiter){ .mask = mask, .fn = task_waiter_fn, .task = t };
}
