/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables (files_struct). Shared by CLONE_FILES, copied by fork.
 *
 * Locks: fd_table.mu is a leaf; files are put with it released. Checkpoint: slots with their close-on-exec bit.
 */
#ifndef SENTRY_FS_FD_TABLE_H
#define SENTRY_FS_FD_TABLE_H

#include "sentry/fs/file.h"

struct fd_table;

struct fd_table *fd_table_new(void); /* or NULL */
struct fd_table *fd_table_get(struct fd_table *ft);
/* The last put closes everything as exit does; @t is the exiting task (POSIX locks, flush), may be NULL. */
void fd_table_put(struct fd_table *ft, struct task *t);
struct fd_table *fd_table_dup(struct fd_table *ft); /* fork; or NULL */
bool fd_table_shared(const struct fd_table *ft);
void fd_table_close_on_exec(struct fd_table *ft, struct task *t);

/* A reference, or NULL (EBADF). O_PATH files are returned only by the _raw form. */
struct file *fd_get(struct task *t, int fd);
struct file *fd_get_raw(struct task *t, int fd);
struct file *fd_table_lookup(struct fd_table *ft, int fd); /* raw; any table */
/* Lowest free descriptor >= @min under RLIMIT_NOFILE; consumes the reference on success. -EMFILE (-EINVAL when min is over the limit). */
int fd_install(struct task *t, struct file *f, int min, bool cloexec);
/* dup2-like: installs at exactly @fd, closing what was there. */
int fd_install_at(struct task *t, struct file *f, int fd, bool cloexec);
/* The same, for who holds locks: hands over what was there (or NULL), to be given to fd_table_closed() later. */
int fd_replace(struct task *t, struct file *f, int fd, bool cloexec, struct file **ret_old);
void fd_table_closed(struct fd_table *ft, struct file *old, struct task *t); /* consumes @old */
/* Reserve/commit in two steps when a later step may fail (accept, recvmsg): reserved slots are not visible. */
int fd_reserve(struct task *t, int min, bool cloexec);
void fd_commit(struct task *t, int fd, struct file *f); /* consumes the reference */
void fd_unreserve(struct task *t, int fd);
/* close(2): -EBADF, else flush's result. */
int fd_close(struct task *t, int fd);
int fd_close_range(struct task *t, unsigned first, unsigned last, bool cloexec_only);
int fd_get_cloexec(struct task *t, int fd); /* 0, 1, -EBADF */
int fd_set_cloexec(struct task *t, int fd, bool on);
/* Iteration for /proc: the next used descriptor >= @from, or -1. */
int fd_table_next(struct fd_table *ft, int from);
bool fd_table_cloexec(struct fd_table *ft, int fd); /* false when unused */

#endif
