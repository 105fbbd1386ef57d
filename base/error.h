/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error objects for the command line and sandbox start: what failed, on what, why, what to do.
 *
 * A function takes `struct error **err` (may be NULL) and returns a negative errno; on failure it has
 * stored exactly one error. Callers add context with error_prefix() going up; the top prints it once.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/cleanup.h"

struct error {
	int code; /* negative errno, 0 when there is none that fits */
	char *msg; /* one line, no newline */
};

/* Stores "<formatted>" (and ": strerror" when code != 0); returns code, or -EINVAL when code is 0. */
int error_set(struct error **err, int code, const char *fmt, ...) _printf_(3, 4);
/* Like error_set but does not append strerror(code). */
int error_msg(struct error **err, int code, const char *fmt, ...) _printf_(3, 4);
/* Prepends "<formatted>: "; returns the stored code. */
int error_prefix(struct error **err, const char *fmt, ...) _printf_(2, 3);
const char *error_text(const struct error *err);
struct error *error_free(struct error *err);

static inline void error_freep(struct error **e)
{
	*e = error_free(*e);
}
#define _cleanup_error_ _cleanup_(error_freep)

#endif
