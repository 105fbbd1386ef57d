/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mirror: interfaces, addresses, routes, neighbours and rules of the host's network namespace, read through the netlink socket that was
 * opened before the filter. It is read again when somebody asks and it is older than MIRROR_AGE. What we do not know is left out.
 *
 * The answers come from the host's kernel and are taken apart with the same care as an application's requests.
 */
#include <string.h>
#include <sys/socket.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/host/host.h"
#include "sentry/net/netdev/netdev_internal.h"
#include "sentry/net/netlink/nlattr.h"

#define MIRROR_AGE (20 * (NSEC_PER_SEC / 1000))
#define BUF_SIZE   65536u

struct reader {
	struct net_cfg *c;
	uint32_t seq;
	uint8_t *buf;
};

static void copy_ip(uint8_t *to, const struct nl_attr *a, uint8_t family, bool *ret_has)
{
	size_t n = ip_len(family);
	bool has = a->data && a->len >= n;

	if (has)
		memcpy(to, a->data, n);
	if (ret_has)
		*ret_has = has;
}

static void link_stats(const struct nl_attr *a, struct netdev_stats *s)
{
	uint64_t v[10] = { 0 };

	if (!a->data || a->len < sizeof(v))
		return;
	memcpy(v, a->data, sizeof(v));
	*s = (struct netdev_stats){ v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9] };
}

static void got_link(struct net_cfg *c, const uint8_t *p, size_t n)
{
	struct nl_attr a[32], info[2];
	struct linux_ifinfomsg i;
	struct netdev *d;

	if (n < sizeof(i) || c->nr_devs >= NETDEV_MAX)
		return;
	memcpy(&i, p, sizeof(i));
	if (nl_parse(p + sizeof(i), n - sizeof(i), a, ARRAY_SIZE(a) - 1))
		return;
	d = calloc(1, sizeof(*d));
	if (!d)
		return;
	d->index = i.index;
	d->flags = i.flags;
	d->type = i.type;
	d->mtu = nl_u32(&a[4], 0);
	d->txqlen = nl_u32(&a[13], 0);
	d->group = nl_u32(&a[27], 0);
	d->link = (int32_t)nl_u32(&a[5], 0);
	d->master = (int32_t)nl_u32(&a[10], 0);
	d->operstate = a[16].data && a[16].len ? a[16].data[0] : 0;
	(void)nl_str(&a[3], d->name, sizeof(d->name));
	(void)nl_str(&a[20], d->alias, sizeof(d->alias));
	if (a[1].data && a[1].len <= sizeof(d->addr)) {
		d->addr_len = (uint32_t)a[1].len;
		memcpy(d->addr, a[1].data, a[1].len);
		if (a[2].data && a[2].len == a[1].len)
			memcpy(d->brd, a[2].data, a[2].len);
	}
	link_stats(&a[23], &d->stats);
	if (a[18].data && !nl_parse(a[18].data, a[18].len, info, 1))
		(void)nl_str(&info[1], d->kind, sizeof(d->kind));
	list_add_tail(&c->devs, &d->node);
	c->nr_devs++;
}

static void got_addr(struct net_cfg *c, const uint8_t *p, size_t n)
{
	struct linux_ifaddrmsg i;
	struct nl_attr a[12];
	struct net_addr *x;
	uint32_t life[2] = { UINT32_MAX, UINT32_MAX };

	if (n < sizeof(i) || c->nr_addrs >= NETDEV_MAX_ADDRS)
		return;
	memcpy(&i, p, sizeof(i));
	if ((i.family != LINUX_AF_INET && i.family != LINUX_AF_INET6) || nl_parse(p + sizeof(i), n - sizeof(i), a, ARRAY_SIZE(a) - 1))
		return;
	x = calloc(1, sizeof(*x));
	if (!x)
		return;
	x->family = i.family;
	x->prefixlen = (uint8_t)MIN((size_t)i.prefixlen, ip_len(i.family) * 8);
	x->scope = i.scope;
	x->flags = nl_u32(&a[8], i.flags);
	x->index = (int32_t)i.index;
	copy_ip(x->peer, &a[1], i.family, NULL);
	copy_ip(x->local, a[2].data ? &a[2] : &a[1], i.family, NULL);
	if (a[4].data && a[4].len >= 4) {
		memcpy(x->brd, a[4].data, 4);
		x->has_brd = true;
	}
	(void)nl_str(&a[3], x->label, sizeof(x->label));
	if (a[6].data && a[6].len >= sizeof(life))
		memcpy(life, a[6].data, sizeof(life));
	x->preferred = life[0];
	x->valid = life[1];
	x->metric = nl_u32(&a[9], 0);
	x->proto = a[11].data && a[11].len ? a[11].data[0] : 0;
	x->created = x->changed = ktime_mono();
	list_add_tail(&c->addrs, &x->node);
	c->nr_addrs++;
}

static void got_route(struct net_cfg *c, const uint8_t *p, size_t n)
{
	struct linux_rtmsg m;
	struct nl_attr a[16];
	struct net_route *r;

	if (n < sizeof(m) || c->nr_routes >= NETDEV_MAX_ROUTES)
		return;
	memcpy(&m, p, sizeof(m));
	if ((m.family != LINUX_AF_INET && m.family != LINUX_AF_INET6) || nl_parse(p + sizeof(m), n - sizeof(m), a, ARRAY_SIZE(a) - 1) ||
	    m.dst_len > ip_len(m.family) * 8)
		return;
	r = calloc(1, sizeof(*r));
	if (!r)
		return;
	r->family = m.family;
	r->dst_len = m.dst_len;
	r->tos = m.tos;
	r->scope = m.scope;
	r->type = m.type;
	r->protocol = m.protocol;
	r->table = nl_u32(&a[15], m.table);
	r->flags = m.flags;
	r->oif = (int32_t)nl_u32(&a[4], 0);
	r->metric = nl_u32(&a[6], 0);
	copy_ip(r->dst, &a[1], m.family, NULL);
	copy_ip(r->gw, &a[5], m.family, &r->has_gw);
	copy_ip(r->src, &a[7], m.family, &r->has_src);
	net_route_link(c, r);
}

static void got_neigh(struct net_cfg *c, const uint8_t *p, size_t n)
{
	struct linux_ndmsg m;
	struct net_neigh *x;
	struct nl_attr a[3];

	if (n < sizeof(m) || c->nr_neighs >= NETDEV_MAX_NEIGHS)
		return;
	memcpy(&m, p, sizeof(m));
	if ((m.family != LINUX_AF_INET && m.family != LINUX_AF_INET6) || nl_parse(p + sizeof(m), n - sizeof(m), a, ARRAY_SIZE(a) - 1))
		return;
	x = calloc(1, sizeof(*x));
	if (!x)
		return;
	x->family = m.family;
	x->flags = m.flags;
	x->type = m.type;
	x->state = m.state;
	x->index = m.ifindex;
	copy_ip(x->dst, &a[1], m.family, NULL);
	if (a[2].data && a[2].len <= sizeof(x->lladdr)) {
		x->lladdr_len = (uint32_t)a[2].len;
		memcpy(x->lladdr, a[2].data, a[2].len);
	}
	list_add_tail(&c->neighs, &x->node);
	c->nr_neighs++;
}

static void got_rule(struct net_cfg *c, const uint8_t *p, size_t n)
{
	struct linux_fib_rule_hdr h;
	struct nl_attr a[22];
	struct net_rule *u;

	if (n < sizeof(h) || c->nr_rules >= NETDEV_MAX_RULES)
		return;
	memcpy(&h, p, sizeof(h));
	if ((h.family != LINUX_AF_INET && h.family != LINUX_AF_INET6) || nl_parse(p + sizeof(h), n - sizeof(h), a, ARRAY_SIZE(a) - 1) ||
	    h.dst_len > ip_len(h.family) * 8 || h.src_len > ip_len(h.family) * 8)
		return;
	u = calloc(1, sizeof(*u));
	if (!u)
		return;
	u->family = h.family;
	u->dst_len = h.dst_len;
	u->src_len = h.src_len;
	u->tos = h.tos;
	u->action = h.action;
	u->flags = h.flags;
	u->table = nl_u32(&a[15], h.table);
	u->priority = nl_u32(&a[6], 0);
	copy_ip(u->dst, &a[1], h.family, NULL);
	copy_ip(u->src, &a[2], h.family, NULL);
	(void)nl_str(&a[3], u->iif, sizeof(u->iif));
	(void)nl_str(&a[17], u->oif, sizeof(u->oif));
	u->has_mark = a[10].data || a[16].data;
	u->fwmark = nl_u32(&a[10], 0);
	u->fwmask = nl_u32(&a[16], UINT32_MAX);
	u->protocol = a[21].data && a[21].len ? a[21].data[0] : 0;
	net_rule_link(c, u);
}

/* One datagram of a dump: 1 at its end, 0, or an error. */
static int take(struct reader *r, size_t n, void (*got)(struct net_cfg *c, const uint8_t *p, size_t n))
{
	const uint8_t *p = r->buf;

	while (n >= sizeof(struct linux_nlmsghdr)) {
		struct linux_nlmsghdr h;
		size_t step;

		memcpy(&h, p, sizeof(h));
		if (h.len < sizeof(h) || h.len > n)
			return -EINVAL;
		if (h.seq == r->seq) {
			if (h.type == LINUX_NLMSG_DONE)
				return 1;
			if (h.type == LINUX_NLMSG_ERROR)
				return -EIO;
			got(r->c, p + sizeof(h), h.len - sizeof(h));
		}
		step = LINUX_NLMSG_ALIGN((size_t)h.len);
		if (step >= n)
			break;
		p += step;
		n -= step;
	}
	return 0;
}

/* The host makes each part of a dump while we receive, so that this never waits. */
static int dump(struct reader *r, uint16_t type, uint8_t family, void (*got)(struct net_cfg *c, const uint8_t *p, size_t n))
{
	struct {
		struct linux_nlmsghdr h;
		uint8_t family, pad[15];
	} q = { { sizeof(q), type, LINUX_NLM_F_REQUEST | LINUX_NLM_F_DUMP, ++r->seq, 0 }, family, { 0 } };
	int err = 0;

	if (send(host_netlink_fd(), &q, sizeof(q), MSG_DONTWAIT) < 0)
		return -errno;
	while (!err) {
		ssize_t n = recv(host_netlink_fd(), r->buf, BUF_SIZE, MSG_DONTWAIT);

		err = n < 0 ? -errno : take(r, (size_t)n, got);
	}
	return err < 0 ? err : 0;
}

void host_mirror_locked(struct net_cfg *c)
{
	static uint32_t seq;
	struct reader r = { .c = c };
	int64_t now = ktime_mono();

	if (host_netlink_fd() < 0 || (c->mirrored && now - c->mirrored < MIRROR_AGE))
		return;
	r.buf = malloc(BUF_SIZE);
	if (!r.buf)
		return;
	r.seq = seq; /* one mirror only: the initial namespace's, whose lock we hold */
	net_cfg_clear(c);
	(void)dump(&r, LINUX_RTM_GETLINK, 0, got_link);
	(void)dump(&r, LINUX_RTM_GETADDR, 0, got_addr);
	(void)dump(&r, LINUX_RTM_GETROUTE, LINUX_AF_INET, got_route);
	(void)dump(&r, LINUX_RTM_GETROUTE, LINUX_AF_INET6, got_route);
	(void)dump(&r, LINUX_RTM_GETNEIGH, 0, got_neigh);
	(void)dump(&r, LINUX_RTM_GETRULE, LINUX_AF_INET, got_rule);
	(void)dump(&r, LINUX_RTM_GETRULE, LINUX_AF_INET6, got_rule);
	seq = r.seq;
	free(r.buf);
	c->mirrored = now;
}
