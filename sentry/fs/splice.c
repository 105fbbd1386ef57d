/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splice(2), tee(2), vmsplice(2).
 *
 * Pages are copied, not moved: data goes through one bounce buffer per call. From a pipe, data is looked at, handed on, and only what was
 * taken is consumed, so that nothing is lost when the other side is full or fails. DEVIATION: two readers that splice from one pipe at the same
 * moment may both see the same bytes; Linux serialises them.
 *
 * A call that has moved something never blocks for more, so a freeze finds it either finished or not begun.
 * Linux: fs/splice.c.
 */
#include "sentry/fs/splice.h"

#include "sentry/abi/fcntl.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/pipe.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/socket.h"
#include "sentry/syscalls/syscalls.h"

#define SPLICE_F_NONBLOCK_F 2u
#define SPLICE_F_ALL_F      15u
#define BOUNCE              (64u << 10)

struct pipe_wait {
	struct file *pipe;
};

/* 1: there is data; 0 cannot be told from "wait" by the loop, so end of file is 2. */
static int64_t in_ready(void *arg)
{
	struct file *p = ((struct pipe_wait *)arg)->pipe;
	char c;

	if (pipe_peek(p, 0, &c, 1))
		return 1;
	return pipe_has_writers(p) ? -EAGAIN : 2;
}

static int64_t out_ready(void *arg)
{
	struct file *p = ((struct pipe_wait *)arg)->pipe;

	return pipe_space(p) || !pipe_has_readers(p) ? 1 : -EAGAIN;
}

static int64_t wait_pipe(struct file *p, struct task *t, bool in, bool nonblock)
{
	struct pipe_wait w = { p };

	return file_block_on(p, t, in ? POLL_READ : POLL_WRITE, nonblock || file_nonblock(p), TIME_FOREVER,
			     in ? in_ready : out_ready, &w);
}

/* Appends all of @buf, waiting for room that another writer took meanwhile; how much went in, or an error for the first byte. */
static int64_t push_all(struct file *out, struct task *t, const uint8_t *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		int64_t r = pipe_push(out, t, buf + done, n - done);

		if (r == -EAGAIN) {
			r = wait_pipe(out, t, false, false);
			if (r > 0)
				continue;
		}
		if (r < 0)
			return done ? (int64_t)done : r;
		done += (size_t)r;
	}
	return (int64_t)done;
}

static int64_t file_to_pipe(struct file *in, int64_t *off, struct file *out, size_t len, struct task *t, uint8_t *buf, bool nonblock)
{
	int64_t r = wait_pipe(out, t, false, nonblock);
	struct uio u;

	if (r < 0)
		return r;
	len = MIN(len, (size_t)BOUNCE);
	len = MIN(len, pipe_space(out));
	if (!len) /* no readers */
		return pipe_push(out, t, buf, 1);
	uio_kernel(&u, buf, len);
	r = file_read(in, t, &u, off ? *off : -1, nonblock && file_is_socket(in) ? 8 /* RWF_NOWAIT */ : 0);
	if (r <= 0)
		return r;
	r = push_all(out, t, buf, (size_t)r);
	if (r > 0 && off)
		*off += r;
	return r;
}

static int64_t pipe_to_file(struct file *in, struct file *out, int64_t *off, size_t len, struct task *t, uint8_t *buf, bool nonblock)
{
	int64_t r = wait_pipe(in, t, true, nonblock), done = 0;

	if (r != 1)
		return r == 2 ? 0 : r;
	while ((size_t)done < len) {
		size_t n = pipe_peek(in, 0, buf, MIN(len - (size_t)done, (size_t)BOUNCE));
		struct uio u;

		if (!n)
			break;
		uio_kernel(&u, buf, n);
		r = file_write(out, t, &u, off ? *off : -1, 0);
		if (r <= 0)
			return done ? done : r;
		(void)pipe_consume(in, (size_t)r);
		if (off)
			*off += r;
		done += r;
		if ((size_t)r < n)
			break;
	}
	return done;
}

static int64_t pipe_to_pipe(struct file *in, struct file *out, size_t len, struct task *t, uint8_t *buf, bool nonblock, bool keep)
{
	int64_t r = wait_pipe(in, t, true, nonblock);
	size_t n;

	if (r != 1)
		return r == 2 ? 0 : r;
	r = wait_pipe(out, t, false, nonblock);
	if (r < 0)
		return r;
	n = MAX(pipe_space(out), (size_t)1); /* without readers: the push says so */
	n = MIN(n, (size_t)BOUNCE);
	n = pipe_peek(in, 0, buf, MIN(len, n));
	if (!n)
		return 0;
	r = pipe_push(out, t, buf, n);
	if (r > 0 && !keep)
		(void)pipe_consume(in, (size_t)r);
	return r;
}

static int copy_in_off(struct task *t, gaddr_t at, const struct file *f, int64_t *off, int64_t **ret)
{
	int r;

	*ret = NULL;
	if (!at.v)
		return 0;
	if (file_is_pipe(f))
		return -ESPIPE;
	if (!f->seekable)
		return -EINVAL;
	r = copy_in(t, off, at, sizeof(*off));
	if (r)
		return r;
	*ret = off;
	return *off < 0 ? -EINVAL : 0;
}

int64_t do_splice(struct task *t, struct file *in, int64_t *off_in, struct file *out, int64_t *off_out, size_t len, uint32_t flags)
{
	_cleanup_free_ uint8_t *buf = NULL;
	bool nonblock = flags & SPLICE_F_NONBLOCK_F;

	if (!in->readable || !out->writable)
		return -EBADF;
	if (!file_is_pipe(in) && !file_is_pipe(out))
		return -EINVAL;
	if ((off_in && file_is_pipe(in)) || (off_out && file_is_pipe(out)))
		return -ESPIPE;
	if ((off_in && !in->seekable) || (off_out && !out->seekable))
		return -EINVAL;
	if (!file_is_pipe(out) && (atomic_load(&out->flags) & LINUX_O_APPEND))
		return -EINVAL;
	len = MIN(len, MAX_RW_COUNT);
	buf = malloc(MIN(len, (size_t)BOUNCE));
	if (!buf)
		return -ENOMEM;
	if (file_is_pipe(in) && file_is_pipe(out))
		return pipe_same(in, out) ? -EINVAL : pipe_to_pipe(in, out, len, t, buf, nonblock, false);
	if (file_is_pipe(in))
		return pipe_to_file(in, out, off_out, len, t, buf, nonblock);
	return file_to_pipe(in, off_in, out, len, t, buf, nonblock);
}

int64_t do_tee(struct task *t, struct file *in, struct file *out, size_t len, uint32_t flags)
{
	_cleanup_free_ uint8_t *buf = NULL;

	if (!in->readable || !out->writable)
		return -EBADF;
	if (!file_is_pipe(in) || !file_is_pipe(out) || pipe_same(in, out))
		return -EINVAL;
	len = MIN(len, MAX_RW_COUNT);
	buf = malloc(MIN(len, (size_t)BOUNCE));
	return buf ? pipe_to_pipe(in, out, len, t, buf, flags & SPLICE_F_NONBLOCK_F, true) : -ENOMEM;
}

int64_t sys_splice(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *in = NULL, *out = NULL;
	int64_t off_in, off_out, *pin, *pout, r;
	uint32_t flags = ARG_U32(a, 5);

	if (!a->a[4])
		return 0;
	if (flags & ~SPLICE_F_ALL_F)
		return -EINVAL;
	in = fd_get(t, ARG_INT(a, 0));
	out = in ? fd_get(t, ARG_INT(a, 2)) : NULL;
	if (!out || !in->readable || !out->writable)
		return -EBADF;
	r = copy_in_off(t, ARG_ADDR(a, 1), in, &off_in, &pin);
	if (!r)
		r = copy_in_off(t, ARG_ADDR(a, 3), out, &off_out, &pout);
	if (r)
		return r;
	r = do_splice(t, in, pin, out, pout, a->a[4], flags);
	if (r > 0 && pin && copy_out(t, ARG_ADDR(a, 1), pin, sizeof(*pin)))
		return -EFAULT;
	if (r > 0 && pout && copy_out(t, ARG_ADDR(a, 3), pout, sizeof(*pout)))
		return -EFAULT;
	return r;
}

int64_t sys_tee(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *in = NULL, *out = NULL;
	uint32_t flags = ARG_U32(a, 3);

	if (flags & ~SPLICE_F_ALL_F)
		return -EINVAL;
	if (!a->a[2])
		return 0;
	in = fd_get(t, ARG_INT(a, 0));
	out = in ? fd_get(t, ARG_INT(a, 1)) : NULL;
	return out ? do_tee(t, in, out, a->a[2], flags) : -EBADF;
}

int64_t sys_vmsplice(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = fd_get(t, ARG_INT(a, 0));
	uint32_t flags = ARG_U32(a, 3);
	int rwf = flags & SPLICE_F_NONBLOCK_F ? 8 /* RWF_NOWAIT */ : 0;
	struct uio u;
	int64_t r;

	if (flags & ~SPLICE_F_ALL_F)
		return -EINVAL;
	if (!f)
		return -EBADF;
	if (!a->a[2])
		return 0; /* nothing to move, whatever the file is */
	if (!file_is_pipe(f))
		return -EBADF;
	if (a->a[2] > LINUX_UIO_MAXIOV)
		return -EINVAL;
	r = uio_user_iov(&u, t->mm, ARG_ADDR(a, 1), a->a[2]);
	if (r)
		return r;
	r = 0;
	if (u.left)
		r = f->writable ? file_write(f, t, &u, -1, rwf) : file_read(f, t, &u, -1, rwf);
	uio_done(&u);
	return r;
}
