/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll(7).
 *
 * An item watches one (file, fd number) through a waiter on the file's queue. When the file wakes, the item joins the ready list; a
 * collector takes items off its front, asks the file what is really ready, reports that, and puts level-triggered items back at
 * the end. An edge-triggered one comes back only by another wake; a one-shot one is disabled (events cleared) until modified.
 * An event that comes while its item is being examined puts it on the list again: at worst an edge is reported twice, as in Linux.
 *
 * A set holds no reference on what it watches: the file's last put takes the file out of all sets first (epoll_release_file).
 *
 * Locks: epoll_mu (global: file.epitems, membership, nesting) > epoll.mu (one set's items, collecting; nested sets: outer before
 *   inner, the loop check makes that an order) > locks taken by the target's poll operation > waitq.mu > epoll.ready_mu (leaf). The
 *   callback runs under the target's waitq.mu and takes ready_mu, then, having released it, the set's own waitq.mu.
 * Checkpoint: items in the order they were added, with events (so also whether a one-shot has fired), and the ready list in order.
 * Linux: fs/eventpoll.c. DEVIATION: the wake-up path limits (reverse_path_check) are not applied; EPOLLWAKEUP is accepted and ignored.
 */
#include "sentry/fs/epoll.h"

#include "base/strbuf.h"
#include "schemas/epoll.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/fs/fd_table.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"
#include "state/state.h"

#define EP_MAX_NESTS   4 /* links between epoll sets in a row */
#define EP_MAX_WATCHES (1u << 20) /* fs.epoll.max_user_watches */
#define EP_PRIVATE     (LINUX_EPOLLWAKEUP | LINUX_EPOLLONESHOT | LINUX_EPOLLET | LINUX_EPOLLEXCLUSIVE)
#define EP_EXCL_OK     (LINUX_POLLIN | LINUX_POLLOUT | LINUX_POLLERR | LINUX_POLLHUP | LINUX_EPOLLWAKEUP | LINUX_EPOLLET | LINUX_EPOLLEXCLUSIVE)
#define EP_BATCH_STACK 32

struct epoll {
	struct file file; /* saved: 1 file_base */
	struct waitq wq; /* nosave: waiters re-run or register again */
	struct mutex mu; /* nosave: nobody runs */
	struct list items; /* saved: 2; epitem.ep_node in order of addition; changed under epoll_mu and mu */
	uint32_t nr_items; /* derived: counted in item_link_locked; changed under epoll_mu and mu */
	struct htab by_fd; /* derived; guarded by mu: fd -> first epitem of that number */
	struct mutex ready_mu; /* nosave: nobody runs */
	struct list ready; /* saved: 3; epitem.ready_node; guarded by ready_mu */
	size_t nr_ready; /* derived; guarded by ready_mu */
};

struct epitem { /* message: EpollItem */
	struct waiter w; /* derived: on the file's queue */
	struct list ep_node, file_node, ready_node; /* derived: linked in after_load */
	struct epitem *same_fd; /* derived: next item with this fd (of another file) */
	struct epoll *ep; /* derived: whose message it is in */
	struct file *file; /* saved: 1; no reference */
	int fd; /* saved: 2 */
	uint32_t events; /* saved: 3; guarded by ready_mu */
	uint64_t data; /* saved: 4; guarded by ep.mu */
};

static struct mutex epoll_mu = MUTEX_INIT("epoll_mu");
static const struct file_ops epoll_ops;
static uint32_t nr_watches; /* guarded by epoll_mu */

static struct epoll *epoll_of(const struct file *f)
{
	return container_of((struct file *)(uintptr_t)f, struct epoll, file);
}

bool file_is_epoll(const struct file *f)
{
	return f->ops == &epoll_ops;
}

/* --- readiness --- */

static void ready_add_locked(struct epoll *ep, struct epitem *it, bool front)
{
	if (list_linked(&it->ready_node))
		return;
	list_insert_between(&it->ready_node, front ? &ep->ready : ep->ready.prev, front ? ep->ready.next : &ep->ready);
	ep->nr_ready++;
}

static void ready_del_locked(struct epoll *ep, struct epitem *it)
{
	if (!list_linked(&it->ready_node))
		return;
	list_del(&it->ready_node);
	ep->nr_ready--;
}

static bool item_event(struct waiter *w, uint32_t mask)
{
	struct epitem *it = container_of(w, struct epitem, w);
	struct epoll *ep = it->ep;
	bool wake, woke;

	mutex_lock(&ep->ready_mu);
	wake = mask & it->events & ~EP_PRIVATE;
	if (wake)
		ready_add_locked(ep, it, false);
	mutex_unlock(&ep->ready_mu);
	if (!wake)
		return false;
	woke = waitq_wake_n(&ep->wq, POLL_READ, INT32_MAX) > 0;
	/* Only an exclusive item consumes the wake, and only when somebody is there to act on it. */
	return w->exclusive && woke;
}

static void make_ready(struct epitem *it, bool front)
{
	struct epoll *ep = it->ep;

	mutex_lock(&ep->ready_mu);
	ready_add_locked(ep, it, front);
	mutex_unlock(&ep->ready_mu);
}

static struct epitem *pop_ready(struct epoll *ep, uint32_t *ret_events)
{
	struct epitem *it;

	mutex_lock(&ep->ready_mu);
	it = list_first(&ep->ready, struct epitem, ready_node);
	if (it) {
		ready_del_locked(ep, it);
		*ret_events = it->events;
	}
	mutex_unlock(&ep->ready_mu);
	return it;
}

static size_t nr_ready(struct epoll *ep)
{
	size_t n;

	mutex_lock(&ep->ready_mu);
	n = ep->nr_ready;
	mutex_unlock(&ep->ready_mu);
	return n;
}

int epoll_collect(struct file *epf, struct linux_epoll_event *out, int max)
{
	struct epoll *ep = epoll_of(epf);
	int n = 0;

	mutex_lock(&ep->mu);
	for (size_t left = nr_ready(ep); left && n < max; left--) {
		uint32_t events = 0, got;
		struct epitem *it = pop_ready(ep, &events);

		if (!it)
			break;
		got = file_poll(it->file) & events & ~EP_PRIVATE;
		if (!got)
			continue;
		out[n++] = (struct linux_epoll_event){ .events = got, .data = it->data };
		if (events & LINUX_EPOLLONESHOT) {
			mutex_lock(&ep->ready_mu);
			it->events &= EP_PRIVATE;
			ready_del_locked(ep, it); /* it may have come back meanwhile */
			mutex_unlock(&ep->ready_mu);
		} else if (!(events & LINUX_EPOLLET)) {
			make_ready(it, false);
		}
	}
	mutex_unlock(&ep->mu);
	return n;
}

/* Readable when an item is really ready; the list is cleaned on the way. */
static uint32_t epoll_poll(struct file *f)
{
	struct epoll *ep = epoll_of(f);
	uint32_t ev = 0;

	mutex_lock_nested(&ep->mu);
	for (size_t left = nr_ready(ep); left && !ev; left--) {
		uint32_t events = 0;
		struct epitem *it = pop_ready(ep, &events);

		if (!it)
			break;
		if (file_poll(it->file) & events & ~EP_PRIVATE) {
			make_ready(it, true);
			ev = POLL_READ;
		}
	}
	mutex_unlock(&ep->mu);
	return ev;
}

static struct waitq *epoll_pollq(struct file *f)
{
	return &epoll_of(f)->wq;
}

/* --- items --- */

static struct epitem *find_locked(struct epoll *ep, const struct file *file, int fd)
{
	struct epitem *it = htab_get(&ep->by_fd, (uint64_t)(uint32_t)fd + 1);

	while (it && it->file != file)
		it = it->same_fd;
	return it;
}

static int index_locked(struct epoll *ep, struct epitem *it)
{
	uint64_t key = (uint64_t)(uint32_t)it->fd + 1;

	it->same_fd = htab_get(&ep->by_fd, key);
	return htab_put(&ep->by_fd, key, it);
}

static void unindex_locked(struct epoll *ep, struct epitem *it)
{
	uint64_t key = (uint64_t)(uint32_t)it->fd + 1;
	struct epitem *first = htab_get(&ep->by_fd, key);

	if (first != it) {
		while (first->same_fd != it)
			first = first->same_fd;
		first->same_fd = it->same_fd;
	} else if (!it->same_fd) {
		(void)htab_del(&ep->by_fd, key);
	} else {
		/* Replacing an existing key allocates nothing. */
		int r _unused_ = htab_put(&ep->by_fd, key, it->same_fd);
	}
}

/* epoll_mu and ep->mu held. */
static void item_free_locked(struct epitem *it)
{
	struct epoll *ep = it->ep;

	waitq_del(&it->w); /* from here on no callback */
	mutex_lock(&ep->ready_mu);
	ready_del_locked(ep, it);
	mutex_unlock(&ep->ready_mu);
	unindex_locked(ep, it);
	list_del(&it->ep_node);
	list_del(&it->file_node);
	nr_watches--;
	ep->nr_items--;
	free(it);
}

/* Links @it into @ep and @it->file; epoll_mu and ep->mu held. */
static int item_link_locked(struct epoll *ep, struct epitem *it)
{
	if (nr_watches >= EP_MAX_WATCHES)
		return -ENOSPC;
	if (index_locked(ep, it) < 0)
		return -ENOMEM;
	nr_watches++;
	ep->nr_items++;
	it->ep = ep;
	list_add_tail(&ep->items, &it->ep_node);
	list_add_tail(&it->file->epitems, &it->file_node);
	it->w.mask = POLL_EVENTS; /* the callback filters, so that a change of events needs no lock of the file's queue */
	it->w.fn = item_event;
	it->w.exclusive = it->events & LINUX_EPOLLEXCLUSIVE;
	waitq_add(it->file->ops->pollq(it->file), &it->w);
	return 0;
}

void epoll_release_file(struct file *f)
{
	struct epitem *it, *tmp;

	mutex_lock(&epoll_mu);
	list_for_each_safe(it, tmp, &f->epitems, file_node) {
		struct epoll *ep = it->ep;

		mutex_lock(&ep->mu);
		item_free_locked(it);
		mutex_unlock(&ep->mu);
	}
	mutex_unlock(&epoll_mu);
}

static void epoll_release(struct file *f)
{
	struct epoll *ep = epoll_of(f);
	struct epitem *it, *tmp;

	mutex_lock(&epoll_mu);
	mutex_lock(&ep->mu);
	list_for_each_safe(it, tmp, &ep->items, ep_node)
		item_free_locked(it);
	mutex_unlock(&ep->mu);
	mutex_unlock(&epoll_mu);
	htab_done(&ep->by_fd);
	waitq_done(&ep->wq);
	mutex_destroy(&ep->mu);
	mutex_destroy(&ep->ready_mu);
	file_done(f);
	free(ep);
}

/* --- nesting; epoll_mu held, which keeps items and their sets alive --- */

/* Links below @ep, stopping above the limit; -ELOOP when @stop is reached. */
static int depth_below(const struct epoll *ep, const struct epoll *stop, int level)
{
	const struct epitem *it;
	int max = 0;

	if (ep == stop || level > EP_MAX_NESTS)
		return -ELOOP;
	list_for_each(it, &ep->items, ep_node) {
		int d;

		if (!file_is_epoll(it->file))
			continue;
		d = depth_below(epoll_of(it->file), stop, level + 1);
		if (d < 0)
			return d;
		max = MAX(max, d + 1);
	}
	return max;
}

static int depth_above(const struct epoll *ep, int level)
{
	const struct epitem *it;
	int max = 0;

	if (level > EP_MAX_NESTS)
		return level;
	list_for_each(it, &ep->file.epitems, file_node)
		max = MAX(max, depth_above(it->ep, level + 1) + 1);
	return max;
}

static int nesting_check(const struct epoll *ep, const struct epoll *target)
{
	int below = depth_below(target, ep, 0);

	if (below < 0)
		return below;
	return below + 1 + depth_above(ep, 0) > EP_MAX_NESTS ? -ELOOP : 0;
}

/* --- control --- */

static int ctl_add(struct epoll *ep, struct file *target, int fd, const struct linux_epoll_event *ev)
{
	struct epitem *it;
	int r = 0;

	if (file_is_epoll(target))
		r = nesting_check(ep, epoll_of(target));
	if (r)
		return r;
	it = calloc(1, sizeof(*it));
	if (!it)
		return -ENOMEM;
	it->file = target;
	it->fd = fd;
	it->events = ev->events | LINUX_POLLERR | LINUX_POLLHUP;
	it->data = ev->data;
	mutex_lock(&ep->mu);
	r = find_locked(ep, target, fd) ? -EEXIST : item_link_locked(ep, it);
	if (!r && (file_poll(target) & it->events & ~EP_PRIVATE))
		make_ready(it, false);
	mutex_unlock(&ep->mu);
	if (r)
		free(it);
	return r;
}

static int ctl_mod(struct epoll *ep, struct epitem *it, const struct linux_epoll_event *ev)
{
	uint32_t events = ev->events | LINUX_POLLERR | LINUX_POLLHUP;

	if ((it->events | ev->events) & LINUX_EPOLLEXCLUSIVE)
		return -EINVAL;
	mutex_lock(&ep->ready_mu);
	it->events = events;
	mutex_unlock(&ep->ready_mu);
	it->data = ev->data;
	if (file_poll(it->file) & events & ~EP_PRIVATE)
		make_ready(it, false);
	return 0;
}

int epoll_do_ctl(struct file *epf, int op, struct file *target, int fd, const struct linux_epoll_event *ev)
{
	struct epoll *ep = epoll_of(epf);
	struct epitem *it;
	int r;

	if (!file_pollq(target))
		return -EPERM;
	if (epf == target || !file_is_epoll(epf))
		return -EINVAL;
	if (op == LINUX_EPOLL_CTL_ADD && (ev->events & LINUX_EPOLLEXCLUSIVE) &&
	    (file_is_epoll(target) || (ev->events & ~EP_EXCL_OK)))
		return -EINVAL;
	mutex_lock(&epoll_mu);
	if (op == LINUX_EPOLL_CTL_ADD) {
		r = ctl_add(ep, target, fd, ev);
	} else if (op == LINUX_EPOLL_CTL_DEL || op == LINUX_EPOLL_CTL_MOD) {
		mutex_lock(&ep->mu);
		it = find_locked(ep, target, fd);
		r = 0;
		if (!it)
			r = -ENOENT;
		else if (op == LINUX_EPOLL_CTL_MOD)
			r = ctl_mod(ep, it, ev);
		else
			item_free_locked(it);
		mutex_unlock(&ep->mu);
	} else {
		r = -EINVAL;
	}
	mutex_unlock(&epoll_mu);
	/* Outside the locks: a new item may already be ready, and whoever sleeps in epoll_wait must look. */
	if (!r && op != LINUX_EPOLL_CTL_DEL && nr_ready(ep))
		waitq_wake(&ep->wq, POLL_READ);
	return r;
}

static void epoll_show_fdinfo(struct file *f, struct strbuf *b)
{
	struct epoll *ep = epoll_of(f);
	struct epitem *it;

	mutex_lock(&ep->mu);
	list_for_each(it, &ep->items, ep_node) {
		const struct inode *i = it->file->inode;

		strbuf_addf(b, "tfd: %8d events: %8x data: %16lx  pos:%ld ino:%lx sdev:%x\n", it->fd, it->events,
			    (unsigned long)it->data, (long)it->file->pos, (unsigned long)i->ino, 0u);
	}
	mutex_unlock(&ep->mu);
}

extern const struct state_type epoll_state_type;

static const struct file_ops epoll_ops = {
	.name = "eventpoll",
	.state = &epoll_state_type,
	.release = epoll_release,
	.poll = epoll_poll,
	.pollq = epoll_pollq,
	.llseek = file_noop_llseek,
	.show_fdinfo = epoll_show_fdinfo,
};

static void *epoll_alloc(void)
{
	struct epoll *ep = calloc(1, sizeof(*ep));

	if (!ep)
		return NULL;
	ref_init(&ep->file.ref);
	waitq_init(&ep->wq);
	mutex_init(&ep->mu, "epoll.mu");
	mutex_init(&ep->ready_mu, "epoll.ready_mu");
	list_init(&ep->items);
	list_init(&ep->ready);
	return ep;
}

int epoll_new(struct task *t, struct file **ret)
{
	struct epoll *ep = epoll_alloc();

	if (!ep)
		return -ENOMEM;
	file_init(&ep->file, &epoll_ops, LINUX_O_RDWR, t, NULL, NULL);
	*ret = &ep->file;
	return 0;
}

/* --- system calls --- */

static int64_t do_epoll_create(struct task *t, bool cloexec)
{
	struct file *f;
	int r = epoll_new(t, &f);

	if (r < 0)
		return r;
	r = fd_install(t, f, 0, cloexec);
	if (r < 0)
		file_put(f);
	return r;
}

int64_t sys_epoll_create(struct task *t, const struct sys_args *a)
{
	return ARG_INT(a, 0) <= 0 ? -EINVAL : do_epoll_create(t, false);
}

int64_t sys_epoll_create1(struct task *t, const struct sys_args *a)
{
	uint32_t flags = ARG_U32(a, 0);

	return flags & ~LINUX_EPOLL_CLOEXEC ? -EINVAL : do_epoll_create(t, flags & LINUX_EPOLL_CLOEXEC);
}

int64_t sys_epoll_ctl(struct task *t, const struct sys_args *a)
{
	_cleanup_file_ struct file *epf = NULL, *target = NULL;
	struct linux_epoll_event ev = { 0 };
	int op = ARG_INT(a, 1), r;

	if (op != LINUX_EPOLL_CTL_DEL) {
		r = copy_in(t, &ev, ARG_ADDR(a, 3), sizeof(ev));
		if (r < 0)
			return r;
	}
	epf = fd_get(t, ARG_INT(a, 0));
	if (!epf)
		return -EBADF;
	target = fd_get(t, ARG_INT(a, 2));
	if (!target)
		return -EBADF;
	return epoll_do_ctl(epf, op, target, ARG_INT(a, 2), &ev);
}

struct collect {
	struct file *epf;
	struct linux_epoll_event *out;
	int max;
};

static int64_t collect_op(void *arg)
{
	struct collect *c = arg;

	return epoll_collect(c->epf, c->out, c->max); /* 0: keep waiting */
}

/* @rel_ns < 0: for ever. */
static int64_t do_epoll_wait(struct task *t, int epfd, gaddr_t uev, int max, int64_t rel_ns)
{
	_cleanup_file_ struct file *epf = fd_get(t, epfd);
	_cleanup_free_ struct linux_epoll_event *heap = NULL;
	struct linux_epoll_event stack[EP_BATCH_STACK];
	struct collect c = { .out = stack, .max = EP_BATCH_STACK };
	int64_t r;

	if (!epf)
		return -EBADF;
	if (max <= 0 || max > (int)(INT32_MAX / sizeof(struct linux_epoll_event)) || !file_is_epoll(epf))
		return -EINVAL;
	if (max > EP_BATCH_STACK) {
		/*
		 * Programs pass the largest number that they can use, not the one that they expect. Items added while this call
		 * waits may exceed what was counted here; they come with the next call, as any smaller batch is allowed.
		 */
		mutex_lock(&epoll_of(epf)->mu);
		c.max = MAX(EP_BATCH_STACK, (int)epoll_of(epf)->nr_items);
		mutex_unlock(&epoll_of(epf)->mu);
		c.out = heap = malloc((size_t)c.max * sizeof(*heap));
		if (!heap)
			return -ENOMEM;
	}
	c.epf = epf;
	c.max = MIN(c.max, max);
	r = collect_op(&c);
	if (r == 0 && rel_ns != 0) {
		r = task_wait_on(t, &epoll_of(epf)->wq, POLL_READ, task_deadline(t, rel_ns), collect_op, &c);
		if (r == -ETIMEDOUT)
			r = collect_op(&c);
		else if (r == -ERESTARTSYS)
			r = -EINTR; /* never restarted, whatever SA_RESTART says */
	}
	if (r > 0) {
		int err = copy_out(t, uev, c.out, (size_t)r * sizeof(*c.out));

		if (err)
			r = err;
	}
	return r;
}

static int64_t ms_to_ns(int ms)
{
	return ms < 0 ? -1 : (int64_t)ms * 1000000;
}

/* The mask of the p-variants; NULL leaves the mask alone. */
static int set_wait_mask(struct task *t, gaddr_t mask, uint64_t size)
{
	sigset64_t set;
	int r;

	if (!mask.v)
		return 0;
	r = copy_in_sigset(t, mask, size, &set);
	if (r < 0)
		return r;
	signal_set_temp_mask(t, set);
	return 0;
}

int64_t sys_epoll_wait(struct task *t, const struct sys_args *a)
{
	return do_epoll_wait(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_INT(a, 2), ms_to_ns(ARG_INT(a, 3)));
}

int64_t sys_epoll_pwait(struct task *t, const struct sys_args *a)
{
	int r = set_wait_mask(t, ARG_ADDR(a, 4), a->a[5]);

	return r < 0 ? r : do_epoll_wait(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_INT(a, 2), ms_to_ns(ARG_INT(a, 3)));
}

int64_t sys_epoll_pwait2(struct task *t, const struct sys_args *a)
{
	int64_t rel = -1;
	int r;

	if (ARG_ADDR(a, 3).v) {
		r = copy_in_timespec(t, ARG_ADDR(a, 3), &rel);
		if (r < 0)
			return r;
	}
	r = set_wait_mask(t, ARG_ADDR(a, 4), a->a[5]);
	return r < 0 ? r : do_epoll_wait(t, ARG_INT(a, 0), ARG_ADDR(a, 1), ARG_INT(a, 2), rel);
}

/* --- state --- */

static uint32_t item_index(const struct epoll *ep, const struct epitem *want)
{
	const struct epitem *it;
	uint32_t i = 0;

	list_for_each(it, &ep->items, ep_node) {
		if (it == want)
			break;
		i++;
	}
	return i;
}

static int epoll_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct epoll *ep = obj;
	Sentry__Epoll *m = msg;
	const struct epitem *it;
	Sentry__EpollItem *im;
	size_t n = 0, k = 0;

	m->file_base = state_zalloc(w, 1, sizeof(*m->file_base));
	sentry__file_base__init(m->file_base);
	list_for_each(it, &ep->items, ep_node)
		n++;
	m->items = state_zalloc(w, n, sizeof(*m->items));
	m->n_items = n;
	im = state_zalloc(w, n, sizeof(*im));
	list_for_each(it, &ep->items, ep_node) {
		sentry__epoll_item__init(im);
		im->file = file_state_ref(w, it->file);
		im->fd = it->fd;
		im->events = it->events;
		im->data = it->data;
		m->items[k++] = im++;
	}
	m->ready = state_zalloc(w, ep->nr_ready, sizeof(*m->ready));
	list_for_each(it, &ep->ready, ready_node)
		m->ready[m->n_ready++] = item_index(ep, it);
	return file_save_base(w, &ep->file, m->file_base);
}

/* Until after_load the items are in ep->items only, each with a reference on its file. */
static int epoll_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__Epoll *m = msg;
	struct epoll *ep = obj;
	int err = state_check(r, m->file_base && m->n_items <= EP_MAX_WATCHES && m->n_ready <= m->n_items, "epoll sizes");
	_cleanup_free_ struct epitem **all = NULL;

	if (!err)
		err = file_load_base(r, &ep->file, &epoll_ops, m->file_base);
	if (err)
		return err;
	all = calloc(m->n_items + 1, sizeof(struct epitem *));
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_items; i++) {
		const Sentry__EpollItem *im = m->items[i];
		struct epitem *it = calloc(1, sizeof(*it));

		if (!it)
			return -ENOMEM;
		all[i] = it;
		it->ep = ep;
		it->fd = im->fd;
		it->events = im->events;
		it->data = im->data;
		list_add_tail(&ep->items, &it->ep_node);
		err = file_state_deref(r, im->file, &it->file);
		if (!err)
			err = state_check(r, it->file != NULL, "epoll item without file");
		if (err)
			return err;
	}
	for (size_t i = 0; i < m->n_ready; i++) {
		err = state_check(r, m->ready[i] < m->n_items && !list_linked(&all[m->ready[i]]->ready_node),
				  "epoll ready list");
		if (err)
			return err;
		ready_add_locked(ep, all[m->ready[i]], false);
	}
	return 0;
}

static int epoll_after_load(struct state_reader *r, void *obj)
{
	struct epoll *ep = obj;
	struct list loaded;
	struct epitem *it, *tmp;
	int err = 0;

	list_init(&loaded);
	list_splice_tail(&loaded, &ep->items);
	mutex_lock(&epoll_mu);
	list_for_each_safe(it, tmp, &loaded, ep_node) {
		err = state_check(r, it->file->ops && it->file->ops->pollq && it->file != &ep->file, "epoll item's file");
		if (!err && file_is_epoll(it->file))
			err = state_check(r, nesting_check(ep, epoll_of(it->file)) == 0, "epoll nesting");
		if (!err)
			err = state_check(r, !find_locked(ep, it->file, it->fd), "epoll item twice");
		if (err)
			break;
		list_del(&it->ep_node);
		mutex_lock(&ep->mu);
		err = item_link_locked(ep, it);
		mutex_unlock(&ep->mu);
		if (err)
			break;
	}
	mutex_unlock(&epoll_mu);
	if (err)
		return err;
	/* The loader still holds a reference on every object, so this never is the last one. */
	list_for_each(it, &ep->items, ep_node)
		file_put(it->file);
	file_after_load_base(&ep->file);
	return 0;
}

const struct state_type epoll_state_type = {
	.id = STATE_ID_epoll,
	.name = "epoll",
	.desc = &sentry__epoll__descriptor,
	.prio = STATE_PRIO_TIMER, /* after every file it may watch */
	.alloc = epoll_alloc,
	.save = epoll_save,
	.load = epoll_load,
	.after_load = epoll_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
