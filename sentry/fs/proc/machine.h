/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of /proc about the machine as a whole; the table is in root.c. */
#ifndef SENTRY_FS_PROC_MACHINE_H
#define SENTRY_FS_PROC_MACHINE_H

#include "sentry/fs/pseudo/pseudo.h"

/* As uname(2) says them: /proc/version and /proc/sys/kernel/os* say. */
#define RUNSC_OSTYPE	"Linux"
#define RUNSC_OSRELEASE "6.1.0"
#define RUNSC_VERSION	"#1 SMP"

int proc_show_nothing(struct pctx *c, struct strbuf *b);
int proc_show_cpuinfo(struct pctx *c, struct strbuf *b); /* cpuinfo.c */
int proc_show_arch_status(struct pctx *c, struct strbuf *b); /* machine_lists.c, as those that follow */
int proc_show_autogroup(struct pctx *c, struct strbuf *b);
int64_t proc_store_autogroup(struct pctx *c, char *s, size_t n);
int proc_show_dma(struct pctx *c, struct strbuf *b);
int proc_show_execdomains(struct pctx *c, struct strbuf *b);
int proc_show_iomem(struct pctx *c, struct strbuf *b);
int proc_show_pressure(struct pctx *c, struct strbuf *b);
int proc_show_softirqs(struct pctx *c, struct strbuf *b);
int proc_show_buddyinfo(struct pctx *c, struct strbuf *b); /* memory.c */
int proc_show_zoneinfo(struct pctx *c, struct strbuf *b);
int proc_show_boot_cmdline(struct pctx *c, struct strbuf *b);
int proc_show_cgroups(struct pctx *c, struct strbuf *b);
int proc_show_devices(struct pctx *c, struct strbuf *b);
int proc_show_filesystems(struct pctx *c, struct strbuf *b);
int proc_show_interrupts(struct pctx *c, struct strbuf *b);
int proc_show_loadavg(struct pctx *c, struct strbuf *b);
int proc_show_locks(struct pctx *c, struct strbuf *b);
int proc_show_meminfo(struct pctx *c, struct strbuf *b);
int proc_show_partitions(struct pctx *c, struct strbuf *b);
int proc_show_slabinfo(struct pctx *c, struct strbuf *b);
int proc_show_machine_stat(struct pctx *c, struct strbuf *b);
int proc_show_swaps(struct pctx *c, struct strbuf *b);
int proc_show_uptime(struct pctx *c, struct strbuf *b);
int proc_show_version(struct pctx *c, struct strbuf *b);
int proc_show_vmstat(struct pctx *c, struct strbuf *b);
int proc_show_sysvipc_shm(struct pctx *c, struct strbuf *b);
int proc_show_sysvipc_sem(struct pctx *c, struct strbuf *b);
int proc_show_sysvipc_msg(struct pctx *c, struct strbuf *b);

#endif
