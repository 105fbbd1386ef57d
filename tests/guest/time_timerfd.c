// SPDX-License-Identifier: Apache-2.0
/* timerfd: one shot, interval counts, absolute, gettime, poll, non-blocking; armed and expired over a checkpoint. */
#include "guest.h"
#include <sys/timerfd.h>

void guest_test(void)
{
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)), fd2, fd3;
	struct itimerspec its = {.it_value = {0, 150 * MS}}, cur;
	struct pollfd pf = {fd, POLLIN, 0};
	int64_t t0, abs;
	uint64_t n;

	CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
	CHECK_EQ(timerfd_gettime(fd, &cur), 0);
	CHECK_EQ(cur.it_value.tv_nsec, 0);
	t0 = now_ns(CLOCK_MONOTONIC);
	CHECK_EQ(timerfd_settime(fd, 0, &its, NULL), 0);
	CHECK_EQ(poll(&pf, 1, 0), 0);
	guest_checkpoint();
	CHECK_EQ(poll(&pf, 1, 10000), 1);
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 150 * MS);
	CHECK_ERRNO(read(fd, &n, 7), EINVAL);
	CHECK_EQ(read(fd, &n, 100), 8);
	CHECK_EQ(n, 1);
	CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
	SUBTEST("interval, expired over a checkpoint");
	its = (struct itimerspec){{0, 5 * MS}, {0, 1}};
	CHECK_EQ(timerfd_settime(fd, 0, &its, NULL), 0);
	msleep(30);
	guest_checkpoint();
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK(n >= 6);
	CHECK_EQ(timerfd_gettime(fd, &cur), 0);
	CHECK_EQ(cur.it_interval.tv_nsec, 5 * MS);
	CHECK(cur.it_value.tv_nsec > 0 && cur.it_value.tv_nsec <= 5 * MS);
	SUBTEST("resetting drops what had expired");
	msleep(10);
	its = (struct itimerspec){{0, 0}, {100, 0}};
	CHECK_EQ(timerfd_settime(fd, 0, &its, &cur), 0);
	CHECK_EQ(cur.it_interval.tv_nsec, 5 * MS);
	CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
	SUBTEST("absolute, real time");
	fd2 = OK(timerfd_create(CLOCK_REALTIME, 0));
	abs = now_ns(CLOCK_REALTIME) + 20 * MS;
	its.it_value = (struct timespec){abs / (1000 * MS), abs % (1000 * MS)};
	CHECK_EQ(timerfd_settime(fd2, TFD_TIMER_ABSTIME, &its, NULL), 0);
	CHECK_EQ(read(fd2, &n, 8), 8);
	CHECK(now_ns(CLOCK_REALTIME) >= abs);
	its.it_value.tv_sec -= 1000;
	CHECK_EQ(timerfd_settime(fd2, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &its, NULL), 0);
	CHECK_EQ(read(fd2, &n, 8), 8);
	CHECK_EQ(n, 1);
	SUBTEST("fdinfo");
	char path[64], buf[512];
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	CHECK(guest_read_file(path, buf, sizeof(buf)) > 0);
	CHECK(strstr(buf, "clockid: 1\n"));
	SUBTEST("errors");
	CHECK_ERRNO(timerfd_create(77, 0), EINVAL);
	CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
	CHECK_ERRNO(timerfd_settime(0, 0, &its, NULL), EINVAL);
	CHECK_ERRNO(timerfd_settime(999, 0, &its, NULL), EBADF);
	CHECK_ERRNO(timerfd_settime(fd, 0x10, &its, NULL), EINVAL);
	its.it_value.tv_nsec = -1;
	CHECK_ERRNO(timerfd_settime(fd, 0, &its, NULL), EINVAL);
	CHECK_ERRNO(write(fd, &n, 8), EINVAL);
	fd3 = OK(timerfd_create(CLOCK_BOOTTIME, 0));
	close(fd3);
}
