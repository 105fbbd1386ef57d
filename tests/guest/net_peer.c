// SPDX-License-Identifier: Apache-2.0
/*
 * One end of a TCP connection and of a UDP exchange. As a test it talks to itself over loopback; tests/e2e starts it with arguments, so that
 * its other end is outside: "serve PORT", "client PORT".
 */
#include "guest.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>

static struct sockaddr_in at(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int bound(int type, int port)
{
	struct sockaddr_in a = at(port);
	int s = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || (type == SOCK_STREAM && listen(s, 16) < 0))
		guest_fail(__FILE__, __LINE__, "port %d: %s", port, strerror(errno));
	return s;
}

static const char *result(ssize_t n)
{
	static char text[64];

	snprintf(text, sizeof(text), n < 0 ? "%s" : "%s%zd", n < 0 ? strerrorname_np(errno) : "", n);
	return text;
}

/* Echoes on one connection until it ends, then says how it ended. */
static void *connection(void *arg)
{
	int c = (int)(intptr_t)arg;
	char buf[65536];
	ssize_t n;

	while ((n = recv(c, buf, sizeof(buf), 0)) > 0)
		if (send(c, buf, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	dprintf(1, "connection: %s", result(n));
	dprintf(1, " then %s\n", result(recv(c, buf, sizeof(buf), 0)));
	close(c);
	return NULL;
}

static void *echo_udp(void *arg)
{
	int u = (int)(intptr_t)arg;

	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		char buf[2048];
		ssize_t n = recvfrom(u, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n < 0 || sendto(u, buf, (size_t)n, 0, (struct sockaddr *)&from, len) != n)
			dprintf(1, "udp: %s\n", strerror(errno));
	}
	return NULL;
}

static int serve(int port)
{
	int l = bound(SOCK_STREAM, port), u = bound(SOCK_DGRAM, port), c;
	pthread_t th;

	CHECK_EQ(pthread_create(&th, NULL, echo_udp, (void *)(intptr_t)u), 0);
	dprintf(1, "ready\n");
	while ((c = accept(l, NULL, NULL)) >= 0)
		CHECK_EQ(pthread_create(&th, NULL, connection, (void *)(intptr_t)c), 0);
	dprintf(1, "accept: %s\n", strerror(errno));
	return 1;
}

/* Connected, then blocked in recv() until the peer speaks or is gone; then once more, as a program would. */
static int client(int port)
{
	struct sockaddr_in a = at(port);
	int s = socket(AF_INET, SOCK_STREAM, 0), nd = 1, v;
	struct pollfd p = { .fd = s, .events = POLLIN | POLLOUT | POLLRDHUP };
	socklen_t len = sizeof(a);
	char buf[100];

	CHECK(setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &nd, sizeof(nd)) == 0);
	CHECK(connect(s, (struct sockaddr *)&a, sizeof(a)) == 0);
	dprintf(1, "connected\n");
	dprintf(1, "recv %s\n", result(recv(s, buf, sizeof(buf), 0)));
	dprintf(1, "again %s\n", result(recv(s, buf, sizeof(buf), 0)));
	CHECK_EQ(poll(&p, 1, 0), 1);
	dprintf(1, "poll %x\n", p.revents);
	dprintf(1, "send %s\n", result(send(s, "x", 1, MSG_NOSIGNAL)));
	dprintf(1, "peer %s\n", result(getpeername(s, (struct sockaddr *)&a, &len)));
	len = sizeof(v);
	v = 0;
	CHECK(getsockopt(s, IPPROTO_TCP, TCP_NODELAY, &v, &len) == 0);
	dprintf(1, "nodelay %d\n", v);
	close(s);
	a = at(port);
	s = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(s, (struct sockaddr *)&a, sizeof(a)) < 0 || send(s, "hello", 5, 0) != 5)
		dprintf(1, "second connection: %s\n", strerror(errno));
	dprintf(1, "reply %s\n", result(recv(s, buf, sizeof(buf), 0)));
	return 0;
}

int guest_helper(int argc, char **argv)
{
	int port = argc > 2 ? atoi(argv[2]) : 0;

	return !strcmp(argv[1], "serve") ? serve(port) : client(port);
}

static ssize_t read_all(int fd, char *buf, size_t n)
{
	size_t done = 0;
	ssize_t r;

	while (done < n && (r = recv(fd, buf + done, n - done, 0)) > 0)
		done += (size_t)r;
	return (ssize_t)done;
}

void guest_test(void)
{
	char buf[20000], back[20000];
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	pthread_t th;
	int l, s, c;

	guest_lo_up();
	l = bound(SOCK_STREAM, 0);
	s = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(getsockname(l, (struct sockaddr *)&a, &len));
	OK(connect(s, (struct sockaddr *)&a, len));
	c = OK(accept(l, NULL, NULL));
	CHECK_EQ(pthread_create(&th, NULL, connection, (void *)(intptr_t)c), 0);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (char)(i * 7);
	guest_checkpoint();
	CHECK_EQ(send(s, buf, sizeof(buf), 0), (ssize_t)sizeof(buf));
	CHECK_EQ(read_all(s, back, sizeof(back)), (ssize_t)sizeof(back));
	CHECK(!memcmp(buf, back, sizeof(buf)));
	OK(shutdown(s, SHUT_WR));
	CHECK_EQ(recv(s, buf, sizeof(buf), 0), 0);
	pthread_join(th, NULL);
}
