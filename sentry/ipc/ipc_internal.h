/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of sentry/ipc: the namespace, its id tables, and what all System V objects have in common.
 *
 * Locks: ipc_ids.mu guards one kind's table and everything in its objects; there is no lock per object. mm.lock is never held while
 * it is taken.
 */
#ifndef SENTRY_IPC_INTERNAL_H
#define SENTRY_IPC_INTERNAL_H

#include "base/htab.h"
#include "base/list.h"
#include "base/mutex.h"
#include "base/ref.h"
#include "sentry/ipc/ipc_ns.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/user_ns.h"
#include "state/state.h"

#define LINUX_IPC_CREAT	  01000
#define LINUX_IPC_EXCL	  02000
#define LINUX_IPC_NOWAIT  04000
#define LINUX_IPC_PRIVATE 0
#define LINUX_IPC_RMID	  0
#define LINUX_IPC_SET	  1
#define LINUX_IPC_STAT	  2
#define LINUX_IPC_INFO	  3
#define LINUX_IPC_64	  0x100

#define IPC_MNI	    32768 /* ids per kind; the low 15 bits of an id are the slot */
#define IPC_SEQ_MAX 65535

/* struct ipc64_perm of x86-64. */
struct linux_ipc_perm {
	int32_t key;
	uint32_t uid, gid, cuid, cgid;
	uint32_t mode;
	uint16_t seq, pad2;
	uint32_t pad3;
	uint64_t unused[2];
};
_Static_assert(sizeof(struct linux_ipc_perm) == 48, "ipc64_perm layout");

/* First member of every System V object. */
struct ipc_obj {
	struct ref ref; /* nosave: the table's, and blocked or mapped users' */
	int32_t key, id; /* saved */
	uint32_t uid, gid, cuid, cgid; /* saved: 3 owners */
	uint32_t mode; /* saved */
	uint16_t seq; /* saved */
	bool removed; /* saved */
	void (*free)(struct ipc_obj *o); /* nosave: code of its type */
};

struct ipc_ids { /* message: IpcNs */
	struct mutex mu; /* nosave: free when frozen */
	struct ipc_obj **slot; /* saved: shm, sem or msg: the list of objects */
	size_t cap; /* derived: room in slot */
	int n; /* derived: objects in slot */
	int max; /* derived: highest used slot */
	uint16_t seq; /* saved */
	int next_slot; /* saved: one behind the slot given last */
};

/* Read without a lock: a change holds for queues made later. */
struct ipc_mq_limits {
	int32_t queues_max, msg_max, msgsize_max, msg_default, msgsize_default;
};

#define MQ_MSG_HARD	65536
#define MQ_SIZE_MIN	128
#define MQ_SIZE_HARD	(16 << 20)

struct ipc_ns {
	struct ref ref; /* nosave: counted again by state_deref() */
	struct kernel *k; /* nosave: there is one kernel */
	uint64_t ino; /* saved */
	struct user_ns *user_ns; /* saved: 15; whose capabilities rule it; referenced, NULL the initial one */
	struct ipc_ids shm, sem, msg; /* saved */
	uint64_t shmmax, shmall; /* saved: 6 limits; sysctl kernel.shm* */
	int32_t shmmni, sem_ctls[4], msgmax, msgmnb, msgmni; /* saved: 6 limits */
	struct ipc_mq_limits mq; /* saved: 6 limits; sysctl fs.mqueue.* */
	uint64_t shm_pages; /* derived: pages of all segments; guarded by shm.mu */
	uint64_t msg_bytes, msg_count; /* derived; guarded by msg.mu */
	struct list mqs; /* saved: 7 mq; struct mqueue with a name; guarded by mqueue.c's lock */
	uint32_t nr_mqs; /* derived: length of mqs */
};

static inline int32_t ipc_limit(const int32_t *l)
{
	return __atomic_load_n(l, __ATOMIC_RELAXED);
}

/* Over an object of @t's namespace. */
#define IPC_CAPABLE(t, cap) task_ns_capable(t, task_ipc(t)->user_ns, cap)

static inline struct ipc_obj *ipc_get(struct ipc_obj *o)
{
	ref_get(&o->ref);
	return o;
}

static inline void ipc_put(struct ipc_obj *o)
{
	if (o && ref_put(&o->ref))
		o->free(o);
}

/* Gives @o a slot and id; the table takes over the caller's reference. mu held. -ENOSPC, -ENOMEM. */
_must_check_ int ipc_add(struct ipc_ids *ids, struct ipc_obj *o, int max);
/* Puts a loaded object where its id says. */
_must_check_ int ipc_add_loaded(struct ipc_ids *ids, struct ipc_obj *o);
/* mu held; no reference. -EINVAL: no such id; -EIDRM is for those who kept a pointer. */
struct ipc_obj *ipc_find(struct ipc_ids *ids, int id);
struct ipc_obj *ipc_find_key(struct ipc_ids *ids, int32_t key);
/* Out of the table: marks it removed and drops the table's reference. mu held. */
void ipc_remove(struct ipc_ids *ids, struct ipc_obj *o);
/* The generic part of *get(): finds or makes. @make may fail; @check (may be NULL) looks at an existing one. Returns the id. mu is taken. */
struct ipc_make {
	struct ipc_obj *(*make)(struct task *t, struct ipc_ns *ns, void *arg, int *err);
	int (*check)(struct ipc_obj *o, void *arg);
	void *arg;
	int max;
};
int64_t ipc_get_or_make(struct task *t, struct ipc_ids *ids, int32_t key, int flg, const struct ipc_make *m);
/* @mask: permission bits of the user class (0400 read, 0200 write). 0 or -EACCES. */
_must_check_ int ipc_access(struct task *t, const struct ipc_obj *o, uint32_t mask);
/* Owner, creator or CAP_SYS_ADMIN: for SET and RMID. */
_must_check_ int ipc_owner(struct task *t, const struct ipc_obj *o);
void ipc_fill_perm(const struct ipc_obj *o, struct linux_ipc_perm *p);
/* -EINVAL: an id that is none. */
_must_check_ int ipc_set_perm(struct ipc_obj *o, const struct linux_ipc_perm *p);
static inline struct ipc_ns *task_ipc(struct task *t)
{
	return t->ns->ipc;
}

/* Recomputes the sums over a loaded namespace. */
void sysv_shm_after_load(struct ipc_ns *ns);
void sysv_msg_after_load(struct ipc_ns *ns);

struct Sentry__IpcNs;
void mqueue_ns_done(struct ipc_ns *ns);
void mqueue_ns_save(struct state_writer *w, const struct ipc_ns *ns, struct Sentry__IpcNs *m);
_must_check_ int mqueue_ns_load(struct state_reader *r, struct ipc_ns *ns, const struct Sentry__IpcNs *m);

struct Sentry__IpcObj;
struct Sentry__IpcObj *ipc_save_obj(struct state_writer *w, const struct ipc_obj *o);
_must_check_ int ipc_load_obj(struct state_reader *r, struct ipc_obj *o, const struct Sentry__IpcObj *m);
void ipc_obj_state_get(void *o);
void ipc_obj_state_put(void *o);

#endif
