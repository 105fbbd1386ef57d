/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error queue of Internet sockets (recvmsg with MSG_ERRQUEUE): ICMP errors with IP_RECVERR, completions of MSG_ZEROCOPY, transmission time
 * stamps. Linux: net/ipv4/ip_sockglue.c, net/ipv6/datagram.c. Checkpoint: see inet_state.c.
 */
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"

/* Linux charges the receive buffer. */
#define ERRQ_MAX       256u
#define ERRQ_MAX_BYTES 262144u
#define ORIGIN_ICMP 2u
#define ORIGIN_ICMP6 3u
#define ORIGIN_ZEROCOPY 5u
#define ZEROCOPY_COPIED 1u
#define ORIGIN_TIMESTAMPING 4u
#define TSTAMP_SND   0u
#define TSTAMP_SCHED 1u
#define TX_SOFTWARE  (1u << 1) /* SOF_TIMESTAMPING_* */
#define SOFTWARE     (1u << 4)
#define OPT_ID	     (1u << 7)
#define TX_SCHED     (1u << 8)
#define OPT_TSONLY   (1u << 11)
#define ETH_HDR	     14u
#define IP_RECVERR_ 11
#define IPV6_RECVERR_ 25

struct inet_err *inet_err_new(uint32_t err, uint32_t origin, size_t len)
{
	struct inet_err *e = calloc(1, sizeof(*e) + len);

	if (!e)
		return NULL;
	e->err = err;
	e->origin = origin;
	e->len = (uint32_t)len;
	return e;
}

void inet_err_add_locked(struct inet_sock *u, struct inet_err *e)
{
	if (u->nr_errq >= ERRQ_MAX || u->errq_bytes + e->len > ERRQ_MAX_BYTES) {
		free(e);
		return;
	}
	list_add_tail(&u->errq, &e->node);
	u->nr_errq++;
	u->errq_bytes += e->len;
}

void inet_err_zerocopy_locked(struct inet_sock *u, uint32_t id)
{
	struct inet_err *e = list_empty(&u->errq) ? NULL : list_entry(u->errq.prev, struct inet_err, node);

	if (e && e->origin == ORIGIN_ZEROCOPY && e->edata + 1 == id) {
		e->edata = id;
		return;
	}
	e = inet_err_new(0, ORIGIN_ZEROCOPY, 0);
	if (!e)
		return;
	e->code = ZEROCOPY_COPIED;
	e->info = e->edata = id;
	inet_err_add_locked(u, e);
}

bool inet_err_tx_stamps_locked(struct inet_sock *u, uint32_t tsflags, const struct inet_msg *msg, int protocol)
{
	static const struct {
		uint32_t flag, what;
	} kinds[] = { { TX_SCHED, TSTAMP_SCHED }, { TX_SOFTWARE, TSTAMP_SND } };
	uint8_t head[ETH_HDR + 48] = { 0 };
	uint32_t len = 0, id = u->tskey;
	bool any = false;

	if (!(tsflags & (TX_SCHED | TX_SOFTWARE)))
		return false;
	if (tsflags & OPT_ID)
		u->tskey++;
	if (!(tsflags & OPT_TSONLY)) {
		memcpy(head + ETH_HDR - 2, inet_mapped(&msg->to) ? "\x08\x00" : "\x86\xdd", 2);
		len = ETH_HDR + inet_headers(msg, protocol, head + ETH_HDR);
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct inet_err *e = tsflags & kinds[i].flag ? inet_err_new(ENOMSG, ORIGIN_TIMESTAMPING, len + (len ? msg->len : 0)) : NULL;

		if (!e)
			continue;
		e->info = kinds[i].what;
		e->edata = tsflags & OPT_ID ? id : 0;
		e->stamp = ktime_real();
		if (len) {
			memcpy(e->data, head, len);
			memcpy(e->data + len, msg->data, msg->len);
		}
		inet_err_add_locked(u, e);
		any = true;
	}
	return any;
}

static bool is_icmp(const struct inet_err *e)
{
	return e->origin == ORIGIN_ICMP || e->origin == ORIGIN_ICMP6;
}

static void put_error(struct inet_sock *u, const struct inet_err *e, struct sock_msg *m)
{
	uint8_t buf[16 + LINUX_SOCKADDR_MAX] = { 0 };
	bool v4 = u->sk.family == LINUX_AF_INET;
	uint8_t bytes[4] = { (uint8_t)e->origin, (uint8_t)e->type, (uint8_t)e->code };

	memcpy(buf, &e->err, 4);
	memcpy(buf + 4, bytes, 4);
	memcpy(buf + 8, &e->info, 4);
	memcpy(buf + 12, &e->edata, 4);
	if (e->has_offender)
		(void)inet_fill_name(u, &e->offender, buf + 16);
	sock_put_control(m, v4 ? SOL_IP_ : SOL_IPV6_, v4 ? IP_RECVERR_ : IPV6_RECVERR_, buf, v4 ? 32 : 44);
}

int64_t inet_recv_error(struct inet_sock *u, struct sock_msg *m)
{
	struct inet_err *e, *next;
	bool stamped;
	int type;
	size_t n;
	int64_t r;

	m->stop = true;
	m->nonblock = true; /* never waits */
	mutex_lock(inet_mu(u));
	e = list_first(&u->errq, struct inet_err, node);
	if (e) {
		list_del(&e->node);
		u->nr_errq--;
		u->errq_bytes -= e->len;
		next = list_first(&u->errq, struct inet_err, node);
		if (next && is_icmp(next))
			u->err = (int)next->err;
		else if (is_icmp(e))
			u->err = 0;
	}
	mutex_unlock(inet_mu(u));
	if (!e)
		return -EAGAIN;
	n = MIN((size_t)e->len, m->u->left);
	r = (int64_t)n;
	if (n && uio_put(m->u, e->data, n) != (int64_t)n)
		r = -EFAULT;
	if (n < e->len)
		m->ret_flags |= LINUX_MSG_TRUNC;
	m->ret_flags |= LINUX_MSG_ERRQUEUE;
	m->namelen = e->has_dst ? (uint32_t)inet_fill_name(u, &e->dst, m->name) : 0;
	mutex_lock(&u->sk.opt_mu);
	stamped = e->stamp && u->sk.opts.timestamping & SOFTWARE;
	type = u->sk.opts.ts_new ? LINUX_SO_TIMESTAMPING_NEW : LINUX_SO_TIMESTAMPING;
	mutex_unlock(&u->sk.opt_mu);
	if (stamped)
		sock_put_control(m, LINUX_SOL_SOCKET, type, (int64_t[6]){ e->stamp / NSEC_PER_SEC, e->stamp % NSEC_PER_SEC }, 48);
	put_error(u, e, m);
	free(e);
	return r;
}
