/* SPDX-License-Identifier: Apache-2.0 */
/* runsc ps. The JSON form is for engines, which want host pids: the sandbox is the one there is. */
#include <stdio.h>
#include <string.h>

#include "runsc/control.h"

static const char *text(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "?";
}

int cmd_ps(struct globals *g, int argc, char **argv, struct error **err)
{
	const char *format = "table";
	const struct flag flags[] = {
		{"format", 'f', FLAG_STR, &format, "FORMAT", "table (the container's view) or json (host pids)"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_container_ struct container *c = NULL;
	_cleanup_(json_decrefp) json_t *answer = NULL;
	json_t *o;
	size_t i;
	int r = cmd_parse("ps", flags, FLAGS_BEFORE_COMMAND, 1, SIZE_MAX, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	r = container_open(g, rest.args[0], CONTAINER_NOLOCK, &c, err);
	if (r < 0)
		return r;
	if (c->status == CONTAINER_STOPPED)
		return error_msg(err, -ESRCH, "container not running: \"%s\" has stopped", c->id);
	if (!strcmp(format, "json")) {
		printf("[%d]\n", (int)c->sandbox.pid);
		return 0;
	}
	if (strcmp(format, "table") != 0)
		return error_msg(err, -EINVAL, "--format: \"%s\" is neither table nor json", format);
	r = control_once(c, json_pack("{s:s}", "op", "ps"), &answer, err);
	if (r < 0)
		return r;
	printf("%-8s %-7s %-7s %-8s %-8s %-10s %s\n", "UID", "PID", "PPID", "TTY", "STIME", "TIME", "CMD");
	json_array_foreach(json_object_get(answer, "value"), i, o) printf(
		"%-8d %-7d %-7d %-8s %-8s %-10s %s\n", (int)json_integer_value(json_object_get(o, "uid")),
		(int)json_integer_value(json_object_get(o, "pid")), (int)json_integer_value(json_object_get(o, "ppid")),
		text(o, "tty"), text(o, "start"), text(o, "time"), text(o, "cmd"));
	return 0;
}
