/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: `restore --template NAME` loads an image once, `restore --from-template NAME ID` forks containers from it.
 *
 *	keeper (pid 1 of a pid namespace)
 *	  |-- template: Sentry with the image loaded as far as the image alone goes; no threads, no platform
 *	  |-- gofer of clone A, forked from the keeper         |-- gofer of clone B
 *	  `-- sandbox of clone A, forked from the template     `-- sandbox of clone B     (pid 1 of a pid namespace each)
 *
 * What a clone has for itself: pid namespace, memory file, stubs, gofer, descriptors, threads, control socket, cgroup, the filter of a
 * plain sandbox on top of the template's wider one, no capabilities. What it shares with the template and the other clones: the user,
 * network, IPC, UTS and mount namespaces, in which there is nothing that a permitted call could reach (no link, no socket call, an empty
 * read-only root); the image's descriptors, read at offsets; and the layout of its address space, as with every fork.
 *
 * The keeper is only there because a pid namespace ends with its pid 1: it survives the template as long as there are clones.
 * So the template may be deleted or killed without harm to them, and a keeper that is killed takes all of them along. Everybody's parent
 * is the keeper: exit statuses are in exit.json, `runsc wait` and a foreground restore work as ever; engines, which reap, want plain restores.
 */
#ifndef RUNSC_TEMPLATE_H
#define RUNSC_TEMPLATE_H

#include "runsc/lifecycle.h"

#define TEMPLATE_GOFER_SOCK "gofer.sock" /* the keeper's, beside the template's control.sock */

/* Makes <root>/<name>/ and the two processes from the image of @o; they stay when this returns 0. Needs root. */
_must_check_ int template_create(const struct globals *g, const char *name, const struct create_opts *o, struct error **err);
/* A template that is alive; no lock is held. */
_must_check_ int template_open(const struct globals *g, const char *name, struct container **ret, struct error **err);

#endif
