// SPDX-License-Identifier: Apache-2.0
/*
 * Unix stream sockets: pairs, shutdown, partial reads, PEEK, WAITALL, DONTWAIT, data in flight over a checkpoint,
 * EPIPE and ECONNRESET.
 */
#include "guest.h"

void guest_test(void)
{
	char b[200000], c[200000];
	int s[2], n, v;
	socklen_t l = sizeof(v);
	struct pollfd pf;
	pid_t p;

	guest_fill(b, sizeof(b), 1);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK_EQ(send(s[0], b, 100, 0), 100);
	CHECK_EQ(write(s[0], b + 100, 50), 50);
	OK(ioctl(s[1], FIONREAD, &n));
	CHECK_EQ(n, 150);
	CHECK_EQ(recv(s[1], c, 10, MSG_PEEK), 10);
	guest_checkpoint();
	CHECK_EQ(recv(s[1], c, 120, 0), 120); /* over the message boundary */
	CHECK(memcmp(b, c, 120) == 0);
	CHECK_EQ(recv(s[1], c, 1000, 0), 30);
	CHECK_ERRNO(recv(s[1], c, 1, MSG_DONTWAIT), EAGAIN);
	SUBTEST("WAITALL");
	CHILD (p) {
		CHECK_EQ(send(s[0], b, 60, 0), 60);
		msleep(20);
		CHECK_EQ(send(s[0], b + 60, 40, 0), 40);
		_exit(0);
	}
	CHECK_EQ(recv(s[1], c, 100, MSG_WAITALL), 100);
	CHECK(memcmp(b, c, 100) == 0);
	guest_reap(p);
	SUBTEST("a blocked sender over a checkpoint");
	CHILD (p) {
		size_t k = 0;

		close(s[1]);
		for (int i = 0; i < 5; i++)
			for (k = 0; k < sizeof(b);) {
				ssize_t r = OK(send(s[0], b + k, sizeof(b) - k, 0));

				k += (size_t)r;
			}
		_exit(0);
	}
	guest_blocked(p);
	guest_checkpoint();
	for (int i = 0; i < 5; i++) {
		size_t k = 0;

		while (k < sizeof(c))
			k += (size_t)OK(recv(s[1], c + k, sizeof(c) - k, 0));
		CHECK(memcmp(b, c, sizeof(b)) == 0);
	}
	guest_reap(p);
	SUBTEST("shutdown");
	CHECK_EQ(send(s[0], "last", 4, 0), 4);
	OK(shutdown(s[0], SHUT_WR));
	CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	guest_checkpoint();
	CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(recv(s[1], c, 100, 0), 4);
	CHECK_EQ(recv(s[1], c, 100, 0), 0);
	CHECK_EQ(send(s[1], "back", 4, 0), 4);
	CHECK_EQ(recv(s[0], c, 100, 0), 4);
	pf = (struct pollfd){s[1], POLLIN | POLLRDHUP | POLLOUT, 0};
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(pf.revents, POLLIN | POLLRDHUP | POLLOUT);
	SUBTEST("peer closed");
	CHECK_EQ(send(s[1], "unread", 6, 0), 6);
	close(s[0]);
	guest_catch(SIGPIPE, 0);
	CHECK_ERRNO(recv(s[1], c, 1, 0), ECONNRESET); /* it had unread data */
	CHECK_ERRNO(send(s[1], "x", 1, 0), EPIPE);
	CHECK_EQ(guest_sig_count, 1);
	CHECK_ERRNO(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(guest_sig_count, 1);
	CHECK_EQ(recv(s[1], c, 1, 0), 0);
	close(s[1]);
	SUBTEST("options");
	OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s));
	CHECK_EQ(fcntl(s[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &l), 0);
	CHECK_EQ(v, SOCK_STREAM);
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &v, &l), 0);
	CHECK_EQ(v, AF_UNIX);
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_ACCEPTCONN, &v, &l), 0);
	CHECK_EQ(v, 0);
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &v, &l), 0);
	CHECK_EQ(v, 0);
	v = 10000;
	CHECK_EQ(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)), 0);
	guest_checkpoint();
	CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &l), 0);
	CHECK_EQ(v, 20000);
	n = 0;
	while (send(s[0], b, 1000, 0) > 0)
		n += 1000;
	CHECK_EQ(errno, EAGAIN);
	CHECK(n > 1000 && n < 40000);
	pf = (struct pollfd){s[0], POLLOUT, 0};
	CHECK_EQ(poll(&pf, 1, 0), 0);
	SUBTEST("receive timeout");
	OK(fcntl(s[0], F_SETFL, 0));
	struct timeval tv = {0, 30000};
	CHECK_EQ(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	int64_t t0 = now_ns(CLOCK_MONOTONIC);
	CHECK_ERRNO(recv(s[0], c, 1, 0), EAGAIN);
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 29 * MS);
	SUBTEST("errors");
	CHECK_ERRNO(socket(AF_UNIX, 77, 0), EINVAL);
	CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 99), EPROTONOSUPPORT);
	CHECK_ERRNO(socket(12345, SOCK_STREAM, 0), EAFNOSUPPORT);
	CHECK_ERRNO(socketpair(AF_INET, SOCK_STREAM, 0, s), EOPNOTSUPP);
	int u = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	CHECK_ERRNO(send(u, "x", 1, MSG_NOSIGNAL), ENOTCONN);
	CHECK_ERRNO(recv(u, c, 1, 0), EINVAL);
	CHECK_EQ(shutdown(u, SHUT_RD), 0); /* allowed on an unconnected unix socket */
	CHECK_ERRNO(shutdown(u, 5), EINVAL);
	CHECK_ERRNO(lseek(u, 0, SEEK_SET), ESPIPE);
	CHECK_ERRNO(send(0, "x", 1, 0), ENOTSOCK);
	CHECK_ERRNO(getsockopt(u, SOL_SOCKET, 9999, &v, &l), ENOPROTOOPT);
}
