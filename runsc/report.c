/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors as users and engines see them: one line on stderr, and one object (or line) in --log. Engines take the last
 * JSON object of that file, so exactly one is written per failed command.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fd_util.h"
#include "runsc/cli.h"

void format_time_now(char buf[40])
{
	struct timespec ts = {0};
	struct tm tm = {0};
	size_t n;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	(void)gmtime_r(&ts.tv_sec, &tm);
	n = strftime(buf, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(buf + n, 40 - n, ".%09ldZ", ts.tv_nsec);
}

static void append_log(const struct globals *g, const char *level, const char *msg)
{
	_cleanup_free_ char *line = NULL;
	_cleanup_close_ int fd = -EBADF;
	char now[40];

	if (!g->log || !g->log[0])
		return;
	fd = open(g->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	format_time_now(now);
	if (!strcmp(g->log_format, "json")) {
		json_t *o = json_pack("{s:s, s:s, s:s}", "level", level, "msg", msg, "time", now);
		char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

		if (!text || asprintf(&line, "%s\n", text) < 0)
			line = NULL;
		free(text);
		json_decref(o);
	} else if (asprintf(&line, "%s %s: %s\n", now, level, msg) < 0) {
		line = NULL;
	}
	if (line && write_all(fd, line, strlen(line)) < 0)
		return; /* stderr has it as well */
}

void report_error(const struct globals *g, const char *verb, const struct error *err)
{
	_cleanup_free_ char *msg = NULL;

	if (asprintf(&msg, "%s%s%s", verb ? verb : "", verb ? ": " : "", error_text(err)) < 0)
		msg = NULL;
	(void)fflush(stdout);
	fprintf(stderr, "runsc: %s\n", msg ? msg : error_text(err));
	append_log(g, "error", msg ? msg : error_text(err));
}

static void _printf_(3, 0) report_vwarning(const struct globals *g, bool show, const char *fmt, va_list ap)
{
	_cleanup_free_ char *msg = NULL;

	if (vasprintf(&msg, fmt, ap) < 0) {
		msg = NULL;
		return;
	}
	append_log(g, "warning", msg);
	if (show)
		fprintf(stderr, "runsc: warning: %s\n", msg);
}

void report_warning(const struct globals *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_vwarning(g, g->debug, fmt, ap);
	va_end(ap);
}

void report_notice(const struct globals *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_vwarning(g, true, fmt, ap);
	va_end(ap);
}

/* The table is in main.c, which unit tests do not link. */
#pragma weak command_find

int command_parse(const char *verb, const char *args, const char *help, const struct flag *flags, enum flags_mode mode,
		  size_t min, size_t max, int argc, char **argv, struct flags_rest *rest, struct error **err)
{
	int r = flags_parse(flags, mode, argc, argv, rest, err);

	if (r < 0)
		return r;
	if (rest->help) {
		printf("usage: runsc %s [flags] %s\n\n%s\n\nflags:\n", verb, args, help);
		flags_print(flags);
		return 1;
	}
	if (rest->n < min)
		return error_msg(err, -EINVAL, "an argument is missing (usage: runsc %s [flags] %s)", verb, args);
	if (rest->n > max)
		return error_msg(err, -EINVAL, "unexpected argument \"%s\" (usage: runsc %s [flags] %s)",
				 rest->args[max], verb, args);
	return 0;
}

int cmd_parse(const char *verb, const struct flag *flags, enum flags_mode mode, size_t min, size_t max, int argc,
	      char **argv, struct flags_rest *rest, struct error **err)
{
	const struct command *c = command_find ? command_find(verb) : NULL;

	return command_parse(verb, c ? c->args : "", c && c->help ? c->help : "", flags, mode, min, max, argc, argv, rest,
			     err);
}
