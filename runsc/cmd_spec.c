/* SPDX-License-Identifier: Apache-2.0 */
/* runsc spec: the config.json to start from; also the base of `runsc do`. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd_util.h"
#include "runsc/default_spec.h"

static json_t *strings(const char *const *v)
{
	json_t *a = json_array();

	for (; *v; v++)
		(void)json_array_append_new(a, json_string(*v));
	return a;
}

#define STRINGS(...) strings((const char *const[]){__VA_ARGS__, NULL})

static json_t *caps(void)
{
	return STRINGS("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE");
}

static json_t *mount(const char *dest, const char *type, const char *source, json_t *options)
{
	return json_pack("{s:s, s:s, s:s, s:o}", "destination", dest, "type", type, "source", source, "options",
			 options);
}

json_t *default_spec(void)
{
	json_t *mounts = json_array(), *ns = json_array();

	(void)json_array_append_new(mounts, mount("/proc", "proc", "proc", json_array()));
	(void)json_array_append_new(
		mounts, mount("/dev", "tmpfs", "tmpfs", STRINGS("nosuid", "strictatime", "mode=755", "size=65536k")));
	(void)json_array_append_new(
		mounts, mount("/dev/pts", "devpts", "devpts",
			      STRINGS("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")));
	(void)json_array_append_new(mounts, mount("/dev/shm", "tmpfs", "shm",
						  STRINGS("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")));
	(void)json_array_append_new(mounts,
				    mount("/dev/mqueue", "mqueue", "mqueue", STRINGS("nosuid", "noexec", "nodev")));
	(void)json_array_append_new(mounts,
				    mount("/sys", "sysfs", "sysfs", STRINGS("nosuid", "noexec", "nodev", "ro")));
	(void)json_array_append_new(mounts, mount("/sys/fs/cgroup", "cgroup", "cgroup",
						  STRINGS("nosuid", "noexec", "nodev", "relatime", "ro")));
	for (const char *const *t = (const char *const[]){"pid", "network", "ipc", "uts", "mount", "cgroup", NULL}; *t;
	     t++)
		(void)json_array_append_new(ns, json_pack("{s:s}", "type", *t));
	return json_pack(
		"{s:s, s:{s:b, s:{s:i, s:i}, s:o, s:o, s:s, s:{s:o, s:o, s:o}, s:[{s:s, s:i, s:i}], s:b}, s:{s:s, "
		"s:b}, s:s, "
		"s:o, s:{s:o, s:o, s:o}}",
		"ociVersion", OCI_VERSION, "process", "terminal", 0, "user", "uid", 0, "gid", 0, "args", STRINGS("sh"),
		"env", STRINGS("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"),
		"cwd", "/", "capabilities", "bounding", caps(), "effective", caps(), "permitted", caps(), "rlimits",
		"type", "RLIMIT_NOFILE", "hard", 1024, "soft", 1024, "noNewPrivileges", 1, "root", "path", "rootfs",
		"readonly", 0, "hostname", "runsc", "mounts", mounts, "linux", "namespaces", ns, "maskedPaths",
		STRINGS("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
			"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"),
		"readonlyPaths", STRINGS("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"));
}

int cmd_spec(struct globals *g, int argc, char **argv, struct error **err)
{
	const char *bundle = ".";
	const struct flag flags[] = {
		{"bundle", 'b', FLAG_STR, &bundle, "DIR", "where to write config.json (working directory)"},
		{"rootless", 0, FLAG_NOP_BOOL, NULL, NULL, "accepted: the sandbox needs no other configuration"},
		{0},
	};
	_cleanup_rest_ struct flags_rest rest = {0};
	_cleanup_(json_decrefp) json_t *spec = NULL;
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int dir = -EBADF;
	_cleanup_close_ int fd = -EBADF;
	char **command;
	int r = cmd_parse("spec", flags, FLAGS_FIRST, 0, SIZE_MAX, argc, argv, &rest, err);

	if (r)
		return r < 0 ? r : 0;
	command = rest.args;
	spec = default_spec();
	if (spec && rest.n) { /* gVisor's form: spec -- COMMAND ARG... */
		json_t *a = json_array();

		for (; *command; command++)
			(void)json_array_append_new(a, json_string(*command));
		(void)json_object_set_new(json_object_get(spec, "process"), "args", a);
	}
	text = spec ? json_dumps(spec, JSON_INDENT(2)) : NULL;
	if (!text)
		return error_set(err, -ENOMEM, "spec");
	dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_set(err, -errno, "--bundle %s", bundle);
	fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_set(err, -errno, "%s/config.json", bundle);
	r = write_all(fd, text, strlen(text));
	if (r == 0)
		r = write_all(fd, "\n", 1);
	return r < 0 ? error_set(err, r, "%s/config.json", bundle) : 0;
}
