// SPDX-License-Identifier: Apache-2.0
/* ITIMER_REAL, VIRTUAL and PROF: one shot, interval, remaining time, replaced values; running over a checkpoint. */
#include "guest.h"

static void burn_until(int n)
{
	int64_t end = now_ns(CLOCK_MONOTONIC) + 10000 * MS;

	while (guest_sig_count < n)
		CHECK(now_ns(CLOCK_MONOTONIC) < end);
}

void guest_test(void)
{
	struct itimerval v = {.it_value = {0, 200000}}, old;
	int64_t t0 = now_ns(CLOCK_MONOTONIC);
	pid_t p;

	guest_catch(SIGALRM, SA_RESTART);
	guest_catch(SIGVTALRM, SA_RESTART);
	guest_catch(SIGPROF, SA_RESTART);
	SUBTEST("one shot over a checkpoint");
	CHECK_EQ(setitimer(ITIMER_REAL, &v, NULL), 0);
	CHECK_EQ(getitimer(ITIMER_REAL, &old), 0);
	CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 200000);
	CHECK_EQ(old.it_interval.tv_usec, 0);
	guest_checkpoint();
	while (guest_sig_count == 0)
		msleep(1);
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 199 * MS);
	CHECK_EQ(getitimer(ITIMER_REAL, &old), 0);
	CHECK_EQ(old.it_value.tv_usec + old.it_value.tv_sec, 0);
	SUBTEST("interval");
	guest_sig_count = 0;
	v = (struct itimerval){{0, 5000}, {0, 5000}};
	CHECK_EQ(setitimer(ITIMER_REAL, &v, NULL), 0);
	while (guest_sig_count < 3)
		msleep(1);
	guest_checkpoint();
	guest_sig_count = 0;
	while (guest_sig_count < 3)
		msleep(1);
	v = (struct itimerval){{0, 0}, {0, 0}};
	CHECK_EQ(setitimer(ITIMER_REAL, &v, &old), 0);
	CHECK_EQ(old.it_interval.tv_usec, 5000);
	guest_sig_count = 0;
	msleep(15);
	CHECK_EQ(guest_sig_count, 0);
	SUBTEST("CPU time timers");
	v.it_value.tv_usec = 20000;
	CHECK_EQ(setitimer(ITIMER_PROF, &v, NULL), 0);
	msleep(40);
	CHECK_EQ(guest_sig_count, 0); /* sleeping does not count */
	guest_checkpoint();
	guest_sig_count = 0;
	burn_until(1);
	CHECK_EQ(guest_sig_last, SIGPROF);
	CHECK_EQ(setitimer(ITIMER_VIRTUAL, &v, NULL), 0);
	burn_until(2);
	CHECK_EQ(guest_sig_last, SIGVTALRM);
	SUBTEST("alarm shares ITIMER_REAL; not inherited by fork");
	CHECK_EQ(alarm(100), 0);
	CHILD (p) {
		CHECK_EQ(alarm(0), 0);
		_exit(0);
	}
	guest_reap(p);
	guest_checkpoint();
	CHECK_EQ(getitimer(ITIMER_REAL, &old), 0);
	CHECK(old.it_value.tv_sec <= 99 || (old.it_value.tv_sec == 100 && old.it_value.tv_usec == 0));
	CHECK(old.it_value.tv_sec > 20);
	CHECK(alarm(0) > 20);
	SUBTEST("errors");
	CHECK_ERRNO(setitimer((__itimer_which_t)3, &v, NULL), EINVAL);
	v.it_value.tv_usec = 1000000;
	CHECK_ERRNO(setitimer(ITIMER_REAL, &v, NULL), EINVAL);
	CHECK_ERRNO(getitimer(ITIMER_REAL, (void *)8), EFAULT);
}
