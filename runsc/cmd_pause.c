/* SPDX-License-Identifier: Apache-2.0 */
/* runsc pause and resume */
#include "runsc/control.h"

static int change(struct globals *g, const char *verb, enum container_status from, enum container_status to, int argc,
		  char **argv, struct error **err)
{
	static const struct flag flags[] = {{0}};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_container_ struct container *c = NULL;
	int r = cmd_parse(verb, flags, FLAGS_ANYWHERE, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	r = container_open(g, rest.args[0], CONTAINER_EXCLUSIVE, &c, err);
	if (r < 0)
		return r;
	if (c->status == CONTAINER_STOPPED)
		return error_msg(err, -ESRCH, "container not running: \"%s\" has stopped", c->id);
	if (c->status != from)
		return error_msg(err, -EBUSY, "container %s is %s, not %s", c->id, container_status_name(c->status),
				 container_status_name(from));
	r = control_once(c, json_pack("{s:s}", "op", verb), NULL, err);
	if (r < 0)
		return r;
	c->status = to;
	return container_save(c, err);
}

int cmd_pause(struct globals *g, int argc, char **argv, struct error **err)
{
	return change(g, "pause", CONTAINER_RUNNING, CONTAINER_PAUSED, argc, argv, err);
}

int cmd_resume(struct globals *g, int argc, char **argv, struct error **err)
{
	return change(g, "resume", CONTAINER_PAUSED, CONTAINER_RUNNING, argc, argv, err);
}
