/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks over pthreads, and the debug lock-order checker.
 *
 * The checker keeps one bit matrix "class A was held when class B was taken". A new edge that
 * closes a cycle of length two or more aborts at once, on the first run that shows the order, not
 * only when two threads meet. Classes are interned by name; 256 are enough for this tree.
 */
#include "base/mutex.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void check(int r, const char *what)
{
	if (likely(r == 0))
		return;
	(void)fprintf(stderr, "runsc: %s: %s\n", what, strerror(r));
	abort();
}

#ifdef RUNSC_DEBUG_CHECKS
#define MAX_CLASS 256
#define MAX_HELD  32

static pthread_mutex_t dep_mu = PTHREAD_MUTEX_INITIALIZER;
static const char *class_name[MAX_CLASS];
static uint32_t nr_class = 1;
static uint8_t dep[MAX_CLASS][MAX_CLASS];
static __thread uint32_t held[MAX_HELD];
static __thread int nr_held;

static uint32_t class_of(const char *name)
{
	uint32_t i;

	if (!name)
		name = "anonymous";
	pthread_mutex_lock(&dep_mu);
	for (i = 1; i < nr_class; i++)
		if (!strcmp(class_name[i], name))
			break;
	if (i == nr_class) {
		if (nr_class == MAX_CLASS)
			abort();
		class_name[nr_class++] = name;
	}
	pthread_mutex_unlock(&dep_mu);
	return i;
}

static bool reaches(uint32_t from, uint32_t to, uint8_t *seen)
{
	if (from == to)
		return true;
	seen[from] = 1;
	for (uint32_t i = 1; i < nr_class; i++)
		if (dep[from][i] && !seen[i] && reaches(i, to, seen))
			return true;
	return false;
}

static void dep_acquire(uint32_t cls, bool nested)
{
	for (int i = 0; i < nr_held; i++) {
		uint32_t h = held[i];
		uint8_t seen[MAX_CLASS] = { 0 };

		if (h == cls) {
			if (nested)
				continue;
			(void)fprintf(stderr, "lock order: %s taken twice without nesting\n", class_name[cls]);
			abort();
		}
		if (__atomic_load_n(&dep[h][cls], __ATOMIC_RELAXED))
			continue;
		pthread_mutex_lock(&dep_mu);
		if (reaches(cls, h, seen)) {
			(void)fprintf(stderr, "lock order: %s taken while holding %s, but the other order was seen\n",
				      class_name[cls], class_name[h]);
			abort();
		}
		dep[h][cls] = 1;
		pthread_mutex_unlock(&dep_mu);
	}
	if (nr_held == MAX_HELD)
		abort();
	held[nr_held++] = cls;
}

static void dep_release(uint32_t cls)
{
	for (int i = nr_held - 1; i >= 0; i--)
		if (held[i] == cls) {
			memmove(&held[i], &held[i + 1], (size_t)(nr_held - i - 1) * sizeof(held[0]));
			nr_held--;
			return;
		}
	abort();
}

static uint32_t lazy_class(uint32_t *cls, const char *name)
{
	if (!__atomic_load_n(cls, __ATOMIC_RELAXED))
		__atomic_store_n(cls, class_of(name), __ATOMIC_RELAXED);
	return *cls;
}
#endif

void mutex_init(struct mutex *m, const char *name)
{
	(void)name;
	check(pthread_mutex_init(&m->m, NULL), "mutex_init");
#ifdef RUNSC_DEBUG_CHECKS
	m->name = name;
	m->cls = 0;
	m->owner = 0;
#endif
}

void mutex_destroy(struct mutex *m)
{
	check(pthread_mutex_destroy(&m->m), "mutex_destroy");
}

static void lock_common(struct mutex *m, bool nested)
{
#ifdef RUNSC_DEBUG_CHECKS
	dep_acquire(lazy_class(&m->cls, m->name), nested);
#else
	(void)nested;
#endif
	check(pthread_mutex_lock(&m->m), "mutex_lock");
#ifdef RUNSC_DEBUG_CHECKS
	m->owner = pthread_self();
#endif
}

void mutex_lock(struct mutex *m)
{
	lock_common(m, false);
}

void mutex_lock_nested(struct mutex *m)
{
	lock_common(m, true);
}

bool mutex_trylock(struct mutex *m)
{
	if (pthread_mutex_trylock(&m->m) != 0)
		return false;
#ifdef RUNSC_DEBUG_CHECKS
	/* A trylock cannot deadlock, so it adds no edge; it is only remembered as held. */
	held[nr_held++] = lazy_class(&m->cls, m->name);
	m->owner = pthread_self();
#endif
	return true;
}

void mutex_unlock(struct mutex *m)
{
#ifdef RUNSC_DEBUG_CHECKS
	mutex_assert_held(m);
	m->owner = 0;
	dep_release(m->cls);
#endif
	check(pthread_mutex_unlock(&m->m), "mutex_unlock");
}

void mutex_assert_held(const struct mutex *m)
{
#ifdef RUNSC_DEBUG_CHECKS
	if (m->owner != pthread_self()) {
		(void)fprintf(stderr, "lock %s is not held by this thread\n", m->name ? m->name : "?");
		abort();
	}
#else
	(void)m;
#endif
}

void rwlock_init(struct rwlock *l, const char *name)
{
	(void)name;
	check(pthread_rwlock_init(&l->rw, NULL), "rwlock_init");
#ifdef RUNSC_DEBUG_CHECKS
	l->name = name;
	l->cls = 0;
#endif
}

void rwlock_destroy(struct rwlock *l)
{
	check(pthread_rwlock_destroy(&l->rw), "rwlock_destroy");
}

void rwlock_rdlock(struct rwlock *l)
{
#ifdef RUNSC_DEBUG_CHECKS
	dep_acquire(lazy_class(&l->cls, l->name), false);
#endif
	check(pthread_rwlock_rdlock(&l->rw), "rwlock_rdlock");
}

void rwlock_wrlock(struct rwlock *l)
{
#ifdef RUNSC_DEBUG_CHECKS
	dep_acquire(lazy_class(&l->cls, l->name), false);
#endif
	check(pthread_rwlock_wrlock(&l->rw), "rwlock_wrlock");
}

void rwlock_wrlock_nested(struct rwlock *l)
{
#ifdef RUNSC_DEBUG_CHECKS
	dep_acquire(lazy_class(&l->cls, l->name), true);
#endif
	check(pthread_rwlock_wrlock(&l->rw), "rwlock_wrlock");
}

void rwlock_unlock(struct rwlock *l)
{
#ifdef RUNSC_DEBUG_CHECKS
	dep_release(l->cls);
#endif
	check(pthread_rwlock_unlock(&l->rw), "rwlock_unlock");
}

void cond_init(struct cond *c)
{
	pthread_condattr_t a;

	check(pthread_condattr_init(&a), "condattr_init");
	check(pthread_condattr_setclock(&a, CLOCK_MONOTONIC), "condattr_setclock");
	check(pthread_cond_init(&c->c, &a), "cond_init");
	(void)pthread_condattr_destroy(&a);
}

void cond_destroy(struct cond *c)
{
	check(pthread_cond_destroy(&c->c), "cond_destroy");
}

/* The mutex is released inside the wait; the debug owner follows it. */
void cond_wait(struct cond *c, struct mutex *m)
{
#ifdef RUNSC_DEBUG_CHECKS
	mutex_assert_held(m);
	m->owner = 0;
#endif
	check(pthread_cond_wait(&c->c, &m->m), "cond_wait");
#ifdef RUNSC_DEBUG_CHECKS
	m->owner = pthread_self();
#endif
}

int cond_timedwait(struct cond *c, struct mutex *m, int64_t deadline_ns)
{
	struct timespec ts = { .tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000 };
	int r;

#ifdef RUNSC_DEBUG_CHECKS
	mutex_assert_held(m);
	m->owner = 0;
#endif
	r = pthread_cond_timedwait(&c->c, &m->m, &ts);
#ifdef RUNSC_DEBUG_CHECKS
	m->owner = pthread_self();
#endif
	if (r != ETIMEDOUT)
		check(r, "cond_timedwait");
	return -r;
}

void cond_signal(struct cond *c)
{
	check(pthread_cond_signal(&c->c), "cond_signal");
}

void cond_broadcast(struct cond *c)
{
	check(pthread_cond_broadcast(&c->c), "cond_broadcast");
}
