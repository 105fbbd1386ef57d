/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed access to JSON members with errors that name the place: "config.json: process.args[1]: must be a string, is a
 * number". The path is built only when an error is reported.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "runsc/oci_internal.h"

static const char *type_name(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		return "null";
	}
	return "unknown";
}

static void add_path(struct strbuf *b, const struct jv *at)
{
	if (!at->up)
		return;
	add_path(b, at->up);
	if (!at->key)
		strbuf_addf(b, "[%zu]", at->idx);
	else
		strbuf_addf(b, "%s%.200s", b->len ? "." : "", at->key);
}

int jv_error(const struct jv *at, int code, const char *fmt, ...)
{
	_cleanup_strbuf_ struct strbuf path = STRBUF_INIT;
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	add_path(&path, at);
	return error_msg(at->ctx->err, code, "%s: %s%s%s", at->ctx->label, path.len ? path.data : "",
			 path.len ? ": " : "", text ? text : "invalid");
}

int jv_oom(const struct jv *at)
{
	return error_set(at->ctx->err, -ENOMEM, "%s", at->ctx->label);
}

static int wrong_type(const struct jv *at, const char *want)
{
	return jv_error(at, -EINVAL, "must be %s, is %s", want, type_name(at->v));
}

static bool member(const struct jv *in, const char *key, struct jv *ret)
{
	json_t *v = json_object_get(in->v, key);

	if (!v || json_is_null(v))
		return false;
	*ret = (struct jv){.ctx = in->ctx, .v = v, .up = in, .key = key};
	return true;
}

int jv_is_obj(const struct jv *in)
{
	return json_is_object(in->v) ? 1 : wrong_type(in, "an object");
}

int jv_obj(const struct jv *in, const char *key, struct jv *ret)
{
	struct jv m;

	if (!member(in, key, &m))
		return 0;
	*ret = m;
	return jv_is_obj(ret);
}

int jv_arr(const struct jv *in, const char *key, struct jv *ret)
{
	struct jv m;

	if (!member(in, key, &m))
		return 0;
	if (!json_is_array(m.v))
		return wrong_type(&m, "an array");
	if (json_array_size(m.v) > OCI_ITEMS_MAX)
		return jv_error(&m, -E2BIG, "has more than %d elements", OCI_ITEMS_MAX);
	*ret = m;
	return 1;
}

size_t jv_len(const struct jv *arr)
{
	return json_array_size(arr->v);
}

struct jv jv_at(const struct jv *arr, size_t i)
{
	return (struct jv){.ctx = arr->ctx, .v = json_array_get(arr->v, i), .up = arr, .idx = i};
}

static int copy_str(const struct jv *at, char **ret)
{
	if (!json_is_string(at->v))
		return wrong_type(at, "a string");
	*ret = arena_strdup(at->ctx->arena, json_string_value(at->v));
	return *ret ? 1 : jv_oom(at);
}

int jv_str(const struct jv *in, const char *key, char **ret)
{
	struct jv m;

	return member(in, key, &m) ? copy_str(&m, ret) : 0;
}

int jv_bool(const struct jv *in, const char *key, bool *ret)
{
	struct jv m;

	if (!member(in, key, &m))
		return 0;
	if (!json_is_boolean(m.v))
		return wrong_type(&m, "a boolean");
	*ret = json_is_true(m.v);
	return 1;
}

int jv_int(const struct jv *in, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	struct jv m;
	int64_t v;

	if (!member(in, key, &m))
		return 0;
	if (!json_is_integer(m.v))
		return wrong_type(&m, "an integer");
	v = json_integer_value(m.v);
	if (v < min || v > max)
		return jv_error(&m, -ERANGE, "must be between %lld and %lld, is %lld", (long long)min, (long long)max,
				(long long)v);
	*ret = v;
	return 1;
}

int jv_u32(const struct jv *in, const char *key, uint32_t *ret)
{
	int64_t v;
	int r = jv_int(in, key, 0, UINT32_MAX, &v);

	if (r > 0)
		*ret = (uint32_t)v;
	return r;
}

int jv_u64(const struct jv *in, const char *key, uint64_t *ret)
{
	struct jv m;

	if (!member(in, key, &m))
		return 0;
	if (json_is_real(m.v)) {
		double d = json_real_value(m.v);

		if (!(d >= 0 && d <= 18446744073709551615.0))
			return jv_error(&m, -ERANGE, "must be between 0 and 2^64-1");
		*ret = d >= 18446744073709549568.0 ? UINT64_MAX : (uint64_t)d;
		return 1;
	}
	if (!json_is_integer(m.v))
		return wrong_type(&m, "an integer");
	if (json_integer_value(m.v) < 0)
		return jv_error(&m, -ERANGE, "must not be negative");
	*ret = (uint64_t)json_integer_value(m.v);
	return 1;
}

int jv_strv(const struct jv *in, const char *key, char ***ret, size_t *ret_n)
{
	struct jv a;
	char **v;
	size_t n;
	int r = jv_arr(in, key, &a);

	if (r <= 0)
		return r;
	n = jv_len(&a);
	v = arena_zalloc(in->ctx->arena, n + 1, sizeof(*v));
	if (!v)
		return jv_oom(&a);
	for (size_t i = 0; i < n; i++) {
		struct jv e = jv_at(&a, i);

		r = copy_str(&e, &v[i]);
		if (r < 0)
			return r;
	}
	*ret = v;
	if (ret_n)
		*ret_n = n;
	return 1;
}

int jv_map(const struct jv *in, const char *key, struct oci_kv **ret, size_t *ret_n)
{
	struct oci_kv *kv;
	const char *k;
	struct jv o;
	json_t *v;
	size_t n = 0;
	int r = jv_obj(in, key, &o);

	if (r <= 0)
		return r;
	if (json_object_size(o.v) > OCI_ITEMS_MAX)
		return jv_error(&o, -E2BIG, "has more than %d members", OCI_ITEMS_MAX);
	kv = arena_zalloc(in->ctx->arena, json_object_size(o.v) + 1, sizeof(*kv));
	if (!kv)
		return jv_oom(&o);
	json_object_foreach(o.v, k, v)
	{
		struct jv e = {.ctx = in->ctx, .v = v, .up = &o, .key = k};

		r = copy_str(&e, &kv[n].value);
		if (r < 0)
			return r;
		kv[n].key = arena_strdup(in->ctx->arena, k);
		if (!kv[n].key)
			return jv_oom(&e);
		n++;
	}
	*ret = kv;
	*ret_n = n;
	return 1;
}
