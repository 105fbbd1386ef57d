/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnotify (fcntl F_NOTIFY): a signal to the owner of an open directory when something in it changes.
 *
 * Locks: dnotify_mu, below directory inode.mu. Checkpoint: the mask travels with the open file.
 * DEVIATION: it belongs to the open file, not to one of its descriptors: closing a duplicate changes nothing.
 */
#ifndef SENTRY_FS_DNOTIFY_H
#define SENTRY_FS_DNOTIFY_H

#include "sentry/fs/file.h"

_must_check_ int dnotify_set(struct file *f, struct task *t, int fd, uint32_t mask); /* DN_*; 0: none any more */
void dnotify_drop(struct file *f);
/* LINUX_IN_* in directory @dir; @renamed: within it. Inode locks may be held. */
void dnotify_event(const struct inode *dir, uint32_t mask, bool renamed);
uint32_t dnotify_mask(const struct file *f, int *ret_fd); /* for the image */
_must_check_ int dnotify_restore(struct file *f, uint32_t mask, int fd);
extern _Atomic bool dnotify_active;

#endif
