/* SPDX-License-Identifier: Apache-2.0 */
/* Process descriptors: what clone and waitid need of them. */
#ifndef SENTRY_FS_PIDFD_H
#define SENTRY_FS_PIDFD_H

#include "sentry/fs/file.h"

struct pid;

/* A descriptor for @pid (takes its own reference). @flags: O_NONBLOCK or 0. Not installed. */
_must_check_ int pidfd_new(struct task *t, struct pid *pid, uint32_t flags, struct file **ret);
/* The pid behind descriptor @fd of @t (referenced): -EBADF when it is no pidfd. *@ret_nonblock: its O_NONBLOCK. */
_must_check_ int pidfd_get_pid(struct task *t, int fd, struct pid **ret, int *ret_nonblock);

#endif
