/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees of mounts: copying, attaching, moving, detaching, pivoting. Contract in mount.h, propagation in mount_group.c.
 *
 * Every operation holds namespace_mu from its checks to its end, so the shape it checked is the shape it changes; allocation comes first and
 * the change itself, under mnt_mu, cannot fail. Victims are collected in a list by op_node, with what is to be put in op_path, and let go of
 * when both locks are free: the last reference on a mount may tear a file system down.
 * Linux: fs/namespace.c.
 */
#include <stdlib.h>

#include "sentry/fs/mount_internal.h"

/* --- shape --- */

struct mount *mount_child_at(const struct mount *parent, const struct dentry *mp)
{
	struct mount *m, *found = NULL;

	list_for_each(m, &parent->children, child_node)
		if (m->mountpoint == mp)
			found = m;
	return found;
}

void mount_link_locked(struct mount *m, struct mount *parent, struct dentry *mp)
{
	m->parent = mount_get(parent);
	m->mountpoint = dentry_get(mp);
	atomic_fetch_add(&mp->nr_mounted, 1);
	list_add_tail(&parent->children, &m->child_node);
}

void mount_unlink_locked(struct mount *m, struct path *old)
{
	*old = (struct path){ .mnt = m->parent, .dentry = m->mountpoint };
	if (!m->parent)
		return;
	atomic_fetch_sub(&m->mountpoint->nr_mounted, 1);
	list_del(&m->child_node);
	m->parent = NULL;
	m->mountpoint = NULL;
}

struct mount *mount_next(struct mount *m, struct mount *root, bool skip)
{
	if (!skip && !list_empty(&m->children))
		return list_first(&m->children, struct mount, child_node);
	for (; m != root; m = m->parent)
		if (m->child_node.next != &m->parent->children)
			return list_entry(m->child_node.next, struct mount, child_node);
	return NULL;
}

size_t mount_count(struct mount *top)
{
	size_t n = 0;

	for (struct mount *m = top; m; m = mount_next(m, top, false))
		n++;
	return n;
}

bool mount_is_ns_root(const struct mount *m)
{
	mutex_guard(&mnt_mu);
	return m->ns && m->ns->root == m && !m->ns->anon;
}

/* --- copies --- */

static struct mount *clone_one(struct mount *m, struct dentry *root, uint32_t flags)
{
	struct mount *n = mount_alloc(m->sb, root, m->flags, m->source);

	if (!n)
		return NULL;
	mutex_lock(&mnt_mu);
	if (flags & COPY_SLAVE) {
		n->master_group = m->peer_group;
	} else {
		n->peer_group = m->peer_group;
		n->master_group = m->master_group;
		n->unbindable = m->unbindable;
	}
	if (flags & COPY_MAKE_SHARED)
		mount_set_type_locked(n, LINUX_MS_SHARED);
	mutex_unlock(&mnt_mu);
	return n;
}

int mount_copy_tree(struct mount *m, struct dentry *root, uint32_t flags, struct mount **ret)
{
	struct mount *top, *s, *c;
	bool skip = false;

	if (m->unbindable && !(flags & COPY_UNBINDABLE))
		return -EINVAL;
	top = clone_one(m, root, flags);
	if (!top)
		return -ENOMEM;
	m->op_copy = top;
	for (s = flags & COPY_RECURSIVE ? mount_next(m, m, false) : NULL; s; s = mount_next(s, m, skip)) {
		skip = (s->unbindable && !(flags & COPY_UNBINDABLE)) || (s->parent == m && !dentry_is_ancestor(root, s->mountpoint));
		if (skip)
			continue;
		c = clone_one(s, s->root, flags);
		if (!c) {
			mutex_unlock(&namespace_mu);
			mount_drop_tree(top);
			mutex_lock(&namespace_mu);
			return -ENOMEM;
		}
		s->op_copy = c;
		mutex_lock(&mnt_mu);
		mount_link_locked(c, s->parent->op_copy, s->mountpoint);
		mutex_unlock(&mnt_mu);
	}
	*ret = top;
	return 0;
}

void mount_release_list(struct list *list)
{
	struct mount *m;

	while ((m = list_first(list, struct mount, op_node))) {
		struct path old = m->op_path;

		m->op_path = (struct path){ 0 };
		list_del(&m->op_node);
		dentry_put(old.dentry);
		mount_put_no_expire(old.mnt);
		mount_put_no_expire(m);
	}
}

void mount_drop_tree(struct mount *top)
{
	struct list gone = LIST_INIT(gone);
	struct mount *m;

	mutex_lock(&namespace_mu);
	for (m = top; m; m = mount_next(m, top, false))
		list_add(&gone, &m->op_node); /* children first */
	mutex_lock(&mnt_mu);
	list_for_each(m, &gone, op_node)
		mount_unlink_locked(m, &m->op_path);
	mutex_unlock(&mnt_mu);
	mutex_unlock(&namespace_mu);
	mount_release_list(&gone);
}

void mount_commit_locked(struct mount *top, struct mnt_ns *ns)
{
	for (struct mount *m = top; m; m = mount_next(m, top, false)) {
		m->ns = ns;
		list_add_tail(&ns->mounts, &m->ns_node);
		ns->nr_mounts++;
	}
}

/* --- attaching; namespace_mu held --- */

/* @where, followed to the top of what is mounted there: referenced. */
static int top_of(const struct path *where, struct path *ret)
{
	struct dentry *d;

	*ret = *where;
	path_get(ret);
	(void)mount_follow_down(ret); /* the caller's reference keeps all of it: nothing is freed here */
	d = ret->dentry;
	if (d->inode && (d->hashed || dentry_is_root(d) || d->disconnected))
		return 0;
	path_put(ret);
	return -ENOENT;
}

static bool is_shared(const struct mount *m)
{
	return m->peer_group != 0;
}

/* Groups for all mounts of the tree that have none; op_mark remembers which. */
static void make_shared_locked(struct mount *top)
{
	for (struct mount *m = top; m; m = mount_next(m, top, false)) {
		m->op_mark = !is_shared(m);
		mount_set_type_locked(m, LINUX_MS_SHARED);
	}
}

static void unmake_shared_locked(struct mount *top)
{
	for (struct mount *m = top; m; m = mount_next(m, top, false))
		if (m->op_mark) {
			m->peer_group = 0; /* nobody else is in the new group */
			m->op_mark = false;
		}
}

/* A copy that belongs at op_path; what is there already moves on top of it. */
static void commit_copy_locked(struct mount *c, struct list *gone)
{
	struct path at = c->op_path;
	struct mount *over = mount_child_at(at.mnt, at.dentry), *top = c, *next;

	c->op_path = (struct path){ 0 };
	if (over) {
		mount_unlink_locked(over, &over->op_path);
		while ((next = mount_child_at(top, top->root)))
			top = next;
	}
	mount_link_locked(c, at.mnt, at.dentry);
	mount_commit_locked(c, at.mnt->ns);
	if (over) {
		mount_link_locked(over, top, top->root);
		list_add_tail(gone, &mount_get(over)->op_node); /* what it held before is put there */
	}
}

/* Attaches the tree @source (a copy not yet anywhere, or one in @from_ns that moves) at @at, and copies of it at everybody's who gets what is
 * mounted there. Mounts whose old places are to be put go to @gone. */
static int attach_recursive(struct mount *source, const struct path *at, struct mnt_ns *from_ns, struct list *gone)
{
	struct mnt_ns *ns = at->mnt->ns;
	struct list copies = LIST_INIT(copies);
	struct mount *m, *tmp;
	size_t n = mount_count(source);
	int err = 0;

	if (from_ns != ns && n > MAX_MOUNTS - MIN(ns->nr_mounts, MAX_MOUNTS))
		return -ENOSPC;
	if (is_shared(at->mnt)) {
		mutex_lock(&mnt_mu);
		make_shared_locked(source);
		mutex_unlock(&mnt_mu);
		err = mount_propagate(at->mnt, at->dentry, source, &copies);
	}
	mutex_lock(&mnt_mu);
	if (err) {
		unmake_shared_locked(source);
		mutex_unlock(&mnt_mu);
		list_for_each_safe(m, tmp, &copies, op_node) { /* the tops; they become victims with all below */
			list_del(&m->op_node);
			m->op_path = (struct path){ 0 };
			mutex_unlock(&namespace_mu);
			mount_drop_tree(m);
			mutex_lock(&namespace_mu);
		}
		return err;
	}
	if (from_ns) {
		struct mount *next;

		mount_unlink_locked(source, &source->op_path);
		list_add_tail(gone, &mount_get(source)->op_node);
		for (m = from_ns == ns ? NULL : source; m; m = next) {
			next = mount_next(m, source, false);
			list_del(&m->ns_node); /* its reference goes along */
			from_ns->nr_mounts--;
		}
	}
	mount_link_locked(source, at->mnt, at->dentry);
	if (from_ns != ns)
		mount_commit_locked(source, ns);
	list_for_each_safe(m, tmp, &copies, op_node) {
		list_del(&m->op_node);
		commit_copy_locked(m, gone);
	}
	for (m = source; m; m = mount_next(m, source, false))
		m->op_mark = false;
	mutex_unlock(&mnt_mu);
	return 0;
}

/* Tells the namespaces of everybody in the propagation of @m. */
static void announce(struct mount *m, struct mnt_ns *also)
{
	struct mount **v = NULL;
	size_t n = 0;

	if (also)
		mnt_ns_changed(also);
	if (!m || mount_receivers(m, &v, &n) < 0)
		return;
	for (size_t k = 0; k < n; k++)
		if (v[k]->ns && v[k]->ns != also)
			mnt_ns_changed(v[k]->ns);
	free(v);
}

static int attach_new(struct mnt_ns *ns, const struct path *where, struct mount *source)
{
	struct list gone = LIST_INIT(gone);
	struct path at;
	int err = top_of(where, &at);

	if (err)
		return err;
	if (at.mnt->ns != ns)
		err = -EINVAL;
	if (!err && inode_is_dir(at.dentry->inode) != inode_is_dir(source->root->inode))
		err = -ENOTDIR;
	if (!err)
		err = attach_recursive(source, &at, NULL, &gone);
	if (!err)
		announce(at.mnt, ns);
	mutex_unlock(&namespace_mu);
	path_put(&at);
	mount_release_list(&gone);
	mutex_lock(&namespace_mu);
	return err;
}

int mount_attach(struct mnt_ns *ns, const struct path *where, struct super_block *sb, struct dentry *root, uint32_t flags,
		 const char *source, struct mount **ret)
{
	struct mount *m = mount_alloc(sb, root ? root : sb->root, flags, source);
	struct path at;
	int err;

	if (!m)
		return -ENOMEM;
	mutex_lock(&namespace_mu);
	err = top_of(where, &at);
	if (!err) {
		if (at.mnt->ns != ns)
			err = -EINVAL;
		else if (at.mnt->sb == sb && at.dentry == at.mnt->root)
			err = -EBUSY; /* the same file system on the same mount point */
	}
	if (!err)
		err = attach_new(ns, where, m);
	mutex_unlock(&namespace_mu);
	path_put(&at);
	if (!err && ret)
		*ret = mount_get(m);
	if (err)
		mount_put(m); /* else the namespace has it */
	return err;
}

int mount_bind(struct mnt_ns *ns, const struct path *from, const struct path *where, bool recursive, uint32_t flags_set)
{
	struct mount *top = NULL;
	int err;

	mutex_lock(&namespace_mu);
	err = from->mnt->unbindable ? -EINVAL : mount_copy_tree(from->mnt, from->dentry, recursive ? COPY_RECURSIVE : 0, &top);
	if (!err) {
		top->flags |= flags_set;
		err = attach_new(ns, where, top);
	}
	mutex_unlock(&namespace_mu);
	if (err && top)
		mount_drop_tree(top);
	return err;
}

static bool has_unbindable(struct mount *top)
{
	for (struct mount *m = top; m; m = mount_next(m, top, false))
		if (m->unbindable)
			return true;
	return false;
}

int mount_move(struct mnt_ns *ns, const struct path *from, const struct path *where)
{
	struct mount *m = from->mnt, *dropped = NULL;
	struct list gone = LIST_INIT(gone);
	struct mnt_ns *from_ns;
	struct path at;
	bool attached;
	int err;

	mutex_lock(&namespace_mu);
	err = top_of(where, &at);
	if (err) {
		mutex_unlock(&namespace_mu);
		return err;
	}
	from_ns = m->ns;
	attached = m->parent != NULL;
	err = -EINVAL;
	if (at.mnt->ns != ns || !from_ns || (attached ? from_ns != ns : !from_ns->anon))
		goto out;
	if (from->dentry != m->root || inode_is_dir(at.dentry->inode) != inode_is_dir(from->dentry->inode))
		goto out;
	if ((attached && is_shared(m->parent)) || (is_shared(at.mnt) && has_unbindable(m)))
		goto out;
	for (struct mount *c = at.mnt; c; c = c->parent)
		if (c == m) {
			err = -ELOOP;
			goto out;
		}
	err = attach_recursive(m, &at, from_ns, &gone);
	if (!err && !attached) {
		dropped = from_ns->root; /* its tree is somewhere now */
		from_ns->root = NULL;
	}
	if (!err)
		announce(at.mnt, ns);
out:
	mutex_unlock(&namespace_mu);
	path_put(&at);
	mount_release_list(&gone);
	mount_put_no_expire(dropped);
	return err;
}

/* --- detached trees --- */

static int anon_of(struct mount *top, struct mnt_ns **ret)
{
	struct mnt_ns *ns = mnt_ns_new_anon();

	if (!ns) {
		mount_drop_tree(top);
		return -ENOMEM;
	}
	mutex_lock(&namespace_mu);
	mutex_lock(&mnt_mu);
	mount_commit_locked(top, ns);
	ns->root = mount_get(top);
	mutex_unlock(&mnt_mu);
	mutex_unlock(&namespace_mu);
	*ret = ns;
	return 0;
}

int mount_new_anon(struct super_block *sb, struct dentry *root, uint32_t flags, const char *source, struct mnt_ns **ret)
{
	struct mount *m = mount_alloc(sb, root, flags, source);

	return m ? anon_of(m, ret) : -ENOMEM;
}

int mount_clone_anon(struct mnt_ns *ns, const struct path *from, bool recursive, struct mnt_ns **ret)
{
	struct mount *top = NULL;
	int err;

	mutex_lock(&namespace_mu);
	err = from->mnt->ns == ns ? mount_copy_tree(from->mnt, from->dentry, recursive ? COPY_RECURSIVE : 0, &top) : -EINVAL;
	mutex_unlock(&namespace_mu);
	return err ? err : anon_of(top, ret);
}

/* --- detaching --- */

/* @m would go: also what was propagated from it. Marks and lists (op_node) those that may go. namespace_mu held. */
static int add_propagated(struct list *victims)
{
	struct mount *m, *c, *tmp, **v;
	struct list more = LIST_INIT(more);
	bool changed = true;
	size_t n;
	int err;

	list_for_each(m, victims, op_node) {
		if (!m->parent)
			continue;
		err = mount_receivers(m->parent, &v, &n);
		if (err) {
			list_for_each(c, &more, op_node)
				c->op_mark = false;
			while ((c = list_first(&more, struct mount, op_node)))
				list_del(&c->op_node);
			return err;
		}
		for (size_t k = 0; k < n; k++) {
			c = v[k]->ns && !v[k]->ns->anon ? mount_child_at(v[k], m->mountpoint) : NULL;
			if (c && !c->op_mark) {
				c->op_mark = true;
				list_add_tail(&more, &c->op_node);
			}
		}
		free(v);
	}
	/* One that has something else mounted below stays, but for a mount that covers all of it. */
	while (changed) {
		changed = false;
		list_for_each_safe(m, tmp, &more, op_node) {
			bool busy = false;

			list_for_each(c, &m->children, child_node)
				busy = busy || (!c->op_mark && c->mountpoint != m->root);
			if (!busy)
				continue;
			m->op_mark = false;
			list_del(&m->op_node);
			changed = true;
		}
	}
	list_splice_tail(victims, &more);
	return 0;
}

/* Takes all of @victims (op_node, op_mark set) out of their trees. Both locks held. */
static void unmount_locked(struct list *victims)
{
	struct mount *m, *c, *tmp;
	struct list covered = LIST_INIT(covered);

	list_for_each(m, victims, op_node) {
		struct mount *parent = m->parent;
		struct dentry *mp = m->mountpoint;

		list_for_each_safe(c, tmp, &m->children, child_node) {
			if (c->op_mark || c->mountpoint != m->root || !parent)
				continue;
			if (parent->op_mark) { /* no place to take: it goes too, at the end of this list */
				for (struct mount *below = c; below; below = mount_next(below, c, false))
					if (!below->op_mark) {
						below->op_mark = true;
						list_add_tail(victims, &below->op_node);
					}
				continue;
			}
			/* What covers it takes its place. Its old hold on @m and m->root is put with it. */
			mount_unlink_locked(c, &c->op_path);
			mount_link_locked(c, parent, mp);
			list_add_tail(&covered, &mount_get(c)->op_node);
		}
		mount_unlink_locked(m, &m->op_path);
		mount_set_type_locked(m, LINUX_MS_PRIVATE);
		list_del(&m->ns_node);
		m->ns->nr_mounts--;
	}
	list_splice_tail(victims, &covered);
}

static void unmount_list(struct list *victims)
{
	struct mount *m;

	mutex_lock(&mnt_mu);
	unmount_locked(victims);
	mutex_unlock(&mnt_mu);
	list_for_each(m, victims, op_node)
		if (m->op_mark)
			mnt_ns_changed(m->ns);
	mutex_lock(&mnt_mu);
	list_for_each(m, victims, op_node)
		if (m->op_mark) {
			m->ns = NULL;
			m->op_mark = false;
		}
	mutex_unlock(&mnt_mu);
}

/* Is it, or one of those that would follow it, in use? */
static bool propagate_busy(struct mount *m, int refs)
{
	struct mount **v, *c;
	bool busy = !list_empty(&m->children) || ref_count(&m->ref) > refs;
	size_t n;

	if (busy || !m->parent || mount_receivers(m->parent, &v, &n) < 0)
		return busy;
	for (size_t k = 0; !busy && k < n; k++) {
		c = mount_child_at(v[k], m->mountpoint);
		busy = c && list_empty(&c->children) && ref_count(&c->ref) > 1;
	}
	free(v);
	return busy;
}

static int detach_checks(struct mnt_ns *ns, struct mount *m, uint32_t flags)
{
	if (m->ns != ns || (!m->parent && m->ns->root == m))
		return -EINVAL; /* not mounted here, or the root of the namespace */
	if (flags & LINUX_MNT_EXPIRE) {
		if (flags & (LINUX_MNT_FORCE | LINUX_MNT_DETACH))
			return -EINVAL;
		if (ref_count(&m->ref) > 2)
			return -EBUSY;
		if (!atomic_exchange(&m->expire, true))
			return -EAGAIN;
	}
	return !(flags & LINUX_MNT_DETACH) && propagate_busy(m, 2) ? -EBUSY : 0;
}

int mount_detach(struct mnt_ns *ns, struct mount *m, uint32_t flags)
{
	struct list victims = LIST_INIT(victims);
	struct mount *c;
	int err;

	mutex_lock(&namespace_mu);
	err = detach_checks(ns, m, flags);
	if (!err) {
		for (c = m; c; c = mount_next(c, m, false)) {
			c->op_mark = true;
			list_add_tail(&victims, &c->op_node);
		}
		err = add_propagated(&victims);
		if (err)
			while ((c = list_first(&victims, struct mount, op_node))) {
				c->op_mark = false;
				list_del(&c->op_node);
			}
	}
	unmount_list(&victims);
	mutex_unlock(&namespace_mu);
	mount_release_list(&victims);
	return err;
}

bool mount_is_local(struct mnt_ns *ns, struct dentry *d)
{
	struct mount *m;

	if (!atomic_load(&d->nr_mounted))
		return false;
	mutex_guard(&mnt_mu);
	list_for_each(m, &all_mounts, all_node)
		if (m->mountpoint == d && (!ns || m->ns == ns))
			return true;
	return false;
}

void mount_detach_dentry(struct dentry *d)
{
	struct list victims = LIST_INIT(victims);
	struct mount *m, *c;

	if (!atomic_load(&d->nr_mounted))
		return;
	mutex_lock(&namespace_mu);
	list_for_each(m, &all_mounts, all_node)
		if (m->mountpoint == d && m->ns)
			for (c = m; c; c = mount_next(c, m, false))
				if (!c->op_mark) {
					c->op_mark = true;
					list_add_tail(&victims, &c->op_node);
				}
	unmount_list(&victims);
	mutex_unlock(&namespace_mu);
	mount_release_list(&victims);
}

/* --- pivot_root --- */

/* Can @p be reached from @from going down? */
static bool reachable(const struct path *p, const struct path *from)
{
	struct mount *m = p->mnt;
	struct dentry *d = p->dentry;

	while (m != from->mnt && m->parent) {
		d = m->mountpoint;
		m = m->parent;
	}
	return m == from->mnt && dentry_is_ancestor(from->dentry, d);
}

static int pivot_checks(struct mnt_ns *ns, const struct path *new_root, const struct path *old, const struct path *root)
{
	struct mount *nm = new_root->mnt, *rm = root->mnt;

	if (is_shared(old->mnt) || (nm->parent && is_shared(nm->parent)) || (rm->parent && is_shared(rm->parent)))
		return -EINVAL;
	if (rm->ns != ns || nm->ns != ns || old->mnt->ns != ns)
		return -EINVAL;
	if (!new_root->dentry->hashed && !dentry_is_root(new_root->dentry))
		return -ENOENT;
	if (nm == rm || old->mnt == rm)
		return -EBUSY;
	if (root->dentry != rm->root || new_root->dentry != nm->root || !nm->parent)
		return -EINVAL;
	if (!rm->parent && ns->root != rm)
		return -EINVAL;
	return reachable(old, new_root) && reachable(new_root, root) ? 0 : -EINVAL;
}

int mount_pivot_root(struct mnt_ns *ns, const struct path *new_root, const struct path *put_old, const struct path *cur_root)
{
	struct mount *nm = new_root->mnt, *rm = cur_root->mnt, *was_root = NULL;
	struct path nold = { 0 }, rold = { 0 }, old;
	int err;

	mutex_lock(&namespace_mu);
	err = top_of(put_old, &old);
	if (err) {
		mutex_unlock(&namespace_mu);
		return err;
	}
	err = pivot_checks(ns, new_root, &old, cur_root);
	if (!err) {
		mutex_lock(&mnt_mu);
		mount_unlink_locked(nm, &nold);
		mount_unlink_locked(rm, &rold);
		if (rold.mnt)
			mount_link_locked(nm, rold.mnt, rold.dentry);
		mount_link_locked(rm, old.mnt, old.dentry);
		if (ns->root == rm) {
			was_root = rm;
			ns->root = mount_get(nm);
		}
		mutex_unlock(&mnt_mu);
		mnt_ns_changed(ns);
	}
	mutex_unlock(&namespace_mu);
	path_put(&old);
	path_put(&nold);
	path_put(&rold);
	mount_put(was_root);
	return err;
}

/* --- attributes --- */

int mount_change_attr(struct mnt_ns *ns, const struct path *at, const struct mount_attr_change *c)
{
	struct mount *top = at->mnt, *m;
	int err = 0;

	mutex_lock(&namespace_mu);
	if (at->dentry != top->root || !top->ns || (top->ns != ns && !top->ns->anon) || (top->parent && top->ns != ns))
		err = -EINVAL;
	/* All may become read-only, or none does. */
	for (m = top; m && !err; m = c->recursive ? mount_next(m, top, false) : NULL)
		if (c->set & LINUX_MS_RDONLY && !(m->flags & LINUX_MS_RDONLY) && atomic_load(&m->writers))
			err = -EBUSY;
	if (!err) {
		mutex_lock(&mnt_mu);
		for (m = top; m; m = c->recursive ? mount_next(m, top, false) : NULL) {
			m->flags = (m->flags & ~c->clear) | c->set;
			if (c->propagation)
				mount_set_type_locked(m, c->propagation);
		}
		mutex_unlock(&mnt_mu);
		mnt_ns_changed(top->ns);
	}
	mutex_unlock(&namespace_mu);
	return err;
}

/* @to shows part of what @from shows, of the same file system, so what is mounted there has a place (or none) in it. */
int mount_set_group(const struct path *from, const struct path *to)
{
	struct mount *f = from->mnt, *m = to->mnt;
	int err = 0;

	mutex_lock(&namespace_mu);
	if (!f->ns || !m->ns || from->dentry != f->root || to->dentry != m->root)
		err = -EINVAL;
	else if (m->sb != f->sb || !dentry_is_ancestor(f->root, m->root))
		err = -EINVAL;
	else if (m->peer_group || m->master_group || (!f->peer_group && !f->master_group))
		err = -EINVAL; /* only from one that is in a group to one that is in none */
	if (!err) {
		mutex_lock(&mnt_mu);
		m->peer_group = f->peer_group;
		m->master_group = f->master_group;
		mutex_unlock(&mnt_mu);
		mnt_ns_changed(m->ns);
	}
	mutex_unlock(&namespace_mu);
	return err;
}
