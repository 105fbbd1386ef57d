// SPDX-License-Identifier: Apache-2.0
/* eventfd: counter, semaphore mode, overflow, poll, non-blocking, errors; value over a checkpoint, shared by fork. */
#include "guest.h"
#include <sys/eventfd.h>

void guest_test(void)
{
	int fd = OK(eventfd(7, EFD_NONBLOCK | EFD_CLOEXEC)), s = OK(eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK));
	struct pollfd pf = {fd, POLLIN | POLLOUT, 0};
	uint64_t v;
	pid_t p;

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(pf.revents, POLLIN | POLLOUT);
	guest_checkpoint();
	CHECK_EQ(read(fd, &v, 8), 8);
	CHECK_EQ(v, 7);
	CHECK_ERRNO(read(fd, &v, 8), EAGAIN);
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(pf.revents, POLLOUT);
	v = 5;
	CHECK_EQ(write(fd, &v, 8), 8);
	CHECK_EQ(write(fd, &v, 8), 8);
	CHECK_EQ(read(fd, &v, 100), 8);
	CHECK_EQ(v, 10);
	SUBTEST("overflow");
	v = UINT64_MAX;
	CHECK_ERRNO(write(fd, &v, 8), EINVAL);
	v = UINT64_MAX - 1;
	CHECK_EQ(write(fd, &v, 8), 8);
	v = 1;
	CHECK_ERRNO(write(fd, &v, 8), EAGAIN);
	v = 0;
	CHECK_EQ(write(fd, &v, 8), 8);
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(pf.revents, POLLIN);
	guest_checkpoint();
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(pf.revents, POLLIN);
	CHECK_EQ(read(fd, &v, 8), 8);
	CHECK_EQ(v, UINT64_MAX - 1);
	SUBTEST("semaphore");
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(read(s, &v, 8), 8);
		CHECK_EQ(v, 1);
		if (i == 0)
			guest_checkpoint();
	}
	CHECK_ERRNO(read(s, &v, 8), EAGAIN);
	SUBTEST("shared by fork");
	CHILD (p) {
		v = 9;
		CHECK_EQ(write(fd, &v, 8), 8);
		_exit(0);
	}
	guest_reap(p);
	CHECK_EQ(read(fd, &v, 8), 8);
	CHECK_EQ(v, 9);
	SUBTEST("errors");
	CHECK_ERRNO(read(fd, &v, 7), EINVAL);
	CHECK_ERRNO(write(fd, &v, 7), EINVAL);
	CHECK_ERRNO(eventfd(0, 2), EINVAL);
	CHECK_EQ(lseek(fd, 5, SEEK_SET), 0); /* accepted and ignored */
	CHECK_ERRNO(write(fd, (void *)8, 8), EFAULT);
	char path[64], buf[256];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = OK(readlink(path, buf, 255));
	buf[n] = 0;
	CHECK_STR(buf, "anon_inode:[eventfd]");
}
