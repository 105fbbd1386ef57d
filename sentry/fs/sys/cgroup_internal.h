/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the cgroup2 file system: tables of controllers, and how an entry finds its group. */
#ifndef SENTRY_FS_SYS_CGROUP_INTERNAL_H
#define SENTRY_FS_SYS_CGROUP_INTERNAL_H

#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/kernel/cgroup.h"

/* The group of an entry, referenced, or NULL when it was removed. tasks_mu held. */
struct cgroup *cgfs_group(const struct pctx *c);
/* For show and store: takes tasks_mu, finds the group, calls @fn. -ENODEV. */
int cgfs_show(struct pctx *c, struct strbuf *b, void (*fn)(struct cgroup *cg, struct strbuf *b, const void *arg), const void *arg);
/* "max" or a number with one of the suffixes K M G T P E (@suffixes). -EINVAL. */
_must_check_ int cgfs_parse_limit(const char *s, bool suffixes, uint64_t *ret);
void cgfs_put_limit(struct strbuf *b, uint64_t v); /* with a line's end */
void cgfs_put_cpus(struct strbuf *b, const uint64_t m[2]); /* "0-3,7" with a line's end */
/* Entries of a controller: there where it is given; those that only ask for a parent. */
bool cgfs_has_memory(const struct pctx *c);
bool cgfs_has_pids(const struct pctx *c);
bool cgfs_has_cpu(const struct pctx *c);
bool cgfs_has_cpuset(const struct pctx *c);

struct pseudo_watch *cgfs_watch(const struct pctx *c, void **ret_owner);
void cgfs_unwatch(void *owner);
/* A file that tells changes: .data is the number of its watch. */
#define CG_WATCHED(nr) .watch = cgfs_watch, .unwatch = cgfs_unwatch, .data = (const void *)(uintptr_t)(nr)

int cg_show_mem(struct pctx *c, struct strbuf *b);
int64_t cg_store_mem(struct pctx *c, char *s, size_t n);
int cg_show_mem_current(struct pctx *c, struct strbuf *b);
int cg_show_mem_peak(struct pctx *c, struct strbuf *b);
int cg_show_mem_events(struct pctx *c, struct strbuf *b);
int cg_show_mem_events_local(struct pctx *c, struct strbuf *b);
int cg_show_mem_stat(struct pctx *c, struct strbuf *b);
int cg_show_mem_numa(struct pctx *c, struct strbuf *b);
int cg_show_swap_events(struct pctx *c, struct strbuf *b);
int cg_show_oom_group(struct pctx *c, struct strbuf *b);
int64_t cg_store_oom_group(struct pctx *c, char *s, size_t n);
int64_t cg_store_reclaim(struct pctx *c, char *s, size_t n);
int cg_show_pids(struct pctx *c, struct strbuf *b);
int64_t cg_store_pids_max(struct pctx *c, char *s, size_t n);
int cg_show_cpu(struct pctx *c, struct strbuf *b);
int64_t cg_store_cpu(struct pctx *c, char *s, size_t n);
int cg_show_cpuset(struct pctx *c, struct strbuf *b);
int64_t cg_store_cpuset(struct pctx *c, char *s, size_t n);

#endif
