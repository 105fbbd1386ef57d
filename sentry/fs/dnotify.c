/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnotify. Contract in dnotify.h. Linux: fs/notify/dnotify/dnotify.c.
 *
 * Events arrive under inode locks, which are no place to send signals from: a timer that expires at once does it.
 */
#include "sentry/fs/dnotify.h"

#include <stdlib.h>

#include "sentry/fs/inode.h"
#include "sentry/fs/notify.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/time.h"

#define DN_ACCESS    0x1u
#define DN_MODIFY    0x2u
#define DN_CREATE    0x4u
#define DN_DELETE    0x8u
#define DN_RENAME    0x10u
#define DN_ATTRIB    0x20u
#define DN_MULTISHOT 0x80000000u

struct dnotify {
	struct list node; /* in watchers */
	struct file *f; /* not referenced: the file owns it */
	uint32_t mask; /* DN_*; 0: its one shot is spent */
	int fd; /* for si_fd */
	struct ktimer timer;
};

_Atomic bool dnotify_active;
static struct mutex dnotify_mu = MUTEX_INIT("dnotify_mu");
static struct list watchers = LIST_INIT(watchers);

static void expired(struct ktimer *timer)
{
	struct dnotify *d = container_of(timer, struct dnotify, timer);

	file_signal_owner(d->f, d->fd);
}

int dnotify_restore(struct file *f, uint32_t mask, int fd)
{
	struct dnotify *d = f->dnotify;

	if (!d) {
		d = calloc(1, sizeof(*d));
		if (!d)
			return -ENOMEM;
		d->f = f;
		ktimer_init(&d->timer, KCLOCK_MONOTONIC, expired);
		mutex_lock(&dnotify_mu);
		list_add_tail(&watchers, &d->node);
		mutex_unlock(&dnotify_mu);
		f->dnotify = d;
	}
	mutex_lock(&dnotify_mu);
	d->mask |= mask;
	d->fd = fd;
	mutex_unlock(&dnotify_mu);
	dnotify_active = true;
	fsnotify_active = true;
	return 0;
}

int dnotify_set(struct file *f, struct task *t, int fd, uint32_t mask)
{
	int err;

	if (!(mask & ~DN_MULTISHOT)) {
		if (f->dnotify) {
			mutex_lock(&dnotify_mu);
			f->dnotify->mask = 0;
			mutex_unlock(&dnotify_mu);
		}
		return 0;
	}
	if (!inode_is_dir(f->inode))
		return -ENOTDIR;
	mutex_lock(&f->f_lock); /* two threads setting the same */
	err = dnotify_restore(f, mask, fd);
	mutex_unlock(&f->f_lock);
	if (!err)
		file_default_owner(f, t);
	return err;
}

void dnotify_drop(struct file *f)
{
	struct dnotify *d = TAKE_PTR(f->dnotify);

	if (!d)
		return;
	mutex_lock(&dnotify_mu);
	list_del(&d->node);
	mutex_unlock(&dnotify_mu);
	ktimer_cancel(&d->timer, true);
	free(d);
}

uint32_t dnotify_mask(const struct file *f, int *ret_fd)
{
	*ret_fd = f->dnotify ? f->dnotify->fd : 0;
	return f->dnotify ? f->dnotify->mask : 0;
}

void dnotify_event(const struct inode *dir, uint32_t mask, bool renamed)
{
	static const uint32_t map[][2] = {
		{ LINUX_IN_ACCESS, DN_ACCESS },	    { LINUX_IN_MODIFY, DN_MODIFY }, { LINUX_IN_ATTRIB, DN_ATTRIB },
		{ LINUX_IN_CREATE, DN_CREATE },	    { LINUX_IN_DELETE, DN_DELETE }, { LINUX_IN_MOVED_TO, DN_CREATE },
		{ LINUX_IN_MOVED_FROM, DN_DELETE },
	};
	uint32_t dn = renamed ? DN_RENAME : 0;
	struct dnotify *d;

	for (size_t n = 0; n < ARRAY_SIZE(map); n++)
		if (mask & map[n][0])
			dn |= map[n][1];
	mutex_guard(&dnotify_mu);
	list_for_each(d, &watchers, node) {
		if (d->f->inode != dir || !(d->mask & dn))
			continue;
		if (!(d->mask & DN_MULTISHOT))
			d->mask = 0;
		ktimer_arm(&d->timer, 0);
	}
}
