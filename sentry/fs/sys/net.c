/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/class/net: the interfaces of the reader's network namespace. DEVIATION: they are directories, not links to devices.
 * Checkpoint: stateless; an entry is its interface's number. Linux: net/core/net-sysfs.c.
 */
#include <stdio.h>
#include <string.h>

#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/fs/sys/sys_internal.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/net/netdev/netdev.h"
#include "sentry/net/netns.h"

static struct net_ns *ns_of(const struct pctx *c)
{
	return c->t && c->t->ns ? c->t->ns->net : NULL;
}

static int lookup(const struct pctx *dir, const char *name, uint64_t *ret_id, struct pid **ret_pid, bool *ret_thread)
{
	struct net_ns *ns = ns_of(dir);
	struct netdev *d;

	if (!ns)
		return -ENOENT;
	net_cfg_lock(ns->cfg);
	d = netdev_by_name(ns->cfg, name);
	if (d)
		*ret_id = (uint64_t)d->index;
	net_cfg_unlock(ns->cfg);
	return d ? 0 : -ENOENT;
}

static bool next(const struct pctx *dir, uint64_t *id, char *ret_name)
{
	struct net_ns *ns = ns_of(dir);
	struct netdev *d;
	bool found = false;

	if (!ns)
		return false;
	net_cfg_lock(ns->cfg);
	list_for_each(d, &ns->cfg->devs, node) {
		if ((uint64_t)d->index >= *id) {
			*id = (uint64_t)d->index;
			(void)snprintf(ret_name, 32, "%s", d->name);
			found = true;
			break;
		}
	}
	net_cfg_unlock(ns->cfg);
	return found;
}

static bool valid(const struct pctx *c)
{
	struct net_ns *ns = ns_of(c);
	bool r;

	if (!ns)
		return false;
	net_cfg_lock(ns->cfg);
	r = netdev_by_index(ns->cfg, (int32_t)c->id) != NULL;
	net_cfg_unlock(ns->cfg);
	return r;
}

enum attr {
	ADDRESS, ADDR_ASSIGN_TYPE, BROADCAST, ADDR_LEN, CARRIER, FLAGS, IFINDEX, IFLINK, MTU, OPERSTATE, TXQLEN, TYPE, GROUP, ALIAS, UEVENT, ZERO, HEX_ZERO,
	NAME_ASSIGN, INVALID,
};

static void mac(struct strbuf *b, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		strbuf_addf(b, "%s%02x", i ? ":" : "", p[i]);
}

static int show_locked(const struct netdev *d, enum attr a, struct strbuf *b)
{
	static const char *const oper[] = { "unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up" };
	uint8_t op = netdev_operstate(d);

	switch (a) {
	case ADDRESS:
		mac(b, d->addr, d->addr_len);
		break;
	case BROADCAST:
		mac(b, d->brd, d->addr_len);
		break;
	case ADDR_ASSIGN_TYPE:
		strbuf_adds(b, strcmp(d->kind, "dummy") ? "0" : "1");
		break;
	case ADDR_LEN:
		strbuf_addf(b, "%u", d->addr_len);
		break;
	case CARRIER:
		if (!(d->flags & LINUX_IFF_UP))
			return -EINVAL;
		strbuf_adds(b, netdev_flags(d) & LINUX_IFF_LOWER_UP ? "1" : "0");
		break;
	case FLAGS:
		strbuf_addf(b, "0x%x", d->flags & 0xffff & ~LINUX_IFF_RUNNING);
		break;
	case IFINDEX:
		strbuf_addf(b, "%d", d->index);
		break;
	case IFLINK:
		strbuf_addf(b, "%d", d->link ? d->link : d->index);
		break;
	case MTU:
		strbuf_addf(b, "%u", d->mtu);
		break;
	case OPERSTATE:
		strbuf_adds(b, op < ARRAY_SIZE(oper) ? oper[op] : "unknown");
		break;
	case TXQLEN:
		strbuf_addf(b, "%u", d->txqlen);
		break;
	case TYPE:
		strbuf_addf(b, "%u", d->type);
		break;
	case GROUP:
		strbuf_addf(b, "%u", d->group);
		break;
	case ALIAS:
		strbuf_adds(b, d->alias);
		break;
	case UEVENT:
		strbuf_addf(b, "INTERFACE=%s\nIFINDEX=%d", d->name, d->index);
		break;
	case ZERO:
		strbuf_addc(b, '0');
		break;
	case HEX_ZERO:
		strbuf_adds(b, "0x0");
		break;
	case NAME_ASSIGN:
		strbuf_adds(b, netdev_is_lo(d) ? "2" : "3");
		break;
	case INVALID:
		return -EINVAL;
	}
	if (a != ALIAS || d->alias[0])
		strbuf_addc(b, '\n');
	return 0;
}

static int with_dev(struct pctx *c, struct strbuf *b, int (*fn)(const struct netdev *d, const struct pnode *n, struct strbuf *b))
{
	struct net_ns *ns = ns_of(c);
	struct netdev *d;
	int r;

	if (!ns)
		return -ENODEV;
	net_cfg_lock(ns->cfg);
	d = netdev_by_index(ns->cfg, (int32_t)c->id);
	r = d ? fn(d, c->node, b) : -ENODEV;
	net_cfg_unlock(ns->cfg);
	return r;
}

static int attr_of(const struct netdev *d, const struct pnode *n, struct strbuf *b)
{
	return show_locked(d, *(const enum attr *)n->data, b);
}

static int show_attr(struct pctx *c, struct strbuf *b)
{
	return with_dev(c, b, attr_of);
}

static int stat_of(const struct netdev *d, const struct pnode *n, struct strbuf *b)
{
	size_t off = n->data ? *(const size_t *)n->data : SIZE_MAX;
	uint64_t v = 0;

	if (off != SIZE_MAX)
		memcpy(&v, (const char *)&d->stats + off, sizeof(v));
	strbuf_addf(b, "%lu\n", v);
	return 0;
}

static int show_stat(struct pctx *c, struct strbuf *b)
{
	return with_dev(c, b, stat_of);
}

#define ATTR(nm, a)  PN_FILE(nm, 0444, show_attr, .data = &(const enum attr){ a })
#define STAT(f)      PN_FILE(#f, 0444, show_stat, .data = &(const size_t){ offsetof(struct netdev_stats, f) })
#define STAT_ZERO(f) PN_FILE(#f, 0444, show_stat)

static const struct pnode statistics[] = {
	STAT(collisions), STAT(multicast), STAT(rx_bytes), STAT_ZERO(rx_compressed), STAT_ZERO(rx_crc_errors), STAT(rx_dropped), STAT(rx_errors),
	STAT_ZERO(rx_fifo_errors), STAT_ZERO(rx_frame_errors), STAT_ZERO(rx_length_errors), STAT_ZERO(rx_missed_errors), STAT_ZERO(rx_nohandler),
	STAT_ZERO(rx_over_errors), STAT(rx_packets), STAT_ZERO(tx_aborted_errors), STAT(tx_bytes), STAT_ZERO(tx_carrier_errors),
	STAT_ZERO(tx_compressed), STAT(tx_dropped), STAT(tx_errors), STAT_ZERO(tx_fifo_errors), STAT_ZERO(tx_heartbeat_errors), STAT(tx_packets),
	STAT_ZERO(tx_window_errors), { 0 },
};

static const struct pnode queue[] = { { 0 } };
static const struct pnode queues[] = { PN_DIR("rx-0", 0755, queue), PN_DIR("tx-0", 0755, queue), { 0 } };

static const struct pnode device[] = {
	ATTR("addr_assign_type", ADDR_ASSIGN_TYPE),
	ATTR("addr_len", ADDR_LEN),
	ATTR("address", ADDRESS),
	ATTR("broadcast", BROADCAST),
	ATTR("carrier", CARRIER),
	ATTR("carrier_changes", ZERO),
	ATTR("carrier_down_count", ZERO),
	ATTR("carrier_up_count", ZERO),
	ATTR("dev_id", HEX_ZERO),
	ATTR("dev_port", ZERO),
	ATTR("dormant", ZERO),
	ATTR("duplex", INVALID),
	ATTR("flags", FLAGS),
	ATTR("gro_flush_timeout", ZERO),
	ATTR("ifalias", ALIAS),
	ATTR("ifindex", IFINDEX),
	ATTR("iflink", IFLINK),
	ATTR("link_mode", ZERO),
	ATTR("mtu", MTU),
	ATTR("name_assign_type", NAME_ASSIGN),
	ATTR("napi_defer_hard_irqs", ZERO),
	ATTR("netdev_group", GROUP),
	ATTR("operstate", OPERSTATE),
	ATTR("proto_down", ZERO),
	PN_DIR("queues", 0755, queues),
	ATTR("speed", INVALID),
	PN_DIR("statistics", 0755, statistics),
	ATTR("testing", ZERO),
	ATTR("threaded", ZERO),
	ATTR("tx_queue_len", TXQLEN),
	ATTR("type", TYPE),
	ATTR("uevent", UEVENT),
	{ 0 },
};

static const struct pnode entry = PN_DIR("", 0755, device);
const struct pdyn sys_net_dyn = { .node = &entry, .lookup = lookup, .next = next, .valid = valid };
