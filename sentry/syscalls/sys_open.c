/* SPDX-License-Identifier: Apache-2.0 */
/* open family, close, dup family. Checkpoint: opening a FIFO may block; the call is re-run from the start. */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/namei.h"
#include "sentry/syscalls/syscalls.h"

static int64_t open_fd(struct task *t, int dfd, const char *name, uint32_t flags, uint32_t mode, uint32_t lookup)
{
	struct file *f = NULL;
	int fd = fd_reserve(t, 0, flags & LINUX_O_CLOEXEC), err;

	if (fd < 0)
		return fd;
	err = vfs_openat(t, dfd, name, flags, mode, lookup, &f);
	if (err) {
		fd_unreserve(t, fd);
		return err;
	}
	fd_commit(t, fd, f);
	return fd;
}

static int64_t do_open(struct task *t, int dfd, gaddr_t name, uint32_t flags, uint32_t mode)
{
	char *s _cleanup_free_ = NULL;
	int err = copy_in_path(t, name, &s);

	return err ? err : open_fd(t, dfd, s, (flags & VALID_OPEN_FLAGS) | LINUX_O_LARGEFILE, mode, 0);
}

int64_t sys_open(struct task *t, const struct sys_args *a)
{
	return do_open(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), ARG_U32(a, 1), ARG_U32(a, 2));
}

int64_t sys_openat(struct task *t, const struct sys_args *a)
{
	return do_open(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_U32(a, 2), ARG_U32(a, 3));
}

int64_t sys_creat(struct task *t, const struct sys_args *a)
{
	return do_open(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), LINUX_O_CREAT | LINUX_O_WRONLY | LINUX_O_TRUNC, ARG_U32(a, 1));
}

int64_t sys_openat2(struct task *t, const struct sys_args *a)
{
	char *s _cleanup_free_ = NULL;
	struct linux_open_how how = { 0 };
	uint64_t size = a->a[3];
	uint32_t lookup = 0;
	int err;

	if (size < sizeof(how))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	for (uint64_t n = sizeof(how); n < size; n++) {
		uint8_t b;

		err = copy_in(t, &b, gaddr_add(ARG_ADDR(a, 2), n), 1);
		if (err)
			return err;
		if (b)
			return -E2BIG;
	}
	err = copy_in(t, &how, ARG_ADDR(a, 2), sizeof(how));
	if (err)
		return err;
	err = open_how_check(&how, &lookup);
	if (err)
		return err;
	err = copy_in_path(t, ARG_ADDR(a, 1), &s);
	return err ? err : open_fd(t, ARG_INT(a, 0), s, (uint32_t)how.flags | LINUX_O_LARGEFILE, (uint32_t)how.mode, lookup);
}

int64_t sys_close(struct task *t, const struct sys_args *a)
{
	return fd_close(t, ARG_INT(a, 0));
}

#define CR_UNSHARE 2u
#define CR_CLOEXEC 4u

int64_t sys_close_range(struct task *t, const struct sys_args *a)
{
	uint32_t flags = ARG_U32(a, 2);

	if (flags & ~(CR_UNSHARE | CR_CLOEXEC) || ARG_U32(a, 0) > ARG_U32(a, 1))
		return -EINVAL;
	if (flags & CR_UNSHARE && fd_table_shared(t->files)) {
		struct fd_table *old, *copy = fd_table_dup(t->files);

		if (!copy)
			return -ENOMEM;
		mutex_lock(&t->alloc_mu);
		old = t->files;
		t->files = copy;
		mutex_unlock(&t->alloc_mu);
		fd_table_put(old, t);
	}
	return fd_close_range(t, ARG_U32(a, 0), ARG_U32(a, 1), flags & CR_CLOEXEC);
}

int64_t sys_dup(struct task *t, const struct sys_args *a)
{
	struct file *f = fd_get_raw(t, ARG_INT(a, 0));
	int fd;

	if (!f)
		return -EBADF;
	fd = fd_install(t, f, 0, false);
	if (fd < 0)
		file_put(f);
	return fd;
}

static int64_t dup_at(struct task *t, int from, int to, bool cloexec)
{
	struct file *f = fd_get_raw(t, from);
	int fd;

	if (!f)
		return -EBADF;
	fd = fd_install_at(t, f, to, cloexec);
	if (fd < 0)
		file_put(f);
	return fd;
}

int64_t sys_dup2(struct task *t, const struct sys_args *a)
{
	if (ARG_INT(a, 0) == ARG_INT(a, 1))
		return fd_get_cloexec(t, ARG_INT(a, 0)) < 0 ? -EBADF : ARG_INT(a, 0);
	return dup_at(t, ARG_INT(a, 0), ARG_INT(a, 1), false);
}

int64_t sys_dup3(struct task *t, const struct sys_args *a)
{
	if (ARG_U32(a, 2) & ~LINUX_O_CLOEXEC || ARG_INT(a, 0) == ARG_INT(a, 1))
		return -EINVAL;
	return dup_at(t, ARG_INT(a, 0), ARG_INT(a, 1), ARG_U32(a, 2) & LINUX_O_CLOEXEC);
}
