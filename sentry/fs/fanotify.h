/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fanotify(7). Locks and what a checkpoint sees: fanotify.c.
 */
#ifndef SENTRY_FS_FANOTIFY_H
#define SENTRY_FS_FANOTIFY_H

#include "sentry/fs/notify.h"

#define FAN_OPEN_EXEC_F	     0x00001000u
#define FAN_OPEN_PERM_F	     0x00010000u
#define FAN_ACCESS_PERM_F    0x00020000u
#define FAN_OPEN_EXEC_PERM_F 0x00040000u
#define FAN_RENAME_F	     0x10000000u

/* Something happened. */
struct fan_info {
	uint32_t mask; /* LINUX_IN_* (with ISDIR where due), FAN_*_F */
	const struct path *path; /* of the object; NULL when no mount is known */
	struct inode *inode; /* the object; may be NULL */
	struct dentry *dentry; /* a name of it; may be NULL */
	struct dentry *dir; /* its directory, or NULL */
	const char *name; /* its name in there, or NULL */
	struct dentry *new_dir; /* FAN_RENAME */
	const char *new_name;
};

/* True while any fanotify mark exists; permission events too. */
extern _Atomic bool fanotify_active, fanotify_perm_active;

/* Queues it at everybody's who wants it. Inode locks may be held. */
void fanotify_event(const struct fan_info *e);
/* Asks everybody who wants to decide about @t doing @mask (one FAN_*_PERM bit) with @p, and waits: 0, -EPERM, or -EFREEZE (the re-run goes on waiting),
 * -ERESTARTSYS when killed. No lock held. */
_must_check_ int fanotify_perm(struct task *t, const struct path *p, uint32_t mask);
void fanotify_inode_gone(struct inode *i); /* its last name went: marks are dropped */
void fanotify_mount_gone(struct mount *m);
void fanotify_sb_gone(struct super_block *sb);

#endif
