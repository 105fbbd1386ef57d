/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading events and answering permission events. Linux: fs/notify/fanotify/fanotify_user.c.
 *
 * An event is taken off the queue before anything that may fail or put references is done with it, and put back in front when it does not
 * fit. Checkpoint: stateless.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/fs/fanotify_internal.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/pidfd.h"

struct event_head {
	uint32_t event_len;
	uint8_t vers, reserved;
	uint16_t metadata_len;
	uint64_t mask;
	int32_t fd, pid;
};

struct info_head {
	uint8_t type, pad;
	uint16_t len;
};

struct info_fid {
	struct info_head h;
	uint32_t fsid[2];
	uint32_t handle_bytes;
	int32_t handle_type;
	struct handle_data data;
};

struct info_pidfd {
	struct info_head h;
	int32_t pidfd;
};

enum { INFO_FID = 1, INFO_DFID_NAME = 2, INFO_DFID = 3, INFO_PIDFD = 4, INFO_OLD_DFID_NAME = 10, INFO_NEW_DFID_NAME = 12 };

#define EVENT_VERSION 3
#define NOFD	      (-1)
#define NOPIDFD	      (-1)
#define EPIDFD	      (-2)
#define RESPONSE_ALLOW	1u
#define RESPONSE_DENY	2u
#define RESPONSE_AUDIT	0x10u

static size_t fid_size(const struct fan_fid *fid, const char *name)
{
	return fid->ino ? ALIGN_UP(sizeof(struct info_fid) + (name ? strlen(name) + 1 : 0), 4u) : 0;
}

size_t fan_event_size(const struct fanotify *g, const struct fan_event *e)
{
	size_t n = sizeof(struct event_head);

	if (!(e->mask & FAN_Q_OVERFLOW_F))
		n += fid_size(&e->dir, e->name) + fid_size(&e->new_dir, e->new_name) + fid_size(&e->object, NULL);
	if (g->flags & FAN_REPORT_PIDFD_F)
		n += sizeof(struct info_pidfd);
	return n;
}

static size_t put_fid(uint8_t *dst, int type, const struct fan_fid *fid, const char *name)
{
	size_t n = fid_size(fid, name);
	struct info_fid i = {
		.h = { .type = (uint8_t)type, .len = (uint16_t)n },
		.handle_bytes = HANDLE_BYTES,
		.handle_type = HANDLE_TYPE,
		.data = { .gen = fid->gen, .ino_lo = (uint32_t)fid->ino, .ino_hi = (uint32_t)(fid->ino >> 32) },
	};
	struct super_block sb = { .dev = fid->dev };

	if (!n)
		return 0;
	sb_fsid(&sb, i.fsid);
	memset(dst, 0, n);
	memcpy(dst, &i, sizeof(i));
	if (name)
		memcpy(dst + sizeof(i), name, strlen(name) + 1);
	return n;
}

/* A descriptor of the reader's for @pid. */
static int32_t make_pidfd(struct task *t, struct pid *pid)
{
	struct file *f;
	bool alive;
	int fd;

	mutex_lock(&t->k->tasks_mu);
	alive = pid && pid->tg && pid->tg->state < TG_ZOMBIE;
	mutex_unlock(&t->k->tasks_mu);
	if (!alive || !pid_nr(pid, t))
		return NOPIDFD;
	if (pidfd_new(t, pid, 0, &f))
		return EPIDFD;
	fd = fd_install(t, f, 0, true);
	if (fd < 0) {
		file_put(f);
		return EPIDFD;
	}
	return fd;
}

static int make_fd(struct fanotify *g, struct task *t, struct fan_event *e, struct file **ret)
{
	int fd, err;

	fd = fd_reserve(t, 0, g->event_flags & LINUX_O_CLOEXEC);
	if (fd < 0)
		return fd;
	err = vfs_open_quiet(t, &e->path, g->event_flags & ~LINUX_O_CLOEXEC, ret);
	if (err) {
		fd_unreserve(t, fd);
		return err;
	}
	return fd;
}

static int64_t copy_event(struct fanotify *g, struct task *t, struct fan_event *e, struct uio *u)
{
	struct event_head h = { .event_len = (uint32_t)fan_event_size(g, e), .vers = EVENT_VERSION, .metadata_len = sizeof(h), .mask = e->mask,
				.fd = NOFD };
	uint8_t *buf _cleanup_free_ = malloc(h.event_len), *p = buf;
	int32_t pidfd = NOPIDFD;
	struct file *f = NULL;
	bool named = g->flags & FAN_REPORT_NAME_F;

	if (!buf)
		return -ENOMEM;
	if (e->path.dentry) {
		h.fd = make_fd(g, t, e, &f);
		if (h.fd < 0)
			return h.fd;
	}
	if (e->pid && (!g->unprivileged || e->pid == t->tg->pid))
		h.pid = pid_nr(e->pid, t);
	memcpy(p, &h, sizeof(h));
	p += sizeof(h);
	if (!(e->mask & FAN_Q_OVERFLOW_F)) {
		bool rename = e->mask & FAN_RENAME_F;

		p += put_fid(p, rename ? INFO_OLD_DFID_NAME : named && e->name ? INFO_DFID_NAME : INFO_DFID, &e->dir, e->name);
		p += put_fid(p, INFO_NEW_DFID_NAME, &e->new_dir, e->new_name);
		p += put_fid(p, INFO_FID, &e->object, NULL);
	}
	if (g->flags & FAN_REPORT_PIDFD_F) {
		struct info_pidfd i = { .h = { .type = INFO_PIDFD, .len = sizeof(i) } };

		i.pidfd = pidfd = e->mask & FAN_Q_OVERFLOW_F ? NOPIDFD : make_pidfd(t, e->pid);
		memcpy(p, &i, sizeof(i));
	}
	if (uio_put(u, buf, h.event_len) != h.event_len) {
		if (f) {
			fd_unreserve(t, h.fd);
			file_put(f);
		}
		if (pidfd >= 0)
			(void)fd_close(t, pidfd);
		return -EFAULT;
	}
	e->fd = h.fd;
	if (f)
		fd_commit(t, h.fd, f);
	return h.event_len;
}

/* The event was delivered (or is lost): permission events wait for their answer, or are denied when nobody could be asked. */
static void done_with(struct fanotify *g, struct fan_event *e, bool lost)
{
	bool keep;

	mutex_lock(&fan_mu);
	keep = e->waiter && e->state != FAN_ABANDONED;
	if (keep) {
		e->state = lost ? FAN_ANSWERED : FAN_READ;
		e->denied = lost;
		list_add_tail(&g->asked, &e->node);
	}
	mutex_unlock(&fan_mu);
	if (!keep)
		fan_event_free(e);
	else if (lost)
		waitq_wake(&g->asked_wq, ~0u);
}

int64_t fanotify_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct fanotify *g = fanotify_of(f);
	int64_t done = 0, r = 0;

	handle_collect();
	for (;;) {
		struct fan_event *e;
		bool fits;

		mutex_lock(&fan_mu);
		e = list_first(&g->queue, struct fan_event, node);
		fits = e && fan_event_size(g, e) <= u->left;
		if (fits) {
			list_del(&e->node);
			g->nr_queued--;
			e->state = e->waiter ? FAN_READ : FAN_QUEUED; /* its waiter must not free it meanwhile */
		}
		mutex_unlock(&fan_mu);
		if (!fits) {
			r = e ? -EINVAL : -EAGAIN;
			break;
		}
		r = copy_event(g, t, e, u);
		done_with(g, e, r < 0);
		if (r < 0)
			break;
		done += r;
	}
	return done ? done : r;
}

int64_t fanotify_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct fanotify *g = fanotify_of(f);
	struct fan_event *e, *found = NULL;
	struct {
		int32_t fd;
		uint32_t response;
	} a;
	bool abandoned = false;

	if (u->left < sizeof(a))
		return -EINVAL;
	if (uio_get(u, &a, sizeof(a)) != sizeof(a))
		return -EFAULT;
	if ((a.response & ~RESPONSE_AUDIT) != RESPONSE_ALLOW && (a.response & ~RESPONSE_AUDIT) != RESPONSE_DENY)
		return -EINVAL;
	if (a.fd < 0 || (a.response & RESPONSE_AUDIT && !(g->flags & FAN_ENABLE_AUDIT_F)))
		return -EINVAL;
	mutex_lock(&fan_mu);
	list_for_each(e, &g->asked, node)
		if (e->fd == a.fd && (e->state == FAN_READ || e->state == FAN_ABANDONED)) {
			found = e;
			break;
		}
	if (found) {
		abandoned = found->state == FAN_ABANDONED;
		found->state = FAN_ANSWERED;
		found->denied = (a.response & ~RESPONSE_AUDIT) == RESPONSE_DENY;
		if (abandoned)
			list_del(&found->node);
	}
	mutex_unlock(&fan_mu);
	if (!found)
		return -ENOENT;
	if (abandoned)
		fan_event_free(found);
	else
		waitq_wake(&g->asked_wq, ~0u);
	return sizeof(a);
}
