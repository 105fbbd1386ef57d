/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the Internet sockets of a network namespace: for /proc/net and inet_diag. */
#ifndef SENTRY_NET_INET_DIAG_H
#define SENTRY_NET_INET_DIAG_H

#include "sentry/net/inet.h"

struct inet_diag_info {
	int family, type, protocol;
	uint32_t state; /* Linux's TCP_* number; of datagram sockets ESTABLISHED or CLOSE */
	struct inet_addr laddr, raddr; /* v4-mapped for AF_INET */
	uint32_t rqueue, wqueue; /* as /proc/net/tcp and ss show them; of a listener: waiting connections, backlog */
	uint32_t backlog; /* of a listener: its maximum */
	uint32_t uid, bound_dev, shutdown;
	uint64_t ino; /* 0: no file (waiting for accept, TIME_WAIT) */
	uint64_t cookie; /* of the socket, never 0 but for what is left of connections */
	uint64_t drops;
	uint32_t mark;
	bool v6only, timewait;
	int64_t expires; /* timewait: guest monotonic ns */
	const struct inet_sock *sk; /* NULL for timewait; valid during the call */
};

/*
 * Calls @fn for each socket of @type (LINUX_SOCK_STREAM: TCP, listeners first, then connections, then TIME_WAIT; DGRAM and RAW with @protocol; 0: any
 * of these) until it returns false. @fn runs with inet_mu held: it must not block nor use sockets. tcp_fill_info_locked() may be called for @sk.
 */
void inet_diag_each(struct net_ns *net, int type, int protocol, bool (*fn)(void *arg, const struct inet_diag_info *i), void *arg);

/* How many sockets there are, for /proc/net/sockstat. */
struct inet_counts {
	unsigned tcp, tcp6, tw, orphans, udp, udp6, udplite, udplite6, raw, raw6, ping, ping6;
};
void inet_count(struct net_ns *net, struct inet_counts *ret);

#endif
