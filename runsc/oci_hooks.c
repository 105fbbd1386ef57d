/* SPDX-License-Identifier: Apache-2.0 */
/* config.json `hooks`. */
#include "runsc/oci_internal.h"

static const char *const hook_names[] = {
	[OCI_HOOK_PRESTART] = "prestart",
	[OCI_HOOK_CREATE_RUNTIME] = "createRuntime",
	[OCI_HOOK_CREATE_CONTAINER] = "createContainer",
	[OCI_HOOK_START_CONTAINER] = "startContainer",
	[OCI_HOOK_POSTSTART] = "poststart",
	[OCI_HOOK_POSTSTOP] = "poststop",
};

const char *oci_hook_name(enum oci_hook_kind k)
{
	return hook_names[k];
}

static int parse_hook(const struct jv *e, struct oci_hook *h)
{
	static char *empty[1];
	int64_t timeout = 0;
	int r = jv_is_obj(e);

	h->env = empty;
	if (r >= 0)
		r = jv_str(e, "path", &h->path);
	if (r >= 0)
		r = jv_strv(e, "args", &h->args, NULL);
	if (r >= 0)
		r = jv_strv(e, "env", &h->env, NULL);
	if (r >= 0)
		r = jv_int(e, "timeout", 1, 86400 * 365, &timeout);
	if (r < 0)
		return r;
	h->timeout = (uint32_t)timeout;
	if (!h->path || h->path[0] != '/')
		return jv_error(e, -EINVAL, "path must be an absolute path");
	return 0;
}

int oci_parse_hooks(const struct jv *doc, struct oci_spec *s)
{
	struct jv hooks, arr;
	int r = jv_obj(doc, "hooks", &hooks);

	if (r <= 0)
		return r;
	for (int k = 0; k < OCI_HOOK_MAX; k++) {
		struct oci_hooks *h = &s->hooks[k];

		r = jv_arr(&hooks, hook_names[k], &arr);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		h->n = jv_len(&arr);
		h->v = arena_zalloc(&s->arena, h->n, sizeof(*h->v));
		if (!h->v)
			return jv_oom(&arr);
		for (size_t i = 0; i < h->n; i++) {
			struct jv e = jv_at(&arr, i);

			r = parse_hook(&e, &h->v[i]);
			if (r < 0)
				return r;
		}
	}
	return 0;
}
