/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a request: attempts, waiting, completion, and what is linked to it.
 *
 *   running --would block--> armed --event--> ready --> running ...
 *      |  `--may sleep--> ready (slow list) --> running in a worker; a freeze: back to ready with its call context
 *      `--result--> completion posted, links started or failed, freed
 *
 * A freeze finds no request running: application tasks and helpers park between attempts.
 * Linux: io_uring/io_uring.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/uring/uring_internal.h"

#define MAX_SPINS 128 /* attempts that a "ready" file may refuse in a row before a worker sleeps in the call instead */

static __thread struct uring_batch batch;

struct ureq *ureq_alloc(struct uring *r)
{
	struct ureq *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	if (r)
		q->r = uring_get(r);
	q->state = UREQ_RUNNING;
	list_init(&q->node);
	list_init(&q->qnode);
	ureq_init_callbacks(q);
	return q;
}

void ureq_free(struct ureq *q)
{
	struct uring *r = q->r;

	for (int i = 0; i < TASK_GIVEN_NAMES; i++)
		free(q->name[i]);
	free(q->iov);
	free(q->msg);
	file_put(q->file);
	task_put(q->task);
	cred_put(q->cred);
	free(q);
	if (r)
		uring_put(r);
}

struct uring_batch uring_batch_begin(struct uring *r)
{
	struct uring_batch old = batch;

	batch = (struct uring_batch){ .r = r };
	return old;
}

bool uring_batch_end(struct uring_batch old)
{
	bool posted = batch.posted;

	batch = old;
	return posted;
}

static void told(struct uring *r)
{
	if (batch.r == r)
		batch.posted = true;
	else
		uring_cq_notify(r, current_task && current_task->kthread);
}

/* --- completion --- */

/* The first failure of a request that wanted no completion for success: now it gets one, those linked to it get none. */
static void set_fail(struct ureq *q)
{
	q->flags |= UREQ_FAIL;
	if (q->flags & LINUX_IOSQE_CQE_SKIP_SUCCESS) {
		q->flags &= ~LINUX_IOSQE_CQE_SKIP_SUCCESS;
		q->flags |= UREQ_SKIP_LINKS;
	}
}

static bool is_restart(int64_t r)
{
	return r <= -ERESTARTSYS && r >= -ERESTARTBLOCK;
}

static bool is_timeout(const struct ureq *q)
{
	return q->sqe.opcode == LINUX_IORING_OP_TIMEOUT || q->sqe.opcode == LINUX_IORING_OP_LINK_TIMEOUT;
}

static void post(struct ureq *q, int64_t res, uint32_t cflags)
{
	if (q->flags & (UREQ_SKIP_CQE | LINUX_IOSQE_CQE_SKIP_SUCCESS))
		return;
	(void)uring_post(q->r, q->sqe.user_data, (int32_t)res, cflags,
			 q->sqe.opcode == LINUX_IORING_OP_TIMEOUT && (res == -ETIME || res == 0));
}

/* Takes @q off the ring's list; returns what follows it in its chain. uring.mu held. */
static struct ureq *leave_locked(struct ureq *q)
{
	struct uring *r = q->r;

	list_del(&q->node);
	r->nr_done++;
	if (q->flags & UREQ_COUNTED)
		r->nr_counted--;
	if (q->head)
		q->head->ltimeout = NULL;
	q->head = NULL;
	return TAKE_PTR(q->link);
}

static void set_running(struct ureq *q)
{
	mutex_lock(&uring_q_mu);
	q->state = UREQ_RUNNING;
	mutex_unlock(&uring_q_mu);
}

/* The rest of a chain that does not run. */
static void fail_rest(struct ureq *q, bool quiet)
{
	while (q) {
		struct uring *r = q->r;
		struct ureq *next;

		if (quiet)
			q->flags |= UREQ_SKIP_CQE;
		q->flags &= ~LINUX_IOSQE_CQE_SKIP_SUCCESS;
		set_running(q);
		post(q, q->flags & UREQ_FAIL ? q->err : -ECANCELED, 0);
		mutex_lock(&r->mu);
		next = leave_locked(q);
		mutex_unlock(&r->mu);
		ureq_free(q);
		q = next;
	}
}

struct ureq *ureq_finish(struct ureq *q, int64_t res, uint32_t cflags)
{
	struct uring *r = uring_get(q->r);
	struct ureq *lt, *next, *unused = NULL;
	bool fail, quiet;

	if (is_restart(res))
		res = -EINTR;
	ureq_unwatch(q);
	if (q->flags & UREQ_TIMER)
		ktimer_cancel(&q->timer, true);
	if (q->flags & UREQ_BUF)
		ureq_buf_return(q);
	if (res < 0 && !(res == -ETIME && is_timeout(q) && q->sqe.op_flags & LINUX_IORING_TIMEOUT_ETIME_SUCCESS))
		set_fail(q);
	post(q, res, cflags);
	mutex_lock(&r->mu);
	lt = TAKE_PTR(q->ltimeout);
	if (lt)
		lt->head = NULL;
	next = leave_locked(q);
	if (q->flags & UREQ_LTIMEOUT && next && next->sqe.opcode == LINUX_IORING_OP_LINK_TIMEOUT) {
		unused = next; /* its request never waited */
		next = TAKE_PTR(unused->link);
	}
	mutex_unlock(&r->mu);
	fail = q->flags & UREQ_FAIL && !(q->flags & LINUX_IOSQE_IO_HARDLINK);
	quiet = q->flags & UREQ_SKIP_LINKS;
	if (lt && ureq_claim(lt, false))
		ureq_end(lt, -ECANCELED);
	if (unused)
		fail_rest(unused, quiet);
	if (fail && next) {
		fail_rest(next, quiet);
		next = NULL;
	}
	ureq_free(q);
	told(r);
	uring_kick_deferred(r);
	uring_put(r);
	if (next)
		set_running(next);
	return next;
}

void ureq_end(struct ureq *q, int64_t res)
{
	struct ureq *next = ureq_finish(q, res, 0);

	if (next)
		ureq_make_ready(next);
}

void ureq_fail_chain(struct ureq *q)
{
	set_fail(q);
	q->flags &= ~LINUX_IOSQE_IO_HARDLINK;
	ureq_end(q, q->err ? q->err : -ECANCELED);
}

bool ureq_post_more(struct ureq *q, int64_t res, uint32_t cflags)
{
	if (!uring_post_room(q->r, q->sqe.user_data, (int32_t)res, cflags | LINUX_IORING_CQE_F_MORE))
		return false;
	told(q->r);
	return true;
}

/* --- draining --- */

static bool must_wait_locked(const struct ureq *q)
{
	return q->flags & UREQ_DRAIN && q->seq != q->r->nr_done;
}

void ureq_drain(struct ureq *q)
{
	struct uring *r = q->r;

	mutex_lock(&r->mu);
	if (!must_wait_locked(q) && list_empty(&r->defer)) {
		r->drain_active = false;
		mutex_unlock(&r->mu);
		ureq_make_ready(q);
		return;
	}
	mutex_lock(&uring_q_mu);
	q->state = UREQ_DEFERRED;
	mutex_unlock(&uring_q_mu);
	list_add_tail(&r->defer, &q->qnode);
	mutex_unlock(&r->mu);
}

void uring_kick_deferred(struct uring *r)
{
	for (;;) {
		struct ureq *q = NULL;

		mutex_lock(&r->mu);
		if (!list_empty(&r->defer)) {
			q = list_first(&r->defer, struct ureq, qnode);
			if (must_wait_locked(q))
				q = NULL;
			else
				list_del(&q->qnode);
		}
		mutex_unlock(&r->mu);
		if (!q)
			return;
		set_running(q);
		ureq_make_ready(q);
	}
}

/* --- running --- */

void ureq_start_ltimeout(struct ureq *q)
{
	struct uring *r = q->r;
	struct ureq *lt;

	if (!(q->flags & UREQ_LTIMEOUT))
		return;
	q->flags &= ~UREQ_LTIMEOUT;
	mutex_lock(&r->mu);
	lt = q->link;
	if (lt && lt->sqe.opcode == LINUX_IORING_OP_LINK_TIMEOUT) {
		q->link = TAKE_PTR(lt->link);
		q->ltimeout = lt;
		lt->head = q;
	} else {
		lt = NULL;
	}
	mutex_unlock(&r->mu);
	if (!lt)
		return;
	set_running(lt);
	if (uring_need_worker() < 0) {
		ureq_end(lt, -EAGAIN);
		return;
	}
	ureq_timeout_begin(lt);
	if (!ureq_arm(lt))
		ureq_make_ready(lt);
}

static int64_t issue(struct task *self, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	const struct uring_op *op = uring_op(q->sqe.opcode);
	struct cred *old = self->cred;
	struct sysctx ctx;
	int64_t r;

	if (q->err)
		return q->err;
	if (op->flags & UOP_FILE && !q->file) {
		r = uring_find_file(self, q->r, q->sqe.fd, q->flags & LINUX_IOSQE_FIXED_FILE, &q->file);
		if (r < 0)
			return r;
	}
	/* A helper has adopted the credentials; a task borrows those of a personality. */
	if (q->cred != old) {
		mutex_lock(&self->alloc_mu);
		self->cred = q->cred;
		mutex_unlock(&self->alloc_mu);
	}
	ctx = self->sysctx;
	self->sysctx = q->ctx;
	r = op->issue(self, q, may_sleep, cflags);
	if (r == -EFREEZE) {
		q->ctx = self->sysctx;
		q->ctx.again = true;
	}
	self->sysctx = ctx;
	if (self->cred != old) {
		mutex_lock(&self->alloc_mu);
		self->cred = old;
		mutex_unlock(&self->alloc_mu);
	}
	return r;
}

uint32_t ureq_wait_mask(const struct ureq *q)
{
	uint32_t flags = uring_op(q->sqe.opcode)->flags;

	if (q->sqe.opcode == LINUX_IORING_OP_POLL_ADD)
		return q->events | LINUX_POLLERR | LINUX_POLLHUP | LINUX_POLLRDHUP;
	return (flags & UOP_POLLIN ? POLL_READ | LINUX_POLLPRI | LINUX_POLLRDHUP : 0) | (flags & UOP_POLLOUT ? POLL_WRITE : 0);
}

/* Gets @q, which would block, to wait. True: it does, or is a worker's now; false: *@res is the result, or (-EAGAIN) try again. */
static bool park(struct ureq *q, bool may_sleep, int64_t *res)
{
	bool poll = q->sqe.opcode == LINUX_IORING_OP_POLL_ADD, watched = q->w.q;
	uint32_t mask = ureq_wait_mask(q);

	if (mask && q->file && (q->spins < MAX_SPINS || poll) && ureq_watch(q, mask)) {
		int r = uring_need_worker();

		if (r < 0) {
			*res = r;
			return false;
		}
		*res = -EAGAIN;
		if (!watched)
			return false; /* it may have become ready before we were registered */
		ureq_start_ltimeout(q);
		if (ureq_arm(q))
			return true;
		q->spins++;
		return false;
	}
	if (may_sleep) {
		*res = -EAGAIN;
		q->flags |= UREQ_NOWAIT;
		return false;
	}
	ureq_unwatch(q);
	ureq_start_ltimeout(q);
	q->flags |= UREQ_SLOW;
	ureq_make_ready(q);
	return true;
}

void ureq_run(struct task *self, struct ureq *q, bool may_sleep)
{
	q->spins = 0;
	while (q) {
		uint32_t cflags = 0;
		int64_t r;

		if (q->flags & UREQ_SLOW && !may_sleep) {
			ureq_start_ltimeout(q);
			ureq_make_ready(q);
			return;
		}
		r = q->cancel ? -ECANCELED : issue(self, q, may_sleep, &cflags);
		if (r == UREQ_PENDING)
			return;
		if (r == -EFREEZE) {
			uring_worker_done(self, q);
			ureq_requeue(q);
			return;
		}
		if (r == UREQ_PUNT || (r == -EAGAIN && !(q->flags & UREQ_NOWAIT) && !(uring_op(q->sqe.opcode)->flags & UOP_NO_RETRY))) {
			if (r == UREQ_PUNT)
				q->spins = MAX_SPINS;
			if (park(q, may_sleep, &r))
				return;
			if (r == -EAGAIN)
				continue;
		}
		uring_worker_done(self, q);
		q = ureq_finish(q, r, cflags);
		/* What follows in the chain is of the same task. A worker's may-sleep is for one request; the next decides anew. */
		if (may_sleep && q) {
			ureq_make_ready(q);
			return;
		}
	}
}
