// SPDX-License-Identifier: Apache-2.0
/* io_uring: sockets (accept, connect, send, receive, multishot), provided buffers and buffer rings, messages between rings; over a checkpoint. */
#include "uring.h"
#include <arpa/inet.h>
#include <netinet/in.h>

static struct io_uring_sqe *io(struct ring *r, int op, int fd, const void *buf, unsigned len, uint64_t data)
{
	struct io_uring_sqe *s = sqe(r, op, fd, data);

	s->addr = UPTR(buf);
	s->len = len;
	return s;
}

static int listen_lo(struct sockaddr_in *a)
{
	socklen_t n = sizeof(*a);
	int l = OK(socket(AF_INET, SOCK_STREAM, 0));

	*a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	OK(bind(l, (struct sockaddr *)a, sizeof(*a)));
	OK(listen(l, 16));
	OK(getsockname(l, (struct sockaddr *)a, &n));
	return l;
}

static void stream(void)
{
	struct sockaddr_in a, peer;
	socklen_t plen = sizeof(peer);
	char buf[64];
	struct io_uring_sqe *s;
	struct ring r;
	int l, c, sv;

	SUBTEST("tcp");
	ring_init(&r, 16, 0);
	l = listen_lo(&a);
	s = io(&r, IORING_OP_ACCEPT, l, &peer, 0, 1);
	s->addr2 = UPTR(&plen);
	s->accept_flags = SOCK_CLOEXEC;
	CHECK_EQ(ring_submit(&r, 0), 1);
	guest_checkpoint();
	CHECK_EQ(ring_ready(&r), 0);
	s = sqe(&r, IORING_OP_SOCKET, AF_INET, 2);
	s->off = SOCK_STREAM;
	c = ring_one(&r);
	CHECK(c > 2);
	s = io(&r, IORING_OP_CONNECT, c, &a, 0, 3);
	s->off = sizeof(a);
	CHECK_EQ(ring_submit(&r, 2), 1);
	sv = -1;
	for (int i = 0; i < 2; i++) {
		struct cqe q = ring_wait(&r);

		if (q.user_data == 1)
			sv = q.res;
		else
			CHECK_EQ(q.res, 0);
	}
	CHECK(sv > 2);
	CHECK_EQ(fcntl(sv, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(plen, sizeof(peer));
	CHECK_EQ(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	io(&r, IORING_OP_RECV, sv, buf, 64, 1);
	CHECK_EQ(ring_submit(&r, 0), 1);
	guest_checkpoint();
	CHECK_EQ(ring_ready(&r), 0);
	io(&r, IORING_OP_SEND, c, "hello", 5, 2);
	CHECK_EQ(ring_submit(&r, 2), 1);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(ring_wait(&r).res, 5);
	CHECK(!memcmp(buf, "hello", 5));
	/* MSG_WAITALL goes on until all is there. */
	io(&r, IORING_OP_RECV, sv, buf, 10, 1)->msg_flags = MSG_WAITALL;
	CHECK_EQ(ring_submit(&r, 0), 1);
	CHECK_EQ(send(c, "01234", 5, 0), 5);
	msleep(20);
	guest_checkpoint();
	CHECK_EQ(ring_ready(&r), 0);
	CHECK_EQ(send(c, "56789", 5, 0), 5);
	CQE(&r, 1, 10);
	CHECK(!memcmp(buf, "0123456789", 10));
	io(&r, IORING_OP_RECV, sv, buf, 10, 1)->msg_flags = MSG_DONTWAIT;
	CHECK_EQ(ring_one(&r), -EAGAIN);
	io(&r, IORING_OP_RECV, 0, buf, 10, 1);
	CHECK_EQ(ring_one(&r), -ENOTSOCK);
	sqe(&r, IORING_OP_SHUTDOWN, c, 4)->len = SHUT_WR;
	CHECK_EQ(ring_one(&r), 0);
	io(&r, IORING_OP_RECV, sv, buf, 10, 1);
	CHECK_EQ(ring_one(&r), 0);
	close(sv);
	close(c);
	c = OK(socket(AF_INET, SOCK_STREAM, 0));
	close(l);
	s = io(&r, IORING_OP_CONNECT, c, &a, 0, 3);
	s->off = sizeof(a);
	CHECK_EQ(ring_one(&r), -ECONNREFUSED);
	close(c);
	ring_done(&r);
}

static void multi_accept(void)
{
	struct sockaddr_in a;
	struct ring r;
	int l, c[3], got[3];

	SUBTEST("multishot accept");
	ring_init(&r, 8, 0);
	l = listen_lo(&a);
	sqe(&r, IORING_OP_ACCEPT, l, 1)->ioprio = IORING_ACCEPT_MULTISHOT;
	CHECK_EQ(ring_submit(&r, 0), 1);
	for (int i = 0; i < 3; i++) {
		c[i] = OK(socket(AF_INET, SOCK_STREAM, 0));
		OK(connect(c[i], (struct sockaddr *)&a, sizeof(a)));
		struct cqe q = ring_wait(&r);
		CHECK_EQ(q.user_data, 1);
		CHECK_EQ(q.flags, IORING_CQE_F_MORE);
		got[i] = q.res;
		CHECK(got[i] > 2);
		guest_checkpoint();
	}
	sqe(&r, IORING_OP_ASYNC_CANCEL, -1, 2)->addr = 1;
	CHECK_EQ(ring_submit(&r, 2), 1);
	for (int i = 0; i < 2; i++) {
		struct cqe q = ring_wait(&r);

		CHECK_EQ(q.res, q.user_data == 1 ? -ECANCELED : 0);
		CHECK_EQ(q.flags, 0);
	}
	for (int i = 0; i < 3; i++) {
		close(c[i]);
		close(got[i]);
	}
	close(l);
	ring_done(&r);
}

static void messages(void)
{
	int sp[2], p[2], fd;
	char buf[64], two[64], ctl[CMSG_SPACE(4)];
	struct iovec iov[2] = {{buf, 3}, {two, 61}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
	struct cmsghdr *cm;
	struct ring r;

	SUBTEST("messages");
	ring_init(&r, 8, 0);
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, sp));
	io(&r, IORING_OP_RECVMSG, sp[0], &m, 1, 1);
	CHECK_EQ(ring_submit(&r, 0), 1);
	guest_checkpoint();
	CHECK_EQ(send(sp[1], "abcdef", 6, 0), 6);
	CQE(&r, 1, 6);
	CHECK(!memcmp(buf, "abc", 3) && !memcmp(two, "def", 3));
	/* A descriptor travels. */
	OK(pipe(p));
	m = (struct msghdr){.msg_iov = iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)};
	cm = CMSG_FIRSTHDR(&m);
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(4);
	memcpy(CMSG_DATA(cm), &p[1], 4);
	io(&r, IORING_OP_SENDMSG, sp[1], &m, 1, 2);
	CHECK_EQ(ring_one(&r), 3);
	close(p[1]);
	memset(ctl, 0, sizeof(ctl));
	guest_checkpoint();
	io(&r, IORING_OP_RECVMSG, sp[0], &m, 1, 2);
	CHECK_EQ(ring_one(&r), 3);
	cm = CMSG_FIRSTHDR(&m);
	CHECK(cm && cm->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(cm), 4);
	CHECK_EQ(write(fd, "q", 1), 1);
	CHECK_EQ(read(p[0], buf, 4), 1);
	close(fd);
	close(p[0]);
	close(sp[0]);
	close(sp[1]);
	ring_done(&r);
}

static void provided(void)
{
	static char mem[4][256];
	struct io_uring_sqe *s;
	struct ring r;
	struct cqe c;
	int sp[2];

	SUBTEST("provided buffers");
	ring_init(&r, 16, 0);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sp));
	s = io(&r, IORING_OP_PROVIDE_BUFFERS, 4, mem, 256, 1);
	s->buf_group = 7;
	s->off = 10;
	CHECK_EQ(ring_one(&r), 0);
	io(&r, IORING_OP_RECV, sp[0], NULL, 0, 2);
	r.sqes[(r.tail - 1) & 15].flags = IOSQE_BUFFER_SELECT;
	r.sqes[(r.tail - 1) & 15].buf_group = 7;
	CHECK_EQ(ring_submit(&r, 0), 1);
	guest_checkpoint();
	CHECK_EQ(send(sp[1], "first", 5, 0), 5);
	c = CQE(&r, 2, 5);
	CHECK(c.flags & IORING_CQE_F_BUFFER);
	unsigned bid = c.flags >> IORING_CQE_BUFFER_SHIFT;
	CHECK(bid >= 10 && bid < 14);
	CHECK(!memcmp(mem[bid - 10], "first", 5));
	/* Multishot receive until the buffers are used up. */
	s = io(&r, IORING_OP_RECV, sp[0], NULL, 0, 3);
	s->flags = IOSQE_BUFFER_SELECT;
	s->buf_group = 7;
	s->ioprio = IORING_RECV_MULTISHOT;
	CHECK_EQ(ring_submit(&r, 0), 1);
	for (int i = 0; i < 3; i++) {
		char t[8];

		snprintf(t, sizeof(t), "msg%d", i);
		CHECK_EQ(send(sp[1], t, 4, 0), 4);
		c = CQE(&r, 3, 4);
		CHECK_EQ(c.flags & (IORING_CQE_F_MORE | IORING_CQE_F_BUFFER), IORING_CQE_F_MORE | IORING_CQE_F_BUFFER);
		bid = c.flags >> IORING_CQE_BUFFER_SHIFT;
		CHECK(!memcmp(mem[bid - 10], t, 4));
		guest_checkpoint();
		if (i == 2)
			break;
	}
	if (ring_ready(&r) == 0)
		CHECK_EQ(send(sp[1], "more", 4, 0), 4);
	c = CQE(&r, 3, -ENOBUFS);
	CHECK_EQ(c.flags & IORING_CQE_F_MORE, 0);
	s = sqe(&r, IORING_OP_REMOVE_BUFFERS, 2, 4);
	s->buf_group = 7;
	CHECK_EQ(ring_one(&r), 0);
	s = sqe(&r, IORING_OP_REMOVE_BUFFERS, 2, 4);
	s->buf_group = 8;
	CHECK_EQ(ring_one(&r), -ENOENT);
	close(sp[0]);
	close(sp[1]);
	SUBTEST("buffer ring");
	struct io_uring_buf_ring *br = OK((struct io_uring_buf_ring *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	struct io_uring_buf *bb = (void *)br;
	struct io_uring_buf_reg reg = {.ring_addr = UPTR(br), .ring_entries = 4, .bgid = 3};
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sp));
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1), 0);
	CHECK_ERRNO(io_uring_register(r.fd, IORING_REGISTER_PBUF_RING, &reg, 1), EEXIST);
	for (int i = 0; i < 2; i++) {
		bb[i].addr = UPTR(mem[i]);
		bb[i].len = 256;
		bb[i].bid = (uint16_t)(100 + i);
	}
	__atomic_store_n(&br->tail, 2, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++) {
		s = io(&r, IORING_OP_RECV, sp[0], NULL, 0, 5);
		s->flags = IOSQE_BUFFER_SELECT;
		s->buf_group = 3;
		CHECK_EQ(ring_submit(&r, 0), 1);
		guest_checkpoint();
		CHECK_EQ(send(sp[1], "ring", 4, 0), 4);
		c = CQE(&r, 5, 4);
		CHECK_EQ(c.flags >> IORING_CQE_BUFFER_SHIFT, 100 + i);
		CHECK(!memcmp(mem[i], "ring", 4));
	}
	s = io(&r, IORING_OP_RECV, sp[0], NULL, 0, 5);
	s->flags = IOSQE_BUFFER_SELECT;
	s->buf_group = 3;
	CHECK_EQ(ring_one(&r), -ENOBUFS);
	CHECK_EQ(io_uring_register(r.fd, IORING_UNREGISTER_PBUF_RING, &reg, 1), 0);
	CHECK_ERRNO(io_uring_register(r.fd, IORING_UNREGISTER_PBUF_RING, &reg, 1), ENOENT);
	close(sp[0]);
	close(sp[1]);
	ring_done(&r);
}

static void packed(void)
{
	static char mem[2][512];
	struct msghdr m = {.msg_namelen = 16, .msg_controllen = 0};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	struct io_uring_sqe *s;
	struct ring r;
	struct cqe c;
	int u = OK(socket(AF_INET, SOCK_DGRAM, 0)), v = OK(socket(AF_INET, SOCK_DGRAM, 0));

	SUBTEST("multishot recvmsg");
	ring_init(&r, 8, 0);
	OK(bind(u, (struct sockaddr *)&a, sizeof(a)));
	OK(getsockname(u, (struct sockaddr *)&a, &n));
	s = io(&r, IORING_OP_PROVIDE_BUFFERS, 2, mem, 512, 1);
	s->buf_group = 1;
	CHECK_EQ(ring_one(&r), 0);
	s = io(&r, IORING_OP_RECVMSG, u, &m, 1, 2);
	s->flags = IOSQE_BUFFER_SELECT;
	s->buf_group = 1;
	s->ioprio = IORING_RECV_MULTISHOT;
	CHECK_EQ(ring_submit(&r, 0), 1);
	guest_checkpoint();
	CHECK_EQ(sendto(v, "datagram", 8, 0, (struct sockaddr *)&a, sizeof(a)), 8);
	c = ring_wait(&r);
	CHECK_EQ(c.user_data, 2);
	CHECK_EQ(c.res, (int)sizeof(struct io_uring_recvmsg_out) + 16 + 8);
	struct io_uring_recvmsg_out *o = (void *)mem[c.flags >> IORING_CQE_BUFFER_SHIFT];
	CHECK_EQ(o->payloadlen, 8);
	CHECK_EQ(o->namelen, 16);
	CHECK(!memcmp((char *)(o + 1) + 16, "datagram", 8));
	CHECK_EQ(((struct sockaddr_in *)(void *)(o + 1))->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	close(u);
	close(v);
	ring_done(&r);
}

static void zero_copy(void)
{
	struct sockaddr_in a;
	char buf[8];
	struct ring r;
	struct cqe c;
	int l, x, y;

	SUBTEST("send_zc");
	ring_init(&r, 8, 0);
	l = listen_lo(&a);
	x = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect(x, (struct sockaddr *)&a, sizeof(a)));
	y = OK(accept(l, NULL, NULL));
	io(&r, IORING_OP_SEND_ZC, x, "zero", 4, 1);
	CHECK_EQ(ring_submit(&r, 1), 1);
	c = CQE(&r, 1, 4);
	CHECK_EQ(c.flags, IORING_CQE_F_MORE);
	CHECK_EQ(recv(y, buf, 8, 0), 4);
	c = CQE(&r, 1, 0);
	CHECK_EQ(c.flags, IORING_CQE_F_NOTIF);
	close(x);
	close(y);
	close(l);
	ring_done(&r);
}

static void between_rings(void)
{
	struct io_uring_sqe *s;
	struct ring a, b;
	int p[2], fds[2], none[4] = {-1, -1, -1, -1};
	char buf[4];

	SUBTEST("msg_ring");
	ring_init(&a, 4, 0);
	ring_init(&b, 4, 0);
	s = sqe(&a, IORING_OP_MSG_RING, b.fd, 1);
	s->len = 123;
	s->off = 0xabcd;
	CHECK_EQ(ring_one(&a), 0);
	CQE(&b, 0xabcd, 123);
	s = sqe(&a, IORING_OP_MSG_RING, 0, 1);
	CHECK_EQ(ring_one(&a), -EBADFD);
	OK(pipe(p));
	fds[0] = p[0];
	fds[1] = p[1];
	CHECK_EQ(io_uring_register(a.fd, IORING_REGISTER_FILES, fds, 2), 0);
	CHECK_EQ(io_uring_register(b.fd, IORING_REGISTER_FILES, none, 4), 0);
	s = sqe(&a, IORING_OP_MSG_RING, b.fd, 1);
	s->addr = IORING_MSG_SEND_FD;
	s->addr3 = 1;
	s->file_index = 3; /* slot 2 */
	s->off = 55;
	CHECK_EQ(ring_one(&a), 0);
	CQE(&b, 55, 0);
	guest_checkpoint();
	io(&b, IORING_OP_WRITE, 2, "via", 3, 2)->flags = IOSQE_FIXED_FILE;
	CHECK_EQ(ring_one(&b), 3);
	CHECK_EQ(read(p[0], buf, 4), 3);
	ring_done(&a);
	ring_done(&b);
	close(p[0]);
	close(p[1]);
}

void guest_test(void)
{
	guest_lo_up();
	stream();
	multi_accept();
	messages();
	provided();
	packed();
	zero_copy();
	between_rings();
}
