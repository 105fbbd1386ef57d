/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds the mount namespace of a container. Contract in container_mounts.h.
 *
 * Works as the kernel (no task, every capability), with names resolved inside the new tree (LOOKUP_IN_ROOT: a symlink of the image cannot lead out
 * of it). Missing mount points are made as runc makes them: directories 0755, files 0644 empty.
 */
#include "sentry/fs/container_mounts.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/fs/namei.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/kernel.h"
#include "sentry/sentry.h"

static const char *type_of(const struct sentry_mount *m)
{
	switch (m->kind) {
	case SENTRY_MOUNT_GOFER:
		return m->overlay ? "overlay" : "gofer";
	case SENTRY_MOUNT_TMPFS:
		return "tmpfs";
	case SENTRY_MOUNT_PROC:
		return "proc";
	case SENTRY_MOUNT_SYSFS:
		return "sysfs";
	case SENTRY_MOUNT_DEVTMPFS:
		return "devtmpfs";
	case SENTRY_MOUNT_DEVPTS:
		return "devpts";
	case SENTRY_MOUNT_MQUEUE:
		return "mqueue";
	case SENTRY_MOUNT_CGROUP:
		return "cgroup2";
	}
	return "none";
}

struct build {
	struct kernel *k;
	const struct sentry_container *sc;
	struct container *c;
	struct p9_client *gofer;
	struct mnt_ns *ns;
	struct path root;
};

static int make_sb(struct build *b, const struct sentry_mount *m, struct super_block **ret, struct error **err)
{
	const struct fs_type *ft = fs_type_find(type_of(m));
	struct mount_req rq = {
		.k = b->k,
		.source = m->source ? m->source : "none",
		.options = m->options ? m->options : "",
		/* The mount is read-only, not the file system: others may bind it writable. */
		.flags = (uint32_t)m->flags & (LINUX_MS_SYNCHRONOUS | LINUX_MS_DIRSYNC),
		.m = m,
		.c = b->c,
		.gofer = b->gofer,
	};
	int r;

	if (!ft)
		return error_msg(err, -ENODEV, "mount %s: file system type \"%s\" is not supported", m->destination, type_of(m));
	r = ft->mount(ft, &rq, ret);
	return r ? error_set(err, r, "mount %s (%s)", m->destination, ft->name) : 0;
}

static int lookup(struct build *b, const char *name, struct path *ret)
{
	return namei_at(NULL, &b->root, &b->root, name, LOOKUP_FOLLOW | LOOKUP_IN_ROOT, ret);
}

/* Finds @name inside the container, making what is missing of it: directories, and a file at the end when @file. */
static int make_point(struct build *b, const char *name, bool file, struct path *ret)
{
	char *copy _cleanup_free_ = NULL;
	int err = lookup(b, name, ret);

	if (err != -ENOENT)
		return err;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	for (char *p = copy; err == -ENOENT && *p;) {
		struct parent_path pp = { 0 };
		struct path at = { 0 };
		char *end = p + strspn(p, "/"), save;
		bool last;

		end += strcspn(end, "/");
		last = !end[strspn(end, "/")];
		save = *end;
		*end = '\0';
		if (lookup(b, copy, &at) == 0) {
			path_put(&at);
		} else {
			int e = namei_parent_at(NULL, &b->root, &b->root, copy, LOOKUP_IN_ROOT, &pp);

			if (!e && pp.type == LAST_NORM)
				e = last && file ? vfs_mknod(NULL, &pp.dir, pp.name, LINUX_S_IFREG | 0644, 0, NULL) :
						   vfs_mkdir(NULL, &pp.dir, pp.name, 0755, NULL);
			parent_path_done(&pp);
			if (e)
				return e == -EEXIST ? -ENOENT : e; /* EEXIST: a dangling symlink */
		}
		*end = save;
		p = end;
		if (last)
			break;
	}
	return lookup(b, name, ret);
}

static int set_dest(struct mount *m, const char *dest)
{
	m->dest = strdup(dest);
	return m->dest ? 0 : -ENOMEM;
}

/* Read-only comes last, when every mount point inside has been made. */
static uint32_t early_flags(const struct sentry_mount *m)
{
	return mount_flags_from_ms(m->flags) & ~LINUX_MS_RDONLY;
}

static void set_readonly_flags(struct build *b)
{
	for (size_t n = 0; n < b->sc->nr_mounts; n++) {
		const struct sentry_mount *m = &b->sc->mounts[n];
		struct mount *mnt;

		if (!(m->flags & LINUX_MS_RDONLY))
			continue;
		mnt = mnt_ns_find_dest(b->ns, m->destination);
		if (mnt)
			mount_set_flags(mnt, mnt->flags | LINUX_MS_RDONLY);
		mount_put(mnt);
	}
}

static int mount_root(struct build *b, struct error **err)
{
	const struct sentry_mount *m = &b->sc->mounts[0];
	struct super_block *sb = NULL;
	int r = make_sb(b, m, &sb, err);

	if (r)
		return r;
	r = mnt_ns_new(b->k, sb, early_flags(m), m->source ? m->source : "none", &b->ns);
	sb_put(sb);
	if (!r)
		r = set_dest(b->ns->root, m->destination);
	if (r)
		return error_set(err, r, "root of container %s", b->sc->id);
	mnt_ns_root(b->ns, &b->root);
	return 0;
}

/* Copies nothing: OCI's tmpcopyup extension is the runtime's; here a tmpfs starts empty. */
static int mount_one(struct build *b, const struct sentry_mount *m, struct error **err)
{
	struct path at _cleanup_path_ = { 0 };
	struct super_block *sb = NULL;
	struct mount *mnt = NULL;
	int r = make_sb(b, m, &sb, err);

	if (r)
		return r;
	r = make_point(b, m->destination, !inode_is_dir(sb->root->inode), &at);
	if (!r)
		r = mount_attach(b->ns, &at, sb, NULL, early_flags(m), m->source ? m->source : "none", &mnt);
	if (!r)
		r = set_dest(mnt, m->destination);
	mount_put(mnt);
	sb_put(sb);
	return r ? error_set(err, r, "mount %s", m->destination) : 0;
}

static int add_device(struct build *b, const struct sentry_device *d, struct error **err)
{
	struct path at _cleanup_path_ = { 0 }, dir _cleanup_path_ = { 0 };
	uint32_t type = d->type == 'c' || d->type == 'u' ? LINUX_S_IFCHR : d->type == 'b' ? LINUX_S_IFBLK : LINUX_S_IFIFO;
	char *parent _cleanup_free_ = strdup(d->path), *slash = parent ? strrchr(parent, '/') : NULL;
	struct iattr a = { .valid = ATTR_MODE | ATTR_UID | ATTR_GID, .mode = d->mode & LINUX_S_IALLUGO, .uid = d->uid, .gid = d->gid };
	int r;

	if (!slash || !slash[1])
		return error_msg(err, -EINVAL, "device %s: not an absolute path", d->path);
	*slash = '\0';
	r = make_point(b, *parent ? parent : "/", false, &dir);
	if (!r)
		r = vfs_mknod(NULL, &dir, slash + 1, type | (d->mode & 0777), dev_make(d->major, d->minor), &at);
	if (r == -EEXIST)
		return 0; /* one of the default devices */
	if (!r)
		r = vfs_raw_setattr(at.dentry->inode, &a);
	return r ? error_set(err, r, "device %s", d->path) : 0;
}

/* A masked file shows as /dev/null, a masked directory as an empty read-only one. */
static int mask(struct build *b, const char *name, struct error **err)
{
	struct path at _cleanup_path_ = { 0 }, null _cleanup_path_ = { 0 };
	struct super_block *sb = NULL;
	int r = lookup(b, name, &at);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (!r && inode_is_dir(at.dentry->inode)) {
		r = tmpfs_new(b->k, 0755, 0, 0, &sb);
		if (!r)
			r = mount_attach(b->ns, &at, sb, NULL, LINUX_MS_RDONLY | LINUX_MS_RELATIME, "tmpfs", NULL);
		if (sb)
			sb_put(sb);
	} else if (!r) {
		r = lookup(b, "/dev/null", &null);
		if (!r)
			r = mount_bind(b->ns, &null, &at, false, 0);
	}
	return r ? error_set(err, r, "masking %s", name) : 0;
}

static int make_readonly(struct build *b, const char *name, struct error **err)
{
	struct path at _cleanup_path_ = { 0 };
	int r = lookup(b, name, &at);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (!r)
		r = mount_bind(b->ns, &at, &at, true, LINUX_MS_RDONLY);
	return r ? error_set(err, r, "making %s read-only", name) : 0;
}

static int build(struct build *b, struct error **err)
{
	const struct sentry_container *sc = b->sc;
	int r;

	if (!sc->nr_mounts || strcmp(sc->mounts[0].destination, "/"))
		return error_msg(err, -EINVAL, "container %s: the first mount must be the root", sc->id);
	r = mount_root(b, err);
	for (size_t n = 1; !r && n < sc->nr_mounts; n++)
		r = mount_one(b, &sc->mounts[n], err);
	for (size_t n = 0; !r && n < sc->nr_devices; n++)
		r = add_device(b, &sc->devices[n], err);
	for (char **p = sc->readonly_paths; !r && p && *p; p++)
		r = make_readonly(b, *p, err);
	for (char **p = sc->masked_paths; !r && p && *p; p++)
		r = mask(b, *p, err);
	if (!r)
		set_readonly_flags(b);
	return r;
}

int container_mounts(struct kernel *k, const struct sentry_container *sc, struct container *c, struct p9_client *gofer,
		     struct mnt_ns **ret, struct error **err)
{
	struct build b = { .k = k, .sc = sc, .c = c, .gofer = gofer };
	int r = build(&b, err);

	path_put(&b.root);
	if (r) {
		mnt_ns_put(b.ns);
		return r;
	}
	*ret = b.ns;
	return 0;
}

int container_fs_ctx(struct mnt_ns *ns, const char *cwd, uint32_t umask, struct fs_ctx **ret, struct error **err)
{
	struct path at _cleanup_path_ = { 0 };
	struct build b = { .ns = ns };
	int r;

	mnt_ns_root(ns, &b.root);
	r = make_point(&b, cwd && *cwd ? cwd : "/", false, &at);
	if (!r && !inode_is_dir(at.dentry->inode))
		r = -ENOTDIR;
	if (!r) {
		*ret = fs_ctx_new(&b.root, &at, umask);
		r = *ret ? 0 : -ENOMEM;
	}
	path_put(&b.root);
	return r ? error_set(err, r, "working directory %s", cwd) : 0;
}
