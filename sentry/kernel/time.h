/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks and one-shot kernel timers.
 *
 * Guest CLOCK_MONOTONIC = host CLOCK_MONOTONIC + an offset chosen at restore so that it continues from the saved value; BOOTTIME
 * likewise. Guest CLOCK_REALTIME is the host's. All times are int64 nanoseconds.
 *
 * struct ktimer: one callback at one deadline, run on the timer thread (started lazily) with no lock held. Owners embed
 * it, save their own deadline as guest time and arm again in the restore phase "arm timers".
 */
#ifndef SENTRY_KERNEL_TIME_H
#define SENTRY_KERNEL_TIME_H

#include "base/list.h"
#include "base/util.h"

#define NSEC_PER_SEC 1000000000LL
#define TIME_FOREVER INT64_MAX

enum kclock { KCLOCK_MONOTONIC, KCLOCK_REALTIME };

int64_t ktime_mono(void); /* guest monotonic now */
int64_t ktime_real(void); /* guest realtime now */
/* How long ago realtime @then was. 0 when that is yet to come: the clock was set back, or another host's is behind. */
int64_t ktime_real_since(int64_t then);
/* Guest monotonic -> host monotonic, for host waits. TIME_FOREVER stays. */
int64_t ktime_to_host(int64_t guest_mono);
/* Set once at restore, before anything runs. */
void ktime_set_offset(int64_t guest_minus_host);
int64_t ktime_offset(void);

struct ktimer {
	size_t heap_idx; /* private: 1-based, 0 when not armed */
	enum kclock clock;
	int64_t deadline; /* on @clock */
	void (*fn)(struct ktimer *);
};

void ktimer_init(struct ktimer *t, enum kclock clock, void (*fn)(struct ktimer *));
/* (Re)arms at absolute @deadline of its clock; in the past: fires at once. */
void ktimer_arm(struct ktimer *t, int64_t deadline);
/* Disarms; the callback itself may free its timer. When @sync waits until a running callback has returned (never call with a lock the callback takes, nor from it). */
void ktimer_cancel(struct ktimer *t, bool sync);
/* While the kernel is frozen no callback runs; deadlines that pass meanwhile fire at the thaw. */
void ktimer_freeze(void);
void ktimer_thaw(void);

#endif
