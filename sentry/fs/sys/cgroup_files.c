/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the controllers: memory, pids, cpu, cpuset. See cgroup.c. Linux: mm/memcontrol.c, kernel/cgroup/{pids,cpuset}.c, kernel/sched/core.c. */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/sys/cgroup_internal.h"

#define PIDS_LIMIT 4194304 /* PID_MAX_LIMIT */

/* --- numbers --- */

static char *strip(char *s)
{
	size_t n;

	while (*s == ' ' || *s == '\t' || *s == '\n')
		s++;
	for (n = strlen(s); n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\n'); n--)
		s[n - 1] = '\0';
	return s;
}

int cgfs_parse_limit(const char *s, bool suffixes, uint64_t *ret)
{
	static const char units[] = "KMGTPE";
	unsigned long long v;
	const char *u;
	char *end;

	if (!strcmp(s, "max")) {
		*ret = CG_MAX;
		return 0;
	}
	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno)
		return -EINVAL;
	u = suffixes && *end ? strchr(units, *end >= 'a' ? *end - 32 : *end) : NULL;
	if (u) {
		unsigned shift = 10 * (unsigned)(u - units + 1);

		if (v >> (64 - shift))
			return -EINVAL;
		v <<= shift;
		end++;
	}
	if (*end)
		return -EINVAL;
	*ret = v;
	return 0;
}

void cgfs_put_limit(struct strbuf *b, uint64_t v)
{
	if (v == CG_MAX)
		strbuf_adds(b, "max\n");
	else
		strbuf_addf(b, "%lu\n", (unsigned long)v);
}

void cgfs_put_cpus(struct strbuf *b, const uint64_t m[2])
{
	bool any = false;

	for (int i = 0; i < 128; i++) {
		int from = i;

		if (!(m[i / 64] >> i % 64 & 1))
			continue;
		while (i + 1 < 128 && (m[(i + 1) / 64] >> (i + 1) % 64 & 1))
			i++;
		strbuf_addf(b, from == i ? "%s%d" : "%s%d-%d", any ? "," : "", from, i);
		any = true;
	}
	strbuf_addc(b, '\n');
}

struct setting {
	uint64_t v;
	int what;
};

static int64_t set_with(struct pctx *c, size_t n, int (*fn)(struct cgroup *cg, const struct setting *s), const struct setting *s)
{
	struct cgroup *cg;
	int r = -ENODEV;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(c);
	if (cg)
		r = fn(cg, s);
	cgroup_put(cg);
	mutex_unlock(&the_kernel->tasks_mu);
	return r < 0 ? r : (int64_t)n;
}

/* The group without the lock, for what takes long. */
static struct cgroup *group_of(struct pctx *c)
{
	struct cgroup *cg;

	mutex_lock(&the_kernel->tasks_mu);
	cg = cgfs_group(c);
	mutex_unlock(&the_kernel->tasks_mu);
	return cg;
}

/* --- memory --- */

static void put_mem(struct cgroup *cg, struct strbuf *b, const void *arg)
{
	cgfs_put_limit(b, cg->mem[(uintptr_t)arg]);
}

int cg_show_mem(struct pctx *c, struct strbuf *b)
{
	return cgfs_show(c, b, put_mem, c->node->data);
}

static int set_mem(struct cgroup *cg, const struct setting *s)
{
	cgroup_mem_set_limit(cg, (enum cg_mem_limit)s->what, s->v);
	return 0;
}

/* Lowering memory.max below what is used kills at once, as Linux does when it cannot reclaim: the writer's own edge looks. */
int64_t cg_store_mem(struct pctx *c, char *text, size_t n)
{
	struct setting s = { .what = (int)(uintptr_t)c->node->data };
	int r = cgfs_parse_limit(strip(text), true, &s.v);

	if (r < 0)
		return r;
	r = (int)set_with(c, n, set_mem, &s);
	if (r >= 0 && (s.what == CGM_MAX || s.what == CGM_HIGH)) {
		struct cgroup *cg = group_of(c);

		if (cg)
			cgroup_mem_enforce(cg, c->t);
		cgroup_put(cg);
	}
	return r;
}

int cg_show_mem_current(struct pctx *c, struct strbuf *b)
{
	struct cgroup *cg;

	if (c->node->data) { /* there is no swap */
		strbuf_adds(b, "0\n");
		return 0;
	}
	cg = group_of(c);
	if (!cg)
		return -ENODEV;
	strbuf_addf(b, "%lu\n", (unsigned long)cgroup_mem_usage(cg, NULL));
	cgroup_put(cg);
	return 0;
}

int cg_show_mem_peak(struct pctx *c, struct strbuf *b)
{
	struct cgroup *cg = group_of(c);

	if (!cg)
		return -ENODEV;
	strbuf_addf(b, "%lu\n", (unsigned long)cgroup_mem_peak(cg));
	cgroup_put(cg);
	return 0;
}

static void put_events(struct cgroup *cg, struct strbuf *b, const void *local)
{
	const uint64_t *e = local ? cg->events_local : cg->events;

	strbuf_addf(b, "low %lu\nhigh %lu\nmax %lu\noom %lu\noom_kill %lu\noom_group_kill %lu\n", (unsigned long)e[CGE_LOW], (unsigned long)e[CGE_HIGH],
		    (unsigned long)e[CGE_MAX], (unsigned long)e[CGE_OOM], (unsigned long)e[CGE_OOM_KILL], (unsigned long)e[CGE_OOM_GROUP_KILL]);
}

int cg_show_mem_events(struct pctx *c, struct strbuf *b)
{
	return cgfs_show(c, b, put_events, NULL);
}

int cg_show_mem_events_local(struct pctx *c, struct strbuf *b)
{
	return cgfs_show(c, b, put_events, "");
}

int cg_show_swap_events(struct pctx *c, struct strbuf *b)
{
	strbuf_adds(b, "high 0\nmax 0\nfail 0\n");
	return 0;
}

int cg_show_mem_stat(struct pctx *c, struct strbuf *b)
{
	static const char *const zero1[] = { "kernel", "kernel_stack", "pagetables", "sec_pagetables", "percpu", "sock", "vmalloc" };
	static const char *const zero2[] = { "zswap", "zswapped", "file_mapped", "file_dirty", "file_writeback", "swapcached", "anon_thp", "file_thp", "shmem_thp" };
	static const char *const zero3[] = {
		"active_file", "unevictable", "slab_reclaimable", "slab_unreclaimable", "slab", "workingset_refault_anon", "workingset_refault_file",
		"workingset_activate_anon", "workingset_activate_file", "workingset_restore_anon", "workingset_restore_file", "workingset_nodereclaim",
		"pgscan", "pgsteal", "pgscan_kswapd", "pgscan_direct", "pgsteal_kswapd", "pgsteal_direct",
	};
	static const char *const zero4[] = {
		"pgmajfault", "pgrefill", "pgactivate", "pgdeactivate", "pglazyfree", "pglazyfreed", "zswpin", "zswpout", "thp_fault_alloc", "thp_collapse_alloc",
	};
	struct cgroup *cg = group_of(c);
	struct thread_group *tg;
	uint64_t all, shared, faults = 0;
	struct task *t;

	if (!cg)
		return -ENODEV;
	all = cgroup_mem_usage(cg, &shared);
	mutex_lock(&the_kernel->tasks_mu);
	list_for_each(tg, &the_kernel->groups, all_node)
		list_for_each(t, &tg->tasks, tg_node)
			if (t->cgroup && cgroup_below(t->cgroup, cg))
				faults += (uint64_t)t->minflt;
	mutex_unlock(&the_kernel->tasks_mu);
	cgroup_put(cg);
	strbuf_addf(b, "anon %lu\nfile %lu\n", (unsigned long)(all - shared), (unsigned long)shared);
	for (size_t i = 0; i < ARRAY_SIZE(zero1); i++)
		strbuf_addf(b, "%s 0\n", zero1[i]);
	strbuf_addf(b, "shmem %lu\n", (unsigned long)shared);
	for (size_t i = 0; i < ARRAY_SIZE(zero2); i++)
		strbuf_addf(b, "%s 0\n", zero2[i]);
	/* Linux has the pages of tmpfs on the lists of anonymous memory. */
	strbuf_addf(b, "inactive_anon %lu\nactive_anon %lu\ninactive_file 0\n", (unsigned long)shared, (unsigned long)(all - shared));
	for (size_t i = 0; i < ARRAY_SIZE(zero3); i++)
		strbuf_addf(b, "%s 0\n", zero3[i]);
	strbuf_addf(b, "pgfault %lu\n", (unsigned long)faults);
	for (size_t i = 0; i < ARRAY_SIZE(zero4); i++)
		strbuf_addf(b, "%s 0\n", zero4[i]);
	return 0;
}

int cg_show_mem_numa(struct pctx *c, struct strbuf *b)
{
	struct cgroup *cg = group_of(c);
	uint64_t all, shared;

	if (!cg)
		return -ENODEV;
	all = cgroup_mem_usage(cg, &shared);
	cgroup_put(cg);
	strbuf_addf(b, "anon N0=%lu\nfile N0=%lu\nkernel_stack N0=0\npagetables N0=0\nshmem N0=%lu\n", (unsigned long)(all - shared),
		    (unsigned long)shared, (unsigned long)shared);
	return 0;
}

static void put_oom_group(struct cgroup *cg, struct strbuf *b, const void *arg)
{
	strbuf_addf(b, "%d\n", cg->oom_group);
}

int cg_show_oom_group(struct pctx *c, struct strbuf *b)
{
	return cgfs_show(c, b, put_oom_group, NULL);
}

static int set_oom_group(struct cgroup *cg, const struct setting *s)
{
	cg->oom_group = s->v;
	return 0;
}

int64_t cg_store_oom_group(struct pctx *c, char *text, size_t n)
{
	int64_t v;
	int r = pseudo_parse_i64(text, &v);

	if (r < 0)
		return r;
	return v != 0 && v != 1 ? -EINVAL : set_with(c, n, set_oom_group, &(struct setting){ .v = (uint64_t)v });
}

/* Nothing can be given back. */
int64_t cg_store_reclaim(struct pctx *c, char *text, size_t n)
{
	uint64_t v;
	int r = cgfs_parse_limit(strip(text), true, &v);

	return r < 0 ? r : v == 0 ? (int64_t)n : -EAGAIN;
}

/* --- pids --- */

static void put_pids(struct cgroup *cg, struct strbuf *b, const void *arg)
{
	switch ((int)(uintptr_t)arg) {
	case 'c':
		strbuf_addf(b, "%lu\n", (unsigned long)cg->nr_tasks);
		break;
	case 'm':
		cgfs_put_limit(b, cg->pids_max);
		break;
	case 'p':
		strbuf_addf(b, "%lu\n", (unsigned long)cg->pids_peak);
		break;
	default:
		strbuf_addf(b, "max %lu\n", (unsigned long)cg->pids_events);
		break;
	}
}

int cg_show_pids(struct pctx *c, struct strbuf *b)
{
	return cgfs_show(c, b, put_pids, c->node->data);
}

static int set_pids_max(struct cgroup *cg, const struct setting *s)
{
	cg->pids_max = s->v;
	return 0;
}

int64_t cg_store_pids_max(struct pctx *c, char *text, size_t n)
{
	struct setting s = { .v = CG_MAX };
	int64_t v;
	int r;

	text = strip(text);
	if (strcmp(text, "max") != 0) {
		r = pseudo_parse_i64(text, &v);
		if (r < 0)
			return r;
		if (v < 0 || v >= PIDS_LIMIT)
			return -EINVAL;
		s.v = (uint64_t)v;
	}
	return set_with(c, n, set_pids_max, &s);
}

/* --- cpu --- */

/* sched_prio_to_weight[] of Linux scaled as cpu.weight: weight of each nice value, rounded as it does. */
static const uint16_t nice_weight[40] = {
	8668, 7002, 5675, 4515, 3625, 2857, 2279, 1834, 1459, 1175, 932, 748, 600, 479, 383, 305, 245, 193, 156, 125,
	100,  80,   64,	  51,	41,   33,   26,	  21,	17,   13,   11,	 9,   7,   6,   4,   4,	  3,   2,   2,	 1,
};

static void put_stat(struct cgroup *cg, struct strbuf *b)
{
	int64_t u, s;

	cgroup_cpu_usage(cg, &u, &s);
	strbuf_addf(b, "usage_usec %ld\nuser_usec %ld\nsystem_usec %ld\n", (long)(u / 1000 + s / 1000), (long)(u / 1000), (long)(s / 1000));
	if (cgroup_controllers(cg) & CG_CPU)
		strbuf_addf(b, "nr_periods %lu\nnr_throttled %lu\nthrottled_usec %ld\nnr_bursts 0\nburst_usec 0\n", (unsigned long)cg->nr_periods,
			    (unsigned long)cg->nr_throttled, (long)(cg->throttled_ns / 1000));
}

static void put_cpu(struct cgroup *cg, struct strbuf *b, const void *arg)
{
	int nice = 0;

	switch ((int)(uintptr_t)arg) {
	case 'i':
		strbuf_addf(b, "%d\n", cg->idle);
		break;
	case 'm':
		if (cg->cpu_quota == CG_MAX)
			strbuf_adds(b, "max");
		else
			strbuf_addf(b, "%lu", (unsigned long)cg->cpu_quota);
		strbuf_addf(b, " %lu\n", (unsigned long)cg->cpu_period);
		break;
	case 'b':
		strbuf_adds(b, "0\n");
		break;
	case 'w':
		strbuf_addf(b, "%u\n", cg->idle ? 0 : cg->cpu_weight);
		break;
	case 'n':
		for (int i = 1; i < 40; i++)
			if (labs((long)nice_weight[i] - (long)cg->cpu_weight) < labs((long)nice_weight[nice] - (long)cg->cpu_weight))
				nice = i;
		strbuf_addf(b, "%d\n", nice - 20);
		break;
	default:
		put_stat(cg, b);
		break;
	}
}

int cg_show_cpu(struct pctx *c, struct strbuf *b)
{
	return cgfs_show(c, b, put_cpu, c->node->data);
}

struct cpu_max {
	uint64_t quota, period;
	bool has_period;
};

static int set_cpu_max(struct cgroup *cg, const struct setting *s)
{
	const struct cpu_max *m = (const void *)(uintptr_t)s->v;

	cgroup_cpu_set_max(cg, m->quota, m->has_period ? m->period : cg->cpu_period);
	return 0;
}

static int64_t store_max(struct pctx *c, char *text, size_t n)
{
	struct cpu_max m = { .quota = CG_MAX };
	char *save = NULL, *a = strtok_r(text, " \n", &save), *p = strtok_r(NULL, " \n", &save);

	if (!a || cgfs_parse_limit(a, false, &m.quota) < 0)
		return -EINVAL;
	if (p) {
		if (cgfs_parse_limit(p, false, &m.period) < 0 || m.period < 1000 || m.period > 1000000)
			return -EINVAL;
		m.has_period = true;
	}
	if (m.quota != CG_MAX && (m.quota < 1000 || m.quota > INT64_MAX / 1000000))
		return -EINVAL;
	return set_with(c, n, set_cpu_max, &(struct setting){ .v = (uint64_t)(uintptr_t)&m });
}

static int set_cpu(struct cgroup *cg, const struct setting *s)
{
	if (s->what == 'i')
		cg->idle = s->v;
	else if (cg->idle)
		return -EINVAL;
	else
		cg->cpu_weight = (uint32_t)s->v;
	return 0;
}

int64_t cg_store_cpu(struct pctx *c, char *text, size_t n)
{
	struct setting s = { .what = (int)(uintptr_t)c->node->data };
	int64_t v;
	int r;

	if (s.what == 'm')
		return store_max(c, text, n);
	r = pseudo_parse_i64(text, &v);
	if (r < 0)
		return r;
	switch (s.what) {
	case 'i':
		if (v < 0 || v > 1)
			return -ERANGE;
		break;
	case 'b':
		return v == 0 ? (int64_t)n : -EINVAL; /* no bursts */
	case 'n':
		if (v < -20 || v > 19)
			return -ERANGE;
		v = nice_weight[v + 20];
		break;
	default:
		if (v < 1 || v > 10000)
			return -ERANGE;
		break;
	}
	s.v = (uint64_t)v;
	return set_with(c, n, set_cpu, &s);
}

/* --- cpuset --- */

static void put_cpuset(struct cgroup *cg, struct strbuf *b, const void *arg)
{
	uint64_t m[2];

	switch ((int)(uintptr_t)arg) {
	case 'c':
		cgfs_put_cpus(b, cg->cpus);
		break;
	case 'C':
		cgroup_effective_cpus(cg, m);
		cgfs_put_cpus(b, m);
		break;
	case 'p':
		strbuf_adds(b, "member\n");
		break;
	case 'm':
		strbuf_adds(b, cg->mems ? "0\n" : "\n");
		break;
	default:
		strbuf_adds(b, "0\n");
		break;
	}
}

int cg_show_cpuset(struct pctx *c, struct strbuf *b)
{
	return cgfs_show(c, b, put_cpuset, c->node->data);
}

/* "0-3,7"; an empty text is an empty set. */
static int parse_cpus(char *text, uint64_t m[2])
{
	size_t max = MIN(the_kernel->cfg.nr_cpus, (size_t)128);
	char *save = NULL;

	m[0] = m[1] = 0;
	for (char *w = strtok_r(text, ",\n ", &save); w; w = strtok_r(NULL, ",\n ", &save)) {
		char *dash = strchr(w, '-');
		uint64_t a, z;

		if (dash)
			*dash = '\0';
		if (pseudo_parse_u64(w, &a) < 0 || (dash && pseudo_parse_u64(dash + 1, &z) < 0))
			return -EINVAL;
		if (!dash)
			z = a;
		if (a > z)
			return -EINVAL;
		if (z >= max)
			return z >= 8192 ? -ERANGE : -EINVAL;
		for (; a <= z; a++)
			m[a / 64] |= 1ull << a % 64;
	}
	return 0;
}

static int set_cpuset(struct cgroup *cg, const struct setting *s)
{
	if (s->what == 'm') {
		cg->mems = s->v;
		return 0;
	}
	memcpy(cg->cpus, (const void *)(uintptr_t)s->v, sizeof(cg->cpus));
	cgroup_cpuset_apply(cg);
	return 0;
}

int64_t cg_store_cpuset(struct pctx *c, char *text, size_t n)
{
	struct setting s = { .what = (int)(uintptr_t)c->node->data };
	uint64_t m[2];

	if (s.what == 'm') {
		text = strip(text);
		if (*text && strcmp(text, "0") != 0 && strcmp(text, "0-0") != 0)
			return -EINVAL;
		s.v = *text != '\0';
	} else {
		int r = parse_cpus(text, m);

		if (r < 0)
			return r;
		s.v = (uint64_t)(uintptr_t)m;
	}
	return set_with(c, n, set_cpuset, &s);
}
