/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP without packets: connections. One is two endpoints that point at each other with references; connect() makes the second, which waits in
 * the listener's backlog until accept(). When the backlog is full the connecting one waits in the listener's synq (SYN_SENT) until there is
 * room or its time is up. TCP_DEFER_ACCEPT keeps the second in deferq until data comes.
 *
 * Closing breaks the pointers: a FIN leaves the survivor ESTABLISHED with no peer, where the next write is answered by a reset; a RST closes it.
 * FIN_WAIT2 of a closed endpoint and TIME_WAIT are entries of the table (inet_port.c). An endpoint bound to the address it connects to is its
 * own peer (simultaneous open; between two it cannot happen: the first SYN is answered by a reset at once).
 * Checkpoint: see inet_state.c; an interrupted connect() goes on waiting when it is re-run, because `conn` says so.
 * Linux: net/ipv4/tcp.c, inet_connection_sock.c. DEVIATION: SO_LINGER with a time does not wait: what was sent is in the receiver's queue.
 */
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "sentry/net/sock_filter.h"
#include "state/state.h"

#define TCP_SYNCNT_ 7
#define TCP_LINGER2_ 8
#define TCP_DEFER_ACCEPT_ 9
#define TCP_USER_TIMEOUT_ 18
#define SNDBUF_TUNED 2626560u

uint32_t tcp_shown_state(const struct inet_sock *u)
{
	if (u->state == INET_ESTABLISHED && (u->shutdown & INET_SHUT_SEND))
		return INET_FIN_WAIT2;
	if (u->state == INET_ESTABLISHED && u->fin_rcvd)
		return INET_CLOSE_WAIT;
	return u->state;
}

/* No longer a connection: nothing finds it, and a port that bind() did not choose is free. */
static void closed_locked(struct inet_sock *u)
{
	u->state = INET_CLOSE;
	u->shutdown = INET_SHUT_BOTH;
	list_del(&u->hash_node);
	if (!(u->bound & INET_BOUND_PORT))
		list_del(&u->node);
}

struct inet_sock *tcp_reset_locked(struct inet_sock *u)
{
	struct inet_sock *p = u->peer;

	u->peer = NULL;
	if (u->state != INET_CLOSE)
		u->err = u->state == INET_SYN_SENT ? ECONNREFUSED : u->fin_rcvd ? EPIPE : ECONNRESET;
	closed_locked(u);
	return p;
}

static void fin_locked(struct inet_sock *u)
{
	u->fin_rcvd = true;
	u->shutdown |= INET_SHUT_RCV;
	tcp_undefer_locked(u);
}

/* Both directions have ended. Who ended first keeps the addresses for a while. */
static void maybe_done_locked(struct inet_sock *u)
{
	if (u->state != INET_ESTABLISHED || !u->fin_rcvd || !(u->shutdown & INET_SHUT_SEND))
		return;
	if (u->fin_sent)
		tcp_leave_tw_locked(u, INET_TIME_WAIT);
	closed_locked(u);
}

/* --- connections --- */

static int64_t retries_len(int n)
{
	int64_t sum = 0, step = 1;

	for (int i = 0; i <= n; i++, step = MIN(step * 2, (int64_t)120))
		sum += step;
	return sum * NSEC_PER_SEC;
}

static void set_deadline_locked(struct inet_sock *u, int64_t len)
{
	u->syn_deadline = ktime_mono() + len;
	ktimer_arm(&u->syn_timer, u->syn_deadline);
}

/* The time of a connect without answer, or of a deferred connection, is up. Takes no reference: inet_free() waits for us. */
static void syn_expired(struct ktimer *k)
{
	struct inet_sock *u = container_of(k, struct inet_sock, syn_timer);

	if (!u->sk.net)
		return;
	mutex_lock(inet_mu(u));
	if (u->syn_deadline && ktime_mono() >= u->syn_deadline) {
		u->syn_deadline = 0;
		if (u->state == INET_SYN_SENT) {
			/* It stays in the queue of the listener, which skips it. */
			(void)tcp_reset_locked(u);
			u->err = ETIMEDOUT;
			waitq_wake(&u->sk.wq, INET_EV_ALL);
		} else if (u->state == INET_SYN_RECV) {
			tcp_undefer_locked(u);
		}
	}
	mutex_unlock(inet_mu(u));
}

void tcp_timer_init(struct inet_sock *u)
{
	ktimer_init(&u->syn_timer, KCLOCK_MONOTONIC, syn_expired);
}

void tcp_after_load(struct inet_sock *u)
{
	if (u->syn_deadline && (u->state == INET_SYN_SENT || u->state == INET_SYN_RECV))
		ktimer_arm(&u->syn_timer, u->syn_deadline);
}

void tcp_undefer_locked(struct inet_sock *u)
{
	struct inet_sock *l = u->lst;

	if (u->state != INET_SYN_RECV)
		return;
	u->state = INET_ESTABLISHED;
	u->syn_deadline = 0;
	if (!l)
		return;
	list_del(&u->wait_node);
	u->lst = NULL;
	l->nr_deferq--;
	list_add_tail(&l->backlog, &u->wait_node);
	l->nr_backlog++;
	waitq_wake(&l->sk.wq, POLL_READ);
}

/* A new endpoint takes what it has from its listener. */
static struct inet_sock *child_new_locked(struct inet_sock *l)
{
	struct inet_sock *n = inet_new(l->sk.net, l->sk.family, l->sk.type);

	if (!n)
		return NULL;
	mutex_lock(&l->sk.opt_mu);
	n->sk.opts = l->sk.opts;
	n->sk.filter = sock_filter_get(l->sk.filter);
	mutex_unlock(&l->sk.opt_mu);
	n->sk.cookie = 0;
	atomic_store(&n->sk.bound_dev, atomic_load(&l->sk.bound_dev));
	memcpy(n->opt, l->opt, sizeof(n->opt));
	n->v6only = l->v6only;
	n->uid = l->uid;
	return n;
}

/* A connection's send buffer grows unless the application has set its size. Linux tunes it by the path; on loopback it gets to this at once. */
static void grow(struct inet_sock *u)
{
	uint32_t max = (uint32_t)PROC_SYSCTL("net/ipv4/tcp_wmem", 2, SNDBUF_TUNED);

	max = MIN(max, SNDBUF_TUNED);
	mutex_lock(&u->sk.opt_mu);
	if (!(u->sk.opts.buf_lock & SOCK_SNDBUF_LOCKED))
		u->sk.opts.sndbuf = MAX(u->sk.opts.sndbuf, max);
	mutex_unlock(&u->sk.opt_mu);
}

/* Joins @c and a new endpoint in the backlog of @l, which has room. */
static int establish_locked(struct inet_sock *l, struct inet_sock *c)
{
	struct inet_sock *n = child_new_locked(l);
	int32_t defer = inet_opt_get(l, LINUX_IPPROTO_TCP, TCP_DEFER_ACCEPT_);

	if (!n)
		return -ENOMEM;
	n->laddr = c->raddr;
	n->raddr = c->laddr;
	inet_enter_locked(n);
	n->state = defer ? INET_SYN_RECV : INET_ESTABLISHED;
	c->state = INET_ESTABLISHED;
	c->syn_deadline = 0;
	n->conn = INET_CONNECTED;
	n->peer = inet_get(c);
	c->peer = inet_get(n);
	tcp_hash_locked(n);
	tcp_hash_locked(c);
	grow(n);
	grow(c);
	if (defer) {
		n->lst = l;
		list_add_tail(&l->deferq, &n->wait_node);
		l->nr_deferq++;
		set_deadline_locked(n, defer * NSEC_PER_SEC);
		return 0;
	}
	list_add_tail(&l->backlog, &n->wait_node);
	l->nr_backlog++;
	return 0;
}

/* Leaves the synq or deferq; true: the caller puts a reference. */
static bool leave_queue_locked(struct inet_sock *u)
{
	if (!u->lst)
		return false;
	if (u->state == INET_SYN_RECV)
		u->lst->nr_deferq--;
	else
		u->lst->nr_synq--;
	u->lst = NULL;
	list_del(&u->wait_node);
	return true;
}

static int64_t syn_time(struct inet_sock *u)
{
	int32_t user = inet_opt_get(u, LINUX_IPPROTO_TCP, TCP_USER_TIMEOUT_), n = inet_opt_get(u, LINUX_IPPROTO_TCP, TCP_SYNCNT_);

	if (user)
		return user * (NSEC_PER_SEC / 1000);
	return retries_len(n ? n : (int)inet_sysctl("tcp_syn_retries", 6));
}

static int begin_locked(struct inet_sock *u, const struct inet_addr *dst, uint32_t scope)
{
	struct inet_addr src;
	struct inet_sock *l;
	int r;

	/* One that timed out may still be in a listener's queue; our caller has a reference. */
	if (leave_queue_locked(u))
		inet_put(u);
	r = inet_route_locked(u, dst, scope, &src);
	if (!r)
		r = tcp_autobind_locked(u, &src, dst);
	if (r)
		return r;
	src.port = u->laddr.port;
	l = inet_lookup_locked(u, dst, &src, NULL, 0);
	u->laddr = src;
	u->raddr = *dst;
	u->conn = INET_CONNECTING;
	u->shutdown = 0;
	u->err = 0;
	u->rx_bytes = u->tx_bytes = 0;
	u->state = INET_SYN_SENT;
	if (!l && inet_same_addr(&src, dst)) {
		u->state = INET_ESTABLISHED;
		u->peer = inet_get(u);
		tcp_hash_locked(u);
		return 0;
	}
	if (!l && inet_addr_type(u->sk.net, dst) != INET_A_LOCAL) {
		/* Routed to where nobody answers. */
		tcp_hash_locked(u);
		set_deadline_locked(u, syn_time(u));
		return 0;
	}
	if (!l) {
		(void)tcp_reset_locked(u);
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
	tcp_hash_locked(u);
	u->lst = l;
	list_add_tail(&l->synq, &inet_get(u)->wait_node);
	l->nr_synq++;
	set_deadline_locked(u, syn_time(u));
	return 0;
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
	bool syn, was;

	mutex_lock(&u->rx_mu);
	mutex_lock(inet_mu(u));
	syn = leave_queue_locked(u);
	was = u->state == INET_ESTABLISHED || u->state == INET_SYN_SENT;
	p = u->peer;
	u->peer = NULL;
	if (p)
		pp = tcp_reset_locked(p);
	else if (u->state == INET_ESTABLISHED)
		tcp_tw_event_locked(u->sk.net->inet, &u->raddr, &u->laddr, true);
	list_splice_tail(&msgs, &u->rq);
	u->rq_bytes = 0;
	inet_disconnect_locked(u);
	if (was)
		u->err = ECONNRESET;
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
	list_for_each(e, &u->deferq, wait_node)
		e->lst = NULL;
	list_splice_tail(&embryos, &u->backlog);
	list_splice_tail(&embryos, &u->deferq);
	list_splice_tail(&syns, &u->synq);
	u->nr_backlog = u->nr_synq = u->nr_deferq = 0;
	list_for_each(e, &syns, wait_node) {
		e->lst = NULL;
		if (e->state == INET_SYN_SENT)
			(void)tcp_reset_locked(e);
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

/* The endpoint's file is gone: a FIN for the other end, or (@reset) a RST. Returns what the caller wakes and puts. */
static struct inet_sock *part_locked(struct inet_sock *u, bool reset, struct inet_sock **pp)
{
	struct inet_sock *p = u->peer;
	bool was = u->state == INET_ESTABLISHED, first = !u->fin_rcvd;

	u->peer = NULL;
	if (was && first && !reset && inet_opt_get(u, LINUX_IPPROTO_TCP, TCP_LINGER2_) < 0)
		reset = true;
	if (!p) {
		if (was)
			tcp_tw_event_locked(u->sk.net->inet, &u->raddr, &u->laddr, reset);
		return NULL;
	}
	if (reset) {
		*pp = tcp_reset_locked(p);
		return p;
	}
	*pp = TAKE_PTR(p->peer);
	if (first)
		tcp_leave_tw_locked(u, INET_FIN_WAIT2);
	fin_locked(p);
	maybe_done_locked(p);
	return p;
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
	syn = leave_queue_locked(u);
	p = part_locked(u, reset || !list_empty(&u->rq), &pp);
	u->syn_deadline = 0;
	closed_locked(u);
	list_del(&u->node);
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
	inet_free(u);
}

int tcp_connect(struct sock *sk, struct task *t, const void *addr, uint32_t len, bool nonblock, int64_t deadline)
{
	struct inet_sock *u = inet_of(sk);
	struct inet_addr dst = { 0 };
	uint32_t scope = 0;
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
	perr = inet_parse_dst(u, addr, len, &dst, &scope);
	mutex_lock(inet_mu(u));
	if (u->conn == INET_CONNECTED || u->state == INET_LISTEN) {
		r = -EISCONN;
	} else if (u->conn == INET_CONNECTING) {
		if (nonblock && u->state == INET_SYN_SENT)
			r = -EALREADY;
	} else {
		r = perr ? perr : begin_locked(u, &dst, scope);
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
	uint32_t somaxconn = (uint32_t)PROC_SYSCTL("net/core/somaxconn", 0, SOCK_SOMAXCONN);
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
		u->backlog_max = MIN((uint32_t)backlog, somaxconn);
		u->state = INET_LISTEN;
		u->shutdown = 0;
		tcp_hash_locked(u);
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
		/* Without memory it waits for the next accept. One that timed out just leaves. */
		if (c && (c->state != INET_SYN_SENT || !establish_locked(u, c))) {
			c->lst = NULL;
			u->nr_synq--;
			list_del(&c->wait_node);
		} else {
			c = NULL;
		}
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
		if (stop)
			inet_disconnect_locked(u);
		break;
	case INET_SYN_SENT:
		disconnect = true;
		break;
	case INET_CLOSE:
		r = -ENOTCONN;
		u->shutdown |= mode;
		break;
	default:
		if (mode & INET_SHUT_SEND && !(u->shutdown & INET_SHUT_SEND)) {
			u->fin_sent = !u->fin_rcvd;
			if (u->peer) {
				peer = inet_get(u->peer);
				fin_locked(peer);
				maybe_done_locked(peer);
			} else {
				tcp_tw_event_locked(sk->net->inet, &u->raddr, &u->laddr, false);
			}
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
	.own_control = true,
	.state = &inet_sock_state_type,
	.close = tcp_close,
	.destroy = tcp_destroy,
	.bind = inet_bind,
	.listen = tcp_listen,
	.connect = tcp_connect,
	.accept = tcp_accept,
	.getname = inet_getname,
	.accepted_name = inet_accepted_name,
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
