/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data of files outside: donated host descriptors, read, written and mapped directly; directory listings.
 *
 * Locks: inode.mu is held by writers (appends and size changes), as everywhere. Checkpoint: gofer_state.c.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "schemas/goferfs.pb-c.h"
#include "sentry/fs/gofer/gofer_internal.h"
#include "sentry/fs/mount.h"
#include "state/state.h"

#define IO_PIECES 16

struct gofer_file {
	struct file file; /* saved: 1 file_base */
};

int gofer_host_fd(struct gofer_inode *g, bool write)
{
	struct p9_client *c = gofer_c(&g->i);
	int fd;

	mutex_guard(&g->fd_mu);
	if (g->fd_rw >= 0)
		return g->fd_rw;
	if (!write && g->fd_ro >= 0)
		return g->fd_ro;
	if (gofer_fid(&g->i) == P9_NOFID)
		return -EIO;
	fd = p9_openfd(c, gofer_fid(&g->i), write ? O_RDWR : O_RDONLY);
	if (fd < 0)
		return fd;
	atomic_store(&g->opened, true);
	if (write)
		g->fd_rw = fd;
	else
		g->fd_ro = fd;
	return fd;
}

static int64_t transfer(struct file *f, struct uio *u, int64_t *pos, bool write)
{
	struct gofer_inode *g = gofer_i(f->inode);
	int fd = gofer_host_fd(g, write);
	int64_t done = 0;

	if (fd < 0)
		return fd;
	while (u->left) {
		struct iovec iov[IO_PIECES];
		int n = uio_pin(u, !write, iov, IO_PIECES);
		size_t want = 0;
		ssize_t r;

		if (n <= 0)
			return done ? done : n;
		for (int i = 0; i < n; i++)
			want += iov[i].iov_len;
		r = write ? pwritev(fd, iov, n, *pos) : preadv(fd, iov, n, *pos);
		if (r < 0)
			r = -errno;
		uio_unpin(u);
		if (r <= 0)
			return done ? done : r;
		uio_advance(u, (size_t)r);
		*pos += r;
		done += r;
		if ((size_t)r < want)
			break;
	}
	return done;
}

static int64_t gofer_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	return transfer(f, u, pos, false);
}

static int64_t gofer_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct gofer_inode *g = gofer_i(f->inode);
	struct inode *i = f->inode;
	int64_t r;

	mutex_guard(&i->mu);
	if (f->flags & LINUX_O_APPEND) {
		struct stat st;
		int fd = gofer_host_fd(g, true);

		if (fd < 0)
			return fd;
		if (fstat(fd, &st) < 0)
			return -errno;
		*pos = st.st_size;
	}
	r = inode_remove_privs(i, t);
	if (r < 0)
		return r;
	r = transfer(f, u, pos, true);
	if (r > 0) {
		mutex_lock(&i->attr_mu);
		i->size = MAX(i->size, (uint64_t)*pos);
		mutex_unlock(&i->attr_mu);
		atomic_store(&g->stale, true);
		if ((f->flags & LINUX_O_DSYNC) && fdatasync(gofer_host_fd(g, true)) < 0)
			return -errno;
	}
	return r;
}

static int64_t gofer_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	struct gofer_inode *g = gofer_i(f->inode);
	int fd = gofer_host_fd(g, false);
	struct stat st;
	off_t r;

	if (fd < 0 && f->writable)
		fd = gofer_host_fd(g, true);
	if (fd < 0)
		return fd;
	if (whence == LINUX_SEEK_DATA || whence == LINUX_SEEK_HOLE) {
		r = lseek(fd, off, whence);
		if (r < 0)
			return -errno;
		f->pos = r;
		return r;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	return file_llseek_size(f, off, whence, (uint64_t)st.st_size, INT64_MAX);
}

static int gofer_mmap(struct file *f, struct task *t, struct vma_request *req)
{
	req->obj = &gofer_i(f->inode)->map;
	req->obj->ops->get(req->obj);
	return 0;
}

static int gofer_fsync(struct file *f, struct task *t, bool datasync)
{
	int fd = gofer_host_fd(gofer_i(f->inode), f->writable);

	if (fd < 0)
		return fd;
	return (datasync ? fdatasync(fd) : fsync(fd)) < 0 ? -errno : 0;
}

static int gofer_fallocate(struct file *f, struct task *t, int mode, int64_t off, int64_t len)
{
	struct gofer_inode *g = gofer_i(f->inode);
	int fd = gofer_host_fd(g, true), r = 0;

	if (fd < 0)
		return fd;
	mutex_lock(&f->inode->mu);
	if (!(mode & (LINUX_FALLOC_FL_KEEP_SIZE | LINUX_FALLOC_FL_COLLAPSE_RANGE)))
		r = inode_newsize_ok(f->inode, t, (mode & LINUX_FALLOC_FL_INSERT_RANGE ? f->inode->size : (uint64_t)off) + (uint64_t)len);
	if (r == 0 && fallocate(fd, mode, off, len) < 0)
		r = -errno;
	atomic_store(&g->stale, true);
	if (r == 0)
		r = gofer_refresh(f->inode, t);
	mutex_unlock(&f->inode->mu);
	return r;
}

static void gofer_release(struct file *f)
{
	file_done(f);
	free(container_of(f, struct gofer_file, file));
}

static const struct file_ops gofer_file_ops = {
	.name = "gofer",
	.state = &gofer_file_state_type,
	.release = gofer_release,
	.read = gofer_read,
	.write = gofer_write,
	.llseek = gofer_llseek,
	.mmap = gofer_mmap,
	.fsync = gofer_fsync,
	.fallocate = gofer_fallocate,
};

int gofer_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct gofer_file *gf;
	uint32_t acc = flags & LINUX_O_ACCMODE;
	int fd = gofer_host_fd(gofer_i(i), acc != LINUX_O_RDONLY);

	if (fd < 0)
		return fd;
	gf = calloc(1, sizeof(*gf));
	if (!gf)
		return -ENOMEM;
	file_init(&gf->file, &gofer_file_ops, flags, t, p, i);
	gf->file.seekable = true;
	*ret = &gf->file;
	return 0;
}

/* --- mappings --- */

static int gofer_translate(struct mappable *m, uint64_t off, uint64_t len, bool write, struct backing *ret)
{
	struct gofer_inode *g = container_of(m, struct gofer_inode, map);
	int fd = gofer_host_fd(g, write);
	struct stat st;
	uint64_t end;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -EIO;
	end = ALIGN_UP((uint64_t)st.st_size, PAGE_SIZE);
	if (off >= end)
		return -EFAULT;
	*ret = (struct backing){ .kind = BACKING_HOST, .fd = fd, .off = off, .len = MIN(len, end - off), .writable = write };
	if (write)
		atomic_store(&g->stale, true);
	return 0;
}

static void gofer_map_get(struct mappable *m)
{
	(void)inode_get(&container_of(m, struct gofer_inode, map)->i);
}

static void gofer_map_put(struct mappable *m)
{
	inode_put(&container_of(m, struct gofer_inode, map)->i);
}

static int gofer_map_sync(struct mappable *m, uint64_t off, uint64_t len)
{
	struct gofer_inode *g = container_of(m, struct gofer_inode, map);
	int fd = gofer_host_fd(g, true);

	return fd >= 0 && fdatasync(fd) < 0 ? -errno : 0;
}

const struct mappable_ops gofer_map_ops = {
	.translate = gofer_translate,
	.get = gofer_map_get,
	.put = gofer_map_put,
	.sync = gofer_map_sync,
};

/* --- directories --- */

struct gofer_dir {
	struct file file; /* saved: 1 file_base */
	struct gofer_listing *l; /* nosave: taken at position 0 or when first needed; guarded by pos_mu */
};

static int fill(struct gofer_dir *d)
{
	gofer_listing_put(TAKE_PTR(d->l));
	return gofer_listing_of(gofer_i(d->file.inode), &d->l);
}

static int gofer_readdir(struct file *f, struct task *t, struct dir_sink *s)
{
	struct gofer_dir *d = container_of(f, struct gofer_dir, file);
	struct dentry *parent;
	int r;

	if (f->pos == 0 || !d->l) {
		r = fill(d);
		if (r < 0)
			return r;
	}
	if (f->pos == 0) {
		if (!s->emit(s, ".", 1, 1, f->inode->ino, LINUX_DT_DIR))
			return 0;
		f->pos = 1;
	}
	if (f->pos == 1) {
		bool room;

		parent = dentry_parent_get(f->path.dentry);
		room = s->emit(s, "..", 2, 2, parent->inode ? ((struct inode *)parent->inode)->ino : f->inode->ino, LINUX_DT_DIR);
		dentry_put(parent);
		if (!room)
			return 0;
		f->pos = 2;
	}
	while (f->pos >= 2 && (uint64_t)f->pos - 2 < d->l->n) {
		const struct gofer_entry *e = &d->l->e[f->pos - 2];
		const char *name = gofer_entry_name(d->l, e);

		if (!s->emit(s, name, strlen(name), f->pos + 1, e->qid.path, e->type))
			return 0;
		f->pos++;
	}
	return 0;
}

static int64_t gofer_dir_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	if (whence != LINUX_SEEK_SET && whence != LINUX_SEEK_CUR)
		return -EINVAL;
	return file_llseek_size(f, off, whence, 0, INT64_MAX);
}

static int gofer_dir_fsync(struct file *f, struct task *t, bool datasync)
{
	return p9_fsync(gofer_c(f->inode), gofer_fid(f->inode), datasync);
}

static void gofer_dir_release(struct file *f)
{
	struct gofer_dir *d = container_of(f, struct gofer_dir, file);

	file_done(f);
	gofer_listing_put(d->l);
	free(d);
}

static const struct file_ops gofer_dir_ops = {
	.name = "gofer-dir",
	.state = &gofer_dir_state_type,
	.release = gofer_dir_release,
	.readdir = gofer_readdir,
	.llseek = gofer_dir_llseek,
	.fsync = gofer_dir_fsync,
};

int gofer_dir_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct gofer_dir *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	file_init(&d->file, &gofer_dir_ops, flags, t, p, i);
	d->file.seekable = true;
	*ret = &d->file;
	return 0;
}

/* --- state --- */

static void *file_alloc(void)
{
	struct gofer_file *f = calloc(1, sizeof(*f));

	if (f)
		ref_init(&f->file.ref);
	return f;
}

static int file_save(struct state_writer *w, const void *obj, void *msg)
{
	Sentry__GoferFile *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	return file_save_base(w, obj, m->file_base);
}

static int load_as(struct state_reader *r, struct file *f, const struct file_ops *ops, const Sentry__GoferFile *m)
{
	int e = state_check(r, m->file_base != NULL, "no file base");

	return e < 0 ? e : file_load_base(r, f, ops, m->file_base);
}

static int file_load(struct state_reader *r, void *obj, const void *msg)
{
	return load_as(r, obj, &gofer_file_ops, msg);
}

static int file_after_load(struct state_reader *r, void *obj)
{
	struct file *f = obj;
	int e = state_check(r, f->inode->ops == &gofer_file_iops, "not a regular file of a gofer mount");

	if (e < 0)
		return e;
	file_check_opened(state_reader_ctx(r), f->inode, f, &gofer_i(f->inode)->map);
	file_after_load_base(f);
	return 0;
}

static void *dir_alloc(void)
{
	struct gofer_dir *d = calloc(1, sizeof(*d));

	if (d)
		ref_init(&d->file.ref);
	return d;
}

static int dir_load(struct state_reader *r, void *obj, const void *msg)
{
	return load_as(r, obj, &gofer_dir_ops, msg);
}

static int dir_after_load(struct state_reader *r, void *obj)
{
	struct file *f = obj;
	int e = state_check(r, f->inode->ops == &gofer_dir_iops && f->path.dentry, "not a directory of a gofer mount");

	if (e == 0)
		file_after_load_base(f);
	return e;
}

const struct state_type gofer_file_state_type = {
	.id = STATE_ID_gofer_file,
	.name = "gofer_file",
	.desc = &sentry__gofer_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = file_alloc,
	.save = file_save,
	.load = file_load,
	.after_load = file_after_load,
	.get = file_state_get,
	.put = file_state_put,
};

const struct state_type gofer_dir_state_type = {
	.id = STATE_ID_gofer_dir,
	.name = "gofer_dir",
	.desc = &sentry__gofer_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = dir_alloc,
	.save = file_save,
	.load = dir_load,
	.after_load = dir_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
