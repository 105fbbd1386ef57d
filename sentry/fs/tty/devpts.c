/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devpts: the names of slaves, and ptmx, which makes pairs. Every mount is an instance of its own, as on Linux since 4.7.
 *
 * The dentry tree is the content: a slave's name appears when its master is opened and goes with it. A ptmx node (c 5 2) elsewhere
 * uses the devpts mounted at "pts" beside it.
 * Locks: ds.mu (leaf) guards the table of indices. Checkpoint: the super block, inodes, and terminals. Linux: fs/devpts/inode.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "schemas/tty.pb-c.h"
#include "schemas/vfs.pb-c.h"
#include "sentry/fs/chrdev.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/tty/tty_internal.h"
#include "state/state.h"

struct devpts_sb {
	struct super_block sb; /* saved: 1 sb_base */
	struct mutex mu; /* nosave: free when frozen */
	uint64_t used[PTY_MAX / 64]; /* derived: from the terminals */
	uint32_t uid, gid; /* saved: 2, 3 */
	bool has_uid, has_gid; /* saved: 4, 5 */
	uint32_t mode, ptmxmode; /* saved: 6, 7 */
	uint32_t max; /* saved: 8 */
};

struct pts_inode {
	struct inode i; /* saved: 1 inode_base */
	struct tty *tty; /* saved: 2; referenced; NULL for the root and ptmx */
};

static const struct inode_ops pts_root_ops, pts_ptmx_ops, pts_slave_ops;
static const struct sb_ops devpts_sb_ops;

bool sb_is_devpts(const struct super_block *sb)
{
	return sb->ops == &devpts_sb_ops;
}

struct devpts_sb *devpts_of(struct super_block *sb)
{
	return sb_is_devpts(sb) ? container_of(sb, struct devpts_sb, sb) : NULL;
}

struct super_block *devpts_super(struct devpts_sb *ds)
{
	return &ds->sb;
}

static struct inode *pts_inode_new(struct devpts_sb *ds, const struct inode_ops *ops, uint64_t ino, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct pts_inode *pi = calloc(1, sizeof(*pi));

	if (!pi)
		return NULL;
	inode_init(&pi->i, ops, &ds->sb, ino, mode, uid, gid);
	return &pi->i;
}

static void pts_evict(struct inode *i)
{
	struct pts_inode *pi = container_of(i, struct pts_inode, i);

	tty_put(pi->tty);
	inode_done(i);
	free(pi);
}

/* --- making pairs --- */

static int take_index(struct devpts_sb *ds)
{
	mutex_guard(&ds->mu);
	for (uint32_t n = 0; n < ds->max; n++)
		if (!(ds->used[n / 64] >> (n & 63) & 1)) {
			ds->used[n / 64] |= 1ULL << (n & 63);
			return (int)n;
		}
	return -ENOSPC;
}

static void give_index(struct devpts_sb *ds, uint32_t n)
{
	mutex_guard(&ds->mu);
	ds->used[n / 64] &= ~(1ULL << (n & 63));
}

int devpts_new_pty(struct devpts_sb *ds, struct task *t, struct tty **ret)
{
	const struct cred *c = vfs_cred(t);
	struct dentry *root = ds->sb.root;
	struct inode *i = NULL;
	struct tty *tty;
	char name[16];
	int n;

	if (!root)
		return -ENODEV;
	n = take_index(ds);
	if (n < 0)
		return n;
	tty = tty_new(ds, (uint32_t)n);
	if (tty)
		i = pts_inode_new(ds, &pts_slave_ops, (uint64_t)n + 3, LINUX_S_IFCHR | ds->mode, ds->has_uid ? ds->uid : c->fsuid,
				  ds->has_gid ? ds->gid : c->fsgid);
	if (!i) {
		tty_put(tty);
		give_index(ds, (uint32_t)n);
		return -ENOMEM;
	}
	i->rdev = dev_make(PTS_MAJOR + (uint32_t)n / 256, (uint32_t)n % 256);
	container_of(i, struct pts_inode, i)->tty = tty_get(tty);
	(void)snprintf(name, sizeof(name), "%d", n);
	(void)sb_get(&ds->sb);
	if (!dentry_make_child(root, name, i)) {
		sb_put(&ds->sb);
		tty_put(tty);
		give_index(ds, (uint32_t)n);
		return -ENOMEM;
	}
	*ret = tty;
	return 0;
}

struct dentry *devpts_dentry(struct tty *tty)
{
	struct devpts_sb *ds = tty->ds;
	char name[16];
	int n = snprintf(name, sizeof(name), "%u", tty->index);

	return ds && ds->sb.root ? dentry_cached_child(ds->sb.root, name, (size_t)n) : NULL;
}

void devpts_remove(struct tty *tty)
{
	struct devpts_sb *ds = tty->ds;
	struct dentry *d = devpts_dentry(tty);

	if (d) {
		struct inode *root = ds->sb.root->inode;

		mutex_lock(&root->mu);
		dentry_unhash(d);
		mutex_unlock(&root->mu);
		inode_set_nlink(d->inode, -1);
		dentry_put(d);
	}
	if (ds) {
		give_index(ds, tty->index);
		tty->ds = NULL;
		sb_put(&ds->sb);
	}
}

/* The instance a ptmx node elsewhere stands for. */
static int devpts_beside(struct task *t, const struct path *p, struct super_block **ret)
{
	struct path dir _cleanup_path_ = { 0 }, pts _cleanup_path_ = { 0 };
	int err;

	if (!p->dentry || !p->mnt)
		return -ENODEV;
	dir = (struct path){ .mnt = mount_get(p->mnt), .dentry = dentry_parent_get(p->dentry) };
	err = namei_at(t, &dir, &dir, "pts", LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &pts);
	if (err || !sb_is_devpts(pts.dentry->sb))
		return -ENODEV;
	*ret = sb_get(pts.dentry->sb);
	return 0;
}

static int ptmx_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct super_block *sb = NULL;
	struct tty *tty = NULL;
	int err = 0;

	if (i->sb && sb_is_devpts(i->sb))
		sb = sb_get(i->sb);
	else
		err = devpts_beside(t, p, &sb);
	if (err)
		return err;
	err = devpts_new_pty(devpts_of(sb), t, &tty);
	sb_put(sb);
	if (err)
		return err;
	err = tty_file_new(tty, true, t, p, i, flags, ret);
	if (err)
		devpts_remove(tty);
	tty_put(tty);
	return err;
}

static int pts_slave_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	return tty_slave_open(container_of(i, struct pts_inode, i)->tty, i, t, p, flags, ret);
}

static const struct inode_ops pts_root_ops = { .name = "devpts", .state = &pts_inode_state_type, .evict = pts_evict, .open = simple_dir_open };
static const struct inode_ops pts_ptmx_ops = {
	.name = "devpts", .state = &pts_inode_state_type, .evict = pts_evict, .open = ptmx_open, .opens_special = true
};
static const struct inode_ops pts_slave_ops = {
	.name = "devpts", .state = &pts_inode_state_type, .evict = pts_evict, .open = pts_slave_open, .opens_special = true
};

/* --- device nodes elsewhere --- */

static const struct dev_driver ptmx_driver = {
	.name = "/dev/ptmx", .major = PTMX_MAJOR, .minor_lo = PTMX_MINOR, .minor_hi = PTMX_MINOR, .open = ptmx_open
};
DEV_REGISTER(ptmx_driver)

/* Slaves are opened by their names in a devpts only. */
static int pts_elsewhere(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	return -EIO;
}

static const struct dev_driver pts_driver = {
	.name = "pts", .major = PTS_MAJOR, .minor_lo = 0, .minor_hi = (1u << 20) - 1, .open = pts_elsewhere
};
DEV_REGISTER(pts_driver)

static int ctty_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct tty *tty = NULL;
	int err;

	if (!t)
		return -ENXIO;
	mutex_lock(&t->k->tasks_mu);
	if (t->tg->session && t->tg->session->ctty)
		tty = tty_get(t->tg->session->ctty);
	mutex_unlock(&t->k->tasks_mu);
	if (!tty)
		return -ENXIO;
	err = tty_slave_open(tty, i, t, p, flags | LINUX_O_NOCTTY, ret);
	tty_put(tty);
	return err;
}

static const struct dev_driver ctty_driver = { .name = "/dev/tty", .major = 5, .minor_lo = 0, .minor_hi = 0, .open = ctty_open };
DEV_REGISTER(ctty_driver)

/* --- super blocks --- */

static void devpts_free(struct super_block *sb)
{
	struct devpts_sb *ds = container_of(sb, struct devpts_sb, sb);

	mutex_destroy(&ds->mu);
	sb_done(sb);
	free(ds);
}

static void devpts_show_options(struct super_block *sb, struct strbuf *b)
{
	struct devpts_sb *ds = container_of(sb, struct devpts_sb, sb);

	if (ds->has_uid)
		strbuf_addf(b, ",uid=%u", ds->uid);
	if (ds->has_gid)
		strbuf_addf(b, ",gid=%u", ds->gid);
	strbuf_addf(b, ",mode=%03o,ptmxmode=%03o", ds->mode, ds->ptmxmode);
	if (ds->max < PTY_MAX)
		strbuf_addf(b, ",max=%u", ds->max);
}

static const struct sb_ops devpts_sb_ops = {
	.state = &devpts_sb_state_type, .free = devpts_free, .show_options = devpts_show_options
};

static int parse_options(struct devpts_sb *ds, const char *options)
{
	_cleanup_free_ char *copy = strdup(options);
	char *p = copy, *key, *val, *end;

	if (!copy)
		return -ENOMEM;
	while (mount_option_next(&p, &key, &val)) {
		bool octal = !strcmp(key, "mode") || !strcmp(key, "ptmxmode");
		unsigned long v = strtoul(val, &end, octal ? 8 : 10);

		if (!strcmp(key, "newinstance"))
			continue;
		if (!*val || *end || v > UINT32_MAX || (octal && v > 07777))
			return -EINVAL;
		if (!strcmp(key, "uid")) {
			ds->uid = (uint32_t)v;
			ds->has_uid = true;
		} else if (!strcmp(key, "gid")) {
			ds->gid = (uint32_t)v;
			ds->has_gid = true;
		} else if (!strcmp(key, "mode")) {
			ds->mode = (uint32_t)v;
		} else if (!strcmp(key, "ptmxmode")) {
			ds->ptmxmode = (uint32_t)v;
		} else if (!strcmp(key, "max")) {
			ds->max = (uint32_t)MIN(v, (unsigned long)PTY_MAX);
		} else {
			return -EINVAL;
		}
	}
	return 0;
}

static const struct fs_type devpts_type;

static int devpts_make(const char *options, struct devpts_sb **ret)
{
	struct devpts_sb *ds = calloc(1, sizeof(*ds));
	struct inode *root, *ptmx;
	int err;

	if (!ds)
		return -ENOMEM;
	sb_init(&ds->sb, &devpts_sb_ops, &devpts_type, LINUX_DEVPTS_MAGIC);
	ds->sb.flags = SB_REAL_TREE;
	mutex_init(&ds->mu, "devpts.mu");
	ds->mode = 0600;
	ds->max = PTY_MAX;
	err = parse_options(ds, options);
	root = err ? NULL : pts_inode_new(ds, &pts_root_ops, 1, LINUX_S_IFDIR | 0755, 0, 0);
	if (root) {
		root->nlink = 2;
		ds->sb.root = dentry_new_root(&ds->sb, root);
	}
	ptmx = ds->sb.root ? pts_inode_new(ds, &pts_ptmx_ops, 2, LINUX_S_IFCHR | ds->ptmxmode, 0, 0) : NULL;
	if (ptmx)
		ptmx->rdev = dev_make(PTMX_MAJOR, PTMX_MINOR);
	if (!ptmx || !dentry_make_child(ds->sb.root, "ptmx", ptmx)) {
		dentry_put(TAKE_PTR(ds->sb.root));
		sb_put(&ds->sb);
		return err ? err : -ENOMEM;
	}
	*ret = ds;
	return 0;
}

static int devpts_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	struct devpts_sb *ds;
	int err = devpts_make(rq->options, &ds);

	if (!err)
		*ret = &ds->sb;
	return err;
}

int devpts_internal(struct devpts_sb **ret)
{
	return devpts_make("", ret);
}

static int devpts_check(const char *option)
{
	struct devpts_sb ds = { 0 };
	int err = mount_option_known("uid,gid,mode,ptmxmode,newinstance,max", option);

	return err ? err : parse_options(&ds, option);
}

static const struct fs_type devpts_type = { .name = "devpts", .mount = devpts_mount, .check = devpts_check, .nodev = true };
FS_TYPE_REGISTER(devpts_type)

/* --- state --- */

static void *devpts_sb_alloc(void)
{
	struct devpts_sb *ds = calloc(1, sizeof(*ds));

	if (ds) {
		ref_init(&ds->sb.ref);
		mutex_init(&ds->mu, "devpts.mu");
	}
	return ds;
}

static int devpts_sb_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct devpts_sb *ds = obj;
	Sentry__DevptsSb *m = msg;

	m->sb_base = state_new_msg(w, &sentry__super_block_base__descriptor);
	m->uid = ds->uid;
	m->gid = ds->gid;
	m->has_uid = ds->has_uid;
	m->has_gid = ds->has_gid;
	m->mode = ds->mode;
	m->ptmxmode = ds->ptmxmode;
	m->max = ds->max;
	return sb_save_base(w, &ds->sb, m->sb_base);
}

static int devpts_sb_load(struct state_reader *r, void *obj, const void *msg)
{
	struct devpts_sb *ds = obj;
	const Sentry__DevptsSb *m = msg;
	int err = sb_load_base(r, &ds->sb, &devpts_sb_ops, m->sb_base);

	if (!err)
		err = state_check(r, m->mode <= 07777 && m->ptmxmode <= 07777 && m->max <= PTY_MAX, "bad devpts options");
	if (err)
		return err;
	ds->sb.magic = LINUX_DEVPTS_MAGIC;
	ds->uid = m->uid;
	ds->gid = m->gid;
	ds->has_uid = m->has_uid;
	ds->has_gid = m->has_gid;
	ds->mode = m->mode;
	ds->ptmxmode = m->ptmxmode;
	ds->max = m->max;
	return 0;
}

const struct state_type devpts_sb_state_type = {
	.id = STATE_ID_devpts_sb,
	.name = "devpts_sb",
	.desc = &sentry__devpts_sb__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = devpts_sb_alloc,
	.save = devpts_sb_save,
	.load = devpts_sb_load,
	.get = sb_state_get,
	.put = sb_state_put,
};

static void *pts_inode_alloc(void)
{
	struct pts_inode *pi = calloc(1, sizeof(*pi));

	if (pi)
		ref_init(&pi->i.ref);
	return pi;
}

static int pts_inode_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct pts_inode *pi = obj;
	Sentry__PtsInode *m = msg;

	m->inode_base = state_new_msg(w, &sentry__inode_base__descriptor);
	m->tty = state_ref(w, &tty_state_type, pi->tty);
	return inode_save_base(w, &pi->i, m->inode_base);
}

static int pts_inode_load(struct state_reader *r, void *obj, const void *msg)
{
	struct pts_inode *pi = obj;
	const Sentry__PtsInode *m = msg;
	const struct inode_ops *ops = &pts_root_ops;
	void *tty = NULL;
	int err = state_check(r, m->inode_base && (m->tty ? LINUX_S_ISCHR(m->inode_base->mode) : true), "bad pts inode");

	if (err)
		return err;
	if (LINUX_S_ISCHR(m->inode_base->mode))
		ops = m->tty ? &pts_slave_ops : &pts_ptmx_ops;
	err = inode_load_base(r, &pi->i, ops, m->inode_base);
	if (!err)
		err = state_deref(r, m->tty, &tty_state_type, &tty);
	pi->tty = tty;
	return err;
}

static int pts_inode_after_load(struct state_reader *r, void *obj)
{
	struct pts_inode *pi = obj;
	struct devpts_sb *ds = devpts_of(pi->i.sb);
	int err = state_check(r, ds != NULL, "pts inode in a wrong file system");

	if (!err && pi->tty && !pi->tty->master_gone)
		ds->used[pi->tty->index / 64] |= 1ULL << (pi->tty->index & 63);
	return err;
}

const struct state_type pts_inode_state_type = {
	.id = STATE_ID_pts_inode,
	.name = "pts_inode",
	.desc = &sentry__pts_inode__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = pts_inode_alloc,
	.save = pts_inode_save,
	.load = pts_inode_load,
	.after_load = pts_inode_after_load,
	.get = inode_state_get,
	.put = inode_state_put,
};
