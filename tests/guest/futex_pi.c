// SPDX-License-Identifier: Apache-2.0
/* PI futexes: ownership, trylock, waiting, deadlock, owner death, over a checkpoint. */
#include "guest.h"
#include <linux/futex.h>

static int word;
static volatile pid_t tid;
static int done;

static long pi(int op, void *t)
{
	return syscall(SYS_futex, &word, op | FUTEX_PRIVATE_FLAG, 0, t, NULL, 0);
}

static void *locker(void *arg)
{
	(void)arg;
	tid = guest_gettid();
	CHECK_EQ(pi(FUTEX_LOCK_PI, NULL), 0);
	CHECK_EQ(word & FUTEX_TID_MASK, tid);
	__atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
	CHECK_EQ(pi(FUTEX_UNLOCK_PI, NULL), 0);
	return NULL;
}

static void *holds_forever(void *arg)
{
	CHECK_EQ(pi(FUTEX_LOCK_PI, NULL), 0);
	return arg; /* never unlocked, not in a robust list */
}

void guest_test(void)
{
	struct timespec ts;
	pthread_t t;
	pthread_mutex_t m;
	pthread_mutexattr_t ma;

	SUBTEST("uncontended");
	CHECK_EQ(pi(FUTEX_LOCK_PI, NULL), 0);
	CHECK_EQ(word & FUTEX_TID_MASK, guest_gettid());
	CHECK_ERRNO(pi(FUTEX_LOCK_PI, NULL), EDEADLK);
	CHECK_ERRNO(pi(FUTEX_TRYLOCK_PI, NULL), EDEADLK);
	SUBTEST("contended over a checkpoint");
	t = guest_thread(locker, NULL);
	while (!tid)
		msleep(1);
	guest_blocked(tid);
	CHECK(word & FUTEX_WAITERS);
	guest_checkpoint();
	CHECK_EQ(done, 0);
	CHECK_EQ(pi(FUTEX_UNLOCK_PI, NULL), 0);
	guest_join(t);
	CHECK_EQ(done, 1);
	CHECK_EQ(word & FUTEX_TID_MASK, 0);
	SUBTEST("errors");
	CHECK_ERRNO(pi(FUTEX_UNLOCK_PI, NULL), EPERM);
	word = 0x3ffffff0;
	CHECK_ERRNO(pi(FUTEX_LOCK_PI, NULL), ESRCH); /* no such owner */
	word = 1;
	CHECK_ERRNO(pi(FUTEX_UNLOCK_PI, NULL), EPERM);
	word = 0;
	SUBTEST("timeout (absolute, real time)");
	t = guest_thread(holds_forever, NULL);
	guest_join(t);
	clock_gettime(CLOCK_REALTIME, &ts);
	CHECK_ERRNO(pi(FUTEX_LOCK_PI, &ts), ESRCH);
	word = 0;
	SUBTEST("PI mutex by the C library");
	pthread_mutexattr_init(&ma);
	pthread_mutexattr_setprotocol(&ma, PTHREAD_PRIO_INHERIT);
	CHECK_EQ(pthread_mutex_init(&m, &ma), 0);
	CHECK_EQ(pthread_mutex_lock(&m), 0);
	guest_checkpoint();
	CHECK_EQ(pthread_mutex_trylock(&m), EBUSY);
	CHECK_EQ(pthread_mutex_unlock(&m), 0);
}
