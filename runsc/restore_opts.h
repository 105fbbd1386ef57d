/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct sentry_restore_opts on its way from the flags of `restore` to the sandbox, and what the sandbox warns of on its
 * way back: the "restore" member of the setup message and the "warnings" member of its answer.
 */
#ifndef RUNSC_RESTORE_OPTS_H
#define RUNSC_RESTORE_OPTS_H

#include <jansson.h>

#include "runsc/cli.h"
#include "sentry/sentry.h"

#define WORKING_SET_SECS_MAX 86400

/* The values of flags, NULL or "" for the default. -EINVAL names the flag and what it takes. */
_must_check_ int restore_opts_parse(const char *file_check, const char *clock, struct sentry_restore_opts *o, struct error **err);

/* New object; NULL: no memory. */
json_t *restore_opts_to_json(const struct sentry_restore_opts *o);
/* Fills the options that travel and leaves the others of @o alone. @j NULL: the defaults. -EPROTO for a value that is none. */
_must_check_ int restore_opts_from_json(json_t *j, struct sentry_restore_opts *o, struct error **err);

#define RESTORE_WARNINGS_MAX 10

/* What the sandbox collects: the first lines, and how many there were. */
struct restore_warnings {
	json_t *lines; /* NULL until the first */
	size_t total;
};

#define RESTORE_WARNINGS_INIT {NULL, 0}

/* For sentry_restore_opts.warn; @arg: struct restore_warnings. */
void restore_warn(void *arg, const char *line);
/* New object {"lines": [...], "total": n}, or null; empties @w. */
json_t *restore_warnings_json(struct restore_warnings *w);
/* One line each on stderr and in --log, then how many more there were. @j: as made above, NULL or null for none. */
void restore_report_warnings(const struct globals *g, json_t *j);

#endif
