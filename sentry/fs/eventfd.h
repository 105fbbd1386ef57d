/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SENTRY_FS_EVENTFD_H
#define SENTRY_FS_EVENTFD_H

#include "sentry/fs/file.h"

/* @flags: LINUX_O_NONBLOCK. */
_must_check_ int eventfd_new(struct task *t, uint32_t count, bool semaphore, uint32_t flags, struct file **ret);
bool file_is_eventfd(const struct file *f);

#endif
