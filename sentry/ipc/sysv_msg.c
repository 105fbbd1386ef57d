/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V message queues.
 *
 * Locks: ipc_ns.msg.mu guards everything here. Checkpoint: the queued messages; sleepers run their call again. Linux: ipc/msg.c.
 */
#include <string.h>

#include "base/strbuf.h"
#include "schemas/ipc.pb-c.h"
#include "sentry/ipc/ipc_internal.h"
#include "sentry/syscalls/syscalls.h"

#define MSG_L_NOERROR  010000
#define MSG_L_EXCEPT   020000
#define MSG_L_COPY     040000
#define MSG_L_STAT     11
#define MSG_L_INFO     12
#define MSG_L_STAT_ANY 13

struct linux_msqid_ds {
	struct linux_ipc_perm perm;
	int64_t stime, rtime, ctime;
	uint64_t cbytes, qnum, qbytes;
	int32_t lspid, lrpid;
	uint64_t pad[2];
};
_Static_assert(sizeof(struct linux_msqid_ds) == 120, "msqid64_ds layout");

struct linux_msginfo {
	int32_t msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql;
	uint16_t msgseg;
};

struct msg { /* message: SysvMessage */
	struct list node; /* derived: place in sysv_msg.queue */
	int64_t type; /* saved: 1 */
	size_t len; /* saved: 2 text */
	uint8_t text[]; /* saved: 2 */
};

/* A sleeping msgrcv. A sender hands its message over itself, so it arrives even if the queue is removed before the receiver has run. */
struct msg_receiver {
	struct list node; /* in sysv_msg.receivers, first come first */
	struct task *t;
	int64_t type;
	uint64_t size;
	int flg;
	bool done; /* with @got, ours then, or @err */
	struct msg *got;
	int err;
};

struct sysv_msg {
	struct ipc_obj o; /* saved: 1 obj */
	struct list queue; /* saved: 2 */
	uint64_t cbytes, qnum; /* derived: sums over queue */
	uint64_t qbytes; /* saved: 3 */
	int64_t stime, rtime, ctime; /* saved: 4, 5, 6 */
	int32_t lspid, lrpid; /* saved: 7, 8 */
	struct list receivers; /* nosave: empty at a checkpoint, as wq */
	struct waitq wq; /* nosave: empty at a checkpoint, tasks run their call again */
};

static struct sysv_msg *msg_of(struct ipc_obj *o)
{
	return container_of(o, struct sysv_msg, o);
}

static int64_t now_sec(void)
{
	return ktime_real() / NSEC_PER_SEC;
}

static void msg_free(struct ipc_obj *o)
{
	struct sysv_msg *q = msg_of(o);
	struct msg *m, *tmp;

	list_for_each_safe(m, tmp, &q->queue, node)
		free(m);
	waitq_done(&q->wq);
	free(q);
}

static void *msg_alloc(void)
{
	struct sysv_msg *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	ref_init(&q->o.ref);
	q->o.free = msg_free;
	list_init(&q->queue);
	list_init(&q->receivers);
	waitq_init(&q->wq);
	return q;
}

static struct ipc_obj *msg_make(struct task *t, struct ipc_ns *ns, void *arg, int *err)
{
	struct sysv_msg *q = msg_alloc();

	if (!q)
		return NULL;
	q->qbytes = (uint64_t)ns->msgmnb;
	q->ctime = now_sec();
	return &q->o;
}

int64_t sys_msgget(struct task *t, const struct sys_args *a)
{
	struct ipc_ns *ns = task_ipc(t);
	struct ipc_make m = { msg_make, NULL, NULL, ns->msgmni };

	return ipc_get_or_make(t, &ns->msg, ARG_INT(a, 0), ARG_INT(a, 1), &m);
}

/* Sleeps until the queue changes, or @rcv (NULL: none) is served; mu is released meanwhile. */
static int msg_wait(struct task *t, struct ipc_ns *ns, struct sysv_msg *q, struct msg_receiver *rcv)
{
	struct waiter w;
	int r;

	task_waiter_init(&w, t, ~0u);
	task_block_prepare(t);
	waitq_add(&q->wq, &w);
	if (rcv)
		list_add_tail(&q->receivers, &rcv->node);
	mutex_unlock(&ns->msg.mu);
	r = task_block(t, TIME_FOREVER);
	waitq_del(&w);
	mutex_lock(&ns->msg.mu);
	if (rcv)
		list_del(&rcv->node);
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

/* The queue, referenced, with mu taken; NULL (mu free) and *@err. */
static struct sysv_msg *msg_enter(struct task *t, struct ipc_ns *ns, int id, uint32_t mask, int64_t *err)
{
	struct ipc_obj *o;

	mutex_lock(&ns->msg.mu);
	o = id < 0 ? NULL : ipc_find(&ns->msg, id);
	*err = o ? ipc_access(t, o, mask) : t->sysctx.again && id >= 0 ? -EIDRM : -EINVAL;
	if (*err == 0)
		return msg_of(ipc_get(o));
	mutex_unlock(&ns->msg.mu);
	return NULL;
}

/* Is @m one of those that a @type other than 0 asks for? */
static bool msg_matches(const struct msg *m, int64_t type, int flg)
{
	if (type > 0)
		return (m->type == type) == !(flg & MSG_L_EXCEPT);
	return m->type <= (type == INT64_MIN ? INT64_MAX : -type);
}

/* Gives @m to the first that sleeps for it; those for whom it is too large fail. False: nobody takes it. */
static bool msg_hand_over(struct sysv_msg *q, struct msg *m)
{
	struct msg_receiver *rcv;

	list_for_each(rcv, &q->receivers, node) {
		if (rcv->done || (rcv->type && !msg_matches(m, rcv->type, rcv->flg)))
			continue;
		rcv->done = true;
		if (m->len > rcv->size && !(rcv->flg & MSG_L_NOERROR)) {
			rcv->err = -E2BIG;
			continue;
		}
		rcv->got = m;
		q->rtime = now_sec();
		q->lrpid = pid_nr(rcv->t->tg->pid, rcv->t);
		return true;
	}
	return false;
}

int64_t sys_msgsnd(struct task *t, const struct sys_args *a)
{
	struct ipc_ns *ns = task_ipc(t);
	_cleanup_free_ struct msg *m = NULL;
	struct sysv_msg *q;
	int64_t type, r;

	if (copy_in(t, &type, ARG_ADDR(a, 1), sizeof(type)) < 0)
		return -EFAULT;
	if (a->a[2] > (uint64_t)ns->msgmax || type < 1)
		return -EINVAL;
	m = malloc(sizeof(*m) + a->a[2]);
	if (!m)
		return -ENOMEM;
	m->type = type;
	m->len = a->a[2];
	m->node = (struct list){ 0 };
	if (copy_in(t, m->text, gaddr_add(ARG_ADDR(a, 1), 8), m->len) < 0)
		return -EFAULT;
	q = msg_enter(t, ns, ARG_INT(a, 0), 0200, &r);
	if (!q)
		return r;
	for (;;) {
		if (q->o.removed) {
			r = -EIDRM;
			break;
		}
		if (m->len + q->cbytes <= q->qbytes && 1 + q->qnum <= q->qbytes) {
			if (!msg_hand_over(q, m)) {
				list_add_tail(&q->queue, &m->node);
				q->cbytes += m->len;
				q->qnum++;
				ns->msg_bytes += m->len;
				ns->msg_count++;
			}
			q->stime = now_sec();
			q->lspid = pid_nr(t->tg->pid, t);
			(void)TAKE_PTR(m);
			waitq_wake(&q->wq, ~0u);
			r = 0;
			break;
		}
		r = ARG_INT(a, 3) & LINUX_IPC_NOWAIT ? -EAGAIN : msg_wait(t, ns, q, NULL);
		if (r < 0)
			break;
	}
	mutex_unlock(&ns->msg.mu);
	ipc_put(&q->o);
	return r;
}

static struct msg *msg_pick(struct sysv_msg *q, int64_t type, int flg)
{
	struct msg *m, *best = NULL;
	int64_t n = 0;

	list_for_each(m, &q->queue, node) {
		if (flg & MSG_L_COPY) {
			if (n++ == type)
				return m;
		} else if (type == 0) {
			return m;
		} else if (msg_matches(m, type, flg)) {
			if (type > 0)
				return m;
			if (!best || m->type < best->type)
				best = m;
		}
	}
	return best;
}

static int64_t msg_deliver(struct task *t, gaddr_t dst, const struct msg *m, uint64_t size)
{
	size_t n = MIN(m->len, (size_t)size);

	if (copy_out(t, dst, &m->type, sizeof(m->type)) < 0 || copy_out(t, gaddr_add(dst, 8), m->text, n) < 0)
		return -EFAULT;
	return (int64_t)n;
}

static void msg_unlink(struct ipc_ns *ns, struct sysv_msg *q, struct msg *m)
{
	list_del(&m->node);
	q->cbytes -= m->len;
	q->qnum--;
	ns->msg_bytes -= m->len;
	ns->msg_count--;
}

int64_t sys_msgrcv(struct task *t, const struct sys_args *a)
{
	struct ipc_ns *ns = task_ipc(t);
	int64_t type = (int64_t)a->a[3], r;
	int flg = ARG_INT(a, 4);
	_cleanup_free_ struct msg *copy = NULL;
	struct msg_receiver rcv = { .t = t, .type = type, .size = a->a[2], .flg = flg };
	struct msg *m;
	struct sysv_msg *q;

	if (ARG_INT(a, 0) < 0 || (int64_t)a->a[2] < 0)
		return -EINVAL;
	if ((flg & MSG_L_COPY) && ((flg & MSG_L_EXCEPT) || !(flg & LINUX_IPC_NOWAIT)))
		return -EINVAL;
	q = msg_enter(t, ns, ARG_INT(a, 0), 0400, &r);
	if (!q)
		return r;
	for (;;) {
		if (q->o.removed) {
			r = -EIDRM;
			break;
		}
		m = msg_pick(q, type, flg);
		if (m && m->len > a->a[2] && !(flg & MSG_L_NOERROR)) {
			r = -E2BIG;
			break;
		}
		if (m && (flg & MSG_L_COPY)) {
			copy = malloc(sizeof(*copy) + m->len);
			r = copy ? 0 : -ENOMEM;
			if (copy)
				memcpy(copy, m, sizeof(*m) + m->len);
			break;
		}
		if (m) {
			msg_unlink(ns, q, m);
			q->rtime = now_sec();
			q->lrpid = pid_nr(t->tg->pid, t);
			waitq_wake(&q->wq, ~0u);
			copy = m;
			r = 0;
			break;
		}
		r = flg & LINUX_IPC_NOWAIT ? -ENOMSG : msg_wait(t, ns, q, &rcv);
		if (rcv.done) {
			copy = rcv.got;
			r = rcv.err;
			break;
		}
		if (r < 0)
			break;
	}
	mutex_unlock(&ns->msg.mu);
	ipc_put(&q->o);
	return r < 0 ? r : msg_deliver(t, ARG_ADDR(a, 1), copy, a->a[2]);
}

/* --- msgctl --- */

static int64_t msg_info(struct task *t, struct ipc_ns *ns, int cmd, gaddr_t dst)
{
	struct linux_msginfo i = { .msgmni = ns->msgmni, .msgmax = ns->msgmax, .msgmnb = ns->msgmnb, .msgssz = 16, .msgseg = 0xffff };
	int max;

	mutex_lock(&ns->msg.mu);
	if (cmd == MSG_L_INFO) {
		i.msgpool = ns->msg.n;
		i.msgmap = (int32_t)MIN(ns->msg_count, (uint64_t)INT32_MAX);
		i.msgtql = (int32_t)MIN(ns->msg_bytes, (uint64_t)INT32_MAX);
	} else {
		i.msgpool = ns->msgmni * (ns->msgmnb / 1024);
		i.msgmap = ns->msgmnb;
		i.msgtql = ns->msgmnb;
	}
	max = MAX(ns->msg.max, 0);
	mutex_unlock(&ns->msg.mu);
	return copy_out(t, dst, &i, sizeof(i)) < 0 ? -EFAULT : max;
}

static int64_t msg_stat(struct task *t, struct ipc_ns *ns, int id, int cmd, gaddr_t dst)
{
	struct linux_msqid_ds ds;
	struct ipc_obj *o;
	int64_t r;

	mutex_lock(&ns->msg.mu);
	if (cmd == LINUX_IPC_STAT)
		o = ipc_find(&ns->msg, id);
	else
		o = id >= 0 && id <= ns->msg.max ? ns->msg.slot[id] : NULL;
	r = o ? 0 : -EINVAL;
	if (o && cmd != MSG_L_STAT_ANY)
		r = ipc_access(t, o, 0400);
	if (r == 0) {
		struct sysv_msg *q = msg_of(o);

		ds = (struct linux_msqid_ds){ .stime = q->stime, .rtime = q->rtime, .ctime = q->ctime, .cbytes = q->cbytes, .qnum = q->qnum,
					      .qbytes = q->qbytes, .lspid = q->lspid, .lrpid = q->lrpid };
		ipc_fill_perm(o, &ds.perm);
		r = cmd == LINUX_IPC_STAT ? 0 : o->id;
	}
	mutex_unlock(&ns->msg.mu);
	if (r >= 0 && copy_out(t, dst, &ds, sizeof(ds)) < 0)
		return -EFAULT;
	return r;
}

static int64_t msg_set_or_rm(struct task *t, struct ipc_ns *ns, int id, int cmd, gaddr_t src)
{
	struct linux_msqid_ds ds;
	struct sysv_msg *q;
	struct ipc_obj *o;
	int64_t r = 0;

	if (cmd == LINUX_IPC_SET && copy_in(t, &ds, src, sizeof(ds)) < 0)
		return -EFAULT;
	mutex_lock(&ns->msg.mu);
	o = ipc_find(&ns->msg, id);
	r = o ? ipc_owner(t, o) : -EINVAL;
	if (r == 0) {
		q = msg_of(o);
		if (cmd == LINUX_IPC_RMID) {
			o->removed = true;
			ns->msg_bytes -= q->cbytes;
			ns->msg_count -= q->qnum;
			waitq_wake(&q->wq, ~0u);
			ipc_remove(&ns->msg, o);
		} else if (ds.qbytes > (uint64_t)ns->msgmnb && !task_capable(t, LINUX_CAP_SYS_RESOURCE)) {
			r = -EPERM;
		} else if ((r = ipc_set_perm(o, &ds.perm)) == 0) {
			q->qbytes = ds.qbytes;
			q->ctime = now_sec();
			waitq_wake(&q->wq, ~0u);
		}
	}
	mutex_unlock(&ns->msg.mu);
	return r;
}

int64_t sys_msgctl(struct task *t, const struct sys_args *a)
{
	struct ipc_ns *ns = task_ipc(t);
	int id = ARG_INT(a, 0), cmd = ARG_INT(a, 1) & ~LINUX_IPC_64;

	if (id < 0 || ARG_INT(a, 1) < 0)
		return -EINVAL;
	switch (cmd) {
	case LINUX_IPC_INFO:
	case MSG_L_INFO:
		return msg_info(t, ns, cmd, ARG_ADDR(a, 2));
	case LINUX_IPC_STAT:
	case MSG_L_STAT:
	case MSG_L_STAT_ANY:
		return msg_stat(t, ns, id, cmd, ARG_ADDR(a, 2));
	case LINUX_IPC_SET:
	case LINUX_IPC_RMID:
		return msg_set_or_rm(t, ns, id, cmd, ARG_ADDR(a, 2));
	default:
		return -EINVAL;
	}
}

void ipc_show_msg(struct ipc_ns *ns, struct task *viewer, struct strbuf *b)
{
	(void)viewer; /* ids of processes are kept in their own numbering */
	mutex_lock(&ns->msg.mu);
	for (int i = 0; i <= ns->msg.max; i++) {
		struct ipc_obj *o = ns->msg.slot ? ns->msg.slot[i] : NULL;
		const struct sysv_msg *q = o ? msg_of(o) : NULL;

		if (!q)
			continue;
		strbuf_addf(b, "%10d %10d  %4o  %10lu %10lu %5d %5d %5u %5u %5u %5u %10ld %10ld %10ld\n", o->key, o->id, o->mode, q->cbytes, q->qnum,
			    q->lspid, q->lrpid, o->uid, o->gid, o->cuid, o->cgid, (long)q->stime, (long)q->rtime, (long)q->ctime);
	}
	mutex_unlock(&ns->msg.mu);
}

/* --- state --- */

#define MAX_QUEUED (1 << 20)

void sysv_msg_after_load(struct ipc_ns *ns)
{
	for (int i = 0; i <= ns->msg.max; i++)
		if (ns->msg.slot[i]) {
			ns->msg_bytes += msg_of(ns->msg.slot[i])->cbytes;
			ns->msg_count += msg_of(ns->msg.slot[i])->qnum;
		}
}

static int msg_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct sysv_msg *q = obj;
	Sentry__SysvMsg *m = msg;
	const struct msg *e;

	m->obj = ipc_save_obj(w, &q->o);
	m->queue = state_zalloc(w, q->qnum, sizeof(m->queue[0]));
	list_for_each(e, &q->queue, node) {
		Sentry__SysvMessage *o = state_new_msg(w, &sentry__sysv_message__descriptor);

		o->type = e->type;
		o->text.len = e->len;
		o->text.data = state_zalloc(w, 1, e->len);
		if (e->len)
			memcpy(o->text.data, e->text, e->len);
		if (m->n_queue < q->qnum)
			m->queue[m->n_queue++] = o;
	}
	m->qbytes = q->qbytes;
	m->stime = q->stime;
	m->rtime = q->rtime;
	m->ctime = q->ctime;
	m->lspid = q->lspid;
	m->lrpid = q->lrpid;
	return 0;
}

static int msg_load(struct state_reader *r, void *obj, const void *msg)
{
	struct sysv_msg *q = obj;
	const Sentry__SysvMsg *m = msg;
	int e = ipc_load_obj(r, &q->o, m->obj);

	if (e == 0)
		e = state_check(r, m->n_queue <= MAX_QUEUED, "too many messages");
	for (size_t i = 0; i < m->n_queue && e == 0; i++) {
		const Sentry__SysvMessage *s = m->queue[i];
		struct msg *o;

		e = state_check(r, s->type >= 1, "malformed message");
		if (e < 0)
			break;
		o = malloc(sizeof(*o) + s->text.len);
		if (!o)
			return -ENOMEM;
		o->type = s->type;
		o->len = s->text.len;
		if (o->len)
			memcpy(o->text, s->text.data, o->len);
		list_add_tail(&q->queue, &o->node);
		q->qnum++;
		q->cbytes += o->len;
	}
	q->qbytes = m->qbytes;
	q->stime = m->stime;
	q->rtime = m->rtime;
	q->ctime = m->ctime;
	q->lspid = m->lspid;
	q->lrpid = m->lrpid;
	return e;
}

const struct state_type sysv_msg_state_type = {
	.id = STATE_ID_sysv_msg,
	.name = "sysv_msg",
	.desc = &sentry__sysv_msg__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = msg_alloc,
	.save = msg_save,
	.load = msg_load,
	.get = ipc_obj_state_get,
	.put = ipc_obj_state_put,
};
