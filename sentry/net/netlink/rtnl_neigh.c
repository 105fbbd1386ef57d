/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RTM_*NEIGH. See rtnl.h. Linux: net/core/neighbour.c. Entries are what was put there by hand: nothing is resolved, so
 * none ages.
 */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/netlink/rtnl.h"

enum { NDA_DST = 1, NDA_LLADDR, NDA_CACHEINFO, NDA_PROBES, NDA_IFINDEX = 8, NDA_MASTER };
#define NDA_MAX_NR NDA_MASTER
#define NUD_PERMANENT 0x80u
#define NUD_NOARP     0x40u
#define NTF_PROXY     0x08u

static void fill_neigh(struct strbuf *b, const struct net_neigh *n, uint16_t type, uint16_t flags, const struct nl_who *who)
{
	struct linux_ndmsg m = { .family = n->family, .ifindex = n->index, .state = n->state, .flags = n->flags, .type = n->type };
	size_t at = nl_begin(b, type, flags, who->seq, who->portid);
	uint32_t cache[4] = { 0 };

	strbuf_add(b, &m, sizeof(m));
	nl_put(b, NDA_DST, n->dst, ip_len(n->family));
	if (n->lladdr_len)
		nl_put(b, NDA_LLADDR, n->lladdr, n->lladdr_len);
	nl_put_u32(b, NDA_PROBES, 0);
	nl_put(b, NDA_CACHEINFO, cache, sizeof(cache));
	nl_end(b, at);
}

struct neigh_note {
	const struct net_neigh *n;
	bool del;
};

static void fill_note(struct strbuf *b, const void *what, const struct nl_who *who)
{
	const struct neigh_note *n = what;

	fill_neigh(b, n->n, n->del ? LINUX_RTM_DELNEIGH : LINUX_RTM_NEWNEIGH, 0, who);
}

void rtnl_notify_neigh(struct net_cfg *c, const struct net_neigh *n, bool del, const struct nl_who *who)
{
	const struct neigh_note x = { n, del };

	rtnl_notify(c, LINUX_RTNLGRP_NEIGH, who, fill_note, &x);
}

static int body(struct nl_request *q, struct linux_ndmsg *m, struct nl_attr *a)
{
	int r = nl_attrs(q, sizeof(*m), a, NDA_MAX_NR);

	if (!r)
		memcpy(m, q->body, sizeof(*m));
	return r;
}

int rtnl_dump_neigh(struct nl_request *q)
{
	struct nl_attr a[NDA_MAX_NR + 1] = { 0 };
	struct linux_ndmsg m = { .family = rtnl_family(q) };
	const struct nl_who who = rtnl_who(q);
	struct net_neigh *n;
	uint32_t index;
	int r = body(q, &m, a);

	if (nl_strict(q) && r)
		return nl_fail(q, -EINVAL, "Invalid header for neighbor dump request");
	if (nl_strict(q) && (m.pad1 || m.pad2 || m.ifindex || m.state || m.type))
		return nl_fail(q, -EINVAL, "Invalid values in header for neighbor dump request");
	if (m.flags & NTF_PROXY)
		return 0;
	index = nl_u32(&a[NDA_IFINDEX], 0);
	list_for_each(n, &rtnl_cfg(q)->neighs, node) {
		size_t at = q->out.len;

		if ((m.family && n->family != m.family) || (index && n->index != (int32_t)index))
			continue;
		fill_neigh(&q->out, n, LINUX_RTM_NEWNEIGH, RTNL_DUMP(index), &who);
		nl_dump_next(q, at);
	}
	return 0;
}

/* The device and address a request is about. */
static int target(struct nl_request *q, const struct linux_ndmsg *m, const struct nl_attr *a, struct netdev **ret_dev, uint8_t ip[16])
{
	if (m->family != LINUX_AF_INET && m->family != LINUX_AF_INET6)
		return -EAFNOSUPPORT;
	if (!a[NDA_DST].data)
		return nl_fail(q, -EINVAL, "Network address not specified");
	if (!rtnl_ip(&a[NDA_DST], m->family, ip))
		return nl_fail(q, -EINVAL, "Invalid network address");
	*ret_dev = netdev_by_index(rtnl_cfg(q), m->ifindex);
	return m->ifindex && !*ret_dev ? -ENODEV : *ret_dev ? 0 : -EINVAL;
}

static struct net_neigh *find(struct nl_request *q, uint8_t family, int32_t index, const uint8_t *ip)
{
	struct net_neigh *n;

	list_for_each(n, &rtnl_cfg(q)->neighs, node)
		if (n->family == family && n->index == index && !memcmp(n->dst, ip, 16))
			return n;
	return NULL;
}

int rtnl_get_neigh(struct nl_request *q)
{
	struct nl_attr a[NDA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	struct linux_ndmsg m;
	struct net_neigh *n;
	struct netdev *d;
	uint8_t ip[16];
	int r = body(q, &m, a);

	if (!r)
		r = target(q, &m, a, &d, ip);
	if (r)
		return r;
	n = find(q, m.family, m.ifindex, ip);
	if (!n)
		return -ENOENT;
	fill_neigh(&q->out, n, LINUX_RTM_NEWNEIGH, 0, &who);
	return 0;
}

int rtnl_new_neigh(struct nl_request *q)
{
	struct nl_attr a[NDA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	struct linux_ndmsg m;
	struct net_neigh *n;
	struct netdev *d;
	uint8_t ip[16];
	int r = body(q, &m, a);

	if (!r)
		r = target(q, &m, a, &d, ip);
	if (r)
		return r;
	if (a[NDA_LLADDR].data && a[NDA_LLADDR].len < d->addr_len)
		return nl_fail(q, -EINVAL, "Invalid link address");
	if (m.flags & NTF_PROXY)
		return -EOPNOTSUPP;
	n = find(q, m.family, m.ifindex, ip);
	if (n && (q->h.flags & LINUX_NLM_F_EXCL))
		return -EEXIST;
	if (!n && !(q->h.flags & LINUX_NLM_F_CREATE))
		return -ENOENT;
	if (n && !(q->h.flags & LINUX_NLM_F_REPLACE))
		return 0;
	if (!n) {
		if (rtnl_cfg(q)->nr_neighs >= NETDEV_MAX_NEIGHS)
			return -ENOBUFS;
		n = calloc(1, sizeof(*n));
		if (!n)
			return -ENOBUFS;
		n->family = m.family;
		n->index = m.ifindex;
		memcpy(n->dst, ip, 16);
		list_add_tail(&rtnl_cfg(q)->neighs, &n->node);
		rtnl_cfg(q)->nr_neighs++;
	}
	n->state = m.state;
	n->flags = m.flags;
	n->type = LINUX_RTN_UNICAST;
	if (a[NDA_LLADDR].data) {
		n->lladdr_len = d->addr_len;
		memcpy(n->lladdr, a[NDA_LLADDR].data, d->addr_len);
	}
	rtnl_notify_neigh(rtnl_cfg(q), n, false, &who);
	return 0;
}

int rtnl_del_neigh(struct nl_request *q)
{
	struct nl_attr a[NDA_MAX_NR + 1];
	const struct nl_who who = rtnl_who(q);
	struct linux_ndmsg m;
	struct net_neigh *n;
	struct netdev *d;
	uint8_t ip[16];
	int r = body(q, &m, a);

	if (!r)
		r = target(q, &m, a, &d, ip);
	if (r)
		return r;
	n = find(q, m.family, m.ifindex, ip);
	if (!n)
		return -ENOENT;
	rtnl_notify_neigh(rtnl_cfg(q), n, true, &who);
	list_del(&n->node);
	rtnl_cfg(q)->nr_neighs--;
	free(n);
	return 0;
}
