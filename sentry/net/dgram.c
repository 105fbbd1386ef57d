/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What UDP, raw and ping sockets share: the queue of received messages, connect, poll, and their end. Locks: inet.h. Checkpoint: see inet_state.c.
 * Linux: net/core/datagram.c, net/ipv4/datagram.c.
 */
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "sentry/net/sock_filter.h"
#include "state/state.h"

/* About what Linux charges the receive buffer: struct sk_buff and the slab its data is in. */
uint32_t dgram_charge(size_t len)
{
	size_t slab = 512;

	while (slab < len + 400)
		slab *= 2;
	return (uint32_t)(256 + slab);
}

struct inet_msg *dgram_clone(const struct inet_msg *m, size_t off, size_t n)
{
	struct inet_msg *c = inet_msg_alloc(n);
	uint32_t cap;

	if (!c)
		return NULL;
	cap = c->cap;
	memcpy(c, m, sizeof(*c));
	memset(&c->node, 0, sizeof(c->node));
	c->cap = cap;
	c->len = (uint32_t)n;
	c->off = 0;
	memcpy(c->data, m->data + off, n);
	return c;
}

/* False: the filter drops it. What the filter cuts off is cut off. */
static bool passes(struct inet_sock *o, struct inet_msg *msg, const uint8_t *hdr, uint32_t hdrlen)
{
	uint8_t *whole;
	uint32_t n;
	bool has;

	mutex_lock(&o->sk.opt_mu);
	has = o->sk.filter;
	mutex_unlock(&o->sk.opt_mu);
	if (!has)
		return true;
	whole = malloc((size_t)hdrlen + msg->len + 1);
	if (!whole)
		return false;
	memcpy(whole, hdr, hdrlen);
	memcpy(whole + hdrlen, msg->data, msg->len);
	n = sock_filter_message(&o->sk, whole, hdrlen + msg->len, inet_mapped(&msg->to) ? 0x0800 : 0x86dd);
	free(whole);
	if (n)
		msg->len = n > hdrlen ? n - hdrlen : 0;
	return n;
}

void dgram_queue_locked(struct inet_sock *o, struct inet_msg *msg, const uint8_t *hdr, uint32_t hdrlen)
{
	uint32_t limit;

	mutex_lock(&o->sk.opt_mu);
	limit = o->sk.opts.rcvbuf;
	mutex_unlock(&o->sk.opt_mu);
	if (o->dead || !passes(o, msg, hdr, hdrlen) || o->rq_bytes > limit) {
		o->drops++;
		free(msg);
		return;
	}
	list_add_tail(&o->rq, &msg->node);
	o->rq_bytes += dgram_charge(msg->len);
	waitq_wake(&o->sk.wq, POLL_READ);
}

/* --- receive --- */

static int32_t peek_off(struct inet_sock *u)
{
	int32_t r;

	mutex_lock(&u->sk.opt_mu);
	r = u->sk.ops->peek_off ? u->sk.opts.peek_off : -1;
	mutex_unlock(&u->sk.opt_mu);
	return r;
}

/* SO_PEEK_OFF goes on with what was peeked, and back with what was taken. */
static void move_peek_off(struct inet_sock *u, int64_t by)
{
	mutex_lock(&u->sk.opt_mu);
	if (u->sk.ops->peek_off && u->sk.opts.peek_off >= 0) {
		by = MAX(u->sk.opts.peek_off + by, (int64_t)0);
		u->sk.opts.peek_off = (int32_t)MIN(by, (int64_t)INT32_MAX);
	}
	mutex_unlock(&u->sk.opt_mu);
}

/* The message to read, and with SO_PEEK_OFF where in it. */
static struct inet_msg *choose_locked(struct inet_sock *u, bool peek, size_t *off)
{
	int32_t skip = peek ? peek_off(u) : -1;
	struct inet_msg *msg;

	*off = 0;
	if (skip < 0)
		return list_first(&u->rq, struct inet_msg, node);
	list_for_each(msg, &u->rq, node) {
		if ((size_t)skip < msg->len || (!msg->len && !skip)) {
			*off = (size_t)skip;
			return msg;
		}
		skip -= (int32_t)msg->len;
	}
	return NULL;
}

static int64_t take(struct inet_sock *u, struct inet_msg *msg, size_t off, struct sock_msg *m)
{
	size_t have = msg->len - off, n = MIN(have, m->u->left);
	int64_t r = (int64_t)(m->flags & LINUX_MSG_TRUNC ? have : n);

	if (n && uio_put(m->u, msg->data + off, n) != (int64_t)n)
		return -EFAULT;
	if (n < have)
		m->ret_flags |= LINUX_MSG_TRUNC;
	m->namelen = (uint32_t)inet_fill_name(u, &msg->from, m->name);
	inet_put_controls(u, msg, m);
	return r;
}

int64_t dgram_recvmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct inet_sock *u = inet_of(sk);
	bool peek = m->flags & LINUX_MSG_PEEK, stamped;
	struct inet_msg *msg;
	int64_t r = 0;
	size_t off;

	(void)t;
	if (m->flags & LINUX_MSG_ERRQUEUE)
		return inet_recv_error(u, m);
	if (m->flags & LINUX_MSG_OOB && (inet_is_raw(u) || inet_is_ping(u)))
		return -EOPNOTSUPP;
	mutex_lock(&sk->opt_mu);
	stamped = sk->opts.timestamp; /* told with the message, and not again by SIOCGSTAMP */
	mutex_unlock(&sk->opt_mu);
	mutex_lock(&u->rx_mu);
	mutex_lock(inet_mu(u));
	msg = choose_locked(u, peek, &off);
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
		r = take(u, msg, off, m);
		if (peek) {
			if (r > 0)
				move_peek_off(u, (int64_t)MIN((size_t)r, msg->len - off));
		} else {
			mutex_lock(inet_mu(u));
			list_del(&msg->node);
			u->rq_bytes -= dgram_charge(msg->len);
			if (!stamped)
				u->last_stamp = msg->stamp;
			mutex_unlock(inet_mu(u));
			move_peek_off(u, -(int64_t)msg->len);
			free(msg);
		}
	}
	mutex_unlock(&u->rx_mu);
	return r;
}

/* --- names --- */

int dgram_connect(struct sock *sk, struct task *t, const void *addr, uint32_t len, bool nonblock, int64_t deadline)
{
	struct inet_sock *u = inet_of(sk);
	struct inet_addr dst = { 0 }, src;
	uint32_t scope = 0;
	uint16_t family;
	int r;

	(void)t, (void)nonblock, (void)deadline;
	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (family == LINUX_AF_UNSPEC) {
		mutex_lock(inet_mu(u));
		inet_disconnect_locked(u);
		atomic_store(&sk->bound_dev, 0);
		mutex_unlock(inet_mu(u));
		return 0;
	}
	r = inet_parse_dst(u, addr, len, &dst, &scope);
	if (r)
		return r;
	mutex_lock(inet_mu(u));
	r = inet_route_locked(u, &dst, scope, &src);
	if (!r)
		r = inet_autobind_locked(u);
	if (!r) {
		src.port = u->laddr.port;
		if (inet_any(&u->laddr))
			u->laddr = src;
		u->raddr = dst;
		u->state = INET_ESTABLISHED;
	}
	mutex_unlock(inet_mu(u));
	return r;
}

int dgram_shutdown(struct sock *sk, int how)
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

uint32_t dgram_poll(struct sock *sk)
{
	struct inet_sock *u = inet_of(sk);
	uint32_t ev = POLL_WRITE | LINUX_POLLWRBAND;
	bool pri;
	size_t off;

	mutex_lock(&sk->opt_mu);
	pri = sk->opts.select_err_queue;
	mutex_unlock(&sk->opt_mu);
	mutex_lock(inet_mu(u));
	if (u->err || !list_empty(&u->errq))
		ev |= LINUX_POLLERR | (pri ? LINUX_POLLPRI : 0);
	if (u->shutdown & INET_SHUT_RCV)
		ev |= POLL_READ | LINUX_POLLRDHUP;
	if (u->shutdown == INET_SHUT_BOTH)
		ev |= LINUX_POLLHUP;
	if (choose_locked(u, false, &off))
		ev |= POLL_READ;
	mutex_unlock(inet_mu(u));
	return ev;
}

/* SIOCGSTAMP and SIOCGSTAMPNS: when the last message that was read arrived. */
static int64_t get_stamp(struct inet_sock *u, struct task *t, bool ns, gaddr_t arg)
{
	int64_t v[2], stamp;

	mutex_lock(inet_mu(u));
	stamp = u->last_stamp;
	mutex_unlock(inet_mu(u));
	if (!stamp)
		return -ENOENT;
	v[0] = stamp / NSEC_PER_SEC;
	v[1] = stamp % NSEC_PER_SEC / (ns ? 1 : 1000);
	return copy_out(t, arg, v, sizeof(v));
}

int64_t dgram_ioctl(struct sock *sk, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct inet_sock *u = inet_of(sk);
	struct inet_msg *m;
	int32_t v = 0;

	if (cmd == LINUX_SIOCGSTAMP || cmd == LINUX_SIOCGSTAMP_NEW || cmd == LINUX_SIOCGSTAMPNS || cmd == LINUX_SIOCGSTAMPNS_NEW)
		return get_stamp(u, t, cmd == LINUX_SIOCGSTAMPNS || cmd == LINUX_SIOCGSTAMPNS_NEW, GADDR(arg));
	if (cmd != LINUX_SIOCINQ && cmd != LINUX_SIOCOUTQ)
		return -ENOTTY;
	mutex_lock(inet_mu(u));
	m = list_first(&u->rq, struct inet_msg, node);
	if (cmd == LINUX_SIOCINQ && m)
		v = (int32_t)m->len;
	mutex_unlock(inet_mu(u));
	return copy_out(t, GADDR(arg), &v, sizeof(v));
}

/* --- end --- */

void dgram_teardown(struct inet_sock *u)
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
	inet_mcast_leave_all_locked(u);
	mutex_unlock(inet_mu(u));
	mutex_unlock(&u->rx_mu);
	waitq_wake(&u->sk.wq, INET_EV_ALL);
	inet_free_msgs(&msgs);
}

void dgram_close(struct sock *sk)
{
	dgram_teardown(inet_of(sk));
}

void dgram_destroy(struct sock *sk)
{
	struct inet_sock *u = inet_of(sk);

	if (!u->dead && sk->net)
		dgram_teardown(u);
	inet_free(u);
}
