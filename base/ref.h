/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one reference counter.
 *
 * Rules: (1) take a reference before handing a pointer to somebody who keeps it; (2) put it when done;
 * (3) a lookup that holds no reference must hold the lock that keeps the object in its table, or use
 * ref_tryget(), which fails once the count has reached zero.
 */
#ifndef BASE_REF_H
#define BASE_REF_H

#include <stdatomic.h>
#include <stdlib.h>

#include "base/util.h"

struct ref {
	_Atomic int32_t n;
};

#define REF_DEAD (-0x40000000)

static inline void ref_init(struct ref *r)
{
	atomic_store_explicit(&r->n, 1, memory_order_relaxed);
}

static inline void ref_get(struct ref *r)
{
	int32_t old = atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed);

	if (unlikely(old <= 0))
		abort(); /* use after the last put: continuing would corrupt memory */
}


static inline bool ref_tryget(struct ref *r)
{
	int32_t old = atomic_load_explicit(&r->n, memory_order_relaxed);

	while (old > 0)
		if (atomic_compare_exchange_weak_explicit(&r->n, &old, old + 1,
							  memory_order_acquire,
							  memory_order_relaxed))
			return true;
	return false;
}

/* Returns true when the caller dropped the last reference and must destroy the object. */
static inline bool ref_put(struct ref *r)
{
	int32_t old = atomic_fetch_sub_explicit(&r->n, 1, memory_order_acq_rel);

	if (unlikely(old <= 0))
		abort();
	return old == 1;
}

static inline int32_t ref_count(const struct ref *r)
{
	return atomic_load_explicit((_Atomic int32_t *)(uintptr_t)&r->n, memory_order_relaxed);
}

#endif
