/* SPDX-License-Identifier: Apache-2.0 */
/* The machine as a manifest describes it: what an application may have found out about its CPU and depend on. */
#ifndef SENTRY_ARCH_CPU_FEATURES_H
#define SENTRY_ARCH_CPU_FEATURES_H

#include "base/cleanup.h"

struct manifest;

/*
 * XSAVE components that hosts enable and applications here cannot come to depend on: PKRU (9), since no protection key is given out
 * (pkey_alloc), and AMX (17, 18), which a process must ask for and is not given (ARCH_REQ_XCOMP_PERM). Hosts of one fleet differ in them.
 */
#define ARCH_XSAVE_UNUSABLE (1ull << 9 | 1ull << 17 | 1ull << 18)

/* Fill arch, page_size, cpu_features, xcr0, xsave and features of @m (malloc'd; cpu_manifest_done() frees). 0 or -ENOMEM.
 * Needs: what an image made here requires. Offers: what an image may require to be restored here, which is more. */
_must_check_ int cpu_manifest_needs(struct manifest *m);
_must_check_ int cpu_manifest_offers(struct manifest *m);
void cpu_manifest_done(struct manifest *m);

#endif
