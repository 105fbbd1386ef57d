/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading interfaces, addresses, routes, neighbours and rules: sub-messages of the network namespace. See netdev.h. */
#include <stdatomic.h>
#include <string.h>

#include "schemas/netns.pb-c.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/netdev/netdev_internal.h"
#include "sentry/net/netdev/netdev_state.h"
#include "sentry/net/netns.h"
#include "state/state.h"

static void bytes(ProtobufCBinaryData *b, const void *p, size_t n)
{
	b->data = (uint8_t *)(uintptr_t)p;
	b->len = n;
}

static Sentry__NetDev *save_dev(struct state_writer *w, const struct netdev *d)
{
	Sentry__NetDev *m = state_new_msg(w, &sentry__net_dev__descriptor);

	m->index = d->index;
	m->name = state_strdup(w, d->name);
	m->kind = state_strdup(w, d->kind);
	m->flags = d->flags;
	m->mtu = d->mtu;
	m->txqlen = d->txqlen;
	m->type = d->type;
	bytes(&m->addr, d->addr, d->addr_len);
	bytes(&m->brd, d->brd, d->addr_len);
	m->group = d->group;
	m->alias = state_strdup(w, d->alias);
	return m;
}

static Sentry__NetAddr *save_addr(struct state_writer *w, const struct net_addr *a)
{
	Sentry__NetAddr *m = state_new_msg(w, &sentry__net_addr__descriptor);

	m->family = a->family;
	m->prefixlen = a->prefixlen;
	m->scope = a->scope;
	m->proto = a->proto;
	m->flags = a->flags;
	m->index = a->index;
	bytes(&m->local, a->local, ip_len(a->family));
	bytes(&m->peer, a->peer, ip_len(a->family));
	bytes(&m->brd, a->brd, a->has_brd ? 4 : 0);
	m->label = state_strdup(w, a->label);
	m->valid = a->valid;
	m->preferred = a->preferred;
	m->metric = a->metric;
	m->created = a->created;
	m->changed = a->changed;
	return m;
}

static Sentry__NetRoute *save_route(struct state_writer *w, const struct net_route *r)
{
	Sentry__NetRoute *m = state_new_msg(w, &sentry__net_route__descriptor);

	m->family = r->family;
	m->dst_len = r->dst_len;
	m->tos = r->tos;
	m->scope = r->scope;
	m->type = r->type;
	m->protocol = r->protocol;
	m->table = r->table;
	m->flags = r->flags;
	m->oif = r->oif;
	m->metric = r->metric;
	bytes(&m->dst, r->dst, ip_len(r->family));
	bytes(&m->gw, r->gw, r->has_gw ? ip_len(r->family) : 0);
	bytes(&m->src, r->src, r->has_src ? ip_len(r->family) : 0);
	m->mtu = r->mtu;
	return m;
}

static Sentry__NetNeigh *save_neigh(struct state_writer *w, const struct net_neigh *n)
{
	Sentry__NetNeigh *m = state_new_msg(w, &sentry__net_neigh__descriptor);

	m->family = n->family;
	m->flags = n->flags;
	m->type = n->type;
	m->state = n->state;
	m->index = n->index;
	bytes(&m->dst, n->dst, ip_len(n->family));
	bytes(&m->lladdr, n->lladdr, n->lladdr_len);
	return m;
}

static Sentry__NetRule *save_rule(struct state_writer *w, const struct net_rule *u)
{
	Sentry__NetRule *m = state_new_msg(w, &sentry__net_rule__descriptor);

	m->family = u->family;
	m->dst_len = u->dst_len;
	m->src_len = u->src_len;
	m->tos = u->tos;
	m->action = u->action;
	m->protocol = u->protocol;
	m->table = u->table;
	m->priority = u->priority;
	bytes(&m->dst, u->dst, ip_len(u->family));
	bytes(&m->src, u->src, ip_len(u->family));
	m->iif = state_strdup(w, u->iif);
	m->oif = state_strdup(w, u->oif);
	m->fwmark = u->fwmark;
	m->fwmask = u->fwmask;
	m->has_mark = u->has_mark;
	m->flags = u->flags;
	return m;
}

Sentry__NetCfg *net_cfg_save(struct state_writer *w, const struct net_cfg *c)
{
	Sentry__NetCfg *m = state_new_msg(w, &sentry__net_cfg__descriptor);
	const struct netdev *d;
	const struct net_addr *a;
	const struct net_route *r;
	const struct net_neigh *n;
	const struct net_rule *u;

	m->devs = state_zalloc(w, c->nr_devs, sizeof(*m->devs));
	list_for_each(d, &c->devs, node)
		m->devs[m->n_devs++] = save_dev(w, d);
	m->addrs = state_zalloc(w, c->nr_addrs, sizeof(*m->addrs));
	list_for_each(a, &c->addrs, node)
		m->addrs[m->n_addrs++] = save_addr(w, a);
	m->routes = state_zalloc(w, c->nr_routes, sizeof(*m->routes));
	list_for_each(r, &c->routes, node)
		m->routes[m->n_routes++] = save_route(w, r);
	m->neighs = state_zalloc(w, c->nr_neighs, sizeof(*m->neighs));
	list_for_each(n, &c->neighs, node)
		m->neighs[m->n_neighs++] = save_neigh(w, n);
	m->rules = state_zalloc(w, c->nr_rules, sizeof(*m->rules));
	list_for_each(u, &c->rules, node)
		m->rules[m->n_rules++] = save_rule(w, u);
	m->next_index = c->next_index;
	return m;
}

/* --- loading --- */

static bool copy_str(char *to, size_t size, const char *from)
{
	size_t n = strlen(from);

	if (n >= size)
		return false;
	memcpy(to, from, n + 1);
	return true;
}

/* Exactly @want bytes, or none where @optional: *@ret_has tells. */
static bool copy_bytes(uint8_t *to, const ProtobufCBinaryData *b, size_t want, bool *ret_has)
{
	if (ret_has)
		*ret_has = b->len;
	if (!b->len)
		return ret_has != NULL;
	if (b->len != want)
		return false;
	memcpy(to, b->data, want);
	return true;
}

static bool family_ok(uint32_t family)
{
	return family == LINUX_AF_INET || family == LINUX_AF_INET6;
}

static int load_dev(struct state_reader *r, struct net_cfg *c, const Sentry__NetDev *m)
{
	struct netdev *d = calloc(1, sizeof(*d)), *last = NULL, *o;
	bool ok;

	if (!d)
		return -ENOMEM;
	list_for_each(o, &c->devs, node)
		last = o;
	list_add_tail(&c->devs, &d->node);
	c->nr_devs++;
	ok = m->index > 0 && (!last || m->index > last->index) && copy_str(d->name, sizeof(d->name), m->name) && netdev_name_ok(d->name) &&
	     copy_str(d->kind, sizeof(d->kind), m->kind) && copy_str(d->alias, sizeof(d->alias), m->alias) && m->type <= UINT16_MAX &&
	     m->addr.len <= sizeof(d->addr) && m->brd.len == m->addr.len;
	if (ok) {
		d->index = m->index;
		d->flags = m->flags & ~(LINUX_IFF_RUNNING | LINUX_IFF_LOWER_UP);
		d->mtu = m->mtu;
		d->txqlen = m->txqlen;
		d->type = (uint16_t)m->type;
		d->addr_len = (uint32_t)m->addr.len;
		if (m->addr.len) {
			memcpy(d->addr, m->addr.data, m->addr.len);
			memcpy(d->brd, m->brd.data, m->brd.len);
		}
		d->group = m->group;
		d->operstate = -1;
	}
	return state_check(r, ok, "interface");
}

static int load_addr(struct state_reader *r, struct net_cfg *c, const Sentry__NetAddr *m)
{
	struct net_addr *a = calloc(1, sizeof(*a));
	bool ok;

	if (!a)
		return -ENOMEM;
	list_add_tail(&c->addrs, &a->node);
	c->nr_addrs++;
	ok = family_ok(m->family) && netdev_by_index(c, m->index) && m->scope <= 255 && m->proto <= 255;
	ok = ok && m->prefixlen <= ip_len((uint8_t)m->family) * 8 && copy_bytes(a->local, &m->local, ip_len((uint8_t)m->family), NULL) &&
	     copy_bytes(a->peer, &m->peer, ip_len((uint8_t)m->family), NULL) && copy_bytes(a->brd, &m->brd, 4, &a->has_brd) &&
	     copy_str(a->label, sizeof(a->label), m->label);
	if (ok) {
		a->family = (uint8_t)m->family;
		a->prefixlen = (uint8_t)m->prefixlen;
		a->scope = (uint8_t)m->scope;
		a->proto = (uint8_t)m->proto;
		a->flags = m->flags;
		a->index = m->index;
		a->valid = m->valid;
		a->preferred = m->preferred;
		a->metric = m->metric;
		a->created = m->created;
		a->changed = m->changed;
	}
	return state_check(r, ok, "address of an interface");
}

static int load_route(struct state_reader *r, struct net_cfg *c, const Sentry__NetRoute *m)
{
	struct net_route *x = calloc(1, sizeof(*x));
	bool ok = family_ok(m->family) && m->tos <= 255 && m->scope <= 255 && m->type <= LINUX_RTN_MAX && m->protocol <= 255 &&
		  (!m->oif || netdev_by_index(c, m->oif));

	if (!x)
		return -ENOMEM;
	ok = ok && m->dst_len <= ip_len((uint8_t)m->family) * 8 && copy_bytes(x->dst, &m->dst, ip_len((uint8_t)m->family), NULL) &&
	     copy_bytes(x->gw, &m->gw, ip_len((uint8_t)m->family), &x->has_gw) && copy_bytes(x->src, &m->src, ip_len((uint8_t)m->family), &x->has_src);
	if (!ok) {
		free(x);
		return state_check(r, false, "route");
	}
	x->family = (uint8_t)m->family;
	x->dst_len = (uint8_t)m->dst_len;
	x->tos = (uint8_t)m->tos;
	x->scope = (uint8_t)m->scope;
	x->type = (uint8_t)m->type;
	x->protocol = (uint8_t)m->protocol;
	x->table = m->table;
	x->flags = m->flags;
	x->oif = m->oif;
	x->metric = m->metric;
	x->mtu = m->mtu;
	net_route_link(c, x);
	return 0;
}

static int load_neigh(struct state_reader *r, struct net_cfg *c, const Sentry__NetNeigh *m)
{
	struct net_neigh *n = calloc(1, sizeof(*n));
	bool ok = family_ok(m->family) && m->flags <= 255 && m->type <= 255 && m->state <= UINT16_MAX && netdev_by_index(c, m->index) &&
		  m->lladdr.len <= NETDEV_LLADDR;

	if (!n)
		return -ENOMEM;
	list_add_tail(&c->neighs, &n->node);
	c->nr_neighs++;
	ok = ok && copy_bytes(n->dst, &m->dst, ip_len((uint8_t)m->family), NULL);
	if (ok) {
		n->family = (uint8_t)m->family;
		n->flags = (uint8_t)m->flags;
		n->type = (uint8_t)m->type;
		n->state = (uint16_t)m->state;
		n->index = m->index;
		n->lladdr_len = (uint32_t)m->lladdr.len;
		if (n->lladdr_len)
			memcpy(n->lladdr, m->lladdr.data, n->lladdr_len);
	}
	return state_check(r, ok, "neighbour");
}

static int load_rule(struct state_reader *r, struct net_cfg *c, const Sentry__NetRule *m)
{
	struct net_rule *u = calloc(1, sizeof(*u));
	bool ok = family_ok(m->family) && m->tos <= 255 && m->action <= 8 && m->protocol <= 255;

	if (!u)
		return -ENOMEM;
	ok = ok && m->dst_len <= ip_len((uint8_t)m->family) * 8 && m->src_len <= ip_len((uint8_t)m->family) * 8 &&
	     copy_bytes(u->dst, &m->dst, ip_len((uint8_t)m->family), NULL) && copy_bytes(u->src, &m->src, ip_len((uint8_t)m->family), NULL) &&
	     copy_str(u->iif, sizeof(u->iif), m->iif) && copy_str(u->oif, sizeof(u->oif), m->oif);
	if (!ok) {
		free(u);
		return state_check(r, false, "routing rule");
	}
	u->family = (uint8_t)m->family;
	u->dst_len = (uint8_t)m->dst_len;
	u->src_len = (uint8_t)m->src_len;
	u->tos = (uint8_t)m->tos;
	u->action = (uint8_t)m->action;
	u->protocol = (uint8_t)m->protocol;
	u->table = m->table;
	u->priority = m->priority;
	u->fwmark = m->fwmark;
	u->fwmask = m->fwmask;
	u->has_mark = m->has_mark;
	u->flags = m->flags;
	net_rule_link(c, u);
	return 0;
}

int net_cfg_load(struct state_reader *r, struct net_cfg *c, const Sentry__NetCfg *m)
{
	int err = state_check(r, m->n_devs && m->n_devs <= NETDEV_MAX && m->n_addrs <= NETDEV_MAX_ADDRS && m->n_routes <= NETDEV_MAX_ROUTES &&
					 m->n_neighs <= NETDEV_MAX_NEIGHS && m->n_rules <= NETDEV_MAX_RULES && m->next_index > 0,
			      "number of interfaces or routes");

	if (err)
		return err;
	net_cfg_clear(c);
	for (size_t i = 0; !err && i < m->n_devs; i++)
		err = load_dev(r, c, m->devs[i]);
	for (size_t i = 0; !err && i < m->n_addrs; i++)
		err = load_addr(r, c, m->addrs[i]);
	for (size_t i = 0; !err && i < m->n_routes; i++)
		err = load_route(r, c, m->routes[i]);
	for (size_t i = 0; !err && i < m->n_neighs; i++)
		err = load_neigh(r, c, m->neighs[i]);
	for (size_t i = 0; !err && i < m->n_rules; i++)
		err = load_rule(r, c, m->rules[i]);
	if (err)
		return err;
	c->next_index = m->next_index;
	net_cfg_changed(c);
	return state_check(r, netdev_by_index(c, LO_IFINDEX) != NULL, "no lo");
}
