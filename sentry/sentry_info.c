/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line shows of a sandbox: ps and stats. JSON texts. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/strbuf.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/rusage.h"
#include "sentry/sentry.h"
#include "sentry/sentry_internal.h"

static char *take_json(json_t *j)
{
	char *s = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	return s;
}

/* The command line of a group, spaces between arguments; its name in brackets when memory is gone. */
static json_t *cmdline(struct thread_group *tg)
{
	struct mm *mm = task_mm_get(tg->leader);
	char buf[1024];
	json_t *j = NULL;

	if (mm) {
		const struct mm_layout *l = mm_layout(mm);
		size_t n = 0;

		if (l->arg_end > l->arg_start)
			n = mm_copy_in_some(mm, buf, GADDR(l->arg_start), MIN(l->arg_end - l->arg_start, sizeof(buf) - 1));
		while (n && buf[n - 1] == '\0')
			n--;
		for (size_t i = 0; i < n; i++)
			if (buf[i] == '\0')
				buf[i] = ' ';
		if (n)
			j = json_stringn(buf, n);
		mm_put(mm);
	}
	if (!j) {
		(void)snprintf(buf, sizeof(buf), "[%s]", tg->leader->comm);
		j = json_string(buf);
	}
	return j ? j : json_string("?");
}

struct ps_entry {
	struct thread_group *tg;
	int pid, ppid;
};

static size_t collect(struct container *c, struct ps_entry **ret)
{
	struct pid_ns *ns = c->ns->pid_for_children;
	struct thread_group *tg;
	struct ps_entry *v;
	size_t n = 0, cap = 0;

	mutex_lock(&c->k->tasks_mu);
	list_for_each(tg, &c->k->groups, all_node)
		cap++;
	v = calloc(cap + 1, sizeof(*v));
	if (v)
		list_for_each(tg, &c->k->groups, all_node)
			if (tg->container == c)
				v[n++] = (struct ps_entry){ tg_get(tg), pid_nr_ns(tg->pid, ns),
							    tg->parent ? pid_nr_ns(tg->parent->pid, ns) : 0 };
	mutex_unlock(&c->k->tasks_mu);
	*ret = v;
	return n;
}

char *sentry_ps_json(struct sentry *s, const char *id)
{
	struct container *c = container_find(s->k, id);
	_cleanup_free_ struct ps_entry *v = NULL;
	json_t *out = json_array();
	size_t n;

	if (!c) {
		json_decref(out);
		return NULL;
	}
	n = collect(c, &v);
	for (size_t i = 0; i < n; i++) {
		struct thread_group *tg = v[i].tg;
		struct cred *cr = task_cred_get(tg->leader);
		struct tg_usage u;
		char start[32] = "", cpu[32];
		struct tm tm;
		time_t at = (time_t)((ktime_real() - ktime_mono() + tg->start_time) / NSEC_PER_SEC);
		int64_t sec;

		mutex_lock(&s->k->tasks_mu);
		tg_usage_total(tg, &u);
		mutex_unlock(&s->k->tasks_mu);
		sec = (u.utime + u.stime) / NSEC_PER_SEC;
		if (gmtime_r(&at, &tm))
			(void)strftime(start, sizeof(start), "%H:%M", &tm);
		(void)snprintf(cpu, sizeof(cpu), "%02ld:%02ld:%02ld", (long)(sec / 3600), (long)(sec / 60 % 60), (long)(sec % 60));
		(void)json_array_append_new(out, json_pack("{s:i,s:i,s:i,s:s,s:s,s:s,s:o}", "pid", v[i].pid, "ppid", v[i].ppid, "uid",
							   cr ? (int)cr->uid : 0, "tty", "?", "start", start, "time", cpu, "cmd",
							   cmdline(tg)));
		cred_put(cr);
		tg_put(tg);
	}
	container_put(c);
	return take_json(out);
}

char *sentry_stats_json(struct sentry *s, const char *id)
{
	struct container *c = container_find(s->k, id);
	struct thread_group *tg;
	struct tg_usage u;
	int64_t user = 0, sys = 0;
	uint64_t mem;
	uint32_t tasks;

	if (!c)
		return NULL;
	mutex_lock(&s->k->tasks_mu);
	tasks = container_nr_tasks_locked(c);
	list_for_each(tg, &s->k->groups, all_node)
		if (tg->container == c) {
			tg_usage_total(tg, &u);
			user += u.utime;
			sys += u.stime;
		}
	mutex_unlock(&s->k->tasks_mu);
	mem = memfile_committed(s->k->mf);
	container_put(c);
	return take_json(json_pack(
		"{s:{s:{s:I,s:I,s:I}},s:{s:{s:I,s:I,s:I,s:I}},s:{s:I,s:I}}", "cpu", "usage", "total", (json_int_t)(user + sys), "kernel",
		(json_int_t)sys, "user", (json_int_t)user, "memory", "usage", "limit", (json_int_t)c->memory_limit, "usage",
		(json_int_t)mem, "max", (json_int_t)mem, "failcnt", (json_int_t)0, "pids", "current", (json_int_t)tasks, "limit",
		(json_int_t)c->pids_limit));
}
