/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP, and the stored ones of IPPROTO_TCP. Most only tune packets, of which there are none, or say
 * what a receiver wants to be told: their values are kept, inherited by accepted connections, and shown. Others are in tcp_opt.c, inet_mcast.c
 * and raw.c. Values are read without a lock (inet_opt_get).
 * Checkpoint: values are saved in the order of the table, so it only grows at its end. Linux: net/ipv4/ip_sockglue.c, net/ipv6/ipv6_sockglue.c,
 * net/ipv4/udp.c. DEVIATION: IP options and IPv6 extension headers cannot be set.
 */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "sentry/net/netns.h"
#include "sentry/net/loopback.h"

#define SOL_UDP_    17
#define SOL_UDPLITE_ 136
#define SOL_RAW_    255
#define SOL_ICMPV6_ 58
#define TCP_	    LINUX_IPPROTO_TCP
enum { IP_HDRINCL_ = 3, IP_OPTIONS_ = 4, IP_PKTOPTIONS_ = 9, IP_RECVERR_ = 11, IP_MTU_ = 14, IP_TRANSPARENT_ = 19, IP_NODEFRAG_ = 22, IP_RECVFRAGSIZE_ = 25,
       IP_MULTICAST_IF_ = 32, IP_MULTICAST_TTL_ = 33, IP_MULTICAST_LOOP_ = 34, IP_UNICAST_IF_ = 50 };
enum { V6_CHECKSUM_ = 7, V6_MULTICAST_IF_ = 17, V6_MULTICAST_HOPS_ = 18, V6_MTU_ = 24, V6_RECVERR_ = 25, V6_V6ONLY_ = 26, V6_HDRINCL_ = 36,
       V6_PATHMTU_ = 61, V6_DONTFRAG_ = 62, V6_TCLASS_ = 67, V6_RECVFRAGSIZE_ = 77, V6_TRANSPARENT_ = 75, V6_UNICAST_IF_ = 76 };
enum { UDP_CORK_ = 1, UDP_ENCAP_ = 100 };

enum kind {
	NUM, /* in a range */
	FLAG, /* any value counts as 0 or 1 */
	BIT, /* only 0 and 1 */
	HOPS, /* -1 means the default */
	BYTE, /* any value, cut to a byte */
	NULL_BIT, /* 0 and 1 are taken, 0 is shown */
};

struct stored {
	uint8_t level, opt, kind;
	int32_t min, max, def;
};

static const struct stored stored[] = {
	{ TCP_, 1, FLAG, 0, 1, 0 }, /* NODELAY */
	{ TCP_, 3, FLAG, 0, 1, 0 }, /* CORK */
	{ TCP_, 4, NUM, 1, 32767, 0 }, /* KEEPIDLE; 0: net.ipv4.tcp_keepalive_time, and so on */
	{ TCP_, 5, NUM, 1, 32767, 0 }, /* KEEPINTVL */
	{ TCP_, 6, NUM, 1, 127, 0 }, /* KEEPCNT */
	{ TCP_, 7, NUM, 1, 127, 0 }, /* SYNCNT */
	{ TCP_, 12, FLAG, 0, 1, 1 }, /* QUICKACK */
	{ TCP_, 18, NUM, 0, INT32_MAX, 0 }, /* USER_TIMEOUT */
	{ TCP_, 25, NUM, INT32_MIN, INT32_MAX, 0 }, /* NOTSENT_LOWAT */
	{ SOL_IP_, 1, BYTE, 0, 255, 0 }, /* TOS */
	{ SOL_IP_, 2, HOPS, 1, 255, -1 }, /* TTL */
	{ SOL_IP_, 10, NUM, 0, 5, 1 }, /* MTU_DISCOVER */
	{ SOL_IP_, 24, FLAG, 0, 1, 0 }, /* BIND_ADDRESS_NO_PORT */
	{ SOL_IP_, 33, HOPS, 0, 255, 1 }, /* MULTICAST_TTL */
	{ SOL_IP_, 34, FLAG, 0, 1, 1 }, /* MULTICAST_LOOP */
	{ SOL_IPV6_, 16, HOPS, 0, 255, -1 }, /* UNICAST_HOPS */
	{ SOL_IPV6_, 18, HOPS, 0, 255, 1 }, /* MULTICAST_HOPS */
	{ SOL_IPV6_, 19, BIT, 0, 1, 1 }, /* MULTICAST_LOOP */
	{ SOL_IPV6_, 23, NUM, 0, 5, 1 }, /* MTU_DISCOVER */
	{ SOL_IPV6_, 67, HOPS, 0, 255, 0 }, /* TCLASS */
	{ TCP_, 2, NUM, 0, 32767, 0 }, /* MAXSEG */
	{ TCP_, 8, NUM, -1, 120, 0 }, /* LINGER2 */
	{ TCP_, 9, NUM, 0, INT32_MAX, 0 }, /* DEFER_ACCEPT, seconds as shown */
	{ TCP_, 10, NUM, 0, INT32_MAX, 0 }, /* WINDOW_CLAMP */
	{ TCP_, 16, BIT, 0, 1, 0 }, /* THIN_LINEAR_TIMEOUTS */
	{ TCP_, 17, NULL_BIT, 0, 1, 0 }, /* THIN_DUPACK */
	{ TCP_, 23, NUM, 0, INT32_MAX, 0 }, /* FASTOPEN */
	{ TCP_, 27, NUM, 0, 2, 0 }, /* SAVE_SYN */
	{ TCP_, 30, BIT, 0, 1, 0 }, /* FASTOPEN_CONNECT */
	{ TCP_, 34, BIT, 0, 1, 0 }, /* FASTOPEN_NO_COOKIE */
	{ TCP_, 36, BIT, 0, 1, 0 }, /* INQ */
	{ TCP_, 37, NUM, 0, INT32_MAX, 0 }, /* TX_DELAY */
	{ TCP_, 13, NUM, 0, 1, 0 }, /* CONGESTION: 0 cubic, 1 reno */
	{ SOL_IP_, 3, FLAG, 0, 1, 0 }, /* HDRINCL */
	{ SOL_IP_, 5, FLAG, 0, 1, 0 }, /* ROUTER_ALERT */
	{ SOL_IP_, 6, FLAG, 0, 1, 0 }, /* RECVOPTS: there are none */
	{ SOL_IP_, 7, FLAG, 0, 1, 0 }, /* RETOPTS */
	{ SOL_IP_, 8, FLAG, 0, 1, 0 }, /* PKTINFO */
	{ SOL_IP_, 11, FLAG, 0, 1, 0 }, /* RECVERR */
	{ SOL_IP_, 12, FLAG, 0, 1, 0 }, /* RECVTTL */
	{ SOL_IP_, 13, FLAG, 0, 1, 0 }, /* RECVTOS */
	{ SOL_IP_, 15, FLAG, 0, 1, 0 }, /* FREEBIND */
	{ SOL_IP_, 18, FLAG, 0, 1, 0 }, /* PASSSEC */
	{ SOL_IP_, 19, FLAG, 0, 1, 0 }, /* TRANSPARENT */
	{ SOL_IP_, 20, FLAG, 0, 1, 0 }, /* RECVORIGDSTADDR */
	{ SOL_IP_, 21, NUM, 0, 255, 0 }, /* MINTTL */
	{ SOL_IP_, 22, FLAG, 0, 1, 0 }, /* NODEFRAG */
	{ SOL_IP_, 23, FLAG, 0, 1, 0 }, /* CHECKSUM */
	{ SOL_IP_, 25, FLAG, 0, 1, 0 }, /* RECVFRAGSIZE */
	{ SOL_IP_, 26, BIT, 0, 1, 0 }, /* RECVERR_RFC4884 */
	{ SOL_IP_, 32, NUM, 0, INT32_MAX, 0 }, /* MULTICAST_IF: interface index */
	{ SOL_IP_, 49, BIT, 0, 1, 1 }, /* MULTICAST_ALL */
	{ SOL_IP_, 50, NUM, 0, INT32_MAX, 0 }, /* UNICAST_IF: interface index */
	{ SOL_IPV6_, 2, FLAG, 0, 1, 0 }, /* 2292PKTINFO */
	{ SOL_IPV6_, 8, FLAG, 0, 1, 0 }, /* 2292HOPLIMIT */
	{ SOL_IPV6_, 11, FLAG, 0, 1, 0 }, /* FLOWINFO */
	{ SOL_IPV6_, 17, NUM, INT32_MIN, INT32_MAX, 0 }, /* MULTICAST_IF */
	{ SOL_IPV6_, 25, FLAG, 0, 1, 0 }, /* RECVERR */
	{ SOL_IPV6_, 29, FLAG, 0, 1, 1 }, /* MULTICAST_ALL */
	{ SOL_IPV6_, 31, BIT, 0, 1, 0 }, /* RECVERR_RFC4884 */
	{ SOL_IPV6_, 33, FLAG, 0, 1, 0 }, /* FLOWINFO_SEND */
	{ SOL_IPV6_, 36, FLAG, 0, 1, 0 }, /* HDRINCL */
	{ SOL_IPV6_, 49, FLAG, 0, 1, 0 }, /* RECVPKTINFO */
	{ SOL_IPV6_, 51, FLAG, 0, 1, 0 }, /* RECVHOPLIMIT */
	{ SOL_IPV6_, 53, FLAG, 0, 1, 0 }, /* RECVHOPOPTS: there are none */
	{ SOL_IPV6_, 56, FLAG, 0, 1, 0 }, /* RECVRTHDR */
	{ SOL_IPV6_, 58, FLAG, 0, 1, 0 }, /* RECVDSTOPTS */
	{ SOL_IPV6_, 60, FLAG, 0, 1, 0 }, /* RECVPATHMTU */
	{ SOL_IPV6_, 62, FLAG, 0, 1, 0 }, /* DONTFRAG */
	{ SOL_IPV6_, 66, FLAG, 0, 1, 0 }, /* RECVTCLASS */
	{ SOL_IPV6_, 70, FLAG, 0, 1, 1 }, /* AUTOFLOWLABEL */
	{ SOL_IPV6_, 73, NUM, 0, 255, 0 }, /* MINHOPCOUNT */
	{ SOL_IPV6_, 74, FLAG, 0, 1, 0 }, /* RECVORIGDSTADDR */
	{ SOL_IPV6_, 75, FLAG, 0, 1, 0 }, /* TRANSPARENT: kept as IP_TRANSPARENT too */
	{ SOL_IPV6_, 76, NUM, 0, INT32_MAX, 0 }, /* UNICAST_IF */
	{ SOL_IPV6_, 77, FLAG, 0, 1, 0 }, /* RECVFRAGSIZE */
	{ SOL_IPV6_, 78, FLAG, 0, 1, 0 }, /* FREEBIND: kept as IP_FREEBIND too */
	{ SOL_IPV6_, 7, NUM, -1, 0x7ffffffe, -1 }, /* CHECKSUM */
	{ SOL_UDP_, 1, FLAG, 0, 1, 0 }, /* CORK */
	{ SOL_UDP_, 101, FLAG, 0, 1, 0 }, /* NO_CHECK6_TX */
	{ SOL_UDP_, 102, FLAG, 0, 1, 0 }, /* NO_CHECK6_RX */
	{ SOL_UDP_, 103, NUM, 0, UINT16_MAX, 0 }, /* SEGMENT */
	{ SOL_UDP_, 104, FLAG, 0, 1, 0 }, /* GRO */
	{ SOL_UDP_, 10, NUM, INT32_MIN, INT32_MAX, 0 }, /* UDPLITE_SEND_CSCOV */
	{ SOL_UDP_, 11, NUM, INT32_MIN, INT32_MAX, 0 }, /* UDPLITE_RECV_CSCOV */
	{ SOL_IPV6_, 3, FLAG, 0, 1, 0 }, /* 2292HOPOPTS: there are none, and so on */
	{ SOL_IPV6_, 4, FLAG, 0, 1, 0 }, /* 2292DSTOPTS */
	{ SOL_IPV6_, 5, FLAG, 0, 1, 0 }, /* 2292RTHDR */
	{ SOL_IPV6_, 22, NUM, 0, INT32_MAX, 0 }, /* ROUTER_ALERT */
	{ SOL_IPV6_, 30, BIT, 0, 1, 0 }, /* ROUTER_ALERT_ISOLATE */
};
_Static_assert(ARRAY_SIZE(stored) < INET_NR_OPTS, "inet_sock.opt is too short");

static uint8_t place[4][128]; /* by level and option: index in stored[] + 1; 0: none */

static int level_nr(int level)
{
	return level == SOL_IP_ ? 0 : level == SOL_IPV6_ ? 1 : level == TCP_ ? 2 : level == SOL_UDP_ ? 3 : -1;
}

static __attribute__((constructor)) void index_options(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(stored); i++)
		place[level_nr(stored[i].level)][stored[i].opt] = (uint8_t)(i + 1);
}

static int find(int level, int opt)
{
	int l = level_nr(level);

	return l >= 0 && opt >= 0 && opt < 128 && place[l][opt] ? place[l][opt] - 1 : -ENOPROTOOPT;
}

int32_t inet_opt_get(const struct inet_sock *u, int level, int opt)
{
	int i = find(level, opt);

	return i < 0 ? 0 : __atomic_load_n(&u->opt[i], __ATOMIC_RELAXED);
}

void inet_opt_set(struct inet_sock *u, int level, int opt, int32_t v)
{
	int i = find(level, opt);

	if (i >= 0)
		__atomic_store_n(&u->opt[i], v, __ATOMIC_RELAXED);
}

void inet_opts_init(struct inet_sock *u)
{
	for (size_t i = 0; i < ARRAY_SIZE(stored); i++)
		u->opt[i] = stored[i].def;
	if (u->sk.family == LINUX_AF_INET6)
		inet_opt_set(u, SOL_IP_, 49, 0); /* IP_MULTICAST_ALL: Linux sets it for AF_INET only */
	if (inet_is_raw(u) && u->sk.protocol == LINUX_IPPROTO_RAW) {
		inet_opt_set(u, SOL_IP_, IP_HDRINCL_, 1);
		inet_opt_set(u, SOL_IPV6_, V6_HDRINCL_, 1);
	}
}

size_t inet_opts_count(void)
{
	return ARRAY_SIZE(stored);
}

/* Earlier builds wrote all places of their array, also those past the end of their table. */
int inet_opts_load(struct inet_sock *u, const int32_t *v, size_t n)
{
	static const struct { size_t written, known; } earlier[] = { { 32, 20 }, { 96, 90 } };

	for (size_t i = 0; i < ARRAY_SIZE(earlier); i++) {
		if (n == earlier[i].written) {
			n = earlier[i].known;
			break;
		}
	}
	if (n > ARRAY_SIZE(stored))
		return -EINVAL;
	inet_opts_init(u);
	memcpy(u->opt, v, n * sizeof(*v));
	return 0;
}

static bool is_udp(const struct inet_sock *u)
{
	return u->sk.type == LINUX_SOCK_DGRAM && !inet_is_ping(u);
}

static bool has_level(const struct inet_sock *u, int level)
{
	switch (level) {
	case TCP_:
		return inet_is_tcp(u);
	case SOL_UDP_:
		return is_udp(u);
	case SOL_UDPLITE_:
		return is_udp(u) && u->sk.protocol == LINUX_IPPROTO_UDPLITE;
	case SOL_IP_:
		return u->sk.family == LINUX_AF_INET || !inet_is_raw(u);
	case SOL_IPV6_:
		return u->sk.family == LINUX_AF_INET6;
	case SOL_RAW_:
		return inet_is_raw(u);
	case SOL_ICMPV6_:
		return inet_is_raw(u) && u->sk.family == LINUX_AF_INET6;
	default:
		return false;
	}
}

/* --- setting --- */

/* Rules beyond the range of the value. */
static int allowed(struct inet_sock *u, struct task *t, int level, int opt, int32_t v, uint32_t len)
{
	bool raw = inet_is_raw(u), tcp = inet_is_tcp(u);

	if (level == SOL_IP_) {
		switch (opt) {
		case IP_HDRINCL_:
		case IP_NODEFRAG_:
			return raw && (opt == IP_HDRINCL_ || u->sk.family == LINUX_AF_INET) ? 0 : -ENOPROTOOPT;
		case IP_TRANSPARENT_:
			if (v && !net_capable(t, LINUX_CAP_NET_RAW) && !net_capable(t, LINUX_CAP_NET_ADMIN))
				return -EPERM;
			return len ? 0 : -EINVAL;
		case IP_RECVFRAGSIZE_:
			return tcp ? -EINVAL : 0;
		case IP_MULTICAST_TTL_:
			return tcp || !len ? -EINVAL : 0;
		case 2: /* IP_TTL */
		case IP_MULTICAST_LOOP_:
		case 15: /* IP_FREEBIND */
		case 21: /* IP_MINTTL */
		case 49: /* IP_MULTICAST_ALL */
			return len ? 0 : -EINVAL;
		case 5: /* IP_ROUTER_ALERT */
			return raw && u->sk.protocol != LINUX_IPPROTO_RAW ? 0 : -EINVAL; /* ip_ra_control() */
		default:
			return 0;
		}
	}
	if (level != SOL_IPV6_)
		return 0;
	switch (opt) {
	case V6_TRANSPARENT_:
		return v && !net_capable(t, LINUX_CAP_NET_RAW) && !net_capable(t, LINUX_CAP_NET_ADMIN) ? -EPERM : 0;
	case V6_MULTICAST_HOPS_:
	case V6_MULTICAST_IF_:
		return tcp ? -ENOPROTOOPT : 0;
	case V6_HDRINCL_:
	case 22: /* IPV6_ROUTER_ALERT */
		return raw ? 0 : -ENOPROTOOPT;
	case V6_CHECKSUM_:
		if (!raw)
			return -ENOPROTOOPT;
		return (u->sk.protocol == LINUX_IPPROTO_ICMPV6 || (v > 0 && v & 1)) ? -EINVAL : 0;
	default:
		return 0;
	}
}

static int dev_exists(int32_t dev)
{
	return !dev || dev == LO_IFINDEX ? 0 : -ENODEV;
}

/* IP_MULTICAST_IF: an address, struct ip_mreq or ip_mreqn. */
static int set_mcast_if(struct inet_sock *u, struct task *t, gaddr_t val, uint32_t len)
{
	uint8_t buf[12] = { 0 };
	struct inet_addr by = { 0 };
	int32_t dev = 0;
	int r;

	if (inet_is_tcp(u) || len < 4)
		return -EINVAL;
	r = copy_in(t, buf, val, len >= 12 ? 12 : len >= 8 ? 8 : 4);
	if (r)
		return r;
	inet_set_v4(&by, len >= 8 ? buf + 4 : buf);
	if (len >= 12)
		memcpy(&dev, buf + 8, 4);
	if (!dev && !inet_any(&by)) {
		if (inet_addr_type(u->sk.net, &by) != INET_A_LOCAL)
			return -EADDRNOTAVAIL;
		dev = LO_IFINDEX;
	}
	if (dev_exists(dev))
		return -EADDRNOTAVAIL;
	inet_opt_set(u, SOL_IP_, IP_MULTICAST_IF_, dev);
	return 0;
}

/* IP_UNICAST_IF and IPV6_UNICAST_IF: an index in network order. */
static int set_unicast_if(struct inet_sock *u, struct task *t, int level, int opt, gaddr_t val, uint32_t len)
{
	uint8_t b[4];
	int32_t dev;
	int r;

	if (len != sizeof(b))
		return -EINVAL;
	r = copy_in(t, b, val, sizeof(b));
	if (r)
		return r;
	dev = (int32_t)((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]);
	if (dev_exists(dev))
		return -EADDRNOTAVAIL;
	inet_opt_set(u, level, opt, dev);
	return 0;
}

static int set_v6only(struct inet_sock *u, int32_t v)
{
	int r;

	mutex_lock(inet_mu(u));
	r = u->laddr.port ? -EINVAL : 0;
	if (!r)
		u->v6only = v;
	mutex_unlock(inet_mu(u));
	return r;
}

static void purge_errors(struct inet_sock *u)
{
	struct inet_err *e, *tmp;

	mutex_lock(inet_mu(u));
	list_for_each_safe(e, tmp, &u->errq, node) {
		list_del(&e->node);
		free(e);
	}
	u->nr_errq = 0;
	u->errq_bytes = 0;
	mutex_unlock(inet_mu(u));
}

/* Options that are more than a value. 1: not one of them. */
static int set_special(struct inet_sock *u, struct task *t, int level, int opt, gaddr_t val, uint32_t len, int32_t v)
{
	if (inet_is_mcast_opt(level, opt))
		return inet_mcast_setsockopt(u, t, level, opt, val, len);
	if (level == SOL_IP_ && opt == IP_MULTICAST_IF_)
		return set_mcast_if(u, t, val, len);
	if ((level == SOL_IP_ && opt == IP_UNICAST_IF_) || (level == SOL_IPV6_ && opt == V6_UNICAST_IF_))
		return set_unicast_if(u, t, level, opt, val, len);
	if (level == SOL_IP_ && opt == IP_OPTIONS_)
		return len > 40 ? -EINVAL : len ? -EOPNOTSUPP : 0;
	if (level == SOL_IPV6_ && opt == V6_V6ONLY_)
		return len < sizeof(v) ? -EINVAL : set_v6only(u, v);
	if (level == SOL_IPV6_ && opt == V6_MTU_)
		return len < sizeof(v) || (v && v < 1280) ? -EINVAL : 0;
	if (level == SOL_UDP_ && opt == UDP_ENCAP_)
		return v ? -ENOPROTOOPT : 0;
	return 1;
}

static int set_stored(struct inet_sock *u, struct task *t, int level, int opt, int32_t v, uint32_t len)
{
	int i = find(level, opt), r;

	if (i < 0)
		return i;
	r = allowed(u, t, level, opt, v, len);
	if (r)
		return r;
	if (level == SOL_IPV6_ && len < sizeof(v) && opt != V6_DONTFRAG_ && opt != V6_RECVFRAGSIZE_)
		return -EINVAL;
	if (stored[i].kind == FLAG)
		v = !!v;
	else if (stored[i].kind == BYTE)
		v &= 0xff;
	else if (stored[i].kind == HOPS && v == -1)
		v = stored[i].def;
	else if (v < stored[i].min || v > stored[i].max)
		return -EINVAL;
	if (level == SOL_IPV6_ && opt == V6_MULTICAST_IF_) {
		uint32_t own = atomic_load(&u->sk.bound_dev);

		if (v && own && own != (uint32_t)v)
			return -EINVAL;
		r = dev_exists(v);
		if (r)
			return r;
	}
	/* A stream's congestion bits are not the application's. */
	if (inet_is_tcp(u) && ((level == SOL_IP_ && opt == 1) || (level == SOL_IPV6_ && opt == V6_TCLASS_)))
		v &= ~3;
	if (stored[i].kind == NULL_BIT)
		v = 0;
	__atomic_store_n(&u->opt[i], v, __ATOMIC_RELAXED);
	if (level == SOL_IPV6_ && opt == V6_TRANSPARENT_)
		inet_opt_set(u, SOL_IP_, IP_TRANSPARENT_, v);
	if (level == SOL_IPV6_ && opt == 78)
		inet_opt_set(u, SOL_IP_, 15, v);
	if (!v && ((level == SOL_IP_ && opt == IP_RECVERR_) || (level == SOL_IPV6_ && opt == V6_RECVERR_)))
		purge_errors(u);
	if (level == SOL_UDP_ && opt == UDP_CORK_)
		return udp_set_cork(u, v);
	return 0;
}

int inet_setsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len)
{
	struct inet_sock *u = inet_of(sk);
	int32_t v = 0;
	int r = 0;

	if (level == LINUX_SOL_SOCKET) {
		if (opt != LINUX_SO_TIMESTAMPING && opt != LINUX_SO_TIMESTAMPING_NEW)
			return -ENOPROTOOPT;
		mutex_lock(inet_mu(u));
		u->tskey = 0;
		mutex_unlock(inet_mu(u));
		return 0;
	}
	if (!has_level(u, level))
		return -ENOPROTOOPT;
	if (level == SOL_RAW_ || level == SOL_ICMPV6_)
		return raw_setsockopt(u, t, level, opt, val, len);
	if (level == TCP_) {
		r = tcp_setsockopt(u, t, opt, val, len);
		if (r != 1)
			return r;
	}
	if (level == SOL_UDPLITE_)
		level = SOL_UDP_;
	if (len >= sizeof(v))
		r = copy_in(t, &v, val, sizeof(v));
	else if (level == TCP_ || level == SOL_UDP_)
		return -EINVAL;
	else if (level == SOL_IP_ && len)
		r = copy_in(t, &v, val, 1);
	if (r)
		return r;
	r = set_special(u, t, level, opt, val, len, v);
	if (r != 1)
		return r;
	return set_stored(u, t, level, opt, v, len);
}

/* --- reading --- */

static void put_v(void *buf, uint32_t *len, int32_t v)
{
	*len = MIN(*len, (uint32_t)sizeof(v));
	memcpy(buf, &v, *len);
}

static bool connected(struct inet_sock *u)
{
	bool r;

	mutex_lock(inet_mu(u));
	r = u->state == INET_ESTABLISHED || u->state == INET_SYN_RECV;
	mutex_unlock(inet_mu(u));
	return r;
}

static int get_special(struct inet_sock *u, int level, int opt, void *buf, uint32_t *len)
{
	if (level == SOL_IP_) {
		switch (opt) {
		case IP_MTU_:
			if (!connected(u))
				return -ENOTCONN;
			put_v(buf, len, LO_MTU);
			return 0;
		case IP_MULTICAST_IF_:
			*len = MIN(*len, 4u);
			memcpy(buf, inet_opt_get(u, level, opt) ? (const uint8_t[]){ 127, 0, 0, 1 } : (const uint8_t[]){ 0, 0, 0, 0 }, *len);
			return 0;
		case IP_UNICAST_IF_:
			put_v(buf, len, (int32_t)__builtin_bswap32((uint32_t)inet_opt_get(u, level, opt)));
			return 0;
		case IP_OPTIONS_:
			*len = 0;
			return 0;
		case 41: /* MSFILTER, MCAST_MSFILTER: see inet_mcast.c */
		case 48:
			return -EINVAL;
		case IP_PKTOPTIONS_:
			if (!inet_is_tcp(u))
				return -ENOPROTOOPT;
			*len = 0;
			return 0;
		default:
			return 1;
		}
	}
	if (level != SOL_IPV6_)
		return 1;
	switch (opt) {
	case V6_V6ONLY_:
		put_v(buf, len, u->v6only);
		return 0;
	case V6_MTU_:
		if (!connected(u))
			return -ENOTCONN;
		put_v(buf, len, LO_MTU);
		return 0;
	case V6_PATHMTU_: {
		uint8_t info[32] = { 0 }; /* struct ip6_mtuinfo */

		if (*len < sizeof(info))
			return -EINVAL;
		if (!connected(u))
			return -ENOTCONN;
		memcpy(info + 28, &(uint32_t){ LO_MTU }, 4);
		*len = sizeof(info);
		memcpy(buf, info, sizeof(info));
		return 0;
	}
	case V6_UNICAST_IF_:
		put_v(buf, len, (int32_t)__builtin_bswap32((uint32_t)inet_opt_get(u, level, opt)));
		return 0;
	case 6: /* 2292PKTOPTIONS */
		if (!inet_is_tcp(u))
			return -ENOPROTOOPT;
		*len = 0;
		return 0;
	case 32: /* FLOWLABEL_MGR, MCAST_MSFILTER */
	case 48:
		return -EINVAL;
	case 1: /* ADDRFORM */
		return -ENOTCONN;
	case 50: /* PKTINFO: the sticky one is not shown */
		return -ENOPROTOOPT;
	case 54: /* HOPOPTS, RTHDRDSTOPTS, RTHDR, DSTOPTS: none */
	case 55:
	case 57:
	case 59:
		*len = 0;
		return 0;
	case 72: /* ADDR_PREFERENCES */
		put_v(buf, len, 0x500); /* IPV6_PREFER_SRC_PUBTMP_DEFAULT, NONCGA */
		return 0;
	default:
		return 1;
	}
}

/* A value that depends on more than what was set. */
static int32_t shown(struct inet_sock *u, int level, int opt, int32_t v)
{
	if (level == SOL_IP_ && opt == 2 && v < 0)
		return (int32_t)inet_sysctl("ip_default_ttl", 64);
	if (level == SOL_IPV6_ && opt == 16 && v < 0)
		return 64;
	(void)u;
	return v;
}

int inet_getsockopt(struct sock *sk, struct task *t, int level, int opt, void *buf, uint32_t *len)
{
	struct inet_sock *u = inet_of(sk);
	int i, r;
	int32_t v;

	(void)t;
	if (level == LINUX_SOL_SOCKET) {
		int32_t cred[3] = { 0, -1, -1 };

		if (opt == LINUX_SO_PEERGROUPS)
			return -ENODATA;
		if (opt != LINUX_SO_PEERCRED)
			return -ENOPROTOOPT;
		*len = MIN(*len, (uint32_t)sizeof(cred));
		memcpy(buf, cred, *len);
		return 0;
	}
	if (!has_level(u, level))
		return sk->family == LINUX_AF_INET ? -EOPNOTSUPP : -ENOPROTOOPT;
	if (level == SOL_RAW_ || level == SOL_ICMPV6_)
		return raw_getsockopt(u, level, opt, buf, len);
	if (level == TCP_) {
		r = tcp_getsockopt(u, opt, buf, len);
		if (r != 1)
			return r;
	}
	if (level == SOL_UDPLITE_)
		level = SOL_UDP_;
	r = get_special(u, level, opt, buf, len);
	if (r != 1)
		return r;
	i = find(level, opt);
	if (i < 0 || (level == SOL_IPV6_ && (opt == V6_CHECKSUM_ || opt == V6_HDRINCL_) && !inet_is_raw(u)))
		return -ENOPROTOOPT;
	v = shown(u, level, opt, inet_opt_get(u, level, opt));
	/* Small values fit small buffers. */
	if (level == SOL_IP_ && *len > 0 && *len < sizeof(v) && v >= 0 && v <= 255)
		*len = 1;
	put_v(buf, len, v);
	return 0;
}
