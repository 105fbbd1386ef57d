/* SPDX-License-Identifier: Apache-2.0 */
/* Making tasks: shared by clone, container creation, exec into a container and the loader of images. */
#ifndef SENTRY_KERNEL_TASK_NEW_H
#define SENTRY_KERNEL_TASK_NEW_H

#include "sentry/kernel/task.h"

/* Bare objects with initialised locks and lists and one reference; NULL when out of memory. */
struct task *task_alloc(struct kernel *k);
struct thread_group *tg_alloc(struct kernel *k);
/* Links @t into @tg and its pid; takes the group's reference. tasks_mu (and for a live group sighand.mu) held. */
void tg_add_task_locked(struct thread_group *tg, struct task *t);
/* Puts a new group into the tree: children of @parent (NULL: none), process group and session (referenced). tasks_mu held. */
void tg_link_locked(struct thread_group *tg, struct thread_group *parent, struct task *parent_task, struct pgrp *pg,
		    struct session *s);
/* New session with its first process group, both led by @tg; tasks_mu held. -ENOMEM. */
_must_check_ int session_new_locked(struct thread_group *tg);
/* Moves @tg to @pg (referenced). tasks_mu held. */
void tg_set_pgrp_locked(struct thread_group *tg, struct pgrp *pg);
struct pgrp *pgrp_new_locked(struct pid *id, struct session *s);

#endif
