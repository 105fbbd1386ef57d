/* SPDX-License-Identifier: Apache-2.0 */
/* The small files of /proc/pid. Linux: fs/proc/base.c. Checkpoint: stateless; what is written goes to the task. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/rlimit.h"
#include "sentry/fs/proc/pid_entries.h"
#include "sentry/fs/proc/proc_internal.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/wchan.h"
#include "sentry/syscalls/syscalls.h"

int proc_show_comm(struct pctx *c, struct strbuf *b)
{
	char comm[16];

	mutex_lock(&the_kernel->tasks_mu);
	memcpy(comm, c->target->comm, sizeof(comm));
	mutex_unlock(&the_kernel->tasks_mu);
	comm[15] = '\0';
	strbuf_addf(b, "%s\n", comm);
	return 0;
}

int64_t proc_store_comm(struct pctx *c, char *s, size_t n)
{
	if (!c->t || c->t->tg != c->target->tg)
		return -EINVAL;
	mutex_lock(&the_kernel->tasks_mu);
	(void)snprintf(c->target->comm, sizeof(c->target->comm), "%s", s);
	mutex_unlock(&the_kernel->tasks_mu);
	return (int64_t)n;
}

int proc_show_limits(struct pctx *c, struct strbuf *b)
{
	static const struct {
		int res;
		const char *name, *unit;
	} rows[] = {
		{ LINUX_RLIMIT_CPU, "Max cpu time", "seconds" },
		{ LINUX_RLIMIT_FSIZE, "Max file size", "bytes" },
		{ LINUX_RLIMIT_DATA, "Max data size", "bytes" },
		{ LINUX_RLIMIT_STACK, "Max stack size", "bytes" },
		{ LINUX_RLIMIT_CORE, "Max core file size", "bytes" },
		{ LINUX_RLIMIT_RSS, "Max resident set", "bytes" },
		{ LINUX_RLIMIT_NPROC, "Max processes", "processes" },
		{ LINUX_RLIMIT_NOFILE, "Max open files", "files" },
		{ LINUX_RLIMIT_MEMLOCK, "Max locked memory", "bytes" },
		{ LINUX_RLIMIT_AS, "Max address space", "bytes" },
		{ LINUX_RLIMIT_LOCKS, "Max file locks", "locks" },
		{ LINUX_RLIMIT_SIGPENDING, "Max pending signals", "signals" },
		{ LINUX_RLIMIT_MSGQUEUE, "Max msgqueue size", "bytes" },
		{ LINUX_RLIMIT_NICE, "Max nice priority", "" },
		{ LINUX_RLIMIT_RTPRIO, "Max realtime priority", "" },
		{ LINUX_RLIMIT_RTTIME, "Max realtime timeout", "us" },
	};
	struct linux_rlimit64 l[LINUX_RLIM_NLIMITS];

	mutex_lock(&c->target->tg->limits_mu);
	memcpy(l, c->target->tg->rlim, sizeof(l));
	mutex_unlock(&c->target->tg->limits_mu);
	strbuf_addf(b, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (size_t n = 0; n < ARRAY_SIZE(rows); n++) {
		char soft[24] = "unlimited", hard[24] = "unlimited";
		const struct linux_rlimit64 *r = &l[rows[n].res];

		if (r->cur != LINUX_RLIM_INFINITY)
			(void)snprintf(soft, sizeof(soft), "%lu", r->cur);
		if (r->max != LINUX_RLIM_INFINITY)
			(void)snprintf(hard, sizeof(hard), "%lu", r->max);
		strbuf_addf(b, "%-25s %-20s %-20s ", rows[n].name, soft, hard);
		strbuf_addf(b, *rows[n].unit ? "%-10s\n" : "%s\n", rows[n].unit);
	}
	return 0;
}

/* --- out of memory --- */

int proc_show_oom_score(struct pctx *c, struct strbuf *b)
{
	struct mm *mm = task_mm_get(c->target);
	int64_t total = (int64_t)(the_kernel->cfg.total_memory / PAGE_SIZE), points = 0;
	struct mm_usage u;

	if (mm) {
		mm_usage(mm, &u);
		points = (int64_t)(u.rss / PAGE_SIZE);
		mm_put(mm);
	}
	points = total ? (points * 1000 / total + c->target->tg->oom_score_adj + 1000) * 2 / 3 : 0;
	strbuf_addf(b, "%ld\n", (long)MAX(points, (int64_t)0));
	return 0;
}

int proc_show_oom_score_adj(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%d\n", c->target->tg->oom_score_adj);
	return 0;
}

static int64_t set_oom(struct pctx *c, int64_t v, size_t n)
{
	if (v < c->target->tg->oom_score_adj && c->t && !task_capable(c->t, LINUX_CAP_SYS_RESOURCE))
		return -EACCES;
	mutex_lock(&c->target->tg->limits_mu);
	c->target->tg->oom_score_adj = (int32_t)v;
	mutex_unlock(&c->target->tg->limits_mu);
	return (int64_t)n;
}

int64_t proc_store_oom_score_adj(struct pctx *c, char *s, size_t n)
{
	int64_t v;

	if (pseudo_parse_i64(s, &v) < 0 || v < -1000 || v > 1000)
		return -EINVAL;
	return set_oom(c, v, n);
}

int proc_show_oom_adj(struct pctx *c, struct strbuf *b)
{
	int adj = c->target->tg->oom_score_adj;

	strbuf_addf(b, "%d\n", adj == 1000 ? 15 : adj * 17 / 1000);
	return 0;
}

int64_t proc_store_oom_adj(struct pctx *c, char *s, size_t n)
{
	int64_t v;

	if (pseudo_parse_i64(s, &v) < 0 || v < -17 || v > 15)
		return -EINVAL;
	return set_oom(c, v == 15 ? 1000 : v * 1000 / 17, n);
}

/* --- ids and groups that are the same for everybody here --- */

int proc_show_loginuid(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "4294967295");
	return 0;
}

int proc_show_sessionid(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "4294967295");
	return 0;
}

int proc_show_cgroup(struct pctx *c, struct strbuf *b)
{
	const struct cgroup *root;

	strbuf_adds(b, "0::");
	mutex_lock(&the_kernel->tasks_mu);
	root = cgroup_root_of(c->t ? c->t : c->target);
	if (c->target->cgroup)
		cgroup_path(c->target->cgroup, root, b);
	else
		strbuf_addc(b, '/');
	mutex_unlock(&the_kernel->tasks_mu);
	strbuf_addc(b, '\n');
	return 0;
}

int proc_show_cpuset(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "/\n");
	return 0;
}


int proc_show_personality(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%08x\n", c->target->personality);
	return 0;
}

/* --- what it waits for --- */

int proc_show_wchan(struct pctx *c, struct strbuf *b)
{
	const char *in = c->target->is_zombie ? NULL : task_wchan(c->target);

	strbuf_adds(b, in ? in : "0");
	return 0;
}

int proc_show_stack(struct pctx *c, struct strbuf *b)
{
	return c->t && !task_capable(c->t, LINUX_CAP_SYS_ADMIN) ? -EACCES : 0; /* nothing of the Sentry's own stack is shown */
}

int proc_show_syscall(struct pctx *c, struct strbuf *b)
{
	const struct task *t = c->target;

	/* What a running task is at is only known to itself: it is in the call that reads this. */
	if (t != c->t && proc_task_state(t) != 'S') {
		strbuf_adds(b, "running\n");
		return 0;
	}
	strbuf_addf(b, "%ld 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x0 0x0\n", (long)t->sysctx.nr, t->sysctx.args[0], t->sysctx.args[1], t->sysctx.args[2],
		    t->sysctx.args[3], t->sysctx.args[4], t->sysctx.args[5]);
	return 0;
}

/* No core dumps are written, so that the filter has Linux's default and cannot be changed. */
int proc_show_coredump_filter(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "00000033\n");
	return 0;
}

int64_t proc_store_coredump_filter(struct pctx *c, char *s, size_t n)
{
	uint64_t v;

	if (pseudo_parse_u64(s, &v) < 0)
		return -EINVAL;
	return v == 0x33 ? (int64_t)n : -EPERM;
}

int proc_show_children(struct pctx *c, struct strbuf *b)
{
	struct thread_group *child;

	mutex_lock(&the_kernel->tasks_mu);
	list_for_each(child, &c->target->tg->children, child_node) {
		int32_t nr = proc_nr(c, child->pid);

		if (nr && (child->parent_task == c->target || (!child->parent_task && c->target == c->target->tg->leader)))
			strbuf_addf(b, "%d ", nr);
	}
	mutex_unlock(&the_kernel->tasks_mu);
	return 0;
}

int proc_show_timerslack(struct pctx *c, struct strbuf *b)
{
	strbuf_addf(b, "%lu\n", c->target->timer_slack);
	return 0;
}

int64_t proc_store_timerslack(struct pctx *c, char *s, size_t n)
{
	uint64_t v;

	if (pseudo_parse_u64(s, &v) < 0)
		return -EINVAL;
	c->target->timer_slack = v ? v : 50000;
	return (int64_t)n;
}

/* --- attr/ --- */

static int show_attr(struct pctx *c, struct strbuf *b)
{
	return -EINVAL; /* no security module gives labels */
}

const struct pnode proc_attr_children[] = {
	PN_FILE("current", 0666, show_attr, .flags = PN_PROC),
	PN_FILE("prev", 0444, show_attr, .flags = PN_PROC),
	PN_FILE("exec", 0666, show_attr, .flags = PN_PROC),
	PN_FILE("fscreate", 0666, show_attr, .flags = PN_PROC),
	PN_FILE("keycreate", 0666, show_attr, .flags = PN_PROC),
	PN_FILE("sockcreate", 0666, show_attr, .flags = PN_PROC),
	{ 0 },
};
