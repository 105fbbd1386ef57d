/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SENTRY_FS_SIGNALFD_H
#define SENTRY_FS_SIGNALFD_H

#include "sentry/fs/file.h"

_must_check_ int signalfd_new(struct task *t, sigset64_t mask, uint32_t flags, struct file **ret);
bool file_is_signalfd(const struct file *f);

#endif
