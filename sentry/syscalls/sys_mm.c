/* SPDX-License-Identifier: Apache-2.0 */
/* Memory system calls: thin shims over sentry/mm. */
#include "sentry/abi/mman.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/file.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/syscalls.h"

int64_t sys_mmap(struct task *t, const struct sys_args *a)
{
	uint32_t flags = (uint32_t)a->a[3];
	struct file *f = NULL;
	int64_t r;

	if (!IS_ALIGNED(a->a[5], PAGE_SIZE))
		return -EINVAL;
	if (!(flags & LINUX_MAP_ANONYMOUS)) {
		f = fd_get(t, ARG_INT(a, 4));
		if (!f)
			return -EBADF;
		if (flags & LINUX_MAP_HUGETLB) {
			file_put(f);
			return -EINVAL;
		}
	}
	r = mm_mmap(t->mm, t, a->a[0], a->a[1], ARG_U32(a, 2), flags, f, f ? a->a[5] : 0);
	file_put(f);
	return r;
}

int64_t sys_munmap(struct task *t, const struct sys_args *a)
{
	return mm_munmap(t->mm, t->pctx, a->a[0], a->a[1]);
}

int64_t sys_mprotect(struct task *t, const struct sys_args *a)
{
	/* No valid protection has bits above 32, so they must not be cut off. */
	if (a->a[2] >> 32)
		return -EINVAL;
	return mm_mprotect(t->mm, t, a->a[0], a->a[1], ARG_U32(a, 2));
}

/* DEVIATION: no protection keys: pkey -1 is plain mprotect, others were never allocated. */
int64_t sys_pkey_mprotect(struct task *t, const struct sys_args *a)
{
	return ARG_INT(a, 3) == -1 ? sys_mprotect(t, a) : -EINVAL;
}

int64_t sys_pkey_alloc(struct task *t, const struct sys_args *a)
{
	if (a->a[0] || (a->a[1] & ~3ULL))
		return -EINVAL;
	return -ENOSPC;
}

int64_t sys_pkey_free(struct task *t, const struct sys_args *a)
{
	return -EINVAL;
}

int64_t sys_mremap(struct task *t, const struct sys_args *a)
{
	if (a->a[3] >> 32)
		return -EINVAL;
	return mm_mremap(t->mm, t, a->a[0], a->a[1], a->a[2], ARG_U32(a, 3), a->a[4]);
}

int64_t sys_madvise(struct task *t, const struct sys_args *a)
{
	return mm_madvise(t->mm, t, a->a[0], a->a[1], ARG_INT(a, 2));
}

int64_t sys_brk(struct task *t, const struct sys_args *a)
{
	return mm_brk(t->mm, t, a->a[0]);
}

int64_t sys_mincore(struct task *t, const struct sys_args *a)
{
	return mm_mincore(t->mm, t, a->a[0], a->a[1], ARG_ADDR(a, 2));
}

int64_t sys_mlock(struct task *t, const struct sys_args *a)
{
	return mm_mlock(t->mm, t, a->a[0], a->a[1], true, false);
}

int64_t sys_mlock2(struct task *t, const struct sys_args *a)
{
	if (ARG_U32(a, 2) & ~LINUX_MLOCK_ONFAULT)
		return -EINVAL;
	return mm_mlock(t->mm, t, a->a[0], a->a[1], true, ARG_U32(a, 2) & LINUX_MLOCK_ONFAULT);
}

int64_t sys_munlock(struct task *t, const struct sys_args *a)
{
	return mm_mlock(t->mm, t, a->a[0], a->a[1], false, false);
}

int64_t sys_mlockall(struct task *t, const struct sys_args *a)
{
	return ARG_U32(a, 0) ? mm_mlockall(t->mm, t, ARG_U32(a, 0)) : -EINVAL;
}

int64_t sys_munlockall(struct task *t, const struct sys_args *a)
{
	return mm_mlockall(t->mm, t, 0);
}

int64_t sys_msync(struct task *t, const struct sys_args *a)
{
	return mm_msync(t->mm, t, a->a[0], a->a[1], ARG_U32(a, 2));
}

int64_t sys_remap_file_pages(struct task *t, const struct sys_args *a)
{
	if (a->a[2] >> 32)
		return -EINVAL;
	return mm_remap_file_pages(t->mm, t, a->a[0], a->a[1], ARG_U32(a, 2), a->a[3], ARG_U32(a, 4));
}
