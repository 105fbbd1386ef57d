/* SPDX-License-Identifier: Apache-2.0 */
/* runsc events: resource usage in runc's format, from the sandbox's own accounting. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

#include "runsc/control.h"

/* What runc prints and we have no figure for: readers find the members they look for. */
static void fill_in(json_t *data)
{
	json_t *memory = json_object_get(data, "memory"), *cpu = json_object_get(data, "cpu");

	if (cpu)
		(void)json_object_set_new(cpu, "throttling", json_object());
	if (memory && !json_object_get(memory, "cache"))
		(void)json_object_set_new(memory, "cache", json_integer(0));
	if (memory)
		(void)json_object_set_new(memory, "raw", json_object());
	(void)json_object_set_new(data, "blkio", json_object());
	(void)json_object_set_new(data, "hugetlb", json_object());
}

static int print_stats(const struct container *c, struct error **err)
{
	_cleanup_(json_decrefp) json_t *answer = NULL;
	_cleanup_(json_decrefp) json_t *o = NULL;
	json_t *data;
	int r = control_once(c, json_pack("{s:s}", "op", "stats"), &answer, err);

	if (r < 0)
		return r;
	data = json_object_get(answer, "value");
	fill_in(data);
	o = json_pack("{s:s, s:s, s:O}", "type", "stats", "id", c->id, "data", data);
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
