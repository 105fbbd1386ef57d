/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who runs requests that can go on.
 *
 *   armed --file or timer--> ready list of the ring    a task in io_uring_enter that submitted it (also the only one that may, with
 *                        |                             IORING_SETUP_DEFER_TASKRUN)
 *                        `-> fast list                 one helper, which never sleeps in a request
 *   operations that may sleep --> slow list            helpers, one per sleeping request
 *
 * Locks: uring_q_mu guards everything here and the state of every request. It is taken in wait-queue callbacks (below the target's
 * waitq.mu) and is outside task.park_mu only.
 * Linux: io_uring/io-wq.c, task work.
 */
#include "sentry/fs/poll.h"
#include "sentry/fs/uring/uring_internal.h"
#include "sentry/kernel/kthread.h"

#define MAX_SLOW 512
#define IDLE_NS	 (5 * NSEC_PER_SEC)

struct mutex uring_q_mu = MUTEX_INIT("uring.q");

struct idle {
	struct list node;
	struct task *task;
};

/* All guarded by uring_q_mu. */
static struct {
	struct list fast, slow; /* ureq.qnode */
	struct list idle_slow; /* struct idle */
	struct list tells; /* uring.tell_node: rings whose pollers are to be told; each with a reference */
	struct task *fast_task; /* the fast helper */
	bool fast_starting;
	unsigned nr_slow, nr_idle_slow;
} pool = { .fast = LIST_INIT(pool.fast), .slow = LIST_INIT(pool.slow), .idle_slow = LIST_INIT(pool.idle_slow),
	   .tells = LIST_INIT(pool.tells) };

/* --- ready lists --- */

static struct uring_wait *waiting_locked(struct uring *r, const struct task *t)
{
	struct uring_wait *w;

	list_for_each(w, &r->waiting, node)
		if (w->task == t)
			return w;
	return NULL;
}

/* Pollers of a ring whose owner has to come and run its requests are told by the fast helper: here a wait queue's lock may be held. */
static void tell_pollers_locked(struct uring *r)
{
	if (r->setup & LINUX_IORING_SETUP_TASKRUN_FLAG)
		(void)__atomic_fetch_or(uring_word(r, RING_SQ_FLAGS), LINUX_IORING_SQ_TASKRUN, __ATOMIC_RELEASE);
	if (r->tell)
		return;
	r->tell = true;
	(void)uring_get(r);
	list_add_tail(&pool.tells, &r->tell_node);
	if (pool.fast_task)
		task_wake(pool.fast_task);
}

static void queue_locked(struct ureq *q, bool front)
{
	struct uring *r = q->r;
	struct uring_wait *w;
	struct list *l;

	q->state = UREQ_READY;
	if (q->flags & UREQ_SLOW) {
		if (front)
			list_add(&pool.slow, &q->qnode);
		else
			list_add_tail(&pool.slow, &q->qnode);
		if (!list_empty(&pool.idle_slow)) {
			struct idle *i = list_first(&pool.idle_slow, struct idle, node);

			list_del(&i->node);
			pool.nr_idle_slow--;
			task_wake(i->task);
		}
		return;
	}
	w = waiting_locked(r, q->task);
	l = w || (r->setup & LINUX_IORING_SETUP_DEFER_TASKRUN && !q->orphan) ? &r->ready : &pool.fast;
	list_add_tail(l, &q->qnode);
	if (w)
		task_wake(w->task);
	else if (l == &r->ready)
		tell_pollers_locked(r);
	else if (pool.fast_task)
		task_wake(pool.fast_task);
}

/* Something that @q waited for may have come. Any thread, any lock but our own. */
static void fire(struct ureq *q)
{
	mutex_lock(&uring_q_mu);
	q->fired = true;
	if (q->state == UREQ_ARMED)
		queue_locked(q, false);
	mutex_unlock(&uring_q_mu);
}

static bool on_wake(struct waiter *w, uint32_t mask)
{
	struct ureq *q = container_of(w, struct ureq, w);

	fire(q);
	return true;
}

static void on_timer(struct ktimer *k)
{
	fire(container_of(k, struct ureq, timer));
}

void ureq_init_callbacks(struct ureq *q)
{
	ktimer_init(&q->timer, KCLOCK_MONOTONIC, on_timer);
	q->w.fn = on_wake;
}

bool ureq_watch(struct ureq *q, uint32_t mask)
{
	if (q->w.q)
		return true;
	q->w.mask = mask | LINUX_POLLERR | LINUX_POLLHUP;
	return file_poll_add(q->file, &q->w);
}

void ureq_unwatch(struct ureq *q)
{
	waitq_del(&q->w);
}

void ureq_timer_start(struct ureq *q)
{
	q->flags |= UREQ_TIMER;
	q->timer.clock = q->realtime ? KCLOCK_REALTIME : KCLOCK_MONOTONIC;
	ktimer_arm(&q->timer, q->deadline);
}

bool ureq_arm(struct ureq *q)
{
	bool armed;

	mutex_lock(&uring_q_mu);
	armed = !q->fired && !q->cancel;
	q->fired = false;
	if (armed)
		q->state = UREQ_ARMED;
	mutex_unlock(&uring_q_mu);
	return armed;
}

bool ureq_claim(struct ureq *q, bool cancel)
{
	bool mine;

	mutex_lock(&uring_q_mu);
	mine = q->state == UREQ_ARMED || q->state == UREQ_READY;
	if (mine) {
		list_del(&q->qnode);
		q->state = UREQ_RUNNING;
	} else if (cancel && q->state == UREQ_RUNNING) {
		q->cancel = true;
		if (q->worker)
			task_set_work(q->worker, WORK_SIGNAL);
	}
	mutex_unlock(&uring_q_mu);
	return mine;
}

struct ureq *uring_take_ready(struct uring *r, struct task *t)
{
	struct ureq *q, *got = NULL;

	mutex_lock(&uring_q_mu);
	list_for_each(q, &r->ready, qnode)
		if (q->task == t) {
			got = q;
			break;
		}
	if (got) {
		list_del(&got->qnode);
		got->state = UREQ_RUNNING;
		got->fired = false;
	}
	if (list_empty(&r->ready) && r->setup & LINUX_IORING_SETUP_TASKRUN_FLAG)
		(void)__atomic_fetch_and(uring_word(r, RING_SQ_FLAGS), ~LINUX_IORING_SQ_TASKRUN, __ATOMIC_RELEASE);
	mutex_unlock(&uring_q_mu);
	return got;
}

bool uring_has_ready(struct uring *r)
{
	bool any;

	mutex_lock(&uring_q_mu);
	any = !list_empty(&r->ready);
	mutex_unlock(&uring_q_mu);
	return any;
}

void uring_wait_begin(struct uring *r, struct uring_wait *w, struct task *t)
{
	w->task = t;
	mutex_lock(&uring_q_mu);
	list_add_tail(&r->waiting, &w->node);
	mutex_unlock(&uring_q_mu);
}

void uring_wait_end(struct uring *r, struct uring_wait *w)
{
	struct ureq *q, *next;

	mutex_lock(&uring_q_mu);
	list_del(&w->node);
	/* What came in the meantime is for the fast helper, unless only its task may run it. */
	if (!(r->setup & LINUX_IORING_SETUP_DEFER_TASKRUN))
		list_for_each_safe(q, next, &r->ready, qnode)
			if (!waiting_locked(r, q->task)) {
				list_del(&q->qnode);
				queue_locked(q, false);
			}
	mutex_unlock(&uring_q_mu);
}

/* --- helpers --- */

static struct ureq *take(struct list *l)
{
	struct ureq *q;

	if (list_empty(l))
		return NULL;
	q = list_first(l, struct ureq, qnode);
	list_del(&q->qnode);
	q->state = UREQ_RUNNING;
	q->fired = false; /* whatever it was, the attempt that follows sees it */
	return q;
}

void uring_worker_done(struct task *self, struct ureq *q)
{
	mutex_lock(&uring_q_mu);
	if (q->worker == self) {
		q->worker = NULL;
		(void)atomic_fetch_and(&self->work, ~WORK_SIGNAL);
	}
	mutex_unlock(&uring_q_mu);
}

/* A request whose task has ended has nobody to act for. A timer still counts; what waits for its file is cancelled when that is ready. */
static void run_orphan(struct task *self, struct ureq *q)
{
	if (q->sqe.opcode == LINUX_IORING_OP_TIMEOUT || q->sqe.opcode == LINUX_IORING_OP_LINK_TIMEOUT) {
		ureq_run(self, q, false);
		return;
	}
	while (!(q->flags & UREQ_SLOW) && !q->cancel && q->file && ureq_watch(q, ureq_wait_mask(q)) &&
	       !(file_poll(q->file) & (ureq_wait_mask(q) | LINUX_POLLERR | LINUX_POLLHUP)))
		if (ureq_arm(q))
			return;
	ureq_end(q, -ECANCELED);
}

static void run_as(struct task *self, struct ureq *q, bool may_sleep)
{
	if (q->task && !q->orphan && kthread_adopt(self, q->task, q->cred)) {
		ureq_run(self, q, may_sleep);
	} else {
		uring_worker_done(self, q);
		run_orphan(self, q);
	}
}

static void fast_main(struct task *self, void *arg)
{
	mutex_lock(&uring_q_mu);
	pool.fast_task = self;
	pool.fast_starting = false;
	mutex_unlock(&uring_q_mu);
	for (;;) {
		struct uring *tell = NULL;
		struct ureq *q;

		kthread_park(self);
		task_block_prepare(self);
		mutex_lock(&uring_q_mu);
		if (!list_empty(&pool.tells)) {
			tell = list_first(&pool.tells, struct uring, tell_node);
			list_del(&tell->tell_node);
			tell->tell = false;
		}
		q = tell ? NULL : take(&pool.fast);
		mutex_unlock(&uring_q_mu);
		if (tell) {
			uring_cq_notify(tell, true);
			uring_put(tell);
		} else if (q) {
			run_as(self, q, false);
		} else {
			kthread_drop(self);
			if (task_block(self, TIME_FOREVER) < 0)
				continue; /* a freeze: parks above */
		}
	}
}

static void slow_main(struct task *self, void *arg)
{
	struct idle idle = { .task = self };

	for (;;) {
		struct ureq *q;
		int r;

		kthread_park(self);
		task_block_prepare(self);
		mutex_lock(&uring_q_mu);
		q = take(&pool.slow);
		if (q) {
			q->worker = self;
		} else if (!list_linked(&idle.node)) {
			list_add(&pool.idle_slow, &idle.node);
			pool.nr_idle_slow++;
		}
		mutex_unlock(&uring_q_mu);
		if (q) {
			run_as(self, q, true);
			continue;
		}
		kthread_drop(self);
		r = task_block(self, ktime_mono() + IDLE_NS);
		mutex_lock(&uring_q_mu);
		if (list_linked(&idle.node)) {
			list_del(&idle.node);
			pool.nr_idle_slow--;
		}
		if (r == -ETIMEDOUT && list_empty(&pool.slow)) {
			pool.nr_slow--;
			mutex_unlock(&uring_q_mu);
			return;
		}
		mutex_unlock(&uring_q_mu);
	}
}

int uring_need_worker(void)
{
	bool start;
	int r = 0;

	mutex_lock(&uring_q_mu);
	start = !pool.fast_task && !pool.fast_starting;
	if (start)
		pool.fast_starting = true;
	mutex_unlock(&uring_q_mu);
	if (start)
		r = kthread_start(the_kernel, "iou-fast", fast_main, NULL);
	if (r < 0) {
		mutex_lock(&uring_q_mu);
		pool.fast_starting = false;
		mutex_unlock(&uring_q_mu);
	}
	return r;
}

/* One more helper when nobody is free for what is on the slow list. */
static int need_slow(void)
{
	bool start;
	int r = 0;

	mutex_lock(&uring_q_mu);
	start = !list_empty(&pool.slow) && list_empty(&pool.idle_slow) && pool.nr_slow < MAX_SLOW;
	if (start)
		pool.nr_slow++;
	mutex_unlock(&uring_q_mu);
	if (start)
		r = kthread_start(the_kernel, "iou-wrk", slow_main, NULL);
	if (r < 0) {
		mutex_lock(&uring_q_mu);
		pool.nr_slow--;
		if (pool.nr_slow)
			r = 0; /* others will come to it */
		mutex_unlock(&uring_q_mu);
	}
	return r;
}

void ureq_requeue(struct ureq *q)
{
	mutex_lock(&uring_q_mu);
	queue_locked(q, true);
	mutex_unlock(&uring_q_mu);
}

void ureq_requeue_tail(struct ureq *q)
{
	mutex_lock(&uring_q_mu);
	queue_locked(q, false);
	mutex_unlock(&uring_q_mu);
}

void ureq_make_ready(struct ureq *q)
{
	bool slow = q->flags & UREQ_SLOW;
	int r;

	mutex_lock(&uring_q_mu);
	queue_locked(q, false);
	mutex_unlock(&uring_q_mu);
	r = slow ? need_slow() : uring_need_worker();
	/* Without a single helper it would wait for ever. */
	if (r < 0 && ureq_claim(q, false))
		ureq_end(q, -EAGAIN);
}

int uring_restore_helpers(void)
{
	bool fast, slow;
	int r = 0;

	mutex_lock(&uring_q_mu);
	fast = !list_empty(&pool.fast) || !list_empty(&pool.tells);
	slow = !list_empty(&pool.slow);
	mutex_unlock(&uring_q_mu);
	if (fast)
		r = uring_need_worker();
	if (slow && r == 0)
		r = need_slow();
	return r;
}
