// SPDX-License-Identifier: Apache-2.0
/* What closed connections leave behind: TIME_WAIT, FIN_WAIT2 of orphans, and the rules of binding a port again; over checkpoints. */
#include "guest.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#define SA(a) (struct sockaddr *)&(a), sizeof(a)

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

static int tcp(int reuse)
{
	int s = OK(socket(AF_INET, SOCK_STREAM, 0));

	OK(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)));
	return s;
}

static int state(int s)
{
	struct tcp_info ti = {0};
	socklen_t l = sizeof(ti);

	OK(getsockopt(s, IPPROTO_TCP, TCP_INFO, &ti, &l));
	return ti.tcpi_state;
}

/* Entries of /proc/net/tcp with the local port and state, -1 without /proc. */
static int count(int port, int st)
{
	FILE *f = fopen("/proc/net/tcp", "r");
	char line[256];
	int n = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		unsigned la, lp, ra, rp, s;

		if (sscanf(line, "%*d: %x:%x %x:%x %x", &la, &lp, &ra, &rp, &s) == 5 && (int)lp == port && (int)s == st)
			n++;
	}
	fclose(f);
	return n;
}

static void want(int port, int st, int n)
{
	int have;

	/* FIN_WAIT1 ends with the acknowledgment, which may be delayed. */
	for (int i = 0; i < 1000 && st == 5 && count(port, 4) > 0; i++)
		msleep(5);
	have = count(port, st);

	if (have >= 0)
		CHECK_EQ(have, n);
}

void guest_test(void)
{
	struct sockaddr_in a = lo(0);
	int s, c, d, x, port, cport;
	char b[8];

	guest_lo_up();
	SUBTEST("the server closes first: its port is in TIME_WAIT");
	s = tcp(0);
	OK(bind(s, SA(a)));
	OK(listen(s, 5));
	port = port_of(s);
	a = lo(port);
	c = tcp(0);
	OK(connect(c, SA(a)));
	cport = port_of(c);
	d = OK(accept(s, NULL, NULL));
	CHECK_EQ(state(c), TCP_ESTABLISHED);
	close(d);
	CHECK_EQ(state(c), TCP_CLOSE_WAIT);
	want(port, 5, 1); /* an orphan in FIN_WAIT2 */
	guest_checkpoint();
	want(port, 5, 1);
	close(c);
	want(port, 6, 1);
	want(cport, 6, 0);
	close(s);
	guest_checkpoint();
	want(port, 6, 1);
	x = tcp(0);
	CHECK_ERRNO(bind(x, SA(a)), EADDRINUSE);
	close(x);
	x = tcp(1); /* who left it had not set SO_REUSEADDR */
	CHECK_ERRNO(bind(x, SA(a)), EADDRINUSE);
	close(x);
	SUBTEST("with SO_REUSEADDR on both the port is free");
	s = tcp(1);
	a = lo(0);
	OK(bind(s, SA(a)));
	OK(listen(s, 5));
	port = port_of(s);
	a = lo(port);
	c = tcp(0);
	OK(connect(c, SA(a)));
	d = OK(accept(s, NULL, NULL));
	close(d);
	CHECK_EQ(recv(c, b, 1, 0), 0);
	close(c);
	close(s);
	guest_checkpoint();
	x = tcp(0);
	CHECK_ERRNO(bind(x, SA(a)), EADDRINUSE);
	close(x);
	x = tcp(1);
	OK(bind(x, SA(a)));
	OK(listen(x, 5));
	SUBTEST("the client closes first");
	c = tcp(0);
	OK(connect(c, SA(a)));
	cport = port_of(c);
	d = OK(accept(x, NULL, NULL));
	OK(shutdown(c, SHUT_WR));
	while (state(c) == 4)
		msleep(5);
	CHECK_EQ(state(c), 5);
	CHECK_EQ(state(d), TCP_CLOSE_WAIT);
	guest_checkpoint();
	CHECK_EQ(send(d, "ok", 2, 0), 2);
	CHECK_EQ(recv(c, b, 8, 0), 2);
	close(d);
	CHECK_EQ(state(c), TCP_CLOSE);
	want(cport, 6, 1);
	CHECK_EQ(recv(c, b, 8, 0), 0);
	close(c);
	want(cport, 6, 1);
	SUBTEST("data for an orphan: reset, and nothing is left");
	c = tcp(0);
	OK(connect(c, SA(a)));
	cport = port_of(c);
	d = OK(accept(x, NULL, NULL));
	close(c);
	want(cport, 5, 1);
	guest_checkpoint();
	CHECK_EQ(send(d, "x", 1, 0), 1);
	want(cport, 5, 0);
	CHECK_ERRNO(send(d, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(state(d), TCP_CLOSE);
	close(d);
	SUBTEST("SO_LINGER 0 and TCP_LINGER2 < 0 leave nothing");
	for (int i = 0; i < 2; i++) {
		struct linger lg = {1, 0};
		int v = -1;

		c = tcp(0);
		OK(connect(c, SA(a)));
		cport = port_of(c);
		d = OK(accept(x, NULL, NULL));
		if (i) {
			OK(setsockopt(c, IPPROTO_TCP, TCP_LINGER2, &v, sizeof(v)));
			OK(shutdown(c, SHUT_WR));
		} else {
			OK(setsockopt(c, SOL_SOCKET, SO_LINGER, &lg, sizeof(lg)));
		}
		close(c);
		want(cport, 5, 0);
		want(cport, 6, 0);
		close(d);
	}
	SUBTEST("connect to itself");
	c = tcp(1);
	struct sockaddr_in self = lo(0);
	OK(bind(c, SA(self)));
	self = lo(port_of(c));
	OK(connect(c, SA(self)));
	CHECK_EQ(state(c), TCP_ESTABLISHED);
	CHECK_EQ(send(c, "self", 4, 0), 4);
	guest_checkpoint();
	CHECK_EQ(recv(c, b, 8, 0), 4);
	OK(shutdown(c, SHUT_WR));
	CHECK_EQ(recv(c, b, 8, 0), 0);
	close(c);
	SUBTEST("disconnect");
	c = tcp(0);
	OK(connect(c, SA(a)));
	d = OK(accept(x, NULL, NULL));
	struct sockaddr un = {.sa_family = AF_UNSPEC};
	OK(connect(c, &un, sizeof(un)));
	int err = -1;
	socklen_t l = sizeof(err);
	OK(getsockopt(c, SOL_SOCKET, SO_ERROR, &err, &l));
	CHECK_EQ(err, ECONNRESET);
	CHECK_ERRNO(recv(d, b, 1, 0), ECONNRESET);
	close(d);
	OK(connect(c, SA(a)));
	guest_checkpoint();
	d = OK(accept(x, NULL, NULL));
	CHECK_EQ(send(c, "again", 5, 0), 5);
	CHECK_EQ(recv(d, b, 8, 0), 5);
	SUBTEST("accept of a connection that was reset before");
	close(c);
	close(d);
	c = tcp(0);
	OK(connect(c, SA(a)));
	CHECK_EQ(send(c, "last", 4, 0), 4);
	OK(connect(c, &un, sizeof(un)));
	guest_checkpoint();
	struct sockaddr_in from;
	l = sizeof(from);
	d = OK(accept(x, (struct sockaddr *)&from, &l));
	CHECK_EQ(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	CHECK_ERRNO(getpeername(d, (struct sockaddr *)&from, &l), ENOTCONN);
	CHECK_EQ(recv(d, b, 8, 0), 4);
	CHECK_ERRNO(recv(d, b, 8, 0), ECONNRESET);
	SUBTEST("TCP_DEFER_ACCEPT: data first");
	int sec = 5;
	s = tcp(1);
	self = lo(0);
	OK(bind(s, SA(self)));
	OK(setsockopt(s, IPPROTO_TCP, TCP_DEFER_ACCEPT, &sec, sizeof(sec)));
	OK(listen(s, 5));
	l = sizeof(sec);
	OK(getsockopt(s, IPPROTO_TCP, TCP_DEFER_ACCEPT, &sec, &l));
	CHECK_EQ(sec, 7);
	OK(fcntl(s, F_SETFL, O_NONBLOCK));
	self = lo(port_of(s));
	c = tcp(0);
	OK(connect(c, SA(self)));
	CHECK_ERRNO(accept(s, NULL, NULL), EAGAIN);
	guest_checkpoint();
	CHECK_EQ(send(c, "now", 3, 0), 3);
	d = OK(accept(s, NULL, NULL));
	CHECK_EQ(recv(d, b, 8, 0), 3);
}
