/* SPDX-License-Identifier: Apache-2.0 */
/* Files of /proc/net about sockets other than those of the Internet stack, which prints its own. Linux: net/unix/af_unix.c, net/netlink/af_netlink.c. */
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

#include "sentry/fs/inode.h"
#include "sentry/fs/proc/net_internal.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/host/host.h"
#include "sentry/net/netlink/diag.h"
#include "sentry/net/unix.h"

#define SO_ACCEPTCON 0x10000u
#define SS_UNCONNECTED 1u
#define SS_CONNECTED   3u

static void unix_one(struct unix_sock *u, void *arg)
{
	struct strbuf *b = arg;
	uint64_t ino;

	mutex_lock(&u->mu);
	ino = diag_ino(&u->sk);
	if (!u->dead) {
		strbuf_addf(b, "0000000000000000: %08X %08X %08X %04X %02X %5lu", 2 + !!u->peer, 0, u->state == UNIX_LISTEN ? SO_ACCEPTCON : 0, u->sk.type,
			    u->state == UNIX_ESTABLISHED || (u->peer && u->sk.type == LINUX_SOCK_DGRAM) ? SS_CONNECTED : SS_UNCONNECTED, (unsigned long)ino);
		if (u->addr && u->addr->len) {
			uint32_t n = u->addr->name[0] ? (uint32_t)strnlen(u->addr->name, u->addr->len) : u->addr->len;

			strbuf_addc(b, ' ');
			for (uint32_t i = 0; i < n; i++)
				strbuf_addc(b, u->addr->name[i] ? u->addr->name[i] : '@');
		}
		strbuf_addc(b, '\n');
	}
	mutex_unlock(&u->mu);
}

void net_show_unix_file(struct net_ns *ns, struct strbuf *b)
{
	strbuf_adds(b, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	unix_each(ns, unix_one, b);
}

static void netlink_one(struct netlink_sock *s, void *arg)
{
	struct strbuf *b = arg;

	mutex_lock(&s->mu);
	strbuf_addf(b, "%016lx %-3d %-10u %08x %-8zu %-8d %-5d %-8d %-8lu %-8lu\n", 0ul, s->sk.protocol, s->portid, (uint32_t)s->groups, s->rq_bytes, 0,
		    s->rq_dumps != 0, 2, (unsigned long)s->drops, (unsigned long)diag_ino(&s->sk));
	mutex_unlock(&s->mu);
}

void net_show_netlink_file(struct net_ns *ns, struct strbuf *b)
{
	strbuf_adds(b, "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n");
	nl_each(ns, netlink_one, b);
}

/* --- counts --- */

struct counts {
	unsigned v4, v6, tw, estab;
};

static void count(const struct diag_sock *d, void *arg)
{
	struct counts *c = arg;

	if (d->state == 6 /* TIME_WAIT */ && d->protocol == IPPROTO_TCP)
		c->tw++;
	else
		(*(d->family == LINUX_AF_INET6 ? &c->v6 : &c->v4))++;
	if (d->state == 1 /* ESTABLISHED */ || d->state == 8 /* CLOSE_WAIT */)
		c->estab++;
}

static struct counts counts_of(struct net_ns *ns, int protocol)
{
	struct counts c = { 0 };

	diag_each_inet(ns, protocol, count, &c);
	return c;
}

unsigned net_curr_estab(struct net_ns *ns)
{
	return counts_of(ns, IPPROTO_TCP).estab;
}

static void count_unix(struct unix_sock *u, void *arg)
{
	(void)u;
	(*(unsigned *)arg)++;
}

static void count_netlink(struct netlink_sock *s, void *arg)
{
	(void)s;
	(*(unsigned *)arg)++;
}

void net_show_sockstat(struct net_ns *ns, struct strbuf *b)
{
	struct counts t = counts_of(ns, IPPROTO_TCP), u = counts_of(ns, IPPROTO_UDP), l = counts_of(ns, IPPROTO_UDPLITE), r = counts_of(ns, IPPROTO_RAW);
	unsigned others = 0;

	unix_each(ns, count_unix, &others);
	nl_each(ns, count_netlink, &others);
	strbuf_addf(b, "sockets: used %u\n", others + t.v4 + t.v6 + u.v4 + u.v6 + l.v4 + l.v6 + r.v4 + r.v6);
	strbuf_addf(b, "TCP: inuse %u orphan 0 tw %u alloc %u mem 0\n", t.v4, t.tw, t.v4 + t.v6);
	strbuf_addf(b, "UDP: inuse %u mem 0\nUDPLITE: inuse %u\nRAW: inuse %u\nFRAG: inuse 0 memory 0\n", u.v4, l.v4, r.v4);
}

void net_show_sockstat6(struct net_ns *ns, struct strbuf *b)
{
	strbuf_addf(b, "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse %u\nRAW6: inuse %u\nFRAG6: inuse 0 memory 0\n", counts_of(ns, IPPROTO_TCP).v6,
		    counts_of(ns, IPPROTO_UDP).v6, counts_of(ns, IPPROTO_UDPLITE).v6, counts_of(ns, IPPROTO_RAW).v6);
}

/* Sizes and abilities are Linux's; only the number of sockets is ours. */
void net_show_protocols(struct net_ns *ns, struct strbuf *b)
{
	static const struct {
		const char *name;
		unsigned size;
		const char *memory, *press;
		int maxhdr;
		const char *slab, *can;
	} rows[] = {
		{ "RAWv6", 1216, "    -1", "NI ", 0, "yes", "y  y  y  n  y  y  y  n  y  y  y  y  n  y  y  y  y  n  n" },
		{ "UDPv6", 1344, "     0", "NI ", 0, "yes", "y  y  y  n  y  y  y  n  y  y  y  y  n  n  n  y  y  y  n" },
		{ "TCPv6", 2432, "     0", "no ", 304, "yes", "y  y  y  y  y  y  y  y  y  y  y  y  y  n  y  y  y  y  y" },
		{ "UNIX-STREAM", 1088, "    -1", "NI ", 0, "yes", "y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n" },
		{ "UNIX", 1088, "    -1", "NI ", 0, "yes", "y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n" },
		{ "RAW", 1024, "    -1", "NI ", 0, "yes", "y  y  y  n  y  y  y  n  y  y  y  y  n  y  y  y  y  n  n" },
		{ "UDP", 1152, "     0", "NI ", 0, "yes", "y  y  y  n  y  y  y  n  y  y  y  y  n  n  n  y  y  y  n" },
		{ "TCP", 2240, "     0", "no ", 304, "yes", "y  y  y  y  y  y  y  y  y  y  y  y  y  n  y  y  y  y  y" },
		{ "NETLINK", 1088, "    -1", "NI ", 0, "no ", "n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n" },
	};
	struct counts t = counts_of(ns, IPPROTO_TCP), u = counts_of(ns, IPPROTO_UDP), r = counts_of(ns, IPPROTO_RAW);
	unsigned un = 0, nl = 0;

	unix_each(ns, count_unix, &un);
	nl_each(ns, count_netlink, &nl);
	strbuf_adds(b, "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re sp bi br ha uh gp em\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const unsigned n[] = { r.v6, u.v6, t.v6, 0, un, r.v4, u.v4, t.v4, nl };

		strbuf_addf(b, "%-9s %4u %6u  %s   %s  %6d   %s  kernel      %s\n", rows[i].name, rows[i].size, n[i], rows[i].memory, rows[i].press,
			    rows[i].maxhdr, rows[i].slab, rows[i].can);
	}
}

/* --- host sockets --- */

struct lines {
	struct strbuf *b;
	bool v6;
	int nr;
};

static void addr_text(struct strbuf *b, const uint8_t ip[16], uint16_t port, bool v6)
{
	for (int i = v6 ? 0 : 12; i < 16; i += 4) {
		uint32_t w;

		memcpy(&w, ip + i, sizeof(w));
		strbuf_addf(b, "%08X", w);
	}
	strbuf_addf(b, ":%04X ", port);
}

static void host_line(const struct diag_sock *d, void *arg)
{
	struct lines *l = arg;
	bool tcp = d->type == LINUX_SOCK_STREAM;

	if (!d->sk || d->sk->ops != &host_sock_ops || (d->family == LINUX_AF_INET6) != l->v6)
		return;
	strbuf_addf(l->b, tcp ? "%4d: " : "%5d: ", l->nr++);
	addr_text(l->b, d->laddr, d->lport, l->v6);
	addr_text(l->b, d->raddr, d->rport, l->v6);
	strbuf_addf(l->b, "%02X %08X:%08X 00:00000000 00000000 %5u %8d %lu ", d->state, d->state == 10 /* LISTEN */ ? 0 : d->wqueue, d->rqueue, d->uid, 0, (unsigned long)d->ino);
	strbuf_adds(l->b, tcp ? "1 0000000000000000 100 0 0 10 0\n" : "2 0000000000000000 0\n");
}

void net_show_host(struct net_ns *ns, bool v6, int protocol, struct strbuf *b)
{
	struct lines l = { b, v6, 0 };

	diag_each_inet(ns, protocol, host_line, &l);
}
