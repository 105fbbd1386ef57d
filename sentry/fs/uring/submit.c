/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Submission: from entries of the queue to requests.
 *
 * Entries are taken one chain at a time under sq_mu, each field read once into a copy, everything they point at is read too (the application
 * may reuse it when the call returns), and the chain is started with no lock held.
 * Linux: io_uring/io_uring.c.
 */
#include <string.h>

#include "sentry/fs/uring/uring_internal.h"

#define LINK_FLAGS (LINUX_IOSQE_IO_LINK | LINUX_IOSQE_IO_HARDLINK)

struct chain {
	struct ureq *head, *last;
};

uint32_t uring_sq_pending(struct uring *r)
{
	uint32_t head;

	mutex_lock(&r->sq_mu);
	head = r->sq_head;
	mutex_unlock(&r->sq_mu);
	return MIN(uring_load(r, RING_SQ_TAIL) - head, r->sq_entries);
}

static bool allowed(const struct uring *r, const struct linux_io_uring_sqe *s)
{
	return r->allowed_ops >> s->opcode & 1 && (s->flags & r->required_flags) == r->required_flags &&
	       !(s->flags & ~(r->allowed_flags | r->required_flags));
}

/* IOSQE_IO_DRAIN in the middle of a chain holds back the whole chain, and the one after it. uring.mu held. */
static void drain_locked(struct uring *r, struct ureq *q, struct ureq *head)
{
	r->drain_active = true;
	q->flags |= UREQ_DRAIN;
	if (head) {
		head->flags |= UREQ_DRAIN | UREQ_FORCE_ASYNC;
		r->drain_next = true;
	}
}

static int init_flags(struct uring *r, struct ureq *q, const struct uring_op *op, struct ureq *head)
{
	struct linux_io_uring_sqe *s = &q->sqe;

	if (s->flags & ~LINUX_IOSQE_VALID)
		return -EINVAL;
	if (s->flags & LINUX_IOSQE_BUFFER_SELECT && !(op->flags & UOP_BUFSEL))
		return -EOPNOTSUPP;
	mutex_guard(&r->mu);
	if (s->flags & LINUX_IOSQE_CQE_SKIP_SUCCESS)
		r->drain_disabled = true;
	if (s->flags & LINUX_IOSQE_IO_DRAIN) {
		if (r->drain_disabled)
			return -EOPNOTSUPP;
		drain_locked(r, q, head);
	}
	if (s->flags & LINUX_IOSQE_ASYNC)
		q->flags |= UREQ_FORCE_ASYNC;
	if (r->restricted && !allowed(r, s))
		return -EACCES;
	if (r->drain_active)
		q->flags |= UREQ_FORCE_ASYNC;
	if (r->drain_next && !head) {
		r->drain_next = false;
		r->drain_active = true;
		q->flags |= UREQ_DRAIN | UREQ_FORCE_ASYNC;
	}
	return 0;
}

static int take_personality(struct uring *r, struct ureq *q)
{
	struct uring_personality *p;

	if (!q->sqe.personality)
		return 0;
	mutex_guard(&r->mu);
	list_for_each(p, &r->personalities, node)
		if (p->id == q->sqe.personality) {
			cred_put(q->cred);
			q->cred = cred_get(p->cred);
			return 0;
		}
	return -EINVAL;
}

/* Checks an entry as far as a submission does: an error refuses it. */
static int init(struct task *t, struct uring *r, struct ureq *q, const struct chain *c)
{
	const struct uring_op *op;
	int err;

	if (q->sqe.opcode >= LINUX_IORING_OP_LAST) {
		q->sqe.opcode = LINUX_IORING_OP_NOP;
		return -EINVAL;
	}
	op = uring_op(q->sqe.opcode);
	err = init_flags(r, q, op, c->head);
	if (err)
		return err;
	if (q->sqe.ioprio && !(op->flags & UOP_IOPRIO))
		return -EINVAL;
	if (r->setup & LINUX_IORING_SETUP_IOPOLL && !(op->flags & UOP_IOPOLL))
		return -EINVAL;
	err = take_personality(r, q);
	if (!err && q->sqe.opcode == LINUX_IORING_OP_LINK_TIMEOUT &&
	    (!c->head || c->last->sqe.opcode == LINUX_IORING_OP_LINK_TIMEOUT))
		err = -EINVAL;
	if (!err && op->prep)
		err = op->prep(t, q);
	if (err)
		return err;
	if (op->flags & UOP_SLOW)
		q->flags |= UREQ_SLOW;
	if (q->sqe.opcode == LINUX_IORING_OP_LINK_TIMEOUT)
		c->last->flags |= UREQ_LTIMEOUT;
	/* What a link's entry points at is checked with it; elsewhere it is the result. */
	q->err = op->import ? op->import(t, q) : 0;
	return c->head ? q->err : 0;
}

static void append(struct chain *c, struct ureq *q)
{
	if (c->head) {
		c->last->link = q;
		mutex_lock(&uring_q_mu);
		q->state = UREQ_LINKED;
		mutex_unlock(&uring_q_mu);
	} else {
		c->head = q;
	}
	c->last = q;
}

/* The next entry's request in @ret: 0, -ENOENT (nothing there, or a bad index, which is counted), -EAGAIN (no memory). sq_mu held. */
static int fetch(struct task *owner, struct task *self, struct uring *r, uint32_t tail, struct ureq **ret)
{
	uint32_t idx;
	struct ureq *q;
	bool full;

	if (r->sq_head == tail)
		return -ENOENT;
	mutex_lock(&r->mu);
	full = r->nr_submitted - r->nr_done >= URING_MAX_REQS;
	mutex_unlock(&r->mu);
	q = full ? NULL : ureq_alloc(r);
	if (!q)
		return -EAGAIN;
	idx = uring_load(r, uring_sq_array(r) + (r->sq_head & (r->sq_entries - 1)) * 4);
	r->sq_head++;
	if (idx >= r->sq_entries) {
		uring_store(r, RING_SQ_DROPPED, uring_load(r, RING_SQ_DROPPED) + 1);
		ureq_free(q);
		return -ENOENT;
	}
	memcpy(&q->sqe, r->sqes + idx * uring_sqe_size(r), sizeof(q->sqe));
	q->flags = q->sqe.flags;
	q->task = task_get(owner);
	q->cred = cred_get(self->cred);
	mutex_lock(&r->mu);
	list_add_tail(&r->reqs, &q->node);
	mutex_unlock(&r->mu);
	*ret = q;
	return 0;
}

/* Takes entries until a chain is complete or @max are taken. Returns the chain's head or NULL; *@taken entries; *@stop: look no further. */
static struct ureq *gather(struct task *owner, struct task *t, struct uring *r, uint32_t max, uint32_t tail, uint32_t *taken, bool *stop, int *err)
{
	struct chain c = { 0 };
	uint64_t seq;

	mutex_guard(&r->sq_mu);
	seq = r->nr_submitted;
	*taken = 0;
	*err = 0;
	while (*taken < max) {
		struct ureq *q;
		int bad, got = fetch(owner, t, r, tail, &q);

		if (got < 0) {
			*stop = true;
			*err = got == -EAGAIN ? got : 0;
			break;
		}
		(*taken)++;
		r->nr_submitted++;
		q->seq = seq;
		bad = init(t, r, q, &c);
		if (bad) {
			q->err = bad;
			q->flags |= UREQ_FAIL;
			if (c.head && !(c.head->flags & UREQ_FAIL)) {
				c.head->err = -ECANCELED;
				c.head->flags |= UREQ_FAIL;
			}
		}
		append(&c, q);
		if (!(q->sqe.flags & LINK_FLAGS)) {
			*stop = bad && !(r->setup & LINUX_IORING_SETUP_SUBMIT_ALL);
			break;
		}
	}
	uring_store(r, RING_SQ_HEAD, r->sq_head);
	return c.head;
}

static void start(struct task *self, struct uring *r, struct ureq *q)
{
	bool drain;

	if (q->flags & UREQ_FAIL) {
		ureq_fail_chain(q);
		return;
	}
	if (!(q->flags & UREQ_FORCE_ASYNC)) {
		ureq_run(self, q, false);
		return;
	}
	mutex_lock(&r->mu);
	drain = r->drain_active;
	mutex_unlock(&r->mu);
	if (drain) {
		ureq_drain(q);
	} else {
		ureq_start_ltimeout(q);
		ureq_make_ready(q);
	}
}

int64_t uring_submit(struct task *owner, struct task *self, struct uring *r, uint32_t n)
{
	struct uring_batch old;
	uint32_t total = 0, tail;
	bool stop = false;
	int err = 0;

	n = MIN(n, uring_sq_pending(r));
	if (!n)
		return 0;
	tail = uring_load(r, RING_SQ_TAIL);
	old = uring_batch_begin(r);
	while (total < n && !stop) {
		uint32_t taken;
		struct ureq *q = gather(owner, self, r, n - total, tail, &taken, &stop, &err);

		total += taken;
		if (q)
			start(self, r, q);
		else
			break;
	}
	if (uring_batch_end(old))
		uring_cq_notify(r, false);
	return total ? (int64_t)total : err;
}
