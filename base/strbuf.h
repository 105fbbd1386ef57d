/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing text buffer, used by proc files, JSON and messages. Failure to allocate is sticky: later
 * appends do nothing and strbuf_error() reports -ENOMEM once at the end.
 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include "base/cleanup.h"
#include "base/util.h"

struct strbuf {
	char *data; /* NUL-terminated when not NULL */
	size_t len, cap;
	int err;
};

#define STRBUF_INIT { 0 }

void strbuf_done(struct strbuf *b);
void strbuf_reset(struct strbuf *b);
void strbuf_add(struct strbuf *b, const void *p, size_t n);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_adds(struct strbuf *b, const char *s);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) _printf_(2, 3);
/* Returns 0 or -ENOMEM. */
_must_check_ int strbuf_error(const struct strbuf *b);
/* Moves the text out (never NULL on success); the buffer is empty afterwards. NULL when out of memory. */
char *strbuf_take(struct strbuf *b);

#define _cleanup_strbuf_ _cleanup_(strbuf_done)

#endif
