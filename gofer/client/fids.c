/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fid numbers: given out in order, reused once the server has forgotten them, which is after the reply to their clunk. Clunks that
 * are not urgent are collected and sent in one message.
 */
#include "gofer/client/internal.h"

#include <string.h>

uint32_t p9_fid_alloc(struct p9_client *c)
{
	mutex_guard(&c->mu);
	if (c->nr_free_fids)
		return c->free_fids[--c->nr_free_fids];
	return c->next_fid == P9_NOFID ? P9_NOFID : c->next_fid++;
}

void p9_fid_release(struct p9_client *c, uint32_t fid)
{
	mutex_guard(&c->mu);
	if (c->nr_free_fids == c->cap_free_fids) {
		size_t cap = c->cap_free_fids ? c->cap_free_fids * 2 : 16;
		uint32_t *grown = realloc(c->free_fids, cap * sizeof(*grown));

		if (!grown)
			return; /* the number is lost, nothing else */
		c->free_fids = grown;
		c->cap_free_fids = cap;
	}
	c->free_fids[c->nr_free_fids++] = fid;
}

void p9_clunk(struct p9_client *c, uint32_t fid)
{
	struct p9_call call;

	if (fid == P9_NOFID)
		return;
	p9_call_init(&call, c, P9_tclunk);
	call.m.tclunk.fid = fid;
	(void)p9_call_simple(&call);
	p9_fid_release(c, fid);
}

static void clunk_many(struct p9_client *c, const uint32_t *fids, size_t n)
{
	struct p9_call call;

	if (!n)
		return;
	p9_call_init(&call, c, P9_tclunkn);
	call.m.tclunkn.fids.n = (uint16_t)n;
	memcpy(call.m.tclunkn.fids.v, fids, n * sizeof(*fids));
	(void)p9_call_simple(&call);
	for (size_t i = 0; i < n; i++)
		p9_fid_release(c, fids[i]);
}

void p9_clunk_flush(struct p9_client *c)
{
	uint32_t fids[P9_MAX_CLUNK];
	size_t n;

	mutex_lock(&c->mu);
	n = c->nr_later;
	memcpy(fids, c->later, n * sizeof(fids[0]));
	c->nr_later = 0;
	mutex_unlock(&c->mu);
	clunk_many(c, fids, n);
}

void p9_clunk_later(struct p9_client *c, uint32_t fid)
{
	bool full;

	if (fid == P9_NOFID)
		return;
	mutex_lock(&c->mu);
	/* Another thread may have filled it and not yet sent. */
	while (c->nr_later == P9_MAX_CLUNK) {
		mutex_unlock(&c->mu);
		p9_clunk_flush(c);
		mutex_lock(&c->mu);
	}
	c->later[c->nr_later++] = fid;
	full = c->nr_later == P9_MAX_CLUNK;
	mutex_unlock(&c->mu);
	if (full)
		p9_clunk_flush(c);
}
