/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fan-out of file system events to the marks' owner (inotify.c). Linux: fs/notify/fsnotify.c.
 *
 * Checkpoint: stateless.
 */
#include "sentry/fs/notify.h"

#include <stdlib.h>

#include "sentry/fs/fs_type.h"
#include "sentry/fs/mount.h"

_Atomic bool fsnotify_active;

void fsnotify_dentry(struct dentry *d, uint32_t mask)
{
	struct inode *i = d->inode;

	if (!fsnotify_active || !i)
		return;
	if (inode_is_dir(i))
		mask |= LINUX_IN_ISDIR;
	if (!dentry_is_root(d) && !d->disconnected) {
		struct dentry *parent = dentry_parent_get(d);
		char *name = dentry_name(d);

		if (name && parent->inode)
			fsnotify_event(parent->inode, mask, name, 0);
		free(name);
		dentry_put(parent);
	}
	fsnotify_event(i, mask, NULL, 0);
}

void fsnotify_dir(struct inode *dir, uint32_t mask, const char *name, bool isdir)
{
	if (fsnotify_active)
		fsnotify_event(dir, mask | (isdir ? LINUX_IN_ISDIR : 0), name, 0);
}

void fsnotify_move(struct inode *odir, const char *oname, struct inode *ndir, const char *nname, struct inode *moved)
{
	static _Atomic uint32_t cookies;
	uint32_t isdir = inode_is_dir(moved) ? LINUX_IN_ISDIR : 0, cookie;

	if (!fsnotify_active)
		return;
	cookie = atomic_fetch_add(&cookies, 1) + 1;
	fsnotify_event(odir, LINUX_IN_MOVED_FROM | isdir, oname, cookie);
	fsnotify_event(ndir, LINUX_IN_MOVED_TO | isdir, nname, cookie);
	fsnotify_event(moved, LINUX_IN_MOVE_SELF | isdir, NULL, 0);
}

void fsnotify_file(struct file *f, uint32_t mask)
{
	if (fsnotify_active && f->path.dentry && !(f->flags & LINUX_O_PATH))
		fsnotify_dentry(f->path.dentry, mask);
}
