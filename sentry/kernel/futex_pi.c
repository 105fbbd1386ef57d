/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Priority-inheritance futexes: the word names the owner, the kernel hands the lock over.
 *
 * Who owns a PI futex is in the application's word and nowhere else; each queued waiter also remembers the owner task, so that the lock
 * can be handed on when that one dies. The word changes only under the bucket's lock while there are waiters.
 *
 * Locks: bucket.mu; tasks_mu (task_find) is not taken under it. Checkpoint: nothing; waiters run their call again and find the word.
 * Linux: kernel/futex/pi.c, requeue.c. DEVIATION: FIFO order, no boosting.
 */
#include "sentry/kernel/futex_internal.h"

#include "sentry/kernel/pid.h"

static _Atomic uint32_t nr_pi_waiters; /* lets every exit skip the scan */

static uint32_t own_tid(struct task *t)
{
	return (uint32_t)pid_nr_ns(t->pid, task_pid_ns(t));
}

/* The first waiter of a PI futex. Bucket locked. */
static struct futex_waiter *top_waiter(struct futex_bucket *b, const struct futex_key *key)
{
	struct futex_waiter *w;

	list_for_each(w, &b->waiters, node)
		if (w->kind == FUTEX_K_PI && futex_key_eq(&w->key, key))
			return w;
	return NULL;
}

/* Gives the futex to its first waiter @w: word, owner of the others, wake-up. Bucket locked; @mm is one where @addr is the word. */
static int hand_over(struct futex_bucket *b, struct futex_waiter *w, struct mm *mm, gaddr_t addr, uint32_t extra)
{
	struct task *t = w->set->task;
	struct futex_waiter *o;
	uint32_t cur, seen;
	int r = mm_load_u32(mm, addr, &cur);

	for (; r == 0; cur = seen) {
		uint32_t keep = cur & FUTEX_L_OWNER_DIED;

		r = mm_cmpxchg_u32(mm, addr, cur, own_tid(t) | FUTEX_L_WAITERS | keep | extra, &seen);
		if (r == 0 && seen == cur)
			break;
	}
	if (r < 0)
		return r;
	list_for_each(o, &b->waiters, node)
		if (o != w && o->kind == FUTEX_K_PI && futex_key_eq(&o->key, &w->key))
			o->owner = t;
	futex_wake_one(w);
	return 0;
}

/* One try to take the word for @t. 1: owned. 0: must wait; the owner is *@ret_tid and WAITERS is set. Bucket locked. */
static int try_lock(struct mm *mm, gaddr_t addr, struct futex_bucket *b, const struct futex_key *key, struct task *t, bool set_waiters,
		    uint32_t *ret_tid)
{
	uint32_t tid = own_tid(t), cur, seen, nv;
	int r = mm_load_u32(mm, addr, &cur);

	for (; r == 0; cur = seen) {
		uint32_t owner = cur & FUTEX_L_TID_MASK;

		if (owner == tid)
			return -EDEADLK;
		if (!owner && !top_waiter(b, key)) {
			nv = tid | (cur & FUTEX_L_OWNER_DIED) | (set_waiters ? FUTEX_L_WAITERS : 0);
			r = mm_cmpxchg_u32(mm, addr, cur, nv, &seen);
			if (r == 0 && seen == cur)
				return 1;
			continue;
		}
		*ret_tid = owner;
		if (cur & FUTEX_L_WAITERS)
			return 0;
		r = mm_cmpxchg_u32(mm, addr, cur, cur | FUTEX_L_WAITERS, &seen);
		if (r == 0 && seen == cur)
			return 0;
	}
	return r;
}

/* It has handed over, or marked, what it owned: nobody may queue behind it any more. Final when asked under the bucket's lock. */
static bool dead_owner(struct task *o)
{
	return atomic_load(&o->futex_gone) || o->is_zombie;
}

/* The owner as a task. @tid was read without its lifetime being protected: the caller compares again. */
static int find_owner(struct task *t, uint32_t tid, struct task **ret)
{
	*ret = tid ? task_find(t->k, task_pid_ns(t), (int32_t)tid) : NULL;
	if (*ret && dead_owner(*ret)) {
		task_put(*ret);
		*ret = NULL;
	}
	return *ret || !tid ? 0 : -ESRCH;
}

/* Queues for @addr or takes it at once: 1 owned, 0 queued. */
static int lock_or_queue(struct task *t, struct futex_set *s, bool try)
{
	struct futex_waiter *w = &s->w[0];
	struct futex_bucket *b = futex_bucket(&w->key);
	struct task *owner = NULL;
	uint32_t tid = 0, tid2 = 0;
	int r;

	for (;;) {
		mutex_lock(&b->mu);
		r = try_lock(t->mm, w->addr, b, &w->key, t, false, &tid);
		if (r == 0 && try)
			r = -EAGAIN;
		if (r != 0 || (owner && tid == tid2)) {
			if (r == 0 && dead_owner(owner)) {
				r = -ESRCH;
			} else if (r == 0) {
				w->owner = owner;
				futex_queue(b, w);
			}
			mutex_unlock(&b->mu);
			break;
		}
		mutex_unlock(&b->mu);
		task_put(owner);
		owner = NULL;
		tid2 = tid;
		r = find_owner(t, tid, &owner);
		if (r < 0) {
			uint32_t cur;

			/* Gone; unless the word has changed meanwhile, nobody will ever unlock it. */
			if (mm_load_u32(t->mm, w->addr, &cur) < 0)
				return -EFAULT;
			if ((cur & FUTEX_L_TID_MASK) == tid)
				return -ESRCH;
		}
		if (!tid) {
			/* Being handed to a waiter: queue behind it. */
			owner = task_get(t);
		}
	}
	task_put(owner);
	return r;
}

static int64_t lock_pi(struct task *t, gaddr_t addr, bool shared, bool try, enum kclock clock, int64_t deadline)
{
	int64_t r;
	struct futex_set *s = futex_resume(t, &r);

	if (r >= 0)
		return 0;
	task_block_prepare(t);
	if (!s) {
		s = futex_set_new(t, 1);
		if (!s)
			return -ENOMEM;
		s->w[0].kind = FUTEX_K_PI;
		s->w[0].addr = addr;
		r = mm_futex_key(t->mm, addr, shared, true, &s->w[0].key);
		if (r == 0)
			r = lock_or_queue(t, s, try);
		if (r != 0) {
			futex_set_free(s);
			return r == 1 ? 0 : r;
		}
	}
	r = futex_sleep(s, clock, deadline, NULL);
	if (r >= 0)
		return 0;
	return r == -ERESTARTSYS ? -ERESTARTNOINTR : r;
}

int64_t futex_lock_pi(struct task *t, gaddr_t addr, bool shared, bool try, enum kclock clock, int64_t deadline)
{
	int64_t r;

	/* Counted before it looks at its owner, who sets futex_gone before it looks at the count: one sees the other. */
	atomic_fetch_add(&nr_pi_waiters, 1);
	r = lock_pi(t, addr, shared, try, clock, deadline);
	atomic_fetch_sub(&nr_pi_waiters, 1);
	return r;
}

int64_t futex_unlock_pi(struct task *t, gaddr_t addr, bool shared)
{
	struct futex_waiter *w;
	struct futex_bucket *b;
	struct futex_key key;
	uint32_t cur, seen;
	int r = mm_load_u32(t->mm, addr, &cur);

	if (r < 0)
		return r;
	if ((cur & FUTEX_L_TID_MASK) != own_tid(t))
		return -EPERM;
	r = mm_futex_key(t->mm, addr, shared, true, &key);
	if (r < 0)
		return r;
	b = futex_bucket(&key);
	mutex_lock(&b->mu);
	w = top_waiter(b, &key);
	if (w) {
		r = hand_over(b, w, t->mm, addr, 0);
	} else {
		for (;; cur = seen) {
			r = mm_cmpxchg_u32(t->mm, addr, cur, 0, &seen);
			if (r < 0 || seen == cur)
				break;
			if ((seen & FUTEX_L_TID_MASK) != own_tid(t)) {
				r = -EAGAIN;
				break;
			}
		}
	}
	mutex_unlock(&b->mu);
	return r;
}

int64_t futex_wait_requeue_pi(struct task *t, gaddr_t addr, bool shared, uint32_t val, uint32_t bitset, gaddr_t addr2, enum kclock clock,
			      int64_t deadline)
{
	int64_t r;
	struct futex_set *s = futex_resume(t, &r);
	bool requeued = false;

	if (addr.v == addr2.v)
		return -EINVAL;
	if (r >= 0)
		return 0;
	task_block_prepare(t);
	if (!s) {
		struct futex_waiter *w;
		struct futex_bucket *b;
		uint32_t cur;

		s = futex_set_new(t, 1);
		if (!s)
			return -ENOMEM;
		w = &s->w[0];
		w->kind = FUTEX_K_REQUEUE_PI;
		w->bitset = bitset;
		w->addr = addr;
		w->pi_addr = addr2;
		r = mm_futex_key(t->mm, addr, shared, false, &w->key);
		if (r == 0)
			r = mm_futex_key(t->mm, addr2, shared, true, &w->pi_key);
		if (r == 0 && futex_key_eq(&w->key, &w->pi_key))
			r = -EINVAL;
		if (r == 0) {
			b = futex_bucket(&w->key);
			mutex_lock(&b->mu);
			r = mm_load_u32(t->mm, addr, &cur);
			if (r == 0 && cur != val)
				r = -EAGAIN;
			if (r == 0)
				futex_queue(b, w);
			mutex_unlock(&b->mu);
		}
		if (r < 0) {
			futex_set_free(s);
			return r;
		}
	}
	atomic_fetch_add(&nr_pi_waiters, 1);
	r = futex_sleep(s, clock, deadline, &requeued);
	atomic_fetch_sub(&nr_pi_waiters, 1);
	if (r >= 0)
		return 0;
	if (r == -ERESTARTSYS) /* Linux: once moved the wait must not begin again, the application looks for itself */
		return requeued ? -EAGAIN : -ERESTARTNOINTR;
	return r;
}

/* The waiters of the first futex that may be moved, first one first; locks held. */
static struct futex_waiter *next_requeue(struct futex_bucket *b, const struct futex_key *k1)
{
	struct futex_waiter *w;

	list_for_each(w, &b->waiters, node)
		if (futex_key_eq(&w->key, k1))
			return w;
	return NULL;
}

static void become_pi(struct futex_waiter *w, const struct futex_key *k2)
{
	list_del(&w->node);
	w->key = *k2;
	w->addr = w->pi_addr;
	w->kind = FUTEX_K_PI;
	w->requeued = true;
}

/* Moves or satisfies one waiter: 1 done, 0 needs the owner task of *@tid first, or an error. Both buckets locked. */
static int move_one(struct task *t, gaddr_t addr2, struct futex_bucket *b2, const struct futex_key *k2, struct futex_waiter *w, bool more,
		    struct task *owner, uint32_t owner_tid, uint32_t *tid)
{
	int r;

	if (w->kind != FUTEX_K_REQUEUE_PI || !futex_key_eq(&w->pi_key, k2))
		return -EINVAL;
	r = try_lock(t->mm, addr2, b2, k2, w->set->task, more, tid);
	if (r < 0)
		return r;
	if (r == 1) {
		become_pi(w, k2);
		__atomic_store_n(&w->b, b2, __ATOMIC_RELEASE);
		futex_wake_one(w);
		return 1;
	}
	if (!owner || owner_tid != *tid)
		return 0;
	if (dead_owner(owner))
		return -ESRCH;
	become_pi(w, k2);
	w->owner = owner;
	futex_queue(b2, w);
	return 1;
}

int64_t futex_requeue_pi(struct task *t, gaddr_t addr, bool shared, gaddr_t addr2, int nr_wake, int nr_requeue, uint32_t cmp)
{
	struct futex_bucket *b1, *b2;
	struct futex_key k1, k2;
	struct task *owner = NULL;
	uint32_t cur, tid = 0, owner_tid = 0;
	int done = 0, r;

	if (addr.v == addr2.v || nr_wake != 1 || nr_requeue < 0)
		return -EINVAL;
	r = mm_futex_key(t->mm, addr, shared, false, &k1);
	if (r == 0)
		r = mm_futex_key(t->mm, addr2, shared, true, &k2);
	if (r == 0 && futex_key_eq(&k1, &k2))
		r = -EINVAL;
	if (r < 0)
		return r;
	b1 = futex_bucket(&k1);
	b2 = futex_bucket(&k2);
	for (;;) {
		struct futex_waiter *w;

		futex_lock2(b1, b2);
		r = done ? 0 : mm_load_u32(t->mm, addr, &cur);
		if (r == 0 && !done && cur != cmp)
			r = -EAGAIN;
		while (r == 0 && done < 1 + nr_requeue && (w = next_requeue(b1, &k1))) {
			r = move_one(t, addr2, b2, &k2, w, nr_requeue > 0, owner, owner_tid, &tid);
			if (r <= 0)
				break;
			done++;
			r = 0;
			tid = 0;
		}
		futex_unlock2(b1, b2);
		if (r < 0 || !tid)
			break;
		/* A waiter must queue behind an owner we do not know yet: look it up with the buckets unlocked. */
		task_put(owner);
		owner = task_find(t->k, task_pid_ns(t), (int32_t)tid);
		owner_tid = tid;
		tid = 0;
		if (!owner) {
			r = -ESRCH;
			break;
		}
	}
	task_put(owner);
	return r < 0 && !done ? r : done;
}

void futex_pi_exit(struct task *t)
{
	if (!atomic_load(&nr_pi_waiters))
		return;
	for (uint64_t i = 0; i < FUTEX_NR_BUCKETS; i++) {
		struct futex_bucket *b = futex_bucket_nth(i);
		struct futex_waiter *w;
		bool again = true;

		mutex_lock(&b->mu);
		while (again) {
			again = false;
			list_for_each(w, &b->waiters, node) {
				if (w->kind != FUTEX_K_PI || w->owner != t)
					continue;
				/* The word is the same memory seen from the waiter's side. */
				if (hand_over(b, w, w->set->task->mm, w->addr, FUTEX_L_OWNER_DIED) < 0) {
					list_del(&w->node);
					futex_wake_one(w);
				}
				again = true;
				break;
			}
		}
		mutex_unlock(&b->mu);
	}
}
