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

static int inet_sock_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct inet_sock *u = obj, *e;
	Sentry__InetSock *m = msg;
	const struct inet_msg *q;
	size_t n = 0;

	m->sock_base = state_zalloc(w, 1, sizeof(*m->sock_base));
	sentry__sock_base__init(m->sock_base);
	m->state = u->state;
	m->conn = u->conn;
	m->shutdown = u->shutdown;
	m->err = u->err;
	m->fin_rcvd = u->fin_rcvd;
	m->dead = u->dead;
	m->bound = u->bound;
	m->v6only = u->v6only;
	m->uid = u->uid;
	m->laddr = save_addr(w, &u->laddr);
	m->raddr = save_addr(w, &u->raddr);
	m->peer = state_ref(w, &inet_sock_state_type, u->peer);
	list_for_each(q, &u->rq, node)
		n++;
	m->queue = state_zalloc(w, n, sizeof(*m->queue));
	list_for_each(q, &u->rq, node) {
		Sentry__InetMsg *qm = state_zalloc(w, 1, sizeof(*qm));

		sentry__inet_msg__init(qm);
		qm->data.data = (uint8_t *)(uintptr_t)q->data + q->off;
		qm->data.len = q->len - q->off;
		if (!inet_is_tcp(u))
			qm->from = save_addr(w, &q->from);
		m->queue[m->n_queue++] = qm;
	}
	m->backlog = state_zalloc(w, u->nr_backlog, sizeof(*m->backlog));
	list_for_each(e, &u->backlog, wait_node)
		m->backlog[m->n_backlog++] = state_ref(w, &inet_sock_state_type, e);
	m->synq = state_zalloc(w, u->nr_synq, sizeof(*m->synq));
	list_for_each(e, &u->synq, wait_node)
		m->synq[m->n_synq++] = state_ref(w, &inet_sock_state_type, e);
	m->backlog_max = u->backlog_max;
	m->n_opts = INET_NR_OPTS;
	m->opts = (int32_t *)(uintptr_t)u->opt;
	return sock_save_base(w, &u->sk, m->sock_base);
}

static int load_msg(struct state_reader *r, struct inet_sock *u, const Sentry__InetMsg *qm)
{
	size_t len = qm->data.len, cap = MAX(len, (size_t)1024);
	int err = state_check(r, len <= 65536 && (len || !inet_is_tcp(u)), "queued data");
	struct inet_msg *q;

	if (err)
		return err;
	q = malloc(sizeof(*q) + cap);
	if (!q)
		return -ENOMEM;
	memset(q, 0, sizeof(*q));
	q->cap = (uint32_t)cap;
	q->len = (uint32_t)len;
	if (len)
		memcpy(q->data, qm->data.data, len);
	list_add_tail(&u->rq, &q->node);
	u->rq_bytes += inet_is_tcp(u) ? len : udp_charge(len);
	return inet_is_tcp(u) ? 0 : load_addr(r, qm->from, &q->from);
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

static int inet_sock_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__InetSock *m = msg;
	struct inet_sock *u = obj;
	bool tcp;
	int err = state_check(r, m->sock_base && m->shutdown <= INET_SHUT_BOTH && m->conn <= INET_CONNECTED && m->bound <= 3 && m->err >= 0 &&
					 m->err < 4096 && m->backlog_max <= SOCK_SOMAXCONN && m->n_opts == INET_NR_OPTS, "inet socket");

	if (err)
		return err;
	tcp = m->sock_base->type == LINUX_SOCK_STREAM;
	err = sock_load_base(r, &u->sk, tcp ? &tcp_sock_ops : &udp_sock_ops, m->sock_base);
	if (!err)
		err = state_check(r, u->sk.net && (u->sk.family == LINUX_AF_INET || u->sk.family == LINUX_AF_INET6) &&
					     (tcp || u->sk.type == LINUX_SOCK_DGRAM), "inet socket type");
	if (!err)
		err = state_check(r, m->state == INET_ESTABLISHED || m->state == INET_CLOSE ||
					     (tcp && (m->state == INET_SYN_SENT || m->state == INET_LISTEN)), "inet socket state");
	if (err)
		return err;
	u->state = m->state;
	u->conn = (enum inet_conn)m->conn;
	u->shutdown = m->shutdown;
	u->err = m->err;
	u->fin_rcvd = m->fin_rcvd;
	u->dead = m->dead;
	u->bound = m->bound;
	u->v6only = m->v6only;
	u->uid = m->uid;
	u->backlog_max = m->backlog_max;
	memcpy(u->opt, m->opts, sizeof(u->opt));
	err = load_addr(r, m->laddr, &u->laddr);
	if (!err)
		err = load_addr(r, m->raddr, &u->raddr);
	if (!err)
		err = state_deref(r, m->peer, &inet_sock_state_type, (void **)&u->peer);
	for (size_t i = 0; !err && i < m->n_queue; i++)
		err = load_msg(r, u, m->queue[i]);
	err = err ? err : state_check(r, (!m->n_backlog && !m->n_synq) || u->state == INET_LISTEN, "backlog without listener");
	for (size_t i = 0; !err && i < m->n_backlog; i++)
		err = load_waiting(r, u, m->backlog[i], &u->backlog, &u->nr_backlog, NULL);
	for (size_t i = 0; !err && i < m->n_synq; i++)
		err = load_waiting(r, u, m->synq[i], &u->synq, &u->nr_synq, u);
	return err;
}

static int inet_sock_after_load(struct state_reader *r, void *obj)
{
	struct inet_sock *u = obj, *e;
	int err = state_check(r, !u->peer || (u->peer->peer == u && u->peer != u && inet_is_tcp(u) && u->state == INET_ESTABLISHED &&
					     u->peer->sk.net == u->sk.net && inet_is_tcp(u->peer)), "connection with one end");

	list_for_each(e, &u->backlog, wait_node)
		if (!err)
			err = state_check(r, inet_is_tcp(e) && e->sk.net == u->sk.net && e->state != INET_SYN_SENT, "waiting connection");
	list_for_each(e, &u->synq, wait_node)
		if (!err)
			err = state_check(r, inet_is_tcp(e) && e->sk.net == u->sk.net && e->state == INET_SYN_SENT, "waiting connect");
	if (!err && u->laddr.port && !u->dead)
		list_add_tail(inet_bucket(u, u->laddr.port), &u->node);
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
