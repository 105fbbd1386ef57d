/* SPDX-License-Identifier: Apache-2.0 */
/*
 * O_ASYNC: SIGIO (or F_SETSIG's signal) to the owner when a file becomes ready.
 *
 * The file's queue calls us with its lock held, which is below every signal lock, so the signal is sent from a timer that expires
 * at once. The timer is cancelled before the file goes.
 * Checkpoint: nothing here; file_after_load_base() registers again. Linux: fs/fcntl.c send_sigio().
 */
#include <stdlib.h>

#include "sentry/abi/fs.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/file.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/time.h"

struct file_async {
	struct waiter w; /* first: file.async points here */
	struct ktimer timer;
	struct file *f;
	_Atomic uint32_t mask;
};

#define LINUX_POLL_IN  1
#define LINUX_POLL_OUT 2
#define LINUX_POLL_ERR 4
#define LINUX_POLL_PRI 5
#define LINUX_POLL_MSG 3
#define LINUX_POLL_HUP 6
#define LINUX_SI_POLL  (1 << 16)

static void send(struct file *f, struct linux_siginfo *si)
{
	struct pid *pid = NULL;
	int type;

	mutex_lock(&f->f_lock);
	if (f->owner.pid)
		pid = pid_get(f->owner.pid);
	type = f->owner.type;
	mutex_unlock(&f->f_lock);
	if (!pid)
		return;
	mutex_lock(&the_kernel->tasks_mu);
	if (type == LINUX_F_OWNER_TID && pid->task)
		(void)signal_send_task(pid->task, si->si_signo, si);
	else if (type == LINUX_F_OWNER_PID && pid->tg)
		(void)signal_send_group(pid->tg, si->si_signo, si);
	else if (type == LINUX_F_OWNER_PGRP && pid->pgrp)
		(void)signal_send_pgrp(pid->pgrp, si->si_signo, si);
	mutex_unlock(&the_kernel->tasks_mu);
	pid_put(pid);
}

void file_signal_owner(struct file *f, int fd)
{
	struct linux_siginfo si = { 0 };

	mutex_lock(&f->f_lock);
	si.si_signo = f->owner.sig;
	mutex_unlock(&f->f_lock);
	if (si.si_signo) {
		si.si_code = LINUX_POLL_MSG;
		si.poll.band = LINUX_POLLIN | LINUX_POLLRDNORM | 0x400; /* POLLMSG */
		si.poll.fd = fd;
	} else {
		siginfo_kernel(&si, SIGIO);
	}
	send(f, &si);
}

void file_send_sigurg(struct file *f)
{
	struct linux_siginfo si;

	siginfo_kernel(&si, SIGURG);
	send(f, &si);
}

void file_default_owner(struct file *f, struct task *t)
{
	struct pid *pid = pid_get(t->tg->pid);

	mutex_lock(&f->f_lock);
	if (!f->owner.pid) {
		f->owner.pid = TAKE_PTR(pid);
		f->owner.type = LINUX_F_OWNER_PID;
		f->owner.uid = t->cred->uid;
		f->owner.euid = t->cred->euid;
	}
	mutex_unlock(&f->f_lock);
	if (pid)
		pid_put(pid);
}

static void send_to(struct file *f, int sig, uint32_t mask)
{
	struct linux_siginfo si = { .si_signo = sig ? sig : SIGIO };
	int fd;

	mutex_lock(&f->f_lock);
	fd = f->owner.fd;
	mutex_unlock(&f->f_lock);
	if (sig) {
		if (mask & LINUX_POLLHUP) {
			si.si_code = LINUX_POLL_HUP;
			si.poll.band = LINUX_POLLHUP | LINUX_POLLERR;
		} else if (mask & POLL_READ) {
			si.si_code = LINUX_POLL_IN;
			si.poll.band = LINUX_POLLIN | LINUX_POLLRDNORM;
		} else if (mask & LINUX_POLLPRI) {
			si.si_code = LINUX_POLL_PRI;
			si.poll.band = LINUX_POLLPRI | LINUX_POLLRDBAND;
		} else if (mask & LINUX_POLLERR) {
			si.si_code = LINUX_POLL_ERR;
			si.poll.band = LINUX_POLLERR;
		} else {
			si.si_code = LINUX_POLL_OUT;
			si.poll.band = LINUX_POLLOUT | LINUX_POLLWRNORM | LINUX_POLLWRBAND;
		}
		si.poll.fd = fd;
	} else {
		siginfo_kernel(&si, SIGIO);
	}
	send(f, &si);
}

static void expired(struct ktimer *timer)
{
	struct file_async *a = container_of(timer, struct file_async, timer);
	uint32_t mask = atomic_exchange(&a->mask, 0);
	int sig;

	mutex_lock(&a->f->f_lock);
	sig = a->f->owner.sig;
	mutex_unlock(&a->f->f_lock);
	if (mask)
		send_to(a->f, sig, mask);
}

static bool ready(struct waiter *w, uint32_t mask)
{
	struct file_async *a = container_of(w, struct file_async, w);

	atomic_fetch_or(&a->mask, mask ? mask : POLL_READ);
	ktimer_arm(&a->timer, 0);
	return false;
}

int file_set_async(struct file *f, bool on)
{
	struct file_async *a;

	mutex_lock(&f->f_lock);
	if (!on) {
		struct waiter *w = TAKE_PTR(f->async);

		mutex_unlock(&f->f_lock);
		if (!w)
			return 0;
		a = container_of(w, struct file_async, w);
		waitq_del(&a->w);
		ktimer_cancel(&a->timer, true);
		free(a);
		return 0;
	}
	if (f->async) {
		mutex_unlock(&f->f_lock);
		return 0;
	}
	a = calloc(1, sizeof(*a));
	if (!a) {
		mutex_unlock(&f->f_lock);
		return -ENOMEM;
	}
	a->f = f;
	a->w.fn = ready;
	a->w.mask = POLL_READ | POLL_WRITE | LINUX_POLLERR | LINUX_POLLHUP | LINUX_POLLPRI;
	ktimer_init(&a->timer, KCLOCK_MONOTONIC, expired);
	f->async = &a->w;
	mutex_unlock(&f->f_lock);
	(void)file_poll_add(f, &a->w);
	return 0;
}
