/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timerfd(2).
 *
 * As in Linux a periodic timer fires once and then rests until somebody reads or asks: how often it would have fired is computed then. So a timer
 * nobody reads costs nothing.
 *
 * Relative settings count on the monotonic clock whatever the timer's clock is, so that they keep their remaining time over clock changes and over
 * a restore; absolute settings of CLOCK_REALTIME follow the realtime clock.
 *
 * Locks: timerfd.mu > ktimer.mu. The callback takes mu; stale callbacks are known by the deadline not having been reached.
 * Checkpoint: deadline (guest clock), interval, ticks. The timer is armed in after_load: kernel timers are frozen until the thaw.
 * A restore is a step of the realtime clock, as a resume from suspend is in Linux: timers with TFD_TIMER_CANCEL_ON_SET are cancelled by it.
 * Linux: fs/timerfd.c. DEVIATION: nothing else cancels them: a container cannot set the clock, and steps of the host's are not seen.
 */
#include "sentry/fs/timerfd.h"

#include "base/strbuf.h"
#include "schemas/timerfd.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/time_ns.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

#define TFD_TIMER_ABSTIME_F       1
#define TFD_TIMER_CANCEL_ON_SET_F 2
#define CLK_REALTIME       0
#define CLK_MONOTONIC      1
#define CLK_BOOTTIME       7
#define CLK_REALTIME_ALARM 8
#define CLK_BOOTTIME_ALARM 9
#define CAP_WAKE_ALARM_NR  35

struct timerfd {
	struct file file; /* saved: 1 file_base */
	struct waitq wq; /* nosave: waiters re-run or register again */
	struct ktimer timer; /* derived: armed when armed && !expired */
	struct mutex mu; /* nosave: nobody runs; guards below */
	int clockid; /* saved: 2; immutable */
	enum kclock clock; /* saved: 3 realtime; what expires is measured on */
	bool armed; /* saved: 4; set and not disarmed; a one-shot stays armed after it expired */
	bool expired; /* saved: 5; fired, and not yet accounted for */
	int64_t expires; /* saved: 6; the (last or next) expiry */
	int64_t interval; /* saved: 7 */
	uint64_t ticks; /* saved: 8; expiries not yet read */
	int settime_flags; /* saved: 9 */
	bool cancelled; /* derived: the clock was set (by a restore, so every load sets it), and nobody has been told */
};

static const struct file_ops timerfd_ops;

static struct timerfd *timerfd_of(struct file *f)
{
	return container_of(f, struct timerfd, file);
}

bool file_is_timerfd(const struct file *f)
{
	return f->ops == &timerfd_ops;
}

static int64_t clock_now(enum kclock c)
{
	return c == KCLOCK_REALTIME ? ktime_real() : ktime_mono();
}

static void timerfd_fire(struct ktimer *k)
{
	struct timerfd *tf = container_of(k, struct timerfd, timer);
	bool fire;

	mutex_lock(&tf->mu);
	fire = tf->armed && !tf->expired && clock_now(tf->clock) >= tf->expires;
	if (fire) {
		tf->expired = true;
		tf->ticks++;
	}
	mutex_unlock(&tf->mu);
	if (fire)
		waitq_wake(&tf->wq, POLL_READ);
}

/* A periodic timer that has fired: counts the periods since and arms the next. */
static void catch_up_locked(struct timerfd *tf)
{
	int64_t late, n;

	if (!tf->armed || !tf->expired || !tf->interval)
		return;
	late = clock_now(tf->clock) - tf->expires;
	n = late < 0 ? 0 : late / tf->interval;
	tf->ticks += (uint64_t)n;
	if (add_overflow(tf->expires, (n + 1) * tf->interval, &tf->expires))
		tf->expires = TIME_FOREVER;
	tf->expired = false;
	ktimer_arm(&tf->timer, tf->expires);
}

/* Does a step of the realtime clock cancel it? */
static bool may_cancel(const struct timerfd *tf)
{
	return (tf->clockid == CLK_REALTIME || tf->clockid == CLK_REALTIME_ALARM) &&
	       tf->settime_flags == (TFD_TIMER_ABSTIME_F | TFD_TIMER_CANCEL_ON_SET_F);
}

/* Was it cancelled? Says so once. */
static bool take_cancelled_locked(struct timerfd *tf)
{
	bool yes = tf->cancelled && may_cancel(tf);

	if (yes)
		tf->cancelled = false;
	return yes;
}

static int64_t timerfd_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct timerfd *tf = timerfd_of(f);
	uint64_t ticks;

	if (u->left < sizeof(ticks))
		return -EINVAL;
	mutex_lock(&tf->mu);
	if (tf->ticks && take_cancelled_locked(tf)) {
		/* Whoever reads must set it anew: it neither counts nor goes on, as in Linux. */
		tf->ticks = 0;
		tf->armed = tf->armed && !tf->expired;
		tf->expired = false;
		mutex_unlock(&tf->mu);
		return -ECANCELED;
	}
	if (tf->ticks)
		catch_up_locked(tf);
	ticks = tf->ticks;
	tf->ticks = 0;
	mutex_unlock(&tf->mu);
	if (!ticks)
		return -EAGAIN;
	return uio_put(u, &ticks, sizeof(ticks)) == sizeof(ticks) ? (int64_t)sizeof(ticks) : -EFAULT;
}

static uint32_t timerfd_poll(struct file *f)
{
	struct timerfd *tf = timerfd_of(f);
	uint32_t ev;

	mutex_lock(&tf->mu);
	ev = tf->ticks ? LINUX_POLLIN : 0;
	mutex_unlock(&tf->mu);
	return ev;
}

static struct waitq *timerfd_pollq(struct file *f)
{
	return &timerfd_of(f)->wq;
}

static void get_locked(struct timerfd *tf, struct timerfd_spec *ret)
{
	catch_up_locked(tf);
	ret->interval = tf->interval;
	ret->value = 0;
	if (tf->armed && !tf->expired)
		/* An armed timer never shows 0, which would mean disarmed. */
		ret->value = MAX(tf->expires - clock_now(tf->clock), (int64_t)1);
}

void timerfd_get(struct file *f, struct timerfd_spec *ret)
{
	struct timerfd *tf = timerfd_of(f);

	mutex_lock(&tf->mu);
	get_locked(tf, ret);
	mutex_unlock(&tf->mu);
}

int timerfd_set(struct file *f, int flags, const struct timerfd_spec *val, struct timerfd_spec *old)
{
	struct timerfd *tf = timerfd_of(f);
	bool abs = flags & TFD_TIMER_ABSTIME_F;
	int r = 0;

	if (flags & ~(TFD_TIMER_ABSTIME_F | TFD_TIMER_CANCEL_ON_SET_F))
		return -EINVAL;
	mutex_lock(&tf->mu);
	if (old)
		get_locked(tf, old);
	ktimer_cancel(&tf->timer, false); /* a callback under way finds nothing due */
	tf->armed = val->value != 0;
	tf->expired = false;
	tf->ticks = 0;
	tf->interval = val->interval;
	tf->settime_flags = flags;
	tf->clock = abs && (tf->clockid == CLK_REALTIME || tf->clockid == CLK_REALTIME_ALARM) ? KCLOCK_REALTIME
											      : KCLOCK_MONOTONIC;
	if (tf->armed) {
		tf->expires = val->value;
		if (!abs && add_overflow(clock_now(tf->clock), val->value, &tf->expires))
			tf->expires = TIME_FOREVER;
		tf->timer.clock = tf->clock;
		ktimer_arm(&tf->timer, tf->expires);
		/* It is set all the same. */
		if (take_cancelled_locked(tf))
			r = -ECANCELED;
	}
	mutex_unlock(&tf->mu);
	return r;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *tf = timerfd_of(f);

	ktimer_cancel(&tf->timer, true);
	waitq_done(&tf->wq);
	mutex_destroy(&tf->mu);
	file_done(f);
	free(tf);
}

static void timerfd_show_fdinfo(struct file *f, struct strbuf *b)
{
	struct timerfd *tf = timerfd_of(f);
	struct timerfd_spec s;

	mutex_lock(&tf->mu);
	get_locked(tf, &s);
	strbuf_addf(b,
		    "clockid: %d\nticks: %lu\nsettime flags: 0%o\nit_value: (%ld, %ld)\nit_interval: (%ld, %ld)\n",
		    tf->clockid, (unsigned long)tf->ticks, (unsigned)tf->settime_flags, (long)(s.value / NSEC_PER_SEC),
		    (long)(s.value % NSEC_PER_SEC), (long)(s.interval / NSEC_PER_SEC), (long)(s.interval % NSEC_PER_SEC));
	mutex_unlock(&tf->mu);
}

static const struct file_ops timerfd_ops = {
	.name = "timerfd",
	.state = &timerfd_state_type,
	.release = timerfd_release,
	.read = timerfd_read,
	.poll = timerfd_poll,
	.pollq = timerfd_pollq,
	.llseek = file_noop_llseek,
	.show_fdinfo = timerfd_show_fdinfo,
};

static void *timerfd_alloc(void)
{
	struct timerfd *tf = calloc(1, sizeof(*tf));

	if (!tf)
		return NULL;
	ref_init(&tf->file.ref);
	mutex_init(&tf->mu, "timerfd.mu");
	waitq_init(&tf->wq);
	ktimer_init(&tf->timer, KCLOCK_MONOTONIC, timerfd_fire);
	return tf;
}

int timerfd_new(struct task *t, int clockid, uint32_t flags, struct file **ret)
{
	struct timerfd *tf = timerfd_alloc();

	if (!tf)
		return -ENOMEM;
	file_init(&tf->file, &timerfd_ops, LINUX_O_RDWR | flags, t, NULL, NULL);
	tf->clockid = clockid;
	*ret = &tf->file;
	return 0;
}

/* --- system calls --- */

static bool clock_ok(int id)
{
	return id == CLK_REALTIME || id == CLK_MONOTONIC || id == CLK_BOOTTIME || id == CLK_REALTIME_ALARM ||
	       id == CLK_BOOTTIME_ALARM;
}

int64_t sys_timerfd_create(struct task *t, const struct sys_args *a)
{
	int clockid = ARG_INT(a, 0), r;
	uint32_t flags = ARG_U32(a, 1);
	struct file *f;

	if ((flags & ~(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK)) || !clock_ok(clockid))
		return -EINVAL;
	if ((clockid == CLK_REALTIME_ALARM || clockid == CLK_BOOTTIME_ALARM) && !task_capable(t, CAP_WAKE_ALARM_NR))
		return -EPERM;
	r = timerfd_new(t, clockid, flags & LINUX_O_NONBLOCK, &f);
	if (r)
		return r;
	r = fd_install(t, f, 0, flags & LINUX_O_CLOEXEC);
	if (r < 0)
		file_put(f);
	return r;
}

/* struct itimerspec in application memory. */
struct itimerspec64 {
	struct linux_timespec interval, value;
};

static int to_ns(const struct linux_timespec *ts, int64_t *ret)
{
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	if (mul_overflow(ts->tv_sec, NSEC_PER_SEC, ret) || add_overflow(*ret, ts->tv_nsec, ret))
		*ret = TIME_FOREVER;
	return 0;
}

static struct itimerspec64 from_ns(const struct timerfd_spec *s)
{
	return (struct itimerspec64){ { s->interval / NSEC_PER_SEC, s->interval % NSEC_PER_SEC },
				      { s->value / NSEC_PER_SEC, s->value % NSEC_PER_SEC } };
}

static int get_timerfd(struct task *t, int fd, struct file **ret)
{
	struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	if (!file_is_timerfd(f)) {
		file_put(f);
		return -EINVAL;
	}
	*ret = f;
	return 0;
}

int64_t sys_timerfd_settime(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	struct timerfd_spec val, old;
	struct itimerspec64 its;
	int r = copy_in(t, &its, ARG_ADDR(a, 2), sizeof(its));

	if (!r)
		r = to_ns(&its.interval, &val.interval);
	if (!r)
		r = to_ns(&its.value, &val.value);
	if (!r && (ARG_INT(a, 1) & ~(TFD_TIMER_ABSTIME_F | TFD_TIMER_CANCEL_ON_SET_F)))
		r = -EINVAL;
	if (!r)
		r = get_timerfd(t, ARG_INT(a, 0), &f);
	/* The file may go to another time namespace: it keeps the kernel's time. */
	if (!r && val.value && (ARG_INT(a, 1) & TFD_TIMER_ABSTIME_F))
		val.value = MAX(task_clock_to_kernel(t, timerfd_of(f)->clockid, val.value), (int64_t)1);
	if (!r)
		r = timerfd_set(f, ARG_INT(a, 1), &val, &old);
	if (r || !ARG_ADDR(a, 3).v)
		return r;
	its = from_ns(&old);
	return copy_out(t, ARG_ADDR(a, 3), &its, sizeof(its));
}

int64_t sys_timerfd_gettime(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	struct timerfd_spec s;
	struct itimerspec64 its;
	int r = get_timerfd(t, ARG_INT(a, 0), &f);

	if (r)
		return r;
	timerfd_get(f, &s);
	its = from_ns(&s);
	return copy_out(t, ARG_ADDR(a, 1), &its, sizeof(its));
}

/* --- state --- */

static int timerfd_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct timerfd *tf = obj;
	Sentry__TimerFd *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->clockid = tf->clockid;
	m->realtime = tf->clock == KCLOCK_REALTIME;
	m->armed = tf->armed;
	m->expired = tf->expired;
	m->expires = tf->expires;
	m->interval = tf->interval;
	m->ticks = tf->ticks;
	m->settime_flags = (uint32_t)tf->settime_flags;
	return file_save_base(w, &tf->file, m->file_base);
}

static int timerfd_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__TimerFd *m = msg;
	struct timerfd *tf = obj;
	int err = state_check(r, m->file_base && clock_ok(m->clockid) && m->interval >= 0 && m->expires >= 0 && m->settime_flags <= 3,
			      "timerfd");

	if (err)
		return err;
	tf->clockid = m->clockid;
	tf->clock = m->realtime ? KCLOCK_REALTIME : KCLOCK_MONOTONIC;
	tf->timer.clock = tf->clock;
	tf->armed = m->armed;
	tf->expired = m->expired;
	tf->expires = m->expires;
	tf->interval = m->interval;
	tf->ticks = m->ticks;
	tf->settime_flags = (int)m->settime_flags;
	return file_load_base(r, &tf->file, &timerfd_ops, m->file_base);
}

static int timerfd_after_load(struct state_reader *r, void *obj)
{
	struct timerfd *tf = obj;

	if (tf->armed && !tf->expired)
		ktimer_arm(&tf->timer, tf->expires);
	tf->cancelled = may_cancel(tf);
	if (tf->cancelled)
		tf->ticks++; /* readable */
	file_after_load_base(&tf->file);
	return 0;
}

const struct state_type timerfd_state_type = {
	.id = STATE_ID_timerfd,
	.name = "timerfd",
	.desc = &sentry__timer_fd__descriptor,
	.prio = STATE_PRIO_TIMER,
	.alloc = timerfd_alloc,
	.save = timerfd_save,
	.load = timerfd_load,
	.after_load = timerfd_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
