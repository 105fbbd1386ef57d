/* SPDX-License-Identifier: Apache-2.0 */
/* NETLINK_ROUTE: which message goes where. See rtnl.h. Linux: net/core/rtnetlink.c. */
#include "sentry/net/netlink/rtnl.h"

#include <string.h>

#include "sentry/kernel/kernel.h"

static int empty_dump(struct nl_request *q)
{
	return 0;
}

/* One row per object: its first message type; what is NULL is EOPNOTSUPP. */
static const struct {
	uint16_t base;
	int (*new)(struct nl_request *q);
	int (*del)(struct nl_request *q);
	int (*get)(struct nl_request *q);
	int (*set)(struct nl_request *q);
	int (*dump)(struct nl_request *q);
} table[] = {
	{ LINUX_RTM_NEWLINK, rtnl_new_link, rtnl_del_link, rtnl_get_link, rtnl_new_link, rtnl_dump_link },
	{ LINUX_RTM_NEWADDR, rtnl_new_addr, rtnl_del_addr, rtnl_get_addr, NULL, rtnl_dump_addr },
	{ LINUX_RTM_NEWROUTE, rtnl_new_route, rtnl_del_route, rtnl_get_route, NULL, rtnl_dump_route },
	{ LINUX_RTM_NEWNEIGH, rtnl_new_neigh, rtnl_del_neigh, rtnl_get_neigh, NULL, rtnl_dump_neigh },
	{ LINUX_RTM_NEWRULE, rtnl_new_rule, rtnl_del_rule, NULL, NULL, rtnl_dump_rule },
	{ LINUX_RTM_NEWNSID, NULL, NULL, rtnl_get_nsid, NULL, empty_dump },
	/* Nothing is queued, classified or filtered here. */
	{ LINUX_RTM_GETQDISC - 2, NULL, NULL, NULL, NULL, empty_dump },
	{ LINUX_RTM_GETTCLASS - 2, NULL, NULL, NULL, NULL, empty_dump },
	{ LINUX_RTM_GETTFILTER - 2, NULL, NULL, NULL, NULL, empty_dump },
	{ LINUX_RTM_GETADDRLABEL - 2, NULL, NULL, NULL, NULL, empty_dump },
};

static int rtnl_request(struct nl_request *q)
{
	unsigned verb = q->h.type & 3;
	int (*fn)(struct nl_request *q) = NULL;
	bool dump = verb == 2 && nl_is_dump(q);
	int r;

	if (q->h.type > LINUX_RTM_MAX)
		return -EOPNOTSUPP;
	if (!q->n)
		return 0; /* as Linux: not even a family */
	if (verb != 2 && !task_capable(q->t, LINUX_CAP_NET_ADMIN))
		return -EPERM;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].base == (q->h.type & ~3u))
			fn = dump ? table[i].dump : verb == 0 ? table[i].new : verb == 1 ? table[i].del : verb == 2 ? table[i].get : table[i].set;
	if (!fn)
		return -EOPNOTSUPP;
	if (q->net->host && verb != 2)
		return nl_fail(q, -EPERM, "the host's network is not changed from a sandbox");
	net_cfg_lock(rtnl_cfg(q));
	r = fn(q);
	net_cfg_unlock(rtnl_cfg(q));
	return dump && r <= 0 ? nl_dump_error(q, r) : r;
}

const struct nl_proto nl_route = {
	.number = LINUX_NETLINK_ROUTE, .groups = LINUX_RTNLGRP_MAX, .any_recv = true, .request = rtnl_request,
};

bool rtnl_ip(const struct nl_attr *a, uint8_t family, uint8_t ret[16])
{
	memset(ret, 0, 16);
	if (!a->data || a->len < ip_len(family))
		return false;
	memcpy(ret, a->data, ip_len(family));
	return true;
}

void rtnl_notify(struct net_cfg *c, uint32_t group, const struct nl_who *who, void (*fill)(struct strbuf *b, const void *what, const struct nl_who *who),
		 const void *what)
{
	_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

	if (!nl_has_listeners(c->net, LINUX_NETLINK_ROUTE, group))
		return;
	fill(&b, what, who);
	if (!b.err)
		nl_multicast(c->net, LINUX_NETLINK_ROUTE, group, b.data, b.len);
}
