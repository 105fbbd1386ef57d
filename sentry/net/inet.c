/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_INET and AF_INET6: addresses, the table of ports, creation, /proc/net/tcp and udp. Structures and locks: inet.h.
 *
 * Local are 127.0.0.0/8 and ::1; every other destination is unreachable.
 * Linux: net/ipv4/af_inet.c, inet_connection_sock.c, inet_hashtables.c. DEVIATION: a closed endpoint leaves nothing behind (no TIME_WAIT, no
 * orphans), so its port is free at once; no broadcast, no multicast, no raw or ping sockets.
 */
#include "sentry/net/inet.h"

#include <string.h>

#include "base/strbuf.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/kernel.h"

#define PORT_MIN 32768u /* net.ipv4.ip_local_port_range */
#define PORT_MAX 60999u
#define TCP_SNDBUF_DEF 16384u /* net.ipv4.tcp_wmem, tcp_rmem */
#define TCP_RCVBUF_DEF 131072u
#define SIN_LEN 16u
#define SIN6_LEN 28u
#define SIN6_LEN_MIN 24u

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

static bool same_ip(const struct inet_addr *a, const struct inet_addr *b)
{
	return !memcmp(a->ip, b->ip, sizeof(a->ip));
}

static bool is_loopback(const struct inet_addr *a)
{
	return inet_mapped(a) ? a->ip[12] == 127 : !memcmp(a->ip, zero, 15) && a->ip[15] == 1;
}

static void set_loopback(struct inet_addr *a, bool v4)
{
	memset(a->ip, 0, sizeof(a->ip));
	a->ip[15] = 1;
	if (v4) {
		memcpy(a->ip, mapped_prefix, sizeof(mapped_prefix));
		a->ip[12] = 127;
	}
}

static void set_any(const struct inet_sock *u, struct inet_addr *a)
{
	memset(a->ip, 0, sizeof(a->ip));
	if (u->sk.family == LINUX_AF_INET)
		memcpy(a->ip, mapped_prefix, sizeof(mapped_prefix));
}

static void get_sin(const uint8_t *p, struct inet_addr *a)
{
	a->port = (uint16_t)(p[2] << 8 | p[3]);
	memcpy(a->ip, mapped_prefix, sizeof(mapped_prefix));
	memcpy(a->ip + 12, p + 4, 4);
}

static void get_sin6(const uint8_t *p, struct inet_addr *a)
{
	a->port = (uint16_t)(p[2] << 8 | p[3]);
	memcpy(a->ip, p + 8, 16);
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
	return SIN6_LEN;
}

int inet_parse_dst(struct inet_sock *u, const void *addr, uint32_t len, struct inet_addr *ret)
{
	bool tcp = inet_is_tcp(u), only;
	uint16_t family;

	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (u->sk.family == LINUX_AF_INET) {
		if (len < SIN_LEN)
			return -EINVAL;
		if (family != LINUX_AF_INET && (tcp || family != LINUX_AF_UNSPEC))
			return -EAFNOSUPPORT;
		get_sin(addr, ret);
	} else if (family == LINUX_AF_INET && !tcp) {
		if (len < SIN_LEN)
			return -EINVAL;
		get_sin(addr, ret);
	} else {
		if (len < SIN6_LEN_MIN)
			return -EINVAL;
		if (family != LINUX_AF_INET6)
			return -EAFNOSUPPORT;
		get_sin6(addr, ret);
	}
	mutex_lock(inet_mu(u));
	only = u->v6only;
	if (inet_any(ret))
		set_loopback(ret, inet_mapped(ret) || (inet_mapped(&u->laddr) && u->bound));
	mutex_unlock(inet_mu(u));
	if (u->sk.family == LINUX_AF_INET6 && only && inet_mapped(ret))
		return -ENETUNREACH;
	return is_loopback(ret) ? 0 : -ENETUNREACH;
}

/* --- ports --- */

struct inet_table *inet_table_new(void)
{
	struct inet_table *tb = calloc(1, sizeof(*tb));

	if (!tb)
		return NULL;
	mutex_init(&tb->mu, "inet_table.mu");
	for (size_t i = 0; i < INET_BUCKETS; i++) {
		list_init(&tb->tcp[i]);
		list_init(&tb->udp[i]);
	}
	tb->next_port = (uint32_t)hash_u64((uint64_t)ktime_mono()) % (PORT_MAX - PORT_MIN + 1);
	return tb;
}

void inet_table_free(struct inet_table *tb)
{
	mutex_destroy(&tb->mu);
	free(tb);
}

struct list *inet_bucket(const struct inet_sock *u, uint16_t port)
{
	struct inet_table *tb = u->sk.net->inet;

	return inet_is_tcp(u) ? &tb->tcp[port % INET_BUCKETS] : &tb->udp[port % INET_BUCKETS];
}

/* Does a socket @u bound to @a take anything that one bound to @b does? */
static bool covers(const struct inet_sock *u, const struct inet_addr *a, const struct inet_addr *b)
{
	if (!inet_any(a))
		return same_ip(a, b);
	if (inet_mapped(a))
		return inet_mapped(b);
	return !inet_mapped(b) || !u->v6only;
}

static void reuse_opts(const struct inet_sock *u, bool *addr, bool *port)
{
	struct mutex *mu = (struct mutex *)(uintptr_t)&u->sk.opt_mu;

	mutex_lock(mu);
	*addr = u->sk.opts.reuseaddr;
	*port = u->sk.opts.reuseport;
	mutex_unlock(mu);
}

bool inet_conflict_locked(const struct inet_sock *u, const struct inet_addr *a)
{
	bool ra, rp, oa, op;
	struct inet_sock *o;

	reuse_opts(u, &ra, &rp);
	list_for_each(o, inet_bucket(u, a->port), node) {
		if (o == u || o->laddr.port != a->port || (!covers(u, a, &o->laddr) && !covers(o, &o->laddr, a)))
			continue;
		reuse_opts(o, &oa, &op);
		if (ra && oa && !(inet_is_tcp(u) && (o->state == INET_LISTEN)))
			continue;
		if (rp && op && u->uid == o->uid)
			continue;
		return true;
	}
	return false;
}

static int pick_port_locked(struct inet_sock *u, struct inet_addr *a)
{
	struct inet_table *tb = u->sk.net->inet;
	uint32_t n = PORT_MAX - PORT_MIN + 1;
	struct inet_sock *o;

	for (uint32_t i = 0; i < n; i++) {
		bool used = false;

		a->port = (uint16_t)(PORT_MIN + tb->next_port++ % n);
		/* Never shared, whatever the options say. */
		list_for_each(o, inet_bucket(u, a->port), node)
			used |= o->laddr.port == a->port && (covers(u, a, &o->laddr) || covers(o, &o->laddr, a));
		if (!used)
			return 0;
	}
	a->port = 0;
	return -EADDRINUSE;
}

int inet_autobind_locked(struct inet_sock *u)
{
	int r = 0;

	if (u->laddr.port)
		return 0;
	r = pick_port_locked(u, &u->laddr);
	if (r)
		return -EAGAIN;
	list_add(inet_bucket(u, u->laddr.port), &u->node);
	return 0;
}

int inet_bind(struct sock *sk, struct task *t, const void *addr, uint32_t len)
{
	struct inet_sock *u = inet_of(sk);
	struct inet_addr a;
	uint16_t family;
	int r = 0;

	if (len < (sk->family == LINUX_AF_INET ? SIN_LEN : SIN6_LEN_MIN))
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (sk->family == LINUX_AF_INET) {
		get_sin(addr, &a);
		if (family != LINUX_AF_INET && (family != LINUX_AF_UNSPEC || !inet_any(&a)))
			return -EAFNOSUPPORT;
	} else {
		if (family != LINUX_AF_INET6)
			return -EAFNOSUPPORT;
		get_sin6(addr, &a);
	}
	if (!inet_any(&a) && !is_loopback(&a))
		return -EADDRNOTAVAIL;
	if (a.port && a.port < 1024 && t && !task_capable(t, LINUX_CAP_NET_BIND_SERVICE))
		return -EACCES;
	mutex_lock(inet_mu(u));
	if (sk->family == LINUX_AF_INET6 && u->v6only && inet_mapped(&a))
		r = -EINVAL;
	else if (u->laddr.port || u->state != INET_CLOSE)
		r = -EINVAL;
	else if (a.port)
		r = inet_conflict_locked(u, &a) ? -EADDRINUSE : 0;
	else
		r = pick_port_locked(u, &a);
	if (!r) {
		u->bound = inet_any(&a) ? 0 : INET_BOUND_ADDR;
		memcpy(&family, (const uint8_t *)addr + 2, sizeof(family));
		if (family)
			u->bound |= INET_BOUND_PORT;
		u->laddr = a;
		list_add(inet_bucket(u, a.port), &u->node);
	}
	mutex_unlock(inet_mu(u));
	return r;
}

int inet_route_locked(struct inet_sock *u, const struct inet_addr *dst, struct inet_addr *ret)
{
	*ret = u->laddr;
	if (inet_any(&u->laddr))
		set_loopback(ret, inet_mapped(dst));
	return inet_mapped(ret) == inet_mapped(dst) ? 0 : -ENETUNREACH;
}

struct inet_sock *inet_lookup_locked(const struct inet_sock *u, const struct inet_addr *to, const struct inet_addr *from)
{
	struct inet_sock *o, *best = NULL;
	uint32_t hash = from->port * 2654435761u, same = 0;
	int best_score = -1;

	list_for_each(o, inet_bucket(u, to->port), node) {
		bool ra, rp;
		int score;

		if (o->laddr.port != to->port || !covers(o, &o->laddr, to) || (inet_is_tcp(u) && o->state != INET_LISTEN))
			continue;
		score = (o->sk.family == LINUX_AF_INET) + 2 * !inet_any(&o->laddr);
		if (!inet_is_tcp(u) && o->state == INET_ESTABLISHED) {
			if (o->raddr.port != from->port || !same_ip(&o->raddr, from))
				continue;
			score += 4;
		}
		if (score > best_score) {
			best = o;
			best_score = score;
			same = 1;
		} else if (score == best_score) {
			reuse_opts(o, &ra, &rp);
			/* Spread over a reuseport group; one sender always meets the same member. */
			if (rp && ((uint64_t)hash * ++same) >> 32 == 0)
				best = o;
			hash *= 1664525u;
		}
	}
	return best;
}

void inet_disconnect_locked(struct inet_sock *u)
{
	u->state = INET_CLOSE;
	u->conn = INET_UNCONNECTED;
	u->shutdown = 0;
	u->err = 0;
	u->fin_rcvd = false;
	memset(&u->raddr, 0, sizeof(u->raddr));
	if (!(u->bound & INET_BOUND_ADDR))
		set_any(u, &u->laddr);
	if (!(u->bound & INET_BOUND_PORT)) {
		list_del(&u->node);
		u->laddr.port = 0;
	}
}

/* --- life --- */

void *inet_alloc(void)
{
	struct inet_sock *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	(void)sock_init(&u->sk, &tcp_sock_ops, LINUX_AF_INET, 0, 0, NULL);
	mutex_init(&u->rx_mu, "inet_sock.rx_mu");
	list_init(&u->rq);
	list_init(&u->backlog);
	list_init(&u->synq);
	u->state = INET_CLOSE;
	return u;
}

struct inet_sock *inet_new(struct net_ns *net, int family, int type)
{
	struct inet_sock *u = inet_alloc();

	if (!u)
		return NULL;
	u->sk.family = (uint16_t)family;
	u->sk.type = (uint16_t)type;
	u->sk.protocol = type == LINUX_SOCK_STREAM ? LINUX_IPPROTO_TCP : LINUX_IPPROTO_UDP;
	u->sk.ops = type == LINUX_SOCK_STREAM ? &tcp_sock_ops : &udp_sock_ops;
	u->sk.net = net_ns_get(net);
	if (type == LINUX_SOCK_STREAM) {
		u->sk.opts.sndbuf = TCP_SNDBUF_DEF;
		u->sk.opts.rcvbuf = TCP_RCVBUF_DEF;
	}
	set_any(u, &u->laddr);
	inet_opts_init(u);
	return u;
}

int inet_sock_create(struct task *t, struct net_ns *net, int family, int type, int protocol, struct sock **ret)
{
	struct inet_sock *u;

	if (protocol < 0 || protocol >= 263)
		return -EINVAL;
	if (!net)
		return -EAFNOSUPPORT;
	switch (type) {
	case LINUX_SOCK_STREAM:
		if (protocol && protocol != LINUX_IPPROTO_TCP)
			return -EPROTONOSUPPORT;
		break;
	case LINUX_SOCK_DGRAM:
		if (protocol == (family == LINUX_AF_INET ? 1 : 58))
			return -EACCES; /* ping sockets: net.ipv4.ping_group_range is empty */
		if (protocol && protocol != LINUX_IPPROTO_UDP)
			return -EPROTONOSUPPORT;
		break;
	case LINUX_SOCK_RAW:
		return task_capable(t, LINUX_CAP_NET_RAW) ? -EPROTONOSUPPORT : -EPERM;
	default:
		return -ESOCKTNOSUPPORT;
	}
	u = inet_new(net, family, type);
	if (!u)
		return -ENOMEM;
	u->uid = t && t->cred ? t->cred->euid : 0;
	*ret = &u->sk;
	return 0;
}

void inet_free_msgs(struct list *l)
{
	struct inet_msg *m, *tmp;

	list_for_each_safe(m, tmp, l, node) {
		list_del(&m->node);
		free(m);
	}
}

struct inet_msg *inet_msg_new(struct sock_msg *m, size_t n, int *err)
{
	size_t cap = MAX(n, (size_t)1024);
	struct inet_msg *msg = malloc(sizeof(*msg) + cap);

	*err = msg ? 0 : -ENOMEM;
	if (!msg)
		return NULL;
	memset(msg, 0, sizeof(*msg));
	msg->cap = (uint32_t)cap;
	msg->len = (uint32_t)n;
	if (n && uio_get(m->u, msg->data, n) != (int64_t)n) {
		free(msg);
		*err = -EFAULT;
		return NULL;
	}
	return msg;
}

int inet_getname(struct sock *sk, struct task *t, void *addr, bool peer)
{
	struct inet_sock *u = inet_of(sk);
	int r;

	mutex_lock(inet_mu(u));
	if (!peer)
		r = inet_fill_name(u, &u->laddr, addr);
	else if (!u->raddr.port || u->state == INET_CLOSE || u->state == INET_SYN_SENT || u->state == INET_LISTEN)
		r = -ENOTCONN;
	else
		r = inet_fill_name(u, &u->raddr, addr);
	mutex_unlock(inet_mu(u));
	return r;
}

int inet_take_error(struct sock *sk)
{
	struct inet_sock *u = inet_of(sk);
	int r;

	mutex_lock(inet_mu(u));
	r = u->err;
	u->err = 0;
	mutex_unlock(inet_mu(u));
	return r;
}

/* --- /proc/net --- */

static void show_addr(const struct inet_addr *a, bool v6, struct strbuf *b)
{
	for (int i = v6 ? 0 : 12; i < 16; i += 4) {
		uint32_t w;

		memcpy(&w, a->ip + i, sizeof(w));
		strbuf_addf(b, "%08X", w);
	}
	strbuf_addf(b, ":%04X ", a->port);
}

static void show(struct net_ns *ns, bool v6, bool tcp, struct strbuf *b)
{
	struct list *tab = tcp ? ns->inet->tcp : ns->inet->udp;
	int family = v6 ? LINUX_AF_INET6 : LINUX_AF_INET, nr = 0;
	struct inet_sock *u;

	mutex_lock(&ns->inet->mu);
	for (size_t i = 0; i < INET_BUCKETS; i++) {
		list_for_each(u, &tab[i], node) {
			size_t rx = u->state == INET_LISTEN ? u->nr_backlog : u->rq_bytes;
			unsigned long ino = u->sk.file ? (unsigned long)u->sk.file->inode->ino : 0;

			if (u->sk.family != family)
				continue;
			strbuf_addf(b, tcp ? "%4d: " : "%5d: ", nr++);
			show_addr(&u->laddr, v6, b);
			show_addr(&u->raddr, v6, b);
			strbuf_addf(b, "%02X %08X:%08X 00:00000000 00000000 %5u %8d %lu ", tcp ? tcp_shown_state(u) : u->state,
				    u->state == INET_LISTEN ? u->backlog_max : 0, (unsigned)rx, u->uid, 0, ino);
			strbuf_adds(b, tcp ? "1 0000000000000000 100 0 0 10 0\n" : "2 0000000000000000 0\n");
		}
	}
	mutex_unlock(&ns->inet->mu);
}

void net_show_tcp(struct net_ns *ns, bool v6, struct strbuf *b)
{
	show(ns, v6, true, b);
}

void net_show_udp(struct net_ns *ns, bool v6, struct strbuf *b)
{
	show(ns, v6, false, b);
}
