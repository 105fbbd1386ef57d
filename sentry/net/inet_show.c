/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of a network namespace, one by one: inet_diag.h, and /proc/net/{tcp,udp,udplite,icmp,raw}{,6}. Linux: net/ipv4/tcp_ipv4.c, inet_diag.c. */
#include <string.h>

#include "base/strbuf.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/inet_diag.h"

static void fill(struct inet_sock *u, struct inet_diag_info *i)
{
	*i = (struct inet_diag_info){
		.family = u->sk.family, .type = u->sk.type, .protocol = u->sk.protocol, .state = inet_is_tcp(u) ? tcp_shown_state(u) : u->state,
		.laddr = u->laddr, .raddr = u->raddr, .rqueue = (uint32_t)MIN(u->rq_bytes, (size_t)INT32_MAX), .uid = u->uid,
		.bound_dev = atomic_load(&u->sk.bound_dev), .shutdown = u->shutdown, .v6only = u->v6only, .drops = u->drops, .sk = u,
		.ino = u->sk.file ? u->sk.file->inode->ino : 0,
	};
	if (u->state == INET_LISTEN) {
		i->rqueue = u->nr_backlog;
		i->wqueue = i->backlog = u->backlog_max;
	} else if (inet_is_tcp(u) && u->peer) {
		size_t window = tcp_rcvbuf(u->peer);

		i->wqueue = (uint32_t)(u->peer->rq_bytes > window ? u->peer->rq_bytes - window : 0);
	}
	mutex_lock(&u->sk.opt_mu);
	i->mark = u->sk.opts.mark;
	if (!u->sk.cookie && the_kernel)
		u->sk.cookie = kernel_next_ino(the_kernel);
	i->cookie = u->sk.cookie;
	mutex_unlock(&u->sk.opt_mu);
}

struct walk {
	bool (*fn)(void *arg, const struct inet_diag_info *i);
	void *arg;
	bool stop;
};

static void call(struct walk *w, struct inet_sock *u)
{
	struct inet_diag_info i;

	fill(u, &i);
	w->stop = !w->fn(w->arg, &i);
}

static void walk_tcp(struct inet_table *tb, struct walk *w)
{
	struct inet_sock *u;
	struct inet_tw *t;

	for (size_t b = 0; b < INET_BUCKETS && !w->stop; b++)
		list_for_each(u, &tb->listeners[b], hash_node)
			if (!w->stop)
				call(w, u);
	for (size_t b = 0; b < INET_BUCKETS && !w->stop; b++)
		list_for_each(u, &tb->conns[b], hash_node)
			if (!w->stop)
				call(w, u);
	inet_tw_expire_locked(tb);
	list_for_each(t, &tb->tw_lru, lru_node) {
		struct inet_diag_info i = { .family = (int)t->family, .type = LINUX_SOCK_STREAM, .protocol = LINUX_IPPROTO_TCP, .state = t->state,
					    .laddr = t->laddr, .raddr = t->raddr, .v6only = t->v6only, .timewait = true, .expires = t->expires,
					    .bound_dev = t->bound_dev };

		if (w->stop)
			break;
		w->stop = !w->fn(w->arg, &i);
	}
}

void inet_diag_each(struct net_ns *net, int type, int protocol, bool (*fn)(void *arg, const struct inet_diag_info *i), void *arg)
{
	struct walk w = { .fn = fn, .arg = arg };
	struct inet_table *tb = net->inet;
	struct inet_sock *u;

	mutex_lock(&tb->mu);
	if (!type || type == LINUX_SOCK_STREAM)
		walk_tcp(tb, &w);
	for (int nr = INET_UDP; nr < INET_NR_TABLES && (!type || type == LINUX_SOCK_DGRAM); nr++)
		for (size_t b = 0; b < INET_BUCKETS && !w.stop; b++)
			list_for_each(u, &tb->ports[nr][b], node)
				if (!w.stop && (!protocol || u->sk.protocol == protocol))
					call(&w, u);
	if (!type || type == LINUX_SOCK_RAW)
		list_for_each(u, &tb->raw, node)
			if (!w.stop && (!protocol || u->sk.protocol == protocol))
				call(&w, u);
	mutex_unlock(&tb->mu);
}

static bool count_one(void *arg, const struct inet_diag_info *i)
{
	struct inet_counts *c = arg;
	bool six = i->family == LINUX_AF_INET6;

	if (i->timewait)
		c->tw++;
	else if (i->type == LINUX_SOCK_STREAM)
		(*(six ? &c->tcp6 : &c->tcp))++;
	else if (i->type == LINUX_SOCK_RAW)
		(*(six ? &c->raw6 : &c->raw))++;
	else if (i->protocol == LINUX_IPPROTO_UDPLITE)
		(*(six ? &c->udplite6 : &c->udplite))++;
	else if (i->protocol == LINUX_IPPROTO_UDP)
		(*(six ? &c->udp6 : &c->udp))++;
	else
		(*(six ? &c->ping6 : &c->ping))++;
	return true;
}

void inet_count(struct net_ns *net, struct inet_counts *ret)
{
	*ret = (struct inet_counts){ 0 };
	inet_diag_each(net, 0, 0, count_one, ret);
}

/* --- /proc/net --- */

struct show {
	struct strbuf *b;
	bool v6;
	int nr;
};

static void show_addr(const struct inet_addr *a, bool v6, struct strbuf *b)
{
	for (int i = v6 ? 0 : 12; i < 16; i += 4) {
		uint32_t w;

		memcpy(&w, a->ip + i, sizeof(w));
		strbuf_addf(b, "%08X", w);
	}
	strbuf_addf(b, ":%04X ", a->port);
}

static bool show_one(void *arg, const struct inet_diag_info *i)
{
	struct show *s = arg;
	bool tcp = i->type == LINUX_SOCK_STREAM;

	if (i->family != (s->v6 ? LINUX_AF_INET6 : LINUX_AF_INET))
		return true;
	strbuf_addf(s->b, tcp ? "%4d: " : "%5d: ", s->nr++);
	show_addr(&i->laddr, s->v6, s->b);
	show_addr(&i->raddr, s->v6, s->b);
	if (i->timewait) {
		int64_t left = MAX(i->expires - ktime_mono(), (int64_t)0) / (NSEC_PER_SEC / 100);

		strbuf_addf(s->b, "%02X %08X:%08X %02X:%08lX %08X %5d %8d %d %d %016x\n", i->state, 0, 0, 3, (unsigned long)left, 0, 0, 0, 0, 3, 0);
		return true;
	}
	strbuf_addf(s->b, "%02X %08X:%08X 00:00000000 00000000 %5u %8d %lu ", i->state, i->state == INET_LISTEN ? 0 : i->wqueue, i->rqueue, i->uid, 0,
		    (unsigned long)i->ino);
	if (tcp)
		strbuf_adds(s->b, i->state == INET_LISTEN ? "1 0000000000000000 100 0 0 10 0\n" : "1 0000000000000000 20 4 0 10 -1\n");
	else
		strbuf_addf(s->b, "2 0000000000000000 %lu\n", (unsigned long)i->drops);
	return true;
}

static void show(struct net_ns *ns, bool v6, int type, int protocol, struct strbuf *b)
{
	struct show s = { .b = b, .v6 = v6 };

	inet_diag_each(ns, type, protocol, show_one, &s);
}

void net_show_tcp(struct net_ns *ns, bool v6, struct strbuf *b)
{
	show(ns, v6, LINUX_SOCK_STREAM, 0, b);
}

void net_show_udp(struct net_ns *ns, bool v6, struct strbuf *b)
{
	show(ns, v6, LINUX_SOCK_DGRAM, LINUX_IPPROTO_UDP, b);
}

void net_show_raw(struct net_ns *ns, bool v6, struct strbuf *b)
{
	show(ns, v6, LINUX_SOCK_RAW, 0, b);
}

void net_count_sockets(struct net_ns *ns, unsigned *total, unsigned *tcp, unsigned *udp, unsigned *raw)
{
	struct inet_counts c;

	inet_count(ns, &c);
	*tcp = c.tcp;
	*udp = c.udp;
	*raw = c.raw;
	*total = c.tcp + c.tcp6 + c.udp + c.udp6 + c.udplite + c.udplite6 + c.raw + c.raw6 + c.ping + c.ping6;
}
