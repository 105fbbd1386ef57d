/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SENTRY_FS_INOTIFY_H
#define SENTRY_FS_INOTIFY_H

#include "sentry/fs/file.h"

_must_check_ int inotify_new(struct task *t, uint32_t flags, struct file **ret);
/* Adds or changes the watch on @i: its descriptor or an error. */
int inotify_watch(struct file *f, struct inode *i, uint32_t mask);

#endif
