/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "cgroup2": the tree of control groups as files. A mount shows the groups of one container from its root down, which looks like the root of a cgroup
 * namespace: a group as any other, with limits of its own. Groups are sentry/kernel/cgroup.h; here are directories, the cgroup.* files and permissions.
 *
 * Owners: a group's files belong to whoever made it; chown of a directory and of its cgroup.procs, cgroup.threads and cgroup.subtree_control delegates it. Moving a
 * process needs the right to write cgroup.procs of the nearest common group, judged by who opened the file.
 * Locks: directory inode.mu > tasks_mu. Checkpoint: entries by group id (sentry/fs/pseudo). Linux: kernel/cgroup/cgroup.c.
 */
#include "sentry/fs/sys/cgroup_internal.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/fs/fd_table.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/pseudo/pseudo_internal.h"

static const struct {
	const char *name;
	uint32_t bit;
} controllers[] = { { "cpuset", CG_CPUSET }, { "cpu", CG_CPU }, { "memory", CG_MEMORY }, { "pids", CG_PIDS } };

/* --- finding groups --- */

struct cgroup *cgfs_group(const struct pctx *c)
{
	struct cgroup *root;

	if (c->id)
		return cgroup_find(c->id);
	root = cgroup_root_of(c->t); /* a mount from an older image: the viewer's container */
	return root ? cgroup_get(root) : NULL;
}

int cgfs_show(struct pctx *c, struct strbuf *b, void (*fn)(struct cgroup *cg, struct strbuf *b, const void *arg), const void *arg)
{
	struct cgroup *cg;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(c);
	if (cg)
		fn(cg, b, arg);
	cgroup_put(cg);
	mutex_unlock(&the_kernel->tasks_mu);
	return cg ? 0 : -ENODEV;
}

static bool has(const struct pctx *c, uint32_t bit)
{
	struct cgroup *cg;
	bool r;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(c);
	r = cg && (cgroup_controllers(cg) & bit);
	cgroup_put(cg);
	mutex_unlock(&the_kernel->tasks_mu);
	return r;
}

bool cgfs_has_memory(const struct pctx *c)
{
	return has(c, CG_MEMORY);
}

bool cgfs_has_pids(const struct pctx *c)
{
	return has(c, CG_PIDS);
}

bool cgfs_has_cpu(const struct pctx *c)
{
	return has(c, CG_CPU);
}

bool cgfs_has_cpuset(const struct pctx *c)
{
	return has(c, CG_CPUSET);
}

struct pseudo_watch *cgfs_watch(const struct pctx *c, void **ret_owner)
{
	struct cgroup *cg;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(c);
	mutex_unlock(&the_kernel->tasks_mu);
	*ret_owner = cg;
	return cg ? &cg->watch[(uintptr_t)c->node->data] : NULL;
}

void cgfs_unwatch(void *owner)
{
	cgroup_put(owner);
}

/* --- the cgroup.* files --- */

static void put_controllers(struct strbuf *b, uint32_t set)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		if (set & controllers[i].bit) {
			strbuf_addf(b, "%s%s", any ? " " : "", controllers[i].name);
			any = true;
		}
	strbuf_addc(b, '\n');
}

enum core { CONTROLLERS, SUBTREE, EVENTS, TYPE, STAT, FREEZE, MAX_DEPTH, MAX_DESC };

static void put_umax(struct strbuf *b, uint32_t v)
{
	if (v == CG_UMAX)
		strbuf_adds(b, "max\n");
	else
		strbuf_addf(b, "%u\n", v);
}

static void put_core(struct cgroup *cg, struct strbuf *b, const void *arg)
{
	switch ((enum core)(uintptr_t)arg) {
	case CONTROLLERS:
		put_controllers(b, cgroup_controllers(cg));
		break;
	case SUBTREE:
		put_controllers(b, cg->enabled);
		break;
	case EVENTS:
		strbuf_addf(b, "populated %d\nfrozen %d\n", cgroup_populated(cg), cgroup_is_frozen(cg));
		break;
	case TYPE:
		strbuf_addf(b, "%s\n", cgroup_type(cg));
		break;
	case STAT:
		strbuf_addf(b, "nr_descendants %u\nnr_dying_descendants 0\n", cgroup_descendants(cg));
		break;
	case FREEZE:
		strbuf_addf(b, "%d\n", cg->freeze);
		break;
	case MAX_DEPTH:
		put_umax(b, cg->max_depth);
		break;
	case MAX_DESC:
		put_umax(b, cg->max_descendants);
		break;
	}
}

static int show_core(struct pctx *c, struct strbuf *b)
{
	return cgfs_show(c, b, put_core, c->node->data);
}

static int show_events(struct pctx *c, struct strbuf *b)
{
	return cgfs_show(c, b, put_core, (const void *)(uintptr_t)EVENTS);
}

#define CORE(nm, what, ...) PN_FILE(nm, 0444, show_core, .data = (const void *)(uintptr_t)(what), ##__VA_ARGS__)
#define CORE_RW(nm, what, st) { .name = (nm), .mode = LINUX_S_IFREG | 0644, .show = show_core, .store = (st), .data = (const void *)(uintptr_t)(what) }

/* Calls @fn with the group under tasks_mu; its result, or @n when that is 0. */
static int64_t change(struct pctx *c, size_t n, int (*fn)(struct cgroup *cg, const void *arg), const void *arg)
{
	struct cgroup *cg;
	int r = -ENODEV;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(c);
	if (cg)
		r = fn(cg, arg);
	cgroup_put(cg);
	mutex_unlock(&the_kernel->tasks_mu);
	return r < 0 ? r : (int64_t)n;
}

struct enable {
	uint32_t on, off;
};

static int do_enable(struct cgroup *cg, const void *arg)
{
	const struct enable *e = arg;

	return cgroup_enable(cg, e->on, e->off);
}

static int64_t store_subtree(struct pctx *c, char *s, size_t n)
{
	struct enable e = { 0 };
	char *save = NULL;

	for (char *w = strtok_r(s, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
		uint32_t bit = 0;

		for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
			if (!strcmp(w + 1, controllers[i].name))
				bit = controllers[i].bit;
		if (!bit || (*w != '+' && *w != '-'))
			return -EINVAL;
		e.on = *w == '+' ? e.on | bit : e.on & ~bit;
		e.off = *w == '-' ? e.off | bit : e.off & ~bit;
	}
	return change(c, n, do_enable, &e);
}

static int do_type(struct cgroup *cg, const void *arg)
{
	return cg->parent ? cgroup_set_threaded(cg) : -EOPNOTSUPP;
}

static char *strip(char *s)
{
	size_t n;

	while (*s == ' ' || *s == '\t' || *s == '\n')
		s++;
	for (n = strlen(s); n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\n'); n--)
		s[n - 1] = '\0';
	return s;
}

static int64_t store_type(struct pctx *c, char *s, size_t n)
{
	return strcmp(strip(s), "threaded") != 0 ? -EINVAL : change(c, n, do_type, NULL);
}

static int do_freeze(struct cgroup *cg, const void *arg)
{
	cgroup_set_freeze(cg, *(const uint64_t *)arg);
	return 0;
}

static int64_t store_freeze(struct pctx *c, char *s, size_t n)
{
	int64_t v;
	int r = pseudo_parse_i64(s, &v);

	if (r < 0)
		return r;
	return v < 0 || v > 1 ? -ERANGE : change(c, n, do_freeze, &v);
}

static int do_kill(struct cgroup *cg, const void *arg)
{
	if (cg->threaded)
		return -EOPNOTSUPP;
	cgroup_kill(cg);
	return 0;
}

static int64_t store_kill(struct pctx *c, char *s, size_t n)
{
	int64_t v;
	int r = pseudo_parse_i64(s, &v);

	if (r < 0)
		return r;
	return v != 1 ? -ERANGE : change(c, n, do_kill, NULL);
}

static int do_depth(struct cgroup *cg, const void *arg)
{
	cg->max_depth = *(const uint32_t *)arg;
	return 0;
}

static int do_descendants(struct cgroup *cg, const void *arg)
{
	cg->max_descendants = *(const uint32_t *)arg;
	return 0;
}

static int64_t store_umax(struct pctx *c, char *s, size_t n)
{
	uint32_t v = CG_UMAX;
	int64_t x;
	int r;

	if (strcmp(strip(s), "max") != 0) {
		r = pseudo_parse_i64(s, &x);
		if (r < 0)
			return r;
		if (x < 0 || x > INT32_MAX)
			return -ERANGE;
		v = (uint32_t)x;
	}
	return change(c, n, (uintptr_t)c->node->data == MAX_DEPTH ? do_depth : do_descendants, &v);
}

/* --- members --- */

static bool lists(const struct cgroup *cg, const struct thread_group *tg)
{
	const struct task *t;

	list_for_each(t, &tg->tasks, tg_node)
		if (!t->is_zombie && t->cgroup) {
			/* A process whose threads are spread belongs to the root of their subtree. */
			const struct cgroup *dom = t->cgroup;

			while (dom->threaded && dom->parent)
				dom = dom->parent;
			if (dom == cg)
				return true;
		}
	return false;
}

static void put_member(struct strbuf *b, struct pid *pid, const struct pctx *c)
{
	int32_t nr = pid_nr_ns(pid, c->t ? task_pid_ns(c->t) : the_kernel->root_pid_ns);

	strbuf_addf(b, "%d\n", nr); /* 0: not in the viewer's namespace, as in Linux */
}

static int show_procs(struct pctx *c, struct strbuf *b)
{
	bool threads = c->node->data != NULL;
	struct thread_group *tg;
	struct cgroup *cg;
	struct task *t;
	int r = 0;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(c);
	if (!cg)
		r = -ENODEV;
	else if (!threads && cg->threaded)
		r = -EOPNOTSUPP;
	if (r == 0)
		list_for_each(tg, &the_kernel->groups, all_node) {
			if (!threads && tg->state < TG_ZOMBIE && lists(cg, tg))
				put_member(b, tg->pid, c);
			if (threads)
				list_for_each(t, &tg->tasks, tg_node)
					if (t->cgroup == cg && !t->is_zombie)
						put_member(b, t->pid, c);
		}
	cgroup_put(cg);
	mutex_unlock(&the_kernel->tasks_mu);
	return r;
}

static const struct cg_attr *find_attr(const struct cgroup *cg, const char *name)
{
	for (size_t i = 0; i < cg->nr_attrs; i++)
		if (!strcmp(cg->attrs[i].name, name))
			return &cg->attrs[i];
	return NULL;
}

/* Who owns file @name of @cg; @mode is what the table says and may be changed. */
static void attrs_of(const struct cgroup *cg, const char *name, uint32_t *mode, uint32_t *uid, uint32_t *gid)
{
	const struct cg_attr *a = find_attr(cg, name);

	if (a) {
		*uid = a->uid;
		*gid = a->gid;
		*mode = (*mode & LINUX_S_IFMT) | a->mode;
		return;
	}
	a = find_attr(cg, CG_ATTR_FILES);
	if (a && *name) {
		*uid = a->uid;
		*gid = a->gid;
	}
}

/* May @cr write cgroup.procs of @cg? */
static int may_write_procs(const struct cgroup *cg, const struct cred *cr)
{
	uint32_t mode = LINUX_S_IFREG | 0644, uid = 0, gid = 0;
	uint32_t bits;

	if (cred_has_cap(cr, LINUX_CAP_DAC_OVERRIDE))
		return 0;
	attrs_of(cg, "cgroup.procs", &mode, &uid, &gid);
	bits = cr->fsuid == uid ? mode >> 6 : cred_in_group(cr, gid) ? mode >> 3 : mode;
	return bits & 2 ? 0 : -EACCES;
}

static int check_move(const struct cgroup *from, const struct cgroup *to, const struct cred *cr)
{
	const struct cgroup *common = to;

	while (common && !cgroup_below(from, common))
		common = common->parent;
	if (!common)
		return -ENOENT; /* of another container */
	return may_write_procs(common, cr);
}

static int64_t store_procs(struct pctx *c, char *s, size_t n)
{
	bool thread = c->node->data != NULL;
	struct task *t = NULL;
	struct cgroup *to;
	int64_t nr;
	int r = pseudo_parse_i64(s, &nr);

	if (r < 0 || nr < 0 || nr > INT32_MAX)
		return -EINVAL;
	if (!c->t)
		return -ESRCH;
	if (nr == 0)
		t = task_get(c->t);
	else
		t = task_find(the_kernel, task_pid_ns(c->t), (int32_t)nr);
	mutex_lock(&the_kernel->tasks_mu);
	to = cgfs_group(c);
	r = to ? 0 : -ENODEV;
	if (r == 0 && (!t || !t->cgroup))
		r = -ESRCH;
	if (r == 0 && !thread && t->tg->leader != t && t->tg->leader->cgroup) { /* any thread stands for its process */
		struct task *leader = task_get(t->tg->leader);

		task_put(t);
		t = leader;
	}
	if (r == 0)
		r = check_move(t->cgroup, to, c->cred ? c->cred : c->t->cred);
	if (r == 0)
		r = cgroup_attach(to, t, thread);
	cgroup_put(to);
	mutex_unlock(&the_kernel->tasks_mu);
	task_put(t);
	return r < 0 ? r : (int64_t)n;
}

static int show_pressure(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
	return 0;
}

/* --- the table --- */

#define IF_MEMORY .visible = cgfs_has_memory
#define IF_PIDS	  .visible = cgfs_has_pids
#define IF_CPU	  .visible = cgfs_has_cpu
#define IF_CPUSET .visible = cgfs_has_cpuset
#define D(v)	  .data = (const void *)(uintptr_t)(v)
#define RW(nm, sh, st, ...) { .name = (nm), .mode = LINUX_S_IFREG | 0644, .show = (sh), .store = (st), ##__VA_ARGS__ }
#define WO(nm, st, ...)	    { .name = (nm), .mode = LINUX_S_IFREG | 0200, .store = (st), ##__VA_ARGS__ }

static const struct pnode children[] = {
	CORE("cgroup.controllers", CONTROLLERS),
	PN_FILE("cgroup.events", 0444, show_events, CG_WATCHED(CGF_EVENTS)),
	CORE_RW("cgroup.freeze", FREEZE, store_freeze),
	WO("cgroup.kill", store_kill),
	CORE_RW("cgroup.max.depth", MAX_DEPTH, store_umax),
	CORE_RW("cgroup.max.descendants", MAX_DESC, store_umax),
	RW("cgroup.procs", show_procs, store_procs),
	CORE("cgroup.stat", STAT),
	CORE_RW("cgroup.subtree_control", SUBTREE, store_subtree),
	RW("cgroup.threads", show_procs, store_procs, .data = ""),
	CORE_RW("cgroup.type", TYPE, store_type),
	RW("cpu.idle", cg_show_cpu, cg_store_cpu, IF_CPU, D('i')),
	RW("cpu.max", cg_show_cpu, cg_store_cpu, IF_CPU, D('m')),
	RW("cpu.max.burst", cg_show_cpu, cg_store_cpu, IF_CPU, D('b')),
	PN_FILE("cpu.pressure", 0444, show_pressure),
	PN_FILE("cpu.stat", 0444, cg_show_cpu, D('s')),
	RW("cpu.weight", cg_show_cpu, cg_store_cpu, IF_CPU, D('w')),
	RW("cpu.weight.nice", cg_show_cpu, cg_store_cpu, IF_CPU, D('n')),
	RW("cpuset.cpus", cg_show_cpuset, cg_store_cpuset, IF_CPUSET, D('c')),
	PN_FILE("cpuset.cpus.effective", 0444, cg_show_cpuset, IF_CPUSET, D('C')),
	PN_FILE("cpuset.cpus.partition", 0444, cg_show_cpuset, IF_CPUSET, D('p')),
	RW("cpuset.mems", cg_show_cpuset, cg_store_cpuset, IF_CPUSET, D('m')),
	PN_FILE("cpuset.mems.effective", 0444, cg_show_cpuset, IF_CPUSET, D('M')),
	PN_FILE("io.pressure", 0444, show_pressure),
	PN_FILE("memory.current", 0444, cg_show_mem_current, IF_MEMORY),
	PN_FILE("memory.events", 0444, cg_show_mem_events, IF_MEMORY, CG_WATCHED(CGF_MEM_EVENTS)),
	PN_FILE("memory.events.local", 0444, cg_show_mem_events_local, IF_MEMORY, CG_WATCHED(CGF_MEM_EVENTS_LOCAL)),
	RW("memory.high", cg_show_mem, cg_store_mem, IF_MEMORY, D(CGM_HIGH)),
	RW("memory.low", cg_show_mem, cg_store_mem, IF_MEMORY, D(CGM_LOW)),
	RW("memory.max", cg_show_mem, cg_store_mem, IF_MEMORY, D(CGM_MAX)),
	RW("memory.min", cg_show_mem, cg_store_mem, IF_MEMORY, D(CGM_MIN)),
	PN_FILE("memory.numa_stat", 0444, cg_show_mem_numa, IF_MEMORY),
	RW("memory.oom.group", cg_show_oom_group, cg_store_oom_group, IF_MEMORY),
	PN_FILE("memory.peak", 0444, cg_show_mem_peak, IF_MEMORY),
	PN_FILE("memory.pressure", 0444, show_pressure),
	WO("memory.reclaim", cg_store_reclaim, IF_MEMORY),
	PN_FILE("memory.stat", 0444, cg_show_mem_stat, IF_MEMORY),
	PN_FILE("memory.swap.current", 0444, cg_show_mem_current, IF_MEMORY, D(1)),
	PN_FILE("memory.swap.events", 0444, cg_show_swap_events, IF_MEMORY, CG_WATCHED(CGF_SWAP_EVENTS)),
	RW("memory.swap.high", cg_show_mem, cg_store_mem, IF_MEMORY, D(CGM_SWAP_HIGH)),
	RW("memory.swap.max", cg_show_mem, cg_store_mem, IF_MEMORY, D(CGM_SWAP_MAX)),
	PN_FILE("pids.current", 0444, cg_show_pids, IF_PIDS, D('c')),
	PN_FILE("pids.events", 0444, cg_show_pids, IF_PIDS, CG_WATCHED(CGF_PIDS_EVENTS)),
	RW("pids.max", cg_show_pids, cg_store_pids_max, IF_PIDS, D('m')),
	PN_FILE("pids.peak", 0444, cg_show_pids, IF_PIDS, D('p')),
	{ 0 },
};

/* --- directories --- */

static int dir_lookup(const struct pctx *dir, const char *name, uint64_t *ret_id, struct pid **ret_pid, bool *ret_thread)
{
	struct cgroup *cg, *child;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(dir);
	child = cg ? cgroup_child(cg, name) : NULL;
	if (child)
		*ret_id = child->id;
	cgroup_put(cg);
	mutex_unlock(&the_kernel->tasks_mu);
	return child ? 0 : -ENOENT;
}

/* In the order of their numbers, which is that of their making. */
static bool dir_next(const struct pctx *dir, uint64_t *id, char *ret_name, size_t size)
{
	struct cgroup *cg, *c, *best = NULL;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(dir);
	if (cg)
		list_for_each(c, &cg->children, sibling)
			if (c->id >= *id && (!best || c->id < best->id))
				best = c;
	if (best) {
		*id = best->id;
		(void)strncpy(ret_name, best->name, size - 1);
		ret_name[size - 1] = '\0';
	}
	cgroup_put(cg);
	mutex_unlock(&the_kernel->tasks_mu);
	return best != NULL;
}

static bool dir_valid(const struct pctx *c)
{
	struct cgroup *cg;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(c);
	mutex_unlock(&the_kernel->tasks_mu);
	cgroup_put(cg);
	return cg != NULL;
}

static const struct pdyn groups;
static const struct pnode group_node = PN_DIR("cgroup*", 0755, children, .dyn = &groups);
static const struct pdyn groups = { .node = &group_node, .lookup = dir_lookup, .next_name = dir_next, .valid = dir_valid };
static const struct pnode root = PN_DIR("/", 0755, children, .dyn = &groups);

static int cgfs_mkdir(struct pctx *dir, const char *name, const struct inode_make *m, uint64_t *ret_id)
{
	struct cgroup *cg, *made;
	int r = -ENODEV;

	if (strchr(name, '\n'))
		return -EINVAL;
	for (const struct pnode *n = children; n->name; n++) /* also those that are not there now */
		if (!strcmp(n->name, name))
			return -EEXIST;
	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(dir);
	if (cg)
		r = cgroup_make(cg, name, m->uid, m->gid, m->mode & 07777, &made);
	if (r == 0)
		*ret_id = made->id;
	cgroup_put(cg);
	mutex_unlock(&the_kernel->tasks_mu);
	return r;
}

static int cgfs_rmdir(struct pctx *c)
{
	struct cgroup *cg;
	int r = -ENOENT;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(c);
	if (cg)
		r = cgroup_unlink(cg);
	cgroup_put(cg);
	mutex_unlock(&the_kernel->tasks_mu);
	return r;
}

static const char *attr_name(const struct pctx *c)
{
	return LINUX_S_ISDIR(c->node->mode) ? "" : c->node->name;
}

static void cgfs_attrs(const struct pctx *c, uint32_t *mode, uint32_t *uid, uint32_t *gid, uint64_t *nlink)
{
	struct cgroup *cg, *k;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(c);
	if (cg) {
		attrs_of(cg, attr_name(c), mode, uid, gid);
		if (LINUX_S_ISDIR(c->node->mode)) {
			*nlink = 2;
			list_for_each(k, &cg->children, sibling)
				++*nlink;
		}
	}
	cgroup_put(cg);
	mutex_unlock(&the_kernel->tasks_mu);
}

static int set_attr(struct cgroup *cg, const struct pctx *c, const struct iattr *a)
{
	const char *name = attr_name(c);
	struct cg_attr *at = (struct cg_attr *)(uintptr_t)find_attr(cg, name);

	if (!at) {
		uint32_t mode = c->node->mode, uid = 0, gid = 0;
		struct cg_attr *v = reallocarray(cg->attrs, cg->nr_attrs + 1, sizeof(*v));

		if (!v)
			return -ENOMEM;
		cg->attrs = v;
		attrs_of(cg, name, &mode, &uid, &gid);
		at = &v[cg->nr_attrs++];
		*at = (struct cg_attr){ .uid = uid, .gid = gid, .mode = mode & 07777 };
		(void)strncpy(at->name, name, sizeof(at->name) - 1);
	}
	if (a->valid & ATTR_UID)
		at->uid = a->uid;
	if (a->valid & ATTR_GID)
		at->gid = a->gid;
	if (a->valid & ATTR_MODE)
		at->mode = a->mode & 07777;
	return 0;
}

static int cgfs_setattr(struct pctx *c, const struct iattr *a)
{
	struct cgroup *cg;
	int r = -ENODEV;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(c);
	if (cg)
		r = set_attr(cg, c, a);
	cgroup_put(cg);
	mutex_unlock(&the_kernel->tasks_mu);
	return r;
}

static const struct pseudo_fs cgroup_fs = {
	.name = "cgroup2",
	.magic = LINUX_CGROUP2_MAGIC,
	.root = &root,
	.mkdir = cgfs_mkdir,
	.rmdir = cgfs_rmdir,
	.attrs = cgfs_attrs,
	.setattr = cgfs_setattr,
};
PSEUDO_FS_REGISTER(cgroup_fs)

/* Delegation and accounting options ask for nothing here. */
static int cgroup_mount(const struct fs_type *ft, const struct mount_req *rq, struct super_block **ret)
{
	struct cgroup *cg = rq->t ? cgroup_root_of(rq->t) : rq->c ? rq->c->cgroup : NULL;
	int r = pseudo_mount(ft, &cgroup_fs, NULL, ret);

	if (r == 0 && cg)
		pseudo_set_root_id(*ret, cg->id);
	return r;
}

static const struct fs_type cgroup2_type = { .name = "cgroup2", .mount = cgroup_mount, .nodev = true };
FS_TYPE_REGISTER(cgroup2_type)

int cgroup_from_fd(struct task *t, int fd, struct cgroup **ret)
{
	struct file *f _cleanup_file_ = fd_get_raw(t, fd);
	struct pseudo_sb *ps = f ? pseudo_of(f->inode->sb) : NULL;
	struct cgroup *cg;
	struct pctx c;
	int r;

	if (!ps || ps->fs != &cgroup_fs || !inode_is_dir(f->inode))
		return -EBADF;
	c = (struct pctx){ .t = t, .id = pseudo_i(f->inode)->id };
	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(&c);
	r = cg ? check_move(t->cgroup, cg, t->cred) : -ENODEV;
	if (r == 0)
		r = may_write_procs(cg, t->cred);
	mutex_unlock(&the_kernel->tasks_mu);
	if (r < 0)
		cgroup_put(cg);
	else
		*ret = cg;
	return r;
}
