/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of overlay share.
 *
 * Locks, outermost first: inode.mu of the overlay (directories: class "overlay", others "overlay.file") > up_mu > locks of the layers.
 * table_mu is a leaf. translate() (under mm.lock) takes none of these.
 */
#ifndef SENTRY_FS_OVERLAY_INTERNAL_H
#define SENTRY_FS_OVERLAY_INTERNAL_H

#include "base/htab.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/mm/mappable.h"

struct ovl_sb { /* message: OverlaySb */
	struct super_block sb; /* saved: 1 sb_base */
	struct super_block *lower; /* saved: 2, referenced; active until shutdown */
	struct super_block *upper; /* saved: 3, the same; nameless inodes only */
	bool layers_active; /* derived: true from making or loading to shutdown */
	struct mutex table_mu; /* nosave: a lock */
	struct htab by_lower; /* saved: 4 pinned, those that are: lower inode -> struct ovl_inode; guarded by table_mu; one reference for each that is pinned */
	struct inode **load_pins; /* nosave: while loading */
	size_t nr_load_pins; /* nosave: while loading */
};

/* A name that hides the lower directory's of the same text. */
struct ovl_name { /* message: OverlayName */
	struct ovl_name *chain; /* derived: same hash */
	struct list node; /* derived: dir->names */
	struct inode *inode; /* saved: 2, referenced; NULL: see whiteout */
	bool whiteout; /* derived: of 2; with inode NULL and no whiteout the entry says nothing */
	uint64_t hash; /* derived: of name */
	size_t len; /* derived: of name */
	char name[]; /* saved: 1 */
};

struct ovl_inode { /* message: OverlayInode */
	struct inode i; /* saved: 1 inode_base; the truth about attributes: layers hold content and extended attributes only */
	struct dentry *lower; /* saved: 2, referenced; NULL: made here. Immutable: also the redirect of moved directories */
	struct mutex up_mu; /* nosave: serialises copying up */
	struct inode *upper; /* saved: 3, referenced; set once under up_mu */
	_Atomic(struct inode *) data; /* saved: 4 data_up; whose content counts: upper, or lower's; changes once */
	_Atomic(struct file *) real; /* nosave: open file of `data`, opened on first use; never put before eviction */
	struct file *real_lower; /* nosave: the one before */
	struct mutex seek_mu; /* nosave: position of `real`, which seeking for holes scribbles on; inside up_mu */
	struct mappable map; /* derived: content for mmap, wherever it is */
	char *target; /* saved: 5; immutable */
	struct htab name_table; /* derived: hash -> chain; guarded by i.mu */
	struct list names; /* saved: 6; guarded by i.mu */
	bool dead; /* saved: 7; removed directory; guarded by i.mu */
	bool pinned; /* derived: the table holds a reference; guarded by table_mu */
};

static inline struct ovl_inode *ovl_i(const struct inode *i)
{
	return container_of(i, struct ovl_inode, i);
}

static inline struct ovl_sb *ovl_s(const struct super_block *sb)
{
	return container_of(sb, struct ovl_sb, sb);
}

static inline struct inode *ovl_lower(const struct ovl_inode *oi)
{
	return oi->lower ? oi->lower->inode : NULL;
}

#define OVERLAY_MAGIC	0x794c7630
/* Numbers of files made here start above those that file systems usually give. */
#define OVERLAY_FIRST_INO (1ULL << 46)

extern const struct sb_ops ovl_sb_ops;
extern const struct inode_ops ovl_reg_ops, ovl_dir_ops, ovl_link_ops, ovl_special_ops;
extern const struct file_ops ovl_file_ops, ovl_dir_file_ops;
extern const struct mappable_ops ovl_map_ops;

/* overlay.c: bounds the names cached in both layers; each may hold host descriptors, here and in the gofer. */
void ovl_set_limits(struct ovl_sb *s);

/* overlay_inode.c */
const struct inode_ops *ovl_ops_for(uint32_t mode);
void ovl_inode_setup(struct ovl_inode *oi);
/* A new inode made here. */
_must_check_ int ovl_inode_new(struct ovl_sb *s, const struct inode_make *m, struct inode **ret);
/* The overlay's inode for one of the lower layer: consumes the reference on @ld. Names of one file share it. */
_must_check_ int ovl_inode_lower(struct ovl_sb *s, struct task *t, struct dentry *ld, struct inode **ret);
/* It differs from the lower layer now: it must not be forgotten while it has names. */
void ovl_pin(struct ovl_inode *oi);
/* Changes the number of links, and with it pinning. */
void ovl_links(struct ovl_inode *oi, int delta);
void ovl_unpin(struct ovl_inode *oi);

/* overlay_copy.c */
_must_check_ int ovl_upper(struct ovl_inode *oi, struct task *t, struct inode **ret); /* borrowed; makes it, with extended attributes */
/* Moves the content up; only the first @limit bytes are wanted. */
_must_check_ int ovl_data_up(struct ovl_inode *oi, struct task *t, uint64_t limit);
_must_check_ int ovl_real(struct ovl_inode *oi, struct task *t, struct file **ret); /* borrowed: lives as long as @oi */
int64_t ovl_seek(struct ovl_inode *oi, struct file *real, struct task *t, int64_t off, int whence);
static inline bool ovl_data_is_up(const struct ovl_inode *oi)
{
	return oi->upper && atomic_load(&((struct ovl_inode *)(uintptr_t)oi)->data) == oi->upper;
}

/* overlay_file.c */
_must_check_ int ovl_file_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);

/* overlay_names.c; i.mu of the directory held */
struct ovl_name *ovl_name_find(struct ovl_inode *dir, const char *name, size_t len);
/* Finds or adds an entry that says nothing yet. */
_must_check_ int ovl_name_reserve(struct ovl_inode *dir, const char *name, size_t len, struct ovl_name **ret);
void ovl_name_set(struct ovl_name *n, struct inode *i); /* takes a reference; NULL: a whiteout */
void ovl_name_drop(struct ovl_inode *dir, struct ovl_name *n);
void ovl_names_done(struct ovl_inode *dir);

/* overlay_dir.c, overlay_readdir.c */
_must_check_ int ovl_lookup(struct inode *dir, struct task *t, struct dentry *d, struct inode **ret);
_must_check_ int ovl_create(struct inode *dir, struct task *t, struct dentry *d, const struct inode_make *m, struct inode **ret);
_must_check_ int ovl_link(struct inode *dir, struct task *t, struct dentry *d, struct inode *i);
_must_check_ int ovl_unlink(struct inode *dir, struct task *t, struct dentry *d);
_must_check_ int ovl_rmdir(struct inode *dir, struct task *t, struct dentry *d);
_must_check_ int ovl_rename(struct inode *odir, struct task *t, struct dentry *od, struct inode *ndir, struct dentry *nd, uint32_t flags);
_must_check_ int ovl_tmpfile(struct inode *dir, struct task *t, const struct inode_make *m, struct inode **ret);
_must_check_ int ovl_dir_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);
/* Names of the lower directory that nothing hides; i.mu held. @fn returns false to stop. */
struct ovl_lower_walk {
	bool (*fn)(struct ovl_lower_walk *w, const char *name, size_t len, uint64_t ino, uint8_t type);
};
_must_check_ int ovl_walk_lower(struct ovl_inode *dir, struct task *t, struct ovl_lower_walk *w);
_must_check_ int ovl_check_empty(struct ovl_inode *dir, struct task *t); /* or -ENOTEMPTY */

#endif
