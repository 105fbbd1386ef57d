/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one blocking primitive, and how work reaches a task.
 *
 * A task sleeps only here (and in the stop and freeze points, which use the same lock and condition). Wake reasons: an event
 * (task_wake), a signal/stop/kill (WORK_SIGNAL), a freeze (WORK_FREEZE), a deadline.
 *
 * No wake-up is lost: waiters are registered before the condition is tested, `woken` is sticky until consumed, and work bits are
 * set before park_mu is taken to signal.
 *
 *   sleeper                         waker
 *   task_block_prepare: woken = 0
 *   test condition: not ready
 *                                   condition becomes true; task_wake: woken = 1
 *   task_block: woken -> returns 0
 */
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/strace/strace.h"

__thread struct task *current_task;

void task_block_prepare(struct task *t)
{
	mutex_lock(&t->park_mu);
	t->woken = false;
	mutex_unlock(&t->park_mu);
}

static bool fatal_pending(struct task *t)
{
	return __atomic_load_n(&t->tg->group_exiting, __ATOMIC_ACQUIRE) ||
	       (__atomic_load_n(&t->pending.set, __ATOMIC_ACQUIRE) & SIGBIT(SIGKILL));
}

#define TRACE_AFTER NSEC_PER_SEC /* a trace shows the beginning of a call that sleeps for longer */

static int block(struct task *t, int64_t deadline, bool killable)
{
	int64_t host_deadline = ktime_to_host(deadline), trace_at = strace_on ? ktime_mono() + TRACE_AFTER : 0;
	int r;

	mutex_lock(&t->park_mu);
	atomic_store_explicit(&t->block_frame, __builtin_frame_address(0), memory_order_relaxed);
	atomic_store_explicit(&t->run_state, killable ? 'D' : 'S', memory_order_relaxed);
	for (;;) {
		uint32_t work = atomic_load(&t->work);

		if (t->woken) {
			t->woken = false;
			r = 0;
			break;
		}
		if ((work & (WORK_SIGNAL | WORK_TRACE)) && (!killable || fatal_pending(t))) {
			r = -ERESTARTSYS;
			break;
		}
		if (work & (WORK_FREEZE | WORK_CGROUP)) {
			r = -EFREEZE;
			break;
		}
		if (unlikely(trace_at != 0) && deadline > trace_at) {
			(void)cond_timedwait(&t->park_cv, &t->park_mu, ktime_to_host(trace_at));
			if (ktime_mono() >= trace_at) {
				trace_at = 0;
				strace_blocked(t);
			}
		} else if (deadline == TIME_FOREVER) {
			cond_wait(&t->park_cv, &t->park_mu);
		} else if (ktime_mono() >= deadline) {
			r = -ETIMEDOUT;
			break;
		} else {
			(void)cond_timedwait(&t->park_cv, &t->park_mu, host_deadline);
		}
	}
	atomic_store_explicit(&t->run_state, 'R', memory_order_relaxed);
	atomic_store_explicit(&t->block_frame, NULL, memory_order_relaxed);
	mutex_unlock(&t->park_mu);
	t->nvcsw++;
	return r;
}

int task_block(struct task *t, int64_t deadline)
{
	return block(t, deadline, false);
}

int task_block_dying(struct task *t)
{
	int r = 0;

	mutex_lock(&t->park_mu);
	while (!t->woken && !r) {
		if (atomic_load(&t->work) & WORK_FREEZE)
			r = -EFREEZE;
		else
			cond_wait(&t->park_cv, &t->park_mu);
	}
	t->woken = false;
	mutex_unlock(&t->park_mu);
	return r;
}

int task_block_killable(struct task *t, int64_t deadline)
{
	return block(t, deadline, true);
}

void task_stand(struct task *t)
{
	uint32_t known = atomic_load(&t->work) & ~WORK_FREEZE;

	mutex_lock(&t->park_mu);
	while (!t->woken && !(atomic_load(&t->work) & ~known) && !fatal_pending(t))
		cond_wait(&t->park_cv, &t->park_mu);
	t->woken = false;
	mutex_unlock(&t->park_mu);
}

void task_wake(struct task *t)
{
	mutex_lock(&t->park_mu);
	t->woken = true;
	cond_signal(&t->park_cv);
	mutex_unlock(&t->park_mu);
}

void task_set_work(struct task *t, uint32_t bits)
{
	uint32_t old = atomic_fetch_or(&t->work, bits);

	if ((old & bits) == bits || t == current_task)
		return;
	mutex_lock(&t->park_mu);
	cond_signal(&t->park_cv);
	if (t->pctx)
		t->k->pops->interrupt(t->pctx);
	mutex_unlock(&t->park_mu);
}

int64_t task_deadline(struct task *t, int64_t rel_ns)
{
	struct sysctx *c = &t->sysctx;

	if (c->again && c->has_deadline)
		return c->deadline;
	c->has_deadline = true;
	if (rel_ns < 0 || add_overflow(ktime_mono(), rel_ns, &c->deadline))
		c->deadline = TIME_FOREVER;
	return c->deadline;
}

int64_t task_wait_on(struct task *t, struct waitq *q, uint32_t mask, int64_t deadline, int64_t (*ready)(void *arg),
		     void *arg)
{
	struct waiter w;
	int64_t r;

	task_waiter_init(&w, t, mask);
	task_block_prepare(t);
	waitq_add(q, &w);
	for (;;) {
		r = ready(arg);
		if (r != 0 && r != -EAGAIN)
			break;
		r = task_block(t, deadline);
		if (r < 0)
			break;
	}
	waitq_del(&w);
	return r;
}
