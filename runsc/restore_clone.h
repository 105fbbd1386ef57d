/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `runsc restore --clone N PREFIX`: many detached containers from one image.
 *
 * The image is opened, and config.json read, once; then each container is made by a process of its own, at most two per CPU at a time.
 * They differ in their ids (PREFIX-1 .. PREFIX-N, or the names given), in what follows from it (state directory, cgroup, host name when
 * asked), and in what every restore makes new (docs/checkpoint.md). One that fails does not stop the others.
 */
#ifndef RUNSC_RESTORE_CLONE_H
#define RUNSC_RESTORE_CLONE_H

#include "runsc/lifecycle.h"

#define CLONES_MAX	100000
#define CLONES_AS_NAMED (-1)

struct clone_opts {
	int64_t count;      /* --clone; CLONES_AS_NAMED: it was not given */
	const char *names;  /* --clone-names: "a,b,c"; NULL: numbered */
	const char *prefix; /* NULL with names */
	struct create_opts create; /* of each; pid_file and work_path get ".<id>" and "/<id>" appended */
};

/*
 * Prints the ids of the containers that run, in order, one per line, each as soon as it and those before it are decided; failures
 * one line each on stderr. Returns an exit status: 1 when some failed; or a negative errno when none was tried.
 */
_must_check_ int restore_clones(const struct globals *g, const struct clone_opts *o, struct error **err);

#endif
