/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of control groups. tasks_mu held where groups are changed. */
#ifndef SENTRY_KERNEL_CGROUP_INTERNAL_H
#define SENTRY_KERNEL_CGROUP_INTERNAL_H

#include "sentry/kernel/cgroup.h"

struct cgroup *cgroup_alloc(void);
/* Makes a loaded group known by its id. -EEXIST. */
_must_check_ int cgroup_index(struct cgroup *cg);
/* Puts @t into @cg whatever the limits say. */
void cgroup_join(struct cgroup *cg, struct task *t);
/* A restored task stands still again where it did. */
void cgroup_rejoin_work(struct task *t);
/* Takes the present state of the subtree for the one that was told last. */
void cgroup_settle_events(struct cgroup *top);

#endif
