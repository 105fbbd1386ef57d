/* SPDX-License-Identifier: Apache-2.0 */
/*
 * goferfs: files outside the sandbox, reached over 9P. Super blocks, inodes and names; data is in gofer_file.c.
 *
 * Every inode owns one fid, got when needed (gofer_fid()) if a listing told of it. Inodes are found by the gofer's file number, so that hard links share one. With `exclusive` nobody else
 * changes the files: names and attributes are cached for ever; else names are looked up again (d_revalidate) and attributes asked for.
 * Files bigger than the message size are read and written through donated host descriptors.
 *
 * Locks: gofer_internal.h. Checkpoint: gofer_state.c. Linux: fs/9p.
 */
#include <string.h>

#include "sentry/fs/gofer/gofer_internal.h"
#include "sentry/fs/mount.h"
#include "state/state.h"
#include "sentry/kernel/kernel.h"
#include "sentry/sentry.h"

static struct linux_timespec ts_of(uint64_t sec, uint64_t nsec)
{
	return (struct linux_timespec){ (int64_t)sec, (int64_t)(nsec % 1000000000u) };
}

void gofer_take_attr(struct gofer_inode *g, const struct p9_attr *a)
{
	struct inode *i = &g->i;

	mutex_lock(&i->attr_mu);
	i->mode = (i->mode & LINUX_S_IFMT) | (a->mode & 07777);
	i->uid = a->uid;
	i->gid = a->gid;
	i->nlink = (uint32_t)MIN(a->nlink, (uint64_t)UINT32_MAX);
	i->size = MIN(a->size, (uint64_t)INT64_MAX);
	i->atime = ts_of(a->atime_sec, a->atime_nsec);
	i->mtime = ts_of(a->mtime_sec, a->mtime_nsec);
	i->ctime = ts_of(a->ctime_sec, a->ctime_nsec);
	i->btime = ts_of(a->btime_sec, a->btime_nsec);
	g->birth = gofer_ns(a->btime_sec, a->btime_nsec);
	g->blocks = a->blocks;
	g->blksize = (uint32_t)MIN(a->blksize, (uint64_t)1 << 20);
	mutex_unlock(&i->attr_mu);
}

static const struct inode_ops *ops_for(uint32_t mode)
{
	switch (mode & LINUX_S_IFMT) {
	case LINUX_S_IFREG:
		return &gofer_file_iops;
	case LINUX_S_IFDIR:
		return &gofer_dir_iops;
	case LINUX_S_IFLNK:
		return &gofer_link_iops;
	default:
		return &gofer_node_iops;
	}
}

struct inode *gofer_inode_get(struct gofer_sb *s, uint32_t fid, const struct p9_attr *a)
{
	struct gofer_inode *g;

	mutex_lock(&s->table_mu);
	g = htab_get(&s->inodes, a->qid.path);
	if (g && ((g->i.mode ^ a->mode) & LINUX_S_IFMT) == 0 && ref_tryget(&g->i.ref)) {
		mutex_unlock(&s->table_mu);
		if (fid == P9_NOFID) /* nothing newer than what it has */
			return &g->i;
		p9_clunk_later(s->client, fid);
		gofer_take_attr(g, a);
		return &g->i;
	}
	g = calloc(1, sizeof(*g));
	if (!g || htab_put(&s->inodes, a->qid.path, g) < 0) {
		mutex_unlock(&s->table_mu);
		free(g);
		if (fid != P9_NOFID)
			p9_clunk_later(s->client, fid);
		return NULL;
	}
	inode_init(&g->i, ops_for(a->mode), &s->sb, a->qid.path, a->mode, a->uid, a->gid);
	g->i.rdev = dev_make((uint32_t)(a->rdev >> 8 & 0xfff) | (uint32_t)(a->rdev >> 32 & ~0xfffu),
			     (uint32_t)(a->rdev & 0xff) | (uint32_t)(a->rdev >> 12 & ~0xffu));
	g->fid = fid;
	g->lazy = fid == P9_NOFID;
	g->qid = a->qid.path;
	g->fd_ro = g->fd_rw = -EBADF;
	mutex_init(&g->fd_mu, "gofer.fd_mu");
	mappable_init(&g->map, &gofer_map_ops);
	if (LINUX_S_ISREG(a->mode))
		g->i.mapping = &g->map;
	gofer_take_attr(g, a);
	mutex_unlock(&s->table_mu);
	return &g->i;
}

uint32_t gofer_fid(struct inode *i)
{
	struct gofer_inode *g = gofer_i(i);
	uint32_t fid = atomic_load(&g->fid), none = P9_NOFID;
	struct dentry *d = NULL, *parent;
	struct p9_attr a;
	char *name;

	if (fid != P9_NOFID || !g->lazy)
		return fid;
	mutex_lock(&i->sb->d_mu);
	if (g->alias && ref_tryget(&g->alias->ref))
		d = g->alias;
	mutex_unlock(&i->sb->d_mu);
	if (!d)
		return P9_NOFID;
	parent = dentry_parent_get(d);
	name = dentry_name(d);
	if (name && parent != d && parent->inode && p9_lookup(gofer_c(i), gofer_fid(parent->inode), name, &fid, &a) == 0) {
		if (a.qid.path != g->qid) {
			p9_clunk_later(gofer_c(i), fid);
			fid = P9_NOFID;
		} else if (!atomic_compare_exchange_strong(&g->fid, &none, fid)) {
			p9_clunk_later(gofer_c(i), fid);
			fid = none; /* somebody else was first */
		}
	} else {
		fid = P9_NOFID;
	}
	free(name);
	dentry_put(parent);
	dentry_put(d);
	return fid;
}

static void gofer_evict(struct inode *i)
{
	struct gofer_inode *g = gofer_i(i);
	struct gofer_sb *s = gofer_s(i->sb);

	gofer_listing_forget(g);
	mutex_lock(&s->table_mu);
	if (htab_get(&s->inodes, g->qid) == g)
		(void)htab_del(&s->inodes, g->qid);
	mutex_unlock(&s->table_mu);
	if (g->fd_ro >= 0)
		(void)close(g->fd_ro);
	if (g->fd_rw >= 0)
		(void)close(g->fd_rw);
	if (g->fid != P9_NOFID)
		p9_clunk_later(s->client, g->fid);
	free(g->target);
	free(g->load_path);
	free(g->load_seen);
	mutex_destroy(&g->fd_mu);
	mutex_destroy(&g->map.mu);
	inode_done(i);
	free(g);
}

static void set_alias(struct inode *i, struct dentry *d)
{
	mutex_lock(&i->sb->d_mu);
	gofer_i(i)->alias = d;
	mutex_unlock(&i->sb->d_mu);
}

static void gofer_d_release(struct dentry *d)
{
	struct inode *i = d->inode;

	if (!i)
		return;
	mutex_lock(&d->sb->d_mu);
	if (gofer_i(i)->alias == d)
		gofer_i(i)->alias = NULL;
	mutex_unlock(&d->sb->d_mu);
}

static void gofer_d_loaded(struct dentry *d)
{
	set_alias(d->inode, d);
}

/* --- attributes --- */

int gofer_refresh(struct inode *i, struct task *t)
{
	struct gofer_inode *g = gofer_i(i);
	struct p9_attr a;
	int r;

	if (g->fid == P9_NOFID || (gofer_s(i->sb)->exclusive && !atomic_exchange(&g->stale, false)))
		return 0;
	r = p9_getattr(gofer_c(i), gofer_fid(i), &a);
	if (r == 0)
		gofer_take_attr(g, &a);
	return r;
}

static int gofer_getattr(struct inode *i, struct task *t, struct kstat *ret)
{
	struct gofer_inode *g = gofer_i(i);
	int r = gofer_refresh(i, t);

	if (r < 0)
		return r;
	inode_fill_kstat(i, ret);
	ret->blocks = g->blocks;
	if (g->blksize)
		ret->blksize = g->blksize;
	ret->has_btime = i->btime.tv_sec != 0;
	return 0;
}

static int gofer_setattr(struct inode *i, struct task *t, const struct iattr *a)
{
	struct gofer_inode *g = gofer_i(i);
	struct p9_setattr s = { .mode = a->mode, .uid = a->uid, .gid = a->gid, .size = a->size };
	uint64_t old = i->size;
	int r;

	if (a->valid & ATTR_MODE)
		s.valid |= P9_SETATTR_MODE;
	if (a->valid & ATTR_UID)
		s.valid |= P9_SETATTR_UID;
	if (a->valid & ATTR_GID)
		s.valid |= P9_SETATTR_GID;
	if (a->valid & ATTR_SIZE)
		s.valid |= P9_SETATTR_SIZE;
	if (a->valid & ATTR_ATIME)
		s.valid |= P9_SETATTR_ATIME | (a->valid & ATTR_ATIME_NOW ? 0u : P9_SETATTR_ATIME_SET);
	if (a->valid & ATTR_MTIME)
		s.valid |= P9_SETATTR_MTIME | (a->valid & ATTR_MTIME_NOW ? 0u : P9_SETATTR_MTIME_SET);
	s.atime = (struct timespec){ a->atime.tv_sec, a->atime.tv_nsec };
	s.mtime = (struct timespec){ a->mtime.tv_sec, a->mtime.tv_nsec };
	if (gofer_fid(i) == P9_NOFID) {
		/* A deleted file whose content came with the image: only we have it. */
		if ((a->valid & ATTR_SIZE) && ftruncate(g->fd_rw, (off_t)a->size) < 0)
			return -errno;
		inode_setattr_simple(i, a);
		r = 0;
	} else {
		r = s.valid ? p9_setattr(gofer_c(i), gofer_fid(i), &s) : 0;
		atomic_store(&g->stale, true);
		if (r == 0)
			r = gofer_refresh(i, t);
	}
	if (r == 0 && (a->valid & ATTR_SIZE) && a->size < old)
		mappable_invalidate(&g->map, ALIGN_UP(a->size, PAGE_SIZE), UINT64_MAX - ALIGN_UP(a->size, PAGE_SIZE), true);
	return r;
}

/* --- names --- */

static int gofer_lookup(struct inode *dir, struct task *t, struct dentry *d, struct inode **ret)
{
	struct gofer_listing *l = NULL;
	const struct p9_attr *known;
	struct p9_attr a;
	uint32_t fid;
	int r = gofer_listing_lookup(gofer_i(dir), d->name, &known, &l);

	*ret = NULL;
	if (r == 1) {
		*ret = gofer_inode_get(gofer_s(dir->sb), P9_NOFID, known);
		gofer_listing_put(l);
	} else {
		if (!r)
			r = p9_lookup(gofer_c(dir), gofer_fid(dir), d->name, &fid, &a);
		if (r == -ENOENT)
			return 0;
		if (r < 0)
			return r;
		*ret = gofer_inode_get(gofer_s(dir->sb), fid, &a);
	}
	if (!*ret)
		return -ENOMEM;
	set_alias(*ret, d);
	return 0;
}

static int gofer_d_revalidate(struct dentry *d, struct task *t)
{
	struct dentry *parent = dentry_parent_get(d);
	_cleanup_free_ char *name = dentry_name(d);
	struct inode *dir = parent->inode, *i = d->inode;
	struct p9_attr a;
	int r;

	if (!name || parent == d || !dir) {
		dentry_put(parent);
		return 1;
	}
	r = p9_lookup(gofer_c(dir), gofer_fid(dir), name, NULL, &a);
	dentry_put(parent);
	if (r == -ENOENT)
		return !i;
	if (r < 0)
		return r;
	if (!i || gofer_i(i)->qid != a.qid.path || ((i->mode ^ a.mode) & LINUX_S_IFMT))
		return 0;
	gofer_take_attr(gofer_i(i), &a);
	return 1;
}

static void dir_changed(struct inode *dir)
{
	atomic_store(&gofer_i(dir)->stale, true);
}

static int gofer_create(struct inode *dir, struct task *t, struct dentry *d, const struct inode_make *m, struct inode **ret)
{
	struct p9_client *c = gofer_c(dir);
	uint32_t dfid = gofer_fid(dir), fid = P9_NOFID;
	struct p9_attr a;
	int fd = -EBADF, r;

	switch (m->mode & LINUX_S_IFMT) {
	case LINUX_S_IFREG:
		fd = p9_create(c, dfid, d->name, LINUX_O_RDWR | LINUX_O_CREAT | LINUX_O_EXCL, m->mode & 07777, m->uid, m->gid, &fid, &a);
		r = MIN(fd, 0);
		break;
	case LINUX_S_IFDIR:
		r = p9_mkdir(c, dfid, d->name, m->mode & 07777, m->uid, m->gid, &fid, &a);
		break;
	case LINUX_S_IFLNK:
		r = p9_symlink(c, dfid, d->name, m->target, m->uid, m->gid, &fid, &a);
		break;
	default:
		r = p9_mknod(c, dfid, d->name, m->mode, dev_major(m->rdev), dev_minor(m->rdev), m->uid, m->gid, &fid, &a);
		break;
	}
	if (r < 0)
		return r;
	*ret = gofer_inode_get(gofer_s(dir->sb), fid, &a);
	if (!*ret) {
		if (fd >= 0)
			(void)close(fd);
		return -ENOMEM;
	}
	if (fd >= 0) {
		struct gofer_inode *g = gofer_i(*ret);

		mutex_lock(&g->fd_mu);
		atomic_store(&g->opened, true);
		if (g->fd_rw < 0)
			g->fd_rw = TAKE_FD(fd);
		mutex_unlock(&g->fd_mu);
		if (fd >= 0)
			(void)close(fd);
	}
	set_alias(*ret, d);
	dir_changed(dir);
	return 0;
}

static int gofer_link_op(struct inode *dir, struct task *t, struct dentry *d, struct inode *i)
{
	int r = p9_link(gofer_c(dir), gofer_fid(dir), d->name, gofer_fid(i));

	if (r == 0) {
		set_alias(i, d);
		atomic_store(&gofer_i(i)->stale, true);
		dir_changed(dir);
		return gofer_refresh(i, t);
	}
	return r;
}

static int remove_name(struct inode *dir, struct dentry *d, int flags)
{
	struct inode *i = d->inode;
	int r = p9_unlink(gofer_c(dir), gofer_fid(dir), d->name, flags);

	if (r < 0)
		return r;
	atomic_store(&gofer_i(i)->stale, true);
	dir_changed(dir);
	return gofer_refresh(i, NULL) == -EIO ? -EIO : 0;
}

static int gofer_unlink(struct inode *dir, struct task *t, struct dentry *d)
{
	return remove_name(dir, d, 0);
}

static int gofer_rmdir(struct inode *dir, struct task *t, struct dentry *d)
{
	return remove_name(dir, d, 0x200 /* AT_REMOVEDIR */);
}

static int gofer_rename(struct inode *odir, struct task *t, struct dentry *od, struct inode *ndir, struct dentry *nd, uint32_t flags)
{
	int r = p9_rename(gofer_c(odir), gofer_fid(odir), od->name, gofer_fid(ndir), nd->name, flags);

	if (r < 0)
		return r;
	if (nd->inode)
		atomic_store(&gofer_i(nd->inode)->stale, true);
	atomic_store(&gofer_i(od->inode)->stale, true);
	dir_changed(odir);
	dir_changed(ndir);
	return 0;
}

static int gofer_readlink(struct inode *i, struct task *t, char **ret)
{
	struct gofer_inode *g = gofer_i(i);
	char buf[4096];
	ssize_t n;

	mutex_guard(&g->fd_mu);
	if (!g->target) {
		n = p9_readlink(gofer_c(i), gofer_fid(i), buf, sizeof(buf) - 1);
		if (n < 0)
			return (int)n;
		buf[MIN((size_t)n, sizeof(buf) - 1)] = '\0';
		g->target = strdup(buf);
		if (!g->target)
			return -ENOMEM;
	}
	*ret = strdup(g->target);
	return *ret ? 0 : -ENOMEM;
}

static int64_t gofer_getxattr(struct inode *i, struct task *t, const char *name, void *buf, size_t size)
{
	return p9_getxattr(gofer_c(i), gofer_fid(i), name, buf, size);
}

static int64_t gofer_listxattr(struct inode *i, struct task *t, char *buf, size_t size)
{
	return p9_listxattr(gofer_c(i), gofer_fid(i), buf, size);
}

static int gofer_setxattr(struct inode *i, struct task *t, const char *name, const void *val, size_t size, int flags)
{
	atomic_store(&gofer_i(i)->stale, true);
	return p9_setxattr(gofer_c(i), gofer_fid(i), name, val, size, flags);
}

static int gofer_removexattr(struct inode *i, struct task *t, const char *name)
{
	atomic_store(&gofer_i(i)->stale, true);
	return p9_removexattr(gofer_c(i), gofer_fid(i), name);
}

#define GOFER_COMMON                                                                                                    \
	.name = "gofer", .state = &gofer_inode_state_type, .evict = gofer_evict, .setattr = gofer_setattr,              \
	.getattr = gofer_getattr, .refresh = gofer_refresh, .getxattr = gofer_getxattr, .listxattr = gofer_listxattr,   \
	.setxattr = gofer_setxattr, .removexattr = gofer_removexattr


const struct inode_ops gofer_file_iops = { GOFER_COMMON, .open = gofer_open };
const struct inode_ops gofer_link_iops = { GOFER_COMMON, .readlink = gofer_readlink };
const struct inode_ops gofer_node_iops = { GOFER_COMMON };
const struct inode_ops gofer_dir_iops = {
	GOFER_COMMON,
	.open = gofer_dir_open,
	.lookup = gofer_lookup,
	.create = gofer_create,
	.link = gofer_link_op,
	.unlink = gofer_unlink,
	.rmdir = gofer_rmdir,
	.rename = gofer_rename,
};

/* --- super block --- */

static void gofer_sb_free(struct super_block *sb)
{
	struct gofer_sb *s = gofer_s(sb);

	if (s->client)
		p9_clunk_flush(s->client);
	p9_client_put(s->client);
	htab_done(&s->inodes);
	free(s->destination);
	mutex_destroy(&s->table_mu);
	sb_done(sb);
	free(s);
}

static int gofer_statfs(struct super_block *sb, struct task *t, struct dentry *d, struct linux_statfs *ret)
{
	struct p9_statfs st;
	int r = p9_statfs(gofer_s(sb)->client, gofer_fid(d->inode), &st);

	if (r < 0)
		return r;
	*ret = (struct linux_statfs){ .f_type = st.type, .f_bsize = st.bsize, .f_frsize = st.bsize, .f_blocks = st.blocks,
				      .f_bfree = st.bfree, .f_bavail = st.bavail, .f_files = st.files, .f_ffree = st.ffree,
				      .f_namelen = st.namelen };
	return 0;
}

static int gofer_sync(struct super_block *sb, struct task *t)
{
	return p9_syncfs(gofer_s(sb)->client, gofer_fid(sb->root->inode));
}

const struct sb_ops gofer_exclusive_sb_ops = {
	.state = &gofer_sb_state_type,
	.free = gofer_sb_free,
	.statfs = gofer_statfs,
	.d_release = gofer_d_release,
	.d_loaded = gofer_d_loaded,
	.sync = gofer_sync,
};

const struct sb_ops gofer_shared_sb_ops = {
	.state = &gofer_sb_state_type,
	.free = gofer_sb_free,
	.statfs = gofer_statfs,
	.d_revalidate = gofer_d_revalidate,
	.d_release = gofer_d_release,
	.d_loaded = gofer_d_loaded,
	.sync = gofer_sync,
};

static int gofer_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	struct gofer_sb *s;
	struct inode *root;
	struct p9_attr a;
	uint32_t fid;
	int r;

	if (!rq->gofer || !rq->m)
		return -ENODEV;
	r = p9_attach(rq->gofer, rq->m->aname, &fid, &a);
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->client = p9_client_get(rq->gofer);
	s->exclusive = rq->m->exclusive;
	s->destination = strdup(rq->m->destination);
	mutex_init(&s->table_mu, "gofer.table_mu");
	list_init(&s->listings);
	sb_init(&s->sb, s->exclusive ? &gofer_exclusive_sb_ops : &gofer_shared_sb_ops, ft, 0x01021997 /* V9FS_MAGIC */);
	s->sb.ms_flags = rq->flags;
	s->sb.max_bytes = INT64_MAX;
	if (!s->exclusive)
		s->sb.flags |= SB_NO_NEGATIVE;
	root = s->destination ? gofer_inode_get(s, fid, &a) : NULL;
	s->sb.root = root ? dentry_new_root(&s->sb, root) : NULL;
	if (!s->sb.root) {
		sb_put(&s->sb);
		return -ENOMEM;
	}
	set_alias(root, s->sb.root);
	*ret = &s->sb;
	return 0;
}

static const struct fs_type gofer_fs_type = {
	.name = "gofer",
	.mount = gofer_mount,
	.nodev = true,
	.container_only = true,
};
FS_TYPE_REGISTER(gofer_fs_type)
