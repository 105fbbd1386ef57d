/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container as the command line knows it: the directory <root>/<id>/.
 *
 *   state.json    what is in struct container, replaced atomically; readers need no lock
 *   config.json   the OCI configuration as it was at create; later changes of the bundle have no effect
 *   lock          flock: exclusive for verbs that change state.json, shared for exec
 *   control.sock  where the sandbox process listens
 *   exit.json     {"status": N} written by the sandbox when its init has ended; {} before that, empty until it was kept;
 *                 {"error": text} when the sandbox had to end for another reason
 *   boot.log      the sandbox's and gofer's errors, unless --debug-log sends them elsewhere
 *
 * Status:  creating --create--> created --start--> running <--pause/resume--> paused; any of them becomes stopped when
 * the sandbox process is gone. `stopped` is therefore never stored: it is seen from the process (pid and start time).
 * A template (restore --template) has the status template until its process is gone.
 */
#ifndef RUNSC_CONTAINER_H
#define RUNSC_CONTAINER_H

#include <jansson.h>
#include <sys/types.h>

#include "base/error.h"
#include "runsc/cli.h"
#include "runsc/oci.h"

enum container_status {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_STOPPED,
	CONTAINER_TEMPLATE, /* no container: template.h */
	_CONTAINER_STATUS_MAX,
	_CONTAINER_STATUS_INVALID = -EINVAL,
};

/* A process that cannot be mistaken for a later one of the same number. */
struct proc_id {
	pid_t pid;      /* 0: none */
	uint64_t start; /* field 22 of /proc/<pid>/stat */
};

struct container {
	char *id;
	char *dir; /* absolute */
	int dirfd, lockfd;
	enum container_status status;
	struct proc_id sandbox;
	struct proc_id gofer; /* lives and dies with the sandbox; only its pid is known */
	char *bundle, *rootfs, *created, *version, *debug_log;
	char *cgroup;        /* "" when none was made */
	bool fresh;          /* made by this process and not yet committed: freeing it removes it */
	json_t *annotations; /* object */
};

enum container_lock { CONTAINER_NOLOCK, CONTAINER_SHARED, CONTAINER_EXCLUSIVE };

/* Makes <root>/<id>/, locked. Fails with "container with given ID already exists". */
_must_check_ int container_new(const struct globals *g, const char *id, struct container **ret, struct error **err);
/* Fails with "container does not exist". */
_must_check_ int container_open(const struct globals *g, const char *id, enum container_lock lock,
				struct container **ret, struct error **err);
/* For delete --force: locked, with nothing known but its name. */
_must_check_ int container_open_damaged(const struct globals *g, const char *id, struct container **ret,
					struct error **err);
/* True for what a create, run or restore left that was killed before its sandbox was kept: nothing of it lives. */
bool container_is_abandoned(const struct container *c);
/* Writes state.json. */
_must_check_ int container_save(struct container *c, struct error **err);
/* Removes the directory; the caller has made sure that nothing runs. */
_must_check_ int container_remove(struct container *c, struct error **err);
struct container *container_free(struct container *c);

/* Names of all containers, NULL-terminated, malloc'd; sorted. */
_must_check_ int container_names(const struct globals *g, char ***ret, struct error **err);

/* The OCI state object (also given to hooks on stdin). */
json_t *container_state_json(const struct container *c, const char *status);
const char *container_status_name(enum container_status s);
_must_check_ int container_load_spec(const struct container *c, struct oci_spec **ret, struct error **err);
/* The stored exit status (a wait(2) status), or -ENODATA when the sandbox left none. */
int container_exit_status(const struct container *c);
/* Why the sandbox had to end, malloc'd; NULL: it has not said. */
char *container_exit_error(const struct container *c);

/* 0 when it is alive (not a zombie), else -ESRCH. */
int proc_alive(const struct proc_id *p);
_must_check_ int proc_identify(pid_t pid, struct proc_id *ret);
/* Sends SIGKILL if it is still the same process, and waits until it is gone. */
void proc_kill(const struct proc_id *p);

/* Waits until it is gone (or a zombie). */
void proc_wait(const struct proc_id *p);

static inline void container_freep(struct container **c)
{
	*c = container_free(*c);
}
#define _cleanup_container_ _cleanup_(container_freep)

#endif
