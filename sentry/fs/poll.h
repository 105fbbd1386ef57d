/* SPDX-License-Identifier: Apache-2.0 */
/* Readiness of files, for poll, select and epoll. */
#ifndef SENTRY_FS_POLL_H
#define SENTRY_FS_POLL_H

#include "sentry/abi/poll.h"
#include "sentry/fs/file.h"

static inline struct waitq *file_pollq(struct file *f)
{
	return f->ops->pollq ? f->ops->pollq(f) : NULL;
}

#endif
