/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native asynchronous I/O: io_setup(2), io_submit(2), io_getevents(2) and kin.
 *
 * As on Linux for files that are no block devices opened with O_DIRECT, reads, writes and syncs are done by io_submit() itself, which may sleep;
 * their completion is there when it returns. Only polls wait. Completions are in a ring in memory shared with the application, which libaio empties by
 * itself: head is the application's to move, so it is looked at with suspicion; tail is kept here.
 *
 * Objects: a context belongs to an address space (mm_aio() lists them) and has a reference for that, one per waiting poll and one per call at work.
 * A poll that fires is looked at by the kernel's shared helper (kwork), which alone completes and frees polls.
 * Locks: aio_mu (lists of contexts, aio-nr) ; aio_ctx.mu (ring, polls) > what file_poll() takes, memory file. Neither is held while I/O is done.
 * Checkpoint: contexts with their polls; a poll that was fired looks again. io_submit() keeps the number of finished requests in sysctx.val[0],
 * io_getevents() that of delivered events.
 * Linux: fs/aio.c. DEVIATION: IOCB_CMD_FSYNC is finished by io_submit(), not later. A ring that mremap() moved keeps its name.
 */
#include "sentry/fs/aio.h"

#include <stdlib.h>
#include <string.h>

#include "schemas/aio.pb-c.h"
#include "sentry/abi/aio.h"
#include "sentry/abi/fs.h"
#include "sentry/abi/mman.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/eventfd.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/fs_type.h"
#include "sentry/fs/poll.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/kthread.h"
#include "sentry/mm/shmobj.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

#define MAX_EVENTS (0x10000000u / sizeof(struct linux_io_event))
#define MAX_LOADED (1u << 20)
#define RING_NAME  "/[aio] (deleted)"

struct ring_page;

struct aio_poll { /* message: AioPoll */
	struct list node; /* derived: aio_ctx.polls */
	struct aio_ctx *ctx; /* derived: the context that lists it; referenced */
	struct file *file; /* saved: 1, referenced */
	struct file *eventfd; /* saved: 2, referenced */
	uint64_t obj, data; /* saved: 3, 4 */
	uint32_t events; /* saved: 5 */
	bool cancelled; /* saved: 6; guarded by ctx->mu */
	struct waiter w; /* nosave: registered again by after_load */
	struct kwork work; /* nosave: queued again by after_load */
};

struct aio_ctx { /* message: AioCtx */
	struct ref ref; /* nosave: counted again by state_deref() and after_load */
	struct list node; /* derived: mm_aio() of its address space; guarded by aio_mu */
	uint64_t id; /* saved: 1; address of the ring */
	uint64_t map_len; /* saved: 2 */
	uint32_t slots; /* saved: 3 */
	uint32_t max_reqs; /* saved: 4; what counts in aio-nr */
	struct mappable *ring; /* saved: 5, referenced */
	struct waitq wq; /* nosave: waiters re-run */
	struct mutex mu; /* nosave: free when frozen; guards below */
	struct list polls; /* saved: 6 */
	uint32_t busy; /* derived: requests under way: polls; others only while io_submit runs */
	struct ring_page *pages; /* nosave: found again when needed */
	bool dead; /* nosave: io_destroy was called; then nothing lists it */
	bool counted; /* derived: in aio-nr */
};

static struct mutex aio_mu = MUTEX_INIT("aio");
static uint64_t nr_reqs; /* of all contexts; guarded by aio_mu */

uint64_t aio_nr(void)
{
	mutex_guard(&aio_mu);
	return nr_reqs;
}

/* --- the ring's memory --- */

struct ring_page {
	uint64_t off; /* in the memory file; one reference */
	char *p; /* NULL: not looked up yet */
};

/* Where page @i of the ring is: looked up once, then held. mu held (or the context is not published yet). */
static char *ring_page(struct aio_ctx *c, uint64_t i)
{
	struct memfile *mf = the_kernel->mf;
	struct backing b;

	if (!c->pages)
		c->pages = calloc(c->map_len / PAGE_SIZE, sizeof(*c->pages));
	if (!c->pages)
		return NULL;
	if (c->pages[i].p)
		return c->pages[i].p;
	if (c->ring->ops->translate(c->ring, i * PAGE_SIZE, PAGE_SIZE, true, &b) < 0)
		return NULL;
	if (b.len > PAGE_SIZE)
		memfile_unref(mf, b.off + PAGE_SIZE, b.len - PAGE_SIZE);
	memfile_set_wild(mf, b.off, PAGE_SIZE);
	c->pages[i].p = memfile_ptr(mf, b.off, PAGE_SIZE);
	c->pages[i].off = b.off;
	if (!c->pages[i].p)
		memfile_unref(mf, b.off, PAGE_SIZE);
	return c->pages[i].p;
}

static void ring_release(struct aio_ctx *c)
{
	for (uint64_t i = 0; c->pages && i < c->map_len / PAGE_SIZE; i++)
		if (c->pages[i].p)
			memfile_unref(the_kernel->mf, c->pages[i].off, PAGE_SIZE);
	free(TAKE_PTR(c->pages));
}

/* Moves bytes of the ring's memory, which the application may change at any time and cannot take away. */
static int ring_rw(struct aio_ctx *c, uint64_t off, void *buf, size_t n, bool write)
{
	while (n) {
		uint64_t in = off % PAGE_SIZE;
		size_t m = MIN(n, (size_t)(PAGE_SIZE - in));
		char *p = ring_page(c, off / PAGE_SIZE);

		if (!p)
			return -ENOMEM;
		if (write)
			memcpy(p + in, buf, m);
		else
			memcpy(buf, p + in, m);
		buf = (char *)buf + m;
		off += m;
		n -= m;
	}
	return 0;
}

/* --- contexts --- */

static void *ctx_alloc(void)
{
	struct aio_ctx *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	ref_init(&c->ref);
	mutex_init(&c->mu, "aio_ctx.mu");
	waitq_init(&c->wq);
	list_init(&c->polls);
	return c;
}

static void poll_free(struct aio_poll *p)
{
	waitq_del(&p->w);
	kwork_cancel(&p->work);
	file_put(p->file);
	file_put(p->eventfd);
	free(p);
}

static void ctx_put(struct aio_ctx *c)
{
	struct aio_poll *p, *next;

	if (!c || !ref_put(&c->ref))
		return;
	list_for_each_safe(p, next, &c->polls, node) /* of a context that was only half loaded */
		poll_free(p);
	if (c->counted) {
		mutex_lock(&aio_mu);
		nr_reqs -= c->max_reqs;
		mutex_unlock(&aio_mu);
	}
	ring_release(c);
	if (c->ring)
		c->ring->ops->put(c->ring);
	waitq_done(&c->wq);
	mutex_destroy(&c->mu);
	free(c);
}

static void ctx_putp(struct aio_ctx **c)
{
	ctx_put(*c);
}

/* The caller's context of that name, referenced, or NULL. */
static struct aio_ctx *ctx_find(struct task *t, uint64_t id)
{
	struct list *l = mm_aio(t->mm);
	struct aio_ctx *c;

	mutex_guard(&aio_mu);
	list_for_each(c, l, node)
		if (c->id == id) {
			ref_get(&c->ref);
			return c;
		}
	return NULL;
}

/* Takes the context out of its list: true for the one caller who did. Its polls complete, cancelled; waiters leave. */
static bool ctx_kill(struct aio_ctx *c)
{
	struct aio_poll *p;
	bool dead;

	mutex_lock(&aio_mu);
	list_del(&c->node);
	mutex_unlock(&aio_mu);
	mutex_lock(&c->mu);
	dead = c->dead;
	c->dead = true;
	list_for_each(p, &c->polls, node) {
		p->cancelled = true;
		kwork_queue(&p->work);
	}
	mutex_unlock(&c->mu);
	waitq_wake(&c->wq, ~0u);
	return !dead;
}

void aio_exit(struct mm *mm)
{
	for (;;) {
		struct aio_ctx *c = NULL;

		mutex_lock(&aio_mu);
		if (!list_empty(mm_aio(mm)))
			c = list_first(mm_aio(mm), struct aio_ctx, node);
		mutex_unlock(&aio_mu);
		if (!c)
			return;
		/* The list's reference is ours once it is off the list. */
		(void)ctx_kill(c);
		ctx_put(c);
	}
}

/* --- the ring --- */

static uint32_t ring_word(struct aio_ctx *c, size_t off)
{
	uint32_t v = 0;

	(void)ring_rw(c, off, &v, sizeof(v), false);
	return v;
}

#define RING_HEAD offsetof(struct linux_aio_ring, head)
#define RING_TAIL offsetof(struct linux_aio_ring, tail)

static uint64_t slot_at(uint32_t i)
{
	return sizeof(struct linux_aio_ring) + (uint64_t)i * sizeof(struct linux_io_event);
}

/* head and tail, made to be slots. mu held. */
static void ring_bounds_locked(struct aio_ctx *c, uint32_t *head, uint32_t *tail)
{
	*head = ring_word(c, RING_HEAD) % c->slots;
	*tail = ring_word(c, RING_TAIL) % c->slots;
}

static uint32_t ready_locked(struct aio_ctx *c)
{
	uint32_t head, tail;

	ring_bounds_locked(c, &head, &tail);
	return (tail + c->slots - head) % c->slots;
}

/* Room for one more request is taken: its event will fit. -EAGAIN. */
static int get_req(struct aio_ctx *c)
{
	mutex_guard(&c->mu);
	if (c->dead)
		return -EINVAL;
	if (c->busy + ready_locked(c) >= c->slots - 1)
		return -EAGAIN;
	c->busy++;
	return 0;
}

static void put_req(struct aio_ctx *c)
{
	mutex_lock(&c->mu);
	c->busy--;
	mutex_unlock(&c->mu);
}

/* The end of a request that get_req() was for. */
static void complete(struct aio_ctx *c, uint64_t obj, uint64_t data, int64_t res, struct file *eventfd)
{
	struct linux_io_event ev = { data, obj, res, 0 };
	uint32_t head, tail;

	mutex_lock(&c->mu);
	c->busy--;
	ring_bounds_locked(c, &head, &tail);
	(void)ring_rw(c, slot_at(tail), &ev, sizeof(ev), true);
	tail = (tail + 1) % c->slots;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	(void)ring_rw(c, RING_TAIL, &tail, sizeof(tail), true);
	mutex_unlock(&c->mu);
	if (eventfd) {
		uint64_t one = 1;
		struct uio u;

		uio_kernel(&u, &one, sizeof(one));
		(void)eventfd->ops->write(eventfd, NULL, &u, NULL, 0);
		uio_done(&u);
	}
	waitq_wake(&c->wq, ~0u);
}

/* --- polls --- */

static bool poll_wake(struct waiter *w, uint32_t mask)
{
	kwork_queue(&container_of(w, struct aio_poll, w)->work);
	return true;
}

/* The helper looks at a poll that was woken, cancelled or just made. */
static void poll_look(struct kwork *k)
{
	struct aio_poll *p = container_of(k, struct aio_poll, work);
	struct aio_ctx *c = p->ctx;
	uint32_t mask = file_poll(p->file) & p->events;
	bool over;

	mutex_lock(&c->mu);
	over = mask || p->cancelled;
	if (p->cancelled)
		mask = 0;
	if (over)
		list_del(&p->node);
	mutex_unlock(&c->mu);
	if (!over)
		return;
	complete(c, p->obj, p->data, mask, p->eventfd);
	poll_free(p);
	ctx_put(c);
}

static void poll_init(struct aio_poll *p)
{
	p->w.fn = poll_wake;
	p->w.mask = p->events;
	p->work.fn = poll_look;
}

static int submit_poll(struct task *t, struct aio_ctx *c, const struct linux_iocb *cb, uint64_t obj, struct file *f, struct file *eventfd)
{
	struct aio_poll *p;
	bool waits;

	if (cb->buf > UINT16_MAX || cb->offset || cb->nbytes || cb->rw_flags)
		return -EINVAL;
	if (kwork_start(t->k) < 0)
		return -EAGAIN;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -EAGAIN;
	p->ctx = c;
	p->obj = obj;
	p->data = cb->data;
	p->events = (uint32_t)cb->buf | LINUX_POLLERR | LINUX_POLLHUP;
	p->file = file_get(f);
	p->eventfd = eventfd ? file_get(eventfd) : NULL;
	poll_init(p);
	waits = file_poll_add(f, &p->w);
	if (!waits && !(file_poll(f) & p->events)) {
		poll_free(p);
		return -EINVAL; /* it could never come */
	}
	ref_get(&c->ref);
	mutex_lock(&c->mu);
	list_add_tail(&c->polls, &p->node);
	p->cancelled |= c->dead;
	/* From here on it is the helper's. */
	kwork_queue(&p->work);
	mutex_unlock(&c->mu);
	return 0;
}

/* --- submission --- */

/* 1: done, *@res is the event's; 0: later; or the request is refused. */
static int64_t submit_rw(struct task *t, const struct linux_iocb *cb, struct file *f, int64_t *res)
{
	bool write = cb->opcode == LINUX_IOCB_CMD_PWRITE || cb->opcode == LINUX_IOCB_CMD_PWRITEV;
	bool vec = cb->opcode == LINUX_IOCB_CMD_PREADV || cb->opcode == LINUX_IOCB_CMD_PWRITEV;
	struct uio u;
	int64_t r;

	if (cb->rw_flags & ~(LINUX_RWF_HIPRI | LINUX_RWF_DSYNC | LINUX_RWF_SYNC | LINUX_RWF_NOWAIT | LINUX_RWF_APPEND))
		return -EOPNOTSUPP;
	if (!(write ? f->writable : f->readable))
		return -EBADF;
	if (!(write ? f->ops->write : f->ops->read))
		return -EINVAL;
	if (cb->rw_flags & LINUX_RWF_NOWAIT && !file_may_nowait(f))
		return -EOPNOTSUPP;
	r = vec ? uio_user_iov(&u, t->mm, GADDR(cb->buf), cb->nbytes) : uio_user(&u, t->mm, GADDR(cb->buf), cb->nbytes);
	if (r)
		return r;
	if (f->seekable && cb->offset < 0) {
		uio_done(&u);
		return -EINVAL;
	}
	r = write ? file_write(f, t, &u, f->seekable ? cb->offset : -1, cb->rw_flags)
		  : file_read(f, t, &u, f->seekable ? cb->offset : -1, cb->rw_flags);
	uio_done(&u);
	if (r == -EFREEZE)
		return r;
	*res = r <= -ERESTARTSYS && r >= -ERESTARTBLOCK ? -EINTR : r;
	return 1;
}

static int64_t submit_sync(struct task *t, const struct linux_iocb *cb, struct file *f, int64_t *res)
{
	if (cb->buf || cb->offset || cb->nbytes || cb->rw_flags)
		return -EINVAL;
	if (!f->ops->fsync)
		return -EINVAL;
	*res = f->ops->fsync(f, t, cb->opcode == LINUX_IOCB_CMD_FDSYNC);
	return 1;
}

static int64_t dispatch(struct task *t, struct aio_ctx *c, const struct linux_iocb *cb, uint64_t obj, struct file *f, struct file *eventfd,
			int64_t *res)
{
	switch (cb->opcode) {
	case LINUX_IOCB_CMD_PREAD:
	case LINUX_IOCB_CMD_PWRITE:
	case LINUX_IOCB_CMD_PREADV:
	case LINUX_IOCB_CMD_PWRITEV:
		return submit_rw(t, cb, f, res);
	case LINUX_IOCB_CMD_FSYNC:
	case LINUX_IOCB_CMD_FDSYNC:
		return submit_sync(t, cb, f, res);
	case LINUX_IOCB_CMD_POLL:
		return submit_poll(t, c, cb, obj, f, eventfd);
	default:
		return -EINVAL;
	}
}

static int64_t submit_one(struct task *t, struct aio_ctx *c, uint64_t obj)
{
	_cleanup_file_ struct file *f = NULL, *eventfd = NULL;
	struct linux_iocb cb;
	uint32_t key = 0;
	int64_t r, res = 0;

	if (copy_in(t, &cb, GADDR(obj), sizeof(cb)))
		return -EFAULT;
	if (cb.reserved2 || (int64_t)cb.nbytes < 0)
		return -EINVAL;
	r = get_req(c);
	if (r)
		return r;
	f = fd_get(t, (int)cb.fildes);
	if (!f) {
		r = -EBADF;
	} else if (cb.flags & LINUX_IOCB_FLAG_RESFD) {
		eventfd = fd_get(t, (int)cb.resfd);
		r = !eventfd ? -EBADF : file_is_eventfd(eventfd) ? 0 : -EINVAL;
	}
	if (!r && copy_out(t, GADDR(obj + offsetof(struct linux_iocb, key)), &key, sizeof(key)))
		r = -EFAULT;
	if (!r)
		r = dispatch(t, c, &cb, obj, f, eventfd, &res);
	if (r == 1)
		complete(c, obj, cb.data, res, eventfd);
	else if (r < 0)
		put_req(c);
	return r < 0 ? r : 0;
}

int64_t sys_io_submit(struct task *t, const struct sys_args *a)
{
	_cleanup_(ctx_putp) struct aio_ctx *c = NULL;
	int64_t nr = (int64_t)a->a[1], i, r = 0;

	if (nr < 0)
		return -EINVAL;
	c = ctx_find(t, a->a[0]);
	if (!c)
		return -EINVAL;
	nr = MIN(nr, (int64_t)c->slots);
	for (i = t->sysctx.again ? (int64_t)t->sysctx.val[0] : 0; i < nr; i++) {
		uint64_t obj;

		r = copy_in(t, &obj, gaddr_add(ARG_ADDR(a, 2), (uint64_t)i * 8), sizeof(obj)) ? -EFAULT : submit_one(t, c, obj);
		if (r)
			break;
		t->sysctx.progress = 0;
		t->sysctx.has_deadline = false;
		t->sysctx.again = false; /* the next request begins anew */
	}
	if (r == -EFREEZE) {
		t->sysctx.val[0] = (uint64_t)i;
		return r;
	}
	return i ? i : r;
}

/* --- setting up, cancelling --- */

static int map_ring(struct task *t, struct aio_ctx *c, uint32_t nr)
{
	struct linux_aio_ring h = { .magic = LINUX_AIO_RING_MAGIC, .compat_features = 1, .header_length = sizeof(h) };
	uint64_t len = ALIGN_UP(sizeof(h) + (nr + 2ull) * sizeof(struct linux_io_event), PAGE_SIZE);
	int64_t at;
	int r;

	c->map_len = len;
	c->slots = (uint32_t)((len - sizeof(h)) / sizeof(struct linux_io_event));
	h.nr = c->slots;
	r = shmobj_new(t->k->mf, len, &c->ring);
	if (r < 0)
		return -ENOMEM;
	r = ring_rw(c, 0, &h, sizeof(h), true);
	if (r < 0)
		return r;
	at = mm_map_object(t->mm, t, 0, len, LINUX_PROT_READ | LINUX_PROT_WRITE, LINUX_MAP_SHARED, c->ring, 0, RING_NAME);
	if (at < 0)
		return (int)at;
	c->id = (uint64_t)at;
	return 0;
}

/* Counts the context and puts it into the caller's list. */
static int ctx_publish(struct task *t, struct aio_ctx *c, uint64_t max)
{
	mutex_guard(&aio_mu);
	if (nr_reqs + c->max_reqs > max)
		return -EAGAIN;
	nr_reqs += c->max_reqs;
	c->counted = true;
	ref_get(&c->ref);
	list_add_tail(mm_aio(t->mm), &c->node);
	return 0;
}

int64_t sys_io_setup(struct task *t, const struct sys_args *a)
{
	_cleanup_(ctx_putp) struct aio_ctx *c = NULL;
	uint32_t nr = ARG_U32(a, 0), want;
	uint64_t id, max = proc_sysctl_get("fs/aio-max-nr", 65536);
	int r;

	if (copy_in(t, &id, ARG_ADDR(a, 1), sizeof(id)))
		return -EFAULT;
	if (id || !nr)
		return -EINVAL;
	/* Linux makes room for batches of several CPUs. */
	want = MAX(nr, t->k->cfg.nr_cpus * 4);
	if (want > UINT32_MAX / 2 || want * 2 > MAX_EVENTS)
		return -EINVAL;
	if (nr > max)
		return -EAGAIN;
	c = ctx_alloc();
	if (!c)
		return -ENOMEM;
	c->max_reqs = nr;
	r = map_ring(t, c, want * 2);
	if (r < 0)
		return r;
	r = ctx_publish(t, c, max);
	if (!r && copy_out(t, ARG_ADDR(a, 1), &c->id, sizeof(c->id))) {
		if (ctx_kill(c))
			ctx_put(c); /* the list's */
		r = -EFAULT;
	}
	if (r < 0)
		(void)mm_munmap(t->mm, t->pctx, c->id, c->map_len);
	return r;
}

int64_t sys_io_destroy(struct task *t, const struct sys_args *a)
{
	_cleanup_(ctx_putp) struct aio_ctx *c = ctx_find(t, a->a[0]);

	if (!c || !ctx_kill(c))
		return -EINVAL;
	ctx_put(c); /* the list's */
	/* Should that fail, some of the application's address space stays taken. */
	return mm_unmap_object(t->mm, t, c->id, c->map_len, c->ring) == -ENOMEM ? -ENOMEM : 0;
}

int64_t sys_io_cancel(struct task *t, const struct sys_args *a)
{
	_cleanup_(ctx_putp) struct aio_ctx *c = NULL;
	struct aio_poll *p;
	uint32_t key;

	if (copy_in(t, &key, gaddr_add(ARG_ADDR(a, 1), offsetof(struct linux_iocb, key)), sizeof(key)))
		return -EFAULT;
	if (key)
		return -EINVAL;
	c = ctx_find(t, a->a[0]);
	if (!c)
		return -EINVAL;
	mutex_guard(&c->mu);
	list_for_each(p, &c->polls, node)
		if (p->obj == a->a[1] && !p->cancelled) {
			p->cancelled = true;
			kwork_queue(&p->work);
			return -EINPROGRESS; /* the event comes by the ring */
		}
	return -EINVAL;
}

/* --- events --- */

struct reap {
	struct task *t;
	struct aio_ctx *c;
	gaddr_t dst;
	int64_t min, nr, got;
};

/* Hands out what is there: 1 when enough is, -EAGAIN to wait, or an error. */
static int64_t reap(void *arg)
{
	struct reap *p = arg;
	struct aio_ctx *c = p->c;

	while (p->got < p->nr) {
		struct linux_io_event ev;
		uint32_t head, tail;
		int r;

		mutex_lock(&c->mu);
		ring_bounds_locked(c, &head, &tail);
		r = head == tail ? 0 : ring_rw(c, slot_at(head), &ev, sizeof(ev), false);
		if (r == 0 && head != tail) {
			uint32_t next = (head + 1) % c->slots;

			r = ring_rw(c, RING_HEAD, &next, sizeof(next), true);
		}
		mutex_unlock(&c->mu);
		if (r < 0)
			return r;
		if (head == tail)
			break;
		if (copy_out(p->t, gaddr_add(p->dst, (uint64_t)p->got * sizeof(ev)), &ev, sizeof(ev)))
			return -EFAULT;
		p->got++;
	}
	if (p->got >= p->min || p->got >= p->nr)
		return 1;
	return c->dead ? -EINVAL : -EAGAIN;
}

/* @rel < 0: for ever. */
static int64_t get_events(struct task *t, uint64_t id, int64_t min, int64_t nr, gaddr_t dst, int64_t rel)
{
	_cleanup_(ctx_putp) struct aio_ctx *c = ctx_find(t, id);
	struct reap p = { .t = t, .c = c, .dst = dst, .min = min, .nr = nr };
	int64_t deadline, r;

	if (!c || min > nr || min < 0)
		return -EINVAL;
	if (t->sysctx.again)
		p.got = MIN((int64_t)t->sysctx.val[0], nr);
	deadline = task_deadline(t, rel);
	r = rel == 0 ? reap(&p) : task_wait_on(t, &c->wq, ~0u, deadline, reap, &p);
	if (r == -EFREEZE) {
		t->sysctx.val[0] = (uint64_t)p.got;
		return r;
	}
	if (p.got || r == 1 || r == -ETIMEDOUT || r == -EAGAIN)
		return p.got;
	return r;
}

/* A time to wait as Linux reads it: any fields whose sum is a time. @at NULL: for ever (-1). */
static int get_timeout(struct task *t, gaddr_t at, int64_t *ret)
{
	struct linux_timespec ts;

	*ret = -1;
	if (!at.v)
		return 0;
	if (copy_in(t, &ts, at, sizeof(ts)))
		return -EFAULT;
	if (mul_overflow(ts.tv_sec, NSEC_PER_SEC, ret) || add_overflow(*ret, ts.tv_nsec, ret))
		*ret = ts.tv_sec < 0 ? 0 : TIME_FOREVER;
	*ret = MAX(*ret, (int64_t)0);
	return 0;
}

int64_t sys_io_getevents(struct task *t, const struct sys_args *a)
{
	int64_t rel, r;

	r = get_timeout(t, ARG_ADDR(a, 4), &rel);
	if (r)
		return r;
	r = get_events(t, a->a[0], (int64_t)a->a[1], (int64_t)a->a[2], ARG_ADDR(a, 3), rel);
	return r == -ERESTARTSYS ? -EINTR : r;
}

int64_t sys_io_pgetevents(struct task *t, const struct sys_args *a)
{
	struct linux_aio_sigset sig = { 0 };
	int64_t rel, r;
	sigset64_t set;

	r = get_timeout(t, ARG_ADDR(a, 4), &rel);
	if (r)
		return r;
	if (a->a[5] && copy_in(t, &sig, ARG_ADDR(a, 5), sizeof(sig)))
		return -EFAULT;
	if (sig.sigmask) {
		r = copy_in_sigset(t, GADDR(sig.sigmask), sig.sigsetsize, &set);
		if (r < 0)
			return r;
		signal_set_temp_mask(t, set);
	}
	r = get_events(t, a->a[0], (int64_t)a->a[1], (int64_t)a->a[2], ARG_ADDR(a, 3), rel);
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

/* --- state --- */

static int ctx_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct aio_ctx *c = obj;
	const struct aio_poll *p;
	Sentry__AioCtx *m = msg;
	size_t n = 0;

	m->id = c->id;
	m->map_len = c->map_len;
	m->slots = c->slots;
	m->max_reqs = c->max_reqs;
	m->ring = state_ref(w, &shmobj_state_type, c->ring);
	list_for_each(p, &c->polls, node)
		n++;
	m->polls = state_zalloc(w, n, sizeof(*m->polls));
	list_for_each(p, &c->polls, node) {
		Sentry__AioPoll *x = m->polls[m->n_polls++] = state_new_msg(w, &sentry__aio_poll__descriptor);

		x->file = file_state_ref(w, p->file);
		x->eventfd = file_state_ref(w, p->eventfd);
		x->obj = p->obj;
		x->data = p->data;
		x->events = p->events;
		x->cancelled = p->cancelled;
	}
	return 0;
}

static int ctx_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__AioCtx *m = msg;
	struct aio_ctx *c = obj;
	void *ring = NULL;
	int e = state_check(r, m->slots >= 2 && m->slots <= MAX_EVENTS + 256 && m->n_polls < m->slots && m->n_polls <= MAX_LOADED &&
				       m->max_reqs <= MAX_EVENTS && m->map_len <= UINT32_MAX && slot_at(m->slots) <= m->map_len,
			    "AIO context");

	if (e < 0)
		return e;
	c->id = m->id;
	c->map_len = m->map_len;
	c->slots = m->slots;
	c->max_reqs = m->max_reqs;
	e = state_deref(r, m->ring, &shmobj_state_type, &ring);
	c->ring = ring; /* a shmobj's address is its mappable's */
	if (e >= 0)
		e = state_check(r, ring != NULL, "AIO context without ring");
	for (size_t i = 0; e >= 0 && i < m->n_polls; i++) {
		struct aio_poll *p = calloc(1, sizeof(*p));

		if (!p)
			return -ENOMEM;
		p->ctx = c;
		list_add_tail(&c->polls, &p->node);
		p->obj = m->polls[i]->obj;
		p->data = m->polls[i]->data;
		p->events = m->polls[i]->events & POLL_EVENTS;
		p->cancelled = m->polls[i]->cancelled;
		poll_init(p);
		e = file_state_deref(r, m->polls[i]->file, &p->file);
		if (e >= 0)
			e = state_check(r, p->file != NULL, "AIO poll without file");
		if (e >= 0)
			e = file_state_deref(r, m->polls[i]->eventfd, &p->eventfd);
	}
	return e;
}

static int ctx_after_load(struct state_reader *r, void *obj)
{
	struct aio_ctx *c = obj;
	struct aio_poll *p;
	int e = state_check(r, shmobj_size(c->ring) >= c->map_len, "AIO ring too small");

	list_for_each(p, &c->polls, node)
		if (e >= 0)
			e = state_check(r, !p->eventfd || file_is_eventfd(p->eventfd), "AIO poll: not an eventfd");
	if (e < 0)
		return e;
	mutex_lock(&aio_mu);
	nr_reqs += c->max_reqs;
	c->counted = true;
	mutex_unlock(&aio_mu);
	list_for_each(p, &c->polls, node) {
		ref_get(&c->ref);
		c->busy++;
		(void)file_poll_add(p->file, &p->w);
		kwork_queue(&p->work);
	}
	return 0;
}

static void ctx_state_get(void *obj)
{
	ref_get(&((struct aio_ctx *)obj)->ref);
}

static void ctx_state_put(void *obj)
{
	ctx_put(obj);
}

const struct state_type aio_ctx_state_type = {
	.id = STATE_ID_aio_ctx,
	.name = "aio_ctx",
	.desc = &sentry__aio_ctx__descriptor,
	.prio = STATE_PRIO_TIMER,
	.alloc = ctx_alloc,
	.save = ctx_save,
	.load = ctx_load,
	.after_load = ctx_after_load,
	.get = ctx_state_get,
	.put = ctx_state_put,
};

uint64_t *aio_mm_save(struct state_writer *w, const struct mm *mm, size_t *ret_n)
{
	struct list *l = mm_aio((struct mm *)(uintptr_t)mm);
	struct aio_ctx *c;
	uint64_t *ids;
	size_t n = 0;

	list_for_each(c, l, node)
		n++;
	ids = state_zalloc(w, n, sizeof(*ids));
	*ret_n = 0;
	list_for_each(c, l, node)
		ids[(*ret_n)++] = state_ref(w, &aio_ctx_state_type, c);
	return ids;
}

int aio_mm_load(struct state_reader *r, struct mm *mm, const uint64_t *ids, size_t n)
{
	int e = state_check(r, n <= MAX_LOADED, "too many AIO contexts");

	for (size_t i = 0; e >= 0 && i < n; i++) {
		struct aio_ctx *c = NULL;

		e = state_deref(r, ids[i], &aio_ctx_state_type, (void **)&c);
		if (e >= 0)
			e = state_check(r, c && !list_linked(&c->node), "AIO context listed twice");
		if (e >= 0)
			list_add_tail(mm_aio(mm), &c->node);
		else
			ctx_put(c);
	}
	return e;
}
