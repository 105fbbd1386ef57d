/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of tasks and groups.
 *
 * A task gives up its resources, then leaves the tree: a thread vanishes at once; the last one turns the group into a zombie that its
 * parent collects (wait.c) or that is reaped here when nobody wants to know. The leader's task stays as the group's face until then.
 * When the init of a pid namespace ends, everything in the namespace is killed first.
 *
 * Locks: tasks_mu for the tree; never held while resources are released. Linux: kernel/exit.c.
 */
#include "sentry/kernel/exit.h"

#include <string.h>
#include <sys/wait.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/fs/uring/uring.h"
#include "sentry/ipc/ipc_ns.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/coredump.h"
#include "sentry/kernel/freeze.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/itimer.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/rusage.h"
#include "sentry/kernel/run.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/task_new.h"
#include "sentry/syscalls/strace/strace.h"
#include "sentry/syscalls/syscalls.h"

void task_release_mm(struct task *t)
{
	struct mm *mm;

	mutex_lock(&t->alloc_mu);
	mm = t->mm;
	t->mm = NULL;
	mutex_unlock(&t->alloc_mu);
	if (mm) {
		t->maxrss_kb = MAX(t->maxrss_kb, (int64_t)(mm_rss_peak(mm) / 1024));
		mm_user_put(mm);
		mm_put(mm);
	}
	__atomic_store_n(&t->vfork_done, true, __ATOMIC_RELEASE);
	waitq_wake(&t->vfork_wq, ~0u);
}

static void release_resources(struct task *t)
{
	struct fd_table *files;
	struct fs_ctx *fs;
	int32_t zero = 0;

	futex_exit(t);
	if (t->clear_child_tid && t->mm) {
		/* Linux mm_release(): for nobody but other users of the memory. */
		if (mm_shared(t->mm) && copy_out(t, GADDR(t->clear_child_tid), &zero, sizeof(zero)) == 0)
			futex_wake_addr(t, GADDR(t->clear_child_tid), 1);
		t->clear_child_tid = 0;
	}
	sysv_sem_exit(t);
	seccomp_exit(t);
	keys_exit(t);
	/* On the thread that is bound to it, and before the address space it ran in goes. */
	mm_bind_thread(NULL, NULL);
	if (t->mm && current_task == t)
		mm_user_leaving(t->mm, t->pctx);
	t->k->pops->ctx_free(task_take_ctx(t));
	task_release_mm(t);
	sysv_shm_exit(t);
	mutex_lock(&t->alloc_mu);
	files = t->files;
	fs = t->fs;
	t->files = NULL;
	t->fs = NULL;
	mutex_unlock(&t->alloc_mu);
	fd_table_put(files, t);
	fs_ctx_put(fs);
}

/* Who adopts orphans of @tg: a live thread's group itself never gets here; a subreaper ancestor, else the namespace's init. */
static struct thread_group *reaper_of(struct thread_group *tg)
{
	struct pid_ns *ns = tg->pid->n[tg->pid->level].ns;

	if (tg->has_child_subreaper)
		for (struct thread_group *p = tg->parent; p; p = p->parent) {
			if (p->pid->n[p->pid->level].ns != ns)
				break;
			if (p->is_subreaper && p->state < TG_ZOMBIE)
				return p;
		}
	return ns->init != tg && ns->init && ns->init->state < TG_ZOMBIE ? ns->init : NULL;
}

bool tg_ignores_children(struct thread_group *parent)
{
	struct sighand *s = sighand_lock(parent->leader);
	const struct linux_sigaction *ka = &s->action[SIGCHLD - 1];
	bool r = ka->handler == (uint64_t)(uintptr_t)SIG_IGN || (ka->flags & SA_NOCLDWAIT);

	mutex_unlock(&s->mu);
	return r;
}

/* A dead thread that is not the leader leaves its group. The group's reference is dropped by the deferred list. */
static void unlink_thread_locked(struct task *t)
{
	struct thread_group *tg = t->tg;

	list_del(&t->tg_node);
	tg->nr_tasks--;
	tg->k->nr_tasks--;
	cgroup_release(t);
	t->pid->task = NULL;
	pid_release_nr_locked(t->pid);
	list_add_tail(&tg->k->deferred_tasks, &t->tg_node);
}

void task_release_zombie_locked(struct task *t)
{
	struct sighand *s;

	mutex_assert_held(&t->k->tasks_mu);
	ptrace_unlink_locked(t);
	s = sighand_lock(t);
	unlink_thread_locked(t);
	mutex_unlock(&s->mu);
	if (t->tg->state == TG_ZOMBIE)
		tg_settle_locked(t->tg);
}

void tg_reap_locked(struct thread_group *tg)
{
	struct task *leader = tg->leader;
	struct pid_ns *ns = tg->pid->n[tg->pid->level].ns;

	mutex_assert_held(&tg->k->tasks_mu);
	if (tg->state == TG_REAPED)
		return;
	tg->state = TG_REAPED;
	usage_add(&tg->k->reaped, &tg->self);
	if (tg->parent) {
		struct tg_usage *c = &tg->parent->children_usage;

		usage_add(c, &tg->self);
		usage_add(c, &tg->children_usage);
	}
	for (struct list *n = tg->tasks.next, *next; n != &tg->tasks; n = next) {
		struct task *z = list_entry(n, struct task, tg_node);

		next = n->next;
		ptrace_unlink_locked(z);
		if (z != leader)
			unlink_thread_locked(z);
	}
	list_del(&tg->child_node);
	list_del(&tg->all_node);
	tg_set_pgrp_locked(tg, NULL);
	session_put(tg->session);
	tg->session = NULL;
	tg->pid->task = NULL;
	tg->pid->tg = NULL;
	pid_release_nr_locked(tg->pid);
	if (ns->init == tg)
		ns->init = NULL;
	list_del(&leader->tg_node);
	tg->nr_tasks--;
	tg->k->nr_tasks--;
	cgroup_release(leader);
	tg->parent = NULL;
	/* Their last references may need tasks_mu for the pid, so they are dropped by the deferred list. */
	kernel_defer_put(tg->k, leader, tg);
}

static bool has_stopped_member(struct pgrp *pg)
{
	struct thread_group *m;

	list_for_each(m, &pg->members, pgrp_node)
		if (m->state < TG_ZOMBIE && (m->stopped || m->stop_sig))
			return true;
	return false;
}

/* @leaving is exiting or being reparented: does @pg have a member, other than it, connected to its session from outside? */
static bool becomes_orphaned(struct pgrp *pg, struct thread_group *leaving)
{
	struct thread_group *m;

	list_for_each(m, &pg->members, pgrp_node) {
		if (m == leaving || m->state >= TG_ZOMBIE || !m->parent)
			continue;
		if (m->parent->pgrp != pg && m->parent->session == m->session)
			return false;
	}
	return true;
}

/* @parent's connection to @tg's process group is about to go: because @tg exits (then it is @leaving), or because @parent does. */
static void kill_orphaned_pgrp(struct thread_group *tg, struct thread_group *parent, struct thread_group *leaving)
{
	struct pgrp *pg = tg->pgrp;
	struct thread_group *m;

	if (!parent || parent->pgrp == pg || parent->session != tg->session)
		return;
	if (!becomes_orphaned(pg, leaving) || !has_stopped_member(pg))
		return;
	list_for_each(m, &pg->members, pgrp_node) {
		(void)signal_send_group(m, SIGHUP, NULL);
		(void)signal_send_group(m, SIGCONT, NULL);
	}
}

static void notify_tracer_of_exit_locked(struct task *t, int st)
{
	if (WIFSIGNALED(st))
		ptrace_notify_tracer_locked(t, WCOREDUMP(st) ? CLD_DUMPED : CLD_KILLED, WTERMSIG(st));
	else
		ptrace_notify_tracer_locked(t, CLD_EXITED, WEXITSTATUS(st));
}

static void reparent_children_locked(struct thread_group *tg)
{
	struct thread_group *c, *tmp, *to = reaper_of(tg);

	list_for_each_safe(c, tmp, &tg->children, child_node) {
		list_del(&c->child_node);
		c->parent = to;
		c->parent_task = to ? to->leader : NULL;
		if (to)
			list_add_tail(&to->children, &c->child_node);
		c->exit_signal = SIGCHLD;
		if (c->leader->pdeathsig && c->state < TG_ZOMBIE)
			(void)signal_send_group(c, c->leader->pdeathsig, NULL);
		if (c->state == TG_ZOMBIE) {
			tg_settle_locked(c);
		} else {
			kill_orphaned_pgrp(c, tg, NULL);
		}
	}
}

void signal_notify_exit_locked(struct thread_group *tg)
{
	int st = tg->exit_status, why = CLD_EXITED, val = WEXITSTATUS(st);

	if (WIFSIGNALED(st)) {
		why = WCOREDUMP(st) ? CLD_DUMPED : CLD_KILLED;
		val = WTERMSIG(st);
	}
	if (tg->parent && tg->exit_signal == SIGCHLD) {
		signal_notify_parent(tg, why, val);
	} else if (tg->parent) {
		if (tg->exit_signal > 0) {
			struct linux_siginfo si = { .si_signo = tg->exit_signal, .si_code = why };

			si.chld.pid = pid_nr_ns(tg->pid, task_pid_ns(tg->parent->leader));
			si.chld.status = val;
			(void)signal_send_group(tg->parent, tg->exit_signal, &si);
		}
		waitq_wake(&tg->parent->child_wq, ~0u);
	}
}

/* A tracer that is not the parent comes first: only when it has collected the zombie does the parent hear of it. */
static bool wait_for_tracer_locked(struct thread_group *tg)
{
	struct task *tracer = ptrace_tracer(tg->leader);

	if (!tracer || tracer->tg == tg->parent)
		return false;
	if (tg_ignores_children(tracer->tg)) {
		ptrace_unlink_locked(tg->leader);
		return false;
	}
	notify_tracer_of_exit_locked(tg->leader, tg->exit_status);
	return true;
}

void tg_settle_locked(struct thread_group *tg)
{
	bool autoreap;

	mutex_assert_held(&tg->k->tasks_mu);
	if (tg->nr_tasks > 1 || wait_for_tracer_locked(tg))
		return;
	if (!tg->parent) {
		tg_reap_locked(tg);
		return;
	}
	autoreap = tg->exit_signal == SIGCHLD && tg_ignores_children(tg->parent);
	signal_notify_exit_locked(tg);
	if (autoreap)
		tg_reap_locked(tg);
}

/* The group's last task is gone: zombie, or gone altogether. */
static void group_dead_locked(struct thread_group *tg, int status)
{
	struct kernel *k = tg->k;

	tg->exit_status = tg->group_exiting ? tg->group_exit_code : status;
	kill_orphaned_pgrp(tg, tg->parent, tg);
	reparent_children_locked(tg);
	if (tg->session && tg->session->leader == tg) {
		tty_session_leader_exit_locked(tg->session);
		tg->session->leader = NULL;
	}
	tg->state = TG_ZOMBIE;
	waitq_wake(&tg->pid->exit_wq, ~0u);
	if (tg->container)
		container_process_exited_locked(tg->container, tg);
	tg_settle_locked(tg);
	cond_broadcast(&k->exit_cv);
}

/* The init of a pid namespace takes everybody with it and waits until they are gone. */
static void zap_pid_ns(struct task *t, struct pid_ns *ns)
{
	struct kernel *k = t->k;
	struct thread_group *tg, *tmp;

	mutex_lock(&k->tasks_mu);
	ns->dying = true;
	for (;;) {
		bool left = false;

		list_for_each_safe(tg, tmp, &k->groups, all_node) {
			if (tg == t->tg || !pid_nr_ns(tg->pid, ns))
				continue;
			if (tg->state == TG_ZOMBIE) {
				if (tg->parent == t->tg)
					tg_reap_locked(tg);
				continue;
			}
			signal_kill_group(tg, SIGKILL);
			left = true;
		}
		if (!left)
			break;
		freeze_recheck(k);
		cond_wait(&k->exit_cv, &k->tasks_mu);
	}
	mutex_unlock(&k->tasks_mu);
}

/* Adds the usage of @t, which becomes a zombie under the same tasks_mu, so that it is counted once at any time. */
static void account_locked(struct task *t, struct thread_group *tg)
{
	int64_t utime, stime;

	mutex_assert_held(&tg->k->tasks_mu);
	task_cpu_times(t, &utime, &stime);
	mutex_lock(&tg->limits_mu);
	tg->self.utime += utime;
	tg->self.stime += stime;
	tg->self.maxrss_kb = MAX(tg->self.maxrss_kb, t->maxrss_kb);
	tg->self.minflt += t->minflt;
	tg->self.majflt += t->majflt;
	tg->self.nvcsw += t->nvcsw;
	tg->self.nivcsw += t->nivcsw;
	tg->self.rchar += t->rchar;
	tg->self.wchar += t->wchar;
	tg->self.syscr += t->syscr;
	tg->self.syscw += t->syscw;
	mutex_unlock(&tg->limits_mu);
}

/* Takes @t out of the tree; a traced thread stays as a zombie until its tracer has collected it. Returns true when it was the last
 * live task of its group. */
static bool leave_group_locked(struct task *t, int status, bool *unlinked)
{
	struct thread_group *tg = t->tg;
	struct task *o, *tracer = ptrace_tracer(t);
	bool last = true, traced = tracer && !tg_ignores_children(tracer->tg);
	struct sighand *s;

	if (!traced && t != tg->leader)
		ptrace_unlink_locked(t);
	s = sighand_lock(t);
	t->is_zombie = true;
	t->exit_code = status;
	if (t->stop_me) {
		t->stop_me = false;
		if (tg->stop_pending && --tg->stop_pending == 0 && tg->stop_sig) {
			tg->stopped = true;
			tg->stop_code = tg->stop_sig;
		}
	}
	list_for_each(o, &tg->tasks, tg_node)
		if (!o->is_zombie)
			last = false;
	*unlinked = t != tg->leader && !traced;
	if (*unlinked) {
		list_del(&t->tg_node);
		tg->nr_tasks--;
		tg->k->nr_tasks--;
		t->pid->task = NULL;
		pid_release_nr_locked(t->pid);
	} else {
		/* Children forked by it now belong to the group at large; a thread in execve may take its place. */
		list_for_each(o, &tg->tasks, tg_node)
			signal_recalc_locked(o);
	}
	if (tg->exec_task)
		task_wake(tg->exec_task);
	mutex_unlock(&s->mu);
	if (traced && t != tg->leader)
		notify_tracer_of_exit_locked(t, status);
	return last;
}

void task_exit(struct task *t, int status)
{
	struct thread_group *tg = t->tg;
	struct kernel *k = t->k;
	struct pid_ns *ns = task_pid_ns(t);
	struct sighand *s;
	bool last, last_live, unlinked;

	strace_task_exit(t, status);
	ptrace_exit_stop(t, status);
	s = sighand_lock(t);
	t->exiting = true;
	last_live = true;
	core_dump_thread_locked(t);
	for (struct list *n = tg->tasks.next; n != &tg->tasks; n = n->next)
		if (!list_entry(n, struct task, tg_node)->exiting)
			last_live = false;
	mutex_unlock(&s->mu);
	if (last_live) {
		itimers_exit(tg);
		posix_timers_exit(tg);
		if (ns->init == tg)
			zap_pid_ns(t, ns);
	}
	uring_task_exit(t, true, last_live);
	release_resources(t);
	mutex_lock(&k->tasks_mu);
	account_locked(t, tg);
	ptrace_exit_tracer_locked(t);
	last = leave_group_locked(t, status, &unlinked);
	cgroup_exit(t);
	if (unlinked)
		cgroup_release(t);
	for (struct list *n = k->groups.next; n != &k->groups; n = n->next) {
		struct thread_group *c = list_entry(n, struct thread_group, all_node);

		if (c->parent_task == t)
			c->parent_task = c->parent ? c->parent->leader : NULL;
	}
	if (last)
		group_dead_locked(tg, tg->leader->exit_code);
	mutex_unlock(&k->tasks_mu);
	kernel_run_deferred(k);
	task_set_ns(t, NULL);
	current_task = NULL;
	if (unlinked)
		task_put(t); /* the group's */
	freeze_task_gone(t);
	task_put(t); /* the thread's */
	task_thread_end();
}

void task_exit_group(struct task *t, int status)
{
	struct thread_group *tg = t->tg;
	struct sighand *s;

	signal_kill_group(tg, status);
	s = sighand_lock(t);
	status = tg->group_exit_code;
	mutex_unlock(&s->mu);
	task_exit(t, status);
}

void task_abort_unstarted(struct task *t, int status)
{
	struct kernel *k = t->k;
	struct thread_group *tg = t->tg;
	bool last, unlinked;

	t->exiting = true;
	release_resources(t);
	mutex_lock(&k->tasks_mu);
	last = leave_group_locked(t, status, &unlinked);
	cgroup_exit(t);
	if (unlinked)
		cgroup_release(t);
	if (last)
		group_dead_locked(tg, status);
	mutex_unlock(&k->tasks_mu);
	kernel_run_deferred(k);
	task_set_ns(t, NULL);
	if (unlinked)
		task_put(t);
}

int64_t sys_exit(struct task *t, const struct sys_args *a)
{
	task_exit(t, (ARG_INT(a, 0) & 0xff) << 8);
}

int64_t sys_exit_group(struct task *t, const struct sys_args *a)
{
	task_exit_group(t, (ARG_INT(a, 0) & 0xff) << 8);
}
