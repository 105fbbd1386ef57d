/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V shared memory: named shared anonymous memory.
 *
 * The attach count is the number of VMAs that map the memory, as in Linux. A removed segment stays reachable by its id while attached;
 * segments that lost their last attachment are collected when somebody looks (every call here, and the end of every process).
 *
 * Locks: ipc_ns.shm.mu > mappable.mu; mm.lock is not held under it. Checkpoint: the segment and its memory object; attachments are
 * VMAs. Linux: ipc/shm.c. DEVIATION: SHM_HUGETLB is refused.
 */
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "schemas/ipc.pb-c.h"
#include "sentry/abi/mman.h"
#include "sentry/ipc/ipc_internal.h"
#include "sentry/mm/shmobj.h"
#include "sentry/syscalls/syscalls.h"

#define SHM_L_RDONLY   010000
#define SHM_L_RND      020000
#define SHM_L_REMAP    040000
#define SHM_L_EXEC     0100000
#define SHM_L_HUGETLB  04000
#define SHM_L_DEST     01000
#define SHM_L_LOCKED   02000
#define SHM_L_LOCK     11
#define SHM_L_UNLOCK   12
#define SHM_L_STAT     13
#define SHM_L_INFO     14
#define SHM_L_STAT_ANY 15

struct linux_shmid_ds {
	struct linux_ipc_perm perm;
	uint64_t segsz;
	int64_t atime, dtime, ctime;
	int32_t cpid, lpid;
	uint64_t nattch, pad[2];
};
_Static_assert(sizeof(struct linux_shmid_ds) == 112, "shmid64_ds layout");

struct linux_shminfo {
	uint64_t shmmax, shmmin, shmmni, shmseg, shmall, pad[4];
};

struct linux_shm_info {
	int32_t used_ids, pad;
	uint64_t tot, rss, swp, swap_attempts, swap_successes;
};

struct sysv_shm {
	struct ipc_obj o; /* saved: 1 obj */
	uint64_t size; /* saved: 3 */
	struct mappable *mem; /* saved: 4; referenced */
	int64_t atime, dtime, ctime; /* saved: 5, 6, 7 */
	int32_t cpid, lpid; /* saved: 8, 9 */
	uint64_t *counted; /* derived: the namespace's sum that includes its pages; NULL: none */
};

static struct sysv_shm *shm_of(struct ipc_obj *o)
{
	return container_of(o, struct sysv_shm, o);
}

static uint64_t pages_of(const struct sysv_shm *s)
{
	return ALIGN_UP(s->size, PAGE_SIZE) >> PAGE_SHIFT;
}

static int64_t now_sec(void)
{
	return ktime_real() / NSEC_PER_SEC;
}

static void shm_free(struct ipc_obj *o)
{
	struct sysv_shm *s = shm_of(o);

	if (s->counted)
		*s->counted -= pages_of(s);
	if (s->mem)
		s->mem->ops->put(s->mem);
	free(s);
}

static void *shm_alloc(void)
{
	struct sysv_shm *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	ref_init(&s->o.ref);
	s->o.free = shm_free;
	return s;
}

static void shm_destroy(struct ipc_ns *ns, struct ipc_obj *o)
{
	ns->shm_pages -= pages_of(shm_of(o));
	shm_of(o)->counted = NULL; /* a late user may drop it without the lock */
	ipc_remove(&ns->shm, o);
}

/* Destroys removed segments that nobody maps any more. mu held. */
static void sweep_locked(struct ipc_ns *ns)
{
	for (int i = 0; i <= ns->shm.max; i++) {
		struct ipc_obj *o = ns->shm.slot[i];

		if (o && (o->mode & SHM_L_DEST) && !mappable_nr_vmas(shm_of(o)->mem))
			shm_destroy(ns, o);
	}
}

void sysv_shm_exit(struct task *t)
{
	struct ipc_ns *ns = t->ns ? t->ns->ipc : NULL;

	if (!ns || ns->shm.max < 0)
		return;
	mutex_lock(&ns->shm.mu);
	sweep_locked(ns);
	mutex_unlock(&ns->shm.mu);
}

static void lock_swept(struct ipc_ns *ns)
{
	mutex_lock(&ns->shm.mu);
	sweep_locked(ns);
}

static struct ipc_obj *shm_make(struct task *t, struct ipc_ns *ns, void *arg, int *err)
{
	uint64_t size = *(uint64_t *)arg, pages;
	struct sysv_shm *s;

	if (size < 1 || size > ns->shmmax || size > (1ULL << 46)) {
		*err = -EINVAL;
		return NULL;
	}
	pages = ALIGN_UP(size, PAGE_SIZE) >> PAGE_SHIFT;
	if (ns->shm_pages + pages > ns->shmall) {
		*err = -ENOSPC;
		return NULL;
	}
	s = shm_alloc();
	if (!s)
		return NULL;
	*err = shmobj_new(kernel_memfile(t->k), pages << PAGE_SHIFT, &s->mem);
	if (*err < 0) {
		shm_free(&s->o);
		return NULL;
	}
	s->size = size;
	s->ctime = now_sec();
	s->cpid = pid_nr(t->tg->pid, t);
	s->counted = &ns->shm_pages;
	ns->shm_pages += pages;
	return &s->o;
}

static int shm_check(struct ipc_obj *o, void *arg)
{
	return shm_of(o)->size < *(uint64_t *)arg ? -EINVAL : 0;
}

int64_t sys_shmget(struct task *t, const struct sys_args *a)
{
	struct ipc_ns *ns = task_ipc(t);
	uint64_t size = a->a[1];
	struct ipc_make m = { shm_make, shm_check, &size, ns->shmmni };
	int64_t r;

	if (size > UINT64_MAX - (1 << 24))
		return -EINVAL; /* shmmax */
	if (ARG_INT(a, 2) & SHM_L_HUGETLB) {
		uint32_t log = ARG_U32(a, 2) >> LINUX_MAP_HUGE_SHIFT & 63;

		return log == 0 || log == 21 || log == 30 ? -ENOMEM : -EINVAL; /* no huge pages are reserved */
	}
	lock_swept(ns);
	mutex_unlock(&ns->shm.mu);
	r = ipc_get_or_make(t, &ns->shm, ARG_INT(a, 0), ARG_INT(a, 2), &m);
	return r;
}

int64_t sys_shmat(struct task *t, const struct sys_args *a)
{
	struct ipc_ns *ns = task_ipc(t);
	uint64_t addr = a->a[1];
	int flg = ARG_INT(a, 2);
	uint32_t prot = LINUX_PROT_READ, mask = 0400, map = LINUX_MAP_SHARED;
	struct mappable *mem;
	struct sysv_shm *s;
	struct ipc_obj *o;
	char name[32];
	uint64_t len;
	int64_t r;

	if (ARG_INT(a, 0) < 0)
		return -EINVAL;
	if (addr) {
		if (!IS_ALIGNED(addr, PAGE_SIZE)) {
			if (!(flg & SHM_L_RND))
				return -EINVAL;
			addr = ALIGN_DOWN(addr, PAGE_SIZE);
			if (!addr && (flg & SHM_L_REMAP))
				return -EINVAL;
		}
		map |= flg & SHM_L_REMAP ? LINUX_MAP_FIXED : LINUX_MAP_FIXED_NOREPLACE;
	} else if (flg & SHM_L_REMAP) {
		return -EINVAL;
	}
	if (flg & SHM_L_RDONLY) {
		map |= MM_MAP_NEVER_WRITE;
	} else {
		prot |= LINUX_PROT_WRITE;
		mask |= 0200;
	}
	if (flg & SHM_L_EXEC) {
		prot |= LINUX_PROT_EXEC;
		mask |= 0100;
	}
	lock_swept(ns);
	o = ipc_find(&ns->shm, ARG_INT(a, 0));
	r = o ? ipc_access(t, o, mask) : -EINVAL;
	if (r < 0) {
		mutex_unlock(&ns->shm.mu);
		return r;
	}
	s = shm_of(ipc_get(o)); /* also keeps a removed one while it is not mapped yet */
	mem = s->mem;
	len = pages_of(s) << PAGE_SHIFT;
	(void)snprintf(name, sizeof(name), "/SYSV%08x (deleted)", (uint32_t)o->key);
	mutex_unlock(&ns->shm.mu);
	r = mm_map_object(t->mm, t, addr, len, prot, map, mem, 0, name);
	mutex_lock(&ns->shm.mu);
	if (r >= 0) {
		s->atime = now_sec();
		s->lpid = pid_nr(t->tg->pid, t);
	}
	mutex_unlock(&ns->shm.mu);
	ipc_put(o);
	return r == -EEXIST ? -EINVAL : r;
}

int64_t sys_shmdt(struct task *t, const struct sys_args *a)
{
	struct ipc_ns *ns = task_ipc(t);
	struct mappable *m;
	uint64_t len = 0;
	int r;

	if (!IS_ALIGNED(a->a[0], PAGE_SIZE))
		return -EINVAL;
	m = mm_object_at(t->mm, a->a[0], "/SYSV");
	if (!m)
		return -EINVAL;
	len = shmobj_size(m);
	r = mm_unmap_object(t->mm, t, a->a[0], len, m);
	mutex_lock(&ns->shm.mu);
	for (int i = 0; i <= ns->shm.max; i++) {
		struct sysv_shm *s = ns->shm.slot[i] ? shm_of(ns->shm.slot[i]) : NULL;

		if (s && s->mem == m) {
			s->dtime = now_sec();
			s->lpid = pid_nr(t->tg->pid, t);
		}
	}
	sweep_locked(ns);
	mutex_unlock(&ns->shm.mu);
	m->ops->put(m);
	return r;
}

/* --- shmctl --- */

static int64_t shm_info(struct task *t, struct ipc_ns *ns, int cmd, gaddr_t dst)
{
	struct linux_shminfo i = { .shmmax = ns->shmmax, .shmmin = 1, .shmmni = (uint64_t)ns->shmmni, .shmseg = (uint64_t)ns->shmmni,
				   .shmall = ns->shmall };
	struct linux_shm_info n = { 0 };
	int max;

	lock_swept(ns);
	n.used_ids = ns->shm.n;
	n.tot = ns->shm_pages;
	n.rss = ns->shm_pages;
	max = MAX(ns->shm.max, 0);
	mutex_unlock(&ns->shm.mu);
	if (cmd == SHM_L_INFO ? copy_out(t, dst, &n, sizeof(n)) < 0 : copy_out(t, dst, &i, sizeof(i)) < 0)
		return -EFAULT;
	return max;
}

static int64_t shm_stat(struct task *t, struct ipc_ns *ns, int id, int cmd, gaddr_t dst)
{
	struct linux_shmid_ds ds;
	struct sysv_shm *s;
	struct ipc_obj *o;
	int64_t r;

	lock_swept(ns);
	if (cmd == LINUX_IPC_STAT)
		o = ipc_find(&ns->shm, id);
	else
		o = id <= ns->shm.max ? ns->shm.slot[id] : NULL;
	r = o ? 0 : -EINVAL;
	if (o && cmd != SHM_L_STAT_ANY)
		r = ipc_access(t, o, 0400);
	if (r == 0) {
		s = shm_of(o);
		ds = (struct linux_shmid_ds){ .segsz = s->size, .atime = s->atime, .dtime = s->dtime, .ctime = s->ctime, .cpid = s->cpid,
					      .lpid = s->lpid, .nattch = mappable_nr_vmas(s->mem) };
		ipc_fill_perm(o, &ds.perm);
		r = cmd == LINUX_IPC_STAT ? 0 : o->id;
	}
	mutex_unlock(&ns->shm.mu);
	if (r >= 0 && copy_out(t, dst, &ds, sizeof(ds)) < 0)
		return -EFAULT;
	return r;
}

static int64_t shm_set_or_rm(struct task *t, struct ipc_ns *ns, int id, int cmd, gaddr_t src)
{
	struct linux_shmid_ds ds;
	struct ipc_obj *o;
	int64_t r = 0;

	if (cmd == LINUX_IPC_SET && copy_in(t, &ds, src, sizeof(ds)) < 0)
		return -EFAULT;
	lock_swept(ns);
	o = ipc_find(&ns->shm, id);
	r = o ? ipc_owner(t, o) : -EINVAL;
	if (r == 0 && cmd == LINUX_IPC_SET) {
		r = ipc_set_perm(o, &ds.perm);
		if (r == 0)
			shm_of(o)->ctime = now_sec();
	} else if (r == 0) {
		o->mode |= SHM_L_DEST;
		o->key = LINUX_IPC_PRIVATE;
		sweep_locked(ns);
	}
	mutex_unlock(&ns->shm.mu);
	return r;
}

/* Nothing is ever swapped here, so locking is a flag and its permission. */
static int64_t shm_lock(struct task *t, struct ipc_ns *ns, int id, int cmd)
{
	struct ipc_obj *o;
	int64_t r;

	lock_swept(ns);
	o = ipc_find(&ns->shm, id);
	r = o ? 0 : -EINVAL;
	if (o && !task_ns_capable(t, task_ipc(t)->user_ns, LINUX_CAP_IPC_LOCK)) {
		uint32_t e = t->cred->euid;

		if (e != o->uid && e != o->cuid)
			r = -EPERM;
		else if (cmd == SHM_L_LOCK && !task_rlimit(t, LINUX_RLIMIT_MEMLOCK))
			r = -EPERM;
	}
	if (r == 0)
		o->mode = cmd == SHM_L_LOCK ? o->mode | SHM_L_LOCKED : o->mode & ~(uint32_t)SHM_L_LOCKED;
	mutex_unlock(&ns->shm.mu);
	return r;
}

int64_t sys_shmctl(struct task *t, const struct sys_args *a)
{
	struct ipc_ns *ns = task_ipc(t);
	int id = ARG_INT(a, 0), cmd = ARG_INT(a, 1) & ~LINUX_IPC_64;
	gaddr_t buf = ARG_ADDR(a, 2);

	if (id < 0 || ARG_INT(a, 1) < 0)
		return -EINVAL;
	switch (cmd) {
	case LINUX_IPC_INFO:
	case SHM_L_INFO:
		return shm_info(t, ns, cmd, buf);
	case LINUX_IPC_STAT:
	case SHM_L_STAT:
	case SHM_L_STAT_ANY:
		return shm_stat(t, ns, id, cmd, buf);
	case LINUX_IPC_SET:
	case LINUX_IPC_RMID:
		return shm_set_or_rm(t, ns, id, cmd, buf);
	case SHM_L_LOCK:
	case SHM_L_UNLOCK:
		return shm_lock(t, ns, id, cmd);
	default:
		return -EINVAL;
	}
}

void ipc_show_shm(struct ipc_ns *ns, struct task *viewer, struct strbuf *b)
{
	(void)viewer; /* ids of processes are kept in their own numbering */
	lock_swept(ns);
	for (int i = 0; i <= ns->shm.max; i++) {
		struct ipc_obj *o = ns->shm.slot ? ns->shm.slot[i] : NULL;
		struct sysv_shm *s = o ? shm_of(o) : NULL;

		if (!s)
			continue;
		strbuf_addf(b, "%10d %10d  %4o %21lu %5d %5d  %5u %5u %5u %5u %5u %10ld %10ld %10ld %21lu %21lu\n", o->key, o->id, o->mode, s->size,
			    s->cpid, s->lpid, mappable_nr_vmas(s->mem), o->uid, o->gid, o->cuid, o->cgid, (long)s->atime, (long)s->dtime,
			    (long)s->ctime, shmobj_resident(s->mem), 0UL);
	}
	mutex_unlock(&ns->shm.mu);
}

/* --- state --- */

void sysv_shm_after_load(struct ipc_ns *ns)
{
	for (int i = 0; i <= ns->shm.max; i++)
		if (ns->shm.slot[i])
			ns->shm_pages += pages_of(shm_of(ns->shm.slot[i]));
}

static int shm_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct sysv_shm *s = obj;
	Sentry__SysvShm *m = msg;

	m->obj = ipc_save_obj(w, &s->o);
	m->size = s->size;
	m->mem = state_ref(w, &shmobj_state_type, s->mem);
	m->atime = s->atime;
	m->dtime = s->dtime;
	m->ctime = s->ctime;
	m->cpid = s->cpid;
	m->lpid = s->lpid;
	return 0;
}

static int shm_load(struct state_reader *r, void *obj, const void *msg)
{
	struct sysv_shm *s = obj;
	const Sentry__SysvShm *m = msg;
	void *mem = NULL;
	int e = ipc_load_obj(r, &s->o, m->obj);

	if (e == 0)
		e = state_deref(r, m->mem, &shmobj_state_type, &mem);
	if (e >= 0)
		e = state_check(r, mem && m->size && m->size <= (1ULL << 46), "malformed shared memory segment");
	if (e < 0)
		return e;
	s->mem = mem;
	s->size = m->size;
	s->atime = m->atime;
	s->dtime = m->dtime;
	s->ctime = m->ctime;
	s->cpid = m->cpid;
	s->lpid = m->lpid;
	return 0;
}

static int shm_after_load(struct state_reader *r, void *obj)
{
	struct sysv_shm *s = obj;

	return state_check(r, shmobj_size(s->mem) == pages_of(s) << PAGE_SHIFT, "a shared memory segment and its memory differ in size");
}

const struct state_type sysv_shm_state_type = {
	.id = STATE_ID_sysv_shm,
	.name = "sysv_shm",
	.desc = &sentry__sysv_shm__descriptor,
	.prio = STATE_PRIO_NS,
	.alloc = shm_alloc,
	.save = shm_save,
	.load = shm_load,
	.after_load = shm_after_load,
	.get = ipc_obj_state_get,
	.put = ipc_obj_state_put,
};
