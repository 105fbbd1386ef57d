/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futexes: queues, plain waits, wakes, requeues.
 *
 * A waiter hangs in the bucket its key hashes to. The word is compared while the bucket is locked, and wakers lock it after they changed
 * the word, so a wake-up between the comparison and the sleep cannot be lost.
 *
 * Locks: bucket.mu (two: by address) > mm.lock, task.park_mu.
 * Checkpoint: tasks park one after another, and one that still runs may wake one that has parked. So a wait interrupted by a freeze
 * stays queued (task.futex_parked); the wake is noted in its sysctx, which is saved. futex_restore() queues loaded waits before any task
 * runs. Linux: kernel/futex/. DEVIATION: PI futexes hand over in FIFO order; priorities are not inherited (no task has one here).
 */
#include "sentry/kernel/futex_internal.h"

#include <string.h>

#include "sentry/kernel/time_ns.h"

#define FUTEX_L_PRIVATE	       128
#define FUTEX_L_CLOCK_REALTIME 256

enum {
	FUTEX_L_WAIT,
	FUTEX_L_WAKE,
	FUTEX_L_FD,
	FUTEX_L_REQUEUE,
	FUTEX_L_CMP_REQUEUE,
	FUTEX_L_WAKE_OP,
	FUTEX_L_LOCK_PI,
	FUTEX_L_UNLOCK_PI,
	FUTEX_L_TRYLOCK_PI,
	FUTEX_L_WAIT_BITSET,
	FUTEX_L_WAKE_BITSET,
	FUTEX_L_WAIT_REQUEUE_PI,
	FUTEX_L_CMP_REQUEUE_PI,
	FUTEX_L_LOCK_PI2,
};

static struct futex_bucket buckets[FUTEX_NR_BUCKETS];

static void __attribute__((constructor)) futex_init(void)
{
	for (size_t i = 0; i < FUTEX_NR_BUCKETS; i++) {
		mutex_init(&buckets[i].mu, "futex_bucket.mu");
		list_init(&buckets[i].waiters);
	}
}

struct futex_bucket *futex_bucket(const struct futex_key *k)
{
	return &buckets[hash_u64(k->a ^ hash_u64(k->b + k->c * 31)) % FUTEX_NR_BUCKETS];
}

struct futex_bucket *futex_bucket_nth(size_t i)
{
	return &buckets[i];
}

bool futex_key_eq(const struct futex_key *a, const struct futex_key *b)
{
	return a->a == b->a && a->b == b->b && a->c == b->c;
}

void futex_lock2(struct futex_bucket *a, struct futex_bucket *b)
{
	mutex_lock(a < b ? &a->mu : &b->mu);
	if (a != b)
		mutex_lock_nested(a < b ? &b->mu : &a->mu);
}

void futex_unlock2(struct futex_bucket *a, struct futex_bucket *b)
{
	mutex_unlock(&a->mu);
	if (a != b)
		mutex_unlock(&b->mu);
}

struct futex_set *futex_set_new(struct task *t, size_t n)
{
	struct futex_set *s = calloc(1, sizeof(*s) + n * sizeof(s->w[0]));

	if (!s)
		return NULL;
	s->task = t;
	s->n = n;
	for (size_t i = 0; i < n; i++)
		s->w[i].set = s;
	return s;
}

void futex_set_free(struct futex_set *s)
{
	free(s);
}

void futex_queue(struct futex_bucket *b, struct futex_waiter *w)
{
	__atomic_store_n(&w->b, b, __ATOMIC_RELEASE);
	list_add_tail(&b->waiters, &w->node);
}

void futex_wake_one(struct futex_waiter *w)
{
	struct task *t = w->set->task;

	list_del(&w->node);
	w->woken = true;
	t->sysctx.val[FUTEX_VAL] = 1 + (uint64_t)(w - w->set->w);
	task_wake(t);
}

/* Locks the bucket @w is in. */
static struct futex_bucket *lock_waiter(struct futex_waiter *w)
{
	for (;;) {
		struct futex_bucket *b = __atomic_load_n(&w->b, __ATOMIC_ACQUIRE);

		mutex_lock(&b->mu);
		if (b == __atomic_load_n(&w->b, __ATOMIC_ACQUIRE))
			return b;
		mutex_unlock(&b->mu);
	}
}

/* Index of a woken waiter, or -EAGAIN. */
static int64_t set_woken(struct futex_set *s)
{
	int64_t r = -EAGAIN;

	for (size_t i = 0; i < s->n; i++) {
		struct futex_bucket *b;

		if (!s->w[i].b)
			continue;
		b = lock_waiter(&s->w[i]);
		if (s->w[i].woken)
			r = (int64_t)i;
		mutex_unlock(&b->mu);
	}
	return r;
}

/* Takes all waiters out; the index of one that was woken first, or -EAGAIN. */
static int64_t set_unqueue(struct futex_set *s, bool *requeued)
{
	int64_t r = -EAGAIN;

	for (size_t i = 0; i < s->n; i++) {
		struct futex_bucket *b;

		if (!s->w[i].b)
			continue;
		b = lock_waiter(&s->w[i]);
		if (s->w[i].woken)
			r = (int64_t)i;
		list_del(&s->w[i].node);
		if (requeued)
			*requeued = s->w[i].requeued;
		mutex_unlock(&b->mu);
	}
	s->task->sysctx.val[FUTEX_VAL] = s->task->sysctx.val[FUTEX_AT] = 0;
	return r;
}

int64_t futex_sleep(struct futex_set *s, enum kclock clock, int64_t deadline, bool *requeued)
{
	struct task *t = s->task;
	int64_t woken;
	int r;

	for (;;) {
		if (set_woken(s) >= 0) {
			r = 0;
			break;
		}
		r = task_block_until(t, clock, deadline);
		if (r == -EFREEZE) {
			t->futex_parked = s;
			return r;
		}
		if (r < 0)
			break;
	}
	woken = set_unqueue(s, requeued);
	futex_set_free(s);
	return woken >= 0 ? woken : r;
}

struct futex_set *futex_resume(struct task *t, int64_t *ret)
{
	struct futex_set *s = t->futex_parked;

	*ret = -1;
	if (!t->sysctx.again)
		return NULL;
	t->futex_parked = NULL;
	if (!s && t->sysctx.val[FUTEX_VAL]) {
		*ret = (int64_t)t->sysctx.val[FUTEX_VAL] - 1;
		t->sysctx.val[FUTEX_VAL] = 0;
	}
	return s;
}

/* --- wait --- */

/* Compares and queues @w. 0, -EAGAIN when the word is not @val, -EFAULT. */
static int queue_if(struct task *t, struct futex_waiter *w, uint32_t val)
{
	struct futex_bucket *b = futex_bucket(&w->key);
	uint32_t cur;
	int r;

	mutex_lock(&b->mu);
	r = mm_load_u32(t->mm, w->addr, &cur);
	if (r == 0 && cur != val)
		r = -EAGAIN;
	if (r == 0) {
		futex_queue(b, w);
		if (w->set->n == 1)
			t->sysctx.val[FUTEX_AT] = w->addr.v | 1;
	}
	mutex_unlock(&b->mu);
	return r;
}

static int64_t wait_result(int64_t r, int64_t deadline)
{
	if (r >= 0)
		return 0;
	/* Linux: without a timeout the call begins again, with one it continues. */
	return r == -ERESTARTSYS && deadline != TIME_FOREVER ? -ERESTARTBLOCK : r;
}

static int64_t futex_wait(struct task *t, gaddr_t addr, bool shared, uint32_t val, uint32_t bitset, enum kclock clock, int64_t deadline)
{
	int64_t r;
	struct futex_set *s = futex_resume(t, &r);

	if (r >= 0)
		return 0;
	task_block_prepare(t);
	if (!s) {
		struct futex_waiter *w;

		if (!bitset)
			return -EINVAL;
		s = futex_set_new(t, 1);
		if (!s)
			return -ENOMEM;
		w = &s->w[0];
		w->bitset = bitset;
		w->addr = addr;
		r = mm_futex_key(t->mm, addr, shared, false, &w->key);
		if (r == 0)
			r = queue_if(t, w, val);
		if (r < 0) {
			futex_set_free(s);
			return r;
		}
	}
	return wait_result(futex_sleep(s, clock, deadline, NULL), deadline);
}

/* --- wake --- */

/* Bucket locked. */
static int wake_locked(struct futex_bucket *b, const struct futex_key *key, int n, uint32_t bitset)
{
	struct futex_waiter *w, *tmp;
	int woken = 0;

	list_for_each_safe(w, tmp, &b->waiters, node) {
		if (woken >= n)
			break;
		if (!futex_key_eq(&w->key, key))
			continue;
		if (w->kind != FUTEX_K_WAIT)
			return -EINVAL;
		if (!(w->bitset & bitset))
			continue;
		futex_wake_one(w);
		woken++;
	}
	return woken;
}

static int64_t futex_wake(struct task *t, gaddr_t addr, bool shared, int n, uint32_t bitset)
{
	struct futex_bucket *b;
	struct futex_key key;
	int r;

	if (!bitset)
		return -EINVAL;
	r = mm_futex_key(t->mm, addr, shared, false, &key);
	if (r < 0)
		return r;
	b = futex_bucket(&key);
	mutex_lock(&b->mu);
	r = wake_locked(b, &key, MAX(n, 1), bitset); /* as Linux: 0 and less still wake one */
	mutex_unlock(&b->mu);
	return r;
}

void futex_wake_addr(struct task *t, gaddr_t addr, int n)
{
	/* A waiter may have used either kind of key. */
	if (t->mm && futex_wake(t, addr, true, n, FUTEX_L_BITSET_ANY) < 1)
		(void)futex_wake(t, addr, false, n, FUTEX_L_BITSET_ANY);
}

static int64_t futex_requeue(struct task *t, gaddr_t addr, bool shared, gaddr_t addr2, int nr_wake, int nr_requeue, const uint32_t *cmp)
{
	struct futex_bucket *b1, *b2;
	struct futex_key k1, k2;
	struct futex_waiter *w, *tmp;
	int woken = 0, moved = 0, r;
	uint32_t cur;

	if (nr_wake < 0 || nr_requeue < 0)
		return -EINVAL;
	r = mm_futex_key(t->mm, addr, shared, false, &k1);
	if (r == 0)
		r = mm_futex_key(t->mm, addr2, shared, false, &k2);
	if (r < 0)
		return r;
	b1 = futex_bucket(&k1);
	b2 = futex_bucket(&k2);
	futex_lock2(b1, b2);
	if (cmp) {
		r = mm_load_u32(t->mm, addr, &cur);
		if (r == 0 && cur != *cmp)
			r = -EAGAIN;
	}
	if (r == 0)
		list_for_each_safe(w, tmp, &b1->waiters, node) {
			if (woken >= nr_wake && moved >= nr_requeue)
				break;
			if (!futex_key_eq(&w->key, &k1))
				continue;
			if (w->kind != FUTEX_K_WAIT) {
				r = -EINVAL;
				break;
			}
			if (woken < nr_wake) {
				futex_wake_one(w);
				woken++;
				continue;
			}
			moved++;
			if (futex_key_eq(&k1, &k2))
				continue;
			list_del(&w->node);
			w->key = k2;
			w->addr = addr2;
			w->requeued = true;
			if (w->set->n == 1)
				w->set->task->sysctx.val[FUTEX_AT] = addr2.v | 1;
			futex_queue(b2, w);
		}
	futex_unlock2(b1, b2);
	if (r < 0)
		return r;
	/* Linux counts the moved ones only for the comparing form. */
	return cmp ? woken + moved : woken;
}

/* The atomic operation of FUTEX_WAKE_OP: 1 or 0, the comparison's result. */
static int wake_op(struct mm *mm, gaddr_t addr, uint32_t enc)
{
	uint32_t op = enc >> 28 & 7, cmp = enc >> 24 & 15, old, seen;
	int32_t oparg = (int32_t)(enc << 8) >> 20, cmparg = (int32_t)(enc << 20) >> 20;
	int r;

	if (enc & 0x80000000u)
		oparg = (int32_t)(1u << (oparg & 31));
	r = mm_load_u32(mm, addr, &old);
	while (r == 0) {
		uint32_t arg = (uint32_t)oparg, nv;

		switch (op) {
		case 0:
			nv = arg;
			break;
		case 1:
			nv = old + arg;
			break;
		case 2:
			nv = old | arg;
			break;
		case 3:
			nv = old & ~arg;
			break;
		case 4:
			nv = old ^ arg;
			break;
		default:
			return -ENOSYS;
		}
		r = mm_cmpxchg_u32(mm, addr, old, nv, &seen);
		if (r == 0 && seen == old)
			break;
		old = seen;
	}
	if (r < 0)
		return r;
	switch (cmp) {
	case 0:
		return (int32_t)old == cmparg;
	case 1:
		return (int32_t)old != cmparg;
	case 2:
		return (int32_t)old < cmparg;
	case 3:
		return (int32_t)old <= cmparg;
	case 4:
		return (int32_t)old > cmparg;
	case 5:
		return (int32_t)old >= cmparg;
	default:
		return -ENOSYS;
	}
}

static int64_t futex_wake_op(struct task *t, gaddr_t addr, bool shared, gaddr_t addr2, int n1, int n2, uint32_t enc)
{
	struct futex_bucket *b1, *b2;
	struct futex_key k1, k2;
	int r, cond;

	r = mm_futex_key(t->mm, addr, shared, false, &k1);
	if (r == 0)
		r = mm_futex_key(t->mm, addr2, shared, true, &k2);
	if (r < 0)
		return r;
	b1 = futex_bucket(&k1);
	b2 = futex_bucket(&k2);
	futex_lock2(b1, b2);
	cond = r = wake_op(t->mm, addr2, enc);
	if (r >= 0)
		r = wake_locked(b1, &k1, MAX(n1, 1), FUTEX_L_BITSET_ANY);
	if (r >= 0 && cond) {
		int r2 = wake_locked(b2, &k2, MAX(n2, 1), FUTEX_L_BITSET_ANY);

		r = r2 < 0 ? r2 : r + r2;
	}
	futex_unlock2(b1, b2);
	return r;
}

/* --- system calls --- */

/* @clock: what an absolute time is on. */
static int get_deadline(struct task *t, const struct sys_args *a, uint32_t cmd, enum kclock clock, int64_t *ret)
{
	int64_t ns;
	int r;

	*ret = TIME_FOREVER;
	if (cmd != FUTEX_L_WAIT && cmd != FUTEX_L_WAIT_BITSET && cmd != FUTEX_L_LOCK_PI && cmd != FUTEX_L_LOCK_PI2 &&
	    cmd != FUTEX_L_WAIT_REQUEUE_PI)
		return 0;
	if (!a->a[3])
		return 0;
	r = copy_in_timespec(t, ARG_ADDR(a, 3), &ns);
	if (r < 0)
		return r;
	if (cmd == FUTEX_L_WAIT)
		*ret = task_deadline(t, ns);
	else if (clock == KCLOCK_MONOTONIC)
		*ret = task_clock_to_kernel(t, LINUX_CLOCK_MONOTONIC, ns);
	else
		*ret = ns;
	return 0;
}

int64_t sys_futex(struct task *t, const struct sys_args *a)
{
	gaddr_t addr = ARG_ADDR(a, 0), addr2 = ARG_ADDR(a, 4);
	uint32_t op = ARG_U32(a, 1), val = ARG_U32(a, 2), val3 = ARG_U32(a, 5);
	uint32_t cmd = op & ~(uint32_t)(FUTEX_L_PRIVATE | FUTEX_L_CLOCK_REALTIME);
	bool shared = !(op & FUTEX_L_PRIVATE), realtime = op & FUTEX_L_CLOCK_REALTIME;
	enum kclock clock = realtime ? KCLOCK_REALTIME : KCLOCK_MONOTONIC;
	int val2 = ARG_INT(a, 3);
	int64_t deadline;
	int r;

	if (realtime && cmd != FUTEX_L_WAIT_BITSET && cmd != FUTEX_L_WAIT_REQUEUE_PI && cmd != FUTEX_L_LOCK_PI2)
		return -ENOSYS;
	r = get_deadline(t, a, cmd, cmd == FUTEX_L_LOCK_PI ? KCLOCK_REALTIME : clock, &deadline);
	if (r < 0)
		return r;
	switch (cmd) {
	case FUTEX_L_WAIT:
		return futex_wait(t, addr, shared, val, FUTEX_L_BITSET_ANY, clock, deadline);
	case FUTEX_L_WAIT_BITSET:
		return futex_wait(t, addr, shared, val, val3, clock, deadline);
	case FUTEX_L_WAKE:
		return futex_wake(t, addr, shared, (int)val, FUTEX_L_BITSET_ANY);
	case FUTEX_L_WAKE_BITSET:
		return futex_wake(t, addr, shared, (int)val, val3);
	case FUTEX_L_REQUEUE:
		return futex_requeue(t, addr, shared, addr2, (int)val, val2, NULL);
	case FUTEX_L_CMP_REQUEUE:
		return futex_requeue(t, addr, shared, addr2, (int)val, val2, &val3);
	case FUTEX_L_WAKE_OP:
		return futex_wake_op(t, addr, shared, addr2, (int)val, val2, val3);
	case FUTEX_L_LOCK_PI:
		return futex_lock_pi(t, addr, shared, false, KCLOCK_REALTIME, deadline);
	case FUTEX_L_LOCK_PI2:
		return futex_lock_pi(t, addr, shared, false, clock, deadline);
	case FUTEX_L_TRYLOCK_PI:
		return futex_lock_pi(t, addr, shared, true, clock, TIME_FOREVER);
	case FUTEX_L_UNLOCK_PI:
		return futex_unlock_pi(t, addr, shared);
	case FUTEX_L_WAIT_REQUEUE_PI:
		return futex_wait_requeue_pi(t, addr, shared, val, FUTEX_L_BITSET_ANY, addr2, clock, deadline);
	case FUTEX_L_CMP_REQUEUE_PI:
		return futex_requeue_pi(t, addr, shared, addr2, (int)val, val2, val3);
	default:
		return -ENOSYS;
	}
}

#define FUTEX2_SIZE_MASK 3
#define FUTEX2_SIZE_U32	 2
#define FUTEX2_PRIVATE	 128
#define WAITV_MAX	 128

struct linux_futex_waitv {
	uint64_t val, uaddr;
	uint32_t flags, reserved;
};

/* Queues all, or none: index >= 0 when one was woken meanwhile, -EAGAIN when a word differs. */
static int64_t waitv_queue(struct task *t, struct futex_set *s, const struct linux_futex_waitv *v)
{
	for (size_t i = 0; i < s->n; i++) {
		struct futex_waiter *w = &s->w[i];
		int64_t woken;
		int r;

		w->bitset = FUTEX_L_BITSET_ANY;
		w->addr = GADDR(v[i].uaddr);
		r = mm_futex_key(t->mm, w->addr, !(v[i].flags & FUTEX2_PRIVATE), false, &w->key);
		if (r == 0)
			r = queue_if(t, w, (uint32_t)v[i].val);
		if (r == 0)
			continue;
		woken = set_unqueue(s, NULL);
		return woken >= 0 ? woken : r;
	}
	return -1;
}

static int waitv_args(struct task *t, const struct sys_args *a, struct linux_futex_waitv *v, size_t n)
{
	int r = copy_in(t, v, ARG_ADDR(a, 0), n * sizeof(*v));

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if ((v[i].flags & ~(uint32_t)(FUTEX2_SIZE_MASK | FUTEX2_PRIVATE)) || v[i].reserved)
			return -EINVAL;
		if ((v[i].flags & FUTEX2_SIZE_MASK) != FUTEX2_SIZE_U32 || v[i].val >> 32)
			return -EINVAL;
	}
	return 0;
}

int64_t sys_futex_waitv(struct task *t, const struct sys_args *a)
{
	struct linux_futex_waitv v[WAITV_MAX];
	enum kclock clock = KCLOCK_MONOTONIC;
	int64_t deadline = TIME_FOREVER, r;
	size_t n = ARG_U32(a, 1);
	struct futex_set *s;

	if (ARG_U32(a, 2) || !n || n > WAITV_MAX || !a->a[0])
		return -EINVAL;
	if (a->a[3]) {
		if (ARG_INT(a, 4) != LINUX_CLOCK_MONOTONIC && ARG_INT(a, 4) != LINUX_CLOCK_REALTIME)
			return -EINVAL;
		clock = ARG_INT(a, 4) == LINUX_CLOCK_REALTIME ? KCLOCK_REALTIME : KCLOCK_MONOTONIC;
		r = copy_in_timespec(t, ARG_ADDR(a, 3), &deadline);
		if (r < 0)
			return r;
		if (clock == KCLOCK_MONOTONIC)
			deadline = task_clock_to_kernel(t, LINUX_CLOCK_MONOTONIC, deadline);
	}
	s = futex_resume(t, &r);
	if (r >= 0)
		return r;
	task_block_prepare(t);
	if (!s) {
		r = waitv_args(t, a, v, n);
		if (r < 0)
			return r;
		s = futex_set_new(t, n);
		if (!s)
			return -ENOMEM;
		r = waitv_queue(t, s, v);
		if (r != -1) {
			futex_set_free(s);
			return r;
		}
	}
	return futex_sleep(s, clock, deadline, NULL);
}

/* --- exit and restore --- */

static void drop_parked(struct task *t)
{
	struct futex_set *s = t->futex_parked;

	if (!s)
		return;
	t->futex_parked = NULL;
	(void)set_unqueue(s, NULL);
	futex_set_free(s);
}

void futex_exit(struct task *t)
{
	drop_parked(t);
	if (t->mm)
		futex_robust_exit(t);
	atomic_store(&t->futex_gone, true);
	if (!t->mm)
		return;
	futex_pi_exit(t);
}

void futex_restore(struct task *t)
{
	const struct sysctx *c = &t->sysctx;
	uint32_t op = (uint32_t)c->args[1], cmd = op & ~(uint32_t)(FUTEX_L_PRIVATE | FUTEX_L_CLOCK_REALTIME);
	struct futex_set *s;
	struct futex_bucket *b;
	struct futex_waiter *w;

	/* Other forms look at their words again, which tell all they need. */
	if (!c->redo || c->nr != 202 || !t->mm || c->val[FUTEX_VAL] || !c->val[FUTEX_AT] ||
	    (cmd != FUTEX_L_WAIT && cmd != FUTEX_L_WAIT_BITSET))
		return;
	s = futex_set_new(t, 1);
	if (!s)
		return;
	w = &s->w[0];
	w->addr = GADDR(c->val[FUTEX_AT] & ~1ull);
	w->bitset = cmd == FUTEX_L_WAIT ? FUTEX_L_BITSET_ANY : (uint32_t)c->args[5];
	if (mm_futex_key(t->mm, w->addr, !(op & FUTEX_L_PRIVATE), false, &w->key) < 0) {
		futex_set_free(s);
		return;
	}
	/* It was queued, so its word is not compared again. */
	b = futex_bucket(&w->key);
	mutex_lock(&b->mu);
	futex_queue(b, w);
	mutex_unlock(&b->mu);
	t->futex_parked = s;
}
