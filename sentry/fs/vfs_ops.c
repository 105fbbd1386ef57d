/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on names: make, link, remove, rename. Contract in namei.h.
 *
 * Each takes the directory's mu, looks the name up again under it, checks, calls the file system, then changes the dentries and announces.
 * Lock order for two directories: sb->rename_mu, then the ancestor first, else by address. Linux: fs/namei.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/acl.h"
#include "sentry/fs/handle.h"
#include "sentry/fs/landlock.h"
#include "sentry/fs/namei_internal.h"
#include "sentry/fs/notify.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/user_ns.h"

/* Whose mounts keep a name from being removed; NULL: anybody's. */
static struct mnt_ns *task_mnt_ns(struct task *t)
{
	return t && t->ns ? t->ns->mnt : NULL;
}

static bool dead_dir(struct dentry *dir)
{
	return !dir->hashed && !dentry_is_root(dir) && !dir->disconnected;
}

int may_create(struct task *t, struct dentry *dir)
{
	if (dead_dir(dir))
		return -ENOENT;
	return inode_permission(dir->inode, t, vfs_cred(t), MAY_WRITE | MAY_EXEC);
}

static int may_delete(struct task *t, struct dentry *dir, struct dentry *victim, bool isdir)
{
	const struct cred *c = vfs_cred(t);
	struct inode *di = dir->inode, *vi = victim->inode;
	int err = inode_permission(di, t, c, MAY_WRITE | MAY_EXEC);

	if (err)
		return err;
	if (inode_append(di) || inode_append(vi) || inode_immutable(vi))
		return -EPERM;
	if (di->mode & LINUX_S_ISVTX && vi->uid != c->fsuid && di->uid != c->fsuid && !cred_capable_over(c, vi->uid, vi->gid, LINUX_CAP_FOWNER))
		return -EPERM;
	if (isdir) {
		if (!inode_is_dir(vi))
			return -ENOTDIR;
		if (dentry_is_root(victim))
			return -EBUSY;
	} else if (inode_is_dir(vi)) {
		return -EISDIR;
	}
	return dead_dir(dir) ? -ENOENT : 0;
}

void new_inode_owner(struct task *t, struct inode *dir, struct inode_make *m)
{
	const struct cred *c = vfs_cred(t);

	m->uid = c->fsuid;
	m->gid = c->fsgid;
	if (!(dir->mode & LINUX_S_ISGID))
		return;
	m->gid = dir->gid;
	if (LINUX_S_ISDIR(m->mode))
		m->mode |= LINUX_S_ISGID;
	else if ((m->mode & (LINUX_S_ISGID | LINUX_S_IXGRP)) == (LINUX_S_ISGID | LINUX_S_IXGRP) && !cred_in_group(c, m->gid) &&
		 !cred_capable_over(c, dir->uid, dir->gid, LINUX_CAP_FSETID))
		m->mode &= ~LINUX_S_ISGID;
}

static void attach_inode(struct dentry *d, struct inode *i)
{
	if (d->hashed)
		dentry_instantiate(d, i);
	else
		dentry_add(d, i);
}

uint32_t make_umask(struct task *t)
{
	return t && t->fs ? fs_ctx_umask(t->fs) : 0;
}

int create_locked(struct task *t, struct dentry *dir, struct dentry *d, struct inode_make *m)
{
	struct inode *di = dir->inode, *i = NULL;
	struct posix_acl *access, *dflt;
	int err;

	if (!di->ops->create)
		return LINUX_S_ISREG(m->mode) ? -EACCES : -EPERM;
	err = acl_inherit(di, make_umask(t), &m->mode, &access, &dflt);
	if (err)
		return err;
	err = di->ops->create(di, t, d, m, &i);
	if (err) {
		acl_free(access);
		acl_free(dflt);
		return err;
	}
	acl_give(i, access, dflt);
	i->fsflags = di->fsflags & (LINUX_FS_NODUMP_FL | LINUX_FS_NOATIME_FL);
	attach_inode(d, i);
	fsnotify_dir(dir, LINUX_IN_CREATE, d->name, d->inode);
	return 0;
}

/* mkdir, mknod and symlink share everything but the inode. */
static int make(struct task *t, const struct path *dir, const char *name, struct inode_make *m, struct path *ret)
{
	struct inode *di = dir->dentry->inode;
	struct dentry *d = NULL;
	int err, ro = mount_want_write(dir->mnt);

	mutex_lock(&di->mu);
	err = lookup_one_locked(t, dir->dentry, name, strlen(name), &d);
	if (!err && d->inode)
		err = -EEXIST;
	if (!err)
		err = ro;
	if (!err)
		err = landlock_check(t, dir, landlock_make_right(m->mode));
	if (!err)
		err = may_create(t, dir->dentry);
	/* Whiteouts (character 0:0) are for everybody. */
	if (!err && (LINUX_S_ISBLK(m->mode) || (LINUX_S_ISCHR(m->mode) && m->rdev)) && !cred_has_cap(vfs_cred(t), LINUX_CAP_MKNOD))
		err = -EPERM;
	if (!err) {
		new_inode_owner(t, di, m);
		err = create_locked(t, dir->dentry, d, m);
	}
	mutex_unlock(&di->mu);
	if (!err && ret) {
		*ret = (struct path){ .mnt = mount_get(dir->mnt), .dentry = d };
		return 0;
	}
	dentry_put(d);
	return err;
}

int vfs_mknod(struct task *t, const struct path *dir, const char *name, uint32_t mode, uint64_t rdev, struct path *ret)
{
	struct inode_make m = { .mode = mode, .rdev = rdev };

	switch (mode & LINUX_S_IFMT) {
	case 0:
		m.mode |= LINUX_S_IFREG;
		break;
	case LINUX_S_IFREG:
	case LINUX_S_IFIFO:
	case LINUX_S_IFSOCK:
		break;
	case LINUX_S_IFCHR:
	case LINUX_S_IFBLK:
		break;
	case LINUX_S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	return make(t, dir, name, &m, ret);
}

int vfs_mkdir(struct task *t, const struct path *dir, const char *name, uint32_t mode, struct path *ret)
{
	struct inode_make m = { .mode = LINUX_S_IFDIR | (mode & (LINUX_S_IRWXUGO | LINUX_S_ISVTX)) };

	return make(t, dir, name, &m, ret);
}

int vfs_symlink(struct task *t, const struct path *dir, const char *name, const char *target)
{
	struct inode_make m = { .mode = LINUX_S_IFLNK | 0777, .target = target };

	return make(t, dir, name, &m, NULL);
}

/* What landlock says of a second name, by where the first one is. */
static int refer_link(struct task *t, const struct path *old, const struct path *dir, struct dentry *d)
{
	struct path from = { .mnt = old->mnt, .dentry = dentry_parent_get(old->dentry) };
	int err = landlock_check_refer(t, &from, old->dentry, dir, d, false, false);

	dentry_put(from.dentry);
	return err;
}

int vfs_link(struct task *t, const struct path *old, const struct path *dir, const char *name)
{
	struct inode *di = dir->dentry->inode, *i = old->dentry->inode;
	struct dentry *d = NULL;
	int err, ro = mount_want_write(dir->mnt);

	mutex_lock(&di->mu);
	err = lookup_one_locked(t, dir->dentry, name, strlen(name), &d);
	if (!err && d->inode)
		err = -EEXIST;
	if (!err)
		err = ro;
	if (!err && old->mnt != dir->mnt)
		err = -EXDEV;
	if (!err && landlock_on(t))
		err = refer_link(t, old, dir, d);
	if (!err)
		err = may_create(t, dir->dentry);
	if (!err && i->sb != di->sb)
		err = -EXDEV;
	if (!err && (inode_append(i) || inode_immutable(i)))
		err = -EPERM;
	if (!err && (inode_is_dir(i) || !di->ops->link))
		err = -EPERM;
	if (!err && !i->nlink && (!old->dentry->disconnected || old->dentry->no_link))
		err = -ENOENT;
	if (!err)
		err = di->ops->link(di, t, d, i);
	if (!err) {
		attach_inode(d, inode_get(i));
		fsnotify_dir(dir->dentry, LINUX_IN_CREATE, name, i);
	}
	mutex_unlock(&di->mu);
	dentry_put(d);
	if (!err && fsnotify_active)
		fsnotify_inode(i, old->dentry, LINUX_IN_ATTRIB);
	return err;
}

/* The object itself lost a name. */
static void announce_removed(struct inode *i, bool isdir)
{
	if (!fsnotify_active)
		return;
	if (!isdir)
		fsnotify_inode(i, NULL, LINUX_IN_ATTRIB);
	else /* a file's waits for its last user: dentry_free() */
		fsnotify_deleted(i);
}

static int remove_name(struct task *t, const struct path *dir, const char *name, bool isdir, bool slash)
{
	struct inode *di = dir->dentry->inode, *vi = NULL;
	struct dentry *d = NULL;
	int err, ro = mount_want_write(dir->mnt);

	if (ro)
		return ro;
	mutex_lock(&di->mu);
	err = lookup_one_locked(t, dir->dentry, name, strlen(name), &d);
	if (!err && !d->inode)
		err = -ENOENT;
	if (!err && slash && !isdir)
		err = inode_is_dir(d->inode) ? -EISDIR : -ENOTDIR;
	if (!err)
		err = landlock_check(t, dir, isdir ? LL_REMOVE_DIR : LL_REMOVE_FILE);
	if (!err)
		err = may_delete(t, dir->dentry, d, isdir);
	if (!err && mount_is_local(task_mnt_ns(t), d))
		err = -EBUSY;
	if (!err && !(isdir ? di->ops->rmdir : di->ops->unlink))
		err = -EPERM;
	if (!err) {
		vi = inode_get(d->inode);
		if (isdir) {
			mutex_lock_nested(&vi->mu);
			err = di->ops->rmdir(di, t, d);
			mutex_unlock(&vi->mu);
		} else {
			err = di->ops->unlink(di, t, d);
		}
	}
	if (!err) {
		if (isdir)
			dcache_prune(d);
		dentry_unhash(d);
		fsnotify_dir(dir->dentry, LINUX_IN_DELETE, name, vi);
	}
	mutex_unlock(&di->mu);
	if (!err) {
		mount_detach_dentry(d);
		handle_removed(d);
		announce_removed(vi, isdir);
	}
	dentry_put(d);
	inode_put(vi);
	return err;
}

int vfs_unlink(struct task *t, const struct path *dir, const char *name, bool trailing_slash)
{
	return remove_name(t, dir, name, false, trailing_slash);
}

int vfs_rmdir(struct task *t, const struct path *dir, const char *name)
{
	return remove_name(t, dir, name, true, false);
}

/* --- rename --- */

static void lock_two(struct dentry *a, struct dentry *b)
{
	struct inode *ia = a->inode, *ib = b->inode, *first, *second;

	if (ia == ib) {
		mutex_lock_nested(&ia->mu);
		return;
	}
	mutex_lock_nested(&a->sb->rename_mu);
	if (dentry_is_ancestor(a, b) || (!dentry_is_ancestor(b, a) && (uintptr_t)ia < (uintptr_t)ib)) {
		first = ia;
		second = ib;
	} else {
		first = ib;
		second = ia;
	}
	mutex_lock_nested(&first->mu);
	mutex_lock_nested(&second->mu);
}

static void unlock_two(struct dentry *a, struct dentry *b)
{
	struct inode *ia = a->inode, *ib = b->inode;

	mutex_unlock(&ia->mu);
	if (ia == ib)
		return;
	mutex_unlock(&ib->mu);
	mutex_unlock(&a->sb->rename_mu);
}

static int rename_dentries(struct dentry *od, struct dentry *ndir, struct dentry *nd, const char *nname, uint32_t flags)
{
	if (flags & LINUX_RENAME_EXCHANGE)
		return dentry_exchange(od, nd);
	if (nd->inode && inode_is_dir(nd->inode))
		dcache_prune(nd);
	dentry_unhash(nd);
	return dentry_move(od, ndir, nname, strlen(nname));
}

static int rename_locked(struct task *t, const struct path *opath, struct dentry *od, const struct path *npath, struct dentry *nd, const char *nname,
			 uint32_t flags, bool oslash, bool nslash)
{
	struct dentry *odir = opath->dentry, *ndir = npath->dentry;
	struct inode *oi = od->inode, *ni = nd->inode, *odi = odir->inode, *ndi = ndir->inode;
	bool isdir, exchange = flags & LINUX_RENAME_EXCHANGE;
	int err;

	if (!oi)
		return -ENOENT;
	if (flags & LINUX_RENAME_NOREPLACE && ni)
		return -EEXIST;
	if (exchange && !ni)
		return -ENOENT;
	isdir = inode_is_dir(oi);
	if (exchange && !inode_is_dir(ni) && nslash)
		return -ENOTDIR;
	if (!isdir && (oslash || (!exchange && nslash)))
		return -ENOTDIR;
	if (dentry_is_ancestor(od, ndir))
		return -EINVAL;
	if (ni && dentry_is_ancestor(nd, odir))
		return exchange ? -EINVAL : -ENOTEMPTY;
	err = landlock_check_refer(t, opath, od, npath, nd, true, exchange);
	if (err)
		return err;
	if (oi == ni)
		return 1; /* two names of one file: nothing to do */
	err = may_delete(t, odir, od, isdir);
	if (err)
		return err;
	if (!ni)
		err = may_create(t, ndir);
	else
		err = may_delete(t, ndir, nd, exchange ? inode_is_dir(ni) : isdir);
	if (err)
		return err;
	if (odir != ndir) {
		if (isdir)
			err = inode_permission(oi, t, vfs_cred(t), MAY_WRITE);
		if (!err && exchange && inode_is_dir(ni))
			err = inode_permission(ni, t, vfs_cred(t), MAY_WRITE);
		if (err)
			return err;
	}
	if (mount_is_local(task_mnt_ns(t), od) || mount_is_local(task_mnt_ns(t), nd))
		return -EBUSY;
	if (!odi->ops->rename)
		return -EPERM;
	if (flags & LINUX_RENAME_WHITEOUT && !(odir->sb->flags & SB_REAL_TREE))
		return -EINVAL;
	err = odi->ops->rename(odi, t, od, ndi, nd, flags & ~LINUX_RENAME_WHITEOUT);
	if (err)
		return err;
	return rename_dentries(od, ndir, nd, nname, flags);
}

/* A character device 0:0 where the moved file was, which tells overlays above that there is nothing. */
static int leave_whiteout(struct task *t, struct dentry *odir, const char *oname)
{
	struct inode_make m = { .mode = LINUX_S_IFCHR };
	struct dentry *d = dentry_new(odir, oname, strlen(oname));
	int err = d ? 0 : -ENOMEM;

	if (!err) {
		new_inode_owner(t, odir->inode, &m);
		err = create_locked(NULL, odir, d, &m);
	}
	dentry_put(d);
	return err;
}

int vfs_rename_slash(struct task *t, const struct path *odir, const char *oname, const struct path *ndir, const char *nname, uint32_t flags,
		     bool oslash, bool nslash)
{
	struct dentry *od = NULL, *nd = NULL;
	struct inode *oi = NULL, *ni = NULL;
	int err;

	if (odir->mnt != ndir->mnt || odir->dentry->sb != ndir->dentry->sb)
		return -EXDEV;
	err = mount_want_write(odir->mnt);
	if (err)
		return err;
	lock_two(odir->dentry, ndir->dentry);
	err = lookup_one_locked(t, odir->dentry, oname, strlen(oname), &od);
	if (!err)
		err = lookup_one_locked(t, ndir->dentry, nname, strlen(nname), &nd);
	if (!err) {
		oi = od->inode ? inode_get(od->inode) : NULL;
		ni = nd->inode ? inode_get(nd->inode) : NULL;
		err = rename_locked(t, odir, od, ndir, nd, nname, flags, oslash, nslash);
	}
	if (!err && flags & LINUX_RENAME_WHITEOUT)
		err = leave_whiteout(t, odir->dentry, oname);
	if (!err) {
		fsnotify_move(odir->dentry, oname, ndir->dentry, nname, od);
		if (flags & LINUX_RENAME_EXCHANGE)
			fsnotify_move(ndir->dentry, nname, odir->dentry, oname, nd);
	}
	unlock_two(odir->dentry, ndir->dentry);
	if (!err && ni && !(flags & LINUX_RENAME_EXCHANGE)) {
		mount_detach_dentry(nd);
		handle_removed(nd);
		announce_removed(ni, inode_is_dir(ni));
	}
	dentry_put(od);
	dentry_put(nd);
	inode_put(oi);
	inode_put(ni);
	return err > 0 ? 0 : err;
}

int vfs_rename(struct task *t, const struct path *odir, const char *oname, const struct path *ndir, const char *nname, uint32_t flags)
{
	return vfs_rename_slash(t, odir, oname, ndir, nname, flags, false, false);
}

/* --- raw forms for stacked file systems --- */

int vfs_raw_create(struct dentry *dir, const char *name, const struct inode_make *m, struct dentry **ret)
{
	struct inode *di = dir->inode;
	struct inode_make mine = *m;
	struct dentry *d = NULL;
	int err;

	mutex_lock_nested(&di->mu);
	err = lookup_one_locked(NULL, dir, name, strlen(name), &d);
	if (!err && d->inode)
		err = -EEXIST;
	if (!err)
		err = create_locked(NULL, dir, d, &mine);
	mutex_unlock(&di->mu);
	if (err || !ret) {
		dentry_put(d);
		return err;
	}
	*ret = d;
	return 0;
}

static int raw_remove(struct dentry *dir, struct dentry *d, bool isdir)
{
	struct inode *di = dir->inode, *vi = d->inode;
	int err = 0;

	mutex_lock_nested(&di->mu);
	if (!vi || !d->hashed)
		err = -ENOENT;
	else if (!(isdir ? di->ops->rmdir : di->ops->unlink))
		err = -EPERM;
	else if (isdir) {
		mutex_lock_nested(&vi->mu);
		err = di->ops->rmdir(di, NULL, d);
		mutex_unlock(&vi->mu);
	} else {
		err = di->ops->unlink(di, NULL, d);
	}
	if (!err)
		dentry_unhash(d);
	mutex_unlock(&di->mu);
	return err;
}

int vfs_raw_unlink(struct dentry *dir, struct dentry *d)
{
	return raw_remove(dir, d, false);
}

int vfs_raw_rmdir(struct dentry *dir, struct dentry *d)
{
	return raw_remove(dir, d, true);
}

int vfs_raw_rename(struct dentry *odir, struct dentry *od, struct dentry *ndir, const char *nname, uint32_t flags)
{
	struct inode *odi = odir->inode;
	struct dentry *nd = NULL;
	int err;

	lock_two(odir, ndir);
	err = lookup_one_locked(NULL, ndir, nname, strlen(nname), &nd);
	if (!err && !od->inode)
		err = -ENOENT;
	if (!err && flags & LINUX_RENAME_NOREPLACE && nd->inode)
		err = -EEXIST;
	if (!err && flags & LINUX_RENAME_EXCHANGE && !nd->inode)
		err = -ENOENT;
	if (!err && !odi->ops->rename)
		err = -EPERM;
	if (!err)
		err = odi->ops->rename(odi, NULL, od, ndir->inode, nd, flags);
	if (!err)
		err = rename_dentries(od, ndir, nd, nname, flags);
	unlock_two(odir, ndir);
	dentry_put(nd);
	return err;
}

int vfs_raw_link(struct dentry *dir, const char *name, struct inode *i, struct dentry **ret)
{
	struct inode *di = dir->inode;
	struct dentry *d = NULL;
	int err;

	mutex_lock_nested(&di->mu);
	err = lookup_one_locked(NULL, dir, name, strlen(name), &d);
	if (!err && d->inode)
		err = -EEXIST;
	if (!err && !di->ops->link)
		err = -EPERM;
	if (!err)
		err = di->ops->link(di, NULL, d, i);
	if (!err)
		attach_inode(d, inode_get(i));
	mutex_unlock(&di->mu);
	if (err || !ret) {
		dentry_put(d);
		return err;
	}
	*ret = d;
	return 0;
}
