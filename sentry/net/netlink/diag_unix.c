/* SPDX-License-Identifier: Apache-2.0 */
/* unix_diag and netlink_diag. Linux: net/unix/diag.c, net/netlink/diag.c. */
#include <string.h>

#include "sentry/fs/dentry.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/netlink/diag.h"
#include "sentry/net/unix.h"

enum { U_NAME, U_VFS, U_PEER, U_ICONS, U_RQLEN, U_MEMINFO, U_SHUTDOWN, U_UID };
#define SHOW_NAME    0x01u
#define SHOW_VFS     0x02u
#define SHOW_PEER    0x04u
#define SHOW_ICONS   0x08u
#define SHOW_RQLEN   0x10u
#define SHOW_MEMINFO 0x20u
#define SHOW_UID     0x40u

struct unix_req {
	uint8_t family, protocol;
	uint16_t pad;
	uint32_t states, ino, show, cookie[2];
};

struct unix_answer {
	struct nl_request *q;
	struct unix_req r;
	bool single, found;
};

struct unix_diag_msg {
	uint8_t family, type, state, pad;
	uint32_t ino, cookie[2];
};

static void put_icons(struct strbuf *b, struct unix_sock *u)
{
	_cleanup_strbuf_ struct strbuf v = STRBUF_INIT;
	struct unix_sock *c;

	list_for_each(c, &u->backlog, backlog_node) {
		uint32_t ino = (uint32_t)(c->peer ? diag_ino(&c->peer->sk) : 0);

		strbuf_add(&v, &ino, sizeof(ino));
	}
	if (v.len)
		nl_put(b, U_ICONS, v.data, v.len);
}

static void unix_attrs(struct strbuf *b, struct unix_sock *u, uint32_t show)
{
	bool listens = u->state == UNIX_LISTEN;

	if ((show & SHOW_NAME) && u->addr)
		nl_put(b, U_NAME, u->addr->name, u->addr->len);
	if ((show & SHOW_VFS) && u->path.dentry && u->path.dentry->inode) {
		uint32_t v[2] = { (uint32_t)u->path.dentry->inode->ino, 0 };

		nl_put(b, U_VFS, v, sizeof(v));
	}
	if ((show & SHOW_PEER) && u->peer && diag_ino(&u->peer->sk))
		nl_put_u32(b, U_PEER, (uint32_t)diag_ino(&u->peer->sk));
	if ((show & SHOW_ICONS) && listens)
		put_icons(b, u);
	if (show & SHOW_RQLEN) {
		uint32_t v[2] = { listens ? u->nr_backlog : (uint32_t)u->rq_bytes, listens ? u->backlog_max : atomic_load(&u->wmem) };

		nl_put(b, U_RQLEN, v, sizeof(v));
	}
	if (show & SHOW_MEMINFO) {
		uint32_t v[9] = { (uint32_t)u->rq_bytes, u->sk.opts.rcvbuf, atomic_load(&u->wmem), sock_sndbuf(&u->sk) };

		nl_put(b, U_MEMINFO, v, sizeof(v));
	}
	nl_put_u8(b, U_SHUTDOWN, (uint8_t)u->shutdown);
	if (show & SHOW_UID)
		nl_put_u32(b, U_UID, u->sk.file && u->sk.file->inode ? u->sk.file->inode->uid : 0);
}

static void unix_one(struct unix_sock *u, void *arg)
{
	struct unix_answer *a = arg;
	struct unix_diag_msg m = { .family = LINUX_AF_UNIX, .type = (uint8_t)u->sk.type };
	size_t at;

	mutex_lock(&u->mu);
	m.state = u->state == UNIX_LISTEN ? 10 : u->state == UNIX_ESTABLISHED || (u->peer && u->sk.type == LINUX_SOCK_DGRAM) ? 1 : 7;
	m.ino = (uint32_t)diag_ino(&u->sk);
	m.cookie[0] = m.ino;
	if (!m.ino || a->found || (a->single ? m.ino != a->r.ino : !(a->r.states >> m.state & 1) || (a->r.ino && a->r.ino != m.ino))) {
		mutex_unlock(&u->mu);
		return;
	}
	at = nl_reply(a->q, 20 /* SOCK_DIAG_BY_FAMILY */, a->single ? 0 : LINUX_NLM_F_MULTI);
	strbuf_add(&a->q->out, &m, sizeof(m));
	unix_attrs(&a->q->out, u, a->r.show);
	mutex_unlock(&u->mu);
	if (a->single) {
		a->found = true;
		nl_end(&a->q->out, at);
	} else {
		nl_dump_next(a->q, at);
	}
}

int diag_unix(struct nl_request *q)
{
	struct unix_answer a = { .q = q, .single = !nl_is_dump(q) };

	if (q->n < sizeof(a.r))
		return -EINVAL;
	memcpy(&a.r, q->body, sizeof(a.r));
	if (a.r.protocol)
		return -EPROTONOSUPPORT;
	if (a.single && !a.r.ino)
		return -EINVAL;
	unix_each(q->net, unix_one, &a);
	if (a.single)
		return a.found ? 0 : -ENOENT;
	return nl_dump_done(q);
}

/* --- netlink sockets --- */

struct netlink_req {
	uint8_t family, protocol;
	uint16_t pad;
	uint32_t ino, show, cookie[2];
};

struct netlink_diag_msg {
	uint8_t family, type, protocol, state;
	uint32_t portid, dst_portid, dst_group, ino, cookie[2];
};

#define NDIAG_SHOW_MEMINFO 1u
#define NDIAG_SHOW_GROUPS  2u
#define NDIAG_SHOW_FLAGS   8u
#define NDIAG_ALL          0xff

struct netlink_answer {
	struct nl_request *q;
	struct netlink_req r;
	struct strbuf *out; /* built apart: the list is locked, and replies go to one in it */
};

static void netlink_one(struct netlink_sock *s, void *arg)
{
	struct netlink_answer *a = arg;
	struct netlink_diag_msg m = { .family = LINUX_AF_NETLINK, .type = (uint8_t)s->sk.type, .protocol = (uint8_t)s->sk.protocol };
	size_t at;

	if (a->r.protocol != NDIAG_ALL && a->r.protocol != s->sk.protocol)
		return;
	mutex_lock(&s->mu);
	m.portid = s->portid;
	m.dst_portid = s->dst_portid;
	m.dst_group = s->dst_group;
	m.ino = (uint32_t)diag_ino(&s->sk);
	m.cookie[0] = m.ino;
	at = nl_begin(a->out, 20 /* SOCK_DIAG_BY_FAMILY */, LINUX_NLM_F_MULTI, a->q->h.seq, a->q->s->portid);
	strbuf_add(a->out, &m, sizeof(m));
	if (a->r.show & NDIAG_SHOW_GROUPS)
		nl_put(a->out, 1 /* GROUPS */, &s->groups, sizeof(s->groups));
	if (a->r.show & NDIAG_SHOW_MEMINFO) {
		uint32_t v[9] = { (uint32_t)s->rq_bytes, 0, 0, 0, 0, 0, 0, 0, (uint32_t)s->drops };

		nl_put(a->out, 0 /* MEMINFO */, v, sizeof(v));
	}
	mutex_unlock(&s->mu);
	nl_end(a->out, at);
}

int diag_netlink(struct nl_request *q)
{
	_cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
	struct netlink_answer a = { .q = q, .out = &out };
	size_t at = 0;

	if (q->n < sizeof(a.r))
		return -EINVAL;
	if (!nl_is_dump(q))
		return -EOPNOTSUPP;
	memcpy(&a.r, q->body, sizeof(a.r));
	nl_each(q->net, netlink_one, &a);
	while (!out.err && at < out.len) {
		struct linux_nlmsghdr h;
		size_t begin = q->out.len;

		memcpy(&h, out.data + at, sizeof(h));
		strbuf_add(&q->out, out.data + at, h.len);
		nl_dump_next(q, begin);
		at += LINUX_NLMSG_ALIGN((size_t)h.len);
	}
	return nl_dump_done(q);
}
