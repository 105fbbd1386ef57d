// SPDX-License-Identifier: Apache-2.0
/* getrusage, times, CPU clocks: monotone, children added on wait, carried over a checkpoint. */
#include "guest.h"
#include <sys/times.h>

static void burn(int ms)
{
	int64_t end = now_ns(CLOCK_PROCESS_CPUTIME_ID) + ms * MS;

	while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < end)
		;
}

static int64_t usage(int who)
{
	struct rusage ru;

	CHECK_EQ(getrusage(who, &ru), 0);
	return (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000 * MS + (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1000;
}

void guest_test(void)
{
	int64_t u, c;
	struct tms t;
	pid_t p;

	burn(60);
	u = usage(RUSAGE_SELF);
	c = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(c >= 60 * MS);
	CHECK(u >= 30 * MS); /* some kernels account by ticks */
	guest_checkpoint();
	CHECK(usage(RUSAGE_SELF) >= u);
	CHECK(now_ns(CLOCK_PROCESS_CPUTIME_ID) >= c);
	CHECK(now_ns(CLOCK_THREAD_CPUTIME_ID) >= 50 * MS);
	CHECK_EQ(usage(RUSAGE_CHILDREN), 0);
	CHILD (p) {
		CHECK(usage(RUSAGE_SELF) < u); /* starts from zero */
		burn(60);
		_exit(0);
	}
	CHECK_EQ(usage(RUSAGE_CHILDREN), 0);
	guest_reap(p);
	CHECK(usage(RUSAGE_CHILDREN) >= 30 * MS);
	CHECK(times(&t) != (clock_t)-1);
	CHECK(t.tms_utime + t.tms_stime >= 3);
	CHECK(t.tms_cutime + t.tms_cstime >= 3);
	CHECK_ERRNO(getrusage(5, (struct rusage *)&t), EINVAL);
	CHECK(usage(RUSAGE_THREAD) > 0);
	struct rusage ru;
	CHECK_EQ(getrusage(RUSAGE_SELF, &ru), 0);
	CHECK(ru.ru_maxrss > 0);
}
