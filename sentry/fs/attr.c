/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing attributes: chmod, chown, utimes, truncate with Linux's rules. Linux: fs/attr.c, fs/open.c.
 *
 * The inode's mu is held over check and change. Checkpoint: stateless.
 */
#include "sentry/abi/rlimit.h"
#include "sentry/fs/lease.h"
#include "sentry/fs/namei_internal.h"
#include "sentry/fs/notify.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/user_ns.h"

static int check_owner_rules(struct task *t, struct inode *i, struct iattr *a)
{
	const struct cred *c = vfs_cred(t);
	bool owner = inode_owner_or_capable(i, c);

	if (a->valid & ATTR_UID && !(c->fsuid == i->uid && a->uid == i->uid) && !cred_capable_over(c, i->uid, i->gid, LINUX_CAP_CHOWN))
		return -EPERM;
	if (a->valid & ATTR_GID && !(c->fsuid == i->uid && (cred_in_group(c, a->gid) || a->gid == i->gid)) &&
	    !cred_capable_over(c, i->uid, i->gid, LINUX_CAP_CHOWN))
		return -EPERM;
	if (a->valid & ATTR_MODE && !(a->valid & (ATTR_UID | ATTR_GID))) {
		uint32_t gid = i->gid;

		if (!owner)
			return -EPERM;
		if (!cred_in_group(c, gid) && !cred_capable_over(c, i->uid, gid, LINUX_CAP_FSETID))
			a->mode &= ~LINUX_S_ISGID;
	}
	if (a->valid & (ATTR_ATIME | ATTR_MTIME)) {
		bool now = (!(a->valid & ATTR_ATIME) || a->valid & ATTR_ATIME_NOW) &&
			   (!(a->valid & ATTR_MTIME) || a->valid & ATTR_MTIME_NOW);
		bool both = (a->valid & (ATTR_ATIME | ATTR_MTIME)) == (ATTR_ATIME | ATTR_MTIME);

		if (now && both) {
			if (!owner)
				return inode_permission(i, t, c, MAY_WRITE);
		} else if (!owner) {
			return -EPERM;
		}
	}
	return 0;
}

static int apply(struct inode *i, struct task *t, struct iattr *a)
{
	if (i->ops->setattr)
		return i->ops->setattr(i, t, a);
	if (a->valid & ATTR_SIZE)
		return -EINVAL;
	inode_setattr_simple(i, a);
	return 0;
}

int vfs_setattr_inode(struct task *t, struct mount *mnt, struct inode *i, struct iattr *a)
{
	struct linux_timespec now = inode_now();
	int err = mount_want_write(mnt);

	if (!err && ((a->valid & ATTR_UID && a->uid == NO_ID) || (a->valid & ATTR_GID && a->gid == NO_ID)))
		err = -EINVAL; /* has no mapping in the caller's namespace */
	if (err)
		return err;
	if (i->ops->refresh) {
		err = i->ops->refresh(i, t);
		if (err)
			return err;
	}
	if (a->valid & ATTR_ATIME_NOW)
		a->atime = now;
	if (a->valid & ATTR_MTIME_NOW)
		a->mtime = now;
	a->ctime = now;
	a->valid |= ATTR_CTIME;
	if ((a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID) ||
	     (a->valid & ATTR_ATIME && !(a->valid & ATTR_ATIME_NOW)) || (a->valid & ATTR_MTIME && !(a->valid & ATTR_MTIME_NOW))) &&
	    (inode_immutable(i) || inode_append(i)))
		return -EPERM;
	if (a->valid & (ATTR_ATIME | ATTR_MTIME) && inode_immutable(i))
		return -EPERM;
	mutex_lock(&i->mu);
	/* A new owner loses the set-id bits, whoever changes it. */
	if (a->valid & (ATTR_UID | ATTR_GID) && !inode_is_dir(i)) {
		uint32_t kill = i->mode & LINUX_S_ISUID;

		if ((i->mode & (LINUX_S_ISGID | LINUX_S_IXGRP)) == (LINUX_S_ISGID | LINUX_S_IXGRP))
			kill |= LINUX_S_ISGID;
		if (kill) {
			a->mode = i->mode & LINUX_S_IALLUGO & ~kill;
			a->valid |= ATTR_MODE;
		}
	}
	err = check_owner_rules(t, i, a);
	if (!err && a->valid & (ATTR_UID | ATTR_GID))
		err = inode_remove_caps(i, t);
	if (!err)
		err = apply(i, t, a);
	mutex_unlock(&i->mu);
	return err;
}

int vfs_setattr(struct task *t, const struct path *p, struct iattr *a)
{
	int err = vfs_setattr_inode(t, p->mnt, p->dentry->inode, a);

	if (!err)
		fsnotify_path(p, LINUX_IN_ATTRIB);
	return err;
}

int vfs_raw_setattr(struct inode *i, struct iattr *a)
{
	int err;

	mutex_lock_nested(&i->mu);
	err = apply(i, NULL, a);
	mutex_unlock(&i->mu);
	return err;
}

int inode_newsize_ok(struct inode *i, struct task *t, uint64_t size)
{
	if (size > i->sb->max_bytes)
		return -EFBIG;
	if (t && size > i->size && size > task_rlimit(t, LINUX_RLIMIT_FSIZE)) {
		struct linux_siginfo si;

		siginfo_user(&si, SIGXFSZ, t, SI_USER);
		(void)signal_send_task(t, SIGXFSZ, &si);
		return -EFBIG;
	}
	return 0;
}

int truncate_inode(struct task *t, struct inode *i, uint64_t size, struct file *f, bool check_limit)
{
	struct iattr a = { .valid = ATTR_SIZE | ATTR_MTIME | ATTR_MTIME_NOW | ATTR_CTIME, .size = size, .file = f };
	int err = inode_newsize_ok(i, check_limit ? t : NULL, size);

	if (err)
		return err;
	a.mtime = a.ctime = inode_now();
	mutex_lock(&i->mu);
	err = inode_remove_privs(i, t);
	if (!err)
		err = apply(i, t, &a);
	mutex_unlock(&i->mu);
	return err;
}

int vfs_truncate(struct task *t, const struct path *p, uint64_t size, struct file *f)
{
	struct inode *i = p->dentry->inode;
	int err;

	if (inode_is_dir(i))
		return -EISDIR;
	if (!LINUX_S_ISREG(i->mode))
		return -EINVAL;
	if (inode_append(i))
		return -EPERM;
	if (!f) {
		err = mount_want_write(p->mnt);
		if (!err)
			err = inode_permission(i, t, vfs_cred(t), MAY_WRITE);
		if (!err)
			err = lease_break(i, t, LINUX_O_WRONLY);
		if (!err)
			err = inode_get_write(i);
		if (err)
			return err;
	}
	err = truncate_inode(t, i, size, f, true);
	if (!f)
		inode_put_write(i);
	if (!err)
		fsnotify_path(p, LINUX_IN_MODIFY);
	return err;
}
