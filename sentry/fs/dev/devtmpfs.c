/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "devtmpfs": what a container gets on /dev. A tmpfs that begins with the devices every container has, the links and the directories
 * others are mounted on; the application may add and remove nodes.
 * Checkpoint: it is a tmpfs. DEVIATION: every mount is a new file system, as the tmpfs that runc makes; Linux's is one for all.
 */
#include <string.h>

#include "sentry/fs/chrdev.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/namei.h"

static const struct {
	const char *name;
	uint32_t mode;
	uint32_t major, minor;
	const char *target;
} entries[] = {
	{ "null", LINUX_S_IFCHR | 0666, 1, 3, NULL },
	{ "zero", LINUX_S_IFCHR | 0666, 1, 5, NULL },
	{ "userfaultfd", LINUX_S_IFCHR | 0600, 10, 126, NULL },
	{ "full", LINUX_S_IFCHR | 0666, 1, 7, NULL },
	{ "random", LINUX_S_IFCHR | 0666, 1, 8, NULL },
	{ "urandom", LINUX_S_IFCHR | 0666, 1, 9, NULL },
	{ "sysgenid", LINUX_S_IFCHR | 0666, 10, SYSGENID_MINOR, NULL },
	{ "kmsg", LINUX_S_IFCHR | 0644, 1, 11, NULL },
	{ "tty", LINUX_S_IFCHR | 0666, 5, 0, NULL },
	{ "ptmx", LINUX_S_IFLNK | 0777, 0, 0, "pts/ptmx" },
	{ "fd", LINUX_S_IFLNK | 0777, 0, 0, "/proc/self/fd" },
	{ "stdin", LINUX_S_IFLNK | 0777, 0, 0, "/proc/self/fd/0" },
	{ "stdout", LINUX_S_IFLNK | 0777, 0, 0, "/proc/self/fd/1" },
	{ "stderr", LINUX_S_IFLNK | 0777, 0, 0, "/proc/self/fd/2" },
	{ "pts", LINUX_S_IFDIR | 0755, 0, 0, NULL },
	{ "shm", LINUX_S_IFDIR | 01777, 0, 0, NULL },
	{ "mqueue", LINUX_S_IFDIR | 01777, 0, 0, NULL },
};

static int devtmpfs_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	const struct fs_type *tmpfs = fs_type_find("tmpfs");
	struct super_block *sb = NULL;
	int err = tmpfs ? tmpfs->mount(tmpfs, rq, &sb) : -ENODEV;

	for (size_t n = 0; !err && n < ARRAY_SIZE(entries); n++) {
		struct inode_make m = { .mode = entries[n].mode, .rdev = dev_make(entries[n].major, entries[n].minor),
					.target = entries[n].target };

		err = vfs_raw_create(sb->root, entries[n].name, &m, NULL);
	}
	if (err && sb) {
		/* Never mounted: being active once takes the tree down. */
		sb_activate(sb);
		sb_deactivate(sb);
		sb_put(sb);
		return err;
	}
	*ret = sb;
	return err;
}

static const struct fs_type devtmpfs_type = { .name = "devtmpfs", .mount = devtmpfs_mount, .nodev = true, .initial_only = true };
FS_TYPE_REGISTER(devtmpfs_type)
