/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks and kernel timers.
 *
 * One thread, started by the first armed timer, sleeps until the earliest deadline of two binary heaps (one per clock, because
 * the realtime clock may be set). Callbacks run on it, one at a time, with no lock held.
 *
 * Locks: timers.mu is taken by arm and cancel under any object lock; callbacks may take those locks because the timer thread
 * holds nothing while it calls. Checkpoint: owners save their deadlines; the heaps are not saved.
 */
#include "sentry/kernel/time.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/mutex.h"

static int64_t mono_offset; /* guest minus host; written once, before anything runs */

static struct {
	struct mutex mu;
	struct cond cv; /* the thread: heap changed; cancellers: callback returned */
	struct heap {
		struct ktimer **v; /* 1-based */
		size_t n, cap;
	} heap[2];
	struct ktimer *running; /* its callback is being called; compared, never followed */
	bool started, frozen;
} timers = { .mu = MUTEX_INIT("ktimer.mu") };
static pthread_once_t timers_once = PTHREAD_ONCE_INIT;

static void timers_init(void)
{
	cond_init(&timers.cv);
}

static int64_t host_now(clockid_t c)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(c, &ts); /* cannot fail for these clocks */
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

int64_t ktime_mono(void)
{
	return host_now(CLOCK_MONOTONIC) + mono_offset;
}

int64_t ktime_real(void)
{
	return host_now(CLOCK_REALTIME);
}

int64_t ktime_real_since(int64_t then)
{
	int64_t d;

	return sub_overflow(ktime_real(), then, &d) || d < 0 ? 0 : d;
}

int64_t ktime_to_host(int64_t guest_mono)
{
	int64_t r;

	if (guest_mono == TIME_FOREVER || sub_overflow(guest_mono, mono_offset, &r))
		return TIME_FOREVER;
	return MAX(r, (int64_t)0);
}

void ktime_set_offset(int64_t guest_minus_host)
{
	mono_offset = guest_minus_host;
}

int64_t ktime_offset(void)
{
	return mono_offset;
}

/* --- heap --- */

static void heap_set(struct heap *h, size_t i, struct ktimer *t)
{
	h->v[i] = t;
	t->heap_idx = i;
}

static void heap_up(struct heap *h, size_t i)
{
	struct ktimer *t = h->v[i];

	for (; i > 1 && h->v[i / 2]->deadline > t->deadline; i /= 2)
		heap_set(h, i, h->v[i / 2]);
	heap_set(h, i, t);
}

static void heap_down(struct heap *h, size_t i)
{
	struct ktimer *t = h->v[i];

	for (size_t c = 2 * i; c <= h->n; c = 2 * i) {
		if (c < h->n && h->v[c + 1]->deadline < h->v[c]->deadline)
			c++;
		if (h->v[c]->deadline >= t->deadline)
			break;
		heap_set(h, i, h->v[c]);
		i = c;
	}
	heap_set(h, i, t);
}

static void heap_remove(struct heap *h, struct ktimer *t)
{
	size_t i = t->heap_idx;
	struct ktimer *last = h->v[h->n--];

	t->heap_idx = 0;
	if (last == t)
		return;
	heap_set(h, i, last);
	heap_up(h, i);
	heap_down(h, last->heap_idx);
}

static void heap_insert(struct heap *h, struct ktimer *t)
{
	if (h->n + 1 >= h->cap) {
		size_t cap = h->cap ? h->cap * 2 : 16;
		struct ktimer **v = realloc(h->v, cap * sizeof(struct ktimer *));

		if (!v)
			abort(); /* 8 bytes per timer, timers are bounded by their owners: only a host out of memory gets here */
		h->v = v;
		h->cap = cap;
	}
	h->v[++h->n] = t;
	heap_up(h, h->n);
}

/* --- the thread --- */

static struct ktimer *due(int64_t *ret_next_host)
{
	*ret_next_host = TIME_FOREVER;
	for (int c = 0; c < 2; c++) {
		struct heap *h = &timers.heap[c];
		int64_t now = c == KCLOCK_MONOTONIC ? ktime_mono() : ktime_real(), next;

		if (!h->n)
			continue;
		if (h->v[1]->deadline <= now)
			return h->v[1];
		/* A deadline of the guest may be beyond what the host's clock can say. A realtime deadline is re-examined every second
		 * in case the clock was set. */
		if (c == KCLOCK_MONOTONIC)
			next = ktime_to_host(h->v[1]->deadline);
		else
			next = host_now(CLOCK_MONOTONIC) + MIN(h->v[1]->deadline - now, NSEC_PER_SEC);
		*ret_next_host = MIN(*ret_next_host, next);
	}
	return NULL;
}

static void *timer_thread(void *arg)
{
	mutex_lock(&timers.mu);
	for (;;) {
		int64_t next = TIME_FOREVER;
		struct ktimer *t = timers.frozen ? NULL : due(&next);

		if (t) {
			heap_remove(&timers.heap[t->clock], t);
			timers.running = t;
			mutex_unlock(&timers.mu);
			t->fn(t);
			mutex_lock(&timers.mu);
			/* The owner may have freed @t from its callback unless somebody waits for it synchronously. */
			timers.running = NULL;
			cond_broadcast(&timers.cv);
		} else if (next == TIME_FOREVER) {
			cond_wait(&timers.cv, &timers.mu);
		} else {
			(void)cond_timedwait(&timers.cv, &timers.mu, next);
		}
	}
	return NULL;
}

static void start_thread_locked(void)
{
	pthread_attr_t a;
	pthread_t th;

	if (timers.started)
		return;
	if (pthread_attr_init(&a) || pthread_attr_setstacksize(&a, 128 << 10) ||
	    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED) || pthread_create(&th, &a, timer_thread, NULL))
		abort(); /* without its timer thread the kernel would hang silently */
	(void)pthread_attr_destroy(&a);
	timers.started = true;
}

void ktimer_init(struct ktimer *t, enum kclock clock, void (*fn)(struct ktimer *))
{
	*t = (struct ktimer){ .clock = clock, .fn = fn };
}

void ktimer_arm(struct ktimer *t, int64_t deadline)
{
	(void)pthread_once(&timers_once, timers_init);
	mutex_lock(&timers.mu);
	if (t->heap_idx)
		heap_remove(&timers.heap[t->clock], t);
	t->deadline = deadline;
	if (deadline != TIME_FOREVER) {
		heap_insert(&timers.heap[t->clock], t);
		if (!timers.frozen)
			start_thread_locked();
		if (t->heap_idx == 1)
			cond_broadcast(&timers.cv);
	}
	mutex_unlock(&timers.mu);
}

void ktimer_cancel(struct ktimer *t, bool sync)
{
	(void)pthread_once(&timers_once, timers_init);
	mutex_lock(&timers.mu);
	if (t->heap_idx)
		heap_remove(&timers.heap[t->clock], t);
	while (sync && timers.running == t) {
		cond_wait(&timers.cv, &timers.mu);
		if (t->heap_idx) /* the callback armed it again */
			heap_remove(&timers.heap[t->clock], t);
	}
	mutex_unlock(&timers.mu);
}

void ktimer_freeze(void)
{
	(void)pthread_once(&timers_once, timers_init);
	mutex_lock(&timers.mu);
	timers.frozen = true;
	while (timers.running)
		cond_wait(&timers.cv, &timers.mu);
	mutex_unlock(&timers.mu);
}

void ktimer_thaw(void)
{
	mutex_lock(&timers.mu);
	timers.frozen = false;
	if (timers.heap[0].n || timers.heap[1].n)
		start_thread_locked();
	cond_broadcast(&timers.cv);
	mutex_unlock(&timers.mu);
}
