/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IORING_SETUP_SQPOLL: a helper that takes entries off the queue by itself.
 *
 * It looks at the tail every POLL_NS while there is work and for sq_idle_ms after, then says NEED_WAKEUP and sleeps. It works as the task that made
 * the ring and ends with that task's group; io_uring_enter then answers EOWNERDEAD.
 * DEVIATION: rings do not share one thread (ATTACH_WQ gives each its own).
 * Linux: io_uring/sqpoll.c.
 */
#include "sentry/fs/uring/uring_internal.h"
#include "sentry/kernel/kthread.h"

#define POLL_NS 50000

static void need_wakeup(struct uring *r, bool on)
{
	if (on)
		(void)__atomic_fetch_or(uring_word(r, RING_SQ_FLAGS), LINUX_IORING_SQ_NEED_WAKEUP, __ATOMIC_SEQ_CST);
	else
		(void)__atomic_fetch_and(uring_word(r, RING_SQ_FLAGS), ~LINUX_IORING_SQ_NEED_WAKEUP, __ATOMIC_SEQ_CST);
}

static bool stopping(struct uring *r)
{
	bool stop;

	mutex_lock(&uring_q_mu);
	stop = r->sq_stop;
	mutex_unlock(&uring_q_mu);
	return stop;
}

/* One round: whether anything was submitted or completed. */
static bool work(struct task *self, struct uring *r)
{
	bool any = false;

	if (!(r->setup & LINUX_IORING_SETUP_R_DISABLED) && uring_sq_pending(r)) {
		if (!kthread_adopt(self, r->sq_task, NULL))
			return false;
		any = uring_submit(r->sq_task, self, r, UINT32_MAX) > 0;
		kthread_drop(self);
		waitq_wake(&r->wq, POLL_WRITE);
	}
	return any;
}

static void sqpoll_main(struct task *self, void *arg)
{
	struct uring *r = arg;
	int64_t idle_at = ktime_mono() + (int64_t)r->sq_idle_ms * 1000000;

	mutex_lock(&uring_q_mu);
	r->sq_thread = self;
	mutex_unlock(&uring_q_mu);
	need_wakeup(r, false);
	while (!stopping(r)) {
		int64_t until = ktime_mono() + POLL_NS;

		kthread_park(self);
		task_block_prepare(self);
		if (work(self, r)) {
			idle_at = ktime_mono() + (int64_t)r->sq_idle_ms * 1000000;
			continue;
		}
		if (ktime_mono() >= idle_at) {
			need_wakeup(r, true);
			/* An entry put before the flag was visible is ours. */
			if ((uring_sq_pending(r) && !(r->setup & LINUX_IORING_SETUP_R_DISABLED)) || stopping(r)) {
				need_wakeup(r, false);
				continue;
			}
			until = TIME_FOREVER;
		}
		if (task_block(self, until) == 0 && until == TIME_FOREVER) {
			need_wakeup(r, false);
			idle_at = ktime_mono() + (int64_t)r->sq_idle_ms * 1000000;
		}
	}
	mutex_lock(&uring_q_mu);
	r->sq_thread = NULL;
	mutex_unlock(&uring_q_mu);
	waitq_wake(&r->wq, POLL_WRITE);
	uring_put(r);
}

int uring_sqpoll_start(struct uring *r)
{
	int e = kthread_start(the_kernel, "iou-sqp", sqpoll_main, uring_get(r));

	if (e < 0)
		uring_put(r);
	return e;
}

void uring_sqpoll_stop(struct uring *r)
{
	mutex_lock(&uring_q_mu);
	r->sq_stop = true;
	if (r->sq_thread)
		task_wake(r->sq_thread);
	mutex_unlock(&uring_q_mu);
}

void uring_sqpoll_wake(struct uring *r)
{
	mutex_lock(&uring_q_mu);
	if (r->sq_thread)
		task_wake(r->sq_thread);
	mutex_unlock(&uring_q_mu);
}

static int64_t has_room(void *arg)
{
	struct uring *r = arg;

	return uring_sq_pending(r) < r->sq_entries || stopping(r) ? 1 : -EAGAIN;
}

int64_t uring_sqpoll_wait_sq(struct task *t, struct uring *r)
{
	int64_t e = task_wait_on(t, &r->wq, POLL_WRITE, TIME_FOREVER, has_room, r);

	return e == 1 ? 0 : e;
}
