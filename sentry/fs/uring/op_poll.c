/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POLL_ADD, POLL_REMOVE (which also updates).
 *
 * A one-shot poll is a request whose attempt is a look at the file. A multishot one registers first, so that the look and the wake-ups after it
 * each post once. Linux: io_uring/poll.c.
 */
#include "sentry/fs/uring/uring_ops.h"

#define UPDATE_FLAGS (LINUX_IORING_POLL_UPDATE_EVENTS | LINUX_IORING_POLL_UPDATE_USER_DATA | LINUX_IORING_POLL_ADD_MULTI)

int uop_prep_poll_add(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	if (s->buf || s->off || s->addr || s->len & ~(LINUX_IORING_POLL_ADD_MULTI | LINUX_IORING_POLL_ADD_LEVEL))
		return -EINVAL;
	if (s->len & LINUX_IORING_POLL_ADD_MULTI && q->flags & LINUX_IOSQE_CQE_SKIP_SUCCESS)
		return -EINVAL;
	q->events = s->op_flags & POLL_EVENTS;
	return 0;
}

int64_t uop_poll_add(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	uint32_t want = q->events | UREQ_POLL_ALWAYS, mask;
	bool changes = ureq_watch(q, want);

	mask = file_poll(q->file) & want;
	if (!mask)
		return changes ? -EAGAIN : -EINVAL;
	if (q->sqe.len & LINUX_IORING_POLL_ADD_MULTI && changes && ureq_post_more(q, mask, 0))
		return -EAGAIN;
	return mask;
}

int uop_prep_poll_remove(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	if (s->buf || s->file_index || s->len & ~UPDATE_FLAGS || s->len == LINUX_IORING_POLL_ADD_MULTI)
		return -EINVAL;
	if (!(s->len & LINUX_IORING_POLL_UPDATE_USER_DATA) && s->off)
		return -EINVAL;
	return !(s->len & LINUX_IORING_POLL_UPDATE_EVENTS) && s->op_flags ? -EINVAL : 0;
}

int64_t uop_poll_remove(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	struct ureq *p, *hit = NULL;
	int64_t r = -ENOENT;

	mutex_lock(&q->r->mu);
	list_for_each(p, &q->r->reqs, node) {
		if (p == q || p->sqe.opcode != LINUX_IORING_OP_POLL_ADD || p->sqe.user_data != s->addr || p->state == UREQ_LINKED)
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
	if (!(s->len & (LINUX_IORING_POLL_UPDATE_EVENTS | LINUX_IORING_POLL_UPDATE_USER_DATA))) {
		ureq_end(hit, -ECANCELED);
		return 0;
	}
	if (s->len & LINUX_IORING_POLL_UPDATE_EVENTS) {
		hit->events = s->op_flags & POLL_EVENTS;
		hit->sqe.len = s->len & LINUX_IORING_POLL_ADD_MULTI;
		ureq_unwatch(hit);
	}
	if (s->len & LINUX_IORING_POLL_UPDATE_USER_DATA)
		hit->sqe.user_data = s->off;
	ureq_make_ready(hit);
	return 0;
}
