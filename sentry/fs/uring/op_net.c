/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEND, RECV, SENDMSG, RECVMSG, SEND_ZC, SENDMSG_ZC.
 *
 * Attempts are made with MSG_DONTWAIT. With MSG_WAITALL a request goes on from q->done after waiting. Multishot receives take a provided
 * buffer per message and end when there is none, no room for a completion, at the end of the stream, or with an error.
 * DEVIATION: "zero copy" sends copy; the notification follows at once.
 * Linux: io_uring/net.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/uring/uring_ops.h"
#include "sentry/net/sock_user.h"

static bool is_msg(const struct ureq *q)
{
	return q->sqe.opcode == LINUX_IORING_OP_SENDMSG || q->sqe.opcode == LINUX_IORING_OP_RECVMSG ||
	       q->sqe.opcode == LINUX_IORING_OP_SENDMSG_ZC;
}

static uint32_t addr_len(const struct ureq *q)
{
	return (uint32_t)q->sqe.file_index & 0xffff;
}

static int prep_flags(struct ureq *q)
{
	if (q->sqe.op_flags & LINUX_MSG_DONTWAIT)
		q->flags |= UREQ_NOWAIT;
	return 0;
}

int uop_prep_send(struct task *t, struct ureq *q)
{
	if (is_msg(q) ? q->sqe.off || q->sqe.file_index : (uint32_t)q->sqe.file_index >> 16)
		return -EINVAL;
	if (q->sqe.ioprio & ~LINUX_IORING_RECVSEND_POLL_FIRST)
		return -EINVAL;
	return prep_flags(q);
}

int uop_prep_recv(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	if (s->file_index || s->off)
		return -EINVAL;
	if (s->ioprio & ~(LINUX_IORING_RECVSEND_POLL_FIRST | LINUX_IORING_RECV_MULTISHOT))
		return -EINVAL;
	if (s->ioprio & LINUX_IORING_RECV_MULTISHOT) {
		if (!(q->flags & LINUX_IOSQE_BUFFER_SELECT) || s->op_flags & LINUX_MSG_WAITALL)
			return -EINVAL;
		if (!is_msg(q) && s->len)
			return -EINVAL;
	}
	return prep_flags(q);
}

int uop_prep_send_zc(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	uint32_t nr;

	if (s->pad2 || s->addr3)
		return -EINVAL;
	if (q->flags & LINUX_IOSQE_CQE_SKIP_SUCCESS)
		return -EINVAL;
	if (s->ioprio & ~(LINUX_IORING_RECVSEND_POLL_FIRST | LINUX_IORING_RECVSEND_FIXED_BUF | LINUX_IORING_SEND_ZC_REPORT_USAGE))
		return -EINVAL;
	if (is_msg(q) ? s->off || s->file_index || s->ioprio & LINUX_IORING_RECVSEND_FIXED_BUF : (uint32_t)s->file_index >> 16)
		return -EINVAL;
	if (s->ioprio & LINUX_IORING_RECVSEND_FIXED_BUF) {
		mutex_lock(&q->r->mu);
		nr = q->r->nr_buffers;
		mutex_unlock(&q->r->mu);
		if (s->buf >= nr)
			return -EFAULT;
	}
	return prep_flags(q);
}

/* The application's struct msghdr and what must be stable: vectors and (to send) the name. */
static int import_msg(struct task *t, struct ureq *q, bool send)
{
	struct linux_msghdr h;

	if (copy_in(t, &h, GADDR(q->sqe.addr), sizeof(h)))
		return -EFAULT;
	q->msg = calloc(1, sizeof(*q->msg));
	if (!q->msg)
		return -ENOMEM;
	if (h.namelen < 0)
		return -EINVAL;
	*q->msg = (struct ureq_msg){ .name = h.name, .namelen = h.namelen, .control = h.control, .controllen = h.controllen };
	if (send && h.name && h.namelen) {
		int r;

		q->msg->addr_len = (uint32_t)MIN(h.namelen, LINUX_SOCKADDR_MAX);
		r = sock_addr_in(t, GADDR(h.name), (int32_t)q->msg->addr_len, q->msg->addr);
		if (r)
			return r;
	}
	if (!send && q->flags & LINUX_IOSQE_BUFFER_SELECT) {
		/* A single vector limits how much of the buffer is used. */
		if (h.iovlen > 1)
			return -EINVAL;
		if (!h.iovlen || q->sqe.ioprio & LINUX_IORING_RECV_MULTISHOT)
			return 0;
	}
	if (h.iovlen > LINUX_UIO_MAXIOV)
		return -EMSGSIZE;
	return ureq_import_iov(t, q, GADDR(h.iov), h.iovlen);
}

int uop_import_send(struct task *t, struct ureq *q)
{
	if (is_msg(q))
		return import_msg(t, q, true);
	if (!q->sqe.off)
		return 0;
	q->msg = calloc(1, sizeof(*q->msg));
	if (!q->msg)
		return -ENOMEM;
	q->msg->addr_len = addr_len(q);
	return sock_addr_in(t, GADDR(q->sqe.off), (int32_t)q->msg->addr_len, q->msg->addr);
}

int uop_import_recv(struct task *t, struct ureq *q)
{
	return is_msg(q) ? import_msg(t, q, false) : 0;
}

/* POLL_FIRST: the first attempt only waits. */
static bool wait_first(struct ureq *q)
{
	if (!(q->sqe.ioprio & LINUX_IORING_RECVSEND_POLL_FIRST) || q->flags & UREQ_POLLED)
		return false;
	if (q->w.q)
		q->flags |= UREQ_POLLED;
	return !(file_poll(q->file) & (q->sqe.opcode == LINUX_IORING_OP_RECV || q->sqe.opcode == LINUX_IORING_OP_RECVMSG ? POLL_READ : POLL_WRITE));
}

static bool goes_on(const struct ureq *q)
{
	const struct sock *sk = file_sock(q->file);

	return q->sqe.op_flags & LINUX_MSG_WAITALL && (sk->type == LINUX_SOCK_STREAM || sk->type == LINUX_SOCK_SEQPACKET);
}

/* What an attempt that moved @r bytes (or failed) means for the request: a result, or -EAGAIN to go on. @left: bytes still wanted. */
static int64_t account(struct ureq *q, int64_t r, size_t left)
{
	if (r > 0)
		q->done += (uint64_t)r;
	if (r > 0 && left && goes_on(q))
		return -EAGAIN;
	if (r == -EAGAIN && !(q->flags & UREQ_NOWAIT))
		return r;
	if (left && q->sqe.op_flags & LINUX_MSG_WAITALL)
		q->flags |= UREQ_FAIL;
	if (r < 0 && !q->done) {
		q->flags |= UREQ_FAIL;
		return r;
	}
	return (int64_t)q->done;
}

/* --- sending --- */

static int send_uio(struct task *t, struct ureq *q, struct uio *u, struct mm **mm)
{
	int r;

	*mm = NULL;
	if (q->sqe.ioprio & LINUX_IORING_RECVSEND_FIXED_BUF)
		r = uring_fixed_uio(q->r, q->sqe.buf, q->sqe.addr, q->sqe.len, u, mm);
	else if (is_msg(q))
		r = uio_user_vec(u, t->mm, q->iov, q->nr_iov);
	else
		r = uio_user(u, t->mm, GADDR(q->sqe.addr), q->sqe.len);
	if (r == 0)
		uio_advance(u, (size_t)MIN(q->done, (uint64_t)u->left));
	return r;
}

int64_t uop_send(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	uint32_t flags = q->sqe.op_flags | LINUX_MSG_NOSIGNAL | (may_sleep ? 0 : LINUX_MSG_DONTWAIT);
	struct ureq_msg *m = q->msg;
	struct mm *mm;
	struct uio u;
	int64_t r;

	if (!file_sock(q->file))
		return -ENOTSOCK;
	if (wait_first(q))
		return -EAGAIN;
	r = send_uio(t, q, &u, &mm);
	if (r)
		return r;
	r = sock_send_user(t, q->file, &u, m ? m->addr : NULL, m ? m->addr_len : 0, GADDR(m && !q->done ? m->control : 0),
			   m ? m->controllen : 0, flags);
	if (r != -EFREEZE)
		r = account(q, r, u.left);
	uio_done(&u);
	mm_put(mm);
	return r;
}

int64_t uop_send_zc(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	struct sock *sk = file_sock(q->file);
	int64_t r = sk && sk->family != LINUX_AF_INET && sk->family != LINUX_AF_INET6 ? -EOPNOTSUPP : uop_send(t, q, may_sleep, cflags);

	if (r == -EAGAIN || r == -EFREEZE)
		return r;
	/* Two completions: the result, then that the memory is free again. */
	(void)uring_post(q->r, q->sqe.user_data, (int32_t)r, LINUX_IORING_CQE_F_MORE, false);
	*cflags = LINUX_IORING_CQE_F_NOTIF;
	if (r < 0)
		q->flags |= UREQ_FAIL;
	return q->sqe.ioprio & LINUX_IORING_SEND_ZC_REPORT_USAGE ? (int64_t)(int32_t)LINUX_IORING_NOTIF_USAGE_ZC_COPIED : 0;
}

/* --- receiving --- */

/* Room in a multishot RECVMSG's buffer before the payload: header, name, control data. */
static int64_t out_head(const struct ureq *q)
{
	int64_t n = (int64_t)sizeof(struct linux_io_uring_recvmsg_out);

	if (q->msg->controllen > INT32_MAX || add_overflow(n, (int64_t)q->msg->namelen + (int64_t)q->msg->controllen, &n))
		return INT64_MAX;
	return n;
}

static int recv_uio(struct task *t, struct ureq *q, struct uio *u)
{
	bool multi = q->sqe.ioprio & LINUX_IORING_RECV_MULTISHOT;
	uint32_t len = is_msg(q) ? (uint32_t)(q->nr_iov ? MIN(q->iov[0].iov_len, (uint64_t)UINT32_MAX) : 0) : q->sqe.len;
	uint64_t skip = 0;
	int r;

	if (q->flags & LINUX_IOSQE_BUFFER_SELECT) {
		r = ureq_buf_take(t, q, &len);
		if (r)
			return r;
		if (is_msg(q) && multi) {
			skip = (uint64_t)out_head(q);
			if (skip > len)
				return -EFAULT;
		}
		r = uio_user(u, t->mm, GADDR(q->buf_addr + skip), len - skip);
	} else if (is_msg(q)) {
		r = uio_user_vec(u, t->mm, q->iov, q->nr_iov);
	} else {
		r = uio_user(u, t->mm, GADDR(q->sqe.addr), len);
	}
	if (r == 0 && !multi)
		uio_advance(u, (size_t)MIN(q->done, (uint64_t)u->left));
	return r;
}

/* A multishot RECVMSG: everything goes into the one buffer. */
static int64_t recv_packed(struct task *t, struct ureq *q, struct uio *u, uint32_t flags)
{
	struct linux_io_uring_recvmsg_out o = { 0 };
	uint64_t name = q->buf_addr + sizeof(o), control = name + (uint64_t)q->msg->namelen;
	struct linux_msghdr h = { .name = q->msg->namelen ? name : 0, .namelen = q->msg->namelen,
				  .control = q->msg->controllen ? control : 0, .controllen = q->msg->controllen };
	int64_t r = sock_recv_user(t, q->file, u, &h, GADDR_NULL, flags);

	if (r < 0)
		return r;
	o.namelen = q->msg->namelen ? (uint32_t)h.namelen : 0;
	o.controllen = (uint32_t)h.controllen;
	o.payloadlen = (uint32_t)r;
	o.flags = h.flags;
	if (copy_out(t, GADDR(q->buf_addr), &o, sizeof(o)))
		return -EFAULT;
	return r == 0 ? 0 : r + out_head(q);
}

static int64_t recv_once(struct task *t, struct ureq *q, struct uio *u, uint32_t flags)
{
	struct linux_msghdr h = { 0 };

	if (is_msg(q) && q->sqe.ioprio & LINUX_IORING_RECV_MULTISHOT)
		return recv_packed(t, q, u, flags);
	if (!is_msg(q))
		return sock_recv_user(t, q->file, u, &h, GADDR_NULL, flags);
	h.name = q->msg->name;
	h.namelen = q->msg->namelen;
	h.control = q->msg->control;
	h.controllen = q->msg->controllen;
	return sock_recv_user(t, q->file, u, &h, GADDR(q->sqe.addr), flags);
}

static uint32_t more_flag(struct ureq *q)
{
	return file_poll(q->file) & LINUX_POLLIN && file_sock(q->file)->type == LINUX_SOCK_STREAM ? LINUX_IORING_CQE_F_SOCK_NONEMPTY : 0;
}

int64_t uop_recv(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	uint32_t flags = q->sqe.op_flags | (may_sleep ? 0 : LINUX_MSG_DONTWAIT);
	bool multi = q->sqe.ioprio & LINUX_IORING_RECV_MULTISHOT;
	struct uio u;
	int64_t r;

	if (!file_sock(q->file))
		return -ENOTSOCK;
	if (wait_first(q))
		return -EAGAIN;
	for (;;) {
		uint32_t cf;

		r = recv_uio(t, q, &u);
		if (r)
			return r;
		r = recv_once(t, q, &u, flags);
		if (r == -EFREEZE) {
			uio_done(&u);
			return r;
		}
		if (!multi) {
			r = account(q, r, u.left);
			uio_done(&u);
			break;
		}
		uio_done(&u);
		if (r <= 0)
			break;
		cf = ureq_buf_used(q) | more_flag(q);
		if (!ureq_post_more(q, r, cf)) {
			*cflags = cf;
			return r;
		}
	}
	if (r > 0 || (r == 0 && !multi))
		*cflags = ureq_buf_used(q) | (r > 0 ? more_flag(q) : 0);
	else if (r != -EAGAIN || !q->done)
		ureq_buf_return(q);
	return r;
}
