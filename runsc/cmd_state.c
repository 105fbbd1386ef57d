/* SPDX-License-Identifier: Apache-2.0 */
/* runsc state */
#include <stdio.h>

#include "runsc/container.h"

int cmd_state(struct globals *g, int argc, char **argv, struct error **err)
{
	static const struct flag flags[] = {{0}};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_container_ struct container *c = NULL;
	_cleanup_(json_decrefp) json_t *o = NULL;
	int r = cmd_parse("state", flags, FLAGS_ANYWHERE, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	r = container_open(g, rest.args[0], CONTAINER_NOLOCK, &c, err);
	if (r < 0)
		return r;
	o = container_state_json(c, container_status_name(c->status));
	if (!o || json_dumpf(o, stdout, JSON_INDENT(2)) < 0)
		return error_set(err, -ENOMEM, "state");
	printf("\n");
	return 0;
}
