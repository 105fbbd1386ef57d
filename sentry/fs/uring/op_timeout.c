/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TIMEOUT, LINK_TIMEOUT, TIMEOUT_REMOVE, ASYNC_CANCEL.
 *
 * q->val[0]: the time asked for, ns. A relative one becomes a deadline when counting begins; realtime only for absolute times on that clock, so
 * that a relative one keeps what is left over a restore.
 * Linux: io_uring/timeout.c, io_uring/cancel.c.
 */
#include "sentry/fs/uring/uring_ops.h"

#define CLOCKS (LINUX_IORING_TIMEOUT_BOOTTIME | LINUX_IORING_TIMEOUT_REALTIME)
#define UPDATES (LINUX_IORING_TIMEOUT_UPDATE | LINUX_IORING_LINK_TIMEOUT_UPDATE)

static int read_time(struct task *t, gaddr_t at, uint64_t *ret)
{
	struct linux_timespec ts;
	int64_t ns;

	if (copy_in(t, &ts, at, sizeof(ts)))
		return -EFAULT;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0)
		return -EINVAL;
	if (mul_overflow(ts.tv_sec, NSEC_PER_SEC, &ns) || add_overflow(ns, ts.tv_nsec, &ns))
		ns = TIME_FOREVER;
	*ret = (uint64_t)ns;
	return 0;
}

int uop_prep_timeout(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	if (s->buf || s->len != 1 || s->file_index)
		return -EINVAL;
	if (s->off && s->opcode == LINUX_IORING_OP_LINK_TIMEOUT)
		return -EINVAL;
	if (s->op_flags & ~(LINUX_IORING_TIMEOUT_ABS | CLOCKS | LINUX_IORING_TIMEOUT_ETIME_SUCCESS))
		return -EINVAL;
	if ((s->op_flags & CLOCKS) == CLOCKS)
		return -EINVAL;
	return read_time(t, GADDR(s->addr), &q->val[0]);
}

static void set_deadline(struct ureq *q, uint32_t flags, uint64_t ns)
{
	q->realtime = flags & LINUX_IORING_TIMEOUT_ABS && flags & LINUX_IORING_TIMEOUT_REALTIME;
	q->deadline = (int64_t)ns;
	if (!(flags & LINUX_IORING_TIMEOUT_ABS) && add_overflow(ktime_mono(), q->deadline, &q->deadline))
		q->deadline = TIME_FOREVER;
}

void ureq_timeout_begin(struct ureq *q)
{
	q->flags |= UREQ_ARMED_ONCE;
	set_deadline(q, q->sqe.op_flags, q->val[0]);
	ureq_timer_start(q);
}

static bool expired(const struct ureq *q)
{
	return (q->realtime ? ktime_real() : ktime_mono()) >= q->deadline;
}

/* Waits on; false: look again. What completions a counted timeout waits for is settled under the lock that they are counted under. */
static bool arm_timeout(struct ureq *q, bool first)
{
	struct uring *r = q->r;

	mutex_guard(&r->mu);
	if (first && q->sqe.opcode == LINUX_IORING_OP_TIMEOUT && q->sqe.off) {
		mutex_lock(&r->cq_mu);
		q->target = r->cq_tail + r->nr_overflow - r->cq_timeouts + (uint32_t)q->sqe.off;
		mutex_unlock(&r->cq_mu);
		q->flags |= UREQ_COUNTED;
		r->nr_counted++;
	}
	return ureq_arm(q);
}

int64_t uop_timeout(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	bool first = !(q->flags & UREQ_ARMED_ONCE);
	int err;

	if (first) {
		err = uring_need_worker();
		if (err < 0)
			return err;
		q->flags |= UREQ_ARMED_ONCE;
		set_deadline(q, q->sqe.op_flags, q->val[0]);
	}
	while (!expired(q)) {
		ureq_timer_start(q); /* again after a restore or an update */
		if (arm_timeout(q, first))
			return UREQ_PENDING;
		first = false;
		if (q->cancel)
			return -ECANCELED;
	}
	return -ETIME;
}

int64_t uop_link_timeout(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	struct uring *r = q->r;
	struct ureq *head;
	bool mine = false, sleeps = false;

	while (!expired(q)) {
		ureq_timer_start(q);
		if (ureq_arm(q))
			return UREQ_PENDING;
		if (q->cancel)
			return -ECANCELED;
	}
	mutex_lock(&r->mu);
	head = q->head;
	q->head = NULL;
	if (head) {
		head->ltimeout = NULL;
		mine = ureq_claim(head, true);
		mutex_lock(&uring_q_mu);
		sleeps = !mine && head->worker;
		mutex_unlock(&uring_q_mu);
	}
	mutex_unlock(&r->mu);
	if (mine)
		ureq_end(head, -ECANCELED);
	return sleeps ? -EALREADY : -ETIME;
}

int uop_prep_timeout_remove(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	if (q->flags & (LINUX_IOSQE_FIXED_FILE | LINUX_IOSQE_BUFFER_SELECT) || s->buf || s->len || s->file_index)
		return -EINVAL;
	if (!(s->op_flags & UPDATES))
		return s->op_flags ? -EINVAL : 0;
	if ((s->op_flags & CLOCKS) == CLOCKS || s->op_flags & ~(UPDATES | LINUX_IORING_TIMEOUT_ABS | CLOCKS))
		return -EINVAL;
	return read_time(t, GADDR(s->off), &q->val[0]);
}

int64_t uop_timeout_remove(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	int op = s->op_flags & LINUX_IORING_LINK_TIMEOUT_UPDATE ? LINUX_IORING_OP_LINK_TIMEOUT : LINUX_IORING_OP_TIMEOUT;
	struct ureq *p, *hit = NULL;
	int64_t r = -ENOENT;

	mutex_lock(&q->r->mu);
	list_for_each(p, &q->r->reqs, node) {
		if (p->sqe.opcode != op || p->sqe.user_data != s->addr || p->state == UREQ_LINKED)
			continue;
		if (ureq_claim(p, false)) {
			hit = p;
			break;
		}
		r = -EALREADY;
	}
	mutex_unlock(&q->r->mu);
	if (!hit)
		return r;
	if (!(s->op_flags & UPDATES)) {
		ureq_end(hit, -ECANCELED);
		return 0;
	}
	ktimer_cancel(&hit->timer, true);
	mutex_lock(&q->r->mu);
	if (hit->flags & UREQ_COUNTED) { /* the new time is all that ends it */
		hit->flags &= ~UREQ_COUNTED;
		q->r->nr_counted--;
	}
	mutex_unlock(&q->r->mu);
	set_deadline(hit, s->op_flags, q->val[0]);
	ureq_make_ready(hit); /* its attempt arms the timer anew */
	return 0;
}

/* --- ASYNC_CANCEL --- */

int uop_prep_async_cancel(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	if (q->flags & LINUX_IOSQE_BUFFER_SELECT || s->off || s->len || s->file_index || s->op_flags & ~LINUX_IORING_ASYNC_CANCEL_VALID)
		return -EINVAL;
	if (s->op_flags & LINUX_IORING_ASYNC_CANCEL_FD && s->op_flags & LINUX_IORING_ASYNC_CANCEL_ANY)
		return -EINVAL;
	return 0;
}

int64_t uop_async_cancel(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	struct ureq_match m = { .user_data = s->addr, .flags = s->op_flags, .op = -1, .self = q };
	int64_t r;

	if (s->op_flags & LINUX_IORING_ASYNC_CANCEL_FD) {
		bool fixed = q->flags & LINUX_IOSQE_FIXED_FILE || s->op_flags & LINUX_IORING_ASYNC_CANCEL_FD_FIXED;

		r = uring_find_file(t, q->r, s->fd, fixed, &m.file);
		if (r)
			return r;
	}
	r = uring_cancel(q->r, &m);
	file_put(m.file);
	return r;
}
