/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisory file locks: POSIX (fcntl, owned by the descriptor table), OFD (owned by the open file) and flock.
 *
 * Per inode, in inode.locks, made on first use. POSIX and OFD locks are byte ranges in one space, flock locks in another.
 * Locks: file_locks.mu is a leaf; waiters wait on file_locks.wq with nothing held. Deadlocks among POSIX waiters are found (EDEADLK).
 * Checkpoint: held locks are saved with their owner; waiters re-run. Linux: fs/locks.c.
 */
#ifndef SENTRY_FS_LOCKS_H
#define SENTRY_FS_LOCKS_H

#include "sentry/fs/inode.h"

struct fd_table;

/* fcntl F_SETLK/F_SETLKW/F_OFD_*: @fl as the application gave it. @wait blocks. */
int64_t locks_fcntl_set(struct task *t, struct file *f, const struct linux_flock *fl, bool ofd, bool wait);
/* F_GETLK: fills *@fl. */
int locks_fcntl_get(struct task *t, struct file *f, struct linux_flock *fl, bool ofd);
/* flock(2). @op: LOCK_* with LOCK_NB. */
int64_t locks_flock(struct task *t, struct file *f, int op);
/* close(2) of any descriptor of the file's inode by a process with table @ft: drops its POSIX locks. */
void locks_close_posix(struct fd_table *ft, struct file *f);
/* The description is going away: drops its OFD and flock locks. */
void locks_release_file(struct file *f);
void locks_free(struct file_locks *l); /* from inode_done() */
/* /proc/locks. */
struct strbuf;
struct kernel;
void locks_show(struct inode *i, struct task *viewer, struct strbuf *b, unsigned *nr);
/* After a restore the POSIX owner is the same table object. */
struct Sentry__FileLock;
int locks_save(struct state_writer *w, const struct inode *i, struct Sentry__FileLock ***ret, size_t *n);
int locks_load(struct state_reader *r, struct inode *i, struct Sentry__FileLock **l, size_t n);

#endif
