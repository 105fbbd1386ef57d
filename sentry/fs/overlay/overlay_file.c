/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open regular files. They hold nothing of their own: each operation asks the inode where its content is now (overlay_copy.c).
 *
 * Checks (limits, set-id bits, append) and times are done here, on the overlay's inode; the layer's file only transfers.
 * Checkpoint: the base of the file.
 */
#include <stdlib.h>

#include "schemas/overlay.pb-c.h"
#include "sentry/fs/file_check.h"
#include "sentry/fs/overlay/overlay_internal.h"
#include "state/state.h"

static void set_size(struct inode *i, uint64_t size)
{
	mutex_lock(&i->attr_mu);
	__atomic_store_n(&i->size, size, __ATOMIC_RELEASE);
	mutex_unlock(&i->attr_mu);
}

static int64_t ovl_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct ovl_inode *oi = ovl_i(f->inode);
	struct file *real;
	int64_t r = ovl_real(oi, t, &real);

	if (r < 0)
		return r;
	r = real->ops->read(real, t, u, pos, rwf);
	/* Files of the lower layer keep their access time, as in Linux. */
	if (r > 0 && oi->upper)
		inode_accessed(f->inode, f->path.mnt, f->flags);
	return r;
}

static int64_t ovl_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct inode *i = f->inode;
	struct ovl_inode *oi = ovl_i(i);
	struct file *real;
	size_t cut = 0;
	int64_t r, at;

	mutex_guard(&i->mu);
	r = ovl_data_up(oi, t, UINT64_MAX);
	if (!r)
		r = ovl_real(oi, t, &real);
	if (r < 0)
		return r;
	r = file_write_checks(f, t, u, pos, rwf, &cut);
	if (r <= 0)
		return r;
	at = *pos;
	r = real->ops->write(real, NULL, u, &at, 0);
	u->left += cut;
	if (r > 0) {
		if ((uint64_t)at > i->size)
			set_size(i, (uint64_t)at);
		*pos = at;
	}
	return r;
}

static int64_t ovl_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	uint64_t size = __atomic_load_n(&f->inode->size, __ATOMIC_ACQUIRE);
	struct file *real;
	int64_t r;

	if (whence != LINUX_SEEK_DATA && whence != LINUX_SEEK_HOLE)
		return file_llseek_size(f, off, whence, (int64_t)size, INT64_MAX);
	r = ovl_real(ovl_i(f->inode), t, &real);
	if (r < 0)
		return r;
	r = ovl_seek(ovl_i(f->inode), real, t, off, whence);
	if (r >= 0)
		f->pos = r;
	return r;
}

static int ovl_mmap(struct file *f, struct task *t, struct vma_request *req)
{
	struct ovl_inode *oi = ovl_i(f->inode);

	req->obj = &oi->map;
	(void)inode_get(&oi->i);
	return 0;
}

static int ovl_fsync(struct file *f, struct task *t, bool datasync)
{
	return 0;
}

static int ovl_fallocate(struct file *f, struct task *t, int mode, int64_t off, int64_t len)
{
	struct inode *i = f->inode;
	struct ovl_inode *oi = ovl_i(i);
	struct file *real;
	int err;

	mutex_guard(&i->mu);
	err = ovl_data_up(oi, t, UINT64_MAX);
	if (!err)
		err = ovl_real(oi, t, &real);
	if (!err)
		err = real->ops->fallocate(real, t, mode, off, len);
	if (err)
		return err;
	set_size(i, real->inode->size);
	if (mode & LINUX_FALLOC_FL_PUNCH_HOLE)
		mappable_invalidate(&oi->map, (uint64_t)off, (uint64_t)len, false);
	err = inode_remove_privs(i, t);
	inode_touch(i, true, true);
	return err;
}

static void ovl_file_release(struct file *f)
{
	file_done(f);
	free(f);
}

const struct file_ops ovl_file_ops = {
	.name = "overlay",
	.state = &overlay_file_state_type,
	.release = ovl_file_release,
	.read = ovl_read,
	.write = ovl_write,
	.llseek = ovl_llseek,
	.mmap = ovl_mmap,
	.fsync = ovl_fsync,
	.fallocate = ovl_fallocate,
};

int ovl_file_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct ovl_inode *oi = ovl_i(i);
	struct file *real, *f;
	int err;

	if ((flags & LINUX_O_ACCMODE) != LINUX_O_RDONLY || flags & LINUX_O_TRUNC)
		err = ovl_data_up(oi, t, flags & LINUX_O_TRUNC ? 0 : UINT64_MAX);
	else
		err = ovl_real(oi, t, &real);
	if (err)
		return err;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	file_init(f, &ovl_file_ops, flags | LINUX_O_LARGEFILE, t, p, i);
	f->seekable = true;
	*ret = f;
	return 0;
}

/* --- mapping --- */

static struct ovl_inode *of_map(struct mappable *m)
{
	return container_of(m, struct ovl_inode, map);
}

static int ovl_translate(struct mappable *m, uint64_t off, uint64_t len, bool write, struct backing *ret)
{
	struct ovl_inode *oi = of_map(m);
	struct inode *data = atomic_load(&oi->data);

	/* A shared mapping that may be written needs a descriptor opened for writing, which copied up. */
	if (!data->mapping || (write && data != oi->upper))
		return -EFAULT;
	return data->mapping->ops->translate(data->mapping, off, len, write, ret);
}

static void map_get(struct mappable *m)
{
	(void)inode_get(&of_map(m)->i);
}

static void map_put(struct mappable *m)
{
	inode_put(&of_map(m)->i);
}

const struct mappable_ops ovl_map_ops = { .translate = ovl_translate, .get = map_get, .put = map_put };

/* --- state --- */

static void *file_alloc(void)
{
	struct file *f = calloc(1, sizeof(*f));

	if (f)
		ref_init(&f->ref);
	return f;
}

static int file_save(struct state_writer *w, const void *obj, void *msg)
{
	Sentry__OverlayFile *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	return file_save_base(w, obj, m->file_base);
}

static int file_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__OverlayFile *m = msg;

	return file_load_base(r, obj, &ovl_file_ops, m->file_base);
}

static int file_after_load(struct state_reader *r, void *obj)
{
	struct file *f = obj;
	int err = state_check(r, f->inode && f->inode->ops == &ovl_reg_ops && f->path.dentry, "not a regular file of an overlay");

	if (err)
		return err;
	if (atomic_load(&ovl_i(f->inode)->data))
		file_check_opened(state_reader_ctx(r), atomic_load(&ovl_i(f->inode)->data), f, &ovl_i(f->inode)->map);
	file_after_load_base(f);
	return 0;
}

const struct state_type overlay_file_state_type = {
	.id = STATE_ID_overlay_file,
	.name = "overlay_file",
	.desc = &sentry__overlay_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = file_alloc,
	.save = file_save,
	.load = file_load,
	.after_load = file_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
