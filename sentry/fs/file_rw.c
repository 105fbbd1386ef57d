/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers: the blocking layer around file_ops.read and write.
 *
 * Operations answer -EAGAIN; here we wait on the file's queue and try again, so that no kind of file contains a wait loop. A signal
 * after partial progress returns the partial count. A freeze after partial progress leaves it in t->sysctx.progress and the re-run goes on from there: the
 * application never sees a short transfer because of a checkpoint.
 * Locks: pos_mu is held during one attempt of a positioned transfer, never while waiting.
 * Linux: fs/read_write.c.
 */
#include "sentry/abi/fs.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/file.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/fanotify.h"
#include "sentry/fs/notify.h"
#include "sentry/kernel/task.h"
#include "sentry/net/socket.h"

static int check_pos(struct file *f, int64_t off, const struct uio *u)
{
	int64_t end;

	if (!f->seekable)
		return -ESPIPE;
	return off < 0 || add_overflow(off, u->left, &end) ? -EINVAL : 0;
}

int64_t file_read_once(struct file *f, struct task *t, struct uio *u, int64_t off, int rwf)
{
	int64_t r;

	if (!f->readable)
		return -EBADF;
	if (inode_is_dir(f->inode))
		return -EISDIR;
	if (!f->ops->read)
		return -EINVAL;
	if (off != -1) {
		r = check_pos(f, off, u);
		return r ? r : f->ops->read(f, t, u, &off, rwf);
	}
	if (!f->seekable)
		return f->ops->read(f, t, u, NULL, rwf);
	mutex_lock(&f->pos_mu);
	r = check_pos(f, f->pos, u);
	if (!r)
		r = f->ops->read(f, t, u, &f->pos, rwf);
	mutex_unlock(&f->pos_mu);
	return r;
}

int64_t file_write_once(struct file *f, struct task *t, struct uio *u, int64_t off, int rwf)
{
	int64_t r;

	if (!f->writable)
		return -EBADF;
	if (!f->ops->write)
		return -EINVAL;
	if (off != -1) {
		r = check_pos(f, off, u);
		return r ? r : f->ops->write(f, t, u, &off, rwf);
	}
	if (!f->seekable)
		return f->ops->write(f, t, u, NULL, rwf);
	mutex_lock(&f->pos_mu);
	r = check_pos(f, f->pos, u);
	if (!r)
		r = f->ops->write(f, t, u, &f->pos, rwf);
	mutex_unlock(&f->pos_mu);
	return r;
}

int64_t file_block_on(struct file *f, struct task *t, uint32_t events, bool nonblock, int64_t deadline, int64_t (*op)(void *arg), void *arg)
{
	struct waiter w = { 0 };
	int64_t r = op(arg);

	if (r != -EAGAIN || nonblock || !t || file_nonblock(f))
		return r;
	task_waiter_init(&w, t, events | LINUX_POLLERR | LINUX_POLLHUP);
	if (!file_poll_add(f, &w))
		return r;
	task_block_prepare(t);
	for (;;) {
		int err;

		r = op(arg);
		if (r != -EAGAIN)
			break;
		err = task_block(t, deadline);
		if (err) {
			/* What is ready comes before a signal, as in Linux. */
			r = err == -ERESTARTSYS ? op(arg) : -EAGAIN;
			if (r == -EAGAIN)
				r = err;
			break;
		}
	}
	waitq_del(&w);
	return r;
}

bool file_may_nowait(const struct file *f)
{
	uint64_t magic = f->inode->sb ? f->inode->sb->magic : 0;

	return !LINUX_S_ISREG(f->inode->mode) || (magic != LINUX_TMPFS_MAGIC && magic != LINUX_OVERLAYFS_MAGIC);
}

struct rw_arg {
	struct file *f;
	struct task *t;
	struct uio *u;
	int64_t off;
	int rwf;
};

static int64_t read_op(void *arg)
{
	struct rw_arg *a = arg;

	return file_read_once(a->f, a->t, a->u, a->off, a->rwf);
}

static int64_t write_op(void *arg)
{
	struct rw_arg *a = arg;

	return file_write_once(a->f, a->t, a->u, a->off, a->rwf);
}

/* Sockets may bound how long a read or write waits (SO_RCVTIMEO, SO_SNDTIMEO); everything else waits for ever. */
static int64_t rw_deadline(struct file *f, struct task *t, bool write)
{
	int64_t timeo = t ? socket_timeout(f, write) : TIME_FOREVER;

	return timeo == TIME_FOREVER ? timeo : task_deadline(t, timeo);
}

/* Such a bounded wait ends with EAGAIN, and a signal ends it for good. */
static int64_t rw_result(int64_t deadline, int64_t r)
{
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	return r == -ERESTARTSYS && deadline != TIME_FOREVER ? -EINTR : r;
}

int file_perm_read(struct file *f, struct task *t)
{
	if (!fanotify_perm_active || !f->path.mnt || f->nonotify)
		return 0;
	return fanotify_perm(t, &f->path, FAN_ACCESS_PERM_F);
}

int64_t file_read(struct file *f, struct task *t, struct uio *u, int64_t off, int rwf)
{
	struct rw_arg a = { f, t, u, off, rwf };
	int64_t deadline = rw_deadline(f, t, false), r;
	int err = f->readable ? file_perm_read(f, t) : 0;

	if (err)
		return err;
	r = rw_result(deadline, file_block_on(f, t, POLL_READ, rwf & LINUX_RWF_NOWAIT, deadline, read_op, &a));

	if (r > 0)
		fsnotify_file(f, LINUX_IN_ACCESS);
	return r;
}

/* A blocking write to these goes on until everything is written; to others one operation is the write. */
static bool writes_whole(const struct file *f)
{
	uint32_t type = f->inode->mode & LINUX_S_IFMT;

	return type == LINUX_S_IFIFO || type == LINUX_S_IFSOCK || type == LINUX_S_IFCHR;
}

void file_sigpipe(struct task *t)
{
	struct linux_siginfo si;

	siginfo_user(&si, SIGPIPE, t, SI_USER);
	(void)signal_send_task(t, SIGPIPE, &si);
}

int64_t file_write(struct file *f, struct task *t, struct uio *u, int64_t off, int rwf)
{
	struct rw_arg a = { f, t, u, off, rwf };
	int64_t done = 0, deadline = rw_deadline(f, t, true), r;

	if (t && t->sysctx.again && t->sysctx.progress) {
		done = (int64_t)MIN(t->sysctx.progress, (uint64_t)u->left);
		uio_advance(u, (size_t)done);
		if (off != -1)
			a.off += done;
		t->sysctx.progress = 0;
		if (!u->left)
			return done;
	}
	for (;;) {
		r = rw_result(deadline, file_block_on(f, t, POLL_WRITE, rwf & LINUX_RWF_NOWAIT, deadline, write_op, &a));
		if (r <= 0)
			break;
		done += r;
		if (off != -1)
			a.off += r;
		if (!u->left || !writes_whole(f))
			break;
	}
	if (r == -EPIPE && t)
		file_sigpipe(t);
	if (r == -EFREEZE && done && t) {
		t->sysctx.progress = (uint64_t)done;
		return r;
	}
	if (done) {
		fsnotify_file(f, LINUX_IN_MODIFY);
		return done;
	}
	return r;
}

int64_t file_write_checks(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf, size_t *ret_cut)
{
	struct inode *i = f->inode;
	uint64_t limit = i->sb->max_bytes, rlim;
	int err;

	*ret_cut = 0;
	if (!u->left)
		return 0;
	if ((f->flags & LINUX_O_APPEND && !(rwf & LINUX_RWF_NOAPPEND)) || rwf & LINUX_RWF_APPEND)
		*pos = (int64_t)i->size;
	if (t && LINUX_S_ISREG(i->mode)) {
		rlim = task_rlimit(t, 1 /* RLIMIT_FSIZE */);
		if ((uint64_t)*pos >= rlim) {
			struct linux_siginfo si;

			siginfo_user(&si, SIGXFSZ, t, SI_USER);
			(void)signal_send_task(t, SIGXFSZ, &si);
			return -EFBIG;
		}
		limit = MIN(limit, rlim);
	}
	if ((uint64_t)*pos >= limit)
		return -EFBIG;
	if (u->left > limit - (uint64_t)*pos) {
		*ret_cut = u->left - (size_t)(limit - (uint64_t)*pos);
		u->left -= *ret_cut;
	}
	err = inode_remove_privs(i, t);
	if (err) {
		u->left += *ret_cut;
		return err;
	}
	inode_touch(i, true, true);
	return (int64_t)u->left;
}

int64_t file_llseek_size(struct file *f, int64_t off, int whence, int64_t size, int64_t max)
{
	int64_t pos;

	switch (whence) {
	case LINUX_SEEK_SET:
		pos = off;
		break;
	case LINUX_SEEK_CUR:
		if (add_overflow(f->pos, off, &pos))
			return -EINVAL;
		break;
	case LINUX_SEEK_END:
		if (add_overflow(size, off, &pos))
			return -EINVAL;
		break;
	case LINUX_SEEK_DATA:
		if (off < 0 || off >= size)
			return -ENXIO;
		pos = off;
		break;
	case LINUX_SEEK_HOLE:
		if (off < 0 || off >= size)
			return -ENXIO;
		pos = size;
		break;
	default:
		return -EINVAL;
	}
	if (pos < 0 || pos > max)
		return -EINVAL;
	f->pos = pos;
	return pos;
}

int64_t file_noop_llseek(struct file *f, struct task *t, int64_t off, int whence)
{
	return f->pos;
}

int file_seek(struct file *f, struct task *t, int64_t off, int whence, int64_t *ret)
{
	int64_t r;

	if (!f->ops->llseek)
		return -ESPIPE;
	mutex_lock(&f->pos_mu);
	r = f->ops->llseek(f, t, off, whence);
	mutex_unlock(&f->pos_mu);
	if (r < 0)
		return (int)r;
	*ret = r;
	return 0;
}
