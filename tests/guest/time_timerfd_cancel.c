// SPDX-License-Identifier: Apache-2.0
/*
 * TFD_TIMER_CANCEL_ON_SET: a restore is a step of the realtime clock, of which read or settime says ECANCELED, once; without one the timer fires as if
 * nothing had been asked.
 */
#include "guest.h"
#include <sys/timerfd.h>

static struct itimerspec after(int64_t ns)
{
	return (struct itimerspec){.it_value = {ns / (1000 * MS), ns % (1000 * MS)}};
}

void guest_test(void)
{
	int fd = OK(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK)), rel = OK(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
	int64_t when = now_ns(CLOCK_REALTIME) + 3600 * 1000 * MS;
	struct itimerspec its = after(when), far = after(3600 * 1000 * MS), cur;
	struct pollfd pf = {fd, POLLIN, 0};
	uint64_t n;

	CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &its, NULL), 0);
	CHECK_EQ(timerfd_settime(rel, TFD_TIMER_CANCEL_ON_SET, &far, NULL), 0); /* the flag means nothing without ABSTIME */
	guest_checkpoint();
	if (poll(&pf, 1, 0) == 1) {
		CHECK_ERRNO(read(fd, &n, 8), ECANCELED);
		CHECK_EQ(timerfd_gettime(fd, &cur), 0);
		CHECK(cur.it_value.tv_sec > 3000); /* it still runs */
		guest_checkpoint();
		/* Not read, but set again: that tells it as well, and sets it. */
		CHECK_ERRNO(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &its, NULL), ECANCELED);
	}
	CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL), 0); /* no interest in steps */
	guest_checkpoint();
	CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
	CHECK_ERRNO(read(rel, &n, 8), EAGAIN);
	close(fd);
	close(rel);
}
