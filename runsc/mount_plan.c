/* SPDX-License-Identifier: Apache-2.0 */
/* See mount_plan.h. Runs in the command line, the only process that may look at host paths by name. */
#include "runsc/mount_plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd_util.h"
#include "runsc/image_dir.h"
#include "sentry/sentry.h"

static const struct {
	const char *type;
	enum sentry_mount_kind kind;
} kinds[] = {
	{"proc", SENTRY_MOUNT_PROC},     {"sysfs", SENTRY_MOUNT_SYSFS},       {"tmpfs", SENTRY_MOUNT_TMPFS},
	{"ramfs", SENTRY_MOUNT_TMPFS},   {"devtmpfs", SENTRY_MOUNT_DEVTMPFS}, {"devpts", SENTRY_MOUNT_DEVPTS},
	{"mqueue", SENTRY_MOUNT_MQUEUE}, {"cgroup", SENTRY_MOUNT_CGROUP},     {"cgroup2", SENTRY_MOUNT_CGROUP},
};

static int kind_of(const struct oci_mount *m)
{
	/* The usual tmpfs on /dev is where the kernel's devices belong. */
	if (!strcmp(m->destination, "/dev") && !strcmp(m->type, "tmpfs"))
		return SENTRY_MOUNT_DEVTMPFS;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].type, m->type))
			return (int)kinds[i].kind;
	return -ENODEV;
}

static int add_mount(struct mount_plan *p, int kind, const char *dest, const char *source, const char *options,
		     uint64_t flags, const char *aname, bool is_file, bool overlay, bool exclusive)
{
	json_t *o = json_pack("{s:i, s:s, s:s, s:s, s:I, s:s, s:b, s:b, s:b}", "kind", kind, "dest", dest, "source",
			      source, "options", options, "flags", (json_int_t)flags, "aname", aname, "isFile", is_file,
			      "overlay", overlay, "exclusive", exclusive);

	return json_array_append_new(p->mounts, o) < 0 ? -EINVAL : 0;
}

static int add_export(struct mount_plan *p, const char *aname, const char *path, bool readonly, bool recursive,
		      bool shared)
{
	json_t *o = json_pack("{s:s, s:s, s:b, s:b, s:b}", "aname", aname, "path", path, "readonly", readonly,
			      "recursive", recursive, "shared", shared);

	return json_array_append_new(p->exports, o) < 0 ? -EINVAL : 0;
}

static int add_bind(struct mount_plan *p, const struct globals *g, const struct oci_mount *m, size_t i,
		    const char *bundle, struct error **err)
{
	bool readonly = m->flags & MS_RDONLY, overlay = !strcmp(g->overlay2, "all:memory") && !readonly;
	_cleanup_free_ char *path = NULL;
	char aname[32];
	struct stat st;

	if (m->source[0] == '/')
		path = strdup(m->source);
	else if (asprintf(&path, "%s/%s", bundle, m->source) < 0)
		path = NULL;
	if (!path)
		return error_set(err, -ENOMEM, "mounts[%zu]", i);
	if (stat(path, &st) < 0)
		return error_set(err, -errno, "mounts[%zu] (%s): source %s", i, m->destination, path);
	(void)snprintf(aname, sizeof(aname), "mount%zu", i);
	/* Others on the host use bind mounts too, so nothing about their files may be cached unseen. */
	if (add_mount(p, SENTRY_MOUNT_GOFER, m->destination, path, m->data, m->flags, aname, !S_ISDIR(st.st_mode),
		      overlay, false) < 0 ||
	    add_export(p, aname, path, readonly || overlay, m->recursive, true) < 0)
		return error_msg(err, -EINVAL, "mounts[%zu]: a path is not UTF-8", i);
	return 0;
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return !strncmp(path, top, n) && path[n] == '/';
}

/* Is there something in the root that @dest can be mounted on, or is that another mount's business? */
static bool has_point(const struct oci_spec *spec, int root, const char *dest)
{
	int fd;

	for (size_t i = 0; i < spec->nr_mounts; i++)
		if (is_below(dest, spec->mounts[i].destination))
			return true;
	fd = open_in_root(root, dest, O_PATH);
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

/* A read-only root in which mount points are missing needs a layer for them: images are often made without /dev or /proc. */
static bool lacks_points(const struct oci_spec *spec, const char *rootfs)
{
	_cleanup_close_ int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool all = root < 0 || has_point(spec, root, "/dev");

	for (size_t i = 0; i < spec->nr_mounts && all; i++)
		all = has_point(spec, root, spec->mounts[i].destination);
	return !all;
}

int mount_plan_make(const struct globals *g, const struct oci_spec *spec, const char *bundle, const char *rootfs,
		    struct mount_plan *ret, struct error **err)
{
	_cleanup_mount_plan_ struct mount_plan p = {json_array(), json_array()};
	bool overlay = strcmp(g->overlay2, "none") != 0 && (!spec->root_readonly || lacks_points(spec, rootfs)), dev = false;
	struct stat st;
	int r = 0;

	if (strcmp(g->overlay2, "none") != 0 && strncmp(g->overlay2, "root:", 5) != 0 &&
	    strncmp(g->overlay2, "all:", 4) != 0)
		return error_msg(err, -EINVAL, "--overlay2: \"%s\" is none of none, root:memory, all:memory",
				 g->overlay2);
	if (stat(rootfs, &st) < 0)
		return error_set(err, -errno, "root.path %s", rootfs);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, -ENOTDIR, "root.path %s", rootfs);
	if (add_mount(&p, SENTRY_MOUNT_GOFER, "/", "none", "", spec->root_readonly ? MS_RDONLY : 0, "root", false,
		      overlay, !strcmp(g->file_access, "exclusive")) < 0 ||
	    add_export(&p, "root", rootfs, overlay || spec->root_readonly, true, false) < 0)
		return error_msg(err, -EINVAL, "root.path %s is not UTF-8", rootfs);
	for (size_t i = 0; i < spec->nr_mounts; i++)
		dev |= !strcmp(spec->mounts[i].destination, "/dev");
	/* Devices are the kernel's to give whether or not the spec mounts something for them. */
	if (!dev &&
	    add_mount(&p, SENTRY_MOUNT_DEVTMPFS, "/dev", "none", "mode=755", MS_NOSUID, "", false, false, false) < 0)
		return error_set(err, -ENOMEM, "mounts");
	for (size_t i = 0; i < spec->nr_mounts && r == 0; i++) {
		const struct oci_mount *m = &spec->mounts[i];
		int kind;

		if (m->bind) {
			r = add_bind(&p, g, m, i, bundle, err);
			continue;
		}
		kind = kind_of(m);
		if (kind < 0)
			return error_msg(err, kind, "mounts[%zu] (%s): file system type \"%s\" is not supported", i,
					 m->destination, m->type);
		if (add_mount(&p, kind, m->destination, m->source[0] ? m->source : m->type, m->data, m->flags, "",
			      false, false, false) < 0)
			return error_msg(err, -EINVAL, "mounts[%zu]: a path is not UTF-8", i);
	}
	if (r < 0)
		return r;
	ret->mounts = TAKE_PTR(p.mounts);
	ret->exports = TAKE_PTR(p.exports);
	return 0;
}

void mount_plan_done(struct mount_plan *p)
{
	json_decref(p->mounts);
	json_decref(p->exports);
	*p = (struct mount_plan){0};
}
