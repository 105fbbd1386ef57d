/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading control groups. See cgroup.h; counts and accounts are put together when everything is there. */
#include <stdlib.h>
#include <string.h>

#include "schemas/cgroup.pb-c.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/cgroup_internal.h"
#include "sentry/mm/memfile.h"
#include "state/state.h"

#define MAX_CHILDREN 65536
#define MAX_ATTRS    256
#define MAX_RANGES   (1u << 24)
#define NAME_LEN     255

static void *cgroup_state_alloc(void)
{
	return cgroup_alloc();
}

static void save_attrs(struct state_writer *w, const struct cgroup *cg, Sentry__Cgroup *m)
{
	m->n_attrs = cg->nr_attrs;
	m->attrs = state_zalloc(w, cg->nr_attrs, sizeof(m->attrs[0]));
	for (size_t i = 0; i < cg->nr_attrs; i++) {
		Sentry__CgAttr *a = state_new_msg(w, &sentry__cg_attr__descriptor);

		a->name = state_strdup(w, cg->attrs[i].name);
		a->uid = cg->attrs[i].uid;
		a->gid = cg->attrs[i].gid;
		a->mode = cg->attrs[i].mode;
		m->attrs[i] = a;
	}
}

static void save_memory(struct state_writer *w, const struct cgroup *cg, Sentry__Cgroup *m)
{
	m->n_mem_limits = CGM_LIMITS;
	m->mem_limits = state_zalloc(w, CGM_LIMITS, sizeof(m->mem_limits[0]));
	memcpy(m->mem_limits, cg->mem, sizeof(cg->mem));
	m->oom_group = cg->oom_group;
	m->n_mem_events = 2 * (size_t)CGE_EVENTS;
	m->mem_events = state_zalloc(w, m->n_mem_events, sizeof(m->mem_events[0]));
	memcpy(m->mem_events, cg->events, sizeof(cg->events));
	memcpy(m->mem_events + CGE_EVENTS, cg->events_local, sizeof(cg->events_local));
	m->mem_peak = cgroup_mem_peak(cg);
	if (cg->owner && cg->parent) {
		uint64_t *v;

		m->n_mem_ranges = memfile_owner_ranges(the_kernel->mf, cg->owner, &v);
		m->mem_ranges = state_zalloc(w, m->n_mem_ranges, sizeof(m->mem_ranges[0]));
		if (m->n_mem_ranges)
			memcpy(m->mem_ranges, v, m->n_mem_ranges * sizeof(*v));
		free(v);
	}
}

static int cgroup_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct cgroup *cg = obj, *c;
	Sentry__Cgroup *m = msg;
	size_t n = 0;

	m->id = cg->id;
	m->parent = state_ref(w, &cgroup_state_type, cg->parent);
	list_for_each(c, &cg->children, sibling)
		n++;
	m->children = state_zalloc(w, n, sizeof(m->children[0]));
	list_for_each(c, &cg->children, sibling)
		m->children[m->n_children++] = state_ref(w, &cgroup_state_type, c);
	m->name = state_strdup(w, cg->name);
	m->dead = cg->dead;
	m->threaded = cg->threaded;
	m->enabled = cg->enabled;
	m->max_depth = cg->max_depth;
	m->max_descendants = cg->max_descendants;
	m->freeze = cg->freeze;
	save_attrs(w, cg, m);
	m->pids_max = cg->pids_max;
	m->pids_peak = cg->pids_peak;
	m->pids_events = cg->pids_events;
	save_memory(w, cg, m);
	m->cpu_weight = cg->cpu_weight;
	m->cpu_quota = cg->cpu_quota;
	m->cpu_period = cg->cpu_period;
	m->cpu_user = cg->cpu_user;
	m->cpu_system = cg->cpu_system;
	cgroup_cpu_stat(cg, &m->nr_periods, &m->throttled_ns);
	m->nr_throttled = cg->nr_throttled;
	m->n_cpus = 2;
	m->cpus = state_zalloc(w, 2, sizeof(m->cpus[0]));
	memcpy(m->cpus, cg->cpus, sizeof(cg->cpus));
	m->mems = cg->mems;
	m->idle = cg->idle;
	return 0;
}

static int load_attrs(struct state_reader *r, struct cgroup *cg, const Sentry__Cgroup *m)
{
	if (!m->n_attrs)
		return 0;
	cg->attrs = calloc(m->n_attrs, sizeof(*cg->attrs));
	if (!cg->attrs)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_attrs; i++) {
		const Sentry__CgAttr *a = m->attrs[i];
		int e = state_check(r, strlen(a->name) < sizeof(cg->attrs[i].name) && !(a->mode & ~07777u), "bad attribute of a control group");

		if (e < 0)
			return e;
		memcpy(cg->attrs[i].name, a->name, strlen(a->name) + 1);
		cg->attrs[i].uid = a->uid;
		cg->attrs[i].gid = a->gid;
		cg->attrs[i].mode = a->mode;
		cg->nr_attrs = i + 1;
	}
	return 0;
}

static int load_children(struct state_reader *r, struct cgroup *cg, const Sentry__Cgroup *m)
{
	for (size_t i = 0; i < m->n_children; i++) {
		struct cgroup *c;
		int e = state_deref(r, m->children[i], &cgroup_state_type, (void **)&c); /* the tree's reference */

		if (e >= 0)
			e = state_check(r, c && c != cg && !list_linked(&c->sibling), "a control group listed twice");
		if (e < 0)
			return e;
		list_add_tail(&cg->children, &c->sibling);
	}
	return 0;
}

static int cgroup_load(struct state_reader *r, void *obj, const void *msg)
{
	struct cgroup *cg = obj;
	const Sentry__Cgroup *m = msg;
	int e = state_check(r, m->n_children <= MAX_CHILDREN && m->n_attrs <= MAX_ATTRS && m->n_mem_limits == CGM_LIMITS &&
				       m->n_mem_events == 2 * (size_t)CGE_EVENTS && m->n_mem_ranges <= MAX_RANGES && m->n_mem_ranges % 2 == 0 &&
				       m->n_cpus == 2 && !(m->enabled & ~CG_ALL) && strlen(m->name) <= NAME_LEN && !strchr(m->name, '/'),
			    "malformed control group");

	if (e == 0)
		e = state_check(r, m->cpu_weight >= 1 && m->cpu_weight <= 10000 && m->cpu_period >= 1000 && m->cpu_period <= 1000000 &&
					   (m->cpu_quota == CG_MAX || (m->cpu_quota >= 1000 && m->cpu_quota < INT64_MAX / 1000000)),
				"bad CPU limits of a control group");
	if (e == 0)
		e = state_deref(r, m->parent, &cgroup_state_type, (void **)&cg->parent);
	if (e >= 0)
		e = load_children(r, cg, m);
	if (e >= 0)
		e = load_attrs(r, cg, m);
	if (e < 0)
		return e;
	cg->id = m->id;
	cg->name = strdup(m->name);
	cg->dead = m->dead;
	cg->threaded = m->threaded;
	cg->enabled = m->enabled;
	cg->max_depth = m->max_depth;
	cg->max_descendants = m->max_descendants;
	cg->freeze = m->freeze;
	cg->pids_max = m->pids_max;
	cg->pids_peak = m->pids_peak;
	cg->pids_events = m->pids_events;
	memcpy(cg->mem, m->mem_limits, sizeof(cg->mem));
	cg->oom_group = m->oom_group;
	memcpy(cg->events, m->mem_events, sizeof(cg->events));
	memcpy(cg->events_local, m->mem_events + CGE_EVENTS, sizeof(cg->events_local));
	cg->peak = m->mem_peak;
	cg->cpu_weight = m->cpu_weight;
	cg->cpu_quota = m->cpu_quota;
	cg->cpu_period = m->cpu_period;
	cg->cpu_user = m->cpu_user;
	cg->cpu_system = m->cpu_system;
	cg->nr_periods = m->nr_periods;
	cg->nr_throttled = m->nr_throttled;
	cg->throttled_ns = m->throttled_ns;
	memcpy(cg->cpus, m->cpus, sizeof(cg->cpus));
	cg->mems = m->mems;
	cg->idle = m->idle;
	if (m->n_mem_ranges) {
		cg->load_ranges = calloc(m->n_mem_ranges, sizeof(*cg->load_ranges));
		if (!cg->load_ranges)
			return -ENOMEM;
		memcpy(cg->load_ranges, m->mem_ranges, m->n_mem_ranges * sizeof(*cg->load_ranges));
		cg->nr_load_ranges = m->n_mem_ranges;
	}
	return cg->name ? 0 : -ENOMEM;
}

static int cgroup_after_load(struct state_reader *r, void *obj)
{
	struct cgroup *cg = obj, *c;
	int depth = 0, e;

	list_for_each(c, &cg->children, sibling) {
		e = state_check(r, c->parent == cg && !c->dead && !cg->dead, "a control group whose parent does not know it");
		if (e < 0)
			return e;
	}
	for (c = cg; c && depth <= 512; c = c->parent)
		depth++;
	e = state_check(r, depth <= 512 && (cg->parent || !cg->dead), "control groups that are their own parents");
	if (e == 0)
		e = state_check(r, cgroup_index(cg) == 0, "two control groups with one id");
	return e;
}

static void cgroup_state_get(void *obj)
{
	(void)cgroup_get(obj);
}

static void cgroup_state_put(void *obj)
{
	cgroup_put(obj);
}

const struct state_type cgroup_state_type = {
	.id = STATE_ID_cgroup,
	.name = "cgroup",
	.desc = &sentry__cgroup__descriptor,
	.prio = STATE_PRIO_MEMORY, /* files look for their groups */
	.alloc = cgroup_state_alloc,
	.save = cgroup_save,
	.load = cgroup_load,
	.after_load = cgroup_after_load,
	.get = cgroup_state_get,
	.put = cgroup_state_put,
};

/* --- after everything --- */

static int restore_tree(struct kernel *k, struct cgroup *root)
{
	struct cgroup *at = NULL;

	while ((at = cgroup_next(at, root))) {
		if (!at->parent || (at->parent->enabled & CG_MEMORY)) {
			if (cgroup_mem_enable(at) < 0)
				return -ENOMEM;
			for (size_t i = 0; i + 1 < at->nr_load_ranges; i += 2)
				memfile_set_owner(k->mf, at->load_ranges[i], at->load_ranges[i + 1], at->owner);
		}
		free(TAKE_PTR(at->load_ranges));
		at->nr_load_ranges = 0;
		if (at->cpu_quota != CG_MAX)
			cgroup_cpu_set_max(at, at->cpu_quota, at->cpu_period);
	}
	return 0;
}

int cgroup_after_restore(struct kernel *k)
{
	struct thread_group *tg;
	struct container *c;
	struct task *t;

	list_for_each(c, &k->containers, node) {
		if (!c->cgroup) /* an image from before there were control groups */
			c->cgroup = cgroup_new_root(c->pids_limit, c->memory_limit);
		if (!c->cgroup || c->cgroup->parent)
			return -EINVAL;
		mutex_lock(&k->tasks_mu);
		if (restore_tree(k, c->cgroup) < 0) {
			mutex_unlock(&k->tasks_mu);
			return -ENOMEM;
		}
		mutex_unlock(&k->tasks_mu);
	}
	mutex_lock(&k->tasks_mu);
	list_for_each(tg, &k->groups, all_node)
		list_for_each(t, &tg->tasks, tg_node) {
			struct cgroup *cg = t->cgroup ? t->cgroup : tg->container ? tg->container->cgroup : NULL;

			if (!cg)
				continue;
			cgroup_join(cg, t);
			if (t->cg_loaded)
				cgroup_put(cg); /* the loader's */
			t->cg_loaded = false;
			cgroup_effective_cpus(cg, t->cg_cpus);
			cgroup_rejoin_work(t);
		}
	list_for_each(c, &k->containers, node)
		cgroup_settle_events(c->cgroup);
	mutex_unlock(&k->tasks_mu);
	return 0;
}
