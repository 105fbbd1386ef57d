/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysfs: the parts that programs look into to learn about processors, memory nodes and network interfaces (net.c). There are no devices.
 * Checkpoint: stateless (sentry/fs/pseudo). Linux: fs/sysfs, drivers/base.
 */
#include <stdio.h>

#include "sentry/fs/sys/sysfs_internal.h"
#include "sentry/fs/sys/sys_internal.h"

static const struct pnode none[] = { { 0 } };

#define TEXT SYSFS_TEXT

/* --- memory nodes --- */

static int show_node_meminfo(struct pctx *c, struct strbuf *b)
{
	uint64_t total = the_kernel->cfg.total_memory >> 10, used = MIN(memfile_used(the_kernel->mf) >> 10, total);

	strbuf_addf(b, "Node 0 MemTotal:       %8lu kB\nNode 0 MemFree:        %8lu kB\nNode 0 MemUsed:        %8lu kB\n", total, total - used, used);
	return 0;
}

static const struct pnode node0[] = {
	PN_FILE("cpulist", 0444, sysfs_show_all_cpus),
	PN_FILE("cpumap", 0444, sysfs_show_all_mask),
	TEXT("distance", "10"),
	PN_FILE("meminfo", 0444, show_node_meminfo),
	{ 0 },
};
static const struct pnode node_dir[] = {
	TEXT("online", "0"),	  TEXT("possible", "0"),      TEXT("has_cpu", "0"), TEXT("has_memory", "0"), TEXT("has_normal_memory", "0"),
	PN_DIR("node0", 0755, node0), { 0 },
};

/* --- the rest --- */

/* Restores are the only events. */
static int show_uevent_seqnum(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%u\n", the_kernel->generation - 1);
	return 0;
}

/* What uevents of restores are about. */
static const struct pnode sysgenid_kids[] = {
	TEXT("dev", "10:125"), /* SYSGENID_MINOR */
	TEXT("uevent", "MAJOR=10\nMINOR=125\nDEVNAME=sysgenid\nDEVMODE=0666"),
	{ 0 },
};
static const struct pnode misc_dir[] = { PN_DIR("sysgenid", 0755, sysgenid_kids), { 0 } };
static const struct pnode virtual_dir[] = {
	PN_DIR("misc", 0755, misc_dir), PN_DIR("net", 0755, none, .dyn = &sys_net_dyn), { 0 },
};
static const struct pnode class_dir[] = { PN_DIR("net", 0755, none, .dyn = &sys_net_dyn), PN_DIR("block", 0755, none), { 0 } };
static const struct pnode system_dir[] = { PN_DIR("cpu", 0755, sysfs_cpu_children, .dyn = &sysfs_cpu_dyn), PN_DIR("node", 0755, node_dir), { 0 } };
static const struct pnode devices[] = { PN_DIR("system", 0755, system_dir), PN_DIR("virtual", 0755, virtual_dir), { 0 } };
static const struct pnode thp[] = {
	TEXT("enabled", "always [madvise] never"),
	TEXT("defrag", "always defer defer+madvise [madvise] never"),
	TEXT("shmem_enabled", "always within_size advise [never] deny force"),
	TEXT("hpage_pmd_size", "2097152"),
	{ 0 },
};
static const struct pnode ksm[] = { TEXT("run", "0"), { 0 } };
static const struct pnode mm_dir[] = {
	PN_DIR("transparent_hugepage", 0755, thp),
	PN_DIR("hugepages", 0755, none),
	PN_DIR("ksm", 0755, ksm),
	{ 0 },
};
static const struct pnode kernel_dir[] = { PN_DIR("mm", 0755, mm_dir), TEXT("profiling", "0"), PN_FILE("uevent_seqnum", 0444, show_uevent_seqnum), { 0 } };
static const struct pnode fs_dir[] = { PN_DIR("cgroup", 0755, none), { 0 } };
static const struct pnode children[] = {
	PN_DIR("block", 0755, none),	    PN_DIR("bus", 0755, none),	    PN_DIR("class", 0755, class_dir), PN_DIR("dev", 0755, none),
	PN_DIR("devices", 0755, devices),   PN_DIR("firmware", 0755, none), PN_DIR("fs", 0755, fs_dir),	      PN_DIR("kernel", 0755, kernel_dir),
	PN_DIR("module", 0755, none),	    PN_DIR("power", 0755, none),    { 0 },
};
static const struct pnode root = PN_DIR("/", 0555, children);

static const struct pseudo_fs sysfs_fs = { .name = "sysfs", .magic = LINUX_SYSFS_MAGIC, .root = &root };
PSEUDO_FS_REGISTER(sysfs_fs)

static int sysfs_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	return pseudo_mount(ft, &sysfs_fs, NULL, ret);
}

static const struct fs_type sysfs_type = { .name = "sysfs", .mount = sysfs_mount, .nodev = true };
FS_TYPE_REGISTER(sysfs_type)
