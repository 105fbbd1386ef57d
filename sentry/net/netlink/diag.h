/* SPDX-License-Identifier: Apache-2.0 */
/* NETLINK_SOCK_DIAG internals, and what all tables of Internet sockets show: of the sandbox's own stack and of --network=host. */
#ifndef SENTRY_NET_DIAG_H
#define SENTRY_NET_DIAG_H

#include "sentry/net/netlink/netlink.h"

/* One Internet socket as ss(8) and /proc/net see it. */
struct diag_sock {
	uint16_t family, type, protocol;
	uint8_t state; /* TCP_*; datagram sockets: 1 connected, 7 not */
	uint8_t laddr[16], raddr[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t lport, rport;
	uint32_t rqueue, wqueue; /* listeners: length and limit of the backlog */
	uint32_t uid;
	uint64_t ino; /* 0: no file */
	uint64_t cookie;
	uint32_t rcvbuf, sndbuf, mark, drops, ifindex;
	uint8_t shutdown, tos, tclass;
	bool v6only;
	uint8_t timer, retrans; /* tcp timer as in /proc/net/tcp */
	uint32_t expires; /* its clock ticks */
	struct sock *sk; /* alive for the call; NULL: what is left of a connection */
};

/* Each Internet socket of @net with @protocol (IPPROTO_TCP, UDP ...; RAW: SOCK_RAW), also those in TIME_WAIT. @fn runs with the tables
 * locked: it must not sleep. */
void diag_each_inet(struct net_ns *net, int protocol, void (*fn)(const struct diag_sock *d, void *arg), void *arg);

int diag_inet(struct nl_request *q);
int diag_unix(struct nl_request *q);
int diag_netlink(struct nl_request *q);
/* struct tcp_info of a socket that diag_each_inet() is at: bytes filled, 0: none. */
size_t diag_tcp_info(struct sock *sk, void *buf, size_t size);
/* Reads the file number of @sk's open file, or 0. */
uint64_t diag_ino(const struct sock *sk);

#endif
