/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eventfd(2): a 64-bit counter. Readers drain it (or take one, EFD_SEMAPHORE) and would block at 0; writers would block when
 * it would pass 2^64-2.
 *
 * Locks: eventfd.mu is a leaf; the queue is woken after it was released.
 * Checkpoint: counter and mode; waiters are not saved, their calls are re-run.
 * Linux: fs/eventfd.c.
 */
#include "sentry/fs/eventfd.h"

#include "base/strbuf.h"
#include "schemas/eventfd.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

#define EFD_SEMAPHORE_FLAG 1u
#define COUNT_MAX          (UINT64_MAX - 1)

struct eventfd {
	struct file file; /* saved: 1 file_base */
	bool semaphore; /* saved: 3; immutable */
	uint64_t id; /* nosave: shown in fdinfo only */
	struct waitq wq; /* nosave: waiters re-run or register again */
	struct mutex mu; /* nosave: nobody runs */
	uint64_t count; /* saved: 2; guarded by mu */
};

static const struct file_ops eventfd_ops;
static _Atomic uint64_t next_id;

static struct eventfd *eventfd_of(struct file *f)
{
	return container_of(f, struct eventfd, file);
}

bool file_is_eventfd(const struct file *f)
{
	return f->ops == &eventfd_ops;
}

static int64_t eventfd_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct eventfd *e = eventfd_of(f);
	uint64_t v;

	if (u->left < sizeof(v))
		return -EINVAL;
	mutex_lock(&e->mu);
	v = e->semaphore ? MIN(e->count, (uint64_t)1) : e->count;
	e->count -= v;
	mutex_unlock(&e->mu);
	if (!v)
		return -EAGAIN;
	waitq_wake(&e->wq, POLL_WRITE);
	/* As in Linux the value is gone when the buffer is bad. */
	return uio_put(u, &v, sizeof(v)) == sizeof(v) ? (int64_t)sizeof(v) : -EFAULT;
}

static int64_t eventfd_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct eventfd *e = eventfd_of(f);
	struct uio mark = uio_mark(u);
	uint64_t v;
	bool fits;

	if (u->left < sizeof(v))
		return -EINVAL;
	if (uio_get(u, &v, sizeof(v)) != sizeof(v))
		return -EFAULT;
	if (v == UINT64_MAX)
		return -EINVAL;
	mutex_lock(&e->mu);
	fits = v <= COUNT_MAX - e->count;
	if (fits)
		e->count += v;
	mutex_unlock(&e->mu);
	if (!fits) {
		*u = mark;
		return -EAGAIN;
	}
	waitq_wake(&e->wq, POLL_READ);
	return sizeof(v);
}

static uint32_t eventfd_poll(struct file *f)
{
	struct eventfd *e = eventfd_of(f);
	uint64_t v;

	mutex_lock(&e->mu);
	v = e->count;
	mutex_unlock(&e->mu);
	return (v ? LINUX_POLLIN : 0) | (v == UINT64_MAX ? LINUX_POLLERR : 0) | (v < COUNT_MAX ? LINUX_POLLOUT : 0);
}

static struct waitq *eventfd_pollq(struct file *f)
{
	return &eventfd_of(f)->wq;
}

static void eventfd_release(struct file *f)
{
	struct eventfd *e = eventfd_of(f);

	waitq_done(&e->wq);
	mutex_destroy(&e->mu);
	file_done(f);
	free(e);
}

static void eventfd_show_fdinfo(struct file *f, struct strbuf *b)
{
	struct eventfd *e = eventfd_of(f);

	mutex_lock(&e->mu);
	strbuf_addf(b, "eventfd-count: %16lx\n", (unsigned long)e->count);
	mutex_unlock(&e->mu);
	strbuf_addf(b, "eventfd-id: %lu\neventfd-semaphore: %d\n", (unsigned long)e->id, e->semaphore);
}

extern const struct state_type eventfd_state_type;

static const struct file_ops eventfd_ops = {
	.name = "eventfd",
	.state = &eventfd_state_type,
	.release = eventfd_release,
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.pollq = eventfd_pollq,
	.llseek = file_noop_llseek,
	.show_fdinfo = eventfd_show_fdinfo,
};

static void *eventfd_alloc(void)
{
	struct eventfd *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	ref_init(&e->file.ref);
	mutex_init(&e->mu, "eventfd.mu");
	waitq_init(&e->wq);
	e->id = atomic_fetch_add(&next_id, 1);
	return e;
}

int eventfd_new(struct task *t, uint32_t count, bool semaphore, uint32_t flags, struct file **ret)
{
	struct eventfd *e = eventfd_alloc();

	if (!e)
		return -ENOMEM;
	file_init(&e->file, &eventfd_ops, LINUX_O_RDWR | flags, t, NULL, NULL);
	e->count = count;
	e->semaphore = semaphore;
	*ret = &e->file;
	return 0;
}

static int64_t do_eventfd(struct task *t, uint32_t count, uint32_t flags)
{
	struct file *f;
	int r;

	if (flags & ~(EFD_SEMAPHORE_FLAG | LINUX_O_CLOEXEC | LINUX_O_NONBLOCK))
		return -EINVAL;
	r = eventfd_new(t, count, flags & EFD_SEMAPHORE_FLAG, flags & LINUX_O_NONBLOCK, &f);
	if (r < 0)
		return r;
	r = fd_install(t, f, 0, flags & LINUX_O_CLOEXEC);
	if (r < 0)
		file_put(f);
	return r;
}

int64_t sys_eventfd(struct task *t, const struct sys_args *a)
{
	return do_eventfd(t, ARG_U32(a, 0), 0);
}

int64_t sys_eventfd2(struct task *t, const struct sys_args *a)
{
	return do_eventfd(t, ARG_U32(a, 0), ARG_U32(a, 1));
}

/* --- state --- */

static int eventfd_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct eventfd *e = obj;
	Sentry__EventFd *m = msg;

	m->file_base = state_zalloc(w, 1, sizeof(*m->file_base));
	sentry__file_base__init(m->file_base);
	m->count = e->count;
	m->semaphore = e->semaphore;
	return file_save_base(w, &e->file, m->file_base);
}

static int eventfd_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__EventFd *m = msg;
	struct eventfd *e = obj;
	int err = state_check(r, m->file_base && m->count != UINT64_MAX, "eventfd");

	if (err)
		return err;
	e->count = m->count;
	e->semaphore = m->semaphore;
	return file_load_base(r, &e->file, &eventfd_ops, m->file_base);
}

const struct state_type eventfd_state_type = {
	.id = STATE_ID_eventfd,
	.name = "eventfd",
	.desc = &sentry__event_fd__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = eventfd_alloc,
	.save = eventfd_save,
	.load = eventfd_load,
	.after_load = file_state_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
