/* SPDX-License-Identifier: Apache-2.0 */
/* config.json `process`, also the whole of an `exec --process` file. */
#include <string.h>

#include "runsc/oci_internal.h"

static int parse_user(const struct jv *in, struct oci_process *p)
{
	struct jv user, groups;
	int r = jv_obj(in, "user", &user);

	p->umask = UINT32_MAX;
	if (r <= 0)
		return r;
	r = jv_u32(&user, "uid", &p->uid);
	if (r >= 0)
		r = jv_u32(&user, "gid", &p->gid);
	if (r >= 0)
		r = jv_u32(&user, "umask", &p->umask);
	if (r >= 0)
		r = jv_arr(&user, "additionalGids", &groups);
	if (r <= 0)
		return r;
	p->nr_groups = jv_len(&groups);
	p->groups = arena_zalloc(in->ctx->arena, p->nr_groups, sizeof(*p->groups));
	if (!p->groups)
		return jv_oom(&groups);
	for (size_t i = 0; i < p->nr_groups; i++) {
		struct jv g = jv_at(&groups, i);

		if (!json_is_integer(g.v) || json_integer_value(g.v) < 0 || json_integer_value(g.v) > UINT32_MAX)
			return jv_error(&g, -EINVAL, "must be a group id");
		p->groups[i] = (uint32_t)json_integer_value(g.v);
	}
	return 0;
}

static int parse_cap_set(const struct jv *in, const char *key, uint64_t *ret)
{
	uint64_t set = 0;
	char **names;
	size_t n;
	int r = jv_strv(in, key, &names, &n);

	if (r <= 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		int c = oci_cap_number(names[i]);

		/* Newer capabilities than we know mean nothing to our kernel; refusing them would break engines. */
		if (c >= 0)
			set |= 1ULL << c;
	}
	*ret = set;
	return 1;
}

static int parse_caps(const struct jv *in, struct oci_process *p)
{
	const struct {
		const char *key;
		uint64_t *set;
	} sets[] = {
		{"bounding", &p->cap_bounding},       {"effective", &p->cap_effective},
		{"inheritable", &p->cap_inheritable}, {"permitted", &p->cap_permitted},
		{"ambient", &p->cap_ambient},
	};
	struct jv caps;
	int r = jv_obj(in, "capabilities", &caps);

	if (r <= 0)
		return r;
	p->has_caps = true;
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		r = parse_cap_set(&caps, sets[i].key, sets[i].set);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_rlimits(const struct jv *in, struct oci_process *p)
{
	struct jv arr;
	int r = jv_arr(in, "rlimits", &arr);

	if (r <= 0)
		return r;
	p->nr_rlimits = jv_len(&arr);
	p->rlimits = arena_zalloc(in->ctx->arena, p->nr_rlimits, sizeof(*p->rlimits));
	if (!p->rlimits)
		return jv_oom(&arr);
	for (size_t i = 0; i < p->nr_rlimits; i++) {
		struct jv e = jv_at(&arr, i);
		char *type = NULL;

		r = jv_is_obj(&e);
		if (r >= 0)
			r = jv_str(&e, "type", &type);
		if (r >= 0)
			r = jv_u64(&e, "soft", &p->rlimits[i].soft);
		if (r >= 0)
			r = jv_u64(&e, "hard", &p->rlimits[i].hard);
		if (r < 0)
			return r;
		p->rlimits[i].resource = oci_rlimit_number(type ? type : "");
		if (p->rlimits[i].resource < 0)
			return jv_error(&e, -EINVAL, "type \"%s\" is not a resource limit", type ? type : "");
		if (p->rlimits[i].soft > p->rlimits[i].hard)
			return jv_error(&e, -EINVAL, "soft limit is above the hard limit");
		for (size_t k = 0; k < i; k++)
			if (p->rlimits[k].resource == p->rlimits[i].resource)
				return jv_error(&e, -EINVAL, "%s is given twice", type);
	}
	return 0;
}

static int check_env(const struct jv *in, char **env)
{
	for (size_t i = 0; env[i]; i++)
		if (!strchr(env[i], '='))
			return jv_error(in, -EINVAL, "env[%zu]: \"%.100s\" is not of the form NAME=value", i, env[i]);
	return 0;
}

int oci_parse_process(const struct jv *in, struct oci_process *p)
{
	static char *empty[1];
	struct jv size;
	int64_t v;
	int r;

	p->env = empty;
	p->cwd = (char *)(uintptr_t) "";
	r = jv_strv(in, "args", &p->args, NULL);
	if (r >= 0)
		r = jv_strv(in, "env", &p->env, NULL);
	if (r >= 0)
		r = check_env(in, p->env);
	if (r >= 0)
		r = jv_str(in, "cwd", &p->cwd);
	if (r >= 0)
		r = parse_user(in, p);
	if (r >= 0)
		r = parse_caps(in, p);
	if (r >= 0)
		r = parse_rlimits(in, p);
	if (r >= 0)
		r = jv_bool(in, "noNewPrivileges", &p->no_new_privs);
	if (r >= 0)
		r = jv_bool(in, "terminal", &p->terminal);
	if (r >= 0)
		r = jv_int(in, "oomScoreAdj", -1000, 1000, &v);
	if (r < 0)
		return r;
	if (r > 0) {
		p->has_oom = true;
		p->oom_score_adj = (int)v;
	}
	r = jv_obj(in, "consoleSize", &size);
	if (r > 0)
		r = jv_u32(&size, "height", &p->rows);
	if (r > 0)
		r = jv_u32(&size, "width", &p->cols);
	if (r < 0)
		return r;
	if (p->cwd[0] && p->cwd[0] != '/')
		return jv_error(in, -EINVAL, "cwd: \"%.100s\" is not an absolute path", p->cwd);
	if (p->rows > UINT16_MAX || p->cols > UINT16_MAX)
		return jv_error(in, -ERANGE, "consoleSize: height and width must be below 65536");
	return 0;
}

int oci_process_from_json(json_t *json, const char *label, struct arena *a, struct oci_process **ret,
			  struct error **err)
{
	struct oci_ctx ctx = {a, label, err};
	struct jv doc = {.ctx = &ctx, .v = json};
	struct oci_process *p = arena_new(a, struct oci_process);
	int r;

	if (!p)
		return jv_oom(&doc);
	r = jv_is_obj(&doc);
	if (r >= 0)
		r = oci_parse_process(&doc, p);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}
