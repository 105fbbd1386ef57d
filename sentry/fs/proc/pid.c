/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/pid and /proc/pid/task/tid: which entries there are, and how processes are found. Linux: fs/proc/base.c.
 *
 * Locks: look-ups take tasks_mu. Checkpoint: stateless.
 */
#include <stdio.h>
#include <string.h>

#include "sentry/fs/proc/machine.h"
#include "sentry/fs/proc/pid_entries.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/fs/pseudo/pseudo_internal.h"
#include "sentry/kernel/pid.h"

/* --- finding them --- */

/* hidepid= of the instance: may the asking process know that @t exists? */
static bool visible(const struct pctx *c, struct task *t)
{
	if (c->ps->hidepid < 2 || !c->t || c->t->tg == t->tg)
		return true;
	if (cred_in_group(c->t->cred, c->ps->gid))
		return true;
	return task_ptrace_may_access(c->t, t, false) == 0;
}

static int pid_lookup(const struct pctx *dir, const char *name, uint64_t *ret_id, struct pid **ret_pid, bool *ret_thread)
{
	struct task *t = NULL;
	struct pid *p;
	uint64_t nr;
	int err = -ENOENT;

	if (!dir->ns || !pseudo_name_number(name, 1 << 22, &nr))
		return -ENOENT;
	mutex_lock(&the_kernel->tasks_mu);
	p = pid_find_locked(dir->ns, (int32_t)nr);
	if (p && ((p->tg && p->tg->state != TG_REAPED) || p->task)) {
		*ret_thread = !p->tg;
		*ret_pid = pid_get(p);
		t = task_get(p->tg ? p->tg->leader : p->task);
		err = 0;
	}
	mutex_unlock(&the_kernel->tasks_mu);
	if (t && !visible(dir, t)) {
		pid_put(TAKE_PTR(*ret_pid));
		err = -ENOENT;
	}
	if (t)
		task_put(t);
	*ret_id = nr;
	return err;
}

static struct task *next_group(const struct pctx *dir, uint64_t *id)
{
	struct thread_group *tg;
	struct task *best = NULL;
	int32_t best_nr = INT32_MAX;

	mutex_lock(&the_kernel->tasks_mu);
	list_for_each(tg, &the_kernel->groups, all_node) {
		int32_t nr = pid_nr_ns(tg->pid, dir->ns);

		if (nr && (uint64_t)nr >= *id && nr < best_nr && tg->state != TG_REAPED) {
			best = tg->leader;
			best_nr = nr;
		}
	}
	if (best) {
		(void)task_get(best);
		*id = (uint64_t)best_nr;
	}
	mutex_unlock(&the_kernel->tasks_mu);
	return best;
}

static bool pid_next(const struct pctx *dir, uint64_t *id, char *ret_name)
{
	struct task *t;
	bool ok = false;

	while (dir->ns && !ok) {
		t = next_group(dir, id);
		if (!t)
			return false;
		ok = visible(dir, t);
		task_put(t);
		if (!ok)
			(*id)++;
	}
	(void)snprintf(ret_name, 32, "%lu", *id);
	return ok;
}

static int task_lookup(const struct pctx *dir, const char *name, uint64_t *ret_id, struct pid **ret_pid, bool *ret_thread)
{
	struct pid *p;
	uint64_t nr;
	int err = -ENOENT;

	if (!dir->ns || !pseudo_name_number(name, 1 << 22, &nr))
		return -ENOENT;
	mutex_lock(&the_kernel->tasks_mu);
	p = pid_find_locked(dir->ns, (int32_t)nr);
	if (p && p->task && p->task->tg == dir->target->tg) {
		*ret_pid = pid_get(p);
		*ret_thread = true;
		err = 0;
	}
	mutex_unlock(&the_kernel->tasks_mu);
	*ret_id = nr;
	return err;
}

static bool task_next(const struct pctx *dir, uint64_t *id, char *ret_name)
{
	int32_t best = INT32_MAX;
	struct task *t;

	mutex_lock(&the_kernel->tasks_mu);
	list_for_each(t, &dir->target->tg->tasks, tg_node) {
		int32_t nr = dir->ns ? pid_nr_ns(t->pid, dir->ns) : 0;

		if (nr && (uint64_t)nr >= *id && nr < best)
			best = nr;
	}
	mutex_unlock(&the_kernel->tasks_mu);
	if (best == INT32_MAX)
		return false;
	*id = (uint64_t)best;
	(void)snprintf(ret_name, 32, "%d", best);
	return true;
}

/* --- the entries --- */

#define P PN_PROC
#define MAGIC(nm, how) { .name = #nm, .mode = LINUX_S_IFLNK | 0777, .flags = P | PN_PTRACE, .readlink = proc_readlink_##how, .get_link = proc_link_##how }

/* Those of processes and of threads alike. */
#define COMMON_ENTRIES                                                                                                                    \
	PN_DIR("fd", 0500, NULL, .flags = P | PN_SELF, .dyn = &proc_fd_dyn),                                                              \
	PN_DIR("fdinfo", 0555, NULL, .flags = P | PN_SELF, .dyn = &proc_fdinfo_dyn),                                                      \
	PN_DIR("ns", 0511, proc_ns_children, .flags = P), PN_DIR("net", 0555, proc_net_children, .flags = P),                             \
	PN_DIR("attr", 0555, proc_attr_children, .flags = P),                                                                             \
	PN_FILE("environ", 0400, proc_show_environ, .flags = P | PN_PTRACE), PN_FILE("auxv", 0400, proc_show_auxv, .flags = P | PN_PTRACE), \
	PN_FILE("status", 0444, proc_show_status, .flags = P), PN_FILE("personality", 0400, proc_show_personality, .flags = P | PN_ATTACH), \
	PN_FILE("arch_status", 0444, proc_show_arch_status, .flags = P),                                                                   \
	PN_FILE("limits", 0444, proc_show_limits, .flags = P), PN_FILE("sched", 0644, proc_show_sched, .flags = P),                       \
	PN_FILE("comm", 0644, proc_show_comm, .flags = P, .store = proc_store_comm),                                                      \
	PN_FILE("syscall", 0400, proc_show_syscall, .flags = P | PN_ATTACH), PN_FILE("cmdline", 0444, proc_show_cmdline, .flags = P),     \
	PN_FILE("stat", 0444, proc_show_stat, .flags = P), PN_FILE("statm", 0444, proc_show_statm, .flags = P),                           \
	PN_FILE("maps", 0444, proc_show_maps, .flags = P | PN_PTRACE),                                                                    \
	PN_FILE("numa_maps", 0444, proc_show_numa_maps, .flags = P | PN_PTRACE),                                                                    \
	PN_FILE("clear_refs", 0200, NULL, .flags = P | PN_ATTACH, .store = proc_store_clear_refs),                                        \
	{ .name = "pagemap", .mode = LINUX_S_IFREG | 0400, .flags = P | PN_PTRACE, .open = proc_open_pagemap },                           \
	{ .name = "mem", .mode = LINUX_S_IFREG | 0600, .flags = P | PN_ATTACH, .open = proc_open_mem },                                   \
	MAGIC(cwd, cwd), MAGIC(root, root), MAGIC(exe, exe),                                                                              \
	PN_FILE("mounts", 0444, proc_show_mounts, .flags = P | PN_MOUNTS), PN_FILE("mountinfo", 0444, proc_show_mountinfo, .flags = P | PN_MOUNTS), \
	PN_FILE("smaps", 0444, proc_show_smaps, .flags = P | PN_PTRACE),                                                                  \
	PN_FILE("smaps_rollup", 0444, proc_show_smaps_rollup, .flags = P | PN_PTRACE),                                                    \
	PN_FILE("wchan", 0444, proc_show_wchan, .flags = P), PN_FILE("stack", 0400, proc_show_stack, .flags = P | PN_ATTACH),             \
	PN_FILE("schedstat", 0444, proc_show_schedstat, .flags = P), PN_FILE("cpuset", 0444, proc_show_cpuset, .flags = P),               \
	PN_FILE("cgroup", 0444, proc_show_cgroup, .flags = P), PN_FILE("oom_score", 0444, proc_show_oom_score, .flags = P),               \
	PN_FILE("oom_adj", 0644, proc_show_oom_adj, .flags = P, .store = proc_store_oom_adj),                                             \
	PN_FILE("oom_score_adj", 0644, proc_show_oom_score_adj, .flags = P, .store = proc_store_oom_score_adj),                           \
	PN_FILE("loginuid", 0644, proc_show_loginuid, .flags = P), PN_FILE("sessionid", 0444, proc_show_sessionid, .flags = P),           \
	PN_FILE("io", 0400, proc_show_io, .flags = P | PN_PTRACE), PN_FILE("uid_map", 0644, proc_show_id_map, .flags = P, .store = proc_store_id_map, .data = &proc_id_kinds[ID_UID]),              \
	PN_FILE("gid_map", 0644, proc_show_id_map, .flags = P, .store = proc_store_id_map, .data = &proc_id_kinds[ID_GID]),                 \
	PN_FILE("projid_map", 0644, proc_show_id_map, .flags = P, .store = proc_store_id_map, .data = &proc_id_kinds[ID_PROJID]),            \
	PN_FILE("setgroups", 0644, proc_show_setgroups, .flags = P, .store = proc_store_setgroups)

static const struct pnode thread_children[] = {
	COMMON_ENTRIES,
	PN_FILE("children", 0444, proc_show_children, .flags = P),
	{ 0 },
};
const struct pnode proc_task_node = PN_DIR("task*", 0555, thread_children, .flags = P);
static const struct pdyn task_dyn = { .node = &proc_task_node, .lookup = task_lookup, .next = task_next };

static const struct pnode pid_children[] = {
	PN_DIR("task", 0555, NULL, .flags = P, .dyn = &task_dyn),
	COMMON_ENTRIES,
	PN_FILE("autogroup", 0644, proc_show_autogroup, .flags = P, .store = proc_store_autogroup),
	PN_DIR("map_files", 0500, NULL, .flags = P | PN_PTRACE, .dyn = &proc_map_files_dyn),
	PN_FILE("mountstats", 0400, proc_show_mountstats, .flags = P),
	PN_FILE("timens_offsets", 0644, proc_show_timens_offsets, .flags = P, .store = proc_store_timens_offsets),
	PN_FILE("coredump_filter", 0644, proc_show_coredump_filter, .flags = P, .store = proc_store_coredump_filter),
	PN_FILE("timerslack_ns", 0666, proc_show_timerslack, .flags = P | PN_ATTACH, .store = proc_store_timerslack),
	{ 0 },
};
const struct pnode proc_pid_node = PN_DIR("pid*", 0555, pid_children, .flags = P);
const struct pdyn proc_pid_dyn = { .node = &proc_pid_node, .lookup = pid_lookup, .next = pid_next };

struct pid *proc_dir_pid(const struct file *f)
{
	struct pseudo_inode *pi;

	if (!f->inode || !pseudo_of(f->inode->sb))
		return NULL;
	pi = pseudo_i(f->inode);
	return pi->node == &proc_pid_node && pi->pid ? pid_get(pi->pid) : NULL;
}
