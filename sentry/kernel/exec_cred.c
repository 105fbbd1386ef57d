/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials over execve. Contract in exec_cred.h. Linux: security/commoncap.c cap_bprm_creds_from_file(), fs/exec.c bprm_fill_uid(). */
#include "sentry/kernel/exec_cred.h"

#include <string.h>
#include <sys/stat.h>

#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/mount.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/user_ns.h"

#define SECBIT_NOROOT	  (1u << 0)
#define SECBIT_KEEP_CAPS  (1u << 4)
#define CAPS_REV_MASK	  0xff000000u
#define CAPS_REV1	  0x01000000u
#define CAPS_REV2	  0x02000000u
#define CAPS_REV3	  0x03000000u
#define CAPS_EFFECTIVE	  1u

/* struct vfs_ns_cap_data, little endian; version 1 has one word of each, 2 no rootid. */
struct vfs_caps {
	uint32_t magic;
	struct { uint32_t perm, inh; } w[2];
	uint32_t rootid;
};
_Static_assert(sizeof(struct vfs_caps) == 24, "vfs_ns_cap_data layout");

static size_t caps_size(uint32_t magic)
{
	switch (magic & CAPS_REV_MASK) {
	case CAPS_REV1:
		return 12;
	case CAPS_REV2:
		return 20;
	case CAPS_REV3:
		return 24;
	default:
		return 0;
	}
}

int file_caps_check(const void *val, size_t size)
{
	uint32_t magic;

	if (size < sizeof(magic))
		return -EINVAL;
	memcpy(&magic, val, sizeof(magic));
	return (magic & CAPS_REV_MASK) != CAPS_REV1 && caps_size(magic) == size ? 0 : -EINVAL;
}

/* Does kernel id @root rule @ns, or one above it, as its id 0? */
static bool rules_namespace(uint32_t root, const struct user_ns *ns)
{
	for (;; ns = ns->parent) {
		if (user_ns_out(ns, ID_UID, root) == 0)
			return true;
		if (!ns)
			return false;
	}
}

/* The capabilities of @i, if it has some that count in @ns: 1, 0, or an error. */
static int read_caps(struct inode *i, struct task *t, const struct user_ns *ns, struct vfs_caps *ret)
{
	int64_t n;

	*ret = (struct vfs_caps){ 0 };
	if (!i->ops->getxattr)
		return 0;
	n = i->ops->getxattr(i, t, XATTR_CAPS, ret, sizeof(*ret));
	if (n == -ENODATA || n == -EOPNOTSUPP)
		return 0;
	if (n < 0)
		return n == -ERANGE ? -EINVAL : (int)n;
	if (n < 4 || caps_size(ret->magic) != (size_t)n)
		return -EINVAL;
	return rules_namespace(ret->rootid, ns); /* 0 in the versions that have none */
}

/* May set-id bits and capabilities of files on this mount count? */
static bool may_suid(struct file *f)
{
	return !(f->path.mnt && (f->path.mnt->flags & LINUX_MS_NOSUID));
}

/* What the file's capabilities give: pP' = (X & fP) | (pI & fI). *@ret_has, *@ret_effective. */
static int fill_file_caps(struct task *t, struct file *f, struct cred *c, bool *ret_has, bool *ret_effective)
{
	struct vfs_caps v;
	uint64_t fp, fi;
	int r;

	c->cap_perm = 0;
	*ret_has = *ret_effective = false;
	r = may_suid(f) ? read_caps(f->inode, t, c->user_ns, &v) : 0;
	if (r <= 0)
		return r;
	fp = (v.w[0].perm | (uint64_t)v.w[1].perm << 32) & LINUX_CAP_FULL;
	fi = (v.w[0].inh | (uint64_t)v.w[1].inh << 32) & LINUX_CAP_FULL;
	c->cap_perm = (c->cap_bset & fp) | (c->cap_inh & fi);
	*ret_has = true;
	*ret_effective = v.magic & CAPS_EFFECTIVE;
	/* A program that does not know about capabilities must not run with less than it needs. */
	return *ret_effective && (fp & ~c->cap_perm) ? -EPERM : 0;
}

static void fill_ids(struct task *t, struct file *f, struct cred *c)
{
	const struct inode *i = f->inode;

	if (!may_suid(f) || t->no_new_privs || user_ns_out(c->user_ns, ID_UID, i->uid) == NO_ID ||
	    user_ns_out(c->user_ns, ID_GID, i->gid) == NO_ID)
		return;
	if (i->mode & S_ISUID)
		c->euid = i->uid;
	if ((i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		c->egid = i->gid;
}

/* Somebody else may interfere with the program: it must not gain anything then. */
static bool unsafe(struct task *t)
{
	uint32_t shared = t->fs ? ref_count(&t->fs->ref) : 1;
	struct task *o;

	if (t->no_new_privs)
		return true;
	mutex_lock(&t->k->tasks_mu);
	list_for_each(o, &t->tg->tasks, tg_node)
		shared -= o != t && o->fs == t->fs; /* those of the own group will be gone */
	mutex_unlock(&t->k->tasks_mu);
	return shared > 1;
}

static void root_caps(const struct cred *o, struct cred *c, uint32_t root, bool has_fcap, bool *effective)
{
	if (c->securebits & SECBIT_NOROOT)
		return;
	/* Of a set-user-ID-root program with file capabilities, those count. */
	if (has_fcap && c->uid != root && c->euid == root)
		return;
	if (c->euid == root || c->uid == root)
		c->cap_perm = o->cap_bset | o->cap_inh;
	if (c->euid == root)
		*effective = true;
}

static int compute(struct task *t, struct file *f, struct cred *c, bool *ret_secure)
{
	const struct cred *o = t->cred;
	uint32_t root = user_ns_in(c->user_ns, ID_UID, 0);
	bool has_fcap, effective, setid;
	int r = fill_file_caps(t, f, c, &has_fcap, &effective);

	if (r < 0)
		return r;
	fill_ids(t, f, c);
	root_caps(o, c, root, has_fcap, &effective);
	setid = c->euid != o->uid || c->egid != o->gid;
	if ((setid || (c->cap_perm & ~o->cap_perm)) && (unsafe(t) || ptrace_blocks_setid(t))) {
		if (!cred_capable_here(o, LINUX_CAP_SETUID) || t->no_new_privs) {
			c->euid = c->uid;
			c->egid = c->gid;
		}
		c->cap_perm &= o->cap_perm;
	}
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	if (has_fcap || setid)
		c->cap_amb = 0;
	c->cap_perm |= c->cap_amb;
	c->cap_eff = effective ? c->cap_perm : c->cap_amb;
	c->securebits &= ~SECBIT_KEEP_CAPS;
	*ret_secure = setid || (c->uid != root && (effective || (c->cap_perm & ~c->cap_amb)));
	return 0;
}

int exec_cred(struct task *t, struct file *f, struct cred **ret, bool *ret_secure, bool *ret_undumpable)
{
	const struct cred *o = t->cred;
	struct cred *c = cred_dup(o);
	int r = c ? compute(t, f, c, ret_secure) : -ENOMEM;

	if (r < 0) {
		cred_put(c);
		return r;
	}
	*ret_undumpable = o->euid != o->uid || o->egid != o->gid || c->euid != o->euid || c->egid != o->egid || c->fsuid != o->fsuid ||
			  c->fsgid != o->fsgid || (c->cap_perm & ~o->cap_perm) || inode_permission(f->inode, t, o, MAY_READ) < 0;
	*ret = c;
	return 0;
}
