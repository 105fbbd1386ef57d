/* SPDX-License-Identifier: Apache-2.0 */
/* runsc debug: the sandbox's own view as JSON, or with --counts a table like strace -c. */
#include <stdio.h>
#include <string.h>

#include "runsc/control.h"

struct count {
	const char *name;
	json_int_t calls, errors, us;
};

static int by_time(const void *a, const void *b)
{
	const struct count *x = a, *y = b;

	if (x->us != y->us)
		return x->us < y->us ? 1 : -1;
	if (x->calls != y->calls)
		return x->calls < y->calls ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* Time is measured from the first time that counts are asked for. */
static int print_counts(json_t *list, struct error **err)
{
	size_t n = json_array_size(list);
	_cleanup_free_ struct count *v = calloc(n + 1, sizeof(*v));
	struct count all = {.name = "total"};

	if (!v)
		return error_set(err, -ENOMEM, "counts");
	for (size_t i = 0; i < n; i++) {
		json_t *o = json_array_get(list, i);

		v[i] = (struct count){json_string_value(json_object_get(o, "syscall")), json_integer_value(json_object_get(o, "calls")),
				      json_integer_value(json_object_get(o, "errors")), json_integer_value(json_object_get(o, "us"))};
		if (!v[i].name)
			v[i].name = "?";
		all.calls += v[i].calls;
		all.errors += v[i].errors;
		all.us += v[i].us;
	}
	qsort(v, n, sizeof(*v), by_time);
	v[n] = all;
	printf("%% time     seconds  usecs/call     calls    errors syscall\n"
	       "------ ----------- ----------- --------- --------- ----------------\n");
	for (size_t i = 0; i <= n; i++) {
		char errors[24] = "";

		if (i == n)
			printf("------ ----------- ----------- --------- --------- ----------------\n");
		if (v[i].errors)
			(void)snprintf(errors, sizeof(errors), "%lld", (long long)v[i].errors);
		printf("%6.2f %11.6f %11lld %9lld %9s %s\n", all.us ? 100.0 * (double)v[i].us / (double)all.us : 0.0, (double)v[i].us / 1e6,
		       (long long)(v[i].calls ? v[i].us / v[i].calls : 0), (long long)v[i].calls, errors, v[i].name);
	}
	return 0;
}

int cmd_debug(struct globals *g, int argc, char **argv, struct error **err)
{
	bool stacks = false, counts = false;
	const struct flag flags[] = {
		{"stacks", 0, FLAG_BOOL, &stacks, NULL, "also where the sandbox's threads of sleeping tasks are (for addr2line -e runsc)"},
		{"counts", 0, FLAG_BOOL, &counts, NULL, "a table of system calls instead; time counts from the first use of this"},
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
		r = control_once(c, json_pack("{s:s,s:b,s:b}", "op", "debug", "stacks", stacks, "counts", counts), &answer, err);
	if (r < 0)
		return r;
	if (counts)
		return print_counts(json_object_get(json_object_get(answer, "value"), "counts"), err);
	(void)json_dumpf(json_object_get(answer, "value"), stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	printf("\n");
	return 0;
}
