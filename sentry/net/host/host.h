/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --network=host: AF_INET and AF_INET6 sockets of the network namespace in which the sandbox was started. Each is one host socket,
 * always non-blocking; waiting is done here, on the endpoint's wait queue, which the host poller wakes at every edge.
 *
 * What reaches the host is chosen from tables: families, types and protocols (host_sock.c), message flags and ancillary data (host_io.c), options
 * (host_opt.c). Addresses, payload and results are passed on as they are.
 *
 * Locks: host_sock.mu (leaf) guards what is remembered for a checkpoint; host_all_mu guards the list of all; neither is held over a host call that
 * transfers data. Checkpoint: host_state.c. README.md says what a restored socket does.
 */
#ifndef SENTRY_NET_HOST_H
#define SENTRY_NET_HOST_H

#include "sentry/fs/host/poller.h"
#include "sentry/net/socket.h"

struct strbuf;
struct error;
struct net_cfg;
struct sentry_config;

/* What an endpoint is, as far as a checkpoint must know. */
enum host_state {
	HOST_OPEN, /* made, perhaps bound; a datagram socket stays here */
	HOST_CONNECTING, /* a stream's connect() has begun */
	HOST_CONNECTED, /* a stream that is or was connected */
	HOST_LISTEN,
	HOST_GONE, /* a stream whose connection ended with a checkpoint: see host_sock_gone_* */
};

#define HOST_MAX_OPTS 256u
#define HOST_OPT_MAX  264u /* struct group_source_req */

/* One option that the application has set: set again on the socket that a restore makes. */
struct host_opt { /* message: HostOpt */
	struct list node; /* derived: in order of setting */
	int32_t level, opt; /* saved: 1, 2 */
	uint32_t len; /* derived: length of value */
	uint8_t value[HOST_OPT_MAX]; /* saved: 3 */
};

struct host_name {
	uint8_t addr[28]; /* struct sockaddr_in or sockaddr_in6 */
	uint32_t len; /* 0: none */
};

struct host_sock {
	struct sock sk; /* saved: 1 sock_base */
	int fd; /* nosave: made again after loading */
	struct host_watch watch; /* nosave: registered again */
	struct list node; /* derived: in the list of all */
	struct mutex mu; /* nosave: nobody runs */
	/* below: guarded by mu */
	bool watched; /* nosave: registered again when somebody asks */
	enum host_state state; /* saved: 2 */
	bool bound; /* saved: 3; bind() chose the address */
	int32_t backlog; /* saved: 4; of listen() */
	uint32_t shutdown; /* saved: 5; 1 receiving, 2 sending */
	int err; /* saved: 6; HOST_GONE: what the next call or SO_ERROR reports once, positive */
	struct host_name laddr; /* saved: 7; asked from the host when saving, but for HOST_GONE */
	struct host_name raddr; /* saved: 8; the same; a stream's while connecting */
	struct list opts; /* saved: 9 */
	uint32_t nr_opts; /* derived: length of opts */
	uint32_t uid; /* saved: 10; for /proc/net */
};

static inline struct host_sock *host_of(struct sock *sk)
{
	return container_of(sk, struct host_sock, sk);
}

extern const struct sock_ops host_sock_ops;

/* Remembers what host sockets need; before the filter is installed. Without --network=host does nothing. */
_must_check_ int host_net_init(const struct sentry_config *cfg, struct error **err);
bool host_net_on(void);
/* The netlink socket that was opened before the filter, or -EBADF. host_netlink.c serialises its users. */
int host_netlink_fd(void);

_must_check_ int host_sock_create(struct task *t, struct net_ns *net, int family, int type, int protocol, struct sock **ret);
void *host_sock_alloc(void); /* zeroed, in the list, without descriptor; for loading */
/* socket(2) on the host: the descriptor, or a negative errno. */
int host_open(int family, int type, int protocol);
/* After the descriptor is known. */
void host_sock_watch_init(struct host_sock *h);
/* Makes sure that edges wake the wait queue. Before asking the host for readiness. */
void host_watch_on(struct host_sock *h);
/* After listen(): lets a restore bind the port again while connections of the old sandbox linger, which Linux allows only when those were made
 * with SO_REUSEADDR. The application does not see it: sock_opts.reuseaddr is what it has set. */
void host_port_stays_free(struct host_sock *h);
/* HOST_GONE: the error to report now (once), else 0. */
int host_take_gone(struct host_sock *h);
bool host_is_gone(struct host_sock *h);

/* host_io.c */
int64_t host_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m);
int64_t host_recvmsg(struct sock *sk, struct task *t, struct sock_msg *m);

/* host_opt.c */
int host_setsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len);
int host_getsockopt(struct sock *sk, struct task *t, int level, int opt, void *buf, uint32_t *len);
/* May the option be set (and is remembered)? For loading. */
bool host_opt_known(int level, int opt);

/* /proc/net: lines of the sandbox's own host sockets in @ns. */
void host_show(struct net_ns *ns, bool v6, int type, struct strbuf *b);
/* Calls @fn for each with a reference held. Returns when @fn returns non-zero. */
void host_each(struct net_ns *ns, int (*fn)(struct host_sock *h, void *arg), void *arg);
/* TCP_* state, or the Linux number that datagram sockets show (1 connected, 7 not). */
int host_tcp_state(struct host_sock *h);
/* The number an ioctl tells (SIOCINQ ...). */
bool host_count(struct host_sock *h, unsigned long cmd, int *ret);
/* struct tcp_info: bytes filled, 0: none. */
size_t host_tcp_info(struct host_sock *h, void *buf, size_t size);
/* getsockname(2) and getpeername(2), or what is remembered of a connection that is gone. ret->len 0: none. */
void host_names(struct host_sock *h, struct host_name *local, struct host_name *peer);

/* host_netlink.c: brings the mirror @c up to date, unless it is young. net_cfg.mu held. */
void host_mirror_locked(struct net_cfg *c);

#endif
