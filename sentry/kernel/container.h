/* SPDX-License-Identifier: Apache-2.0 */
/* Containers: a set of processes with a root, namespaces and limits. Several may live in one sandbox. */
#ifndef SENTRY_KERNEL_CONTAINER_H
#define SENTRY_KERNEL_CONTAINER_H

#include "base/error.h"
#include "sentry/kernel/kernel.h"

/* Builds the container with its init process ready to run (task not started): *@ret_init is the init's leader, referenced. */
_must_check_ int container_make(struct kernel *k, const struct sentry_container *sc, struct container **ret, struct task **ret_init,
			       struct error **err);
/* One more process in @c; not started. @pid_ns_init: it is the first process of the container. */
_must_check_ int container_add_process(struct container *c, const struct sentry_process *sp, struct pid_ns *ns, struct task **ret,
				       struct error **err);
struct container *container_find(struct kernel *k, const char *id); /* referenced, or NULL */
struct container *container_get(struct container *c);
void container_put(struct container *c);
/* Waits for process @pid (container's numbering; 0: init). *@ret_status is a wait(2) status. -ESRCH: no such process. */
_must_check_ int container_wait(struct container *c, pid_t pid, int *ret_status);
/* Remembers an exec'd process, so that its status is kept until somebody waits. tasks_mu held. */
_must_check_ int container_track_exec_locked(struct container *c, struct thread_group *tg, pid_t pid);

#endif
