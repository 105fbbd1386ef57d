/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpfs: files in the memory of the application kernel. Also what memfd_create(2) makes and the upper layer of overlays.
 */
#ifndef SENTRY_FS_TMPFS_H
#define SENTRY_FS_TMPFS_H

#include "sentry/fs/fs_type.h"

/* A super block made from code (no mount options): root directory of @mode owned by @uid:@gid, unlimited. A reference, inactive. */
_must_check_ int tmpfs_new(struct kernel *k, uint32_t mode, uint32_t uid, uint32_t gid, struct super_block **ret);
/* memfd_create(2): an open file named @name. @flags: LINUX_MFD_*. */
_must_check_ int memfd_new(struct task *t, const char *name, uint32_t flags, struct file **ret);
/* F_ADD_SEALS, F_GET_SEALS; -EINVAL when @f is no tmpfs file. */
int tmpfs_add_seals(struct file *f, uint32_t seals);
int tmpfs_get_seals(struct file *f);
bool inode_is_tmpfs(const struct inode *i);

#endif
