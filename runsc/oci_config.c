/* SPDX-License-Identifier: Apache-2.0 */
/* config.json as a whole. The file comes from the engine, not from the container, but is parsed as if it were hostile.
 */
#include <string.h>

#include "runsc/oci_internal.h"

static int parse_root(const struct jv *doc, struct oci_spec *s)
{
	struct jv root;
	int r = jv_obj(doc, "root", &root);

	if (r > 0)
		r = jv_str(&root, "path", &s->root_path);
	if (r >= 0 && (!s->root_path || !s->root_path[0]))
		return jv_error(doc, -EINVAL, "root.path: is missing");
	if (r > 0)
		r = jv_bool(&root, "readonly", &s->root_readonly);
	return r;
}

static int parse_spec(const struct jv *doc, struct oci_spec *s)
{
	struct jv proc;
	int r = jv_is_obj(doc);

	s->version = (char *)(uintptr_t) "";
	if (r >= 0)
		r = jv_str(doc, "ociVersion", &s->version);
	if (r >= 0 && (!s->version[0] || (strncmp(s->version, "1.", 2) != 0 && strncmp(s->version, "0.", 2) != 0)))
		return jv_error(doc, -EINVAL, "ociVersion: \"%.40s\" is not a version we know (1.x)", s->version);
	if (r >= 0)
		r = parse_root(doc, s);
	if (r >= 0)
		r = jv_str(doc, "hostname", &s->hostname);
	if (r >= 0)
		r = jv_str(doc, "domainname", &s->domainname);
	if (r >= 0)
		r = jv_map(doc, "annotations", &s->annotations, &s->nr_annotations);
	if (r >= 0)
		r = oci_parse_mounts(doc, s);
	if (r >= 0)
		r = oci_parse_hooks(doc, s);
	if (r >= 0)
		r = oci_parse_linux(doc, s);
	if (r >= 0)
		r = jv_obj(doc, "process", &proc);
	if (r <= 0)
		return r;
	s->process = arena_new(&s->arena, struct oci_process);
	return s->process ? oci_parse_process(&proc, s->process) : jv_oom(doc);
}

int oci_spec_from_json(json_t *json, const char *label, struct oci_spec **ret, struct error **err)
{
	_cleanup_oci_spec_ struct oci_spec *s = calloc(1, sizeof(*s));
	struct oci_ctx ctx = {.label = label, .err = err};
	struct jv doc = {.ctx = &ctx, .v = json};
	int r;

	if (!s)
		return error_set(err, -ENOMEM, "%s", label);
	ctx.arena = &s->arena;
	s->json = json_incref(json);
	r = parse_spec(&doc, s);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

int oci_spec_parse(const char *text, size_t len, const char *label, struct oci_spec **ret, struct error **err)
{
	_cleanup_json_ json_t *json = NULL;
	json_error_t je;

	if (len > OCI_FILE_MAX)
		return error_msg(err, -EFBIG, "%s: is larger than %u bytes", label, OCI_FILE_MAX);
	json = json_loadb(text, len, JSON_DECODE_ANY, &je);
	if (!json)
		return error_msg(err, -EINVAL, "%s: line %d, column %d: %s", label, je.line, je.column, je.text);
	return oci_spec_from_json(json, label, ret, err);
}

struct oci_spec *oci_spec_free(struct oci_spec *s)
{
	if (s) {
		json_decref(s->json);
		arena_done(&s->arena);
		free(s);
	}
	return NULL;
}

const char *oci_annotation(const struct oci_spec *s, const char *key)
{
	for (size_t i = 0; i < s->nr_annotations; i++)
		if (!strcmp(s->annotations[i].key, key))
			return s->annotations[i].value;
	return NULL;
}
