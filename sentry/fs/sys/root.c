/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysfs: the parts that programs look into to learn about processors, memory nodes and network interfaces (net.c). There are no devices.
 * Checkpoint: stateless (sentry/fs/pseudo). Linux: fs/sysfs, drivers/base.
 */
#include <stdio.h>

#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/fs/sys/sys_internal.h"

static const struct pnode none[] = { { 0 } };

static int show_text(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%s\n", (const char *)c->node->data);
	return 0;
}
#define TEXT(nm, t) PN_FILE(nm, 0444, show_text, .data = (t))

/* --- processors --- */

static int show_all_cpus(struct pctx *c, struct strbuf *b)
{
	size_t n = the_kernel->cfg.nr_cpus;

	strbuf_addf(b, n > 1 ? "0-%zu\n" : "0\n", n - 1);
	return 0;
}

static int show_one_cpu(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%lu\n", c->id);
	return 0;
}

static void mask(struct strbuf *b, size_t n, uint64_t word_of_last)
{
	size_t words = (n + 31) / 32;

	for (size_t w = words; w-- > 0;)
		strbuf_addf(b, "%0*x%s", w == words - 1 ? 1 : 8, w == words - 1 ? (uint32_t)word_of_last : UINT32_MAX, w ? "," : "\n");
}

static int show_all_mask(struct pctx *c, struct strbuf *b)
{
	size_t n = the_kernel->cfg.nr_cpus, top = n % 32;

	mask(b, n, top ? (1ull << top) - 1 : UINT32_MAX);
	return 0;
}

static int show_one_mask(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%x", 1u << (c->id % 32));
	for (uint64_t w = c->id / 32; w; w--)
		strbuf_adds(b, ",00000000");
	strbuf_addc(b, '\n');
	return 0;
}

static int cpu_lookup(const struct pctx *dir, const char *name, uint64_t *ret_id, struct pid **ret_pid, bool *ret_thread)
{
	return name[0] == 'c' && name[1] == 'p' && name[2] == 'u' && pseudo_name_number(name + 3, 4096, ret_id) &&
			       *ret_id < the_kernel->cfg.nr_cpus ? 0 : -ENOENT;
}

static bool cpu_next(const struct pctx *dir, uint64_t *id, char *ret_name)
{
	(void)snprintf(ret_name, 32, "cpu%lu", *id);
	return *id < the_kernel->cfg.nr_cpus;
}

static const struct pnode topology[] = {
	PN_FILE("core_id", 0444, show_one_cpu),
	TEXT("physical_package_id", "0"),
	TEXT("die_id", "0"),
	PN_FILE("core_cpus", 0444, show_one_mask),
	PN_FILE("core_cpus_list", 0444, show_one_cpu),
	PN_FILE("thread_siblings", 0444, show_one_mask),
	PN_FILE("thread_siblings_list", 0444, show_one_cpu),
	PN_FILE("core_siblings", 0444, show_all_mask),
	PN_FILE("core_siblings_list", 0444, show_all_cpus),
	PN_FILE("package_cpus", 0444, show_all_mask),
	PN_FILE("package_cpus_list", 0444, show_all_cpus),
	{ 0 },
};
static const struct pnode cpu_kids[] = { PN_DIR("topology", 0755, topology), TEXT("online", "1"), { 0 } };
static const struct pnode cpu_node = PN_DIR("cpu*", 0755, cpu_kids);
static const struct pdyn cpu_dyn = { .node = &cpu_node, .lookup = cpu_lookup, .next = cpu_next };

static int show_kernel_max(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "8191\n");
	return 0;
}

static const struct pnode cpu_dir[] = {
	PN_FILE("online", 0444, show_all_cpus),
	PN_FILE("possible", 0444, show_all_cpus),
	PN_FILE("present", 0444, show_all_cpus),
	TEXT("offline", ""),
	TEXT("isolated", ""),
	PN_FILE("kernel_max", 0444, show_kernel_max),
	{ 0 },
};

/* --- memory nodes --- */

static int show_node_meminfo(struct pctx *c, struct strbuf *b)
{
	uint64_t total = the_kernel->cfg.total_memory >> 10, used = MIN(memfile_used(the_kernel->mf) >> 10, total);

	strbuf_addf(b, "Node 0 MemTotal:       %8lu kB\nNode 0 MemFree:        %8lu kB\nNode 0 MemUsed:        %8lu kB\n", total, total - used, used);
	return 0;
}

static const struct pnode node0[] = {
	PN_FILE("cpulist", 0444, show_all_cpus),
	PN_FILE("cpumap", 0444, show_all_mask),
	TEXT("distance", "10"),
	PN_FILE("meminfo", 0444, show_node_meminfo),
	{ 0 },
};
static const struct pnode node_dir[] = {
	TEXT("online", "0"),	  TEXT("possible", "0"),      TEXT("has_cpu", "0"), TEXT("has_memory", "0"), TEXT("has_normal_memory", "0"),
	PN_DIR("node0", 0755, node0), { 0 },
};

/* --- the rest --- */

static const struct pnode virtual_net[] = { PN_DIR("net", 0755, none, .dyn = &sys_net_dyn), { 0 } };
static const struct pnode class_dir[] = { PN_DIR("net", 0755, none, .dyn = &sys_net_dyn), PN_DIR("block", 0755, none), { 0 } };
static const struct pnode system_dir[] = { PN_DIR("cpu", 0755, cpu_dir, .dyn = &cpu_dyn), PN_DIR("node", 0755, node_dir), { 0 } };
static const struct pnode devices[] = { PN_DIR("system", 0755, system_dir), PN_DIR("virtual", 0755, virtual_net), { 0 } };
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
static const struct pnode kernel_dir[] = { PN_DIR("mm", 0755, mm_dir), TEXT("profiling", "0"), TEXT("uevent_seqnum", "0"), { 0 } };
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
