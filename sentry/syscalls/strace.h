/* SPDX-License-Identifier: Apache-2.0 */
/* --strace: prints system calls to the debug log, formatted from the argument kinds in syscalls.def. */
#ifndef SENTRY_SYSCALLS_STRACE_H
#define SENTRY_SYSCALLS_STRACE_H

#include "sentry/syscalls/syscalls.h"

extern bool strace_on;

void strace_enter(struct task *t, uint64_t nr, const struct sys_args *a);
void strace_exit(struct task *t, uint64_t nr, const struct sys_args *a, int64_t ret);
void strace_fault(struct task *t, const struct plat_trap *trap, const struct linux_siginfo *si);
void strace_signal(struct task *t, int sig, const struct linux_siginfo *si);

#endif
