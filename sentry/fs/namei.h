/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path walk and the operations on names.
 *
 * One walker serves every system call. It holds no lock between components; a directory's mu is held only while its file system looks
 * one name up. @t NULL walks as the kernel: root credentials, and then names must start from an explicit base.
 *
 * Linux: fs/namei.c. There is no RCU walk; RESOLVE_CACHED is a walk through names whose file systems need not be asked.
 */
#ifndef SENTRY_FS_NAMEI_H
#define SENTRY_FS_NAMEI_H

#include "sentry/fs/fs_ctx.h"

#define LOOKUP_FOLLOW        (1u << 0) /* follow a symlink in the last component */
#define LOOKUP_DIRECTORY     (1u << 1) /* the result must be a directory */
#define LOOKUP_EMPTY         (1u << 2) /* AT_EMPTY_PATH: "" names @dfd itself (any file, O_PATH too) */
#define LOOKUP_NO_SYMLINKS   (1u << 3) /* RESOLVE_*: */
#define LOOKUP_NO_MAGICLINKS (1u << 4)
#define LOOKUP_NO_XDEV       (1u << 5)
#define LOOKUP_BENEATH       (1u << 6)
#define LOOKUP_IN_ROOT       (1u << 7)
#define LOOKUP_CACHED        (1u << 9) /* -EAGAIN instead of asking a file system for a name */
#define LOOKUP_NOMOUNT       (1u << 8) /* do not cross a mount on the last component (umount's own needs) */

/* The task's view. *@ret: references. @dfd LINUX_AT_FDCWD or a descriptor (used for relative names only). */
_must_check_ int namei(struct task *t, int dfd, const char *name, uint32_t flags, struct path *ret);
/* From an explicit root and base directory, credentials of @t (NULL: kernel). */
_must_check_ int namei_at(struct task *t, const struct path *root, const struct path *base, const char *name, uint32_t flags, struct path *ret);
/* With other credentials (access(2)). */
_must_check_ int namei_cred(struct task *t, const struct cred *c, int dfd, const char *name, uint32_t flags, struct path *ret);
/* Copies the name in from the application, then namei(). */
_must_check_ int namei_user(struct task *t, int dfd, gaddr_t name, uint32_t flags, struct path *ret);

/* Everything but the last component. */
enum last_type { LAST_NORM, LAST_ROOT, LAST_DOT, LAST_DOTDOT };
struct parent_path {
	struct path dir; /* referenced */
	char *name; /* last component, malloc'd */
	size_t len;
	enum last_type type;
	bool slash; /* it had a trailing slash */
};
_must_check_ int namei_parent(struct task *t, int dfd, const char *name, uint32_t flags, struct parent_path *ret);
_must_check_ int namei_parent_at(struct task *t, const struct path *root, const struct path *base, const char *name, uint32_t flags,
				 struct parent_path *ret);
void parent_path_done(struct parent_path *p);
#define _cleanup_parent_ _cleanup_(parent_path_done)

/* One name in a directory, as the file system sees it (no permission check, no mount crossing): a referenced dentry, maybe negative. dir->inode->mu
 * is taken inside (_locked: held by the caller). For overlay, container set-up, nfs-like users. */
_must_check_ int lookup_one(struct task *t, struct dentry *dir, const char *name, size_t len, struct dentry **ret);
_must_check_ int lookup_one_locked(struct task *t, struct dentry *dir, const char *name, size_t len, struct dentry **ret);

/* Operations on names, with Linux's checks, as @t (NULL: kernel). They take the locks, check permission and write access, notify. */
_must_check_ int vfs_mknod(struct task *t, const struct path *dir, const char *name, uint32_t mode, uint64_t rdev, struct path *ret); /* regular, fifo, dev, socket; *ret may be NULL; the umask is applied inside */
_must_check_ int vfs_mkdir(struct task *t, const struct path *dir, const char *name, uint32_t mode, struct path *ret);
_must_check_ int vfs_symlink(struct task *t, const struct path *dir, const char *name, const char *target);
_must_check_ int vfs_link(struct task *t, const struct path *old, const struct path *dir, const char *name);
_must_check_ int vfs_unlink(struct task *t, const struct path *dir, const char *name, bool trailing_slash);
_must_check_ int vfs_rmdir(struct task *t, const struct path *dir, const char *name);
_must_check_ int vfs_rename(struct task *t, const struct path *odir, const char *oname, const struct path *ndir, const char *nname, uint32_t flags);
/* With the trailing slashes the names had (which demand directories). */
_must_check_ int vfs_rename_slash(struct task *t, const struct path *odir, const char *oname, const struct path *ndir, const char *nname,
				  uint32_t flags, bool oslash, bool nslash);
_must_check_ int vfs_setattr_inode(struct task *t, struct mount *mnt, struct inode *i, struct iattr *a); /* files without path; @mnt may be NULL */
_must_check_ int vfs_setattr(struct task *t, const struct path *p, struct iattr *a); /* checks owner rules; fills times and ctime */
_must_check_ int vfs_truncate(struct task *t, const struct path *p, uint64_t size, struct file *f);
/* Raw forms for stacked file systems: only locks, no permission, no notification, no mount (overlay works on its layers with these). */
_must_check_ int vfs_raw_create(struct dentry *dir, const char *name, const struct inode_make *m, struct dentry **ret); /* any type */
_must_check_ int vfs_raw_unlink(struct dentry *dir, struct dentry *d);
_must_check_ int vfs_raw_rmdir(struct dentry *dir, struct dentry *d);
_must_check_ int vfs_raw_rename(struct dentry *odir, struct dentry *od, struct dentry *ndir, const char *nname, uint32_t flags);
_must_check_ int vfs_raw_link(struct dentry *dir, const char *name, struct inode *i, struct dentry **ret);
_must_check_ int vfs_raw_setattr(struct inode *i, struct iattr *a);

/* Opens what @p names (no creation). @flags LINUX_O_*. Checks permission, device nodes, FIFOs, O_TRUNC, ETXTBSY. */
_must_check_ int vfs_open(struct task *t, const struct path *p, uint32_t flags, struct file **ret);
/* For fanotify's readers: no permission check, no events, none by what is done with the file. */
_must_check_ int vfs_open_quiet(struct task *t, const struct path *p, uint32_t flags, struct file **ret);
/* Raw open for stacked file systems: no permission check; @p's mount may be NULL. */
_must_check_ int vfs_raw_open(const struct path *p, uint32_t flags, struct file **ret);
#define VALID_OPEN_FLAGS                                                                                                             \
	(LINUX_O_ACCMODE | LINUX_O_CREAT | LINUX_O_EXCL | LINUX_O_NOCTTY | LINUX_O_TRUNC | LINUX_O_APPEND | LINUX_O_NONBLOCK |        \
	 LINUX_O_SYNC | LINUX_O_ASYNC | LINUX_O_DIRECT | LINUX_O_LARGEFILE | LINUX_O_DIRECTORY | LINUX_O_NOFOLLOW |                   \
	 LINUX_O_NOATIME | LINUX_O_CLOEXEC | LINUX_O_PATH | LINUX_O_TMPFILE)

/* openat2(2)'s argument: -EINVAL, -EAGAIN (RESOLVE_CACHED: nothing is promised to be cached), or 0 and the LOOKUP_* restrictions. */
struct linux_open_how;
_must_check_ int open_how_check(const struct linux_open_how *how, uint32_t *ret_lookup);
/* open(2) without the descriptor. @mode has no umask applied yet. @lookup: LOOKUP_* restrictions of openat2. */
_must_check_ int vfs_openat(struct task *t, int dfd, const char *name, uint32_t flags, uint32_t mode, uint32_t lookup, struct file **ret);
/* Opens a program: must be a regular file, executable, on a mount without noexec; writers are denied until file_put of the caller's
 * matching exec_file_done(). @atflags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. */
_must_check_ int vfs_open_exec(struct task *t, int dfd, const char *name, uint32_t atflags, struct file **ret);
void exec_file_done(struct file *f); /* allows writers again; the reference is put by the caller */
/* Reads @n bytes at @off of a file into a Sentry buffer (loader): bytes read or an error. */
int64_t file_pread_kernel(struct file *f, struct task *t, void *buf, size_t n, int64_t off);

#endif
