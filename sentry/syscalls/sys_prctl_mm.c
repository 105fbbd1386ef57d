/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prctl(PR_SET_MM): the addresses that /proc shows, one by one (CAP_SYS_RESOURCE) or all at once (checkpoint tools). Linux: kernel/sys.c.
 * They decide what /proc/pid/{cmdline,environ,stat,exe,auxv} read and where brk(2) begins, and are checked for order, not for truth.
 */
#include "sentry/syscalls/sys_prctl_mm.h"

#include <string.h>

#include "sentry/abi/mman.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/kernel.h"

enum {
	START_CODE = 1,
	END_CODE,
	START_DATA,
	END_DATA,
	START_STACK,
	START_BRK,
	BRK,
	ARG_START,
	ARG_END,
	ENV_START,
	ENV_END,
	AUXV,
	EXE_FILE,
	MAP,
	MAP_SIZE,
};

/* struct prctl_mm_map */
struct mm_map {
	uint64_t a[11]; /* START_CODE to ENV_END, in Linux's order of the structure */
	uint64_t auxv;
	uint32_t auxv_size, exe_fd;
};

/* Places in mm_map.a: start_code end_code start_data end_data start_brk brk start_stack arg_start arg_end env_start env_end. */
enum { A_START_CODE, A_END_CODE, A_START_DATA, A_END_DATA, A_START_BRK, A_BRK, A_START_STACK, A_ARG_START, A_ARG_END, A_ENV_START, A_ENV_END };
static const int8_t place[] = {
	[START_CODE] = A_START_CODE, [END_CODE] = A_END_CODE, [START_DATA] = A_START_DATA, [END_DATA] = A_END_DATA,
	[START_STACK] = A_START_STACK, [START_BRK] = A_START_BRK, [BRK] = A_BRK, [ARG_START] = A_ARG_START, [ARG_END] = A_ARG_END,
	[ENV_START] = A_ENV_START, [ENV_END] = A_ENV_END,
};

static void read_map(struct mm *mm, struct mm_map *m)
{
	const struct mm_layout *l = mm_layout(mm);
	const uint64_t a[] = { l->start_code, l->end_code, l->start_data, l->end_data, l->start_brk, mm_brk_end(mm),
			       l->start_stack, l->arg_start, l->arg_end, l->env_start, l->env_end };

	memcpy(m->a, a, sizeof(a));
}

static void write_map(struct mm *mm, const struct mm_map *m)
{
	struct mm_layout *l = mm_layout(mm);

	l->start_code = m->a[A_START_CODE];
	l->end_code = m->a[A_END_CODE];
	l->start_data = m->a[A_START_DATA];
	l->end_data = m->a[A_END_DATA];
	l->start_stack = m->a[A_START_STACK];
	l->arg_start = m->a[A_ARG_START];
	l->arg_end = m->a[A_ARG_END];
	l->env_start = m->a[A_ENV_START];
	l->env_end = m->a[A_ENV_END];
	mm_move_brk(mm, m->a[A_START_BRK], m->a[A_BRK]);
}

static int check_map(struct task *t, const struct mm_map *m)
{
	uint64_t limit = task_rlimit(t, LINUX_RLIMIT_DATA), data;

	for (size_t i = 0; i < ARRAY_SIZE(m->a); i++)
		if (m->a[i] >= LINUX_TASK_SIZE_MAX || m->a[i] < LINUX_MMAP_MIN_ADDR)
			return -EINVAL;
	if (m->a[A_START_CODE] >= m->a[A_END_CODE] || m->a[A_START_DATA] > m->a[A_END_DATA] || m->a[A_START_BRK] > m->a[A_BRK] ||
	    m->a[A_ARG_START] > m->a[A_ARG_END] || m->a[A_ENV_START] > m->a[A_ENV_END])
		return -EINVAL;
	data = m->a[A_BRK] - m->a[A_START_BRK] + (m->a[A_END_DATA] - m->a[A_START_DATA]);
	return limit != LINUX_RLIM_INFINITY && data > limit ? -EINVAL : 0;
}

static int set_exe(struct task *t, int fd)
{
	_cleanup_file_ struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	if (!f->inode || (f->inode->mode & LINUX_S_IFMT) != LINUX_S_IFREG || inode_permission(f->inode, t, t->cred, MAY_EXEC) < 0)
		return -EACCES;
	if (mm_exe_mapped(t->mm))
		return -EBUSY;
	mm_set_exe_file(t->mm, f);
	return 0;
}

static int set_auxv(struct task *t, gaddr_t from, uint64_t size)
{
	struct mm_layout *l = mm_layout(t->mm);
	uint64_t auxv[ARRAY_SIZE(l->auxv)] = { 0 };

	if (size > sizeof(auxv))
		return -EINVAL;
	if (copy_in(t, auxv, from, size) < 0)
		return -EFAULT;
	/* Its end is the kernel's, whatever the caller says. */
	auxv[ARRAY_SIZE(auxv) - 2] = auxv[ARRAY_SIZE(auxv) - 1] = 0;
	memcpy(l->auxv, auxv, sizeof(auxv));
	return 0;
}

static int64_t set_all(struct task *t, gaddr_t from, uint64_t size)
{
	struct mm_map m;
	int r;

	if (size != sizeof(m))
		return -EINVAL;
	if (copy_in(t, &m, from, sizeof(m)) < 0)
		return -EFAULT;
	r = check_map(t, &m);
	if (r == 0 && m.auxv_size && (!m.auxv || m.auxv_size > sizeof(mm_layout(t->mm)->auxv)))
		r = -EINVAL;
	if (r == 0 && m.exe_fd != UINT32_MAX)
		r = task_capable(t, LINUX_CAP_SYS_ADMIN) || task_capable(t, LINUX_CAP_CHECKPOINT_RESTORE) ? set_exe(t, (int)m.exe_fd) : -EPERM;
	if (r == 0 && m.auxv_size)
		r = set_auxv(t, GADDR(m.auxv), m.auxv_size);
	if (r == 0)
		write_map(t->mm, &m);
	return r;
}

int64_t prctl_set_mm(struct task *t, const struct sys_args *a)
{
	int opt = ARG_INT(a, 1);
	uint64_t addr = a->a[2];
	uint32_t size = sizeof(struct mm_map);
	struct mm_map m;
	bool mapped;
	int r;

	if (a->a[4] || (a->a[3] && opt != AUXV && opt != MAP && opt != MAP_SIZE))
		return -EINVAL;
	if (opt == MAP_SIZE)
		return copy_out(t, GADDR(addr), &size, sizeof(size));
	if (opt == MAP)
		return set_all(t, GADDR(addr), a->a[3]);
	if (!task_capable(t, LINUX_CAP_SYS_RESOURCE))
		return -EPERM;
	if (opt == EXE_FILE)
		return set_exe(t, (int)addr);
	if (opt == AUXV)
		return set_auxv(t, GADDR(addr), a->a[3]);
	if (addr >= LINUX_TASK_SIZE_MAX || addr < LINUX_MMAP_MIN_ADDR || opt < START_CODE || opt > ENV_END)
		return -EINVAL;
	mapped = mm_mapped_above(t->mm, addr);
	read_map(t->mm, &m);
	m.a[place[opt]] = addr;
	r = check_map(t, &m);
	if (r < 0)
		return r;
	if (!mapped && (opt == START_STACK || (opt >= ARG_START && opt <= ENV_END)))
		return -EFAULT;
	write_map(t->mm, &m);
	return 0;
}
