/* SPDX-License-Identifier: Apache-2.0 */
/* Saving and loading userfaultfd contexts; see uffd.h for what they hold. */
#include <stdlib.h>
#include <string.h>

#include "schemas/userfaultfd.pb-c.h"
#include "sentry/mm/uffd_internal.h"
#include "state/state.h"

#define MAX_FAULTS 65536
#define MAX_EVENTS 65536

static void *uffd_ctx_alloc(void)
{
	struct uffd_ctx *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	ref_init(&c->ref);
	mutex_init(&c->mu, "uffd_ctx.mu");
	waitq_init(&c->wq);
	list_init(&c->faults);
	list_init(&c->events);
	return c;
}

static int uffd_ctx_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct uffd_ctx *c = obj;
	const struct uffd_fault *f;
	const struct uffd_event *e;
	Sentry__UffdCtx *m = msg;
	size_t nf = 0, ne = 0;

	m->mm = state_ref(w, &mm_state_type, c->mm);
	m->flags = c->flags;
	m->ready = c->ready;
	m->released = c->released;
	m->features = c->features;
	list_for_each(f, &c->faults, node)
		nf++;
	list_for_each(e, &c->events, node)
		ne++;
	m->faults = state_zalloc(w, nf, sizeof(*m->faults));
	m->events = state_zalloc(w, ne, sizeof(*m->events));
	list_for_each(f, &c->faults, node) {
		Sentry__UffdFault *fm = state_new_msg(w, &sentry__uffd_fault__descriptor);

		fm->page = f->page;
		fm->addr = f->addr;
		fm->flags = f->flags;
		fm->tid = f->tid;
		fm->ptid = f->ptid;
		fm->read = f->read;
		m->faults[m->n_faults++] = fm;
	}
	list_for_each(e, &c->events, node) {
		Sentry__UffdEvent *em = state_new_msg(w, &sentry__uffd_event__descriptor);

		em->event = e->msg.event;
		em->n_arg = ARRAY_SIZE(e->msg.arg);
		em->arg = state_zalloc(w, em->n_arg, sizeof(*em->arg));
		memcpy(em->arg, e->msg.arg, sizeof(e->msg.arg));
		em->child = state_ref(w, &uffd_ctx_state_type, e->child);
		m->events[m->n_events++] = em;
	}
	return 0;
}

static int load_fault(struct state_reader *r, struct uffd_ctx *c, const Sentry__UffdFault *m)
{
	struct uffd_fault *f;
	int e = state_check(r, IS_ALIGNED(m->page, PAGE_SIZE) && m->addr - m->page < PAGE_SIZE && m->flags <= 7 && m->tid > 0, "fault");

	if (e < 0)
		return e;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->page = m->page;
	f->addr = m->addr;
	f->flags = m->flags;
	f->tid = m->tid;
	f->ptid = m->ptid;
	f->read = m->read;
	list_add_tail(&c->faults, &f->node);
	return 0;
}

static int load_event(struct state_reader *r, struct uffd_ctx *c, const Sentry__UffdEvent *m)
{
	struct uffd_event *ev;
	void *child = NULL;
	int e = state_check(r, m->event >= LINUX_UFFD_EVENT_FORK && m->event <= LINUX_UFFD_EVENT_UNMAP && m->n_arg == ARRAY_SIZE(ev->msg.arg) &&
			       (m->event == LINUX_UFFD_EVENT_FORK) == (m->child != 0), "event");

	if (e < 0)
		return e;
	ev = calloc(1, sizeof(*ev));
	if (!ev)
		return -ENOMEM;
	ev->ctx = c;
	ev->msg.event = (uint8_t)m->event;
	memcpy(ev->msg.arg, m->arg, sizeof(ev->msg.arg));
	list_add_tail(&c->events, &ev->node);
	c->changing++;
	e = state_deref(r, m->child, &uffd_ctx_state_type, &child);
	ev->child = e == 0 ? child : NULL;
	return e;
}

static int uffd_ctx_load(struct state_reader *r, void *obj, const void *msg)
{
	struct uffd_ctx *c = obj;
	const Sentry__UffdCtx *m = msg;
	void *mm = NULL;
	int e = state_check(r, !(m->flags & ~LINUX_UFFD_USER_MODE_ONLY) && !(m->features & ~UFFD_FEATURES) && m->n_faults <= MAX_FAULTS &&
			       m->n_events <= MAX_EVENTS, "userfaultfd");

	if (e == 0)
		e = state_deref(r, m->mm, &mm_state_type, &mm);
	if (e == 0)
		e = state_check(r, mm != NULL, "userfaultfd without address space");
	if (e < 0)
		return e;
	c->mm = mm;
	c->flags = m->flags;
	c->ready = m->ready;
	c->released = m->released;
	c->features = m->features;
	for (size_t i = 0; e == 0 && i < m->n_faults; i++)
		e = load_fault(r, c, m->faults[i]);
	for (size_t i = 0; e == 0 && i < m->n_events; i++)
		e = load_event(r, c, m->events[i]);
	return e;
}

static int uffd_ctx_after_load(struct state_reader *r, void *obj)
{
	const struct uffd_ctx *c = obj;
	const struct uffd_event *ev;
	int e = 0;

	/* A chain of contexts that hold each other would never end. */
	list_for_each(ev, &c->events, node)
		if (e == 0)
			e = state_check(r, !ev->child || ev->child->mm != c->mm, "userfaultfd: a child that is its parent");
	return e;
}

static void uffd_ctx_state_get(void *obj)
{
	(void)uffd_ctx_get(obj);
}

static void uffd_ctx_state_put(void *obj)
{
	uffd_ctx_put(obj);
}

const struct state_type uffd_ctx_state_type = {
	.id = STATE_ID_uffd_ctx,
	.name = "uffd_ctx",
	.desc = &sentry__uffd_ctx__descriptor,
	.prio = STATE_PRIO_MM,
	.alloc = uffd_ctx_alloc,
	.save = uffd_ctx_save,
	.load = uffd_ctx_load,
	.after_load = uffd_ctx_after_load,
	.get = uffd_ctx_state_get,
	.put = uffd_ctx_state_put,
};
