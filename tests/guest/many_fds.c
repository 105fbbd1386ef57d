// SPDX-License-Identifier: Apache-2.0
/* Nine hundred descriptors of ten kinds, with holes and duplicates, over a checkpoint. */
#include "guest.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

void guest_test(void)
{
	struct rlimit rl = {1024, 1024};
	int fd[900], n = 0, p[2];
	uint64_t v;
	char c;

	(void)setrlimit(RLIMIT_NOFILE, &rl);
	while (n < 900) {
		switch (n / 2 % 6) {
		case 0:
			OK(pipe(p));
			CHECK_EQ(write(p[1], &(char){(char)n}, 1), 1);
			break;
		case 1:
			OK(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
			CHECK_EQ(write(p[1], &(char){(char)n}, 1), 1);
			break;
		case 2:
			p[0] = OK(eventfd((unsigned)n + 1, 0));
			p[1] = OK(dup(p[0]));
			break;
		case 3:
			p[0] = OK(memfd_create("m", 0));
			p[1] = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
			CHECK_EQ(pwrite(p[0], &n, 4, n), 4);
			break;
		case 4:
			p[0] = OK(open("/dev/zero", O_RDONLY));
			p[1] = OK(epoll_create1(0));
			break;
		case 5:
			p[0] = OK(open(".", O_TMPFILE | O_RDWR, 0600));
			p[1] = OK(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
			CHECK_EQ(write(p[0], &n, 4), 4);
			break;
		}
		fd[n] = p[0];
		fd[n + 1] = p[1];
		n += 2;
	}
	int count = guest_count_fds();
	guest_checkpoint();
	CHECK_EQ(guest_count_fds(), count);
	for (n = 0; n < 900; n += 2) {
		int w = -1;

		switch (n / 2 % 6) {
		case 0:
		case 1:
			CHECK_EQ(read(fd[n], &c, 1), 1);
			CHECK_EQ(c, (char)n);
			break;
		case 2:
			CHECK_EQ(read(fd[n + 1], &v, 8), 8);
			CHECK_EQ(v, n + 1);
			break;
		case 3:
			CHECK_EQ(pread(fd[n], &w, 4, n), 4);
			CHECK_EQ(w, n);
			CHECK_ERRNO(read(fd[n + 1], &v, 8), EAGAIN);
			break;
		case 5:
			CHECK_EQ(lseek(fd[n], 0, SEEK_CUR), 4);
			CHECK_EQ(pread(fd[n], &w, 4, 0), 4);
			CHECK_EQ(w, n);
			CHECK_EQ(fcntl(fd[n + 1], F_GETFD), FD_CLOEXEC);
			break;
		}
	}
}
