/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that implement sentry.h share. */
#ifndef SENTRY_SENTRY_INTERNAL_H
#define SENTRY_SENTRY_INTERNAL_H

#include "sentry/kernel/kernel.h"

struct sentry {
	struct kernel *k;
	struct mutex ckpt_mu; /* one checkpoint at a time; outside ctl_mu */
	struct mutex ctl_mu;
	bool paused; /* guarded by ctl_mu */
	struct loading *loading; /* an image that is half loaded: a template, or a clone that has just been forked from it */
	struct working_set_recorder *recorder; /* of a restore that records its working set; NULL: none */
	bool restored; /* loaded and not yet let go; guarded by ctl_mu */
};

#endif
