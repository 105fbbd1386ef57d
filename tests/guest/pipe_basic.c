// SPDX-License-Identifier: Apache-2.0
/*
 * Pipes: capacity, atomic writes, non-blocking partial writes, EOF, EPIPE, sizes, FIONREAD, contents over a
 * checkpoint.
 */
#include "guest.h"

void guest_test(void)
{
	char b[70000], c[70000];
	struct stat st;
	struct pollfd pf;
	int fds[2], n;
	pid_t p;

	guest_fill(b, sizeof(b), 3);
	OK(pipe2(fds, O_NONBLOCK | O_CLOEXEC));
	CHECK_EQ(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(fds[0], F_GETFL), O_NONBLOCK | O_RDONLY);
	CHECK_EQ(fcntl(fds[1], F_GETFL), O_NONBLOCK | O_WRONLY);
	CHECK_ERRNO(read(fds[0], c, 1), EAGAIN);
	CHECK_EQ(read(fds[0], c, 0), 0);
	CHECK_ERRNO(read(fds[1], c, 1), EBADF);
	CHECK_ERRNO(write(fds[0], c, 1), EBADF);
	CHECK_ERRNO(lseek(fds[0], 0, SEEK_SET), ESPIPE);
	CHECK_ERRNO(pread(fds[0], c, 1, 0), ESPIPE);
	CHECK_EQ(fcntl(fds[0], F_GETPIPE_SZ), 65536);
	SUBTEST("fill");
	CHECK_EQ(write(fds[1], b, sizeof(b)), 65536);
	CHECK_ERRNO(write(fds[1], b, 1), EAGAIN);
	pf = (struct pollfd){fds[1], POLLOUT, 0};
	CHECK_EQ(poll(&pf, 1, 0), 0);
	OK(ioctl(fds[0], FIONREAD, &n));
	CHECK_EQ(n, 65536);
	guest_checkpoint();
	OK(ioctl(fds[0], FIONREAD, &n));
	CHECK_EQ(n, 65536);
	CHECK_ERRNO(write(fds[1], b, 1), EAGAIN);
	CHECK_EQ(read(fds[0], c, 100), 100);
	CHECK(memcmp(b, c, 100) == 0);
	CHECK_ERRNO(write(fds[1], b, 1), EAGAIN); /* slots are pages: none is free yet */
	CHECK_EQ(read(fds[0], c, 4000), 4000);
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(write(fds[1], b, 4097), 4096); /* more than PIPE_BUF may be partial */
	SUBTEST("drain");
	CHECK(read(fds[0], c, sizeof(c)) > 60000);
	CHECK(memcmp(c, b + 4100, 61436) == 0);
	while (read(fds[0], c, sizeof(c)) > 0)
		;
	CHECK_EQ(errno, EAGAIN);
	SUBTEST("writes up to PIPE_BUF are all or nothing");
	OK(fcntl(fds[1], F_SETPIPE_SZ, 4096));
	CHECK_EQ(fcntl(fds[1], F_GETPIPE_SZ), 4096);
	CHECK_EQ(write(fds[1], b, 4000), 4000);
	CHECK_ERRNO(write(fds[1], b, 200), EAGAIN);
	CHECK_EQ(write(fds[1], b, 96), 96);
	CHECK_EQ(read(fds[0], c, 4096), 4096);
	CHECK_ERRNO(fcntl(fds[1], F_SETPIPE_SZ, 0x80000001u), EINVAL);
	CHECK_EQ(fcntl(fds[1], F_SETPIPE_SZ, 100000), 131072);
	CHECK_EQ(write(fds[1], b, sizeof(b)), 70000);
	CHECK_ERRNO(fcntl(fds[1], F_SETPIPE_SZ, 4096), EBUSY);
	guest_checkpoint();
	CHECK_EQ(fcntl(fds[1], F_GETPIPE_SZ), 131072);
	n = 0;
	while (n < 70000)
		n += (int)OK(read(fds[0], c + n, sizeof(c) - (size_t)n));
	CHECK(memcmp(b, c, sizeof(b)) == 0);
	SUBTEST("end of file and EPIPE");
	CHECK_EQ(write(fds[1], "last", 4), 4);
	close(fds[1]);
	pf = (struct pollfd){fds[0], POLLIN, 0};
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(pf.revents, POLLIN | POLLHUP);
	guest_checkpoint();
	CHECK_EQ(read(fds[0], c, 100), 4);
	CHECK_EQ(read(fds[0], c, 100), 0);
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(pf.revents, POLLHUP);
	close(fds[0]);
	OK(pipe(fds));
	close(fds[0]);
	pf = (struct pollfd){fds[1], POLLOUT, 0};
	CHECK_EQ(poll(&pf, 1, 0), 1);
	CHECK_EQ(pf.revents, POLLOUT | POLLERR);
	CHILD (p) {
		write(fds[1], "x", 1);
		_exit(0);
	}
	CHECK_EQ(WTERMSIG(guest_status(p)), SIGPIPE);
	guest_catch(SIGPIPE, 0);
	CHECK_ERRNO(write(fds[1], "x", 1), EPIPE);
	CHECK_EQ(guest_sig_count, 1);
	CHECK_EQ(fstat(fds[1], &st), 0);
	CHECK_EQ(st.st_mode & S_IFMT, S_IFIFO);
	CHECK_ERRNO(pipe2(fds, 0x4), EINVAL);
	CHECK_ERRNO(pipe((int *)8), EFAULT);
}
