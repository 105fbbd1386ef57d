/* SPDX-License-Identifier: Apache-2.0 */
/* Replacing a task's program. */
#ifndef SENTRY_KERNEL_EXEC_H
#define SENTRY_KERNEL_EXEC_H

#include "sentry/loader/loader.h"

/* execveat(2) with the strings already in Sentry memory. On success the calling task's mm and registers are the new program's and
 * SYS_NO_RETURN_VALUE is returned. Also used for the first program of a container (the task's thread has not started then). */
int64_t do_execve(struct task *t, int dfd, const char *path, struct arg_list *argv, struct arg_list *envp, int atflags);
void arg_list_done(struct arg_list *l);
_must_check_ int arg_list_add(struct arg_list *l, const char *s);

#endif
