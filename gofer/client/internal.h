/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the 9P client: connection and one call.
 *
 * Locks: p9_client.mu protects all of p9_client but the constants; it is never held over a host call. send_mu is held over sendmsg
 * on streams only. Neither is held while taking the other.
 */
#ifndef GOFER_CLIENT_INTERNAL_H
#define GOFER_CLIENT_INTERNAL_H

#include "base/list.h"
#include "base/mutex.h"
#include "base/ref.h"
#include "gofer/client/p9_client.h"

#define P9_MAX_CALLS  256
#define P9_SPARE_BUFS 4

struct p9_client {
	struct ref ref;
	int sock;
	bool stream;
	uint32_t msize;

	struct mutex send_mu;

	struct mutex mu; /* protects what follows */
	bool have_reader;
	_Atomic(const char *) err; /* why it is dead; set once; may be read without mu */
	struct p9_call *calls[P9_MAX_CALLS]; /* by tag */
	uint16_t free_tags[P9_MAX_CALLS];
	size_t nr_free_tags;
	struct list waiters; /* p9_call.node: callers asleep until their reply or the reader role comes */
	struct cond tag_freed;
	uint8_t *spare[P9_SPARE_BUFS]; /* message buffers of msize bytes */
	size_t nr_spare;
	uint32_t next_fid;
	uint32_t *free_fids;
	size_t nr_free_fids, cap_free_fids;
	uint32_t later[P9_MAX_CLUNK];
	size_t nr_later;
};

/* One request and its reply. The request is gone from @m once the reply is in. */
struct p9_call {
	struct p9_client *c;
	struct p9_msg m;
	uint8_t *reply; /* what strings and data of @m point into */
	size_t reply_len;
	int fd; /* donated with the reply, else -EBADF */
	bool done;
	struct list node;
	struct cond wake;
};

/* Prepares a call of request @type; fill call->m.t<op> next. */
void p9_call_init(struct p9_call *call, struct p9_client *c, uint8_t type);
/* Sends, waits, decodes the reply into call->m. 0, the errno of an Rlerror, or -EIO. */
int p9_call_run(struct p9_call *call);
/* Releases the reply buffer and an fd nobody took. */
void p9_call_done(struct p9_call *call);
#define _cleanup_call_ _cleanup_(p9_call_done)
/* Both in one, for a reply that says nothing but success. */
int p9_call_simple(struct p9_call *call);

#define CALL(name, type)                                                                                               \
	_cleanup_call_ struct p9_call name;                                                                            \
	p9_call_init(&name, c, type)

/* The peer broke the protocol: the client is dead from now on. Returns -EIO. */
int p9_client_fail(struct p9_client *c, const char *why);

/* P9_NOFID when there is no memory left for more. */
uint32_t p9_fid_alloc(struct p9_client *c);
void p9_fid_release(struct p9_client *c, uint32_t fid);

#endif
