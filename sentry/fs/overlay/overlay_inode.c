/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes of the overlay: life, attributes, extended attributes, links.
 *
 * An inode is one file whatever its content's layer, so its number, locks, marks and mappings never change. Those of lower files are found by
 * the lower inode; once they differ from it they are pinned there until their last name is gone, since the lower layer still leads to them.
 * Locks: overlay_internal.h. Checkpoint: overlay_state.c. Linux: fs/overlayfs/inode.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/overlay/overlay_internal.h"
#include "state/state.h"

static uint64_t key_of(const struct inode *lower)
{
	return (uint64_t)(uintptr_t)lower;
}

const struct inode_ops *ovl_ops_for(uint32_t mode)
{
	switch (mode & LINUX_S_IFMT) {
	case LINUX_S_IFREG:
		return &ovl_reg_ops;
	case LINUX_S_IFDIR:
		return &ovl_dir_ops;
	case LINUX_S_IFLNK:
		return &ovl_link_ops;
	default:
		return &ovl_special_ops;
	}
}

void ovl_inode_setup(struct ovl_inode *oi)
{
	mutex_init(&oi->up_mu, "overlay.up_mu");
	mutex_init(&oi->seek_mu, "overlay.seek_mu");
	list_init(&oi->names);
	mappable_init(&oi->map, &ovl_map_ops);
}

int ovl_inode_new(struct ovl_sb *s, const struct inode_make *m, struct inode **ret)
{
	struct ovl_inode *oi = calloc(1, sizeof(*oi));
	struct inode *up;
	int err = 0;

	if (oi && m->target)
		oi->target = strdup(m->target);
	if (!oi || (m->target && !oi->target)) {
		free(oi);
		return -ENOMEM;
	}
	inode_init(&oi->i, ovl_ops_for(m->mode), &s->sb, 0, m->mode, m->uid, m->gid);
	ovl_inode_setup(oi);
	oi->i.rdev = m->rdev;
	if (m->target)
		oi->i.size = strlen(m->target);
	if (LINUX_S_ISDIR(m->mode)) {
		oi->i.nlink = 2;
		oi->i.size = PAGE_SIZE;
	}
	if (LINUX_S_ISREG(m->mode)) {
		oi->i.mapping = &oi->map;
		err = ovl_upper(oi, NULL, &up);
	}
	if (err) {
		inode_put(&oi->i);
		return err;
	}
	*ret = &oi->i;
	return 0;
}

static struct ovl_inode *find_lower(struct ovl_sb *s, const struct inode *li)
{
	struct ovl_inode *oi;

	mutex_guard(&s->table_mu);
	oi = htab_get(&s->by_lower, key_of(li));
	return oi && ref_tryget(&oi->i.ref) ? oi : NULL;
}

static struct ovl_inode *inode_of_lower(struct ovl_sb *s, struct dentry *ld, const struct kstat *st)
{
	struct ovl_inode *oi = calloc(1, sizeof(*oi));

	if (!oi)
		return NULL;
	inode_init(&oi->i, ovl_ops_for(st->mode), &s->sb, st->ino, st->mode, st->uid, st->gid);
	ovl_inode_setup(oi);
	oi->i.nlink = (uint32_t)MIN(st->nlink, (uint64_t)UINT32_MAX);
	oi->i.size = st->size;
	oi->i.rdev = st->rdev;
	oi->i.atime = st->atime;
	oi->i.mtime = st->mtime;
	oi->i.ctime = st->ctime;
	oi->i.btime = st->has_btime ? st->btime : (struct linux_timespec){ 0 };
	oi->lower = ld;
	if (LINUX_S_ISREG(st->mode)) {
		oi->i.mapping = &oi->map;
		atomic_store(&oi->data, ld->inode);
	}
	return oi;
}

int ovl_inode_lower(struct ovl_sb *s, struct task *t, struct dentry *ld, struct inode **ret)
{
	struct inode *li = ld->inode;
	struct ovl_inode *oi = find_lower(s, li), *old;
	struct kstat st;
	int err;

	if (oi) {
		dentry_put(ld);
		*ret = &oi->i;
		return 0;
	}
	err = inode_getattr(li, t, &st);
	if (err) {
		dentry_put(ld);
		return err;
	}
	oi = inode_of_lower(s, ld, &st);
	if (!oi) {
		dentry_put(ld);
		return -ENOMEM;
	}
	mutex_lock(&s->table_mu);
	old = htab_get(&s->by_lower, key_of(li));
	if (old && !ref_tryget(&old->i.ref))
		old = NULL;
	if (!old)
		err = htab_put(&s->by_lower, key_of(li), oi);
	mutex_unlock(&s->table_mu);
	if (old || err)
		inode_put(&oi->i);
	else
		old = oi;
	if (!err)
		*ret = &old->i;
	return err;
}

void ovl_pin(struct ovl_inode *oi)
{
	struct ovl_sb *s = ovl_s(oi->i.sb);

	if (!oi->lower || !oi->i.nlink)
		return;
	mutex_guard(&s->table_mu);
	if (!oi->pinned) {
		oi->pinned = true;
		(void)inode_get(&oi->i);
	}
}

void ovl_unpin(struct ovl_inode *oi)
{
	struct ovl_sb *s = ovl_s(oi->i.sb);
	bool was;

	if (!oi->lower)
		return;
	mutex_lock(&s->table_mu);
	was = oi->pinned;
	oi->pinned = false;
	mutex_unlock(&s->table_mu);
	if (was)
		inode_put(&oi->i);
}

void ovl_links(struct ovl_inode *oi, int delta)
{
	inode_set_nlink(&oi->i, delta);
	if (oi->i.nlink)
		ovl_pin(oi);
	else
		ovl_unpin(oi);
}

static void ovl_evict(struct inode *i)
{
	struct ovl_inode *oi = ovl_i(i);
	struct ovl_sb *s = ovl_s(i->sb);

	if (oi->lower) {
		mutex_lock(&s->table_mu);
		if (htab_get(&s->by_lower, key_of(oi->lower->inode)) == oi)
			(void)htab_del(&s->by_lower, key_of(oi->lower->inode));
		mutex_unlock(&s->table_mu);
	}
	ovl_names_done(oi);
	file_put(atomic_load(&oi->real));
	file_put(oi->real_lower);
	inode_put(oi->upper);
	dentry_put(oi->lower);
	free(oi->target);
	mutex_destroy(&oi->up_mu);
	mutex_destroy(&oi->seek_mu);
	mutex_destroy(&oi->map.mu);
	inode_done(i);
	free(oi);
}

/* --- attributes --- */

static int ovl_setattr(struct inode *i, struct task *t, const struct iattr *a)
{
	struct ovl_inode *oi = ovl_i(i);

	if (a->valid & ATTR_SIZE) {
		struct iattr s = { .valid = ATTR_SIZE, .size = a->size };
		bool shrinks = a->size < i->size;
		int err;

		if (!LINUX_S_ISREG(i->mode))
			return -EINVAL;
		err = ovl_data_up(oi, t, a->size);
		if (!err)
			err = vfs_raw_setattr(oi->upper, &s);
		if (err)
			return err;
		inode_setattr_simple(i, a);
		if (shrinks)
			mappable_invalidate(&oi->map, ALIGN_UP(a->size, PAGE_SIZE), INT64_MAX, true);
	} else {
		inode_setattr_simple(i, a);
	}
	ovl_pin(oi);
	return 0;
}

static int ovl_getattr(struct inode *i, struct task *t, struct kstat *ret)
{
	struct ovl_inode *oi = ovl_i(i);
	struct inode *layer = LINUX_S_ISREG(i->mode) ? atomic_load(&oi->data) : ovl_lower(oi);
	struct kstat st;
	int err = 0;

	if (layer)
		err = inode_getattr(layer, t, &st);
	if (err)
		return err;
	inode_fill_kstat(i, ret);
	if (layer)
		ret->blocks = st.blocks;
	ret->has_btime = i->btime.tv_sec != 0;
	return 0;
}

static int ovl_readlink(struct inode *i, struct task *t, char **ret)
{
	struct ovl_inode *oi = ovl_i(i);

	if (!oi->target)
		return ovl_lower(oi)->ops->readlink(ovl_lower(oi), t, ret);
	*ret = strdup(oi->target);
	return *ret ? 0 : -ENOMEM;
}

/* --- extended attributes --- */

/* Who stores them; NULL: there are none. */
static struct inode *xattr_layer(struct ovl_inode *oi)
{
	struct inode *up = __atomic_load_n(&oi->upper, __ATOMIC_ACQUIRE);

	return up ? up : ovl_lower(oi);
}

static int64_t ovl_getxattr(struct inode *i, struct task *t, const char *name, void *buf, size_t size)
{
	struct inode *l = xattr_layer(ovl_i(i));

	if (!l)
		return strncmp(name, "user.", 5) && strncmp(name, "trusted.", 8) && strncmp(name, "security.", 9) ? -EOPNOTSUPP : -ENODATA;
	return l->ops->getxattr ? l->ops->getxattr(l, t, name, buf, size) : -EOPNOTSUPP;
}

static int64_t ovl_listxattr(struct inode *i, struct task *t, char *buf, size_t size)
{
	struct inode *l = xattr_layer(ovl_i(i));
	int64_t n = l && l->ops->listxattr ? l->ops->listxattr(l, t, buf, size) : 0;

	return n == -EOPNOTSUPP ? 0 : n;
}

static int ovl_setxattr(struct inode *i, struct task *t, const char *name, const void *val, size_t size, int flags)
{
	struct ovl_inode *oi = ovl_i(i);
	struct inode *up;
	int err = ovl_upper(oi, t, &up);

	if (err)
		return err;
	mutex_lock(&up->mu);
	err = up->ops->setxattr(up, t, name, val, size, flags);
	mutex_unlock(&up->mu);
	if (!err)
		inode_touch(i, false, true);
	ovl_pin(oi);
	return err;
}

static int ovl_removexattr(struct inode *i, struct task *t, const char *name)
{
	struct ovl_inode *oi = ovl_i(i);
	struct inode *up;
	int err = ovl_upper(oi, t, &up);

	if (err)
		return err;
	mutex_lock(&up->mu);
	err = up->ops->removexattr(up, t, name);
	mutex_unlock(&up->mu);
	if (!err)
		inode_touch(i, false, true);
	ovl_pin(oi);
	return err;
}

#define COMMON                                                                                                              \
	.name = "overlay", .mu_class = "overlay.file", .state = &overlay_inode_state_type, .evict = ovl_evict,              \
	.setattr = ovl_setattr, .getattr = ovl_getattr, .getxattr = ovl_getxattr, .listxattr = ovl_listxattr,               \
	.setxattr = ovl_setxattr, .removexattr = ovl_removexattr

const struct inode_ops ovl_reg_ops = { COMMON, .open = ovl_file_open };
const struct inode_ops ovl_link_ops = { COMMON, .readlink = ovl_readlink };
const struct inode_ops ovl_special_ops = { COMMON };
const struct inode_ops ovl_dir_ops = {
	COMMON,
	.lookup = ovl_lookup,
	.create = ovl_create,
	.link = ovl_link,
	.unlink = ovl_unlink,
	.rmdir = ovl_rmdir,
	.rename = ovl_rename,
	.tmpfile = ovl_tmpfile,
	.open = ovl_dir_open,
};
