/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clone, clone3, fork, vfork: making tasks.
 *
 * Everything that can fail happens before the child is linked into the tree; linking and starting cannot be undone. A vfork parent
 * waits with its child's id in sysctx, so that a freeze (or restore) in the middle just waits again.
 * Linux: kernel/fork.c.
 */
#include <sched.h>
#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/pidfd.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/itimer.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/run.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/task_new.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"

#define CLONE_CLEAR_SIGHAND_L 0x100000000ULL
#define CLONE_INTO_CGROUP_L   0x200000000ULL

/* What is left to do when the child runs, in sysctx.val[0]; val[1] is the child's tid in the root namespace, val[2] the value to return,
 * val[3] the flags. */
enum stage {
	STAGE_EVENT = 1, /* the ptrace event of the new child: number in bits 8.. */
	STAGE_VFORK,
	STAGE_VFORK_DONE, /* PTRACE_EVENT_VFORK_DONE */
};

struct clone_req {
	uint64_t flags; /* without the exit signal */
	gaddr_t pidfd, child_tid, parent_tid;
	int exit_signal;
	uint64_t stack, tls; /* stack: initial stack pointer, 0 keeps the parent's */
	int32_t set_tid[PID_LEVELS];
	size_t nr_set_tid;
	struct cgroup *into; /* CLONE_INTO_CGROUP: the child's; referenced by the caller */
};

static int check_flags(struct task *t, const struct clone_req *q)
{
	uint64_t f = q->flags;

	if ((f & CLONE_FS) && (f & (CLONE_NEWNS | CLONE_NEWUSER)))
		return -EINVAL;
	if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && (!(f & CLONE_VM) || (f & CLONE_CLEAR_SIGHAND_L)))
		return -EINVAL;
	if ((f & CLONE_PARENT) && t->tg->unkillable)
		return -EINVAL;
	if ((f & CLONE_THREAD) && ((f & (CLONE_NEWPID | CLONE_NEWUSER)) || t->ns->pid_for_children != task_pid_ns(t)))
		return -EINVAL;
	if ((f & CLONE_PIDFD) && (f & CLONE_THREAD))
		return -EINVAL;
	if ((f & CLONE_NEWIPC) && (f & CLONE_SYSVSEM))
		return -EINVAL;
	if ((f & NAMESPACE_FLAGS) && !(f & CLONE_NEWUSER) && !task_capable_here(t, LINUX_CAP_SYS_ADMIN))
		return -EPERM;
	return 0;
}

static int copy_resources(struct task *t, struct task *c, const struct clone_req *q)
{
	uint64_t f = q->flags;
	int r;

	if (f & CLONE_NEWUSER) {
		r = cred_new_user_ns(t, &c->cred);
		if (r < 0)
			return r;
	} else {
		c->cred = cred_get(t->cred);
	}
	c->fs = f & CLONE_FS ? fs_ctx_get(t->fs) : fs_ctx_dup(t->fs);
	c->files = f & CLONE_FILES ? fd_table_get(t->files) : fd_table_dup(t->files);
	c->sighand = f & CLONE_SIGHAND ? sighand_get(t->sighand) : sighand_dup(t->sighand);
	if (!c->fs || !c->files || !c->sighand)
		return -ENOMEM;
	if (f & CLONE_CLEAR_SIGHAND_L)
		sighand_reset_handlers(c->sighand);
	r = nsproxy_for_child(t, f, c->cred->user_ns, c->fs, &c->ns);
	if (r < 0)
		return r;
	if (f & CLONE_VM) {
		c->mm = mm_get(t->mm);
		mm_user_get(c->mm);
	} else {
		r = mm_fork(t->mm, t->pctx, &c->mm); /* comes with its first user */
		if (r < 0)
			return r;
	}
	return 0;
}

static int copy_context(struct task *t, struct task *c, const struct clone_req *q)
{
	const struct platform_ops *p = t->k->pops;
	struct arch_state *from, *to;
	int r = p->ctx_new(t->k->plat, &c->pctx);

	if (r < 0)
		return r;
	from = p->regs(t->pctx, true);
	to = p->regs(c->pctx, true);
	to->r = from->r;
	to->r.rax = 0;
	to->r.orig_rax = UINT64_MAX;
	if (q->stack)
		to->r.rsp = q->stack;
	if (q->flags & CLONE_SETTLS)
		to->r.fs_base = q->tls;
	to->fpu.size = from->fpu.size;
	if (from->fpu.size)
		memcpy(to->fpu.data, from->fpu.data, from->fpu.size);
	return 0;
}

static void copy_fields(struct task *t, struct task *c, const struct clone_req *q)
{
	memcpy(c->comm, t->comm, sizeof(c->comm));
	c->blocked = t->blocked;
	if (!(q->flags & CLONE_VM) || (q->flags & CLONE_VFORK))
		c->altstack = t->altstack;
	c->clear_child_tid = q->flags & CLONE_CHILD_CLEARTID ? q->child_tid.v : 0;
	c->personality = t->personality;
	c->undumpable = t->undumpable;
	c->nice = t->nice;
	c->sched_policy = t->sched_policy;
	c->sched_prio = t->sched_prio;
	memcpy(c->cpu_mask, t->cpu_mask, sizeof(c->cpu_mask));
	c->timer_slack = t->timer_slack;
	c->mpol = t->mpol;
	c->mce_kill = t->mce_kill;
	c->start_time = ktime_mono();
	/* rseq survives fork, not a new thread (Linux rseq_fork). */
	if (!(q->flags & CLONE_VM)) {
		c->rseq_addr = t->rseq_addr;
		c->rseq_len = t->rseq_len;
		c->rseq_sig = t->rseq_sig;
	}
}

static struct thread_group *new_group(struct task *t, const struct clone_req *q)
{
	struct thread_group *o = t->tg, *tg = tg_alloc(t->k);

	if (!tg)
		return NULL;
	tg->container = o->container;
	tg->exit_signal = q->flags & CLONE_PARENT ? o->exit_signal : q->exit_signal;
	mutex_lock(&o->limits_mu);
	memcpy(tg->rlim, o->rlim, sizeof(tg->rlim));
	tg->oom_score_adj = o->oom_score_adj;
	mutex_unlock(&o->limits_mu);
	tg->start_time = ktime_mono();
	tg->has_child_subreaper = o->is_subreaper || o->has_child_subreaper;
	if (itimers_init(tg) < 0) {
		tg_put(tg);
		return NULL;
	}
	return tg;
}

/* The event the tracer asked to see for such a child, 0 none. */
static int trace_event(const struct task *t, const struct clone_req *q)
{
	int event = PTRACE_EVENT_FORK_L;

	if (q->flags & CLONE_UNTRACED)
		return 0;
	if (q->flags & CLONE_VFORK)
		event = PTRACE_EVENT_VFORK_L;
	else if (q->exit_signal != SIGCHLD)
		event = PTRACE_EVENT_CLONE_L;
	return ptrace_event_enabled(t, event) ? event : 0;
}

/* RLIMIT_NPROC counts the threads of a user; the machine's administrator and those who may raise limits are exempt. tasks_mu held. */
static bool over_nproc_locked(struct task *t)
{
	uint64_t limit = task_rlimit(t, LINUX_RLIMIT_NPROC), n = 0;
	struct thread_group *tg;

	if (limit == LINUX_RLIM_INFINITY || t->cred->uid == 0 || cred_has_cap(t->cred, LINUX_CAP_SYS_RESOURCE) ||
	    cred_has_cap(t->cred, LINUX_CAP_SYS_ADMIN))
		return false;
	list_for_each(tg, &t->k->groups, all_node) {
		struct cred *c = task_cred_get(tg->leader);

		if (c->uid == t->cred->uid)
			n += tg->nr_tasks;
		cred_put(c);
	}
	return n >= limit;
}

/* Which group the child is born in: *@ret, borrowed. */
static int into_cgroup_locked(struct task *t, const struct clone_req *q, struct cgroup **ret)
{
	*ret = q->into ? q->into : t->cgroup;
	return q->into ? cgroup_may_fork_into(q->into, t->cgroup, q->flags & CLONE_THREAD) : 0;
}

/* The commit: from here the child exists. tasks_mu held. */
static int link_child_locked(struct task *t, struct task *c, const struct clone_req *q)
{
	struct kernel *k = t->k;
	struct cgroup *cg;
	struct pid_ns *ns = c->ns->pid_for_children;
	struct sighand *s;
	int r;

	if (ns->dying || (ns != k->root_pid_ns && !ns->init && ns->last > 0))
		return -ENOMEM;
	if (over_nproc_locked(t))
		return -EAGAIN;
	r = into_cgroup_locked(t, q, &cg);
	if (r < 0)
		return r;
	r = pid_new(k, ns, q->set_tid, q->nr_set_tid, &c->pid);
	if (r == 0 && cg)
		r = cgroup_fork(cg, c);
	if (r < 0)
		return r;
	s = sighand_lock(t);
	/* A signal that arrived must be seen by both or by the parent alone: run it first, then fork again. */
	if (q->flags & CLONE_THREAD ? t->tg->group_exiting || t->tg->exec_task : signal_pending(t)) {
		mutex_unlock(&s->mu);
		cgroup_exit(c);
		cgroup_release(c);
		return -ERESTARTNOINTR;
	}
	if (q->flags & CLONE_THREAD) {
		c->tg = tg_get(t->tg);
		c->stop_me = t->tg->stop_sig && !t->tg->stopped && t->stop_me;
		if (c->stop_me)
			t->tg->stop_pending++;
		tg_add_task_locked(c->tg, c);
	} else {
		struct thread_group *parent = q->flags & CLONE_PARENT ? t->tg->parent : t->tg;

		c->tg->pid = pid_get(c->pid);
		c->tg->leader = c;
		tg_add_task_locked(c->tg, c);
		tg_link_locked(c->tg, parent, q->flags & CLONE_PARENT ? t->tg->parent_task : t, t->tg->pgrp, t->tg->session);
		if (!ns->init && pid_nr_ns(c->pid, ns) == 1) {
			ns->init = c->tg;
			c->tg->unkillable = true;
		}
	}
	seccomp_inherit_locked(t, c);
	mutex_unlock(&s->mu);
	if (c->pt && (trace_event(t, q) || (q->flags & CLONE_PTRACE))) {
		s = sighand_lock(c);
		ptrace_inherit_locked(t, c);
		mutex_unlock(&s->mu);
	}
	return 0;
}

static void discard(struct task *c)
{
	if (c->mm) {
		mm_user_put(c->mm);
		mm_put(c->mm);
	}
	fd_table_put(c->files, NULL);
	fs_ctx_put(c->fs);
	nsproxy_put(c->ns);
	c->mm = NULL;
	c->files = NULL;
	c->fs = NULL;
	c->ns = NULL;
	if (c->tg && !c->tg->nr_tasks) /* a new group that was never linked */
		itimers_exit(c->tg);
	task_put(c);
}

static int vfork_wait(struct task *t)
{
	struct sysctx *x = &t->sysctx;
	struct task *c = task_find(t->k, t->k->root_pid_ns, (int32_t)x->val[1]);
	struct waiter w;
	int r = 0;

	if (c) {
		task_waiter_init(&w, t, ~0u);
		task_block_prepare(t);
		waitq_add(&c->vfork_wq, &w);
		while (!__atomic_load_n(&c->vfork_done, __ATOMIC_ACQUIRE) && r == 0)
			r = task_block_killable(t, TIME_FOREVER);
		waitq_del(&w);
		task_put(c);
	}
	return r == -EFREEZE ? r : 0;
}

/* The child's id as the tracer knows it. */
static uint64_t tid_for_tracer(struct task *t)
{
	uint64_t nr = 0;
	struct task *tracer;
	struct pid *p;

	mutex_lock(&t->k->tasks_mu);
	tracer = ptrace_tracer(t);
	p = pid_find_locked(t->k->root_pid_ns, (int32_t)t->sysctx.val[1]);
	if (tracer && p)
		nr = (uint64_t)pid_nr(p, tracer);
	mutex_unlock(&t->k->tasks_mu);
	return nr;
}

/* The parent's part once the child runs; comes back here after a freeze in any of its stages. */
static int64_t finish_clone(struct task *t)
{
	struct sysctx *x = &t->sysctx;
	int64_t r = 0;

	if ((x->val[0] & 0xff) == STAGE_EVENT) {
		if (x->val[0] >> 8)
			r = ptrace_event(t, (int)(x->val[0] >> 8), tid_for_tracer(t));
		if (r < 0)
			return r;
		x->val[0] = STAGE_VFORK;
	}
	if (x->val[0] == STAGE_VFORK && (x->val[3] & CLONE_VFORK)) {
		r = vfork_wait(t);
		if (r < 0)
			return r;
		x->val[0] = STAGE_VFORK_DONE;
	}
	if (x->val[0] == STAGE_VFORK_DONE && ptraced(t)) {
		r = ptrace_event(t, PTRACE_EVENT_VFORK_DONE_L, tid_for_tracer(t));
		if (r < 0)
			return r;
	}
	return (int64_t)x->val[2];
}

static int64_t do_clone(struct task *t, const struct clone_req *q)
{
	struct task *c;
	int64_t tid;
	int32_t child_tid;
	int r, pidfd = -EBADF;
	struct file *pidfile = NULL;

	if (t->sysctx.again && t->sysctx.val[0])
		return finish_clone(t);
	r = check_flags(t, q);
	if (r < 0)
		return r;
	c = task_alloc(t->k);
	if (!c)
		return -ENOMEM;
	r = copy_resources(t, c, q);
	if (r == 0)
		r = copy_context(t, c, q);
	if (r == 0 && !(q->flags & CLONE_THREAD)) {
		c->tg = new_group(t, q);
		r = c->tg ? 0 : -ENOMEM;
	}
	if (r == 0 && ptraced(t))
		r = ptrace_prepare(c);
	if (r == 0 && (q->flags & CLONE_PIDFD)) {
		pidfd = fd_reserve(t, 0, true);
		r = MIN(pidfd, 0);
	}
	if (r < 0) {
		discard(c);
		return r;
	}
	copy_fields(t, c, q);
	keys_inherit(t, c);
	if (!(q->flags & CLONE_VFORK))
		c->vfork_done = true;
	mutex_lock(&t->k->tasks_mu);
	r = link_child_locked(t, c, q);
	mutex_unlock(&t->k->tasks_mu);
	if (r == 0 && (q->flags & CLONE_PIDFD)) {
		r = pidfd_new(t, c->pid, 0, &pidfile);
		if (r == 0)
			r = copy_out(t, q->pidfd, &pidfd, sizeof(pidfd));
		if (r == 0) {
			fd_commit(t, pidfd, TAKE_PTR(pidfile));
			pidfd = -EBADF;
		}
		r = 0; /* the child exists: as on Linux only its early part could fail; a bad pointer is the caller's loss */
	}
	if (pidfd >= 0)
		fd_unreserve(t, pidfd);
	file_put(pidfile);
	if (r < 0) {
		discard(c);
		return r;
	}
	tid = pid_nr(c->pid, t);
	child_tid = pid_nr_ns(c->pid, task_pid_ns(c));
	if (q->flags & CLONE_PARENT_SETTID)
		(void)!copy_out(t, q->parent_tid, &(int32_t){ (int32_t)tid }, sizeof(int32_t));
	if (q->flags & CLONE_CHILD_SETTID)
		(void)!mm_copy_out(c->mm, q->child_tid, &child_tid, sizeof(child_tid));
	t->sysctx.val[0] = STAGE_EVENT | (uint64_t)(ptraced(c) ? trace_event(t, q) : 0) << 8;
	t->sysctx.val[1] = (uint64_t)pid_nr_ns(c->pid, t->k->root_pid_ns);
	t->sysctx.val[2] = (uint64_t)tid;
	t->sysctx.val[3] = q->flags;
	r = task_start(c);
	if (r < 0) {
		/* The host refused a thread. The child is linked already, so it ends as if killed before its first instruction. */
		task_abort_unstarted(c, SIGKILL);
		task_put(c);
		return -EAGAIN;
	}
	task_put(c);
	return finish_clone(t);
}

int64_t sys_clone(struct task *t, const struct sys_args *a)
{
	struct clone_req q = {
		.flags = (uint32_t)a->a[0] & ~0xffull,
		.exit_signal = (int)(a->a[0] & 0xff),
		.stack = a->a[1],
		.parent_tid = ARG_ADDR(a, 2),
		.pidfd = ARG_ADDR(a, 2),
		.child_tid = ARG_ADDR(a, 3),
		.tls = a->a[4],
	};

	if ((q.flags & CLONE_PIDFD) && (q.flags & (CLONE_PARENT_SETTID | CLONE_DETACHED)))
		return -EINVAL;
	if (q.exit_signal > NSIG_MAX)
		return -EINVAL;
	return do_clone(t, &q);
}

int64_t sys_fork(struct task *t, const struct sys_args *a)
{
	return do_clone(t, &(struct clone_req){ .exit_signal = SIGCHLD });
}

int64_t sys_vfork(struct task *t, const struct sys_args *a)
{
	return do_clone(t, &(struct clone_req){ .flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD });
}

#define CLONE_ARGS_SIZE_VER0 64
#define CLONE_ARGS_SIZE_VER2 88

/* The caller must rule the namespaces in which it chooses numbers, the innermost first. */
static bool may_set_tid(struct task *t, size_t n)
{
	for (const struct pid_ns *ns = t->ns->pid_for_children; ns && n--; ns = ns->parent)
		if (!task_ns_capable(t, ns->user_ns, LINUX_CAP_SYS_ADMIN) && !task_ns_capable(t, ns->user_ns, LINUX_CAP_CHECKPOINT_RESTORE))
			return false;
	return true;
}

int64_t sys_clone3(struct task *t, const struct sys_args *a)
{
	uint64_t v[11] = { 0 }, size = a->a[1]; /* flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid n cgroup */
	const uint64_t known = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_PIDFD | CLONE_PTRACE | CLONE_VFORK |
			       CLONE_PARENT | CLONE_THREAD | NAMESPACE_FLAGS | CLONE_NEWUSER | CLONE_SYSVSEM |
			       CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_UNTRACED | CLONE_CHILD_SETTID |
			       CLONE_IO | CLONE_CLEAR_SIGHAND_L | CLONE_INTO_CGROUP_L;
	struct clone_req q;
	int r;

	if (size > PAGE_SIZE)
		return -E2BIG;
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	r = copy_in_struct(t, v, sizeof(v), ARG_ADDR(a, 0), size);
	if (r < 0)
		return r;
	if (v[9] > PID_LEVELS || (v[8] && !v[9]) || (!v[8] && v[9]))
		return -EINVAL;
	if (v[4] & ~0xffull || v[4] > NSIG_MAX)
		return -EINVAL;
	if (v[0] & ~known)
		return -EINVAL;
	if ((v[0] & CLONE_INTO_CGROUP_L) && (v[10] > INT32_MAX || size < CLONE_ARGS_SIZE_VER2))
		return -EINVAL;
	if ((v[0] & (CLONE_THREAD | CLONE_PARENT)) && v[4])
		return -EINVAL;
	if ((v[5] == 0) != (v[6] == 0))
		return -EINVAL;
	q = (struct clone_req){
		.flags = v[0],
		.pidfd = GADDR(v[1]),
		.child_tid = GADDR(v[2]),
		.parent_tid = GADDR(v[3]),
		.exit_signal = (int)v[4],
		.stack = v[5] ? v[5] + v[6] : 0,
		.tls = v[7],
		.nr_set_tid = v[9],
	};
	if (v[9]) {
		if (!may_set_tid(t, v[9]))
			return -EPERM;
		r = copy_in(t, q.set_tid, GADDR(v[8]), v[9] * sizeof(q.set_tid[0]));
		if (r < 0)
			return r;
	}
	if (v[0] & CLONE_INTO_CGROUP_L) {
		int64_t ret;

		r = cgroup_from_fd(t, (int)v[10], &q.into);
		if (r < 0)
			return r;
		ret = do_clone(t, &q);
		cgroup_put(q.into);
		return ret;
	}
	return do_clone(t, &q);
}
