/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel timers whose deadlines the host's clock cannot say, as after a restore on a machine that has been up for longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mutex.h"
#include "sentry/kernel/time.h"

static struct mutex mu = MUTEX_INIT("test.mu");
static struct cond cv;
static bool fired;

static void fire(struct ktimer *t)
{
	mutex_lock(&mu);
	fired = true;
	cond_broadcast(&cv);
	mutex_unlock(&mu);
}

static void beyond_the_host_clock(void **state)
{
	struct ktimer far, soon;

	cond_init(&cv);
	ktime_set_offset(-ktime_mono() / 2);
	ktimer_init(&far, KCLOCK_MONOTONIC, fire);
	ktimer_init(&soon, KCLOCK_MONOTONIC, fire);
	ktimer_arm(&far, TIME_FOREVER - 1);
	/* Fires from the same thread, which has looked at the far one by then or looks afterwards. */
	for (int i = 0; i < 2; i++) {
		ktimer_arm(&soon, ktime_mono() + 20 * 1000 * 1000);
		mutex_lock(&mu);
		while (!fired)
			cond_wait(&cv, &mu);
		fired = false;
		mutex_unlock(&mu);
	}
	ktimer_cancel(&soon, true);
	ktimer_cancel(&far, true);
	ktime_set_offset(0);
}

/* What --clock=elapsed adds: never negative, never more than fits. */
static void since(void **state)
{
	int64_t d = ktime_real_since(ktime_real() - 5 * NSEC_PER_SEC);

	assert_true(d >= 5 * NSEC_PER_SEC);
	assert_int_equal(ktime_real_since(ktime_real() + 3600 * NSEC_PER_SEC), 0);
	assert_int_equal(ktime_real_since(INT64_MAX), 0);
	assert_int_equal(ktime_real_since(INT64_MIN), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(beyond_the_host_clock), cmocka_unit_test(since) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
