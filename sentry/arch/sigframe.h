/* SPDX-License-Identifier: Apache-2.0 */
/* x86-64 signal frames. */
#ifndef SENTRY_ARCH_SIGFRAME_H
#define SENTRY_ARCH_SIGFRAME_H

#include "sentry/kernel/task.h"

/* Pushes an rt_sigframe for @sig and points the registers at the handler. @mask: what sigreturn restores. -EFAULT when the stack is
 * not writable. Own thread. */
_must_check_ int sigframe_push(struct task *t, int sig, const struct linux_sigaction *ka, const struct linux_siginfo *info,
			       sigset64_t mask);
/* rt_sigreturn: restores registers, FPU, mask and alternate stack from the frame at the stack pointer. -EFAULT: the frame is bad. */
_must_check_ int sigframe_pop(struct task *t);
/* As sigaltstack(2) reports it for stack pointer @sp: SS_ONSTACK, SS_DISABLE or 0, with SS_AUTODISARM. */
uint32_t altstack_flags(const struct sigaltstack *s, uint64_t sp);

#endif
