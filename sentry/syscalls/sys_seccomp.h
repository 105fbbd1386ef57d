/* SPDX-License-Identifier: Apache-2.0 */
/* The older door to seccomp. */
#ifndef SENTRY_SYSCALLS_SYS_SECCOMP_H
#define SENTRY_SYSCALLS_SYS_SECCOMP_H

#include "sentry/kernel/task.h"

/* prctl(PR_SET_SECCOMP, @mode, @addr): as seccomp(2) without flags. */
int64_t prctl_set_seccomp(struct task *t, uint64_t mode, gaddr_t addr);

#endif
