/* SPDX-License-Identifier: Apache-2.0 */
/* From parsed configuration to the structures of sentry.h. */
#include <stdlib.h>
#include <string.h>

#include "runsc/boot.h"

int boot_process_fill(struct arena *a, const struct oci_process *p, const int *stdio, const int *extra, size_t nr_extra,
		      struct sentry_process *ret, struct error **err)
{
	struct sentry_rlimit *rl = arena_zalloc(a, p->nr_rlimits, sizeof(*rl));

	if (!rl)
		return error_set(err, -ENOMEM, "process");
	for (size_t i = 0; i < p->nr_rlimits; i++)
		rl[i] = (struct sentry_rlimit){p->rlimits[i].resource, p->rlimits[i].soft, p->rlimits[i].hard};
	*ret = (struct sentry_process){
		.args = p->args,
		.env = p->env,
		.cwd = p->cwd[0] ? p->cwd : "/",
		.uid = p->uid,
		.gid = p->gid,
		.umask = p->umask,
		.groups = p->groups,
		.nr_groups = p->nr_groups,
		.cap_bounding = p->cap_bounding,
		.cap_effective = p->cap_effective,
		.cap_inheritable = p->cap_inheritable,
		.cap_permitted = p->cap_permitted,
		.cap_ambient = p->cap_ambient,
		.rlimits = rl,
		.nr_rlimits = p->nr_rlimits,
		.no_new_privs = p->no_new_privs,
		.oom_score_adj = p->oom_score_adj,
		.terminal = p->terminal,
		.rows = (uint16_t)p->rows,
		.cols = (uint16_t)p->cols,
		.stdio = {stdio[0], stdio[1], stdio[2]},
		.extra_fds = extra,
		.nr_extra_fds = nr_extra,
	};
	return 0;
}

static const char *str(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int fill_mounts(struct arena *a, json_t *list, struct sentry_container *ret, struct error **err)
{
	size_t n = json_array_size(list);
	struct sentry_mount *m = arena_zalloc(a, n, sizeof(*m));

	if (!m)
		return error_set(err, -ENOMEM, "mounts");
	for (size_t i = 0; i < n; i++) {
		json_t *o = json_array_get(list, i);

		m[i] = (struct sentry_mount){
			.kind = (enum sentry_mount_kind)json_integer_value(json_object_get(o, "kind")),
			.destination = str(o, "dest"),
			.source = str(o, "source"),
			.options = str(o, "options"),
			.flags = (uint64_t)json_integer_value(json_object_get(o, "flags")),
			.aname = str(o, "aname"),
			.is_file = json_is_true(json_object_get(o, "isFile")),
			.overlay = json_is_true(json_object_get(o, "overlay")),
			.exclusive = json_is_true(json_object_get(o, "exclusive")),
		};
	}
	ret->mounts = m;
	ret->nr_mounts = n;
	return 0;
}

static int fill_lists(struct arena *a, const struct oci_spec *spec, struct sentry_container *ret, struct error **err)
{
	const struct oci_linux *l = &spec->lnx;
	struct sentry_device *d = arena_zalloc(a, l->nr_devices, sizeof(*d));
	struct sentry_sysctl *s = arena_zalloc(a, l->nr_sysctls, sizeof(*s));

	if (!d || !s)
		return error_set(err, -ENOMEM, "devices");
	for (size_t i = 0; i < l->nr_devices; i++)
		d[i] = (struct sentry_device){l->devices[i].path,  l->devices[i].type, l->devices[i].major,
					      l->devices[i].minor, l->devices[i].mode, l->devices[i].uid,
					      l->devices[i].gid};
	for (size_t i = 0; i < l->nr_sysctls; i++)
		s[i] = (struct sentry_sysctl){l->sysctls[i].key, l->sysctls[i].value};
	ret->devices = d;
	ret->nr_devices = l->nr_devices;
	ret->sysctls = s;
	ret->nr_sysctls = l->nr_sysctls;
	return 0;
}

int boot_container_fill(struct arena *a, json_t *msg, const struct oci_spec *spec, const int *stdio, const int *extra,
			size_t nr_extra, int gofer_fd, struct sentry_container *ret, struct error **err)
{
	const char *hostname = json_string_value(json_object_get(msg, "hostname"));
	struct sentry_container c = {
		.id = str(msg, "id"),
		.hostname = hostname ? hostname : spec->hostname,
		.hostname_how = hostname ? SENTRY_HOSTNAME_SET :
					   json_is_true(json_object_get(msg, "keepHostname")) ? SENTRY_HOSTNAME_KEEP :
											  SENTRY_HOSTNAME_IF_UNCHANGED,
		.domainname = spec->domainname,
		.gofer_fd = gofer_fd,
		.masked_paths = spec->lnx.masked_paths,
		.readonly_paths = spec->lnx.readonly_paths,
		.pids_limit = spec->lnx.resources.pids_limit,
		.memory_limit = spec->lnx.resources.memory_limit,
		.cpu_quota = spec->lnx.resources.cpu_quota,
		.cpu_period = spec->lnx.resources.cpu_period,
		.cgroups_path = spec->lnx.cgroups_path,
	};
	int r = fill_mounts(a, json_object_get(msg, "mounts"), &c, err);

	if (r == 0)
		r = fill_lists(a, spec, &c, err);
	if (r == 0)
		r = boot_process_fill(a, spec->process, stdio, extra, nr_extra, &c.process, err);
	if (r < 0)
		return r;
	*ret = c;
	return 0;
}
