// SPDX-License-Identifier: Apache-2.0
/*
 * TCP on loopback: names, connections, blocking and not, data and waiting connections over a checkpoint, shutdown, resets.
 */
#include "guest.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

static struct sockaddr_in lo(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};

	return a;
}

#define SA(a) (struct sockaddr *)&(a), sizeof(a)

static int poll_of(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};

	OK(poll(&p, 1, 0));
	return p.revents;
}

static int so_error(int fd)
{
	int v = -1;
	socklen_t l = sizeof(v);

	OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &v, &l));
	return v;
}

void guest_test(void)
{
	struct sockaddr_in a = lo(0), b;
	socklen_t l = sizeof(b);
	static char buf[1 << 20], in[1 << 20];
	int s, c, d, n, one = 1, port;
	pid_t p;

	guest_lo_up();
	guest_fill(buf, sizeof(buf), 3);
	SUBTEST("listen and names");
	s = OK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK_EQ(poll_of(s), POLLOUT | POLLHUP);
	CHECK_ERRNO(accept(s, NULL, NULL), EINVAL);
	OK(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one))); /* also for the last subtest: TIME_WAIT inherits it */
	OK(bind(s, SA(a)));
	CHECK_ERRNO(bind(s, SA(a)), EINVAL);
	OK(listen(s, 5));
	OK(getsockname(s, (struct sockaddr *)&a, &l));
	CHECK_EQ(l, sizeof(a));
	port = ntohs(a.sin_port);
	CHECK(port >= 1024);
	CHECK_EQ(a.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	CHECK_ERRNO(getpeername(s, (struct sockaddr *)&b, &l), ENOTCONN);
	c = OK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK_ERRNO(bind(c, SA(a)), EADDRINUSE);
	OK(connect(c, SA(a)));
	CHECK_ERRNO(connect(c, SA(a)), EISCONN);
	CHECK_EQ(send(c, "early", 5, 0), 5);
	CHECK_EQ(poll_of(s), POLLIN);
	guest_checkpoint();
	l = sizeof(b);
	d = OK(accept(s, (struct sockaddr *)&b, &l));
	CHECK_EQ(recv(d, in, 100, 0), 5);
	CHECK(memcmp(in, "early", 5) == 0);
	OK(getsockname(c, (struct sockaddr *)&a, &l));
	CHECK_EQ(a.sin_port, b.sin_port);
	OK(getpeername(c, (struct sockaddr *)&a, &l));
	CHECK_EQ(ntohs(a.sin_port), port);
	SUBTEST("data in both directions over a checkpoint");
	CHECK_EQ(send(c, buf, 10000, 0), 10000);
	CHECK_EQ(send(d, buf, 5000, 0), 5000);
	OK(ioctl(d, FIONREAD, &n));
	CHECK_EQ(n, 10000);
	CHECK_EQ(recv(d, in, 10, MSG_PEEK), 10);
	CHECK_EQ(recv(d, in, 1000, 0), 1000);
	guest_checkpoint();
	CHECK_EQ(recv(d, in + 1000, 9000, MSG_WAITALL), 9000);
	CHECK(memcmp(in, buf, 10000) == 0);
	CHECK_EQ(recv(c, in, 5000, MSG_WAITALL), 5000);
	CHECK(memcmp(in, buf, 5000) == 0);
	CHECK_ERRNO(recv(c, in, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(poll_of(c), POLLOUT);
	SUBTEST("a blocked reader over a checkpoint");
	CHILD (p) {
		CHECK_EQ(recv(d, in, 4, 0), 4);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	CHECK_EQ(send(c, "wake", 4, 0), 4);
	guest_reap(p);
	SUBTEST("a blocked sender over a checkpoint");
	CHILD (p) {
		for (int i = 0; i < 12; i++)
			for (size_t k = 0; k < sizeof(buf);)
				k += (size_t)OK(send(c, buf + k, sizeof(buf) - k, 0));
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	for (int i = 0; i < 12; i++) {
		CHECK_EQ(recv(d, in, sizeof(in), MSG_WAITALL), sizeof(in));
		CHECK(memcmp(in, buf, sizeof(in)) == 0);
	}
	guest_reap(p);
	SUBTEST("shutdown");
	CHECK_EQ(send(c, "last", 4, 0), 4);
	OK(shutdown(c, SHUT_WR));
	CHECK_ERRNO(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
	guest_checkpoint();
	CHECK_EQ(recv(d, in, 100, 0), 4);
	CHECK_EQ(poll_of(d), POLLIN | POLLOUT | POLLRDHUP);
	CHECK_EQ(recv(d, in, 100, 0), 0);
	CHECK_EQ(send(d, "back", 4, 0), 4);
	CHECK_EQ(recv(c, in, 100, 0), 4);
	close(d);
	CHECK_EQ(recv(c, in, 100, 0), 0);
	CHECK_EQ(poll_of(c), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	CHECK_ERRNO(shutdown(c, SHUT_WR), ENOTCONN);
	close(c);
	SUBTEST("peer closed: one write, then EPIPE");
	c = OK(socket(AF_INET, SOCK_STREAM, 0));
	a = lo(port);
	OK(connect(c, SA(a)));
	d = OK(accept(s, NULL, NULL));
	close(d);
	CHECK_EQ(recv(c, in, 1, 0), 0);
	guest_checkpoint();
	CHECK_EQ(send(c, "x", 1, 0), 1);
	guest_catch(SIGPIPE, 0);
	CHECK_ERRNO(send(c, "x", 1, 0), EPIPE);
	CHECK_EQ(guest_sig_count, 1);
	close(c);
	SUBTEST("closed with unread data, and SO_LINGER 0: reset");
	for (int i = 0; i < 2; i++) {
		struct linger lg = {1, 0};

		c = OK(socket(AF_INET, SOCK_STREAM, 0));
		OK(connect(c, SA(a)));
		d = OK(accept(s, NULL, NULL));
		if (i)
			OK(setsockopt(d, SOL_SOCKET, SO_LINGER, &lg, sizeof(lg)));
		else
			CHECK_EQ(send(c, "unread", 6, 0), 6);
		close(d);
		CHECK_EQ(poll_of(c), POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
		CHECK_ERRNO(recv(c, in, 1, 0), ECONNRESET);
		CHECK_EQ(recv(c, in, 1, 0), 0);
		CHECK_ERRNO(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
		close(c);
	}
	SUBTEST("nonblocking");
	c = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	CHECK_ERRNO(connect(c, SA(a)), EINPROGRESS);
	CHECK_EQ(poll_of(c), POLLOUT);
	CHECK_EQ(so_error(c), 0);
	CHECK_EQ(connect(c, SA(a)), 0);
	CHECK_ERRNO(connect(c, SA(a)), EISCONN);
	OK(fcntl(s, F_SETFL, O_NONBLOCK));
	d = OK(accept4(s, NULL, NULL, SOCK_CLOEXEC));
	CHECK_ERRNO(accept(s, NULL, NULL), EAGAIN);
	close(c);
	close(d);
	SUBTEST("a blocked accept over a checkpoint");
	OK(fcntl(s, F_SETFL, 0));
	CHILD (p) {
		d = OK(accept(s, NULL, NULL));
		CHECK_EQ(send(d, "hi", 2, 0), 2);
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	c = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect(c, SA(a)));
	CHECK_EQ(recv(c, in, 10, MSG_WAITALL), 2);
	guest_reap(p);
	close(c);
	SUBTEST("refused");
	close(s);
	c = OK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK_ERRNO(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERRNO(recv(c, in, 1, 0), ENOTCONN);
	CHECK_ERRNO(shutdown(c, SHUT_RDWR), ENOTCONN);
	close(c);
	c = OK(socket(AF_INET, SOCK_STREAM, 0));
	CHECK_ERRNO(connect(c, SA(a)), ECONNREFUSED);
	OK(fcntl(c, F_SETFL, O_NONBLOCK));
	CHECK_ERRNO(connect(c, SA(a)), EINPROGRESS);
	guest_checkpoint();
	CHECK_EQ(poll_of(c), POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
	CHECK_EQ(so_error(c), ECONNREFUSED);
	close(c);
	SUBTEST("listen again on the port");
	s = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	OK(bind(s, SA(a)));
	OK(listen(s, 1));
	c = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect(c, SA(a)));
	close(s); /* resets who was not accepted */
	CHECK_ERRNO(recv(c, in, 1, 0), ECONNRESET);
	close(c);
}
