/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring(7). Objects, locks and what a checkpoint sees: README.md. */
#ifndef SENTRY_FS_URING_URING_H
#define SENTRY_FS_URING_URING_H

#include "sentry/fs/file.h"

struct task;
struct uring_task;

bool file_is_uring(const struct file *f);
/* @t gives its memory up (execve): its requests on every ring are cancelled. Or it @ends: those that wait for a file or a timer are cancelled
 * by that event, others at once; and with the whole @group its rings' polling threads end. Its registered rings are put. Own thread. */
void uring_task_exit(struct task *t, bool ends, bool group);
/* A task that never ran or was never saved whole: frees what uring_task_exit() would. */
void uring_task_free(struct uring_task *u);
/* Parts of a task's record: object ids of its registered rings. */
struct state_reader;
struct state_writer;
uint64_t *uring_task_save(struct state_writer *w, const struct uring_task *u, size_t *ret_n);
_must_check_ int uring_task_load(struct state_reader *r, const uint64_t *ids, size_t n, struct uring_task **ret);
_must_check_ int uring_task_after_load(struct state_reader *r, const struct uring_task *u);
/* After an image was loaded, the kernel still frozen: starts the helpers that the loaded rings need. */
_must_check_ int uring_restore(void);

#endif
