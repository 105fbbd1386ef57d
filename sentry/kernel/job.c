/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions and process groups.
 *
 * A session owns its process groups through their references; a process group lives while it has members or a terminal names it as
 * foreground. All links are guarded by kernel.tasks_mu.
 * Checkpoint: sessions, groups, their ids, the controlling terminal. Linux: kernel/sys.c (setsid, setpgid), kernel/pid.c.
 */
#include <string.h>

#include "schemas/job.pb-c.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/task_new.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

void session_put(struct session *s)
{
	if (!s || !ref_put(&s->ref))
		return;
	s->id->session = NULL;
	pid_release_nr_locked(s->id);
	pid_put_locked(s->id);
	free(s);
}

/* Both put functions run under tasks_mu: the last reference takes ids out of the tables. */
void pgrp_put(struct pgrp *p)
{
	if (!p || !ref_put(&p->ref))
		return;
	list_del(&p->node);
	p->id->pgrp = NULL;
	pid_release_nr_locked(p->id);
	pid_put_locked(p->id);
	session_put(p->session);
	free(p);
}

struct pgrp *pgrp_new_locked(struct pid *id, struct session *s)
{
	struct pgrp *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	ref_init(&p->ref);
	p->id = pid_get(id);
	p->session = session_get(s);
	list_init(&p->members);
	list_add_tail(&s->pgrps, &p->node);
	id->pgrp = p;
	return p;
}

void tg_set_pgrp_locked(struct thread_group *tg, struct pgrp *pg)
{
	struct pgrp *old = tg->pgrp;

	tg->pgrp = pg ? pgrp_get(pg) : NULL;
	list_del(&tg->pgrp_node);
	if (pg)
		list_add_tail(&pg->members, &tg->pgrp_node);
	pgrp_put(old);
}

int session_new_locked(struct thread_group *tg)
{
	struct session *s = calloc(1, sizeof(*s)), *old = tg->session;
	struct pgrp *pg;

	if (!s)
		return -ENOMEM;
	ref_init(&s->ref);
	list_init(&s->pgrps);
	s->id = pid_get(tg->pid);
	s->leader = tg;
	tg->pid->session = s;
	pg = pgrp_new_locked(tg->pid, s);
	if (!pg) {
		session_put(s);
		return -ENOMEM;
	}
	tg_set_pgrp_locked(tg, pg);
	pgrp_put(pg);
	tg->session = s;
	session_put(old);
	return 0;
}

void tg_link_locked(struct thread_group *tg, struct thread_group *parent, struct task *parent_task, struct pgrp *pg,
		    struct session *s)
{
	list_add_tail(&tg->k->groups, &tg->all_node);
	(void)tg_get(tg); /* the tree's reference, dropped by tg_reap_locked */
	tg->parent = parent;
	tg->parent_task = parent_task;
	if (parent)
		list_add_tail(&parent->children, &tg->child_node);
	if (pg)
		tg_set_pgrp_locked(tg, pg);
	if (s)
		tg->session = session_get(s);
	tg->pid->tg = tg;
}

/* --- system calls --- */

int64_t sys_setsid(struct task *t, const struct sys_args *a)
{
	struct thread_group *tg = t->tg;
	int64_t r = -EPERM;

	mutex_lock(&t->k->tasks_mu);
	if (!tg->pid->pgrp && !tg->pid->session) {
		r = session_new_locked(tg);
		if (r == 0)
			r = pid_nr(tg->pid, t);
	}
	mutex_unlock(&t->k->tasks_mu);
	return r;
}

static int setpgid_locked(struct task *t, int32_t pid, int32_t pgid)
{
	struct thread_group *tg = t->tg;
	struct pid *p = tg->pid;
	struct pgrp *pg;

	if (pid) {
		p = pid_find_locked(task_pid_ns(t), pid);
		tg = p ? p->tg : NULL;
		if (!tg || tg->state == TG_REAPED)
			return -ESRCH;
	}
	if (tg != t->tg) {
		if (tg->parent != t->tg)
			return -ESRCH;
		if (tg->session != t->tg->session)
			return -EPERM;
		if (tg->did_exec)
			return -EACCES;
	}
	if (tg->session->leader == tg)
		return -EPERM;
	if (pgid && pgid != pid_nr(tg->pid, t)) {
		p = pid_find_locked(task_pid_ns(t), pgid);
		pg = p ? p->pgrp : NULL;
		if (!pg || pg->session != tg->session)
			return -EPERM;
		if (pg != tg->pgrp)
			tg_set_pgrp_locked(tg, pg);
		return 0;
	}
	pg = tg->pid->pgrp;
	if (pg) {
		if (pg != tg->pgrp)
			tg_set_pgrp_locked(tg, pg);
		return 0;
	}
	pg = pgrp_new_locked(tg->pid, tg->session);
	if (!pg)
		return -ENOMEM;
	tg_set_pgrp_locked(tg, pg);
	pgrp_put(pg);
	return 0;
}

int64_t sys_setpgid(struct task *t, const struct sys_args *a)
{
	int32_t pid = ARG_INT(a, 0), pgid = ARG_INT(a, 1);
	int r;

	if (pgid < 0)
		return -EINVAL;
	mutex_lock(&t->k->tasks_mu);
	r = setpgid_locked(t, pid, pgid);
	mutex_unlock(&t->k->tasks_mu);
	return r;
}

static int64_t get_id(struct task *t, int32_t pid, bool session)
{
	struct thread_group *tg = t->tg;
	int64_t r = -ESRCH;

	mutex_lock(&t->k->tasks_mu);
	if (pid) {
		struct pid *p = pid_find_locked(task_pid_ns(t), pid);

		tg = p && p->task ? p->task->tg : p ? p->tg : NULL;
	}
	if (tg && tg->session && tg->pgrp)
		r = pid_nr(session ? tg->session->id : tg->pgrp->id, t);
	mutex_unlock(&t->k->tasks_mu);
	return r;
}

int64_t sys_getsid(struct task *t, const struct sys_args *a)
{
	return get_id(t, ARG_INT(a, 0), true);
}

int64_t sys_getpgid(struct task *t, const struct sys_args *a)
{
	return get_id(t, ARG_INT(a, 0), false);
}

int64_t sys_getpgrp(struct task *t, const struct sys_args *a)
{
	return get_id(t, 0, false);
}

/* --- state --- */

static void *session_alloc(void)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s) {
		ref_init(&s->ref);
		list_init(&s->pgrps);
	}
	return s;
}

static int session_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct session *s = obj;
	Sentry__Session *m = msg;

	m->id = state_ref(w, &pid_state_type, s->id);
	m->leader = state_ref(w, &thread_group_state_type, s->leader);
	m->ctty = state_ref(w, &tty_state_type, s->ctty);
	m->autogroup_nice = s->autogroup_nice;
	return 0;
}

static int session_load(struct state_reader *r, void *obj, const void *msg)
{
	struct session *s = obj;
	const Sentry__Session *m = msg;
	void *leader = NULL;
	int e = state_deref(r, m->id, &pid_state_type, (void **)&s->id);

	if (e >= 0)
		e = state_deref(r, m->leader, &thread_group_state_type, &leader);
	if (e >= 0)
		e = state_deref(r, m->ctty, &tty_state_type, (void **)&s->ctty);
	if (e >= 0)
		e = state_check(r, s->id != NULL, "no id");
	s->autogroup_nice = m->autogroup_nice >= -20 && m->autogroup_nice <= 19 ? m->autogroup_nice : 0;
	if (leader) {
		s->leader = leader; /* not counted, as at run time */
		tg_put(leader);
	}
	return e;
}

static int session_after_load(struct state_reader *r, void *obj)
{
	struct session *s = obj;
	int e = state_check(r, !s->id->session, "two sessions with one id");

	s->id->session = s;
	return e;
}

static void session_get_state(void *obj)
{
	(void)session_get(obj);
}

static void session_put_state(void *obj)
{
	session_put(obj);
}

const struct state_type session_state_type = {
	.id = STATE_ID_session,
	.name = "session",
	.desc = &sentry__session__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = session_alloc,
	.save = session_save,
	.load = session_load,
	.after_load = session_after_load,
	.get = session_get_state,
	.put = session_put_state,
};

static void *pgrp_alloc(void)
{
	struct pgrp *p = calloc(1, sizeof(*p));

	if (p) {
		ref_init(&p->ref);
		list_init(&p->members);
	}
	return p;
}

static int pgrp_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct pgrp *p = obj;
	Sentry__Pgrp *m = msg;

	m->id = state_ref(w, &pid_state_type, p->id);
	m->session = state_ref(w, &session_state_type, p->session);
	return 0;
}

static int pgrp_load(struct state_reader *r, void *obj, const void *msg)
{
	struct pgrp *p = obj;
	const Sentry__Pgrp *m = msg;
	int e = state_deref(r, m->id, &pid_state_type, (void **)&p->id);

	if (e >= 0)
		e = state_deref(r, m->session, &session_state_type, (void **)&p->session);
	if (e >= 0)
		e = state_check(r, p->id && p->session, "no id or session");
	return e;
}

static int pgrp_after_load(struct state_reader *r, void *obj)
{
	struct pgrp *p = obj;
	int e = state_check(r, !p->id->pgrp, "two process groups with one id");

	if (e < 0)
		return e;
	p->id->pgrp = p;
	list_add_tail(&p->session->pgrps, &p->node);
	return 0;
}

static void pgrp_get_state(void *obj)
{
	(void)pgrp_get(obj);
}

static void pgrp_put_state(void *obj)
{
	pgrp_put(obj);
}

const struct state_type pgrp_state_type = {
	.id = STATE_ID_pgrp,
	.name = "pgrp",
	.desc = &sentry__pgrp__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = pgrp_alloc,
	.save = pgrp_save,
	.load = pgrp_load,
	.after_load = pgrp_after_load,
	.get = pgrp_get_state,
	.put = pgrp_put_state,
};
