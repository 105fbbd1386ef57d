/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw sockets (any protocol on lo), ping sockets, and the kernel's own ICMP: it answers echo requests. Packets exist only here, between a raw sender and
 * raw receivers; UDP datagrams are shown to raw sockets with a header made up (udp.c). Linux: net/ipv4/raw.c, ping.c, icmp.c, net/ipv6/raw.c, icmp.c.
 * DEVIATION: TCP segments are neither seen by raw sockets nor taken from them.
 * Checkpoint: as of UDP sockets, inet_state.c.
 */
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "sentry/net/loopback.h"
#include "state/state.h"

#define IP_HDR 20u
#define IP_HDRINCL_ 3
#define IPV6_CHECKSUM_ 7
#define IPV6_HDRINCL_ 36
#define SOL_RAW_ 255
#define SOL_ICMPV6_ 58
#define ECHO_REPLY4 0
#define ECHO4 8
#define ECHO6 128
#define ECHO_REPLY6 129
#define RAW_MAX 65535u

static uint32_t csum_add(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (n & 1)
		sum += (uint32_t)p[n - 1] << 8;
	return sum;
}

static uint16_t csum_end(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint16_t csum_icmp(const struct inet_addr *from, const struct inet_addr *to, const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	if (!inet_mapped(to)) {
		sum = csum_add(csum_add(0, from->ip, 16), to->ip, 16);
		sum += (uint32_t)n + LINUX_IPPROTO_ICMPV6;
	}
	return csum_end(csum_add(sum, p, n));
}

static void set_csum(struct inet_msg *m)
{
	uint16_t c;

	m->data[2] = m->data[3] = 0;
	c = csum_icmp(&m->from, &m->to, m->data, m->len);
	m->data[2] = (uint8_t)(c >> 8);
	m->data[3] = (uint8_t)c;
}

static void ip_header(const struct inet_msg *m, int protocol, uint8_t h[IP_HDR])
{
	uint32_t len = m->len + IP_HDR;
	uint16_t c;

	memset(h, 0, IP_HDR);
	h[0] = 0x45;
	h[1] = (uint8_t)m->tos;
	h[2] = (uint8_t)(len >> 8);
	h[3] = (uint8_t)len;
	h[6] = 0x40; /* don't fragment */
	h[8] = (uint8_t)m->ttl;
	h[9] = (uint8_t)protocol;
	memcpy(h + 12, m->from.ip + 12, 4);
	memcpy(h + 16, m->to.ip + 12, 4);
	c = csum_end(csum_add(0, h, IP_HDR));
	h[10] = (uint8_t)(c >> 8);
	h[11] = (uint8_t)c;
}

/* --- receiving --- */

static bool filtered(const struct inet_sock *o, const struct inet_msg *m)
{
	uint8_t type = m->len ? m->data[0] : 0;

	if (o->sk.family == LINUX_AF_INET)
		return o->sk.protocol == LINUX_IPPROTO_ICMP && type < 32 && o->icmp_filter[0] >> type & 1;
	return o->sk.protocol == LINUX_IPPROTO_ICMPV6 && o->icmp_filter[type / 64] >> (type % 64) & 1;
}

static bool matches(struct inet_sock *o, int protocol, const struct inet_msg *m)
{
	bool v4 = inet_mapped(&m->to);
	uint32_t dev = atomic_load(&o->sk.bound_dev);

	if (o->sk.protocol != protocol || (o->sk.family == LINUX_AF_INET) != v4 || (dev && dev != LO_IFINDEX))
		return false;
	if (!inet_any(&o->laddr) && !inet_same_ip(&o->laddr, &m->to))
		return false;
	if (o->state == INET_ESTABLISHED && !inet_same_ip(&o->raddr, &m->from))
		return false;
	if (inet_addr_type(o->sk.net, &m->to) == INET_A_MULTICAST && !inet_mcast_wants_locked(o, &m->to, &m->from))
		return false;
	return !filtered(o, m);
}

void raw_input_locked(struct net_ns *net, int protocol, const struct inet_msg *msg)
{
	bool v4 = inet_mapped(&msg->to);
	struct inet_sock *o;

	list_for_each(o, &net->inet->raw, node) {
		struct inet_msg *c;

		if (!matches(o, protocol, msg))
			continue;
		c = inet_msg_alloc(msg->len + (v4 ? IP_HDR : 0));
		if (!c)
			return;
		c->from = msg->from;
		c->to = msg->to;
		c->from.port = 0;
		c->stamp = msg->stamp;
		c->ttl = msg->ttl;
		c->tos = msg->tos;
		c->flow = msg->flow;
		if (v4)
			ip_header(msg, protocol, c->data);
		memcpy(c->data + (v4 ? IP_HDR : 0), msg->data, msg->len);
		dgram_queue_locked(o, c, NULL, 0);
	}
}

static void ping_input_locked(struct net_ns *net, const struct inet_msg *m)
{
	uint16_t id = (uint16_t)(m->data[4] << 8 | m->data[5]);
	bool v4 = inet_mapped(&m->to);
	struct inet_sock *o;

	list_for_each(o, &net->inet->ports[INET_PING][id % INET_BUCKETS], node) {
		struct inet_msg *c;

		if (o->laddr.port != id || (o->sk.family == LINUX_AF_INET) != v4 || (!inet_any(&o->laddr) && !inet_same_ip(&o->laddr, &m->to)))
			continue;
		c = dgram_clone(m, 0, m->len);
		if (!c)
			return;
		c->from.port = 0;
		dgram_queue_locked(o, c, NULL, 0);
		return;
	}
}

/* The kernel's side of ICMP. */
static void icmp_input_locked(struct net_ns *net, struct inet_msg *m)
{
	bool v4 = inet_mapped(&m->to);
	struct inet_msg *reply;

	if (m->len < 8 || csum_icmp(&m->from, &m->to, m->data, m->len))
		return;
	if (m->data[0] == (v4 ? ECHO_REPLY4 : ECHO_REPLY6)) {
		ping_input_locked(net, m);
		return;
	}
	if (m->data[0] != (v4 ? ECHO4 : ECHO6) || m->data[1] || (v4 && inet_sysctl("icmp_echo_ignore_all", 0)))
		return;
	if (inet_addr_type(net, &m->to) != INET_A_LOCAL)
		return; /* net.ipv4.icmp_echo_ignore_broadcasts */
	reply = dgram_clone(m, 0, m->len);
	if (!reply)
		return;
	reply->from = m->to;
	reply->to = m->from;
	reply->ttl = 64;
	reply->data[0] = v4 ? ECHO_REPLY4 : ECHO_REPLY6;
	set_csum(reply);
	raw_input_locked(net, v4 ? LINUX_IPPROTO_ICMP : LINUX_IPPROTO_ICMPV6, reply);
	ping_input_locked(net, reply);
	free(reply);
}

uint32_t inet_headers(const struct inet_msg *msg, int protocol, uint8_t buf[48])
{
	bool udp = protocol == LINUX_IPPROTO_UDP || protocol == LINUX_IPPROTO_UDPLITE;
	uint32_t len = msg->len + (udp ? 8 : 0);
	struct inet_msg h = *msg;
	uint8_t *p = buf;

	memset(buf, 0, 48);
	if (inet_mapped(&msg->to)) {
		h.len = len;
		ip_header(&h, protocol, p);
		p += IP_HDR;
	} else {
		p[0] = 0x60;
		p[4] = (uint8_t)(len >> 8);
		p[5] = (uint8_t)len;
		p[6] = (uint8_t)protocol;
		p[7] = (uint8_t)msg->ttl;
		memcpy(p + 8, msg->from.ip, 16);
		memcpy(p + 24, msg->to.ip, 16);
		p += 40;
	}
	if (udp) {
		memcpy(p, (const uint8_t[6]){ (uint8_t)(msg->from.port >> 8), (uint8_t)msg->from.port, (uint8_t)(msg->to.port >> 8),
					      (uint8_t)msg->to.port, (uint8_t)(len >> 8), (uint8_t)len }, 6);
		p += 8;
	}
	return (uint32_t)(p - buf);
}

void icmp_unreachable_locked(struct net_ns *net, const struct inet_msg *msg)
{
	bool v4 = inet_mapped(&msg->to);
	uint32_t head = v4 ? IP_HDR + 8 : 48, quoted = MIN(msg->len, v4 ? 520u : 1184u);
	struct inet_msg *e = inet_msg_alloc(8 + head + quoted);

	if (!e)
		return;
	e->from = msg->to;
	e->to = msg->from;
	e->from.port = e->to.port = 0;
	e->ttl = 64;
	e->stamp = msg->stamp;
	memset(e->data, 0, 8 + head);
	e->data[0] = v4 ? 3 : 1;
	e->data[1] = v4 ? 3 : 4;
	(void)inet_headers(msg, LINUX_IPPROTO_UDP, e->data + 8);
	memcpy(e->data + 8 + head, msg->data, quoted);
	set_csum(e);
	raw_input_locked(net, v4 ? LINUX_IPPROTO_ICMP : LINUX_IPPROTO_ICMPV6, e);
	free(e);
}

/* A raw sender's packet, without IP header, has come back on lo. */
static void ip_input_locked(struct net_ns *net, int protocol, struct inet_msg *m)
{
	enum inet_addr_type type = inet_addr_type(net, &m->to);

	if (type != INET_A_LOCAL && type != INET_A_BROADCAST && !(type == INET_A_MULTICAST && inet_mcast_joined_locked(net->inet, &m->to)))
		return;
	raw_input_locked(net, protocol, m);
	if (protocol == (inet_mapped(&m->to) ? LINUX_IPPROTO_ICMP : LINUX_IPPROTO_ICMPV6)) {
		icmp_input_locked(net, m);
	} else if (protocol == LINUX_IPPROTO_UDP && m->len >= 8) {
		struct inet_msg *d = dgram_clone(m, 8, m->len - 8);

		if (!d)
			return;
		d->from.port = (uint16_t)(m->data[0] << 8 | m->data[1]);
		d->to.port = (uint16_t)(m->data[2] << 8 | m->data[3]);
		udp_input_locked(net, NULL, d, INET_UDP);
	}
}

/* --- sending --- */

/* With IP_HDRINCL the packet says itself where it goes: strips the header of @m into its fields. */
static int take_header(struct inet_sock *u, struct inet_msg **mp, int *protocol)
{
	struct inet_msg *m = *mp, *c;
	uint32_t ihl;
	uint8_t *h = m->data;

	if (u->sk.family != LINUX_AF_INET) {
		if (m->len < 40)
			return -EINVAL;
		memcpy(m->from.ip, h + 8, 16);
		memcpy(m->to.ip, h + 24, 16);
		m->ttl = h[7];
		*protocol = h[6];
		ihl = 40;
	} else {
		ihl = (h[0] & 0xfu) * 4;
		if (m->len < IP_HDR || ihl < IP_HDR || ihl > m->len)
			return -EINVAL;
		if (memcmp(h + 12, "\0\0\0\0", 4))
			inet_set_v4(&m->from, h + 12);
		inet_set_v4(&m->to, h + 16);
		m->tos = h[1];
		m->ttl = h[8];
		*protocol = h[9];
	}
	c = dgram_clone(m, ihl, m->len - ihl);
	if (!c)
		return -ENOBUFS;
	free(m);
	*mp = c;
	return 0;
}

static bool hdrincl(const struct inet_sock *u)
{
	return inet_is_raw(u) && (u->sk.family == LINUX_AF_INET ? inet_opt_get(u, SOL_IP_, IP_HDRINCL_) : inet_opt_get(u, SOL_IPV6_, IPV6_HDRINCL_));
}

static int ping_prepare(struct inet_sock *u, struct inet_msg *m)
{
	if (m->data[0] != (u->sk.family == LINUX_AF_INET ? ECHO4 : ECHO6) || m->data[1])
		return -EINVAL;
	m->data[4] = (uint8_t)(u->laddr.port >> 8);
	m->data[5] = (uint8_t)u->laddr.port;
	set_csum(m);
	return 0;
}

/* IPv6: ICMP always has a checksum, other protocols where IPV6_CHECKSUM says. */
static int fill_csum6(struct inet_sock *u, struct inet_msg *m)
{
	int32_t at = u->sk.protocol == LINUX_IPPROTO_ICMPV6 ? 2 : inet_opt_get(u, SOL_IPV6_, IPV6_CHECKSUM_);
	uint32_t sum;
	uint16_t c;

	if (at < 0)
		return 0;
	if ((uint32_t)at + 2 > m->len)
		return -EINVAL;
	m->data[at] = m->data[at + 1] = 0;
	sum = csum_add(csum_add(0, m->from.ip, 16), m->to.ip, 16) + m->len + u->sk.protocol;
	c = csum_end(csum_add(sum, m->data, m->len));
	if (!c)
		c = 0xffff;
	m->data[at] = (uint8_t)(c >> 8);
	m->data[at + 1] = (uint8_t)c;
	return 0;
}

static int resolve_locked(struct inet_sock *u, const struct sock_msg *m, const struct inet_tx *tx, uint32_t scope, struct inet_addr *dst,
			  struct inet_addr *src)
{
	int r;

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
	if (!r && tx->has_src && inet_mapped(&tx->src) == inet_mapped(dst))
		*src = tx->src;
	return r ? r : inet_autobind_locked(u);
}

static int64_t raw_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct inet_sock *u = inet_of(sk);
	struct inet_addr dst = { 0 }, src = { 0 };
	size_t n = m->u->left;
	int protocol = sk->protocol, r = 0;
	struct inet_msg *msg = NULL;
	struct inet_tx tx;
	uint32_t scope = 0;
	uint16_t family;

	if (n > RAW_MAX)
		return -EMSGSIZE;
	if (m->flags & LINUX_MSG_OOB)
		return -EOPNOTSUPP;
	if (inet_is_ping(u) && n < 8)
		return -EINVAL;
	if (m->namelen) {
		if (m->namelen >= 2 && inet_is_ping(u)) {
			memcpy(&family, m->name, 2);
			if (family != sk->family)
				return m->namelen < 16 ? -EINVAL : -EAFNOSUPPORT;
		}
		r = inet_parse_dst(u, m->name, m->namelen, &dst, &scope);
		if (r)
			return r;
		if (inet_mapped(&dst) != (sk->family == LINUX_AF_INET))
			return -EINVAL;
	}
	r = inet_tx_init(u, t, m, &tx);
	if (r)
		return r;
	mutex_lock(inet_mu(u));
	r = resolve_locked(u, m, &tx, scope, &dst, &src);
	mutex_unlock(inet_mu(u));
	if (!r)
		msg = inet_msg_new(m, n, &r);
	if (!msg)
		return r;
	msg->from = src;
	msg->from.port = 0;
	dst.port = 0;
	mutex_lock(inet_mu(u));
	inet_tx_stamp_locked(u, &tx, &dst, msg);
	if (inet_is_ping(u))
		r = ping_prepare(u, msg);
	else if (hdrincl(u))
		r = take_header(u, &msg, &protocol);
	else if (sk->family == LINUX_AF_INET6)
		r = fill_csum6(u, msg);
	if (!r) {
		if (inet_err_tx_stamps_locked(u, tx.tsflags, msg, protocol))
			waitq_wake(&sk->wq, LINUX_POLLERR);
		ip_input_locked(sk->net, protocol, msg);
	}
	mutex_unlock(inet_mu(u));
	free(msg);
	return r ? r : (int64_t)n;
}

/* --- options of their own levels --- */

int raw_setsockopt(struct inet_sock *u, struct task *t, int level, int opt, gaddr_t val, uint32_t len)
{
	uint64_t f[4] = { 0 };
	uint32_t size;
	int32_t v;
	int r;

	if (level == SOL_RAW_ && u->sk.family == LINUX_AF_INET6) {
		if (opt != IPV6_CHECKSUM_)
			return -ENOPROTOOPT;
		if (len < sizeof(v))
			return -EINVAL;
		r = copy_in(t, &v, val, sizeof(v));
		if (!r && v > 0 && v & 1)
			r = -EINVAL;
		if (!r)
			inet_opt_set(u, SOL_IPV6_, IPV6_CHECKSUM_, MAX(v, -1));
		return r;
	}
	if (opt != 1)
		return -ENOPROTOOPT;
	if (u->sk.protocol != (level == SOL_RAW_ ? LINUX_IPPROTO_ICMP : LINUX_IPPROTO_ICMPV6))
		return -EOPNOTSUPP;
	size = level == SOL_RAW_ ? 4 : 32;
	r = copy_in(t, f, val, MIN(len, size));
	if (r)
		return r;
	mutex_lock(inet_mu(u));
	memcpy(u->icmp_filter, f, MIN(len, size));
	mutex_unlock(inet_mu(u));
	return 0;
}

int raw_getsockopt(struct inet_sock *u, int level, int opt, void *buf, uint32_t *len)
{
	if (level == SOL_RAW_ && u->sk.family == LINUX_AF_INET6) {
		int32_t v = inet_opt_get(u, SOL_IPV6_, IPV6_CHECKSUM_);

		if (opt != IPV6_CHECKSUM_)
			return -ENOPROTOOPT;
		*len = MIN(*len, (uint32_t)sizeof(v));
		memcpy(buf, &v, *len);
		return 0;
	}
	if (opt != 1)
		return -ENOPROTOOPT;
	if (u->sk.protocol != (level == SOL_RAW_ ? LINUX_IPPROTO_ICMP : LINUX_IPPROTO_ICMPV6))
		return -EOPNOTSUPP;
	*len = MIN(*len, level == SOL_RAW_ ? 4u : 32u);
	mutex_lock(inet_mu(u));
	memcpy(buf, u->icmp_filter, *len);
	mutex_unlock(inet_mu(u));
	return 0;
}

const struct sock_ops raw_sock_ops = {
	.name = "raw",
	.own_control = true,
	.state = &inet_sock_state_type,
	.close = dgram_close,
	.destroy = dgram_destroy,
	.bind = inet_bind,
	.connect = dgram_connect,
	.getname = inet_getname,
	.sendmsg = raw_sendmsg,
	.recvmsg = dgram_recvmsg,
	.shutdown = dgram_shutdown,
	.poll = dgram_poll,
	.ioctl = dgram_ioctl,
	.setsockopt = inet_setsockopt,
	.getsockopt = inet_getsockopt,
	.take_error = inet_take_error,
};
