/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP without packets: streams. Sent bytes go to the receiver's queue at once, bounded by the sender's and the receiver's buffer sizes together.
 *
 * Urgent data: the byte stays in the queue where it was sent; `urg_seq` is its place, counted from the beginning of the stream, and the reader steps
 * over it unless SO_OOBINLINE. Copies to the application are made under rx_mu alone; senders only append.
 * Checkpoint: see inet_state.c. Linux: net/ipv4/tcp.c, tcp_input.c. DEVIATION: there are no segments, so that TCP_CORK, MSG_MORE and Nagle
 * have nothing to hold back, and socket filters nothing to look at.
 */
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/inet.h"

#define CHUNK_MAX 65536u
#define TCP_INQ_  36

uint32_t tcp_rcvbuf(struct inet_sock *u)
{
	uint32_t r;

	mutex_lock(&u->sk.opt_mu);
	r = u->sk.opts.rcvbuf;
	mutex_unlock(&u->sk.opt_mu);
	return r;
}

/* Bytes @u may still send; *@ret_some: enough for poll. */
static size_t space_locked(struct inet_sock *u, bool *ret_some)
{
	size_t cap, used;

	if (!u->peer) {
		*ret_some = true;
		return CHUNK_MAX; /* into the void */
	}
	cap = (size_t)sock_sndbuf(&u->sk) + tcp_rcvbuf(u->peer);
	used = u->peer->rq_bytes;
	*ret_some = used < cap && (cap - used) * 3 >= cap;
	return used < cap ? cap - used : 0;
}

/* --- send --- */

/* Room for sending now, or the error. @keep: bytes were sent, the error is for the next call. */
static int64_t may_send_locked(struct inet_sock *u, bool keep)
{
	bool some;
	size_t n;

	if (u->err) {
		int r = -u->err;

		if (!keep)
			u->err = 0;
		return r;
	}
	if (u->state == INET_SYN_SENT)
		return -EAGAIN;
	if (u->state != INET_ESTABLISHED || (u->shutdown & INET_SHUT_SEND))
		return -EPIPE;
	n = space_locked(u, &some);
	return n ? (int64_t)n : -EAGAIN;
}

/* Appends @msg to the peer's queue; consumes it. */
static void queue_locked(struct inet_sock *p, struct inet_msg *msg)
{
	struct inet_msg *last = list_empty(&p->rq) ? NULL : list_entry(p->rq.prev, struct inet_msg, node);

	p->rq_bytes += msg->len;
	if (last && last->cap - last->len >= msg->len) {
		memcpy(last->data + last->len, msg->data, msg->len);
		last->len += msg->len;
		last->stamp = msg->stamp;
		free(msg);
		return;
	}
	list_add_tail(&p->rq, &msg->node);
}

/* Drops the first byte of the queue. rx_mu held too. */
static void drop_first_locked(struct inet_sock *u)
{
	struct inet_msg *msg = list_first(&u->rq, struct inet_msg, node);

	u->rx_bytes++;
	u->rq_bytes--;
	if (++msg->off == msg->len) {
		list_del(&msg->node);
		free(msg);
	}
}

/* The urgent mark moves to the byte that will be the last after @n more. An older urgent byte that is next to be read is lost, as in Linux. */
static void mark_urgent_locked(struct inet_sock *p, uint32_t n, uint8_t byte)
{
	bool inl;

	mutex_lock(&p->sk.opt_mu);
	inl = p->sk.opts.oobinline;
	mutex_unlock(&p->sk.opt_mu);
	if (p->urg != INET_URG_NONE && p->urg_seq == p->rx_bytes && !inl && p->rq_bytes)
		drop_first_locked(p);
	p->urg = INET_URG_VALID;
	p->urg_byte = byte;
	p->urg_seq = p->rx_bytes + p->rq_bytes + n - 1;
}

/* Hands @msg to the other end; returns whom to wake (referenced), or NULL when there is none any more. @old: reference to put. */
static struct inet_sock *deliver(struct inet_sock *u, struct inet_msg *msg, bool urgent, struct inet_sock **old)
{
	struct inet_sock *p, *rx = NULL;
	struct file *f = NULL;

	if (urgent) {
		/* The reader's lock comes first. */
		mutex_lock(inet_mu(u));
		rx = u->peer ? inet_get(u->peer) : NULL;
		mutex_unlock(inet_mu(u));
		if (rx)
			mutex_lock(&rx->rx_mu);
	}
	mutex_lock(inet_mu(u));
	p = u->peer ? inet_get(u->peer) : NULL;
	if (p) {
		if (urgent && p == rx) {
			mark_urgent_locked(p, msg->len, msg->data[msg->len - 1]);
			if (p->sk.file && ref_tryget(&p->sk.file->ref))
				f = p->sk.file;
		}
		u->tx_bytes += msg->len;
		queue_locked(p, msg);
		tcp_undefer_locked(p);
		msg = NULL;
	} else if (u->state == INET_ESTABLISHED) {
		tcp_tw_event_locked(u->sk.net->inet, &u->raddr, &u->laddr, true);
		*old = tcp_reset_locked(u);
	}
	mutex_unlock(inet_mu(u));
	free(msg);
	if (rx) {
		mutex_unlock(&rx->rx_mu);
		inet_put(rx);
	}
	if (f) {
		file_send_sigurg(f);
		file_put(f);
	}
	return p;
}

/* MSG_FASTOPEN: connects first. Without a cookie, and there are none, the data follow the handshake. */
static int64_t fastopen(struct inet_sock *u, struct task *t, struct sock_msg *m)
{
	bool todo;

	mutex_lock(inet_mu(u));
	todo = u->conn != INET_CONNECTED;
	mutex_unlock(inet_mu(u));
	if (!todo)
		return m->done ? 0 : -EISCONN;
	if (!(inet_sysctl("tcp_fastopen", 1) & 1))
		return -EOPNOTSUPP;
	return tcp_connect(&u->sk, t, m->name, m->namelen, m->nonblock, TIME_FOREVER);
}

int64_t tcp_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct inet_sock *u = inet_of(sk), *p, *old;
	int64_t done = 0, r = 0;

	if (m->ctllen) {
		r = sock_check_control(sk, t, m);
		if (r)
			return r;
	}
	if (m->flags & LINUX_MSG_FASTOPEN && !m->done) {
		r = fastopen(u, t, m);
		if (r)
			return r;
	}
	do {
		struct inet_msg *msg;
		int err;
		size_t n;

		mutex_lock(inet_mu(u));
		r = may_send_locked(u, done || m->done);
		mutex_unlock(inet_mu(u));
		if (r < 0)
			break;
		n = MIN(m->u->left, (size_t)r);
		n = MIN(n, (size_t)CHUNK_MAX);
		if (!n)
			break;
		msg = inet_msg_new(m, n, &err);
		if (!msg) {
			r = err;
			break;
		}
		msg->stamp = ktime_real();
		old = NULL;
		p = deliver(u, msg, m->flags & LINUX_MSG_OOB && !m->u->left, &old);
		if (p)
			waitq_wake(&p->sk.wq, m->flags & LINUX_MSG_OOB ? POLL_READ | LINUX_POLLPRI : POLL_READ);
		else
			waitq_wake(&sk->wq, INET_EV_ALL);
		inet_put(p);
		inet_put(old);
		done += (int64_t)n;
	} while (m->u->left);
	if (done && !m->done && m->flags & LINUX_MSG_ZEROCOPY && sock_zerocopy(sk)) {
		mutex_lock(inet_mu(u));
		inet_err_zerocopy_locked(u, u->zc_next++);
		mutex_unlock(inet_mu(u));
		waitq_wake(&sk->wq, LINUX_POLLERR);
	}
	if (done)
		return done;
	if (r == -EPIPE)
		return sock_broken_pipe(t, m);
	return MIN(r, (int64_t)0);
}

/* --- receive --- */

/* What an empty queue means. */
static int64_t empty_locked(struct inet_sock *u, const struct sock_msg *m)
{
	int r;

	if (u->fin_rcvd)
		return 0;
	if (u->err) {
		r = -u->err;
		if (m->done)
			return 0;
		u->err = 0;
		return r;
	}
	if (u->shutdown & INET_SHUT_RCV)
		return 0;
	if (u->state == INET_CLOSE || u->state == INET_LISTEN)
		return -ENOTCONN;
	return m->u->left ? -EAGAIN : 0;
}

static int64_t recv_urgent(struct inet_sock *u, struct sock_msg *m, bool inl)
{
	uint8_t c = 0;
	int64_t r = 1;

	mutex_lock(inet_mu(u));
	if (inl || u->urg == INET_URG_NONE || u->urg == INET_URG_READ) {
		r = -EINVAL;
	} else if (u->state == INET_CLOSE && !u->fin_rcvd) {
		r = -ENOTCONN;
	} else {
		c = u->urg_byte;
		if (!(m->flags & LINUX_MSG_PEEK))
			u->urg = INET_URG_READ;
	}
	mutex_unlock(inet_mu(u));
	m->stop = true;
	if (r < 0)
		return r;
	m->ret_flags |= LINUX_MSG_OOB;
	if (!m->u->left) {
		m->ret_flags |= LINUX_MSG_TRUNC;
		return 0;
	}
	if (!(m->flags & LINUX_MSG_TRUNC) && uio_put(m->u, &c, 1) != 1)
		return -EFAULT;
	return 1;
}

/* Where a reader is: a message of the queue, how far into it, and in the stream. */
struct cursor {
	struct inet_msg *msg;
	uint32_t off;
	uint64_t seq;
	int64_t stamp;
};

/* Steps over @n bytes, which are gone unless @peek. */
static void step_locked(struct inet_sock *u, struct cursor *c, uint32_t n, bool peek)
{
	struct list *next = c->msg->node.next;

	c->seq += n;
	c->off += n;
	c->stamp = c->msg->stamp;
	if (!peek) {
		c->msg->off = c->off;
		u->rq_bytes -= n;
		u->rx_bytes += n;
		if (u->urg != INET_URG_NONE && u->rx_bytes > u->urg_seq)
			u->urg = INET_URG_NONE;
	}
	if (c->off < c->msg->len)
		return;
	if (!peek) {
		list_del(&c->msg->node);
		free(c->msg);
	}
	c->msg = next == &u->rq ? NULL : list_entry(next, struct inet_msg, node);
	c->off = c->msg ? c->msg->off : 0;
}

/* Moves what is queued. Bytes, or an error when there were none. rx_mu and inet_mu held; the latter is dropped for copies. */
static int64_t read_locked(struct inet_sock *u, struct sock_msg *m, bool inl, struct cursor *c)
{
	bool peek = m->flags & LINUX_MSG_PEEK;
	int64_t done = 0;

	while (c->msg && m->u->left) {
		size_t n = MIN((size_t)(c->msg->len - c->off), m->u->left);
		int64_t k = (int64_t)n;

		if (u->urg != INET_URG_NONE && u->urg_seq >= c->seq && u->urg_seq - c->seq < n) {
			if (u->urg_seq > c->seq) {
				n = u->urg_seq - c->seq;
			} else if (done || m->done) {
				m->stop = true; /* a read ends at the mark */
				break;
			} else if (!inl) {
				step_locked(u, c, 1, peek);
				continue;
			}
			k = (int64_t)n;
		}
		/* rx_mu keeps the message; senders write only behind its end. */
		mutex_unlock(inet_mu(u));
		if (m->flags & LINUX_MSG_TRUNC)
			uio_advance(m->u, n);
		else
			k = uio_put(m->u, c->msg->data + c->off, n);
		mutex_lock(inet_mu(u));
		if (k < (int64_t)n) {
			m->stop = true;
			return done ? done : -EFAULT;
		}
		done += k;
		step_locked(u, c, (uint32_t)n, peek);
	}
	return done;
}

int64_t tcp_recvmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct inet_sock *u = inet_of(sk), *p = NULL;
	struct cursor c = { 0 };
	bool some = false, inl;
	size_t left;
	int64_t r;

	if (m->flags & LINUX_MSG_ERRQUEUE)
		return inet_recv_error(u, m);
	mutex_lock(&sk->opt_mu);
	inl = sk->opts.oobinline;
	mutex_unlock(&sk->opt_mu);
	m->namelen = 0;
	if (m->flags & LINUX_MSG_OOB)
		return recv_urgent(u, m, inl);
	mutex_lock(&u->rx_mu);
	mutex_lock(inet_mu(u));
	c.msg = list_first(&u->rq, struct inet_msg, node);
	c.off = c.msg ? c.msg->off : 0;
	c.seq = u->rx_bytes;
	r = read_locked(u, m, inl, &c);
	if (!r && !m->stop)
		r = empty_locked(u, m);
	left = u->rq_bytes;
	if (r > 0 && !(m->flags & LINUX_MSG_PEEK) && u->peer) {
		p = inet_get(u->peer);
		(void)space_locked(p, &some);
	}
	mutex_unlock(inet_mu(u));
	mutex_unlock(&u->rx_mu);
	if (p && some)
		waitq_wake(&p->sk.wq, POLL_WRITE | LINUX_POLLWRBAND);
	inet_put(p);
	if (r > 0 && c.stamp)
		sock_put_timestamp(sk, m, c.stamp);
	if (r > 0 && inet_opt_get(u, LINUX_IPPROTO_TCP, TCP_INQ_))
		sock_put_control(m, LINUX_IPPROTO_TCP, TCP_INQ_, &(int32_t){ (int32_t)MIN(left, (size_t)INT32_MAX) }, sizeof(int32_t));
	return r;
}

/* --- poll and ioctl --- */

uint32_t tcp_poll(struct sock *sk)
{
	struct inet_sock *u = inet_of(sk);
	uint32_t ev = 0;
	size_t lowat;
	bool some, inl;

	mutex_lock(&sk->opt_mu);
	lowat = (size_t)MAX(sk->opts.rcvlowat, 1);
	lowat = MIN(lowat, (size_t)sk->opts.rcvbuf);
	inl = sk->opts.oobinline;
	mutex_unlock(&sk->opt_mu);
	mutex_lock(inet_mu(u));
	if (u->state == INET_LISTEN) {
		ev = u->nr_backlog ? POLL_READ : 0;
		mutex_unlock(inet_mu(u));
		return ev;
	}
	if (u->shutdown == INET_SHUT_BOTH || u->state == INET_CLOSE)
		ev |= LINUX_POLLHUP;
	if (u->shutdown & INET_SHUT_RCV)
		ev |= POLL_READ | LINUX_POLLRDHUP;
	if (u->state != INET_SYN_SENT) {
		/* An urgent byte that is next will be stepped over. */
		if (u->urg != INET_URG_NONE && u->urg_seq == u->rx_bytes && !inl)
			lowat++;
		if (u->rq_bytes >= lowat)
			ev |= POLL_READ;
		(void)space_locked(u, &some);
		if (some || (u->shutdown & INET_SHUT_SEND))
			ev |= POLL_WRITE;
		if (u->urg == INET_URG_VALID)
			ev |= LINUX_POLLPRI;
	}
	if (u->err || !list_empty(&u->errq))
		ev |= LINUX_POLLERR;
	mutex_unlock(inet_mu(u));
	return ev;
}

static size_t inq_locked(struct inet_sock *u, bool inl)
{
	if (u->state == INET_SYN_SENT)
		return 0;
	if (!inl && u->urg != INET_URG_NONE && u->urg_seq >= u->rx_bytes && u->urg_seq < u->rx_bytes + u->rq_bytes)
		return u->urg_seq - u->rx_bytes;
	return u->rq_bytes;
}

int64_t tcp_ioctl(struct sock *sk, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct inet_sock *u = inet_of(sk);
	bool listening, inl;
	int32_t v = 0;
	size_t n = 0;

	if (cmd != LINUX_SIOCINQ && cmd != LINUX_SIOCOUTQ && cmd != LINUX_SIOCATMARK && cmd != LINUX_SIOCOUTQNSD)
		return -ENOTTY;
	mutex_lock(&sk->opt_mu);
	inl = sk->opts.oobinline;
	mutex_unlock(&sk->opt_mu);
	mutex_lock(inet_mu(u));
	listening = u->state == INET_LISTEN;
	if (cmd == LINUX_SIOCINQ) {
		n = inq_locked(u, inl);
	} else if (cmd == LINUX_SIOCATMARK) {
		n = u->urg != INET_URG_NONE && u->urg_seq == u->rx_bytes;
		listening = false;
	} else if (u->peer) {
		uint32_t window = tcp_rcvbuf(u->peer);

		n = u->peer->rq_bytes > window ? u->peer->rq_bytes - window : 0; /* what would not have been acknowledged */
	}
	mutex_unlock(inet_mu(u));
	if (listening)
		return -EINVAL;
	v = (int32_t)MIN(n, (size_t)INT32_MAX);
	return copy_out(t, GADDR(arg), &v, sizeof(v));
}
