/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internet addresses: parsing and showing, what kind they are, which local address goes with a destination, and bind(2).
 *
 * Which addresses are local is what the routing tables say (netdev/); 127.255.255.255 is lo's broadcast address. What is routed to another device
 * is lost. IPv4 multicast needs an interface (IP_MULTICAST_IF, a bound address). Linux: net/ipv4/af_inet.c, route.c, net/ipv6/af_inet6.c.
 * Checkpoint: stateless.
 */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "sentry/net/netdev/netdev.h"
#include "sentry/net/netns.h"

#define SIN_LEN 16u
#define SIN6_LEN 28u
#define SIN6_LEN_MIN 24u
#define IP_FREEBIND_ 15
#define IP_TRANSPARENT_ 19
#define IP_BIND_ADDRESS_NO_PORT_ 24
#define IPV6_TRANSPARENT_ 75
#define IPV6_FREEBIND_ 78
#define IP_MULTICAST_IF_ 32
#define IPV6_MULTICAST_IF_ 17

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };
static const uint8_t zero[16];

bool inet_mapped(const struct inet_addr *a)
{
	return !memcmp(a->ip, mapped_prefix, sizeof(mapped_prefix));
}

bool inet_any(const struct inet_addr *a)
{
	return inet_mapped(a) ? !memcmp(a->ip + 12, zero, 4) : !memcmp(a->ip, zero, 16);
}

bool inet_same_ip(const struct inet_addr *a, const struct inet_addr *b)
{
	return !memcmp(a->ip, b->ip, sizeof(a->ip));
}

bool inet_same_addr(const struct inet_addr *a, const struct inet_addr *b)
{
	return a->port == b->port && inet_same_ip(a, b);
}

void inet_set_v4(struct inet_addr *a, const void *be32)
{
	memcpy(a->ip, mapped_prefix, sizeof(mapped_prefix));
	memcpy(a->ip + 12, be32, 4);
}

void inet_set_loopback(struct inet_addr *a, bool v4)
{
	memset(a->ip, 0, sizeof(a->ip));
	a->ip[15] = 1;
	if (v4)
		inet_set_v4(a, (const uint8_t[]){ 127, 0, 0, 1 });
}

void inet_set_any(const struct inet_sock *u, struct inet_addr *a)
{
	memset(a->ip, 0, sizeof(a->ip));
	if (u->sk.family == LINUX_AF_INET)
		memcpy(a->ip, mapped_prefix, sizeof(mapped_prefix));
}

enum inet_addr_type inet_addr_type(struct net_ns *net, const struct inet_addr *a)
{
	const uint8_t *p = a->ip + 12;

	if (inet_any(a))
		return INET_A_ANY;
	if (!inet_mapped(a)) {
		if (a->ip[0] == 0xff)
			return INET_A_MULTICAST;
		if (!memcmp(a->ip, zero, 15) && a->ip[15] == 1)
			return atomic_load_explicit(&net->lo6, memory_order_relaxed) ? INET_A_LOCAL : INET_A_OTHER;
		return net_is_local(net, a->ip) ? INET_A_LOCAL : INET_A_OTHER;
	}
	if ((p[0] & 0xf0) == 0xe0)
		return INET_A_MULTICAST;
	if (!memcmp(p, (const uint8_t[]){ 255, 255, 255, 255 }, 4) || !memcmp(p, (const uint8_t[]){ 127, 255, 255, 255 }, 4))
		return INET_A_BROADCAST;
	if (p[0] == 127)
		return atomic_load_explicit(&net->lo4, memory_order_relaxed) ? INET_A_LOCAL : INET_A_OTHER;
	return net_is_local(net, a->ip) ? INET_A_LOCAL : INET_A_OTHER;
}

static bool is_linklocal(const struct inet_addr *a)
{
	return a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

/* Of link-local or narrower scope: an interface must be named. */
static bool needs_scope(const struct inet_addr *a)
{
	return is_linklocal(a) || (a->ip[0] == 0xff && ((a->ip[1] & 0xf) == 1 || (a->ip[1] & 0xf) == 2));
}

void inet_get_sin(const uint8_t *p, struct inet_addr *a)
{
	a->port = (uint16_t)(p[2] << 8 | p[3]);
	inet_set_v4(a, p + 4);
}

void inet_get_sin6(const uint8_t *p, struct inet_addr *a, uint32_t *ret_scope)
{
	a->port = (uint16_t)(p[2] << 8 | p[3]);
	memcpy(a->ip, p + 8, 16);
	memcpy(ret_scope, p + 24, 4);
}

int inet_fill_name(const struct inet_sock *u, const struct inet_addr *a, void *sockaddr)
{
	uint8_t *p = sockaddr;

	memset(p, 0, SIN6_LEN);
	memcpy(p, &u->sk.family, sizeof(u->sk.family));
	p[2] = (uint8_t)(a->port >> 8);
	p[3] = (uint8_t)a->port;
	if (u->sk.family == LINUX_AF_INET) {
		memcpy(p + 4, a->ip + 12, 4);
		return SIN_LEN;
	}
	memcpy(p + 8, a->ip, 16);
	if (needs_scope(a))
		memcpy(p + 24, &(uint32_t){ LO_IFINDEX }, 4);
	return SIN6_LEN;
}

static uint32_t bound_dev(const struct inet_sock *u)
{
	return atomic_load_explicit(&u->sk.bound_dev, memory_order_relaxed);
}

int inet_parse_dst(struct inet_sock *u, const void *addr, uint32_t len, struct inet_addr *ret, uint32_t *ret_scope)
{
	bool tcp = inet_is_tcp(u), only;
	uint16_t family;

	*ret_scope = 0;
	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (u->sk.family == LINUX_AF_INET) {
		if (len < SIN_LEN)
			return -EINVAL;
		if (family != LINUX_AF_INET && (tcp || family != LINUX_AF_UNSPEC))
			return -EAFNOSUPPORT;
		inet_get_sin(addr, ret);
	} else if (family == LINUX_AF_INET && !tcp) {
		if (len < SIN_LEN)
			return -EINVAL;
		inet_get_sin(addr, ret);
	} else {
		if (len < SIN6_LEN_MIN)
			return -EINVAL;
		if (family != LINUX_AF_INET6)
			return tcp || family != LINUX_AF_UNSPEC ? -EAFNOSUPPORT : -EDESTADDRREQ;
		inet_get_sin6(addr, ret, ret_scope);
		if (len < SIN6_LEN || !needs_scope(ret))
			*ret_scope = 0;
	}
	mutex_lock(inet_mu(u));
	only = u->v6only;
	if (inet_any(ret))
		inet_set_loopback(ret, inet_mapped(ret) || (inet_mapped(&u->laddr) && u->bound));
	mutex_unlock(inet_mu(u));
	if (u->sk.family == LINUX_AF_INET6 && only && inet_mapped(ret))
		return -ENETUNREACH;
	if (*ret_scope && bound_dev(u) && bound_dev(u) != *ret_scope)
		return -EINVAL;
	if (!inet_mapped(ret) && needs_scope(ret) && !*ret_scope && !bound_dev(u) && !inet_opt_get(u, SOL_IPV6_, IPV6_MULTICAST_IF_))
		return tcp ? -EINVAL : -ENETUNREACH;
	return 0;
}

/* An interface other than lo does not exist, so asking for one leads nowhere. */
static int multicast_route(struct inet_sock *u, const struct inet_addr *dst, uint32_t dev, bool no_source)
{
	bool v4 = inet_mapped(dst);

	if (!dev)
		dev = bound_dev(u);
	if (!dev)
		dev = (uint32_t)inet_opt_get(u, v4 ? SOL_IP_ : SOL_IPV6_, v4 ? IP_MULTICAST_IF_ : IPV6_MULTICAST_IF_);
	/* There is no route to ff00::/8 on lo, which is no multicast interface; IPv4 takes the one that is named. */
	if (!v4 || (!dev && no_source))
		return -ENETUNREACH;
	return dev && dev != LO_IFINDEX ? -ENETUNREACH : 0;
}

/* A destination that is no address of ours: the routing table says why, or that what is sent is lost behind a device. */
static int away_route(struct inet_sock *u, const struct inet_addr *dst, struct inet_addr *ret)
{
	struct inet_addr src = *ret;

	switch (net_reach(u->sk.net, dst->ip, src.ip)) {
	case NET_LOCAL:
	case NET_AWAY:
		if (inet_any(ret))
			*ret = src;
		return 0;
	case NET_PROHIBITED:
		return -EACCES;
	case NET_NO_HOST:
		return -EHOSTUNREACH;
	case NET_INVALID:
		return -EINVAL;
	case NET_UNREACHABLE:
	default:
		return -ENETUNREACH;
	}
}

int inet_route_locked(struct inet_sock *u, const struct inet_addr *dst, uint32_t dev, struct inet_addr *ret)
{
	enum inet_addr_type type = inet_addr_type(u->sk.net, dst);
	bool broadcast;
	int r = 0;

	*ret = u->laddr;
	/* A group or broadcast address filters what is received; it is nobody's source. */
	if (u->bound & INET_BOUND_ADDR && !inet_is_tcp(u)) {
		enum inet_addr_type own = inet_addr_type(u->sk.net, ret);

		if (own == INET_A_MULTICAST || own == INET_A_BROADCAST)
			inet_set_any(u, ret);
	}
	switch (type) {
	case INET_A_MULTICAST:
		if (inet_is_tcp(u))
			return -ENETUNREACH;
		r = multicast_route(u, dst, dev, inet_any(ret));
		break;
	case INET_A_BROADCAST:
		if (inet_is_tcp(u))
			return -ENETUNREACH;
		/* The limited broadcast address needs an interface; without a default route only an address or device names one. */
		if (dst->ip[12] == 255 && inet_any(&u->laddr) && !bound_dev(u) && !dev)
			return -ENETUNREACH;
		mutex_lock(&u->sk.opt_mu);
		broadcast = u->sk.opts.broadcast;
		mutex_unlock(&u->sk.opt_mu);
		if (!broadcast)
			return -EACCES;
		break;
	case INET_A_LOCAL:
		/* Addresses of other interfaces have their own source. */
		if (inet_any(ret) && !(inet_mapped(dst) ? dst->ip[12] == 127 : dst->ip[15] == 1 && !memcmp(dst->ip, zero, 15)))
			r = away_route(u, dst, ret);
		break;
	case INET_A_OTHER:
		r = away_route(u, dst, ret);
		break;
	case INET_A_ANY:
	default:
		return -ENETUNREACH;
	}
	if (!r && inet_any(ret))
		inet_set_loopback(ret, inet_mapped(dst));
	if (!r && inet_mapped(ret) != inet_mapped(dst))
		r = inet_mapped(dst) ? -ENETUNREACH : -EAFNOSUPPORT;
	return r;
}

/* --- bind --- */

static int parse_bind(struct inet_sock *u, const void *addr, uint32_t len, struct inet_addr *a)
{
	uint16_t family;
	uint32_t scope;

	if (len < (u->sk.family == LINUX_AF_INET ? SIN_LEN : SIN6_LEN_MIN))
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (u->sk.family == LINUX_AF_INET) {
		inet_get_sin(addr, a);
		return family != LINUX_AF_INET && (family != LINUX_AF_UNSPEC || !inet_any(a)) ? -EAFNOSUPPORT : 0;
	}
	if (family != LINUX_AF_INET6)
		return -EAFNOSUPPORT;
	inet_get_sin6(addr, a, &scope);
	if (len < SIN6_LEN)
		scope = 0;
	/* Multicast as the local address is for datagrams. */
	if (inet_addr_type(u->sk.net, a) == INET_A_MULTICAST && inet_is_tcp(u))
		return -EINVAL;
	if (!inet_mapped(a) && needs_scope(a)) {
		if (!scope && !bound_dev(u))
			return -EINVAL;
		if (scope && scope != LO_IFINDEX)
			return -ENODEV;
	}
	return 0;
}

static bool nonlocal_allowed(struct inet_sock *u)
{
	return inet_opt_get(u, SOL_IP_, IP_FREEBIND_) || inet_opt_get(u, SOL_IP_, IP_TRANSPARENT_) || inet_sysctl("ip_nonlocal_bind", 0);
}

int inet_bind(struct sock *sk, struct task *t, const void *addr, uint32_t len)
{
	struct inet_sock *u = inet_of(sk);
	struct inet_addr a = { 0 };
	enum inet_addr_type type;
	int r = parse_bind(u, addr, len, &a);
	uint16_t port;

	if (r)
		return r;
	type = inet_addr_type(sk->net, &a);
	if (type == INET_A_OTHER && !nonlocal_allowed(u))
		return -EADDRNOTAVAIL;
	port = a.port;
	if (port && port < inet_sysctl("ip_unprivileged_port_start", 1024) && t && !net_capable(t, LINUX_CAP_NET_BIND_SERVICE) && !inet_is_raw(u) &&
	    !inet_is_ping(u))
		return -EACCES;
	mutex_lock(inet_mu(u));
	inet_tw_expire_locked(sk->net->inet);
	if (sk->family == LINUX_AF_INET6 && u->v6only && inet_mapped(&a)) {
		r = -EINVAL;
	} else if (inet_is_raw(u)) {
		if (u->state != INET_CLOSE) {
			r = -EINVAL;
			goto out;
		}
		u->bound = type == INET_A_ANY ? 0 : INET_BOUND_ADDR;
		a.port = u->laddr.port;
		u->laddr = a;
		goto out;
	} else if (u->laddr.port || u->state != INET_CLOSE) {
		r = -EINVAL;
	} else if (port) {
		r = inet_conflict_locked(u, &a) ? -EADDRINUSE : 0;
	} else if (!inet_opt_get(u, SOL_IP_, IP_BIND_ADDRESS_NO_PORT_) || inet_is_ping(u)) {
		r = inet_pick_port_locked(u, &a);
	}
	if (!r) {
		u->bound = (type == INET_A_ANY ? 0 : INET_BOUND_ADDR) | (port ? INET_BOUND_PORT : 0);
		u->laddr = a;
		if (a.port) {
			u->bind_seq = ++sk->net->inet->last_seq;
			inet_enter_locked(u);
		}
	}
out:
	mutex_unlock(inet_mu(u));
	return r;
}
