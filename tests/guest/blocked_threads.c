// SPDX-License-Identifier: Apache-2.0
/* Thirty threads blocked on one mutex, a condition variable and a barrier over a checkpoint. */
#include "guest.h"

#define N 10

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER, cm = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cv = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t bar;
static int counter, released, woken;

static void *locker(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&m);
	counter++;
	pthread_mutex_unlock(&m);
	return NULL;
}

static void *waiter(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&cm);
	while (!released)
		pthread_cond_wait(&cv, &cm);
	woken++;
	pthread_mutex_unlock(&cm);
	return NULL;
}

static void *meeter(void *arg)
{
	int r = pthread_barrier_wait(&bar);

	CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
	return arg;
}

void guest_test(void)
{
	pthread_t t[3 * N];

	pthread_barrier_init(&bar, NULL, N + 1);
	pthread_mutex_lock(&m);
	for (int i = 0; i < N; i++) {
		t[3 * i] = guest_thread(locker, NULL);
		t[3 * i + 1] = guest_thread(waiter, NULL);
		t[3 * i + 2] = guest_thread(meeter, NULL);
	}
	msleep(20);
	guest_checkpoint();
	CHECK_EQ(counter, 0);
	CHECK_EQ(woken, 0);
	pthread_mutex_unlock(&m);
	pthread_mutex_lock(&cm);
	released = 1;
	pthread_cond_broadcast(&cv);
	pthread_mutex_unlock(&cm);
	pthread_barrier_wait(&bar);
	for (int i = 0; i < 3 * N; i++)
		guest_join(t[i]);
	CHECK_EQ(counter, N);
	CHECK_EQ(woken, N);
}
