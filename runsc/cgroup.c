/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup v2 (one directory) and v1 (one directory per mounted controller hierarchy), written directly. The pids limit
 * is enforced by our kernel for applications; the host's is set wider, since sandbox threads and stubs count there too.
 */
#include "runsc/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/fd_util.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

static bool is_v2(void)
{
	struct statfs sfs;

	return statfs(CGROUP_ROOT, &sfs) == 0 && sfs.f_type == CGROUP2_SUPER_MAGIC;
}

/* "a-b-c.slice" is nested as a.slice/a-b.slice/a-b-c.slice. */
static char *expand_slice(const char *slice)
{
	_cleanup_free_ char *out = strdup("");
	size_t n = strlen(slice);

	if (n > 6 && !strcmp(slice + n - 6, ".slice"))
		n -= 6;
	for (size_t i = 1; out && i <= n; i++) {
		char *next;

		if (i < n && slice[i] != '-')
			continue;
		if (asprintf(&next, "%s/%.*s.slice", out, (int)i, slice) < 0)
			return NULL;
		free(out);
		out = next;
	}
	return TAKE_PTR(out);
}

/* Path below a hierarchy's root, with a leading slash; "" when the spec names none. NULL: out of memory or not
 * acceptable. */
static char *cgroup_path(const struct globals *g, const struct oci_spec *spec)
{
	const char *p = spec->lnx.cgroups_path, *a, *b;
	_cleanup_free_ char *slice = NULL;
	char *out;

	if (!p[0])
		return strdup("");
	if (strstr(p, "..")) /* never above the hierarchy's root */
		return NULL;
	a = strchr(p, ':');
	b = a ? strchr(a + 1, ':') : NULL;
	if ((g->systemd_cgroup || b) && b) {
		_cleanup_free_ char *name = strndup(p, (size_t)(a - p));

		slice = expand_slice(name && name[0] ? name : "system.slice");
		if (!slice || asprintf(&out, "%s/%.*s-%s.scope", slice, (int)(b - a - 1), a + 1, b + 1) < 0)
			return NULL;
		return out;
	}
	if (asprintf(&out, "%s%s", p[0] == '/' ? "" : "/", p) < 0)
		return NULL;
	return out;
}

static int join(const char *dir, const struct container *c)
{
	const pid_t pids[] = {c->sandbox.pid, c->gofer.pid};
	char path[4300], num[16];

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		int r;

		if (pids[i] <= 0)
			continue;
		(void)snprintf(num, sizeof(num), "%d", (int)pids[i]);
		r = write_string_at(AT_FDCWD, path, num);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A new cpuset has no CPUs and takes no process until it gets its parent's. */
static void inherit_cpuset(const char *dir)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *text = NULL;
		char path[4300];
		size_t len;

		(void)snprintf(path, sizeof(path), "%s/../%s", dir, files[i]);
		if (read_file_at(AT_FDCWD, path, 4096, &text, &len) < 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		(void)!write_string_at(AT_FDCWD, path, text);
	}
}

static int set_limit(const char *dir, const char *file, uint64_t value, const char *none)
{
	char path[4300], num[32];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (value == UINT64_MAX)
		(void)snprintf(num, sizeof(num), "%s", none);
	else
		(void)snprintf(num, sizeof(num), "%llu", (unsigned long long)value);
	return write_string_at(AT_FDCWD, path, num);
}

static int for_each_dir(const char *path, int (*fn)(const char *dir, const char *controller, void *arg), void *arg)
{
	char dir[4200];
	struct dirent *e;
	DIR *d;
	int r = 0;

	if (is_v2()) {
		(void)snprintf(dir, sizeof(dir), CGROUP_ROOT "%s", path);
		return fn(dir, "", arg);
	}
	d = opendir(CGROUP_ROOT);
	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		int k;

		/* Links such as cpu -> cpu,cpuacct name a hierarchy twice; "unified" holds no controller. */
		if (e->d_name[0] == '.' || e->d_type == DT_LNK || !strcmp(e->d_name, "unified"))
			continue;
		(void)snprintf(dir, sizeof(dir), CGROUP_ROOT "/%s%s", e->d_name, path);
		k = fn(dir, e->d_name, arg);
		if (k < 0 && r == 0)
			r = k;
	}
	(void)closedir(d);
	return r;
}

/* Makes @dir level by level, since each level of a cpuset has to inherit before the next one can. */
static int make_cpuset(const char *dir)
{
	_cleanup_free_ char *p = strdup(dir);

	if (!p)
		return -ENOMEM;
	for (char *s = p + strlen(CGROUP_ROOT "/cpuset"); s;) {
		char *end = strchr(s + 1, '/');

		if (end)
			*end = '\0';
		if (mkdir(p, 0755) == 0)
			inherit_cpuset(p);
		else if (errno != EEXIST)
			return -errno;
		if (end)
			*end = '/';
		s = end;
	}
	return 0;
}

static int make_one(const char *dir, const char *controller, void *arg)
{
	const struct container *c = arg;
	int r = !strcmp(controller, "cpuset") ? make_cpuset(dir) : mkdir_parents(dir, 0755);

	return r < 0 ? r : join(dir, c);
}

struct limits {
	uint64_t memory, pids;
};

static int limit_one(const char *dir, const char *controller, void *arg)
{
	const struct limits *l = arg;
	bool v2 = !controller[0];
	int r = 0;

	if (l->memory && (v2 || !strcmp(controller, "memory")))
		r = set_limit(dir, v2 ? "memory.max" : "memory.limit_in_bytes", l->memory, v2 ? "max" : "-1");
	if (r == 0 && l->pids && (v2 || !strcmp(controller, "pids")))
		r = set_limit(dir, "pids.max", l->pids == UINT64_MAX ? l->pids : l->pids * 3 + 64, "max");
	return r;
}

int cgroup_create(const struct globals *g, struct container *c, const struct oci_spec *spec, struct error **err)
{
	struct limits l = {spec->lnx.resources.memory_limit, spec->lnx.resources.pids_limit};
	int r, limited = 0;

	free(c->cgroup);
	c->cgroup = NULL;
	if (g->ignore_cgroups || !strcmp(g->cgroup_manager, "disabled")) {
		c->cgroup = strdup("");
		return c->cgroup ? 0 : error_set(err, -ENOMEM, "cgroup");
	}
	c->cgroup = cgroup_path(g, spec);
	if (!c->cgroup)
		return error_msg(err, -EINVAL, "linux.cgroupsPath \"%s\" is not acceptable", spec->lnx.cgroups_path);
	if (!c->cgroup[0])
		return 0;
	/* Recorded first: if we are killed, who takes over or deletes the container knows what to remove. */
	r = container_save(c, err);
	if (r < 0)
		return r;
	r = for_each_dir(c->cgroup, make_one, c);
	if (l.memory || l.pids)
		limited = for_each_dir(c->cgroup, limit_one, &l);
	if (limited < 0 && l.memory)
		return error_set(err, limited, "cgroup %s: cannot set the memory limit (--ignore-cgroups goes without)",
				 c->cgroup);
	if (r < 0 || limited < 0)
		report_warning(g, "cgroup %s: %s, going on without", c->cgroup, strerror(r < 0 ? -r : -limited));
	return 0;
}

int cgroup_update(const struct container *c, uint64_t memory, uint64_t pids, struct error **err)
{
	struct limits l = {memory, pids};
	int r;

	if (!c->cgroup[0])
		return 0;
	r = for_each_dir(c->cgroup, limit_one, &l);
	return r < 0 ? error_set(err, r, "cgroup %s", c->cgroup) : 0;
}

static int remove_one(const char *dir, const char *controller, void *arg)
{
	int r;

	/* Busy for a moment after the last process: it has ended, but the host may not be done with it. */
	for (unsigned int wait_ms = 1; (r = rmdir(dir) < 0 ? -errno : 0) == -EBUSY && wait_ms <= 256; wait_ms *= 2)
		(void)usleep(wait_ms * 1000);
	return r;
}

void cgroup_remove(const struct container *c)
{
	if (c->cgroup && c->cgroup[0])
		(void)for_each_dir(c->cgroup, remove_one, NULL);
}
