/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_INET and AF_INET6 internals. inet_addr.c: addresses. inet_port.c: the tables. inet.c: life and what all have. inet_opt.c: options of IP and
 * IPv6. tcp.c: connections; tcp_data.c: streams; tcp_opt.c. dgram.c: queues of messages; udp.c; raw.c: raw and ping sockets, ICMP.
 * inet_cmsg.c, inet_err.c, inet_mcast.c: ancillary data, error queue, groups. inet_state.c: save and load.
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

#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/time.h"
#include "sentry/net/socket.h"

struct state_reader;
struct state_writer;
struct strbuf;

/* Linux's numbers of TCP states; datagram sockets use ESTABLISHED (connected) and CLOSE. */
enum {
	INET_ESTABLISHED = 1,
	INET_SYN_SENT = 2,
	INET_SYN_RECV = 3, /* an endpoint that TCP_DEFER_ACCEPT keeps from accept() */
	INET_FIN_WAIT2 = 5,
	INET_TIME_WAIT = 6,
	INET_CLOSE = 7,
	INET_CLOSE_WAIT = 8,
	INET_LISTEN = 10,
};
enum inet_conn { INET_UNCONNECTED, INET_CONNECTING, INET_CONNECTED };
enum inet_urg { INET_URG_NONE, INET_URG_VALID, INET_URG_READ };

#define INET_SHUT_RCV   1u
#define INET_SHUT_SEND  2u
#define INET_SHUT_BOTH  3u
#define INET_BOUND_ADDR 1u
#define INET_BOUND_PORT 2u
#define INET_BOUND_AUTO 4u /* by connect(): may be shared with other connections */
#define INET_EV_ALL     (POLL_READ | POLL_WRITE | LINUX_POLLWRBAND | LINUX_POLLHUP | LINUX_POLLRDHUP | LINUX_POLLERR)
#define LINUX_IPPROTO_ICMP    1
#define LINUX_IPPROTO_TCP     6
#define LINUX_IPPROTO_UDP     17
#define LINUX_IPPROTO_IPV6    41
#define LINUX_IPPROTO_ICMPV6  58
#define LINUX_IPPROTO_UDPLITE 136
#define LINUX_IPPROTO_RAW     255

struct inet_addr { /* message: InetAddr */
	uint8_t ip[16]; /* saved: 1 */
	uint16_t port; /* saved: 2; host order */
};

/* A chunk of a stream, or a datagram with what ancillary data may tell of it. */
struct inet_msg { /* message: InetMsg */
	struct list node; /* derived: the queue is in order */
	struct inet_addr from, to; /* saved: 2, 3 */
	int64_t stamp; /* saved: 4; realtime ns of arrival */
	uint32_t ttl, tos; /* saved: 5, 6 */
	uint32_t flow; /* saved: 7; IPv6 flow information, host order */
	uint32_t gso; /* saved: 8; UDP: size of each segment when several were coalesced, else 0 */
	uint32_t len, off, cap; /* derived: what is left becomes all of it */
	uint8_t data[]; /* saved: 1 */
};

/* An entry of the error queue. */
struct inet_err {
	struct list node; /* derived: the queue is in order */
	uint32_t err, origin, type, code, info, edata; /* saved: 1, 2, 3, 4, 5, 6; struct sock_extended_err */
	bool has_dst, has_offender; /* saved: 7, 8 */
	struct inet_addr dst, offender; /* saved: 9, 10 */
	int64_t stamp; /* saved: 11; a transmission time stamp, 0: none */
	uint32_t len; /* derived: of data */
	uint8_t data[]; /* saved: 12; of the message that failed */
};

#define INET_MAX_SOURCES 64u
/* A multicast group one socket is in. */
struct inet_member {
	struct list node; /* derived: the list is in order */
	struct list all_node; /* derived: in the table's list */
	struct inet_addr group; /* saved: 1; no port */
	uint32_t ifindex; /* saved: 2 */
	bool exclude; /* saved: 3; sources are those not wanted */
	uint32_t nr_sources; /* saved: 4 sources */
	struct inet_addr sources[INET_MAX_SOURCES]; /* saved: 4 */
};

/* What is left of a TCP connection whose endpoint is gone or closed. */
struct inet_tw {
	struct list bind_node, hash_node, lru_node; /* derived: in the table */
	struct inet_addr laddr, raddr; /* saved: 1, 2 */
	uint32_t state; /* saved: 3; INET_FIN_WAIT2: the other end may still send; INET_TIME_WAIT */
	uint32_t family; /* saved: 4 */
	bool v6only, reuse, reuseport; /* saved: 5, 6, 7 */
	uint32_t bound_dev; /* saved: 8 */
	int64_t since, expires; /* saved: 9, 10; guest monotonic */
};

#define INET_NR_OPTS 96

struct inet_sock {
	struct sock sk; /* saved: 1 sock_base */
	struct mutex rx_mu; /* nosave: nobody runs */
	uint32_t state; /* saved: 2 */
	enum inet_conn conn; /* saved: 3 */
	uint32_t shutdown; /* saved: 4 */
	int err; /* saved: 5; SO_ERROR, positive */
	bool fin_rcvd; /* saved: 6 */
	bool fin_sent; /* saved: 19; before the other end's FIN came */
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
	struct list deferq; /* saved: 30; referenced */
	uint32_t nr_backlog; /* derived: length of backlog */
	uint32_t nr_synq; /* derived: length of synq */
	uint32_t nr_deferq; /* derived: length of deferq */
	uint32_t backlog_max; /* saved: 17 */
	struct list wait_node; /* derived: in a listener's backlog, synq or deferq */
	struct inet_sock *lst; /* derived: whose synq or deferq it is in; no reference */
	int32_t opt[INET_NR_OPTS]; /* saved: 18 opts; */
	uint64_t bind_seq; /* saved: 35; later binds have greater numbers; 0: not by bind() */
	struct list node; /* derived: in the table of ports while laddr.port is not 0; of a raw socket: in the list of raw ones */
	struct list hash_node; /* derived: in the table of connections or of listeners */

	/* streams */
	uint64_t rx_bytes, tx_bytes; /* saved: 20, 21; read by the application; sent */
	enum inet_urg urg; /* saved: 22; the mark is not behind the reader */
	uint8_t urg_byte; /* saved: 23 */
	uint64_t urg_seq; /* saved: 24; place of the urgent byte, counted like rx_bytes */
	int64_t syn_deadline; /* saved: 25; when a connect (SYN_SENT) or deferral (SYN_RECV) ends; guest monotonic; 0: none */
	struct ktimer syn_timer; /* derived: armed for syn_deadline */
	uint32_t zc_next; /* saved: 26; number of the next MSG_ZEROCOPY send */

	/* datagrams */
	struct list errq; /* saved: 27; struct inet_err, oldest first */
	uint32_t nr_errq; /* derived: length of errq */
	size_t errq_bytes; /* derived: data in errq */
	struct list members; /* saved: 28; struct inet_member */
	uint32_t nr_members; /* derived: length of members */
	struct inet_msg *cork; /* saved: 29; a datagram being put together; from, to and the rest are its own */
	uint64_t drops; /* saved: 31; shown in /proc/net/udp and SO_RXQ_OVFL */
	uint64_t icmp_filter[4]; /* saved: 32; ICMP_FILTER (one word of 32 bits) or ICMP6_FILTER; bits set are dropped */
	uint32_t tskey; /* saved: 33; SOF_TIMESTAMPING_OPT_ID */
	int64_t last_stamp; /* saved: 34; of the last message received, for SIOCGSTAMP; 0: none */
};

#define INET_BUCKETS 1024u

enum inet_table_nr { INET_TCP, INET_UDP, INET_UDPLITE, INET_PING, INET_NR_TABLES };

struct inet_table {
	struct mutex mu; /* nosave: nobody runs */
	struct list ports[INET_NR_TABLES][INET_BUCKETS]; /* derived: bound sockets by local port (ping: identifier); no references */
	struct list conns[INET_BUCKETS]; /* derived: connected TCP by both addresses; no references */
	struct list listeners[INET_BUCKETS]; /* derived: listening TCP by port; no references */
	struct list tw_ports[INET_BUCKETS], tw_conns[INET_BUCKETS]; /* derived: struct inet_tw */
	struct list tw_lru; /* derived: struct inet_tw, first to expire first; saved by inet_table_save() */
	uint32_t nr_tw; /* derived: length of tw_lru */
	struct list raw; /* derived: raw sockets; no references */
	uint32_t next_port; /* nosave: where the search for a free port begins */
	uint64_t last_seq; /* derived: the greatest inet_sock.bind_seq */
	struct list members; /* derived: memberships of all sockets, by inet_member.all_node */
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

static inline bool inet_is_raw(const struct inet_sock *u)
{
	return u->sk.type == LINUX_SOCK_RAW;
}

static inline bool inet_is_ping(const struct inet_sock *u)
{
	return u->sk.type == LINUX_SOCK_DGRAM && (u->sk.protocol == LINUX_IPPROTO_ICMP || u->sk.protocol == LINUX_IPPROTO_ICMPV6);
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

extern const struct sock_ops tcp_sock_ops, udp_sock_ops, raw_sock_ops;

/* inet_addr.c. Destinations and routes: only lo. */
enum inet_addr_type { INET_A_LOCAL, INET_A_ANY, INET_A_BROADCAST, INET_A_MULTICAST, INET_A_OTHER };
bool inet_mapped(const struct inet_addr *a); /* an IPv4 address */
bool inet_any(const struct inet_addr *a);
bool inet_same_ip(const struct inet_addr *a, const struct inet_addr *b);
bool inet_same_addr(const struct inet_addr *a, const struct inet_addr *b); /* and port */
void inet_set_loopback(struct inet_addr *a, bool v4); /* port stays */
void inet_set_any(const struct inet_sock *u, struct inet_addr *a); /* of the socket's family; port stays */
void inet_set_v4(struct inet_addr *a, const void *be32); /* port stays */
enum inet_addr_type inet_addr_type(struct net_ns *net, const struct inet_addr *a);
/* sockaddr -> address; the caller has checked length and family. */
void inet_get_sin(const uint8_t *p, struct inet_addr *a);
void inet_get_sin6(const uint8_t *p, struct inet_addr *a, uint32_t *ret_scope);
/* Destination of a connect or send: 0.0.0.0 and :: become loopback. -EINVAL, -EAFNOSUPPORT, -ENETUNREACH... */
int inet_parse_dst(struct inet_sock *u, const void *addr, uint32_t len, struct inet_addr *ret, uint32_t *ret_scope);
int inet_fill_name(const struct inet_sock *u, const struct inet_addr *a, void *sockaddr); /* length */
/* Chooses the local address for @dst when none was bound. @dev: interface asked for by the caller, or 0. -ENETUNREACH, -EACCES, -EINVAL. */
int inet_route_locked(struct inet_sock *u, const struct inet_addr *dst, uint32_t dev, struct inet_addr *ret);
int inet_bind(struct sock *sk, struct task *t, const void *addr, uint32_t len);

/* inet_port.c. _locked: inet_mu held. */
enum inet_table_nr inet_table_of(const struct inet_sock *u);
struct list *inet_bucket(const struct inet_sock *u, uint16_t port);
/* Enters the table of ports, in the order of bind_seq, greatest first: SO_REUSEPORT groups count on it. */
void inet_enter_locked(struct inet_sock *u);
/* Gives an unbound socket a free port (raw: nothing to do). -EAGAIN when there is none. */
int inet_autobind_locked(struct inet_sock *u);
int inet_pick_port_locked(struct inet_sock *u, struct inet_addr *a);
/* A local port for a connection from u->laddr to @dst: shared with other connections, never with a bound socket. -EADDRNOTAVAIL. */
int tcp_autobind_locked(struct inet_sock *u, const struct inet_addr *src, const struct inet_addr *dst);
bool inet_conflict_locked(const struct inet_sock *u, const struct inet_addr *a);
bool inet_covers(const struct inet_sock *u, const struct inet_addr *a, const struct inet_addr *b);
/* The best receiver of @to for a datagram or connection of @from: no reference. @len: bytes at @data, for SO_ATTACH_REUSEPORT_CBPF. */
struct inet_sock *inet_lookup_locked(const struct inet_sock *u, const struct inet_addr *to, const struct inet_addr *from, const uint8_t *data,
				     uint32_t len);
struct inet_sock *inet_lookup_table_locked(struct net_ns *net, enum inet_table_nr nr, const struct inet_addr *to, const struct inet_addr *from,
					   const uint8_t *data, uint32_t len);
struct inet_sock *tcp_find_conn_locked(struct inet_table *tb, const struct inet_addr *laddr, const struct inet_addr *raddr);
void tcp_hash_locked(struct inet_sock *u); /* enters the table that its state asks for, leaving another */
/* A connection is over for @u: what stays behind is an entry in @state until its time is up. */
void tcp_leave_tw_locked(struct inet_sock *u, uint32_t state);
/* The other end of the entry (@laddr is the entry's) has sent its FIN, or (@reset) data or a RST. */
void tcp_tw_event_locked(struct inet_table *tb, const struct inet_addr *laddr, const struct inet_addr *raddr, bool reset);
void inet_tw_expire_locked(struct inet_table *tb);
struct inet_tw *inet_tw_add_locked(struct inet_table *tb, const struct inet_tw *model); /* or NULL: no memory, or too many */
/* A number from /proc/sys/net/ipv4. */
#define inet_sysctl(name, dflt) ((int64_t)PROC_SYSCTL("net/ipv4/" name, 0, dflt))

/* inet.c */
void *inet_alloc(void); /* zeroed with its locks and lists; for loading */
struct inet_sock *inet_new(struct net_ns *net, int family, int type); /* or NULL */
struct inet_sock *inet_new_proto(struct net_ns *net, int family, int type, int protocol); /* or NULL */
/* Frees what @u owns, and @u. */
void inet_free(struct inet_sock *u);
int inet_getname(struct sock *sk, struct task *t, void *addr, bool peer);
int inet_accepted_name(struct sock *sk, void *addr);
/* Forgets the remote address and what was not chosen by bind(). */
void inet_disconnect_locked(struct inet_sock *u);
int inet_take_error(struct sock *sk);
void inet_free_msgs(struct list *l);
struct inet_msg *inet_msg_alloc(size_t n); /* zeroed head, len = @n; or NULL */
struct inet_msg *inet_msg_new(struct sock_msg *m, size_t n, int *err);

/* inet_opt.c */
void inet_opts_init(struct inet_sock *u);
/* Values that inet_sock.opt has, which is what an image gets. */
size_t inet_opts_count(void);
/* Takes @n values of an image, perhaps of an earlier build, which had fewer; the others get their defaults. -EINVAL: too many. Family, type
 * and protocol must be known. */
int inet_opts_load(struct inet_sock *u, const int32_t *v, size_t n);
int32_t inet_opt_get(const struct inet_sock *u, int level, int opt); /* a stored option's value; 0 for others */
void inet_opt_set(struct inet_sock *u, int level, int opt, int32_t v); /* unchecked */
int inet_setsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len);
int inet_getsockopt(struct sock *sk, struct task *t, int level, int opt, void *buf, uint32_t *len);
#define SOL_IP_   0
#define SOL_IPV6_ 41

/* tcp.c */
void tcp_teardown(struct inet_sock *u, bool reset);
uint32_t tcp_shown_state(const struct inet_sock *u);
void tcp_timer_init(struct inet_sock *u);
void tcp_after_load(struct inet_sock *u); /* arms timers */
/* The connection is reset from outside. The caller puts the returned peer and wakes. */
struct inet_sock *tcp_reset_locked(struct inet_sock *u);
/* Data or FIN has come for a deferred connection: it may be accepted, and its listener is woken. */
void tcp_undefer_locked(struct inet_sock *u);
/* tcp_data.c */
int64_t tcp_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m);
int64_t tcp_recvmsg(struct sock *sk, struct task *t, struct sock_msg *m);
uint32_t tcp_poll(struct sock *sk);
int64_t tcp_ioctl(struct sock *sk, struct task *t, uint32_t cmd, uint64_t arg);
uint32_t tcp_rcvbuf(struct inet_sock *u);
int tcp_connect(struct sock *sk, struct task *t, const void *addr, uint32_t len, bool nonblock, int64_t deadline);
/* tcp_opt.c: 1 when the option is left to the table in inet_opt.c. */
int tcp_setsockopt(struct inet_sock *u, struct task *t, int opt, gaddr_t val, uint32_t len);
int tcp_getsockopt(struct inet_sock *u, int opt, void *buf, uint32_t *len);
/* struct tcp_info of @u: bytes filled. */
#define TCP_INFO_LEN 232u
void tcp_fill_info_locked(struct inet_sock *u, uint8_t buf[TCP_INFO_LEN]);

/* inet_err.c: the error queue */
/* Transmission time stamps that @tsflags ask for about @msg, of @protocol. The caller wakes (LINUX_POLLERR) when true. */
bool inet_err_tx_stamps_locked(struct inet_sock *u, uint32_t tsflags, const struct inet_msg *msg, int protocol);
struct inet_err *inet_err_new(uint32_t err, uint32_t origin, size_t len); /* zeroed, or NULL */
/* Appends @e, unless there are too many: then frees it. The caller wakes (LINUX_POLLERR). */
void inet_err_add_locked(struct inet_sock *u, struct inet_err *e);
/* The MSG_ZEROCOPY send number @id is over. */
void inet_err_zerocopy_locked(struct inet_sock *u, uint32_t id);
int64_t inet_recv_error(struct inet_sock *u, struct sock_msg *m);

/* inet_cmsg.c: ancillary data of IP, IPv6 and UDP */
struct inet_tx { /* how one message is sent */
	struct inet_addr src; /* when has_src */
	bool has_src;
	uint32_t dev; /* interface, 0: any */
	int32_t ttl, tos; /* -1: the socket's */
	uint32_t gso; /* UDP_SEGMENT, 0: none */
	uint32_t flow; /* host order */
	uint32_t tsflags; /* SOF_TIMESTAMPING_* of this message */
};
/* What the socket's options and the control messages of @m say; -EINVAL, -EPERM... */
int inet_tx_init(struct inet_sock *u, struct task *t, const struct sock_msg *m, struct inet_tx *tx);
/* Fills the parts of @msg that the receiver may ask for. @to decides which options count. */
void inet_tx_stamp_locked(struct inet_sock *u, const struct inet_tx *tx, const struct inet_addr *to, struct inet_msg *msg);
/* Adds what @u wants to know of @msg to @m. */
void inet_put_controls(struct inet_sock *u, const struct inet_msg *msg, struct sock_msg *m);

/* inet_mcast.c: groups */
bool inet_is_mcast_opt(int level, int opt);
int inet_mcast_setsockopt(struct inet_sock *u, struct task *t, int level, int opt, gaddr_t val, uint32_t len);
/* Does @u take what @from sends to the group @to? */
bool inet_mcast_wants_locked(struct inet_sock *u, const struct inet_addr *to, const struct inet_addr *from);
bool inet_mcast_joined_locked(struct inet_table *tb, const struct inet_addr *group); /* by anybody */
void inet_mcast_leave_all_locked(struct inet_sock *u);

/* dgram.c: what UDP, raw and ping sockets share */
uint32_t dgram_charge(size_t len);
/* Appends a message unless the filter or a full buffer forbid it; consumes it. @hdr: bytes that the filter sees before the data. */
void dgram_queue_locked(struct inet_sock *o, struct inet_msg *msg, const uint8_t *hdr, uint32_t hdrlen);
/* A copy of @m with its own data, or NULL. */
struct inet_msg *dgram_clone(const struct inet_msg *m, size_t off, size_t n);
int64_t dgram_recvmsg(struct sock *sk, struct task *t, struct sock_msg *m);
int dgram_connect(struct sock *sk, struct task *t, const void *addr, uint32_t len, bool nonblock, int64_t deadline);
int dgram_shutdown(struct sock *sk, int how);
uint32_t dgram_poll(struct sock *sk);
int64_t dgram_ioctl(struct sock *sk, struct task *t, uint32_t cmd, uint64_t arg);
void dgram_teardown(struct inet_sock *u);
void dgram_close(struct sock *sk);
void dgram_destroy(struct sock *sk);

/* udp.c */
int64_t udp_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m);
/* A datagram has arrived: to its receivers, or an error for @u (NULL: a raw sender). Consumes @msg. */
void udp_input_locked(struct net_ns *net, struct inet_sock *u, struct inet_msg *msg, enum inet_table_nr nr);
int udp_set_cork(struct inet_sock *u, bool on); /* off: sends what was collected */

/* raw.c: raw and ping sockets, and what the kernel itself answers */
/* Shows a message (without IP header) to raw sockets. */
void raw_input_locked(struct net_ns *net, int protocol, const struct inet_msg *msg);
int raw_setsockopt(struct inet_sock *u, struct task *t, int level, int opt, gaddr_t val, uint32_t len);
int raw_getsockopt(struct inet_sock *u, int level, int opt, void *buf, uint32_t *len);
/* The IP and, of UDP, transport headers that a packet with @msg would have: bytes written, at most 48. */
uint32_t inet_headers(const struct inet_msg *msg, int protocol, uint8_t buf[48]);
/* A destination unreachable message (port) about @msg, as raw sockets see it. */
void icmp_unreachable_locked(struct net_ns *net, const struct inet_msg *msg);

/* inet_state.c: what is left of connections */
struct Sentry__InetTw;
struct Sentry__InetTw **inet_tw_save(struct state_writer *w, const struct inet_table *tb, size_t *ret_n);
_must_check_ int inet_tw_load(struct state_reader *r, struct inet_table *tb, struct Sentry__InetTw **v, size_t n);

/* /proc/net, see sentry/fs/proc/net.c */
void net_show_tcp(struct net_ns *ns, bool v6, struct strbuf *b);
void net_show_udp(struct net_ns *ns, bool v6, struct strbuf *b);
void net_show_raw(struct net_ns *ns, bool v6, struct strbuf *b);
void net_count_sockets(struct net_ns *ns, unsigned *total, unsigned *tcp, unsigned *udp, unsigned *raw);

#endif
