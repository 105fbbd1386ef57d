/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File system types and super blocks.
 *
 * A file system registers one const struct fs_type by name (FS_TYPE_REGISTER, a constructor: adding one touches no list) and makes super
 * blocks in its mount(). Two counts: `active` (mounts: while there is one the file system is in use) and `ref` (memory: inodes).
 *
 * Locks: see dentry.h and sentry/fs/README.md. Checkpoint: super blocks are savable objects of their kind's type.
 */
#ifndef SENTRY_FS_FS_TYPE_H
#define SENTRY_FS_FS_TYPE_H

#include "sentry/fs/dentry.h"

struct container;
struct fs_type;
struct kernel;
struct p9_client;
struct sentry_mount;
struct strbuf;

struct mount_req {
	struct kernel *k;
	struct task *t; /* mount(2)'s caller, NULL for container set-up */
	const char *source; /* never NULL */
	const char *options; /* comma-separated, never NULL */
	uint32_t flags; /* LINUX_MS_* of the super block: RDONLY, SYNCHRONOUS, ... */
	/* Container set-up only: */
	const struct sentry_mount *m; /* NULL otherwise: kinds that need a gofer then answer -ENODEV */
	struct container *c; /* may be NULL in tests */
	struct p9_client *gofer;
};

struct sb_ops {
	const struct state_type *state; /* savable type of the embedding struct */
	/* The last mount is gone and the dentry tree was dropped: say good-bye to the server. May be NULL. Files may still be open. */
	void (*shutdown)(struct super_block *sb);
	/* Last reference: sb_done() and free. Never NULL. */
	void (*free)(struct super_block *sb);
	/* statfs(2): everything but f_flags. NULL: zeros with magic, 4096, namelen 255. */
	int (*statfs)(struct super_block *sb, struct task *t, struct dentry *d, struct linux_statfs *ret);
	/* Is a cached dentry (positive or negative) still right? 1 yes, 0 no (it is dropped and looked up again), or an error. Called with no lock
	 * held except possibly the parent's mu. NULL: always right. May block on the host. */
	int (*d_revalidate)(struct dentry *d, struct task *t);
	void (*d_release)(struct dentry *d); /* called for every dentry, frees d->fsdata; may be NULL */
	void (*d_loaded)(struct dentry *d); /* a positive dentry that is in the tree came back from an image; may be NULL */
	int (*sync)(struct super_block *sb, struct task *t); /* sync, syncfs; NULL: nothing */
	/* mount -o remount: new flags and options. NULL: flags only. */
	int (*remount)(struct super_block *sb, const struct mount_req *rq);
	/* Options shown in /proc/mounts after the generic ones, each with its leading comma: ",size=64k". NULL: none. */
	void (*show_options)(struct super_block *sb, struct strbuf *b);
};

#define SB_REAL_TREE   (1u << 0) /* dentries are the content (tmpfs): saved whole, never shrunk */
#define SB_NO_NEGATIVE (1u << 1) /* do not cache absent names */
#define SB_ACL         (1u << 3) /* has access control lists and file flags (chattr) */
#define SB_FROZEN      (1u << 4) /* nothing changes it while it is mounted: the lower layer of an overlay */
#define SB_PINNED      (1u << 2) /* dentries are never shrunk (trees built with dentry_make_child), but not saved whole either */

struct super_block { /* message: SuperBlockBase */
	struct ref ref; /* nosave: memory; one held by `active` as a whole */
	_Atomic int32_t active; /* derived: mounts */
	const struct sb_ops *ops; /* derived: from the type */
	const struct fs_type *type; /* saved: by name */
	uint32_t flags; /* saved: SB_* */
	_Atomic uint32_t ms_flags; /* saved: LINUX_MS_RDONLY, SYNCHRONOUS... of the whole file system */
	uint64_t dev; /* saved: dev_make(0, minor) */
	uint64_t magic; /* derived: set by the kind */
	uint32_t blksize; /* derived: set by the kind */
	uint64_t max_bytes; /* derived: largest file size */
	struct dentry *root; /* saved, referenced while active */
	struct mutex rename_mu; /* nosave: moves of directories between directories */
	struct mutex d_mu; /* nosave: the dentry tree, see dentry.h */
	struct list lru; /* nosave; guarded by d_mu */
	size_t nr_cached, max_cached; /* nosave: counted again */
	_Atomic uint64_t next_ino; /* saved */
	void *fsdata; /* nosave: the file system's */
	struct dentry **handles; /* saved; referenced; remembered by handle.c, oldest first; guarded by its lock */
	size_t nr_handles; /* derived: of handles */
};

/* Base part, for file systems. One `ref`, active 0 (the first mount makes it active), a fresh anonymous device number. */
void sb_init(struct super_block *sb, const struct sb_ops *ops, const struct fs_type *type, uint64_t magic);
void sb_done(struct super_block *sb);
struct super_block *sb_get(struct super_block *sb);
void sb_put(struct super_block *sb);
void sb_activate(struct super_block *sb);
/* The last one drops the dentry tree, shuts the file system down and drops the reference that came with sb_init(). */
void sb_deactivate(struct super_block *sb);
static inline bool sb_rdonly(const struct super_block *sb)
{
	return sb->ms_flags & LINUX_MS_RDONLY;
}

struct fs_type {
	const char *name;
	/* A new super block with sb->root set, not active, or an existing one (proc of the same pid namespace): a reference. */
	int (*mount)(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret);
	/* Is "key" or "key=value" a good option? 0, -ENOENT (no such key), -EINVAL: how fsconfig(2) checks options one by one. NULL: none is. */
	int (*check)(const char *option);
	bool nodev; /* shown as "nodev" in /proc/filesystems */
	bool initial_only; /* not for who rules a user namespace only */
	bool container_only; /* mount(2) from inside answers -ENODEV (gofer) */
};

void fs_type_register(const struct fs_type *ft);
const struct fs_type *fs_type_find(const char *name); /* or NULL */
const struct fs_type *fs_type_next(const struct fs_type *prev); /* iteration for /proc/filesystems; NULL starts */
#define FS_TYPE_REGISTER(ft)                                                                       \
	static void __attribute__((constructor)) ft##_register(void)                               \
	{                                                                                          \
		fs_type_register(&ft);                                                             \
	}

/* Parses one option off a comma-separated list: *@p advances; @key and @val (may be "") point into the caller's writable copy. */
bool mount_option_next(char **p, char **key, char **val);
/* 0 when the key of "key" or "key=value" is in @list ("a,b,c"), else -ENOENT. */
int mount_option_known(const char *list, const char *option);
int parse_size_option(const char *s, uint64_t total, uint64_t *ret); /* "64k", "1g", "50%" (of @total) */

/* State: like inodes. */
struct Sentry__SuperBlockBase;
void sb_state_get(void *sb);
void sb_state_put(void *sb);
int sb_save_base(struct state_writer *w, const struct super_block *sb, struct Sentry__SuperBlockBase *m);
int sb_load_base(struct state_reader *r, struct super_block *sb, const struct sb_ops *ops, const struct Sentry__SuperBlockBase *m);
uint64_t sb_state_ref(struct state_writer *w, const struct super_block *sb);
int sb_state_deref(struct state_reader *r, uint64_t id, struct super_block **ret);

#endif
