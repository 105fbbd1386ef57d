/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NUMA system calls on one node: set_mempolicy, get_mempolicy, mbind, set_mempolicy_home_node, migrate_pages, move_pages.
 * Everything is on node 0 already, so what is left is checking, remembering and answering. Linux: mm/mempolicy.c, mm/migrate.c.
 * DEVIATION: of a node mask that is remembered as given, the first 64 bits are; a policy of shared memory is its mapping's.
 */
#include "sentry/kernel/pid.h"
#include "sentry/mm/mempolicy.h"
#include "sentry/syscalls/syscalls.h"

#define MAX_NODES	1024 /* CONFIG_NODES_SHIFT=10, as distributions have it */
#define MPOL_F_NODE	    1u
#define MPOL_F_ADDR	    2u
#define MPOL_F_MEMS_ALLOWED 4u
#define MF_STRICT   1u
#define MF_MOVE	    2u
#define MF_MOVE_ALL 4u

/* A node mask of @maxnode - 1 bits; bits beyond what the kernel can have must be clear. */
static int get_nodes(struct task *t, gaddr_t mask, uint64_t maxnode, uint64_t *ret)
{
	uint64_t w[MAX_NODES / 64] = { 0 }, extra = 0, n;
	int r;

	*ret = 0;
	maxnode--;
	if (maxnode == 0 || !mask.v)
		return 0;
	if (maxnode > PAGE_SIZE * 8)
		return -EINVAL;
	for (; maxnode > MAX_NODES; maxnode -= n) {
		n = (maxnode - 1) % 64 + 1;
		r = copy_in(t, &extra, gaddr_add(mask, (maxnode - 1) / 64 * 8), sizeof(extra));
		if (r < 0)
			return r;
		if (n < 64)
			extra &= (1ULL << n) - 1;
		if (extra)
			return -EINVAL;
	}
	n = (maxnode + 63) / 64;
	r = copy_in(t, w, mask, n * 8);
	if (r < 0)
		return r;
	if (maxnode % 64)
		w[n - 1] &= (1ULL << maxnode % 64) - 1;
	*ret = w[0];
	/* A node there cannot be, and something must be left for "not empty". */
	for (size_t i = 1; i < n; i++)
		if (w[i])
			*ret |= 1ULL << 63;
	return 0;
}

static int get_policy(struct task *t, uint32_t mode, gaddr_t mask, uint64_t maxnode, struct mempolicy *ret, uint64_t *ret_nodes)
{
	int r = mempolicy_mode(mode, ret);

	return r < 0 ? r : get_nodes(t, mask, maxnode, ret_nodes);
}

int64_t sys_set_mempolicy(struct task *t, const struct sys_args *a)
{
	struct mempolicy p;
	uint64_t nodes;
	int r = get_policy(t, ARG_U32(a, 0), ARG_ADDR(a, 1), a->a[2], &p, &nodes);

	if (r == 0)
		r = mempolicy_set_nodes(&p, nodes);
	if (r == 0)
		t->mpol = p;
	return r;
}

static int put_nodes(struct task *t, gaddr_t mask, uint64_t maxnode, uint64_t nodes)
{
	uint64_t copy = ALIGN_UP(maxnode - 1, 64) / 8;

	if (copy > 8) {
		if (copy > PAGE_SIZE)
			return -EINVAL;
		if (mm_zero_out(t->mm, gaddr_add(mask, 8), copy - 8) < 0)
			return -EFAULT;
		copy = 8;
	}
	return copy ? copy_out(t, mask, &nodes, copy) : 0;
}

int64_t sys_get_mempolicy(struct task *t, const struct sys_args *a)
{
	uint64_t flags = a->a[4], addr = a->a[3], nodes;
	struct mempolicy p = t->mpol;
	int32_t val;
	uint8_t byte;
	int r;

	if (a->a[1] && a->a[2] < 1)
		return -EINVAL;
	if (flags & ~(uint64_t)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if (flags & MPOL_F_MEMS_ALLOWED) {
		if (flags & (MPOL_F_NODE | MPOL_F_ADDR))
			return -EINVAL;
		val = 0;
		nodes = 1;
	} else {
		if (flags & MPOL_F_ADDR) {
			r = mm_mempolicy_at(t->mm, addr, &p);
			if (r < 0)
				return r;
		} else if (addr) {
			return -EINVAL;
		}
		val = (int32_t)(p.mode | p.flags);
		nodes = mempolicy_nodes(&p);
		if (flags & MPOL_F_NODE) {
			if (flags & MPOL_F_ADDR) {
				/* The page is brought in to see where it is. */
				if (mm_copy_in(t->mm, &byte, GADDR(addr), 1) < 0)
					return -EFAULT;
			} else if (p.mode != LINUX_MPOL_INTERLEAVE) {
				return -EINVAL;
			}
			val = 0;
		}
	}
	if (a->a[0] && copy_out(t, ARG_ADDR(a, 0), &val, sizeof(val)) < 0)
		return -EFAULT;
	return a->a[1] ? put_nodes(t, ARG_ADDR(a, 1), a->a[2], nodes) : 0;
}

static int range_of(uint64_t addr, uint64_t len, uint64_t *ret_len)
{
	uint64_t end;

	*ret_len = ALIGN_UP(len, PAGE_SIZE);
	return !IS_ALIGNED(addr, PAGE_SIZE) || add_overflow(addr, *ret_len, &end) ? -EINVAL : 0;
}

int64_t sys_mbind(struct task *t, const struct sys_args *a)
{
	uint32_t flags = ARG_U32(a, 5);
	struct mempolicy p;
	uint64_t nodes, len;
	int r = get_policy(t, ARG_U32(a, 2), ARG_ADDR(a, 3), a->a[4], &p, &nodes);

	if (r < 0)
		return r;
	if (flags & ~(MF_STRICT | MF_MOVE | MF_MOVE_ALL))
		return -EINVAL;
	if ((flags & MF_MOVE_ALL) && !task_capable(t, LINUX_CAP_SYS_NICE))
		return -EPERM;
	r = range_of(a->a[0], a->a[1], &len);
	if (r < 0 || len == 0)
		return r;
	r = mempolicy_set_nodes(&p, nodes);
	return r < 0 ? r : mm_mbind(t->mm, a->a[0], len, &p);
}

int64_t sys_set_mempolicy_home_node(struct task *t, const struct sys_args *a)
{
	uint64_t len;
	int r;

	if (!IS_ALIGNED(a->a[0], PAGE_SIZE) || a->a[3] || a->a[2] != 0)
		return -EINVAL;
	r = range_of(a->a[0], a->a[1], &len);
	return r < 0 || len == 0 ? r : mm_set_home_node(t->mm, a->a[0], len);
}

/* The task @pid names (0: the caller), if the caller may look into it. */
static int target(struct task *t, int pid, struct task **ret)
{
	struct task *o = pid ? task_find(t->k, task_pid_ns(t), pid) : task_get(t);

	if (!o)
		return -ESRCH;
	if (task_ptrace_may_access(t, o, false) < 0) {
		task_put(o);
		return -EPERM;
	}
	*ret = o;
	return 0;
}

int64_t sys_migrate_pages(struct task *t, const struct sys_args *a)
{
	uint64_t from, to;
	struct task *o;
	struct mm *mm;
	int r = get_nodes(t, ARG_ADDR(a, 2), a->a[1], &from);

	if (r == 0)
		r = get_nodes(t, ARG_ADDR(a, 3), a->a[1], &to);
	if (r == 0)
		r = target(t, ARG_INT(a, 0), &o);
	if (r < 0)
		return r;
	mm = task_mm_get(o);
	task_put(o);
	if ((to & ~1ULL) && !task_capable(t, LINUX_CAP_SYS_NICE))
		r = -EPERM;
	else if (!(to & 1) || !mm)
		r = -EINVAL;
	mm_put(mm);
	return r;
}

static int move_one(struct task *t, struct mm *mm, const struct sys_args *a, uint64_t i)
{
	gaddr_t nodes = ARG_ADDR(a, 3), status = ARG_ADDR(a, 4);
	int32_t node = 0, st;
	uint64_t addr;

	if (copy_in(t, &addr, gaddr_add(ARG_ADDR(a, 2), i * 8), sizeof(addr)) < 0 ||
	    (nodes.v && copy_in(t, &node, gaddr_add(nodes, i * 4), sizeof(node)) < 0))
		return -EFAULT;
	if (node != 0)
		return -ENODEV;
	st = mm_page_node(mm, addr);
	return copy_out(t, gaddr_add(status, i * 4), &st, sizeof(st));
}

int64_t sys_move_pages(struct task *t, const struct sys_args *a)
{
	uint32_t flags = ARG_U32(a, 5);
	struct task *o;
	struct mm *mm;
	int r;

	if (flags & ~(MF_MOVE | MF_MOVE_ALL))
		return -EINVAL;
	if ((flags & MF_MOVE_ALL) && !task_capable(t, LINUX_CAP_SYS_NICE))
		return -EPERM;
	r = target(t, ARG_INT(a, 0), &o);
	if (r < 0)
		return r;
	mm = task_mm_get(o);
	task_put(o);
	if (!mm)
		return -EINVAL;
	for (uint64_t i = 0; r == 0 && i < a->a[1]; i++)
		r = (i & 1023) == 1023 && atomic_load(&t->work) & WORK_SIGNAL ? -ERESTARTNOINTR : move_one(t, mm, a, i);
	mm_put(mm);
	return r;
}
