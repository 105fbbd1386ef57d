/* SPDX-License-Identifier: Apache-2.0 */
/* The working set of a restored kernel: read ahead as an earlier restore recorded it, or recorded. Format: state/working_set.h. */
#ifndef SENTRY_KERNEL_WORKING_SET_H
#define SENTRY_KERNEL_WORKING_SET_H

#include "base/cleanup.h"
#include "base/util.h"

struct kernel;
struct working_set_recorder;

/* What @fd says is read ahead. A file that says nothing sensible is as good as none. */
void working_set_prefetch(struct kernel *k, int fd);
/* Records for so long, then writes to @fd, of which a duplicate is kept. @ret lives as long as the process. */
_must_check_ int working_set_record(struct kernel *k, int fd, uint32_t secs, struct working_set_recorder **ret);
/* Ends a recording early; returns when it is written, by whomever. */
void working_set_record_end(struct working_set_recorder *rec);

#endif
