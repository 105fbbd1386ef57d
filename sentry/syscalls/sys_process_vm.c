/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_vm_readv and process_vm_writev: copies between two address spaces through a buffer, one mm.lock at a time.
 * Linux: mm/process_vm_access.c. What was moved before a fault on the other side counts; a fault on our side too.
 */
#include <stdlib.h>

#include "sentry/mm/mm.h"
#include "sentry/mm/uio.h"
#include "sentry/syscalls/syscalls.h"

#define BOUNCE (64UL << 10)

static int64_t move(struct uio *local, struct uio *remote, bool write)
{
	struct uio *from = write ? local : remote, *to = write ? remote : local;
	_cleanup_free_ char *buf = malloc(BOUNCE);
	int64_t done = 0;

	if (!buf)
		return -ENOMEM;
	while (local->left > 0 && remote->left > 0) {
		size_t n = MIN(local->left, remote->left);
		int64_t got, put;

		n = MIN(n, BOUNCE);
		got = uio_get(from, buf, n);
		if (got <= 0)
			return done ? done : got;
		put = uio_put(to, buf, (size_t)got);
		if (put <= 0)
			return done ? done : put;
		done += put;
		if ((size_t)got < n || put < got)
			break;
	}
	return done;
}

static int64_t process_vm(struct task *t, const struct sys_args *a, bool write)
{
	struct uio local, remote;
	struct task *other;
	struct mm *mm;
	int64_t r;

	if (a->a[5])
		return -EINVAL;
	r = uio_user_iov(&local, t->mm, ARG_ADDR(a, 1), a->a[2]);
	if (r < 0)
		return r;
	/* The remote array describes the other's addresses but lies in ours. */
	r = uio_user_iov(&remote, t->mm, ARG_ADDR(a, 3), a->a[4]);
	if (r < 0)
		goto out_local;
	r = 0;
	if (local.left == 0 || remote.left == 0)
		goto out_remote;
	other = task_find(t->k, task_pid_ns(t), ARG_INT(a, 0));
	r = -ESRCH;
	if (!other)
		goto out_remote;
	r = task_ptrace_may_access(t, other, true);
	mm = r < 0 ? NULL : task_mm_get(other);
	task_put(other);
	if (r < 0)
		goto out_remote;
	r = -ESRCH;
	if (!mm)
		goto out_remote;
	remote.mm = mm;
	r = move(&local, &remote, write);
	mm_put(mm);
out_remote:
	uio_done(&remote);
out_local:
	uio_done(&local);
	return r;
}

int64_t sys_process_vm_readv(struct task *t, const struct sys_args *a)
{
	return process_vm(t, a, false);
}

int64_t sys_process_vm_writev(struct task *t, const struct sys_args *a)
{
	return process_vm(t, a, true);
}
