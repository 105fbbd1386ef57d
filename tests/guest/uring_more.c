// SPDX-License-Identifier: Apache-2.0
/* io_uring: operations on names and descriptors, direct descriptors, splice, SQPOLL, DEFER_TASKRUN, restrictions, workers, exec and threads. */
#include "uring.h"
#include <linux/openat2.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/xattr.h>

static struct io_uring_sqe *at(struct ring *r, int op, int fd, const void *a, unsigned len, const void *a2)
{
	struct io_uring_sqe *s = sqe(r, op, fd, 1);

	s->addr = UPTR(a);
	s->len = len;
	s->addr2 = UPTR(a2);
	return s;
}

static void names(void)
{
	struct open_how how = {.flags = O_RDWR | O_CREAT | O_EXCL, .mode = 0600};
	struct io_uring_sqe *s;
	struct statx sx;
	struct stat st;
	struct ring r;
	char buf[64], path[16];
	int fd;

	SUBTEST("names");
	ring_init(&r, 16, 0);
	at(&r, IORING_OP_MKDIRAT, AT_FDCWD, "d", 0755, NULL);
	CHECK_EQ(ring_one(&r), 0);
	at(&r, IORING_OP_MKDIRAT, AT_FDCWD, "d", 0755, NULL);
	CHECK_EQ(ring_one(&r), -EEXIST);
	s = at(&r, IORING_OP_OPENAT, AT_FDCWD, "d/f", 0644, NULL);
	s->open_flags = O_RDWR | O_CREAT;
	fd = ring_one(&r);
	CHECK(fd > 2);
	CHECK_EQ(write(fd, "content", 7), 7);
	sqe(&r, IORING_OP_CLOSE, fd, 1);
	CHECK_EQ(ring_one(&r), 0);
	sqe(&r, IORING_OP_CLOSE, fd, 1);
	CHECK_EQ(ring_one(&r), -EBADF);
	s = at(&r, IORING_OP_OPENAT2, AT_FDCWD, "d/g", sizeof(how), &how);
	fd = ring_one(&r);
	CHECK(fd > 2);
	close(fd);
	at(&r, IORING_OP_OPENAT2, AT_FDCWD, "d/g", sizeof(how), &how);
	CHECK_EQ(ring_one(&r), -EEXIST);
	at(&r, IORING_OP_OPENAT2, AT_FDCWD, "d/g", 4, &how);
	CHECK_EQ(ring_one(&r), -EINVAL);
	at(&r, IORING_OP_OPENAT, AT_FDCWD, "nope", 0, NULL);
	CHECK_EQ(ring_one(&r), -ENOENT);
	at(&r, IORING_OP_OPENAT, AT_FDCWD, (void *)8, 0, NULL);
	CHECK_EQ(ring_one(&r), -EFAULT);
	s = at(&r, IORING_OP_STATX, AT_FDCWD, "d/f", STATX_ALL, &sx);
	CHECK_EQ(ring_one(&r), 0);
	CHECK_EQ(sx.stx_size, 7);
	at(&r, IORING_OP_LINKAT, AT_FDCWD, "d/f", (unsigned)AT_FDCWD, "d/h");
	CHECK_EQ(ring_one(&r), 0);
	CHECK_EQ(stat("d/h", &st), 0);
	CHECK_EQ(st.st_nlink, 2);
	at(&r, IORING_OP_SYMLINKAT, AT_FDCWD, "f", 0, "d/s");
	CHECK_EQ(ring_one(&r), 0);
	CHECK_EQ(readlink("d/s", buf, 64), 1);
	s = at(&r, IORING_OP_RENAMEAT, AT_FDCWD, "d/h", (unsigned)AT_FDCWD, "d/i");
	CHECK_EQ(ring_one(&r), 0);
	at(&r, IORING_OP_UNLINKAT, AT_FDCWD, "d/i", 0, NULL);
	CHECK_EQ(ring_one(&r), 0);
	at(&r, IORING_OP_UNLINKAT, AT_FDCWD, "d", 0, NULL)->unlink_flags = AT_REMOVEDIR;
	CHECK_EQ(ring_one(&r), -ENOTEMPTY);
	at(&r, IORING_OP_UNLINKAT, AT_FDCWD, "d/s", 3, NULL);
	CHECK_EQ(ring_one(&r), -EINVAL);
	s = at(&r, IORING_OP_UNLINKAT, AT_FDCWD, "d/s", 0, NULL);
	s->flags = IOSQE_FIXED_FILE;
	CHECK_EQ(ring_one(&r), -EBADF);
	/* Names are read at submission: these are gone when their turn comes. */
	int p[2];
	OK(pipe(p));
	s = at(&r, IORING_OP_READ, p[0], buf, 1, NULL);
	s->flags = IOSQE_IO_LINK;
	strcpy(path, "later");
	at(&r, IORING_OP_MKDIRAT, AT_FDCWD, path, 0755, NULL);
	CHECK_EQ(ring_submit(&r, 0), 2);
	strcpy(path, "wrong");
	guest_checkpoint();
	CHECK_EQ(write(p[1], "1", 1), 1);
	CQE(&r, 1, 1);
	CQE(&r, 1, 0);
	CHECK_EQ(stat("later", &st), 0);
	CHECK_ERRNO(stat("wrong", &st), ENOENT);
	SUBTEST("xattr");
	s = at(&r, IORING_OP_SETXATTR, 0, "user.x", 3, "val");
	s->addr3 = UPTR("d/f");
	int res = ring_one(&r);
	if (res == 0) {
		s = at(&r, IORING_OP_GETXATTR, 0, "user.x", 64, buf);
		s->addr3 = UPTR("d/f");
		CHECK_EQ(ring_one(&r), 3);
		CHECK(!memcmp(buf, "val", 3));
		fd = OK(open("d/f", O_RDWR));
		at(&r, IORING_OP_FSETXATTR, fd, "user.y", 2, "vv");
		CHECK_EQ(ring_one(&r), 0);
		at(&r, IORING_OP_FGETXATTR, fd, "user.y", 64, buf);
		CHECK_EQ(ring_one(&r), 2);
		at(&r, IORING_OP_FGETXATTR, fd, "user.z", 64, buf);
		CHECK_EQ(ring_one(&r), -ENODATA);
		close(fd);
	} else {
		CHECK_EQ(res, -EOPNOTSUPP);
	}
	SUBTEST("epoll_ctl, splice");
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 42};
	int ep = OK(epoll_create1(0)), q[2];
	s = at(&r, IORING_OP_EPOLL_CTL, ep, &ev, EPOLL_CTL_ADD, NULL);
	s->off = (uint64_t)p[0];
	CHECK_EQ(ring_one(&r), 0);
	CHECK_EQ(write(p[1], "spliced", 7), 7);
	CHECK_EQ(epoll_wait(ep, &ev, 1, -1), 1);
	CHECK_EQ(ev.data.u64, 42);
	OK(pipe(q));
	s = sqe(&r, IORING_OP_TEE, q[1], 1);
	s->splice_fd_in = p[0];
	s->len = 7;
	CHECK_EQ(ring_one(&r), 7);
	CHECK_EQ(read(q[0], buf, 64), 7);
	s = sqe(&r, IORING_OP_SPLICE, q[1], 1);
	s->splice_fd_in = p[0];
	s->len = 64;
	s->off = s->splice_off_in = (uint64_t)-1;
	CHECK_EQ(ring_one(&r), 7);
	CHECK_EQ(read(q[0], buf, 64), 7);
	/* A splice that sleeps. */
	s = sqe(&r, IORING_OP_SPLICE, q[1], 9);
	s->splice_fd_in = p[0];
	s->len = 64;
	s->off = s->splice_off_in = (uint64_t)-1;
	CHECK_EQ(ring_submit(&r, 0), 1);
	msleep(20);
	guest_checkpoint();
	CHECK_EQ(ring_ready(&r), 0);
	CHECK_EQ(write(p[1], "late", 4), 4);
	CQE(&r, 9, 4);
	CHECK_EQ(read(q[0], buf, 64), 4);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(q[i]);
	}
	close(ep);
	ring_done(&r);
}

static void direct(void)
{
	struct io_uring_rsrc_register reg = {.nr = 8, .flags = IORING_RSRC_REGISTER_SPARSE};
	struct io_uring_file_index_range range = {.off = 4, .len = 2};
	struct io_uring_sqe *s;
	struct ring r;
	char buf[16];

	SUBTEST("direct descriptors");
	ring_init(&r, 8, 0);
	s = at(&r, IORING_OP_OPENAT, AT_FDCWD, "df", 0600, NULL);
	s->open_flags = O_RDWR | O_CREAT;
	s->file_index = 1;
	CHECK_EQ(ring_one(&r), -ENXIO);
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_FILES2, &reg, sizeof(reg)), 0);
	/* Opened, written, read and closed by one chain, without a number of the process. */
	int before = guest_count_fds();
	s = at(&r, IORING_OP_OPENAT, AT_FDCWD, "df", 0600, NULL);
	s->open_flags = O_RDWR | O_CREAT;
	s->file_index = 3;
	s->flags = IOSQE_IO_LINK;
	s = at(&r, IORING_OP_WRITE, 2, "direct", 6, NULL);
	s->flags = IOSQE_FIXED_FILE | IOSQE_IO_LINK;
	s = at(&r, IORING_OP_READ, 2, buf, 6, NULL);
	s->flags = IOSQE_FIXED_FILE | IOSQE_IO_LINK;
	s = sqe(&r, IORING_OP_CLOSE, 0, 1);
	s->file_index = 3;
	CHECK_EQ(ring_submit(&r, 4), 4);
	CQE(&r, 1, 0);
	CQE(&r, 1, 6);
	CQE(&r, 1, 6);
	CQE(&r, 1, 0);
	CHECK(!memcmp(buf, "direct", 6));
	CHECK_EQ(guest_count_fds(), before);
	s = sqe(&r, IORING_OP_CLOSE, 0, 1);
	s->file_index = 3;
	CHECK_EQ(ring_one(&r), -EBADF);
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_FILE_ALLOC_RANGE, &range, 0), 0);
	guest_checkpoint();
	for (int i = 0; i < 3; i++) {
		s = sqe(&r, IORING_OP_SOCKET, AF_UNIX, 1);
		s->off = SOCK_STREAM;
		s->file_index = IORING_FILE_INDEX_ALLOC;
		CHECK_EQ(ring_one(&r), i < 2 ? 4 + i : -ENFILE);
	}
	s = at(&r, IORING_OP_OPENAT, AT_FDCWD, "df", 0600, NULL);
	s->open_flags = O_RDWR | O_CLOEXEC;
	s->file_index = 1;
	CHECK_EQ(ring_one(&r), -EINVAL);
	int two[2] = {1, -1};
	s = at(&r, IORING_OP_FILES_UPDATE, -1, two, 2, NULL);
	s->off = 0;
	CHECK_EQ(ring_one(&r), 2);
	SUBTEST("tags");
	struct io_uring_rsrc_update2 up = {.offset = 0, .nr = 1, .data = UPTR(two), .tags = UPTR(&(uint64_t){777})};
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_FILES_UPDATE2, &up, sizeof(up)), 1);
	guest_checkpoint();
	two[0] = -1;
	up.tags = 0;
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_FILES_UPDATE2, &up, sizeof(up)), 1);
	CQE(&r, 777, 0);
	ring_done(&r);
}

static void sqpoll(void)
{
	struct io_uring_params p = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 50};
	struct ring r = {0};
	char buf[8];
	int pp[2];

	SUBTEST("sqpoll");
	r.p = p;
	r.fd = io_uring_setup(8, &r.p);
	if (r.fd < 0)
		return;
	ring_map(&r);
	OK(pipe(pp));
	for (int i = 0; i < 4; i++) {
		sqe(&r, IORING_OP_NOP, -1, (uint64_t)i);
		ring_publish(&r);
		if (rload(&r, r.p.sq_off.flags) & IORING_SQ_NEED_WAKEUP)
			CHECK_EQ(io_uring_enter(r.fd, 1, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0), 1);
		CQE(&r, i, 0);
		guest_checkpoint();
	}
	/* Idle: it says so, and sleeps until it is woken. */
	while (!(rload(&r, r.p.sq_off.flags) & IORING_SQ_NEED_WAKEUP))
		msleep(5);
	guest_checkpoint();
	struct io_uring_sqe *s = sqe(&r, IORING_OP_READ, pp[0], 9);
	s->addr = UPTR(buf);
	s->len = 8;
	ring_publish(&r);
	if (rload(&r, r.p.sq_off.flags) & IORING_SQ_NEED_WAKEUP)
		CHECK_EQ(io_uring_enter(r.fd, 1, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0), 1);
	CHECK_EQ(io_uring_enter(r.fd, 0, 0, IORING_ENTER_SQ_WAIT | IORING_ENTER_SQ_WAKEUP, NULL, 0), 0);
	guest_checkpoint();
	CHECK_EQ(write(pp[1], "poll", 4), 4);
	CQE(&r, 9, 4);
	ring_done(&r);
	close(pp[0]);
	close(pp[1]);
}

static void *other_thread(void *arg)
{
	struct ring *r = arg;

	CHECK_ERRNO(io_uring_enter(r->fd, 1, 0, 0, NULL, 0), EEXIST);
	CHECK_ERRNO(io_uring_register(r->fd, IORING_REGISTER_PERSONALITY, NULL, 0), EEXIST);
	return NULL;
}

static void deferred(void)
{
	struct ring r;
	char buf[8];
	int p[2];

	SUBTEST("defer taskrun");
	if (!ring_try(&r, 8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG, 0))
		return;
	OK(pipe(p));
	struct io_uring_sqe *s = sqe(&r, IORING_OP_READ, p[0], 1);
	s->addr = UPTR(buf);
	s->len = 8;
	CHECK_EQ(ring_submit(&r, 0), 1);
	guest_checkpoint();
	/* Completed only when its task comes and asks. */
	CHECK_EQ(write(p[1], "x", 1), 1);
	while (!(rload(&r, r.p.sq_off.flags) & IORING_SQ_TASKRUN))
		msleep(1);
	guest_checkpoint();
	CHECK_EQ(ring_ready(&r), 0);
	CHECK_EQ(io_uring_enter(r.fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0), 0);
	CHECK_EQ(ring_ready(&r), 1);
	CQE(&r, 1, 1);
	guest_join(guest_thread(other_thread, &r));
	ring_done(&r);
	close(p[0]);
	close(p[1]);
}

static void restrictions(void)
{
	struct io_uring_restriction x[3] = {
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP},
		{.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_ENABLE_RINGS},
		{.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_IO_LINK},
	};
	struct ring r;

	SUBTEST("restrictions");
	ring_init(&r, 8, IORING_SETUP_R_DISABLED);
	CHECK_ERRNO(io_uring_enter(r.fd, 0, 0, 0, NULL, 0), EBADFD);
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_RESTRICTIONS, x, 3), 0);
	CHECK_ERRNO(io_uring_register(r.fd, IORING_REGISTER_RESTRICTIONS, x, 3), EBUSY);
	guest_checkpoint();
	CHECK_EQ(io_uring_register(r.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0), 0);
	guest_checkpoint();
	sqe(&r, IORING_OP_NOP, -1, 1);
	CHECK_EQ(ring_one(&r), 0);
	sqe(&r, IORING_OP_FSYNC, 0, 1);
	CHECK_EQ(ring_one(&r), -EACCES);
	sqe(&r, IORING_OP_NOP, -1, 1)->flags = IOSQE_ASYNC;
	CHECK_EQ(ring_one(&r), -EACCES);
	CHECK_ERRNO(io_uring_register(r.fd, IORING_REGISTER_PERSONALITY, NULL, 0), EACCES);
	ring_done(&r);
}

struct submitter {
	struct ring *r;
	int fd;
};

static void *submit_thread(void *arg)
{
	struct submitter *s = arg;
	static char buf[8];
	struct io_uring_sqe *q = sqe(s->r, IORING_OP_READ, s->fd, 5);

	q->addr = UPTR(buf);
	q->len = 8;
	CHECK_EQ(ring_submit(s->r, 0), 1);
	return NULL;
}

static void ends(void)
{
	struct submitter sub;
	struct ring r;
	int p[2];
	pid_t pid;

	SUBTEST("thread that ends");
	ring_init(&r, 8, 0);
	OK(pipe(p));
	sub = (struct submitter){&r, p[0]};
	guest_join(guest_thread(submit_thread, &sub));
	/* Its request waits on, and ends with nothing done when there is something to read. */
	msleep(20);
	guest_checkpoint();
	CHECK_EQ(ring_ready(&r), 0);
	CHECK_EQ(write(p[1], "o", 1), 1);
	CQE(&r, 5, -ECANCELED);
	CHECK_EQ(read(p[0], &(char){0}, 1), 1);
	SUBTEST("exec");
	CHILD (pid) {
		char fd[16];
		struct io_uring_sqe *s = sqe(&r, IORING_OP_READ, p[0], 1);

		fcntl(r.fd, F_SETFD, 0);
		s->addr = UPTR(fd);
		s->len = 8;
		CHECK_EQ(ring_submit(&r, 0), 1);
		snprintf(fd, sizeof(fd), "%d", r.fd);
		execl(guest_self, guest_self, "exec", fd, (char *)NULL);
		_exit(9);
	}
	guest_reap(pid);
	CQE(&r, 1, -ECANCELED);
	CHECK_EQ(write(p[1], "k", 1), 1);
	SUBTEST("two processes");
	/* A child's request goes on in the ring it shares with its parent, to the child's memory. */
	struct gate g;
	gate_init(&g);
	r.tail = rload(&r, r.p.sq_off.tail); /* the other child moved it */
	CHILD (pid) {
		char c = 0;
		struct io_uring_sqe *s = sqe(&r, IORING_OP_READ, p[0], 3);

		s->addr = UPTR(&c);
		s->len = 1;
		CHECK_EQ(ring_submit(&r, 0), 1);
		gate_wait(&g);
		CHECK_EQ(c, 'k');
		_exit(0);
	}
	CQE(&r, 3, 1);
	guest_checkpoint();
	gate_post(&g);
	guest_reap(pid);
	ring_done(&r);
	close(p[0]);
	close(p[1]);
}

int guest_helper(int argc, char **argv)
{
	struct ring r = {.fd = atoi(argv[2])};

	(void)argc;
	return io_uring_enter(r.fd, 0, 0, 0, NULL, 0) == 0 ? 0 : 1;
}

void guest_test(void)
{
	names();
	direct();
	sqpoll();
	deferred();
	restrictions();
	ends();
}
