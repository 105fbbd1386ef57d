// SPDX-License-Identifier: Apache-2.0
/* Internet sockets: what can be made and bound, and options, kept over a checkpoint. */
#include "guest.h"

#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define SA(a) (struct sockaddr *)&(a), sizeof(a)

static int get(int s, int level, int opt)
{
	int v = -1;
	socklen_t l = sizeof(v);

	OK(getsockopt(s, level, opt, &v, &l));
	return v;
}

static void set(int s, int level, int opt, int v)
{
	OK(setsockopt(s, level, opt, &v, sizeof(v)));
}

void guest_test(void)
{
	struct ifreq r = {.ifr_name = "lo"};
	struct sockaddr_in a = {.sin_family = AF_INET}, b;
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
	socklen_t l;
	char name[16];
	int s, c, v, p[2];

	SUBTEST("making");
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	CHECK_ERRNO(socketpair(AF_INET, SOCK_STREAM, 0, p), EOPNOTSUPP);
	s = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(ioctl(s, SIOCGIFFLAGS, &r));
	r.ifr_flags |= IFF_UP;
	OK(ioctl(s, SIOCSIFFLAGS, &r));
	CHECK_EQ(get(s, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
	CHECK_EQ(get(s, SOL_SOCKET, SO_DOMAIN), AF_INET);
	CHECK_EQ(get(s, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	SUBTEST("addresses");
	a.sin_addr.s_addr = htonl(0x08080808);
	CHECK_ERRNO(bind(s, SA(a)), EADDRNOTAVAIL);
	a.sin_port = htons(80);
	CHECK_ERRNO(connect(s, SA(a)), ENETUNREACH);
	a.sin_family = 77;
	CHECK_ERRNO(bind(s, SA(a)), EAFNOSUPPORT);
	CHECK_ERRNO(connect(s, SA(a)), EAFNOSUPPORT);
	a.sin_family = AF_INET;
	CHECK_ERRNO(bind(s, (struct sockaddr *)&a, 8), EINVAL);
	SUBTEST("TCP options");
	CHECK_EQ(get(s, IPPROTO_TCP, TCP_NODELAY), 0);
	set(s, IPPROTO_TCP, TCP_NODELAY, 1);
	set(s, IPPROTO_TCP, TCP_KEEPIDLE, 33);
	set(s, IPPROTO_TCP, TCP_KEEPINTVL, 44);
	set(s, IPPROTO_TCP, TCP_KEEPCNT, 5);
	set(s, IPPROTO_TCP, TCP_USER_TIMEOUT, 12345);
	set(s, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(s, IPPROTO_IP, IP_TTL, 17);
	v = 40000;
	CHECK_ERRNO(setsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, &v, sizeof(v)), EINVAL);
	CHECK_ERRNO(setsockopt(s, IPPROTO_TCP, 999, &v, sizeof(v)), ENOPROTOOPT);
	l = sizeof(name);
	OK(getsockopt(s, IPPROTO_TCP, TCP_CONGESTION, name, &l));
	CHECK(name[0] != 0);
	guest_checkpoint();
	CHECK_EQ(get(s, IPPROTO_TCP, TCP_NODELAY), 1);
	CHECK_EQ(get(s, IPPROTO_TCP, TCP_KEEPIDLE), 33);
	CHECK_EQ(get(s, IPPROTO_TCP, TCP_KEEPINTVL), 44);
	CHECK_EQ(get(s, IPPROTO_TCP, TCP_KEEPCNT), 5);
	CHECK_EQ(get(s, IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
	CHECK_EQ(get(s, SOL_SOCKET, SO_KEEPALIVE), 1);
	CHECK_EQ(get(s, IPPROTO_IP, IP_TTL), 17);
	SUBTEST("TCP_INFO and inheritance");
	struct tcp_info ti;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = 0;
	OK(bind(s, SA(a)));
	OK(listen(s, 3));
	CHECK_EQ(get(s, SOL_SOCKET, SO_ACCEPTCONN), 1);
	l = sizeof(ti);
	OK(getsockopt(s, IPPROTO_TCP, TCP_INFO, &ti, &l));
	CHECK_EQ(ti.tcpi_state, TCP_LISTEN);
	l = sizeof(b);
	OK(getsockname(s, (struct sockaddr *)&b, &l));
	c = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect(c, SA(b)));
	int d = OK(accept(s, NULL, NULL));
	guest_checkpoint();
	CHECK_EQ(get(d, IPPROTO_TCP, TCP_NODELAY), 1);
	CHECK_EQ(get(d, SOL_SOCKET, SO_KEEPALIVE), 1);
	l = sizeof(ti);
	OK(getsockopt(d, IPPROTO_TCP, TCP_INFO, &ti, &l));
	CHECK_EQ(ti.tcpi_state, TCP_ESTABLISHED);
	SUBTEST("SO_REUSEPORT");
	int u = OK(socket(AF_INET, SOCK_STREAM, 0)), w = OK(socket(AF_INET, SOCK_STREAM, 0));
	set(u, SOL_SOCKET, SO_REUSEPORT, 1);
	OK(bind(u, SA(a)));
	OK(listen(u, 1));
	l = sizeof(b);
	OK(getsockname(u, (struct sockaddr *)&b, &l));
	CHECK_ERRNO(bind(w, SA(b)), EADDRINUSE);
	set(w, SOL_SOCKET, SO_REUSEADDR, 1);
	CHECK_ERRNO(bind(w, SA(b)), EADDRINUSE); /* somebody listens */
	set(w, SOL_SOCKET, SO_REUSEPORT, 1);
	OK(bind(w, SA(b)));
	guest_checkpoint();
	OK(listen(w, 1));
	SUBTEST("IPV6_V6ONLY");
	int six = socket(AF_INET6, SOCK_STREAM, 0);
	if (six < 0)
		return;
	CHECK_EQ(get(six, IPPROTO_IPV6, IPV6_V6ONLY), 0);
	a6.sin6_port = b.sin_port;
	CHECK_ERRNO(bind(six, SA(a6)), EADDRINUSE);
	set(six, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	OK(bind(six, SA(a6)));
	v = 0;
	CHECK_ERRNO(setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &v, sizeof(v)), EINVAL);
	SUBTEST("low ports need a capability");
	CHILD (p[0]) {
		OK(setuid(1000));
		a.sin_port = htons(81);
		c = OK(socket(AF_INET, SOCK_STREAM, 0));
		CHECK_ERRNO(socket(AF_INET, SOCK_RAW, IPPROTO_TCP), EPERM);
		CHECK_ERRNO(bind(c, SA(a)), EACCES);
		_exit(0);
	}
	guest_reap(p[0]);
}
