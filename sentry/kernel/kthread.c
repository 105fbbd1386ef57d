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
