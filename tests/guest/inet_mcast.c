// SPDX-License-Identifier: Apache-2.0
/* Multicast and broadcast on lo: memberships, source filters, who receives; over checkpoints. */
#include "guest.h"

#include <netinet/in.h>

#define SA(a) (struct sockaddr *)&(a), sizeof(a)
#define GROUP 0xef010203u /* 239.1.2.3 */

static int port;

static int receiver(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t l = sizeof(a);
	int one = 1, s = OK(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));

	OK(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	OK(bind(s, SA(a)));
	OK(getsockname(s, (struct sockaddr *)&a, &l));
	port = ntohs(a.sin_port);
	return s;
}

static struct ip_mreqn mreq(uint32_t group)
{
	return (struct ip_mreqn){{htonl(group)}, {htonl(INADDR_LOOPBACK)}, 0};
}

static bool got(int s)
{
	char b[16];
	ssize_t n = recv(s, b, sizeof(b), 0);

	CHECK(n >= 0 || errno == EAGAIN);
	return n >= 0;
}

void guest_test(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(GROUP)}};
	struct in_addr lo = {htonl(INADDR_LOOPBACK)};
	int s, a, b, off = 0, one = 1;

	guest_lo_up();
	a = receiver();
	b = receiver();
	to.sin_port = htons(port);
	s = OK(socket(AF_INET, SOCK_DGRAM, 0));
	SUBTEST("no route without an interface");
	CHECK_ERRNO(sendto(s, "x", 1, 0, SA(to)), ENETUNREACH);
	struct ip_mreqn m = {{htonl(GROUP)}, {0}, 0};
	CHECK_ERRNO(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), ENODEV);
	OK(setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof(lo)));
	SUBTEST("nobody has joined");
	CHECK_EQ(sendto(s, "x", 1, 0, SA(to)), 1);
	CHECK(!got(a));
	SUBTEST("one has joined: both receive, unless IP_MULTICAST_ALL is off");
	m = mreq(GROUP);
	OK(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)));
	CHECK_ERRNO(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), EADDRINUSE);
	CHECK_EQ(sendto(s, "x", 1, 0, SA(to)), 1);
	CHECK(got(a));
	CHECK(got(b));
	OK(setsockopt(b, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof(off)));
	CHECK_EQ(sendto(s, "x", 1, 0, SA(to)), 1);
	guest_checkpoint();
	CHECK(got(a));
	CHECK(!got(b));
	CHECK_EQ(sendto(s, "x", 1, 0, SA(to)), 1);
	CHECK(got(a));
	CHECK(!got(b));
	SUBTEST("source filters");
	struct ip_mreq_source ms = {.imr_multiaddr = {htonl(GROUP)}, .imr_interface = lo, .imr_sourceaddr = {htonl(0x7f000009)}};
	OK(setsockopt(b, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &ms, sizeof(ms)));
	ms.imr_sourceaddr = lo;
	OK(setsockopt(a, IPPROTO_IP, IP_BLOCK_SOURCE, &ms, sizeof(ms)));
	CHECK_ERRNO(setsockopt(a, IPPROTO_IP, IP_BLOCK_SOURCE, &ms, sizeof(ms)), EADDRNOTAVAIL);
	guest_checkpoint();
	CHECK_EQ(sendto(s, "x", 1, 0, SA(to)), 1);
	CHECK(!got(a));
	CHECK(!got(b));
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f000009)}};
	int t = OK(socket(AF_INET, SOCK_DGRAM, 0));
	OK(bind(t, SA(from)));
	CHECK_EQ(sendto(t, "y", 1, 0, SA(to)), 1);
	CHECK(got(a));
	CHECK(got(b));
	OK(setsockopt(a, IPPROTO_IP, IP_UNBLOCK_SOURCE, &ms, sizeof(ms)));
	CHECK_ERRNO(setsockopt(a, IPPROTO_IP, IP_UNBLOCK_SOURCE, &ms, sizeof(ms)), EADDRNOTAVAIL);
	SUBTEST("leaving");
	OK(setsockopt(a, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof(m)));
	CHECK_ERRNO(setsockopt(a, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof(m)), EADDRNOTAVAIL);
	ms.imr_sourceaddr.s_addr = htonl(0x7f000009);
	OK(setsockopt(b, IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, &ms, sizeof(ms)));
	CHECK_EQ(sendto(s, "x", 1, 0, SA(to)), 1);
	CHECK(!got(a));
	SUBTEST("protocol independent options");
	struct group_req g = {.gr_interface = 1};
	memcpy(&g.gr_group, &to, sizeof(to));
	OK(setsockopt(a, IPPROTO_IP, MCAST_JOIN_GROUP, &g, sizeof(g)));
	close(b);
	guest_checkpoint();
	CHECK_EQ(sendto(s, "x", 1, 0, SA(to)), 1);
	CHECK(got(a));
	OK(setsockopt(a, IPPROTO_IP, MCAST_LEAVE_GROUP, &g, sizeof(g)));
	SUBTEST("closing leaves");
	OK(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)));
	close(a);
	a = receiver();
	CHECK_EQ(sendto(s, "x", 1, 0, SA(to)), 1);
	CHECK(!got(a));
	SUBTEST("errors");
	m = mreq(INADDR_LOOPBACK);
	CHECK_ERRNO(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), EINVAL);
	CHECK_ERRNO(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, 4), EINVAL);
	m = mreq(GROUP);
	m.imr_ifindex = 99;
	CHECK_ERRNO(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), ENODEV);
	int c = OK(socket(AF_INET, SOCK_STREAM, 0));
	m = mreq(GROUP);
	CHECK_ERRNO(setsockopt(c, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)), EPROTO);
	CHECK_ERRNO(setsockopt(c, IPPROTO_IP, IP_MULTICAST_TTL, &one, sizeof(one)), EINVAL);
	to.sin_port = htons(1);
	CHECK_ERRNO(connect(c, SA(to)), ENETUNREACH);
	SUBTEST("broadcast");
	to.sin_port = htons(port);
	to.sin_addr.s_addr = htonl(0x7fffffff);
	CHECK_ERRNO(sendto(s, "x", 1, 0, SA(to)), EACCES);
	OK(setsockopt(s, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)));
	b = receiver();
	CHECK_EQ(sendto(s, "x", 1, 0, SA(to)), 1);
	guest_checkpoint();
	CHECK(got(a));
	CHECK(got(b));
}
