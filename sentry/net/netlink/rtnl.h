/* SPDX-License-Identifier: Apache-2.0 */
/* NETLINK_ROUTE internals: one function per object and verb. Each is called with net_cfg.mu held. */
#ifndef SENTRY_NET_RTNL_H
#define SENTRY_NET_RTNL_H

#include "sentry/net/netdev/netdev_internal.h"
#include "sentry/net/netlink/netlink.h"
#include "sentry/net/netns.h"

static inline struct net_cfg *rtnl_cfg(const struct nl_request *q)
{
	return q->net->cfg;
}

static inline struct nl_who rtnl_who(const struct nl_request *q)
{
	return (struct nl_who){ q->s->portid, q->h.seq };
}

/* The first byte of every body. */
static inline uint8_t rtnl_family(const struct nl_request *q)
{
	return q->n ? q->body[0] : 0;
}

/* A dump may be for one device: the flag that says that less than everything comes. */
#define RTNL_DUMP(filtered) ((uint16_t)(LINUX_NLM_F_MULTI | ((filtered) ? LINUX_NLM_F_DUMP_FILTERED : 0)))

/* rtnl_link.c */
int rtnl_get_link(struct nl_request *q);
int rtnl_dump_link(struct nl_request *q);
int rtnl_new_link(struct nl_request *q); /* NEWLINK and SETLINK */
int rtnl_del_link(struct nl_request *q);
/* rtnl_move.c: to the network namespace of a process or of a descriptor. net_cfg.mu is given up for a moment. */
int rtnl_move_link(struct nl_request *q, struct netdev *d, const struct nl_attr *pid, const struct nl_attr *fd);
int rtnl_get_nsid(struct nl_request *q);
/* rtnl_addr.c */
int rtnl_get_addr(struct nl_request *q);
int rtnl_dump_addr(struct nl_request *q);
int rtnl_new_addr(struct nl_request *q);
int rtnl_del_addr(struct nl_request *q);
/* rtnl_route.c */
int rtnl_get_route(struct nl_request *q);
int rtnl_dump_route(struct nl_request *q);
int rtnl_new_route(struct nl_request *q);
int rtnl_del_route(struct nl_request *q);
/* rtnl_neigh.c */
int rtnl_get_neigh(struct nl_request *q);
int rtnl_dump_neigh(struct nl_request *q);
int rtnl_new_neigh(struct nl_request *q);
int rtnl_del_neigh(struct nl_request *q);
/* rtnl_rule.c */
int rtnl_dump_rule(struct nl_request *q);
int rtnl_new_rule(struct nl_request *q);
int rtnl_del_rule(struct nl_request *q);

/* An address attribute of exactly the family's length; false otherwise. Zeroes the rest of @ret. */
bool rtnl_ip(const struct nl_attr *a, uint8_t family, uint8_t ret[16]);
/* Sends a notification built by @fill to @group, if somebody listens. */
void rtnl_notify(struct net_cfg *c, uint32_t group, const struct nl_who *who, void (*fill)(struct strbuf *b, const void *what, const struct nl_who *who),
		 const void *what);

#endif
