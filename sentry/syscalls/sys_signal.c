/* SPDX-License-Identifier: Apache-2.0 */
/* Signal system calls. Linux: kernel/signal.c. */
#include <string.h>

#include "sentry/arch/sigframe.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/run.h"
#include "sentry/syscalls/syscalls.h"

#define SA_FLAGS_KNOWN                                                                                                 \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND | 0x04000000u /* SA_RESTORER */ | \
	 0x800u /* SA_EXPOSE_TAGBITS */)
#define MINSIGSTKSZ_L 2048

static bool valid_sig(int sig)
{
	return sig >= 1 && sig <= NSIG_MAX;
}

int64_t sys_rt_sigaction(struct task *t, const struct sys_args *a)
{
	int sig = ARG_INT(a, 0);
	struct linux_sigaction n = { 0 }, old;
	struct sighand *s;
	struct task *o;
	int r;

	if (a->a[3] != sizeof(sigset64_t))
		return -EINVAL;
	if (a->a[1]) {
		r = copy_in(t, &n, ARG_ADDR(a, 1), sizeof(n));
		if (r < 0)
			return r;
	}
	if (!valid_sig(sig) || (a->a[1] && (sig == SIGKILL || sig == SIGSTOP)))
		return -EINVAL;
	s = sighand_lock(t);
	old = s->action[sig - 1];
	if (a->a[1]) {
		n.flags &= SA_FLAGS_KNOWN;
		n.mask &= ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP));
		s->action[sig - 1] = n;
		/* POSIX: making a signal ignored discards a pending one. */
		if (n.handler == (uint64_t)(uintptr_t)SIG_IGN ||
		    (n.handler == (uint64_t)(uintptr_t)SIG_DFL && sig_is_default_ignore(sig))) {
			sigpending_flush(&t->tg->pending, SIGBIT(sig));
			list_for_each(o, &t->tg->tasks, tg_node)
				sigpending_flush(&o->pending, SIGBIT(sig));
		}
	}
	mutex_unlock(&s->mu);
	if (a->a[2])
		return copy_out(t, ARG_ADDR(a, 2), &old, sizeof(old));
	return 0;
}

int64_t sys_rt_sigprocmask(struct task *t, const struct sys_args *a)
{
	sigset64_t set, old = t->blocked;
	int r;

	if (a->a[3] != sizeof(sigset64_t))
		return -EINVAL;
	if (a->a[1]) {
		r = copy_in(t, &set, ARG_ADDR(a, 1), sizeof(set));
		if (r < 0)
			return r;
		switch (ARG_INT(a, 0)) {
		case SIG_BLOCK:
			set |= old;
			break;
		case SIG_UNBLOCK:
			set = old & ~set;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		signal_set_blocked(t, set);
	}
	if (a->a[2])
		return copy_out(t, ARG_ADDR(a, 2), &old, sizeof(old));
	return 0;
}

int64_t sys_rt_sigpending(struct task *t, const struct sys_args *a)
{
	sigset64_t set;

	if (a->a[1] > sizeof(set))
		return -EINVAL;
	set = signal_pending_set(t) & t->blocked;
	return copy_out(t, ARG_ADDR(a, 0), &set, a->a[1]);
}

int64_t sys_rt_sigsuspend(struct task *t, const struct sys_args *a)
{
	sigset64_t set;
	int r = copy_in_sigset(t, ARG_ADDR(a, 0), a->a[1], &set);

	if (r < 0)
		return r;
	signal_set_temp_mask(t, set);
	task_block_prepare(t);
	do
		r = task_block(t, TIME_FOREVER);
	while (r == 0);
	return r == -EFREEZE ? r : -ERESTARTNOHAND;
}

int64_t sys_pause(struct task *t, const struct sys_args *a)
{
	int r;

	task_block_prepare(t);
	do
		r = task_block(t, TIME_FOREVER);
	while (r == 0);
	return r == -EFREEZE ? r : -ERESTARTNOHAND;
}

int64_t sys_rt_sigtimedwait(struct task *t, const struct sys_args *a)
{
	struct linux_siginfo si;
	int64_t rel = -1, deadline;
	struct sighand *s;
	sigset64_t set;
	int r, sig;

	r = copy_in_sigset(t, ARG_ADDR(a, 0), a->a[3], &set);
	if (r == 0 && a->a[2])
		r = copy_in_timespec(t, ARG_ADDR(a, 2), &rel);
	if (r < 0)
		return r;
	set &= ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP));
	deadline = task_deadline(t, rel);
	/* While waiting the signals count as unblocked, so that they are sent here; real_blocked keeps them from being ignored. */
	s = sighand_lock(t);
	t->real_blocked = t->blocked;
	t->blocked &= ~set;
	mutex_unlock(&s->mu);
	task_block_prepare(t);
	for (;;) {
		sig = signal_dequeue(t, set, &si);
		if (sig || rel == 0) {
			r = 0;
			break;
		}
		r = task_block(t, deadline);
		if (r == -ERESTARTSYS) {
			sig = signal_dequeue(t, set, &si);
			break;
		}
		if (r < 0)
			break;
	}
	s = sighand_lock(t);
	t->blocked = t->real_blocked;
	t->real_blocked = 0;
	signal_recalc_locked(t);
	mutex_unlock(&s->mu);
	if (sig) {
		if (a->a[1] && copy_out(t, ARG_ADDR(a, 1), &si, sizeof(si)) < 0)
			return -EFAULT;
		return sig;
	}
	if (r == -EFREEZE)
		return r;
	return r == 0 || r == -ETIMEDOUT ? -EAGAIN : -EINTR;
}

int64_t sys_rt_sigreturn(struct task *t, const struct sys_args *a)
{
	if (sigframe_pop(t) < 0) {
		struct linux_siginfo si = { .si_signo = SIGSEGV, .si_code = SI_KERNEL };

		signal_force(t, &si);
	}
	return SYS_NO_RETURN_VALUE;
}

int64_t sys_sigaltstack(struct task *t, const struct sys_args *a)
{
	struct {
		uint64_t sp;
		uint32_t flags, pad;
		uint64_t size;
	} n = { 0 }, old = { 0 };
	uint64_t sp = t->trap.sp;
	uint32_t cur = altstack_flags(&t->altstack, sp);
	int r;

	old.sp = t->altstack.sp;
	old.size = t->altstack.size;
	old.flags = cur;
	if (a->a[0]) {
		uint32_t mode;

		r = copy_in(t, &n, ARG_ADDR(a, 0), sizeof(n));
		if (r < 0)
			return r;
		if (cur & SS_ONSTACK)
			return -EPERM;
		mode = n.flags & ~(1u << 31);
		if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
			return -EINVAL;
		if (mode == SS_DISABLE) {
			t->altstack = (struct sigaltstack){ 0 };
		} else {
			if (n.size < MINSIGSTKSZ_L)
				return -ENOMEM;
			t->altstack = (struct sigaltstack){ n.sp, n.size, n.flags & (1u << 31) };
		}
	}
	if (a->a[1])
		return copy_out(t, ARG_ADDR(a, 1), &old, sizeof(old));
	return 0;
}

/* --- sending --- */

static int kill_one(struct task *t, struct thread_group *tg, int sig, const struct linux_siginfo *si)
{
	int r = signal_permission(t, tg, sig);

	if (r == 0 && sig)
		r = signal_send_group(tg, sig, si);
	return r;
}

static int64_t kill_many(struct task *t, struct pgrp *pg, int sig, const struct linux_siginfo *si)
{
	struct pid_ns *ns = task_pid_ns(t);
	struct thread_group *tg;
	int r = -ESRCH, found = 0;
	bool ok = false;

	mutex_lock(&t->k->tasks_mu);
	list_for_each(tg, &t->k->groups, all_node) {
		int32_t nr = pid_nr_ns(tg->pid, ns);

		if (pg ? tg->pgrp != pg : (nr <= 1 || tg == t->tg))
			continue;
		found++;
		r = kill_one(t, tg, sig, si);
		ok |= r == 0;
	}
	mutex_unlock(&t->k->tasks_mu);
	if (!found)
		return -ESRCH;
	return ok ? 0 : r;
}

int64_t sys_kill(struct task *t, const struct sys_args *a)
{
	int32_t pid = ARG_INT(a, 0);
	int sig = ARG_INT(a, 1);
	struct linux_siginfo si;
	struct thread_group *tg;
	struct pgrp *pg;
	int64_t r;

	if (sig < 0 || sig > NSIG_MAX)
		return -EINVAL;
	siginfo_user(&si, sig, t, SI_USER);
	if (pid > 0) {
		struct task *o;

		tg = tg_find(t->k, task_pid_ns(t), pid);
		if (!tg) {
			/* A thread's id names its process here. */
			o = task_find(t->k, task_pid_ns(t), pid);
			if (!o)
				return -ESRCH;
			tg = tg_get(o->tg);
			task_put(o);
		}
		r = kill_one(t, tg, sig, &si);
		tg_put(tg);
		return r;
	}
	if (pid == -1)
		return kill_many(t, NULL, sig, &si);
	if (pid == INT32_MIN)
		return -ESRCH;
	mutex_lock(&t->k->tasks_mu);
	if (pid == 0) {
		pg = t->tg->pgrp;
	} else {
		struct pid *p = pid_find_locked(task_pid_ns(t), -pid);

		pg = p ? p->pgrp : NULL;
	}
	if (pg)
		(void)pgrp_get(pg);
	mutex_unlock(&t->k->tasks_mu);
	if (!pg)
		return -ESRCH;
	r = kill_many(t, pg, sig, &si);
	mutex_lock(&t->k->tasks_mu);
	pgrp_put(pg);
	mutex_unlock(&t->k->tasks_mu);
	return r;
}

static int64_t do_tkill(struct task *t, int32_t tgid, int32_t tid, int sig, const struct linux_siginfo *si)
{
	struct task *o = task_find(t->k, task_pid_ns(t), tid);
	int64_t r;

	if (!o)
		return -ESRCH;
	r = tgid && pid_nr(o->tg->pid, t) != tgid ? -ESRCH : signal_permission(t, o->tg, sig);
	if (r == 0 && sig)
		r = signal_send_task(o, sig, si);
	task_put(o);
	return r;
}

int64_t sys_tkill(struct task *t, const struct sys_args *a)
{
	int32_t tid = ARG_INT(a, 0);
	int sig = ARG_INT(a, 1);
	struct linux_siginfo si;

	if (tid <= 0 || sig < 0 || sig > NSIG_MAX)
		return -EINVAL;
	siginfo_user(&si, sig, t, SI_TKILL);
	return do_tkill(t, 0, tid, sig, &si);
}

int64_t sys_tgkill(struct task *t, const struct sys_args *a)
{
	int32_t tgid = ARG_INT(a, 0), tid = ARG_INT(a, 1);
	int sig = ARG_INT(a, 2);
	struct linux_siginfo si;

	if (tgid <= 0 || tid <= 0 || sig < 0 || sig > NSIG_MAX)
		return -EINVAL;
	siginfo_user(&si, sig, t, SI_TKILL);
	return do_tkill(t, tgid, tid, sig, &si);
}

/* A user-made siginfo may not pretend to come from the kernel or from kill(), except to oneself. */
static int copy_in_siginfo(struct task *t, gaddr_t addr, int sig, bool self, struct linux_siginfo *si)
{
	int r = copy_in(t, si, addr, sizeof(*si));

	if (r < 0)
		return r;
	si->si_signo = sig;
	if ((si->si_code >= 0 || si->si_code == SI_TKILL) && !self)
		return -EPERM;
	return 0;
}

int64_t sys_rt_sigqueueinfo(struct task *t, const struct sys_args *a)
{
	int32_t pid = ARG_INT(a, 0);
	int sig = ARG_INT(a, 1);
	struct linux_siginfo si;
	struct thread_group *tg;
	int64_t r;

	r = copy_in_siginfo(t, ARG_ADDR(a, 2), sig, pid == pid_nr(t->tg->pid, t), &si);
	if (r < 0)
		return r;
	if (sig < 0 || sig > NSIG_MAX)
		return -EINVAL;
	tg = pid > 0 ? tg_find(t->k, task_pid_ns(t), pid) : NULL;
	if (!tg)
		return -ESRCH;
	r = kill_one(t, tg, sig, &si);
	tg_put(tg);
	return r;
}

int64_t sys_rt_tgsigqueueinfo(struct task *t, const struct sys_args *a)
{
	int32_t tgid = ARG_INT(a, 0), tid = ARG_INT(a, 1);
	int sig = ARG_INT(a, 2);
	struct linux_siginfo si;
	int64_t r;

	r = copy_in_siginfo(t, ARG_ADDR(a, 3), sig, tid == pid_nr(t->pid, t), &si);
	if (r < 0)
		return r;
	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	if (sig < 0 || sig > NSIG_MAX)
		return -EINVAL;
	return do_tkill(t, tgid, tid, sig, &si);
}
