// SPDX-License-Identifier: Apache-2.0
/* io_uring: reads and writes of files, pipes and eventfds, polls, time-outs, cancels, registered buffers and files; pending over a checkpoint. */
#include "uring.h"
#include <sys/eventfd.h>

static struct io_uring_sqe *rw(struct ring *r, int op, int fd, void *buf, unsigned len, uint64_t off, uint64_t data)
{
	struct io_uring_sqe *s = sqe(r, op, fd, data);

	s->addr = UPTR(buf);
	s->len = len;
	s->off = off;
	return s;
}

static void files(void)
{
	static char buf[8192], big[8192];
	struct iovec iov[2];
	struct ring r;
	int fd;

	SUBTEST("files");
	ring_init(&r, 8, 0);
	fd = OK(open("f", O_RDWR | O_CREAT | O_TRUNC, 0600));
	guest_fill(big, sizeof(big), 1);
	rw(&r, IORING_OP_WRITE, fd, big, 8192, 0, 1);
	CHECK_EQ(ring_one(&r), 8192);
	rw(&r, IORING_OP_READ, fd, buf, 8192, 0, 2);
	CHECK_EQ(ring_one(&r), 8192);
	CHECK(guest_filled(buf, 8192, 1));
	rw(&r, IORING_OP_READ, fd, buf, 8192, 8000, 2);
	CHECK_EQ(ring_one(&r), 192);
	rw(&r, IORING_OP_READ, fd, buf, 8192, 9000, 2);
	CHECK_EQ(ring_one(&r), 0);
	/* The current position. */
	CHECK_EQ(lseek(fd, 100, SEEK_SET), 100);
	rw(&r, IORING_OP_READ, fd, buf, 50, (uint64_t)-1, 2);
	CHECK_EQ(ring_one(&r), 50);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 150);
	CHECK(!memcmp(buf, big + 100, 50));
	iov[0] = (struct iovec){buf, 10};
	iov[1] = (struct iovec){buf + 100, 20};
	rw(&r, IORING_OP_READV, fd, iov, 2, 5, 3);
	CHECK_EQ(ring_one(&r), 30);
	CHECK(!memcmp(buf, big + 5, 10) && !memcmp(buf + 100, big + 15, 20));
	rw(&r, IORING_OP_WRITEV, fd, iov, 2, 8192, 3);
	CHECK_EQ(ring_one(&r), 30);
	rw(&r, IORING_OP_READV, fd, iov, 2000, 0, 3);
	CHECK_EQ(ring_one(&r), -EINVAL);
	rw(&r, IORING_OP_READ, fd, (void *)8, 16, 0, 3);
	CHECK_EQ(ring_one(&r), -EFAULT);
	rw(&r, IORING_OP_READ, fd, buf, 16, 0, 3)->rw_flags = 0x8000;
	CHECK_EQ(ring_one(&r), -EOPNOTSUPP);
	rw(&r, IORING_OP_READ, fd, buf, 16, (uint64_t)-5, 3);
	CHECK_EQ(ring_one(&r), -EINVAL);
	sqe(&r, IORING_OP_FSYNC, fd, 4);
	CHECK_EQ(ring_one(&r), 0);
	sqe(&r, IORING_OP_FSYNC, fd, 4)->fsync_flags = 7;
	CHECK_EQ(ring_one(&r), -EINVAL);
	struct io_uring_sqe *s = sqe(&r, IORING_OP_FALLOCATE, fd, 4);
	s->off = 0;
	s->addr = 20000;
	CHECK_EQ(ring_one(&r), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 20000);
	s = sqe(&r, IORING_OP_FADVISE, fd, 4);
	s->fadvise_advice = POSIX_FADV_WILLNEED;
	CHECK_EQ(ring_one(&r), 0);
	s = sqe(&r, IORING_OP_SYNC_FILE_RANGE, fd, 4);
	s->len = 100;
	CHECK_EQ(ring_one(&r), 0);
	s = sqe(&r, IORING_OP_MADVISE, -1, 4);
	s->addr = UPTR(buf) & ~4095ul;
	s->len = 4096;
	s->fadvise_advice = MADV_WILLNEED;
	CHECK_EQ(ring_one(&r), 0);
	close(fd);
	fd = OK(open("f", O_RDONLY));
	rw(&r, IORING_OP_WRITE, fd, buf, 8, 0, 1);
	CHECK_EQ(ring_one(&r), -EBADF);
	/* A link is read when its entry is: the vectors may go after the submission. */
	int p[2];
	OK(pipe(p));
	iov[0] = (struct iovec){buf, 4};
	iov[1] = (struct iovec){buf + 4, 4};
	rw(&r, IORING_OP_READV, p[0], iov, 2, 0, 9);
	CHECK_EQ(ring_submit(&r, 0), 1);
	memset(iov, 0, sizeof(iov));
	CHECK_EQ(write(p[1], "abcdefgh", 8), 8);
	CQE(&r, 9, 8);
	CHECK(!memcmp(buf, "abcdefgh", 8));
	ring_done(&r);
	close(fd);
	close(p[0]);
	close(p[1]);
}

static void waiting(unsigned flags)
{
	char buf[64], buf2[64];
	struct ring r;
	uint64_t v = 0, one = 1;
	int p[2], ev;

	SUBTEST("waiting");
	if (!ring_try(&r, 16, flags, 0))
		return;
	OK(pipe(p));
	ev = OK(eventfd(0, 0));
	rw(&r, IORING_OP_READ, p[0], buf, 64, 0, 1);
	rw(&r, IORING_OP_READ, ev, &v, 8, 0, 2);
	rw(&r, IORING_OP_READ, p[0], buf2, 64, 0, 3)->flags = IOSQE_ASYNC;
	CHECK_EQ(ring_submit(&r, 0), 3);
	msleep(20);
	CHECK_EQ(ring_ready(&r), 0);
	guest_checkpoint();
	CHECK_EQ(ring_ready(&r), 0);
	CHECK_EQ(write(ev, &one, 8), 8);
	CQE(&r, 2, 8);
	CHECK_EQ(v, 1);
	CHECK_EQ(write(p[1], "hello", 5), 5);
	struct cqe c = ring_wait(&r);
	CHECK_EQ(c.res, 5);
	CHECK(c.user_data == 1 || c.user_data == 3);
	guest_checkpoint();
	close(p[1]);
	CQE(&r, 4 - c.user_data, 0); /* end of file for the other */
	/* O_NONBLOCK makes no difference to a request that can wait. */
	OK(pipe2(p, O_NONBLOCK));
	rw(&r, IORING_OP_READ, p[0], buf, 64, 0, 1);
	CHECK_EQ(ring_submit(&r, 0), 1);
	rw(&r, IORING_OP_READ, p[0], buf, 64, 0, 2)->rw_flags = RWF_NOWAIT;
	CHECK_EQ(ring_submit(&r, 1), 1);
	CQE(&r, 2, -EAGAIN);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CQE(&r, 1, 1);
	/* A writer without readers: an error, and the signal. */
	guest_catch(SIGPIPE, 0);
	close(p[0]);
	rw(&r, IORING_OP_WRITE, p[1], buf, 1, 0, 5);
	CHECK_EQ(ring_one(&r), -EPIPE);
	close(p[1]);
	close(ev);
	ring_done(&r);
}

static void polls(void)
{
	struct io_uring_sqe *s;
	struct ring r;
	struct cqe c;
	char buf[8];
	int p[2], fd;

	SUBTEST("poll");
	ring_init(&r, 16, 0);
	OK(pipe(p));
	s = sqe(&r, IORING_OP_POLL_ADD, p[0], 1);
	s->poll32_events = POLLIN;
	CHECK_EQ(ring_submit(&r, 0), 1);
	guest_checkpoint();
	CHECK_EQ(ring_ready(&r), 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CQE(&r, 1, POLLIN);
	s = sqe(&r, IORING_OP_POLL_ADD, p[0], 2);
	s->poll32_events = POLLIN;
	CHECK_EQ(ring_one(&r), POLLIN);
	CHECK_EQ(read(p[0], buf, 1), 1);
	/* multishot */
	s = sqe(&r, IORING_OP_POLL_ADD, p[0], 3);
	s->poll32_events = POLLIN;
	s->len = IORING_POLL_ADD_MULTI;
	CHECK_EQ(ring_submit(&r, 0), 1);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(write(p[1], "x", 1), 1);
		c = CQE(&r, 3, POLLIN);
		CHECK_EQ(c.flags, IORING_CQE_F_MORE);
		CHECK_EQ(read(p[0], buf, 1), 1);
		guest_checkpoint();
	}
	msleep(20);
	CHECK_EQ(ring_ready(&r), 0);
	s = sqe(&r, IORING_OP_POLL_REMOVE, -1, 4);
	s->addr = 3;
	CHECK_EQ(ring_submit(&r, 2), 1);
	int seen = 0;
	for (int i = 0; i < 2; i++) {
		c = ring_wait(&r);
		if (c.user_data == 3) {
			CHECK_EQ(c.res, -ECANCELED);
			CHECK_EQ(c.flags, 0);
			seen |= 1;
		} else {
			CHECK_EQ(c.user_data, 4);
			CHECK_EQ(c.res, 0);
			seen |= 2;
		}
	}
	CHECK_EQ(seen, 3);
	s = sqe(&r, IORING_OP_POLL_REMOVE, -1, 4);
	s->addr = 99;
	CHECK_EQ(ring_one(&r), -ENOENT);
	/* update: other events, other data */
	s = sqe(&r, IORING_OP_POLL_ADD, p[1], 5);
	s->poll32_events = POLLPRI;
	CHECK_EQ(ring_submit(&r, 0), 1);
	s = sqe(&r, IORING_OP_POLL_REMOVE, -1, 6);
	s->addr = 5;
	s->len = IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA;
	s->off = 7;
	s->poll32_events = POLLOUT;
	CHECK_EQ(ring_submit(&r, 2), 1);
	for (int i = 0; i < 2; i++) {
		c = ring_wait(&r);
		if (c.user_data == 7)
			CHECK_EQ(c.res, POLLOUT);
		else
			CHECK_EQ(c.user_data, 6);
	}
	fd = OK(open("pf", O_RDWR | O_CREAT, 0600));
	s = sqe(&r, IORING_OP_POLL_ADD, fd, 8);
	s->poll32_events = POLLIN;
	CHECK_EQ(ring_one(&r), POLLIN);
	s = sqe(&r, IORING_OP_POLL_ADD, p[0], 8);
	s->poll32_events = POLLIN;
	s->len = 64;
	CHECK_EQ(ring_one(&r), -EINVAL);
	/* hung up, whatever was asked for */
	s = sqe(&r, IORING_OP_POLL_ADD, p[0], 9);
	s->poll32_events = POLLPRI;
	CHECK_EQ(ring_submit(&r, 0), 1);
	close(p[1]);
	CQE(&r, 9, POLLHUP);
	close(p[0]);
	close(fd);
	ring_done(&r);
}

static void timeouts(void)
{
	struct __kernel_timespec ts = {0, 40 * MS}, far = {100, 0};
	struct io_uring_sqe *s;
	struct ring r;
	struct cqe c;
	char buf[8];
	int p[2];
	int64_t t0;

	SUBTEST("timeout");
	ring_init(&r, 16, 0);
	OK(pipe(p));
	t0 = now_ns(CLOCK_MONOTONIC);
	rw(&r, IORING_OP_TIMEOUT, -1, &ts, 1, 0, 1);
	CHECK_EQ(ring_submit(&r, 0), 1);
	guest_checkpoint();
	CQE(&r, 1, -ETIME);
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 40 * MS);
	/* a number of completions instead */
	rw(&r, IORING_OP_TIMEOUT, -1, &far, 1, 2, 1);
	CHECK_EQ(ring_submit(&r, 0), 1);
	guest_checkpoint();
	sqe(&r, IORING_OP_NOP, -1, 2);
	CHECK_EQ(ring_submit(&r, 0), 1);
	CQE(&r, 2, 0);
	CHECK_EQ(ring_ready(&r), 0);
	sqe(&r, IORING_OP_NOP, -1, 3);
	CHECK_EQ(ring_submit(&r, 0), 1);
	CQE(&r, 3, 0);
	CQE(&r, 1, 0);
	/* removed, updated */
	rw(&r, IORING_OP_TIMEOUT, -1, &far, 1, 0, 4);
	CHECK_EQ(ring_submit(&r, 0), 1);
	sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, 5)->addr = 4;
	CHECK_EQ(ring_submit(&r, 2), 1);
	for (int i = 0; i < 2; i++) {
		c = ring_wait(&r);
		CHECK_EQ(c.res, c.user_data == 4 ? -ECANCELED : 0);
	}
	sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, 5)->addr = 4;
	CHECK_EQ(ring_one(&r), -ENOENT);
	rw(&r, IORING_OP_TIMEOUT, -1, &far, 1, 0, 6);
	CHECK_EQ(ring_submit(&r, 0), 1);
	s = sqe(&r, IORING_OP_TIMEOUT_REMOVE, -1, 7);
	s->addr = 6;
	s->addr2 = UPTR(&ts);
	s->timeout_flags = IORING_TIMEOUT_UPDATE;
	CHECK_EQ(ring_submit(&r, 0), 1);
	CQE(&r, 7, 0);
	CQE(&r, 6, -ETIME);
	/* success in disguise */
	rw(&r, IORING_OP_TIMEOUT, -1, &ts, 1, 0, 1)->timeout_flags = IORING_TIMEOUT_ETIME_SUCCESS;
	sqe(&r, IORING_OP_NOP, -1, 2);
	r.sqes[(r.tail - 2) & 15].flags = IOSQE_IO_LINK;
	CHECK_EQ(ring_submit(&r, 0), 2);
	CQE(&r, 1, -ETIME);
	CQE(&r, 2, 0);
	rw(&r, IORING_OP_TIMEOUT, -1, &ts, 2, 0, 1);
	CHECK_EQ(ring_one(&r), -EINVAL);
	rw(&r, IORING_OP_TIMEOUT, -1, (void *)8, 1, 0, 1);
	CHECK_EQ(ring_one(&r), -EFAULT);
	SUBTEST("linked timeout");
	rw(&r, IORING_OP_READ, p[0], buf, 8, 0, 1)->flags = IOSQE_IO_LINK;
	rw(&r, IORING_OP_LINK_TIMEOUT, -1, &ts, 1, 0, 2);
	CHECK_EQ(ring_submit(&r, 0), 2);
	guest_checkpoint();
	for (int i = 0; i < 2; i++) {
		c = ring_wait(&r);
		CHECK_EQ(c.res, c.user_data == 1 ? -ECANCELED : -ETIME);
	}
	rw(&r, IORING_OP_READ, p[0], buf, 8, 0, 1)->flags = IOSQE_IO_LINK;
	rw(&r, IORING_OP_LINK_TIMEOUT, -1, &far, 1, 0, 2)->flags = IOSQE_IO_LINK;
	sqe(&r, IORING_OP_NOP, -1, 3);
	CHECK_EQ(ring_submit(&r, 0), 3);
	guest_checkpoint();
	CHECK_EQ(write(p[1], "12345678", 8), 8);
	for (int i = 0; i < 3; i++) {
		c = ring_wait(&r);
		CHECK_EQ(c.res, c.user_data == 1 ? 8 : c.user_data == 2 ? -ECANCELED : 0);
	}
	sqe(&r, IORING_OP_NOP, -1, 1)->flags = IOSQE_IO_LINK;
	rw(&r, IORING_OP_LINK_TIMEOUT, -1, &far, 1, 0, 2);
	CHECK_EQ(ring_submit(&r, 2), 2);
	for (int i = 0; i < 2; i++) {
		c = ring_wait(&r);
		CHECK_EQ(c.res, c.user_data == 1 ? 0 : -ECANCELED);
	}
	rw(&r, IORING_OP_LINK_TIMEOUT, -1, &far, 1, 0, 2);
	CHECK_EQ(ring_one(&r), -EINVAL);
	close(p[0]);
	close(p[1]);
	ring_done(&r);
}

static void cancels(void)
{
	struct io_uring_sync_cancel_reg reg = {.addr = 7, .fd = -1, .timeout = {-1, -1}};
	struct io_uring_sqe *s;
	struct ring r;
	struct cqe c;
	char buf[8];
	int p[2], n;

	SUBTEST("cancel");
	ring_init(&r, 16, 0);
	OK(pipe(p));
	rw(&r, IORING_OP_READ, p[0], buf, 8, 0, 1);
	CHECK_EQ(ring_submit(&r, 0), 1);
	sqe(&r, IORING_OP_ASYNC_CANCEL, -1, 2)->addr = 1;
	CHECK_EQ(ring_submit(&r, 2), 1);
	for (int i = 0; i < 2; i++) {
		c = ring_wait(&r);
		CHECK_EQ(c.res, c.user_data == 1 ? -ECANCELED : 0);
	}
	sqe(&r, IORING_OP_ASYNC_CANCEL, -1, 2)->addr = 1;
	CHECK_EQ(ring_one(&r), -ENOENT);
	for (int i = 0; i < 3; i++)
		rw(&r, IORING_OP_READ, p[0], buf, 8, 0, 10);
	CHECK_EQ(ring_submit(&r, 0), 3);
	guest_checkpoint();
	s = sqe(&r, IORING_OP_ASYNC_CANCEL, -1, 2);
	s->addr = 10;
	s->cancel_flags = IORING_ASYNC_CANCEL_ALL;
	CHECK_EQ(ring_submit(&r, 4), 1);
	for (int i = 0; i < 4; i++) {
		c = ring_wait(&r);
		CHECK_EQ(c.res, c.user_data == 10 ? -ECANCELED : 3);
	}
	rw(&r, IORING_OP_READ, p[0], buf, 8, 0, 11);
	CHECK_EQ(ring_submit(&r, 0), 1);
	s = sqe(&r, IORING_OP_ASYNC_CANCEL, p[0], 2);
	s->cancel_flags = IORING_ASYNC_CANCEL_FD;
	CHECK_EQ(ring_submit(&r, 2), 1);
	for (int i = 0; i < 2; i++) {
		c = ring_wait(&r);
		CHECK_EQ(c.res, c.user_data == 11 ? -ECANCELED : 0);
	}
	rw(&r, IORING_OP_READ, p[0], buf, 8, 0, 7);
	CHECK_EQ(ring_submit(&r, 0), 1);
	n = io_uring_register(r.fd, IORING_REGISTER_SYNC_CANCEL, &reg, 1);
	CHECK_EQ(n, 0);
	CQE(&r, 7, -ECANCELED);
	CHECK_ERRNO(io_uring_register(r.fd, IORING_REGISTER_SYNC_CANCEL, &reg, 1), ENOENT);
	/* A worker that sleeps in open(): told, and ends interrupted. */
	OK(mkfifo("ff", 0600));
	s = sqe(&r, IORING_OP_OPENAT, AT_FDCWD, 12);
	s->addr = UPTR("ff");
	s->open_flags = O_RDONLY;
	s->flags = IOSQE_ASYNC;
	CHECK_EQ(ring_submit(&r, 0), 1);
	msleep(50);
	guest_checkpoint();
	CHECK_EQ(ring_ready(&r), 0);
	sqe(&r, IORING_OP_ASYNC_CANCEL, -1, 2)->addr = 12;
	CHECK_EQ(ring_submit(&r, 2), 1);
	for (int i = 0; i < 2; i++) {
		c = ring_wait(&r);
		if (c.user_data == 2)
			CHECK(c.res == -EALREADY || c.res == 0);
		else
			CHECK(c.res == -EINTR || c.res == -ECANCELED || c.res == -512); /* Linux lets ERESTARTSYS out */
	}
	/* The same, opened after all. */
	s = sqe(&r, IORING_OP_OPENAT, AT_FDCWD, 12);
	s->addr = UPTR("ff");
	s->open_flags = O_RDONLY;
	s->flags = IOSQE_ASYNC;
	CHECK_EQ(ring_submit(&r, 0), 1);
	guest_checkpoint();
	n = OK(open("ff", O_WRONLY));
	c = ring_wait(&r);
	CHECK(c.res > 2);
	close(c.res);
	close(n);
	/* Closing the ring, and an exit, end what is pending. */
	rw(&r, IORING_OP_READ, p[0], buf, 8, 0, 11);
	CHECK_EQ(ring_submit(&r, 0), 1);
	ring_done(&r);
	pid_t pid;
	CHILD (pid) {
		ring_init(&r, 4, 0);
		rw(&r, IORING_OP_READ, p[0], buf, 8, 0, 11);
		CHECK_EQ(ring_submit(&r, 0), 1);
		_exit(0);
	}
	guest_reap(pid);
	CHECK_EQ(write(p[1], "zz", 2), 2);
	CHECK_EQ(read(p[0], buf, 8), 2);
	close(p[0]);
	close(p[1]);
}

static void registered(void)
{
	static char a[8192], b[4096];
	struct iovec iov[2] = {{a, sizeof(a)}, {b, sizeof(b)}}, bad = {(void *)4096, 100};
	int fds[4], up = -1, p[2], q[2], ev;
	struct io_uring_files_update fu = {.offset = 1};
	struct ring r;
	uint64_t v;

	SUBTEST("registered");
	ring_init(&r, 8, 0);
	OK(pipe(p));
	OK(pipe(q));
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_BUFFERS, iov, 2), 0);
	CHECK_ERRNO(io_uring_register(r.fd, IORING_REGISTER_BUFFERS, iov, 2), EBUSY);
	guest_checkpoint();
	strcpy(a + 100, "fixed");
	rw(&r, IORING_OP_WRITE_FIXED, p[1], a + 100, 5, 0, 1)->buf_index = 0;
	CHECK_EQ(ring_one(&r), 5);
	rw(&r, IORING_OP_READ_FIXED, p[0], b, 4096, 0, 1)->buf_index = 1;
	CHECK_EQ(ring_one(&r), 5);
	CHECK(!memcmp(b, "fixed", 5));
	rw(&r, IORING_OP_READ_FIXED, p[0], b, 4097, 0, 1)->buf_index = 1;
	CHECK_EQ(ring_one(&r), -EFAULT);
	rw(&r, IORING_OP_READ_FIXED, p[0], b, 1, 0, 1)->buf_index = 2;
	CHECK_EQ(ring_one(&r), -EFAULT);
	CHECK_EQ(io_uring_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0), 0);
	CHECK_ERRNO(io_uring_register(r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0), ENXIO);
	CHECK_ERRNO(io_uring_register(r.fd, IORING_REGISTER_BUFFERS, &bad, 1), EFAULT);
	fds[0] = p[0];
	fds[1] = p[1];
	fds[2] = -1;
	fds[3] = q[1];
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_FILES, fds, 4), 0);
	close(p[1]);
	guest_checkpoint();
	rw(&r, IORING_OP_WRITE, 1, a + 100, 5, 0, 1)->flags = IOSQE_FIXED_FILE;
	CHECK_EQ(ring_one(&r), 5);
	rw(&r, IORING_OP_READ, 0, b, 4096, 0, 1)->flags = IOSQE_FIXED_FILE;
	CHECK_EQ(ring_one(&r), 5);
	rw(&r, IORING_OP_READ, 2, b, 4096, 0, 1)->flags = IOSQE_FIXED_FILE;
	CHECK_EQ(ring_one(&r), -EBADF);
	rw(&r, IORING_OP_READ, 9, b, 4096, 0, 1)->flags = IOSQE_FIXED_FILE;
	CHECK_EQ(ring_one(&r), -EBADF);
	fu.fds = UPTR(&up);
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_FILES_UPDATE, &fu, 1), 1);
	CHECK_EQ(read(p[0], b, 1), 0); /* the last writer is gone */
	CHECK_EQ(io_uring_register(r.fd, IORING_UNREGISTER_FILES, NULL, 0), 0);
	SUBTEST("eventfd");
	ev = OK(eventfd(0, EFD_NONBLOCK));
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_EVENTFD, &ev, 1), 0);
	guest_checkpoint();
	sqe(&r, IORING_OP_NOP, -1, 1);
	CHECK_EQ(ring_one(&r), 0);
	CHECK_EQ(read(ev, &v, 8), 8);
	CHECK_EQ(v, 1);
	CHECK_EQ(io_uring_register(r.fd, IORING_UNREGISTER_EVENTFD, NULL, 0), 0);
	SUBTEST("poll of the ring");
	struct pollfd pf = {r.fd, POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, 0), 0);
	rw(&r, IORING_OP_READ, q[0], b, 1, 0, 1);
	CHECK_EQ(ring_submit(&r, 0), 1);
	pid_t pid;
	CHILD (pid) {
		msleep(50);
		CHECK_EQ(write(q[1], "1", 1), 1);
		_exit(0);
	}
	guest_checkpoint();
	CHECK_EQ(poll(&pf, 1, -1), 1);
	CHECK_EQ(pf.revents, POLLIN);
	CQE(&r, 1, 1);
	guest_reap(pid);
	SUBTEST("probe, personality, ring fds");
	struct {
		struct io_uring_probe h;
		struct io_uring_probe_op op[64];
	} pr;
	memset(&pr, 0, sizeof(pr));
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_PROBE, &pr, 64), 0);
	CHECK(pr.h.last_op >= IORING_OP_LAST - 1);
	CHECK_EQ(pr.op[IORING_OP_READ].flags, IO_URING_OP_SUPPORTED);
	int id = OK(io_uring_register(r.fd, IORING_REGISTER_PERSONALITY, NULL, 0));
	guest_checkpoint();
	sqe(&r, IORING_OP_NOP, -1, 1)->personality = (uint16_t)id;
	CHECK_EQ(ring_one(&r), 0);
	CHECK_EQ(io_uring_register(r.fd, IORING_UNREGISTER_PERSONALITY, NULL, (unsigned)id), 0);
	CHECK_ERRNO(io_uring_register(r.fd, IORING_UNREGISTER_PERSONALITY, NULL, (unsigned)id), EINVAL);
	struct io_uring_rsrc_update ru = {.offset = UINT_MAX, .data = (uint64_t)r.fd};
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_RING_FDS, &ru, 1), 1);
	guest_checkpoint();
	sqe(&r, IORING_OP_NOP, -1, 77);
	ring_publish(&r);
	CHECK_EQ(io_uring_enter((int)ru.offset, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, NULL, 8), 1);
	CQE(&r, 77, 0);
	CHECK_ERRNO(io_uring_enter(9, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 8), EBADF);
	ring_done(&r);
}

void guest_test(void)
{
	files();
	waiting(0);
	waiting(IORING_SETUP_COOP_TASKRUN);
	polls();
	timeouts();
	cancels();
	registered();
}
