/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of interfaces, and the routes that come and go with them. See netdev.h. Linux: net/ipv4/devinet.c, fib_frontend.c, net/ipv6/addrconf.c. */
#include <stdio.h>
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/netdev/netdev_internal.h"

#define METRIC_V6 256u /* IP6_RT_PRIO_ADDRCONF */

static const struct nl_who by_kernel;

bool ip_is_zero(const uint8_t *ip, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ip[i])
			return false;
	return true;
}

bool prefix_matches(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned n = bits / 8, rest = bits % 8;

	return !memcmp(a, b, n) && (!rest || !((a[n] ^ b[n]) >> (8 - rest)));
}

void prefix_mask(uint8_t *ip, size_t n, unsigned bits)
{
	for (size_t i = 0; i < n; i++) {
		if (i * 8 >= bits)
			ip[i] = 0;
		else if (bits - i * 8 < 8)
			ip[i] &= (uint8_t)(0xff << (8 - (bits - i * 8)));
	}
}

struct net_addr *net_addr_first(struct net_cfg *c, int32_t index, uint8_t family)
{
	struct net_addr *a;

	list_for_each(a, &c->addrs, node)
		if (a->index == index && a->family == family)
			return a;
	return NULL;
}

uint32_t net_addr_left(uint32_t life, const struct net_addr *a)
{
	int64_t gone = (ktime_mono() - a->changed) / NSEC_PER_SEC;

	if (life == UINT32_MAX)
		return life;
	return gone < (int64_t)life ? (uint32_t)((int64_t)life - gone) : 0;
}

/* One of the kernel's own routes: @type in table local or main. */
static void kernel_route(struct net_cfg *c, const struct net_addr *a, uint8_t type, const uint8_t *dst, uint8_t len, uint32_t metric, bool add)
{
	struct net_route r = {
		.family = a->family,
		.dst_len = len,
		.type = type,
		.protocol = LINUX_RTPROT_KERNEL,
		.table = type == LINUX_RTN_UNICAST ? LINUX_RT_TABLE_MAIN : LINUX_RT_TABLE_LOCAL,
		.oif = a->index,
		.metric = metric,
	};
	struct net_route *o, *tmp;

	memcpy(r.dst, dst, ip_len(a->family));
	if (a->family == LINUX_AF_INET) {
		r.scope = type == LINUX_RTN_LOCAL ? LINUX_RT_SCOPE_HOST : LINUX_RT_SCOPE_LINK;
		memcpy(r.src, a->local, 4);
		r.has_src = true;
	}
	if (add) {
		(void)net_route_add(c, &r, false, &by_kernel);
		return;
	}
	list_for_each_safe(o, tmp, &c->routes, node) {
		if (o->family == r.family && o->dst_len == len && o->type == type && o->table == r.table && o->oif == r.oif &&
		    o->protocol == LINUX_RTPROT_KERNEL && !memcmp(o->dst, r.dst, 16) && (!r.has_src || !memcmp(o->src, r.src, 4))) {
			net_route_del(c, o, &by_kernel);
			break;
		}
	}
}

static void routes_v4(struct net_cfg *c, const struct net_addr *a, const struct netdev *d, bool add)
{
	uint8_t net[4], all[4];

	memcpy(net, a->peer, 4);
	prefix_mask(net, 4, a->prefixlen);
	kernel_route(c, a, LINUX_RTN_LOCAL, a->local, 32, 0, add);
	if (a->has_brd && memcmp(a->brd, (const uint8_t[4]){ 255, 255, 255, 255 }, 4) != 0)
		kernel_route(c, a, LINUX_RTN_BROADCAST, a->brd, 32, 0, add);
	if (!net[0] || (a->flags & LINUX_IFA_F_SECONDARY) || (a->prefixlen == 32 && !memcmp(net, a->local, 4)))
		return;
	if (!(a->flags & LINUX_IFA_F_NOPREFIXROUTE))
		kernel_route(c, a, netdev_is_lo(d) ? LINUX_RTN_LOCAL : LINUX_RTN_UNICAST, net, a->prefixlen, a->metric, add);
	if (a->prefixlen >= 31)
		return;
	for (int i = 0; i < 4; i++) {
		uint8_t mask[4] = { 255, 255, 255, 255 };

		prefix_mask(mask, 4, a->prefixlen);
		all[i] = (uint8_t)(net[i] | ~mask[i]);
	}
	if (!a->has_brd || memcmp(all, a->brd, 4) != 0)
		kernel_route(c, a, LINUX_RTN_BROADCAST, all, 32, 0, add);
}

static void routes_v6(struct net_cfg *c, const struct net_addr *a, const struct netdev *d, bool add)
{
	uint8_t net[16];

	memcpy(net, a->peer, 16);
	prefix_mask(net, 16, a->prefixlen);
	kernel_route(c, a, LINUX_RTN_LOCAL, a->local, 128, 0, add);
	if (!(a->flags & LINUX_IFA_F_NOPREFIXROUTE))
		kernel_route(c, a, LINUX_RTN_UNICAST, net, a->prefixlen, a->metric ? a->metric : METRIC_V6, add);
	if (a->scope == LINUX_RT_SCOPE_LINK && !netdev_is_lo(d)) {
		memset(net, 0, sizeof(net));
		net[0] = 0xff;
		kernel_route(c, a, LINUX_RTN_MULTICAST, net, 8, METRIC_V6, add);
	}
}

void net_addr_routes(struct net_cfg *c, const struct net_addr *a, bool add)
{
	struct netdev *d = netdev_by_index(c, a->index);

	if (!d || (add && !(d->flags & LINUX_IFF_UP)))
		return;
	if (a->family == LINUX_AF_INET)
		routes_v4(c, a, d, add);
	else
		routes_v6(c, a, d, add);
}

static uint8_t v6_scope(const uint8_t *ip)
{
	if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80)
		return LINUX_RT_SCOPE_LINK;
	if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0xc0)
		return 200; /* RT_SCOPE_SITE */
	return ip_is_zero(ip, 15) && ip[15] == 1 ? LINUX_RT_SCOPE_HOST : LINUX_RT_SCOPE_UNIVERSE;
}

int net_addr_add(struct net_cfg *c, const struct net_addr *want, const struct nl_who *who, struct net_addr **ret)
{
	struct net_addr *a, *o;
	bool secondary = false;

	if (c->nr_addrs >= NETDEV_MAX_ADDRS)
		return -ENOBUFS;
	list_for_each(o, &c->addrs, node) {
		if (o->index != want->index || o->family != want->family)
			continue;
		if (!memcmp(o->local, want->local, ip_len(o->family)) && (o->family == LINUX_AF_INET6 || o->prefixlen == want->prefixlen))
			return -EEXIST;
		if (o->family == LINUX_AF_INET && o->prefixlen == want->prefixlen && prefix_matches(o->peer, want->peer, o->prefixlen))
			secondary = true;
	}
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = *want;
	if (a->family == LINUX_AF_INET6)
		a->scope = v6_scope(a->local);
	a->flags = secondary ? a->flags | LINUX_IFA_F_SECONDARY : a->flags & ~LINUX_IFA_F_SECONDARY;
	a->created = a->changed = ktime_mono();
	list_add_tail(&c->addrs, &a->node);
	c->nr_addrs++;
	rtnl_notify_addr(c, a, false, who); /* before its routes, as Linux tells it */
	net_addr_routes(c, a, true);
	net_cfg_changed(c);
	if (ret)
		*ret = a;
	return 0;
}

void net_addr_del(struct net_cfg *c, struct net_addr *a, const struct nl_who *who)
{
	struct net_addr *o, *tmp;

	list_del(&a->node);
	c->nr_addrs--;
	rtnl_notify_addr(c, a, true, who);
	net_addr_routes(c, a, false);
	/* Without net.ipv4.conf.*.promote_secondaries, the secondaries of a subnet go with its primary. */
	list_for_each_safe(o, tmp, &c->addrs, node) {
		if (a->family == LINUX_AF_INET && !(a->flags & LINUX_IFA_F_SECONDARY) && o->index == a->index && o->family == a->family &&
		    (o->flags & LINUX_IFA_F_SECONDARY) && o->prefixlen == a->prefixlen && prefix_matches(o->peer, a->peer, a->prefixlen)) {
			list_del(&o->node);
			c->nr_addrs--;
			rtnl_notify_addr(c, o, true, who);
			net_addr_routes(c, o, false);
			free(o);
		}
	}
	net_cfg_changed(c);
	free(a);
}
