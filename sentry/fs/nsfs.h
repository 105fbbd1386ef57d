/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces as files (/proc/pid/ns/uts): what setns(2) needs. */
#ifndef SENTRY_FS_NSFS_H
#define SENTRY_FS_NSFS_H

#include "sentry/fs/file.h"
#include "sentry/kernel/task.h"

/* The namespace an open file stands for: its kind and object (struct mnt_ns, uts_ns, ipc_ns, net_ns, pid_ns; NULL for user and cgroup), not
 * referenced, alive as long as @f. -EINVAL: no such file. */
_must_check_ int nsfs_get(struct file *f, enum ns_kind *ret_kind, void **ret_ns);

#endif
