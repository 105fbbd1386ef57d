/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collecting sockets that only messages hold.
 *
 * A unix socket whose every open-file reference sits in some queue can be received only through that queue's socket. If all such queues
 * belong to sockets in the same position, nothing can ever reach them: garbage. As reference counts go: for every socket in flight
 * with as many queued references as references at all, subtract those found in the queues of such sockets; what keeps a count is held
 * from outside, and so is everything in its queues, transitively; the rest is garbage and its queues are emptied.
 *
 * Races are decided towards "live": a descriptor being sent is referenced before it is counted as in flight, one being received is
 * uncounted before its reference moves, and while it is in neither place its count is not found in any queue.
 * Locks: unix_gc_mu > unix_sock.mu. Linux: net/unix/garbage.c (the algorithm before 6.10).
 */
#include "base/log.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/unix.h"

#define MANY 16000
#define MANY_STEP 1000

static struct mutex gc_mu = MUTEX_INIT("unix_gc_mu");
static struct list inflight = LIST_INIT(inflight); /* unix_sock.inflight_node */
static size_t nr_inflight; /* derived: the length of inflight */
static bool collecting; /* guarded by gc_mu: freeing garbage closes sockets, which must not walk everything again each time */

static struct unix_sock *unix_of_file(const struct file *f)
{
	struct sock *sk = file_sock(f);

	return sk && sk->family == LINUX_AF_UNIX ? unix_of(sk) : NULL;
}

void unix_flight(const struct scm_fds *f)
{
	bool many;

	mutex_lock(&gc_mu);
	for (uint32_t i = 0; i < f->nr; i++) {
		struct unix_sock *u = unix_of_file(f->file[i]);

		if (u && !u->inflight++) {
			list_add_tail(&inflight, &u->inflight_node);
			nr_inflight++;
		}
	}
	many = nr_inflight > MANY && nr_inflight % MANY_STEP == 0;
	mutex_unlock(&gc_mu);
	/* A sender that never lets a socket's last reference go would never collect. */
	if (many && !the_kernel->restore) /* else not everything that holds them is loaded */
		unix_gc();
}

void unix_unflight(const struct scm_fds *f)
{
	mutex_guard(&gc_mu);
	for (uint32_t i = 0; i < f->nr; i++) {
		struct unix_sock *u = unix_of_file(f->file[i]);

		if (u && u->inflight && !--u->inflight) {
			list_del(&u->inflight_node);
			nr_inflight--;
		}
	}
}

/* Calls @fn for every candidate in the messages of @u's queue. u->mu held. */
static void each_queued_locked(struct unix_sock *u, void (*fn)(struct unix_sock *, struct list *), struct list *arg)
{
	struct unix_msg *m;

	list_for_each(m, &u->rq, node)
		for (uint32_t i = 0; m->scm.fds && i < m->scm.fds->nr; i++) {
			struct unix_sock *o = unix_of_file(m->scm.fds->file[i]);

			if (o && o->gc_candidate)
				fn(o, arg);
		}
}

/* The same for @u and the connections waiting in its backlog, which only it can accept. */
static void each_child(struct unix_sock *u, void (*fn)(struct unix_sock *, struct list *), struct list *arg)
{
	struct unix_sock *e;

	mutex_lock(&u->mu);
	each_queued_locked(u, fn, arg);
	list_for_each(e, &u->backlog, backlog_node) {
		mutex_lock_nested(&e->mu);
		each_queued_locked(e, fn, arg);
		mutex_unlock(&e->mu);
	}
	mutex_unlock(&u->mu);
}

static void drop_ref(struct unix_sock *u, struct list *arg)
{
	if (u->gc_refs)
		u->gc_refs--;
}

static void revive(struct unix_sock *u, struct list *arg)
{
	if (u->gc_live)
		return;
	u->gc_live = true;
	list_del(&u->inflight_node); /* to the tail: the caller's walk comes by */
	list_add_tail(arg, &u->inflight_node);
}

static void steal_queue_locked(struct unix_sock *u, struct list *hit)
{
	list_splice_tail(hit, &u->rq);
	u->rq_len = 0;
	u->rq_bytes = 0;
}

void unix_gc(void)
{
	struct list hit = LIST_INIT(hit), live = LIST_INIT(live);
	struct unix_sock *u, *e, *tmp;
	struct unix_msg *m, *mtmp;

	mutex_lock(&gc_mu);
	if (collecting || list_empty(&inflight)) {
		mutex_unlock(&gc_mu);
		return;
	}
	list_for_each(u, &inflight, inflight_node) {
		u->gc_live = false;
		u->gc_refs = u->inflight;
		u->gc_candidate = u->sk.file && ref_count(&u->sk.file->ref) == (int32_t)u->inflight;
	}
	list_for_each(u, &inflight, inflight_node)
		if (u->gc_candidate)
			each_child(u, drop_ref, NULL);
	list_for_each_safe(u, tmp, &inflight, inflight_node)
		if (u->gc_candidate && u->gc_refs)
			revive(u, &live);
	list_for_each(u, &live, inflight_node)
		each_child(u, revive, &live);
	list_for_each(u, &inflight, inflight_node) {
		if (!u->gc_candidate || u->gc_live)
			continue;
		mutex_lock(&u->mu);
		steal_queue_locked(u, &hit);
		list_for_each(e, &u->backlog, backlog_node) {
			mutex_lock_nested(&e->mu);
			steal_queue_locked(e, &hit);
			mutex_unlock(&e->mu);
		}
		mutex_unlock(&u->mu);
	}
	list_splice_tail(&inflight, &live);
	list_for_each(u, &inflight, inflight_node)
		u->gc_candidate = false;
	collecting = !list_empty(&hit);
	mutex_unlock(&gc_mu);
	if (list_empty(&hit))
		return;
	/* Freeing closes the sockets; theirs are the references the queues held. */
	list_for_each_safe(m, mtmp, &hit, node) {
		list_del(&m->node);
		unix_msg_free(m);
	}
	mutex_lock(&gc_mu);
	collecting = false;
	mutex_unlock(&gc_mu);
}
