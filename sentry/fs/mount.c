/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts: the objects, crossing them, their flags. Trees of them are changed in mount_tree.c, peer groups are in mount_group.c, namespaces and
 * their text in mnt_ns.c.
 *
 * References: a namespace holds each of its mounts once (its list), a mount its parent, its mountpoint, its root, and one activation
 * of its super block. A mount that leaves the namespace lets go of parent and mountpoint; it lives on for open files.
 * Linux: fs/namespace.c.
 */
#include "sentry/fs/mount.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/vfs.pb-c.h"
#include "sentry/fs/fanotify.h"
#include "sentry/fs/mount_internal.h"
#include "sentry/kernel/task.h"
#include "sentry/fs/vfs_state.h"

struct mutex namespace_mu = MUTEX_INIT("namespace_mu");
struct mutex mnt_mu = MUTEX_INIT("mnt_mu");
struct list all_mounts = LIST_INIT(all_mounts);
static _Atomic uint32_t next_id = 24;

struct mount *mount_get(struct mount *m)
{
	if (m)
		ref_get(&m->ref);
	return m;
}

void mount_put_no_expire(struct mount *m)
{
	if (!m || !ref_put(&m->ref))
		return;
	mutex_lock(&mnt_mu);
	mount_set_type_locked(m, LINUX_MS_PRIVATE);
	list_del(&m->all_node);
	mutex_unlock(&mnt_mu);
	if (fanotify_active)
		fanotify_mount_gone(m);
	dentry_put(m->root);
	if (m->sb)
		sb_deactivate(m->sb);
	free(m->source);
	free(m->dest);
	free(m);
}

void mount_put(struct mount *m)
{
	if (m && atomic_load_explicit(&m->expire, memory_order_relaxed))
		atomic_store(&m->expire, false);
	mount_put_no_expire(m);
}

void path_put(struct path *p)
{
	dentry_put(p->dentry);
	mount_put(p->mnt);
	*p = (struct path){ 0 };
}

static void init_lists(struct mount *m)
{
	list_init(&m->children);
	list_init(&m->child_node);
	list_init(&m->ns_node);
	list_init(&m->op_node);
	mutex_lock(&mnt_mu);
	list_add_tail(&all_mounts, &m->all_node);
	mutex_unlock(&mnt_mu);
}

struct mount *mount_alloc(struct super_block *sb, struct dentry *root, uint32_t flags, const char *source)
{
	struct mount *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->source = strdup(source);
	if (!m->source) {
		free(m);
		return NULL;
	}
	ref_init(&m->ref);
	sb_activate(sb);
	m->sb = sb;
	m->root = dentry_get(root);
	m->flags = flags;
	m->id = atomic_fetch_add(&next_id, 1);
	init_lists(m);
	return m;
}

int mount_kern(struct super_block *sb, struct mount **ret)
{
	struct mount *m = mount_alloc(sb, sb->root, 0, "none");

	if (!m)
		return -ENOMEM;
	m->kern = true;
	*ret = m;
	return 0;
}

void mount_join_ns_locked(struct mnt_ns *ns, struct mount *m)
{
	m->ns = ns;
	list_add_tail(&ns->mounts, &mount_get(m)->ns_node);
	ns->nr_mounts++;
}

void mnt_ns_changed(struct mnt_ns *ns)
{
	mutex_lock(&mnt_mu);
	ns->event++;
	mutex_unlock(&mnt_mu);
	waitq_wake(&ns->wq, 0x0002 | 0x0008); /* POLLPRI | POLLERR */
}

bool mount_follow_down(struct path *p)
{
	bool moved = false;

	while (atomic_load(&p->dentry->nr_mounted)) {
		struct path old = *p;
		struct mount *found;

		mutex_lock(&mnt_mu);
		found = mount_child_at(p->mnt, p->dentry);
		if (found) {
			p->mnt = mount_get(found);
			p->dentry = dentry_get(found->root);
		}
		mutex_unlock(&mnt_mu);
		if (!found)
			break;
		path_put(&old);
		moved = true;
	}
	return moved;
}

bool mount_follow_up(struct path *p)
{
	struct path up = { 0 }, old = *p;

	mutex_lock(&mnt_mu);
	if (p->mnt->parent) {
		up.mnt = mount_get(p->mnt->parent);
		up.dentry = dentry_get(p->mnt->mountpoint);
	}
	mutex_unlock(&mnt_mu);
	if (!up.mnt)
		return false;
	*p = up;
	path_put(&old);
	return true;
}

/* The mounts of @ns in order, referenced; NULL-terminated. */
struct mount **mnt_ns_snapshot(struct mnt_ns *ns, size_t *n)
{
	struct mount **v, *m;
	size_t max;

	mutex_lock(&mnt_mu);
	max = ns->nr_mounts;
	v = calloc(max + 1, sizeof(*v));
	*n = 0;
	if (v)
		list_for_each(m, &ns->mounts, ns_node)
			v[(*n)++] = mount_get(m);
	mutex_unlock(&mnt_mu);
	return v;
}

void mount_put_all(struct mount **v, size_t n)
{
	for (size_t k = 0; v && k < n; k++)
		mount_put(v[k]);
	free(v);
}

int mount_make_sb(const char *type, const struct mount_req *rq, struct super_block **ret)
{
	const struct fs_type *ft = fs_type_find(type);

	if (!ft || (ft->container_only && !rq->m))
		return -ENODEV;
	if (ft->initial_only && rq->t && rq->t->cred->user_ns)
		return -EPERM;
	return ft->mount(ft, rq, ret);
}

void mount_sb_drop_unused(struct super_block *sb)
{
	if (!sb->active) { /* nobody else uses it: let it be torn down */
		sb_activate(sb);
		sb_deactivate(sb);
	}
	sb_put(sb);
}

int mount_new(struct mnt_ns *ns, const struct path *where, const char *type, const struct mount_req *rq, uint32_t mnt_flags,
	      struct mount **ret)
{
	struct super_block *sb = NULL;
	int err = mount_make_sb(type, rq, &sb);

	if (err)
		return err;
	err = mount_attach(ns, where, sb, NULL, mnt_flags, rq->source, ret);
	mount_sb_drop_unused(sb);
	return err;
}

int mount_want_write(const struct mount *m)
{
	return m && (m->flags & LINUX_MS_RDONLY || sb_rdonly(m->sb)) ? -EROFS : 0;
}

void mount_get_writer(struct mount *m)
{
	if (m)
		atomic_fetch_add(&m->writers, 1);
}

void mount_put_writer(struct mount *m)
{
	if (m)
		atomic_fetch_sub(&m->writers, 1);
}

void mount_set_flags(struct mount *m, uint32_t flags)
{
	m->flags = flags;
	if (m->ns)
		mnt_ns_changed(m->ns);
}

int mount_remount(struct mount *m, uint32_t flags)
{
	if (flags & ~m->flags & LINUX_MS_RDONLY && atomic_load(&m->writers))
		return -EBUSY;
	mount_set_flags(m, flags);
	return 0;
}

int mount_sb_may_ro(struct super_block *sb)
{
	struct mount *m;

	mutex_guard(&mnt_mu);
	list_for_each(m, &all_mounts, all_node)
		if (m->sb == sb && atomic_load(&m->writers))
			return -EBUSY;
	return 0;
}

uint32_t mount_flags_from_ms(uint64_t ms)
{
	uint32_t f = (uint32_t)ms & (LINUX_MS_RDONLY | LINUX_MS_NOSUID | LINUX_MS_NODEV | LINUX_MS_NOEXEC | LINUX_MS_NOATIME |
				     LINUX_MS_NODIRATIME | LINUX_MS_NOSYMFOLLOW);

	if (ms & LINUX_MS_STRICTATIME)
		return f & ~LINUX_MS_NOATIME;
	return ms & LINUX_MS_NOATIME ? f : f | LINUX_MS_RELATIME;
}

/* --- state --- */

static void *mount_state_alloc(void)
{
	struct mount *m = calloc(1, sizeof(*m));

	if (m) {
		ref_init(&m->ref);
		init_lists(m);
	}
	return m;
}

static int mount_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct mount *m = obj;
	Sentry__Mount *o = msg;
	int err = state_save_check(w, m->sb->ops->state, "an O_PATH descriptor of a nameless file cannot be saved");

	if (err)
		return err;
	o->sb = sb_state_ref(w, m->sb);
	o->root = state_ref(w, &dentry_state_type, m->root);
	o->parent = state_ref(w, &mount_state_type, m->parent);
	o->mountpoint = state_ref(w, &dentry_state_type, m->mountpoint);
	o->ns = state_ref(w, &mnt_ns_state_type, m->ns);
	o->id = m->id;
	o->flags = m->flags;
	o->source = state_strdup(w, m->source);
	o->peer_group = m->peer_group;
	o->master_group = m->master_group;
	o->unbindable = m->unbindable;
	o->expire = m->expire;
	o->dest = state_strdup(w, m->dest);
	o->has_dest = m->dest != NULL;
	return 0;
}

static int mount_load(struct state_reader *r, void *obj, const void *msg)
{
	struct mount *m = obj;
	const Sentry__Mount *o = msg;
	void *root = NULL, *parent = NULL, *mp = NULL, *ns = NULL;
	uint32_t next;
	int err = sb_state_deref(r, o->sb, &m->sb);

	if (!err)
		err = state_deref(r, o->root, &dentry_state_type, &root);
	if (!err)
		err = state_deref(r, o->parent, &mount_state_type, &parent);
	if (!err)
		err = state_deref(r, o->mountpoint, &dentry_state_type, &mp);
	if (!err)
		err = state_deref(r, o->ns, &mnt_ns_state_type, &ns);
	if (!err)
		err = state_check(r, m->sb && root, "no super block or root");
	if (!err)
		err = state_check(r, !parent == !mp && parent != m, "bad parent");
	if (err)
		return err;
	m->root = root;
	m->parent = parent;
	m->mountpoint = mp;
	m->ns = ns;
	m->id = o->id;
	m->flags = o->flags;
	m->peer_group = o->peer_group;
	m->master_group = o->master_group;
	m->unbindable = o->unbindable;
	m->expire = o->expire;
	m->source = strdup(o->source);
	m->dest = o->has_dest ? strdup(o->dest) : NULL;
	if (!m->source || (o->has_dest && !m->dest))
		return -ENOMEM;
	next = atomic_load(&next_id);
	while (next <= m->id && m->id < UINT32_MAX && !atomic_compare_exchange_weak(&next_id, &next, m->id + 1))
		;
	mount_groups_seen(MAX(m->peer_group, m->master_group));
	return 0;
}

static int mount_after_load(struct state_reader *r, void *obj)
{
	struct mount *m = obj;
	size_t depth = 0;
	int err;

	/* sb_activate() takes the reference that activity needs; the loaded one is handed in. */
	sb_activate(m->sb);
	sb_put(m->sb);
	for (struct mount *c = m; c->parent; c = c->parent)
		if (++depth > MAX_MOUNTS)
			break;
	err = state_check(r, depth <= MAX_MOUNTS, "parents form a loop");
	if (!err)
		err = state_check(r, m->root->inode && (!m->mountpoint || m->mountpoint->inode), "mounted on or from nothing");
	if (err)
		return err;
	if (m->ns)
		mnt_ns_put(m->ns); /* not referenced at run time */
	if (m->parent) {
		struct mount *after = NULL, *c;

		atomic_fetch_add(&m->mountpoint->nr_mounted, 1);
		/* Stacked mounts: order by namespace position is the order of ids, which grow. */
		list_for_each(c, &m->parent->children, child_node)
			if (c->id < m->id)
				after = c;
		list_add(after ? &after->child_node : &m->parent->children, &m->child_node);
	}
	return 0;
}

static void mount_state_get(void *m)
{
	(void)mount_get(m);
}

static void mount_state_put(void *obj)
{
	struct mount *m = obj;

	if (m->source)
		mount_put(m);
}

const struct state_type mount_state_type = {
	.id = STATE_ID_mount,
	.name = "mount",
	.desc = &sentry__mount__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = mount_state_alloc,
	.save = mount_save,
	.load = mount_load,
	.after_load = mount_after_load,
	.get = mount_state_get,
	.put = mount_state_put,
};
