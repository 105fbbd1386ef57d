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

#define TIMER_TIMEWAIT 3 /* what /proc/net/tcp and ss call the timer of TIME_WAIT */

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

static bool inet_one(void *arg, const struct inet_diag_info *i)
{
	struct walk *w = arg;
	struct diag_sock d = {
		.family = (uint16_t)i->family, .type = (uint16_t)i->type, .protocol = (uint16_t)i->protocol, .cookie = i->cookie,
	};

	if (i->sk) {
		if (!wanted(&i->sk->sk, w->protocol))
			return true;
		common((struct sock *)(uintptr_t)&i->sk->sk, &d);
		if (i->cookie)
			d.cookie = i->cookie;
	}
	d.state = (uint8_t)i->state;
	memcpy(d.laddr, i->laddr.ip, 16);
	memcpy(d.raddr, i->raddr.ip, 16);
	d.lport = i->laddr.port;
	d.rport = i->raddr.port;
	d.uid = i->uid;
	d.drops = (uint32_t)i->drops;
	d.v6only = i->v6only;
	d.shutdown = (uint8_t)i->shutdown;
	d.rqueue = i->rqueue;
	d.wqueue = i->wqueue;
	if (i->timewait) {
		d.timer = TIMER_TIMEWAIT;
		d.expires = (uint32_t)(MAX(i->expires - ktime_mono(), (int64_t)0) / 10000000);
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
	int type = protocol == IPPROTO_TCP ? LINUX_SOCK_STREAM : protocol == IPPROTO_RAW ? LINUX_SOCK_RAW : LINUX_SOCK_DGRAM;

	inet_diag_each(net, type, 0, inet_one, &w);
	host_each(net, host_one, &w);
}

size_t diag_tcp_info(struct sock *sk, void *buf, size_t size)
{
	uint8_t info[TCP_INFO_LEN];

	if (sk->ops == &host_sock_ops)
		return host_tcp_info(host_of(sk), buf, size);
	tcp_fill_info_locked(inet_of(sk), info);
	size = MIN(size, sizeof(info));
	memcpy(buf, info, size);
	return size;
}
