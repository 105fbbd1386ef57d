/* SPDX-License-Identifier: Apache-2.0 */
/* Guest-facing basic types. A guest address is a struct so that it cannot be mixed with a host pointer. */
#ifndef SENTRY_ABI_TYPES_H
#define SENTRY_ABI_TYPES_H

#include <stdint.h>

#include "base/util.h"

typedef struct {
	uint64_t v;
} gaddr_t;

#define GADDR(x)   ((gaddr_t){ (uint64_t)(x) })
#define GADDR_NULL GADDR(0)

static inline gaddr_t gaddr_add(gaddr_t a, uint64_t n)
{
	return GADDR(a.v + n); /* wraps; every access is range-checked by the mm */
}

struct linux_timespec {
	int64_t tv_sec, tv_nsec;
};

struct linux_timeval {
	int64_t tv_sec, tv_usec;
};

struct linux_iovec {
	uint64_t iov_base, iov_len;
};

/* A 64-bit signal set; signal n is bit n-1. */
typedef uint64_t sigset64_t;
#define SIGBIT(n) (1ULL << ((n)-1))

#endif
