// SPDX-License-Identifier: Apache-2.0
/* Unix sockets: urgent bytes, SO_PEEK_OFF, SO_PEERGROUPS; over checkpoints. */
#include "guest.h"

#include <grp.h>
#include <linux/sockios.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

static int s[2];

static int atmark(void)
{
	int v = -1;

	OK(ioctl(s[1], SIOCATMARK, &v));
	return v;
}

static int events(void)
{
	struct pollfd p = {s[1], POLLIN | POLLPRI, 0};

	OK(poll(&p, 1, 0));
	return p.revents;
}

void guest_test(void)
{
	char b[64];
	int one = 1, off = 2;
	socklen_t l;

	SUBTEST("an urgent byte between others");
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK_ERRNO(send(s[0], "", 0, MSG_OOB), EOPNOTSUPP);
	CHECK_ERRNO(recv(s[1], b, 1, MSG_OOB), EINVAL);
	CHECK_EQ(send(s[0], "abX", 3, MSG_OOB), 3);
	CHECK_EQ(send(s[0], "cd", 2, 0), 2);
	CHECK_EQ(events(), POLLIN | POLLPRI);
	guest_checkpoint();
	CHECK_EQ(recv(s[1], b, sizeof(b), 0), 2);
	CHECK(memcmp(b, "ab", 2) == 0);
	CHECK_EQ(atmark(), 1);
	CHECK_EQ(recv(s[1], b, 1, MSG_OOB | MSG_PEEK), 1);
	CHECK_EQ(recv(s[1], b, 1, MSG_OOB), 1);
	CHECK_EQ(b[0], 'X');
	guest_checkpoint();
	CHECK_ERRNO(recv(s[1], b, 1, MSG_OOB), EINVAL);
	CHECK_EQ(recv(s[1], b, sizeof(b), 0), 2);
	CHECK(memcmp(b, "cd", 2) == 0);
	CHECK_EQ(atmark(), 0);
	SUBTEST("stepped over, replaced");
	CHECK_EQ(send(s[0], "1", 1, MSG_OOB), 1);
	CHECK_EQ(send(s[0], "23", 2, MSG_OOB), 2);
	CHECK_EQ(send(s[0], "4", 1, 0), 1);
	guest_checkpoint();
	CHECK_EQ(recv(s[1], b, sizeof(b), 0), 2); /* the older one is an ordinary byte now */
	CHECK(memcmp(b, "12", 2) == 0);
	CHECK_EQ(recv(s[1], b, sizeof(b), 0), 1);
	CHECK_EQ(b[0], '4');
	CHECK_ERRNO(recv(s[1], b, 1, MSG_OOB), EINVAL);
	SUBTEST("inline, SIGURG");
	OK(setsockopt(s[1], SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)));
	guest_catch(SIGURG, 0);
	OK(fcntl(s[1], F_SETOWN, getpid()));
	CHECK_EQ(send(s[0], "uV", 2, MSG_OOB), 2);
	while (!guest_sig_count)
		msleep(1);
	guest_checkpoint();
	CHECK_ERRNO(recv(s[1], b, 1, MSG_OOB), EINVAL);
	CHECK_EQ(recv(s[1], b, sizeof(b), 0), 1);
	CHECK_EQ(recv(s[1], b, sizeof(b), 0), 1);
	CHECK_EQ(b[0], 'V');
	SUBTEST("SO_PEEK_OFF of a stream");
	OK(setsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)));
	CHECK_EQ(send(s[0], "aaaa", 4, 0), 4);
	CHECK_EQ(send(s[0], "bbbb", 4, 0), 4);
	CHECK_EQ(recv(s[1], b, 1, MSG_PEEK), 1);
	guest_checkpoint();
	CHECK_EQ(recv(s[1], b, 3, MSG_PEEK), 3);
	CHECK(memcmp(b, "abb", 3) == 0);
	CHECK_EQ(recv(s[1], b, 4, 0), 4);
	l = sizeof(off);
	OK(getsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &off, &l));
	CHECK_EQ(off, 2);
	CHECK_EQ(recv(s[1], b, 8, MSG_PEEK), 2);
	CHECK_ERRNO(recv(s[1], b, 8, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	close(s[0]);
	close(s[1]);
	SUBTEST("SO_PEEK_OFF of datagrams");
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	off = 0;
	OK(setsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off)));
	CHECK_EQ(send(s[0], "first", 5, 0), 5);
	CHECK_EQ(send(s[0], "second", 6, 0), 6);
	CHECK_EQ(recv(s[1], b, 3, MSG_PEEK), 3);
	CHECK_EQ(recv(s[1], b, 9, MSG_PEEK), 2);
	guest_checkpoint();
	CHECK_EQ(recv(s[1], b, 9, MSG_PEEK), 6);
	CHECK(memcmp(b, "second", 6) == 0);
	CHECK_EQ(recv(s[1], b, 9, 0), 5);
	l = sizeof(off);
	OK(getsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &off, &l));
	CHECK_EQ(off, 6);
	close(s[0]);
	close(s[1]);
	SUBTEST("SO_PEERGROUPS");
	gid_t g[3] = {5, 6, 7}, got[8];
	OK(setgroups(3, g));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	OK(setgroups(0, g));
	guest_checkpoint();
	l = 4;
	CHECK_ERRNO(getsockopt(s[0], SOL_SOCKET, SO_PEERGROUPS, got, &l), ERANGE);
	CHECK_EQ(l, 12);
	l = sizeof(got);
	OK(getsockopt(s[0], SOL_SOCKET, SO_PEERGROUPS, got, &l));
	CHECK_EQ(l, 12);
	CHECK(memcmp(got, g, 12) == 0);
	int u = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	CHECK_ERRNO(getsockopt(u, SOL_SOCKET, SO_PEERGROUPS, got, &l), ENODATA);
}
