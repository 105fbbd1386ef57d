// SPDX-License-Identifier: Apache-2.0
/*
 * A futex wait without timeout restarts after an SA_RESTART handler; nanosleep resumes after a stop, with time
 * counted.
 */
#include "guest.h"
#include <linux/futex.h>

void guest_test(void)
{
	int *w = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t p, q;

	guest_catch(SIGUSR1, SA_RESTART);
	CHILD (p) {
		CHECK_EQ(syscall(SYS_futex, w, FUTEX_WAIT, 0, NULL, NULL, 0), 0);
		CHECK_EQ(guest_sig_count, 1);
		_exit(0);
	}
	CHILD (q) {
		struct timespec ts = {0, 300 * MS};
		int64_t t0 = now_ns(CLOCK_MONOTONIC);

		CHECK_EQ(nanosleep(&ts, NULL), 0);
		CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 300 * MS);
		_exit(0);
	}
	guest_blocked(p);
	guest_blocked(q);
	OK(kill(p, SIGUSR1));
	guest_blocked(p);
	SUBTEST("stop and continue are invisible");
	OK(kill(p, SIGSTOP));
	OK(kill(q, SIGSTOP));
	CHECK_EQ(waitpid(p, NULL, WUNTRACED), p);
	CHECK_EQ(waitpid(q, NULL, WUNTRACED), q);
	guest_checkpoint();
	OK(kill(p, SIGCONT));
	OK(kill(q, SIGCONT));
	msleep(20);
	CHECK_EQ(waitpid(p, NULL, WNOHANG), 0);
	*w = 1;
	CHECK_EQ(syscall(SYS_futex, w, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	guest_reap(p);
	guest_reap(q);
	SUBTEST("interrupted nanosleep reports the rest");
	guest_catch(SIGUSR1, SA_RESTART);
	CHILD (p) {
		struct timespec ts = {10, 0}, rem = {0, 0};

		CHECK_ERRNO(nanosleep(&ts, &rem), EINTR);
		CHECK(rem.tv_sec <= 9 && rem.tv_sec >= 1);
		rem.tv_sec = 77;
		clock_gettime(CLOCK_MONOTONIC, &ts);
		ts.tv_sec += 10;
		CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, &rem), EINTR);
		CHECK_EQ(rem.tv_sec, 77); /* not written for absolute sleeps */
		_exit(0);
	}
	guest_blocked(p);
	msleep(20);
	OK(kill(p, SIGUSR1));
	guest_blocked(p);
	msleep(20);
	OK(kill(p, SIGUSR1));
	guest_reap(p);
}
