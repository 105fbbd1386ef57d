/* SPDX-License-Identifier: Apache-2.0 */
/* The machine as a manifest describes it: what an application may have found out about its CPU and depend on. */
#ifndef SENTRY_ARCH_CPU_FEATURES_H
#define SENTRY_ARCH_CPU_FEATURES_H

#include "base/cleanup.h"

struct manifest;

/* Fill arch, page_size, cpu_features, xcr0, xsave and features of @m (malloc'd; cpu_manifest_done() frees). 0 or -ENOMEM.
 * Needs: what an image made here requires. Offers: what an image may require to be restored here, which is more. */
_must_check_ int cpu_manifest_needs(struct manifest *m);
_must_check_ int cpu_manifest_offers(struct manifest *m);
void cpu_manifest_done(struct manifest *m);

#endif
