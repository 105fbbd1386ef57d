/* SPDX-License-Identifier: Apache-2.0 */
/* runsc start */
#include "runsc/lifecycle.h"

int cmd_start(struct globals *g, int argc, char **argv, struct error **err)
{
	static const struct flag flags[] = {{0}};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_container_ struct container *c = NULL;
	_cleanup_oci_spec_ struct oci_spec *spec = NULL;
	int r = cmd_parse("start", flags, FLAGS_ANYWHERE, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	r = container_open(g, rest.args[0], CONTAINER_EXCLUSIVE, &c, err);
	if (r < 0)
		return r;
	if (c->status == CONTAINER_STOPPED)
		return error_msg(err, -ESRCH, "container not running: \"%s\" has stopped", c->id);
	if (c->status != CONTAINER_CREATED)
		return error_msg(err, -EBUSY, "container %s cannot be started: it is %s, not created", c->id,
				 container_status_name(c->status));
	r = container_load_spec(c, &spec, err);
	if (r < 0)
		return r;
	return lifecycle_start(g, c, spec, -1, false, err);
}
