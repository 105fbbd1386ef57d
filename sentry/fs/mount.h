/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts and mount namespaces.
 *
 * A mount places the tree below `root` of a super block on `mountpoint` of its parent mount. Mounts on one place stack: the later one is
 * mounted on the root of the earlier one. Mounts with one `peer_group` see each other's mounts and unmounts, mounts whose `master_group` that is
 * see them too (mount_group.c). A tree that is nowhere yet (fsmount, open_tree) lives in an anonymous namespace that its descriptor holds.
 *
 * Locks: namespace_mu (one for all) serialises changes of shape, mnt_mu (a leaf, short, never over a host call) makes each of them atomic for
 * readers: writers hold both, readers either. Nothing is put under them.
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
	struct list all_node; /* derived: every mount there is; guarded by mnt_mu */
	uint32_t id; /* saved: mount id of /proc/self/mountinfo */
	_Atomic uint32_t flags; /* saved: LINUX_MS_RDONLY NOSUID NODEV NOEXEC NOATIME NODIRATIME RELATIME NOSYMFOLLOW */
	char *source; /* saved */
	uint32_t peer_group; /* saved: shared:N, 0 private */
	uint32_t master_group; /* saved: master:N, 0 none */
	bool unbindable; /* saved */
	bool kern; /* nosave: of a file system without a place, whose mount is made anew */
	_Atomic bool expire; /* saved: umount2(MNT_EXPIRE) was asked once and nobody used it since */
	_Atomic int32_t writers; /* derived: regular files open for writing through this mount: no change to read-only */
	struct list op_node; /* nosave: trees and victims of the operation in progress; guarded by namespace_mu, as the two below */
	struct path op_path; /* nosave: what to put after the operation */
	struct mount *op_copy; /* nosave: its copy while a tree is copied */
	bool op_mark; /* nosave: chosen by the operation in progress */
	char *dest; /* saved: for container mounts, the destination of the OCI config: how restore matches gofer mounts; else NULL */
};

struct mnt_ns {
	struct ref ref; /* nosave: counted again by state_deref() */
	uint64_t ino; /* saved: /proc/self/ns/mnt; 0 when anon */
	bool anon; /* saved: a detached tree; held by its descriptor only */
	struct user_ns *user_ns; /* saved: 15; whose capabilities rule it; referenced, NULL the initial one */
	struct list mounts; /* saved: ns_node in order of mounting; guarded by mnt_mu */
	struct mount *root; /* saved, referenced; NULL: an anonymous one whose tree was moved away */
	uint32_t nr_mounts; /* derived: of the list */
	uint64_t event; /* derived: counts changes */
	struct waitq wq; /* nosave: pollers of /proc/mounts */
};

struct mount *mount_get(struct mount *m);
void mount_put(struct mount *m);
void mount_put_no_expire(struct mount *m); /* does not count as use for MNT_EXPIRE */

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

/*
 * Changes of shape. Each takes namespace_mu. @ns is the caller's namespace; @where is followed to what is on top of it. Negative errno as
 * mount(2) and pivot_root(2) have them.
 */
/* Mounts @sb (root @root or sb->root) on @where. -EBUSY: it is there already. *@ret (may be NULL): reference. */
_must_check_ int mount_attach(struct mnt_ns *ns, const struct path *where, struct super_block *sb, struct dentry *root, uint32_t flags,
			      const char *source, struct mount **ret);
/* Bind. @recursive copies submounts. */
_must_check_ int mount_bind(struct mnt_ns *ns, const struct path *from, const struct path *where, bool recursive, uint32_t flags_set);
_must_check_ int mount_move(struct mnt_ns *ns, const struct path *from, const struct path *where);
/* umount2 of what @m is: -EBUSY when in use unless LINUX_MNT_DETACH is in @flags; -EAGAIN for the first LINUX_MNT_EXPIRE. The caller holds exactly
 * one reference of its own on @m. */
_must_check_ int mount_detach(struct mnt_ns *ns, struct mount *m, uint32_t flags);
_must_check_ int mount_pivot_root(struct mnt_ns *ns, const struct path *new_root, const struct path *put_old, const struct path *cur_root);
/* Makes a super block of type @type. */
_must_check_ int mount_make_sb(const char *type, const struct mount_req *rq, struct super_block **ret);
/* Puts one from mount_make_sb(); when it was mounted nowhere it is torn down. */
void mount_sb_drop_unused(struct super_block *sb);
/* The same and mounts it. */
_must_check_ int mount_new(struct mnt_ns *ns, const struct path *where, const char *type, const struct mount_req *rq, uint32_t mnt_flags,
			   struct mount **ret);
/* An anonymous namespace with a new mount of @root of @sb, or with a copy of the tree at @from (which must be in @ns). */
_must_check_ int mount_new_anon(struct super_block *sb, struct dentry *root, uint32_t flags, const char *source, struct mnt_ns **ret);
_must_check_ int mount_clone_anon(struct mnt_ns *ns, const struct path *from, bool recursive, struct mnt_ns **ret);
/* MOVE_MOUNT_SET_GROUP: @to joins the propagation of @from. */
_must_check_ int mount_set_group(const struct path *from, const struct path *to);
/* mount_setattr(2) on @at (and below): clears, then sets per mount flags; propagation is an LINUX_MS_* type or 0. All or nothing. */
struct mount_attr_change {
	uint32_t set, clear; /* flags of struct mount */
	uint32_t propagation;
	bool recursive;
};
_must_check_ int mount_change_attr(struct mnt_ns *ns, const struct path *at, const struct mount_attr_change *c);
/* Is something mounted on @d in @ns? */
bool mount_is_local(struct mnt_ns *ns, struct dentry *d);
/* @d was removed: what was mounted there in other namespaces goes. */
void mount_detach_dentry(struct dentry *d);
/* Is @m the root of its namespace, and that not an anonymous one? */
bool mount_is_ns_root(const struct mount *m);

/* May files be changed through this mount? 0 or -EROFS. (No counting: a remount to read-only waits for nobody.) */
int mount_want_write(const struct mount *m);
/* A regular file was opened for writing there; mount_put_writer() when it goes. */
void mount_get_writer(struct mount *m);
void mount_put_writer(struct mount *m);
static inline bool mount_nodev(const struct mount *m)
{
	return m && m->flags & LINUX_MS_NODEV;
}
static inline bool mount_noexec(const struct mount *m)
{
	return m && m->flags & LINUX_MS_NOEXEC;
}

/* New options and those of the flags (LINUX_MS_*) that are in @mask for the whole file system, as @t. -EBUSY: files are open for writing. */
#define MS_RECONF_MASK (LINUX_MS_RDONLY | LINUX_MS_SYNCHRONOUS | LINUX_MS_MANDLOCK | LINUX_MS_LAZYTIME)
_must_check_ int sb_reconfigure(struct super_block *sb, struct task *t, const char *source, const char *options, uint32_t flags, uint32_t mask);

/* Text for /proc/<pid>/{mounts,mountinfo,mountstats}: as seen from @root; unreachable mounts are left out. */
enum mounts_format { MOUNTS_MOUNTS, MOUNTS_MOUNTINFO, MOUNTS_MOUNTSTATS };
int mnt_ns_show(struct mnt_ns *ns, const struct path *root, enum mounts_format fmt, struct strbuf *b);

/* The mount at the top with `dest` equal to @dest, referenced, or NULL: how restore matches container mounts. */
struct mount *mnt_ns_find_dest(struct mnt_ns *ns, const char *dest);
/* Iteration: the mount after @prev in order of mounting (NULL: first), referenced; puts @prev. */
struct mount *mnt_ns_next(struct mnt_ns *ns, struct mount *prev);
void mount_set_flags(struct mount *m, uint32_t flags); /* container set-up: no checks */
/* remount: -EBUSY when it becomes read-only with files open for writing. */
_must_check_ int mount_remount(struct mount *m, uint32_t flags);
/* May the whole file system become read-only? 0 or -EBUSY. */
_must_check_ int mount_sb_may_ro(struct super_block *sb);
/* Flags of mount(2) that belong to the mount; atime defaults to relatime. */
uint32_t mount_flags_from_ms(uint64_t ms);

/* kern mount: a super block that is never in a namespace (memfd, pipes): a mount with one reference. */
_must_check_ int mount_kern(struct super_block *sb, struct mount **ret);

#endif
