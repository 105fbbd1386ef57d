/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ancillary data of IP, IPv6 and UDP: what sendmsg(2) may say about one message, and what recvmsg(2) tells of it where options ask for it.
 * Linux: net/ipv4/ip_sockglue.c, net/ipv6/datagram.c, net/ipv4/udp.c. Extension headers and IP options are refused: there are no packets.
 */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "sentry/net/loopback.h"

#define SOL_UDP_ 17
enum { IP_TOS_ = 1, IP_TTL_ = 2, IP_PKTINFO_ = 8, IP_RECVTTL_ = 12, IP_RECVTOS_ = 13, IP_ORIGDSTADDR_ = 20, IP_MULTICAST_TTL_ = 33,
       IP_MULTICAST_IF_ = 32, IP_UNICAST_IF_ = 50 };
enum { V6_2292PKTINFO = 2, V6_2292HOPLIMIT = 8, V6_FLOWINFO = 11, V6_UNICAST_HOPS = 16, V6_MULTICAST_IF = 17, V6_MULTICAST_HOPS = 18,
       V6_FLOWINFO_SEND = 33, V6_RECVPKTINFO = 49, V6_PKTINFO = 50, V6_RECVHOPLIMIT = 51, V6_HOPLIMIT = 52, V6_DONTFRAG = 62,
       V6_RECVTCLASS = 66, V6_TCLASS = 67, V6_ORIGDSTADDR = 74, V6_UNICAST_IF = 76 };
#define TX_RECORD (1u << 0 | 1u << 1 | 1u << 8 | 1u << 9) /* SOF_TIMESTAMPING_TX_RECORD_MASK; sock_check_control() has checked */
#define UDP_SEGMENT_ 103
#define UDP_GRO_     104

/* --- sending --- */

static int get_int(const uint8_t *data, size_t n, int32_t lo, int32_t hi, int32_t *ret)
{
	int32_t v;

	if (n != sizeof(v))
		return -EINVAL;
	memcpy(&v, data, sizeof(v));
	if (v < lo || v > hi)
		return -EINVAL;
	*ret = v;
	return 0;
}

static int check_dev(const struct inet_sock *u, uint32_t dev)
{
	uint32_t own = atomic_load(&u->sk.bound_dev);

	if (own && dev && own != dev)
		return -EINVAL;
	return 0;
}

static int ip_one(struct inet_sock *u, int type, const uint8_t *data, size_t n, struct inet_tx *tx)
{
	int32_t v;
	int r;

	switch (type) {
	case IP_PKTINFO_: /* ifindex, source, destination */
		if (n != 12)
			return -EINVAL;
		memcpy(&tx->dev, data, 4);
		if (memcmp(data + 4, "\0\0\0\0", 4)) {
			inet_set_v4(&tx->src, data + 4);
			tx->has_src = true;
		}
		return check_dev(u, tx->dev);
	case IP_TTL_:
		return get_int(data, n, 1, 255, &tx->ttl);
	case IP_TOS_:
		if (n == 1) {
			tx->tos = data[0];
			return 0;
		}
		r = get_int(data, n, 0, 255, &v);
		if (!r)
			tx->tos = v;
		return r;
	default:
		return -EINVAL;
	}
}

static int ip6_one(struct inet_sock *u, int type, const uint8_t *data, size_t n, struct inet_tx *tx)
{
	struct inet_addr a = { 0 };
	enum inet_addr_type kind;
	int32_t v;

	switch (type) {
	case V6_PKTINFO:
	case V6_2292PKTINFO: /* source, ifindex */
		if (n < 20)
			return -EINVAL;
		memcpy(a.ip, data, 16);
		memcpy(&tx->dev, data + 16, 4);
		if (tx->dev && tx->dev != LO_IFINDEX)
			return -ENODEV;
		if (!inet_any(&a)) {
			kind = inet_addr_type(u->sk.net, &a);
			if (kind != INET_A_LOCAL)
				return -EINVAL;
			tx->src = a;
			tx->has_src = true;
		}
		return check_dev(u, tx->dev);
	case V6_FLOWINFO:
		if (n < 4)
			return -EINVAL;
		tx->flow = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
		return 0;
	case V6_HOPLIMIT:
	case V6_2292HOPLIMIT:
		return get_int(data, n, -1, 255, &tx->ttl);
	case V6_TCLASS:
		return get_int(data, n, -1, 255, &tx->tos);
	case V6_DONTFRAG:
		return get_int(data, n, 0, 1, &v);
	default:
		return -EINVAL;
	}
}

static int one(struct inet_sock *u, const struct linux_cmsghdr *h, const uint8_t *data, struct inet_tx *tx)
{
	size_t n = h->len - sizeof(*h);
	uint16_t gso;

	if (h->level == SOL_IP_)
		return ip_one(u, h->type, data, n, tx);
	if (h->level == SOL_IPV6_ && u->sk.family == LINUX_AF_INET6)
		return ip6_one(u, h->type, data, n, tx);
	if (h->level == SOL_UDP_ && u->sk.protocol == LINUX_IPPROTO_UDP && u->sk.type == LINUX_SOCK_DGRAM) {
		if (h->type != UDP_SEGMENT_ || n != sizeof(gso))
			return -EINVAL;
		memcpy(&gso, data, sizeof(gso));
		tx->gso = gso;
	}
	return 0; /* other levels are nobody's */
}

int inet_tx_init(struct inet_sock *u, struct task *t, const struct sock_msg *m, struct inet_tx *tx)
{
	uint32_t tsflags, record;
	size_t at = 0;
	int r;

	mutex_lock(&u->sk.opt_mu);
	tsflags = u->sk.opts.timestamping;
	mutex_unlock(&u->sk.opt_mu);
	*tx = (struct inet_tx){ .tsflags = tsflags, .ttl = -1, .tos = -1, .gso = (uint32_t)inet_opt_get(u, SOL_UDP_, UDP_SEGMENT_) };
	if (u->sk.family == LINUX_AF_INET6 && m->namelen >= 8 && inet_opt_get(u, SOL_IPV6_, V6_FLOWINFO_SEND))
		tx->flow = (uint32_t)m->name[4] << 24 | (uint32_t)m->name[5] << 16 | (uint32_t)m->name[6] << 8 | m->name[7];
	if (!m->ctllen)
		return 0;
	r = sock_check_control(&u->sk, t, m);
	while (!r && m->ctllen - at >= sizeof(struct linux_cmsghdr)) {
		struct linux_cmsghdr h;

		memcpy(&h, m->ctl + at, sizeof(h));
		if (h.len < sizeof(h) || h.len > m->ctllen - at)
			return -EINVAL;
		if (h.level == LINUX_SOL_SOCKET && (h.type == LINUX_SO_TIMESTAMPING || h.type == LINUX_SO_TIMESTAMPING_NEW)) {
			memcpy(&record, m->ctl + at + sizeof(h), sizeof(record));
			tx->tsflags = (tsflags & ~TX_RECORD) | record;
		}
		if (h.level != LINUX_SOL_SOCKET)
			r = one(u, &h, m->ctl + at + sizeof(h), tx);
		if (LINUX_CMSG_ALIGN(h.len) >= m->ctllen - at)
			break;
		at += LINUX_CMSG_ALIGN(h.len);
	}
	return r;
}

void inet_tx_stamp_locked(struct inet_sock *u, const struct inet_tx *tx, const struct inet_addr *to, struct inet_msg *msg)
{
	bool v4 = inet_mapped(to), mcast = inet_addr_type(u->sk.net, to) == INET_A_MULTICAST;
	int level = v4 ? SOL_IP_ : SOL_IPV6_, opt;
	int32_t ttl = tx->ttl, tos = tx->tos;

	if (v4)
		opt = mcast ? IP_MULTICAST_TTL_ : IP_TTL_;
	else
		opt = mcast ? V6_MULTICAST_HOPS : V6_UNICAST_HOPS;
	if (ttl < 0)
		ttl = inet_opt_get(u, level, opt);
	if (ttl < 0)
		ttl = mcast ? 1 : v4 ? (int32_t)inet_sysctl("ip_default_ttl", 64) : 64;
	if (tos < 0)
		tos = inet_opt_get(u, level, v4 ? IP_TOS_ : V6_TCLASS);
	msg->ttl = (uint32_t)ttl;
	msg->tos = (uint32_t)MAX(tos, 0);
	msg->flow = v4 ? 0 : (tx->flow & 0xfffff) | msg->tos << 20;
	msg->to = *to;
	msg->stamp = ktime_real();
}

/* --- receiving --- */

static void put_int(struct sock_msg *m, int level, int type, int32_t v)
{
	sock_put_control(m, level, type, &v, sizeof(v));
}

static void put_v4(struct inet_sock *u, const struct inet_msg *msg, struct sock_msg *m)
{
	uint8_t buf[16] = { 0 };

	if (inet_opt_get(u, SOL_IP_, IP_PKTINFO_)) {
		bool group = inet_addr_type(u->sk.net, &msg->to) != INET_A_LOCAL;

		memcpy(buf, &(uint32_t){ LO_IFINDEX }, 4);
		memcpy(buf + 4, group ? (const uint8_t[]){ 127, 0, 0, 1 } : msg->to.ip + 12, 4);
		memcpy(buf + 8, msg->to.ip + 12, 4);
		sock_put_control(m, SOL_IP_, IP_PKTINFO_, buf, 12);
	}
	if (inet_opt_get(u, SOL_IP_, IP_RECVTTL_))
		put_int(m, SOL_IP_, IP_TTL_, (int32_t)msg->ttl);
	if (inet_opt_get(u, SOL_IP_, IP_RECVTOS_))
		sock_put_control(m, SOL_IP_, IP_TOS_, &(uint8_t){ (uint8_t)msg->tos }, 1);
	if (inet_opt_get(u, SOL_IP_, IP_ORIGDSTADDR_)) {
		memset(buf, 0, sizeof(buf));
		buf[0] = LINUX_AF_INET;
		buf[2] = (uint8_t)(msg->to.port >> 8);
		buf[3] = (uint8_t)msg->to.port;
		memcpy(buf + 4, msg->to.ip + 12, 4);
		sock_put_control(m, SOL_IP_, IP_ORIGDSTADDR_, buf, sizeof(buf));
	}
}

static void put_pktinfo6(const struct inet_msg *msg, struct sock_msg *m, int type)
{
	uint8_t buf[20];

	memcpy(buf, msg->to.ip, 16);
	memcpy(buf + 16, &(uint32_t){ LO_IFINDEX }, 4);
	sock_put_control(m, SOL_IPV6_, type, buf, sizeof(buf));
}

static void put_v6(struct inet_sock *u, const struct inet_msg *msg, struct sock_msg *m)
{
	uint8_t buf[28], flow[4] = { (uint8_t)(msg->flow >> 24 & 0xf), (uint8_t)(msg->flow >> 16), (uint8_t)(msg->flow >> 8), (uint8_t)msg->flow };

	if (inet_opt_get(u, SOL_IPV6_, V6_RECVHOPLIMIT))
		put_int(m, SOL_IPV6_, V6_HOPLIMIT, (int32_t)msg->ttl);
	if (inet_opt_get(u, SOL_IPV6_, V6_RECVTCLASS))
		put_int(m, SOL_IPV6_, V6_TCLASS, (int32_t)msg->tos);
	if (inet_opt_get(u, SOL_IPV6_, V6_FLOWINFO) && msg->flow)
		sock_put_control(m, SOL_IPV6_, V6_FLOWINFO, flow, sizeof(flow));
	if (inet_opt_get(u, SOL_IPV6_, V6_2292PKTINFO))
		put_pktinfo6(msg, m, V6_2292PKTINFO);
	if (inet_opt_get(u, SOL_IPV6_, V6_2292HOPLIMIT))
		put_int(m, SOL_IPV6_, V6_2292HOPLIMIT, (int32_t)msg->ttl);
	if (inet_opt_get(u, SOL_IPV6_, V6_ORIGDSTADDR)) {
		(void)inet_fill_name(u, &msg->to, buf);
		sock_put_control(m, SOL_IPV6_, V6_ORIGDSTADDR, buf, sizeof(buf));
	}
}

void inet_put_controls(struct inet_sock *u, const struct inet_msg *msg, struct sock_msg *m)
{
	bool ovfl, udp = u->sk.type == LINUX_SOCK_DGRAM && !inet_is_ping(u);
	uint32_t drops;

	sock_put_timestamp(&u->sk, m, msg->stamp);
	mutex_lock(&u->sk.opt_mu);
	ovfl = u->sk.opts.rxq_ovfl;
	mutex_unlock(&u->sk.opt_mu);
	mutex_lock(inet_mu(u));
	drops = (uint32_t)u->drops;
	mutex_unlock(inet_mu(u));
	if (ovfl && drops)
		sock_put_control(m, LINUX_SOL_SOCKET, LINUX_SO_RXQ_OVFL, &drops, sizeof(drops));
	if (udp && msg->gso && inet_opt_get(u, SOL_UDP_, UDP_GRO_))
		put_int(m, SOL_UDP_, UDP_GRO_, (int32_t)msg->gso);
	if (u->sk.family == LINUX_AF_INET6 && inet_opt_get(u, SOL_IPV6_, V6_RECVPKTINFO))
		put_pktinfo6(msg, m, V6_PKTINFO);
	if (inet_mapped(&msg->to))
		put_v4(u, msg, m);
	else if (u->sk.family == LINUX_AF_INET6)
		put_v6(u, msg, m);
}
