/* SPDX-License-Identifier: Apache-2.0 */
/* All Internet sockets of a network namespace in one form. See diag.h. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/host/host.h"
#include "sentry/net/inet.h"
#include "sentry/net/netlink/diag.h"

struct walk {
	int protocol;
	void (*fn)(const struct diag_sock *d, void *arg);
	void *arg;
};

static void common(struct sock *sk, struct diag_sock *d)
{
	*d = (struct diag_sock){ .family = sk->family, .type = sk->type, .protocol = sk->protocol, .sk = sk, .ino = diag_ino(sk) };
	d->cookie = d->ino ? d->ino : (uintptr_t)sk >> 4;
	mutex_lock(&sk->opt_mu);
	d->rcvbuf = sk->opts.rcvbuf;
	d->sndbuf = sk->opts.sndbuf;
	d->mark = sk->opts.mark;
	mutex_unlock(&sk->opt_mu);
}

static bool wanted(const struct sock *sk, int protocol)
{
	return protocol == IPPROTO_RAW ? sk->type == LINUX_SOCK_RAW : sk->type != LINUX_SOCK_RAW && sk->protocol == protocol;
}

static void inet_one(struct inet_sock *u, struct walk *w)
{
	struct diag_sock d;

	if (!wanted(&u->sk, w->protocol))
		return;
	common(&u->sk, &d);
	d.state = (uint8_t)(inet_is_tcp(u) ? tcp_shown_state(u) : u->state);
	memcpy(d.laddr, u->laddr.ip, 16);
	memcpy(d.raddr, u->raddr.ip, 16);
	d.lport = u->laddr.port;
	d.rport = u->raddr.port;
	d.uid = u->uid;
	d.v6only = u->v6only;
	d.shutdown = (uint8_t)u->shutdown;
	d.rqueue = (uint32_t)(u->state == INET_LISTEN ? u->nr_backlog : u->rq_bytes);
	d.wqueue = u->state == INET_LISTEN ? u->backlog_max : 0;
	w->fn(&d, w->arg);
}

static void from_name(const struct host_name *n, uint8_t ip[16], uint16_t *port)
{
	memset(ip, 0, 16);
	*port = n->len ? (uint16_t)(n->addr[2] << 8 | n->addr[3]) : 0;
	if (n->len == sizeof(struct sockaddr_in6)) {
		memcpy(ip, n->addr + 8, 16);
	} else if (n->len) {
		ip[10] = ip[11] = 0xff;
		memcpy(ip + 12, n->addr + 4, 4);
	}
}

static int host_one(struct host_sock *h, void *arg)
{
	struct walk *w = arg;
	struct host_name l, p;
	struct diag_sock d;
	int v = 0;

	if (!wanted(&h->sk, w->protocol))
		return 0;
	common(&h->sk, &d);
	host_names(h, &l, &p);
	from_name(&l, d.laddr, &d.lport);
	from_name(&p, d.raddr, &d.rport);
	d.state = (uint8_t)host_tcp_state(h);
	/* Neither bound nor connected: in no table of Linux. */
	if (!d.lport && d.type != LINUX_SOCK_RAW)
		return 0;
	d.uid = h->uid;
	d.shutdown = (uint8_t)h->shutdown;
	if (d.state == TCP_LISTEN) {
		d.wqueue = (uint32_t)h->backlog;
	} else {
		d.rqueue = host_count(h, LINUX_SIOCINQ, &v) ? (uint32_t)v : 0;
		d.wqueue = host_count(h, LINUX_SIOCOUTQ, &v) ? (uint32_t)v : 0;
	}
	w->fn(&d, w->arg);
	return 0;
}

void diag_each_inet(struct net_ns *net, int protocol, void (*fn)(const struct diag_sock *d, void *arg), void *arg)
{
	struct walk w = { protocol, fn, arg };
	struct inet_table *tb = net->inet;
	struct inet_sock *u;

	mutex_lock(&tb->mu);
	for (size_t i = 0; i < INET_BUCKETS; i++) {
		list_for_each(u, protocol == IPPROTO_TCP ? &tb->tcp[i] : &tb->udp[i], node)
			inet_one(u, &w);
	}
	mutex_unlock(&tb->mu);
	host_each(net, host_one, &w);
}

size_t diag_tcp_info(struct sock *sk, void *buf, size_t size)
{
	return sk->ops == &host_sock_ops ? host_tcp_info(host_of(sk), buf, size) : 0;
}
