/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of IPPROTO_TCP that are more than a stored value, and struct tcp_info. Linux: net/ipv4/tcp.c. DEVIATION: no MD5 and authentication
 * signatures, no repair mode, no upper layer protocols (TLS), no zero-copy receive: as a kernel built without them answers.
 */
#include <string.h>

#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "sentry/net/loopback.h"

#define TCP_ LINUX_IPPROTO_TCP
enum { MAXSEG = 2, KEEPIDLE = 4, KEEPINTVL = 5, KEEPCNT = 6, SYNCNT = 7, LINGER2 = 8, DEFER_ACCEPT = 9, WINDOW_CLAMP = 10, INFO = 11, CONGESTION = 13,
       MD5SIG = 14, REPAIR = 19, REPAIR_QUEUE = 20, QUEUE_SEQ = 21, REPAIR_OPTIONS = 22, FASTOPEN = 23, TIMESTAMP = 24, NOTSENT_LOWAT = 25,
       CC_INFO = 26, SAVED_SYN = 28, REPAIR_WINDOW = 29, FASTOPEN_CONNECT = 30, ULP = 31, MD5SIG_EXT = 32, FASTOPEN_KEY = 33,
       FASTOPEN_NO_COOKIE = 34, ZEROCOPY_RECEIVE = 35 };
#define MSS_MIN	 88
#define MSS_DEF	 536
#define MSS_LO4	 65483
#define MSS_LO6	 65463
#define CC_NAME_MAX 16u

static const char *const congestion[] = { "cubic", "reno" };

static uint32_t state_of(struct inet_sock *u)
{
	uint32_t r;

	mutex_lock(inet_mu(u));
	r = u->state;
	mutex_unlock(inet_mu(u));
	return r;
}

static int copy_name(struct task *t, gaddr_t val, uint32_t len, char name[CC_NAME_MAX])
{
	memset(name, 0, CC_NAME_MAX);
	if (!len)
		return -EINVAL;
	return copy_in(t, name, val, MIN(len, CC_NAME_MAX - 1));
}

static int set_congestion(struct inet_sock *u, struct task *t, gaddr_t val, uint32_t len)
{
	char name[CC_NAME_MAX];
	int r = copy_name(t, val, len, name);

	if (r)
		return r;
	for (int i = 0; i < (int)ARRAY_SIZE(congestion); i++) {
		if (strcmp(name, congestion[i]))
			continue;
		inet_opt_set(u, TCP_, CONGESTION, i);
		return 0;
	}
	return -ENOENT;
}

/* Seconds -> what the retransmissions of a SYN-ACK add up to, which is what is shown. */
static int32_t defer_seconds(int32_t s)
{
	int32_t sum = 1, step = 1;

	if (s <= 0)
		return 0;
	for (int n = 1; s > sum && n < 255; n++) {
		step = MIN(step * 2, 120);
		sum += step;
	}
	return sum;
}

int tcp_setsockopt(struct inet_sock *u, struct task *t, int opt, gaddr_t val, uint32_t len)
{
	char name[CC_NAME_MAX];
	uint32_t state;
	int32_t v;
	int r;

	switch (opt) {
	case CONGESTION:
		return set_congestion(u, t, val, len);
	case ULP:
		r = copy_name(t, val, len, name);
		return r ? r : -ENOENT;
	case FASTOPEN_KEY:
		return len == 16 || len == 32 ? -EOPNOTSUPP : -EINVAL;
	default:
		break;
	}
	if (len < sizeof(v))
		return -EINVAL;
	r = copy_in(t, &v, val, sizeof(v));
	if (r)
		return r;
	switch (opt) {
	case MAXSEG:
		return v && v < MSS_MIN ? -EINVAL : 1;
	case LINGER2:
		inet_opt_set(u, TCP_, opt, v < 0 ? -1 : MIN(v, 120));
		return 0;
	case DEFER_ACCEPT:
		inet_opt_set(u, TCP_, opt, defer_seconds(v));
		return 0;
	case WINDOW_CLAMP:
		if (!v && state_of(u) != INET_CLOSE)
			return -EINVAL;
		inet_opt_set(u, TCP_, opt, v ? MAX(v, (int32_t)SOCK_RCVBUF_MIN / 2) : 0);
		return 0;
	case FASTOPEN:
		state = state_of(u);
		if (v < 0 || (state != INET_CLOSE && state != INET_LISTEN))
			return -EINVAL;
		inet_opt_set(u, TCP_, opt, (int32_t)MIN((uint64_t)v, proc_sysctl_get("net/core/somaxconn", SOCK_SOMAXCONN)));
		return 0;
	case FASTOPEN_CONNECT:
	case FASTOPEN_NO_COOKIE:
		if (v < 0 || v > 1)
			return -EINVAL;
		if (opt == FASTOPEN_CONNECT && !(inet_sysctl("tcp_fastopen", 1) & 1))
			return -EOPNOTSUPP;
		state = state_of(u);
		return state == INET_CLOSE || (opt == FASTOPEN_NO_COOKIE && state == INET_LISTEN) ? 1 : -EINVAL;
	case REPAIR:
	case TIMESTAMP:
	case REPAIR_QUEUE:
	case QUEUE_SEQ:
		return -EPERM;
	case REPAIR_OPTIONS:
		return -EINVAL;
	case REPAIR_WINDOW:
		return -EPERM;
	case INFO:
	case CC_INFO:
	case MD5SIG:
	case MD5SIG_EXT:
		return -ENOPROTOOPT;
	default:
		return 1; /* a stored value, or unknown */
	}
}

/* --- struct tcp_info --- */

static int32_t mss(const struct inet_sock *u)
{
	int32_t user = inet_opt_get(u, TCP_, MAXSEG), lo = inet_mapped(&u->raddr) ? MSS_LO4 : MSS_LO6;

	if (u->state == INET_CLOSE || u->state == INET_LISTEN)
		return user ? user : MSS_DEF;
	return user ? MIN(user, lo) : lo / 2; /* at least two segments in the window */
}

struct tcp_info_ {
	uint8_t state, ca_state, retransmits, probes, backoff, options, wscale, limited;
	uint32_t rto, ato, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets, last_data_sent, last_ack_sent, last_data_recv, last_ack_recv,
		pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering, rcv_rtt, rcv_space, total_retrans;
	uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
	uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
	uint64_t delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
	uint32_t delivered, delivered_ce;
	uint64_t bytes_sent, bytes_retrans;
	uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd;
};
_Static_assert(sizeof(struct tcp_info_) == TCP_INFO_LEN, "struct tcp_info layout");

void tcp_fill_info_locked(struct inet_sock *u, uint8_t buf[TCP_INFO_LEN])
{
	bool open = u->state == INET_ESTABLISHED || u->state == INET_SYN_RECV;
	uint64_t received = u->rx_bytes + u->rq_bytes;
	int32_t m = mss(u);
	struct tcp_info_ ti = {
		.state = (uint8_t)tcp_shown_state(u),
		.rto = open ? 204000 : 1000000,
		.snd_mss = (uint32_t)m,
		.rcv_mss = MSS_DEF,
		.pmtu = open ? LO_MTU - 1 : 0,
		.rtt = open ? 20 : 0,
		.rttvar = open ? 10 : 250000,
		.snd_ssthresh = INT32_MAX,
		.snd_cwnd = 10,
		.advmss = open ? (inet_mapped(&u->raddr) ? MSS_LO4 : MSS_LO6) : 0,
		.reordering = 3,
		.rcv_space = open ? 65495 : 0,
		.rcv_ssthresh = open ? 65495 : 0,
		.limited = open, /* tcpi_delivery_rate_app_limited */
		.max_pacing_rate = UINT64_MAX,
		.pacing_rate = UINT64_MAX,
		.min_rtt = open ? 5 : UINT32_MAX,
		.bytes_received = received,
		.bytes_sent = u->tx_bytes,
		.bytes_acked = u->tx_bytes + open,
		.snd_wnd = open ? 65536 : 0,
	};

	/* A segment for each 64 KiB at least, and those of the handshake. */
	ti.data_segs_in = (uint32_t)((received + 65535) / 65536);
	ti.data_segs_out = (uint32_t)((u->tx_bytes + 65535) / 65536);
	ti.segs_in = ti.data_segs_in + (open ? 1 : 0);
	ti.segs_out = ti.data_segs_out + (open ? 2 : 0);
	ti.delivered = ti.data_segs_out + (open ? 1 : 0);
	if (open) {
		ti.options = 1 | 2 | 4; /* timestamps, SACK, window scaling */
		ti.wscale = 7 | 7 << 4;
	}
	if (u->state == INET_LISTEN) {
		ti.unacked = u->nr_backlog;
		ti.sacked = u->backlog_max;
	}
	if (u->state == INET_SYN_SENT)
		ti.unacked = 1;
	memcpy(buf, &ti, sizeof(ti));
}

static void put_n(void *buf, uint32_t *len, const void *v, size_t n)
{
	*len = MIN(*len, (uint32_t)n);
	memcpy(buf, v, *len);
}

int tcp_getsockopt(struct inet_sock *u, int opt, void *buf, uint32_t *len)
{
	uint8_t info[TCP_INFO_LEN];
	char name[CC_NAME_MAX] = { 0 };
	int32_t v = inet_opt_get(u, TCP_, opt);

	switch (opt) {
	case INFO:
		mutex_lock(inet_mu(u));
		tcp_fill_info_locked(u, info);
		mutex_unlock(inet_mu(u));
		put_n(buf, len, info, sizeof(info));
		return 0;
	case CONGESTION:
		strcpy(name, congestion[v & 1]);
		put_n(buf, len, name, sizeof(name));
		return 0;
	case WINDOW_CLAMP:
		if (!v && state_of(u) == INET_ESTABLISHED)
			v = 65536;
		break;
	case CC_INFO:
	case ULP:
	case FASTOPEN_KEY:
	case SAVED_SYN:
		*len = 0;
		return 0;
	case MAXSEG:
		mutex_lock(inet_mu(u));
		v = mss(u);
		mutex_unlock(inet_mu(u));
		break;
	case KEEPIDLE:
		v = v ? v : (int32_t)inet_sysctl("tcp_keepalive_time", 7200);
		break;
	case KEEPINTVL:
		v = v ? v : (int32_t)inet_sysctl("tcp_keepalive_intvl", 75);
		break;
	case KEEPCNT:
		v = v ? v : (int32_t)inet_sysctl("tcp_keepalive_probes", 9);
		break;
	case SYNCNT:
		v = v ? v : (int32_t)inet_sysctl("tcp_syn_retries", 6);
		break;
	case LINGER2:
		v = v ? v : (int32_t)inet_sysctl("tcp_fin_timeout", 60);
		break;
	case REPAIR:
		v = 0;
		break;
	case TIMESTAMP:
		v = (int32_t)(ktime_mono() / 1000000);
		break;
	case REPAIR_WINDOW:
	case REPAIR_QUEUE:
	case QUEUE_SEQ:
		return -EINVAL;
	case ZEROCOPY_RECEIVE:
		return -EINVAL;
	default:
		return 1;
	}
	put_n(buf, len, &v, sizeof(v));
	return 0;
}
