/* SPDX-License-Identifier: Apache-2.0 */
/* The path walker's state, for namei.c and open.c. */
#ifndef SENTRY_FS_NAMEI_INTERNAL_H
#define SENTRY_FS_NAMEI_INTERNAL_H

#include "sentry/fs/namei.h"

struct walk {
	struct task *t;
	const struct cred *c;
	uint32_t flags; /* LOOKUP_* */
	struct path root, cur; /* referenced */
	int links; /* symlinks followed so far */
	bool jumped; /* the last component was a magic link: cur is the file itself */
};

_must_check_ int walk_start(struct walk *w, struct task *t, const struct cred *c, int dfd, const char *name, uint32_t flags);
void walk_start_at(struct walk *w, struct task *t, const struct path *root, const struct path *base, uint32_t flags);
void walk_done(struct walk *w);
/* Walks @name from cur. With @pp stops before the last component (or at LAST_ROOT). */
_must_check_ int walk_path(struct walk *w, const char *name, struct parent_path *pp);
/* Follows symlink @link found in cur: *@ret is text to walk next (malloc'd), or NULL when a magic link has been gone to. */
_must_check_ int walk_follow(struct walk *w, const struct path *link, char **ret);

/* Shared by vfs_ops.c and open.c. */
_must_check_ int may_create(struct task *t, struct dentry *dir);
void new_inode_owner(struct task *t, struct inode *dir, struct inode_make *m);
/* dir->inode->mu held; @d negative. */
_must_check_ int create_locked(struct task *t, struct dentry *dir, struct dentry *d, struct inode_make *m);
/* umask of @t, or 0. */
uint32_t make_umask(struct task *t);
_must_check_ int truncate_inode(struct task *t, struct inode *i, uint64_t size, struct file *f, bool check_limit);

#endif
