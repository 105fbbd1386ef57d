/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flag parser. One pass, no abbreviations: engines spell options out, and an abbreviation would change its meaning when
 * an option is added. Values are pointers into argv.
 */
#include "runsc/flags.h"

#include <stdio.h>
#include <string.h>

static const struct flag *find_long(const struct flag *f, const char *name, size_t n)
{
	for (; f->name; f++)
		if (strlen(f->name) == n && !memcmp(f->name, name, n))
			return f;
	return NULL;
}

static const struct flag *find_alias(const struct flag *f, char c)
{
	for (; f->name; f++)
		if (f->alias && f->alias == c)
			return f;
	return NULL;
}

static bool takes_value(const struct flag *f)
{
	return f->type != FLAG_BOOL && f->type != FLAG_NOP_BOOL;
}

static int parse_bool(const struct flag *f, const char *v, bool *ret, struct error **err)
{
	static const char *const yes[] = {"true", "1", "t", "TRUE", "True"};
	static const char *const no[] = {"false", "0", "f", "FALSE", "False"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (!strcmp(v, yes[i]))
			*ret = true;
		else if (!strcmp(v, no[i]))
			*ret = false;
		else
			continue;
		return 0;
	}
	return error_msg(err, -EINVAL, "--%s: \"%s\" is neither true nor false", f->name, v);
}

static int set_value(const struct flag *f, const char *v, struct error **err)
{
	struct flag_list *l;
	const char **nv;
	char *end;
	bool b;

	switch (f->type) {
	case FLAG_BOOL:
		return parse_bool(f, v, f->ptr, err);
	case FLAG_NOP_BOOL:
		return parse_bool(f, v, &b, err);
	case FLAG_STR:
		*(const char **)f->ptr = v;
		return 0;
	case FLAG_LIST:
		l = f->ptr;
		nv = reallocarray(l->v, l->n + 1, sizeof(*nv));
		if (!nv)
			return error_set(err, -ENOMEM, "--%s", f->name);
		l->v = nv;
		l->v[l->n++] = v;
		return 0;
	case FLAG_INT:
		errno = 0;
		*(int64_t *)f->ptr = strtoll(v, &end, 0);
		if (errno || end == v || *end)
			return error_msg(err, -EINVAL, "--%s: \"%s\" is not a number", f->name, v);
		return 0;
	case FLAG_NOP_STR:
		return 0;
	}
	return -EINVAL;
}

/* One argument that begins with '-'. Returns how many of argv were used (1 or 2), or a negative errno. */
static int parse_one(const struct flag *flags, char **argv, bool *help, struct error **err)
{
	const char *a = argv[0] + 1, *eq;
	const struct flag *f;
	bool one_dash = true;
	size_t n;
	int r;

	if (*a == '-') {
		a++;
		one_dash = false;
	}
	eq = strchr(a, '=');
	n = eq ? (size_t)(eq - a) : strlen(a);
	f = find_long(flags, a, n);
	if (!f && one_dash && n == 1)
		f = find_alias(flags, *a);
	if (!f && ((n == 4 && !memcmp(a, "help", 4)) || (one_dash && n == 1 && *a == 'h'))) {
		*help = true;
		return 1;
	}
	if (!f && one_dash && n > 1 && !eq) {
		for (size_t i = 0; i < n; i++) {
			f = find_alias(flags, a[i]);
			if (!f || takes_value(f))
				return error_msg(err, -EINVAL, "unknown flag: %s", argv[0]);
			r = set_value(f, "true", err);
			if (r < 0)
				return r;
		}
		return 1;
	}
	if (!f)
		return error_msg(err, -EINVAL, "unknown flag: %.*s", (int)(n + (size_t)(a - argv[0])), argv[0]);
	if (eq) {
		r = set_value(f, eq + 1, err);
		return r < 0 ? r : 1;
	}
	if (!takes_value(f)) {
		r = set_value(f, "true", err);
		return r < 0 ? r : 1;
	}
	if (!argv[1])
		return error_msg(err, -EINVAL, "flag needs an argument: --%s", f->name);
	r = set_value(f, argv[1], err);
	return r < 0 ? r : 2;
}

int flags_parse(const struct flag *flags, enum flags_mode mode, int argc, char **argv, struct flags_rest *rest,
		struct error **err)
{
	_cleanup_free_ char **pos = calloc((size_t)argc + 1, sizeof(*pos));
	bool more = true, help = false;
	size_t n = 0;

	if (!pos)
		return error_set(err, -ENOMEM, "arguments");
	for (int i = 0; i < argc;) {
		int r;

		if (more && !strcmp(argv[i], "--")) {
			more = false;
			i++;
			continue;
		}
		if (!more || argv[i][0] != '-' || !argv[i][1]) {
			pos[n++] = argv[i++];
			if (mode == FLAGS_FIRST || (mode == FLAGS_BEFORE_COMMAND && n == 2))
				more = false;
			continue;
		}
		r = parse_one(flags, argv + i, &help, err);
		if (r < 0)
			return r;
		i += r;
	}
	rest->args = TAKE_PTR(pos);
	rest->n = n;
	rest->help = help;
	return 0;
}

void flags_print(const struct flag *f)
{
	for (; f->name; f++) {
		char left[80];

		(void)snprintf(left, sizeof(left), "--%s%s%s", f->name, takes_value(f) ? " " : "",
			       takes_value(f) ? (f->arg ? f->arg : "VALUE") : "");
		if (f->alias)
			printf("  -%c, %-28s %s\n", f->alias, left, f->help ? f->help : "");
		else
			printf("      %-28s %s\n", left, f->help ? f->help : "");
	}
}

void flag_list_done(struct flag_list *l)
{
	free(l->v);
	*l = (struct flag_list){0};
}
