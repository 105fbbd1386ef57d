/* SPDX-License-Identifier: Apache-2.0 */
/* A pseudo file that tells its changes: by poll (POLLPRI | POLLERR until it is read again) and inotify (IN_MODIFY). Linux: kernfs_notify(). */
#ifndef SENTRY_FS_PSEUDO_WATCH_H
#define SENTRY_FS_PSEUDO_WATCH_H

#include <stdatomic.h>

#include "sentry/kernel/waitq.h"

struct inode;

struct pseudo_watch {
	_Atomic uint64_t seq; /* changes so far */
	struct waitq wq; /* woken with each */
	struct list inodes; /* that show it, one for each mount; guarded by pseudo_watch_mu */
};

void pseudo_watch_init(struct pseudo_watch *w);
void pseudo_watch_done(struct pseudo_watch *w);
/* It has changed. Locks above inotify's may be held. */
void pseudo_watch_changed(struct pseudo_watch *w);

#endif
