/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading tasks, thread groups and signal dispositions. The structs and their invariants are in task.h. */
#include <string.h>

#include "schemas/task.pb-c.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/arch/cpu_features.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/itimer.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/fs/uring/uring.h"
#include "sentry/kernel/ptrace_state.h"
#include "sentry/kernel/rusage.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/task_new.h"
#include "sentry/kernel/task_usage_state.h"
#include "state/state.h"

#define NR_REGS      (sizeof(struct arch_regs) / sizeof(uint64_t))
#define MAX_QUEUED   65536
#define MAX_THREADS  65536
#define NR_USAGE     (sizeof(struct tg_usage) / sizeof(int64_t))

/* --- pending queues --- */

static Sentry__SigPending *pending_save(struct state_writer *w, const struct sigpending *p)
{
	Sentry__SigPending *m = state_zalloc(w, 1, sizeof(*m));
	const struct sigqueue *q;
	size_t n = 0;

	sentry__sig_pending__init(m);
	m->set = p->set;
	m->queue = state_zalloc(w, p->count, sizeof(m->queue[0]));
	list_for_each(q, &p->queue, node) {
		Sentry__SigEntry *e;

		if (q->timer || n >= p->count)
			continue; /* its timer queues it again */
		e = state_zalloc(w, 1, sizeof(*e));
		sentry__sig_entry__init(e);
		e->info.data = state_zalloc(w, 1, sizeof(q->info));
		e->info.len = sizeof(q->info);
		memcpy(e->info.data, &q->info, sizeof(q->info));
		m->queue[n++] = e;
	}
	m->n_queue = n;
	return m;
}

static int pending_load(struct state_reader *r, struct sigpending *p, const Sentry__SigPending *m)
{
	int e;

	if (!m)
		return 0;
	e = state_check(r, m->n_queue <= MAX_QUEUED, "too many queued signals");
	if (e < 0)
		return e;
	p->set = m->set;
	for (size_t i = 0; i < m->n_queue; i++) {
		struct sigqueue *q = calloc(1, sizeof(*q));

		if (!q)
			return -ENOMEM;
		e = state_check(r, m->queue[i]->info.len == sizeof(q->info), "siginfo has the wrong size");
		if (e == 0) {
			memcpy(&q->info, m->queue[i]->info.data, sizeof(q->info));
			e = state_check(r, q->info.si_signo >= 1 && q->info.si_signo <= NSIG_MAX, "signal number out of range");
		}
		if (e < 0) {
			free(q);
			return e;
		}
		list_add_tail(&p->queue, &q->node);
		p->count++;
	}
	return 0;
}

/* --- sighand --- */

static void *sighand_alloc(void)
{
	return sighand_new();
}

static int sighand_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct sighand *s = obj;
	Sentry__Sighand *m = msg;

	m->n_action = NSIG_MAX;
	m->action = state_zalloc(w, NSIG_MAX, sizeof(m->action[0]));
	for (int i = 0; i < NSIG_MAX; i++) {
		Sentry__SigAction *a = state_zalloc(w, 1, sizeof(*a));

		sentry__sig_action__init(a);
		a->handler = s->action[i].handler;
		a->flags = s->action[i].flags;
		a->restorer = s->action[i].restorer;
		a->mask = s->action[i].mask;
		m->action[i] = a;
	}
	return 0;
}

static int sighand_load(struct state_reader *r, void *obj, const void *msg)
{
	struct sighand *s = obj;
	const Sentry__Sighand *m = msg;
	int e = state_check(r, m->n_action == NSIG_MAX, "wrong number of signal actions");

	if (e < 0)
		return e;
	for (int i = 0; i < NSIG_MAX; i++)
		s->action[i] = (struct linux_sigaction){ m->action[i]->handler, m->action[i]->flags, m->action[i]->restorer,
							 m->action[i]->mask };
	return 0;
}

static void sighand_get_state(void *obj)
{
	(void)sighand_get(obj);
}

static void sighand_put_state(void *obj)
{
	sighand_put(obj);
}

const struct state_type sighand_state_type = {
	.id = STATE_ID_sighand,
	.name = "sighand",
	.desc = &sentry__sighand__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = sighand_alloc,
	.save = sighand_save,
	.load = sighand_load,
	.get = sighand_get_state,
	.put = sighand_put_state,
};

/* --- task --- */

static void *task_state_alloc(void)
{
	return task_alloc(the_kernel);
}

static Sentry__SysCtx *sysctx_save(struct state_writer *w, const struct sysctx *c)
{
	Sentry__SysCtx *m = state_zalloc(w, 1, sizeof(*m));

	sentry__sys_ctx__init(m);
	m->redo = c->redo;
	m->restart = c->restart;
	m->again = c->again;
	m->nr = c->nr;
	m->n_args = ARRAY_SIZE(c->args);
	m->args = state_zalloc(w, m->n_args, sizeof(m->args[0]));
	memcpy(m->args, c->args, sizeof(c->args));
	m->has_deadline = c->has_deadline;
	m->deadline = c->deadline;
	m->progress = c->progress;
	m->n_val = ARRAY_SIZE(c->val);
	m->val = state_zalloc(w, m->n_val, sizeof(m->val[0]));
	memcpy(m->val, c->val, sizeof(c->val));
	m->seccomp = c->seccomp;
	return m;
}

static void save_regs(struct state_writer *w, const struct task *t, Sentry__Task *m)
{
	const struct arch_state *st;

	if (!t->pctx)
		return;
	/* Parked tasks have pulled everything (task_park), so this only looks. */
	st = t->k->pops->regs(t->pctx, true);
	m->n_regs = NR_REGS;
	m->regs = state_zalloc(w, NR_REGS, sizeof(m->regs[0]));
	memcpy(m->regs, &st->r, sizeof(st->r));
	m->fpu.len = st->fpu.size;
	m->fpu.data = state_zalloc(w, 1, st->fpu.size);
	if (st->fpu.size)
		memcpy(m->fpu.data, st->fpu.data, st->fpu.size);
}

static int task_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct task *t = obj;
	Sentry__Task *m = msg;
	const int64_t counts[4] = { t->minflt, t->majflt, t->nvcsw, t->nivcsw }, io[4] = { t->rchar, t->wchar, t->syscr, t->syscw };
	int64_t utime, stime;

	m->pid = state_ref(w, &pid_state_type, t->pid);
	m->tg = state_ref(w, &thread_group_state_type, t->tg);
	save_regs(w, t, m);
	m->sysctx = sysctx_save(w, &t->sysctx);
	m->mm = state_ref(w, &mm_state_type, t->mm);
	m->files = state_ref(w, &fd_table_state_type, t->files);
	m->fs = state_ref(w, &fs_ctx_state_type, t->fs);
	m->cred = state_ref(w, &cred_state_type, t->cred);
	m->ns = state_ref(w, &nsproxy_state_type, t->ns);
	m->sighand = state_ref(w, &sighand_state_type, t->sighand);
	m->comm.len = strnlen(t->comm, sizeof(t->comm));
	m->comm.data = state_zalloc(w, 1, sizeof(t->comm));
	memcpy(m->comm.data, t->comm, m->comm.len);
	m->pending = pending_save(w, &t->pending);
	m->blocked = t->blocked;
	m->saved_mask = t->saved_mask;
	m->restore_mask = t->restore_mask;
	m->altstack_sp = t->altstack.sp;
	m->altstack_size = t->altstack.size;
	m->altstack_flags = t->altstack.flags;
	m->stop_me = t->stop_me;
	m->stopped = t->stopped;
	m->pdeathsig = t->pdeathsig;
	m->exiting = t->exiting;
	m->is_zombie = t->is_zombie;
	m->exit_code = t->exit_code;
	m->clear_child_tid = t->clear_child_tid;
	m->robust_list = t->robust_list;
	m->vfork_done = t->vfork_done;
	m->rseq_addr = t->rseq_addr;
	m->rseq_len = t->rseq_len;
	m->rseq_sig = t->rseq_sig;
	m->personality = t->personality;
	m->undumpable = t->undumpable;
	m->nice = t->nice;
	m->sched_policy = t->sched_policy;
	m->sched_prio = t->sched_prio;
	m->ioprio = t->ioprio;
	m->n_cpu_mask = ARRAY_SIZE(t->cpu_mask);
	m->cpu_mask = state_zalloc(w, m->n_cpu_mask, sizeof(m->cpu_mask[0]));
	memcpy(m->cpu_mask, t->cpu_mask, sizeof(t->cpu_mask));
	m->timer_slack = t->timer_slack;
	m->mpol = mempolicy_save(w, &t->mpol);
	m->mce_kill = t->mce_kill;
	/* The clocks that measure the present life end with it. */
	task_cpu_times((struct task *)(uintptr_t)t, &utime, &stime);
	m->utime = utime;
	m->stime = stime;
	m->start_time = t->start_time;
	m->n_counts = ARRAY_SIZE(counts);
	m->counts = state_zalloc(w, ARRAY_SIZE(counts), sizeof(counts[0]));
	memcpy(m->counts, counts, sizeof(counts));
	m->n_io = ARRAY_SIZE(io);
	m->io = state_zalloc(w, ARRAY_SIZE(io), sizeof(io[0]));
	memcpy(m->io, io, sizeof(io));
	m->ptrace = ptrace_save(w, t);
	m->cgroup = state_ref(w, &cgroup_state_type, t->cgroup);
	m->cg_user = t->cg_user;
	m->cg_system = t->cg_system;
	m->seccomp_mode = t->seccomp_mode;
	m->filter = state_ref(w, &seccomp_filter_state_type, t->filter);
	m->no_new_privs = t->no_new_privs;
	m->session_keyring = state_ref(w, &key_state_type, t->session_keyring);
	m->thread_keyring = state_ref(w, &key_state_type, t->thread_keyring);
	m->reqkey_keyring = t->reqkey_keyring;
	if (t->dispatch.on) {
		m->dispatch = state_new_msg(w, &sentry__user_dispatch__descriptor);
		m->dispatch->on = true;
		m->dispatch->start = t->dispatch.start;
		m->dispatch->len = t->dispatch.len;
		m->dispatch->selector = t->dispatch.selector;
	}
	m->ring_fds = uring_task_save(w, t->uring, &m->n_ring_fds);
	return 0;
}

#define XSTATE_BV  512
#define XSTATE_END 576 /* of the header */

/*
 * The area's size is that of the CPU that made the image. Where components are is the same (the manifest was compared), so what this
 * CPU has besides is in its initial state, and what it lacks must not be in use.
 */
static int load_fpu(struct state_reader *r, struct arch_fpu *fpu, const ProtobufCBinaryData *d)
{
	uint32_t size = arch_xsave_size();
	uint64_t in_use;
	int e;

	fpu->size = 0;
	if (!d->len)
		return 0;
	e = state_check(r, d->len >= XSTATE_END && d->len <= ARCH_XSAVE_MAX && size <= ARCH_XSAVE_MAX, "malformed XSAVE area");
	if (e < 0)
		return e;
	memcpy(&in_use, d->data + XSTATE_BV, sizeof(in_use));
	/* Components that do not matter are in use all the same (Linux starts PKRU with other than 0): kept on the same kind of CPU only. */
	if (d->len != size)
		in_use &= ~ARCH_XSAVE_UNUSABLE;
	in_use &= ~(ARCH_XSAVE_UNUSABLE & ~arch_xsave_mask());
	e = state_check(r, !(in_use & ~arch_xsave_mask()), "holds XSAVE components that this CPU lacks");
	if (e < 0)
		return e;
	memset(fpu->data, 0, size);
	memcpy(fpu->data, d->data, MIN(d->len, (size_t)size));
	memcpy(fpu->data + XSTATE_BV, &in_use, sizeof(in_use));
	fpu->size = size;
	return 0;
}

static int load_regs(struct state_reader *r, struct task *t, const Sentry__Task *m)
{
	const struct platform_ops *p = t->k->pops;
	struct arch_state *st;
	int e = state_check(r, m->n_regs == NR_REGS, "malformed registers");

	if (e < 0)
		return e;
	e = p->ctx_new(t->k->plat, &t->pctx);
	if (e < 0)
		return e;
	st = p->regs(t->pctx, true);
	memcpy(&st->r, m->regs, sizeof(st->r));
	return load_fpu(r, &st->fpu, &m->fpu);
}

static int sysctx_load(struct state_reader *r, struct sysctx *c, const Sentry__SysCtx *m)
{
	int e = state_check(r, m && m->n_args == ARRAY_SIZE(c->args) && m->n_val == ARRAY_SIZE(c->val),
			    "malformed system call context");

	if (e == 0)
		e = state_check(r, m->restart == 0 || (m->restart >= ERESTARTSYS && m->restart <= ERESTARTBLOCK),
				"unknown restart code");
	if (e == 0)
		e = state_check(r, m->seccomp <= SECCOMP_STAGE_LAST, "unknown seccomp stage");
	if (e < 0)
		return e;
	c->redo = m->redo;
	c->restart = m->restart;
	c->again = m->again;
	c->nr = m->nr;
	memcpy(c->args, m->args, sizeof(c->args));
	c->has_deadline = m->has_deadline;
	c->deadline = m->deadline;
	c->progress = m->progress;
	memcpy(c->val, m->val, sizeof(c->val));
	c->seccomp = m->seccomp;
	return 0;
}

static int load_refs(struct state_reader *r, struct task *t, const Sentry__Task *m)
{
	int e = state_deref(r, m->pid, &pid_state_type, (void **)&t->pid);

	if (e >= 0)
		e = state_deref(r, m->tg, &thread_group_state_type, (void **)&t->tg);
	if (e >= 0)
		e = state_deref(r, m->mm, &mm_state_type, (void **)&t->mm);
	if (e >= 0)
		e = state_deref(r, m->files, &fd_table_state_type, (void **)&t->files);
	if (e >= 0)
		e = state_deref(r, m->fs, &fs_ctx_state_type, (void **)&t->fs);
	if (e >= 0)
		e = state_deref(r, m->cred, &cred_state_type, (void **)&t->cred);
	if (e >= 0)
		e = state_deref(r, m->ns, &nsproxy_state_type, (void **)&t->ns);
	if (e >= 0)
		e = state_deref(r, m->sighand, &sighand_state_type, (void **)&t->sighand);
	if (e >= 0)
		e = state_deref(r, m->filter, &seccomp_filter_state_type, (void **)&t->filter);
	if (e >= 0)
		e = state_deref(r, m->session_keyring, &key_state_type, (void **)&t->session_keyring);
	if (e >= 0)
		e = state_deref(r, m->thread_keyring, &key_state_type, (void **)&t->thread_keyring);
	if (e >= 0)
		e = state_check(r, m->seccomp_mode <= SECCOMP_L_FILTER && (!t->filter || m->seccomp_mode == SECCOMP_L_FILTER) &&
					   (t->filter || m->seccomp_mode != SECCOMP_L_FILTER || m->is_zombie),
				"seccomp filters without their mode");
	if (e >= 0)
		e = state_deref(r, m->cgroup, &cgroup_state_type, (void **)&t->cgroup);
	t->cg_loaded = t->cgroup != NULL;
	if (e >= 0)
		e = state_check(r, t->pid && t->tg && t->cred && t->sighand, "a task without id, group, credentials or signals");
	if (e >= 0 && !m->is_zombie)
		e = state_check(r, t->mm && t->files && t->fs && t->ns, "a live task without memory, files or namespaces");
	return e;
}

static int task_load(struct state_reader *r, void *obj, const void *msg)
{
	struct task *t = obj;
	const Sentry__Task *m = msg;
	int e = load_refs(r, t, m);

	if (e >= 0 && !m->is_zombie)
		e = load_regs(r, t, m);
	if (e >= 0)
		e = sysctx_load(r, &t->sysctx, m->sysctx);
	if (e >= 0)
		e = pending_load(r, &t->pending, m->pending);
	if (e >= 0)
		e = state_check(r, m->comm.len < sizeof(t->comm) && m->n_cpu_mask == 2 && m->n_counts == 4 && m->mce_kill <= 2 &&
					   (m->n_io == 0 || m->n_io == 4),
				"malformed task");
	if (e >= 0)
		e = mempolicy_load(r, &t->mpol, m->mpol);
	if (e < 0)
		return e;
	memcpy(t->comm, m->comm.data, m->comm.len);
	t->blocked = m->blocked & ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP));
	t->saved_mask = m->saved_mask;
	t->restore_mask = m->restore_mask;
	t->altstack = (struct sigaltstack){ m->altstack_sp, m->altstack_size, m->altstack_flags };
	t->stop_me = m->stop_me;
	t->stopped = m->stopped;
	t->pdeathsig = m->pdeathsig;
	t->exiting = m->exiting;
	t->is_zombie = m->is_zombie;
	t->exit_code = m->exit_code;
	t->clear_child_tid = m->clear_child_tid;
	t->robust_list = m->robust_list;
	t->vfork_done = m->vfork_done;
	t->rseq_addr = m->rseq_addr;
	t->rseq_len = m->rseq_len;
	t->rseq_sig = m->rseq_sig;
	t->personality = m->personality;
	t->undumpable = m->undumpable;
	t->seccomp_mode = m->seccomp_mode;
	t->no_new_privs = m->no_new_privs;
	t->reqkey_keyring = m->reqkey_keyring;
	if (m->dispatch)
		t->dispatch = (struct user_dispatch){
			.on = m->dispatch->on, .start = m->dispatch->start, .len = m->dispatch->len, .selector = m->dispatch->selector
		};
	t->nice = m->nice;
	t->sched_policy = m->sched_policy;
	t->sched_prio = m->sched_prio;
	t->ioprio = (uint16_t)m->ioprio;
	memcpy(t->cpu_mask, m->cpu_mask, sizeof(t->cpu_mask));
	t->timer_slack = m->timer_slack;
	t->mce_kill = (uint8_t)m->mce_kill;
	t->cg_user = m->cg_user;
	t->cg_system = m->cg_system;
	t->utime = m->utime;
	t->stime = m->stime;
	t->start_time = m->start_time;
	t->minflt = m->counts[0];
	t->majflt = m->counts[1];
	t->nvcsw = m->counts[2];
	t->nivcsw = m->counts[3];
	if (m->n_io) {
		t->rchar = m->io[0];
		t->wchar = m->io[1];
		t->syscr = m->io[2];
		t->syscw = m->io[3];
	}
	atomic_store(&t->work, m->ptrace ? WORK_TRACE : 0);
	e = uring_task_load(r, m->ring_fds, m->n_ring_fds, &t->uring);
	return e < 0 ? e : ptrace_load(r, t, m->ptrace);
}

static int task_after_load(struct state_reader *r, void *obj)
{
	struct task *t = obj;

	int e = ptrace_after_load(r, t);

	if (t->cred && t->cred->old_no_new_privs)
		t->no_new_privs = true;
	if (t->mm)
		mm_user_get(t->mm);
	if (e < 0)
		return e;
	e = uring_task_after_load(r, t->uring);
	return e < 0 ? e : state_check(r, !t->pid->task || t->pid->task == t, "two tasks with one id");
}

static void task_get_state(void *obj)
{
	(void)task_get(obj);
}

static void task_put_state(void *obj)
{
	task_put(obj);
}

const struct state_type task_state_type = {
	.id = STATE_ID_task,
	.name = "task",
	.desc = &sentry__task__descriptor,
	.prio = STATE_PRIO_TASK,
	.alloc = task_state_alloc,
	.save = task_save,
	.load = task_load,
	.after_load = task_after_load,
	.get = task_get_state,
	.put = task_put_state,
};

/* --- thread group --- */

static void *tg_state_alloc(void)
{
	return tg_alloc(the_kernel);
}

Sentry__Usage *usage_save(struct state_writer *w, const struct tg_usage *u)
{
	Sentry__Usage *m = state_zalloc(w, 1, sizeof(*m));

	sentry__usage__init(m);
	m->n_v = NR_USAGE;
	m->v = state_zalloc(w, NR_USAGE, sizeof(m->v[0]));
	memcpy(m->v, u, sizeof(*u));
	return m;
}

int usage_load(struct state_reader *r, struct tg_usage *u, const Sentry__Usage *m)
{
	int e = m ? state_check(r, m->n_v <= NR_USAGE, "malformed usage") : 0;

	*u = (struct tg_usage){ 0 };
	if (e == 0 && m && m->n_v)
		memcpy(u, m->v, m->n_v * sizeof(int64_t));
	return e;
}

static int tg_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct thread_group *tg = obj;
	Sentry__ThreadGroup *m = msg;
	struct task *t;
	size_t n = 0;

	m->container = state_ref(w, &container_state_type, tg->container);
	m->pid = state_ref(w, &pid_state_type, tg->pid);
	m->leader = state_ref(w, &task_state_type, tg->leader);
	m->tasks = state_zalloc(w, tg->nr_tasks, sizeof(m->tasks[0]));
	list_for_each(t, &tg->tasks, tg_node)
		if (n < tg->nr_tasks)
			m->tasks[n++] = state_ref(w, &task_state_type, t);
	m->n_tasks = n;
	m->parent = state_ref(w, &thread_group_state_type, tg->parent);
	m->parent_task = state_ref(w, &task_state_type, tg->parent ? tg->parent_task : NULL);
	m->pgrp = state_ref(w, &pgrp_state_type, tg->pgrp);
	m->session = state_ref(w, &session_state_type, tg->session);
	m->exit_signal = tg->exit_signal;
	m->state = tg->state;
	m->exit_status = tg->exit_status;
	m->did_exec = tg->did_exec;
	m->is_subreaper = tg->is_subreaper;
	m->has_child_subreaper = tg->has_child_subreaper;
	m->pending = pending_save(w, &tg->pending);
	m->group_exiting = tg->group_exiting;
	m->group_exit_code = tg->group_exit_code;
	m->stop_pending = tg->stop_pending;
	m->stop_sig = tg->stop_sig;
	m->stopped = tg->stopped;
	m->cont_notify = tg->cont_notify;
	m->cont_waitable = tg->cont_waitable;
	m->stop_reported = tg->stop_reported;
	m->stop_code = tg->stop_code;
	m->unkillable = tg->unkillable;
	m->n_rlimits = LINUX_RLIM_NLIMITS * 2;
	m->rlimits = state_zalloc(w, m->n_rlimits, sizeof(m->rlimits[0]));
	for (int i = 0; i < LINUX_RLIM_NLIMITS; i++) {
		m->rlimits[2 * i] = tg->rlim[i].cur;
		m->rlimits[2 * i + 1] = tg->rlim[i].max;
	}
	m->self = usage_save(w, &tg->self);
	m->children = usage_save(w, &tg->children_usage);
	m->start_time = tg->start_time;
	m->oom_score_adj = tg->oom_score_adj;
	m->itimers = state_ref(w, &itimers_state_type, tg->itimers);
	m->posix_timers = state_ref(w, &posix_timers_state_type, tg->posix_timers);
	m->membarrier = tg->membarrier;
	m->process_keyring = state_ref(w, &key_state_type, tg->process_keyring);
	return 0;
}

/* Pointers that are not counted at run time are stored without the reference state_deref() took. */
static int deref_weak(struct state_reader *r, uint64_t id, const struct state_type *t, void **ret)
{
	void *p = NULL;
	int e = state_deref(r, id, t, &p);

	if (e >= 0) {
		*ret = p;
		if (p)
			t->put(p);
	}
	return e;
}

static int tg_load_refs(struct state_reader *r, struct thread_group *tg, const Sentry__ThreadGroup *m)
{
	int e = deref_weak(r, m->container, &container_state_type, (void **)&tg->container);

	if (e >= 0)
		e = state_deref(r, m->pid, &pid_state_type, (void **)&tg->pid);
	if (e >= 0)
		e = deref_weak(r, m->leader, &task_state_type, (void **)&tg->leader);
	if (e >= 0)
		e = deref_weak(r, m->parent, &thread_group_state_type, (void **)&tg->parent);
	if (e >= 0)
		e = deref_weak(r, m->parent_task, &task_state_type, (void **)&tg->parent_task);
	if (e >= 0)
		e = state_deref(r, m->pgrp, &pgrp_state_type, (void **)&tg->pgrp);
	if (e >= 0)
		e = state_deref(r, m->session, &session_state_type, (void **)&tg->session);
	if (e >= 0)
		e = state_deref(r, m->itimers, &itimers_state_type, (void **)&tg->itimers);
	if (e >= 0)
		e = state_deref(r, m->posix_timers, &posix_timers_state_type, (void **)&tg->posix_timers);
	if (e >= 0)
		e = state_deref(r, m->process_keyring, &key_state_type, (void **)&tg->process_keyring);
	if (e >= 0)
		e = state_check(r, tg->pid && tg->leader && tg->pgrp && tg->session && (tg->itimers || m->state >= TG_ZOMBIE), "an incomplete thread group");
	return e;
}

static int tg_load(struct state_reader *r, void *obj, const void *msg)
{
	struct thread_group *tg = obj;
	const Sentry__ThreadGroup *m = msg;
	int e = tg_load_refs(r, tg, m);

	if (e >= 0)
		e = pending_load(r, &tg->pending, m->pending);
	if (e >= 0)
		e = state_check(r, m->state <= TG_ZOMBIE && m->n_rlimits == LINUX_RLIM_NLIMITS * 2 && m->self && m->children &&
					   m->n_tasks >= 1 && m->n_tasks <= MAX_THREADS && m->exit_signal >= 0 &&
					   m->exit_signal <= NSIG_MAX,
				"malformed thread group");
	if (e >= 0)
		e = usage_load(r, &tg->self, m->self);
	if (e >= 0)
		e = usage_load(r, &tg->children_usage, m->children);
	if (e < 0)
		return e;
	for (size_t i = 0; i < m->n_tasks; i++) {
		struct task *t;

		/* The list's reference. */
		e = state_deref(r, m->tasks[i], &task_state_type, (void **)&t);
		if (e >= 0)
			e = state_check(r, t && !list_linked(&t->tg_node), "a task in two groups");
		if (e < 0)
			return e;
		list_add_tail(&tg->tasks, &t->tg_node);
		tg->nr_tasks++;
	}
	tg->exit_signal = m->exit_signal;
	tg->state = m->state;
	tg->exit_status = m->exit_status;
	tg->did_exec = m->did_exec;
	tg->is_subreaper = m->is_subreaper;
	tg->has_child_subreaper = m->has_child_subreaper;
	tg->group_exiting = m->group_exiting;
	tg->group_exit_code = m->group_exit_code;
	tg->stop_pending = m->stop_pending;
	tg->stop_sig = m->stop_sig;
	tg->stopped = m->stopped;
	tg->cont_notify = m->cont_notify;
	tg->cont_waitable = m->cont_waitable;
	tg->stop_reported = m->stop_reported;
	tg->stop_code = m->stop_code;
	tg->unkillable = m->unkillable;
	for (int i = 0; i < LINUX_RLIM_NLIMITS; i++)
		tg->rlim[i] = (struct linux_rlimit64){ m->rlimits[2 * i], m->rlimits[2 * i + 1] };
	tg->start_time = m->start_time;
	tg->oom_score_adj = m->oom_score_adj;
	tg->membarrier = m->membarrier;
	return 0;
}

/*
 * Not for every task: a call that is dispatched again must not be interrupted because of a signal that is not there. A half-finished
 * system call (restart) and a mask to put back are decided on the signal edge too.
 */
static void set_signal_work(struct task *t)
{
	struct sighand *s = sighand_lock(t);

	signal_recalc_locked(t);
	if (t->tg->cont_notify || t->sysctx.restart || (t->restore_mask && !t->sysctx.redo) || (t->pt && t->pt->kind != PTS_NONE))
		atomic_fetch_or(&t->work, WORK_SIGNAL);
	mutex_unlock(&s->mu);
}

static int tg_after_load(struct state_reader *r, void *obj)
{
	struct thread_group *tg = obj;
	bool leader_in = false;
	struct task *t;
	int e;

	list_for_each(t, &tg->tasks, tg_node) {
		leader_in |= t == tg->leader;
		e = state_check(r, t->tg == tg && (t->is_zombie || t->sighand == tg->leader->sighand) && (!t->pid->task || t->pid->task == t),
				"a task does not belong to the group that lists it");
		if (e < 0)
			return e;
		t->pid->task = t;
		tg->k->nr_tasks++;
		if (!t->is_zombie)
			set_signal_work(t);
	}
	e = state_check(r, leader_in && tg->leader->pid == tg->pid && !tg->pid->tg, "the group's leader is not its member");
	if (e < 0)
		return e;
	tg->pid->tg = tg;
	list_add_tail(&tg->pgrp->members, &tg->pgrp_node);
	return 0;
}

static void tg_get_state(void *obj)
{
	(void)tg_get(obj);
}

static void tg_put_state(void *obj)
{
	tg_put(obj);
}

const struct state_type thread_group_state_type = {
	.id = STATE_ID_thread_group,
	.name = "thread_group",
	.desc = &sentry__thread_group__descriptor,
	.prio = STATE_PRIO_TASK,
	.alloc = tg_state_alloc,
	.save = tg_save,
	.load = tg_load,
	.after_load = tg_after_load,
	.get = tg_get_state,
	.put = tg_put_state,
};
