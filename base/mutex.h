/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks. A mutex is a futex word of our own wrapped so that ownership can be asserted and, with
 * RUNSC_DEBUG_CHECKS, its place in the lock order checked: each mutex belongs to a class (the
 * initialiser's file:line by default); locking B while holding A records A -> B, and a later
 * A-while-holding-B aborts with both places. Locks of one class nest only through
 * mutex_lock_nested(), whose caller states an order.
 */
#ifndef BASE_MUTEX_H
#define BASE_MUTEX_H

#include <pthread.h>

#include "base/cleanup.h"
#include "base/util.h"

struct lock_class;

struct mutex {
	pthread_mutex_t m;
#ifdef RUNSC_DEBUG_CHECKS
	const char *name;
	uint32_t cls;
	_Atomic(pthread_t) owner;
#endif
};

struct rwlock {
	pthread_rwlock_t rw;
#ifdef RUNSC_DEBUG_CHECKS
	const char *name;
	uint32_t cls;
#endif
};

struct cond {
	pthread_cond_t c;
};

#ifdef RUNSC_DEBUG_CHECKS
#define MUTEX_INIT(nm) { .m = PTHREAD_MUTEX_INITIALIZER, .name = nm }
#define RWLOCK_INIT(nm) { .rw = PTHREAD_RWLOCK_INITIALIZER, .name = nm }
#else
#define MUTEX_INIT(nm) { .m = PTHREAD_MUTEX_INITIALIZER }
#define RWLOCK_INIT(nm) { .rw = PTHREAD_RWLOCK_INITIALIZER }
#endif

/* @name is the class: a string literal such as "mm.lock"; all mutexes of one name share a place in the order. */
void mutex_init(struct mutex *m, const char *name);
void mutex_destroy(struct mutex *m);
void mutex_lock(struct mutex *m);
/* For a second lock of a class already held; the caller documents the order (usually by address or parent first). */
void mutex_lock_nested(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
void mutex_assert_held(const struct mutex *m);

void rwlock_init(struct rwlock *l, const char *name);
void rwlock_destroy(struct rwlock *l);
void rwlock_rdlock(struct rwlock *l);
void rwlock_wrlock(struct rwlock *l);
/* For a second lock of a class already held; the caller documents the order. */
void rwlock_wrlock_nested(struct rwlock *l);
void rwlock_unlock(struct rwlock *l);

/* Condition variables use CLOCK_MONOTONIC. */
void cond_init(struct cond *c);
void cond_destroy(struct cond *c);
void cond_wait(struct cond *c, struct mutex *m);
/* @deadline_ns: absolute host CLOCK_MONOTONIC; returns -ETIMEDOUT or 0. */
int cond_timedwait(struct cond *c, struct mutex *m, int64_t deadline_ns);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

static inline void mutex_unlockp(struct mutex **m)
{
	if (*m)
		mutex_unlock(*m);
}

/* Holds @m to the end of the enclosing scope. */
#define GUARD_CAT2(a, b) a##b
#define GUARD_CAT(a, b)  GUARD_CAT2(a, b)
#define mutex_guard(mu)                                                                            \
	struct mutex *GUARD_CAT(_guard_, __LINE__) _cleanup_(mutex_unlockp) _unused_ =             \
		({ struct mutex *_gm = (mu); mutex_lock(_gm); _gm; })

#endif
