/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink for the nl_* programs: building requests, reading answers. */
#ifndef GUEST_NL_H
#define GUEST_NL_H

#include "guest.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#define NL_BUF 16384

struct nl_req {
	union {
		struct nlmsghdr h;
		char bytes[2048];
	};
};

static inline int nl_open(int protocol)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK };
	struct timeval tv = { 20, 0 };
	int s = OK(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));

	OK(bind(s, (struct sockaddr *)&a, sizeof(a)));
	OK(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	return s;
}

static inline void nl_opt(int s, int opt, int v)
{
	OK(setsockopt(s, SOL_NETLINK, opt, &v, sizeof(v)));
}

static inline void nl_begin(struct nl_req *r, int type, int flags, const void *body, size_t n)
{
	static unsigned seq;

	memset(r, 0, sizeof(*r));
	r->h.nlmsg_type = (unsigned short)type;
	r->h.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags);
	r->h.nlmsg_seq = ++seq;
	memcpy(NLMSG_DATA(&r->h), body, n);
	r->h.nlmsg_len = (unsigned)NLMSG_LENGTH(n);
}

static inline void nl_attr(struct nl_req *r, int type, const void *data, size_t n)
{
	struct rtattr *a = (struct rtattr *)(r->bytes + NLMSG_ALIGN(r->h.nlmsg_len));

	a->rta_type = (unsigned short)type;
	a->rta_len = (unsigned short)RTA_LENGTH(n);
	memcpy(RTA_DATA(a), data, n);
	r->h.nlmsg_len = (unsigned)(NLMSG_ALIGN(r->h.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

static inline void nl_send(int s, const struct nl_req *r)
{
	CHECK_EQ(send(s, r, r->h.nlmsg_len, 0), (ssize_t)r->h.nlmsg_len);
}

/* The next datagram; at most NL_BUF bytes. */
static inline size_t nl_recv(int s, char *buf)
{
	return (size_t)OK(recv(s, buf, NL_BUF, 0));
}

/* Sends and returns the error of the acknowledgement (0, or positive). */
static inline int nl_ack(int s, struct nl_req *r)
{
	static char buf[NL_BUF];
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

	r->h.nlmsg_flags |= NLM_F_ACK;
	nl_send(s, r);
	for (;;) {
		size_t n = nl_recv(s, buf);

		CHECK(n >= sizeof(*h));
		if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_seq == r->h.nlmsg_seq)
			return -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
	}
}

/* Calls @fn for each message of a dump; returns the error in its end (0, or positive). */
static inline int nl_dump(int s, struct nl_req *r, void (*fn)(const struct nlmsghdr *h, void *arg), void *arg)
{
	static char buf[NL_BUF];

	r->h.nlmsg_flags |= NLM_F_DUMP;
	nl_send(s, r);
	for (;;) {
		int left = (int)nl_recv(s, buf);

		for (const struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, (unsigned)left); h = NLMSG_NEXT(h, left)) {
			CHECK_EQ(h->nlmsg_seq, r->h.nlmsg_seq);
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
				return -*(const int *)NLMSG_DATA(h);
			CHECK(h->nlmsg_flags & NLM_F_MULTI);
			if (fn)
				fn(h, arg);
		}
	}
}

/* Attribute @type behind a body of @skip bytes, or NULL. */
static inline const void *nl_find(const struct nlmsghdr *h, size_t skip, int type)
{
	int left = (int)(h->nlmsg_len - NLMSG_LENGTH(skip));

	for (const struct rtattr *a = (const void *)((const char *)h + NLMSG_SPACE(skip)); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return RTA_DATA(a);
	return NULL;
}

#endif
