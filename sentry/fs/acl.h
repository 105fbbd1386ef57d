/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX access control lists, on file systems with SB_ACL. acl(5).
 *
 * They belong to struct inode, so they are enforced alike everywhere. Immutable once made; inode.attr_mu guards the pointers.
 * Checkpoint: with the inode, in the format of the extended attributes.
 */
#ifndef SENTRY_FS_ACL_H
#define SENTRY_FS_ACL_H

#include "sentry/fs/inode.h"

struct posix_acl;

#define ACL_MAX_ENTRIES 1024u

/* "system.posix_acl_access" or "..._default": which, or -1. */
enum acl_kind { ACL_ACCESS, ACL_DEFAULT, NR_ACLS };
int acl_kind_of(const char *name);

/* The extended attributes; errors as Linux has them, the caller has checked that the mount may be written. @i's mu is not held. @val NULL removes. */
_must_check_ int acl_set(struct inode *i, struct task *t, int kind, const void *val, size_t size);
int64_t acl_get(struct inode *i, int kind, void *buf, size_t size);
/* Appends the names of those @i has to a listxattr buffer that has @used bytes (size 0: only counts): the new length, or -ERANGE. */
int64_t acl_list(struct inode *i, char *buf, size_t size, int64_t used);

/* For permission checks, attr_mu held: 0 or -EACCES by @i's list; 1: it has none. */
int acl_permission_locked(const struct inode *i, const struct cred *c, int mask);
/* chmod changed the mode: the list follows. attr_mu held. */
void acl_chmod_locked(struct inode *i);
/* A file is made in @dir: applies its default list to *@mode; @umask when it has none. *@access and *@dflt: lists for the new inode, or NULL. */
_must_check_ int acl_inherit(struct inode *dir, uint32_t umask, uint32_t *mode, struct posix_acl **access, struct posix_acl **dflt);
void acl_give(struct inode *i, struct posix_acl *access, struct posix_acl *dflt); /* consumes both */
void acl_free(struct posix_acl *a); /* NULL is fine */

/* State: the attribute's bytes. *@ret malloc'd. */
int acl_export(const struct posix_acl *a, void **ret, size_t *size);
int acl_import(const void *val, size_t size, struct posix_acl **ret);

#endif
