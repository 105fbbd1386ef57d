/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readiness of host descriptors: one epoll instance and one thread, both made by the first watch that is armed. A watch is either
 * one-shot: armed when somebody is about to wait, it calls back once from the thread; or it calls back at every edge until it ends.
 */
#ifndef SENTRY_FS_HOST_POLLER_H
#define SENTRY_FS_HOST_POLLER_H

#include "base/cleanup.h"
#include "base/util.h"

struct host_watch {
	int fd;
	bool added; /* private */
	uint64_t id; /* private: guards against a late event for a removed watch */
	void (*fn)(struct host_watch *w, uint32_t events); /* EPOLL* bits, the same values as LINUX_POLL* */
};

void host_watch_init(struct host_watch *w, int fd, void (*fn)(struct host_watch *w, uint32_t events));
/* Calls back when one of @events comes true. -EPERM: the descriptor (a regular file) is always ready. */
_must_check_ int host_watch_arm(struct host_watch *w, uint32_t events);
/* Calls back whenever one of @events comes true again (new data, new room), beginning with what is true now. Once per watch. */
_must_check_ int host_watch_edges(struct host_watch *w, uint32_t events);
/* After it returns the callback is not running and will not run. */
void host_watch_done(struct host_watch *w);

#endif
