/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on names and on files as a whole.
 *
 * They are the system calls themselves: names were read at submission and files found by the request, and the calls find both through
 * task.given. Opening and splicing may sleep (FIFOs, pipes) and so run in a worker; nothing else here waits for an application.
 * Linux: io_uring/{openclose,fs,statx,sync,advise,splice,xattr}.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/fs.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/splice.h"
#include "sentry/fs/uring/uring_ops.h"
#include "sentry/syscalls/syscalls.h"

#define SPLICE_F_ALL_NR 15u

/* Calls @fn with what the request has at hand. */
static int64_t call(struct task *t, const struct ureq *q, sys_fn fn, const struct sys_args *a)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	bool xattr = s->opcode == LINUX_IORING_OP_SETXATTR || s->opcode == LINUX_IORING_OP_GETXATTR;
	struct task_given g = {
		.file = { q->file },
		.addr = { GADDR(s->addr), GADDR(xattr ? s->addr3 : s->off) },
		.name = { q->name[0], q->name[1] },
	};
	int64_t r;

	t->given = &g;
	r = fn(t, a);
	t->given = NULL;
	return r;
}

/* Which of addr and addr2 are path names: bits 0 and 1. */
static int names_of(unsigned op)
{
	switch (op) {
	case LINUX_IORING_OP_RENAMEAT:
	case LINUX_IORING_OP_SYMLINKAT:
	case LINUX_IORING_OP_LINKAT:
		return 3;
	default:
		return 1;
	}
}

int uop_import_path(struct task *t, struct ureq *q)
{
	int names = names_of(q->sqe.opcode), r = 0;

	if (names & 1)
		r = copy_in_path(t, GADDR(q->sqe.addr), &q->name[0]);
	if (r == 0 && names & 2)
		r = copy_in_path(t, GADDR(q->sqe.off), &q->name[1]);
	return r;
}

/* --- OPENAT, OPENAT2, CLOSE --- */

static int check_open(struct ureq *q, uint64_t flags)
{
	if (q->sqe.buf)
		return -EINVAL;
	if (q->flags & LINUX_IOSQE_FIXED_FILE)
		return -EBADF;
	return q->sqe.file_index && flags & LINUX_O_CLOEXEC ? -EINVAL : 0;
}

/* val: 0 flags, 1 mode, 2 resolve. */
int uop_prep_openat(struct task *t, struct ureq *q)
{
	int r = check_open(q, q->sqe.op_flags);

	if (r)
		return r;
	q->val[0] = (q->sqe.op_flags & VALID_OPEN_FLAGS) | LINUX_O_LARGEFILE;
	q->val[1] = q->sqe.len & LINUX_S_IALLUGO;
	if (!(q->val[0] & (LINUX_O_CREAT | LINUX___O_TMPFILE)))
		q->val[1] = 0;
	if (q->val[0] & LINUX_O_PATH)
		q->val[0] &= LINUX_O_DIRECTORY | LINUX_O_NOFOLLOW | LINUX_O_PATH | LINUX_O_CLOEXEC | LINUX_O_LARGEFILE;
	return uop_import_path(t, q);
}

int uop_prep_openat2(struct task *t, struct ureq *q)
{
	struct linux_open_how how;
	int r;

	if (q->sqe.len < sizeof(how))
		return -EINVAL;
	if (q->sqe.len > PAGE_SIZE)
		return -E2BIG;
	r = copy_in_struct(t, &how, sizeof(how), GADDR(q->sqe.off), q->sqe.len);
	if (r == 0)
		r = check_open(q, how.flags);
	if (r)
		return r;
	q->val[0] = how.flags;
	q->val[1] = how.mode;
	q->val[2] = how.resolve;
	return uop_import_path(t, q);
}

int64_t uop_openat(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	struct linux_open_how how = { q->val[0], q->val[1], q->val[2] };
	uint32_t flags = (uint32_t)how.flags | LINUX_O_LARGEFILE, lookup = 0;
	/* As in Linux, where the first attempt is one with O_NONBLOCK, whatever that does to a FIFO, unless the file may have to be made. */
	bool try = !may_sleep && !(flags & LINUX_O_NONBLOCK);
	struct file *f;
	int r = 0;

	if (q->sqe.opcode == LINUX_IORING_OP_OPENAT2)
		r = open_how_check(&how, &lookup);
	if (r == 0 && !may_sleep && (flags & (LINUX_O_TRUNC | LINUX_O_CREAT | LINUX___O_TMPFILE) || q->flags & LINUX_IOSQE_ASYNC))
		return UREQ_PUNT;
	if (r == 0)
		r = vfs_openat(t, q->sqe.fd, q->name[0], try ? flags | LINUX_O_NONBLOCK : flags, (uint32_t)how.mode, lookup, &f);
	if (r == 0 && try)
		(void)atomic_fetch_and(&f->flags, ~LINUX_O_NONBLOCK);
	return r ? r : uring_install(t, q->r, f, (uint32_t)q->sqe.file_index, flags & LINUX_O_CLOEXEC);
}

int uop_prep_close(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	if (s->off || s->addr || s->len || s->op_flags || s->buf)
		return -EINVAL;
	if (q->flags & LINUX_IOSQE_FIXED_FILE)
		return -EBADF;
	return s->file_index && s->fd ? -EINVAL : 0;
}

int64_t uop_close(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	struct file *f;
	bool ring;

	if (q->sqe.file_index)
		return uring_close_fixed(q->r, (uint32_t)q->sqe.file_index - 1);
	f = fd_get_raw(t, q->sqe.fd);
	ring = f && file_is_uring(f);
	file_put(f);
	return ring ? -EBADF : fd_close(t, q->sqe.fd);
}

/* --- names --- */

int uop_prep_path(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	bool bad = s->buf || s->file_index;

	switch (s->opcode) {
	case LINUX_IORING_OP_UNLINKAT:
		bad |= s->off || s->len;
		break;
	case LINUX_IORING_OP_MKDIRAT:
		bad |= s->off || s->op_flags;
		break;
	case LINUX_IORING_OP_SYMLINKAT:
		bad |= s->len || s->op_flags;
		break;
	default:
		break;
	}
	if (bad)
		return -EINVAL;
	if (q->flags & LINUX_IOSQE_FIXED_FILE)
		return -EBADF;
	if (s->opcode == LINUX_IORING_OP_UNLINKAT && s->op_flags & ~(uint32_t)LINUX_AT_REMOVEDIR)
		return -EINVAL;
	return uop_import_path(t, q);
}

int64_t uop_path(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	uint64_t fd = (uint64_t)(int64_t)s->fd;

	switch (s->opcode) {
	case LINUX_IORING_OP_STATX:
		return call(t, q, sys_statx, &(struct sys_args){ { fd, s->addr, s->op_flags, s->len, s->off } });
	case LINUX_IORING_OP_RENAMEAT:
		return call(t, q, sys_renameat2, &(struct sys_args){ { fd, s->addr, s->len, s->off, s->op_flags } });
	case LINUX_IORING_OP_UNLINKAT:
		return call(t, q, sys_unlinkat, &(struct sys_args){ { fd, s->addr, s->op_flags } });
	case LINUX_IORING_OP_MKDIRAT:
		return call(t, q, sys_mkdirat, &(struct sys_args){ { fd, s->addr, s->len } });
	case LINUX_IORING_OP_SYMLINKAT:
		return call(t, q, sys_symlinkat, &(struct sys_args){ { s->addr, fd, s->off } });
	default:
		return call(t, q, sys_linkat, &(struct sys_args){ { fd, s->addr, s->len, s->off, s->op_flags } });
	}
}

/* --- whole files --- */

int uop_prep_file(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	if (s->buf || s->file_index)
		return -EINVAL;
	switch (s->opcode) {
	case LINUX_IORING_OP_FSYNC:
		return s->addr || s->op_flags & ~LINUX_IORING_FSYNC_DATASYNC ? -EINVAL : 0;
	case LINUX_IORING_OP_FALLOCATE:
		return s->op_flags ? -EINVAL : 0;
	default: /* SYNC_FILE_RANGE, FADVISE */
		return s->addr ? -EINVAL : 0;
	}
}

int64_t uop_file(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	uint64_t fd = (uint64_t)(int64_t)GIVEN_FD(0);

	switch (s->opcode) {
	case LINUX_IORING_OP_FSYNC:
		return call(t, q, s->op_flags ? sys_fdatasync : sys_fsync, &(struct sys_args){ { fd } });
	case LINUX_IORING_OP_FALLOCATE:
		return call(t, q, sys_fallocate, &(struct sys_args){ { fd, s->len, s->off, s->addr } });
	case LINUX_IORING_OP_FADVISE:
		return call(t, q, sys_fadvise64, &(struct sys_args){ { fd, s->off, s->len, s->op_flags } });
	default:
		return call(t, q, sys_sync_file_range, &(struct sys_args){ { fd, s->off, s->len, s->op_flags } });
	}
}

/* --- SPLICE, TEE --- */

int uop_prep_splice(struct task *t, struct ureq *q)
{
	const struct linux_io_uring_sqe *s = &q->sqe;

	if (s->opcode == LINUX_IORING_OP_TEE && (s->addr || s->off))
		return -EINVAL;
	return s->op_flags & ~(LINUX_SPLICE_F_FD_IN_FIXED | SPLICE_F_ALL_NR) ? -EINVAL : 0;
}

int64_t uop_splice(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	uint32_t flags = s->op_flags & ~LINUX_SPLICE_F_FD_IN_FIXED;
	int64_t in_off = (int64_t)s->addr, out_off = (int64_t)s->off, r;
	struct file *in;

	r = uring_find_file(t, q->r, s->file_index, s->op_flags & LINUX_SPLICE_F_FD_IN_FIXED, &in);
	if (r)
		return r;
	if (!s->len)
		r = 0;
	else if (s->opcode == LINUX_IORING_OP_TEE)
		r = do_tee(t, in, q->file, s->len, flags);
	else if ((in_off != -1 && in_off < 0) || (out_off != -1 && out_off < 0))
		r = -EINVAL;
	else
		r = do_splice(t, in, in_off == -1 ? NULL : &in_off, q->file, out_off == -1 ? NULL : &out_off, s->len, flags);
	file_put(in);
	if (r != (int64_t)s->len)
		q->flags |= UREQ_FAIL;
	return r;
}

/* --- extended attributes --- */

static bool by_path(const struct ureq *q)
{
	return q->sqe.opcode == LINUX_IORING_OP_SETXATTR || q->sqe.opcode == LINUX_IORING_OP_GETXATTR;
}

static bool sets(const struct ureq *q)
{
	return q->sqe.opcode == LINUX_IORING_OP_SETXATTR || q->sqe.opcode == LINUX_IORING_OP_FSETXATTR;
}

int uop_prep_xattr(struct task *t, struct ureq *q)
{
	int r;

	if (by_path(q) && q->flags & LINUX_IOSQE_FIXED_FILE)
		return -EBADF;
	if (!sets(q) && q->sqe.op_flags)
		return -EINVAL;
	r = copy_in_string(t, GADDR(q->sqe.addr), LINUX_XATTR_NAME_MAX, &q->name[0]);
	if (r)
		return r == -ENAMETOOLONG ? -ERANGE : r;
	return by_path(q) ? copy_in_path(t, GADDR(q->sqe.addr3), &q->name[1]) : 0;
}

int64_t uop_xattr(struct task *t, struct ureq *q, bool may_sleep, uint32_t *cflags)
{
	const struct linux_io_uring_sqe *s = &q->sqe;
	uint64_t where = by_path(q) ? s->addr3 : (uint64_t)(int64_t)GIVEN_FD(0);
	struct sys_args a = { { where, s->addr, s->off, s->len, s->op_flags } };

	if (sets(q))
		return call(t, q, by_path(q) ? sys_setxattr : sys_fsetxattr, &a);
	return call(t, q, by_path(q) ? sys_getxattr : sys_fgetxattr, &a);
}
