// SPDX-License-Identifier: Apache-2.0
/* Internet sockets follow the interfaces and routes of their network namespace: lo down and up, added addresses, routes that lead nowhere. */
#include "nl.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct sockaddr_in at(const char *ip, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	CHECK_EQ(inet_pton(AF_INET, ip, &a.sin_addr), 1);
	return a;
}

static int try_bind(const char *ip)
{
	struct sockaddr_in a = at(ip, 0);
	int s = OK(socket(AF_INET, SOCK_DGRAM, 0)), r = bind(s, (struct sockaddr *)&a, sizeof(a)) ? errno : 0;

	close(s);
	return r;
}

static int try_connect(int type, const char *ip, int port, struct in_addr *from)
{
	struct sockaddr_in a = at(ip, port), me;
	int s = OK(socket(AF_INET, type | SOCK_NONBLOCK, 0)), r = connect(s, (struct sockaddr *)&a, sizeof(a)) ? errno : 0;
	socklen_t len = sizeof(me);

	OK(getsockname(s, (struct sockaddr *)&me, &len));
	if (from)
		*from = me.sin_addr;
	close(s);
	return r;
}

static int address(int s, int type, const char *ip, int len)
{
	struct ifaddrmsg i = { .ifa_family = AF_INET, .ifa_prefixlen = (unsigned char)len, .ifa_index = 1 };
	struct in_addr a;
	struct nl_req r;

	CHECK_EQ(inet_pton(AF_INET, ip, &a), 1);
	nl_begin(&r, type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0, &i, sizeof(i));
	nl_attr(&r, IFA_LOCAL, &a, sizeof(a));
	return nl_ack(s, &r);
}

static void route(int s, const char *dst, int len, int rtype)
{
	struct rtmsg m = { .rtm_family = AF_INET, .rtm_dst_len = (unsigned char)len, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
			   .rtm_scope = RT_SCOPE_LINK, .rtm_type = (unsigned char)rtype };
	struct in_addr a;
	struct nl_req r;
	int oif = 1;

	CHECK_EQ(inet_pton(AF_INET, dst, &a), 1);
	nl_begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &m, sizeof(m));
	nl_attr(&r, RTA_DST, &a, sizeof(a));
	if (rtype == RTN_UNICAST)
		nl_attr(&r, RTA_OIF, &oif, sizeof(oif));
	CHECK_EQ(nl_ack(s, &r), 0);
}

/* A connection over an address of our own. */
static void talk(const char *ip)
{
	struct sockaddr_in a = at(ip, 0), me;
	int l = OK(socket(AF_INET, SOCK_STREAM, 0)), s = OK(socket(AF_INET, SOCK_STREAM, 0)), c;
	socklen_t len = sizeof(a);
	char b[4];

	OK(bind(l, (struct sockaddr *)&a, sizeof(a)));
	OK(listen(l, 1));
	OK(getsockname(l, (struct sockaddr *)&a, &len));
	OK(connect(s, (struct sockaddr *)&a, len));
	OK(getsockname(s, (struct sockaddr *)&me, &len));
	CHECK_EQ(me.sin_addr.s_addr, a.sin_addr.s_addr);
	c = OK(accept(l, NULL, NULL));
	guest_checkpoint();
	CHECK_EQ(send(s, "abc", 3, 0), 3);
	CHECK_EQ(recv(c, b, sizeof(b), 0), 3);
	close(c);
	close(s);
	close(l);
}

void guest_test(void)
{
	struct in_addr from;
	int s;

	OK(unshare(CLONE_NEWNET));
	s = nl_open(NETLINK_ROUTE);
	SUBTEST("lo is down");
	CHECK_EQ(try_bind("0.0.0.0"), 0);
	CHECK_EQ(try_connect(SOCK_DGRAM, "127.0.0.1", 9, NULL), ENETUNREACH);
	CHECK_EQ(try_connect(SOCK_STREAM, "127.0.0.1", 9, NULL), ENETUNREACH);
	guest_checkpoint();
	CHECK_EQ(try_connect(SOCK_DGRAM, "127.0.0.1", 9, NULL), ENETUNREACH);

	SUBTEST("lo is up");
	guest_lo_up();
	CHECK_EQ(try_bind("127.0.0.1"), 0);
	CHECK_EQ(try_bind("127.9.9.9"), 0);
	CHECK_EQ(try_bind("192.0.2.1"), EADDRNOTAVAIL);
	CHECK_EQ(try_connect(SOCK_DGRAM, "127.5.5.5", 9, &from), 0);
	CHECK_EQ(ntohl(from.s_addr), INADDR_LOOPBACK);
	CHECK_EQ(try_connect(SOCK_DGRAM, "192.0.2.1", 9, NULL), ENETUNREACH);
	talk("127.0.0.1");

	SUBTEST("another address");
	CHECK_EQ(address(s, RTM_NEWADDR, "192.0.2.1", 32), 0);
	CHECK_EQ(try_bind("192.0.2.1"), 0);
	CHECK_EQ(try_connect(SOCK_DGRAM, "192.0.2.1", 9, &from), 0);
	CHECK_EQ(ntohl(from.s_addr), 0xc0000201);
	CHECK_EQ(try_connect(SOCK_STREAM, "192.0.2.1", 9, NULL), EINPROGRESS);
	talk("192.0.2.1");
	CHECK_EQ(address(s, RTM_DELADDR, "192.0.2.1", 32), 0);
	CHECK_EQ(try_bind("192.0.2.1"), EADDRNOTAVAIL);
	CHECK_EQ(try_connect(SOCK_DGRAM, "192.0.2.1", 9, NULL), ENETUNREACH);

	SUBTEST("routes");
	route(s, "198.51.100.0", 24, RTN_UNREACHABLE);
	route(s, "198.51.101.0", 24, RTN_PROHIBIT);
	route(s, "198.51.102.0", 24, RTN_BLACKHOLE);
	route(s, "198.51.103.0", 24, RTN_UNICAST);
	CHECK_EQ(try_connect(SOCK_DGRAM, "198.51.100.1", 9, NULL), EHOSTUNREACH);
	CHECK_EQ(try_connect(SOCK_STREAM, "198.51.100.1", 9, NULL), EHOSTUNREACH);
	CHECK_EQ(try_connect(SOCK_DGRAM, "198.51.101.1", 9, NULL), EACCES);
	CHECK_EQ(try_connect(SOCK_DGRAM, "198.51.102.1", 9, NULL), EINVAL);
	CHECK_EQ(try_connect(SOCK_DGRAM, "198.51.103.1", 9, NULL), 0);
	CHECK_EQ(try_connect(SOCK_STREAM, "198.51.103.1", 9, NULL), EINPROGRESS);
}
