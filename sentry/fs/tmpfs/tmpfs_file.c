/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open regular files of tmpfs: read, write, truncate, fallocate, seek, mmap, seals.
 *
 * Reads hold ti->io shared, so that pages cannot be given back under them; writes hold inode.mu, which truncation needs too. Both
 * copy from and to the application under these locks; page faults need neither (tmpfs_translate takes pages_mu only).
 * Linux: mm/shmem.c, mm/memfd.c.
 */
#include <stdlib.h>

#include "schemas/file.pb-c.h"
#include "schemas/tmpfs.pb-c.h"
#include "sentry/fs/tmpfs/tmpfs_internal.h"
#include "state/state.h"

#define MAP_SHARED_BIT 0x01u
#define PROT_WRITE_BIT 0x2u

static int64_t tmpfs_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct tmpfs_inode *ti = tmpfs_i(f->inode);
	struct memfile *mf = tmpfs_s(ti->i.sb)->mf;
	int64_t done = 0, n = 0;

	rwlock_rdlock(&ti->io);
	while (u->left) {
		uint64_t size = __atomic_load_n(&ti->i.size, __ATOMIC_ACQUIRE), off, len;

		if ((uint64_t)*pos >= size)
			break;
		len = MIN((uint64_t)u->left, size - (uint64_t)*pos);
		if (tmpfs_pages_find(ti, (uint64_t)*pos, len, &off, &len)) {
			const void *p = memfile_look(mf, off, &len);

			n = p ? uio_put(u, p, len) : -EIO;
		} else {
			n = uio_put_zero(u, len);
		}
		if (n <= 0)
			break;
		done += n;
		*pos += n;
		if ((uint64_t)n < len) {
			n = -EFAULT;
			break;
		}
	}
	rwlock_unlock(&ti->io);
	if (done)
		inode_accessed(f->inode, f->path.mnt, f->flags);
	return done ? done : n < 0 ? n : 0;
}

static void set_size(struct tmpfs_inode *ti, uint64_t size)
{
	mutex_lock(&ti->i.attr_mu);
	__atomic_store_n(&ti->i.size, size, __ATOMIC_RELEASE);
	mutex_unlock(&ti->i.attr_mu);
}

static int64_t tmpfs_write_locked(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct tmpfs_inode *ti = tmpfs_i(f->inode);
	struct memfile *mf = tmpfs_s(ti->i.sb)->mf;
	int64_t done = 0, n, at;
	size_t cut;

	n = file_write_checks(f, t, u, pos, rwf, &cut);
	if (n <= 0)
		return n;
	at = *pos;
	if (ti->seals & (LINUX_F_SEAL_WRITE | LINUX_F_SEAL_FUTURE_WRITE))
		n = -EPERM;
	while (n > 0 && u->left) {
		uint64_t off, len, want = u->left;
		void *p;

		/* Page by page in Linux: the pages that begin below the end are filled up to it. */
		if (ti->seals & LINUX_F_SEAL_GROW) {
			want = MIN(want, PAGE_SIZE - (uint64_t)at % PAGE_SIZE);
			if ((uint64_t)at + want > ti->i.size) {
				n = -EPERM;
				break;
			}
		}
		n = tmpfs_pages_alloc(ti, (uint64_t)at, want, &off, &len);
		if (n)
			break;
		p = memfile_ptr(mf, off, len);
		n = p ? uio_get(u, p, len) : -ENOMEM;
		if (n <= 0)
			break;
		done += n;
		at += n;
		if ((uint64_t)at > ti->i.size)
			set_size(ti, (uint64_t)at);
		if ((uint64_t)n < len) {
			n = -EFAULT;
			break;
		}
	}
	u->left += cut;
	if (!done)
		return n;
	*pos = at;
	return done;
}

static int64_t tmpfs_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	int64_t r;

	mutex_lock(&f->inode->mu);
	r = tmpfs_write_locked(f, t, u, pos, rwf);
	mutex_unlock(&f->inode->mu);
	return r;
}

int tmpfs_truncate(struct tmpfs_inode *ti, uint64_t size)
{
	uint64_t old = ti->i.size, from = ALIGN_UP(size, PAGE_SIZE);
	int err = 0;

	mutex_assert_held(&ti->i.mu);
	if (size < old && ti->seals & LINUX_F_SEAL_SHRINK)
		return -EPERM;
	if (size > old && ti->seals & LINUX_F_SEAL_GROW)
		return -EPERM;
	if (size >= old) {
		set_size(ti, size);
		return 0;
	}
	rwlock_wrlock(&ti->io);
	set_size(ti, size);
	tmpfs_pages_zero(ti, size, MIN(from, old));
	err = tmpfs_pages_free(ti, from, UINT64_MAX & PAGE_MASK);
	rwlock_unlock(&ti->io);
	mappable_invalidate(&ti->map, from, (1ULL << 62) - from, true);
	return err;
}

static int punch(struct tmpfs_inode *ti, uint64_t start, uint64_t end)
{
	uint64_t first = ALIGN_UP(start, PAGE_SIZE), last = ALIGN_DOWN(end, PAGE_SIZE);
	int err = 0;

	if (ti->seals & (LINUX_F_SEAL_WRITE | LINUX_F_SEAL_FUTURE_WRITE))
		return -EPERM;
	rwlock_wrlock(&ti->io);
	if (first > last) { /* inside one page */
		tmpfs_pages_zero(ti, start, end);
	} else {
		tmpfs_pages_zero(ti, start, first);
		tmpfs_pages_zero(ti, last, end);
		if (first < last)
			err = tmpfs_pages_free(ti, first, last);
	}
	rwlock_unlock(&ti->io);
	if (first < last)
		mappable_invalidate(&ti->map, first, last - first, false);
	return err;
}

static int fill(struct tmpfs_inode *ti, uint64_t start, uint64_t end, bool keep_size)
{
	if (end > ti->i.size && ti->seals & LINUX_F_SEAL_GROW)
		return -EPERM;
	for (uint64_t at = ALIGN_DOWN(start, PAGE_SIZE); at < end;) {
		uint64_t off, len;
		int err = tmpfs_pages_alloc(ti, at, end - at, &off, &len);

		if (err)
			return err == -ENOMEM ? -ENOSPC : err;
		at += len;
	}
	if (!keep_size && end > ti->i.size)
		set_size(ti, end);
	return 0;
}

static int tmpfs_fallocate(struct file *f, struct task *t, int mode, int64_t off, int64_t len)
{
	struct tmpfs_inode *ti = tmpfs_i(f->inode);
	struct tmpfs_sb *s = tmpfs_s(ti->i.sb);
	uint64_t start = (uint64_t)off, end = start + (uint64_t)len;
	int err;

	if (mode & ~(LINUX_FALLOC_FL_KEEP_SIZE | LINUX_FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (end > (uint64_t)INT64_MAX)
		return -EFBIG;
	if (!(mode & LINUX_FALLOC_FL_PUNCH_HOLE) && s->max_pages && (end - start) / PAGE_SIZE > s->max_pages)
		return -ENOSPC;
	mutex_lock(&ti->i.mu);
	/* Linux asks the limit for KEEP_SIZE, too. */
	err = mode & LINUX_FALLOC_FL_PUNCH_HOLE ? 0 : inode_newsize_ok(&ti->i, t, end);
	if (!err)
		err = mode & LINUX_FALLOC_FL_PUNCH_HOLE ? punch(ti, start, end) : fill(ti, start, end, mode & LINUX_FALLOC_FL_KEEP_SIZE);
	if (!err) {
		err = inode_remove_privs(&ti->i, t);
		inode_touch(&ti->i, true, true);
	}
	mutex_unlock(&ti->i.mu);
	return err;
}

static int64_t tmpfs_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	struct tmpfs_inode *ti = tmpfs_i(f->inode);
	uint64_t size = __atomic_load_n(&ti->i.size, __ATOMIC_ACQUIRE), at;

	if (whence == LINUX_SEEK_DATA || whence == LINUX_SEEK_HOLE) {
		if (off < 0 || (uint64_t)off >= size)
			return -ENXIO;
		at = tmpfs_pages_seek(ti, (uint64_t)off, whence == LINUX_SEEK_DATA);
		if (at >= size) {
			if (whence == LINUX_SEEK_DATA)
				return -ENXIO;
			at = size;
		}
		f->pos = (int64_t)at;
		return f->pos;
	}
	return file_llseek_size(f, off, whence, (int64_t)size, INT64_MAX);
}

static int tmpfs_mmap(struct file *f, struct task *t, struct vma_request *req)
{
	struct tmpfs_inode *ti = tmpfs_i(f->inode);

	if (ti->seals & (LINUX_F_SEAL_WRITE | LINUX_F_SEAL_FUTURE_WRITE) && req->flags & MAP_SHARED_BIT) {
		if (req->prot & PROT_WRITE_BIT)
			return -EPERM;
		req->deny_write = true;
	}
	req->obj = &ti->map;
	(void)inode_get(&ti->i);
	return 0;
}

static int tmpfs_fsync(struct file *f, struct task *t, bool datasync)
{
	return 0;
}

static void tmpfs_file_release(struct file *f)
{
	file_done(f);
	free(f);
}

static const struct file_ops tmpfs_file_ops = {
	.name = "tmpfs",
	.state = &tmpfs_file_state_type,
	.release = tmpfs_file_release,
	.read = tmpfs_read,
	.write = tmpfs_write,
	.llseek = tmpfs_llseek,
	.mmap = tmpfs_mmap,
	.fsync = tmpfs_fsync,
	.fallocate = tmpfs_fallocate,
};

int tmpfs_file_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	file_init(f, &tmpfs_file_ops, flags | LINUX_O_LARGEFILE, t, p, i);
	f->seekable = true;
	*ret = f;
	return 0;
}

int tmpfs_get_seals(struct file *f)
{
	return f->ops == &tmpfs_file_ops ? (int)tmpfs_i(f->inode)->seals : -EINVAL;
}

int tmpfs_add_seals(struct file *f, uint32_t seals)
{
	const uint32_t all = LINUX_F_SEAL_SEAL | LINUX_F_SEAL_SHRINK | LINUX_F_SEAL_GROW | LINUX_F_SEAL_WRITE |
			     LINUX_F_SEAL_FUTURE_WRITE | LINUX_F_SEAL_EXEC;
	struct tmpfs_inode *ti;

	if (f->ops != &tmpfs_file_ops)
		return -EINVAL;
	if (!f->writable)
		return -EPERM;
	if (seals & ~all)
		return -EINVAL;
	ti = tmpfs_i(f->inode);
	mutex_guard(&ti->i.mu);
	if (ti->seals & LINUX_F_SEAL_SEAL)
		return -EPERM;
	if (seals & LINUX_F_SEAL_WRITE && !(ti->seals & LINUX_F_SEAL_WRITE) && mappable_has_writable(&ti->map))
		return -EBUSY;
	if (seals & LINUX_F_SEAL_EXEC && ti->i.mode & LINUX_S_IXUGO)
		seals |= LINUX_F_SEAL_SHRINK | LINUX_F_SEAL_GROW | LINUX_F_SEAL_WRITE | LINUX_F_SEAL_FUTURE_WRITE;
	ti->seals |= seals;
	return 0;
}

/* --- state --- */

static void *tmpfs_file_alloc(void)
{
	struct file *f = calloc(1, sizeof(*f));

	if (f)
		ref_init(&f->ref);
	return f;
}

static int tmpfs_file_save(struct state_writer *w, const void *obj, void *msg)
{
	Sentry__TmpfsFile *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	return file_save_base(w, obj, m->file_base);
}

static int tmpfs_file_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__TmpfsFile *m = msg;

	return file_load_base(r, obj, &tmpfs_file_ops, m->file_base);
}

static int tmpfs_file_after_load(struct state_reader *r, void *obj)
{
	struct file *f = obj;
	int err = state_check(r, f->inode->ops == &tmpfs_reg_ops && f->path.dentry, "not a regular file of tmpfs");

	if (!err)
		err = file_check_path(r, f);
	if (!err)
		file_after_load_base(f);
	return err;
}

const struct state_type tmpfs_file_state_type = {
	.id = STATE_ID_tmpfs_file,
	.name = "tmpfs_file",
	.desc = &sentry__tmpfs_file__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = tmpfs_file_alloc,
	.save = tmpfs_file_save,
	.load = tmpfs_file_load,
	.after_load = tmpfs_file_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
