/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink requests: taking them one by one, acknowledgements, dumps. See netlink.h. Linux: netlink_rcv_skb(), netlink_ack(), netlink_dump(). */
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/net/netlink/netlink.h"

int nl_fail(struct nl_request *q, int err, const char *msg)
{
	q->msg = msg;
	return err;
}

bool nl_is_dump(const struct nl_request *q)
{
	return q->h.flags & LINUX_NLM_F_DUMP;
}

bool nl_strict(const struct nl_request *q)
{
	return q->s->options & NL_STRICT;
}

int nl_attrs(struct nl_request *q, size_t skip, struct nl_attr *ret, size_t max)
{
	skip = LINUX_NLMSG_ALIGN(skip);
	if (q->n < skip)
		return -EINVAL;
	return nl_parse(q->body + skip, q->n - skip, ret, max);
}

size_t nl_reply(struct nl_request *q, uint16_t type, uint16_t flags)
{
	return nl_begin(&q->out, type, flags, q->h.seq, q->s->portid);
}

void nl_flush(struct nl_request *q, bool dump)
{
	struct nl_msg m = { .dump = dump };

	if (!q->out.err && q->out.len)
		(void)nl_deliver(q->s, &m, q->out.data, q->out.len);
	strbuf_reset(&q->out);
}

/* A message that does not fit behind the earlier ones begins the next datagram. */
void nl_dump_next(struct nl_request *q, size_t at)
{
	struct nl_msg m = { .dump = true };

	nl_end(&q->out, at);
	if (q->out.err || q->out.len <= NL_DUMP_SIZE)
		return;
	if (at) {
		_cleanup_strbuf_ struct strbuf rest = STRBUF_INIT;

		(void)nl_deliver(q->s, &m, q->out.data, at);
		strbuf_add(&rest, q->out.data + at, q->out.len - at);
		strbuf_reset(&q->out);
		strbuf_add(&q->out, rest.data, rest.len);
	}
	if (q->out.len > NL_DUMP_SIZE)
		nl_flush(q, true);
}

int nl_dump_error(struct nl_request *q, int32_t err)
{
	bool tlvs = (q->s->options & NL_EXT_ACK) && q->msg;
	size_t at;

	if (err)
		strbuf_reset(&q->out);
	nl_flush(q, true);
	at = nl_reply(q, LINUX_NLMSG_DONE, (uint16_t)(LINUX_NLM_F_MULTI | (tlvs ? LINUX_NLM_F_ACK_TLVS : 0)));
	strbuf_add(&q->out, &err, sizeof(err));
	if (tlvs)
		nl_put_str(&q->out, 1 /* NLMSGERR_ATTR_MSG */, q->msg);
	nl_end(&q->out, at);
	nl_flush(q, true);
	return 1;
}

int nl_dump_done(struct nl_request *q)
{
	return nl_dump_error(q, 0);
}

/* NLMSG_ERROR with @err 0 is an acknowledgement. An error brings the request back, unless CAP_ACK. */
static void acknowledge(struct nl_request *q, int32_t err)
{
	bool capped = !err || (q->s->options & NL_CAP_ACK), tlvs = (q->s->options & NL_EXT_ACK) && (q->msg || q->bad);
	size_t at = nl_reply(q, LINUX_NLMSG_ERROR, (uint16_t)((capped ? LINUX_NLM_F_CAPPED : 0) | (tlvs ? LINUX_NLM_F_ACK_TLVS : 0)));

	strbuf_add(&q->out, &err, sizeof(err));
	strbuf_add(&q->out, &q->h, sizeof(q->h));
	if (!capped) {
		static const uint8_t zero[4];

		strbuf_add(&q->out, q->body, q->n);
		strbuf_add(&q->out, zero, LINUX_NLMSG_ALIGN(q->n) - q->n);
	}
	if (tlvs && q->msg)
		nl_put_str(&q->out, 1 /* NLMSGERR_ATTR_MSG */, q->msg);
	if (tlvs && q->bad)
		nl_put_u32(&q->out, 2 /* NLMSGERR_ATTR_OFFS */, q->bad);
	nl_end(&q->out, at);
	nl_flush(q, false);
}

static int one(struct nl_request *q, const struct nl_proto *p)
{
	bool busy;

	if (!(q->h.flags & LINUX_NLM_F_REQUEST) || q->h.type < LINUX_NLMSG_MIN_TYPE)
		return 0;
	if (nl_is_dump(q)) {
		mutex_lock(&q->s->mu);
		busy = q->s->rq_dumps;
		mutex_unlock(&q->s->mu);
		if (busy)
			return -EBUSY;
	}
	return p->request(q);
}

void nl_serve(struct netlink_sock *s, struct task *t, const uint8_t *p, size_t n)
{
	const struct nl_proto *proto = nl_proto_find(s->sk.protocol);

	while (n >= sizeof(struct linux_nlmsghdr)) {
		struct nl_request q = { .s = s, .t = t, .net = s->sk.net };
		size_t step;
		int r;

		memcpy(&q.h, p, sizeof(q.h));
		if (q.h.len < sizeof(q.h) || q.h.len > n)
			return;
		q.body = p + sizeof(q.h);
		q.n = q.h.len - sizeof(q.h);
		r = one(&q, proto);
		if (r < 0)
			strbuf_reset(&q.out);
		else
			nl_flush(&q, false); /* what a request other than a dump has answered */
		if (r < 0 || (r == 0 && (q.h.flags & LINUX_NLM_F_ACK)))
			acknowledge(&q, r);
		strbuf_done(&q.out);
		step = LINUX_NLMSG_ALIGN((size_t)q.h.len);
		if (step >= n)
			return;
		p += step;
		n -= step;
	}
}
