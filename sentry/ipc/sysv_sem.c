/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V semaphores.
 *
 * An operation array is tried as a whole; one that must wait waits for any change of the set and tries again. Waiters are counted by
 * looking at the queue of sleepers. SEM_UNDO adjustments hang on the set, one array per process, and are applied when its last thread ends.
 *
 * Locks: ipc_ns.sem.mu guards everything here. Checkpoint: values, last pids, adjustments; sleepers run their call again. Linux: ipc/sem.c.
 * DEVIATION: undo belongs to the process whether or not CLONE_SYSVSEM was given; sleepers are served in wake order, not strictly FIFO.
 */
#include <string.h>

#include "base/strbuf.h"
#include "schemas/ipc.pb-c.h"
#include "sentry/ipc/ipc_internal.h"
#include "sentry/syscalls/syscalls.h"

#define SEM_L_UNDO     0x1000
#define SEM_L_GETPID   11
#define SEM_L_GETVAL   12
#define SEM_L_GETALL   13
#define SEM_L_GETNCNT  14
#define SEM_L_GETZCNT  15
#define SEM_L_SETVAL   16
#define SEM_L_SETALL   17
#define SEM_L_STAT     18
#define SEM_L_INFO     19
#define SEM_L_STAT_ANY 20
#define SEMVMX	       32767
#define SEMAEM	       SEMVMX

struct linux_sembuf {
	uint16_t num;
	int16_t op, flg;
};

struct linux_semid_ds {
	struct linux_ipc_perm perm;
	int64_t otime, pad1, ctime, pad2;
	uint64_t nsems, pad3, pad4;
};
_Static_assert(sizeof(struct linux_semid_ds) == 104, "semid64_ds layout");

struct linux_seminfo {
	int32_t semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem;
};

struct sem { /* message: SysvSem */
	uint16_t val; /* saved */
	int32_t pid; /* saved: of the last to change it, in its own numbering */
};

struct sem_undo {
	struct list node; /* derived: place in sysv_sem.undo */
	struct thread_group *tg; /* saved; gone before the group is */
	int16_t adj[]; /* saved */
};

struct sem_sleeper {
	struct list node;
	uint16_t num; /* the semaphore it waits for */
	bool zero;
	struct waiter w;
};

struct sysv_sem {
	struct ipc_obj o; /* saved: 1 obj */
	uint32_t n; /* derived: number of saved values */
	struct sem *sems; /* saved: val and pid, one each per semaphore */
	int64_t otime, ctime; /* saved: 4, 5 */
	struct list undo; /* saved: 6 */
	struct list sleepers; /* nosave: empty at a checkpoint, tasks run their call again */
	struct waitq wq; /* nosave: as sleepers */
};

static struct sysv_sem *sem_of(struct ipc_obj *o)
{
	return container_of(o, struct sysv_sem, o);
}

static int64_t now_sec(void)
{
	return ktime_real() / NSEC_PER_SEC;
}

static void sem_free(struct ipc_obj *o)
{
	struct sysv_sem *s = sem_of(o);
	struct sem_undo *u, *tmp;

	list_for_each_safe(u, tmp, &s->undo, node)
		free(u);
	waitq_done(&s->wq);
	free(s->sems);
	free(s);
}

static void *sem_alloc(void)
{
	struct sysv_sem *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	ref_init(&s->o.ref);
	s->o.free = sem_free;
	list_init(&s->undo);
	list_init(&s->sleepers);
	waitq_init(&s->wq);
	return s;
}

static struct ipc_obj *sem_make(struct task *t, struct ipc_ns *ns, void *arg, int *err)
{
	int n = *(int *)arg;
	struct sysv_sem *s;

	if (n <= 0) {
		*err = -EINVAL;
		return NULL;
	}
	s = sem_alloc();
	if (!s)
		return NULL;
	s->sems = calloc((size_t)n, sizeof(s->sems[0]));
	if (!s->sems) {
		sem_free(&s->o);
		return NULL;
	}
	s->n = (uint32_t)n;
	s->ctime = now_sec();
	return &s->o;
}

static int sem_check(struct ipc_obj *o, void *arg)
{
	return *(int *)arg > (int)sem_of(o)->n ? -EINVAL : 0;
}

int64_t sys_semget(struct task *t, const struct sys_args *a)
{
	struct ipc_ns *ns = task_ipc(t);
	int n = ARG_INT(a, 1);
	struct ipc_make m = { sem_make, sem_check, &n, ns->sem_ctls[3] };

	if (n < 0 || n > ns->sem_ctls[0])
		return -EINVAL;
	return ipc_get_or_make(t, &ns->sem, ARG_INT(a, 0), ARG_INT(a, 2), &m);
}

/* --- undo --- */

static struct sem_undo *undo_find(struct sysv_sem *s, struct thread_group *tg)
{
	struct sem_undo *u;

	list_for_each(u, &s->undo, node)
		if (u->tg == tg)
			return u;
	return NULL;
}

static struct sem_undo *undo_get(struct sysv_sem *s, struct thread_group *tg)
{
	struct sem_undo *u = undo_find(s, tg);

	if (u)
		return u;
	u = calloc(1, sizeof(*u) + s->n * sizeof(u->adj[0]));
	if (u) {
		u->tg = tg;
		list_add(&s->undo, &u->node);
	}
	return u;
}

static void undo_clear(struct sysv_sem *s, uint32_t num)
{
	struct sem_undo *u;

	list_for_each(u, &s->undo, node)
		u->adj[num] = 0;
}

void sysv_sem_exit(struct task *t)
{
	struct ipc_ns *ns = t->ns ? t->ns->ipc : NULL;
	struct thread_group *tg = t->tg;
	bool last = true;
	struct task *o;

	if (!ns)
		return;
	mutex_lock(&t->k->tasks_mu);
	list_for_each(o, &tg->tasks, tg_node)
		if (!o->exiting)
			last = false;
	mutex_unlock(&t->k->tasks_mu);
	if (!last)
		return;
	mutex_lock(&ns->sem.mu);
	for (int i = 0; i <= ns->sem.max; i++) {
		struct sysv_sem *s = ns->sem.slot[i] ? sem_of(ns->sem.slot[i]) : NULL;
		struct sem_undo *u = s ? undo_find(s, tg) : NULL;

		if (!u)
			continue;
		for (uint32_t j = 0; j < s->n; j++) {
			int v = s->sems[j].val + u->adj[j];

			if (!u->adj[j])
				continue;
			s->sems[j].val = (uint16_t)(v < 0 ? 0 : v > SEMVMX ? SEMVMX : v);
			s->sems[j].pid = pid_nr(tg->pid, t);
		}
		s->otime = now_sec();
		list_del(&u->node);
		free(u);
		waitq_wake(&s->wq, ~0u);
	}
	mutex_unlock(&ns->sem.mu);
}

bool sysv_sem_has_undo(struct task *t)
{
	struct ipc_ns *ns = t->ns ? t->ns->ipc : NULL;
	bool has = false;

	if (!ns)
		return false;
	mutex_lock(&ns->sem.mu);
	for (int i = 0; i <= ns->sem.max && !has; i++)
		has = ns->sem.slot[i] && undo_find(sem_of(ns->sem.slot[i]), t->tg);
	mutex_unlock(&ns->sem.mu);
	return has;
}

/* --- operations --- */

/* Tries all operations: 0 done, 1 must wait for semaphore *@ret_num, or an error. Changes nothing unless 0. */
static int try_ops(struct task *t, struct sysv_sem *s, const struct linux_sembuf *ops, size_t n, struct sem_undo *u, size_t *ret_i)
{
	size_t i;
	int r = 0;

	for (i = 0; i < n; i++) {
		struct sem *m = &s->sems[ops[i].num];
		int v = m->val + ops[i].op;

		if (ops[i].op == 0 ? m->val != 0 : v < 0) {
			r = ops[i].flg & LINUX_IPC_NOWAIT ? -EAGAIN : 1;
			break;
		}
		if (v > SEMVMX) {
			r = -ERANGE;
			break;
		}
		if (ops[i].flg & SEM_L_UNDO) {
			int adj = u->adj[ops[i].num] - ops[i].op;

			if (adj < -SEMAEM - 1 || adj > SEMAEM) {
				r = -ERANGE;
				break;
			}
			u->adj[ops[i].num] = (int16_t)adj;
		}
		m->val = (uint16_t)v;
	}
	*ret_i = i;
	if (r != 0) {
		while (i-- > 0) {
			s->sems[ops[i].num].val = (uint16_t)(s->sems[ops[i].num].val - ops[i].op);
			if (ops[i].flg & SEM_L_UNDO)
				u->adj[ops[i].num] = (int16_t)(u->adj[ops[i].num] + ops[i].op);
		}
		return r;
	}
	for (i = 0; i < n; i++)
		s->sems[ops[i].num].pid = pid_nr(t->tg->pid, t);
	s->otime = now_sec();
	return 0;
}

static int check_ops(struct task *t, struct sysv_sem *s, const struct linux_sembuf *ops, size_t n, bool *undo)
{
	bool alter = false;

	*undo = false;
	for (size_t i = 0; i < n; i++) {
		if (ops[i].num >= s->n)
			return -EFBIG;
		alter |= ops[i].op != 0;
		*undo |= (ops[i].flg & SEM_L_UNDO) != 0;
	}
	return ipc_access(t, &s->o, alter ? 0200 : 0400);
}

static int64_t do_semop(struct task *t, int id, const struct linux_sembuf *ops, size_t n, int64_t deadline)
{
	struct ipc_ns *ns = task_ipc(t);
	struct sem_sleeper sl = { 0 };
	struct sem_undo *u = NULL;
	struct sysv_sem *s;
	struct ipc_obj *o;
	bool undo, changes = false;
	size_t at;
	int64_t r;

	for (size_t i = 0; i < n; i++)
		changes |= ops[i].op != 0;
	task_waiter_init(&sl.w, t, ~0u);
	mutex_lock(&ns->sem.mu);
	o = ipc_find(&ns->sem, id);
	if (!o) {
		mutex_unlock(&ns->sem.mu);
		/* A call that slept over a restart knows that the set existed. */
		return t->sysctx.again ? -EIDRM : -EINVAL;
	}
	s = sem_of(ipc_get(o));
	r = check_ops(t, s, ops, n, &undo);
	if (r == 0 && undo) {
		u = undo_get(s, t->tg);
		r = u ? 0 : -ENOMEM;
	}
	while (r == 0) {
		r = o->removed ? -EIDRM : try_ops(t, s, ops, n, u, &at);
		if (r <= 0) {
			if (r == 0 && changes)
				waitq_wake(&s->wq, ~0u);
			break;
		}
		sl.num = ops[at].num;
		sl.zero = ops[at].op == 0;
		task_block_prepare(t);
		waitq_add(&s->wq, &sl.w);
		list_add_tail(&s->sleepers, &sl.node);
		mutex_unlock(&ns->sem.mu);
		r = task_block(t, deadline);
		mutex_lock(&ns->sem.mu);
		waitq_del(&sl.w);
		list_del(&sl.node);
		if (r < 0 && r != -EFREEZE) {
			size_t i;

			/* Removed or satisfied at the last moment wins over the timeout and the signal. */
			if (o->removed)
				r = -EIDRM;
			else if (try_ops(t, s, ops, n, u, &i) == 0)
				r = 0;
			if (r == 0 && changes)
				waitq_wake(&s->wq, ~0u);
			break;
		}
	}
	mutex_unlock(&ns->sem.mu);
	ipc_put(o);
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	return r == -ERESTARTSYS ? -EINTR : r; /* Linux never restarts it */
}

static int64_t semtimedop(struct task *t, const struct sys_args *a, int64_t deadline)
{
	struct linux_sembuf fast[16], *ops = fast;
	size_t n = ARG_U32(a, 2);
	int64_t r;

	if (ARG_U32(a, 2) > (uint64_t)task_ipc(t)->sem_ctls[2])
		return -E2BIG;
	if (n < 1 || ARG_INT(a, 0) < 0)
		return -EINVAL;
	if (n > ARRAY_SIZE(fast)) {
		ops = calloc(n, sizeof(*ops));
		if (!ops)
			return -ENOMEM;
	}
	r = copy_in(t, ops, ARG_ADDR(a, 1), n * sizeof(*ops));
	if (r == 0)
		r = do_semop(t, ARG_INT(a, 0), ops, n, deadline);
	if (ops != fast)
		free(ops);
	return r;
}

int64_t sys_semop(struct task *t, const struct sys_args *a)
{
	return semtimedop(t, a, TIME_FOREVER);
}

int64_t sys_semtimedop(struct task *t, const struct sys_args *a)
{
	int64_t ns;
	int r;

	if (!a->a[3])
		return semtimedop(t, a, TIME_FOREVER);
	r = copy_in_timespec(t, ARG_ADDR(a, 3), &ns);
	return r < 0 ? r : semtimedop(t, a, task_deadline(t, ns));
}

/* --- semctl --- */

static void fill_ds(struct sysv_sem *s, struct linux_semid_ds *ds)
{
	*ds = (struct linux_semid_ds){ .otime = s->otime, .ctime = s->ctime, .nsems = s->n };
	ipc_fill_perm(&s->o, &ds->perm);
}

static int64_t sem_info(struct task *t, struct ipc_ns *ns, int cmd, gaddr_t dst)
{
	struct linux_seminfo i = { .semmni = ns->sem_ctls[3], .semmns = ns->sem_ctls[1], .semmsl = ns->sem_ctls[0],
				   .semopm = ns->sem_ctls[2], .semvmx = SEMVMX, .semmnu = ns->sem_ctls[1], .semmap = ns->sem_ctls[1],
				   .semume = ns->sem_ctls[2] };
	int max;

	mutex_lock(&ns->sem.mu);
	i.semusz = 20;
	i.semaem = SEMAEM;
	if (cmd == SEM_L_INFO) {
		i.semusz = ns->sem.n;
		i.semaem = 0;
		for (int j = 0; j <= ns->sem.max; j++)
			if (ns->sem.slot[j])
				i.semaem += (int32_t)sem_of(ns->sem.slot[j])->n;
	}
	max = MAX(ns->sem.max, 0);
	mutex_unlock(&ns->sem.mu);
	return copy_out(t, dst, &i, sizeof(i)) < 0 ? -EFAULT : max;
}

static int64_t sem_stat(struct task *t, struct ipc_ns *ns, int id, int cmd, gaddr_t dst)
{
	struct linux_semid_ds ds;
	struct ipc_obj *o;
	int64_t r;

	mutex_lock(&ns->sem.mu);
	if (cmd == LINUX_IPC_STAT)
		o = ipc_find(&ns->sem, id);
	else
		o = id >= 0 && id <= ns->sem.max ? ns->sem.slot[id] : NULL;
	r = o ? 0 : -EINVAL;
	if (o && cmd != SEM_L_STAT_ANY)
		r = ipc_access(t, o, 0400);
	if (r == 0) {
		fill_ds(sem_of(o), &ds);
		r = cmd == LINUX_IPC_STAT ? 0 : o->id;
	}
	mutex_unlock(&ns->sem.mu);
	if (r >= 0 && copy_out(t, dst, &ds, sizeof(ds)) < 0)
		return -EFAULT;
	return r;
}

static int64_t sem_set_or_rm(struct task *t, struct ipc_ns *ns, int id, int cmd, gaddr_t src)
{
	struct linux_semid_ds ds;
	struct ipc_obj *o;
	int64_t r = 0;

	if (cmd == LINUX_IPC_SET)
		r = copy_in(t, &ds, src, sizeof(ds));
	if (r < 0)
		return r;
	mutex_lock(&ns->sem.mu);
	o = ipc_find(&ns->sem, id);
	r = o ? ipc_owner(t, o) : -EINVAL;
	if (r == 0 && cmd == LINUX_IPC_SET) {
		r = ipc_set_perm(o, &ds.perm);
		if (r == 0)
			sem_of(o)->ctime = now_sec();
	} else if (r == 0) {
		o->removed = true;
		waitq_wake(&sem_of(o)->wq, ~0u);
		ipc_remove(&ns->sem, o);
	}
	mutex_unlock(&ns->sem.mu);
	return r;
}

static int64_t sem_count(struct sysv_sem *s, uint32_t num, bool zero)
{
	struct sem_sleeper *sl;
	int64_t n = 0;

	list_for_each(sl, &s->sleepers, node)
		n += sl->num == num && sl->zero == zero;
	return n;
}

static int64_t sem_one(struct task *t, struct ipc_ns *ns, int id, int num, int cmd, int val)
{
	struct sysv_sem *s;
	struct ipc_obj *o;
	int64_t r;

	mutex_lock(&ns->sem.mu);
	o = ipc_find(&ns->sem, id);
	r = o ? ipc_access(t, o, cmd == SEM_L_SETVAL ? 0200 : 0400) : -EINVAL;
	if (r == 0 && (num < 0 || num >= (int)sem_of(o)->n))
		r = -EINVAL;
	if (r == 0) {
		s = sem_of(o);
		switch (cmd) {
		case SEM_L_GETVAL:
			r = s->sems[num].val;
			break;
		case SEM_L_GETPID:
			r = s->sems[num].pid;
			break;
		case SEM_L_GETNCNT:
		case SEM_L_GETZCNT:
			r = sem_count(s, (uint32_t)num, cmd == SEM_L_GETZCNT);
			break;
		default:
			if (val < 0 || val > SEMVMX) {
				r = -ERANGE;
				break;
			}
			s->sems[num].val = (uint16_t)val;
			s->sems[num].pid = pid_nr(t->tg->pid, t);
			undo_clear(s, (uint32_t)num);
			s->ctime = now_sec();
			waitq_wake(&s->wq, ~0u);
		}
	}
	mutex_unlock(&ns->sem.mu);
	return r;
}

/* The size of a set never changes, so the buffer is sized in a first look. */
static int64_t sem_all(struct task *t, struct ipc_ns *ns, int id, bool set, gaddr_t addr)
{
	_cleanup_free_ uint16_t *v = NULL;
	struct sysv_sem *s;
	struct ipc_obj *o;
	uint32_t n = 0;
	int64_t r;

	mutex_lock(&ns->sem.mu);
	o = ipc_find(&ns->sem, id);
	r = o ? ipc_access(t, o, set ? 0200 : 0400) : -EINVAL;
	if (r == 0)
		n = sem_of(o)->n;
	mutex_unlock(&ns->sem.mu);
	if (r < 0)
		return r;
	v = calloc(n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	if (set && copy_in(t, v, addr, n * sizeof(*v)) < 0)
		return -EFAULT;
	for (uint32_t i = 0; i < n && set; i++)
		if (v[i] > SEMVMX)
			return -ERANGE;
	mutex_lock(&ns->sem.mu);
	o = ipc_find(&ns->sem, id);
	if (!o || sem_of(o)->n != n) {
		mutex_unlock(&ns->sem.mu);
		return -EIDRM;
	}
	s = sem_of(o);
	for (uint32_t i = 0; i < n; i++) {
		if (!set) {
			v[i] = s->sems[i].val;
			continue;
		}
		s->sems[i].val = v[i];
		s->sems[i].pid = pid_nr(t->tg->pid, t);
		undo_clear(s, i);
	}
	if (set) {
		s->ctime = now_sec();
		waitq_wake(&s->wq, ~0u);
	}
	mutex_unlock(&ns->sem.mu);
	return set ? 0 : copy_out(t, addr, v, n * sizeof(*v));
}

int64_t sys_semctl(struct task *t, const struct sys_args *a)
{
	struct ipc_ns *ns = task_ipc(t);
	int id = ARG_INT(a, 0), num = ARG_INT(a, 1), cmd = ARG_INT(a, 2) & ~LINUX_IPC_64;
	gaddr_t arg = ARG_ADDR(a, 3);

	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case LINUX_IPC_INFO:
	case SEM_L_INFO:
		return sem_info(t, ns, cmd, arg);
	case LINUX_IPC_STAT:
	case SEM_L_STAT:
	case SEM_L_STAT_ANY:
		return sem_stat(t, ns, id, cmd, arg);
	case LINUX_IPC_SET:
	case LINUX_IPC_RMID:
		return sem_set_or_rm(t, ns, id, cmd, arg);
	case SEM_L_GETALL:
	case SEM_L_SETALL:
		return sem_all(t, ns, id, cmd == SEM_L_SETALL, arg);
	case SEM_L_GETVAL:
	case SEM_L_GETPID:
	case SEM_L_GETNCNT:
	case SEM_L_GETZCNT:
	case SEM_L_SETVAL:
		return sem_one(t, ns, id, num, cmd, (int)arg.v);
	default:
		return -EINVAL;
	}
}

void ipc_show_sem(struct ipc_ns *ns, struct task *viewer, struct strbuf *b)
{
	(void)viewer; /* ids of processes are kept in their own numbering */
	mutex_lock(&ns->sem.mu);
	for (int i = 0; i <= ns->sem.max; i++) {
		struct ipc_obj *o = ns->sem.slot ? ns->sem.slot[i] : NULL;
		const struct sysv_sem *s = o ? sem_of(o) : NULL;

		if (!s)
			continue;
		strbuf_addf(b, "%10d %10d  %4o %10u %5u %5u %5u %5u %10ld %10ld\n", o->key, o->id, o->mode, s->n, o->uid, o->gid, o->cuid, o->cgid,
			    (long)s->otime, (long)s->ctime);
	}
	mutex_unlock(&ns->sem.mu);
}

/* --- state --- */

#define MAX_SEMS 32000

static int sem_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct sysv_sem *s = obj;
	Sentry__SysvSem *m = msg;
	const struct sem_undo *u;
	size_t nu = 0;

	m->obj = ipc_save_obj(w, &s->o);
	m->n_val = m->n_pid = s->n;
	m->val = state_zalloc(w, s->n, sizeof(m->val[0]));
	m->pid = state_zalloc(w, s->n, sizeof(m->pid[0]));
	for (uint32_t i = 0; i < s->n; i++) {
		m->val[i] = s->sems[i].val;
		m->pid[i] = s->sems[i].pid;
	}
	m->otime = s->otime;
	m->ctime = s->ctime;
	list_for_each(u, &s->undo, node)
		nu++;
	m->undo = state_zalloc(w, nu, sizeof(m->undo[0]));
	list_for_each(u, &s->undo, node) {
		Sentry__SemUndo *o = state_new_msg(w, &sentry__sem_undo__descriptor);

		o->tg = state_ref(w, &thread_group_state_type, u->tg);
		o->n_adj = s->n;
		o->adj = state_zalloc(w, s->n, sizeof(o->adj[0]));
		for (uint32_t i = 0; i < s->n; i++)
			o->adj[i] = u->adj[i];
		m->undo[m->n_undo++] = o;
	}
	return 0;
}

static int sem_load(struct state_reader *r, void *obj, const void *msg)
{
	struct sysv_sem *s = obj;
	const Sentry__SysvSem *m = msg;
	int e = ipc_load_obj(r, &s->o, m->obj);

	if (e == 0)
		e = state_check(r, m->n_val && m->n_val == m->n_pid && m->n_val <= MAX_SEMS, "malformed semaphore set");
	if (e < 0)
		return e;
	s->sems = calloc(m->n_val, sizeof(s->sems[0]));
	if (!s->sems)
		return -ENOMEM;
	s->n = (uint32_t)m->n_val;
	for (uint32_t i = 0; i < s->n; i++) {
		e = state_check(r, m->val[i] <= SEMVMX, "semaphore out of range");
		if (e < 0)
			return e;
		s->sems[i] = (struct sem){ (uint16_t)m->val[i], m->pid[i] };
	}
	s->otime = m->otime;
	s->ctime = m->ctime;
	for (size_t i = 0; i < m->n_undo; i++) {
		struct thread_group *tg = NULL;
		struct sem_undo *u;

		e = state_deref(r, m->undo[i]->tg, &thread_group_state_type, (void **)&tg);
		if (e >= 0)
			e = state_check(r, tg && m->undo[i]->n_adj == s->n, "malformed semaphore adjustment");
		if (e < 0)
			return e;
		tg_put(tg);
		u = undo_get(s, tg);
		if (!u)
			return -ENOMEM;
		for (uint32_t j = 0; j < s->n; j++)
			u->adj[j] = (int16_t)m->undo[i]->adj[j];
	}
	return 0;
}

const struct state_type sysv_sem_state_type = {
	.id = STATE_ID_sysv_sem,
	.name = "sysv_sem",
	.desc = &sentry__sysv_sem__descriptor,
	.prio = STATE_PRIO_TIMER,
	.alloc = sem_alloc,
	.save = sem_save,
	.load = sem_load,
	.get = ipc_obj_state_get,
	.put = ipc_obj_state_put,
};
