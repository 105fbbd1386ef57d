/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpfs: super blocks, inodes, directories.
 *
 * The dentry tree is the directory content; inodes hold the rest. Sizes of directories grow by 20 an entry, as Linux shows them.
 * Limits (size=, nr_blocks=, nr_inodes=) are counted per super block.
 * Checkpoint: everything; page content travels in the memory file. Linux: mm/shmem.c.
 */
#include "sentry/fs/tmpfs/tmpfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "schemas/tmpfs.pb-c.h"
#include "schemas/vfs.pb-c.h"
#include "sentry/fs/tmpfs/tmpfs_internal.h"
#include "sentry/fs/vfs_state.h"
#include "sentry/kernel/kernel.h"

#define DIRENT_SIZE 20

bool inode_is_tmpfs(const struct inode *i)
{
	return i->ops == &tmpfs_reg_ops || i->ops == &tmpfs_dir_ops || i->ops == &tmpfs_link_ops || i->ops == &tmpfs_special_ops;
}

static const struct inode_ops *ops_for(uint32_t mode)
{
	switch (mode & LINUX_S_IFMT) {
	case LINUX_S_IFREG:
		return &tmpfs_reg_ops;
	case LINUX_S_IFDIR:
		return &tmpfs_dir_ops;
	case LINUX_S_IFLNK:
		return &tmpfs_link_ops;
	default:
		return &tmpfs_special_ops;
	}
}

int tmpfs_inode_new(struct tmpfs_sb *s, const struct inode_make *m, struct inode **ret)
{
	struct tmpfs_inode *ti;

	if (atomic_fetch_add(&s->used_inodes, 1) >= s->max_inodes && s->max_inodes) {
		atomic_fetch_sub(&s->used_inodes, 1);
		return -ENOSPC;
	}
	ti = calloc(1, sizeof(*ti));
	if (ti && m->target)
		ti->target = strdup(m->target);
	if (!ti || (m->target && !ti->target)) {
		free(ti);
		atomic_fetch_sub(&s->used_inodes, 1);
		return -ENOMEM;
	}
	inode_init(&ti->i, ops_for(m->mode), &s->sb, 0, m->mode, m->uid, m->gid);
	tmpfs_pages_init(ti);
	list_init(&ti->xattrs);
	ti->i.rdev = m->rdev;
	ti->seals = LINUX_F_SEAL_SEAL;
	if (LINUX_S_ISREG(m->mode))
		ti->i.mapping = &ti->map;
	if (LINUX_S_ISLNK(m->mode))
		ti->i.size = strlen(m->target);
	if (LINUX_S_ISDIR(m->mode)) {
		ti->i.nlink = 2;
		ti->i.size = 2 * DIRENT_SIZE;
	}
	*ret = &ti->i;
	return 0;
}

static void tmpfs_evict(struct inode *i)
{
	struct tmpfs_inode *ti = tmpfs_i(i);
	struct tmpfs_sb *s = tmpfs_s(i->sb);

	tmpfs_pages_done(ti);
	tmpfs_xattr_done(ti);
	atomic_fetch_sub(&s->used_inodes, 1);
	free(ti->target);
	inode_done(i);
	free(ti);
}

/* --- directories --- */

static void dir_changed(struct inode *dir, int entries, int links)
{
	struct linux_timespec now = inode_now();

	mutex_guard(&dir->attr_mu);
	dir->size = (uint64_t)((int64_t)dir->size + (int64_t)entries * DIRENT_SIZE);
	dir->nlink = (uint32_t)((int64_t)dir->nlink + links);
	dir->mtime = dir->ctime = now;
}

static int tmpfs_create(struct inode *dir, struct task *t, struct dentry *d, const struct inode_make *m, struct inode **ret)
{
	int err = tmpfs_inode_new(tmpfs_s(dir->sb), m, ret);

	if (!err)
		dir_changed(dir, 1, LINUX_S_ISDIR(m->mode) ? 1 : 0);
	return err;
}

static int tmpfs_link(struct inode *dir, struct task *t, struct dentry *d, struct inode *i)
{
	inode_set_nlink(i, 1);
	inode_touch(i, false, true);
	dir_changed(dir, 1, 0);
	return 0;
}

static int tmpfs_unlink(struct inode *dir, struct task *t, struct dentry *d)
{
	inode_set_nlink(d->inode, -1);
	inode_touch(d->inode, false, true);
	dir_changed(dir, -1, 0);
	return 0;
}

static int tmpfs_rmdir(struct inode *dir, struct task *t, struct dentry *d)
{
	if (dentry_has_children(d))
		return -ENOTEMPTY;
	inode_set_nlink(d->inode, -2);
	inode_touch(d->inode, false, true);
	dir_changed(dir, -1, -1);
	return 0;
}

static int tmpfs_rename(struct inode *odir, struct task *t, struct dentry *od, struct inode *ndir, struct dentry *nd, uint32_t flags)
{
	struct inode *oi = od->inode, *ni = nd->inode;
	int odirs = inode_is_dir(oi), ndirs = ni && inode_is_dir(ni);

	if (flags & LINUX_RENAME_EXCHANGE) {
		dir_changed(odir, 0, odir == ndir ? 0 : ndirs - odirs);
		dir_changed(ndir, 0, odir == ndir ? 0 : odirs - ndirs);
		inode_touch(ni, false, true);
	} else {
		if (ndirs && dentry_has_children(nd))
			return -ENOTEMPTY;
		if (ni) {
			inode_set_nlink(ni, ndirs ? -2 : -1);
			inode_touch(ni, false, true);
		}
		dir_changed(odir, -1, -odirs);
		dir_changed(ndir, ni ? 0 : 1, odirs - ndirs);
	}
	inode_touch(oi, false, true);
	return 0;
}

static int tmpfs_tmpfile(struct inode *dir, struct task *t, const struct inode_make *m, struct inode **ret)
{
	int err = tmpfs_inode_new(tmpfs_s(dir->sb), m, ret);

	if (!err)
		(*ret)->nlink = 0;
	return err;
}

/* --- attributes --- */

static int tmpfs_setattr(struct inode *i, struct task *t, const struct iattr *a)
{
	struct iattr rest = *a;
	struct tmpfs_inode *ti = tmpfs_i(i);
	int err;

	if (a->valid & ATTR_MODE && ti->seals & LINUX_F_SEAL_EXEC && (a->mode ^ i->mode) & LINUX_S_IXUGO)
		return -EPERM;
	if (a->valid & ATTR_SIZE) {
		if (!LINUX_S_ISREG(i->mode))
			return -EINVAL;
		err = tmpfs_truncate(ti, a->size);
		if (err)
			return err;
		rest.valid &= ~ATTR_SIZE;
	}
	inode_setattr_simple(i, &rest);
	return 0;
}

static int tmpfs_getattr(struct inode *i, struct task *t, struct kstat *ret)
{
	struct tmpfs_inode *ti = tmpfs_i(i);

	inode_fill_kstat(i, ret);
	mutex_lock(&ti->pages_mu);
	ret->blocks = ti->pages.total / 512;
	mutex_unlock(&ti->pages_mu);
	return 0;
}

static int tmpfs_readlink(struct inode *i, struct task *t, char **ret)
{
	*ret = strdup(tmpfs_i(i)->target);
	return *ret ? 0 : -ENOMEM;
}

#define COMMON                                                                                     \
	.name = "tmpfs", .state = &tmpfs_inode_state_type, .evict = tmpfs_evict, .setattr = tmpfs_setattr, .getattr = tmpfs_getattr,       \
	.getxattr = tmpfs_getxattr, .listxattr = tmpfs_listxattr, .setxattr = tmpfs_setxattr, .removexattr = tmpfs_removexattr,           \
	.mu_class = "tmpfs.file"

const struct inode_ops tmpfs_reg_ops = { COMMON, .open = tmpfs_file_open };
const struct inode_ops tmpfs_link_ops = { COMMON, .readlink = tmpfs_readlink };
const struct inode_ops tmpfs_special_ops = { COMMON };
const struct inode_ops tmpfs_dir_ops = {
	COMMON,
	.create = tmpfs_create,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.tmpfile = tmpfs_tmpfile,
	.open = simple_dir_open,
};

/* --- super blocks --- */

static void tmpfs_sb_free(struct super_block *sb)
{
	struct tmpfs_sb *s = tmpfs_s(sb);

	sb_done(sb);
	free(s->options);
	free(s);
}

static int tmpfs_statfs(struct super_block *sb, struct task *t, struct dentry *d, struct linux_statfs *ret)
{
	struct tmpfs_sb *s = tmpfs_s(sb);
	uint64_t used = s->used_pages, inodes = s->used_inodes;

	*ret = (struct linux_statfs){ .f_type = (int64_t)sb->magic, .f_bsize = PAGE_SIZE, .f_frsize = PAGE_SIZE, .f_namelen = LINUX_NAME_MAX };
	if (s->max_pages) {
		ret->f_blocks = s->max_pages;
		ret->f_bfree = ret->f_bavail = s->max_pages > used ? s->max_pages - used : 0;
	}
	if (s->max_inodes) {
		ret->f_files = s->max_inodes;
		ret->f_ffree = s->max_inodes > inodes ? s->max_inodes - inodes : 0;
	}
	return 0;
}

static void tmpfs_show_options(struct super_block *sb, struct strbuf *b)
{
	if (tmpfs_s(sb)->options)
		strbuf_adds(b, tmpfs_s(sb)->options);
}

struct tmpfs_opts {
	uint64_t size, blocks, inodes; /* 0: unlimited */
	bool have_size, have_blocks, have_inodes, have_mode, have_uid, have_gid;
	uint32_t mode, uid, gid;
};

static uint64_t host_memory;

static void __attribute__((constructor)) ask_host_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);

	host_memory = pages > 0 ? (uint64_t)pages * PAGE_SIZE : 1ULL << 30;
}

static int parse_u32(const char *s, int radix, uint32_t max, uint32_t *ret)
{
	char *end;
	unsigned long v;

	if (!*s)
		return -EINVAL;
	errno = 0;
	v = strtoul(s, &end, radix);
	if (*end || errno || v > max)
		return -EINVAL;
	*ret = (uint32_t)v;
	return 0;
}

static int parse_options(const char *options, uint64_t total, struct tmpfs_opts *o)
{
	char *copy _cleanup_free_ = strdup(options), *p = copy, *key, *val;

	if (!copy)
		return -ENOMEM;
	while (mount_option_next(&p, &key, &val)) {
		int err = 0;

		if (!strcmp(key, "size")) {
			err = parse_size_option(val, total, &o->size);
			o->have_size = true;
		} else if (!strcmp(key, "nr_blocks")) {
			err = parse_size_option(val, total, &o->blocks);
			o->have_blocks = true;
		} else if (!strcmp(key, "nr_inodes")) {
			err = parse_size_option(val, total, &o->inodes);
			o->have_inodes = true;
		} else if (!strcmp(key, "mode")) {
			err = parse_u32(val, 8, 07777, &o->mode);
			o->have_mode = true;
		} else if (!strcmp(key, "uid")) {
			err = parse_u32(val, 10, UINT32_MAX, &o->uid);
			o->have_uid = true;
		} else if (!strcmp(key, "gid")) {
			err = parse_u32(val, 10, UINT32_MAX, &o->gid);
			o->have_gid = true;
		} else if (strcmp(key, "huge") && strcmp(key, "mpol") && strcmp(key, "inode32") && strcmp(key, "inode64") &&
			   strcmp(key, "noswap") && strcmp(key, "tmpcopyup")) {
			err = -EINVAL;
		}
		if (err)
			return err;
	}
	return 0;
}

static void apply_options(struct tmpfs_sb *s, const struct tmpfs_opts *o)
{
	struct strbuf b _cleanup_strbuf_ = STRBUF_INIT;

	if (o->have_size)
		s->max_pages = ALIGN_UP(o->size, PAGE_SIZE) / PAGE_SIZE;
	if (o->have_blocks)
		s->max_pages = o->blocks;
	if (o->have_inodes)
		s->max_inodes = o->inodes;
	if (o->have_size || o->have_blocks)
		strbuf_addf(&b, ",size=%lluk", (unsigned long long)(s->max_pages * (PAGE_SIZE / 1024)));
	if (o->have_inodes)
		strbuf_addf(&b, ",nr_inodes=%llu", (unsigned long long)s->max_inodes);
	if (o->have_mode && o->mode != 01777)
		strbuf_addf(&b, ",mode=%o", o->mode);
	if (o->have_uid && o->uid)
		strbuf_addf(&b, ",uid=%u", o->uid);
	if (o->have_gid && o->gid)
		strbuf_addf(&b, ",gid=%u", o->gid);
	free(s->options);
	s->options = strbuf_take(&b);
}

static int tmpfs_remount(struct super_block *sb, const struct mount_req *rq)
{
	struct tmpfs_sb *s = tmpfs_s(sb);
	struct tmpfs_opts o = { 0 };
	int err = parse_options(rq->options, host_memory, &o);

	if (err)
		return err;
	if ((o.have_size && ALIGN_UP(o.size, PAGE_SIZE) / PAGE_SIZE < s->used_pages) || (o.have_inodes && o.inodes && o.inodes < s->used_inodes))
		return -EINVAL;
	if (*rq->options)
		apply_options(s, &o);
	return 0;
}

static const struct sb_ops tmpfs_sb_ops = {
	.state = &tmpfs_sb_state_type,
	.free = tmpfs_sb_free,
	.statfs = tmpfs_statfs,
	.remount = tmpfs_remount,
	.show_options = tmpfs_show_options,
};

static int tmpfs_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret);
static int tmpfs_check(const char *option)
{
	struct tmpfs_opts o = { 0 };
	int err = mount_option_known("size,nr_blocks,nr_inodes,mode,uid,gid,huge,mpol,inode32,inode64,noswap", option);

	return err ? err : parse_options(option, host_memory, &o);
}

static const struct fs_type tmpfs_type = { .name = "tmpfs", .mount = tmpfs_mount, .check = tmpfs_check, .nodev = true };
FS_TYPE_REGISTER(tmpfs_type)

/* ramfs: a tmpfs without limits, whose only option is the mode of its root. Others are ignored, as Linux does. */
static int ramfs_check(const char *option)
{
	uint32_t mode;

	return strncmp(option, "mode=", 5) ? 0 : parse_u32(option + 5, 8, 07777, &mode);
}

static int ramfs_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret);
static const struct fs_type ramfs_type = { .name = "ramfs", .mount = ramfs_mount, .check = ramfs_check, .nodev = true };
FS_TYPE_REGISTER(ramfs_type)

static void set_type(struct super_block *sb, const struct fs_type *ft)
{
	sb->type = ft;
	sb->magic = ft == &ramfs_type ? LINUX_RAMFS_MAGIC : LINUX_TMPFS_MAGIC;
	if (ft == &ramfs_type)
		sb->flags &= ~SB_ACL;
}

int tmpfs_new(struct kernel *k, uint32_t mode, uint32_t uid, uint32_t gid, struct super_block **ret)
{
	struct inode_make m = { .mode = LINUX_S_IFDIR | mode, .uid = uid, .gid = gid };
	struct tmpfs_sb *s = calloc(1, sizeof(*s));
	struct inode *root = NULL;
	int err;

	if (!s)
		return -ENOMEM;
	s->mf = kernel_memfile(k ? k : the_kernel);
	sb_init(&s->sb, &tmpfs_sb_ops, &tmpfs_type, LINUX_TMPFS_MAGIC);
	s->sb.flags = SB_REAL_TREE | SB_ACL;
	err = tmpfs_inode_new(s, &m, &root);
	if (!err) {
		s->sb.root = dentry_new_root(&s->sb, root);
		err = s->sb.root ? 0 : -ENOMEM;
	}
	if (err) {
		sb_put(&s->sb);
		return err;
	}
	*ret = &s->sb;
	return 0;
}

static int tmpfs_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	struct tmpfs_opts o = { 0 };
	const struct cred *c = vfs_cred(rq->t);
	struct super_block *sb = NULL;
	uint64_t total = rq->k && rq->k->cfg.total_memory ? rq->k->cfg.total_memory : host_memory;
	int err = parse_options(rq->options, total, &o);

	if (!err)
		err = tmpfs_new(rq->k, o.have_mode ? o.mode : 01777, o.have_uid ? o.uid : c->fsuid, o.have_gid ? o.gid : c->fsgid, &sb);
	if (err)
		return err;
	apply_options(tmpfs_s(sb), &o);
	if (!o.have_size && !o.have_blocks)
		tmpfs_s(sb)->max_pages = total / PAGE_SIZE / 2;
	sb->ms_flags = rq->flags;
	*ret = sb;
	return 0;
}

static int ramfs_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	char *copy _cleanup_free_ = strdup(rq->options), *p = copy, *key, *val;
	struct strbuf text _cleanup_strbuf_ = STRBUF_INIT;
	uint32_t mode = 0755;
	int err = copy ? 0 : -ENOMEM;

	while (!err && mount_option_next(&p, &key, &val))
		if (!strcmp(key, "mode"))
			err = parse_u32(val, 8, 07777, &mode);
	if (!err)
		err = tmpfs_new(rq->k, mode, 0, 0, ret);
	if (err)
		return err;
	if (mode != 0755)
		strbuf_addf(&text, ",mode=%o", mode);
	tmpfs_s(*ret)->options = strbuf_take(&text);
	set_type(*ret, &ramfs_type);
	(*ret)->ms_flags = rq->flags;
	return 0;
}

/* --- memfd --- */

int memfd_new(struct task *t, const char *name, uint32_t flags, struct file **ret)
{
	static struct mutex mu = MUTEX_INIT("memfd.mu");
	static struct mount *mnt;
	const struct cred *c = vfs_cred(t);
	struct inode_make m = { .mode = LINUX_S_IFREG | (flags & LINUX_MFD_NOEXEC_SEAL ? 0666 : 0777), .uid = c->fsuid, .gid = c->fsgid };
	struct path p _cleanup_path_ = { 0 };
	char full[LINUX_NAME_MAX + 1];
	struct inode *i = NULL;
	int err = 0;

	mutex_lock(&mu);
	if (!mnt) {
		struct super_block *sb = NULL;

		err = tmpfs_new(t ? t->k : NULL, 0777, 0, 0, &sb);
		if (!err) {
			err = mount_kern(sb, &mnt);
			sb_put(sb);
		}
	}
	mutex_unlock(&mu);
	if (!err)
		err = tmpfs_inode_new(tmpfs_s(mnt->sb), &m, &i);
	if (err)
		return err;
	i->nlink = 0;
	tmpfs_i(i)->seals = flags & LINUX_MFD_NOEXEC_SEAL ? LINUX_F_SEAL_EXEC : flags & LINUX_MFD_ALLOW_SEALING ? 0 : LINUX_F_SEAL_SEAL;
	(void)snprintf(full, sizeof(full), "memfd:%s", name);
	p.dentry = dentry_new(mnt->root, full, strlen(full));
	if (!p.dentry) {
		inode_put(i);
		return -ENOMEM;
	}
	p.dentry->disconnected = true;
	p.dentry->inode = i;
	p.mnt = mount_get(mnt);
	err = tmpfs_file_open(i, t, &p, LINUX_O_RDWR, ret);
	if (!err && inode_get_write(i) == 0)
		file_count_writer(*ret);
	return err;
}

/* --- state --- */

static void *sb_alloc(void)
{
	struct tmpfs_sb *s = calloc(1, sizeof(*s));

	if (s)
		ref_init(&s->sb.ref);
	return s;
}

static int sb_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct tmpfs_sb *s = obj;
	Sentry__TmpfsSb *m = msg;

	m->sb_base = state_new_msg(w, &sentry__super_block_base__descriptor);
	m->max_pages = s->max_pages;
	m->max_inodes = s->max_inodes;
	m->options = state_strdup(w, s->options);
	return sb_save_base(w, &s->sb, m->sb_base);
}

static int sb_load(struct state_reader *r, void *obj, const void *msg)
{
	struct tmpfs_sb *s = obj;
	const Sentry__TmpfsSb *m = msg;
	int err = sb_load_base(r, &s->sb, &tmpfs_sb_ops, m->sb_base);

	if (err)
		return err;
	s->sb.flags = SB_REAL_TREE | SB_ACL;
	set_type(&s->sb, s->sb.type == &ramfs_type ? &ramfs_type : &tmpfs_type);
	s->mf = kernel_memfile(state_reader_ctx(r));
	s->max_pages = m->max_pages;
	s->max_inodes = m->max_inodes;
	s->options = strdup(m->options);
	return s->options ? 0 : -ENOMEM;
}

const struct state_type tmpfs_sb_state_type = {
	.id = STATE_ID_tmpfs_sb,
	.name = "tmpfs_sb",
	.desc = &sentry__tmpfs_sb__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = sb_alloc,
	.save = sb_save,
	.load = sb_load,
	.get = sb_state_get,
	.put = sb_state_put,
};

static void *inode_alloc(void)
{
	struct tmpfs_inode *ti = calloc(1, sizeof(*ti));

	if (ti) {
		ref_init(&ti->i.ref);
		list_init(&ti->xattrs);
		tmpfs_pages_init(ti);
	}
	return ti;
}

static int inode_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct tmpfs_inode *ti = obj;
	Sentry__TmpfsInode *m = msg;
	const struct xattr *x;
	size_t n = 0;

	m->inode_base = state_new_msg(w, &sentry__inode_base__descriptor);
	m->extents = state_zalloc(w, ti->pages.nr, sizeof(*m->extents));
	for (const struct range *r = ti->pages.first; r; r = r->next) {
		Sentry__TmpfsExtent *e = state_new_msg(w, &sentry__tmpfs_extent__descriptor);

		e->start = r->start;
		e->end = r->end;
		e->off = container_of(r, struct tmpfs_extent, r)->off;
		m->extents[m->n_extents++] = e;
	}
	m->target = state_strdup(w, ti->target);
	m->seals = ti->seals;
	list_for_each(x, &ti->xattrs, node)
		n++;
	m->xattrs = state_zalloc(w, n, sizeof(*m->xattrs));
	list_for_each(x, &ti->xattrs, node) {
		Sentry__Xattr *o = state_new_msg(w, &sentry__xattr__descriptor);

		o->name = state_strdup(w, x->name);
		o->value.len = x->size;
		o->value.data = (uint8_t *)(uintptr_t)x->value;
		m->xattrs[m->n_xattrs++] = o;
	}
	return inode_save_base(w, &ti->i, m->inode_base);
}

static int load_extents(struct state_reader *r, struct tmpfs_inode *ti, const Sentry__TmpfsInode *m)
{
	for (size_t n = 0; n < m->n_extents; n++) {
		const Sentry__TmpfsExtent *x = m->extents[n];
		struct tmpfs_extent *e;
		int err = state_check(r, IS_ALIGNED(x->start, PAGE_SIZE) && IS_ALIGNED(x->end, PAGE_SIZE) && IS_ALIGNED(x->off, PAGE_SIZE) &&
						 x->start < x->end && x->end <= INT64_MAX,
				      "bad extent");

		if (err)
			return err;
		e = calloc(1, sizeof(*e));
		if (!e)
			return -ENOMEM;
		e->r.start = x->start;
		e->r.end = x->end;
		e->off = x->off;
		if (!rangemap_insert(&ti->pages, &e->r)) {
			free(e);
			return state_check(r, false, "extents overlap");
		}
	}
	return 0;
}

static int inode_load(struct state_reader *r, void *obj, const void *msg)
{
	struct tmpfs_inode *ti = obj;
	const Sentry__TmpfsInode *m = msg;
	int err = state_check(r, m->inode_base != NULL, "no inode base");

	if (!err)
		err = inode_load_base(r, &ti->i, ops_for(m->inode_base->mode), m->inode_base);
	if (!err)
		err = state_check(r, LINUX_S_ISREG(ti->i.mode) || !m->n_extents, "pages of something that is no regular file");
	if (!err)
		err = state_check(r, LINUX_S_ISLNK(ti->i.mode) == (*m->target != '\0') && strlen(m->target) < LINUX_PATH_MAX, "bad link target");
	if (!err)
		err = state_check(r, m->seals < 0x40, "unknown seals");
	if (!err)
		err = load_extents(r, ti, m);
	if (err)
		return err;
	if (*m->target) {
		ti->target = strdup(m->target);
		if (!ti->target)
			return -ENOMEM;
	}
	ti->seals = m->seals;
	if (LINUX_S_ISREG(ti->i.mode))
		ti->i.mapping = &ti->map;
	for (size_t n = 0; n < m->n_xattrs; n++) {
		struct linux_timespec ctime = ti->i.ctime;

		err = tmpfs_setxattr(&ti->i, NULL, m->xattrs[n]->name, m->xattrs[n]->value.data, m->xattrs[n]->value.len, LINUX_XATTR_CREATE);
		ti->i.ctime = ctime;
		if (err)
			return state_check(r, false, "bad extended attribute");
	}
	return 0;
}

static int inode_after_load(struct state_reader *r, void *obj)
{
	struct tmpfs_inode *ti = obj;
	struct tmpfs_sb *s;
	int err = state_check(r, ti->i.sb && ti->i.sb->ops == &tmpfs_sb_ops, "not in a tmpfs");

	if (err)
		return err;
	s = tmpfs_s(ti->i.sb);
	atomic_fetch_add(&s->used_inodes, 1);
	for (struct range *x = ti->pages.first; x; x = x->next) {
		err = memfile_adopt_shared(s->mf, container_of(x, struct tmpfs_extent, r)->off, x->end - x->start);
		if (err)
			return state_check(r, false, "pages outside the memory file");
		atomic_fetch_add(&s->used_pages, (x->end - x->start) / PAGE_SIZE);
	}
	return 0;
}

const struct state_type tmpfs_inode_state_type = {
	.id = STATE_ID_tmpfs_inode,
	.name = "tmpfs_inode",
	.desc = &sentry__tmpfs_inode__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = inode_alloc,
	.save = inode_save,
	.load = inode_load,
	.after_load = inode_after_load,
	.get = inode_state_get,
	.put = inode_state_put,
};
