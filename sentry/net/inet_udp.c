/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP: a datagram goes to the best matching socket's queue, or is dropped when that is full, as Linux does. Nobody there: a connected
 * sender finds ECONNREFUSED at its next call. Checkpoint: see inet_state.c. Linux: net/ipv4/udp.c. DEVIATION: no error queue.
 */
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "state/state.h"

#define UDP_MAX 65507u

/* About what Linux charges the receive buffer: struct sk_buff and the slab its data is in. */
uint32_t udp_charge(size_t len)
{
	size_t slab = 512;

	while (slab < len + 400)
		slab *= 2;
	return (uint32_t)(256 + slab);
}

static int udp_connect(struct sock *sk, struct task *t, const void *addr, uint32_t len, bool nonblock, int64_t deadline)
{
	struct inet_sock *u = inet_of(sk);
	struct inet_addr dst = { 0 }, src;
	uint16_t family;
	int r;

	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (family == LINUX_AF_UNSPEC) {
		mutex_lock(inet_mu(u));
		inet_disconnect_locked(u);
		mutex_unlock(inet_mu(u));
		return 0;
	}
	r = inet_parse_dst(u, addr, len, &dst);
	if (r)
		return r;
	mutex_lock(inet_mu(u));
	r = inet_route_locked(u, &dst, &src);
	if (!r)
		r = inet_autobind_locked(u);
	if (!r) {
		src.port = u->laddr.port;
		u->laddr = src;
		u->raddr = dst;
		u->state = INET_ESTABLISHED;
	}
	mutex_unlock(inet_mu(u));
	return r;
}

static int64_t udp_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct inet_sock *u = inet_of(sk), *o;
	struct inet_addr dst = { 0 }, src;
	size_t n = m->u->left;
	struct inet_msg *msg;
	struct sock *wake = NULL;
	int r = 0;

	if (m->flags & LINUX_MSG_OOB)
		return -EOPNOTSUPP;
	if (n > UDP_MAX)
		return -EMSGSIZE;
	if (m->namelen) {
		r = inet_parse_dst(u, m->name, m->namelen, &dst);
		if (!r && !dst.port)
			r = -EINVAL;
		if (r)
			return r;
	}
	mutex_lock(inet_mu(u));
	if (!m->namelen) {
		if (u->state != INET_ESTABLISHED)
			r = -EDESTADDRREQ;
		else
			dst = u->raddr;
	}
	if (!r && u->err) {
		r = -u->err;
		u->err = 0;
	}
	if (!r && (u->shutdown & INET_SHUT_SEND))
		r = -EPIPE;
	if (!r)
		r = inet_route_locked(u, &dst, &src);
	if (!r)
		r = inet_autobind_locked(u);
	src.port = u->laddr.port;
	mutex_unlock(inet_mu(u));
	if (r)
		return r;
	msg = inet_msg_new(m, n, &r);
	if (!msg)
		return r;
	msg->from = src;
	mutex_lock(inet_mu(u));
	o = inet_lookup_locked(u, &dst, &src);
	if (!o) {
		if (u->state == INET_ESTABLISHED) {
			u->err = ECONNREFUSED;
			wake = sock_get(sk);
		}
	} else {
		uint32_t charge = udp_charge(n);
		size_t limit;

		mutex_lock(&o->sk.opt_mu);
		limit = o->sk.opts.rcvbuf;
		mutex_unlock(&o->sk.opt_mu);
		if (!(o->shutdown & INET_SHUT_RCV) && o->rq_bytes <= limit) {
			list_add_tail(&o->rq, &msg->node);
			o->rq_bytes += charge;
			msg = NULL;
			wake = sock_get(&o->sk);
		}
	}
	mutex_unlock(inet_mu(u));
	free(msg);
	if (wake)
		waitq_wake(&wake->wq, o ? POLL_READ : LINUX_POLLERR);
	sock_put(wake);
	return (int64_t)n;
}

static int64_t udp_recvmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct inet_sock *u = inet_of(sk);
	bool peek = m->flags & LINUX_MSG_PEEK;
	struct inet_msg *msg;
	int64_t r = 0;
	size_t n;

	if (m->flags & LINUX_MSG_ERRQUEUE)
		return -EAGAIN;
	mutex_lock(&u->rx_mu);
	mutex_lock(inet_mu(u));
	msg = list_first(&u->rq, struct inet_msg, node);
	if (u->err) {
		r = -u->err;
		u->err = 0;
		msg = NULL;
	} else if (!msg && (!(u->shutdown & INET_SHUT_RCV) || m->nonblock)) {
		r = -EAGAIN;
	}
	mutex_unlock(inet_mu(u));
	m->stop = true;
	if (msg) { /* rx_mu keeps it */
		n = MIN((size_t)msg->len, m->u->left);
		r = (int64_t)(m->flags & LINUX_MSG_TRUNC ? msg->len : n);
		if (n && uio_put(m->u, msg->data, n) != (int64_t)n)
			r = -EFAULT;
		if (n < msg->len)
			m->ret_flags |= LINUX_MSG_TRUNC;
		m->namelen = (uint32_t)inet_fill_name(u, &msg->from, m->name);
		if (!peek) {
			mutex_lock(inet_mu(u));
			list_del(&msg->node);
			u->rq_bytes -= udp_charge(msg->len);
			mutex_unlock(inet_mu(u));
			free(msg);
		}
	}
	mutex_unlock(&u->rx_mu);
	return r;
}

static int udp_shutdown(struct sock *sk, int how)
{
	struct inet_sock *u = inet_of(sk);
	int r;

	mutex_lock(inet_mu(u));
	u->shutdown |= (uint32_t)how + 1;
	r = u->state == INET_ESTABLISHED ? 0 : -ENOTCONN;
	mutex_unlock(inet_mu(u));
	waitq_wake(&sk->wq, INET_EV_ALL);
	return r;
}

static uint32_t udp_poll(struct sock *sk)
{
	struct inet_sock *u = inet_of(sk);
	uint32_t ev = POLL_WRITE | LINUX_POLLWRBAND;

	mutex_lock(inet_mu(u));
	if (u->err)
		ev |= LINUX_POLLERR;
	if (u->shutdown & INET_SHUT_RCV)
		ev |= POLL_READ | LINUX_POLLRDHUP;
	if (u->shutdown == INET_SHUT_BOTH)
		ev |= LINUX_POLLHUP;
	if (!list_empty(&u->rq))
		ev |= POLL_READ;
	mutex_unlock(inet_mu(u));
	return ev;
}

static int64_t udp_ioctl(struct sock *sk, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct inet_sock *u = inet_of(sk);
	struct inet_msg *m;
	int32_t v = 0;

	if (cmd != LINUX_SIOCINQ && cmd != LINUX_SIOCOUTQ)
		return -ENOTTY;
	mutex_lock(inet_mu(u));
	m = list_first(&u->rq, struct inet_msg, node);
	if (cmd == LINUX_SIOCINQ && m)
		v = (int32_t)m->len;
	mutex_unlock(inet_mu(u));
	return copy_out(t, GADDR(arg), &v, sizeof(v));
}

void udp_teardown(struct inet_sock *u)
{
	struct list msgs = LIST_INIT(msgs);

	mutex_lock(&u->rx_mu);
	mutex_lock(inet_mu(u));
	u->dead = true;
	u->sk.file = NULL;
	u->shutdown = INET_SHUT_BOTH;
	list_del(&u->node);
	list_splice_tail(&msgs, &u->rq);
	u->rq_bytes = 0;
	mutex_unlock(inet_mu(u));
	mutex_unlock(&u->rx_mu);
	waitq_wake(&u->sk.wq, INET_EV_ALL);
	inet_free_msgs(&msgs);
}

static void udp_close(struct sock *sk)
{
	udp_teardown(inet_of(sk));
}

static void udp_destroy(struct sock *sk)
{
	struct inet_sock *u = inet_of(sk);

	if (!u->dead && sk->net)
		udp_teardown(u);
	inet_free_msgs(&u->rq);
	mutex_destroy(&u->rx_mu);
	sock_done(sk);
	free(u);
}

const struct sock_ops udp_sock_ops = {
	.name = "udp",
	.state = &inet_sock_state_type,
	.close = udp_close,
	.destroy = udp_destroy,
	.bind = inet_bind,
	.connect = udp_connect,
	.getname = inet_getname,
	.sendmsg = udp_sendmsg,
	.recvmsg = udp_recvmsg,
	.shutdown = udp_shutdown,
	.poll = udp_poll,
	.ioctl = udp_ioctl,
	.setsockopt = inet_setsockopt,
	.getsockopt = inet_getsockopt,
	.take_error = inet_take_error,
};
