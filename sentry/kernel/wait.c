/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait4 and waitid: collecting children's exits, stops and continues.
 *
 * Re-run after a freeze needs nothing saved: the scan is repeated. Linux: kernel/exit.c (do_wait).
 */
#include <string.h>
#include <sys/wait.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/pidfd.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/rusage.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"

#define WNOTHREAD_L 0x20000000
#define WALL_L      0x40000000
#define WCLONE_L    0x80000000u
#define P_PIDFD_L   3

struct wait_req {
	enum { ANY, PID, PGRP } kind;
	struct pid *pid; /* PID, PGRP: compared only; referenced */
	uint32_t options;
	/* out */
	int32_t ret_pid;
	uint32_t ret_uid;
	int why, status; /* CLD_*, and exit code or signal */
	int wstatus; /* wait(2) form */
	struct tg_usage usage;
};

/* The selection by id; @p the id, @c the group of the child or tracee. */
static bool selected(const struct pid *p, const struct thread_group *c, const struct wait_req *q)
{
	if (q->kind == PID && p != q->pid)
		return false;
	return q->kind != PGRP || (c->pgrp && c->pgrp->id == q->pid);
}

static bool eligible(const struct task *t, const struct thread_group *c, const struct wait_req *q)
{
	if (!selected(c->pid, c, q))
		return false;
	if ((q->options & WNOTHREAD_L) && c->parent_task != t)
		return false;
	/* __WCLONE selects children that do not report by SIGCHLD. */
	if (!(q->options & WALL_L) && ((c->exit_signal != SIGCHLD) != !!(q->options & WCLONE_L)))
		return false;
	return true;
}

static void fill(struct task *t, const struct task *c, struct wait_req *q, int why, int status, int wstatus)
{
	q->ret_pid = pid_nr(c->pid, t);
	q->ret_uid = task_id_show(t, ID_UID, c->cred->uid);
	q->why = why;
	q->status = status;
	q->wstatus = wstatus;
	tg_usage_total(c->tg, &q->usage);
}

static void fill_exit(struct task *t, const struct task *c, struct wait_req *q, int st)
{
	if (WIFEXITED(st))
		fill(t, c, q, CLD_EXITED, WEXITSTATUS(st), st);
	else
		fill(t, c, q, WCOREDUMP(st) ? CLD_DUMPED : CLD_KILLED, WTERMSIG(st), st);
}

/*
 * 1 when the tracee @c had something to report: its end, also a mere thread's, or a ptrace stop (asked for or not). A dead leader
 * is held back until its threads have been collected; a tracer that is not the parent passes it on. tasks_mu held.
 */
static int consider_tracee(struct task *t, struct task *c, struct wait_req *q)
{
	struct thread_group *tg = c->tg;
	struct ptrace *pt = c->pt;
	struct sighand *s;
	int r = 0;

	if (c->is_zombie) {
		if (!(q->options & WEXITED) || (c == tg->leader && (tg->state != TG_ZOMBIE || tg->nr_tasks > 1)))
			return 0;
		fill_exit(t, c, q, c == tg->leader ? tg->exit_status : c->exit_code);
		if (q->options & WNOWAIT)
			return 1;
		if (c == tg->leader && pt->tracer->tg == tg->parent)
			tg_reap_locked(tg);
		else
			ptrace_detach_locked(c);
		return 1;
	}
	s = sighand_lock(c);
	if (pt->stopped && !pt->listening && pt->code) {
		fill(t, c, q, CLD_TRAPPED, pt->code, pt->code << 8 | 0x7f);
		if (!(q->options & WNOWAIT))
			pt->code = 0;
		r = 1;
	}
	mutex_unlock(&s->mu);
	return r;
}

/* 1 when @c had something to report. tasks_mu held. */
static int consider(struct task *t, struct thread_group *c, struct wait_req *q)
{
	struct task *tracer = ptrace_tracer(c->leader);
	bool keep = q->options & WNOWAIT;
	struct sighand *s;
	int r = 0;

	/* Traced by the parent itself: a tracee in the first place. */
	if (tracer && tracer->tg == c->parent) {
		r = consider_tracee(t, c->leader, q);
		if (r || c->state == TG_ZOMBIE)
			return r;
	}
	if (c->state == TG_ZOMBIE) {
		if (!(q->options & WEXITED) || tracer || c->nr_tasks > 1)
			return 0;
		fill_exit(t, c->leader, q, c->exit_status);
		if (!keep)
			tg_reap_locked(c);
		return 1;
	}
	s = sighand_lock(c->leader);
	if ((q->options & WSTOPPED) && c->stopped && !c->stop_reported) {
		fill(t, c->leader, q, CLD_STOPPED, c->stop_code, c->stop_code << 8 | 0x7f);
		c->stop_reported = !keep;
		r = 1;
	} else if ((q->options & WCONTINUED) && c->cont_waitable) {
		fill(t, c->leader, q, CLD_CONTINUED, SIGCONT, 0xffff);
		c->cont_waitable = keep;
		r = 1;
	}
	mutex_unlock(&s->mu);
	return r;
}

/* The tracees of the thread @tracer. As scan(). */
static int scan_tracees(struct task *t, struct task *tracer, struct wait_req *q)
{
	int r = -ECHILD;

	for (struct list *n = tracer->ptraced.next, *next; n != &tracer->ptraced; n = next) {
		struct task *c = list_entry(n, struct ptrace, node)->self;

		next = n->next;
		if (!selected(c->pid, c->tg, q))
			continue;
		r = consider_tracee(t, c, q);
		if (r == 1)
			break;
	}
	return r;
}

/* 1 found, 0 nothing yet, -ECHILD nobody to wait for. */
static int scan(struct task *t, struct wait_req *q)
{
	struct thread_group *c, *tmp;
	struct task *o;
	int r = -ECHILD;

	mutex_lock(&t->k->tasks_mu);
	list_for_each_safe(c, tmp, &t->tg->children, child_node) {
		if (!eligible(t, c, q))
			continue;
		r = consider(t, c, q);
		if (r == 1)
			break;
	}
	list_for_each(o, &t->tg->tasks, tg_node) {
		int e;

		if (r == 1)
			break;
		if (list_empty(&o->ptraced) || ((q->options & WNOTHREAD_L) && o != t))
			continue;
		e = scan_tracees(t, o, q);
		r = MAX(r, e);
	}
	mutex_unlock(&t->k->tasks_mu);
	kernel_run_deferred(t->k);
	return r;
}

static int do_wait(struct task *t, struct wait_req *q)
{
	struct waiter w;
	int r;

	task_waiter_init(&w, t, ~0u);
	task_block_prepare(t);
	waitq_add(&t->tg->child_wq, &w);
	for (;;) {
		r = scan(t, q);
		if (r != 0 || (q->options & WNOHANG))
			break;
		r = task_block(t, TIME_FOREVER);
		if (r == -ERESTARTSYS) {
			/* A child's end comes with its signal: what it reports goes before the interruption. */
			int e = scan(t, q);

			r = e ? e : r;
		}
		if (r != 0)
			break;
	}
	waitq_del(&w);
	return r;
}

static struct pid *find_pid(struct task *t, int32_t nr)
{
	struct pid *p;

	mutex_lock(&t->k->tasks_mu);
	p = pid_find_locked(task_pid_ns(t), nr);
	if (p)
		(void)pid_get(p);
	mutex_unlock(&t->k->tasks_mu);
	return p;
}

static int own_pgrp(struct task *t, struct wait_req *q)
{
	mutex_lock(&t->k->tasks_mu);
	q->pid = pid_get(t->tg->pgrp->id);
	mutex_unlock(&t->k->tasks_mu);
	return 0;
}

int64_t sys_wait4(struct task *t, const struct sys_args *a)
{
	int32_t pid = ARG_INT(a, 0);
	uint32_t opt = ARG_U32(a, 2);
	struct wait_req q = { .options = opt | WEXITED };
	int64_t r;

	if (opt & ~(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD_L | WALL_L | WCLONE_L))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid == 0) {
		q.kind = PGRP;
		(void)own_pgrp(t, &q);
	} else if (pid != -1) {
		q.kind = pid > 0 ? PID : PGRP;
		q.pid = find_pid(t, pid > 0 ? pid : -pid);
		if (!q.pid)
			return -ECHILD;
	}
	r = do_wait(t, &q);
	pid_put(q.pid);
	if (r <= 0)
		return r;
	if (a->a[1] && copy_out(t, ARG_ADDR(a, 1), &q.wstatus, sizeof(q.wstatus)) < 0)
		return -EFAULT;
	if (a->a[3] && copy_out_rusage(t, ARG_ADDR(a, 3), &q.usage) < 0)
		return -EFAULT;
	return q.ret_pid;
}

static int waitid_target(struct task *t, int which, int id, uint32_t opt, struct wait_req *q, int *ret_nonblock)
{
	int r;

	if (opt & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | WNOTHREAD_L | WALL_L | WCLONE_L))
		return -EINVAL;
	if (!(opt & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	switch (which) {
	case P_ALL:
		break;
	case P_PID:
		if (id <= 0)
			return -EINVAL;
		q->kind = PID;
		q->pid = find_pid(t, id);
		break;
	case P_PGID:
		if (id < 0)
			return -EINVAL;
		q->kind = PGRP;
		if (id)
			q->pid = find_pid(t, id);
		else
			(void)own_pgrp(t, q);
		break;
	case P_PIDFD_L:
		if (id < 0)
			return -EINVAL;
		q->kind = PID;
		r = pidfd_get_pid(t, id, &q->pid, ret_nonblock);
		if (r < 0)
			return r;
		if (*ret_nonblock)
			q->options |= WNOHANG;
		break;
	default:
		return -EINVAL;
	}
	return q->kind != ANY && !q->pid ? -ECHILD : 0;
}

int64_t sys_waitid(struct task *t, const struct sys_args *a)
{
	int nonblock = 0;
	uint32_t opt = ARG_U32(a, 3);
	struct wait_req q = { .options = opt };
	struct linux_siginfo si = { 0 };
	int64_t r = waitid_target(t, ARG_INT(a, 0), ARG_INT(a, 1), opt, &q, &nonblock);

	if (r == 0)
		r = do_wait(t, &q);
	pid_put(q.pid);
	if (r == -EFREEZE || r == -ERESTARTSYS)
		return r;
	if (r == 0 && nonblock && !(opt & WNOHANG))
		r = -EAGAIN;
	if (r == 1) {
		si.si_signo = SIGCHLD;
		si.si_code = q.why;
		si.chld.pid = q.ret_pid;
		si.chld.uid = q.ret_uid;
		si.chld.status = q.status;
	}
	/* Linux writes only these fields, but all of the structure's head, and zeros after an error. */
	if (a->a[2] && copy_out(t, ARG_ADDR(a, 2), &si, offsetof(struct linux_siginfo, chld.utime)) < 0)
		return -EFAULT;
	if (r < 0)
		return r;
	if (r == 1 && a->a[4] && copy_out_rusage(t, ARG_ADDR(a, 4), &q.usage) < 0)
		return -EFAULT;
	return 0;
}
