/* SPDX-License-Identifier: Apache-2.0 */
/* ioctls that every file system's files and directories answer: chattr's flags, cloning, extents. */
#ifndef SENTRY_FS_FILE_ATTR_H
#define SENTRY_FS_FILE_ATTR_H

#include "sentry/fs/file.h"

/* -ENOTTY: none of them. */
int64_t file_attr_ioctl(struct file *f, struct task *t, uint32_t cmd, gaddr_t arg);

#endif
