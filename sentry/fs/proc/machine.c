/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of /proc about the machine as applications see it: time, load, memory, lists of what the kernel has. Linux: fs/proc/{stat,meminfo,...}.c.
 * Locks: tasks_mu to add up processes. Checkpoint: stateless but for the load average, which begins anew.
 */
#include "sentry/fs/proc/machine.h"

#include <string.h>

#include "sentry/fs/chrdev.h"
#include "sentry/fs/locks.h"
#include "sentry/fs/proc/pid_entries.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/clock.h"
#include "sentry/kernel/rusage.h"
#include "sentry/kernel/time_ns.h"

int proc_show_nothing(struct pctx *c, struct strbuf *b)
{
	return 0;
}

/* --- time and load --- */

struct totals {
	int64_t utime, stime, ctxt;
	uint32_t running, tasks;
	int32_t last_pid;
	uint64_t forks;
};

static void add_up(struct pctx *c, struct totals *r)
{
	struct kernel *k = the_kernel;
	struct thread_group *tg;
	struct pid_ns *ns;
	struct tg_usage u;
	struct task *t;

	mutex_lock(&k->tasks_mu);
	/* The dead count on: these sums must never go back. */
	*r = (struct totals){ .utime = k->reaped.utime, .stime = k->reaped.stime, .ctxt = k->reaped.nvcsw + k->reaped.nivcsw, .forks = k->forks };
	list_for_each(tg, &k->groups, all_node) {
		tg_usage_total(tg, &u);
		r->utime += u.utime;
		r->stime += u.stime;
		r->ctxt += u.nvcsw + u.nivcsw;
		list_for_each(t, &tg->tasks, tg_node) {
			r->running += proc_task_state(t) == 'R';
			r->tasks++;
		}
	}
	/* The reader's own namespace, whoever mounted this proc (Linux: loadavg_proc_show()). */
	ns = c->t ? task_pid_ns(c->t) : c->ns;
	if (ns)
		r->last_pid = ns->last;
	mutex_unlock(&k->tasks_mu);
}

static int64_t uptime(void)
{
	return MAX(ktime_mono() - the_kernel->boot_mono, (int64_t)0);
}

int proc_show_uptime(struct pctx *c, struct strbuf *b)
{
	int64_t up = uptime(), idle;
	struct totals s;

	add_up(c, &s);
	idle = MAX(up * (int64_t)the_kernel->cfg.nr_cpus - s.utime - s.stime, (int64_t)0);
	up = MAX(up + task_clock_offset(c->t, LINUX_CLOCK_BOOTTIME), (int64_t)0);
	strbuf_addf(b, "%ld.%02ld %ld.%02ld\n", (long)(up / NSEC_PER_SEC), (long)(up % NSEC_PER_SEC / 10000000), (long)(idle / NSEC_PER_SEC),
		    (long)(idle % NSEC_PER_SEC / 10000000));
	return 0;
}

/* Averages over 1, 5 and 15 minutes, brought up to date when somebody looks: between two looks the load is taken as constant. */
static struct {
	struct mutex mu;
	int64_t last;
	double avg[3];
} load = { .mu = MUTEX_INIT("loadavg.mu") };

/* e to the power of -x, well enough for two decimals. */
static double decay(double x)
{
	double r = 1 - x / 1024;

	if (x > 100)
		return 0;
	for (int n = 0; n < 10; n++)
		r *= r;
	return r;
}

int proc_show_loadavg(struct pctx *c, struct strbuf *b)
{
	static const double span[3] = { 60, 300, 900 };
	int64_t now = ktime_mono();
	struct totals s;
	double avg[3];

	add_up(c, &s);
	mutex_lock(&load.mu);
	if (!load.last)
		load.last = the_kernel->boot_mono;
	for (int n = 0; n < 3; n++) {
		double keep = decay((double)(now - load.last) / 1e9 / span[n]);

		load.avg[n] = load.avg[n] * keep + (s.running > 1 ? s.running - 1 : 0) * (1 - keep);
		avg[n] = load.avg[n];
	}
	load.last = now;
	mutex_unlock(&load.mu);
	strbuf_addf(b, "%.2f %.2f %.2f %u/%u %d\n", avg[0], avg[1], avg[2], s.running, s.tasks, s.last_pid);
	return 0;
}

int proc_show_machine_stat(struct pctx *c, struct strbuf *b)
{
	uint64_t n = the_kernel->cfg.nr_cpus, user, sys, idle;
	int64_t up = uptime();
	struct totals s;

	add_up(c, &s);
	user = proc_ticks(s.utime);
	sys = proc_ticks(s.stime);
	idle = proc_ticks(MAX(up * (int64_t)n - s.utime - s.stime, (int64_t)0));
	strbuf_addf(b, "cpu  %lu 0 %lu %lu 0 0 0 0 0 0\n", user, sys, idle);
	for (uint64_t i = 0; i < n; i++)
		strbuf_addf(b, "cpu%lu %lu 0 %lu %lu 0 0 0 0 0 0\n", i, user / n, sys / n, idle / n);
	strbuf_addf(b, "intr 0\nctxt %ld\nbtime %ld\nprocesses %lu\nprocs_running %u\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n", (long)s.ctxt,
		    (long)((ktime_real() - up - task_clock_offset(c->t, LINUX_CLOCK_BOOTTIME)) / NSEC_PER_SEC), (unsigned long)s.forks, s.running);
	return 0;
}

/* --- memory: memory.c has the rest --- */

int proc_show_swaps(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	return 0;
}

/* --- lists --- */

int proc_show_version(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, RUNSC_OSTYPE " version " RUNSC_OSRELEASE " (runsc@sandbox) (" __VERSION__ ") " RUNSC_VERSION "\n");
	return 0;
}

int proc_show_boot_cmdline(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "\n");
	return 0;
}

int proc_show_filesystems(struct pctx *c, struct strbuf *b)
{
	for (const struct fs_type *ft = fs_type_next(NULL); ft; ft = fs_type_next(ft))
		if (!ft->container_only)
			strbuf_addf(b, "%s\t%s\n", ft->nodev ? "nodev" : "", ft->name);
	return 0;
}

/* The driver whose line comes after that of @after (NULL: the first): several may serve one major under one name. */
static const struct dev_driver *next_line(bool block, const struct dev_driver *after)
{
	const struct dev_driver *best = NULL;

	for (const struct dev_driver *d = dev_next(NULL); d; d = dev_next(d)) {
		if (d->block != block || (after && (d->major < after->major || (d->major == after->major && strcmp(d->name, after->name) <= 0))))
			continue;
		if (!best || d->major < best->major || (d->major == best->major && strcmp(d->name, best->name) < 0))
			best = d;
	}
	return best;
}

int proc_show_devices(struct pctx *c, struct strbuf *b)
{
	for (int block = 0; block < 2; block++) {
		const struct dev_driver *d = NULL;

		strbuf_adds(b, block ? "\nBlock devices:\n" : "Character devices:\n");
		while ((d = next_line(block, d)))
			strbuf_addf(b, "%3u %s\n", d->major, d->name);
	}
	return 0;
}

int proc_show_cgroups(struct pctx *c, struct strbuf *b)
{
	static const char *const names[] = { "cpuset", "cpu", "cpuacct", "memory", "pids" };
	struct container *ct;
	uint32_t groups = 0;

	mutex_lock(&the_kernel->tasks_mu);
	list_for_each(ct, &the_kernel->containers, node)
		groups += ct->cgroup ? 1 + cgroup_descendants(ct->cgroup) : 0;
	mutex_unlock(&the_kernel->tasks_mu);
	strbuf_adds(b, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
	for (size_t n = 0; n < ARRAY_SIZE(names); n++)
		strbuf_addf(b, "%s\t0\t%u\t1\n", names[n], groups);
	return 0;
}

int proc_show_partitions(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "major minor  #blocks  name\n\n");
	return 0;
}

int proc_show_slabinfo(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> "
		       "<batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
	return 0;
}
