/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host poller thread. See poller.h.
 *
 * Locks: mu guards the table of watches and is held while a callback runs, so that host_watch_done() can wait for it by taking mu. A
 * callback may take waitq.mu but must not arm or end a watch. Checkpoint: nothing; files arm again.
 */
#include "sentry/fs/host/poller.h"

#include <pthread.h>
#include <sys/epoll.h>

#include "base/htab.h"
#include "base/mutex.h"

static struct {
	struct mutex mu;
	int epfd;
	bool started;
	uint64_t next_id;
	struct htab watches; /* id -> struct host_watch */
} poller = { .mu = MUTEX_INIT("host_poller.mu"), .epfd = -EBADF, .next_id = 1 };

static void *poller_thread(void *arg)
{
	for (;;) {
		struct epoll_event ev[16];
		int n = epoll_wait(poller.epfd, ev, ARRAY_SIZE(ev), -1);

		mutex_lock(&poller.mu);
		for (int i = 0; i < n; i++) {
			struct host_watch *w = htab_get(&poller.watches, ev[i].data.u64);

			if (w)
				w->fn(w, ev[i].events);
		}
		mutex_unlock(&poller.mu);
	}
	return NULL;
}

static int start_locked(void)
{
	pthread_attr_t a;
	pthread_t th;
	int r;

	if (poller.started)
		return 0;
	poller.epfd = epoll_create1(EPOLL_CLOEXEC);
	if (poller.epfd < 0)
		return -errno;
	r = pthread_attr_init(&a);
	if (r == 0) {
		(void)pthread_attr_setstacksize(&a, 128 << 10);
		(void)pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
		r = pthread_create(&th, &a, poller_thread, NULL);
		(void)pthread_attr_destroy(&a);
	}
	if (r) {
		(void)close(TAKE_FD(poller.epfd));
		return -r;
	}
	poller.started = true;
	return 0;
}

void host_watch_init(struct host_watch *w, int fd, void (*fn)(struct host_watch *w, uint32_t events))
{
	*w = (struct host_watch){ .fd = fd, .fn = fn };
}

static int register_watch(struct host_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events };
	int r;

	mutex_lock(&poller.mu);
	r = start_locked();
	if (r == 0 && !w->id) {
		w->id = poller.next_id++;
		r = htab_put(&poller.watches, w->id, w);
		if (r < 0)
			w->id = 0;
	}
	ev.data.u64 = w->id;
	if (r == 0 && epoll_ctl(poller.epfd, w->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &ev) < 0)
		r = -errno;
	if (r == 0)
		w->added = true;
	mutex_unlock(&poller.mu);
	return r;
}

int host_watch_arm(struct host_watch *w, uint32_t events)
{
	return register_watch(w, events | EPOLLONESHOT);
}

int host_watch_edges(struct host_watch *w, uint32_t events)
{
	return register_watch(w, events | EPOLLET);
}

void host_watch_done(struct host_watch *w)
{
	if (!w->id)
		return;
	mutex_lock(&poller.mu);
	(void)htab_del(&poller.watches, w->id);
	if (w->added)
		(void)epoll_ctl(poller.epfd, EPOLL_CTL_DEL, w->fd, NULL);
	w->id = 0;
	w->added = false;
	mutex_unlock(&poller.mu);
}
