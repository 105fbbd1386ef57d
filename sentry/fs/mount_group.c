/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peer groups: who sees what is mounted where.
 *
 * A group is a number. Members (peer_group) copy each other's mounts; mounts with that number as master_group are its slaves and only receive; a
 * slave may be member of another group and pass on to it. A group lives as long as it has members: when the last one leaves, its slaves become slaves of
 * what that one was a slave of. All members of a group have the same master.
 *
 * Locks: mnt_mu for the numbers; namespace_mu for walks. Linux: fs/pnode.c, which has rings of pointers where we look numbers up in the list of
 * all mounts: mounting is rare and mounts are few.
 */
#include <stdlib.h>

#include "sentry/fs/mount_internal.h"

static _Atomic uint32_t next_group = 1;

uint32_t mount_new_group(void)
{
	return atomic_fetch_add(&next_group, 1);
}

void mount_groups_seen(uint32_t group)
{
	uint32_t next = atomic_load(&next_group);

	while (next <= group && group < UINT32_MAX && !atomic_compare_exchange_weak(&next_group, &next, group + 1))
		;
}

/* Leaves its group: as a slave of it while others are in it. */
static void leave_locked(struct mount *m)
{
	uint32_t g = m->peer_group;
	struct mount *o;

	if (!g)
		return;
	m->peer_group = 0;
	list_for_each(o, &all_mounts, all_node)
		if (o->peer_group == g) {
			m->master_group = g;
			return;
		}
	list_for_each(o, &all_mounts, all_node)
		if (o->master_group == g)
			o->master_group = m->master_group;
}

void mount_set_type_locked(struct mount *m, uint32_t type)
{
	if (type == LINUX_MS_SHARED) {
		if (!m->peer_group)
			m->peer_group = mount_new_group();
		m->unbindable = false;
		return;
	}
	leave_locked(m);
	if (type == LINUX_MS_SLAVE)
		return;
	m->master_group = 0;
	m->unbindable = type == LINUX_MS_UNBINDABLE;
}

/* --- walks --- */

/* Groups still to be walked, and those that were: each once, in the order they were found. */
struct walk {
	struct {
		uint32_t group;
		struct mount *source; /* what slaves of the group copy */
	} *v;
	size_t n, cap;
};

static int walk_add(struct walk *w, uint32_t group, struct mount *source)
{
	if (w->n == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 16;
		void *v = realloc(w->v, cap * sizeof(*w->v));

		if (!v)
			return -ENOMEM;
		w->v = v;
		w->cap = cap;
	}
	w->v[w->n].group = group;
	w->v[w->n++].source = source;
	return 0;
}

static bool walk_has(const struct walk *w, uint32_t group)
{
	for (size_t k = 0; k < w->n; k++)
		if (w->v[k].group == group)
			return true;
	return false;
}

int mount_receivers(struct mount *m, struct mount ***ret, size_t *n)
{
	struct mount *o, **v;
	struct walk w = { 0 };
	size_t max = 0;
	int err = 0;

	*ret = NULL;
	*n = 0;
	if (!m->peer_group)
		return 0;
	list_for_each(o, &all_mounts, all_node)
		max++;
	v = calloc(max, sizeof(*v));
	if (!v)
		return -ENOMEM;
	err = walk_add(&w, m->peer_group, NULL);
	for (size_t k = 0; !err && k < w.n; k++)
		list_for_each(o, &all_mounts, all_node) {
			if (o == m)
				continue;
			if (o->peer_group == w.v[k].group) {
				v[(*n)++] = o;
			} else if (o->master_group == w.v[k].group) {
				if (!o->peer_group)
					v[(*n)++] = o;
				else if (!walk_has(&w, o->peer_group))
					err = err ? err : walk_add(&w, o->peer_group, NULL);
			}
		}
	free(w.v);
	if (err) {
		free(v);
		*n = 0;
		return err;
	}
	*ret = v;
	return 0;
}

/* One copy of @source for @dest, unless what is mounted on does not show there. *@copy: it, or NULL. */
static int copy_for(struct mount *dest, struct dentry *mp, struct mount *source, uint32_t flags, struct list *list, struct mount **copy)
{
	struct mount *c = NULL;
	int err;

	*copy = NULL;
	if (!dest->ns || dest->ns->anon || dest->sb != mp->sb || !dentry_is_ancestor(dest->root, mp))
		return 0;
	if (mount_count(source) > MAX_MOUNTS - MIN(dest->ns->nr_mounts, MAX_MOUNTS))
		return -ENOSPC;
	err = mount_copy_tree(source, source->root, flags | COPY_RECURSIVE, &c);
	if (err)
		return err;
	c->op_path = (struct path){ .mnt = dest, .dentry = mp };
	list_add_tail(list, &c->op_node);
	*copy = c;
	return 0;
}

/* Copies for all of the group that @first is in: the first is a slave of the source's group, the others are its peers. */
static int copy_for_group(struct mount *first, struct dentry *mp, struct mount *source, struct list *list, struct mount **made)
{
	struct mount *m, *copy = NULL;
	int err = 0;

	*made = NULL;
	list_for_each(m, &all_mounts, all_node) {
		if (m->peer_group != first->peer_group || list_linked(&m->op_node))
			continue;
		err = copy_for(m, mp, *made ? *made : source, *made ? 0 : COPY_SLAVE | COPY_MAKE_SHARED, list, &copy);
		if (err)
			break;
		if (copy && !*made)
			*made = copy;
	}
	return err;
}

int mount_propagate(struct mount *dest, struct dentry *mp, struct mount *source, struct list *list)
{
	struct mount *m, *copy;
	struct walk w = { 0 };
	int err = walk_add(&w, dest->peer_group, source);

	/* Copies are in all_mounts too, at its end; being in no namespace they receive nothing. */
	list_for_each(m, &all_mounts, all_node) {
		if (err)
			break;
		if (m != dest && m->peer_group == dest->peer_group)
			err = copy_for(m, mp, source, 0, list, &copy);
	}
	for (size_t k = 0; !err && k < w.n; k++)
		list_for_each(m, &all_mounts, all_node) {
			struct mount *made = NULL, *src = w.v[k].source;

			if (m->master_group != w.v[k].group || !m->ns)
				continue;
			if (!m->peer_group) {
				err = copy_for(m, mp, src, COPY_SLAVE, list, &copy);
			} else if (!walk_has(&w, m->peer_group)) {
				err = copy_for_group(m, mp, src, list, &made);
				if (!err)
					err = walk_add(&w, m->peer_group, made ? made : src);
			}
			if (err)
				break;
		}
	free(w.v);
	return err;
}

uint32_t mount_visible_master(struct mount *m, const struct path *root)
{
	uint32_t g;

	mutex_guard(&namespace_mu);
	g = m->master_group;
	for (int hops = 0; g && hops < 1000; hops++) {
		struct mount *o, *any = NULL;

		list_for_each(o, &all_mounts, all_node) {
			struct mount *up = o;
			struct dentry *d = o->root;

			if (o->peer_group != g)
				continue;
			any = o;
			if (o->ns != m->ns)
				continue;
			while (up != root->mnt && up->parent) {
				d = up->mountpoint;
				up = up->parent;
			}
			if (up == root->mnt && dentry_is_ancestor(root->dentry, d))
				return g;
		}
		g = any ? any->master_group : 0;
	}
	return 0;
}
