/* SPDX-License-Identifier: Apache-2.0 */
/* epoll(7). Rules, locks and what a checkpoint sees: epoll.c. */
#ifndef SENTRY_FS_EPOLL_H
#define SENTRY_FS_EPOLL_H

#include "sentry/abi/poll.h"
#include "sentry/fs/file.h"

bool file_is_epoll(const struct file *f);
_must_check_ int epoll_new(struct task *t, struct file **ret);
/* epoll_ctl(2) on open files; @fd is the number that names the item together with @target. */
int epoll_do_ctl(struct file *epf, int op, struct file *target, int fd, const struct linux_epoll_event *ev);
/* Collects up to @max ready events without blocking: how many. */
int epoll_collect(struct file *epf, struct linux_epoll_event *out, int max);
/* Called by file_put() on the last reference, before ops->release, when f->epitems is not empty: removes the file from every set. */
void epoll_release_file(struct file *f);

#endif
