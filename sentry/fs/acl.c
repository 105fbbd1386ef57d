/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX access control lists. Contract in acl.h. Linux: fs/posix_acl.c.
 *
 * A list that says no more than the nine mode bits is not kept. The bits of the owner, of the mask (or owning group) and of others are those of the
 * mode, always: chmod changes the list, setting a list changes the mode.
 */
#include "sentry/fs/acl.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/fs/fs_type.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/user_ns.h"

#define ACL_VERSION   2u
#define ACL_USER_OBJ  0x01
#define ACL_USER      0x02
#define ACL_GROUP_OBJ 0x04
#define ACL_GROUP     0x08
#define ACL_MASK      0x10
#define ACL_OTHER     0x20

struct acl_entry { /* as in the attribute */
	uint16_t tag, perm;
	uint32_t id;
};

struct posix_acl {
	size_t n;
	struct acl_entry e[];
};

int acl_kind_of(const char *name)
{
	if (!strcmp(name, "system.posix_acl_access"))
		return ACL_ACCESS;
	return strcmp(name, "system.posix_acl_default") ? -1 : ACL_DEFAULT;
}

void acl_free(struct posix_acl *a)
{
	free(a);
}

static struct posix_acl *acl_dup(const struct posix_acl *a)
{
	size_t size = sizeof(*a) + a->n * sizeof(a->e[0]);
	struct posix_acl *n = malloc(size);

	return n ? memcpy(n, a, size) : NULL;
}

/* Each tag once and in order, named ones with distinct ids, and a mask when there are any. */
static bool valid(const struct posix_acl *a)
{
	static const uint16_t order[] = { ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER };
	bool seen[ARRAY_SIZE(order)] = { false };
	size_t at = 0;

	for (size_t n = 0; n < a->n; n++) {
		const struct acl_entry *e = &a->e[n];

		if (e->perm & ~7)
			return false;
		while (at < ARRAY_SIZE(order) && order[at] != e->tag)
			at++;
		if (at == ARRAY_SIZE(order))
			return false;
		if (e->tag == ACL_USER || e->tag == ACL_GROUP) {
			if (e->id == UINT32_MAX)
				return false;
		} else if (seen[at]) {
			return false;
		}
		seen[at] = true;
	}
	return seen[0] && seen[2] && seen[5] && (seen[4] || (!seen[1] && !seen[3]));
}

int acl_import(const void *val, size_t size, struct posix_acl **ret)
{
	const uint8_t *p = val;
	struct posix_acl *a;
	uint32_t version;
	size_t n;

	*ret = NULL;
	if (size < sizeof(version))
		return -EINVAL;
	memcpy(&version, p, sizeof(version));
	if (version != ACL_VERSION)
		return -EOPNOTSUPP;
	if ((size - sizeof(version)) % sizeof(struct acl_entry))
		return -EINVAL;
	n = (size - sizeof(version)) / sizeof(struct acl_entry);
	if (!n)
		return 0;
	if (n > ACL_MAX_ENTRIES)
		return -EINVAL;
	a = malloc(sizeof(*a) + n * sizeof(a->e[0]));
	if (!a)
		return -ENOMEM;
	a->n = n;
	memcpy(a->e, p + sizeof(version), n * sizeof(a->e[0]));
	if (!valid(a)) {
		free(a);
		return -EINVAL;
	}
	*ret = a;
	return 0;
}

int acl_export(const struct posix_acl *a, void **ret, size_t *size)
{
	uint32_t version = ACL_VERSION;
	uint8_t *p;

	*size = sizeof(version) + a->n * sizeof(a->e[0]);
	p = malloc(*size);
	if (!p)
		return -ENOMEM;
	memcpy(p, &version, sizeof(version));
	memcpy(p + sizeof(version), a->e, a->n * sizeof(a->e[0]));
	for (size_t n = 0; n < a->n; n++)
		if (a->e[n].tag != ACL_USER && a->e[n].tag != ACL_GROUP)
			memset(p + sizeof(version) + n * sizeof(a->e[0]) + 4, 0xff, 4);
	*ret = p;
	return 0;
}

/* The nine bits a list stands for; *@more: it says more than they do. */
static uint32_t to_mode(const struct posix_acl *a, bool *more)
{
	uint32_t mode = 0;
	bool mask = false;

	*more = false;
	for (size_t n = 0; n < a->n; n++) {
		const struct acl_entry *e = &a->e[n];

		switch (e->tag) {
		case ACL_USER_OBJ:
			mode |= (uint32_t)e->perm << 6;
			break;
		case ACL_GROUP_OBJ:
			if (!mask)
				mode |= (uint32_t)e->perm << 3;
			break;
		case ACL_MASK:
			mode = (mode & ~070u) | (uint32_t)e->perm << 3;
			mask = true;
			*more = true;
			break;
		case ACL_OTHER:
			mode |= e->perm;
			break;
		default:
			*more = true;
		}
	}
	return mode;
}

static struct acl_entry *find(struct posix_acl *a, uint16_t tag)
{
	for (size_t n = 0; n < a->n; n++)
		if (a->e[n].tag == tag)
			return &a->e[n];
	return NULL;
}

static struct acl_entry *group_class(struct posix_acl *a)
{
	struct acl_entry *m = find(a, ACL_MASK);

	return m ? m : find(a, ACL_GROUP_OBJ);
}

/* --- permission --- */

static int by_mask(const struct posix_acl *a, size_t from, int perm, int want)
{
	for (size_t n = from; n < a->n; n++)
		if (a->e[n].tag == ACL_MASK)
			return (perm & a->e[n].perm & want) == want ? 0 : -EACCES;
	return (perm & want) == want ? 0 : -EACCES;
}

int acl_permission_locked(const struct inode *i, const struct cred *c, int mask)
{
	const struct posix_acl *a = i->acl[ACL_ACCESS];
	bool found = false;

	if (!a)
		return 1;
	for (size_t n = 0; n < a->n; n++) {
		const struct acl_entry *e = &a->e[n];

		switch (e->tag) {
		case ACL_USER_OBJ:
			if (c->fsuid == i->uid)
				return (e->perm & mask) == mask ? 0 : -EACCES;
			break;
		case ACL_USER:
			if (c->fsuid == e->id)
				return by_mask(a, n + 1, e->perm, mask);
			break;
		case ACL_GROUP_OBJ:
		case ACL_GROUP:
			if (!cred_in_group(c, e->tag == ACL_GROUP ? e->id : i->gid))
				break;
			found = true;
			if ((e->perm & mask) == mask)
				return by_mask(a, n + 1, e->perm, mask);
			break;
		case ACL_OTHER:
			return !found && (e->perm & mask) == mask ? 0 : -EACCES;
		default:
			break;
		}
	}
	return -EACCES;
}

/* --- changes --- */

void acl_chmod_locked(struct inode *i)
{
	struct posix_acl *a = i->acl[ACL_ACCESS];

	if (!a)
		return;
	find(a, ACL_USER_OBJ)->perm = (i->mode >> 6) & 7;
	group_class(a)->perm = (i->mode >> 3) & 7;
	find(a, ACL_OTHER)->perm = i->mode & 7;
}

/* Stores @a (consumed, may be NULL) and returns the mode that goes with an access list, or the old one. */
static void store_locked(struct inode *i, int kind, struct posix_acl *a)
{
	free(i->acl[kind]);
	i->acl[kind] = a;
}

static int set_access(struct inode *i, struct task *t, struct posix_acl *a)
{
	const struct cred *c = vfs_cred(t);
	struct iattr change = { .valid = ATTR_MODE | ATTR_CTIME, .ctime = inode_now() };
	bool more = false;
	int err = 0;

	if (a) {
		change.mode = (i->mode & (LINUX_S_IALLUGO & ~0777u)) | to_mode(a, &more);
		if (!cred_in_group(c, i->gid) && !cred_capable_over(c, i->uid, i->gid, LINUX_CAP_FSETID))
			change.mode &= ~LINUX_S_ISGID;
		if (!more) {
			free(a);
			a = NULL;
		}
		/* The mode first, while the old list (if any) is there to follow it. */
		if (i->ops->setattr)
			err = i->ops->setattr(i, t, &change);
		else
			inode_setattr_simple(i, &change);
	}
	if (err) {
		free(a);
		return err;
	}
	mutex_lock(&i->attr_mu);
	store_locked(i, ACL_ACCESS, a);
	mutex_unlock(&i->attr_mu);
	return 0;
}

int acl_set(struct inode *i, struct task *t, int kind, const void *val, size_t size)
{
	struct posix_acl *a = NULL;
	int err;

	if (!(i->sb->flags & SB_ACL) || LINUX_S_ISLNK(i->mode))
		return -EOPNOTSUPP;
	if (val) {
		err = acl_import(val, size, &a);
		if (err)
			return err;
	}
	if (kind == ACL_DEFAULT && !inode_is_dir(i)) {
		err = a ? -EACCES : 0;
		free(a);
		return err;
	}
	if (!inode_owner_or_capable(i, vfs_cred(t))) {
		free(a);
		return -EPERM;
	}
	mutex_lock(&i->mu);
	if (kind == ACL_ACCESS) {
		err = set_access(i, t, a);
	} else {
		mutex_lock(&i->attr_mu);
		store_locked(i, ACL_DEFAULT, a);
		mutex_unlock(&i->attr_mu);
		err = 0;
	}
	if (!err)
		err = inode_changed(i, t);
	mutex_unlock(&i->mu);
	return err;
}

int64_t acl_get(struct inode *i, int kind, void *buf, size_t size)
{
	void *val _cleanup_free_ = NULL;
	size_t n;
	int err;

	if (!(i->sb->flags & SB_ACL) || LINUX_S_ISLNK(i->mode))
		return -EOPNOTSUPP;
	mutex_lock(&i->attr_mu);
	err = i->acl[kind] ? acl_export(i->acl[kind], &val, &n) : -ENODATA;
	mutex_unlock(&i->attr_mu);
	if (err)
		return err;
	if (size && n > size)
		return -ERANGE;
	if (size)
		memcpy(buf, val, n);
	return (int64_t)n;
}

int64_t acl_list(struct inode *i, char *buf, size_t size, int64_t used)
{
	static const char *const names[NR_ACLS] = { "system.posix_acl_access", "system.posix_acl_default" };

	for (int k = 0; k < NR_ACLS; k++) {
		size_t n = strlen(names[k]) + 1;

		if (!i->acl[k])
			continue;
		if (size) {
			if (n > size - (size_t)used)
				return -ERANGE;
			memcpy(buf + used, names[k], n);
		}
		used += (int64_t)n;
	}
	return used;
}

/* --- new files --- */

/* Takes from the list what @mode does not allow, and from @mode what the list does not. */
static uint32_t mask_both(struct posix_acl *a, uint32_t mode, bool *more)
{
	struct acl_entry *user = find(a, ACL_USER_OBJ), *group = group_class(a), *other = find(a, ACL_OTHER);

	user->perm &= (mode >> 6) & 7;
	group->perm &= (mode >> 3) & 7;
	other->perm &= mode & 7;
	(void)to_mode(a, more);
	return (mode & ~0777u) | (uint32_t)user->perm << 6 | (uint32_t)group->perm << 3 | other->perm;
}

int acl_inherit(struct inode *dir, uint32_t umask, uint32_t *mode, struct posix_acl **access, struct posix_acl **dflt)
{
	struct posix_acl *a = NULL, *d = NULL;
	bool more, have;

	*access = *dflt = NULL;
	if (LINUX_S_ISLNK(*mode))
		return 0;
	mutex_lock(&dir->attr_mu);
	have = dir->acl[ACL_DEFAULT];
	if (have) {
		a = acl_dup(dir->acl[ACL_DEFAULT]);
		d = LINUX_S_ISDIR(*mode) ? acl_dup(dir->acl[ACL_DEFAULT]) : NULL;
	}
	mutex_unlock(&dir->attr_mu);
	if (!have) {
		*mode &= ~(umask & 0777);
		return 0;
	}
	if (!a || (LINUX_S_ISDIR(*mode) && !d)) {
		free(a);
		free(d);
		return -ENOMEM;
	}
	*mode = mask_both(a, *mode, &more);
	if (!more) {
		free(a);
		a = NULL;
	}
	*access = a;
	*dflt = d;
	return 0;
}

void acl_give(struct inode *i, struct posix_acl *access, struct posix_acl *dflt)
{
	if (!access && !dflt)
		return;
	mutex_guard(&i->attr_mu);
	store_locked(i, ACL_ACCESS, access);
	store_locked(i, ACL_DEFAULT, dflt);
}
