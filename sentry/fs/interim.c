/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weak stand-ins so that the tree links while the task code is not there yet. A strong definition anywhere wins. To be removed with it.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "state/state.h"

#define WEAK __attribute__((weak))

extern const struct state_type cred_state_type, pid_state_type, sighand_state_type;
extern __thread struct task *current_task;
WEAK __thread struct task *current_task;
WEAK const struct state_type sighand_state_type = { .name = "sighand" };
WEAK const struct state_type cred_state_type = { .name = "cred" };
WEAK const struct state_type pid_state_type = { .name = "pid" };
WEAK struct kernel *the_kernel;

WEAK uint64_t kernel_next_ino(struct kernel *k)
{
	return atomic_fetch_add(&k->next_ino, 1);
}

WEAK int64_t ktime_mono(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

WEAK int64_t ktime_real(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

WEAK void ktimer_init(struct ktimer *t, enum kclock clock, void (*fn)(struct ktimer *))
{
	t->fn = fn;
}

WEAK void ktimer_arm(struct ktimer *t, int64_t deadline)
{
}

WEAK void ktimer_cancel(struct ktimer *t, bool sync)
{
}

WEAK void waitq_init(struct waitq *q)
{
	mutex_init(&q->mu, "waitq.mu");
	list_init(&q->waiters);
}

WEAK void waitq_done(struct waitq *q)
{
	mutex_destroy(&q->mu);
}

WEAK void waitq_add(struct waitq *q, struct waiter *w)
{
	mutex_guard(&q->mu);
	w->q = q;
	list_add_tail(&q->waiters, &w->node);
}

WEAK void waitq_del(struct waiter *w)
{
	if (!w->q)
		return;
	mutex_lock(&w->q->mu);
	list_del(&w->node);
	mutex_unlock(&w->q->mu);
	w->q = NULL;
}

WEAK int waitq_wake_n(struct waitq *q, uint32_t mask, int max)
{
	struct waiter *w, *tmp;
	int n = 0;

	mutex_lock_nested(&q->mu);
	list_for_each_safe(w, tmp, &q->waiters, node)
		if ((w->mask & mask) && w->fn && w->fn(w, mask) && (++n == max || w->exclusive))
			break;
	mutex_unlock(&q->mu);
	return n;
}

WEAK void waitq_wake(struct waitq *q, uint32_t mask)
{
	(void)waitq_wake_n(q, mask, INT32_MAX);
}

WEAK int64_t task_deadline(struct task *t, int64_t rel_ns)
{
	return rel_ns < 0 ? TIME_FOREVER : ktime_mono() + rel_ns;
}

WEAK int copy_in_sigset(struct task *t, gaddr_t addr, uint64_t size, sigset64_t *ret)
{
	return size == sizeof(*ret) ? copy_in(t, ret, addr, sizeof(*ret)) : -EINVAL;
}

WEAK void signal_set_temp_mask(struct task *t, sigset64_t set)
{
}

WEAK int copy_in_timespec(struct task *t, gaddr_t src, int64_t *ret_ns)
{
	struct linux_timespec ts;
	int r = copy_in(t, &ts, src, sizeof(ts));

	*ret_ns = ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
	return r;
}

WEAK int copy_out_timespec(struct task *t, gaddr_t dst, int64_t ns)
{
	struct linux_timespec ts = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };

	return copy_out(t, dst, &ts, sizeof(ts));
}

WEAK void task_waiter_init(struct waiter *w, struct task *t, uint32_t mask)
{
	w->task = t;
	w->mask = mask;
}

WEAK void task_block_prepare(struct task *t)
{
}

WEAK int task_block(struct task *t, int64_t deadline)
{
	return -ERESTARTSYS;
}

WEAK int64_t task_wait_on(struct task *t, struct waitq *q, uint32_t mask, int64_t deadline, int64_t (*ready)(void *arg), void *arg)
{
	int64_t r = ready(arg);

	return r == -EAGAIN ? -ERESTARTSYS : r;
}

WEAK struct cred *cred_get(struct cred *c)
{
	ref_get(&c->ref);
	return c;
}

WEAK void cred_put(struct cred *c)
{
	if (ref_put(&c->ref))
		free(c);
}

WEAK struct cred *cred_dup(const struct cred *c)
{
	size_t n = sizeof(*c) + c->nr_groups * sizeof(c->groups[0]);
	struct cred *d = malloc(n);

	if (d) {
		memcpy(d, c, n);
		ref_init(&d->ref);
	}
	return d;
}

WEAK bool cred_has_cap(const struct cred *c, int cap)
{
	return c->cap_eff >> cap & 1;
}

WEAK bool cred_in_group(const struct cred *c, uint32_t gid)
{
	if (c->fsgid == gid)
		return true;
	for (size_t n = 0; n < c->nr_groups; n++)
		if (c->groups[n] == gid)
			return true;
	return false;
}

WEAK struct pid *pid_get(struct pid *p)
{
	ref_get(&p->ref);
	return p;
}

WEAK void pid_put(struct pid *p)
{
	(void)ref_put(&p->ref);
}

WEAK int32_t pid_nr(const struct pid *p, const struct task *viewer)
{
	return p->n[0].nr;
}

WEAK struct task *task_find(struct kernel *k, struct pid_ns *ns, int32_t tid)
{
	return NULL;
}

WEAK struct thread_group *tg_find(struct kernel *k, struct pid_ns *ns, int32_t tgid)
{
	return NULL;
}

WEAK struct pgrp *pgrp_find(struct kernel *k, struct pid_ns *ns, int32_t pgid)
{
	return NULL;
}

WEAK struct pid_ns *task_pid_ns(const struct task *t)
{
	return NULL;
}

WEAK void task_put(struct task *t)
{
}

WEAK void tg_put(struct thread_group *tg)
{
}

WEAK void pgrp_put(struct pgrp *p)
{
}

WEAK struct fs_ctx *task_fs_get(struct task *t)
{
	return NULL;
}

WEAK uint64_t task_rlimit(const struct task *t, int resource)
{
	return t->tg ? t->tg->rlim[resource].cur : resource == 7 ? 1024 : UINT64_MAX;
}

WEAK bool task_capable(struct task *t, int cap)
{
	return cred_has_cap(t->cred, cap);
}

WEAK void siginfo_user(struct linux_siginfo *si, int sig, struct task *sender, int code)
{
	*si = (struct linux_siginfo){ .si_signo = sig, .si_code = code };
}

WEAK void siginfo_kernel(struct linux_siginfo *si, int sig)
{
	*si = (struct linux_siginfo){ .si_signo = sig };
}

WEAK int signal_send_task(struct task *t, int sig, const struct linux_siginfo *si)
{
	return 0;
}

WEAK int signal_send_group(struct thread_group *tg, int sig, const struct linux_siginfo *si)
{
	return 0;
}

WEAK int signal_send_pgrp(struct pgrp *pg, int sig, const struct linux_siginfo *si)
{
	return 0;
}

WEAK int copy_in(struct task *t, void *dst, gaddr_t src, size_t n)
{
	return mm_copy_in(t->mm, dst, src, n);
}

WEAK int copy_out(struct task *t, gaddr_t dst, const void *src, size_t n)
{
	return mm_copy_out(t->mm, dst, src, n);
}

WEAK int copy_in_string(struct task *t, gaddr_t src, size_t max, char **ret)
{
	char *s = malloc(max + 1);
	int64_t n;

	if (!s)
		return -ENOMEM;
	n = mm_copy_in_str(t->mm, s, src, max + 1);
	if (n < 0) {
		free(s);
		return (int)n;
	}
	*ret = s;
	return 0;
}

WEAK int copy_in_path(struct task *t, gaddr_t src, char **ret)
{
	return copy_in_string(t, src, 4095, ret);
}

WEAK struct sighand *sighand_get(struct sighand *s)
{
	ref_get(&s->ref);
	return s;
}

WEAK void sighand_put(struct sighand *s)
{
	(void)ref_put(&s->ref);
}

WEAK int signal_dequeue(struct task *t, sigset64_t set, struct linux_siginfo *ret)
{
	return 0;
}

WEAK sigset64_t signal_pending_set(struct task *t)
{
	return 0;
}

WEAK int signal_permission(struct task *t, struct thread_group *target, int sig)
{
	return -EPERM;
}

WEAK int task_ptrace_may_access(struct task *t, struct task *target, bool attach)
{
	return -EPERM;
}

WEAK struct fd_table *task_files_get(struct task *t)
{
	return NULL;
}

WEAK struct task *task_get(struct task *t)
{
	ref_get(&t->ref);
	return t;
}

WEAK struct thread_group *tg_get(struct thread_group *tg)
{
	ref_get(&tg->ref);
	return tg;
}
