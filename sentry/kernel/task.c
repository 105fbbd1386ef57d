/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks and groups as objects: making, references, access from other threads. Life: clone.c makes, run.c runs, exit.c ends.
 * Locks and invariants: task.h.
 */
#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/landlock.h"
#include "sentry/fs/uring/uring.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/task_new.h"
#include "sentry/kernel/user_ns.h"

struct task *task_get(struct task *t)
{
	ref_get(&t->ref);
	return t;
}

void task_put(struct task *t)
{
	if (!t || !ref_put(&t->ref))
		return;
	if (t->k && t->k->pops)
		t->k->pops->ctx_free(t->pctx);
	sigpending_flush(&t->pending, ~0ull);
	sighand_put(t->sighand);
	cred_put(t->cred);
	pid_put(t->pid);
	if (t->tg)
		tg_put(t->tg);
	waitq_done(&t->vfork_wq);
	key_put(t->session_keyring);
	key_put(t->thread_keyring);
	seccomp_filter_put(t->filter); /* of a task that never ran, or could not be restored */
	free(t->pt);
	uring_task_free(t->uring);
	mutex_destroy(&t->alloc_mu);
	mutex_destroy(&t->park_mu);
	cond_destroy(&t->park_cv);
	free(t);
}

struct thread_group *tg_get(struct thread_group *tg)
{
	ref_get(&tg->ref);
	return tg;
}

void tg_put(struct thread_group *tg)
{
	if (!tg || !ref_put(&tg->ref))
		return;
	sigpending_flush(&tg->pending, ~0ull);
	key_put(tg->process_keyring);
	pid_put(tg->pid);
	waitq_done(&tg->child_wq);
	mutex_destroy(&tg->limits_mu);
	free(tg);
}

struct pgrp *pgrp_get(struct pgrp *p)
{
	ref_get(&p->ref);
	return p;
}

struct session *session_get(struct session *s)
{
	ref_get(&s->ref);
	return s;
}

struct task *task_alloc(struct kernel *k)
{
	struct task *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	ref_init(&t->ref);
	t->k = k;
	list_init(&t->tg_node);
	list_init(&t->pi_owned);
	list_init(&t->ptraced);
	mutex_init(&t->alloc_mu, "task.alloc_mu");
	mutex_init(&t->park_mu, "task.park_mu");
	cond_init(&t->park_cv);
	waitq_init(&t->vfork_wq);
	sigpending_init(&t->pending);
	t->run_state = 'R';
	t->timer_slack = 50000;
	return t;
}

struct thread_group *tg_alloc(struct kernel *k)
{
	struct thread_group *tg = calloc(1, sizeof(*tg));

	if (!tg)
		return NULL;
	ref_init(&tg->ref);
	tg->k = k;
	list_init(&tg->tasks);
	list_init(&tg->all_node);
	list_init(&tg->children);
	list_init(&tg->child_node);
	list_init(&tg->pgrp_node);
	waitq_init(&tg->child_wq);
	mutex_init(&tg->limits_mu, "tg.limits_mu");
	sigpending_init(&tg->pending);
	return tg;
}

void tg_add_task_locked(struct thread_group *tg, struct task *t)
{
	mutex_assert_held(&tg->k->tasks_mu);
	list_add_tail(&tg->tasks, &t->tg_node);
	tg->nr_tasks++;
	tg->k->nr_tasks++;
	tg->k->forks++;
	t->pid->task = t;
	(void)task_get(t); /* the group's reference, dropped when the task is unlinked */
}

/* --- resources of other tasks --- */

#define TASK_RESOURCE_GET(type, name, member, getter)                                                                  \
	struct type *name(struct task *t)                                                                              \
	{                                                                                                              \
		struct type *r;                                                                                        \
                                                                                                                       \
		mutex_lock(&t->alloc_mu);                                                                              \
		r = t->member ? getter(t->member) : NULL;                                                              \
		mutex_unlock(&t->alloc_mu);                                                                            \
		return r;                                                                                              \
	}

TASK_RESOURCE_GET(mm, task_mm_get, mm, mm_get)
TASK_RESOURCE_GET(fd_table, task_files_get, files, fd_table_get)
TASK_RESOURCE_GET(fs_ctx, task_fs_get, fs, fs_ctx_get)
TASK_RESOURCE_GET(cred, task_cred_get, cred, cred_get)
TASK_RESOURCE_GET(nsproxy, task_ns_get, ns, nsproxy_get)

void task_set_cred(struct task *t, struct cred *c)
{
	struct cred *old;

	mutex_lock(&t->alloc_mu);
	old = t->cred;
	t->cred = c;
	mutex_unlock(&t->alloc_mu);
	cred_put(old);
}

bool task_capable(struct task *t, int cap)
{
	return cred_has_cap(t->cred, cap);
}

uint64_t task_rlimit(const struct task *t, int resource)
{
	return __atomic_load_n(&t->tg->rlim[resource].cur, __ATOMIC_RELAXED);
}

int task_ptrace_may_access(struct task *t, struct task *target, bool attach)
{
	struct cred *c = t->cred, *tc;
	uint32_t uid = attach ? c->uid : c->fsuid, gid = attach ? c->gid : c->fsgid;
	int r = -EPERM;

	if (t->tg == target->tg)
		return 0;
	tc = task_cred_get(target);
	if (!tc)
		return -ESRCH;
	if (uid == tc->euid && uid == tc->suid && uid == tc->uid && gid == tc->egid && gid == tc->sgid && gid == tc->gid &&
	    tc->user_ns == c->user_ns && !(tc->cap_perm & ~c->cap_perm))
		r = 0;
	else if (cred_ns_capable(c, tc->user_ns, LINUX_CAP_SYS_PTRACE))
		r = 0;
	if (r == 0 && target->undumpable && !cred_ns_capable(c, tc->user_ns, LINUX_CAP_SYS_PTRACE))
		r = -EPERM;
	if (r == 0 && !landlock_may_trace(c, tc))
		r = -EPERM;
	cred_put(tc);
	return r;
}
