/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every verb gets: global flags and the command table's shape. A verb returns an exit status (0..255), or a
 * negative errno after storing one error, which main() prints as the only line on stderr.
 */
#ifndef RUNSC_CLI_H
#define RUNSC_CLI_H

#include "base/error.h"
#include "base/util.h"
#include "runsc/flags.h"

#define RUNSC_VERSION "0.1.0"

struct globals {
	const char *root;
	const char *log, *log_format;
	bool debug;
	const char *debug_log;
	const char *platform;
	const char *network;
	const char *overlay2;    /* "none", "root:memory", "all:memory" */
	const char *file_access; /* "exclusive" or "shared": who may change the root's files */
	bool strace;
	const char *strace_calls, *strace_comms; /* filters of strace; NULL: none */
	const char *rootless;
	bool ignore_cgroups, systemd_cgroup;
	const char *cgroup_manager;
};

struct command {
	const char *name;
	int (*run)(struct globals *g, int argc, char **argv, struct error **err);
	const char *args, *help; /* help NULL: internal, not listed */
};

const struct command *command_find(const char *name);

/*
 * Parses a verb's own arguments. Returns 0; 1 after printing the help (the verb returns 0); or a negative errno.
 * @min/@max bound the positional arguments; max SIZE_MAX: any number.
 */
_must_check_ int cmd_parse(const char *verb, const struct flag *flags, enum flags_mode mode, size_t min, size_t max,
			   int argc, char **argv, struct flags_rest *rest, struct error **err);

/* The same for any table of commands: @verb is all that comes after "runsc" on the command line. */
_must_check_ int command_parse(const char *verb, const char *args, const char *help, const struct flag *flags,
			       enum flags_mode mode, size_t min, size_t max, int argc, char **argv,
			       struct flags_rest *rest, struct error **err);

/* Prints the error on stderr and, when --log is given, appends it there in --log-format. */
void report_error(const struct globals *g, const char *verb, const struct error *err);
/* A warning: only to --log and, with --debug, to stderr. */
void report_warning(const struct globals *g, const char *fmt, ...) _printf_(2, 3);
/* A warning that people must see: always to stderr, too. */
void report_notice(const struct globals *g, const char *fmt, ...) _printf_(2, 3);

/* "2026-11-22T03:04:05.123456789Z" */
void format_time_now(char buf[40]);

static inline void flags_rest_done(struct flags_rest *r)
{
	free(r->args);
}
#define _cleanup_rest_ _cleanup_(flags_rest_done)

#define COMMAND(name) int cmd_##name(struct globals *g, int argc, char **argv, struct error **err)
COMMAND(boot);
COMMAND(checkpoint);
COMMAND(create);
COMMAND(debug);
COMMAND(delete);
COMMAND(do);
COMMAND(events);
COMMAND(exec);
COMMAND(features);
COMMAND(gofer);
COMMAND(image);
COMMAND(keeper);
COMMAND(kill);
COMMAND(list);
COMMAND(pause);
COMMAND(ps);
COMMAND(restore);
COMMAND(resume);
COMMAND(run);
COMMAND(spec);
COMMAND(start);
COMMAND(state);
COMMAND(template);
COMMAND(update);
COMMAND(wait);

#endif
