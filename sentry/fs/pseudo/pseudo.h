/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File systems made of code: proc, sysfs, cgroup2. A tree of constant tables says what there is; each text file is one function that
 * writes into a strbuf. Directories may also have entries that come and go (processes, descriptors).
 *
 * The content of a text file is made when it is read from the beginning and kept by the open file, so that a reader who takes it in
 * pieces sees one version. Dentries are a cache: an entry of a process that is gone is dropped by revalidation, and open files of it answer ESRCH.
 * Locks: dir inode.mu > what show and lookup take (tasks_mu, ...); file.mu likewise. Nothing of the kernel calls in here with a lock held.
 * Checkpoint: super blocks, and of inodes and open files the place in the tables by its path, the process (pid object) and the entry's id;
 * content is made anew.
 */
#ifndef SENTRY_FS_PSEUDO_PSEUDO_H
#define SENTRY_FS_PSEUDO_PSEUDO_H

#include "base/strbuf.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/pseudo/watch.h"
#include "sentry/kernel/kernel.h"

struct pnode;
struct pseudo_sb;

/* What a call is about. */
struct pctx {
	struct task *t; /* who asks; NULL: the kernel */
	struct task *target; /* process entries: the task, referenced for the call */
	struct pid_ns *ns; /* whose numbers are shown; may be NULL before the first process looks */
	struct pid *pid; /* of the entry, or NULL */
	bool thread; /* below task/: the entry is about one thread */
	uint64_t id; /* of a dynamic entry */
	const struct pnode *node;
	struct pseudo_sb *ps;
	const struct cred *cred; /* in store: who opened the file */
};

/* Entries that come and go. */
struct pdyn {
	const struct pnode *node; /* what each of them is */
	/* The entry called @name: its id; process entries also give the pid (referenced) and whether it is a thread's. -ENOENT. */
	int (*lookup)(const struct pctx *dir, const char *name, uint64_t *ret_id, struct pid **ret_pid, bool *ret_thread);
	/* The first entry with an id >= *@id: sets *@id and its name (32 bytes). */
	bool (*next)(const struct pctx *dir, uint64_t *id, char *ret_name);
	/* The same for names of up to 255 bytes, used instead when not NULL. */
	bool (*next_name)(const struct pctx *dir, uint64_t *id, char *ret_name, size_t size);
	/* Is the entry of @c still there? Processes are checked already. NULL: yes. */
	bool (*valid)(const struct pctx *c);
	/* Directories where files are made and removed like anywhere; @mode: permission bits. NULL: refused. */
	int (*create)(const struct pctx *dir, const char *name, uint32_t mode);
	int (*unlink)(const struct pctx *dir, const char *name);
};

#define PN_PTRACE (1u << 0) /* whoever opens or follows it must be allowed to look into the process */
#define PN_ATTACH (1u << 1) /* ... and to change it */
#define PN_PROC   (1u << 2) /* a process entry: owned by the process's user */
#define PN_SELF   (1u << 3) /* directory: one's own is always allowed, others by PN_PTRACE's rule */
#define PN_MOUNTS (1u << 4) /* poll tells changes of the mount namespace */

/* One entry of a table; a NULL name ends the table. */
struct pnode {
	const char *name;
	uint32_t mode; /* type and permissions */
	uint32_t flags; /* PN_* */
	int (*show)(struct pctx *c, struct strbuf *b); /* NULL: reading is EINVAL */
	int64_t (*store)(struct pctx *c, char *text, size_t n); /* NUL-terminated; bytes used or an error. NULL: EINVAL */
	int (*readlink)(struct pctx *c, char **ret); /* malloc'd */
	int (*get_link)(struct pctx *c, struct path *ret); /* magic link */
	int (*open)(struct pctx *c, struct inode *i, const struct path *p, uint32_t flags, struct file **ret); /* its own kind of open file */
	const struct pnode *children;
	const struct pdyn *dyn;
	const void *data; /* for functions that serve several entries */
	uint32_t (*get_mode)(struct pctx *c); /* permissions that depend on the entry; NULL: mode */
	bool (*visible)(const struct pctx *c); /* an entry of a table that is not always there; @c: of itself. NULL: always */
	/* What tells its changes, and who keeps that alive, to be given to unwatch(). May be NULL: nothing does. */
	struct pseudo_watch *(*watch)(const struct pctx *c, void **ret_owner);
	void (*unwatch)(void *owner);
	/* Permissions, owner and size that are the entry's own; false: it is gone. NULL: as above. */
	bool (*get_attrs)(struct pctx *c, uint32_t *mode, uint32_t *uid, uint32_t *gid, uint64_t *size);
};

#define PN_DIR(nm, perm, kids, ...)  { .name = (nm), .mode = LINUX_S_IFDIR | (perm), .children = (kids), ##__VA_ARGS__ }
#define PN_FILE(nm, perm, fn, ...)   { .name = (nm), .mode = LINUX_S_IFREG | (perm), .show = (fn), ##__VA_ARGS__ }
#define PN_LINK(nm, fn, ...)	     { .name = (nm), .mode = LINUX_S_IFLNK | 0777, .readlink = (fn), ##__VA_ARGS__ }

struct pseudo_fs {
	const char *name;
	uint64_t magic;
	const struct pnode *root;
	void (*show_options)(struct pseudo_sb *ps, struct strbuf *b);
	/* File systems whose directories can be made and removed and whose entries have owners of their own; all or none NULL. @dir's inode.mu is held. */
	int (*mkdir)(struct pctx *dir, const char *name, const struct inode_make *m, uint64_t *ret_id);
	int (*rmdir)(struct pctx *c); /* of the entry */
	void (*attrs)(const struct pctx *c, uint32_t *mode, uint32_t *uid, uint32_t *gid, uint64_t *nlink);
	int (*setattr)(struct pctx *c, const struct iattr *a); /* mode and owner */
};

struct pseudo_sb {
	struct super_block sb; /* saved: 1 sb_base */
	const struct pseudo_fs *fs; /* saved: by name */
	struct pid_ns *_Atomic pid_ns; /* saved: 3; referenced; NULL until a process looks */
	uint32_t hidepid; /* saved: 4 */
	uint32_t gid; /* saved: 5; who may look nevertheless */
};

void pseudo_fs_register(const struct pseudo_fs *fs);
#define PSEUDO_FS_REGISTER(f)                                                                      \
	static void __attribute__((constructor)) f##_pseudo_register(void)                         \
	{                                                                                          \
		pseudo_fs_register(&f);                                                            \
	}
_must_check_ int pseudo_mount(const struct fs_type *ft, const struct pseudo_fs *fs, struct pid_ns *ns, struct super_block **ret);
struct pseudo_sb *pseudo_of(struct super_block *sb); /* NULL when it is none */
/* What the root of @sb is about: entries of its tables get it. Before anybody looks. */
void pseudo_set_root_id(struct super_block *sb, uint64_t id);

/* For custom open functions and callbacks of other files: what an inode of ours is about. */
_must_check_ int pctx_get(struct inode *i, struct task *t, struct pctx *ret); /* -ESRCH: the process is gone */
void pctx_done(struct pctx *c);

/* PTRACE_MODE_READ of the process for who asks: 0 or -EACCES. One's own threads always may. */
_must_check_ int pctx_look(const struct pctx *c);

/* Numbers as text ("12\n", blanks around): for store functions. */
_must_check_ int pseudo_parse_u64(const char *s, uint64_t *ret);
_must_check_ int pseudo_parse_i64(const char *s, int64_t *ret);
/* A file name that is a plain decimal number without leading zero; false otherwise. */
bool pseudo_name_number(const char *s, uint64_t max, uint64_t *ret);

#endif
