/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases. Contract in lease.h. Linux: fs/locks.c.
 *
 * A lease being broken has a target (what it must become) and a time when it becomes that by itself (fs.lease-break-time). The holder agrees by setting
 * the target, or dropping it, earlier.
 */
#include "sentry/fs/lease.h"

#include <stdlib.h>

#include "schemas/file.pb-c.h"
#include "sentry/abi/fs.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/time.h"
#include "state/state.h"

struct lease {
	struct list node; /* in leases */
	struct file *f; /* not referenced: the file owns it */
	int type; /* LINUX_F_RDLCK, WRLCK */
	int target; /* what it is being broken to; == type: nothing */
	int64_t deadline; /* guest monotonic; when that happens by itself */
	int fd; /* for si_fd */
};

static struct mutex lease_mu = MUTEX_INIT("lease_mu");
static struct list leases = LIST_INIT(leases);
static struct waitq lease_wq = { .mu = MUTEX_INIT("waitq.mu"), .waiters = LIST_INIT(lease_wq.waiters) };

/* The lease becomes its target. lease_mu held. True when it is gone (and freed). */
static bool settle_locked(struct lease *l, int type)
{
	l->type = l->target = type;
	if (type != LINUX_F_UNLCK)
		return false;
	list_del(&l->node);
	l->f->lease = NULL;
	atomic_fetch_sub(&l->f->inode->nr_leases, 1);
	free(l);
	return true;
}

static void time_out_locked(const struct inode *i)
{
	struct lease *l, *tmp;

	list_for_each_safe(l, tmp, &leases, node)
		if (l->f->inode == i && l->target != l->type && ktime_mono() >= l->deadline)
			(void)settle_locked(l, l->target);
}

static int check_opens(const struct file *f, int type)
{
	const struct inode *i = f->inode;

	if (type == LINUX_F_RDLCK)
		return atomic_load(&i->write_count) > 0 ? -EAGAIN : 0;
	return atomic_load(&i->write_count) > f->counted || atomic_load(&i->read_count) > f->read_counted ? -EAGAIN : 0;
}

static int set_locked(struct file *f, int type, int fd)
{
	struct lease *l;
	int err = check_opens(f, type);

	if (err)
		return err;
	list_for_each(l, &leases, node)
		if (l->f != f && l->f->inode == f->inode && (type == LINUX_F_WRLCK || l->target == LINUX_F_UNLCK))
			return -EAGAIN;
	if (f->lease) {
		(void)settle_locked(f->lease, type);
		return 0;
	}
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->f = f;
	l->type = l->target = type;
	l->fd = fd;
	f->lease = l;
	list_add_tail(&leases, &l->node);
	atomic_fetch_add(&f->inode->nr_leases, 1);
	return 0;
}

int lease_set(struct file *f, struct task *t, int fd, int type)
{
	struct inode *i = f->inode;
	int err = 0;

	if (type != LINUX_F_RDLCK && type != LINUX_F_WRLCK && type != LINUX_F_UNLCK)
		return -EINVAL;
	if (i->uid != t->cred->fsuid && !task_capable(t, LINUX_CAP_LEASE))
		return -EACCES;
	if (!LINUX_S_ISREG(i->mode))
		return -EINVAL;
	mutex_lock(&lease_mu);
	time_out_locked(i);
	if (type == LINUX_F_UNLCK) {
		err = f->lease ? 0 : -EAGAIN;
		if (f->lease)
			(void)settle_locked(f->lease, LINUX_F_UNLCK);
	} else {
		err = set_locked(f, type, fd);
	}
	mutex_unlock(&lease_mu);
	waitq_wake(&lease_wq, ~0u);
	if (!err && type != LINUX_F_UNLCK)
		file_default_owner(f, t);
	return err;
}

int lease_get(struct file *f)
{
	mutex_guard(&lease_mu);
	time_out_locked(f->inode);
	return f->lease ? f->lease->target : LINUX_F_UNLCK;
}

void lease_drop(struct file *f)
{
	mutex_lock(&lease_mu);
	if (f->lease)
		(void)settle_locked(f->lease, LINUX_F_UNLCK);
	mutex_unlock(&lease_mu);
	waitq_wake(&lease_wq, ~0u);
}

/* Begins to break what is in the way: a file to signal (referenced, with its descriptor) or NULL; *@wait: until when something is in the way. */
static struct file *break_one(struct inode *i, bool write, int *fd, bool *wait, int64_t *until)
{
	uint64_t time = proc_sysctl_get("fs/lease-break-time", 45);
	struct lease *l;

	*wait = false;
	*until = TIME_FOREVER;
	mutex_guard(&lease_mu);
	time_out_locked(i);
	list_for_each(l, &leases, node) {
		int target = write ? LINUX_F_UNLCK : LINUX_F_RDLCK;

		if (l->f->inode != i || (!write && l->type != LINUX_F_WRLCK))
			continue;
		*wait = true;
		if (l->target == l->type || (write && l->target != LINUX_F_UNLCK)) {
			l->target = target;
			l->deadline = ktime_mono() + (int64_t)time * (int64_t)NSEC_PER_SEC;
			*fd = l->fd;
			if (ref_tryget(&l->f->ref))
				return l->f;
		}
		*until = MIN(*until, l->deadline);
	}
	return NULL;
}

int lease_break(struct inode *i, struct task *t, uint32_t flags)
{
	bool write = (flags & LINUX_O_ACCMODE) != LINUX_O_RDONLY, wait;
	struct waiter w = { 0 };
	int64_t until;
	int r = 0, fd;

	if (!atomic_load(&i->nr_leases) || !t)
		return 0;
	task_waiter_init(&w, t, ~0u);
	waitq_add(&lease_wq, &w);
	task_block_prepare(t);
	for (;;) {
		struct file *f = break_one(i, write, &fd, &wait, &until);

		if (f) {
			file_signal_owner(f, fd);
			file_put(f);
			continue;
		}
		if (!wait)
			break;
		if (flags & LINUX_O_NONBLOCK) {
			r = -EAGAIN;
			break;
		}
		r = task_block(t, until);
		if (r && r != -ETIMEDOUT)
			break;
		r = 0;
	}
	waitq_del(&w);
	return r;
}

/* --- state --- */

void lease_save(const struct file *f, struct Sentry__FileBase *m)
{
	if (!f->lease)
		return;
	m->lease = f->lease->type == LINUX_F_WRLCK ? 2 : 1;
	m->lease_target = (uint32_t)f->lease->target;
	m->lease_deadline = f->lease->deadline;
	m->lease_fd = f->lease->fd;
}

int lease_load(struct state_reader *r, struct file *f, const struct Sentry__FileBase *m)
{
	struct lease *l;
	int err = state_check(r, m->lease <= 2 && m->lease_target <= LINUX_F_UNLCK, "lease");

	if (err || !m->lease)
		return err;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	list_init(&l->node);
	l->f = f;
	l->type = m->lease == 2 ? LINUX_F_WRLCK : LINUX_F_RDLCK;
	l->target = (int)m->lease_target;
	l->deadline = m->lease_deadline;
	l->fd = m->lease_fd;
	f->lease = l;
	return 0;
}

void lease_after_load(struct file *f)
{
	if (!f->lease)
		return;
	mutex_guard(&lease_mu);
	list_add_tail(&leases, &f->lease->node);
	atomic_fetch_add(&f->inode->nr_leases, 1);
}
