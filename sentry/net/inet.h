/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_INET and AF_INET6 internals: inet.c (addresses, ports, life), inet_opt.c (options), inet_tcp.c, inet_udp.c, inet_state.c.
 *
 * The only interface is lo, and there are no packets: what is sent is appended to the receiver's queue. IPv4 addresses are kept as
 * v4-mapped IPv6 ones; 0.0.0.0 is ::ffff:0.0.0.0 and so differs from ::.
 *
 * Locks: inet_sock.rx_mu (readers; who holds it alone may remove messages from the queue) > mm.lock, inet_table.mu > sock.opt_mu, waitq.mu.
 * inet_table.mu (one per network namespace) guards all else. Copies from and to the application are made without it; references are put
 * without it.
 */
#ifndef SENTRY_NET_INET_H
#define SENTRY_NET_INET_H

#include "sentry/net/socket.h"

struct strbuf;

enum { INET_ESTABLISHED = 1, INET_SYN_SENT = 2, INET_CLOSE = 7, INET_LISTEN = 10 }; /* Linux's numbers */
enum inet_conn { INET_UNCONNECTED, INET_CONNECTING, INET_CONNECTED };

#define INET_SHUT_RCV   1u
#define INET_SHUT_SEND  2u
#define INET_SHUT_BOTH  3u
#define INET_BOUND_ADDR 1u
#define INET_BOUND_PORT 2u
#define INET_NR_OPTS    32
#define INET_EV_ALL     (POLL_READ | POLL_WRITE | LINUX_POLLWRBAND | LINUX_POLLHUP | LINUX_POLLRDHUP | LINUX_POLLERR)
#define LINUX_IPPROTO_TCP 6
#define LINUX_IPPROTO_UDP 17

struct inet_addr { /* message: InetAddr */
	uint8_t ip[16]; /* saved: 1 */
	uint16_t port; /* saved: 2; host order */
};

struct inet_msg { /* message: InetMsg */
	struct list node; /* derived: the queue is in order */
	struct inet_addr from; /* saved: 2 */
	uint32_t len, off, cap; /* derived: what is left becomes all of it */
	uint8_t data[]; /* saved: 1 */
};

struct inet_sock {
	struct sock sk; /* saved: 1 sock_base */
	struct mutex rx_mu; /* nosave: nobody runs */
	uint32_t state; /* saved: 2 */
	enum inet_conn conn; /* saved: 3 */
	uint32_t shutdown; /* saved: 4 */
	int err; /* saved: 5; SO_ERROR, positive */
	bool fin_rcvd; /* saved: 6 */
	bool dead; /* saved: 7 */
	uint32_t bound; /* saved: 8 */
	bool v6only; /* saved: 9 */
	uint32_t uid; /* saved: 10 */
	struct inet_addr laddr, raddr; /* saved: 11, 12 */
	struct inet_sock *peer; /* saved: 13, referenced; NULL in state ESTABLISHED: the other end was closed */
	struct list rq; /* saved: 14 queue */
	size_t rq_bytes; /* derived: bytes left in rq (stream), or what its messages are charged (datagram) */
	struct list backlog; /* saved: 15; referenced */
	struct list synq; /* saved: 16; referenced */
	uint32_t nr_backlog; /* derived: length of backlog */
	uint32_t nr_synq; /* derived: length of synq */
	uint32_t backlog_max; /* saved: 17 */
	struct list wait_node; /* derived: in a listener's backlog or synq */
	struct inet_sock *lst; /* derived: whose synq it is in; no reference */
	int32_t opt[INET_NR_OPTS]; /* saved: 18 opts; */
	struct list node; /* derived: in the table while laddr.port is not 0 */
};

#define INET_BUCKETS 256u

struct inet_table {
	struct mutex mu; /* nosave: nobody runs */
	struct list tcp[INET_BUCKETS], udp[INET_BUCKETS]; /* derived: bound sockets by local port; no references */
	uint32_t next_port; /* nosave: where the search for a free port begins */
};

struct inet_table *inet_table_new(void); /* or NULL */
void inet_table_free(struct inet_table *tb);

static inline struct inet_sock *inet_of(struct sock *sk)
{
	return container_of(sk, struct inet_sock, sk);
}

static inline struct mutex *inet_mu(const struct inet_sock *u)
{
	return &u->sk.net->inet->mu;
}

static inline bool inet_is_tcp(const struct inet_sock *u)
{
	return u->sk.type == LINUX_SOCK_STREAM;
}

static inline void inet_put(struct inet_sock *u)
{
	if (u)
		sock_put(&u->sk);
}

static inline struct inet_sock *inet_get(struct inet_sock *u)
{
	(void)sock_get(&u->sk);
	return u;
}

extern const struct sock_ops tcp_sock_ops, udp_sock_ops;

/* inet.c. _locked: inet_mu held. */
void *inet_alloc(void); /* zeroed with its locks and lists; for loading */
struct inet_sock *inet_new(struct net_ns *net, int family, int type); /* or NULL */
bool inet_mapped(const struct inet_addr *a); /* an IPv4 address */
bool inet_any(const struct inet_addr *a);
/* Destination of a connect or send: 0.0.0.0 and :: become loopback. -EINVAL, -EAFNOSUPPORT, -ENETUNREACH... */
int inet_parse_dst(struct inet_sock *u, const void *addr, uint32_t len, struct inet_addr *ret);
int inet_fill_name(const struct inet_sock *u, const struct inet_addr *a, void *sockaddr); /* length */
int inet_bind(struct sock *sk, struct task *t, const void *addr, uint32_t len);
int inet_getname(struct sock *sk, struct task *t, void *addr, bool peer);
struct list *inet_bucket(const struct inet_sock *u, uint16_t port);
int inet_autobind_locked(struct inet_sock *u);
bool inet_conflict_locked(const struct inet_sock *u, const struct inet_addr *a);
/* Chooses the local address for @dst when none was bound. */
int inet_route_locked(struct inet_sock *u, const struct inet_addr *dst, struct inet_addr *ret);
/* The best receiver of @to for a datagram or connection of @from: no reference. */
struct inet_sock *inet_lookup_locked(const struct inet_sock *u, const struct inet_addr *to, const struct inet_addr *from);
/* Forgets the remote address and what was not chosen by bind(). */
void inet_disconnect_locked(struct inet_sock *u);
int inet_take_error(struct sock *sk);
void inet_free_msgs(struct list *l);
struct inet_msg *inet_msg_new(struct sock_msg *m, size_t n, int *err);

/* inet_opt.c */
void inet_opts_init(struct inet_sock *u);
int inet_setsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len);
int inet_getsockopt(struct sock *sk, struct task *t, int level, int opt, void *buf, uint32_t *len);

/* inet_tcp.c */
void tcp_teardown(struct inet_sock *u, bool reset);
uint32_t tcp_shown_state(const struct inet_sock *u);
/* inet_udp.c */
uint32_t udp_charge(size_t len);
void udp_teardown(struct inet_sock *u);

/* /proc/net, see sentry/fs/proc/net.c */
void net_show_tcp(struct net_ns *ns, bool v6, struct strbuf *b);
void net_show_udp(struct net_ns *ns, bool v6, struct strbuf *b);

#endif
