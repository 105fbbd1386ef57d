/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Robust futex lists: at its end a task marks the locks it holds as abandoned and wakes one waiter each. The list is the application's:
 * every pointer is hostile, the walk is bounded. Linux: exit_robust_list() in kernel/futex/core.c.
 */
#include "sentry/kernel/futex_internal.h"

#define ROBUST_LIST_LIMIT 2048
#define ROBUST_HEAD_SIZE  24

struct robust_head {
	uint64_t next;
	int64_t futex_offset;
	uint64_t pending;
};
_Static_assert(sizeof(struct robust_head) == ROBUST_HEAD_SIZE, "robust_list_head layout");

static int handle_death(struct task *t, uint64_t uaddr, bool pi, bool pending_op)
{
	uint32_t tid = (uint32_t)pid_nr(t->pid, t), cur, seen;
	int r;

	if (uaddr & 3)
		return -EINVAL;
	r = mm_load_u32(t->mm, GADDR(uaddr), &cur);
	if (r < 0)
		return r;
	/* It died between taking a woken-up lock's turn and writing its word: pass the wake-up on. */
	if (pending_op && !pi && !cur) {
		futex_wake_addr(t, GADDR(uaddr), 1);
		return 0;
	}
	for (;;) {
		if ((cur & FUTEX_L_TID_MASK) != tid)
			return 0;
		r = mm_cmpxchg_u32(t->mm, GADDR(uaddr), cur, (cur & FUTEX_L_WAITERS) | FUTEX_L_OWNER_DIED, &seen);
		if (r < 0)
			return r;
		if (seen == cur)
			break;
		cur = seen;
	}
	if (!pi && (cur & FUTEX_L_WAITERS))
		futex_wake_addr(t, GADDR(uaddr), 1);
	return 0;
}

void futex_robust_exit(struct task *t)
{
	struct robust_head h;
	uint64_t head = t->robust_list, entry, next;
	bool pi;

	t->robust_list = 0;
	if (!head || copy_in(t, &h, GADDR(head), sizeof(h)) < 0)
		return;
	entry = h.next;
	for (int n = 0; (entry & ~1ULL) != head && n < ROBUST_LIST_LIMIT; n++) {
		/* Read on before the entry is changed: its owner may free it at once. */
		int r = copy_in(t, &next, GADDR(entry & ~1ULL), sizeof(next));

		pi = entry & 1;
		if ((entry & ~1ULL) != (h.pending & ~1ULL) &&
		    handle_death(t, (entry & ~1ULL) + (uint64_t)h.futex_offset, pi, false) < 0)
			return;
		if (r < 0)
			return;
		entry = next;
	}
	if (h.pending & ~1ULL)
		(void)handle_death(t, (h.pending & ~1ULL) + (uint64_t)h.futex_offset, h.pending & 1, true);
}

int64_t sys_set_robust_list(struct task *t, const struct sys_args *a)
{
	if (a->a[1] != ROBUST_HEAD_SIZE)
		return -EINVAL;
	t->robust_list = a->a[0];
	return 0;
}

int64_t sys_get_robust_list(struct task *t, const struct sys_args *a)
{
	uint64_t head = t->robust_list, len = ROBUST_HEAD_SIZE;
	int r;

	if (ARG_INT(a, 0)) {
		struct task *o = task_find(t->k, task_pid_ns(t), ARG_INT(a, 0));

		if (!o)
			return -ESRCH;
		r = o == t ? 0 : task_ptrace_may_access(t, o, false);
		head = o->robust_list;
		task_put(o);
		if (r < 0)
			return -EPERM;
	}
	r = copy_out(t, ARG_ADDR(a, 2), &len, sizeof(len));
	return r < 0 ? r : copy_out(t, ARG_ADDR(a, 1), &head, sizeof(head));
}
