/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clock ids. TAI and REALTIME are the host's; MONOTONIC, MONOTONIC_RAW and BOOTTIME are one guest clock that continues over a restore.
 *
 * CPU clock ids encode a pid: ~pid << 3 | (4 for a thread) | kind. Linux: kernel/time/posix-cpu-timers.c.
 */
#include "sentry/kernel/clock.h"

#include <time.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/rusage.h"
#include "sentry/kernel/time_ns.h"

#define POLL_MIN_NS 2000000
#define POLL_MAX_NS 50000000

bool clock_is_cpu(int32_t clk)
{
	return clk < 0 || clk == LINUX_CLOCK_PROCESS_CPUTIME_ID || clk == LINUX_CLOCK_THREAD_CPUTIME_ID;
}

int cpu_clock_resolve(struct task *t, int32_t clk, struct cpu_clock *ret)
{
	struct cpu_clock c = { .kind = CPU_SCHED };
	struct task *o;
	int32_t nr;
	int r = 0;

	if (clk == LINUX_CLOCK_PROCESS_CPUTIME_ID || clk == LINUX_CLOCK_THREAD_CPUTIME_ID) {
		c.thread = clk == LINUX_CLOCK_THREAD_CPUTIME_ID;
		c.pid = pid_get(c.thread ? t->pid : t->tg->pid);
		*ret = c;
		return 0;
	}
	if (clk >= 0 || (clk & 3) == 3)
		return -EINVAL;
	c.kind = clk & 3;
	c.thread = clk & 4;
	nr = ~(clk >> 3);
	mutex_lock(&t->k->tasks_mu);
	if (nr == 0) {
		c.pid = c.thread ? t->pid : t->tg->pid;
	} else {
		c.pid = pid_find_locked(task_pid_ns(t), nr);
		o = c.pid ? c.pid->task : NULL;
		if (!c.pid || (c.thread ? !o || o->tg != t->tg : !c.pid->tg))
			r = -EINVAL;
	}
	if (r == 0)
		(void)pid_get(c.pid);
	mutex_unlock(&t->k->tasks_mu);
	if (r == 0)
		*ret = c;
	return r;
}

void cpu_clock_done(struct cpu_clock *c)
{
	pid_put(c->pid);
	c->pid = NULL;
}

void tg_cpu_locked(struct thread_group *tg, int64_t *user, int64_t *total)
{
	struct tg_usage u;

	tg_usage_total(tg, &u);
	*user = u.utime;
	*total = u.utime + u.stime;
}

int cpu_clock_read_locked(const struct cpu_clock *c, int64_t *ret_ns)
{
	int64_t ut, st, total;

	if (c->thread) {
		if (!c->pid->task)
			return -EINVAL;
		task_cpu_times(c->pid->task, &ut, &st);
		total = ut + st;
	} else {
		if (!c->pid->tg)
			return -EINVAL;
		tg_cpu_locked(c->pid->tg, &ut, &total);
	}
	*ret_ns = c->kind == CPU_VIRT ? ut : total;
	return 0;
}

uint32_t cpu_clock_width_locked(const struct cpu_clock *c)
{
	return c->thread || !c->pid->tg ? 1 : MAX(c->pid->tg->nr_tasks, 1u);
}

int64_t cpu_poll_delay(int64_t left, uint32_t width, uint32_t idle)
{
	int64_t min = (int64_t)POLL_MIN_NS << MIN(idle, 5u);

	min = MIN(min, (int64_t)POLL_MAX_NS);
	return MAX(left / width, min);
}

int clock_base(int32_t clk, enum kclock *ret)
{
	switch (clk) {
	case LINUX_CLOCK_REALTIME:
	case LINUX_CLOCK_REALTIME_COARSE:
	case LINUX_CLOCK_REALTIME_ALARM:
	case LINUX_CLOCK_TAI:
		*ret = KCLOCK_REALTIME;
		return 0;
	case LINUX_CLOCK_MONOTONIC:
	case LINUX_CLOCK_MONOTONIC_RAW:
	case LINUX_CLOCK_MONOTONIC_COARSE:
	case LINUX_CLOCK_BOOTTIME:
	case LINUX_CLOCK_BOOTTIME_ALARM:
		*ret = KCLOCK_MONOTONIC;
		return 0;
	default:
		return -EINVAL;
	}
}

int clock_read(struct task *t, int32_t clk, int64_t *ret_ns)
{
	struct cpu_clock c;
	enum kclock base;
	int r;

	if (!clock_is_cpu(clk)) {
		r = clock_base(clk, &base);
		if (r == 0)
			*ret_ns = kclock_now(base) + task_clock_offset(t, clk);
		return r;
	}
	r = cpu_clock_resolve(t, clk, &c);
	if (r < 0)
		return r;
	mutex_lock(&t->k->tasks_mu);
	r = cpu_clock_read_locked(&c, ret_ns);
	mutex_unlock(&t->k->tasks_mu);
	cpu_clock_done(&c);
	return r;
}

int task_block_until(struct task *t, enum kclock clock, int64_t deadline)
{
	if (clock == KCLOCK_MONOTONIC || deadline == TIME_FOREVER)
		return task_block(t, deadline);
	for (;;) {
		int64_t now = ktime_real();
		int r;

		/* A deadline that has passed still gives signals and wake-ups their chance first. */
		r = task_block(t, now >= deadline ? 0 : ktime_mono() + MIN(deadline - now, NSEC_PER_SEC));
		if (r != -ETIMEDOUT || ktime_real() >= deadline)
			return r;
	}
}
