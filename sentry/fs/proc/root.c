/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/proc/proc_internal.h"
static const struct pnode kids[] = { { 0 } };
static const struct pnode root = PN_DIR("/", 0555, kids);
static const struct pseudo_fs proc_fs = { .name = "proc", .magic = LINUX_PROC_SUPER_MAGIC, .root = &root };
PSEUDO_FS_REGISTER(proc_fs)
static int proc_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	return pseudo_mount(ft, &proc_fs, NULL, ret);
}
static const struct fs_type proc_type = { .name = "proc", .mount = proc_mount, .nodev = true };
FS_TYPE_REGISTER(proc_type)
