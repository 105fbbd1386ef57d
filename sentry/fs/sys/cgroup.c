/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "cgroup2": a unified hierarchy of one group, the reader's container. It shows use and limits; groups cannot be made and processes cannot be
 * moved, as in a container whose cgroup file system is read-only. Linux: kernel/cgroup.
 *
 * Locks: tasks_mu to add up processes. Checkpoint: stateless (sentry/fs/pseudo); the limits are the container's.
 */
#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/kernel/rusage.h"

static struct container *box(const struct pctx *c)
{
	return c->t ? c->t->tg->container : NULL;
}

static int show_controllers(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "cpu memory pids\n");
	return 0;
}

static int show_procs(struct pctx *c, struct strbuf *b)
{
	bool threads = c->node->data != NULL;
	struct thread_group *tg;
	struct task *t;

	mutex_lock(&the_kernel->tasks_mu);
	list_for_each(tg, &the_kernel->groups, all_node) {
		if (tg->container != box(c) || tg->state >= TG_ZOMBIE || !c->t)
			continue;
		if (!threads) {
			strbuf_addf(b, "%d\n", pid_nr(tg->pid, c->t));
			continue;
		}
		list_for_each(t, &tg->tasks, tg_node)
			strbuf_addf(b, "%d\n", pid_nr(t->pid, c->t));
	}
	mutex_unlock(&the_kernel->tasks_mu);
	return 0;
}

static int64_t store_procs(struct pctx *c, char *s, size_t n)
{
	return -EACCES; /* there is no other group to come from */
}

static uint32_t nr_tasks(const struct pctx *c)
{
	uint32_t n = 0;

	mutex_lock(&the_kernel->tasks_mu);
	if (box(c))
		n = container_nr_tasks_locked(box(c));
	mutex_unlock(&the_kernel->tasks_mu);
	return n;
}

static int show_events(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "populated %d\nfrozen 0\n", nr_tasks(c) > 0);
	return 0;
}

static int show_pids_current(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%u\n", nr_tasks(c));
	return 0;
}

static int show_limit(struct strbuf *b, uint64_t limit)
{
	if (limit)
		strbuf_addf(b, "%lu\n", limit);
	else
		strbuf_adds(b, "max\n");
	return 0;
}

static int show_pids_max(struct pctx *c, struct strbuf *b)
{
	return show_limit(b, box(c) ? box(c)->pids_limit : 0);
}

static int show_memory_max(struct pctx *c, struct strbuf *b)
{
	return show_limit(b, box(c) ? box(c)->memory_limit : 0);
}

static int show_none_max(struct pctx *c, struct strbuf *b)
{
	return show_limit(b, 0);
}

static int show_memory_current(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%lu\n", memfile_used(the_kernel->mf));
	return 0;
}

static int show_zero(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "0\n");
	return 0;
}

static int show_text(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, c->node->data);
	return 0;
}
#define TEXT(nm, t) PN_FILE(nm, 0444, show_text, .data = (t))

static int show_memory_stat(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "anon %lu\nfile 0\nkernel 0\nkernel_stack 0\npagetables 0\nsock 0\nshmem 0\nfile_mapped 0\nfile_dirty 0\nfile_writeback 0\n"
		       "swapcached 0\ninactive_anon 0\nactive_anon %lu\ninactive_file 0\nactive_file 0\nunevictable 0\nslab 0\npgfault 0\npgmajfault 0\n",
		    memfile_used(the_kernel->mf), memfile_used(the_kernel->mf));
	return 0;
}

static int show_cpu_stat(struct pctx *c, struct strbuf *b)
{
	uint64_t user = 0, sys = 0;
	struct thread_group *tg;
	struct tg_usage u;

	mutex_lock(&the_kernel->tasks_mu);
	list_for_each(tg, &the_kernel->groups, all_node)
		if (tg->container == box(c)) {
			tg_usage_total(tg, &u);
			user += (uint64_t)(u.utime + tg->children_usage.utime) / 1000;
			sys += (uint64_t)(u.stime + tg->children_usage.stime) / 1000;
		}
	mutex_unlock(&the_kernel->tasks_mu);
	strbuf_addf(b, "usage_usec %lu\nuser_usec %lu\nsystem_usec %lu\nnice_usec 0\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n", user + sys, user, sys);
	return 0;
}

static int show_cpus(struct pctx *c, struct strbuf *b)
{
	size_t n = the_kernel->cfg.nr_cpus;

	strbuf_addf(b, n > 1 ? "0-%zu\n" : "0\n", n - 1);
	return 0;
}

static const struct pnode children[] = {
	PN_FILE("cgroup.controllers", 0444, show_controllers),
	PN_FILE("cgroup.events", 0444, show_events),
	TEXT("cgroup.freeze", "0\n"),
	TEXT("cgroup.max.depth", "max\n"),
	TEXT("cgroup.max.descendants", "max\n"),
	PN_FILE("cgroup.procs", 0644, show_procs, .store = store_procs),
	TEXT("cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"),
	TEXT("cgroup.subtree_control", ""),
	PN_FILE("cgroup.threads", 0644, show_procs, .store = store_procs, .data = ""),
	TEXT("cgroup.type", "domain\n"),
	TEXT("cpu.max", "max 100000\n"),
	PN_FILE("cpu.stat", 0444, show_cpu_stat),
	TEXT("cpu.weight", "100\n"),
	PN_FILE("cpuset.cpus.effective", 0444, show_cpus),
	TEXT("cpuset.mems.effective", "0\n"),
	PN_FILE("memory.current", 0444, show_memory_current),
	TEXT("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"),
	PN_FILE("memory.high", 0444, show_none_max),
	TEXT("memory.low", "0\n"),
	PN_FILE("memory.max", 0444, show_memory_max),
	TEXT("memory.min", "0\n"),
	PN_FILE("memory.stat", 0444, show_memory_stat),
	PN_FILE("memory.swap.current", 0444, show_zero),
	TEXT("memory.swap.max", "0\n"),
	PN_FILE("pids.current", 0444, show_pids_current),
	TEXT("pids.events", "max 0\n"),
	PN_FILE("pids.max", 0444, show_pids_max),
	{ 0 },
};
static const struct pnode root = PN_DIR("/", 0555, children);

static const struct pseudo_fs cgroup_fs = { .name = "cgroup2", .magic = LINUX_CGROUP2_MAGIC, .root = &root };
PSEUDO_FS_REGISTER(cgroup_fs)

/* Delegation and accounting options ask for nothing here. */
static int cgroup_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	return pseudo_mount(ft, &cgroup_fs, NULL, ret);
}

static int cgroup_check(const char *option)
{
	return mount_option_known("nsdelegate,favordynmods,memory_localevents,memory_recursiveprot", option);
}

static const struct fs_type cgroup_type = { .name = "cgroup2", .mount = cgroup_mount, .check = cgroup_check, .nodev = true };
FS_TYPE_REGISTER(cgroup_type)
