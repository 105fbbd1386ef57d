/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of a network namespace: which ports are taken and by whom, who receives what, and what is left of closed connections.
 *
 * Sockets are found by local port (conflicts, datagrams), connections also by both addresses, listeners by their port alone, so that neither a
 * connect nor an incoming connection looks at the thousands of connections a server's port may have.
 *
 * TIME_WAIT entries need no timers: they are in the order of their expiry, and whoever is about to use the tables drops what is over first.
 * Linux: net/ipv4/inet_connection_sock.c, inet_hashtables.c, inet_timewait_sock.c, udp.c. Checkpoint: entries by inet_state.c, the rest is
 * rebuilt.
 */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "sentry/net/loopback.h"
#include "sentry/net/sock_filter.h"

#define TW_LEN (60 * NSEC_PER_SEC)
#define TCP_LINGER2_ 8

struct inet_table *inet_table_new(void)
{
	struct inet_table *tb = calloc(1, sizeof(*tb));

	if (!tb)
		return NULL;
	mutex_init(&tb->mu, "inet_table.mu");
	for (size_t i = 0; i < INET_BUCKETS; i++) {
		for (size_t k = 0; k < INET_NR_TABLES; k++)
			list_init(&tb->ports[k][i]);
		list_init(&tb->conns[i]);
		list_init(&tb->listeners[i]);
		list_init(&tb->tw_ports[i]);
		list_init(&tb->tw_conns[i]);
	}
	list_init(&tb->tw_lru);
	list_init(&tb->raw);
	list_init(&tb->members);
	tb->next_port = (uint32_t)hash_u64((uint64_t)ktime_mono());
	return tb;
}

static void tw_free(struct inet_table *tb, struct inet_tw *w)
{
	list_del(&w->bind_node);
	list_del(&w->hash_node);
	list_del(&w->lru_node);
	tb->nr_tw--;
	free(w);
}

void inet_table_free(struct inet_table *tb)
{
	struct inet_tw *w, *tmp;

	list_for_each_safe(w, tmp, &tb->tw_lru, lru_node)
		tw_free(tb, w);
	mutex_destroy(&tb->mu);
	free(tb);
}

enum inet_table_nr inet_table_of(const struct inet_sock *u)
{
	if (inet_is_tcp(u))
		return INET_TCP;
	if (inet_is_ping(u))
		return INET_PING;
	return u->sk.protocol == LINUX_IPPROTO_UDPLITE ? INET_UDPLITE : INET_UDP;
}

struct list *inet_bucket(const struct inet_sock *u, uint16_t port)
{
	return &u->sk.net->inet->ports[inet_table_of(u)][port % INET_BUCKETS];
}

void inet_enter_locked(struct inet_sock *u)
{
	struct list *head = inet_bucket(u, u->laddr.port), *at = head;

	if (!u->bind_seq) {
		list_add_tail(head, &u->node);
		return;
	}
	/* Nearly always first; after loading anywhere. */
	while (at->next != head && list_entry(at->next, struct inet_sock, node)->bind_seq > u->bind_seq)
		at = at->next;
	list_add(at, &u->node);
}

static size_t conn_hash(const struct inet_addr *l, const struct inet_addr *r)
{
	uint32_t a, b;

	memcpy(&a, l->ip + 12, 4);
	memcpy(&b, r->ip + 12, 4);
	return hash_u64(hash_u64((uint64_t)l->port << 16 | r->port) ^ ((uint64_t)a << 32 | b)) % INET_BUCKETS;
}

void tcp_hash_locked(struct inet_sock *u)
{
	struct inet_table *tb = u->sk.net->inet;

	list_del(&u->hash_node);
	if (u->state == INET_LISTEN)
		list_add_tail(&tb->listeners[u->laddr.port % INET_BUCKETS], &u->hash_node);
	else if (u->state != INET_CLOSE && u->raddr.port)
		list_add(&tb->conns[conn_hash(&u->laddr, &u->raddr)], &u->hash_node);
}

struct inet_sock *tcp_find_conn_locked(struct inet_table *tb, const struct inet_addr *laddr, const struct inet_addr *raddr)
{
	struct inet_sock *o;

	list_for_each(o, &tb->conns[conn_hash(laddr, raddr)], hash_node)
		if (inet_same_addr(&o->laddr, laddr) && inet_same_addr(&o->raddr, raddr))
			return o;
	return NULL;
}

/* --- what is left of connections --- */

void inet_tw_expire_locked(struct inet_table *tb)
{
	struct inet_tw *w, *tmp;
	int64_t now;

	if (list_empty(&tb->tw_lru))
		return;
	now = ktime_mono();
	list_for_each_safe(w, tmp, &tb->tw_lru, lru_node) {
		if (w->expires > now)
			break;
		tw_free(tb, w);
	}
}

static struct inet_tw *tw_find(struct inet_table *tb, const struct inet_addr *laddr, const struct inet_addr *raddr)
{
	struct inet_tw *w;

	list_for_each(w, &tb->tw_conns[conn_hash(laddr, raddr)], hash_node)
		if (inet_same_addr(&w->laddr, laddr) && inet_same_addr(&w->raddr, raddr))
			return w;
	return NULL;
}

/* Into its place by expiry: nearly always the end. */
static void tw_queue(struct inet_table *tb, struct inet_tw *w)
{
	struct list *at = tb->tw_lru.prev;

	while (at != &tb->tw_lru && list_entry(at, struct inet_tw, lru_node)->expires > w->expires)
		at = at->prev;
	list_add(at, &w->lru_node);
}

struct inet_tw *inet_tw_add_locked(struct inet_table *tb, const struct inet_tw *model)
{
	struct inet_tw *w;

	if (tb->nr_tw >= (uint32_t)inet_sysctl("tcp_max_tw_buckets", 16384))
		return NULL;
	w = malloc(sizeof(*w));
	if (!w)
		return NULL;
	*w = *model;
	list_add(&tb->tw_ports[w->laddr.port % INET_BUCKETS], &w->bind_node);
	list_add(&tb->tw_conns[conn_hash(&w->laddr, &w->raddr)], &w->hash_node);
	tw_queue(tb, w);
	tb->nr_tw++;
	return w;
}

void tcp_leave_tw_locked(struct inet_sock *u, uint32_t state)
{
	struct inet_table *tb = u->sk.net->inet;
	struct inet_tw w = { .laddr = u->laddr, .raddr = u->raddr, .state = state, .family = u->sk.family, .v6only = u->v6only };
	int32_t linger2 = inet_opt_get(u, LINUX_IPPROTO_TCP, TCP_LINGER2_);

	inet_tw_expire_locked(tb);
	mutex_lock(&u->sk.opt_mu);
	w.reuse = u->sk.opts.reuseaddr;
	w.reuseport = u->sk.opts.reuseport;
	mutex_unlock(&u->sk.opt_mu);
	w.bound_dev = atomic_load(&u->sk.bound_dev);
	w.since = ktime_mono();
	w.expires = w.since + TW_LEN;
	if (state == INET_FIN_WAIT2)
		w.expires = w.since + (linger2 > 0 ? linger2 : inet_sysctl("tcp_fin_timeout", 60)) * NSEC_PER_SEC;
	(void)inet_tw_add_locked(tb, &w); /* without memory the port is free early, as in Linux */
}

void tcp_tw_event_locked(struct inet_table *tb, const struct inet_addr *laddr, const struct inet_addr *raddr, bool reset)
{
	struct inet_tw *w = tw_find(tb, laddr, raddr);

	if (!w)
		return;
	if (reset) {
		if (w->state == INET_FIN_WAIT2)
			tw_free(tb, w);
		return;
	}
	w->state = INET_TIME_WAIT;
	w->since = ktime_mono();
	w->expires = w->since + TW_LEN;
	list_del(&w->lru_node);
	tw_queue(tb, w);
}

/* --- ports --- */

/* Does one bound to @a take anything that one bound to @b does? */
static bool covers(const struct inet_addr *a, bool v6only, const struct inet_addr *b)
{
	if (!inet_any(a))
		return inet_same_ip(a, b);
	if (inet_mapped(a))
		return inet_mapped(b);
	return !inet_mapped(b) || !v6only;
}

bool inet_covers(const struct inet_sock *u, const struct inet_addr *a, const struct inet_addr *b)
{
	return covers(a, u->v6only, b);
}

static bool meet(const struct inet_sock *u, const struct inet_addr *a, const struct inet_addr *b, bool b_v6only)
{
	return covers(a, u->v6only, b) || covers(b, b_v6only, a);
}

static bool same_dev(const struct inet_sock *u, uint32_t dev)
{
	uint32_t own = atomic_load_explicit(&u->sk.bound_dev, memory_order_relaxed);

	return !own || !dev || own == dev;
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
	bool ra, rp, oa, op, ping = inet_is_ping(u);
	struct inet_sock *o;
	struct inet_tw *w;

	reuse_opts(u, &ra, &rp);
	list_for_each(o, inet_bucket(u, a->port), node) {
		if (o == u || o->laddr.port != a->port)
			continue;
		/* Ping identifiers are taken whatever the addresses. */
		if (!ping && (!meet(u, a, &o->laddr, o->v6only) || !same_dev(u, atomic_load(&o->sk.bound_dev))))
			continue;
		reuse_opts(o, &oa, &op);
		if (ra && oa && !(inet_is_tcp(u) && o->state == INET_LISTEN))
			continue;
		if (rp && op && !ping && u->uid == o->uid)
			continue;
		return true;
	}
	if (!inet_is_tcp(u))
		return false;
	list_for_each(w, &u->sk.net->inet->tw_ports[a->port % INET_BUCKETS], bind_node)
		if (w->laddr.port == a->port && meet(u, a, &w->laddr, w->v6only) && same_dev(u, w->bound_dev) && !(ra && w->reuse) &&
		    !(rp && w->reuseport))
			return true;
	return false;
}

static void port_range(uint32_t *lo, uint32_t *n)
{
	uint32_t hi;

	*lo = (uint32_t)PROC_SYSCTL("net/ipv4/ip_local_port_range", 0, 32768);
	hi = (uint32_t)PROC_SYSCTL("net/ipv4/ip_local_port_range", 1, 60999);
	*n = hi >= *lo ? hi - *lo + 1 : 1;
}

/* Somebody has the port for an address that @a meets, whatever the options say. */
static bool port_used(struct inet_sock *u, const struct inet_addr *a)
{
	struct inet_sock *o;
	struct inet_tw *w;

	list_for_each(o, inet_bucket(u, a->port), node)
		if (o != u && o->laddr.port == a->port && meet(u, a, &o->laddr, o->v6only))
			return true;
	if (inet_is_tcp(u))
		list_for_each(w, &u->sk.net->inet->tw_ports[a->port % INET_BUCKETS], bind_node)
			if (w->laddr.port == a->port && meet(u, a, &w->laddr, w->v6only))
				return true;
	return false;
}

int inet_pick_port_locked(struct inet_sock *u, struct inet_addr *a)
{
	struct inet_table *tb = u->sk.net->inet;
	uint32_t lo, n;

	if (inet_is_ping(u)) {
		lo = 1;
		n = 65535;
	} else {
		port_range(&lo, &n);
	}
	for (uint32_t i = 0; i < n; i++) {
		a->port = (uint16_t)(lo + tb->next_port++ % n);
		if (!port_used(u, a))
			return 0;
	}
	a->port = 0;
	return -EADDRINUSE;
}

int inet_autobind_locked(struct inet_sock *u)
{
	int r;

	if (u->laddr.port || inet_is_raw(u))
		return 0;
	inet_tw_expire_locked(u->sk.net->inet);
	r = inet_pick_port_locked(u, &u->laddr);
	if (r)
		return -EAGAIN;
	inet_enter_locked(u);
	return 0;
}

/* May a new connection from @src to @dst use the port of a connection that is over? On loopback after a second (net.ipv4.tcp_tw_reuse). */
static bool tw_gives_way(struct inet_table *tb, const struct inet_addr *src, const struct inet_addr *dst)
{
	struct inet_tw *w = tw_find(tb, src, dst);

	if (!w)
		return true;
	if (w->state != INET_TIME_WAIT || ktime_mono() - w->since < NSEC_PER_SEC || !inet_sysctl("tcp_tw_reuse", 2))
		return false;
	tw_free(tb, w);
	return true;
}

/* Only connections that chose their port themselves are on @port: it may be shared with another connection. */
static bool shareable(struct inet_sock *u, uint16_t port)
{
	struct inet_sock *o;

	list_for_each(o, inet_bucket(u, port), node)
		if (o->laddr.port == port && !(o->bound & INET_BOUND_AUTO))
			return false;
	return true;
}

int tcp_autobind_locked(struct inet_sock *u, const struct inet_addr *src, const struct inet_addr *dst)
{
	struct inet_table *tb = u->sk.net->inet;
	struct inet_addr a = *src;
	uint32_t lo, n;

	inet_tw_expire_locked(tb);
	if (u->laddr.port)
		return tcp_find_conn_locked(tb, src, dst) || !tw_gives_way(tb, src, dst) ? -EADDRNOTAVAIL : 0;
	port_range(&lo, &n);
	for (uint32_t i = 0; i < n; i++) {
		a.port = (uint16_t)(lo + tb->next_port++ % n);
		if (!shareable(u, a.port) || tcp_find_conn_locked(tb, &a, dst) || !tw_gives_way(tb, &a, dst))
			continue;
		u->laddr.port = a.port;
		u->bound |= INET_BOUND_AUTO;
		inet_enter_locked(u);
		return 0;
	}
	return -EADDRNOTAVAIL;
}

/* --- lookup --- */

/* The receiver's place in its SO_REUSEPORT group, chosen by the group's program; NULL: it has none, or chooses nobody. */
static struct inet_sock *group_program(struct list *bucket, struct inet_sock *best, const struct inet_addr *to, bool tcp, const uint8_t *data,
				       uint32_t len)
{
	struct sock_filter_prog *prog = NULL;
	struct inet_sock *o, *member = NULL;
	uint32_t want, nr = 0;

	list_for_each(o, bucket, node) {
		if (!inet_same_addr(&o->laddr, &best->laddr))
			continue;
		mutex_lock(&o->sk.opt_mu);
		prog = sock_filter_get(o->sk.reuse_prog);
		mutex_unlock(&o->sk.opt_mu);
		if (prog)
			break;
	}
	if (!prog)
		return NULL;
	want = sock_filter_run(prog, data, len, &(struct sock_filter_ctx){ .protocol = inet_mapped(to) ? 0x0800 : 0x86dd });
	sock_filter_put(prog);
	/* Places are in the order of joining: the bucket's, backwards. */
	for (struct list *at = bucket->prev; at != bucket; at = at->prev) {
		o = list_entry(at, struct inet_sock, node);
		if (o->sk.family != best->sk.family || !inet_same_addr(&o->laddr, &best->laddr) || (tcp && o->state != INET_LISTEN))
			continue;
		if (nr++ == want)
			member = o;
	}
	return member;
}

struct inet_sock *inet_lookup_locked(const struct inet_sock *u, const struct inet_addr *to, const struct inet_addr *from, const uint8_t *data,
				     uint32_t len)
{
	return inet_lookup_table_locked(u->sk.net, inet_table_of(u), to, from, data, len);
}

struct inet_sock *inet_lookup_table_locked(struct net_ns *net, enum inet_table_nr nr, const struct inet_addr *to, const struct inet_addr *from,
					   const uint8_t *data, uint32_t len)
{
	bool tcp = nr == INET_TCP;
	struct list *ports = &net->inet->ports[nr][to->port % INET_BUCKETS];
	struct list *bucket = tcp ? &net->inet->listeners[to->port % INET_BUCKETS] : ports;
	struct inet_sock *o, *best = NULL, *by_prog;
	uint32_t hash = (uint32_t)hash_u64((uint64_t)from->port << 32 | from->ip[15] << 8 | to->ip[15]), same = 0;
	int best_score = -1;

	/* Both lists have the same links but another node. */
	for (struct list *at = bucket->next; at != bucket; at = at->next) {
		bool ra, rp;
		int score;

		o = tcp ? list_entry(at, struct inet_sock, hash_node) : list_entry(at, struct inet_sock, node);
		if (o->laddr.port != to->port || !covers(&o->laddr, o->v6only, to) || !same_dev(o, LO_IFINDEX))
			continue;
		score = (o->sk.family == LINUX_AF_INET) + 4 * !inet_any(&o->laddr) + 2 * !!atomic_load(&o->sk.bound_dev);
		if (!tcp && o->state == INET_ESTABLISHED) {
			if (o->raddr.port != from->port || !inet_same_ip(&o->raddr, from))
				continue;
			score += 8;
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
	if (best && same > 1) {
		by_prog = group_program(ports, best, to, tcp, data, len);
		if (by_prog)
			best = by_prog;
	}
	return best;
}
