/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroup namespaces: which cgroup is shown as the root. Immutable; NULL is the initial one. No locks. Checkpoint: all of it.
 * Linux: kernel/cgroup/namespace.c.
 */
#ifndef SENTRY_KERNEL_CGROUP_NS_H
#define SENTRY_KERNEL_CGROUP_NS_H

#include "base/ref.h"
#include "sentry/kernel/user_ns.h"

struct cgroup_ns {
	struct ref ref; /* nosave: counted again by state_deref() */
	uint64_t ino; /* saved: 1 */
	struct user_ns *user_ns; /* saved: 2; referenced, NULL the initial one */
	char *root; /* saved: 3; path of the cgroup that is "/" here, from the real root */
};

/* One that belongs to @owner with the root of @old. Or NULL. */
struct cgroup_ns *cgroup_ns_new(const struct cgroup_ns *old, struct user_ns *owner);
struct cgroup_ns *cgroup_ns_get(struct cgroup_ns *ns); /* NULL is fine in both */
void cgroup_ns_put(struct cgroup_ns *ns);

#endif
