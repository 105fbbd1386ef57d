/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_UNIX data transfer: send, receive, poll.
 *
 * Data is copied once into a unix_msg and appended to the receiver's queue. The sender is charged for it (wmem, in Linux's truesize, so that
 * as much fits as there) until the receiver has taken it. Datagram queues are also bounded in number unless the receiver is connected
 * back to the sender.
 *
 * Copies to the application are made with the receiver's mu held, which keeps concurrent readers in order; copies from it with no lock.
 * Checkpoint: queued messages, see unix_state.c. Linux: net/unix/af_unix.c.
 */
#include <string.h>

#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/unix.h"

#define SKB_HEAD     256u /* struct sk_buff, rounded to its slab */
#define SKB_SHINFO   320u
#define SKB_MAX_HEAD (PAGE_SIZE - SKB_SHINFO)
#define SKB_MAX_ALLOC (4 * PAGE_SIZE - SKB_SHINFO)
#define SKB_MAX_DATA (SKB_MAX_HEAD + 32768u)

/* What Linux charges for a message of @len bytes: its head comes from kmalloc's size classes, the rest from whole pages. */
uint32_t unix_truesize(size_t len, bool stream)
{
	size_t max_head = stream ? SKB_MAX_HEAD : SKB_MAX_ALLOC, paged = 0, head, slab = 512;

	if (len > max_head)
		paged = MIN(len, ALIGN_UP(len - max_head, PAGE_SIZE));
	head = ALIGN_UP(len - paged, 64UL) + SKB_SHINFO;
	while (slab < head)
		slab *= 2;
	return (uint32_t)(SKB_HEAD + slab + ALIGN_UP(paged, PAGE_SIZE));
}

static bool wmem_full(struct unix_sock *u)
{
	return atomic_load(&u->wmem) >= sock_sndbuf(&u->sk);
}

/* Copies @n bytes of @m into a new message charged to @u. Descriptors stay with @m until the message is queued. */
static int msg_new(struct unix_sock *u, struct task *t, struct sock_msg *m, size_t n, bool creds, struct unix_msg **ret)
{
	struct unix_msg *msg = malloc(sizeof(*msg) + n);

	if (!msg)
		return -ENOMEM;
	memset(msg, 0, sizeof(*msg));
	if (n && uio_get(m->u, msg->data, n) != (int64_t)n) {
		free(msg);
		return -EFAULT;
	}
	msg->len = n;
	msg->truesize = unix_truesize(n, u->sk.type == LINUX_SOCK_STREAM);
	msg->sender = unix_get(u);
	atomic_fetch_add(&u->wmem, msg->truesize);
	if (m->scm.has_creds) {
		msg->scm.pid = m->scm.pid ? pid_get(m->scm.pid) : NULL;
		msg->scm.uid = m->scm.uid;
		msg->scm.gid = m->scm.gid;
		msg->scm.has_creds = true;
	} else if (creds && t) {
		scm_set_creds(&msg->scm, t);
	}
	*ret = msg;
	return 0;
}

/* o->mu held. Descriptors of @m go with this message. */
static void queue_locked(struct unix_sock *o, struct unix_msg *msg, struct sock_msg *m)
{
	msg->scm.fds = m->scm.fds;
	m->scm.fds = NULL;
	if (msg->oob) {
		/* An older urgent byte becomes one of the others. */
		if (o->oob)
			o->oob->oob = false;
		o->oob = msg;
	}
	list_add_tail(&o->rq, &msg->node);
	o->rq_len++;
	o->rq_bytes += msg->len;
}

/* --- stream send --- */

static int64_t stream_send(struct unix_sock *u, struct task *t, struct sock_msg *m)
{
	bool urgent = m->flags & LINUX_MSG_OOB;
	struct file *f = NULL;
	struct unix_sock *o;
	int64_t done = 0, r = 0;
	int err;

	if (urgent && !m->u->left)
		return -EOPNOTSUPP;
	mutex_lock(&u->mu);
	o = u->peer ? unix_get(u->peer) : NULL;
	err = u->err;
	if (m->namelen)
		r = u->state == UNIX_ESTABLISHED ? -EISCONN : -EOPNOTSUPP;
	else if (!o)
		r = u->shutdown & UNIX_SHUT_SEND ? -EPIPE : -ENOTCONN;
	else if (u->shutdown & UNIX_SHUT_SEND)
		r = -EPIPE;
	else if (err)
		r = -err;
	if (r == -err)
		u->err = 0;
	mutex_unlock(&u->mu);
	if (r == -EPIPE)
		r = sock_broken_pipe(t, m);
	while (!r && m->u->left) {
		size_t n = MIN(m->u->left, (size_t)sock_sndbuf(&u->sk) / 2 - 64);
		struct scm_fds *fds = m->scm.fds;
		struct unix_msg *msg;
		bool broken;

		n = MIN(n, (size_t)SKB_MAX_DATA);
		if (urgent && m->u->left > 1) /* the last byte goes by itself */
			n = MIN(n, m->u->left - 1);
		if (wmem_full(u)) {
			r = -EAGAIN;
			break;
		}
		r = msg_new(u, t, m, n, sock_passcred(&u->sk) || sock_passcred(&o->sk), &msg);
		if (r)
			break;
		if (fds)
			unix_flight(fds);
		msg->oob = urgent && !m->u->left;
		mutex_lock(&o->mu);
		broken = o->dead || (o->shutdown & UNIX_SHUT_RCV);
		if (!broken) {
			if (msg->oob && o->sk.file && ref_tryget(&o->sk.file->ref))
				f = o->sk.file;
			queue_locked(o, msg, m);
		}
		mutex_unlock(&o->mu);
		if (broken) {
			if (fds)
				unix_unflight(fds);
			unix_msg_free(msg);
			r = done ? -EPIPE : sock_broken_pipe(t, m);
			break;
		}
		waitq_wake(&o->sk.wq, urgent ? POLL_READ | LINUX_POLLPRI : POLL_READ);
		done += (int64_t)n;
	}
	if (f) {
		file_send_sigurg(f);
		file_put(f);
	}
	unix_put(o);
	return done ? done : r;
}

/* --- datagram and seqpacket send --- */

/* The target, referenced; *@ret_named: it was given, not connected. */
static int dgram_target(struct unix_sock *u, struct task *t, struct sock_msg *m, struct unix_sock **ret, bool *ret_named)
{
	bool seq = u->sk.type == LINUX_SOCK_SEQPACKET;
	struct unix_sock *o;
	bool shut;
	int err;

	*ret_named = m->namelen && !seq;
	if (*ret_named)
		return unix_find(u, t, m->name, m->namelen, ret);
	mutex_lock(&u->mu);
	o = u->peer ? unix_get(u->peer) : NULL;
	shut = u->shutdown & UNIX_SHUT_SEND;
	err = u->err;
	if (o && !shut)
		u->err = 0;
	mutex_unlock(&u->mu);
	if (!o)
		return -ENOTCONN;
	if (shut || err) {
		unix_put(o);
		return shut ? -EPIPE : -err;
	}
	*ret = o;
	return 0;
}

/* 0 when @o takes a message of @u now. o->mu held. */
static int may_queue_locked(struct unix_sock *u, struct unix_sock *o)
{
	if (o->dead)
		return u->sk.type == LINUX_SOCK_SEQPACKET ? -EPIPE : -ECONNREFUSED;
	if (unix_is_dgram(u) && o->peer && o->peer != u)
		return -EPERM;
	if (o->shutdown & UNIX_SHUT_RCV)
		return -EPIPE;
	if (o != u && o->peer != u && unix_rq_full(o))
		return -EAGAIN;
	return 0;
}

static int64_t dgram_send(struct unix_sock *u, struct task *t, struct sock_msg *m)
{
	struct uio mark = uio_mark(m->u);
	size_t n = m->u->left;
	struct unix_sock *o = NULL;
	struct unix_msg *msg = NULL;
	struct scm_fds *fds = m->scm.fds;
	bool named;
	int r;

	if (m->flags & LINUX_MSG_OOB)
		return -EOPNOTSUPP;
	if (sock_passcred(&u->sk) && unix_is_dgram(u)) {
		r = unix_autobind(u);
		if (r)
			return r;
	}
	r = dgram_target(u, t, m, &o, &named);
	if (r)
		return r;
	if (n > sock_sndbuf(&u->sk) - 32) {
		r = -EMSGSIZE;
	} else {
		/* Asked before the copy, so that a blocked sender does not copy at every wake-up, and again after it. */
		mutex_lock(&o->mu);
		r = may_queue_locked(u, o);
		mutex_unlock(&o->mu);
		if (!r && wmem_full(u))
			r = -ENOBUFS; /* own buffer: becomes EAGAIN below without naming a queue to wait on */
	}
	if (!r)
		r = msg_new(u, t, m, n, sock_passcred(&u->sk) || sock_passcred(&o->sk), &msg);
	if (!r) {
		if (fds)
			unix_flight(fds);
		mutex_lock(&o->mu);
		r = may_queue_locked(u, o);
		if (!r)
			queue_locked(o, msg, m);
		mutex_unlock(&o->mu);
		if (r) {
			if (fds)
				unix_unflight(fds);
			unix_msg_free(msg);
			*m->u = mark;
		}
	}
	if (!r)
		waitq_wake(&o->sk.wq, POLL_READ);
	else if (r == -EAGAIN)
		m->wait = sock_get(&o->sk);
	else if (r == -ECONNREFUSED && !named)
		unix_dgram_disconnect(u, o);
	unix_put(o);
	if (r == -ENOBUFS)
		r = -EAGAIN;
	return r ? r : (int64_t)n;
}

int64_t unix_sendmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct unix_sock *u = unix_of(sk);
	bool connected;
	int err;

	if (sk->type == LINUX_SOCK_STREAM)
		return stream_send(u, t, m);
	if (sk->type == LINUX_SOCK_SEQPACKET) {
		mutex_lock(&u->mu);
		connected = u->state == UNIX_ESTABLISHED;
		err = u->err;
		u->err = 0;
		mutex_unlock(&u->mu);
		if (err)
			return -err;
		if (!connected)
			return -ENOTCONN;
	}
	return dgram_send(u, t, m);
}

/* --- receive --- */

static void copy_creds(struct scm *dst, const struct scm *src)
{
	if (dst->pid)
		pid_put(dst->pid);
	dst->pid = src->pid ? pid_get(src->pid) : NULL;
	dst->uid = src->uid;
	dst->gid = src->gid;
	dst->has_creds = src->has_creds;
}

static bool same_writer(const struct scm *a, const struct scm *b)
{
	return a->has_creds == b->has_creds && a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

static void unqueue_locked(struct unix_sock *u, struct unix_msg *msg, struct list *gone)
{
	list_del(&msg->node);
	list_add_tail(gone, &msg->node);
	u->rq_len--;
}

static void free_gone(struct list *gone)
{
	struct unix_msg *m, *tmp;

	list_for_each_safe(m, tmp, gone, node) {
		list_del(&m->node);
		unix_msg_free(m);
	}
}

/* Moves or (peek) duplicates the descriptors of @msg to @m; u->mu held. Moved ones are in *@landed too: still accounted as in flight. */
static int take_fds_locked(struct unix_msg *msg, struct sock_msg *m, bool peek, struct scm_fds **landed)
{
	if (!msg->scm.fds)
		return 0;
	scm_fds_put(m->scm.fds); /* cannot be: a call ends with the first; but never leak */
	m->scm.fds = NULL;
	if (peek) {
		m->scm.fds = scm_fds_dup(msg->scm.fds);
		return m->scm.fds ? 0 : -ENOMEM;
	}
	*landed = m->scm.fds = msg->scm.fds;
	msg->scm.fds = NULL;
	return 0;
}

static void set_sender_name(struct sock_msg *m, struct unix_sock *sender, bool even_unnamed)
{
	if (sender->addr)
		m->namelen = (uint32_t)unix_fill_name(sender, m->name);
	else if (!even_unnamed)
		m->namelen = 0;
}

bool unix_at_mark_locked(const struct unix_sock *u)
{
	const struct unix_msg *first = list_first(&u->rq, struct unix_msg, node);

	if (!first)
		return false;
	if (first == u->oob)
		return true;
	/* An urgent byte that was read leaves its place. */
	return first->off == first->len && (!u->oob || first->node.next == &u->oob->node);
}

static bool oob_inline(struct unix_sock *u)
{
	bool r;

	mutex_lock(&u->sk.opt_mu);
	r = u->sk.opts.oobinline;
	mutex_unlock(&u->sk.opt_mu);
	return r;
}

static int64_t recv_urgent(struct unix_sock *u, struct sock_msg *m)
{
	bool inl = oob_inline(u);
	struct unix_msg *msg;
	int64_t r = 1;

	m->stop = true;
	mutex_lock(&u->mu);
	msg = u->oob;
	if (u->state != UNIX_ESTABLISHED || inl || !msg) {
		r = -EINVAL;
	} else {
		if (m->u->left && uio_put(m->u, msg->data, 1) != 1)
			r = -EFAULT;
		if (!(m->flags & LINUX_MSG_PEEK)) {
			msg->off = msg->len; /* its place stays */
			msg->oob = false;
			u->rq_bytes--;
			u->oob = NULL;
		}
	}
	mutex_unlock(&u->mu);
	if (r > 0)
		m->ret_flags |= LINUX_MSG_OOB;
	return r;
}

enum pass { TAKE_IT, STEP_OVER, END_HERE };

/* What a stream reader does at @msg because of urgent bytes; @copied: it has read something before. What is stepped over is gone unless @peek. */
static enum pass at_urgent_locked(struct unix_sock *u, struct unix_msg *msg, bool inl, bool peek, bool copied)
{
	if (msg->off == msg->len)
		return copied && (!u->oob || msg->node.next == &u->oob->node) ? END_HERE : STEP_OVER;
	if (msg != u->oob)
		return TAKE_IT;
	if (copied)
		return END_HERE;
	if (!peek) {
		u->oob = NULL;
		msg->oob = false;
	}
	return inl ? TAKE_IT : STEP_OVER;
}

static void move_peek_off(struct unix_sock *u, int64_t by)
{
	mutex_lock(&u->sk.opt_mu);
	if (u->sk.opts.peek_off >= 0) {
		by = MAX(u->sk.opts.peek_off + by, (int64_t)0);
		u->sk.opts.peek_off = (int32_t)MIN(by, (int64_t)INT32_MAX);
	}
	mutex_unlock(&u->sk.opt_mu);
}

/* Bytes that a peek leaves out (SO_PEEK_OFF). */
static size_t peek_skip(struct unix_sock *u, bool peek)
{
	int32_t r;

	mutex_lock(&u->sk.opt_mu);
	r = peek ? u->sk.opts.peek_off : 0;
	mutex_unlock(&u->sk.opt_mu);
	return r > 0 ? (size_t)r : 0;
}

static int64_t stream_recv(struct unix_sock *u, struct task *t, struct sock_msg *m)
{
	bool peek = m->flags & LINUX_MSG_PEEK, passcred = sock_passcred(&u->sk), first = !m->done, inl = oob_inline(u);
	struct list gone = LIST_INIT(gone);
	struct scm_fds *landed = NULL;
	size_t skip = peek_skip(u, peek);
	struct unix_msg *msg, *tmp;
	int64_t done = 0, r = 0;

	if (m->flags & LINUX_MSG_OOB)
		return recv_urgent(u, m);
	mutex_lock(&u->mu);
	if (u->state != UNIX_ESTABLISHED && !u->dead) {
		mutex_unlock(&u->mu);
		return -EINVAL;
	}
	list_for_each_safe(msg, tmp, &u->rq, node) {
		enum pass pass;
		size_t n;
		int64_t k;

		if (!m->u->left && done)
			break;
		pass = at_urgent_locked(u, msg, inl, peek, done || m->done);
		if (pass == END_HERE) {
			m->stop = true;
			break;
		}
		if (pass == STEP_OVER) {
			if (!peek) {
				u->rq_bytes -= msg->len - msg->off;
				unqueue_locked(u, msg, &gone);
			}
			continue;
		}
		if (skip >= msg->len - msg->off && skip) {
			skip -= msg->len - msg->off;
			continue;
		}
		n = MIN(msg->len - msg->off - skip, m->u->left);
		if (!first && passcred && !same_writer(&m->scm, &msg->scm)) {
			m->stop = true;
			break;
		}
		k = n ? uio_put(m->u, msg->data + msg->off + skip, n) : 0;
		skip = 0;
		if (k < (int64_t)n) {
			if (!done)
				r = -EFAULT;
			m->stop = true;
			break;
		}
		if (first) {
			copy_creds(&m->scm, &msg->scm);
			set_sender_name(m, msg->sender, false);
		}
		first = false;
		done += k;
		if (msg->scm.fds) {
			m->stop = true;
			r = take_fds_locked(msg, m, peek, &landed);
			if (r)
				break;
		}
		if (!peek) {
			msg->off += (size_t)k;
			u->rq_bytes -= (size_t)k;
			if (msg->off == msg->len)
				unqueue_locked(u, msg, &gone);
		}
		if (m->stop)
			break;
	}
	if (!done && !r) {
		if (u->err) {
			r = -u->err;
			u->err = 0;
		} else if (!(u->shutdown & UNIX_SHUT_RCV)) {
			r = m->u->left || list_empty(&u->rq) ? -EAGAIN : 0;
		}
	}
	mutex_unlock(&u->mu);
	if (done)
		move_peek_off(u, peek ? done : -done);
	if (landed)
		unix_unflight(landed);
	free_gone(&gone);
	return done ? done : r;
}

/* The message a reader is at when *@skip bytes are left out; *@skip becomes how many of its own. */
static struct unix_msg *skip_messages_locked(struct unix_sock *u, size_t *skip)
{
	struct unix_msg *msg;

	if (!*skip)
		return list_first(&u->rq, struct unix_msg, node);
	list_for_each(msg, &u->rq, node) {
		if (*skip < msg->len)
			return msg;
		*skip -= msg->len;
	}
	return NULL;
}

static int64_t dgram_recv(struct unix_sock *u, struct task *t, struct sock_msg *m)
{
	bool peek = m->flags & LINUX_MSG_PEEK, was_full, room = false;
	struct list gone = LIST_INIT(gone);
	struct scm_fds *landed = NULL;
	size_t n, skip = peek_skip(u, peek), have;
	struct unix_sock *s;
	struct unix_msg *msg;
	int64_t r = 0;

	if (m->flags & LINUX_MSG_OOB)
		return -EOPNOTSUPP;
	mutex_lock(&u->mu);
	msg = skip_messages_locked(u, &skip);
	if (u->sk.type == LINUX_SOCK_SEQPACKET && u->state != UNIX_ESTABLISHED && !u->dead) {
		r = -ENOTCONN;
	} else if (!msg) {
		r = -EAGAIN;
		if (u->err) {
			r = -u->err;
			u->err = 0;
		} else if ((u->shutdown & UNIX_SHUT_RCV) && (!unix_is_dgram(u) || !m->nonblock)) {
			r = 0;
		}
	} else {
		was_full = unix_rq_full(u);
		have = msg->len - skip;
		n = MIN(have, m->u->left);
		if (n && uio_put(m->u, msg->data + skip, n) != (int64_t)n) {
			r = -EFAULT;
		} else {
			copy_creds(&m->scm, &msg->scm);
			set_sender_name(m, msg->sender, false);
			r = take_fds_locked(msg, m, peek, &landed);
		}
		if (!r) {
			if (n < have)
				m->ret_flags |= LINUX_MSG_TRUNC;
			r = (int64_t)(m->flags & LINUX_MSG_TRUNC ? have : n);
			m->stop = true;
			move_peek_off(u, peek ? (int64_t)n : -(int64_t)msg->len);
		}
		/* As in Linux a message is used up even when it could not be copied out. */
		if (!peek) {
			u->rq_bytes -= msg->len;
			unqueue_locked(u, msg, &gone);
			room = was_full && !unix_rq_full(u);
			if (room)
				list_for_each(s, &u->senders, conn_node)
					waitq_wake(&s->sk.wq, POLL_WRITE | LINUX_POLLWRBAND);
		}
	}
	mutex_unlock(&u->mu);
	if (landed)
		unix_unflight(landed);
	if (room)
		waitq_wake(&u->sk.wq, SOCK_WAIT_SPACE);
	free_gone(&gone);
	return r;
}

int64_t unix_recvmsg(struct sock *sk, struct task *t, struct sock_msg *m)
{
	struct unix_sock *u = unix_of(sk);

	return sk->type == LINUX_SOCK_STREAM ? stream_recv(u, t, m) : dgram_recv(u, t, m);
}

/* --- poll --- */

uint32_t unix_poll(struct sock *sk)
{
	struct unix_sock *u = unix_of(sk), *peer = NULL;
	bool writable = (uint64_t)atomic_load(&u->wmem) * 4 <= sock_sndbuf(sk);
	uint32_t ev = 0;

	mutex_lock(&u->mu);
	if (u->err)
		ev |= LINUX_POLLERR;
	if (u->shutdown == UNIX_SHUT_BOTH)
		ev |= LINUX_POLLHUP;
	if (u->shutdown & UNIX_SHUT_RCV)
		ev |= LINUX_POLLRDHUP | POLL_READ;
	if (!list_empty(&u->rq) || !list_empty(&u->backlog))
		ev |= POLL_READ;
	if (u->oob)
		ev |= LINUX_POLLPRI;
	if (!unix_is_dgram(u) && u->state == UNIX_CLOSED)
		ev |= LINUX_POLLHUP;
	if (u->state == UNIX_LISTEN)
		writable = false;
	if (writable && unix_is_dgram(u) && u->peer && u->peer != u)
		peer = unix_get(u->peer);
	mutex_unlock(&u->mu);
	if (peer) {
		mutex_lock(&peer->mu);
		if (peer->peer != u && unix_rq_full(peer))
			writable = false;
		mutex_unlock(&peer->mu);
		unix_put(peer);
	}
	if (writable)
		ev |= POLL_WRITE | LINUX_POLLWRBAND;
	return ev;
}
