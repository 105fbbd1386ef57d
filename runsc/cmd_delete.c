/* SPDX-License-Identifier: Apache-2.0 */
/* runsc delete */
#include "runsc/lifecycle.h"

static int delete_one(const struct globals *g, const char *id, bool force, struct error **err)
{
	_cleanup_container_ struct container *c = NULL;
	int r = container_open(g, id, CONTAINER_EXCLUSIVE, &c, err);

	if (r == -ENOENT && force) { /* engines delete twice */
		*err = error_free(*err);
		return 0;
	}
	if (r == -EINVAL && force && c == NULL) {
		/* A damaged state.json must not make a container immortal. */
		_cleanup_error_ struct error *e = NULL;

		r = container_open_damaged(g, id, &c, &e);
		if (r == 0)
			*err = error_free(*err);
		else
			return (*err)->code;
	}
	return r < 0 ? r : lifecycle_delete(g, c, force, err);
}

int cmd_delete(struct globals *g, int argc, char **argv, struct error **err)
{
	bool force = false;
	const struct flag flags[] = {
		{"force", 'f', FLAG_BOOL, &force, NULL, "kill it if it runs; an unknown id is no error"},
		{"regex", 'r', FLAG_NOP_BOOL, NULL, NULL, "accepted (crun), not used"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	int r = cmd_parse("delete", flags, FLAGS_ANYWHERE, 1, SIZE_MAX, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < rest.n && r == 0; i++)
		r = delete_one(g, rest.args[i], force, err);
	return r;
}
