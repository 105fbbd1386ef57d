/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Root, current directory and umask of processes. See fs_ctx.h. Linux: fs/fs_struct.c.
 */
#include "sentry/fs/fs_ctx.h"

#include <stdlib.h>

#include "schemas/vfs.pb-c.h"
#include "sentry/fs/vfs_state.h"

struct fs_ctx *fs_ctx_new(const struct path *root, const struct path *cwd, uint32_t umask)
{
	struct fs_ctx *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return NULL;
	ref_init(&fs->ref);
	mutex_init(&fs->mu, "fs_ctx.mu");
	fs->root = *root;
	fs->cwd = *cwd;
	path_get(&fs->root);
	path_get(&fs->cwd);
	fs->umask = umask & 0777;
	return fs;
}

struct fs_ctx *fs_ctx_dup(struct fs_ctx *fs)
{
	struct path root, cwd;
	struct fs_ctx *n;

	mutex_lock(&fs->mu);
	root = fs->root;
	cwd = fs->cwd;
	path_get(&root);
	path_get(&cwd);
	n = fs_ctx_new(&root, &cwd, fs->umask);
	mutex_unlock(&fs->mu);
	path_put(&root);
	path_put(&cwd);
	return n;
}

struct fs_ctx *fs_ctx_get(struct fs_ctx *fs)
{
	ref_get(&fs->ref);
	return fs;
}

void fs_ctx_put(struct fs_ctx *fs)
{
	if (!fs || !ref_put(&fs->ref))
		return;
	path_put(&fs->root);
	path_put(&fs->cwd);
	mutex_destroy(&fs->mu);
	free(fs);
}

void fs_ctx_root(struct fs_ctx *fs, struct path *ret)
{
	mutex_guard(&fs->mu);
	*ret = fs->root;
	path_get(ret);
}

void fs_ctx_cwd(struct fs_ctx *fs, struct path *ret)
{
	mutex_guard(&fs->mu);
	*ret = fs->cwd;
	path_get(ret);
}

static void replace(struct fs_ctx *fs, struct path *which, const struct path *p)
{
	struct path old;

	path_get(p);
	mutex_lock(&fs->mu);
	old = *which;
	*which = *p;
	mutex_unlock(&fs->mu);
	path_put(&old);
}

void fs_ctx_set_root(struct fs_ctx *fs, const struct path *p)
{
	replace(fs, &fs->root, p);
}

void fs_ctx_set_cwd(struct fs_ctx *fs, const struct path *p)
{
	replace(fs, &fs->cwd, p);
}

uint32_t fs_ctx_umask(struct fs_ctx *fs)
{
	mutex_guard(&fs->mu);
	return fs->umask;
}

/* --- state --- */

static void *fs_ctx_alloc(void)
{
	struct fs_ctx *fs = calloc(1, sizeof(*fs));

	if (fs) {
		ref_init(&fs->ref);
		mutex_init(&fs->mu, "fs_ctx.mu");
	}
	return fs;
}

static int fs_ctx_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct fs_ctx *fs = obj;
	Sentry__FsCtx *m = msg;

	m->root = path_save(w, &fs->root);
	m->cwd = path_save(w, &fs->cwd);
	m->umask = fs->umask;
	return 0;
}

static int fs_ctx_load(struct state_reader *r, void *obj, const void *msg)
{
	struct fs_ctx *fs = obj;
	const Sentry__FsCtx *m = msg;
	int err = path_load(r, m->root, &fs->root);

	if (!err)
		err = path_load(r, m->cwd, &fs->cwd);
	if (!err)
		err = state_check(r, fs->root.mnt && fs->cwd.mnt, "no root or current directory");
	if (!err)
		err = state_check(r, m->umask <= 0777, "bad umask");
	fs->umask = m->umask;
	return err;
}

static int fs_ctx_after_load(struct state_reader *r, void *obj)
{
	struct fs_ctx *fs = obj;
	struct inode *root = fs->root.dentry->inode, *cwd = fs->cwd.dentry->inode;

	return state_check(r, root && cwd && inode_is_dir(root) && inode_is_dir(cwd), "root or current directory is no directory");
}

static void fs_ctx_state_get(void *fs)
{
	(void)fs_ctx_get(fs);
}

static void fs_ctx_state_put(void *fs)
{
	fs_ctx_put(fs);
}

const struct state_type fs_ctx_state_type = {
	.id = STATE_ID_fs_ctx,
	.name = "fs_ctx",
	.desc = &sentry__fs_ctx__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = fs_ctx_alloc,
	.save = fs_ctx_save,
	.load = fs_ctx_load,
	.after_load = fs_ctx_after_load,
	.get = fs_ctx_state_get,
	.put = fs_ctx_state_put,
};
