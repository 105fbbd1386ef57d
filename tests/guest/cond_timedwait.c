// SPDX-License-Identifier: Apache-2.0
/*
 * pthread_cond_timedwait, sem_timedwait, pthread_mutex_timedlock and rwlocks over a checkpoint: expire late, never
 * early, never spuriously fail.
 */
#include "guest.h"
#include <semaphore.h>

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER, held = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static sem_t s;
static int readers;

static struct timespec in_ms(int ms)
{
	int64_t t = now_ns(CLOCK_REALTIME) + ms * MS;

	return (struct timespec){t / (1000 * MS), t % (1000 * MS)};
}

static void *cond(void *arg)
{
	struct timespec ts = in_ms(250);
	int r;

	pthread_mutex_lock(&m);
	do {
		r = pthread_cond_timedwait(&c, &m, &ts);
	} while (r == 0);
	pthread_mutex_unlock(&m);
	CHECK_EQ(r, ETIMEDOUT);
	CHECK(now_ns(CLOCK_REALTIME) >= ts.tv_sec * 1000 * MS + ts.tv_nsec);
	return arg;
}

static void *sem(void *arg)
{
	struct timespec ts = in_ms(250);

	CHECK_ERRNO(sem_timedwait(&s, &ts), ETIMEDOUT);
	return arg;
}

static void *lock(void *arg)
{
	struct timespec ts = in_ms(250);

	CHECK_EQ(pthread_mutex_timedlock(&held, &ts), ETIMEDOUT);
	return arg;
}

static void *reader(void *arg)
{
	pthread_rwlock_rdlock(&rw);
	__atomic_add_fetch(&readers, 1, __ATOMIC_SEQ_CST);
	pthread_rwlock_unlock(&rw);
	return arg;
}

void guest_test(void)
{
	pthread_t t[6];

	sem_init(&s, 0, 0);
	pthread_mutex_lock(&held);
	pthread_rwlock_wrlock(&rw);
	t[0] = guest_thread(cond, NULL);
	t[1] = guest_thread(sem, NULL);
	t[2] = guest_thread(lock, NULL);
	for (int i = 3; i < 6; i++)
		t[i] = guest_thread(reader, NULL);
	msleep(30);
	guest_checkpoint();
	CHECK_EQ(readers, 0);
	pthread_rwlock_unlock(&rw);
	for (int i = 0; i < 6; i++)
		guest_join(t[i]);
	CHECK_EQ(readers, 3);
}
