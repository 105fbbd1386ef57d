/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interval timers of a process, and RLIMIT_CPU.
 *
 * ITIMER_REAL is one kernel timer. The CPU timers have no event to hang on, so one more kernel timer looks at the group's CPU time when it
 * could at the earliest have reached the nearest expiry (later while the group idles).
 *
 * Locks: tasks_mu > itimers.mu. Callbacks take tasks_mu, so cancelling synchronously needs it free.
 * Checkpoint: expiries; the kernel timers are armed again after loading. Linux: kernel/time/itimer.c, posix-cpu-timers.c.
 * DEVIATION: CPU timers fire up to 50 ms late when the group begins to run after idling.
 */
#include "sentry/kernel/itimer.h"

#include "schemas/timers.pb-c.h"
#include "sentry/kernel/clock.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/rusage.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

enum { ITIMER_L_REAL, ITIMER_L_VIRTUAL, ITIMER_L_PROF };

#define USEC_NS		1000
#define REAL_MIN_GAP_NS 100000 /* between two expiries that nobody could tell apart */

struct linux_itimerval {
	struct linux_timeval interval, value;
};

struct cpu_itimer { /* message: Itimers */
	int64_t expiry, interval; /* saved: virt_expiry and virt_interval, or those of prof */
};

struct itimers {
	struct mutex mu; /* nosave: free when frozen */
	struct thread_group *tg; /* saved: 1 */
	struct ktimer real; /* nosave: armed again from real_expiry */
	int64_t real_expiry, real_interval; /* saved: 2, 3 */
	struct cpu_itimer virt, prof; /* saved: virt_expiry to prof_interval */
	int64_t xcpu_next; /* saved: 8 */
	struct ktimer cpu; /* nosave: a poll of CPU time, armed again */
	int64_t last_total; /* nosave: CPU time at the last look */
	uint32_t idle; /* nosave: looks without progress */
};

static int64_t next_expiry(int64_t expiry, int64_t interval, int64_t now)
{
	if (expiry > now)
		return expiry;
	return expiry + (now - expiry) / interval * interval + interval;
}

static void real_fired(struct ktimer *kt)
{
	struct itimers *it = container_of(kt, struct itimers, real);
	struct kernel *k = it->tg->k;
	int64_t now = ktime_mono();

	mutex_lock(&k->tasks_mu);
	mutex_lock(&it->mu);
	if (it->real_expiry && it->real_expiry <= now) {
		it->real_expiry = it->real_interval ? next_expiry(it->real_expiry, it->real_interval, now) : 0;
		if (it->real_expiry)
			ktimer_arm(&it->real, MAX(it->real_expiry, now + REAL_MIN_GAP_NS));
		(void)signal_send_group(it->tg, SIGALRM, NULL);
	} else if (it->real_expiry) {
		ktimer_arm(&it->real, it->real_expiry);
	}
	mutex_unlock(&it->mu);
	mutex_unlock(&k->tasks_mu);
}

/*
 * Who used the most since the last expiry. Linux signals the thread that runs when the tick comes; profilers count on it: SIGPROF
 * says where that thread is. tasks_mu and mu held.
 */
static struct task *busiest_locked(struct itimers *it)
{
	struct task *t, *best = NULL;
	int64_t most = 0, ut, st;

	list_for_each(t, &it->tg->tasks, tg_node) {
		task_cpu_times(t, &ut, &st);
		if (ut + st - t->cpu_seen > most) {
			most = ut + st - t->cpu_seen;
			best = t;
		}
		t->cpu_seen = ut + st;
	}
	return best;
}

/* Returns what is missing to the expiry of @c, after handling one that passed; its signal is for @busy first. */
static int64_t check_cpu(struct itimers *it, struct cpu_itimer *c, int64_t now, struct task *busy, int sig)
{
	if (!c->expiry)
		return TIME_FOREVER;
	if (c->expiry <= now) {
		signal_send_group_first(it->tg, busy, sig);
		c->expiry = c->interval ? next_expiry(c->expiry, c->interval, now) : 0;
	}
	return c->expiry ? c->expiry - now : TIME_FOREVER;
}

static int64_t rlimit_ns(uint64_t secs)
{
	return secs > (uint64_t)(TIME_FOREVER / NSEC_PER_SEC) ? TIME_FOREVER : (int64_t)secs * NSEC_PER_SEC;
}

static int64_t check_rlimit(struct itimers *it, int64_t total)
{
	const struct linux_rlimit64 *rl = &it->tg->rlim[LINUX_RLIMIT_CPU];
	int64_t soft = rlimit_ns(rl->cur), hard = rlimit_ns(rl->max);

	if (soft == TIME_FOREVER)
		return TIME_FOREVER;
	if (hard != TIME_FOREVER && total >= hard) {
		(void)signal_send_group(it->tg, SIGKILL, NULL);
		return TIME_FOREVER;
	}
	soft = MAX(soft, it->xcpu_next);
	if (total >= soft) {
		(void)signal_send_group(it->tg, SIGXCPU, NULL);
		soft = it->xcpu_next = soft + NSEC_PER_SEC;
	}
	return MIN(soft, hard) - total;
}

/* Looks at the CPU time and arms the next look. tasks_mu and mu held. */
static void cpu_look_locked(struct itimers *it)
{
	int64_t user, total, left;
	struct task *busy = NULL;

	tg_cpu_locked(it->tg, &user, &total);
	if ((it->virt.expiry && it->virt.expiry <= user) || (it->prof.expiry && it->prof.expiry <= total))
		busy = busiest_locked(it);
	it->idle = total == it->last_total ? it->idle + 1 : 0;
	it->last_total = total;
	left = check_cpu(it, &it->virt, user, busy, SIGVTALRM);
	left = MIN(left, check_cpu(it, &it->prof, total, busy, SIGPROF));
	left = MIN(left, check_rlimit(it, total));
	if (left == TIME_FOREVER)
		ktimer_arm(&it->cpu, TIME_FOREVER);
	else
		ktimer_arm(&it->cpu, ktime_mono() + cpu_poll_delay(MAX(left, (int64_t)0), MAX(it->tg->nr_tasks, 1u), it->idle));
}

static void cpu_fired(struct ktimer *kt)
{
	struct itimers *it = container_of(kt, struct itimers, cpu);
	struct kernel *k = it->tg->k;

	mutex_lock(&k->tasks_mu);
	mutex_lock(&it->mu);
	cpu_look_locked(it);
	mutex_unlock(&it->mu);
	mutex_unlock(&k->tasks_mu);
}

static void *itimers_alloc(void)
{
	struct itimers *it = calloc(1, sizeof(*it));

	if (!it)
		return NULL;
	mutex_init(&it->mu, "itimers.mu");
	ktimer_init(&it->real, KCLOCK_MONOTONIC, real_fired);
	ktimer_init(&it->cpu, KCLOCK_MONOTONIC, cpu_fired);
	return it;
}

int itimers_init(struct thread_group *tg)
{
	struct itimers *it = itimers_alloc();

	if (!it)
		return -ENOMEM;
	it->tg = tg;
	tg->itimers = it;
	if (tg->rlim[LINUX_RLIMIT_CPU].cur != LINUX_RLIM_INFINITY && tg->rlim[LINUX_RLIMIT_CPU].max)
		ktimer_arm(&it->cpu, ktime_mono() + NSEC_PER_SEC / 10);
	return 0;
}

void itimers_exit(struct thread_group *tg)
{
	struct itimers *it = tg->itimers;

	if (!it)
		return;
	ktimer_cancel(&it->real, true);
	ktimer_cancel(&it->cpu, true);
	tg->itimers = NULL;
	mutex_destroy(&it->mu);
	free(it);
}

void itimers_rlimit_changed(struct thread_group *tg)
{
	mutex_assert_held(&tg->k->tasks_mu);
	if (!tg->itimers)
		return;
	mutex_lock(&tg->itimers->mu);
	tg->itimers->xcpu_next = 0;
	cpu_look_locked(tg->itimers);
	mutex_unlock(&tg->itimers->mu);
}

/* --- system calls --- */

static struct linux_timeval to_timeval(int64_t ns)
{
	return (struct linux_timeval){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC / USEC_NS };
}

static int from_timeval(const struct linux_timeval *tv, int64_t *ret)
{
	if (tv->tv_sec < 0 || tv->tv_usec < 0 || tv->tv_usec >= 1000000)
		return -EINVAL;
	if (mul_overflow(tv->tv_sec, NSEC_PER_SEC, ret) || add_overflow(*ret, tv->tv_usec * USEC_NS, ret))
		*ret = TIME_FOREVER;
	return 0;
}

/* An armed timer whose expiry has passed but was not seen yet shows the least time there is. */
static int64_t time_left(int64_t expiry, int64_t now)
{
	return expiry ? MAX(expiry - now, (int64_t)USEC_NS) : 0;
}

static int64_t expiry_after(int64_t now, int64_t value)
{
	int64_t r;

	if (!value)
		return 0;
	return add_overflow(now, value, &r) ? TIME_FOREVER : r;
}

/* Gets the old and, if @value >= 0, sets a new setting. */
static void itimer_change(struct task *t, int which, int64_t value, int64_t interval, int64_t *ret_value, int64_t *ret_interval)
{
	struct itimers *it = t->tg->itimers;
	int64_t user, total, now;
	struct cpu_itimer *c;

	mutex_lock(&t->k->tasks_mu);
	mutex_lock(&it->mu);
	if (which == ITIMER_L_REAL) {
		now = ktime_mono();
		*ret_value = time_left(it->real_expiry, now);
		*ret_interval = it->real_interval;
		if (value >= 0) {
			it->real_expiry = expiry_after(now, value);
			it->real_interval = value ? interval : 0;
			ktimer_arm(&it->real, it->real_expiry ? it->real_expiry : TIME_FOREVER);
		}
	} else {
		tg_cpu_locked(t->tg, &user, &total);
		now = which == ITIMER_L_VIRTUAL ? user : total;
		c = which == ITIMER_L_VIRTUAL ? &it->virt : &it->prof;
		*ret_value = time_left(c->expiry, now);
		*ret_interval = c->interval;
		if (value >= 0) {
			c->expiry = expiry_after(now, value);
			c->interval = interval;
			it->idle = 0;
			cpu_look_locked(it);
		}
	}
	mutex_unlock(&it->mu);
	mutex_unlock(&t->k->tasks_mu);
}

static int64_t put_itimerval(struct task *t, gaddr_t dst, int64_t value, int64_t interval)
{
	struct linux_itimerval v = { to_timeval(interval), to_timeval(value) };

	return copy_out(t, dst, &v, sizeof(v));
}

int64_t sys_getitimer(struct task *t, const struct sys_args *a)
{
	int64_t value, interval;

	if (ARG_INT(a, 0) < ITIMER_L_REAL || ARG_INT(a, 0) > ITIMER_L_PROF)
		return -EINVAL;
	itimer_change(t, ARG_INT(a, 0), -1, 0, &value, &interval);
	return put_itimerval(t, ARG_ADDR(a, 1), value, interval);
}

int64_t sys_setitimer(struct task *t, const struct sys_args *a)
{
	struct linux_itimerval v = { 0 };
	int64_t value, interval, ovalue, ointerval;
	int r;

	if (a->a[1]) {
		r = copy_in(t, &v, ARG_ADDR(a, 1), sizeof(v));
		if (r < 0)
			return r;
	}
	if (from_timeval(&v.value, &value) < 0 || from_timeval(&v.interval, &interval) < 0)
		return -EINVAL;
	if (ARG_INT(a, 0) < ITIMER_L_REAL || ARG_INT(a, 0) > ITIMER_L_PROF)
		return -EINVAL;
	itimer_change(t, ARG_INT(a, 0), value, interval, &ovalue, &ointerval);
	return a->a[2] ? put_itimerval(t, ARG_ADDR(a, 2), ovalue, ointerval) : 0;
}

int64_t sys_alarm(struct task *t, const struct sys_args *a)
{
	int64_t value, interval, ns, secs;

	itimer_change(t, ITIMER_L_REAL, (int64_t)ARG_U32(a, 0) * NSEC_PER_SEC, 0, &value, &interval);
	/* Linux: never 0 while one was armed, else rounded to the nearest second. */
	secs = value / NSEC_PER_SEC;
	ns = value % NSEC_PER_SEC;
	if ((!secs && ns) || ns >= NSEC_PER_SEC / 2)
		secs++;
	return secs;
}

/* --- state --- */

static int itimers_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct itimers *it = obj;
	Sentry__Itimers *m = msg;

	m->tg = state_ref(w, &thread_group_state_type, it->tg);
	m->real_expiry = it->real_expiry;
	m->real_interval = it->real_interval;
	m->virt_expiry = it->virt.expiry;
	m->virt_interval = it->virt.interval;
	m->prof_expiry = it->prof.expiry;
	m->prof_interval = it->prof.interval;
	m->xcpu_next = it->xcpu_next;
	return 0;
}

static int itimers_load(struct state_reader *r, void *obj, const void *msg)
{
	struct itimers *it = obj;
	const Sentry__Itimers *m = msg;
	int e = state_deref(r, m->tg, &thread_group_state_type, (void **)&it->tg);

	if (e >= 0)
		e = state_check(r, it->tg && m->real_expiry >= 0 && m->real_interval >= 0 && m->virt_expiry >= 0 &&
					   m->virt_interval >= 0 && m->prof_expiry >= 0 && m->prof_interval >= 0 && m->xcpu_next >= 0,
				"malformed interval timers");
	if (e < 0)
		return e;
	tg_put(it->tg); /* the group owns its timers, not they it */
	it->real_expiry = m->real_expiry;
	it->real_interval = m->real_interval;
	it->virt = (struct cpu_itimer){ m->virt_expiry, m->virt_interval };
	it->prof = (struct cpu_itimer){ m->prof_expiry, m->prof_interval };
	it->xcpu_next = m->xcpu_next;
	return 0;
}

static int itimers_after_load(struct state_reader *r, void *obj)
{
	struct itimers *it = obj;
	int e = state_check(r, it->tg->itimers == it, "interval timers of a group that has others");

	if (e < 0)
		return e;
	if (it->real_expiry)
		ktimer_arm(&it->real, it->real_expiry);
	if (it->virt.expiry || it->prof.expiry || it->tg->rlim[LINUX_RLIMIT_CPU].cur != LINUX_RLIM_INFINITY)
		ktimer_arm(&it->cpu, ktime_mono());
	return 0;
}

const struct state_type itimers_state_type = {
	.id = STATE_ID_itimers,
	.name = "itimers",
	.desc = &sentry__itimers__descriptor,
	.prio = STATE_PRIO_TIMER,
	.alloc = itimers_alloc,
	.save = itimers_save,
	.load = itimers_load,
	.after_load = itimers_after_load,
};
