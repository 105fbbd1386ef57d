/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of this directory. */
#ifndef SENTRY_FS_PSEUDO_INTERNAL_H
#define SENTRY_FS_PSEUDO_INTERNAL_H

#include "sentry/fs/pseudo/pseudo.h"

struct pseudo_inode {
	struct inode i; /* saved: 1 inode_base */
	const struct pnode *node; /* saved: 3 path; its place in the tables of file system `fs` */
	struct pid *pid; /* saved: 4; referenced */
	bool thread; /* saved: 5 */
	uint64_t id; /* saved: 6 entry */
	struct pseudo_watch *watch; /* derived: what tells its changes, or NULL */
	void *watch_owner; /* derived: keeps watch alive */
	struct list watch_node; /* derived: in watch->inodes */
};

struct pseudo_file {
	struct file file; /* saved: 1 file_base */
	struct mutex mu; /* nosave: free when frozen */
	struct strbuf text; /* nosave: made anew */
	bool have; /* nosave: text is made anew */
	uint64_t event; /* saved: 4 changed: is it the latest? Last change told or read */
	struct mnt_ns *ns; /* derived: PN_MOUNTS: whose changes; referenced */
};

static inline struct pseudo_inode *pseudo_i(const struct inode *i)
{
	return container_of(i, struct pseudo_inode, i);
}

extern const struct inode_ops pseudo_dir_iops, pseudo_reg_iops, pseudo_link_iops, pseudo_magic_iops;
const struct inode_ops *pseudo_iops_of(const struct pnode *n);

extern struct mutex pseudo_watch_mu;
void pseudo_watch_attach(struct pseudo_inode *pi);
void pseudo_watch_detach(struct pseudo_inode *pi);

uint64_t pseudo_child_ino(uint64_t dir, const char *name);
int pseudo_dir_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);
int pseudo_file_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);
/* May the caller look into the process? */
_must_check_ int pctx_access(const struct pctx *c, uint32_t pn_flags);
const struct pseudo_fs *pseudo_fs_find(const char *name);

#endif
