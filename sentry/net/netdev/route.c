/* SPDX-License-Identifier: Apache-2.0 */
/* Routes and rules, and what they say about an address. See netdev.h. Linux: net/ipv4/fib_*.c, net/ipv6/route.c, net/core/fib_rules.c. */
#include <stdatomic.h>
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/netdev/netdev_internal.h"
#include "sentry/net/netns.h"

#define FR_ACT_TO_TBL      1
#define FR_ACT_BLACKHOLE   6
#define FR_ACT_UNREACHABLE 7
#define FR_ACT_PROHIBIT    8
#define FIB_RULE_INVERT    2u

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* Linux's order of a dump: by table, then address, of one address the longest prefix first. */
static int compare(const struct net_route *a, const struct net_route *b)
{
	int r;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	r = memcmp(a->dst, b->dst, sizeof(a->dst));
	if (r)
		return r;
	if (a->dst_len != b->dst_len)
		return a->dst_len > b->dst_len ? -1 : 1;
	return a->metric < b->metric ? -1 : a->metric > b->metric;
}

void net_route_link(struct net_cfg *c, struct net_route *r)
{
	struct net_route *o;

	list_for_each(o, &c->routes, node)
		if (compare(o, r) > 0)
			break;
	list_add_tail(&o->node, &r->node); /* before @o */
	c->nr_routes++;
}

int net_route_add(struct net_cfg *c, const struct net_route *want, bool append, const struct nl_who *who)
{
	struct net_route *r, *o;

	if (c->nr_routes >= NETDEV_MAX_ROUTES)
		return -ENOBUFS;
	list_for_each(o, &c->routes, node) {
		if (o->family != want->family || o->table != want->table || o->dst_len != want->dst_len || o->metric != want->metric ||
		    o->tos != want->tos || memcmp(o->dst, want->dst, 16) != 0)
			continue;
		if (!append || (o->type == want->type && o->oif == want->oif && !memcmp(o->gw, want->gw, 16) && !memcmp(o->src, want->src, 16)))
			return -EEXIST;
	}
	r = malloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = *want;
	list_init(&r->node);
	net_route_link(c, r);
	rtnl_notify_route(c, r, false, who);
	net_cfg_changed(c);
	return 0;
}

void net_route_del(struct net_cfg *c, struct net_route *r, const struct nl_who *who)
{
	list_del(&r->node);
	c->nr_routes--;
	rtnl_notify_route(c, r, true, who);
	net_cfg_changed(c);
	free(r);
}

void net_rule_link(struct net_cfg *c, struct net_rule *r)
{
	struct net_rule *o;

	list_for_each(o, &c->rules, node)
		if (o->priority > r->priority)
			break;
	list_add_tail(&o->node, &r->node);
	c->nr_rules++;
}

int net_rule_add(struct net_cfg *c, const struct net_rule *want, const struct nl_who *who)
{
	struct net_rule *r;

	if (c->nr_rules >= NETDEV_MAX_RULES)
		return -ENOBUFS;
	r = malloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = *want;
	list_init(&r->node);
	net_rule_link(c, r);
	rtnl_notify_rule(c, r, false, who);
	net_cfg_changed(c);
	return 0;
}

/* --- looking up --- */

static struct net_route *in_table(struct net_cfg *c, uint32_t table, uint8_t family, const uint8_t *dst, int32_t oif)
{
	struct net_route *r, *best = NULL;

	list_for_each(r, &c->routes, node)
		if (r->family == family && r->table == table && prefix_matches(r->dst, dst, r->dst_len) && (!oif || r->oif == oif || !r->oif) &&
		    !(r->flags & LINUX_RTNH_F_DEAD) && (!best || r->dst_len > best->dst_len))
			best = r;
	return best;
}

static bool rule_matches(struct net_cfg *c, const struct net_rule *u, const uint8_t *dst, int32_t oif, uint32_t mark)
{
	bool ok = prefix_matches(u->dst, dst, u->dst_len);
	struct netdev *d;

	if (u->has_mark && (mark & u->fwmask) != u->fwmark)
		ok = false;
	if (u->iif[0] && strcmp(u->iif, "lo") != 0)
		ok = false; /* what is sent here came in by lo */
	if (u->oif[0]) {
		d = netdev_by_name(c, u->oif);
		ok = ok && d && d->index == oif;
	}
	if (u->src_len)
		ok = false; /* asked before a source is chosen */
	return ok != !!(u->flags & FIB_RULE_INVERT);
}

static struct net_route rule_says[] = {
	[FR_ACT_BLACKHOLE] = { .type = LINUX_RTN_BLACKHOLE },
	[FR_ACT_PROHIBIT] = { .type = LINUX_RTN_PROHIBIT },
};

struct net_route *net_route_lookup(struct net_cfg *c, uint8_t family, const uint8_t *dst, int32_t oif, uint32_t mark)
{
	struct net_rule *u;
	struct net_route *r;

	list_for_each(u, &c->rules, node) {
		if (u->family != family || !rule_matches(c, u, dst, oif, mark))
			continue;
		if (u->action == FR_ACT_UNREACHABLE) /* as if there were no route: ENETUNREACH, not a route's EHOSTUNREACH */
			return NULL;
		if (u->action == FR_ACT_BLACKHOLE || u->action == FR_ACT_PROHIBIT)
			return &rule_says[u->action];
		r = u->action == FR_ACT_TO_TBL ? in_table(c, u->table, family, dst, oif) : NULL;
		if (r && r->type != LINUX_RTN_THROW)
			return r;
	}
	return NULL;
}

/* --- for sockets --- */

/* The address of ours that answers to @dst by @r: of the route, else the first of its device. */
static void source_of(struct net_cfg *c, const struct net_route *r, const uint8_t *dst, uint8_t ret[16])
{
	bool v4 = r->family == LINUX_AF_INET;
	const uint8_t *ip = NULL;
	struct net_addr *a;

	if (r->has_src)
		ip = r->src;
	else if (r->type == LINUX_RTN_LOCAL)
		ip = dst;
	else if ((a = net_addr_first(c, r->oif, r->family)))
		ip = a->local;
	memset(ret, 0, 16);
	if (v4)
		memcpy(ret, mapped_prefix, sizeof(mapped_prefix));
	if (ip)
		memcpy(ret + (v4 ? 12 : 0), ip, v4 ? 4 : 16);
}

enum net_reach net_reach(struct net_ns *net, const uint8_t ip[16], uint8_t ret_src[16])
{
	bool v4 = !memcmp(ip, mapped_prefix, sizeof(mapped_prefix));
	uint8_t dst[16] = { 0 };
	enum net_reach say = NET_UNREACHABLE;
	struct net_route *r;

	memcpy(dst, ip + (v4 ? 12 : 0), v4 ? 4 : 16);
	net_cfg_lock(net->cfg);
	r = net_route_lookup(net->cfg, v4 ? LINUX_AF_INET : LINUX_AF_INET6, dst, 0, 0);
	if (r) {
		switch (r->type) {
		case LINUX_RTN_LOCAL:
			say = NET_LOCAL;
			break;
		case LINUX_RTN_BROADCAST:
			say = NET_BROADCAST;
			break;
		case LINUX_RTN_BLACKHOLE:
			say = NET_INVALID;
			break;
		case LINUX_RTN_UNREACHABLE:
			say = NET_NO_HOST;
			break;
		case LINUX_RTN_PROHIBIT:
			say = NET_PROHIBITED;
			break;
		default:
			say = NET_AWAY;
			break;
		}
		if (ret_src)
			source_of(net->cfg, r, dst, ret_src);
	}
	net_cfg_unlock(net->cfg);
	return say;
}

bool net_is_local(struct net_ns *net, const uint8_t ip[16])
{
	return net_reach(net, ip, NULL) == NET_LOCAL;
}

void net_cfg_changed(struct net_cfg *c)
{
	static const uint8_t lo4[4] = { 127, 0, 0, 1 }, lo6[16] = { [15] = 1 };
	struct net_route *r4, *r6;

	/* rule_says has no device and no interface is numbered 0. */
	r4 = net_route_lookup(c, LINUX_AF_INET, lo4, 0, 0);
	r6 = net_route_lookup(c, LINUX_AF_INET6, lo6, 0, 0);
	atomic_store(&c->net->lo4, r4 && r4->type == LINUX_RTN_LOCAL);
	atomic_store(&c->net->lo6, r6 && r6->type == LINUX_RTN_LOCAL);
}
