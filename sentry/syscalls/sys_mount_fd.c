/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting by descriptors: fsopen, fsconfig, fsmount, fspick, open_tree, move_mount, mount_setattr. Linux: fs/fsopen.c, fs/namespace.c.
 *
 * ID-mapped mounts are refused as by file systems without FS_ALLOW_IDMAP.
 */
#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_context.h"
#include "sentry/fs/landlock.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/tree_file.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"

#define FSOPEN_CLOEXEC_F  1u
#define FSMOUNT_CLOEXEC_F 1u

#define FSPICK_CLOEXEC_F	  1u
#define FSPICK_SYMLINK_NOFOLLOW_F 2u
#define FSPICK_NO_AUTOMOUNT_F	  4u
#define FSPICK_EMPTY_PATH_F	  8u

enum { FSCONFIG_FLAG, FSCONFIG_STRING, FSCONFIG_BINARY, FSCONFIG_PATH, FSCONFIG_PATH_EMPTY, FSCONFIG_FD, FSCONFIG_CREATE, FSCONFIG_RECONFIGURE };

#define OPEN_TREE_CLONE_F 1u
#define AT_RECURSIVE_F	  0x8000u
#define AT_NO_AUTOMOUNT_F 0x800u

#define MOVE_MOUNT_F_SYMLINKS_F	  0x1u
#define MOVE_MOUNT_F_EMPTY_PATH_F 0x4u
#define MOVE_MOUNT_T_SYMLINKS_F	  0x10u
#define MOVE_MOUNT_T_EMPTY_PATH_F 0x40u
#define MOVE_MOUNT_SET_GROUP_F	  0x100u
#define MOVE_MOUNT_ALL		  0x177u

#define ATTR_RDONLY_F	   0x1u
#define ATTR_NOSUID_F	   0x2u
#define ATTR_NODEV_F	   0x4u
#define ATTR_NOEXEC_F	   0x8u
#define ATTR_ATIME_F	   0x70u /* a field: 0 relatime, the next two */
#define ATTR_NOATIME_F	   0x10u
#define ATTR_STRICTATIME_F 0x20u
#define ATTR_NODIRATIME_F  0x80u
#define ATTR_IDMAP_F	   0x100000u
#define ATTR_NOSYMFOLLOW_F 0x200000u
#define ATTR_ALL                                                                                                           \
	(ATTR_RDONLY_F | ATTR_NOSUID_F | ATTR_NODEV_F | ATTR_NOEXEC_F | ATTR_ATIME_F | ATTR_NODIRATIME_F | ATTR_NOSYMFOLLOW_F)

#define PARAM_MAX 256

static bool may_mount(struct task *t)
{
	return !landlock_on(t) && task_ns_capable(t, t->ns->mnt->user_ns, LINUX_CAP_SYS_ADMIN);
}

/* strndup_user(): too long is EINVAL. */
static int copy_name(struct task *t, gaddr_t src, size_t max, char **ret)
{
	int err = copy_in_string(t, src, max, ret);

	return err == -ENAMETOOLONG ? -EINVAL : err;
}

static int64_t install(struct task *t, struct file *f, bool cloexec)
{
	int fd = fd_install(t, f, 0, cloexec);

	if (fd < 0)
		file_put(f);
	return fd;
}

int64_t sys_fsopen(struct task *t, const struct sys_args *a)
{
	char *name _cleanup_free_ = NULL;
	uint32_t flags = ARG_U32(a, 1);
	const struct fs_type *ft;
	struct file *f;
	int err;

	if (!may_mount(t))
		return -EPERM;
	if (flags & ~FSOPEN_CLOEXEC_F)
		return -EINVAL;
	err = copy_name(t, ARG_ADDR(a, 0), PAGE_SIZE - 1, &name);
	if (err)
		return err;
	ft = fs_type_find(name);
	if (!ft || ft->container_only)
		return -ENODEV;
	err = fs_context_new(t, ft, NULL, &f);
	return err ? err : install(t, f, flags & FSOPEN_CLOEXEC_F);
}

int64_t sys_fspick(struct task *t, const struct sys_args *a)
{
	struct path p _cleanup_path_ = { 0 };
	uint32_t flags = ARG_U32(a, 2);
	struct file *f;
	int err;

	if (!may_mount(t))
		return -EPERM;
	if (flags & ~(FSPICK_CLOEXEC_F | FSPICK_SYMLINK_NOFOLLOW_F | FSPICK_NO_AUTOMOUNT_F | FSPICK_EMPTY_PATH_F))
		return -EINVAL;
	err = namei_user(t, ARG_INT(a, 0), ARG_ADDR(a, 1),
			 (flags & FSPICK_SYMLINK_NOFOLLOW_F ? 0 : LOOKUP_FOLLOW) | (flags & FSPICK_EMPTY_PATH_F ? LOOKUP_EMPTY : 0), &p);
	if (err)
		return err;
	if (p.dentry != p.mnt->root || !p.mnt->sb->type)
		return -EINVAL;
	err = fs_context_new(t, NULL, &p, &f);
	return err ? err : install(t, f, flags & FSPICK_CLOEXEC_F);
}

/* Which of key, value and aux a command takes. */
static int check_fsconfig(uint32_t cmd, bool key, bool val, int aux)
{
	bool good;

	switch (cmd) {
	case FSCONFIG_FLAG:
		good = key && !val && !aux;
		break;
	case FSCONFIG_STRING:
		good = key && val && !aux;
		break;
	case FSCONFIG_BINARY:
		good = key && val && aux > 0 && aux <= 1024 * 1024;
		break;
	case FSCONFIG_PATH:
	case FSCONFIG_PATH_EMPTY:
		good = key && val && (aux == LINUX_AT_FDCWD || aux >= 0);
		break;
	case FSCONFIG_FD:
		good = key && !val && aux >= 0;
		break;
	case FSCONFIG_CREATE:
	case FSCONFIG_RECONFIGURE:
		good = !key && !val && !aux;
		break;
	default:
		return -EOPNOTSUPP;
	}
	return good ? 0 : -EINVAL;
}

int64_t sys_fsconfig(struct task *t, const struct sys_args *a)
{
	char *key _cleanup_free_ = NULL, *val _cleanup_free_ = NULL;
	struct file *f _cleanup_file_ = NULL;
	gaddr_t ukey = ARG_ADDR(a, 2), uval = ARG_ADDR(a, 3);
	uint32_t cmd = ARG_U32(a, 1);
	int err, aux = ARG_INT(a, 4);

	if (ARG_INT(a, 0) < 0)
		return -EINVAL;
	err = check_fsconfig(cmd, ukey.v, uval.v, aux);
	if (err)
		return err;
	f = fd_get(t, ARG_INT(a, 0));
	if (!f)
		return -EBADF;
	if (!file_is_fs_context(f))
		return -EINVAL;
	/* None of our file systems has parameters of these kinds. */
	if (cmd >= FSCONFIG_BINARY && cmd <= FSCONFIG_FD)
		return -EOPNOTSUPP;
	if (ukey.v)
		err = copy_name(t, ukey, PARAM_MAX - 1, &key);
	if (!err && uval.v)
		err = copy_name(t, uval, PARAM_MAX - 1, &val);
	if (err)
		return err;
	if (cmd <= FSCONFIG_STRING)
		return fs_context_param(f, key, val);
	if (!may_mount(t))
		return -EPERM;
	return cmd == FSCONFIG_CREATE ? fs_context_create(f, t) : fs_context_reconfigure(f, t);
}

/* Flags of struct mount for mount attributes; the field for access times apart. */
static uint32_t attr_flags(uint64_t attr)
{
	static const uint32_t map[][2] = {
		{ ATTR_RDONLY_F, LINUX_MS_RDONLY },	    { ATTR_NOSUID_F, LINUX_MS_NOSUID },
		{ ATTR_NODEV_F, LINUX_MS_NODEV },	    { ATTR_NOEXEC_F, LINUX_MS_NOEXEC },
		{ ATTR_NODIRATIME_F, LINUX_MS_NODIRATIME }, { ATTR_NOSYMFOLLOW_F, LINUX_MS_NOSYMFOLLOW },
	};
	uint32_t f = 0;

	for (size_t n = 0; n < ARRAY_SIZE(map); n++)
		if (attr & map[n][0])
			f |= map[n][1];
	return f;
}

static int attr_atime(uint64_t attr, uint32_t *f)
{
	switch (attr & ATTR_ATIME_F) {
	case 0:
		*f |= LINUX_MS_RELATIME;
		return 0;
	case ATTR_NOATIME_F:
		*f |= LINUX_MS_NOATIME;
		return 0;
	case ATTR_STRICTATIME_F:
		return 0;
	}
	return -EINVAL;
}

int64_t sys_fsmount(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = NULL, *tree = NULL;
	uint32_t flags = ARG_U32(a, 1), attr = ARG_U32(a, 2), mf;
	struct mnt_ns *ns;
	int err;

	if (!may_mount(t))
		return -EPERM;
	if (flags & ~FSMOUNT_CLOEXEC_F || attr & ~ATTR_ALL)
		return -EINVAL;
	mf = attr_flags(attr);
	if (attr_atime(attr, &mf))
		return -EINVAL;
	f = fd_get(t, ARG_INT(a, 0));
	if (!f)
		return -EBADF;
	if (!file_is_fs_context(f))
		return -EINVAL;
	err = fs_context_mount(f, mf, &ns);
	if (!err)
		err = tree_file_new(t, ns, &tree);
	return err ? err : install(t, tree, flags & FSMOUNT_CLOEXEC_F);
}

int64_t sys_open_tree(struct task *t, const struct sys_args *a)
{
	struct path p _cleanup_path_ = { 0 };
	uint32_t flags = ARG_U32(a, 2);
	struct file *f = NULL;
	struct mnt_ns *ns;
	int err;

	if (flags & ~(LINUX_AT_EMPTY_PATH | AT_NO_AUTOMOUNT_F | AT_RECURSIVE_F | LINUX_AT_SYMLINK_NOFOLLOW | OPEN_TREE_CLONE_F | LINUX_O_CLOEXEC))
		return -EINVAL;
	if ((flags & (AT_RECURSIVE_F | OPEN_TREE_CLONE_F)) == AT_RECURSIVE_F)
		return -EINVAL;
	if (flags & OPEN_TREE_CLONE_F && !may_mount(t))
		return -EPERM;
	err = namei_user(t, ARG_INT(a, 0), ARG_ADDR(a, 1),
			 (flags & LINUX_AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & LINUX_AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
	if (err)
		return err;
	if (flags & OPEN_TREE_CLONE_F) {
		err = mount_clone_anon(t->ns->mnt, &p, flags & AT_RECURSIVE_F, &ns);
		if (!err)
			err = tree_file_new(t, ns, &f);
	} else {
		err = vfs_open(t, &p, LINUX_O_PATH, &f);
	}
	return err ? err : install(t, f, flags & LINUX_O_CLOEXEC);
}

int64_t sys_move_mount(struct task *t, const struct sys_args *a)
{
	struct path from _cleanup_path_ = { 0 }, to _cleanup_path_ = { 0 };
	uint32_t flags = ARG_U32(a, 4);
	int err;

	if (!may_mount(t))
		return -EPERM;
	if (flags & ~MOVE_MOUNT_ALL)
		return -EINVAL;
	err = namei_user(t, ARG_INT(a, 0), ARG_ADDR(a, 1),
			 (flags & MOVE_MOUNT_F_SYMLINKS_F ? LOOKUP_FOLLOW : 0) | (flags & MOVE_MOUNT_F_EMPTY_PATH_F ? LOOKUP_EMPTY : 0), &from);
	if (!err)
		err = namei_user(t, ARG_INT(a, 2), ARG_ADDR(a, 3),
				 (flags & MOVE_MOUNT_T_SYMLINKS_F ? LOOKUP_FOLLOW : 0) | (flags & MOVE_MOUNT_T_EMPTY_PATH_F ? LOOKUP_EMPTY : 0), &to);
	if (err)
		return err;
	return flags & MOVE_MOUNT_SET_GROUP_F ? mount_set_group(&from, &to) : mount_move(t->ns->mnt, &from, &to);
}

struct mount_attr {
	uint64_t set, clr, propagation, userns_fd;
};

static int build_change(struct task *t, const struct mount_attr *m, bool recursive, struct mount_attr_change *c)
{
	const uint32_t types = LINUX_MS_SHARED | LINUX_MS_PRIVATE | LINUX_MS_SLAVE | LINUX_MS_UNBINDABLE;

	if (m->propagation & ~(uint64_t)types || m->propagation & (m->propagation - 1))
		return -EINVAL;
	if ((m->set | m->clr) & ~(uint64_t)(ATTR_ALL | ATTR_IDMAP_F))
		return -EINVAL;
	*c = (struct mount_attr_change){ .set = attr_flags(m->set), .clear = attr_flags(m->clr), .recursive = recursive,
					 .propagation = (uint32_t)m->propagation };
	if (m->clr & ATTR_ATIME_F) {
		/* It is a field: all of it is given anew. */
		if ((m->clr & ATTR_ATIME_F) != ATTR_ATIME_F || attr_atime(m->set, &c->set))
			return -EINVAL;
		c->clear |= LINUX_MS_RELATIME | LINUX_MS_NOATIME;
	} else if (m->set & ATTR_ATIME_F) {
		return -EINVAL;
	}
	if ((m->set | m->clr) & ATTR_IDMAP_F) {
		struct file *f _cleanup_file_ = NULL;

		if (m->clr & ATTR_IDMAP_F || m->userns_fd > INT32_MAX)
			return -EINVAL;
		f = fd_get(t, (int)m->userns_fd);
		return f ? -EINVAL : -EBADF;
	}
	return 0;
}

int64_t sys_mount_setattr(struct task *t, const struct sys_args *a)
{
	uint32_t flags = ARG_U32(a, 2);
	struct path p _cleanup_path_ = { 0 };
	struct mount_attr_change c;
	struct mount_attr m;
	int err;

	if (flags & ~(LINUX_AT_EMPTY_PATH | AT_RECURSIVE_F | LINUX_AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT_F))
		return -EINVAL;
	if (a->a[4] > PAGE_SIZE)
		return -E2BIG;
	if (a->a[4] < sizeof(m))
		return -EINVAL;
	if (!may_mount(t))
		return -EPERM;
	err = copy_in_struct(t, &m, sizeof(m), ARG_ADDR(a, 3), a->a[4]);
	if (err)
		return err;
	if (!m.set && !m.clr && !m.propagation)
		return 0;
	err = build_change(t, &m, flags & AT_RECURSIVE_F, &c);
	if (!err)
		err = namei_user(t, ARG_INT(a, 0), ARG_ADDR(a, 1),
				 (flags & LINUX_AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & LINUX_AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
	return err ? err : mount_change_attr(t->ns->mnt, &p, &c);
}
