/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dentries: the tree of names of one super block.
 *
 * A dentry is hashed in its parent (found by name) or not (root, removed, just made). Hashed dentries are held by one reference of
 * the tree. In a file system without lookup() (tmpfs) the tree is the truth and dentries leave it only by unlink; otherwise
 * it is a cache: dentries with no other reference are dropped when there are too many (dcache_shrink), unless SB_PINNED. A negative dentry
 * (inode NULL) remembers that a name does not exist; file systems with SB_NO_NEGATIVE or without lookup() have none.
 *
 * Locks: sb->d_mu (leaf, short, never held over a host call) guards parent, name, children, hashed state and inode pointer of all
 * dentries of one super block. Changes of names also need the mu of the directories (and sb->rename_mu for moves of directories), so either
 * kind of lock makes reading safe. A dentry's inode changes only once, from NULL to an inode; an unlinked dentry keeps it for
 * those who have it open.
 * Checkpoint: dentries of sbs with SB_REAL_TREE are saved with all children; others when referred to (open files, cwd,
 * mount points) with their chain of parents.
 */
#ifndef SENTRY_FS_DENTRY_H
#define SENTRY_FS_DENTRY_H

#include "base/htab.h"
#include "sentry/fs/inode.h"

struct strbuf;

struct dentry {
	struct ref ref; /* nosave: counted again by state_deref() */
	struct super_block *sb; /* derived: from the inode or parent; not referenced: the inode of the root holds it */
	struct dentry *parent; /* saved, referenced; itself for a root; guarded by sb->d_mu */
	char *name; /* saved; guarded by sb->d_mu */
	size_t name_len; /* derived: of name */
	uint64_t hash; /* derived: of name */
	struct inode *_Atomic inode; /* saved, referenced; NULL: negative */
	bool hashed; /* saved: found by lookup in its parent */
	bool disconnected; /* saved: an O_TMPFILE or memfd: shown as "/#ino (deleted)" or by its name */
	bool no_link; /* saved: O_TMPFILE | O_EXCL: never gets a name */
	bool referenced; /* nosave: second chance of the shrinker */
	_Atomic uint32_t nr_mounted; /* derived: mounts on it in any namespace */
	struct htab *by_name; /* derived: hash -> chain of children; made with the first child */
	struct dentry *chain; /* derived: next child of the parent with the same hash */
	struct list child_list; /* saved: 8 children; oldest first; written when SB_REAL_TREE, rebuilt from the parents */
	struct list child_node; /* derived: in the parent's child_list */
	struct list lru_node; /* nosave: sb->lru, all hashed dentries of a shrinkable sb */
	uint64_t cookie; /* saved: position in directory listings, unique and growing within the parent */
	uint64_t next_cookie; /* saved: for children */
	void *fsdata; /* nosave: the file system's; sb->ops->d_release frees it */
	uint64_t fstime; /* nosave: the file system's (time of last revalidation) */
};

struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d); /* NULL is fine. Call with no d_mu held */
static inline void dentry_putp(struct dentry **d)
{
	if (*d)
		dentry_put(*d);
}
#define _cleanup_dentry_ _cleanup_(dentry_putp)

/* Root of a super block; consumes the reference on @root. NULL: no memory. */
struct dentry *dentry_new_root(struct super_block *sb, struct inode *root);
/* An unhashed child (-> lookup or create). NULL: no memory. */
struct dentry *dentry_new(struct dentry *parent, const char *name, size_t len);
/* Hashes a child made by dentry_new() with inode @i (consumes the reference; NULL: negative). parent's inode.mu held. */
void dentry_add(struct dentry *d, struct inode *i);
/* Gives a hashed negative dentry its inode (consumes the reference). parent's inode.mu held. */
void dentry_instantiate(struct dentry *d, struct inode *i);
/* Takes a name out of the tree (unlink, stale). Idempotent. The inode stays. */
void dentry_unhash(struct dentry *d);
/* Cached child, referenced, or NULL. No revalidation. */
struct dentry *dentry_cached_child(struct dentry *parent, const char *name, size_t len);
/* Makes @d a child of @parent named @name. For rename. @parent may be the old one. -ENOMEM (nothing changed). */
int dentry_move(struct dentry *d, struct dentry *parent, const char *name, size_t len);
int dentry_exchange(struct dentry *a, struct dentry *b);
struct dentry *dentry_parent_get(struct dentry *d); /* referenced */
bool dentry_is_ancestor(struct dentry *anc, struct dentry *d); /* or equal */
static inline bool dentry_is_root(const struct dentry *d)
{
	return d->parent == d;
}
static inline bool dentry_negative(const struct dentry *d)
{
	return !d->inode;
}
/* True when positive hashed children exist (tmpfs: directory is not empty). */
bool dentry_has_children(struct dentry *d);
/* The next child with cookie >= @from, referenced, or NULL: iteration of dentry-backed directories. */
struct dentry *dentry_next_child(struct dentry *d, uint64_t from);
/* A copy of the name, malloc'd, or NULL. */
char *dentry_name(struct dentry *d);

/* Builds small trees in code (pseudo file systems): a new positive hashed child; consumes @i; returns a borrowed pointer (the tree
 * holds it) or NULL (no memory; @i was put). Takes dir->mu itself. */
struct dentry *dentry_make_child(struct dentry *parent, const char *name, struct inode *i);

/* Drops cached dentries nobody uses, at most @n (0: all that can go). */
void dcache_shrink(struct super_block *sb, size_t n);
/* Drops cached children below @d that nobody uses (revalidation failed, rmdir). */
void dcache_prune(struct dentry *d);
/* The file system is going away: takes every dentry off the tree. Those somebody holds live on, unhashed. For sb_deactivate(). */
void dcache_kill_tree(struct dentry *root);

/* Text of the path from @root (NULL: of the mount namespace) to @p. Appends " (deleted)" when unlinked if @deleted. Returns 0, -ENOMEM, or
 * 1 when @p is not below @root (the text then starts where the walk up ended; getcwd puts "(unreachable)" before it). */
int path_text(const struct path *p, const struct path *root, bool deleted, struct strbuf *b);
/* The same inside the super block, from its root. */
int dentry_text(struct dentry *d, struct strbuf *b);

#endif
