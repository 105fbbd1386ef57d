// SPDX-License-Identifier: Apache-2.0
/* io_uring: setup and its errors, rings, NOP, links, drain, overflow, skipped completions, time-outs of the wait. */
#include "uring.h"

static void setup_errors(void)
{
	struct io_uring_params p = {0};
	int fd;

	SUBTEST("setup");
	CHECK_ERRNO(io_uring_setup(0, &p), EINVAL);
	CHECK_ERRNO(io_uring_setup(1, NULL), EFAULT);
	CHECK_ERRNO(io_uring_setup(40000, &p), EINVAL);
	p.flags = 1u << 30;
	CHECK_ERRNO(io_uring_setup(1, &p), EINVAL);
	p = (struct io_uring_params){.flags = IORING_SETUP_CQSIZE};
	CHECK_ERRNO(io_uring_setup(4, &p), EINVAL);
	p = (struct io_uring_params){.flags = IORING_SETUP_CQSIZE, .cq_entries = 2};
	CHECK_ERRNO(io_uring_setup(4, &p), EINVAL);
	p = (struct io_uring_params){.resv = {0, 1}};
	CHECK_ERRNO(io_uring_setup(4, &p), EINVAL);
	p = (struct io_uring_params){.flags = IORING_SETUP_SQ_AFF};
	CHECK_ERRNO(io_uring_setup(4, &p), EINVAL);
	p = (struct io_uring_params){.flags = IORING_SETUP_DEFER_TASKRUN};
	CHECK_ERRNO(io_uring_setup(4, &p), EINVAL);
	p = (struct io_uring_params){.flags = IORING_SETUP_TASKRUN_FLAG};
	CHECK_ERRNO(io_uring_setup(4, &p), EINVAL);
	p = (struct io_uring_params){.flags = IORING_SETUP_ATTACH_WQ, .wq_fd = (unsigned)-1};
	CHECK(io_uring_setup(4, &p) == -1);
	p = (struct io_uring_params){.flags = IORING_SETUP_CLAMP};
	fd = OK(io_uring_setup(70000, &p));
	CHECK_EQ(p.sq_entries, 32768);
	CHECK_EQ(p.cq_entries, 65536);
	close(fd);
	p = (struct io_uring_params){.flags = IORING_SETUP_CQSIZE, .cq_entries = 17};
	fd = OK(io_uring_setup(5, &p));
	CHECK_EQ(p.sq_entries, 8);
	CHECK_EQ(p.cq_entries, 32);
	CHECK_EQ(p.features & 0x1fff, 0x1fff);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK_ERRNO(io_uring_enter(fd, 0, 0, 1u << 20, NULL, 0), EINVAL);
	CHECK_ERRNO(io_uring_enter(0, 0, 0, 0, NULL, 0), EOPNOTSUPP);
	CHECK_ERRNO(io_uring_enter(999, 0, 0, 0, NULL, 0), EBADF);
	CHECK_EQ(io_uring_enter(fd, 1, 0, 0, NULL, 0), 0);
	close(fd);
}

static void nops(unsigned flags)
{
	struct ring r;

	SUBTEST("nop");
	if (!ring_try(&r, 4, flags, 0))
		return;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 4; i++)
			sqe(&r, IORING_OP_NOP, -1, (uint64_t)(round * 10 + i));
		if (round == 2)
			guest_checkpoint();
		CHECK_EQ(ring_submit(&r, 4), 4);
		CHECK_EQ(ring_ready(&r), 4);
		if (round == 3)
			guest_checkpoint();
		for (int i = 0; i < 4; i++)
			CQE(&r, round * 10 + i, 0);
	}
	CHECK_EQ(rload(&r, r.p.sq_off.head), 20);
	ring_done(&r);
}

static void bad_entries(void)
{
	struct ring r;

	SUBTEST("bad entries");
	ring_init(&r, 8, 0);
	sqe(&r, 200, -1, 1);
	sqe(&r, IORING_OP_NOP, -1, 2);
	CHECK_EQ(ring_submit(&r, 0), 1); /* stops behind the bad one */
	CQE(&r, 1, -EINVAL);
	CHECK_EQ(io_uring_enter(r.fd, 1, 0, 0, NULL, 0), 1);
	CQE(&r, 2, 0);
	sqe(&r, IORING_OP_NOP, -1, 3)->flags = 0x80;
	CHECK_EQ(ring_one(&r), -EINVAL);
	sqe(&r, IORING_OP_FSYNC, -1, 3)->flags = IOSQE_BUFFER_SELECT;
	CHECK_EQ(ring_one(&r), -EOPNOTSUPP);
	sqe(&r, IORING_OP_FSYNC, -1, 3)->ioprio = 1;
	CHECK_EQ(ring_one(&r), -EINVAL);
	sqe(&r, IORING_OP_READ, 777, 3);
	CHECK_EQ(ring_one(&r), -EBADF);
	sqe(&r, IORING_OP_FSYNC, 0, 3)->personality = 9;
	CHECK_EQ(ring_one(&r), -EINVAL);
	sqe(&r, IORING_OP_NOP, 0, 4);
	RWORD(&r, r.p.sq_off.array)[(r.tail - 1) & 7] = 99;
	CHECK_EQ(ring_submit(&r, 0), 0);
	CHECK_EQ(rload(&r, r.p.sq_off.dropped), 1);
	ring_done(&r);
	if (ring_try(&r, 8, IORING_SETUP_SUBMIT_ALL, 0)) {
		sqe(&r, 200, -1, 1);
		sqe(&r, IORING_OP_NOP, -1, 2);
		CHECK_EQ(ring_submit(&r, 0), 2);
		CQE(&r, 1, -EINVAL);
		CQE(&r, 2, 0);
		ring_done(&r);
	}
}

static void links(void)
{
	struct ring r;
	char buf[16];
	int p[2];

	SUBTEST("links");
	ring_init(&r, 16, 0);
	OK(pipe(p));
	for (int i = 1; i <= 3; i++)
		sqe(&r, IORING_OP_NOP, -1, (uint64_t)i)->flags = i < 3 ? IOSQE_IO_LINK : 0;
	CHECK_EQ(ring_submit(&r, 3), 3);
	for (int i = 1; i <= 3; i++)
		CQE(&r, i, 0);
	/* A failure takes the rest along; a hard link does not mind. */
	sqe(&r, IORING_OP_READ, 888, 1)->flags = IOSQE_IO_LINK;
	sqe(&r, IORING_OP_NOP, -1, 2)->flags = IOSQE_IO_LINK;
	sqe(&r, IORING_OP_NOP, -1, 3);
	CHECK_EQ(ring_submit(&r, 3), 3);
	CQE(&r, 1, -EBADF);
	CQE(&r, 2, -ECANCELED);
	CQE(&r, 3, -ECANCELED);
	sqe(&r, IORING_OP_READ, 888, 1)->flags = IOSQE_IO_HARDLINK;
	sqe(&r, IORING_OP_NOP, -1, 2);
	CHECK_EQ(ring_submit(&r, 2), 2);
	CQE(&r, 1, -EBADF);
	CQE(&r, 2, 0);
	/* An entry refused in the middle fails the whole chain. */
	sqe(&r, IORING_OP_NOP, -1, 1)->flags = IOSQE_IO_LINK;
	sqe(&r, 250, -1, 2)->flags = IOSQE_IO_LINK;
	sqe(&r, IORING_OP_NOP, -1, 3);
	CHECK_EQ(ring_submit(&r, 3), 3);
	CQE(&r, 1, -ECANCELED);
	CQE(&r, 2, -EINVAL);
	CQE(&r, 3, -ECANCELED);
	/* A chain whose head waits. */
	struct io_uring_sqe *s = sqe(&r, IORING_OP_READ, p[0], 1);
	s->addr = UPTR(buf);
	s->len = 4;
	s->flags = IOSQE_IO_LINK;
	s = sqe(&r, IORING_OP_WRITE, p[1], 2);
	s->addr = UPTR("WXYZ");
	s->len = 4;
	s->flags = IOSQE_IO_LINK;
	sqe(&r, IORING_OP_NOP, -1, 3);
	CHECK_EQ(ring_submit(&r, 0), 3);
	CHECK_EQ(ring_ready(&r), 0);
	guest_checkpoint();
	CHECK_EQ(ring_ready(&r), 0);
	CHECK_EQ(write(p[1], "abcd", 4), 4);
	CQE(&r, 1, 4);
	CQE(&r, 2, 4);
	CQE(&r, 3, 0);
	CHECK(!memcmp(buf, "abcd", 4));
	CHECK_EQ(read(p[0], buf, 16), 4);
	CHECK(!memcmp(buf, "WXYZ", 4));
	/* A short read ends a chain. */
	CHECK_EQ(write(p[1], "ab", 2), 2);
	s = sqe(&r, IORING_OP_READ, p[0], 1);
	s->addr = UPTR(buf);
	s->len = 4;
	s->flags = IOSQE_IO_LINK;
	sqe(&r, IORING_OP_NOP, -1, 2);
	CHECK_EQ(ring_submit(&r, 2), 2);
	CQE(&r, 1, 2);
	CQE(&r, 2, -ECANCELED);
	SUBTEST("skip");
	sqe(&r, IORING_OP_NOP, -1, 1)->flags = IOSQE_CQE_SKIP_SUCCESS;
	sqe(&r, IORING_OP_NOP, -1, 2);
	sqe(&r, IORING_OP_READ, 888, 3)->flags = IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK;
	sqe(&r, IORING_OP_NOP, -1, 4);
	CHECK_EQ(ring_submit(&r, 2), 4);
	CQE(&r, 2, 0);
	CQE(&r, 3, -EBADF);
	CHECK_EQ(ring_ready(&r), 0);
	sqe(&r, IORING_OP_NOP, -1, 5)->flags = IOSQE_IO_DRAIN;
	CHECK_EQ(ring_one(&r), -EOPNOTSUPP);
	ring_done(&r);
	close(p[0]);
	close(p[1]);
}

static void drain(void)
{
	struct io_uring_sqe *s;
	struct ring r;
	char buf[8];
	int p[2];

	SUBTEST("drain");
	ring_init(&r, 16, 0);
	OK(pipe(p));
	s = sqe(&r, IORING_OP_READ, p[0], 1);
	s->addr = UPTR(buf);
	s->len = 1;
	sqe(&r, IORING_OP_NOP, -1, 2)->flags = IOSQE_IO_DRAIN;
	sqe(&r, IORING_OP_NOP, -1, 3);
	CHECK_EQ(ring_submit(&r, 0), 3);
	msleep(30);
	CHECK_EQ(ring_ready(&r), 0);
	guest_checkpoint();
	CHECK_EQ(ring_ready(&r), 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CQE(&r, 1, 1);
	CQE(&r, 2, 0);
	CQE(&r, 3, 0);
	ring_done(&r);
	close(p[0]);
	close(p[1]);
}

static void overflow(void)
{
	struct ring r;

	SUBTEST("overflow");
	CHECK(ring_try(&r, 4, 0, 4));
	for (int i = 0; i < 12; i++) {
		sqe(&r, IORING_OP_NOP, -1, (uint64_t)i);
		if (i % 4 == 3)
			CHECK_EQ(ring_submit(&r, 0), 4);
	}
	CHECK_EQ(ring_ready(&r), 4);
	CHECK_EQ(rload(&r, r.p.sq_off.flags) & IORING_SQ_CQ_OVERFLOW, IORING_SQ_CQ_OVERFLOW);
	CHECK_EQ(rload(&r, r.p.cq_off.overflow), 0);
	guest_checkpoint();
	for (int i = 0; i < 12; i++)
		CQE(&r, i, 0);
	CHECK_EQ(rload(&r, r.p.sq_off.flags) & IORING_SQ_CQ_OVERFLOW, 0);
	ring_done(&r);
}

static void waits(void)
{
	struct __kernel_timespec ts = {0, 30 * MS};
	struct io_uring_getevents_arg arg = {.ts = UPTR(&ts)};
	struct ring r;
	int64_t t0 = now_ns(CLOCK_MONOTONIC);

	SUBTEST("wait");
	ring_init(&r, 4, 0);
	CHECK_ERRNO(io_uring_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)), ETIME);
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 30 * MS);
	CHECK_ERRNO(io_uring_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, 3), EINVAL);
	CHECK_ERRNO(io_uring_enter(r.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, (void *)8, sizeof(arg)), EFAULT);
	CHECK_EQ(io_uring_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0), 0);
	sqe(&r, IORING_OP_NOP, -1, 1);
	CHECK_EQ(ring_submit(&r, 0), 1);
	/* Something is there: fewer than asked for, but not nothing. */
	CHECK_EQ(io_uring_enter(r.fd, 0, 2, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg)), 0);
	CQE(&r, 1, 0);
	ring_done(&r);
}

static void big(void)
{
	struct ring r;

	SUBTEST("big entries");
	if (ring_try(&r, 4, IORING_SETUP_SQE128 | IORING_SETUP_CQE32, 0)) {
		for (int i = 0; i < 9; i++) {
			sqe(&r, IORING_OP_NOP, -1, (uint64_t)i);
			CHECK_EQ(ring_submit(&r, 1), 1);
			CQE(&r, i, 0);
		}
		ring_done(&r);
	}
}

void guest_test(void)
{
	setup_errors();
	nops(0);
	nops(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	bad_entries();
	links();
	drain();
	overflow();
	waits();
	big();
}
