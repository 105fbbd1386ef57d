/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completions: the ring, what overflows it, who is told, and io_uring_enter's wait.
 *
 * The tail is ours, the head the application's: whatever it writes there, at most cq_entries are taken as unread.
 * Linux: io_uring/io_uring.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/uring/uring_internal.h"

#define MAX_OVERFLOW (1u << 18) /* Linux has no such limit but memory; beyond it completions are lost and counted */

uint32_t uring_cq_ready(struct uring *r)
{
	return uring_load(r, RING_CQ_TAIL) - uring_load(r, RING_CQ_HEAD);
}

static bool room_locked(struct uring *r)
{
	return r->cq_tail - uring_load(r, RING_CQ_HEAD) < r->cq_entries;
}

static void put_locked(struct uring *r, const struct linux_io_uring_cqe *c)
{
	size_t size = uring_cqe_size(r);
	char *at = r->rings + RING_CQES + (r->cq_tail & (r->cq_entries - 1)) * size;

	memcpy(at, c, sizeof(*c));
	if (size > sizeof(*c))
		memset(at + sizeof(*c), 0, size - sizeof(*c));
	r->cq_tail++;
	uring_store(r, RING_CQ_TAIL, r->cq_tail);
}

static void set_overflow_flag(struct uring *r, bool on)
{
	if (on)
		(void)__atomic_fetch_or(uring_word(r, RING_SQ_FLAGS), LINUX_IORING_SQ_CQ_OVERFLOW, __ATOMIC_RELEASE);
	else
		(void)__atomic_fetch_and(uring_word(r, RING_SQ_FLAGS), ~LINUX_IORING_SQ_CQ_OVERFLOW, __ATOMIC_RELEASE);
}

bool uring_post(struct uring *r, uint64_t user_data, int32_t res, uint32_t cflags, bool timeout)
{
	struct linux_io_uring_cqe c = { user_data, res, cflags };
	struct uring_cqe *o;

	mutex_guard(&r->cq_mu);
	if (timeout)
		r->cq_timeouts++;
	if (list_empty(&r->overflow) && room_locked(r)) {
		put_locked(r, &c);
		return true;
	}
	o = r->nr_overflow < MAX_OVERFLOW ? calloc(1, sizeof(*o)) : NULL;
	if (!o) {
		uring_store(r, RING_CQ_OVERFLOW, uring_load(r, RING_CQ_OVERFLOW) + 1);
		r->cq_lost = true;
		return false;
	}
	o->cqe = c;
	list_add_tail(&r->overflow, &o->node);
	r->nr_overflow++;
	set_overflow_flag(r, true);
	return true;
}

bool uring_post_room(struct uring *r, uint64_t user_data, int32_t res, uint32_t cflags)
{
	struct linux_io_uring_cqe c = { user_data, res, cflags };

	mutex_guard(&r->cq_mu);
	if (!list_empty(&r->overflow) || !room_locked(r))
		return false;
	put_locked(r, &c);
	return true;
}

bool uring_flush_overflow(struct uring *r)
{
	bool moved = false, empty;

	mutex_lock(&r->cq_mu);
	while (!list_empty(&r->overflow) && room_locked(r)) {
		struct uring_cqe *o = list_first(&r->overflow, struct uring_cqe, node);

		put_locked(r, &o->cqe);
		list_del(&o->node);
		free(o);
		r->nr_overflow--;
		moved = true;
	}
	empty = list_empty(&r->overflow);
	if (empty && moved)
		set_overflow_flag(r, false);
	mutex_unlock(&r->cq_mu);
	if (moved)
		uring_cq_notify(r, false);
	return empty;
}

static void signal_eventfd(struct uring *r, bool async)
{
	struct file *f = NULL;
	uint64_t one = 1;
	struct uio u;

	mutex_lock(&r->cq_mu);
	if (r->eventfd && (async || !r->eventfd_async) && !(uring_load(r, RING_CQ_FLAGS) & LINUX_IORING_CQ_EVENTFD_DISABLED))
		f = file_get(r->eventfd);
	mutex_unlock(&r->cq_mu);
	if (!f)
		return;
	uio_kernel(&u, &one, sizeof(one));
	(void)f->ops->write(f, NULL, &u, NULL, 0); /* a full counter stays full */
	uio_done(&u);
	file_put(f);
}

/* TIMEOUT requests that wait for a number of completions other than timeouts. */
static bool end_counted(struct uring *r)
{
	struct uring_batch old = uring_batch_begin(r); /* their completions are told of by the caller: no recursion */
	uint32_t seen;

	mutex_lock(&r->cq_mu);
	seen = r->cq_tail + r->nr_overflow - r->cq_timeouts;
	mutex_unlock(&r->cq_mu);
	for (;;) {
		struct ureq *q, *hit = NULL;

		mutex_lock(&r->mu);
		if (r->nr_counted)
			list_for_each(q, &r->reqs, node)
				if (q->flags & UREQ_COUNTED && (int32_t)(seen - q->target) >= 0 && ureq_claim(q, false)) {
					hit = q;
					break;
				}
		mutex_unlock(&r->mu);
		if (!hit)
			return uring_batch_end(old);
		ureq_end(hit, 0);
	}
}

void uring_cq_notify(struct uring *r, bool async)
{
	bool counted;

	signal_eventfd(r, async);
	waitq_wake(&r->wq, POLL_READ);
	mutex_lock(&r->mu);
	counted = r->nr_counted;
	mutex_unlock(&r->mu);
	if (counted && end_counted(r)) {
		signal_eventfd(r, async);
		waitq_wake(&r->wq, POLL_READ);
	}
}

/* --- waiting --- */

/* Runs what of the caller's requests can go on; whether anything did. */
static bool run_ready(struct task *t, struct uring *r)
{
	struct ureq *q;
	bool any = false;

	while ((q = uring_take_ready(r, t))) {
		ureq_run(t, q, false);
		any = true;
	}
	return any;
}

void uring_run_ready(struct task *t, struct uring *r)
{
	(void)run_ready(t, r);
}

static bool enough(struct uring *r, uint32_t target, uint32_t timeouts)
{
	bool yes;

	mutex_lock(&r->cq_mu);
	yes = (int32_t)(r->cq_tail - target) >= 0 || r->cq_timeouts != timeouts;
	mutex_unlock(&r->cq_mu);
	return yes;
}

static int64_t wait_loop(struct task *t, struct uring *r, uint32_t target, uint32_t timeouts, int64_t deadline)
{
	struct uring_wait self = { 0 };
	struct waiter w;
	int64_t err;

	task_waiter_init(&w, t, POLL_READ);
	task_block_prepare(t);
	waitq_add(&r->wq, &w);
	uring_wait_begin(r, &self, t);
	for (;;) {
		(void)run_ready(t, r);
		if (!uring_flush_overflow(r)) {
			err = -EBUSY;
			break;
		}
		err = 0;
		if (enough(r, target, timeouts))
			break;
		err = task_block(t, deadline);
		if (err)
			break;
	}
	uring_wait_end(r, &self);
	waitq_del(&w);
	return err;
}

/* sysctx.val: 2 the tail waited for, 3 timeouts seen when the wait began; val[0] says whether they are set. */
int64_t uring_cq_wait(struct task *t, struct uring *r, uint32_t min, gaddr_t sig, uint64_t sigsz, gaddr_t ts)
{
	struct sysctx *c = &t->sysctx;
	int64_t rel = -1, err, deadline;
	sigset64_t set;

	if (r->setup & LINUX_IORING_SETUP_DEFER_TASKRUN && r->issuer != t)
		return -EEXIST;
	do {
		(void)uring_flush_overflow(r);
		if (uring_cq_ready(r) >= min && !uring_has_ready(r))
			return 0;
	} while (run_ready(t, r));
	if (uring_cq_ready(r) >= min)
		return 0;
	if (sig.v) {
		err = copy_in_sigset(t, sig, sigsz, &set);
		if (err)
			return err;
		signal_set_temp_mask(t, set);
	}
	if (ts.v) {
		struct linux_timespec v;

		/* Read as it is: only the sum with the clock must make sense. */
		err = copy_in(t, &v, ts, sizeof(v));
		if (err)
			return -EFAULT;
		if (mul_overflow(v.tv_sec, NSEC_PER_SEC, &rel) || add_overflow(rel, v.tv_nsec, &rel))
			rel = v.tv_sec < 0 ? 0 : TIME_FOREVER;
		rel = MAX(rel, (int64_t)0);
	}
	deadline = task_deadline(t, rel);
	if (!(c->val[0] & 2)) {
		mutex_lock(&r->cq_mu);
		c->val[2] = uring_load(r, RING_CQ_HEAD) + min;
		c->val[3] = r->cq_timeouts;
		mutex_unlock(&r->cq_mu);
		c->val[0] |= 2;
	}
	err = wait_loop(t, r, (uint32_t)c->val[2], (uint32_t)c->val[3], deadline);
	if (err == -EFREEZE)
		return err;
	if (err == -ERESTARTSYS)
		err = -EINTR;
	if (err == -ETIMEDOUT)
		err = -ETIME;
	return uring_cq_ready(r) ? 0 : err;
}
