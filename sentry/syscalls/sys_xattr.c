/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes, with the rules of their namespaces. Linux: fs/xattr.c. */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/acl.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/notify.h"
#include "sentry/kernel/exec_cred.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"

/* By name (dfd form is not needed by any call here) or by descriptor. */
static int target(struct task *t, const struct sys_args *a, bool by_fd, bool follow, struct path *ret)
{
	struct file *f _cleanup_file_ = NULL;

	if (!by_fd)
		return namei_user(t, LINUX_AT_FDCWD, ARG_ADDR(a, 0), follow ? LOOKUP_FOLLOW : 0, ret);
	f = fd_get(t, ARG_INT(a, 0));
	if (!f)
		return -EBADF;
	if (!f->path.dentry)
		return -EOPNOTSUPP;
	*ret = f->path;
	path_get(ret);
	return 0;
}

#define CAPS_SIZE_V2 20
#define CAPS_SIZE_V3 24

/* Capabilities that a ruler of a user namespace gives a file count there and below only: version 3 says where. */
static int caps_in(struct task *t, void **val, size_t *size)
{
	uint32_t root = 0, magic;
	int r = file_caps_check(*val, *size);
	uint8_t *v;

	if (r < 0)
		return r;
	if (*size == CAPS_SIZE_V2 && !t->cred->user_ns)
		return 0;
	if (*size == CAPS_SIZE_V3)
		memcpy(&root, (uint8_t *)*val + CAPS_SIZE_V2, sizeof(root));
	root = user_ns_in(t->cred->user_ns, ID_UID, root);
	if (root == NO_ID)
		return -EINVAL;
	v = realloc(*val, CAPS_SIZE_V3);
	if (!v)
		return -ENOMEM;
	memcpy(&magic, v, sizeof(magic));
	magic = (magic & 0xffffff) | 0x03000000;
	memcpy(v, &magic, sizeof(magic));
	memcpy(v + CAPS_SIZE_V2, &root, sizeof(root));
	*val = v;
	*size = CAPS_SIZE_V3;
	return 0;
}

/* What the reader's namespace sees of @n bytes: version 2 when they count there, version 3 with its own number otherwise. */
static int64_t caps_out(struct task *t, uint8_t *v, int64_t n)
{
	uint32_t root = 0, magic;

	if (n != CAPS_SIZE_V2 && n != CAPS_SIZE_V3)
		return n;
	if (n == CAPS_SIZE_V3)
		memcpy(&root, v + CAPS_SIZE_V2, sizeof(root));
	root = user_ns_out(t->cred->user_ns, ID_UID, root);
	if (root == NO_ID)
		return n == CAPS_SIZE_V2 ? n : -EOVERFLOW;
	if (n == CAPS_SIZE_V2)
		return n;
	memcpy(&magic, v, sizeof(magic));
	if (!root) {
		magic = (magic & 0xffffff) | 0x02000000;
		memcpy(v, &magic, sizeof(magic));
		return CAPS_SIZE_V2;
	}
	memcpy(v + CAPS_SIZE_V2, &root, sizeof(root));
	return n;
}

static int permission(struct task *t, struct inode *i, const char *name, int mask)
{
	if (mask & MAY_WRITE && (inode_immutable(i) || inode_append(i)))
		return -EPERM;
	if (!strncmp(name, "security.", 9) || !strncmp(name, "system.", 7)) {
		if (!(mask & MAY_WRITE) || strncmp(name, "security.", 9) != 0)
			return 0;
		if (!strcmp(name, XATTR_CAPS))
			return cred_capable_over(t->cred, i->uid, i->gid, LINUX_CAP_SETFCAP) ? 0 : -EPERM;
		return task_capable(t, LINUX_CAP_SYS_ADMIN) ? 0 : -EPERM;
	}
	if (!strncmp(name, "trusted.", 8))
		return task_capable(t, LINUX_CAP_SYS_ADMIN) ? 0 : mask & MAY_WRITE ? -EPERM : -ENODATA;
	if (!strncmp(name, "user.", 5)) {
		if (!name[5])
			return -EINVAL;
		if (!LINUX_S_ISREG(i->mode) && !inode_is_dir(i))
			return mask & MAY_WRITE ? -EPERM : -ENODATA;
		if (inode_is_dir(i) && i->mode & LINUX_S_ISVTX && mask & MAY_WRITE && !inode_owner_or_capable(i, t->cred))
			return -EPERM;
	}
	return inode_permission(i, t, t->cred, mask);
}

static int copy_name(struct task *t, gaddr_t src, char **ret)
{
	int err = copy_in_string(t, src, LINUX_XATTR_NAME_MAX, ret);

	if (err)
		return err == -ENAMETOOLONG ? -ERANGE : err;
	if (!**ret) {
		free(*ret);
		*ret = NULL;
		return -ERANGE;
	}
	return 0;
}

static int64_t do_set(struct task *t, const struct sys_args *a, bool by_fd, bool follow)
{
	struct path p _cleanup_path_ = { 0 };
	char *name _cleanup_free_ = NULL;
	void *val _cleanup_free_ = NULL;
	size_t size = a->a[3];
	int flags = ARG_INT(a, 4), err;
	struct inode *i;

	if (flags & ~(LINUX_XATTR_CREATE | LINUX_XATTR_REPLACE))
		return -EINVAL;
	err = copy_name(t, ARG_ADDR(a, 1), &name);
	if (err)
		return err;
	if (size > LINUX_XATTR_SIZE_MAX)
		return -E2BIG;
	if (size) {
		val = malloc(size);
		if (!val)
			return -ENOMEM;
		err = copy_in(t, val, ARG_ADDR(a, 2), size);
		if (err)
			return err;
	}
	err = target(t, a, by_fd, follow, &p);
	if (!err)
		err = mount_want_write(p.mnt);
	if (err)
		return err;
	i = p.dentry->inode;
	err = permission(t, i, name, MAY_WRITE);
	if (err)
		return err;
	if (acl_kind_of(name) >= 0) {
		err = acl_set(i, t, acl_kind_of(name), val ? val : "", size);
		if (!err)
			fsnotify_path(&p, LINUX_IN_ATTRIB);
		return err;
	}
	if (!i->ops->setxattr)
		return -EOPNOTSUPP;
	err = !size || strcmp(name, XATTR_CAPS) ? 0 : caps_in(t, &val, &size);
	if (err)
		return err;
	mutex_lock(&i->mu);
	err = i->ops->setxattr(i, t, name, val, size, flags);
	if (!strcmp(name, XATTR_CAPS))
		atomic_store_explicit(&i->no_caps, false, memory_order_relaxed);
	mutex_unlock(&i->mu);
	if (!err)
		fsnotify_path(&p, LINUX_IN_ATTRIB);
	return err;
}

static int64_t do_get(struct task *t, const struct sys_args *a, bool by_fd, bool follow)
{
	struct path p _cleanup_path_ = { 0 };
	char *name _cleanup_free_ = NULL;
	void *val _cleanup_free_ = NULL;
	size_t size = MIN(a->a[3], (uint64_t)LINUX_XATTR_SIZE_MAX);
	struct inode *i;
	int64_t r;
	int err = copy_name(t, ARG_ADDR(a, 1), &name);

	if (!err)
		err = target(t, a, by_fd, follow, &p);
	if (err)
		return err;
	i = p.dentry->inode;
	err = permission(t, i, name, MAY_READ);
	if (err)
		return err;
	if (!i->ops->getxattr && acl_kind_of(name) < 0)
		return -EOPNOTSUPP;
	val = malloc(size ? size : 1);
	if (!val)
		return -ENOMEM;
	r = acl_kind_of(name) >= 0 ? acl_get(i, acl_kind_of(name), val, size) : i->ops->getxattr(i, t, name, val, size);
	if (r > 0 && size && !strcmp(name, XATTR_CAPS))
		r = caps_out(t, val, r);
	if (r <= 0 || !size)
		return r;
	err = copy_out(t, ARG_ADDR(a, 2), val, (size_t)r);
	return err ? err : r;
}

static int64_t do_list(struct task *t, const struct sys_args *a, bool by_fd, bool follow)
{
	struct path p _cleanup_path_ = { 0 };
	void *buf _cleanup_free_ = NULL;
	size_t size = MIN(a->a[2], (uint64_t)LINUX_XATTR_LIST_MAX);
	struct inode *i;
	int64_t r;
	int err = target(t, a, by_fd, follow, &p);

	if (err)
		return err;
	i = p.dentry->inode;
	if (!i->ops->listxattr)
		return 0;
	buf = malloc(size ? size : 1);
	if (!buf)
		return -ENOMEM;
	r = i->ops->listxattr(i, t, buf, size);
	if (r >= 0)
		r = acl_list(i, buf, size, r);
	if (r <= 0 || !size)
		return r;
	err = copy_out(t, ARG_ADDR(a, 1), buf, (size_t)r);
	return err ? err : r;
}

static int64_t do_remove(struct task *t, const struct sys_args *a, bool by_fd, bool follow)
{
	struct path p _cleanup_path_ = { 0 };
	char *name _cleanup_free_ = NULL;
	struct inode *i;
	int err = copy_name(t, ARG_ADDR(a, 1), &name);

	if (!err)
		err = target(t, a, by_fd, follow, &p);
	if (!err)
		err = mount_want_write(p.mnt);
	if (err)
		return err;
	i = p.dentry->inode;
	err = permission(t, i, name, MAY_WRITE);
	if (err)
		return err;
	if (acl_kind_of(name) >= 0) {
		err = acl_set(i, t, acl_kind_of(name), NULL, 0);
		if (!err)
			fsnotify_path(&p, LINUX_IN_ATTRIB);
		return err;
	}
	if (!i->ops->removexattr)
		return -EOPNOTSUPP;
	mutex_lock(&i->mu);
	err = i->ops->removexattr(i, t, name);
	mutex_unlock(&i->mu);
	if (!err)
		fsnotify_path(&p, LINUX_IN_ATTRIB);
	return err;
}

#define FAMILY(verb, worker)                                                                       \
	int64_t sys_##verb(struct task *t, const struct sys_args *a)                               \
	{                                                                                          \
		return worker(t, a, false, true);                                                  \
	}                                                                                          \
	int64_t sys_l##verb(struct task *t, const struct sys_args *a)                              \
	{                                                                                          \
		return worker(t, a, false, false);                                                 \
	}                                                                                          \
	int64_t sys_f##verb(struct task *t, const struct sys_args *a)                              \
	{                                                                                          \
		return worker(t, a, true, true);                                                   \
	}

FAMILY(setxattr, do_set)
FAMILY(getxattr, do_get)
FAMILY(listxattr, do_list)
FAMILY(removexattr, do_remove)
