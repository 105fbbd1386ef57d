/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring_register(2). Linux: io_uring/io_uring.c, io_uring/rsrc.c, io_uring/tctx.c. */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/eventfd.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/uring/uring_internal.h"
#include "sentry/syscalls/syscalls.h"

#define MAX_PERSONALITY UINT16_MAX

/* --- eventfd --- */

static int64_t eventfd_on(struct task *t, struct uring *r, gaddr_t arg, bool async)
{
	struct file *f;
	int32_t fd;
	bool busy;

	mutex_lock(&r->cq_mu);
	busy = r->eventfd;
	mutex_unlock(&r->cq_mu);
	if (busy)
		return -EBUSY;
	if (copy_in(t, &fd, arg, sizeof(fd)))
		return -EFAULT;
	f = fd_get(t, fd);
	if (!f)
		return -EBADF;
	if (!file_is_eventfd(f)) {
		file_put(f);
		return -EINVAL;
	}
	mutex_lock(&r->cq_mu);
	busy = r->eventfd;
	if (!busy) {
		r->eventfd = f;
		r->eventfd_async = async;
	}
	mutex_unlock(&r->cq_mu);
	if (busy)
		file_put(f);
	return busy ? -EBUSY : 0;
}

static int64_t eventfd_off(struct uring *r)
{
	struct file *f;

	mutex_lock(&r->cq_mu);
	f = TAKE_PTR(r->eventfd);
	mutex_unlock(&r->cq_mu);
	file_put(f);
	return f ? 0 : -ENXIO;
}

/* --- probe, personalities, restrictions --- */

static int64_t probe(struct task *t, gaddr_t arg, uint32_t nr)
{
	struct {
		struct linux_io_uring_probe h;
		struct linux_io_uring_probe_op op[LINUX_IORING_OP_LAST];
	} p;
	const uint8_t *bytes = (const uint8_t *)&p;
	size_t size;

	if (nr > 256)
		return -EINVAL;
	nr = MIN(nr, (uint32_t)LINUX_IORING_OP_LAST);
	size = sizeof(p.h) + nr * sizeof(p.op[0]);
	if (copy_in(t, &p, arg, size))
		return -EFAULT;
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return -EINVAL;
	p.h.last_op = LINUX_IORING_OP_LAST - 1;
	p.h.ops_len = (uint8_t)nr;
	for (uint32_t i = 0; i < nr; i++) {
		p.op[i].op = (uint8_t)i;
		if (i != LINUX_IORING_OP_URING_CMD)
			p.op[i].flags = LINUX_IO_URING_OP_SUPPORTED;
	}
	return copy_out(t, arg, &p, size);
}

static int64_t personality_on(struct task *t, struct uring *r)
{
	struct uring_personality *p = calloc(1, sizeof(*p)), *o;

	if (!p)
		return -ENOMEM;
	mutex_guard(&r->mu);
	for (uint32_t tries = 0; tries < MAX_PERSONALITY; tries++) {
		uint32_t id = r->next_personality;
		bool used = false;

		r->next_personality = id == MAX_PERSONALITY ? 1 : id + 1;
		list_for_each(o, &r->personalities, node)
			used |= o->id == id;
		if (used)
			continue;
		p->id = id;
		p->cred = cred_get(t->cred);
		list_add_tail(&r->personalities, &p->node);
		return id;
	}
	free(p);
	return -EBUSY;
}

static int64_t personality_off(struct uring *r, uint32_t id)
{
	struct uring_personality *p, *hit = NULL;

	mutex_lock(&r->mu);
	list_for_each(p, &r->personalities, node)
		if (p->id == id)
			hit = p;
	if (hit)
		list_del(&hit->node);
	mutex_unlock(&r->mu);
	if (!hit)
		return -EINVAL;
	cred_put(hit->cred);
	free(hit);
	return 0;
}

static int64_t restrict_ring(struct task *t, struct uring *r, gaddr_t arg, uint32_t nr)
{
	uint64_t ops = 0;
	uint32_t reg = 0;
	uint8_t allowed = 0, required = 0;

	if (!(r->setup & LINUX_IORING_SETUP_R_DISABLED))
		return -EBADFD;
	if (r->has_restrictions)
		return -EBUSY;
	if (!arg.v || nr > LINUX_IORING_REGISTER_LAST + LINUX_IORING_OP_LAST + 2)
		return -EINVAL;
	for (uint32_t i = 0; i < nr; i++) {
		struct linux_io_uring_restriction x;

		if (copy_in(t, &x, gaddr_add(arg, i * sizeof(x)), sizeof(x)))
			return -EFAULT;
		switch (x.opcode) {
		case LINUX_IORING_RESTRICTION_REGISTER_OP:
			if (x.what >= LINUX_IORING_REGISTER_LAST)
				return -EINVAL;
			reg |= 1u << x.what;
			break;
		case LINUX_IORING_RESTRICTION_SQE_OP:
			if (x.what >= LINUX_IORING_OP_LAST)
				return -EINVAL;
			ops |= 1ull << x.what;
			break;
		case LINUX_IORING_RESTRICTION_SQE_FLAGS_ALLOWED:
			allowed = x.what;
			break;
		case LINUX_IORING_RESTRICTION_SQE_FLAGS_REQUIRED:
			required = x.what;
			break;
		default:
			return -EINVAL;
		}
	}
	mutex_lock(&r->mu);
	r->allowed_ops = ops;
	r->allowed_register = reg;
	r->allowed_flags = allowed;
	r->required_flags = required;
	r->has_restrictions = true;
	mutex_unlock(&r->mu);
	return 0;
}

static int64_t enable(struct task *t, struct uring *r)
{
	if (!(r->setup & LINUX_IORING_SETUP_R_DISABLED))
		return -EBADFD;
	mutex_lock(&r->mu);
	if (r->setup & LINUX_IORING_SETUP_SINGLE_ISSUER && !r->issuer)
		r->issuer = task_get(t);
	r->restricted = r->has_restrictions;
	r->setup &= ~LINUX_IORING_SETUP_R_DISABLED;
	mutex_unlock(&r->mu);
	if (!uring_task_of(t))
		return -ENOMEM;
	uring_sqpoll_wake(r);
	return 0;
}

/* --- rings of the task --- */

static int64_t ring_fds_on(struct task *t, gaddr_t arg, uint32_t nr)
{
	struct uring_task *u = uring_task_of(t);
	uint32_t i;
	int64_t e = 0;

	if (!nr || nr > URING_RING_FDS)
		return -EINVAL;
	if (!u)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		gaddr_t at = gaddr_add(arg, i * sizeof(struct linux_io_uring_files_update));
		struct linux_io_uring_files_update x;
		uint32_t from = 0, end = URING_RING_FDS;
		struct file *f;

		e = copy_in(t, &x, at, sizeof(x)) ? -EFAULT : x.resv ? -EINVAL : 0;
		if (e)
			break;
		if (x.offset != UINT32_MAX) {
			if (x.offset >= URING_RING_FDS) {
				e = -EINVAL;
				break;
			}
			from = x.offset;
			end = from + 1;
		}
		while (from < end && u->rings[from])
			from++;
		if (from == end) {
			e = -EBUSY;
			break;
		}
		f = fd_get(t, (int)x.fds);
		if (!f || !file_is_uring(f)) {
			e = f ? -EOPNOTSUPP : -EBADF;
			file_put(f);
			break;
		}
		u->rings[from] = f;
		x.offset = from;
		if (copy_out(t, at, &x, sizeof(x))) {
			file_put(TAKE_PTR(u->rings[from]));
			e = -EFAULT;
			break;
		}
	}
	return i ? (int64_t)i : e;
}

static int64_t ring_fds_off(struct task *t, gaddr_t arg, uint32_t nr)
{
	struct uring_task *u = t->uring;
	uint32_t i;
	int64_t e = 0;

	if (!nr || nr > URING_RING_FDS)
		return -EINVAL;
	if (!u)
		return 0;
	for (i = 0; i < nr; i++) {
		struct linux_io_uring_files_update x;

		e = copy_in(t, &x, gaddr_add(arg, i * sizeof(x)), sizeof(x)) ? -EFAULT : 0;
		if (!e && (x.resv || x.fds || x.offset >= URING_RING_FDS))
			e = -EINVAL;
		if (e)
			break;
		file_put(TAKE_PTR(u->rings[x.offset]));
	}
	return i ? (int64_t)i : e;
}

/* --- resources --- */

static int64_t rsrc_register(struct task *t, struct uring *r, gaddr_t arg, uint32_t size, bool files)
{
	struct linux_io_uring_rsrc_register x;
	bool sparse;

	if (size != sizeof(x))
		return -EINVAL;
	if (copy_in(t, &x, arg, sizeof(x)))
		return -EFAULT;
	if (!x.nr || x.resv2 || x.flags & ~LINUX_IORING_RSRC_REGISTER_SPARSE)
		return -EINVAL;
	sparse = x.flags & LINUX_IORING_RSRC_REGISTER_SPARSE;
	if (sparse && x.data)
		return -EINVAL;
	return files ? uring_files_register(t, r, GADDR(x.data), GADDR(x.tags), x.nr, sparse)
		     : uring_buffers_register(t, r, GADDR(x.data), GADDR(x.tags), x.nr, sparse);
}

static int64_t rsrc_update(struct task *t, struct uring *r, gaddr_t arg, uint32_t size, bool files)
{
	struct linux_io_uring_rsrc_update2 x;

	if (size != sizeof(x))
		return -EINVAL;
	if (copy_in(t, &x, arg, sizeof(x)))
		return -EFAULT;
	if (x.resv || x.resv2 || !x.nr)
		return -EINVAL;
	return files ? uring_files_update(t, r, x.offset, GADDR(x.data), GADDR(x.tags), x.nr)
		     : uring_buffers_update(t, r, x.offset, GADDR(x.data), GADDR(x.tags), x.nr);
}

static int64_t files_update(struct task *t, struct uring *r, gaddr_t arg, uint32_t nr)
{
	struct linux_io_uring_files_update x;

	if (!nr)
		return -EINVAL;
	if (copy_in(t, &x, arg, sizeof(x)))
		return -EFAULT;
	return x.resv ? -EINVAL : uring_files_update(t, r, x.offset, GADDR(x.fds), GADDR_NULL, nr);
}

static int64_t alloc_range(struct task *t, struct uring *r, gaddr_t arg)
{
	struct linux_io_uring_file_index_range x;
	uint32_t end;

	if (copy_in(t, &x, arg, sizeof(x)))
		return -EFAULT;
	if (add_overflow(x.off, x.len, &end))
		return -EOVERFLOW;
	mutex_guard(&r->mu);
	if (x.resv || end > r->nr_files)
		return -EINVAL;
	r->alloc_off = r->alloc_hint = x.off;
	r->alloc_len = x.len;
	return 0;
}

static int64_t max_workers(struct task *t, struct uring *r, gaddr_t arg)
{
	uint32_t v[2], old[2];

	if (copy_in(t, v, arg, sizeof(v)))
		return -EFAULT;
	if (v[0] > INT32_MAX || v[1] > INT32_MAX)
		return -EINVAL;
	mutex_lock(&r->mu);
	for (int i = 0; i < 2; i++) {
		uint32_t dflt = i ? (uint32_t)MIN(task_rlimit(t, LINUX_RLIMIT_NPROC), (uint64_t)INT32_MAX)
				  : MIN(r->sq_entries, 4 * t->k->cfg.nr_cpus);

		old[i] = r->max_workers[i] ? r->max_workers[i] : dflt;
		if (v[i])
			r->max_workers[i] = v[i];
	}
	mutex_unlock(&r->mu);
	return copy_out(t, arg, old, sizeof(old));
}

static int64_t affinity(struct task *t, gaddr_t arg, uint32_t len)
{
	uint8_t mask[128] = { 0 };

	/* Helpers run wherever the host puts them; the mask is checked and that is all there is to it. */
	return copy_in(t, mask, arg, MIN(len, (uint32_t)sizeof(mask))) ? -EFAULT : 0;
}

/* Operations without an argument. */
static int64_t plain(struct task *t, struct uring *r, unsigned op, gaddr_t arg, uint32_t nr)
{
	if (op == LINUX_IORING_UNREGISTER_PERSONALITY)
		return arg.v ? -EINVAL : personality_off(r, nr);
	if (arg.v || nr)
		return -EINVAL;
	switch (op) {
	case LINUX_IORING_UNREGISTER_BUFFERS:
		return uring_buffers_unregister(r);
	case LINUX_IORING_UNREGISTER_FILES:
		return uring_files_unregister(r);
	case LINUX_IORING_UNREGISTER_EVENTFD:
		return eventfd_off(r);
	case LINUX_IORING_REGISTER_PERSONALITY:
		return personality_on(t, r);
	case LINUX_IORING_REGISTER_ENABLE_RINGS:
		return enable(t, r);
	default: /* UNREGISTER_IOWQ_AFF */
		return 0;
	}
}

static int64_t one(struct task *t, struct uring *r, unsigned op, gaddr_t arg)
{
	switch (op) {
	case LINUX_IORING_REGISTER_EVENTFD:
	case LINUX_IORING_REGISTER_EVENTFD_ASYNC:
		return eventfd_on(t, r, arg, op == LINUX_IORING_REGISTER_EVENTFD_ASYNC);
	case LINUX_IORING_REGISTER_PBUF_RING:
	case LINUX_IORING_UNREGISTER_PBUF_RING:
		return uring_pbuf_register(t, r, arg, op == LINUX_IORING_REGISTER_PBUF_RING);
	default: /* REGISTER_SYNC_CANCEL */
		return uring_sync_cancel(t, r, arg);
	}
}

static int64_t do_register(struct task *t, struct uring *r, unsigned op, gaddr_t arg, uint32_t nr)
{
	switch (op) {
	case LINUX_IORING_REGISTER_BUFFERS:
		return arg.v ? uring_buffers_register(t, r, arg, GADDR_NULL, nr, false) : -EFAULT;
	case LINUX_IORING_REGISTER_FILES:
		return arg.v ? uring_files_register(t, r, arg, GADDR_NULL, nr, false) : -EFAULT;
	case LINUX_IORING_REGISTER_FILES_UPDATE:
		return files_update(t, r, arg, nr);
	case LINUX_IORING_REGISTER_EVENTFD:
	case LINUX_IORING_REGISTER_EVENTFD_ASYNC:
		return nr == 1 ? one(t, r, op, arg) : -EINVAL;
	case LINUX_IORING_REGISTER_PROBE:
		return arg.v ? probe(t, arg, nr) : -EINVAL;
	case LINUX_IORING_REGISTER_RESTRICTIONS:
		return restrict_ring(t, r, arg, nr);
	case LINUX_IORING_REGISTER_FILES2:
		return rsrc_register(t, r, arg, nr, true);
	case LINUX_IORING_REGISTER_FILES_UPDATE2:
		return rsrc_update(t, r, arg, nr, true);
	case LINUX_IORING_REGISTER_BUFFERS2:
		return rsrc_register(t, r, arg, nr, false);
	case LINUX_IORING_REGISTER_BUFFERS_UPDATE:
		return rsrc_update(t, r, arg, nr, false);
	case LINUX_IORING_REGISTER_IOWQ_AFF:
		return arg.v && nr ? affinity(t, arg, nr) : -EINVAL;
	case LINUX_IORING_REGISTER_IOWQ_MAX_WORKERS:
		return arg.v && nr == 2 ? max_workers(t, r, arg) : -EINVAL;
	case LINUX_IORING_REGISTER_RING_FDS:
		return ring_fds_on(t, arg, nr);
	case LINUX_IORING_UNREGISTER_RING_FDS:
		return ring_fds_off(t, arg, nr);
	case LINUX_IORING_REGISTER_PBUF_RING:
	case LINUX_IORING_UNREGISTER_PBUF_RING:
	case LINUX_IORING_REGISTER_SYNC_CANCEL:
		return arg.v && nr == 1 ? one(t, r, op, arg) : -EINVAL;
	case LINUX_IORING_REGISTER_FILE_ALLOC_RANGE:
		return arg.v && !nr ? alloc_range(t, r, arg) : -EINVAL;
	default:
		return plain(t, r, op, arg, nr);
	}
}

int64_t sys_io_uring_register(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *f = NULL;
	unsigned op = ARG_U32(a, 1);
	struct uring *r;

	if (op >= LINUX_IORING_REGISTER_LAST)
		return -EINVAL;
	f = fd_get(t, ARG_INT(a, 0));
	if (!f)
		return -EBADF;
	if (!file_is_uring(f))
		return -EOPNOTSUPP;
	r = uring_of(f);
	if (r->issuer && r->issuer != t)
		return -EEXIST;
	if (r->restricted && !(r->allowed_register >> op & 1))
		return -EACCES;
	return do_register(t, r, op, ARG_ADDR(a, 2), ARG_U32(a, 3));
}
