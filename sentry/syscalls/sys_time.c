/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks and sleeping. The clock cannot be set from inside: with or without CAP_SYS_TIME the answer is EPERM, as in a container of the
 * host. Linux: kernel/time/time.c, hrtimer.c, posix-timers.c.
 */
#include <string.h>

#include "sentry/kernel/clock.h"
#include "sentry/kernel/time_ns.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"

#define CAP_WAKE_ALARM_L 35

int64_t sys_clock_gettime(struct task *t, const struct sys_args *a)
{
	int64_t ns;
	int r = clock_read(t, ARG_INT(a, 0), &ns);

	return r < 0 ? r : copy_out_timespec(t, ARG_ADDR(a, 1), ns);
}

int64_t sys_clock_getres(struct task *t, const struct sys_args *a)
{
	int32_t clk = ARG_INT(a, 0);
	int64_t ns = 1;
	enum kclock base;

	if (clock_is_cpu(clk)) {
		struct cpu_clock c;
		int r = cpu_clock_resolve(t, clk, &c);

		if (r < 0)
			return r;
		cpu_clock_done(&c);
	} else if (clock_base(clk, &base) < 0) {
		return -EINVAL;
	}
	if (clk == LINUX_CLOCK_REALTIME_COARSE || clk == LINUX_CLOCK_MONOTONIC_COARSE)
		ns = COARSE_RES_NS;
	return a->a[1] ? copy_out_timespec(t, ARG_ADDR(a, 1), ns) : 0;
}

int64_t sys_clock_settime(struct task *t, const struct sys_args *a)
{
	int64_t ns;
	int r;

	if (ARG_INT(a, 0) != LINUX_CLOCK_REALTIME)
		return clock_is_cpu(ARG_INT(a, 0)) ? -EPERM : -EINVAL;
	r = copy_in_timespec(t, ARG_ADDR(a, 1), &ns);
	return r < 0 ? r : -EPERM;
}

int64_t sys_gettimeofday(struct task *t, const struct sys_args *a)
{
	int64_t now = ktime_real();
	struct linux_timeval tv = { now / NSEC_PER_SEC, now % NSEC_PER_SEC / 1000 };
	int32_t tz[2] = { 0, 0 };
	int r = 0;

	if (a->a[0])
		r = copy_out(t, ARG_ADDR(a, 0), &tv, sizeof(tv));
	if (r == 0 && a->a[1])
		r = copy_out(t, ARG_ADDR(a, 1), tz, sizeof(tz));
	return r;
}

int64_t sys_settimeofday(struct task *t, const struct sys_args *a)
{
	struct linux_timeval tv;
	int32_t tz[2];

	if (a->a[0]) {
		if (copy_in(t, &tv, ARG_ADDR(a, 0), sizeof(tv)) < 0)
			return -EFAULT;
		if (tv.tv_usec < 0 || tv.tv_usec >= 1000000 || tv.tv_sec < 0)
			return -EINVAL;
	}
	if (a->a[1] && copy_in(t, tz, ARG_ADDR(a, 1), sizeof(tz)) < 0)
		return -EFAULT;
	return a->a[0] || a->a[1] ? -EPERM : 0;
}

int64_t sys_time(struct task *t, const struct sys_args *a)
{
	int64_t s = ktime_real() / NSEC_PER_SEC;

	if (a->a[0] && copy_out(t, ARG_ADDR(a, 0), &s, sizeof(s)) < 0)
		return -EFAULT;
	return s;
}

/* --- adjtimex --- */

struct linux_timex {
	uint32_t modes, pad0;
	int64_t offset, freq, maxerror, esterror;
	int32_t status, pad1;
	int64_t constant, precision, tolerance;
	struct linux_timeval time;
	int64_t tick, ppsfreq, jitter;
	int32_t shift, pad2;
	int64_t stabil, jitcnt, calcnt, errcnt, stbcnt;
	int32_t tai, pad3[11];
};
_Static_assert(sizeof(struct linux_timex) == 208, "timex layout");

#define ADJ_L_OFFSET_SS_READ 0xa001
#define ADJ_L_NANO	     0x2000
#define STA_L_UNSYNC	     0x40
#define TIME_L_ERROR	     5

static int64_t do_adjtime(struct task *t, gaddr_t addr)
{
	int64_t now = ktime_real();
	struct linux_timex x;

	if (copy_in(t, &x, addr, sizeof(x)) < 0)
		return -EFAULT;
	if (x.modes && x.modes != ADJ_L_OFFSET_SS_READ)
		return -EPERM;
	x = (struct linux_timex){ .modes = x.modes,
				  .maxerror = 16000000,
				  .esterror = 16000000,
				  .status = STA_L_UNSYNC,
				  .constant = 7,
				  .precision = 1,
				  .tolerance = 32768000,
				  .tick = 10000,
				  .time = { now / NSEC_PER_SEC, now % NSEC_PER_SEC / 1000 } };
	return copy_out(t, addr, &x, sizeof(x)) < 0 ? -EFAULT : TIME_L_ERROR;
}

int64_t sys_adjtimex(struct task *t, const struct sys_args *a)
{
	return do_adjtime(t, ARG_ADDR(a, 0));
}

int64_t sys_clock_adjtime(struct task *t, const struct sys_args *a)
{
	enum kclock base;

	if (ARG_INT(a, 0) != LINUX_CLOCK_REALTIME)
		return !clock_is_cpu(ARG_INT(a, 0)) && clock_base(ARG_INT(a, 0), &base) < 0 ? -EINVAL : -EOPNOTSUPP;
	return do_adjtime(t, ARG_ADDR(a, 1));
}

/* --- sleeping --- */

static int64_t sleep_until(struct task *t, enum kclock clock, int64_t deadline)
{
	int r;

	task_block_prepare(t);
	do
		r = task_block_until(t, clock, deadline);
	while (r == 0);
	return r == -ETIMEDOUT ? 0 : r;
}

static int64_t sleep_relative(struct task *t, int64_t ns, gaddr_t rem)
{
	int64_t deadline = task_deadline(t, ns), r = sleep_until(t, KCLOCK_MONOTONIC, deadline);

	if (r != -ERESTARTSYS)
		return r;
	/* The rest is told before it is known whether a handler runs: without one the call continues and overwrites it. */
	if (rem.v && copy_out_timespec(t, rem, MAX(deadline - ktime_mono(), (int64_t)0)) < 0)
		return -EFAULT;
	return -ERESTARTBLOCK;
}

int64_t sys_nanosleep(struct task *t, const struct sys_args *a)
{
	int64_t ns;
	int r = copy_in_timespec(t, ARG_ADDR(a, 0), &ns);

	return r < 0 ? r : sleep_relative(t, ns, ARG_ADDR(a, 1));
}

/* CPU time passes only while somebody runs, so it is looked at now and then. */
static int64_t sleep_cpu(struct task *t, int32_t clk, bool abs, int64_t ns, gaddr_t rem)
{
	int64_t now, last = -1, until = ns;
	struct cpu_clock c;
	uint32_t idle = 0, width;
	int r = cpu_clock_resolve(t, clk, &c);

	if (r < 0)
		return r;
	if (c.thread && c.pid == t->pid) {
		cpu_clock_done(&c);
		return -EINVAL; /* it would sleep for ever */
	}
	task_block_prepare(t);
	for (;;) {
		mutex_lock(&t->k->tasks_mu);
		r = cpu_clock_read_locked(&c, &now);
		width = cpu_clock_width_locked(&c);
		mutex_unlock(&t->k->tasks_mu);
		if (r < 0)
			break;
		if (last < 0 && !abs) {
			if (t->sysctx.again && t->sysctx.has_deadline)
				until = t->sysctx.deadline;
			else if (add_overflow(now, ns, &until))
				until = TIME_FOREVER;
			t->sysctx.has_deadline = true;
			t->sysctx.deadline = until;
		}
		if (now >= until)
			break;
		idle = now == last ? idle + 1 : 0;
		last = now;
		r = task_block(t, ktime_mono() + cpu_poll_delay(until - now, width, idle));
		if (r < 0 && r != -ETIMEDOUT)
			break;
	}
	cpu_clock_done(&c);
	if (r != -ERESTARTSYS)
		return r == -ETIMEDOUT ? 0 : r;
	if (abs)
		return -ERESTARTNOHAND;
	if (rem.v && copy_out_timespec(t, rem, MAX(until - now, (int64_t)0)) < 0)
		return -EFAULT;
	return -ERESTARTBLOCK;
}

int64_t sys_clock_nanosleep(struct task *t, const struct sys_args *a)
{
	int32_t clk = ARG_INT(a, 0);
	bool abs = ARG_INT(a, 1) & LINUX_TIMER_ABSTIME;
	enum kclock base = KCLOCK_MONOTONIC;
	int64_t ns, r;

	if (clk == LINUX_CLOCK_THREAD_CPUTIME_ID)
		return -EOPNOTSUPP; /* Linux: the clock cannot sleep */
	if (clk == LINUX_CLOCK_MONOTONIC_RAW || clk == LINUX_CLOCK_REALTIME_COARSE || clk == LINUX_CLOCK_MONOTONIC_COARSE)
		return -EOPNOTSUPP;
	if (!clock_is_cpu(clk) && clock_base(clk, &base) < 0)
		return -EINVAL;
	r = copy_in_timespec(t, ARG_ADDR(a, 2), &ns);
	if (r < 0)
		return r;
	if ((clk == LINUX_CLOCK_REALTIME_ALARM || clk == LINUX_CLOCK_BOOTTIME_ALARM) && !task_capable(t, CAP_WAKE_ALARM_L))
		return -EPERM;
	if (clock_is_cpu(clk))
		return sleep_cpu(t, clk, abs, ns, ARG_ADDR(a, 3));
	if (!abs)
		return sleep_relative(t, ns, ARG_ADDR(a, 3));
	r = sleep_until(t, base, task_clock_to_kernel(t, clk, ns));
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}
