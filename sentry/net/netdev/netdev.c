/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces of a network namespace. See netdev.h. Linux: net/core/dev.c, drivers/net/dummy.c, drivers/net/loopback.c. */
#include "sentry/net/netdev/netdev_internal.h"

#include <stdio.h>
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/host/host.h"
#include "sentry/net/netns.h"

#define OPER_UNKNOWN 0
#define OPER_DOWN    2

static const struct nl_who by_kernel;

bool netdev_is_lo(const struct netdev *d)
{
	return d->flags & LINUX_IFF_LOOPBACK;
}

static struct netdev *dev_new(struct net_cfg *c, const char *name, int32_t index)
{
	struct netdev *d, *o;

	if (c->nr_devs >= NETDEV_MAX)
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	(void)snprintf(d->name, sizeof(d->name), "%s", name);
	d->index = index;
	d->addr_len = 6;
	d->txqlen = 1000;
	d->operstate = -1;
	/* Sorted, since an index can be asked for. */
	list_for_each(o, &c->devs, node)
		if (o->index > index)
			break;
	list_add_tail(&o->node, &d->node); /* before @o, or at the end */
	c->nr_devs++;
	return d;
}

static int default_rules(struct net_cfg *c, uint8_t family)
{
	static const struct { uint32_t table, priority; } rules[] = { { LINUX_RT_TABLE_LOCAL, 0 }, { LINUX_RT_TABLE_MAIN, 32766 },
								      { LINUX_RT_TABLE_DEFAULT, 32767 } };

	for (size_t i = 0; i < (family == LINUX_AF_INET ? 3u : 2u); i++) {
		struct net_rule r = { .family = family, .action = 1, .protocol = LINUX_RTPROT_KERNEL, .table = rules[i].table,
				      .priority = rules[i].priority };
		int err = net_rule_add(c, &r, &by_kernel);

		if (err)
			return err;
	}
	return 0;
}

struct net_cfg *net_cfg_new(struct net_ns *net)
{
	struct net_cfg *c = calloc(1, sizeof(*c));
	struct netdev *lo;

	if (!c)
		return NULL;
	mutex_init(&c->mu, "net_cfg.mu");
	c->net = net;
	list_init(&c->devs);
	list_init(&c->addrs);
	list_init(&c->routes);
	list_init(&c->neighs);
	list_init(&c->rules);
	c->next_index = LO_IFINDEX + 1;
	lo = dev_new(c, "lo", LO_IFINDEX);
	if (!lo || default_rules(c, LINUX_AF_INET) || default_rules(c, LINUX_AF_INET6)) {
		net_cfg_free(c);
		return NULL;
	}
	lo->type = LINUX_ARPHRD_LOOPBACK;
	lo->flags = LINUX_IFF_LOOPBACK;
	lo->mtu = LO_MTU;
	return c;
}

#define free_all(type, head)                                                                       \
	do {                                                                                       \
		struct type *_p, *_tmp;                                                            \
		list_for_each_safe(_p, _tmp, head, node) {                                         \
			list_del(&_p->node);                                                       \
			free(_p);                                                                  \
		}                                                                                  \
	} while (0)

void net_cfg_clear(struct net_cfg *c)
{
	free_all(netdev, &c->devs);
	free_all(net_addr, &c->addrs);
	free_all(net_route, &c->routes);
	free_all(net_neigh, &c->neighs);
	free_all(net_rule, &c->rules);
	c->nr_devs = c->nr_addrs = c->nr_routes = c->nr_neighs = c->nr_rules = 0;
}

void net_cfg_free(struct net_cfg *c)
{
	if (!c)
		return;
	net_cfg_clear(c);
	mutex_destroy(&c->mu);
	free(c);
}

void net_cfg_lo_up(struct net_cfg *c)
{
	mutex_lock(&c->mu);
	(void)netdev_set_up(c, netdev_by_index(c, LO_IFINDEX), true, &by_kernel);
	mutex_unlock(&c->mu);
}

void net_cfg_lock(struct net_cfg *c)
{
	mutex_lock(&c->mu);
	if (c->net->host)
		host_mirror_locked(c);
}

void net_cfg_unlock(struct net_cfg *c)
{
	mutex_unlock(&c->mu);
}

struct netdev *netdev_by_index(struct net_cfg *c, int32_t index)
{
	struct netdev *d;

	list_for_each(d, &c->devs, node)
		if (d->index == index)
			return d;
	return NULL;
}

struct netdev *netdev_by_name(struct net_cfg *c, const char *name)
{
	struct netdev *d;

	list_for_each(d, &c->devs, node)
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}

uint32_t netdev_flags(const struct netdev *d)
{
	if (d->operstate >= 0 || !(d->flags & LINUX_IFF_UP))
		return d->flags;
	return d->flags | LINUX_IFF_RUNNING | LINUX_IFF_LOWER_UP;
}

uint8_t netdev_operstate(const struct netdev *d)
{
	if (d->operstate >= 0)
		return (uint8_t)d->operstate;
	return d->flags & LINUX_IFF_UP ? OPER_UNKNOWN : OPER_DOWN;
}

bool netdev_name_ok(const char *name)
{
	size_t n = strlen(name);

	if (!n || n >= NETDEV_NAME || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	return strcspn(name, "/: \t\n\v\f\r") == n;
}

static void random_mac(uint8_t mac[6])
{
	kernel_random(mac, 6);
	mac[0] = (uint8_t)((mac[0] & 0xfe) | 2); /* unicast, locally administered */
}

int netdev_add_dummy(struct net_cfg *c, const char *name, int32_t index, const struct nl_who *who, struct netdev **ret)
{
	char buf[NETDEV_NAME];
	struct netdev *d;

	if (c->nr_devs >= NETDEV_MAX)
		return -ENFILE;
	if (name && strchr(name, '%'))
		return -EINVAL; /* name patterns other than the default one */
	for (unsigned i = 0; !name && i <= NETDEV_MAX; i++) {
		(void)snprintf(buf, sizeof(buf), "dummy%u", i);
		if (!netdev_by_name(c, buf))
			name = buf;
	}
	if (!name || !netdev_name_ok(name))
		return -EINVAL;
	if (netdev_by_name(c, name))
		return -EEXIST;
	if (index < 0)
		return -EINVAL;
	if (index && netdev_by_index(c, index))
		return -EBUSY;
	if (!index) {
		while (netdev_by_index(c, c->next_index))
			c->next_index = c->next_index == INT32_MAX ? 2 : c->next_index + 1;
		index = c->next_index;
		c->next_index = index == INT32_MAX ? 2 : index + 1;
	}
	d = dev_new(c, name, index);
	if (!d)
		return -ENOMEM;
	(void)snprintf(d->kind, sizeof(d->kind), "dummy");
	d->type = LINUX_ARPHRD_ETHER;
	d->flags = LINUX_IFF_BROADCAST | LINUX_IFF_NOARP;
	d->mtu = DUMMY_MTU;
	random_mac(d->addr);
	memset(d->brd, 0xff, 6);
	rtnl_notify_link(c, d, false, UINT32_MAX, who);
	*ret = d;
	return 0;
}

static void drop_addrs(struct net_cfg *c, int32_t index, uint8_t family, const struct nl_who *who)
{
	struct net_addr *a, *tmp;

	list_for_each_safe(a, tmp, &c->addrs, node)
		if (a->index == index && (!family || a->family == family))
			net_addr_del(c, a, who);
}

/* @down: the interface only went down: what an IPv4 address answers to stays. */
static void drop_routes(struct net_cfg *c, int32_t index, bool down, const struct nl_who *who)
{
	struct net_route *r, *tmp;

	list_for_each_safe(r, tmp, &c->routes, node)
		if (r->oif == index && !(down && r->family == LINUX_AF_INET && r->scope == LINUX_RT_SCOPE_HOST))
			net_route_del(c, r, who);
}

static void drop_neighs(struct net_cfg *c, int32_t index)
{
	struct net_neigh *n, *tmp;

	list_for_each_safe(n, tmp, &c->neighs, node) {
		if (n->index != index)
			continue;
		rtnl_notify_neigh(c, n, true, &by_kernel);
		list_del(&n->node);
		c->nr_neighs--;
		free(n);
	}
}

void netdev_del(struct net_cfg *c, struct netdev *d, const struct nl_who *who)
{
	drop_neighs(c, d->index);
	drop_addrs(c, d->index, 0, &by_kernel);
	drop_routes(c, d->index, false, &by_kernel);
	d->flags &= ~LINUX_IFF_UP;
	rtnl_notify_link(c, d, true, UINT32_MAX, who);
	list_del(&d->node);
	c->nr_devs--;
	free(d);
}

/* Addresses that an interface has by itself when it comes up. */
static void own_addrs(struct net_cfg *c, struct netdev *d)
{
	struct net_addr a = { .index = d->index, .flags = LINUX_IFA_F_PERMANENT, .valid = UINT32_MAX, .preferred = UINT32_MAX };

	if (netdev_is_lo(d) && !net_addr_first(c, d->index, LINUX_AF_INET)) {
		a.family = LINUX_AF_INET;
		a.prefixlen = 8;
		a.scope = LINUX_RT_SCOPE_HOST;
		memcpy(a.local, (const uint8_t[4]){ 127, 0, 0, 1 }, 4);
		memcpy(a.peer, a.local, 4);
		memcpy(a.label, d->name, sizeof(a.label));
		(void)net_addr_add(c, &a, &by_kernel, NULL);
	}
	memset(a.local, 0, sizeof(a.local));
	a.family = LINUX_AF_INET6;
	if (netdev_is_lo(d)) {
		a.prefixlen = 128;
		a.scope = LINUX_RT_SCOPE_HOST;
		a.proto = 1; /* IFAPROT_KERNEL_LO */
		a.local[15] = 1;
	} else {
		a.prefixlen = 64;
		a.scope = LINUX_RT_SCOPE_LINK;
		a.proto = 3; /* IFAPROT_KERNEL_LL */
		memcpy(a.local, (const uint8_t[2]){ 0xfe, 0x80 }, 2);
		memcpy(a.local + 8, (const uint8_t[8]){ (uint8_t)(d->addr[0] ^ 2), d->addr[1], d->addr[2], 0xff, 0xfe, d->addr[3], d->addr[4],
							d->addr[5] }, 8); /* EUI-64 */
	}
	memcpy(a.peer, a.local, 16);
	memset(a.label, 0, sizeof(a.label));
	(void)net_addr_add(c, &a, &by_kernel, NULL);
}

int netdev_set_up(struct net_cfg *c, struct netdev *d, bool up, const struct nl_who *who)
{
	struct net_addr *a;

	if (up == !!(d->flags & LINUX_IFF_UP))
		return 0;
	if (up) {
		d->flags |= LINUX_IFF_UP;
		rtnl_notify_link(c, d, false, LINUX_IFF_UP, who);
		list_for_each(a, &c->addrs, node)
			if (a->index == d->index)
				net_addr_routes(c, a, true);
		own_addrs(c, d);
	} else {
		d->flags &= ~LINUX_IFF_UP;
		drop_addrs(c, d->index, LINUX_AF_INET6, &by_kernel);
		drop_routes(c, d->index, true, &by_kernel);
		rtnl_notify_link(c, d, false, LINUX_IFF_UP, who);
	}
	return 0;
}

int netdev_rename(struct net_cfg *c, struct netdev *d, const char *name, const struct nl_who *who)
{
	struct net_addr *a;

	if (!strcmp(d->name, name))
		return 0;
	if (!netdev_name_ok(name))
		return -EINVAL;
	if (d->flags & LINUX_IFF_UP)
		return -EBUSY; /* until Linux 6.2 */
	if (netdev_by_name(c, name))
		return -EEXIST;
	list_for_each(a, &c->addrs, node)
		if (a->index == d->index && !strcmp(a->label, d->name))
			(void)snprintf(a->label, sizeof(a->label), "%s", name);
	(void)snprintf(d->name, sizeof(d->name), "%s", name);
	rtnl_notify_link(c, d, false, 0, who);
	return 0;
}
