/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that live in the image: those of every tmpfs, what containers changed in their overlay, and deleted files that are
 * still open. A path within a file system is found first, then a mount that shows it.
 *
 * tmpfs names are dentries. An overlay's names are in its directories (OverlayInode.names), and changed files of the lower layer
 * that kept their names have them there; a renamed lower directory takes what is below it along, so such a name is looked for
 * from the inside out: at each step, is there an overlay inode that stands for this lower dentry?
 *
 * Images are hostile: names that are no names ("..", with a slash) are left out.
 */
#include <string.h>
#include <sys/stat.h>

#include "runsc/image/image.h"
#include "schemas/goferfs.pb-c.h"
#include "schemas/overlay.pb-c.h"
#include "schemas/tmpfs.pb-c.h"
#include "schemas/vfs.pb-c.h"

#define MOUNTS_MAX 16 /* looked at for one file system */

/* Where an overlay inode has a name: a directory's list. */
struct naming {
	uint64_t dir;
	const char *name;
};

struct finder {
	struct image *im;
	struct stored_files *out;
	uint64_t n; /* objects */
	struct naming *named; /* [overlay inode] its first name */
	uint64_t *by_lower; /* [dentry] the overlay inode that stands for it */
	uint64_t *next_mount; /* [mount] the next of the same super block */
	uint64_t *first_mount; /* [super block] */
	uint64_t *dentry_of; /* [inode] a dentry, for names of deleted files */
	unsigned char *seen; /* [inode] has a name, or is an overlay's upper file */
};

static bool good_name(const char *s)
{
	return *s && !strchr(s, '/') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

/* --- paths --- */

/* Adds the names above overlay inode @id, which has the dentry @lower in the lower layer. False: there is no such path. */
static bool climb_overlay(struct finder *f, struct climb *c, uint64_t id, uint64_t lower)
{
	for (;;) {
		const Sentry__OverlayInode *oi = id ? IMAGE_GET(f->im, id, overlay_inode, OverlayInode) : NULL;
		const Sentry__Dentry *d;
		const char *name;

		if (oi && f->named[id].dir) {
			name = f->named[id].name;
			id = f->named[id].dir;
			oi = IMAGE_GET(f->im, id, overlay_inode, OverlayInode);
			lower = oi ? oi->lower : 0;
		} else {
			d = IMAGE_GET(f->im, lower, dentry, Dentry);
			if (!d)
				return oi && c->n > 0; /* a root that was made here */
			if (!d->parent)
				return true;
			name = d->name;
			lower = d->parent;
			id = lower <= f->n ? f->by_lower[lower] : 0;
		}
		if (!good_name(name) || !climb_add(c, name))
			return false;
	}
}

static bool climb_tmpfs(struct finder *f, struct climb *c, uint64_t dentry)
{
	for (;;) {
		const Sentry__Dentry *d = IMAGE_GET(f->im, dentry, dentry, Dentry);

		if (!d || (d->parent && (!d->hashed || d->disconnected)))
			return false;
		if (!d->parent)
			return !d->disconnected;
		if (!good_name(d->name) || !climb_add(c, d->name))
			return false;
		dentry = d->parent;
	}
}

/* The path in the tree of names of the file at @inner in super block @sb; NULL: no mount shows it. */
static char *mounted_path(struct finder *f, uint64_t sb, const char *inner)
{
	uint64_t id = sb <= f->n ? f->first_mount[sb] : 0;

	for (int i = 0; id && i < MOUNTS_MAX; i++, id = f->next_mount[id]) {
		const Sentry__Mount *m = IMAGE_GET(f->im, id, mount, Mount);
		_cleanup_strbuf_ struct strbuf root = STRBUF_INIT, at = STRBUF_INIT;
		size_t n;

		name_dentry(f->im, m->root, &root);
		name_path(f->im, id, m->root, &at);
		if (strbuf_error(&root) < 0 || strbuf_error(&at) < 0)
			return NULL;
		n = strcmp(root.data, "/") ? root.len : 0;
		if (strncmp(inner, root.data, n) != 0 || (inner[n] && inner[n] != '/'))
			continue;
		if (strcmp(at.data, "/") != 0 && !inner[n])
			return strbuf_take(&at);
		if (!strcmp(at.data, "/"))
			strbuf_reset(&at);
		strbuf_adds(&at, inner[n] ? inner + n : "/");
		return strbuf_take(&at);
	}
	return NULL;
}

/* --- the list --- */

/* Content of a regular file of the overlay or of tmpfs. */
static uint64_t data_of(struct image *im, uint64_t id)
{
	const Sentry__OverlayInode *oi = IMAGE_GET(im, id, overlay_inode, OverlayInode);

	if (oi)
		id = oi->data_up ? oi->upper : 0;
	return IMAGE_GET(im, id, tmpfs_inode, TmpfsInode) ? id : 0;
}

static uint64_t extent_bytes(const Sentry__TmpfsInode *t)
{
	uint64_t n = 0;

	for (size_t i = 0; t && i < t->n_extents; i++)
		n += t->extents[i]->end > t->extents[i]->start ? t->extents[i]->end - t->extents[i]->start : 0;
	return n;
}

/* @path is taken. */
static int add(struct finder *f, uint64_t id, char *path, bool deleted, const char *layer)
{
	const Sentry__InodeBase *i = IMAGE_PART(f->im, id, inode_base, InodeBase);
	const Sentry__TmpfsInode *t = IMAGE_GET(f->im, id, tmpfs_inode, TmpfsInode);
	const Sentry__OverlayInode *oi = IMAGE_GET(f->im, id, overlay_inode, OverlayInode);
	struct stored_files *out = f->out;
	struct stored_file *s;

	if (out->nr == out->cap) {
		size_t cap = out->cap ? out->cap * 2 : 64;

		s = reallocarray(out->v, cap, sizeof(*s));
		if (!s) {
			free(path);
			return -ENOMEM;
		}
		out->v = s;
		out->cap = cap;
	}
	s = &out->v[out->nr++];
	*s = (struct stored_file){.id = id, .path = path, .deleted = deleted, .layer = layer};
	if (i) {
		s->mode = i->mode;
		s->uid = i->uid;
		s->gid = i->gid;
		s->size = i->size;
		s->mtime = i->mtime ? i->mtime->sec : 0;
	}
	if (S_ISREG(s->mode)) {
		s->data = data_of(f->im, id);
		s->stored = extent_bytes(IMAGE_GET(f->im, s->data, tmpfs_inode, TmpfsInode));
	} else if (S_ISLNK(s->mode)) {
		s->target = t ? t->target : oi ? oi->target : NULL;
	}
	return 0;
}

static int add_named(struct finder *f, uint64_t id, const struct climb *c, const char *layer)
{
	const Sentry__InodeBase *i = IMAGE_PART(f->im, id, inode_base, InodeBase);
	_cleanup_strbuf_ struct strbuf inner = STRBUF_INIT;
	char *path;

	if (!i)
		return 0;
	climb_print(c, &inner);
	if (strbuf_error(&inner) < 0)
		return -ENOMEM;
	path = mounted_path(f, i->sb, inner.data ? inner.data : "");
	if (!path)
		return 0; /* nobody sees it: it is told with the deleted ones */
	f->seen[id] = 1;
	return add(f, id, path, false, layer);
}

static int add_tmpfs(struct finder *f)
{
	int r = 0;

	image_each(f->im, id, dentry) {
		const Sentry__Dentry *d = IMAGE_GET(f->im, id, dentry, Dentry);
		struct climb c = {.n = 0};

		if (!d || !IMAGE_GET(f->im, d->inode, tmpfs_inode, TmpfsInode))
			continue;
		f->dentry_of[d->inode] = id;
		if (r == 0 && climb_tmpfs(f, &c, id))
			r = add_named(f, d->inode, &c, "tmpfs");
	}
	return r;
}

/* Names in the directories of overlays, then changed files that kept theirs. */
static int add_overlay(struct finder *f)
{
	int r = 0;

	image_each(f->im, id, overlay_inode) {
		const Sentry__OverlayInode *oi = IMAGE_GET(f->im, id, overlay_inode, OverlayInode);
		struct climb c = {.n = 0};

		for (size_t i = 0; oi && i < oi->n_names && r == 0; i++) {
			if (!oi->names[i]->inode || !good_name(oi->names[i]->name))
				continue;
			c = (struct climb){.names = {oi->names[i]->name}, .n = 1};
			if (climb_overlay(f, &c, id, oi->lower))
				r = add_named(f, oi->names[i]->inode, &c, "overlay");
		}
	}
	image_each(f->im, id, overlay_sb) {
		const Sentry__OverlaySb *sb = IMAGE_GET(f->im, id, overlay_sb, OverlaySb);

		for (size_t i = 0; sb && i < sb->n_pinned && r == 0; i++) {
			const Sentry__OverlayInode *oi = IMAGE_GET(f->im, sb->pinned[i], overlay_inode, OverlayInode);
			struct climb c = {.n = 0};

			/* A second name of a hard-linked file is not told. */
			if (oi && oi->lower && !f->seen[sb->pinned[i]] && climb_overlay(f, &c, sb->pinned[i], oi->lower) && c.n)
				r = add_named(f, sb->pinned[i], &c, "overlay");
		}
	}
	return r;
}

/* Regular files without a path: the rest of those that have content. */
static int add_deleted(struct finder *f)
{
	int r = 0;

	for (uint64_t id = 1; id <= f->n && r == 0; id++) {
		const Sentry__InodeBase *i = IMAGE_PART(f->im, id, inode_base, InodeBase);
		const Sentry__GoferInode *g = IMAGE_GET(f->im, id, gofer_inode, GoferInode);
		const Sentry__Dentry *d = IMAGE_GET(f->im, f->dentry_of[id], dentry, Dentry);
		bool outside = g && g->deleted;

		if (!i || !S_ISREG(i->mode) || f->seen[id] || (!outside && !data_of(f->im, id)))
			continue;
		r = add(f, id, outside ? strdup(g->path) : d ? strdup(d->name) : NULL, true,
			outside ? "outside" : IMAGE_GET(f->im, id, overlay_inode, OverlayInode) ? "overlay" : "tmpfs");
		if (r == 0 && outside) {
			f->out->v[f->out->nr - 1].data = id;
			f->out->v[f->out->nr - 1].stored = g->content.len;
		}
	}
	return r;
}

/* --- preparation --- */

static void index_overlay(struct finder *f)
{
	image_each(f->im, id, overlay_inode) {
		const Sentry__OverlayInode *oi = IMAGE_GET(f->im, id, overlay_inode, OverlayInode);

		if (!oi)
			continue;
		if (oi->lower <= f->n)
			f->by_lower[oi->lower] = id;
		if (oi->upper <= f->n)
			f->seen[oi->upper] = 1;
		for (size_t i = 0; i < oi->n_names; i++) {
			uint64_t to = oi->names[i]->inode;

			if (to && to <= f->n && !f->named[to].dir)
				f->named[to] = (struct naming){id, oi->names[i]->name};
		}
	}
	image_each(f->im, id, dentry) {
		const Sentry__Dentry *d = IMAGE_GET(f->im, id, dentry, Dentry);

		if (d && d->inode <= f->n && !f->dentry_of[d->inode])
			f->dentry_of[d->inode] = id;
	}
}

/* Lists of mounts by super block, those of a namespace that is in use first to last; detached trees show nothing. */
static void index_mounts(struct finder *f)
{
	_cleanup_free_ uint64_t *last = calloc(f->n + 1, sizeof(*last));

	if (!last)
		return;
	image_each(f->im, id, mount) {
		const Sentry__Mount *m = IMAGE_GET(f->im, id, mount, Mount);

		if (!m || !m->ns || !m->sb || m->sb > f->n)
			continue;
		if (last[m->sb])
			f->next_mount[last[m->sb]] = id;
		else
			f->first_mount[m->sb] = id;
		last[m->sb] = id;
	}
}

static int compare(const void *a, const void *b)
{
	const struct stored_file *x = a, *y = b;
	int r = x->deleted - y->deleted;

	if (!r && x->path && y->path)
		r = strcmp(x->path, y->path);
	return r ? r : x->id < y->id ? -1 : x->id > y->id;
}

static void finder_done(struct finder *f)
{
	free(f->named);
	free(f->by_lower);
	free(f->next_mount);
	free(f->first_mount);
	free(f->dentry_of);
	free(f->seen);
}

int files_load(struct image *im, struct stored_files *ret, struct error **err)
{
	uint64_t n = catalog_count(im->cat);
	_cleanup_(finder_done) struct finder f = {
		.im = im,
		.out = ret,
		.n = n,
		.named = calloc(n + 1, sizeof(*f.named)),
		.by_lower = calloc(n + 1, sizeof(uint64_t)),
		.next_mount = calloc(n + 1, sizeof(uint64_t)),
		.first_mount = calloc(n + 1, sizeof(uint64_t)),
		.dentry_of = calloc(n + 1, sizeof(uint64_t)),
		.seen = calloc(n + 1, 1),
	};
	int r = -ENOMEM;

	if (f.named && f.by_lower && f.next_mount && f.first_mount && f.dentry_of && f.seen) {
		index_overlay(&f);
		index_mounts(&f);
		r = add_tmpfs(&f);
		if (r == 0)
			r = add_overlay(&f);
		if (r == 0)
			r = add_deleted(&f);
	}
	if (r < 0)
		return error_set(err, r, "cannot list files");
	if (ret->nr)
		qsort(ret->v, ret->nr, sizeof(*ret->v), compare);
	return 0;
}

void files_done(struct stored_files *f)
{
	for (size_t i = 0; i < f->nr; i++)
		free(f->v[i].path);
	free(f->v);
	*f = (struct stored_files){0};
}

json_t *files_json(const struct stored_files *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->nr; i++) {
		const struct stored_file *s = &f->v[i];
		const char *path = s->path ? s->path : "";
		json_t *o = json_pack("{s:I, s:o, s:s, s:s, s:I, s:i, s:i, s:I, s:I, s:b, s:b}", "inode", (json_int_t)s->id,
				      "path", text_json(path, strlen(path)), "layer", s->layer, "kind",
				      image_mode_name(s->mode), "mode", (json_int_t)s->mode, "uid", (int)s->uid, "gid",
				      (int)s->gid, "size", (json_int_t)s->size, "stored", (json_int_t)s->stored, "content",
				      s->data != 0, "deleted", (int)s->deleted);

		if (s->target && o)
			(void)json_object_set_new(o, "target", text_json(s->target, strlen(s->target)));
		(void)json_array_append_new(list, o);
	}
	return list;
}
