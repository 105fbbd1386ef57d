/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of tmpfs files: a map from file offsets to the memory file. What is not in the map is a hole and reads as zero.
 *
 * The file holds one reference of each of its pages; mappings take their own. See tmpfs_internal.h for the locks.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/tmpfs/tmpfs_internal.h"

#define FAULT_WINDOW (64UL << 10)
#define CHUNK	     (1UL << 30) /* memfile_ptr() does not cross these */

static struct tmpfs_extent *ext_of(struct range *r)
{
	return container_of(r, struct tmpfs_extent, r);
}

static struct range *ext_split(struct rangemap *m, struct range *r, uint64_t at)
{
	struct tmpfs_extent *hi = calloc(1, sizeof(*hi));

	if (!hi)
		return NULL;
	hi->off = ext_of(r)->off + (at - r->start);
	return &hi->r;
}

static bool ext_can_merge(const struct range *a, const struct range *b)
{
	const struct tmpfs_extent *ea = container_of(a, struct tmpfs_extent, r), *eb = container_of(b, struct tmpfs_extent, r);

	return ea->off + (a->end - a->start) == eb->off;
}

static void ext_free(struct rangemap *m, struct range *r)
{
	free(ext_of(r));
}

static const struct rangemap_ops ext_ops = { .split = ext_split, .can_merge = ext_can_merge, .free = ext_free };

void tmpfs_pages_init(struct tmpfs_inode *ti)
{
	mutex_init(&ti->pages_mu, "tmpfs.pages_mu");
	rwlock_init(&ti->io, "tmpfs.io");
	rangemap_init(&ti->pages, &ext_ops);
	mappable_init(&ti->map, &tmpfs_map_ops);
}

/* Quota: true when @n pages were taken. */
static bool charge(struct tmpfs_sb *s, uint64_t n)
{
	uint64_t used = atomic_fetch_add(&s->used_pages, n) + n;

	if (!s->max_pages || used <= s->max_pages)
		return true;
	atomic_fetch_sub(&s->used_pages, n);
	return false;
}

static void uncharge(struct tmpfs_sb *s, uint64_t n)
{
	atomic_fetch_sub(&s->used_pages, n);
}

static void drop_locked(struct tmpfs_inode *ti, struct range *r)
{
	struct tmpfs_sb *s = tmpfs_s(ti->i.sb);
	uint64_t len = r->end - r->start;

	rangemap_remove(&ti->pages, r);
	memfile_unref(s->mf, ext_of(r)->off, len);
	uncharge(s, len / PAGE_SIZE);
	free(ext_of(r));
}

void tmpfs_pages_done(struct tmpfs_inode *ti)
{
	while (ti->pages.first)
		drop_locked(ti, ti->pages.first);
	mutex_destroy(&ti->pages_mu);
	rwlock_destroy(&ti->io);
}

/* New pages for the hole at @off, at most up to @end. */
static int fill_locked(struct tmpfs_inode *ti, uint64_t off, uint64_t end, struct range **ret)
{
	struct tmpfs_sb *s = tmpfs_s(ti->i.sb);
	struct range *next = rangemap_find_next(&ti->pages, off);
	struct tmpfs_extent *e;
	uint64_t len;

	if (next)
		end = MIN(end, next->start);
	len = end - off;
	while (!charge(s, len / PAGE_SIZE)) {
		if (len == PAGE_SIZE)
			return -ENOSPC;
		len = ALIGN_UP(len / 2, PAGE_SIZE);
	}
	e = calloc(1, sizeof(*e));
	if (!e || memfile_alloc_shared(s->mf, len, len >= 2UL << 20, &e->off) < 0) {
		free(e);
		uncharge(s, len / PAGE_SIZE);
		return -ENOMEM;
	}
	e->r.start = off;
	e->r.end = off + len;
	(void)rangemap_insert(&ti->pages, &e->r);
	*ret = rangemap_merge(&ti->pages, &e->r);
	return 0;
}

static void piece(const struct range *r, uint64_t off, uint64_t len, uint64_t *ret_off, uint64_t *ret_len)
{
	*ret_off = container_of(r, struct tmpfs_extent, r)->off + (off - r->start);
	*ret_len = MIN(len, r->end - off);
}

int tmpfs_pages_alloc(struct tmpfs_inode *ti, uint64_t off, uint64_t len, uint64_t *ret_off, uint64_t *ret_len)
{
	struct range *r;
	int err = 0;

	mutex_guard(&ti->pages_mu);
	r = rangemap_find(&ti->pages, off);
	if (!r)
		err = fill_locked(ti, ALIGN_DOWN(off, PAGE_SIZE), ALIGN_UP(off + len, PAGE_SIZE), &r);
	if (err)
		return err;
	piece(r, off, len, ret_off, ret_len);
	*ret_len = MIN(*ret_len, CHUNK - (*ret_off & (CHUNK - 1)));
	return 0;
}

bool tmpfs_pages_find(struct tmpfs_inode *ti, uint64_t off, uint64_t len, uint64_t *ret_off, uint64_t *ret_len)
{
	struct range *r;

	mutex_guard(&ti->pages_mu);
	r = rangemap_find_next(&ti->pages, off);
	if (!r || r->start > off) {
		*ret_len = r ? MIN(len, r->start - off) : len;
		return false;
	}
	piece(r, off, len, ret_off, ret_len);
	*ret_len = MIN(*ret_len, CHUNK - (*ret_off & (CHUNK - 1)));
	return true;
}

int tmpfs_pages_free(struct tmpfs_inode *ti, uint64_t start, uint64_t end)
{
	struct range *r;
	int err;

	mutex_guard(&ti->pages_mu);
	err = rangemap_isolate(&ti->pages, start, end);
	if (err)
		return err;
	while ((r = rangemap_first_in(&ti->pages, start, end)))
		drop_locked(ti, r);
	return 0;
}

void tmpfs_pages_zero(struct tmpfs_inode *ti, uint64_t start, uint64_t end)
{
	uint64_t off, len;

	if (start < end && tmpfs_pages_find(ti, start, end - start, &off, &len)) {
		void *p = memfile_ptr(tmpfs_s(ti->i.sb)->mf, off, len);

		if (p)
			memset(p, 0, len);
	}
}

uint64_t tmpfs_pages_seek(struct tmpfs_inode *ti, uint64_t off, bool data)
{
	struct range *r;

	mutex_guard(&ti->pages_mu);
	r = rangemap_find_next(&ti->pages, off);
	if (data)
		return r ? MAX(off, r->start) : UINT64_MAX;
	while (r && r->start <= off) {
		off = r->end;
		r = r->next;
	}
	return off;
}

/* --- mapping --- */

static struct tmpfs_inode *of_map(struct mappable *m)
{
	return container_of(m, struct tmpfs_inode, map);
}

static int tmpfs_translate(struct mappable *m, uint64_t off, uint64_t len, bool write, struct backing *ret)
{
	struct tmpfs_inode *ti = of_map(m);
	uint64_t end, o, l;
	struct range *r;
	int err = 0;

	mutex_guard(&ti->pages_mu);
	end = ALIGN_UP(__atomic_load_n(&ti->i.size, __ATOMIC_ACQUIRE), PAGE_SIZE);
	if (off >= end)
		return -EFAULT;
	len = MIN(len, end - off);
	r = rangemap_find(&ti->pages, off);
	if (!r)
		err = fill_locked(ti, off, off + MIN(len, FAULT_WINDOW), &r);
	if (err)
		return err == -ENOSPC ? -EFAULT : err;
	piece(r, off, len, &o, &l);
	memfile_ref(tmpfs_s(ti->i.sb)->mf, o, l);
	*ret = (struct backing){ .kind = BACKING_MEMFILE, .off = o, .len = l, .writable = true };
	return 0;
}

static int tmpfs_present(struct mappable *m, uint64_t off)
{
	struct tmpfs_inode *ti = of_map(m);
	struct range *r;

	mutex_guard(&ti->pages_mu);
	if (off >= ALIGN_UP(__atomic_load_n(&ti->i.size, __ATOMIC_ACQUIRE), PAGE_SIZE))
		return -EFAULT;
	r = rangemap_find(&ti->pages, off);
	return r && !memfile_is_hole(tmpfs_s(ti->i.sb)->mf, ext_of(r)->off + (off - r->start), PAGE_SIZE);
}

static void map_get(struct mappable *m)
{
	(void)inode_get(&of_map(m)->i);
}

static void map_put(struct mappable *m)
{
	inode_put(&of_map(m)->i);
}

const struct mappable_ops tmpfs_map_ops = { .translate = tmpfs_translate, .present = tmpfs_present, .get = map_get, .put = map_put };
