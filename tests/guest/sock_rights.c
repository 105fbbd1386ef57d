// SPDX-License-Identifier: Apache-2.0
/* SCM_RIGHTS: files of every kind in flight over a checkpoint, shared offsets, truncation, close-on-exec, cycles. */
#include "guest.h"
#include <sys/eventfd.h>

static int send_fds(int s, const int *fds, int n)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(sizeof(int) * 10)];
	} u;
	struct iovec iov = {(void *)"m", 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.b, .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n)};
	struct cmsghdr *c;

	memset(&u, 0, sizeof(u));
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)n);
	return (int)sendmsg(s, &m, 0);
}

static int recv_fds(int s, int *fds, int max, int flags, int *msg_flags)
{
	union {
		struct cmsghdr h;
		char b[CMSG_SPACE(sizeof(int) * 10)];
	} u;
	char c1;
	struct iovec iov = {&c1, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.b, .msg_controllen = CMSG_LEN(sizeof(int) * (size_t)max)};
	struct cmsghdr *c;

	CHECK_EQ(recvmsg(s, &m, flags), 1);
	if (msg_flags)
		*msg_flags = m.msg_flags;
	c = CMSG_FIRSTHDR(&m);
	if (!c)
		return 0;
	CHECK_EQ(c->cmsg_type, SCM_RIGHTS);
	int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(fds, CMSG_DATA(c), sizeof(int) * (size_t)n);
	return n;
}

void guest_test(void)
{
	int s[2], p[2], fds[10], f, e, n, before, flags, d;
	char b[16];
	uint64_t v;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	OK(pipe(p));
	f = guest_make_file("f", 100, 1);
	e = OK(eventfd(3, 0));
	OK(lseek(f, 10, SEEK_SET));
	CHECK_EQ(write(p[1], "in the pipe", 11), 11);
	before = guest_count_fds();
	CHECK_EQ(send_fds(s[0], (int[]){f, p[0], e, p[1]}, 4), 1);
	CHECK_EQ(write(s[0], "plain", 5), 5);
	/* From here on they live only in the socket's queue. */
	close(f);
	close(p[0]);
	close(e);
	close(p[1]);
	OK(unlink("f"));
	guest_checkpoint();
	CHECK_EQ(recv_fds(s[1], fds, 10, MSG_CMSG_CLOEXEC, NULL), 4);
	CHECK_EQ(guest_count_fds(), before);
	CHECK_EQ(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(lseek(fds[0], 0, SEEK_CUR), 10);
	CHECK_EQ(read(fds[1], b, 16), 11);
	CHECK(memcmp(b, "in the pipe", 11) == 0);
	CHECK_EQ(read(fds[2], &v, 8), 8);
	CHECK_EQ(v, 3);
	CHECK_EQ(write(fds[3], "x", 1), 1);
	CHECK_EQ(read(fds[1], b, 16), 1);
	CHECK_EQ(read(s[1], b, 16), 5); /* a read stops at the boundary of a message with rights */
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	SUBTEST("EOF of a pipe whose writer is in flight comes when the message is dropped");
	OK(pipe(p));
	CHECK_EQ(send_fds(s[0], &p[1], 1), 1);
	close(p[1]);
	struct pollfd pf = {p[0], POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, 0), 0);
	guest_checkpoint();
	CHECK_EQ(poll(&pf, 1, 0), 0);
	CHECK_EQ(read(s[1], b, 1), 1); /* read() discards the rights */
	CHECK_EQ(read(p[0], b, 1), 0);
	close(p[0]);
	SUBTEST("truncated control data closes the surplus");
	OK(pipe(p));
	CHECK_EQ(send_fds(s[0], (int[]){p[0], p[1], p[1]}, 3), 1);
	close(p[1]);
	before = guest_count_fds();
	n = recv_fds(s[1], fds, 1, 0, &flags);
	CHECK_EQ(n, 1);
	CHECK_EQ(flags & MSG_CTRUNC, MSG_CTRUNC);
	CHECK_EQ(guest_count_fds(), before + 1);
	CHECK_EQ(read(p[0], b, 1), 0);
	close(fds[0]);
	close(p[0]);
	SUBTEST("peeking duplicates");
	f = OK(open("g", O_CREAT | O_RDWR, 0600));
	CHECK_EQ(send_fds(s[0], &f, 1), 1);
	CHECK_EQ(recv_fds(s[1], fds, 1, MSG_PEEK, NULL), 1);
	CHECK_EQ(recv_fds(s[1], fds + 1, 1, 0, NULL), 1);
	CHECK(fds[0] != fds[1]);
	SUBTEST("a socket in its own queue, and a cycle of two");
	int a[2], c[2];
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, a));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, c));
	CHECK_EQ(send_fds(a[0], &a[1], 1), 1);
	CHECK_EQ(send_fds(c[0], &a[0], 1), 1);
	CHECK_EQ(send_fds(a[0], &c[1], 1), 1);
	d = a[1];
	guest_checkpoint();
	CHECK_EQ(recv_fds(d, fds, 1, 0, NULL), 1);
	CHECK_EQ(recv_fds(fds[0], fds + 1, 1, 0, NULL), 1);
	CHECK_EQ(recv_fds(fds[1], fds + 2, 1, 0, NULL), 1);
	CHECK_EQ(send(fds[2], "round", 5, 0), 5);
	CHECK_EQ(recv(d, b, 16, 0), 5);
	SUBTEST("an unreachable cycle with a pipe in it is collected");
	OK(pipe(p));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, a));
	CHECK_EQ(send_fds(a[0], (int[]){a[0], a[1], p[1]}, 3), 1);
	close(a[0]);
	close(a[1]);
	close(p[1]);
	guest_checkpoint();
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, a));
	close(a[0]);
	close(a[1]); /* closing a unix socket starts the collection */
	pf = (struct pollfd){p[0], POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, 2000), 1);
	CHECK_EQ(pf.revents, POLLHUP);
	SUBTEST("errors");
	CHECK_ERRNO(send_fds(s[0], (int[]){999}, 1), EBADF);
	CHECK_ERRNO(send_fds(s[0], (int[]){-1}, 1), EBADF);
}
