/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of host sockets: a table says which the host is asked for, and which a restore sets again. Values are copied as they are. An option
 * that is not here is ENOPROTOOPT, as in a kernel built without it. Linux: net/ipv4/ip_sockglue.c, net/ipv6/ipv6_sockglue.c, net/ipv4/tcp.c.
 */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/in6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/host/host.h"

#define GET   1u
#define SET   2u
#define KEEP  4u /* set again after a restore */
#define JOIN  8u /* membership: kept once per value */
#define LEAVE 16u /* ends the membership that option @.ends made with the same value */
#define RAW_CAP 32u /* setting needs CAP_NET_RAW or CAP_NET_ADMIN, which the Sentry may have for others */
#define RW    (GET | SET | KEEP)

struct rule {
	int level, opt;
	uint32_t flags;
	int ends;
};

static const struct rule rules[] = {
	/* clang-format off */
	{ SOL_SOCKET, SO_ACCEPTCONN, GET, 0 },
	{ SOL_SOCKET, SO_BINDTODEVICE, RW | RAW_CAP, 0 },
	{ SOL_SOCKET, SO_BROADCAST, RW, 0 },
	{ SOL_SOCKET, SO_BUSY_POLL, GET, 0 },
	{ SOL_SOCKET, SO_COOKIE, GET, 0 },
	{ SOL_SOCKET, SO_DOMAIN, GET, 0 },
	{ SOL_SOCKET, SO_DONTROUTE, RW, 0 },
	{ SOL_SOCKET, SO_ERROR, GET, 0 },
	{ SOL_SOCKET, SO_INCOMING_CPU, RW, 0 },
	{ SOL_SOCKET, SO_INCOMING_NAPI_ID, GET, 0 },
	{ SOL_SOCKET, SO_KEEPALIVE, RW, 0 },
	{ SOL_SOCKET, SO_LINGER, RW, 0 },
	{ SOL_SOCKET, SO_MARK, GET | SET, 0 },
	{ SOL_SOCKET, SO_MAX_PACING_RATE, RW, 0 },
	{ SOL_SOCKET, SO_NO_CHECK, RW, 0 },
	{ SOL_SOCKET, SO_OOBINLINE, RW, 0 },
	{ SOL_SOCKET, SO_PEEK_OFF, RW, 0 },
	{ SOL_SOCKET, SO_PRIORITY, RW, 0 },
	{ SOL_SOCKET, SO_PROTOCOL, GET, 0 },
	{ SOL_SOCKET, SO_RCVBUF, RW, 0 },
	{ SOL_SOCKET, SO_RCVLOWAT, RW, 0 },
	{ SOL_SOCKET, SO_REUSEADDR, RW, 0 },
	{ SOL_SOCKET, SO_REUSEPORT, RW, 0 },
	{ SOL_SOCKET, SO_RXQ_OVFL, RW, 0 },
	{ SOL_SOCKET, SO_SELECT_ERR_QUEUE, RW, 0 },
	{ SOL_SOCKET, SO_SNDBUF, RW, 0 },
	{ SOL_SOCKET, SO_SNDLOWAT, GET, 0 },
	{ SOL_SOCKET, SO_TIMESTAMP_OLD, RW, 0 },
	{ SOL_SOCKET, SO_TIMESTAMPING_OLD, RW, 0 },
	{ SOL_SOCKET, SO_TIMESTAMPNS_OLD, RW, 0 },
	{ SOL_SOCKET, SO_TYPE, GET, 0 },

	{ IPPROTO_IP, IP_ADD_MEMBERSHIP, SET | JOIN, 0 },
	{ IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, SET | JOIN, 0 },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, RW, 0 },
	{ IPPROTO_IP, IP_CHECKSUM, RW, 0 },
	{ IPPROTO_IP, IP_DROP_MEMBERSHIP, SET | LEAVE, IP_ADD_MEMBERSHIP },
	{ IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, SET | LEAVE, IP_ADD_SOURCE_MEMBERSHIP },
	{ IPPROTO_IP, IP_FREEBIND, RW, 0 },
	{ IPPROTO_IP, IP_HDRINCL, RW, 0 },
	{ IPPROTO_IP, IP_MINTTL, RW, 0 },
	{ IPPROTO_IP, IP_MTU, GET, 0 },
	{ IPPROTO_IP, IP_MTU_DISCOVER, RW, 0 },
	{ IPPROTO_IP, IP_MULTICAST_ALL, RW, 0 },
	{ IPPROTO_IP, IP_MULTICAST_IF, RW, 0 },
	{ IPPROTO_IP, IP_MULTICAST_LOOP, RW, 0 },
	{ IPPROTO_IP, IP_MULTICAST_TTL, RW, 0 },
	{ IPPROTO_IP, IP_OPTIONS, RW, 0 },
	{ IPPROTO_IP, IP_PKTINFO, RW, 0 },
	{ IPPROTO_IP, IP_RECVERR, RW, 0 },
	{ IPPROTO_IP, IP_RECVFRAGSIZE, RW, 0 },
	{ IPPROTO_IP, IP_RECVOPTS, RW, 0 },
	{ IPPROTO_IP, IP_RECVORIGDSTADDR, RW, 0 },
	{ IPPROTO_IP, IP_RECVTOS, RW, 0 },
	{ IPPROTO_IP, IP_RECVTTL, RW, 0 },
	{ IPPROTO_IP, IP_RETOPTS, RW, 0 },
	{ IPPROTO_IP, IP_TOS, RW, 0 },
	{ IPPROTO_IP, IP_TRANSPARENT, RW | RAW_CAP, 0 },
	{ IPPROTO_IP, IP_TTL, RW, 0 },
	{ IPPROTO_IP, IP_UNICAST_IF, RW, 0 },
	{ IPPROTO_IP, MCAST_JOIN_GROUP, SET | JOIN, 0 },
	{ IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, SET | JOIN, 0 },
	{ IPPROTO_IP, MCAST_LEAVE_GROUP, SET | LEAVE, MCAST_JOIN_GROUP },
	{ IPPROTO_IP, MCAST_LEAVE_SOURCE_GROUP, SET | LEAVE, MCAST_JOIN_SOURCE_GROUP },

	{ IPPROTO_IPV6, IPV6_2292HOPLIMIT, RW, 0 },
	{ IPPROTO_IPV6, IPV6_2292PKTINFO, RW, 0 },
	{ IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, SET | JOIN, 0 },
	{ IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, RW, 0 },
	{ IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, RW, 0 },
	{ IPPROTO_IPV6, IPV6_CHECKSUM, RW, 0 },
	{ IPPROTO_IPV6, IPV6_DONTFRAG, RW, 0 },
	{ IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, SET | LEAVE, IPV6_ADD_MEMBERSHIP },
	{ IPPROTO_IPV6, IPV6_FLOWINFO, RW, 0 },
	{ IPPROTO_IPV6, IPV6_FLOWINFO_SEND, RW, 0 },
	{ IPPROTO_IPV6, IPV6_FREEBIND, RW, 0 },
	{ IPPROTO_IPV6, IPV6_MINHOPCOUNT, RW, 0 },
	{ IPPROTO_IPV6, IPV6_MTU, RW, 0 },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER, RW, 0 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_ALL, RW, 0 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, RW, 0 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_IF, RW, 0 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, RW, 0 },
	{ IPPROTO_IPV6, IPV6_PATHMTU, GET, 0 },
	{ IPPROTO_IPV6, IPV6_RECVDSTOPTS, RW, 0 },
	{ IPPROTO_IPV6, IPV6_RECVERR, RW, 0 },
	{ IPPROTO_IPV6, IPV6_RECVFRAGSIZE, RW, 0 },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, RW, 0 },
	{ IPPROTO_IPV6, IPV6_RECVHOPOPTS, RW, 0 },
	{ IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, RW, 0 },
	{ IPPROTO_IPV6, IPV6_RECVPATHMTU, RW, 0 },
	{ IPPROTO_IPV6, IPV6_RECVPKTINFO, RW, 0 },
	{ IPPROTO_IPV6, IPV6_RECVRTHDR, RW, 0 },
	{ IPPROTO_IPV6, IPV6_RECVTCLASS, RW, 0 },
	{ IPPROTO_IPV6, IPV6_TCLASS, RW, 0 },
	{ IPPROTO_IPV6, IPV6_TRANSPARENT, RW | RAW_CAP, 0 },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, RW, 0 },
	{ IPPROTO_IPV6, IPV6_UNICAST_IF, RW, 0 },
	{ IPPROTO_IPV6, IPV6_V6ONLY, RW, 0 },
	{ IPPROTO_IPV6, MCAST_JOIN_GROUP, SET | JOIN, 0 },
	{ IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, SET | JOIN, 0 },
	{ IPPROTO_IPV6, MCAST_LEAVE_GROUP, SET | LEAVE, MCAST_JOIN_GROUP },
	{ IPPROTO_IPV6, MCAST_LEAVE_SOURCE_GROUP, SET | LEAVE, MCAST_JOIN_SOURCE_GROUP },

	{ IPPROTO_TCP, TCP_CC_INFO, GET, 0 },
	{ IPPROTO_TCP, TCP_CONGESTION, RW, 0 },
	{ IPPROTO_TCP, TCP_CORK, RW, 0 },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, RW, 0 },
	{ IPPROTO_TCP, TCP_FASTOPEN, RW, 0 },
	{ IPPROTO_TCP, TCP_INFO, GET, 0 },
	{ IPPROTO_TCP, TCP_INQ, RW, 0 },
	{ IPPROTO_TCP, TCP_KEEPCNT, RW, 0 },
	{ IPPROTO_TCP, TCP_KEEPIDLE, RW, 0 },
	{ IPPROTO_TCP, TCP_KEEPINTVL, RW, 0 },
	{ IPPROTO_TCP, TCP_LINGER2, RW, 0 },
	{ IPPROTO_TCP, TCP_MAXSEG, RW, 0 },
	{ IPPROTO_TCP, TCP_NODELAY, RW, 0 },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, RW, 0 },
	{ IPPROTO_TCP, TCP_QUICKACK, GET | SET, 0 },
	{ IPPROTO_TCP, TCP_SAVE_SYN, RW, 0 },
	{ IPPROTO_TCP, TCP_SAVED_SYN, GET, 0 },
	{ IPPROTO_TCP, TCP_SYNCNT, RW, 0 },
	{ IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, RW, 0 },
	{ IPPROTO_TCP, TCP_TIMESTAMP, GET, 0 },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, RW, 0 },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, RW, 0 },

	{ IPPROTO_UDP, 1 /* CORK */, GET | SET, 0 },
	{ IPPROTO_UDP, 101 /* NO_CHECK6_TX */, RW, 0 },
	{ IPPROTO_UDP, 102 /* NO_CHECK6_RX */, RW, 0 },
	{ IPPROTO_UDP, 103 /* SEGMENT */, RW, 0 },
	{ IPPROTO_UDP, 104 /* GRO */, RW, 0 },

	{ IPPROTO_RAW, ICMP_FILTER, RW, 0 },
	{ IPPROTO_ICMPV6, ICMPV6_FILTER, RW, 0 },
	/* clang-format on */
};

static const struct rule *find(int level, int opt)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].level == level && rules[i].opt == opt)
			return &rules[i];
	return NULL;
}

bool host_opt_known(int level, int opt)
{
	const struct rule *r = find(level, opt);

	return r && (r->flags & (KEEP | JOIN));
}

static struct host_opt *remembered(struct host_sock *h, int level, int opt, const void *value, uint32_t len)
{
	struct host_opt *o;

	list_for_each(o, &h->opts, node)
		if (o->level == level && o->opt == opt && (!value || (o->len == len && !memcmp(o->value, value, len))))
			return o;
	return NULL;
}

static void remember(struct host_sock *h, const struct rule *rule, const void *value, uint32_t len)
{
	struct host_opt *o;

	mutex_lock(&h->mu);
	if (rule->flags & LEAVE) {
		o = remembered(h, rule->level, rule->ends, value, len);
		if (o) {
			list_del(&o->node);
			h->nr_opts--;
			free(o);
		}
	} else if (rule->flags & (KEEP | JOIN)) {
		o = remembered(h, rule->level, rule->opt, rule->flags & JOIN ? value : NULL, len);
		if (!o && h->nr_opts < HOST_MAX_OPTS) {
			o = calloc(1, sizeof(*o));
			if (o) {
				o->level = rule->level;
				o->opt = rule->opt;
				list_add_tail(&h->opts, &o->node);
				h->nr_opts++;
			}
		}
		if (o) {
			memset(o->value, 0, sizeof(o->value));
			memcpy(o->value, value, len);
			o->len = len;
		}
	}
	mutex_unlock(&h->mu);
}

int host_setsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len)
{
	struct host_sock *h = host_of(sk);
	const struct rule *rule = find(level, opt);
	uint8_t value[HOST_OPT_MAX] = { 0 };
	int r;

	if (level == LINUX_SOL_SOCKET && (opt == LINUX_SO_SNDBUFFORCE || opt == LINUX_SO_RCVBUFFORCE))
		return -EPERM; /* whatever this task may do here, the host's limits are not ours to exceed */
	if (!rule || !(rule->flags & SET))
		return level == LINUX_SOL_SOCKET && opt == LINUX_SO_PASSCRED ? -EOPNOTSUPP : -ENOPROTOOPT;
	if ((rule->flags & RAW_CAP) && !task_capable(t, LINUX_CAP_NET_RAW) && !task_capable(t, LINUX_CAP_NET_ADMIN))
		return -EPERM;
	len = MIN(len, (uint32_t)sizeof(value));
	r = len ? copy_in(t, value, val, len) : 0;
	if (r)
		return r;
	if (setsockopt(h->fd, level, opt, value, len) < 0)
		return -errno;
	remember(h, rule, value, len);
	if (level == LINUX_SOL_SOCKET && opt == LINUX_SO_REUSEADDR) {
		mutex_lock(&sk->opt_mu);
		sk->opts.reuseaddr = value[0] || value[1] || value[2] || value[3];
		mutex_unlock(&sk->opt_mu);
		host_port_stays_free(h);
	}
	if (level == LINUX_SOL_SOCKET && opt == LINUX_SO_RCVLOWAT) {
		mutex_lock(&sk->opt_mu); /* the receiving loop asks here */
		memcpy(&sk->opts.rcvlowat, value, sizeof(sk->opts.rcvlowat));
		sk->opts.rcvlowat = sk->opts.rcvlowat < 0 ? INT32_MAX : MAX(sk->opts.rcvlowat, 1);
		mutex_unlock(&sk->opt_mu);
	}
	return 0;
}

int host_getsockopt(struct sock *sk, struct task *t, int level, int opt, void *buf, uint32_t *len)
{
	struct host_sock *h = host_of(sk);
	const struct rule *rule = find(level, opt);
	socklen_t n = *len;

	if (!rule || !(rule->flags & GET))
		return -ENOPROTOOPT;
	if (level == LINUX_SOL_SOCKET && opt == LINUX_SO_ERROR && host_is_gone(h)) {
		int v = host_take_gone(h);

		*len = MIN(*len, (uint32_t)sizeof(v));
		memcpy(buf, &v, *len);
		return 0;
	}
	if (getsockopt(h->fd, level, opt, buf, &n) < 0)
		return -errno;
	*len = MIN((uint32_t)n, *len);
	if (level == LINUX_SOL_SOCKET && opt == LINUX_SO_REUSEADDR) { /* host_port_stays_free() may have set it */
		int v;

		mutex_lock(&sk->opt_mu);
		v = sk->opts.reuseaddr;
		mutex_unlock(&sk->opt_mu);
		memcpy(buf, &v, *len);
	}
	return 0;
}
