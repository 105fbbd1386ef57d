/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes: READ, WRITE, READV, WRITEV, READ_FIXED, WRITE_FIXED.
 *
 * One attempt of the file's operation, which never sleeps; where it would, the request waits for the file. The transfer's memory is the sqe's
 * range, vectors read at submission, a provided buffer, or a registered one.
 * Linux: io_uring/rw.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/fs.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/notify.h"
#include "sentry/fs/uring/uring_ops.h"

#define RWF_KNOWN (LINUX_RWF_HIPRI | LINUX_RWF_DSYNC | LINUX_RWF_SYNC | LINUX_RWF_NOWAIT | LINUX_RWF_APPEND)

static bool is_write(const struct ureq *q)
{
	return q->sqe.opcode == LINUX_IORING_OP_WRITE || q->sqe.opcode == LINUX_IORING_OP_WRITEV ||
	       q->sqe.opcode == LINUX_IORING_OP_WRITE_FIXED;
}

static bool is_fixed(const struct ureq *q)
{
	return q->sqe.opcode == LINUX_IORING_OP_READ_FIXED || q->sqe.opcode == LINUX_IORING_OP_WRITE_FIXED;
}

static bool is_vec(const struct ureq *q)
{
	return q->sqe.opcode == LINUX_IORING_OP_READV || q->sqe.opcode == LINUX_IORING_OP_WRITEV;
}

int uop_prep_rw(struct task *t, struct ureq *q)
{
	uint32_t nr;

	if (is_vec(q) && q->flags & LINUX_IOSQE_BUFFER_SELECT && q->sqe.len != 1)
		return -EINVAL;
	if (is_fixed(q)) {
		mutex_lock(&q->r->mu);
		nr = q->r->nr_buffers;
		mutex_unlock(&q->r->mu);
		if (q->sqe.buf >= nr)
			return -EFAULT;
	}
	if (q->sqe.op_flags & LINUX_RWF_NOWAIT)
		q->flags |= UREQ_NOWAIT;
	return 0;
}

int ureq_import_iov(struct task *t, struct ureq *q, gaddr_t addr, uint64_t n)
{
	struct uio check;
	int r;

	if (n > LINUX_UIO_MAXIOV)
		return -EINVAL;
	q->iov = calloc(n ? n : 1, sizeof(*q->iov));
	if (!q->iov)
		return -ENOMEM;
	r = n ? copy_in(t, q->iov, addr, n * sizeof(*q->iov)) : 0;
	if (r)
		return r;
	q->nr_iov = (uint32_t)n;
	q->flags |= UREQ_HAS_IOV;
	r = uio_user_vec(&check, t->mm, q->iov, n);
	if (r == 0)
		uio_done(&check);
	return r;
}

int uop_import_rw(struct task *t, struct ureq *q)
{
	return is_vec(q) ? ureq_import_iov(t, q, GADDR(q->sqe.addr), q->sqe.len) : 0;
}

/* The other end of the transfer. *@mm is put by the caller when not NULL. */
static int make_uio(struct task *t, struct ureq *q, struct uio *u, struct mm **mm)
{
	uint32_t len = q->sqe.len;
	int r;

	*mm = NULL;
	if (is_fixed(q))
		return uring_fixed_uio(q->r, q->sqe.buf, q->sqe.addr, len, u, mm);
	if (q->flags & LINUX_IOSQE_BUFFER_SELECT) {
		if (is_vec(q))
			len = (uint32_t)MIN(q->iov[0].iov_len, (uint64_t)UINT32_MAX);
		r = ureq_buf_take(t, q, &len);
		return r ? r : uio_user(u, t->mm, GADDR(q->buf_addr), len);
	}
	if (is_vec(q))
		return uio_user_vec(u, t->mm, q->iov, q->nr_iov);
	return uio_user(u, t->mm, GADDR(q->sqe.addr), len);
}

static int64_t check_file(struct ureq *q, int rwf)
{
	struct file *f = q->file;

	if (!(is_write(q) ? f->writable : f->readable))
		return -EBADF;
	if (rwf & ~RWF_KNOWN || (rwf & LINUX_RWF_NOWAIT && !file_may_nowait(f)))
		return -EOPNOTSUPP;
	if (q->r->setup & LINUX_IORING_SETUP_IOPOLL)
		return -EOPNOTSUPP; /* no file here can be polled for completion */
	if (!(is_write(q) ? f->ops->write : f->ops->read))
		return -EINVAL;
	return 0;
}

int64_t uop_rw(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	int rwf = (int)q->sqe.op_flags;
	struct file *f = q->file;
	bool write = is_write(q);
	int64_t off = f->seekable ? (int64_t)q->sqe.off : -1, r;
	struct mm *mm;
	struct uio u;
	size_t want;

	r = check_file(q, rwf);
	if (r)
		return r;
	r = make_uio(t, q, &u, &mm);
	if (r)
		return r;
	want = u.left;
	r = write ? file_write_once(f, t, &u, off, rwf) : file_read_once(f, t, &u, off, rwf);
	uio_done(&u);
	mm_put(mm);
	if (r == -EPIPE && write)
		file_sigpipe(t);
	if (r > 0)
		fsnotify_file(f, write ? LINUX_IN_MODIFY : LINUX_IN_ACCESS);
	if (r >= 0) {
		*cflags = ureq_buf_used(q);
		if ((size_t)r != want)
			q->flags |= UREQ_FAIL; /* short: links end */
	} else {
		ureq_buf_return(q);
	}
	return r;
}
