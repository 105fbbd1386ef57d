/* SPDX-License-Identifier: Apache-2.0 */
/* ACCEPT, CONNECT, SHUTDOWN, SOCKET. Linux: io_uring/net.c. */
#include <stdlib.h>

#include "sentry/abi/fcntl.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/uring/uring_ops.h"
#include "sentry/net/sock_user.h"

#define SOCK_FLAGS (LINUX_SOCK_CLOEXEC | LINUX_SOCK_NONBLOCK)

/* --- ACCEPT --- */

int uop_prep_accept(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	uint32_t slot = (uint32_t)s->file_index;

	if (s->len || s->buf || s->ioprio & ~LINUX_IORING_ACCEPT_MULTISHOT)
		return -EINVAL;
	if (slot && s->op_flags & LINUX_SOCK_CLOEXEC)
		return -EINVAL;
	if (slot && slot != LINUX_IORING_FILE_INDEX_ALLOC && s->ioprio & LINUX_IORING_ACCEPT_MULTISHOT)
		return -EINVAL;
	return s->op_flags & ~SOCK_FLAGS ? -EINVAL : 0;
}

static int64_t accept_one(struct task *t, struct ureq *q, struct sock *sk)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	uint8_t name[LINUX_SOCKADDR_MAX];
	struct sock *got;
	struct file *f;
	int r = sk->ops->accept(sk, t, &got);

	if (r)
		return r;
	r = socket_file_new(t, got, s->op_flags & LINUX_SOCK_NONBLOCK, &f);
	if (r) {
		sock_put(got);
		return r;
	}
	if (s->addr) {
		r = got->ops->getname(got, t, name, true);
		r = r < 0 ? -ECONNABORTED : sock_addr_out(t, name, (uint32_t)r, GADDR(s->addr), GADDR(s->off));
	}
	if (r < 0) {
		file_put(f);
		return r;
	}
	return uring_install(t, q->r, f, (uint32_t)s->file_index, s->op_flags & LINUX_SOCK_CLOEXEC);
}

int64_t uop_accept(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	bool multi = q->sqe.ioprio & LINUX_IORING_ACCEPT_MULTISHOT;
	struct sock *sk = file_sock(q->file);
	int64_t r;

	if (!sk)
		return -ENOTSOCK;
	if (!sk->ops->accept)
		return -EOPNOTSUPP;
	do
		r = accept_one(t, q, sk);
	while (multi && r >= 0 && ureq_post_more(q, r, 0));
	return r;
}

/* --- CONNECT --- */

int uop_prep_connect(struct task *t, struct ureq *q)
{
	return q->sqe.len || q->sqe.buf || q->sqe.op_flags || q->sqe.file_index ? -EINVAL : 0;
}

int uop_import_connect(struct task *t, struct ureq *q)
{
	if (q->sqe.off > LINUX_SOCKADDR_MAX)
		return -EINVAL;
	q->msg = calloc(1, sizeof(*q->msg));
	if (!q->msg)
		return -ENOMEM;
	q->msg->addr_len = (uint32_t)q->sqe.off;
	return sock_addr_in(t, GADDR(q->sqe.addr), (int32_t)q->sqe.off, q->msg->addr);
}

int64_t uop_connect(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	struct sock *sk = file_sock(q->file);
	int r;

	if (!sk)
		return -ENOTSOCK;
	if (!sk->ops->connect)
		return -EOPNOTSUPP;
	if (q->flags & UREQ_IN_PROGRESS && !may_sleep) {
		if (!(file_poll(q->file) & (POLL_WRITE | LINUX_POLLERR | LINUX_POLLHUP)))
			return -EAGAIN;
		return sk->ops->take_error ? -sk->ops->take_error(sk) : 0;
	}
	r = sk->ops->connect(sk, t, q->msg->addr, q->msg->addr_len, !may_sleep, task_deadline(t, -1));
	if (r == -EINPROGRESS && !may_sleep) {
		q->flags |= UREQ_IN_PROGRESS;
		return -EAGAIN;
	}
	return r;
}

/* --- SHUTDOWN, SOCKET --- */

int uop_prep_shutdown(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	return s->off || s->addr || s->op_flags || s->buf || s->file_index ? -EINVAL : 0;
}

int64_t uop_shutdown(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	struct sock *sk = file_sock(q->file);
	int how = (int)q->sqe.len;

	if (!sk)
		return -ENOTSOCK;
	if (how < LINUX_SHUT_RD || how > LINUX_SHUT_RDWR)
		return -EINVAL;
	return sk->ops->shutdown ? sk->ops->shutdown(sk, how) : -EOPNOTSUPP;
}

int uop_prep_socket(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	uint32_t flags = (uint32_t)s->off & ~LINUX_SOCK_TYPE_MASK;

	if (s->addr || s->op_flags || s->buf)
		return -EINVAL;
	if (s->file_index && flags & LINUX_SOCK_CLOEXEC)
		return -EINVAL;
	return flags & ~SOCK_FLAGS ? -EINVAL : 0;
}

int64_t uop_socket(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	uint32_t type = (uint32_t)q->sqe.off;
	struct sock *sk;
	struct file *f;
	int r = sock_create(t, q->sqe.fd, (int)(type & LINUX_SOCK_TYPE_MASK), (int)q->sqe.len, &sk);

	if (r)
		return r;
	r = socket_file_new(t, sk, type & LINUX_SOCK_NONBLOCK, &f);
	if (r) {
		sock_put(sk);
		return r;
	}
	return uring_install(t, q->r, f, (uint32_t)q->sqe.file_index, type & LINUX_SOCK_CLOEXEC);
}
