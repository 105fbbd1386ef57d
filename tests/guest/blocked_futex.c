// SPDX-License-Identifier: Apache-2.0
/*
 * Futex waiters (plain, bitset, absolute timeout; private and shared between processes) stay blocked over a
 * checkpoint.
 */
#include "guest.h"
#include <linux/futex.h>

static int *shared;
static int priv;
static volatile pid_t tids[2];

static long futex(int *addr, int op, int val, void *timeout, int *addr2, int val3)
{
	return syscall(SYS_futex, addr, op, val, timeout, addr2, val3);
}

static void *plain(void *arg)
{
	(void)arg;
	tids[0] = guest_gettid();
	CHECK_EQ(futex(&priv, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(__atomic_load_n(&priv, __ATOMIC_SEQ_CST), 1);
	return NULL;
}

static void *timed(void *arg)
{
	struct timespec ts;

	(void)arg;
	tids[1] = guest_gettid();
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += 100;
	CHECK_EQ(futex(shared + 1, FUTEX_WAIT_BITSET, 0, &ts, NULL, 0x10), 0);
	return NULL;
}

void guest_test(void)
{
	pthread_t a, b;
	pid_t p;

	shared = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	a = guest_thread(plain, NULL);
	b = guest_thread(timed, NULL);
	CHILD (p) {
		struct timespec rel = {100, 0};

		CHECK_EQ(futex(shared, FUTEX_WAIT, 0, &rel, NULL, 0), 0);
		CHECK_EQ(*shared, 5);
		_exit(0);
	}
	while (!tids[0] || !tids[1])
		msleep(1);
	guest_blocked(tids[0]);
	guest_blocked(tids[1]);
	guest_blocked(p);
	guest_checkpoint();
	__atomic_store_n(&priv, 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(futex(&priv, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	__atomic_store_n(shared, 5, __ATOMIC_SEQ_CST);
	CHECK_EQ(futex(shared, FUTEX_WAKE, 10, NULL, NULL, 0), 1);
	CHECK_EQ(futex(shared + 1, FUTEX_WAKE_BITSET, 10, NULL, NULL, 0x01), 0);
	CHECK_EQ(futex(shared + 1, FUTEX_WAKE_BITSET, 10, NULL, NULL, 0x30), 1);
	guest_join(a);
	guest_join(b);
	guest_reap(p);
}
