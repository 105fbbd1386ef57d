/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device nodes by number: who opens (c, major, minor). Registered by constructors; a number nobody registered opens with -ENXIO.
 */
#ifndef SENTRY_FS_CHRDEV_H
#define SENTRY_FS_CHRDEV_H

#include "sentry/fs/inode.h"

/* Misc devices (major 10) whose minors Linux gives out as they come. */
#define SYSGENID_MINOR 125

/* A new open file for device node @i; path and flags as inode_ops.open. */
typedef int (*dev_open_fn)(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);

struct dev_driver {
	const char *name; /* /proc/devices */
	bool block;
	uint32_t major, minor_lo, minor_hi; /* inclusive */
	dev_open_fn open;
};

void dev_register(const struct dev_driver *d);
/* By inode->rdev; -ENXIO when nobody registered it. */
int dev_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret);
const struct dev_driver *dev_next(const struct dev_driver *prev); /* iteration; NULL starts */
#define DEV_REGISTER(d)                                                                            \
	static void __attribute__((constructor)) d##_register(void)                                \
	{                                                                                          \
		dev_register(&d);                                                                  \
	}

#endif
