/* SPDX-License-Identifier: Apache-2.0 */
/* RTM_*RULE: policy routing. See rtnl.h. Linux: net/core/fib_rules.c. */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/netlink/rtnl.h"

enum {
	FRA_DST = 1, FRA_SRC, FRA_IIFNAME, FRA_GOTO, FRA_PRIORITY = 6, FRA_FWMARK = 10, FRA_FLOW, FRA_TUN_ID, FRA_SUPPRESS_IFGROUP,
	FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_FWMASK, FRA_OIFNAME, FRA_L3MDEV = 19, FRA_UID_RANGE, FRA_PROTOCOL, FRA_IP_PROTO, FRA_SPORT_RANGE,
	FRA_DPORT_RANGE,
};
#define FRA_MAX_NR FRA_DPORT_RANGE
#define FR_ACT_TO_TBL 1
#define FR_ACT_GOTO   2
#define FR_ACT_MAX    8
#define FIB_RULE_INVERT_F 2u

static void fill_rule(struct strbuf *b, const struct net_rule *u, uint16_t type, uint16_t flags, const struct nl_who *who)
{
	struct linux_fib_rule_hdr h = {
		.family = u->family, .dst_len = u->dst_len, .src_len = u->src_len, .tos = u->tos, .action = u->action, .flags = u->flags,
		.table = (uint8_t)(u->table < 256 ? u->table : LINUX_RT_TABLE_COMPAT),
	};
	size_t at = nl_begin(b, type, flags, who->seq, who->portid);

	strbuf_add(b, &h, sizeof(h));
	nl_put_u32(b, FRA_TABLE, u->table);
	nl_put_u32(b, FRA_SUPPRESS_PREFIXLEN, UINT32_MAX);
	nl_put_u8(b, FRA_PROTOCOL, u->protocol);
	if (u->iif[0])
		nl_put_str(b, FRA_IIFNAME, u->iif);
	if (u->oif[0])
		nl_put_str(b, FRA_OIFNAME, u->oif);
	if (u->priority)
		nl_put_u32(b, FRA_PRIORITY, u->priority);
	if (u->has_mark) {
		nl_put_u32(b, FRA_FWMARK, u->fwmark);
		nl_put_u32(b, FRA_FWMASK, u->fwmask);
	}
	if (u->dst_len)
		nl_put(b, FRA_DST, u->dst, ip_len(u->family));
	if (u->src_len)
		nl_put(b, FRA_SRC, u->src, ip_len(u->family));
	nl_end(b, at);
}

struct rule_note {
	const struct net_rule *u;
	bool del;
};

static void fill_note(struct strbuf *b, const void *what, const struct nl_who *who)
{
	const struct rule_note *n = what;

	fill_rule(b, n->u, n->del ? LINUX_RTM_DELRULE : LINUX_RTM_NEWRULE, 0, who);
}

void rtnl_notify_rule(struct net_cfg *c, const struct net_rule *u, bool del, const struct nl_who *who)
{
	const struct rule_note n = { u, del };

	rtnl_notify(c, u->family == LINUX_AF_INET ? LINUX_RTNLGRP_IPV4_RULE : LINUX_RTNLGRP_IPV6_RULE, who, fill_note, &n);
}

int rtnl_dump_rule(struct nl_request *q)
{
	const struct nl_who who = rtnl_who(q);
	uint8_t family = rtnl_family(q);
	struct net_rule *u;

	if (nl_strict(q) && q->n < sizeof(struct linux_fib_rule_hdr))
		return nl_fail(q, -EINVAL, "Invalid header for fib rule dump request");
	for (int v6 = 0; v6 < 2; v6++) {
		list_for_each(u, &rtnl_cfg(q)->rules, node) {
			size_t at = q->out.len;

			if (u->family != (v6 ? LINUX_AF_INET6 : LINUX_AF_INET) || (family && u->family != family))
				continue;
			fill_rule(&q->out, u, LINUX_RTM_NEWRULE, LINUX_NLM_F_MULTI, &who);
			nl_dump_next(q, at);
		}
	}
	return 0;
}

static int parse(struct nl_request *q, struct net_rule *u, bool *ret_prio)
{
	struct nl_attr a[FRA_MAX_NR + 1];
	struct linux_fib_rule_hdr h;
	int r = nl_attrs(q, sizeof(h), a, FRA_MAX_NR);

	if (r)
		return nl_fail(q, r, "Invalid msg length");
	memcpy(&h, q->body, sizeof(h));
	if (h.family != LINUX_AF_INET && h.family != LINUX_AF_INET6)
		return nl_fail(q, -EAFNOSUPPORT, "Rule family not supported");
	if (h.src_len > ip_len(h.family) * 8 || (h.src_len && !rtnl_ip(&a[FRA_SRC], h.family, u->src)))
		return nl_fail(q, -EINVAL, "Invalid source address");
	if (h.dst_len > ip_len(h.family) * 8 || (h.dst_len && !rtnl_ip(&a[FRA_DST], h.family, u->dst)))
		return nl_fail(q, -EINVAL, "Invalid dst address");
	/* What this kernel would have to look at packets for. */
	if (a[FRA_L3MDEV].data || a[FRA_UID_RANGE].data || a[FRA_IP_PROTO].data || a[FRA_SPORT_RANGE].data || a[FRA_DPORT_RANGE].data ||
	    a[FRA_GOTO].data || h.action == FR_ACT_GOTO || nl_u32(&a[FRA_SUPPRESS_IFGROUP], UINT32_MAX) != UINT32_MAX ||
	    nl_u32(&a[FRA_SUPPRESS_PREFIXLEN], UINT32_MAX) != UINT32_MAX)
		return -EOPNOTSUPP;
	if (h.action > FR_ACT_MAX)
		return -EINVAL;
	u->family = h.family;
	u->src_len = h.src_len;
	u->dst_len = h.dst_len;
	u->tos = h.tos;
	u->action = h.action;
	u->flags = h.flags & FIB_RULE_INVERT_F;
	u->table = nl_u32(&a[FRA_TABLE], h.table);
	u->protocol = a[FRA_PROTOCOL].data && a[FRA_PROTOCOL].len ? a[FRA_PROTOCOL].data[0] : 0;
	(void)nl_str(&a[FRA_IIFNAME], u->iif, sizeof(u->iif));
	(void)nl_str(&a[FRA_OIFNAME], u->oif, sizeof(u->oif));
	u->has_mark = a[FRA_FWMARK].data || a[FRA_FWMASK].data;
	u->fwmark = nl_u32(&a[FRA_FWMARK], 0);
	u->fwmask = nl_u32(&a[FRA_FWMASK], UINT32_MAX);
	*ret_prio = a[FRA_PRIORITY].data;
	u->priority = nl_u32(&a[FRA_PRIORITY], 0);
	return 0;
}

static bool same_match(const struct net_rule *a, const struct net_rule *b)
{
	return a->family == b->family && a->src_len == b->src_len && a->dst_len == b->dst_len && a->tos == b->tos && !memcmp(a->src, b->src, 16) &&
	       !memcmp(a->dst, b->dst, 16) && !strcmp(a->iif, b->iif) && !strcmp(a->oif, b->oif) && a->has_mark == b->has_mark &&
	       a->fwmark == b->fwmark && a->fwmask == b->fwmask && a->flags == b->flags;
}

/* Before the second rule, as Linux numbers those that come without priority. */
static uint32_t free_priority(struct nl_request *q, uint8_t family)
{
	struct net_rule *u;
	int nr = 0;

	list_for_each(u, &rtnl_cfg(q)->rules, node)
		if (u->family == family && nr++ && u->priority)
			return u->priority - 1;
	return 0;
}

int rtnl_new_rule(struct nl_request *q)
{
	const struct nl_who who = rtnl_who(q);
	struct net_rule u = { 0 }, *o;
	bool prio;
	int r = parse(q, &u, &prio);

	if (r)
		return r;
	if (u.action == FR_ACT_TO_TBL && !u.table)
		return nl_fail(q, -EINVAL, NULL);
	if (!prio)
		u.priority = free_priority(q, u.family);
	if (q->h.flags & LINUX_NLM_F_EXCL)
		list_for_each(o, &rtnl_cfg(q)->rules, node)
			if (same_match(o, &u) && o->priority == u.priority && o->table == u.table && o->action == u.action)
				return -EEXIST;
	return net_rule_add(rtnl_cfg(q), &u, &who);
}

int rtnl_del_rule(struct nl_request *q)
{
	const struct nl_who who = rtnl_who(q);
	struct net_rule u = { 0 }, *o;
	bool prio;
	int r = parse(q, &u, &prio);

	if (r)
		return r;
	list_for_each(o, &rtnl_cfg(q)->rules, node) {
		if (o->family != u.family || (prio && o->priority != u.priority) || (u.table && o->table != u.table) ||
		    (u.action && o->action != u.action) || (u.src_len && (o->src_len != u.src_len || memcmp(o->src, u.src, 16) != 0)) ||
		    (u.dst_len && (o->dst_len != u.dst_len || memcmp(o->dst, u.dst, 16) != 0)) || (u.iif[0] && strcmp(o->iif, u.iif) != 0) ||
		    (u.oif[0] && strcmp(o->oif, u.oif) != 0) || (u.has_mark && (o->fwmark != u.fwmark || o->fwmask != u.fwmask)))
			continue;
		rtnl_notify_rule(rtnl_cfg(q), o, true, &who);
		list_del(&o->node);
		rtnl_cfg(q)->nr_rules--;
		free(o);
		net_cfg_changed(rtnl_cfg(q));
		return 0;
	}
	return -ENOENT;
}
