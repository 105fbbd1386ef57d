/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of /proc/pid, each named for its file; the table is in pid.c. */
#ifndef SENTRY_FS_PROC_PID_ENTRIES_H
#define SENTRY_FS_PROC_PID_ENTRIES_H

#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/kernel/user_ns.h"

/* pid_status.c */
int proc_show_stat(struct pctx *c, struct strbuf *b);
int proc_show_status(struct pctx *c, struct strbuf *b);
int proc_show_statm(struct pctx *c, struct strbuf *b);
int proc_show_sched(struct pctx *c, struct strbuf *b);
int proc_show_schedstat(struct pctx *c, struct strbuf *b);
int proc_show_io(struct pctx *c, struct strbuf *b);
char proc_task_state(const struct task *t);
void proc_cpu_list(struct strbuf *b, uint64_t mask);
/* pid_mem.c */
int proc_show_cmdline(struct pctx *c, struct strbuf *b);
int proc_show_environ(struct pctx *c, struct strbuf *b);
int proc_show_auxv(struct pctx *c, struct strbuf *b);
int proc_show_maps(struct pctx *c, struct strbuf *b);
int proc_show_smaps(struct pctx *c, struct strbuf *b);
int proc_show_smaps_rollup(struct pctx *c, struct strbuf *b);
int proc_open_mem(struct pctx *c, struct inode *i, const struct path *p, uint32_t flags, struct file **ret);
int proc_open_pagemap(struct pctx *c, struct inode *i, const struct path *p, uint32_t flags, struct file **ret);
/* pid_pages.c */
int proc_show_numa_maps(struct pctx *c, struct strbuf *b);
int64_t proc_store_clear_refs(struct pctx *c, char *s, size_t n);
extern const struct pdyn proc_map_files_dyn;
/* pid_fd.c */
/* How the one who asks would name the file: a path, or what descriptors without one show. malloc'd. */
int proc_file_text(struct pctx *c, struct file *f, char **ret);
extern const struct pdyn proc_fd_dyn, proc_fdinfo_dyn;
int proc_readlink_cwd(struct pctx *c, char **ret);
int proc_link_cwd(struct pctx *c, struct path *ret);
int proc_readlink_root(struct pctx *c, char **ret);
int proc_link_root(struct pctx *c, struct path *ret);
int proc_readlink_exe(struct pctx *c, char **ret);
int proc_link_exe(struct pctx *c, struct path *ret);
int proc_show_mounts(struct pctx *c, struct strbuf *b);
int proc_show_mountinfo(struct pctx *c, struct strbuf *b);
int proc_show_mountstats(struct pctx *c, struct strbuf *b);
/* nsfs.c */
int proc_readlink_ns(struct pctx *c, char **ret);
int proc_link_ns(struct pctx *c, struct path *ret);
extern const struct pnode proc_ns_children[];
/* pid_misc.c */
extern const struct pnode proc_attr_children[];
int proc_show_comm(struct pctx *c, struct strbuf *b);
int64_t proc_store_comm(struct pctx *c, char *s, size_t n);
int proc_show_limits(struct pctx *c, struct strbuf *b);
int proc_show_oom_score(struct pctx *c, struct strbuf *b);
int proc_show_oom_score_adj(struct pctx *c, struct strbuf *b);
int64_t proc_store_oom_score_adj(struct pctx *c, char *s, size_t n);
int proc_show_oom_adj(struct pctx *c, struct strbuf *b);
int64_t proc_store_oom_adj(struct pctx *c, char *s, size_t n);
int proc_show_loginuid(struct pctx *c, struct strbuf *b);
int proc_show_sessionid(struct pctx *c, struct strbuf *b);
int proc_show_cgroup(struct pctx *c, struct strbuf *b);
int proc_show_cpuset(struct pctx *c, struct strbuf *b);
int proc_show_personality(struct pctx *c, struct strbuf *b);
int proc_show_wchan(struct pctx *c, struct strbuf *b);
int proc_show_stack(struct pctx *c, struct strbuf *b);
int proc_show_syscall(struct pctx *c, struct strbuf *b);
/* pid_userns.c */
int proc_show_setgroups(struct pctx *c, struct strbuf *b);
int64_t proc_store_setgroups(struct pctx *c, char *s, size_t n);
int proc_show_id_map(struct pctx *c, struct strbuf *b);
int64_t proc_store_id_map(struct pctx *c, char *s, size_t n);
int proc_show_timens_offsets(struct pctx *c, struct strbuf *b);
int64_t proc_store_timens_offsets(struct pctx *c, char *s, size_t n);
extern const enum id_kind proc_id_kinds[];
int proc_show_coredump_filter(struct pctx *c, struct strbuf *b);
int64_t proc_store_coredump_filter(struct pctx *c, char *s, size_t n);
int proc_show_children(struct pctx *c, struct strbuf *b);
int proc_show_timerslack(struct pctx *c, struct strbuf *b);
int64_t proc_store_timerslack(struct pctx *c, char *s, size_t n);

#endif
