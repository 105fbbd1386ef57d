/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_fs.h"

#include <stdlib.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/fs/tmpfs/tmpfs.h"

static struct kernel kernel;
static struct pid_ns root_ns = { .ref = { 1 } };

struct task *fake_task_new(void)
{
	struct task *t = calloc(1, sizeof(*t));
	struct super_block *sb = NULL;
	struct path root;

	if (!the_kernel) {
		if (memfile_new(&kernel.mf) < 0)
			abort();
		the_kernel = &kernel;
		mutex_init(&kernel.tasks_mu, "kernel.tasks_mu");
		list_init(&kernel.groups);
		list_init(&kernel.containers);
	}
	ref_init(&t->ref);
	mutex_init(&t->alloc_mu, "task.alloc_mu");
	t->k = the_kernel;
	t->tg = calloc(1, sizeof(*t->tg));
	mutex_init(&t->tg->limits_mu, "tg.limits_mu");
	for (int n = 0; n < LINUX_RLIM_NLIMITS; n++)
		t->tg->rlim[n] = (struct linux_rlimit64){ UINT64_MAX, UINT64_MAX };
	t->tg->rlim[7] = (struct linux_rlimit64){ 1024, 1024 };
	t->tg->pid = calloc(1, sizeof(*t->tg->pid));
	ref_init(&t->tg->pid->ref);
	t->tg->pid->n[0].nr = 1;
	t->tg->pid->n[0].ns = &root_ns;
	t->pid = t->tg->pid;
	t->tg->k = the_kernel;
	t->tg->leader = t;
	list_init(&t->tg->tasks);
	list_add_tail(&t->tg->tasks, &t->tg_node);
	sigpending_init(&t->tg->pending);
	sigpending_init(&t->pending);
	mutex_init(&t->park_mu, "task.park_mu");
	cond_init(&t->park_cv);
	t->sighand = sighand_new();
	current_task = t;
	t->cred = calloc(1, sizeof(*t->cred));
	ref_init(&t->cred->ref);
	t->cred->cap_eff = t->cred->cap_perm = t->cred->cap_bset = LINUX_CAP_FULL;
	t->files = fd_table_new();
	t->ns = calloc(1, sizeof(*t->ns));
	if (tmpfs_new(the_kernel, 0755, 0, 0, &sb) < 0 || mnt_ns_new(the_kernel, sb, 0, "none", &t->ns->mnt) < 0)
		abort();
	sb_put(sb);
	mnt_ns_root(t->ns->mnt, &root);
	t->fs = fs_ctx_new(&root, &root, 022);
	path_put(&root);
	return t;
}

void fake_task_free(struct task *t)
{
	fd_table_put(t->files, t);
	fs_ctx_put(t->fs);
	mnt_ns_put(t->ns->mnt);
	if (t->cred)
		cred_put(t->cred);
	free(t->ns);
	sigpending_flush(&t->pending, ~0ull);
	sigpending_flush(&t->tg->pending, ~0ull);
	sighand_put(t->sighand);
	free(t->tg->pid);
	free(t->tg);
	free(t);
}

void fake_task_setuid(struct task *t, uint32_t uid, uint32_t gid)
{
	t->cred->uid = t->cred->euid = t->cred->suid = t->cred->fsuid = uid;
	t->cred->gid = t->cred->egid = t->cred->sgid = t->cred->fsgid = gid;
	t->cred->cap_eff = uid ? 0 : LINUX_CAP_FULL;
}
