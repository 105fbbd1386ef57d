/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/pid/net. Tables of sockets are printed by the network stack where this build has one (weak functions); headers are here, so that
 * tools find the form they expect. Checkpoint: stateless. Linux: fs/proc/proc_net.c and the protocols' own files.
 */
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/net/netns.h"

/* Each appends its lines for the sockets and devices of @ns. */
void net_show_unix(struct net_ns *ns, struct strbuf *b) __attribute__((weak));
void net_show_tcp(struct net_ns *ns, bool v6, struct strbuf *b) __attribute__((weak));
void net_show_udp(struct net_ns *ns, bool v6, struct strbuf *b) __attribute__((weak));
void net_show_raw(struct net_ns *ns, bool v6, struct strbuf *b) __attribute__((weak));
void net_show_netlink(struct net_ns *ns, struct strbuf *b) __attribute__((weak));
void net_show_packet(struct net_ns *ns, struct strbuf *b) __attribute__((weak));
void net_show_dev(struct net_ns *ns, struct strbuf *b) __attribute__((weak));
void net_show_route(struct net_ns *ns, struct strbuf *b) __attribute__((weak));
void net_show_if_inet6(struct net_ns *ns, struct strbuf *b) __attribute__((weak));
/* Sockets in use by family, for sockstat. */
void net_count_sockets(struct net_ns *ns, unsigned *total, unsigned *tcp, unsigned *udp, unsigned *raw) __attribute__((weak));

static struct net_ns *ns_get(struct pctx *c)
{
	struct nsproxy *n = task_ns_get(c->target);
	struct net_ns *ns = n && n->net ? net_ns_get(n->net) : NULL;

	if (n)
		nsproxy_put(n);
	return ns;
}

static int simple(struct pctx *c, struct strbuf *b, const char *header, void (*show)(struct net_ns *, struct strbuf *))
{
	struct net_ns *ns = ns_get(c);

	strbuf_adds(b, header);
	if (ns && show)
		show(ns, b);
	net_ns_put(ns);
	return 0;
}

static int by_family(struct pctx *c, struct strbuf *b, const char *header, bool v6, void (*show)(struct net_ns *, bool, struct strbuf *))
{
	struct net_ns *ns = ns_get(c);

	strbuf_adds(b, header);
	if (ns && show)
		show(ns, v6, b);
	net_ns_put(ns);
	return 0;
}

static int show_unix(struct pctx *c, struct strbuf *b)
{
	return simple(c, b, "Num       RefCount Protocol Flags    Type St Inode Path\n", net_show_unix);
}

#define TCP4 "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n"
#define TCP6                                                                                                                     \
	"  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt" \
	"   uid  timeout inode\n"
#define UDP4 "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n"
#define UDP6                                                                                                                     \
	"  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt" \
	"   uid  timeout inode ref pointer drops\n"

static int show_tcp(struct pctx *c, struct strbuf *b)
{
	return by_family(c, b, TCP4, false, net_show_tcp);
}

static int show_tcp6(struct pctx *c, struct strbuf *b)
{
	return by_family(c, b, TCP6, true, net_show_tcp);
}

static int show_udp(struct pctx *c, struct strbuf *b)
{
	return by_family(c, b, UDP4, false, net_show_udp);
}

static int show_udp6(struct pctx *c, struct strbuf *b)
{
	return by_family(c, b, UDP6, true, net_show_udp);
}

static int show_raw(struct pctx *c, struct strbuf *b)
{
	return by_family(c, b, UDP4, false, net_show_raw);
}

static int show_raw6(struct pctx *c, struct strbuf *b)
{
	return by_family(c, b, UDP6, true, net_show_raw);
}

static int show_netlink(struct pctx *c, struct strbuf *b)
{
	return simple(c, b, "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n", net_show_netlink);
}

static int show_packet(struct pctx *c, struct strbuf *b)
{
	return simple(c, b, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n", net_show_packet);
}

/* Until there are counters, the one interface every namespace has. */
static void lo_dev(struct net_ns *ns, struct strbuf *b)
{
	strbuf_addf(b, "%6s: %7d %7d %4d %4d %4d %5d %10d %9d %8d %7d %4d %4d %4d %5d %7d %10d\n", "lo", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

static int show_dev(struct pctx *c, struct strbuf *b)
{
	return simple(c, b,
		      "Inter-|   Receive                                                |  Transmit\n"
		      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n",
		      net_show_dev ? net_show_dev : lo_dev);
}

static int show_route(struct pctx *c, struct strbuf *b)
{
	return simple(c, b, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       \n",
		      net_show_route);
}

static void lo_inet6(struct net_ns *ns, struct strbuf *b)
{
	strbuf_addf(b, "00000000000000000000000000000001 01 80 10 80 %8s\n", "lo");
}

static int show_if_inet6(struct pctx *c, struct strbuf *b)
{
	return simple(c, b, "", net_show_if_inet6 ? net_show_if_inet6 : lo_inet6);
}

static int show_ipv6_route(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 "
		       "80200001 %8s\n", "lo");
	return 0;
}

static int show_arp(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "IP address       HW type     Flags       HW address            Mask     Device\n");
	return 0;
}

static int show_sockstat(struct pctx *c, struct strbuf *b)
{
	unsigned total = 0, tcp = 0, udp = 0, raw = 0;
	struct net_ns *ns = ns_get(c);

	if (ns && net_count_sockets)
		net_count_sockets(ns, &total, &tcp, &udp, &raw);
	net_ns_put(ns);
	strbuf_addf(b, "sockets: used %u\nTCP: inuse %u orphan 0 tw 0 alloc %u mem 0\nUDP: inuse %u mem 0\nUDPLITE: inuse 0\nRAW: inuse %u\n"
		       "FRAG: inuse 0 memory 0\n", total, tcp, tcp, udp, raw);
	return 0;
}

static int show_sockstat6(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "TCP6: inuse 0\nUDP6: inuse 0\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n");
	return 0;
}

static int show_protocols(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re sp bi br ha uh gp em\n");
	return 0;
}

static int show_ptype(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "Type Device      Function\n0800          ip_rcv\n86dd          ipv6_rcv\n");
	return 0;
}

static int show_snmp(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests "
		       "OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates OutTransmits\n"
		       "Ip: 2 64 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
		       "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs "
		       "InErrs OutRsts InCsumErrors\nTcp: 1 200 120000 -1 0 0 0 0 0 0 0 0 0 0 0\n"
		       "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n"
		       "Udp: 0 0 0 0 0 0 0 0 0\n");
	return 0;
}

#define NET(nm, fn) PN_FILE(nm, 0444, fn, .flags = PN_PROC)
const struct pnode proc_net_children[] = {
	NET("arp", show_arp),
	NET("dev", show_dev),
	NET("if_inet6", show_if_inet6),
	NET("ipv6_route", show_ipv6_route),
	NET("netlink", show_netlink),
	NET("packet", show_packet),
	NET("protocols", show_protocols),
	NET("ptype", show_ptype),
	NET("raw", show_raw),
	NET("raw6", show_raw6),
	NET("route", show_route),
	NET("snmp", show_snmp),
	NET("sockstat", show_sockstat),
	NET("sockstat6", show_sockstat6),
	NET("tcp", show_tcp),
	NET("tcp6", show_tcp6),
	NET("udp", show_udp),
	NET("udp6", show_udp6),
	NET("unix", show_unix),
	{ 0 },
};
