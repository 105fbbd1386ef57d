/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of control groups: accounts, limits, and the OOM killer. See cgroup.h.
 *
 * The memory file tells every allocation and every release of a range with the account that pays (mem_account()); both are rare compared with pages, and
 * cost an addition for each level of the tree. A range is allocated ahead of use, so its size is an upper bound of what is there. `check` is the size at
 * which somebody must look: the limit at first; when the count of real pages says that there is room, further up.
 *
 *   fault, allocates a window        edge to the application
 *   usage > check: task.mem_over
 *                                    counts pages: below the limit -> check moves up
 *                                    above: kills the worst process of the group, waits for it to go
 *
 * Nothing fails for the sake of a limit, so a call never sees an error that Linux would not give; what a task can take before it comes to its edge is bounded
 * by one window, or by what one call writes to tmpfs. Locks: none for sizes (atomic), tasks_mu for limits and choice.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/klog.h"
#include "sentry/mm/memfile.h"

#define MARGIN	 (256ul << 10) /* the least that `check` moves */
#define OOM_WAIT (100 * 1000000) /* for a victim to go, before looking again */
#define OOM_POLL (2 * 1000000)

/* Indexed by owner; 0 is nobody's. */
struct account {
	_Atomic int64_t usage; /* of the subtree, bytes of ranges */
	_Atomic int64_t peak;
	_Atomic int64_t check, limit;
	_Atomic uint32_t parent;
	struct cgroup *cg; /* guarded by tasks_mu; not counted: it gives the account back */
};
static struct account accounts[MEMFILE_OWNERS];

static void mem_account(uint32_t owner, int64_t delta)
{
	bool over = false;

	for (uint32_t i = owner, depth = 0; i && i < MEMFILE_OWNERS && depth < 512; i = atomic_load(&accounts[i].parent), depth++) {
		struct account *a = &accounts[i];
		int64_t now = atomic_fetch_add(&a->usage, delta) + delta, limit = atomic_load(&a->limit);

		if (delta < 0) {
			if (now <= limit && atomic_load_explicit(&a->check, memory_order_relaxed) != limit)
				atomic_store(&a->check, limit);
			continue;
		}
		if (now > atomic_load_explicit(&a->peak, memory_order_relaxed))
			atomic_store(&a->peak, now);
		over |= now > atomic_load_explicit(&a->check, memory_order_relaxed);
	}
	if (over && current_task) {
		current_task->mem_over = true;
		atomic_fetch_or(&current_task->work, WORK_CGROUP);
	}
}

/* Allocations of set-up code belong to the first container. */
static uint32_t mem_payer(void)
{
	return current_task ? atomic_load_explicit(&current_task->mem_owner, memory_order_relaxed) : 1;
}

void cgroup_mem_init(void)
{
	memfile_set_payer(mem_payer, mem_account);
}

uint32_t cgroup_mem_owner(const struct cgroup *cg)
{
	while (cg && !cg->owner)
		cg = cg->parent;
	return cg ? cg->owner : 0;
}

static void set_limit(struct cgroup *cg)
{
	uint64_t v = MIN(cg->mem[CGM_MAX], cg->mem[CGM_HIGH]);
	int64_t limit = v > INT64_MAX ? INT64_MAX : (int64_t)v;

	atomic_store(&accounts[cg->owner].limit, limit);
	atomic_store(&accounts[cg->owner].check, limit);
}

int cgroup_mem_enable(struct cgroup *cg)
{
	uint32_t i;

	if (cg->owner)
		return 0;
	for (i = 1; i < MEMFILE_OWNERS && accounts[i].cg; i++)
		;
	if (i == MEMFILE_OWNERS)
		return -ENOMEM;
	cg->owner = i;
	accounts[i].cg = cg;
	if (cg->parent) /* the first root takes over what was charged while it was made */
		atomic_store(&accounts[i].usage, 0);
	atomic_store(&accounts[i].peak, atomic_load(&accounts[i].usage));
	atomic_store(&accounts[i].parent, cg->parent ? cgroup_mem_owner(cg->parent) : 0);
	set_limit(cg);
	return 0;
}

void cgroup_mem_disable(struct cgroup *cg)
{
	struct cgroup *c, *at = NULL;
	uint32_t from = cg->owner, to;

	if (!from || !cg->parent)
		return;
	to = cgroup_mem_owner(cg->parent);
	while ((at = cgroup_next(at, cg)))
		list_for_each(c, &at->children, sibling)
			if (c->owner && atomic_load(&accounts[c->owner].parent) == from)
				atomic_store(&accounts[c->owner].parent, to);
	cg->owner = 0;
	memfile_owner_move(the_kernel->mf, from, to); /* sizes go with it: both have the same groups above */
	atomic_store(&accounts[from].usage, 0);
	accounts[from].cg = NULL;
}

uint64_t cgroup_mem_charged(const struct cgroup *cg)
{
	int64_t n = atomic_load(&accounts[cgroup_mem_owner(cg)].usage);

	return n > 0 ? (uint64_t)n : 0;
}

uint64_t cgroup_mem_usage(const struct cgroup *cg, uint64_t *ret_shared)
{
	uint32_t top = cgroup_mem_owner(cg);
	uint64_t set[MEMFILE_OWNERS / 64] = { 0 }, shared = 0, n;

	for (uint32_t i = 1; i < MEMFILE_OWNERS; i++)
		for (uint32_t at = i, depth = 0; at && depth < 512; at = atomic_load(&accounts[at].parent), depth++) {
			if (!accounts[i].cg)
				break;
			if (at == top) {
				set[i / 64] |= 1ull << i % 64;
				break;
			}
		}
	n = memfile_owner_resident(the_kernel->mf, set, &shared);
	if (ret_shared)
		*ret_shared = shared;
	return n;
}

/* The highest count of real pages is not known; what was allocated is an upper bound, and what is there now a lower one. */
uint64_t cgroup_mem_peak(const struct cgroup *cg)
{
	int64_t p = atomic_load(&accounts[cgroup_mem_owner(cg)].peak);

	return MAX(p > 0 ? (uint64_t)p : 0, cg->peak);
}

void cgroup_mem_reset_peak(struct cgroup *cg, uint64_t peak)
{
	cg->peak = peak;
}

void cgroup_mem_event(struct cgroup *cg, enum cg_mem_event e)
{
	cg->events_local[e]++;
	cgroup_notify(cg, CGF_MEM_EVENTS_LOCAL);
	for (; cg; cg = cg->parent) {
		cg->events[e]++;
		cgroup_notify(cg, CGF_MEM_EVENTS);
	}
}

/* --- the OOM killer --- */

struct candidate {
	struct thread_group *tg; /* referenced */
	struct mm *mm; /* referenced */
	int32_t adj;
};

/* Live processes below @top whose memory counts; *@dying: one is on its way out already. */
static size_t candidates(const struct cgroup *top, struct candidate **ret, bool *dying)
{
	struct thread_group *tg;
	struct candidate *v;
	size_t n = 0, cap = 0;

	*dying = false;
	list_for_each(tg, &the_kernel->groups, all_node)
		cap++;
	v = calloc(cap + 1, sizeof(*v));
	list_for_each(tg, &the_kernel->groups, all_node) {
		struct mm *mm;

		if (!v || tg->state >= TG_ZOMBIE || !tg->leader->cgroup || !cgroup_below(tg->leader->cgroup, top))
			continue;
		if (tg->group_exiting) {
			*dying = true;
			continue;
		}
		mm = task_mm_get(tg->leader);
		if (!mm)
			continue;
		v[n++] = (struct candidate){ tg_get(tg), mm, tg->oom_score_adj };
	}
	*ret = v;
	return n;
}

static int64_t badness(const struct candidate *c, uint64_t limit)
{
	struct mm_usage u;

	mm_usage(c->mm, &u);
	return (int64_t)((u.rss + u.pte) / PAGE_SIZE) + (int64_t)c->adj * (int64_t)(limit / PAGE_SIZE) / 1000;
}

static void kill_one(struct thread_group *tg, struct mm *mm, const char *why)
{
	struct mm_usage u;
	struct cred *cr = task_cred_get(tg->leader);
	struct cgroup *cg;

	mm_usage(mm, &u);
	klog(3, "%s: Killed process %d (%s) total-vm:%lukB, anon-rss:%lukB, file-rss:%lukB, shmem-rss:%lukB, UID:%u pgtables:%lukB oom_score_adj:%d", why,
	     pid_nr_ns(tg->pid, the_kernel->root_pid_ns), tg->leader->comm, (unsigned long)(u.vm >> 10),
	     (unsigned long)((u.rss - u.rss_file - u.rss_shmem) >> 10), (unsigned long)(u.rss_file >> 10), (unsigned long)(u.rss_shmem >> 10),
	     cr ? cr->uid : 0, (unsigned long)(u.pte >> 10), tg->oom_score_adj);
	cred_put(cr);
	mutex_lock(&the_kernel->tasks_mu);
	cg = tg->leader->cgroup;
	while (cg && !cg->owner)
		cg = cg->parent;
	if (cg)
		cgroup_mem_event(cg, CGE_OOM_KILL);
	signal_kill_group(tg, SIGKILL);
	mutex_unlock(&the_kernel->tasks_mu);
}

/* The group that dies as one with a victim in @cg: the highest with oom.group within @top. */
static struct cgroup *oom_domain(struct cgroup *cg, const struct cgroup *top)
{
	struct cgroup *r = NULL;

	for (; cg; cg = cg->parent) {
		if (cg->oom_group && cg->owner)
			r = cg;
		if (cg == top)
			break;
	}
	return r;
}

/* Kills the worst of @n; true when somebody dies. */
static bool oom_kill(struct task *t, struct cgroup *top, struct candidate *v, size_t n, uint64_t limit)
{
	struct candidate *worst = NULL;
	struct cgroup *domain;
	int64_t most = 0;

	for (size_t i = 0; i < n; i++) {
		int64_t b;

		if (v[i].adj == -1000)
			continue;
		b = badness(&v[i], limit);
		if (!worst || b > most) {
			worst = &v[i];
			most = b;
		}
	}
	klog(4, "%s invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=%d", t->comm, t->tg->oom_score_adj);
	if (!worst) {
		klog(4, "Out of memory and no killable processes...");
		return false;
	}
	mutex_lock(&the_kernel->tasks_mu);
	domain = worst->tg->leader->cgroup ? oom_domain(worst->tg->leader->cgroup, top) : NULL;
	if (domain) {
		cgroup_get(domain);
		cgroup_mem_event(domain, CGE_OOM_GROUP_KILL);
	}
	mutex_unlock(&the_kernel->tasks_mu);
	kill_one(worst->tg, worst->mm, "Memory cgroup out of memory");
	for (size_t i = 0; i < n; i++) {
		bool same = v[i].mm == worst->mm, in = false;

		mutex_lock(&the_kernel->tasks_mu);
		if (domain && v[i].tg->leader->cgroup)
			in = cgroup_below(v[i].tg->leader->cgroup, domain);
		mutex_unlock(&the_kernel->tasks_mu);
		if (&v[i] != worst && (same || in) && v[i].adj != -1000)
			kill_one(v[i].tg, v[i].mm, "Memory cgroup out of memory");
	}
	cgroup_put(domain);
	return true;
}

/* Waits until a victim has given memory back; -EFREEZE when a freeze comes first. */
static int wait_for_room(struct task *t, const struct cgroup *cg, uint64_t limit)
{
	int64_t until = ktime_mono() + OOM_WAIT;

	while (ktime_mono() < until && cgroup_mem_charged(cg) > limit) {
		int r;

		task_block_prepare(t);
		r = task_block_killable(t, MIN(until, ktime_mono() + OOM_POLL));
		if (r == -EFREEZE && (atomic_load(&t->work) & WORK_FREEZE))
			return r;
		if (r == -ERESTARTSYS || __atomic_load_n(&t->tg->group_exiting, __ATOMIC_ACQUIRE))
			return 0; /* we are it */
	}
	return 0;
}

/* One level over its `check`. 0: done with it; 1: look again; -EFREEZE. */
static int relieve(struct task *t, struct cgroup *cg)
{
	struct account *a = &accounts[cg->owner];
	uint64_t max = cg->mem[CGM_MAX], high = cg->mem[CGM_HIGH], usage = cgroup_mem_usage(cg, NULL), charged = cgroup_mem_charged(cg), limit;
	struct candidate *v;
	bool dying, killed;
	size_t n;

	limit = usage > high && high < max ? max : MIN(max, high);
	if (usage > high) {
		mutex_lock(&the_kernel->tasks_mu);
		cgroup_mem_event(cg, CGE_HIGH);
		mutex_unlock(&the_kernel->tasks_mu);
	}
	if (usage <= limit) {
		uint64_t room = limit == CG_MAX ? charged + MARGIN : (limit - usage) / 2;

		room = MAX(room, MARGIN);
		atomic_store(&a->check, (int64_t)MIN(charged + room, (uint64_t)INT64_MAX));
		return 0;
	}
	mutex_lock(&the_kernel->tasks_mu);
	n = candidates(cg, &v, &dying);
	if (!dying) {
		cgroup_mem_event(cg, CGE_MAX);
		cgroup_mem_event(cg, CGE_OOM);
	}
	mutex_unlock(&the_kernel->tasks_mu);
	killed = dying || oom_kill(t, cg, v, n, limit);
	for (size_t i = 0; i < n; i++) {
		mm_put(v[i].mm);
		tg_put(v[i].tg);
	}
	free(v);
	if (!killed) { /* nobody may be killed: go on, and ask again later */
		atomic_store(&a->check, (int64_t)MIN(charged + (16ul << 20), (uint64_t)INT64_MAX));
		return 0;
	}
	if (__atomic_load_n(&t->tg->group_exiting, __ATOMIC_ACQUIRE))
		return 0;
	n = wait_for_room(t, cg, limit) < 0;
	return n ? -EFREEZE : 1;
}

void cgroup_mem_enforce(struct cgroup *cg, struct task *t)
{
	struct account *a = &accounts[cgroup_mem_owner(cg)];

	if (!t || t != current_task || atomic_load(&a->usage) <= atomic_load(&a->check))
		return;
	t->mem_over = true;
	atomic_fetch_or(&t->work, WORK_CGROUP);
}

/* A group over its `check`, referenced: of the own ones, or any whose limit was lowered. tasks_mu held. */
static struct cgroup *over_limit(void)
{
	for (uint32_t i = 1; i < MEMFILE_OWNERS; i++)
		if (accounts[i].cg && atomic_load(&accounts[i].usage) > atomic_load(&accounts[i].check))
			return cgroup_get(accounts[i].cg);
	return NULL;
}

bool cgroup_mem_edge(struct task *t)
{
	while (t->mem_over) {
		struct cgroup *over;
		int r;

		mutex_lock(&the_kernel->tasks_mu);
		over = over_limit();
		mutex_unlock(&the_kernel->tasks_mu);
		if (!over) {
			t->mem_over = false;
			break;
		}
		r = relieve(t, over);
		cgroup_put(over);
		if (r < 0)
			return false;
		if (__atomic_load_n(&t->tg->group_exiting, __ATOMIC_ACQUIRE)) {
			t->mem_over = false;
			break;
		}
	}
	return true;
}

void cgroup_mem_set_limit(struct cgroup *cg, enum cg_mem_limit which, uint64_t v)
{
	cg->mem[which] = v == CG_MAX ? v : ALIGN_DOWN(v, PAGE_SIZE);
	if ((which == CGM_MAX || which == CGM_HIGH) && cg->owner)
		set_limit(cg);
}
