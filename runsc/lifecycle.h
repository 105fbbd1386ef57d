/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What create, run, restore and do have in common, and start and delete.
 *
 *   lifecycle_create   state directory, sandbox (or restored one), hooks, pid file, status created
 *   lifecycle_start    startContainer hooks, tasks run, status running, poststart hooks
 *   lifecycle_delete   what is left of the sandbox, cgroup, poststop hooks, state directory
 */
#ifndef RUNSC_LIFECYCLE_H
#define RUNSC_LIFECYCLE_H

#include "runsc/container.h"
#include "runsc/sandbox.h"

struct image_dir;

struct create_opts {
	const char *bundle; /* NULL: the working directory */
	const char *console_socket, *pid_file;
	int64_t preserve_fds;
	bool relay;             /* with a terminal and no console socket: the caller keeps the master (foreground) */
	bool throw_away;        /* the container ends with the process that made it, however that ends (do) */
	bool keep_at_start;     /* run, restore: it is to be kept from its start on, not from its creation on */
	const char *image_path; /* restore from here ("-": a stream on standard input); NULL: create */
	const char *image_work_path; /* where what came as a stream is kept; NULL: in memory */
	const char *parent_path; /* where the image's parent is, if not where its link says */
	const char *from_template; /* or from this template */
	const struct image_dir *image; /* the same, opened by the caller; borrowed */
	const char *hostname;   /* restore: --hostname; NULL: see sandbox_start */
	const char *stdin_path; /* opened as the container's standard input; NULL: ours, which is /dev/null after a stream */
	const char *work_path;  /* restore: where restore.log and stats-restore go */
	struct sentry_restore_opts restore; /* with image_path */
	json_t *spec_json;      /* instead of the bundle's config.json (do); NULL otherwise */
};

struct created {
	struct container *c; /* locked */
	struct oci_spec *spec;
	int ctl;    /* the creator's control connection */
	bool throw_away; /* nothing was kept: the sandbox ends when ctl closes */
	bool keep_at_start; /* nothing was kept yet: lifecycle_start() does it */
	bool ack;   /* who sent the image waits to hear that the container runs */
	int master; /* pty master when relaying, else -EBADF */
};

/* A name that a killed create, run or restore left behind is free: what is left of it is removed. */
_must_check_ int lifecycle_create(const struct globals *g, const char *id, const struct create_opts *o,
				  struct created *ret, struct error **err);
/* @ctl: an open control connection, or -1 to make one. @keep: the sandbox ends with @ctl until it has started. */
_must_check_ int lifecycle_start(const struct globals *g, struct container *c, const struct oci_spec *spec, int ctl, bool keep,
				 struct error **err);
_must_check_ int lifecycle_delete(const struct globals *g, struct container *c, bool force, struct error **err);
void created_done(struct created *x);
#define _cleanup_created_ _cleanup_(created_done)

/* Starts what lifecycle_create() made; unless @detach waits for its end and, unless @keep, deletes it. Returns an exit
 * code. A container that cannot be started is deleted. */
_must_check_ int run_created(const struct globals *g, struct created *x, bool detach, bool keep, struct error **err);

/* hooks.c: runs all hooks of one kind, in order, with the state on stdin. Stops at the first failure. */
_must_check_ int hooks_run(const struct oci_spec *spec, enum oci_hook_kind kind, const struct container *c,
			   const char *status, struct error **err);
/* startContainer hooks: inside the container, by control connection @ctl. */
_must_check_ int hooks_run_inside(const struct oci_spec *spec, const struct container *c, int ctl, struct error **err);

/* The image of image_path, a directory or a stream. *@ret_ack: its sender wants to hear that the container runs. */
_must_check_ int lifecycle_open_image(const struct create_opts *o, struct image_dir *img, bool *ret_ack, struct error **err);

/* Reads and parses <bundle>/config.json. */
_must_check_ int bundle_read(const char *bundle, struct oci_spec **ret, struct error **err);

/* Writes a pid the way engines read it: digits only, whole file at once. */
_must_check_ int write_pid_file(const char *path, pid_t pid, struct error **err);

/* The user's home from <rootfs>/etc/passwd as HOME=..., if env has none. Changes the JSON `process` object. */
void process_add_home(json_t *process, const char *rootfs);

/* LISTEN_FDS=N, LISTEN_PID and --preserve-fds -> the descriptors 3.. to pass on; malloc'd. */
_must_check_ int collect_preserved_fds(int64_t preserve, int **ret, size_t *ret_n, struct error **err);

#endif
