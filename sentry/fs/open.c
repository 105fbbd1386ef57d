/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open(2) without the descriptor. Contract in namei.h. Linux: fs/open.c, fs/namei.c path_openat().
 *
 * May block (FIFOs): then the calls's result is a restart code and nothing was opened; a file created by the first try is found by the re-run.
 * With O_EXCL that would fail, so O_CREAT|O_EXCL of what is then a FIFO cannot happen (it creates regular files only).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/acl.h"
#include "sentry/fs/chrdev.h"
#include "sentry/fs/fanotify.h"
#include "sentry/fs/landlock.h"
#include "sentry/fs/lease.h"
#include "sentry/fs/namei_internal.h"
#include "sentry/fs/notify.h"
#include "sentry/fs/pipe.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/task.h"

static int open_path_only(const struct path *p, uint32_t flags, struct task *t, struct file **ret)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	file_init(f, &path_file_ops, flags & (LINUX_O_PATH | LINUX_O_DIRECTORY | LINUX_O_NOFOLLOW), t, p, p->dentry->inode);
	*ret = f;
	return 0;
}

static int access_mask(uint32_t flags)
{
	static const int masks[4] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE };
	int mask = masks[flags & LINUX_O_ACCMODE];

	return flags & LINUX_O_TRUNC ? mask | MAY_WRITE : mask;
}

static bool is_special(uint32_t mode)
{
	uint32_t type = mode & LINUX_S_IFMT;

	return type == LINUX_S_IFCHR || type == LINUX_S_IFBLK || type == LINUX_S_IFIFO || type == LINUX_S_IFSOCK;
}

static int dispatch(struct inode *i, const struct path *p, uint32_t flags, struct task *t, struct file **ret)
{
	if (!is_special(i->mode) || i->ops->opens_special)
		return i->ops->open ? i->ops->open(i, t, p, flags, ret) : -ENXIO;
	if (LINUX_S_ISFIFO(i->mode))
		return fifo_open(i, p, flags, t, ret);
	if (LINUX_S_ISCHR(i->mode) || LINUX_S_ISBLK(i->mode))
		return dev_open(i, t, p, flags, ret);
	return -ENXIO; /* a socket */
}

static int check_open(struct task *t, const struct path *p, uint32_t flags)
{
	struct inode *i = p->dentry->inode;
	const struct cred *c = vfs_cred(t);
	int mask = access_mask(flags), err;

	switch (i->mode & LINUX_S_IFMT) {
	case LINUX_S_IFLNK:
		return -ELOOP;
	case LINUX_S_IFDIR:
		if (mask & MAY_WRITE)
			return -EISDIR;
		break;
	case LINUX_S_IFCHR:
	case LINUX_S_IFBLK:
		if (mount_nodev(p->mnt))
			return -EACCES;
		break;
	default:
		break;
	}
	err = inode_permission(i, t, c, mask);
	if (err)
		return err;
	if (inode_append(i) && (flags & LINUX_O_TRUNC || (mask & MAY_WRITE && !(flags & LINUX_O_APPEND))))
		return -EPERM;
	if (flags & LINUX_O_NOATIME && !inode_owner_or_capable(i, c))
		return -EPERM;
	if (mask & MAY_WRITE && !is_special(i->mode))
		return mount_want_write(p->mnt);
	return 0;
}

/* @checked: permission was decided (a file just created). @quiet: nobody hears of it. */
static int open_it(struct task *t, const struct path *p, uint32_t flags, bool checked, bool quiet, struct file **ret)
{
	struct inode *i = p->dentry->inode;
	bool writer = (flags & LINUX_O_ACCMODE) != LINUX_O_RDONLY && LINUX_S_ISREG(i->mode);
	struct file *f = NULL;
	int err;

	if (flags & LINUX_O_PATH)
		return open_path_only(p, flags, t, ret);
	err = checked ? 0 : check_open(t, p, flags);
	if (!err && !quiet)
		err = landlock_check_open(t, p, flags);
	if (!err && LINUX_S_ISREG(i->mode))
		err = lease_break(i, t, flags);
	if (!err && !quiet)
		err = fanotify_perm(t, p, FAN_OPEN_PERM_F);
	if (err)
		return err;
	if (writer || (flags & LINUX_O_TRUNC && LINUX_S_ISREG(i->mode))) {
		err = inode_get_write(i);
		if (err)
			return err;
	}
	err = dispatch(i, p, flags & ~(LINUX_O_CREAT | LINUX_O_EXCL), t, &f);
	if (!err && flags & LINUX_O_TRUNC && LINUX_S_ISREG(i->mode)) {
		err = truncate_inode(t, i, 0, f, false);
		if (!writer)
			inode_put_write(i);
	} else if (err && !writer && flags & LINUX_O_TRUNC && LINUX_S_ISREG(i->mode)) {
		inode_put_write(i);
	}
	if (err) {
		if (writer)
			inode_put_write(i);
		file_put(f);
		return err;
	}
	if (writer)
		file_count_writer(f);
	else if (LINUX_S_ISREG(i->mode))
		file_count_reader(f);
	f->nonotify = quiet;
	fsnotify_file(f, LINUX_IN_OPEN);
	*ret = f;
	return 0;
}

static int do_open(struct task *t, const struct path *p, uint32_t flags, bool checked, struct file **ret)
{
	return open_it(t, p, flags, checked, false, ret);
}

int vfs_open_quiet(struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct inode *i = p->dentry->inode;

	if ((flags & LINUX_O_ACCMODE) != LINUX_O_RDONLY) {
		int err = inode_is_dir(i) ? -EISDIR : mount_want_write(p->mnt);

		if (err)
			return err;
	}
	return open_it(t, p, flags, true, true, ret);
}

int vfs_open(struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	return do_open(t, p, flags, false, ret);
}

int vfs_raw_open(const struct path *p, uint32_t flags, struct file **ret)
{
	return dispatch(p->dentry->inode, p, flags, NULL, ret);
}

static int open_tmpfile(struct task *t, int dfd, const char *name, uint32_t flags, uint32_t mode, uint32_t lookup, struct file **ret)
{
	struct inode_make m = { .mode = LINUX_S_IFREG | mode, .open_flags = flags };
	struct path dir _cleanup_path_ = { 0 }, p _cleanup_path_ = { 0 };
	struct posix_acl *access = NULL, *dflt = NULL;
	struct inode *di, *i = NULL;
	char tmp[32];
	int err;

	err = namei(t, dfd, name, lookup | LOOKUP_DIRECTORY | (flags & LINUX_O_NOFOLLOW ? 0 : LOOKUP_FOLLOW), &dir);
	if (err)
		return err;
	di = dir.dentry->inode;
	err = mount_want_write(dir.mnt);
	if (!err)
		err = inode_permission(di, t, vfs_cred(t), MAY_WRITE | MAY_EXEC);
	if (err)
		return err;
	if (!di->ops->tmpfile)
		return -EOPNOTSUPP;
	new_inode_owner(t, di, &m);
	mutex_lock(&di->mu);
	err = acl_inherit(di, make_umask(t), &m.mode, &access, &dflt);
	if (!err)
		err = di->ops->tmpfile(di, t, &m, &i);
	mutex_unlock(&di->mu);
	if (err) {
		acl_free(access);
		acl_free(dflt);
		return err;
	}
	acl_give(i, access, dflt);
	(void)snprintf(tmp, sizeof(tmp), "#%llu", (unsigned long long)i->ino);
	p.dentry = dentry_new(dir.dentry, tmp, strlen(tmp));
	if (!p.dentry) {
		inode_put(i);
		return -ENOMEM;
	}
	p.mnt = mount_get(dir.mnt);
	p.dentry->disconnected = true;
	p.dentry->no_link = flags & LINUX_O_EXCL;
	p.dentry->inode = i;
	err = do_open(t, &p, flags & ~LINUX_O_TMPFILE, true, ret);
	if (!err)
		(void)atomic_fetch_or(&(*ret)->flags, LINUX_O_TMPFILE); /* F_GETFL shows it */
	return err;
}

/* fs.protected_fifos and protected_regular: O_CREAT does not open somebody else's file in a sticky directory that others may write. */
static bool may_create_in_sticky(struct task *t, const struct inode *dir, const struct inode *i)
{
	const char *name = LINUX_S_ISFIFO(i->mode) ? "fs/protected_fifos" : LINUX_S_ISREG(i->mode) ? "fs/protected_regular" : NULL;
	uint64_t level;

	if (!name || !(dir->mode & LINUX_S_ISVTX) || i->uid == dir->uid || i->uid == vfs_cred(t)->fsuid)
		return true;
	level = proc_sysctl_get(name, 0);
	return !level || !(dir->mode & 02u || (dir->mode & 020u && level >= 2));
}

/* The last component of open(O_CREAT) in w->cur. 0 with *ret; 1: *@ret_text is to be walked next; 2: w->cur is the file. */
static int open_last(struct walk *w, struct parent_path *pp, uint32_t flags, uint32_t mode, struct file **ret, char **ret_text)
{
	struct task *t = w->t;
	struct dentry *dir = w->cur.dentry, *d = NULL;
	struct inode *di = dir->inode, *i;
	struct path p _cleanup_path_ = { 0 };
	bool created = false;
	int err, ro = mount_want_write(w->cur.mnt);

	mutex_lock(&di->mu);
	err = lookup_one_locked(t, dir, pp->name, pp->len, &d);
	if (!err && !d->inode) {
		struct inode_make m = { .mode = LINUX_S_IFREG | (mode & LINUX_S_IALLUGO), .open_flags = flags };

		err = pp->slash ? -EISDIR : ro;
		if (!err)
			err = landlock_check(t, &w->cur, LL_MAKE_REG);
		if (!err)
			err = may_create(t, dir);
		if (!err) {
			new_inode_owner(t, di, &m);
			err = create_locked(t, dir, d, &m);
			created = !err;
		}
	}
	mutex_unlock(&di->mu);
	if (err) {
		dentry_put(d);
		return err;
	}
	p = (struct path){ .mnt = mount_get(w->cur.mnt), .dentry = d };
	if (created) {
		/* What was just made is empty and ours: no permission check, no truncation. */
		err = do_open(t, &p, flags & ~LINUX_O_TRUNC, true, ret);
		return err;
	}
	if (flags & LINUX_O_EXCL)
		return -EEXIST;
	if (mount_follow_down(&p) && w->flags & LOOKUP_NO_XDEV)
		return -EXDEV;
	i = p.dentry->inode;
	if (LINUX_S_ISLNK(i->mode)) {
		if (flags & LINUX_O_NOFOLLOW && !pp->slash)
			return -ELOOP;
		err = walk_follow(w, &p, ret_text);
		if (err)
			return err;
		return *ret_text ? 1 : 2;
	}
	if (inode_is_dir(i))
		return -EISDIR;
	if (pp->slash)
		return -ENOTDIR;
	if (!may_create_in_sticky(t, di, i))
		return -EACCES;
	return do_open(t, &p, flags, false, ret);
}

static int open_create(struct task *t, int dfd, const char *name, uint32_t flags, uint32_t mode, uint32_t lookup, struct file **ret)
{
	struct walk w;
	char *text = NULL;
	int err;

	if (!*name)
		return -ENOENT;
	err = walk_start(&w, t, vfs_cred(t), dfd, name, lookup);
	while (!err) {
		struct parent_path pp = { 0 };

		err = walk_path(&w, text ? text : name, &pp);
		free(TAKE_PTR(text));
		if (!err && pp.type != LAST_NORM) {
			/* "/", "." and "..": directories; or a magic link ended the walk. */
			err = pp.type == LAST_ROOT && w.jumped ? 2 : flags & LINUX_O_EXCL ? -EEXIST : -EISDIR;
		} else if (!err) {
			err = inode_is_dir(w.cur.dentry->inode) ? inode_permission(w.cur.dentry->inode, t, w.c, MAY_EXEC) : -ENOTDIR;
			if (!err)
				err = open_last(&w, &pp, flags, mode, ret, &text);
			if (!err) {
				parent_path_done(&pp);
				break;
			}
		}
		parent_path_done(&pp);
		if (err == 2) {
			err = inode_is_dir(w.cur.dentry->inode) ? -EISDIR : do_open(t, &w.cur, flags, false, ret);
			break;
		}
		if (err == 1)
			err = 0;
	}
	free(text);
	walk_done(&w);
	return err;
}

int vfs_openat(struct task *t, int dfd, const char *name, uint32_t flags, uint32_t mode, uint32_t lookup, struct file **ret)
{
	struct path p _cleanup_path_ = { 0 };
	uint32_t lf = lookup;
	int err;

	mode &= LINUX_S_IALLUGO;
	if (flags & LINUX_O_PATH)
		flags &= LINUX_O_PATH | LINUX_O_DIRECTORY | LINUX_O_NOFOLLOW | LINUX_O_CLOEXEC;
	if (flags & LINUX___O_TMPFILE) {
		if ((flags & LINUX_O_TMPFILE) != LINUX_O_TMPFILE || flags & LINUX_O_CREAT ||
		    (flags & LINUX_O_ACCMODE) == LINUX_O_RDONLY)
			return -EINVAL;
		return open_tmpfile(t, dfd, name, flags, mode, lookup, ret);
	}
	if (flags & LINUX_O_CREAT) {
		if (flags & LINUX_O_DIRECTORY)
			return -EINVAL;
		return open_create(t, dfd, name, flags, mode, lookup, ret);
	}
	if (!(flags & LINUX_O_NOFOLLOW))
		lf |= LOOKUP_FOLLOW;
	if (flags & LINUX_O_DIRECTORY)
		lf |= LOOKUP_DIRECTORY;
	err = namei(t, dfd, name, lf, &p);
	return err ? err : do_open(t, &p, flags, false, ret);
}

int vfs_open_exec(struct task *t, int dfd, const char *name, uint32_t atflags, struct file **ret)
{
	struct path p _cleanup_path_ = { 0 };
	struct file *f = NULL;
	struct inode *i;
	int err;

	if (atflags & ~(uint32_t)(LINUX_AT_EMPTY_PATH | LINUX_AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	err = namei(t, dfd, name, (atflags & LINUX_AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
					  (atflags & LINUX_AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
	if (err)
		return err;
	i = p.dentry->inode;
	if (LINUX_S_ISLNK(i->mode))
		return -ELOOP;
	if (!LINUX_S_ISREG(i->mode) || mount_noexec(p.mnt))
		return -EACCES;
	err = inode_permission(i, t, vfs_cred(t), MAY_EXEC);
	if (err)
		return err;
	err = landlock_check(t, &p, LL_EXECUTE | LL_READ_FILE);
	if (err)
		return err;
	err = fanotify_perm(t, &p, FAN_OPEN_EXEC_PERM_F);
	if (!err)
		err = fanotify_perm(t, &p, FAN_OPEN_PERM_F);
	if (err)
		return err;
	/* Reading it is the kernel's business: execute permission is enough. */
	err = dispatch(i, &p, LINUX_O_RDONLY, t, &f);
	if (err)
		return err;
	err = inode_deny_write(i);
	if (err) {
		file_put(f);
		return err;
	}
	f->exec_denied = true;
	fsnotify_file(f, LINUX_IN_OPEN | FAN_OPEN_EXEC_F);
	*ret = f;
	return 0;
}

void exec_file_done(struct file *f)
{
	if (f->exec_denied) {
		f->exec_denied = false;
		inode_allow_write(f->inode);
	}
}

int64_t file_pread_kernel(struct file *f, struct task *t, void *buf, size_t n, int64_t off)
{
	size_t done = 0;

	while (done < n) {
		struct uio u;
		int64_t pos = off + (int64_t)done, r;

		uio_kernel(&u, (char *)buf + done, n - done);
		r = f->ops->read ? f->ops->read(f, t, &u, &pos, 0) : -EINVAL;
		uio_done(&u);
		if (r < 0)
			return done ? (int64_t)done : r;
		if (!r)
			break;
		done += (size_t)r;
	}
	return (int64_t)done;
}

int open_how_check(const struct linux_open_how *how, uint32_t *ret_lookup)
{
	uint32_t lookup = 0;

	if (how->flags & ~(uint64_t)VALID_OPEN_FLAGS || how->resolve & ~0x3fULL)
		return -EINVAL;
	if (how->flags & (LINUX_O_CREAT | LINUX___O_TMPFILE) ? how->mode & ~(uint64_t)LINUX_S_IALLUGO : how->mode != 0)
		return -EINVAL;
	if (how->resolve & LINUX_RESOLVE_BENEATH && how->resolve & LINUX_RESOLVE_IN_ROOT)
		return -EINVAL;
	if (how->flags & LINUX_O_PATH && how->flags & ~(uint64_t)(LINUX_O_DIRECTORY | LINUX_O_NOFOLLOW | LINUX_O_PATH | LINUX_O_CLOEXEC))
		return -EINVAL;
	if (how->resolve & LINUX_RESOLVE_CACHED) {
		if (how->flags & (LINUX_O_TRUNC | LINUX_O_CREAT | LINUX___O_TMPFILE))
			return -EAGAIN;
		lookup |= LOOKUP_CACHED;
	}
	if (how->resolve & LINUX_RESOLVE_NO_XDEV)
		lookup |= LOOKUP_NO_XDEV;
	if (how->resolve & LINUX_RESOLVE_NO_MAGICLINKS)
		lookup |= LOOKUP_NO_MAGICLINKS;
	if (how->resolve & LINUX_RESOLVE_NO_SYMLINKS)
		lookup |= LOOKUP_NO_SYMLINKS | LOOKUP_NO_MAGICLINKS;
	if (how->resolve & LINUX_RESOLVE_BENEATH)
		lookup |= LOOKUP_BENEATH;
	if (how->resolve & LINUX_RESOLVE_IN_ROOT)
		lookup |= LOOKUP_IN_ROOT;
	*ret_lookup = lookup;
	return 0;
}
