// SPDX-License-Identifier: Apache-2.0
/* Relative and absolute futex timeouts that run over a checkpoint expire, not early, with ETIMEDOUT. */
#include "guest.h"
#include <linux/futex.h>

static int word;

static void *rel(void *arg)
{
	struct timespec ts = {0, 300 * MS};
	int64_t t0 = now_ns(CLOCK_MONOTONIC);

	(void)arg;
	CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0), ETIMEDOUT);
	CHECK(now_ns(CLOCK_MONOTONIC) - t0 >= 300 * MS);
	return NULL;
}

static void *abs_real(void *arg)
{
	int64_t t0 = now_ns(CLOCK_REALTIME) + 300 * MS;
	struct timespec ts = {t0 / (1000 * MS), t0 % (1000 * MS)};

	(void)arg;
	CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, &ts, NULL, 1), ETIMEDOUT);
	CHECK(now_ns(CLOCK_REALTIME) >= t0);
	return NULL;
}

void guest_test(void)
{
	pthread_t a = guest_thread(rel, NULL), b = guest_thread(abs_real, NULL);

	msleep(30);
	guest_checkpoint();
	guest_join(a);
	guest_join(b);
}
