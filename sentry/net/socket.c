/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets: the open file, SOL_SOCKET options, and the blocking loops of send and receive. See socket.h.
 *
 * Checkpoint: the file (type "socket") refers to its endpoint (a type per family), which saves struct sock through sock_save_base().
 * A blocked call is re-run; what a stream transfer had already moved is kept in sysctx.progress.
 * Linux: net/socket.c, net/core/sock.c.
 */
#include "sentry/net/socket.h"

#include <string.h>

#include "base/strbuf.h"
#include "schemas/socket.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/fs.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/unix.h"
#include "state/state.h"

#define LINUX_SOCKFS_MAGIC_NR 0x534F434B
#define EV_RECV (POLL_READ | LINUX_POLLRDBAND | LINUX_POLLRDHUP | LINUX_POLLHUP | LINUX_POLLERR)
#define EV_SEND (POLL_WRITE | LINUX_POLLWRBAND | LINUX_POLLHUP | LINUX_POLLERR)

struct socket {
	struct file file; /* saved: 1 file_base */
	struct sock *sk; /* saved: 2 sock, referenced */
};

static const struct file_ops socket_ops;

static struct socket *socket_of(const struct file *f)
{
	return container_of((struct file *)(uintptr_t)f, struct socket, file);
}

bool file_is_socket(const struct file *f)
{
	return f->ops == &socket_ops;
}

struct sock *file_sock(const struct file *f)
{
	return file_is_socket(f) ? socket_of(f)->sk : NULL;
}

/* --- endpoints --- */

int sock_init(struct sock *sk, const struct sock_ops *ops, int family, int type, int protocol, struct net_ns *net)
{
	ref_init(&sk->ref);
	waitq_init(&sk->wq);
	mutex_init(&sk->opt_mu, "sock.opt_mu");
	sk->ops = ops;
	sk->family = (uint16_t)family;
	sk->type = (uint16_t)type;
	sk->protocol = (uint16_t)protocol;
	sk->net = net ? net_ns_get(net) : NULL;
	sk->opts = (struct sock_opts){
		.sndbuf = SOCK_WMEM_DEF,
		.rcvbuf = SOCK_WMEM_DEF,
		.rcvtimeo = TIME_FOREVER,
		.sndtimeo = TIME_FOREVER,
		.rcvlowat = 1,
	};
	return 0;
}

void sock_done(struct sock *sk)
{
	net_ns_put(sk->net);
	waitq_done(&sk->wq);
	mutex_destroy(&sk->opt_mu);
}

struct sock *sock_get(struct sock *sk)
{
	ref_get(&sk->ref);
	return sk;
}

void sock_put(struct sock *sk)
{
	if (sk && ref_put(&sk->ref))
		sk->ops->destroy(sk);
}

uint32_t sock_sndbuf(struct sock *sk)
{
	uint32_t r;

	mutex_lock(&sk->opt_mu);
	r = sk->opts.sndbuf;
	mutex_unlock(&sk->opt_mu);
	return r;
}

bool sock_passcred(struct sock *sk)
{
	bool r;

	mutex_lock(&sk->opt_mu);
	r = sk->opts.passcred;
	mutex_unlock(&sk->opt_mu);
	return r;
}

int sock_create(struct task *t, int family, int type, int protocol, struct sock **ret)
{
	struct net_ns *net = t && t->ns ? t->ns->net : NULL;

	if (family < 0 || family >= LINUX_AF_MAX)
		return -EAFNOSUPPORT;
	if (type < 0 || type >= LINUX_SOCK_MAX)
		return -EINVAL;
	switch (family) {
	case LINUX_AF_UNIX:
		return unix_sock_create(t, net, type, protocol, ret);
	case LINUX_AF_INET:
	case LINUX_AF_INET6:
		if (net && net->host)
			return host_sock_create(t, net, family, type, protocol, ret);
		return inet_sock_create(t, net, family, type, protocol, ret);
	case LINUX_AF_NETLINK:
		return netlink_sock_create(t, net, type, protocol, ret);
	default:
		return -EAFNOSUPPORT;
	}
}

int64_t sock_broken_pipe(struct task *t, const struct sock_msg *m)
{
	struct linux_siginfo si;

	if (t && !m->done && !(m->flags & LINUX_MSG_NOSIGNAL)) {
		siginfo_user(&si, SIGPIPE, t, SI_USER);
		(void)signal_send_task(t, SIGPIPE, &si);
	}
	return -EPIPE;
}

void sock_msg_done(struct sock_msg *m)
{
	scm_done(&m->scm);
	free(m->ctl);
	m->ctl = NULL;
	m->ctllen = 0;
}

/* --- file operations --- */

static int64_t socket_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct sock *sk = file_sock(f);
	struct sock_msg m = { .u = u, .nonblock = file_nonblock(f) };
	int64_t r;

	if (!u->left)
		return 0;
	r = sk->ops->recvmsg ? sk->ops->recvmsg(sk, t, &m) : -EOPNOTSUPP;
	sock_msg_done(&m); /* read(2) throws descriptors away */
	return r;
}

static int64_t socket_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct sock *sk = file_sock(f);
	struct sock_msg m = { .u = u, .nonblock = file_nonblock(f) };
	int64_t r = sk->ops->sendmsg ? sk->ops->sendmsg(sk, t, &m) : -EOPNOTSUPP;

	sock_msg_done(&m);
	sock_put(m.wait); /* a connected sender's own queue is woken too */
	return r;
}

static uint32_t socket_poll(struct file *f)
{
	struct sock *sk = file_sock(f);

	return sk->ops->poll(sk);
}

static struct waitq *socket_pollq(struct file *f)
{
	return &file_sock(f)->wq;
}

static int64_t socket_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct sock *sk = file_sock(f);
	int64_t r = sk->ops->ioctl ? sk->ops->ioctl(sk, t, cmd, arg) : -ENOTTY;

	return r == -ENOTTY ? netdev_ioctl(sk, t, cmd, arg) : r;
}

static void socket_release(struct file *f)
{
	struct socket *s = socket_of(f);
	struct sock *sk = s->sk;

	if (sk) {
		sk->ops->close(sk);
		sock_put(sk);
	}
	file_done(f);
	free(s);
}

static void socket_show_name(struct file *f, struct strbuf *b)
{
	strbuf_addf(b, "socket:[%lu]", (unsigned long)f->inode->ino);
}

static const struct file_ops socket_ops = {
	.name = "socket",
	.state = &socket_state_type,
	.release = socket_release,
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.pollq = socket_pollq,
	.ioctl = socket_ioctl,
	.show_name = socket_show_name,
};

int socket_file_new(struct task *t, struct sock *sk, uint32_t flags, struct file **ret)
{
	struct socket *s = calloc(1, sizeof(*s));
	struct inode *inode = s ? anon_inode_new(t, LINUX_S_IFSOCK | 0777, LINUX_SOCKFS_MAGIC_NR) : NULL;

	if (!inode) {
		free(s);
		return -ENOMEM;
	}
	file_init(&s->file, &socket_ops, LINUX_O_RDWR | flags, t, NULL, inode);
	inode_put(inode);
	s->sk = sk;
	sk->file = &s->file;
	*ret = &s->file;
	return 0;
}

int64_t socket_timeout(const struct file *f, bool write)
{
	struct sock *sk = file_sock(f);
	int64_t r;

	if (!sk)
		return TIME_FOREVER;
	mutex_lock(&sk->opt_mu);
	r = write ? sk->opts.sndtimeo : sk->opts.rcvtimeo;
	mutex_unlock(&sk->opt_mu);
	return r;
}

/* --- blocking transfers --- */

struct xfer {
	struct sock *sk;
	struct task *t;
	struct sock_msg *m;
	size_t target; /* recv: enough bytes to return */
	bool stream;
};

/* 1: the call is over, m->done bytes moved. */
static int64_t send_op(void *arg)
{
	struct xfer *x = arg;
	struct sock_msg *m = x->m;

	for (;;) {
		int64_t r;

		sock_put(m->wait);
		m->wait = NULL;
		r = x->sk->ops->sendmsg(x->sk, x->t, m);
		if (r < 0)
			return r == -EAGAIN || !m->done ? r : 1;
		m->done += (size_t)r;
		if (!x->stream || !m->u->left)
			return 1;
	}
}

static int64_t recv_op(void *arg)
{
	struct xfer *x = arg;
	struct sock_msg *m = x->m;

	for (;;) {
		int64_t r = x->sk->ops->recvmsg(x->sk, x->t, m);

		if (r < 0)
			return r == -EAGAIN || !m->done ? r : 1;
		m->done += (size_t)r;
		if (!r || m->stop || m->done >= x->target || !m->u->left)
			return 1;
	}
}

/* Waits and repeats @op; the result of the system call. */
static int64_t xfer_wait(struct xfer *x, int64_t timeo, uint32_t events, int64_t (*op)(void *))
{
	struct sock_msg *m = x->m;
	int64_t r = op(x);

	if (r == -EAGAIN && !m->nonblock) {
		int64_t deadline = task_deadline(x->t, timeo == TIME_FOREVER ? -1 : timeo);
		struct sock *on = m->wait ? sock_get(m->wait) : NULL;

		/* A datagram always goes to the same target; should a re-run resolve to another, the wake-up is at worst late by
		 * one message of the first. */
		r = task_wait_on(x->t, on ? &on->wq : &x->sk->wq, on ? SOCK_WAIT_SPACE | LINUX_POLLHUP : events, deadline, op, x);
		sock_put(on);
	}
	sock_put(m->wait);
	m->wait = NULL;
	if (r == -EFREEZE) {
		x->t->sysctx.progress = m->done;
		return r;
	}
	if (r == 1 || m->done)
		return (int64_t)m->done;
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	if (r == -ERESTARTSYS && timeo != TIME_FOREVER)
		return -EINTR;
	return r;
}

/* A re-run after a freeze continues where the first run stopped. */
static void resume_progress(struct task *t, struct sock_msg *m)
{
	if (!t || !t->sysctx.again || !t->sysctx.progress)
		return;
	m->done = MIN((size_t)t->sysctx.progress, m->u->left);
	uio_advance(m->u, m->done);
}

int64_t do_sendmsg(struct file *f, struct task *t, struct sock_msg *m)
{
	struct sock *sk = file_sock(f);
	struct xfer x = { .sk = sk, .t = t, .m = m, .stream = sk->type == LINUX_SOCK_STREAM };

	if (!sk->ops->sendmsg)
		return -EOPNOTSUPP;
	m->nonblock = (m->flags & LINUX_MSG_DONTWAIT) || file_nonblock(f);
	if (x.stream)
		resume_progress(t, m);
	if (m->done) {
		/* Descriptors went with the first part. */
		scm_fds_put(m->scm.fds);
		m->scm.fds = NULL;
		if (!m->u->left)
			return (int64_t)m->done;
	}
	return xfer_wait(&x, socket_timeout(f, true), EV_SEND, send_op);
}

int64_t do_recvmsg(struct file *f, struct task *t, struct sock_msg *m)
{
	struct sock *sk = file_sock(f);
	struct xfer x = { .sk = sk, .t = t, .m = m, .stream = sk->type == LINUX_SOCK_STREAM };

	if (!sk->ops->recvmsg)
		return -EOPNOTSUPP;
	m->nonblock = (m->flags & LINUX_MSG_DONTWAIT) || file_nonblock(f);
	if (x.stream) {
		int32_t lowat;

		mutex_lock(&sk->opt_mu);
		lowat = sk->opts.rcvlowat;
		mutex_unlock(&sk->opt_mu);
		lowat = MAX(lowat, 1);
		x.target = m->flags & LINUX_MSG_WAITALL ? m->u->left : MIN(m->u->left, (size_t)lowat);
		if (m->flags & LINUX_MSG_PEEK)
			x.target = 1;
		else
			resume_progress(t, m);
		x.target = MAX(x.target, (size_t)1);
		if (m->done >= x.target)
			return (int64_t)m->done;
	}
	return xfer_wait(&x, socket_timeout(f, false), EV_RECV, recv_op);
}

/* --- SOL_SOCKET options --- */

static int set_timeo(struct task *t, gaddr_t val, uint32_t len, int64_t *ret)
{
	struct linux_timeval tv;
	int64_t ns;
	int r;

	if (len < sizeof(tv))
		return -EINVAL;
	r = copy_in(t, &tv, val, sizeof(tv));
	if (r)
		return r;
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	if (tv.tv_sec < 0)
		ns = 0;
	else if ((!tv.tv_sec && !tv.tv_usec) || mul_overflow(tv.tv_sec, NSEC_PER_SEC, &ns) ||
		 add_overflow(ns, tv.tv_usec * 1000, &ns))
		ns = TIME_FOREVER;
	*ret = ns;
	return 0;
}

static uint32_t clamp_buf(int v, uint32_t min, bool force)
{
	uint32_t n = v < 0 ? (force ? 0 : SOCK_WMEM_MAX) : (uint32_t)v;

	if (!force)
		n = MIN(n, SOCK_WMEM_MAX);
	n = MIN(n, (uint32_t)INT32_MAX / 2) * 2;
	return MAX(n, min);
}

static int set_linger(struct sock *sk, struct task *t, gaddr_t val, uint32_t len)
{
	struct linux_linger l;
	int r;

	if (len < sizeof(l))
		return -EINVAL;
	r = copy_in(t, &l, val, sizeof(l));
	if (r)
		return r;
	mutex_lock(&sk->opt_mu);
	sk->opts.linger = l.onoff;
	if (l.onoff)
		sk->opts.linger_sec = l.linger;
	mutex_unlock(&sk->opt_mu);
	return 0;
}

static bool is_timeo(int opt)
{
	return opt == LINUX_SO_RCVTIMEO || opt == LINUX_SO_SNDTIMEO || opt == LINUX_SO_RCVTIMEO_NEW || opt == LINUX_SO_SNDTIMEO_NEW;
}

static bool *bool_opt(struct sock_opts *o, int opt)
{
	switch (opt) {
	case LINUX_SO_REUSEADDR:
		return &o->reuseaddr;
	case LINUX_SO_REUSEPORT:
		return &o->reuseport;
	case LINUX_SO_KEEPALIVE:
		return &o->keepalive;
	case LINUX_SO_BROADCAST:
		return &o->broadcast;
	case LINUX_SO_DONTROUTE:
		return &o->dontroute;
	case LINUX_SO_OOBINLINE:
		return &o->oobinline;
	case LINUX_SO_TIMESTAMP:
		return &o->timestamp;
	case LINUX_SO_PASSSEC:
		return &o->passsec;
	case LINUX_SO_PASSCRED:
		return &o->passcred;
	default:
		return NULL;
	}
}

static int set_int_locked(struct sock *sk, struct task *t, int opt, int v)
{
	struct sock_opts *o = &sk->opts;
	bool *b = bool_opt(o, opt);

	if (b) {
		if (opt == LINUX_SO_PASSCRED && sk->family != LINUX_AF_UNIX && sk->family != LINUX_AF_NETLINK)
			return -EOPNOTSUPP;
		*b = v;
		return 0;
	}
	switch (opt) {
	case LINUX_SO_DEBUG:
		return v && !task_capable(t, LINUX_CAP_NET_ADMIN) ? -EACCES : 0;
	case LINUX_SO_SNDBUF:
	case LINUX_SO_SNDBUFFORCE:
		if (opt == LINUX_SO_SNDBUFFORCE && !task_capable(t, LINUX_CAP_NET_ADMIN))
			return -EPERM;
		o->sndbuf = clamp_buf(v, SOCK_SNDBUF_MIN, opt == LINUX_SO_SNDBUFFORCE);
		return 0;
	case LINUX_SO_RCVBUF:
	case LINUX_SO_RCVBUFFORCE:
		if (opt == LINUX_SO_RCVBUFFORCE && !task_capable(t, LINUX_CAP_NET_ADMIN))
			return -EPERM;
		o->rcvbuf = clamp_buf(v, SOCK_RCVBUF_MIN, opt == LINUX_SO_RCVBUFFORCE);
		return 0;
	case LINUX_SO_RCVLOWAT:
		o->rcvlowat = v < 0 ? INT32_MAX : MAX(v, 1);
		return 0;
	case LINUX_SO_PRIORITY:
		if ((v < 0 || v > 6) && !task_capable(t, LINUX_CAP_NET_ADMIN))
			return -EPERM;
		o->priority = v;
		return 0;
	case LINUX_SO_MARK:
		if (!task_capable(t, LINUX_CAP_NET_ADMIN))
			return -EPERM;
		o->mark = (uint32_t)v;
		return 0;
	case LINUX_SO_NO_CHECK:
		return 0;
	case LINUX_SO_TYPE:
	case LINUX_SO_PROTOCOL:
	case LINUX_SO_DOMAIN:
	case LINUX_SO_ERROR:
	default:
		return -ENOPROTOOPT;
	}
}

int sock_setsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len)
{
	int64_t timeo;
	int v, r;

	if (level != LINUX_SOL_SOCKET || (sk->ops->own_sol_socket && !is_timeo(opt)))
		return sk->ops->setsockopt ? sk->ops->setsockopt(sk, t, level, opt, val, len) : -ENOPROTOOPT;
	if (len < sizeof(int))
		return -EINVAL;
	r = copy_in(t, &v, val, sizeof(v));
	if (r)
		return r;
	switch (opt) {
	case LINUX_SO_LINGER:
		return set_linger(sk, t, val, len);
	case LINUX_SO_RCVTIMEO:
	case LINUX_SO_SNDTIMEO:
	case LINUX_SO_RCVTIMEO_NEW:
	case LINUX_SO_SNDTIMEO_NEW:
		r = set_timeo(t, val, len, &timeo);
		if (r)
			return r;
		mutex_lock(&sk->opt_mu);
		*(opt == LINUX_SO_RCVTIMEO || opt == LINUX_SO_RCVTIMEO_NEW ? &sk->opts.rcvtimeo : &sk->opts.sndtimeo) = timeo;
		mutex_unlock(&sk->opt_mu);
		return 0;
	default:
		break;
	}
	mutex_lock(&sk->opt_mu);
	r = set_int_locked(sk, t, opt, v);
	mutex_unlock(&sk->opt_mu);
	if (opt == LINUX_SO_SNDBUF && !r)
		waitq_wake(&sk->wq, EV_SEND);
	return r;
}

static void timeo_get(int64_t timeo, void *buf, uint32_t *len)
{
	struct linux_timeval tv = { 0 };

	if (timeo != TIME_FOREVER)
		tv = (struct linux_timeval){ timeo / NSEC_PER_SEC, timeo % NSEC_PER_SEC / 1000 };
	*len = MIN(*len, (uint32_t)sizeof(tv));
	memcpy(buf, &tv, *len);
}

static int get_int_locked(struct sock *sk, int opt, int *ret)
{
	struct sock_opts *o = &sk->opts;
	bool *b = bool_opt(o, opt);

	if (b) {
		*ret = *b;
		return 0;
	}
	switch (opt) {
	case LINUX_SO_DEBUG:
	case LINUX_SO_NO_CHECK:
		*ret = 0;
		return 0;
	case LINUX_SO_SNDBUF:
		*ret = (int)o->sndbuf;
		return 0;
	case LINUX_SO_RCVBUF:
		*ret = (int)o->rcvbuf;
		return 0;
	case LINUX_SO_RCVLOWAT:
		*ret = o->rcvlowat;
		return 0;
	case LINUX_SO_SNDLOWAT:
		*ret = 1;
		return 0;
	case LINUX_SO_PRIORITY:
		*ret = o->priority;
		return 0;
	case LINUX_SO_MARK:
		*ret = (int)o->mark;
		return 0;
	case LINUX_SO_TYPE:
		*ret = sk->type;
		return 0;
	case LINUX_SO_PROTOCOL:
		*ret = sk->protocol;
		return 0;
	case LINUX_SO_DOMAIN:
		*ret = sk->family;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

/* Fills @buf with the option's value, at most *@len bytes. */
static int get_opt(struct sock *sk, struct task *t, int level, int opt, void *buf, uint32_t *len)
{
	int v = 0, r;

	if (level == LINUX_SOL_SOCKET && (!sk->ops->own_sol_socket || is_timeo(opt))) {
		bool done = true;

		mutex_lock(&sk->opt_mu);
		r = get_int_locked(sk, opt, &v);
		if (opt == LINUX_SO_LINGER) {
			struct linux_linger l = { sk->opts.linger, sk->opts.linger_sec };

			*len = MIN(*len, (uint32_t)sizeof(l));
			memcpy(buf, &l, *len);
		} else if (opt == LINUX_SO_RCVTIMEO || opt == LINUX_SO_RCVTIMEO_NEW) {
			timeo_get(sk->opts.rcvtimeo, buf, len);
		} else if (opt == LINUX_SO_SNDTIMEO || opt == LINUX_SO_SNDTIMEO_NEW) {
			timeo_get(sk->opts.sndtimeo, buf, len);
		} else {
			done = false;
		}
		mutex_unlock(&sk->opt_mu);
		if (done)
			return 0;
		if (opt == LINUX_SO_ERROR) {
			v = sk->ops->take_error ? sk->ops->take_error(sk) : 0;
			r = 0;
		} else if (opt == LINUX_SO_ACCEPTCONN) {
			v = sk->ops->listening && sk->ops->listening(sk);
			r = 0;
		}
		if (!r) {
			*len = MIN(*len, (uint32_t)sizeof(v));
			memcpy(buf, &v, *len);
			return 0;
		}
	}
	return sk->ops->getsockopt ? sk->ops->getsockopt(sk, t, level, opt, buf, len) : -ENOPROTOOPT;
}

int sock_getsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, gaddr_t lenp)
{
	uint8_t buf[1024];
	int32_t ulen;
	uint32_t len;
	int r = copy_in(t, &ulen, lenp, sizeof(ulen));

	if (r)
		return r;
	if (ulen < 0)
		return -EINVAL;
	len = MIN((uint32_t)ulen, (uint32_t)sizeof(buf));
	r = get_opt(sk, t, level, opt, buf, &len);
	ulen = (int32_t)len;
	if (r == -ERANGE) /* the value did not fit; how long it is is still told (SO_PEERGROUPS) */
		return copy_out(t, lenp, &ulen, sizeof(ulen)) ? -EFAULT : r;
	if (r < 0)
		return r;
	if (copy_out(t, val, buf, len) || copy_out(t, lenp, &ulen, sizeof(ulen)))
		return -EFAULT;
	return 0;
}

/* --- state --- */

int sock_save_base(struct state_writer *w, const struct sock *sk, Sentry__SockBase *m)
{
	const struct sock_opts *o = &sk->opts;
	const bool bits[] = { o->reuseaddr, o->reuseport, o->keepalive, o->broadcast,
			      o->dontroute, o->oobinline, o->timestamp, o->passsec };

	m->family = sk->family;
	m->type = sk->type;
	m->protocol = sk->protocol;
	m->net = state_ref(w, &net_ns_state_type, sk->net);
	m->sndbuf = o->sndbuf;
	m->rcvbuf = o->rcvbuf;
	m->rcvtimeo = o->rcvtimeo;
	m->sndtimeo = o->sndtimeo;
	m->rcvlowat = o->rcvlowat;
	m->passcred = o->passcred;
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		m->option_bits |= (uint32_t)bits[i] << i;
	m->linger = o->linger;
	m->linger_sec = o->linger_sec;
	m->priority = o->priority;
	m->mark = o->mark;
	return 0;
}

int sock_load_base(struct state_reader *r, struct sock *sk, const struct sock_ops *ops, const Sentry__SockBase *m)
{
	struct sock_opts *o = &sk->opts;
	bool *bits[] = { &o->reuseaddr, &o->reuseport, &o->keepalive, &o->broadcast,
			 &o->dontroute, &o->oobinline, &o->timestamp, &o->passsec };
	int err = state_check(r, m && m->family < LINUX_AF_MAX && m->type < LINUX_SOCK_MAX && m->protocol <= UINT16_MAX,
			      "socket family and type");

	if (err)
		return err;
	err = state_check(r, m->rcvtimeo >= 0 && m->sndtimeo >= 0 && m->option_bits < 1u << ARRAY_SIZE(bits) &&
				     m->sndbuf <= INT32_MAX && m->rcvbuf <= INT32_MAX, "socket options");
	if (err)
		return err;
	sk->ops = ops;
	sk->family = (uint16_t)m->family;
	sk->type = (uint16_t)m->type;
	sk->protocol = (uint16_t)m->protocol;
	o->sndbuf = m->sndbuf;
	o->rcvbuf = m->rcvbuf;
	o->rcvtimeo = m->rcvtimeo;
	o->sndtimeo = m->sndtimeo;
	o->rcvlowat = m->rcvlowat;
	o->passcred = m->passcred;
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		*bits[i] = m->option_bits >> i & 1;
	o->linger = m->linger;
	o->linger_sec = m->linger_sec;
	o->priority = m->priority;
	o->mark = m->mark;
	return state_deref(r, m->net, &net_ns_state_type, (void **)&sk->net);
}

void sock_state_get(void *sk)
{
	(void)sock_get(sk);
}

void sock_state_put(void *sk)
{
	sock_put(sk);
}

static void *socket_alloc(void)
{
	struct socket *s = calloc(1, sizeof(*s));

	if (s)
		ref_init(&s->file.ref);
	return s;
}

static int socket_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct socket *s = obj;
	Sentry__Socket *m = msg;

	m->file_base = state_zalloc(w, 1, sizeof(*m->file_base));
	sentry__file_base__init(m->file_base);
	m->sock = state_ref(w, s->sk->ops->state, s->sk);
	return file_save_base(w, &s->file, m->file_base);
}

static int socket_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__Socket *m = msg;
	const struct state_type *type = NULL;
	struct socket *s = obj;
	void *sk = NULL;
	int err = state_check(r, m->file_base != NULL, "no base");

	if (!err)
		err = file_load_base(r, &s->file, &socket_ops, m->file_base);
	if (!err)
		err = state_deref_any(r, m->sock, &type, &sk);
	if (!err)
		err = state_check(r, sk && type->get == sock_state_get, "socket without endpoint");
	if (!err)
		s->sk = sk;
	return err;
}

static int socket_after_load(struct state_reader *r, void *obj)
{
	struct socket *s = obj;
	int err = state_check(r, !s->sk->file, "endpoint with two files");

	if (err)
		return err;
	s->sk->file = &s->file;
	file_after_load_base(&s->file);
	return 0;
}

const struct state_type socket_state_type = {
	.id = STATE_ID_socket,
	.name = "socket",
	.desc = &sentry__socket__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = socket_alloc,
	.save = socket_save,
	.load = socket_load,
	.after_load = socket_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
