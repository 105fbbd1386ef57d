/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is freed all at once: parsed configuration, the argument lists built from it. Not for anything a guest
 * can make grow: single pieces cannot be given back.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/cleanup.h"
#include "base/util.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
};

/* Zeroed memory for @n elements of @size bytes, aligned for any type; NULL when out of memory or on overflow. */
void *arena_zalloc(struct arena *a, size_t n, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) _printf_(2, 3);
void arena_done(struct arena *a);

#define arena_new(a, type) ((type *)arena_zalloc(a, 1, sizeof(type)))

#endif
