/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SENTRY_FS_TIMERFD_H
#define SENTRY_FS_TIMERFD_H

#include "sentry/fs/file.h"

struct timerfd_spec {
	int64_t interval, value; /* ns; value 0: disarmed */
};

/* @clockid: Linux CLOCK_* number, already checked. */
_must_check_ int timerfd_new(struct task *t, int clockid, uint32_t flags, struct file **ret);
bool file_is_timerfd(const struct file *f);
/* @flags: TFD_TIMER_* ; @old may be NULL. */
_must_check_ int timerfd_set(struct file *f, int flags, const struct timerfd_spec *val, struct timerfd_spec *old);
void timerfd_get(struct file *f, struct timerfd_spec *ret);

#endif
