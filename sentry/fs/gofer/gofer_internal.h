/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of goferfs share.
 *
 * Locks: table_mu (sb) and fd_mu (inode) are leaves, but that a host call may be made under fd_mu to open a descriptor.
 */
#ifndef SENTRY_FS_GOFER_GOFER_INTERNAL_H
#define SENTRY_FS_GOFER_GOFER_INTERNAL_H

#include "base/htab.h"
#include "gofer/client/p9_client.h"
#include "sentry/fs/file_check.h"
#include "sentry/fs/fs_type.h"
#include "sentry/mm/mappable.h"

struct gofer_sb {
	struct super_block sb; /* saved: 1 sb_base */
	char *destination; /* saved: 2 */
	bool exclusive; /* saved: 3 */
	struct p9_client *client; /* nosave: the container's; referenced: evicting the last inodes, maybe after the container is gone, clunks fids */
	struct mutex table_mu; /* nosave: a lock */
	struct htab inodes; /* derived: qid path -> inode, no references; guarded by table_mu */
	struct list listings; /* nosave: kept ones, oldest first; guarded by table_mu */
	size_t nr_listed; /* nosave: entries in them */
};

struct gofer_entry {
	struct p9_attr attr; /* valid 0: unknown */
	struct p9_qid qid;
	uint32_t name; /* offset in names */
	uint32_t chain; /* next entry with the same hash, + 1 */
	uint8_t type; /* DT_* */
};

/* One directory's entries; immutable. gofer_listing.c */
struct gofer_listing {
	struct ref ref;
	struct list node; /* sb.listings while kept */
	struct gofer_inode *owner; /* the directory, while kept */
	size_t n;
	struct gofer_entry *e;
	char *names;
	struct htab index;
};

static inline const char *gofer_entry_name(const struct gofer_listing *l, const struct gofer_entry *e)
{
	return l->names + e->name;
}

struct gofer_seen {
	uint64_t size, mtime, btime;
	bool has_digest;
	uint8_t digest[FILE_DIGEST_SIZE];
};

struct gofer_inode {
	struct inode i; /* saved: 1 inode_base */
	_Atomic uint32_t fid; /* nosave: P9_NOFID for a deleted file after a restore, or while lazy; gofer_fid() */
	bool lazy; /* nosave: known from a listing: the fid comes when it is needed. Immutable */
	struct gofer_listing *listing; /* nosave: of a directory; guarded by sb.table_mu */
	_Atomic uint32_t lookups; /* nosave: names asked for one by one */
	uint64_t qid; /* nosave: the gofer's number of the file */
	struct dentry *alias; /* saved: 2 path, 8 alias; one of its names, not referenced; guarded by sb.d_mu */
	char *target; /* saved: 6; symlink text once read */
	struct mappable map; /* nosave: mappings register again */
	struct mutex fd_mu; /* nosave: a lock */
	int fd_ro, fd_rw; /* nosave: donated host descriptors, opened on first use; guarded by fd_mu, never closed before eviction */
	_Atomic bool stale; /* nosave: attributes must be asked for again */
	uint64_t saved_mtime; /* saved: 5 version */
	_Atomic bool opened; /* saved: 9 seen, with 10 seen_size and 11 seen_mtime, which are asked for; compared by file_check.h after a restore */
	uint64_t birth; /* saved: 12 seen_btime; ns, 0 unknown; as the gofer last said */
	char *load_path; /* nosave: while loading */
	struct gofer_seen *load_seen; /* nosave: while loading: what the image says the file was like */
	bool load_deleted; /* nosave: while loading */
	uint64_t blocks; /* nosave: as last seen */
	uint32_t blksize; /* nosave: asked for again */
};

/* 0 for times that are none: a peer may send anything. */
static inline uint64_t gofer_ns(uint64_t sec, uint64_t nsec)
{
	return sec < UINT64_MAX / 2000000000u && nsec < 1000000000u ? sec * 1000000000u + nsec : 0;
}

static inline struct gofer_inode *gofer_i(struct inode *i)
{
	return container_of(i, struct gofer_inode, i);
}

static inline struct gofer_sb *gofer_s(struct super_block *sb)
{
	return container_of(sb, struct gofer_sb, sb);
}

static inline struct p9_client *gofer_c(struct inode *i)
{
	return gofer_s(i->sb)->client;
}

extern const struct inode_ops gofer_file_iops, gofer_dir_iops, gofer_link_iops, gofer_node_iops;
extern const struct mappable_ops gofer_map_ops;
extern const struct sb_ops gofer_exclusive_sb_ops, gofer_shared_sb_ops;

/* The fid, which a lazy inode gets now; P9_NOFID when its file is gone (the gofer then answers an error). fd_mu may be held. */
uint32_t gofer_fid(struct inode *i);

struct gofer_listing *gofer_listing_get(struct gofer_listing *l);
void gofer_listing_put(struct gofer_listing *l); /* NULL is fine */
/* The entries of @g, kept or asked for: referenced. */
_must_check_ int gofer_listing_of(struct gofer_inode *g, struct gofer_listing **ret);
/* What is known of @name in @dir without asking for it: 1 with its attributes, which live as long as *@ret (referenced); -ENOENT; 0 nothing. */
int gofer_listing_lookup(struct gofer_inode *dir, const char *name, const struct p9_attr **attr, struct gofer_listing **ret);
void gofer_listing_forget(struct gofer_inode *g);

/* The inode for a file the gofer told us of (takes over @fid; P9_NOFID: told by a listing, lazy): an existing one with the same number or a new one. NULL: no memory. */
struct inode *gofer_inode_get(struct gofer_sb *s, uint32_t fid, const struct p9_attr *a);
/* Stores fresh attributes. */
void gofer_take_attr(struct gofer_inode *g, const struct p9_attr *a);
/* A host descriptor good for reading (@write false) or writing: not the caller's to close. */
_must_check_ int gofer_host_fd(struct gofer_inode *g, bool write);
_must_check_ int gofer_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);
_must_check_ int gofer_dir_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);
/* BLAKE2b-256 of the first @n bytes of a regular file; @ret: FILE_DIGEST_SIZE bytes. -ESTALE: it is shorter. */
_must_check_ int gofer_digest(struct inode *i, uint64_t n, uint8_t *ret);
/* Asks the gofer if what we know may be old. */
_must_check_ int gofer_refresh(struct inode *i, struct task *t);

#endif
