/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids and pid namespaces.
 *
 * A struct pid exists once per id; the task, thread group, process group and session that use it point at it and hold a
 * reference; it leaves its namespaces' tables when the last reference goes.
 *
 * Locks: kernel.tasks_mu guards the tables and the back pointers. Checkpoint: numbers and namespaces; back pointers are rebuilt
 * by their owners. Linux: kernel/pid.c.
 */
#include "sentry/kernel/pid.h"

#include <string.h>

#include "schemas/pid.pb-c.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/user_ns.h"
#include "state/state.h"

#define PID_MAX      4194304
#define PID_RESERVED 300

struct pid_ns *pid_ns_new(struct pid_ns *parent)
{
	struct pid_ns *ns;

	if (parent && parent->level + 1 >= PID_LEVELS)
		return NULL;
	ns = calloc(1, sizeof(*ns));
	if (!ns)
		return NULL;
	ref_init(&ns->ref);
	ns->parent = parent ? pid_ns_get(parent) : NULL;
	ns->level = parent ? parent->level + 1 : 0;
	ns->ino = kernel_next_ino(the_kernel);
	return ns;
}

struct pid_ns *pid_ns_get(struct pid_ns *ns)
{
	ref_get(&ns->ref);
	return ns;
}

void pid_ns_put(struct pid_ns *ns)
{
	while (ns && ref_put(&ns->ref)) {
		struct pid_ns *parent = ns->parent;

		htab_done(&ns->pids);
		user_ns_put(ns->user_ns);
		free(ns);
		ns = parent;
	}
}

/* Next free number after the last one given out, as Linux's cyclic allocator. 0 when the namespace is full. */
static int32_t next_nr(struct pid_ns *ns)
{
	int32_t nr = ns->last;

	for (int32_t tries = 0; tries < PID_MAX; tries++) {
		nr = nr + 1 >= PID_MAX ? PID_RESERVED : nr + 1;
		if (!htab_get(&ns->pids, (uint64_t)nr))
			return nr;
	}
	return 0;
}

int pid_new(struct kernel *k, struct pid_ns *ns, const int32_t *want, size_t nr_want, struct pid **ret)
{
	struct pid *p = calloc(1, sizeof(*p));
	struct pid_ns *at = ns;
	int r = 0;

	mutex_assert_held(&k->tasks_mu);
	if (!p)
		return -ENOMEM;
	ref_init(&p->ref);
	p->level = ns->level;
	waitq_init(&p->exit_wq);
	for (uint32_t l = ns->level + 1; l-- > 0; at = at->parent) {
		size_t depth = ns->level - l; /* set_tid lists the innermost first */
		int32_t nr;

		if (depth < nr_want) {
			nr = want[depth];
			if (nr <= 0 || nr >= PID_MAX)
				r = -EINVAL;
			else if (htab_get(&at->pids, (uint64_t)nr))
				r = -EEXIST;
			else if (!at->init && nr != 1 && at != k->root_pid_ns)
				r = -EINVAL;
		} else {
			nr = next_nr(at);
			if (nr == 0)
				r = -EAGAIN;
			else
				at->last = nr;
		}
		if (r == 0)
			r = htab_put(&at->pids, (uint64_t)nr, p);
		if (r < 0)
			break;
		p->n[l].ns = pid_ns_get(at);
		p->n[l].nr = nr;
	}
	if (r < 0) {
		pid_free_locked(p);
		return r;
	}
	*ret = p;
	return 0;
}

void pid_free_locked(struct pid *p)
{
	for (uint32_t l = 0; l <= p->level; l++)
		if (p->n[l].ns) {
			if (htab_get(&p->n[l].ns->pids, (uint64_t)p->n[l].nr) == p)
				(void)htab_del(&p->n[l].ns->pids, (uint64_t)p->n[l].nr);
			pid_ns_put(p->n[l].ns);
		}
	waitq_done(&p->exit_wq);
	free(p);
}

struct pid *pid_get(struct pid *p)
{
	ref_get(&p->ref);
	return p;
}

/*
 * The tables hold no reference: a number may be reused only when nobody uses the pid as task, group, process group or
 * session id, which is what the users' explicit detach (pid_detach_*) says. Holders such as pidfds keep the
 * struct but not the number.
 */
void pid_put(struct pid *p)
{
	if (!p || !ref_put(&p->ref))
		return;
	mutex_lock(&the_kernel->tasks_mu);
	pid_free_locked(p);
	mutex_unlock(&the_kernel->tasks_mu);
}

void pid_put_locked(struct pid *p)
{
	if (p && ref_put(&p->ref))
		pid_free_locked(p);
}

void pid_release_nr_locked(struct pid *p)
{
	if (p->task || p->tg || p->pgrp || p->session)
		return;
	for (uint32_t l = 0; l <= p->level; l++)
		if (p->n[l].ns && htab_get(&p->n[l].ns->pids, (uint64_t)p->n[l].nr) == p)
			(void)htab_del(&p->n[l].ns->pids, (uint64_t)p->n[l].nr);
}

int32_t pid_nr_ns(const struct pid *p, const struct pid_ns *ns)
{
	if (!p || !ns || ns->level > p->level || p->n[ns->level].ns != ns)
		return 0;
	return p->n[ns->level].nr;
}

struct pid_ns *task_pid_ns(const struct task *t)
{
	return t->pid->n[t->pid->level].ns;
}

int32_t pid_nr(const struct pid *p, const struct task *viewer)
{
	return pid_nr_ns(p, task_pid_ns(viewer));
}

struct pid *pid_find_locked(struct pid_ns *ns, int32_t nr)
{
	return nr > 0 ? htab_get(&ns->pids, (uint64_t)nr) : NULL;
}

struct task *task_find(struct kernel *k, struct pid_ns *ns, int32_t tid)
{
	struct task *t = NULL;
	struct pid *p;

	mutex_lock(&k->tasks_mu);
	p = pid_find_locked(ns, tid);
	if (p && p->task)
		t = task_get(p->task);
	mutex_unlock(&k->tasks_mu);
	return t;
}

struct thread_group *tg_find(struct kernel *k, struct pid_ns *ns, int32_t tgid)
{
	struct thread_group *tg = NULL;
	struct pid *p;

	mutex_lock(&k->tasks_mu);
	p = pid_find_locked(ns, tgid);
	if (p && p->tg)
		tg = tg_get(p->tg);
	mutex_unlock(&k->tasks_mu);
	return tg;
}

struct pgrp *pgrp_find(struct kernel *k, struct pid_ns *ns, int32_t pgid)
{
	struct pgrp *pg = NULL;
	struct pid *p;

	mutex_lock(&k->tasks_mu);
	p = pid_find_locked(ns, pgid);
	if (p && p->pgrp)
		pg = pgrp_get(p->pgrp);
	mutex_unlock(&k->tasks_mu);
	return pg;
}

/* --- state --- */

static void *pid_ns_alloc(void)
{
	struct pid_ns *ns = calloc(1, sizeof(*ns));

	if (ns)
		ref_init(&ns->ref);
	return ns;
}

static int pid_ns_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct pid_ns *ns = obj;
	Sentry__PidNs *m = msg;

	m->parent = state_ref(w, &pid_ns_state_type, ns->parent);
	m->last = ns->last;
	m->init = state_ref(w, &thread_group_state_type, ns->init);
	m->dying = ns->dying;
	m->ino = ns->ino;
	m->user_ns = state_ref(w, &user_ns_state_type, ns->user_ns);
	return 0;
}

static int pid_ns_load(struct state_reader *r, void *obj, const void *msg)
{
	struct pid_ns *ns = obj;
	const Sentry__PidNs *m = msg;
	void *init = NULL;
	int e = state_deref(r, m->parent, &pid_ns_state_type, (void **)&ns->parent);

	if (e >= 0)
		e = state_deref(r, m->init, &thread_group_state_type, &init);
	if (e >= 0)
		e = state_check(r, m->last >= 0 && m->last < PID_MAX, "last pid out of range");
	if (e < 0)
		return e;
	if (init) {
		/* The namespace points at its init without a reference, as at run time. */
		ns->init = init;
		tg_put(init);
	}
	ns->last = m->last;
	ns->dying = m->dying;
	ns->ino = m->ino;
	return state_deref(r, m->user_ns, &user_ns_state_type, (void **)&ns->user_ns);
}

static int pid_ns_after_load(struct state_reader *r, void *obj)
{
	struct pid_ns *ns = obj, *p = ns->parent;
	uint32_t level = 0;

	/* The chain may be hostile: a cycle ends at the depth limit. */
	for (; p && level <= PID_LEVELS; p = p->parent)
		level++;
	ns->level = level;
	return state_check(r, level < PID_LEVELS, "pid namespaces nest too deeply");
}

static void pid_ns_get_state(void *obj)
{
	(void)pid_ns_get(obj);
}

static void pid_ns_put_state(void *obj)
{
	pid_ns_put(obj);
}

const struct state_type pid_ns_state_type = {
	.id = STATE_ID_pid_ns,
	.name = "pid_ns",
	.desc = &sentry__pid_ns__descriptor,
	.prio = STATE_PRIO_MEMORY, /* levels must be known before pids are checked */
	.alloc = pid_ns_alloc,
	.save = pid_ns_save,
	.load = pid_ns_load,
	.after_load = pid_ns_after_load,
	.get = pid_ns_get_state,
	.put = pid_ns_put_state,
};

static void *pid_alloc(void)
{
	struct pid *p = calloc(1, sizeof(*p));

	if (p) {
		ref_init(&p->ref);
		waitq_init(&p->exit_wq);
	}
	return p;
}

static int pid_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct pid *p = obj;
	Sentry__Pid *m = msg;

	m->n_ns = m->n_nr = p->level + 1;
	m->ns = state_zalloc(w, m->n_ns, sizeof(m->ns[0]));
	m->nr = state_zalloc(w, m->n_nr, sizeof(m->nr[0]));
	for (uint32_t l = 0; l <= p->level; l++) {
		m->ns[l] = state_ref(w, &pid_ns_state_type, p->n[l].ns);
		m->nr[l] = p->n[l].nr;
	}
	m->numbered = htab_get(&p->n[0].ns->pids, (uint64_t)p->n[0].nr) == p;
	return 0;
}

static int pid_load(struct state_reader *r, void *obj, const void *msg)
{
	struct pid *p = obj;
	const Sentry__Pid *m = msg;
	int e = state_check(r, m->n_ns >= 1 && m->n_ns <= PID_LEVELS && m->n_ns == m->n_nr, "wrong number of levels");

	if (e < 0)
		return e;
	p->level = (uint32_t)m->n_ns - 1;
	for (size_t l = 0; l < m->n_ns; l++) {
		e = state_deref(r, m->ns[l], &pid_ns_state_type, (void **)&p->n[l].ns);
		if (e >= 0)
			e = state_check(r, p->n[l].ns && m->nr[l] > 0 && m->nr[l] < PID_MAX, "pid out of range");
		if (e < 0)
			return e;
		p->n[l].nr = m->nr[l];
	}
	p->load_numbered = m->numbered;
	return 0;
}

static int pid_after_load(struct state_reader *r, void *obj)
{
	struct pid *p = obj;

	for (uint32_t l = 0; l <= p->level; l++) {
		struct pid_ns *ns = p->n[l].ns;
		int e = state_check(r, ns->level == l, "pid levels do not match its namespaces");

		if (e < 0)
			return e;
		if (!p->load_numbered)
			continue;
		e = state_check(r, !htab_get(&ns->pids, (uint64_t)p->n[l].nr), "two pids with one number");
		if (e >= 0)
			e = htab_put(&ns->pids, (uint64_t)p->n[l].nr, p);
		if (e < 0)
			return e;
	}
	return 0;
}

static void pid_get_state(void *obj)
{
	(void)pid_get(obj);
}

static void pid_put_state(void *obj)
{
	pid_put(obj);
}

const struct state_type pid_state_type = {
	.id = STATE_ID_pid,
	.name = "pid",
	.desc = &sentry__pid__descriptor,
	.prio = STATE_PRIO_FS,
	.alloc = pid_alloc,
	.save = pid_save,
	.load = pid_load,
	.after_load = pid_after_load,
	.get = pid_get_state,
	.put = pid_put_state,
};
