// SPDX-License-Identifier: Apache-2.0
/* timer_create in all notifications, overruns, gettime, CPU clocks, deletion; armed over a checkpoint. */
#include "guest.h"
#include <linux/version.h>

static int got;

static siginfo_t last;

static void note(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)uc;
	last = *si;
	__atomic_add_fetch(&got, 1, __ATOMIC_SEQ_CST);
}

static void wait_for(int n)
{
	for (int i = 0; i < 5000 && __atomic_load_n(&got, __ATOMIC_SEQ_CST) < n; i++)
		msleep(1);
	CHECK(got >= n);
}

void guest_test(void)
{
	struct sigevent sev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 11};
	struct itimerspec its = {.it_value = {0, 200 * MS}}, cur;
	int64_t t0 = now_ns(CLOCK_MONOTONIC), abs;
	timer_t a, b, c, d;
	pid_t p;

	guest_handler(SIGRTMIN, note, SA_RESTART);
	guest_handler(SIGALRM, note, SA_RESTART);
	SUBTEST("one shot over a checkpoint");
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &sev, &a), 0);
	CHECK_EQ(timer_gettime(a, &cur), 0);
	CHECK_EQ(cur.it_value.tv_nsec, 0);
	CHECK_EQ(timer_settime(a, 0, &its, &cur), 0);
	guest_checkpoint();
	wait_for(1);
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 200 * MS);
	CHECK_EQ(last.si_code, SI_TIMER);
	CHECK_EQ(last.si_value.sival_int, 11);
	CHECK_EQ(timer_gettime(a, &cur), 0);
	CHECK_EQ(cur.it_value.tv_nsec + cur.it_value.tv_sec, 0);
	SUBTEST("overrun while blocked");
	guest_block(SIGRTMIN);
	its = (struct itimerspec){{0, 2 * MS}, {0, 2 * MS}};
	got = 0;
	CHECK_EQ(timer_settime(a, 0, &its, NULL), 0);
	msleep(40);
	guest_checkpoint();
	guest_unblock(SIGRTMIN);
	wait_for(1);
	CHECK(last.si_overrun >= 10 || timer_getoverrun(a) >= 0);
	its = (struct itimerspec){{0, 0}, {0, 0}};
	CHECK_EQ(timer_settime(a, 0, &its, &cur), 0);
	CHECK_EQ(cur.it_interval.tv_nsec, 2 * MS);
	SUBTEST("absolute");
	got = 0;
	abs = now_ns(CLOCK_REALTIME) + 30 * MS;
	its.it_value.tv_sec = abs / (1000 * MS);
	its.it_value.tv_nsec = abs % (1000 * MS);
	sev.sigev_value.sival_int = 22;
	CHECK_EQ(timer_create(CLOCK_REALTIME, &sev, &b), 0);
	CHECK_EQ(timer_settime(b, TIMER_ABSTIME, &its, NULL), 0);
	wait_for(1);
	CHECK_EQ(last.si_value.sival_int, 22);
	CHECK(now_ns(CLOCK_REALTIME) >= abs);
	got = 0;
	its.it_value.tv_sec = 1; /* long ago: at once */
	CHECK_EQ(timer_settime(b, TIMER_ABSTIME, &its, NULL), 0);
	wait_for(1);
	SUBTEST("SIGEV_NONE counts silently; NULL sigevent means SIGALRM with the timer's id");
	sev.sigev_notify = SIGEV_NONE;
	CHECK_EQ(timer_create(CLOCK_BOOTTIME, &sev, &c), 0);
	its = (struct itimerspec){{0, 0}, {100, 0}};
	CHECK_EQ(timer_settime(c, 0, &its, NULL), 0);
	guest_checkpoint();
	CHECK_EQ(timer_gettime(c, &cur), 0);
	CHECK(cur.it_value.tv_sec > 20 && cur.it_value.tv_sec <= 100);
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, NULL, &d), 0);
	its.it_value = (struct timespec){0, MS};
	got = 0;
	CHECK_EQ(timer_settime(d, 0, &its, NULL), 0);
	wait_for(1);
	CHECK_EQ(last.si_signo, SIGALRM);
	SUBTEST("SIGEV_THREAD_ID");
	timer_t e;
	sev.sigev_notify = SIGEV_THREAD_ID;
	sev._sigev_un._tid = guest_gettid();
	CHECK_EQ(timer_create(CLOCK_MONOTONIC, &sev, &e), 0);
	got = 0;
	CHECK_EQ(timer_settime(e, 0, &its, NULL), 0);
	wait_for(1);
	sev._sigev_un._tid = 1;
	CHECK_ERRNO(timer_create(CLOCK_MONOTONIC, &sev, &e), EINVAL);
	SUBTEST("CPU clock");
	sev.sigev_notify = SIGEV_SIGNAL;
	CHECK_EQ(timer_create(CLOCK_PROCESS_CPUTIME_ID, &sev, &e), 0);
	its.it_value = (struct timespec){0, 20 * MS};
	CHECK_EQ(timer_settime(e, 0, &its, NULL), 0);
	got = 0;
	msleep(30);
	CHECK_EQ(got, 0);
	t0 = now_ns(CLOCK_MONOTONIC);
	while (!got)
		CHECK(now_ns(CLOCK_MONOTONIC) - t0 < 10000 * MS);
	SUBTEST("not inherited by fork");
	CHILD (p) {
		CHECK_ERRNO(timer_gettime(a, &cur), EINVAL);
		_exit(0);
	}
	guest_reap(p);
	SUBTEST("errors");
	CHECK_EQ(timer_delete(a), 0);
	CHECK_ERRNO(timer_delete(a), EINVAL);
	CHECK_ERRNO(timer_gettime(a, &cur), EINVAL);
	CHECK_ERRNO(timer_create(77, &sev, &a), EINVAL);
	sev.sigev_signo = 65;
	CHECK_ERRNO(timer_create(CLOCK_MONOTONIC, &sev, &a), EINVAL);
	its.it_value.tv_nsec = 1000 * MS;
	CHECK_ERRNO(timer_settime(b, 0, &its, NULL), EINVAL);
}
