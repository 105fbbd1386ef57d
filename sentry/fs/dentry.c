/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of names: hashing, moving, shrinking, saving.
 *
 * Invariants (under sb->d_mu): a hashed dentry is in its parent's table and child_list and is held by one reference for that; every
 * dentry holds its parent; children of a directory have distinct names and growing cookies. A dentry's last reference can only be
 * dropped once it is unhashed, so freeing needs no lock.
 *
 * Checkpoint: see dentry.h; the table is rebuilt from parents and names. Linux: fs/dcache.c.
 */
#include "sentry/fs/dentry.h"

#include <string.h>

#include "schemas/vfs.pb-c.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/notify.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/vfs_state.h"

#define FIRST_COOKIE 2 /* "." and ".." come first in listings */

struct dentry *dentry_get(struct dentry *d)
{
	ref_get(&d->ref);
	return d;
}

static void dentry_free(struct dentry *d)
{
	if (d->sb->ops->d_release)
		d->sb->ops->d_release(d);
	if (fsnotify_active && d->inode && !d->inode->nlink && !inode_is_dir(d->inode))
		fsnotify_deleted(d->inode);
	if (d->by_name) {
		htab_done(d->by_name);
		free(d->by_name);
	}
	inode_put(d->inode);
	free(d->name);
	free(d);
}

void dentry_put(struct dentry *d)
{
	while (d && ref_put(&d->ref)) {
		struct dentry *parent = d->parent == d ? NULL : d->parent;

		dentry_free(d);
		d = parent;
	}
}

static struct dentry *dentry_alloc(struct super_block *sb, const char *name, size_t len)
{
	struct dentry *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->name = malloc(len + 1);
	if (!d->name) {
		free(d);
		return NULL;
	}
	memcpy(d->name, name, len);
	d->name[len] = '\0';
	d->name_len = len;
	d->hash = hash_bytes(name, len);
	d->sb = sb;
	d->next_cookie = FIRST_COOKIE;
	ref_init(&d->ref);
	list_init(&d->child_list);
	list_init(&d->child_node);
	list_init(&d->lru_node);
	return d;
}

struct dentry *dentry_new_root(struct super_block *sb, struct inode *root)
{
	struct dentry *d = dentry_alloc(sb, "/", 1);

	if (!d) {
		inode_put(root);
		return NULL;
	}
	d->parent = d;
	d->inode = root;
	return d;
}

struct dentry *dentry_new(struct dentry *parent, const char *name, size_t len)
{
	struct dentry *d = dentry_alloc(parent->sb, name, len);

	if (d)
		d->parent = dentry_get(parent);
	return d;
}

/* --- the hash of children; d_mu held --- */

static struct dentry *find_locked(struct dentry *parent, const char *name, size_t len, uint64_t hash)
{
	struct dentry *d = parent->by_name ? htab_get(parent->by_name, hash) : NULL;

	for (; d; d = d->chain)
		if (d->name_len == len && !memcmp(d->name, name, len))
			return d;
	return NULL;
}

static int hash_locked(struct dentry *d)
{
	struct dentry *p = d->parent, *old;

	if (!p->by_name) {
		p->by_name = calloc(1, sizeof(*p->by_name));
		if (!p->by_name)
			return -ENOMEM;
	}
	old = htab_get(p->by_name, d->hash);
	d->chain = old;
	if (htab_put(p->by_name, d->hash, d) < 0) {
		d->chain = NULL;
		return -ENOMEM;
	}
	d->hashed = true;
	if (!d->cookie)
		d->cookie = p->next_cookie++;
	list_add_tail(&p->child_list, &d->child_node);
	return 0;
}

static void unhash_locked(struct dentry *d)
{
	struct dentry *p = d->parent, *head = htab_get(p->by_name, d->hash);

	if (head == d) {
		if (!d->chain || htab_put(p->by_name, d->hash, d->chain) < 0)
			(void)htab_del(p->by_name, d->hash);
	} else {
		while (head->chain != d)
			head = head->chain;
		head->chain = d->chain;
	}
	d->chain = NULL;
	d->hashed = false;
	list_del(&d->child_node);
}

static bool cached_fs(const struct super_block *sb)
{
	return !(sb->flags & (SB_REAL_TREE | SB_PINNED));
}

void dentry_add(struct dentry *d, struct inode *i)
{
	struct super_block *sb = d->sb;
	bool shrink = false;

	mutex_lock(&sb->d_mu);
	d->inode = i;
	/* Out of memory: the dentry works for its holder but is not found again; for a real tree that would lose a file, so die loudly
	 * (the table grows by doubling: this is start-up sized memory, not guest-sized content). */
	if (hash_locked(d) == 0) {
		dentry_get(d);
		if (cached_fs(sb)) {
			list_add_tail(&sb->lru, &d->lru_node);
			shrink = ++sb->nr_cached > sb->max_cached;
		}
	} else if (!cached_fs(sb)) {
		abort();
	}
	mutex_unlock(&sb->d_mu);
	if (shrink)
		dcache_shrink(sb, 64);
}

void dentry_instantiate(struct dentry *d, struct inode *i)
{
	mutex_guard(&d->sb->d_mu);
	d->inode = i;
}

void dentry_unhash(struct dentry *d)
{
	struct super_block *sb = d->sb;
	bool was;

	mutex_lock(&sb->d_mu);
	was = d->hashed;
	if (was) {
		unhash_locked(d);
		if (list_linked(&d->lru_node)) {
			list_del(&d->lru_node);
			sb->nr_cached--;
		}
	}
	mutex_unlock(&sb->d_mu);
	if (was)
		dentry_put(d);
}

struct dentry *dentry_cached_child(struct dentry *parent, const char *name, size_t len)
{
	uint64_t hash = hash_bytes(name, len);
	struct dentry *d;

	mutex_guard(&parent->sb->d_mu);
	d = find_locked(parent, name, len, hash);
	if (d) {
		d->referenced = true;
		dentry_get(d);
	}
	return d;
}

int dentry_move(struct dentry *d, struct dentry *parent, const char *name, size_t len)
{
	struct dentry *old_parent;
	char *copy = malloc(len + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, name, len);
	copy[len] = '\0';
	mutex_lock(&d->sb->d_mu);
	if (!parent->by_name) {
		parent->by_name = calloc(1, sizeof(*parent->by_name));
		if (!parent->by_name) {
			mutex_unlock(&d->sb->d_mu);
			free(copy);
			return -ENOMEM;
		}
	}
	if (d->hashed)
		unhash_locked(d);
	else
		dentry_get(d);
	free(d->name);
	d->name = copy;
	d->name_len = len;
	d->hash = hash_bytes(name, len);
	d->disconnected = d->no_link = false;
	old_parent = d->parent;
	d->parent = dentry_get(parent);
	d->cookie = 0;
	if (hash_locked(d) < 0)
		abort(); /* only the doubling of a table can fail here; the name would be lost */
	mutex_unlock(&d->sb->d_mu);
	dentry_put(old_parent);
	return 0;
}

int dentry_exchange(struct dentry *a, struct dentry *b)
{
	struct dentry *pa, *pb;

	mutex_guard(&a->sb->d_mu);
	if (!a->hashed || !b->hashed)
		return -ENOENT;
	unhash_locked(a);
	unhash_locked(b);
	pa = a->parent;
	pb = b->parent;
	a->parent = pb;
	b->parent = pa;
#define SWAP(f)                                                                                    \
	do {                                                                                       \
		__typeof__(a->f) tmp = a->f;                                                       \
		a->f = b->f;                                                                       \
		b->f = tmp;                                                                        \
	} while (0)
	SWAP(name);
	SWAP(name_len);
	SWAP(hash);
#undef SWAP
	a->cookie = b->cookie = 0;
	if (hash_locked(a) < 0 || hash_locked(b) < 0)
		abort();
	return 0;
}

struct dentry *dentry_parent_get(struct dentry *d)
{
	mutex_guard(&d->sb->d_mu);
	return dentry_get(d->parent);
}

bool dentry_is_ancestor(struct dentry *anc, struct dentry *d)
{
	if (anc->sb != d->sb)
		return false;
	mutex_guard(&d->sb->d_mu);
	for (;; d = d->parent) {
		if (d == anc)
			return true;
		if (d->parent == d)
			return false;
	}
}

bool dentry_has_children(struct dentry *d)
{
	struct dentry *c;

	mutex_guard(&d->sb->d_mu);
	list_for_each(c, &d->child_list, child_node)
		if (c->inode)
			return true;
	return false;
}

struct dentry *dentry_next_child(struct dentry *d, uint64_t from)
{
	struct dentry *c;

	mutex_guard(&d->sb->d_mu);
	list_for_each(c, &d->child_list, child_node)
		if (c->cookie >= from && c->inode)
			return dentry_get(c);
	return NULL;
}

char *dentry_name(struct dentry *d)
{
	mutex_guard(&d->sb->d_mu);
	return strdup(d->name);
}

struct dentry *dentry_make_child(struct dentry *parent, const char *name, struct inode *i)
{
	struct inode *dir = parent->inode;
	struct dentry *d = dentry_new(parent, name, strlen(name));

	if (!d) {
		inode_put(i);
		return NULL;
	}
	mutex_lock(&dir->mu);
	dentry_add(d, i);
	mutex_unlock(&dir->mu);
	if (inode_is_dir(i))
		inode_set_nlink(dir, 1);
	dentry_put(d); /* the tree holds it */
	return d;
}

/* --- shrinking --- */

/* Puts a list linked through lru_node, whose members are unhashed and held once. */
static void put_all(struct list *gone)
{
	struct dentry *d;

	while ((d = list_first(gone, struct dentry, lru_node))) {
		list_del(&d->lru_node);
		dentry_put(d);
	}
}

void dcache_shrink(struct super_block *sb, size_t n)
{
	struct list gone = LIST_INIT(gone);
	size_t left, dropped = 0;

	do {
		struct dentry *d, *tmp;

		dropped = 0;
		mutex_lock(&sb->d_mu);
		left = n ? n * 4 : sb->nr_cached;
		list_for_each_safe(d, tmp, &sb->lru, lru_node) {
			if (!left-- || (n && dropped == n))
				break;
			list_del(&d->lru_node);
			/* Only the tree holds it, and it can only be found under d_mu. */
			if (ref_count(&d->ref) == 1 && (!n || !d->referenced)) {
				unhash_locked(d);
				sb->nr_cached--;
				list_add_tail(&gone, &d->lru_node);
				dropped++;
			} else {
				d->referenced = false;
				list_add_tail(&sb->lru, &d->lru_node);
			}
		}
		mutex_unlock(&sb->d_mu);
		put_all(&gone);
	} while (!n && dropped); /* children went; their parents may go now */
}

void dcache_prune(struct dentry *top)
{
	struct super_block *sb = top->sb;
	struct list gone = LIST_INIT(gone);
	size_t dropped;

	if (!cached_fs(sb))
		return;
	do {
		struct dentry *d, *tmp;

		dropped = 0;
		mutex_lock(&sb->d_mu);
		list_for_each_safe(d, tmp, &sb->lru, lru_node) {
			struct dentry *up = d;

			if (ref_count(&d->ref) != 1)
				continue;
			while (up != top && up->parent != up)
				up = up->parent;
			if (up != top || d == top)
				continue;
			list_del(&d->lru_node);
			unhash_locked(d);
			sb->nr_cached--;
			list_add_tail(&gone, &d->lru_node);
			dropped++;
		}
		mutex_unlock(&sb->d_mu);
		put_all(&gone);
	} while (dropped);
}

/* The file system is going away: takes every dentry off the tree, leaves first. Those somebody holds live on unhashed. */
void dcache_kill_tree(struct dentry *root)
{
	struct super_block *sb = root->sb;
	struct list gone = LIST_INIT(gone);
	struct dentry *d = root;

	mutex_lock(&sb->d_mu);
	for (;;) {
		struct dentry *c = list_first(&d->child_list, struct dentry, child_node), *up;

		if (c) {
			d = c;
			continue;
		}
		if (d == root)
			break;
		up = d->parent;
		unhash_locked(d);
		if (list_linked(&d->lru_node)) {
			list_del(&d->lru_node);
			sb->nr_cached--;
		}
		list_add_tail(&gone, &d->lru_node);
		d = up;
	}
	mutex_unlock(&sb->d_mu);
	put_all(&gone);
}

/* --- state --- */

static void *dentry_state_alloc(void)
{
	struct dentry *d = calloc(1, sizeof(*d));

	if (d) {
		ref_init(&d->ref);
		list_init(&d->child_list);
		list_init(&d->child_node);
		list_init(&d->lru_node);
	}
	return d;
}

static int dentry_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct dentry *d = obj;
	Sentry__Dentry *m = msg;

	m->parent = d->parent == d ? 0 : state_ref(w, &dentry_state_type, d->parent);
	m->name = state_strdup(w, d->name);
	m->inode = inode_state_ref(w, d->inode);
	m->hashed = d->hashed;
	m->disconnected = d->disconnected;
	m->no_link = d->no_link;
	m->cookie = d->cookie;
	m->next_cookie = d->next_cookie;
	if (d->sb->flags & SB_REAL_TREE) {
		const struct dentry *c;
		size_t n = 0;

		list_for_each(c, &d->child_list, child_node)
			n++;
		m->children = state_zalloc(w, n, sizeof(*m->children));
		list_for_each(c, &d->child_list, child_node)
			m->children[m->n_children++] = state_ref(w, &dentry_state_type, c);
	}
	return 0;
}

static int dentry_load(struct state_reader *r, void *obj, const void *msg)
{
	struct dentry *d = obj;
	const Sentry__Dentry *m = msg;
	struct inode *i = NULL;
	void *p = NULL;
	int err;

	d->name = strdup(m->name);
	if (!d->name)
		return -ENOMEM;
	d->name_len = strlen(d->name);
	err = state_check(r, d->name_len > 0 && d->name_len <= LINUX_NAME_MAX + 16, "bad name length");
	if (!err)
		err = state_check(r, !m->parent || (!strchr(d->name, '/') && strcmp(d->name, ".") && strcmp(d->name, "..")), "bad name");
	if (!err)
		err = state_deref(r, m->parent, &dentry_state_type, &p);
	if (!err)
		err = state_check(r, p != d, "is its own parent");
	if (!err)
		err = inode_state_deref(r, m->inode, &i);
	if (!err)
		err = state_check(r, m->parent || i, "root without inode");
	if (err)
		return err;
	d->parent = p ? p : d;
	d->inode = i;
	d->hash = hash_bytes(d->name, d->name_len);
	d->hashed = m->hashed && m->parent;
	d->disconnected = m->disconnected;
	d->no_link = m->no_link;
	d->cookie = m->cookie;
	d->next_cookie = MAX(m->next_cookie, (uint64_t)FIRST_COOKIE);
	/* Children link themselves to their parent in after_load; listing them only kept them alive in the image. */
	return 0;
}

static struct dentry *checked_root(struct dentry *d)
{
	struct dentry *slow = d;

	/* Hostile parents may form a loop: two speeds. */
	for (bool odd = false; d->parent != d; odd = !odd) {
		d = d->parent;
		if (odd) {
			slow = slow->parent;
			if (slow == d)
				return NULL;
		}
	}
	return d;
}

static int dentry_after_load(struct state_reader *r, void *obj)
{
	struct dentry *d = obj, *p = d->parent, *root = checked_root(d);
	int err = state_check(r, root != NULL, "parents form a loop");

	if (!err)
		err = state_check(r, p == d || (p->inode && inode_is_dir(p->inode)), "parent is not a directory");
	if (err)
		return err;
	d->sb = ((struct inode *)root->inode)->sb;
	err = state_check(r, d->sb != NULL, "no super block");
	if (!err && d->inode)
		err = state_check(r, ((struct inode *)d->inode)->sb == d->sb, "inode of another super block");
	if (err)
		return err;
	if (d->hashed) {
		struct dentry *after;

		d->hashed = false;
		err = state_check(r, !find_locked(p, d->name, d->name_len, d->hash), "two children of one name");
		if (!err)
			err = state_check(r, d->cookie >= FIRST_COOKIE && d->cookie < p->next_cookie, "bad cookie");
		if (err)
			return err;
		if (hash_locked(d) < 0)
			return -ENOMEM;
		dentry_get(d);
		/* Objects arrive in any order: keep the list sorted. */
		list_del(&d->child_node);
		after = list_empty(&p->child_list) ? NULL : list_entry(p->child_list.prev, struct dentry, child_node);
		while (after && after->cookie > d->cookie)
			after = after->child_node.prev == &p->child_list ? NULL :
									   list_entry(after->child_node.prev, struct dentry, child_node);
		list_add(after ? &after->child_node : &p->child_list, &d->child_node);
		if (cached_fs(d->sb)) {
			list_add_tail(&d->sb->lru, &d->lru_node);
			d->sb->nr_cached++;
		}
	}
	if (d->inode && (d->hashed || p == d) && d->sb->ops->d_loaded)
		d->sb->ops->d_loaded(d);
	return 0;
}

static void dentry_state_get(void *d)
{
	(void)dentry_get(d);
}

static void dentry_state_put(void *obj)
{
	struct dentry *d = obj;

	if (d->sb)
		dentry_put(d);
}

const struct state_type dentry_state_type = {
	.id = STATE_ID_dentry,
	.name = "dentry",
	.desc = &sentry__dentry__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = dentry_state_alloc,
	.save = dentry_save,
	.load = dentry_load,
	.after_load = dentry_after_load,
	.get = dentry_state_get,
	.put = dentry_state_put,
};
