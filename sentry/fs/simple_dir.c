/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open directories whose dentries are the content. Linux: fs/libfs.c dcache_dir_*.
 *
 * The position is the cookie of the next entry: 0 ".", 1 "..", then children in order of creation. Cookies never repeat, so a seek to
 * a saved position is right whatever was removed meanwhile, also after a restore.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/file.pb-c.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/mount.h"
#include "state/state.h"

#define BATCH 32

struct entry {
	char *name;
	size_t len;
	uint64_t ino, cookie;
	uint8_t type;
};

static uint8_t dt_of(const struct inode *i)
{
	return (uint8_t)(i->mode >> 12 & 15);
}

static size_t collect(struct dentry *dir, uint64_t from, struct entry *e)
{
	struct dentry *c;
	size_t n = 0;

	mutex_guard(&dir->sb->d_mu);
	list_for_each(c, &dir->child_list, child_node) {
		struct inode *i = c->inode;

		if (c->cookie < from || !i)
			continue;
		if (n == BATCH)
			break;
		e[n] = (struct entry){ .name = strdup(c->name), .len = c->name_len, .ino = i->ino, .cookie = c->cookie, .type = dt_of(i) };
		if (!e[n].name)
			break;
		n++;
	}
	return n;
}

static int simple_dir_readdir(struct file *f, struct task *t, struct dir_sink *s)
{
	struct dentry *dir = f->path.dentry, *parent;
	struct entry e[BATCH];
	bool room = true;

	if (f->pos == 0) {
		if (!s->emit(s, ".", 1, 1, f->inode->ino, LINUX_DT_DIR))
			return 0;
		f->pos = 1;
	}
	if (f->pos == 1) {
		parent = dentry_parent_get(dir);
		room = s->emit(s, "..", 2, 2, parent->inode ? ((struct inode *)parent->inode)->ino : f->inode->ino, LINUX_DT_DIR);
		dentry_put(parent);
		if (!room)
			return 0;
		f->pos = 2;
	}
	while (room) {
		size_t n = collect(dir, (uint64_t)f->pos, e);

		if (!n)
			break;
		for (size_t k = 0; k < n; k++) {
			if (room)
				room = s->emit(s, e[k].name, e[k].len, (int64_t)e[k].cookie + 1, e[k].ino, e[k].type);
			if (room)
				f->pos = (int64_t)e[k].cookie + 1;
			free(e[k].name);
		}
	}
	inode_accessed(f->inode, f->path.mnt, f->flags);
	return 0;
}

static int64_t simple_dir_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	if (whence != LINUX_SEEK_SET && whence != LINUX_SEEK_CUR)
		return -EINVAL;
	return file_llseek_size(f, off, whence, 0, INT64_MAX);
}

static int simple_dir_fsync(struct file *f, struct task *t, bool datasync)
{
	return 0;
}

static void simple_dir_release(struct file *f)
{
	file_done(f);
	free(f);
}

static const struct file_ops simple_dir_ops = {
	.name = "dir",
	.state = &simple_dir_state_type,
	.release = simple_dir_release,
	.llseek = simple_dir_llseek,
	.readdir = simple_dir_readdir,
	.fsync = simple_dir_fsync,
};

int simple_dir_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	file_init(f, &simple_dir_ops, flags, t, p, i);
	f->seekable = true;
	*ret = f;
	return 0;
}

/* --- state --- */

static void *simple_dir_alloc(void)
{
	struct file *f = calloc(1, sizeof(*f));

	if (f)
		ref_init(&f->ref);
	return f;
}

static int simple_dir_save(struct state_writer *w, const void *obj, void *msg)
{
	Sentry__SimpleDir *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	return file_save_base(w, obj, m->file_base);
}

static int simple_dir_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__SimpleDir *m = msg;
	struct file *f = obj;
	int err = file_load_base(r, f, &simple_dir_ops, m->file_base);

	return err ? err : state_check(r, f->path.dentry != NULL, "directory without path");
}

static int simple_dir_after_load(struct state_reader *r, void *obj)
{
	struct file *f = obj;
	int err = state_check(r, inode_is_dir(f->inode), "not a directory");

	if (!err)
		err = file_check_path(r, f);
	if (!err)
		file_after_load_base(f);
	return err;
}

const struct state_type simple_dir_state_type = {
	.id = STATE_ID_simple_dir,
	.name = "simple_dir",
	.desc = &sentry__simple_dir__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = simple_dir_alloc,
	.save = simple_dir_save,
	.load = simple_dir_load,
	.after_load = simple_dir_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
