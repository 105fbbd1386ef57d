/* SPDX-License-Identifier: Apache-2.0 */
/* A line of progress, rewritten in place. */
#include <time.h>
#include <unistd.h>

#include "runsc/image/image.h"

#define INTERVAL_NS 200000000LL

static int64_t now_ns(void)
{
	struct timespec ts = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void progress_begin(struct progress *p, const char *what, uint64_t total)
{
	*p = (struct progress){.what = what, .total = total, .on = isatty(STDERR_FILENO) == 1, .last_ns = now_ns()};
}

void progress_add(struct progress *p, uint64_t n)
{
	int64_t now;

	p->done += n;
	if (!p->on)
		return;
	now = now_ns();
	if (now - p->last_ns < INTERVAL_NS)
		return;
	p->last_ns = now;
	p->shown = true;
	fprintf(stderr, "\r%s %3u%%", p->what, p->total ? (unsigned int)((double)p->done * 100 / (double)p->total) : 100);
}

void progress_end(struct progress *p)
{
	if (p->shown)
		fprintf(stderr, "\r\033[K");
}
