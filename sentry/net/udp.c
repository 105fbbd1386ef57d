/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP and UDP-Lite: a datagram goes to the best matching socket's queue (of a group or broadcast address: to every one that takes it), or is dropped
 * when that is full, as Linux does. Nobody there: a connected sender, or one with IP_RECVERR, finds ECONNREFUSED at its next call.
 * UDP_CORK and MSG_MORE collect a datagram in inet_sock.cork. UDP_SEGMENT cuts one into several, unless the receiver has UDP_GRO.
 * Checkpoint: see inet_state.c. Linux: net/ipv4/udp.c, net/ipv6/udp.c.
 */
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "sentry/net/loopback.h"
#include "state/state.h"

#define UDP_MAX4 65507u
#define UDP_MAX6 65527u
#define UDP_HDR	 8u
#define SEGMENTS_MAX 64u
#define SOL_UDP_ 17
#define UDP_CORK_ 1
#define UDP_GRO_ 104
#define IP_RECVERR_ 11
#define IPV6_RECVERR_ 25
/* How much of a datagram an ICMP error quotes. */
#define QUOTE4 520u
#define QUOTE6 1184u

/* --- receiving side --- */

static void header(const struct inet_msg *msg, uint8_t h[UDP_HDR])
{
	uint32_t len = msg->len + UDP_HDR;

	memcpy(h, (const uint8_t[UDP_HDR]){ (uint8_t)(msg->from.port >> 8), (uint8_t)msg->from.port, (uint8_t)(msg->to.port >> 8), (uint8_t)msg->to.port,
					    (uint8_t)(len >> 8), (uint8_t)len }, UDP_HDR);
}

/* Into the queue of @o: as one when it fits or the receiver takes trains, else segment by segment. Consumes @msg. */
static void queue_locked(struct inet_sock *o, struct inet_msg *msg)
{
	uint8_t h[UDP_HDR];
	uint32_t gso = msg->gso;

	header(msg, h);
	if (!gso || msg->len <= gso || inet_opt_get(o, SOL_UDP_, UDP_GRO_)) {
		if (msg->len <= gso)
			msg->gso = 0;
		dgram_queue_locked(o, msg, h, UDP_HDR);
		return;
	}
	for (uint32_t off = 0; off < msg->len; off += gso) {
		struct inet_msg *seg = dgram_clone(msg, off, MIN(gso, msg->len - off));

		if (!seg)
			break;
		seg->gso = 0;
		header(seg, h);
		dgram_queue_locked(o, seg, h, UDP_HDR);
	}
	free(msg);
}

static bool takes_group(struct inet_sock *o, const struct inet_msg *msg)
{
	uint32_t dev = atomic_load(&o->sk.bound_dev);

	if (o->laddr.port != msg->to.port || (dev && dev != LO_IFINDEX))
		return false;
	if (!inet_any(&o->laddr) ? !inet_same_ip(&o->laddr, &msg->to) : !inet_covers(o, &o->laddr, &msg->to))
		return false;
	if (o->state == INET_ESTABLISHED && (!inet_same_ip(&o->raddr, &msg->from) || o->raddr.port != msg->from.port))
		return false;
	return inet_addr_type(o->sk.net, &msg->to) != INET_A_MULTICAST || inet_mcast_wants_locked(o, &msg->to, &msg->from);
}

static void group_input_locked(struct net_ns *net, struct inet_msg *msg, enum inet_table_nr nr)
{
	struct inet_sock *o;

	if (inet_addr_type(net, &msg->to) == INET_A_BROADCAST || inet_mcast_joined_locked(net->inet, &msg->to)) {
		list_for_each(o, &net->inet->ports[nr][msg->to.port % INET_BUCKETS], node) {
			struct inet_msg *c = takes_group(o, msg) ? dgram_clone(msg, 0, msg->len) : NULL;

			if (c)
				queue_locked(o, c);
		}
	}
	free(msg);
}

/* The sender learns that nobody was there. */
static void refused_locked(struct inet_sock *u, const struct inet_msg *msg)
{
	bool v4 = inet_mapped(&msg->to), recverr;
	struct inet_err *e;

	recverr = u->sk.family == LINUX_AF_INET || v4 ? inet_opt_get(u, SOL_IP_, IP_RECVERR_) : 0;
	if (u->sk.family == LINUX_AF_INET6)
		recverr |= inet_opt_get(u, SOL_IPV6_, IPV6_RECVERR_);
	if (!recverr && u->state != INET_ESTABLISHED)
		return;
	if (recverr) {
		e = inet_err_new(ECONNREFUSED, v4 ? 2 : 3, MIN(msg->len, v4 ? QUOTE4 : QUOTE6));
		if (e) {
			e->type = v4 ? 3 : 1;
			e->code = v4 ? 3 : 4;
			e->has_dst = e->has_offender = true;
			e->dst = msg->to;
			e->offender = msg->to;
			e->offender.port = 0;
			memcpy(e->data, msg->data, e->len);
			inet_err_add_locked(u, e);
		}
	}
	u->err = ECONNREFUSED;
	waitq_wake(&u->sk.wq, LINUX_POLLERR);
}

static void tap_locked(struct net_ns *net, const struct inet_msg *msg, int protocol)
{
	struct inet_msg *p = inet_msg_alloc(UDP_HDR + msg->len);
	uint32_t cap, len;

	if (!p)
		return;
	cap = p->cap;
	len = p->len;
	memcpy(p, msg, sizeof(*p));
	memset(&p->node, 0, sizeof(p->node));
	p->cap = cap;
	p->len = len;
	header(msg, p->data);
	memcpy(p->data + UDP_HDR, msg->data, msg->len);
	raw_input_locked(net, protocol, p);
	free(p);
}

void udp_input_locked(struct net_ns *net, struct inet_sock *u, struct inet_msg *msg, enum inet_table_nr nr)
{
	enum inet_addr_type type = inet_addr_type(net, &msg->to);
	struct inet_sock *o;

	if (!list_empty(&net->inet->raw))
		tap_locked(net, msg, nr == INET_UDPLITE ? LINUX_IPPROTO_UDPLITE : LINUX_IPPROTO_UDP);
	if (type == INET_A_MULTICAST || type == INET_A_BROADCAST) {
		group_input_locked(net, msg, nr);
		return;
	}
	if (type != INET_A_LOCAL) { /* routed to a device with nobody behind */
		free(msg);
		return;
	}
	o = inet_lookup_table_locked(net, nr, &msg->to, &msg->from, msg->data, msg->len);
	if (o) {
		queue_locked(o, msg);
		return;
	}
	if (u)
		refused_locked(u, msg);
	if (!list_empty(&net->inet->raw))
		icmp_unreachable_locked(net, msg);
	free(msg);
}

/* --- sending side --- */

static int64_t flush_locked(struct inet_sock *u)
{
	struct inet_msg *msg = TAKE_PTR(u->cork);

	if (msg)
		udp_input_locked(u->sk.net, u, msg, inet_table_of(u));
	return 0;
}

int udp_set_cork(struct inet_sock *u, bool on)
{
	if (on)
		return 0;
	mutex_lock(inet_mu(u));
	(void)flush_locked(u);
	mutex_unlock(inet_mu(u));
	return 0;
}

/* More bytes of a corked datagram. */
static int64_t append(struct inet_sock *u, struct sock_msg *m, size_t n, bool more)
{
	struct inet_msg *add, *whole = NULL, *old;
	int64_t r = (int64_t)n;
	int err;

	add = inet_msg_new(m, n, &err);
	if (!add)
		return err;
	mutex_lock(inet_mu(u));
	old = TAKE_PTR(u->cork);
	if (old) {
		if (old->len + n > (inet_mapped(&old->to) ? UDP_MAX4 : UDP_MAX6))
			r = -EMSGSIZE; /* and what was collected is lost */
		else
			whole = inet_msg_alloc(old->len + n);
		if (!whole && r >= 0)
			r = -ENOBUFS;
	}
	if (whole) {
		uint32_t cap = whole->cap, len = whole->len;

		memcpy(whole, old, sizeof(*whole) + old->len);
		memset(&whole->node, 0, sizeof(whole->node));
		whole->cap = cap;
		whole->len = len;
		memcpy(whole->data + old->len, add->data, n);
		u->cork = whole;
		if (!more)
			(void)flush_locked(u);
	}
	mutex_unlock(inet_mu(u));
	free(old);
	free(add);
	return r;
}

/* Where to, from where; and the errors that wait for this call. */
static int resolve_locked(struct inet_sock *u, const struct sock_msg *m, const struct inet_tx *tx, uint32_t scope, struct inet_addr *dst,
			  struct inet_addr *src)
{
	int r = 0;

	if (!m->namelen) {
		if (u->state != INET_ESTABLISHED)
			return -EDESTADDRREQ;
		*dst = u->raddr;
	}
	if (u->err) {
		r = -u->err;
		u->err = 0;
		return r;
	}
	if (u->shutdown & INET_SHUT_SEND)
		return -EPIPE;
	r = inet_route_locked(u, dst, tx->dev ? tx->dev : scope, src);
	if (!r && tx->has_src) {
		if (inet_mapped(&tx->src) != inet_mapped(dst))
			return -EINVAL;
		if (inet_addr_type(u->sk.net, &tx->src) != INET_A_LOCAL)
			return -EINVAL;
		*src = tx->src;
	}
	if (!r)
		r = inet_autobind_locked(u);
	src->port = u->laddr.port;
	return r;
}

static bool no_check(struct inet_sock *u)
{
	bool r;

	mutex_lock(&u->sk.opt_mu);
	r = u->sk.opts.no_check;
	mutex_unlock(&u->sk.opt_mu);
	return r;
}

int64_t udp_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct inet_sock *u = inet_of(sk);
	struct inet_addr dst = { 0 }, src;
	size_t n = m->u->left;
	bool more, pending;
	struct inet_tx tx;
	struct inet_msg *msg;
	uint32_t scope = 0;
	int r = 0;

	if (n > 0xffff)
		return -EMSGSIZE;
	if (m->flags & LINUX_MSG_OOB && (sk->family == LINUX_AF_INET || !m->namelen))
		return -EOPNOTSUPP;
	more = m->flags & LINUX_MSG_MORE || inet_opt_get(u, SOL_UDP_, UDP_CORK_);
	mutex_lock(inet_mu(u));
	pending = u->cork;
	mutex_unlock(inet_mu(u));
	if (pending)
		return append(u, m, n, more);
	if (m->namelen) {
		r = inet_parse_dst(u, m->name, m->namelen, &dst, &scope);
		if (!r && !dst.port)
			r = -EINVAL;
		if (r)
			return r;
	}
	r = inet_tx_init(u, t, m, &tx);
	if (r)
		return r;
	mutex_lock(inet_mu(u));
	r = resolve_locked(u, m, &tx, scope, &dst, &src);
	mutex_unlock(inet_mu(u));
	if (r)
		return r;
	if (n > (inet_mapped(&dst) ? UDP_MAX4 : UDP_MAX6))
		return -EMSGSIZE;
	if (tx.gso && (n > (size_t)tx.gso * SEGMENTS_MAX || no_check(u)))
		return -EINVAL;
	msg = inet_msg_new(m, n, &r);
	if (!msg)
		return r;
	msg->from = src;
	msg->gso = tx.gso;
	mutex_lock(inet_mu(u));
	inet_tx_stamp_locked(u, &tx, &dst, msg);
	if (inet_err_tx_stamps_locked(u, tx.tsflags, msg, sk->protocol))
		waitq_wake(&sk->wq, LINUX_POLLERR);
	if (more && !u->cork) {
		u->cork = msg;
	} else {
		udp_input_locked(sk->net, u, msg, inet_table_of(u));
	}
	if (m->flags & LINUX_MSG_ZEROCOPY && sock_zerocopy(sk) && n) {
		inet_err_zerocopy_locked(u, u->zc_next++);
		waitq_wake(&sk->wq, LINUX_POLLERR);
	}
	mutex_unlock(inet_mu(u));
	return (int64_t)n;
}

const struct sock_ops udp_sock_ops = {
	.name = "udp",
	.own_control = true,
	.peek_off = true,
	.state = &inet_sock_state_type,
	.close = dgram_close,
	.destroy = dgram_destroy,
	.bind = inet_bind,
	.connect = dgram_connect,
	.getname = inet_getname,
	.sendmsg = udp_sendmsg,
	.recvmsg = dgram_recvmsg,
	.shutdown = dgram_shutdown,
	.poll = dgram_poll,
	.ioctl = dgram_ioctl,
	.setsockopt = inet_setsockopt,
	.getsockopt = inet_getsockopt,
	.take_error = inet_take_error,
};
