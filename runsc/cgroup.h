/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host cgroup of a sandbox: engines read its statistics and memory events, and its limits bound the sandbox as a
 * whole. Best effort by nature: a host where cgroups cannot be written still runs containers, unless limits were asked
 * for.
 */
#ifndef RUNSC_CGROUP_H
#define RUNSC_CGROUP_H

#include "runsc/container.h"

/* Makes the spec's cgroup (if it names one), moves sandbox and gofer in, sets c->cgroup. */
_must_check_ int cgroup_create(const struct globals *g, struct container *c, const struct oci_spec *spec,
			       struct error **err);
/* New limits; 0 leaves one alone, UINT64_MAX removes it. */
_must_check_ int cgroup_update(const struct container *c, uint64_t memory, uint64_t pids, struct error **err);
void cgroup_remove(const struct container *c);

#endif
