/* SPDX-License-Identifier: Apache-2.0 */
/* Registry of device drivers by number; filled by constructors, constant afterwards. Checkpoint: stateless. */
#include "sentry/fs/chrdev.h"

#include <stdlib.h>

#define MAX_DRIVERS 64

static const struct dev_driver *drivers[MAX_DRIVERS];
static size_t nr_drivers;

void dev_register(const struct dev_driver *d)
{
	if (nr_drivers == MAX_DRIVERS)
		abort();
	drivers[nr_drivers++] = d;
}

int dev_open(struct inode *i, struct task *t, const struct path *p, uint32_t flags, struct file **ret)
{
	uint32_t major = dev_major(i->rdev), minor = dev_minor(i->rdev);

	for (size_t n = 0; n < nr_drivers; n++) {
		const struct dev_driver *d = drivers[n];

		if (d->block == LINUX_S_ISBLK(i->mode) && d->major == major && minor >= d->minor_lo && minor <= d->minor_hi)
			return d->open(i, t, p, flags, ret);
	}
	return -ENXIO;
}

const struct dev_driver *dev_next(const struct dev_driver *prev)
{
	size_t n = 0;

	while (prev && n < nr_drivers && drivers[n++] != prev)
		;
	return n < nr_drivers ? drivers[n] : NULL;
}
