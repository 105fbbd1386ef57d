/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interface ioctls (netdevice(7)): those about devices are answered by sockets of every family, those about IPv4 addresses by AF_INET.
 * Linux: net/core/dev_ioctl.c, net/ipv4/devinet.c.
 */
#include <stdio.h>
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/netdev/netdev.h"
#include "sentry/net/netns.h"
#include "sentry/net/unix.h"

#define SIOCGIFNAME_C    0x8910u
#define SIOCGIFCONF_C    0x8912u
#define SIOCGIFFLAGS_C   0x8913u
#define SIOCSIFFLAGS_C   0x8914u
#define SIOCGIFADDR_C    0x8915u
#define SIOCSIFADDR_C    0x8916u
#define SIOCGIFDSTADDR_C 0x8917u
#define SIOCGIFBRDADDR_C 0x8919u
#define SIOCSIFBRDADDR_C 0x891au
#define SIOCGIFNETMASK_C 0x891bu
#define SIOCSIFNETMASK_C 0x891cu
#define SIOCGIFMETRIC_C  0x891du
#define SIOCGIFMTU_C     0x8921u
#define SIOCSIFMTU_C     0x8922u
#define SIOCSIFNAME_C    0x8923u
#define SIOCSIFHWADDR_C  0x8924u
#define SIOCGIFHWADDR_C  0x8927u
#define SIOCGIFINDEX_C   0x8933u
#define SIOCGIFTXQLEN_C  0x8942u
#define SIOCSIFTXQLEN_C  0x8943u
#define SIOCETHTOOL_C    0x8946u
#define SIOCGIFMAP_C     0x8970u
#define ETHTOOL_GLINK    0xau

struct ifreq_ {
	char name[16];
	union {
		uint8_t bytes[24];
		struct { uint16_t family, port; uint8_t addr[4]; } in;
		struct { uint16_t family; uint8_t addr[14]; } hw;
		char newname[16];
		int32_t i;
		int16_t flags;
		uint64_t data;
	};
};
_Static_assert(sizeof(struct ifreq_) == 40, "struct ifreq layout");

static const struct nl_who by_ioctl;

/* All IPv4 addresses, one record each, under their labels. */
static int64_t get_conf(struct net_ns *net, struct task *t, gaddr_t arg)
{
	_cleanup_free_ struct ifreq_ *v = NULL;
	struct {
		int32_t len, pad;
		uint64_t buf;
	} c;
	struct net_addr *a;
	struct netdev *d;
	size_t n = 0, room;
	int err = copy_in(t, &c, arg, sizeof(c));

	if (err)
		return err;
	net_cfg_lock(net->cfg);
	v = calloc(net->cfg->nr_addrs + 1, sizeof(*v));
	list_for_each(d, &net->cfg->devs, node) {
		list_for_each(a, &net->cfg->addrs, node) {
			if (!v || a->index != d->index || a->family != LINUX_AF_INET)
				continue;
			(void)snprintf(v[n].name, sizeof(v[n].name), "%s", a->label[0] ? a->label : d->name);
			v[n].in.family = LINUX_AF_INET;
			memcpy(v[n++].in.addr, a->local, 4);
		}
	}
	net_cfg_unlock(net->cfg);
	if (!v)
		return -ENOMEM;
	room = c.len < 0 ? 0 : (size_t)c.len / sizeof(*v);
	if (c.buf) {
		n = MIN(n, room);
		if (n && copy_out(t, GADDR(c.buf), v, n * sizeof(*v)))
			return -EFAULT;
	}
	c.len = (int32_t)(n * sizeof(*v));
	return copy_out(t, arg, &c, sizeof(c));
}

static void mask_of(unsigned prefix, uint8_t mask[4])
{
	memset(mask, 0xff, 4);
	prefix_mask(mask, 4, prefix);
}

/* The address a request is about: with the label that was given, else the device's first. */
static struct net_addr *addr_of(struct net_cfg *c, const struct netdev *d, const char *label)
{
	struct net_addr *a;

	list_for_each(a, &c->addrs, node)
		if (a->index == d->index && a->family == LINUX_AF_INET && !strcmp(a->label, label))
			return a;
	return strchr(label, ':') ? NULL : net_addr_first(c, d->index, LINUX_AF_INET);
}

static int get_addr(struct net_cfg *c, const struct netdev *d, const char *label, uint32_t cmd, struct ifreq_ *r)
{
	struct net_addr *a = addr_of(c, d, label);
	uint8_t mask[4];

	if (!a)
		return -EADDRNOTAVAIL;
	memset(r->bytes, 0, sizeof(r->bytes));
	r->in.family = LINUX_AF_INET;
	mask_of(a->prefixlen, mask);
	memcpy(r->in.addr, cmd == SIOCGIFADDR_C ? a->local : cmd == SIOCGIFDSTADDR_C ? a->peer : cmd == SIOCGIFBRDADDR_C ? a->brd : mask, 4);
	return 0;
}

static int class_prefix(const uint8_t ip[4])
{
	if (ip_is_zero(ip, 4))
		return 0;
	return ip[0] < 128 ? 8 : ip[0] < 192 ? 16 : ip[0] < 224 ? 24 : ip[0] >= 240 ? 32 : -1;
}

static void set_broadcast(const struct netdev *d, struct net_addr *a)
{
	uint8_t mask[4];

	mask_of(a->prefixlen, mask);
	a->has_brd = (d->flags & LINUX_IFF_BROADCAST) && a->prefixlen < 31;
	for (int i = 0; a->has_brd && i < 4; i++)
		a->brd[i] = (uint8_t)(a->local[i] | ~mask[i]);
}

/* SIFADDR, SIFNETMASK, SIFBRDADDR: the address is taken away and put back changed. */
static int set_addr(struct net_cfg *c, struct netdev *d, const char *label, uint32_t cmd, const struct ifreq_ *r)
{
	struct net_addr n = { .family = LINUX_AF_INET, .flags = LINUX_IFA_F_PERMANENT, .valid = UINT32_MAX, .preferred = UINT32_MAX };
	struct net_addr *a = addr_of(c, d, label);
	int prefix;

	if (cmd != SIOCSIFADDR_C && !a)
		return -EADDRNOTAVAIL;
	if (r->in.family != LINUX_AF_INET && (cmd == SIOCSIFADDR_C || r->in.family))
		return -EINVAL;
	if (cmd == SIOCSIFADDR_C) {
		prefix = class_prefix(r->in.addr);
		if (prefix < 0)
			return -EINVAL;
		if (a && !memcmp(a->local, r->in.addr, 4))
			return 0;
		memcpy(n.local, r->in.addr, 4);
		memcpy(n.peer, r->in.addr, 4);
		n.prefixlen = (uint8_t)prefix;
		n.index = d->index;
		(void)snprintf(n.label, sizeof(n.label), "%s", label);
		set_broadcast(d, &n);
	} else {
		n = *a;
		if (cmd == SIOCSIFBRDADDR_C) {
			memcpy(n.brd, r->in.addr, 4);
			n.has_brd = true;
		} else {
			uint8_t mask[4], *m = mask;

			prefix = 0;
			while (prefix < 32 && (r->in.addr[prefix / 8] >> (7 - prefix % 8) & 1))
				prefix++;
			mask_of((unsigned)prefix, m);
			if (memcmp(mask, r->in.addr, 4) != 0)
				return -EINVAL;
			n.prefixlen = (uint8_t)prefix;
			set_broadcast(d, &n);
		}
	}
	n.scope = n.local[0] == 127 ? LINUX_RT_SCOPE_HOST : LINUX_RT_SCOPE_UNIVERSE;
	if (a)
		net_addr_del(c, a, &by_ioctl);
	if (ip_is_zero(n.local, 4))
		return 0; /* ifconfig 0.0.0.0 takes the address away */
	return net_addr_add(c, &n, &by_ioctl, NULL);
}

/* v[0]: the request; v[1]: the answer. */
static int ethtool(const struct netdev *d, uint32_t v[2])
{
	if (v[0] != ETHTOOL_GLINK)
		return -EOPNOTSUPP;
	v[1] = (d->operstate >= 0 ? netdev_flags(d) : d->flags | LINUX_IFF_LOWER_UP) & LINUX_IFF_LOWER_UP ? 1 : 0;
	return 0;
}

static int set_flags(struct net_cfg *c, struct netdev *d, int16_t flags)
{
	const uint32_t may = LINUX_IFF_NOARP | LINUX_IFF_ALLMULTI | LINUX_IFF_MULTICAST | LINUX_IFF_PROMISC | LINUX_IFF_DYNAMIC;

	d->flags = (d->flags & ~may) | ((uint32_t)(uint16_t)flags & may);
	return netdev_set_up(c, d, flags & (int16_t)LINUX_IFF_UP, &by_ioctl);
}

static int change(struct net_cfg *c, struct netdev *d, uint32_t cmd, struct ifreq_ *r)
{
	switch (cmd) {
	case SIOCSIFFLAGS_C:
		return set_flags(c, d, r->flags);
	case SIOCSIFMTU_C:
		if (r->i < 0)
			return -EINVAL;
		d->mtu = (uint32_t)r->i;
		break;
	case SIOCSIFTXQLEN_C:
		if (r->i < 0)
			return -EINVAL;
		d->txqlen = (uint32_t)r->i;
		break;
	case SIOCSIFHWADDR_C:
		if (r->hw.family != d->type)
			return -EINVAL;
		if (netdev_is_lo(d))
			return -EOPNOTSUPP;
		if ((r->hw.addr[0] & 1) || ip_is_zero(r->hw.addr, 6))
			return -EADDRNOTAVAIL;
		memcpy(d->addr, r->hw.addr, 6);
		break;
	case SIOCSIFNAME_C:
		r->newname[sizeof(r->newname) - 1] = 0;
		return netdev_rename(c, d, r->newname, &by_ioctl);
	default:
		return -ENOTTY;
	}
	rtnl_notify_link(c, d, false, 0, &by_ioctl);
	return 0;
}

/* Fills @r for a question about @d. -ENOTTY: not one. */
static int question(struct netdev *d, uint32_t cmd, struct ifreq_ *r)
{
	switch (cmd) {
	case SIOCGIFFLAGS_C:
		r->flags = (int16_t)(netdev_flags(d) & 0xffff);
		return 0;
	case SIOCGIFMETRIC_C:
		r->i = 0;
		return 0;
	case SIOCGIFMTU_C:
		r->i = (int32_t)d->mtu;
		return 0;
	case SIOCGIFHWADDR_C:
		memset(r->bytes, 0, 16);
		r->hw.family = d->type;
		memcpy(r->hw.addr, d->addr, MIN((size_t)d->addr_len, sizeof(r->hw.addr)));
		return 0;
	case SIOCGIFINDEX_C:
		r->i = d->index;
		return 0;
	case SIOCGIFTXQLEN_C:
		r->i = (int32_t)d->txqlen;
		return 0;
	case SIOCGIFMAP_C:
		memset(r->bytes, 0, sizeof(r->bytes));
		return 0;
	default:
		return -ENOTTY;
	}
}

static bool is_change(uint32_t cmd)
{
	return cmd == SIOCSIFFLAGS_C || cmd == SIOCSIFADDR_C || cmd == SIOCSIFBRDADDR_C || cmd == SIOCSIFNETMASK_C || cmd == SIOCSIFMTU_C ||
	       cmd == SIOCSIFNAME_C || cmd == SIOCSIFHWADDR_C || cmd == SIOCSIFTXQLEN_C;
}

static bool is_addr(uint32_t cmd)
{
	return cmd >= SIOCGIFADDR_C && cmd <= SIOCSIFNETMASK_C;
}

static int64_t about_device(struct sock *sk, struct task *t, uint32_t cmd, struct ifreq_ *r, gaddr_t arg)
{
	struct net_cfg *c = sk->net->cfg;
	char label[sizeof(r->name)], *colon;
	uint32_t tool[2] = { 0 };
	struct netdev *d;
	int err;

	if (cmd == SIOCETHTOOL_C && copy_in(t, tool, GADDR(r->data), sizeof(tool[0])))
		return -EFAULT;
	r->name[sizeof(r->name) - 1] = 0;
	memcpy(label, r->name, sizeof(label));
	colon = strchr(label, ':'); /* an alias: the device is before it */
	if (colon)
		*colon = 0;
	net_cfg_lock(c);
	d = netdev_by_name(c, label);
	memcpy(label, r->name, sizeof(label));
	if (!d)
		err = -ENODEV;
	else if (cmd == SIOCETHTOOL_C)
		err = ethtool(d, tool);
	else if (is_addr(cmd))
		err = is_change(cmd) ? set_addr(c, d, label, cmd, r) : get_addr(c, d, label, cmd, r);
	else
		err = is_change(cmd) ? change(c, d, cmd, r) : question(d, cmd, r);
	net_cfg_unlock(c);
	if (err || is_change(cmd))
		return err;
	if (cmd == SIOCETHTOOL_C)
		return copy_out(t, GADDR(r->data), tool, sizeof(tool));
	return copy_out(t, arg, r, sizeof(*r));
}

static bool known(uint32_t cmd)
{
	struct netdev none = { 0 };
	struct ifreq_ r = { 0 };

	return is_addr(cmd) || is_change(cmd) || cmd == SIOCGIFNAME_C || cmd == SIOCETHTOOL_C || question(&none, cmd, &r) == 0;
}

int64_t netdev_ioctl(struct sock *sk, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct ifreq_ r;
	struct netdev *d;
	int err;

	if (!sk->net)
		return -ENOTTY;
	if (cmd == SIOCGIFCONF_C)
		return get_conf(sk->net, t, GADDR(arg));
	if (!known(cmd) || (is_addr(cmd) && sk->family != LINUX_AF_INET))
		return -ENOTTY;
	err = copy_in(t, &r, GADDR(arg), sizeof(r));
	if (err)
		return err;
	if (cmd == SIOCGIFNAME_C) {
		net_cfg_lock(sk->net->cfg);
		d = netdev_by_index(sk->net->cfg, r.i);
		if (d)
			memcpy(r.name, d->name, sizeof(r.name));
		net_cfg_unlock(sk->net->cfg);
		return d ? copy_out(t, GADDR(arg), &r, sizeof(r)) : -ENODEV;
	}
	if (is_change(cmd) && (!net_capable(t, LINUX_CAP_NET_ADMIN) || sk->net->host))
		return -EPERM;
	return about_device(sk, t, cmd, &r, GADDR(arg));
}
