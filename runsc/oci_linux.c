/* SPDX-License-Identifier: Apache-2.0 */
/* config.json `linux`: what has a meaning inside an application kernel; the rest (LSM labels, RDT, ...) is ignored. */
#include <string.h>

#include "runsc/oci_internal.h"

static int parse_namespaces(const struct jv *lnx, struct oci_spec *s)
{
	static const char *const types[] = {"pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"};
	struct jv arr;
	int r = jv_arr(lnx, "namespaces", &arr);

	if (r <= 0)
		return r;
	s->lnx.nr_namespaces = jv_len(&arr);
	s->lnx.namespaces = arena_zalloc(&s->arena, s->lnx.nr_namespaces, sizeof(*s->lnx.namespaces));
	if (!s->lnx.namespaces)
		return jv_oom(&arr);
	for (size_t i = 0; i < s->lnx.nr_namespaces; i++) {
		struct oci_namespace *ns = &s->lnx.namespaces[i];
		struct jv e = jv_at(&arr, i);
		bool known = false;

		ns->type = ns->path = (char *)(uintptr_t) "";
		r = jv_is_obj(&e);
		if (r >= 0)
			r = jv_str(&e, "type", &ns->type);
		if (r >= 0)
			r = jv_str(&e, "path", &ns->path);
		if (r < 0)
			return r;
		for (size_t k = 0; k < ARRAY_SIZE(types); k++)
			known |= !strcmp(types[k], ns->type);
		if (!known)
			return jv_error(&e, -EINVAL, "type \"%.40s\" is not a namespace type", ns->type);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(s->lnx.namespaces[k].type, ns->type))
				return jv_error(&e, -EINVAL, "namespace type %s is given twice", ns->type);
	}
	return 0;
}

static int parse_device(const struct jv *e, struct oci_device *d)
{
	char *type = NULL;
	int64_t v = 0666;
	int r = jv_is_obj(e);

	if (r >= 0)
		r = jv_str(e, "path", &d->path);
	if (r >= 0)
		r = jv_str(e, "type", &type);
	if (r >= 0)
		r = jv_u32(e, "major", &d->major);
	if (r >= 0)
		r = jv_u32(e, "minor", &d->minor);
	if (r >= 0)
		r = jv_int(e, "fileMode", 0, UINT32_MAX, &v);
	if (r >= 0)
		r = jv_u32(e, "uid", &d->uid);
	if (r >= 0)
		r = jv_u32(e, "gid", &d->gid);
	if (r < 0)
		return r;
	d->mode = (uint32_t)v & 07777;
	if (!d->path || d->path[0] != '/')
		return jv_error(e, -EINVAL, "path must be an absolute path");
	if (!type || !type[0] || type[1] || !strchr("cubp", type[0]))
		return jv_error(e, -EINVAL, "type must be c, b, u or p");
	d->type = type[0] == 'u' ? 'c' : type[0];
	return 0;
}

static int parse_devices(const struct jv *lnx, struct oci_spec *s)
{
	struct jv arr;
	int r = jv_arr(lnx, "devices", &arr);

	if (r <= 0)
		return r;
	s->lnx.nr_devices = jv_len(&arr);
	s->lnx.devices = arena_zalloc(&s->arena, s->lnx.nr_devices, sizeof(*s->lnx.devices));
	if (!s->lnx.devices)
		return jv_oom(&arr);
	for (size_t i = 0; i < s->lnx.nr_devices; i++) {
		struct jv e = jv_at(&arr, i);

		r = parse_device(&e, &s->lnx.devices[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_idmaps(const struct jv *lnx, const char *key, struct oci_spec *s, struct oci_idmap **ret,
			size_t *ret_n)
{
	struct oci_idmap *m;
	struct jv arr;
	int r = jv_arr(lnx, key, &arr);

	if (r <= 0)
		return r;
	m = arena_zalloc(&s->arena, jv_len(&arr), sizeof(*m));
	if (!m)
		return jv_oom(&arr);
	for (size_t i = 0; i < jv_len(&arr); i++) {
		struct jv e = jv_at(&arr, i);

		r = jv_is_obj(&e);
		if (r >= 0)
			r = jv_u32(&e, "containerID", &m[i].container);
		if (r >= 0)
			r = jv_u32(&e, "hostID", &m[i].host);
		if (r >= 0)
			r = jv_u32(&e, "size", &m[i].size);
		if (r < 0)
			return r;
	}
	*ret = m;
	*ret_n = jv_len(&arr);
	return 0;
}

int oci_parse_resources(const struct jv *in, struct oci_resources *res)
{
	struct jv pids, memory, cpu;
	int64_t v;
	int r = jv_obj(in, "pids", &pids);

	if (r > 0)
		r = jv_int(&pids, "limit", INT64_MIN, INT64_MAX, &v);
	if (r > 0)
		res->pids_limit = v > 0 ? (uint64_t)v : 0;
	if (r >= 0)
		r = jv_obj(in, "memory", &memory);
	if (r > 0)
		r = jv_int(&memory, "limit", INT64_MIN, INT64_MAX, &v);
	if (r > 0)
		res->memory_limit = v > 0 ? (uint64_t)v : 0;
	if (r >= 0)
		r = jv_obj(in, "cpu", &cpu);
	if (r > 0) {
		r = jv_int(&cpu, "quota", INT64_MIN, INT64_MAX, &v);
		if (r > 0)
			res->cpu_quota = v > 0 ? (uint64_t)v : 0;
		if (r >= 0)
			r = jv_int(&cpu, "period", 0, INT64_MAX, &v);
		if (r > 0)
			res->cpu_period = (uint64_t)v;
	}
	if (r < 0)
		return r;
	res->json = in->v;
	return 0;
}

int oci_resources_from_json(json_t *json, const char *label, struct oci_resources *ret, struct error **err)
{
	struct arena a = {0};
	struct oci_ctx ctx = {&a, label, err};
	struct jv doc = {.ctx = &ctx, .v = json};
	int r = jv_is_obj(&doc);

	if (r >= 0)
		r = oci_parse_resources(&doc, ret);
	arena_done(&a);
	return r < 0 ? r : 0;
}

int oci_parse_linux(const struct jv *doc, struct oci_spec *s)
{
	static char *empty[1];
	struct jv lnx, res;
	int r = jv_obj(doc, "linux", &lnx);

	s->lnx.masked_paths = s->lnx.readonly_paths = empty;
	s->lnx.cgroups_path = (char *)(uintptr_t) "";
	if (r <= 0)
		return r;
	r = parse_namespaces(&lnx, s);
	if (r >= 0)
		r = parse_devices(&lnx, s);
	if (r >= 0)
		r = jv_strv(&lnx, "maskedPaths", &s->lnx.masked_paths, NULL);
	if (r >= 0)
		r = jv_strv(&lnx, "readonlyPaths", &s->lnx.readonly_paths, NULL);
	if (r >= 0)
		r = jv_map(&lnx, "sysctl", &s->lnx.sysctls, &s->lnx.nr_sysctls);
	if (r >= 0)
		r = jv_str(&lnx, "cgroupsPath", &s->lnx.cgroups_path);
	if (r >= 0)
		r = parse_idmaps(&lnx, "uidMappings", s, &s->lnx.uid_maps, &s->lnx.nr_uid_maps);
	if (r >= 0)
		r = parse_idmaps(&lnx, "gidMappings", s, &s->lnx.gid_maps, &s->lnx.nr_gid_maps);
	if (r >= 0)
		r = jv_obj(&lnx, "resources", &res);
	if (r > 0)
		r = oci_parse_resources(&res, &s->lnx.resources);
	return r < 0 ? r : 0;
}
