/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases (fcntl F_SETLEASE): a signal to the holder, and time, before somebody else's open or truncate goes on.
 *
 * Locks: lease_mu; waiters sleep on lease_wq with nothing held. Checkpoint: a lease travels with its open file; who waits runs again.
 */
#ifndef SENTRY_FS_LEASE_H
#define SENTRY_FS_LEASE_H

#include "sentry/fs/file.h"

struct Sentry__FileBase;

_must_check_ int lease_set(struct file *f, struct task *t, int fd, int type); /* F_SETLEASE; @type LINUX_F_* */
int lease_get(struct file *f); /* F_GETLEASE */
/* @t opens @i with @flags, or (O_WRONLY) truncates it: waits until no lease is against it. -EAGAIN with O_NONBLOCK, restart codes. No lock held. */
_must_check_ int lease_break(struct inode *i, struct task *t, uint32_t flags);
void lease_drop(struct file *f); /* the file goes */

void lease_save(const struct file *f, struct Sentry__FileBase *m);
_must_check_ int lease_load(struct state_reader *r, struct file *f, const struct Sentry__FileBase *m);
void lease_after_load(struct file *f);

#endif
