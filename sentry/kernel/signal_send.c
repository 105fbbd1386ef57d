/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending signals: queueing, job-control side effects, choosing who acts.
 *
 * Locks: sighand.mu of the target; the tree (signal_send_pgrp, parents) under kernel.tasks_mu. Linux: kernel/signal.c.
 */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/abi/poll.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/user_ns.h"

#define SIGSET_STOP (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))

void sigpending_init(struct sigpending *p)
{
	p->set = 0;
	p->count = 0;
	list_init(&p->queue);
}

static void sigqueue_release(struct sigqueue *q)
{
	list_del(&q->node);
	if (!q->timer)
		free(q);
}

void sigpending_flush(struct sigpending *p, sigset64_t set)
{
	struct sigqueue *q, *tmp;

	p->set &= ~set;
	list_for_each_safe(q, tmp, &p->queue, node)
		if (set & SIGBIT(q->info.si_signo)) {
			p->count--;
			sigqueue_release(q);
		}
}

struct sighand *sighand_lock(struct task *t)
{
	for (;;) {
		struct sighand *s = __atomic_load_n(&t->sighand, __ATOMIC_ACQUIRE);

		mutex_lock(&s->mu);
		if (s == __atomic_load_n(&t->sighand, __ATOMIC_ACQUIRE))
			return s;
		mutex_unlock(&s->mu);
	}
}

void siginfo_kernel(struct linux_siginfo *si, int sig)
{
	*si = (struct linux_siginfo){ .si_signo = sig, .si_code = SI_KERNEL };
}

void siginfo_user(struct linux_siginfo *si, int sig, struct task *sender, int code)
{
	*si = (struct linux_siginfo){ .si_signo = sig, .si_code = code };
	si->rt.pid = pid_nr(sender->tg->pid, sender);
	si->rt.uid = task_id_show(sender, ID_UID, sender->cred->uid);
}

bool sig_is_default_ignore(int sig)
{
	return sig == SIGCONT || sig == SIGCHLD || sig == SIGWINCH || sig == SIGURG;
}

/* Is the sender a task that @t's namespace knows? */
static bool from_inside(const struct task *t)
{
	return current_task && pid_nr_ns(current_task->pid, task_pid_ns(t)) != 0;
}

static bool ignored_locked(struct task *t, int sig)
{
	uint64_t h = t->sighand->action[sig - 1].handler;

	/* A blocked signal may get a handler before it is unblocked. */
	if ((t->blocked | t->real_blocked) & SIGBIT(sig))
		return false;
	/* A tracer sees every signal. */
	if (sig != SIGKILL && ptraced(t))
		return false;
	/* An init is immune to its own namespace; SIGKILL and SIGSTOP from outside (an outer namespace, or no task) do act. */
	if (t->tg->unkillable && h == (uint64_t)(uintptr_t)SIG_DFL && (from_inside(t) || (sig != SIGKILL && sig != SIGSTOP)))
		return true;
	return h == (uint64_t)(uintptr_t)SIG_IGN || (h == (uint64_t)(uintptr_t)SIG_DFL && sig_is_default_ignore(sig));
}

/* Stop and continue signals cancel each other and SIGCONT acts at once, whatever becomes of the signal itself. */
static void job_control_locked(struct thread_group *tg, int sig)
{
	struct task *t;

	if (SIGSET_STOP & SIGBIT(sig)) {
		sigpending_flush(&tg->pending, SIGBIT(SIGCONT));
		list_for_each(t, &tg->tasks, tg_node)
			sigpending_flush(&t->pending, SIGBIT(SIGCONT));
		return;
	}
	if (sig != SIGCONT)
		return;
	sigpending_flush(&tg->pending, SIGSET_STOP);
	list_for_each(t, &tg->tasks, tg_node) {
		sigpending_flush(&t->pending, SIGSET_STOP);
		t->stop_me = false;
		if (t->stopped) {
			t->stopped = false;
			task_wake(t);
		}
		if (ptraced(t)) {
			t->pt->stop_dequeued = false;
			if (t->pt->seized)
				ptrace_trap_notify_locked(t);
		}
	}
	if (tg->stopped || tg->stop_sig) {
		tg->cont_notify = tg->stopped;
		tg->stop_code = 0;
		if (tg->cont_notify && !list_empty(&tg->tasks)) {
			t = list_first(&tg->tasks, struct task, tg_node);
			task_set_work(t, WORK_SIGNAL);
		}
	}
	tg->stopped = false;
	tg->stop_sig = 0;
	tg->stop_pending = 0;
}

static bool wants(const struct task *t, int sig)
{
	return !t->exiting && (sig == SIGKILL || !(t->blocked & SIGBIT(sig)));
}

static void kill_task_locked(struct task *t)
{
	t->pending.set |= SIGBIT(SIGKILL);
	task_set_work(t, WORK_SIGNAL);
	task_wake(t); /* out of a group stop too, where WORK_SIGNAL may be set already */
}

/* Chooses who acts on a queued signal and gets it moving: of a group @first if it can, or the leader when NULL, else any. */
static void complete_locked(struct task *target, struct thread_group *tg, struct task *first, int sig)
{
	struct task *t;

	waitq_wake(&tg->leader->sighand->signalfd_wq, LINUX_POLLIN);
	if (sig == SIGKILL) {
		list_for_each(t, &tg->tasks, tg_node)
			kill_task_locked(t);
		return;
	}
	if (target) {
		if (wants(target, sig))
			task_set_work(target, WORK_SIGNAL);
		return;
	}
	if (!first)
		first = tg->leader;
	if (wants(first, sig)) {
		task_set_work(first, WORK_SIGNAL);
		return;
	}
	list_for_each(t, &tg->tasks, tg_node)
		if (wants(t, sig)) {
			task_set_work(t, WORK_SIGNAL);
			return;
		}
}

/* @target NULL: to the group. Returns 0 also when the signal is ignored or already pending. */
static int send_to_locked(struct task *target, struct thread_group *tg, struct task *first, int sig, const struct linux_siginfo *si)
{
	struct sigpending *p = target ? &target->pending : &tg->pending;
	struct task *t = target ? target : tg->leader;
	struct sigqueue *q;

	if (tg->state >= TG_ZOMBIE)
		return 0;
	job_control_locked(tg, sig);
	if (ignored_locked(t, sig))
		return 0;
	if (sig < SIG_RTMIN && (p->set & SIGBIT(sig)))
		return 0;
	q = p->count < tg->rlim[LINUX_RLIMIT_SIGPENDING].cur || sig < SIG_RTMIN ? calloc(1, sizeof(*q)) : NULL;
	if (!q) {
		/* As Linux: kill() of a real-time signal still sets the bit; sigqueue() and timers are told. */
		if (si && si->si_code != SI_USER && sig >= SIG_RTMIN)
			return -EAGAIN;
	} else {
		if (si)
			q->info = *si;
		else
			siginfo_kernel(&q->info, sig);
		q->info.si_signo = sig;
		list_add_tail(&p->queue, &q->node);
		p->count++;
	}
	p->set |= SIGBIT(sig);
	complete_locked(target, tg, first, sig);
	return 0;
}

static int send_locked(struct task *target, struct thread_group *tg, int sig, const struct linux_siginfo *si)
{
	return send_to_locked(target, tg, NULL, sig, si);
}

int signal_send_task(struct task *t, int sig, const struct linux_siginfo *si)
{
	struct sighand *s;
	int r;

	if (sig == 0 || t->kthread) /* helpers take no signals: SIGPIPE or SIGXFSZ of what they do is lost, as in Linux */
		return 0;
	s = sighand_lock(t);
	r = send_locked(t, t->tg, sig, si);
	mutex_unlock(&s->mu);
	return r;
}

int signal_send_group(struct thread_group *tg, int sig, const struct linux_siginfo *si)
{
	struct sighand *s;
	int r;

	if (sig == 0)
		return 0;
	s = sighand_lock(tg->leader);
	r = send_locked(NULL, tg, sig, si);
	mutex_unlock(&s->mu);
	return r;
}

void signal_send_group_first(struct thread_group *tg, struct task *first, int sig)
{
	struct sighand *s = sighand_lock(tg->leader);

	(void)send_to_locked(NULL, tg, first, sig, NULL);
	mutex_unlock(&s->mu);
}

int signal_send_pgrp(struct pgrp *pg, int sig, const struct linux_siginfo *si)
{
	struct kernel *k = the_kernel;
	struct thread_group *tg;
	int r = -ESRCH;

	mutex_lock(&k->tasks_mu);
	list_for_each(tg, &pg->members, pgrp_node) {
		int e = signal_send_group(tg, sig, si);

		if (r == -ESRCH || e == 0)
			r = e;
	}
	mutex_unlock(&k->tasks_mu);
	return r;
}

int signal_send_prealloc(struct thread_group *tg, struct task *t, struct sigqueue *q)
{
	struct task *any = t ? t : tg->leader;
	struct sighand *s = sighand_lock(any);
	struct sigpending *p = t ? &t->pending : &tg->pending;
	int sig = q->info.si_signo, r = 0;

	if (tg->state >= TG_ZOMBIE || (t && t->exiting)) {
		r = 0;
	} else if (list_linked(&q->node)) {
		r = 1;
	} else if (!ignored_locked(any, sig)) {
		list_add_tail(&p->queue, &q->node);
		p->count++;
		p->set |= SIGBIT(sig);
		complete_locked(t, tg, NULL, sig);
	}
	mutex_unlock(&s->mu);
	return r;
}

void signal_force(struct task *t, const struct linux_siginfo *si)
{
	struct sighand *s = sighand_lock(t);
	struct linux_sigaction *ka = &s->action[si->si_signo - 1];
	bool blocked = t->blocked & SIGBIT(si->si_signo);

	if (blocked || ka->handler == (uint64_t)(uintptr_t)SIG_IGN) {
		ka->handler = (uint64_t)(uintptr_t)SIG_DFL;
		t->blocked &= ~SIGBIT(si->si_signo);
	}
	if (ka->handler == (uint64_t)(uintptr_t)SIG_DFL)
		t->tg->unkillable = false;
	(void)send_locked(t, t->tg, si->si_signo, si);
	mutex_unlock(&s->mu);
}

void signal_kill_group(struct thread_group *tg, int status)
{
	struct sighand *s = sighand_lock(tg->leader);
	struct task *t;

	if (!tg->group_exiting) {
		tg->group_exiting = true;
		tg->group_exit_code = status;
		tg->stop_sig = 0;
		tg->stop_pending = 0;
	}
	list_for_each(t, &tg->tasks, tg_node)
		kill_task_locked(t);
	mutex_unlock(&s->mu);
}

int signal_permission(struct task *t, struct thread_group *target, int sig)
{
	struct cred *c = t->cred, *tc;
	int r = -EPERM;

	if (t->tg == target)
		return 0;
	tc = task_cred_get(target->leader);
	if (cred_ns_capable(c, tc->user_ns, LINUX_CAP_KILL))
		r = 0;
	else if (c->euid == tc->suid || c->euid == tc->uid || c->uid == tc->suid || c->uid == tc->uid)
		r = 0;
	else if (sig == SIGCONT && t->tg->session == target->session)
		r = 0;
	cred_put(tc);
	return r;
}

void signal_send_chld_locked(struct thread_group *to, const struct linux_siginfo *si)
{
	struct sighand *s = sighand_lock(to->leader);
	const struct linux_sigaction *ka = &s->action[SIGCHLD - 1];
	bool stop = si->si_code == CLD_STOPPED || si->si_code == CLD_CONTINUED || si->si_code == CLD_TRAPPED;

	if (!stop || (ka->handler != (uint64_t)(uintptr_t)SIG_IGN && !(ka->flags & SA_NOCLDSTOP)))
		(void)send_locked(NULL, to, SIGCHLD, si);
	mutex_unlock(&s->mu);
	waitq_wake(&to->child_wq, ~0u);
}

void signal_notify_parent(struct thread_group *tg, int why, int status)
{
	struct thread_group *parent = tg->parent;
	struct linux_siginfo si = { .si_signo = SIGCHLD, .si_code = why };

	mutex_assert_held(&tg->k->tasks_mu);
	if (!parent)
		return;
	si.chld.pid = pid_nr_ns(tg->pid, task_pid_ns(parent->leader));
	si.chld.uid = tg->leader->cred ? task_id_show(parent->leader, ID_UID, tg->leader->cred->uid) : 0;
	si.chld.status = status;
	si.chld.utime = tg->self.utime / 10000000;
	si.chld.stime = tg->self.stime / 10000000;
	signal_send_chld_locked(parent, &si);
}
