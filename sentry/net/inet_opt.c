/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of IPPROTO_IP, IPPROTO_IPV6 and IPPROTO_TCP. Most only tune packets, of which there are none: their values are kept, inherited by
 * accepted connections and shown. Options that would have to produce ancillary data are refused (ENOPROTOOPT).
 * Checkpoint: values are saved in the order of the table, so it only grows at its end. Linux: net/ipv4/tcp.c, ip_sockglue.c.
 */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "sentry/net/loopback.h"

#define SOL_IP_   0
#define SOL_IPV6_ 41
#define V6ONLY_   26
#define TCP_MAXSEG_ 2
#define TCP_INFO_ 11
#define TCP_CONGESTION_ 13
#define IP_MTU_ 14
#define IPV6_MTU_ 24

struct stored {
	uint8_t level, opt;
	bool flag; /* any value counts as 0 or 1 */
	int32_t min, max, def;
	int err; /* for a value out of range */
};

static const struct stored stored[] = {
	{ LINUX_IPPROTO_TCP, 1, true, 0, 1, 0, EINVAL }, /* NODELAY */
	{ LINUX_IPPROTO_TCP, 3, true, 0, 1, 0, EINVAL }, /* CORK */
	{ LINUX_IPPROTO_TCP, 4, false, 1, 32767, 7200, EINVAL }, /* KEEPIDLE */
	{ LINUX_IPPROTO_TCP, 5, false, 1, 32767, 75, EINVAL }, /* KEEPINTVL */
	{ LINUX_IPPROTO_TCP, 6, false, 1, 127, 9, EINVAL }, /* KEEPCNT */
	{ LINUX_IPPROTO_TCP, 7, false, 1, 127, 6, EINVAL }, /* SYNCNT */
	{ LINUX_IPPROTO_TCP, 12, true, 0, 1, 1, EINVAL }, /* QUICKACK */
	{ LINUX_IPPROTO_TCP, 18, false, 0, INT32_MAX, 0, EINVAL }, /* USER_TIMEOUT */
	{ LINUX_IPPROTO_TCP, 25, false, INT32_MIN, INT32_MAX, 0, EINVAL }, /* NOTSENT_LOWAT */
	{ SOL_IP_, 1, false, 0, 255, 0, EINVAL }, /* TOS */
	{ SOL_IP_, 2, false, 1, 255, 64, EINVAL }, /* TTL */
	{ SOL_IP_, 10, false, 0, 5, 1, EINVAL }, /* MTU_DISCOVER */
	{ SOL_IP_, 24, true, 0, 1, 0, EINVAL }, /* BIND_ADDRESS_NO_PORT */
	{ SOL_IP_, 33, false, 0, 255, 1, EINVAL }, /* MULTICAST_TTL */
	{ SOL_IP_, 34, true, 0, 1, 1, EINVAL }, /* MULTICAST_LOOP */
	{ SOL_IPV6_, 16, false, 0, 255, 64, EINVAL }, /* UNICAST_HOPS */
	{ SOL_IPV6_, 18, false, 0, 255, 1, EINVAL }, /* MULTICAST_HOPS */
	{ SOL_IPV6_, 19, true, 0, 1, 1, EINVAL }, /* MULTICAST_LOOP */
	{ SOL_IPV6_, 23, false, 0, 5, 1, EINVAL }, /* MTU_DISCOVER */
	{ SOL_IPV6_, 67, false, 0, 255, 0, EINVAL }, /* TCLASS */
};
_Static_assert(ARRAY_SIZE(stored) <= INET_NR_OPTS, "inet_sock.opt is too short");

static bool has_level(const struct inet_sock *u, int level)
{
	if (level == LINUX_IPPROTO_TCP)
		return inet_is_tcp(u);
	return level == SOL_IP_ || (level == SOL_IPV6_ && u->sk.family == LINUX_AF_INET6);
}

static int find(int level, int opt)
{
	for (size_t i = 0; i < ARRAY_SIZE(stored); i++)
		if (stored[i].level == level && stored[i].opt == opt)
			return (int)i;
	return -ENOPROTOOPT;
}

void inet_opts_init(struct inet_sock *u)
{
	for (size_t i = 0; i < ARRAY_SIZE(stored); i++)
		u->opt[i] = stored[i].def;
}

static int set_congestion(struct task *t, gaddr_t val, uint32_t len)
{
	char name[16] = { 0 };
	int r;

	if (!len)
		return -EINVAL;
	r = copy_in(t, name, val, MIN(len, (uint32_t)sizeof(name) - 1));
	if (r)
		return r;
	return strcmp(name, "cubic") ? -ENOENT : 0;
}

int inet_setsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len)
{
	struct inet_sock *u = inet_of(sk);
	int32_t v = 0;
	int i, r;

	if (!has_level(u, level))
		return -ENOPROTOOPT;
	if (level == LINUX_IPPROTO_TCP && opt == TCP_CONGESTION_)
		return set_congestion(t, val, len);
	if (level == SOL_IP_ && len >= 1 && len < sizeof(v)) {
		uint8_t c;

		r = copy_in(t, &c, val, 1);
		v = c;
	} else if (len < sizeof(v)) {
		return -EINVAL;
	} else {
		r = copy_in(t, &v, val, sizeof(v));
	}
	if (r)
		return r;
	if (level == SOL_IPV6_ && opt == V6ONLY_) {
		mutex_lock(inet_mu(u));
		r = u->laddr.port ? -EINVAL : 0;
		if (!r)
			u->v6only = v;
		mutex_unlock(inet_mu(u));
		return r;
	}
	i = find(level, opt);
	if (i < 0)
		return i;
	if (stored[i].flag)
		v = !!v;
	else if (v == -1 && level != LINUX_IPPROTO_TCP)
		v = stored[i].def;
	if (v < stored[i].min || v > stored[i].max)
		return -stored[i].err;
	mutex_lock(inet_mu(u));
	u->opt[i] = v;
	mutex_unlock(inet_mu(u));
	return 0;
}

static int get_info(struct inet_sock *u, void *buf, uint32_t *len)
{
	/* The head of struct tcp_info; what concerns packets is zero. */
	struct {
		uint8_t state, ca_state, retransmits, probes, backoff, options, wscale, limited;
		uint32_t rto, ato, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets, last_data_sent, last_ack_sent,
			last_data_recv, last_ack_recv, pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering,
			rcv_rtt, rcv_space, total_retrans;
	} ti = { .rto = 204000, .snd_mss = 32768, .rcv_mss = 536, .pmtu = LO_MTU - 1, .snd_ssthresh = INT32_MAX, .snd_cwnd = 10,
		 .advmss = 65483, .reordering = 3 };

	_Static_assert(sizeof(ti) == 104, "struct tcp_info layout");
	mutex_lock(inet_mu(u));
	ti.state = (uint8_t)tcp_shown_state(u);
	if (u->state == INET_LISTEN) {
		ti.unacked = u->nr_backlog;
		ti.sacked = u->backlog_max;
	}
	mutex_unlock(inet_mu(u));
	*len = MIN(*len, (uint32_t)sizeof(ti));
	memcpy(buf, &ti, *len);
	return 0;
}

int inet_getsockopt(struct sock *sk, struct task *t, int level, int opt, void *buf, uint32_t *len)
{
	struct inet_sock *u = inet_of(sk);
	int32_t v;
	int i;

	if (!has_level(u, level))
		return level == LINUX_SOL_SOCKET ? -ENOPROTOOPT : -EOPNOTSUPP;
	if (level == LINUX_IPPROTO_TCP && opt == TCP_INFO_)
		return get_info(u, buf, len);
	if (level == LINUX_IPPROTO_TCP && opt == TCP_CONGESTION_) {
		*len = MIN(*len, 16u);
		memcpy(buf, "cubic\0\0\0\0\0\0\0\0\0\0", *len);
		return 0;
	}
	mutex_lock(inet_mu(u));
	i = find(level, opt);
	if (level == SOL_IPV6_ && opt == V6ONLY_)
		v = u->v6only;
	else if (level == LINUX_IPPROTO_TCP && opt == TCP_MAXSEG_)
		v = u->state == INET_ESTABLISHED ? 32768 : 536;
	else if ((level == SOL_IP_ && opt == IP_MTU_) || (level == SOL_IPV6_ && opt == IPV6_MTU_))
		v = u->state == INET_ESTABLISHED ? LO_MTU : -ENOTCONN;
	else
		v = i < 0 ? i : u->opt[i];
	mutex_unlock(inet_mu(u));
	if (v == -ENOTCONN || v == -ENOPROTOOPT)
		return v;
	*len = MIN(*len, (uint32_t)sizeof(v));
	memcpy(buf, &v, *len);
	return 0;
}
