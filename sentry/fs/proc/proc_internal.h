/* SPDX-License-Identifier: Apache-2.0 */
/* Tables and helpers shared by the files of this directory. */
#ifndef SENTRY_FS_PROC_INTERNAL_H
#define SENTRY_FS_PROC_INTERNAL_H

#include "sentry/fs/pseudo/pseudo.h"

extern const struct pnode proc_pid_node, proc_task_node; /* directories of processes and threads */
extern const struct pdyn proc_pid_dyn;
extern const struct pnode proc_sys_children[]; /* /proc/sys */
extern const struct pnode proc_net_children[]; /* /proc/pid/net */

/* The number of a process as this instance of proc shows it. */
static inline int32_t proc_nr(const struct pctx *c, const struct pid *p)
{
	return p && c->ns ? pid_nr_ns(p, c->ns) : 0;
}

/* Of other files. */
int proc_self_link(struct pctx *c, char **ret);

/* Clock ticks of /proc: 100 a second. */
static inline uint64_t proc_ticks(int64_t ns)
{
	return ns > 0 ? (uint64_t)ns / 10000000 : 0;
}

#endif
