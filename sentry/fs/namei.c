/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path walker. Contract in namei.h.
 *
 * A walk owns references on its root and on where it is; each component replaces the latter. Symlink targets are spliced in front of what
 * is left of the name, so there is no recursion. RESOLVE_BENEATH and IN_ROOT make the base the root of the walk.
 * Linux: fs/namei.c, link_path_walk().
 */
#include "sentry/fs/namei.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/namei_internal.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/task.h"

/* --- one name --- */

/* A cached child that its file system still vouches for: 1 found, 0 not, or an error. */
static int lookup_fast(struct task *t, struct dentry *dir, const char *name, size_t len, struct dentry **ret)
{
	struct dentry *d = dentry_cached_child(dir, name, len);
	int r = 1;

	if (!d)
		return 0;
	if (dir->sb->ops->d_revalidate) {
		r = dir->sb->ops->d_revalidate(d, t);
		if (r == 0 && !atomic_load(&d->nr_mounted)) {
			dcache_prune(d);
			dentry_unhash(d);
		} else if (r == 0) {
			r = 1; /* a mount keeps its place even when the file below went away */
		}
	}
	if (r != 1) {
		dentry_put(d);
		return r;
	}
	*ret = d;
	return 1;
}

int lookup_one_locked(struct task *t, struct dentry *dir, const char *name, size_t len, struct dentry **ret)
{
	struct inode *di = dir->inode, *found = NULL;
	struct dentry *d;
	int r = lookup_fast(t, dir, name, len, ret);

	if (r)
		return r < 0 ? r : 0;
	if (len > LINUX_NAME_MAX)
		return -ENAMETOOLONG;
	d = dentry_new(dir, name, len);
	if (!d)
		return -ENOMEM;
	if (di->ops->lookup) {
		r = di->ops->lookup(di, t, d, &found);
		if (r) {
			dentry_put(d);
			return r;
		}
		if (found || !(d->sb->flags & SB_NO_NEGATIVE))
			dentry_add(d, found);
	}
	*ret = d;
	return 0;
}

/* Without asking the file system, nor whether what is cached is still right. */
static int lookup_cached(struct dentry *dir, const char *name, size_t len, struct dentry **ret)
{
	if (!dir->inode->ops->lookup)
		return lookup_one(NULL, dir, name, len, ret); /* the tree is all there is */
	*ret = dir->sb->ops->d_revalidate ? NULL : dentry_cached_child(dir, name, len);
	return *ret ? 0 : -EAGAIN;
}

int lookup_one(struct task *t, struct dentry *dir, const char *name, size_t len, struct dentry **ret)
{
	struct inode *di = dir->inode;
	int r = lookup_fast(t, dir, name, len, ret);

	if (r)
		return r < 0 ? r : 0;
	mutex_lock_nested(&di->mu);
	r = lookup_one_locked(t, dir, name, len, ret);
	mutex_unlock(&di->mu);
	return r;
}

/* --- the walk --- */

int walk_start(struct walk *w, struct task *t, const struct cred *c, int dfd, const char *name, uint32_t flags)
{
	*w = (struct walk){ .t = t, .c = c, .flags = flags };
	if (!t || !t->fs)
		return -ENOENT;
	if (*name == '/' && !(flags & (LOOKUP_IN_ROOT | LOOKUP_BENEATH))) {
		fs_ctx_root(t->fs, &w->root);
		w->cur = w->root;
		path_get(&w->cur);
		return 0;
	}
	if (dfd == LINUX_AT_FDCWD) {
		fs_ctx_cwd(t->fs, &w->cur);
	} else {
		struct file *f = fd_get_raw(t, dfd);
		int err = 0;

		if (!f)
			return -EBADF;
		if (*name && !inode_is_dir(f->inode)) {
			err = -ENOTDIR;
		} else if (f->path.dentry) {
			w->cur = f->path;
			path_get(&w->cur);
		} else {
			err = anon_inode_path(f->inode, f->ops->name, &w->cur);
		}
		file_put(f);
		if (err)
			return err;
	}
	if (flags & (LOOKUP_IN_ROOT | LOOKUP_BENEATH)) {
		w->root = w->cur;
		path_get(&w->root);
	} else {
		fs_ctx_root(t->fs, &w->root);
	}
	return 0;
}

void walk_start_at(struct walk *w, struct task *t, const struct path *root, const struct path *base, uint32_t flags)
{
	*w = (struct walk){ .t = t, .c = vfs_cred(t), .flags = flags, .root = *root, .cur = *base };
	path_get(&w->root);
	path_get(&w->cur);
}

void walk_done(struct walk *w)
{
	path_put(&w->root);
	path_put(&w->cur);
}

static void walk_set(struct walk *w, struct path *p) /* consumes the references */
{
	path_put(&w->cur);
	w->cur = *p;
}

static int walk_to_root(struct walk *w)
{
	struct path p = w->root;

	if (w->flags & LOOKUP_BENEATH)
		return -EXDEV;
	if (w->flags & LOOKUP_NO_XDEV && w->cur.mnt != w->root.mnt)
		return -EXDEV;
	path_get(&p);
	walk_set(w, &p);
	return 0;
}

static int cross_down(struct walk *w, struct path *p)
{
	struct mount *before = p->mnt;

	if (mount_follow_down(p) && w->flags & LOOKUP_NO_XDEV && p->mnt != before)
		return -EXDEV;
	return 0;
}

static int walk_dotdot(struct walk *w)
{
	for (;;) {
		struct dentry *parent;

		if (path_equal(&w->cur, &w->root))
			return w->flags & LOOKUP_BENEATH ? -EXDEV : 0;
		if (w->cur.dentry == w->cur.mnt->root) {
			if (!mount_follow_up(&w->cur))
				return 0;
			if (w->flags & LOOKUP_NO_XDEV)
				return -EXDEV;
			continue;
		}
		parent = dentry_parent_get(w->cur.dentry);
		/* A directory that was moved out of a bind mount must not lead to what lies beside it. */
		if (!dentry_is_ancestor(w->cur.mnt->root, parent)) {
			dentry_put(parent);
			return -ENOENT;
		}
		dentry_put(w->cur.dentry);
		w->cur.dentry = parent;
		return cross_down(w, &w->cur);
	}
}

/* fs.protected_symlinks: in a sticky directory that all may write, only links of the follower or of the directory's owner. */
static bool may_follow(const struct walk *w, const struct inode *link)
{
	const struct inode *dir = w->cur.dentry->inode;

	if ((dir->mode & (LINUX_S_ISVTX | 02u)) != (LINUX_S_ISVTX | 02u) || link->uid == w->c->fsuid || link->uid == dir->uid)
		return true;
	return !proc_sysctl_get("fs/protected_symlinks", 0);
}

/* Target of symlink @p in front of what is left. On success *@buf is replaced (text to go on with), or NULL for a magic link, which has
 * been gone to. */
static int follow_link(struct walk *w, const struct path *p, const char *rest, char **ret)
{
	struct inode *i = p->dentry->inode;
	char *target = NULL, *text;
	size_t tl, rl = strlen(rest);
	int err;

	*ret = NULL;
	if (++w->links > LINUX_SYMLINK_MAX || w->flags & LOOKUP_NO_SYMLINKS)
		return -ELOOP;
	if (!may_follow(w, i))
		return -EACCES;
	if (p->mnt->flags & LINUX_MS_NOSYMFOLLOW)
		return -ELOOP;
	inode_accessed(i, p->mnt, 0);
	if (i->ops->get_link) {
		struct path to = { 0 };

		if (w->flags & LOOKUP_NO_MAGICLINKS)
			return -ELOOP;
		err = i->ops->get_link(i, w->t, &to);
		if (err == 0) {
			if (w->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT | LOOKUP_NO_XDEV) && to.mnt != w->cur.mnt)
				err = -EXDEV;
			else if (w->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT))
				err = -EXDEV;
			if (err) {
				path_put(&to);
				return err;
			}
			walk_set(w, &to);
			w->jumped = true;
			return 0;
		}
		if (err != -EOPNOTSUPP) /* the link turns out to be an ordinary one */
			return err;
	}
	if (!i->ops->readlink)
		return -EINVAL;
	err = i->ops->readlink(i, w->t, &target);
	if (err)
		return err;
	tl = strlen(target);
	if (!tl) {
		free(target);
		return -ENOENT;
	}
	text = malloc(tl + rl + 2);
	if (!text) {
		free(target);
		return -ENOMEM;
	}
	memcpy(text, target, tl);
	memcpy(text + tl, rest, rl + 1);
	free(target);
	if (*text == '/') {
		err = walk_to_root(w);
		if (err) {
			free(text);
			return err;
		}
	}
	*ret = text;
	return 0;
}

int walk_follow(struct walk *w, const struct path *link, char **ret)
{
	return follow_link(w, link, "", ret);
}

static int must_be_dir(const struct path *p)
{
	struct inode *i = p->dentry->inode;

	return i && inode_is_dir(i) ? 0 : -ENOTDIR;
}

/* Takes one step to child @name of the current directory. *@linkp is set (referenced) instead when it is a symlink to follow. */
static int step(struct walk *w, const char *name, size_t len, bool last, bool slash, struct path *link)
{
	struct path next = { 0 };
	struct dentry *d = NULL;
	struct inode *i;
	int err = w->flags & LOOKUP_CACHED ? lookup_cached(w->cur.dentry, name, len, &d) : lookup_one(w->t, w->cur.dentry, name, len, &d);

	if (err)
		return err;
	i = d->inode;
	if (!i) {
		dentry_put(d);
		return -ENOENT;
	}
	next = (struct path){ .mnt = mount_get(w->cur.mnt), .dentry = d };
	if (!(last && w->flags & LOOKUP_NOMOUNT)) {
		err = cross_down(w, &next);
		if (err) {
			path_put(&next);
			return err;
		}
		i = next.dentry->inode;
	}
	if (LINUX_S_ISLNK(i->mode) && (!last || slash || w->flags & LOOKUP_FOLLOW)) {
		*link = next;
		return 0;
	}
	walk_set(w, &next);
	return 0;
}

int walk_path(struct walk *w, const char *name, struct parent_path *pp)
{
	char *buf = strdup(name), *p = buf;
	bool slash = false;
	int err = 0;

	if (!buf)
		return -ENOMEM;
	if (*p == '/')
		err = walk_to_root(w);
	while (!err) {
		struct path link = { 0 };
		const char *comp;
		size_t len;
		bool last;
		char *rest;

		while (*p == '/')
			p++;
		if (!*p) {
			if (pp)
				pp->type = LAST_ROOT; /* only slashes, or a magic link at the end */
			break;
		}
		comp = p;
		len = strcspn(p, "/");
		if (len > LINUX_NAME_MAX) {
			err = -ENAMETOOLONG;
			break;
		}
		p += len;
		rest = p;
		slash = *p == '/';
		while (*p == '/')
			p++;
		last = !*p;
		err = must_be_dir(&w->cur);
		if (!err)
			err = inode_permission(w->cur.dentry->inode, w->t, w->c, MAY_EXEC);
		if (err)
			break;
		if (last && pp) {
			pp->type = len == 1 && comp[0] == '.'			 ? LAST_DOT :
				   len == 2 && comp[0] == '.' && comp[1] == '.' ? LAST_DOTDOT :
										  LAST_NORM;
			pp->slash = slash;
			pp->name = strndup(comp, len);
			pp->len = len;
			err = pp->name ? 0 : -ENOMEM;
			break;
		}
		w->jumped = false;
		if (len == 1 && comp[0] == '.')
			continue;
		if (len == 2 && comp[0] == '.' && comp[1] == '.') {
			err = walk_dotdot(w);
			continue;
		}
		err = step(w, comp, len, last, slash, &link);
		if (!err && link.dentry) {
			char *text = NULL;

			err = follow_link(w, &link, rest, &text);
			path_put(&link);
			if (text) {
				free(buf);
				buf = p = text;
			}
		}
	}
	if (!err && !pp && (slash || w->flags & LOOKUP_DIRECTORY))
		err = must_be_dir(&w->cur);
	free(buf);
	return err;
}

/* --- entry points --- */

static int finish(struct walk *w, int err, struct path *ret)
{
	if (!err) {
		*ret = w->cur;
		w->cur = (struct path){ 0 };
	}
	walk_done(w);
	return err;
}

int namei_cred(struct task *t, const struct cred *c, int dfd, const char *name, uint32_t flags, struct path *ret)
{
	struct walk w;
	int err;

	if (!*name && !(flags & LOOKUP_EMPTY))
		return -ENOENT;
	err = walk_start(&w, t, c, dfd, name, flags);
	if (!err && *name)
		err = walk_path(&w, name, NULL);
	else if (!err && flags & LOOKUP_DIRECTORY)
		err = must_be_dir(&w.cur);
	return finish(&w, err, ret);
}

int namei(struct task *t, int dfd, const char *name, uint32_t flags, struct path *ret)
{
	return namei_cred(t, vfs_cred(t), dfd, name, flags, ret);
}

int namei_at(struct task *t, const struct path *root, const struct path *base, const char *name, uint32_t flags, struct path *ret)
{
	struct walk w;

	if (!*name && !(flags & LOOKUP_EMPTY))
		return -ENOENT;
	walk_start_at(&w, t, root, base, flags);
	return finish(&w, walk_path(&w, name, NULL), ret);
}

int namei_user(struct task *t, int dfd, gaddr_t name, uint32_t flags, struct path *ret)
{
	char *s _cleanup_free_ = NULL;
	int err = copy_in_path(t, name, &s);

	return err ? err : namei(t, dfd, s, flags, ret);
}

void parent_path_done(struct parent_path *p)
{
	path_put(&p->dir);
	free(p->name);
	p->name = NULL;
}

static int finish_parent(struct walk *w, int err, struct parent_path *ret)
{
	err = finish(w, err, &ret->dir);
	if (err)
		parent_path_done(ret);
	return err;
}

int namei_parent(struct task *t, int dfd, const char *name, uint32_t flags, struct parent_path *ret)
{
	struct walk w;
	int err;

	*ret = (struct parent_path){ 0 };
	if (!*name)
		return -ENOENT;
	err = walk_start(&w, t, vfs_cred(t), dfd, name, flags);
	if (!err)
		err = walk_path(&w, name, ret);
	return finish_parent(&w, err, ret);
}

int namei_parent_at(struct task *t, const struct path *root, const struct path *base, const char *name, uint32_t flags,
		    struct parent_path *ret)
{
	struct walk w;

	*ret = (struct parent_path){ 0 };
	if (!*name)
		return -ENOENT;
	walk_start_at(&w, t, root, base, flags);
	return finish_parent(&w, walk_path(&w, name, ret), ret);
}
