/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing directories. Entries are built in a Sentry buffer and copied out at once; when that fails the position goes back, so that no
 * entry is lost.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/notify.h"
#include "sentry/fs/fs_type.h"
#include "sentry/syscalls/syscalls.h"

#define MAX_BUF (256UL << 10)

struct fill {
	struct dir_sink s;
	uint8_t *buf;
	size_t cap, used;
	bool old; /* getdents: type at the end of the record */
	bool full;
	size_t last; /* offset of the last record */
};

static bool emit(struct dir_sink *s, const char *name, size_t len, int64_t next, uint64_t ino, uint8_t type)
{
	struct fill *b = container_of(s, struct fill, s);
	size_t head = b->old ? 18 : 19, reclen = ALIGN_UP(head + len + 1 + (b->old ? 1 : 0), 8UL);
	uint8_t *p = b->buf + b->used;
	uint16_t rl = (uint16_t)reclen;

	if (len > LINUX_NAME_MAX || reclen > b->cap - b->used) {
		b->full = true;
		return false;
	}
	memset(p, 0, reclen);
	memcpy(p, &ino, 8);
	memcpy(p + 8, &next, 8);
	memcpy(p + 16, &rl, 2);
	if (!b->old)
		p[18] = type;
	memcpy(p + head, name, len);
	if (b->old)
		p[reclen - 1] = type;
	b->last = b->used;
	b->used += reclen;
	return true;
}

static int64_t do_getdents(struct task *t, int fd, gaddr_t dst, uint32_t size, bool old)
{
	struct file *f _cleanup_file_ = fd_get(t, fd);
	struct fill b = { .s.emit = emit, .cap = MIN((size_t)size, MAX_BUF), .old = old };
	int64_t pos;
	int err;

	if (!f)
		return -EBADF;
	if (!f->ops->readdir)
		return -ENOTDIR;
	if (f->inode->nlink == 0)
		return -ENOENT; /* removed */
	err = file_perm_read(f, t);
	if (err)
		return err;
	b.buf = malloc(b.cap ? b.cap : 1);
	if (!b.buf)
		return -ENOMEM;
	mutex_lock(&f->pos_mu);
	pos = f->pos;
	err = f->ops->readdir(f, t, &b.s);
	if (!err && !b.used && b.full)
		err = -EINVAL;
	if (b.used) { /* entries found before an error count */
		err = copy_out(t, dst, b.buf, b.used);
		if (err)
			f->pos = pos;
	}
	mutex_unlock(&f->pos_mu);
	free(b.buf);
	if (!err)
		fsnotify_file(f, LINUX_IN_ACCESS);
	return err ? err : (int64_t)b.used;
}

int64_t sys_getdents(struct task *t, const struct sys_args *a)
{
	return do_getdents(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_U32(a, 2), true);
}

int64_t sys_getdents64(struct task *t, const struct sys_args *a)
{
	return do_getdents(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_U32(a, 2), false);
}
