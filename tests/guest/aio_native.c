// SPDX-License-Identifier: Apache-2.0
/* Native AIO by raw calls: set-up, reads, writes, syncs, vectors, polls, eventfd, errors, the ring in user memory; pending over a checkpoint. */
#include "guest.h"
#include <linux/aio_abi.h>
#include <sys/eventfd.h>

struct user_ring {
	unsigned id, nr, head, tail, magic, compat, incompat, header;
	struct io_event ev[];
};

static long io_setup(unsigned n, aio_context_t *c)
{
	return syscall(SYS_io_setup, n, c);
}

static long io_submit(aio_context_t c, long n, struct iocb **v)
{
	return syscall(SYS_io_submit, c, n, v);
}

static long io_getevents(aio_context_t c, long min, long n, struct io_event *ev, struct timespec *ts)
{
	return syscall(SYS_io_getevents, c, min, n, ev, ts);
}

static struct iocb cb(int op, int fd, void *buf, size_t n, off_t off, uint64_t data)
{
	return (struct iocb){.aio_lio_opcode = (uint16_t)op, .aio_fildes = (uint32_t)fd, .aio_buf = (uint64_t)(uintptr_t)buf,
			     .aio_nbytes = n, .aio_offset = off, .aio_data = data};
}

static long one(aio_context_t c, struct iocb *i)
{
	return io_submit(c, 1, &i);
}

#define EVENT(c, d, r)                                                                                                 \
	do {                                                                                                           \
		struct io_event ev_;                                                                                   \
		CHECK_EQ(io_getevents(c, 1, 1, &ev_, NULL), 1);                                                        \
		CHECK_EQ(ev_.data, d);                                                                                 \
		/* A poll that slept tells all that the wake-up told. */                                               \
		CHECK_EQ(ev_.res > 0 && (r) == POLLIN ? ev_.res & POLLIN : ev_.res, r);                                \
	} while (0)

static long nr_aio(void)
{
	char b[32];

	return guest_read_file("/proc/sys/fs/aio-nr", b, sizeof(b)) > 0 ? atol(b) : -1;
}

void guest_test(void)
{
	struct iocb i, *v[4];
	struct io_event ev[8];
	struct timespec none = {0, 0}, soon = {0, 30 * MS};
	aio_context_t c = 0, bad = 0x1234;
	char buf[4096], two[64];
	long before = nr_aio();
	uint64_t n;
	int fd, e, p[2];
	pid_t pid;

	SUBTEST("setup");
	if (io_setup(64, &c) < 0 && errno == ENOSYS)
		SKIP("no native AIO");
	CHECK(c != 0);
	CHECK(nr_aio() >= before + 64);
	CHECK_ERRNO(io_setup(64, &c), EINVAL);
	aio_context_t d = 0;
	CHECK_ERRNO(io_setup(0, &d), EINVAL);
	CHECK_ERRNO(io_setup(1, (void *)8), EFAULT);
	CHECK_ERRNO(io_setup(500000000, &d), EINVAL);
	CHECK_ERRNO(syscall(SYS_io_destroy, bad), EINVAL);
	CHECK_ERRNO(io_submit(bad, 0, NULL), EINVAL);
	CHECK_ERRNO(io_getevents(bad, 0, 1, ev, &none), EINVAL);
	CHECK_EQ(io_submit(c, 0, NULL), 0);
	CHECK_ERRNO(io_submit(c, -1, NULL), EINVAL);
	CHECK_ERRNO(io_submit(c, 1, (void *)8), EFAULT);
	CHECK_ERRNO(io_getevents(c, 2, 1, ev, &none), EINVAL);
	CHECK_EQ(io_getevents(c, 1, 1, ev, &none), 0);
	struct user_ring *ur = (void *)c;
	CHECK_EQ(ur->magic, 0xa10a10a1);
	CHECK_EQ(ur->header, 32);
	CHECK(ur->nr >= 64);
	SUBTEST("files");
	fd = OK(open("f", O_RDWR | O_CREAT, 0600));
	guest_fill(buf, sizeof(buf), 3);
	i = cb(IOCB_CMD_PWRITE, fd, buf, 4096, 100, 7);
	CHECK_EQ(one(c, &i), 1);
	guest_checkpoint();
	CHECK_EQ(io_getevents(c, 1, 8, ev, NULL), 1);
	CHECK_EQ(ev[0].data, 7);
	CHECK_EQ(ev[0].obj, (uint64_t)(uintptr_t)&i);
	CHECK_EQ(ev[0].res, 4096);
	CHECK_EQ(ev[0].res2, 0);
	memset(buf, 0, sizeof(buf));
	i = cb(IOCB_CMD_PREAD, fd, buf, 4096, 100, 8);
	CHECK_EQ(one(c, &i), 1);
	EVENT(c, 8, 4096);
	CHECK(guest_filled(buf, 4096, 3));
	i = cb(IOCB_CMD_PREAD, fd, buf, 4096, 5000, 8);
	CHECK_EQ(one(c, &i), 1);
	EVENT(c, 8, 0);
	struct iovec iov[2] = {{buf, 10}, {two, 20}};
	i = cb(IOCB_CMD_PREADV, fd, iov, 2, 100, 9);
	CHECK_EQ(one(c, &i), 1);
	EVENT(c, 9, 30);
	i = cb(IOCB_CMD_PWRITEV, fd, iov, 2, 8000, 9);
	CHECK_EQ(one(c, &i), 1);
	EVENT(c, 9, 30);
	i = cb(IOCB_CMD_FSYNC, fd, NULL, 0, 0, 10);
	CHECK_EQ(one(c, &i), 1);
	EVENT(c, 10, 0);
	i = cb(IOCB_CMD_FDSYNC, fd, NULL, 0, 0, 11);
	CHECK_EQ(one(c, &i), 1);
	EVENT(c, 11, 0);
	i = cb(IOCB_CMD_PREAD, fd, (void *)8, 16, 0, 12);
	CHECK_EQ(one(c, &i), 1);
	EVENT(c, 12, -EFAULT);
	i = cb(IOCB_CMD_PREAD, 999, buf, 16, 0, 12);
	CHECK_ERRNO(one(c, &i), EBADF);
	i = cb(77, fd, buf, 16, 0, 12);
	CHECK_ERRNO(one(c, &i), EINVAL);
	i = cb(IOCB_CMD_PREAD, fd, buf, 16, -3, 12);
	CHECK_ERRNO(one(c, &i), EINVAL);
	i = cb(IOCB_CMD_PREAD, fd, buf, 16, 0, 12);
	i.aio_reserved2 = 1;
	CHECK_ERRNO(one(c, &i), EINVAL);
	i.aio_reserved2 = 0;
	i.aio_rw_flags = 0x4000;
	CHECK_ERRNO(one(c, &i), EOPNOTSUPP);
	/* Several, the last of them bad: the first count. */
	struct iocb j = cb(IOCB_CMD_PREAD, fd, buf, 16, 0, 13), k = cb(55, fd, buf, 16, 0, 14);
	v[0] = v[1] = &j;
	v[2] = &k;
	CHECK_EQ(io_submit(c, 3, v), 2);
	guest_checkpoint();
	CHECK_EQ(io_getevents(c, 2, 8, ev, &soon), 2);
	CHECK_EQ(ev[0].data, 13);
	CHECK_EQ(ev[1].data, 13);
	SUBTEST("ring in user memory");
	CHECK_EQ(one(c, &j), 1);
	CHECK_EQ(one(c, &j), 1);
	CHECK_EQ((ur->tail + ur->nr - ur->head) % ur->nr, 2);
	CHECK_EQ(ur->ev[ur->head].data, 13);
	ur->head = (ur->head + 1) % ur->nr;
	guest_checkpoint();
	CHECK_EQ(io_getevents(c, 0, 8, ev, &none), 1);
	SUBTEST("eventfd");
	e = OK(eventfd(0, EFD_NONBLOCK));
	j.aio_flags = IOCB_FLAG_RESFD;
	j.aio_resfd = (uint32_t)e;
	CHECK_EQ(one(c, &j), 1);
	CHECK_EQ(read(e, &n, 8), 8);
	CHECK_EQ(n, 1);
	EVENT(c, 13, 16);
	j.aio_resfd = (uint32_t)fd;
	CHECK_ERRNO(one(c, &j), EINVAL);
	SUBTEST("poll");
	OK(pipe(p));
	i = cb(IOCB_CMD_POLL, p[0], NULL, 0, 0, 20);
	i.aio_buf = POLLIN;
	i.aio_flags = IOCB_FLAG_RESFD;
	i.aio_resfd = (uint32_t)e;
	CHECK_EQ(one(c, &i), 1);
	CHECK_EQ(io_getevents(c, 1, 1, ev, &soon), 0);
	guest_checkpoint();
	CHECK_EQ(io_getevents(c, 1, 1, ev, &none), 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	EVENT(c, 20, POLLIN);
	/* The counter is told right after the ring. */
	struct pollfd pf = {e, POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, -1), 1);
	CHECK_EQ(read(e, &n, 8), 8);
	i = cb(IOCB_CMD_POLL, p[0], NULL, 0, 0, 21);
	i.aio_buf = POLLIN;
	CHECK_EQ(one(c, &i), 1);
	EVENT(c, 21, POLLIN);
	i.aio_nbytes = 1;
	CHECK_ERRNO(one(c, &i), EINVAL);
	SUBTEST("cancel");
	CHECK_EQ(read(p[0], buf, 4), 1);
	i = cb(IOCB_CMD_POLL, p[0], NULL, 0, 0, 22);
	i.aio_buf = POLLIN;
	CHECK_EQ(one(c, &i), 1);
	guest_checkpoint();
	CHECK_ERRNO(syscall(SYS_io_cancel, c, &i, ev), EINPROGRESS);
	EVENT(c, 22, 0);
	CHECK_ERRNO(syscall(SYS_io_cancel, c, &i, ev), EINVAL);
	SUBTEST("a wait that sleeps");
	i = cb(IOCB_CMD_POLL, p[0], NULL, 0, 0, 23);
	i.aio_buf = POLLIN;
	CHECK_EQ(one(c, &i), 1);
	CHILD (pid) {
		msleep(150);
		CHECK_EQ(write(p[1], "w", 1), 1);
		_exit(0);
	}
	EVENT(c, 23, POLLIN);
	guest_reap(pid);
	CHECK_EQ(read(p[0], buf, 4), 1);
	/* Another process waits over the checkpoint: contexts are not inherited, so it has its own. */
	struct gate g;
	gate_init(&g);
	CHILD (pid) {
		aio_context_t mine = 0;

		CHECK_ERRNO(io_getevents(c, 0, 1, ev, &none), EINVAL);
		CHECK_EQ(io_setup(4, &mine), 0);
		i = cb(IOCB_CMD_POLL, p[0], NULL, 0, 0, 24);
		i.aio_buf = POLLIN;
		CHECK_EQ(one(mine, &i), 1);
		gate_post(&g);
		EVENT(mine, 24, POLLIN);
		_exit(0);
	}
	gate_wait(&g);
	guest_blocked(pid);
	guest_checkpoint();
	CHECK_EQ(write(p[1], "w", 1), 1);
	guest_reap(pid);
	SUBTEST("full");
	CHECK_EQ(io_setup(1, &d), 0);
	int count = 0;
	i = cb(IOCB_CMD_PREAD, fd, buf, 16, 0, 12);
	while (one(d, &i) == 1)
		count++;
	CHECK_EQ(errno, EAGAIN);
	CHECK(count >= 1);
	CHECK_EQ(io_getevents(d, 1, 1, ev, NULL), 1);
	CHECK_EQ(one(d, &i), 1);
	CHECK_EQ(syscall(SYS_io_destroy, d), 0);
	CHECK_ERRNO(syscall(SYS_io_destroy, d), EINVAL);
	CHECK_EQ(syscall(SYS_io_destroy, c), 0);
	CHECK_ERRNO(io_submit(c, 0, NULL), EINVAL);
}
