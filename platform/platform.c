/* SPDX-License-Identifier: Apache-2.0 */
/* The list of platforms and the choice among them. A platform adds itself here and nowhere else. */
#include <string.h>

#include "platform/platform.h"
#include "platform/ptrace/ptrace.h"

const struct platform_ops *const platforms[] = {
	&ptrace_platform_ops,
	NULL,
};

const struct platform_ops *platform_find(const char *name, struct error **err)
{
	const char *why = NULL;
	int r = -ENOENT;

	for (size_t i = 0; platforms[i]; i++) {
		if (name && strcmp(name, platforms[i]->name) != 0)
			continue;
		why = NULL;
		r = platforms[i]->probe ? platforms[i]->probe(&why) : 0;
		if (r == 0)
			return platforms[i];
	}
	if (r == -ENOENT)
		error_msg(err, -EINVAL, "unknown platform \"%s\"", name ? name : "");
	else if (name)
		error_msg(err, r, "platform \"%s\" does not work here: %s", name, why ? why : strerror(-r));
	else
		error_msg(err, r, "no platform works here: %s", why ? why : strerror(-r));
	return NULL;
}
