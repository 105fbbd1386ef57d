/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc about memory: meminfo, vmstat, zoneinfo, buddyinfo, pagetypeinfo. The machine has one node with one zone; anonymous memory and shared memory are
 * what the memory file holds, page cache is the host's. Names and their order are Linux 6.1's (fs/proc/meminfo.c, mm/vmstat.c). Checkpoint: stateless.
 */
#include <string.h>

#include "sentry/fs/proc/machine.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/mm/memfile.h"
#include "sentry/kernel/rusage.h"

struct amounts {
	uint64_t total, free, anon, shared, pgtables, stacks; /* bytes */
	uint64_t faults, major;
};

static void measure(struct amounts *a)
{
	uint64_t held = memfile_committed(the_kernel->mf) + memfile_absent(the_kernel->mf);
	struct thread_group *tg;
	struct tg_usage u;

	*a = (struct amounts){ .total = the_kernel->cfg.total_memory };
	mutex_lock(&the_kernel->tasks_mu);
	list_for_each(tg, &the_kernel->groups, all_node) {
		tg_usage_total(tg, &u);
		a->faults += (uint64_t)u.minflt;
		a->major += (uint64_t)u.majflt;
		a->stacks += (uint64_t)tg->nr_tasks * 16384;
	}
	a->faults += (uint64_t)the_kernel->reaped.minflt;
	a->major += (uint64_t)the_kernel->reaped.majflt;
	mutex_unlock(&the_kernel->tasks_mu);
	held = MIN(held, a->total);
	a->shared = MIN(memfile_shared(the_kernel->mf), held);
	a->anon = held - a->shared;
	a->free = a->total - held;
}

static void kb(struct strbuf *b, const char *name, uint64_t bytes)
{
	strbuf_addf(b, "%-16s%8lu kB\n", name, (unsigned long)(bytes >> 10));
}

int proc_show_meminfo(struct pctx *c, struct strbuf *b)
{
	struct amounts a;

	measure(&a);
	kb(b, "MemTotal:", a.total);
	kb(b, "MemFree:", a.free);
	kb(b, "MemAvailable:", a.free);
	kb(b, "Buffers:", 0);
	kb(b, "Cached:", a.shared); /* as in Linux, shared memory counts as cache */
	kb(b, "SwapCached:", 0);
	kb(b, "Active:", a.anon);
	kb(b, "Inactive:", a.shared);
	kb(b, "Active(anon):", a.anon);
	kb(b, "Inactive(anon):", a.shared);
	kb(b, "Active(file):", 0);
	kb(b, "Inactive(file):", 0);
	kb(b, "Unevictable:", 0);
	kb(b, "Mlocked:", 0);
	kb(b, "SwapTotal:", 0);
	kb(b, "SwapFree:", 0);
	kb(b, "Zswap:", 0);
	kb(b, "Zswapped:", 0);
	kb(b, "Dirty:", 0);
	kb(b, "Writeback:", 0);
	kb(b, "AnonPages:", a.anon);
	kb(b, "Mapped:", a.shared);
	kb(b, "Shmem:", a.shared);
	kb(b, "KReclaimable:", 0);
	kb(b, "Slab:", 0);
	kb(b, "SReclaimable:", 0);
	kb(b, "SUnreclaim:", 0);
	kb(b, "KernelStack:", a.stacks);
	kb(b, "PageTables:", a.pgtables);
	kb(b, "SecPageTables:", 0);
	kb(b, "NFS_Unstable:", 0);
	kb(b, "Bounce:", 0);
	kb(b, "WritebackTmp:", 0);
	kb(b, "CommitLimit:", a.total / 2);
	kb(b, "Committed_AS:", memfile_used(the_kernel->mf));
	strbuf_adds(b, "VmallocTotal:   34359738367 kB\n");
	kb(b, "VmallocUsed:", 0);
	kb(b, "VmallocChunk:", 0);
	kb(b, "Percpu:", 0);
	kb(b, "HardwareCorrupted:", 0);
	kb(b, "AnonHugePages:", 0);
	kb(b, "ShmemHugePages:", 0);
	kb(b, "ShmemPmdMapped:", 0);
	kb(b, "FileHugePages:", 0);
	kb(b, "FilePmdMapped:", 0);
	strbuf_adds(b, "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\nHugepagesize:       2048 kB\n");
	kb(b, "Hugetlb:", 0);
	kb(b, "DirectMap4k:", a.total);
	kb(b, "DirectMap2M:", 0);
	kb(b, "DirectMap1G:", 0);
	return 0;
}

/* Rows without a number of their own are 0: nothing here reclaims, swaps, compacts or migrates. */
static const char *const vmstat_rows[] = {
	"nr_free_pages", "nr_zone_inactive_anon", "nr_zone_active_anon", "nr_zone_inactive_file", "nr_zone_active_file", "nr_zone_unevictable",
	"nr_zone_write_pending", "nr_mlock", "nr_bounce", "nr_zspages", "nr_free_cma", "numa_hit", "numa_miss", "numa_foreign", "numa_interleave",
	"numa_local", "numa_other", "nr_inactive_anon", "nr_active_anon", "nr_inactive_file", "nr_active_file", "nr_unevictable", "nr_slab_reclaimable",
	"nr_slab_unreclaimable", "nr_isolated_anon", "nr_isolated_file", "workingset_nodes", "workingset_refault_anon", "workingset_refault_file",
	"workingset_activate_anon", "workingset_activate_file", "workingset_restore_anon", "workingset_restore_file", "workingset_nodereclaim",
	"nr_anon_pages", "nr_mapped", "nr_file_pages", "nr_dirty", "nr_writeback", "nr_writeback_temp", "nr_shmem", "nr_shmem_hugepages",
	"nr_shmem_pmdmapped", "nr_file_hugepages", "nr_file_pmdmapped", "nr_anon_transparent_hugepages", "nr_vmscan_write",
	"nr_vmscan_immediate_reclaim", "nr_dirtied", "nr_written", "nr_throttled_written", "nr_kernel_misc_reclaimable", "nr_foll_pin_acquired",
	"nr_foll_pin_released", "nr_kernel_stack", "nr_page_table_pages", "nr_sec_page_table_pages", "nr_swapcached", "pgpromote_success",
	"pgpromote_candidate", "nr_dirty_threshold", "nr_dirty_background_threshold", "pgpgin", "pgpgout", "pswpin", "pswpout", "pgalloc_dma",
	"pgalloc_dma32", "pgalloc_normal", "pgalloc_movable", "allocstall_dma", "allocstall_dma32", "allocstall_normal", "allocstall_movable",
	"pgskip_dma", "pgskip_dma32", "pgskip_normal", "pgskip_movable", "pgfree", "pgactivate", "pgdeactivate", "pglazyfree", "pgfault", "pgmajfault",
	"pglazyfreed", "pgrefill", "pgreuse", "pgsteal_kswapd", "pgsteal_direct", "pgdemote_kswapd", "pgdemote_direct", "pgscan_kswapd",
	"pgscan_direct", "pgscan_direct_throttle", "pgscan_anon", "pgscan_file", "pgsteal_anon", "pgsteal_file", "zone_reclaim_failed", "pginodesteal",
	"slabs_scanned", "kswapd_inodesteal", "kswapd_low_wmark_hit_quickly", "kswapd_high_wmark_hit_quickly", "pageoutrun", "pgrotated",
	"drop_pagecache", "drop_slab", "oom_kill", "numa_pte_updates", "numa_huge_pte_updates", "numa_hint_faults", "numa_hint_faults_local",
	"numa_pages_migrated", "pgmigrate_success", "pgmigrate_fail", "thp_migration_success", "thp_migration_fail", "thp_migration_split",
	"compact_migrate_scanned", "compact_free_scanned", "compact_isolated", "compact_stall", "compact_fail", "compact_success",
	"compact_daemon_wake", "compact_daemon_migrate_scanned", "compact_daemon_free_scanned", "htlb_buddy_alloc_success", "htlb_buddy_alloc_fail",
	"unevictable_pgs_culled", "unevictable_pgs_scanned", "unevictable_pgs_rescued", "unevictable_pgs_mlocked", "unevictable_pgs_munlocked",
	"unevictable_pgs_cleared", "unevictable_pgs_stranded", "thp_fault_alloc", "thp_fault_fallback", "thp_fault_fallback_charge",
	"thp_collapse_alloc", "thp_collapse_alloc_failed", "thp_file_alloc", "thp_file_fallback", "thp_file_fallback_charge", "thp_file_mapped",
	"thp_split_page", "thp_split_page_failed", "thp_deferred_split_page", "thp_split_pmd", "thp_scan_exceed_none_pte",
	"thp_scan_exceed_swap_pte", "thp_scan_exceed_share_pte", "thp_split_pud", "thp_zero_page_alloc", "thp_zero_page_alloc_failed", "thp_swpout",
	"thp_swpout_fallback", "swap_ra", "swap_ra_hit", "zswpin", "zswpout", "nr_unstable",
};

static uint64_t vmstat_value(const struct amounts *a, const char *name)
{
	const struct {
		const char *name;
		uint64_t v;
	} known[] = {
		{ "nr_free_pages", a->free / PAGE_SIZE }, { "nr_zone_inactive_anon", a->shared / PAGE_SIZE }, { "nr_zone_active_anon", a->anon / PAGE_SIZE },
		{ "nr_inactive_anon", a->shared / PAGE_SIZE }, { "nr_active_anon", a->anon / PAGE_SIZE }, { "nr_anon_pages", a->anon / PAGE_SIZE },
		{ "nr_mapped", a->shared / PAGE_SIZE }, { "nr_file_pages", a->shared / PAGE_SIZE }, { "nr_shmem", a->shared / PAGE_SIZE },
		{ "nr_kernel_stack", a->stacks >> 10 }, { "pgfault", a->faults }, { "pgmajfault", a->major },
		{ "nr_dirty_threshold", a->total / PAGE_SIZE / 5 }, { "nr_dirty_background_threshold", a->total / PAGE_SIZE / 10 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].name, name))
			return known[i].v;
	return 0;
}

int proc_show_vmstat(struct pctx *c, struct strbuf *b)
{
	struct amounts a;

	measure(&a);
	for (size_t i = 0; i < ARRAY_SIZE(vmstat_rows); i++)
		strbuf_addf(b, "%s %lu\n", vmstat_rows[i], (unsigned long)vmstat_value(&a, vmstat_rows[i]));
	return 0;
}

int proc_show_zoneinfo(struct pctx *c, struct strbuf *b)
{
	struct amounts a;
	uint64_t pages;

	measure(&a);
	pages = a.total / PAGE_SIZE;
	strbuf_adds(b, "Node 0, zone   Normal\n  per-node stats\n");
	for (size_t i = 0; i < ARRAY_SIZE(vmstat_rows); i++)
		if (!strncmp(vmstat_rows[i], "nr_", 3) && strncmp(vmstat_rows[i], "nr_zone", 7) != 0 && strcmp(vmstat_rows[i], "nr_free_pages") != 0)
			strbuf_addf(b, "      %-12s %lu\n", vmstat_rows[i], (unsigned long)vmstat_value(&a, vmstat_rows[i]));
	strbuf_addf(b, "  pages free     %lu\n        boost    0\n        min      16896\n        low      21120\n        high     25344\n"
		       "        spanned  %lu\n        present  %lu\n        managed  %lu\n        cma      0\n        protection: (0, 0, 0, 0, 0)\n",
		    (unsigned long)(a.free / PAGE_SIZE), (unsigned long)pages, (unsigned long)pages, (unsigned long)pages);
	strbuf_addf(b, "      nr_free_pages %lu\n      nr_zone_inactive_anon %lu\n      nr_zone_active_anon %lu\n      nr_zone_inactive_file 0\n"
		       "      nr_zone_active_file 0\n      nr_zone_unevictable 0\n      nr_zone_write_pending 0\n      nr_mlock     0\n",
		    (unsigned long)(a.free / PAGE_SIZE), (unsigned long)(a.shared / PAGE_SIZE), (unsigned long)(a.anon / PAGE_SIZE));
	strbuf_adds(b, "  pagesets\n");
	for (size_t i = 0; i < the_kernel->cfg.nr_cpus; i++)
		strbuf_addf(b, "    cpu: %zu\n              count: 0\n              high:  0\n              batch: 63\n  vm stats threshold: 0\n", i);
	strbuf_adds(b, "  node_unreclaimable:  0\n  start_pfn:           0\n");
	return 0;
}

/* All that is free is in the largest blocks. */
int proc_show_buddyinfo(struct pctx *c, struct strbuf *b)
{
	struct amounts a;

	measure(&a);
	strbuf_adds(b, "Node 0, zone   Normal ");
	for (int i = 0; i < 10; i++)
		strbuf_addf(b, "%6d ", 0);
	strbuf_addf(b, "%6lu \n", (unsigned long)(a.free / PAGE_SIZE >> 10));
	return 0;
}
