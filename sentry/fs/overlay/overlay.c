/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay: super blocks and mounting. The root of every container by default: lower layer goferfs, upper a tmpfs nobody else sees.
 *
 * Checkpoint: overlay_state.c. Linux: fs/overlayfs/super.c. DEVIATION: mount(2) from inside answers -ENODEV: there is no upperdir in
 * somebody else's tree, names live in the overlay's own inodes.
 */
#include "sentry/fs/overlay/overlay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "sentry/fs/overlay/overlay_internal.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/memfile.h"
#include "state/state.h"

#define MAX_CACHED	  16384
#define MIN_CACHED	  256
#define MORE_CACHED_BELOW 1024 /* names below that nothing above holds */

static size_t max_cached = MIN_CACHED;

/* Descriptors are the limit; other containers and open files need some too. Asked early: the sandbox may not ask later. */
static void __attribute__((constructor)) ask_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	max_cached = MIN((size_t)l.rlim_max / 4, (size_t)MAX_CACHED);
	max_cached = MAX(max_cached, (size_t)MIN_CACHED);
}

void ovl_set_limits(struct ovl_sb *s)
{
	s->sb.max_cached = max_cached;
	s->lower->max_cached = max_cached + MORE_CACHED_BELOW;
}

static void ovl_shutdown(struct super_block *sb)
{
	struct ovl_sb *s = ovl_s(sb);

	for (;;) {
		struct ovl_inode *oi = NULL;
		size_t pos = 0;
		uint64_t key;
		void *val;

		mutex_lock(&s->table_mu);
		while (!oi && htab_next(&s->by_lower, &pos, &key, &val))
			if (((struct ovl_inode *)val)->pinned)
				oi = val;
		if (oi)
			oi->pinned = false;
		mutex_unlock(&s->table_mu);
		if (!oi)
			break;
		inode_put(&oi->i);
	}
	if (s->layers_active) {
		s->layers_active = false;
		sb_deactivate(s->upper);
		sb_deactivate(s->lower);
	}
}

static void ovl_sb_free(struct super_block *sb)
{
	struct ovl_sb *s = ovl_s(sb);

	if (s->layers_active) { /* never mounted */
		sb_deactivate(s->upper);
		sb_deactivate(s->lower);
	}
	sb_put(s->upper);
	sb_put(s->lower);
	htab_done(&s->by_lower);
	mutex_destroy(&s->table_mu);
	free(s->load_pins);
	sb_done(sb);
	free(s);
}

static int ovl_statfs(struct super_block *sb, struct task *t, struct dentry *d, struct linux_statfs *ret)
{
	struct super_block *up = ovl_s(sb)->upper;
	int err = up->ops->statfs(up, t, up->root, ret);

	ret->f_type = OVERLAY_MAGIC;
	/* A memory layer's room is also what memory has left: full tables of "0 of 0" or "nothing used" mislead installers and databases. */
	if (!err && ret->f_bsize) {
		uint64_t total = the_kernel->cfg.total_memory / (uint64_t)ret->f_bsize;
		uint64_t used = MIN(memfile_used(the_kernel->mf) / (uint64_t)ret->f_bsize, total);

		if (!ret->f_blocks)
			ret->f_blocks = ret->f_bfree = total;
		ret->f_bavail = ret->f_bfree = MIN((uint64_t)ret->f_bfree, total - used);
	}
	return err;
}

const struct sb_ops ovl_sb_ops = {
	.state = &overlay_sb_state_type,
	.shutdown = ovl_shutdown,
	.free = ovl_sb_free,
	.statfs = ovl_statfs,
};

static int ovl_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret);
static const struct fs_type ovl_type = { .name = "overlay", .mount = ovl_mount, .nodev = true, .container_only = true };
FS_TYPE_REGISTER(ovl_type)

static int new_upper(struct kernel *k, struct super_block **ret)
{
	const struct mount_req rq = { .k = k, .source = "overlay", .options = "mode=700,uid=0,gid=0,size=100%" };
	const struct fs_type *ft = fs_type_find("tmpfs");

	return ft ? ft->mount(ft, &rq, ret) : -ENODEV;
}

int overlay_new(struct kernel *k, struct super_block *lower, struct super_block **ret)
{
	struct super_block *upper = NULL;
	struct inode *root = NULL;
	struct ovl_sb *s;
	int err = new_upper(k, &upper);

	if (err)
		return err;
	s = calloc(1, sizeof(*s));
	if (!s) {
		sb_put(upper);
		return -ENOMEM;
	}
	sb_init(&s->sb, &ovl_sb_ops, &ovl_type, OVERLAY_MAGIC);
	mutex_init(&s->table_mu, "overlay.table_mu");
	s->sb.flags |= SB_ACL;
	s->sb.next_ino = OVERLAY_FIRST_INO;
	s->lower = sb_get(lower);
	lower->flags |= SB_FROZEN;
	s->upper = upper;
	ovl_set_limits(s);
	sb_activate(lower);
	sb_activate(upper);
	s->layers_active = true;
	err = ovl_inode_lower(s, NULL, dentry_get(lower->root), &root);
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

static int ovl_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	const struct fs_type *gofer = fs_type_find("gofer");
	struct super_block *lower = NULL;
	int err;

	if (!rq->m || !gofer)
		return -ENODEV;
	err = gofer->mount(gofer, rq, &lower);
	if (err)
		return err;
	err = overlay_new(rq->k, lower, ret);
	sb_put(lower); /* the overlay has its own */
	if (!err)
		(*ret)->ms_flags = rq->flags;
	return err;
}
