/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsc do: a command in a throw-away sandbox whose root is this host's, read only below and memory above: it sees our
 * files and can change none of them.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "runsc/default_spec.h"
#include "runsc/lifecycle.h"

static json_t *all_caps(void)
{
	json_t *a = json_array();

	for (unsigned int i = 0; oci_cap_name(i); i++)
		(void)json_array_append_new(a, json_string(oci_cap_name(i)));
	return a;
}

/* Root of a sandbox of its own may make control groups. */
static void writable_cgroups(json_t *mounts)
{
	size_t i, n;
	json_t *m, *o;

	json_array_foreach(mounts, i, m) {
		const char *dest = json_string_value(json_object_get(m, "destination"));

		if (!dest || strcmp(dest, "/sys/fs/cgroup") != 0)
			continue;
		json_array_foreach(json_object_get(m, "options"), n, o)
			if (!strcmp(json_string_value(o) ? json_string_value(o) : "", "ro")) {
				(void)json_array_remove(json_object_get(m, "options"), n);
				break;
			}
	}
}

static int make_spec(char **command, const char *root, const char *cwd, json_t **ret, struct error **err)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	json_t *spec = default_spec(), *p, *a, *env;
	char here[PATH_MAX];

	if (!spec)
		return error_set(err, -ENOMEM, "do");
	*ret = spec;
	p = json_object_get(spec, "process");
	writable_cgroups(json_object_get(spec, "mounts"));
	a = json_array();
	for (; *command; command++)
		if (json_array_append_new(a, json_string(*command)) < 0)
			return error_msg(err, -EILSEQ, "an argument is not UTF-8");
	(void)json_object_set_new(p, "args", a);
	env = json_array();
	for (char **e = environ; *e; e++) /* variables that JSON cannot hold are left out */
		if (strchr(*e, '='))
			(void)!json_array_append_new(env, json_string(*e));
	(void)json_object_set_new(p, "env", env);
	if (!cwd)
		cwd = getcwd(here, sizeof(here));
	(void)json_object_set_new(p, "cwd", json_string(cwd ? cwd : "/"));
	(void)json_object_del(p, "rlimits");
	(void)json_object_set_new(p, "noNewPrivileges", json_false());
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		(void)json_object_set_new(json_object_get(p, "capabilities"), sets[i], all_caps());
	(void)json_object_set_new(json_object_get(spec, "root"), "path", json_string(root));
	return 0;
}

int cmd_do(struct globals *g, int argc, char **argv, struct error **err)
{
	const char *root = "/", *cwd = NULL;
	const struct flag flags[] = {
		{"root", 0, FLAG_STR, &root, "DIR", "what to show as / (this host's)"},
		{"cwd", 0, FLAG_STR, &cwd, "DIR", "working directory (ours)"},
		{"quiet", 0, FLAG_NOP_BOOL, NULL, NULL, "accepted"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_created_ struct created x = {.ctl = -EBADF, .master = -EBADF};
	_cleanup_(json_decrefp) json_t *spec = NULL;
	struct create_opts o = {.bundle = "/", .relay = true, .throw_away = true};
	struct globals own = *g;
	unsigned int rnd[2] = {0};
	char id[32];
	int r = cmd_parse("do", flags, FLAGS_FIRST, 1, SIZE_MAX, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	r = make_spec(rest.args, root, cwd, &spec, err);
	if (r < 0)
		return r;
	(void)json_object_set_new(json_object_get(spec, "process"), "terminal",
				  json_boolean(isatty(0) && isatty(1) && isatty(2)));
	if (getrandom(rnd, sizeof(rnd), 0) < 0)
		return error_set(err, -errno, "getrandom");
	(void)snprintf(id, sizeof(id), "do-%08x%08x", rnd[0], rnd[1]);
	o.spec_json = spec;
	own.overlay2 = "root:memory";
	r = lifecycle_create(&own, id, &o, &x, err);
	if (r < 0)
		return r;
	return run_created(&own, &x, false, false, err);
}
