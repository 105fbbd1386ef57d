/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of detached mount trees, from fsmount(2) and open_tree(OPEN_TREE_CLONE): O_PATH files that own an anonymous namespace. When the last one
 * is closed and move_mount(2) did not take the tree, it is unmounted.
 */
#ifndef SENTRY_FS_TREE_FILE_H
#define SENTRY_FS_TREE_FILE_H

#include "sentry/fs/mount.h"

/* Consumes the reference on @ns in any case. Its root becomes the file's path. -ENOMEM. */
_must_check_ int tree_file_new(struct task *t, struct mnt_ns *ns, struct file **ret);

#endif
