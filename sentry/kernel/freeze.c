/* SPDX-License-Identifier: Apache-2.0 */
/* Freeze and thaw. See freeze.h. Locks: tasks_mu > freeze_mu. */
#include "sentry/kernel/freeze.h"

#include "sentry/kernel/kthread.h"

void freeze_task_started(struct task *t)
{
	struct kernel *k = t->k;

	mutex_lock(&k->freeze_mu);
	k->nr_running++;
	if (k->freeze_depth)
		atomic_fetch_or(&t->work, WORK_FREEZE);
	mutex_unlock(&k->freeze_mu);
}

void freeze_task_gone(struct task *t)
{
	struct kernel *k = t->k;

	mutex_lock(&k->freeze_mu);
	k->nr_running--;
	cond_broadcast(&k->freeze_cv);
	mutex_unlock(&k->freeze_mu);
}

/*
 * Somebody who is not parked yet waits for @t to die: a thread in execve for its siblings, or the exiting init of its pid namespace. Staying
 * parked would keep the freeze waiting for them for ever.
 *
 *   freezer                     sibling                   execve
 *   waits for all to park       parks
 *                                                         kills siblings, waits for them
 *                               must_die: leaves, dies
 *                                                         goes on, parks
 */
static bool must_die(const struct task *t)
{
	const struct task *exec;

	if (t->kthread)
		return false;
	exec = __atomic_load_n(&t->tg->exec_task, __ATOMIC_ACQUIRE);
	if (exec && exec != t)
		return true;
	for (uint32_t l = 0; l <= t->pid->level; l++)
		if (t->pid->n[l].ns->init != t->tg && __atomic_load_n(&t->pid->n[l].ns->dying, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

void freeze_recheck(struct kernel *k)
{
	mutex_lock(&k->freeze_mu);
	cond_broadcast(&k->freeze_cv);
	mutex_unlock(&k->freeze_mu);
}

void task_park(struct task *t)
{
	struct kernel *k = t->k;

	/* Whoever saves the task looks at its registers from another thread: have them here. */
	if (t->pctx)
		(void)k->pops->regs(t->pctx, true);
	mutex_lock(&k->freeze_mu);
	if (k->freeze_depth) {
		t->parked = true;
		k->nr_parked++;
		cond_broadcast(&k->freeze_cv);
		while (k->freeze_depth && !must_die(t))
			cond_wait(&k->freeze_cv, &k->freeze_mu);
		k->nr_parked--;
		t->parked = false;
	}
	atomic_fetch_and(&t->work, ~WORK_FREEZE);
	mutex_unlock(&k->freeze_mu);
}

void kernel_freeze(struct kernel *k)
{
	struct thread_group *tg;
	struct task *t;
	bool first;

	mutex_lock(&k->tasks_mu);
	mutex_lock(&k->freeze_mu);
	first = k->freeze_depth++ == 0;
	mutex_unlock(&k->freeze_mu);
	if (first) {
		list_for_each(tg, &k->groups, all_node)
			list_for_each(t, &tg->tasks, tg_node)
				task_set_work(t, WORK_FREEZE);
		kthread_freeze_locked(k);
	}
	mutex_unlock(&k->tasks_mu);
	/* A callback may wait for a lock that a task holds until it parks, so timers stop only now. */
	if (first)
		ktimer_freeze();
	mutex_lock(&k->freeze_mu);
	while (k->nr_parked < k->nr_running)
		cond_wait(&k->freeze_cv, &k->freeze_mu);
	mutex_unlock(&k->freeze_mu);
}

void kernel_thaw(struct kernel *k)
{
	bool last;

	mutex_lock(&k->freeze_mu);
	last = --k->freeze_depth == 0;
	if (last)
		cond_broadcast(&k->freeze_cv);
	mutex_unlock(&k->freeze_mu);
	if (last)
		ktimer_thaw();
}
