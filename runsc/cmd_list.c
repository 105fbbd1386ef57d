/* SPDX-License-Identifier: Apache-2.0 */
/* runsc list */
#include <stdio.h>
#include <string.h>

#include "runsc/container.h"

static void print_row(json_t *o)
{
	printf("%-24s %-10d %-10s %-40s %-32s %s\n", json_string_value(json_object_get(o, "id")),
	       (int)json_integer_value(json_object_get(o, "pid")), json_string_value(json_object_get(o, "status")),
	       json_string_value(json_object_get(o, "bundle")), json_string_value(json_object_get(o, "created")),
	       json_string_value(json_object_get(o, "owner")));
}

int cmd_list(struct globals *g, int argc, char **argv, struct error **err)
{
	const char *format = "table";
	bool quiet = false;
	const struct flag flags[] = {
		{"format", 'f', FLAG_STR, &format, "FORMAT", "table or json"},
		{"quiet", 'q', FLAG_BOOL, &quiet, NULL, "ids only"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_(json_decrefp) json_t *all = json_array();
	char **names;
	json_t *o;
	size_t i;
	int r = cmd_parse("list", flags, FLAGS_ANYWHERE, 0, 0, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	if (strcmp(format, "table") != 0 && strcmp(format, "json") != 0)
		return error_msg(err, -EINVAL, "--format: \"%s\" is neither table nor json", format);
	r = container_names(g, &names, err);
	if (r < 0)
		return r;
	for (char **n = names; *n; n++) {
		_cleanup_container_ struct container *c = NULL;

		/* One that disappears or is damaged does not spoil the list. */
		if (container_open(g, *n, CONTAINER_NOLOCK, &c, NULL) == 0)
			(void)json_array_append_new(all, container_state_json(c, container_status_name(c->status)));
		free(*n);
	}
	free(names);
	if (!strcmp(format, "json") && !quiet) {
		if (json_array_size(all) == 0)
			printf("null"); /* as runc does; engines expect it */
		else
			(void)json_dumpf(all, stdout, JSON_COMPACT);
		printf("\n");
		return 0;
	}
	if (!quiet)
		printf("%-24s %-10s %-10s %-40s %-32s %s\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
	json_array_foreach(all, i, o)
	{
		if (quiet)
			printf("%s\n", json_string_value(json_object_get(o, "id")));
		else
			print_row(o);
	}
	return 0;
}
