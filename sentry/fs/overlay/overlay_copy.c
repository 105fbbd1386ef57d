/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying up: where an inode's content is, and how it gets from the lower layer into memory.
 *
 * An upper inode is a nameless file of the upper tmpfs; it stores content and extended attributes, while attributes are the overlay
 * inode's own. Copying happens once: `data` then points to it, and mappings made before are dropped, so that the next access, also through
 * descriptors opened long ago, finds the new place (Linux leaves them on the old file).
 * Locks: up_mu over the whole copy. Checkpoint: nothing; open files of the layers are opened again on first use.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sentry/fs/overlay/overlay_internal.h"

#define COPY_CHUNK (256UL << 10)
#define NAMES_MAX  65536 /* XATTR_LIST_MAX */

static int copy_one_xattr(struct inode *from, struct inode *to, struct task *t, const char *name)
{
	int64_t n = from->ops->getxattr(from, t, name, NULL, 0);
	_cleanup_free_ void *val = NULL;
	int err;

	if (n < 0)
		return n == -ENODATA || n == -EOPNOTSUPP ? 0 : (int)n;
	if (n > LINUX_XATTR_SIZE_MAX)
		return -E2BIG;
	val = malloc((size_t)n + 1);
	if (!val)
		return -ENOMEM;
	if (n > 0)
		n = from->ops->getxattr(from, t, name, val, (size_t)n);
	if (n < 0)
		return (int)n;
	mutex_lock(&to->mu);
	err = to->ops->setxattr(to, NULL, name, val, (size_t)n, 0);
	mutex_unlock(&to->mu);
	return err == -EOPNOTSUPP ? 0 : err;
}

static int copy_xattrs(struct inode *from, struct inode *to, struct task *t)
{
	_cleanup_free_ char *names = NULL;
	int64_t n;
	int err = 0;

	if (!from->ops->listxattr || !from->ops->getxattr)
		return 0;
	n = from->ops->listxattr(from, NULL, NULL, 0);
	if (n <= 0 || n > NAMES_MAX)
		return n == -EOPNOTSUPP ? 0 : n > 0 ? -E2BIG : (int)n;
	names = malloc((size_t)n + 1);
	if (!names)
		return -ENOMEM;
	n = from->ops->listxattr(from, NULL, names, (size_t)n);
	if (n < 0)
		return (int)n;
	names[n] = '\0';
	for (int64_t at = 0; at < n && !err; at += (int64_t)strlen(names + at) + 1)
		if (names[at])
			err = copy_one_xattr(from, to, t, names + at);
	return err;
}

static int upper_locked(struct ovl_inode *oi, struct task *t)
{
	struct inode_make m = { .mode = LINUX_S_IFREG | 0600 };
	struct inode *root, *up = NULL;
	int err;

	if (oi->upper)
		return 0;
	root = ovl_s(oi->i.sb)->upper->root->inode;
	mutex_lock(&root->mu);
	err = root->ops->tmpfile(root, NULL, &m, &up);
	mutex_unlock(&root->mu);
	if (!err && oi->lower)
		err = copy_xattrs(ovl_lower(oi), up, t);
	if (err) {
		inode_put(up);
		return err;
	}
	__atomic_store_n(&oi->upper, up, __ATOMIC_RELEASE);
	if (!oi->lower && LINUX_S_ISREG(oi->i.mode))
		atomic_store(&oi->data, up);
	return 0;
}

int ovl_upper(struct ovl_inode *oi, struct task *t, struct inode **ret)
{
	int err;

	mutex_lock(&oi->up_mu);
	err = upper_locked(oi, t);
	mutex_unlock(&oi->up_mu);
	*ret = oi->upper;
	return err;
}

static int real_locked(struct ovl_inode *oi, struct task *t, struct file **ret)
{
	struct inode *data = atomic_load(&oi->data);
	struct file *f = atomic_load(&oi->real);
	int err;

	if (!f) {
		struct path p = { .dentry = data == oi->upper ? NULL : oi->lower };

		err = data->ops->open(data, NULL, &p, LINUX_O_NOATIME | (data == oi->upper ? LINUX_O_RDWR : LINUX_O_RDONLY), &f);
		if (err)
			return err;
		atomic_store(&oi->real, f);
	}
	*ret = f;
	return 0;
}

int ovl_real(struct ovl_inode *oi, struct task *t, struct file **ret)
{
	int err;

	*ret = atomic_load(&oi->real);
	if (*ret)
		return 0;
	mutex_lock(&oi->up_mu);
	err = real_locked(oi, t, ret);
	mutex_unlock(&oi->up_mu);
	return err;
}

int64_t ovl_seek(struct ovl_inode *oi, struct file *real, struct task *t, int64_t off, int whence)
{
	int64_t r = -EINVAL;

	mutex_lock(&oi->seek_mu);
	if (real->ops->llseek)
		r = real->ops->llseek(real, t, off, whence);
	mutex_unlock(&oi->seek_mu);
	return r;
}

/* Where content between @at and @end is. False: there is none. */
static bool next_data(struct ovl_inode *oi, struct file *f, uint64_t at, uint64_t end, uint64_t *start, uint64_t *stop)
{
	int64_t a = ovl_seek(oi, f, NULL, (int64_t)at, LINUX_SEEK_DATA), b;

	if (a == -ENXIO || (a >= 0 && (uint64_t)a >= end))
		return false;
	*start = a < (int64_t)at ? at : (uint64_t)a; /* an error: the file system does not know */
	b = a < 0 ? -1 : ovl_seek(oi, f, NULL, a, LINUX_SEEK_HOLE);
	*stop = b <= (int64_t)*start ? end : MIN((uint64_t)b, end);
	return true;
}

static int copy_piece(struct file *from, struct file *to, struct task *t, void *buf, uint64_t at, uint64_t stop)
{
	while (at < stop) {
		int64_t got = file_pread_kernel(from, t, buf, MIN(COPY_CHUNK, stop - at), (int64_t)at), pos = (int64_t)at, put;
		struct uio u;

		if (got < 0)
			return (int)got;
		if (got == 0)
			return -EIO; /* shorter than it was */
		uio_kernel(&u, buf, (size_t)got);
		put = to->ops->write(to, NULL, &u, &pos, 0);
		uio_done(&u);
		if (put != got)
			return put < 0 ? (int)put : -ENOSPC;
		at += (uint64_t)got;
	}
	return 0;
}

static int copy_data(struct ovl_inode *oi, struct file *from, struct file *to, struct task *t, uint64_t size)
{
	_cleanup_free_ void *buf = NULL;
	uint64_t at = 0, start, stop;
	int err = 0;

	while (!err && at < size && next_data(oi, from, at, size, &start, &stop)) {
		if (!buf)
			buf = malloc(COPY_CHUNK);
		if (!buf)
			return -ENOMEM;
		err = copy_piece(from, to, t, buf, start, stop);
		at = stop;
	}
	return err;
}

static int data_up_locked(struct ovl_inode *oi, struct task *t, uint64_t limit)
{
	struct path none = { 0 };
	uint64_t size = MIN(oi->i.size, limit);
	struct iattr a = { .valid = ATTR_SIZE };
	struct file *from = NULL, *to = NULL;
	struct inode *up;
	int err;

	if (ovl_data_is_up(oi))
		return 0;
	err = upper_locked(oi, t);
	if (err || ovl_data_is_up(oi))
		return err;
	up = oi->upper;
	if (size)
		err = real_locked(oi, t, &from);
	if (!err)
		err = up->ops->open(up, NULL, &none, LINUX_O_RDWR | LINUX_O_NOATIME, &to);
	if (!err && size)
		err = copy_data(oi, from, to, t, size);
	if (!err) {
		a.size = size;
		err = vfs_raw_setattr(up, &a);
	}
	if (err) {
		/* What was copied is worth nothing; the next try starts again. */
		a.size = 0;
		if (vfs_raw_setattr(up, &a) < 0)
			log_debug("overlay: what was half copied stays until the file goes");
		file_put(to);
		return err;
	}
	oi->real_lower = atomic_load(&oi->real);
	atomic_store(&oi->data, up);
	atomic_store(&oi->real, to);
	mappable_invalidate(&oi->map, 0, INT64_MAX, false);
	return 0;
}

int ovl_data_up(struct ovl_inode *oi, struct task *t, uint64_t limit)
{
	int err;

	if (ovl_data_is_up(oi))
		return 0;
	mutex_lock(&oi->up_mu);
	err = data_up_locked(oi, t, limit);
	mutex_unlock(&oi->up_mu);
	if (!err)
		ovl_pin(oi);
	return err;
}
