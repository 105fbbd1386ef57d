/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: a directory's own entries first, then its lower directory's.
 *
 * Nothing is copied to make, move or remove a name: a moved lower file or directory is an entry in the new place that refers to the same
 * inode (whose lower dentry is the "redirect" of Linux) and a whiteout in the old one. A directory made here has no lower one, hence is opaque.
 * Every operation reserves its entries first, so that nothing fails half way.
 * Locks: i.mu of the directories, by the caller. Linux: fs/overlayfs/{namei,dir}.c.
 */
#include "sentry/fs/overlay/overlay_internal.h"

int ovl_lookup(struct inode *dir, struct task *t, struct dentry *d, struct inode **ret)
{
	struct ovl_inode *od = ovl_i(dir);
	struct ovl_name *n = ovl_name_find(od, d->name, d->name_len);
	struct dentry *ld = NULL;
	int err;

	*ret = NULL;
	if (n && (n->inode || n->whiteout)) {
		*ret = n->inode ? inode_get(n->inode) : NULL;
		return 0;
	}
	if (!od->lower)
		return 0;
	err = lookup_one(t, od->lower, d->name, d->name_len, &ld);
	if (err || !ld->inode) {
		dentry_put(ld);
		return err;
	}
	return ovl_inode_lower(ovl_s(dir->sb), t, ld, ret);
}

/* 1: the lower directory has that name. */
static int lower_has(struct ovl_inode *dir, struct task *t, struct dentry *d)
{
	struct dentry *ld = NULL;
	int r;

	if (!dir->lower)
		return 0;
	r = lookup_one(t, dir->lower, d->name, d->name_len, &ld);
	if (!r)
		r = ld->inode != NULL;
	dentry_put(ld);
	return r;
}

/* A number of 1 means that the layer below does not count. */
static void changed(struct ovl_inode *dir, int links)
{
	if (links && dir->i.nlink != 1)
		inode_set_nlink(&dir->i, links);
	inode_touch(&dir->i, true, true);
	ovl_pin(dir);
}

static void gone(struct inode *i)
{
	struct ovl_inode *oi = ovl_i(i);

	if (inode_is_dir(i)) {
		mutex_lock(&i->attr_mu);
		i->nlink = 0;
		mutex_unlock(&i->attr_mu);
		ovl_unpin(oi);
	} else {
		ovl_links(oi, -1);
	}
	inode_touch(i, false, true);
}

/* Reserves what taking the name away needs: *@ret NULL: nothing but the entry that exists, if any. */
static int reserve_removal(struct ovl_inode *dir, struct task *t, struct dentry *d, bool *ret_whiteout)
{
	struct ovl_name *n;
	int r = lower_has(dir, t, d);

	if (r < 0)
		return r;
	*ret_whiteout = r;
	return ovl_name_reserve(dir, d->name, d->name_len, &n);
}

static void remove_entry(struct ovl_inode *dir, struct dentry *d, bool whiteout)
{
	struct ovl_name *n = ovl_name_find(dir, d->name, d->name_len);

	if (whiteout)
		ovl_name_set(n, NULL);
	else
		ovl_name_drop(dir, n);
}

int ovl_create(struct inode *dir, struct task *t, struct dentry *d, const struct inode_make *m, struct inode **ret)
{
	struct ovl_inode *od = ovl_i(dir);
	struct ovl_name *n;
	int err;

	if (od->dead)
		return -ENOENT;
	err = ovl_name_reserve(od, d->name, d->name_len, &n);
	if (!err)
		err = ovl_inode_new(ovl_s(dir->sb), m, ret);
	if (err)
		return err;
	ovl_name_set(n, *ret);
	changed(od, LINUX_S_ISDIR(m->mode) ? 1 : 0);
	return 0;
}

int ovl_tmpfile(struct inode *dir, struct task *t, const struct inode_make *m, struct inode **ret)
{
	int err = ovl_inode_new(ovl_s(dir->sb), m, ret);

	if (!err)
		(*ret)->nlink = 0;
	return err;
}

int ovl_link(struct inode *dir, struct task *t, struct dentry *d, struct inode *i)
{
	struct ovl_inode *od = ovl_i(dir);
	struct ovl_name *n;
	int err;

	if (od->dead)
		return -ENOENT;
	err = ovl_name_reserve(od, d->name, d->name_len, &n);
	if (err)
		return err;
	ovl_name_set(n, i);
	ovl_links(ovl_i(i), 1);
	inode_touch(i, false, true);
	changed(od, 0);
	return 0;
}

int ovl_unlink(struct inode *dir, struct task *t, struct dentry *d)
{
	struct ovl_inode *od = ovl_i(dir);
	bool whiteout;
	int err = reserve_removal(od, t, d, &whiteout);

	if (err)
		return err;
	remove_entry(od, d, whiteout);
	gone(d->inode);
	changed(od, 0);
	return 0;
}

int ovl_rmdir(struct inode *dir, struct task *t, struct dentry *d)
{
	struct ovl_inode *od = ovl_i(dir), *victim = ovl_i(d->inode);
	bool whiteout;
	int err = ovl_check_empty(victim, t);

	if (!err)
		err = reserve_removal(od, t, d, &whiteout);
	if (err)
		return err;
	remove_entry(od, d, whiteout);
	victim->dead = true;
	gone(d->inode);
	changed(od, -1);
	return 0;
}

static int exchange(struct ovl_inode *odir, struct dentry *od, struct ovl_inode *ndir, struct dentry *nd)
{
	int odirs = inode_is_dir(od->inode), ndirs = inode_is_dir(nd->inode);
	struct ovl_name *a, *b;
	int err = ovl_name_reserve(odir, od->name, od->name_len, &a);

	if (!err)
		err = ovl_name_reserve(ndir, nd->name, nd->name_len, &b);
	if (err)
		return err;
	ovl_name_set(a, nd->inode);
	ovl_name_set(b, od->inode);
	changed(odir, odir == ndir ? 0 : ndirs - odirs);
	changed(ndir, odir == ndir ? 0 : odirs - ndirs);
	inode_touch(od->inode, false, true);
	inode_touch(nd->inode, false, true);
	return 0;
}

static int kill_dir(struct inode *i, struct task *t)
{
	int err;

	mutex_lock_nested(&i->mu);
	err = ovl_check_empty(ovl_i(i), t);
	if (!err)
		ovl_i(i)->dead = true;
	mutex_unlock(&i->mu);
	return err;
}

int ovl_rename(struct inode *odir, struct task *t, struct dentry *od, struct inode *ndir, struct dentry *nd, uint32_t flags)
{
	struct ovl_inode *from = ovl_i(odir), *to = ovl_i(ndir);
	int odirs = inode_is_dir(od->inode), ndirs = nd->inode && inode_is_dir(nd->inode);
	struct ovl_name *n;
	bool whiteout;
	int err;

	if (flags & ~(uint32_t)(LINUX_RENAME_NOREPLACE | LINUX_RENAME_EXCHANGE))
		return -EINVAL;
	if (from->dead || to->dead)
		return -ENOENT;
	if (flags & LINUX_RENAME_EXCHANGE)
		return exchange(from, od, to, nd);
	err = reserve_removal(from, t, od, &whiteout);
	if (!err)
		err = ovl_name_reserve(to, nd->name, nd->name_len, &n);
	if (!err && ndirs)
		err = kill_dir(nd->inode, t);
	if (err)
		return err;
	if (nd->inode)
		gone(nd->inode);
	ovl_name_set(n, od->inode);
	remove_entry(from, od, whiteout);
	changed(from, from == to ? -ndirs : -odirs);
	if (from != to)
		changed(to, odirs - ndirs);
	inode_touch(od->inode, false, true);
	ovl_pin(ovl_i(od->inode));
	return 0;
}
