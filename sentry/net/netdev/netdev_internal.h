/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this directory and by the mirror of the host (net/host/host_netlink.c). net_cfg.mu held. */
#ifndef SENTRY_NET_NETDEV_INTERNAL_H
#define SENTRY_NET_NETDEV_INTERNAL_H

#include "sentry/net/netdev/netdev.h"

void net_cfg_clear(struct net_cfg *c); /* drops everything, telling nobody */
/* The routes that follow from an address appear or vanish. */
void net_addr_routes(struct net_cfg *c, const struct net_addr *a, bool add);
/* In the right place of the list; no checks. Takes @r over. */
void net_route_link(struct net_cfg *c, struct net_route *r);
void net_rule_link(struct net_cfg *c, struct net_rule *r);
/* Something that decides about reachability has changed: what sockets keep of it is brought up to date. */
void net_cfg_changed(struct net_cfg *c);

#endif
