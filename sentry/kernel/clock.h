/* SPDX-License-Identifier: Apache-2.0 */
/* Clock ids of the application: reading any of them, CPU clocks of others included. */
#ifndef SENTRY_KERNEL_CLOCK_H
#define SENTRY_KERNEL_CLOCK_H

#include "sentry/kernel/task.h"

#define LINUX_CLOCK_REALTIME		0
#define LINUX_CLOCK_MONOTONIC		1
#define LINUX_CLOCK_PROCESS_CPUTIME_ID	2
#define LINUX_CLOCK_THREAD_CPUTIME_ID	3
#define LINUX_CLOCK_MONOTONIC_RAW	4
#define LINUX_CLOCK_REALTIME_COARSE	5
#define LINUX_CLOCK_MONOTONIC_COARSE	6
#define LINUX_CLOCK_BOOTTIME		7
#define LINUX_CLOCK_REALTIME_ALARM	8
#define LINUX_CLOCK_BOOTTIME_ALARM	9
#define LINUX_CLOCK_TAI			11
#define LINUX_TIMER_ABSTIME		1

#define COARSE_RES_NS 4000000

/* CPU clocks: the three low bits of a negative id, and 2 and 3. */
enum cpu_clock_kind { CPU_PROF, CPU_VIRT, CPU_SCHED };

struct cpu_clock {
	struct pid *pid; /* referenced */
	bool thread; /* of the task with this tid, else of its group */
	enum cpu_clock_kind kind;
};

bool clock_is_cpu(int32_t clk);
/* -EINVAL: no such clock, process or thread (of another group, for threads). */
_must_check_ int cpu_clock_resolve(struct task *t, int32_t clk, struct cpu_clock *ret);
void cpu_clock_done(struct cpu_clock *c);
/* ns of CPU time; -EINVAL when its owner is gone. tasks_mu held. */
_must_check_ int cpu_clock_read_locked(const struct cpu_clock *c, int64_t *ret_ns);
/* Live threads that may run the clock; at least 1. tasks_mu held. */
uint32_t cpu_clock_width_locked(const struct cpu_clock *c);
/* Group CPU time: *@user and *@total. tasks_mu held. */
void tg_cpu_locked(struct thread_group *tg, int64_t *user, int64_t *total);
/* How long to sleep before CPU time must be looked at again, when @left ns of it are missing and @width threads may run.
 * @idle: rounds without progress. */
int64_t cpu_poll_delay(int64_t left, uint32_t width, uint32_t idle);

/* Any clock @t may read, in ns. -EINVAL. */
_must_check_ int clock_read(struct task *t, int32_t clk, int64_t *ret_ns);
/* The base a wall clock counts on: *@ret; -EINVAL for CPU and unknown clocks. */
_must_check_ int clock_base(int32_t clk, enum kclock *ret);

/* task_block() with a deadline on @clock; a realtime one follows the clock when it is set. */
_must_check_ int task_block_until(struct task *t, enum kclock clock, int64_t deadline);

static inline int64_t kclock_now(enum kclock c)
{
	return c == KCLOCK_REALTIME ? ktime_real() : ktime_mono();
}

#endif
