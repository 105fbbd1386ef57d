/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/pseudo/pseudo.h"
static const struct pnode none[] = { { 0 } };
static const struct pnode fs_kids[] = { PN_DIR("cgroup", 0755, none), { 0 } };
static const struct pnode kids[] = { PN_DIR("fs", 0755, fs_kids), { 0 } };
static const struct pnode root = PN_DIR("/", 0555, kids);
static const struct pseudo_fs sysfs_fs = { .name = "sysfs", .magic = LINUX_SYSFS_MAGIC, .root = &root };
PSEUDO_FS_REGISTER(sysfs_fs)
static int sysfs_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	return pseudo_mount(ft, &sysfs_fs, NULL, ret);
}
static const struct fs_type sysfs_type = { .name = "sysfs", .mount = sysfs_mount, .nodev = true };
FS_TYPE_REGISTER(sysfs_type)
static const struct pseudo_fs cgroup_fs = { .name = "cgroup2", .magic = LINUX_CGROUP2_MAGIC, .root = &root };
PSEUDO_FS_REGISTER(cgroup_fs)
static int cgroup_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	return pseudo_mount(ft, &cgroup_fs, NULL, ret);
}
static const struct fs_type cgroup_type = { .name = "cgroup2", .mount = cgroup_mount, .nodev = true };
FS_TYPE_REGISTER(cgroup_type)
