/* SPDX-License-Identifier: Apache-2.0 */
/* prctl(PR_SET_MM). */
#ifndef SENTRY_SYSCALLS_SYS_PRCTL_MM_H
#define SENTRY_SYSCALLS_SYS_PRCTL_MM_H

#include "sentry/syscalls/syscalls.h"

int64_t prctl_set_mm(struct task *t, const struct sys_args *a);

#endif
