/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces, addresses, routes, neighbours and rules of a network namespace: what rtnetlink, interface ioctls, /proc/net and /sys/class/net
 * show and change, and what decides which addresses are local.
 *
 * Interfaces are lo and those of kind dummy. Nothing leaves one of them: a route decides whether an address is reachable (local) or not.
 * A namespace of --network=host mirrors the host's tables (net/host/host_netlink.c) and refuses changes.
 *
 * Locks: net_cfg.mu > what netlink notifications take. Checkpoint: everything (netdev_state.c), but a mirror, which is read again.
 */
#ifndef SENTRY_NET_NETDEV_H
#define SENTRY_NET_NETDEV_H

#include "base/list.h"
#include "base/mutex.h"
#include "sentry/abi/netlink.h"
#include "sentry/abi/socket.h"
#include "sentry/net/loopback.h"

struct net_ns;
struct strbuf;

#define NETDEV_NAME    16
#define NETDEV_LLADDR  32
#define NETDEV_ALIAS   256
#define DUMMY_MTU      1500u
/* A guest may make at most this many of each, per namespace. */
#define NETDEV_MAX     256u
#define NETDEV_MAX_ADDRS  4096u
#define NETDEV_MAX_ROUTES 16384u
#define NETDEV_MAX_NEIGHS 4096u
#define NETDEV_MAX_RULES  1024u

struct netdev_stats {
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes;
	uint64_t rx_errors, tx_errors, rx_dropped, tx_dropped, multicast, collisions;
};

struct netdev { /* message: NetDev */
	struct list node; /* derived: in order of index */
	int32_t index; /* saved: 1 */
	char name[NETDEV_NAME]; /* saved: 2 */
	char kind[NETDEV_NAME]; /* saved: 3; "": lo, or no virtual device of the host's */
	uint32_t flags; /* saved: 4; IFF_*: without what follows from the state (netdev_flags) */
	uint32_t mtu; /* saved: 5 */
	uint32_t txqlen; /* saved: 6 */
	uint16_t type; /* saved: 7; ARPHRD_* */
	uint8_t addr[NETDEV_LLADDR], brd[NETDEV_LLADDR]; /* saved: 8, 9 */
	uint32_t addr_len; /* derived: length of addr */
	uint32_t group; /* saved: 10 */
	char alias[NETDEV_ALIAS]; /* saved: 11 */
	int32_t master, link; /* nosave: only a mirror has them; 0: none */
	int32_t operstate; /* nosave: only a mirror's; -1: follows from the flags */
	struct netdev_stats stats; /* nosave: a mirror's; no packets are counted here */
};

struct net_addr { /* message: NetAddr */
	struct list node; /* derived: in order */
	uint8_t family, prefixlen, scope; /* saved: 1, 2, 3 */
	uint8_t proto; /* saved: 4; IFA_PROTO */
	uint32_t flags; /* saved: 5; IFA_F_* */
	int32_t index; /* saved: 6 */
	uint8_t local[16], peer[16]; /* saved: 7, 8; the same unless point-to-point; IPv4 uses 4 bytes */
	uint8_t brd[4]; /* saved: 9 */
	bool has_brd; /* derived: brd is not empty */
	char label[NETDEV_NAME]; /* saved: 10 */
	uint32_t valid, preferred; /* saved: 11, 12; seconds from changed; UINT32_MAX: for ever */
	uint32_t metric; /* saved: 13; IFA_RT_PRIORITY */
	int64_t created, changed; /* saved: 14, 15; guest monotonic */
};

struct net_route { /* message: NetRoute */
	struct list node; /* derived: by table and address, longer prefixes first, then metrics */
	uint8_t family, dst_len, tos, scope, type, protocol; /* saved: 1, 2, 3, 4, 5, 6 */
	uint32_t table; /* saved: 7 */
	uint32_t flags; /* saved: 8; RTNH_F_* */
	int32_t oif; /* saved: 9; 0: none */
	uint32_t metric; /* saved: 10 */
	uint8_t dst[16], gw[16], src[16]; /* saved: 11, 12, 13 */
	bool has_gw, has_src; /* derived: gw, src are not empty */
	uint32_t mtu; /* saved: 14; RTAX_MTU, 0: none */
};

struct net_neigh { /* message: NetNeigh */
	struct list node; /* derived: in order */
	uint8_t family, flags, type; /* saved: 1, 2, 3 */
	uint16_t state; /* saved: 4 */
	int32_t index; /* saved: 5 */
	uint8_t dst[16]; /* saved: 6 */
	uint8_t lladdr[NETDEV_LLADDR]; /* saved: 7 */
	uint32_t lladdr_len; /* derived: length of lladdr */
};

struct net_rule { /* message: NetRule */
	struct list node; /* derived: by priority */
	uint8_t family, dst_len, src_len, tos, action; /* saved: 1, 2, 3, 4, 5 */
	uint8_t protocol; /* saved: 6 */
	uint32_t table, priority; /* saved: 7, 8 */
	uint8_t dst[16], src[16]; /* saved: 9, 10 */
	char iif[NETDEV_NAME], oif[NETDEV_NAME]; /* saved: 11, 12 */
	uint32_t fwmark, fwmask; /* saved: 13, 14 */
	bool has_mark; /* saved: 15 */
	uint32_t flags; /* saved: 16; FIB_RULE_INVERT */
};

struct net_cfg { /* message: NetCfg */
	struct mutex mu; /* nosave: nobody runs */
	struct net_ns *net; /* derived: whose it is; no reference */
	/* below: guarded by mu */
	struct list devs; /* saved: 1 */
	struct list addrs; /* saved: 2 */
	struct list routes; /* saved: 3 */
	struct list neighs; /* saved: 4 */
	struct list rules; /* saved: 5 */
	uint32_t nr_devs, nr_addrs, nr_routes, nr_neighs, nr_rules; /* derived: lengths */
	int32_t next_index; /* saved: 6 */
	int64_t mirrored; /* nosave: when the host was asked last; 0: never */
};

/* lo, down, and the default rules. */
struct net_cfg *net_cfg_new(struct net_ns *net); /* or NULL */
void net_cfg_free(struct net_cfg *c); /* NULL is fine */
/* Brings lo up, as the first network namespace of a container has it. */
void net_cfg_lo_up(struct net_cfg *c);
/* Locks @c, its mirror being up to date when it is one. */
void net_cfg_lock(struct net_cfg *c);
void net_cfg_unlock(struct net_cfg *c);

/* --- the rest: net_cfg.mu held --- */

struct netdev *netdev_by_index(struct net_cfg *c, int32_t index);
struct netdev *netdev_by_name(struct net_cfg *c, const char *name);
uint32_t netdev_flags(const struct netdev *d); /* as shown: RUNNING and LOWER_UP follow from UP */
uint8_t netdev_operstate(const struct netdev *d); /* IF_OPER_* */
bool netdev_name_ok(const char *name);
bool netdev_is_lo(const struct netdev *d);

/* What a change tells rtnetlink's listeners; net/netlink/rtnl_*.c. @portid, @seq: of the request, 0: the kernel's own. */
struct nl_who {
	uint32_t portid, seq;
};
void rtnl_notify_link(struct net_cfg *c, const struct netdev *d, bool del, uint32_t change, const struct nl_who *who);
void rtnl_notify_addr(struct net_cfg *c, const struct net_addr *a, bool del, const struct nl_who *who);
void rtnl_notify_route(struct net_cfg *c, const struct net_route *r, bool del, const struct nl_who *who);
void rtnl_notify_neigh(struct net_cfg *c, const struct net_neigh *n, bool del, const struct nl_who *who);
void rtnl_notify_rule(struct net_cfg *c, const struct net_rule *r, bool del, const struct nl_who *who);

/* Makes a dummy device; @name NULL: "dummy%d". -EEXIST, -EINVAL, -ENFILE (too many), -ENOMEM. */
int netdev_add_dummy(struct net_cfg *c, const char *name, int32_t index, const struct nl_who *who, struct netdev **ret);
void netdev_del(struct net_cfg *c, struct netdev *d, const struct nl_who *who); /* with its addresses and routes */
int netdev_set_up(struct net_cfg *c, struct netdev *d, bool up, const struct nl_who *who);
int netdev_rename(struct net_cfg *c, struct netdev *d, const char *name, const struct nl_who *who);

/* Takes a copy of @a (family, prefix, local, peer, brd, label, life, scope, flags). -EEXIST, -ENOBUFS, -ENOMEM. */
int net_addr_add(struct net_cfg *c, const struct net_addr *a, const struct nl_who *who, struct net_addr **ret);
void net_addr_del(struct net_cfg *c, struct net_addr *a, const struct nl_who *who);
/* The first address of @d with @family, or NULL. */
struct net_addr *net_addr_first(struct net_cfg *c, int32_t index, uint8_t family);
uint32_t net_addr_left(uint32_t life, const struct net_addr *a); /* seconds of a lifetime that are left */

int net_route_add(struct net_cfg *c, const struct net_route *r, bool append, const struct nl_who *who);
void net_route_del(struct net_cfg *c, struct net_route *r, const struct nl_who *who);
/* The route to @dst by rules and prefixes, or NULL. @oif: through this device, 0: any. @mark: SO_MARK. */
struct net_route *net_route_lookup(struct net_cfg *c, uint8_t family, const uint8_t *dst, int32_t oif, uint32_t mark);
int net_rule_add(struct net_cfg *c, const struct net_rule *r, const struct nl_who *who);

static inline size_t ip_len(uint8_t family)
{
	return family == LINUX_AF_INET ? 4 : 16;
}
bool ip_is_zero(const uint8_t *ip, size_t n);
bool prefix_matches(const uint8_t *a, const uint8_t *b, unsigned bits); /* the first @bits are equal */
void prefix_mask(uint8_t *ip, size_t n, unsigned bits); /* clears what is behind @bits */

/* --- for sockets; takes net_cfg.mu itself --- */

enum net_reach {
	NET_UNREACHABLE, /* no route: ENETUNREACH */
	NET_LOCAL, /* an address of this namespace */
	NET_BROADCAST, /* a broadcast address of one of our networks */
	NET_AWAY, /* routed to a device behind which nobody is: what is sent is lost */
	NET_PROHIBITED, /* EACCES */
	NET_NO_HOST, /* an unreachable route: EHOSTUNREACH */
	NET_INVALID, /* a blackhole route: EINVAL */
};
/* @ip: 16 bytes, IPv4 as ::ffff:a.b.c.d. The local address to use goes to ret_src (the same form, may be NULL). */
enum net_reach net_reach(struct net_ns *net, const uint8_t ip[16], uint8_t ret_src[16]);
/* May a socket be bound to @ip (same form)? */
bool net_is_local(struct net_ns *net, const uint8_t ip[16]);

#endif
