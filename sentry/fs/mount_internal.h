/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by mount.c, mount_tree.c, mount_group.c and mnt_ns.c. _locked: both locks are held. */
#ifndef SENTRY_FS_MOUNT_INTERNAL_H
#define SENTRY_FS_MOUNT_INTERNAL_H

#include "sentry/fs/mount.h"

#define MAX_MOUNTS 100000u /* per namespace: fs.mount-max */

extern struct mutex namespace_mu, mnt_mu;
extern struct list all_mounts; /* mount.all_node; guarded by mnt_mu (reading: either lock) */

struct mount *mount_alloc(struct super_block *sb, struct dentry *root, uint32_t flags, const char *source);
void mount_join_ns_locked(struct mnt_ns *ns, struct mount *m); /* takes a reference */
struct mnt_ns *mnt_ns_new_anon(void); /* or NULL */
struct mount **mnt_ns_snapshot(struct mnt_ns *ns, size_t *n);
void mount_put_all(struct mount **v, size_t n);
void mnt_ns_changed(struct mnt_ns *ns);

/* --- shape (mount_tree.c) --- */

/* The mount on @mp of @parent, not referenced. Either lock. */
struct mount *mount_child_at(const struct mount *parent, const struct dentry *mp);
/* The next of the tree below @root in depth-first order, past @m's children when @skip; NULL at the end. namespace_mu held. */
struct mount *mount_next(struct mount *m, struct mount *root, bool skip);
void mount_link_locked(struct mount *m, struct mount *parent, struct dentry *mp);
void mount_unlink_locked(struct mount *m, struct path *old); /* what it held is handed to the caller in *@old */

#define COPY_RECURSIVE	 (1u << 0)
#define COPY_UNBINDABLE	 (1u << 1) /* those too (namespaces) */
#define COPY_SLAVE	 (1u << 2) /* copies are slaves of the originals' groups */
#define COPY_MAKE_SHARED (1u << 3) /* and shared in new groups */

/* A copy of the tree at @m from @root on, in no namespace: its top, whose reference (and those of the mounts below) is the caller's. Sets op_copy of the
 * originals. namespace_mu held. -EINVAL: unbindable. */
_must_check_ int mount_copy_tree(struct mount *m, struct dentry *root, uint32_t flags, struct mount **ret);
/* Throws a copy away. namespace_mu is not held. */
void mount_drop_tree(struct mount *top);
/* Lets go of mounts taken out of their trees: @list by op_node, each with the reference its namespace (or its maker) had and what is in op_path.
 * No lock held. */
void mount_release_list(struct list *list);
size_t mount_count(struct mount *top);
/* Puts all mounts of @top's tree into @ns, consuming their references. */
void mount_commit_locked(struct mount *top, struct mnt_ns *ns);

/* --- peer groups (mount_group.c) --- */

uint32_t mount_new_group(void);
void mount_groups_seen(uint32_t group); /* an image has it: do not give it out again */
/* MS_SHARED, SLAVE, PRIVATE or UNBINDABLE for one mount. mnt_mu held. */
void mount_set_type_locked(struct mount *m, uint32_t type);
/* Mounts that get what is mounted in @m: its peers and slaves, in order, without @m; into *@ret (malloc'd, not referenced). namespace_mu held. */
_must_check_ int mount_receivers(struct mount *m, struct mount ***ret, size_t *n);
/* Copies of @source's tree for everybody who gets what is mounted at @mp of @dest; op_path says where each belongs (not referenced), op_node
 * links them in @list. On error what was made is in @list too. namespace_mu held. */
_must_check_ int mount_propagate(struct mount *dest, struct dentry *mp, struct mount *source, struct list *list);
/* The group that @m gets its mounts from as far as it can be seen from @root, for propagate_from:N; 0: none. */
uint32_t mount_visible_master(struct mount *m, const struct path *root);

#endif
