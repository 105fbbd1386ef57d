/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File handles: names of files that outlive their paths (name_to_handle_at, fanotify's FID reports).
 *
 * A handle is twelve bytes: generation (from the time of birth), inode number. File systems whose dentries are the content are searched for it;
 * others remember (super_block.handles) the dentries handles were given out for, and forget the oldest or the removed ones: ESTALE.
 *
 * Locks: handles_mu, a leaf. Checkpoint: the remembered dentries travel with their super block, so handles stay good.
 */
#ifndef SENTRY_FS_HANDLE_H
#define SENTRY_FS_HANDLE_H

#include "sentry/fs/fs_type.h"

#define HANDLE_TYPE  1 /* FILEID_INO32_GEN */
#define HANDLE_BYTES 12u

struct handle_data {
	uint32_t gen, ino_lo, ino_hi;
};

bool sb_has_handles(const struct super_block *sb); /* false: -EOPNOTSUPP */
void handle_of(const struct inode *i, struct handle_data *ret);
/* Remembers @d for handle_find(). Any inode lock may be held. */
void handle_remember(struct dentry *d);
/* A name of @d's inode was removed (its link count is final): forgotten when it was the last. No lock held. */
void handle_removed(struct dentry *d);
/* Puts what was forgotten under locks. No lock held. */
void handle_collect(void);
void handle_sb_gone(struct super_block *sb);
/* A dentry of the file: referenced, or NULL (stale). */
struct dentry *handle_find(struct super_block *sb, const struct handle_data *h);
/* f_fsid of statfs(2). */
void sb_fsid(const struct super_block *sb, uint32_t ret[2]);

#endif
