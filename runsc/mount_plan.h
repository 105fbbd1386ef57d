/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the spec's root and mounts to two lists that fit each other: what the Sentry mounts (boot's "mounts") and what
 * the gofer serves (its "exports"), tied by attach names.
 */
#ifndef RUNSC_MOUNT_PLAN_H
#define RUNSC_MOUNT_PLAN_H

#include "runsc/cli.h"
#include "runsc/oci.h"

struct mount_plan {
	json_t *mounts;  /* [{kind,dest,source,options,flags,aname,isFile,overlay,exclusive}], the root first */
	json_t *exports; /* [{aname,path,readonly,recursive,shared}] */
};

/* @bundle and @rootfs are absolute; relative bind sources are relative to the bundle. */
_must_check_ int mount_plan_make(const struct globals *g, const struct oci_spec *spec, const char *bundle,
				 const char *rootfs, struct mount_plan *ret, struct error **err);
void mount_plan_done(struct mount_plan *p);
#define _cleanup_mount_plan_ _cleanup_(mount_plan_done)

#endif
