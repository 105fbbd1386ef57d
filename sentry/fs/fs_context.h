/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File system contexts: the descriptors of fsopen(2) and fspick(2), on which a file system is put together step by step.
 *
 * Locks: fs_context.mu, over the file system's own mount(). Checkpoint: phase, parameters, messages, the super block.
 */
#ifndef SENTRY_FS_FS_CONTEXT_H
#define SENTRY_FS_FS_CONTEXT_H

#include "sentry/fs/mount.h"

/* For a new file system of type @ft, or (fspick) to change that of @picked (else NULL). -ENOMEM. */
_must_check_ int fs_context_new(struct task *t, const struct fs_type *ft, const struct path *picked, struct file **ret);
bool file_is_fs_context(const struct file *f);

/* Parameters: @val NULL for a flag. -EINVAL (with a message for read(2)), -EBUSY in the wrong phase. */
_must_check_ int fs_context_param(struct file *f, const char *key, const char *val);
_must_check_ int fs_context_create(struct file *f, struct task *t); /* FSCONFIG_CMD_CREATE */
_must_check_ int fs_context_reconfigure(struct file *f, struct task *t); /* FSCONFIG_CMD_RECONFIGURE */
/* fsmount(2): the created file system as an anonymous namespace. -EINVAL: none was created; -EBUSY: already mounted. */
_must_check_ int fs_context_mount(struct file *f, uint32_t mnt_flags, struct mnt_ns **ret);

#endif
