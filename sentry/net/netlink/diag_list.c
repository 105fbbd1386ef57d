/* SPDX-License-Identifier: Apache-2.0 */
/* All Internet sockets of a network namespace in one form. See diag.h. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/host/host.h"
#include "sentry/net/inet_diag.h"
#include "sentry/net/netlink/diag.h"

struct walk {
	int protocol;
	void (*fn)(const struct diag_sock *d, void *arg);
	void *arg;
};

static void buffers(struct sock *sk, struct diag_sock *d)
{
	mutex_lock(&sk->opt_mu);
	d->rcvbuf = sk->opts.rcvbuf;
	d->sndbuf = sk->opts.sndbuf;
	mutex_unlock(&sk->opt_mu);
}

static void common(struct sock *sk, struct diag_sock *d)
{
	*d = (struct diag_sock){ .family = sk->family, .type = sk->type, .protocol = sk->protocol, .sk = sk, .ino = diag_ino(sk) };
	d->cookie = d->ino ? d->ino : (uintptr_t)sk >> 4;
	buffers(sk, d);
}

static bool wanted(const struct sock *sk, int protocol)
{
	return protocol == IPPROTO_RAW ? sk->type == LINUX_SOCK_RAW : sk->type != LINUX_SOCK_RAW && sk->protocol == protocol;
}

static bool inet_one(void *arg, const struct inet_diag_info *i)
{
	struct walk *w = arg;
	struct diag_sock d = {
		.family = (uint16_t)i->family, .type = (uint16_t)i->type, .protocol = (uint16_t)i->protocol, .state = (uint8_t)i->state,
		.lport = i->laddr.port, .rport = i->raddr.port, .rqueue = i->rqueue, .wqueue = i->wqueue, .uid = i->uid, .ino = i->ino,
		.cookie = i->cookie, .mark = i->mark, .drops = (uint32_t)i->drops, .shutdown = (uint8_t)i->shutdown, .v6only = i->v6only,
		.ifindex = i->bound_dev, .sk = i->sk ? (struct sock *)(uintptr_t)&i->sk->sk : NULL,
	};

	if (w->protocol == IPPROTO_RAW ? i->type != LINUX_SOCK_RAW : i->type == LINUX_SOCK_RAW || i->protocol != w->protocol)
		return true;
	memcpy(d.laddr, i->laddr.ip, 16);
	memcpy(d.raddr, i->raddr.ip, 16);
	if (d.sk)
		buffers(d.sk, &d);
	if (i->timewait) { /* until it is gone, in milliseconds */
		int64_t left = (i->expires - ktime_mono()) / 1000000;

		d.timer = 3;
		d.expires = (uint32_t)MAX(left, (int64_t)0);
	}
	w->fn(&d, w->arg);
	return true;
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

	inet_diag_each(net, protocol == IPPROTO_TCP ? LINUX_SOCK_STREAM : protocol == IPPROTO_RAW ? LINUX_SOCK_RAW : LINUX_SOCK_DGRAM,
		       protocol == IPPROTO_RAW ? 0 : protocol, inet_one, &w);
	host_each(net, host_one, &w);
}

size_t diag_tcp_info(struct sock *sk, void *buf, size_t size)
{
	if (sk->ops == &host_sock_ops)
		return host_tcp_info(host_of(sk), buf, size);
	if (sk->ops != &tcp_sock_ops || size < TCP_INFO_LEN)
		return 0;
	tcp_fill_info_locked(inet_of(sk), buf);
	return TCP_INFO_LEN;
}
