/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts and mount namespaces.
 *
 * A mount places the tree below `root` of a super block on `mountpoint` of its parent mount. Several mounts on one place stack: the
 * last one is seen. DEVIATION: propagation (shared, slave) is recorded and shown, but mounts do not propagate to peers.
 *
 * Locks: mnt_mu (one for all; a leaf, short, never over a host call) guards the shape of all mount trees.
 * Checkpoint: mounts, namespaces and their super blocks are saved.
 */
#ifndef SENTRY_FS_MOUNT_H
#define SENTRY_FS_MOUNT_H

#include "sentry/fs/fs_type.h"

struct mnt_ns;

struct mount {
	struct ref ref; /* nosave: counted again by state_deref() */
	struct super_block *sb; /* saved, active reference */
	struct dentry *root; /* saved, referenced */
	struct mount *parent; /* saved, referenced; NULL: root of a namespace or detached. guarded by mnt_mu */
	struct dentry *mountpoint; /* saved, referenced; in parent */
	struct mnt_ns *ns; /* saved; not referenced; NULL: detached (lazily unmounted but in use) */
	struct list children; /* derived: child_node, oldest first */
	struct list child_node; /* derived: in parent->children */
	struct list ns_node; /* derived: ns->mounts */
	uint32_t id; /* saved: mount id of /proc/self/mountinfo */
	_Atomic uint32_t flags; /* saved: LINUX_MS_RDONLY NOSUID NODEV NOEXEC NOATIME NODIRATIME RELATIME NOSYMFOLLOW */
	char *source; /* saved */
	uint32_t peer_group; /* saved: shared:N, 0 private */
	uint32_t master_group; /* saved: master:N, 0 none */
	bool unbindable; /* saved */
	char *dest; /* saved: for container mounts, the destination of the OCI config: how restore matches gofer mounts; else NULL */
};

struct mnt_ns {
	struct ref ref; /* nosave: counted again by state_deref() */
	uint64_t ino; /* saved: /proc/self/ns/mnt */
	struct list mounts; /* saved: ns_node in order of mounting; guarded by mnt_mu */
	struct mount *root; /* saved, referenced */
	uint32_t nr_mounts; /* derived: of the list */
	uint64_t event; /* derived: counts changes */
	struct waitq wq; /* nosave: pollers of /proc/mounts */
};

struct mount *mount_get(struct mount *m);
void mount_put(struct mount *m);

static inline void path_get(const struct path *p)
{
	mount_get(p->mnt);
	dentry_get(p->dentry);
}
void path_put(struct path *p); /* both NULL is fine; zeroes *@p */
#define _cleanup_path_ _cleanup_(path_put)
static inline bool path_equal(const struct path *a, const struct path *b)
{
	return a->mnt == b->mnt && a->dentry == b->dentry;
}

struct mnt_ns *mnt_ns_get(struct mnt_ns *ns);
void mnt_ns_put(struct mnt_ns *ns);
/* A new namespace whose root mount is @sb (reference stays the caller's). -ENOMEM. */
_must_check_ int mnt_ns_new(struct kernel *k, struct super_block *sb, uint32_t flags, const char *source, struct mnt_ns **ret);
/* CLONE_NEWNS: a copy of the tree. *@fs's root and cwd (referenced paths of @old) are moved to the copies; @fs may be NULL. */
struct fs_ctx;
_must_check_ int mnt_ns_clone(struct kernel *k, struct mnt_ns *old, struct fs_ctx *fs, struct mnt_ns **ret);
/* Root path of the namespace (top of the stack at "/"), referenced. */
void mnt_ns_root(struct mnt_ns *ns, struct path *ret);

/* What is mounted on @p: true and *@p replaced (repeatedly, to the top). References move along. */
bool mount_follow_down(struct path *p);
/* From a mount's root to its mountpoint: false at the top. References move along. */
bool mount_follow_up(struct path *p);

/* Mounts @sb (root @root or sb->root) on @where. -EBUSY... *@ret (may be NULL): reference. */
_must_check_ int mount_attach(struct mnt_ns *ns, const struct path *where, struct super_block *sb, struct dentry *root, uint32_t flags,
			      const char *source, struct mount **ret);
/* Bind. @recursive copies submounts. */
_must_check_ int mount_bind(struct mnt_ns *ns, const struct path *from, const struct path *where, bool recursive, uint32_t flags_set);
_must_check_ int mount_move(struct mnt_ns *ns, const struct path *from, const struct path *where);
/* umount2: -EBUSY when in use unless @detach. The caller holds exactly one reference of its own on @m. */
_must_check_ int mount_detach(struct mnt_ns *ns, struct mount *m, bool detach);
_must_check_ int mount_pivot_root(struct mnt_ns *ns, const struct path *new_root, const struct path *put_old, const struct path *cur_root);
/* Makes a super block of type @type and mounts it. */
_must_check_ int mount_new(struct mnt_ns *ns, const struct path *where, const char *type, const struct mount_req *rq, uint32_t mnt_flags,
			   struct mount **ret);

/* May files be changed through this mount? 0 or -EROFS. (No counting: a remount to read-only waits for nobody.) */
int mount_want_write(const struct mount *m);
static inline bool mount_nodev(const struct mount *m)
{
	return m && m->flags & LINUX_MS_NODEV;
}
static inline bool mount_noexec(const struct mount *m)
{
	return m && m->flags & LINUX_MS_NOEXEC;
}

/* Text for /proc/<pid>/{mounts,mountinfo,mountstats}: as seen from @root; unreachable mounts are left out. */
enum mounts_format { MOUNTS_MOUNTS, MOUNTS_MOUNTINFO, MOUNTS_MOUNTSTATS };
int mnt_ns_show(struct mnt_ns *ns, const struct path *root, enum mounts_format fmt, struct strbuf *b);

/* The mount at the top with `dest` equal to @dest, referenced, or NULL: how restore matches container mounts. */
struct mount *mnt_ns_find_dest(struct mnt_ns *ns, const char *dest);
/* Iteration: the mount after @prev in order of mounting (NULL: first), referenced; puts @prev. */
struct mount *mnt_ns_next(struct mnt_ns *ns, struct mount *prev);
void mount_set_flags(struct mount *m, uint32_t flags); /* remount,bind */
/* MS_PRIVATE, SLAVE, SHARED, UNBINDABLE; @recursive for the mounts below too. */
void mount_set_propagation(struct mount *m, uint32_t type, bool recursive);
/* Flags of mount(2) that belong to the mount; atime defaults to relatime. */
uint32_t mount_flags_from_ms(uint64_t ms);

/* kern mount: a super block that is never in a namespace (memfd, pipes): a mount with one reference. */
_must_check_ int mount_kern(struct super_block *sb, struct mount **ret);

#endif
