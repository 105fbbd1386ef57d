/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discretionary access checks. Linux: fs/namei.c generic_permission(), with acl.c.
 *
 * Checkpoint: stateless.
 */
#include "sentry/fs/acl.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/user_ns.h"

static const struct cred kernel_cred = {
	.ref = { 1 },
	.cap_perm = LINUX_CAP_FULL,
	.cap_eff = LINUX_CAP_FULL,
	.cap_bset = LINUX_CAP_FULL,
};

const struct cred *vfs_cred(struct task *t)
{
	return t && t->cred ? t->cred : &kernel_cred;
}

int inode_permission_generic(struct inode *i, const struct cred *c, int mask)
{
	uint32_t mode, uid, gid, bits;
	int listed = 1;

	mask &= MAY_EXEC | MAY_WRITE | MAY_READ;
	mutex_lock(&i->attr_mu);
	mode = i->mode;
	uid = i->uid;
	gid = i->gid;
	/* Without a bit for the group class a list cannot allow anything to anybody it names. */
	if (i->acl[ACL_ACCESS] && mode & 070 && c->fsuid != uid)
		listed = acl_permission_locked(i, c, mask);
	mutex_unlock(&i->attr_mu);
	bits = mode;
	if (c->fsuid == uid)
		bits >>= 6;
	else if (listed <= 0)
		bits = listed ? 0 : 7;
	else if (cred_in_group(c, gid))
		bits >>= 3;
	if (!((uint32_t)mask & ~bits & 7))
		return 0;
	if (LINUX_S_ISDIR(mode)) {
		if (!(mask & MAY_WRITE) && cred_capable_over(c, uid, gid, LINUX_CAP_DAC_READ_SEARCH))
			return 0;
		return cred_capable_over(c, uid, gid, LINUX_CAP_DAC_OVERRIDE) ? 0 : -EACCES;
	}
	if (mask == MAY_READ && cred_capable_over(c, uid, gid, LINUX_CAP_DAC_READ_SEARCH))
		return 0;
	if ((!(mask & MAY_EXEC) || mode & LINUX_S_IXUGO) && cred_capable_over(c, uid, gid, LINUX_CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

int inode_permission(struct inode *i, struct task *t, const struct cred *c, int mask)
{
	if (mask & MAY_WRITE && sb_rdonly(i->sb)) {
		uint32_t type = i->mode & LINUX_S_IFMT;

		if (type == LINUX_S_IFREG || type == LINUX_S_IFDIR || type == LINUX_S_IFLNK)
			return -EROFS;
	}
	if (mask & MAY_WRITE && inode_immutable(i))
		return -EPERM;
	if (i->ops->refresh) {
		int err = i->ops->refresh(i, t);

		if (err)
			return err;
	}
	if (i->ops->permission)
		return i->ops->permission(i, t, c, mask);
	return inode_permission_generic(i, c, mask);
}

bool inode_owner_or_capable(const struct inode *i, const struct cred *c)
{
	return c->fsuid == i->uid || (cred_capable_here(c, LINUX_CAP_FOWNER) && user_ns_out(c->user_ns, ID_UID, i->uid) != NO_ID);
}
