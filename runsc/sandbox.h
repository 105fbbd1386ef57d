/* SPDX-License-Identifier: Apache-2.0 */
/* The command line's side of starting a sandbox: two processes, one setup message each, one answer. */
#ifndef RUNSC_SANDBOX_H
#define RUNSC_SANDBOX_H

#include "runsc/container.h"
#include "runsc/restore_opts.h"

enum { IMAGE_MANIFEST, IMAGE_KERNEL, IMAGE_INDEX, IMAGE_PAGES, IMAGE_PARTS };

#define BOOT_HOST_NET "host-network" /* argument of the internal verb boot: stay in this network namespace */

#define HOSTNAME_ID   "ID"   /* --hostname: the container's id */
#define HOSTNAME_KEEP "keep" /* --hostname: the saved one */

struct sandbox_start {
	const struct globals *g;
	struct container *c; /* bundle, rootfs and version are set; sandbox and gofer get filled in */
	const struct oci_spec *spec;
	int stdio[3]; /* [0] is the pty slave when the spec wants a terminal */
	const int *extra_fds;
	size_t nr_extra_fds;
	const struct container *from; /* restore: the template to fork from; NULL: from image_fds */
	const int *image_fds; /* IMAGE_PARTS descriptors: restore; NULL: create */
	const struct sentry_layer_fds *layers; /* with image_fds: of the images it is a change of */
	size_t nr_layers;
	const struct sentry_restore_opts *restore; /* with image_fds */
	/* Restore: the host name to give, HOSTNAME_ID, HOSTNAME_KEEP, or NULL: config.json's, if the application kept the one that it was
	 * given. */
	const char *hostname;
};

/*
 * Starts gofer and sandbox and waits until the container is created (or restored), its tasks not running. *@ret_ctl is
 * the control connection; the sandbox ends when it closes before a "keep" request. *@ret_answer (may be NULL) is the
 * answer, which carries restore's statistics.
 */
_must_check_ int sandbox_create(const struct sandbox_start *s, int *ret_ctl, json_t **ret_answer, struct error **err);

/* Opens --debug-log (a file, or a directory when it ends in '/', then <id>.@who.log in it) or <state>/boot.log. *@ret_path may be NULL. */
_must_check_ int sandbox_open_log(const struct globals *g, const struct container *c, const char *who, char **ret_path,
				  struct error **err);

/* "killed by its system call filter ..." and the like, for a sandbox that ended unexpectedly with wait status @status.
 */
void sandbox_describe_death(int status, char *buf, size_t n);

#endif
