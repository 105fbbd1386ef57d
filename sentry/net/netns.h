/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces: the abstract unix names, interfaces and routes (netdev/), ports (inet.h).
 *
 * Locks: abstract_mu guards the table; it is taken under unix_sock.mu and is a leaf. Checkpoint: the inode number; names are saved by
 * the sockets bound to them.
 */
#ifndef SENTRY_NET_NETNS_H
#define SENTRY_NET_NETNS_H

#include "base/htab.h"
#include "base/mutex.h"
#include "base/ref.h"

struct inet_table;
struct net_cfg;
struct task;
struct user_ns;

struct net_ns {
	struct ref ref; /* nosave: references are counted again */
	uint64_t ino; /* saved: 1 */
	struct user_ns *user_ns; /* saved: 15; whose capabilities rule it; referenced, NULL the initial one */
	struct mutex abstract_mu; /* nosave: nobody runs */
	struct htab abstract; /* derived: hash of the name -> first struct unix_sock of a chain; guarded by abstract_mu */
	_Atomic uint32_t autobind; /* saved: 2; next number an unnamed socket is given */
	struct net_cfg *cfg; /* saved: 4 cfg; immutable */
	_Atomic bool lo4, lo6; /* derived: 127.0.0.1 and ::1 are routed to us: lo is up */
	bool host; /* saved: 3; --network=host: Internet sockets are the host's (net/host/) */
	struct inet_table *inet; /* saved: 10 time_waits; ports in use: sockets enter again after loading */
};

struct net_ns *net_ns_new(void); /* lo is down; or NULL */
/* Makes @ns a container's first one: lo is up, or the network is the host's. */
void net_ns_first(struct net_ns *ns, bool host);
struct net_ns *net_ns_get(struct net_ns *ns);
void net_ns_put(struct net_ns *ns); /* NULL is fine */
/* Does @t rule its network namespace with @cap? Own thread. */
bool net_capable(struct task *t, int cap);

#endif
