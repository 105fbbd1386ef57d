// SPDX-License-Identifier: Apache-2.0
/*
 * Two processes and two threads signal each other continuously over checkpoints; no queued real-time signal is lost
 * or reordered.
 */
#include "guest.h"

#define N 3000

static int next, errors;
static volatile int usr1;

static void rt(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)uc;
	if (si->si_value.sival_int != next++)
		errors++;
}

static void count(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)si, (void)uc;
	usr1++;
}

void guest_test(void)
{
	struct gate g;
	pid_t p;

	gate_init(&g);
	CHILD (p) {
		guest_handler(SIGRTMIN, rt, SA_RESTART);
		guest_handler(SIGUSR1, count, SA_RESTART);
		gate_post(&g);
		while (next < N)
			usleep(100);
		CHECK_EQ(errors, 0);
		CHECK(usr1 > 0);
		_exit(0);
	}
	gate_wait(&g);
	for (int i = 0; i < N; i++) {
		OK(kill(p, SIGUSR1));
		while (sigqueue(p, SIGRTMIN, (union sigval){.sival_int = i}) != 0) {
			CHECK_EQ(errno, EAGAIN);
			sched_yield();
		}
		if (i == N / 3 || i == N / 2)
			guest_checkpoint();
	}
	guest_reap(p);
}
