/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/devices/system/cpu: what lscpu, hwloc, the JVM and glibc look at. Each processor is a core of its own in one package; caches are what CPUID says of the
 * processor we run on, the first two levels private, later ones shared by all. Checkpoint: stateless; a restore shows the new machine, like cpuinfo.
 */
#include <cpuid.h>
#include <stdio.h>

#include "sentry/fs/sys/sysfs_internal.h"

int sysfs_show_text(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%s\n", (const char *)c->node->data);
	return 0;
}

int sysfs_show_all_cpus(struct pctx *c, struct strbuf *b)
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

int sysfs_show_all_mask(struct pctx *c, struct strbuf *b)
{
	size_t n = the_kernel->cfg.nr_cpus, top = n % 32, words = (n + 31) / 32;

	for (size_t w = words; w-- > 0;)
		strbuf_addf(b, "%0*x%s", w == words - 1 ? 1 : 8, w == words - 1 && top ? (1u << top) - 1 : UINT32_MAX, w ? "," : "\n");
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

/* --- caches --- */

struct cache {
	uint32_t type, level, line, partitions, ways, sets; /* type: 1 data, 2 instructions, 3 both */
};

static bool cache_get(unsigned index, struct cache *ret)
{
	uint32_t a = 0, b = 0, c = 0, d = 0, leaf = 4, max = __get_cpuid_max(0, NULL);

	if (max < 4)
		return false;
	__cpuid_count(4, 0, a, b, c, d);
	if (!(a & 31)) { /* AMD has it elsewhere */
		if ((uint32_t)__get_cpuid_max(0x80000000, NULL) < 0x8000001d)
			return false;
		leaf = 0x8000001d;
	}
	__cpuid_count(leaf, index, a, b, c, d);
	if (!(a & 31) || (a & 31) > 3)
		return false;
	*ret = (struct cache){ a & 31, a >> 5 & 7, (b & 0xfff) + 1, (b >> 12 & 0x3ff) + 1, (b >> 22) + 1, c + 1 };
	return true;
}

enum cache_file { C_LINE, C_ID, C_LEVEL, C_SETS, C_PART, C_LIST, C_MAP, C_SIZE, C_TYPE, C_WAYS };

static int show_cache(struct pctx *c, struct strbuf *b, unsigned index)
{
	static const char *const types[] = { "", "Data", "Instruction", "Unified" };
	struct cache k;

	if (!cache_get(index, &k))
		return -EIO;
	switch ((enum cache_file)(uintptr_t)c->node->data) {
	case C_LINE:
		strbuf_addf(b, "%u\n", k.line);
		return 0;
	case C_ID:
		strbuf_addf(b, "%lu\n", k.level > 2 ? 0 : (unsigned long)c->id);
		return 0;
	case C_LEVEL:
		strbuf_addf(b, "%u\n", k.level);
		return 0;
	case C_SETS:
		strbuf_addf(b, "%u\n", k.sets);
		return 0;
	case C_PART:
		strbuf_addf(b, "%u\n", k.partitions);
		return 0;
	case C_LIST:
		return k.level > 2 ? sysfs_show_all_cpus(c, b) : show_one_cpu(c, b);
	case C_MAP:
		return k.level > 2 ? sysfs_show_all_mask(c, b) : show_one_mask(c, b);
	case C_SIZE:
		strbuf_addf(b, "%luK\n", (unsigned long)((uint64_t)k.line * k.partitions * k.ways * k.sets >> 10));
		return 0;
	case C_TYPE:
		strbuf_addf(b, "%s\n", types[k.type]);
		return 0;
	case C_WAYS:
		strbuf_addf(b, "%u\n", k.ways);
		return 0;
	}
	return -EIO;
}

#define CF(n, nm, what) PN_FILE(nm, 0444, show_cache_##n, .data = (const void *)(uintptr_t)(what))
#define CACHE(n)                                                                                                                     \
	static int show_cache_##n(struct pctx *c, struct strbuf *b)                                                                  \
	{                                                                                                                            \
		return show_cache(c, b, n);                                                                                          \
	}                                                                                                                            \
	static bool have_cache_##n(const struct pctx *c)                                                                             \
	{                                                                                                                            \
		struct cache k;                                                                                                      \
		return cache_get(n, &k);                                                                                             \
	}                                                                                                                            \
	static const struct pnode cache_##n[] = {                                                                                    \
		CF(n, "coherency_line_size", C_LINE), CF(n, "id", C_ID), CF(n, "level", C_LEVEL), CF(n, "number_of_sets", C_SETS),    \
		CF(n, "physical_line_partition", C_PART), CF(n, "shared_cpu_list", C_LIST), CF(n, "shared_cpu_map", C_MAP),           \
		CF(n, "size", C_SIZE), CF(n, "type", C_TYPE), CF(n, "ways_of_associativity", C_WAYS), { 0 },                          \
	};
CACHE(0)
CACHE(1)
CACHE(2)
CACHE(3)
static const struct pnode caches[] = {
	PN_DIR("index0", 0755, cache_0, .visible = have_cache_0), PN_DIR("index1", 0755, cache_1, .visible = have_cache_1),
	PN_DIR("index2", 0755, cache_2, .visible = have_cache_2), PN_DIR("index3", 0755, cache_3, .visible = have_cache_3), { 0 },
};

/* --- one processor --- */

static const struct pnode topology[] = {
	PN_FILE("core_id", 0444, show_one_cpu),
	SYSFS_TEXT("physical_package_id", "0"),
	SYSFS_TEXT("die_id", "0"),
	SYSFS_TEXT("cluster_id", "65535"),
	PN_FILE("core_cpus", 0444, show_one_mask),
	PN_FILE("core_cpus_list", 0444, show_one_cpu),
	PN_FILE("thread_siblings", 0444, show_one_mask),
	PN_FILE("thread_siblings_list", 0444, show_one_cpu),
	PN_FILE("core_siblings", 0444, sysfs_show_all_mask),
	PN_FILE("core_siblings_list", 0444, sysfs_show_all_cpus),
	PN_FILE("package_cpus", 0444, sysfs_show_all_mask),
	PN_FILE("package_cpus_list", 0444, sysfs_show_all_cpus),
	PN_FILE("die_cpus", 0444, sysfs_show_all_mask),
	PN_FILE("die_cpus_list", 0444, sysfs_show_all_cpus),
	PN_FILE("cluster_cpus", 0444, show_one_mask),
	PN_FILE("cluster_cpus_list", 0444, show_one_cpu),
	{ 0 },
};

/* The first processor cannot be switched off, so it has no such file. */
static bool can_go(const struct pctx *c)
{
	return c->id != 0;
}

static int node_link(struct pctx *c, char **ret)
{
	return asprintf(ret, "../../node/node0") < 0 ? -ENOMEM : 0;
}

static const struct pnode cpu_kids[] = {
	PN_DIR("cache", 0755, caches), PN_DIR("topology", 0755, topology), SYSFS_TEXT("online", "1", .visible = can_go), PN_LINK("node0", node_link), { 0 },
};
static const struct pnode cpu_node = PN_DIR("cpu*", 0755, cpu_kids);

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

const struct pdyn sysfs_cpu_dyn = { .node = &cpu_node, .lookup = cpu_lookup, .next = cpu_next };

/* --- all --- */

/* Mitigations are the host's business; this kernel knows of none. */
#define UNKNOWN(nm) SYSFS_TEXT(nm, "Unknown: No mitigations")
static const struct pnode vulnerabilities[] = {
	UNKNOWN("itlb_multihit"),
	UNKNOWN("l1tf"),
	UNKNOWN("mds"),
	UNKNOWN("meltdown"),
	UNKNOWN("mmio_stale_data"),
	UNKNOWN("retbleed"),
	UNKNOWN("spec_store_bypass"),
	UNKNOWN("spectre_v1"),
	UNKNOWN("spectre_v2"),
	UNKNOWN("srbds"),
	UNKNOWN("tsx_async_abort"),
	{ 0 },
};
static const struct pnode smt[] = { SYSFS_TEXT("active", "0"), SYSFS_TEXT("control", "notsupported"), { 0 } };

const struct pnode sysfs_cpu_children[] = {
	PN_FILE("online", 0444, sysfs_show_all_cpus),
	PN_FILE("possible", 0444, sysfs_show_all_cpus),
	PN_FILE("present", 0444, sysfs_show_all_cpus),
	SYSFS_TEXT("offline", ""),
	SYSFS_TEXT("isolated", ""),
	SYSFS_TEXT("kernel_max", "8191"),
	PN_DIR("smt", 0755, smt),
	PN_DIR("vulnerabilities", 0755, vulnerabilities),
	{ 0 },
};
