/* SPDX-License-Identifier: Apache-2.0 */
/* What sentry/mm knows about tasks and the kernel object: contexts, limits, capabilities. */
#include <string.h>

#include "sentry/arch/insn.h"
#include "sentry/fs/aio.h"
#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm_internal.h"

#define CAP_IPC_LOCK_NR 14

static __thread struct {
	const struct mm *mm;
	struct plat_ctx *self;
} bound;

void mm_bind_thread(struct mm *mm, struct plat_ctx *self)
{
	bound.mm = mm;
	bound.self = self;
}

struct plat_ctx *mm_self(const struct mm *mm, struct plat_ctx *self)
{
	if (self)
		return self;
	return bound.mm == mm ? bound.self : NULL;
}

struct plat_ctx *mm_task_ctx(const struct mm *mm, const struct task *t)
{
	return t && t->mm == mm ? t->pctx : NULL;
}

uint64_t mm_stack_limit(const struct mm *mm)
{
	return current_task && current_task->mm == mm ? task_rlimit(current_task, LINUX_RLIMIT_STACK) : mm->stack_limit;
}

bool mm_fault_writes(struct mm *mm)
{
	struct task *t = current_task;
	const struct arch_regs *r;
	uint8_t code[INSN_MAX];
	size_t n;

	if (!t || t->mm != mm || t->trap.event != PLAT_FAULT)
		return false;
	r = &t->k->pops->regs(t->pctx, false)->r;
	n = mm_copy_in_some(mm, code, GADDR(r->rip), sizeof(code));
	return insn_writes(code, n, r, t->trap.addr);
}

uint64_t mm_task_rlimit(const struct task *t, int resource)
{
	return t ? task_rlimit(t, resource) : UINT64_MAX;
}

bool mm_task_may_lock(const struct task *t)
{
	return !t || task_capable((struct task *)(uintptr_t)t, CAP_IPC_LOCK_NR);
}

struct memfile *kernel_memfile(struct kernel *k)
{
	return k->mf;
}

struct file *mm_file_get(struct file *f)
{
	return f ? file_get(f) : NULL;
}

void mm_file_put(struct file *f)
{
	if (f)
		file_put(f);
}

void mm_random(void *buf, size_t n)
{
	kernel_random(buf, n);
}

void mm_file_stat(struct file *f, struct kstat *ret)
{
	inode_fill_kstat(f->inode, ret);
}

struct list *mm_aio(struct mm *mm)
{
	return &mm->aio;
}

void mm_aio_exit(struct mm *mm)
{
	aio_exit(mm);
}
