/* SPDX-License-Identifier: Apache-2.0 */
/* Host sockets: life, names, connections, readiness. See host.h. Linux: net/ipv4/af_inet.c. */
#include "sentry/net/host/host.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "sentry/abi/poll.h"
#include "sentry/kernel/kernel.h"
#include "sentry/sentry.h"
#include "state/state.h"

#define SIOCATMARK_C 0x8905u
#define EV_ALL (POLL_READ | POLL_WRITE | LINUX_POLLWRBAND | LINUX_POLLPRI | LINUX_POLLHUP | LINUX_POLLRDHUP | LINUX_POLLERR)

static struct {
	bool on;
	int netlink;
	uint32_t unprivileged_port; /* the host's net.ipv4.ip_unprivileged_port_start */
} host_net = { .netlink = -EBADF };

static struct mutex host_all_mu = MUTEX_INIT("host_all_mu");
static struct list host_all = LIST_INIT(host_all);

int host_net_init(const struct sentry_config *cfg, struct error **err)
{
	if (!cfg->host_network)
		return 0;
	host_net.netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (host_net.netlink < 0)
		return error_set(err, -errno, "--network=host: netlink socket");
	host_net.unprivileged_port = cfg->unprivileged_port;
	host_net.on = true;
	return 0;
}

bool host_net_on(void)
{
	return host_net.on;
}

int host_netlink_fd(void)
{
	return host_net.netlink;
}

/* --- readiness --- */

static void watch_fired(struct host_watch *w, uint32_t ev)
{
	struct host_sock *h = container_of(w, struct host_sock, watch);

	if (ev & LINUX_POLLIN)
		ev |= LINUX_POLLRDNORM;
	if (ev & LINUX_POLLOUT)
		ev |= LINUX_POLLWRNORM | LINUX_POLLWRBAND;
	if (ev & (LINUX_POLLHUP | LINUX_POLLERR))
		ev |= POLL_READ | POLL_WRITE;
	waitq_wake(&h->sk.wq, ev & EV_ALL);
}

void host_sock_watch_init(struct host_sock *h)
{
	host_watch_init(&h->watch, h->fd, watch_fired);
}

void host_watch_on(struct host_sock *h)
{
	mutex_lock(&h->mu);
	if (!h->watched && h->fd >= 0)
		h->watched = host_watch_edges(&h->watch, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP) == 0;
	mutex_unlock(&h->mu);
}

bool host_is_gone(struct host_sock *h)
{
	bool r;

	mutex_lock(&h->mu);
	r = h->state == HOST_GONE;
	mutex_unlock(&h->mu);
	return r;
}

int host_take_gone(struct host_sock *h)
{
	int r;

	mutex_lock(&h->mu);
	r = h->err;
	h->err = 0;
	mutex_unlock(&h->mu);
	return r;
}

static uint32_t host_poll(struct sock *sk)
{
	struct host_sock *h = host_of(sk);
	struct pollfd p = { .fd = h->fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND };
	uint32_t r = POLL_READ | POLL_WRITE | LINUX_POLLRDHUP | LINUX_POLLHUP;

	mutex_lock(&h->mu);
	if (h->state == HOST_GONE) {
		r |= h->err ? LINUX_POLLERR : 0;
		mutex_unlock(&h->mu);
		return r;
	}
	mutex_unlock(&h->mu);
	host_watch_on(h); /* before asking, so that no edge falls between */
	if (poll(&p, 1, 0) < 0)
		return LINUX_POLLERR;
	return (uint32_t)(uint16_t)p.revents;
}

/* --- life --- */

int host_open(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	return fd < 0 ? (errno == EMFILE ? -ENFILE : -errno) : fd;
}

void *host_sock_alloc(void)
{
	struct host_sock *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	(void)sock_init(&h->sk, &host_sock_ops, LINUX_AF_INET, 0, 0, NULL);
	mutex_init(&h->mu, "host_sock.mu");
	list_init(&h->opts);
	h->fd = -EBADF;
	mutex_lock(&host_all_mu);
	list_add_tail(&host_all, &h->node);
	mutex_unlock(&host_all_mu);
	return h;
}

/* Takes @fd over in any case. */
static int host_wrap(struct task *t, struct net_ns *net, int family, int type, int protocol, int fd, struct host_sock **ret)
{
	struct host_sock *h = host_sock_alloc();

	if (!h) {
		(void)close(fd);
		return -ENOMEM;
	}
	h->sk.family = (uint16_t)family;
	h->sk.type = (uint16_t)type;
	h->sk.protocol = (uint16_t)protocol;
	h->sk.net = net_ns_get(net);
	h->fd = fd;
	h->uid = t && t->cred ? t->cred->euid : 0;
	host_sock_watch_init(h);
	*ret = h;
	return 0;
}

/* Which sockets the host is asked for. Others do not exist here, whatever the host has (SCTP, MPTCP ...). */
static int check_kind(struct task *t, int family, int type, int *protocol)
{
	int icmp = family == LINUX_AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;

	if (*protocol < 0 || *protocol >= 263)
		return -EINVAL;
	switch (type) {
	case LINUX_SOCK_STREAM:
		*protocol = *protocol ? *protocol : IPPROTO_TCP;
		return *protocol == IPPROTO_TCP ? 0 : -EPROTONOSUPPORT;
	case LINUX_SOCK_DGRAM:
		*protocol = *protocol ? *protocol : IPPROTO_UDP;
		return *protocol == IPPROTO_UDP || *protocol == icmp ? 0 : -EPROTONOSUPPORT;
	case LINUX_SOCK_RAW:
		if (!task_capable(t, LINUX_CAP_NET_RAW))
			return -EPERM;
		return *protocol && *protocol < 256 ? 0 : -EPROTONOSUPPORT;
	default:
		return -ESOCKTNOSUPPORT;
	}
}

int host_sock_create(struct task *t, struct net_ns *net, int family, int type, int protocol, struct sock **ret)
{
	struct host_sock *h;
	int fd, r = check_kind(t, family, type, &protocol);

	if (r)
		return r;
	fd = host_open(family, type, protocol);
	if (fd < 0)
		return fd;
	r = host_wrap(t, net, family, type, protocol, fd, &h);
	if (!r)
		*ret = &h->sk;
	return r;
}

static void host_close(struct sock *sk)
{
	struct host_sock *h = host_of(sk);
	struct linger l = { 0 };
	socklen_t n = sizeof(l);
	int fd;

	host_watch_done(&h->watch);
	mutex_lock(&h->mu);
	sk->file = NULL;
	fd = TAKE_FD(h->fd);
	mutex_unlock(&h->mu);
	if (fd < 0)
		return;
	/* DEVIATION: close() never lingers, since it would block in the host; what was sent goes out in the background. */
	if (sk->type == LINUX_SOCK_STREAM && getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &n) == 0 && l.l_onoff && l.l_linger) {
		l = (struct linger){ 0 };
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	}
	(void)close(fd);
}

static void host_destroy(struct sock *sk)
{
	struct host_sock *h = host_of(sk);
	struct host_opt *o, *tmp;

	host_close(sk); /* an accepted connection that got no file */
	mutex_lock(&host_all_mu);
	list_del(&h->node);
	mutex_unlock(&host_all_mu);
	list_for_each_safe(o, tmp, &h->opts, node)
		free(o);
	mutex_destroy(&h->mu);
	sock_done(sk);
	free(h);
}

/* --- names and connections --- */

static uint16_t port_of(const void *addr, uint32_t len)
{
	const uint8_t *p = addr;

	return len >= 4 ? (uint16_t)(p[2] << 8 | p[3]) : 0;
}

static int host_bind(struct sock *sk, struct task *t, const void *addr, uint32_t len)
{
	struct host_sock *h = host_of(sk);
	uint16_t port = port_of(addr, len);

	if (host_is_gone(h))
		return -EINVAL;
	/* The Sentry may, for others; whether this task may is for us to say. */
	if (port && port < host_net.unprivileged_port && sk->type != LINUX_SOCK_RAW && !task_capable(t, LINUX_CAP_NET_BIND_SERVICE))
		return -EACCES;
	if (bind(h->fd, addr, len) < 0)
		return -errno;
	mutex_lock(&h->mu);
	h->bound = true;
	mutex_unlock(&h->mu);
	return 0;
}

void host_port_stays_free(struct host_sock *h)
{
	int one = 1;
	bool listens;

	mutex_lock(&h->mu);
	listens = h->state == HOST_LISTEN;
	mutex_unlock(&h->mu);
	if (listens)
		(void)setsockopt(h->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
}

static int host_listen(struct sock *sk, struct task *t, int backlog)
{
	struct host_sock *h = host_of(sk);

	if (host_is_gone(h))
		return -EINVAL;
	if (listen(h->fd, backlog) < 0)
		return -errno;
	mutex_lock(&h->mu);
	h->state = HOST_LISTEN;
	h->backlog = backlog;
	mutex_unlock(&h->mu);
	host_port_stays_free(h);
	/* An idle socket was readable (hung up); a listener is not. */
	waitq_wake(&sk->wq, EV_ALL);
	return 0;
}

struct connect_op {
	struct host_sock *h;
	const void *addr;
	uint32_t len;
	int first; /* EINPROGRESS or EALREADY, as the first attempt said */
	bool over; /* the connection has its result */
	int64_t result; /* 1: connected, or the error */
};

/* The host answers a repeated connect() with the connection's result, once it has one. */
static int64_t try_connect(void *arg)
{
	struct connect_op *o = arg;
	int r = connect(o->h->fd, o->addr, o->len) < 0 ? -errno : 0;

	if (r == -EINPROGRESS || r == -EALREADY) {
		o->first = o->first ? o->first : r;
		return -EAGAIN;
	}
	o->over = true;
	o->result = r ? r : 1;
	return o->result;
}

static void note_connect(struct host_sock *h, const void *addr, uint32_t len, int64_t r)
{
	mutex_lock(&h->mu);
	if (r == 1) {
		h->state = HOST_CONNECTED;
	} else if (r == -EAGAIN) {
		h->state = HOST_CONNECTING;
		h->raddr.len = MIN(len, (uint32_t)sizeof(h->raddr.addr));
		memcpy(h->raddr.addr, addr, h->raddr.len);
	} else if (h->state == HOST_CONNECTING && r != -EISCONN) {
		h->state = HOST_OPEN;
	}
	mutex_unlock(&h->mu);
}

static int host_disconnect(struct host_sock *h, const void *addr, uint32_t len)
{
	int r = connect(h->fd, addr, len) < 0 ? -errno : 0;

	mutex_lock(&h->mu);
	if (!r || h->state == HOST_GONE) {
		h->state = HOST_OPEN;
		h->shutdown = 0;
		h->err = 0;
		r = 0;
	}
	mutex_unlock(&h->mu);
	return r;
}

static int host_connect(struct sock *sk, struct task *t, const void *addr, uint32_t len, bool nonblock, int64_t deadline)
{
	struct host_sock *h = host_of(sk);
	struct connect_op o = { .h = h, .addr = addr, .len = len };
	uint16_t family;
	int64_t r;

	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (family == LINUX_AF_UNSPEC)
		return host_disconnect(h, addr, len);
	if (host_is_gone(h))
		return -EISCONN;
	if (sk->type != LINUX_SOCK_STREAM)
		return connect(h->fd, addr, len) < 0 ? -errno : 0;
	host_watch_on(h);
	r = try_connect(&o);
	note_connect(h, addr, len, r);
	if (r == -EAGAIN && nonblock)
		return o.first;
	if (r == -EAGAIN) {
		r = task_wait_on(t, &sk->wq, POLL_WRITE | LINUX_POLLHUP | LINUX_POLLERR, deadline, try_connect, &o);
		if (o.over)
			note_connect(h, addr, len, o.result);
		else if (r == -ETIMEDOUT)
			return o.first; /* SO_SNDTIMEO; the connection's own ETIMEDOUT is a result */
	}
	return r == 1 ? 0 : (int)r;
}

static int host_accept(struct sock *sk, struct task *t, struct sock **ret)
{
	struct host_sock *h = host_of(sk), *n;
	int fd, r;

	host_watch_on(h);
	fd = accept4(h->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return errno == EMFILE ? -ENFILE : -errno;
	r = host_wrap(t, sk->net, sk->family, sk->type, sk->protocol, fd, &n);
	if (r)
		return r;
	n->state = HOST_CONNECTED;
	mutex_lock(&sk->opt_mu);
	n->sk.opts.reuseaddr = sk->opts.reuseaddr;
	mutex_unlock(&sk->opt_mu);
	*ret = &n->sk;
	return 0;
}

void host_names(struct host_sock *h, struct host_name *local, struct host_name *peer)
{
	socklen_t n = sizeof(local->addr);

	mutex_lock(&h->mu);
	*local = h->laddr;
	*peer = h->raddr;
	if (h->state != HOST_GONE && h->fd >= 0) {
		local->len = getsockname(h->fd, (struct sockaddr *)(void *)local->addr, &n) < 0 ? 0 : n;
		n = sizeof(peer->addr);
		if (getpeername(h->fd, (struct sockaddr *)(void *)peer->addr, &n) == 0)
			peer->len = n;
		else if (h->state != HOST_CONNECTING)
			peer->len = 0;
	}
	mutex_unlock(&h->mu);
}

static int host_getname(struct sock *sk, struct task *t, void *addr, bool peer)
{
	struct host_sock *h = host_of(sk);
	socklen_t n = LINUX_SOCKADDR_MAX;

	if (host_is_gone(h)) {
		if (peer)
			return -ENOTCONN;
		memcpy(addr, h->laddr.addr, h->laddr.len);
		return (int)h->laddr.len;
	}
	if ((peer ? getpeername(h->fd, addr, &n) : getsockname(h->fd, addr, &n)) < 0)
		return -errno;
	return (int)n;
}

static int host_shutdown(struct sock *sk, int how)
{
	struct host_sock *h = host_of(sk);

	if (host_is_gone(h))
		return -ENOTCONN;
	if (shutdown(h->fd, how) < 0)
		return -errno;
	mutex_lock(&h->mu);
	h->shutdown |= (uint32_t)how + 1;
	if (h->state == HOST_LISTEN && how != LINUX_SHUT_WR)
		h->state = HOST_OPEN;
	mutex_unlock(&h->mu);
	waitq_wake(&sk->wq, EV_ALL);
	return 0;
}

static int64_t host_ioctl(struct sock *sk, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct host_sock *h = host_of(sk);
	int v = 0;

	switch (cmd) {
	case LINUX_SIOCINQ:
	case LINUX_SIOCOUTQ:
	case SIOCATMARK_C:
		if (!host_is_gone(h) && ioctl(h->fd, cmd, &v) < 0)
			return -errno;
		return copy_out(t, GADDR(arg), &v, sizeof(v));
	default:
		return -ENOTTY;
	}
}

static bool host_listening(struct sock *sk)
{
	struct host_sock *h = host_of(sk);
	bool r;

	mutex_lock(&h->mu);
	r = h->state == HOST_LISTEN;
	mutex_unlock(&h->mu);
	return r;
}

static int host_take_error(struct sock *sk)
{
	struct host_sock *h = host_of(sk);
	socklen_t n = sizeof(int);
	int v = 0;

	if (host_is_gone(h))
		return host_take_gone(h);
	return getsockopt(h->fd, SOL_SOCKET, SO_ERROR, &v, &n) < 0 ? errno : v;
}

/* --- lists of them --- */

size_t host_tcp_info(struct host_sock *h, void *buf, size_t size)
{
	socklen_t n = (socklen_t)size;

	mutex_lock(&h->mu); /* keeps the descriptor open */
	if (h->state == HOST_GONE || h->fd < 0 || getsockopt(h->fd, IPPROTO_TCP, TCP_INFO, buf, &n) < 0)
		n = 0;
	mutex_unlock(&h->mu);
	return n;
}

bool host_count(struct host_sock *h, unsigned long cmd, int *ret)
{
	bool ok;

	mutex_lock(&h->mu);
	ok = h->state != HOST_GONE && h->fd >= 0 && ioctl(h->fd, cmd, ret) == 0;
	mutex_unlock(&h->mu);
	return ok;
}

int host_tcp_state(struct host_sock *h)
{
	struct tcp_info ti = { 0 };
	struct host_name l, p;

	if (h->sk.type != LINUX_SOCK_STREAM) {
		host_names(h, &l, &p);
		return p.len ? TCP_ESTABLISHED : TCP_CLOSE;
	}
	return host_tcp_info(h, &ti, sizeof(ti)) && ti.tcpi_state ? ti.tcpi_state : TCP_CLOSE;
}

void host_each(struct net_ns *ns, int (*fn)(struct host_sock *h, void *arg), void *arg)
{
	struct host_sock *h;

	mutex_lock(&host_all_mu);
	list_for_each(h, &host_all, node)
		if (h->sk.net == ns && fn(h, arg))
			break;
	mutex_unlock(&host_all_mu);
}

const struct sock_ops host_sock_ops = {
	.name = "host",
	.state = &host_sock_state_type,
	.close = host_close,
	.destroy = host_destroy,
	.bind = host_bind,
	.listen = host_listen,
	.connect = host_connect,
	.accept = host_accept,
	.getname = host_getname,
	.sendmsg = host_sendmsg,
	.recvmsg = host_recvmsg,
	.shutdown = host_shutdown,
	.poll = host_poll,
	.ioctl = host_ioctl,
	.setsockopt = host_setsockopt,
	.getsockopt = host_getsockopt,
	.own_sol_socket = true,
	.listening = host_listening,
	.take_error = host_take_error,
};
