/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket system calls: arguments and results; the work is in sentry/net. Linux: net/socket.c.
 *
 * A re-run after a freeze repeats the whole call; stream transfers continue from sysctx.progress (net/socket.c), the multi-message calls
 * keep the number of finished messages in sysctx.val[0].
 */
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/sock_user.h"
#include "sentry/net/unix.h"
#include "sentry/syscalls/syscalls.h"

#define MSG_CMSG_COMPAT_F 0x80000000u /* of the kernel itself */
#define MMSG_MAX    1024u /* UIO_MAXIOV */

/* The open socket behind @fd, referenced. */
static int get_socket(struct task *t, int fd, struct file **ret)
{
	struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	if (!file_is_socket(f)) {
		file_put(f);
		return -ENOTSOCK;
	}
	*ret = f;
	return 0;
}

/* --- making sockets --- */

static int split_type(uint32_t arg, int *ret_type, uint32_t *ret_flags)
{
	*ret_flags = arg & ~LINUX_SOCK_TYPE_MASK;
	*ret_type = (int)(arg & LINUX_SOCK_TYPE_MASK);
	return *ret_flags & ~(LINUX_SOCK_CLOEXEC | LINUX_SOCK_NONBLOCK) ? -EINVAL : 0;
}

int64_t sys_socket(struct task *t, const struct sys_args *a)
{
	struct sock *sk;
	struct file *f;
	uint32_t flags;
	int type, r;

	r = split_type(ARG_U32(a, 1), &type, &flags);
	if (!r)
		r = sock_create(t, ARG_INT(a, 0), type, ARG_INT(a, 2), &sk);
	if (r)
		return r;
	r = socket_file_new(t, sk, flags & LINUX_SOCK_NONBLOCK, &f);
	if (r) {
		sock_put(sk);
		return r;
	}
	r = fd_install(t, f, 0, flags & LINUX_SOCK_CLOEXEC);
	if (r < 0)
		file_put(f);
	return r;
}

static int pair_files(struct task *t, int family, int type, int protocol, uint32_t flags, struct file *ret[2])
{
	struct unix_sock *u[2];
	struct sock *probe;
	int r;

	if (family == LINUX_AF_INET || family == LINUX_AF_INET6)
		return -EOPNOTSUPP;
	r = sock_create(t, family, type, protocol, &probe); /* checks the arguments as socket(2) does */
	if (r)
		return r;
	type = probe->type;
	sock_put(probe);
	if (family != LINUX_AF_UNIX)
		return -EOPNOTSUPP;
	r = unix_pair(t, t->ns->net, type, u);
	if (r)
		return r;
	r = socket_file_new(t, &u[0]->sk, flags & LINUX_SOCK_NONBLOCK, &ret[0]);
	if (r) {
		unix_put(u[0]);
		unix_put(u[1]);
		return r;
	}
	r = socket_file_new(t, &u[1]->sk, flags & LINUX_SOCK_NONBLOCK, &ret[1]);
	if (r) {
		unix_put(u[1]);
		file_put(ret[0]);
	}
	return r;
}

int64_t sys_socketpair(struct task *t, const struct sys_args *a)
{
	struct file *f[2];
	uint32_t flags;
	int type, fd[2], r;

	r = split_type(ARG_U32(a, 1), &type, &flags);
	if (r)
		return r;
	/* The numbers are written first: a bad pointer is reported before a bad family. */
	fd[0] = r = fd_reserve(t, 0, flags & LINUX_SOCK_CLOEXEC);
	if (r < 0)
		return r;
	fd[1] = r = fd_reserve(t, 0, flags & LINUX_SOCK_CLOEXEC);
	if (r >= 0) {
		r = copy_out(t, ARG_ADDR(a, 3), fd, sizeof(fd));
		if (!r)
			r = pair_files(t, ARG_INT(a, 0), type, ARG_INT(a, 2), flags, f);
		if (!r) {
			fd_commit(t, fd[0], f[0]);
			fd_commit(t, fd[1], f[1]);
			return 0;
		}
		fd_unreserve(t, fd[1]);
	}
	fd_unreserve(t, fd[0]);
	return r;
}

/* --- names and connections --- */

int64_t sys_bind(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	uint8_t addr[LINUX_SOCKADDR_MAX];
	int r = get_socket(t, ARG_INT(a, 0), &f);
	struct sock *sk;

	if (!r)
		r = sock_addr_in(t, ARG_ADDR(a, 1), ARG_INT(a, 2), addr);
	if (r)
		return r;
	sk = file_sock(f);
	return sk->ops->bind ? sk->ops->bind(sk, t, addr, ARG_U32(a, 2)) : -EOPNOTSUPP;
}

int64_t sys_listen(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	int r = get_socket(t, ARG_INT(a, 0), &f);
	struct sock *sk;

	if (r)
		return r;
	sk = file_sock(f);
	return sk->ops->listen ? sk->ops->listen(sk, t, ARG_INT(a, 1)) : -EOPNOTSUPP;
}

static int64_t timeout_deadline(struct task *t, const struct file *f, bool write)
{
	int64_t timeo = socket_timeout(f, write);

	return task_deadline(t, timeo == TIME_FOREVER ? -1 : timeo);
}

/* A wait with a socket timeout is not restarted. */
static int64_t timed_result(const struct file *f, bool write, int64_t r)
{
	if (r == -ETIMEDOUT && (!write || file_sock(f)->family == LINUX_AF_UNIX)) /* else it is the connection's own error */
		return -EAGAIN;
	return r == -ERESTARTSYS && socket_timeout(f, write) != TIME_FOREVER ? -EINTR : r;
}

int64_t sys_connect(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	uint8_t addr[LINUX_SOCKADDR_MAX];
	int r = get_socket(t, ARG_INT(a, 0), &f);
	struct sock *sk;

	if (!r)
		r = sock_addr_in(t, ARG_ADDR(a, 1), ARG_INT(a, 2), addr);
	if (r)
		return r;
	sk = file_sock(f);
	if (!sk->ops->connect)
		return -EOPNOTSUPP;
	r = sk->ops->connect(sk, t, addr, ARG_U32(a, 2), file_nonblock(f), timeout_deadline(t, f, true));
	return timed_result(f, true, r);
}

struct accept_op {
	struct sock *sk, *got;
	struct task *t;
};

static int64_t accept_try(void *arg)
{
	struct accept_op *o = arg;
	int r = o->sk->ops->accept(o->sk, o->t, &o->got);

	return r ? r : 1;
}

static int64_t do_accept(struct task *t, int fd, gaddr_t addr, gaddr_t lenp, uint32_t flags)
{
	_cleanup_file_ struct file *f = NULL, *nf = NULL;
	struct accept_op o = { .t = t };
	int newfd, r;
	int64_t w;

	r = get_socket(t, fd, &f);
	if (r)
		return r;
	if (flags & ~(LINUX_SOCK_CLOEXEC | LINUX_SOCK_NONBLOCK))
		return -EINVAL;
	o.sk = file_sock(f);
	if (!o.sk->ops->accept)
		return -EOPNOTSUPP;
	newfd = fd_reserve(t, 0, flags & LINUX_SOCK_CLOEXEC);
	if (newfd < 0)
		return newfd;
	w = accept_try(&o);
	if (w == -EAGAIN && !file_nonblock(f))
		w = task_wait_on(t, &o.sk->wq, POLL_READ | LINUX_POLLHUP | LINUX_POLLERR,
				 timeout_deadline(t, f, false), accept_try, &o);
	if (w != 1) {
		fd_unreserve(t, newfd);
		return timed_result(f, false, w);
	}
	r = socket_file_new(t, o.got, flags & LINUX_SOCK_NONBLOCK, &nf);
	if (r) {
		sock_put(o.got);
	} else if (addr.v) {
		uint8_t name[LINUX_SOCKADDR_MAX];

		r = o.got->ops->accepted_name ? o.got->ops->accepted_name(o.got, name) : o.got->ops->getname(o.got, t, name, true);
		if (r < 0)
			r = -ECONNABORTED;
		else
			r = sock_addr_out(t, name, (uint32_t)r, addr, lenp);
	}
	if (r) {
		fd_unreserve(t, newfd);
		return r;
	}
	fd_commit(t, newfd, TAKE_PTR(nf));
	return newfd;
}

int64_t sys_accept(struct task *t, const struct sys_args *a)
{
	return do_accept(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_ADDR(a, 2), 0);
}

int64_t sys_accept4(struct task *t, const struct sys_args *a)
{
	return do_accept(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_ADDR(a, 2), ARG_U32(a, 3));
}

static int64_t do_getname(struct task *t, const struct sys_args *a, bool peer)
{
	_cleanup_file_ struct file *f = NULL;
	uint8_t name[LINUX_SOCKADDR_MAX];
	int r = get_socket(t, ARG_INT(a, 0), &f);
	struct sock *sk;

	if (r)
		return r;
	sk = file_sock(f);
	r = sk->ops->getname(sk, t, name, peer);
	return r < 0 ? r : sock_addr_out(t, name, (uint32_t)r, ARG_ADDR(a, 1), ARG_ADDR(a, 2));
}

int64_t sys_getsockname(struct task *t, const struct sys_args *a)
{
	return do_getname(t, a, false);
}

int64_t sys_getpeername(struct task *t, const struct sys_args *a)
{
	return do_getname(t, a, true);
}

int64_t sys_shutdown(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	int how = ARG_INT(a, 1), r = get_socket(t, ARG_INT(a, 0), &f);
	struct sock *sk;

	if (r)
		return r;
	if (how < LINUX_SHUT_RD || how > LINUX_SHUT_RDWR)
		return -EINVAL;
	sk = file_sock(f);
	return sk->ops->shutdown ? sk->ops->shutdown(sk, how) : -EOPNOTSUPP;
}

int64_t sys_setsockopt(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	int r = get_socket(t, ARG_INT(a, 0), &f);

	if (r)
		return r;
	if (ARG_INT(a, 4) < 0)
		return -EINVAL;
	return sock_setsockopt(file_sock(f), t, ARG_INT(a, 1), ARG_INT(a, 2), ARG_ADDR(a, 3), ARG_U32(a, 4));
}

int64_t sys_getsockopt(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	int r = get_socket(t, ARG_INT(a, 0), &f);

	return r ? r : sock_getsockopt(file_sock(f), t, ARG_INT(a, 1), ARG_INT(a, 2), ARG_ADDR(a, 3), ARG_ADDR(a, 4));
}

/* --- transfer --- */

int64_t sys_sendto(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	struct sock_msg m = { .flags = ARG_U32(a, 3) };
	struct uio u;
	int64_t r = uio_user(&u, t->mm, ARG_ADDR(a, 1), a->a[2]);

	if (!r)
		r = get_socket(t, ARG_INT(a, 0), &f);
	if (r)
		return r;
	if (ARG_ADDR(a, 4).v) {
		r = sock_addr_in(t, ARG_ADDR(a, 4), ARG_INT(a, 5), m.name);
		if (r)
			return r;
		m.namelen = ARG_U32(a, 5);
	}
	m.u = &u;
	r = do_sendmsg(f, t, &m);
	sock_msg_done(&m);
	uio_done(&u);
	return r;
}

int64_t sys_recvfrom(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	struct sock_msg m = { .flags = ARG_U32(a, 3) };
	struct uio u;
	int64_t r = uio_user(&u, t->mm, ARG_ADDR(a, 1), a->a[2]);

	if (!r)
		r = get_socket(t, ARG_INT(a, 0), &f);
	if (r)
		return r;
	m.u = &u;
	r = do_recvmsg(f, t, &m);
	sock_msg_done(&m);
	uio_done(&u);
	if (r >= 0 && ARG_ADDR(a, 4).v) {
		int err = sock_addr_out(t, m.name, m.namelen, ARG_ADDR(a, 4), ARG_ADDR(a, 5));

		if (err)
			r = err;
	}
	return r;
}

static int64_t send_one(struct task *t, struct file *f, const struct linux_msghdr *h, uint32_t flags)
{
	uint8_t name[LINUX_SOCKADDR_MAX];
	int32_t namelen = 0;
	struct uio u;
	int64_t r;

	if (h->name && h->namelen) {
		/* Longer names are cut here, not refused (Linux). */
		namelen = h->namelen < 0 ? -1 : MIN(h->namelen, LINUX_SOCKADDR_MAX);
		r = sock_addr_in(t, GADDR(h->name), namelen, name);
		if (r)
			return r;
	}
	if (h->iovlen > LINUX_UIO_MAXIOV)
		return -EMSGSIZE;
	r = uio_user_iov(&u, t->mm, GADDR(h->iov), h->iovlen);
	if (r)
		return r;
	r = sock_send_user(t, f, &u, name, (uint32_t)namelen, GADDR(h->control), h->controllen, flags);
	uio_done(&u);
	return r;
}

int64_t sys_sendmsg(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	struct linux_msghdr h;
	int r;

	if (ARG_U32(a, 2) & MSG_CMSG_COMPAT_F)
		return -EINVAL;
	r = get_socket(t, ARG_INT(a, 0), &f);
	if (!r)
		r = copy_in(t, &h, ARG_ADDR(a, 1), sizeof(h));
	return r ? r : send_one(t, f, &h, ARG_U32(a, 2));
}

static int64_t recv_one(struct task *t, struct file *f, struct linux_msghdr *h, gaddr_t at, uint32_t flags)
{
	struct uio u;
	int64_t r;

	if (h->iovlen > LINUX_UIO_MAXIOV)
		return -EMSGSIZE;
	if (h->namelen < 0)
		return -EINVAL;
	r = uio_user_iov(&u, t->mm, GADDR(h->iov), h->iovlen);
	if (r)
		return r;
	r = sock_recv_user(t, f, &u, h, at, flags);
	uio_done(&u);
	return r;
}

int64_t sys_recvmsg(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	struct linux_msghdr h;
	int r;

	if (ARG_U32(a, 2) & MSG_CMSG_COMPAT_F)
		return -EINVAL;
	r = get_socket(t, ARG_INT(a, 0), &f);
	if (!r)
		r = copy_in(t, &h, ARG_ADDR(a, 1), sizeof(h));
	return r ? r : recv_one(t, f, &h, ARG_ADDR(a, 1), ARG_U32(a, 2));
}

/* How many messages an interrupted run had finished. */
static uint32_t mmsg_start(struct task *t, uint32_t n)
{
	return t->sysctx.again ? MIN((uint32_t)t->sysctx.val[0], n) : 0;
}

/* Ends (or, for a freeze, suspends) a multi-message call after @done messages and result @r of the next. */
static int64_t mmsg_end(struct task *t, uint32_t done, int64_t r)
{
	if (r == -EFREEZE) {
		t->sysctx.val[0] = done;
		return r;
	}
	return done ? (int64_t)done : r;
}

int64_t sys_sendmmsg(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	uint32_t n = MIN(ARG_U32(a, 2), MMSG_MAX), i;
	int64_t r;

	if (ARG_U32(a, 3) & MSG_CMSG_COMPAT_F)
		return -EINVAL;
	r = get_socket(t, ARG_INT(a, 0), &f);
	if (r)
		return r;
	for (i = mmsg_start(t, n); i < n; i++) {
		gaddr_t at = gaddr_add(ARG_ADDR(a, 1), i * sizeof(struct linux_mmsghdr));
		struct linux_msghdr h;
		uint32_t len;

		r = copy_in(t, &h, at, sizeof(h));
		if (!r)
			r = send_one(t, f, &h, ARG_U32(a, 3));
		if (r < 0)
			break;
		t->sysctx.progress = 0;
		len = (uint32_t)r;
		r = copy_out(t, gaddr_add(at, offsetof(struct linux_mmsghdr, len)), &len, sizeof(len));
		if (r)
			break;
	}
	return mmsg_end(t, i, r);
}

int64_t sys_recvmmsg(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	uint32_t n = MIN(ARG_U32(a, 2), MMSG_MAX), flags = ARG_U32(a, 3), i;
	gaddr_t ts = ARG_ADDR(a, 4);
	int64_t r, rel, end = TIME_FOREVER;

	if (flags & MSG_CMSG_COMPAT_F)
		return -EINVAL;
	r = get_socket(t, ARG_INT(a, 0), &f);
	if (r)
		return r;
	if (ts.v) {
		r = copy_in_timespec(t, ts, &rel);
		if (r)
			return r;
		/* The receives below use the deadline of the call context for their own timeout. */
		end = t->sysctx.again ? (int64_t)t->sysctx.val[1] : task_deadline(t, rel);
		t->sysctx.val[1] = (uint64_t)end;
		t->sysctx.has_deadline = t->sysctx.again;
	}
	for (i = mmsg_start(t, n); i < n; i++) {
		gaddr_t at = gaddr_add(ARG_ADDR(a, 1), i * sizeof(struct linux_mmsghdr));
		struct linux_msghdr h;
		uint32_t len;

		r = copy_in(t, &h, at, sizeof(h));
		if (!r)
			r = recv_one(t, f, &h, at, flags & ~LINUX_MSG_WAITFORONE);
		if (r < 0)
			break;
		t->sysctx.progress = 0;
		len = (uint32_t)r;
		r = copy_out(t, gaddr_add(at, offsetof(struct linux_mmsghdr, len)), &len, sizeof(len));
		if (r)
			break;
		if (flags & LINUX_MSG_WAITFORONE)
			flags |= LINUX_MSG_DONTWAIT;
		/* Like Linux, looked at only between messages. */
		if (end != TIME_FOREVER && ktime_mono() >= end) {
			i++;
			break;
		}
	}
	if (ts.v && r != -EFREEZE) {
		int err = copy_out_timespec(t, ts, end == TIME_FOREVER ? 0 : MAX(end - ktime_mono(), (int64_t)0));

		if (err && i)
			r = err;
	}
	return mmsg_end(t, i, r);
}
