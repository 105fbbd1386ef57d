/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes of tmpfs inodes: a short list, at most 128 KiB an inode. Guarded by attr_mu. Linux: fs/xattr.c simple_xattr_*.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/tmpfs/tmpfs_internal.h"

#define MAX_BYTES (128UL << 10)

static struct xattr *find(struct tmpfs_inode *ti, const char *name)
{
	struct xattr *x;

	list_for_each(x, &ti->xattrs, node)
		if (!strcmp(x->name, name))
			return x;
	return NULL;
}

static void drop(struct tmpfs_inode *ti, struct xattr *x)
{
	ti->xattr_bytes -= x->size + strlen(x->name) + 1;
	list_del(&x->node);
	free(x->name);
	free(x);
}

void tmpfs_xattr_done(struct tmpfs_inode *ti)
{
	struct xattr *x;

	while ((x = list_first(&ti->xattrs, struct xattr, node)))
		drop(ti, x);
}

/* ACLs would have to be enforced; the rest is only stored. */
static bool known_namespace(const char *name)
{
	return !strncmp(name, "user.", 5) || !strncmp(name, "trusted.", 8) || !strncmp(name, "security.", 9);
}

int64_t tmpfs_getxattr(struct inode *i, struct task *t, const char *name, void *buf, size_t size)
{
	struct tmpfs_inode *ti = tmpfs_i(i);
	struct xattr *x;

	if (!known_namespace(name))
		return -EOPNOTSUPP;
	mutex_guard(&i->attr_mu);
	x = find(ti, name);
	if (!x)
		return -ENODATA;
	if (size) {
		if (x->size > size)
			return -ERANGE;
		memcpy(buf, x->value, x->size);
	}
	return (int64_t)x->size;
}

int64_t tmpfs_listxattr(struct inode *i, struct task *t, char *buf, size_t size)
{
	struct tmpfs_inode *ti = tmpfs_i(i);
	bool trusted = cred_has_cap(vfs_cred(t), LINUX_CAP_SYS_ADMIN);
	size_t used = 0;
	struct xattr *x;

	mutex_guard(&i->attr_mu);
	list_for_each(x, &ti->xattrs, node) {
		size_t n = strlen(x->name) + 1;

		if (!trusted && !strncmp(x->name, "trusted.", 8))
			continue;
		if (size) {
			if (n > size - used)
				return -ERANGE;
			memcpy(buf + used, x->name, n);
		}
		used += n;
	}
	return (int64_t)used;
}

int tmpfs_setxattr(struct inode *i, struct task *t, const char *name, const void *val, size_t size, int flags)
{
	struct tmpfs_inode *ti = tmpfs_i(i);
	struct xattr *old, *x;
	size_t bytes = size + strlen(name) + 1;

	if (!known_namespace(name))
		return -EOPNOTSUPP;
	if (size > LINUX_XATTR_SIZE_MAX)
		return -E2BIG;
	x = malloc(sizeof(*x) + size);
	if (!x)
		return -ENOMEM;
	x->name = strdup(name);
	if (!x->name) {
		free(x);
		return -ENOMEM;
	}
	x->size = size;
	if (size)
		memcpy(x->value, val, size);
	mutex_lock(&i->attr_mu);
	old = find(ti, name);
	if ((old && flags & LINUX_XATTR_CREATE) || (!old && flags & LINUX_XATTR_REPLACE) || ti->xattr_bytes + bytes > MAX_BYTES) {
		int err = old && flags & LINUX_XATTR_CREATE ? -EEXIST : !old && flags & LINUX_XATTR_REPLACE ? -ENODATA : -ENOSPC;

		mutex_unlock(&i->attr_mu);
		free(x->name);
		free(x);
		return err;
	}
	if (old)
		drop(ti, old);
	list_add_tail(&ti->xattrs, &x->node);
	ti->xattr_bytes += bytes;
	mutex_unlock(&i->attr_mu);
	inode_touch(i, false, true);
	return 0;
}

int tmpfs_removexattr(struct inode *i, struct task *t, const char *name)
{
	struct tmpfs_inode *ti = tmpfs_i(i);
	struct xattr *x;

	if (!known_namespace(name))
		return -EOPNOTSUPP;
	mutex_lock(&i->attr_mu);
	x = find(ti, name);
	if (x)
		drop(ti, x);
	mutex_unlock(&i->attr_mu);
	if (!x)
		return -ENODATA;
	inode_touch(i, false, true);
	return 0;
}
