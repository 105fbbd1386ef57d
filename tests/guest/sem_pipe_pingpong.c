// SPDX-License-Identifier: Apache-2.0
/*
 * Two processes and two threads exchange many messages by pipes and semaphores while checkpoints happen; order holds.
 */
#include "guest.h"
#include <semaphore.h>

#define ROUNDS 2000

static sem_t *s;
static int turn;

static void *player(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		while (sem_wait(&s[me]) != 0)
			CHECK_EQ(errno, EINTR);
		CHECK_EQ(turn++ % 2, me);
		CHECK_EQ(sem_post(&s[!me]), 0);
	}
	return NULL;
}

void guest_test(void)
{
	int there[2], back[2], v;
	pthread_t a, b;
	pid_t p;

	s = calloc(2, sizeof(*s));
	sem_init(&s[0], 0, 1);
	sem_init(&s[1], 0, 0);
	OK(pipe(there));
	OK(pipe(back));
	CHILD (p) {
		for (int i = 0; i < ROUNDS; i++) {
			CHECK_EQ(read(there[0], &v, 4), 4);
			CHECK_EQ(v, i);
			CHECK_EQ(write(back[1], &v, 4), 4);
		}
		_exit(0);
	}
	a = guest_thread(player, (void *)0);
	b = guest_thread(player, (void *)1);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_EQ(write(there[1], &i, 4), 4);
		CHECK_EQ(read(back[0], &v, 4), 4);
		CHECK_EQ(v, i);
		if (i == ROUNDS / 4 || i == ROUNDS / 2)
			guest_checkpoint();
	}
	guest_join(a);
	guest_join(b);
	CHECK_EQ(turn, 2 * ROUNDS);
	guest_reap(p);
}
