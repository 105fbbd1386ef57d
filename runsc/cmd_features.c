/* SPDX-License-Identifier: Apache-2.0 */
/* runsc features (runtime-spec features.md) */
#include <stdio.h>

#include "runsc/oci.h"
#include "runsc/cli.h"

int cmd_features(struct globals *g, int argc, char **argv, struct error **err)
{
	static const char *const namespaces[] = {"cgroup", "ipc", "mount", "network", "pid", "user", "uts"};
	static const struct flag flags[] = {{0}};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_(json_decrefp) json_t *o = NULL;
	json_t *hooks = json_array(), *opts = json_array(), *ns = json_array(), *caps = json_array();
	int r = cmd_parse("features", flags, FLAGS_ANYWHERE, 0, 0, argc, argv, &rest, err);

	for (int i = 0; i < OCI_HOOK_MAX; i++)
		(void)json_array_append_new(hooks, json_string(oci_hook_name((enum oci_hook_kind)i)));
	for (const char *const *n = oci_mount_option_names(); *n; n++)
		(void)json_array_append_new(opts, json_string(*n));
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		(void)json_array_append_new(ns, json_string(namespaces[i]));
	for (unsigned int i = 0; oci_cap_name(i); i++)
		(void)json_array_append_new(caps, json_string(oci_cap_name(i)));
	o = json_pack(
		"{s:s, s:s, s:o, s:o, s:{s:o, s:o, s:{s:b, s:b, s:b, s:b, s:b}, s:{s:b}, s:{s:b}, s:{s:b}, s:{s:b}, "
		"s:{s:{s:b}}}, s:{s:s, s:s}}",
		"ociVersionMin", OCI_VERSION_MIN, "ociVersionMax", OCI_VERSION, "hooks", hooks, "mountOptions", opts,
		"linux", "namespaces", ns, "capabilities", caps, "cgroup", "v1", 1, "v2", 1, "systemd", 1,
		"systemdUser", 0, "rdma", 0, "seccomp", "enabled", 1, "apparmor", "enabled", 0, "selinux", "enabled", 0,
		"intelRdt", "enabled", 0, "mountExtensions", "idmap", "enabled", 0, "annotations", "org.runsc.version",
		RUNSC_VERSION, "org.opencontainers.runc.checkpoint.enabled", "true");
	if (r)
		return r < 0 ? r : 0;
	if (!o || json_dumpf(o, stdout, JSON_INDENT(2)) < 0)
		return error_set(err, -ENOMEM, "features");
	printf("\n");
	return 0;
}
