// SPDX-License-Identifier: Apache-2.0
/* nanosleep and clock_nanosleep running over a checkpoint sleep at least as long as asked and return 0. */
#include "guest.h"

static pid_t sleeper(int kind)
{
	pid_t p;

	CHILD (p) {
		struct timespec ts = {0, 250 * MS}, rem = {7, 7};
		int64_t t0 = now_ns(CLOCK_MONOTONIC), abs = t0 + 250 * MS;

		switch (kind) {
		case 0:
			CHECK_EQ(nanosleep(&ts, &rem), 0);
			CHECK_EQ(rem.tv_sec, 7); /* untouched on success */
			break;
		case 1:
			CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL), 0);
			break;
		case 2:
			ts.tv_sec = abs / (1000 * MS);
			ts.tv_nsec = abs % (1000 * MS);
			CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL), 0);
			break;
		case 3:
			abs = now_ns(CLOCK_REALTIME) + 250 * MS;
			ts.tv_sec = abs / (1000 * MS);
			ts.tv_nsec = abs % (1000 * MS);
			CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL), 0);
			CHECK(now_ns(CLOCK_REALTIME) >= abs);
			break;
		}
		/* The wall clock went on while the image lay on disk; the monotonic clock did not. */
		if (kind != 3)
			CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 249 * MS);
		_exit(0);
	}
	return p;
}

void guest_test(void)
{
	pid_t p[4];

	for (int i = 0; i < 4; i++)
		p[i] = sleeper(i);
	msleep(40);
	guest_checkpoint();
	for (int i = 0; i < 4; i++)
		guest_reap(p[i]);
}
