/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces as files (/proc/pid/ns/uts): what setns(2) needs. */
#ifndef SENTRY_FS_NSFS_H
#define SENTRY_FS_NSFS_H

#include "sentry/fs/file.h"
#include "sentry/kernel/task.h"

/* A place for the inode of an open namespace file, for links to it. -EINVAL: not one of ours. */
_must_check_ int nsfs_path(struct inode *i, struct path *ret);
/* The namespace an open file stands for: its kind and object (struct mnt_ns, uts_ns, ...; NULL for the initial user, cgroup and time namespace), not
 * referenced, alive as long as @f. -EINVAL: no such file. */
_must_check_ int nsfs_get(struct file *f, enum ns_kind *ret_kind, void **ret_ns);

#endif
