/* SPDX-License-Identifier: Apache-2.0 */
/* What a program file makes of the credentials of who executes it. */
#ifndef SENTRY_KERNEL_EXEC_CRED_H
#define SENTRY_KERNEL_EXEC_CRED_H

#include "sentry/kernel/task.h"

struct file;

/* The credentials @t has after executing @f, by set-id bits, file capabilities and the capability rules of capabilities(7). *@ret_secure: AT_SECURE;
 * *@ret_undumpable: other processes of the user may not look at it. -EPERM: a program that needs capabilities its caller cannot get. */
_must_check_ int exec_cred(struct task *t, struct file *f, struct cred **ret, bool *ret_secure, bool *ret_undumpable);

/* Checks the value of an extended attribute security.capability: -EINVAL. */
_must_check_ int file_caps_check(const void *val, size_t size);

#endif
