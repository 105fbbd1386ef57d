/* SPDX-License-Identifier: Apache-2.0 */
/* Small arithmetic and layout helpers used everywhere. */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* Nested uses are fine: every expansion has names of its own. */
#define MIN(a, b)  MINMAX_(a, b, <, __COUNTER__)
#define MAX(a, b)  MINMAX_(a, b, >, __COUNTER__)
#define MINMAX_(a, b, op, n)  MINMAX__(a, b, op, n)
#define MINMAX__(a, b, op, n)                                                                      \
	({                                                                                         \
		__typeof__(a) _ma##n = (a);                                                        \
		__typeof__(b) _mb##n = (b);                                                        \
		_ma##n op _mb##n ? _ma##n : _mb##n;                                                \
	})
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)   ALIGN_DOWN((x) + ((__typeof__(x))(a)-1), a)
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a)-1)) == 0)

#define container_of(ptr, type, member)                                                            \
	({                                                                                         \
		const __typeof__(((type *)0)->member) *_mptr = (ptr);                              \
		(type *)((char *)(uintptr_t)_mptr - offsetof(type, member));                       \
	})

/* Overflow-checked arithmetic: true when the result did not fit. Use on every guest, image or peer value. */
#define add_overflow(a, b, res) __builtin_add_overflow(a, b, res)
#define sub_overflow(a, b, res) __builtin_sub_overflow(a, b, res)
#define mul_overflow(a, b, res) __builtin_mul_overflow(a, b, res)

#define PAGE_SIZE  4096UL
#define PAGE_SHIFT 12
#define PAGE_MASK  (~(PAGE_SIZE - 1))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
