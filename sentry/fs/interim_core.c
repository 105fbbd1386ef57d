/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins until pidfd.c and mqueue.c land. */
#include "sentry/fs/fs_type.h"
#include "sentry/fs/pidfd.h"

__attribute__((weak)) int pidfd_new(struct task *t, struct pid *pid, uint32_t flags, struct file **ret)
{
	return -ENOSYS;
}

__attribute__((weak)) int pidfd_get_pid(struct task *t, int fd, struct pid **ret, int *ret_nonblock)
{
	return -EBADF;
}

/* POSIX message queues as files: a plain memory file system until the real one lands. */
static int mqueue_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	const struct fs_type *tmpfs = fs_type_find("tmpfs");
	struct mount_req q = *rq;

	q.options = "";
	return tmpfs->mount(tmpfs, &q, ret);
}

static const struct fs_type mqueue_interim = { .name = "mqueue", .mount = mqueue_mount, .nodev = true };
FS_TYPE_REGISTER(mqueue_interim)
