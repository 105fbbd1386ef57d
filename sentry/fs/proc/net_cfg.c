/* SPDX-License-Identifier: Apache-2.0 */
/* Files of /proc/net about interfaces, addresses and routes: what sentry/net/netdev/ knows. Linux: net/core/net-procfs.c, net/ipv4/fib_trie.c. */
#include <stdio.h>
#include <string.h>

#include "sentry/fs/proc/net_internal.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/netdev/netdev.h"
#include "sentry/net/netns.h"

#define RTF_UP        0x0001u
#define RTF_GATEWAY   0x0002u
#define RTF_HOST      0x0004u
#define RTF_REJECT    0x0200u
#define RTF_NONEXTHOP 0x00200000u
#define RTF_LOCAL     0x80000000u
#define ROUTE_WIDTH   127u

void net_show_dev(struct net_ns *ns, struct strbuf *b)
{
	struct netdev *d;

	strbuf_adds(b, "Inter-|   Receive                                                |  Transmit\n"
		       " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n");
	net_cfg_lock(ns->cfg);
	list_for_each(d, &ns->cfg->devs, node) {
		const struct netdev_stats *s = &d->stats;

		strbuf_addf(b, "%6s: %7lu %7lu %4lu %4lu %4lu %5lu %10lu %9lu %8lu %7lu %4lu %4lu %4lu %5lu %7lu %10lu\n", d->name, s->rx_bytes,
			    s->rx_packets, s->rx_errors, s->rx_dropped, 0ul, 0ul, 0ul, s->multicast, s->tx_bytes, s->tx_packets, s->tx_errors,
			    s->tx_dropped, 0ul, s->collisions, 0ul, 0ul);
	}
	net_cfg_unlock(ns->cfg);
}

static bool is_reject(const struct net_route *r)
{
	return r->type == LINUX_RTN_UNREACHABLE || r->type == LINUX_RTN_PROHIBIT || r->type == LINUX_RTN_BLACKHOLE;
}

static const char *dev_name(struct net_ns *ns, int32_t index, const char *none)
{
	struct netdev *d = netdev_by_index(ns->cfg, index);

	return d ? d->name : none;
}

static uint32_t be_word(const uint8_t ip[4])
{
	uint32_t v;

	memcpy(&v, ip, sizeof(v)); /* shown as the machine reads it */
	return v;
}

static void one_route(struct net_ns *ns, struct strbuf *b, const struct net_route *r)
{
	uint32_t flags = RTF_UP | (is_reject(r) ? RTF_REJECT : 0) | (r->has_gw ? RTF_GATEWAY : 0) | (r->dst_len == 32 ? RTF_HOST : 0);
	uint8_t mask[4] = { 255, 255, 255, 255 };
	size_t at = b->len;

	prefix_mask(mask, 4, r->dst_len);
	strbuf_addf(b, "%s\t%08X\t%08X\t%04X\t%d\t%u\t%u\t%08X\t%u\t%u\t%u", dev_name(ns, r->oif, "*"), be_word(r->dst), be_word(r->gw), flags, 0, 0,
		    r->metric, be_word(mask), r->mtu, 0, 0);
	while (!b->err && b->len - at < ROUTE_WIDTH)
		strbuf_addc(b, ' ');
	strbuf_addc(b, '\n');
}

void net_show_route(struct net_ns *ns, struct strbuf *b)
{
	struct net_route *r;

	strbuf_adds(b, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
		       "                                                       \n");
	net_cfg_lock(ns->cfg);
	list_for_each(r, &ns->cfg->routes, node)
		if (r->family == LINUX_AF_INET && r->table == LINUX_RT_TABLE_MAIN && (r->type == LINUX_RTN_UNICAST || is_reject(r)))
			one_route(ns, b, r);
	net_cfg_unlock(ns->cfg);
}

static void hex16(struct strbuf *b, const uint8_t ip[16])
{
	for (int i = 0; i < 16; i++)
		strbuf_addf(b, "%02x", ip[i]);
}

static void route6(struct strbuf *b, const uint8_t *dst, unsigned len, const uint8_t *gw, uint32_t metric, unsigned refs, uint32_t flags, const char *dev)
{
	static const uint8_t zero[16];

	hex16(b, dst);
	strbuf_addf(b, " %02x ", len);
	hex16(b, zero);
	strbuf_adds(b, " 00 ");
	hex16(b, gw);
	strbuf_addf(b, " %08x %08x %08x %08x %8s\n", metric, refs, 0, flags, dev);
}

void net_show_ipv6_route(struct net_ns *ns, struct strbuf *b)
{
	static const uint8_t zero[16];
	struct net_route *r;

	net_cfg_lock(ns->cfg);
	list_for_each(r, &ns->cfg->routes, node) {
		uint32_t flags = RTF_UP | (r->has_gw ? RTF_GATEWAY : 0) | (is_reject(r) ? RTF_REJECT | RTF_NONEXTHOP : 0);

		if (r->family != LINUX_AF_INET6)
			continue;
		if (r->type == LINUX_RTN_LOCAL)
			flags |= RTF_LOCAL | RTF_NONEXTHOP;
		route6(b, r->dst, r->dst_len, r->gw, r->metric, r->type == LINUX_RTN_LOCAL ? 2 : 1, flags, dev_name(ns, r->oif, "lo"));
	}
	net_cfg_unlock(ns->cfg);
	/* The route of last resort, which leads nowhere. */
	route6(b, zero, 0, zero, UINT32_MAX, 1, RTF_REJECT | RTF_NONEXTHOP, "lo");
}

static unsigned v6_scope(const struct net_addr *a)
{
	return a->scope == LINUX_RT_SCOPE_HOST ? 0x10 : a->scope == LINUX_RT_SCOPE_LINK ? 0x20 : a->scope == 200 ? 0x40 : 0;
}

void net_show_if_inet6(struct net_ns *ns, struct strbuf *b)
{
	struct net_addr *a;

	net_cfg_lock(ns->cfg);
	list_for_each(a, &ns->cfg->addrs, node) {
		if (a->family != LINUX_AF_INET6)
			continue;
		hex16(b, a->local);
		strbuf_addf(b, " %02x %02x %02x %02x %8s\n", a->index, a->prefixlen, v6_scope(a), a->flags & 0xff, dev_name(ns, a->index, ""));
	}
	net_cfg_unlock(ns->cfg);
}

void net_show_arp(struct net_ns *ns, struct strbuf *b)
{
	struct net_neigh *n;

	strbuf_adds(b, "IP address       HW type     Flags       HW address            Mask     Device\n");
	net_cfg_lock(ns->cfg);
	list_for_each(n, &ns->cfg->neighs, node) {
		struct netdev *d = netdev_by_index(ns->cfg, n->index);
		char ip[16], hw[18] = "00:00:00:00:00:00";
		unsigned flags = n->state & 0x80 ? 6 : n->state & 0xde ? 2 : 0; /* ATF_COM, ATF_PERM */

		if (n->family != LINUX_AF_INET || !d || (n->state & 0x40))
			continue;
		(void)snprintf(ip, sizeof(ip), "%u.%u.%u.%u", n->dst[0], n->dst[1], n->dst[2], n->dst[3]);
		if (n->lladdr_len >= 6)
			(void)snprintf(hw, sizeof(hw), "%02x:%02x:%02x:%02x:%02x:%02x", n->lladdr[0], n->lladdr[1], n->lladdr[2], n->lladdr[3],
				       n->lladdr[4], n->lladdr[5]);
		strbuf_addf(b, "%-16s 0x%-10x0x%-10x%-17s     *        %s\n", ip, d->type, flags, hw, d->name);
	}
	net_cfg_unlock(ns->cfg);
}

static const char *scope_name(uint8_t scope)
{
	switch (scope) {
	case LINUX_RT_SCOPE_UNIVERSE:
		return "universe";
	case LINUX_RT_SCOPE_LINK:
		return "link";
	case LINUX_RT_SCOPE_HOST:
		return "host";
	case LINUX_RT_SCOPE_NOWHERE:
		return "nowhere";
	default:
		return "site";
	}
}

static const char *type_name(uint8_t type)
{
	static const char *const names[] = { "UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE",
					     "PROHIBIT", "THROW", "NAT", "XRESOLVE" };

	return type < ARRAY_SIZE(names) ? names[type] : "unknown";
}

/* One level below the root: scripts look for the leaves ("|-- address", then "/32 host LOCAL"). */
static void trie(struct net_ns *ns, struct strbuf *b, const char *name)
{
	const struct net_route *r, *last = NULL;

	strbuf_addf(b, "%s:\n  +-- 0.0.0.0/0 2 0 2\n", name);
	list_for_each(r, &ns->cfg->routes, node) {
		if (r->family != LINUX_AF_INET || (r->table != LINUX_RT_TABLE_MAIN && r->table != LINUX_RT_TABLE_LOCAL))
			continue;
		if (!last || memcmp(last->dst, r->dst, 4) != 0)
			strbuf_addf(b, "     |-- %u.%u.%u.%u\n", r->dst[0], r->dst[1], r->dst[2], r->dst[3]);
		strbuf_addf(b, "        /%u %s %s\n", r->dst_len, scope_name(r->scope), type_name(r->type));
		last = r;
	}
}

void net_show_fib_trie(struct net_ns *ns, struct strbuf *b)
{
	struct net_route *r;
	bool any = false;

	net_cfg_lock(ns->cfg);
	list_for_each(r, &ns->cfg->routes, node)
		any |= r->family == LINUX_AF_INET;
	/* Without rules of one's own, Linux keeps both tables in one. */
	if (any) {
		trie(ns, b, "Main");
		trie(ns, b, "Local");
	}
	net_cfg_unlock(ns->cfg);
}

/* The groups every interface that is up is in; those that sockets have joined are not told. */
void net_show_igmp(struct net_ns *ns, struct strbuf *b)
{
	struct netdev *d;

	strbuf_adds(b, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n");
	net_cfg_lock(ns->cfg);
	list_for_each(d, &ns->cfg->devs, node) {
		bool up = d->flags & LINUX_IFF_UP;

		strbuf_addf(b, "%d\t%-10s: %5d %7s\n", d->index, d->name, up, "V3");
		if (up)
			strbuf_adds(b, "\t\t\t\t010000E0     1 0:00000000\t\t0\n");
	}
	net_cfg_unlock(ns->cfg);
}

void net_show_igmp6(struct net_ns *ns, struct strbuf *b)
{
	struct netdev *d;

	net_cfg_lock(ns->cfg);
	list_for_each(d, &ns->cfg->devs, node) {
		if (d->flags & LINUX_IFF_UP)
			strbuf_addf(b, "%-4d %-15s ff020000000000000000000000000001     1 0000000C 0\n", d->index, d->name);
		strbuf_addf(b, "%-4d %-15s ff010000000000000000000000000001     1 00000008 0\n", d->index, d->name);
	}
	net_cfg_unlock(ns->cfg);
}
