/* SPDX-License-Identifier: Apache-2.0 */
/* RTM_*LINK. See rtnl.h. Linux: net/core/rtnetlink.c (rtnl_fill_ifinfo, do_setlink, __rtnl_newlink). */
#include <stdio.h>
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/netlink/rtnl.h"

enum {
	IFLA_ADDRESS = 1, IFLA_BROADCAST, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_QDISC, IFLA_STATS,
	IFLA_MASTER = 10, IFLA_TXQLEN = 13, IFLA_MAP, IFLA_OPERSTATE = 16, IFLA_LINKMODE, IFLA_LINKINFO, IFLA_NET_NS_PID, IFLA_IFALIAS,
	IFLA_STATS64 = 23, IFLA_AF_SPEC = 26, IFLA_GROUP, IFLA_NET_NS_FD, IFLA_EXT_MASK, IFLA_PROMISCUITY, IFLA_NUM_TX_QUEUES,
	IFLA_NUM_RX_QUEUES, IFLA_CARRIER, IFLA_CARRIER_CHANGES = 35, IFLA_PROTO_DOWN = 39, IFLA_GSO_MAX_SEGS, IFLA_GSO_MAX_SIZE, IFLA_XDP = 43,
	IFLA_TARGET_NETNSID = 46, IFLA_CARRIER_UP_COUNT, IFLA_CARRIER_DOWN_COUNT, IFLA_MIN_MTU = 50, IFLA_MAX_MTU, IFLA_ALT_IFNAME = 53,
	IFLA_GRO_MAX_SIZE = 58, IFLA_TSO_MAX_SIZE, IFLA_TSO_MAX_SEGS, IFLA_ALLMULTI,
};
#define IFLA_MAX_NR     IFLA_ALLMULTI
#define IFLA_INFO_KIND  1
#define EXT_SKIP_STATS  8u
#define ADDR_GEN_MODE   8
#define CONF_FIELDS_V4  33 /* struct ipv4_devconf as user space knows it */

/* Of both statistics: the first ten fields; then details that are all 0. */
static void put_stats(struct strbuf *b, const struct netdev_stats *s)
{
	const uint64_t first[10] = { s->rx_packets, s->tx_packets, s->rx_bytes, s->tx_bytes, s->rx_errors, s->tx_errors, s->rx_dropped,
				     s->tx_dropped, s->multicast, s->collisions };
	uint64_t v64[25] = { 0 };
	uint32_t v32[24] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
		v64[i] = first[i];
		v32[i] = (uint32_t)first[i];
	}
	nl_put(b, IFLA_STATS64, v64, sizeof(v64));
	nl_put(b, IFLA_STATS, v32, sizeof(v32));
}

static void put_af_spec(struct strbuf *b)
{
	size_t at = nl_nest(b, IFLA_AF_SPEC), in;
	uint32_t conf[CONF_FIELDS_V4] = { 0 };

	in = nl_nest(b, LINUX_AF_INET);
	nl_put(b, 1 /* IFLA_INET_CONF */, conf, sizeof(conf));
	nl_nest_end(b, in);
	in = nl_nest(b, LINUX_AF_INET6);
	nl_put_u32(b, 1 /* IFLA_INET6_FLAGS */, 0x80000000u /* IF_READY */);
	nl_put_u8(b, ADDR_GEN_MODE, 0 /* EUI64 */);
	nl_nest_end(b, in);
	nl_nest_end(b, at);
}

static void fill_link(struct strbuf *b, const struct netdev *d, uint16_t type, uint16_t flags, uint32_t change, const struct nl_who *who, bool stats)
{
	struct linux_ifinfomsg i = { .type = d->type, .index = d->index, .flags = netdev_flags(d), .change = change };
	bool up = d->flags & LINUX_IFF_UP;
	size_t at = nl_begin(b, type, flags, who->seq, who->portid), in;
	uint8_t map[32] = { 0 };

	strbuf_add(b, &i, sizeof(i));
	nl_put_str(b, IFLA_IFNAME, d->name);
	nl_put_u32(b, IFLA_TXQLEN, d->txqlen);
	nl_put_u8(b, IFLA_OPERSTATE, netdev_operstate(d));
	nl_put_u8(b, IFLA_LINKMODE, 0);
	nl_put_u32(b, IFLA_MTU, d->mtu);
	nl_put_u32(b, IFLA_MIN_MTU, 0);
	nl_put_u32(b, IFLA_MAX_MTU, 0);
	nl_put_u32(b, IFLA_GROUP, d->group);
	nl_put_u32(b, IFLA_PROMISCUITY, 0);
	nl_put_u32(b, IFLA_ALLMULTI, 0);
	nl_put_u32(b, IFLA_NUM_TX_QUEUES, 1);
	nl_put_u32(b, IFLA_GSO_MAX_SEGS, 65535);
	nl_put_u32(b, IFLA_GSO_MAX_SIZE, 65536);
	nl_put_u32(b, IFLA_GRO_MAX_SIZE, 65536);
	nl_put_u32(b, IFLA_TSO_MAX_SIZE, netdev_is_lo(d) ? 524280 : 65536);
	nl_put_u32(b, IFLA_TSO_MAX_SEGS, 65535);
	nl_put_u32(b, IFLA_NUM_RX_QUEUES, 1);
	nl_put_u8(b, IFLA_CARRIER, d->operstate < 0 || (d->flags & LINUX_IFF_LOWER_UP) != 0);
	nl_put_str(b, IFLA_QDISC, up ? "noqueue" : "noop");
	if (d->link)
		nl_put_u32(b, IFLA_LINK, (uint32_t)d->link);
	if (d->master)
		nl_put_u32(b, IFLA_MASTER, (uint32_t)d->master);
	if (d->alias[0])
		nl_put_str(b, IFLA_IFALIAS, d->alias);
	nl_put_u32(b, IFLA_CARRIER_CHANGES, 0);
	nl_put_u8(b, IFLA_PROTO_DOWN, 0);
	nl_put_u32(b, IFLA_CARRIER_UP_COUNT, 0);
	nl_put_u32(b, IFLA_CARRIER_DOWN_COUNT, 0);
	nl_put(b, IFLA_MAP, map, sizeof(map));
	if (d->addr_len) {
		nl_put(b, IFLA_ADDRESS, d->addr, d->addr_len);
		nl_put(b, IFLA_BROADCAST, d->brd, d->addr_len);
	}
	if (stats)
		put_stats(b, &d->stats);
	in = nl_nest(b, IFLA_XDP);
	nl_put_u8(b, 2 /* IFLA_XDP_ATTACHED */, 0);
	nl_nest_end(b, in);
	if (d->kind[0]) {
		in = nl_nest(b, IFLA_LINKINFO);
		nl_put_str(b, IFLA_INFO_KIND, d->kind);
		nl_nest_end(b, in);
	}
	put_af_spec(b);
	nl_end(b, at);
}

struct link_note {
	const struct netdev *d;
	bool del;
	uint32_t change;
};

static void fill_note(struct strbuf *b, const void *what, const struct nl_who *who)
{
	const struct link_note *n = what;

	fill_link(b, n->d, n->del ? LINUX_RTM_DELLINK : LINUX_RTM_NEWLINK, 0, n->change, who, true);
}

void rtnl_notify_link(struct net_cfg *c, const struct netdev *d, bool del, uint32_t change, const struct nl_who *who)
{
	const struct link_note n = { d, del, change };

	rtnl_notify(c, LINUX_RTNLGRP_LINK, who, fill_note, &n);
}

static int body(struct nl_request *q, struct linux_ifinfomsg *i, struct nl_attr *a)
{
	int r = nl_attrs(q, sizeof(*i), a, IFLA_MAX_NR);

	if (!r)
		memcpy(i, q->body, sizeof(*i));
	return r;
}

/* By index or name; *@ret_named: something named it. */
static struct netdev *find(struct nl_request *q, const struct linux_ifinfomsg *i, const struct nl_attr *a, bool *ret_named)
{
	char name[NETDEV_NAME];

	*ret_named = true;
	if (i->index > 0)
		return netdev_by_index(rtnl_cfg(q), i->index);
	if (a[IFLA_IFNAME].data || a[IFLA_ALT_IFNAME].data)
		return nl_str(a[IFLA_IFNAME].data ? &a[IFLA_IFNAME] : &a[IFLA_ALT_IFNAME], name, sizeof(name)) ? netdev_by_name(rtnl_cfg(q), name) :
														   NULL;
	*ret_named = false;
	return NULL;
}

int rtnl_get_link(struct nl_request *q)
{
	struct nl_attr a[IFLA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	struct linux_ifinfomsg i;
	struct netdev *d;
	bool named;
	int r = body(q, &i, a);

	if (r)
		return r;
	if (nl_strict(q) && (i.pad || i.type || i.flags || i.change))
		return nl_fail(q, -EINVAL, "Invalid values in header for get link request");
	if (a[IFLA_TARGET_NETNSID].data)
		return -EINVAL; /* namespaces have no ids here */
	d = find(q, &i, a, &named);
	if (!d)
		return named ? -ENODEV : -EINVAL;
	fill_link(&q->out, d, LINUX_RTM_NEWLINK, 0, 0, &who, !(nl_u32(&a[IFLA_EXT_MASK], 0) & EXT_SKIP_STATS));
	return 0;
}

static bool kind_of(const struct nl_attr *info, char *kind, size_t size)
{
	struct nl_attr in[IFLA_INFO_KIND + 1];

	return info->data && nl_parse(info->data, info->len, in, IFLA_INFO_KIND) == 0 && nl_str(&in[IFLA_INFO_KIND], kind, size);
}

int rtnl_dump_link(struct nl_request *q)
{
	struct nl_attr a[IFLA_MAX_NR + 1] = { 0 };
	const struct nl_who who = rtnl_who(q);
	uint32_t master, mask;
	struct linux_ifinfomsg i = { 0 };
	char kind[NETDEV_NAME] = "";
	struct netdev *d;
	bool filtered;
	int r = body(q, &i, a);

	/* Old callers send a struct rtgenmsg. */
	if (r && nl_strict(q))
		return nl_fail(q, -EINVAL, "Invalid header for link dump");
	if (!r && nl_strict(q) && (i.pad || i.type || i.flags || i.change))
		return nl_fail(q, -EINVAL, "Invalid values in header for link dump request");
	if (!r && nl_strict(q) && i.index)
		return nl_fail(q, -EINVAL, "Filter by device index not supported for link dumps");
	if (a[IFLA_TARGET_NETNSID].data)
		return -EINVAL;
	master = nl_u32(&a[IFLA_MASTER], 0);
	mask = nl_u32(&a[IFLA_EXT_MASK], 0);
	(void)kind_of(&a[IFLA_LINKINFO], kind, sizeof(kind));
	filtered = master || kind[0];
	list_for_each(d, &rtnl_cfg(q)->devs, node) {
		size_t at = q->out.len;

		if ((master && (uint32_t)d->master != master) || (kind[0] && strcmp(d->kind, kind) != 0))
			continue;
		fill_link(&q->out, d, LINUX_RTM_NEWLINK, RTNL_DUMP(filtered), 0, &who, !(mask & EXT_SKIP_STATS));
		nl_dump_next(q, at);
	}
	return 0;
}

/* --- changes --- */

static int set_flags(struct nl_request *q, struct netdev *d, const struct linux_ifinfomsg *i)
{
	const uint32_t may = LINUX_IFF_NOARP | LINUX_IFF_ALLMULTI | LINUX_IFF_MULTICAST | LINUX_IFF_PROMISC | LINUX_IFF_DYNAMIC;
	uint32_t change = i->change ? i->change : UINT32_MAX, now = (d->flags & ~change) | (i->flags & change), other;
	const struct nl_who who = rtnl_who(q);

	if (!i->flags && !i->change)
		return 0;
	other = (d->flags ^ now) & may;
	if (other) {
		d->flags ^= other;
		if ((now ^ d->flags) & LINUX_IFF_UP)
			other = 0; /* told with it */
	}
	if ((now ^ d->flags) & LINUX_IFF_UP)
		return netdev_set_up(rtnl_cfg(q), d, now & LINUX_IFF_UP, &who);
	if (other)
		rtnl_notify_link(rtnl_cfg(q), d, false, other, &who);
	return 0;
}

/* Attributes of a link that exists. */
static int set_link(struct nl_request *q, struct netdev *d, const struct linux_ifinfomsg *i, const struct nl_attr *a)
{
	const struct nl_who who = rtnl_who(q);
	char name[NETDEV_NAME];
	bool told = false;
	uint32_t v;
	int r;

	if (a[IFLA_NET_NS_PID].data || a[IFLA_NET_NS_FD].data)
		return rtnl_move_link(q, d, &a[IFLA_NET_NS_PID], &a[IFLA_NET_NS_FD]);
	if (a[IFLA_MASTER].data && nl_u32(&a[IFLA_MASTER], 0))
		return -EOPNOTSUPP;
	if (a[IFLA_ADDRESS].data) {
		if (netdev_is_lo(d))
			return -EOPNOTSUPP;
		if (a[IFLA_ADDRESS].len < d->addr_len)
			return -EINVAL;
		if ((a[IFLA_ADDRESS].data[0] & 1) || ip_is_zero(a[IFLA_ADDRESS].data, d->addr_len))
			return -EADDRNOTAVAIL;
		memcpy(d->addr, a[IFLA_ADDRESS].data, d->addr_len);
		told = true;
	}
	v = nl_u32(&a[IFLA_MTU], d->mtu);
	if (v != d->mtu) {
		if ((int32_t)v < 0)
			return nl_fail(q, -EINVAL, "mtu less than device minimum");
		d->mtu = v;
		told = true;
	}
	if (a[IFLA_GROUP].data) {
		d->group = nl_u32(&a[IFLA_GROUP], 0);
		told = true;
	}
	if (i->index > 0 && nl_str(&a[IFLA_IFNAME], name, sizeof(name))) {
		r = netdev_rename(rtnl_cfg(q), d, name, &who);
		if (r)
			return r;
	}
	if (a[IFLA_IFALIAS].data) {
		size_t n = strnlen((const char *)a[IFLA_IFALIAS].data, a[IFLA_IFALIAS].len);

		if (n >= sizeof(d->alias))
			return -EINVAL;
		memset(d->alias, 0, sizeof(d->alias));
		memcpy(d->alias, a[IFLA_IFALIAS].data, n);
		told = true;
	}
	if (a[IFLA_BROADCAST].data) {
		if (a[IFLA_BROADCAST].len < d->addr_len)
			return -EINVAL;
		memcpy(d->brd, a[IFLA_BROADCAST].data, d->addr_len);
		told = true;
	}
	v = nl_u32(&a[IFLA_TXQLEN], d->txqlen);
	if (v != d->txqlen) {
		d->txqlen = v;
		told = true;
	}
	if (told)
		rtnl_notify_link(rtnl_cfg(q), d, false, 0, &who);
	return set_flags(q, d, i);
}

int rtnl_new_link(struct nl_request *q)
{
	struct nl_attr a[IFLA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	char name[NETDEV_NAME] = "", kind[NETDEV_NAME] = "";
	struct linux_ifinfomsg i;
	struct netdev *d;
	bool named;
	int r = body(q, &i, a);

	if (r)
		return r;
	if (i.index < 0)
		return nl_fail(q, -EINVAL, "ifindex can't be negative");
	if (a[IFLA_IFNAME].data && !nl_str(&a[IFLA_IFNAME], name, sizeof(name)))
		return a[IFLA_IFNAME].len > sizeof(name) ? -ERANGE : -EINVAL;
	d = find(q, &i, a, &named);
	if (q->h.type == LINUX_RTM_SETLINK)
		return d ? set_link(q, d, &i, a) : named ? -ENODEV : -EINVAL;
	(void)kind_of(&a[IFLA_LINKINFO], kind, sizeof(kind));
	if (d) {
		if (q->h.flags & LINUX_NLM_F_EXCL)
			return -EEXIST;
		if (q->h.flags & LINUX_NLM_F_REPLACE)
			return -EOPNOTSUPP;
		if (kind[0] && strcmp(kind, d->kind) != 0)
			return -EOPNOTSUPP;
		return set_link(q, d, &i, a);
	}
	if (!(q->h.flags & LINUX_NLM_F_CREATE))
		return -ENODEV;
	if (strcmp(kind, "dummy") != 0)
		return nl_fail(q, -EOPNOTSUPP, kind[0] ? "Unknown device type" : NULL);
	r = netdev_add_dummy(rtnl_cfg(q), name[0] ? name : NULL, i.index, &who, &d);
	if (r)
		return r;
	a[IFLA_IFNAME] = (struct nl_attr){ 0 };
	i.index = d->index;
	r = set_link(q, d, &i, a);
	d = r ? netdev_by_index(rtnl_cfg(q), i.index) : NULL;
	if (d)
		netdev_del(rtnl_cfg(q), d, &who);
	return r;
}

int rtnl_del_link(struct nl_request *q)
{
	struct nl_attr a[IFLA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	struct linux_ifinfomsg i;
	struct netdev *d;
	bool named;
	int r = body(q, &i, a);

	if (r)
		return r;
	d = find(q, &i, a, &named);
	if (!d)
		return named ? -ENODEV : -EINVAL;
	if (strcmp(d->kind, "dummy") != 0)
		return -EOPNOTSUPP;
	netdev_del(rtnl_cfg(q), d, &who);
	return 0;
}
