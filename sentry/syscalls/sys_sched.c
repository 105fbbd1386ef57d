/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduling attributes. The host schedules; policies, priorities and affinities are kept, checked and shown as Linux does, and have no
 * effect on who runs. Linux: kernel/sched/syscalls.c, block/ioprio.c, kernel/sys.c.
 */
#include <sched.h>
#include <string.h>

#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/syscalls/syscalls.h"

#define SCHED_L_OTHER	      0
#define SCHED_L_FIFO	      1
#define SCHED_L_RR	      2
#define SCHED_L_BATCH	      3
#define SCHED_L_IDLE	      5
#define SCHED_L_RESET_ON_FORK 0x40000000
#define RR_INTERVAL_NS	      100000000
#define FAIR_INTERVAL_NS      4000000

static bool is_rt(int policy)
{
	return policy == SCHED_L_FIFO || policy == SCHED_L_RR;
}

static bool is_policy(int policy)
{
	return is_rt(policy) || policy == SCHED_L_OTHER || policy == SCHED_L_BATCH || policy == SCHED_L_IDLE;
}

/* Task @tid (0: @t), referenced, or NULL. */
static struct task *target(struct task *t, int tid)
{
	return tid ? task_find(t->k, task_pid_ns(t), tid) : task_get(t);
}

/* May @t change @o (Linux check_same_owner)? */
static bool may_change(struct task *t, struct task *o)
{
	struct cred *c;
	bool r;

	if (t == o || task_capable(t, LINUX_CAP_SYS_NICE))
		return true;
	c = task_cred_get(o);
	r = c && (t->cred->euid == c->euid || t->cred->euid == c->uid);
	cred_put(c);
	return r;
}

int64_t sys_sched_yield(struct task *t, const struct sys_args *a)
{
	(void)sched_yield();
	return 0;
}

/* --- affinity --- */

static size_t mask_bytes(const struct kernel *k)
{
	return ALIGN_UP(MIN(k->cfg.nr_cpus, (size_t)128), (size_t)64) / 8;
}

static uint64_t possible(const struct kernel *k, int word)
{
	size_t n = k->cfg.nr_cpus, lo = (size_t)word * 64;

	return n <= lo ? 0 : n - lo >= 64 ? UINT64_MAX : (1ULL << (n - lo)) - 1;
}

/* The processors that the control group of @o gives. */
static void within_cpuset(struct task *o, uint64_t m[2])
{
	uint64_t set[2];

	mutex_lock(&o->k->tasks_mu);
	if (o->cgroup) {
		cgroup_effective_cpus(o->cgroup, set);
		m[0] &= set[0];
		m[1] &= set[1];
	}
	mutex_unlock(&o->k->tasks_mu);
}

int64_t sys_sched_setaffinity(struct task *t, const struct sys_args *a)
{
	uint64_t m[2] = { 0 };
	struct task *o;
	int64_t r = 0;

	if (copy_in(t, m, ARG_ADDR(a, 2), MIN((size_t)ARG_U32(a, 1), sizeof(m))) < 0)
		return -EFAULT;
	o = target(t, ARG_INT(a, 0));
	if (!o)
		return -ESRCH;
	m[0] &= possible(t->k, 0);
	m[1] &= possible(t->k, 1);
	within_cpuset(o, m);
	if (!may_change(t, o))
		r = -EPERM;
	else if (!(m[0] | m[1]))
		r = -EINVAL;
	else
		memcpy(o->cpu_mask, m, sizeof(m));
	task_put(o);
	return r;
}

int64_t sys_sched_getaffinity(struct task *t, const struct sys_args *a)
{
	size_t len = ARG_U32(a, 1), n = mask_bytes(t->k);
	uint64_t m[2];
	struct task *o;

	if (len * 8 < t->k->cfg.nr_cpus || (len & 7))
		return -EINVAL;
	o = target(t, ARG_INT(a, 0));
	if (!o)
		return -ESRCH;
	m[0] = o->cpu_mask[0] & possible(t->k, 0);
	m[1] = o->cpu_mask[1] & possible(t->k, 1);
	task_put(o);
	n = MIN(n, len);
	return copy_out(t, ARG_ADDR(a, 2), m, n) < 0 ? -EFAULT : (int64_t)n;
}

int64_t sys_getcpu(struct task *t, const struct sys_args *a)
{
	int host = sched_getcpu();
	uint32_t cpu = host < 0 ? 0 : (uint32_t)host % (uint32_t)MIN(t->k->cfg.nr_cpus, (size_t)128), node = 0;

	/* The host's choice, unless the application restricted itself to others. */
	if (!(t->cpu_mask[cpu / 64] >> (cpu % 64) & 1))
		cpu = t->cpu_mask[0] ? (uint32_t)__builtin_ctzll(t->cpu_mask[0]) :
				       64 + (t->cpu_mask[1] ? (uint32_t)__builtin_ctzll(t->cpu_mask[1]) : 0);
	if (a->a[0] && copy_out(t, ARG_ADDR(a, 0), &cpu, sizeof(cpu)) < 0)
		return -EFAULT;
	if (a->a[1] && copy_out(t, ARG_ADDR(a, 1), &node, sizeof(node)) < 0)
		return -EFAULT;
	return 0;
}

/* --- policies --- */

static int64_t set_policy(struct task *t, int tid, int policy, int prio, const int *nice)
{
	bool keep = policy < 0;
	int reset = policy < 0 ? 0 : policy & SCHED_L_RESET_ON_FORK;
	struct task *o = target(t, tid);
	int64_t r = 0;

	if (!o)
		return -ESRCH;
	if (keep) {
		policy = o->sched_policy & ~SCHED_L_RESET_ON_FORK;
		reset = o->sched_policy & SCHED_L_RESET_ON_FORK;
	} else {
		policy &= ~SCHED_L_RESET_ON_FORK;
	}
	if (!is_policy(policy) || prio < 0 || prio > 99 || is_rt(policy) != (prio != 0))
		r = -EINVAL;
	else if (!may_change(t, o))
		r = -EPERM;
	else if (!task_capable(t, LINUX_CAP_SYS_NICE) && is_rt(policy) &&
		 (policy != (o->sched_policy & ~SCHED_L_RESET_ON_FORK) || prio > o->sched_prio) &&
		 (uint64_t)prio > task_rlimit(t, LINUX_RLIMIT_RTPRIO))
		r = -EPERM;
	if (r == 0) {
		o->sched_policy = policy | reset;
		o->sched_prio = prio;
		if (nice)
			o->nice = *nice;
	}
	task_put(o);
	return r;
}

int64_t sys_sched_setscheduler(struct task *t, const struct sys_args *a)
{
	int32_t prio;

	if (ARG_INT(a, 1) < 0 || ARG_INT(a, 0) < 0 || !a->a[2])
		return -EINVAL;
	if (copy_in(t, &prio, ARG_ADDR(a, 2), sizeof(prio)) < 0)
		return -EFAULT;
	return set_policy(t, ARG_INT(a, 0), ARG_INT(a, 1), prio, NULL);
}

int64_t sys_sched_setparam(struct task *t, const struct sys_args *a)
{
	int32_t prio;

	if (ARG_INT(a, 0) < 0 || !a->a[1])
		return -EINVAL;
	if (copy_in(t, &prio, ARG_ADDR(a, 1), sizeof(prio)) < 0)
		return -EFAULT;
	return set_policy(t, ARG_INT(a, 0), -1, prio, NULL);
}

int64_t sys_sched_getscheduler(struct task *t, const struct sys_args *a)
{
	struct task *o;
	int64_t r;

	if (ARG_INT(a, 0) < 0)
		return -EINVAL;
	o = target(t, ARG_INT(a, 0));
	if (!o)
		return -ESRCH;
	r = o->sched_policy;
	task_put(o);
	return r;
}

int64_t sys_sched_getparam(struct task *t, const struct sys_args *a)
{
	struct task *o;
	int32_t prio;

	if (ARG_INT(a, 0) < 0 || !a->a[1])
		return -EINVAL;
	o = target(t, ARG_INT(a, 0));
	if (!o)
		return -ESRCH;
	prio = o->sched_prio;
	task_put(o);
	return copy_out(t, ARG_ADDR(a, 1), &prio, sizeof(prio));
}

struct linux_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};
_Static_assert(sizeof(struct linux_sched_attr) == 56, "sched_attr layout");
#define SCHED_ATTR_VER0 48

int64_t sys_sched_setattr(struct task *t, const struct sys_args *a)
{
	struct linux_sched_attr at;
	uint32_t size;
	int r;

	if (!a->a[1] || ARG_INT(a, 0) < 0 || ARG_U32(a, 2))
		return -EINVAL;
	if (copy_in(t, &size, ARG_ADDR(a, 1), sizeof(size)) < 0)
		return -EFAULT;
	if (!size)
		size = SCHED_ATTR_VER0;
	if (size < SCHED_ATTR_VER0 || size > PAGE_SIZE)
		r = -E2BIG;
	else
		r = copy_in_struct(t, &at, sizeof(at), ARG_ADDR(a, 1), size);
	if (r == -E2BIG) {
		size = sizeof(at);
		return copy_out(t, ARG_ADDR(a, 1), &size, sizeof(size)) < 0 ? -EFAULT : -E2BIG;
	}
	if (r < 0)
		return r;
	if ((int32_t)at.policy < 0 || (at.flags & ~0x7fULL))
		return -EINVAL;
	at.nice = at.nice < -20 ? -20 : at.nice > 19 ? 19 : at.nice;
	if (at.priority > 99)
		return -EINVAL;
	return set_policy(t, ARG_INT(a, 0), (int)at.policy | (at.flags & 1 ? SCHED_L_RESET_ON_FORK : 0), (int)at.priority,
			  is_rt((int)at.policy) ? NULL : &at.nice);
}

int64_t sys_sched_getattr(struct task *t, const struct sys_args *a)
{
	struct linux_sched_attr at = { 0 };
	uint32_t size = ARG_U32(a, 2);
	struct task *o;

	if (!a->a[1] || ARG_INT(a, 0) < 0 || size < SCHED_ATTR_VER0 || size > PAGE_SIZE || ARG_U32(a, 3))
		return -EINVAL;
	o = target(t, ARG_INT(a, 0));
	if (!o)
		return -ESRCH;
	at.size = MIN(size, (uint32_t)sizeof(at));
	at.policy = (uint32_t)o->sched_policy & ~(uint32_t)SCHED_L_RESET_ON_FORK;
	at.flags = o->sched_policy & SCHED_L_RESET_ON_FORK ? 1 : 0;
	if (is_rt((int)at.policy))
		at.priority = (uint32_t)o->sched_prio;
	else
		at.nice = o->nice;
	at.util_max = 1024;
	task_put(o);
	return copy_out(t, ARG_ADDR(a, 1), &at, at.size);
}

int64_t sys_sched_get_priority_max(struct task *t, const struct sys_args *a)
{
	if (is_rt(ARG_INT(a, 0)))
		return 99;
	return is_policy(ARG_INT(a, 0)) || ARG_INT(a, 0) == 6 ? 0 : -EINVAL;
}

int64_t sys_sched_get_priority_min(struct task *t, const struct sys_args *a)
{
	if (is_rt(ARG_INT(a, 0)))
		return 1;
	return is_policy(ARG_INT(a, 0)) || ARG_INT(a, 0) == 6 ? 0 : -EINVAL;
}

int64_t sys_sched_rr_get_interval(struct task *t, const struct sys_args *a)
{
	struct task *o;
	int policy;

	if (ARG_INT(a, 0) < 0)
		return -EINVAL;
	o = target(t, ARG_INT(a, 0));
	if (!o)
		return -ESRCH;
	policy = o->sched_policy & ~SCHED_L_RESET_ON_FORK;
	task_put(o);
	return copy_out_timespec(t, ARG_ADDR(a, 1), policy == SCHED_L_RR ? RR_INTERVAL_NS : policy == SCHED_L_FIFO ? 0 : FAIR_INTERVAL_NS);
}

/* --- nice and ioprio: over a thread, a process group or a user --- */

/* Calls @fn for every task selected; its first error wins unless a later call succeeds (Linux). -ESRCH when there is none. */
static int64_t for_each_selected(struct task *t, int which, int who, int base, int64_t (*fn)(struct task *t, struct task *o, int64_t acc, int arg),
				 int arg)
{
	struct kernel *k = t->k;
	int64_t acc = -ESRCH;
	struct thread_group *tg;
	struct task *o;

	which -= base;
	if (which < 0 || which > 2)
		return -EINVAL;
	mutex_lock(&k->tasks_mu);
	if (which == 0) {
		struct pid *p = who ? pid_find_locked(task_pid_ns(t), who) : t->pid;

		if (p && p->task)
			acc = fn(t, p->task, acc, arg);
	} else {
		list_for_each(tg, &k->groups, all_node) {
			if (!pid_nr(tg->pid, t))
				continue;
			if (which == 1 && (who ? !tg->pgrp || pid_nr(tg->pgrp->id, t) != who : tg->pgrp != t->tg->pgrp))
				continue;
			list_for_each(o, &tg->tasks, tg_node)
				if (which == 1 || (o->cred && o->cred->uid == (who ? (uint32_t)who : t->cred->uid)))
					acc = fn(t, o, acc, arg);
		}
	}
	mutex_unlock(&k->tasks_mu);
	return acc;
}

static int64_t best_nice(struct task *t, struct task *o, int64_t acc, int arg)
{
	return MAX(acc, (int64_t)(20 - o->nice));
}

int64_t sys_getpriority(struct task *t, const struct sys_args *a)
{
	return for_each_selected(t, ARG_INT(a, 0), ARG_INT(a, 1), 0, best_nice, 0);
}

static int64_t set_nice(struct task *t, struct task *o, int64_t acc, int nice)
{
	struct cred *c = task_cred_get(o);
	bool owner = c && (c->uid == t->cred->euid || c->euid == t->cred->euid);
	bool cap = task_capable(t, LINUX_CAP_SYS_NICE);

	cred_put(c);
	if (!owner && !cap)
		return -EPERM;
	if (nice < o->nice && !cap && (uint64_t)(20 - nice) > task_rlimit(o, LINUX_RLIMIT_NICE))
		return -EACCES;
	o->nice = nice;
	return acc == -ESRCH ? 0 : acc;
}

int64_t sys_setpriority(struct task *t, const struct sys_args *a)
{
	int nice = ARG_INT(a, 2);

	nice = nice < -20 ? -20 : nice > 19 ? 19 : nice;
	return for_each_selected(t, ARG_INT(a, 0), ARG_INT(a, 1), 0, set_nice, nice);
}

static int64_t best_ioprio(struct task *t, struct task *o, int64_t acc, int arg)
{
	/* Lower is better; class 0 (none) counts as best effort. */
	int64_t v = o->ioprio ? o->ioprio : 2 << 13 | 4;

	return acc < 0 || v < acc ? v : acc;
}

int64_t sys_ioprio_get(struct task *t, const struct sys_args *a)
{
	return for_each_selected(t, ARG_INT(a, 0), ARG_INT(a, 1), 1, best_ioprio, 0);
}

static int64_t set_ioprio(struct task *t, struct task *o, int64_t acc, int v)
{
	struct cred *c = task_cred_get(o);
	bool ok = c && (c->uid == t->cred->euid || c->uid == t->cred->uid);

	cred_put(c);
	if (!ok && !task_capable(t, LINUX_CAP_SYS_NICE))
		return -EPERM;
	o->ioprio = (uint16_t)v;
	return acc == -ESRCH ? 0 : acc;
}

int64_t sys_ioprio_set(struct task *t, const struct sys_args *a)
{
	int v = ARG_INT(a, 2), class = v >> 13 & 7, data = v & 7;

	switch (class) {
	case 1:
		if (!task_capable(t, LINUX_CAP_SYS_ADMIN) && !task_capable(t, LINUX_CAP_SYS_NICE))
			return -EPERM;
		break;
	case 2:
	case 3:
		break;
	case 0:
		if (data)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	return for_each_selected(t, ARG_INT(a, 0), ARG_INT(a, 1), 1, set_ioprio, v);
}
