/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP without packets. A connection is two endpoints that point at each other with references; connect() makes the second, which waits in
 * the listener's backlog until accept(). When the backlog is full the connecting one waits in the listener's synq (SYN_SENT).
 *
 * Sent bytes go to the receiver's queue at once, bounded by the sender's and the receiver's buffer sizes together. Closing breaks the
 * pointers: a FIN leaves the survivor ESTABLISHED with no peer, where the next write is answered by a reset; a RST closes it.
 * Checkpoint: see inet_state.c; an interrupted connect() goes on waiting when it is re-run, because `conn` says so.
 * Linux: net/ipv4/tcp.c. DEVIATION: no urgent data, no connect timeout, no simultaneous open.
 */
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "state/state.h"

#define CHUNK_MAX 65536u

uint32_t tcp_shown_state(const struct inet_sock *u)
{
	if (u->state == INET_ESTABLISHED && (u->shutdown & INET_SHUT_SEND))
		return 5; /* FIN_WAIT2 */
	if (u->state == INET_ESTABLISHED && u->fin_rcvd)
		return 8; /* CLOSE_WAIT */
	return u->state;
}

static uint32_t rcvbuf(struct inet_sock *u)
{
	uint32_t r;

	mutex_lock(&u->sk.opt_mu);
	r = u->sk.opts.rcvbuf;
	mutex_unlock(&u->sk.opt_mu);
	return r;
}

/* Bytes @u may still send; *@ret_some: enough for poll. */
static size_t space_locked(struct inet_sock *u, bool *ret_some)
{
	size_t cap, used;

	if (!u->peer) {
		*ret_some = true;
		return CHUNK_MAX; /* into the void */
	}
	cap = (size_t)sock_sndbuf(&u->sk) + rcvbuf(u->peer);
	used = u->peer->rq_bytes;
	*ret_some = used < cap && (cap - used) * 3 >= cap;
	return used < cap ? cap - used : 0;
}

/* The connection is reset from outside. The caller puts the returned peer and wakes. */
static struct inet_sock *reset_locked(struct inet_sock *u)
{
	struct inet_sock *p = u->peer;

	u->peer = NULL;
	if (u->state != INET_CLOSE)
		u->err = u->state == INET_SYN_SENT ? ECONNREFUSED : u->fin_rcvd ? EPIPE : ECONNRESET;
	u->state = INET_CLOSE;
	u->shutdown = INET_SHUT_BOTH;
	return p;
}

static void fin_locked(struct inet_sock *u)
{
	u->fin_rcvd = true;
	u->shutdown |= INET_SHUT_RCV;
}

/* Both directions have ended. */
static void maybe_done_locked(struct inet_sock *u)
{
	if (u->state == INET_ESTABLISHED && u->fin_rcvd && (u->shutdown & INET_SHUT_SEND)) {
		u->state = INET_CLOSE;
		u->shutdown = INET_SHUT_BOTH;
	}
}

/* --- connections --- */

/* Joins @c and a new endpoint in the backlog of @l, which has room. */
static int establish_locked(struct inet_sock *l, struct inet_sock *c)
{
	struct inet_sock *n = inet_new(l->sk.net, l->sk.family, l->sk.type);

	if (!n)
		return -ENOMEM;
	mutex_lock(&l->sk.opt_mu);
	n->sk.opts = l->sk.opts;
	mutex_unlock(&l->sk.opt_mu);
	memcpy(n->opt, l->opt, sizeof(n->opt));
	n->v6only = l->v6only;
	n->uid = l->uid;
	n->laddr = c->raddr;
	n->raddr = c->laddr;
	list_add(inet_bucket(n, n->laddr.port), &n->node);
	n->state = c->state = INET_ESTABLISHED;
	n->conn = INET_CONNECTED;
	n->peer = inet_get(c);
	c->peer = inet_get(n);
	list_add_tail(&l->backlog, &n->wait_node);
	l->nr_backlog++;
	return 0;
}

static int begin_locked(struct inet_sock *u, const struct inet_addr *dst)
{
	struct inet_addr src;
	struct inet_sock *l, *o;
	int r = inet_route_locked(u, dst, &src);

	if (!r)
		r = inet_autobind_locked(u);
	if (r)
		return r == -EAGAIN ? -EADDRNOTAVAIL : r;
	src.port = u->laddr.port;
	list_for_each(o, inet_bucket(u, src.port), node)
		if (o != u && o->state == INET_ESTABLISHED && !memcmp(&o->laddr, &src, sizeof(src)) && !memcmp(&o->raddr, dst, sizeof(*dst)))
			return -EADDRNOTAVAIL;
	l = inet_lookup_locked(u, dst, &src);
	u->laddr = src;
	u->raddr = *dst;
	u->conn = INET_CONNECTING;
	u->shutdown = 0;
	u->err = 0;
	if (!l) {
		u->state = INET_SYN_SENT;
		(void)reset_locked(u);
		return 0;
	}
	if (l->nr_backlog <= l->backlog_max) {
		r = establish_locked(l, u);
		if (r)
			inet_disconnect_locked(u);
		else
			waitq_wake(&l->sk.wq, POLL_READ);
		return r;
	}
	u->state = INET_SYN_SENT;
	u->lst = l;
	list_add_tail(&l->synq, &inet_get(u)->wait_node);
	l->nr_synq++;
	return 0;
}

/* Leaves the synq; true: the caller puts a reference. */
static bool leave_synq_locked(struct inet_sock *u)
{
	if (!u->lst)
		return false;
	u->lst->nr_synq--;
	u->lst = NULL;
	list_del(&u->wait_node);
	return true;
}

static int64_t connect_result(void *arg)
{
	struct inet_sock *u = arg;
	int64_t r = 1;

	mutex_lock(inet_mu(u));
	if (u->conn == INET_CONNECTING && u->state == INET_SYN_SENT) {
		r = -EAGAIN;
	} else if (u->conn == INET_CONNECTING && u->state == INET_CLOSE) {
		r = u->err ? -u->err : -ECONNABORTED;
		inet_disconnect_locked(u);
	} else if (u->conn == INET_UNCONNECTED) {
		r = -ECONNABORTED;
	} else {
		u->conn = INET_CONNECTED;
	}
	mutex_unlock(inet_mu(u));
	return r;
}

static void tcp_disconnect(struct inet_sock *u)
{
	struct list msgs = LIST_INIT(msgs);
	struct inet_sock *p, *pp = NULL;
	bool syn;

	mutex_lock(&u->rx_mu);
	mutex_lock(inet_mu(u));
	syn = leave_synq_locked(u);
	p = u->peer;
	u->peer = NULL;
	if (p)
		pp = reset_locked(p);
	list_splice_tail(&msgs, &u->rq);
	u->rq_bytes = 0;
	inet_disconnect_locked(u);
	mutex_unlock(inet_mu(u));
	mutex_unlock(&u->rx_mu);
	if (p)
		waitq_wake(&p->sk.wq, INET_EV_ALL);
	waitq_wake(&u->sk.wq, INET_EV_ALL);
	inet_put(p);
	inet_put(pp);
	if (syn)
		inet_put(u);
	inet_free_msgs(&msgs);
}

/* A listener stops: who waits in it is reset. */
static void stop_listening(struct inet_sock *u)
{
	struct list embryos = LIST_INIT(embryos), syns = LIST_INIT(syns);
	struct inet_sock *e, *tmp;

	mutex_lock(inet_mu(u));
	list_splice_tail(&embryos, &u->backlog);
	list_splice_tail(&syns, &u->synq);
	u->nr_backlog = u->nr_synq = 0;
	list_for_each(e, &syns, wait_node) {
		e->lst = NULL;
		(void)reset_locked(e);
	}
	mutex_unlock(inet_mu(u));
	list_for_each_safe(e, tmp, &syns, wait_node) {
		list_del(&e->wait_node);
		waitq_wake(&e->sk.wq, INET_EV_ALL);
		inet_put(e);
	}
	list_for_each_safe(e, tmp, &embryos, wait_node) {
		list_del(&e->wait_node);
		tcp_teardown(e, true);
		inet_put(e);
	}
}

void tcp_teardown(struct inet_sock *u, bool reset)
{
	struct list msgs = LIST_INIT(msgs);
	struct inet_sock *p, *pp = NULL;
	bool syn;

	mutex_lock(&u->sk.opt_mu);
	reset |= u->sk.opts.linger && !u->sk.opts.linger_sec;
	mutex_unlock(&u->sk.opt_mu);
	mutex_lock(&u->rx_mu);
	mutex_lock(inet_mu(u));
	u->dead = true;
	u->sk.file = NULL;
	u->state = INET_CLOSE;
	u->shutdown = INET_SHUT_BOTH;
	list_del(&u->node);
	syn = leave_synq_locked(u);
	p = u->peer;
	u->peer = NULL;
	reset |= !list_empty(&u->rq);
	if (p && reset) {
		pp = reset_locked(p);
	} else if (p) {
		pp = p->peer;
		p->peer = NULL;
		fin_locked(p);
		maybe_done_locked(p);
	}
	list_splice_tail(&msgs, &u->rq);
	u->rq_bytes = 0;
	mutex_unlock(inet_mu(u));
	mutex_unlock(&u->rx_mu);
	stop_listening(u);
	waitq_wake(&u->sk.wq, INET_EV_ALL);
	if (p)
		waitq_wake(&p->sk.wq, INET_EV_ALL);
	inet_put(p);
	inet_put(pp);
	if (syn)
		inet_put(u);
	inet_free_msgs(&msgs);
}

static void tcp_close(struct sock *sk)
{
	tcp_teardown(inet_of(sk), false);
}

static void tcp_destroy(struct sock *sk)
{
	struct inet_sock *u = inet_of(sk);

	/* Not closed before only when it never got its file, or loading failed half-way. */
	if (!u->dead && sk->net)
		tcp_teardown(u, true);
	inet_free_msgs(&u->rq);
	mutex_destroy(&u->rx_mu);
	sock_done(sk);
	free(u);
}

static int tcp_connect(struct sock *sk, struct task *t, const void *addr, uint32_t len, bool nonblock, int64_t deadline)
{
	struct inet_sock *u = inet_of(sk);
	struct inet_addr dst = { 0 };
	uint16_t family;
	int64_t r = 0;
	int perr;

	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (family == LINUX_AF_UNSPEC) {
		mutex_lock(inet_mu(u));
		r = u->state == INET_LISTEN;
		mutex_unlock(inet_mu(u));
		if (r)
			stop_listening(u);
		tcp_disconnect(u);
		return 0;
	}
	perr = inet_parse_dst(u, addr, len, &dst);
	mutex_lock(inet_mu(u));
	if (u->conn == INET_CONNECTED || u->state == INET_LISTEN) {
		r = -EISCONN;
	} else if (u->conn == INET_CONNECTING) {
		if (nonblock && u->state == INET_SYN_SENT)
			r = -EALREADY;
	} else {
		r = perr ? perr : begin_locked(u, &dst);
		if (!r && nonblock)
			r = -EINPROGRESS;
	}
	mutex_unlock(inet_mu(u));
	if (r == -EINPROGRESS)
		waitq_wake(&sk->wq, INET_EV_ALL);
	if (r)
		return (int)r;
	r = connect_result(u);
	if (r == -EAGAIN)
		r = task_wait_on(t, &sk->wq, POLL_WRITE | LINUX_POLLHUP | LINUX_POLLERR, deadline, connect_result, u);
	if (r == -ETIMEDOUT)
		return -EINPROGRESS;
	return r == 1 ? 0 : (int)r;
}

static int tcp_listen(struct sock *sk, struct task *t, int backlog)
{
	struct inet_sock *u = inet_of(sk);
	int r = 0;

	mutex_lock(inet_mu(u));
	if (u->conn != INET_UNCONNECTED || (u->state != INET_CLOSE && u->state != INET_LISTEN))
		r = -EINVAL;
	else if (u->state == INET_CLOSE && u->laddr.port && inet_conflict_locked(u, &u->laddr))
		r = -EADDRINUSE;
	else if (inet_autobind_locked(u))
		r = -EADDRINUSE;
	if (!r) {
		u->backlog_max = MIN((uint32_t)backlog, SOCK_SOMAXCONN);
		u->state = INET_LISTEN;
		u->shutdown = 0;
	}
	mutex_unlock(inet_mu(u));
	return r;
}

static int tcp_accept(struct sock *sk, struct task *t, struct sock **ret)
{
	struct inet_sock *u = inet_of(sk), *n = NULL, *c = NULL;
	int r = 0;

	mutex_lock(inet_mu(u));
	if (u->state != INET_LISTEN) {
		r = -EINVAL;
	} else {
		n = list_first(&u->backlog, struct inet_sock, wait_node);
		if (n) {
			list_del(&n->wait_node);
			u->nr_backlog--;
		} else {
			r = -EAGAIN;
		}
	}
	if (n) {
		c = list_first(&u->synq, struct inet_sock, wait_node);
		/* Without memory it waits for the next accept. */
		if (c && !establish_locked(u, c))
			(void)leave_synq_locked(c);
		else
			c = NULL;
	}
	mutex_unlock(inet_mu(u));
	if (c) {
		waitq_wake(&c->sk.wq, POLL_WRITE);
		waitq_wake(&u->sk.wq, POLL_READ);
		inet_put(c);
	}
	if (!r)
		*ret = &n->sk;
	return r;
}

static int tcp_shutdown(struct sock *sk, int how)
{
	struct inet_sock *u = inet_of(sk), *peer = NULL;
	uint32_t mode = (uint32_t)how + 1;
	bool stop = false, disconnect = false;
	int r = 0;

	mutex_lock(inet_mu(u));
	switch (u->state) {
	case INET_LISTEN:
		stop = mode & INET_SHUT_RCV;
		if (stop) {
			u->state = INET_CLOSE;
			if (!(u->bound & INET_BOUND_PORT)) {
				list_del(&u->node);
				u->laddr.port = 0;
			}
		}
		break;
	case INET_SYN_SENT:
		disconnect = true;
		break;
	case INET_CLOSE:
		r = -ENOTCONN;
		u->shutdown |= mode;
		break;
	default:
		if (mode & INET_SHUT_SEND && !(u->shutdown & INET_SHUT_SEND) && u->peer) {
			peer = inet_get(u->peer);
			fin_locked(peer);
			maybe_done_locked(peer);
		}
		u->shutdown |= mode;
		maybe_done_locked(u);
		break;
	}
	mutex_unlock(inet_mu(u));
	if (stop)
		stop_listening(u);
	if (disconnect)
		tcp_disconnect(u);
	if (peer)
		waitq_wake(&peer->sk.wq, INET_EV_ALL);
	waitq_wake(&sk->wq, INET_EV_ALL);
	inet_put(peer);
	return r;
}

/* --- data --- */

static int64_t broken_pipe(struct task *t, const struct sock_msg *m)
{
	struct linux_siginfo si;

	if (t && !m->done && !(m->flags & LINUX_MSG_NOSIGNAL)) {
		siginfo_user(&si, SIGPIPE, t, SI_USER);
		(void)signal_send_task(t, SIGPIPE, &si);
	}
	return -EPIPE;
}

/* Room for sending now, or the error. @keep: bytes were sent, the error is for the next call. */
static int64_t may_send_locked(struct inet_sock *u, bool keep)
{
	bool some;
	size_t n;

	if (u->err) {
		int r = -u->err;

		if (!keep)
			u->err = 0;
		return r;
	}
	if (u->state == INET_SYN_SENT)
		return -EAGAIN;
	if (u->state != INET_ESTABLISHED || (u->shutdown & INET_SHUT_SEND))
		return -EPIPE;
	n = space_locked(u, &some);
	return n ? (int64_t)n : -EAGAIN;
}

/* Appends @msg to the peer's queue; consumes it. */
static void queue_locked(struct inet_sock *p, struct inet_msg *msg)
{
	struct inet_msg *last = list_empty(&p->rq) ? NULL : list_entry(p->rq.prev, struct inet_msg, node);

	p->rq_bytes += msg->len;
	if (last && last->cap - last->len >= msg->len) {
		memcpy(last->data + last->len, msg->data, msg->len);
		last->len += msg->len;
		free(msg);
		return;
	}
	list_add_tail(&p->rq, &msg->node);
}

static int64_t tcp_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct inet_sock *u = inet_of(sk), *p, *old;
	int64_t done = 0, r;

	if (m->flags & LINUX_MSG_OOB)
		return -EOPNOTSUPP;
	do {
		struct inet_msg *msg;
		int err;
		size_t n;

		mutex_lock(inet_mu(u));
		r = may_send_locked(u, done || m->done);
		mutex_unlock(inet_mu(u));
		if (r < 0)
			break;
		n = MIN(m->u->left, (size_t)r);
		n = MIN(n, (size_t)CHUNK_MAX);
		if (!n)
			break;
		msg = inet_msg_new(m, n, &err);
		if (!msg) {
			r = err;
			break;
		}
		old = NULL;
		mutex_lock(inet_mu(u));
		p = u->peer ? inet_get(u->peer) : NULL;
		if (p) {
			queue_locked(p, msg);
			msg = NULL;
		} else if (u->state == INET_ESTABLISHED) {
			old = reset_locked(u);
		}
		mutex_unlock(inet_mu(u));
		free(msg);
		waitq_wake(p ? &p->sk.wq : &sk->wq, p ? POLL_READ : INET_EV_ALL);
		inet_put(p);
		inet_put(old);
		done += (int64_t)n;
	} while (m->u->left);
	if (done)
		return done;
	if (r == -EPIPE)
		return broken_pipe(t, m);
	return MIN(r, (int64_t)0);
}

/* What an empty queue means. */
static int64_t empty_locked(struct inet_sock *u, const struct sock_msg *m)
{
	int r;

	if (u->fin_rcvd)
		return 0;
	if (u->err) {
		r = -u->err;
		if (m->done)
			return 0;
		u->err = 0;
		return r;
	}
	if (u->shutdown & INET_SHUT_RCV)
		return 0;
	if (u->state == INET_CLOSE || u->state == INET_LISTEN)
		return -ENOTCONN;
	return m->u->left ? -EAGAIN : 0;
}

static int64_t tcp_recvmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct inet_sock *u = inet_of(sk), *p = NULL;
	bool peek = m->flags & LINUX_MSG_PEEK, some = false;
	struct inet_msg *msg;
	int64_t done = 0, r = 0;

	if (m->flags & LINUX_MSG_ERRQUEUE)
		return -EAGAIN;
	if (m->flags & LINUX_MSG_OOB)
		return -EINVAL;
	m->namelen = 0;
	mutex_lock(&u->rx_mu);
	mutex_lock(inet_mu(u));
	msg = list_first(&u->rq, struct inet_msg, node);
	while (msg && m->u->left) {
		size_t n = MIN((size_t)(msg->len - msg->off), m->u->left);
		struct list *next;
		int64_t k = (int64_t)n;

		/* rx_mu keeps the message; senders write only behind its end. */
		mutex_unlock(inet_mu(u));
		if (m->flags & LINUX_MSG_TRUNC)
			uio_advance(m->u, n);
		else
			k = uio_put(m->u, msg->data + msg->off, n);
		mutex_lock(inet_mu(u));
		if (k < (int64_t)n) {
			r = -EFAULT;
			m->stop = true;
			break;
		}
		done += k;
		next = msg->node.next;
		if (!peek) {
			msg->off += (uint32_t)n;
			u->rq_bytes -= n;
			if (msg->off == msg->len) {
				list_del(&msg->node);
				free(msg);
			}
			next = u->rq.next;
		}
		msg = next == &u->rq ? NULL : list_entry(next, struct inet_msg, node);
	}
	if (!done && !r)
		r = empty_locked(u, m);
	if (done && !peek && u->peer) {
		p = inet_get(u->peer);
		(void)space_locked(p, &some);
	}
	mutex_unlock(inet_mu(u));
	mutex_unlock(&u->rx_mu);
	if (p && some)
		waitq_wake(&p->sk.wq, POLL_WRITE | LINUX_POLLWRBAND);
	inet_put(p);
	return done ? done : r;
}

static uint32_t tcp_poll(struct sock *sk)
{
	struct inet_sock *u = inet_of(sk);
	uint32_t ev = 0;
	size_t lowat;
	bool some;

	mutex_lock(&sk->opt_mu);
	lowat = (size_t)MAX(sk->opts.rcvlowat, 1);
	lowat = MIN(lowat, (size_t)sk->opts.rcvbuf);
	mutex_unlock(&sk->opt_mu);
	mutex_lock(inet_mu(u));
	if (u->state == INET_LISTEN) {
		ev = u->nr_backlog ? POLL_READ : 0;
		mutex_unlock(inet_mu(u));
		return ev;
	}
	if (u->shutdown == INET_SHUT_BOTH || u->state == INET_CLOSE)
		ev |= LINUX_POLLHUP;
	if (u->shutdown & INET_SHUT_RCV)
		ev |= POLL_READ | LINUX_POLLRDHUP;
	if (u->state != INET_SYN_SENT) {
		if (u->rq_bytes >= lowat)
			ev |= POLL_READ;
		(void)space_locked(u, &some);
		if (some || (u->shutdown & INET_SHUT_SEND))
			ev |= POLL_WRITE;
	}
	if (u->err)
		ev |= LINUX_POLLERR;
	mutex_unlock(inet_mu(u));
	return ev;
}

static int64_t tcp_ioctl(struct sock *sk, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct inet_sock *u = inet_of(sk);
	int32_t v = 0;
	bool listening;
	size_t n = 0;

	if (cmd != LINUX_SIOCINQ && cmd != LINUX_SIOCOUTQ)
		return -ENOTTY;
	mutex_lock(inet_mu(u));
	listening = u->state == INET_LISTEN;
	if (cmd == LINUX_SIOCINQ) {
		n = u->rq_bytes;
	} else if (u->peer) {
		uint32_t window = rcvbuf(u->peer);

		n = u->peer->rq_bytes > window ? u->peer->rq_bytes - window : 0; /* what would not have been acknowledged */
	}
	mutex_unlock(inet_mu(u));
	if (listening)
		return -EINVAL;
	v = (int32_t)MIN(n, (size_t)INT32_MAX);
	return copy_out(t, GADDR(arg), &v, sizeof(v));
}

static bool tcp_listening(struct sock *sk)
{
	struct inet_sock *u = inet_of(sk);
	bool r;

	mutex_lock(inet_mu(u));
	r = u->state == INET_LISTEN;
	mutex_unlock(inet_mu(u));
	return r;
}

const struct sock_ops tcp_sock_ops = {
	.name = "tcp",
	.state = &inet_sock_state_type,
	.close = tcp_close,
	.destroy = tcp_destroy,
	.bind = inet_bind,
	.listen = tcp_listen,
	.connect = tcp_connect,
	.accept = tcp_accept,
	.getname = inet_getname,
	.sendmsg = tcp_sendmsg,
	.recvmsg = tcp_recvmsg,
	.shutdown = tcp_shutdown,
	.poll = tcp_poll,
	.ioctl = tcp_ioctl,
	.setsockopt = inet_setsockopt,
	.getsockopt = inet_getsockopt,
	.listening = tcp_listening,
	.take_error = inet_take_error,
};
