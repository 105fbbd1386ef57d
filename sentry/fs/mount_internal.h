/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by mount.c and mnt_ns.c. */
#ifndef SENTRY_FS_MOUNT_INTERNAL_H
#define SENTRY_FS_MOUNT_INTERNAL_H

#include "sentry/fs/mount.h"

#define MAX_MOUNTS 2048 /* per namespace */

extern struct mutex mnt_mu;

struct mount *mount_alloc(struct super_block *sb, struct dentry *root, uint32_t flags, const char *source);
void mount_join_ns_locked(struct mnt_ns *ns, struct mount *m); /* takes a reference */
struct mount **mnt_ns_snapshot(struct mnt_ns *ns, size_t *n);
void mount_put_all(struct mount **v, size_t n);
void mnt_ns_changed(struct mnt_ns *ns);

#endif
