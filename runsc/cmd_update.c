/* SPDX-License-Identifier: Apache-2.0 */
/* runsc update: new memory and pids limits of the host cgroup; other controllers are written by engines themselves. */
#include <fcntl.h>
#include <string.h>

#include "base/fd_util.h"
#include "runsc/cgroup.h"

static int read_resources(const char *path, struct oci_resources *ret, json_t **ret_json, struct error **err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = !strcmp(path, "-") ? read_fd_all(0, OCI_FILE_MAX, &text, &len)
				   : read_file_at(AT_FDCWD, path, OCI_FILE_MAX, &text, &len);

	if (r < 0)
		return error_set(err, r, "--resources %s", path);
	*ret_json = json_loadb(text, len, 0, NULL);
	if (!*ret_json)
		return error_msg(err, -EINVAL, "--resources %s: not JSON", path);
	return oci_resources_from_json(*ret_json, "resources", ret, err);
}

int cmd_update(struct globals *g, int argc, char **argv, struct error **err)
{
	const char *file = NULL;
	int64_t memory = 0, pids = 0;
	const struct flag flags[] = {
		{"resources", 'r', FLAG_STR, &file, "FILE", "linux.resources as JSON; - is stdin"},
		{"memory", 0, FLAG_INT, &memory, "BYTES", "memory limit; -1: none"},
		{"pids-limit", 0, FLAG_INT, &pids, "N", "process limit; -1: none"},
		{"blkio-weight", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"cpu-period", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"cpu-quota", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"cpu-burst", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"cpu-share", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"cpu-rt-period", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"cpu-rt-runtime", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"cpuset-cpus", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"cpuset-mems", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"cpu-idle", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"kernel-memory", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"kernel-memory-tcp", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"memory-reservation", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"memory-swap", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"l3-cache-schema", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{"mem-bw-schema", 0, FLAG_NOP_STR, NULL, NULL, "no effect"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_container_ struct container *c = NULL;
	_cleanup_(json_decrefp) json_t *json = NULL;
	struct oci_resources res = {0};
	int r = cmd_parse("update", flags, FLAGS_ANYWHERE, 1, 1, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	res.memory_limit = memory < 0 ? UINT64_MAX : (uint64_t)memory;
	res.pids_limit = pids < 0 ? UINT64_MAX : (uint64_t)pids;
	if (file) {
		r = read_resources(file, &res, &json, err);
		if (r < 0)
			return r;
	}
	r = container_open(g, rest.args[0], CONTAINER_EXCLUSIVE, &c, err);
	if (r < 0)
		return r;
	if (c->status == CONTAINER_STOPPED)
		return error_msg(err, -ESRCH, "container not running: \"%s\" has stopped", c->id);
	return cgroup_update(c, res.memory_limit, res.pids_limit, err);
}
