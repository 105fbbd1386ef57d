/* SPDX-License-Identifier: Apache-2.0 */
/* Another process's memory by pidfd: process_madvise, process_mrelease. Linux: mm/madvise.c, mm/oom_kill.c. */
#include "sentry/abi/mman.h"
#include "sentry/fs/pidfd.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/syscalls/syscalls.h"

static int pidfd_task(struct task *t, int fd, struct task **ret)
{
	struct pid *pid;
	int r = pidfd_get_pid(t, fd, &pid, NULL);

	if (r < 0)
		return r;
	mutex_lock(&t->k->tasks_mu);
	*ret = pid->tg ? task_get(pid->tg->leader) : pid->task ? task_get(pid->task) : NULL;
	mutex_unlock(&t->k->tasks_mu);
	pid_put(pid);
	return *ret ? 0 : -ESRCH;
}

/* Advice that loses nothing. */
static bool advice_ok(int advice)
{
	return advice == LINUX_MADV_COLD || advice == LINUX_MADV_PAGEOUT || advice == LINUX_MADV_WILLNEED || advice == LINUX_MADV_COLLAPSE;
}

static int64_t advise(struct task *t, struct mm *mm, const struct uio *u, int advice)
{
	int64_t done = 0, r = 0;

	for (size_t i = 0; r >= 0 && i < u->nr_iov; i++) {
		r = mm_madvise(mm, t, u->iov[i].iov_base, u->iov[i].iov_len, advice);
		if (r >= 0)
			done += (int64_t)u->iov[i].iov_len;
	}
	return done ? done : r;
}

int64_t sys_process_madvise(struct task *t, const struct sys_args *a)
{
	int advice = ARG_INT(a, 3);
	struct mm *mm = NULL;
	struct task *o;
	struct uio u;
	int64_t r;

	if (ARG_U32(a, 4))
		return -EINVAL;
	r = uio_user_iov(&u, t->mm, ARG_ADDR(a, 1), a->a[2]);
	if (r < 0)
		return r;
	r = pidfd_task(t, ARG_INT(a, 0), &o);
	if (r < 0)
		goto out;
	if (!advice_ok(advice)) {
		r = -EINVAL;
		goto out_task;
	}
	mm = task_mm_get(o);
	r = mm ? task_ptrace_may_access(t, o, false) : -ESRCH;
	if (r == 0 && !task_capable(t, LINUX_CAP_SYS_NICE))
		r = -EPERM;
	if (r == 0)
		r = advise(t, mm, &u, advice);
	mm_put(mm);
out_task:
	task_put(o);
out:
	uio_done(&u);
	return r;
}

int64_t sys_process_mrelease(struct task *t, const struct sys_args *a)
{
	struct task *o;
	struct mm *mm;
	bool dying;
	int r;

	if (ARG_U32(a, 1))
		return -EINVAL;
	r = pidfd_task(t, ARG_INT(a, 0), &o);
	if (r < 0)
		return r;
	mm = task_mm_get(o);
	dying = __atomic_load_n(&o->tg->group_exiting, __ATOMIC_ACQUIRE) ||
		(__atomic_load_n(&o->tg->pending.set, __ATOMIC_ACQUIRE) | __atomic_load_n(&o->pending.set, __ATOMIC_ACQUIRE)) & SIGBIT(SIGKILL);
	/* Another process that goes on may have the same memory. */
	if (mm && mm_users(mm) > __atomic_load_n(&o->tg->nr_tasks, __ATOMIC_RELAXED))
		dying = false;
	task_put(o);
	if (!mm)
		return -ESRCH;
	if (!dying)
		r = -EINVAL;
	else
		mm_reap(mm);
	mm_put(mm);
	return r;
}
