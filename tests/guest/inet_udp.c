// SPDX-License-Identifier: Apache-2.0
/* UDP on loopback: names, truncation, queued datagrams over a checkpoint, refusal, connected filtering, IPv6 and mapped addresses. */
#include "guest.h"

#include <net/if.h>
#include <netinet/in.h>

#define SA(a) (struct sockaddr *)&(a), sizeof(a)

static struct sockaddr_in lo(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};

	return a;
}

void guest_test(void)
{
	struct ifreq r = {.ifr_name = "lo"};
	struct sockaddr_in a = lo(0), b;
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6}, b6;
	socklen_t l = sizeof(b);
	struct pollfd pf;
	char in[100];
	int s, c, d, n;
	pid_t p;

	s = OK(socket(AF_INET, SOCK_DGRAM, 0));
	OK(ioctl(s, SIOCGIFFLAGS, &r));
	r.ifr_flags |= IFF_UP;
	OK(ioctl(s, SIOCSIFFLAGS, &r));
	SUBTEST("send, receive, truncation");
	OK(bind(s, SA(a)));
	OK(getsockname(s, (struct sockaddr *)&a, &l));
	c = OK(socket(AF_INET, SOCK_DGRAM, 0));
	CHECK_ERRNO(send(c, "x", 1, 0), EDESTADDRREQ);
	CHECK_EQ(sendto(c, "first", 5, 0, SA(a)), 5);
	CHECK_EQ(sendto(c, "", 0, 0, SA(a)), 0);
	CHECK_EQ(sendto(c, "third", 5, 0, SA(a)), 5);
	OK(ioctl(s, FIONREAD, &n));
	CHECK_EQ(n, 5);
	guest_checkpoint();
	CHECK_EQ(recv(s, in, 2, MSG_PEEK | MSG_TRUNC), 5);
	CHECK_EQ(recvfrom(s, in, 100, 0, (struct sockaddr *)&b, &l), 5);
	CHECK(memcmp(in, "first", 5) == 0);
	CHECK_EQ(b.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	CHECK_EQ(recv(s, in, 100, 0), 0);
	struct iovec iov = {in, 3};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	CHECK_EQ(recvmsg(s, &mh, 0), 3);
	CHECK_EQ(mh.msg_flags, MSG_TRUNC);
	CHECK_ERRNO(recv(s, in, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(sendto(s, "reply", 5, 0, SA(b)), 5);
	CHECK_EQ(recv(c, in, 100, 0), 5);
	SUBTEST("connected");
	OK(connect(c, SA(a)));
	OK(getpeername(c, (struct sockaddr *)&b, &l));
	CHECK_EQ(b.sin_port, a.sin_port);
	OK(getsockname(c, (struct sockaddr *)&b, &l));
	d = OK(socket(AF_INET, SOCK_DGRAM, 0));
	CHECK_EQ(sendto(d, "stranger", 8, 0, SA(b)), 8);
	CHECK_ERRNO(recv(c, in, 1, MSG_DONTWAIT), EAGAIN);
	guest_checkpoint();
	CHECK_EQ(send(c, "friend", 6, 0), 6);
	CHECK_EQ(recv(s, in, 100, 0), 6);
	SUBTEST("a blocked reader over a checkpoint");
	CHILD (p) {
		CHECK_EQ(recv(s, in, 100, 0), 4);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	CHECK_EQ(write(c, "wake", 4), 4);
	guest_reap(p);
	SUBTEST("nobody there");
	close(s);
	CHECK_EQ(send(c, "x", 1, 0), 1);
	pf = (struct pollfd){c, POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(pf.revents, POLLERR);
	guest_checkpoint();
	CHECK_ERRNO(recv(c, in, 1, 0), ECONNREFUSED);
	CHECK_EQ(send(c, "x", 1, 0), 1);
	CHECK_ERRNO(send(c, "x", 1, 0), ECONNREFUSED);
	CHECK_EQ(sendto(d, "x", 1, 0, SA(a)), 1);
	CHECK_ERRNO(recv(d, in, 1, MSG_DONTWAIT), EAGAIN);
	SUBTEST("disconnect and shutdown");
	b.sin_family = AF_UNSPEC;
	OK(connect(c, SA(b)));
	CHECK_ERRNO(getpeername(c, (struct sockaddr *)&b, &l), ENOTCONN);
	CHECK_ERRNO(shutdown(c, SHUT_RD), ENOTCONN);
	close(c);
	CHECK_ERRNO(sendto(d, in, 65508, 0, SA(a)), EMSGSIZE);
	a.sin_port = 0;
	CHECK_ERRNO(sendto(d, "x", 1, 0, SA(a)), EINVAL);
	close(d);
	SUBTEST("IPv6 and mapped");
	s = socket(AF_INET6, SOCK_DGRAM, 0);
	if (s < 0)
		return;
	OK(bind(s, SA(a6)));
	l = sizeof(b6);
	OK(getsockname(s, (struct sockaddr *)&b6, &l));
	CHECK_EQ(l, sizeof(b6));
	c = OK(socket(AF_INET, SOCK_DGRAM, 0));
	a = lo(ntohs(b6.sin6_port));
	CHECK_ERRNO(bind(c, SA(a)), EADDRINUSE);
	CHECK_EQ(sendto(c, "v4", 2, 0, SA(a)), 2);
	d = OK(socket(AF_INET6, SOCK_DGRAM, 0));
	b6.sin6_addr = in6addr_loopback;
	CHECK_EQ(sendto(d, "six", 3, 0, SA(b6)), 3);
	guest_checkpoint();
	l = sizeof(a6);
	CHECK_EQ(recvfrom(s, in, 100, 0, (struct sockaddr *)&a6, &l), 2);
	CHECK(IN6_IS_ADDR_V4MAPPED(&a6.sin6_addr));
	CHECK_EQ(sendto(s, "back", 4, 0, SA(a6)), 4);
	CHECK_EQ(recv(c, in, 100, 0), 4);
	CHECK_EQ(recvfrom(s, in, 100, 0, (struct sockaddr *)&a6, &l), 3);
	CHECK(IN6_IS_ADDR_LOOPBACK(&a6.sin6_addr));
}
