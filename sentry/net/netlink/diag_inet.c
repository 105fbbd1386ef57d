/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inet_diag: Internet sockets for ss(8), with its filter programs. Linux: net/ipv4/inet_diag.c.
 */
#include <netinet/in.h>
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/netlink/diag.h"

#define TCPDIAG_GETSOCK 18
#define REQ_BYTECODE    1
#define REQ_PROTOCOL    3
#define DIAG_PROGRAM_MAX 16384u

enum {
	DIAG_MEMINFO = 1, DIAG_INFO, DIAG_CONG = 4, DIAG_TOS, DIAG_TCLASS, DIAG_SKMEMINFO, DIAG_SHUTDOWN, DIAG_SKV6ONLY = 11, DIAG_MARK = 15,
	DIAG_CLASS_ID = 17, DIAG_CGROUP_ID = 21,
};

struct sockid {
	uint8_t sport[2], dport[2]; /* big endian */
	uint8_t src[16], dst[16]; /* IPv4: the first four bytes */
	uint32_t ifindex;
	uint32_t cookie[2];
};

struct req_v2 {
	uint8_t family, protocol, ext, pad;
	uint32_t states;
	struct sockid id;
};
_Static_assert(sizeof(struct req_v2) == 56, "struct inet_diag_req_v2 layout");

struct req_v1 {
	uint8_t family, src_len, dst_len, ext;
	struct sockid id;
	uint32_t states, dbs;
};

struct diag_msg {
	uint8_t family, state, timer, retrans;
	struct sockid id;
	uint32_t expires, rqueue, wqueue, uid, inode;
};
_Static_assert(sizeof(struct diag_msg) == 72, "struct inet_diag_msg layout");

/* --- filter programs --- */

enum { BC_NOP, BC_JMP, BC_S_GE, BC_S_LE, BC_D_GE, BC_D_LE, BC_AUTO, BC_S_COND, BC_D_COND, BC_DEV_COND, BC_MARK_COND, BC_S_EQ, BC_D_EQ, BC_MAX };

struct bc_op {
	uint8_t code, yes;
	uint16_t no;
};

struct hostcond {
	uint8_t family, prefix_len;
	int32_t port;
	uint8_t addr[16]; /* as much as the family has */
};
#define HOSTCOND_HEAD 8u

struct program {
	const uint8_t *code;
	size_t len;
};

static size_t op_size(uint8_t code)
{
	switch (code) {
	case BC_S_COND:
	case BC_D_COND:
		return sizeof(struct bc_op) + HOSTCOND_HEAD;
	case BC_S_GE:
	case BC_S_LE:
	case BC_D_GE:
	case BC_D_LE:
	case BC_S_EQ:
	case BC_D_EQ:
	case BC_DEV_COND:
		return 2 * sizeof(struct bc_op);
	case BC_MARK_COND:
		return 3 * sizeof(struct bc_op);
	default:
		return sizeof(struct bc_op);
	}
}

/* Is there a whole instruction at @at? *@ret_need: its size. */
static bool fetch(const struct program *p, size_t at, struct bc_op *op, size_t *ret_need)
{
	size_t left = p->len - at, n;
	struct hostcond c = { 0 };

	if (left < sizeof(*op))
		return false;
	memcpy(op, p->code + at, sizeof(*op));
	*ret_need = op_size(op->code);
	if (op->code >= BC_MAX || left < *ret_need)
		return false;
	if (op->code != BC_S_COND && op->code != BC_D_COND)
		return true;
	memcpy(&c, p->code + at + sizeof(*op), HOSTCOND_HEAD);
	n = c.family == LINUX_AF_INET ? 4 : c.family == LINUX_AF_INET6 ? 16 : 0;
	*ret_need += n;
	return (!c.family || n) && c.prefix_len <= n * 8 && left >= *ret_need;
}

/* Every instruction lies inside, and jumps go forward: to a place inside, to the end (accept) or four behind it (reject). */
static bool program_ok(const struct program *p)
{
	size_t at = 0, need;
	struct bc_op op;

	if (p->len > DIAG_PROGRAM_MAX || p->len % 4)
		return false;
	while (at < p->len) {
		size_t left = p->len - at;

		if (!fetch(p, at, &op, &need) || op.yes < need || op.yes > left + 4 || op.yes % 4)
			return false;
		if (op.code != BC_NOP && (op.no < sizeof(op) || op.no > left + 4 || op.no % 4))
			return false;
		at += op.yes;
	}
	return at == p->len;
}

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned n = bits / 8, rest = bits % 8;

	return !memcmp(a, b, n) && (!rest || !((a[n] ^ b[n]) >> (8 - rest)));
}

static bool is_mapped(const uint8_t *ip)
{
	return !memcmp(ip, (const uint8_t[12]){ [10] = 0xff, [11] = 0xff }, 12);
}

static bool host_matches(const struct program *p, size_t at, const uint8_t *ip, uint16_t port)
{
	struct hostcond c = { 0 };
	bool v4 = is_mapped(ip);

	memcpy(&c, p->code + at, HOSTCOND_HEAD);
	if (c.port != -1 && c.port != port)
		return false;
	if (!c.family || !c.prefix_len)
		return true;
	memcpy(c.addr, p->code + at + HOSTCOND_HEAD, c.family == LINUX_AF_INET ? 4 : 16);
	if (c.family == LINUX_AF_INET)
		return v4 && bits_equal(c.addr, ip + 12, c.prefix_len);
	return bits_equal(c.addr, ip, c.prefix_len);
}

static uint16_t port_operand(const struct program *p, size_t at)
{
	struct bc_op arg;

	memcpy(&arg, p->code + at + sizeof(arg), sizeof(arg));
	return arg.no;
}

static bool op_says(const struct program *p, size_t at, uint8_t code, const struct diag_sock *d)
{
	uint32_t mark[2];

	switch (code) {
	case BC_JMP:
		return false;
	case BC_S_GE:
		return d->lport >= port_operand(p, at);
	case BC_S_LE:
		return d->lport <= port_operand(p, at);
	case BC_D_GE:
		return d->rport >= port_operand(p, at);
	case BC_D_LE:
		return d->rport <= port_operand(p, at);
	case BC_S_EQ:
		return d->lport == port_operand(p, at);
	case BC_D_EQ:
		return d->rport == port_operand(p, at);
	case BC_AUTO:
		return d->lport >= 32768; /* bound by connect(): not known better */
	case BC_S_COND:
		return host_matches(p, at + sizeof(struct bc_op), d->laddr, d->lport);
	case BC_D_COND:
		return host_matches(p, at + sizeof(struct bc_op), d->raddr, d->rport);
	case BC_MARK_COND:
		memcpy(mark, p->code + at + sizeof(struct bc_op), sizeof(mark));
		return (d->mark & mark[1]) == mark[0];
	case BC_DEV_COND:
		memcpy(mark, p->code + at + sizeof(struct bc_op), sizeof(mark[0]));
		return mark[0] == d->ifindex;
	default:
		return true;
	}
}

static bool program_accepts(const struct program *p, const struct diag_sock *d)
{
	size_t at = 0, need;
	struct bc_op op;

	while (at < p->len) {
		if (!fetch(p, at, &op, &need)) /* a jump may land between instructions */
			return false;
		at += op_says(p, at, op.code, d) ? MAX((size_t)op.yes, sizeof(op)) : MAX((size_t)op.no, sizeof(op));
	}
	return at == p->len;
}

/* --- answers --- */

struct answer {
	struct nl_request *q;
	uint8_t family, ext;
	uint32_t states;
	struct sockid id;
	struct program prog;
	bool single, found;
};

static void put_ip(uint8_t to[16], const uint8_t *ip, uint16_t family)
{
	memset(to, 0, 16);
	if (family == LINUX_AF_INET)
		memcpy(to, ip + 12, 4);
	else
		memcpy(to, ip, 16);
}

static void put_port(uint8_t to[2], uint16_t port)
{
	to[0] = (uint8_t)(port >> 8);
	to[1] = (uint8_t)port;
}

static void fill_id(const struct diag_sock *d, struct sockid *id)
{
	memset(id, 0, sizeof(*id));
	put_port(id->sport, d->lport);
	put_port(id->dport, d->rport);
	put_ip(id->src, d->laddr, d->family);
	put_ip(id->dst, d->raddr, d->family);
	id->ifindex = d->ifindex;
	id->cookie[0] = (uint32_t)d->cookie;
	id->cookie[1] = (uint32_t)(d->cookie >> 32);
}

static void put_attrs(struct strbuf *b, const struct diag_sock *d, uint8_t ext)
{
	uint32_t mem[4] = { d->rqueue, d->wqueue, 0, d->wqueue }, skmem[9] = { d->rqueue, d->rcvbuf, d->wqueue, d->sndbuf, 0, d->wqueue, 0, 0, d->drops };
	uint8_t info[256];
	size_t n;

	nl_put_u8(b, DIAG_SHUTDOWN, d->shutdown);
	if (ext & 1u << (DIAG_TOS - 1))
		nl_put_u8(b, DIAG_TOS, d->tos);
	if (d->family == LINUX_AF_INET6) {
		if (ext & 1u << (DIAG_TCLASS - 1))
			nl_put_u8(b, DIAG_TCLASS, d->tclass);
		if (d->state == 7 || d->state == 10)
			nl_put_u8(b, DIAG_SKV6ONLY, d->v6only);
	}
	if (d->mark)
		nl_put_u32(b, DIAG_MARK, d->mark);
	if (ext & 1u << (DIAG_MEMINFO - 1))
		nl_put(b, DIAG_MEMINFO, mem, sizeof(mem));
	if (ext & 1u << (DIAG_SKMEMINFO - 1))
		nl_put(b, DIAG_SKMEMINFO, skmem, sizeof(skmem));
	if (d->protocol != IPPROTO_TCP || !d->sk)
		return;
	n = ext & 1u << (DIAG_INFO - 1) ? diag_tcp_info(d->sk, info, sizeof(info)) : 0;
	if (n)
		nl_put(b, DIAG_INFO, info, n);
	if (ext & 1u << (DIAG_CONG - 1))
		nl_put_str(b, DIAG_CONG, "reno");
}

static void fill(struct answer *a, const struct diag_sock *d)
{
	struct diag_msg m = { .family = (uint8_t)d->family, .state = d->state, .timer = d->timer, .retrans = d->retrans, .expires = d->expires };
	size_t at = nl_reply(a->q, 20 /* SOCK_DIAG_BY_FAMILY */, a->single ? 0 : LINUX_NLM_F_MULTI);

	m.rqueue = d->rqueue;
	m.wqueue = d->wqueue;
	m.uid = d->uid;
	m.inode = (uint32_t)d->ino;
	fill_id(d, &m.id);
	strbuf_add(&a->q->out, &m, sizeof(m));
	put_attrs(&a->q->out, d, a->ext);
	if (a->single)
		nl_end(&a->q->out, at);
	else
		nl_dump_next(a->q, at);
}

static bool zero2(const uint8_t *p)
{
	return !p[0] && !p[1];
}

static void one(const struct diag_sock *d, void *arg)
{
	struct answer *a = arg;
	struct sockid id;

	fill_id(d, &id);
	if (a->single) {
		if (a->found || d->family != a->family || memcmp(&id, &a->id, offsetof(struct sockid, ifindex)) != 0)
			return;
		if (!(a->id.cookie[0] == UINT32_MAX && a->id.cookie[1] == UINT32_MAX) && memcmp(id.cookie, a->id.cookie, sizeof(id.cookie)) != 0)
			return;
		a->found = true;
		fill(a, d);
		return;
	}
	if ((a->family && d->family != a->family) || !(a->states >> d->state & 1))
		return;
	if ((!zero2(a->id.sport) && memcmp(id.sport, a->id.sport, 2) != 0) || (!zero2(a->id.dport) && memcmp(id.dport, a->id.dport, 2) != 0))
		return;
	if (a->prog.len && !program_accepts(&a->prog, d))
		return;
	fill(a, d);
}

int diag_inet(struct nl_request *q)
{
	struct nl_attr at[REQ_PROTOCOL + 1];
	struct answer a = { .q = q, .single = !nl_is_dump(q) };
	bool old = q->h.type == TCPDIAG_GETSOCK;
	struct req_v2 r2;
	struct req_v1 r1;
	int protocol = IPPROTO_TCP, r = nl_attrs(q, old ? sizeof(r1) : sizeof(r2), at, REQ_PROTOCOL);

	if (r)
		return r;
	if (old) {
		memcpy(&r1, q->body, sizeof(r1));
		a.family = r1.family;
		a.ext = r1.ext;
		a.states = r1.states;
		a.id = r1.id;
	} else {
		memcpy(&r2, q->body, sizeof(r2));
		a.family = r2.family;
		a.ext = r2.ext;
		a.states = r2.states;
		a.id = r2.id;
		protocol = (int)nl_u32(&at[REQ_PROTOCOL], r2.protocol);
	}
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP && protocol != IPPROTO_UDPLITE && protocol != IPPROTO_RAW)
		return a.single ? -ENOENT : nl_dump_error(q, -ENOENT);
	if (at[REQ_BYTECODE].data && !a.single) {
		a.prog = (struct program){ at[REQ_BYTECODE].data, at[REQ_BYTECODE].len };
		if (!program_ok(&a.prog))
			return -EINVAL;
	}
	diag_each_inet(q->net, protocol, one, &a);
	if (a.single)
		return a.found ? 0 : -ENOENT;
	return nl_dump_done(q);
}
