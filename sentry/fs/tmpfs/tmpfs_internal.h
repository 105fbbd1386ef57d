/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this directory. */
#ifndef SENTRY_FS_TMPFS_INTERNAL_H
#define SENTRY_FS_TMPFS_INTERNAL_H

#include "base/rangemap.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/mm/mappable.h"
#include "sentry/mm/memfile.h"

struct tmpfs_sb {
	struct super_block sb; /* saved: 1 sb_base */
	struct memfile *mf; /* derived: the kernel's */
	uint64_t max_pages; /* saved: 2 */
	uint64_t max_inodes; /* saved: 3 */
	_Atomic uint64_t used_pages; /* derived: counted by the inodes */
	_Atomic uint64_t used_inodes; /* derived: counted by the inodes */
	char *options; /* saved: 4 */
};

struct tmpfs_extent {
	struct range r; /* saved: 1 start, 2 end */
	uint64_t off; /* saved: 3; one reference of ours on every page */
};

struct xattr {
	struct list node;
	char *name;
	size_t size;
	uint8_t value[];
};

/*
 * Locks: inode.mu over writes and size changes; io shared over reads' use of pages, exclusive while pages are given back; pages_mu (leaf,
 * taken by translate()) guards the map of pages. Order: inode.mu > io > mm.lock > pages_mu.
 */
struct tmpfs_inode {
	struct inode i; /* saved: 1 inode_base */
	struct mappable map; /* derived: what maps it registers again */
	struct rwlock io; /* nosave: free when frozen */
	struct mutex pages_mu; /* nosave: free when frozen */
	struct rangemap pages; /* saved: 2 extents; guarded by pages_mu */
	char *target; /* saved: 3; symlinks; immutable */
	uint32_t seals; /* saved: 4; guarded by inode.mu */
	struct list xattrs; /* saved: 5; guarded by attr_mu */
	size_t xattr_bytes; /* derived: of xattrs */
};

static inline struct tmpfs_inode *tmpfs_i(const struct inode *i)
{
	return container_of(i, struct tmpfs_inode, i);
}

static inline struct tmpfs_sb *tmpfs_s(const struct super_block *sb)
{
	return container_of(sb, struct tmpfs_sb, sb);
}

extern const struct inode_ops tmpfs_reg_ops, tmpfs_dir_ops, tmpfs_link_ops, tmpfs_special_ops;

_must_check_ int tmpfs_inode_new(struct tmpfs_sb *s, const struct inode_make *m, struct inode **ret);

/* tmpfs_pages.c */
void tmpfs_pages_init(struct tmpfs_inode *ti);
void tmpfs_pages_done(struct tmpfs_inode *ti);
/* Backs [off, off+len) of the file with pages, as far as they reach in one piece from @off: *@ret_off in the memory file, *@ret_len > 0. */
_must_check_ int tmpfs_pages_alloc(struct tmpfs_inode *ti, uint64_t off, uint64_t len, uint64_t *ret_off, uint64_t *ret_len);
/* The same without allocating: false (and the length of the hole) when @off is in a hole. */
bool tmpfs_pages_find(struct tmpfs_inode *ti, uint64_t off, uint64_t len, uint64_t *ret_off, uint64_t *ret_len);
/* Gives pages wholly inside [start, end) back. io held exclusively. */
_must_check_ int tmpfs_pages_free(struct tmpfs_inode *ti, uint64_t start, uint64_t end);
/* Zeroes [start, end), which lies in one page, if that page exists. */
void tmpfs_pages_zero(struct tmpfs_inode *ti, uint64_t start, uint64_t end);
/* First offset >= @off that has (data) or has not (!data) a page; UINT64_MAX for data: none. */
uint64_t tmpfs_pages_seek(struct tmpfs_inode *ti, uint64_t off, bool data);
extern const struct mappable_ops tmpfs_map_ops;

/* tmpfs_file.c */
int tmpfs_file_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);
_must_check_ int tmpfs_truncate(struct tmpfs_inode *ti, uint64_t size);

/* tmpfs_xattr.c */
int64_t tmpfs_getxattr(struct inode *i, struct task *t, const char *name, void *buf, size_t size);
int64_t tmpfs_listxattr(struct inode *i, struct task *t, char *buf, size_t size);
int tmpfs_setxattr(struct inode *i, struct task *t, const char *name, const void *val, size_t size, int flags);
int tmpfs_removexattr(struct inode *i, struct task *t, const char *name);
void tmpfs_xattr_done(struct tmpfs_inode *ti);

#endif
