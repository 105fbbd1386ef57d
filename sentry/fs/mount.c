/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts: attach, bind, move, detach, pivot. Namespaces and their text are in mnt_ns.c.
 *
 * References: a namespace holds each of its mounts once (its list), a mount its parent, its mountpoint, its root, and one activation
 * of its super block. A mount that leaves the namespace lets go of parent and mountpoint; it lives on for open files.
 * Locks: mnt_mu guards all of that; nothing is put while it is held.
 * Linux: fs/namespace.c.
 */
#include "sentry/fs/mount.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/vfs.pb-c.h"
#include "sentry/fs/mount_internal.h"
#include "sentry/fs/vfs_state.h"

struct mutex mnt_mu = MUTEX_INIT("mnt_mu");
static _Atomic uint32_t next_id = 24;
static _Atomic uint32_t next_group = 1;

struct mount *mount_get(struct mount *m)
{
	if (m)
		ref_get(&m->ref);
	return m;
}

void mount_put(struct mount *m)
{
	if (!m || !ref_put(&m->ref))
		return;
	dentry_put(m->root);
	if (m->sb)
		sb_deactivate(m->sb);
	free(m->source);
	free(m->dest);
	free(m);
}

void path_put(struct path *p)
{
	dentry_put(p->dentry);
	mount_put(p->mnt);
	*p = (struct path){ 0 };
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
	list_init(&m->children);
	list_init(&m->child_node);
	list_init(&m->ns_node);
	return m;
}

int mount_kern(struct super_block *sb, struct mount **ret)
{
	struct mount *m = mount_alloc(sb, sb->root, 0, "none");

	if (!m)
		return -ENOMEM;
	*ret = m;
	return 0;
}

/* --- shape; mnt_mu held --- */

static void link_locked(struct mount *m, struct mount *parent, struct dentry *mp)
{
	m->parent = mount_get(parent);
	m->mountpoint = dentry_get(mp);
	atomic_fetch_add(&mp->nr_mounted, 1);
	list_add_tail(&parent->children, &m->child_node);
}

/* Takes @m off its parent; what it held is handed to the caller in *@old. */
static void unlink_locked(struct mount *m, struct path *old)
{
	*old = (struct path){ .mnt = m->parent, .dentry = m->mountpoint };
	if (!m->parent)
		return;
	atomic_fetch_sub(&m->mountpoint->nr_mounted, 1);
	list_del(&m->child_node);
	m->parent = NULL;
	m->mountpoint = NULL;
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
		struct mount *found = NULL, *m;
		struct path old = *p;

		mutex_lock(&mnt_mu);
		list_for_each(m, &p->mnt->children, child_node)
			if (m->mountpoint == p->dentry)
				found = m;
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

/* --- operations --- */

static int check_attach(const struct path *where, struct dentry *root)
{
	bool dir = inode_is_dir(root->inode);

	if (!where->dentry->inode || inode_is_dir(where->dentry->inode) != dir)
		return -ENOTDIR;
	return 0;
}

static int attach_alloced(struct mnt_ns *ns, const struct path *where, struct mount *m)
{
	int err = 0;

	mutex_lock(&mnt_mu);
	if (where->mnt->ns != ns) {
		err = -EINVAL;
	} else if (ns->nr_mounts >= MAX_MOUNTS) {
		err = -ENOSPC;
	} else {
		link_locked(m, where->mnt, where->dentry);
		mount_join_ns_locked(ns, m);
	}
	mutex_unlock(&mnt_mu);
	if (!err)
		mnt_ns_changed(ns);
	return err;
}

int mount_attach(struct mnt_ns *ns, const struct path *where, struct super_block *sb, struct dentry *root, uint32_t flags,
		 const char *source, struct mount **ret)
{
	struct mount *m;
	int err;

	if (!root)
		root = sb->root;
	err = check_attach(where, root);
	if (err)
		return err;
	m = mount_alloc(sb, root, flags, source);
	if (!m)
		return -ENOMEM;
	err = attach_alloced(ns, where, m);
	if (err || !ret) {
		mount_put(m);
		return err;
	}
	*ret = m;
	return 0;
}

static struct mount *clone_one(struct mount *m, struct dentry *root)
{
	struct mount *n = mount_alloc(m->sb, root, m->flags, m->source);

	if (n) {
		n->peer_group = m->peer_group;
		n->master_group = m->master_group;
	}
	return n;
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

/* Is @m below (@top, @dir)? Only called for mounts whose parent chain is stable enough: a racing move is the racer's problem. */
static bool mount_below(struct mount *m, struct mount *top, struct dentry *dir)
{
	bool below = false;
	struct dentry *mp = NULL;

	mutex_lock(&mnt_mu);
	for (struct mount *c = m; c->parent; c = c->parent)
		if (c->parent == top) {
			mp = dentry_get(c->mountpoint);
			break;
		}
	mutex_unlock(&mnt_mu);
	if (mp)
		below = dentry_is_ancestor(dir, mp);
	dentry_put(mp);
	return below;
}

int mount_bind(struct mnt_ns *ns, const struct path *from, const struct path *where, bool recursive, uint32_t flags_set)
{
	struct mount *top, **all = NULL, **copy = NULL;
	size_t n = 0;
	int err = check_attach(where, from->dentry);

	if (err)
		return err;
	if (from->mnt->unbindable)
		return -EINVAL;
	top = clone_one(from->mnt, from->dentry);
	if (!top)
		return -ENOMEM;
	top->flags |= flags_set;
	if (recursive) {
		all = mnt_ns_snapshot(ns, &n);
		copy = calloc(n + 1, sizeof(*copy));
		if (!all || !copy)
			err = -ENOMEM;
	}
	if (!err)
		err = attach_alloced(ns, where, top);
	for (size_t k = 0; !err && k < n; k++) {
		struct mount *m = all[k], *parent = NULL;
		struct path at;

		if (m == from->mnt || m->unbindable || !mount_below(m, from->mnt, from->dentry))
			continue;
		if (m->parent == from->mnt)
			parent = top;
		for (size_t j = 0; j < k && !parent; j++)
			if (all[j] == m->parent)
				parent = copy[j];
		if (!parent)
			continue;
		copy[k] = clone_one(m, m->root);
		if (!copy[k]) {
			err = -ENOMEM;
			break;
		}
		at = (struct path){ .mnt = parent, .dentry = m->mountpoint };
		err = attach_alloced(ns, &at, copy[k]);
	}
	for (size_t k = 0; copy && k < n; k++)
		mount_put(copy[k]);
	free(copy);
	mount_put_all(all, n);
	mount_put(top);
	return err;
}

int mount_move(struct mnt_ns *ns, const struct path *from, const struct path *where)
{
	struct mount *m = from->mnt;
	struct path old = { 0 };
	int err = check_attach(where, from->dentry);

	if (err)
		return err;
	if (from->dentry != m->root)
		return -EINVAL;
	mutex_lock(&mnt_mu);
	if (m->ns != ns || where->mnt->ns != ns || !m->parent)
		err = -EINVAL;
	for (struct mount *c = where->mnt; c && !err; c = c->parent)
		if (c == m)
			err = -ELOOP;
	if (!err) {
		unlink_locked(m, &old);
		link_locked(m, where->mnt, where->dentry);
	}
	mutex_unlock(&mnt_mu);
	path_put(&old);
	if (!err)
		mnt_ns_changed(ns);
	return err;
}

int mount_detach(struct mnt_ns *ns, struct mount *m, bool detach)
{
	struct mount *gone[MAX_MOUNTS], *c;
	struct path old[MAX_MOUNTS];
	size_t n = 0;
	int err = 0;

	mutex_lock(&mnt_mu);
	if (m->ns != ns || !m->parent)
		err = -EINVAL; /* not mounted here, or the root of the namespace */
	else if (!detach && (!list_empty(&m->children) || ref_count(&m->ref) > 2))
		err = -EBUSY;
	if (!err) {
		gone[n++] = m;
		for (size_t k = 0; k < n; k++)
			list_for_each(c, &gone[k]->children, child_node)
				gone[n++] = c; /* n stays below nr_mounts <= MAX_MOUNTS */
		for (size_t k = n; k-- > 0;) {
			unlink_locked(gone[k], &old[k]);
			list_del(&gone[k]->ns_node);
			gone[k]->ns = NULL;
			ns->nr_mounts--;
		}
	}
	mutex_unlock(&mnt_mu);
	for (size_t k = 0; k < n; k++) {
		path_put(&old[k]);
		mount_put(gone[k]);
	}
	if (!err)
		mnt_ns_changed(ns);
	return err;
}

int mount_pivot_root(struct mnt_ns *ns, const struct path *new_root, const struct path *put_old, const struct path *cur_root)
{
	struct mount *nm = new_root->mnt, *rm = cur_root->mnt;
	struct path nold = { 0 }, rold = { 0 };
	int err = 0;

	if (!inode_is_dir(new_root->dentry->inode) || !inode_is_dir(put_old->dentry->inode))
		return -ENOTDIR;
	if (new_root->dentry != nm->root || cur_root->dentry != rm->root)
		return -EINVAL;
	if (nm == rm)
		return -EBUSY;
	if (put_old->mnt == nm ? !dentry_is_ancestor(new_root->dentry, put_old->dentry) :
				 !mount_below(put_old->mnt, nm, new_root->dentry))
		return -EINVAL;
	mutex_lock(&mnt_mu);
	if (nm->ns != ns || rm->ns != ns || put_old->mnt->ns != ns || !nm->parent) {
		err = -EINVAL;
	} else {
		unlink_locked(nm, &nold);
		unlink_locked(rm, &rold);
		if (rold.mnt)
			link_locked(nm, rold.mnt, rold.dentry);
		link_locked(rm, put_old->mnt, put_old->dentry);
		if (ns->root == rm) {
			ns->root = mount_get(nm);
			/* the namespace's reference on rm is dropped below through rold's twin */
		} else {
			rm = NULL;
		}
	}
	mutex_unlock(&mnt_mu);
	path_put(&nold);
	path_put(&rold);
	if (err)
		return err;
	mount_put(rm);
	mnt_ns_changed(ns);
	return 0;
}

int mount_new(struct mnt_ns *ns, const struct path *where, const char *type, const struct mount_req *rq, uint32_t mnt_flags,
	      struct mount **ret)
{
	const struct fs_type *ft = fs_type_find(type);
	struct super_block *sb = NULL;
	int err;

	if (!ft || (ft->container_only && !rq->m))
		return -ENODEV;
	err = ft->mount(ft, rq, &sb);
	if (err)
		return err;
	err = mount_attach(ns, where, sb, NULL, mnt_flags, rq->source, ret);
	if (err && !sb->active) { /* nobody else uses it: let it be torn down */
		sb_activate(sb);
		sb_deactivate(sb);
	}
	sb_put(sb);
	return err;
}

int mount_want_write(const struct mount *m)
{
	return m && (m->flags & LINUX_MS_RDONLY || sb_rdonly(m->sb)) ? -EROFS : 0;
}

void mount_set_flags(struct mount *m, uint32_t flags)
{
	m->flags = flags;
	if (m->ns)
		mnt_ns_changed(m->ns);
}

static void set_one(struct mount *m, uint32_t type)
{
	if (type == LINUX_MS_SHARED) {
		if (!m->peer_group)
			m->peer_group = atomic_fetch_add(&next_group, 1);
	} else {
		if (type == LINUX_MS_SLAVE)
			m->master_group = m->peer_group ?: m->master_group;
		else
			m->master_group = 0;
		m->peer_group = 0;
	}
	m->unbindable = type == LINUX_MS_UNBINDABLE;
}

void mount_set_propagation(struct mount *m, uint32_t type, bool recursive)
{
	struct mnt_ns *ns = m->ns;
	struct mount *c;

	mutex_lock(&mnt_mu);
	set_one(m, type);
	if (recursive && ns)
		list_for_each(c, &ns->mounts, ns_node)
			for (struct mount *up = c->parent; up; up = up->parent)
				if (up == m) {
					set_one(c, type);
					break;
				}
	mutex_unlock(&mnt_mu);
	if (ns)
		mnt_ns_changed(ns);
}

uint32_t mount_flags_from_ms(uint64_t ms)
{
	uint32_t f = (uint32_t)ms & (LINUX_MS_RDONLY | LINUX_MS_NOSUID | LINUX_MS_NODEV | LINUX_MS_NOEXEC | LINUX_MS_NOATIME |
				     LINUX_MS_NODIRATIME | LINUX_MS_NOSYMFOLLOW);

	if (!(ms & (LINUX_MS_NOATIME | LINUX_MS_STRICTATIME)))
		f |= LINUX_MS_RELATIME;
	return f;
}

/* --- state --- */

static void *mount_state_alloc(void)
{
	struct mount *m = calloc(1, sizeof(*m));

	if (m) {
		ref_init(&m->ref);
		list_init(&m->children);
		list_init(&m->child_node);
		list_init(&m->ns_node);
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
	m->source = strdup(o->source);
	m->dest = o->has_dest ? strdup(o->dest) : NULL;
	if (!m->source || (o->has_dest && !m->dest))
		return -ENOMEM;
	next = atomic_load(&next_id);
	while (next <= m->id && m->id < UINT32_MAX && !atomic_compare_exchange_weak(&next_id, &next, m->id + 1))
		;
	next = MAX(m->peer_group, m->master_group);
	if (next_group <= next && next < UINT32_MAX)
		next_group = next + 1;
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
