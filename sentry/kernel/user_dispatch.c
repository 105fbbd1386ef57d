/* SPDX-License-Identifier: Apache-2.0 */
/* Syscall user dispatch. Contract in user_dispatch.h. */
#include "sentry/kernel/user_dispatch.h"

#include "sentry/kernel/exit.h"
#include "sentry/kernel/kernel.h"

#define SYS_USER_DISPATCH_L 2 /* si_code of SIGSYS */
#define AUDIT_ARCH_L	    0xc000003eu /* AUDIT_ARCH_X86_64 */

enum { DISPATCH_OFF, DISPATCH_ON };
enum { SELECTOR_ALLOW, SELECTOR_BLOCK };

int user_dispatch_set(struct task *t, uint64_t mode, uint64_t start, uint64_t len, uint64_t selector)
{
	switch (mode) {
	case DISPATCH_OFF:
		if (start || len || selector)
			return -EINVAL;
		break;
	case DISPATCH_ON:
		/* No empty range and none that wraps, but a zero start may have any length. */
		if (start && start + len <= start)
			return -EINVAL;
		if (selector >= t->k->pcaps.max_addr)
			return -EFAULT;
		break;
	default:
		return -EINVAL;
	}
	t->dispatch = (struct user_dispatch){ .on = mode == DISPATCH_ON, .start = start, .len = len, .selector = selector };
	return 0;
}

bool user_dispatch_enter(struct task *t)
{
	const struct user_dispatch *d = &t->dispatch;
	struct linux_siginfo si = { .si_signo = SIGSYS, .si_code = SYS_USER_DISPATCH_L };
	uint8_t selector = SELECTOR_BLOCK;

	if (t->trap.ip - d->start < d->len)
		return true;
	if (d->selector) {
		if (copy_in(t, &selector, GADDR(d->selector), sizeof(selector)) < 0)
			task_exit_group(t, SIGSEGV);
		if (selector == SELECTOR_ALLOW)
			return true;
		if (selector != SELECTOR_BLOCK)
			task_exit_group(t, SIGSYS);
	}
	/* The registers as they were before the call: the handler's return makes it again, or emulates it. */
	t->k->pops->regs(t->pctx, true)->r.rax = t->sysctx.nr;
	si.sys.call_addr = t->trap.ip;
	si.sys.syscall = (int32_t)t->sysctx.nr;
	si.sys.arch = AUDIT_ARCH_L;
	signal_force(t, &si);
	return false;
}
