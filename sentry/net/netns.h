/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces: the abstract unix names, and later the interfaces, ports and routes of one.
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

struct net_ns {
	struct ref ref; /* nosave: references are counted again */
	uint64_t ino; /* saved: 1 */
	struct mutex abstract_mu; /* nosave: nobody runs */
	struct htab abstract; /* derived: hash of the name -> first struct unix_sock of a chain; guarded by abstract_mu */
	_Atomic uint32_t autobind; /* saved: 2; next number an unnamed socket is given */
	bool host; /* saved: 3; --network=host: Internet sockets are the host's (net/host/) */
	struct inet_table *inet; /* saved: 10 time_waits; ports in use: sockets enter again after loading */
};

struct net_ns *net_ns_new(void); /* or NULL */
struct net_ns *net_ns_get(struct net_ns *ns);
void net_ns_put(struct net_ns *ns); /* NULL is fine */

#endif
