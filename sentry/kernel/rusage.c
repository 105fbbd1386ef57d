/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource usage and CPU clocks.
 *
 * User time is the CPU time of the task's stub as the platform tells it, system time that of its Sentry thread; times of an earlier life
 * (before a restore, or of a context that was given back) are kept in task.utime and task.stime.
 *
 * Locks: tasks_mu to look at other tasks (a listed task that is not a zombie has a live thread); alloc_mu around pctx.
 * Linux: kernel/sys.c, kernel/sched/cputime.c. DEVIATION: "system" time includes what the platform costs.
 */
#include "sentry/kernel/rusage.h"

#include <string.h>
#include <time.h>

#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"

#define USEC_NS	       1000
#define RUSAGE_SELF    0
#define RUSAGE_CHILD   (-1)
#define RUSAGE_BOTH    (-2)
#define RUSAGE_THREAD  1

struct linux_rusage {
	struct linux_timeval utime, stime;
	int64_t maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv, nsignals, nvcsw, nivcsw;
};

static int64_t thread_cpu(struct task *t)
{
	struct timespec ts = { 0 };
	clockid_t clk = CLOCK_THREAD_CPUTIME_ID;

	/* A zombie's thread is gone, and its time has been added up. */
	if (t != current_task && (t->is_zombie || !t->thread || pthread_getcpuclockid(t->thread, &clk) != 0))
		return 0;
	if (clock_gettime(clk, &ts) < 0)
		return 0;
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

void task_cpu_times(struct task *t, int64_t *utime, int64_t *stime)
{
	const struct platform_ops *p = t->k->pops;
	int64_t ns = 0;

	mutex_lock(&t->alloc_mu);
	if (!t->pctx || !p->cpu_time || p->cpu_time(t->pctx, &ns) < 0)
		ns = 0;
	*utime = t->utime + ns;
	mutex_unlock(&t->alloc_mu);
	*stime = t->stime + thread_cpu(t);
}

struct plat_ctx *task_take_ctx(struct task *t)
{
	const struct platform_ops *p = t->k->pops;
	struct plat_ctx *c;
	int64_t ns;

	mutex_lock(&t->alloc_mu);
	c = t->pctx;
	if (c && p->cpu_time && p->cpu_time(c, &ns) == 0)
		t->utime += ns;
	mutex_lock(&t->park_mu); /* an interrupt may be on its way, see task_set_work() */
	t->pctx = NULL;
	mutex_unlock(&t->park_mu);
	mutex_unlock(&t->alloc_mu);
	return c;
}

static void add_task(struct tg_usage *u, struct task *t)
{
	int64_t ut, st;

	task_cpu_times(t, &ut, &st);
	u->utime += ut;
	u->stime += st;
	u->minflt += t->minflt;
	u->majflt += t->majflt;
	u->nvcsw += t->nvcsw;
	u->nivcsw += t->nivcsw;
	u->rchar += t->rchar;
	u->wchar += t->wchar;
	u->syscr += t->syscr;
	u->syscw += t->syscw;
}

/* The peak is kept up to date by faults. Counting what is resident asks the host about every page: a JVM with 300 MB spent its time in that,
 * since its collector calls getrusage() every few milliseconds. */
static void add_maxrss(struct tg_usage *u, struct task *t)
{
	struct mm *mm = task_mm_get(t);
	uint64_t peak;

	if (!mm)
		return;
	peak = mm_rss_peak(mm);
	if (!peak) { /* reset by clear_refs: the next look counts anew */
		struct mm_usage mu;

		mm_usage(mm, &mu);
		peak = MAX(mu.rss_peak, mu.rss);
	}
	u->maxrss_kb = MAX(u->maxrss_kb, t->maxrss_kb);
	u->maxrss_kb = MAX(u->maxrss_kb, (int64_t)(peak / 1024));
	mm_put(mm);
}

void tg_usage_total(struct thread_group *tg, struct tg_usage *ret)
{
	struct task *t;

	mutex_assert_held(&tg->k->tasks_mu);
	mutex_lock(&tg->limits_mu);
	*ret = tg->self;
	mutex_unlock(&tg->limits_mu);
	list_for_each(t, &tg->tasks, tg_node)
		if (!t->is_zombie)
			add_task(ret, t);
}

static struct linux_timeval to_timeval(int64_t ns)
{
	return (struct linux_timeval){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / USEC_NS };
}

int copy_out_rusage(struct task *t, gaddr_t dst, const struct tg_usage *u)
{
	struct linux_rusage r = {
		.utime = to_timeval(u->utime),
		.stime = to_timeval(u->stime),
		.maxrss = u->maxrss_kb,
		.minflt = u->minflt,
		.majflt = u->majflt,
		.inblock = u->inblock,
		.oublock = u->oublock,
		.nvcsw = u->nvcsw,
		.nivcsw = u->nivcsw,
	};

	return copy_out(t, dst, &r, sizeof(r));
}

void usage_add(struct tg_usage *u, const struct tg_usage *o)
{
	u->utime += o->utime;
	u->stime += o->stime;
	u->minflt += o->minflt;
	u->majflt += o->majflt;
	u->inblock += o->inblock;
	u->oublock += o->oublock;
	u->nvcsw += o->nvcsw;
	u->nivcsw += o->nivcsw;
	u->rchar += o->rchar;
	u->wchar += o->wchar;
	u->syscr += o->syscr;
	u->syscw += o->syscw;
	u->maxrss_kb = MAX(u->maxrss_kb, o->maxrss_kb);
}

int64_t sys_getrusage(struct task *t, const struct sys_args *a)
{
	int who = ARG_INT(a, 0);
	struct tg_usage u = { 0 };

	if (who != RUSAGE_SELF && who != RUSAGE_CHILD && who != RUSAGE_BOTH && who != RUSAGE_THREAD)
		return -EINVAL;
	mutex_lock(&t->k->tasks_mu);
	if (who == RUSAGE_THREAD)
		add_task(&u, t);
	else if (who != RUSAGE_CHILD)
		tg_usage_total(t->tg, &u);
	if (who == RUSAGE_CHILD || who == RUSAGE_BOTH)
		usage_add(&u, &t->tg->children_usage);
	mutex_unlock(&t->k->tasks_mu);
	if (who != RUSAGE_CHILD)
		add_maxrss(&u, t);
	return copy_out_rusage(t, ARG_ADDR(a, 1), &u);
}

#define TICK_NS 10000000 /* USER_HZ is 100 */

int64_t sys_times(struct task *t, const struct sys_args *a)
{
	struct tg_usage u, c;
	int64_t v[4];
	int r;

	mutex_lock(&t->k->tasks_mu);
	tg_usage_total(t->tg, &u);
	c = t->tg->children_usage;
	mutex_unlock(&t->k->tasks_mu);
	v[0] = u.utime / TICK_NS;
	v[1] = u.stime / TICK_NS;
	v[2] = c.utime / TICK_NS;
	v[3] = c.stime / TICK_NS;
	if (a->a[0]) {
		r = copy_out(t, ARG_ADDR(a, 0), v, sizeof(v));
		if (r < 0)
			return r;
	}
	return ktime_mono() / TICK_NS;
}
