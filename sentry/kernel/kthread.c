/* SPDX-License-Identifier: Apache-2.0 */
/* Helper threads of the kernel. See kthread.h. Linux: kernel/kthread.c, io_uring's PF_IO_WORKER threads. */
#include "sentry/kernel/kthread.h"

#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/kernel/freeze.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/run.h"
#include "sentry/kernel/task_new.h"

struct kthread {
	struct task *t;
	void (*fn)(struct task *t, void *arg);
	void *arg;
};

static void *kthread_main(void *arg)
{
	struct kthread *kt = arg;
	struct task *t = kt->t;
	struct kernel *k = t->k;

	current_task = t;
	kthread_park(t);
	kt->fn(t, kt->arg);
	kthread_drop(t);
	current_task = NULL;
	mutex_lock(&k->tasks_mu);
	list_del(&t->tg_node);
	mutex_unlock(&k->tasks_mu);
	freeze_task_gone(t);
	task_put(t); /* the thread's */
	task_put(t); /* the list's */
	free(kt);
	return NULL;
}

int kthread_start(struct kernel *k, const char *name, void (*fn)(struct task *t, void *arg), void *arg)
{
	struct kthread *kt = calloc(1, sizeof(*kt));
	struct task *t = kt ? task_alloc(k) : NULL;
	int r;

	if (!t) {
		free(kt);
		return -ENOMEM;
	}
	*kt = (struct kthread){ t, fn, arg };
	t->kthread = true;
	t->blocked = ~0ull;
	(void)strncpy(t->comm, name, sizeof(t->comm) - 1);
	mutex_lock(&k->tasks_mu);
	list_add_tail(&k->kthreads, &t->tg_node);
	mutex_unlock(&k->tasks_mu);
	r = task_start_thread(t, kthread_main, kt);
	if (r == 0)
		return 0;
	mutex_lock(&k->tasks_mu);
	list_del(&t->tg_node);
	mutex_unlock(&k->tasks_mu);
	task_put(t);
	free(kt);
	return r;
}

bool kthread_adopt(struct task *self, struct task *from, struct cred *cred)
{
	struct mm *mm = task_mm_get(from);
	struct fd_table *files = task_files_get(from);
	struct fs_ctx *fs = task_fs_get(from);
	struct nsproxy *ns = task_ns_get(from);

	kthread_drop(self);
	cred = cred ? cred_get(cred) : task_cred_get(from);
	mutex_lock(&self->alloc_mu);
	self->mm = mm;
	self->files = files;
	self->fs = fs;
	self->ns = ns;
	self->cred = cred;
	mutex_unlock(&self->alloc_mu);
	self->pid = pid_get(from->pid);
	self->tg = tg_get(from->tg);
	self->personality = from->personality;
	self->ioprio = from->ioprio;
	if (self->mm && self->files && self->fs && self->ns && self->cred) {
		mm_bind_thread(self->mm, NULL);
		return true;
	}
	kthread_drop(self);
	return false;
}

void kthread_drop(struct task *self)
{
	struct mm *mm;
	struct fd_table *files;
	struct fs_ctx *fs;
	struct nsproxy *ns;
	struct cred *cred;

	mm_bind_thread(NULL, NULL);
	mutex_lock(&self->alloc_mu);
	mm = TAKE_PTR(self->mm);
	files = TAKE_PTR(self->files);
	fs = TAKE_PTR(self->fs);
	ns = TAKE_PTR(self->ns);
	cred = TAKE_PTR(self->cred);
	mutex_unlock(&self->alloc_mu);
	/* The last one may close files, which happens as nobody in particular. */
	if (files)
		fd_table_put(files, NULL);
	fs_ctx_put(fs);
	nsproxy_put(ns);
	mm_put(mm);
	cred_put(cred);
	if (self->tg)
		tg_put(TAKE_PTR(self->tg));
	if (self->pid)
		pid_put(TAKE_PTR(self->pid));
}

void kthread_park(struct task *self)
{
	if (atomic_load(&self->work) & WORK_FREEZE)
		task_park(self);
}

void kthread_freeze_locked(struct kernel *k)
{
	struct task *t;

	mutex_assert_held(&k->tasks_mu);
	list_for_each(t, &k->kthreads, tg_node)
		task_set_work(t, WORK_FREEZE);
}

/* --- shared work --- */

static struct mutex kwork_mu = MUTEX_INIT("kwork"); /* below any waitq.mu; > task.park_mu */
static struct list kworks = LIST_INIT(kworks);
static struct task *kwork_task;
static bool kwork_starting;

void kwork_queue(struct kwork *w)
{
	mutex_lock(&kwork_mu);
	if (!list_linked(&w->node)) {
		list_add_tail(&kworks, &w->node);
		if (kwork_task)
			task_wake(kwork_task);
	}
	mutex_unlock(&kwork_mu);
}

void kwork_cancel(struct kwork *w)
{
	mutex_lock(&kwork_mu);
	list_del(&w->node);
	mutex_unlock(&kwork_mu);
}

static void kwork_main(struct task *self, void *arg)
{
	mutex_lock(&kwork_mu);
	kwork_task = self;
	mutex_unlock(&kwork_mu);
	for (;;) {
		struct kwork *w = NULL;

		kthread_park(self);
		task_block_prepare(self);
		mutex_lock(&kwork_mu);
		if (!list_empty(&kworks)) {
			w = list_first(&kworks, struct kwork, node);
			list_del(&w->node);
		}
		mutex_unlock(&kwork_mu);
		if (w)
			w->fn(w);
		else if (task_block(self, TIME_FOREVER) < 0)
			continue; /* a freeze: parks above */
	}
}

int kwork_start(struct kernel *k)
{
	bool start;
	int r;

	mutex_lock(&kwork_mu);
	start = !kwork_task && !kwork_starting;
	if (start)
		kwork_starting = true;
	mutex_unlock(&kwork_mu);
	if (!start)
		return 0;
	r = kthread_start(k, "kworker", kwork_main, NULL);
	if (r < 0) {
		mutex_lock(&kwork_mu);
		kwork_starting = false;
		mutex_unlock(&kwork_mu);
	}
	return r;
}

int kwork_restore(struct kernel *k)
{
	bool any;

	mutex_lock(&kwork_mu);
	any = !list_empty(&kworks);
	mutex_unlock(&kwork_mu);
	return any ? kwork_start(k) : 0;
}
