/* SPDX-License-Identifier: Apache-2.0 */
/* NOP, EPOLL_CTL, MADVISE, FILES_UPDATE, PROVIDE_BUFFERS, REMOVE_BUFFERS, MSG_RING, URING_CMD. Linux: the files of the same names in io_uring/. */
#include "sentry/fs/epoll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/uring/uring_ops.h"

int64_t uop_nop(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	return 0;
}

/* --- EPOLL_CTL --- */

int uop_prep_epoll_ctl(struct task *t, struct ureq *q)
{
	struct linux_epoll_event ev;

	if (q->sqe.buf || q->sqe.file_index)
		return -EINVAL;
	if (q->sqe.len == LINUX_EPOLL_CTL_DEL)
		return 0;
	if (copy_in(t, &ev, GADDR(q->sqe.addr), sizeof(ev)))
		return -EFAULT;
	q->val[0] = ev.events;
	q->val[1] = ev.data;
	return 0;
}

int64_t uop_epoll_ctl(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	_cleanup_file_ struct file *epf = fd_get(t, q->sqe.fd), *target = epf ? fd_get(t, (int)q->sqe.off) : NULL;
	struct linux_epoll_event ev = { .events = (uint32_t)q->val[0], .data = q->val[1] };

	return target ? epoll_do_ctl(epf, (int)q->sqe.len, target, (int)q->sqe.off, &ev) : -EBADF;
}

/* --- MADVISE --- */

int uop_prep_madvise(struct task *t, struct ureq *q)
{
	return q->sqe.buf || q->sqe.off || q->sqe.file_index ? -EINVAL : 0;
}

int64_t uop_madvise(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	return mm_madvise(t->mm, t, q->sqe.addr, q->sqe.len, (int)q->sqe.op_flags);
}

/* --- FILES_UPDATE --- */

int uop_prep_files_update(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	if (q->flags & (LINUX_IOSQE_FIXED_FILE | LINUX_IOSQE_BUFFER_SELECT) || s->op_flags || s->file_index)
		return -EINVAL;
	return s->len ? 0 : -EINVAL;
}

int64_t uop_files_update(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	if ((uint32_t)s->off == LINUX_IORING_FILE_INDEX_ALLOC)
		return uring_files_alloc(t, q->r, GADDR(s->addr), s->len);
	return uring_files_update(t, q->r, (uint32_t)s->off, GADDR(s->addr), GADDR_NULL, s->len);
}

/* --- provided buffers --- */

int uop_prep_provide(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	bool remove = s->opcode == LINUX_IORING_OP_REMOVE_BUFFERS;
	uint64_t size, end;

	if (s->op_flags || s->file_index || (remove && (s->addr || s->len || s->off)))
		return -EINVAL;
	if (s->fd <= 0 || s->fd > UINT16_MAX)
		return remove ? -EINVAL : -E2BIG;
	if (remove)
		return 0;
	if (mul_overflow((uint64_t)s->len, (uint64_t)(uint32_t)s->fd, &size) || add_overflow(s->addr, size, &end))
		return -EOVERFLOW;
	if (end > LINUX_TASK_SIZE_MAX)
		return -EFAULT;
	if (s->off > UINT16_MAX)
		return -E2BIG;
	return s->off + (uint64_t)s->fd > UINT16_MAX + 1ull ? -EINVAL : 0;
}

int64_t uop_provide(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	if (s->opcode == LINUX_IORING_OP_REMOVE_BUFFERS)
		return uring_remove_bufs(q->r, s->buf, (uint32_t)s->fd);
	return uring_provide(q->r, s->buf, s->addr, s->len, (uint32_t)s->fd, (uint16_t)s->off);
}

/* --- MSG_RING --- */

int uop_prep_msg_ring(struct task *t, struct ureq *q)
{
	return q->sqe.buf || q->sqe.personality || q->sqe.op_flags & ~LINUX_IORING_MSG_RING_CQE_SKIP ? -EINVAL : 0;
}

int64_t uop_msg_ring(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	struct uring *to;
	struct file *f;
	int64_t r;

	if (!file_is_uring(q->file))
		return -EBADFD;
	to = uring_of(q->file);
	if (s->addr == LINUX_IORING_MSG_DATA) {
		if (s->addr3 || s->file_index)
			return -EINVAL;
	} else if (s->addr == LINUX_IORING_MSG_SEND_FD) {
		if (s->len || to == q->r)
			return -EINVAL;
	} else {
		return -EINVAL;
	}
	if (to->setup & LINUX_IORING_SETUP_R_DISABLED)
		return -EBADFD;
	if (s->addr == LINUX_IORING_MSG_SEND_FD) {
		r = uring_find_file(t, q->r, (int)MIN(s->addr3, (uint64_t)INT32_MAX), true, &f);
		if (r)
			return r;
		r = uring_install(t, to, f, (uint32_t)s->file_index, false);
		if (r < 0 || s->op_flags & LINUX_IORING_MSG_RING_CQE_SKIP)
			return r;
		if (!uring_post(to, s->off, (int32_t)r, 0, false)) /* the slot, when it was free to choose */
			return -EOVERFLOW;
		uring_cq_notify(to, false);
		return r;
	}
	if (!uring_post(to, s->off, (int32_t)s->len, 0, false))
		return -EOVERFLOW;
	uring_cq_notify(to, false);
	return 0;
}

/* --- URING_CMD --- */

int uop_prep_cmd(struct task *t, struct ureq *q)
{
	return q->sqe.off >> 32 || q->sqe.op_flags & ~1u ? -EINVAL : 0;
}

int64_t uop_cmd(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	return -EOPNOTSUPP; /* no file here has commands of its own */
}
