/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox process: what boot.c, boot_container.c and control_server.c share. */
#ifndef RUNSC_BOOT_H
#define RUNSC_BOOT_H

#include <jansson.h>

#include "base/arena.h"
#include "base/mutex.h"
#include "runsc/oci.h"
#include "runsc/sandbox.h"
#include "sentry/sentry.h"

/* What is said when a page of the image is not what it was, and found so only now. */
#define IMAGE_DAMAGED "the image is damaged: pages.img has changed or cannot be read where a page was first used; the container was ended"

struct boot {
	struct sentry *sentry;
	const char *id;
	int tty_fd;  /* slave of the container's host terminal, our controlling terminal; -EBADF: none */
	int exit_fd; /* exit.json, see container.h */

	struct mutex freezing; /* held over start, pause, resume and a checkpoint up to its commit; before lock */
	struct mutex lock;     /* leaf: the fields below */
	struct cond changed;
	bool kept;   /* the command line has committed to this sandbox */
	bool paused; /* asked for by `pause`; under freezing */
	bool ended;  /* init has ended with @status */
	int status;
	unsigned int answering; /* requests and waiters whose answer must be out before we exit */
};

/*
 * Fills @ret from a create/restore setup message; memory comes from @a. fds: see send_sandbox_setup(). The descriptors
 * are borrowed until the Sentry takes them.
 */
_must_check_ int boot_container_fill(struct arena *a, json_t *msg, const struct oci_spec *spec, const int *stdio,
				     const int *extra, size_t nr_extra, int gofer_fd, struct sentry_container *ret,
				     struct error **err);
_must_check_ int boot_process_fill(struct arena *a, const struct oci_process *p, const int *stdio, const int *extra,
				   size_t nr_extra, struct sentry_process *ret, struct error **err);

/* Serves @ctl (the creator's connection) and everything accepted from @listen_fd, in threads of their own. */
_must_check_ int control_server_start(struct boot *b, int ctl, int listen_fd, struct error **err);
/* Tells every waiter, waits briefly until they have been told. */
void control_server_announce_end(struct boot *b, int status);

#endif
