/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits. Guarded by tg.limits_mu; RLIMIT_CPU also concerns the CPU timers. Linux: kernel/sys.c. */
#include "sentry/kernel/itimer.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/user_ns.h"
#include "sentry/syscalls/syscalls.h"

#define NR_OPEN_MAX 1048576

/* Gets the old limits and sets new ones (@nw may be NULL). */
static int64_t do_prlimit(struct task *t, struct thread_group *tg, uint32_t res, const struct linux_rlimit64 *nw, struct linux_rlimit64 *old)
{
	struct linux_rlimit64 *l;
	int64_t r = 0;

	if (res >= LINUX_RLIM_NLIMITS)
		return -EINVAL;
	if (nw && nw->cur > nw->max)
		return -EINVAL;
	if (nw && res == LINUX_RLIMIT_NOFILE && nw->max > NR_OPEN_MAX)
		return -EPERM;
	mutex_lock(&t->k->tasks_mu);
	mutex_lock(&tg->limits_mu);
	l = &tg->rlim[res];
	*old = *l;
	if (nw && nw->max > l->max && !task_capable(t, LINUX_CAP_SYS_RESOURCE))
		r = -EPERM;
	else if (nw)
		*l = *nw;
	mutex_unlock(&tg->limits_mu);
	if (r == 0 && nw && res == LINUX_RLIMIT_CPU)
		itimers_rlimit_changed(tg);
	mutex_unlock(&t->k->tasks_mu);
	return r;
}

static int prlimit_permission(struct task *t, struct task *o)
{
	const struct cred *c = t->cred;
	struct cred *oc;
	bool same;

	if (t->tg == o->tg)
		return 0;
	oc = task_cred_get(o);
	same = oc && c->uid == oc->euid && c->uid == oc->suid && c->uid == oc->uid && c->gid == oc->egid && c->gid == oc->sgid &&
	       c->gid == oc->gid;
	same = same || (oc && cred_ns_capable(c, oc->user_ns, LINUX_CAP_SYS_RESOURCE));
	cred_put(oc);
	return same ? 0 : -EPERM;
}

int64_t sys_prlimit64(struct task *t, const struct sys_args *a)
{
	struct linux_rlimit64 nw, old;
	struct task *o;
	int64_t r;

	if (a->a[2] && copy_in(t, &nw, ARG_ADDR(a, 2), sizeof(nw)) < 0)
		return -EFAULT;
	o = ARG_INT(a, 0) ? task_find(t->k, task_pid_ns(t), ARG_INT(a, 0)) : task_get(t);
	if (!o)
		return -ESRCH;
	r = prlimit_permission(t, o);
	if (r == 0)
		r = do_prlimit(t, o->tg, ARG_U32(a, 1), a->a[2] ? &nw : NULL, &old);
	task_put(o);
	if (r == 0 && a->a[3])
		r = copy_out(t, ARG_ADDR(a, 3), &old, sizeof(old));
	return r;
}

int64_t sys_getrlimit(struct task *t, const struct sys_args *a)
{
	struct linux_rlimit64 old;
	int64_t r = do_prlimit(t, t->tg, ARG_U32(a, 0), NULL, &old);

	return r < 0 ? r : copy_out(t, ARG_ADDR(a, 1), &old, sizeof(old));
}

int64_t sys_setrlimit(struct task *t, const struct sys_args *a)
{
	struct linux_rlimit64 nw, old;

	if (copy_in(t, &nw, ARG_ADDR(a, 1), sizeof(nw)) < 0)
		return -EFAULT;
	return do_prlimit(t, t->tg, ARG_U32(a, 0), &nw, &old);
}
