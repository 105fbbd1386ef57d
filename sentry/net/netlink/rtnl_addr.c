/* SPDX-License-Identifier: Apache-2.0 */
/* RTM_*ADDR. See rtnl.h. Linux: net/ipv4/devinet.c, net/ipv6/addrconf.c. */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/netlink/rtnl.h"

enum {
	IFA_ADDRESS = 1, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_ANYCAST, IFA_CACHEINFO, IFA_MULTICAST, IFA_FLAGS, IFA_RT_PRIORITY,
	IFA_TARGET_NETNSID, IFA_PROTO,
};
#define IFA_MAX_NR   IFA_PROTO
#define NSEC_PER_CSEC 10000000

struct cacheinfo {
	uint32_t preferred, valid, created, changed; /* seconds; hundredths of seconds */
};

static bool is_v4(const struct net_addr *a)
{
	return a->family == LINUX_AF_INET;
}

static void fill_addr(struct strbuf *b, const struct net_addr *a, uint16_t type, uint16_t flags, const struct nl_who *who)
{
	struct linux_ifaddrmsg i = { a->family, a->prefixlen, (uint8_t)a->flags, a->scope, (uint32_t)a->index };
	struct cacheinfo ci = {
		net_addr_left(a->preferred, a), net_addr_left(a->valid, a), (uint32_t)(a->created / NSEC_PER_CSEC),
		(uint32_t)(a->changed / NSEC_PER_CSEC),
	};
	size_t at = nl_begin(b, type, flags, who->seq, who->portid), n = ip_len(a->family);

	strbuf_add(b, &i, sizeof(i));
	if (is_v4(a)) {
		nl_put(b, IFA_ADDRESS, a->peer, n);
		nl_put(b, IFA_LOCAL, a->local, n);
		if (a->has_brd)
			nl_put(b, IFA_BROADCAST, a->brd, n);
		if (a->label[0])
			nl_put_str(b, IFA_LABEL, a->label);
	} else if (memcmp(a->local, a->peer, n) != 0) {
		nl_put(b, IFA_LOCAL, a->local, n);
		nl_put(b, IFA_ADDRESS, a->peer, n);
	} else {
		nl_put(b, IFA_ADDRESS, a->local, n);
	}
	if (a->proto)
		nl_put_u8(b, IFA_PROTO, a->proto);
	nl_put_u32(b, IFA_FLAGS, a->flags);
	if (a->metric)
		nl_put_u32(b, IFA_RT_PRIORITY, a->metric);
	nl_put(b, IFA_CACHEINFO, &ci, sizeof(ci));
	nl_end(b, at);
}

struct addr_note {
	const struct net_addr *a;
	bool del;
};

static void fill_note(struct strbuf *b, const void *what, const struct nl_who *who)
{
	const struct addr_note *n = what;

	fill_addr(b, n->a, n->del ? LINUX_RTM_DELADDR : LINUX_RTM_NEWADDR, 0, who);
}

void rtnl_notify_addr(struct net_cfg *c, const struct net_addr *a, bool del, const struct nl_who *who)
{
	const struct addr_note n = { a, del };

	rtnl_notify(c, is_v4(a) ? LINUX_RTNLGRP_IPV4_IFADDR : LINUX_RTNLGRP_IPV6_IFADDR, who, fill_note, &n);
}

static int body(struct nl_request *q, struct linux_ifaddrmsg *i, struct nl_attr *a)
{
	int r = nl_attrs(q, sizeof(*i), a, IFA_MAX_NR);

	if (r)
		return r;
	memcpy(i, q->body, sizeof(*i));
	return i->family == LINUX_AF_INET || i->family == LINUX_AF_INET6 || !i->family ? 0 : -EOPNOTSUPP;
}

int rtnl_dump_addr(struct nl_request *q)
{
	struct nl_attr a[IFA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	struct linux_ifaddrmsg i = { .family = rtnl_family(q) };
	uint32_t index = 0;
	struct net_addr *x;
	struct netdev *d;

	if (nl_strict(q)) {
		if (body(q, &i, a) == -EINVAL)
			return nl_fail(q, -EINVAL, "ipv4: Invalid header for address dump request");
		if (i.prefixlen || i.flags || i.scope)
			return nl_fail(q, -EINVAL, "ipv4: Invalid values in header for address dump request");
		if (a[IFA_TARGET_NETNSID].data)
			return -EINVAL;
		index = i.index;
		if (index && !netdev_by_index(rtnl_cfg(q), (int32_t)index))
			return -ENODEV;
	}
	/* Linux goes by family, then device. */
	for (int v6 = 0; v6 < 2; v6++) {
		uint8_t family = v6 ? LINUX_AF_INET6 : LINUX_AF_INET;

		if (i.family && i.family != family)
			continue;
		list_for_each(d, &rtnl_cfg(q)->devs, node) {
			if (index && d->index != (int32_t)index)
				continue;
			list_for_each(x, &rtnl_cfg(q)->addrs, node) {
				size_t at = q->out.len;

				if (x->index != d->index || x->family != family)
					continue;
				fill_addr(&q->out, x, LINUX_RTM_NEWADDR, RTNL_DUMP(index), &who);
				nl_dump_next(q, at);
			}
		}
	}
	return 0;
}

static struct net_addr *find(struct nl_request *q, int32_t index, uint8_t family, const uint8_t *local)
{
	struct net_addr *x;

	list_for_each(x, &rtnl_cfg(q)->addrs, node)
		if ((!index || x->index == index) && x->family == family && !memcmp(x->local, local, ip_len(family)))
			return x;
	return NULL;
}

int rtnl_get_addr(struct nl_request *q)
{
	struct nl_attr a[IFA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	struct linux_ifaddrmsg i;
	struct net_addr *x;
	uint8_t ip[16];
	int r = body(q, &i, a);

	if (r)
		return r;
	if (i.family != LINUX_AF_INET6)
		return -EOPNOTSUPP; /* Linux has no such request for IPv4 */
	if (!rtnl_ip(a[IFA_LOCAL].data ? &a[IFA_LOCAL] : &a[IFA_ADDRESS], i.family, ip))
		return -EINVAL;
	x = find(q, (int32_t)i.index, i.family, ip);
	if (!x)
		return -EADDRNOTAVAIL;
	fill_addr(&q->out, x, LINUX_RTM_NEWADDR, 0, &who);
	return 0;
}

static bool lifetimes(const struct nl_attr *a, struct net_addr *x)
{
	struct cacheinfo ci;

	x->valid = x->preferred = UINT32_MAX;
	if (!a->data)
		return true;
	if (a->len < sizeof(ci))
		return false;
	memcpy(&ci, a->data, sizeof(ci));
	if (!ci.valid || ci.preferred > ci.valid)
		return false;
	x->valid = ci.valid;
	x->preferred = ci.preferred;
	return true;
}

/* What the request says of an address, into @x. */
static int parse(struct nl_request *q, const struct linux_ifaddrmsg *i, const struct nl_attr *a, const struct netdev *d, struct net_addr *x)
{
	bool has_local = rtnl_ip(&a[IFA_LOCAL], i->family, x->local), has_addr = rtnl_ip(&a[IFA_ADDRESS], i->family, x->peer);

	x->family = i->family;
	x->prefixlen = i->prefixlen;
	x->scope = i->scope;
	x->index = (int32_t)i->index;
	x->flags = nl_u32(&a[IFA_FLAGS], i->flags) & ~LINUX_IFA_F_PERMANENT;
	x->metric = nl_u32(&a[IFA_RT_PRIORITY], 0);
	if (a[IFA_PROTO].data && a[IFA_PROTO].len)
		x->proto = a[IFA_PROTO].data[0];
	if (!lifetimes(&a[IFA_CACHEINFO], x))
		return nl_fail(q, -EINVAL, i->family == LINUX_AF_INET ? "ipv4: Invalid address lifetime" : NULL);
	if (x->valid == UINT32_MAX)
		x->flags |= LINUX_IFA_F_PERMANENT;
	if (i->family == LINUX_AF_INET) {
		if (!has_local)
			return nl_fail(q, -EINVAL, "ipv4: Local address is not supplied");
		if (!has_addr)
			memcpy(x->peer, x->local, 4);
		if (a[IFA_BROADCAST].data && a[IFA_BROADCAST].len >= 4) {
			memcpy(x->brd, a[IFA_BROADCAST].data, 4);
			x->has_brd = !ip_is_zero(x->brd, 4);
		}
		if (!nl_str(&a[IFA_LABEL], x->label, sizeof(x->label)))
			memcpy(x->label, d->name, sizeof(x->label));
		return 0;
	}
	if (!has_local && !has_addr)
		return -EINVAL;
	if (!has_local)
		memcpy(x->local, x->peer, 16);
	if (!has_addr)
		memcpy(x->peer, x->local, 16);
	return 0;
}

int rtnl_new_addr(struct nl_request *q)
{
	struct nl_attr a[IFA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	struct net_addr x = { 0 }, *o;
	struct linux_ifaddrmsg i;
	struct netdev *d;
	int r = body(q, &i, a);

	if (r || !i.family)
		return r ? r : -EOPNOTSUPP;
	if (i.prefixlen > ip_len(i.family) * 8)
		return nl_fail(q, -EINVAL, i.family == LINUX_AF_INET ? "ipv4: Invalid prefix length" : NULL);
	d = netdev_by_index(rtnl_cfg(q), (int32_t)i.index);
	if (!d)
		return nl_fail(q, -ENODEV, i.family == LINUX_AF_INET ? "ipv4: Device not found" : NULL);
	r = parse(q, &i, a, d, &x);
	if (r)
		return r;
	if (i.family == LINUX_AF_INET6 && (x.local[0] == 0xff || ip_is_zero(x.local, 16)))
		return -EADDRNOTAVAIL;
	o = find(q, x.index, x.family, x.local);
	if (o && (o->family == LINUX_AF_INET6 || o->prefixlen == x.prefixlen)) {
		if ((q->h.flags & LINUX_NLM_F_EXCL) || !(q->h.flags & LINUX_NLM_F_REPLACE))
			return nl_fail(q, -EEXIST, i.family == LINUX_AF_INET ? "ipv4: Address already assigned" : "ipv6: address already assigned");
		o->valid = x.valid;
		o->preferred = x.preferred;
		o->flags = (o->flags & ~LINUX_IFA_F_PERMANENT) | (x.flags & LINUX_IFA_F_PERMANENT);
		o->changed = ktime_mono();
		rtnl_notify_addr(rtnl_cfg(q), o, false, &who);
		return 0;
	}
	return net_addr_add(rtnl_cfg(q), &x, &who, NULL);
}

int rtnl_del_addr(struct nl_request *q)
{
	struct nl_attr a[IFA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	uint8_t local[16], peer[16];
	bool has_local, has_peer;
	struct linux_ifaddrmsg i;
	struct net_addr *x;
	char label[NETDEV_NAME];
	int r = body(q, &i, a);

	if (r || !i.family)
		return r ? r : -EOPNOTSUPP;
	if (!netdev_by_index(rtnl_cfg(q), (int32_t)i.index))
		return i.family == LINUX_AF_INET ? nl_fail(q, -ENODEV, "ipv4: Device not found") : -ENODEV;
	has_local = rtnl_ip(&a[IFA_LOCAL], i.family, local);
	has_peer = rtnl_ip(&a[IFA_ADDRESS], i.family, peer);
	if (i.family == LINUX_AF_INET6 && !has_local && !has_peer)
		return -EINVAL;
	list_for_each(x, &rtnl_cfg(q)->addrs, node) {
		if (x->index != (int32_t)i.index || x->family != i.family)
			continue;
		if (has_local && memcmp(x->local, local, ip_len(i.family)) != 0)
			continue;
		if (i.family == LINUX_AF_INET) {
			if (nl_str(&a[IFA_LABEL], label, sizeof(label)) && strcmp(label, x->label) != 0)
				continue;
			if (has_peer && (x->prefixlen != i.prefixlen || !prefix_matches(x->peer, peer, i.prefixlen)))
				continue;
		} else if ((!has_local && memcmp(x->local, peer, 16) != 0) || x->prefixlen != i.prefixlen) {
			continue;
		}
		net_addr_del(rtnl_cfg(q), x, &who);
		return 0;
	}
	return nl_fail(q, -EADDRNOTAVAIL, i.family == LINUX_AF_INET ? "ipv4: Address not found" : "address not found");
}
