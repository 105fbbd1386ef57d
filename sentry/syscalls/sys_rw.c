/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers by descriptor: read, write and their vector and positioned forms, lseek, sendfile, copy_file_range.
 *
 * Checkpoint: file_read and file_write keep partial progress in sysctx; sendfile keeps its own there.
 */
#include <stdlib.h>

#include "sentry/abi/mman.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_type.h"
#include "sentry/syscalls/syscalls.h"

static int64_t transfer(struct task *t, struct file *f, struct uio *u, int64_t off, int rwf, bool write)
{
	return write ? file_write(f, t, u, off, rwf) : file_read(f, t, u, off, rwf);
}

static int64_t do_rw(struct task *t, const struct sys_args *a, bool positioned, bool write)
{
	struct file *f _cleanup_file_ = fd_get(t, ARG_INT(a, 0));
	int64_t off = positioned ? (int64_t)a->a[3] : -1, r;
	struct uio u;

	if (positioned && off < 0)
		return -EINVAL;
	if (!f)
		return -EBADF;
	if (positioned && !f->seekable)
		return -ESPIPE;
	if (!(write ? f->writable : f->readable))
		return -EBADF;
	/* The whole range is checked before the length is cut to what one call moves. */
	if (a->a[1] > LINUX_TASK_SIZE_MAX || a->a[2] > LINUX_TASK_SIZE_MAX - a->a[1])
		return -EFAULT;
	r = uio_user(&u, t->mm, ARG_ADDR(a, 1), a->a[2]);
	if (r)
		return r;
	r = transfer(t, f, &u, off, 0, write);
	uio_done(&u);
	return r;
}

int64_t sys_read(struct task *t, const struct sys_args *a)
{
	return do_rw(t, a, false, false);
}

int64_t sys_write(struct task *t, const struct sys_args *a)
{
	return do_rw(t, a, false, true);
}

int64_t sys_pread64(struct task *t, const struct sys_args *a)
{
	return do_rw(t, a, true, false);
}

int64_t sys_pwrite64(struct task *t, const struct sys_args *a)
{
	return do_rw(t, a, true, true);
}

static int64_t do_rwv(struct task *t, const struct sys_args *a, bool positioned, int64_t off, int rwf, bool write)
{
	struct file *f _cleanup_file_ = fd_get(t, ARG_INT(a, 0));
	struct uio u;
	int64_t r;

	if (positioned && off < 0)
		return -EINVAL;
	if (!f)
		return -EBADF;
	if (positioned && !f->seekable)
		return -ESPIPE;
	if (!(write ? f->writable : f->readable))
		return -EBADF;
	r = uio_user_iov(&u, t->mm, ARG_ADDR(a, 1), a->a[2]);
	if (r)
		return r;
	/* Nothing to move: no flag is looked at. */
	if (!u.left)
		r = 0;
	else if (rwf & ~(LINUX_RWF_HIPRI | LINUX_RWF_DSYNC | LINUX_RWF_SYNC | LINUX_RWF_NOWAIT | LINUX_RWF_APPEND | LINUX_RWF_NOAPPEND))
		r = -EOPNOTSUPP;
	else if (rwf & LINUX_RWF_NOWAIT && !file_may_nowait(f))
		r = -EOPNOTSUPP;
	else if (rwf & LINUX_RWF_APPEND && rwf & LINUX_RWF_NOAPPEND)
		r = -EINVAL;
	else
		r = transfer(t, f, &u, off, rwf, write);
	uio_done(&u);
	return r;
}

int64_t sys_readv(struct task *t, const struct sys_args *a)
{
	return do_rwv(t, a, false, -1, 0, false);
}

int64_t sys_writev(struct task *t, const struct sys_args *a)
{
	return do_rwv(t, a, false, -1, 0, true);
}

int64_t sys_preadv(struct task *t, const struct sys_args *a)
{
	return do_rwv(t, a, true, (int64_t)a->a[3], 0, false);
}

int64_t sys_pwritev(struct task *t, const struct sys_args *a)
{
	return do_rwv(t, a, true, (int64_t)a->a[3], 0, true);
}

int64_t sys_preadv2(struct task *t, const struct sys_args *a)
{
	int64_t off = (int64_t)a->a[3];

	return do_rwv(t, a, off != -1, off, ARG_INT(a, 5), false);
}

int64_t sys_pwritev2(struct task *t, const struct sys_args *a)
{
	int64_t off = (int64_t)a->a[3];

	return do_rwv(t, a, off != -1, off, ARG_INT(a, 5), true);
}

int64_t sys_lseek(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = fd_get(t, ARG_INT(a, 0));
	int64_t pos = 0;
	int err;

	if (!f)
		return -EBADF;
	if (ARG_U32(a, 2) > LINUX_SEEK_HOLE)
		return -EINVAL;
	err = file_seek(f, t, (int64_t)a->a[1], ARG_INT(a, 2), &pos);
	return err ? err : pos;
}

/* --- moving between files --- */

#define CHUNK (64UL << 10)

struct pump {
	struct task *t;
	struct file *in, *out;
	char *buf;
	size_t have, given; /* bytes in buf, and how many of them were written */
};

static int64_t pump_out(void *arg)
{
	struct pump *p = arg;
	struct uio u;
	int64_t r;

	uio_kernel(&u, p->buf + p->given, p->have - p->given);
	r = file_write_once(p->out, p->t, &u, -1, 0);
	uio_done(&u);
	return r;
}

/* Moves up to @n bytes; *@in_off and *@out_off are advanced when not -1 (then the files' own positions are used). */
static int64_t pump(struct task *t, struct file *in, int64_t *in_off, struct file *out, int64_t *out_off, uint64_t n)
{
	struct pump p = { .t = t, .in = in, .out = out };
	uint64_t done = t->sysctx.again ? t->sysctx.progress : 0;
	int64_t r = 0;

	t->sysctx.progress = 0;
	n = MIN(n, (uint64_t)MAX_RW_COUNT);
	p.buf = malloc(CHUNK);
	if (!p.buf)
		return -ENOMEM;
	while (done < n) {
		struct uio u;

		uio_kernel(&u, p.buf, MIN(n - done, CHUNK));
		r = file_read_once(in, t, &u, *in_off, 0);
		uio_done(&u);
		if (r <= 0)
			break;
		p.have = (size_t)r;
		for (p.given = 0; p.given < p.have; p.given += (size_t)r) {
			if (*out_off == -1) {
				r = file_block_on(out, t, POLL_WRITE, false, TIME_FOREVER, pump_out, &p);
			} else {
				uio_kernel(&u, p.buf + p.given, p.have - p.given);
				r = file_write_once(out, t, &u, *out_off, 0);
				uio_done(&u);
			}
			if (r <= 0)
				break;
			if (*out_off != -1)
				*out_off += r;
		}
		done += p.given;
		if (*in_off != -1) {
			*in_off += (int64_t)p.given;
		} else if (p.given < p.have) {
			int64_t pos;

			(void)file_seek(in, t, -(int64_t)(p.have - p.given), LINUX_SEEK_CUR, &pos);
		}
		if (r <= 0)
			break;
	}
	free(p.buf);
	if (r == -EFREEZE) {
		t->sysctx.progress = done;
		return r;
	}
	return done ? (int64_t)done : r;
}

int64_t sys_sendfile(struct task *t, const struct sys_args *a)
{
	struct file *out _cleanup_file_ = fd_get(t, ARG_INT(a, 0)), *in _cleanup_file_ = fd_get(t, ARG_INT(a, 1));
	int64_t in_off = -1, out_off = -1, r;
	gaddr_t offp = ARG_ADDR(a, 2);
	int err;

	if (offp.v) {
		err = copy_in(t, &in_off, offp, sizeof(in_off));
		if (err)
			return err;
	}
	if (!in || !out || !in->readable || !out->writable)
		return -EBADF;
	if (offp.v) {
		if (in_off < 0)
			return -EINVAL;
		if (!in->seekable)
			return -ESPIPE;
	}
	if ((int64_t)a->a[3] < 0)
		return -EINVAL;
	if (!in->seekable || inode_is_dir(in->inode) || out->flags & LINUX_O_APPEND)
		return -EINVAL;
	r = pump(t, in, &in_off, out, &out_off, a->a[3]);
	if (offp.v) {
		err = copy_out(t, offp, &in_off, sizeof(in_off));
		if (err)
			return err;
	}
	return r;
}

/* How much of @n there is to copy and may be written; *@ret_err: why nothing. In Linux's order. */
static uint64_t copy_length(struct file *in, int64_t from, struct file *out, int64_t to, uint64_t n, struct task *t, int *ret_err)
{
	uint64_t size = in->inode->size, limit = MIN(out->inode->sb->max_bytes, task_rlimit(t, LINUX_RLIMIT_FSIZE));

	*ret_err = -EOVERFLOW;
	if ((uint64_t)from + n < (uint64_t)from || (uint64_t)to + n < (uint64_t)to)
		return 0;
	n = (uint64_t)from >= size ? 0 : MIN(n, size - (uint64_t)from);
	*ret_err = -EINVAL;
	if (from < 0 || to < 0)
		return 0;
	*ret_err = 0;
	if (n && (uint64_t)to >= limit && limit == out->inode->sb->max_bytes)
		*ret_err = -EFBIG; /* the write itself answers for RLIMIT_FSIZE, with its signal */
	n = MIN(n, (uint64_t)MAX_RW_COUNT);
	if (in->inode == out->inode && (uint64_t)to + n > (uint64_t)from && (uint64_t)to < (uint64_t)from + n)
		*ret_err = -EINVAL;
	return n;
}

int64_t sys_copy_file_range(struct task *t, const struct sys_args *a)
{
	struct file *in _cleanup_file_ = fd_get(t, ARG_INT(a, 0)), *out _cleanup_file_ = fd_get(t, ARG_INT(a, 2));
	int64_t in_off = -1, out_off = -1, r, start_in, start_out;
	gaddr_t inp = ARG_ADDR(a, 1), outp = ARG_ADDR(a, 3);
	uint64_t n = a->a[4];
	int err;

	if (!in || !out)
		return -EBADF;
	if (ARG_U32(a, 5))
		return -EINVAL;
	err = inp.v ? copy_in(t, &in_off, inp, sizeof(in_off)) : 0;
	if (!err && outp.v)
		err = copy_in(t, &out_off, outp, sizeof(out_off));
	if (err)
		return err;
	if (inode_is_dir(in->inode) || inode_is_dir(out->inode))
		return -EISDIR;
	if (!LINUX_S_ISREG(in->inode->mode) || !LINUX_S_ISREG(out->inode->mode))
		return -EINVAL;
	if (!in->readable || !out->writable || out->flags & LINUX_O_APPEND)
		return -EBADF;
	start_in = inp.v ? in_off : in->pos;
	start_out = outp.v ? out_off : out->pos;
	n = copy_length(in, start_in, out, start_out, n, t, &err);
	if (err || !n)
		return err;
	r = pump(t, in, &in_off, out, &out_off, n);
	if (inp.v && r > 0)
		err = copy_out(t, inp, &in_off, sizeof(in_off));
	if (!err && outp.v && r > 0)
		err = copy_out(t, outp, &out_off, sizeof(out_off));
	return err ? err : r;
}
