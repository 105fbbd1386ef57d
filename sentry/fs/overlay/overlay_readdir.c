/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open directories: a listing of both layers, taken when it is first read and again after a rewind.
 *
 * Positions are places in that listing (0 ".", 1 "..", then entries), so they stay right whatever happens to the directory meanwhile.
 * Locks: pos_mu (by the caller) guards the listing; i.mu is taken to make it. Checkpoint: the listing is saved.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/overlay.pb-c.h"
#include "sentry/fs/overlay/overlay_internal.h"
#include "state/state.h"

#define MAX_ENTRIES (16u << 20)

struct entry { /* message: OverlayDirent */
	char *name; /* saved: 1 */
	uint64_t ino; /* saved: 2 */
	uint8_t type; /* saved: 3 */
};

struct ovl_dir { /* message: OverlayDir */
	struct file file; /* saved: 1 file_base */
	bool filled; /* saved: 2 */
	struct entry *ents; /* saved: 3 entries */
	size_t n, cap; /* derived: of entries */
};

/* --- the lower directory --- */

struct lower_sink {
	struct dir_sink s;
	struct ovl_inode *dir;
	struct ovl_lower_walk *w;
	bool stopped;
	size_t seen;
};

static bool lower_emit(struct dir_sink *s, const char *name, size_t len, int64_t next_pos, uint64_t ino, uint8_t type)
{
	struct lower_sink *l = container_of(s, struct lower_sink, s);
	struct ovl_name *n;

	l->seen++;
	if (l->stopped)
		return false;
	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return true;
	n = ovl_name_find(l->dir, name, len);
	if (n && (n->inode || n->whiteout))
		return true;
	l->stopped = !l->w->fn(l->w, name, len, ino, type);
	return !l->stopped;
}

int ovl_walk_lower(struct ovl_inode *dir, struct task *t, struct ovl_lower_walk *w)
{
	struct lower_sink l = { .s.emit = lower_emit, .dir = dir, .w = w };
	struct inode *li = ovl_lower(dir);
	struct path p = { .dentry = dir->lower };
	struct file *f = NULL;
	size_t before;
	int err;

	if (!li)
		return 0;
	err = li->ops->open(li, NULL, &p, LINUX_O_RDONLY | LINUX_O_DIRECTORY | LINUX_O_NOATIME, &f);
	if (err)
		return err;
	/* Nobody else has this file: its pos_mu, which is outside i.mu, is not needed. */
	do {
		before = l.seen;
		err = f->ops->readdir(f, t, &l.s);
	} while (!err && !l.stopped && l.seen != before);
	file_put(f);
	return err;
}

static bool any(struct ovl_lower_walk *w, const char *name, size_t len, uint64_t ino, uint8_t type)
{
	w->fn = NULL; /* the mark of "found one" */
	return false;
}

int ovl_check_empty(struct ovl_inode *dir, struct task *t)
{
	struct ovl_lower_walk w = { .fn = any };
	struct ovl_name *n;
	int err;

	list_for_each(n, &dir->names, node)
		if (n->inode)
			return -ENOTEMPTY;
	err = ovl_walk_lower(dir, t, &w);
	return err ? err : w.fn ? 0 : -ENOTEMPTY;
}

/* --- listings --- */

static void forget(struct ovl_dir *d)
{
	for (size_t k = 0; k < d->n; k++)
		free(d->ents[k].name);
	d->n = 0;
	d->filled = false;
}

static bool add(struct ovl_dir *d, const char *name, size_t len, uint64_t ino, uint8_t type)
{
	struct entry *e;

	if (d->n == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : 32;
		struct entry *v = cap > MAX_ENTRIES ? NULL : realloc(d->ents, cap * sizeof(*v));

		if (!v)
			return false;
		d->ents = v;
		d->cap = cap;
	}
	e = &d->ents[d->n];
	e->name = strndup(name, len);
	if (!e->name)
		return false;
	e->ino = ino;
	e->type = type;
	d->n++;
	return true;
}

struct fill_walk {
	struct ovl_lower_walk w;
	struct ovl_dir *d;
	bool failed;
};

static bool add_lower(struct ovl_lower_walk *w, const char *name, size_t len, uint64_t ino, uint8_t type)
{
	struct fill_walk *fw = container_of(w, struct fill_walk, w);

	fw->failed = !add(fw->d, name, len, ino, type);
	return !fw->failed;
}

static int fill(struct ovl_dir *d, struct task *t)
{
	struct ovl_inode *dir = ovl_i(d->file.inode);
	struct fill_walk fw = { .w.fn = add_lower, .d = d };
	struct ovl_name *n;
	int err = 0;

	forget(d);
	mutex_lock(&dir->i.mu);
	list_for_each(n, &dir->names, node)
		if (n->inode && !add(d, n->name, n->len, n->inode->ino, (uint8_t)(n->inode->mode >> 12 & 15)))
			err = -ENOMEM;
	if (!err && !dir->dead)
		err = ovl_walk_lower(dir, t, &fw.w);
	mutex_unlock(&dir->i.mu);
	if (!err && fw.failed)
		err = -ENOMEM;
	d->filled = !err;
	return err;
}

static int ovl_dir_readdir(struct file *f, struct task *t, struct dir_sink *s)
{
	struct ovl_dir *d = container_of(f, struct ovl_dir, file);
	int err;

	if (f->pos == 0 || !d->filled) {
		err = fill(d, t);
		if (err)
			return err;
	}
	if (f->pos == 0) {
		if (!s->emit(s, ".", 1, 1, f->inode->ino, LINUX_DT_DIR))
			return 0;
		f->pos = 1;
	}
	if (f->pos == 1) {
		struct dentry *parent = dentry_parent_get(f->path.dentry);
		bool room = s->emit(s, "..", 2, 2, parent->inode->ino, LINUX_DT_DIR);

		dentry_put(parent);
		if (!room)
			return 0;
		f->pos = 2;
	}
	while ((uint64_t)f->pos - 2 < d->n) {
		const struct entry *e = &d->ents[f->pos - 2];

		if (!s->emit(s, e->name, strlen(e->name), f->pos + 1, e->ino, e->type))
			return 0;
		f->pos++;
	}
	if (ovl_i(f->inode)->pinned || !ovl_i(f->inode)->lower)
		inode_accessed(f->inode, f->path.mnt, f->flags);
	return 0;
}

static int64_t ovl_dir_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	if (whence != LINUX_SEEK_SET && whence != LINUX_SEEK_CUR)
		return -EINVAL;
	return file_llseek_size(f, off, whence, 0, INT64_MAX);
}

static int ovl_dir_fsync(struct file *f, struct task *t, bool datasync)
{
	return 0;
}

static void ovl_dir_release(struct file *f)
{
	struct ovl_dir *d = container_of(f, struct ovl_dir, file);

	file_done(f);
	forget(d);
	free(d->ents);
	free(d);
}

const struct file_ops ovl_dir_file_ops = {
	.name = "overlay-dir",
	.state = &overlay_dir_state_type,
	.release = ovl_dir_release,
	.readdir = ovl_dir_readdir,
	.llseek = ovl_dir_llseek,
	.fsync = ovl_dir_fsync,
};

int ovl_dir_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct ovl_dir *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	file_init(&d->file, &ovl_dir_file_ops, flags, t, p, i);
	d->file.seekable = true;
	*ret = &d->file;
	return 0;
}

/* --- state --- */

static void *dir_alloc(void)
{
	struct ovl_dir *d = calloc(1, sizeof(*d));

	if (d)
		ref_init(&d->file.ref);
	return d;
}

static int dir_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct ovl_dir *d = obj;
	Sentry__OverlayDir *m = msg;

	m->filled = d->filled;
	m->entries = state_zalloc(w, d->n, sizeof(*m->entries));
	for (size_t k = 0; k < d->n; k++) {
		Sentry__OverlayDirent *e = state_new_msg(w, &sentry__overlay_dirent__descriptor);

		e->name = state_strdup(w, d->ents[k].name);
		e->ino = d->ents[k].ino;
		e->type = d->ents[k].type;
		m->entries[m->n_entries++] = e;
	}
	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	return file_save_base(w, &d->file, m->file_base);
}

static int dir_load(struct state_reader *r, void *obj, const void *msg)
{
	struct ovl_dir *d = obj;
	const Sentry__OverlayDir *m = msg;

	for (size_t k = 0; k < m->n_entries; k++) {
		const Sentry__OverlayDirent *e = m->entries[k];
		size_t len = strlen(e->name);
		int err = state_check(r, len && len <= LINUX_NAME_MAX && !strchr(e->name, '/') && e->type < 16, "bad directory entry");

		if (err)
			return err;
		if (!add(d, e->name, len, e->ino, (uint8_t)e->type))
			return -ENOMEM;
	}
	d->filled = m->filled;
	return file_load_base(r, &d->file, &ovl_dir_file_ops, m->file_base);
}

static int dir_after_load(struct state_reader *r, void *obj)
{
	struct ovl_dir *d = obj;
	struct file *f = &d->file;
	int err = state_check(r, f->inode && f->inode->ops == &ovl_dir_ops && f->path.dentry, "not a directory of an overlay");

	if (!err)
		file_after_load_base(f);
	return err;
}

const struct state_type overlay_dir_state_type = {
	.id = STATE_ID_overlay_dir,
	.name = "overlay_dir",
	.desc = &sentry__overlay_dir__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = dir_alloc,
	.save = dir_save,
	.load = dir_load,
	.after_load = dir_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
