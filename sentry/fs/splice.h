/* SPDX-License-Identifier: Apache-2.0 */
/* splice(2) and tee(2) on open files. */
#ifndef SENTRY_FS_SPLICE_H
#define SENTRY_FS_SPLICE_H

#include "sentry/fs/file.h"

/* @len > 0 bytes at most; offsets are advanced, NULL: the file's own position. @flags: SPLICE_F_NONBLOCK is looked at. Bytes, 0 at the end,
 * or an error; may sleep. */
int64_t do_splice(struct task *t, struct file *in, int64_t *off_in, struct file *out, int64_t *off_out, size_t len, uint32_t flags);
int64_t do_tee(struct task *t, struct file *in, struct file *out, size_t len, uint32_t flags);

#endif
