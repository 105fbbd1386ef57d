/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by futex.c (queues, waits, wakes), futex_pi.c and futex_robust.c. Locks and invariants: futex.c. */
#ifndef SENTRY_KERNEL_FUTEX_INTERNAL_H
#define SENTRY_KERNEL_FUTEX_INTERNAL_H

#include "sentry/kernel/clock.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/syscalls.h"

#define FUTEX_L_WAITERS	   0x80000000u
#define FUTEX_L_OWNER_DIED 0x40000000u
#define FUTEX_L_TID_MASK   0x3fffffffu
#define FUTEX_L_BITSET_ANY 0xffffffffu

struct futex_bucket {
	struct mutex mu;
	struct list waiters; /* struct futex_waiter, oldest first */
};

enum futex_kind {
	FUTEX_K_WAIT,
	FUTEX_K_PI, /* waits to own a PI futex; woken means that it does */
	FUTEX_K_REQUEUE_PI, /* waits to be moved to a PI futex */
};

struct futex_waiter {
	struct list node; /* all fields are guarded by the lock of the bucket it is in */
	struct futex_set *set;
	struct futex_bucket *b; /* changes under both buckets' locks; read without a lock only to find the lock */
	struct futex_key key;
	uint32_t bitset;
	enum futex_kind kind;
	struct futex_key pi_key; /* REQUEUE_PI: the only futex it may be moved to */
	gaddr_t addr; /* in the waiter's own memory */
	gaddr_t pi_addr;
	const struct task *owner; /* PI: who holds the futex; compared, never followed: at its exit it hands over */
	bool woken, requeued;
};

/* One blocked call: one waiter, or several (futex_waitv). */
struct futex_set {
	struct task *task;
	size_t n;
	struct futex_waiter w[];
};

/* task->sysctx.val[FUTEX_VAL]: what a call re-run after a restore must know: 0, or 1 + index of the waiter that was woken. Written by
 * wakers under the bucket's lock while the call has not taken itself out of the queue. */
#define FUTEX_VAL 3
/* task->sysctx.val[FUTEX_AT]: a plain wait that is queued: its word's address (requeueing moves it) with bit 0 set, else 0. Same rules. */
#define FUTEX_AT 2

struct futex_set *futex_set_new(struct task *t, size_t n);
void futex_set_free(struct futex_set *s);
#define FUTEX_NR_BUCKETS 256
struct futex_bucket *futex_bucket(const struct futex_key *k);
struct futex_bucket *futex_bucket_nth(size_t i);
bool futex_key_eq(const struct futex_key *a, const struct futex_key *b);
void futex_lock2(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock2(struct futex_bucket *a, struct futex_bucket *b);
/* Bucket locked. */
void futex_queue(struct futex_bucket *b, struct futex_waiter *w);
void futex_wake_one(struct futex_waiter *w);
/* Waits until a waiter of @s is woken: its index; or -ETIMEDOUT, -ERESTARTSYS (no longer queued then), or -EFREEZE (stays queued). Frees
 * @s unless -EFREEZE. *@requeued (may be NULL): it had been moved when it gave up. */
int64_t futex_sleep(struct futex_set *s, enum kclock clock, int64_t deadline, bool *requeued);
/* A re-run call: the set it left queued, or NULL; *@ret >= 0 when it was woken before it could be rebuilt. */
struct futex_set *futex_resume(struct task *t, int64_t *ret);

int64_t futex_lock_pi(struct task *t, gaddr_t addr, bool shared, bool try, enum kclock clock, int64_t deadline);
int64_t futex_unlock_pi(struct task *t, gaddr_t addr, bool shared);
int64_t futex_wait_requeue_pi(struct task *t, gaddr_t addr, bool shared, uint32_t val, uint32_t bitset, gaddr_t addr2, enum kclock clock,
			      int64_t deadline);
int64_t futex_requeue_pi(struct task *t, gaddr_t addr, bool shared, gaddr_t addr2, int nr_wake, int nr_requeue, uint32_t cmp);
void futex_pi_exit(struct task *t);
void futex_robust_exit(struct task *t);

#endif
