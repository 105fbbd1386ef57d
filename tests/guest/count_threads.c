// SPDX-License-Identifier: Apache-2.0
/*
 * Four threads count together under a mutex and hand the turn around by a condition variable; nothing is lost over checkpoints.
 * Started with "forever" (tests/e2e/checkpoints) it prints the count until it is killed.
 */
#include "guest.h"

#define THREADS 4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_cv = PTHREAD_COND_INITIALIZER;
static int turn, count, limit;
static bool print;

static void *worker(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (;;) {
		pthread_mutex_lock(&lock);
		while (turn != me && (!limit || count < limit))
			pthread_cond_wait(&turn_cv, &lock);
		if (limit && count >= limit)
			break;
		count++;
		turn = (turn + 1) % THREADS;
		if (print) {
			dprintf(1, "%d\n", count);
			msleep(1);
		}
		pthread_cond_broadcast(&turn_cv);
		pthread_mutex_unlock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void run(void)
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		t[i] = guest_thread(worker, (void *)(intptr_t)i);
	if (limit)
		for (int i = 0; i < 3; i++)
			guest_checkpoint();
	for (int i = 0; i < THREADS; i++)
		guest_join(t[i]);
}

int guest_helper(int argc, char **argv)
{
	(void)argc, (void)argv;
	print = true;
	run();
	return 0;
}

void guest_test(void)
{
	limit = 3000;
	count = turn = 0;
	run();
	CHECK_EQ(count, limit);
}
