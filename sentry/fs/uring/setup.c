/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring_setup(2) and io_uring_enter(2). Linux: io_uring/io_uring.c. */
#include "sentry/abi/fs.h"
#include "sentry/fs/fd_table.h"
#include "sentry/abi/fcntl.h"
#include "sentry/fs/uring/uring_internal.h"
#include "sentry/syscalls/syscalls.h"

#define DEFAULT_IDLE_MS 1000

static uint32_t roundup_pow2(uint32_t v)
{
	return v <= 1 ? 1 : 1u << (32 - __builtin_clz(v - 1));
}

static int check_sizes(struct linux_io_uring_params *p, uint32_t entries)
{
	if (!entries)
		return -EINVAL;
	if (entries > URING_MAX_ENTRIES) {
		if (!(p->flags & LINUX_IORING_SETUP_CLAMP))
			return -EINVAL;
		entries = URING_MAX_ENTRIES;
	}
	p->sq_entries = roundup_pow2(entries);
	if (!(p->flags & LINUX_IORING_SETUP_CQSIZE)) {
		p->cq_entries = 2 * p->sq_entries;
		return 0;
	}
	if (!p->cq_entries)
		return -EINVAL;
	if (p->cq_entries > URING_MAX_CQ_ENTRIES) {
		if (!(p->flags & LINUX_IORING_SETUP_CLAMP))
			return -EINVAL;
		p->cq_entries = URING_MAX_CQ_ENTRIES;
	}
	p->cq_entries = roundup_pow2(p->cq_entries);
	return p->cq_entries < p->sq_entries ? -EINVAL : 0;
}

static int check_flags(struct task *t, const struct linux_io_uring_params *p)
{
	const uint32_t run = LINUX_IORING_SETUP_COOP_TASKRUN | LINUX_IORING_SETUP_TASKRUN_FLAG | LINUX_IORING_SETUP_DEFER_TASKRUN;
	uint32_t f = p->flags;

	if (f & LINUX_IORING_SETUP_SQPOLL && f & run)
		return -EINVAL;
	if (f & LINUX_IORING_SETUP_TASKRUN_FLAG && !(f & (LINUX_IORING_SETUP_COOP_TASKRUN | LINUX_IORING_SETUP_DEFER_TASKRUN)))
		return -EINVAL;
	if (f & LINUX_IORING_SETUP_DEFER_TASKRUN && !(f & LINUX_IORING_SETUP_SINGLE_ISSUER))
		return -EINVAL;
	if (f & LINUX_IORING_SETUP_ATTACH_WQ) {
		_cleanup_file_ struct file *wq = fd_get(t, (int)p->wq_fd);

		if (!wq)
			return -ENXIO;
		if (!file_is_uring(wq))
			return -EINVAL;
	}
	if (f & LINUX_IORING_SETUP_SQ_AFF)
		if (!(f & LINUX_IORING_SETUP_SQPOLL) || p->sq_thread_cpu >= t->k->cfg.nr_cpus)
			return -EINVAL;
	return 0;
}

static void fill_offsets(const struct uring *r, struct linux_io_uring_params *p)
{
	p->features = LINUX_IORING_FEAT_6_1;
	p->sq_off = (struct linux_io_sqring_offsets){
		.head = RING_SQ_HEAD, .tail = RING_SQ_TAIL, .ring_mask = RING_SQ_MASK, .ring_entries = RING_SQ_ENTRIES,
		.flags = RING_SQ_FLAGS, .dropped = RING_SQ_DROPPED, .array = uring_sq_array(r),
	};
	p->cq_off = (struct linux_io_cqring_offsets){
		.head = RING_CQ_HEAD, .tail = RING_CQ_TAIL, .ring_mask = RING_CQ_MASK, .ring_entries = RING_CQ_ENTRIES,
		.overflow = RING_CQ_OVERFLOW, .cqes = RING_CQES, .flags = RING_CQ_FLAGS,
	};
}

int64_t sys_io_uring_setup(struct task *t, const struct sys_args *a)
{
	struct linux_io_uring_params p;
	struct uring *r;
	int e;

	if (copy_in(t, &p, ARG_ADDR(a, 1), sizeof(p)))
		return -EFAULT;
	if (p.resv[0] || p.resv[1] || p.resv[2] || p.flags & ~LINUX_IORING_SETUP_VALID)
		return -EINVAL;
	e = check_sizes(&p, ARG_U32(a, 0));
	if (!e)
		e = check_flags(t, &p);
	if (!e)
		e = uring_task_of(t) ? uring_new(t, p.flags, p.sq_entries, p.cq_entries, &r) : -ENOMEM;
	if (e)
		return e;
	if (p.flags & LINUX_IORING_SETUP_SINGLE_ISSUER && !(p.flags & LINUX_IORING_SETUP_R_DISABLED))
		r->issuer = task_get(t);
	fill_offsets(r, &p);
	if (copy_out(t, ARG_ADDR(a, 1), &p, sizeof(p)))
		e = -EFAULT;
	if (!e && p.flags & LINUX_IORING_SETUP_SQPOLL) {
		r->sq_task = task_get(t);
		r->sq_idle_ms = p.sq_thread_idle ? p.sq_thread_idle : DEFAULT_IDLE_MS;
		e = uring_sqpoll_start(r);
	}
	if (!e)
		e = fd_install(t, &r->file, 0, true);
	if (e < 0)
		file_put(&r->file);
	return e;
}

/* The ring that @fd names for a call, referenced: a descriptor or an index of the task's registered rings. */
static int get_ring(struct task *t, int fd, bool registered, struct file **ret)
{
	struct file *f;

	if (registered) {
		if (!t->uring || (unsigned)fd >= URING_RING_FDS)
			return -EINVAL;
		if (!t->uring->rings[fd])
			return -EBADF;
		*ret = file_get(t->uring->rings[fd]);
		return 0;
	}
	f = fd_get(t, fd);
	if (!f)
		return -EBADF;
	if (!file_is_uring(f)) {
		file_put(f);
		return -EOPNOTSUPP;
	}
	*ret = f;
	return 0;
}

/* The task's first use of a ring, and whether it may submit. */
static int may_submit(struct task *t, struct uring *r)
{
	if (!uring_task_of(t))
		return -ENOMEM;
	if (r->setup & LINUX_IORING_SETUP_SINGLE_ISSUER && r->issuer != t)
		return -EEXIST;
	return 0;
}

static int64_t submit(struct task *t, struct uring *r, uint32_t to_submit, uint32_t flags)
{
	int64_t e;

	if (r->setup & LINUX_IORING_SETUP_SQPOLL) {
		bool gone;

		(void)uring_flush_overflow(r);
		mutex_lock(&uring_q_mu);
		gone = r->sq_stop;
		mutex_unlock(&uring_q_mu);
		if (gone)
			return -EOWNERDEAD;
		if (flags & LINUX_IORING_ENTER_SQ_WAKEUP)
			uring_sqpoll_wake(r);
		if (flags & LINUX_IORING_ENTER_SQ_WAIT) {
			e = uring_sqpoll_wait_sq(t, r);
			if (e < 0)
				return e == -ERESTARTSYS ? -EINTR : e;
		}
		return to_submit;
	}
	if (!to_submit)
		return 0;
	e = may_submit(t, r);
	return e < 0 ? e : uring_submit(t, t, r, to_submit);
}

static int ext_arg(struct task *t, uint32_t flags, gaddr_t argp, uint64_t argsz, gaddr_t *sig, uint64_t *sigsz, gaddr_t *ts)
{
	struct linux_io_uring_getevents_arg arg;

	if (!(flags & LINUX_IORING_ENTER_EXT_ARG)) {
		*sig = argp;
		*sigsz = argsz;
		*ts = GADDR_NULL;
		return 0;
	}
	if (argsz != sizeof(arg))
		return -EINVAL;
	if (copy_in(t, &arg, argp, sizeof(arg)))
		return -EFAULT;
	if (arg.pad)
		return -EINVAL;
	*sig = GADDR(arg.sigmask);
	*sigsz = arg.sigmask_sz;
	*ts = GADDR(arg.ts);
	return 0;
}

/* sysctx.val: 0 bit 0: the submission is over, 1 what it returned; 2 and 3 are the wait's (cq.c). */
int64_t sys_io_uring_enter(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	uint32_t to_submit = ARG_U32(a, 1), min = ARG_U32(a, 2), flags = ARG_U32(a, 3);
	struct sysctx *c = &t->sysctx;
	gaddr_t sig, ts;
	uint64_t sigsz;
	struct uring *r;
	int64_t ret, e;

	if (flags & ~LINUX_IORING_ENTER_VALID)
		return -EINVAL;
	e = get_ring(t, ARG_INT(a, 0), flags & LINUX_IORING_ENTER_REGISTERED_RING, &f);
	if (e)
		return e;
	r = uring_of(f);
	if (r->setup & LINUX_IORING_SETUP_R_DISABLED)
		return -EBADFD;
	if (!(c->val[0] & 1)) {
		ret = submit(t, r, to_submit, flags);
		if (ret < 0 || (!(r->setup & LINUX_IORING_SETUP_SQPOLL) && ret != to_submit))
			return ret;
		c->val[0] = 1;
		c->val[1] = (uint64_t)ret;
	}
	ret = (int64_t)c->val[1];
	if (!(flags & LINUX_IORING_ENTER_GETEVENTS))
		return ret;
	e = ext_arg(t, flags, ARG_ADDR(a, 4), a->a[5], &sig, &sigsz, &ts);
	if (!e)
		e = uring_cq_wait(t, r, MIN(min, r->cq_entries), sig, sigsz, ts);
	if (e == -EFREEZE)
		return e;
	if (!ret) {
		ret = e;
		mutex_lock(&r->cq_mu);
		if (!ret && r->cq_lost) {
			r->cq_lost = false;
			ret = -EBADR;
		}
		mutex_unlock(&r->cq_mu);
	}
	return ret;
}
