/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes and FIFOs.
 *
 * Model: like Linux, a ring of slots of one page each, not a ring of bytes: a write fills the last slot if all of its odd part fits
 * there, else it starts a new one. So a write of at most PIPE_BUF (one page) needs one slot and is atomic, and a pipe is full when
 * its slots are used up. Slots and pages are allocated when first written; one free page is kept for the next write.
 *
 * Objects: struct pipe (the buffer) is shared by its open ends (struct pipe_end, one per open file description) and found
 * through inode->pipe, so that opening a FIFO, or /proc/self/fd/N of any pipe, reaches it. It lives as long as ends or openers do.
 * Locks: fifo_mu (global, lookup and last put) > pipe.mu > mm.lock (copies). waitq.mu is taken after pipe.mu was released.
 * Checkpoint: slots with their data and packet marks, capacity, open counters. Reader and writer counts follow from the ends. A blocked
 * open is re-run: it counts itself out when it is interrupted.
 * Linux: fs/pipe.c. DEVIATION: no notification pipes; pipe-user-pages-* limits are not applied.
 */
#include "sentry/fs/pipe.h"

#include <string.h>

#include "base/strbuf.h"

#include "schemas/pipe.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

#define PIPE_DEF_SLOTS    16
#define PIPE_MAX_SIZE     (1u << 20) /* fs.pipe-max-size: above needs CAP_SYS_RESOURCE */
#define PIPE_MAX_SLOTS    (1u << 19) /* 2 GiB, Linux's limit */
#define PIPE_WAKE_OPEN    (1u << 26) /* internal wait mask: the set of open ends changed */
#define PIPE_WAKE_ENDS    (POLL_READ | POLL_WRITE | LINUX_POLLERR | LINUX_POLLHUP | PIPE_WAKE_OPEN)

struct pipe_buf {
	uint8_t *page;
	uint16_t off, len; /* len 1..PAGE_SIZE while the slot is used */
	bool packet; /* O_DIRECT: a read takes at most this slot and drops its rest */
};

struct pipe {
	struct ref ref; /* nosave: references are counted again */
	bool anon; /* saved: 1; pipe(2), not a FIFO */
	struct waitq wq; /* nosave: waiters re-run or register again */
	struct mutex mu; /* nosave: nobody runs; guards all below */
	struct pipe_buf *ring; /* saved: 2 slots; nr_slots entries, NULL until first needed */
	uint32_t nr_slots; /* saved: 3 */
	uint32_t head, used; /* derived: oldest slot, slots in use */
	uint8_t *spare; /* nosave: a page to reuse */
	uint32_t readers, writers; /* derived: open ends (and openers being waited for) */
	uint64_t r_counter, w_counter; /* saved: 4, 5; how often each side was opened */
	struct inode *inode; /* derived: whose ->pipe this is; guarded by fifo_mu */
};

struct pipe_end {
	struct file file; /* saved: 1 file_base */
	struct pipe *pipe; /* saved: 2, referenced */
	uint64_t hup_after; /* saved: 3; w_counter at a nonblocking open without writer: no POLLHUP until one has been there */
};

static struct mutex fifo_mu = MUTEX_INIT("fifo_mu");
static const struct file_ops pipe_ops;

static struct pipe_end *end_of(const struct file *f)
{
	return container_of((struct file *)(uintptr_t)f, struct pipe_end, file);
}

static struct pipe *pipe_of(const struct file *f)
{
	return end_of(f)->pipe;
}

bool file_is_pipe(const struct file *f)
{
	return f->ops == &pipe_ops;
}

static struct pipe *pipe_alloc(void)
{
	struct pipe *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	ref_init(&p->ref);
	mutex_init(&p->mu, "pipe.mu");
	waitq_init(&p->wq);
	p->nr_slots = PIPE_DEF_SLOTS;
	return p;
}

static void pipe_put(struct pipe *p)
{
	bool dead;

	if (!p)
		return;
	mutex_lock(&fifo_mu);
	dead = ref_put(&p->ref);
	if (dead && p->inode && p->inode->pipe == p)
		p->inode->pipe = NULL;
	mutex_unlock(&fifo_mu);
	if (!dead)
		return;
	for (uint32_t i = 0; i < p->used; i++)
		free(p->ring[(p->head + i) % p->nr_slots].page);
	free(p->ring);
	free(p->spare);
	waitq_done(&p->wq);
	mutex_destroy(&p->mu);
	free(p);
}

/* --- the ring; all with pipe.mu held --- */

static struct pipe_buf *slot_locked(struct pipe *p, uint32_t i)
{
	return &p->ring[(p->head + i) % p->nr_slots];
}

static bool full_locked(const struct pipe *p)
{
	return p->used >= p->nr_slots;
}

static uint8_t *page_get_locked(struct pipe *p)
{
	uint8_t *page = p->spare;

	p->spare = NULL;
	return page ? page : malloc(PAGE_SIZE);
}

static void page_put_locked(struct pipe *p, uint8_t *page)
{
	if (p->spare)
		free(page);
	else
		p->spare = page;
}

static int ring_ready_locked(struct pipe *p)
{
	if (!p->ring)
		p->ring = calloc(p->nr_slots, sizeof(*p->ring));
	return p->ring ? 0 : -ENOMEM;
}

static void drop_front_locked(struct pipe *p)
{
	struct pipe_buf *b = slot_locked(p, 0);

	page_put_locked(p, b->page);
	*b = (struct pipe_buf){ 0 };
	p->head = (p->head + 1) % p->nr_slots;
	p->used--;
}

static size_t bytes_locked(struct pipe *p)
{
	size_t n = 0;

	for (uint32_t i = 0; i < p->used; i++)
		n += slot_locked(p, i)->len;
	return n;
}

/* Appends from @u as Linux does: bytes moved, -EAGAIN when nothing fitted. */
static int64_t append_locked(struct pipe *p, struct uio *u, bool packet)
{
	size_t odd = u->left & (PAGE_SIZE - 1);
	int64_t done = 0;

	if (odd && p->used) {
		struct pipe_buf *b = slot_locked(p, p->used - 1);
		size_t end = (size_t)b->off + b->len;

		if (!b->packet && end + odd <= PAGE_SIZE) {
			int64_t n = uio_get(u, b->page + end, odd);

			if (n < (int64_t)odd)
				return -EFAULT;
			b->len = (uint16_t)(b->len + n);
			done = n;
		}
	}
	while (u->left && !full_locked(p)) {
		size_t want = MIN(u->left, PAGE_SIZE);
		uint8_t *page;
		int64_t n;

		if (ring_ready_locked(p) < 0 || !(page = page_get_locked(p)))
			return done ? done : -ENOMEM;
		n = uio_get(u, page, want);
		if (n < (int64_t)want) {
			page_put_locked(p, page);
			return done ? done : -EFAULT;
		}
		*slot_locked(p, p->used++) = (struct pipe_buf){ .page = page, .len = (uint16_t)n, .packet = packet };
		done += n;
	}
	return done ? done : -EAGAIN;
}

/* --- file operations --- */

static int64_t broken_pipe(struct task *t)
{
	struct linux_siginfo si;

	if (t) {
		siginfo_user(&si, SIGPIPE, t, SI_USER);
		(void)signal_send_task(t, SIGPIPE, &si);
	}
	return -EPIPE;
}

static int64_t pipe_write_uio(struct pipe *p, struct task *t, struct uio *u, bool packet)
{
	int64_t r;

	if (!u->left)
		return 0;
	mutex_lock(&p->mu);
	if (!p->readers) {
		mutex_unlock(&p->mu);
		return broken_pipe(t);
	}
	r = append_locked(p, u, packet);
	mutex_unlock(&p->mu);
	if (r > 0)
		waitq_wake(&p->wq, POLL_READ); /* at every write, not only the first: edge-triggered epoll counts on it */
	return r;
}

static int64_t pipe_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	return pipe_write_uio(pipe_of(f), t, u, atomic_load(&f->flags) & LINUX_O_DIRECT);
}

static int64_t pipe_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct pipe *p = pipe_of(f);
	int64_t done = 0;
	bool was_full;

	if (!u->left)
		return 0;
	mutex_lock(&p->mu);
	was_full = full_locked(p);
	while (p->used && u->left) {
		struct pipe_buf *b = slot_locked(p, 0);
		size_t want = MIN(u->left, (size_t)b->len);
		bool packet = b->packet;
		int64_t n = uio_put(u, b->page + b->off, want);

		if (n < (int64_t)want) {
			if (!done)
				done = -EFAULT;
			break;
		}
		done += n;
		b->off = (uint16_t)(b->off + n);
		b->len = (uint16_t)(b->len - n);
		if (!b->len || packet)
			drop_front_locked(p);
		if (packet)
			break;
	}
	if (!done && p->writers)
		done = -EAGAIN;
	was_full = was_full && !full_locked(p);
	mutex_unlock(&p->mu);
	if (was_full)
		waitq_wake(&p->wq, POLL_WRITE);
	return done;
}

static uint32_t pipe_poll(struct file *f)
{
	struct pipe_end *e = end_of(f);
	struct pipe *p = e->pipe;
	uint32_t ev = 0;

	mutex_lock(&p->mu);
	if (f->readable) {
		if (p->used)
			ev |= POLL_READ;
		if (!p->writers && e->hup_after != p->w_counter)
			ev |= LINUX_POLLHUP;
	}
	if (f->writable) {
		if (!full_locked(p))
			ev |= POLL_WRITE;
		if (!p->readers)
			ev |= LINUX_POLLERR;
	}
	mutex_unlock(&p->mu);
	return ev;
}

static struct waitq *pipe_pollq(struct file *f)
{
	return &pipe_of(f)->wq;
}

static int64_t pipe_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct pipe *p = pipe_of(f);
	int32_t n;

	if (cmd != LINUX_FIONREAD)
		return -ENOTTY;
	mutex_lock(&p->mu);
	n = (int32_t)MIN(bytes_locked(p), (size_t)INT32_MAX);
	mutex_unlock(&p->mu);
	return copy_out(t, GADDR(arg), &n, sizeof(n));
}

static void pipe_close_end(struct pipe *p, bool r, bool w)
{
	mutex_lock(&p->mu);
	p->readers -= r;
	p->writers -= w;
	mutex_unlock(&p->mu);
	waitq_wake(&p->wq, PIPE_WAKE_ENDS);
}

static void pipe_release(struct file *f)
{
	struct pipe_end *e = end_of(f);

	if (e->pipe) {
		pipe_close_end(e->pipe, f->readable, f->writable);
		pipe_put(e->pipe);
	}
	file_done(f);
	free(e);
}

static void pipe_show_name(struct file *f, struct strbuf *b)
{
	strbuf_addf(b, "pipe:[%lu]", (unsigned long)f->inode->ino);
}

extern const struct state_type pipe_end_state_type;

static const struct file_ops pipe_ops = {
	.name = "pipe",
	.state = &pipe_end_state_type,
	.release = pipe_release,
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.pollq = pipe_pollq,
	.ioctl = pipe_ioctl,
	.show_name = pipe_show_name,
};

/* --- opening --- */

/* An end of @p (whose reference and reader/writer counts pass to it), or NULL. */
static struct file *end_new(struct pipe *p, uint32_t flags, struct task *t, const struct path *path, struct inode *inode)
{
	struct pipe_end *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	file_init(&e->file, &pipe_ops, flags, t, path, inode);
	e->pipe = p;
	return &e->file;
}

int pipe_new(struct task *t, uint32_t flags, struct file **ret_r, struct file **ret_w)
{
	struct pipe *p = pipe_alloc();
	struct inode *inode = p ? anon_inode_new(t, LINUX_S_IFIFO | 0600, LINUX_PIPEFS_MAGIC) : NULL;
	struct file *r = NULL, *w = NULL;

	if (!inode)
		goto fail;
	p->anon = true;
	p->inode = inode;
	p->r_counter = p->w_counter = 1;
	inode->pipe = p; /* nobody else can see the inode yet */
	ref_get(&p->ref);
	p->readers = 1;
	r = end_new(p, LINUX_O_RDONLY | (flags & LINUX_O_NONBLOCK), t, NULL, inode);
	if (!r) {
		pipe_put(p);
		goto fail;
	}
	p->writers = 1;
	w = end_new(p, LINUX_O_WRONLY | (flags & (LINUX_O_NONBLOCK | LINUX_O_DIRECT)), t, NULL, inode);
	if (!w)
		goto fail;
	inode_put(inode);
	*ret_r = r;
	*ret_w = w;
	return 0;
fail:
	file_put(r);
	pipe_put(p);
	if (inode)
		inode_put(inode);
	return -ENOMEM;
}

/* The pipe behind @inode, made when this is its first opener; referenced. */
static struct pipe *fifo_get(struct inode *inode)
{
	struct pipe *fresh = pipe_alloc(), *p;

	mutex_lock(&fifo_mu);
	p = inode->pipe;
	if (p) {
		ref_get(&p->ref); /* reaching zero clears inode->pipe under the same lock */
	} else if (fresh) {
		p = inode->pipe = fresh;
		p->inode = inode;
		fresh = NULL;
	}
	mutex_unlock(&fifo_mu);
	pipe_put(fresh);
	return p;
}

struct partner {
	struct pipe *p;
	uint64_t *counter, seen;
};

static int64_t partner_came(void *arg)
{
	struct partner *w = arg;
	bool came;

	mutex_lock(&w->p->mu);
	came = *w->counter != w->seen;
	mutex_unlock(&w->p->mu);
	return came ? 1 : -EAGAIN;
}

/* Waits until @counter moves on from @seen: even if that opener is gone again by then, the rendezvous has taken place. */
static int wait_for_partner(struct pipe *p, struct task *t, uint64_t *counter, uint64_t seen)
{
	struct partner w = { .p = p, .counter = counter, .seen = seen };
	int64_t r = task_wait_on(t, &p->wq, PIPE_WAKE_OPEN, TIME_FOREVER, partner_came, &w);

	return r < 0 ? (int)r : 0;
}

int fifo_open(struct inode *inode, const struct path *path, uint32_t flags, struct task *t, struct file **ret)
{
	bool r = (flags & LINUX_O_ACCMODE) != LINUX_O_WRONLY, w = (flags & LINUX_O_ACCMODE) != LINUX_O_RDONLY;
	bool nonblock = flags & LINUX_O_NONBLOCK, wait = false;
	struct pipe *p = fifo_get(inode);
	uint64_t hup_after = 0, seen = 0, *counter = NULL;
	struct file *f;
	int err = 0;

	if (!p)
		return -ENOMEM;
	mutex_lock(&p->mu);
	if (w && !r && !p->anon && nonblock && !p->readers) {
		mutex_unlock(&p->mu);
		pipe_put(p);
		return -ENXIO;
	}
	p->readers += r;
	p->r_counter += r;
	p->writers += w;
	p->w_counter += w;
	if (!p->anon && r != w) {
		counter = r ? &p->w_counter : &p->r_counter;
		seen = *counter;
		if (!(r ? p->writers : p->readers)) {
			if (!nonblock)
				wait = true;
			else if (r)
				hup_after = p->w_counter;
		}
	}
	mutex_unlock(&p->mu);
	waitq_wake(&p->wq, PIPE_WAKE_OPEN);
	if (wait)
		err = wait_for_partner(p, t, counter, seen);
	f = err ? NULL : end_new(p, flags, t, path, inode);
	if (!f) {
		pipe_close_end(p, r, w);
		pipe_put(p);
		return err ? err : -ENOMEM;
	}
	end_of(f)->hup_after = hup_after;
	*ret = f;
	return 0;
}

/* --- capacity --- */

static int64_t set_size(struct pipe *p, struct task *t, uint64_t arg)
{
	uint64_t size = PAGE_SIZE;
	struct pipe_buf *ring = NULL;
	uint32_t slots;
	bool grown;

	if (arg > (1ULL << 31))
		return -EINVAL;
	while (size < arg)
		size <<= 1;
	slots = (uint32_t)(size >> PAGE_SHIFT);
	mutex_lock(&p->mu);
	if (slots > p->nr_slots && size > PIPE_MAX_SIZE && !task_capable(t, LINUX_CAP_SYS_RESOURCE)) {
		mutex_unlock(&p->mu);
		return -EPERM;
	}
	if (slots < p->used) {
		mutex_unlock(&p->mu);
		return -EBUSY;
	}
	if (p->ring) {
		ring = calloc(slots, sizeof(*ring));
		if (!ring) {
			mutex_unlock(&p->mu);
			return -ENOMEM;
		}
		for (uint32_t i = 0; i < p->used; i++)
			ring[i] = *slot_locked(p, i);
		free(p->ring);
		p->ring = ring;
	}
	grown = slots > p->nr_slots;
	p->head = 0;
	p->nr_slots = slots;
	mutex_unlock(&p->mu);
	if (grown)
		waitq_wake(&p->wq, POLL_WRITE);
	return (int64_t)size;
}

int64_t pipe_fcntl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct pipe *p;
	int64_t r;

	if (!file_is_pipe(f))
		return -EBADF;
	p = pipe_of(f);
	if (cmd == LINUX_F_SETPIPE_SZ)
		return set_size(p, t, arg & 0xffffffffu);
	mutex_lock(&p->mu);
	r = (int64_t)p->nr_slots << PAGE_SHIFT;
	mutex_unlock(&p->mu);
	return r;
}

/* --- for splice.c --- */

size_t pipe_peek(struct file *f, size_t skip, void *buf, size_t n)
{
	struct pipe *p = pipe_of(f);
	size_t done = 0;

	mutex_lock(&p->mu);
	for (uint32_t i = 0; i < p->used && done < n; i++) {
		struct pipe_buf *b = slot_locked(p, i);
		size_t k;

		if (skip >= b->len) {
			skip -= b->len;
			continue;
		}
		k = MIN(b->len - skip, n - done);
		memcpy((uint8_t *)buf + done, b->page + b->off + skip, k);
		done += k;
		skip = 0;
	}
	mutex_unlock(&p->mu);
	return done;
}

size_t pipe_consume(struct file *f, size_t n)
{
	struct pipe *p = pipe_of(f);
	size_t done = 0;
	bool was_full;

	mutex_lock(&p->mu);
	was_full = full_locked(p);
	while (p->used && done < n) {
		struct pipe_buf *b = slot_locked(p, 0);
		size_t k = MIN((size_t)b->len, n - done);

		b->off = (uint16_t)(b->off + k);
		b->len = (uint16_t)(b->len - k);
		done += k;
		if (!b->len)
			drop_front_locked(p);
	}
	was_full = was_full && !full_locked(p);
	mutex_unlock(&p->mu);
	if (was_full)
		waitq_wake(&p->wq, POLL_WRITE);
	return done;
}

int64_t pipe_push(struct file *f, struct task *t, const void *buf, size_t n)
{
	struct uio u;

	uio_kernel(&u, (void *)(uintptr_t)buf, n);
	return pipe_write_uio(pipe_of(f), t, &u, false);
}

size_t pipe_space(struct file *f)
{
	struct pipe *p = pipe_of(f);
	size_t n;

	mutex_lock(&p->mu);
	n = (size_t)(p->nr_slots - p->used) << PAGE_SHIFT;
	mutex_unlock(&p->mu);
	return n;
}

bool pipe_has_writers(struct file *f)
{
	struct pipe *p = pipe_of(f);
	bool r;

	mutex_lock(&p->mu);
	r = p->writers > 0;
	mutex_unlock(&p->mu);
	return r;
}

bool pipe_has_readers(struct file *f)
{
	struct pipe *p = pipe_of(f);
	bool r;

	mutex_lock(&p->mu);
	r = p->readers > 0;
	mutex_unlock(&p->mu);
	return r;
}

bool pipe_same(const struct file *a, const struct file *b)
{
	return pipe_of(a) == pipe_of(b);
}

/* --- system calls --- */

static int64_t do_pipe2(struct task *t, gaddr_t fds, uint32_t flags)
{
	bool cloexec = flags & LINUX_O_CLOEXEC;
	struct file *r, *w;
	int fd[2], err;

	if (flags & ~(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK | LINUX_O_DIRECT | LINUX_O_EXCL))
		return -EINVAL;
	if (flags & LINUX_O_EXCL)
		return -ENOPKG; /* O_NOTIFICATION_PIPE: as a kernel without watch queues */
	err = pipe_new(t, flags, &r, &w);
	if (err)
		return err;
	fd[0] = err = fd_reserve(t, 0, cloexec);
	if (fd[0] < 0)
		goto put;
	fd[1] = err = fd_reserve(t, 0, cloexec);
	if (fd[1] < 0)
		goto unreserve0;
	err = copy_out(t, fds, fd, sizeof(fd));
	if (err)
		goto unreserve1;
	fd_commit(t, fd[0], r);
	fd_commit(t, fd[1], w);
	return 0;
unreserve1:
	fd_unreserve(t, fd[1]);
unreserve0:
	fd_unreserve(t, fd[0]);
put:
	file_put(r);
	file_put(w);
	return err;
}

int64_t sys_pipe(struct task *t, const struct sys_args *a)
{
	return do_pipe2(t, ARG_ADDR(a, 0), 0);
}

int64_t sys_pipe2(struct task *t, const struct sys_args *a)
{
	return do_pipe2(t, ARG_ADDR(a, 0), ARG_U32(a, 1));
}

/* --- state --- */

static void *pipe_state_alloc(void)
{
	return pipe_alloc();
}

static int pipe_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct pipe *p = obj;
	Sentry__Pipe *m = msg;
	Sentry__PipeSlot *slots = state_zalloc(w, p->used, sizeof(*slots));

	m->anon = p->anon;
	m->nr_slots = p->nr_slots;
	m->r_counter = p->r_counter;
	m->w_counter = p->w_counter;
	m->slots = state_zalloc(w, p->used, sizeof(*m->slots));
	m->n_slots = p->used;
	for (uint32_t i = 0; i < p->used; i++) {
		const struct pipe_buf *b = &p->ring[(p->head + i) % p->nr_slots];

		sentry__pipe_slot__init(&slots[i]);
		slots[i].data.data = b->page + b->off;
		slots[i].data.len = b->len;
		slots[i].offset = b->off;
		slots[i].packet = b->packet;
		m->slots[i] = &slots[i];
	}
	return 0;
}

static int pipe_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__Pipe *m = msg;
	struct pipe *p = obj;
	int err = state_check(r, m->nr_slots >= 1 && m->nr_slots <= PIPE_MAX_SLOTS && m->n_slots <= m->nr_slots,
			      "pipe capacity");

	if (err)
		return err;
	p->anon = m->anon;
	p->nr_slots = m->nr_slots;
	p->r_counter = m->r_counter;
	p->w_counter = m->w_counter;
	if (m->n_slots && ring_ready_locked(p) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_slots; i++) {
		const Sentry__PipeSlot *s = m->slots[i];
		uint8_t *page;

		err = state_check(r, s->data.len >= 1 && s->offset < PAGE_SIZE && s->data.len <= PAGE_SIZE - s->offset,
				  "pipe slot size");
		if (err)
			return err;
		page = malloc(PAGE_SIZE);
		if (!page)
			return -ENOMEM;
		memcpy(page + s->offset, s->data.data, s->data.len);
		p->ring[p->used++] = (struct pipe_buf){
			.page = page, .off = (uint16_t)s->offset, .len = (uint16_t)s->data.len, .packet = s->packet
		};
	}
	return 0;
}

static void pipe_state_get(void *obj)
{
	ref_get(&((struct pipe *)obj)->ref);
}

static void pipe_state_put(void *obj)
{
	pipe_put(obj);
}

const struct state_type pipe_state_type = {
	.id = STATE_ID_pipe,
	.name = "pipe",
	.desc = &sentry__pipe__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = pipe_state_alloc,
	.save = pipe_save,
	.load = pipe_load,
	.get = pipe_state_get,
	.put = pipe_state_put,
};

static int pipe_end_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct pipe_end *e = obj;
	Sentry__PipeEnd *m = msg;

	m->file_base = state_zalloc(w, 1, sizeof(*m->file_base));
	sentry__file_base__init(m->file_base);
	m->pipe = state_ref(w, &pipe_state_type, e->pipe);
	m->hup_after = e->hup_after;
	return file_save_base(w, &e->file, m->file_base);
}

static int pipe_end_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__PipeEnd *m = msg;
	struct pipe_end *e = obj;
	void *p;
	int err = state_check(r, m->file_base != NULL, "no base");

	if (!err)
		err = file_load_base(r, &e->file, &pipe_ops, m->file_base);
	if (!err)
		err = state_deref(r, m->pipe, &pipe_state_type, &p);
	if (!err)
		err = state_check(r, p != NULL, "no pipe");
	if (err)
		return err;
	e->hup_after = m->hup_after;
	e->pipe = p;
	return 0;
}

static int pipe_end_after_load(struct state_reader *r, void *obj)
{
	struct pipe_end *e = obj;
	struct inode *inode = e->file.inode;
	int err = state_check(r, inode && (!inode->pipe || inode->pipe == e->pipe), "two pipes of one inode");

	if (err)
		return err;
	inode->pipe = e->pipe;
	e->pipe->inode = inode;
	e->pipe->readers += e->file.readable;
	e->pipe->writers += e->file.writable;
	file_after_load_base(&e->file);
	return 0;
}

static void *pipe_end_alloc(void)
{
	struct pipe_end *e = calloc(1, sizeof(*e));

	if (e)
		ref_init(&e->file.ref);
	return e;
}

const struct state_type pipe_end_state_type = {
	.id = STATE_ID_pipe_end,
	.name = "pipe_end",
	.desc = &sentry__pipe_end__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = pipe_end_alloc,
	.save = pipe_end_save,
	.load = pipe_end_load,
	.after_load = pipe_end_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
