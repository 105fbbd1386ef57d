/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel object's small services. Its making, saving and loading are in sentry.c and kernel_state.c. */
#include "sentry/kernel/kernel.h"

#include <string.h>
#include <sys/random.h>

struct kernel *the_kernel;

uint64_t kernel_next_ino(struct kernel *k)
{
	return atomic_fetch_add_explicit(&k->next_ino, 1, memory_order_relaxed);
}

void kernel_random(void *buf, size_t n)
{
	uint8_t *p = buf;

	while (n) {
		ssize_t r = getrandom(p, MIN(n, (size_t)256), 0);

		if (r > 0) {
			p += r;
			n -= (size_t)r;
		} else if (errno != EINTR) {
			abort(); /* a kernel that would hand out predictable secrets must not run */
		}
	}
}

void kernel_defer_put(struct kernel *k, struct task *leader, struct thread_group *tg)
{
	mutex_assert_held(&k->tasks_mu);
	tg->deferred_leader = leader;
	list_add_tail(&k->deferred, &tg->all_node);
}

void kernel_run_deferred(struct kernel *k)
{
	struct list todo, tasks;

	list_init(&todo);
	list_init(&tasks);
	mutex_lock(&k->tasks_mu);
	list_splice_tail(&todo, &k->deferred);
	list_splice_tail(&tasks, &k->deferred_tasks);
	mutex_unlock(&k->tasks_mu);
	while (!list_empty(&tasks)) {
		struct task *t = list_first(&tasks, struct task, tg_node);

		list_del(&t->tg_node);
		task_put(t);
	}
	while (!list_empty(&todo)) {
		struct thread_group *tg = list_first(&todo, struct thread_group, all_node);
		struct task *leader = tg->deferred_leader;

		list_del(&tg->all_node);
		tg->deferred_leader = NULL;
		task_put(leader);
		tg_put(tg);
	}
}
