/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of system calls (syscalls.def) and their signature.
 *
 * A handler unpacks and checks its arguments, calls typed workers and returns the value or a negative errno (or an internal restart code
 * of abi/restart.h). Handlers live in sentry/syscalls/sys_<area>.c, or beside their object when that is shorter.
 * A row without a handler in this build answers -ENOSYS and is logged once.
 */
#ifndef SENTRY_SYSCALLS_SYSCALLS_H
#define SENTRY_SYSCALLS_SYSCALLS_H

#include "sentry/kernel/task.h"

struct sys_args {
	uint64_t a[6];
};

#define ARG_INT(args, i)  ((int)(args)->a[i])
#define ARG_U32(args, i)  ((uint32_t)(args)->a[i])
#define ARG_ADDR(args, i) GADDR((args)->a[i])

typedef int64_t (*sys_fn)(struct task *t, const struct sys_args *a);

#define SYSCALL(nr, name, kinds) int64_t sys_##name(struct task *t, const struct sys_args *a);
#include "sentry/syscalls/syscalls.def"
#undef SYSCALL

/* Runs system call @nr; the result may be a restart code. */
int64_t syscall_dispatch(struct task *t, uint64_t nr, const struct sys_args *a);
const char *syscall_name(uint64_t nr); /* "?" for unknown */
const char *syscall_kinds(uint64_t nr); /* "" for unknown */

#endif
