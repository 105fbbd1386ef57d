/* SPDX-License-Identifier: Apache-2.0 */
/* AF_NETLINK sockets. See netlink.h. Linux: net/netlink/af_netlink.c. */
#include <stdatomic.h>
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/fs/inode.h"
#include "sentry/net/netns.h"
#include "sentry/net/netlink/netlink.h"
#include "state/state.h"

#define NL_MAX_SEND (1u << 20)
#define PKTINFO_CMSG 3

static struct mutex netlink_mu = MUTEX_INIT("netlink_mu");
static struct list netlink_all = LIST_INIT(netlink_all);

/* Applications do not make events. */
static int no_uevents(struct nl_request *q)
{
	return -EPERM;
}

/* NETLINK_USERSOCK: only among sockets. NETLINK_KOBJECT_UEVENT: no device comes or goes here; a restore is told (generation.c). */
static const struct nl_proto usersock = { .number = LINUX_NETLINK_USERSOCK, .groups = 32, .any_send = true };
static const struct nl_proto uevent = {
	.number = LINUX_NETLINK_KOBJECT_UEVENT, .groups = 32, .any_recv = true, .request = no_uevents,
};

const struct nl_proto *nl_proto_find(int protocol)
{
	static const struct nl_proto *const protos[] = { &nl_route, &usersock, &nl_diag, &uevent, &nl_generic };

	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (protos[i]->number == protocol)
			return protos[i];
	return NULL;
}

static const struct nl_proto *proto_of(const struct netlink_sock *s)
{
	return nl_proto_find(s->sk.protocol);
}

/* --- queues --- */

size_t nl_charge(size_t len)
{
	return ALIGN_UP(len + 320, 256UL) + 256; /* struct sk_buff, its shared part, rounding of the slab */
}

void nl_msg_free(struct nl_msg *m)
{
	if (m && m->pid)
		pid_put(m->pid);
	free(m);
}

static uint32_t rcvbuf(struct sock *sk)
{
	uint32_t r;

	mutex_lock(&sk->opt_mu);
	r = sk->opts.rcvbuf;
	mutex_unlock(&sk->opt_mu);
	return r;
}

static bool full_locked(const struct netlink_sock *s, uint32_t limit)
{
	return s->congested || s->rq_bytes > limit;
}

int nl_deliver(struct netlink_sock *s, const struct nl_msg *proto, const void *data, size_t n)
{
	uint32_t limit = rcvbuf(&s->sk);
	struct nl_msg *m = malloc(sizeof(*m) + n);
	int r = m ? 0 : -ENOMEM;

	mutex_lock(&s->mu);
	if (!r && !proto->dump && full_locked(s, limit))
		r = -ENOBUFS;
	if (r) {
		/* Overrun: the reader hears that something is missing. */
		if (!(s->options & NL_NO_ENOBUFS) && !s->congested) {
			s->congested = true;
			s->err = ENOBUFS;
		}
		s->drops++;
		mutex_unlock(&s->mu);
		free(m);
		waitq_wake(&s->sk.wq, POLL_READ | LINUX_POLLERR);
		return r;
	}
	*m = *proto;
	if (m->pid)
		(void)pid_get(m->pid);
	m->len = n;
	memcpy(m->data, data, n);
	list_add_tail(&s->rq, &m->node);
	s->rq_len++;
	if (m->dump)
		s->rq_dumps++;
	else
		s->rq_bytes += nl_charge(n);
	mutex_unlock(&s->mu);
	waitq_wake(&s->sk.wq, POLL_READ);
	return 0;
}

/* @net NULL: whichever it is in. */
static bool is_member(struct netlink_sock *s, struct net_ns *net, int protocol, uint32_t group)
{
	bool r;

	if (s->sk.protocol != protocol || (net && s->sk.net != net))
		return false;
	mutex_lock(&s->mu);
	r = s->groups >> (group - 1) & 1;
	mutex_unlock(&s->mu);
	return r;
}

bool nl_has_listeners(struct net_ns *net, int protocol, uint32_t group)
{
	struct netlink_sock *s;
	bool r = false;

	mutex_lock(&netlink_mu);
	list_for_each(s, &netlink_all, all)
		r = r || is_member(s, net, protocol, group);
	mutex_unlock(&netlink_mu);
	return r;
}

/* -ESRCH: nobody; -ENOBUFS: somebody who wants to hear of it has missed it. */
static int multicast(struct net_ns *net, int protocol, uint32_t group, const struct netlink_sock *except, const struct nl_msg *proto,
		     const void *data, size_t n)
{
	struct netlink_sock *s;
	int r = -ESRCH;

	mutex_lock(&netlink_mu);
	list_for_each(s, &netlink_all, all) {
		if (s == except || !is_member(s, net, protocol, group))
			continue;
		if (nl_deliver(s, proto, data, n) == 0)
			r = r == -ENOBUFS ? r : 0;
		else if (s->options & NL_BCAST_ERR)
			r = -ENOBUFS;
	}
	mutex_unlock(&netlink_mu);
	return r;
}

void nl_multicast(struct net_ns *net, int protocol, uint32_t group, const void *data, size_t n)
{
	struct nl_msg m = { .group = group };

	(void)multicast(net, protocol, group, NULL, &m, data, n);
}

void nl_uevent(const void *data, size_t n)
{
	struct nl_msg m = { .group = 1 };

	(void)multicast(NULL, LINUX_NETLINK_KOBJECT_UEVENT, 1, NULL, &m, data, n);
}

void nl_each(struct net_ns *net, void (*fn)(struct netlink_sock *s, void *arg), void *arg)
{
	struct netlink_sock *s;

	mutex_lock(&netlink_mu);
	list_for_each(s, &netlink_all, all)
		if (s->sk.net == net)
			fn(s, arg);
	mutex_unlock(&netlink_mu);
}

/* --- port ids --- */

static struct netlink_sock *by_port_locked(struct net_ns *net, int protocol, uint32_t portid)
{
	struct netlink_sock *s;

	list_for_each(s, &netlink_all, all)
		if (s->portid == portid && s->sk.protocol == protocol && s->sk.net == net)
			return s;
	return NULL;
}

/* Gives @s the port @portid; 0: the process's number, or a big one when that is taken. */
static int set_port(struct netlink_sock *s, struct task *t, uint32_t portid, bool autobind)
{
	int r = 0;

	mutex_lock(&netlink_mu);
	if (s->bound) {
		r = autobind || portid == s->portid ? 0 : -EINVAL;
	} else if (!autobind) {
		if (by_port_locked(s->sk.net, s->sk.protocol, portid))
			r = -EADDRINUSE;
		else
			s->portid = portid;
	} else {
		portid = t ? (uint32_t)pid_nr(t->tg->pid, t) : 1;
		for (uint32_t next = (uint32_t)-4097; by_port_locked(s->sk.net, s->sk.protocol, portid); next--)
			portid = next;
		s->portid = portid;
	}
	s->bound = s->bound || !r;
	mutex_unlock(&netlink_mu);
	return r;
}

/* --- operations --- */

static bool may_recv(struct netlink_sock *s, struct task *t)
{
	return proto_of(s)->any_recv || net_capable(t, LINUX_CAP_NET_ADMIN);
}

static bool may_send(struct netlink_sock *s, struct task *t)
{
	return proto_of(s)->any_send || net_capable(t, LINUX_CAP_NET_ADMIN);
}

static int netlink_bind(struct sock *sk, struct task *t, const void *addr, uint32_t len)
{
	struct netlink_sock *s = netlink_of(sk);
	struct linux_sockaddr_nl a;
	int r;

	if (len < sizeof(a))
		return -EINVAL;
	memcpy(&a, addr, sizeof(a));
	if (a.family != LINUX_AF_NETLINK)
		return -EINVAL;
	if (a.groups && !may_recv(s, t))
		return -EPERM;
	r = set_port(s, t, a.pid, !a.pid && !s->bound);
	if (r)
		return r;
	mutex_lock(&s->mu);
	s->groups = (s->groups & ~0xffffffffull) | a.groups;
	mutex_unlock(&s->mu);
	return 0;
}

static int netlink_connect(struct sock *sk, struct task *t, const void *addr, uint32_t len, bool nonblock, int64_t deadline)
{
	struct netlink_sock *s = netlink_of(sk);
	struct linux_sockaddr_nl a = { 0 };
	int r;

	if (len < sizeof(a.family))
		return -EINVAL;
	memcpy(&a, addr, MIN(len, (uint32_t)sizeof(a)));
	if (a.family == LINUX_AF_UNSPEC) {
		a = (struct linux_sockaddr_nl){ 0 };
	} else {
		if (a.family != LINUX_AF_NETLINK || len < sizeof(a))
			return -EINVAL;
		if ((a.groups || a.pid) && !may_send(s, t))
			return -EPERM;
		r = set_port(s, t, 0, true);
		if (r)
			return r;
	}
	mutex_lock(&s->mu);
	s->dst_portid = a.pid;
	s->dst_group = (uint32_t)__builtin_ffs((int)a.groups);
	mutex_unlock(&s->mu);
	return 0;
}

static int netlink_getname(struct sock *sk, struct task *t, void *addr, bool peer)
{
	struct netlink_sock *s = netlink_of(sk);
	struct linux_sockaddr_nl a = { .family = LINUX_AF_NETLINK };

	mutex_lock(&s->mu);
	if (peer) {
		a.pid = s->dst_portid;
		a.groups = s->dst_group && s->dst_group <= 32 ? 1u << (s->dst_group - 1) : 0;
	} else {
		a.pid = s->portid;
		a.groups = (uint32_t)s->groups;
	}
	mutex_unlock(&s->mu);
	memcpy(addr, &a, sizeof(a));
	return sizeof(a);
}

/* To another socket: it waits (m->wait) while that one is full. */
static int64_t send_to_port(struct netlink_sock *s, struct sock_msg *m, const struct nl_msg *proto, uint32_t portid, const void *data, size_t n)
{
	struct netlink_sock *o;
	bool full;
	int r;

	mutex_lock(&netlink_mu);
	o = by_port_locked(s->sk.net, s->sk.protocol, portid);
	if (o)
		(void)sock_get(&o->sk);
	mutex_unlock(&netlink_mu);
	if (!o)
		return -ECONNREFUSED;
	mutex_lock(&o->mu);
	full = full_locked(o, rcvbuf(&o->sk));
	r = o->dst_portid && o->dst_portid != s->portid ? -ECONNREFUSED : 0;
	mutex_unlock(&o->mu);
	if (!r && full) {
		m->wait = &o->sk; /* with our reference */
		return -EAGAIN;
	}
	if (!r)
		r = nl_deliver(o, proto, data, n);
	sock_put(&o->sk);
	return r ? r : (int64_t)n;
}

static int64_t netlink_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct netlink_sock *s = netlink_of(sk);
	uint32_t portid, group;
	_cleanup_free_ uint8_t *buf = NULL;
	size_t n = m->u->left;
	struct nl_msg proto = { .creds = true };
	struct uio mark;
	int64_t r;

	if (m->flags & LINUX_MSG_OOB)
		return -EOPNOTSUPP;
	if (!n)
		return -ENODATA;
	if (m->namelen) {
		struct linux_sockaddr_nl a;

		if (m->namelen < sizeof(a))
			return -EINVAL;
		memcpy(&a, m->name, sizeof(a));
		if (a.family != LINUX_AF_NETLINK)
			return -EINVAL;
		portid = a.pid;
		group = (uint32_t)__builtin_ffs((int)a.groups);
		if ((portid || group) && !may_send(s, t))
			return -EPERM;
	} else {
		mutex_lock(&s->mu);
		portid = s->dst_portid;
		group = s->dst_group;
		mutex_unlock(&s->mu);
	}
	r = set_port(s, t, 0, true);
	if (r)
		return r;
	if (n > NL_MAX_SEND || n > sock_sndbuf(sk) - 32)
		return -EMSGSIZE;
	buf = malloc(n);
	if (!buf)
		return -ENOBUFS;
	mark = uio_mark(m->u);
	if (uio_get(m->u, buf, n) != (int64_t)n)
		return -EFAULT;
	proto.portid = s->portid;
	proto.uid = m->scm.has_creds ? m->scm.uid : t->cred->uid;
	proto.gid = m->scm.has_creds ? m->scm.gid : t->cred->gid;
	proto.pid = m->scm.pid ? m->scm.pid : t->tg->pid;
	if (group) {
		proto.group = group;
		(void)multicast(sk->net, sk->protocol, group, s, &proto, buf, n);
		proto.group = 0;
	}
	if (portid) {
		r = send_to_port(s, m, &proto, portid, buf, n);
		if (r == -EAGAIN)
			*m->u = mark;
		return r;
	}
	if (!proto_of(s)->request)
		return -ECONNREFUSED; /* no kernel socket; what went to a group has gone all the same */
	nl_serve(s, t, buf, n);
	return (int64_t)n;
}

static void put_pktinfo(struct sock_msg *m, uint32_t group)
{
	struct linux_cmsghdr h = { .len = sizeof(h) + sizeof(group), .level = LINUX_SOL_NETLINK, .type = PKTINFO_CMSG };

	m->ctl = calloc(1, LINUX_CMSG_ALIGN(h.len));
	if (!m->ctl) {
		m->ret_flags |= LINUX_MSG_CTRUNC;
		return;
	}
	memcpy(m->ctl, &h, sizeof(h));
	memcpy(m->ctl + sizeof(h), &group, sizeof(group));
	m->ctllen = h.len;
}

static int64_t netlink_recvmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct netlink_sock *s = netlink_of(sk);
	struct linux_sockaddr_nl a = { .family = LINUX_AF_NETLINK };
	struct nl_msg *msg, *gone = NULL;
	bool space = false;
	int64_t r;

	if (m->flags & LINUX_MSG_OOB)
		return -EOPNOTSUPP;
	mutex_lock(&s->mu);
	msg = list_first(&s->rq, struct nl_msg, node);
	if (s->err || !msg) {
		r = s->err ? -s->err : -EAGAIN;
		s->err = 0;
	} else {
		size_t n = MIN(msg->len, m->u->left);

		r = n && uio_put(m->u, msg->data, n) != (int64_t)n ? -EFAULT : (int64_t)n;
		if (r >= 0) {
			if (n < msg->len)
				m->ret_flags |= LINUX_MSG_TRUNC;
			if (m->flags & LINUX_MSG_TRUNC)
				r = (int64_t)msg->len;
			a.pid = msg->portid;
			a.groups = msg->group && msg->group <= 32 ? 1u << (msg->group - 1) : 0;
			memcpy(m->name, &a, sizeof(a));
			m->namelen = sizeof(a);
			m->stop = true;
			if (s->options & NL_PKTINFO)
				put_pktinfo(m, msg->group);
			m->scm.has_creds = true;
			m->scm.uid = msg->creds ? msg->uid : 0;
			m->scm.gid = msg->creds ? msg->gid : 0;
			m->scm.pid = msg->pid ? pid_get(msg->pid) : NULL;
		}
		if (!(m->flags & LINUX_MSG_PEEK)) {
			gone = msg;
			list_del(&msg->node);
			s->rq_len--;
			if (msg->dump)
				s->rq_dumps--;
			else
				s->rq_bytes -= nl_charge(msg->len);
		}
	}
	if (!s->rq_len)
		s->congested = false;
	space = !s->congested;
	mutex_unlock(&s->mu);
	if (gone && space)
		waitq_wake(&sk->wq, SOCK_WAIT_SPACE);
	nl_msg_free(gone);
	return r;
}

static uint32_t netlink_poll(struct sock *sk)
{
	struct netlink_sock *s = netlink_of(sk);
	uint32_t ev = POLL_WRITE | LINUX_POLLWRBAND;

	mutex_lock(&s->mu);
	if (s->rq_len)
		ev |= POLL_READ;
	if (s->err)
		ev |= LINUX_POLLERR;
	mutex_unlock(&s->mu);
	return ev;
}

static uint32_t option_bit(int opt)
{
	switch (opt) {
	case LINUX_NETLINK_PKTINFO:
		return NL_PKTINFO;
	case LINUX_NETLINK_BROADCAST_ERROR:
		return NL_BCAST_ERR;
	case LINUX_NETLINK_NO_ENOBUFS:
		return NL_NO_ENOBUFS;
	case LINUX_NETLINK_LISTEN_ALL_NSID:
		return NL_ALL_NSID;
	case LINUX_NETLINK_CAP_ACK:
		return NL_CAP_ACK;
	case LINUX_NETLINK_EXT_ACK:
		return NL_EXT_ACK;
	case LINUX_NETLINK_GET_STRICT_CHK:
		return NL_STRICT;
	default:
		return 0;
	}
}

static int netlink_setsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len)
{
	struct netlink_sock *s = netlink_of(sk);
	uint32_t v = 0, bit = option_bit(opt);
	bool space = false;

	if (level != LINUX_SOL_NETLINK)
		return -ENOPROTOOPT;
	if (len >= sizeof(v) && copy_in(t, &v, val, sizeof(v)))
		return -EFAULT;
	if (opt == LINUX_NETLINK_ADD_MEMBERSHIP || opt == LINUX_NETLINK_DROP_MEMBERSHIP) {
		if (!may_recv(s, t))
			return -EPERM;
		if (!v || v > proto_of(s)->groups)
			return -EINVAL;
		mutex_lock(&s->mu);
		if (opt == LINUX_NETLINK_ADD_MEMBERSHIP)
			s->groups |= 1ull << (v - 1);
		else
			s->groups &= ~(1ull << (v - 1));
		mutex_unlock(&s->mu);
		return 0;
	}
	if (!bit)
		return -ENOPROTOOPT;
	if (bit == NL_ALL_NSID && !net_capable(t, LINUX_CAP_NET_BROADCAST))
		return -EPERM;
	mutex_lock(&s->mu);
	s->options = v ? s->options | bit : s->options & ~bit;
	if (bit == NL_NO_ENOBUFS && v) {
		s->congested = false;
		space = true;
	}
	mutex_unlock(&s->mu);
	if (space)
		waitq_wake(&sk->wq, SOCK_WAIT_SPACE);
	return 0;
}

static int netlink_getsockopt(struct sock *sk, struct task *t, int level, int opt, void *buf, uint32_t *len)
{
	struct netlink_sock *s = netlink_of(sk);
	uint32_t bit = option_bit(opt), v;

	if (level != LINUX_SOL_NETLINK)
		return -ENOPROTOOPT;
	if (opt == LINUX_NETLINK_LIST_MEMBERSHIPS) {
		uint32_t need = (uint32_t)ALIGN_UP(proto_of(s)->groups / 8 + !!(proto_of(s)->groups % 8), 4);

		v = MIN(need, 8u);
		mutex_lock(&s->mu);
		memcpy(buf, &s->groups, MIN(ALIGN_DOWN(*len, 4u), v));
		mutex_unlock(&s->mu);
		*len = need; /* what there is, even when less was asked for */
		return 0;
	}
	if (!bit || bit == NL_ALL_NSID)
		return -ENOPROTOOPT;
	if (*len < sizeof(v))
		return -EINVAL;
	mutex_lock(&s->mu);
	v = !!(s->options & bit);
	mutex_unlock(&s->mu);
	*len = sizeof(v);
	memcpy(buf, &v, sizeof(v));
	return 0;
}

static int netlink_take_error(struct sock *sk)
{
	struct netlink_sock *s = netlink_of(sk);
	int r;

	mutex_lock(&s->mu);
	r = s->err;
	s->err = 0;
	mutex_unlock(&s->mu);
	return r;
}

/* Its port is free at once, although messages to others may still name it. */
static void netlink_close(struct sock *sk)
{
	struct netlink_sock *s = netlink_of(sk);

	mutex_lock(&netlink_mu);
	sk->file = NULL;
	list_del(&s->all);
	mutex_unlock(&netlink_mu);
	waitq_wake(&sk->wq, SOCK_WAIT_SPACE | LINUX_POLLHUP);
}

static void netlink_destroy(struct sock *sk)
{
	struct netlink_sock *s = netlink_of(sk);
	struct nl_msg *m, *tmp;

	mutex_lock(&netlink_mu);
	list_del(&s->all);
	mutex_unlock(&netlink_mu);
	list_for_each_safe(m, tmp, &s->rq, node)
		nl_msg_free(m);
	mutex_destroy(&s->mu);
	sock_done(sk);
	free(s);
}

const struct sock_ops netlink_sock_ops = {
	.name = "netlink",
	.state = &netlink_sock_state_type,
	.close = netlink_close,
	.destroy = netlink_destroy,
	.bind = netlink_bind,
	.connect = netlink_connect,
	.getname = netlink_getname,
	.sendmsg = netlink_sendmsg,
	.recvmsg = netlink_recvmsg,
	.poll = netlink_poll,
	.setsockopt = netlink_setsockopt,
	.getsockopt = netlink_getsockopt,
	.take_error = netlink_take_error,
};

void *netlink_alloc(void)
{
	struct netlink_sock *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	(void)sock_init(&s->sk, &netlink_sock_ops, LINUX_AF_NETLINK, 0, 0, NULL);
	mutex_init(&s->mu, "netlink_sock.mu");
	list_init(&s->rq);
	mutex_lock(&netlink_mu);
	list_add_tail(&netlink_all, &s->all);
	mutex_unlock(&netlink_mu);
	return s;
}

int netlink_sock_create(struct task *t, struct net_ns *net, int type, int protocol, struct sock **ret)
{
	struct netlink_sock *s;

	if (type != LINUX_SOCK_RAW && type != LINUX_SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	/* Others, audit among them, are as in a kernel built without them. */
	if (protocol < 0 || protocol >= LINUX_MAX_LINKS || !nl_proto_find(protocol) || !net)
		return -EPROTONOSUPPORT;
	s = netlink_alloc();
	if (!s)
		return -ENOMEM;
	s->sk.type = (uint16_t)type;
	s->sk.protocol = (uint16_t)protocol;
	s->sk.net = net_ns_get(net);
	*ret = &s->sk;
	return 0;
}
