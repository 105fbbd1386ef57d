/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the oci_*.c files: a JSON value together with its place, so that every error can name it.
 *
 * Getters return 1 and fill the output when the member is there and right, 0 (output untouched) when it is absent or
 * null, a negative errno with an error set when it is of the wrong type or out of bounds.
 */
#ifndef RUNSC_OCI_INTERNAL_H
#define RUNSC_OCI_INTERNAL_H

#include "runsc/oci.h"

struct oci_ctx {
	struct arena *arena;
	const char *label;
	struct error **err;
};

struct jv {
	const struct oci_ctx *ctx;
	json_t *v;
	const struct jv *up; /* NULL: the document */
	const char *key;     /* NULL: element @idx of an array */
	size_t idx;
};

/* "<file>: <path>: <message>"; returns @code. */
int jv_error(const struct jv *at, int code, const char *fmt, ...) _printf_(3, 4);
int jv_oom(const struct jv *at);

_must_check_ int jv_obj(const struct jv *in, const char *key, struct jv *ret);
_must_check_ int jv_arr(const struct jv *in, const char *key, struct jv *ret);
/* Element @i; the caller keeps @i below jv_len(). */
struct jv jv_at(const struct jv *arr, size_t i);
size_t jv_len(const struct jv *arr);
/* @in itself must be an object. */
_must_check_ int jv_is_obj(const struct jv *in);

_must_check_ int jv_str(const struct jv *in, const char *key, char **ret);
_must_check_ int jv_bool(const struct jv *in, const char *key, bool *ret);
_must_check_ int jv_int(const struct jv *in, const char *key, int64_t min, int64_t max, int64_t *ret);
_must_check_ int jv_u32(const struct jv *in, const char *key, uint32_t *ret);
/* Integers to 2^64-1; JSON reals that are whole are taken too (jansson cannot hold integers above 2^63-1). */
_must_check_ int jv_u64(const struct jv *in, const char *key, uint64_t *ret);
/* Array of strings, NULL-terminated; @ret_n may be NULL. */
_must_check_ int jv_strv(const struct jv *in, const char *key, char ***ret, size_t *ret_n);
/* Object of strings. */
_must_check_ int jv_map(const struct jv *in, const char *key, struct oci_kv **ret, size_t *ret_n);

_must_check_ int oci_parse_process(const struct jv *in, struct oci_process *p);
_must_check_ int oci_parse_mounts(const struct jv *doc, struct oci_spec *s);
_must_check_ int oci_parse_hooks(const struct jv *doc, struct oci_spec *s);
_must_check_ int oci_parse_linux(const struct jv *doc, struct oci_spec *s);
_must_check_ int oci_parse_resources(const struct jv *in, struct oci_resources *r);

#endif
