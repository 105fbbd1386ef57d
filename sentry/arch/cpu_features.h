/* SPDX-License-Identifier: Apache-2.0 */
/* The machine as a manifest describes it: what an application may have found out about its CPU and depend on. */
#ifndef SENTRY_ARCH_CPU_FEATURES_H
#define SENTRY_ARCH_CPU_FEATURES_H

#include "base/cleanup.h"

struct manifest;

/* Fills arch, cpu_features, xcr0, xsave and features of @m (malloc'd). 0 or -ENOMEM. */
_must_check_ int cpu_manifest(struct manifest *m);
void cpu_manifest_done(struct manifest *m);

#endif
