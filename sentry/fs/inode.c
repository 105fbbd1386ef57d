/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes: base object, attributes, times, write/exec exclusion. Permission checks are in permission.c, anonymous inodes in
 * anon_inode.c.
 *
 * Locks: attr_mu is a leaf and guards the attributes; see inode.h.
 * Checkpoint: inode_save_base() writes what the tags in inode.h say; derived counts (write_count) are rebuilt by the open files
 * that are loaded. Linux: fs/inode.c, fs/attr.c, fs/stat.c.
 */
#include "sentry/fs/acl.h"
#include "sentry/fs/inode.h"

#include <string.h>

#include "schemas/vfs.pb-c.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/locks.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/notify.h"
#include "sentry/fs/vfs_state.h"
#include "sentry/kernel/time.h"
#include "sentry/kernel/user_ns.h"
#include "state/state.h"

struct linux_timespec inode_now(void)
{
	int64_t ns = ktime_real();

	return (struct linux_timespec){ .tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC };
}

/* Stacked file systems hold their own inode's mu while they lock one below: a class per file system keeps the order visible. */
static const char *mu_class(const struct inode_ops *ops, uint32_t mode)
{
	if (LINUX_S_ISDIR(mode))
		return ops->name;
	return ops->mu_class ? ops->mu_class : "inode.mu";
}

void inode_init(struct inode *i, const struct inode_ops *ops, struct super_block *sb, uint64_t ino, uint32_t mode, uint32_t uid,
		uint32_t gid)
{
	ref_init(&i->ref);
	i->ops = ops;
	i->sb = sb_get(sb);
	i->ino = ino ? ino : atomic_fetch_add(&sb->next_ino, 1);
	mutex_init(&i->mu, mu_class(ops, mode));
	mutex_init(&i->attr_mu, "inode.attr_mu");
	i->mode = mode;
	i->uid = uid;
	i->gid = gid;
	i->nlink = 1;
	i->atime = i->mtime = i->ctime = i->btime = inode_now();
}

void inode_done(struct inode *i)
{
	struct file_locks *l = atomic_exchange(&i->locks, NULL);

	if (atomic_load(&i->marks))
		fsnotify_inode_gone(i);
	if (l)
		locks_free(l);
	acl_free(i->acl[ACL_ACCESS]);
	acl_free(i->acl[ACL_DEFAULT]);
	mutex_destroy(&i->mu);
	mutex_destroy(&i->attr_mu);
	if (i->sb)
		sb_put(i->sb);
	i->sb = NULL;
}

struct inode *inode_get(struct inode *i)
{
	ref_get(&i->ref);
	return i;
}

void inode_put(struct inode *i)
{
	if (i && ref_put(&i->ref))
		i->ops->evict(i);
}

/* chattr's flags have their numbers in STATX_ATTR_*. */
#define STATX_FLAGS (LINUX_FS_IMMUTABLE_FL | LINUX_FS_APPEND_FL | LINUX_FS_NODUMP_FL)

void inode_fill_kstat(struct inode *i, struct kstat *ret)
{
	mutex_guard(&i->attr_mu);
	*ret = (struct kstat){
		.dev = i->sb->dev,
		.ino = i->ino,
		.rdev = i->rdev,
		.mode = i->mode,
		.uid = i->uid,
		.gid = i->gid,
		.nlink = i->nlink,
		.size = i->size,
		.blocks = LINUX_S_ISREG(i->mode) ? (i->size + 511) / 512 : 0,
		.blksize = i->sb->blksize,
		.atime = i->atime,
		.mtime = i->mtime,
		.ctime = i->ctime,
		.btime = i->btime,
		.has_btime = i->btime.tv_sec != 0,
		.attributes = i->fsflags & STATX_FLAGS,
		.attributes_mask = i->sb->flags & SB_ACL ? STATX_FLAGS : 0,
	};
}

int inode_getattr(struct inode *i, struct task *t, struct kstat *ret)
{
	if (i->ops->getattr)
		return i->ops->getattr(i, t, ret);
	inode_fill_kstat(i, ret);
	return 0;
}

void inode_setattr_simple(struct inode *i, const struct iattr *a)
{
	mutex_guard(&i->attr_mu);
	if (a->valid & ATTR_MODE)
		i->mode = (i->mode & LINUX_S_IFMT) | (a->mode & LINUX_S_IALLUGO);
	if (a->valid & ATTR_MODE)
		acl_chmod_locked(i);
	if (a->valid & ATTR_UID)
		i->uid = a->uid;
	if (a->valid & ATTR_GID)
		i->gid = a->gid;
	if (a->valid & ATTR_SIZE)
		i->size = a->size;
	if (a->valid & ATTR_ATIME)
		i->atime = a->atime;
	if (a->valid & ATTR_MTIME)
		i->mtime = a->mtime;
	if (a->valid & ATTR_CTIME)
		i->ctime = a->ctime;
}

void inode_touch(struct inode *i, bool mtime, bool ctime)
{
	struct linux_timespec now = inode_now();

	mutex_guard(&i->attr_mu);
	if (mtime)
		i->mtime = now;
	if (ctime)
		i->ctime = now;
}

int inode_changed(struct inode *i, struct task *t)
{
	struct iattr a = { .valid = ATTR_CTIME, .ctime = inode_now() };

	if (i->ops->setattr)
		return i->ops->setattr(i, t, &a);
	inode_setattr_simple(i, &a);
	return 0;
}

static bool ts_after(const struct linux_timespec *a, const struct linux_timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

void inode_accessed(struct inode *i, const struct mount *m, uint32_t file_flags)
{
	struct linux_timespec now;
	uint32_t mf = m ? m->flags : LINUX_MS_RELATIME;

	if (file_flags & LINUX_O_NOATIME || i->fsflags & LINUX_FS_NOATIME_FL || mf & (LINUX_MS_NOATIME | LINUX_MS_RDONLY) || sb_rdonly(i->sb))
		return;
	if (mf & LINUX_MS_NODIRATIME && inode_is_dir(i))
		return;
	now = inode_now();
	mutex_guard(&i->attr_mu);
	if (mf & LINUX_MS_RELATIME && ts_after(&i->atime, &i->mtime) && ts_after(&i->atime, &i->ctime) &&
	    now.tv_sec - i->atime.tv_sec < 24 * 60 * 60)
		return;
	i->atime = now;
}

void inode_set_nlink(struct inode *i, int delta)
{
	mutex_guard(&i->attr_mu);
	if (delta < 0 && i->nlink < (uint32_t)-delta)
		i->nlink = 0;
	else
		i->nlink = (uint32_t)((int64_t)i->nlink + delta);
}

int inode_remove_caps(struct inode *i, struct task *t)
{
	int64_t n;
	int err = 0;

	if (atomic_load_explicit(&i->no_caps, memory_order_relaxed) || !LINUX_S_ISREG(i->mode))
		return 0;
	n = i->ops->getxattr && i->ops->removexattr ? i->ops->getxattr(i, t, XATTR_CAPS, NULL, 0) : 0;
	if (n > 0)
		err = i->ops->removexattr(i, t, XATTR_CAPS);
	if (!err || err == -ENODATA)
		atomic_store_explicit(&i->no_caps, true, memory_order_relaxed);
	return err == -ENODATA ? 0 : err;
}

int inode_remove_privs(struct inode *i, struct task *t)
{
	uint32_t mode = i->mode, kill = 0;
	struct iattr a = { .valid = ATTR_MODE };
	int err = inode_remove_caps(i, t);

	if (err)
		return err;
	if (!LINUX_S_ISREG(mode) || !(mode & (LINUX_S_ISUID | LINUX_S_ISGID)))
		return 0;
	if (cred_capable_over(vfs_cred(t), i->uid, i->gid, LINUX_CAP_FSETID))
		return 0;
	if (mode & LINUX_S_ISUID)
		kill |= LINUX_S_ISUID;
	/* setgid without group execute once meant mandatory locking and stays. */
	if ((mode & (LINUX_S_ISGID | LINUX_S_IXGRP)) == (LINUX_S_ISGID | LINUX_S_IXGRP))
		kill |= LINUX_S_ISGID;
	if (!kill)
		return 0;
	a.mode = mode & ~kill & LINUX_S_IALLUGO;
	if (i->ops->setattr)
		return i->ops->setattr(i, t, &a);
	inode_setattr_simple(i, &a);
	return 0;
}

int inode_get_write(struct inode *i)
{
	int32_t v = atomic_load(&i->write_count);

	do {
		if (v < 0)
			return -ETXTBSY;
	} while (!atomic_compare_exchange_weak(&i->write_count, &v, v + 1));
	return 0;
}

void inode_put_write(struct inode *i)
{
	atomic_fetch_sub(&i->write_count, 1);
}

int inode_deny_write(struct inode *i)
{
	int32_t v = atomic_load(&i->write_count);

	do {
		if (v > 0)
			return -ETXTBSY;
	} while (!atomic_compare_exchange_weak(&i->write_count, &v, v - 1));
	return 0;
}

void inode_allow_write(struct inode *i)
{
	atomic_fetch_add(&i->write_count, 1);
}

int inode_no_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	return -ENXIO;
}

/* --- state --- */

void inode_state_get(void *inode)
{
	(void)inode_get(inode);
}

void inode_state_put(void *inode)
{
	struct inode *i = inode;

	if (i->ops) /* else loading failed before the base was set up */
		inode_put(i);
}

static Sentry__Timespec *save_time(struct state_writer *w, const struct linux_timespec *ts)
{
	Sentry__Timespec *m = state_new_msg(w, &sentry__timespec__descriptor);

	m->sec = ts->tv_sec;
	m->nsec = (uint32_t)ts->tv_nsec;
	return m;
}

static int load_time(struct state_reader *r, const Sentry__Timespec *m, struct linux_timespec *ret)
{
	if (!m)
		return 0;
	*ret = (struct linux_timespec){ .tv_sec = m->sec, .tv_nsec = m->nsec };
	return state_check(r, m->nsec < NSEC_PER_SEC, "timestamp out of range");
}

static int save_acl(struct state_writer *w, const struct posix_acl *a, ProtobufCBinaryData *ret)
{
	void *val _cleanup_free_ = NULL;
	int err;

	if (!a)
		return 0;
	err = acl_export(a, &val, &ret->len);
	if (err)
		return err;
	ret->data = state_zalloc(w, ret->len, 1);
	memcpy(ret->data, val, ret->len);
	return 0;
}

static int load_acl(struct state_reader *r, const ProtobufCBinaryData *m, struct posix_acl **ret)
{
	int err = m->len ? acl_import(m->data, m->len, ret) : 0;

	return err == -EINVAL || err == -EOPNOTSUPP ? state_check(r, false, "access control list") : err;
}

int inode_save_base(struct state_writer *w, const struct inode *i, struct Sentry__InodeBase *m)
{
	int err;

	m->sb = i->sb && i->sb->ops->state ? sb_state_ref(w, i->sb) : 0;
	m->ino = i->ino;
	m->mode = i->mode;
	m->uid = i->uid;
	m->gid = i->gid;
	m->nlink = i->nlink;
	m->size = i->size;
	m->rdev = i->rdev;
	m->atime = save_time(w, &i->atime);
	m->mtime = save_time(w, &i->mtime);
	m->ctime = save_time(w, &i->ctime);
	m->btime = save_time(w, &i->btime);
	m->fsflags = i->fsflags;
	err = save_acl(w, i->acl[ACL_ACCESS], &m->acl_access);
	if (!err)
		err = save_acl(w, i->acl[ACL_DEFAULT], &m->acl_default);
	if (err)
		return err;
	return locks_save(w, i, &m->locks, &m->n_locks);
}

int inode_load_base(struct state_reader *r, struct inode *i, const struct inode_ops *ops, const struct Sentry__InodeBase *m)
{
	int err;

	/* A loaded object's only reference belongs to the loader and may already have been taken by others. */
	if (!ref_count(&i->ref))
		ref_init(&i->ref);
	err = state_check(r, m != NULL, "no inode base");
	if (err)
		return err;
	mutex_init(&i->mu, mu_class(ops, m->mode));
	mutex_init(&i->attr_mu, "inode.attr_mu");
	i->ops = ops;
	switch (m->mode & LINUX_S_IFMT) {
	case LINUX_S_IFREG:
	case LINUX_S_IFDIR:
	case LINUX_S_IFLNK:
	case LINUX_S_IFCHR:
	case LINUX_S_IFBLK:
	case LINUX_S_IFIFO:
	case LINUX_S_IFSOCK:
	case 0: /* anonymous inodes have no type */
		break;
	default:
		return state_check(r, false, "unknown file type");
	}
	err = state_check(r, !(m->mode & ~0177777u), "mode out of range");
	if (!err)
		err = state_check(r, m->size <= INT64_MAX, "size out of range");
	if (!err)
		err = sb_state_deref(r, m->sb, &i->sb);
	i->ino = m->ino;
	i->mode = m->mode;
	i->uid = m->uid;
	i->gid = m->gid;
	i->nlink = m->nlink;
	i->size = m->size;
	i->rdev = m->rdev;
	if (!err)
		err = load_time(r, m->atime, &i->atime);
	if (!err)
		err = load_time(r, m->mtime, &i->mtime);
	if (!err)
		err = load_time(r, m->ctime, &i->ctime);
	if (!err)
		err = load_time(r, m->btime, &i->btime);
	i->fsflags = m->fsflags;
	if (!err)
		err = load_acl(r, &m->acl_access, &i->acl[ACL_ACCESS]);
	if (!err)
		err = load_acl(r, &m->acl_default, &i->acl[ACL_DEFAULT]);
	if (!err)
		err = locks_load(r, i, m->locks, m->n_locks);
	return err;
}

uint64_t inode_state_ref(struct state_writer *w, const struct inode *i)
{
	return i ? state_ref(w, i->ops->state, i) : 0;
}

int inode_state_deref(struct state_reader *r, uint64_t id, struct inode **ret)
{
	void *p = NULL;
	int err = vfs_state_deref(r, id, inode_state_get, "not an inode", &p);

	if (!err)
		*ret = p;
	return err;
}
