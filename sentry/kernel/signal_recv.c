/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving signals: dequeueing, default actions, group stops, masks.
 *
 * signal_get() runs on the task's own thread at the edge to the application. A group stop sleeps inside it; a freeze parks inside
 * that sleep, and a restored task comes back to it because `stopped` is saved. Linux: get_signal() in kernel/signal.c.
 */
#include <string.h>
#include <sys/wait.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/coredump.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/freeze.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/syscalls/strace/strace.h"

#define SIGSET_SYNC                                                                                                    \
	(SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGFPE) | SIGBIT(SIGSYS))
#define SIGSET_STOP (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))

struct sighand *sighand_new(void)
{
	struct sighand *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	ref_init(&s->ref);
	mutex_init(&s->mu, "sighand.mu");
	waitq_init(&s->signalfd_wq);
	return s;
}

struct sighand *sighand_dup(struct sighand *s)
{
	struct sighand *n = sighand_new();

	if (!n)
		return NULL;
	mutex_lock(&s->mu);
	memcpy(n->action, s->action, sizeof(n->action));
	mutex_unlock(&s->mu);
	return n;
}

struct sighand *sighand_get(struct sighand *s)
{
	ref_get(&s->ref);
	return s;
}

void sighand_put(struct sighand *s)
{
	while (s && ref_put(&s->ref)) {
		struct sighand *prev = s->prev;

		waitq_done(&s->signalfd_wq);
		mutex_destroy(&s->mu);
		free(s);
		s = prev;
	}
}

void sighand_reset_handlers(struct sighand *s)
{
	mutex_lock(&s->mu);
	for (int i = 0; i < NSIG_MAX; i++) {
		if (s->action[i].handler != (uint64_t)(uintptr_t)SIG_IGN)
			s->action[i].handler = (uint64_t)(uintptr_t)SIG_DFL;
		s->action[i].flags = 0;
		s->action[i].restorer = 0;
		s->action[i].mask = 0;
	}
	mutex_unlock(&s->mu);
}

void signal_recalc_locked(struct task *t)
{
	struct thread_group *tg = t->tg;

	mutex_assert_held(&t->sighand->mu);
	if (((t->pending.set | tg->pending.set) & ~t->blocked) || (t->pending.set & SIGBIT(SIGKILL)) || t->stop_me ||
	    t->stopped || tg->group_exiting || (t->pt && (t->pt->trap_stop || t->pt->trap_notify)))
		task_set_work(t, WORK_SIGNAL);
}

bool signal_pending(struct task *t)
{
	return atomic_load(&t->work) & WORK_SIGNAL;
}

sigset64_t signal_pending_set(struct task *t)
{
	struct sighand *s = sighand_lock(t);
	sigset64_t set = t->pending.set | t->tg->pending.set;

	mutex_unlock(&s->mu);
	return set;
}

void signal_set_blocked(struct task *t, sigset64_t set)
{
	struct sighand *s = sighand_lock(t);
	struct thread_group *tg = t->tg;
	sigset64_t newly = set & ~t->blocked;
	struct task *o;

	t->blocked = set & ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP));
	/* A group signal this task was chosen for may now have to be handled by another one. */
	if (tg->pending.set & newly)
		list_for_each(o, &tg->tasks, tg_node)
			if (o != t)
				signal_recalc_locked(o);
	signal_recalc_locked(t);
	mutex_unlock(&s->mu);
}

void signal_set_temp_mask(struct task *t, sigset64_t set)
{
	if (!t->restore_mask) {
		t->saved_mask = t->blocked;
		t->restore_mask = true;
	}
	signal_set_blocked(t, set);
}

int copy_in_sigset(struct task *t, gaddr_t addr, uint64_t size, sigset64_t *ret)
{
	if (size != sizeof(*ret))
		return -EINVAL;
	return copy_in(t, ret, addr, sizeof(*ret));
}

/* Takes the first queued entry of @sig out of @p. */
static void take(struct sigpending *p, int sig, struct linux_siginfo *ret)
{
	struct sigqueue *q, *first = NULL;
	bool more = false;

	list_for_each(q, &p->queue, node) {
		if (q->info.si_signo != sig)
			continue;
		if (first) {
			more = true;
			break;
		}
		first = q;
	}
	if (!more)
		p->set &= ~SIGBIT(sig);
	if (!first) {
		/* Lost its queue entry (out of memory, or SIGKILL): no details. */
		*ret = (struct linux_siginfo){ .si_signo = sig, .si_code = SI_USER };
		return;
	}
	*ret = first->info;
	list_del(&first->node);
	p->count--;
	if (first->timer)
		posix_timer_delivered(first, ret);
	else
		free(first);
}

static int pick(sigset64_t set)
{
	if (set & SIGSET_SYNC)
		set &= SIGSET_SYNC;
	return set ? __builtin_ctzll(set) + 1 : 0;
}

static int dequeue_locked(struct task *t, sigset64_t set, struct linux_siginfo *ret)
{
	int sig = pick(t->pending.set & set);

	if (sig) {
		take(&t->pending, sig, ret);
		return sig;
	}
	sig = pick(t->tg->pending.set & set);
	if (sig)
		take(&t->tg->pending, sig, ret);
	return sig;
}

int signal_dequeue(struct task *t, sigset64_t set, struct linux_siginfo *ret)
{
	struct sighand *s = sighand_lock(t);
	int sig = dequeue_locked(t, set & ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP)), ret);

	mutex_unlock(&s->mu);
	return sig;
}

/* --- group stops --- */

/* A tracee may run while its group's stop is in effect, and so begin another one, in which those that sleep in the first take no part. */
static void begin_group_stop_locked(struct task *self, int sig)
{
	struct thread_group *tg = self->tg;
	struct task *t;

	if ((tg->stop_sig && !ptraced(self)) || !ptrace_stop_valid_locked(self))
		return;
	tg->stop_sig = sig;
	tg->stop_pending = 0;
	list_for_each(t, &tg->tasks, tg_node) {
		if (t->exiting || t->is_zombie || t->stopped)
			continue;
		t->stop_me = true;
		tg->stop_pending++;
		if (t != self && ptraced(t) && t->pt->seized)
			ptrace_trap_notify_locked(t);
		else
			task_set_work(t, WORK_SIGNAL);
	}
}

/* Enters the stop with sighand->mu held; returns with it released, after SIGCONT or when the task must die. */
static void stop_here(struct task *t, struct sighand *s)
{
	struct thread_group *tg = t->tg;
	bool last = false;
	int sig = tg->stop_sig;

	if (t->stop_me) {
		t->stop_me = false;
		t->stopped = true;
		if (tg->stop_pending && --tg->stop_pending == 0) {
			last = tg->stopped = true;
			tg->stop_reported = false;
			tg->stop_code = sig;
		}
	}
	mutex_unlock(&s->mu);
	if (last) {
		mutex_lock(&t->k->tasks_mu);
		signal_notify_parent(tg, CLD_STOPPED, sig);
		mutex_unlock(&t->k->tasks_mu);
	}
	atomic_store_explicit(&t->run_state, 'T', memory_order_relaxed);
	for (;;) {
		bool stay;

		s = sighand_lock(t);
		stay = t->stopped && !tg->group_exiting && !(t->pending.set & SIGBIT(SIGKILL)) && !(t->pt && t->pt->trap_stop);
		mutex_unlock(&s->mu);
		if (!stay)
			break;
		mutex_lock(&t->park_mu);
		while (!t->woken && !(atomic_load(&t->work) & WORK_FREEZE))
			cond_wait(&t->park_cv, &t->park_mu);
		t->woken = false;
		mutex_unlock(&t->park_mu);
		if (atomic_load(&t->work) & WORK_FREEZE)
			task_park(t);
	}
	atomic_store_explicit(&t->run_state, 'R', memory_order_relaxed);
}

/* True when no member of the group's process group has a parent outside the group but inside the session: nobody could continue it. */
static bool pgrp_orphaned(struct thread_group *tg)
{
	struct pgrp *pg;
	struct thread_group *m;
	bool orphaned = true;

	mutex_lock(&tg->k->tasks_mu);
	pg = tg->pgrp;
	list_for_each(m, &pg->members, pgrp_node) {
		if (m->state >= TG_ZOMBIE || !m->parent)
			continue;
		if (m->parent->pgrp != pg && m->parent->session == m->session) {
			orphaned = false;
			break;
		}
	}
	mutex_unlock(&tg->k->tasks_mu);
	return orphaned;
}


static void __attribute__((noreturn)) die_of(struct task *t, int sig, const struct linux_siginfo *info)
{
	strace_signal(t, sig, info);

	task_exit_group(t, core_dump(t, sig, info) ? sig | 0x80 : sig);
}

/* A tracee's stops other than for a signal. sighand->mu held. True: ptrace_trap() has work. */
static bool traps_locked(struct task *t)
{
	const struct ptrace *pt = t->pt;

	if (!pt)
		return false;
	if (pt->kind == PTS_GROUP || pt->kind == PTS_EVENT_STOP)
		return true; /* back from a freeze */
	if (!pt->tracer)
		return false;
	if (t->stopped) {
		t->stopped = false;
		t->pt->trap_stop = true;
	}
	return t->stop_me || pt->trap_stop || pt->trap_notify;
}

int signal_get(struct task *t, struct linux_sigaction *ka, struct linux_siginfo *info)
{
	struct thread_group *tg = t->tg;

	for (;;) {
		struct sighand *s = sighand_lock(t);
		struct linux_sigaction *act;
		int sig;

		if (tg->group_exiting || (t->pending.set & SIGBIT(SIGKILL))) {
			int status = tg->group_exiting ? tg->group_exit_code : SIGKILL;
			bool exec_kill = !tg->group_exiting && tg->exec_task && tg->exec_task != t;

			mutex_unlock(&s->mu);
			if (exec_kill)
				task_exit(t, 0);
			task_exit_group(t, status);
		}
		if (tg->cont_notify) {
			tg->cont_notify = false;
			tg->cont_waitable = true;
			mutex_unlock(&s->mu);
			mutex_lock(&t->k->tasks_mu);
			signal_notify_parent(tg, CLD_CONTINUED, SIGCONT);
			mutex_unlock(&t->k->tasks_mu);
			continue;
		}
		if (t->pt && t->pt->kind == PTS_SIGNAL) {
			sig = 0; /* back from a freeze; the tracer decides */
		} else {
			if (traps_locked(t)) {
				mutex_unlock(&s->mu);
				if (ptrace_trap(t) < 0)
					return -EFREEZE;
				continue;
			}
			if (t->stop_me || t->stopped) {
				stop_here(t, s);
				continue;
			}
			sig = dequeue_locked(t, ~t->blocked, info);
			if (!sig) {
				atomic_fetch_and(&t->work, ~WORK_SIGNAL);
				mutex_unlock(&s->mu);
				return 0;
			}
		}
		if (t->pt && sig != SIGKILL && (t->pt->tracer || t->pt->kind == PTS_SIGNAL)) {
			mutex_unlock(&s->mu);
			sig = ptrace_signal(t, sig, info);
			if (sig < 0)
				return sig;
			if (!sig)
				continue;
			s = sighand_lock(t);
		}
		act = &s->action[sig - 1];
		if (act->handler == (uint64_t)(uintptr_t)SIG_IGN) {
			mutex_unlock(&s->mu);
			continue;
		}
		if (act->handler != (uint64_t)(uintptr_t)SIG_DFL) {
			*ka = *act;
			if (ka->flags & SA_RESETHAND)
				act->handler = (uint64_t)(uintptr_t)SIG_DFL;
			mutex_unlock(&s->mu);
			return sig;
		}
		if (sig_is_default_ignore(sig) || (tg->unkillable && sig != SIGKILL && sig != SIGSTOP)) {
			mutex_unlock(&s->mu);
			continue;
		}
		if (SIGSET_STOP & SIGBIT(sig)) {
			if (sig != SIGSTOP) {
				bool orphaned;

				mutex_unlock(&s->mu);
				orphaned = pgrp_orphaned(tg);
				if (orphaned)
					continue;
				s = sighand_lock(t);
			}
			begin_group_stop_locked(t, sig);
			mutex_unlock(&s->mu);
			strace_signal(t, sig, info);
			continue;
		}
		mutex_unlock(&s->mu);
		die_of(t, sig, info);
	}
}
