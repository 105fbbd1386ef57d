/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes and FIFOs. Rules, locks and what a checkpoint sees: pipe.c. */
#ifndef SENTRY_FS_PIPE_H
#define SENTRY_FS_PIPE_H

#include "sentry/fs/file.h"

struct pipe;

/* pipe2(2): two new open ends. @flags: O_NONBLOCK, O_DIRECT (others are the caller's business). */
_must_check_ int pipe_new(struct task *t, uint32_t flags, struct file **ret_r, struct file **ret_w);
/* open(2) of a FIFO inode, or of an anonymous pipe through /proc/pid/fd. May block until the other side opens: -ERESTARTSYS or
 * -EFREEZE come back unchanged. -ENXIO: O_WRONLY|O_NONBLOCK without a reader. Call with no lock held. */
_must_check_ int fifo_open(struct inode *inode, const struct path *path, uint32_t flags, struct task *t, struct file **ret);
bool file_is_pipe(const struct file *f);
/* F_SETPIPE_SZ / F_GETPIPE_SZ; -EBADF when @f is no pipe. */
int64_t pipe_fcntl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg);

/* For splice(2) and friends; @f is a pipe end. All are atomic with respect to other users of the pipe. */
/* Copies up to @n bytes from @skip bytes after the front without consuming them; 0 when there is nothing there. */
size_t pipe_peek(struct file *f, size_t skip, void *buf, size_t n);
/* Drops up to @n bytes from the front; returns how many. */
size_t pipe_consume(struct file *f, size_t n);
/* Appends up to @n bytes: how many fitted, -EAGAIN when full, -EPIPE (and SIGPIPE) without readers, -ENOMEM. */
int64_t pipe_push(struct file *f, struct task *t, const void *buf, size_t n);
size_t pipe_space(struct file *f); /* bytes that pipe_push() would take now */
bool pipe_has_writers(struct file *f);
bool pipe_has_readers(struct file *f);
bool pipe_same(const struct file *a, const struct file *b);

#endif
