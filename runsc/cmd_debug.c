/* SPDX-License-Identifier: Apache-2.0 */
/* runsc debug */
#include <stdio.h>

#include "runsc/control.h"

int cmd_debug(struct globals *g, int argc, char **argv, struct error **err)
{
	static const struct flag flags[] = {
		{"stacks", 0, FLAG_NOP_BOOL, NULL, NULL, "accepted (gVisor); what tasks wait for is always shown"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_container_ struct container *c = NULL;
	_cleanup_(json_decrefp) json_t *answer = NULL;
	int r = cmd_parse("debug", flags, FLAGS_ANYWHERE, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	r = container_open(g, rest.args[0], CONTAINER_NOLOCK, &c, err);
	if (r == 0)
		r = control_once(c, json_pack("{s:s}", "op", "debug"), &answer, err);
	if (r < 0)
		return r;
	(void)json_dumpf(json_object_get(answer, "value"), stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	printf("\n");
	return 0;
}
