/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups, version 2: a tree of groups per container, whose root is the container itself. What the files of the cgroup2 file system do
 * (sentry/fs/sys/cgroup*.c) is here, apart from text.
 *
 *   container --> root cgroup --> children ...     task --> cgroup (until it is reaped)     page of the memory file --> cgroup that pays
 *
 * - pids: counted up the tree, checked by fork. A zombie counts until it is reaped, as in Linux.
 * - memory: who makes the memory file grow pays, by ranges, so a page costs nothing. Ranges are allocated ahead of use; when a group comes to its limit
 *   what is really there is counted, and only that decides. Then the OOM killer runs on the edge to the application (nothing can be reclaimed).
 * - freezing: a task stops on the edge, or holding the call it was in, with WORK_CGROUP set.
 * - cpu.max: a timer looks at what the group used in each period; beyond its quota it stops like a frozen one.
 *
 * Locks: kernel.tasks_mu guards the tree, membership and limits; sizes of memory are atomic. Changes are told with it held.
 * Checkpoint: groups, limits, counters; a frozen task is parked anyway. Not saved: waiters. Linux: kernel/cgroup, mm/memcontrol.c.
 *
 * DEVIATIONS: memory is charged by ranges, so between two counts a group may exceed its limit by what was allocated ahead; there is no reclaim, so memory.high, low
 * and min only count; page cache of files outside is the host's and charged to nobody; cpu.weight and cpu.idle are remembered.
 */
#ifndef SENTRY_KERNEL_CGROUP_H
#define SENTRY_KERNEL_CGROUP_H

#include "sentry/fs/pseudo/watch.h"
#include "sentry/kernel/kernel.h"

enum cg_ctl { CG_CPUSET = 1, CG_CPU = 2, CG_MEMORY = 4, CG_PIDS = 8 };
#define CG_ALL	    15u
#define CG_THREADED (CG_CPUSET | CG_CPU | CG_PIDS) /* controllers that may divide a process */
#define CG_MAX	    UINT64_MAX /* no limit */
#define CG_UMAX	    UINT32_MAX

enum cg_mem_limit { CGM_MAX, CGM_HIGH, CGM_LOW, CGM_MIN, CGM_SWAP_MAX, CGM_SWAP_HIGH, CGM_LIMITS };
enum cg_mem_event { CGE_LOW, CGE_HIGH, CGE_MAX, CGE_OOM, CGE_OOM_KILL, CGE_OOM_GROUP_KILL, CGE_EVENTS };

/* Files whose changes are told to poll and inotify. */
enum cg_event_file { CGF_EVENTS, CGF_MEM_EVENTS, CGF_MEM_EVENTS_LOCAL, CGF_PIDS_EVENTS, CGF_SWAP_EVENTS, CGF_NR };

#define CG_ATTR_FILES "*" /* owner of files that nobody has given away */
struct cg_attr {
	char name[32]; /* "": the directory */
	uint32_t uid, gid, mode;
};

struct cgroup {
	struct ref ref; /* nosave: counted anew by the loader */
	uint64_t id; /* saved: 1 */
	struct cgroup *parent; /* saved: 2, referenced; NULL: root of a container, which has no group of its own above */
	struct list children; /* saved: 27; sibling; in creation order */
	struct list sibling; /* derived: linked by the parent's load */
	char *name; /* saved: 3 */
	bool dead; /* saved: 4 */
	bool threaded; /* saved: 5 */
	uint32_t enabled; /* saved: 6; what children may use */
	uint32_t max_depth, max_descendants; /* saved: 7, 8 */
	bool freeze; /* saved: 9; what was asked of this one */
	bool frozen; /* nosave: told last */
	bool populated; /* nosave: told last */
	struct cg_attr *attrs; /* saved: 10; owned */
	size_t nr_attrs; /* saved: 10 attrs */
	struct pseudo_watch watch[CGF_NR]; /* nosave: who waits looks again */

	uint64_t nr_tasks; /* derived: in the subtree, zombies too */
	uint64_t nr_live; /* derived: of this group alone, without zombies */
	uint64_t pids_max, pids_peak, pids_events; /* saved: 11, 12, 13 */

	uint32_t owner; /* derived: index in the table of who pays, 0: does not account memory, its parent does */
	uint64_t mem[CGM_LIMITS]; /* saved: 14 mem_limits */
	bool oom_group; /* saved: 15 */
	uint64_t events[CGE_EVENTS], events_local[CGE_EVENTS]; /* saved: 16 mem_events, 16 mem_events */

	uint32_t cpu_weight; /* saved: 19 */
	uint64_t cpu_quota, cpu_period; /* saved: 20, 21; us */
	int64_t cpu_user, cpu_system; /* saved: 22, 23; ns of tasks that left */
	uint64_t nr_periods, nr_throttled; /* saved: 28, 29 */
	int64_t throttled_ns; /* saved: 30 */
	struct cg_bandwidth *bw; /* nosave: timer of cpu.max; made anew */
	uint64_t cpus[2]; /* saved: 24 */
	bool mems; /* saved: 25 */
	bool idle; /* saved: 26 */
	uint64_t *load_ranges; /* nosave: mem_ranges between load and cgroup_after_restore() */
	size_t nr_load_ranges; /* nosave: of them */
	uint64_t peak; /* saved: 17 mem_peak; the table of owners has the present one */
};

/* --- the tree; all with tasks_mu held unless said --- */

struct cgroup *cgroup_get(struct cgroup *cg);
void cgroup_put(struct cgroup *cg); /* NULL is fine; any lock */
/* The root group of a new container with its limits (0: none); NULL: out of memory. Takes tasks_mu. */
struct cgroup *cgroup_new_root(uint64_t pids_max, uint64_t memory_max);
/* The group with directory @id, referenced, or NULL: never was, or was removed. */
struct cgroup *cgroup_find(uint64_t id);
/* mkdir: *@ret is borrowed. -EEXIST, -EAGAIN (limits of descendants), -ENODEV (the parent was removed), -ENOMEM. */
_must_check_ int cgroup_make(struct cgroup *parent, const char *name, uint32_t uid, uint32_t gid, uint32_t mode, struct cgroup **ret);
_must_check_ int cgroup_unlink(struct cgroup *cg); /* -EBUSY */
struct cgroup *cgroup_child(struct cgroup *cg, const char *name); /* borrowed, or NULL */
/* "/" and the names from below @root to @cg; "/.." forms when it is not below. */
void cgroup_path(const struct cgroup *cg, const struct cgroup *root, struct strbuf *b);
/* What a process of container @c sees as "/". */
struct cgroup *cgroup_root_of(const struct task *t);
bool cgroup_below(const struct cgroup *cg, const struct cgroup *top); /* @cg is @top or below */
/* Controllers that @cg may use: those that its parent gives. */
uint32_t cgroup_controllers(const struct cgroup *cg);
uint32_t cgroup_descendants(const struct cgroup *cg);
/* Depth-first walk of the subtree of @top: NULL starts, NULL ends. */
struct cgroup *cgroup_next(struct cgroup *at, struct cgroup *top);

/* cgroup.type: "domain", "threaded", "domain threaded", "domain invalid". */
const char *cgroup_type(const struct cgroup *cg);
_must_check_ int cgroup_set_threaded(struct cgroup *cg); /* -EOPNOTSUPP */
_must_check_ int cgroup_enable(struct cgroup *cg, uint32_t on, uint32_t off); /* cgroup.subtree_control */

/* --- membership --- */

/* For a task that is being linked: may it be, and it is. -EAGAIN: pids.max. */
_must_check_ int cgroup_fork(struct cgroup *cg, struct task *t);
void cgroup_exit(struct task *t); /* it is a zombie now */
void cgroup_release(struct task *t); /* it is reaped */
/* Moves a whole process (@thread false) or a thread. Permission was checked. -EBUSY (internal processes), -EOPNOTSUPP (threads across domains), -ENOENT. */
_must_check_ int cgroup_attach(struct cgroup *to, struct task *t, bool thread);
/* clone3(CLONE_INTO_CGROUP): may a child be born in @to? */
_must_check_ int cgroup_may_fork_into(const struct cgroup *to, const struct cgroup *from, bool thread);

/* --- freezing and killing --- */

void cgroup_set_freeze(struct cgroup *cg, bool on);
bool cgroup_is_frozen(const struct cgroup *cg); /* every task of the subtree has stopped for a freeze that covers it */
bool cgroup_populated(const struct cgroup *cg);
void cgroup_kill(struct cgroup *cg);
/* On the edge to the application, for WORK_CGROUP: kills for want of memory, stops while frozen or over quota. Own thread, no lock. */
void cgroup_edge(struct task *t);

/* --- memory (cgroup_mem.c) --- */

void cgroup_mem_init(void); /* hooks into the memory file */
/* Gives @cg an account, or takes it away (what it paid for is its parent's then). */
_must_check_ int cgroup_mem_enable(struct cgroup *cg);
void cgroup_mem_disable(struct cgroup *cg);
/* The account that tasks of @cg use. */
uint32_t cgroup_mem_owner(const struct cgroup *cg);
/* Pages of the subtree: as allocated, and as really there (slow, no lock needed; @shared: the part in files and shared memory). */
uint64_t cgroup_mem_charged(const struct cgroup *cg);
uint64_t cgroup_mem_usage(const struct cgroup *cg, uint64_t *ret_shared);
uint64_t cgroup_mem_peak(const struct cgroup *cg);
void cgroup_mem_reset_peak(struct cgroup *cg, uint64_t peak);
void cgroup_mem_set_limit(struct cgroup *cg, enum cg_mem_limit which, uint64_t v);
void cgroup_mem_event(struct cgroup *cg, enum cg_mem_event e);
/* A limit was lowered by @t (NULL: by the kernel): it looks on its edge, as if it had allocated. */
void cgroup_mem_enforce(struct cgroup *cg, struct task *t);
/* What the own thread owes: run the OOM killer where a limit is exceeded. False: it must stop doing so, a freeze waits. */
bool cgroup_mem_edge(struct task *t);

/* --- CPU (cgroup_cpu.c) --- */

void cgroup_cpu_usage(const struct cgroup *cg, int64_t *ret_user, int64_t *ret_system);
/* Moves what @t has used since it came to its group's account. */
void cgroup_cpu_settle(struct task *t);
void cgroup_cpu_set_max(struct cgroup *cg, uint64_t quota_us, uint64_t period_us);
/* As if the period that the group spends throttled ended now: after a restore a new one begins. */
void cgroup_cpu_stat(const struct cgroup *cg, uint64_t *ret_periods, int64_t *ret_throttled_ns);
bool cgroup_cpu_throttled(const struct cgroup *cg); /* it or a group above */
void cgroup_cpu_free(struct cgroup *cg);
void cgroup_effective_cpus(const struct cgroup *cg, uint64_t ret[2]);
/* cpuset.cpus changed somewhere above: gives every task of the subtree what it may use. */
void cgroup_cpuset_apply(struct cgroup *cg);

/* --- changes --- */

void cgroup_notify(struct cgroup *cg, enum cg_event_file f);
/* The group whose directory is open as @fd, referenced. -EBADF: none; -EACCES or -EPERM: nobody may be born in it by @t. Takes locks. */
_must_check_ int cgroup_from_fd(struct task *t, int fd, struct cgroup **ret);

/* The saver's order of things: after every object is loaded, frozen and charged state is put together. */
_must_check_ int cgroup_after_restore(struct kernel *k);

#endif
