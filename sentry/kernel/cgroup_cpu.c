/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time of control groups: what they used, cpu.max, cpuset. See cgroup.h.
 *
 * A task's time belongs to the group it was in when it used it: task.cg_user and cg_system are its clocks when it came. cpu.max is enforced by looking: a timer
 * measures each group that has a quota a few times per period; a group that has used it up stands still (WORK_CGROUP, like a freeze) until the time it took too much
 * is paid back by later periods. Linux does it by the runqueue, to the slice; here a group may run over by a tick, and pays for it.
 *
 * Locks: tasks_mu; timer callbacks take it.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/rusage.h"

struct cg_bandwidth {
	struct ktimer timer;
	struct cgroup *cg; /* referenced */
	bool over; /* the group has let go of it: the timer's next run frees it */
	int64_t period_start, next_period; /* guest monotonic */
	int64_t used_at_start; /* ns of the subtree when the period began */
	int64_t debt; /* ns used beyond quotas of past periods */
	bool throttled;
	int64_t throttled_since;
};

void cgroup_cpu_settle(struct task *t)
{
	int64_t u, s;

	task_cpu_times(t, &u, &s);
	t->cgroup->cpu_user += u - t->cg_user;
	t->cgroup->cpu_system += s - t->cg_system;
	t->cg_user = u;
	t->cg_system = s;
}

void cgroup_cpu_usage(const struct cgroup *cg, int64_t *ret_user, int64_t *ret_system)
{
	struct cgroup *top = (struct cgroup *)(uintptr_t)cg, *at = NULL;
	struct thread_group *tg;
	struct task *t;
	int64_t user = 0, sys = 0;

	while ((at = cgroup_next(at, top))) {
		user += at->cpu_user;
		sys += at->cpu_system;
	}
	list_for_each(tg, &the_kernel->groups, all_node)
		list_for_each(t, &tg->tasks, tg_node) {
			int64_t u, s;

			if (t->is_zombie || !t->cgroup || !cgroup_below(t->cgroup, cg))
				continue;
			task_cpu_times(t, &u, &s);
			user += u - t->cg_user;
			sys += s - t->cg_system;
		}
	*ret_user = user;
	*ret_system = sys;
}

/* --- cpu.max --- */

bool cgroup_cpu_throttled(const struct cgroup *cg)
{
	for (; cg; cg = cg->parent)
		if (cg->bw && cg->bw->throttled)
			return true;
	return false;
}

static void set_throttled(struct cgroup *cg, bool on)
{
	struct thread_group *tg;
	struct task *t;

	if (cg->bw->throttled == on)
		return;
	cg->bw->throttled = on;
	if (on) {
		cg->nr_throttled++;
		cg->bw->throttled_since = ktime_mono();
	} else {
		cg->throttled_ns += ktime_mono() - cg->bw->throttled_since;
	}
	list_for_each(tg, &the_kernel->groups, all_node)
		list_for_each(t, &tg->tasks, tg_node)
			if (t->cgroup && !t->is_zombie && cgroup_below(t->cgroup, cg)) {
				if (on)
					task_set_work(t, WORK_CGROUP);
				else
					task_wake(t);
			}
}

static int64_t used(const struct cgroup *cg)
{
	int64_t u, s;

	cgroup_cpu_usage(cg, &u, &s);
	return u + s;
}

/* Returns when to look again. */
static int64_t bandwidth_tick(struct cg_bandwidth *b)
{
	struct cgroup *cg = b->cg;
	int64_t now = ktime_mono(), period = (int64_t)cg->cpu_period * 1000, quota = (int64_t)cg->cpu_quota * 1000, all = used(cg), mine;

	if (now >= b->next_period) {
		int64_t periods = 1 + (now - b->next_period) / period, paid;

		if (all != b->used_at_start || b->throttled)
			cg->nr_periods += (uint64_t)periods;
		if (mul_overflow(quota, periods, &paid)) /* a restore with --clock=elapsed may skip years */
			paid = INT64_MAX / 2;
		b->debt += all - b->used_at_start - paid;
		b->debt = MAX(b->debt, (int64_t)0);
		b->used_at_start = all;
		b->period_start = now;
		b->next_period += periods * period;
	}
	mine = b->debt + (all - b->used_at_start);
	set_throttled(cg, mine >= quota);
	if (b->throttled)
		return b->next_period;
	/* All processors at full speed could use the rest in: */
	mine = MAX((quota - mine) / (int64_t)the_kernel->cfg.nr_cpus, 2 * 1000000L);
	return MIN(b->next_period, now + mine);
}

static void bandwidth_fire(struct ktimer *kt)
{
	struct cg_bandwidth *b = container_of(kt, struct cg_bandwidth, timer);

	mutex_lock(&the_kernel->tasks_mu);
	if (b->over) {
		cgroup_put(b->cg);
		free(b);
	} else {
		ktimer_arm(&b->timer, bandwidth_tick(b));
	}
	mutex_unlock(&the_kernel->tasks_mu);
}

void cgroup_cpu_free(struct cgroup *cg)
{
	struct cg_bandwidth *b = cg->bw;

	if (!b)
		return;
	set_throttled(cg, false);
	cg->bw = NULL;
	b->over = true;
	ktimer_arm(&b->timer, ktime_mono());
}

void cgroup_cpu_set_max(struct cgroup *cg, uint64_t quota_us, uint64_t period_us)
{
	cg->cpu_quota = quota_us;
	cg->cpu_period = period_us;
	if (quota_us == CG_MAX) {
		cgroup_cpu_free(cg);
		return;
	}
	if (!cg->bw) {
		cg->bw = calloc(1, sizeof(*cg->bw));
		if (!cg->bw)
			return;
		cg->bw->cg = cgroup_get(cg);
		ktimer_init(&cg->bw->timer, KCLOCK_MONOTONIC, bandwidth_fire);
	}
	cg->bw->used_at_start = used(cg);
	cg->bw->debt = 0;
	cg->bw->period_start = ktime_mono();
	cg->bw->next_period = cg->bw->period_start + (int64_t)period_us * 1000;
	ktimer_arm(&cg->bw->timer, ktime_mono() + 2 * 1000000);
}

void cgroup_cpu_stat(const struct cgroup *cg, uint64_t *ret_periods, int64_t *ret_throttled_ns)
{
	bool throttled = cg->bw && cg->bw->throttled;

	*ret_periods = cg->nr_periods + throttled;
	*ret_throttled_ns = cg->throttled_ns + (throttled ? ktime_mono() - cg->bw->throttled_since : 0);
}

/* --- cpuset --- */

static void all_cpus(uint64_t ret[2])
{
	size_t n = MIN(the_kernel->cfg.nr_cpus, (size_t)128);

	ret[0] = n >= 64 ? UINT64_MAX : (1ull << n) - 1;
	ret[1] = n <= 64 ? 0 : n == 128 ? UINT64_MAX : (1ull << (n - 64)) - 1;
}

/* What is asked for and the parent has; nothing in common: the parent's. */
void cgroup_effective_cpus(const struct cgroup *cg, uint64_t ret[2])
{
	uint64_t up[2];

	if (!cg) {
		all_cpus(ret);
		return;
	}
	cgroup_effective_cpus(cg->parent, up);
	ret[0] = up[0] & cg->cpus[0];
	ret[1] = up[1] & cg->cpus[1];
	if (!(cgroup_controllers(cg) & CG_CPUSET) || !(ret[0] | ret[1]))
		memcpy(ret, up, sizeof(up));
}

void cgroup_cpuset_apply(struct cgroup *cg)
{
	struct thread_group *tg;
	struct task *t;

	list_for_each(tg, &the_kernel->groups, all_node)
		list_for_each(t, &tg->tasks, tg_node) {
			uint64_t m[2];

			if (!t->cgroup || !cgroup_below(t->cgroup, cg))
				continue;
			cgroup_effective_cpus(t->cgroup, m);
			if (t->cg_cpus[0] == m[0] && t->cg_cpus[1] == m[1])
				continue; /* its own choice within the set stays */
			memcpy(t->cg_cpus, m, sizeof(m));
			memcpy(t->cpu_mask, m, sizeof(m));
		}
}
