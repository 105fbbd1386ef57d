/* SPDX-License-Identifier: Apache-2.0 */
/* runsc events: resource usage in runc's format, from the sandbox's own accounting. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

#include "runsc/control.h"

/* Members of sentry_stats_json() are listed in runsc/README.md. */
static json_int_t num(json_t *v, const char *key)
{
	return json_integer_value(json_object_get(v, key));
}

static int print_stats(const struct container *c, struct error **err)
{
	_cleanup_(json_decrefp) json_t *answer = NULL;
	_cleanup_(json_decrefp) json_t *o = NULL;
	json_t *v;
	int r = control_once(c, json_pack("{s:s}", "op", "stats"), &answer, err);

	if (r < 0)
		return r;
	v = json_object_get(answer, "value");
	o = json_pack("{s:s, s:s, s:{s:{s:{s:I, s:I, s:I}, s:{}}, s:{s:I, s:{s:I, s:I, s:I}, s:{}}, s:{s:I, s:I}}}",
		      "type", "stats", "id", c->id, "data", "cpu", "usage", "total",
		      1000 * (num(v, "cpu_user_us") + num(v, "cpu_system_us")), "kernel",
		      1000 * num(v, "cpu_system_us"), "user", 1000 * num(v, "cpu_user_us"), "throttling", "memory",
		      "cache", num(v, "memory_cache_bytes"), "usage", "usage", num(v, "memory_bytes"), "max",
		      num(v, "memory_peak_bytes"), "limit", num(v, "memory_limit_bytes"), "raw", "pids", "current",
		      num(v, "pids"), "limit", num(v, "pids_limit"));
	if (!o)
		return error_set(err, -ENOMEM, "events");
	(void)json_dumpf(o, stdout, JSON_COMPACT);
	printf("\n");
	(void)fflush(stdout);
	return 0;
}

/* "5s", "500ms", "1m" or plain seconds -> milliseconds, or -EINVAL. */
static int parse_interval(const char *s)
{
	char *end;
	double v = strtod(s, &end);
	double scale = !strcmp(end, "ms") ? 1 : !strcmp(end, "m") ? 60000 : !*end || !strcmp(end, "s") ? 1000 : 0;

	return end != s && v * scale >= 1 && v * scale < 1e9 ? (int)(v * scale) : -EINVAL;
}

int cmd_events(struct globals *g, int argc, char **argv, struct error **err)
{
	const char *interval = "5s";
	bool once = false;
	const struct flag flags[] = {
		{"stats", 0, FLAG_BOOL, &once, NULL, "print once and end"},
		{"interval", 0, FLAG_STR, &interval, "TIME", "between reports (5s)"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_container_ struct container *c = NULL;
	_cleanup_close_ int pidfd = -EBADF;
	struct pollfd p;
	int r = cmd_parse("events", flags, FLAGS_ANYWHERE, 1, 1, argc, argv, &rest, err), ms;

	if (r)
		return r < 0 ? r : 0;
	ms = parse_interval(interval);
	if (ms < 0)
		return error_msg(err, ms, "--interval: \"%s\" is not a time such as 5s", interval);
	r = container_open(g, rest.args[0], CONTAINER_NOLOCK, &c, err);
	if (r < 0)
		return r;
	if (c->status == CONTAINER_STOPPED)
		return error_msg(err, -ESRCH, "container not running: \"%s\" has stopped", c->id);
	pidfd = pidfd_open(c->sandbox.pid, 0);
	p = (struct pollfd){.fd = pidfd, .events = POLLIN};
	do
		r = print_stats(c, err);
	while (r == 0 && !once && poll(&p, 1, ms) == 0);
	return r;
}
