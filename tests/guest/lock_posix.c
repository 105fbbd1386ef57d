// SPDX-License-Identifier: Apache-2.0
/*
 * POSIX record locks: ranges, splitting, merging, owners, F_GETLK, deadlock, release on any close; held over a
 * checkpoint.
 */
#include "guest.h"

static int lk(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock fl = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

	return fcntl(fd, cmd, &fl);
}

/* What another process sees when it asks for a write lock on [start, start+len). */
static void probe(off_t start, off_t len, int type, off_t got_start, off_t got_len)
{
	pid_t p, me = getpid();

	CHILD (p) {
		int fd = OK(open("f", O_RDWR));
		struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

		CHECK_EQ(fcntl(fd, F_GETLK, &fl), 0);
		CHECK_EQ(fl.l_type, type);
		if (type != F_UNLCK) {
			CHECK_EQ(fl.l_start, got_start);
			CHECK_EQ(fl.l_len, got_len);
			CHECK_EQ(fl.l_pid, me);
			CHECK_EQ(fl.l_whence, SEEK_SET);
		}
		_exit(0);
	}
	guest_reap(p);
}

void guest_test(void)
{
	int fd = guest_make_file("f", 1000, 1), ro = OK(open("f", O_RDONLY)), wo = OK(open("f", O_WRONLY));
	struct flock fl;
	struct gate g, h;
	pid_t p;

	SUBTEST("ranges");
	CHECK_EQ(lk(fd, F_SETLK, F_WRLCK, 100, 100), 0);
	probe(0, 100, F_UNLCK, 0, 0);
	probe(0, 101, F_WRLCK, 100, 100);
	probe(199, 1, F_WRLCK, 100, 100);
	probe(200, 0, F_UNLCK, 0, 0);
	CHECK_EQ(lk(fd, F_SETLK, F_UNLCK, 140, 20), 0); /* split */
	probe(140, 20, F_UNLCK, 0, 0);
	probe(0, 0, F_WRLCK, 100, 40);
	probe(150, 0, F_WRLCK, 160, 40);
	guest_checkpoint();
	probe(140, 20, F_UNLCK, 0, 0);
	probe(0, 0, F_WRLCK, 100, 40);
	probe(150, 0, F_WRLCK, 160, 40);
	CHECK_EQ(lk(fd, F_SETLK, F_WRLCK, 140, 20), 0); /* merge */
	probe(0, 0, F_WRLCK, 100, 100);
	CHECK_EQ(lk(fd, F_SETLK, F_RDLCK, 120, 10), 0); /* downgrade the middle */
	probe(120, 1, F_RDLCK, 120, 10);
	probe(130, 1, F_WRLCK, 130, 70);
	CHECK_EQ(lk(fd, F_SETLK, F_WRLCK, 500, 0), 0); /* to the end of time */
	probe(1 << 30, 1, F_WRLCK, 500, 0);
	fl = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 50, .l_len = -10};
	CHECK_EQ(fcntl(fd, F_SETLK, &fl), 0); /* negative: 40..49 */
	probe(0, 60, F_WRLCK, 40, 10);
	SUBTEST("own locks never conflict; fork does not inherit");
	CHECK_EQ(lk(wo, F_SETLK, F_WRLCK, 0, 0), 0);
	CHILD (p) {
		CHECK_ERRNO(lk(fd, F_SETLK, F_RDLCK, 0, 1), EAGAIN);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("closing any descriptor of the file drops all");
	close(OK(open("f", O_RDONLY)));
	probe(0, 0, F_UNLCK, 0, 0);
	SUBTEST("a reader blocks writers only");
	CHECK_EQ(lk(ro, F_SETLK, F_RDLCK, 0, 10), 0);
	CHILD (p) {
		CHECK_EQ(lk(fd, F_SETLK, F_RDLCK, 0, 10), 0);
		CHECK_ERRNO(lk(fd, F_SETLK, F_WRLCK, 0, 10), EAGAIN);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("deadlock");
	gate_init(&g);
	gate_init(&h);
	CHECK_EQ(lk(fd, F_SETLK, F_UNLCK, 0, 0), 0);
	CHECK_EQ(lk(fd, F_SETLK, F_WRLCK, 0, 1), 0);
	CHILD (p) {
		CHECK_EQ(lk(fd, F_SETLK, F_WRLCK, 1, 1), 0);
		gate_post(&g);
		CHECK_EQ(lk(fd, F_SETLKW, F_WRLCK, 0, 1), 0); /* waits for us */
		_exit(0);
	}
	gate_wait(&g);
	guest_blocked(p);
	guest_checkpoint();
	CHECK_ERRNO(lk(fd, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
	CHECK_EQ(lk(fd, F_SETLK, F_UNLCK, 0, 1), 0);
	guest_reap(p);
	SUBTEST("death releases");
	CHECK_EQ(lk(fd, F_SETLK, F_WRLCK, 0, 0), 0);
	SUBTEST("errors");
	CHECK_ERRNO(lk(ro, F_SETLK, F_WRLCK, 0, 1), EBADF);
	CHECK_ERRNO(lk(wo, F_SETLK, F_RDLCK, 0, 1), EBADF);
	CHECK_ERRNO(lk(fd, F_SETLK, 77, 0, 1), EINVAL);
	CHECK_ERRNO(lk(fd, F_SETLK, F_WRLCK, -1, 1), EINVAL);
	CHECK_ERRNO(lk(fd, F_SETLK, F_WRLCK, 5, -6), EINVAL);
	CHECK_ERRNO(lk(fd, F_GETLK, F_UNLCK, 0, 1), EINVAL);
	CHECK_ERRNO(fcntl(fd, F_SETLK, 8), EFAULT);
	SUBTEST("kept over exec is the pid's; over fork not: a thread shares them");
	int p2[2];
	OK(pipe(p2));
	CHECK_ERRNO(lk(p2[0], F_SETLK, F_WRLCK, 0, 1), EBADF);
}
