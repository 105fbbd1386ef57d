/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where file systems events are announced. The VFS calls these, inotify and fanotify hang on here. Called with no lock of the VFS held but possibly directory inode.mu; it must not block.
 */
#ifndef SENTRY_FS_NOTIFY_H
#define SENTRY_FS_NOTIFY_H

#include "sentry/fs/inode.h"

#define LINUX_IN_ACCESS        0x00000001u
#define LINUX_IN_MODIFY        0x00000002u
#define LINUX_IN_ATTRIB        0x00000004u
#define LINUX_IN_CLOSE_WRITE   0x00000008u
#define LINUX_IN_CLOSE_NOWRITE 0x00000010u
#define LINUX_IN_OPEN          0x00000020u
#define LINUX_IN_MOVED_FROM    0x00000040u
#define LINUX_IN_MOVED_TO      0x00000080u
#define LINUX_IN_CREATE        0x00000100u
#define LINUX_IN_DELETE        0x00000200u
#define LINUX_IN_DELETE_SELF   0x00000400u
#define LINUX_IN_MOVE_SELF     0x00000800u
#define LINUX_IN_UNMOUNT       0x00002000u
#define LINUX_IN_Q_OVERFLOW    0x00004000u
#define LINUX_IN_IGNORED       0x00008000u
#define LINUX_IN_ISDIR         0x40000000u

#define FSNOTIFY_UNLINKED      0x04000000u /* IN_EXCL_UNLINK's bit: the child's name is gone already */

/* @i: whose marks to look at; @mask: LINUX_IN_* (with ISDIR where due); @name: the child's name when @i is the directory, else NULL;
 * @cookie: pairs MOVED_FROM and MOVED_TO. Implemented by inotify. */
void fsnotify_event(struct inode *i, uint32_t mask, const char *name, uint32_t cookie);
/* The inode is going away (evict): drop its marks (IN_IGNORED). Called by inode_done() when i->marks is set. */
void fsnotify_inode_gone(struct inode *i);
/* The file system is unmounted: IN_UNMOUNT. */
void fsnotify_sb_gone(struct super_block *sb);

/* True once any mark was ever set: the helpers below return at once before. Set by inotify and fanotify. */
extern _Atomic bool fsnotify_active;

/* An event on an object and, with its name, on its directory. @d may have been unlinked. */
void fsnotify_dentry(struct dentry *d, uint32_t mask);
void fsnotify_path(const struct path *p, uint32_t mask); /* the same where the mount is known */
/* An event in directory @dir about @name, which is or was @child. */
void fsnotify_dir(struct dentry *dir, uint32_t mask, const char *name, struct inode *child);
void fsnotify_move(struct dentry *odir, const char *oname, struct dentry *ndir, const char *nname, struct dentry *moved);
/* An event on an object only; @d may be NULL. */
void fsnotify_inode(struct inode *i, struct dentry *d, uint32_t mask);
/* The last name and user of @i are gone (directories: the last name): IN_DELETE_SELF, and its marks go. */
void fsnotify_deleted(struct inode *i);
/* read, write, open, close of a file (by its path; files without path are silent). */
void fsnotify_file(struct file *f, uint32_t mask);

#endif
