/* SPDX-License-Identifier: Apache-2.0 */
/* See restore_opts.h. Both ends are the same binary, so enumerations travel as numbers; they are checked all the same. */
#include "runsc/restore_opts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_choice(const char *flag, const char *v, const char *const *names, size_t n, struct error **err)
{
	char all[64] = "";

	if (!v || !v[0])
		return 0;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(all);

		if (!strcmp(v, names[i]))
			return (int)i;
		(void)snprintf(all + len, sizeof(all) - len, "%s%s", i ? ", " : "", names[i]);
	}
	return error_msg(err, -EINVAL, "--%s: \"%s\" is none of %s", flag, v, all);
}

int restore_opts_parse(const char *file_check, const char *clock, struct sentry_restore_opts *o, struct error **err)
{
	static const char *const checks[] = {"auto", "strict", "warn", "off"}; /* enum sentry_file_check */
	static const char *const clocks[] = {"continue", "elapsed"}; /* enum sentry_clock */
	int check = parse_choice("file-check", file_check, checks, ARRAY_SIZE(checks), err);
	int clk = check < 0 ? check : parse_choice("clock", clock, clocks, ARRAY_SIZE(clocks), err);

	if (clk < 0)
		return clk;
	o->file_check = (enum sentry_file_check)check;
	o->clock = (enum sentry_clock)clk;
	return 0;
}

static void to_hex(const unsigned char *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", p[i]);
	out[2 * n] = '\0';
}

/* Returns the number of bytes, or -EPROTO. */
static ssize_t from_hex(json_t *j, unsigned char *out, size_t max)
{
	const char *s = json_string_value(j);
	size_t n = s ? strlen(s) / 2 : 0;

	if (s && (strlen(s) % 2 || n > max || strspn(s, "0123456789abcdef") != 2 * n))
		return -EPROTO;
	for (size_t i = 0; i < n; i++) {
		char two[3] = {s[2 * i], s[2 * i + 1]};

		out[i] = (unsigned char)strtoul(two, NULL, 16);
	}
	return (ssize_t)n;
}

json_t *restore_opts_to_json(const struct sentry_restore_opts *o)
{
	char key[2 * sizeof(o->verify_key) + 1], sig[2 * sizeof(o->signature) + 1];

	to_hex(o->verify_key, sizeof(o->verify_key), key);
	to_hex(o->signature, o->signature_len, sig);
	return json_pack("{s:i, s:i, s:b, s:i, s:i, s:i, s:s, s:s}", "workingSet", (int)o->working_set, "workingSetSecs", (int)o->working_set_secs,
			 "background", o->background, "fileCheck", (int)o->file_check, "clock", (int)o->clock, "verify", (int)o->verify,
			 "verifyKey", key, "signature", sig);
}

int restore_opts_from_json(json_t *j, struct sentry_restore_opts *o, struct error **err)
{
	json_int_t check = json_integer_value(json_object_get(j, "fileCheck"));
	json_int_t clock = json_integer_value(json_object_get(j, "clock"));
	json_int_t verify = json_integer_value(json_object_get(j, "verify"));
	json_int_t ws = json_integer_value(json_object_get(j, "workingSet"));
	json_int_t secs = json_integer_value(json_object_get(j, "workingSetSecs"));
	ssize_t sig = from_hex(json_object_get(j, "signature"), o->signature, sizeof(o->signature));

	if (verify < 0 || verify > SENTRY_VERIFY_SIGNATURE || sig < 0 ||
	    from_hex(json_object_get(j, "verifyKey"), o->verify_key, sizeof(o->verify_key)) < 0)
		return error_msg(err, -EPROTO, "setup message: bad restore options");
	o->verify = (enum sentry_verify)verify;
	o->signature_len = (size_t)sig;
	if (check < 0 || check > SENTRY_FILE_CHECK_OFF || clock < 0 || clock > SENTRY_CLOCK_ELAPSED)
		return error_msg(err, -EPROTO, "setup message: bad restore options");
	o->file_check = (enum sentry_file_check)check;
	o->clock = (enum sentry_clock)clock;
	if (ws < 0 || ws > SENTRY_WORKING_SET_RECORD || secs < 0 || secs > WORKING_SET_SECS_MAX)
		return error_msg(err, -EPROTO, "setup message: bad restore options");
	o->working_set = (enum sentry_working_set)ws;
	o->working_set_secs = (uint32_t)secs;
	o->background = json_is_true(json_object_get(j, "background"));
	return 0;
}

void restore_warn(void *arg, const char *line)
{
	struct restore_warnings *w = arg;

	w->total++;
	if (!w->lines)
		w->lines = json_array();
	if (json_array_size(w->lines) < RESTORE_WARNINGS_MAX)
		(void)json_array_append_new(w->lines, json_string(line));
}

json_t *restore_warnings_json(struct restore_warnings *w)
{
	json_t *lines = w->lines ? w->lines : json_null();
	size_t total = w->total;

	*w = (struct restore_warnings)RESTORE_WARNINGS_INIT;
	return total ? json_pack("{s:o, s:I}", "lines", lines, "total", (json_int_t)total) : lines;
}

void restore_report_warnings(const struct globals *g, json_t *j)
{
	json_t *lines = json_object_get(j, "lines"), *line;
	size_t n = json_array_size(lines), i;
	json_int_t total = json_integer_value(json_object_get(j, "total"));

	json_array_foreach(lines, i, line)
		report_notice(g, "restore: %s", json_string_value(line));
	if (total > (json_int_t)n)
		report_notice(g, "restore: and %lld more", (long long)total - (long long)n);
}
