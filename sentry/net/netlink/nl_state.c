/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading netlink sockets. See netlink.h. */
#include <string.h>

#include "schemas/netlink.pb-c.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/netlink/netlink.h"
#include "state/state.h"

#define MAX_QUEUE 65536u
#define NL_OPTIONS 0x7fu

static int netlink_sock_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct netlink_sock *s = obj;
	Sentry__NetlinkSock *m = msg;
	const struct nl_msg *q;

	m->sock_base = state_new_msg(w, &sentry__sock_base__descriptor);
	m->portid = s->portid;
	m->groups = (uint32_t)s->groups;
	m->groups_hi = (uint32_t)(s->groups >> 32);
	m->dst_portid = s->dst_portid;
	m->dst_group = s->dst_group;
	m->option_bits = s->options;
	m->congested = s->congested;
	m->err = s->err;
	m->drops = s->drops;
	m->queue2 = state_zalloc(w, s->rq_len, sizeof(*m->queue2));
	list_for_each(q, &s->rq, node) {
		Sentry__NetlinkMsg *qm = state_new_msg(w, &sentry__netlink_msg__descriptor);

		qm->data.data = (uint8_t *)(uintptr_t)q->data;
		qm->data.len = q->len;
		qm->portid = q->portid;
		qm->group = q->group;
		qm->dump = q->dump;
		qm->creds = q->creds;
		qm->uid = q->uid;
		qm->gid = q->gid;
		qm->pid = state_ref(w, &pid_state_type, q->pid);
		m->queue2[m->n_queue2++] = qm;
	}
	return sock_save_base(w, &s->sk, m->sock_base);
}

static int load_msg(struct netlink_sock *s, const ProtobufCBinaryData *data, const struct nl_msg *proto)
{
	struct nl_msg *q = malloc(sizeof(*q) + data->len);

	if (!q)
		return -ENOMEM;
	*q = *proto;
	q->len = data->len;
	if (q->len)
		memcpy(q->data, data->data, q->len);
	list_add_tail(&s->rq, &q->node);
	s->rq_len++;
	if (q->dump)
		s->rq_dumps++;
	else
		s->rq_bytes += nl_charge(q->len);
	return 0;
}

static int netlink_sock_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__NetlinkSock *m = msg;
	struct netlink_sock *s = obj;
	int err = state_check(r, m->sock_base && m->n_queue <= MAX_QUEUE && m->n_queue2 <= MAX_QUEUE && m->option_bits <= NL_OPTIONS &&
					 m->dst_group <= NL_MAX_GROUPS && m->err >= 0 && m->err < 4096, "netlink socket");

	if (!err)
		err = sock_load_base(r, &s->sk, &netlink_sock_ops, m->sock_base);
	if (!err)
		err = state_check(r, s->sk.family == LINUX_AF_NETLINK && s->sk.net && nl_proto_find(s->sk.protocol), "netlink family");
	if (err)
		return err;
	s->portid = m->portid;
	s->bound = m->portid;
	s->groups = (uint64_t)m->groups_hi << 32 | m->groups;
	s->dst_portid = m->dst_portid;
	s->dst_group = m->dst_group;
	s->options = m->option_bits;
	s->congested = m->congested;
	s->err = m->err;
	s->drops = m->drops;
	for (size_t i = 0; !err && i < m->n_queue; i++)
		err = load_msg(s, &m->queue[i], &(struct nl_msg){ .dump = true });
	for (size_t i = 0; !err && i < m->n_queue2; i++) {
		const Sentry__NetlinkMsg *q = m->queue2[i];
		struct nl_msg proto = {
			.portid = q->portid, .group = q->group, .dump = q->dump, .creds = q->creds, .uid = q->uid, .gid = q->gid,
		};

		err = state_check(r, q->group <= NL_MAX_GROUPS, "netlink group");
		if (!err)
			err = state_deref(r, q->pid, &pid_state_type, (void **)&proto.pid);
		if (!err)
			err = load_msg(s, &q->data, &proto);
	}
	return err;
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
