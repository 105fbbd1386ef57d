/* SPDX-License-Identifier: Apache-2.0 */
/* Ids and pid namespaces: what clone, exit and job control need; lookups are in task.h. */
#ifndef SENTRY_KERNEL_PID_H
#define SENTRY_KERNEL_PID_H

#include "sentry/kernel/task.h"

/* A child namespace of @parent (NULL: the root), or NULL when out of memory or nested too deeply. */
struct pid_ns *pid_ns_new(struct pid_ns *parent);
struct pid_ns *pid_ns_get(struct pid_ns *ns);
void pid_ns_put(struct pid_ns *ns);

/* Allocates an id in @ns and all its ancestors. @want: wished numbers, innermost namespace first (clone3 set_tid). tasks_mu held.
 * -EAGAIN when full, -EEXIST, -EINVAL, -ENOMEM. */
_must_check_ int pid_new(struct kernel *k, struct pid_ns *ns, const int32_t *want, size_t nr_want, struct pid **ret);
void pid_free_locked(struct pid *p);
void pid_put_locked(struct pid *p); /* tasks_mu held */
/* Takes the numbers out of the tables if no task, group, process group or session uses them any more; call after clearing one
 * of the back pointers. tasks_mu held. */
void pid_release_nr_locked(struct pid *p);
/* No reference; tasks_mu held. */
struct pid *pid_find_locked(struct pid_ns *ns, int32_t nr);

#endif
