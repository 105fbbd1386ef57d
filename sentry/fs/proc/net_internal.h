/* SPDX-License-Identifier: Apache-2.0 */
/* What net.c, net_cfg.c, net_sock.c and net_stat.c share. Each function appends a whole file of /proc/net about @ns, head included. */
#ifndef SENTRY_FS_PROC_NET_INTERNAL_H
#define SENTRY_FS_PROC_NET_INTERNAL_H

#include "base/strbuf.h"

struct net_ns;

/* net_cfg.c */
void net_show_dev(struct net_ns *ns, struct strbuf *b);
void net_show_route(struct net_ns *ns, struct strbuf *b);
void net_show_ipv6_route(struct net_ns *ns, struct strbuf *b);
void net_show_if_inet6(struct net_ns *ns, struct strbuf *b);
void net_show_arp(struct net_ns *ns, struct strbuf *b);
void net_show_fib_trie(struct net_ns *ns, struct strbuf *b);
void net_show_igmp(struct net_ns *ns, struct strbuf *b);
void net_show_igmp6(struct net_ns *ns, struct strbuf *b);

/* net_sock.c */
void net_show_unix_file(struct net_ns *ns, struct strbuf *b);
void net_show_netlink_file(struct net_ns *ns, struct strbuf *b);
void net_show_protocols(struct net_ns *ns, struct strbuf *b);
void net_show_sockstat(struct net_ns *ns, struct strbuf *b);
void net_show_sockstat6(struct net_ns *ns, struct strbuf *b);
/* TCP connections in states ESTABLISHED and CLOSE_WAIT, as SNMP counts them. */
unsigned net_curr_estab(struct net_ns *ns);
/* Lines of the sandbox's host sockets (--network=host); @protocol: IPPROTO_*, RAW: all raw ones. */
void net_show_host(struct net_ns *ns, bool v6, int protocol, struct strbuf *b);

/* net_stat.c: counters of packets, all 0 here */
void net_show_snmp(struct net_ns *ns, struct strbuf *b);
void net_show_snmp6(struct net_ns *ns, struct strbuf *b);
void net_show_netstat(struct net_ns *ns, struct strbuf *b);

#endif
