/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox process: what boot.c, boot_container.c, control_server.c and template_main.c share. */
#ifndef RUNSC_BOOT_H
#define RUNSC_BOOT_H

#include <jansson.h>

#include "base/arena.h"
#include "base/mutex.h"
#include "base/fd_util.h"
#include "runsc/oci.h"
#include "runsc/oci_seccomp.h"
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

#define BOOT_INIT {.tty_fd = -EBADF, .exit_fd = -EBADF}

#define FIXED_FDS 6 /* gofer, listen, exit, stdio x 3 */

/* The setup message: what to be. See send_sandbox_setup() for its descriptors. */
struct setup {
	json_t *msg;
	struct oci_spec *spec;
	int fds[FD_SEND_MAX];
	size_t nr_fds, fixed; /* preserved descriptors come after @fixed others */
	bool restore;
	size_t nr_layers; /* of the image */
	bool working_set; /* its descriptor comes after those of the image */
	bool clone; /* a restore in a fork of a template: the log comes in place of the image */
	struct oci_seccomp seccomp; /* linux.seccomp, compiled while that is still allowed */
};

/* A member of the message; "" or false when it is not there. */
const char *setup_str(const struct setup *s, const char *key);
bool setup_bool(const struct setup *s, const char *key);
/* The message and its descriptors, of which there are @fixed besides those of an image or a log. */
_must_check_ int setup_receive(struct setup *s, size_t fixed, struct error **err);
/* The same, and the spec: what a sandbox gets. */
_must_check_ int setup_read(struct setup *s, struct error **err);
/* The descriptors of an image, which begin at @fds; how many there are. @ret's layers are valid until the next call. */
size_t setup_image(const struct setup *s, const int *fds, struct sentry_image_fds *ret);
/* How much is logged, to descriptor 2. */
void setup_log(const struct setup *s);
_must_check_ int setup_config(const struct setup *s, struct sentry_config *cfg, struct error **err);

/* The steps of a sandbox's life; between them its process is confined (boot.c, template_main.c). */
void boot_begin(struct boot *b, const char *comm);
_must_check_ int boot_take_setup(struct boot *b, struct setup *s, struct error **err);
/* Makes or restores the container, answers, serves control connections. */
_must_check_ int boot_finish(struct boot *b, struct setup *s, struct error **err);
/* Waits for the container's end and ends with its status. */
_Noreturn void boot_serve(struct boot *b);
/* Tells the log and the creator. */
_Noreturn void boot_fail(struct error *err);

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
