/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fan-out of file system events to inotify.c and fanotify.c. Linux: fs/notify/fsnotify.c.
 *
 * Checkpoint: stateless.
 */
#include "sentry/fs/notify.h"

#include <stdlib.h>

#include "sentry/fs/dnotify.h"
#include "sentry/fs/fanotify.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/mount.h"

_Atomic bool fsnotify_active;

static bool unlinked(const struct dentry *d)
{
	return !d->hashed && !dentry_is_root(d);
}

static void announce(const struct path *p, struct dentry *d, uint32_t mask)
{
	struct inode *i = d->inode;
	struct fan_info info = { .path = p, .inode = i, .dentry = d };
	struct dentry *parent = NULL;
	char *name = NULL;

	if (!fsnotify_active || !i)
		return;
	if (inode_is_dir(i))
		mask |= LINUX_IN_ISDIR;
	if (!dentry_is_root(d) && !d->disconnected) {
		parent = dentry_parent_get(d);
		name = dentry_name(d);
		if (name && parent->inode)
			fsnotify_event(parent->inode, mask | (unlinked(d) ? FSNOTIFY_UNLINKED : 0), name, 0);
		if (dnotify_active && parent->inode)
			dnotify_event(parent->inode, mask, false);
	}
	fsnotify_event(i, mask, NULL, 0);
	if (fanotify_active) {
		info.mask = mask;
		info.dir = name && parent->inode ? parent : NULL;
		info.name = name;
		fanotify_event(&info);
	}
	free(name);
	dentry_put(parent);
}

void fsnotify_dentry(struct dentry *d, uint32_t mask)
{
	announce(NULL, d, mask);
}

void fsnotify_path(const struct path *p, uint32_t mask)
{
	announce(p->mnt ? p : NULL, p->dentry, mask);
}

void fsnotify_dir(struct dentry *dir, uint32_t mask, const char *name, struct inode *child)
{
	if (!fsnotify_active)
		return;
	if (inode_is_dir(child))
		mask |= LINUX_IN_ISDIR;
	fsnotify_event(dir->inode, mask, name, 0);
	if (dnotify_active)
		dnotify_event(dir->inode, mask, false);
	if (fanotify_active)
		fanotify_event(&(struct fan_info){ .mask = mask, .inode = child, .dir = dir, .name = name });
}

void fsnotify_move(struct dentry *odir, const char *oname, struct dentry *ndir, const char *nname, struct dentry *moved)
{
	static _Atomic uint32_t cookies;
	struct inode *i = moved->inode;
	uint32_t isdir = inode_is_dir(i) ? LINUX_IN_ISDIR : 0, cookie;
	struct fan_info info = { .inode = i, .dentry = moved };

	if (!fsnotify_active)
		return;
	cookie = atomic_fetch_add(&cookies, 1) + 1;
	if (dnotify_active) {
		dnotify_event(odir->inode, LINUX_IN_MOVED_FROM, true);
		dnotify_event(ndir->inode, LINUX_IN_MOVED_TO, false);
	}
	if (fanotify_active) {
		info.mask = FAN_RENAME_F | isdir;
		info.dir = odir;
		info.name = oname;
		info.new_dir = ndir;
		info.new_name = nname;
		fanotify_event(&info);
	}
	fsnotify_event(odir->inode, LINUX_IN_MOVED_FROM | isdir, oname, cookie);
	fsnotify_event(ndir->inode, LINUX_IN_MOVED_TO | isdir, nname, cookie);
	fsnotify_event(i, LINUX_IN_MOVE_SELF | isdir, NULL, 0);
	if (fanotify_active) {
		info.new_dir = NULL;
		info.mask = LINUX_IN_MOVED_FROM | isdir;
		fanotify_event(&info);
		info.mask = LINUX_IN_MOVED_TO | isdir;
		info.dir = ndir;
		info.name = nname;
		fanotify_event(&info);
		fanotify_event(&(struct fan_info){ .mask = LINUX_IN_MOVE_SELF | isdir, .inode = i, .dentry = moved });
	}
}

void fsnotify_inode(struct inode *i, struct dentry *d, uint32_t mask)
{
	if (!fsnotify_active)
		return;
	if (inode_is_dir(i))
		mask |= LINUX_IN_ISDIR;
	fsnotify_event(i, mask, NULL, 0);
	if (fanotify_active)
		fanotify_event(&(struct fan_info){ .mask = mask, .inode = i, .dentry = d });
}

void fsnotify_deleted(struct inode *i)
{
	fsnotify_inode(i, NULL, LINUX_IN_DELETE_SELF);
	if (fanotify_active)
		fanotify_inode_gone(i);
}

void fsnotify_file(struct file *f, uint32_t mask)
{
	if (fsnotify_active && f->path.dentry && !(f->flags & LINUX_O_PATH) && !f->nonotify)
		fsnotify_path(&f->path, mask);
}
