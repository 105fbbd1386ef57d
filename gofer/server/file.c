/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and I/O: lopen, openfd, create, read, write, readdir, fsync, allocate, locks.
 *
 * A donated fd (Topenfd, Tucreate) belongs to the Sentry alone; the fid stays unopened. Only regular files are donated: a
 * directory fd would let its holder climb with "..".
 */
#include "gofer/server/internal.h"

#include <dirent.h>
#include <string.h>
#include <sys/syscall.h>

#define OPEN_FLAGS (O_ACCMODE | O_TRUNC | O_APPEND | O_DSYNC | O_SYNC | O_NOATIME | O_DIRECT)
_Static_assert((int)P9_O_TRUNC == O_TRUNC && (int)P9_O_APPEND == O_APPEND && (int)P9_O_SYNC == O_SYNC, "wire flags are Linux x86");

/* Checks and reduces a client's open flags. Returns them or a negative errno. */
static int open_flags(const struct node *n, uint32_t wire)
{
	int flags = (int)(wire & OPEN_FLAGS);

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if ((flags & O_ACCMODE) == O_RDONLY)
		flags &= ~O_TRUNC; /* Linux leaves it undefined; here reading never changes a file */
	else if (n->type == S_IFDIR)
		return -EISDIR;
	else if (node_writable(n) < 0)
		return -EROFS;
	return flags;
}

int gofer_tlopen(struct req *q)
{
	_cleanup_fid_ struct fid *f = fid_get(q->g, q->t.tlopen.fid);
	struct p9_attr a;
	int flags, fd, r;

	if (!f)
		return -EBADF;
	flags = open_flags(f->node, q->t.tlopen.flags);
	r = flags < 0 ? flags : node_attr(q->g, f->node, &a);
	if (r < 0)
		return r;
	if ((q->t.tlopen.flags & P9_O_DIRECTORY) && f->node->type != S_IFDIR)
		return -ENOTDIR;
	mutex_guard(&f->mu);
	if (f->xattr || (f->open_fd >= 0 && !f->auto_open))
		return -EBADF;
	/* Message buffers are not aligned for O_DIRECT. */
	fd = node_open(q->g, f->node, flags & ~O_DIRECT);
	if (fd < 0)
		return fd;
	if (f->open_fd >= 0)
		(void)close(f->open_fd);
	f->open_fd = fd;
	f->auto_open = false;
	f->dir_pos = 0;
	q->r.rlopen.qid = a.qid;
	q->r.rlopen.iounit = q->g->msize - P9_IOHDR_SIZE;
	return 0;
}

int gofer_topenfd(struct req *q)
{
	_cleanup_fid_ struct fid *f = fid_get(q->g, q->t.topenfd.fid);
	struct p9_attr a;
	int flags, r;

	if (!f)
		return -EBADF;
	if (f->node->type == S_IFDIR)
		return -EISDIR;
	flags = open_flags(f->node, q->t.topenfd.flags);
	r = flags < 0 ? flags : node_attr(q->g, f->node, &a);
	if (r < 0)
		return r;
	q->send_fd = node_open(q->g, f->node, flags);
	if (q->send_fd < 0)
		return q->send_fd;
	q->r.ropenfd.qid = a.qid;
	q->r.ropenfd.has_fd = 1;
	return 0;
}

/* Owner and set-id bits of a regular file we just made and hold open. */
static int own_new_file(const struct gofer *g, int fd, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uid == P9_NOUID || uid == st.st_uid) && (gid == P9_NOUID || gid == st.st_gid))
		return 0;
	if (fchown(fd, uid, gid) < 0) {
		/* EINVAL: an id our user namespace does not map. A rootless sandbox's files are all its user's. */
		if (errno == EINVAL || (errno == EPERM && g->rootless))
			return 0;
		return -errno;
	}
	if ((mode & 06000) && fchmod(fd, mode & 07777) < 0)
		return -errno;
	return 0;
}

/*
 * Creates regular file @name, or opens the regular file there unless O_EXCL. *@ret_fd is open with @wire's flags, *@ret its node.
 * Always O_EXCL first: a plain O_CREAT would open whatever is there, a FIFO or a device.
 */
static int create_file(struct gofer *g, struct node *dir, const char *name, uint32_t wire, uint32_t mode, uint32_t uid,
		       uint32_t gid, struct node **ret, int *ret_fd)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_node_ struct node *n = NULL;
	const struct node as_file = { .type = S_IFREG, .exp = dir->exp };
	int flags = open_flags(&as_file, wire), r;

	if (flags < 0)
		return flags;
	if (dir->type != S_IFDIR)
		return -ENOTDIR;
	for (int tries = 0; tries < 8; tries++) {
		if (node_writable(dir) == 0) {
			fd = openat(dir->fd, name, (flags & ~O_TRUNC) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
				    mode & 07777);
			if (fd >= 0) {
				int pfd;

				r = own_new_file(g, fd, mode, uid, gid);
				if (r < 0) {
					(void)unlinkat(dir->fd, name, 0);
					return r;
				}
				/* The node is of the very file we made, not of what has the name by now. */
				pfd = openat(g->proc_fd, node_name(&(struct node){ .fd = fd }).s, O_PATH | O_CLOEXEC);
				if (pfd < 0)
					return -errno;
				r = node_new(dir->exp, pfd, &n);
				break;
			}
			if (errno != EEXIST || (wire & P9_O_EXCL))
				return -errno;
		}
		r = node_walk(dir, name, &n);
		if (r == -ENOENT && node_writable(dir) == 0)
			continue; /* unlinked since */
		if (r == -ENOENT)
			return -EROFS;
		if (r < 0)
			return r;
		if (wire & P9_O_EXCL)
			return -EEXIST;
		if (n->type == S_IFDIR)
			return -EISDIR;
		fd = node_open(g, n, flags);
		r = fd < 0 ? fd : 0;
		break;
	}
	if (fd < 0)
		return fd == -EBADF ? -EAGAIN : fd;
	if (r < 0)
		return r;
	*ret = TAKE_PTR(n);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int gofer_tlcreate(struct req *q)
{
	const struct p9_tlcreate *t = &q->t.tlcreate;
	_cleanup_fid_ struct fid *dir = fid_get(q->g, t->fid), *made = NULL;
	_cleanup_node_ struct node *n = NULL;
	char name[P9_NAME_MAX + 1];
	struct p9_attr a;
	int r, fd;

	if (!dir)
		return -EBADF;
	r = p9_copy_name(&t->name, name);
	if (r == 0)
		r = create_file(q->g, dir->node, name, t->flags & ~(uint32_t)O_DIRECT, t->mode, dir->uid, t->gid, &n, &fd);
	if (r < 0)
		return r;
	r = fid_new(n, &made);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	made->open_fd = fd;
	made->uid = dir->uid;
	if (!q->g->ext)
		r = fid_set_path(made, dir->node, name);
	if (r == 0)
		r = node_attr(q->g, n, &a);
	if (r < 0)
		return r;
	/* The directory's fid becomes the file's. */
	(void)fid_put(fid_remove(q->g, t->fid));
	q->r.rlcreate.qid = a.qid;
	q->r.rlcreate.iounit = q->g->msize - P9_IOHDR_SIZE;
	return fid_insert(q->g, t->fid, made);
}

int gofer_tucreate(struct req *q)
{
	const struct p9_tucreate *t = &q->t.tucreate;
	_cleanup_fid_ struct fid *dir = fid_get(q->g, t->dfid);
	_cleanup_node_ struct node *n = NULL;
	_cleanup_close_ int fd = -EBADF;
	char name[P9_NAME_MAX + 1];
	int r;

	if (!dir)
		return -EBADF;
	r = p9_copy_name(&t->name, name);
	if (r == 0)
		r = create_file(q->g, dir->node, name, t->flags, t->mode, t->uid, t->gid, &n, &fd);
	if (r == 0)
		r = node_attr(q->g, n, &q->r.rucreate.attr);
	if (r == 0)
		r = fid_add(q->g, t->newfid, n);
	if (r < 0)
		return r;
	q->send_fd = TAKE_FD(fd);
	q->r.rucreate.has_fd = 1;
	return 0;
}

/* The open fd of @f for a request that does I/O, which keeps @f alive; the fd changes only from closed to open while f lives
 * (and back for auto-opened directories, which never come here). */
static int io_fd(struct fid *f)
{
	mutex_guard(&f->mu);

	return f->open_fd >= 0 && !f->auto_open ? f->open_fd : -EBADF;
}

static uint32_t clamp_count(const struct req *q, uint32_t count)
{
	return MIN(count, (uint32_t)q->cap - P9_READ_OVERHEAD);
}

int gofer_tread(struct req *q)
{
	const struct p9_tread *t = &q->t.tread;
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid);
	uint32_t count = clamp_count(q, t->count);
	uint8_t *at = q->out + P9_READ_OVERHEAD;
	ssize_t n;
	int fd;

	if (!f)
		return -EBADF;
	if (f->xattr) {
		const struct xattr_io *x = f->xattr;

		if (x->write)
			return -EBADF;
		n = t->offset >= x->size ? 0 : MIN(count, x->size - (uint32_t)t->offset);
		memcpy(at, x->data + (n ? t->offset : 0), (size_t)n);
	} else {
		fd = io_fd(f);
		if (fd < 0)
			return fd;
		if (t->offset > INT64_MAX)
			return -EINVAL;
		n = pread(fd, at, count, (off_t)t->offset);
		if (n < 0)
			return -errno;
	}
	q->r.rread.data = (struct p9_data){ at, (uint32_t)n };
	return 0;
}

int gofer_twrite(struct req *q)
{
	const struct p9_twrite *t = &q->t.twrite;
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid);
	ssize_t n;
	int fd;

	if (!f)
		return -EBADF;
	if (f->xattr) {
		struct xattr_io *x = f->xattr;

		mutex_guard(&f->mu);
		if (!x->write || t->offset != x->done)
			return -EINVAL;
		if (t->data.len > x->size - x->done)
			return -ENOSPC;
		memcpy(x->data + x->done, t->data.p, t->data.len);
		x->done += t->data.len;
		q->r.rwrite.count = t->data.len;
		return 0;
	}
	fd = io_fd(f);
	if (fd < 0)
		return fd;
	if (t->offset > INT64_MAX)
		return -EINVAL;
	n = pwrite(fd, t->data.p, t->data.len, (off_t)t->offset);
	if (n < 0)
		return -errno;
	q->r.rwrite.count = (uint32_t)n;
	return 0;
}

struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	uint16_t d_reclen;
	uint8_t d_type;
	char d_name[];
};

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Fills q->out after the count with as many entries as fit @count. Called with f->mu. Returns bytes or a negative errno. */
static int64_t read_entries(struct req *q, struct fid *f, uint64_t offset, uint32_t count, bool attrs)
{
	struct p9_buf b = { .p = q->out + P9_READ_OVERHEAD, .len = clamp_count(q, count) };
	/* The request has been decoded and holds no strings, so its buffer is free for the host's entries. Attributes make an entry
	 * several times larger on the wire; do not read many more than will fit. */
	size_t want = attrs ? MAX(b.len / 4, (size_t)1024) : b.len;
	struct stat st;

	mutex_assert_held(&f->mu);
	if (fstat(f->open_fd, &st) < 0)
		return -errno;
	if (offset > INT64_MAX)
		return -EINVAL;
	if (f->dir_pos != (int64_t)offset && lseek(f->open_fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	f->dir_pos = -1;
	for (;;) {
		long n = syscall(SYS_getdents64, f->open_fd, q->in, MIN(want, q->cap));
		int64_t last = -1;

		if (n < 0)
			return -errno;
		if (n == 0)
			return (int64_t)b.pos;
		for (long pos = 0; pos < n;) {
			const struct linux_dirent64 *d = (const void *)(q->in + pos);
			struct p9_dirent_wire e = {
				.qid = dirent_qid(q->g, st.st_dev, d->d_ino, d->d_type),
				.offset = (uint64_t)d->d_off,
				.type = d->d_type,
				.name = p9_mkstr(d->d_name),
			};

			pos += d->d_reclen;
			last = d->d_off;
			/* The Sentry makes its own dots; a longer name cannot be looked up, so it is not shown. */
			if ((attrs && is_dot(d->d_name)) || e.name.len > P9_NAME_MAX)
				continue;
			if (attrs && attr_at(q->g, f->open_fd, d->d_name, &e.attr) == 0)
				e.qid = e.attr.qid;
			if (!p9_put_dirent(&b, &e, attrs))
				return b.pos ? (int64_t)b.pos : -EINVAL;
		}
		if (b.pos) {
			f->dir_pos = last;
			return (int64_t)b.pos;
		}
	}
}

int gofer_treaddir(struct req *q)
{
	const struct p9_treaddir *t = &q->t.treaddir;
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid);
	int64_t n;

	if (!f)
		return -EBADF;
	mutex_guard(&f->mu);
	if (f->node->type != S_IFDIR)
		return -ENOTDIR;
	if (f->open_fd < 0)
		return -EBADF;
	n = read_entries(q, f, t->offset, t->count, false);
	if (n < 0)
		return (int)n;
	q->r.rreaddir.data = (struct p9_data){ q->out + P9_READ_OVERHEAD, (uint32_t)n };
	return 0;
}

int gofer_treaddirattr(struct req *q)
{
	const struct p9_treaddir t = { q->t.treaddirattr.fid, q->t.treaddirattr.offset, q->t.treaddirattr.count };
	_cleanup_fid_ struct fid *f = fid_get(q->g, t.fid);
	int64_t n;

	if (!f)
		return -EBADF;
	mutex_guard(&f->mu);
	if (f->node->type != S_IFDIR)
		return -ENOTDIR;
	if (f->open_fd < 0) {
		int fd = node_open(q->g, f->node, O_RDONLY);

		if (fd < 0)
			return fd;
		f->open_fd = fd;
		f->auto_open = true;
		f->dir_pos = 0;
	}
	n = read_entries(q, f, t.offset, t.count, true);
	if (n <= 0 && f->auto_open) {
		(void)close(TAKE_FD(f->open_fd)); /* read to the end; idle directories hold no second fd */
		f->auto_open = false;
	}
	if (n < 0)
		return (int)n;
	q->r.rreaddirattr.data = (struct p9_data){ q->out + P9_READ_OVERHEAD, (uint32_t)n };
	return 0;
}

/* Calls @fn on the fid's open fd or on one opened for the purpose. */
static int with_fd(struct req *q, uint32_t num, int (*fn)(int fd))
{
	_cleanup_fid_ struct fid *f = fid_get(q->g, num);
	_cleanup_close_ int tmp = -EBADF;
	int fd;

	if (!f)
		return -EBADF;
	fd = io_fd(f);
	if (fd < 0) {
		if (f->node->type != S_IFREG && f->node->type != S_IFDIR)
			return -EINVAL;
		fd = tmp = node_open(q->g, f->node, O_RDONLY);
		if (fd < 0)
			return fd;
	}
	return fn(fd) < 0 ? -errno : 0;
}

int gofer_tfsync(struct req *q)
{
	return with_fd(q, q->t.tfsync.fid, q->t.tfsync.datasync ? fdatasync : fsync);
}

int gofer_tsyncfs(struct req *q)
{
	return with_fd(q, q->t.tsyncfs.fid, syncfs);
}

int gofer_tallocate(struct req *q)
{
	const struct p9_tallocate *t = &q->t.tallocate;
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid);
	int fd = f ? io_fd(f) : -EBADF;

	if (fd < 0)
		return fd;
	if (t->offset > INT64_MAX || t->length > INT64_MAX)
		return -EINVAL;
	return fallocate(fd, (int)t->mode, (off_t)t->offset, (off_t)t->length) < 0 ? -errno : 0;
}

static int to_flock(uint8_t type, uint64_t start, uint64_t length, struct flock *fl)
{
	static const short types[] = { [P9_LOCK_RDLCK] = F_RDLCK, [P9_LOCK_WRLCK] = F_WRLCK, [P9_LOCK_UNLCK] = F_UNLCK };

	if (type >= ARRAY_SIZE(types) || start > INT64_MAX || length > INT64_MAX)
		return -EINVAL;
	*fl = (struct flock){
		.l_type = types[type], .l_whence = SEEK_SET, .l_start = (off_t)start, .l_len = (off_t)length
	};
	return 0;
}

int gofer_tlock(struct req *q)
{
	const struct p9_tlock *t = &q->t.tlock;
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid);
	int fd = f ? io_fd(f) : -EBADF;
	struct flock fl;
	int r;

	if (fd < 0)
		return fd;
	r = to_flock(t->type, t->start, t->length, &fl);
	if (r < 0)
		return r;
	q->r.rlock.status = P9_LOCK_SUCCESS;
	if (fcntl(fd, F_OFD_SETLK, &fl) < 0) {
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		q->r.rlock.status = P9_LOCK_BLOCKED; /* the client tries again */
	}
	return 0;
}

int gofer_tgetlock(struct req *q)
{
	const struct p9_tgetlock *t = &q->t.tgetlock;
	_cleanup_fid_ struct fid *f = fid_get(q->g, t->fid);
	int fd = f ? io_fd(f) : -EBADF;
	struct p9_rgetlock *m = &q->r.rgetlock;
	struct flock fl;
	int r;

	if (fd < 0)
		return fd;
	r = to_flock(t->type, t->start, t->length, &fl);
	if (r < 0)
		return r;
	if (fcntl(fd, F_OFD_GETLK, &fl) < 0)
		return -errno;
	*m = (struct p9_rgetlock){ .type = P9_LOCK_UNLCK, .start = t->start, .length = t->length, .proc_id = t->proc_id,
				   .client_id = t->client_id };
	if (fl.l_type != F_UNLCK) {
		m->type = fl.l_type == F_RDLCK ? P9_LOCK_RDLCK : P9_LOCK_WRLCK;
		m->start = (uint64_t)fl.l_start;
		m->length = (uint64_t)fl.l_len;
		m->proc_id = fl.l_pid > 0 ? (uint32_t)fl.l_pid : 0;
	}
	return 0;
}
