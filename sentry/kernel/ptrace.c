/* SPDX-License-Identifier: Apache-2.0 */
/* Who traces whom: attaching, detaching, inheritance, the tracer's death. See ptrace.h. */
#include "sentry/kernel/ptrace.h"

#include <string.h>
#include <sys/wait.h>

#include "sentry/kernel/exit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/user_ns.h"

int ptrace_prepare(struct task *t)
{
	struct ptrace *pt, *none = NULL;

	if (task_pt(t))
		return 0;
	pt = calloc(1, sizeof(*pt));
	if (!pt)
		return -ENOMEM;
	list_init(&pt->node);
	pt->self = t;
	if (!__atomic_compare_exchange_n(&t->pt, &none, pt, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		free(pt);
	return 0;
}

void ptrace_link_locked(struct task *t, struct task *tracer, bool seized, uint32_t options)
{
	struct ptrace *pt = t->pt;

	mutex_assert_held(&t->k->tasks_mu);
	mutex_assert_held(&t->sighand->mu);
	pt->seized = seized;
	pt->options = options;
	pt->mode = PTM_CONT;
	pt->step = false;
	__atomic_store_n(&pt->tracer, tracer, __ATOMIC_RELAXED);
	list_add_tail(&tracer->ptraced, &pt->node);
}

void ptrace_unlink_locked(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct ptrace *pt = t->pt;
	struct sighand *s;

	mutex_assert_held(&t->k->tasks_mu);
	if (!pt || !pt->tracer)
		return;
	list_del(&pt->node);
	s = sighand_lock(t);
	__atomic_store_n(&pt->tracer, NULL, __ATOMIC_RELAXED);
	pt->options = 0;
	pt->seized = false;
	pt->mode = PTM_CONT;
	pt->step = false;
	pt->trap_stop = pt->trap_notify = pt->listening = false;
	if (!t->exiting && tg->stop_sig && !t->stop_me && !t->stopped) {
		/* Into the group stop; it takes part again if the others have not all stopped yet. */
		t->stop_me = true;
		if (tg->stop_pending)
			tg->stop_pending++;
		task_set_work(t, WORK_SIGNAL);
	}
	pt->stopped = false;
	task_wake(t);
	mutex_unlock(&s->mu);
}

void ptrace_detach_locked(struct task *t)
{
	ptrace_unlink_locked(t);
	if (!t->is_zombie)
		return;
	if (t == t->tg->leader)
		tg_settle_locked(t->tg);
	else
		task_release_zombie_locked(t);
}

void ptrace_exit_tracer_locked(struct task *t)
{
	mutex_assert_held(&t->k->tasks_mu);
	while (!list_empty(&t->ptraced)) {
		struct ptrace *pt = list_first(&t->ptraced, struct ptrace, node);
		struct task *c = pt->self;

		if (pt->options & PTRACE_O_EXITKILL_L)
			(void)signal_send_task(c, SIGKILL, NULL);
		ptrace_detach_locked(c);
	}
}

void ptrace_inherit_locked(struct task *t, struct task *c)
{
	struct ptrace *pt = task_pt(t);

	if (!pt || !pt->tracer)
		return;
	ptrace_link_locked(c, pt->tracer, pt->seized, pt->options);
	if (pt->seized)
		c->pt->trap_stop = true;
	else
		c->pending.set |= SIGBIT(SIGSTOP);
	task_set_work(c, WORK_SIGNAL);
}

void ptrace_trap_notify_locked(struct task *t)
{
	struct ptrace *pt = t->pt;

	pt->trap_notify = true;
	task_set_work(t, WORK_SIGNAL);
	if (pt->listening)
		task_wake(t);
}

void ptrace_notify_tracer_locked(struct task *t, int why, int status)
{
	struct task *tracer = t->pt->tracer;
	struct linux_siginfo si = { .si_signo = SIGCHLD, .si_code = why };

	si.chld.pid = pid_nr(t->pid, tracer);
	si.chld.uid = t->cred->uid;
	si.chld.status = status;
	si.chld.utime = t->utime / 10000000;
	si.chld.stime = t->stime / 10000000;
	signal_send_chld_locked(tracer->tg, &si);
}

bool ptrace_blocks_setid(struct task *t)
{
	struct task *tracer;
	struct cred *c = NULL;
	bool r;

	if (!ptraced(t))
		return false;
	mutex_lock(&t->k->tasks_mu);
	tracer = ptrace_tracer(t);
	if (tracer)
		c = task_cred_get(tracer);
	mutex_unlock(&t->k->tasks_mu);
	r = c && !cred_ns_capable(c, t->cred->user_ns, LINUX_CAP_SYS_PTRACE);
	cred_put(c);
	return r;
}

uint64_t ptrace_own_tid(struct task *t)
{
	struct task *tracer;
	uint64_t nr;

	mutex_lock(&t->k->tasks_mu);
	tracer = ptrace_tracer(t);
	nr = tracer ? (uint64_t)pid_nr(t->pid, tracer) : 0;
	mutex_unlock(&t->k->tasks_mu);
	return nr;
}
