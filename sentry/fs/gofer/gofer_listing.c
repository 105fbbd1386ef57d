/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directory listings with attributes, as the gofer sends them.
 *
 * In a file system that nothing changes (SB_FROZEN: the lower layer of an overlay) a directory keeps its listing: later listings, lookups of its
 * names and of absent ones, and stat of its files need no message. Inodes made from a listing have no fid until something needs one. All
 * listings of a super block together are bounded; the one made first goes first.
 *
 * Locks: table_mu for dir->listing and sb.listings; a listing itself never changes. Checkpoint: none of it is saved.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/gofer/gofer_internal.h"

#define MAX_ENTRIES	(4u << 20) /* of one directory */
#define MAX_KEPT	65536u /* entries of all listings of a super block */
#define LOOKUPS		8u /* names asked for one by one, then the whole directory is */
#define LISTED_DIR_SIZE (256u << 10) /* st_size of the largest directory that is listed for lookups only */

struct gofer_listing *gofer_listing_get(struct gofer_listing *l)
{
	ref_get(&l->ref);
	return l;
}

void gofer_listing_put(struct gofer_listing *l)
{
	if (!l || !ref_put(&l->ref))
		return;
	htab_done(&l->index);
	free(l->e);
	free(l->names);
	free(l);
}

struct builder {
	struct gofer_listing *l;
	size_t cap, names_len, names_cap;
	uint64_t offset; /* of the last entry */
	bool failed;
};

static bool grow(void **v, size_t *cap, size_t want, size_t size)
{
	size_t n = *cap ? *cap : 32;
	void *p;

	while (n < want)
		n *= 2;
	if (n == *cap)
		return true;
	p = realloc(*v, n * size);
	if (!p)
		return false;
	*v = p;
	*cap = n;
	return true;
}

static int take_entry(void *arg, const struct p9_dirent *d)
{
	struct builder *b = arg;
	struct gofer_listing *l = b->l;
	size_t len = strlen(d->name) + 1;

	if (l->n >= MAX_ENTRIES || !grow((void **)&l->e, &b->cap, l->n + 1, sizeof(*l->e)) ||
	    !grow((void **)&l->names, &b->names_cap, b->names_len + len, 1)) {
		b->failed = true;
		return 1;
	}
	l->e[l->n++] = (struct gofer_entry){ .attr = d->attr, .qid = d->qid, .type = d->type, .name = (uint32_t)b->names_len };
	memcpy(l->names + b->names_len, d->name, len);
	b->names_len += len;
	b->offset = d->offset;
	return 0;
}

/* hash of the name -> number of the first entry + 1; others with that hash follow by `chain`. */
static bool build_index(struct gofer_listing *l)
{
	for (size_t k = 0; k < l->n; k++) {
		const char *name = gofer_entry_name(l, &l->e[k]);
		uint64_t hash = hash_bytes(name, strlen(name));

		l->e[k].chain = (uint32_t)(uintptr_t)htab_get(&l->index, hash);
		if (htab_put(&l->index, hash, (void *)(uintptr_t)(k + 1)) < 0)
			return false;
	}
	return true;
}

static int fetch(struct gofer_inode *g, bool index, struct gofer_listing **ret)
{
	struct builder b = { .l = calloc(1, sizeof(*b.l)) };
	int err = 0;

	if (!b.l)
		return -ENOMEM;
	ref_init(&b.l->ref);
	list_init(&b.l->node);
	for (;;) {
		size_t before = b.l->n;
		ssize_t r = p9_readdir(gofer_c(&g->i), gofer_fid(&g->i), b.offset, take_entry, &b);

		if (r < 0 || b.failed)
			err = b.failed ? -ENOMEM : (int)r;
		if (err || r == 0 || b.l->n == before)
			break;
	}
	if (!err && index && !build_index(b.l))
		err = -ENOMEM;
	if (err) {
		gofer_listing_put(b.l);
		return err;
	}
	*ret = b.l;
	return 0;
}

static struct gofer_listing *kept(struct gofer_inode *g)
{
	struct gofer_sb *s = gofer_s(g->i.sb);

	mutex_guard(&s->table_mu);
	return g->listing ? gofer_listing_get(g->listing) : NULL;
}

/* table_mu held; the caller puts what is returned. */
static struct gofer_listing *forget_locked(struct gofer_sb *s, struct gofer_inode *g)
{
	struct gofer_listing *l = TAKE_PTR(g->listing);

	if (l) {
		list_del(&l->node);
		s->nr_listed -= l->n;
	}
	return l;
}

void gofer_listing_forget(struct gofer_inode *g)
{
	struct gofer_sb *s = gofer_s(g->i.sb);
	struct gofer_listing *l;

	mutex_lock(&s->table_mu);
	l = forget_locked(s, g);
	mutex_unlock(&s->table_mu);
	gofer_listing_put(l);
}

static void keep(struct gofer_inode *g, struct gofer_listing *l)
{
	struct gofer_sb *s = gofer_s(g->i.sb);

	if (l->n > MAX_KEPT / 4)
		return;
	mutex_lock(&s->table_mu);
	if (!g->listing) {
		g->listing = gofer_listing_get(l);
		l->owner = g;
		list_add_tail(&s->listings, &l->node);
		s->nr_listed += l->n;
	}
	while (s->nr_listed > MAX_KEPT) {
		struct gofer_listing *old = list_first(&s->listings, struct gofer_listing, node);

		old = forget_locked(s, old->owner);
		mutex_unlock(&s->table_mu);
		gofer_listing_put(old);
		mutex_lock(&s->table_mu);
	}
	mutex_unlock(&s->table_mu);
}

int gofer_listing_of(struct gofer_inode *g, struct gofer_listing **ret)
{
	bool frozen = g->i.sb->flags & SB_FROZEN;
	int err;

	*ret = frozen ? kept(g) : NULL;
	if (*ret)
		return 0;
	err = fetch(g, frozen, ret);
	if (!err && frozen)
		keep(g, *ret);
	return err;
}

int gofer_listing_lookup(struct gofer_inode *dir, const char *name, const struct p9_attr **attr, struct gofer_listing **ret)
{
	struct gofer_listing *l;
	uint32_t k;

	if (!(dir->i.sb->flags & SB_FROZEN))
		return 0;
	l = kept(dir);
	if (!l) {
		if (atomic_fetch_add(&dir->lookups, 1) + 1 != LOOKUPS || dir->i.size > LISTED_DIR_SIZE || gofer_listing_of(dir, &l) < 0)
			return 0;
	}
	k = (uint32_t)(uintptr_t)htab_get(&l->index, hash_bytes(name, strlen(name)));
	while (k && strcmp(gofer_entry_name(l, &l->e[k - 1]), name) != 0)
		k = l->e[k - 1].chain;
	if (!k) {
		gofer_listing_put(l);
		return -ENOENT;
	}
	if (!l->e[k - 1].attr.valid) {
		gofer_listing_put(l);
		return 0;
	}
	*attr = &l->e[k - 1].attr;
	*ret = l;
	return 1;
}
