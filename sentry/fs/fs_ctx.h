/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Root directory, current directory and umask of a process (fs_struct). Shared by CLONE_FS, copied otherwise.
 *
 * Locks: mu is a leaf; paths are put with it released. Checkpoint: all of it.
 */
#ifndef SENTRY_FS_FS_CTX_H
#define SENTRY_FS_FS_CTX_H

#include "sentry/fs/mount.h"

struct fs_ctx {
	struct ref ref; /* nosave: counted again by state_deref() */
	struct mutex mu; /* nosave: free when frozen */
	struct path root, cwd; /* saved, referenced; guarded by mu */
	uint32_t umask; /* saved; guarded by mu */
};

struct fs_ctx *fs_ctx_new(const struct path *root, const struct path *cwd, uint32_t umask); /* takes references; or NULL */
struct fs_ctx *fs_ctx_dup(struct fs_ctx *fs); /* or NULL */
struct fs_ctx *fs_ctx_get(struct fs_ctx *fs);
void fs_ctx_put(struct fs_ctx *fs); /* NULL is fine */
/* Referenced copies. */
void fs_ctx_root(struct fs_ctx *fs, struct path *ret);
void fs_ctx_cwd(struct fs_ctx *fs, struct path *ret);
/* Takes references. */
void fs_ctx_set_root(struct fs_ctx *fs, const struct path *p);
void fs_ctx_set_cwd(struct fs_ctx *fs, const struct path *p);
uint32_t fs_ctx_umask(struct fs_ctx *fs);

#endif
