/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data of host sockets. The host reads and writes the application's pages directly (uio_pin); a datagram that lies in more pieces
 * than fit goes through a buffer, since it must be one call.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/host/host.h"

#define PIECES    32
#define BOUNCE    65536u /* no datagram is longer */
#define CTL_IN    4096u /* ancillary data of one received message */
#define SEND_OK   (MSG_OOB | MSG_DONTROUTE | MSG_EOR | MSG_CONFIRM | MSG_MORE)
#define RECV_OK   (MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE)
#define RECV_TOLD (MSG_OOB | MSG_TRUNC | MSG_CTRUNC | MSG_ERRQUEUE | MSG_EOR)
#define UDP_SEGMENT_C 103

/* Ancillary data the host may be given. What names descriptors or processes is not for it. */
static bool may_send(const struct linux_cmsghdr *h)
{
	switch (h->level) {
	case IPPROTO_IP:
		return h->type == IP_PKTINFO || h->type == IP_TTL || h->type == IP_TOS || h->type == IP_RETOPTS;
	case IPPROTO_IPV6:
		return h->type == IPV6_PKTINFO || h->type == IPV6_HOPLIMIT || h->type == IPV6_TCLASS || h->type == IPV6_DONTFRAG ||
		       h->type == 11 /* FLOWINFO */;
	case IPPROTO_UDP:
		return h->type == UDP_SEGMENT_C;
	default:
		return false;
	}
}

/* The host's copy of the ancillary data: *@ret is malloc'd or NULL. Linux skips levels that are not the protocol's; so do we. */
static int filter_ctl(const struct sock_msg *m, int family, uint8_t **ret, size_t *ret_len)
{
	const uint8_t *p = m->ctl;
	size_t left = m->ctllen, out = 0;
	uint8_t *buf = NULL;

	*ret = NULL;
	*ret_len = 0;
	while (left >= sizeof(struct linux_cmsghdr)) {
		struct linux_cmsghdr h;

		memcpy(&h, p, sizeof(h));
		if (h.len < sizeof(h) || h.len > left)
			break; /* scm_parse() has refused it */
		if (may_send(&h)) {
			if (!buf)
				buf = calloc(1, m->ctllen + 8);
			if (!buf)
				return -ENOMEM;
			memcpy(buf + out, p, h.len);
			out += LINUX_CMSG_ALIGN(h.len);
		} else if (h.level == (family == LINUX_AF_INET ? IPPROTO_IP : IPPROTO_IPV6)) {
			free(buf);
			return -EINVAL; /* as for a type that the protocol does not know */
		}
		if (LINUX_CMSG_ALIGN(h.len) >= left)
			break;
		p += LINUX_CMSG_ALIGN(h.len);
		left -= LINUX_CMSG_ALIGN(h.len);
	}
	*ret = buf;
	*ret_len = out;
	return 0;
}

static size_t total(const struct iovec *iov, int n)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

static bool is_stream(const struct host_sock *h)
{
	return h->sk.type == LINUX_SOCK_STREAM;
}

static int64_t gone_error(struct host_sock *h, int after)
{
	int e = host_take_gone(h);

	return e ? -e : after;
}

static int64_t send_call(struct host_sock *h, const struct sock_msg *m, struct iovec *iov, size_t n, uint8_t *ctl, size_t ctllen)
{
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = n, .msg_control = ctl, .msg_controllen = ctllen };
	ssize_t r;

	if (m->namelen) {
		mh.msg_name = (void *)(uintptr_t)m->name;
		mh.msg_namelen = m->namelen;
	}
	r = sendmsg(h->fd, &mh, (int)(m->flags & SEND_OK) | MSG_DONTWAIT | MSG_NOSIGNAL);
	return r < 0 ? -errno : r;
}

int64_t host_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct host_sock *h = host_of(sk);
	_cleanup_free_ uint8_t *ctl = NULL, *bounce = NULL;
	struct iovec iov[PIECES];
	size_t ctllen, want = m->u->left;
	int64_t r;
	int n;

	if (host_is_gone(h)) {
		r = gone_error(h, -EPIPE);
		return r == -EPIPE ? sock_broken_pipe(t, m) : r;
	}
	if (m->flags & MSG_FASTOPEN)
		return -EOPNOTSUPP; /* as with net.ipv4.tcp_fastopen=0 */
	r = filter_ctl(m, sk->family, &ctl, &ctllen);
	if (r)
		return r;
	n = want ? uio_pin(m->u, false, iov, PIECES) : 0;
	if (n < 0)
		return n;
	if (!is_stream(h) && total(iov, n) < want) {
		struct uio mark = uio_mark(m->u);

		uio_unpin(m->u);
		if (want > BOUNCE)
			return -EMSGSIZE;
		bounce = malloc(want);
		if (!bounce)
			return -ENOMEM;
		if (uio_get(m->u, bounce, want) != (int64_t)want)
			return -EFAULT;
		iov[0] = (struct iovec){ bounce, want };
		r = send_call(h, m, iov, 1, ctl, ctllen);
		if (r < 0)
			*m->u = mark;
	} else {
		r = send_call(h, m, iov, (size_t)n, ctl, ctllen);
		if (n)
			uio_unpin(m->u);
		if (r > 0)
			uio_advance(m->u, (size_t)r);
	}
	if (r == -EAGAIN) {
		host_watch_on(h); /* an edge that came before is seen by the caller, who tries again once it is queued */
	} else if (r == -EPIPE) {
		return sock_broken_pipe(t, m);
	}
	return r;
}

/* Keeps what the host gave as ancillary data, cut to its own length. */
static void keep_ctl(struct sock_msg *m, const struct msghdr *mh)
{
	if (!mh->msg_controllen || m->ctl)
		return;
	m->ctl = malloc(mh->msg_controllen);
	if (!m->ctl) {
		m->ret_flags |= LINUX_MSG_CTRUNC;
		return;
	}
	memcpy(m->ctl, mh->msg_control, mh->msg_controllen);
	m->ctllen = mh->msg_controllen;
}

static int64_t recv_call(struct host_sock *h, struct sock_msg *m, struct iovec *iov, size_t n)
{
	_Alignas(struct cmsghdr) uint8_t ctl[CTL_IN];
	struct msghdr mh = {
		.msg_name = m->name,
		.msg_namelen = sizeof(m->name),
		.msg_iov = iov,
		.msg_iovlen = n,
		.msg_control = ctl,
		.msg_controllen = sizeof(ctl),
	};
	ssize_t r = recvmsg(h->fd, &mh, (int)(m->flags & RECV_OK) | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (r < 0)
		return -errno;
	m->namelen = mh.msg_namelen;
	m->ret_flags |= (uint32_t)mh.msg_flags & RECV_TOLD;
	keep_ctl(m, &mh);
	return r;
}

int64_t host_recvmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct host_sock *h = host_of(sk);
	_cleanup_free_ uint8_t *bounce = NULL;
	struct iovec iov[PIECES];
	size_t want = m->u->left;
	int64_t r;
	int n;

	if (host_is_gone(h))
		return m->flags & MSG_ERRQUEUE ? -EAGAIN : gone_error(h, 0);
	n = want ? uio_pin(m->u, true, iov, PIECES) : 0;
	if (n < 0)
		return n;
	if (!is_stream(h) && total(iov, n) < want) {
		uio_unpin(m->u);
		want = MIN(want, (size_t)BOUNCE);
		bounce = malloc(want);
		if (!bounce)
			return -ENOMEM;
		iov[0] = (struct iovec){ bounce, want };
		r = recv_call(h, m, iov, 1);
		if (r > 0 && uio_put(m->u, bounce, MIN((size_t)r, want)) < 0)
			r = -EFAULT;
	} else {
		r = recv_call(h, m, iov, (size_t)n);
		if (n)
			uio_unpin(m->u);
		if (r > 0) /* MSG_TRUNC counts what was not stored, too */
			uio_advance(m->u, MIN((size_t)r, want));
	}
	m->stop = !is_stream(h) || (m->flags & (MSG_OOB | MSG_PEEK | MSG_ERRQUEUE));
	if (r == -EAGAIN)
		host_watch_on(h);
	return r;
}
