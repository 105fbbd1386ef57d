/* SPDX-License-Identifier: Apache-2.0 */
/* A task good enough for the VFS: credentials, descriptor table, a tmpfs as its root. No memory, no thread. */
#ifndef TESTS_FAKES_FAKE_FS_H
#define TESTS_FAKES_FAKE_FS_H

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"

struct task *fake_task_new(void); /* root; shares the one fake kernel, gets a fresh mount namespace */
void fake_task_free(struct task *t);
/* Becomes @uid:@gid without capabilities. */
void fake_task_setuid(struct task *t, uint32_t uid, uint32_t gid);

#endif
