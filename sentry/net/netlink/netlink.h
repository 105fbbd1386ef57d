/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_NETLINK internals. af_netlink.c: sockets, port ids, multicast. nl_request.c: requests, acknowledgements, dumps. rtnl*.c: NETLINK_ROUTE.
 * diag*.c: NETLINK_SOCK_DIAG. genl.c: NETLINK_GENERIC.
 *
 * The kernel's side answers while a request is sent: replies are queued at the sender, a dump as several datagrams that a reader takes one
 * by one. A second dump is EBUSY until the first was read, so a sender cannot make us queue without bound.
 *
 * Locks: net_cfg.mu > netlink_mu (port ids, list of all) > netlink_sock.mu (leaf but for copies and waitq).
 * Checkpoint: port id, groups, options, queued messages (nl_state.c).
 */
#ifndef SENTRY_NET_NETLINK_H
#define SENTRY_NET_NETLINK_H

#include "sentry/net/netlink/nlattr.h"
#include "sentry/net/socket.h"

#define NL_DUMP_SIZE  3776u /* a dump's datagrams: what Linux uses with pages of 4 KiB */
#define NL_MAX_GROUPS 64u

/* Bits of netlink_sock.options. */
#define NL_PKTINFO    0x01u
#define NL_EXT_ACK    0x02u
#define NL_CAP_ACK    0x04u
#define NL_STRICT     0x08u
#define NL_BCAST_ERR  0x10u
#define NL_NO_ENOBUFS 0x20u
#define NL_ALL_NSID   0x40u

struct nl_msg { /* message: NetlinkMsg */
	struct list node; /* derived: the queue is in order */
	uint32_t portid; /* saved: 2; of the sender, 0: the kernel */
	uint32_t group; /* saved: 3; multicast group, 0: none */
	bool dump; /* saved: 4; part of a dump: not counted against the receive buffer */
	bool creds; /* saved: 5; uid and gid are a sender's */
	uint32_t uid, gid; /* saved: 6, 7 */
	struct pid *pid; /* saved: 8, referenced; the sender, or NULL */
	size_t len; /* derived: length of data */
	uint8_t data[]; /* saved: 1 */
};

struct netlink_sock {
	struct sock sk; /* saved: 1 sock_base */
	struct list all; /* derived; guarded by netlink_mu */
	uint32_t portid; /* saved: 2; 0: none yet; guarded by netlink_mu */
	bool bound; /* derived: portid is not 0, or bound to 0 by bind() */
	struct mutex mu; /* nosave: nobody runs */
	uint64_t groups; /* saved: 3, the upper half: 8 groups_hi; bit n-1: group n */
	struct list rq; /* saved: 9 queue2; struct nl_msg */
	uint32_t rq_len; /* derived: length of rq */
	uint32_t rq_dumps; /* derived: messages of a dump in rq */
	size_t rq_bytes; /* derived: what the others are charged */
	bool congested; /* saved: 10; full once: nothing more until it is read empty */
	uint32_t dst_portid, dst_group; /* saved: 5, 6; dst_group is a number, not a mask */
	uint32_t options; /* saved: 7 option_bits; NL_* */
	int err; /* saved: 11; positive, told once */
	uint64_t drops; /* saved: 12 */
};

static inline struct netlink_sock *netlink_of(struct sock *sk)
{
	return container_of(sk, struct netlink_sock, sk);
}

extern const struct sock_ops netlink_sock_ops;
void *netlink_alloc(void);
/* Linux's charge for a message in a receive buffer, about. */
size_t nl_charge(size_t len);

/* What protocols there are: NULL for the others. */
struct nl_request;
struct nl_proto {
	uint8_t number;
	uint8_t groups; /* how many multicast groups */
	bool any_recv, any_send; /* groups and other ports are for everybody, not only CAP_NET_ADMIN */
	/* One request with all checks of the header done: 0, a negative errno for the acknowledgement, or 1: answered, no acknowledgement
	 * (a dump). NULL: nobody listens (ECONNREFUSED). */
	int (*request)(struct nl_request *q);
};
const struct nl_proto *nl_proto_find(int protocol);
extern const struct nl_proto nl_route, nl_diag, nl_generic;

/* --- requests (nl_request.c) --- */

struct nl_request {
	struct netlink_sock *s;
	struct task *t;
	struct net_ns *net;
	struct linux_nlmsghdr h;
	const uint8_t *body; /* behind the header */
	size_t n;
	struct strbuf out; /* reply under construction */
	const char *msg; /* extended acknowledgement: text, or NULL */
	uint32_t bad; /* ... and offset of the attribute it is about, 0: none */
};

/* Serves all messages in the @n bytes at @p, which @s has sent. */
void nl_serve(struct netlink_sock *s, struct task *t, const uint8_t *p, size_t n);
/* Sets the text of the acknowledgement and returns @err. */
int nl_fail(struct nl_request *q, int err, const char *msg);
bool nl_is_dump(const struct nl_request *q);
bool nl_strict(const struct nl_request *q);
/* Parses attributes behind a body header of @skip bytes. -EINVAL also when the header is cut off. */
_must_check_ int nl_attrs(struct nl_request *q, size_t skip, struct nl_attr *ret, size_t max);
/* Begins a reply message to @q. */
size_t nl_reply(struct nl_request *q, uint16_t type, uint16_t flags);
/* A message of a dump is complete: full datagrams are sent off. */
void nl_dump_next(struct nl_request *q, size_t at);
/* Ends a dump; returns 1. _error: one that cannot be made, @err negative: the reader finds it in its last message. */
int nl_dump_done(struct nl_request *q);
int nl_dump_error(struct nl_request *q, int32_t err);
/* Queues what is in q->out as one datagram. */
void nl_flush(struct nl_request *q, bool dump);

/* --- delivery (af_netlink.c) --- */

/* To all members of @group of @protocol in @net but the socket with port @except (0: none). Data is copied. */
void nl_multicast(struct net_ns *net, int protocol, uint32_t group, const void *data, size_t n);
/* A uevent to everybody who listens for them, in every network namespace. */
void nl_uevent(const void *data, size_t n);
bool nl_has_listeners(struct net_ns *net, int protocol, uint32_t group);
/* Queues at @s: 0, -ENOBUFS (and the overrun is noted), -ENOMEM. */
int nl_deliver(struct netlink_sock *s, const struct nl_msg *proto, const void *data, size_t n);
void nl_msg_free(struct nl_msg *m); /* NULL is fine */
/* Each socket, for /proc/net/netlink and diagnosis; netlink_mu held. */
void nl_each(struct net_ns *net, void (*fn)(struct netlink_sock *s, void *arg), void *arg);

#endif
