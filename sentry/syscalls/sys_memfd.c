/* SPDX-License-Identifier: Apache-2.0 */
/* memfd_create. */
#include <stdlib.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/syscalls/syscalls.h"

#define NAME_LEN (LINUX_NAME_MAX - 6) /* without "memfd:" */

int64_t sys_memfd_create(struct task *t, const struct sys_args *a)
{
	uint32_t flags = ARG_U32(a, 1);
	char *name _cleanup_free_ = NULL;
	struct file *f = NULL;
	int fd, err;

	if (flags & ~(LINUX_MFD_CLOEXEC | LINUX_MFD_ALLOW_SEALING | LINUX_MFD_NOEXEC_SEAL | LINUX_MFD_EXEC | LINUX_MFD_HUGETLB))
		return -EINVAL;
	if (flags & LINUX_MFD_HUGETLB)
		return -ENOSYS; /* as a kernel without hugetlbfs */
	if (flags & LINUX_MFD_EXEC && flags & LINUX_MFD_NOEXEC_SEAL)
		return -EINVAL;
	err = copy_in_string(t, ARG_ADDR(a, 0), NAME_LEN, &name);
	if (err)
		return err == -ENAMETOOLONG ? -EINVAL : err;
	err = memfd_new(t, name, flags, &f);
	if (err)
		return err;
	fd = fd_install(t, f, 0, flags & LINUX_MFD_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}
