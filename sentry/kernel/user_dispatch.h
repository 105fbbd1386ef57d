/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Syscall user dispatch, prctl(PR_SET_SYSCALL_USER_DISPATCH): calls made outside a range of addresses become SIGSYS while a byte of the
 * application says so. Emulators of other systems use it. Linux: kernel/entry/syscall_user_dispatch.c,
 * Documentation/admin-guide/syscall-user-dispatch.rst.
 *
 * One per thread, not inherited, forgotten by execve. Own thread only; saved with the task.
 */
#ifndef SENTRY_KERNEL_USER_DISPATCH_H
#define SENTRY_KERNEL_USER_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct task;

struct user_dispatch {
	bool on; /* saved: 1 */
	uint64_t start; /* saved: 2; calls from here and the next len bytes are never caught */
	uint64_t len; /* saved: 3 */
	uint64_t selector; /* saved: 4; address of the byte, 0: always */
};

/* The prctl: -EINVAL, -EFAULT. */
_must_check_ int user_dispatch_set(struct task *t, uint64_t mode, uint64_t start, uint64_t len, uint64_t selector);

/* A call has just trapped: may it go on? false: a signal is on its way instead. May not return (a bad selector is fatal). */
_must_check_ bool user_dispatch_enter(struct task *t);

#endif
