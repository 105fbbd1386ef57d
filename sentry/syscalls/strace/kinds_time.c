/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of clocks and timers. */
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <time.h>

#include "sentry/syscalls/strace/internal.h"

static const struct xlat x_clock[] = {
	X(CLOCK_REALTIME), X(CLOCK_MONOTONIC), X(CLOCK_PROCESS_CPUTIME_ID), X(CLOCK_THREAD_CPUTIME_ID), X(CLOCK_MONOTONIC_RAW), X(CLOCK_REALTIME_COARSE),
	X(CLOCK_MONOTONIC_COARSE), X(CLOCK_BOOTTIME), X(CLOCK_REALTIME_ALARM), X(CLOCK_BOOTTIME_ALARM), X(CLOCK_TAI), XEND,
};

/* Negative ids are CPU clocks of a task, or a descriptor's. */
bool k_CLOCK(struct dec *d, uint64_t v)
{
	static const char *const cpu[] = { "CPUCLOCK_PROF", "CPUCLOCK_VIRT", "CPUCLOCK_SCHED", "CPUCLOCK_???" };
	int id = (int)v;

	if (id >= 0)
		dec_value(d, x_clock, v, "CLOCK_???");
	else if ((id & 7) == 3)
		strbuf_addf(&d->b, "FD_TO_CLOCKID(%d)", ~(id >> 3));
	else
		strbuf_addf(&d->b, "MAKE_%s_CPUCLOCK(%d, %s)", id & 4 ? "THREAD" : "PROCESS", ~(id >> 3), cpu[id & 3]);
	return true;
}

bool k_TIMESPEC(struct dec *d, uint64_t v)
{
	dec_timespec(d, v);
	return true;
}

bool k_OUT_TIMESPEC(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		dec_timespec(d, v);
	return true;
}

/* What was left of a sleep: written only when a handler interrupted it. */
bool k_OUT_REM(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (d->ret == -EINTR || d->ret == -ERESTARTBLOCK)
		dec_timespec(d, v);
	else
		dec_ptr(d, v);
	return true;
}

bool k_TIMEVAL(struct dec *d, uint64_t v)
{
	int64_t t[2];

	if (dec_read(d, v, t, sizeof(t)))
		dec_timeval_val(d, t[0], t[1]);
	else
		dec_ptr(d, v);
	return true;
}

bool k_OUT_TIMEVAL(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		(void)k_TIMEVAL(d, v);
	return true;
}

bool k_OUT_TIMET(struct dec *d, uint64_t v)
{
	int64_t s;

	if (!d->exit)
		return false;
	if (!dec_failed(d) && dec_read(d, v, &s, sizeof(s)))
		strbuf_addf(&d->b, "[%ld]", (long)s);
	else
		dec_ptr(d, v);
	return true;
}

static const struct xlat x_itimer[] = { X(ITIMER_REAL), X(ITIMER_VIRTUAL), X(ITIMER_PROF), XEND };

bool k_ITIMER(struct dec *d, uint64_t v)
{
	dec_value(d, x_itimer, (uint32_t)v, "ITIMER_???");
	return true;
}

static bool itimer_of(struct dec *d, uint64_t v, void (*put)(struct dec *d, int64_t a, int64_t b))
{
	int64_t t[4];

	if (!dec_read(d, v, t, sizeof(t))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, "{it_interval=");
	put(d, t[0], t[1]);
	strbuf_adds(&d->b, ", it_value=");
	put(d, t[2], t[3]);
	strbuf_addc(&d->b, '}');
	return true;
}

bool k_ITIMERVAL(struct dec *d, uint64_t v)
{
	return itimer_of(d, v, dec_timeval_val);
}

bool k_OUT_ITIMERVAL(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		(void)itimer_of(d, v, dec_timeval_val);
	return true;
}

bool k_ITIMERSPEC(struct dec *d, uint64_t v)
{
	return itimer_of(d, v, dec_timespec_val);
}

bool k_OUT_ITIMERSPEC(struct dec *d, uint64_t v)
{
	if (!d->exit)
		return false;
	if (dec_failed(d))
		dec_ptr(d, v);
	else
		(void)itimer_of(d, v, dec_timespec_val);
	return true;
}

static const struct xlat x_abstime[] = { { 1, "TIMER_ABSTIME" }, XEND };

bool k_TIMERFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_abstime, (uint32_t)v, "TIMER_???");
	return true;
}

static const struct xlat x_tfd[] = { X(TFD_CLOEXEC), X(TFD_NONBLOCK), XEND };
static const struct xlat x_tfd_set[] = { X(TFD_TIMER_ABSTIME), X(TFD_TIMER_CANCEL_ON_SET), XEND };

bool k_TFDFLAGS(struct dec *d, uint64_t v)
{
	dec_flags(d, x_tfd, (uint32_t)v, "TFD_???");
	return true;
}

bool k_TFDSETTIME(struct dec *d, uint64_t v)
{
	dec_flags(d, x_tfd_set, (uint32_t)v, "TFD_???");
	return true;
}

static const struct xlat x_notify[] = { { 0, "SIGEV_SIGNAL" }, { 1, "SIGEV_NONE" }, { 2, "SIGEV_THREAD" }, { 4, "SIGEV_THREAD_ID" }, XEND };

bool k_SIGEVENT(struct dec *d, uint64_t v)
{
	struct {
		uint64_t value;
		int32_t signo, notify, tid;
	} e;

	if (!dec_read(d, v, &e, sizeof(e))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_addf(&d->b, "{sigev_value={sival_int=%d, sival_ptr=", (int)e.value);
	dec_ptr(d, e.value);
	strbuf_adds(&d->b, "}, sigev_signo=");
	dec_signame(d, e.signo);
	strbuf_adds(&d->b, ", sigev_notify=");
	dec_value(d, x_notify, (uint32_t)e.notify, "SIGEV_???");
	if (e.notify == 4)
		strbuf_addf(&d->b, ", sigev_notify_thread_id=%d", e.tid);
	strbuf_addc(&d->b, '}');
	return true;
}

bool k_OUT_TIMERID(struct dec *d, uint64_t v)
{
	return k_OUT_INT(d, v);
}

static const struct xlat x_adj[] = {
	X(ADJ_OFFSET_SINGLESHOT), X(ADJ_OFFSET_SS_READ), X(ADJ_OFFSET), X(ADJ_FREQUENCY), X(ADJ_MAXERROR), X(ADJ_ESTERROR), X(ADJ_STATUS),
	X(ADJ_TIMECONST), X(ADJ_TAI), X(ADJ_SETOFFSET), X(ADJ_MICRO), X(ADJ_NANO), X(ADJ_TICK), XEND,
};
static const struct xlat x_sta[] = {
	X(STA_PLL), X(STA_PPSFREQ), X(STA_PPSTIME), X(STA_FLL), X(STA_INS), X(STA_DEL), X(STA_UNSYNC), X(STA_FREQHOLD), X(STA_PPSSIGNAL), X(STA_PPSJITTER),
	X(STA_PPSWANDER), X(STA_PPSERROR), X(STA_CLOCKERR), X(STA_NANO), X(STA_MODE), X(STA_CLK), XEND,
};

bool k_OUT_TIMEX(struct dec *d, uint64_t v)
{
	struct timex t;

	if (!d->exit)
		return false;
	if (dec_failed(d) || !dec_read(d, v, &t, sizeof(t))) {
		dec_ptr(d, v);
		return true;
	}
	strbuf_adds(&d->b, "{modes=");
	dec_flags(d, x_adj, t.modes, "ADJ_???");
	strbuf_addf(&d->b, ", offset=%ld, freq=%ld, maxerror=%ld, esterror=%ld, status=", t.offset, t.freq, t.maxerror, t.esterror);
	dec_flags(d, x_sta, (uint32_t)t.status, "STA_???");
	strbuf_addf(&d->b, ", constant=%ld, precision=%ld, tolerance=%ld, time=", t.constant, t.precision, t.tolerance);
	dec_timeval_val(d, t.time.tv_sec, t.time.tv_usec);
	strbuf_addf(&d->b, ", tick=%ld, ppsfreq=%ld, jitter=%ld, shift=%d, stabil=%ld, jitcnt=%ld, calcnt=%ld, errcnt=%ld, stbcnt=%ld}", t.tick, t.ppsfreq,
		    t.jitter, t.shift, t.stabil, t.jitcnt, t.calcnt, t.errcnt, t.stbcnt);
	return true;
}
