/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `runsc debug`: why does a program hang or fail? Tasks with the call each is in, what it waits for and, when asked, the Sentry's stack; processes with
 * their memory and files; calls that are not implemented, by whom; counters.
 *
 * It must answer while tasks hang, so it takes tasks_mu only to copy pointers, and reads application memory (for arguments) only after everything else.
 */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/strbuf.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/rusage.h"
#include "sentry/kernel/wchan.h"
#include "sentry/sentry.h"
#include "sentry/sentry_internal.h"
#include "sentry/syscalls/counts.h"
#include "sentry/syscalls/strace/strace.h"

#define STACK_MAX 24
#define FILES_MAX 1024 /* shown per process */

struct snap {
	struct task *t; /* referenced */
	bool in_call;
	uint64_t nr, args[6];
	size_t depth;
	uint64_t stack[STACK_MAX];
};

static size_t snapshot(struct kernel *k, bool stacks, struct snap **ret)
{
	struct thread_group *tg;
	struct task *t;
	size_t n = 0, cap = 0;
	struct snap *v;

	mutex_lock(&k->tasks_mu);
	list_for_each(tg, &k->groups, all_node)
		cap += tg->nr_tasks + 1;
	v = calloc(cap + 1, sizeof(*v));
	list_for_each(tg, &k->groups, all_node)
		list_for_each(t, &tg->tasks, tg_node) {
			if (!v || n == cap)
				break;
			v[n].t = task_get(t);
			v[n].in_call = atomic_load(&t->in_call);
			v[n].nr = t->sysctx.nr;
			memcpy(v[n].args, t->sysctx.args, sizeof(v[n].args));
			char state = atomic_load(&t->run_state);

			if (stacks && (state == 'S' || state == 'D')) /* in task_block(): the frames are there */
				v[n].depth = task_sentry_stack(t, v[n].stack, STACK_MAX);
			n++;
		}
	mutex_unlock(&k->tasks_mu);
	*ret = v;
	return n;
}

static void set_new(json_t *o, const char *key, json_t *v)
{
	(void)json_object_set_new(o, key, v ? v : json_string("?"));
}

static json_t *task_json(struct kernel *k, const struct snap *s)
{
	struct task *t = s->t;
	char st[2] = { t->is_zombie ? 'Z' : atomic_load(&t->run_state), 0 };
	const char *where = t->is_zombie ? NULL : task_wchan(t);
	json_t *o = json_pack("{s:i,s:i,s:s,s:b,s:I}", "tid", pid_nr_ns(t->pid, k->root_pid_ns), "tgid", pid_nr_ns(t->tg->pid, k->root_pid_ns), "state", st,
			      "parked", (int)t->parked, "pending", (json_int_t)(t->pending.set | t->tg->pending.set));

	if (!o)
		return NULL;
	set_new(o, "comm", json_stringn(t->comm, strnlen(t->comm, sizeof(t->comm))));
	set_new(o, "syscall", json_string(s->in_call ? syscall_name(s->nr) : ""));
	if (where)
		set_new(o, "waitsIn", json_string(where));
	if (s->depth) {
		json_t *a = json_array();

		for (size_t i = 0; i < s->depth; i++) {
			char w[24];

			(void)snprintf(w, sizeof(w), "%#lx", (unsigned long)s->stack[i]);
			(void)json_array_append_new(a, json_string(w));
		}
		set_new(o, "stack", a);
	}
	return o;
}

/* The call with its arguments: may meet the lock of a memory that is being changed, so it comes last. */
static void add_call(json_t *o, const struct snap *s)
{
	_cleanup_free_ char *text = NULL;
	struct mm *mm;

	if (!o || !s->in_call || s->t->is_zombie)
		return;
	mm = task_mm_get(s->t); /* keeps it while it is read */
	if (!mm)
		return;
	text = strace_describe(s->t, s->nr, s->args);
	mm_put(mm);
	if (text)
		set_new(o, "call", json_string(text));
}

static json_t *file_json(struct file *f, int fd)
{
	struct strbuf b _cleanup_strbuf_ = STRBUF_INIT;
	json_t *o = json_pack("{s:i,s:s,s:I,s:I}", "fd", fd, "kind", f->ops->name, "flags", (json_int_t)atomic_load(&f->flags), "ready",
			      (json_int_t)(f->ops->poll ? f->ops->poll(f) : 0));

	if (f->path.dentry)
		(void)!path_text(&f->path, NULL, true, &b);
	else if (f->ops->show_name)
		f->ops->show_name(f, &b);
	if (o && !strbuf_error(&b) && b.data)
		set_new(o, "name", json_string(b.data));
	if (o && f->seekable)
		set_new(o, "pos", json_integer((json_int_t)f->pos));
	return o;
}

static json_t *files_json(struct task *t)
{
	struct fd_table *ft = task_files_get(t);
	json_t *a = json_array();
	int n = 0;

	for (int fd = ft ? fd_table_next(ft, 0) : -1; fd >= 0 && n < FILES_MAX; fd = fd_table_next(ft, fd + 1), n++) {
		struct file *f = fd_table_lookup(ft, fd);

		if (f)
			(void)json_array_append_new(a, file_json(f, fd));
		file_put(f);
	}
	if (ft)
		fd_table_put(ft, NULL);
	return a;
}

static json_t *process_json(struct kernel *k, struct task *leader)
{
	struct thread_group *tg = leader->tg;
	struct tg_usage u;
	struct mm *mm;
	json_t *o;

	mutex_lock(&k->tasks_mu);
	tg_usage_total(tg, &u);
	o = json_pack("{s:i,s:i,s:i,s:I,s:I}", "pid", pid_nr_ns(tg->pid, k->root_pid_ns), "ppid", tg->parent ? pid_nr_ns(tg->parent->pid, k->root_pid_ns) : 0,
		      "threads", (int)tg->nr_tasks, "userUs", (json_int_t)(u.utime / 1000), "systemUs", (json_int_t)(u.stime / 1000));
	mutex_unlock(&k->tasks_mu);
	if (!o)
		return NULL;
	set_new(o, "comm", json_stringn(leader->comm, strnlen(leader->comm, sizeof(leader->comm))));
	set_new(o, "files", files_json(leader));
	mm = task_mm_get(leader);
	if (mm) {
		struct mm_usage m;

		mm_usage(mm, &m);
		set_new(o, "vm", json_integer((json_int_t)m.vm));
		set_new(o, "rss", json_integer((json_int_t)m.rss));
		set_new(o, "rssPeak", json_integer((json_int_t)m.rss_peak));
		mm_put(mm);
	}
	return o;
}

static json_t *counts_json(void)
{
	json_t *a = json_array();
	struct syscall_count c;

	for (uint64_t nr = 0; nr < 512; nr++) {
		syscall_count_get(nr, &c);
		if (c.calls)
			(void)json_array_append_new(a, json_pack("{s:s,s:I,s:I,s:I}", "syscall", syscall_name(nr), "calls", (json_int_t)c.calls, "errors",
								 (json_int_t)c.errors, "us", (json_int_t)(c.ns / 1000)));
	}
	return a;
}

static json_t *missing_json(void)
{
	json_t *a = json_array();
	struct syscall_missing m;

	for (size_t i = 0; syscall_missing_get(i, &m); i++)
		(void)json_array_append_new(a, json_pack("{s:s,s:o,s:I}", "syscall", syscall_name(m.nr), "comm",
							 json_stringn_nocheck(m.comm, strnlen(m.comm, sizeof(m.comm))), "count", (json_int_t)m.count));
	return a;
}

char *sentry_debug_json(struct sentry *s, const struct sentry_debug_opts *opts)
{
	json_t *tasks = json_array(), *procs = json_array(), *out;
	struct snap *v = NULL;
	size_t n;
	char *text;

	if (opts->counts)
		atomic_store(&syscall_timing, true);
	n = snapshot(s->k, opts->stacks, &v);
	for (size_t i = 0; i < n; i++) {
		(void)json_array_append_new(tasks, task_json(s->k, &v[i]));
		if (v[i].t->tg->leader == v[i].t && !v[i].t->is_zombie)
			(void)json_array_append_new(procs, process_json(s->k, v[i].t));
	}
	for (size_t i = 0; i < n; i++)
		add_call(json_array_get(tasks, i), &v[i]);
	for (size_t i = 0; i < n; i++)
		task_put(v[i].t);
	free(v);
	out = json_pack("{s:s,s:o,s:o,s:o,s:I,s:I}", "platform", s->k->pops->name, "tasks", tasks, "processes", procs, "unimplemented", missing_json(),
			"memory_used", (json_int_t)memfile_used(s->k->mf), "memory_committed", (json_int_t)memfile_committed(s->k->mf));
	if (out && opts->counts)
		set_new(out, "counts", counts_json());
	text = out ? json_dumps(out, JSON_COMPACT) : NULL;
	json_decref(out);
	return text;
}
