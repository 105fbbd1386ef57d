/* SPDX-License-Identifier: Apache-2.0 */
/* Signals, time and progress of streams; see stream.h. */
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "runsc/stream.h"

#define TICK_US 200000

static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGALRM};
static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	if (sig != SIGALRM)
		caught = sig;
}

static void set_tick(long us)
{
	struct itimerval it = {{0, us}, {0, us}};

	(void)setitimer(ITIMER_REAL, &it, NULL);
}

/* No SA_RESTART: a call that blocks returns. One that is about to block when the signal comes returns at the next tick. */
void stream_guard_begin(struct stream_guard *g)
{
	caught = 0;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		struct sigaction sa = {.sa_handler = signals[i] == SIGPIPE ? SIG_IGN : on_signal};

		(void)sigfillset(&sa.sa_mask);
		(void)sigaction(signals[i], NULL, &g->old[i]);
		/* nohup and background jobs of shells without job control ignore some on purpose. */
		if (g->old[i].sa_handler != SIG_IGN || signals[i] == SIGALRM)
			(void)sigaction(signals[i], &sa, NULL);
	}
	g->up = true;
	set_tick(TICK_US);
}

void stream_guard_end(struct stream_guard *g)
{
	if (!g->up)
		return;
	set_tick(0);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &g->old[i], NULL);
	g->up = false;
}

int stream_signal(void)
{
	return caught;
}

int stream_check_signal(struct error **err)
{
	return caught ? error_msg(err, -EINTR, "interrupted by SIG%s", sigabbrev_np(caught)) : 0;
}

int64_t stream_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

void stream_progress_step(struct stream_progress *p, uint64_t bytes, const char *what)
{
	int64_t now = stream_now();
	double s;

	if (!p->start) {
		p->start = now;
		p->last = now;
		return;
	}
	if (now - p->last < TICK_US * 1000LL || !isatty(STDERR_FILENO))
		return;
	p->last = now;
	p->shown = true;
	s = (double)(now - p->start) / 1e9;
	fprintf(stderr, "\r\033[Krunsc: %s: %s %.1f MiB, %.1f MiB/s", p->verb, what, (double)bytes / 1048576,
		(double)bytes / 1048576 / s);
}

void stream_progress_end(struct stream_progress *p)
{
	if (p->shown)
		fprintf(stderr, "\r\033[K");
	p->shown = false;
}
