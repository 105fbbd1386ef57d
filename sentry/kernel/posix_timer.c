/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX timers.
 *
 * A timer owns one queue entry. When it expires the entry is queued; an interval timer is armed again only when its signal is delivered,
 * and the expiries missed meanwhile are the overrun. So a timer costs nothing while its signal waits, however short the interval.
 *
 * Locks: tasks_mu > sighand.mu > posix_timers.mu. The kernel-timer callback takes them in this order; cancelling synchronously needs
 * all of them free. An entry is in a pending queue only while its timer lives: delete takes it out under sighand.mu.
 * Checkpoint: expiries, overruns and whether the signal is queued; armed again after loading. Linux: kernel/time/posix-timers.c.
 */
#include "sentry/kernel/posix_timer.h"

#include <string.h>

#include "schemas/timers.pb-c.h"
#include "sentry/kernel/clock.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/time_ns.h"
#include "sentry/kernel/pid.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

#define SIGEV_L_SIGNAL	  0
#define SIGEV_L_NONE	  1
#define SIGEV_L_THREAD	  2
#define SIGEV_L_THREAD_ID 4
#define CAP_WAKE_ALARM_L  35
#define MAX_TIMERS	  65536

struct linux_sigevent {
	uint64_t value;
	int32_t signo, notify, tid;
	int32_t pad[11];
};
_Static_assert(sizeof(struct linux_sigevent) == 64, "sigevent layout");

struct linux_itimerspec {
	struct linux_timespec interval, value;
};

struct posix_timers {
	struct mutex mu; /* nosave: free when frozen */
	struct thread_group *tg; /* saved: 1 */
	int32_t next_id; /* saved: 2 */
	uint32_t n; /* derived: length of timers */
	struct list timers; /* saved: 3 */
};

struct posix_timer {
	struct list node; /* derived: place in posix_timers.timers */
	struct posix_timers *pt; /* derived: whose message it is in */
	int32_t id, clock, notify; /* saved; immutable */
	struct task *target; /* saved, referenced; SIGEV_THREAD_ID's, else NULL */
	struct cpu_clock cpu; /* saved: cpu_pid, cpu_thread, cpu_kind; pid NULL: not a CPU timer */
	struct ktimer kt; /* nosave; re-initialised when the base clock changes, not armed then */
	/* guarded by pt->mu: */
	bool realtime; /* saved */
	int64_t expiry, interval; /* saved; expiry 0: not armed */
	bool fired; /* saved: signal generated, armed again when it is delivered */
	bool deleted; /* nosave: the deleted are not in the list */
	int64_t overrun, overrun_last; /* saved */
	uint32_t idle; /* nosave: looks without progress */
	int64_t last_cpu; /* nosave: CPU time at the last look */
	/* guarded by sighand.mu: */
	struct sigqueue q; /* saved: sig, value, and pending when queued */
};

static int64_t timer_now(struct posix_timer *pt)
{
	int64_t now = 0;

	if (!pt->cpu.pid)
		return kclock_now(pt->realtime ? KCLOCK_REALTIME : KCLOCK_MONOTONIC);
	/* Its owner gone: does not advance any more. */
	return cpu_clock_read_locked(&pt->cpu, &now) < 0 ? pt->last_cpu : now;
}

/* Sets the kernel timer for `expiry`; tasks_mu (for CPU timers) and mu held. */
static void arm_locked(struct posix_timer *pt)
{
	if (!pt->expiry || pt->notify == SIGEV_L_NONE || pt->deleted) {
		ktimer_arm(&pt->kt, TIME_FOREVER);
	} else if (!pt->cpu.pid) {
		ktimer_arm(&pt->kt, pt->expiry);
	} else {
		int64_t now = timer_now(pt);

		pt->idle = now == pt->last_cpu ? pt->idle + 1 : 0;
		pt->last_cpu = now;
		ktimer_arm(&pt->kt, ktime_mono() + cpu_poll_delay(MAX(pt->expiry - now, (int64_t)0), cpu_clock_width_locked(&pt->cpu),
								  pt->idle));
	}
}

/* Moves expiry past @now; returns how many intervals that took (0: it is ahead already). */
static int64_t forward(struct posix_timer *pt, int64_t now)
{
	int64_t n;

	if (pt->expiry > now)
		return 0;
	n = (now - pt->expiry) / pt->interval + 1;
	pt->expiry += n * pt->interval;
	return n;
}

static void timer_fired(struct ktimer *kt)
{
	struct posix_timer *pt = container_of(kt, struct posix_timer, kt);
	struct thread_group *tg = pt->pt->tg;
	struct kernel *k = tg->k;
	bool send = false;
	int64_t now;

	mutex_lock(&k->tasks_mu);
	mutex_lock(&pt->pt->mu);
	now = timer_now(pt);
	if (pt->expiry && !pt->fired && !pt->deleted) {
		if (pt->expiry <= now) {
			pt->fired = send = true;
			if (!pt->interval)
				pt->expiry = 0;
		} else {
			arm_locked(pt);
		}
	}
	mutex_unlock(&pt->pt->mu);
	if (send && (!pt->target || !pt->target->is_zombie)) {
		struct sighand *s;
		bool queued;

		(void)signal_send_prealloc(tg, pt->target, &pt->q);
		s = sighand_lock(pt->target ? pt->target : tg->leader);
		queued = list_linked(&pt->q.node);
		mutex_lock(&pt->pt->mu);
		/* Ignored (or delivered at once): nobody else will arm it again. */
		if (!queued && pt->fired && !pt->deleted) {
			pt->fired = false;
			if (pt->interval && pt->expiry) {
				pt->overrun = 0;
				(void)forward(pt, now);
				/* Nobody listens, so a short interval need not be kept to. */
				pt->expiry = MAX(pt->expiry, pt->cpu.pid ? 0 : now + 1000000);
				ktimer_arm(&pt->kt, pt->cpu.pid ? ktime_mono() + 1000000 : pt->expiry);
			}
		}
		mutex_unlock(&pt->pt->mu);
		mutex_unlock(&s->mu);
	}
	mutex_unlock(&k->tasks_mu);
}

/* sighand.mu is held, so CPU timers cannot be read here (tasks_mu is above it): they are looked at by the callback. */
void posix_timer_delivered(struct sigqueue *q, struct linux_siginfo *si)
{
	struct posix_timer *pt = q->timer;
	int64_t n = 0;

	mutex_lock(&pt->pt->mu);
	if (pt->fired) {
		pt->fired = false;
		if (pt->interval && pt->expiry) {
			int64_t now = pt->cpu.pid ? pt->expiry : timer_now(pt);

			n = forward(pt, now) - 1;
			pt->overrun_last = MIN(pt->overrun + n, (int64_t)INT32_MAX);
			pt->overrun = 0;
			if (!pt->deleted)
				ktimer_arm(&pt->kt, pt->cpu.pid ? ktime_mono() : pt->expiry);
		} else {
			pt->overrun_last = 0;
		}
	}
	si->timer.overrun = (int32_t)pt->overrun_last;
	si->timer.sys_private = 0;
	mutex_unlock(&pt->pt->mu);
}

/* Takes a queued signal back. */
static void unqueue(struct posix_timer *pt)
{
	struct thread_group *tg = pt->pt->tg;
	struct sighand *s = sighand_lock(pt->target ? pt->target : tg->leader);
	struct sigpending *p = pt->target ? &pt->target->pending : &tg->pending;
	struct sigqueue *q;

	if (list_linked(&pt->q.node)) {
		list_del(&pt->q.node);
		p->count--;
		p->set &= ~SIGBIT(pt->q.info.si_signo);
		list_for_each(q, &p->queue, node)
			p->set |= SIGBIT(q->info.si_signo);
	}
	mutex_unlock(&s->mu);
}

/* Not in the list any more. */
static void timer_free(struct posix_timer *pt)
{
	mutex_lock(&pt->pt->mu);
	pt->deleted = true;
	mutex_unlock(&pt->pt->mu);
	ktimer_cancel(&pt->kt, true);
	unqueue(pt);
	ktimer_cancel(&pt->kt, true); /* a delivery between the two may have armed it */
	task_put(pt->target);
	if (pt->cpu.pid)
		cpu_clock_done(&pt->cpu);
	free(pt);
}

static void *posix_timers_alloc(void)
{
	struct posix_timers *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	mutex_init(&p->mu, "posix_timers.mu");
	list_init(&p->timers);
	return p;
}

void posix_timers_exit(struct thread_group *tg)
{
	struct posix_timers *p = tg->posix_timers;
	struct posix_timer *pt;

	if (!p)
		return;
	for (;;) {
		mutex_lock(&p->mu);
		pt = list_first(&p->timers, struct posix_timer, node);
		if (pt)
			list_del(&pt->node);
		mutex_unlock(&p->mu);
		if (!pt)
			break;
		timer_free(pt);
	}
	tg->posix_timers = NULL;
	mutex_destroy(&p->mu);
	free(p);
}

/* The group's timers, made on first use. */
static struct posix_timers *timers_of(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct posix_timers *p;

	mutex_lock(&t->k->tasks_mu);
	p = tg->posix_timers;
	if (!p) {
		p = posix_timers_alloc();
		if (p) {
			p->tg = tg;
			tg->posix_timers = p;
		}
	}
	mutex_unlock(&t->k->tasks_mu);
	return p;
}

/* mu held. */
static struct posix_timer *find_locked(struct posix_timers *p, int32_t id)
{
	struct posix_timer *pt;

	list_for_each(pt, &p->timers, node)
		if (pt->id == id)
			return pt;
	return NULL;
}

/* --- system calls --- */

static int setup_event(struct task *t, struct posix_timer *pt, const struct linux_sigevent *ev)
{
	pt->notify = ev->notify;
	if (ev->notify == SIGEV_L_NONE)
		return 0;
	if (ev->signo <= 0 || ev->signo > NSIG_MAX)
		return -EINVAL;
	if (ev->notify == SIGEV_L_SIGNAL || ev->notify == SIGEV_L_THREAD)
		return 0;
	if (ev->notify != (SIGEV_L_SIGNAL | SIGEV_L_THREAD_ID))
		return -EINVAL;
	pt->target = task_find(t->k, task_pid_ns(t), ev->tid);
	if (!pt->target || pt->target->tg != t->tg)
		return -EINVAL;
	return 0;
}

static int setup_clock(struct task *t, struct posix_timer *pt, int32_t clk)
{
	pt->clock = clk;
	if (clock_is_cpu(clk))
		return cpu_clock_resolve(t, clk, &pt->cpu);
	switch (clk) {
	case LINUX_CLOCK_REALTIME_ALARM:
	case LINUX_CLOCK_BOOTTIME_ALARM:
		return task_capable(t, CAP_WAKE_ALARM_L) ? 0 : -EPERM;
	case LINUX_CLOCK_REALTIME:
	case LINUX_CLOCK_MONOTONIC:
	case LINUX_CLOCK_BOOTTIME:
	case LINUX_CLOCK_TAI:
		return 0;
	case LINUX_CLOCK_MONOTONIC_RAW:
	case LINUX_CLOCK_REALTIME_COARSE:
	case LINUX_CLOCK_MONOTONIC_COARSE:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}

static void discard(struct posix_timer *pt)
{
	task_put(pt->target);
	if (pt->cpu.pid)
		cpu_clock_done(&pt->cpu);
	free(pt);
}

static int publish(struct task *t, struct posix_timers *p, struct posix_timer *pt)
{
	uint64_t max = MIN(task_rlimit(t, LINUX_RLIMIT_SIGPENDING), (uint64_t)MAX_TIMERS);
	int r = 0;

	mutex_lock(&p->mu);
	if (p->n >= max) {
		r = -EAGAIN;
	} else {
		while (find_locked(p, p->next_id))
			p->next_id = p->next_id == INT32_MAX ? 0 : p->next_id + 1;
		pt->id = p->next_id;
		p->next_id = p->next_id == INT32_MAX ? 0 : p->next_id + 1;
		pt->q.info.timer.tid = pt->id;
		list_add_tail(&p->timers, &pt->node);
		p->n++;
	}
	mutex_unlock(&p->mu);
	return r;
}

int64_t sys_timer_create(struct task *t, const struct sys_args *a)
{
	struct posix_timers *p = timers_of(t);
	struct posix_timer *pt = calloc(1, sizeof(*pt));
	struct linux_sigevent ev = { .signo = SIGALRM, .notify = SIGEV_L_SIGNAL };
	int r = 0;

	if (!p || !pt) {
		free(pt);
		return -EAGAIN;
	}
	pt->pt = p;
	ktimer_init(&pt->kt, KCLOCK_MONOTONIC, timer_fired);
	if (a->a[1])
		r = copy_in(t, &ev, ARG_ADDR(a, 1), sizeof(ev));
	if (r == 0)
		r = setup_clock(t, pt, ARG_INT(a, 0));
	if (r == 0)
		r = setup_event(t, pt, &ev);
	if (r == 0) {
		pt->q.timer = pt;
		pt->q.info = (struct linux_siginfo){ .si_signo = ev.signo, .si_code = SI_TIMER };
		pt->q.info.timer.value = ev.value;
		r = publish(t, p, pt);
	}
	if (r < 0) {
		discard(pt);
		return r;
	}
	if (!a->a[1])
		pt->q.info.timer.value = (uint64_t)pt->id;
	r = copy_out(t, ARG_ADDR(a, 2), &pt->id, sizeof(pt->id));
	if (r < 0) {
		mutex_lock(&p->mu);
		list_del(&pt->node);
		p->n--;
		mutex_unlock(&p->mu);
		timer_free(pt);
	}
	return r;
}

static int64_t to_ns(const struct linux_timespec *ts)
{
	int64_t ns;

	if (mul_overflow(ts->tv_sec, NSEC_PER_SEC, &ns) || add_overflow(ns, ts->tv_nsec, &ns))
		return TIME_FOREVER;
	return ns;
}

static bool valid_ts(const struct linux_timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < NSEC_PER_SEC;
}

static struct linux_timespec to_ts(int64_t ns)
{
	return (struct linux_timespec){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
}

/* tasks_mu and mu held. */
static void setting_locked(struct posix_timer *pt, struct linux_itimerspec *ret)
{
	int64_t now = timer_now(pt), exp = pt->expiry, left;

	ret->interval = to_ts(pt->interval);
	ret->value = to_ts(0);
	if (!exp)
		return;
	if (exp <= now && pt->interval && (pt->fired || pt->notify == SIGEV_L_NONE))
		exp += ((now - exp) / pt->interval + 1) * pt->interval;
	left = exp - now;
	if (left <= 0)
		left = pt->notify == SIGEV_L_NONE ? 0 : 1;
	ret->value = to_ts(left);
}

static void set_locked(struct posix_timer *pt, int flags, int64_t value, int64_t interval)
{
	bool abs = flags & LINUX_TIMER_ABSTIME;
	enum kclock base;

	pt->fired = false;
	pt->overrun = pt->overrun_last = 0;
	pt->idle = 0;
	pt->expiry = 0;
	pt->interval = 0;
	if (!pt->cpu.pid) {
		/* Relative times do not jump with the wall clock. */
		base = KCLOCK_MONOTONIC;
		if (abs && clock_base(pt->clock, &base) < 0)
			base = KCLOCK_MONOTONIC;
		pt->realtime = base == KCLOCK_REALTIME;
		pt->kt.clock = base; /* not armed: set when cancelled */
	}
	if (value) {
		int64_t now = abs ? (pt->cpu.pid ? 0 : -task_clock_offset(current_task, pt->clock)) : timer_now(pt);

		pt->interval = interval;
		if (add_overflow(now, value, &pt->expiry))
			pt->expiry = TIME_FOREVER;
	}
	arm_locked(pt);
}

int64_t sys_timer_settime(struct task *t, const struct sys_args *a)
{
	struct posix_timers *p = timers_of(t);
	struct linux_itimerspec its, old;
	struct posix_timer *pt;
	int r;

	if (!a->a[2])
		return -EINVAL;
	r = copy_in(t, &its, ARG_ADDR(a, 2), sizeof(its));
	if (r < 0)
		return r;
	if (!valid_ts(&its.value) || !valid_ts(&its.interval) || !p)
		return -EINVAL;
	/* Two steps: the callback must not run while the base clock is changed, and the signal of the old setting is taken back. */
	mutex_lock(&t->k->tasks_mu);
	mutex_lock(&p->mu);
	pt = find_locked(p, ARG_INT(a, 0));
	if (!pt) {
		mutex_unlock(&p->mu);
		mutex_unlock(&t->k->tasks_mu);
		return -EINVAL;
	}
	setting_locked(pt, &old);
	ktimer_cancel(&pt->kt, false);
	pt->fired = false;
	pt->expiry = 0;
	mutex_unlock(&p->mu);
	unqueue(pt); /* tasks_mu keeps the callback and a concurrent delete's free out */
	mutex_lock(&p->mu);
	set_locked(pt, ARG_INT(a, 1), to_ns(&its.value), to_ns(&its.interval));
	mutex_unlock(&p->mu);
	mutex_unlock(&t->k->tasks_mu);
	return a->a[3] ? copy_out(t, ARG_ADDR(a, 3), &old, sizeof(old)) : 0;
}

int64_t sys_timer_gettime(struct task *t, const struct sys_args *a)
{
	struct posix_timers *p = timers_of(t);
	struct linux_itimerspec cur;
	struct posix_timer *pt;

	if (!p)
		return -EINVAL;
	mutex_lock(&t->k->tasks_mu);
	mutex_lock(&p->mu);
	pt = find_locked(p, ARG_INT(a, 0));
	if (pt)
		setting_locked(pt, &cur);
	mutex_unlock(&p->mu);
	mutex_unlock(&t->k->tasks_mu);
	return pt ? copy_out(t, ARG_ADDR(a, 1), &cur, sizeof(cur)) : -EINVAL;
}

int64_t sys_timer_getoverrun(struct task *t, const struct sys_args *a)
{
	struct posix_timers *p = timers_of(t);
	struct posix_timer *pt;
	int64_t r = -EINVAL;

	if (!p)
		return r;
	mutex_lock(&p->mu);
	pt = find_locked(p, ARG_INT(a, 0));
	if (pt)
		r = pt->overrun_last;
	mutex_unlock(&p->mu);
	return r;
}

int64_t sys_timer_delete(struct task *t, const struct sys_args *a)
{
	struct posix_timers *p = timers_of(t);
	struct posix_timer *pt;

	if (!p)
		return -EINVAL;
	mutex_lock(&t->k->tasks_mu);
	mutex_lock(&p->mu);
	pt = find_locked(p, ARG_INT(a, 0));
	if (pt) {
		list_del(&pt->node);
		p->n--;
	}
	mutex_unlock(&p->mu);
	mutex_unlock(&t->k->tasks_mu);
	if (!pt)
		return -EINVAL;
	timer_free(pt);
	return 0;
}

/* --- state --- */

static int posix_timers_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct posix_timers *p = obj;
	Sentry__PosixTimers *m = msg;
	const struct posix_timer *pt;

	m->tg = state_ref(w, &thread_group_state_type, p->tg);
	m->next_id = p->next_id;
	m->timers = state_zalloc(w, p->n, sizeof(m->timers[0]));
	list_for_each(pt, &p->timers, node) {
		Sentry__PosixTimer *o = state_new_msg(w, &sentry__posix_timer__descriptor);

		o->id = pt->id;
		o->clock = pt->clock;
		o->notify = pt->notify;
		o->sig = pt->q.info.si_signo;
		o->value = pt->q.info.timer.value;
		o->target = state_ref(w, &task_state_type, pt->target);
		o->cpu_pid = state_ref(w, &pid_state_type, pt->cpu.pid);
		o->cpu_thread = pt->cpu.thread;
		o->cpu_kind = pt->cpu.kind;
		o->realtime = pt->realtime;
		o->expiry = pt->expiry;
		o->interval = pt->interval;
		o->fired = pt->fired;
		o->overrun = pt->overrun;
		o->overrun_last = pt->overrun_last;
		o->pending = list_linked(&pt->q.node);
		if (m->n_timers < p->n)
			m->timers[m->n_timers++] = o;
	}
	return 0;
}

static int load_timer(struct state_reader *r, struct posix_timers *p, const Sentry__PosixTimer *m)
{
	struct posix_timer *pt = calloc(1, sizeof(*pt));
	int e;

	if (!pt)
		return -ENOMEM;
	pt->pt = p;
	list_add_tail(&p->timers, &pt->node);
	p->n++;
	e = state_check(r, m->sig >= 0 && m->sig <= NSIG_MAX && (m->sig || m->notify == SIGEV_L_NONE) && m->notify >= 0 &&
				   m->notify <= SIGEV_L_THREAD_ID && m->expiry >= 0 && m->interval >= 0 && m->cpu_kind <= CPU_SCHED,
			"malformed timer");
	if (e == 0)
		e = state_deref(r, m->target, &task_state_type, (void **)&pt->target);
	if (e >= 0)
		e = state_deref(r, m->cpu_pid, &pid_state_type, (void **)&pt->cpu.pid);
	if (e < 0)
		return e;
	pt->id = m->id;
	pt->clock = m->clock;
	pt->notify = m->notify;
	pt->cpu.thread = m->cpu_thread;
	pt->cpu.kind = m->cpu_kind;
	pt->realtime = m->realtime;
	pt->expiry = m->expiry;
	pt->interval = m->interval;
	pt->fired = m->fired;
	pt->overrun = m->overrun;
	pt->overrun_last = m->overrun_last;
	ktimer_init(&pt->kt, pt->realtime ? KCLOCK_REALTIME : KCLOCK_MONOTONIC, timer_fired);
	pt->q.timer = pt;
	pt->q.info = (struct linux_siginfo){ .si_signo = m->sig, .si_code = SI_TIMER };
	pt->q.info.timer.tid = pt->id;
	pt->q.info.timer.value = m->value;
	pt->last_cpu = m->pending; /* until after_load: whether to queue it */
	return 0;
}

static int posix_timers_load(struct state_reader *r, void *obj, const void *msg)
{
	struct posix_timers *p = obj;
	const Sentry__PosixTimers *m = msg;
	int e = state_deref(r, m->tg, &thread_group_state_type, (void **)&p->tg);

	if (e >= 0)
		e = state_check(r, p->tg && m->n_timers <= MAX_TIMERS && m->next_id >= 0, "malformed timers");
	if (e < 0)
		return e;
	tg_put(p->tg);
	p->next_id = m->next_id;
	for (size_t i = 0; i < m->n_timers && e >= 0; i++)
		e = load_timer(r, p, m->timers[i]);
	return e;
}

static int posix_timers_after_load(struct state_reader *r, void *obj)
{
	struct posix_timers *p = obj;
	struct posix_timer *pt;
	int e = state_check(r, p->tg->posix_timers == p, "timers of a group that has others");

	if (e < 0)
		return e;
	list_for_each(pt, &p->timers, node) {
		struct sigpending *q = pt->target ? &pt->target->pending : &p->tg->pending;

		e = state_check(r, !pt->target || pt->target->tg == p->tg, "a timer signals a thread of another process");
		if (e < 0)
			return e;
		if (pt->last_cpu && pt->q.info.si_signo) {
			list_add_tail(&q->queue, &pt->q.node);
			q->count++;
			q->set |= SIGBIT(pt->q.info.si_signo);
		}
		pt->last_cpu = 0;
		if (pt->fired || !pt->expiry || pt->notify == SIGEV_L_NONE)
			continue;
		ktimer_arm(&pt->kt, pt->cpu.pid ? ktime_mono() : pt->expiry);
	}
	return 0;
}

const struct state_type posix_timers_state_type = {
	.id = STATE_ID_posix_timers,
	.name = "posix_timers",
	.desc = &sentry__posix_timers__descriptor,
	.prio = STATE_PRIO_TIMER,
	.alloc = posix_timers_alloc,
	.save = posix_timers_save,
	.load = posix_timers_load,
	.after_load = posix_timers_after_load,
};
