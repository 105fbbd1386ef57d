/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets: the open file, and the blocking loops of send and receive. See socket.h; options: sock_opt.c.
 *
 * Checkpoint: the file (type "socket") refers to its endpoint (a type per family), which saves struct sock through sock_save_base().
 * A blocked call is re-run; what a stream transfer had already moved is kept in sysctx.progress.
 * Linux: net/socket.c, net/core/sock.c.
 */
#include "sentry/net/socket.h"

#include <string.h>

#include "base/strbuf.h"
#include "schemas/socket.pb-c.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/fs.h"
#include "sentry/abi/poll.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/kernel.h"
#include "sentry/net/sock_filter.h"
#include "sentry/net/unix.h"
#include "state/state.h"

#define LINUX_SOCKFS_MAGIC_NR 0x534F434B
#define EV_RECV (POLL_READ | LINUX_POLLRDBAND | LINUX_POLLRDHUP | LINUX_POLLHUP | LINUX_POLLERR)
#define EV_SEND (POLL_WRITE | LINUX_POLLWRBAND | LINUX_POLLHUP | LINUX_POLLERR)

struct socket {
	struct file file; /* saved: 1 file_base */
	struct sock *sk; /* saved: 2 sock, referenced */
};

static const struct file_ops socket_ops;

static struct socket *socket_of(const struct file *f)
{
	return container_of((struct file *)(uintptr_t)f, struct socket, file);
}

bool file_is_socket(const struct file *f)
{
	return f->ops == &socket_ops;
}

struct sock *file_sock(const struct file *f)
{
	return file_is_socket(f) ? socket_of(f)->sk : NULL;
}

/* --- endpoints --- */

int sock_init(struct sock *sk, const struct sock_ops *ops, int family, int type, int protocol, struct net_ns *net)
{
	ref_init(&sk->ref);
	waitq_init(&sk->wq);
	mutex_init(&sk->opt_mu, "sock.opt_mu");
	sk->ops = ops;
	sk->family = (uint16_t)family;
	sk->type = (uint16_t)type;
	sk->protocol = (uint16_t)protocol;
	sk->net = net ? net_ns_get(net) : NULL;
	sk->opts = (struct sock_opts){
		.sndbuf = SOCK_WMEM_DEF,
		.rcvbuf = SOCK_WMEM_DEF,
		.rcvtimeo = TIME_FOREVER,
		.sndtimeo = TIME_FOREVER,
		.rcvlowat = 1,
		.peek_off = -1,
		.incoming_cpu = -1,
		.max_pacing_rate = UINT64_MAX,
		.txrehash = 1,
	};
	return 0;
}

void sock_done(struct sock *sk)
{
	net_ns_put(sk->net);
	waitq_done(&sk->wq);
	sock_filter_put(sk->filter);
	sock_filter_put(sk->reuse_prog);
	mutex_destroy(&sk->opt_mu);
}

struct sock *sock_get(struct sock *sk)
{
	ref_get(&sk->ref);
	return sk;
}

void sock_put(struct sock *sk)
{
	if (sk && ref_put(&sk->ref))
		sk->ops->destroy(sk);
}

uint32_t sock_sndbuf(struct sock *sk)
{
	uint32_t r;

	mutex_lock(&sk->opt_mu);
	r = sk->opts.sndbuf;
	mutex_unlock(&sk->opt_mu);
	return r;
}

bool sock_passcred(struct sock *sk)
{
	bool r;

	mutex_lock(&sk->opt_mu);
	r = sk->opts.passcred;
	mutex_unlock(&sk->opt_mu);
	return r;
}

int sock_create(struct task *t, int family, int type, int protocol, struct sock **ret)
{
	struct net_ns *net = t && t->ns ? t->ns->net : NULL;

	if (family < 0 || family >= LINUX_AF_MAX)
		return -EAFNOSUPPORT;
	if (type < 0 || type >= LINUX_SOCK_MAX)
		return -EINVAL;
	switch (family) {
	case LINUX_AF_UNIX:
		return unix_sock_create(t, net, type, protocol, ret);
	case LINUX_AF_INET:
	case LINUX_AF_INET6:
		if (net && net->host)
			return host_sock_create(t, net, family, type, protocol, ret);
		return inet_sock_create(t, net, family, type, protocol, ret);
	case LINUX_AF_NETLINK:
		return netlink_sock_create(t, net, type, protocol, ret);
	default:
		return -EAFNOSUPPORT;
	}
}

int64_t sock_broken_pipe(struct task *t, const struct sock_msg *m)
{
	struct linux_siginfo si;

	if (t && !m->done && !(m->flags & LINUX_MSG_NOSIGNAL)) {
		siginfo_user(&si, SIGPIPE, t, SI_USER);
		(void)signal_send_task(t, SIGPIPE, &si);
	}
	return -EPIPE;
}

void sock_msg_done(struct sock_msg *m)
{
	scm_done(&m->scm);
	free(m->ctl);
	m->ctl = NULL;
	m->ctllen = 0;
}

/* --- file operations --- */

static int64_t socket_read(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct sock *sk = file_sock(f);
	struct sock_msg m = { .u = u, .nonblock = file_nonblock(f) };
	int64_t r;

	if (!u->left)
		return 0;
	r = sk->ops->recvmsg ? sk->ops->recvmsg(sk, t, &m) : -EOPNOTSUPP;
	sock_msg_done(&m); /* read(2) throws descriptors away */
	return r;
}

static int64_t socket_write(struct file *f, struct task *t, struct uio *u, int64_t *pos, int rwf)
{
	struct sock *sk = file_sock(f);
	struct sock_msg m = { .u = u, .nonblock = file_nonblock(f) };
	int64_t r = sk->ops->sendmsg ? sk->ops->sendmsg(sk, t, &m) : -EOPNOTSUPP;

	sock_msg_done(&m);
	sock_put(m.wait); /* a connected sender's own queue is woken too */
	return r;
}

static uint32_t socket_poll(struct file *f)
{
	struct sock *sk = file_sock(f);

	return sk->ops->poll(sk);
}

static struct waitq *socket_pollq(struct file *f)
{
	return &file_sock(f)->wq;
}

static int64_t socket_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct sock *sk = file_sock(f);
	int64_t r = sk->ops->ioctl ? sk->ops->ioctl(sk, t, cmd, arg) : -ENOTTY;

	return r == -ENOTTY ? netdev_ioctl(sk, t, cmd, arg) : r;
}

static void socket_release(struct file *f)
{
	struct socket *s = socket_of(f);
	struct sock *sk = s->sk;

	if (sk) {
		sk->ops->close(sk);
		sock_put(sk);
	}
	file_done(f);
	free(s);
}

static void socket_show_name(struct file *f, struct strbuf *b)
{
	strbuf_addf(b, "socket:[%lu]", (unsigned long)f->inode->ino);
}

static const struct file_ops socket_ops = {
	.name = "socket",
	.state = &socket_state_type,
	.release = socket_release,
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.pollq = socket_pollq,
	.ioctl = socket_ioctl,
	.show_name = socket_show_name,
};

int socket_file_new(struct task *t, struct sock *sk, uint32_t flags, struct file **ret)
{
	struct socket *s = calloc(1, sizeof(*s));
	struct inode *inode = s ? anon_inode_new(t, LINUX_S_IFSOCK | 0777, LINUX_SOCKFS_MAGIC_NR) : NULL;

	if (!inode) {
		free(s);
		return -ENOMEM;
	}
	file_init(&s->file, &socket_ops, LINUX_O_RDWR | flags, t, NULL, inode);
	inode_put(inode);
	s->sk = sk;
	sk->file = &s->file;
	*ret = &s->file;
	return 0;
}

int64_t socket_timeout(const struct file *f, bool write)
{
	struct sock *sk = file_sock(f);
	int64_t r;

	if (!sk)
		return TIME_FOREVER;
	mutex_lock(&sk->opt_mu);
	r = write ? sk->opts.sndtimeo : sk->opts.rcvtimeo;
	mutex_unlock(&sk->opt_mu);
	return r;
}

/* --- blocking transfers --- */

struct xfer {
	struct sock *sk;
	struct task *t;
	struct sock_msg *m;
	size_t target; /* recv: enough bytes to return */
	bool stream;
};

/* 1: the call is over, m->done bytes moved. */
static int64_t send_op(void *arg)
{
	struct xfer *x = arg;
	struct sock_msg *m = x->m;

	for (;;) {
		int64_t r;

		sock_put(m->wait);
		m->wait = NULL;
		r = x->sk->ops->sendmsg(x->sk, x->t, m);
		if (r < 0)
			return r == -EAGAIN || !m->done ? r : 1;
		m->done += (size_t)r;
		if (!x->stream || !m->u->left)
			return 1;
	}
}

static int64_t recv_op(void *arg)
{
	struct xfer *x = arg;
	struct sock_msg *m = x->m;

	for (;;) {
		int64_t r = x->sk->ops->recvmsg(x->sk, x->t, m);

		if (r < 0)
			return r == -EAGAIN || !m->done ? r : 1;
		m->done += (size_t)r;
		if (!r || m->stop || m->done >= x->target || !m->u->left)
			return 1;
	}
}

/* Waits and repeats @op; the result of the system call. */
static int64_t xfer_wait(struct xfer *x, int64_t timeo, uint32_t events, int64_t (*op)(void *))
{
	struct sock_msg *m = x->m;
	int64_t r = op(x);

	if (r == -EAGAIN && !m->nonblock) {
		int64_t deadline = task_deadline(x->t, timeo == TIME_FOREVER ? -1 : timeo);
		struct sock *on = m->wait ? sock_get(m->wait) : NULL;

		/* A datagram always goes to the same target; should a re-run resolve to another, the wake-up is at worst late by
		 * one message of the first. */
		r = task_wait_on(x->t, on ? &on->wq : &x->sk->wq, on ? SOCK_WAIT_SPACE | LINUX_POLLHUP : events, deadline, op, x);
		sock_put(on);
	}
	sock_put(m->wait);
	m->wait = NULL;
	if (r == -EFREEZE) {
		x->t->sysctx.progress = m->done;
		return r;
	}
	if (r == 1 || m->done)
		return (int64_t)m->done;
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	if (r == -ERESTARTSYS && timeo != TIME_FOREVER)
		return -EINTR;
	return r;
}

/* A re-run after a freeze continues where the first run stopped. */
static void resume_progress(struct task *t, struct sock_msg *m)
{
	if (!t || !t->sysctx.again || !t->sysctx.progress)
		return;
	m->done = MIN((size_t)t->sysctx.progress, m->u->left);
	uio_advance(m->u, m->done);
}

int64_t do_sendmsg(struct file *f, struct task *t, struct sock_msg *m)
{
	struct sock *sk = file_sock(f);
	struct xfer x = { .sk = sk, .t = t, .m = m, .stream = sk->type == LINUX_SOCK_STREAM };

	if (!sk->ops->sendmsg)
		return -EOPNOTSUPP;
	m->nonblock = (m->flags & LINUX_MSG_DONTWAIT) || file_nonblock(f);
	if (x.stream)
		resume_progress(t, m);
	if (m->done) {
		/* Descriptors went with the first part. */
		scm_fds_put(m->scm.fds);
		m->scm.fds = NULL;
		if (!m->u->left)
			return (int64_t)m->done;
	}
	return xfer_wait(&x, socket_timeout(f, true), EV_SEND, send_op);
}

int64_t do_recvmsg(struct file *f, struct task *t, struct sock_msg *m)
{
	struct sock *sk = file_sock(f);
	struct xfer x = { .sk = sk, .t = t, .m = m, .stream = sk->type == LINUX_SOCK_STREAM };

	if (!sk->ops->recvmsg)
		return -EOPNOTSUPP;
	m->nonblock = (m->flags & LINUX_MSG_DONTWAIT) || file_nonblock(f);
	if (x.stream) {
		int32_t lowat;

		mutex_lock(&sk->opt_mu);
		lowat = sk->opts.rcvlowat;
		mutex_unlock(&sk->opt_mu);
		lowat = MAX(lowat, 1);
		x.target = m->flags & LINUX_MSG_WAITALL ? m->u->left : MIN(m->u->left, (size_t)lowat);
		if (m->flags & LINUX_MSG_PEEK)
			x.target = 1;
		else
			resume_progress(t, m);
		x.target = MAX(x.target, (size_t)1);
		if (m->done >= x.target)
			return (int64_t)m->done;
	}
	return xfer_wait(&x, socket_timeout(f, false), EV_RECV, recv_op);
}

/* --- state --- */

static void save_prog(struct state_writer *w, const struct sock_filter_prog *p, uint64_t **ret, size_t *n)
{
	if (!p)
		return;
	*ret = state_zalloc(w, p->n, sizeof(**ret));
	memcpy(*ret, p->insn, p->n * sizeof(p->insn[0]));
	*n = p->n;
}

static int load_prog(struct state_reader *r, const uint64_t *insn, size_t n, struct sock_filter_prog **ret)
{
	struct sock_filter_insn *copy;
	int err = state_check(r, n <= SOCK_FILTER_MAX, "socket filter");

	if (err || !n)
		return err;
	copy = malloc(n * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, insn, n * sizeof(*copy));
	err = sock_filter_new(copy, (uint32_t)n, ret);
	free(copy);
	return err == -EINVAL ? state_check(r, false, "socket filter") : err;
}

int sock_save_base(struct state_writer *w, const struct sock *sk, Sentry__SockBase *m)
{
	const struct sock_opts *o = &sk->opts;
	const bool bits[] = { o->reuseaddr, o->reuseport, o->keepalive, o->broadcast,
			      o->dontroute, o->oobinline, o->timestamp, o->passsec };

	m->family = sk->family;
	m->type = sk->type;
	m->protocol = sk->protocol;
	m->net = state_ref(w, &net_ns_state_type, sk->net);
	m->sndbuf = o->sndbuf;
	m->rcvbuf = o->rcvbuf;
	m->rcvtimeo = o->rcvtimeo;
	m->sndtimeo = o->sndtimeo;
	m->rcvlowat = o->rcvlowat;
	m->passcred = o->passcred;
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		m->option_bits |= (uint32_t)bits[i] << i;
	m->linger = o->linger;
	m->linger_sec = o->linger_sec;
	m->priority = o->priority;
	m->mark = o->mark;
	m->debug = o->debug;
	m->more_bits = (uint32_t)o->ts_ns | (uint32_t)o->ts_new << 1 | (uint32_t)o->rxq_ovfl << 2 | (uint32_t)o->wifi_status << 3 |
		       (uint32_t)o->nofcs << 4 | (uint32_t)o->select_err_queue << 5 | (uint32_t)o->no_check << 6 | (uint32_t)o->zerocopy << 7 |
		       (uint32_t)o->rcvmark << 8 | (uint32_t)o->lock_filter << 9 | (uint32_t)o->prefer_busy_poll << 10 | (uint32_t)o->txtime << 11;
	m->buf_lock = o->buf_lock;
	m->timestamping = o->timestamping;
	m->peek_off = o->peek_off;
	m->incoming_cpu = o->incoming_cpu;
	m->busy_poll = o->busy_poll;
	m->busy_poll_budget = o->busy_poll_budget;
	m->max_pacing_rate = o->max_pacing_rate;
	m->txrehash = o->txrehash;
	m->txtime_clock = o->txtime_clock;
	m->txtime_flags = o->txtime_flags;
	m->bound_dev = atomic_load(&sk->bound_dev);
	m->cookie = sk->cookie;
	save_prog(w, sk->filter, &m->filter, &m->n_filter);
	save_prog(w, sk->reuse_prog, &m->reuse_prog, &m->n_reuse_prog);
	return 0;
}

/* Options whose initial value is not 0, and which the first builds did not have: these builds' images say 0 of all of them. */
static void load_newer_opts(struct sock_opts *o, const Sentry__SockBase *m)
{
	bool old = !m->peek_off && !m->incoming_cpu && !m->max_pacing_rate && !m->txrehash;

	o->peek_off = old ? -1 : m->peek_off;
	o->incoming_cpu = old ? -1 : m->incoming_cpu;
	o->max_pacing_rate = old ? UINT64_MAX : m->max_pacing_rate;
	o->txrehash = old ? 1 : m->txrehash;
}

int sock_load_base(struct state_reader *r, struct sock *sk, const struct sock_ops *ops, const Sentry__SockBase *m)
{
	struct sock_opts *o = &sk->opts;
	bool *bits[] = { &o->reuseaddr, &o->reuseport, &o->keepalive, &o->broadcast,
			 &o->dontroute, &o->oobinline, &o->timestamp, &o->passsec };
	int err = state_check(r, m && m->family < LINUX_AF_MAX && m->type < LINUX_SOCK_MAX && m->protocol <= UINT16_MAX,
			      "socket family and type");

	if (err)
		return err;
	err = state_check(r, m->rcvtimeo >= 0 && m->sndtimeo >= 0 && m->option_bits < 1u << ARRAY_SIZE(bits) &&
				     m->sndbuf <= INT32_MAX && m->rcvbuf <= INT32_MAX, "socket options");
	if (err)
		return err;
	sk->ops = ops;
	sk->family = (uint16_t)m->family;
	sk->type = (uint16_t)m->type;
	sk->protocol = (uint16_t)m->protocol;
	o->sndbuf = m->sndbuf;
	o->rcvbuf = m->rcvbuf;
	o->rcvtimeo = m->rcvtimeo;
	o->sndtimeo = m->sndtimeo;
	o->rcvlowat = m->rcvlowat;
	o->passcred = m->passcred;
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		*bits[i] = m->option_bits >> i & 1;
	o->linger = m->linger;
	o->linger_sec = m->linger_sec;
	o->priority = m->priority;
	o->mark = m->mark;
	err = state_check(r, m->more_bits < 1u << 12 && m->buf_lock <= SOCK_BUFS_LOCKED && m->busy_poll_budget <= UINT16_MAX, "socket options");
	if (!err)
		err = load_prog(r, m->filter, m->n_filter, &sk->filter);
	if (!err)
		err = load_prog(r, m->reuse_prog, m->n_reuse_prog, &sk->reuse_prog);
	if (err)
		return err;
	o->debug = m->debug;
	o->ts_ns = m->more_bits & 1;
	o->ts_new = m->more_bits >> 1 & 1;
	o->rxq_ovfl = m->more_bits >> 2 & 1;
	o->wifi_status = m->more_bits >> 3 & 1;
	o->nofcs = m->more_bits >> 4 & 1;
	o->select_err_queue = m->more_bits >> 5 & 1;
	o->no_check = m->more_bits >> 6 & 1;
	o->zerocopy = m->more_bits >> 7 & 1;
	o->rcvmark = m->more_bits >> 8 & 1;
	o->lock_filter = m->more_bits >> 9 & 1;
	o->prefer_busy_poll = m->more_bits >> 10 & 1;
	o->txtime = m->more_bits >> 11 & 1;
	o->buf_lock = m->buf_lock;
	o->timestamping = m->timestamping;
	load_newer_opts(o, m);
	o->busy_poll = m->busy_poll;
	o->busy_poll_budget = m->busy_poll_budget;
	o->txtime_clock = m->txtime_clock;
	o->txtime_flags = m->txtime_flags;
	atomic_store(&sk->bound_dev, m->bound_dev);
	sk->cookie = m->cookie;
	return state_deref(r, m->net, &net_ns_state_type, (void **)&sk->net);
}

void sock_state_get(void *sk)
{
	(void)sock_get(sk);
}

void sock_state_put(void *sk)
{
	sock_put(sk);
}

static void *socket_alloc(void)
{
	struct socket *s = calloc(1, sizeof(*s));

	if (s)
		ref_init(&s->file.ref);
	return s;
}

static int socket_save(struct state_writer *w, const void *obj, void *msg)
{
	const struct socket *s = obj;
	Sentry__Socket *m = msg;

	m->file_base = state_zalloc(w, 1, sizeof(*m->file_base));
	sentry__file_base__init(m->file_base);
	m->sock = state_ref(w, s->sk->ops->state, s->sk);
	return file_save_base(w, &s->file, m->file_base);
}

static int socket_load(struct state_reader *r, void *obj, const void *msg)
{
	const Sentry__Socket *m = msg;
	const struct state_type *type = NULL;
	struct socket *s = obj;
	void *sk = NULL;
	int err = state_check(r, m->file_base != NULL, "no base");

	if (!err)
		err = file_load_base(r, &s->file, &socket_ops, m->file_base);
	if (!err)
		err = state_deref_any(r, m->sock, &type, &sk);
	if (!err)
		err = state_check(r, sk && type->get == sock_state_get, "socket without endpoint");
	if (!err)
		s->sk = sk;
	return err;
}

static int socket_after_load(struct state_reader *r, void *obj)
{
	struct socket *s = obj;
	int err = state_check(r, !s->sk->file, "endpoint with two files");

	if (err)
		return err;
	s->sk->file = &s->file;
	file_after_load_base(&s->file);
	return 0;
}

const struct state_type socket_state_type = {
	.id = STATE_ID_socket,
	.name = "socket",
	.desc = &sentry__socket__descriptor,
	.prio = STATE_PRIO_FILE,
	.alloc = socket_alloc,
	.save = socket_save,
	.load = socket_load,
	.after_load = socket_after_load,
	.get = file_state_get,
	.put = file_state_put,
};
