// SPDX-License-Identifier: Apache-2.0
/*
 * Clocks: never backwards (also over a checkpoint), resolutions, vDSO equals the call, errors, per-process and thread
 * CPU clocks.
 */
#include "guest.h"

static int64_t raw(clockid_t c)
{
	struct timespec ts;

	CHECK_EQ(syscall(SYS_clock_gettime, c, &ts), 0);
	CHECK(ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
	return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

static clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_REALTIME,
			     CLOCK_REALTIME_COARSE, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_TAI};

static volatile int stop;

static void *watch(void *arg)
{
	int64_t last = 0, now;

	(void)arg;
	while (!stop) {
		now = now_ns(CLOCK_MONOTONIC);
		if (now < last)
			CHECK_EQ(now, last);
		last = now;
		now = raw(CLOCK_MONOTONIC);
		if (now < last)
			CHECK_EQ(now, last);
		last = now;
	}
	return NULL;
}

void guest_test(void)
{
	int64_t before[ARRAY_SIZE(clocks)];
	struct timespec ts;
	struct timeval tv;
	pthread_t t = guest_thread(watch, NULL);
	pid_t p;

	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		before[i] = raw(clocks[i]);
		for (int k = 0; k < 100; k++) {
			int64_t v = k & 1 ? raw(clocks[i]) : now_ns(clocks[i]);

			if (i != 4 && i != 5 && i != 8)
				CHECK(v >= before[i]);
		}
		CHECK_EQ(clock_getres(clocks[i], &ts), 0);
		CHECK(ts.tv_sec == 0 && ts.tv_nsec > 0 && ts.tv_nsec <= 10 * MS);
	}
	msleep(10);
	guest_checkpoint();
	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++)
		CHECK(raw(clocks[i]) >= before[i]);
	stop = 1;
	guest_join(t);
	SUBTEST("gettimeofday and time agree with CLOCK_REALTIME");
	CHECK_EQ(gettimeofday(&tv, NULL), 0);
	CHECK(llabs((tv.tv_sec * 1000LL * MS + tv.tv_usec * 1000) - raw(CLOCK_REALTIME)) < 5000 * MS);
	CHECK(llabs(time(NULL) - tv.tv_sec) <= 5);
	CHECK_EQ(syscall(SYS_gettimeofday, &tv, NULL), 0);
	CHECK(tv.tv_sec > 1600000000);
	SUBTEST("clocks of other processes");
	CHILD (p)
		for (;;)
			;
	msleep(20);
	clockid_t c;
	CHECK_EQ(clock_getcpuclockid(p, &c), 0);
	for (int i = 0; i < 100 && raw(c) == 0; i++)
		msleep(20); /* a checkpoint may have taken all of its time to run */
	CHECK(raw(c) > 0);
	kill(p, SIGKILL);
	guest_status(p);
	CHECK_ERRNO(clock_gettime(c, &ts), EINVAL);
	SUBTEST("errors");
	CHECK_ERRNO(syscall(SYS_clock_gettime, 99, &ts), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_getres, 99, &ts), EINVAL);
	CHECK_EQ(syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL), 0);
	CHECK_EQ(clock_nanosleep(99, 0, &ts, NULL), EINVAL);
	CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL), EINVAL);
	ts = (struct timespec){0, 1000 * MS};
	CHECK_ERRNO(nanosleep(&ts, NULL), EINVAL);
	ts = (struct timespec){-1, 0};
	CHECK_ERRNO(nanosleep(&ts, NULL), EINVAL);
	ts = (struct timespec){1, 0}; /* absolute and past */
	CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL), 0);
	CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &ts), EINVAL);
}
