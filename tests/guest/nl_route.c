// SPDX-License-Identifier: Apache-2.0
/* NETLINK_ROUTE in a fresh network namespace: lo from down to up, addresses, routes, rules, notifications, errors; over a checkpoint. */
#include "nl.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>

static int counted;

static void count(const struct nlmsghdr *h, void *arg)
{
	counted++;
}

static int nr_dump(int s, int type, int family, void (*fn)(const struct nlmsghdr *h, void *arg), void *arg)
{
	struct rtmsg m = { .rtm_family = (unsigned char)family }; /* the largest of the heads */
	struct nl_req r;

	counted = 0;
	nl_begin(&r, type, 0, &m, sizeof(m));
	CHECK_EQ(nl_dump(s, &r, fn ? fn : count, arg), 0);
	return counted;
}

struct link {
	unsigned flags, mtu;
	int found;
};

static void is_lo(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *i = NLMSG_DATA(h);
	const char *name = nl_find(h, sizeof(*i), IFLA_IFNAME);
	struct link *l = arg;

	counted++;
	CHECK_EQ(h->nlmsg_type, RTM_NEWLINK);
	if (!name || strcmp(name, "lo"))
		return;
	CHECK_EQ(i->ifi_index, 1);
	CHECK_EQ(i->ifi_type, 772);
	l->flags = i->ifi_flags;
	l->mtu = *(const unsigned *)nl_find(h, sizeof(*i), IFLA_MTU);
	l->found++;
}

static struct link lo(int s)
{
	struct ifinfomsg i = { 0 };
	struct link l = { 0 };
	struct nl_req r;

	nl_begin(&r, RTM_GETLINK, 0, &i, sizeof(i));
	CHECK_EQ(nl_dump(s, &r, is_lo, &l), 0);
	CHECK_EQ(l.found, 1);
	return l;
}

static int set_lo(int s, unsigned flags)
{
	struct ifinfomsg i = { .ifi_index = 1, .ifi_flags = flags, .ifi_change = IFF_UP };
	struct nl_req r;

	nl_begin(&r, RTM_NEWLINK, 0, &i, sizeof(i));
	return nl_ack(s, &r);
}

static int change_addr(int s, int type, int flags, const char *ip, int prefix)
{
	struct ifaddrmsg i = { .ifa_family = AF_INET, .ifa_prefixlen = (unsigned char)prefix, .ifa_index = 1 };
	struct in_addr a;
	struct nl_req r;

	CHECK_EQ(inet_pton(AF_INET, ip, &a), 1);
	nl_begin(&r, type, flags, &i, sizeof(i));
	nl_attr(&r, IFA_LOCAL, &a, sizeof(a));
	return nl_ack(s, &r);
}

/* Waits for a notification of @type and gives its first bytes behind the header. */
static void expect(int m, int type, void *body, size_t n)
{
	static char buf[NL_BUF];
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

	do
		CHECK(nl_recv(m, buf) >= NLMSG_LENGTH(n));
	while (h->nlmsg_type != type);
	memcpy(body, NLMSG_DATA(h), n);
}

static void links(int s, int m)
{
	struct ifinfomsg i;
	struct ifaddrmsg a;
	struct link l = lo(s);

	SUBTEST("lo is down, then up");
	CHECK_EQ(l.flags & (IFF_UP | IFF_RUNNING | IFF_LOOPBACK), IFF_LOOPBACK);
	CHECK_EQ(l.mtu, 65536);
	CHECK_EQ(nr_dump(s, RTM_GETADDR, AF_INET, NULL, NULL), 0);
	CHECK_EQ(set_lo(s, IFF_UP), 0);
	expect(m, RTM_NEWLINK, &i, sizeof(i));
	CHECK_EQ(i.ifi_index, 1);
	CHECK(i.ifi_flags & IFF_UP);
	expect(m, RTM_NEWADDR, &a, sizeof(a));
	CHECK_EQ(a.ifa_index, 1);
	CHECK_EQ(lo(s).flags & (IFF_UP | IFF_RUNNING), IFF_UP | IFF_RUNNING);
	CHECK_EQ(nr_dump(s, RTM_GETADDR, AF_INET, NULL, NULL), 1);
	CHECK_EQ(nr_dump(s, RTM_GETADDR, AF_INET6, NULL, NULL), 1);
	CHECK_EQ(nr_dump(s, RTM_GETADDR, AF_UNSPEC, NULL, NULL), 2);
}

static void find_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	const unsigned char *dst = nl_find(h, sizeof(*m), RTA_DST);
	struct in_addr want;

	CHECK_EQ(inet_pton(AF_INET, arg, &want), 1);
	if (m->rtm_family == AF_INET && dst && !memcmp(dst, &want, 4))
		counted++;
}

static void addresses(int s, int m)
{
	struct ifaddrmsg a;
	struct rtmsg rt;

	SUBTEST("addresses and their routes");
	CHECK_EQ(change_addr(s, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, "127.0.0.1", 8), EEXIST);
	CHECK_EQ(change_addr(s, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, "192.0.2.1", 24), 0);
	expect(m, RTM_NEWADDR, &a, sizeof(a));
	CHECK_EQ(a.ifa_prefixlen, 24);
	CHECK_EQ(nr_dump(s, RTM_GETADDR, AF_INET, NULL, NULL), 2);
	CHECK_EQ(nr_dump(s, RTM_GETROUTE, AF_INET, find_route, "192.0.2.1"), 1);
	CHECK_EQ(nr_dump(s, RTM_GETROUTE, AF_INET, find_route, "192.0.2.255"), 1);
	guest_checkpoint();
	CHECK_EQ(nr_dump(s, RTM_GETADDR, AF_INET, NULL, NULL), 2);
	CHECK_EQ(nr_dump(s, RTM_GETROUTE, AF_INET, find_route, "192.0.2.1"), 1);
	CHECK_EQ(change_addr(s, RTM_DELADDR, 0, "192.0.2.9", 24), EADDRNOTAVAIL);
	CHECK_EQ(change_addr(s, RTM_DELADDR, 0, "192.0.2.1", 24), 0);
	expect(m, RTM_DELADDR, &a, sizeof(a));
	CHECK_EQ(nr_dump(s, RTM_GETADDR, AF_INET, NULL, NULL), 1);
	CHECK_EQ(nr_dump(s, RTM_GETROUTE, AF_INET, find_route, "192.0.2.1"), 0);
	expect(m, RTM_DELROUTE, &rt, sizeof(rt));
	CHECK_EQ(rt.rtm_family, AF_INET);
}

static int route(int s, int type, int flags, const char *dst, int len, int rtype)
{
	struct rtmsg m = { .rtm_family = AF_INET, .rtm_dst_len = (unsigned char)len, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
			   .rtm_scope = RT_SCOPE_LINK, .rtm_type = (unsigned char)rtype };
	struct in_addr a;
	struct nl_req r;
	int oif = 1;

	if (type == RTM_DELROUTE)
		m.rtm_scope = RT_SCOPE_NOWHERE;
	CHECK_EQ(inet_pton(AF_INET, dst, &a), 1);
	nl_begin(&r, type, flags, &m, sizeof(m));
	nl_attr(&r, RTA_DST, &a, sizeof(a));
	if (rtype == RTN_UNICAST)
		nl_attr(&r, RTA_OIF, &oif, sizeof(oif));
	return nl_ack(s, &r);
}

/* RTM_GETROUTE for one destination: its type, or minus the error. */
static int route_to(int s, const char *dst)
{
	struct rtmsg m = { .rtm_family = AF_INET, .rtm_dst_len = 32 };
	static char buf[NL_BUF];
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
	struct in_addr a;
	struct nl_req r;

	CHECK_EQ(inet_pton(AF_INET, dst, &a), 1);
	nl_begin(&r, RTM_GETROUTE, 0, &m, sizeof(m));
	nl_attr(&r, RTA_DST, &a, sizeof(a));
	nl_send(s, &r);
	(void)nl_recv(s, buf);
	if (h->nlmsg_type == NLMSG_ERROR)
		return *(const int *)NLMSG_DATA(h);
	CHECK_EQ(*(const int *)nl_find(h, sizeof(m), RTA_OIF), 1);
	return ((const struct rtmsg *)NLMSG_DATA(h))->rtm_type;
}

static void routes(int s)
{
	SUBTEST("routes");
	CHECK_EQ(route_to(s, "127.1.2.3"), RTN_LOCAL);
	CHECK_EQ(route_to(s, "198.51.100.1"), -ENETUNREACH);
	CHECK_EQ(route(s, RTM_NEWROUTE, 0, "198.51.100.0", 24, RTN_UNICAST), ENOENT);
	CHECK_EQ(route(s, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "198.51.100.0", 24, RTN_UNICAST), 0);
	CHECK_EQ(route(s, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "198.51.100.0", 24, RTN_UNICAST), EEXIST);
	CHECK_EQ(route(s, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "198.51.100.7", 24, RTN_UNICAST), EINVAL);
	CHECK_EQ(route(s, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "198.51.100.128", 25, RTN_UNREACHABLE), 0);
	CHECK_EQ(route(s, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "198.51.100.192", 26, RTN_PROHIBIT), 0);
	CHECK_EQ(route(s, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "198.51.100.224", 27, RTN_BLACKHOLE), 0);
	CHECK_EQ(route_to(s, "198.51.100.1"), RTN_UNICAST);
	CHECK_EQ(route_to(s, "198.51.100.129"), -EHOSTUNREACH);
	CHECK_EQ(route_to(s, "198.51.100.193"), -EACCES);
	CHECK_EQ(route_to(s, "198.51.100.225"), -EINVAL);
	guest_checkpoint();
	CHECK_EQ(route_to(s, "198.51.100.193"), -EACCES);
	CHECK_EQ(route(s, RTM_DELROUTE, 0, "198.51.100.192", 26, RTN_PROHIBIT), 0);
	CHECK_EQ(route_to(s, "198.51.100.193"), -EHOSTUNREACH);
	CHECK_EQ(route(s, RTM_DELROUTE, 0, "203.0.113.0", 24, RTN_UNICAST), ESRCH);
}

static void rules(int s)
{
	struct fib_rule_hdr h = { .family = AF_INET, .action = FR_ACT_PROHIBIT, .dst_len = 32 };
	struct in_addr a = { htonl(0xcb007101) }; /* 203.0.113.1 */
	unsigned prio = 100;
	struct nl_req r;

	SUBTEST("rules");
	CHECK_EQ(nr_dump(s, RTM_GETRULE, AF_INET, NULL, NULL), 3);
	CHECK_EQ(nr_dump(s, RTM_GETRULE, AF_INET6, NULL, NULL), 2);
	nl_begin(&r, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &h, sizeof(h));
	nl_attr(&r, FRA_DST, &a, sizeof(a));
	nl_attr(&r, FRA_PRIORITY, &prio, sizeof(prio));
	CHECK_EQ(nl_ack(s, &r), 0);
	CHECK_EQ(nl_ack(s, &r), EEXIST);
	CHECK_EQ(route_to(s, "203.0.113.1"), -EACCES);
	CHECK_EQ(route_to(s, "203.0.113.2"), -ENETUNREACH);
	guest_checkpoint();
	CHECK_EQ(nr_dump(s, RTM_GETRULE, AF_INET, NULL, NULL), 4);
	nl_begin(&r, RTM_DELRULE, 0, &h, sizeof(h));
	nl_attr(&r, FRA_DST, &a, sizeof(a));
	CHECK_EQ(nl_ack(s, &r), 0);
	CHECK_EQ(nl_ack(s, &r), ENOENT);
}

static void errors(int s)
{
	static char buf[NL_BUF];
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
	struct ifinfomsg i = { .ifi_index = 99 };
	struct rtmsg m = { .rtm_family = AF_INET };
	unsigned table = 77;
	const char *text;
	struct nl_req r;

	SUBTEST("errors");
	nl_begin(&r, RTM_GETLINK, 0, &i, sizeof(i));
	CHECK_EQ(nl_ack(s, &r), ENODEV);
	i.ifi_index = 0;
	nl_begin(&r, RTM_GETLINK, 0, &i, sizeof(i));
	CHECK_EQ(nl_ack(s, &r), EINVAL);
	nl_begin(&r, RTM_GETLINK, 0, &i, 4); /* a head that is cut off */
	CHECK_EQ(nl_ack(s, &r), EINVAL);
	nl_begin(&r, RTM_DELLINK, 0, &(struct ifinfomsg){ .ifi_index = 1 }, sizeof(i));
	CHECK_EQ(nl_ack(s, &r), EOPNOTSUPP);
	nl_begin(&r, 1000, 0, &i, sizeof(i));
	CHECK_EQ(nl_ack(s, &r), EOPNOTSUPP);
	nl_opt(s, NETLINK_EXT_ACK, 1);
	nl_opt(s, NETLINK_GET_STRICT_CHK, 1);
	nl_begin(&r, RTM_GETROUTE, NLM_F_DUMP, &m, sizeof(m));
	nl_attr(&r, RTA_TABLE, &table, sizeof(table));
	nl_send(s, &r);
	(void)nl_recv(s, buf);
	CHECK_EQ(h->nlmsg_type, NLMSG_DONE);
	CHECK_EQ(*(const int *)NLMSG_DATA(h), -ENOENT);
	CHECK(h->nlmsg_flags & NLM_F_ACK_TLVS);
	text = nl_find(h, sizeof(int), NLMSGERR_ATTR_MSG);
	CHECK(text && !strcmp(text, "ipv4: FIB table does not exist"));
	i.ifi_flags = 5;
	nl_begin(&r, RTM_GETLINK, 0, &i, sizeof(i));
	CHECK_EQ(nl_dump(s, &r, count, NULL), EINVAL);
	nl_opt(s, NETLINK_GET_STRICT_CHK, 0);
	nl_begin(&r, RTM_GETLINK, 0, &i, sizeof(i));
	CHECK_EQ(nl_dump(s, &r, count, NULL), 0);
}

static void dummies(int s, int m)
{
	struct ifinfomsg i = { 0 }, got;
	char info[64] = { 0 };
	struct rtattr *kind = (struct rtattr *)info;
	struct nl_req r;
	int err;

	SUBTEST("dummy");
	kind->rta_type = IFLA_INFO_KIND;
	kind->rta_len = RTA_LENGTH(6);
	memcpy(RTA_DATA(kind), "dummy", 6);
	nl_begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &i, sizeof(i));
	nl_attr(&r, IFLA_IFNAME, "du0", 4);
	nl_attr(&r, IFLA_LINKINFO, info, kind->rta_len);
	err = nl_ack(s, &r);
	if (err == EOPNOTSUPP)
		return; /* a kernel without them */
	CHECK_EQ(err, 0);
	expect(m, RTM_NEWLINK, &got, sizeof(got));
	CHECK_EQ(got.ifi_flags & (IFF_UP | IFF_BROADCAST | IFF_NOARP), IFF_BROADCAST | IFF_NOARP);
	i.ifi_index = got.ifi_index;
	CHECK_EQ(nl_ack(s, &r), EEXIST);
	i.ifi_flags = i.ifi_change = IFF_UP;
	guest_checkpoint();
	nl_begin(&r, RTM_NEWLINK, 0, &i, sizeof(i));
	CHECK_EQ(nl_ack(s, &r), 0);
	nl_begin(&r, RTM_DELLINK, 0, &i, sizeof(i));
	CHECK_EQ(nl_ack(s, &r), 0);
	do
		expect(m, RTM_DELLINK, &got, sizeof(got));
	while (got.ifi_index != i.ifi_index);
}

void guest_test(void)
{
	int s, m;

	OK(unshare(CLONE_NEWNET));
	s = nl_open(NETLINK_ROUTE);
	m = nl_open(NETLINK_ROUTE);
	for (unsigned i = 0; i < 3; i++)
		nl_opt(m, NETLINK_ADD_MEMBERSHIP, (int[]){ RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE }[i]);
	links(s, m);
	addresses(s, m);
	routes(s);
	rules(s);
	errors(s);
	dummies(s, m);
	CHECK_EQ(set_lo(s, 0), 0);
	CHECK_EQ(route_to(s, "127.0.0.1"), RTN_LOCAL); /* the address is still there */
	CHECK_EQ(route_to(s, "198.51.100.1"), -ENETUNREACH);
	CHECK_EQ(nr_dump(s, RTM_GETADDR, AF_UNSPEC, NULL, NULL), 1);
}
