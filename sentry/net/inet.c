/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_INET and AF_INET6: creation and end of endpoints, and what all protocols share. Structures and locks: inet.h.
 * Linux: net/ipv4/af_inet.c, net/ipv6/af_inet6.c. DEVIATION: no SCTP, DCCP and MPTCP, as in a kernel built without them.
 */
#include "sentry/net/inet.h"

#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/net/netns.h"
#include "sentry/kernel/kernel.h"

#define TCP_SNDBUF_DEF 16384u /* net.ipv4.tcp_wmem, tcp_rmem */
#define TCP_RCVBUF_DEF 131072u
#define PROTO_MAX      263 /* IPPROTO_MAX */

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
	list_init(&u->deferq);
	list_init(&u->errq);
	list_init(&u->members);
	tcp_timer_init(u);
	u->state = INET_CLOSE;
	return u;
}

struct inet_sock *inet_new_proto(struct net_ns *net, int family, int type, int protocol)
{
	struct inet_sock *u = inet_alloc();

	if (!u)
		return NULL;
	u->sk.family = (uint16_t)family;
	u->sk.type = (uint16_t)type;
	u->sk.protocol = (uint16_t)protocol;
	u->sk.ops = type == LINUX_SOCK_STREAM ? &tcp_sock_ops : type == LINUX_SOCK_RAW || inet_is_ping(u) ? &raw_sock_ops : &udp_sock_ops;
	u->sk.net = net_ns_get(net);
	if (type == LINUX_SOCK_STREAM) {
		u->sk.opts.sndbuf = (uint32_t)PROC_SYSCTL("net/ipv4/tcp_wmem", 1, TCP_SNDBUF_DEF);
		u->sk.opts.rcvbuf = (uint32_t)PROC_SYSCTL("net/ipv4/tcp_rmem", 1, TCP_RCVBUF_DEF);
	} else {
		u->sk.opts.sndbuf = (uint32_t)PROC_SYSCTL("net/core/wmem_default", 0, SOCK_WMEM_DEF);
		u->sk.opts.rcvbuf = (uint32_t)PROC_SYSCTL("net/core/rmem_default", 0, SOCK_WMEM_DEF);
	}
	u->sk.opts.reuseaddr = type == LINUX_SOCK_RAW || inet_is_ping(u); /* Linux's INET_PROTOSW_REUSE */
	inet_set_any(u, &u->laddr);
	inet_opts_init(u);
	u->v6only = family == LINUX_AF_INET6 && PROC_SYSCTL("net/ipv6/bindv6only", 0, 0);
	if (type == LINUX_SOCK_RAW) {
		mutex_lock(inet_mu(u));
		u->laddr.port = (uint16_t)protocol; /* as getsockname() shows it */
		list_add_tail(&net->inet->raw, &u->node);
		mutex_unlock(inet_mu(u));
	}
	return u;
}

struct inet_sock *inet_new(struct net_ns *net, int family, int type)
{
	return inet_new_proto(net, family, type, type == LINUX_SOCK_STREAM ? LINUX_IPPROTO_TCP : LINUX_IPPROTO_UDP);
}

/* May the caller make ping sockets (net.ipv4.ping_group_range)? */
static bool may_ping(struct task *t)
{
	uint64_t lo = PROC_SYSCTL("net/ipv4/ping_group_range", 0, 1), hi = PROC_SYSCTL("net/ipv4/ping_group_range", 1, 0);

	if (!t || !t->cred)
		return true;
	if (t->cred->egid >= lo && t->cred->egid <= hi)
		return true;
	for (size_t i = 0; i < t->cred->nr_groups; i++)
		if (t->cred->groups[i] >= lo && t->cred->groups[i] <= hi)
			return true;
	return false;
}

/* Which protocol a socket of @type gets; the order of the checks is Linux's. */
static int choose(struct task *t, int family, int type, int protocol, int *ret)
{
	int icmp = family == LINUX_AF_INET ? LINUX_IPPROTO_ICMP : LINUX_IPPROTO_ICMPV6;

	if (protocol < 0 || protocol >= PROTO_MAX)
		return -EINVAL;
	switch (type) {
	case LINUX_SOCK_STREAM:
		if (protocol && protocol != LINUX_IPPROTO_TCP)
			return -EPROTONOSUPPORT;
		*ret = LINUX_IPPROTO_TCP;
		return 0;
	case LINUX_SOCK_DGRAM:
		if (protocol == icmp && !may_ping(t))
			return -EACCES;
		if (protocol && protocol != LINUX_IPPROTO_UDP && protocol != LINUX_IPPROTO_UDPLITE && protocol != icmp)
			return -EPROTONOSUPPORT;
		*ret = protocol ? protocol : LINUX_IPPROTO_UDP;
		return 0;
	case LINUX_SOCK_RAW:
		if (!protocol)
			return -EPROTONOSUPPORT;
		if (t && !net_capable(t, LINUX_CAP_NET_RAW))
			return -EPERM;
		*ret = protocol;
		return 0;
	default:
		return -ESOCKTNOSUPPORT;
	}
}

int inet_sock_create(struct task *t, struct net_ns *net, int family, int type, int protocol, struct sock **ret)
{
	struct inet_sock *u;
	int r = choose(t, family, type, protocol, &protocol);

	if (r)
		return r;
	if (!net)
		return -EAFNOSUPPORT;
	u = inet_new_proto(net, family, type, protocol);
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

void inet_free(struct inet_sock *u)
{
	struct inet_member *mb, *tmp;
	struct inet_err *e, *etmp;

	ktimer_cancel(&u->syn_timer, true);
	inet_free_msgs(&u->rq);
	list_for_each_safe(e, etmp, &u->errq, node)
		free(e);
	list_for_each_safe(mb, tmp, &u->members, node)
		free(mb);
	free(u->cork);
	mutex_destroy(&u->rx_mu);
	sock_done(&u->sk);
	free(u);
}

void inet_disconnect_locked(struct inet_sock *u)
{
	u->state = INET_CLOSE;
	u->conn = INET_UNCONNECTED;
	u->shutdown = 0;
	u->err = 0;
	u->fin_rcvd = u->fin_sent = false;
	u->urg = INET_URG_NONE;
	list_del(&u->hash_node);
	memset(&u->raddr, 0, sizeof(u->raddr));
	if (!(u->bound & INET_BOUND_ADDR)) {
		uint16_t port = u->laddr.port;

		inet_set_any(u, &u->laddr);
		u->laddr.port = port;
	}
	if (!(u->bound & INET_BOUND_PORT) && !inet_is_raw(u)) {
		list_del(&u->node);
		u->laddr.port = 0;
		u->bind_seq = 0;
	}
	u->bound &= ~INET_BOUND_AUTO;
}

struct inet_msg *inet_msg_alloc(size_t n)
{
	size_t cap = MAX(n, (size_t)1024);
	struct inet_msg *msg = malloc(sizeof(*msg) + cap);

	if (!msg)
		return NULL;
	memset(msg, 0, sizeof(*msg));
	msg->cap = (uint32_t)cap;
	msg->len = (uint32_t)n;
	return msg;
}

struct inet_msg *inet_msg_new(struct sock_msg *m, size_t n, int *err)
{
	struct inet_msg *msg = inet_msg_alloc(n);

	*err = msg ? 0 : -ENOMEM;
	if (!msg)
		return NULL;
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
	else if ((!u->raddr.port && !(inet_is_raw(u) && u->state == INET_ESTABLISHED)) || u->state == INET_CLOSE || u->state == INET_SYN_SENT ||
		 u->state == INET_LISTEN)
		r = -ENOTCONN;
	else
		r = inet_fill_name(u, &u->raddr, addr);
	mutex_unlock(inet_mu(u));
	return r;
}

int inet_accepted_name(struct sock *sk, void *addr)
{
	struct inet_sock *u = inet_of(sk);
	int r;

	mutex_lock(inet_mu(u));
	r = u->raddr.port ? inet_fill_name(u, &u->raddr, addr) : -ENOTCONN;
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
