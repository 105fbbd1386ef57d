/* SPDX-License-Identifier: Apache-2.0 */
/* Core files: core(5). */
#ifndef SENTRY_KERNEL_COREDUMP_H
#define SENTRY_KERNEL_COREDUMP_H

#include "sentry/kernel/task.h"

/*
 * @t's group dies of @sig: ends the other threads and writes a core file as kernel.core_pattern and RLIMIT_CORE say. True when there is one. Files are those
 * of @t's own root and current directory, inside the sandbox. DEVIATION: a checkpoint in the middle of it ends the dump.
 */
bool core_dump(struct task *t, int sig, const struct linux_siginfo *info);
/* A thread of a group that dumps core exits: leaves its registers. On its own thread, sighand->mu held. */
void core_dump_thread_locked(struct task *t);

#endif
