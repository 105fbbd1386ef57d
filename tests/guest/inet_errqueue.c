// SPDX-License-Identifier: Apache-2.0
/* UDP: port unreachable with and without the error queue, ancillary data, corking, segmentation, peeking; TCP and UDP MSG_ZEROCOPY; over checkpoints. */
#include "guest.h"

#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#define SA(a) (struct sockaddr *)&(a), sizeof(a)
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif
#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

static struct sockaddr_in lo(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

static int port_of(int s)
{
	struct sockaddr_in a;
	socklen_t l = sizeof(a);

	OK(getsockname(s, (struct sockaddr *)&a, &l));
	return ntohs(a.sin_port);
}

static void set(int s, int level, int opt, int v)
{
	OK(setsockopt(s, level, opt, &v, sizeof(v)));
}

static int events(int s)
{
	struct pollfd p = {s, POLLIN, 0};

	OK(poll(&p, 1, 0));
	return p.revents;
}

static char data[70000];
static struct sockaddr_storage from;
static struct msghdr mh;
static union {
	char b[512];
	struct cmsghdr align;
} ctl;

static ssize_t rx(int s, size_t n, int flags)
{
	static struct iovec iov;

	iov = (struct iovec){data, n};
	mh = (struct msghdr){&from, sizeof(from), &iov, 1, ctl.b, sizeof(ctl.b), 0};
	return recvmsg(s, &mh, flags);
}

/* The control message's data, or NULL. */
static void *cm(int level, int type)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c))
		if (c->cmsg_level == level && c->cmsg_type == type)
			return CMSG_DATA(c);
	return NULL;
}

void guest_test(void)
{
	struct sockaddr_in a = lo(0), dead;
	int s, r, port;

	guest_lo_up();
	r = OK(socket(AF_INET, SOCK_DGRAM, 0));
	OK(bind(r, SA(a)));
	dead = lo(port_of(r)); /* nobody there after the close */
	close(r);
	SUBTEST("unconnected: nothing, connected: ECONNREFUSED");
	s = OK(socket(AF_INET, SOCK_DGRAM, 0));
	CHECK_EQ(sendto(s, "x", 1, 0, SA(dead)), 1);
	CHECK_EQ(events(s), 0);
	OK(connect(s, SA(dead)));
	CHECK_EQ(send(s, "x", 1, 0), 1);
	CHECK_EQ(events(s), POLLERR);
	guest_checkpoint();
	CHECK_ERRNO(send(s, "x", 1, 0), ECONNREFUSED);
	close(s);
	SUBTEST("IP_RECVERR");
	s = OK(socket(AF_INET, SOCK_DGRAM, 0));
	set(s, IPPROTO_IP, IP_RECVERR, 1);
	CHECK_ERRNO(rx(s, 10, MSG_ERRQUEUE), EAGAIN);
	CHECK_EQ(sendto(s, "lost", 4, 0, SA(dead)), 4);
	CHECK_EQ(events(s), POLLERR);
	guest_checkpoint();
	CHECK_EQ(rx(s, 100, MSG_ERRQUEUE), 4);
	CHECK(memcmp(data, "lost", 4) == 0);
	CHECK_EQ(mh.msg_flags & (MSG_ERRQUEUE | MSG_TRUNC), MSG_ERRQUEUE);
	CHECK_EQ(((struct sockaddr_in *)&from)->sin_port, dead.sin_port);
	struct sock_extended_err *ee = cm(IPPROTO_IP, IP_RECVERR);
	CHECK(ee);
	CHECK_EQ(ee->ee_errno, ECONNREFUSED);
	CHECK_EQ(ee->ee_origin, SO_EE_ORIGIN_ICMP);
	CHECK_EQ(ee->ee_type, 3);
	CHECK_EQ(ee->ee_code, 3);
	CHECK_EQ(((struct sockaddr_in *)SO_EE_OFFENDER(ee))->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	CHECK_EQ(events(s), 0);
	close(s);
	SUBTEST("IPV6_RECVERR");
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = dead.sin_port, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	s = OK(socket(AF_INET6, SOCK_DGRAM, 0));
	set(s, IPPROTO_IPV6, IPV6_RECVERR, 1);
	CHECK_EQ(sendto(s, "six", 3, 0, SA(a6)), 3);
	guest_checkpoint();
	CHECK_EQ(rx(s, 2, MSG_ERRQUEUE), 2);
	CHECK(mh.msg_flags & MSG_TRUNC);
	ee = cm(IPPROTO_IPV6, IPV6_RECVERR);
	CHECK(ee);
	CHECK_EQ(ee->ee_errno, ECONNREFUSED);
	CHECK_EQ(ee->ee_origin, SO_EE_ORIGIN_ICMP6);
	CHECK_EQ(ee->ee_type, 1);
	CHECK_EQ(ee->ee_code, 4);
	close(s);
	SUBTEST("ancillary data of IPv4");
	r = OK(socket(AF_INET, SOCK_DGRAM, 0));
	OK(bind(r, SA(a)));
	port = port_of(r);
	set(r, IPPROTO_IP, IP_PKTINFO, 1);
	set(r, IPPROTO_IP, IP_RECVTTL, 1);
	set(r, IPPROTO_IP, IP_RECVTOS, 1);
	set(r, IPPROTO_IP, IP_RECVORIGDSTADDR, 1);
	set(r, SOL_SOCKET, SO_TIMESTAMP, 1);
	s = OK(socket(AF_INET, SOCK_DGRAM, 0));
	set(s, IPPROTO_IP, IP_TTL, 17);
	set(s, IPPROTO_IP, IP_TOS, 0x10);
	struct sockaddr_in to = lo(port);
	CHECK_EQ(sendto(s, "anc", 3, 0, SA(to)), 3);
	guest_checkpoint();
	CHECK_EQ(rx(r, 100, 0), 3);
	CHECK(cm(SOL_SOCKET, SO_TIMESTAMP));
	struct in_pktinfo *pi = cm(IPPROTO_IP, IP_PKTINFO);
	CHECK(pi);
	CHECK_EQ(pi->ipi_ifindex, 1);
	CHECK_EQ(pi->ipi_addr.s_addr, htonl(INADDR_LOOPBACK));
	int *ttl = cm(IPPROTO_IP, IP_TTL);
	CHECK(ttl);
	CHECK_EQ(*ttl, 17);
	unsigned char *tos = cm(IPPROTO_IP, IP_TOS);
	CHECK(tos);
	CHECK_EQ(*tos, 0x10);
	struct sockaddr_in *od = cm(IPPROTO_IP, IP_ORIGDSTADDR);
	CHECK(od);
	CHECK_EQ(ntohs(od->sin_port), port);
	SUBTEST("sending with IP_PKTINFO, IP_TTL");
	struct iovec iov = {"pkt", 3};
	struct {
		struct cmsghdr h;
		struct in_pktinfo pi;
		int pad;
		struct cmsghdr h2;
		int ttl;
		int pad2;
	} sc = {{CMSG_LEN(sizeof(struct in_pktinfo)), IPPROTO_IP, IP_PKTINFO}, {.ipi_spec_dst = {htonl(0x7f000007)}}, 0,
		{CMSG_LEN(sizeof(int)), IPPROTO_IP, IP_TTL}, 33, 0};
	struct msghdr sm = {&to, sizeof(to), &iov, 1, &sc, sizeof(sc), 0};
	CHECK_EQ(sendmsg(s, &sm, 0), 3);
	CHECK_EQ(rx(r, 100, 0), 3);
	CHECK_EQ(((struct sockaddr_in *)&from)->sin_addr.s_addr, htonl(0x7f000007));
	CHECK_EQ(*(int *)cm(IPPROTO_IP, IP_TTL), 33);
	sc.h2.cmsg_type = 77;
	CHECK_ERRNO(sendmsg(s, &sm, 0), EINVAL);
	sc.h2.cmsg_type = IP_TTL;
	sc.ttl = 256;
	CHECK_ERRNO(sendmsg(s, &sm, 0), EINVAL);
	SUBTEST("control buffer too small");
	iov = (struct iovec){data, 100};
	CHECK_EQ(sendto(s, "t", 1, 0, SA(to)), 1);
	mh = (struct msghdr){NULL, 0, &iov, 1, ctl.b, 40, 0};
	CHECK_EQ(recvmsg(r, &mh, 0), 1);
	CHECK(mh.msg_flags & MSG_CTRUNC);
	SUBTEST("cork and MSG_MORE");
	CHECK_EQ(sendto(s, "one", 3, MSG_MORE, SA(to)), 3);
	CHECK_EQ(events(r), 0);
	guest_checkpoint();
	CHECK_EQ(sendto(s, "two", 3, 0, SA(to)), 3);
	CHECK_EQ(rx(r, 100, 0), 6);
	CHECK(memcmp(data, "onetwo", 6) == 0);
	set(s, IPPROTO_UDP, UDP_CORK, 1);
	CHECK_EQ(sendto(s, "a", 1, 0, SA(to)), 1);
	CHECK_EQ(sendto(s, "b", 1, 0, SA(to)), 1);
	guest_checkpoint();
	CHECK_EQ(events(r), 0);
	set(s, IPPROTO_UDP, UDP_CORK, 0);
	CHECK_EQ(rx(r, 100, 0), 2);
	SUBTEST("segmentation");
	set(s, IPPROTO_UDP, UDP_SEGMENT, 1000);
	CHECK_EQ(sendto(s, data, 2500, 0, SA(to)), 2500);
	CHECK_EQ(rx(r, 5000, 0), 1000);
	guest_checkpoint();
	CHECK_EQ(rx(r, 5000, 0), 1000);
	CHECK_EQ(rx(r, 5000, 0), 500);
	CHECK_ERRNO(rx(r, 5000, MSG_DONTWAIT), EAGAIN);
	set(r, IPPROTO_UDP, UDP_GRO, 1);
	CHECK_EQ(sendto(s, data, 2500, 0, SA(to)), 2500);
	guest_checkpoint();
	CHECK_EQ(rx(r, 5000, 0), 2500);
	int *gro = cm(IPPROTO_UDP, UDP_GRO);
	CHECK(gro);
	CHECK_EQ(*gro, 1000);
	set(s, IPPROTO_UDP, UDP_SEGMENT, 10);
	CHECK_ERRNO(sendto(s, data, 10000, 0, SA(to)), EINVAL);
	set(s, IPPROTO_UDP, UDP_SEGMENT, 0);
	SUBTEST("SO_PEEK_OFF");
	set(r, SOL_SOCKET, SO_PEEK_OFF, 2);
	CHECK_EQ(sendto(s, "abcdef", 6, 0, SA(to)), 6);
	CHECK_EQ(rx(r, 2, MSG_PEEK), 2);
	CHECK(memcmp(data, "cd", 2) == 0);
	guest_checkpoint();
	CHECK_EQ(rx(r, 10, MSG_PEEK), 2);
	CHECK(memcmp(data, "ef", 2) == 0);
	CHECK_ERRNO(rx(r, 10, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(rx(r, 10, 0), 6);
	SUBTEST("sizes");
	CHECK_ERRNO(sendto(s, data, 65508, 0, SA(to)), EMSGSIZE);
	CHECK_EQ(sendto(s, data, 65507, 0, SA(to)), 65507);
	CHECK_EQ(rx(r, 100, MSG_TRUNC), 65507);
	CHECK(mh.msg_flags & MSG_TRUNC);
	SUBTEST("zero copy completions");
	set(s, SOL_SOCKET, SO_ZEROCOPY, 1);
	OK(connect(s, SA(to)));
	for (int i = 0; i < 3; i++)
		CHECK_EQ(send(s, "zc", 2, MSG_ZEROCOPY), 2);
	CHECK_EQ(rx(r, 10, 0), 2);
	guest_checkpoint();
	struct pollfd pf = {s, 0, 0};
	CHECK_EQ(poll(&pf, 1, 1000), 1);
	CHECK_EQ(pf.revents, POLLERR);
	unsigned next = 0;
	while (next < 3) { /* completions may come one by one */
		CHECK_EQ(rx(s, 10, MSG_ERRQUEUE), 0);
		ee = cm(IPPROTO_IP, IP_RECVERR);
		CHECK(ee);
		CHECK_EQ(ee->ee_origin, SO_EE_ORIGIN_ZEROCOPY);
		CHECK_EQ(ee->ee_info, next);
		next = ee->ee_data + 1;
	}
	SUBTEST("transmission time stamps");
	int t = OK(socket(AF_INET, SOCK_DGRAM, 0));
	OK(connect(t, SA(to)));
	set(t, SOL_SOCKET, SO_TIMESTAMPING, 1 << 1 | 1 << 4 | 1 << 7 | 1 << 11); /* TX_SOFTWARE, SOFTWARE, OPT_ID, OPT_TSONLY */
	for (int i = 0; i < 2; i++)
		CHECK_EQ(send(t, "stamp", 5, 0), 5);
	guest_checkpoint();
	for (unsigned i = 0; i < 2; i++) {
		pf = (struct pollfd){t, 0, 0};
		CHECK_EQ(poll(&pf, 1, 1000), 1);
		CHECK_EQ(rx(t, 100, MSG_ERRQUEUE), 0);
		ee = cm(IPPROTO_IP, IP_RECVERR);
		CHECK(ee);
		CHECK_EQ(ee->ee_errno, ENOMSG);
		CHECK_EQ(ee->ee_origin, SO_EE_ORIGIN_TIMESTAMPING);
		CHECK_EQ(ee->ee_info, 0);
		CHECK_EQ(ee->ee_data, i);
		CHECK(cm(SOL_SOCKET, SO_TIMESTAMPING));
	}
	set(t, SOL_SOCKET, SO_TIMESTAMPING, 1 << 1 | 1 << 4);
	CHECK_EQ(send(t, "whole", 5, 0), 5);
	pf = (struct pollfd){t, 0, 0};
	CHECK_EQ(poll(&pf, 1, 1000), 1);
	CHECK_EQ(rx(t, 100, MSG_ERRQUEUE), 14 + 20 + 8 + 5);
	CHECK(memcmp(data + 42, "whole", 5) == 0);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(rx(r, 10, 0), i < 2 ? 2 : 5);
	struct timeval tv;
	CHECK_ERRNO(ioctl(r, SIOCGSTAMP, &tv), ENOENT); /* SO_TIMESTAMP got them all */
	set(r, SOL_SOCKET, SO_TIMESTAMP, 0);
	CHECK_EQ(send(t, "x", 1, 0), 1);
	CHECK_EQ(rx(r, 10, 0), 1);
	guest_checkpoint();
	OK(ioctl(r, SIOCGSTAMP, &tv));
	SUBTEST("IPv6 ancillary data and a dual-stack socket");
	int six = OK(socket(AF_INET6, SOCK_DGRAM, 0));
	a6.sin6_addr = in6addr_any;
	a6.sin6_port = 0;
	OK(bind(six, SA(a6)));
	set(six, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	set(six, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	set(six, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	socklen_t l = sizeof(a6);
	OK(getsockname(six, (struct sockaddr *)&a6, &l));
	a6.sin6_addr = in6addr_loopback;
	int c6 = OK(socket(AF_INET6, SOCK_DGRAM, 0));
	set(c6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9);
	set(c6, IPPROTO_IPV6, IPV6_TCLASS, 0x20);
	CHECK_EQ(sendto(c6, "v6", 2, 0, SA(a6)), 2);
	guest_checkpoint();
	CHECK_EQ(rx(six, 10, 0), 2);
	struct in6_pktinfo *p6 = cm(IPPROTO_IPV6, IPV6_PKTINFO);
	CHECK(p6);
	CHECK(memcmp(&p6->ipi6_addr, &in6addr_loopback, 16) == 0);
	CHECK_EQ(p6->ipi6_ifindex, 1);
	CHECK_EQ(*(int *)cm(IPPROTO_IPV6, IPV6_HOPLIMIT), 9);
	CHECK_EQ(*(int *)cm(IPPROTO_IPV6, IPV6_TCLASS), 0x20);
	to = lo(ntohs(a6.sin6_port));
	OK(connect(s, SA(to)));
	CHECK_EQ(send(s, "v4", 2, 0), 2);
	CHECK_EQ(rx(six, 10, 0), 2);
	CHECK(IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)&from)->sin6_addr));
}
