/* SPDX-License-Identifier: Apache-2.0 */
/* Ancillary data. See scm.h. Linux: net/core/scm.c. */
#include "sentry/net/scm.h"

#include <string.h>

#include "sentry/abi/fcntl.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/uring/uring.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/net/socket.h"

#define OVERFLOW_ID 65534u

/* Files whose message died, put one after the other by the outermost caller on this thread. */
static __thread struct {
	bool draining;
	struct scm_fds **v;
	size_t n, cap;
} dead;

void scm_fds_put(struct scm_fds *f)
{
	if (!f)
		return;
	if (dead.draining) {
		if (dead.n == dead.cap) {
			size_t cap = dead.cap ? dead.cap * 2 : 16;
			struct scm_fds **v = realloc(dead.v, cap * sizeof(struct scm_fds *));

			if (!v)
				abort(); /* leaking open files or recursing without bound would both be worse */
			dead.v = v;
			dead.cap = cap;
		}
		dead.v[dead.n++] = f;
		return;
	}
	dead.draining = true;
	for (;;) {
		for (uint32_t i = 0; i < f->nr; i++)
			file_put(f->file[i]);
		free(f);
		if (!dead.n)
			break;
		f = dead.v[--dead.n];
	}
	free(dead.v);
	memset(&dead, 0, sizeof(dead));
}

struct scm_fds *scm_fds_dup(const struct scm_fds *f)
{
	struct scm_fds *n = malloc(sizeof(*n) + f->nr * sizeof(n->file[0]));

	if (!n)
		return NULL;
	n->nr = f->nr;
	for (uint32_t i = 0; i < f->nr; i++)
		n->file[i] = file_get(f->file[i]);
	return n;
}

void scm_done(struct scm *s)
{
	scm_fds_put(s->fds);
	if (s->pid)
		pid_put(s->pid);
	*s = (struct scm){ 0 };
}

void scm_set_creds(struct scm *s, struct task *t)
{
	if (s->pid)
		pid_put(s->pid);
	s->pid = pid_get(t->tg->pid);
	s->uid = t->cred->uid;
	s->gid = t->cred->gid;
	s->has_creds = true;
}

static int parse_rights(struct task *t, const uint8_t *data, size_t len, struct scm *s)
{
	size_t n = len / sizeof(int32_t), old = s->fds ? s->fds->nr : 0;
	struct scm_fds *f;

	if (!n)
		return 0;
	if (n > LINUX_SCM_MAX_FD || old + n > LINUX_SCM_MAX_FD)
		return -EINVAL;
	f = realloc(s->fds, sizeof(*f) + (old + n) * sizeof(f->file[0]));
	if (!f)
		return -ENOMEM;
	f->nr = (uint32_t)old;
	s->fds = f;
	for (size_t i = 0; i < n; i++) {
		int32_t fd;
		struct file *file;

		memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
		file = fd_get_raw(t, fd);
		/* A ring in flight could keep itself alive for ever (Linux since 6.7). */
		if (file && file_is_uring(file)) {
			file_put(file);
			return -EINVAL;
		}
		if (!file)
			return -EBADF;
		f->file[f->nr++] = file;
	}
	return 0;
}

static bool id_ok(uint32_t id, uint32_t a, uint32_t b, uint32_t c)
{
	return id == a || id == b || id == c;
}

static int parse_creds(struct task *t, const uint8_t *data, size_t len, struct scm *s)
{
	const struct cred *c = t->cred;
	struct linux_ucred u;
	uint32_t kuid, kgid;
	struct pid *pid;

	if (len != sizeof(u))
		return -EINVAL;
	memcpy(&u, data, sizeof(u));
	kuid = task_id_in(t, ID_UID, u.uid);
	kgid = task_id_in(t, ID_GID, u.gid);
	if (kuid == NO_ID || kgid == NO_ID)
		return -EINVAL;
	if (u.pid != pid_nr(t->tg->pid, t) && !task_ns_capable(t, task_pid_ns(t)->user_ns, LINUX_CAP_SYS_ADMIN))
		return -EPERM;
	if ((!id_ok(kuid, c->uid, c->euid, c->suid) && !task_capable_here(t, LINUX_CAP_SETUID)) ||
	    (!id_ok(kgid, c->gid, c->egid, c->sgid) && !task_capable_here(t, LINUX_CAP_SETGID)))
		return -EPERM;
	if (u.pid == pid_nr(t->tg->pid, t)) {
		pid = pid_get(t->tg->pid);
	} else {
		struct task *other = task_find(t->k, task_pid_ns(t), u.pid);

		if (!other)
			return -ESRCH;
		pid = pid_get(other->pid);
		task_put(other);
	}
	if (s->pid)
		pid_put(s->pid);
	s->pid = pid;
	s->uid = kuid;
	s->gid = kgid;
	s->has_creds = true;
	return 0;
}

int scm_parse(struct task *t, const uint8_t *buf, size_t len, struct scm *ret)
{
	size_t at = 0;

	while (len - at >= sizeof(struct linux_cmsghdr)) {
		struct linux_cmsghdr h;
		const uint8_t *data;
		size_t n;
		int r;

		memcpy(&h, buf + at, sizeof(h));
		if (h.len < sizeof(h) || h.len > len - at)
			return -EINVAL;
		data = buf + at + sizeof(h);
		n = h.len - sizeof(h);
		if (h.level == LINUX_SOL_SOCKET) {
			if (h.type == LINUX_SCM_RIGHTS)
				r = parse_rights(t, data, n, ret);
			else if (h.type == LINUX_SCM_CREDENTIALS)
				r = parse_creds(t, data, n, ret);
			else
				r = -EINVAL;
			if (r)
				return r;
		}
		if (LINUX_CMSG_ALIGN(h.len) >= len - at)
			break;
		at += LINUX_CMSG_ALIGN(h.len);
	}
	return 0;
}

/* --- delivery --- */

struct ctl_out {
	struct task *t;
	gaddr_t at;
	uint64_t left, used;
	bool trunc;
};

static void put_cmsg(struct ctl_out *o, int level, int type, const void *data, size_t n)
{
	struct linux_cmsghdr h = { .len = sizeof(h) + n, .level = level, .type = type };
	uint64_t space;

	if (o->left < sizeof(h)) {
		o->trunc = true;
		return;
	}
	if (o->left < h.len) {
		o->trunc = true;
		h.len = o->left;
	}
	if (copy_out(o->t, o->at, &h, sizeof(h)) ||
	    copy_out(o->t, gaddr_add(o->at, sizeof(h)), data, h.len - sizeof(h)))
		return;
	space = MIN(LINUX_CMSG_ALIGN(h.len), o->left);
	o->at = gaddr_add(o->at, space);
	o->left -= space;
	o->used += space;
}

/* Installs as many descriptors as there is room for, then writes the header: what could not be installed is dropped. */
static void put_rights(struct ctl_out *o, struct scm_fds *f, bool cloexec)
{
	struct linux_cmsghdr h = { .level = LINUX_SOL_SOCKET, .type = LINUX_SCM_RIGHTS };
	uint64_t room = o->left >= sizeof(h) ? (o->left - sizeof(h)) / sizeof(int32_t) : 0, space;
	gaddr_t data = gaddr_add(o->at, sizeof(h));
	uint32_t i;

	for (i = 0; i < f->nr && i < room; i++) {
		int32_t fd = fd_reserve(o->t, 0, cloexec);

		if (fd < 0)
			break;
		if (copy_out(o->t, gaddr_add(data, i * sizeof(fd)), &fd, sizeof(fd))) {
			fd_unreserve(o->t, fd);
			break;
		}
		fd_commit(o->t, fd, file_get(f->file[i]));
	}
	if (i < f->nr)
		o->trunc = true;
	if (!i)
		return;
	h.len = sizeof(h) + i * sizeof(int32_t);
	if (copy_out(o->t, o->at, &h, sizeof(h)))
		return;
	space = MIN(LINUX_CMSG_ALIGN(h.len), o->left);
	o->at = gaddr_add(o->at, space);
	o->left -= space;
	o->used += space;
}

static void put_all(struct ctl_out *o, const uint8_t *ctl, size_t len)
{
	struct linux_cmsghdr h;

	while (len >= sizeof(h)) {
		memcpy(&h, ctl, sizeof(h));
		if (h.len < sizeof(h) || h.len > len)
			return;
		put_cmsg(o, h.level, h.type, ctl + sizeof(h), h.len - sizeof(h));
		if (LINUX_CMSG_ALIGN(h.len) >= len)
			return;
		ctl += LINUX_CMSG_ALIGN(h.len);
		len -= LINUX_CMSG_ALIGN(h.len);
	}
}

void scm_deliver(struct task *t, struct scm *s, const uint8_t *ctl, size_t ctllen, bool passcred, bool cloexec, gaddr_t at, uint64_t *len,
		 uint32_t *ret_flags)
{
	struct ctl_out o = { .t = t, .at = at, .left = at.v ? *len : 0 };

	put_all(&o, ctl, ctllen);
	if (passcred) {
		struct linux_ucred u = {
			.pid = s->pid ? pid_nr(s->pid, t) : 0,
			.uid = s->has_creds ? task_id_show(t, ID_UID, s->uid) : OVERFLOW_ID,
			.gid = s->has_creds ? task_id_show(t, ID_GID, s->gid) : OVERFLOW_ID,
		};

		put_cmsg(&o, LINUX_SOL_SOCKET, LINUX_SCM_CREDENTIALS, &u, sizeof(u));
	}
	if (s->fds)
		put_rights(&o, s->fds, cloexec);
	scm_done(s);
	if (o.trunc)
		*ret_flags |= LINUX_MSG_CTRUNC;
	*len = o.used;
}
