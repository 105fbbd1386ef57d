/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File handles. Contract in handle.h. Linux: fs/exportfs, mm/shmem.c shmem_encode_fh().
 *
 * DEVIATION: on file systems that are caches of something else (goferfs, overlay) a handle is good only while it is one of the last MAX_HANDLES
 * given out there.
 */
#include "sentry/fs/handle.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HANDLES 16384u

static struct mutex handles_mu = MUTEX_INIT("handles_mu");

/* Forgotten, but not put yet: chained by nothing of the dentry's own, so a small vector. */
static struct {
	struct dentry **v;
	size_t n, cap;
} dead; /* guarded by handles_mu */

bool sb_has_handles(const struct super_block *sb)
{
	static const char *const types[] = { "tmpfs", "ramfs", "gofer", "overlay", "sysfs", "cgroup2" };

	for (size_t n = 0; sb->type && n < ARRAY_SIZE(types); n++)
		if (!strcmp(sb->type->name, types[n]))
			return true;
	return false;
}

void handle_of(const struct inode *i, struct handle_data *ret)
{
	ret->gen = (uint32_t)(hash_u64((uint64_t)i->btime.tv_sec * 1000000000u + (uint64_t)i->btime.tv_nsec) & 0x7fffffff);
	ret->ino_lo = (uint32_t)i->ino;
	ret->ino_hi = (uint32_t)(i->ino >> 32);
}

void sb_fsid(const struct super_block *sb, uint32_t ret[2])
{
	ret[0] = (dev_minor(sb->dev) & 0xff) | (dev_major(sb->dev) << 8) | ((dev_minor(sb->dev) & ~0xffu) << 12);
	ret[1] = 0;
}

static void bury_locked(struct dentry *d)
{
	if (dead.n == dead.cap) {
		size_t cap = dead.cap ? dead.cap * 2 : 64;
		void *v = realloc(dead.v, cap * sizeof(*dead.v));

		if (!v)
			return; /* it stays in memory: harmless */
		dead.v = v;
		dead.cap = cap;
	}
	dead.v[dead.n++] = d;
}

void handle_collect(void)
{
	struct dentry **v;
	size_t n;

	mutex_lock(&handles_mu);
	v = TAKE_PTR(dead.v);
	n = dead.n;
	dead.n = dead.cap = 0;
	mutex_unlock(&handles_mu);
	for (size_t k = 0; k < n; k++)
		dentry_put(v[k]);
	free(v);
}

void handle_remember(struct dentry *d)
{
	struct super_block *sb = d->sb;

	if (sb->flags & SB_REAL_TREE || !d->inode || dentry_is_root(d))
		return;
	mutex_guard(&handles_mu);
	for (size_t k = 0; k < sb->nr_handles; k++)
		if (sb->handles[k] == d || sb->handles[k]->inode == d->inode)
			return;
	if (sb->nr_handles == MAX_HANDLES) {
		bury_locked(sb->handles[0]);
		memmove(sb->handles, sb->handles + 1, --sb->nr_handles * sizeof(*sb->handles));
	} else if ((sb->nr_handles & (sb->nr_handles - 1)) == 0) {
		void *v = realloc(sb->handles, MAX(sb->nr_handles * 2, (size_t)16) * sizeof(*sb->handles));

		if (!v)
			return;
		sb->handles = v;
	}
	sb->handles[sb->nr_handles++] = dentry_get(d);
}

void handle_removed(struct dentry *d)
{
	struct super_block *sb = d->sb;
	struct dentry *gone = NULL;

	if (!sb->nr_handles || !d->inode || (d->inode->nlink && !inode_is_dir(d->inode)))
		return;
	mutex_lock(&handles_mu);
	for (size_t k = 0; k < sb->nr_handles && !gone; k++)
		if (sb->handles[k]->inode == d->inode) {
			gone = sb->handles[k];
			memmove(sb->handles + k, sb->handles + k + 1, (--sb->nr_handles - k) * sizeof(*sb->handles));
		}
	mutex_unlock(&handles_mu);
	dentry_put(gone);
}

void handle_sb_gone(struct super_block *sb)
{
	struct dentry **v;
	size_t n;

	mutex_lock(&handles_mu);
	v = TAKE_PTR(sb->handles);
	n = sb->nr_handles;
	sb->nr_handles = 0;
	mutex_unlock(&handles_mu);
	for (size_t k = 0; k < n; k++)
		dentry_put(v[k]);
	free(v);
}

static bool is_it(const struct dentry *d, const struct handle_data *h)
{
	struct handle_data have;

	if (!d->inode)
		return false;
	handle_of(d->inode, &have);
	return !memcmp(&have, h, sizeof(have));
}

/* Depth first through a tree whose dentries are the content; `from` is where each level goes on. */
static struct dentry *search_tree(struct dentry *root, const struct handle_data *h)
{
	struct dentry *d = dentry_get(root), *next, *up;
	uint64_t from = 0;

	while (d && !is_it(d, h)) {
		next = d->inode && inode_is_dir(d->inode) ? dentry_next_child(d, from) : NULL;
		while (!next && d != root) {
			from = d->cookie + 1;
			up = dentry_parent_get(d);
			dentry_put(d);
			d = up;
			next = dentry_next_child(d, from);
		}
		dentry_put(d);
		d = next;
		from = 0;
	}
	return d;
}

struct dentry *handle_find(struct super_block *sb, const struct handle_data *h)
{
	struct dentry *d = NULL;

	if (!sb->root)
		return NULL;
	if (sb->flags & SB_REAL_TREE)
		return search_tree(sb->root, h);
	if (is_it(sb->root, h))
		return dentry_get(sb->root);
	mutex_guard(&handles_mu);
	for (size_t k = 0; k < sb->nr_handles && !d; k++)
		if (sb->handles[k]->sb == sb && is_it(sb->handles[k], h))
			d = dentry_get(sb->handles[k]);
	return d;
}
