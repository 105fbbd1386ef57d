/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of the image: kernel and containers.
 *
 * The kernel object being restored exists before the image is read (sentry_new made it with this process's platform and memory file); the
 * record fills it. Linux has no counterpart.
 */
#include <string.h>

#include "schemas/task.pb-c.h"
#include "sentry/fs/fs_ctx.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/checkpoint.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/klog.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/task_usage_state.h"
#include "state/state.h"

#define MAX_GROUPS     (1u << 20)
#define MAX_CONTAINERS 4096

/* --- container --- */

static void *container_alloc(void)
{
	struct container *c = calloc(1, sizeof(*c));

	if (c) {
		ref_init(&c->ref);
		list_init(&c->node);
		list_init(&c->execs);
		c->k = the_kernel;
	}
	return c;
}

static int container_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct container *c = obj;
	Sentry__Container *m = msg;

	m->id = state_strdup(w, c->id);
	m->init = state_ref(w, &thread_group_state_type, c->init);
	m->started = c->started;
	m->init_exited = c->init_exited;
	m->init_status = c->init_status;
	m->ns = state_ref(w, &nsproxy_state_type, c->ns);
	m->fs = state_ref(w, &fs_ctx_state_type, c->fs);
	m->pids_limit = c->pids_limit;
	m->memory_limit = c->memory_limit;
	m->cgroups_path = state_strdup(w, c->cgroups_path);
	m->hostname = state_strdup(w, c->hostname);
	m->cgroup = state_ref(w, &cgroup_state_type, c->cgroup);
	m->seccomp = state_ref(w, &seccomp_filter_state_type, c->seccomp);
	return 0;
}

static int container_load(struct state_reader *r, void *obj, const void *msg)
{
	struct container *c = obj;
	const Sentry__Container *m = msg;
	void *init = NULL;
	int e = state_deref(r, m->init, &thread_group_state_type, &init);

	if (e >= 0)
		e = state_deref(r, m->ns, &nsproxy_state_type, (void **)&c->ns);
	if (e >= 0)
		e = state_deref(r, m->fs, &fs_ctx_state_type, (void **)&c->fs);
	if (e >= 0)
		e = state_deref(r, m->seccomp, &seccomp_filter_state_type, (void **)&c->seccomp);
	if (e >= 0)
		e = state_deref(r, m->cgroup, &cgroup_state_type, (void **)&c->cgroup);
	if (e >= 0)
		e = state_check(r, c->ns && c->fs && (init || m->init_exited), "incomplete container");
	if (e < 0)
		return e;
	if (init) {
		c->init = init; /* not counted, as at run time */
		tg_put(init);
	}
	c->id = strdup(m->id);
	c->cgroups_path = strdup(m->cgroups_path);
	c->hostname = strdup(m->hostname);
	c->started = m->started;
	c->init_exited = m->init_exited;
	c->init_status = m->init_status;
	c->pids_limit = m->pids_limit;
	c->memory_limit = m->memory_limit;
	return c->id && c->cgroups_path && c->hostname ? 0 : -ENOMEM;
}

static void container_get_state(void *obj)
{
	(void)container_get(obj);
}

static void container_put_state(void *obj)
{
	container_put(obj);
}

const struct state_type container_state_type = {
	.id = STATE_ID_container,
	.name = "container",
	.desc = &sentry__container__descriptor,
	.prio = STATE_PRIO_TASK,
	.alloc = container_alloc,
	.save = container_save,
	.load = container_load,
	.get = container_get_state,
	.put = container_put_state,
};

/* --- kernel --- */

/* The one kernel of this process stands for the record. */
static void *kernel_alloc(void)
{
	return the_kernel;
}

static int kernel_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct kernel *k = obj;
	Sentry__Kernel *m = msg;
	const struct thread_group *tg;
	const struct container *c;
	size_t n = 0;

	list_for_each(tg, &k->groups, all_node)
		n++;
	m->groups = state_zalloc(w, n, sizeof(m->groups[0]));
	list_for_each(tg, &k->groups, all_node)
		if (m->n_groups < n)
			m->groups[m->n_groups++] = state_ref(w, &thread_group_state_type, tg);
	n = 0;
	list_for_each(c, &k->containers, node)
		n++;
	m->containers = state_zalloc(w, n, sizeof(m->containers[0]));
	list_for_each(c, &k->containers, node)
		if (m->n_containers < n)
			m->containers[m->n_containers++] = state_ref(w, &container_state_type, c);
	m->root_pid_ns = state_ref(w, &pid_ns_state_type, k->root_pid_ns);
	m->boot_mono = k->boot_mono;
	m->boot_real = k->boot_real;
	m->next_ino = k->next_ino;
	m->mono = k->saved_mono;
	m->real = k->saved_real;
	m->reaped = usage_save(w, &k->reaped);
	m->forks = k->forks;
	m->generation = k->generation;
	m->generation_page = state_ref(w, &shmobj_state_type, k->generation_page);
	m->klog = state_ref(w, &klog_state_type, klog_object());
	while (keys_user_ring(m->n_user_rings))
		m->n_user_rings++;
	m->user_rings = state_zalloc(w, m->n_user_rings, sizeof(*m->user_rings));
	for (size_t i = 0; i < m->n_user_rings; i++)
		m->user_rings[i] = state_ref(w, &key_state_type, keys_user_ring(i));
	return 0;
}

/* What the monotonic clocks include of the time since the save, by the realtime clock, the only one two hosts share. */
static int64_t elapsed(const struct kernel *k, int64_t saved_real)
{
	const struct restore_ctx *ctx = k->restore;

	if (!ctx || !ctx->opts || ctx->opts->clock != SENTRY_CLOCK_ELAPSED)
		return 0;
	/* With mono at most half of the range, the sum is in range. */
	return MIN(ktime_real_since(saved_real ? saved_real : ctx->created), INT64_MAX / 4);
}

static int kernel_load(struct state_reader *r, void *obj, const void *msg)
{
	struct kernel *k = obj;
	const Sentry__Kernel *m = msg;
	int e = state_check(r, m->n_groups <= MAX_GROUPS && m->n_containers >= 1 && m->n_containers <= MAX_CONTAINERS,
			    "too many groups or containers");

	if (e >= 0)
		e = state_check(r, m->mono >= 0 && m->mono <= INT64_MAX / 2 && m->boot_mono <= m->mono, "time out of range");
	if (e < 0)
		return e;
	pid_ns_put(k->root_pid_ns);
	k->root_pid_ns = NULL;
	e = state_deref(r, m->root_pid_ns, &pid_ns_state_type, (void **)&k->root_pid_ns);
	if (e >= 0)
		e = state_check(r, k->root_pid_ns != NULL, "no root pid namespace");
	for (size_t i = 0; i < m->n_groups && e >= 0; i++) {
		struct thread_group *tg;

		e = state_deref(r, m->groups[i], &thread_group_state_type, (void **)&tg);
		if (e >= 0)
			e = state_check(r, tg && !list_linked(&tg->all_node), "a thread group listed twice");
		if (e >= 0)
			list_add_tail(&k->groups, &tg->all_node);
	}
	for (size_t i = 0; i < m->n_containers && e >= 0; i++) {
		struct container *c;

		e = state_deref(r, m->containers[i], &container_state_type, (void **)&c);
		if (e >= 0)
			e = state_check(r, c && !list_linked(&c->node), "a container listed twice");
		if (e >= 0)
			list_add_tail(&k->containers, &c->node);
	}
	if (e >= 0) {
		void *log;

		e = state_deref(r, m->klog, &klog_state_type, &log);
	}
	if (e >= 0)
		e = usage_load(r, &k->reaped, m->reaped);
	k->forks = m->forks;
	k->generation = m->generation ? m->generation : 1;
	if (e >= 0)
		e = state_deref(r, m->generation_page, &shmobj_state_type, (void **)&k->generation_page);
	if (e >= 0 && k->generation_page)
		e = state_check(r, m->generation, "a generation's page without generation");
	for (size_t i = 0; i < m->n_user_rings && e >= 0; i++) {
		void *ring = NULL;

		e = state_deref(r, m->user_rings[i], &key_state_type, &ring);
		if (e >= 0)
			e = state_check(r, ring != NULL, "a user without keyring");
		if (e >= 0)
			e = keys_add_user_ring(ring);
	}
	k->boot_mono = m->boot_mono;
	k->boot_real = m->boot_real;
	k->next_ino = MAX(m->next_ino, k->next_ino);
	/* The guest's monotonic clock continues where it stood, or jumps; known before any after_load() arms a timer. */
	ktime_set_offset(m->mono + elapsed(k, m->real) - (ktime_mono() - ktime_offset()));
	return e;
}

/* Parents come before their children in creation order or not (reparenting), so children are linked when all are there. */
static int kernel_after_load(struct state_reader *r, void *obj)
{
	struct kernel *k = obj;
	struct thread_group *tg;

	list_for_each(tg, &k->groups, all_node) {
		struct thread_group *p = tg->parent;
		int e = state_check(r, p != tg && (!p || list_linked(&p->all_node)), "a parent outside the kernel");

		if (e < 0)
			return e;
		if (p)
			list_add_tail(&p->children, &tg->child_node);
	}
	return 0;
}

static void kernel_ref_nop(void *obj)
{
}

const struct state_type kernel_state_type = {
	.id = STATE_ID_kernel,
	.name = "kernel",
	.desc = &sentry__kernel__descriptor,
	.prio = STATE_PRIO_KERNEL,
	.alloc = kernel_alloc,
	.save = kernel_save,
	.load = kernel_load,
	.load_late = true, /* the time */
	.after_load = kernel_after_load,
	.get = kernel_ref_nop,
	.put = kernel_ref_nop,
};
