/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and loading AF_INET and AF_INET6 endpoints: what was sent is in the receiver's queue, so queues, backlogs and peer pointers are all
 * there is. The table of ports and the counters are rebuilt after loading.
 */
#include <string.h>

#include "schemas/inet.pb-c.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"
#include "state/state.h"

static Sentry__InetAddr *save_addr(struct state_writer *w, const struct inet_addr *a)
{
	Sentry__InetAddr *m = state_zalloc(w, 1, sizeof(*m));

	sentry__inet_addr__init(m);
	m->ip.data = (uint8_t *)(uintptr_t)a->ip;
	m->ip.len = sizeof(a->ip);
	m->port = a->port;
	return m;
}

static int load_addr(struct state_reader *r, const Sentry__InetAddr *m, struct inet_addr *a)
{
	int err = state_check(r, m && m->ip.len == sizeof(a->ip) && m->port <= UINT16_MAX, "internet address");

	if (err)
		return err;
	memcpy(a->ip, m->ip.data, sizeof(a->ip));
	a->port = (uint16_t)m->port;
	return 0;
}

static Sentry__InetMsg *save_msg(struct state_writer *w, const struct inet_msg *q, bool stream)
{
	Sentry__InetMsg *m = state_zalloc(w, 1, sizeof(*m));

	sentry__inet_msg__init(m);
	m->data.data = (uint8_t *)(uintptr_t)q->data + q->off;
	m->data.len = q->len - q->off;
	m->stamp = q->stamp;
	if (stream)
		return m;
	m->from = save_addr(w, &q->from);
	m->to = save_addr(w, &q->to);
	m->ttl = q->ttl;
	m->tos = q->tos;
	m->flow = q->flow;
	m->gso = q->gso;
	return m;
}

static Sentry__InetErr *save_err(struct state_writer *w, const struct inet_err *e)
{
	Sentry__InetErr *m = state_zalloc(w, 1, sizeof(*m));

	sentry__inet_err__init(m);
	m->err = e->err;
	m->origin = e->origin;
	m->type = e->type;
	m->code = e->code;
	m->info = e->info;
	m->edata = e->edata;
	m->has_dst = e->has_dst;
	m->has_offender = e->has_offender;
	m->dst = save_addr(w, &e->dst);
	m->offender = save_addr(w, &e->offender);
	m->stamp = e->stamp;
	m->data.data = (uint8_t *)(uintptr_t)e->data;
	m->data.len = e->len;
	return m;
}

static Sentry__InetMember *save_member(struct state_writer *w, const struct inet_member *mb)
{
	Sentry__InetMember *m = state_zalloc(w, 1, sizeof(*m));

	sentry__inet_member__init(m);
	m->group = save_addr(w, &mb->group);
	m->ifindex = mb->ifindex;
	m->exclude = mb->exclude;
	m->sources = state_zalloc(w, mb->nr_sources, sizeof(*m->sources));
	for (uint32_t i = 0; i < mb->nr_sources; i++)
		m->sources[m->n_sources++] = save_addr(w, &mb->sources[i]);
	return m;
}

static uint64_t *save_waiting(struct state_writer *w, const struct list *l, uint32_t nr, size_t *ret_n)
{
	uint64_t *v = state_zalloc(w, nr, sizeof(*v));
	const struct inet_sock *e;

	list_for_each(e, l, wait_node)
		v[(*ret_n)++] = state_ref(w, &inet_sock_state_type, e);
	return v;
}

static void save_lists(struct state_writer *w, const struct inet_sock *u, Sentry__InetSock *m)
{
	const struct inet_msg *q;
	const struct inet_err *e;
	const struct inet_member *mb;
	size_t n = 0;

	list_for_each(q, &u->rq, node)
		n++;
	m->queue = state_zalloc(w, n, sizeof(*m->queue));
	list_for_each(q, &u->rq, node)
		m->queue[m->n_queue++] = save_msg(w, q, inet_is_tcp(u));
	m->errq = state_zalloc(w, u->nr_errq, sizeof(*m->errq));
	list_for_each(e, &u->errq, node)
		m->errq[m->n_errq++] = save_err(w, e);
	m->members = state_zalloc(w, u->nr_members, sizeof(*m->members));
	list_for_each(mb, &u->members, node)
		m->members[m->n_members++] = save_member(w, mb);
	if (u->cork)
		m->cork = save_msg(w, u->cork, false);
	m->backlog = save_waiting(w, &u->backlog, u->nr_backlog, &m->n_backlog);
	m->synq = save_waiting(w, &u->synq, u->nr_synq, &m->n_synq);
	m->deferq = save_waiting(w, &u->deferq, u->nr_deferq, &m->n_deferq);
}

static int inet_sock_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct inet_sock *u = obj;
	Sentry__InetSock *m = msg;

	m->sock_base = state_zalloc(w, 1, sizeof(*m->sock_base));
	sentry__sock_base__init(m->sock_base);
	m->state = u->state;
	m->conn = u->conn;
	m->shutdown = u->shutdown;
	m->err = u->err;
	m->fin_rcvd = u->fin_rcvd;
	m->fin_sent = u->fin_sent;
	m->dead = u->dead;
	m->bound = u->bound;
	m->v6only = u->v6only;
	m->uid = u->uid;
	m->laddr = save_addr(w, &u->laddr);
	m->raddr = save_addr(w, &u->raddr);
	m->peer = state_ref(w, &inet_sock_state_type, u->peer);
	save_lists(w, u, m);
	m->backlog_max = u->backlog_max;
	m->n_opts = inet_opts_count();
	m->opts = (int32_t *)(uintptr_t)u->opt;
	m->rx_bytes = u->rx_bytes;
	m->tx_bytes = u->tx_bytes;
	m->urg = u->urg;
	m->urg_byte = u->urg_byte;
	m->urg_seq = u->urg_seq;
	m->syn_deadline = u->syn_deadline;
	m->zc_next = u->zc_next;
	m->drops = u->drops;
	m->n_icmp_filter = ARRAY_SIZE(u->icmp_filter);
	m->icmp_filter = (uint64_t *)(uintptr_t)u->icmp_filter;
	m->tskey = u->tskey;
	m->last_stamp = u->last_stamp;
	m->bind_seq = u->bind_seq;
	return sock_save_base(w, &u->sk, m->sock_base);
}

/* --- load --- */

#define STREAM_CHUNK_MAX 65536u
#define DGRAM_MAX	 (65536u + 64) /* with a header made up for raw sockets */
#define ERR_DATA_MAX	 65536u
#define ERRQ_MAX	 256u

/* What an old image does not say of a datagram: it came over the loopback, to the address that the socket has. */
static void as_old_msg(const struct inet_sock *u, struct inet_msg *q)
{
	q->to = u->laddr;
	q->ttl = 64;
}

static int load_msg(struct state_reader *r, const struct inet_sock *u, bool stream, const Sentry__InetMsg *qm, struct inet_msg **ret)
{
	size_t len = qm->data.len;
	int err = state_check(r, len <= (stream ? STREAM_CHUNK_MAX : DGRAM_MAX) && (len || !stream), "queued data");
	struct inet_msg *q;

	if (err)
		return err;
	q = inet_msg_alloc(len);
	if (!q)
		return -ENOMEM;
	if (len)
		memcpy(q->data, qm->data.data, len);
	q->stamp = qm->stamp;
	q->ttl = qm->ttl;
	q->tos = qm->tos;
	q->flow = qm->flow;
	q->gso = qm->gso;
	if (!stream)
		err = load_addr(r, qm->from, &q->from);
	if (!stream && !err && !qm->to)
		as_old_msg(u, q);
	else if (!stream && !err)
		err = load_addr(r, qm->to, &q->to);
	if (err) {
		free(q);
		return err;
	}
	*ret = q;
	return 0;
}

static int load_queued(struct state_reader *r, struct inet_sock *u, const Sentry__InetMsg *qm)
{
	struct inet_msg *q;
	int err = load_msg(r, u, inet_is_tcp(u), qm, &q);

	if (err)
		return err;
	list_add_tail(&u->rq, &q->node);
	u->rq_bytes += inet_is_tcp(u) ? q->len : dgram_charge(q->len);
	return 0;
}

static int load_err(struct state_reader *r, struct inet_sock *u, const Sentry__InetErr *m)
{
	int err = state_check(r, m->data.len <= ERR_DATA_MAX && m->err < 4096 && u->nr_errq < ERRQ_MAX, "error queue");
	struct inet_err *e;

	if (err)
		return err;
	e = inet_err_new(m->err, m->origin, m->data.len);
	if (!e)
		return -ENOMEM;
	e->type = m->type;
	e->code = m->code;
	e->info = m->info;
	e->edata = m->edata;
	e->has_dst = m->has_dst;
	e->has_offender = m->has_offender;
	e->stamp = m->stamp;
	if (e->len)
		memcpy(e->data, m->data.data, e->len);
	list_add_tail(&u->errq, &e->node);
	u->nr_errq++;
	u->errq_bytes += e->len;
	err = load_addr(r, m->dst, &e->dst);
	return err ? err : load_addr(r, m->offender, &e->offender);
}

static int load_member(struct state_reader *r, struct inet_sock *u, const Sentry__InetMember *m)
{
	int err = state_check(r, m->n_sources <= INET_MAX_SOURCES && u->nr_members < 4096, "multicast sources");
	struct inet_member *mb;

	if (err)
		return err;
	mb = calloc(1, sizeof(*mb));
	if (!mb)
		return -ENOMEM;
	mb->ifindex = m->ifindex;
	mb->exclude = m->exclude;
	list_add_tail(&u->members, &mb->node);
	u->nr_members++;
	err = load_addr(r, m->group, &mb->group);
	for (size_t i = 0; !err && i < m->n_sources; i++) {
		err = load_addr(r, m->sources[i], &mb->sources[i]);
		mb->nr_sources++;
	}
	return err;
}

static int load_waiting(struct state_reader *r, struct inet_sock *u, uint64_t ref, struct list *l, uint32_t *nr, struct inet_sock *lst)
{
	struct inet_sock *e = NULL;
	int err = state_deref(r, ref, &inet_sock_state_type, (void **)&e);

	if (!err)
		err = state_check(r, e && e != u && !list_linked(&e->wait_node), "waiting connection");
	if (err)
		return err;
	list_add_tail(l, &e->wait_node); /* the node belongs to the listener */
	e->lst = lst;
	(*nr)++;
	return 0;
}

static int load_lists(struct state_reader *r, struct inet_sock *u, const Sentry__InetSock *m)
{
	int err = state_check(r, (!m->n_backlog && !m->n_synq && !m->n_deferq) || u->state == INET_LISTEN, "backlog without listener");

	for (size_t i = 0; !err && i < m->n_queue; i++)
		err = load_queued(r, u, m->queue[i]);
	for (size_t i = 0; !err && i < m->n_errq; i++)
		err = load_err(r, u, m->errq[i]);
	for (size_t i = 0; !err && i < m->n_members; i++)
		err = load_member(r, u, m->members[i]);
	if (!err && m->cork)
		err = load_msg(r, u, false, m->cork, &u->cork);
	for (size_t i = 0; !err && i < m->n_backlog; i++)
		err = load_waiting(r, u, m->backlog[i], &u->backlog, &u->nr_backlog, NULL);
	for (size_t i = 0; !err && i < m->n_synq; i++)
		err = load_waiting(r, u, m->synq[i], &u->synq, &u->nr_synq, u);
	for (size_t i = 0; !err && i < m->n_deferq; i++)
		err = load_waiting(r, u, m->deferq[i], &u->deferq, &u->nr_deferq, u);
	return err;
}

static int load_base(struct state_reader *r, struct inet_sock *u, const Sentry__SockBase *m)
{
	const struct sock_ops *ops = &udp_sock_ops;
	int err;

	if (m->type == LINUX_SOCK_STREAM)
		ops = &tcp_sock_ops;
	else if (m->type == LINUX_SOCK_RAW || m->protocol == LINUX_IPPROTO_ICMP || m->protocol == LINUX_IPPROTO_ICMPV6)
		ops = &raw_sock_ops;
	err = sock_load_base(r, &u->sk, ops, m);
	if (err)
		return err;
	return state_check(r, u->sk.net && (u->sk.family == LINUX_AF_INET || u->sk.family == LINUX_AF_INET6) &&
				      (u->sk.type == LINUX_SOCK_STREAM || u->sk.type == LINUX_SOCK_DGRAM || u->sk.type == LINUX_SOCK_RAW),
			   "inet socket type");
}

static int inet_sock_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__InetSock *m = msg;
	struct inet_sock *u = obj;
	int err = state_check(r, m->sock_base && m->shutdown <= INET_SHUT_BOTH && m->conn <= INET_CONNECTED && m->bound <= 7 && m->err >= 0 &&
					 m->err < 4096 && m->urg <= INET_URG_READ &&
					 m->urg_byte <= UINT8_MAX && m->syn_deadline >= 0 &&
					 (!m->n_icmp_filter || m->n_icmp_filter == ARRAY_SIZE(u->icmp_filter)),
			      "inet socket");

	if (!err)
		err = load_base(r, u, m->sock_base);
	if (!err)
		err = state_check(r, inet_opts_load(u, m->opts, m->n_opts) == 0, "socket options");
	if (!err)
		err = state_check(r, m->state == INET_ESTABLISHED || m->state == INET_CLOSE ||
					     (inet_is_tcp(u) && (m->state == INET_SYN_SENT || m->state == INET_SYN_RECV || m->state == INET_LISTEN)),
				  "inet socket state");
	if (err)
		return err;
	u->state = m->state;
	u->conn = (enum inet_conn)m->conn;
	u->shutdown = m->shutdown;
	u->err = m->err;
	u->fin_rcvd = m->fin_rcvd;
	u->fin_sent = m->fin_sent;
	u->dead = m->dead;
	u->bound = m->bound;
	u->v6only = m->v6only;
	u->uid = m->uid;
	u->backlog_max = m->backlog_max;
	u->rx_bytes = m->rx_bytes;
	u->tx_bytes = m->tx_bytes;
	u->urg = (enum inet_urg)m->urg;
	u->urg_byte = (uint8_t)m->urg_byte;
	u->urg_seq = m->urg_seq;
	u->syn_deadline = m->syn_deadline;
	u->zc_next = m->zc_next;
	u->drops = m->drops;
	if (m->n_icmp_filter)
		memcpy(u->icmp_filter, m->icmp_filter, sizeof(u->icmp_filter));
	u->tskey = m->tskey;
	u->last_stamp = m->last_stamp;
	u->bind_seq = m->bind_seq;
	err = load_addr(r, m->laddr, &u->laddr);
	if (!err)
		err = load_addr(r, m->raddr, &u->raddr);
	if (!err)
		err = state_deref(r, m->peer, &inet_sock_state_type, (void **)&u->peer);
	return err ? err : load_lists(r, u, m);
}

static int check_waiting(struct state_reader *r, const struct inet_sock *u)
{
	const struct inet_sock *e;
	bool ok = true;

	list_for_each(e, &u->backlog, wait_node)
		ok = ok && inet_is_tcp(e) && e->sk.net == u->sk.net && (e->state == INET_ESTABLISHED || e->state == INET_CLOSE);
	list_for_each(e, &u->synq, wait_node)
		ok = ok && inet_is_tcp(e) && e->sk.net == u->sk.net && (e->state == INET_SYN_SENT || e->state == INET_CLOSE);
	list_for_each(e, &u->deferq, wait_node)
		ok = ok && inet_is_tcp(e) && e->sk.net == u->sk.net && e->state == INET_SYN_RECV;
	return state_check(r, ok, "waiting connection");
}

static int inet_sock_after_load(struct state_reader *r, void *obj)
{
	struct inet_sock *u = obj;
	struct inet_member *mb;
	int err = state_check(r, !u->peer || (u->peer->peer == u && inet_is_tcp(u) && u->peer->sk.net == u->sk.net && inet_is_tcp(u->peer)),
			      "connection with one end");

	if (!err)
		err = state_check(r, u->urg == INET_URG_NONE || (inet_is_tcp(u) && u->urg_seq >= u->rx_bytes), "urgent mark");
	if (!err)
		err = check_waiting(r, u);
	if (err || u->dead)
		return err;
	list_for_each(mb, &u->members, node)
		list_add_tail(&u->sk.net->inet->members, &mb->all_node);
	if (inet_is_raw(u)) {
		list_add_tail(&u->sk.net->inet->raw, &u->node);
		return 0;
	}
	/* A connection that is over keeps only a port that bind() chose. */
	if (u->laddr.port && (u->state != INET_CLOSE || u->conn == INET_UNCONNECTED || u->bound & INET_BOUND_PORT))
		inet_enter_locked(u);
	if (u->bind_seq > u->sk.net->inet->last_seq)
		u->sk.net->inet->last_seq = u->bind_seq;
	if (inet_is_tcp(u)) {
		tcp_hash_locked(u);
		tcp_after_load(u);
	}
	return 0;
}

Sentry__InetTw **inet_tw_save(struct state_writer *w, const struct inet_table *tb, size_t *ret_n)
{
	Sentry__InetTw **v = state_zalloc(w, tb->nr_tw, sizeof(*v));
	const struct inet_tw *t;

	list_for_each(t, &tb->tw_lru, lru_node) {
		Sentry__InetTw *m = state_zalloc(w, 1, sizeof(*m));

		sentry__inet_tw__init(m);
		m->laddr = save_addr(w, &t->laddr);
		m->raddr = save_addr(w, &t->raddr);
		m->state = t->state;
		m->family = t->family;
		m->v6only = t->v6only;
		m->reuse = t->reuse;
		m->reuseport = t->reuseport;
		m->bound_dev = t->bound_dev;
		m->since = t->since;
		m->expires = t->expires;
		v[(*ret_n)++] = m;
	}
	return v;
}

int inet_tw_load(struct state_reader *r, struct inet_table *tb, Sentry__InetTw **v, size_t n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		const Sentry__InetTw *m = v[i];
		struct inet_tw t = { .state = m->state, .family = m->family, .v6only = m->v6only, .reuse = m->reuse, .reuseport = m->reuseport,
				     .bound_dev = m->bound_dev, .since = m->since, .expires = m->expires };

		err = state_check(r, (m->state == INET_FIN_WAIT2 || m->state == INET_TIME_WAIT) &&
					     (m->family == LINUX_AF_INET || m->family == LINUX_AF_INET6), "closed connection");
		if (!err)
			err = load_addr(r, m->laddr, &t.laddr);
		if (!err)
			err = load_addr(r, m->raddr, &t.raddr);
		if (!err && !inet_tw_add_locked(tb, &t))
			break; /* more than are allowed: these ports are free early */
	}
	return err;
}

const struct state_type inet_sock_state_type = {
	.id = STATE_ID_inet_sock,
	.name = "inet_sock",
	.desc = &sentry__inet_sock__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = inet_alloc,
	.save = inet_sock_save,
	.load = inet_sock_load,
	.after_load = inet_sock_after_load,
	.get = sock_state_get,
	.put = sock_state_put,
};
