/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of control groups: making, removing, membership, types, controllers, freezing, killing. See cgroup.h. */
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/cgroup_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "base/strbuf.h"
#include "sentry/kernel/freeze.h"
#include "sentry/kernel/klog.h"
#include "sentry/kernel/ptrace.h"

static struct htab by_id; /* guarded by tasks_mu */

/* --- objects --- */

struct cgroup *cgroup_get(struct cgroup *cg)
{
	ref_get(&cg->ref);
	return cg;
}

void cgroup_put(struct cgroup *cg)
{
	while (cg && ref_put(&cg->ref)) {
		struct cgroup *parent = cg->parent;

		for (int i = 0; i < CGF_NR; i++)
			pseudo_watch_done(&cg->watch[i]);
		free(cg->attrs);
		free(cg->load_ranges);
		free(cg->name);
		free(cg);
		cg = parent;
	}
}

struct cgroup *cgroup_alloc(void)
{
	struct cgroup *cg = calloc(1, sizeof(*cg));

	if (!cg)
		return NULL;
	ref_init(&cg->ref);
	list_init(&cg->children);
	list_init(&cg->sibling);
	for (int i = 0; i < CGF_NR; i++)
		pseudo_watch_init(&cg->watch[i]);
	cg->max_depth = cg->max_descendants = CG_UMAX;
	cg->pids_max = CG_MAX;
	cg->mem[CGM_MAX] = cg->mem[CGM_HIGH] = cg->mem[CGM_SWAP_MAX] = cg->mem[CGM_SWAP_HIGH] = CG_MAX;
	cg->cpu_weight = 100;
	cg->cpu_quota = CG_MAX;
	cg->cpu_period = 100000;
	return cg;
}

static struct cgroup *new_cgroup(const char *name)
{
	struct cgroup *cg = cgroup_alloc();

	if (!cg)
		return NULL;
	cg->id = kernel_next_ino(the_kernel);
	cg->name = strdup(name);
	if (!cg->name || htab_put(&by_id, cg->id, cg) < 0) {
		cgroup_put(cg);
		return NULL;
	}
	return cg;
}

int cgroup_index(struct cgroup *cg)
{
	if (htab_get(&by_id, cg->id))
		return -EEXIST;
	return cg->dead ? 0 : htab_put(&by_id, cg->id, cg);
}

struct cgroup *cgroup_new_root(uint64_t pids_max, uint64_t memory_max)
{
	struct cgroup *cg;

	mutex_guard(&the_kernel->tasks_mu);
	cg = new_cgroup("");
	if (!cg)
		return NULL;
	if (cgroup_mem_enable(cg) < 0) {
		(void)htab_del(&by_id, cg->id);
		cgroup_put(cg);
		return NULL;
	}
	cg->pids_max = pids_max ? pids_max : CG_MAX;
	cgroup_mem_set_limit(cg, CGM_MAX, memory_max ? memory_max : CG_MAX);
	return cg;
}

struct cgroup *cgroup_find(uint64_t id)
{
	struct cgroup *cg;

	mutex_assert_held(&the_kernel->tasks_mu);
	cg = htab_get(&by_id, id);
	return cg ? cgroup_get(cg) : NULL;
}

struct cgroup *cgroup_child(struct cgroup *cg, const char *name)
{
	struct cgroup *c;

	list_for_each(c, &cg->children, sibling)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

struct cgroup *cgroup_next(struct cgroup *at, struct cgroup *top)
{
	if (!at)
		return top;
	if (!list_empty(&at->children))
		return list_entry(at->children.next, struct cgroup, sibling);
	for (; at != top; at = at->parent)
		if (at->sibling.next != &at->parent->children)
			return list_entry(at->sibling.next, struct cgroup, sibling);
	return NULL;
}

bool cgroup_below(const struct cgroup *cg, const struct cgroup *top)
{
	for (; cg; cg = cg->parent)
		if (cg == top)
			return true;
	return false;
}

uint32_t cgroup_descendants(const struct cgroup *cg)
{
	struct cgroup *top = (struct cgroup *)(uintptr_t)cg, *at = top;
	uint32_t n = 0;

	while ((at = cgroup_next(at, top)))
		n++;
	return n;
}

static void put_path(const struct cgroup *cg, const struct cgroup *root, struct strbuf *b)
{
	if (!cg || cg == root)
		return;
	put_path(cg->parent, root, b);
	if (cg->parent)
		strbuf_addf(b, "/%s", cg->name);
}

void cgroup_path(const struct cgroup *cg, const struct cgroup *root, struct strbuf *b)
{
	const struct cgroup *common = root;
	size_t at = b->len;

	while (common && !cgroup_below(cg, common)) {
		strbuf_adds(b, "/..");
		common = common->parent;
	}
	put_path(cg, common, b);
	if (b->len == at)
		strbuf_addc(b, '/');
	if (cg->dead)
		strbuf_adds(b, " (deleted)");
}

struct cgroup *cgroup_root_of(const struct task *t)
{
	return t && t->tg->container ? t->tg->container->cgroup : NULL;
}

int cgroup_make(struct cgroup *parent, const char *name, uint32_t uid, uint32_t gid, uint32_t mode, struct cgroup **ret)
{
	struct cgroup *cg;
	uint32_t depth = 1;

	if (parent->dead)
		return -ENODEV;
	if (cgroup_child(parent, name))
		return -EEXIST;
	for (struct cgroup *p = parent; p; p = p->parent, depth++)
		if (depth > p->max_depth || cgroup_descendants(p) >= p->max_descendants)
			return -EAGAIN;
	if (depth > 256) /* walks of the tree recurse */
		return -EAGAIN;
	cg = new_cgroup(name);
	if (!cg)
		return -ENOMEM;
	if (uid || gid || mode != 0755) {
		/* The maker owns the directory and the files; these have the modes of their table. */
		cg->attrs = calloc(2, sizeof(*cg->attrs));
		if (!cg->attrs) {
			(void)htab_del(&by_id, cg->id);
			cgroup_put(cg);
			return -ENOMEM;
		}
		cg->attrs[0] = (struct cg_attr){ "", uid, gid, mode };
		cg->attrs[1] = (struct cg_attr){ CG_ATTR_FILES, uid, gid, 0 };
		cg->nr_attrs = 2;
	}
	cg->parent = cgroup_get(parent);
	list_add_tail(&parent->children, &cg->sibling);
	if ((parent->enabled & CG_MEMORY) && cgroup_mem_enable(cg) < 0) {
		(void)!cgroup_unlink(cg);
		return -ENOMEM;
	}
	*ret = cg;
	return 0;
}

int cgroup_unlink(struct cgroup *cg)
{
	if (cg->dead)
		return -ENODEV;
	if (!cg->parent || !list_empty(&cg->children) || cg->nr_live)
		return -EBUSY;
	cgroup_mem_disable(cg);
	cgroup_cpu_free(cg);
	cg->parent->cpu_user += cg->cpu_user;
	cg->parent->cpu_system += cg->cpu_system;
	cg->cpu_user = cg->cpu_system = 0;
	cg->dead = true;
	list_del(&cg->sibling);
	list_init(&cg->sibling);
	(void)htab_del(&by_id, cg->id);
	for (int i = 0; i < CGF_NR; i++)
		cgroup_notify(cg, i);
	cgroup_put(cg); /* the tree's */
	return 0;
}

/* --- types: Linux's predicates (kernel/cgroup/cgroup.c) --- */

static const struct cgroup *dom_of(const struct cgroup *cg)
{
	while (cg->threaded && cg->parent)
		cg = cg->parent;
	return cg;
}

static bool is_thread_root(const struct cgroup *cg)
{
	const struct cgroup *c;

	if (cg->threaded)
		return false;
	list_for_each(c, &cg->children, sibling)
		if (c->threaded)
			return true;
	return cg->nr_live && (cg->enabled & CG_THREADED);
}

static bool is_valid_domain(const struct cgroup *cg)
{
	if (cg->threaded)
		return false;
	for (cg = cg->parent; cg; cg = cg->parent)
		if (cg->threaded || is_thread_root(cg))
			return false;
	return true;
}

static bool can_be_thread_root(const struct cgroup *cg)
{
	const struct cgroup *c;

	if (!is_valid_domain(cg))
		return false;
	list_for_each(c, &cg->children, sibling)
		if (!c->threaded && cgroup_populated(c))
			return false;
	return !(cg->enabled & ~CG_THREADED);
}

const char *cgroup_type(const struct cgroup *cg)
{
	if (cg->threaded)
		return "threaded";
	if (!is_valid_domain(cg))
		return "domain invalid";
	return is_thread_root(cg) ? "domain threaded" : "domain";
}

int cgroup_set_threaded(struct cgroup *cg)
{
	const struct cgroup *dom = cg->parent ? dom_of(cg->parent) : NULL;

	if (cg->threaded)
		return 0;
	if (!dom)
		return -EOPNOTSUPP;
	/* Populated, or giving domain controllers to children. */
	if (cgroup_populated(cg) || (cg->enabled & ~CG_THREADED))
		return -EOPNOTSUPP;
	if (!is_valid_domain(dom) || !can_be_thread_root(dom))
		return -EOPNOTSUPP;
	cg->threaded = true;
	return 0;
}

uint32_t cgroup_controllers(const struct cgroup *cg)
{
	uint32_t c = cg->parent ? cg->parent->enabled : CG_ALL;

	return cg->threaded ? c & CG_THREADED : c;
}

static int vet_enable(const struct cgroup *cg, uint32_t on)
{
	if (!on)
		return 0;
	if (!is_valid_domain(dom_of(cg)))
		return -EOPNOTSUPP;
	if (on & ~CG_THREADED) {
		if (is_thread_root(cg) || cg->threaded)
			return -EOPNOTSUPP;
	} else if (can_be_thread_root(cg) || cg->threaded) {
		return 0;
	}
	return cg->nr_live ? -EBUSY : 0;
}

static void task_set_owner(struct task *t);

/* Tasks whose group, or what it accounts to, has changed. */
static void refresh_tasks(struct cgroup *top)
{
	struct thread_group *tg;
	struct task *t;

	list_for_each(tg, &the_kernel->groups, all_node)
		list_for_each(t, &tg->tasks, tg_node)
			if (t->cgroup && cgroup_below(t->cgroup, top))
				task_set_owner(t);
}

/* A controller is gone from below: its settings go with it. */
static void forget(struct cgroup *c, uint32_t off)
{
	if (off & CG_MEMORY) {
		cgroup_mem_disable(c);
		c->mem[CGM_MAX] = c->mem[CGM_HIGH] = c->mem[CGM_SWAP_MAX] = c->mem[CGM_SWAP_HIGH] = CG_MAX;
		c->mem[CGM_LOW] = c->mem[CGM_MIN] = 0;
		c->oom_group = false;
		memset(c->events, 0, sizeof(c->events));
		memset(c->events_local, 0, sizeof(c->events_local));
	}
	if (off & CG_PIDS) {
		c->pids_max = CG_MAX;
		c->pids_events = c->pids_peak = 0;
	}
	if (off & CG_CPU) {
		c->cpu_weight = 100;
		c->idle = false;
		cgroup_cpu_set_max(c, CG_MAX, 100000);
	}
	if (off & CG_CPUSET) {
		c->cpus[0] = c->cpus[1] = 0;
		c->mems = false;
	}
}

int cgroup_enable(struct cgroup *cg, uint32_t on, uint32_t off)
{
	struct cgroup *c;
	int r;

	if (cg->dead)
		return -ENODEV;
	if (on & ~cgroup_controllers(cg))
		return -ENOENT;
	off &= cg->enabled;
	on &= ~cg->enabled;
	list_for_each(c, &cg->children, sibling)
		if (c->enabled & off)
			return -EBUSY;
	r = vet_enable(cg, on);
	if (r < 0)
		return r;
	if (on & CG_MEMORY)
		list_for_each(c, &cg->children, sibling)
			if (cgroup_mem_enable(c) < 0)
				return -ENOMEM;
	cg->enabled = (cg->enabled | on) & ~off;
	list_for_each(c, &cg->children, sibling) {
		forget(c, off);
		if (on & CG_PIDS)
			c->pids_peak = c->nr_tasks;
	}
	if ((on | off) & CG_MEMORY)
		refresh_tasks(cg);
	if ((on | off) & CG_CPUSET)
		cgroup_cpuset_apply(cg);
	return 0;
}

/* --- telling changes --- */

void cgroup_notify(struct cgroup *cg, enum cg_event_file f)
{
	pseudo_watch_changed(&cg->watch[f]);
}

bool cgroup_populated(const struct cgroup *cg)
{
	struct cgroup *top = (struct cgroup *)(uintptr_t)cg, *at = NULL;

	while ((at = cgroup_next(at, top)))
		if (at->nr_live)
			return true;
	return false;
}

static bool frozen_above(const struct cgroup *cg)
{
	for (; cg; cg = cg->parent)
		if (cg->freeze)
			return true;
	return false;
}

/* A task that will not run application code until it is told to, whatever the reason. */
static bool stands_still(const struct task *t)
{
	char s = atomic_load(&t->run_state);

	return t->cg_frozen || t->stopped || s == 'T' || s == 't';
}

bool cgroup_is_frozen(const struct cgroup *cg)
{
	struct thread_group *tg;
	struct task *t;

	if (!frozen_above(cg))
		return false;
	list_for_each(tg, &the_kernel->groups, all_node)
		list_for_each(t, &tg->tasks, tg_node)
			if (t->cgroup && !t->is_zombie && cgroup_below(t->cgroup, cg) && !stands_still(t))
				return false;
	return true;
}

/* Tells what has changed in @cg and above. */
static void update_events(struct cgroup *cg)
{
	for (; cg; cg = cg->parent) {
		bool p = cgroup_populated(cg), f = cgroup_is_frozen(cg);

		if (p == cg->populated && f == cg->frozen)
			continue;
		cg->populated = p;
		cg->frozen = f;
		cgroup_notify(cg, CGF_EVENTS);
	}
}

/* --- membership --- */

static bool pids_on(const struct cgroup *cg)
{
	return cgroup_controllers(cg) & CG_PIDS;
}

static void count_tasks(struct cgroup *cg, int64_t n)
{
	for (; cg; cg = cg->parent) {
		cg->nr_tasks += (uint64_t)n;
		cg->pids_peak = MAX(cg->pids_peak, cg->nr_tasks);
	}
}

static void task_set_owner(struct task *t)
{
	atomic_store(&t->mem_owner, cgroup_mem_owner(t->cgroup));
}

void cgroup_rejoin_work(struct task *t)
{
	if (t->is_zombie || !frozen_above(t->cgroup))
		return;
	t->cg_frozen = true; /* it was parked there, or on its way; the application sees no difference */
	atomic_fetch_or(&t->work, WORK_CGROUP);
}

void cgroup_settle_events(struct cgroup *top)
{
	struct cgroup *at = NULL;

	while ((at = cgroup_next(at, top))) {
		at->populated = cgroup_populated(at);
		at->frozen = cgroup_is_frozen(at);
	}
}

static void task_check_still(struct task *t)
{
	if (!t->is_zombie && (frozen_above(t->cgroup) || cgroup_cpu_throttled(t->cgroup)))
		task_set_work(t, WORK_CGROUP);
}

void cgroup_join(struct cgroup *cg, struct task *t)
{
	t->cgroup = cgroup_get(cg);
	count_tasks(cg, 1);
	if (!t->is_zombie)
		cg->nr_live++;
	task_set_owner(t);
}

int cgroup_fork(struct cgroup *cg, struct task *t)
{
	for (struct cgroup *p = cg; p; p = p->parent) {
		if (!pids_on(p) || p->nr_tasks < p->pids_max)
			continue;
		if (cg->pids_events++ == 0) {
			_cleanup_strbuf_ struct strbuf b = STRBUF_INIT;

			cgroup_path(cg, NULL, &b);
			if (!strbuf_error(&b))
				klog(6, "cgroup: fork rejected by pids controller in %s", b.data);
		}
		cgroup_notify(cg, CGF_PIDS_EVENTS);
		return -EAGAIN;
	}
	cgroup_join(cg, t);
	if (frozen_above(cg) || cgroup_cpu_throttled(cg))
		atomic_fetch_or(&t->work, WORK_CGROUP);
	if (cg->nr_live == 1 || frozen_above(cg))
		update_events(cg);
	return 0;
}

void cgroup_exit(struct task *t)
{
	struct cgroup *cg = t->cgroup;

	if (!cg)
		return;
	cgroup_cpu_settle(t);
	if (--cg->nr_live == 0 || frozen_above(cg))
		update_events(cg);
}

void cgroup_release(struct task *t)
{
	struct cgroup *cg = t->cgroup;

	if (!cg)
		return;
	count_tasks(cg, -1);
	t->cgroup = NULL;
	cgroup_put(cg);
}

static int vet_destination(const struct cgroup *to)
{
	if (to->dead)
		return -ENODEV;
	if (!is_valid_domain(dom_of(to)))
		return -EOPNOTSUPP;
	/* No processes beside children that compete for a controller. The root of a container is no root of the tree. */
	if (to->enabled & ~CG_THREADED)
		return -EBUSY;
	if (to->enabled && !can_be_thread_root(dom_of(to)))
		return -EBUSY;
	return 0;
}

int cgroup_may_fork_into(const struct cgroup *to, const struct cgroup *from, bool thread)
{
	int r = vet_destination(to);

	if (r == 0 && thread && dom_of(to) != dom_of(from))
		r = -EOPNOTSUPP;
	if (r == 0 && !thread && to->threaded && dom_of(to) != dom_of(from))
		r = -EOPNOTSUPP;
	return r;
}

static void move(struct cgroup *to, struct task *t)
{
	struct cgroup *from = t->cgroup;

	if (from == to)
		return;
	cgroup_cpu_settle(t);
	count_tasks(from, -1);
	if (!t->is_zombie)
		from->nr_live--;
	cgroup_join(to, t);
	task_check_still(t);
	if (t->cg_frozen)
		task_wake(t); /* it looks again */
	update_events(from);
	update_events(to);
	cgroup_put(from);
}

int cgroup_attach(struct cgroup *to, struct task *t, bool thread)
{
	struct thread_group *tg = t->tg;
	struct task *o;
	int r = vet_destination(to);

	if (r < 0)
		return r;
	if (thread) {
		if (dom_of(to) != dom_of(t->cgroup))
			return -EOPNOTSUPP;
		if (!t->is_zombie)
			move(to, t);
	} else {
		if (to->threaded && dom_of(to) != dom_of(t->cgroup))
			return -EOPNOTSUPP;
		list_for_each(o, &tg->tasks, tg_node)
			if (!o->is_zombie || o == tg->leader)
				move(to, o);
	}
	cgroup_cpuset_apply(to);
	return 0;
}

/* --- freezing --- */

void cgroup_set_freeze(struct cgroup *cg, bool on)
{
	struct thread_group *tg;
	struct task *t;
	struct cgroup *at = NULL;

	if (cg->freeze == on)
		return;
	cg->freeze = on;
	list_for_each(tg, &the_kernel->groups, all_node)
		list_for_each(t, &tg->tasks, tg_node) {
			if (!t->cgroup || t->is_zombie || !cgroup_below(t->cgroup, cg))
				continue;
			if (on)
				task_check_still(t);
			else
				task_wake(t);
		}
	while ((at = cgroup_next(at, cg)))
		update_events(at);
}

/* A signal that would end it ends it in the freezer too, as in Linux, where it becomes a SIGKILL when it is sent. */
static bool must_die(struct task *t)
{
	const sigset64_t stops = SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU);
	struct sighand *s = sighand_lock(t);
	bool d = t->tg->group_exiting || (t->pending.set & SIGBIT(SIGKILL)) || (t->tg->exec_task && t->tg->exec_task != t);
	sigset64_t set = (t->pending.set | t->tg->pending.set) & ~t->blocked & ~stops;

	for (int sig = 1; !d && set && sig <= NSIG_MAX; sig++)
		d = (set & SIGBIT(sig)) && s->action[sig - 1].handler == (uint64_t)(uintptr_t)SIG_DFL && !sig_is_default_ignore(sig) &&
		    !t->tg->unkillable && !ptraced(t);
	mutex_unlock(&s->mu);
	return d;
}

static void set_frozen(struct task *t, bool on)
{
	mutex_assert_held(&t->k->tasks_mu);
	if (t->cg_frozen == on)
		return;
	t->cg_frozen = on;
	atomic_store_explicit(&t->run_state, on ? 'S' : 'R', memory_order_relaxed);
	update_events(t->cgroup);
}

/*
 * Stands still while the group is frozen or over its quota. Linux: do_freezer_trap(). Also on the way out of a call that was interrupted for it, which is
 * dispatched again afterwards. A freeze of the kernel (checkpoint) finds the task here like on any edge.
 */
static void stand_still(struct task *t)
{
	struct kernel *k = t->k;

	for (;;) {
		bool frozen, die;

		task_block_prepare(t);
		mutex_lock(&k->tasks_mu);
		frozen = frozen_above(t->cgroup);
		die = must_die(t);
		if (die || (!frozen && !cgroup_cpu_throttled(t->cgroup))) {
			set_frozen(t, false);
			atomic_fetch_and(&t->work, ~WORK_CGROUP);
			mutex_unlock(&k->tasks_mu);
			return;
		}
		set_frozen(t, frozen);
		mutex_unlock(&k->tasks_mu);
		if (atomic_load(&t->work) & WORK_FREEZE) {
			task_park(t);
			continue;
		}
		task_stand(t);
	}
}

void cgroup_edge(struct task *t)
{
	if (!cgroup_mem_edge(t))
		return;
	stand_still(t);
}

void cgroup_kill(struct cgroup *cg)
{
	struct thread_group *tg;

	list_for_each(tg, &the_kernel->groups, all_node)
		if (tg->state < TG_ZOMBIE && tg->leader->cgroup && cgroup_below(tg->leader->cgroup, cg))
			signal_kill_group(tg, SIGKILL);
}
