/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --strace: system calls, signals and exits in the debug log, in the form of strace(1).
 *
 * The rows of syscalls.def say what kinds of arguments a call has; a kind is a decoder (kinds.def). One call is one line; when another task prints
 * before it has ended, or it sleeps for a while, it becomes two: "<unfinished ...>" and "<... name resumed>".
 */
#ifndef SENTRY_SYSCALLS_STRACE_H
#define SENTRY_SYSCALLS_STRACE_H

#include "sentry/syscalls/syscalls.h"

extern bool strace_on;

/*
 * Switches tracing on. @calls: names separated by commas, "!" before the first to trace all others; %file, %desc, %network, %memory, %process,
 * %signal, %ipc are classes; NULL or "": all. @comms: trace only tasks with one of these names; NULL or "": all. -EINVAL: an unknown name.
 */
_must_check_ int strace_setup(const char *calls, const char *comms);

void strace_enter(struct task *t, uint64_t nr, const struct sys_args *a);
void strace_exit(struct task *t, uint64_t nr, const struct sys_args *a, int64_t ret);
/* The current call has slept for a while: shows its beginning. Own thread, no lock but leaves of the task. */
void strace_blocked(struct task *t);
void strace_fault(struct task *t, const struct plat_trap *trap, const struct linux_siginfo *si);
void strace_signal(struct task *t, int sig, const struct linux_siginfo *si);
/* The own thread ends with wait status @status. */
void strace_task_exit(struct task *t, int status);

/* The call that @t is in, decoded as far as it can be from outside; malloc'd, or NULL. @t is referenced and has memory. */
char *strace_describe(struct task *t, uint64_t nr, const uint64_t args[6]);

#endif
