/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process descriptors: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2).
 *
 * A pidfd refers to a struct pid, which outlives the process and is never given to another. It is readable once the process has exited, and hung up
 * once it has been reaped.
 * Locks: poll takes kernel.tasks_mu (above waitq.mu; never held while files are put).
 * Checkpoint: the pid. Linux: kernel/pid.c, fs/pidfs.c.
 */
#include "sentry/fs/pidfd.h"

#include "base/strbuf.h"
#include "schemas/pidfd.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

#define PIDFD_THREAD_F LINUX_O_EXCL

extern const struct state_type pid_state_type; /* also when this build has no tasks */
extern __thread struct task *current_task;

struct pidfd {
	struct file file; /* saved: 1 file_base */
	struct pid *pid; /* saved: 2, referenced */
	bool thread; /* saved: 3; PIDFD_THREAD: the thread, not its process */
};

static const struct file_ops pidfd_ops;

static struct pidfd *pidfd_of(struct file *f)
{
	return container_of(f, struct pidfd, file);
}

static uint32_t pidfd_poll(struct file *f)
{
	struct pidfd *p = pidfd_of(f);
	uint32_t ev = 0;

	mutex_lock(&the_kernel->tasks_mu);
	if (p->thread) {
		if (!p->pid->task)
			ev = POLL_READ | LINUX_POLLHUP;
		else if (p->pid->task->is_zombie)
			ev = POLL_READ;
	} else if (!p->pid->tg || p->pid->tg->state == TG_REAPED) {
		ev = POLL_READ | LINUX_POLLHUP;
	} else if (p->pid->tg->state == TG_ZOMBIE) {
		ev = POLL_READ;
	}
	mutex_unlock(&the_kernel->tasks_mu);
	return ev;
}

static struct waitq *pidfd_pollq(struct file *f)
{
	return &pidfd_of(f)->pid->exit_wq;
}

static void pidfd_release(struct file *f)
{
	struct pidfd *p = pidfd_of(f);

	if (p->pid)
		pid_put(p->pid);
	file_done(f);
	free(p);
}

static void pidfd_show_fdinfo(struct file *f, struct strbuf *b)
{
	struct pidfd *p = pidfd_of(f);
	struct task *t = current_task;
	int32_t nr;

	mutex_lock(&the_kernel->tasks_mu);
	nr = p->pid->tg || p->pid->task ? (t ? pid_nr(p->pid, t) : p->pid->n[0].nr) : -1;
	mutex_unlock(&the_kernel->tasks_mu);
	strbuf_addf(b, "Pid:\t%d\nNSpid:\t%d", nr, nr);
	/* What it is called further in. */
	for (uint32_t l = t && nr > 0 ? task_pid_ns(t)->level + 1 : PID_LEVELS; l <= p->pid->level; l++)
		strbuf_addf(b, "\t%d", p->pid->n[l].nr);
	strbuf_addc(b, '\n');
}

static const struct file_ops pidfd_ops = {
	.name = "pidfd",
	.state = &pidfd_state_type,
	.release = pidfd_release,
	.poll = pidfd_poll,
	.pollq = pidfd_pollq,
	.show_fdinfo = pidfd_show_fdinfo,
};

static void *pidfd_alloc(void)
{
	struct pidfd *p = calloc(1, sizeof(*p));

	if (p)
		ref_init(&p->file.ref);
	return p;
}

int pidfd_new(struct task *t, struct pid *pid, uint32_t flags, struct file **ret)
{
	struct pidfd *p = pidfd_alloc();

	if (!p)
		return -ENOMEM;
	file_init(&p->file, &pidfd_ops, LINUX_O_RDWR | (flags & LINUX_O_NONBLOCK), t, NULL, NULL);
	p->pid = pid_get(pid);
	p->thread = flags & PIDFD_THREAD_F;
	*ret = &p->file;
	return 0;
}

static int get_pidfd(struct task *t, int fd, struct file **ret)
{
	struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	if (f->ops != &pidfd_ops) {
		file_put(f);
		return -EBADF;
	}
	*ret = f;
	return 0;
}

/* As get_pidfd, or an open /proc/<pid> directory, which pidfd_send_signal(2) has taken since before there was pidfd_open(2). */
static int get_signal_pid(struct task *t, int fd, struct pid **ret, bool *ret_thread)
{
	_cleanup_file_ struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	if (f->ops == &pidfd_ops) {
		*ret = pid_get(pidfd_of(f)->pid);
		*ret_thread = pidfd_of(f)->thread;
		return 0;
	}
	*ret_thread = false;
	*ret = proc_dir_pid(f);
	return *ret ? 0 : -EBADF;
}

int pidfd_get_pid(struct task *t, int fd, struct pid **ret, int *ret_nonblock)
{
	_cleanup_file_ struct file *f = NULL;
	int r = get_pidfd(t, fd, &f);

	if (r)
		return r;
	*ret = pid_get(pidfd_of(f)->pid);
	if (ret_nonblock)
		*ret_nonblock = file_nonblock(f);
	return 0;
}

/* --- system calls --- */

int64_t sys_pidfd_open(struct task *t, const struct sys_args *a)
{
	int32_t nr = ARG_INT(a, 0);
	uint32_t flags = ARG_U32(a, 1);
	struct task *target;
	struct file *f;
	int r;

	if ((flags & ~(LINUX_O_NONBLOCK | PIDFD_THREAD_F)) || nr <= 0)
		return -EINVAL;
	target = task_find(t->k, task_pid_ns(t), nr);
	if (!target)
		return -ESRCH;
	if (!(flags & PIDFD_THREAD_F) && target->pid != target->tg->pid)
		r = -ENOENT; /* a thread is no process */
	else
		r = pidfd_new(t, target->pid, flags, &f);
	task_put(target);
	if (r)
		return r;
	r = fd_install(t, f, 0, true);
	if (r < 0)
		file_put(f);
	return r;
}

/* The process behind @pid, referenced; NULL when it has been reaped. */
static struct thread_group *pid_tg_get(struct kernel *k, struct pid *pid)
{
	struct thread_group *tg = NULL;

	mutex_lock(&k->tasks_mu);
	if (pid->tg && pid->tg->state != TG_REAPED)
		tg = tg_get(pid->tg);
	else if (pid->task)
		tg = tg_get(pid->task->tg);
	mutex_unlock(&k->tasks_mu);
	return tg;
}

static struct task *pid_task_get(struct kernel *k, struct pid *pid)
{
	struct task *t;

	mutex_lock(&k->tasks_mu);
	t = pid->task ? task_get(pid->task) : NULL;
	mutex_unlock(&k->tasks_mu);
	return t;
}

#define PIDFD_SIGNAL_THREAD_F       1u
#define PIDFD_SIGNAL_THREAD_GROUP_F 2u
#define PIDFD_SIGNAL_PROCESS_GROUP_F 4u

static int send_to(struct task *t, struct pid *pid, uint32_t scope, int sig, const struct linux_siginfo *si)
{
	struct thread_group *tg = pid_tg_get(t->k, pid);
	struct task *target = NULL;
	int r;

	if (!tg)
		return -ESRCH;
	r = signal_permission(t, tg, sig);
	if (!r && sig && scope == PIDFD_SIGNAL_THREAD_F) {
		target = pid_task_get(t->k, pid);
		r = target ? signal_send_task(target, sig, si) : -ESRCH;
		if (target)
			task_put(target);
	} else if (!r && sig && scope == PIDFD_SIGNAL_PROCESS_GROUP_F) {
		struct pgrp *pg = pgrp_find(t->k, task_pid_ns(t), pid_nr(pid, t));

		r = pg ? signal_send_pgrp(pg, sig, si) : -ESRCH;
		if (pg)
			pgrp_put(pg);
	} else if (!r && sig) {
		r = signal_send_group(tg, sig, si);
	}
	tg_put(tg);
	return r;
}

int64_t sys_pidfd_send_signal(struct task *t, const struct sys_args *a)
{
	int sig = ARG_INT(a, 1), r;
	uint32_t scope = ARG_U32(a, 3);
	struct linux_siginfo si;
	struct pid *pid;
	bool thread;

	if (scope > PIDFD_SIGNAL_PROCESS_GROUP_F || (scope & (scope - 1)))
		return -EINVAL;
	r = get_signal_pid(t, ARG_INT(a, 0), &pid, &thread);
	if (r)
		return r;
	if (!scope && thread)
		scope = PIDFD_SIGNAL_THREAD_F;
	if (sig < 0 || sig > NSIG_MAX) {
		r = -EINVAL;
	} else if (ARG_ADDR(a, 2).v) {
		r = copy_in(t, &si, ARG_ADDR(a, 2), sizeof(si));
		if (!r && si.si_signo != sig)
			r = -EINVAL;
		/* Only to oneself may a siginfo pretend to come from the kernel. */
		else if (!r && pid != t->tg->pid && (si.si_code >= 0 || si.si_code == SI_TKILL))
			r = -EPERM;
	} else {
		siginfo_user(&si, sig, t, scope == PIDFD_SIGNAL_THREAD_F ? SI_TKILL : SI_USER);
	}
	if (!r)
		r = send_to(t, pid, scope, sig, &si);
	pid_put(pid);
	return r;
}

int64_t sys_pidfd_getfd(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	struct task *target;
	struct fd_table *ft;
	struct file *got = NULL;
	int r;

	if (ARG_U32(a, 2))
		return -EINVAL;
	r = get_pidfd(t, ARG_INT(a, 0), &f);
	if (r)
		return r;
	target = pid_task_get(t->k, pidfd_of(f)->pid);
	if (!target)
		return -ESRCH;
	r = task_ptrace_may_access(t, target, true);
	if (!r) {
		ft = task_files_get(target);
		if (!ft) {
			r = -ESRCH;
		} else {
			got = fd_table_lookup(ft, ARG_INT(a, 1));
			fd_table_put(ft, NULL);
			if (!got)
				r = -EBADF;
		}
	}
	task_put(target);
	if (r)
		return r;
	r = fd_install(t, got, 0, true);
	if (r < 0)
		file_put(got);
	return r;
}

/* --- state --- */

static int pidfd_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct pidfd *p = obj;
	Sentry__PidFd *m = msg;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->pid = state_ref(w, &pid_state_type, p->pid);
	m->thread = p->thread;
	return file_save_base(w, &p->file, m->file_base);
}

static int pidfd_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__PidFd *m = msg;
	struct pidfd *p = obj;
	int err = file_load_base(r, &p->file, &pidfd_ops, m->file_base);

	if (!err)
		err = state_deref(r, m->pid, &pid_state_type, (void **)&p->pid);
	if (!err)
		err = state_check(r, p->pid != NULL, "pidfd without pid");
	p->thread = m->thread;
	return err;
}

const struct state_type pidfd_state_type = {
	.id = STATE_ID_pidfd,
	.name = "pidfd",
	.desc = &sentry__pid_fd__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = pidfd_alloc,
	.save = pidfd_save,
	.load = pidfd_load,
	.after_load = file_state_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
