/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount namespace of a new container, from its OCI mounts.
 *
 * mounts[0] is the root. Destinations are resolved inside the new tree (symlinks cannot leave it), missing mount points are made.
 * Each kind maps to a registered file system: gofer ("gofer", or "overlay" when m->overlay), tmpfs, proc, sysfs, devtmpfs, devpts,
 * mqueue, cgroup2. Then come the devices, masked and read-only paths.
 */
#ifndef SENTRY_FS_CONTAINER_MOUNTS_H
#define SENTRY_FS_CONTAINER_MOUNTS_H

#include "base/error.h"
#include "sentry/fs/mount.h"

struct sentry_container;

/* @gofer may be NULL when no mount needs one; @c may be NULL in tests. */
_must_check_ int container_mounts(struct kernel *k, const struct sentry_container *sc, struct container *c, struct p9_client *gofer,
				  struct mnt_ns **ret, struct error **err);
/* The process's fs_ctx: root of the namespace, cwd created when missing (as runc does), umask. @ret: reference. */
_must_check_ int container_fs_ctx(struct mnt_ns *ns, const char *cwd, uint32_t umask, struct fs_ctx **ret, struct error **err);

#endif
