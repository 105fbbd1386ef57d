/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes: the files themselves, without their names.
 *
 * Every file system embeds struct inode as the first member of its own struct and provides one const inode_ops per kind. The
 * generic layer (namei.c, vfs_ops.c, the system calls) does name lookup, permission, limits and notification; the ops only do it.
 *
 * Locks (whole order in sentry/fs/README.md):
 *   inode.mu       like Linux's i_rwsem: directory contents; writes and size changes of files. May be held over host calls and over
 *                  copies from and to the application (so it is above mm.lock, and translate() never takes it).
 *   inode.attr_mu  leaf: mode, owner, links, times, rdev, and together with mu the size. Never held over a host call.
 * Checkpoint: the fields tagged below are saved by inode_save_base(); each kind's own type (ops->state) does the rest. Inodes of
 * remote file systems are saved when something refers to them and re-attached by their super block.
 */
#ifndef SENTRY_FS_INODE_H
#define SENTRY_FS_INODE_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/mutex.h"
#include "base/ref.h"
#include "sentry/abi/fs.h"
#include "sentry/fs/file.h"
#include "sentry/kernel/cred.h"

struct dentry;
struct file_locks;
struct fsnotify_marks;
struct inode;
struct mappable;
struct pipe;
struct posix_acl;
struct super_block;

/* What stat(2) shows. Filled by inode_getattr(). */
struct kstat {
	uint64_t dev, ino, rdev; /* dev and rdev as dev_make() */
	uint32_t mode, uid, gid;
	uint64_t nlink;
	uint64_t size, blocks; /* blocks of 512 bytes */
	uint32_t blksize;
	struct linux_timespec atime, mtime, ctime, btime;
	bool has_btime;
	uint32_t attributes, attributes_mask; /* STATX_ATTR_* */
};

/* A change of attributes; only what valid says. */
#define ATTR_MODE      (1u << 0) /* permission bits incl. suid, sgid, sticky; the type never changes */
#define ATTR_UID       (1u << 1)
#define ATTR_GID       (1u << 2)
#define ATTR_SIZE      (1u << 3)
#define ATTR_ATIME     (1u << 4) /* times are always given, also for "now" */
#define ATTR_MTIME     (1u << 5)
#define ATTR_CTIME     (1u << 6) /* set by the generic layer with every change */
#define ATTR_ATIME_NOW (1u << 7) /* the value is "now": a remote may use its own clock */
#define ATTR_MTIME_NOW (1u << 8)
struct iattr {
	uint32_t valid;
	uint32_t mode, uid, gid;
	uint64_t size;
	struct linux_timespec atime, mtime, ctime;
	struct file *file; /* the open file of ftruncate, fchmod..., or NULL */
};

/* What to make in a directory. */
struct inode_make {
	uint32_t mode; /* type and permission bits; umask and directory setgid already applied */
	uint32_t uid, gid;
	uint64_t rdev; /* for S_IFCHR, S_IFBLK: dev_make() */
	const char *target; /* for S_IFLNK */
	uint32_t open_flags; /* LINUX_O_* when made by open(O_CREAT), else 0: a hint, open() follows */
};

/*
 * Slots may be NULL; the default is stated. @t is the calling task, NULL for the kernel itself (container set-up, tests).
 * "dir" ops run with dir->mu held (rename: both, plus sb->rename_mu when they differ); @d is a dentry of @dir.
 */
struct inode_ops {
	const char *name; /* "tmpfs", "proc" */
	const struct state_type *state; /* savable type of the embedding struct */
	/* Last reference gone: release everything, inode_done(), free. Never NULL. */
	void (*evict)(struct inode *i);

	/* The inode named d->name: 0 with a reference in *@ret, or *@ret NULL when there is none (cached as a negative dentry), or an error. NULL: the
	 * dentry tree is all there is (tmpfs): not there. */
	int (*lookup)(struct inode *dir, struct task *t, struct dentry *d, struct inode **ret);
	/* Makes any kind of file (S_IFMT of m->mode). The name is known not to exist. *@ret: a reference. NULL: -EPERM (-EACCES for files). */
	int (*create)(struct inode *dir, struct task *t, struct dentry *d, const struct inode_make *m, struct inode **ret);
	/* Another name for @i (not a directory; i->mu not held). Raises nlink. NULL: -EPERM. */
	int (*link)(struct inode *dir, struct task *t, struct dentry *d, struct inode *i);
	/* Removes a name (lowers nlink). The generic layer unhashes the dentry. NULL: -EPERM. */
	int (*unlink)(struct inode *dir, struct task *t, struct dentry *d);
	int (*rmdir)(struct inode *dir, struct task *t, struct dentry *d); /* -ENOTEMPTY is yours; its mu is held too */
	/* @nd->inode is NULL, or the victim (or partner with EXCHANGE). The generic layer moves the dentries afterwards. flags: NOREPLACE,
	 * EXCHANGE. Both victims' and moved directories' inode.mu are NOT held. NULL: -EPERM. */
	int (*rename)(struct inode *odir, struct task *t, struct dentry *od, struct inode *ndir, struct dentry *nd, uint32_t flags);
	/* O_TMPFILE: an inode without name (nlink 0). NULL: -EOPNOTSUPP. */
	int (*tmpfile)(struct inode *dir, struct task *t, const struct inode_make *m, struct inode **ret);

	/* A new open file (flags: O_ACCMODE, O_APPEND, ... ; O_CREAT and O_EXCL removed; O_TRUNC is done by the generic layer through setattr).
	 * Permission was checked. Not called for O_PATH, device nodes, FIFOs (generic), unless `opens_special`. NULL: -ENXIO. Use file_init(). */
	int (*open)(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);

	/* i->mu held. Checked already. NULL: inode_setattr_simple() for everything but SIZE (then -EINVAL). */
	int (*setattr)(struct inode *i, struct task *t, const struct iattr *a);
	/* Fills everything (start with inode_fill_kstat()); no lock held. NULL: inode_fill_kstat(). */
	int (*getattr)(struct inode *i, struct task *t, struct kstat *ret);
	/* May the attributes used for permission checks be stale? Refreshes mode, uid, gid. NULL: never stale. */
	int (*refresh)(struct inode *i, struct task *t);
	/* Replaces the generic check when not NULL. @mask: MAY_*. */
	int (*permission)(struct inode *i, struct task *t, const struct cred *c, int mask);

	/* Symlinks: the target text, malloc'd, at most PATH_MAX-1. NULL: -EINVAL. */
	int (*readlink)(struct inode *i, struct task *t, char **ret);
	/* Magic links: where to go, as a referenced path (may lie in another mount). Called instead of readlink when following. */
	int (*get_link)(struct inode *i, struct task *t, struct path *ret);

	/* Extended attributes; i->mu held for set and remove. Names with prefix; namespaces are checked by the caller. NULL: -EOPNOTSUPP. size 0: length. */
	int64_t (*getxattr)(struct inode *i, struct task *t, const char *name, void *buf, size_t size);
	int64_t (*listxattr)(struct inode *i, struct task *t, char *buf, size_t size);
	int (*setxattr)(struct inode *i, struct task *t, const char *name, const void *val, size_t size, int flags);
	int (*removexattr)(struct inode *i, struct task *t, const char *name);

	const char *mu_class; /* lock class of inode.mu of non-directories (directories: name); NULL: "inode.mu". For stacked file systems */
	bool opens_special; /* open() also takes device nodes, FIFOs and sockets (passthrough of the host's) */
};

struct inode { /* message: InodeBase */
	struct ref ref; /* nosave: counted again by state_deref() */
	const struct inode_ops *ops; /* derived: from the type */
	struct super_block *sb; /* saved, referenced */
	uint64_t ino; /* saved */
	struct mutex mu; /* nosave: free when frozen */

	struct mutex attr_mu; /* nosave: free when frozen */
	uint32_t mode, uid, gid; /* saved; guarded by attr_mu (readers of mode's type need no lock: it never changes) */
	uint32_t nlink; /* saved */
	uint64_t size; /* saved; changed under mu and attr_mu */
	uint64_t rdev; /* saved */
	struct linux_timespec atime, mtime, ctime, btime; /* saved */

	struct posix_acl *acl[2]; /* saved: 14 acl_access, acl_default; acl.c; guarded by attr_mu */
	_Atomic bool no_caps; /* nosave: known to have no file capabilities: looked for again */
	_Atomic uint32_t fsflags; /* saved: 16; FS_*_FL of FS_IOC_SETFLAGS; changed under mu */

	struct mappable *mapping; /* derived: content of a regular file for mmap; NULL: not mappable. Lives in the embedding struct */
	_Atomic int32_t write_count; /* derived: > 0 open for writing, < 0 being executed (ETXTBSY) */
	_Atomic int32_t read_count; /* derived: regular files open for reading only, for leases */
	_Atomic int32_t nr_leases; /* derived: of its open files */

	_Atomic(struct file_locks *) locks; /* saved by locks.c; made on first use, freed by inode_done() */
	_Atomic(struct fsnotify_marks *) marks; /* nosave: saved by inotify's own objects; owned by notify.c */
	struct pipe *pipe; /* derived: FIFO's shared buffer while open; guarded by mu; owned by pipe.c */
	void *sock; /* derived: bound unix socket; guarded by attr_mu; owned by net/unix */
};

/* FS_IOC_GETFLAGS */
#define LINUX_FS_IMMUTABLE_FL 0x10u
#define LINUX_FS_APPEND_FL    0x20u
#define LINUX_FS_NODUMP_FL    0x40u
#define LINUX_FS_NOATIME_FL   0x80u
static inline bool inode_immutable(const struct inode *i)
{
	return i->fsflags & LINUX_FS_IMMUTABLE_FL;
}
static inline bool inode_append(const struct inode *i)
{
	return i->fsflags & LINUX_FS_APPEND_FL;
}

#define MAY_EXEC  1
#define MAY_WRITE 2
#define MAY_READ  4
#define MAY_APPEND 8

/* Base part, for file systems. @mode has the type. One reference; takes one on @sb; nlink 1; times now; ino 0 asks for the next of the sb. */
void inode_init(struct inode *i, const struct inode_ops *ops, struct super_block *sb, uint64_t ino, uint32_t mode, uint32_t uid, uint32_t gid);
void inode_done(struct inode *i);
struct inode *inode_get(struct inode *i);
void inode_put(struct inode *i); /* NULL is fine */
static inline void inode_putp(struct inode **i)
{
	if (*i)
		inode_put(*i);
}
#define _cleanup_inode_ _cleanup_(inode_putp)

static inline bool inode_is_dir(const struct inode *i)
{
	return LINUX_S_ISDIR(i->mode);
}

/* Copies the fields of struct inode; blksize 4096, blocks from size. */
void inode_fill_kstat(struct inode *i, struct kstat *ret);
int inode_getattr(struct inode *i, struct task *t, struct kstat *ret);
/* Stores what @a says, without checks. mu held. SIZE is stored too (content is the caller's). */
void inode_setattr_simple(struct inode *i, const struct iattr *a);

struct linux_timespec inode_now(void); /* guest CLOCK_REALTIME */
void inode_touch(struct inode *i, bool mtime, bool ctime); /* now */
/* Something the base keeps was changed (lists, flags): a new ctime through the file system, which then knows. mu held. */
_must_check_ int inode_changed(struct inode *i, struct task *t);
/* atime after a read through mount @m (may be NULL), relatime rules. */
void inode_accessed(struct inode *i, const struct mount *m, uint32_t file_flags);
void inode_set_nlink(struct inode *i, int delta);
/* May the file grow to @size? -EFBIG beyond the file system's largest file, or @t's RLIMIT_FSIZE, then with SIGXFSZ. @t may be NULL: no limit. */
_must_check_ int inode_newsize_ok(struct inode *i, struct task *t, uint64_t size);
/* Before writing content: clears suid/sgid unless the writer may keep them. mu held. */
int inode_remove_privs(struct inode *i, struct task *t);
#define XATTR_CAPS "security.capability"
/* Takes file capabilities away, as every change of content or owner does; inode.mu held. */
int inode_remove_caps(struct inode *i, struct task *t);

/* Permission. @c is whose (usually vfs_cred(t)). 0, -EACCES, -EROFS is not checked here but by mount_want_write(). */
int inode_permission(struct inode *i, struct task *t, const struct cred *c, int mask);
int inode_permission_generic(struct inode *i, const struct cred *c, int mask);
/* The owner or CAP_FOWNER. */
bool inode_owner_or_capable(const struct inode *i, const struct cred *c);
/* Credentials for file access of @t; NULL: the kernel's (root, every capability). Not referenced. */
const struct cred *vfs_cred(struct task *t);

/* ETXTBSY bookkeeping: open for writing / being executed. */
int inode_get_write(struct inode *i); /* -ETXTBSY */
void inode_put_write(struct inode *i);
int inode_deny_write(struct inode *i); /* -ETXTBSY */
void inode_allow_write(struct inode *i);

/* Fails for directories: the helpers file systems use for their open files. */
int inode_no_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret); /* -ENXIO */
/* open() of a directory whose dentries are all there is (tmpfs-like, simple pseudo file systems). */
int simple_dir_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);

/* The inode of descriptors that have no file (eventfd...): shared, mode 0600, never freed. Not referenced. */
struct inode *anon_inode(void);
/* A fresh nameless inode (pipes, sockets, memfd-like): own number, given mode, owner from @t. Reference, or NULL. */
struct inode *anon_inode_new(struct task *t, uint32_t mode, uint32_t fs_magic);

/* A place for something nameless, for magic links: a fresh unhashed dentry @name of @i's anonymous super block. -EINVAL for inodes that are in
 * a file system. */
_must_check_ int anon_inode_path(struct inode *i, const char *name, struct path *ret);

/* State. Types of inodes use these get/put, which is how references are checked to be inodes. */
struct Sentry__InodeBase;
void inode_state_get(void *inode);
void inode_state_put(void *inode);
int inode_save_base(struct state_writer *w, const struct inode *i, struct Sentry__InodeBase *m);
/* The object is zeroed; sets up everything but the kind's own fields. */
int inode_load_base(struct state_reader *r, struct inode *i, const struct inode_ops *ops, const struct Sentry__InodeBase *m);
/* For fields that refer to an inode of any kind. */
uint64_t inode_state_ref(struct state_writer *w, const struct inode *i);
int inode_state_deref(struct state_reader *r, uint64_t id, struct inode **ret);

#endif
