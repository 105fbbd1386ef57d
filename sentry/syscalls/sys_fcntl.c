/* SPDX-License-Identifier: Apache-2.0 */
/* fcntl and flock. */
#include "sentry/fs/dnotify.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/lease.h"
#include "sentry/fs/locks.h"
#include "sentry/fs/pipe.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"

#define LOCK_MAND_F 32
#define SETFL_MASK (LINUX_O_APPEND | LINUX_O_NONBLOCK | LINUX_O_ASYNC | LINUX_O_DIRECT | LINUX_O_NOATIME)

static int64_t set_flags(struct task *t, struct file *f, int fd, uint32_t arg)
{
	uint32_t old = f->flags, new = (old & ~SETFL_MASK) | (arg & SETFL_MASK);
	int err;

	if (inode_append(f->inode) && (old ^ new) & LINUX_O_APPEND)
		return -EPERM;
	if (new & ~old & LINUX_O_NOATIME && !inode_owner_or_capable(f->inode, t->cred))
		return -EPERM;
	if (f->ops->setfl) {
		err = f->ops->setfl(f, t, new);
		if (err)
			return err;
	}
	if ((new ^ old) & LINUX_O_ASYNC) {
		if (f->ops->pollq) {
			err = file_set_async(f, new & LINUX_O_ASYNC);
			if (err)
				return err;
			mutex_lock(&f->f_lock);
			f->owner.fd = fd;
			mutex_unlock(&f->f_lock);
		} else {
			new &= ~LINUX_O_ASYNC;
		}
	}
	while (!atomic_compare_exchange_weak(&f->flags, &old, (old & ~SETFL_MASK) | (new & SETFL_MASK)))
		;
	return 0;
}

/* --- owner for SIGIO and SIGURG --- */

static struct pid *owner_pid(struct task *t, int type, int32_t nr)
{
	struct pid *pid = NULL;

	if (type == LINUX_F_OWNER_TID) {
		struct task *o = task_find(t->k, task_pid_ns(t), nr);

		if (o) {
			pid = pid_get(o->pid);
			task_put(o);
		}
	} else if (type == LINUX_F_OWNER_PID) {
		struct thread_group *tg = tg_find(t->k, task_pid_ns(t), nr);

		if (tg) {
			pid = pid_get(tg->pid);
			tg_put(tg);
		}
	} else {
		struct pgrp *pg = pgrp_find(t->k, task_pid_ns(t), nr);

		if (pg) {
			pid = pid_get(pg->id);
			pgrp_put(pg);
		}
	}
	return pid;
}

static int64_t set_owner(struct task *t, struct file *f, int type, int32_t nr)
{
	struct pid *pid = NULL, *old;

	if (nr) {
		pid = owner_pid(t, type, nr);
		if (!pid)
			return -ESRCH;
	}
	mutex_lock(&f->f_lock);
	old = f->owner.pid;
	f->owner.pid = pid;
	f->owner.type = type;
	f->owner.uid = t->cred->uid;
	f->owner.euid = t->cred->euid;
	mutex_unlock(&f->f_lock);
	if (old)
		pid_put(old);
	return 0;
}

static int32_t get_owner(struct task *t, struct file *f, int *ret_type)
{
	mutex_guard(&f->f_lock);
	*ret_type = f->owner.type;
	return f->owner.pid ? pid_nr(f->owner.pid, t) : 0;
}

struct f_owner_ex {
	int32_t type, pid;
};

static int64_t owner_cmd(struct task *t, struct file *f, int cmd, uint64_t arg)
{
	struct f_owner_ex ex;
	uint32_t uids[2];
	int32_t nr;
	int type, err;

	switch (cmd) {
	case LINUX_F_GETOWN:
		nr = get_owner(t, f, &type);
		return type == LINUX_F_OWNER_PGRP ? -(int64_t)nr : nr;
	case LINUX_F_SETOWN:
		nr = (int32_t)arg;
		if (nr == INT32_MIN)
			return -EINVAL;
		return nr < 0 ? set_owner(t, f, LINUX_F_OWNER_PGRP, -nr) : set_owner(t, f, LINUX_F_OWNER_PID, nr);
	case LINUX_F_GETOWN_EX:
		ex.pid = get_owner(t, f, &type);
		ex.type = type;
		return copy_out(t, GADDR(arg), &ex, sizeof(ex));
	case LINUX_F_SETOWN_EX:
		err = copy_in(t, &ex, GADDR(arg), sizeof(ex));
		if (err)
			return err;
		if (ex.type < LINUX_F_OWNER_TID || ex.type > LINUX_F_OWNER_PGRP)
			return -EINVAL;
		return set_owner(t, f, ex.type, ex.pid);
	case LINUX_F_GETOWNER_UIDS:
		mutex_lock(&f->f_lock);
		uids[0] = task_id_show(t, ID_UID, f->owner.uid);
		uids[1] = task_id_show(t, ID_UID, f->owner.euid);
		mutex_unlock(&f->f_lock);
		return copy_out(t, GADDR(arg), uids, sizeof(uids));
	case LINUX_F_GETSIG:
		return f->owner.sig;
	case LINUX_F_SETSIG:
		if (arg > NSIG_MAX)
			return -EINVAL;
		mutex_lock(&f->f_lock);
		f->owner.sig = (int)arg;
		mutex_unlock(&f->f_lock);
		return 0;
	}
	return -EINVAL;
}

static int64_t lock_cmd(struct task *t, struct file *f, int cmd, gaddr_t arg)
{
	bool ofd = cmd >= LINUX_F_OFD_GETLK;
	struct linux_flock l;
	int64_t r = copy_in(t, &l, arg, sizeof(l));

	if (r)
		return r;
	if (cmd == LINUX_F_GETLK || cmd == LINUX_F_OFD_GETLK) {
		r = locks_fcntl_get(t, f, &l, ofd);
		return r ? r : copy_out(t, arg, &l, sizeof(l));
	}
	return locks_fcntl_set(t, f, &l, ofd, cmd == LINUX_F_SETLKW || cmd == LINUX_F_OFD_SETLKW);
}

static int64_t dup_fd(struct task *t, struct file *f, uint64_t min, bool cloexec)
{
	int fd;

	if (min > INT32_MAX)
		return -EINVAL;
	if (min >= task_rlimit(t, 7 /* RLIMIT_NOFILE */))
		return -EINVAL;
	fd = fd_install(t, file_get(f), (int)min, cloexec);
	if (fd < 0)
		file_put(f);
	return fd;
}

int64_t sys_fcntl(struct task *t, const struct sys_args *a)
{
	int fd = ARG_INT(a, 0), cmd = ARG_INT(a, 1);
	struct file *f _cleanup_file_ = fd_get_raw(t, fd);
	uint64_t arg = a->a[2];
	int64_t r;

	if (!f)
		return -EBADF;
	if (f->flags & LINUX_O_PATH && cmd != LINUX_F_DUPFD && cmd != LINUX_F_DUPFD_CLOEXEC && cmd != LINUX_F_GETFD && cmd != LINUX_F_SETFD &&
	    cmd != LINUX_F_GETFL)
		return -EBADF;
	switch (cmd) {
	case LINUX_F_DUPFD:
		return dup_fd(t, f, (uint32_t)arg, false);
	case LINUX_F_DUPFD_CLOEXEC:
		return dup_fd(t, f, (uint32_t)arg, true);
	case LINUX_F_GETFD:
		return fd_get_cloexec(t, fd);
	case LINUX_F_SETFD:
		return fd_set_cloexec(t, fd, arg & LINUX_FD_CLOEXEC);
	case LINUX_F_GETFL:
		return f->flags;
	case LINUX_F_SETFL:
		return set_flags(t, f, fd, (uint32_t)arg);
	case LINUX_F_GETLK:
	case LINUX_F_SETLK:
	case LINUX_F_SETLKW:
	case LINUX_F_OFD_GETLK:
	case LINUX_F_OFD_SETLK:
	case LINUX_F_OFD_SETLKW:
		r = lock_cmd(t, f, cmd, GADDR(arg));
		/* Somebody closed the descriptor while we locked: nobody would unlock it. */
		if (!r && cmd != LINUX_F_GETLK && cmd != LINUX_F_OFD_GETLK) {
			struct file *now _cleanup_file_ = fd_get_raw(t, fd);

			if (now != f && cmd <= LINUX_F_SETLKW) {
				locks_close_posix(t->files, f);
				return -EBADF;
			}
		}
		return r;
	case LINUX_F_SETPIPE_SZ:
	case LINUX_F_GETPIPE_SZ:
		return pipe_fcntl(f, t, (uint32_t)cmd, arg);
	case LINUX_F_ADD_SEALS:
		return tmpfs_add_seals(f, (uint32_t)arg);
	case LINUX_F_GET_SEALS:
		return tmpfs_get_seals(f);
	case LINUX_F_GETLEASE:
		return lease_get(f);
	case LINUX_F_SETLEASE:
		return lease_set(f, t, fd, (int)arg);
	case LINUX_F_NOTIFY:
		return dnotify_set(f, t, fd, (uint32_t)arg);
	default:
		return owner_cmd(t, f, cmd, arg);
	}
}

int64_t sys_flock(struct task *t, const struct sys_args *a)
{
	struct file *f _cleanup_file_ = NULL;
	int cmd = ARG_INT(a, 1), op = cmd & ~LINUX_LOCK_NB;

	if (cmd & LOCK_MAND_F)
		return 0; /* Windows share modes: accepted and ignored since Linux 5.18 */
	if (op != LINUX_LOCK_SH && op != LINUX_LOCK_EX && op != LINUX_LOCK_UN)
		return -EINVAL;
	f = fd_get(t, ARG_INT(a, 0));
	return f ? locks_flock(t, f, cmd) : -EBADF;
}
