/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and loading rings.
 *
 * A freeze finds every request waiting, ready, linked or deferred. After a restore all that waited look at their file or clock once more, which
 * registers them again. The rings' pages are in the memory file; the Sentry's view of them is made in uring_restore(), when content can be loaded.
 */
#include <stdlib.h>
#include <string.h>

#include "schemas/io_uring.pb-c.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/uring/uring_internal.h"
#include "sentry/kernel/kthread.h"
#include "state/state.h"

#define MAX_OVERFLOW (1u << 18)

enum { WHERE_LINKED, WHERE_DEFERRED, WHERE_PENDING };

extern const struct file_ops uring_file_ops;

static uint64_t task_ref(struct state_writer *w, const struct task *t)
{
	return t && t->mm ? state_ref(w, &task_state_type, t) : 0;
}

/* --- requests --- */

/* The number of a request in Uring.reqs, 0 for NULL. */
static uint32_t place_of(const struct uring *r, const struct ureq *of)
{
	const struct ureq *q;
	uint32_t n = 0;

	if (!of)
		return 0;
	list_for_each(q, &r->reqs, node) {
		n++;
		if (q == of)
			return n;
	}
	return 0;
}

static void save_names(struct state_writer *w, const struct ureq *q, Sentry__Ureq *m)
{
	m->names = state_zalloc(w, TASK_GIVEN_NAMES, sizeof(*m->names));
	m->has_name = state_zalloc(w, TASK_GIVEN_NAMES, sizeof(*m->has_name));
	for (int i = 0; i < TASK_GIVEN_NAMES; i++) {
		m->names[i] = state_strdup(w, q->name[i] ? q->name[i] : "");
		m->has_name[i] = q->name[i] != NULL;
	}
	m->n_names = m->n_has_name = TASK_GIVEN_NAMES;
}

static Sentry__UreqMsg *save_msg(struct state_writer *w, const struct ureq_msg *g)
{
	Sentry__UreqMsg *m = state_new_msg(w, &sentry__ureq_msg__descriptor);

	m->name = g->name;
	m->control = g->control;
	m->namelen = g->namelen;
	m->controllen = g->controllen;
	m->addr_len = g->addr_len;
	m->addr.len = sizeof(g->addr);
	m->addr.data = state_zalloc(w, 1, sizeof(g->addr));
	memcpy(m->addr.data, g->addr, sizeof(g->addr));
	return m;
}

static Sentry__SysCtx *save_ctx(struct state_writer *w, const struct sysctx *c)
{
	Sentry__SysCtx *m = state_new_msg(w, &sentry__sys_ctx__descriptor);

	m->again = c->again;
	m->has_deadline = c->has_deadline;
	m->deadline = c->deadline;
	m->progress = c->progress;
	m->n_val = ARRAY_SIZE(c->val);
	m->val = state_zalloc(w, m->n_val, sizeof(*m->val));
	memcpy(m->val, c->val, sizeof(c->val));
	return m;
}

static Sentry__Ureq *save_req(struct state_writer *w, const struct uring *r, const struct ureq *q)
{
	Sentry__Ureq *m = state_new_msg(w, &sentry__ureq__descriptor);

	m->task = task_ref(w, q->task);
	m->cred = state_ref(w, &cred_state_type, q->cred);
	m->sqe.len = sizeof(q->sqe);
	m->sqe.data = state_zalloc(w, 1, sizeof(q->sqe));
	memcpy(m->sqe.data, &q->sqe, sizeof(q->sqe));
	m->flags = q->flags;
	m->where = q->state == UREQ_LINKED ? WHERE_LINKED : q->state == UREQ_DEFERRED ? WHERE_DEFERRED : WHERE_PENDING;
	m->cancel = q->cancel;
	m->link = place_of(r, q->link);
	m->head = place_of(r, q->head);
	m->file = file_state_ref(w, q->file);
	m->seq = q->seq;
	m->err = q->err;
	save_names(w, q, m);
	m->n_iov = q->nr_iov * 2ull;
	m->iov = state_zalloc(w, m->n_iov, sizeof(*m->iov));
	for (uint32_t i = 0; i < q->nr_iov; i++) {
		m->iov[2 * i] = q->iov[i].iov_base;
		m->iov[2 * i + 1] = q->iov[i].iov_len;
	}
	if (q->msg)
		m->msg = save_msg(w, q->msg);
	m->done = q->done;
	if (q->ctx.again)
		m->ctx = save_ctx(w, &q->ctx);
	m->deadline = q->deadline;
	m->realtime = q->realtime;
	m->target = q->target;
	m->buf_addr = q->buf_addr;
	m->buf_len = q->buf_len;
	m->bid = q->bid;
	m->ring_entry = q->ring_entry;
	m->events = q->events;
	m->n_val = ARRAY_SIZE(q->val);
	m->val = state_zalloc(w, m->n_val, sizeof(*m->val));
	memcpy(m->val, q->val, sizeof(q->val));
	return m;
}

static int load_msg(struct state_reader *r, struct ureq *q, const Sentry__UreqMsg *m)
{
	int e = state_check(r, m->addr.len == sizeof(q->msg->addr) && m->addr_len <= sizeof(q->msg->addr) && m->namelen >= 0, "message");

	if (e < 0)
		return e;
	q->msg = calloc(1, sizeof(*q->msg));
	if (!q->msg)
		return -ENOMEM;
	*q->msg = (struct ureq_msg){ .name = m->name, .control = m->control, .namelen = m->namelen, .controllen = m->controllen,
				     .addr_len = m->addr_len };
	memcpy(q->msg->addr, m->addr.data, sizeof(q->msg->addr));
	return 0;
}

static int load_ctx(struct state_reader *r, struct ureq *q, const Sentry__SysCtx *m)
{
	int e = state_check(r, m->n_val == ARRAY_SIZE(q->ctx.val), "call context");

	if (e < 0)
		return e;
	q->ctx = (struct sysctx){ .again = m->again, .has_deadline = m->has_deadline, .deadline = m->deadline, .progress = m->progress };
	memcpy(q->ctx.val, m->val, sizeof(q->ctx.val));
	return 0;
}

/* What an operation finds missing in its request it would not check for. */
static bool parts_fit(const struct ureq *q)
{
	bool named = q->name[0] != NULL, vec = q->flags & UREQ_HAS_IOV;
	bool one = q->flags & LINUX_IOSQE_BUFFER_SELECT;

	if (q->err)
		return true;
	switch (q->sqe.opcode) {
	case LINUX_IORING_OP_READV:
	case LINUX_IORING_OP_WRITEV:
		return vec && (!one || q->nr_iov);
	case LINUX_IORING_OP_SENDMSG:
	case LINUX_IORING_OP_SENDMSG_ZC:
		return vec && q->msg;
	case LINUX_IORING_OP_RECVMSG:
		return (vec || one) && q->msg;
	case LINUX_IORING_OP_CONNECT:
		return q->msg;
	case LINUX_IORING_OP_OPENAT:
	case LINUX_IORING_OP_OPENAT2:
		return named;
	default:
		return true;
	}
}

static int load_req(struct state_reader *r, struct uring *u, const Sentry__Ureq *m)
{
	struct ureq *q = ureq_alloc(u);
	int e;

	if (!q)
		return -ENOMEM;
	list_add_tail(&u->reqs, &q->node); /* the ring frees it, whatever comes */
	e = state_check(r, m->sqe.len == sizeof(q->sqe) && !(m->flags & ~UREQ_SAVED_FLAGS) && m->where <= WHERE_PENDING &&
				   m->n_names == TASK_GIVEN_NAMES && m->n_has_name == TASK_GIVEN_NAMES && m->n_iov <= 2 * LINUX_UIO_MAXIOV &&
				   m->n_iov % 2 == 0 && m->err <= 0 && m->err > -4096 && m->bid <= UINT16_MAX && m->ring_entry <= UINT16_MAX &&
				   m->n_val == ARRAY_SIZE(q->val) && m->deadline >= 0,
			"request");
	if (e < 0)
		return e;
	memcpy(&q->sqe, m->sqe.data, sizeof(q->sqe));
	q->flags = m->flags;
	q->state = m->where == WHERE_LINKED ? UREQ_LINKED : m->where == WHERE_DEFERRED ? UREQ_DEFERRED : UREQ_RUNNING;
	q->cancel = m->cancel;
	q->orphan = !m->task;
	q->seq = m->seq;
	q->err = m->err;
	q->done = m->done;
	q->deadline = m->deadline;
	q->realtime = m->realtime;
	q->target = m->target;
	q->buf_addr = m->buf_addr;
	q->buf_len = m->buf_len;
	q->bid = (uint16_t)m->bid;
	q->ring_entry = (uint16_t)m->ring_entry;
	q->events = m->events & POLL_EVENTS;
	memcpy(q->val, m->val, sizeof(q->val));
	for (int i = 0; i < TASK_GIVEN_NAMES; i++)
		if (m->has_name[i] && !(q->name[i] = strdup(m->names[i])))
			return -ENOMEM;
	q->nr_iov = (uint32_t)(m->n_iov / 2);
	q->iov = calloc(q->nr_iov + 1ull, sizeof(*q->iov));
	if (!q->iov)
		return -ENOMEM;
	for (uint32_t i = 0; i < q->nr_iov; i++)
		q->iov[i] = (struct linux_iovec){ m->iov[2 * i], m->iov[2 * i + 1] };
	e = state_check(r, q->sqe.opcode < LINUX_IORING_OP_LAST, "operation");
	if (e >= 0 && m->msg)
		e = load_msg(r, q, m->msg);
	if (e >= 0 && m->ctx)
		e = load_ctx(r, q, m->ctx);
	if (e >= 0)
		e = state_check(r, parts_fit(q), "request without what its operation needs");
	if (e >= 0)
		e = state_deref(r, m->task, &task_state_type, (void **)&q->task);
	if (e >= 0)
		e = state_deref(r, m->cred, &cred_state_type, (void **)&q->cred);
	if (e >= 0)
		e = state_check(r, q->cred != NULL, "request without credentials");
	return e < 0 ? e : file_state_deref(r, m->file, &q->file);
}

/* Chains: each request in at most one, no cycles (a link always leads to a later request). */
static int link_reqs(struct state_reader *r, struct uring *u, const Sentry__Uring *m)
{
	_cleanup_free_ struct ureq **at = calloc(m->n_reqs + 1, sizeof(*at));
	struct ureq *q;
	size_t n = 0;

	if (!at)
		return -ENOMEM;
	list_for_each(q, &u->reqs, node)
		at[n++] = q;
	for (size_t i = 0; i < n; i++) {
		uint32_t link = m->reqs[i]->link, head = m->reqs[i]->head;
		int e = state_check(r, (!link || (link > i + 1 && link <= n && at[link - 1]->state == UREQ_LINKED)) &&
					       (!head || (head <= n && head != i + 1 && !at[head - 1]->ltimeout &&
							  at[i]->sqe.opcode == LINUX_IORING_OP_LINK_TIMEOUT && at[i]->flags & UREQ_TIMER)),
				    "links of requests");

		if (e < 0)
			return e;
		if (link) {
			at[i]->link = at[link - 1];
			e = state_check(r, !at[link - 1]->load_linked, "request in two chains");
			if (e < 0)
				return e;
			at[link - 1]->load_linked = true;
		}
		if (head) {
			at[i]->head = at[head - 1];
			at[head - 1]->ltimeout = at[i];
		}
		if (at[i]->flags & UREQ_COUNTED)
			u->nr_counted++;
	}
	for (size_t i = 0; i < n; i++) {
		int e = state_check(r, at[i]->state != UREQ_LINKED || at[i]->load_linked, "linked request outside of a chain");

		if (e < 0)
			return e;
	}
	for (size_t i = 0; i < m->n_defer; i++) {
		uint32_t d = m->defer[i];
		int e = state_check(r, d && d <= n && at[d - 1]->state == UREQ_DEFERRED && !list_linked(&at[d - 1]->qnode), "deferred requests");

		if (e < 0)
			return e;
		list_add_tail(&u->defer, &at[d - 1]->qnode);
	}
	for (size_t i = 0; i < n; i++) {
		int e = state_check(r, at[i]->state != UREQ_DEFERRED || list_linked(&at[i]->qnode), "deferred request on no list");

		if (e < 0)
			return e;
	}
	return 0;
}

/* --- resources --- */

static void save_tables(struct state_writer *w, const struct uring *r, Sentry__Uring *m)
{
	const struct uring_personality *p;
	const struct uring_bgroup *g;
	size_t n = 0;

	m->files = state_zalloc(w, r->nr_files, sizeof(*m->files));
	for (uint32_t i = 0; i < r->nr_files; i++) {
		Sentry__UringSlot *s = m->files[i] = state_new_msg(w, &sentry__uring_slot__descriptor);

		s->file = file_state_ref(w, r->files[i].file);
		s->tag = r->files[i].tag;
	}
	m->n_files = r->nr_files;
	m->buffers = state_zalloc(w, r->nr_buffers, sizeof(*m->buffers));
	for (uint32_t i = 0; i < r->nr_buffers; i++) {
		Sentry__UringBuffer *b = m->buffers[i] = state_new_msg(w, &sentry__uring_buffer__descriptor);

		b->addr = r->buffers[i].addr;
		b->len = r->buffers[i].len;
		b->tag = r->buffers[i].tag;
		b->mm = state_ref(w, &mm_state_type, r->buffers[i].mm);
	}
	m->n_buffers = r->nr_buffers;
	list_for_each(g, &r->bgroups, node)
		n++;
	m->bgroups = state_zalloc(w, n, sizeof(*m->bgroups));
	list_for_each(g, &r->bgroups, node) {
		Sentry__UringBgroup *b = m->bgroups[m->n_bgroups++] = state_new_msg(w, &sentry__uring_bgroup__descriptor);

		b->bgid = g->bgid;
		b->ring_addr = g->ring_addr;
		b->ring_entries = g->ring_entries;
		b->ring_head = g->ring_head;
		b->bufs = state_zalloc(w, g->nr - g->first, sizeof(*b->bufs));
		for (uint32_t i = g->first; i < g->nr; i++) {
			Sentry__UringPbuf *x = b->bufs[b->n_bufs++] = state_new_msg(w, &sentry__uring_pbuf__descriptor);

			x->addr = g->bufs[i].addr;
			x->len = g->bufs[i].len;
			x->bid = g->bufs[i].bid;
		}
	}
	n = 0;
	list_for_each(p, &r->personalities, node)
		n++;
	m->personalities = state_zalloc(w, n, sizeof(*m->personalities));
	list_for_each(p, &r->personalities, node) {
		Sentry__UringPersonality *x = m->personalities[m->n_personalities++] = state_new_msg(w, &sentry__uring_personality__descriptor);

		x->id = p->id;
		x->cred = state_ref(w, &cred_state_type, p->cred);
	}
}

static int load_group(struct state_reader *r, struct uring *u, const Sentry__UringBgroup *m)
{
	struct uring_bgroup *g = calloc(1, sizeof(*g));
	int e;

	if (!g)
		return -ENOMEM;
	list_add_tail(&u->bgroups, &g->node);
	e = state_check(r, m->bgid <= UINT16_MAX && m->n_bufs <= 65536 && m->ring_head <= UINT16_MAX && !(m->ring_addr && m->n_bufs) &&
				   m->ring_entries <= 32768 && !(m->ring_entries & (m->ring_entries - 1)) && !m->ring_entries == !m->ring_addr,
			"group of buffers");
	if (e < 0)
		return e;
	g->bgid = (uint16_t)m->bgid;
	g->ring_addr = m->ring_addr;
	g->ring_entries = m->ring_entries;
	g->ring_head = (uint16_t)m->ring_head;
	g->bufs = calloc(m->n_bufs + 1, sizeof(*g->bufs));
	if (!g->bufs)
		return -ENOMEM;
	g->cap = (uint32_t)m->n_bufs + 1;
	for (size_t i = 0; i < m->n_bufs; i++) {
		e = state_check(r, m->bufs[i]->bid <= UINT16_MAX, "buffer number");
		if (e < 0)
			return e;
		g->bufs[g->nr++] = (struct uring_pbuf){ m->bufs[i]->addr, m->bufs[i]->len, (uint16_t)m->bufs[i]->bid };
	}
	return 0;
}

static int load_tables(struct state_reader *r, struct uring *u, const Sentry__Uring *m)
{
	int e = state_check(r, m->n_files <= URING_MAX_FILES && m->n_buffers <= URING_MAX_BUFFERS && m->n_bgroups <= 65536 &&
				       m->n_personalities <= UINT16_MAX && m->alloc_off <= m->n_files && m->alloc_len <= m->n_files - m->alloc_off,
			    "too many registered things");

	if (e < 0)
		return e;
	u->files = calloc(m->n_files + 1, sizeof(*u->files));
	u->buffers = calloc(m->n_buffers + 1, sizeof(*u->buffers));
	if (!u->files || !u->buffers)
		return -ENOMEM;
	u->nr_files = (uint32_t)m->n_files;
	u->nr_buffers = (uint32_t)m->n_buffers;
	for (size_t i = 0; e >= 0 && i < m->n_files; i++) {
		u->files[i].tag = m->files[i]->tag;
		e = file_state_deref(r, m->files[i]->file, &u->files[i].file);
	}
	for (size_t i = 0; e >= 0 && i < m->n_buffers; i++) {
		struct uring_buffer *b = &u->buffers[i];
		uint64_t end;

		b->addr = m->buffers[i]->addr;
		b->len = m->buffers[i]->len;
		b->tag = m->buffers[i]->tag;
		e = state_check(r, b->len <= URING_MAX_BUF_LEN && !add_overflow(b->addr, b->len, &end), "registered buffer");
		if (e >= 0)
			e = state_deref(r, m->buffers[i]->mm, &mm_state_type, (void **)&b->mm);
	}
	for (size_t i = 0; e >= 0 && i < m->n_bgroups; i++)
		e = load_group(r, u, m->bgroups[i]);
	for (size_t i = 0; e >= 0 && i < m->n_personalities; i++) {
		struct uring_personality *p = calloc(1, sizeof(*p));

		if (!p)
			return -ENOMEM;
		list_add_tail(&u->personalities, &p->node);
		p->id = m->personalities[i]->id;
		e = state_deref(r, m->personalities[i]->cred, &cred_state_type, (void **)&p->cred);
		if (e >= 0)
			e = state_check(r, p->cred && p->id && p->id <= UINT16_MAX, "personality");
	}
	return e;
}

/* --- the ring --- */

static void *uring_state_alloc(void)
{
	return uring_alloc();
}

static int uring_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct uring *r = obj;
	const struct uring_cqe *o;
	const struct ureq *q;
	Sentry__Uring *m = msg;
	size_t n = 0, nd = 0;

	m->file_base = state_new_msg(w, &sentry__file_base__descriptor);
	m->setup = r->setup;
	m->sq_entries = r->sq_entries;
	m->cq_entries = r->cq_entries;
	m->rings_off = r->rings_off;
	m->sqes_off = r->sqes_off;
	m->sq_head = r->sq_head;
	m->nr_submitted = r->nr_submitted;
	m->drain = (uint32_t)r->drain_active | (uint32_t)r->drain_next << 1 | (uint32_t)r->drain_disabled << 2;
	list_for_each(q, &r->reqs, node)
		n++;
	m->reqs = state_zalloc(w, n, sizeof(*m->reqs));
	list_for_each(q, &r->reqs, node)
		if (m->n_reqs < n)
			m->reqs[m->n_reqs++] = save_req(w, r, q);
	list_for_each(q, &r->defer, qnode)
		nd++;
	m->defer = state_zalloc(w, nd, sizeof(*m->defer));
	list_for_each(q, &r->defer, qnode)
		if (m->n_defer < nd)
			m->defer[m->n_defer++] = place_of(r, q);
	m->nr_done = r->nr_done;
	save_tables(w, r, m);
	m->alloc_off = r->alloc_off;
	m->alloc_len = r->alloc_len;
	m->alloc_hint = r->alloc_hint;
	m->next_personality = r->next_personality;
	m->allowed_ops = r->allowed_ops;
	m->allowed_register = r->allowed_register;
	m->allowed_flags = r->allowed_flags;
	m->required_flags = r->required_flags;
	m->has_restrictions = r->has_restrictions;
	m->restricted = r->restricted;
	m->issuer = task_ref(w, r->issuer);
	m->n_max_workers = ARRAY_SIZE(r->max_workers);
	m->max_workers = state_zalloc(w, m->n_max_workers, sizeof(*m->max_workers));
	memcpy(m->max_workers, r->max_workers, sizeof(r->max_workers));
	m->cq_tail = r->cq_tail;
	m->cq_timeouts = r->cq_timeouts;
	m->overflow = state_zalloc(w, r->nr_overflow, sizeof(*m->overflow));
	list_for_each(o, &r->overflow, node)
		if (m->n_overflow < r->nr_overflow) {
			Sentry__UringCqe *c = m->overflow[m->n_overflow++] = state_new_msg(w, &sentry__uring_cqe__descriptor);

			c->user_data = o->cqe.user_data;
			c->res = o->cqe.res;
			c->flags = o->cqe.flags;
		}
	m->eventfd = file_state_ref(w, r->eventfd);
	m->eventfd_async = r->eventfd_async;
	m->sq_task = task_ref(w, r->sq_task);
	m->sq_idle_ms = r->sq_idle_ms;
	m->sq_stop = r->sq_stop || (r->sq_task && !m->sq_task);
	m->cq_lost = r->cq_lost;
	return file_save_base(w, &r->file, m->file_base);
}

static bool pow2_upto(uint32_t v, uint32_t max)
{
	return v && v <= max && !(v & (v - 1));
}

static int load_overflow(struct uring *u, const Sentry__Uring *m)
{
	for (size_t i = 0; i < m->n_overflow; i++) {
		struct uring_cqe *o = calloc(1, sizeof(*o));

		if (!o)
			return -ENOMEM;
		o->cqe = (struct linux_io_uring_cqe){ m->overflow[i]->user_data, m->overflow[i]->res, m->overflow[i]->flags };
		list_add_tail(&u->overflow, &o->node);
		u->nr_overflow++;
	}
	return 0;
}

static int uring_load_fields(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__Uring *m = msg;
	struct uring *u = obj;
	int e = state_check(r, m->file_base && !(m->setup & ~LINUX_IORING_SETUP_VALID) && pow2_upto(m->sq_entries, URING_MAX_ENTRIES) &&
				       pow2_upto(m->cq_entries, URING_MAX_CQ_ENTRIES) && m->cq_entries >= m->sq_entries &&
				       IS_ALIGNED(m->rings_off | m->sqes_off, PAGE_SIZE) && m->drain <= 7 && m->n_reqs <= URING_MAX_REQS &&
				       m->n_defer <= m->n_reqs && m->n_overflow <= MAX_OVERFLOW && m->n_max_workers == ARRAY_SIZE(u->max_workers) &&
				       m->next_personality && m->next_personality <= UINT16_MAX && m->sq_idle_ms <= INT32_MAX,
			    "io_uring");

	if (e < 0)
		return e;
	u->setup = m->setup;
	u->sq_entries = m->sq_entries;
	u->cq_entries = m->cq_entries;
	uring_sizes(u);
	e = state_check(r, m->rings_off >> 30 == (m->rings_off + u->rings_len - 1) >> 30 &&
				   m->sqes_off >> 30 == (m->sqes_off + u->sqes_len - 1) >> 30, "rings: bad place in the memory file");
	if (e < 0)
		return e;
	u->rings_off = m->rings_off;
	u->sqes_off = m->sqes_off;
	u->sq_head = m->sq_head;
	u->nr_submitted = m->nr_submitted;
	u->drain_active = m->drain & 1;
	u->drain_next = m->drain & 2;
	u->drain_disabled = m->drain & 4;
	u->nr_done = m->nr_done;
	u->alloc_off = m->alloc_off;
	u->alloc_len = m->alloc_len;
	u->alloc_hint = m->alloc_hint;
	u->next_personality = m->next_personality;
	u->allowed_ops = m->allowed_ops;
	u->allowed_register = m->allowed_register;
	u->allowed_flags = (uint8_t)m->allowed_flags;
	u->required_flags = (uint8_t)m->required_flags;
	u->has_restrictions = m->has_restrictions;
	u->restricted = m->restricted;
	memcpy(u->max_workers, m->max_workers, sizeof(u->max_workers));
	u->cq_tail = m->cq_tail;
	u->cq_timeouts = m->cq_timeouts;
	u->eventfd_async = m->eventfd_async;
	u->sq_idle_ms = m->sq_idle_ms;
	u->sq_stop = m->sq_stop;
	u->cq_lost = m->cq_lost;
	e = file_load_base(r, &u->file, &uring_file_ops, m->file_base);
	for (size_t i = 0; e >= 0 && i < m->n_reqs; i++)
		e = load_req(r, u, m->reqs[i]);
	if (e >= 0)
		e = link_reqs(r, u, m);
	if (e >= 0)
		e = load_tables(r, u, m);
	if (e >= 0)
		e = load_overflow(u, m);
	if (e >= 0)
		e = file_state_deref(r, m->eventfd, &u->eventfd);
	if (e >= 0)
		e = state_deref(r, m->issuer, &task_state_type, (void **)&u->issuer);
	return e < 0 ? e : state_deref(r, m->sq_task, &task_state_type, (void **)&u->sq_task);
}

static int uring_after_load(struct state_reader *r, void *obj)
{
	struct memfile *mf = ((struct kernel *)state_reader_ctx(r))->mf;
	struct uring *u = obj;
	int e = state_check(r, memfile_adopt(mf, u->rings_off, u->rings_len) == 0, "rings: bad place in the memory file");

	if (e < 0)
		return e;
	e = state_check(r, memfile_adopt(mf, u->sqes_off, u->sqes_len) == 0, "entries: bad place in the memory file");
	if (e < 0) {
		memfile_unref(mf, u->rings_off, u->rings_len);
		return e;
	}
	u->adopted = true;
	e = state_check(r, !u->eventfd || u->eventfd->ops->write, "event file that cannot be written");
	if (e < 0)
		return e;
	for (uint32_t i = 0; i < u->nr_files; i++) {
		e = state_check(r, !u->files[i].file || !file_is_uring(u->files[i].file), "ring registered with a ring");
		if (e < 0)
			return e;
	}
	uring_link(u);
	file_after_load_base(&u->file);
	return 0;
}

const struct state_type uring_state_type = {
	.id = STATE_ID_uring,
	.name = "uring",
	.desc = &sentry__uring__descriptor,
	.prio = STATE_PRIO_TIMER,
	.alloc = uring_state_alloc,
	.save = uring_save,
	.load = uring_load_fields,
	.after_load = uring_after_load,
	.get = file_state_get,
	.put = file_state_put,
};

/* --- tasks --- */

uint64_t *uring_task_save(struct state_writer *w, const struct uring_task *u, size_t *ret_n)
{
	uint64_t *ids = state_zalloc(w, u ? URING_RING_FDS : 0, sizeof(*ids));

	for (int i = 0; u && i < URING_RING_FDS; i++)
		ids[i] = file_state_ref(w, u->rings[i]);
	*ret_n = u ? URING_RING_FDS : 0;
	return ids;
}

int uring_task_load(struct state_reader *r, const uint64_t *ids, size_t n, struct uring_task **ret)
{
	struct uring_task *u;
	int e = state_check(r, !n || n == URING_RING_FDS, "registered rings");

	if (e < 0 || !n)
		return e;
	*ret = u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	for (size_t i = 0; e >= 0 && i < n; i++)
		e = file_state_deref(r, ids[i], &u->rings[i]);
	return e;
}

int uring_task_after_load(struct state_reader *r, const struct uring_task *u)
{
	int e = 0;

	for (int i = 0; u && e >= 0 && i < URING_RING_FDS; i++)
		e = state_check(r, !u->rings[i] || file_is_uring(u->rings[i]), "registered ring that is none");
	return e;
}

/* --- restore --- */

static int map_memory(struct uring *u)
{
	memfile_set_wild(the_kernel->mf, u->rings_off, u->rings_len);
	memfile_set_wild(the_kernel->mf, u->sqes_off, u->sqes_len);
	u->rings = memfile_ptr(the_kernel->mf, u->rings_off, u->rings_len);
	u->sqes = memfile_ptr(the_kernel->mf, u->sqes_off, u->sqes_len);
	return u->rings && u->sqes ? 0 : -ENOMEM;
}

static int restore_one(struct uring *u)
{
	struct ureq *q;
	int e = u->rings ? 0 : map_memory(u);

	if (e == 0)
		e = kwork_start(the_kernel);
	if (e < 0)
		return e;
	list_for_each(q, &u->reqs, node)
		if (q->state == UREQ_RUNNING)
			ureq_requeue_tail(q);
	return u->sq_task && !u->sq_stop ? uring_sqpoll_start(u) : 0;
}

int uring_restore(void)
{
	int e = 0;

	for (struct uring *u = uring_next(NULL); u; u = uring_next(u)) {
		if (e == 0)
			e = restore_one(u);
		waitq_wake(&u->wq, POLL_READ);
	}
	return e < 0 ? e : uring_restore_helpers();
}
