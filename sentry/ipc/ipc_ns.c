/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPC namespaces and what all System V objects share: ids, keys, permissions.
 *
 * An id is slot + IPC_MNI * sequence, so that an old id of a reused slot is not taken for the new object.
 *
 * Locks: ipc_ids.mu per kind. Checkpoint: the namespace refers to all its objects. Linux: ipc/util.c, ipc/namespace.c.
 */
#include <string.h>

#include "schemas/ipc.pb-c.h"
#include "sentry/ipc/ipc_internal.h"

static void ids_init(struct ipc_ids *ids, const char *name)
{
	mutex_init(&ids->mu, name);
	ids->max = -1;
}

static struct ipc_ns *ns_alloc(void)
{
	struct ipc_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return NULL;
	ref_init(&ns->ref);
	ns->k = the_kernel;
	list_init(&ns->mqs);
	ids_init(&ns->shm, "ipc.shm.mu");
	ids_init(&ns->sem, "ipc.sem.mu");
	ids_init(&ns->msg, "ipc.msg.mu");
	return ns;
}

static const struct ipc_mq_limits mq_defaults = {
	.queues_max = 256, .msg_max = 10, .msgsize_max = 8192, .msg_default = 10, .msgsize_default = 8192,
};

struct ipc_ns *ipc_ns_new(struct kernel *k)
{
	struct ipc_ns *ns = ns_alloc();

	if (!ns)
		return NULL;
	ns->k = k;
	ns->ino = kernel_next_ino(k);
	ns->shmmax = ns->shmall = UINT64_MAX - (1UL << 24);
	ns->shmmni = 4096;
	ns->sem_ctls[0] = 32000; /* SEMMSL */
	ns->sem_ctls[1] = 1024000000; /* SEMMNS */
	ns->sem_ctls[2] = 500; /* SEMOPM */
	ns->sem_ctls[3] = 32000; /* SEMMNI */
	ns->msgmax = 8192;
	ns->msgmnb = 16384;
	ns->msgmni = 32000;
	ns->mq = mq_defaults;
	return ns;
}

struct ipc_ns *ipc_ns_get(struct ipc_ns *ns)
{
	ref_get(&ns->ref);
	return ns;
}

static void ids_done(struct ipc_ids *ids)
{
	mutex_lock(&ids->mu);
	for (int i = 0; i <= ids->max; i++)
		if (ids->slot[i])
			ipc_remove(ids, ids->slot[i]);
	mutex_unlock(&ids->mu);
	mutex_destroy(&ids->mu);
	free(ids->slot);
}

void ipc_ns_put(struct ipc_ns *ns)
{
	if (!ns || !ref_put(&ns->ref))
		return;
	ids_done(&ns->shm);
	ids_done(&ns->sem);
	ids_done(&ns->msg);
	mqueue_ns_done(ns);
	user_ns_put(ns->user_ns);
	free(ns);
}

struct user_ns **ipc_ns_user_ns(struct ipc_ns *ns)
{
	return &ns->user_ns;
}

/* --- ids --- */

static int grow(struct ipc_ids *ids, size_t want)
{
	size_t cap = ids->cap ? ids->cap : 16;
	struct ipc_obj **v;

	while (cap < want)
		cap *= 2;
	if (cap == ids->cap)
		return 0;
	v = realloc(ids->slot, cap * sizeof(struct ipc_obj *));
	if (!v)
		return -ENOMEM;
	memset(v + ids->cap, 0, (cap - ids->cap) * sizeof(struct ipc_obj *));
	ids->slot = v;
	ids->cap = cap;
	return 0;
}

static void put_at(struct ipc_ids *ids, struct ipc_obj *o, int i)
{
	ids->slot[i] = o;
	ids->n++;
	ids->max = MAX(ids->max, i);
}

/* The first free slot of [from, to), or -1. */
static int free_slot(const struct ipc_ids *ids, int from, int to)
{
	for (int i = from; i < to; i++)
		if ((size_t)i >= ids->cap || !ids->slot[i])
			return i;
	return -1;
}

#define MIN_CYCLE 64 /* slots are given in turn, at least so many, before one is used again under the next sequence number */

int ipc_add(struct ipc_ids *ids, struct ipc_obj *o, int max)
{
	int cycle = MAX(ids->n * 3 / 2, MIN_CYCLE), i, r;

	cycle = MIN(cycle, IPC_MNI);
	if (ids->n >= MIN(max, IPC_MNI))
		return -ENOSPC;
	i = free_slot(ids, MIN(ids->next_slot, cycle), cycle);
	if (i < 0)
		i = free_slot(ids, 0, cycle);
	r = grow(ids, (size_t)i + 1);
	if (r < 0)
		return r;
	if (i < ids->next_slot)
		ids->seq = ids->seq + 1 >= IPC_SEQ_MAX ? 0 : ids->seq + 1;
	ids->next_slot = i + 1;
	o->seq = ids->seq;
	o->id = i + IPC_MNI * o->seq;
	put_at(ids, o, i);
	return 0;
}

int ipc_add_loaded(struct ipc_ids *ids, struct ipc_obj *o)
{
	int i = o->id % IPC_MNI, r;

	if (o->id < 0)
		return -EINVAL;
	r = grow(ids, (size_t)i + 1);
	if (r < 0)
		return r;
	if (ids->slot[i])
		return -EINVAL;
	put_at(ids, o, i);
	return 0;
}

struct ipc_obj *ipc_find(struct ipc_ids *ids, int id)
{
	int i = id % IPC_MNI;

	if (id < 0 || i > ids->max || !ids->slot[i] || ids->slot[i]->id != id)
		return NULL;
	return ids->slot[i];
}

struct ipc_obj *ipc_find_key(struct ipc_ids *ids, int32_t key)
{
	if (key == LINUX_IPC_PRIVATE)
		return NULL;
	for (int i = 0; i <= ids->max; i++)
		if (ids->slot[i] && ids->slot[i]->key == key)
			return ids->slot[i];
	return NULL;
}

void ipc_remove(struct ipc_ids *ids, struct ipc_obj *o)
{
	ids->slot[o->id % IPC_MNI] = NULL;
	ids->n--;
	while (ids->max >= 0 && !ids->slot[ids->max])
		ids->max--;
	o->removed = true;
	ipc_put(o);
}

/* --- permissions --- */

int ipc_access(struct task *t, const struct ipc_obj *o, uint32_t mask)
{
	const struct cred *c = t->cred;
	uint32_t granted = o->mode;

	if (c->euid == o->cuid || c->euid == o->uid)
		granted >>= 6;
	else if (cred_in_group(c, o->cgid) || cred_in_group(c, o->gid))
		granted >>= 3;
	mask = (mask >> 6 | mask >> 3 | mask) & 7;
	if (!(mask & ~granted) || IPC_CAPABLE(t, LINUX_CAP_IPC_OWNER))
		return 0;
	return -EACCES;
}

int ipc_owner(struct task *t, const struct ipc_obj *o)
{
	uint32_t e = t->cred->euid;

	return e == o->cuid || e == o->uid || IPC_CAPABLE(t, LINUX_CAP_SYS_ADMIN) ? 0 : -EPERM;
}

void ipc_fill_perm(const struct ipc_obj *o, struct linux_ipc_perm *p)
{
	const struct user_ns *u = current_task && current_task->cred ? current_task->cred->user_ns : NULL;

	*p = (struct linux_ipc_perm){ .key = o->key, .uid = user_ns_show(u, ID_UID, o->uid), .gid = user_ns_show(u, ID_GID, o->gid),
				      .cuid = user_ns_show(u, ID_UID, o->cuid), .cgid = user_ns_show(u, ID_GID, o->cgid),
				      .mode = o->mode, .seq = o->seq };
}

int ipc_set_perm(struct ipc_obj *o, const struct linux_ipc_perm *p)
{
	const struct user_ns *u = current_task && current_task->cred ? current_task->cred->user_ns : NULL;
	uint32_t uid = user_ns_in(u, ID_UID, p->uid), gid = user_ns_in(u, ID_GID, p->gid);

	if (uid == NO_ID || gid == NO_ID)
		return -EINVAL;
	o->uid = uid;
	o->gid = gid;
	o->mode = (o->mode & ~0777u) | (p->mode & 0777);
	return 0;
}

int64_t ipc_get_or_make(struct task *t, struct ipc_ids *ids, int32_t key, int flg, const struct ipc_make *m)
{
	struct ipc_obj *o;
	int64_t r;
	int e = -ENOMEM;

	mutex_lock(&ids->mu);
	o = ipc_find_key(ids, key);
	if (o) {
		if ((flg & LINUX_IPC_CREAT) && (flg & LINUX_IPC_EXCL))
			r = -EEXIST;
		else
			r = m->check ? m->check(o, m->arg) : 0;
		if (r == 0)
			r = ipc_access(t, o, (uint32_t)flg & 0777);
		if (r == 0)
			r = o->id;
	} else if (key != LINUX_IPC_PRIVATE && !(flg & LINUX_IPC_CREAT)) {
		r = -ENOENT;
	} else {
		o = m->make(t, task_ipc(t), m->arg, &e);
		r = e;
		if (o) {
			ref_init(&o->ref);
			o->key = key;
			o->uid = o->cuid = t->cred->euid;
			o->gid = o->cgid = t->cred->egid;
			o->mode = (uint32_t)flg & 0777;
			r = ipc_add(ids, o, m->max);
			if (r < 0)
				ipc_put(o);
			else
				r = o->id;
		}
	}
	mutex_unlock(&ids->mu);
	return r;
}

/* --- state --- */

struct Sentry__IpcObj *ipc_save_obj(struct state_writer *w, const struct ipc_obj *o)
{
	Sentry__IpcObj *m = state_new_msg(w, &sentry__ipc_obj__descriptor);
	const uint32_t owners[4] = { o->uid, o->gid, o->cuid, o->cgid };

	m->key = o->key;
	m->id = o->id;
	m->n_owners = 4;
	m->owners = state_zalloc(w, 4, sizeof(owners[0]));
	memcpy(m->owners, owners, sizeof(owners));
	m->mode = o->mode;
	m->seq = o->seq;
	m->removed = o->removed;
	return m;
}

int ipc_load_obj(struct state_reader *r, struct ipc_obj *o, const struct Sentry__IpcObj *m)
{
	int e = state_check(r, m && m->n_owners == 4 && m->id >= 0 && m->seq <= IPC_SEQ_MAX, "malformed IPC object");

	if (e < 0)
		return e;
	o->key = m->key;
	o->id = m->id;
	o->uid = m->owners[0];
	o->gid = m->owners[1];
	o->cuid = m->owners[2];
	o->cgid = m->owners[3];
	o->mode = m->mode;
	o->seq = (uint16_t)m->seq;
	o->removed = m->removed;
	return 0;
}

void ipc_obj_state_get(void *o)
{
	(void)ipc_get(o);
}

void ipc_obj_state_put(void *o)
{
	ipc_put(o);
}

static void save_ids(struct state_writer *w, const struct ipc_ids *ids, const struct state_type *type, size_t *n, uint64_t **v)
{
	*v = state_zalloc(w, (size_t)ids->n, sizeof(uint64_t));
	for (int i = 0; i <= ids->max; i++)
		if (ids->slot[i] && *n < (size_t)ids->n)
			(*v)[(*n)++] = state_ref(w, type, ids->slot[i]);
}

#define NR_LIMITS     15
#define NR_LIMITS_OLD 10 /* of builds whose message queues had no limits to set */

static int ns_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct ipc_ns *ns = obj;
	Sentry__IpcNs *m = msg;
	const uint32_t next_slot[3] = { (uint32_t)ns->shm.next_slot, (uint32_t)ns->sem.next_slot, (uint32_t)ns->msg.next_slot };
	const uint32_t seq[3] = { ns->shm.seq, ns->sem.seq, ns->msg.seq };
	const uint64_t limits[NR_LIMITS] = { ns->shmmax,
					     ns->shmall,
					     (uint64_t)ns->shmmni,
					     (uint64_t)ns->sem_ctls[0],
					     (uint64_t)ns->sem_ctls[1],
					     (uint64_t)ns->sem_ctls[2],
					     (uint64_t)ns->sem_ctls[3],
					     (uint64_t)ns->msgmax,
					     (uint64_t)ns->msgmnb,
					     (uint64_t)ns->msgmni,
					     (uint64_t)ns->mq.queues_max,
					     (uint64_t)ns->mq.msg_max,
					     (uint64_t)ns->mq.msgsize_max,
					     (uint64_t)ns->mq.msg_default,
					     (uint64_t)ns->mq.msgsize_default };

	m->ino = ns->ino;
	m->user_ns = state_ref(w, &user_ns_state_type, ns->user_ns);
	save_ids(w, &ns->shm, &sysv_shm_state_type, &m->n_shm, &m->shm);
	save_ids(w, &ns->sem, &sysv_sem_state_type, &m->n_sem, &m->sem);
	save_ids(w, &ns->msg, &sysv_msg_state_type, &m->n_msg, &m->msg);
	m->n_next_slot = 3;
	m->next_slot = state_zalloc(w, 3, sizeof(next_slot[0]));
	memcpy(m->next_slot, next_slot, sizeof(next_slot));
	m->n_seq = 3;
	m->seq = state_zalloc(w, 3, sizeof(seq[0]));
	memcpy(m->seq, seq, sizeof(seq));
	m->n_limits = NR_LIMITS;
	m->limits = state_zalloc(w, NR_LIMITS, sizeof(limits[0]));
	memcpy(m->limits, limits, sizeof(limits));
	mqueue_ns_save(w, ns, m);
	return 0;
}

/* Objects are put into the table after all are loaded: their ids are not known before. */
static int load_ids(struct state_reader *r, struct ipc_ids *ids, const struct state_type *type, size_t n, const uint64_t *v)
{
	int e = state_check(r, n <= IPC_MNI, "too many IPC objects");

	if (e == 0)
		e = grow(ids, n + 1);
	for (size_t i = 0; i < n && e >= 0; i++) {
		void *o = NULL;

		e = state_deref(r, v[i], type, &o);
		if (e >= 0)
			e = state_check(r, o != NULL, "an IPC object is missing");
		if (e >= 0)
			put_at(ids, o, (int)i);
	}
	return e;
}

static int load_mq_limits(struct state_reader *r, struct ipc_mq_limits *ret, const uint64_t *v)
{
	int e = state_check(r, v[0] <= INT32_MAX && v[1] - 1 < MQ_MSG_HARD && v[3] - 1 < MQ_MSG_HARD && v[2] >= MQ_SIZE_MIN &&
				       v[2] <= MQ_SIZE_HARD && v[4] >= MQ_SIZE_MIN && v[4] <= MQ_SIZE_HARD,
			    "limits of message queues");

	if (e == 0)
		*ret = (struct ipc_mq_limits){ (int32_t)v[0], (int32_t)v[1], (int32_t)v[2], (int32_t)v[3], (int32_t)v[4] };
	return e;
}

static int ns_load(struct state_reader *r, void *obj, const void *msg)
{
	struct ipc_ns *ns = obj;
	const Sentry__IpcNs *m = msg;
	int e = state_check(r, m->n_seq == 3 && (m->n_next_slot == 3 || !m->n_next_slot) &&
				       (m->n_limits == NR_LIMITS || m->n_limits == NR_LIMITS_OLD),
			    "malformed IPC namespace");

	if (e == 0)
		e = load_ids(r, &ns->shm, &sysv_shm_state_type, m->n_shm, m->shm);
	if (e >= 0)
		e = load_ids(r, &ns->sem, &sysv_sem_state_type, m->n_sem, m->sem);
	if (e >= 0)
		e = load_ids(r, &ns->msg, &sysv_msg_state_type, m->n_msg, m->msg);
	if (e >= 0)
		e = mqueue_ns_load(r, ns, m);
	if (e < 0)
		return e;
	ns->ino = m->ino;
	for (size_t i = 0; i < 3; i++) {
		struct ipc_ids *ids[3] = { &ns->shm, &ns->sem, &ns->msg };

		e = state_check(r, m->seq[i] <= IPC_SEQ_MAX && (!m->n_next_slot || m->next_slot[i] <= IPC_MNI), "IPC ids");
		if (e < 0)
			return e;
		ids[i]->next_slot = m->n_next_slot ? (int)m->next_slot[i] : 0;
		ids[i]->seq = (uint16_t)m->seq[i];
	}
	ns->shmmax = m->limits[0];
	ns->shmall = m->limits[1];
	ns->shmmni = (int32_t)m->limits[2];
	for (int i = 0; i < 4; i++)
		ns->sem_ctls[i] = (int32_t)m->limits[3 + i];
	ns->msgmax = (int32_t)m->limits[7];
	ns->msgmnb = (int32_t)m->limits[8];
	ns->msgmni = (int32_t)m->limits[9];
	ns->mq = mq_defaults;
	if (m->n_limits == NR_LIMITS)
		e = load_mq_limits(r, &ns->mq, m->limits + NR_LIMITS_OLD);
	if (e < 0)
		return e;
	return state_deref(r, m->user_ns, &user_ns_state_type, (void **)&ns->user_ns);
}

static int place_ids(struct state_reader *r, struct ipc_ids *ids)
{
	struct ipc_ids tmp = { .slot = ids->slot, .max = ids->max };
	int e = 0;

	ids->slot = NULL;
	ids->cap = 0;
	ids->n = 0;
	ids->max = -1;
	for (int i = 0; i <= tmp.max && e == 0; i++)
		e = state_check(r, ipc_add_loaded(ids, tmp.slot[i]) == 0, "two IPC objects with one id");
	free(tmp.slot);
	return e;
}

static int ns_after_load(struct state_reader *r, void *obj)
{
	struct ipc_ns *ns = obj;
	int e = place_ids(r, &ns->shm);

	if (e == 0)
		e = place_ids(r, &ns->sem);
	if (e == 0)
		e = place_ids(r, &ns->msg);
	if (e == 0) {
		sysv_shm_after_load(ns);
		sysv_msg_after_load(ns);
	}
	return e;
}

static void *ns_state_alloc(void)
{
	return ns_alloc();
}

static void ns_state_get(void *obj)
{
	(void)ipc_ns_get(obj);
}

static void ns_state_put(void *obj)
{
	ipc_ns_put(obj);
}

const struct state_type ipc_ns_state_type = {
	.id = STATE_ID_ipc_ns,
	.name = "ipc_ns",
	.desc = &sentry__ipc_ns__descriptor,
	.prio = STATE_PRIO_TIMER, /* after what its objects refer to */
	.alloc = ns_state_alloc,
	.save = ns_save,
	.load = ns_load,
	.after_load = ns_after_load,
	.get = ns_state_get,
	.put = ns_state_put,
};
