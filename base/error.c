/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Running out of memory while reporting must still report: this object is never freed. */
static struct error error_oom = { .code = -ENOMEM, .msg = (char *)"out of memory" };

static char *one_line(char *s)
{
	for (char *p = s; p && *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	return s;
}

static int store(struct error **err, int code, char *msg)
{
	struct error *e;

	if (code == 0)
		code = -EINVAL;
	if (!err) {
		free(msg);
		return code;
	}
	*err = error_free(*err);
	e = msg ? malloc(sizeof(*e)) : NULL;
	if (!e) {
		free(msg);
		*err = &error_oom;
		return code;
	}
	e->code = code;
	e->msg = one_line(msg);
	*err = e;
	return code;
}

int error_set(struct error **err, int code, const char *fmt, ...)
{
	char *text = NULL, *full = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text && code != 0) {
		if (asprintf(&full, "%s: %s", text, strerror(-code)) < 0)
			full = NULL;
		free(text);
		text = full;
	}
	return store(err, code, text);
}

int error_msg(struct error **err, int code, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return store(err, code, text);
}

int error_prefix(struct error **err, const char *fmt, ...)
{
	char *text = NULL, *full = NULL;
	va_list ap;

	if (!err || !*err)
		return -EINVAL;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text && *err != &error_oom && asprintf(&full, "%s: %s", text, (*err)->msg) >= 0) {
		free((*err)->msg);
		(*err)->msg = one_line(full);
	}
	free(text);
	return (*err)->code;
}

const char *error_text(const struct error *err)
{
	return err && err->msg ? err->msg : "unknown error";
}

struct error *error_free(struct error *err)
{
	if (err && err != &error_oom) {
		free(err->msg);
		free(err);
	}
	return NULL;
}
