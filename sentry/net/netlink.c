/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_NETLINK, protocol ROUTE: what getifaddrs(), if_nameindex() and ip(8) ask about the one interface there is, lo.
 *
 * A request is answered while it is sent: the replies are queued at the sender as datagrams. Changes are refused (bringing lo up is
 * no change). There are no notifications, so multicast groups may be joined but stay silent.
 * Locks: netlink_mu (global list of port ids) > netlink_sock.mu (leaf but for copies and waitq).
 * Checkpoint: port id, groups and queued replies. Linux: net/netlink/af_netlink.c, net/core/rtnetlink.c.
 */
#include <string.h>

#include "base/strbuf.h"
#include "schemas/netlink.pb-c.h"
#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/loopback.h"
#include "sentry/net/socket.h"
#include "state/state.h"

#define NLMSG_ERROR_T  2
#define NLMSG_DONE_T   3
#define NLM_F_REQUEST_F 1u
#define NLM_F_MULTI_F   2u
#define NLM_F_ACK_F     4u
#define NLM_F_DUMP_F    0x300u
#define NLM_F_CAPPED_F  0x100u
#define RTM_NEWLINK_T  16
#define RTM_GETLINK_T  18
#define RTM_SETLINK_T  19
#define RTM_NEWADDR_T  20
#define RTM_GETADDR_T  22
#define RTM_NEWROUTE_T 24
#define RTM_GETROUTE_T 26
#define NL_MAX_QUEUE   1024u
#define NL_MAX_SEND    (1u << 20)

struct sockaddr_nl_ {
	uint16_t family, pad;
	uint32_t pid, groups;
};

struct nlmsghdr_ {
	uint32_t len;
	uint16_t type, flags;
	uint32_t seq, pid;
};

struct ifinfomsg_ {
	uint8_t family, pad;
	uint16_t type;
	int32_t index;
	uint32_t flags, change;
};

struct ifaddrmsg_ {
	uint8_t family, prefixlen, flags, scope;
	uint32_t index;
};

struct nl_msg {
	struct list node;
	size_t len;
	uint8_t data[];
};

struct netlink_sock {
	struct sock sk; /* saved: 1 sock_base */
	struct list all; /* derived; guarded by netlink_mu */
	uint32_t portid; /* saved: 2; 0: none yet; guarded by netlink_mu */
	struct mutex mu; /* nosave: nobody runs */
	uint32_t groups; /* saved: 3 */
	struct list rq; /* saved: 4 queue */
	uint32_t rq_len; /* derived: length of rq */
	uint32_t dst_portid, dst_group; /* saved: 5, 6 */
	uint32_t option_bits; /* saved: 7 */
	int err; /* nosave: ENOBUFS is told at most once more after a restore */
};

static struct mutex netlink_mu = MUTEX_INIT("netlink_mu");
static struct list netlink_all = LIST_INIT(netlink_all);

static struct netlink_sock *netlink_of(struct sock *sk)
{
	return container_of(sk, struct netlink_sock, sk);
}

/* --- replies --- */

static void put_attr(struct strbuf *b, uint16_t type, const void *data, size_t n)
{
	static const uint8_t zero[4];
	uint16_t h[2] = { (uint16_t)(4 + n), type };

	strbuf_add(b, h, sizeof(h));
	strbuf_add(b, data, n);
	strbuf_add(b, zero, ALIGN_UP(n, 4UL) - n);
}

static void put_attr_u32(struct strbuf *b, uint16_t type, uint32_t v)
{
	put_attr(b, type, &v, sizeof(v));
}

static void put_attr_u8(struct strbuf *b, uint16_t type, uint8_t v)
{
	put_attr(b, type, &v, sizeof(v));
}

/* Begins a message; its length is patched by end_msg(). */
static size_t begin_msg(struct strbuf *b, const struct nlmsghdr_ *req, uint16_t type, uint16_t flags, uint32_t portid)
{
	struct nlmsghdr_ h = { .type = type, .flags = flags, .seq = req->seq, .pid = portid };
	size_t at = b->len;

	strbuf_add(b, &h, sizeof(h));
	return at;
}

static void end_msg(struct strbuf *b, size_t at)
{
	uint32_t len = (uint32_t)(b->len - at);

	if (!b->err)
		memcpy(b->data + at, &len, sizeof(len));
}

static void put_link(struct strbuf *b, const struct nlmsghdr_ *req, uint16_t flags, uint32_t portid)
{
	struct ifinfomsg_ i = { .type = LO_ARPHRD, .index = LO_IFINDEX, .flags = LO_FLAGS };
	uint8_t mac[6] = { 0 };
	uint64_t stats64[25] = { 0 };
	uint32_t stats[24] = { 0 };
	size_t at = begin_msg(b, req, RTM_NEWLINK_T, flags, portid);

	strbuf_add(b, &i, sizeof(i));
	put_attr(b, 3, "lo", 3); /* IFLA_IFNAME */
	put_attr_u32(b, 13, 1000); /* TXQLEN */
	put_attr_u8(b, 16, 0); /* OPERSTATE: unknown, as for every lo */
	put_attr_u8(b, 17, 0); /* LINKMODE */
	put_attr_u32(b, 4, LO_MTU);
	put_attr_u32(b, 27, 0); /* GROUP */
	put_attr_u32(b, 30, 0); /* PROMISCUITY */
	put_attr_u32(b, 31, 1); /* NUM_TX_QUEUES */
	put_attr_u32(b, 32, 1); /* NUM_RX_QUEUES */
	put_attr_u8(b, 33, 1); /* CARRIER */
	put_attr(b, 6, "noqueue", 8); /* QDISC */
	put_attr(b, 1, mac, sizeof(mac)); /* ADDRESS */
	put_attr(b, 2, mac, sizeof(mac)); /* BROADCAST */
	put_attr(b, 23, stats64, sizeof(stats64)); /* STATS64 */
	put_attr(b, 7, stats, sizeof(stats)); /* STATS */
	end_msg(b, at);
}

static void put_addr(struct strbuf *b, const struct nlmsghdr_ *req, uint32_t portid, uint8_t family)
{
	static const uint8_t v4[4] = { 127, 0, 0, 1 }, v6[16] = { [15] = 1 };
	bool is4 = family == LINUX_AF_INET;
	struct ifaddrmsg_ i = { family, is4 ? 8 : 128, 0x80 /* PERMANENT */, 254 /* host scope */, LO_IFINDEX };
	uint32_t cache[4] = { UINT32_MAX, UINT32_MAX, 0, 0 };
	size_t at = begin_msg(b, req, RTM_NEWADDR_T, NLM_F_MULTI_F, portid);

	strbuf_add(b, &i, sizeof(i));
	put_attr(b, 1, is4 ? v4 : v6, is4 ? 4 : 16); /* IFA_ADDRESS */
	if (is4) {
		put_attr(b, 2, v4, 4); /* IFA_LOCAL */
		put_attr(b, 3, "lo", 3); /* IFA_LABEL */
	}
	put_attr_u32(b, 8, 0x80); /* IFA_FLAGS */
	put_attr(b, 6, cache, sizeof(cache)); /* IFA_CACHEINFO */
	end_msg(b, at);
}

static void put_done(struct strbuf *b, const struct nlmsghdr_ *req, uint32_t portid)
{
	int32_t zero = 0;
	size_t at = begin_msg(b, req, NLMSG_DONE_T, NLM_F_MULTI_F, portid);

	strbuf_add(b, &zero, sizeof(zero));
	end_msg(b, at);
}

static void put_error(struct strbuf *b, const struct nlmsghdr_ *req, uint32_t portid, int32_t err)
{
	size_t at = begin_msg(b, req, NLMSG_ERROR_T, err ? 0 : NLM_F_CAPPED_F, portid);

	strbuf_add(b, &err, sizeof(err));
	strbuf_add(b, req, sizeof(*req));
	end_msg(b, at);
}

/* --- requests --- */

/* Does the ifinfomsg @p of @n bytes name lo? 0 index and no name: no interface at all. */
static bool names_lo(const uint8_t *p, size_t n)
{
	struct ifinfomsg_ i;

	if (n < sizeof(i))
		return false;
	memcpy(&i, p, sizeof(i));
	if (i.index)
		return i.index == LO_IFINDEX;
	p += sizeof(i);
	n -= sizeof(i);
	while (n >= 4) {
		uint16_t h[2];

		memcpy(h, p, sizeof(h));
		if (h[0] < 4 || h[0] > n)
			break;
		if (h[1] == 3)
			return h[0] >= 7 && !memcmp(p + 4, "lo", 3);
		if (ALIGN_UP((size_t)h[0], 4UL) >= n)
			break;
		p += ALIGN_UP((size_t)h[0], 4UL);
		n -= ALIGN_UP((size_t)h[0], 4UL);
	}
	return false;
}

/* Answers one request into @b: 0, or the errno to report. *@ret_dump: the answer ends itself. */
static int answer(struct task *t, struct strbuf *b, const struct nlmsghdr_ *h, const uint8_t *body, size_t n, uint32_t portid,
		  bool *ret_dump)
{
	bool dump = (h->flags & NLM_F_DUMP_F) == NLM_F_DUMP_F;
	uint8_t family = n ? body[0] : 0;

	*ret_dump = false;
	if (h->type < RTM_NEWLINK_T)
		return -EOPNOTSUPP;
	if ((h->type & 3) != 2 && !task_capable(t, LINUX_CAP_NET_ADMIN))
		return -EPERM;
	switch (h->type) {
	case RTM_GETLINK_T:
		if (dump) {
			put_link(b, h, NLM_F_MULTI_F, portid);
			break;
		}
		if (n < sizeof(struct ifinfomsg_))
			return -EINVAL;
		if (!names_lo(body, n))
			return -ENODEV;
		put_link(b, h, 0, portid);
		return 0;
	case RTM_GETADDR_T:
		if (!dump)
			return -EOPNOTSUPP;
		if (!family || family == LINUX_AF_INET)
			put_addr(b, h, portid, LINUX_AF_INET);
		if (!family || family == LINUX_AF_INET6)
			put_addr(b, h, portid, LINUX_AF_INET6);
		break;
	case RTM_GETROUTE_T:
		if (!dump)
			return -ENETUNREACH;
		break;
	case RTM_NEWLINK_T:
	case RTM_SETLINK_T:
		/* `ip link set lo up`: it is. */
		if (n >= sizeof(struct ifinfomsg_) && names_lo(body, n)) {
			struct ifinfomsg_ i;

			memcpy(&i, body, sizeof(i));
			if (!(i.change & ~1u) && (i.flags & 1))
				return 0;
		}
		return -EOPNOTSUPP;
	default:
		if ((h->type & 3) == 2 && dump)
			break; /* of these there are none */
		return -EOPNOTSUPP;
	}
	put_done(b, h, portid);
	*ret_dump = true;
	return 0;
}

static void queue_reply(struct netlink_sock *s, const struct strbuf *b)
{
	struct nl_msg *m = b->err || !b->len ? NULL : malloc(sizeof(*m) + b->len);

	if (!m && !b->err && !b->len)
		return;
	mutex_lock(&s->mu);
	if (!m || s->rq_len >= NL_MAX_QUEUE) {
		s->err = ENOBUFS;
		free(m);
	} else {
		m->len = b->len;
		memcpy(m->data, b->data, b->len);
		list_add_tail(&s->rq, &m->node);
		s->rq_len++;
	}
	mutex_unlock(&s->mu);
	waitq_wake(&s->sk.wq, POLL_READ);
}

static void handle(struct netlink_sock *s, struct task *t, const uint8_t *p, size_t n)
{
	while (n >= sizeof(struct nlmsghdr_)) {
		_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
		struct nlmsghdr_ h;
		bool dump = false;
		int err = 0;

		memcpy(&h, p, sizeof(h));
		if (h.len < sizeof(h) || h.len > n)
			return;
		if ((h.flags & NLM_F_REQUEST_F) && h.type >= 16)
			err = answer(t, &b, &h, p + sizeof(h), h.len - sizeof(h), s->portid, &dump);
		if (err)
			strbuf_reset(&b);
		if (err || ((h.flags & NLM_F_ACK_F) && !dump))
			put_error(&b, &h, s->portid, err);
		queue_reply(s, &b);
		if (ALIGN_UP((size_t)h.len, 4UL) >= n)
			return;
		p += ALIGN_UP((size_t)h.len, 4UL);
		n -= ALIGN_UP((size_t)h.len, 4UL);
	}
}

/* --- operations --- */

static bool port_used_locked(uint32_t portid)
{
	struct netlink_sock *s;

	list_for_each(s, &netlink_all, all)
		if (s->portid == portid)
			return true;
	return false;
}

static int set_port(struct netlink_sock *s, struct task *t, uint32_t portid)
{
	int r = 0;

	mutex_lock(&netlink_mu);
	if (s->portid) {
		r = portid && portid != s->portid ? -EINVAL : 0;
	} else if (portid) {
		if (port_used_locked(portid))
			r = -EADDRINUSE;
		else
			s->portid = portid;
	} else {
		portid = t ? (uint32_t)pid_nr(t->tg->pid, t) : 1;
		for (uint32_t next = (uint32_t)-4097; port_used_locked(portid); next--)
			portid = next;
		s->portid = portid;
	}
	mutex_unlock(&netlink_mu);
	return r;
}

static int netlink_bind(struct sock *sk, struct task *t, const void *addr, uint32_t len)
{
	struct netlink_sock *s = netlink_of(sk);
	struct sockaddr_nl_ a;
	int r;

	if (len < sizeof(a))
		return -EINVAL;
	memcpy(&a, addr, sizeof(a));
	if (a.family != LINUX_AF_NETLINK)
		return -EINVAL;
	r = set_port(s, t, a.pid);
	if (r)
		return r;
	mutex_lock(&s->mu);
	s->groups = a.groups;
	mutex_unlock(&s->mu);
	return 0;
}

static int netlink_connect(struct sock *sk, struct task *t, const void *addr, uint32_t len, bool nonblock, int64_t deadline)
{
	struct netlink_sock *s = netlink_of(sk);
	struct sockaddr_nl_ a = { 0 };
	int r;

	if (len < sizeof(a.family))
		return -EINVAL;
	memcpy(&a, addr, MIN(len, (uint32_t)sizeof(a)));
	if (a.family != LINUX_AF_UNSPEC) {
		if (a.family != LINUX_AF_NETLINK || len < sizeof(a))
			return -EINVAL;
		if (a.groups && !task_capable(t, LINUX_CAP_NET_ADMIN))
			return -EPERM;
		r = set_port(s, t, 0);
		if (r)
			return r;
	}
	mutex_lock(&s->mu);
	s->dst_portid = a.pid;
	s->dst_group = a.groups;
	mutex_unlock(&s->mu);
	return 0;
}

static int netlink_getname(struct sock *sk, struct task *t, void *addr, bool peer)
{
	struct netlink_sock *s = netlink_of(sk);
	struct sockaddr_nl_ a = { .family = LINUX_AF_NETLINK };

	mutex_lock(&netlink_mu);
	a.pid = peer ? s->dst_portid : s->portid;
	a.groups = peer ? s->dst_group : s->groups;
	mutex_unlock(&netlink_mu);
	memcpy(addr, &a, sizeof(a));
	return sizeof(a);
}

static int64_t netlink_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct netlink_sock *s = netlink_of(sk);
	struct sockaddr_nl_ a = { .family = LINUX_AF_NETLINK, .pid = s->dst_portid };
	_cleanup_free_ uint8_t *buf = NULL;
	size_t n = m->u->left;
	int r;

	if (m->flags & LINUX_MSG_OOB)
		return -EOPNOTSUPP;
	if (m->namelen) {
		if (m->namelen < sizeof(a))
			return -EINVAL;
		memcpy(&a, m->name, sizeof(a));
		if (a.family != LINUX_AF_NETLINK)
			return -EINVAL;
		if (a.groups && !task_capable(t, LINUX_CAP_NET_ADMIN))
			return -EPERM;
	}
	if (n > NL_MAX_SEND || n > sock_sndbuf(sk) - 32)
		return -EMSGSIZE;
	r = set_port(s, t, 0);
	if (r)
		return r;
	if (a.pid)
		return -ECONNREFUSED; /* only the kernel listens */
	buf = malloc(n + 1);
	if (!buf)
		return -ENOMEM;
	if (uio_get(m->u, buf, n) != (int64_t)n)
		return -EFAULT;
	handle(s, t, buf, n);
	return (int64_t)n;
}

static int64_t netlink_recvmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct netlink_sock *s = netlink_of(sk);
	struct sockaddr_nl_ a = { .family = LINUX_AF_NETLINK };
	struct nl_msg *msg;
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
			memcpy(m->name, &a, sizeof(a));
			m->namelen = sizeof(a);
			m->stop = true;
		}
		if (!(m->flags & LINUX_MSG_PEEK)) {
			list_del(&msg->node);
			s->rq_len--;
			free(msg);
		}
	}
	mutex_unlock(&s->mu);
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

/* SOL_NETLINK: PKTINFO 3, EXT_ACK 11, CAP_ACK 10, GET_STRICT_CHK 12; ADD/DROP_MEMBERSHIP 1, 2. */
static int netlink_setsockopt(struct sock *sk, struct task *t, int level, int opt, gaddr_t val, uint32_t len)
{
	static const uint8_t bit[] = { [3] = 1, [11] = 2, [10] = 4, [12] = 8 };
	struct netlink_sock *s = netlink_of(sk);
	uint32_t v = 0;

	if (level != LINUX_SOL_NETLINK)
		return -ENOPROTOOPT;
	if (len >= sizeof(v) && copy_in(t, &v, val, sizeof(v)))
		return -EFAULT;
	if (opt == 1 || opt == 2) {
		if (!v || v > 32)
			return -EINVAL;
		mutex_lock(&s->mu);
		s->groups = opt == 1 ? s->groups | 1u << (v - 1) : s->groups & ~(1u << (v - 1));
		mutex_unlock(&s->mu);
		return 0;
	}
	if (opt < 0 || (size_t)opt >= ARRAY_SIZE(bit) || !bit[opt])
		return -ENOPROTOOPT;
	mutex_lock(&s->mu);
	s->option_bits = v ? s->option_bits | bit[opt] : s->option_bits & ~(uint32_t)bit[opt];
	mutex_unlock(&s->mu);
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

static void netlink_close(struct sock *sk)
{
	sk->file = NULL;
}

static void netlink_destroy(struct sock *sk)
{
	struct netlink_sock *s = netlink_of(sk);
	struct nl_msg *m, *tmp;

	mutex_lock(&netlink_mu);
	list_del(&s->all);
	mutex_unlock(&netlink_mu);
	list_for_each_safe(m, tmp, &s->rq, node)
		free(m);
	mutex_destroy(&s->mu);
	sock_done(sk);
	free(s);
}

static const struct sock_ops netlink_sock_ops = {
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
	.take_error = netlink_take_error,
};

static void *netlink_alloc(void)
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
	if (protocol) /* NETLINK_ROUTE is 0 */
		return -EPROTONOSUPPORT;
	s = netlink_alloc();
	if (!s)
		return -ENOMEM;
	s->sk.type = (uint16_t)type;
	s->sk.net = net ? net_ns_get(net) : NULL;
	*ret = &s->sk;
	return 0;
}

/* --- state --- */

static int netlink_sock_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct netlink_sock *s = obj;
	Sentry__NetlinkSock *m = msg;
	const struct nl_msg *q;

	m->sock_base = state_zalloc(w, 1, sizeof(*m->sock_base));
	sentry__sock_base__init(m->sock_base);
	m->portid = s->portid;
	m->groups = s->groups;
	m->dst_portid = s->dst_portid;
	m->dst_group = s->dst_group;
	m->option_bits = s->option_bits;
	m->queue = state_zalloc(w, s->rq_len, sizeof(*m->queue));
	list_for_each(q, &s->rq, node) {
		m->queue[m->n_queue].data = (uint8_t *)(uintptr_t)q->data;
		m->queue[m->n_queue++].len = q->len;
	}
	return sock_save_base(w, &s->sk, m->sock_base);
}

static int netlink_sock_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__NetlinkSock *m = msg;
	struct netlink_sock *s = obj;
	int err = state_check(r, m->sock_base && m->n_queue <= NL_MAX_QUEUE, "netlink socket");

	if (!err)
		err = sock_load_base(r, &s->sk, &netlink_sock_ops, m->sock_base);
	if (!err)
		err = state_check(r, s->sk.family == LINUX_AF_NETLINK, "netlink family");
	if (err)
		return err;
	s->portid = m->portid;
	s->groups = m->groups;
	s->dst_portid = m->dst_portid;
	s->dst_group = m->dst_group;
	s->option_bits = m->option_bits;
	for (size_t i = 0; i < m->n_queue; i++) {
		struct nl_msg *q = malloc(sizeof(*q) + m->queue[i].len);

		if (!q)
			return -ENOMEM;
		q->len = m->queue[i].len;
		if (q->len)
			memcpy(q->data, m->queue[i].data, q->len);
		list_add_tail(&s->rq, &q->node);
		s->rq_len++;
	}
	return 0;
}

const struct state_type netlink_sock_state_type = {
	.id = STATE_ID_netlink_sock,
	.name = "netlink_sock",
	.desc = &sentry__netlink_sock__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = netlink_alloc,
	.save = netlink_sock_save,
	.load = netlink_sock_load,
	.get = sock_state_get,
	.put = sock_state_put,
};
