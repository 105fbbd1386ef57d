/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/pid/net: the table of its files, and those of Internet sockets, whose lines the stack prints (weak functions: a unit test may lack it).
 * Interfaces: net_cfg.c; other sockets: net_sock.c; counters: net_stat.c. Checkpoint: stateless. Linux: fs/proc/proc_net.c and the protocols'
 * own files.
 */
#include <netinet/in.h>

#include "sentry/fs/proc/net_internal.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/net/netns.h"

/* Each appends its lines for the sockets of @ns. */
void net_show_tcp(struct net_ns *ns, bool v6, struct strbuf *b) __attribute__((weak));
void net_show_udp(struct net_ns *ns, bool v6, struct strbuf *b) __attribute__((weak));
void net_show_udplite(struct net_ns *ns, bool v6, struct strbuf *b) __attribute__((weak));
void net_show_raw(struct net_ns *ns, bool v6, struct strbuf *b) __attribute__((weak));
void net_show_ping(struct net_ns *ns, bool v6, struct strbuf *b) __attribute__((weak));
void net_show_packet(struct net_ns *ns, struct strbuf *b) __attribute__((weak));

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

static int by_family(struct pctx *c, struct strbuf *b, const char *header, bool v6, int protocol, void (*show)(struct net_ns *, bool, struct strbuf *))
{
	struct net_ns *ns = ns_get(c);

	strbuf_adds(b, header);
	if (ns && ns->host)
		net_show_host(ns, v6, protocol, b);
	else if (ns && show)
		show(ns, v6, b);
	net_ns_put(ns);
	return 0;
}

#define TCP4 "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n"
#define TCP6                                                                                                                     \
	"  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt" \
	"   uid  timeout inode\n"
#define UDP4 "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n"
#define RAW4 "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
#define UDP6                                                                                                                     \
	"  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt" \
	"   uid  timeout inode ref pointer drops\n"

/* Files whose content is one function of the namespace. */
#define SHOW_NS(name, fn)                                                                          \
	static int show_##name(struct pctx *c, struct strbuf *b)                                   \
	{                                                                                          \
		return simple(c, b, "", fn);                                                       \
	}
SHOW_NS(arp, net_show_arp)
SHOW_NS(dev, net_show_dev)
SHOW_NS(fib_trie, net_show_fib_trie)
SHOW_NS(if_inet6, net_show_if_inet6)
SHOW_NS(igmp, net_show_igmp)
SHOW_NS(igmp6, net_show_igmp6)
SHOW_NS(ipv6_route, net_show_ipv6_route)
SHOW_NS(netlink, net_show_netlink_file)
SHOW_NS(netstat, net_show_netstat)
SHOW_NS(protocols, net_show_protocols)
SHOW_NS(route, net_show_route)
SHOW_NS(snmp, net_show_snmp)
SHOW_NS(snmp6, net_show_snmp6)
SHOW_NS(sockstat, net_show_sockstat)
SHOW_NS(sockstat6, net_show_sockstat6)
SHOW_NS(unix, net_show_unix_file)

/* Tables of Internet sockets: one file per family. */
#define SHOW_SOCKS(name, head4, head6, protocol, fn)                                               \
	static int show_##name(struct pctx *c, struct strbuf *b)                                   \
	{                                                                                          \
		return by_family(c, b, head4, false, protocol, fn);                                \
	}                                                                                          \
	static int show_##name##6(struct pctx *c, struct strbuf *b)                                \
	{                                                                                          \
		return by_family(c, b, head6, true, protocol, fn);                                 \
	}
SHOW_SOCKS(tcp, TCP4, TCP6, IPPROTO_TCP, net_show_tcp)
SHOW_SOCKS(udp, UDP4, UDP6, IPPROTO_UDP, net_show_udp)
SHOW_SOCKS(udplite, UDP4, UDP6, IPPROTO_UDPLITE, net_show_udplite)
SHOW_SOCKS(raw, RAW4, UDP6, IPPROTO_RAW, net_show_raw)
SHOW_SOCKS(icmp, UDP4, UDP6, IPPROTO_ICMP, net_show_ping)

static int show_packet(struct pctx *c, struct strbuf *b)
{
	return simple(c, b, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n", net_show_packet);
}

/* What is the same for every namespace. */
static int show_const(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, c->node->data);
	return 0;
}

#define NET(nm, fn)    PN_FILE(nm, 0444, fn, .flags = PN_PROC)
#define TEXT(nm, text) PN_FILE(nm, 0444, show_const, .flags = PN_PROC, .data = (text))
const struct pnode proc_net_children[] = {
	TEXT("anycast6", ""),
	NET("arp", show_arp),
	NET("dev", show_dev),
	TEXT("dev_mcast", ""),
	NET("fib_trie", show_fib_trie),
	NET("icmp", show_icmp),
	NET("icmp6", show_icmp6),
	NET("if_inet6", show_if_inet6),
	NET("igmp", show_igmp),
	NET("igmp6", show_igmp6),
	TEXT("ip6_flowlabel", "Label S Owner  Users  Linger Expires  Dst                              Opt\n"),
	NET("ipv6_route", show_ipv6_route),
	TEXT("mcfilter", "Idx Device        MCA        SRC    INC    EXC\n"),
	TEXT("mcfilter6", "Idx Device                Multicast Address                   Source Address    INC    EXC\n"),
	NET("netlink", show_netlink),
	NET("netstat", show_netstat),
	NET("packet", show_packet),
	NET("protocols", show_protocols),
	TEXT("psched", "000003e8 00000040 000f4240 3b9aca00\n"),
	TEXT("ptype", "Type Device      Function\n0800          ip_rcv\n0806          arp_rcv\n86dd          ipv6_rcv\n"),
	NET("raw", show_raw),
	NET("raw6", show_raw6),
	NET("route", show_route),
	TEXT("rt6_stats", "0000 0000 0000 0000 0000 0000 0000\n"),
	TEXT("rt_cache", "Iface\tDestination\tGateway \tFlags\t\tRefCnt\tUse\tMetric\tSource\t\tMTU\tWindow\tIRTT\tTOS\tHHRef\tHHUptod\tSpecDst"
			 "                          \n"),
	NET("snmp", show_snmp),
	NET("snmp6", show_snmp6),
	NET("sockstat", show_sockstat),
	NET("sockstat6", show_sockstat6),
	NET("tcp", show_tcp),
	NET("tcp6", show_tcp6),
	NET("udp", show_udp),
	NET("udp6", show_udp6),
	NET("udplite", show_udplite),
	NET("udplite6", show_udplite6),
	NET("unix", show_unix),
	{ 0 },
};
