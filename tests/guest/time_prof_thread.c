// SPDX-License-Identifier: Apache-2.0
/* SIGPROF of setitimer(ITIMER_PROF) finds the thread that uses the CPU, not the idle leader, also after a checkpoint: profilers rely on it. */
#include "guest.h"
#include <stdatomic.h>

static atomic_int busy_hits, other_hits, stop;
static _Thread_local int is_busy;

static void on_prof(int sig)
{
	atomic_fetch_add(is_busy ? &busy_hits : &other_hits, 1);
}

static void *burn(void *arg)
{
	is_busy = 1;
	while (!atomic_load(&stop))
		;
	return NULL;
}

static void collect(int n)
{
	struct timespec nap = {0, 5000000};
	int until = atomic_load(&busy_hits) + atomic_load(&other_hits) + n;

	while (atomic_load(&busy_hits) + atomic_load(&other_hits) < until)
		nanosleep(&nap, NULL);
}

void guest_test(void)
{
	struct sigaction sa = {.sa_handler = on_prof, .sa_flags = SA_RESTART};
	struct itimerval it = {{0, 20000}, {0, 20000}}, none = {{0, 0}, {0, 0}};
	pthread_t th;

	OK(sigaction(SIGPROF, &sa, NULL));
	th = guest_thread(burn, NULL);
	OK(setitimer(ITIMER_PROF, &it, NULL));
	collect(10);
	guest_checkpoint();
	collect(10);
	OK(setitimer(ITIMER_PROF, &none, NULL));
	atomic_store(&stop, 1);
	guest_join(th);
	CHECK(atomic_load(&busy_hits) > atomic_load(&other_hits));
}
