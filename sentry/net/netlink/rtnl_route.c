/* SPDX-License-Identifier: Apache-2.0 */
/* RTM_*ROUTE. See rtnl.h. Linux: net/ipv4/fib_frontend.c, route.c, net/ipv6/route.c. DEVIATION: no multipath, no next-hop objects. */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/netlink/rtnl.h"

enum {
	RTA_DST = 1, RTA_SRC, RTA_IIF, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, RTA_MULTIPATH, RTA_CACHEINFO = 12,
	RTA_TABLE = 15, RTA_MARK, RTA_VIA = 18, RTA_PREF = 20, RTA_ENCAP = 22, RTA_UID = 25, RTA_NH_ID = 30,
};
#define RTA_MAX_NR     RTA_NH_ID
#define RTAX_MTU       2
#define V6_USER_METRIC 1024u /* IP6_RT_PRIO_USER */

static bool is_v4(const struct net_route *r)
{
	return r->family == LINUX_AF_INET;
}

static void put_ip(struct strbuf *b, uint16_t type, const struct net_route *r, const uint8_t *ip)
{
	nl_put(b, type, ip, ip_len(r->family));
}

static void fill_route(struct strbuf *b, const struct net_route *r, uint16_t type, uint16_t flags, const struct nl_who *who)
{
	struct linux_rtmsg m = {
		.family = r->family, .dst_len = r->dst_len, .tos = r->tos, .protocol = r->protocol, .scope = r->scope, .type = r->type,
		.table = (uint8_t)(r->table < 256 ? r->table : LINUX_RT_TABLE_COMPAT), .flags = r->flags,
	};
	size_t at = nl_begin(b, type, flags, who->seq, who->portid), in;
	uint32_t cache[8] = { 0 };

	strbuf_add(b, &m, sizeof(m));
	nl_put_u32(b, RTA_TABLE, r->table);
	if (r->dst_len)
		put_ip(b, RTA_DST, r, r->dst);
	if (r->metric || !is_v4(r))
		nl_put_u32(b, RTA_PRIORITY, r->metric);
	if (r->has_src)
		put_ip(b, RTA_PREFSRC, r, r->src);
	if (r->mtu) {
		in = nl_nest(b, RTA_METRICS);
		nl_put_u32(b, RTAX_MTU, r->mtu);
		nl_nest_end(b, in);
	}
	if (r->has_gw)
		put_ip(b, RTA_GATEWAY, r, r->gw);
	if (r->oif)
		nl_put_u32(b, RTA_OIF, (uint32_t)r->oif);
	if (!is_v4(r)) {
		nl_put(b, RTA_CACHEINFO, cache, sizeof(cache));
		nl_put_u8(b, RTA_PREF, 0);
	}
	nl_end(b, at);
}

struct route_note {
	const struct net_route *r;
	bool del;
};

static void fill_note(struct strbuf *b, const void *what, const struct nl_who *who)
{
	const struct route_note *n = what;

	fill_route(b, n->r, n->del ? LINUX_RTM_DELROUTE : LINUX_RTM_NEWROUTE, 0, who);
}

void rtnl_notify_route(struct net_cfg *c, const struct net_route *r, bool del, const struct nl_who *who)
{
	const struct route_note n = { r, del };

	rtnl_notify(c, is_v4(r) ? LINUX_RTNLGRP_IPV4_ROUTE : LINUX_RTNLGRP_IPV6_ROUTE, who, fill_note, &n);
}

static int body(struct nl_request *q, struct linux_rtmsg *m, struct nl_attr *a)
{
	int r = nl_attrs(q, sizeof(*m), a, RTA_MAX_NR);

	if (r)
		return r;
	memcpy(m, q->body, sizeof(*m));
	return m->family == LINUX_AF_INET || m->family == LINUX_AF_INET6 || !m->family ? 0 : -EOPNOTSUPP;
}

static bool has_table(struct nl_request *q, uint8_t family, uint32_t table)
{
	struct net_route *r;

	if (table == LINUX_RT_TABLE_MAIN || (table == LINUX_RT_TABLE_LOCAL && family == LINUX_AF_INET6))
		return true; /* made with the namespace */
	list_for_each(r, &rtnl_cfg(q)->routes, node)
		if (r->family == family && r->table == table)
			return true;
	return false;
}

int rtnl_dump_route(struct nl_request *q)
{
	struct nl_attr a[RTA_MAX_NR + 1] = { 0 };
	struct linux_rtmsg m = { .family = rtnl_family(q) };
	const struct nl_who who = rtnl_who(q);
	uint32_t table = 0, oif = 0;
	bool strict = nl_strict(q);
	struct net_route *r;

	if (strict) {
		if (body(q, &m, a) == -EINVAL)
			return nl_fail(q, -EINVAL, "Invalid header for FIB dump request");
		if (m.dst_len || m.src_len || m.tos || m.scope)
			return nl_fail(q, -EINVAL, "Invalid values in header for FIB dump request");
		if (m.flags & ~(LINUX_RTM_F_CLONED | 0x400u /* PREFIX */))
			return nl_fail(q, -EINVAL, "Invalid flags for FIB dump request");
		table = nl_u32(&a[RTA_TABLE], m.table);
		oif = nl_u32(&a[RTA_OIF], 0);
		if (oif && !netdev_by_index(rtnl_cfg(q), (int32_t)oif))
			return -ENODEV;
	} else if (q->n >= sizeof(m)) {
		memcpy(&m, q->body, sizeof(m));
		m.protocol = m.type = 0;
	}
	if (m.flags & LINUX_RTM_F_CLONED)
		return 0; /* no cached routes */
	if (table && m.family && !has_table(q, m.family, table))
		return nl_fail(q, -ENOENT, m.family == LINUX_AF_INET ? "ipv4: FIB table does not exist" : "ipv6: FIB table does not exist");
	list_for_each(r, &rtnl_cfg(q)->routes, node) {
		size_t at = q->out.len;

		if ((m.family && r->family != m.family) || (table && r->table != table) || (m.protocol && r->protocol != m.protocol) ||
		    (strict && m.type && r->type != m.type) || (oif && r->oif != (int32_t)oif))
			continue;
		fill_route(&q->out, r, LINUX_RTM_NEWROUTE, RTNL_DUMP(strict && (table || oif || m.protocol || m.type)), &who);
		nl_dump_next(q, at);
	}
	return 0;
}

/* --- ip route get --- */

static int route_error(uint8_t type)
{
	switch (type) {
	case LINUX_RTN_BLACKHOLE:
		return -EINVAL;
	case LINUX_RTN_UNREACHABLE:
		return -EHOSTUNREACH;
	case LINUX_RTN_PROHIBIT:
		return -EACCES;
	default:
		return 0;
	}
}

static void fill_cached(struct nl_request *q, const struct net_route *r, const uint8_t *dst, bool has_src, const uint8_t *src)
{
	struct linux_rtmsg m = {
		.family = r->family, .dst_len = (uint8_t)(ip_len(r->family) * 8), .table = LINUX_RT_TABLE_MAIN, .type = r->type,
		.flags = LINUX_RTM_F_CLONED,
	};
	struct net_addr *a = net_addr_first(rtnl_cfg(q), r->oif, r->family);
	const uint8_t *from = has_src ? src : r->has_src ? r->src : r->type == LINUX_RTN_LOCAL ? dst : a ? a->local : NULL;
	size_t at = nl_reply(q, LINUX_RTM_NEWROUTE, 0);
	uint32_t cache[8] = { 2 }; /* users */

	if (is_v4(r) && r->type == LINUX_RTN_LOCAL)
		m.flags |= 0x80000000u; /* RTCF_LOCAL */
	if (!is_v4(r)) {
		m.table = (uint8_t)r->table;
		m.protocol = r->protocol;
		m.flags = 0;
		m.src_len = 128;
	}
	strbuf_add(&q->out, &m, sizeof(m));
	/* IPv4's local table is a part of the main one. */
	nl_put_u32(&q->out, RTA_TABLE, is_v4(r) && r->type == LINUX_RTN_LOCAL ? LINUX_RT_TABLE_MAIN : r->table);
	nl_put(&q->out, RTA_DST, dst, ip_len(r->family));
	if (!is_v4(r))
		nl_put(&q->out, RTA_SRC, src, 16);
	if (r->oif)
		nl_put_u32(&q->out, RTA_OIF, (uint32_t)r->oif);
	if (from)
		nl_put(&q->out, RTA_PREFSRC, from, ip_len(r->family));
	if (r->has_gw)
		put_ip(&q->out, RTA_GATEWAY, r, r->gw);
	if (is_v4(r))
		nl_put_u32(&q->out, RTA_UID, q->t->cred->uid);
	else
		nl_put_u32(&q->out, RTA_PRIORITY, r->metric);
	nl_put(&q->out, RTA_CACHEINFO, cache, sizeof(cache));
	if (!is_v4(r))
		nl_put_u8(&q->out, RTA_PREF, 0);
	nl_end(&q->out, at);
}

int rtnl_get_route(struct nl_request *q)
{
	struct nl_attr a[RTA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	struct linux_rtmsg m;
	uint8_t dst[16], src[16];
	struct net_route *r;
	bool has_src;
	int err = body(q, &m, a);

	if (err)
		return err;
	if (!m.family)
		return -EOPNOTSUPP;
	(void)rtnl_ip(&a[RTA_DST], m.family, dst);
	has_src = rtnl_ip(&a[RTA_SRC], m.family, src);
	if (nl_strict(q) && m.dst_len && m.dst_len != ip_len(m.family) * 8)
		return nl_fail(q, -EINVAL, m.family == LINUX_AF_INET ? "ipv4: Invalid values in header for route get request" : "Invalid values in header for route get request");
	if (nl_u32(&a[RTA_OIF], 0) && !netdev_by_index(rtnl_cfg(q), (int32_t)nl_u32(&a[RTA_OIF], 0)))
		return -ENODEV;
	r = net_route_lookup(rtnl_cfg(q), m.family, dst, (int32_t)nl_u32(&a[RTA_OIF], 0), nl_u32(&a[RTA_MARK], 0));
	if (!r)
		return -ENETUNREACH;
	err = route_error(r->type);
	if (err)
		return err;
	if (m.flags & LINUX_RTM_F_FIB_MATCH)
		fill_route(&q->out, r, LINUX_RTM_NEWROUTE, 0, &who);
	else
		fill_cached(q, r, dst, has_src, src);
	return 0;
}

/* --- changes --- */

static int parse(struct nl_request *q, const struct linux_rtmsg *m, const struct nl_attr *a, struct net_route *r)
{
	if (m->dst_len > ip_len(m->family) * 8)
		return nl_fail(q, -EINVAL, m->family == LINUX_AF_INET ? "Invalid prefix length" : "Invalid prefix length");
	if (m->type > LINUX_RTN_MAX)
		return nl_fail(q, -EINVAL, "Invalid route type");
	if (a[RTA_MULTIPATH].data || a[RTA_NH_ID].data || a[RTA_ENCAP].data || a[RTA_VIA].data)
		return -EOPNOTSUPP;
	r->family = m->family;
	r->dst_len = m->dst_len;
	r->tos = m->tos;
	r->scope = m->scope;
	r->type = m->type ? m->type : LINUX_RTN_UNICAST;
	r->protocol = m->protocol;
	r->table = nl_u32(&a[RTA_TABLE], m->table);
	r->table = r->table ? r->table : LINUX_RT_TABLE_MAIN;
	r->flags = m->flags & LINUX_RTNH_F_ONLINK;
	r->oif = (int32_t)nl_u32(&a[RTA_OIF], 0);
	r->metric = nl_u32(&a[RTA_PRIORITY], 0);
	if (m->dst_len && !rtnl_ip(&a[RTA_DST], m->family, r->dst))
		return -EINVAL;
	r->has_gw = rtnl_ip(&a[RTA_GATEWAY], m->family, r->gw) && !ip_is_zero(r->gw, 16);
	r->has_src = rtnl_ip(&a[RTA_PREFSRC], m->family, r->src) && !ip_is_zero(r->src, 16);
	if (a[RTA_METRICS].data) {
		struct nl_attr x[RTAX_MTU + 1];

		if (nl_parse(a[RTA_METRICS].data, a[RTA_METRICS].len, x, RTAX_MTU))
			return -EINVAL;
		r->mtu = nl_u32(&x[RTAX_MTU], 0);
	}
	return 0;
}

static bool no_device(uint8_t type)
{
	return type == LINUX_RTN_BLACKHOLE || type == LINUX_RTN_UNREACHABLE || type == LINUX_RTN_PROHIBIT || type == LINUX_RTN_THROW;
}

/* The next hop must exist: a device that is up, a gateway that is on a link. */
static int check_nexthop(struct nl_request *q, struct net_route *r)
{
	struct netdev *d = r->oif ? netdev_by_index(rtnl_cfg(q), r->oif) : NULL;
	struct net_route *via;
	uint8_t masked[16];

	memcpy(masked, r->dst, 16);
	prefix_mask(masked, ip_len(r->family), r->dst_len);
	if (memcmp(masked, r->dst, 16) != 0) {
		if (is_v4(r))
			return nl_fail(q, -EINVAL, "Invalid prefix for given prefix length");
		memcpy(r->dst, masked, 16); /* IPv6 only looks at the prefix */
	}
	if (no_device(r->type)) {
		r->oif = is_v4(r) ? 0 : LO_IFINDEX;
		return 0;
	}
	if (r->oif && !d)
		return -ENODEV;
	if (r->has_gw && !(r->flags & LINUX_RTNH_F_ONLINK)) {
		via = net_route_lookup(rtnl_cfg(q), r->family, r->gw, r->oif, 0);
		if (is_v4(r) && (!via || no_device(via->type)))
			return nl_fail(q, -ENETUNREACH, "Nexthop has invalid gateway");
		if (!via || no_device(via->type))
			return nl_fail(q, -EHOSTUNREACH, NULL);
		if (via->type == LINUX_RTN_LOCAL)
			return nl_fail(q, -EINVAL, is_v4(r) ? "Nexthop has invalid gateway" : "Gateway can not be a local address");
		if (via->has_gw)
			return nl_fail(q, is_v4(r) ? -ENETUNREACH : -EHOSTUNREACH, is_v4(r) ? "Nexthop has invalid gateway" : NULL);
		if (!r->oif)
			r->oif = via->oif;
		d = netdev_by_index(rtnl_cfg(q), r->oif);
	}
	if (!d)
		return -ENODEV;
	if (!(d->flags & LINUX_IFF_UP))
		return nl_fail(q, -ENETDOWN, is_v4(r) ? "Device for nexthop is not up" : "Nexthop device is not up");
	if (r->has_src) {
		struct net_addr *x;
		bool ours = false;

		list_for_each(x, &rtnl_cfg(q)->addrs, node)
			ours |= x->family == r->family && !memcmp(x->local, r->src, ip_len(r->family));
		if (!ours)
			return nl_fail(q, -EINVAL, is_v4(r) ? "Invalid prefsrc address" : "Invalid source address");
	}
	return 0;
}

static bool same_key(const struct net_route *a, const struct net_route *b)
{
	return a->family == b->family && a->table == b->table && a->dst_len == b->dst_len && a->tos == b->tos && a->metric == b->metric &&
	       !memcmp(a->dst, b->dst, 16);
}

int rtnl_new_route(struct nl_request *q)
{
	struct nl_attr a[RTA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	struct net_route r = { 0 }, *o, *old = NULL;
	struct linux_rtmsg m;
	int err = body(q, &m, a);

	if (err || !m.family)
		return err ? err : -EOPNOTSUPP;
	err = parse(q, &m, a, &r);
	if (err)
		return err;
	if (!is_v4(&r) && !r.metric)
		r.metric = V6_USER_METRIC;
	err = check_nexthop(q, &r);
	if (err)
		return err;
	list_for_each(o, &rtnl_cfg(q)->routes, node)
		if (!old && same_key(o, &r))
			old = o;
	if (old && (q->h.flags & LINUX_NLM_F_EXCL))
		return -EEXIST;
	if (!old && !(q->h.flags & LINUX_NLM_F_CREATE))
		return -ENOENT;
	if (old && (q->h.flags & LINUX_NLM_F_REPLACE)) {
		static const struct nl_who by_kernel;

		net_route_del(rtnl_cfg(q), old, &by_kernel);
		old = NULL;
	}
	return net_route_add(rtnl_cfg(q), &r, q->h.flags & LINUX_NLM_F_APPEND, &who);
}

int rtnl_del_route(struct nl_request *q)
{
	struct nl_attr a[RTA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	struct net_route r = { 0 }, *o;
	struct linux_rtmsg m;
	int err = body(q, &m, a);

	if (err || !m.family)
		return err ? err : -EOPNOTSUPP;
	err = parse(q, &m, a, &r);
	if (err)
		return err;
	prefix_mask(r.dst, ip_len(r.family), r.dst_len);
	/* Every detail that is given must fit; what is not given fits all. */
	list_for_each(o, &rtnl_cfg(q)->routes, node) {
		if (o->family != r.family || o->table != r.table || o->dst_len != r.dst_len || memcmp(o->dst, r.dst, 16) != 0 || o->tos != r.tos)
			continue;
		if ((m.type && o->type != m.type) || (m.protocol && o->protocol != m.protocol) || (r.metric && o->metric != r.metric) ||
		    (r.oif && o->oif != r.oif) || (r.has_gw && memcmp(o->gw, r.gw, 16) != 0) || (r.has_src && memcmp(o->src, r.src, 16) != 0) ||
		    (is_v4(&r) && m.scope != LINUX_RT_SCOPE_NOWHERE && o->scope != m.scope))
			continue;
		net_route_del(rtnl_cfg(q), o, &who);
		return 0;
	}
	return -ESRCH;
}
