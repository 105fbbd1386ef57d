/* SPDX-License-Identifier: Apache-2.0 */
/* See working_set.h. What is recorded is the memory file's business (sentry/mm/memfile_record.c); here is when. */
#include "sentry/kernel/working_set.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mutex.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/memfile.h"
#include "state/working_set.h"

struct working_set_recorder {
	struct memfile *mf;
	int fd;
	uint32_t secs;
	struct mutex mu; /* one of us ends it */
};

void working_set_prefetch(struct kernel *k, int fd)
{
	struct working_set ws;
	int r = working_set_read(fd, &ws);

	if (r == 0)
		memfile_prefetch(k->mf, &ws);
	else if (r != -ENODATA)
		log_warn("the working set of the image cannot be used: %s", strerror(-r));
}

void working_set_record_end(struct working_set_recorder *rec)
{
	struct working_set ws;
	uint64_t pages = 0;
	int r;

	if (!rec)
		return;
	mutex_guard(&rec->mu);
	r = memfile_record_end(rec->mf, &ws);
	if (r == -EALREADY)
		return;
	if (r == 0)
		r = working_set_write(rec->fd, &ws);
	for (uint32_t i = 0; i < ws.nr; i++)
		pages += ws.runs[i].npages;
	if (r < 0)
		log_warn("the working set cannot be recorded: %s", strerror(-r));
	else
		log_info("working set: %lu pages in %u runs", pages, ws.nr);
	working_set_done(&ws);
}

static void *wait_thread(void *arg)
{
	struct working_set_recorder *rec = arg;
	struct timespec left = { .tv_sec = rec->secs };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
	working_set_record_end(rec);
	return NULL;
}

int working_set_record(struct kernel *k, int fd, uint32_t secs, struct working_set_recorder **ret)
{
	struct working_set_recorder *rec = calloc(1, sizeof(*rec));
	sigset_t all, old;
	pthread_t th;
	int r;

	if (!rec)
		return -ENOMEM;
	rec->mf = k->mf;
	rec->secs = secs;
	mutex_init(&rec->mu, "working_set_recorder.mu");
	rec->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	r = rec->fd < 0 ? -errno : memfile_record_start(k->mf);
	if (r == 0) {
		(void)sigfillset(&all);
		(void)pthread_sigmask(SIG_SETMASK, &all, &old);
		r = -pthread_create(&th, NULL, wait_thread, rec);
		(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	if (r < 0) {
		if (rec->fd >= 0)
			(void)close(rec->fd);
		free(rec);
		return r;
	}
	(void)pthread_detach(th);
	*ret = rec;
	return 0;
}
