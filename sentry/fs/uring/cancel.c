/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancelling requests.
 *
 * Whoever finds a request that waits takes it over and completes it. One that runs is told: a worker's sleep is interrupted, and the request
 * completes with what its call made of that.
 * Linux: io_uring/cancel.c.
 */
#include "sentry/fs/uring/uring_internal.h"

static bool matches(const struct ureq *q, const struct ureq_match *m)
{
	if (q == m->self || (m->op >= 0 && q->sqe.opcode != m->op))
		return false;
	if (q->sqe.opcode == LINUX_IORING_OP_LINK_TIMEOUT && m->op != LINUX_IORING_OP_LINK_TIMEOUT)
		return false; /* lives and dies with what it limits */
	if (m->flags & LINUX_IORING_ASYNC_CANCEL_ANY)
		return true;
	if (m->flags & LINUX_IORING_ASYNC_CANCEL_FD)
		return q->file && q->file == m->file;
	return q->sqe.user_data == m->user_data;
}

/* The first match, taken over or told to end. 1: *@ret is ours; -EALREADY; -ENOENT. */
static int find(struct uring *r, const struct ureq_match *m, struct ureq **ret)
{
	int found = -ENOENT;
	struct ureq *q;

	mutex_guard(&r->mu);
	list_for_each(q, &r->reqs, node) {
		bool pending;

		if (!matches(q, m))
			continue;
		if (ureq_claim(q, false)) {
			*ret = q;
			return 1;
		}
		mutex_lock(&uring_q_mu);
		pending = q->state == UREQ_RUNNING && q->worker;
		mutex_unlock(&uring_q_mu);
		/* Only what sleeps in a worker can be told; what runs in a task that never sleeps will be over in a moment. */
		if (pending) {
			(void)ureq_claim(q, true);
			found = -EALREADY;
			if (!(m->flags & (LINUX_IORING_ASYNC_CANCEL_ALL | LINUX_IORING_ASYNC_CANCEL_ANY)))
				break;
		}
	}
	return found;
}

int uring_cancel_one(struct uring *r, const struct ureq_match *m)
{
	struct ureq *q;
	int err = find(r, m, &q);

	if (err != 1)
		return err;
	ureq_end(q, -ECANCELED);
	return 0;
}

int64_t uring_cancel(struct uring *r, const struct ureq_match *m)
{
	int64_t n = 0;

	if (!(m->flags & (LINUX_IORING_ASYNC_CANCEL_ALL | LINUX_IORING_ASYNC_CANCEL_ANY)))
		return uring_cancel_one(r, m);
	for (;;) {
		int err = uring_cancel_one(r, m);

		if (err == -ENOENT)
			return n;
		if (err == -EALREADY)
			return n + 1;
		n++;
	}
}

/* One request of @t that can be taken over, from whatever list; NULL when none is left. Those that run are told. */
static struct ureq *take_any(struct uring *r, struct task *t)
{
	struct ureq *q;

	mutex_guard(&r->mu);
	list_for_each(q, &r->reqs, node) {
		if (t && q->task != t)
			continue;
		if (q->state == UREQ_DEFERRED) {
			list_del(&q->qnode);
			mutex_lock(&uring_q_mu);
			q->state = UREQ_RUNNING;
			mutex_unlock(&uring_q_mu);
			return q;
		}
		if (ureq_claim(q, true))
			return q;
	}
	return NULL;
}

void uring_cancel_all(struct uring *r, struct task *t)
{
	struct uring_batch old = uring_batch_begin(r);
	struct ureq *q;

	while ((q = take_any(r, t))) {
		q->flags &= ~LINUX_IOSQE_IO_HARDLINK;
		ureq_end(q, -ECANCELED);
	}
	if (uring_batch_end(old))
		uring_cq_notify(r, false);
}

void uring_orphan(struct uring *r, struct task *t)
{
	struct ureq *q;

	for (;;) {
		struct ureq *hit = NULL;

		mutex_lock(&r->mu);
		list_for_each(q, &r->reqs, node) {
			bool worker;

			if (q->task != t)
				continue;
			mutex_lock(&uring_q_mu);
			worker = q->state == UREQ_READY || q->worker;
			q->orphan = true;
			mutex_unlock(&uring_q_mu);
			if (worker && ureq_claim(q, true)) {
				hit = q;
				break;
			}
		}
		mutex_unlock(&r->mu);
		if (!hit)
			return;
		ureq_end(hit, -ECANCELED);
	}
}

int64_t uring_sync_cancel(struct task *t, struct uring *r, gaddr_t arg)
{
	struct linux_io_uring_sync_cancel_reg a;
	struct ureq_match m = { .op = -1 };
	int64_t deadline = TIME_FOREVER, err, rel;
	struct waiter w;

	if (copy_in(t, &a, arg, sizeof(a)))
		return -EFAULT;
	if (a.flags & ~LINUX_IORING_ASYNC_CANCEL_VALID)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(a.pad); i++)
		if (a.pad[i])
			return -EINVAL;
	m.user_data = a.addr;
	m.flags = a.flags;
	if (a.flags & LINUX_IORING_ASYNC_CANCEL_FD) {
		err = uring_find_file(t, r, a.fd, a.flags & LINUX_IORING_ASYNC_CANCEL_FD_FIXED, &m.file);
		if (err)
			return err;
	}
	if (a.tv_sec != -1 || a.tv_nsec != -1) {
		if (a.tv_sec < 0 || mul_overflow(a.tv_sec, NSEC_PER_SEC, &rel) || add_overflow(rel, a.tv_nsec, &rel))
			rel = a.tv_sec < 0 ? 0 : TIME_FOREVER;
		deadline = task_deadline(t, rel);
	}
	task_waiter_init(&w, t, POLL_READ);
	task_block_prepare(t);
	waitq_add(&r->wq, &w);
	/* A running request is waited for until its completion shows that it is gone. */
	for (;;) {
		err = uring_cancel(r, &m);
		if (err != -EALREADY)
			break;
		err = task_block(t, deadline);
		if (err)
			break;
	}
	waitq_del(&w);
	file_put(m.file);
	if (err == -ETIMEDOUT)
		return -ETIME;
	if (err == -ERESTARTSYS)
		return -EINTR;
	return err;
}
