// SPDX-License-Identifier: Apache-2.0
/*
 * Unix datagram and seqpacket sockets: boundaries, truncation, names, connected peers, queue limits; queues over a
 * checkpoint.
 */
#include "guest.h"

static struct sockaddr_un a, b, r;
static socklen_t al, bl, rl;

static socklen_t name(struct sockaddr_un *u, const char *path)
{
	memset(u, 0, sizeof(*u));
	u->sun_family = AF_UNIX;
	strcpy(u->sun_path, path);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

void guest_test(void)
{
	int s = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), t = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), u, p[2], n;
	char buf[100];
	struct iovec iov = {buf, 4};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	al = name(&a, "a");
	bl = name(&b, "b");
	OK(bind(s, (void *)&a, al));
	SUBTEST("boundaries and sender names over a checkpoint");
	CHECK_EQ(sendto(t, "one", 3, 0, (void *)&a, al), 3);
	OK(bind(t, (void *)&b, bl));
	CHECK_EQ(sendto(t, "second", 6, 0, (void *)&a, al), 6);
	CHECK_EQ(sendto(t, "", 0, 0, (void *)&a, al), 0);
	CHECK_EQ(sendto(t, "third", 5, 0, (void *)&a, al), 5);
	OK(ioctl(s, FIONREAD, &n));
	CHECK_EQ(n, 3);
	guest_checkpoint();
	rl = sizeof(r);
	CHECK_EQ(recvfrom(s, buf, 100, 0, (void *)&r, &rl), 3);
	CHECK_EQ(rl, bl); /* unnamed when it sent, but the name is looked up now */
	rl = sizeof(r);
	CHECK_EQ(recvfrom(s, buf, 3, MSG_PEEK, (void *)&r, &rl), 3);
	CHECK_EQ(rl, bl);
	CHECK_STR(r.sun_path, "b");
	CHECK_EQ(recv(s, buf, 3, MSG_TRUNC | MSG_PEEK), 6); /* the real length */
	CHECK_EQ(recvmsg(s, &m, 0), 4);
	CHECK_EQ(m.msg_flags & MSG_TRUNC, MSG_TRUNC);
	CHECK_EQ(recv(s, buf, 100, 0), 0);
	CHECK_EQ(recv(s, buf, 100, 0), 5);
	CHECK_ERRNO(recv(s, buf, 100, MSG_DONTWAIT), EAGAIN);
	SUBTEST("connected");
	OK(connect(t, (void *)&a, al));
	CHECK_EQ(send(t, "conn", 4, 0), 4);
	guest_checkpoint();
	CHECK_EQ(recv(s, buf, 100, 0), 4);
	u = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
	OK(connect(s, (void *)&b, bl));
	CHECK_ERRNO(sendto(u, "x", 1, 0, (void *)&a, al), EPERM); /* s listens to t only */
	CHECK_ERRNO(connect(u, (void *)&a, al), EPERM);
	b.sun_family = AF_UNSPEC;
	OK(connect(s, (void *)&b, sizeof(b)));
	CHECK_EQ(sendto(u, "x", 1, 0, (void *)&a, al), 1);
	CHECK_EQ(recv(s, buf, 100, 0), 1);
	SUBTEST("queue limit");
	OK(fcntl(u, F_SETFL, O_NONBLOCK));
	n = 0;
	while (sendto(u, "x", 1, 0, (void *)&a, al) == 1)
		n++;
	CHECK_EQ(errno, EAGAIN);
	CHECK(n >= 10 && n <= 1000);
	guest_checkpoint();
	CHECK_ERRNO(sendto(u, "x", 1, 0, (void *)&a, al), EAGAIN);
	for (int i = 0; i < n; i++)
		CHECK_EQ(recv(s, buf, 100, MSG_DONTWAIT), 1);
	CHECK_ERRNO(recv(s, buf, 100, MSG_DONTWAIT), EAGAIN);
	SUBTEST("errors");
	CHECK_ERRNO(send(u, "x", 1, 0), ENOTCONN);
	al = name(&a, "none");
	CHECK_ERRNO(sendto(u, "x", 1, 0, (void *)&a, al), ENOENT);
	close(s);
	al = name(&a, "a");
	CHECK_ERRNO(sendto(u, "x", 1, 0, (void *)&a, al), ECONNREFUSED);
	CHECK_ERRNO(send(t, "x", 1, 0), ECONNREFUSED);
	CHECK_ERRNO(send(t, "x", 1, 0), ENOTCONN); /* and it is disconnected then */
	CHECK_ERRNO(listen(u, 1), EOPNOTSUPP);
	CHECK_ERRNO(accept(u, NULL, NULL), EOPNOTSUPP);
	int st = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(unlink("a"));
	s = OK(socket(AF_UNIX, SOCK_DGRAM, 0));
	OK(bind(s, (void *)&a, al));
	CHECK_ERRNO(connect(st, (void *)&a, al), EPROTOTYPE);
	SUBTEST("seqpacket");
	OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p));
	CHECK_EQ(send(p[0], "first", 5, 0), 5);
	CHECK_EQ(send(p[0], "next one", 8, 0), 8);
	guest_checkpoint();
	CHECK_EQ(recv(p[1], buf, 2, 0), 2); /* the rest is lost */
	iov.iov_len = 100;
	m.msg_flags = 0;
	CHECK_EQ(recvmsg(p[1], &m, 0), 8);
	CHECK_EQ(m.msg_flags & MSG_TRUNC, 0);
	CHECK_EQ(write(p[0], "w", 1), 1);
	close(p[0]);
	CHECK_EQ(recv(p[1], buf, 100, 0), 1);
	CHECK_EQ(recv(p[1], buf, 100, 0), 0);
	CHECK_ERRNO(send(p[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	SUBTEST("sendmmsg and recvmmsg");
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, p));
	struct iovec v[3] = {{(void *)"a", 1}, {(void *)"bb", 2}, {(void *)"ccc", 3}};
	struct mmsghdr mm[3];
	memset(mm, 0, sizeof(mm));
	for (int i = 0; i < 3; i++) {
		mm[i].msg_hdr.msg_iov = &v[i];
		mm[i].msg_hdr.msg_iovlen = 1;
	}
	CHECK_EQ(sendmmsg(p[0], mm, 3, 0), 3);
	CHECK_EQ(mm[2].msg_len, 3);
	char out[3][8];
	for (int i = 0; i < 3; i++)
		v[i] = (struct iovec){out[i], 8};
	CHECK_EQ(recvmmsg(p[1], mm, 3, MSG_DONTWAIT, NULL), 3);
	CHECK(mm[0].msg_len == 1 && mm[1].msg_len == 2 && mm[2].msg_len == 3 && out[2][2] == 'c');
}
