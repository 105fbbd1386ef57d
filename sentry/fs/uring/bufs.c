/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers the application provides in advance: one by one (PROVIDE_BUFFERS) or as a ring in its own memory (REGISTER_PBUF_RING).
 *
 * Locks: groups are found and changed under uring.mu. A ring in application memory is read with no lock held, so a taker reserves its entry first;
 * what the application writes there is untrusted and only ever used as an address of its own.
 * Linux: io_uring/kbuf.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/uring/uring_internal.h"

#define MAX_BUFS    65536u
#define MAX_GROUPS  65536u
#define MAX_ENTRIES 32768u

static struct uring_bgroup *group_locked(struct uring *r, uint16_t bgid)
{
	struct uring_bgroup *g;

	list_for_each(g, &r->bgroups, node)
		if (g->bgid == bgid)
			return g;
	return NULL;
}

static struct uring_bgroup *group_make_locked(struct uring *r, uint16_t bgid)
{
	struct uring_bgroup *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->bgid = bgid;
	list_add_tail(&r->bgroups, &g->node);
	return g;
}

void uring_bgroup_free(struct uring_bgroup *g)
{
	free(g->bufs);
	free(g);
}

static bool room_locked(struct uring_bgroup *g, uint32_t more)
{
	struct uring_pbuf *n;
	uint32_t cap;

	if (g->first) {
		memmove(g->bufs, g->bufs + g->first, (g->nr - g->first) * sizeof(*g->bufs));
		g->nr -= g->first;
		g->first = 0;
	}
	if (more > MAX_BUFS || g->nr + more > MAX_BUFS)
		return false;
	if (g->nr + more <= g->cap)
		return true;
	cap = MIN(g->cap * 2, MAX_BUFS);
	cap = MAX(cap, g->nr + more);
	n = realloc(g->bufs, cap * sizeof(*n));
	if (!n)
		return false;
	g->bufs = n;
	g->cap = cap;
	return true;
}

int64_t uring_provide(struct uring *r, uint16_t bgid, uint64_t addr, uint32_t len, uint32_t nr, uint16_t bid)
{
	struct uring_bgroup *g;

	mutex_guard(&r->mu);
	g = group_locked(r, bgid);
	if (!g)
		g = group_make_locked(r, bgid);
	if (!g)
		return -ENOMEM;
	if (g->ring_addr)
		return -EINVAL;
	if (!room_locked(g, nr))
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++)
		g->bufs[g->nr++] = (struct uring_pbuf){ addr + (uint64_t)i * len, (uint32_t)MIN((uint64_t)len, MAX_RW_COUNT), (uint16_t)(bid + i) };
	return 0;
}

int64_t uring_remove_bufs(struct uring *r, uint16_t bgid, uint32_t nr)
{
	struct uring_bgroup *g;

	mutex_guard(&r->mu);
	g = group_locked(r, bgid);
	if (!g)
		return -ENOENT;
	if (g->ring_addr)
		return -EINVAL;
	nr = MIN(nr, g->nr - g->first);
	g->first += nr;
	return nr;
}

/* Takes the oldest buffer of @g, or reserves the next ring entry and says where it is. uring.mu held. */
static int take_locked(struct uring_bgroup *g, struct ureq *q, uint64_t *ring_at, uint16_t *head)
{
	*ring_at = 0;
	if (g->ring_addr) {
		*ring_at = g->ring_addr;
		*head = g->ring_head;
		return 0;
	}
	if (g->first == g->nr)
		return -ENOBUFS;
	q->buf_addr = g->bufs[g->first].addr;
	q->buf_len = g->bufs[g->first].len;
	q->bid = g->bufs[g->first].bid;
	g->first++;
	return 0;
}

/* An entry of a buffer ring: -ENOBUFS when the application has not provided one (or took its memory away). */
static int take_ring(struct task *t, struct ureq *q, uint64_t ring, uint16_t head, uint32_t entries)
{
	struct linux_io_uring_buf b;
	uint32_t word;

	/* The tail is the upper half of the aligned word at 12. */
	if (mm_load_u32(t->mm, GADDR(ring + 12), &word) || (uint16_t)(word >> 16) == head)
		return -ENOBUFS;
	if (copy_in(t, &b, GADDR(ring + (head & (entries - 1)) * sizeof(b)), sizeof(b)))
		return -ENOBUFS;
	q->buf_addr = b.addr;
	q->buf_len = (uint32_t)MIN((uint64_t)b.len, MAX_RW_COUNT);
	q->bid = b.bid;
	return 0;
}

int ureq_buf_take(struct task *t, struct ureq *q, uint32_t *len)
{
	struct uring *r = q->r;
	uint64_t ring = 0;
	uint16_t head = 0;
	int err = 0;

	while (!(q->flags & UREQ_BUF)) {
		struct uring_bgroup *g;
		uint32_t entries = 0;

		mutex_lock(&r->mu);
		g = group_locked(r, q->sqe.buf);
		err = g ? take_locked(g, q, &ring, &head) : -ENOBUFS;
		if (g)
			entries = g->ring_entries;
		mutex_unlock(&r->mu);
		if (!err && ring)
			err = take_ring(t, q, ring, head, entries);
		if (err)
			return err;
		q->flags |= UREQ_BUF;
		q->ring_entry = head;
		if (!ring)
			break;
		/* Somebody else may have taken the entry while it was read. */
		mutex_lock(&r->mu);
		g = group_locked(r, q->sqe.buf);
		if (g && g->ring_addr == ring && g->ring_head == head) {
			g->ring_head++;
			q->flags |= UREQ_BUF_RING;
		} else {
			q->flags &= ~UREQ_BUF;
		}
		mutex_unlock(&r->mu);
	}
	*len = *len ? MIN(*len, q->buf_len) : q->buf_len;
	return 0;
}

void ureq_buf_return(struct ureq *q)
{
	struct uring *r = q->r;
	struct uring_bgroup *g;

	if (!(q->flags & UREQ_BUF))
		return;
	mutex_lock(&r->mu);
	g = group_locked(r, q->sqe.buf);
	if (g && q->flags & UREQ_BUF_RING) {
		/* The entry is still there; if others were taken after it, it is skipped. */
		if (g->ring_addr && (uint16_t)(g->ring_head - 1) == q->ring_entry)
			g->ring_head--;
	} else if (g && !g->ring_addr) {
		struct uring_pbuf b = { q->buf_addr, q->buf_len, q->bid };

		if (g->first)
			g->bufs[--g->first] = b;
		else if (room_locked(g, 1))
			g->bufs[g->nr++] = b;
	}
	mutex_unlock(&r->mu);
	q->flags &= ~(UREQ_BUF | UREQ_BUF_RING);
}

uint32_t ureq_buf_used(struct ureq *q)
{
	if (!(q->flags & UREQ_BUF))
		return 0;
	q->flags &= ~(UREQ_BUF | UREQ_BUF_RING);
	return LINUX_IORING_CQE_F_BUFFER | (uint32_t)q->bid << LINUX_IORING_CQE_BUFFER_SHIFT;
}

/* --- rings of buffers --- */

static int64_t pbuf_on(struct task *t, struct uring *r, const struct linux_io_uring_buf_reg *b)
{
	struct uring_bgroup *g;
	uint32_t word;
	uint64_t size;

	if (!b->ring_addr)
		return -EFAULT;
	if (b->ring_addr & (PAGE_SIZE - 1))
		return -EINVAL;
	if (!b->ring_entries || b->ring_entries & (b->ring_entries - 1))
		return -EINVAL;
	/* The tail, 16 bits, could not tell a full ring from an empty one. */
	if (b->ring_entries >= 65536)
		return -EINVAL;
	size = b->ring_entries * sizeof(struct linux_io_uring_buf);
	if (b->ring_addr > LINUX_TASK_SIZE_MAX - size || mm_load_u32(t->mm, GADDR(b->ring_addr), &word) ||
	    mm_load_u32(t->mm, GADDR(b->ring_addr + size - 4), &word))
		return -EFAULT;
	mutex_guard(&r->mu);
	g = group_locked(r, b->bgid);
	if (g && (g->ring_addr || g->first != g->nr))
		return -EEXIST;
	if (!g)
		g = group_make_locked(r, b->bgid);
	if (!g)
		return -ENOMEM;
	g->ring_addr = b->ring_addr;
	g->ring_entries = b->ring_entries;
	g->ring_head = 0;
	return 0;
}

int64_t uring_pbuf_register(struct task *t, struct uring *r, gaddr_t arg, bool on)
{
	struct linux_io_uring_buf_reg b;
	struct uring_bgroup *g;

	if (copy_in(t, &b, arg, sizeof(b)))
		return -EFAULT;
	if (b.pad || b.resv[0] || b.resv[1] || b.resv[2])
		return -EINVAL;
	if (on)
		return pbuf_on(t, r, &b);
	mutex_lock(&r->mu);
	g = group_locked(r, b.bgid);
	if (g && g->ring_addr)
		list_del(&g->node);
	mutex_unlock(&r->mu);
	if (!g)
		return -ENOENT;
	if (!g->ring_addr)
		return -EINVAL;
	uring_bgroup_free(g);
	return 0;
}
